-- Types that the user changes. The stores hold columns of them, and must not be in the way.

CREATE OR REPLACE FUNCTION pggit._follow_types()
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table record;
BEGIN
    FOR v_table IN
        WITH renamed AS (
            UPDATE pggit.columns AS c
               SET type_name = format_type(a.atttypid, a.atttypmod)
              FROM pg_attribute AS a
             WHERE a.attrelid = to_regclass(format('pggit._log_%s', c.table_id)) AND a.attname = 'c' || c.column_id AND NOT a.attisdropped
               AND c.type_name <> format_type(a.atttypid, a.atttypmod)
            RETURNING c.table_id
        ), renamed_on_branches AS (
            UPDATE pggit.branch_columns AS c
               SET type_name = format_type(a.atttypid, a.atttypmod)
              FROM pg_attribute AS a
             WHERE a.attrelid = to_regclass(format('pggit._delta_%s', c.table_id)) AND a.attname = 'c' || c.column_id AND NOT a.attisdropped
               AND c.type_name <> format_type(a.atttypid, a.atttypmod)
            RETURNING c.table_id
        )
        -- The functions that write branches name domains, of which the stores know nothing.
        SELECT t.table_id, EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = t.table_id AND bt.form = 'view') AS has_views,
               EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = t.table_id AND bt.form = 'table') AS has_tables
          FROM pggit.tables AS t
         WHERE t.untracked_at IS NULL
           AND (t.table_id IN (SELECT r.table_id FROM renamed AS r UNION ALL SELECT r.table_id FROM renamed_on_branches AS r)
                OR EXISTS (SELECT FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid WHERE a.attrelid = t.relation AND NOT a.attisdropped AND y.typtype = 'd'))
    LOOP
        IF v_table.has_views THEN
            PERFORM pggit._renew_write_functions_of(v_table.table_id);
        END IF;
        IF v_table.has_tables THEN
            PERFORM pggit._ensure_real_capture(v_table.table_id, NULL);
            PERFORM pggit._ensure_real_capture(v_table.table_id, pggit._branch_now(b.branch_id))
               FROM (SELECT DISTINCT c.branch_id FROM pggit.branch_columns AS c JOIN pggit.branch_tables AS bt USING (branch_id, table_id) WHERE c.table_id = v_table.table_id) AS b;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._follow_types() IS
'Takes over the new names of types that were renamed or moved to another schema, also into the functions that write branches.';

CREATE OR REPLACE FUNCTION pggit._free_stand_in(p_table_id integer, p_column_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_column record;
BEGIN
    SELECT t.relation::regclass AS relation, c.name INTO v_column
      FROM pggit.tables AS t JOIN pggit.columns AS c USING (table_id) WHERE t.table_id = p_table_id AND c.column_id = p_column_id AND c.dropped_at IS NULL AND NOT t.on_main;
    IF FOUND THEN
        EXECUTE format('ALTER TABLE %s ALTER %I TYPE text USING %2$I::text', v_column.relation, v_column.name);
        UPDATE pggit.tables AS t SET fingerprint = pggit._fingerprint(t.relation), storage = pggit._storage(t.relation) WHERE t.table_id = p_table_id;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._free_stand_in(integer, integer) IS
'Makes a column text in what stands in for a table that main does not have.';

CREATE OR REPLACE FUNCTION pggit._free_types(p_of_relations boolean)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '900ms'
AS $$
DECLARE
    v_following text := coalesce(current_setting('pggit.following', true), '');
    v_column    record;
BEGIN
    PERFORM set_config('pggit.following', 'on', true);
    -- Of domains only what stands in for a table has columns: the stores have the types under them.
    FOR v_column IN
        SELECT t.table_id, t.relation::regclass AS relation, a.attname, pggit._base_type(a.atttypid, a.atttypmod) AS type_name
          FROM pggit.tables AS t JOIN pg_attribute AS a ON a.attrelid = t.relation AND NOT a.attisdropped JOIN pg_type AS y ON y.oid = a.atttypid
         WHERE NOT t.on_main AND y.typtype = 'd' AND NOT p_of_relations AND NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = t.table_id)
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER %I TYPE %s', v_column.relation, v_column.attname, v_column.type_name);
        UPDATE pggit.tables AS t SET fingerprint = pggit._fingerprint(t.relation), storage = pggit._storage(t.relation) WHERE t.table_id = v_column.table_id;
    END LOOP;
    FOR v_column IN
        WITH gone AS MATERIALIZED (
            SELECT c.table_id, c.column_id FROM pggit.columns AS c JOIN pggit.tables AS t USING (table_id)
             WHERE c.dropped_at IS NOT NULL OR t.untracked_at IS NOT NULL OR (NOT t.on_main AND NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = t.table_id))
            UNION
            SELECT b.table_id, b.column_id FROM pggit.branch_columns AS b
             WHERE NOT EXISTS (SELECT FROM pggit.columns AS c WHERE c.table_id = b.table_id AND c.column_id = b.column_id)
             GROUP BY b.table_id, b.column_id HAVING bool_and(b.dropped_at IS NOT NULL)
        )
        SELECT c.table_id, c.column_id, array_agg(a.attrelid::regclass ORDER BY a.attrelid) AS stores
          FROM gone AS c
          JOIN pg_attribute AS a ON a.attrelid IN (to_regclass('pggit._log_' || c.table_id), to_regclass('pggit._delta_' || c.table_id),
                                                   to_regclass('pggit._mask_' || c.table_id), to_regclass('pggit._undo_' || c.table_id))
                                AND a.attname = 'c' || c.column_id AND NOT a.attisdropped
          JOIN pg_type AS y ON y.oid = a.atttypid
          LEFT JOIN pg_collation AS o ON o.oid = a.attcollation AND o.collnamespace <> 'pg_catalog'::regnamespace AND o.collisdeterministic
         WHERE (y.typnamespace <> 'pg_catalog'::regnamespace OR o.oid IS NOT NULL)
           AND (NOT p_of_relations OR EXISTS (SELECT FROM pg_type AS r JOIN pg_class AS k ON k.oid = r.typrelid WHERE r.oid IN (y.oid, y.typelem) AND k.relkind <> 'c'))
           AND NOT pggit._is_shown(c.table_id, c.column_id)
           AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                                                       AND d.classid = 'pg_rewrite'::regclass)
         GROUP BY c.table_id, c.column_id
    LOOP
        BEGIN
            FOR v_at IN 1 .. cardinality(v_column.stores) LOOP
                EXECUTE format('ALTER TABLE %s ALTER c%s TYPE text USING c%2$s::text', v_column.stores[v_at], v_column.column_id);
            END LOOP;
            PERFORM pggit._free_stand_in(v_column.table_id, v_column.column_id);
            UPDATE pggit.columns AS c SET type_name = 'text' WHERE c.table_id = v_column.table_id AND c.column_id = v_column.column_id;
            UPDATE pggit.branch_columns AS c SET type_name = 'text' WHERE c.table_id = v_column.table_id AND c.column_id = v_column.column_id;
        EXCEPTION WHEN feature_not_supported OR undefined_object OR undefined_function OR datatype_mismatch OR lock_not_available THEN
            RAISE NOTICE 'column c% of %, which is history, stays of its type: %', v_column.column_id, v_column.stores[1], SQLERRM;
        END;
    END LOOP;
    PERFORM set_config('pggit.following', v_following, true);
END;
$$;

COMMENT ON FUNCTION pggit._free_types(boolean) IS
'History of dropped columns and tables that are no longer tracked, or that no branch has any more, becomes text where it is of a type of the user''s, or has a deterministic collation of theirs, so that it does not stand in the way of what is done to the type;
Domains become the types under them. p_of_relations: only where it is of the row type of a table or view.
Waits for no lock longer than 0.9 seconds. What a branch still shows stays as it is.';

CREATE OR REPLACE FUNCTION pggit._labels()
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(l.of, l.label), '{}')
              FROM (SELECT 'enum ' || e.oid, e.enumlabel::text FROM pg_enum AS e
                    UNION ALL
                    SELECT 'type ' || c.oid, coalesce(string_agg(a.attnum::text, ',' ORDER BY a.attnum), '')
                      FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                     WHERE c.relkind = 'c' GROUP BY c.oid) AS l(of, label));
END;
$$;

COMMENT ON FUNCTION pggit._labels() IS
'The labels of all enums and the attributes, by number, of all composite types: what the text of a value is made of.';

CREATE OR REPLACE FUNCTION pggit._note_relabelled(p_before jsonb)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM jsonb_each(p_before) AS b JOIN jsonb_each(pggit._labels()) AS n USING (key) WHERE n.value <> b.value) THEN
        PERFORM nextval('pggit._ordinal');
        UPDATE pggit.tables AS t
           SET relabelled_at = pggit._mark_now()
         WHERE t.untracked_at IS NULL
           AND EXISTS (SELECT FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
                        WHERE a.attrelid IN (to_regclass(format('pggit._log_%s', t.table_id)), to_regclass(format('pggit._delta_%s', t.table_id))) AND NOT a.attisdropped AND y.typnamespace <> 'pg_catalog'::regnamespace);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._note_relabelled(jsonb) IS
'After ALTER TYPE … RENAME VALUE all history shows the new label, after ADD ATTRIBUTE and DROP ATTRIBUTE the attributes of now, and the digests that commits made of the old values can''t be made again: notes it for pggit.verify.';

CREATE OR REPLACE FUNCTION pggit._on_types_start()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
BEGIN
    IF current_setting('pggit.following', true) = 'on' THEN
        RETURN;
    END IF;
    PERFORM pggit._free_types(TG_TAG ~ 'TABLE|VIEW');
    IF TG_TAG = 'ALTER TYPE' THEN
        PERFORM set_config('pggit.labels', pggit._labels()::text, true);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._on_types_start() IS
'Event trigger: types, or tables and views that have row types, are going to be changed or dropped.';

CREATE OR REPLACE FUNCTION pggit._on_types_end()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
DECLARE
    v_following text := coalesce(current_setting('pggit.following', true), '');
BEGIN
    PERFORM pggit._follow_types();
    IF TG_TAG = 'ALTER TYPE' THEN
        PERFORM pggit._note_relabelled(nullif(current_setting('pggit.labels', true), '')::jsonb);
        PERFORM set_config('pggit.labels', '', true);
        -- ALTER TYPE … CASCADE changes the columns of tables that were made OF the type.
        PERFORM set_config('pggit.following', 'on', true);
        PERFORM pggit._follow_shape(t.relation) FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation WHERE t.untracked_at IS NULL AND c.reloftype <> 0;
        PERFORM set_config('pggit.following', v_following, true), set_config('pggit.rewritten', '', true);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._on_types_end() IS
'Event trigger: types have been changed, and tables that were made of them.';

DO $triggers$
BEGIN
    IF NOT current_setting('is_superuser')::boolean THEN
        RETURN;
    END IF;
    DROP EVENT TRIGGER IF EXISTS pggit_types_start;
    DROP EVENT TRIGGER IF EXISTS pggit_types_end;
    CREATE EVENT TRIGGER pggit_types_start ON ddl_command_start
        WHEN TAG IN ('ALTER TYPE', 'ALTER DOMAIN', 'DROP TYPE', 'DROP DOMAIN', 'DROP COLLATION', 'DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED',
                     'ALTER TABLE', 'ALTER FOREIGN TABLE', 'DROP TABLE', 'DROP FOREIGN TABLE', 'DROP VIEW', 'DROP MATERIALIZED VIEW')
        EXECUTE FUNCTION pggit._on_types_start();
    CREATE EVENT TRIGGER pggit_types_end ON ddl_command_end
        WHEN TAG IN ('ALTER TYPE', 'ALTER DOMAIN', 'ALTER SCHEMA', 'ALTER EXTENSION')
        EXECUTE FUNCTION pggit._on_types_end();
    ALTER EVENT TRIGGER pggit_types_start ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_types_end ENABLE ALWAYS;
END;
$triggers$;
