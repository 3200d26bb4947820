CREATE OR REPLACE FUNCTION pggit._conflicts_between(p_source text, p_target text, OUT of_rows pggit.merge_conflicts[], OUT of_definitions integer)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_plan    pggit.merge_result;
    v_is_done boolean := false;
BEGIN
    BEGIN
        v_plan    := pggit._run(pggit._open_merge('merge', p_source, p_target, NULL, '{}'), false, true);
        of_rows   := ARRAY(SELECT ROW(c.merge_id, c.conflict_no, c.conflict_id, c.kind, c.table_name, c.key, c.column_name, c.base, c.ours, c.theirs, NULL, NULL, NULL, NULL, NULL, c.note, NULL, NULL)::pggit.merge_conflicts
                             FROM pggit.merge_conflicts AS c WHERE c.merge_id = v_plan.merge_id AND c.resolution IS NULL ORDER BY c.conflict_no);
        v_is_done := true;
        RAISE EXCEPTION USING ERRCODE = 'transaction_rollback';
    EXCEPTION WHEN transaction_rollback THEN
        IF NOT v_is_done THEN
            RAISE;
        END IF;
    END;
    IF v_plan.result = 'refused' THEN
        RAISE EXCEPTION USING
            ERRCODE = coalesce(v_plan.detail ->> 'sqlstate', 'VG302'), SCHEMA = 'pggit',
            MESSAGE = v_plan.detail ->> 'reason';
    END IF;
    of_definitions := v_plan.schema_conflicts;
END;
$$;

COMMENT ON FUNCTION pggit._conflicts_between(text, text, OUT pggit.merge_conflicts[], OUT integer) IS
'The conflicts that a merge would have now, after the merge rules; only rows that both sides have changed are looked at, and nothing is kept of the plan. What was decided before of the same conflicts is not looked up. of_definitions: how many conflicts of
definitions there are beside them. Raises what pggit.plan_merge raises, and the reason where such a merge is refused.';

CREATE OR REPLACE FUNCTION pggit.detect_conflicts(p_source_branch text, p_target_branch text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN (SELECT jsonb_build_object('conflict_count', count(c), 'schema_conflict_count', min(b.of_definitions),
                                      'conflicts', coalesce(jsonb_agg(jsonb_build_object('conflict_id', c.conflict_id, 'type', c.kind, 'table', c.table_name, 'key', c.key, 'column', c.column_name,
                                                                                         'base', c.base, 'ours', c.ours, 'theirs', c.theirs) ORDER BY c.conflict_no) FILTER (WHERE c IS DISTINCT FROM NULL), '[]'))
              FROM pggit._conflicts_between(p_source_branch, p_target_branch) AS b LEFT JOIN LATERAL unnest(b.of_rows) AS c ON true);
END;
$$;

COMMENT ON FUNCTION pggit.detect_conflicts(text, text) IS
'The conflicts of rows that pggit.merge would have now, as {"conflict_count": …, "schema_conflict_count": …, "conflicts": [{conflict_id, type, table, key, column, base, ours, theirs}]}; nothing is written.
Those that merge rules decide do not count. Of conflicts of definitions there is the number alone; pggit.plan_merge lists them. p_target_branch NULL is the session''s branch. Raises VG001, VG002, VG009, VG202, VG205, VG206, VG302 (such a merge would be refused), VG401.';

CREATE OR REPLACE FUNCTION pggit.detect_data_conflicts(p_source_branch text, p_target_branch text DEFAULT NULL, p_table_name text DEFAULT NULL)
    RETURNS TABLE (table_name text, key jsonb, column_name text, conflict_type text, base jsonb, ours jsonb, theirs jsonb, conflict_id text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_table integer := CASE WHEN p_table_name IS NOT NULL THEN (pggit._table(p_table_name)).table_id END;
BEGIN
    RETURN QUERY
    SELECT c.table_name, c.key, c.column_name::text, c.kind, c.base, c.ours, c.theirs, c.conflict_id
      FROM pggit._conflicts_between(p_source_branch, p_target_branch) AS b CROSS JOIN LATERAL unnest(b.of_rows) AS c
     WHERE v_table IS NULL OR c.table_name = pggit._base_relation(v_table)
     ORDER BY c.conflict_no;
END;
$$;

COMMENT ON FUNCTION pggit.detect_data_conflicts(text, text, text) IS
'The rows and cells that would be in conflict if one branch were merged into another now, of all tables or of one; nothing is written.
conflict_type is the kind of pggit.merge_conflicts. Raises what pggit.detect_conflicts raises, VG004 and VG005.';
