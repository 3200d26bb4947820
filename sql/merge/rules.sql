-- Rules decide cells that both sides changed, before anybody is asked. They work on the plan of a table (merge/rows.sql), all its conflicts at once.

CREATE OR REPLACE FUNCTION pggit._check_rule(p_rule jsonb)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_known  constant text[] := ARRAY['ours', 'theirs', 'base', 'max', 'min', 'sum', 'newest', 'union', 'concat', 'diff3', 'non_null', 'expression', 'renumber'];
    v_rule   text := p_rule ->> 'rule';
    v_table  text := coalesce(p_rule ->> 'table', '*');
    v_column text := coalesce(p_rule ->> 'column', '*');
    v_reason text;
    v_hint   text;
BEGIN
    SELECT CASE
        WHEN jsonb_typeof(p_rule) <> 'object' THEN 'a rule is an object with rule, table and column'
        WHEN v_rule IS NULL OR v_rule <> ALL (v_known) THEN format('there is no rule %L', v_rule)
        WHEN EXISTS (SELECT FROM jsonb_object_keys(p_rule) AS k WHERE k <> ALL (ARRAY['rule', 'table', 'column', 'by', 'expression']))
            THEN format('a rule has no field %L', (SELECT min(k) FROM jsonb_object_keys(p_rule) AS k WHERE k <> ALL (ARRAY['rule', 'table', 'column', 'by', 'expression'])))
        WHEN v_rule = 'newest' AND p_rule ->> 'by' IS NULL THEN 'it needs by, the column that says which side is newer'
        WHEN v_rule <> 'newest' AND p_rule ->> 'by' IS NOT NULL THEN 'by is for the rule newest alone'
        WHEN v_rule = 'expression' AND p_rule ->> 'expression' IS NULL THEN 'it needs expression, SQL over base, ours and theirs'
        WHEN v_rule <> 'expression' AND p_rule ->> 'expression' IS NOT NULL THEN 'expression is for the rule expression alone'
        WHEN p_rule ->> 'expression' ~ E';|--|/\\*' THEN 'an expression has no ; and no comment in it'
        END INTO v_reason;
    IF v_reason IS NULL AND position('*' IN v_table) = 0 AND NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.untracked_at IS NULL AND pggit._fits_table(t, v_table)) THEN
        v_reason := format('there is no tracked table %L', v_table);
        v_hint   := pggit._near_tables(v_table);
    ELSIF v_reason IS NULL AND position('*' IN v_table || v_column) = 0 THEN
        SELECT w.reason, w.hint INTO v_reason, v_hint FROM pggit._why_no_rule(v_rule, v_table, v_column, p_rule ->> 'by', p_rule ->> 'expression') AS w;
    ELSIF v_reason IS NULL AND v_rule = 'renumber' AND (position('*' IN v_table) = 0 OR position('*' IN v_column) = 0) AND NOT EXISTS (SELECT FROM pggit._generated_keys(v_table, v_column)) THEN
        v_reason := format('no tracked table has in its key a column whose values come from a sequence: table %L, column %L', v_table, v_column);
    END IF;
    IF v_reason IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('merge rule %s: %s', coalesce(v_rule, p_rule::text), v_reason),
            HINT    = coalesce(v_hint, CASE WHEN v_rule <> ALL (v_known) THEN pggit._near_names(v_rule, v_known) ELSE '' END)
                      || format('Rules: %s. Tables and columns may have * in them; the only rule for a column of the key is renumber.', array_to_string(v_known, ', '));
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._check_rule(jsonb) IS
'Raises VG202 for a merge rule that makes no sense, that names a table or column that is not there, or that can never decide the column that it names.';

CREATE OR REPLACE FUNCTION pggit._why_no_rule(p_rule text, p_table text, p_column text, p_by text, p_expression text, OUT reason text, OUT hint text)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_names text[] := ARRAY(SELECT DISTINCT c.name FROM pggit.tables AS t CROSS JOIN LATERAL pggit._columns_at(t.table_id, pggit._target()) AS c WHERE t.untracked_at IS NULL AND pggit._fits_table(t, p_table));
    v_one   record;
BEGIN
    IF p_column <> ALL (v_names) OR p_by <> ALL (v_names) THEN
        reason := format('table %s has no column %L', p_table, CASE WHEN p_column <> ALL (v_names) THEN p_column ELSE p_by END);
        hint   := pggit._near_names(CASE WHEN p_column <> ALL (v_names) THEN p_column ELSE p_by END, v_names);
    ELSIF p_rule = 'renumber' THEN
        reason := (SELECT format('no tracked table has in its key a column whose values come from a sequence: table %L, column %L', p_table, p_column) WHERE NOT EXISTS (SELECT FROM pggit._generated_keys(p_table, p_column)));
    ELSIF NOT EXISTS (SELECT FROM pggit._ruled_columns(p_table, p_column)) THEN
        reason := (SELECT format(CASE WHEN bool_and(c.generated_as IS NULL) THEN 'column %I of table %s is in its key' ELSE 'column %I of table %s is generated from others' END, p_column, p_table)
                     FROM pggit.tables AS t CROSS JOIN LATERAL pggit._columns_at(t.table_id, pggit._target()) AS c WHERE t.untracked_at IS NULL AND pggit._fits_table(t, p_table) AND c.name = p_column);
    ELSIF NOT EXISTS (SELECT FROM pggit._ruled_columns(p_table, p_column, p_by)) THEN
        reason := format('column %I of table %s is generated, and says nothing of who is newer', p_by, p_table);
    ELSE
        -- The same name may be a table of several schemas.
        FOR v_one IN SELECT c AS of, r.by_id FROM pggit._ruled_columns(p_table, p_column, p_by) AS r CROSS JOIN LATERAL pggit._columns_at(r.table_id, pggit._target()) AS c WHERE c.column_id = r.column_id LOOP
            reason := format('it can''t decide column %I of table %s, of type %s: ', p_column, p_table, (v_one.of).type_name) || pggit._why_undecided(v_one.of, p_rule, v_one.by_id, p_expression);
            EXIT WHEN reason IS NULL;
        END LOOP;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._why_no_rule(text, text, text, text, text, OUT text, OUT text) IS
'Why a rule for one column of a tracked table, which is there, can never decide anything, and near names for a hint; NULL where it can.';

CREATE OR REPLACE FUNCTION pggit._why_undecided(p_column pggit.columns, p_rule text, p_by_id integer, p_expression text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_cell text    := 'c' || p_column.column_id;
    v_sql  record  := pggit._rule_sql(p_rule, p_column.type_name, '(p.b).' || v_cell, '(p.o).' || v_cell, '(p.t).' || v_cell, 'c' || p_by_id, p_expression);
    v_rows text    := format('(SELECT NULL::pggit._delta_%1$s AS b, NULL::pggit._delta_%1$s AS o, NULL::pggit._delta_%1$s AS t LIMIT %%s) AS p', p_column.table_id);
    v_is   regtype := to_regtype(p_column.type_name);
    v_type regtype;
BEGIN
    IF v_is IS NULL OR p_rule IN ('ours', 'theirs', 'base') OR pggit._is_keyless(p_column.table_id) THEN
        RETURN NULL;
    ELSIF p_rule = 'union' AND v_is <> 'jsonb'::regtype AND NOT EXISTS (SELECT FROM pg_type AS t WHERE t.oid = v_is AND t.typcategory = 'A') THEN
        RETURN 'it is for arrays';
    ELSIF p_rule IN ('concat', 'diff3') AND NOT pggit._takes_text(v_is) THEN
        RETURN 'it is for texts';
    END IF;
    -- Nothing of it is evaluated.
    EXECUTE format('SELECT CASE WHEN %s THEN %s END FROM %s', v_sql.decides, v_sql.value, format(v_rows, 0));
    EXECUTE format('SELECT pg_typeof(CASE WHEN false THEN %s ELSE %s END) FROM %s', v_sql.value, CASE p_rule WHEN 'expression' THEN '(p.o).' || v_cell ELSE 'NULL' END, format(v_rows, 1)) INTO v_type;
    RETURN CASE WHEN p_rule = 'expression' AND v_type <> v_is THEN format('it gives %s', v_type) END;
EXCEPTION
    WHEN insufficient_privilege THEN
        RETURN NULL;
    WHEN datatype_mismatch THEN
        RETURN CASE p_rule WHEN 'expression' THEN 'it gives another type' ELSE SQLERRM END;
    WHEN syntax_error_or_access_rule_violation THEN
        RETURN SQLERRM;
    WHEN OTHERS THEN
        IF NOT pggit._is_ours_to_judge(SQLSTATE) THEN
            RAISE;
        END IF;
        RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._why_undecided(pggit.columns, text, integer, text) IS
'Why a rule fails for every value of a column, as PostgreSQL says when it prepares it; NULL where it does not.';

CREATE OR REPLACE FUNCTION pggit._takes_text(p_type regtype)
    RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT t.typcategory = 'S' OR EXISTS (SELECT FROM pg_cast AS c WHERE c.castsource = 'text'::regtype AND c.casttarget = t.oid AND c.castcontext IN ('i', 'a')) FROM pg_type AS t WHERE t.oid = p_type;
$$;

COMMENT ON FUNCTION pggit._takes_text(regtype) IS
'Whether a text can be assigned to a column of a type.';

CREATE OR REPLACE FUNCTION pggit._fits(p_name text, p_pattern text)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT p_name = p_pattern OR p_name LIKE replace(regexp_replace(p_pattern, E'([\\\\%_])', E'\\\\\\1', 'g'), '*', '%');
$$;

COMMENT ON FUNCTION pggit._fits(text, text) IS
'Whether a name is a pattern, in which * stands for any characters.';

CREATE OR REPLACE FUNCTION pggit._fits_table(p_table pggit.tables, p_pattern text)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT pggit._fits(p_table.table_name, p_pattern) OR pggit._fits(p_table.schema_name || '.' || p_table.table_name, p_pattern)
           OR pggit._fits(format('%I.%I', p_table.schema_name, p_table.table_name), p_pattern);
$$;

COMMENT ON FUNCTION pggit._fits_table(pggit.tables, text) IS
'Whether a table is meant by a pattern, with or without its schema.';

CREATE OR REPLACE FUNCTION pggit._ruled_columns(p_table text, p_column text, p_by text DEFAULT NULL)
    RETURNS TABLE (table_id integer, column_id integer, by_id integer)
    LANGUAGE sql STABLE
AS $$
    SELECT c.table_id, c.column_id, b.column_id
      FROM pggit.tables AS t
     CROSS JOIN LATERAL pggit._columns_at(t.table_id, pggit._target()) AS c
      LEFT JOIN LATERAL pggit._columns_at(t.table_id, pggit._target()) AS b ON b.name = p_by AND b.generated_as IS NULL
     WHERE t.untracked_at IS NULL AND c.generated_as IS NULL AND c.key_position IS NULL
       AND pggit._fits_table(t, p_table) AND pggit._fits(c.name, p_column) AND (p_by IS NULL OR b.column_id IS NOT NULL);
$$;

COMMENT ON FUNCTION pggit._ruled_columns(text, text, text) IS
'The columns that a rule is for, by patterns of table (with or without schema) and column; by_id is the column p_by of the same table, which must have it.';

CREATE OR REPLACE FUNCTION pggit._rules(p_merge pggit.merges)
    RETURNS TABLE (n bigint, rule text, table_name text, column_name text, by_column text, expression text)
    LANGUAGE sql STABLE
AS $$
    SELECT row_number() OVER (ORDER BY r.stored, r.stored AND position('*' IN r.table_name) > 0, r.stored AND position('*' IN r.column_name) > 0, r.n),
           r.rule, r.table_name, r.column_name, r.by_column, r.expression
      FROM (SELECT false AS stored, g.n, g.value ->> 'rule' AS rule, coalesce(g.value ->> 'table', '*') AS table_name, coalesce(g.value ->> 'column', '*') AS column_name,
                   g.value ->> 'by' AS by_column, g.value ->> 'expression' AS expression
              FROM jsonb_array_elements(coalesce(p_merge.options -> 'rules', '[]')) WITH ORDINALITY AS g(value, n)
            UNION ALL
            SELECT true, m.rule_no, m.rule, m.table_name, m.column_name, m.by_column, m.expression
              FROM pggit.merge_rules AS m
             WHERE p_merge.kind IN ('merge', 'cherry_pick', 'unstash')) AS r;
$$;

COMMENT ON FUNCTION pggit._rules(pggit.merges) IS
'The rules of a merge in the order in which they are asked: those given with it, then those of the repository, exact names first. A revert takes
only those given with it: what keeps the larger value would keep what it is to take away.';

CREATE OR REPLACE FUNCTION pggit._rule_sql(p_rule text, p_type text, p_base text, p_ours text, p_theirs text, p_by text, p_expression text,
                                           OUT value text, OUT decides text, OUT otherwise text)
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE p_rule
               WHEN 'max'      THEN format('greatest(%s, %s)', p_ours, p_theirs)
               WHEN 'min'      THEN format('least(%s, %s)', p_ours, p_theirs)
               WHEN 'sum'      THEN format('CASE WHEN %1$s IS NULL THEN %2$s + %3$s ELSE %2$s + (%3$s - %1$s) END', p_base, p_ours, p_theirs)
               WHEN 'newest'   THEN format('CASE WHEN (p.t).%1$s > (p.o).%1$s THEN %3$s ELSE %2$s END', p_by, p_ours, p_theirs)
               WHEN 'union'    THEN CASE WHEN p_type = 'jsonb' THEN format('coalesce(pggit._merge_arrays(%s, %s, %s), ''[]'')', p_base, p_ours, p_theirs)
                                         ELSE format('coalesce(pggit._merge_arrays(%s, %s, %s), ''{}'')', p_base, p_ours, p_theirs) END
               WHEN 'concat'   THEN format('CASE WHEN %1$s::text <> '''' THEN %2$s::text || substr(%3$s::text, length(%1$s::text) + 1) ELSE %2$s::text || E''\n'' || %3$s::text END',
                                           p_base, p_ours, p_theirs)
               -- A collation may take texts that differ for equal; a merge never does.
               WHEN 'diff3'    THEN format('pggit._merge_lines((%s::text) COLLATE "C", (%s::text) COLLATE "C", (%s::text) COLLATE "C")', p_base, p_ours, p_theirs)
               WHEN 'non_null' THEN format('coalesce(%s, %s)', p_ours, p_theirs)
               WHEN 'expression' THEN format('(SELECT %s FROM (SELECT %s AS base, %s AS ours, %s AS theirs) AS cell)', p_expression, p_base, p_ours, p_theirs)
           END,
           CASE p_rule
               WHEN 'sum'      THEN format('%s IS NOT NULL AND %s IS NOT NULL', p_ours, p_theirs)
               WHEN 'newest'   THEN format('(p.t).%1$s <> (p.o).%1$s', p_by)
               WHEN 'union'    THEN CASE WHEN p_type = 'jsonb'
                                         THEN format('jsonb_typeof(%s) = ''array'' AND jsonb_typeof(%s) = ''array'' AND coalesce(jsonb_typeof(%s) = ''array'', true)', p_ours, p_theirs, p_base)
                                         ELSE format('%s IS NOT NULL AND %s IS NOT NULL AND coalesce(greatest(array_ndims(%3$s), array_ndims(%1$s), array_ndims(%2$s)), 1) = 1',
                                                     p_ours, p_theirs, p_base) END
               WHEN 'concat'   THEN format('%2$s IS NOT NULL AND %3$s IS NOT NULL AND coalesce(starts_with((%2$s::text) COLLATE "C", %1$s::text) AND starts_with((%3$s::text) COLLATE "C", %1$s::text), true)',
                                           p_base, p_ours, p_theirs)
               WHEN 'diff3'    THEN format('%s IS NOT NULL AND %s IS NOT NULL AND %s IS NOT NULL', p_base, p_ours, p_theirs)
               WHEN 'non_null' THEN format('(%s IS NULL) <> (%s IS NULL)', p_ours, p_theirs)
               ELSE 'true'
           END,
           CASE p_rule
               WHEN 'sum'      THEN 'one side is NULL'
               WHEN 'newest'   THEN 'neither side is newer'
               WHEN 'union'    THEN 'these are not all arrays of one dimension'
               WHEN 'concat'   THEN 'a side did more than add to the end'
               WHEN 'diff3'    THEN 'both sides changed the same lines'
               WHEN 'non_null' THEN 'both sides have a value'
           END;
$$;

COMMENT ON FUNCTION pggit._rule_sql(text, text, text, text, text, text, text) IS
'A rule as SQL over a planned row p: the value it gives a cell, the condition under which it decides, and what to say where it does not.';

CREATE OR REPLACE FUNCTION pggit._asks_for_base(p_rule text, p_expression text)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT p_rule IN ('base', 'sum', 'union', 'concat', 'diff3') OR (p_rule = 'expression' AND p_expression ~* '\mbase\M');
$$;

COMMENT ON FUNCTION pggit._asks_for_base(text, text) IS
'Whether what a rule makes of a cell depends on the base.';

CREATE OR REPLACE FUNCTION pggit._no_one_base()
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT 'the best common ancestors have different values';
$$;

COMMENT ON FUNCTION pggit._no_one_base() IS
'Why a rule that asks for the base does not decide a cell that is torn (pggit._base_row_sql).';

CREATE OR REPLACE FUNCTION pggit._is_ours_to_judge(p_sqlstate text)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT left(p_sqlstate, 2) <> ALL (ARRAY['40', '53', '54', '55', '57', '58', 'XX']);
$$;

COMMENT ON FUNCTION pggit._is_ours_to_judge(text) IS
'Whether an error speaks of what was evaluated, and not of locks, memory, or the server.';

CREATE OR REPLACE FUNCTION pggit._decide_cells(p_table_id integer, p_column pggit.columns, p_rule text, p_by_id integer, p_expression text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_plan   text := format('pg_temp.pggit_plan_%s', p_table_id);
    v_cell   text := 'c' || p_column.column_id;
    v_open   text := format('%1$s = ANY (p.cells) AND NOT p.decided ? ''%1$s''', p_column.column_id);
    v_side   text := CASE p_rule WHEN 'ours' THEN '(p.o)' WHEN 'theirs' THEN '(p.t)' WHEN 'base' THEN '(p.b)' END;
    v_mine   text := format('jsonb_build_object(%L, %L)', p_column.column_id, p_rule);
    v_sql    record;
    v_type   regtype;
    v_update text;
    v_one    text;
    v_row    bigint;
    v_note   text;
BEGIN
    IF pggit._asks_for_base(p_rule, p_expression) THEN
        EXECUTE format('UPDATE %s AS p SET notes = p.notes || jsonb_build_object(%L, %L) WHERE %s AND p.torn && ''{0,%2$s}''', v_plan, p_column.column_id, p_rule || ': ' || pggit._no_one_base(), v_open);
        v_open := format('%s AND NOT p.torn && ''{0,%s}''', v_open, p_column.column_id);
    END IF;
    IF v_side IS NOT NULL THEN
        EXECUTE format('UPDATE %1$s AS p SET want.%2$s = %3$s.%2$s, decided = p.decided || %4$s WHERE %5$s AND NOT %3$s IS NULL', v_plan, v_cell, v_side, v_mine, v_open);
        RETURN;
    END IF;

    v_sql    := pggit._rule_sql(p_rule, p_column.type_name, '(p.b).' || v_cell, '(p.o).' || v_cell, '(p.t).' || v_cell, 'c' || p_by_id, p_expression);
    v_update := format('UPDATE %1$s AS p SET want.%2$s = r.value, decided = p.decided || %3$s
                          FROM (SELECT p.row_no, %4$s AS decides, CASE WHEN %4$s THEN %5$s END AS value FROM %1$s AS p WHERE %6$s%%s) AS r
                         WHERE r.row_no = p.row_no AND r.decides %7$s',
                       v_plan, v_cell, v_mine, replace(v_sql.decides, '%', '%%'), replace(v_sql.value, '%', '%%'), v_open, CASE WHEN p_rule = 'diff3' THEN 'AND r.value IS NOT NULL' ELSE '' END);
    v_one    := format(v_update, ' AND p.row_no = $1');
    v_update := format(v_update, '');
    BEGIN
        IF p_rule = 'expression' THEN
            EXECUTE format('SELECT pg_typeof(CASE WHEN false THEN %s ELSE (p.o).%s END) FROM %s AS p LIMIT 1', v_sql.value, v_cell, v_plan) INTO v_type;
            IF v_type <> p_column.type_name::regtype THEN
                RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch', MESSAGE = format('it gives %s, and column %I is %s', v_type, p_column.name, p_column.type_name);
            END IF;
        END IF;
        EXECUTE v_update;
        v_note := v_sql.otherwise;
    EXCEPTION WHEN OTHERS THEN
        IF NOT pggit._is_ours_to_judge(SQLSTATE) THEN
            RAISE;
        END IF;
        v_note := SQLERRM;
        -- What is wrong with one cell must not keep the rule from the others; what is wrong with the rule, is wrong for all.
        IF SQLSTATE NOT LIKE '42%' THEN
            PERFORM pggit._index_rows(p_table_id);
            FOR v_row IN EXECUTE format('SELECT p.row_no FROM %s AS p WHERE %s', v_plan, v_open) LOOP
                v_note := coalesce(pggit._decide_cell(v_one, v_row), v_sql.otherwise);
                EXECUTE format('UPDATE %s AS p SET notes = p.notes || jsonb_build_object(%L, %L) WHERE p.row_no = %s', v_plan, p_column.column_id, p_rule || ': ' || v_note, v_row);
            END LOOP;
            RETURN;
        END IF;
    END;
    EXECUTE format('UPDATE %s AS p SET notes = p.notes || jsonb_build_object(%L, %L) WHERE %s', v_plan, p_column.column_id, p_rule || ': ' || v_note, v_open);
END;
$$;

COMMENT ON FUNCTION pggit._decide_cells(integer, pggit.columns, text, integer, text) IS
'Lets a rule decide the open cells of a column in a plan, but for those that are torn if it asks for the base: sets want, and decided to {column id: rule}; where it can''t, notes to {column id: why}.';

CREATE OR REPLACE FUNCTION pggit._decide_cell(p_update text, p_row bigint)
    RETURNS text
    LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE p_update USING p_row;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    IF NOT pggit._is_ours_to_judge(SQLSTATE) THEN
        RAISE;
    END IF;
    RETURN SQLERRM;
END;
$$;

COMMENT ON FUNCTION pggit._decide_cell(text, bigint) IS
'The same for one row of the plan; returns what went wrong.';

CREATE OR REPLACE FUNCTION pggit._decide_by_rules(p_merge pggit.merges, p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_plan   text := format('pg_temp.pggit_plan_%s', p_table_id);
    v_rule   record;
    v_column pggit.columns;
BEGIN
    IF NOT EXISTS (SELECT FROM pggit.conflicts AS c WHERE c.merge_id = p_merge.merge_id AND c.table_id = p_table_id)
       OR NOT EXISTS (SELECT FROM pggit._rules(p_merge) AS r WHERE r.rule <> 'renumber') THEN
        RETURN;
    END IF;

    -- Two rows with one key are decided when each cell is in which they differ.
    EXECUTE format('ALTER TABLE %s ADD decided jsonb NOT NULL DEFAULT ''{}'', ADD notes jsonb NOT NULL DEFAULT ''{}''', v_plan);
    EXECUTE format('UPDATE %s AS p SET cells = array_remove(ARRAY[%s]::integer[], NULL) WHERE p.outcome = ''insert_insert''', v_plan,
                   (SELECT string_agg(format('CASE WHEN ROW((p.o).c%1$s)::record *<> ROW((p.t).c%1$s)::record THEN %1$s END', c.column_id), ', ')
                      FROM pggit._columns_at(p_table_id, pggit._target()) AS c WHERE c.generated_as IS NULL AND pggit._may_be_written_otherwise(c)));
    FOR v_rule IN SELECT r.*, c.column_id, c.by_id
                    FROM pggit._rules(p_merge) AS r CROSS JOIN LATERAL pggit._ruled_columns(r.table_name, r.column_name, r.by_column) AS c
                   WHERE c.table_id = p_table_id AND r.rule <> 'renumber'
                   ORDER BY r.n, c.column_id LOOP
        SELECT c.* INTO v_column FROM pggit._columns_at(p_table_id, pggit._target()) AS c WHERE c.column_id = v_rule.column_id;
        PERFORM pggit._decide_cells(p_table_id, v_column, v_rule.rule, v_rule.by_id, v_rule.expression);
        IF v_rule.column_name = '*' AND v_rule.rule IN ('ours', 'theirs', 'base') THEN
            UPDATE pggit.conflicts AS c SET resolution = v_rule.rule, rule = v_rule.rule, resolved_by = pggit._actor(), resolved_at = now()
             WHERE c.merge_id = p_merge.merge_id AND c.table_id = p_table_id AND c.kind IN ('update_delete', 'delete_update') AND c.resolution IS NULL AND NOT (c.is_torn AND v_rule.rule = 'base');
            PERFORM pggit._decide_cells(p_table_id, k, v_rule.rule, NULL, NULL) FROM pggit._columns_at(p_table_id, pggit._target()) AS k WHERE k.key_position IS NOT NULL AND pggit._may_be_written_otherwise(k);
        END IF;
    END LOOP;
    PERFORM pggit._record_decisions(p_merge.merge_id, p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._decide_by_rules(pggit.merges, integer) IS
'Lets the rules decide the conflicts of a planned table, in their order: a cell that one rule can''t decide is the next one''s. Rows deleted on one side and changed on the
other, and keys that both sides have written otherwise, are decided by rules ours, theirs and base for all columns (*).';

CREATE OR REPLACE FUNCTION pggit._record_decisions(p_merge_id uuid, p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex'
    SET enable_nestloop = off  -- the planner knows nothing of these rows
AS $$
DECLARE
    v_plan text := format('pg_temp.pggit_plan_%s', p_table_id);
BEGIN
    EXECUTE format($sql$
        UPDATE pggit.conflicts AS c
           SET resolution = CASE WHEN d.rule IN ('ours', 'theirs', 'base') THEN d.rule WHEN d.rule IS NOT NULL THEN 'value' END,
               resolved_value = CASE WHEN d.rule NOT IN ('ours', 'theirs', 'base') THEN d.value END,
               rule = d.rule, note = CASE WHEN d.rule IS NULL THEN d.note END,
               resolved_by = CASE WHEN d.rule IS NOT NULL THEN pggit._actor() END, resolved_at = CASE WHEN d.rule IS NOT NULL THEN now() END
          FROM (SELECT p.row_no, u.id AS column_id, p.decided ->> u.id::text AS rule, p.notes ->> u.id::text AS note, CASE u.id %2$s END AS value
                  FROM %1$s AS p CROSS JOIN LATERAL unnest(p.cells) AS u(id) WHERE p.outcome = 'cells'
                UNION ALL
                SELECT p.row_no, 0, CASE WHEN r.open IS NULL THEN r.rules END, r.open, %3$s
                  FROM %1$s AS p
                 CROSS JOIN LATERAL (
                    SELECT string_agg(DISTINCT p.decided ->> k.column_id::text, ', ') AS rules,
                           string_agg(quote_ident(k.name) || ': ' || coalesce(p.notes ->> k.column_id::text, 'no rule'), '; ' ORDER BY k.column_id)
                               FILTER (WHERE NOT p.decided ? k.column_id::text) AS open
                      FROM unnest(p.cells) AS u(id) JOIN pggit._columns_at(%4$s, pggit._target()) AS k ON k.column_id = u.id) AS r
                 WHERE p.outcome = 'insert_insert' AND p.decided || p.notes <> '{}') AS d
         WHERE c.merge_id = $1 AND c.table_id = %4$s AND c.plan_row = d.row_no AND coalesce(c.column_id, 0) = d.column_id$sql$,
        v_plan, (SELECT string_agg(format('WHEN %1$s THEN to_jsonb((p.want).c%1$s)', c.column_id), ' ')
                   FROM pggit._columns_at(p_table_id, pggit._target()) AS c WHERE c.generated_as IS NULL),
        pggit._row_json_sql(p_table_id, 'p.want'), p_table_id)
      USING p_merge_id;
END;
$$;

COMMENT ON FUNCTION pggit._record_decisions(uuid, integer) IS
'Writes what rules decided, or why they did not, to the conflicts of a planned table.';
