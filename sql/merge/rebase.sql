CREATE OR REPLACE FUNCTION pggit._replay(p_merge pggit.merges, p_kept jsonb, p_kept_schema jsonb, OUT result pggit.merge_result, OUT stopped_by text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch pggit.branches;
    v_onto   text;
    v_bases  text[];
    v_commit pggit.commits;
    v_step   uuid;
BEGIN
    PERFORM pggit._require_sides(p_merge);
    PERFORM pggit._lock_branch(b.id) FROM (SELECT DISTINCT unnest(ARRAY[p_merge.target_id, p_merge.source_id]) AS id ORDER BY 1) AS b WHERE b.id IS NOT NULL;
    PERFORM pggit._commit_pending(p_merge.source_id, format('pending changes of %s', p_merge.source)) WHERE p_merge.source_id IS NOT NULL;
    PERFORM pggit._commit_pending(p_merge.target_id, 'pending changes before a rebase');
    SELECT b.* INTO STRICT v_branch FROM pggit.branches AS b WHERE b.branch_id = p_merge.target_id;
    v_onto  := CASE WHEN p_merge.source_id IS NULL THEN p_merge.source_commit ELSE pggit._find_commit('HEAD', p_merge.source_id) END;
    v_bases := pggit._merge_bases(v_branch.head, v_onto);
    UPDATE pggit.merges AS m SET source_commit = v_onto, target_commit = v_branch.head, base_commit = v_bases[1] WHERE m.merge_id = p_merge.merge_id;
    IF v_bases IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG206', SCHEMA = 'pggit',
            MESSAGE = format('%L and %L have no commit in common', p_merge.source, v_branch.name);
    ELSIF v_bases[1] = v_onto THEN
        result := pggit._result(p_merge.merge_id, 'up_to_date');
        RETURN;
    END IF;

    result := pggit._run(pggit._open_merge('reset', v_onto, v_branch.name, NULL, '{}'), true);
    IF result.result = 'fast_forward' THEN
        FOR v_commit IN
            SELECT c.* FROM pggit._first_parents(v_branch.head) AS f JOIN pggit.commits AS c USING (commit_id)
             WHERE f.commit_id NOT IN (SELECT a.commit_id FROM pggit._ancestors(v_onto) AS a)
             ORDER BY f.depth DESC
        LOOP
            v_step := pggit._open_merge('cherry_pick', v_commit.commit_id, v_branch.name, v_commit.message, '{}');
            UPDATE pggit.merges AS m SET options = jsonb_build_object('kept', p_kept, 'kept_schema', p_kept_schema) WHERE m.merge_id = v_step;
            result     := pggit._run(v_step, true);
            stopped_by := v_commit.commit_id;
            EXIT WHEN result.result IN ('conflicted', 'refused');
            stopped_by := NULL;
        END LOOP;
    END IF;
    IF result.result NOT IN ('conflicted', 'refused') THEN
        result           := pggit._result(p_merge.merge_id, CASE WHEN v_bases[1] = v_branch.head THEN 'fast_forward' ELSE 'merged' END);
        result.commit_id := (SELECT b.head FROM pggit.branches AS b WHERE b.branch_id = v_branch.branch_id);
        SELECT coalesce(sum(d.inserted), 0), coalesce(sum(d.updated), 0), coalesce(sum(d.deleted), 0)
          INTO result.rows_inserted, result.rows_updated, result.rows_deleted
          FROM pggit._diff(v_branch.head_at, pggit._working_position(v_branch.branch_id)) AS d;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._replay(pggit.merges, jsonb, jsonb) IS
'Resets a branch to another commit and picks its own commits again, oldest first; what brings nothing new is left out. result is the whole, or the step
that stopped, at commit stopped_by (NULL: the reset). p_kept, p_kept_schema: resolutions given before, of rows and of definitions.';

CREATE OR REPLACE FUNCTION pggit._run_rebase(p_merge_id uuid)
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_merge      pggit.merges;
    v_kept       jsonb;
    v_schema     jsonb;
    v_done       record;
    v_result     pggit.merge_result;
    v_found      record;
    v_is_stopped boolean := false;
BEGIN
    PERFORM pggit._require_read_committed('a rebase');
    SELECT m.* INTO STRICT v_merge FROM pggit.merges AS m WHERE m.merge_id = p_merge_id;
    v_kept   := pggit._kept_resolutions(v_merge);
    v_schema := pggit._kept_schema(v_merge);

    BEGIN
        v_done   := pggit._replay(v_merge, v_kept, v_schema);
        v_result := v_done.result;
        IF v_result.result IN ('conflicted', 'refused') THEN
            v_found      := pggit._findings(v_result.merge_id);
            v_is_stopped := true;
            RAISE EXCEPTION USING ERRCODE = 'transaction_rollback';
        END IF;
    EXCEPTION WHEN transaction_rollback THEN
        -- The branch is as it was; what has to be decided is kept.
        IF NOT v_is_stopped THEN
            RAISE;
        END IF;
    END;

    IF NOT v_is_stopped THEN
        DELETE FROM pggit.conflicts AS c WHERE c.merge_id = p_merge_id;
        DELETE FROM pggit.schema_conflicts AS c WHERE c.merge_id = p_merge_id;
        DELETE FROM pggit.violations AS v WHERE v.merge_id = p_merge_id;
    ELSE
        PERFORM pggit._find_again(p_merge_id, v_found);
        v_result.merge_id := p_merge_id;
        v_result.detail   := v_result.detail || jsonb_build_object('stopped_by', v_done.stopped_by);
    END IF;
    UPDATE pggit.merges AS m SET options = jsonb_build_object('kept', v_kept, 'kept_schema', v_schema) WHERE m.merge_id = p_merge_id;
    PERFORM pggit._record_result(v_result);
    RETURN v_result;
END;
$$;

COMMENT ON FUNCTION pggit._run_rebase(uuid) IS
'Runs a rebase that is recorded in pggit.merges: the whole, or nothing but the conflicts of the commit that stopped it.';

CREATE OR REPLACE FUNCTION pggit.rebase(p_branch text, p_onto text)
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
BEGIN
    PERFORM pggit._require_unprotected(v_branch);
    RETURN pggit._run_rebase(pggit._open_merge('rebase', p_onto, v_branch.name, NULL, '{}'));
END;
$$;

COMMENT ON FUNCTION pggit.rebase(text, text) IS
'Puts the commits of a branch, those that p_onto (any ref) does not have, on top of p_onto, as if they had been made there: new commits with the same messages and authors.
The branch is first reset to p_onto, then each commit is picked, oldest first; one that brings nothing new is left out, and a merge counts as what it brought in. What is pending is committed first. All or nothing: with
conflicts the result is conflicted, the branch is as it was, detail.stopped_by is the commit, and after pggit.resolve_conflict pggit.continue_merge begins again with what was decided. The old commits can be
read by their ids until pggit.gc collects them. result is merged, fast_forward (the branch had no commits of its own), up_to_date, conflicted or refused. Raises VG001, VG002, VG009, VG206, VG301 (protected), VG401, VG402.';
