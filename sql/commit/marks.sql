CREATE OR REPLACE FUNCTION pggit._mark_now()
    RETURNS pggit._mark
    LANGUAGE sql VOLATILE
AS $$
    SELECT (pggit._numbered(pg_current_snapshot(), e.epoch), pggit._numbered(pg_current_xact_id_if_assigned(), e.epoch),
            CASE WHEN o.is_called THEN o.last_value ELSE 0 END)::pggit._mark
      FROM pggit._current_epoch() AS e(epoch), pggit._ordinal AS o;
$$;

COMMENT ON FUNCTION pggit._mark_now() IS
'The mark that contains what the calling statement sees, and of this transaction what it has written so far.';

CREATE OR REPLACE FUNCTION pggit._in_sql(p_alias text, p_mark pggit._mark)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN (p_mark).own IS NULL
                THEN format('pg_visible_in_snapshot(%s._xid, %L::pg_snapshot)', p_alias, (p_mark).snapshot)
                ELSE format('CASE WHEN %1$s._xid = %2$L::xid8 THEN %1$s._seq <= %3$s::bigint ELSE pg_visible_in_snapshot(%1$s._xid, %4$L::pg_snapshot) END',
                            p_alias, (p_mark).own, (p_mark).watermark, (p_mark).snapshot) END;
$$;

COMMENT ON FUNCTION pggit._in_sql(text, pggit._mark) IS
'Condition: the log row of the alias is in the mark. The own transaction is decided by the watermark alone: it counts as visible in its snapshot.';

CREATE OR REPLACE FUNCTION pggit._out_sql(p_alias text, p_mark pggit._mark)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('%s._xid >= %L::xid8 AND NOT %s', p_alias, pg_snapshot_xmin((p_mark).snapshot), pggit._in_sql(p_alias, p_mark));
$$;

COMMENT ON FUNCTION pggit._out_sql(text, pggit._mark) IS
'Condition with an index path on _xid: the log row of the alias is not in the mark.';

-- No range on _xid here: with statistics older than the newest transactions the planner would take the index on _xid and read all of them for every key.
CREATE OR REPLACE FUNCTION pggit._key_out_sql(p_alias text, p_mark pggit._mark)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT 'NOT ' || pggit._in_sql(p_alias, p_mark);
$$;

COMMENT ON FUNCTION pggit._key_out_sql(text, pggit._mark) IS
'Condition: the log row of the alias is not in the mark, for a look at one key, which only the index on the key may serve.';

CREATE OR REPLACE FUNCTION pggit._between_sql(p_alias text, p_a pggit._mark, p_b pggit._mark)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN p_a::text = p_b::text THEN 'false'
           ELSE format('%1$s._xid >= %2$L::xid8 AND %1$s._xid <= %3$L::xid8 AND (%4$s) <> (%5$s)', p_alias,
                       least(pg_snapshot_xmin((p_a).snapshot), pg_snapshot_xmin((p_b).snapshot)),
                       greatest(pg_snapshot_xmax((p_a).snapshot), pg_snapshot_xmax((p_b).snapshot), (p_a).own, (p_b).own),
                       pggit._in_sql(p_alias, p_a), pggit._in_sql(p_alias, p_b)) END;
$$;

COMMENT ON FUNCTION pggit._between_sql(text, pggit._mark, pggit._mark) IS
'Condition with an index path on _xid: the log row of the alias is in one of the two marks and not in the other.';

CREATE OR REPLACE FUNCTION pggit._mark_in(p_inner pggit._mark, p_outer pggit._mark)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN (p_inner).own = (p_outer).own THEN (p_inner).watermark <= (p_outer).watermark
                ELSE pg_visible_in_snapshot((p_inner).own, (p_outer).snapshot) END;
$$;

COMMENT ON FUNCTION pggit._mark_in(pggit._mark, pggit._mark) IS
'Whether what a transaction did at its mark p_inner (which names the transaction in own) is in p_outer.';

CREATE OR REPLACE FUNCTION pggit._base_mark(p_position pggit._position)
    RETURNS pggit._mark
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN (p_position).branch_id = 1 THEN (p_position).x ELSE (p_position).s END;
$$;

COMMENT ON FUNCTION pggit._base_mark(pggit._position) IS
'The mark of main that a position stands on; on main that is the position itself.';

CREATE OR REPLACE FUNCTION pggit._branch_now(p_branch_id integer)
    RETURNS pggit._position
    LANGUAGE sql STABLE
AS $$
    SELECT (b.branch_id, NULL, b.s)::pggit._position FROM pggit.branch_bases AS b WHERE b.branch_id = p_branch_id;
$$;

COMMENT ON FUNCTION pggit._branch_now(integer) IS
'Where a branch stands on main, as a position that asks for the columns its tables have now.';

CREATE OR REPLACE FUNCTION pggit._working_position(p_branch_id integer)
    RETURNS pggit._position
    LANGUAGE plpgsql
AS $$
DECLARE
    v_s pggit._mark;
BEGIN
    IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
        PERFORM pggit._require_unique_keys(p_branch_id);
    END IF;
    IF p_branch_id = 1 THEN
        v_s := pggit._mark_now();
        RETURN (1, v_s, v_s)::pggit._position;
    END IF;
    v_s := (SELECT b.s FROM pggit.branch_bases AS b WHERE b.branch_id = p_branch_id);
    RETURN (p_branch_id, pggit._mark_now(), v_s)::pggit._position;
END;
$$;

COMMENT ON FUNCTION pggit._working_position(integer) IS
'A branch as it is now. Raises VG307 while this transaction has two rows of one key.';
