"""The story as a person reads it."""

from __future__ import annotations

import os
import sys
import textwrap

from story.shell import Show

MOST_LINES = 40


class Terminal(Show):
    """Tells the story to a person; in colour where that can be seen."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def step(self, title: str) -> None:
        print(f"\n{self._painted('1;36', f'━━ {title} ' + '━' * (76 - len(title)))}", flush=True)

    def say(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def command(self, text: str) -> None:
        print(f"\n{self._painted('1', '$ ' + text)}", flush=True)

    def output(self, text: str) -> None:
        lines = text.rstrip().splitlines()
        shown = [*lines[:MOST_LINES], f"… {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else lines
        print(textwrap.indent("\n".join(shown), "  ", lambda _: True), flush=True)

    def _painted(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text
