CREATE OR REPLACE FUNCTION pggit.merge_data_branches(p_source text, p_target text, p_conflict_resolution text DEFAULT 'interactive')
    RETURNS TABLE (merge_id uuid, has_conflicts boolean, conflict_count integer, tables_merged integer, result text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_known  constant text[] := ARRAY['interactive', 'ours', 'theirs', 'heuristic'];
    v_result pggit.merge_result;
    v_one    integer;
BEGIN
    IF p_conflict_resolution IS NULL OR p_conflict_resolution <> ALL (v_known) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('conflicts can''t be resolved by %L', p_conflict_resolution),
            HINT    = format('It is one of: %s.', array_to_string(v_known, ', '));
    END IF;
    v_result := pggit.merge(p_source, p_target, NULL, CASE WHEN p_conflict_resolution IN ('ours', 'theirs') THEN jsonb_build_object('on_conflict', p_conflict_resolution) ELSE '{}' END);
    IF v_result.result = 'conflicted' AND p_conflict_resolution = 'heuristic' THEN
        FOR v_one IN SELECT c.conflict_no FROM pggit.conflicts AS c WHERE c.merge_id = v_result.merge_id AND c.resolution IS NULL ORDER BY c.conflict_no LOOP
            PERFORM pggit.attempt_auto_resolution(v_one, 'heuristic', v_result.merge_id);
        END LOOP;
        IF pggit._undecided(v_result.merge_id) = 0 THEN
            v_result := pggit.continue_merge(v_result.merge_id);
        END IF;
    END IF;
    RETURN QUERY
    SELECT v_result.merge_id, pggit._undecided(v_result.merge_id) > 0, (SELECT count(*)::integer FROM pggit.conflicts AS c WHERE c.merge_id = v_result.merge_id),
           CASE WHEN v_result.result IN ('merged', 'fast_forward') THEN (SELECT count(*)::integer FROM jsonb_object_keys(coalesce(v_result.detail -> 'tables', '{}'))) ELSE 0 END, v_result.result;
END;
$$;

COMMENT ON FUNCTION pggit.merge_data_branches(text, text, text) IS
'Merges the rows of a branch into another, as pggit.merge does.
p_conflict_resolution: interactive (conflicts wait for pggit.resolve_conflict and pggit.continue_merge), ours or theirs (that side wins), heuristic (as pggit.attempt_auto_resolution; what it can''t decide waits). has_conflicts: some are
open, and nothing was written; conflict_count: all that there were, decided ones too; tables_merged: tables that were changed. result as in pggit.merge. Raises VG202 and what pggit.merge raises.';
