"""The commands of docs/guide/merges.md, in order, print what the page says; its manifests are those of examples/."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

import guide
from fixtures.operating import Site, open_by
from fixtures.postgres import ROOT

PAGE = ROOT / "docs" / "guide" / "merges.md"
BLOCK = re.compile(r"```sh\n(?P<sh>.*?)```\n(?:\n```text\n(?P<text>.*?)```\n)?", re.DOTALL)
MANIFEST = re.compile(r"```yaml\n# (?P<file>examples/\S+)\n(?P<yaml>.*?)```", re.DOTALL)
PASSING = re.compile(r"\b\d+m?\d*s$|\bsite-[0-9a-f]+|\bdefault\b", re.MULTILINE)
CITIES = """
CREATE TABLE cities (id integer PRIMARY KEY, name text NOT NULL, population integer);
INSERT INTO cities VALUES (2657896, 'Zürich', 341730), (2660646, 'Genève', 183981), (2661604, 'Basel', 164488);
"""


def masked(text: str) -> str:
    lines = (" ".join(line.split()) for line in guide.masked(PASSING.sub("…", text)).splitlines())
    return "\n".join(lines).strip()


def printed(site: Site) -> list[str]:
    """What kubectl prints for each block."""
    kubectl = shlex.join(site.namespace.cluster.command("--namespace", site.namespace.name))
    blocks = [match["sh"] for match in BLOCK.finditer(PAGE.read_text())]
    script = f'kubectl() {{ {kubectl} "$@"; }}\n' + "".join(f"{block}\necho '{guide.END}'\n" for block in blocks)
    done = subprocess.run(["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split(guide.END + "\n")[: len(blocks)]


@pytest.fixture
def geo(site: Site) -> Site:
    """A database geo, and a branch fix-populations on which two cities have grown; one of them on main too."""
    owner, names = site.database(CITIES), site.namespace
    names.secret("geo-owner", **owner.secret)
    for example in ("database.yaml", "branch.yaml"):
        names.run("apply", f"--filename={ROOT / 'examples' / example}")
    site.wait("dbb", "fix-populations", "BranchReady")
    with open_by(site.secret("fix-populations")) as session:
        session.execute("UPDATE cities SET population = 443037 WHERE name = 'Zürich'")
        session.execute("UPDATE cities SET population = 203856 WHERE name = 'Genève'")
    owner.run("UPDATE cities SET population = 448664 WHERE name = 'Zürich'")
    return site


def test_the_commands_print_what_the_page_says(geo: Site) -> None:
    shown = [match["text"] or "" for match in BLOCK.finditer(PAGE.read_text())]
    assert [masked(text) for text in printed(geo)] == [masked(text) for text in shown]


def test_the_manifests_are_the_examples() -> None:
    found = {match["file"]: match["yaml"] for match in MANIFEST.finditer(PAGE.read_text())}
    assert sorted(found) == ["examples/approval.yaml", "examples/revert.yaml"]
    for name, text in found.items():
        assert (ROOT / name).read_text().partition("\n")[2] == text
