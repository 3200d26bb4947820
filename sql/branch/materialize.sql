CREATE OR REPLACE FUNCTION pggit.materialize(p_branch text, p_table text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch  pggit.branches := pggit._branch(p_branch);
    v_table   pggit.tables   := pggit._table(p_table);
    v_shown   record;
    v_users   text;
    v_old     text;
BEGIN
    PERFORM pggit._require_read_committed('materializing a table');
    IF v_branch.branch_id = 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'the tables of main are real already';
    END IF;
    v_branch := pggit._lock_branch(v_branch.branch_id);
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
    PERFORM pggit._require_shape_of_now(v_table, pggit._branch_now(v_branch.branch_id), 'it can''t become real');

    SELECT string_agg(DISTINCT pg_describe_object('pg_class'::regclass, r.ev_class, 0), ', ') INTO v_users
      FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = v_shown.relation AND r.ev_class <> v_shown.relation;
    IF v_users IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG308', SCHEMA = 'pggit',
            MESSAGE = format('table %I.%I can''t become real: other objects depend on its view: %s', v_shown.nspname, v_shown.relname, v_users),
            HINT    = 'Drop them, materialize the table, and make them again.';
    END IF;

    BEGIN
        -- Who writes the branch may in turn wait for its row, which this transaction has locked.
        PERFORM pggit._execute_soon(format('SELECT FROM pggit.branch_bases AS b WHERE b.branch_id = %s FOR UPDATE', v_branch.branch_id), clock_timestamp());
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG401', SCHEMA = 'pggit',
            MESSAGE = format('branch %L is being written to by an open transaction', v_branch.name),
            HINT    = 'Try again when it is done; nothing was changed.';
    END;
    v_old := format('pggit_view_%s', v_table.table_id);
    PERFORM pggit._bounded(ARRAY[format('ALTER VIEW %I.%I RENAME TO %I', v_shown.nspname, v_shown.relname, v_old)], ARRAY[v_shown.relation],
                           format('table %I.%I', v_shown.nspname, v_shown.relname));
    PERFORM pggit._create_real(v_branch.branch_id, v_table.table_id);
    PERFORM pggit._copy_grants(v_shown.relation, (SELECT bt.relation FROM pggit.branch_tables AS bt
                                                   WHERE bt.branch_id = v_branch.branch_id AND bt.table_id = v_table.table_id));
    EXECUTE format('DROP VIEW %I.%I', v_shown.nspname, v_old);
    PERFORM pggit._real_foreign_keys(v_branch.branch_id, v_table.table_id);
END;
$$;

COMMENT ON FUNCTION pggit.materialize(text, text) IS
'Turn a table of a branch from a view into a real table with every key, index and constraint under its own name.
Copies the table''s rows as the branch sees them; its writers wait meanwhile. Nothing happens when it is real already. Foreign keys become
PostgreSQL''s own once both ends are real. Raises VG001, VG004, VG005 (not on the branch), VG202 (main), VG308 (views of others depend on it), VG401 (in use, or the
transaction is not READ COMMITTED).';
