CREATE OR REPLACE FUNCTION pggit._conflict(p_conflict_no integer, p_merge_id uuid)
    RETURNS pggit.conflicts
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_conflict pggit.conflicts;
BEGIN
    IF p_merge_id IS NOT NULL AND NOT EXISTS (SELECT FROM pggit.merges AS m WHERE m.merge_id = p_merge_id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG006', SCHEMA = 'pggit',
            MESSAGE = format('there is no merge %s', p_merge_id),
            HINT    = 'pggit.merge_status() lists the merges that wait, with their ids.';
    END IF;
    p_merge_id := coalesce(p_merge_id, (SELECT m.merge_id FROM pggit.merges AS m
                                         WHERE m.result IN ('planned', 'conflicted', 'refused') AND EXISTS (SELECT FROM pggit.conflicts AS c WHERE c.merge_id = m.merge_id)
                                         ORDER BY m.created_at DESC, m.merge_id LIMIT 1));
    SELECT c.* INTO v_conflict FROM pggit.conflicts AS c WHERE c.merge_id = p_merge_id AND c.conflict_no = p_conflict_no;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG007', SCHEMA = 'pggit',
            MESSAGE = CASE WHEN p_merge_id IS NULL THEN 'no merge that is not settled has conflicts' ELSE format('merge %s has no conflict number %s', p_merge_id, coalesce(p_conflict_no::text, 'NULL')) END,
            HINT    = 'pggit.merge_conflicts lists them. A number belongs to a merge: p_merge_id names another than the newest that is not settled.';
    END IF;
    RETURN v_conflict;
END;
$$;

COMMENT ON FUNCTION pggit._conflict(integer, uuid) IS
'A conflict by its number in a merge; without a merge, in the newest one with conflicts that is not settled. Raises VG006, VG007.';

CREATE OR REPLACE FUNCTION pggit._tells_rows(p_table_id integer, p_column name)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pggit.tables AS t JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attname = p_column AND a.attnum > 0
                    WHERE t.table_id = p_table_id
                      AND (EXISTS (SELECT FROM pg_constraint AS f WHERE f.conrelid = t.relation AND f.contype = 'f' AND a.attnum = ANY (f.conkey))
                           OR EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = t.relation AND i.indisunique AND a.attnum = ANY (i.indkey))));
END;
$$;

COMMENT ON FUNCTION pggit._tells_rows(integer, name) IS
'Whether a column refers to something, or tells rows apart: a number in it is no counter.';

CREATE OR REPLACE FUNCTION pggit._try_rule(p_conflict pggit.conflicts, p_rule text, OUT decided boolean, OUT value jsonb, OUT why text)
    LANGUAGE plpgsql
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex'
AS $$
DECLARE
    v_column pggit.columns;
    v_rule   record;
BEGIN
    decided := false;
    SELECT c.* INTO v_column FROM pggit.columns AS c WHERE c.table_id = p_conflict.table_id AND c.column_id = p_conflict.column_id;
    IF NOT FOUND THEN
        why := 'the conflict is about a whole row';
        RETURN;
    ELSIF p_rule IN ('ours', 'theirs') THEN
        decided := true;
        value   := CASE p_rule WHEN 'ours' THEN p_conflict.ours ELSE p_conflict.theirs END;
        RETURN;
    ELSIF p_conflict.is_torn AND pggit._asks_for_base(p_rule, NULL) THEN
        why := pggit._no_one_base();
        RETURN;
    END IF;
    v_rule := pggit._rule_sql(p_rule, v_column.type_name, 's.b', 's.o', 's.t', NULL, NULL);
    EXECUTE format('SELECT %1$s, CASE WHEN %1$s THEN to_jsonb(%2$s) END FROM (SELECT %3$s AS b, %4$s AS o, %5$s AS t) AS s', v_rule.decides, v_rule.value,
                   pggit._cell_from_json_sql(v_column.table_id, v_column.column_id, p_conflict.base), pggit._cell_from_json_sql(v_column.table_id, v_column.column_id, p_conflict.ours),
                   pggit._cell_from_json_sql(v_column.table_id, v_column.column_id, p_conflict.theirs))
       INTO decided, value;
    decided := coalesce(decided, false) AND (p_rule <> 'diff3' OR value IS NOT NULL);
    why     := CASE WHEN NOT decided THEN v_rule.otherwise END;
EXCEPTION WHEN OTHERS THEN
    IF NOT pggit._is_ours_to_judge(SQLSTATE) THEN
        RAISE;
    END IF;
    decided := false;
    value   := NULL;
    why     := SQLERRM;
END;
$$;

COMMENT ON FUNCTION pggit._try_rule(pggit.conflicts, text) IS
'What a merge rule (ours, theirs, max, min, sum, union, concat, diff3, non_null) makes of the cell of a conflict, or why it can''t decide it.';

CREATE OR REPLACE FUNCTION pggit._decided_value(p_conflict pggit.conflicts)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE p_conflict.resolution WHEN 'ours' THEN p_conflict.ours WHEN 'theirs' THEN p_conflict.theirs WHEN 'base' THEN p_conflict.base ELSE p_conflict.resolved_value END;
$$;

COMMENT ON FUNCTION pggit._decided_value(pggit.conflicts) IS
'The value that a decided conflict has got.';

CREATE OR REPLACE FUNCTION pggit._past_decisions(p_table_id integer, p_column_id integer, p_kind text)
    RETURNS SETOF pggit.conflicts
    LANGUAGE sql STABLE
AS $$
    SELECT (d.c).* FROM (
        SELECT DISTINCT ON (c.conflict_id) c FROM pggit.conflicts AS c JOIN pggit.merges AS m USING (merge_id)
         WHERE c.table_id = p_table_id AND c.column_id IS NOT DISTINCT FROM p_column_id AND c.kind = p_kind
           AND c.resolution IS NOT NULL AND m.result IN ('merged', 'fast_forward')
         ORDER BY c.conflict_id, m.created_at DESC) AS d
     ORDER BY ((d.c).resolved_at) DESC
     LIMIT 100;
$$;

COMMENT ON FUNCTION pggit._past_decisions(integer, integer, text) IS
'The newest 100 conflicts of a column, or of a table''s rows, that were decided in merges that went through.';

CREATE OR REPLACE FUNCTION pggit._track_record(p_conflict pggit.conflicts, p_method text, OUT decided bigint, OUT agreed bigint)
    LANGUAGE sql
AS $$
    SELECT count(*), count(*) FILTER (WHERE t.decided AND t.value IS NOT DISTINCT FROM pggit._decided_value(d))
      FROM pggit._past_decisions(p_conflict.table_id, p_conflict.column_id, p_conflict.kind) AS d
     CROSS JOIN LATERAL pggit._try_rule(d, p_method) AS t
     WHERE d.conflict_id <> p_conflict.conflict_id;
$$;

COMMENT ON FUNCTION pggit._track_record(pggit.conflicts, text) IS
'How many earlier conflicts of the same column were decided, and how many of them as a method would have.';
