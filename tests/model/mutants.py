# ruff: noqa: E501 - SQL is not wrapped
"""Rules of the engine put back to a plausible simpler reading: a machine that lets one pass proves nothing.

Each is a function of the installed core in which one piece of text is another.
"""

from __future__ import annotations

from dataclasses import dataclass

from fixtures.postgres import Database

MERGES = ("write", "commit", "fork", "merge")


@dataclass(frozen=True)
class Mutant:
    """`machine` is the one that finds it soonest, with these rules more than `MERGES`."""

    says: str
    function: str
    old: str
    new: str
    machine: str = "rows"
    also: tuple[str, ...] = ()

    def install(self, db: Database) -> None:
        db.run(self.text_of(db).replace(self.old, self.new))

    def text_of(self, db: Database) -> str:
        """The function that says it."""
        for (text,) in db.rows(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE oid::regproc::text = %s", self.function
        ):
            if self.old in text:
                return str(text)
        raise AssertionError(f"{self.function} does not say {self.old!r} any more")


MUTANTS: dict[str, Mutant] = {
    "own_or_visible": Mutant(
        "a position has all of its own transaction, also what came after it",
        "pggit._in_sql",
        "CASE WHEN %1$s._xid = %2$L::xid8 THEN %1$s._seq <= %3$s::bigint ELSE pg_visible_in_snapshot(%1$s._xid, %4$L::pg_snapshot) END",
        "(%1$s._xid = %2$L::xid8 AND %1$s._seq <= %3$s::bigint OR pg_visible_in_snapshot(%1$s._xid, %4$L::pg_snapshot))",
        also=("transaction",),
    ),
    "order_by_arrival": Mutant(
        "log rows of one transaction are in the order in which they were logged",
        "pggit._all_first_out_sql",
        "ORDER BY %2$s, h._first, h._seq, h._at",
        "ORDER BY %2$s, h._at",
        "nested",
        also=("transaction",),
    ),
    "order_by_transaction": Mutant(
        "log rows of two transactions are in the order of their ids",
        "pggit._all_first_out_sql",
        "ORDER BY %2$s, h._first, h._seq, h._at",
        "ORDER BY %2$s, h._xid, h._seq, h._at",
        "few",
        also=("take_off", "fly_on", "land"),
    ),
    "old_and_new": Mutant(
        "a key in OLD and NEW of one statement came in by it",
        "pggit._create_capture_functions",
        "CASE WHEN %5$s THEN 'I' WHEN %6$s THEN 'D' ELSE 'U' END",
        "CASE WHEN %5$s THEN 'I' WHEN %6$s THEN 'D' ELSE 'I' END",
        also=("transaction",),
    ),
    "no_repair": Mutant(
        "the order of statements inside each other is that in which they begin",
        "pggit._repair_order_sql",
        "HAVING bool_or(%8$s) AND bool_or(NOT %8$s)",
        "HAVING false AND bool_or(%8$s) AND bool_or(NOT %8$s)",
        "nested",
        also=("transaction",),
    ),
    "since_watermark": Mutant(
        "what came since a position has a higher ordinal",
        "pggit._between_sql",
        "AND (%4$s) <> (%5$s)', p_alias",
        "AND (%4$s) <> (%5$s) AND %1$s._seq > ' || least((p_a).watermark, (p_b).watermark), p_alias",
        "kinds",
        also=("take_off", "land", "compare_commits"),
    ),
    "sync_candidates": Mutant(
        "a branch that moves on main looks only at the rows that are merged",
        "pggit._put_rows",
        "pggit._between_sql('l', (p_ours).s, p_s_new)",
        "'false'",
    ),
    "candidates_of_log": Mutant(
        "what a branch has done is in its log, not in what it owns",
        "pggit._candidates_sql",
        "FROM pggit._mask_%s AS l WHERE l._b = %s UNION",
        "FROM pggit._mask_%s AS l WHERE false AND l._b = %s UNION",
        also=("merge_the_past",),
    ),
    "candidates_without_main": Mutant(
        "what main did between the places where two branches stand changes nothing on them",
        "pggit._candidates_sql",
        "FROM pggit._log_%s AS l WHERE %s'",
        "FROM pggit._log_%s AS l WHERE ' || ((p_a).branch_id = 1 AND (p_b).branch_id = 1)::text || ' AND %s'",
        also=("merge_the_past", "reset"),
    ),
    "candidates_of_theirs": Mutant(
        "only what theirs owns can differ from a base on another branch",
        "pggit._candidates_sql",
        "ARRAY[p_a, p_b]",
        "ARRAY[p_b]",
        "few",
        also=("replay", "fork_the_past"),
    ),
    "reset_stays_on_main": Mutant(
        "a branch that is reset or fast-forwarded takes the rows, and says it stands where it stood",
        "pggit._apply",
        "PERFORM pggit._rebase_views(p_target.branch_id, v_s);",
        "NULL;",
        also=("reset",),
    ),
    "fork_of_now": Mutant(
        "a branch from the past has what the other owns now",
        "pggit._owned_sql",
        "SELECT f._live, %2$s FROM first_out AS f WHERE f._owned",
        "SELECT f._live, %2$s FROM first_out AS f WHERE f._owned AND false",
        "few",
        also=("fork_the_past", "delete_branch"),
    ),
    "base_without_own": Mutant(
        "a branch stands on a snapshot, without the watermark of the transaction that committed",
        "pggit._create_branch",
        "pggit._base_mark(v_fork.at))",
        "ROW((pggit._base_mark(v_fork.at)).snapshot, NULL, 0)::pggit._mark)",
        also=("transaction", "fork_the_past"),
    ),
    "moves_under_writers": Mutant(
        "a branch moves on main while transactions that have written to it are open",
        "pggit._lock_base",
        "FOR SHARE SKIP LOCKED",
        "",
        "few",
        also=("take_off", "fly_on", "land"),
    ),
    "deleted_at_once": Mutant(
        "the rows of a deleted branch are nobody's",
        "pggit._needed_marks",
        "WHERE s.is_readable\n",
        "WHERE s.is_readable AND EXISTS (SELECT FROM pggit.branches AS b WHERE b.branch_id = s.branch_id AND b.deleted_at IS NULL)\n",
        "few",
        also=("delete_branch", "gc", "tag", "fork_the_past"),
    ),
    "gc_forgets_bases": Mutant(
        "gc keeps of main's log what main's commits need",
        "pggit._needed_marks",
        "WHERE p_branch_id = 1\n",
        "WHERE p_branch_id = 1 AND (p.position).branch_id = 1\n",
        "few",
        also=("gc", "reset", "fork_the_past", "delete_branch"),
    ),
    "gc_forgets_ancestors": Mutant(
        "gc keeps what has a name, and not what merges start from",
        "pggit._kept_commits",
        "v_kept[v_edge.parent] := true;",
        "NULL;",
        "few",
        also=("gc", "tag", "reset"),
    ),
    "deleted_wins": Mutant(
        "a row that theirs deleted is deleted, whatever ours did to it",
        "pggit._plan_rows",
        "WHEN w.t IS NULL THEN CASE WHEN w.o IS NULL THEN 'keep' WHEN w.o *= w.b THEN 'take' ELSE 'update_delete' END",
        "WHEN w.t IS NULL THEN 'take'",
    ),
    "whole_rows": Mutant(
        "a row that both changed is theirs, if no cell is in dispute",
        "pggit._plan_rows",
        "OR NOT %2$s THEN (w.o).c%1$s WHEN NOT %3$s",
        "OR NOT %2$s THEN (w.t).c%1$s WHEN NOT %3$s",
        "few",
    ),
    "last_rule": Mutant(
        "patterns are asked before names",
        "pggit._rules",
        "r.stored AND position('*' IN r.table_name) > 0, r.stored AND position('*' IN r.column_name) > 0, r.n",
        "r.stored AND position('*' IN r.table_name) = 0, r.stored AND position('*' IN r.column_name) = 0, r.n",
        "ruled",
        also=("keep_rules",),
    ),
    "sum_without_base": Mutant(
        "a counter is the sum of both",
        "pggit._rule_sql",
        "ELSE %2$s + (%3$s - %1$s) END",
        "ELSE %2$s + %3$s END",
        "ruled",
        also=("count",),
    ),
}
