CREATE OR REPLACE FUNCTION pggit._newer_side(p_conflict pggit.conflicts, OUT side text, OUT why text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_merge  pggit.merges;
    v_name   text := (SELECT c.name FROM pggit.columns AS c WHERE c.table_id = p_conflict.table_id AND c.column_id = p_conflict.column_id);
    v_ours   timestamptz;
    v_theirs timestamptz;
BEGIN
    SELECT m.* INTO STRICT v_merge FROM pggit.merges AS m WHERE m.merge_id = p_conflict.merge_id;
    IF v_name IS NULL THEN
        why := 'the conflict is about a whole row, and a deleted row has no time';
        RETURN;
    END IF;
    SELECT b.changed_at INTO v_ours FROM pggit.blame(pggit._base_relation(p_conflict.table_id), p_conflict.key, v_merge.target_commit) AS b
     WHERE b.column_name = v_name AND nullif(b.value, 'null') IS NOT DISTINCT FROM nullif(p_conflict.ours, 'null');
    SELECT b.changed_at INTO v_theirs FROM pggit.blame(pggit._base_relation(p_conflict.table_id), p_conflict.key, v_merge.source_commit) AS b
     WHERE b.column_name = v_name AND nullif(b.value, 'null') IS NOT DISTINCT FROM nullif(p_conflict.theirs, 'null');
    side := CASE WHEN v_ours > v_theirs THEN 'ours' WHEN v_theirs > v_ours THEN 'theirs' END;
    why  := CASE WHEN v_ours IS NULL OR v_theirs IS NULL THEN 'a change is in no commit yet, or the commit that made it is not known'
                 WHEN v_ours = v_theirs THEN 'both were committed at the same time' END;
END;
$$;

COMMENT ON FUNCTION pggit._newer_side(pggit.conflicts) IS
'The side whose commit gave the cell of a conflict its value later, or why nobody can tell.';

CREATE OR REPLACE FUNCTION pggit.attempt_auto_resolution(p_conflict_id integer, p_resolution_strategy text DEFAULT 'heuristic', p_merge_id uuid DEFAULT NULL)
    RETURNS TABLE (resolved boolean, resolution_method text, merged_data jsonb, confidence numeric, resolution_details jsonb)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted  boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_conflict pggit.conflicts := pggit._conflict(p_conflict_id, p_merge_id);
    v_known    constant text[] := ARRAY['heuristic', 'ours', 'theirs', 'newest', 'union', 'rules'];
    v_result   text;
    v_analysis record;
    v_decided  bigint;
    v_agreed   bigint;
    v_reason   text;
BEGIN
    IF p_resolution_strategy IS NULL OR p_resolution_strategy <> ALL (v_known) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('there is no strategy %L', p_resolution_strategy),
            HINT    = format('Strategies: %s.', array_to_string(v_known, ', '));
    END IF;
    v_result := (pggit._open(v_conflict.merge_id)).result;
    IF v_conflict.resolution IS NOT NULL THEN
        RETURN QUERY SELECT true, coalesce(v_conflict.rule, v_conflict.resolution), pggit._decided_value(v_conflict), NULL::numeric,
                            jsonb_build_object('reason', 'it was decided before', 'resolved_by', v_conflict.resolved_by);
        RETURN;
    END IF;

    SELECT a.* INTO STRICT v_analysis FROM pggit.analyze_semantic_conflict(p_conflict_id, p_merge_id => v_conflict.merge_id) AS a;
    resolved := false;
    CASE p_resolution_strategy
        WHEN 'ours', 'theirs' THEN
            resolution_method := p_resolution_strategy;
        WHEN 'newest' THEN
            SELECT n.side, n.why INTO resolution_method, v_reason FROM pggit._newer_side(v_conflict) AS n;
        WHEN 'union' THEN
            resolution_method := 'union';
        WHEN 'heuristic' THEN
            resolution_method := v_analysis.resolution_recommended;
            v_reason := CASE WHEN resolution_method = 'manual' THEN coalesce(v_analysis.analysis_details ->> 'why_not', 'nothing says which side is right') END;
        ELSE
            PERFORM pggit._run(v_conflict.merge_id, false);
            UPDATE pggit.merges AS m SET result = v_result WHERE m.merge_id = v_conflict.merge_id AND m.result = 'planned';
            SELECT c.* INTO v_conflict FROM pggit.conflicts AS c WHERE c.merge_id = v_conflict.merge_id AND c.conflict_id = v_conflict.conflict_id;
            resolved          := NOT FOUND OR v_conflict.resolution IS NOT NULL;
            resolution_method := v_conflict.rule;
            merged_data       := CASE WHEN v_conflict.resolution IS NOT NULL THEN pggit._decided_value(v_conflict) END;
            v_reason          := CASE WHEN NOT FOUND THEN 'the conflict is gone' WHEN NOT resolved THEN coalesce(v_conflict.note, 'no rule is for it') END;
    END CASE;

    IF p_resolution_strategy <> 'rules' AND v_reason IS NULL THEN
        IF resolution_method IN ('ours', 'theirs') THEN
            merged_data := CASE resolution_method WHEN 'ours' THEN v_conflict.ours ELSE v_conflict.theirs END;
            PERFORM pggit._set_resolution(v_conflict.merge_id, v_conflict.conflict_id, resolution_method, NULL);
            resolved    := true;
        ELSE
            SELECT t.value, t.why INTO merged_data, v_reason FROM pggit._try_rule(v_conflict, resolution_method) AS t;
        END IF;
        SELECT r.decided, r.agreed INTO v_decided, v_agreed FROM pggit._track_record(v_conflict, resolution_method) AS r;
        confidence := round((v_agreed + 1)::numeric / (v_decided + 2), 3);
        IF NOT resolved AND v_reason IS NULL AND p_resolution_strategy = 'heuristic' AND confidence < 0.5 THEN
            v_reason := 'people have decided otherwise here more often than not';
        ELSIF NOT resolved AND v_reason IS NULL THEN
            BEGIN
                PERFORM pggit._set_resolution(v_conflict.merge_id, v_conflict.conflict_id, 'value', merged_data);
                resolved := true;
            EXCEPTION WHEN SQLSTATE 'VG204' THEN
                v_reason := SQLERRM;
            END;
        END IF;
    END IF;
    resolution_details := jsonb_strip_nulls(jsonb_build_object('conflict_type', v_analysis.conflict_type, 'reason', v_reason,
                                                               'evidence', CASE WHEN v_decided IS NOT NULL THEN jsonb_build_object('decided', v_decided, 'agreed', v_agreed) END));
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION pggit.attempt_auto_resolution(integer, text, uuid) IS
'Decides a conflict without a person, if the strategy can, as pggit.resolve_conflict would; pggit.continue_merge then goes on.
The conflict is given as in pggit.analyze_semantic_conflict. p_resolution_strategy: heuristic (what that function recommends: integers add up where they are counters, texts merge by line or by what both added, arrays as sets, times take the
later, unless people have decided otherwise in this column more often than not), ours, theirs, newest (the side whose commit changed the cell later), union (arrays), rules (the merge rules of now). resolved false: nothing was
changed, resolution_details.reason says why, and merged_data is what might be proposed. resolution_method: ours, theirs, or the merge rule. confidence: (agreed + 1) / (decided + 2) of the earlier decisions in this column that came out
alike (resolution_details.evidence); NULL where a rule or a person decided. Raises VG006, VG007, VG202 (no such strategy), VG303 (the merge is settled).';
