CREATE OR REPLACE FUNCTION pggit._rule_of_type(p_column pggit.columns)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN CASE WHEN pggit._tells_rows(p_column.table_id, p_column.name) THEN NULL
                WHEN p_column.type_name IN ('smallint', 'integer', 'bigint') THEN 'sum'
                WHEN p_column.type_name ~ '^timestamp' THEN 'max'
                WHEN p_column.type_name ~ '\[\]$' THEN 'union'
                WHEN p_column.type_name = 'text' THEN 'diff3' END;
END;
$$;

COMMENT ON FUNCTION pggit._rule_of_type(pggit.columns) IS
'The merge rule that fits a column''s type, if its type says anything.';

CREATE OR REPLACE FUNCTION pggit.suggest_conflict_prevention(p_table_schema text, p_table_name text)
    RETURNS TABLE (prevention_strategy text, implementation_effort text, expected_impact numeric, details jsonb)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_table   pggit.tables;
    v_name    text;
    v_total   bigint;
    v_changes bigint;
BEGIN
    IF p_table_schema IS NULL OR p_table_name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = 'the table is named by its schema and its name';
    END IF;
    v_table := pggit._table(format('%I.%I', p_table_schema, p_table_name));
    v_name  := pggit._base_relation(v_table.table_id);
    EXECUTE format('SELECT count(*) FROM pggit._log_%s AS l WHERE l._op <> ''I''', v_table.table_id) INTO v_changes;
    v_total := (SELECT count(DISTINCT c.conflict_id) FROM pggit.conflicts AS c WHERE c.table_id = v_table.table_id);

    IF pggit._is_keyless(v_table.table_id) THEN
        RETURN QUERY SELECT 'give the table a primary key: without one its rows are counted, and changes of both sides to one row leave two', 'high'::text, NULL::numeric,
                            jsonb_build_object('table', v_name, 'changes', v_changes);
        RETURN;
    END IF;

    RETURN QUERY
    WITH past AS MATERIALIZED (
        SELECT (d.c).* FROM (SELECT DISTINCT ON (c.conflict_id) c FROM pggit.conflicts AS c WHERE c.table_id = v_table.table_id ORDER BY c.conflict_id) AS d
    ), rows_deleted AS (
        SELECT count(*) AS n FROM past AS p WHERE p.kind IN ('update_delete', 'delete_update')
    ), columns AS (
        SELECT c, coalesce(r.rule, pggit._rule_of_type(c)) AS rule, r.decided, r.agreed
          FROM pggit.columns AS c
          LEFT JOIN LATERAL pggit._rule_for(v_table.table_id, c.column_id) AS r ON r.agreed * 2 > r.decided
         WHERE c.table_id = v_table.table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL AND c.key_position IS NULL
           AND NOT EXISTS (SELECT FROM pggit.merge_rules AS m WHERE pggit._fits_table(v_table, m.table_name) AND pggit._fits(c.name, m.column_name) AND m.rule <> 'renumber')
    ), rules AS (
        SELECT (k.c).name AS name, k.rule, k.decided, k.agreed, f.n AS conflicts, f.would
          FROM columns AS k
         CROSS JOIN LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE (pggit._try_rule(p::pggit.conflicts, k.rule)).decided) AS would FROM past AS p WHERE p.column_id = (k.c).column_id) AS f
         WHERE k.rule IS NOT NULL AND (f.would > 0 OR v_total = 0)
        UNION ALL
        SELECT c.name, 'renumber', NULL, NULL, f.n, f.n
          FROM pggit._generated_keys('*', '*') AS g JOIN pggit.columns AS c ON c.table_id = g.table_id AND c.column_id = g.column_id
         CROSS JOIN LATERAL (SELECT count(*) AS n FROM past AS p WHERE p.kind = 'insert_insert') AS f
         WHERE g.table_id = v_table.table_id AND f.n > 0 AND NOT EXISTS (SELECT FROM pggit.merge_rules AS m WHERE pggit._fits_table(v_table, m.table_name) AND m.rule = 'renumber')
    )
    SELECT s.strategy, s.effort, s.impact, s.details
      FROM (SELECT 1 AS part, 'mark rows as deleted in a column instead of deleting them: a cell can be decided, a row that is gone only by hand' AS strategy, 'high' AS effort,
                   round(d.n::numeric / nullif(v_total, 0), 3) AS impact, jsonb_build_object('table', v_name, 'conflicts', d.n, 'changes', v_changes) AS details
              FROM rows_deleted AS d WHERE d.n > 0
            UNION ALL
            SELECT 2, format('merge rule %s for column %I', r.rule, r.name), 'low', round(r.would::numeric / nullif(v_total, 0), 3),
                   jsonb_strip_nulls(jsonb_build_object('table', v_name, 'column', r.name, 'conflicts', r.conflicts, 'would_decide', r.would, 'changes', v_changes, 'decided', r.decided, 'agreed', r.agreed,
                                                        'merge_rule', jsonb_build_object('table', v_name, 'column', r.name, 'rule', r.rule),
                                                        'sql', format('SELECT pggit.add_merge_rule(%L, %L, %L);', v_name, r.name, r.rule)))
              FROM rules AS r) AS s
     ORDER BY s.part, s.impact NULLS FIRST, s.strategy;
END;
$$;

COMMENT ON FUNCTION pggit.suggest_conflict_prevention(text, text) IS
'What would keep a table out of conflicts, the best merge rule last: from what was in conflict there and how people decided it, and, where nothing was yet, from the types of its columns.
expected_impact is the share of the table''s conflicts so far that it would have decided or spared; NULL when there were none. implementation_effort: low (one statement, details.sql; details.merge_rule is the row of pggit.merge_rules) or high (the table and what
writes it have to change). details: conflicts in the column, would_decide of them, changes (updates and deletes of the table in its history), decided and agreed (decisions of people, and those the rule would have made). Columns that have a rule already
are left out; empty when there is nothing to suggest. Raises VG004, VG005, VG202.';
