CREATE OR REPLACE FUNCTION pggit._require_no_reader(p_relation oid, p_known oid[])
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_users text;
BEGIN
    SELECT string_agg(DISTINCT u.what, ', ') INTO v_users
      FROM (SELECT pg_describe_object('pg_class'::regclass, r.ev_class, 0) AS what, r.ev_class AS oid
              FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
             WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_relation
            UNION ALL
            SELECT pg_describe_object(d.classid, d.objid, 0), d.objid
              FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_relation
            UNION ALL
            SELECT pg_describe_object(d.classid, d.objid, 0), 0
              FROM pg_depend AS d JOIN pg_type AS t ON t.oid = d.refobjid
             WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_type'::regclass AND t.typrelid = p_relation) AS u
     WHERE u.oid <> ALL (p_known);
    IF v_users IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG308', SCHEMA = 'pggit',
            MESSAGE = format('table %s can''t become real: other objects depend on its view: %s', p_relation::regclass, v_users),
            HINT    = 'Drop them, materialize the table, and make them again.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_no_reader(oid, oid[]) IS
'Raises VG308 when objects other than those given depend on a branch''s view.';

CREATE OR REPLACE FUNCTION pggit._read_again(p_branch_id integer, p_commands text[])
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_before  text := current_setting('search_path');
    v_command text;
BEGIN
    PERFORM set_config('search_path', pggit._path_sql(pggit._schemas_of(p_branch_id) || pggit._schemas_of(1)), true);
    FOREACH v_command IN ARRAY coalesce(p_commands, '{}') LOOP
        EXECUTE v_command;
    END LOOP;
    PERFORM set_config('search_path', v_before, true);
EXCEPTION WHEN undefined_column OR undefined_function OR undefined_object OR ambiguous_function OR datatype_mismatch OR invalid_table_definition OR invalid_function_definition THEN
    RAISE EXCEPTION USING
        ERRCODE = 'VG308', SCHEMA = 'pggit',
        MESSAGE = format('a table of branch %L gets columns with which it can''t be read any more: %s (%s)', (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_branch_id), SQLERRM,
                         split_part(split_part(v_command, E'\n', 1), ' AS', 1)),
        HINT    = 'Nothing was changed. Drop or change this view or function on the branch first.';
END;
$$;

COMMENT ON FUNCTION pggit._read_again(integer, text[]) IS
'Runs the commands of pggit._told_readers: views and functions of a branch read the table that has taken a view''s name. Raises VG308 where one can''t.';

CREATE OR REPLACE FUNCTION pggit.materialize(p_branch text, p_table text)
    RETURNS void
    LANGUAGE plpgsql
    SET standard_conforming_strings = on SET quote_all_identifiers = off SET row_security = off
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch  pggit.branches := pggit._branch(p_branch);
    v_table   pggit.tables   := pggit._table(p_table);
    v_shown   record;
    v_readers record;
    v_old     text;
BEGIN
    PERFORM pggit._require_read_committed('materializing a table');
    IF v_branch.branch_id = 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'the tables of main are real already';
    END IF;
    v_branch := pggit._lock_branch_row(v_branch.branch_id);
    SELECT bt.relation, bt.form, n.nspname, c.relname INTO v_shown
      FROM pggit.branch_tables AS bt JOIN pg_class AS c ON c.oid = bt.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE bt.branch_id = v_branch.branch_id AND bt.table_id = v_table.table_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG005', SCHEMA = 'pggit',
            MESSAGE = format('table %I.%I is not on branch %L', v_table.schema_name, v_table.table_name, v_branch.name);
    END IF;
    IF v_shown.form = 'table' THEN
        RETURN;
    END IF;
    SELECT array_agg(r.command ORDER BY r.n) AS commands, array_agg(r.objid) || v_shown.relation AS known INTO v_readers FROM pggit._told_readers(v_shown.relation, v_branch.branch_id) AS r;
    PERFORM pggit._require_no_reader(v_shown.relation, coalesce(v_readers.known, ARRAY[v_shown.relation]));

    v_old := format('pggit_view_%s', v_table.table_id);
    PERFORM pggit._bounded(ARRAY[format('ALTER VIEW %I.%I RENAME TO %I', v_shown.nspname, v_shown.relname, v_old)], ARRAY[v_shown.relation],
                           format('table %I.%I', v_shown.nspname, v_shown.relname));
    BEGIN
        -- Who writes the branch may in turn wait for its row, which this transaction has locked.
        PERFORM pggit._hold_branch_still(v_branch.branch_id, false);
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG401', SCHEMA = 'pggit',
            MESSAGE = format('branch %L is being written to by an open transaction', v_branch.name),
            HINT    = 'Try again when it is done; nothing was changed.';
    END;
    PERFORM pggit._open_name(v_branch.branch_id, v_shown.nspname, v_table.table_name) WHERE v_shown.relname <> v_table.table_name;
    PERFORM pggit._create_real(v_branch.branch_id, v_table.table_id);
    PERFORM pggit._copy_grants(v_shown.relation, (SELECT bt.relation FROM pggit.branch_tables AS bt
                                                   WHERE bt.branch_id = v_branch.branch_id AND bt.table_id = v_table.table_id));
    PERFORM pggit._read_again(v_branch.branch_id, v_readers.commands);
    EXECUTE format('DROP VIEW %I.%I', v_shown.nspname, v_old);
    IF v_shown.relname <> v_table.table_name THEN
        EXECUTE format('ALTER TABLE %I.%I RENAME TO %I', v_shown.nspname, v_table.table_name, v_shown.relname);
        UPDATE pggit.branch_tables AS bt SET names[1] = v_shown.relname WHERE bt.branch_id = v_branch.branch_id AND bt.table_id = v_table.table_id;
        PERFORM pggit._shut_names(v_branch.branch_id);
    END IF;
    PERFORM pggit._real_foreign_keys(v_branch.branch_id, v_table.table_id);
END;
$$;

COMMENT ON FUNCTION pggit.materialize(text, text) IS
'Turn a table of a branch from a view into a real table with every key, index and constraint under its own name.
Copies the table''s rows as the branch sees them; its writers wait meanwhile. Nothing happens when it is real already. Foreign keys become
PostgreSQL''s own once both ends are real. Raises VG001, VG004, VG005 (not on the branch), VG202 (main), VG308 (views of others depend on it), VG401 (in use, or the
transaction is not READ COMMITTED).';
