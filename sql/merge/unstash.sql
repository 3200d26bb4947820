CREATE OR REPLACE FUNCTION pggit.unstash(p_stash text DEFAULT NULL, p_branch text DEFAULT NULL)
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
    v_stash  pggit.stashes;
BEGIN
    SELECT s.* INTO v_stash FROM pggit.stashes AS s
     WHERE CASE WHEN p_stash IS NULL THEN s.branch_id = v_branch.branch_id ELSE s.name = p_stash END
     ORDER BY s.stash_no DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG002', SCHEMA = 'pggit',
            MESSAGE = CASE WHEN p_stash IS NULL THEN format('branch %L has no stash', v_branch.name) ELSE format('there is no stash %L', p_stash) END,
            HINT    = 'pggit.stashes lists them.';
    END IF;
    PERFORM pggit._tell_of_waiting('unstash', v_stash.commit_id, v_branch.name, v_stash.name);
    RETURN pggit._run(pggit._open_merge('unstash', v_stash.commit_id, v_branch.name, NULL, '{}'), true);
END;
$$;

COMMENT ON FUNCTION pggit.unstash(text, text) IS
'Takes a stash (NULL: the branch''s last one) back into a branch, the one it came from or another: its changes are pending again and the stash is gone.
It is a merge onto the branch as it is now, pending changes included, with the same conflicts and checks: a result of conflicted keeps the stash, and pggit.resolve_conflict and
pggit.continue_merge go on. commit_id of the result is NULL. Raises VG001, VG002 (no such stash), VG401, VG402.';
