CREATE OR REPLACE FUNCTION pggit.status(p_branch text DEFAULT NULL)
    RETURNS TABLE (table_name text, inserted bigint, updated bigint, deleted bigint)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
    v_at     pggit._position;
BEGIN
    PERFORM pggit._follow_changed();
    v_at := pggit._working_position(v_branch.branch_id);
    IF v_branch.head IS NULL THEN
        RETURN QUERY SELECT format('%I.%I', t.schema_name, t.table_name), t.row_count, 0::bigint, 0::bigint FROM pggit._tables_at(v_at) AS t;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pggit._diff(v_branch.head_at, v_at);
END;
$$;

COMMENT ON FUNCTION pggit.status(text) IS
'What is not committed yet on a branch, table by table: net rows inserted, updated and deleted since its head. Empty when there is nothing; a table whose columns alone have changed comes with
zeros. Before the first commit: every tracked table with the rows it had when tracking began. Raises VG001.';
