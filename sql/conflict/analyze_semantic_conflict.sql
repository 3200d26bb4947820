CREATE OR REPLACE FUNCTION pggit._kind_of_change(p_type text, p_base jsonb, p_theirs jsonb, p_ours jsonb)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    v_values jsonb[] := ARRAY[p_base, p_theirs, p_ours];
    v_kind   text    := (SELECT CASE WHEN count(DISTINCT jsonb_typeof(v)) <> 1 OR count(v) < 3 THEN NULL WHEN bool_and(v::text ~ '^-?[0-9]+$') THEN 'integer' ELSE min(jsonb_typeof(v)) END
                           FROM unnest(v_values) AS u(v));
BEGIN
    IF p_theirs IS NOT DISTINCT FROM p_ours THEN
        RETURN 'identical_change';
    END IF;
    RETURN CASE
        WHEN v_kind = 'integer' AND coalesce(p_type IN ('smallint', 'integer', 'bigint'), true) THEN 'counter_update'
        WHEN v_kind = 'string' AND coalesce(p_type ~ '^(timestamp|date)', (SELECT bool_and(v #>> '{}' ~ E'^\\d{4}-\\d\\d-\\d\\d([T ]\\d\\d:\\d\\d.*)?$') FROM unnest(v_values) AS u(v))) THEN 'timestamp_touch'
        WHEN v_kind = 'array' THEN 'set_edit'
        WHEN v_kind = 'object' THEN 'json_edit'
        WHEN v_kind = 'string' AND coalesce(p_type ~ '^(text|character varying)', true)
             AND ((SELECT bool_or(position(E'\n' IN v #>> '{}') > 0) FROM unnest(v_values) AS u(v))
                  OR (starts_with(p_theirs #>> '{}', p_base #>> '{}') AND starts_with(p_ours #>> '{}', p_base #>> '{}') AND p_base <> '""')) THEN 'text_edit'
        ELSE 'modification_conflict' END;
END;
$$;

COMMENT ON FUNCTION pggit._kind_of_change(text, jsonb, jsonb, jsonb) IS
'What two sides did to one value, by its type where that is known: identical_change, counter_update, timestamp_touch, text_edit, json_edit, set_edit or modification_conflict.';

CREATE OR REPLACE FUNCTION pggit._changes_by_key(p_table_id integer, p_base jsonb, p_theirs jsonb, p_ours jsonb)
    RETURNS TABLE (name text, changed_by text, kind text)
    LANGUAGE sql STABLE
AS $$
    SELECT k.name, CASE WHEN k.b IS NOT DISTINCT FROM k.o THEN 'theirs' WHEN k.b IS NOT DISTINCT FROM k.t THEN 'ours' ELSE 'both' END,
           CASE WHEN k.b IS DISTINCT FROM k.o AND k.b IS DISTINCT FROM k.t
                THEN pggit._kind_of_change((SELECT c.type_name FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.name = k.name AND c.dropped_at IS NULL), k.b, k.t, k.o) END
      FROM (SELECT n.name, p_base -> n.name AS b, p_theirs -> n.name AS t, p_ours -> n.name AS o
              FROM (SELECT jsonb_object_keys(p_base) UNION SELECT jsonb_object_keys(p_theirs) UNION SELECT jsonb_object_keys(p_ours)) AS n(name)) AS k
     WHERE k.b IS DISTINCT FROM k.t OR k.b IS DISTINCT FROM k.o;
$$;

COMMENT ON FUNCTION pggit._changes_by_key(integer, jsonb, jsonb, jsonb) IS
'Of three objects (rows of a table, or any) the keys that a side changed, by whom, and, where both did, how.';

CREATE OR REPLACE FUNCTION pggit.analyze_semantic_conflict(p_conflict_id integer, p_base_data jsonb DEFAULT NULL, p_source_data jsonb DEFAULT NULL, p_target_data jsonb DEFAULT NULL,
                                                           p_merge_id uuid DEFAULT NULL)
    RETURNS TABLE (conflict_type text, severity text, resolution_recommended text, confidence numeric, analysis_details jsonb)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted  boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_conflict pggit.conflicts;
    v_column   pggit.columns;
    v_base     jsonb := p_base_data;
    v_theirs   jsonb := p_source_data;
    v_ours     jsonb := p_target_data;
    v_is_row   boolean;
    v_changes  jsonb;
    v_kinds    text[];
    v_is_able  boolean;
    v_proposal jsonb;
    v_why_not  text;
    v_decided  bigint := 0;
    v_agreed   bigint := 0;
BEGIN
    IF p_conflict_id IS NOT NULL THEN
        v_conflict := pggit._conflict(p_conflict_id, p_merge_id);
        SELECT c.* INTO v_column FROM pggit.columns AS c WHERE c.table_id = v_conflict.table_id AND c.column_id = v_conflict.column_id;
        IF p_base_data IS NULL AND p_source_data IS NULL AND p_target_data IS NULL THEN
            v_base   := v_conflict.base;
            v_theirs := v_conflict.theirs;
            v_ours   := v_conflict.ours;
        END IF;
        v_conflict.base   := v_base;
        v_conflict.theirs := v_theirs;
        v_conflict.ours   := v_ours;
        v_conflict.is_torn := v_conflict.is_torn AND p_base_data IS NULL;
    ELSIF p_base_data IS NULL AND p_source_data IS NULL AND p_target_data IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = 'there is nothing to analyze: give the number of a conflict, or data';
    END IF;
    v_base   := nullif(v_base, 'null');
    v_theirs := nullif(v_theirs, 'null');
    v_ours   := nullif(v_ours, 'null');
    v_is_row := CASE WHEN p_conflict_id IS NOT NULL THEN v_conflict.column_id IS NULL
                     ELSE (SELECT bool_and(jsonb_typeof(v) = 'object') FROM unnest(ARRAY[v_base, v_theirs, v_ours]) AS u(v) WHERE v IS NOT NULL) END;

    IF v_theirs IS NOT DISTINCT FROM v_ours THEN
        conflict_type := 'identical_change';
    ELSIF v_base IS NOT DISTINCT FROM v_theirs OR v_base IS NOT DISTINCT FROM v_ours THEN
        conflict_type := 'non_overlapping_modification';
    ELSIF v_is_row AND v_base IS NULL AND v_theirs IS NOT NULL AND v_ours IS NOT NULL THEN
        conflict_type := 'insertion_conflict';
    ELSIF v_is_row AND (v_theirs IS NULL OR v_ours IS NULL) THEN
        conflict_type := 'deletion_conflict';
    ELSIF v_is_row THEN
        SELECT jsonb_object_agg(c.name, jsonb_strip_nulls(jsonb_build_object('changed_by', c.changed_by, 'kind', c.kind))),
               array_agg(DISTINCT c.kind) FILTER (WHERE c.kind <> 'identical_change')
          INTO v_changes, v_kinds
          FROM pggit._changes_by_key(v_conflict.table_id, v_base, v_theirs, v_ours) AS c;
        conflict_type := CASE WHEN v_kinds IS NULL THEN 'non_overlapping_modification' WHEN cardinality(v_kinds) = 1 THEN v_kinds[1] ELSE 'modification_conflict' END;
    ELSE
        conflict_type := pggit._kind_of_change(v_column.type_name, v_base, v_theirs, v_ours);
        IF conflict_type = 'counter_update' AND pggit._tells_rows(v_column.table_id, v_column.name) THEN
            conflict_type := 'modification_conflict';
        END IF;
        IF conflict_type = 'json_edit' THEN
            v_changes := (SELECT jsonb_object_agg(c.name, jsonb_strip_nulls(jsonb_build_object('changed_by', c.changed_by, 'kind', c.kind)))
                            FROM pggit._changes_by_key(NULL, v_base, v_theirs, v_ours) AS c);
            IF (pggit._merge_jsonb(v_base, v_ours, v_theirs)).clean THEN
                conflict_type := 'non_overlapping_modification';
            END IF;
        END IF;
    END IF;

    -- That a side is as one of several bases does not mean that it did nothing.
    IF v_conflict.is_torn AND conflict_type = 'non_overlapping_modification' THEN
        conflict_type := 'modification_conflict';
    END IF;

    resolution_recommended := CASE conflict_type
        WHEN 'identical_change' THEN 'ours' WHEN 'non_overlapping_modification' THEN 'merge'
        WHEN 'counter_update' THEN 'sum' WHEN 'timestamp_touch' THEN 'max' WHEN 'text_edit' THEN 'diff3' WHEN 'set_edit' THEN 'union' ELSE 'manual' END;
    IF v_column.column_id IS NOT NULL AND resolution_recommended IN ('sum', 'max', 'diff3', 'union') THEN
        SELECT t.decided, t.value, t.why INTO v_is_able, v_proposal, v_why_not FROM pggit._try_rule(v_conflict, resolution_recommended) AS t;
        IF NOT v_is_able AND conflict_type = 'text_edit' THEN
            SELECT t.decided, t.value, t.why INTO v_is_able, v_proposal, v_why_not FROM pggit._try_rule(v_conflict, 'concat') AS t;
            resolution_recommended := 'concat';
        END IF;
        IF NOT v_is_able THEN
            resolution_recommended := 'manual';
        END IF;
    END IF;
    severity := CASE WHEN conflict_type IN ('deletion_conflict', 'insertion_conflict') THEN 'high'
                     WHEN resolution_recommended = 'manual' OR conflict_type = 'timestamp_touch' THEN 'medium'
                     ELSE 'low' END;

    IF v_column.column_id IS NOT NULL AND resolution_recommended <> 'manual' AND resolution_recommended <> 'merge' THEN
        SELECT r.decided, r.agreed INTO v_decided, v_agreed FROM pggit._track_record(v_conflict, resolution_recommended) AS r;
    END IF;
    confidence := CASE WHEN conflict_type IN ('identical_change', 'non_overlapping_modification') THEN 1 ELSE round((v_agreed + 1)::numeric / (v_decided + 2), 3) END;
    analysis_details := jsonb_strip_nulls(jsonb_build_object(
        'table', CASE WHEN v_conflict.table_id IS NOT NULL THEN pggit._base_relation(v_conflict.table_id) END, 'key', v_conflict.key, 'column', v_column.name, 'type', v_column.type_name,
        'changes', v_changes, 'proposal', v_proposal, 'why_not', v_why_not,
        'evidence', jsonb_build_object('decided', v_decided, 'agreed', v_agreed)));
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION pggit.analyze_semantic_conflict(integer, jsonb, jsonb, jsonb, uuid) IS
'Says what kind of conflict it is: what each side (source is theirs, target is ours) did to the base.
The conflict is given by its number in pggit.merge_conflicts, of the merge p_merge_id, or of the newest one with conflicts that is not settled; data that is given takes the place of the conflict''s, and with number
NULL stands alone (objects are rows). conflict_type: identical_change, non_overlapping_modification (other cells, other keys of a JSON object, or one side did nothing), insertion_conflict, deletion_conflict (whole rows), counter_update
(integers that neither refer to rows nor tell them apart), timestamp_touch, text_edit (texts of several lines, or both added to the end), json_edit (the same key of objects), set_edit (arrays), modification_conflict (anything else). resolution_recommended: ours, merge, a merge rule (sum, max, diff3, concat,
union), or manual. severity: high when a row would be lost, medium when one side''s change would, low when neither. confidence: 1 where nothing is in dispute; otherwise (agreed + 1) / (decided + 2), of the
conflicts decided in this column before, and those of them that came out as recommended (analysis_details.evidence): 0.5 when nothing is known. Raises VG006, VG007, VG202.';
