# ruff: noqa: E501 - SQL is not wrapped
"""DROP TABLE on main of a table that branches have: it stays theirs, with its history, numbers and foreign keys."""

from __future__ import annotations

from fixtures.postgres import Database, query, raises

from .schema import SHOP, rows

LOGS = "CREATE TABLE logs (line text); INSERT INTO logs VALUES ('a'), ('a'), ('b');"


def test_a_table_dropped_on_main_stays_with_the_branches(db: Database) -> None:
    db.run(SHOP + LOGS + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('views', p_materialize => 'none')")
    db.run("SELECT pggit.create_branch('real', p_materialize => 'all')")
    views, real = db.connect(branch="views"), db.connect(branch="real")
    query(views, "UPDATE orders SET status = 'mine' WHERE id = 1; SELECT pggit.commit('mine')")
    db.run("INSERT INTO orders (customer_id) VALUES (1); SELECT pggit.commit('last')")
    db.run("DROP TABLE IF EXISTS order_s; BEGIN; DROP TABLE orders; ROLLBACK")
    with raises("2BP01", "cannot drop table customers"):
        db.run("DROP TABLE customers")
    db.run("DROP TABLE orders, logs; SELECT pggit.commit('dropped')")
    assert db.rows("SELECT * FROM pggit.diff('HEAD~1', 'HEAD')") == [
        ("public.logs", 0, 0, 3),
        ("public.orders", 0, 0, 201),
    ]
    for session in (views, real):
        query(session, "INSERT INTO logs VALUES ('c')")
        assert rows(session, "INSERT INTO orders (customer_id) VALUES (2) RETURNING id") == [(202,)]
        with raises("23503"):
            query(session, "INSERT INTO orders (customer_id) VALUES (99)")
        query(session, "SELECT pggit.commit('goes on')")
        assert rows(session, "SELECT count(*) FROM pggit.as_of(NULL::orders, 'HEAD~1')") == [(200,)]
        assert rows(session, "SELECT count(*) FROM pggit.as_of(NULL::orders, 'main~1')") == [(201,)]
    assert db.row("SELECT result, detail ->> 'reason' FROM pggit.merge('views', 'main')") == (
        "refused",
        "'main' dropped table public.logs, and 'views' has changed it since",
    )
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_one_too_large_to_be_kept_for_the_branches_is_not_dropped(db: Database) -> None:
    db.run(SHOP + "SELECT pggit.track_schema('public'); SELECT pggit.create_branch('dev', p_materialize => 'none')")
    db.run("SET pggit.save_limit = '1kB'; SET pggit.materialize_ddl_limit = '1kB'")
    with raises("VG307", "table public.orders can't be dropped while branches have it") as refused:
        db.run("DROP TABLE orders")
    assert refused.value.diag.message_detail == "Branches: 'dev'."
    assert "SELECT pggit.materialize('dev', 'public.orders');" in (refused.value.diag.message_hint or "")
    assert "pggit.delete_branch('dev')" in (refused.value.diag.message_hint or "")
    db.run("RESET pggit.save_limit; SELECT pggit.create_branch('other', p_materialize => 'none')")
    db.run(
        "SELECT set_config('pggit.materialize_ddl_limit', pggit._total_size('orders'::regclass) * 3 / 2 / 1024 || 'kB', false)"
    )
    with raises("VG307", "copies for 2 of them would have"):
        db.run("DROP TABLE orders")
    db.run("RESET pggit.materialize_ddl_limit; DROP TABLE orders")
    assert db.rows("SELECT * FROM pggit.verify()") == []
