CREATE OR REPLACE FUNCTION pggit.cherry_pick(p_ref text, p_branch text DEFAULT NULL, p_options jsonb DEFAULT '{}')
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_commit pggit.commits := pggit._require_parent(p_ref, p_branch, p_options, 'picked');
BEGIN
    RETURN pggit._run(pggit._open_merge('cherry_pick', v_commit.commit_id, p_branch,
        format(E'%s\n\n(cherry picked from commit %s)', v_commit.message, v_commit.commit_id), p_options), true);
END;
$$;

COMMENT ON FUNCTION pggit.cherry_pick(text, text, jsonb) IS
'Brings what one commit changed, and nothing else of its history, into a branch as a new commit by the same author, whose message names the commit below the message of that.
It is a merge that goes from the commit''s parent to the commit, with the same conflicts and checks. Of a merge commit it brings what the merge brought into its first parent, or the one that option parent names.
Options, as pggit.merge: on_conflict, resolutions, rules, checks, checks_as, fill, validate, approved_plan, approved_by; and parent. What is pending is committed first. Result up_to_date: the branch has it all already. Raises VG001, VG002, VG007, VG009, VG202 (no such
parent), VG204, VG205, VG401, VG402.';
