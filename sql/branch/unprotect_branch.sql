CREATE OR REPLACE FUNCTION pggit.unprotect_branch(p_name text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._lock_branch((pggit._branch(p_name)).branch_id);
BEGIN
    UPDATE pggit.branches AS b
       SET is_protected = false
     WHERE b.branch_id = v_branch.branch_id;
END;
$$;

COMMENT ON FUNCTION pggit.unprotect_branch(text) IS
'Allow a branch to be deleted and renamed again.
Raises VG001 if there is no such branch.';
