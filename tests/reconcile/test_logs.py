"""What the operator's log lines look like."""

from __future__ import annotations

import json
import subprocess
import sys

SAY = """
import logging
from pggit_operator import logs

logs.configure("info", "json")
logging.getLogger("pggit.step").warning("%s: merging feature/größe waits …", "merges/shop/fix")
"""


def test_a_line_is_one_json_object_with_the_words_as_they_are() -> None:
    done = subprocess.run([sys.executable, "-c", SAY], capture_output=True, check=True)

    said = done.stderr.decode()
    assert said.count("\n") == 1
    assert "feature/größe waits …" in said
    assert json.loads(said)["event"] == "merges/shop/fix: merging feature/größe waits …"
    assert json.loads(said)["level"] == "warning"
