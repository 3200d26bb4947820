"""Runs the SQL of each guide in one psql session and puts what it printed below each block; `--check` only compares.

A block marked `sql` is run, the block marked `text` right after it is what psql printed. A block marked `sql refused`
goes on after errors, and they are part of what it prints. Ids differ on each run and are compared by length alone.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from postgres import Server

ROOT = Path(__file__).resolve().parents[1]
GUIDES = tuple(
    ROOT / "docs" / "guide" / name for name in ("psql.md", "roles.md", "changing-columns.md", "schema-changes.md")
)
BLOCK = re.compile(r"```sql(?P<refused> refused)?\n(?P<sql>.*?)```\n(?:\n```text\n(?P<text>.*?)```\n)?", re.DOTALL)
IDS = re.compile(r"\b[0-9a-f]{12,64}\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
PLACE = re.compile(r"^psql:<stdin>:\d+: ", re.MULTILINE)
END = "-- end of block --"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where psql prints something else")
    check = parser.parse_args().check
    for guide in GUIDES:
        with Server(18) as server:
            before = guide.read_text()
            after = with_output(before, server)
            if check and masked(before) != masked(after):
                print(f"{guide.relative_to(ROOT)} is not what psql prints; run python tools/guide.py", file=sys.stderr)
                return 1
            if not check:
                guide.write_text(after)
    return 0


def with_output(guide: str, server: Server, database: str = "postgres") -> str:
    """The guide with what psql prints now."""
    blocks = [_script(match) for match in BLOCK.finditer(guide)]
    outputs = iter(run(blocks, server, database))

    def filled(match: re.Match[str]) -> str:
        text = "\n".join(line.rstrip() for line in next(outputs).strip("\n").splitlines())
        return f"```sql{match['refused'] or ''}\n{match['sql']}```\n" + (f"\n```text\n{text}\n```\n" if text else "")

    return BLOCK.sub(filled, guide)


def _script(block: re.Match[str]) -> str:
    stop = "\\set ON_ERROR_STOP {}\n"
    return stop.format("off") + block["sql"] + stop.format("on") if block["refused"] else block["sql"]


def run(blocks: list[str], server: Server, database: str) -> list[str]:
    """What psql prints for each block; all blocks in one session, which stops at the first error."""
    script = "".join(f"{block}\n\\echo '{END}'\n" for block in blocks)
    command = [str(server.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", server.dsn(database)]
    done = subprocess.run(
        command,
        input=script,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the guide's SQL fails: {done.stdout[-2000:].strip()}")
    return PLACE.sub("", done.stdout).split(END + "\n")[: len(blocks)]


def masked(text: str) -> str:
    """The text with every id replaced by as many x."""
    return IDS.sub(lambda found: "x" * len(found[0]), text)


if __name__ == "__main__":
    sys.exit(main())
