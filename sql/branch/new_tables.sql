-- Tables that are made on a branch. Each has a table id and stores like a table of main, and an empty table in the schema pggit that stands in for main's until a merge makes that one.

CREATE OR REPLACE FUNCTION pggit._note_table(p_table_id integer, p_branch_id integer, p_at pggit._mark, p_is_there boolean, p_schema text, p_name text)
    RETURNS void
    LANGUAGE sql
AS $$
    INSERT INTO pggit.table_changes (table_id, branch_id, at, is_there, schema_name, table_name) VALUES (p_table_id, p_branch_id, p_at, p_is_there, p_schema, p_name);
$$;

COMMENT ON FUNCTION pggit._note_table(integer, integer, pggit._mark, boolean, text, text) IS
'Notes that a table came, went or got another name on a branch. p_at NULL: the branch began with it.';

CREATE OR REPLACE FUNCTION pggit._next_mark()
    RETURNS pggit._mark
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._record_transaction();  -- when it was, for refs by time
    PERFORM nextval('pggit._ordinal');    -- a commit that this transaction made before is before it
    RETURN pggit._mark_now();
END;
$$;

COMMENT ON FUNCTION pggit._next_mark() IS
'A mark of this transaction that no commit made so far contains.';

CREATE OR REPLACE FUNCTION pggit._why_not_versioned(p_relation oid, p_base_schema text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT CASE WHEN NOT EXISTS (SELECT FROM pggit.tracked_schemas AS s WHERE s.schema_name = p_base_schema AND c.relname <> ALL (s.excluded))
                            THEN format('new tables of schema %I are not put under version control', p_base_schema)
                        WHEN pggit._unsupported(c.oid) IS NOT NULL THEN pggit._unsupported(c.oid)
                        WHEN c.relkind = 'p' THEN 'it is partitioned, which in this version only tables made on main can be'
                        WHEN EXISTS (SELECT FROM pg_inherits AS h WHERE c.oid IN (h.inhrelid, h.inhparent)) THEN 'it takes part in inheritance, which in this version only tables made on main can' END
              FROM pg_class AS c WHERE c.oid = p_relation);
END;
$$;

COMMENT ON FUNCTION pggit._why_not_versioned(oid, text) IS
'Why a table made on a branch is not under version control, or NULL when it is.';

CREATE OR REPLACE FUNCTION pggit._unversioned_tables(p_branch text)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT jsonb_agg(format('%I.%I', s.base_schema, c.relname) ORDER BY s.base_schema, c.relname)
              FROM pggit.branches AS b JOIN pggit.branch_schemas AS s USING (branch_id) JOIN pg_namespace AS n ON n.nspname = s.schema_name
              JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
             WHERE b.name = p_branch AND b.deleted_at IS NULL AND NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.relation = c.oid));
END;
$$;

COMMENT ON FUNCTION pggit._unversioned_tables(text) IS
'The tables made on a branch that have no history there, and that merges leave behind; NULL when there are none.';

CREATE OR REPLACE FUNCTION pggit._create_stand_in(p_table_id integer, p_relation oid)
    RETURNS regclass
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name text := format('pggit._main_%s', p_table_id);
    v_key  text := (SELECT pg_get_constraintdef(c.oid) FROM pg_constraint AS c WHERE c.conrelid = p_relation AND c.contype = 'p');
BEGIN
    EXECUTE format('CREATE TABLE %s (LIKE %s)', v_name, p_relation::regclass);
    IF v_key IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s ADD %s', v_name, v_key);
    END IF;
    RETURN v_name::regclass;
END;
$$;

COMMENT ON FUNCTION pggit._create_stand_in(integer, oid) IS
'Makes the empty table that stands in for one that main does not have: with the columns and the key by which its stores are made and read.';

CREATE OR REPLACE FUNCTION pggit._track_on_branch(p_branch_id integer, p_relation oid)
    RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_class    record;
    v_id       integer;
    v_stand_in regclass;
BEGIN
    SELECT s.base_schema, c.relname::text AS name, format('%I.%I', n.nspname, c.relname) AS full_name INTO v_class
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname WHERE c.oid = p_relation;
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', v_class.full_name);
    v_id       := nextval(pg_get_serial_sequence('pggit.tables', 'table_id'));
    v_stand_in := pggit._create_stand_in(v_id, p_relation);
    INSERT INTO pggit.tables (table_id, relation, schema_name, table_name, tracked_at, shape_at, digest, row_count, fingerprint, place, storage, on_main)
    OVERRIDING SYSTEM VALUE
    SELECT v_id, v_stand_in, v_class.base_schema, v_class.name, pggit._before_all(), pggit._before_all(), d.digest, 0, pggit._fingerprint(v_stand_in), pggit._place(), pggit._storage(v_stand_in), false
      FROM pggit._digest('SELECT NULL::text WHERE false') AS d;
    INSERT INTO pggit.columns (table_id, column_id, attnum, name, type_name, key_position, generated_as, origin)
    SELECT v_id, l.n, l.n, l.name, l.type_name, l.key_position, l.generated_as, l.n FROM (SELECT k.*, row_number() OVER (ORDER BY k.attnum) AS n FROM pggit._live_columns(p_relation) AS k) AS l;
    INSERT INTO pggit.branch_columns (branch_id, table_id, column_id, attnum, name, type_name, key_position, generated_as, origin)
    SELECT p_branch_id, v_id, c.column_id, l.attnum, c.name, c.type_name, c.key_position, c.generated_as, c.origin
      FROM pggit.columns AS c JOIN pggit._live_columns(p_relation) AS l USING (name) WHERE c.table_id = v_id;
    PERFORM pggit._note_table(v_id, 1, NULL, false, v_class.base_schema, v_class.name);
    PERFORM pggit._note_table(v_id, p_branch_id, pggit._next_mark(), true, v_class.base_schema, v_class.name);
    PERFORM pggit._create_stores(v_id);
    INSERT INTO pggit.branch_tables (branch_id, table_id, relation, form, names, watched)
    VALUES (p_branch_id, v_id, p_relation, 'table', pggit._names_of(p_relation), ARRAY[pggit._column_versions(p_relation), pggit._storage(p_relation), pggit._place()::text]);
    PERFORM pggit._log_present_rows(p_branch_id, v_id);
    PERFORM pggit._capture_real(p_branch_id, v_id, v_class.full_name, pggit._branch_now(p_branch_id));
    RETURN v_id;
END;
$$;

COMMENT ON FUNCTION pggit._track_on_branch(integer, oid) IS
'Puts a table that was made on a branch under version control there: table id, columns, stores and capture. The rows it has by now count as inserted.';

CREATE OR REPLACE FUNCTION pggit._log_present_rows(p_branch_id integer, p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
BEGIN
    IF pggit._is_keyless(p_table_id) THEN
        PERFORM pggit._tell_branch(p_table_id, p_branch_id);
        RETURN;
    END IF;
    PERFORM pggit._lock_base(p_branch_id);
    EXECUTE format('WITH present AS MATERIALIZED (%1$s), logged AS (
                        INSERT INTO pggit._undo_%2$s (_seq, _xid, _b, _owned, _live, _deleted, %3$s) SELECT $1, pggit._transaction_number(), %4$s, false, false, false, %5$s FROM present AS r
                    )
                    INSERT INTO pggit._mask_%2$s (_b, %3$s) SELECT %4$s, %5$s FROM present AS r',
                   pggit._dense_rows_sql(p_branch_id, p_table_id), p_table_id, pggit._key_columns(p_table_id), p_branch_id, pggit._key_columns(p_table_id, 'r')) USING nextval('pggit._ordinal');
END;
$$;

COMMENT ON FUNCTION pggit._log_present_rows(integer, integer) IS
'Logs the rows of a branch''s new real table as inserted, and marks them as the branch''s own.';

CREATE OR REPLACE FUNCTION pggit._follow_new_table(p_branch pggit.branches, p_relation oid)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_base text := (SELECT s.base_schema FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname WHERE c.oid = p_relation);
    v_why  text := pggit._why_not_versioned(p_relation, v_base);
BEGIN
    IF v_why IS NULL THEN
        PERFORM pggit._track_on_branch(p_branch.branch_id, p_relation);
    ELSIF NOT (SELECT c.relispartition FROM pg_class AS c WHERE c.oid = p_relation) THEN
        RAISE WARNING USING
            MESSAGE = format('table %s of branch %s has no history, and merges do not take it: %s', p_relation::regclass, p_branch.name, v_why),
            HINT    = 'Made on main, partitioned and inheriting tables have a history, and branches made after that have them. This one is in the way of pggit.delete_branch until it is dropped.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._follow_new_table(pggit.branches, oid) IS
'A table has been made on a branch: it is put under version control, or a WARNING says why not.';

CREATE OR REPLACE FUNCTION pggit._follow_tables_of(p_branch pggit.branches)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_relation oid;
BEGIN
    PERFORM pggit._drop_on_branch(bt, NULL, true)
       FROM pggit.branch_tables AS bt
      WHERE bt.branch_id = p_branch.branch_id AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = bt.relation);
    FOR v_relation IN
        WITH unknown AS MATERIALIZED (
            SELECT c.oid, s.base_schema
              FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.schema_name JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
             WHERE s.branch_id = p_branch.branch_id AND NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.relation = c.oid)
        )
        SELECT u.oid FROM unknown AS u WHERE pggit._why_not_versioned(u.oid, u.base_schema) IS NULL ORDER BY u.oid
    LOOP
        PERFORM pggit._track_on_branch(p_branch.branch_id, v_relation);
    END LOOP;
    PERFORM pggit._shut_names(p_branch.branch_id);
END;
$$;

COMMENT ON FUNCTION pggit._follow_tables_of(pggit.branches) IS
'Where no event trigger tells of DDL: follows the tables that were made on a branch, or dropped there, since it was looked at.';

CREATE OR REPLACE FUNCTION pggit._take_columns(p_table_id integer, p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_relation oid := (SELECT bt.relation FROM pggit.branch_tables AS bt WHERE bt.table_id = p_table_id AND bt.branch_id = p_branch_id);
    v_stand_in oid;
    v_missing  text;
BEGIN
    IF v_relation IS NULL OR NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.table_id = p_table_id AND NOT t.on_main)
       OR (SELECT jsonb_agg(to_jsonb(c) - 'attnum' - 'catalog_row' ORDER BY c.column_id) FROM pggit._columns_at(p_table_id, NULL) AS c)
          = (SELECT jsonb_agg(to_jsonb(c) - 'attnum' - 'catalog_row' || '{"added_at": null}' ORDER BY c.column_id) FROM pggit._columns_at(p_table_id, pggit._branch_now(p_branch_id)) AS c) THEN
        RETURN;
    END IF;
    EXECUTE format('DROP TABLE %s', t.relation::regclass) FROM pggit.tables AS t WHERE t.table_id = p_table_id;
    v_stand_in := pggit._create_stand_in(p_table_id, v_relation);
    UPDATE pggit.tables AS t SET relation = v_stand_in, fingerprint = pggit._fingerprint(v_stand_in), storage = pggit._storage(v_stand_in), place = pggit._place() WHERE t.table_id = p_table_id;
    DELETE FROM pggit.columns AS c WHERE c.table_id = p_table_id;
    INSERT INTO pggit.columns (table_id, column_id, attnum, name, type_name, key_position, generated_as, origin)
    SELECT p_table_id, c.column_id, row_number() OVER (ORDER BY c.attnum), c.name, c.type_name, c.key_position, c.generated_as, c.origin
      FROM pggit._columns_at(p_table_id, pggit._branch_now(p_branch_id)) AS c;
    SELECT string_agg('ADD ' || pggit._stored_column(c), ', ' ORDER BY c.column_id) INTO v_missing
      FROM pggit.columns AS c
     WHERE c.table_id = p_table_id AND c.generated_as IS NULL
       AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = format('pggit._log_%s', p_table_id)::regclass AND a.attname = 'c' || c.column_id AND NOT a.attisdropped);
    IF v_missing IS NOT NULL THEN
        EXECUTE format('ALTER TABLE pggit._log_%s %s', p_table_id, v_missing);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._take_columns(integer, integer) IS
'Gives what stands in for a table that main does not have the columns that the table has on a branch now.';

CREATE OR REPLACE FUNCTION pggit._copy_new_table(p_table_id integer, p_from integer, p_branch_id integer, p_rows boolean DEFAULT true)
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_from   record;
    v_schema text;
    v_name   text;
    v_ddl    record;
    v_one    record;
BEGIN
    SELECT bt.relation, c.relname::text AS table_name, c.relowner, s.base_schema INTO v_from
      FROM pggit.branch_tables AS bt JOIN pg_class AS c ON c.oid = bt.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname
     WHERE bt.branch_id = p_from AND bt.table_id = p_table_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG302', SCHEMA = 'pggit',
            MESSAGE = format('table %s was made on branch %L, which does not have it any more, so that nobody knows its definition', (SELECT format('%I.%I', t.schema_name, t.table_name) FROM pggit.tables AS t
                              WHERE t.table_id = p_table_id), (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_from)),
            HINT    = 'pggit.diff_rows shows the rows of then.';
    END IF;
    SELECT s.schema_name INTO STRICT v_schema FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND s.base_schema = v_from.base_schema;
    v_name := format('%I.%I', v_schema, v_from.table_name);
    v_ddl  := pggit._define(v_from.relation, p_from, v_schema, v_from.table_name);
    PERFORM pggit._open_name(p_branch_id, v_schema, v_from.table_name);
    PERFORM pggit._execute_on(p_branch_id, v_ddl.rows_first);
    IF current_setting('is_superuser')::boolean THEN
        EXECUTE format('ALTER TABLE %s OWNER TO %I', v_name, pg_get_userbyid(v_from.relowner));
    END IF;
    INSERT INTO pggit.branch_columns (branch_id, table_id, column_id, attnum, name, type_name, key_position, generated_as, origin)
    SELECT p_branch_id, p_table_id, c.column_id, a.attnum, c.name, c.type_name, c.key_position, c.generated_as, c.origin
      FROM pggit.columns AS c JOIN pg_attribute AS a ON a.attrelid = v_name::regclass AND a.attname = c.name WHERE c.table_id = p_table_id AND c.dropped_at IS NULL;
    IF NOT p_rows THEN
        PERFORM pggit._note_table(p_table_id, p_branch_id, pggit._next_mark(), true, v_from.base_schema, v_from.table_name);
    ELSE
        EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE %s', v_name,
                       (SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.column_id) FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.generated_as IS NULL AND c.dropped_at IS NULL),
                       pggit._state_sql(p_table_id, (pggit._working_position(p_branch_id))));
        EXECUTE format('DELETE FROM pggit._delta_%s AS d WHERE d._b = %s', p_table_id, p_branch_id);
    END IF;
    PERFORM pggit._execute_on(p_branch_id, v_ddl.rows_then);
    PERFORM pggit._copy_grants(v_from.relation, v_name::regclass);
    FOR v_one IN SELECT format('%I.%I', n.nspname, o.name) AS old, format('%I.%I', v_schema, o.name) AS new FROM pggit._own_sequences(v_from.relation) AS o
                   JOIN pg_class AS k ON k.oid = o.sequence JOIN pg_namespace AS n ON n.oid = k.relnamespace LOOP
        EXECUTE format('SELECT setval(%L, s.last_value, s.is_called) FROM %s AS s', v_one.new, v_one.old);
    END LOOP;
    INSERT INTO pggit.branch_tables (branch_id, table_id, relation, form, names, watched)
    VALUES (p_branch_id, p_table_id, v_name::regclass, 'table', pggit._names_of(v_name::regclass), ARRAY[pggit._column_versions(v_name::regclass), pggit._storage(v_name::regclass), pggit._place()::text]);
    PERFORM pggit._capture_real(p_branch_id, p_table_id, v_name, pggit._branch_now(p_branch_id));
    EXECUTE format('ANALYZE %s', v_name);
    RETURN v_ddl.rows_first || v_ddl.rows_then;
END;
$$;

COMMENT ON FUNCTION pggit._copy_new_table(integer, integer, integer, boolean) IS
'Gives a branch a table that main does not have, as another branch has it: definition, sequences of its own, and what a new branch (p_rows) begins with, rows. Returns the statements. Raises VG302 when
that one has it no more.';

CREATE OR REPLACE FUNCTION pggit._copy_new_keys(p_table_id integer, p_from integer, p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._execute_on(p_branch_id, (pggit._define(f.relation, p_from, n.nspname, c.relname)).keys)
       FROM pggit.branch_tables AS f JOIN pggit.branch_tables AS t USING (table_id) JOIN pg_class AS c ON c.oid = t.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE f.table_id = p_table_id AND f.branch_id = p_from AND t.branch_id = p_branch_id;
END;
$$;

COMMENT ON FUNCTION pggit._copy_new_keys(integer, integer, integer) IS
'Gives a branch''s copy of a table that main does not have its foreign keys, when all tables are there.';

CREATE OR REPLACE FUNCTION pggit._parents_of_new(p_branch_id integer)
    RETURNS integer[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT ARRAY(SELECT DISTINCT parent.table_id
                           FROM pggit.branch_tables AS child JOIN pggit.tables AS t USING (table_id) JOIN pg_constraint AS k ON k.conrelid = child.relation AND k.contype = 'f'
                           JOIN pggit.branch_tables AS parent ON parent.relation = k.confrelid
                          WHERE child.branch_id = p_branch_id AND NOT t.on_main));
END;
$$;

COMMENT ON FUNCTION pggit._parents_of_new(integer) IS
'The tables to which foreign keys of tables point that a branch has and main has not. Both ends of a foreign key are real.';

CREATE OR REPLACE FUNCTION pggit._save_for_drop(p_branch pggit.branches, p_statement text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_saved jsonb := coalesce(nullif(current_setting('pggit.branch_saved', true), ''), '{}');
    v_shown pggit.branch_tables;
BEGIN
    FOR v_shown IN SELECT bt.* FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch.branch_id AND bt.form = 'table' AND NOT v_saved ? bt.table_id::text AND p_statement ~ pggit._word(bt.names[1]) ORDER BY bt.table_id LOOP
        v_saved := v_saved || jsonb_build_object(v_shown.table_id, CASE WHEN pggit._is_keyless(v_shown.table_id) THEN '0' ELSE pggit._save_branch_rows(v_shown) END);
    END LOOP;
    PERFORM set_config('pggit.branch_saved', v_saved::text, true);
END;
$$;

COMMENT ON FUNCTION pggit._save_for_drop(pggit.branches, text) IS
'Saves the rows of a branch''s real tables that a DROP TABLE names. The local setting pggit.branch_saved tells pggit._on_branch_drop: by table id, the ordinal or the reason why not. The log of a
table without a key has all of them already.';

CREATE OR REPLACE FUNCTION pggit._unsave(p_branch_id integer, p_table_id integer, p_saved jsonb)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(p_saved) = 'number' AND EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id) THEN
        EXECUTE format('DELETE FROM pggit._undo_%s AS l WHERE l._b = %s AND l._xid = pggit._transaction_number() AND l._seq = $1', p_table_id, p_branch_id) USING p_saved::bigint;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._unsave(integer, integer, jsonb) IS
'Takes back what was logged of a branch''s table before a DROP TABLE that did not mean it.';

CREATE OR REPLACE FUNCTION pggit._drop_on_branch(p_shown pggit.branch_tables, p_saved jsonb, p_is_late boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_was  pggit.table_changes;
    v_mark pggit._mark;
BEGIN
    IF jsonb_typeof(p_saved) IS DISTINCT FROM 'number' AND NOT p_is_late THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('table %I can''t be dropped on branch %L, for what it holds could not be saved: %s', p_shown.names[1],
                             (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_shown.branch_id), coalesce(p_saved #>> '{}', 'the statement does not name the table')),
            HINT    = 'Check out the branch and drop the table in READ COMMITTED by a statement that names it, with pggit.save_limit above the table''s size.';
    END IF;
    SELECT c.* INTO v_was FROM pggit._name_at(p_shown.table_id, pggit._branch_now(p_shown.branch_id)) AS c;
    DELETE FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_shown.branch_id AND bt.table_id = p_shown.table_id;
    IF pggit._is_keyless(p_shown.table_id) THEN
        EXECUTE format('INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _op, %2$s) SELECT $1, pggit._transaction_number(), %3$s, ''D'', %4$s FROM (%5$s) AS r', p_shown.table_id,
                       pggit._stored_columns(p_shown.table_id, NULL, pggit._branch_now(p_shown.branch_id)), p_shown.branch_id,
                       pggit._stored_columns(p_shown.table_id, 'r', pggit._branch_now(p_shown.branch_id)),
                       pggit._keyless_state_sql(p_shown.table_id, pggit._working_position(p_shown.branch_id))) USING nextval('pggit._ordinal');
    END IF;
    v_mark := pggit._next_mark();
    PERFORM pggit._note_table(p_shown.table_id, p_shown.branch_id, v_mark, false, v_was.schema_name, v_was.table_name);
    IF p_is_late AND NOT pggit._is_keyless(p_shown.table_id) THEN
        INSERT INTO pggit.branch_gaps (branch_id, table_id, at) VALUES (p_shown.branch_id, p_shown.table_id, v_mark) ON CONFLICT (branch_id, table_id) DO UPDATE SET at = excluded.at;
        RAISE WARNING USING
            MESSAGE = format('table %I.%I was dropped on branch %L, and its rows are not saved: its states there from before can''t be read any more (VG306)', v_was.schema_name, v_was.table_name,
                             (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_shown.branch_id)),
            HINT    = 'Where no event trigger tells pggit of DDL, drop tables of a branch with pggit.ddl.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._drop_on_branch(pggit.branch_tables, jsonb, boolean) IS
'A branch''s real table has been dropped: it is not there from now on; its history stays. p_saved: the ordinal under which its rows were logged before. When they were not: VG307, or where that
is too late (p_is_late) a gap, with a WARNING.';

CREATE OR REPLACE FUNCTION pggit._rename_on_branch(p_shown pggit.branch_tables, p_was text DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_new record;
BEGIN
    SELECT s.base_schema, c.relname::text AS name INTO v_new
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname WHERE c.oid = p_shown.relation;
    UPDATE pggit.branch_tables AS bt SET names[1] = v_new.name WHERE bt.branch_id = p_shown.branch_id AND bt.table_id = p_shown.table_id;
    UPDATE pggit.tables AS t SET schema_name = v_new.base_schema, table_name = v_new.name WHERE t.table_id = p_shown.table_id AND NOT t.on_main;
    PERFORM pggit._note_table(p_shown.table_id, p_shown.branch_id, pggit._next_mark(), false, coalesce(p_was, v_new.base_schema), p_shown.names[1]);
    PERFORM pggit._note_table(p_shown.table_id, p_shown.branch_id, pggit._next_mark(), true, v_new.base_schema, v_new.name);
END;
$$;

COMMENT ON FUNCTION pggit._rename_on_branch(pggit.branch_tables, text) IS
'A branch''s real table has got another name, or come from another schema (p_was, as main calls it): its history goes on under that one, and the one before is free, or shut where main has it.';

CREATE OR REPLACE FUNCTION pggit._shown_name(p_table_id integer, p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT format('%I.%I', coalesce(s.base_schema, n.nspname), c.relname)
              FROM (SELECT t.relation::oid AS relation FROM pggit.tables AS t WHERE t.table_id = p_table_id AND t.on_main AND p_branch_id = 1
                    UNION ALL SELECT bt.relation FROM pggit.branch_tables AS bt WHERE bt.table_id = p_table_id AND bt.branch_id = p_branch_id) AS r
              JOIN pg_class AS c ON c.oid = r.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname);
END;
$$;

COMMENT ON FUNCTION pggit._shown_name(integer, integer) IS
'The name that a table has on main (1) or on a branch, in a schema of main.';

CREATE OR REPLACE FUNCTION pggit._give_name(p_table_id integer, p_branch_id integer, p_name text)
    RETURNS text[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_to       text[] := parse_ident(p_name);
    v_was      text[] := parse_ident(pggit._shown_name(p_table_id, p_branch_id));
    v_schema   text;
    v_relation regclass;
    v_kind     text;
    v_done     text[];
BEGIN
    SELECT bt.relation, CASE bt.form WHEN 'view' THEN 'VIEW' ELSE 'TABLE' END, s.schema_name INTO STRICT v_relation, v_kind, v_schema
      FROM pggit.branch_tables AS bt JOIN pggit.branch_schemas AS s USING (branch_id) WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND s.base_schema = v_to[1];
    PERFORM pggit._open_name(p_branch_id, v_schema, v_to[2]);
    IF v_was[2] <> v_to[2] THEN
        v_done := ARRAY[format('ALTER %s %s RENAME TO %I', v_kind, v_relation, v_to[2])];
        EXECUTE v_done[1];
    END IF;
    IF v_was[1] <> v_to[1] THEN
        v_done := v_done || format('ALTER %s %s SET SCHEMA %I', v_kind, v_relation, v_schema);
        EXECUTE v_done[cardinality(v_done)];
    END IF;
    UPDATE pggit.branch_tables AS bt SET names[1] = v_to[2] WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND bt.form = 'table';
    PERFORM pggit._note_table(p_table_id, p_branch_id, pggit._next_mark(), false, v_was[1], v_was[2]);
    PERFORM pggit._note_table(p_table_id, p_branch_id, pggit._next_mark(), true, v_to[1], v_to[2]);
    PERFORM pggit._shut_names(p_branch_id);
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._give_name(integer, integer, text) IS
'Gives the view or the real table of a branch another name, in a schema of main, and returns the statements.';
