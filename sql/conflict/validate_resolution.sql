CREATE OR REPLACE FUNCTION pggit._number_of_constraints(p_table_id integer, p_column text)
    RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT (SELECT count(*) FROM pg_attribute AS a WHERE a.attrelid = t.relation AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped AND a.attname = coalesce(p_column, a.attname))::integer
                   + (SELECT count(*) FROM pg_constraint AS k WHERE (k.conrelid = t.relation AND k.contype IN ('c', 'f', 'x')) OR (k.confrelid = t.relation AND k.contype = 'f' AND k.conrelid <> t.relation))::integer
                   + (SELECT count(*) FROM pg_index AS i WHERE i.indrelid = t.relation AND i.indisunique)::integer
              FROM pggit.tables AS t WHERE t.table_id = p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._number_of_constraints(integer, text) IS
'How many constraints hold for a row of a table (of NOT NULL, those of one column if one is named).';

CREATE OR REPLACE FUNCTION pggit.validate_resolution(p_conflict_id integer, p_proposed_resolution jsonb, p_merge_id uuid DEFAULT NULL)
    RETURNS TABLE (is_valid boolean, validation_errors text[], warnings text[], integrity_score numeric)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted  boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_conflict pggit.conflicts := pggit._conflict(p_conflict_id, p_merge_id);
    v_column   text            := (SELECT c.name FROM pggit.columns AS c WHERE c.table_id = v_conflict.table_id AND c.column_id = v_conflict.column_id);
    v_value    jsonb           := nullif(p_proposed_resolution, 'null');
    v_checks   integer         := 1 + pggit._number_of_constraints(v_conflict.table_id, v_column);
    v_plan     pggit.merge_result;
    v_before   text[];
    v_new      record;
    v_failed   integer := 0;
    v_open     bigint;
    v_is_done  boolean := false;
BEGIN
    PERFORM pggit._open(v_conflict.merge_id);
    IF p_proposed_resolution IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'there is no proposal: it is the value as JSON',
            HINT    = 'JSON null stands for NULL, and for a row that is to be deleted.';
    END IF;
    validation_errors := '{}';
    warnings          := '{}';
    BEGIN
        PERFORM pggit._set_resolution(v_conflict.merge_id, v_conflict.conflict_id, 'ours', NULL);
        PERFORM pggit._run(v_conflict.merge_id, false);
        v_before := ARRAY(SELECT v.violation_id FROM pggit.violations AS v WHERE v.merge_id = v_conflict.merge_id);
        PERFORM pggit._set_resolution(v_conflict.merge_id, v_conflict.conflict_id, 'value', p_proposed_resolution);
        v_plan := pggit._run(v_conflict.merge_id, false);
        IF v_plan.result = 'refused' THEN
            validation_errors := validation_errors || (v_plan.detail ->> 'reason');
            v_failed          := v_checks;
        END IF;
        FOR v_new IN SELECT v.kind, v.constraint_name, min(v.detail) AS detail, format('%s %s', pggit._base_relation(v.table_id), min(v.key::text)) AS place
                       FROM pggit.violations AS v WHERE v.merge_id = v_conflict.merge_id AND v.violation_id <> ALL (v_before)
                      GROUP BY v.kind, v.constraint_name, v.table_id ORDER BY v.kind, v.constraint_name LOOP
            validation_errors := validation_errors || format('%s %s: %s (%s)', v_new.kind, v_new.constraint_name, v_new.detail, v_new.place);
            v_failed          := v_failed + 1;
        END LOOP;
        v_open    := pggit._undecided(v_conflict.merge_id);
        v_is_done := true;
        RAISE EXCEPTION USING ERRCODE = 'transaction_rollback';
    EXCEPTION
        WHEN transaction_rollback THEN
            IF NOT v_is_done THEN
                RAISE;
            END IF;
        WHEN SQLSTATE 'VG204' OR SQLSTATE 'VG007' THEN
            validation_errors := validation_errors || SQLERRM;
            v_failed          := v_checks;
    END;

    warnings := array_remove(ARRAY[
        CASE WHEN v_column IS NULL AND v_value IS NULL THEN 'the row is deleted' END,
        CASE WHEN v_value IS NOT DISTINCT FROM v_conflict.base THEN 'what both sides did is taken back'
             WHEN v_value IS NOT DISTINCT FROM v_conflict.ours THEN 'what theirs did is lost'
             WHEN v_value IS NOT DISTINCT FROM v_conflict.theirs THEN 'what ours did is lost' END,
        CASE WHEN cardinality(v_before) > 0 THEN format('the merge breaks constraints in %s other places', cardinality(v_before)) END,
        CASE WHEN v_open > 0 THEN format('%s other conflicts of this merge are open, and count as ours here', v_open) END], NULL);
    is_valid        := cardinality(validation_errors) = 0;
    integrity_score := round(greatest(v_checks - v_failed, 0)::numeric / v_checks, 3);
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION pggit.validate_resolution(integer, jsonb, uuid) IS
'Says what would become of a merge if one of its conflicts (given as in pggit.analyze_semantic_conflict) got a value, as pggit.resolve_conflict takes it, and changes nothing.
The merge is planned with the value on the branches as they are now, and without it: validation_errors are that the value is none of the column''s type or domain, or what it breaks of NOT NULL, CHECK, unique, exclusion and
foreign keys, in this row or in others. warnings: what the value loses, other conflicts and violations. integrity_score is the share of the checks that hold: the type, and each constraint of the table. Raises VG006, VG007, VG202 (no
proposal), VG303, VG401.';
