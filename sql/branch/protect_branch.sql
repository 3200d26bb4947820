CREATE OR REPLACE FUNCTION pggit.protect_branch(p_name text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._lock_branch((pggit._branch(p_name)).branch_id);
BEGIN
    UPDATE pggit.branches AS b
       SET is_protected = true
     WHERE b.branch_id = v_branch.branch_id;
END;
$$;

COMMENT ON FUNCTION pggit.protect_branch(text) IS
'Refuse to delete, rename, reset or rebase a branch until it is unprotected, and to merge, revert or cherry-pick into it without an approved plan (option approved_plan). Writes and commits go on.
Raises VG001 if there is no such branch.';
