CREATE OR REPLACE FUNCTION pggit._branch_by_id(p_branch_id integer)
    RETURNS pggit.branches
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_branch pggit.branches;
BEGIN
    SELECT b.* INTO v_branch FROM pggit.branches AS b WHERE b.branch_id = p_branch_id AND b.deleted_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG001', SCHEMA = 'pggit',
            MESSAGE = format('there is no branch number %s', coalesce(p_branch_id::text, 'NULL')),
            HINT    = 'pggit.list_branches() shows branch_id.';
    END IF;
    RETURN v_branch;
END;
$$;

COMMENT ON FUNCTION pggit._branch_by_id(integer) IS
'A branch by its number. Raises VG001.';

CREATE OR REPLACE FUNCTION pggit.three_way_merge_advanced(p_source_branch_id integer, p_target_branch_id integer, p_base_commit_id text DEFAULT NULL, p_auto_resolve boolean DEFAULT true)
    RETURNS TABLE (merge_success boolean, total_conflicts integer, auto_resolved integer, manual_required integer, merge_result jsonb, resolution_history jsonb)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted  boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_source   pggit.branches := pggit._branch_by_id(p_source_branch_id);
    v_target   pggit.branches := pggit._branch_by_id(p_target_branch_id);
    v_base     text;
    v_result   pggit.merge_result;
    v_conflict record;
    v_try      record;
BEGIN
    IF p_base_commit_id IS NOT NULL THEN
        v_base := pggit.merge_base(v_source.name, v_target.name);
        IF pggit._resolve(p_base_commit_id, v_target.branch_id) <> v_base THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG202', SCHEMA = 'pggit',
                MESSAGE = format('a merge of %L into %L starts from commit %s, not from %s', v_source.name, v_target.name, left(v_base, 12), p_base_commit_id),
                HINT    = 'From any other base rows would be lost or come back. NULL takes the right one.';
        END IF;
    END IF;
    v_result           := pggit.merge(v_source.name, v_target.name);
    total_conflicts    := (SELECT m.total_conflicts FROM pggit.merge_status(v_result.merge_id) AS m);
    resolution_history := '[]';
    IF v_result.result = 'conflicted' AND coalesce(p_auto_resolve, true) THEN
        FOR v_conflict IN SELECT c.* FROM pggit.merge_conflicts AS c WHERE c.merge_id = v_result.merge_id AND c.resolution IS NULL ORDER BY c.conflict_no LOOP
            SELECT a.* INTO STRICT v_try FROM pggit.attempt_auto_resolution(v_conflict.conflict_no, 'heuristic', v_result.merge_id) AS a;
            CONTINUE WHEN NOT v_try.resolved;
            resolution_history := resolution_history || jsonb_build_object('conflict_id', v_conflict.conflict_id, 'table', v_conflict.table_name, 'key', v_conflict.key, 'column', v_conflict.column_name,
                                                                           'method', v_try.resolution_method, 'value', v_try.merged_data, 'confidence', v_try.confidence);
        END LOOP;
        IF pggit._open_conflicts(v_result.merge_id) = 0 THEN
            v_result := pggit.continue_merge(v_result.merge_id);
        END IF;
    END IF;
    manual_required := pggit._open_conflicts(v_result.merge_id);
    auto_resolved   := total_conflicts - manual_required;
    merge_success   := v_result.result IN ('merged', 'fast_forward', 'up_to_date');
    merge_result    := to_jsonb(v_result);
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION pggit.three_way_merge_advanced(integer, integer, text, boolean) IS
'Merges a branch into another, both by branch_id, as pggit.merge does, and decides the conflicts that pggit.attempt_auto_resolution can (strategy heuristic) if p_auto_resolve.
p_base_commit_id NULL, or the commit that the merge starts from in any case; another is refused. total_conflicts are those of the merge, of rows and of definitions (which a person decides), auto_resolved the ones that merge rules or this function decided, manual_required the rest: with
any, nothing is written but the decisions so far, and pggit.resolve_conflict and pggit.continue_merge go on with merge_result.merge_id. merge_result is the result of pggit.merge; resolution_history is an array of conflict_id,
table, key, column, method, value, confidence. Raises VG001 (no such branch), VG202 (another base), and what pggit.merge raises.';
