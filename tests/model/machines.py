"""The machines, each about one thing: what there is in the repository, and what else may happen to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RULE_MARKER, precondition, rule, run_state_machine_as_test

from fixtures.postgres import Database, Servers
from model.machine import Machine, branches, rule_json
from model.reference import Branch, Cell, Rule
from model.statements import Update


class Rows(Machine):
    """Foreign keys of every kind, a unique column, a check, keys of two columns, documents."""


class Few(Machine):
    """Three keys, so that what one operation leaves is what the next one meets."""

    tables = ("few",)
    alone = "few"
    flown = "few"


class Nested(Machine):
    """Statements inside statements, keys that change hands within one, what is checked at the end of a transaction."""

    tables = ("counted", "tally", "echo", "late", "loose")
    alone = "counted"
    flown = "counted"


class Kinds(Machine):
    """Values of many types, some equal and yet not the same."""

    tables = ("kinds",)
    alone = "kinds"
    flown = "kinds"


def _quotient(_base: Cell, ours: Cell, _theirs: Cell) -> Cell:
    return None if ours is None else int(10 / (ours - 1))


#: SQL, and what it says.
EXPRESSIONS: dict[str, Any] = {
    "coalesce(ours, 0) + coalesce(theirs, 0)": lambda _base, ours, theirs: (ours or 0) + (theirs or 0),
    "CASE WHEN base IS NULL THEN ours END": lambda base, ours, _theirs: ours if base is None else None,
    "10 / (ours - 1)": _quotient,
}
TABLES = ["ruled", "public.ruled", "r*", "*led", "*"]


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    table = draw(st.sampled_from(TABLES))
    kind = draw(st.sampled_from(["number", "number", "text", "set", "any", "any"]))
    if kind == "number":
        column = draw(st.sampled_from(["n1", "n2", "n*", "price", "at"]))
        name = draw(st.sampled_from(["max", "min", "sum", "expression"]))
        if name != "expression" and column != "n*":
            return Rule(table, column, name)
        expression = draw(st.sampled_from(sorted(EXPRESSIONS)))
        column = draw(st.sampled_from(["n1", "n2"]))
        return Rule(table, column, "expression", expression=expression, decides=EXPRESSIONS[expression])
    if kind == "text":
        return Rule(table, draw(st.sampled_from(["note", "not*"])), "concat")
    if kind == "set":
        return Rule(table, draw(st.sampled_from(["list", "doc"])), "union")
    column = draw(st.sampled_from(["*", "n*", "*o*", "note", "price"]))
    name = draw(st.sampled_from(["ours", "theirs", "base", "non_null", "newest"]))
    return Rule(table, column, name, by="at" if name == "newest" else None)


class Ruled(Machine):
    """Rules of the repository and of single merges, for names and for patterns."""

    tables = ("ruled",)
    alone = "ruled"
    flown = "ruled"

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []

    def rules_given(self, data: st.DataObject) -> list[Rule]:
        given: list[Rule] = data.draw(st.lists(rules(), max_size=3), label="rules")
        return given

    @precondition(lambda self: len(self.repo.rules) < 4)
    @rule(some=st.lists(rules(), min_size=1, max_size=3))
    def keep_rules(self, some: list[Rule]) -> None:
        sql = "SELECT pggit.add_merge_rule(%s, %s, %s, %s, %s)"
        for one in some:
            self.numbers.append(self.db.value(sql, one.table, one.column, one.rule, one.by, one.expression))
            self.repo.rules.append(one)

    @precondition(lambda self: len(self.repo.branches) > 1)
    @rule(source=branches(), into=branches(), data=st.data(), more=st.integers(1, 3), less=st.integers(1, 3))
    def count(self, source: Branch, into: Branch, data: st.DataObject, more: int, less: int) -> None:
        """Both count in one cell, from where it is the same, and a rule adds that up."""
        here, there = source.state["ruled"], into.state["ruled"]
        keys = sorted(key for key in here if key in there and here[key][1] and here[key][1] == there[key][1])
        if source is into or not keys or self.gives_up(into, data):
            return
        key = data.draw(st.sampled_from(keys), label="key")
        for branch, step in ((source, more), (into, -less)):
            with self.unless_locked():
                self.execute(branch, Update("ruled", (key,), "n1", branch.state["ruled"][key][1] + step))
        total = Rule("ruled", "n1", "sum")
        with self.unless_locked():
            self.merge_on_both(source, source.name, into, {"rules": [rule_json(total)]}, [total])

    @precondition(lambda self: self.repo.rules)
    @rule(data=st.data())
    def drop_a_rule(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.numbers) - 1), label="rule")
        self.db.run("SELECT pggit.delete_merge_rule(%s)", self.numbers.pop(at))
        del self.repo.rules[at]


MACHINES: dict[str, type[Machine]] = {"rows": Rows, "few": Few, "nested": Nested, "kinds": Kinds, "ruled": Ruled}


def run(
    name: str,
    servers: Servers,
    version: int,
    *,
    examples: int,
    steps: int,
    template: str | None = None,
    without: Iterable[str] = (),
    only: Iterable[str] = (),
    is_new: bool = False,
    shrinks: bool = False,
) -> Counter[str]:
    """Random histories of a machine, all of its rules or `only` some; a version's are the same ones each time unless
    `is_new`.

    What the merges in them came to.
    """
    kind: type[Machine] = MACHINES[name]

    class Here(kind):  # type: ignore[valid-type, misc]
        outcomes: ClassVar[Counter[str]] = Counter()

        @staticmethod
        def make() -> Database:
            return servers.create(version, template=template or servers.template(version))

        @staticmethod
        def drop(db: Database) -> None:
            servers.drop(db)

    steps_of = {name for name in dir(kind) if hasattr(getattr(kind, name), RULE_MARKER)}
    for left_out in [*without, *(steps_of - set(only) if only else ())]:
        assert left_out in steps_of, f"there is no rule {left_out}"
        setattr(Here, left_out, None)
    run_state_machine_as_test(
        Here if is_new else seed(version)(Here),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=not is_new,
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
        ),
    )
    return Here.outcomes
