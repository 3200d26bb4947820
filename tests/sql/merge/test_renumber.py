"""Rule renumber: of two rows with one key the branch's gets a new one, and what refers to it follows."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Connection, Database, query, raises

RULE = {"rules": [{"rule": "renumber"}]}


def merge(db: Database, source: str, target: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """Result and detail."""
    found = db.row("SELECT m.result, m.detail FROM pggit.merge(%s, %s, NULL, %s) AS m", source, target, Jsonb(options))
    return found[0], found[1]


def everywhere(db: Database, sql: str) -> dict[str, list[tuple[Any, ...]]]:
    return {name: query(db.connect(branch=name), sql).fetchall() for name in ("main", "side")}


ORDERS = """
    CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text,
                         follows integer REFERENCES orders);
    CREATE TABLE lines (order_id integer REFERENCES orders ON DELETE CASCADE, line integer, what text,
                        PRIMARY KEY (order_id, line));
    CREATE TABLE serials (order_id integer, line integer, serial text UNIQUE, id bigserial PRIMARY KEY,
                          FOREIGN KEY (order_id, line) REFERENCES lines);
    CREATE TABLE notes (order_id bigint REFERENCES orders, note text);
    INSERT INTO orders (customer) SELECT 'old ' || i FROM generate_series(1, 3) AS i;
    INSERT INTO lines VALUES (1, 1, 'old');
    INSERT INTO notes VALUES (1, 'old');
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
"""
#: An order with number 4, another that follows it, lines, serial numbers and a note.
WRITES = """
    INSERT INTO orders OVERRIDING SYSTEM VALUE VALUES (4, '{0}', 2), (5, '{0} again', 4);
    INSERT INTO lines VALUES (4, 1, '{0}'), (4, 2, '{0}'), (2, 1, '{0}');
    INSERT INTO serials VALUES (4, 2, '{0}', {1}), (2, 1, '{0} 2', {1} + 1);
    INSERT INTO notes VALUES (4, '{0}');
"""
#: The same by others, but for what would be in conflict.
OTHERS = WRITES.format("main", 20).replace(", (2, 1, 'main')", "").replace(", (2, 1, 'main 2', 20 + 1)", "")
STORY = """
    SELECT o.customer, f.customer,
           (SELECT string_agg(l.what || l.line, ',' ORDER BY l.line) FROM lines AS l WHERE l.order_id = o.id),
           (SELECT string_agg(s.serial, ',') FROM serials AS s WHERE s.order_id = o.id),
           (SELECT string_agg(n.note, ',') FROM notes AS n WHERE n.order_id = o.id)
      FROM orders AS o LEFT JOIN orders AS f ON f.id = o.follows
     ORDER BY o.customer
"""


def parted(db: Database, materialize: str) -> None:
    """Main and side have each given number 4 and 5 to orders of their own; main's other rows do not collide."""
    db.begin(part, materialize)


def part(db: Database, materialize: str) -> None:
    db.run(ORDERS)
    db.run("SELECT pggit.create_branch('side', p_materialize => %s)", materialize)
    query(db.connect(branch="side"), WRITES.format("side", 10))
    db.run(OTHERS)


@pytest.mark.parametrize("materialize", ["none", "all"])
@pytest.mark.parametrize("target", ["main", "side"])
def test_rows_with_one_key_are_both_kept(db: Database, target: str, materialize: str) -> None:
    source = "side" if target == "main" else "main"
    parted(db, materialize)
    before = everywhere(db, STORY)

    assert merge(db, source, target)[0] == "conflicted"
    result, detail = merge(db, source, target, **RULE)
    assert result == "merged"
    (done,) = detail["renumbered"]
    assert done["branch"] == "side", "main's rows keep their keys"
    keys = [(k["table"], k["key"], k["new_key"]) for k in done["keys"]]
    order, again = (new["id"] for table, _, new in keys if table == "public.orders")
    assert keys == [
        ("public.lines", {"order_id": 4, "line": 1}, {"order_id": order, "line": 1}),
        ("public.lines", {"order_id": 4, "line": 2}, {"order_id": order, "line": 2}),
        ("public.orders", {"id": 4}, {"id": order}),
        ("public.orders", {"id": 5}, {"id": again}),
    ]
    assert done["rows"] == 6, "two orders, two lines, a serial number, a note"

    after = query(db.connect(branch=target), STORY).fetchall()
    assert [row for row in after if row[0].startswith(("main", "side"))] == before["main"][:2] + before["side"][-2:]
    assert db.rows("SELECT id, customer FROM orders WHERE id IN (4, 5) ORDER BY id") == [(4, "main"), (5, "main again")]
    assert query(db.connect(branch="side"), "SELECT customer FROM orders WHERE id = %s", order).fetchall() == [
        ("side",)
    ]
    assert db.value("SELECT nextval(pg_get_serial_sequence('orders', 'id'))") > max(order, again)
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.rows("SELECT message FROM pggit.log('side') WHERE message LIKE 'New keys%%'") == [
        (f"New keys for 4 rows before merging {source} into {target}",)
    ]


@pytest.mark.parametrize("target", ["main", "side"])
def test_merges_go_on_afterwards_in_both_directions(db: Database, target: str) -> None:
    """Nothing comes in again, nothing is undone, and what either side does to its row is done to that row."""
    source = "side" if target == "main" else "main"
    parted(db, "none")
    assert merge(db, source, target, **RULE)[0] == "merged"
    assert merge(db, source, target)[0] == "up_to_date"
    assert merge(db, target, source)[0] in ("merged", "fast_forward")
    both = everywhere(db, STORY)
    assert both["main"] == both["side"]
    assert len(both["main"]) == 7
    for left, right in ((target, source), (source, target)):
        assert merge(db, left, right)[0] in ("up_to_date", "fast_forward")
    assert everywhere(db, STORY) == both

    side = db.connect(branch="side")
    query(side, "UPDATE orders SET customer = 'side, paid' WHERE customer = 'side'")
    query(side, "INSERT INTO notes SELECT id, 'later' FROM orders WHERE customer = 'side, paid'")
    db.run("UPDATE orders SET customer = 'main, paid' WHERE customer = 'main'")
    db.run("DELETE FROM serials WHERE serial = 'side'; DELETE FROM lines WHERE what = 'side' AND line = 2")
    assert merge(db, source, target)[0] == "merged"
    assert merge(db, target, source)[0] in ("merged", "fast_forward")
    both = everywhere(db, STORY)
    assert both["main"] == both["side"]
    assert ("side, paid", "old 2", "side1", None, "side,later") in [
        (*row[:4], ",".join(sorted(row[4].split(","), reverse=True)) if row[4] else None) for row in both["main"]
    ]
    assert ("main, paid", "old 2", "main1,main2", "main", "main") in both["main"]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_plans_say_the_same_and_write_nothing(db: Database) -> None:
    parted(db, "none")
    before = everywhere(db, STORY)
    heads = db.rows("SELECT name, head FROM pggit.list_branches() ORDER BY 1")
    plans = [
        db.row("SELECT m.plan_hash, m.conflicts, m.detail FROM pggit.plan_merge('side', 'main', %s) AS m", Jsonb(RULE))
        for _ in range(2)
    ]
    assert plans[0] == plans[1]
    assert plans[0][1] == 0
    db.run("INSERT INTO orders (customer) VALUES ('drawn between')")
    assert everywhere(db, STORY)["side"] == before["side"]
    assert db.rows("SELECT name, head FROM pggit.list_branches() ORDER BY 1") == heads

    result, detail = merge(db, "side", "main", **RULE, approved_plan="0" * 64)
    assert result == "refused"
    assert db.rows("SELECT message FROM pggit.log('side') WHERE message LIKE 'New keys%%'") == []
    result, detail = merge(db, "side", "main", **RULE, approved_plan=plans[0][0])
    assert (result, detail["renumbered"]) == ("merged", plans[0][2]["renumbered"])


def test_what_does_not_merge_leaves_the_branch_its_keys(db: Database) -> None:
    parted(db, "none")
    db.run("UPDATE orders SET customer = 'ours' WHERE id = 1")
    query(db.connect(branch="side"), "UPDATE orders SET customer = 'theirs' WHERE id = 1")
    before = everywhere(db, STORY)
    merge_id, result = db.row(
        "SELECT (m).merge_id, (m).result FROM pggit.merge('side', 'main', NULL, %s) AS m", Jsonb(RULE)
    )
    assert result == "conflicted"
    assert db.rows("SELECT kind, key FROM pggit.merge_conflicts") == [("update_update", {"id": 1})]
    assert everywhere(db, STORY) == before
    db.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge_id)
    assert db.value("SELECT (pggit.continue_merge(%s)).result", merge_id) == "merged"
    assert len(db.rows(STORY)) == 7


def test_somebody_overrules_the_rule(db: Database) -> None:
    parted(db, "none")
    takes = [{"table": table, "take": "ours"} for table in ("orders", "lines")]
    result, detail = merge(db, "side", "main", **RULE, resolutions=takes)
    assert (result, "renumbered" in detail) == ("merged", False)
    assert db.rows("SELECT customer FROM orders WHERE id >= 4 ORDER BY id") == [("main",), ("main again",)]


def test_where_new_keys_cannot_be_given_there_is_a_conflict_that_says_why(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer GENERATED BY DEFAULT AS IDENTITY (MAXVALUE 3) PRIMARY KEY, v text);
        CREATE TABLE plain (id integer PRIMARY KEY, v text);
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side');
        INSERT INTO t VALUES (1, 'main'), (2, 'main'), (3, 'main');
        INSERT INTO plain VALUES (1, 'main');
    """)
    query(db.connect(branch="side"), "INSERT INTO t VALUES (1, 'side'); INSERT INTO plain VALUES (1, 'side')")
    db.run("SELECT pggit.commit('theirs', 'side'); SELECT pggit.tag('v1', 'side')")
    assert merge(db, "side", "main", **RULE)[0] == "conflicted"
    assert sorted(db.rows("SELECT table_name, note FROM pggit.merge_conflicts")) == [
        ("public.plain", None),
        ("public.t", 'renumber: nextval: reached maximum value of sequence "t_id_seq" (3)'),
    ]
    assert merge(db, "v1", "main", **RULE)[0] == "conflicted"
    note = "renumber: the source is no branch, whose rows could get new keys, and the rows of main keep theirs"
    assert (note,) in db.rows("SELECT note FROM pggit.merge_conflicts")
    no_key = "no tracked table has in its key a column whose values come from a sequence"
    for rule, why in (
        ({"table": "plain"}, no_key),
        ({"table": "t", "column": "v"}, no_key),
        ({"table": "nowhere", "column": "id"}, "there is no tracked table 'nowhere'"),
    ):
        with raises("VG202", why):
            merge(db, "side", "main", rules=[{"rule": "renumber", **rule}])


def test_new_keys_are_free_on_every_side(db: Database) -> None:
    """Composite keys with one generated column; numbers that were given by hand before the sequence came there."""
    db.run("""
        CREATE SEQUENCE "odd ""seq";
        CREATE TABLE "odd ""name" (tenant text, "the id" bigint DEFAULT nextval('"odd ""seq"'), v text,
                                   PRIMARY KEY (tenant, "the id"));
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side');
        INSERT INTO "odd ""name" SELECT 'a', i, 'main ' || i FROM generate_series(1, 40) AS i;
    """)
    side = db.connect(branch="side")
    query(
        side,
        """
        INSERT INTO "odd ""name"
        VALUES ('a', 1, 'side 1'), ('a', 2, 'main 2'), ('b', 3, 'side 3'), ('a', 50, 'side 50')
        """,
    )
    rule = {"rule": "renumber", "table": 'odd "name', "column": "the id"}
    result, detail = merge(db, "side", "main", rules=[rule])
    assert result == "merged"
    (key,) = detail["renumbered"][0]["keys"]
    assert key["key"] == {"tenant": "a", "the id": 1}
    assert key["new_key"]["tenant"] == "a"
    assert key["new_key"]["the id"] > 50
    assert db.value('SELECT count(*) FROM "odd ""name"') == 43
    assert db.value("""SELECT nextval('"odd ""seq"')""") > key["new_key"]["the id"]


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_plain_owner_renumbers(db: Database, plain_owner: Connection, materialize: str) -> None:
    """His foreign keys fire while rows are written."""
    query(plain_owner, ORDERS)
    query(plain_owner, f"SELECT pggit.create_branch('side', p_materialize => '{materialize}')")
    query(db.connect(user="plain", branch="side"), WRITES.format("side", 10))
    query(plain_owner, OTHERS)
    found = query(plain_owner, "SELECT m.result, m.detail FROM pggit.merge('side', 'main', NULL, %s) AS m", Jsonb(RULE))
    assert found.fetchall()[0][0] == "merged"
    assert len(query(plain_owner, STORY).fetchall()) == 7
    assert query(plain_owner, "SELECT * FROM pggit.verify()").fetchall() == []


@pytest.mark.parametrize("materialize", ["none", "all"])
@pytest.mark.parametrize("target", ["main", "other"])
def test_a_branch_made_before_has_the_old_keys_until_it_is_merged(db: Database, target: str, materialize: str) -> None:
    """What it did to a row reaches that row, not the one that has the key now; likewise what refers to it."""
    source = "other" if target == "main" else "main"
    parted(db, materialize)
    db.run("SELECT pggit.commit('theirs', 'side')")
    db.run("SELECT pggit.create_branch('other', 'side', p_materialize => %s)", materialize)
    other = db.connect(branch="other")
    query(
        other, "UPDATE orders SET follows = 1 WHERE customer = 'side'; DELETE FROM orders WHERE customer = 'side again'"
    )
    query(other, "INSERT INTO notes SELECT id, 'by other' FROM orders WHERE customer = 'side'")
    query(other, "UPDATE lines SET what = 'other' WHERE order_id = 4 AND line = 1")
    assert merge(db, "side", "main", **RULE)[0] == "merged"
    db.run("UPDATE orders SET customer = 'side, paid' WHERE customer = 'side'")

    plan = db.row("SELECT m.result, m.conflicts, m.plan_hash FROM pggit.plan_merge(%s, %s) AS m", source, target)
    assert plan[:2] == ("planned", 0)
    assert merge(db, source, target, approved_plan=plan[2])[0] == "merged"
    found = {row[0]: row for row in query(db.connect(branch=target), STORY).fetchall()}
    assert sorted(found) == ["main", "main again", "old 1", "old 2", "old 3", "side, paid"]
    assert found["main"] == ("main", "old 2", "main1,main2", "main", "main")
    assert found["side, paid"][1:4] == ("old 1", "other1,side2", "side")
    assert sorted(found["side, paid"][4].split(",")) == ["by other", "side"]
    assert merge(db, target, source)[0] in ("merged", "fast_forward")
    assert merge(db, "side", "main")[0] == "up_to_date"
    assert merge(db, "main", "side")[0] in ("merged", "fast_forward")
    states = [sorted(query(db.connect(branch=b), STORY).fetchall(), key=str) for b in ("main", "side", "other")]
    assert states[0] == states[1] == states[2]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_rows_that_differ_only_by_what_they_refer_to(db: Database) -> None:
    """Alike on both sides, but one of them means the row that gets another key: then they are two rows."""
    db.run("""
        CREATE TABLE t (id serial PRIMARY KEY, up integer REFERENCES t, v text);
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side');
    """)
    rows = "INSERT INTO t VALUES (1, NULL, '{0}'), (2, 1, 'x'), (3, 2, 'y')"
    query(db.connect(branch="side"), rows.format("side"))
    db.run(rows.format("main"))
    result, detail = merge(db, "side", "main", **RULE)
    assert (result, [len(step["keys"]) for step in detail["renumbered"]]) == ("merged", [1, 1, 1])
    chains = "SELECT c.v, b.v, a.v FROM t AS c JOIN t AS b ON b.id = c.up JOIN t AS a ON a.id = b.up ORDER BY 3"
    assert db.rows(chains) == [("y", "x", "main"), ("y", "x", "side")]


def test_branches_merge_with_main_first(db: Database) -> None:
    """Otherwise main might get a row by another branch under its old key."""
    db.run("""
        CREATE TABLE t (id serial PRIMARY KEY, v text);
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('one');
        SELECT pggit.create_branch('two');
    """)
    for name in ("one", "two"):
        query(db.connect(branch=name), "INSERT INTO t VALUES (1, %s)", name)
    assert merge(db, "one", "two", **RULE)[0] == "conflicted"
    note = "renumber: only merges with main give new keys; merge one of the branches with main first"
    assert db.value("SELECT note FROM pggit.merge_conflicts") == note
    assert merge(db, "one", "main", **RULE)[0] == "fast_forward"
    assert merge(db, "two", "main", **RULE)[0] == "merged"
    assert merge(db, "two", "one", **RULE)[0] in ("merged", "fast_forward")
    assert query(db.connect(branch="one"), "SELECT v FROM t ORDER BY v").fetchall() == [("one",), ("two",)]


@pytest.mark.parametrize("key", ["(order_id, line)", "(line)"])
def test_rows_of_two_branches_with_one_key_of_main(db: Database, key: str) -> None:
    """Each branch gets a new key when it comes to main, whatever the other one has got for its row."""
    db.run(f"""
        CREATE TABLE orders (id serial PRIMARY KEY, v text);
        CREATE TABLE lines (order_id integer REFERENCES orders, line serial, v text, PRIMARY KEY {key});
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('one');
        SELECT pggit.create_branch('two', p_materialize => 'all');
    """)
    for name in ("main", "one", "two"):
        session = db.connect(branch=name)
        query(session, "INSERT INTO orders VALUES (5, %s)", name)
        query(session, "INSERT INTO lines VALUES (5, 5, %s)", name)
    for source, target in (("one", "main"), ("two", "main"), ("main", "one"), ("main", "two")):
        assert merge(db, source, target, **RULE)[0] in ("merged", "fast_forward"), (source, target)
    for name in ("main", "one", "two"):
        sql = "SELECT o.v, l.v FROM orders AS o JOIN lines AS l ON l.order_id = o.id ORDER BY 1"
        found = query(db.connect(branch=name), sql).fetchall()
        assert found == [("main", "main"), ("one", "one"), ("two", "two")], name
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_row_that_two_branches_have_gets_one_key(db: Database) -> None:
    """First where main came in, then where the other branch went to main: it is there once."""
    db.run("""
        CREATE TABLE t (id serial PRIMARY KEY, v text);
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side');
        INSERT INTO t VALUES (1, 'main');
    """)
    query(db.connect(branch="side"), "INSERT INTO t VALUES (1, 'side')")
    db.run("SELECT pggit.commit('theirs', 'side'); SELECT pggit.create_branch('other', 'side')")
    for source, target in (("main", "side"), ("other", "main"), ("side", "main"), ("main", "other"), ("main", "side")):
        assert merge(db, source, target, **RULE)[0] in ("merged", "fast_forward"), (source, target)
    for name in ("main", "side", "other"):
        assert query(db.connect(branch=name), "SELECT v FROM t ORDER BY id").fetchall() == [("main",), ("side",)]
    assert db.rows("SELECT * FROM pggit.verify()") == []


#: Columns of tables with colliding keys, and of what refers to them, also by a foreign key that only the branch has.
CHANGES = """
    ALTER TABLE orders ADD paid numeric NOT NULL DEFAULT 0, ADD replaces integer REFERENCES orders;
    ALTER TABLE orders RENAME customer TO who;
    UPDATE orders SET replaces = 4 WHERE id = 5;
    ALTER TABLE lines ALTER what TYPE varchar(40);
    ALTER TABLE notes ADD at date;
    CREATE TABLE returns (id integer PRIMARY KEY, of_order integer REFERENCES orders);
    INSERT INTO returns VALUES (1, 4);
"""
CHANGED = """
    SELECT o.who, f.who, r.who,
           (SELECT string_agg(l.what || l.line, ',' ORDER BY l.line) FROM lines AS l WHERE l.order_id = o.id),
           (SELECT count(*) FROM notes AS n WHERE n.order_id = o.id),
           (SELECT count(*) FROM returns AS t WHERE t.of_order = o.id)
      FROM orders AS o LEFT JOIN orders AS f ON f.id = o.follows LEFT JOIN orders AS r ON r.id = o.replaces
     ORDER BY o.who
"""


@pytest.mark.parametrize("source", ["main", "side"])
@pytest.mark.parametrize("changed", ["main", "side"])
def test_columns_change_in_the_same_merge(db: Database, source: str, changed: str) -> None:
    """New keys are given in the columns that the branch has, then the columns are merged, with the keys as planned."""
    parted(db, "none")
    there = {name: db.connect(branch=name) for name in ("main", "side")}
    query(there[changed], CHANGES)
    target = "side" if source == "main" else "main"
    plan = "SELECT result, plan_hash, detail FROM pggit.plan_merge(%s, %s, %s)"
    plans = [db.row(plan, source, target, Jsonb(RULE)) for _ in range(2)]
    assert plans[0][:2] == plans[1][:2], plans
    assert plans[0][0] == "planned", plans
    result, detail = merge(db, source, target, **RULE)
    assert result == "merged", (detail, db.rows("SELECT * FROM pggit.merge_schema_conflicts"))
    assert [keys["keys"] for keys in detail["renumbered"]] == [keys["keys"] for keys in plans[0][2]["renumbered"]]
    assert merge(db, target, source, **RULE)[0] in ("fast_forward", "merged")
    told = everywhere(db, CHANGED)
    assert told["main"] == told["side"]
    own = {who: row for who, *row in told["main"]}
    for name in ("main", "side"):
        assert own[f"{name} again"] == [name, name if name == changed else None, None, 0, 0]
        assert own[name] == ["old 2", None, f"{name}1,{name}2", 1, int(name == changed)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert {merge(db, "main", "side")[0], merge(db, "side", "main")[0]} == {"up_to_date"}


def test_who_gives_himself_each_key_as_it_is_drawn_does_not_keep_a_merge_going_for_ever(db: Database) -> None:
    db.run("CREATE TABLE t (id serial PRIMARY KEY, label text); SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first', p_allow_empty => true), pggit.create_branch('dev', p_materialize => 'none')")
    query(db.connect(branch="dev"), "INSERT INTO t VALUES (1, 'dev')")
    db.run("INSERT INTO t VALUES (1, 'main')")
    # As if another session had committed main's next key whenever the merge has drawn it.
    db.run("SELECT set_config('pggit.renumbered', '+++++', false)")
    with raises("VG402"):
        db.run("SELECT pggit.merge('dev', 'main', NULL, '{\"rules\": [{\"rule\": \"renumber\"}]}')")
    db.run("RESET pggit.renumbered")
    assert db.rows("SELECT label FROM t") == [("main",)]
    assert (
        db.value("SELECT result FROM pggit.merge('dev', 'main', NULL, '{\"rules\": [{\"rule\": \"renumber\"}]}')")
        == "merged"
    )
