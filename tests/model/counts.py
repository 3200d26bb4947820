"""A slow and obvious model: a branch is a Counter of rows, a merge is ours + theirs - base, and never below zero."""

from __future__ import annotations

from collections import Counter

Rows = Counter[tuple[object, ...]]


def merged(base: Rows, ours: Rows, theirs: Rows) -> Rows:
    return Counter({row: n for row in ours | theirs if (n := ours[row] + theirs[row] - base[row]) > 0})


class Graph:
    """Commits with the rows of each."""

    def __init__(self) -> None:
        self.parents: dict[str, list[str]] = {}
        self.rows: dict[str, Rows] = {}

    def ancestors(self, commit: str) -> set[str]:
        found = {commit}
        for parent in self.parents[commit]:
            found |= self.ancestors(parent)
        return found

    def bases(self, *commits: str) -> list[str]:
        """The best common ancestors, the youngest first."""
        common = set.intersection(*(self.ancestors(commit) for commit in commits))
        best = {one for one in common if not any(one in self.ancestors(other) for other in common - {one})}
        return [commit for commit in reversed(self.parents) if commit in best]

    def base(self, commits: list[str]) -> Rows:
        """What a merge starts from: of several ancestors, what comes of merging them, one after the other."""
        found = self.rows[commits[0]]
        for place, commit in enumerate(commits[1:], start=1):
            known = set.union(*(self.ancestors(before) for before in commits[:place])) & self.ancestors(commit)
            best = {one for one in known if not any(one in self.ancestors(other) for other in known - {one})}
            if best:
                before = self.base([one for one in reversed(self.parents) if one in best])
                found = merged(before, found, self.rows[commit])
        return +found

    def first_parents(self, commit: str) -> list[str]:
        found = [commit]
        while self.parents[found[-1]]:
            found.append(self.parents[found[-1]][0])
        return found
