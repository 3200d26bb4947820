CREATE OR REPLACE FUNCTION pggit._reset_hard(p_branch pggit.branches, p_commit text, p_message text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_result pggit.merge_result := pggit._run(pggit._open_merge('reset', p_commit, p_branch.name, p_message, '{}'), true);
BEGIN
    IF v_result.result <> 'fast_forward' THEN
        RAISE EXCEPTION USING
            ERRCODE = coalesce(v_result.detail ->> 'sqlstate', 'VG302'), SCHEMA = 'pggit',
            MESSAGE = format('branch %L can''t be reset to %s: %s', p_branch.name, left(p_commit, 12), v_result.detail ->> 'reason');
    END IF;
    RETURN (SELECT m.target_commit FROM pggit.merges AS m WHERE m.merge_id = v_result.merge_id);
END;
$$;

COMMENT ON FUNCTION pggit._reset_hard(pggit.branches, text, text) IS
'Makes a branch''s rows those of a commit and moves its head there; what is pending is committed first, with the message given. Returns the head that the branch left.
Raises VG302 and what a merge raises.';

CREATE OR REPLACE FUNCTION pggit.reset(p_branch text, p_ref text, p_mode text DEFAULT 'hard')
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
    v_commit text           := pggit._hold_commit(p_ref, v_branch.branch_id);
    v_left   text;
BEGIN
    PERFORM pggit._require_ref(p_ref);
    PERFORM pggit._require_unprotected(v_branch);
    IF p_mode = 'soft' THEN
        PERFORM pggit._lock_branch(v_branch.branch_id);
        PERFORM pggit._move_head(v_branch.branch_id, v_commit, (pggit._ref(v_commit)).at);
        RETURN v_commit;
    ELSIF p_mode IS DISTINCT FROM 'hard' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('reset mode is %L, but must be soft or hard', p_mode),
            HINT    = 'hard gives the branch the rows of the commit; soft leaves its rows as they are, and what differs is pending (there is no index for Git''s mixed).';
    END IF;

    v_left := pggit._reset_hard(v_branch, v_commit);
    IF v_left <> v_branch.head AND v_left <> v_commit THEN
        RAISE NOTICE 'what was pending on branch % is kept in commit %', quote_literal(v_branch.name), left(v_left, 12)
            USING HINT = format('SELECT pggit.reset(%L, %L); brings the branch back there.', v_branch.name, left(v_left, 12));
    END IF;
    RETURN v_commit;
END;
$$;

COMMENT ON FUNCTION pggit.reset(text, text, text) IS
'Moves a branch to a ref and returns the commit. hard: its rows become those of the ref; soft: its rows stay and what differs is pending.
Nothing is lost: hard commits what is pending first, in a commit that a NOTICE names, and it, like all that the branch leaves behind, can be read by its id until pggit.gc collects it. Triggers take no part. Raises VG001, VG002,
VG009, VG202, VG205, VG301 (protected), VG302 (tables that can''t be merged, or rows that are not tracked refer to rows that would go), VG401, VG402.';
