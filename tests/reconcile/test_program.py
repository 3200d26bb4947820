"""The operator's program says in a line what is wrong with how it was started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (["--help"], {}, 0, "PGGIT_WATCH_NAMESPACES=[]"),
        (["run"], {}, 2, "unrecognized arguments: run"),
        ([], {"PGGIT_WORKERS": "many"}, 2, "pggit-operator: PGGIT_WORKERS: Input should be a valid integer"),
        ([], {"PGGIT_WATCH_NAMESPACES": "shop"}, 2, 'field "watch_namespaces"'),
        ([], {}, 1, "KUBECONFIG names no usable file"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], environment: dict[str, str], code: int, said: str, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("token-that-nobody-may-see")
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "KUBECONFIG": str(kubeconfig)}

    done = subprocess.run(
        [sys.executable, "-m", "pggit_operator", *arguments],
        env=given | environment,
        capture_output=True,
        text=True,
        check=False,
    )

    out = done.stdout + done.stderr
    assert done.returncode == code
    assert said in out
    assert "Traceback" not in out
    assert "token-that-nobody-may-see" not in out
