CREATE OR REPLACE FUNCTION pggit._rule_for(p_table_id integer, p_column_id integer)
    RETURNS TABLE (rule text, decided bigint, agreed bigint)
    LANGUAGE sql
AS $$
    SELECT r.rule, count(*), count(*) FILTER (WHERE t.decided AND t.value IS NOT DISTINCT FROM pggit._decided_value(d))
      FROM pggit._past_decisions(p_table_id, p_column_id, 'update_update') AS d
     CROSS JOIN unnest(ARRAY['sum', 'max', 'min', 'union', 'diff3', 'concat', 'non_null', 'ours', 'theirs']) WITH ORDINALITY AS r(rule, n)
     CROSS JOIN LATERAL pggit._try_rule(d, r.rule) AS t
     GROUP BY r.rule, r.n
    HAVING count(*) FILTER (WHERE t.decided AND t.value IS NOT DISTINCT FROM pggit._decided_value(d)) > 0
     ORDER BY 3 DESC, r.n
     LIMIT 1;
$$;

COMMENT ON FUNCTION pggit._rule_for(integer, integer) IS
'The merge rule that gives what people decided in a column most often: how many conflicts were decided there, and how many as the rule would have.';

CREATE OR REPLACE FUNCTION pggit.identify_conflict_patterns(p_lookback_days integer DEFAULT 30)
    RETURNS TABLE (pattern_id text, affected_table text, affected_column text, conflict_count bigint, resolution_success_rate numeric, common_causes text[], recommendation text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    IF p_lookback_days IS NULL OR p_lookback_days < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = format('%s days back is no time to look at', coalesce(p_lookback_days::text, 'NULL'));
    END IF;
    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT DISTINCT ON (m.target_id, c.conflict_id) c.table_id, c.column_id, c.kind, m.source, b.name AS target, c.resolution IS NOT NULL AND m.result IN ('merged', 'fast_forward') AS is_settled
          FROM pggit.conflicts AS c JOIN pggit.merges AS m USING (merge_id) JOIN pggit.branches AS b ON b.branch_id = m.target_id
         WHERE m.created_at > now() - make_interval(days => p_lookback_days)
         ORDER BY m.target_id, c.conflict_id, (c.resolution IS NOT NULL AND m.result IN ('merged', 'fast_forward')) DESC, m.created_at DESC
    ), places AS (
        SELECT f.table_id, f.column_id, count(*) AS n, round(avg(f.is_settled::integer), 3) AS rate,
               (SELECT array_agg(format('%s: %s', w.what, w.n) ORDER BY w.n DESC, w.what)
                  FROM (SELECT k.kind AS what, count(*) AS n FROM found AS k WHERE k.table_id = f.table_id AND k.column_id IS NOT DISTINCT FROM f.column_id GROUP BY k.kind
                        UNION ALL
                        SELECT format('%s into %s', k.source, k.target), count(*) FROM found AS k WHERE k.table_id = f.table_id AND k.column_id IS NOT DISTINCT FROM f.column_id GROUP BY k.source, k.target) AS w) AS causes
          FROM found AS f
         GROUP BY f.table_id, f.column_id
    )
    SELECT left(md5(format('%s %s', p.table_id, p.column_id)), 12), pggit._base_relation(p.table_id), c.name, p.n, p.rate, p.causes,
           CASE WHEN p.column_id IS NULL THEN 'Whole rows are in conflict: see pggit.suggest_conflict_prevention.'
                WHEN r.agreed * 2 > r.decided THEN format('SELECT pggit.add_merge_rule(%L, %L, %L); -- %s of %s decisions were that', pggit._base_relation(p.table_id), c.name, r.rule, r.agreed, r.decided)
                ELSE 'No rule gives what was decided here: see pggit.suggest_conflict_prevention.' END
      FROM places AS p
      LEFT JOIN pggit.columns AS c ON c.table_id = p.table_id AND c.column_id = p.column_id
      LEFT JOIN LATERAL pggit._rule_for(p.table_id, p.column_id) AS r ON p.column_id IS NOT NULL
     ORDER BY p.n DESC, 2, 3 NULLS FIRST;
END;
$$;

COMMENT ON FUNCTION pggit.identify_conflict_patterns(integer) IS
'Where merges of the last days were in conflict, most often first: a row for each column, and with affected_column NULL for the whole rows of each table.
A conflict that was found again in later plans for the same branch counts once. resolution_success_rate is the share of them that was decided in a merge that went through. common_causes: the kinds of conflict and the branches, with numbers. recommendation: the
merge rule that gives what people decided in more than half of the cases, as a statement to run, or that there is none. Empty when there were no conflicts. Raises VG202.';
