CREATE OR REPLACE FUNCTION pggit.track_schema(p_schema text, p_exclude text[] DEFAULT '{}')
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table   record;
    v_tracked integer := 0;
    v_refused text;
BEGIN
    IF to_regnamespace(quote_ident(p_schema)) IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG008', SCHEMA = 'pggit',
            MESSAGE = format('there is no schema %L', p_schema);
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
        IF v_table.table_id IS NULL THEN
            PERFORM pggit._track(v_table.oid);
        END IF;
        v_tracked := v_tracked + 1;
    END LOOP;
    RETURN v_tracked;
END;
$$;

COMMENT ON FUNCTION pggit.track_schema(text, text[]) IS
'Puts all tables of a schema under version control, and those that are made in it later; returns how many tables of it are tracked now.
p_exclude names tables to leave out. Unlogged and foreign tables are left out with a NOTICE. Raises VG008 (no such schema), VG202 (a system
schema), VG203 (tables that can''t be tracked, all of them named with the reason) and VG401 as pggit.track_table.';
