"""What is refused, and what is done all the same, says the way out."""

from __future__ import annotations

import json
import re

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query, raises


@pytest.fixture
def shop(db: Database) -> Database:
    return db.begin("""
        CREATE TABLE customers (id integer PRIMARY KEY, name text);
        CREATE TABLE "Odd Name" (id integer PRIMARY KEY);
        CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM customers;
        INSERT INTO customers VALUES (1, 'Ada');
        SELECT pggit.track_schema('public');
        SELECT pggit.tag('release-1', pggit.commit('first'));
        INSERT INTO customers VALUES (2, 'Bob');
        SELECT pggit.commit('second');
        SELECT pggit.create_branch('dev'), pggit.create_branch('feature/prices', p_materialize => 'none');
    """)


def told(session: Connection, sql: str, *args: object) -> list[tuple[str, str]]:
    """Messages and hints of the notices of a statement."""
    said: list[tuple[str, str]] = []

    def heard(notice: psycopg.errors.Diagnostic) -> None:
        said.append((notice.message_primary or "", notice.message_hint or ""))

    session.add_notice_handler(heard)
    query(session, sql, *args)
    session.remove_notice_handler(heard)
    return said


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("checkout('devv')", "Did you mean 'dev'? "),
        ("checkout('mian')", "Did you mean 'main'? "),
        ("checkout('DEV')", "Did you mean 'dev'? "),
        ("checkout('prices')", "Did you mean 'feature/prices'? "),
        ("checkout('feat')", "Did you mean 'feature/prices'? "),
        ("checkout('release1')", "Did you mean 'release-1'? "),
        ("merge('dve')", "Did you mean 'dev'? "),
        ("merge('dev', 'amin')", "Did you mean 'main'? "),
        ("diff('relaese-1')", "Did you mean 'release-1'? "),
        ("as_of(NULL::customers, 'relaese-1')", "Did you mean 'release-1'? "),
        ("checkout('another')", "pggit.list_branches() shows the branches"),
        ("status('another')", "There is 'dev', 'feature/prices', 'main'. "),
        ("status('')", "There is 'dev', 'feature/prices', 'main'. "),
        ("blame('Odd Name')", """Did you mean '"Odd Name"'? """),
        ("diff_rows('public.cutsomers', 'HEAD')", "Did you mean 'public.customers'? "),
        ("track_schema('pubic')", "Did you mean 'public'? "),
        ("as_of('\"Odd Name\"', 'HEAD')", """SELECT * FROM pggit.as_of(NULL::"Odd Name", 'HEAD');"""),
        ("show('HEAD~9')", "HEAD goes back to HEAD~1 along first parents"),
        ("add_merge_rule('customers', 'name', 'sume')", "Did you mean 'sum'? "),
        ("add_merge_rule('custmers', 'name', 'ours')", "Did you mean 'customers'? "),
        ("help('chekout')", "Did you mean 'checkout'? "),
        ("merge('dev', 'release-1')", "'release-1' is a tag, and a tag stays where it is: SELECT pggit.create_branch("),
        ("merge('dev', 'HEAD')", "NULL stands for the branch that is checked out. "),
        ("reset('HEAD', 'release-1')", "NULL stands for the branch that is checked out. "),
        ("plan_merge('dev', '{\"on_conflict\": \"ours\"}')", "Options have a name: p_options => '{…}'. "),
        ("log('main..dev')", "A range is two refs, each an argument: "),
        ("cherry_pick('dev~1..dev')", "A range is two refs, each an argument: "),
        ("show('@')", "It is written HEAD. "),
        ("show('main@{1}')", "There is no reflog; a time is a ref too"),
        ("log('--oneline')", "Options are arguments with names"),
        ("reset('main', 'HEAD', 'mixed')", "hard gives the branch the rows of the commit"),
        ("stash()", "pggit.status() shows what is pending"),
        ("revert('release-1')", "It is a first commit"),
        ("revert('HEAD', NULL, '{\"parent\": 2}')", "It has one parent: leave option parent out."),
    ],
)
def test_a_name_that_is_not_there_has_near_ones(shop: Database, call: str, hint: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        shop.run(f"SELECT pggit.{call}")
    assert (refused.value.sqlstate or "").startswith("VG")
    assert (refused.value.diag.message_hint or "").startswith(hint)


def test_a_table_that_is_there_under_another_spelling_is_not_guessed(shop: Database) -> None:
    for name in ("Odd Name", "", "a b", '"', "x.y.z.customers"):
        with raises("VG004", "there is no table"):
            shop.run("SELECT pggit.blame(%s)", name)


def test_a_materialized_view_is_refreshed_on_main_alone(shop: Database) -> None:
    session = shop.connect(branch="feature/prices")
    for sql in ("REFRESH MATERIALIZED VIEW totals", 'refresh  materialized view CONCURRENTLY "totals";'):
        with raises("VG307", "totals needs no REFRESH on branch 'feature/prices'"):
            query(session, sql)
    query(session, "DO $$ BEGIN CREATE MATERIALIZED VIEW names AS SELECT name FROM customers; END $$")
    query(session, "REFRESH MATERIALIZED VIEW names")
    shop.run("REFRESH MATERIALIZED VIEW totals")


def test_as_of_takes_a_time(shop: Database) -> None:
    at = shop.value("SELECT clock_timestamp()")
    shop.run("DELETE FROM customers WHERE id = 1")
    for call, value in (("%s", at), ("%s::timestamptz", str(at)), ("%s", None)):
        found = shop.rows(f"SELECT id FROM pggit.as_of(NULL::customers, {call}) ORDER BY id", value)
        assert found == [(1,), (2,)]
    assert shop.rows("SELECT id FROM pggit.as_of(NULL::customers, 'infinity'::timestamptz)") == [(2,)]


def test_without_refs_it_is_what_git_shows(shop: Database) -> None:
    assert shop.rows("SELECT * FROM pggit.diff()") == []
    shop.run("DELETE FROM customers WHERE id = 1")
    assert shop.rows("SELECT * FROM pggit.diff()") == [("public.customers", 0, 0, 1)]
    assert shop.value("SELECT message FROM pggit.show()") == "second"


def test_deleting_what_is_not_there_says_so(shop: Database) -> None:
    assert told(shop.conn, "SELECT pggit.delete_branch('devv')") == [
        ("there is no branch 'devv'", "Did you mean 'dev'? pggit.list_branches() shows the branches there are.")
    ]
    assert shop.value("SELECT pggit.delete_branch(NULL)") is False
    assert told(shop.conn, "SELECT pggit.delete_tag('release')") == [
        ("there is no tag 'release'", "Did you mean 'release-1'? pggit.tags lists them.")
    ]
    assert shop.value("SELECT pggit.delete_tag(NULL)") is False
    assert told(shop.conn, "SELECT pggit.delete_tag('release-1')") == []


def test_a_branch_that_hides_a_tag_says_so(shop: Database) -> None:
    hidden = "branch 'release-1' hides the tag of the same name: as a ref the name means the branch"
    assert told(shop.conn, "SELECT pggit.create_branch('release-1')")[0][0] == hidden
    shop.run("SELECT pggit.rename_branch('release-1', 'release-2')")
    assert told(shop.conn, "SELECT pggit.rename_branch('release-2', 'release-1')")[0][0] == hidden
    assert told(shop.conn, "SELECT pggit.tag('dev')")[0][0].startswith("branch 'dev' hides the tag")


def conflict(shop: Database) -> None:
    dev = shop.connect(branch="dev")
    query(dev, "UPDATE customers SET name = 'theirs' WHERE id = 1")
    shop.run("UPDATE customers SET name = 'ours' WHERE id = 1")


def test_the_same_merge_once_more_names_the_one_that_waits(shop: Database) -> None:
    conflict(shop)
    waiting = shop.value("SELECT (pggit.merge('dev')).merge_id")
    assert told(shop.conn, "SELECT pggit.plan_merge('dev')") == []
    (said,) = told(shop.conn, "SELECT pggit.merge('dev')")
    assert said[0] == "merge of 'dev' into 'main' waits already for decisions about conflicts; this is another one"
    assert "continue_merge" in said[1]
    shop.run("SELECT pggit.abort_merge(m.merge_id) FROM pggit.merge_status() AS m")
    assert told(shop.conn, "SELECT pggit.merge('dev')") == []
    with raises("VG303", "is settled: aborted") as refused:
        shop.run("SELECT pggit.continue_merge(%s)", waiting)
    assert (refused.value.diag.message_hint or "").startswith("It wrote nothing. pggit.merge begins another")


def test_a_settled_merge_says_how_it_is_undone(shop: Database) -> None:
    conflict(shop)
    shop.run("SELECT pggit.commit('ours')")
    merge, commit = shop.row(
        """SELECT (m).merge_id, (m).commit_id FROM pggit.merge('dev', p_options => '{"on_conflict": "ours"}') AS m"""
    )
    with raises("VG303", "is settled: merged") as refused:
        shop.run("SELECT pggit.abort_merge(%s)", merge)
    assert f"SELECT pggit.revert('{commit[:12]}', 'main'); undoes it" in (refused.value.diag.message_hint or "")


def test_a_stash_that_waits_is_named(shop: Database) -> None:
    shop.run("UPDATE customers SET name = 'aside' WHERE id = 1")
    shop.run("SELECT pggit.stash()")
    shop.run("UPDATE customers SET name = 'other' WHERE id = 1")
    assert shop.value("SELECT (pggit.unstash()).result") == "conflicted"
    (said,) = told(shop.conn, "SELECT pggit.unstash()")
    assert (
        said[0] == "unstash of 'stash-1' into 'main' waits already for decisions about conflicts; this is another one"
    )
    with raises("VG002") as refused:
        shop.run("SELECT pggit.diff('main', 'stash-1')")
    assert (refused.value.diag.message_hint or "").startswith("'stash-1' is a stash: pggit.unstash('stash-1')")


def test_a_branch_that_was_deleted_is_named_with_its_commit(shop: Database) -> None:
    dev = shop.connect(branch="dev")
    query(dev, "DELETE FROM customers; SELECT pggit.commit('all gone')")
    dev.close()
    shop.run("SELECT pggit.delete_branch('dev', p_force => true)")
    again = set()
    for call in ("merge('dev')", "status('dev')", "checkout('dev')"):
        with pytest.raises(psycopg.Error) as refused:
            shop.run(f"SELECT pggit.{call}")
        again |= set(
            re.findall(r"^A branch of that name was deleted; (SELECT .*?;)", refused.value.diag.message_hint or "")
        )
    (sql,) = again
    shop.run(sql)
    assert shop.rows("SELECT id FROM pggit.as_of(NULL::customers, 'dev')") == []
    assert shop.value("SELECT message FROM pggit.log('dev', 1)") == "all gone"


def test_what_dev_has_and_main_has_not(shop: Database) -> None:
    query(shop.connect(branch="dev"), "DELETE FROM customers; SELECT pggit.commit('all gone')")
    found = shop.rows("SELECT * FROM pggit.log('dev') EXCEPT SELECT * FROM pggit.log('main')")
    assert [message for _, _, _, message, *_ in found] == ["all gone"]


@pytest.mark.parametrize(
    ("call", "options", "hint"),
    [
        ("merge", {"no_ff": True}, 'For Git\'s --no-ff it is {"fast_forward": "never"}. '),
        ("merge", {"--ff-only": True}, 'For Git\'s --ff-only it is {"fast_forward": "only"}. '),
        ("merge", {"strategy": "ours"}, 'For Git\'s --strategy-option it is {"on_conflict": "ours"}, or theirs. '),
        ("merge", {"dry_run": True}, "pggit.plan_merge says what a merge would do"),
        ("merge", {"message": "why"}, "The message of a merge is its third argument"),
        ("merge", {"onconflict": "ours"}, "Did you mean 'on_conflict'? "),
        ("merge", ["ours"], 'p_options => \'{"on_conflict": "ours"}\' is one.'),
        ("merge", {"on_conflict": "mine"}, "stop leaves conflicts for pggit.resolve_conflict"),
        ("merge", {"fast_forward": False}, "auto makes a commit where both sides have some"),
        ("merge", {"checks_as": "me"}, "caller runs checks with the rights of whoever merges"),
        ("merge", {"validate": "never"}, "later leaves checks and foreign keys"),
        ("merge", {"squash": "yes"}, "true and false are written without quotes"),
        ("merge", {"rules": {"rule": "ours"}}, 'Also one is in brackets: {"rules": [{…}]}.'),
        ("revert", {"mainline": 1}, 'For Git\'s --mainline it is {"parent": 1}. '),
        ("cherry_pick", {"no-commit": True}, 'With {"approved_plan": null} nothing is written'),
    ],
)
def test_options_are_told_by_the_words_of_git(shop: Database, call: str, options: object, hint: str) -> None:
    with raises("VG202") as refused:
        shop.run(f"SELECT pggit.{call}('main', p_options => %s)", json.dumps(options))
    assert (refused.value.diag.message_hint or "").startswith(hint)


def test_with_no_approved_plan_nothing_is_written(shop: Database) -> None:
    found = shop.row(
        "SELECT result, rows_deleted FROM pggit.revert('HEAD', p_options => %s)", '{"approved_plan": null}'
    )
    assert found == ("refused", 1)
    assert shop.rows("SELECT count(*) FROM customers") == [(2,)]


def test_how_a_decision_is_given(shop: Database) -> None:
    conflict(shop)
    shop.run("SELECT pggit.merge('dev')")
    merge, found = shop.row("SELECT merge_id, conflict_id FROM pggit.merge_conflicts")
    for decision, hint in {
        "'Paris'": "A value of your own follows the word value, as JSON: ",
        "'ours', '\"x\"'": "With a value the resolution is 'value', else leave it out.",
    }.items():
        with raises("VG204") as refused:
            shop.run(f"SELECT pggit.resolve_conflict(%s, %s, {decision})", merge, found)
        assert (refused.value.diag.message_hint or "").startswith(hint)
    with raises("VG007") as refused:
        shop.run("SELECT pggit.resolve_conflict(%s, '1', 'ours')", merge)
    assert (refused.value.diag.message_hint or "").startswith(f"Its conflict number 1 has the id '{found}'. ")
    other = shop.value("SELECT (pggit.plan_merge('main', 'feature/prices')).merge_id")
    with raises("VG007") as refused:
        shop.run("SELECT pggit.resolve_conflict(%s, %s, 'ours')", other, found)
    assert (refused.value.diag.message_hint or "").startswith(f"It is one of merge {merge}. ")
    assert told(shop.conn, "SELECT pggit.resolve_conflicts(%s, 'ours')", merge) == []
    (said,) = told(shop.conn, "SELECT pggit.resolve_conflicts(%s, 'theirs')", merge)
    assert said[0] == "conflicts that stay as they were decided before: 1"
    assert shop.rows("SELECT resolution FROM pggit.merge_conflicts") == [("ours",)]


def test_a_fast_forward_and_a_rebase_say_how_they_are_undone(shop: Database) -> None:
    dev = shop.connect(branch="dev")
    query(dev, "DELETE FROM customers WHERE id = 1; SELECT pggit.commit('one')")
    query(dev, "DELETE FROM customers WHERE id = 2; SELECT pggit.commit('two')")
    merge = shop.value("SELECT (pggit.merge('dev')).merge_id")
    with raises("VG303", "is settled: fast_forward") as refused:
        shop.run("SELECT pggit.abort_merge(%s)", merge)
    undo = re.search(r"SELECT pggit.revert\(.*\);", refused.value.diag.message_hint or "")
    assert undo
    shop.run(undo[0])
    assert shop.rows("SELECT id FROM customers ORDER BY id") == [(1,), (2,)]

    shop.run("INSERT INTO customers VALUES (3, 'Cid'); SELECT pggit.commit('three')")
    query(dev, "INSERT INTO customers VALUES (4, 'Dan'); SELECT pggit.commit('four')")
    before = shop.value("SELECT pggit.resolve_ref('dev')")
    rebase = shop.value("SELECT (pggit.rebase('dev', 'main')).merge_id")
    with raises("VG303", "is settled: merged") as refused:
        shop.run("SELECT pggit.abort_merge(%s)", rebase)
    undo = re.search(r"SELECT pggit.reset\(.*?\);", refused.value.diag.message_hint or "")
    assert undo
    shop.run(undo[0])
    assert shop.value("SELECT pggit.resolve_ref('dev')") == before


def test_into_a_protected_branch_says_how(shop: Database) -> None:
    dev = shop.connect(branch="dev")
    query(dev, "DELETE FROM customers")
    shop.run("SELECT pggit.protect_branch('main')")
    merge, detail, plan = shop.row("SELECT merge_id, detail, plan_hash FROM pggit.merge('dev')")
    call = f"""SELECT result FROM pggit.continue_merge('{merge}', '{{"approved_plan": "{plan}"}}')"""
    assert detail["way_out"] == f"{call} approves that plan, or SELECT pggit.unprotect_branch('main')"


def test_help_knows_all_that_it_names(shop: Database) -> None:
    everyday = shop.rows("SELECT topic, split_part(call, '(', 1), meaning FROM pggit.help()")
    source = shop.value("SELECT p.prosrc FROM pg_proc AS p WHERE p.oid = 'pggit.help(text)'::regprocedure")
    names = ",".join(re.findall(r"'\{([a-z_,]+)\}'", source)).split(",")
    assert {name for _, name, _ in everyday} == set(names)
    assert all(meaning for *_, meaning in everyday)
    assert [
        call for call, meaning in shop.rows("SELECT call, meaning FROM pggit.help('')") if meaning[-1] not in ".)"
    ] == []
    assert shop.rows("SELECT call FROM pggit.help('keep') LIMIT 1") == [("tag(p_name, [p_ref], [p_message])",)]
    assert "Raises VG201" in shop.value("SELECT meaning FROM pggit.help('tag')")
    assert ("stash([p_message], [p_branch])",) in shop.rows("SELECT call FROM pggit.help('stash')")
    assert len(shop.rows("SELECT call FROM pggit.help('git')")) < len(everyday)


def test_typing_errors_are_counted_as_people_make_them(conn: Connection) -> None:
    counted = {
        ("main", "main"): 0,
        ("main", "mian"): 1,
        ("main", "ma"): 2,
        ("main", "mainn"): 1,
        ("aab", "ab"): 1,
        ("", "dev"): 3,
        ("dev", ""): 3,
        ("", ""): 0,
        ("feature/prices-1", "feature/prcies-2"): 2,
        ("kitten", "sitting"): 3,
        ("ab", "ba"): 1,
        ("größe", "grösse"): 2,
    }
    for (a, b), errors in counted.items():
        assert query(conn, "SELECT pggit._typing_errors(%s, %s)", a, b).fetchone() == (errors,), (a, b)


def test_thousands_of_names_are_looked_through_at_once(conn: Connection) -> None:
    query(conn, "SET LOCAL statement_timeout = '20s'")
    names = "SELECT array_agg('feature/prices-of-' || g) FROM generate_series(1000, 9999) AS g"
    said = query(conn, f"SELECT pggit._near_names('feature/prices-of-1x00', ({names}))").fetchone()
    assert said is not None
    assert "Did you mean 'feature/prices-of-1" in said[0]


@pytest.mark.parametrize(
    ("setting", "call"),
    [
        ("pggit.lock_timeout", "SELECT pggit.delete_branch('dev', true)"),
        ("pggit.materialize_limit", "SELECT pggit.create_branch('new')"),
        ("pggit.save_limit", "ALTER TABLE customers DROP COLUMN name"),
        ("pggit.materialize_ddl_limit", "ALTER TABLE customers DROP COLUMN name"),
        ("pggit.retention", "SELECT pggit.gc()"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(shop: Database, setting: str, call: str) -> None:
    shop.run(f"SET {setting} = 'much'")
    with pytest.raises(psycopg.Error, match=f"the setting {setting} is 'much', but must be a ") as refused:
        shop.run(call)
    assert (refused.value.sqlstate or "").startswith("VG")
