-- One repository a database, one main branch a repository.
INSERT INTO pggit.repository (core_version)
VALUES (pggit.version())
    ON CONFLICT (only_row) DO UPDATE SET core_version = excluded.core_version;

INSERT INTO pggit.branches (name, created_by)
SELECT 'main', pggit._actor()
 WHERE NOT EXISTS (SELECT FROM pggit.branches);

CREATE OR REPLACE FUNCTION pggit._patience()
    RETURNS interval
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_patience text := coalesce(nullif(current_setting('pggit.lock_timeout', true), ''), '5s');
BEGIN
    RETURN regexp_replace(v_patience, '^[0-9]+$', '\&ms')::interval;
EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION USING
        ERRCODE = 'VG202', SCHEMA = 'pggit',
        MESSAGE = format('the setting pggit.lock_timeout is %L, but must be a time such as 5s, or milliseconds', v_patience),
        HINT    = 'SET pggit.lock_timeout = ''5s''; or RESET pggit.lock_timeout;';
END;
$$;

COMMENT ON FUNCTION pggit._patience() IS
'For how long pggit waits for others, and others for pggit: the setting pggit.lock_timeout (5s; a number alone is milliseconds). Raises VG202 when that is no time.';

CREATE OR REPLACE FUNCTION pggit._patience_ends()
    RETURNS timestamptz
    LANGUAGE sql VOLATILE
AS $$
    SELECT clock_timestamp() + pggit._patience();
$$;

COMMENT ON FUNCTION pggit._patience_ends() IS
'When what begins to wait now gives up. Raises VG202 when pggit.lock_timeout is no time.';

CREATE OR REPLACE FUNCTION pggit._size_setting(p_name text, p_default text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_size text := coalesce(nullif(current_setting(p_name, true), ''), p_default);
BEGIN
    PERFORM pg_size_bytes(v_size);
    RETURN v_size;
EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION USING
        ERRCODE = 'VG202', SCHEMA = 'pggit',
        MESSAGE = format('the setting %s is %L, but must be a size such as %s', p_name, v_size, p_default),
        HINT    = format('SET %s = %L; or RESET %1$s;', p_name, p_default);
END;
$$;

COMMENT ON FUNCTION pggit._size_setting(text, text) IS
'A setting that is a size, in words. Raises VG202 when it is none.';

CREATE OR REPLACE FUNCTION pggit._ask_for_lock(p_class integer, p_id integer, p_shared boolean)
    RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_ends timestamptz := pggit._patience_ends();
BEGIN
    -- Asking again, not waiting in line: whoever has it may in turn wait for a row that this transaction has locked.
    WHILE NOT CASE WHEN p_shared THEN pg_try_advisory_xact_lock_shared(p_class, p_id) ELSE pg_try_advisory_xact_lock(p_class, p_id) END LOOP
        IF clock_timestamp() >= v_ends THEN
            RETURN false;
        END IF;
        PERFORM pg_sleep(0.01 + random() * 0.03);
    END LOOP;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit._ask_for_lock(integer, integer, boolean) IS
'Takes an advisory lock until the transaction ends; false when others did not give it up within pggit.lock_timeout (5s).';

CREATE OR REPLACE FUNCTION pggit._retention()
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(nullif(btrim(current_setting('pggit.retention', true)), ''), '30 days');
$$;

COMMENT ON FUNCTION pggit._retention() IS
'For how long a commit stays readable for no other reason than its age: the setting pggit.retention, an interval (30 days) or infinity.';

CREATE OR REPLACE FUNCTION pggit._kept_since()
    RETURNS timestamptz
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_interval interval;
BEGIN
    IF lower(pggit._retention()) IN ('infinity', 'inf') THEN
        RETURN '-infinity';
    END IF;
    BEGIN
        v_interval := pggit._retention()::interval;
    EXCEPTION WHEN data_exception THEN
        NULL;
    END;
    IF v_interval IS NULL OR v_interval < interval '0' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('the setting pggit.retention is %L, but must be a time such as 30 days, or infinity', pggit._retention());
    END IF;
    RETURN now() - v_interval;
EXCEPTION WHEN datetime_field_overflow THEN
    RETURN '-infinity';
END;
$$;

COMMENT ON FUNCTION pggit._kept_since() IS
'Commits that are not older than this stay readable whether or not anything names them: now less the retention. Raises VG202 when that is no time.';

CREATE OR REPLACE FUNCTION pggit._processes(p_pids integer[])
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT string_agg(DISTINCT format('process %s (%s, %s)', p.pid, coalesce(a.usename, '?'), coalesce(a.state, '?')), ', ')
              FROM unnest(p_pids) AS p(pid) LEFT JOIN pg_stat_activity AS a USING (pid)
             WHERE p.pid <> pg_backend_pid());
END;
$$;

COMMENT ON FUNCTION pggit._processes(integer[]) IS
'Server processes in words, with user and state; NULL when there is none but this one.';

CREATE OR REPLACE FUNCTION pggit._require_read_committed(p_what text)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG401', SCHEMA = 'pggit',
            MESSAGE = format('%s needs READ COMMITTED, and this transaction is %s', p_what, upper(current_setting('transaction_isolation'))),
            HINT    = 'It has to see rows that others committed since this transaction''s snapshot. Do it in a transaction of its own.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_read_committed(text) IS
'Raises VG401 above READ COMMITTED: what has to see every committed row can''t work on an older snapshot.';
