"""What pggit has to do, said slowly: every state is a whole copy, every merge looks at every row.

A row is a tuple of cells in column order, a state is table → key → row. A jsonb cell is its canonical text, so that
SQL's NULL (None) and JSON's null ("null") stay two things, and 1 and true as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any, TypeAlias

Cell: TypeAlias = Any
Row: TypeAlias = tuple[Cell, ...]
Key: TypeAlias = tuple[Cell, ...]
State: TypeAlias = Mapping[str, Mapping[Key, Row]]


@dataclass(frozen=True)
class Foreign:
    name: str
    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]
    on_delete: str = "no action"
    deferred: bool = False


#: What triggers of a table make of a state, given the rows that a statement wrote: what each was, and what it is now.
Written: TypeAlias = list[tuple[Row | None, Row | None]]
Fires: TypeAlias = "Callable[[State, Written], State]"


@dataclass(frozen=True)
class Table:
    """A table's shape and its constraints. `fires`: triggers of the user's, which only real tables have."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    not_null: tuple[str, ...] = ()
    unique: dict[str, tuple[str, ...]] = field(default_factory=dict)
    checks: dict[str, Callable[[dict[str, Cell]], bool]] = field(default_factory=dict)
    foreign: tuple[Foreign, ...] = ()
    fires: Fires | None = None

    def place(self, column: str) -> int:
        return list(self.columns).index(column)

    def cells(self, row: Row, columns: Iterable[str]) -> tuple[Cell, ...]:
        return tuple(row[self.place(column)] for column in columns)

    def key_of(self, row: Row) -> Key:
        return self.cells(row, self.key)

    def named(self, row: Row) -> dict[str, Cell]:
        return dict(zip(self.columns, row, strict=True))


Schema: TypeAlias = Mapping[str, Table]


class Refused(Exception):
    """A statement breaks constraints; PostgreSQL names one of these."""

    def __init__(self, broken: Iterable[str]) -> None:
        self.sqlstates = frozenset(broken)
        super().__init__(", ".join(sorted(self.sqlstates)))


@dataclass(frozen=True)
class Violation:
    sqlstate: str
    constraint: str
    table: str
    key: Key


def violations(schema: Schema, state: State, *, at_once: bool = False) -> Iterator[Violation]:
    """Every row that breaks a constraint in this state; `at_once`: one that is not deferred."""
    for table in schema.values():
        rows = state[table.name]
        for key, row in rows.items():
            named = table.named(row)
            for column in table.not_null:
                if named[column] is None:
                    yield Violation("23502", column, table.name, key)
            for name, holds in table.checks.items():
                if not holds(named):
                    yield Violation("23514", name, table.name, key)
            for name, columns in table.unique.items():
                cells = table.cells(row, columns)
                twins = [k for k, other in rows.items() if table.cells(other, columns) == cells]
                if None not in cells and len(twins) > 1:
                    yield Violation("23505", name, table.name, key)
            for foreign in table.foreign:
                if at_once and foreign.deferred:
                    continue
                cells = table.cells(row, foreign.columns)
                target = schema[foreign.table]
                found = {target.cells(other, foreign.referenced) for other in state[foreign.table].values()}
                if None not in cells and cells not in found:
                    yield Violation("23503", foreign.name, table.name, key)


# --- statements -----------------------------------------------------------------------------------------------------


def inserted(schema: Schema, state: State, table: str, row: Row) -> State:
    key = schema[table].key_of(row)
    return _checked(schema, {**state, table: {**state[table], key: row}}, twice=key in state[table])


def updated(schema: Schema, state: State, table: str, changes: Mapping[Key, Row]) -> State:
    """One statement that gives each of these keys a new row, possibly under another key."""
    shape = schema[table]
    rows = {key: row for key, row in state[table].items() if key not in changes}
    twice = False
    for key, row in changes.items():
        if key in state[table]:
            twice |= shape.key_of(row) in rows
            rows[shape.key_of(row)] = row
    return _checked(schema, {**state, table: rows}, twice=twice)


def deleted(schema: Schema, state: State, table: str, keys: Iterable[Key]) -> State:
    """One DELETE with what its foreign keys say about the rows that point at the deleted ones."""
    now = {name: dict(rows) for name, rows in state.items()}
    todo = [(table, key) for key in keys if key in now[table]]
    while todo:
        name, key = todo.pop()
        gone = now[name].pop(key, None)
        if gone is None:
            continue
        for other in schema.values():
            for foreign in other.foreign:
                if foreign.table != name:
                    continue
                pointed_at = schema[name].cells(gone, foreign.referenced)
                for k, row in list(now[other.name].items()):
                    if other.cells(row, foreign.columns) != pointed_at:
                        continue
                    if foreign.on_delete == "cascade":
                        todo.append((other.name, k))
                    elif foreign.on_delete == "set null":
                        places = [other.place(column) for column in foreign.columns]
                        now[other.name][k] = tuple(None if i in places else cell for i, cell in enumerate(row))
    return _checked(schema, now)


def _checked(schema: Schema, state: State, *, twice: bool = False) -> State:
    """The state, if it is allowed; `twice`: two rows would have had one key."""
    broken = [violation.sqlstate for violation in violations(schema, state, at_once=True)] + ["23505"] * twice
    if broken:
        raise Refused(broken)
    return state


# --- differences ----------------------------------------------------------------------------------------------------

Change: TypeAlias = tuple[str, Key, Row | None, Row | None]


def changes(before: State, after: State, table: str) -> list[Change]:
    """What turns one state of a table into the other, one entry per key."""
    found: list[Change] = []
    for key in before[table].keys() | after[table].keys():
        old, new = before[table].get(key), after[table].get(key)
        if old != new:
            found.append(("insert" if old is None else "delete" if new is None else "update", key, old, new))
    return sorted(found, key=lambda change: repr(change[1]))


def count_changes(before: State, after: State) -> dict[str, int]:
    counts = {"insert": 0, "update": 0, "delete": 0}
    for table in before:
        for change, *_ in changes(before, after, table):
            counts[change] += 1
    return counts


# --- three-way merge ------------------------------------------------------------------------------------------------

_ABSENT: Any = object()
_CONFLICT: Any = object()


@dataclass(frozen=True)
class Conflict:
    """A row in conflict (column None, whole rows as values), or one cell of it."""

    kind: str
    table: str
    key: Key
    column: str | None
    base: Any
    ours: Any
    theirs: Any


@dataclass
class Merged:
    """`state` has ours where there is a conflict without a resolution. `conflicts` are those that no rule decided."""

    state: State
    conflicts: list[Conflict]


Resolutions: TypeAlias = Mapping[Conflict, tuple[str, Any]]


@dataclass(frozen=True)
class Rule:
    """Who decides a cell that both sides changed: a rule by name, or a Python function that says what its SQL says."""

    table: str
    column: str
    rule: str
    by: str | None = None
    expression: str | None = None
    decides: Callable[[Cell, Cell, Cell], Cell] | None = None

    def fits(self, table: Table, column: str) -> bool:
        names = (table.name, f"public.{table.name}")
        return (
            any(fnmatchcase(name, self.table) for name in names)
            and fnmatchcase(column, self.column)
            and column not in table.key
            and (self.by is None or self.by in table.columns)
        )


Rules: TypeAlias = "list[Rule]"


def decided(rule: Rule, type_name: str, base: Cell, ours: Cell, theirs: Cell, by: tuple[Cell, Cell]) -> Cell:
    """What a rule makes of a cell, or _CONFLICT where it can't decide."""
    both = ours is not None and theirs is not None
    match rule.rule:
        case "ours" | "theirs" | "base":
            return {"ours": ours, "theirs": theirs, "base": base}[rule.rule]
        case "max" | "min":
            pick = max if rule.rule == "max" else min
            return pick(cell for cell in (ours, theirs) if cell is not None)
        case "sum":
            return ours + theirs - (base or 0) if both else _CONFLICT
        case "newest":
            if None in by or by[0] == by[1]:
                return _CONFLICT
            return ours if by[0] > by[1] else theirs
        case "non_null":
            return _CONFLICT if both else theirs if ours is None else ours
        case "union":
            sides = [None if cell is None else _elements(type_name, cell) for cell in (base, ours, theirs)]
            if sides[1] is None or sides[2] is None or (base is not None and sides[0] is None):
                return _CONFLICT
            was, here, there = ([] if side is None else side for side in sides)
            kept = [e for e in here if e in there or e not in was] + [e for e in there if e not in here + was]
            return canonical([json.loads(e) for e in kept]) if type_name == "jsonb" else tuple(kept)
        case "concat":
            if not both or not (ours.startswith(base or "") and theirs.startswith(base or "")):
                return _CONFLICT
            return ours + theirs[len(base) :] if base else f"{ours}\n{theirs}"
    assert rule.decides is not None
    try:
        return rule.decides(base, ours, theirs)
    except ZeroDivisionError:
        return _CONFLICT  # an expression that fails


def _elements(type_name: str, cell: Cell) -> list[Any] | None:
    if type_name != "jsonb":
        return list(cell)
    value = json.loads(cell)
    return [canonical(element) for element in value] if isinstance(value, list) else None


@dataclass(frozen=True)
class Base:
    """What a merge starts from. `torn`: by table and key the columns of which nothing can be said; None is the row."""

    state: State
    torn: Mapping[tuple[str, Key], frozenset[str] | None] = field(default_factory=dict)


@dataclass
class Versions:
    """A row in several states, by number, and what each two of them have in common of it, as far as that is known."""

    columns: tuple[str, ...]
    found: list[Row | None]
    was: dict[tuple[int, int], Row | None]
    disputed: dict[tuple[int, int], frozenset[str] | None]

    def is_unchanged(self, i: int, j: int, place: int | None) -> bool:
        """Number j is, in a cell or as a row, as the two were before, and what they were is not in dispute."""
        if (i, j) not in self.was:
            return False
        disputed, was, row = self.disputed[i, j], self.was[i, j], self.found[j]
        if place is None:
            return disputed == frozenset() and row == was
        if disputed is None or self.columns[place] in disputed:
            return False
        return was is not None and row is not None and row[place] == was[place]

    def change(self, place: int | None) -> int | None:
        """Who has what each other has too, or has changed while the other has not."""
        values = [row if place is None or row is None else row[place] for row in self.found]
        for i, value in enumerate(values):
            if all(other == value or self.is_unchanged(i, j, place) for j, other in enumerate(values) if j != i):
                return i
        return None

    def one(self) -> tuple[Row | None, frozenset[str] | None]:
        """The row that a merge begins with, and the columns of it of which nothing can be said; None is the row."""
        picked = self.change(None)
        if picked is not None:
            return self.found[picked], frozenset()
        rows = [row for row in self.found if row is not None]
        if len(rows) < len(self.found) or None in self.was.values():
            return self.found[0], None
        each = [self.change(place) for place in range(len(self.columns))]
        row = tuple(rows[number or 0][place] for place, number in enumerate(each))
        return row, frozenset(column for column, number in zip(self.columns, each, strict=True) if number is None)


def one_base(schema: Schema, states: list[State], before: Callable[[int, int], Base | None]) -> Base:
    """Several states made of one, each row or cell as the one has it that changed it; else the first one's, torn.

    `before` is what two of them, by number, have in common; None: nobody knows.
    """
    result: dict[str, dict[Key, Row]] = {}
    torn: dict[tuple[str, Key], frozenset[str] | None] = {}
    pairs = {(i, j): before(i, j) for i in range(len(states)) for j in range(len(states)) if i != j}
    known = {pair: base for pair, base in pairs.items() if base is not None}
    for table in schema.values():
        rows = result[table.name] = {}
        for key in {key for state in [*states, *(base.state for base in known.values())] for key in state[table.name]}:
            row, disputed = Versions(
                tuple(table.columns),
                [state[table.name].get(key) for state in states],
                {pair: base.state[table.name].get(key) for pair, base in known.items()},
                {pair: base.torn.get((table.name, key), frozenset()) for pair, base in known.items()},
            ).one()
            if disputed != frozenset():
                torn[table.name, key] = disputed
            if row is not None:
                rows[key] = row
    return Base(result, torn)


def merged(
    schema: Schema,
    base: Base,
    ours: State,
    theirs: State,
    resolutions: Resolutions | None = None,
    rules: Iterable[Rule] = (),
) -> Merged:
    """The three-way merge of whole states. A resolution is (ours | theirs | base | value, the value)."""
    asked = list(rules)
    result: dict[str, dict[Key, Row]] = {}
    conflicts: list[Conflict] = []
    for table in schema.values():
        rows: dict[Key, Row] = {}
        b, o, t = base.state[table.name], ours[table.name], theirs[table.name]
        for key in b.keys() | o.keys() | t.keys():
            torn = base.torn.get((table.name, key), frozenset())
            torn = frozenset(table.columns) if torn is None else torn
            row, found = _merged_row(table, key, b.get(key), o.get(key), t.get(key), torn, resolutions or {}, asked)
            conflicts += found
            if row is not None:
                rows[key] = row
        result[table.name] = rows
    return Merged(result, conflicts)


def _merged_row(
    table: Table,
    key: Key,
    base: Row | None,
    ours: Row | None,
    theirs: Row | None,
    torn: frozenset[str],
    resolutions: Resolutions,
    rules: list[Rule],
) -> tuple[Row | None, list[Conflict]]:
    if theirs == ours or (theirs == base and not torn):
        return ours, []
    if ours == base and not torn:
        return theirs, []
    kind = None
    if ours is None or theirs is None:
        kind = "delete_update" if ours is None else "update_delete"
    elif base is None:
        kind = "insert_insert"
    if kind is not None:
        conflict = Conflict(kind, table.name, key, None, base, ours, theirs)
        whole = _row_by_rules(table, conflict, rules)
        return (_resolved(conflict, resolutions), [conflict]) if whole is _CONFLICT else (whole, [])
    assert base is not None
    assert ours is not None
    assert theirs is not None
    row: list[Cell] = []
    found: list[Conflict] = []
    for (column, type_name), b, o, t in zip(table.columns.items(), base, ours, theirs, strict=True):
        cell = o if o == t else _CONFLICT if column in torn else _merged_cell(type_name, b, o, t)
        if cell is _CONFLICT:
            cell = _cell_by_rules(table, column, (base, ours, theirs), rules)
        if cell is _CONFLICT:
            conflict = Conflict("update_update", table.name, key, column, b, o, t)
            found.append(conflict)
            cell = _resolved(conflict, resolutions)
        row.append(cell)
    return tuple(row), found


def _cell_by_rules(table: Table, column: str, sides: tuple[Row | None, Row, Row], rules: list[Rule]) -> Cell:
    """What the first rule says that can decide; `sides` are base, ours and theirs."""
    base, ours, theirs = (None if side is None else table.named(side) for side in sides)
    assert ours is not None
    assert theirs is not None
    for rule in rules:
        if rule.fits(table, column) and not (rule.rule == "base" and base is None):
            by = (ours[rule.by], theirs[rule.by]) if rule.by else (None, None)
            was = None if base is None else base[column]
            cell = decided(rule, table.columns[column], was, ours[column], theirs[column], by)
            if cell is not _CONFLICT:
                return cell
    return _CONFLICT


def _row_by_rules(table: Table, conflict: Conflict, rules: list[Rule]) -> Any:
    """Two new rows are decided when each cell is that differs; a deleted one by a rule for all columns."""
    if conflict.kind != "insert_insert":
        for rule in rules:
            if rule.column == "*" and rule.rule in ("ours", "theirs", "base") and rule.fits(table, "*"):
                return getattr(conflict, rule.rule)
        return _CONFLICT
    row = [
        o if o == t else _cell_by_rules(table, column, (None, conflict.ours, conflict.theirs), rules)
        for column, o, t in zip(table.columns, conflict.ours, conflict.theirs, strict=True)
    ]
    return _CONFLICT if _CONFLICT in row else tuple(row)


def _resolved(conflict: Conflict, resolutions: Resolutions) -> Any:
    how, value = resolutions.get(conflict, ("ours", None))
    return {"ours": conflict.ours, "theirs": conflict.theirs, "base": conflict.base, "value": value}[how]


def _merged_cell(type_name: str, base: Cell, ours: Cell, theirs: Cell) -> Cell:
    if theirs in (base, ours):
        return ours
    if ours == base:
        return theirs
    if type_name == "jsonb" and None not in (base, ours, theirs):
        value = _merged_json(json.loads(base), json.loads(ours), json.loads(theirs))
        return value if value is _CONFLICT else canonical(value)
    return _CONFLICT


def _merged_json(base: Any, ours: Any, theirs: Any) -> Any:
    if _same(theirs, base) or _same(theirs, ours):
        return ours
    if _same(ours, base):
        return theirs
    if not (isinstance(base, dict) and isinstance(ours, dict) and isinstance(theirs, dict)):
        return _CONFLICT
    result = {}
    for name in base.keys() | ours.keys() | theirs.keys():
        value = _merged_json(base.get(name, _ABSENT), ours.get(name, _ABSENT), theirs.get(name, _ABSENT))
        if value is _CONFLICT:
            return _CONFLICT
        if value is not _ABSENT:
            result[name] = value
    return result


def _same(one: Any, other: Any) -> bool:
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return canonical(one) == canonical(other)


def canonical(value: Any) -> str:
    """A JSON value as the text by which the model knows it."""
    return json.dumps(value, sort_keys=True)


# --- the repository -------------------------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class Commit:
    number: int
    parents: tuple[Commit, ...]
    state: State
    message: str | None
    id: str = ""

    def __repr__(self) -> str:
        return f"<commit {self.number}>"

    def ancestors(self) -> set[Commit]:
        """This commit and all before it."""
        seen: set[Commit] = set()
        todo: list[Commit] = [self]
        while todo:
            commit = todo.pop()
            if commit not in seen:
                seen.add(commit)
                todo.extend(commit.parents)
        return seen


def merge_bases(*commits: Commit) -> list[Commit]:
    """The best common ancestors, the newest first."""
    common = set.intersection(*(commit.ancestors() for commit in commits))
    best = {c for c in common if not any(c in d.ancestors() for d in common if d is not c)}
    return sorted(best, key=lambda commit: -commit.number)


def base_of(schema: Schema, bases: list[Commit], depth: int = 1) -> Base:
    """One base of several, as in a recursive merge; three levels deep."""
    if len(bases) == 1:
        return Base(bases[0].state)
    common = {(i, j): merge_bases(one, other) for i, one in enumerate(bases) for j, other in enumerate(bases) if i != j}
    different = len({tuple(commit.number for commit in found) for found in common.values()})
    if depth > 3 or not all(common.values()):
        return one_base(schema, [base.state for base in bases], lambda i, j: None)
    return one_base(
        schema, [base.state for base in bases], lambda i, j: base_of(schema, common[i, j], depth + different)
    )


@dataclass(repr=False)
class Branch:
    name: str
    head: Commit | None
    state: State

    def __repr__(self) -> str:
        return f"<branch {self.name!r}>"

    @property
    def dirty(self) -> bool:
        return self.head is None or self.state != self.head.state


@dataclass
class Outcome:
    """What a merge did. `planned` is the state it arrives at, whether or not it was applied."""

    result: str
    source: Commit
    target: Commit
    base: Commit | None = None
    planned: State | None = None
    conflicts: list[Conflict] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    commit: Commit | None = None


@dataclass(eq=False)
class Stash:
    branch: Branch
    commit: Commit
    name: str = ""


class Repository:
    """Branches, commits and tags over whole states. `main` is there from the start."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.commits: list[Commit] = []
        self.rules: list[Rule] = []
        self.stashes: list[Stash] = []
        self.tags: dict[str, Commit] = {}
        self.branches = {"main": Branch("main", None, {name: {} for name in schema})}

    def add(self, parents: tuple[Commit, ...], state: State, message: str | None) -> Commit:
        commit = Commit(len(self.commits) + 1, parents, state, message)
        self.commits.append(commit)
        return commit

    def commit(self, branch: Branch, message: str | None = None, *, allow_empty: bool = False) -> Commit | None:
        """None: there is nothing to commit."""
        if not branch.dirty and not allow_empty:
            return None
        parents = () if branch.head is None else (branch.head,)
        branch.head = self.add(parents, branch.state, message)
        return branch.head

    def fork(self, name: str, source: Branch | Commit) -> Branch:
        """From a branch as it is now (its pending changes are committed first), or from any commit."""
        if isinstance(source, Branch):
            self.commit(source)
            head, state = source.head, source.state
        else:
            head, state = source, source.state
        self.branches[name] = Branch(name, head, state)
        return self.branches[name]

    def merge(
        self,
        source: Branch | Commit,
        target: Branch,
        *,
        resolutions: Resolutions | None = None,
        on_conflict: str = "stop",
        fast_forward: bool = True,
        squash: bool = False,
        message: str | None = None,
        rules: Iterable[Rule] = (),
    ) -> Outcome:
        """Commit what is pending on both sides, then merge; the target changes only if the result says so."""
        if isinstance(source, Branch):
            self.commit(source)
        self.commit(target)
        theirs = source.head if isinstance(source, Branch) else source
        ours = target.head
        assert theirs is not None
        assert ours is not None
        bases = merge_bases(ours, theirs)
        if not bases:
            return Outcome("refused", theirs, ours)
        base = bases[0]
        if base is theirs:
            return Outcome("up_to_date", theirs, ours, base, ours.state)
        if base is ours and fast_forward and not squash:
            target.head, target.state = theirs, theirs.state
            return Outcome("fast_forward", theirs, ours, base, theirs.state, commit=theirs)
        start = base_of(self.schema, bases)
        outcome, resolutions = self._worked_out(
            start, ours, theirs, on_conflict, resolutions, [*rules, *self.kept_rules()]
        )
        outcome.base = base
        if any(conflict not in resolutions for conflict in outcome.conflicts):
            outcome.result = "conflicted"
        elif outcome.violations:
            outcome.result = "refused"
        else:
            assert outcome.planned is not None
            outcome.commit = target.head = self.add((ours,) if squash else (ours, theirs), outcome.planned, message)
            target.state = outcome.planned
        return outcome

    def _worked_out(
        self,
        start: Base,
        ours: Commit,
        theirs: Commit,
        on_conflict: str,
        resolutions: Resolutions | None,
        rules: list[Rule],
    ) -> tuple[Outcome, Resolutions]:
        found = merged(self.schema, start, ours.state, theirs.state, resolutions, rules)
        if on_conflict != "stop":
            resolutions = dict.fromkeys(found.conflicts, (on_conflict, None)) | dict(resolutions or {})
            found = merged(self.schema, start, ours.state, theirs.state, resolutions, rules)
        broken = list(violations(self.schema, found.state))
        return Outcome("merged", theirs, ours, None, found.state, found.conflicts, broken), resolutions or {}

    def replay(
        self,
        base: Commit,
        theirs: Commit,
        target: Branch,
        *,
        resolutions: Resolutions | None = None,
        on_conflict: str = "stop",
        message: str | None = None,
        rules: Iterable[Rule] = (),
    ) -> Outcome:
        """A revert goes from a commit to its parent, a cherry-pick from the parent to the commit."""
        self.commit(target)
        ours = target.head
        assert ours is not None
        outcome, resolutions = self._worked_out(Base(base.state), ours, theirs, on_conflict, resolutions, [*rules])
        if any(conflict not in resolutions for conflict in outcome.conflicts):
            outcome.result = "conflicted"
        elif outcome.violations:
            outcome.result = "refused"
        elif outcome.planned == ours.state:
            outcome.result = "up_to_date"
        else:
            assert outcome.planned is not None
            outcome.commit = target.head = self.add((ours,), outcome.planned, message)
            target.state = outcome.planned
        return outcome

    def reset(self, target: Branch, commit: Commit, *, hard: bool) -> None:
        """Hard: what is pending is committed first, so that it can still be found."""
        if hard:
            self.commit(target)
            target.state = commit.state
        target.head = commit

    def kept_rules(self) -> list[Rule]:
        """The repository's rules as they are asked: exact names first, then the oldest."""
        return sorted(self.rules, key=lambda rule: ("*" in rule.table, "*" in rule.column))

    def stash(self, branch: Branch) -> Stash | None:
        """What is pending goes aside as a commit that no branch has; None: there is nothing."""
        if not branch.dirty:
            return None
        assert branch.head is not None
        self.stashes.append(Stash(branch, self.add((branch.head,), branch.state, "stash")))
        branch.state = branch.head.state
        return self.stashes[-1]

    def unstash(self, stash: Stash, target: Branch, *, resolutions: Resolutions | None = None) -> Outcome:
        """The stash's changes are pending again, on top of what is pending."""
        (before,) = stash.commit.parents
        ours = Commit(0, (), target.state, None)
        outcome, resolutions = self._worked_out(
            Base(before.state), ours, stash.commit, "stop", resolutions, self.kept_rules()
        )
        if any(conflict not in resolutions for conflict in outcome.conflicts):
            outcome.result = "conflicted"
        elif outcome.violations:
            outcome.result = "refused"
        else:
            assert outcome.planned is not None
            outcome.result = "up_to_date" if outcome.planned == target.state else "merged"
            target.state = outcome.planned
            self.stashes.remove(stash)
        return outcome

    def rebase(self, target: Branch, onto: Branch) -> Outcome:
        """The branch's own commits again, one by one, on top of another's; all or nothing."""
        known, state, heads = len(self.commits), target.state, (target.head, onto.head)
        self.commit(onto)
        self.commit(target)
        head, base_head = target.head, onto.head
        assert head is not None
        assert base_head is not None
        bases = merge_bases(head, base_head)
        if bases[0] is base_head:
            return Outcome("up_to_date", base_head, head, planned=head.state)
        own = [commit for commit in first_parents(head) if commit not in base_head.ancestors()]
        target.head, target.state = base_head, base_head.state
        for commit in reversed(own):
            step = self.replay(commit.parents[0], commit, target, rules=self.kept_rules())
            if step.result in ("conflicted", "refused"):
                (target.head, onto.head), target.state = heads, state
                del self.commits[known:]
                return step
        result = "fast_forward" if bases[0] is head else "merged"
        return Outcome(result, base_head, head, planned=target.state)

    def needed(self) -> set[Commit]:
        """What gc has to keep: what has a name, and the best common ancestors of any two of them, again and again."""
        found = {branch.head for branch in self.branches.values() if branch.head} | set(self.tags.values())
        for stash in self.stashes:
            found |= {stash.commit, *stash.commit.parents}
        while True:
            more = {base for one, other in combinations(found, 2) for base in merge_bases(one, other)} - found
            if not more:
                return found
            found |= more


def first_parents(commit: Commit) -> list[Commit]:
    """The commit and its first parents, the youngest first."""
    found = [commit]
    while found[-1].parents:
        found.append(found[-1].parents[0])
    return found
