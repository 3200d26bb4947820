# ruff: noqa: E501 - SQL is not wrapped
"""Random histories of a partitioned table: each commit shows for good what the table was then, and merges take rows along whatever partitions do meanwhile."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.postgres import Servers, query
from postgres import Server

from .history import ROWS, TABLES, History, Rows

KEYS = st.integers(1, 5)
LISTS = st.integers(1, 4)
#: {low}: 0 on main, 500 on the branch, whose keys main leaves alone.
WRITES = st.one_of(
    st.builds(
        "INSERT INTO p SELECT {{low}} + {0}, {1}, 'i' WHERE NOT EXISTS (SELECT FROM p WHERE (k, r) = ({{low}} + {0}, {1}))".format,
        KEYS,
        LISTS,
    ),
    st.builds("UPDATE p SET v = v || '{}' WHERE k BETWEEN {{low}} AND {{low}} + 99".format, KEYS),
    st.builds(
        "UPDATE p SET r = {0} WHERE k = {{low}} + {1} AND (SELECT count(*) FROM p AS x WHERE x.k = {{low}} + {1}) = 1".format,
        LISTS,
        KEYS,
    ),
    st.builds(
        "UPDATE p SET k = k + 20 WHERE k = {{low}} + {0} AND NOT EXISTS (SELECT FROM p AS x WHERE x.k = {{low}} + {0} + 20)".format,
        KEYS,
    ),
    st.builds("DELETE FROM p WHERE k = {{low}} + {}".format, KEYS),
)
ON_MAIN = st.one_of(
    st.builds(
        "MERGE INTO p USING (SELECT k, r FROM p AS o WHERE k = {0} AND NOT EXISTS (SELECT FROM p AS x WHERE (x.k, x.r) = ({0}, {1})) LIMIT 1) AS s ON (p.k, p.r) = (s.k, s.r) WHEN MATCHED THEN UPDATE SET r = {1}".format,
        KEYS,
        LISTS,
    ),
    st.builds(
        "INSERT INTO p{0} (k, r, v) VALUES ({1}, {0}, 'direct') ON CONFLICT DO NOTHING".format, st.integers(1, 3), KEYS
    ),
    st.builds("UPDATE p{} SET v = v || 'd'".format, st.integers(1, 3)),
    st.builds("DELETE FROM p{} WHERE k = {}".format, st.integers(1, 3), KEYS),
    st.builds("TRUNCATE p{}".format, st.integers(1, 2)),
    st.builds(
        "ALTER TABLE p DETACH PARTITION p{0}; UPDATE p{0} SET v = 'away'; ALTER TABLE p ATTACH PARTITION p{0} FOR VALUES IN ({0})".format,
        st.integers(1, 2),
    ),
    st.builds("DROP TABLE p{0}; CREATE TABLE p{0} PARTITION OF p FOR VALUES IN ({0})".format, st.integers(1, 2)),
    st.builds("BEGIN; DROP TABLE p{0}; ROLLBACK".format, st.integers(1, 2)),
)
STEPS = st.lists(
    st.one_of(WRITES, ON_MAIN, st.sampled_from(["commit", "commit", "branch", "merge"])), min_size=4, max_size=14
)


@settings(max_examples=6, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(main=STEPS, branch=st.lists(WRITES, max_size=4), form=st.sampled_from(["none", "all"]))
def test_random_histories(servers: Servers, server: Server, main: list[str], branch: list[str], form: str) -> None:
    db = servers.create(server.version, template=servers.template(server.version))
    try:
        history = History(db, tables=TABLES)
        made = False
        for step in [*main, "commit", "merge"]:
            if step == "commit":
                assert history.commit() == []
            elif step == "branch" and not made:
                db.run("SELECT pggit.create_branch('work', p_materialize => %s)", form)
                work = db.connect(branch="work")
                for statement in branch:
                    query(work, statement.format(low=500))
                theirs: Rows = [
                    row for row in query(work, ROWS.format("p")).fetchall() if 500 <= int(str(row[1])) < 600
                ]
                made = True
            elif step == "merge" and made:
                ours: Rows = [row for row in history.rows(ROWS.format("p")) if not 500 <= int(str(row[1])) < 600]
                result = db.value("SELECT result FROM pggit.merge('work', 'main')")
                assert result in ("merged", "fast_forward", "up_to_date")
                if result != "up_to_date":
                    assert sorted(history.rows(ROWS.format("p")), key=str) == sorted(ours + theirs, key=str)
            elif step not in ("branch", "merge"):
                query(history.session, step.format(low=0))
        assert history.commit() == []
    finally:
        servers.drop(db)
