CREATE OR REPLACE FUNCTION pggit._begin_anew(p_table pggit.tables, p_in_statement boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_reason text := pggit._unsupported(p_table.relation);
BEGIN
    UPDATE pggit.tables AS t SET untracked_at = pggit._mark_now() WHERE t.table_id = p_table.table_id;
    IF p_in_statement THEN
        PERFORM pggit._stop_capture(p_table.table_id);
        RAISE WARNING 'table %.% has another primary key: it is not tracked until the next commit', p_table.schema_name, p_table.table_name;
        RETURN;
    END IF;
    PERFORM pggit._drop_capture(p_table.relation);
    IF v_reason IS NULL THEN
        PERFORM pggit._track(p_table.relation);
        RAISE WARNING 'table %.% has another primary key: its history begins anew', p_table.schema_name, p_table.table_name;
    ELSE
        RAISE WARNING 'table %.% is no longer tracked: %', p_table.schema_name, p_table.table_name, v_reason;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._begin_anew(pggit.tables, boolean) IS
'Ends the tracking of a table whose key has changed, and tracks it anew if it can be.';

CREATE OR REPLACE FUNCTION pggit._find_columns(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- What event triggers told of is all there was when the database was dumped: columns without their names of then are renamed ones. A restored table has no
    -- gaps in its attnums; one that pg_upgrade moved has those it had.
    WITH stored AS (
        SELECT c.column_id, c.attnum AS before, row_number() OVER (ORDER BY c.attnum) AS n, a.attnum
          FROM pggit.tables AS t JOIN pggit.columns AS c USING (table_id)
          LEFT JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attname = c.name
         WHERE t.table_id = p_table_id AND c.dropped_at IS NULL
    ), renamed AS (
        SELECT a.attnum FROM pggit.tables AS t JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attnum > 0 AND NOT a.attisdropped
         WHERE t.table_id = p_table_id AND pggit._is_told_of_ddl() AND NOT EXISTS (SELECT FROM stored AS s WHERE s.attnum = a.attnum)
    )
    UPDATE pggit.columns AS c
       SET attnum = coalesce(s.attnum, (SELECT r.attnum FROM renamed AS r WHERE r.attnum = s.n), (SELECT r.attnum FROM renamed AS r WHERE r.attnum = s.before), -s.column_id)
      FROM stored AS s
     WHERE c.table_id = p_table_id AND c.column_id = s.column_id;
    UPDATE pggit.tables AS t SET place = pggit._place(), fingerprint = pggit._fingerprint(t.relation) WHERE t.table_id = p_table_id;
END;
$$;

COMMENT ON FUNCTION pggit._find_columns(integer) IS
'Finds the columns of a restored table again, whose attnums are others where columns had been dropped. A column that is not found has no attnum (a negative one).';

CREATE OR REPLACE FUNCTION pggit._follow_shape(p_relation oid, p_in_statement boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table   pggit.tables;
    v_class   record;
    v_column  record;
    v_stored  text;
    v_reshape boolean := false;
    v_rename  boolean;
BEGIN
    SELECT n.nspname, c.relname INTO v_class FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_relation;
    -- Whoever meets the change first follows it; the others wait here.
    SELECT t.* INTO v_table FROM pggit.tables AS t WHERE t.relation = p_relation AND t.untracked_at IS NULL FOR NO KEY UPDATE;

    IF v_table.table_id IS NULL THEN
        IF NOT p_in_statement AND EXISTS (SELECT FROM pggit.tracked_schemas AS s WHERE s.schema_name = v_class.nspname AND v_class.relname <> ALL (s.excluded))
           AND pggit._unsupported(p_relation) IS NULL THEN
            PERFORM pggit._track(p_relation);
        END IF;
        RETURN;
    END IF;

    IF v_table.place <> pggit._place() THEN
        PERFORM pggit._find_columns(v_table.table_id);
    END IF;
    UPDATE pggit.tables AS t SET fingerprint = pggit._fingerprint(p_relation) WHERE t.table_id = v_table.table_id;
    v_rename := (v_class.nspname, v_class.relname) IS DISTINCT FROM (v_table.schema_name::name, v_table.table_name::name);
    IF v_rename THEN
        UPDATE pggit.tables AS t SET schema_name = v_class.nspname, table_name = v_class.relname WHERE t.table_id = v_table.table_id;
    END IF;

    -- Another key, or none: what the stores are keyed by is gone.
    IF EXISTS (SELECT FROM (SELECT c.attnum, c.key_position FROM pggit.columns AS c
                             WHERE c.table_id = v_table.table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL) AS c
                 FULL JOIN (SELECT l.attnum, l.key_position FROM pggit._live_columns(p_relation) AS l WHERE l.key_position IS NOT NULL) AS l
                   USING (attnum, key_position)
                WHERE c IS NULL OR l IS NULL) THEN
        PERFORM pggit._begin_anew(v_table, p_in_statement);
        RETURN;
    END IF;

    FOR v_column IN
        SELECT c.column_id, c.name AS old_name, c.type_name AS old_type, c.generated_as AS old_generated, l.*
          FROM (SELECT c.* FROM pggit.columns AS c WHERE c.table_id = v_table.table_id AND c.dropped_at IS NULL) AS c
          FULL JOIN pggit._live_columns(p_relation) AS l ON l.attnum = c.attnum
    LOOP
        IF v_column.name IS NOT NULL AND v_column.old_name IS NOT NULL
           AND (v_column.type_name, v_column.generated_as) IS NOT DISTINCT FROM (v_column.old_type, v_column.old_generated) THEN
            IF v_column.name <> v_column.old_name THEN
                v_rename := true;
                UPDATE pggit.columns AS c SET name = v_column.name WHERE c.table_id = v_table.table_id AND c.column_id = v_column.column_id;
            END IF;
            CONTINUE;
        END IF;

        v_reshape := true;
        IF v_column.column_id IS NOT NULL THEN
            UPDATE pggit.columns AS c SET dropped_at = pggit._mark_now(), key_position = NULL
             WHERE c.table_id = v_table.table_id AND c.column_id = v_column.column_id;
        END IF;
        IF v_column.name IS NOT NULL THEN
            IF v_column.key_position IS NOT NULL THEN
                PERFORM pggit._begin_anew(v_table, p_in_statement);
                RETURN;
            END IF;
            INSERT INTO pggit.columns (table_id, column_id, attnum, name, type_name, generated_as)
            SELECT v_table.table_id, max(c.column_id) + 1, v_column.attnum, v_column.name, v_column.type_name, v_column.generated_as
              FROM pggit.columns AS c WHERE c.table_id = v_table.table_id
            RETURNING pggit._stored_column(columns) INTO v_stored;
            IF v_column.generated_as IS NULL THEN
                EXECUTE format('ALTER TABLE pggit._log_%s ADD %s', v_table.table_id, v_stored);
                EXECUTE format('ALTER TABLE pggit._delta_%s ADD %s', v_table.table_id, v_stored);
                EXECUTE format('ALTER TABLE pggit._undo_%s ADD %s', v_table.table_id, v_stored);
            END IF;
        END IF;
    END LOOP;

    IF v_reshape OR v_rename THEN
        PERFORM pggit._create_capture_functions(v_table.table_id);
    END IF;
    IF v_reshape THEN
        PERFORM nextval('pggit._ordinal');
        UPDATE pggit.tables AS t SET shape_at = pggit._mark_now() WHERE t.table_id = v_table.table_id;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._follow_shape(oid, boolean) IS
'Brings capture in line with a table after DDL: tracks a new table of a tracked schema, follows renames, and for added, dropped or retyped columns begins
a new shape (states before it can''t be read any more: VG306). A table with another key begins its history anew.
p_in_statement: a statement on the table is running, so that its triggers can''t be changed.';

CREATE OR REPLACE FUNCTION pggit._forget_dropped(p_relations oid[])
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pggit.tables AS t SET untracked_at = pggit._mark_now(), relation = 0 WHERE t.relation = ANY (p_relations) AND t.untracked_at IS NULL;
END;
$$;

COMMENT ON FUNCTION pggit._forget_dropped(oid[]) IS
'Ends the tracking of tables that were dropped; what was recorded of them stays.';

CREATE OR REPLACE FUNCTION pggit._watch_tables()
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table pggit.tables;
BEGIN
    FOR v_table IN
        SELECT t.* FROM pggit.tables AS t JOIN pg_trigger AS g ON g.tgrelid = t.relation AND g.tgname = 'pggit_before'
         WHERE t.untracked_at IS NULL AND NOT encode(g.tgargs, 'escape') LIKE '%watch%'
    LOOP
        BEGIN
            PERFORM pggit._create_capture(v_table.table_id);
        EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
            RAISE WARNING 'changes of table % are not watched yet, the next commit tries again: %', v_table.relation, SQLERRM;
        END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._watch_tables() IS
'Where event triggers were lost (a plain owner restored the database), the tables'' own triggers watch for DDL from here on.';

CREATE OR REPLACE FUNCTION pggit._follow_unseen()
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '900ms'
AS $$
DECLARE
    v_relation oid;
BEGIN
    PERFORM pggit._find_columns(t.table_id) FROM pggit.tables AS t WHERE t.untracked_at IS NULL AND t.place <> (SELECT pggit._place());
    IF pggit._is_told_of_ddl() THEN
        RETURN;
    END IF;
    PERFORM pggit._watch_tables();
    PERFORM pggit._follow_types();
    PERFORM pggit._forget_dropped(ARRAY(SELECT t.relation FROM pggit.tables AS t
                                         WHERE t.untracked_at IS NULL AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.relation)));
    FOR v_relation IN
        SELECT t.relation FROM pggit.tables AS t WHERE t.untracked_at IS NULL AND t.fingerprint <> pggit._fingerprint(t.relation)
        UNION ALL
        SELECT c.oid
          FROM pggit.tracked_schemas AS s
          JOIN pg_namespace AS n ON n.nspname = s.schema_name
          JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind = 'r' AND c.relname <> ALL (s.excluded)
         WHERE NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = c.oid AND t.untracked_at IS NULL) AND pggit._unsupported(c.oid) IS NULL
    LOOP
        BEGIN
            PERFORM pggit._follow_shape(v_relation);
        EXCEPTION WHEN lock_not_available OR insufficient_privilege OR SQLSTATE 'VG401' THEN
            RAISE WARNING 'table % could not be followed, the next commit tries again: %', v_relation::regclass, SQLERRM;
        END;
    END LOOP;
    PERFORM pggit._free_types();
END;
$$;

COMMENT ON FUNCTION pggit._follow_unseen() IS
'Where no event trigger tells of DDL: finds new, changed and dropped tables. Waits for no lock longer than 0.9 seconds.';

CREATE OR REPLACE FUNCTION pggit._on_ddl_end()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_relation oid;
BEGIN
    FOR v_relation IN
        SELECT DISTINCT d.objid FROM pg_event_trigger_ddl_commands() AS d
         WHERE d.classid = 'pg_class'::regclass AND d.object_type IN ('table', 'table column') AND NOT d.in_extension
           AND d.schema_name NOT IN ('pggit', 'pg_temp')
    LOOP
        PERFORM pggit._follow_shape(v_relation);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._on_ddl_end() IS
'Event trigger: new and changed tables are followed.';

CREATE OR REPLACE FUNCTION pggit._on_drop()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_dropped  oid[] := (SELECT array_agg(d.objid) FROM pg_event_trigger_dropped_objects() AS d
                          WHERE d.classid = 'pg_class'::regclass AND d.object_type = 'table' AND d.schema_name <> 'pggit');
    v_relation oid;
BEGIN
    IF v_dropped IS NOT NULL THEN
        PERFORM pggit._forget_dropped(v_dropped);
    END IF;
    -- Columns that go with something else: DROP TYPE, DROP FUNCTION, DROP EXTENSION … CASCADE. After ALTER TABLE, pggit_ddl_end follows.
    IF TG_TAG <> 'ALTER TABLE' THEN
        FOR v_relation IN
            SELECT DISTINCT t.relation FROM pg_event_trigger_dropped_objects() AS d JOIN pggit.tables AS t ON t.relation = d.objid
             WHERE d.classid = 'pg_class'::regclass AND d.object_type = 'table column' AND t.untracked_at IS NULL
        LOOP
            PERFORM pggit._follow_shape(v_relation);
        END LOOP;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._on_drop() IS
'Event trigger: dropped tables are no longer tracked, and columns that were dropped by CASCADE are followed.';

DO $triggers$
BEGIN
    IF NOT current_setting('is_superuser')::boolean THEN
        RETURN;
    END IF;
    DROP EVENT TRIGGER IF EXISTS pggit_ddl_end;
    DROP EVENT TRIGGER IF EXISTS pggit_drop;
    CREATE EVENT TRIGGER pggit_ddl_end ON ddl_command_end
        WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
        EXECUTE FUNCTION pggit._on_ddl_end();
    CREATE EVENT TRIGGER pggit_drop ON sql_drop EXECUTE FUNCTION pggit._on_drop();
END;
$triggers$;
