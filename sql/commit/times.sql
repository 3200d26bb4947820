-- Which rows there were at a time. docs/architecture.md, "Times".

CREATE OR REPLACE FUNCTION pggit._commit_time(p_number xid8)
    RETURNS timestamptz
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    -- The server knows the last two billion transactions of this epoch, by their lower 32 bits.
    IF current_setting('track_commit_timestamp')::boolean
       AND pggit._numbered(pg_snapshot_xmax(pg_current_snapshot()), pggit._current_epoch())::text::numeric - p_number::text::numeric < 2000000000 THEN
        -- A transaction of a subscription has the time at which the publisher committed it.
        RETURN (SELECT CASE WHEN o.roident = 0 THEN o.timestamp END FROM pg_xact_commit_timestamp_origin(p_number::xid) AS o);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._commit_time(xid8) IS
'When the transaction of a number was committed, as the server has kept it; NULL where it does not (track_commit_timestamp is off, or was then, it is too long ago, or the transaction came by replication).';

CREATE OR REPLACE FUNCTION pggit._mark_at(p_at timestamptz, OUT mark pggit._mark, OUT is_exact boolean)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_now   pggit._mark := pggit._mark_now();
    v_floor bigint;
    v_from  pggit.ticks;
    v_till  pggit.ticks;
    v_in    bigint[];
    v_out   bigint[];
    v_xmax  bigint;
BEGIN
    SELECT t.* INTO v_from FROM pggit.ticks AS t WHERE t.ticked_at <= p_at ORDER BY t.ticked_at DESC LIMIT 1;
    SELECT t.* INTO v_till FROM pggit.ticks AS t WHERE t.ticked_at > p_at ORDER BY t.ticked_at LIMIT 1;
    -- Where an epoch had begun, all of earlier ones was committed.
    v_floor := (SELECT max(x.xid::text::bigint) >> 48 << 48 FROM pggit.transactions AS x WHERE x.started_at <= p_at);

    -- Ticks decide about most transactions: those in the last one before are in, those not in the next one are not.
    WITH undecided AS (
        SELECT x.xid::text::bigint AS xid, x.started_at, coalesce(x.committed_at, pggit._commit_time(x.xid), CASE WHEN x.xid::text::bigint < v_floor THEN x.started_at END) AS committed_at
          FROM pggit.transactions AS x
         WHERE x.xid <> coalesce(v_now.own, '0')
           AND (v_from.ticked_at IS NULL OR (x.xid >= pg_snapshot_xmin((v_from.mark).snapshot) AND NOT pg_visible_in_snapshot(x.xid, (v_from.mark).snapshot)))
           AND (v_from.ticked_at IS DISTINCT FROM p_at)
           AND (v_till.ticked_at IS NULL OR pg_visible_in_snapshot(x.xid, (v_till.mark).snapshot))
    )
    SELECT coalesce(array_agg(u.xid) FILTER (WHERE coalesce(u.committed_at, u.started_at) <= p_at), '{}'), NOT coalesce(bool_or(u.committed_at IS NULL AND u.started_at <= p_at), false)
      INTO v_in, is_exact
      FROM undecided AS u;

    -- A snapshot that sees these, and of the others that changed tracked tables none.
    v_xmax := coalesce(greatest((SELECT max(i.xid) + 1 FROM unnest(v_in) AS i(xid)), pg_snapshot_xmax((v_from.mark).snapshot)::text::bigint),
                       (SELECT min(x.xid::text::bigint) FROM pggit.transactions AS x), 1);
    SELECT array_agg(DISTINCT o.xid ORDER BY o.xid) INTO v_out
      FROM (SELECT x.xid::text::bigint AS xid FROM pggit.transactions AS x
             WHERE x.xid < v_xmax::text::xid8
               AND (v_from.ticked_at IS NULL OR (x.xid >= pg_snapshot_xmin((v_from.mark).snapshot) AND NOT pg_visible_in_snapshot(x.xid, (v_from.mark).snapshot)))
            UNION ALL
            SELECT s.xid::text::bigint FROM pg_snapshot_xip(v_now.snapshot) AS s(xid)) AS o
     WHERE o.xid < v_xmax AND o.xid <> ALL (v_in);
    mark := (format('%s:%s:%s', coalesce(v_out[1], v_xmax), v_xmax, array_to_string(v_out, ','))::pg_snapshot, NULL, 0)::pggit._mark;
END;
$$;

COMMENT ON FUNCTION pggit._mark_at(timestamptz) IS
'The mark of everything that was committed at a time, made from ticks and from when each transaction was committed. is_exact is false where the commit of one is
not known and the time at which it began decides.';

CREATE OR REPLACE FUNCTION pggit._base_at(p_branch_id integer, p_mark pggit._mark)
    RETURNS pggit._mark
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_s pggit._mark;
BEGIN
    EXECUTE format('SELECT (h.s).* FROM pggit.base_moves AS h WHERE h.branch_id = %s AND NOT %s ORDER BY h._at LIMIT 1', p_branch_id, pggit._in_sql('h', p_mark)) INTO v_s;
    IF v_s IS NULL THEN
        v_s := (SELECT b.s FROM pggit.branch_bases AS b WHERE b.branch_id = p_branch_id);
    END IF;
    RETURN v_s;
END;
$$;

COMMENT ON FUNCTION pggit._base_at(integer, pggit._mark) IS
'Where a branch stood on main at a mark.';

CREATE OR REPLACE FUNCTION pggit._position_at(p_branch pggit.branches, p_at timestamptz, OUT at pggit._position, OUT is_exact boolean)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_mark record;
BEGIN
    IF p_branch.branch_id <> 1 AND p_branch.created_at > p_at THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG002', SCHEMA = 'pggit',
            MESSAGE = format('branch %L was made at %s, after %s', p_branch.name, p_branch.created_at, p_at);
    END IF;
    IF p_at >= clock_timestamp() THEN
        at       := pggit._working_position(p_branch.branch_id);
        is_exact := true;
        RETURN;
    END IF;
    v_mark   := pggit._mark_at(p_at);
    is_exact := v_mark.is_exact;
    at       := (p_branch.branch_id, v_mark.mark, CASE WHEN p_branch.branch_id = 1 THEN v_mark.mark ELSE pggit._base_at(p_branch.branch_id, v_mark.mark) END)::pggit._position;
END;
$$;

COMMENT ON FUNCTION pggit._position_at(pggit.branches, timestamptz) IS
'A branch as it was at a time. Raises VG002 before there was the branch.';

CREATE OR REPLACE FUNCTION pggit._time(p_ref text)
    RETURNS timestamptz
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN p_ref::timestamptz;
EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format OR invalid_parameter_value THEN
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._time(text) IS
'A ref as a time, in the session''s time zone where it names none; NULL when it is no time.';
