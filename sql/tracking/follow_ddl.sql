CREATE OR REPLACE FUNCTION pggit._begin_anew(p_table pggit.tables, p_in_statement boolean, p_saved jsonb, p_is_changed boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_reason  text  := pggit._unsupported(p_table.relation);
    v_change  text  := CASE WHEN pggit._is_keyless(p_table.table_id) THEN 'a primary key now'
                            WHEN EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = p_table.relation AND i.indisprimary) THEN 'another primary key, or is logged in another way' ELSE 'no primary key any more' END;
    v_columns jsonb := (SELECT jsonb_object_agg(c.attnum, c.column_id) FROM pggit.columns AS c WHERE c.table_id = p_table.table_id AND c.dropped_at IS NULL);
    v_shown   boolean;
    v_why     text;
    v_new     integer;
BEGIN
    IF pggit._is_released(p_table.table_id) THEN
        PERFORM pggit._refuse_for_views(p_table, format('it has %s', coalesce(v_reason, v_change)), 'Keep the key''s columns and their types.');
    END IF;
    PERFORM pggit._collect_detached(false) WHERE pggit._is_shown(p_table.table_id);
    v_shown := EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = p_table.table_id);
    IF pggit._is_told_of_ddl() AND pggit._is_shown(p_table.table_id) THEN
        PERFORM pggit._refuse_for_views(p_table, format('it has %s', coalesce(v_reason, v_change)), 'Change it by an ALTER TABLE that names the table, with pggit.materialize_ddl_limit above its size.');
    ELSIF pggit._is_shown(p_table.table_id) THEN
        v_why := 'branches show the table as a view';
    ELSIF v_shown OR pggit._is_in_history(p_table) THEN
        v_why := pggit._end_generation(p_table, p_saved, p_is_changed, p_in_statement);
    END IF;
    IF EXISTS (SELECT FROM pggit.tables AS t WHERE t.table_id = p_table.table_id AND t.on_main) THEN
        UPDATE pggit.tables AS t SET untracked_at = pggit._mark_now() WHERE t.table_id = p_table.table_id;
    END IF;
    IF p_in_statement THEN
        PERFORM pggit._stop_capture(p_table.table_id);
        RAISE WARNING 'table %.% is not tracked %', p_table.schema_name, p_table.table_name, coalesce('any more: ' || v_reason, 'until the next commit: it has ' || v_change);
    ELSE
        PERFORM pggit._drop_all_capture(p_table);
        IF v_reason IS NULL THEN
            v_new := pggit._track(p_table.relation);
            PERFORM pggit._continue_columns(v_new, p_table.table_id, v_columns);
        ELSE
            RAISE WARNING 'table %.% is no longer tracked: %', p_table.schema_name, p_table.table_name, v_reason;
        END IF;
    END IF;
    IF v_why IS NOT NULL THEN
        RAISE WARNING USING
            MESSAGE = format('table %I.%I has %s: its history begins anew, and its states from before can''t be read any more (VG005)', p_table.schema_name, p_table.table_name, v_change),
            DETAIL  = format('Its rows are not saved because %s.', v_why),
            HINT    = CASE WHEN pggit._is_told_of_ddl() THEN 'To keep them, roll back, and change the table in READ COMMITTED by a statement that names table and column, with pggit.save_limit above the table''s size.'
                           ELSE 'A superuser who runs sql/setup.sql lets pggit know of such statements in time.' END;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._begin_anew(pggit.tables, boolean, jsonb, boolean) IS
'Ends the history of a table whose key has changed or that can''t be tracked any more, and goes on with another one if it can be. p_saved and p_is_changed: of pggit._end_generation.';

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
    UPDATE pggit.columns AS c SET catalog_row = pggit._row_version(a.xmin, a.ctid)
      FROM pggit.tables AS t JOIN pg_attribute AS a ON a.attrelid = t.relation
     WHERE t.table_id = p_table_id AND c.table_id = t.table_id AND c.attnum = a.attnum AND c.dropped_at IS NULL;
    PERFORM pggit._note_partition_columns(p_table_id);
    UPDATE pggit.tables AS t SET place = pggit._place(), fingerprint = pggit._fingerprint(t.relation), storage = pggit._storage(t.relation) WHERE t.table_id = p_table_id;
END;
$$;

COMMENT ON FUNCTION pggit._find_columns(integer) IS
'Finds the columns of a restored table again, whose attnums are others where columns had been dropped. A column that is not found has no attnum (a negative one).';

CREATE OR REPLACE FUNCTION pggit._keeps_values(p_old text, p_new text)
    RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT to_regtype(p_old) = to_regtype(p_new) OR (to_regtype(p_old) IN ('text'::regtype, 'varchar'::regtype) AND to_regtype(p_new) IN ('text'::regtype, 'varchar'::regtype));
$$;

COMMENT ON FUNCTION pggit._keeps_values(text, text) IS
'Whether values of one type are values of the other, with the same text, when a column goes from one to the other and PostgreSQL writes no row for it: varchar(10) to varchar(20) or text.';

CREATE OR REPLACE FUNCTION pggit._keeps_keys(p_table_id integer, p_saved jsonb, p_old text, p_new text)
    RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_whole constant text[] := ARRAY['smallint', 'integer', 'bigint'];
    v_log   text := format('pggit._log_%s AS l WHERE l._xid = pggit._transaction_number() AND l._seq = $1', p_table_id);
    v_keeps boolean;
BEGIN
    IF jsonb_typeof(p_saved) = 'number' AND (p_old = p_new OR array_position(v_whole, p_old) < array_position(v_whole, p_new)) THEN
        EXECUTE format('SELECT (SELECT count(*) FROM %1$s) = (SELECT count(*) FROM %2$s) AND NOT EXISTS (SELECT FROM %1$s AND NOT EXISTS (SELECT FROM %2$s AS b WHERE %3$s))',
                       v_log, pggit._base_rows(p_table_id), pggit._same_key(p_table_id, 'l', 'b', false, true)) INTO v_keeps USING p_saved::bigint;
    END IF;
    RETURN coalesce(v_keeps, false);
END;
$$;

COMMENT ON FUNCTION pggit._keeps_keys(integer, jsonb, text, text) IS
'Whether a key column has the type that it had, or became a larger whole number, and every row kept its key: the rows saved before, by ordinal p_saved, and those of now have the same keys.';

CREATE OR REPLACE FUNCTION pggit._retype_stores(p_table_id integer, p_column_id integer, p_type text, p_is_key boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_stored text;
    v_store  text;
BEGIN
    UPDATE pggit.columns AS c SET type_name = p_type WHERE c.table_id = p_table_id AND c.column_id = p_column_id RETURNING pggit._stored_column(c) INTO v_stored;
    FOREACH v_store IN ARRAY ARRAY['_log', '_delta', '_undo'] || CASE WHEN p_is_key THEN ARRAY['_mask'] END LOOP
        EXECUTE format('ALTER TABLE pggit.%s_%s ALTER %s', v_store, p_table_id, regexp_replace(v_stored, ' ', ' TYPE '));
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._retype_stores(integer, integer, text, boolean) IS
'Gives a column another type in the stores too, where all its values stay what they are.';

CREATE OR REPLACE FUNCTION pggit._has_other_collation(p_table_id integer, p_column_id integer, p_relation oid, p_attnum smallint)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT a.attcollation <> l.attcollation
              FROM pg_attribute AS a JOIN pg_attribute AS l ON l.attrelid = to_regclass(format('pggit._log_%s', p_table_id)) AND l.attname = 'c' || p_column_id
             WHERE a.attrelid = p_relation AND a.attnum = p_attnum);
END;
$$;

COMMENT ON FUNCTION pggit._has_other_collation(integer, integer, oid, smallint) IS
'Whether a column of main sorts in another way than it does in the stores: ALTER COLUMN … TYPE … COLLATE.';

CREATE OR REPLACE FUNCTION pggit._next_column_id(p_table_id integer)
    RETURNS integer
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT 1 + greatest((SELECT max(c.column_id) FROM pggit.columns AS c WHERE c.table_id = p_table_id), (SELECT max(c.column_id) FROM pggit.branch_columns AS c WHERE c.table_id = p_table_id)));
END;
$$;

COMMENT ON FUNCTION pggit._next_column_id(integer) IS
'A number that no column of a table has had, on main or on a branch.';

CREATE OR REPLACE FUNCTION pggit._adopted_column(p_branch_id integer, p_table_id integer, p_name text, p_type text, OUT column_id integer, OUT origin integer)
    LANGUAGE sql STABLE
AS $$
    WITH merged AS MATERIALIZED (
        SELECT m.value FROM jsonb_array_elements(coalesce(nullif(current_setting('pggit.adopted', true), ''), '[]')::jsonb) AS m
         WHERE (m.value ->> 'branch')::integer = p_branch_id AND (m.value ->> 'table')::integer = p_table_id AND m.value ->> 'name' = p_name
    )
    SELECT CASE WHEN m.value ->> 'type' = p_type AND m.value ? 'id'
                     AND NOT EXISTS (SELECT FROM pggit.columns AS c WHERE p_branch_id = 1 AND c.table_id = p_table_id AND c.column_id = (m.value ->> 'id')::integer)
                     AND NOT EXISTS (SELECT FROM pggit.branch_columns AS c WHERE c.branch_id = p_branch_id AND c.table_id = p_table_id AND c.column_id = (m.value ->> 'id')::integer)
                THEN (m.value ->> 'id')::integer ELSE pggit._next_column_id(p_table_id) END,
           (m.value ->> 'origin')::integer
      FROM (SELECT) AS one LEFT JOIN merged AS m ON true;
$$;

COMMENT ON FUNCTION pggit._adopted_column(integer, integer, text, text) IS
'Which number a new column of a table gets. One that a merge brings (local setting pggit.adopted: array of {branch, table, name, type, id, origin}) is the column that it is on the other side: it keeps its origin, and its number (id; none: it comes out of the past, and
begins another life) where the values in the stores have the same type.';

CREATE OR REPLACE FUNCTION pggit._has_column(p_store text, p_table_id integer, p_column_id integer)
    RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = to_regclass(format('pggit.%s_%s', p_store, p_table_id)) AND a.attname = 'c' || p_column_id AND NOT a.attisdropped);
$$;

COMMENT ON FUNCTION pggit._has_column(text, integer, integer) IS
'Whether a store (_log, _delta, _undo) of a table has a column already, from a branch or from main.';

CREATE OR REPLACE FUNCTION pggit._add_column(p_table_id integer, p_column record, p_origin integer, p_mark pggit._mark)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_new    record := pggit._adopted_column(1, p_table_id, p_column.name, p_column.type_name);
    v_stored text;
    v_store  text;
BEGIN
    INSERT INTO pggit.columns (table_id, column_id, attnum, name, type_name, generated_as, added_at, origin)
    VALUES (p_table_id, v_new.column_id, p_column.attnum, p_column.name, p_column.type_name, p_column.generated_as, p_mark, coalesce(v_new.origin, p_origin, v_new.column_id))
    RETURNING pggit._stored_column(columns) INTO v_stored;
    IF p_column.generated_as IS NULL THEN
        FOREACH v_store IN ARRAY ARRAY['_log', '_delta', '_undo'] LOOP
            CONTINUE WHEN pggit._has_column(v_store, p_table_id, v_new.column_id);
            EXECUTE format('ALTER TABLE pggit.%s_%s ADD %s', v_store, p_table_id, v_stored);
        END LOOP;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._add_column(integer, record, integer, pggit._mark) IS
'A new column of a tracked table, and of its stores. p_origin: of the column that it takes the place of, if any.';

CREATE OR REPLACE FUNCTION pggit._leave_gap(p_table pggit.tables, p_mark pggit._mark, p_reason text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF pggit._is_released(p_table.table_id) THEN
        PERFORM pggit._refuse_for_views(p_table, format('what dropped or retyped columns hold can''t be saved for them: %s', p_reason),
                                        'Change it in READ COMMITTED, with pggit.materialize_ddl_limit above the table''s size.');
    END IF;
    UPDATE pggit.tables AS t SET shape_at = p_mark WHERE t.table_id = p_table.table_id;
    RAISE WARNING USING
        MESSAGE = format('what dropped or retyped columns of table %I.%I held is not saved: its states from before can''t be read any more (VG306)', p_table.schema_name, p_table.table_name),
        DETAIL  = format('It is not saved because %s.', p_reason),
        HINT    = CASE WHEN pggit._is_told_of_ddl() THEN 'To keep them, roll back, and change the table in READ COMMITTED by a statement that names table and column, with pggit.save_limit above the table''s size.'
                       ELSE 'A superuser who runs sql/setup.sql lets pggit know of such statements in time.' END;
END;
$$;

COMMENT ON FUNCTION pggit._leave_gap(pggit.tables, pggit._mark, text) IS
'Ends the part of a table''s history that can be read at a mark, and warns of it.';

CREATE OR REPLACE FUNCTION pggit._follow_schema(p_old text, p_new text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_old <> p_new AND to_regnamespace(quote_ident(p_old)) IS NULL THEN
        UPDATE pggit.tracked_schemas AS s SET schema_name = p_new
         WHERE s.schema_name = p_old AND NOT EXISTS (SELECT FROM pggit.tracked_schemas AS o WHERE o.schema_name = p_new);
        UPDATE pggit.branch_schemas AS s SET base_schema = p_new
         WHERE s.base_schema = p_old AND NOT EXISTS (SELECT FROM pggit.branch_schemas AS o WHERE o.branch_id = s.branch_id AND o.base_schema = p_new);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._follow_schema(text, text) IS
'A table is in another schema, and the one it was in is gone: the schema has been renamed. What is tracked and what branches show stands under its new name.';

CREATE OR REPLACE FUNCTION pggit._follow_schemas()
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._follow_schema(s.schema_name, n.nspname) FROM pggit.tracked_schemas AS s JOIN pg_namespace AS n ON n.oid = s.namespace WHERE s.place = pggit._place();
    UPDATE pggit.tracked_schemas AS s SET namespace = n.oid, place = pggit._place()
      FROM pg_namespace AS n WHERE n.nspname = s.schema_name AND (s.namespace, s.place) IS DISTINCT FROM (n.oid, pggit._place());
END;
$$;

COMMENT ON FUNCTION pggit._follow_schemas() IS
'Follows tracked schemas that have been renamed, also those without tables, and notes which they are.';

CREATE OR REPLACE FUNCTION pggit._renew_write_functions(p_relation oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._renew_write_functions_of(t.table_id)
       FROM pggit.tables AS t
      WHERE t.untracked_at IS NULL
        AND (t.relation = p_relation OR EXISTS (SELECT FROM pg_constraint AS c WHERE c.contype = 'f' AND ((c.conrelid = t.relation AND c.confrelid = p_relation)
                                                                                                       OR (c.confrelid = t.relation AND c.conrelid = p_relation))));
END;
$$;

COMMENT ON FUNCTION pggit._renew_write_functions(oid) IS
'Names of a table on main have changed: makes the functions anew that write it on branches, and those of tables with foreign keys to it or from it.';

CREATE OR REPLACE FUNCTION pggit._follow_names(p_relation oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table  pggit.tables;
    v_class  record;
    v_column record;
    v_names  jsonb;
    v_mark   pggit._mark;
BEGIN
    SELECT n.nspname, c.relname INTO v_class FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_relation;
    SELECT t.* INTO v_table FROM pggit.tables AS t WHERE t.relation = p_relation AND t.untracked_at IS NULL FOR NO KEY UPDATE;
    v_names := (SELECT jsonb_object_agg(c.column_id, c.name) FROM pggit.columns AS c WHERE c.table_id = v_table.table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL);
    UPDATE pggit.tables AS t SET schema_name = v_class.nspname, table_name = v_class.relname WHERE t.table_id = v_table.table_id;
    UPDATE pggit.columns AS c SET name = a.attname
      FROM pg_attribute AS a
     WHERE c.table_id = v_table.table_id AND c.dropped_at IS NULL AND a.attrelid = p_relation AND a.attnum = c.attnum AND NOT a.attisdropped AND c.name <> a.attname;
    FOR v_column IN
        SELECT c.column_id, c.origin, l.* FROM pggit.columns AS c JOIN pggit._live_columns(p_relation) AS l USING (attnum)
         WHERE c.table_id = v_table.table_id AND c.dropped_at IS NULL AND l.generated_as <> c.generated_as
    LOOP
        PERFORM pggit._record_transaction(), nextval('pggit._ordinal');
        v_mark := pggit._mark_now();
        UPDATE pggit.columns AS c SET dropped_at = v_mark, names = v_names WHERE c.table_id = v_table.table_id AND c.column_id = v_column.column_id;
        PERFORM pggit._add_column(v_table.table_id, v_column, v_column.origin, v_mark);
    END LOOP;
    PERFORM pggit._create_capture_functions(v_table.table_id);
    PERFORM pggit._follow_schema(v_table.schema_name, v_class.nspname);
    PERFORM pggit._renew_write_functions(p_relation);
END;
$$;

COMMENT ON FUNCTION pggit._follow_names(oid) IS
'Takes over the names that a table and its columns have now, also in expressions of generated columns, and nothing else: no store changes, no lock on the table. The rest is for
pggit._follow_shape.';

CREATE OR REPLACE FUNCTION pggit._before_view_statement()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._follow_names(t.relation)
       FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE t.untracked_at IS NULL AND t.place = pggit._place()
        AND (t.table_id = TG_ARGV[0]::integer
             OR EXISTS (SELECT FROM pg_constraint AS k JOIN pggit.tables AS o ON o.table_id = TG_ARGV[0]::integer
                         WHERE k.contype = 'f' AND ((k.conrelid = o.relation AND k.confrelid = t.relation) OR (k.confrelid = o.relation AND k.conrelid = t.relation))))
        AND ((t.schema_name, t.table_name) <> (n.nspname, c.relname)
             OR EXISTS (SELECT FROM pggit.columns AS l JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attnum = l.attnum
                         WHERE l.table_id = t.table_id AND l.dropped_at IS NULL AND NOT a.attisdropped AND l.name <> a.attname));
    PERFORM pggit._await_function(p.proname) FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid WHERE g.tgrelid = TG_RELID AND g.tgname = 'pggit_write';
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._before_view_statement() IS
'Where no event trigger tells of DDL: before a branch view is written, main''s new names go into the function that writes it. Argument: table id.';

CREATE OR REPLACE FUNCTION pggit._may_differ(p_table_id integer, p_relation oid, p_is_rewritten boolean)
    RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pggit.columns AS c LEFT JOIN pggit._live_columns(p_relation) AS l USING (attnum) LEFT JOIN pg_attribute AS a ON a.attrelid = p_relation AND a.attnum = c.attnum
                    WHERE c.table_id = p_table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL
                      AND (l.attnum IS NULL OR l.type_name <> c.type_name OR l.generated_as IS NOT NULL
                           OR (p_is_rewritten AND (pggit._is_told_of_ddl() OR c.catalog_row IS DISTINCT FROM pggit._row_version(a.xmin, a.ctid)))));
$$;

COMMENT ON FUNCTION pggit._may_differ(integer, oid, boolean) IS
'Whether the values of a changed table may be others than its history knows: columns are gone or have another type, or were computed anew.';

CREATE OR REPLACE FUNCTION pggit._follow_shape(p_relation oid, p_in_statement boolean DEFAULT false, p_saved jsonb DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table     pggit.tables;
    v_class     record;
    v_column    record;
    v_told      boolean := pggit._is_told_of_ddl();
    v_rewritten boolean;
    v_mark      pggit._mark;
    v_names     jsonb;
    v_anew      boolean := false;
    v_lost      boolean := false;
BEGIN
    p_relation := pggit._root(p_relation);
    SELECT n.nspname, c.relname INTO v_class FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_relation;
    -- Whoever meets the change first follows it; the others wait here.
    SELECT t.* INTO v_table FROM pggit.tables AS t WHERE t.relation = p_relation AND t.untracked_at IS NULL FOR NO KEY UPDATE;

    IF v_table.table_id IS NULL THEN
        IF NOT p_in_statement AND EXISTS (SELECT FROM pggit.tracked_schemas AS s WHERE s.schema_name = v_class.nspname AND v_class.relname <> ALL (s.excluded))
           AND pggit._unsupported(p_relation) IS NULL AND NOT pggit._is_ignored(p_relation) AND NOT pggit._is_paused() THEN
            PERFORM pggit._track(p_relation);
        END IF;
        RETURN;
    END IF;

    IF v_table.place <> pggit._place() THEN
        PERFORM pggit._find_columns(v_table.table_id);
        SELECT t.* INTO v_table FROM pggit.tables AS t WHERE t.table_id = v_table.table_id;
    END IF;
    p_saved := coalesce(p_saved, nullif(current_setting('pggit.saved', true), '')::jsonb -> v_table.table_id::text);
    v_rewritten := CASE WHEN v_told THEN p_relation::text = ANY (string_to_array(coalesce(current_setting('pggit.rewritten', true), ''), ','))
                        ELSE pggit._is_rewritten(v_table.storage, pggit._storage(p_relation)) END;
    UPDATE pggit.tables AS t
       SET fingerprint = pggit._fingerprint(p_relation), storage = pggit._storage(p_relation), schema_name = v_class.nspname, table_name = v_class.relname
     WHERE t.table_id = v_table.table_id;

    -- Another key, or none: what the stores are keyed by is gone. Or what can't be tracked; or what statements may have written unseen, where nothing tells of DDL: a table that
    -- others inherit from by now.
    IF EXISTS (SELECT FROM (SELECT c.attnum, c.key_position FROM pggit.columns AS c
                             WHERE c.table_id = v_table.table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL) AS c
                 FULL JOIN (SELECT l.attnum, l.key_position FROM pggit._live_columns(p_relation) AS l WHERE l.key_position IS NOT NULL) AS l
                   USING (attnum, key_position)
                WHERE c IS NULL OR l IS NULL)
       OR pggit._unsupported(p_relation) IS NOT NULL
       OR (NOT v_told AND pggit._is_row_by_row(p_relation) AND NOT pggit._is_captured_row_by_row(p_relation)) THEN
        PERFORM pggit._begin_anew(v_table, p_in_statement, p_saved,
                                  pggit._may_differ(v_table.table_id, p_relation, v_rewritten) OR (NOT v_told AND pggit._is_row_by_row(p_relation) <> pggit._is_captured_row_by_row(p_relation)));
        RETURN;
    ELSIF NOT p_in_statement AND pggit._is_row_by_row(p_relation) <> pggit._is_captured_row_by_row(p_relation) THEN
        PERFORM pggit._create_capture(v_table.table_id);
    END IF;

    PERFORM nextval('pggit._ordinal');
    v_mark  := pggit._mark_now();
    v_names := (SELECT jsonb_object_agg(c.column_id, c.name) FROM pggit.columns AS c WHERE c.table_id = v_table.table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL);
    FOR v_column IN
        SELECT c.column_id, c.origin, c.name AS old_name, c.type_name AS old_type, c.generated_as AS old_generated, l.*,
               v_rewritten AND (v_told OR c.catalog_row IS DISTINCT FROM pggit._row_version(a.xmin, a.ctid)) AS may_differ
          FROM (SELECT c.* FROM pggit.columns AS c WHERE c.table_id = v_table.table_id AND c.dropped_at IS NULL) AS c
          FULL JOIN pggit._live_columns(p_relation) AS l ON l.attnum = c.attnum
          LEFT JOIN pg_attribute AS a ON a.attrelid = p_relation AND a.attnum = l.attnum
         ORDER BY coalesce(l.attnum, c.attnum)
    LOOP
        IF v_column.column_id IS NULL THEN
            v_anew := true;
            PERFORM pggit._add_column(v_table.table_id, v_column, NULL, v_mark);
        ELSIF (v_column.type_name, v_column.generated_as) IS NOT DISTINCT FROM (v_column.old_type, v_column.old_generated) THEN
            v_lost := v_lost OR (v_column.may_differ AND v_column.generated_as IS NULL);
            IF v_column.may_differ AND v_column.key_position IS NOT NULL AND jsonb_typeof(p_saved) = 'number' AND NOT pggit._keeps_keys(v_table.table_id, p_saved, v_column.old_type, v_column.type_name) THEN
                PERFORM pggit._begin_anew(v_table, p_in_statement, p_saved, true);
                RETURN;
            END IF;
            IF v_column.name <> v_column.old_name THEN
                v_anew := true;
                UPDATE pggit.columns AS c SET name = v_column.name WHERE c.table_id = v_table.table_id AND c.column_id = v_column.column_id;
            END IF;
            IF v_column.generated_as IS NULL AND pggit._has_other_collation(v_table.table_id, v_column.column_id, p_relation, v_column.attnum) THEN
                BEGIN
                    PERFORM pggit._retype_stores(v_table.table_id, v_column.column_id, v_column.type_name, v_column.key_position IS NOT NULL);
                EXCEPTION WHEN unique_violation THEN
                    -- Keys of history are equal by now.
                    PERFORM pggit._begin_anew(v_table, p_in_statement, p_saved, pggit._may_differ(v_table.table_id, p_relation, v_rewritten));
                    RETURN;
                END;
            END IF;
        ELSIF coalesce(v_column.generated_as, v_column.old_generated) IS NULL
              AND (CASE WHEN v_column.may_differ THEN v_column.key_position IS NOT NULL AND pggit._keeps_keys(v_table.table_id, p_saved, v_column.old_type, v_column.type_name)
                        ELSE NOT pggit._is_shown(v_table.table_id, v_column.column_id) AND pggit._keeps_values(v_column.old_type, v_column.type_name)
                             -- A column that had other types is compared with those by its type of now, which can't change then.
                             AND (v_column.origin = v_column.column_id OR jsonb_typeof(p_saved) IS DISTINCT FROM 'number') END) THEN
            v_anew := true;
            PERFORM pggit._retype_stores(v_table.table_id, v_column.column_id, v_column.type_name, v_column.key_position IS NOT NULL);
        ELSE
            v_anew := true;
            v_lost := v_lost OR v_column.old_generated IS NULL;
            IF v_column.key_position IS NOT NULL THEN
                PERFORM pggit._begin_anew(v_table, p_in_statement, p_saved, true);
                RETURN;
            END IF;
            UPDATE pggit.columns AS c SET dropped_at = v_mark, names = CASE WHEN c.generated_as IS NOT NULL THEN v_names END
             WHERE c.table_id = v_table.table_id AND c.column_id = v_column.column_id;
            IF v_column.name IS NOT NULL THEN
                PERFORM pggit._add_column(v_table.table_id, v_column, v_column.origin, v_mark);
            END IF;
        END IF;
    END LOOP;
    UPDATE pggit.columns AS c SET catalog_row = pggit._row_version(a.xmin, a.ctid)
      FROM pg_attribute AS a
     WHERE c.table_id = v_table.table_id AND c.dropped_at IS NULL AND a.attrelid = p_relation AND a.attnum = c.attnum AND c.catalog_row IS DISTINCT FROM pggit._row_version(a.xmin, a.ctid);

    v_lost := v_lost OR (NOT v_told AND pggit._has_other_values(v_table));
    IF v_anew THEN
        PERFORM pggit._record_transaction();  -- when it was, for refs by time
    END IF;
    IF v_anew OR (v_class.nspname, v_class.relname) IS DISTINCT FROM (v_table.schema_name::name, v_table.table_name::name) THEN
        PERFORM pggit._create_capture_functions(v_table.table_id);
        PERFORM pggit._follow_schema(v_table.schema_name, v_class.nspname);
        PERFORM pggit._renew_write_functions(v_table.relation);
    END IF;
    PERFORM pggit._follow_partitions(v_table, p_in_statement);
    PERFORM pggit._note_partition_columns(v_table.table_id);
    IF jsonb_typeof(p_saved) = 'number' THEN
        PERFORM pggit._settle_saved(v_table.table_id, p_saved::bigint, v_lost);
    ELSIF v_lost THEN
        PERFORM pggit._leave_gap(v_table, v_mark, coalesce(p_saved #>> '{}', CASE WHEN v_told THEN 'the statement does not name the table and the column'
                                                                                          ELSE 'no event trigger tells pggit of such statements' END));
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._follow_shape(oid, boolean, jsonb) IS
'Brings capture in line with a table after DDL: tracks a new table of a tracked schema, follows renames, and added, dropped and retyped columns. What dropped or retyped columns held must
have been saved: p_saved is the ordinal of the rows that were, or the reason why not; without it, states from before can''t be read any more (VG306), with a WARNING.
A table with another key goes on as another one (pggit._begin_anew). p_in_statement: a statement on the table is running, so that its triggers can''t be changed.';

CREATE OR REPLACE FUNCTION pggit._forget_dropped(p_relations oid[])
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table pggit.tables;
BEGIN
    DELETE FROM pggit.partitions AS p USING pggit.tables AS t WHERE t.table_id = p.table_id AND t.relation = ANY (p_relations);
    IF cardinality(p_relations) > 0 THEN
        FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.relation = ANY (p_relations) AND t.untracked_at IS NULL AND pggit._is_in_history(t) ORDER BY t.table_id LOOP
            RAISE WARNING USING
                MESSAGE = format('table %I.%I is dropped, and its history with it: commits and tags that have it do not show it any more', v_table.schema_name, v_table.table_name),
                DETAIL  = format('Its rows are not saved because %s.', coalesce(nullif(current_setting('pggit.unsaved', true), '')::jsonb ->> v_table.relation::oid::bigint::text,
                                 CASE WHEN pggit._is_told_of_ddl() THEN 'the statement does not name the table' ELSE 'no event trigger tells pggit of such statements' END)),
                HINT    = CASE WHEN pggit._is_told_of_ddl() THEN 'To keep them, roll back, and drop the table in READ COMMITTED by a DROP TABLE that names it, with pggit.save_limit above its size.'
                               ELSE 'A branch that has the table keeps it, and its history: make one before you drop it, or drop it on a branch and merge that.' END;
        END LOOP;
        PERFORM pg_current_xact_id();  -- so that the mark names it
        UPDATE pggit.tables AS t SET untracked_at = pggit._mark_now(), relation = 0 WHERE t.relation = ANY (p_relations) AND t.untracked_at IS NULL;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._forget_dropped(oid[]) IS
'Ends the tracking of tables that were dropped; what was recorded of them stays.';

CREATE OR REPLACE FUNCTION pggit._watch_tables()
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '900ms'
AS $$
DECLARE
    v_one record;
BEGIN
    FOR v_one IN
        SELECT t.table_id, NULL::integer AS branch_id, 'main' AS form, t.relation::regclass AS relation
          FROM pggit.tables AS t JOIN pg_trigger AS g ON g.tgrelid = t.relation AND g.tgname = 'pggit_before'
         WHERE t.untracked_at IS NULL AND NOT encode(g.tgargs, 'escape') LIKE '%watch%'
        UNION ALL
        -- TRUNCATE has the bit 32. A view's trigger has no such argument: it is there or not.
        SELECT bt.table_id, bt.branch_id, bt.form, bt.relation::regclass
          FROM pggit.branch_tables AS bt LEFT JOIN pg_trigger AS g ON g.tgrelid = bt.relation AND g.tgname = 'pggit_before'
         WHERE CASE bt.form WHEN 'view' THEN g.oid IS NULL ELSE g.tgtype & 32 = 0 OR NOT encode(g.tgargs, 'escape') LIKE '%watch%' END
    LOOP
        BEGIN
            IF v_one.form = 'main' THEN
                PERFORM pggit._create_capture(v_one.table_id);
            ELSIF v_one.form = 'view' THEN
                EXECUTE pggit._watch_trigger_sql(v_one.relation::text, v_one.table_id);
            ELSE
                PERFORM pggit._drop_capture(v_one.relation);
                PERFORM pggit._capture_real(v_one.branch_id, v_one.table_id, v_one.relation::text, pggit._branch_now(v_one.branch_id));
            END IF;
        EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
            RAISE WARNING 'changes of table % are not watched yet, the next commit tries again: %', v_one.relation, SQLERRM;
        END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._watch_tables() IS
'Where event triggers were lost (a plain owner restored the database), and where an older version made them, the tables'' own triggers watch for DDL from here on, on main and on branches.
Waits for no lock longer than 0.9 seconds.';

CREATE OR REPLACE FUNCTION pggit._follow_each(p_relations oid[])
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '900ms'
AS $$
DECLARE
    v_relation oid;
BEGIN
    FOREACH v_relation IN ARRAY p_relations LOOP
        BEGIN
            PERFORM pggit._follow_shape(v_relation);
        EXCEPTION WHEN lock_not_available OR insufficient_privilege OR SQLSTATE 'VG401' THEN
            RAISE WARNING 'table % could not be followed, the next commit tries again: %', v_relation::regclass, SQLERRM;
        END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._follow_each(oid[]) IS
'pggit._follow_shape for relations that nobody told of. Waits for no lock longer than 0.9 seconds.';

CREATE OR REPLACE FUNCTION pggit._follow_branches(p_relation oid)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '900ms'
AS $$
DECLARE
    v_shown pggit.branch_tables;
BEGIN
    FOR v_shown IN
        SELECT bt.* FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
         WHERE bt.form = 'table' AND (p_relation IS NULL OR p_relation IN (bt.relation, t.relation)) AND bt.watched[1] <> pggit._column_versions(bt.relation)
    LOOP
        BEGIN
            PERFORM pggit._follow_branch_table(v_shown, NULL, true);
        EXCEPTION WHEN lock_not_available OR SQLSTATE 'VG401' THEN
            RAISE WARNING 'table % could not be followed, the next commit tries again: %', v_shown.relation::regclass, SQLERRM;
        END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._follow_branches(oid) IS
'Where no event trigger tells of DDL: follows the real tables of branches that have changed, or only those that stand for one table. They are of all branches, for a diff reads others than the session''s.';

CREATE OR REPLACE FUNCTION pggit._follow_changed(p_relation oid DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT pggit._is_told_of_ddl() AND NOT current_setting('transaction_read_only')::boolean THEN
        -- A look at the partitions locks them, which DDL does after the root.
        PERFORM pggit._hold_base(t.table_id) FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation
          WHERE t.untracked_at IS NULL AND (p_relation IS NULL OR t.relation = p_relation) AND c.relkind = 'p';
        PERFORM pggit._follow_each(ARRAY(SELECT t.relation FROM pggit.tables AS t
                                          WHERE t.untracked_at IS NULL AND (p_relation IS NULL OR t.relation = p_relation) AND (t.fingerprint <> pggit._fingerprint(t.relation)
                                               OR EXISTS (SELECT FROM pggit.partitions AS p WHERE p.table_id = t.table_id AND NOT p.captured))));
        PERFORM pggit._follow_branches(p_relation);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._follow_changed(oid) IS
'Where no event trigger tells of DDL: follows the tracked tables, or the one given, that have changed, on main and on branches. What reads the history begins with it.';

CREATE OR REPLACE FUNCTION pggit._follow_unseen()
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._find_columns(t.table_id) FROM pggit.tables AS t WHERE t.untracked_at IS NULL AND t.place <> (SELECT pggit._place());
    PERFORM pggit._follow_schemas();
    PERFORM pggit._settle_pauses();
    IF pggit._is_told_of_ddl() THEN
        RETURN;
    END IF;
    PERFORM pggit._watch_tables();
    PERFORM pggit._follow_types();
    PERFORM pggit._forget_dropped(ARRAY(SELECT t.relation FROM pggit.tables AS t
                                         WHERE t.untracked_at IS NULL AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.relation)));
    PERFORM pggit._follow_changed();
    PERFORM pggit._follow_numbers(ARRAY(SELECT t.table_id FROM pggit.tables AS t WHERE t.untracked_at IS NULL));
    PERFORM pggit._follow_tables_of(b) FROM pggit.branches AS b WHERE b.branch_id <> 1 AND b.deleted_at IS NULL;
    PERFORM pggit._follow_new_tables();
    PERFORM pggit._free_types(false);
END;
$$;

COMMENT ON FUNCTION pggit._follow_unseen() IS
'Where no event trigger tells of DDL: finds new, changed and dropped tables.';

CREATE OR REPLACE FUNCTION pggit._warn_of_row_security(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branches text;
BEGIN
    PERFORM pggit._collect_detached(false)
      WHERE EXISTS (SELECT FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) JOIN pg_class AS c ON c.oid = t.relation
                     WHERE t.table_id = p_table_id AND bt.form = 'view' AND c.relrowsecurity);
    v_branches := (SELECT string_agg(b.name, ', ' ORDER BY b.name) FROM pggit.branch_tables AS bt JOIN pggit.branches AS b USING (branch_id) JOIN pggit.tables AS t USING (table_id)
                     JOIN pg_class AS c ON c.oid = t.relation WHERE t.table_id = p_table_id AND b.mode <> 'detached' AND bt.form = 'view' AND c.relrowsecurity);
    IF v_branches IS NOT NULL THEN
        RAISE WARNING USING
            MESSAGE = format('row-level security of table %s does not hold on branches that show it as a view: %s', (SELECT t.relation::regclass FROM pggit.tables AS t WHERE t.table_id = p_table_id), v_branches),
            HINT    = 'pggit.materialize makes it a real table of the branch, with its policies. pggit.branch_capabilities tells for each branch.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._warn_of_row_security(integer) IS
'A branch view reads with the rights of who installed pggit. A table with row-level security is a real one on new branches; one that gets it later is a view on those that there are.';

CREATE OR REPLACE FUNCTION pggit._keep_capturing(p_relation oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_trigger  record;
    v_disabled text[] := '{}';
BEGIN
    FOR v_trigger IN
        -- Those on rows are for replicas' writes alone (pggit._put_row_capture).
        SELECT g.tgname, g.tgenabled, d.due FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid CROSS JOIN LATERAL (SELECT CASE WHEN g.tgname LIKE '  %' THEN 'REPLICA' ELSE 'ALWAYS' END) AS d(due)
         WHERE g.tgrelid = p_relation AND g.tgenabled <> left(d.due, 1)::"char" AND p.pronamespace = 'pggit'::regnamespace AND p.proname ~ '^(_before_statement|_capture_|_after_truncate)'
           AND EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = p_relation AND t.untracked_at IS NULL UNION ALL SELECT FROM pggit.partitions AS r WHERE r.relation = p_relation)
         ORDER BY g.tgname
    LOOP
        IF v_trigger.tgenabled = 'D' THEN
            v_disabled := v_disabled || format('ENABLE %s TRIGGER %I', v_trigger.due, v_trigger.tgname);
        ELSE
            EXECUTE format('ALTER TABLE %s ENABLE %s TRIGGER %I', p_relation::regclass, v_trigger.due, v_trigger.tgname);
        END IF;
    END LOOP;
    IF v_disabled <> '{}' THEN
        RAISE WARNING USING
            MESSAGE = format('what is written to table %s from now on is in no history: pggit''s triggers on it are disabled', p_relation::regclass),
            HINT    = format('ALTER TABLE %s %s; pggit.verify() finds what was written meanwhile.', p_relation::regclass, array_to_string(v_disabled, ', '));
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._keep_capturing(oid) IS
'After ALTER TABLE: warns of capture triggers that are disabled, and enables those as they were that ENABLE TRIGGER ALL has enabled otherwise, so that they would miss what replicas write.';

CREATE OR REPLACE FUNCTION pggit._is_temporary_ddl()
    RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT bool_and(d.schema_name = 'pg_temp') FROM pg_event_trigger_ddl_commands() AS d) IS TRUE;
END;
$$;

COMMENT ON FUNCTION pggit._is_temporary_ddl() IS
'In an event trigger of ddl_command_end: whether all that was made is temporary.';

CREATE OR REPLACE FUNCTION pggit._on_ddl_end()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_saved    jsonb := coalesce(nullif(current_setting('pggit.saved', true), ''), '{}');
    v_relation oid;
    v_table_id integer;
    v_changed  oid[];
    v_context  text;
BEGIN
    IF current_setting('pggit.following', true) = 'on' OR (TG_TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'CREATE INDEX') AND pggit._is_temporary_ddl()) THEN
        RETURN;
    END IF;
    GET DIAGNOSTICS v_context = PG_CONTEXT;
    PERFORM set_config('pggit.following', 'on', true);
    IF TG_TAG = 'ALTER SCHEMA' THEN
        PERFORM pggit._follow_schemas();
        PERFORM pggit._follow_types();  -- first: the columns are still of the same types
    END IF;
    FOR v_relation IN
        WITH changed AS MATERIALIZED (
            SELECT d.objid FROM pg_event_trigger_ddl_commands() AS d
             WHERE d.classid = 'pg_class'::regclass AND d.object_type IN ('table', 'table column') AND NOT d.in_extension
               AND d.schema_name NOT IN ('pggit', 'pg_temp')
        )
        SELECT c.objid FROM changed AS c
        UNION
        SELECT d FROM pggit._descendants(ARRAY(SELECT c.objid FROM changed AS c)) AS d
         WHERE EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = d AND t.untracked_at IS NULL)
        UNION
        SELECT h.inhparent FROM changed AS c JOIN pg_inherits AS h ON h.inhrelid = c.objid JOIN pg_class AS p ON p.oid = h.inhparent AND p.relkind = 'r'
         WHERE EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = h.inhparent AND t.untracked_at IS NULL)
        UNION
        SELECT t.relation FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation
         WHERE TG_TAG = 'ALTER SCHEMA' AND t.untracked_at IS NULL AND c.relnamespace IS DISTINCT FROM to_regnamespace(quote_ident(t.schema_name))
    LOOP
        v_table_id := (SELECT t.table_id FROM pggit.tables AS t WHERE t.relation = v_relation AND t.untracked_at IS NULL);
        PERFORM pggit._follow_shape(v_relation, false, v_saved -> v_table_id::text);
        UPDATE pggit.tables AS t SET is_made = true
         WHERE TG_TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO') AND v_table_id IS NULL AND t.relation = v_relation AND t.untracked_at IS NULL;
        PERFORM pggit._warn_of_row_security(v_table_id);
        PERFORM pggit._keep_capturing(v_relation) WHERE TG_TAG = 'ALTER TABLE' AND NOT pggit._is_own_ddl(v_context);
        v_saved := v_saved - coalesce(v_table_id::text, '');
    END LOOP;
    IF current_setting('pggit.numbered', true) <> '' THEN
        PERFORM pggit._share_numbers();
    END IF;
    v_changed := ARRAY(SELECT d.objid FROM pg_event_trigger_ddl_commands() AS d
                        WHERE TG_TAG IN ('ALTER TABLE', 'ALTER SEQUENCE', 'ALTER SCHEMA') AND d.classid IN ('pg_class'::regclass, 'pg_namespace'::regclass) AND d.schema_name IS DISTINCT FROM 'pggit');
    IF v_changed <> '{}' THEN
        PERFORM pggit._follow_numbers(pggit._numbered_tables(v_changed));
    END IF;
    IF TG_TAG LIKE 'DROP %' THEN
        PERFORM pggit._unsave_partitions();
        PERFORM pggit._unprepare_to_leave();
    END IF;
    PERFORM pggit._settle_saved(s.key::integer, s.value::bigint, false) FROM jsonb_each(v_saved) AS s WHERE jsonb_typeof(s.value) = 'number';
    IF current_setting('pggit.released', true) <> '' THEN
        PERFORM pggit._restore_views();
    END IF;
    PERFORM set_config('pggit.following', '', true), set_config('pggit.saved', '', true), set_config('pggit.rewritten', '', true);
END;
$$;

COMMENT ON FUNCTION pggit._on_ddl_end() IS
'Event trigger: new and changed tables are followed, also by ALTER INDEX, which renames tables too. DDL of pggit''s own that this takes is left alone.';

CREATE OR REPLACE FUNCTION pggit._on_drop()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
DECLARE
    v_dropped  oid[] := (SELECT array_agg(d.objid) FROM pg_event_trigger_dropped_objects() AS d
                          WHERE d.classid = 'pg_class'::regclass AND d.object_type = 'table' AND d.schema_name <> 'pggit');
    v_relation oid;
BEGIN
    IF v_dropped IS NOT NULL THEN
        PERFORM pggit._leave_main(v_dropped);
        PERFORM pggit._forget_dropped(v_dropped);
        PERFORM pggit._follow_shape(t.relation) FROM pggit.tables AS t
          WHERE t.untracked_at IS NULL AND EXISTS (SELECT FROM pggit.partitions AS p WHERE p.table_id = t.table_id AND p.relation = ANY (v_dropped));
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
'Event trigger: dropped tables are no longer tracked, the rows of dropped partitions are gone, and columns that were dropped by CASCADE are followed.';

CREATE OR REPLACE FUNCTION pggit._on_leave_past()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
DECLARE
    v_context text;
BEGIN
    GET DIAGNOSTICS v_context = PG_CONTEXT;
    IF current_setting('pggit.following', true) = 'on' OR ((pggit._session_branch())).branch_id IS NOT NULL OR pggit._is_own_ddl(v_context) THEN
        RETURN;
    END IF;
    PERFORM set_config('pggit.following', 'on', true);
    PERFORM pggit._collect_detached(false);
    PERFORM set_config('pggit.following', '', true);
END;
$$;

COMMENT ON FUNCTION pggit._on_leave_past() IS
'Event trigger: states of the past go where nobody looks at them, for their tables have main''s policies of when they were made, and depend on types and functions that main may drop.';

DO $triggers$
BEGIN
    IF NOT current_setting('is_superuser')::boolean THEN
        RETURN;
    END IF;
    DROP EVENT TRIGGER IF EXISTS pggit_ddl_path;
    DROP EVENT TRIGGER IF EXISTS pggit_ddl_start;
    DROP EVENT TRIGGER IF EXISTS pggit_rewrite;
    DROP EVENT TRIGGER IF EXISTS pggit_ddl_end;
    DROP EVENT TRIGGER IF EXISTS pggit_drop;
    DROP EVENT TRIGGER IF EXISTS pggit_leave_past_drop;
    DROP EVENT TRIGGER IF EXISTS pggit_leave_past_rights;
    CREATE EVENT TRIGGER pggit_ddl_path ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION pggit._on_ddl_path();
    CREATE EVENT TRIGGER pggit_ddl_start ON ddl_command_start WHEN TAG IN ('ALTER TABLE', 'DROP TABLE', 'DROP SCHEMA', 'DROP OWNED') EXECUTE FUNCTION pggit._on_ddl_start();
    CREATE EVENT TRIGGER pggit_rewrite ON table_rewrite EXECUTE FUNCTION pggit._on_rewrite();
    CREATE EVENT TRIGGER pggit_ddl_end ON ddl_command_end
        WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'ALTER INDEX', 'ALTER SEQUENCE', 'CREATE SCHEMA', 'ALTER SCHEMA', 'DROP TABLE', 'DROP SCHEMA',
                     'DROP OWNED')
        EXECUTE FUNCTION pggit._on_ddl_end();
    CREATE EVENT TRIGGER pggit_drop ON sql_drop EXECUTE FUNCTION pggit._on_drop();
    ALTER EVENT TRIGGER pggit_ddl_path ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_ddl_start ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_rewrite ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_ddl_end ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_drop ENABLE ALWAYS;
    CREATE EVENT TRIGGER pggit_leave_past_drop ON ddl_command_start
        WHEN TAG IN ('DROP TYPE', 'DROP DOMAIN', 'DROP COLLATION', 'DROP FUNCTION', 'DROP PROCEDURE', 'DROP ROUTINE', 'DROP AGGREGATE', 'DROP OPERATOR', 'DROP OPERATOR CLASS', 'DROP OPERATOR FAMILY',
                     'DROP SEQUENCE', 'DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED')
        EXECUTE FUNCTION pggit._on_leave_past();
    CREATE EVENT TRIGGER pggit_leave_past_rights ON ddl_command_end WHEN TAG IN ('REVOKE', 'CREATE POLICY', 'ALTER POLICY', 'DROP POLICY') EXECUTE FUNCTION pggit._on_leave_past();
    ALTER EVENT TRIGGER pggit_leave_past_drop ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_leave_past_rights ENABLE ALWAYS;
END;
$triggers$;
