CREATE OR REPLACE FUNCTION pggit.untrack_table(p_table text, p_keep_history boolean DEFAULT true)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_table pggit.tables := pggit._table(p_table);
BEGIN
    PERFORM pggit._collect_detached(false);
    IF EXISTS (SELECT FROM pggit.branch_tables AS bt JOIN pggit.branches AS b USING (branch_id)
                WHERE bt.table_id = v_table.table_id AND b.deleted_at IS NULL) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG308', SCHEMA = 'pggit',
            MESSAGE = format('table %I.%I is on branches: %s', v_table.schema_name, v_table.table_name,
                             (SELECT string_agg(quote_ident(b.name), ', ' ORDER BY b.name)
                                FROM pggit.branch_tables AS bt JOIN pggit.branches AS b USING (branch_id)
                               WHERE bt.table_id = v_table.table_id AND b.deleted_at IS NULL)),
            HINT    = 'Delete these branches first.';
    END IF;

    PERFORM pggit._lock_bases(v_table.relation || ARRAY(SELECT p.relation FROM pggit.partitions AS p WHERE p.table_id = v_table.table_id ORDER BY p.relation), 'ACCESS EXCLUSIVE');
    PERFORM pggit._drop_all_capture(v_table);
    UPDATE pggit.tables AS t SET untracked_at = pggit._mark_now() WHERE t.table_id = v_table.table_id;
    IF NOT p_keep_history THEN
        EXECUTE format('DROP TABLE pggit._log_%1$s, pggit._delta_%1$s, pggit._undo_%1$s', v_table.table_id);
        EXECUTE format('DROP TABLE IF EXISTS pggit._mask_%s', v_table.table_id);
        EXECUTE format('DROP FUNCTION IF EXISTS pggit._capture_%1$s_insert(), pggit._capture_%1$s_update(), pggit._capture_%1$s_delete(), pggit._capture_%1$s_truncate(),
                        pggit._capture_%1$s_row(), pggit._capture_%1$s_move()', v_table.table_id);
        UPDATE pggit.tables AS t SET stores_dropped = true WHERE t.table_id = v_table.table_id;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit.untrack_table(text, boolean) IS
'Takes one table out of version control; its rows are not touched. p_keep_history => false also drops what was recorded of it.
Raises VG004, VG005, VG308 while a branch shows the table, and VG401 as pggit.track_table: here readers are in the way too.';
