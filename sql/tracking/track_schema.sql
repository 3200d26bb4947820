CREATE OR REPLACE FUNCTION pggit._room_for_locks()
    RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT current_setting('max_locks_per_transaction')::bigint * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint);
$$;

COMMENT ON FUNCTION pggit._room_for_locks() IS
'How many locks on objects the server has room for, in all sessions.';

CREATE OR REPLACE FUNCTION pggit._has_room_for_locks()
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT (SELECT count(*) FROM pg_locks AS l WHERE l.pid = pg_backend_pid() AND NOT l.fastpath) < pggit._room_for_locks() / 2);
END;
$$;

COMMENT ON FUNCTION pggit._has_room_for_locks() IS
'Whether this transaction holds less than half of the locks that the server has room for. What a transaction makes, it holds locks on until it ends.';

CREATE OR REPLACE FUNCTION pggit.untracked_tables(p_schema text, p_exclude text[] DEFAULT '{}')
    RETURNS integer
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN (SELECT count(*)::integer
              FROM pg_class AS c
             WHERE c.relnamespace = to_regnamespace(quote_ident(p_schema)) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition AND c.relname <> ALL (p_exclude)
               AND NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = c.oid AND t.untracked_at IS NULL)
               AND NOT EXISTS (SELECT FROM pg_description AS d WHERE d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = 0 AND d.description ~ '@pggit:ignore\M'));
END;
$$;

COMMENT ON FUNCTION pggit.untracked_tables(text, text[]) IS
'How many tables of a schema are not under version control, not counting those in p_exclude.';

CREATE OR REPLACE FUNCTION pggit.track_schema(p_schema text, p_exclude text[] DEFAULT '{}')
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_table   record;
    v_tracked integer := 0;
    v_new     integer := 0;
    v_refused text;
    v_locked  oid[];
BEGIN
    IF to_regnamespace(quote_ident(p_schema)) IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG008', SCHEMA = 'pggit',
            MESSAGE = format('there is no schema %L', p_schema),
            HINT    = pggit._near_names(p_schema, ARRAY(SELECT n.nspname FROM pg_namespace AS n WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT LIKE '%@%' AND n.nspname NOT IN ('pggit', 'information_schema')))
                      || 'Write the name alone, without quotes.';
    END IF;
    IF p_schema IN ('pggit', 'information_schema') OR p_schema LIKE 'pg\_%'
       OR EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.schema_name = p_schema) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('schema %L can''t be put under version control', p_schema),
            HINT    = 'System schemas, pggit itself and the schemas of branches are left out.';
    END IF;

    SELECT string_agg(format('%I (%s)', r.relname, r.reason), ', ' ORDER BY r.relname) INTO v_refused
      FROM (SELECT c.relname, pggit._unsupported(c.oid) AS reason
              FROM pg_class AS c
             WHERE c.relnamespace = to_regnamespace(quote_ident(p_schema)) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
               AND c.relname <> ALL (p_exclude)) AS r
     WHERE r.reason IS NOT NULL;
    IF v_refused IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG203', SCHEMA = 'pggit',
            MESSAGE = format('schema %L has tables that can''t be tracked: %s', p_schema, v_refused),
            HINT    = 'Give them an ordinary primary key, or name them in p_exclude.';
    END IF;

    INSERT INTO pggit.tracked_schemas (schema_name, excluded) VALUES (p_schema, p_exclude)
        ON CONFLICT (schema_name) DO UPDATE SET excluded = excluded.excluded;
    PERFORM pggit._follow_schemas();

    -- All at once, before anything is made: who waits for one table and holds the next must not wait for us while we wait for him. A table takes more than ten locks when its stores are made.
    v_locked := ARRAY(
        SELECT u.oid
          FROM (SELECT c.oid, c.relname, row_number() OVER by_name AS nth, sum((SELECT greatest(count(*), 1) FROM pg_partition_tree(c.oid))) OVER by_name AS locks
                  FROM pg_class AS c
                 WHERE c.relnamespace = to_regnamespace(quote_ident(p_schema)) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition AND c.relname <> ALL (p_exclude)
                   AND NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = c.oid AND t.untracked_at IS NULL) AND NOT pggit._is_ignored(c.oid)
                WINDOW by_name AS (ORDER BY c.relname)) AS u
         WHERE u.nth = 1 OR u.locks < pggit._room_for_locks() / 20
         ORDER BY u.relname);
    PERFORM pggit._lock_bases(v_locked, 'SHARE ROW EXCLUSIVE');

    FOR v_table IN
        SELECT c.oid, c.relname, c.relpersistence, t.table_id
          FROM pg_class AS c
          LEFT JOIN pggit.tables AS t ON t.relation = c.oid AND t.untracked_at IS NULL
         WHERE c.relnamespace = to_regnamespace(quote_ident(p_schema)) AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
           AND c.relname <> ALL (p_exclude)
         ORDER BY c.relname
    LOOP
        IF v_table.table_id IS NULL AND pggit._unsupported(v_table.oid) IS NOT NULL THEN
            RAISE NOTICE 'table % is left out: %', v_table.oid::regclass, pggit._unsupported(v_table.oid);
            CONTINUE;
        END IF;
        CONTINUE WHEN v_table.table_id IS NULL AND pggit._is_ignored(v_table.oid);
        IF v_table.table_id IS NULL THEN
            IF v_table.oid <> ALL (v_locked) OR v_new % 8 = 7 AND NOT pggit._has_room_for_locks() THEN
                RAISE WARNING USING
                    MESSAGE = format('%s tables of schema %I are not tracked yet: one transaction can''t lock more', pggit.untracked_tables(p_schema, p_exclude), p_schema),
                    HINT    = format('Commit, and go on: SELECT pggit.track_schema(%L);', p_schema);
                RETURN (SELECT count(*) FROM pggit.tables AS t WHERE t.schema_name = p_schema AND t.untracked_at IS NULL AND t.on_main);
            END IF;
            PERFORM pggit._track(v_table.oid);
            v_new := v_new + 1;
        END IF;
        v_tracked := v_tracked + 1;
    END LOOP;
    RETURN v_tracked;
END;
$$;

COMMENT ON FUNCTION pggit.track_schema(text, text[]) IS
'Puts all tables of a schema under version control, and those that are made in it later; returns how many tables of it are tracked now.
A schema with hundreds of tables takes several calls, each in a transaction of its own, since each may lock no more than half of what max_locks_per_transaction gives room for: a WARNING says how many are left.
p_exclude names tables to leave out. Unlogged and foreign tables are left out with a NOTICE, those whose comment says @pggit:ignore without. Raises VG008 (no such schema), VG202 (a system
schema), VG203 (tables that can''t be tracked, all of them named with the reason) and VG401 as pggit.track_table.';
