CREATE OR REPLACE FUNCTION pggit.stash(p_message text DEFAULT NULL, p_branch text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
    v_commit text;
    v_name   text;
BEGIN
    v_commit := pggit._reset_hard(v_branch, pggit._find_commit('HEAD', v_branch.branch_id), coalesce(p_message, format('stash of branch %s', v_branch.name)));
    IF v_commit = (SELECT b.head FROM pggit.branches AS b WHERE b.branch_id = v_branch.branch_id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG304', SCHEMA = 'pggit',
            MESSAGE = format('there is nothing to stash: branch %L is as it was committed', v_branch.name),
            HINT    = 'pggit.status() shows what is pending on the branch that is checked out; p_branch names another.';
    END IF;
    INSERT INTO pggit.stashes AS s (branch_id, commit_id, stashed_by) VALUES (v_branch.branch_id, v_commit, pggit._actor())
    RETURNING s.name INTO v_name;
    RETURN v_name;
END;
$$;

COMMENT ON FUNCTION pggit.stash(text, text) IS
'Puts what is pending on a branch aside and returns a name for it; the branch is as it was last committed. pggit.unstash takes it back.
pggit.stashes lists what is put aside. Triggers take no part. Raises VG001, VG009, VG302 (a table
came under version control since), VG304 (nothing is pending), VG401, VG402.';
