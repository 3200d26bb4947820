-- What changes main's tables keeps others waiting until the merge is over: no longer than pggit.lock_timeout.

CREATE OR REPLACE FUNCTION pggit._max_locked_bytes()
    RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT pg_size_bytes(pggit._size_setting('pggit.max_locked_bytes', '256MB'));
$$;

COMMENT ON FUNCTION pggit._max_locked_bytes() IS
'How much of main''s tables a merge may have PostgreSQL read or write whole while others wait for them: the setting pggit.max_locked_bytes (256MB).';

CREATE OR REPLACE FUNCTION pggit._begin_hold()
    RETURNS void
    LANGUAGE sql
AS $$
    SELECT set_config('pggit.held_since', clock_timestamp()::text, true) WHERE coalesce(current_setting('pggit.held_since', true), '') = '';
$$;

COMMENT ON FUNCTION pggit._begin_hold() IS
'From here on others may have to wait for tables of main until this merge is over; the local setting pggit.held_since says since when, and is empty before.';

CREATE OR REPLACE FUNCTION pggit._held()
    RETURNS interval
    LANGUAGE sql VOLATILE
AS $$
    SELECT clock_timestamp() - nullif(current_setting('pggit.held_since', true), '')::timestamptz;
$$;

COMMENT ON FUNCTION pggit._held() IS
'For how long this merge has kept others waiting, if anybody waits; NULL where it keeps nobody waiting.';

CREATE OR REPLACE FUNCTION pggit._held_tables()
    RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH held AS MATERIALIZED (
                SELECT DISTINCT l.relation FROM pg_locks AS l
                 WHERE l.pid = pg_backend_pid() AND l.granted AND l.locktype = 'relation' AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
            )
            SELECT string_agg(format('%I.%I', t.schema_name, t.table_name), ', ' ORDER BY t.schema_name, t.table_name)
              FROM pggit.tables AS t JOIN held AS h ON h.relation = t.relation WHERE t.untracked_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._held_tables() IS
'The tables that nobody can write as long as this transaction goes on.';

CREATE OR REPLACE FUNCTION pggit._mind_waiters()
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_held interval := pggit._held();
BEGIN
    -- A merge that keeps nobody waiting need not look at the locks.
    IF coalesce(v_held > pggit._patience(), false) AND pggit._is_waited_for() THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG403', SCHEMA = 'pggit',
            MESSAGE = format('others wait for what this merge has kept locked for %s s (%s), and pggit.lock_timeout is %s s',
                             round(extract(epoch FROM v_held)::numeric, 3), pggit._held_tables(), round(extract(epoch FROM pggit._patience())::numeric, 3)),
            HINT    = 'Nothing was written. Merge again when nobody writes these tables, or SET pggit.lock_timeout for this session to what they may wait; with the option validate "later" constraints are validated afterwards, and an index that is on main already is not made by the merge.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._mind_waiters() IS
'Between two steps of a merge: raises VG403 when the merge has kept tables of main locked for longer than pggit.lock_timeout (5s) and somebody waits. As long as nobody does, it goes on.';

CREATE OR REPLACE FUNCTION pggit._mind_size(p_relation oid, p_bytes bigint)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_bytes bigint := coalesce(nullif(current_setting('pggit.locked_bytes', true), ''), '0')::bigint + p_bytes;
BEGIN
    IF v_bytes > pggit._max_locked_bytes() THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG403', SCHEMA = 'pggit',
            MESSAGE = format('PostgreSQL would read or write %s whole while nobody can write it: %s with what this merge does besides, and pggit.max_locked_bytes is %s',
                             p_relation::regclass, pg_size_pretty(v_bytes), pg_size_pretty(pggit._max_locked_bytes())),
            HINT    = 'Nothing was written. When writers can wait, SET pggit.max_locked_bytes for this session; with the option validate "later" constraints are validated afterwards, and an index that is on main already (CREATE INDEX CONCURRENTLY, as on the branch) is not made by the merge.';
    END IF;
    PERFORM set_config('pggit.locked_bytes', v_bytes::text, true);
END;
$$;

COMMENT ON FUNCTION pggit._mind_size(oid, bigint) IS
'Before a statement that nothing can interrupt but the end of the transaction: raises VG403 when such statements of a merge, this one too, read or write more than pggit.max_locked_bytes (256MB) of main.';

CREATE OR REPLACE FUNCTION pggit._mind_step(p_ddl text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._begin_hold(), pggit._mind_waiters();
    PERFORM pggit._mind_size(c.relation, c.bytes) FROM pggit._step_cost(p_ddl) AS c WHERE c.bytes > 0 AND c.lock IN ('ShareLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock');
END;
$$;

COMMENT ON FUNCTION pggit._mind_step(text) IS
'Before a merge changes main by a statement: whoever comes now may have to wait. Raises VG403.';
