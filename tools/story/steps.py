"""The six steps, each with the proof that it did what it says.

Each step can be told with the operator being killed in its middle: `between` is called when something has been asked
for and before the answer is waited for. `end_state` is what must be equal however often that happened.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from story.data import TABLES
from story.edits import (
    AGREED,
    GENEVA,
    ON_MAIN,
    ON_THE_BRANCH,
    ZURICH,
    State,
    fingerprint,
    merged,
    must_equal,
    state,
)
from story.shell import Failed, Kubectl, Open, Psql, Row, Show

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LIVE = ("vdb/geo", "dbb/fix-populations", "dbsnap/before-merge", "dbm/fix-populations")


LOOK_BACK = (
    f"""\
SELECT now.name, before.population AS before_merge, now.population AS now
  FROM cities AS now JOIN pggit.as_of(NULL::public.cities, 'before-merge') AS before USING (id)
 WHERE id IN ({ZURICH}, {GENEVA}) ORDER BY 3 DESC;
""",
    f"""\
SELECT column_name, value, left(commit_id, 12) AS commit, author, db_role
  FROM pggit.blame('cities', '{{"id": {GENEVA}}}') WHERE column_name IN ('name', 'population', 'timezone');
""",
    """\
SELECT change, key, old_row ->> 'name' AS name, old_row ->> 'population' AS population,
       new_row ->> 'name' AS new_name, new_row ->> 'population' AS new_population
  FROM pggit.diff_rows('cities', 'before-merge', 'main')
 ORDER BY greatest((old_row ->> 'population')::bigint, (new_row ->> 'population')::bigint) DESC LIMIT 8;
""",
    f"""\
SELECT c.name AS merged, c.population, n.names -> 'AIRPORT' AS from_branch, n.names -> 'RUMANTSCH' AS from_main
  FROM cities AS c JOIN city_names AS n ON n.city = c.id
 WHERE c.id IN ({ZURICH}, {GENEVA}, 2658576, 2659689) ORDER BY 2 DESC;
""",
    """\
SELECT table_name, key, column_name, base, ours, theirs, resolution, resolved_value
  FROM pggit.merge_conflicts;
""",
    """\
SELECT left(commit_id, 12) AS commit, cardinality(parents) AS parents, author, message, rows_changed
  FROM pggit.log('main');
""",
)


def nothing(_: str) -> None:
    """The default between asking and waiting."""


@dataclass
class Story:
    """Who tells it and where: one namespace, one database that holds the data of `story.data`."""

    kubectl: Kubectl
    owner: Psql
    owner_secret: dict[str, str]
    open: Open
    show: Show = field(default_factory=Show)
    between: Callable[[str], None] = nothing
    branch: Psql | None = None
    base: State = field(default_factory=dict)
    ours: State = field(default_factory=dict)
    theirs: State = field(default_factory=dict)
    kept: Row = field(default_factory=dict)


def version_the_database(story: Story) -> None:
    """1. The database comes under version control."""
    story.show.step("1  Put the database under version control")
    story.base, before = state(story.owner), fingerprint(story.owner)
    keys = [f"--from-literal={key}={value}" for key, value in story.owner_secret.items()]
    story.show.command("kubectl create secret generic geo-owner --from-literal=host=… --from-literal=password=…")
    story.show.output(story.kubectl.quietly("create", "secret", "generic", "geo-owner", *keys))
    _apply(story, "database.yaml")
    story.between("database")
    story.kubectl.wait_ready("vdb/geo")
    story.kubectl("get", "vdb")
    story.owner("SELECT table_name, key_columns FROM pggit.tracked_tables;")
    tracked = story.owner.one("SELECT count(*) AS n FROM pggit.tracked_tables")["n"]
    must(tracked == len(TABLES), f"{len(TABLES)} tables are tracked, not {tracked}")
    must(_count(story.owner, "SELECT * FROM pggit.log('main')") == 1, "main has its first commit")
    must(fingerprint(story.owner) == before, "no row has changed")


def make_the_branch(story: Story) -> None:
    """2. A branch, and a Secret with its own login."""
    story.show.step("2  Make a branch")
    _apply(story, "branch.yaml")
    story.between("branch")
    story.kubectl.wait_ready("dbb/fix-populations")
    story.kubectl("get", "dbb")
    secret = story.kubectl.secret("fix-populations")
    story.show.command("kubectl get secret fix-populations --output=jsonpath={.data}   # decoded, without the password")
    shown = {key: "…" if secret["password"] in value else value for key, value in secret.items()}
    story.show.output(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
    must(secret["user"] != story.owner_secret["user"], "the branch has a role of its own")
    story.branch = story.open(secret, "fix-populations")
    must(fingerprint(story.branch) == fingerprint(story.owner), "the new branch shows every row of main")
    rows = sum(len(table) for table in story.base.values())
    story.show.say(f"The branch shows all {rows:,} rows of main.")


def change_both_sides(story: Story) -> None:
    """3. The branch changes by its Secret alone; main changes too; neither sees the other."""
    branch = _branch(story)
    story.show.step("3  Change rows on the branch, and on main")
    before = fingerprint(story.owner)
    branch(ON_THE_BRANCH)
    story.theirs = state(branch)
    must(story.theirs != story.base, "the branch has changed")
    must(fingerprint(story.owner) == before, "main is as before")
    story.show.say("Main does not see any of it. Meanwhile, on main:")
    changed = fingerprint(branch)
    story.owner(ON_MAIN)
    story.ours = state(story.owner)
    must(fingerprint(branch) == changed, "the branch is as before")
    story.show.say("And the branch does not see what main did:")
    look = f"SELECT id, name, population FROM cities WHERE id IN ({ZURICH}, {GENEVA}) ORDER BY id;"
    branch(look)
    story.owner(look)
    must(_refused(branch, "SELECT * FROM public.cities LIMIT 1"), "the branch's login cannot read main's tables")
    must(_refused(branch, "UPDATE public.cities SET population = 0"), "the branch's login cannot write main's tables")
    story.between("changes")


def keep_a_snapshot(story: Story) -> None:
    """4. Main as it is now, under a tag."""
    story.show.step("4  Keep main as it is now")
    story.kept = fingerprint(story.owner)
    _apply(story, "snapshot.yaml")
    story.between("snapshot")
    story.kubectl.wait_ready("dbsnap/before-merge")
    story.kubectl("get", "dbsnap")


def merge_and_wait(story: Story) -> Row:
    """5a. The merge: its plan, and the one conflict."""
    story.show.step("5  Merge the branch into main")
    before = fingerprint(story.owner)
    _apply(story, "merge.yaml")
    story.between("merge")
    merge = story.kubectl.wait_for("dbm/fix-populations", "Conflicted")
    status = merge["status"]
    story.kubectl("get", "dbm")
    for part in ("plan", "conflicts"):
        story.show.command(f"kubectl get dbm fix-populations --output=jsonpath={{.status.{part}}}")
        story.show.output(json.dumps(status[part], indent=2, ensure_ascii=False) + "\n")
    found = [
        (c["table"], c["key"], c["column"], c["base"], c["ours"], c["theirs"]) for c in status["conflicts"]["items"]
    ]
    zurich = [("public.cities", {"id": str(ZURICH)}, "population", "415367", "447082", "421598")]
    must(found == zurich, f"the one conflict is Zürich's population, not {found}")
    must(fingerprint(story.owner) == before, "main is untouched while the merge waits")
    return merge


def resolve_the_conflict(story: Story) -> None:
    """5b. A decision lets it go on; main has both sides' changes and nothing else."""
    before = fingerprint(_branch(story))
    cell = {"table": "public.cities", "key": {"id": str(ZURICH)}, "column": "population"}
    patch = {"spec": {"resolutions": [{**cell, "take": "Value", "value": AGREED}]}}
    story.show.say("Nothing was written to main. Someone decides:")
    story.kubectl("patch", "dbm", "fix-populations", "--type=merge", f"--patch={json.dumps(patch, ensure_ascii=False)}")
    story.between("resolution")
    merge = story.kubectl.wait_for("dbm/fix-populations", "Merged")
    story.kubectl("get", "dbm", "--output=wide")
    must(bool(merge["status"].get("mergeCommit")), "the merge names its commit")
    decided = {("cities", str(ZURICH), "population"): int(AGREED)}
    expected = merged(story.base, story.ours, story.theirs, decided)
    rows = must_equal("main after the merge", state(story.owner), expected)
    story.show.say(
        f"All {rows:,} rows of main are what a cell-by-cell merge worked out in Python gives: nothing else changed."
    )
    must(fingerprint(_branch(story)) == before, "the branch is as before the merge")


def look_back(story: Story) -> None:
    """6. What happened, from both sides."""
    story.show.step("6  See what happened")
    story.kubectl.quietly("wait", "--for=jsonpath={.status.branches}=2", "vdb/geo", "--timeout=30s")
    story.kubectl("get", "pggit")
    as_of = fingerprint(story.owner, "pggit.as_of(NULL::public.{}, 'before-merge')")
    must(as_of == story.kept, "the snapshot shows every row as it was")
    changed = _changed_keys(story.ours["cities"], state(story.owner)["cities"])
    rows = story.owner.rows("SELECT key FROM pggit.diff_rows('cities', 'before-merge', 'main')")
    must({str(row["key"]["id"]) for row in rows} == changed, f"diff_rows names the {len(changed)} changed cities only")
    must(_count(story.owner, "SELECT * FROM pggit.verify()") == 0, "pggit.verify() finds nothing wrong")
    must(
        _refused(_branch(story), "SELECT * FROM pggit.merge_conflicts"), "the branch's login sees no row of main there"
    )
    for query in LOOK_BACK:
        story.owner(query)


def ask_for_the_merge_again(story: Story) -> None:
    """Deleting the Merge and applying it again merges nothing again."""
    story.show.step("Again: delete the Merge and apply it once more")
    before = story.kubectl.get("dbm", "fix-populations")["status"]["mergeCommit"]
    commits = _count(story.owner, "SELECT * FROM pggit.log('main', 1000)")
    story.kubectl("delete", "dbm", "fix-populations")
    _apply(story, "merge.yaml")
    story.between("merge again")
    again = story.kubectl.wait_for("dbm/fix-populations", "Merged")["status"]["mergeCommit"]
    must(again == before, f"the Merge names the commit of its first run, {before}, not {again}")
    must(_count(story.owner, "SELECT * FROM pggit.log('main', 1000)") == commits, "no commit was added")


STEPS: tuple[Callable[[Story], object], ...] = (
    version_the_database,
    make_the_branch,
    change_both_sides,
    keep_a_snapshot,
    merge_and_wait,
    resolve_the_conflict,
    look_back,
)


def end_state(story: Story) -> Row:
    """All that must be the same at the end, whatever happened to the operator on the way. No times, no random ids."""
    log = "SELECT message, rows_changed, cardinality(parents) AS parents FROM pggit.log('main', 1000)"
    ready = {}
    for name in LIVE:
        conditions = story.kubectl.get(*name.split("/"))["status"]["conditions"]
        ready[name] = sorted((c["type"], c["status"], c["reason"]) for c in conditions)
    return {
        "tables": fingerprint(story.owner),
        "log": story.owner.rows(log),
        "branches": story.owner.rows("SELECT name, parent, mode FROM pggit.list_branches() ORDER BY name"),
        "conflicts": story.owner.rows(
            "SELECT table_name, key, column_name, resolution, resolved_value FROM pggit.merge_conflicts"
        ),
        "conditions": ready,
    }


def must(true: bool, claim: str) -> None:
    """Stop the story where a claim does not hold."""
    if not true:
        raise Failed(f"not as it must be: {claim}")


def _apply(story: Story, example: str) -> None:
    story.show.command(f"kubectl apply -f examples/{example}")
    story.show.output(story.kubectl.quietly("apply", "--filename=-", stdin=(EXAMPLES / example).read_text()))


def _branch(story: Story) -> Psql:
    if story.branch is None:
        raise Failed("there is no branch yet")
    return story.branch


def _count(psql: Psql, query: str) -> int:
    return int(psql.one(f"SELECT count(*) AS n FROM ({query}) AS counted")["n"])


def _refused(psql: Psql, sql: str) -> bool:
    try:
        psql.quietly(sql)
    except Failed as failed:
        return "permission denied" in str(failed)
    return False


def _changed_keys(before: dict[str, Row], after: dict[str, Row]) -> set[str]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
