CREATE OR REPLACE FUNCTION pggit._resolve_schema(p_conflict pggit.schema_conflicts, p_resolution text, p_value jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF p_conflict.kind = 'needs_fill' AND (p_resolution IS DISTINCT FROM 'value' OR jsonb_typeof(p_value) IS DISTINCT FROM 'string') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = CASE p_resolution WHEN 'value' THEN 'the value is an SQL expression over the row, as a JSON string'
                                        ELSE format('a conflict of kind needs_fill is resolved by value, not by %L', p_resolution) END,
            HINT    = format('Neither side says what the rows of the other hold in %s. An expression does: ''"0"'', ''"total * 100"'', or for a text ''"''''none''''"''.', p_conflict.object_name);
    ELSIF p_conflict.kind <> 'needs_fill' AND (p_resolution IS NULL OR p_resolution NOT IN ('ours', 'theirs')) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('a conflict of kind %s is resolved by ours or theirs, not by %L', p_conflict.kind, p_resolution),
            HINT    = 'pggit.merge_schema_conflicts shows both definitions.';
    ELSIF p_conflict.kind <> 'needs_fill' AND jsonb_typeof(p_value) = 'string' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('resolution %L takes no value', p_resolution),
            HINT    = 'pggit.merge_schema_conflicts shows both definitions, and one of them is taken; only a conflict of kind needs_fill has a value.';
    END IF;
    UPDATE pggit.schema_conflicts AS c
       SET resolution = p_resolution, resolved_value = p_value, resolved_by = pggit._actor(), resolved_at = now()
     WHERE c.merge_id = p_conflict.merge_id AND c.conflict_id = p_conflict.conflict_id;
END;
$$;

COMMENT ON FUNCTION pggit._resolve_schema(pggit.schema_conflicts, text, jsonb) IS
'Decides a conflict of definitions. Raises VG204.';

CREATE OR REPLACE FUNCTION pggit._set_resolution(p_merge_id uuid, p_conflict_id text, p_resolution text, p_value jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_conflict pggit.conflicts;
    v_schema   pggit.schema_conflicts;
    v_column   pggit.columns;
    v_probe    text;
    v_null     boolean;
    v_other    boolean;
BEGIN
    SELECT c.* INTO v_schema FROM pggit.schema_conflicts AS c WHERE c.merge_id = p_merge_id AND c.conflict_id = p_conflict_id;
    IF FOUND THEN
        PERFORM pggit._resolve_schema(v_schema, p_resolution, p_value);
        RETURN;
    END IF;
    SELECT c.* INTO v_conflict FROM pggit.conflicts AS c WHERE c.merge_id = p_merge_id AND c.conflict_id = p_conflict_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG007', SCHEMA = 'pggit',
            MESSAGE = format('merge %s has no conflict %L', p_merge_id, p_conflict_id),
            HINT    = coalesce((SELECT format('Its conflict number %s has the id %L. ', c.conflict_no, c.conflict_id) FROM pggit.conflicts AS c WHERE c.merge_id = p_merge_id AND c.conflict_no::text = p_conflict_id),
                               (SELECT format('It is one of merge %s. ', m.merge_id) FROM pggit.merges AS m
                                 WHERE m.result IN ('planned', 'conflicted', 'refused')
                                   AND EXISTS (SELECT FROM pggit.conflicts AS c WHERE c.merge_id = m.merge_id AND c.conflict_id = p_conflict_id)
                                 ORDER BY m.created_at DESC, m.merge_id LIMIT 1), '')
                      || 'pggit.merge_conflicts lists them. A conflict is gone when its rows have changed since.';
    END IF;
    IF p_resolution IS NULL OR p_resolution NOT IN ('ours', 'theirs', 'base', 'value') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('a conflict is resolved by ours, theirs, base or value, not by %L', p_resolution),
            HINT    = 'A value of your own follows the word value, as JSON: ''value'', ''"Paris"'' for a text, ''value'', ''7'' for a number.';
    END IF;
    IF p_resolution <> 'value' AND p_value IS NOT NULL AND p_value <> 'null' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('resolution %L takes no value', p_resolution),
            HINT    = 'With a value the resolution is ''value'', else leave it out.';
    END IF;

    IF p_resolution = 'value' THEN
        -- A value that was forgotten must not delete a row.
        IF v_conflict.column_id IS NULL AND coalesce(jsonb_typeof(p_value), '') NOT IN ('object', 'null') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG204', SCHEMA = 'pggit',
                MESSAGE = format('conflict %L is about a whole row: its value is an object by column name, or JSON null to delete the row', p_conflict_id),
                HINT    = 'pggit.merge_conflicts has the rows of both sides in this form, as ours and theirs.';
        END IF;
        IF v_conflict.column_id IS NULL AND jsonb_typeof(p_value) = 'object' THEN
            PERFORM pggit._require_row(v_conflict, p_value);
        END IF;
        SELECT c.* INTO v_column FROM pggit.columns AS c WHERE c.table_id = v_conflict.table_id AND c.column_id = v_conflict.column_id;
        v_probe := CASE WHEN v_conflict.column_id IS NULL THEN pggit._row_from_json_sql(v_conflict.table_id, p_value)
                        ELSE pggit._cell_from_json_sql(v_conflict.table_id, v_conflict.column_id, p_value) END;
        BEGIN
            EXECUTE format('SELECT (%s) IS NOT DISTINCT FROM NULL', v_probe) INTO v_null;
            EXECUTE pggit._as_declared_sql(v_conflict.table_id, v_column.column_id, v_probe);
            IF jsonb_typeof(p_value) IN ('string', 'object') THEN
                EXECUTE pggit._pinned_value_sql(v_conflict.table_id, v_column.column_id, v_probe, p_value) INTO p_value;
            END IF;
        EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation OR integrity_constraint_violation THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG204', SCHEMA = 'pggit',
                MESSAGE = format('the value for conflict %L does not fit %s: %s', p_conflict_id,
                                 coalesce('column ' || quote_ident(v_column.name) || ' of type ' || v_column.type_name, 'the row'), SQLERRM),
                HINT    = 'A value is JSON, and its text is read as an INSERT would read it. pggit.merge_conflicts shows what base, ours and theirs are.';
        END;
        IF v_null AND v_column.name IS NOT NULL AND EXISTS (
            SELECT FROM pggit.tables AS t JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attname = v_column.name AND a.attnotnull
             WHERE t.table_id = v_conflict.table_id) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG204', SCHEMA = 'pggit',
                MESSAGE = format('column %I may not be NULL', v_column.name),
                HINT    = format('Conflict %L needs another value: the fourth argument of pggit.resolve_conflict, or value in option resolutions, as JSON.', p_conflict_id);
        END IF;
        IF v_column.key_position IS NOT NULL THEN
            EXECUTE format('SELECT (%s) IS DISTINCT FROM (%s)', v_probe, pggit._cell_from_json_sql(v_conflict.table_id, v_conflict.column_id, v_conflict.ours)) INTO v_other;
            IF v_other THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'VG204', SCHEMA = 'pggit',
                    MESSAGE = format('the row must keep the conflict''s key %s', v_conflict.key),
                    HINT    = 'Another writing of the same key can be given. To give the row another key, resolve the conflict, and UPDATE it after the merge.';
            END IF;
        END IF;
    END IF;

    UPDATE pggit.conflicts AS c
       SET resolution = p_resolution, resolved_value = CASE WHEN p_resolution = 'value' THEN p_value END,
           resolved_by = pggit._actor(), resolved_at = now(), rule = NULL
     WHERE c.merge_id = p_merge_id AND c.conflict_no = v_conflict.conflict_no;
END;
$$;

COMMENT ON FUNCTION pggit._set_resolution(uuid, text, text, jsonb) IS
'Validates and records a resolution. Raises VG007, VG204.';

CREATE OR REPLACE FUNCTION pggit._as_declared_sql(p_table_id integer, p_column_id integer, p_value text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('SELECT %s FROM (SELECT %s AS v) AS q',
                          string_agg(format('(%s)::%s', CASE WHEN p_column_id IS NULL THEN '(q.v).c' || c.column_id ELSE 'q.v' END, format_type(a.atttypid, a.atttypmod)), ', '), p_value)
              FROM pggit.columns AS c
              JOIN pggit.tables AS t USING (table_id)
              JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attname = c.name
             WHERE c.table_id = p_table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL AND (p_column_id IS NULL OR c.column_id = p_column_id));
END;
$$;

COMMENT ON FUNCTION pggit._as_declared_sql(integer, integer, text) IS
'SELECT that reads a cell, or all cells of a row, as the types that the table declares: what a domain forbids fails.';

CREATE OR REPLACE FUNCTION pggit._pinned_value_sql(p_table_id integer, p_column_id integer, p_read text, p_value jsonb)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format(CASE WHEN p_column_id IS NULL THEN 'SELECT %L::jsonb || jsonb_build_object(%s) FROM (SELECT %s AS v) AS q' ELSE 'SELECT coalesce(%2$s, %1$L::jsonb) FROM (SELECT %3$s AS v) AS q' END, p_value,
                          coalesce(string_agg(CASE WHEN p_column_id IS NULL THEN format('%L, to_jsonb(pggit._pinned_text((q.v).c%s))', c.name, c.column_id) ELSE 'to_jsonb(pggit._pinned_text(q.v))' END, ', '),
                                   CASE WHEN p_column_id IS NULL THEN '' ELSE 'NULL' END), p_read)
              FROM pggit.columns AS c
             WHERE c.table_id = p_table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL AND (p_column_id IS NULL OR c.column_id = p_column_id)
               AND c.type_name NOT IN ('json', 'jsonb') AND jsonb_typeof(CASE WHEN p_column_id IS NULL THEN p_value -> c.name ELSE p_value END) = 'string');
END;
$$;

COMMENT ON FUNCTION pggit._pinned_value_sql(integer, integer, text, jsonb) IS
'SELECT of a resolution''s value in which what is written as a string is written as any session reads it: a time without a zone is of the session that gave it, and so is the order of day and month. p_read: the expression that reads the value.';

CREATE OR REPLACE FUNCTION pggit._require_row(p_conflict pggit.conflicts, p_value jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_missing text := (SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.attnum) FROM pggit.columns AS c
                        WHERE c.table_id = p_conflict.table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL AND NOT p_value ? c.name);
    v_unknown text := (SELECT string_agg(quote_literal(k), ', ') FROM jsonb_object_keys(p_value) AS k
                        WHERE NOT EXISTS (SELECT FROM pggit.columns AS c WHERE c.table_id = p_conflict.table_id AND c.name = k AND c.dropped_at IS NULL));
BEGIN
    IF v_unknown IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('table %s has no column %s', pggit._base_relation(p_conflict.table_id), v_unknown),
            HINT    = 'A row is an object by column name; ours and theirs in pggit.merge_conflicts have this form.';
    END IF;
    IF v_missing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('the row has no value for %s', v_missing),
            HINT    = 'A row is given whole, with null where it is NULL.';
    END IF;
    IF NOT p_value @> p_conflict.key THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('the row must keep the conflict''s key %s', p_conflict.key),
            HINT    = 'To give the row another key, resolve the conflict, and UPDATE it after the merge.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_row(pggit.conflicts, jsonb) IS
'Raises VG204 unless a whole-row value names all columns of the table, no others, and keeps the key.';

CREATE OR REPLACE FUNCTION pggit._require_resolution(p_resolution jsonb)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
DECLARE
    v_take   text := p_resolution ->> 'take';
    v_reason text := CASE WHEN jsonb_typeof(p_resolution) <> 'object' THEN 'it is no object'
                          WHEN coalesce(p_resolution ->> 'conflict_id', p_resolution ->> 'table', p_resolution ->> 'key', p_resolution ->> 'column') IS NULL THEN 'it names no conflict; option on_conflict is for all of them'
                          WHEN p_resolution ? 'key' AND jsonb_typeof(p_resolution -> 'key') NOT IN ('object', 'null') THEN 'its key is no object by column name'
                          ELSE (SELECT format('a resolution has no field %L', min(k)) FROM jsonb_object_keys(p_resolution) AS k
                                 WHERE k <> ALL ('{conflict_id,table,key,column,take,value}') HAVING count(*) > 0) END;
BEGIN
    v_reason := coalesce(v_reason, CASE WHEN v_take IS NULL OR v_take NOT IN ('ours', 'theirs', 'base', 'value') THEN format('a conflict is resolved by ours, theirs, base or value, not by %L', v_take)
                                        WHEN v_take = 'value' AND NOT p_resolution ? 'value' THEN 'it has no value; null is NULL, and deletes a row where it is about a whole row' END);
    IF v_reason IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('resolution %s: %s', CASE jsonb_typeof(p_resolution) WHEN 'object' THEN p_resolution - 'value' ELSE p_resolution END, v_reason),
            HINT    = 'A resolution is {"conflict_id": …, "take": …} or {"table": …, "key": {…}, "column": …, "take": …}; take is ours, theirs, base, or value with "value": ….';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_resolution(jsonb) IS
'Raises VG204 for a resolution of the option resolutions that names no conflict, has a field that means nothing (what is misspelled would decide other conflicts than it was meant for), or does not say what to take.';

CREATE OR REPLACE FUNCTION pggit._refuse_two_choices(p_conflict text, p_resolutions jsonb[])
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG204', SCHEMA = 'pggit',
        MESSAGE = format('conflict %s is decided in two ways: by resolution %s and by %s', p_conflict, p_resolutions[1] - 'value',
                         (SELECT r.value - 'value' FROM unnest(p_resolutions) WITH ORDINALITY AS r(value, n)
                           WHERE (r.value -> 'take', r.value -> 'value') IS DISTINCT FROM (p_resolutions[1] -> 'take', p_resolutions[1] -> 'value') ORDER BY r.n LIMIT 1)),
        HINT    = 'Leave one of them out. Of several that mean one conflict, the one that says most closely which decides: its id before key and column, these before the table.';
END;
$$;

COMMENT ON FUNCTION pggit._refuse_two_choices(text, jsonb[]) IS
'Raises VG204 for a conflict about which resolutions do not agree.';

CREATE OR REPLACE FUNCTION pggit._require_one_choice(p_resolutions jsonb)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    PERFORM pggit._refuse_two_choices(quote_literal(c.id), c.given)
       FROM (SELECT r.value ->> 'conflict_id' AS id, array_agg(r.value ORDER BY r.n) AS given
               FROM jsonb_array_elements(p_resolutions) WITH ORDINALITY AS r(value, n)
              WHERE r.value ->> 'conflict_id' IS NOT NULL
              GROUP BY 1 HAVING count(DISTINCT jsonb_build_array(r.value -> 'take', r.value -> 'value')) > 1) AS c;
END;
$$;

COMMENT ON FUNCTION pggit._require_one_choice(jsonb) IS
'Raises VG204 where resolutions decide one conflict id in two ways; that one decides by id and another by table, key or column, is known when there are conflicts (pggit._choices).';

CREATE OR REPLACE FUNCTION pggit._key_text(p_key jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT jsonb_object_agg(k.key, k.value) FROM jsonb_each_text(nullif(p_key, 'null')) AS k;
$$;

COMMENT ON FUNCTION pggit._key_text(jsonb) IS
'A key with each value in text form, by which {"id": 7} is {"id": "7"}.';

CREATE OR REPLACE FUNCTION pggit._choices(p_merge_id uuid, p_resolutions jsonb, p_is_new boolean DEFAULT false)
    RETURNS TABLE (conflict_no integer, conflict_id text, resolution jsonb)
    LANGUAGE plpgsql STABLE
    SET enable_nestloop = off SET enable_mergejoin = off  -- the planner knows nothing of how many there are
AS $$
#variable_conflict use_column
DECLARE
    v_one record;
BEGIN
    IF coalesce(p_resolutions, '[]') = '[]' THEN
        RETURN;
    END IF;
    FOR v_one IN
        WITH given AS MATERIALIZED (
            SELECT r.n, r.value, r.value ->> 'conflict_id' AS id, r.value ->> 'table' AS of_table, nullif(r.value -> 'key', 'null') AS key, pggit._key_text(r.value -> 'key') AS key_text, r.value ->> 'column' AS of_column
              FROM jsonb_array_elements(p_resolutions) WITH ORDINALITY AS r(value, n)
        ), conflicts AS MATERIALIZED (
            SELECT m.conflict_no, m.conflict_id, m.table_name, m.key, pggit._key_text(m.key) AS key_text, m.column_name FROM pggit.merge_conflicts AS m WHERE m.merge_id = p_merge_id
        ), named AS (
            -- Each way of naming is a join of its own, so that not all are compared with all.
            SELECT g.n, c.conflict_no FROM given AS g JOIN conflicts AS c ON c.conflict_id = g.id WHERE coalesce(c.key = g.key OR c.key_text = g.key_text, true)
            UNION
            SELECT g.n, c.conflict_no FROM given AS g JOIN conflicts AS c ON c.key = g.key WHERE g.id IS NULL
            UNION
            SELECT g.n, c.conflict_no FROM given AS g JOIN conflicts AS c ON c.key_text = g.key_text WHERE g.id IS NULL
            UNION
            SELECT g.n, c.conflict_no FROM given AS g CROSS JOIN conflicts AS c WHERE g.id IS NULL AND g.key IS NULL
        ), meant AS MATERIALIZED (
            SELECT g.n, g.value, c.conflict_no, c.conflict_id,
                   rank() OVER (PARTITION BY c.conflict_no ORDER BY g.id IS NULL, num_nonnulls(g.of_table, g.key, g.of_column) DESC) AS place
              FROM named AS h JOIN given AS g USING (n) JOIN conflicts AS c USING (conflict_no)
             WHERE coalesce(g.of_table IN (c.table_name, regexp_replace(c.table_name, '^public\.', '')), true) AND (g.of_column IS NULL OR g.of_column IS NOT DISTINCT FROM c.column_name)
        )
        SELECT m.conflict_no, min(m.conflict_id) AS conflict_id, count(DISTINCT jsonb_build_array(m.value -> 'take', m.value -> 'value')) AS choices, array_agg(m.value ORDER BY m.n) AS given
          FROM meant AS m WHERE m.place = 1 GROUP BY m.conflict_no
        UNION ALL
        SELECT NULL, NULL, 0, ARRAY[g.value] FROM given AS g
         WHERE p_is_new AND NOT EXISTS (SELECT FROM meant AS m WHERE m.n = g.n) AND NOT EXISTS (SELECT FROM pggit.schema_conflicts AS s WHERE s.merge_id = p_merge_id AND s.conflict_id = g.id)
         ORDER BY 1
    LOOP
        IF v_one.choices = 0 THEN
            PERFORM pggit._refuse_choice(p_merge_id, v_one.given[1]);
        ELSIF v_one.choices > 1 THEN
            PERFORM pggit._refuse_two_choices(quote_literal(v_one.conflict_id), v_one.given);
        END IF;
        conflict_no := v_one.conflict_no;
        conflict_id := v_one.conflict_id;
        resolution  := v_one.given[1];
        RETURN NEXT;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._choices(uuid, jsonb, boolean) IS
'Which of the resolutions of the option resolutions decides which conflict of a merge''s rows: those that have its id, else its table, key (values in text form) and column, as far as they name them. Of several the one that says most closely which.
p_is_new: each has to mean one (VG007). Raises VG204 where two that say it equally closely do not agree.';

CREATE OR REPLACE FUNCTION pggit._refuse_choice(p_merge_id uuid, p_resolution jsonb)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_tables  text[] := ARRAY(SELECT DISTINCT regexp_replace(c.table_name, '^public\.', '') FROM pggit.merge_conflicts AS c WHERE c.merge_id = p_merge_id);
    v_table   text   := regexp_replace(p_resolution ->> 'table', '^public\.', '');
    v_columns text[] := ARRAY(SELECT DISTINCT c.column_name FROM pggit.merge_conflicts AS c
                               WHERE c.merge_id = p_merge_id AND c.column_name IS NOT NULL AND coalesce(v_table = regexp_replace(c.table_name, '^public\.', ''), true));
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG007', SCHEMA = 'pggit',
        MESSAGE = format('there is no conflict %s in this merge', coalesce(quote_literal(p_resolution ->> 'conflict_id'),
                         concat_ws(' ', 'in table ' || (p_resolution ->> 'table'), 'key ' || (p_resolution -> 'key')::text, 'column ' || (p_resolution ->> 'column')))),
        HINT    = CASE WHEN p_resolution ->> 'conflict_id' IS NOT NULL THEN ''
                       WHEN v_table <> ALL (v_tables) THEN pggit._near_names(v_table, v_tables)
                       WHEN p_resolution ->> 'column' <> ALL (v_columns) THEN pggit._near_names(p_resolution ->> 'column', v_columns)
                       ELSE '' END
                  || 'Without it the merge waits with its conflicts, and pggit.merge_conflicts lists them with their ids.';
END;
$$;

COMMENT ON FUNCTION pggit._refuse_choice(uuid, jsonb) IS
'Raises VG007 for a resolution that means no conflict of a merge.';

CREATE OR REPLACE FUNCTION pggit.resolve_conflict(p_merge_id uuid, p_conflict_id text, p_resolution text, p_value jsonb DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    PERFORM pggit._open(p_merge_id);
    PERFORM pggit._set_resolution(p_merge_id, p_conflict_id, p_resolution, p_value);
END;
$$;

COMMENT ON FUNCTION pggit.resolve_conflict(uuid, text, text, jsonb) IS
'Decides one conflict: ours, theirs, base, or value with p_value. pggit.continue_merge then goes on; until then it can be decided anew.
One of definitions (pggit.merge_schema_conflicts) is decided by ours or theirs, one of kind needs_fill by a value alone: an SQL expression over the row, as a JSON string.
For a cell p_value is the cell as JSON (a string or number is read as PostgreSQL''s text form; no value
is NULL, and so is JSON null except in a json column); for a whole row it is an object by column name with all columns, in which null is NULL, or JSON null to delete the row. Raises VG006, VG007 (no such conflict), VG202 (no merge is named), VG204 (the value does not fit), VG303 (the merge is settled).';

CREATE OR REPLACE FUNCTION pggit._require_column(p_table_id integer, p_column text)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_names text[] := ARRAY(SELECT c.name FROM pggit.columns AS c WHERE c.table_id = coalesce(p_table_id, c.table_id)
                            UNION SELECT c.name FROM pggit.branch_columns AS c WHERE c.table_id = coalesce(p_table_id, c.table_id));
BEGIN
    IF p_column <> ALL (v_names) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('%s column %L', coalesce('table ' || pggit._base_relation(p_table_id) || ' has no', 'no tracked table has a'), p_column),
            HINT    = pggit._near_names(p_column, v_names) || 'The name is written as it is, without quotes.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_column(integer, text) IS
'Raises VG202 where a tracked table (NULL: every one) has and had no column of that name, on main or on a branch.';

CREATE OR REPLACE FUNCTION pggit.resolve_conflicts(p_merge_id uuid, p_resolution text, p_table text DEFAULT NULL, p_column text DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted  boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_table    integer;
    v_conflict record;
    v_count    integer := 0;
    v_left     integer;
BEGIN
    PERFORM pggit._open(p_merge_id);
    IF p_resolution = 'value' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = 'many conflicts are resolved by ours, theirs, base or remembered; a value belongs to one conflict',
            HINT    = 'SELECT pggit.resolve_conflict(merge_id, conflict_id, ''value'', ''"…"'') FROM pggit.merge_conflicts WHERE …; gives each its own.';
    ELSIF p_resolution IS NULL OR p_resolution NOT IN ('ours', 'theirs', 'base', 'remembered') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('many conflicts are resolved by ours, theirs, base or remembered, not by %L', p_resolution),
            HINT    = 'pggit.resolve_conflict gives one conflict a value.';
    END IF;
    v_table := CASE WHEN p_table IS NOT NULL THEN (pggit._table(p_table)).table_id END;
    PERFORM pggit._require_column(v_table, p_column) WHERE p_column IS NOT NULL;
    FOR v_conflict IN
        SELECT c.conflict_id, CASE p_resolution WHEN 'remembered' THEN c.remembered ELSE p_resolution END AS take, CASE p_resolution WHEN 'remembered' THEN c.remembered_value END AS value
          FROM pggit.merge_conflicts AS c JOIN pggit.conflicts AS r USING (merge_id, conflict_no)
         WHERE c.merge_id = p_merge_id AND c.resolution IS NULL
           AND (v_table IS NULL OR r.table_id = v_table) AND (p_column IS NULL OR c.column_name = p_column)
         ORDER BY c.conflict_no
    LOOP
        CONTINUE WHEN p_resolution = 'remembered' AND v_conflict.take IS NULL;
        BEGIN
            PERFORM pggit._set_resolution(p_merge_id, v_conflict.conflict_id, v_conflict.take, v_conflict.value);
            v_count := v_count + 1;
        EXCEPTION WHEN SQLSTATE 'VG204' THEN
            -- The column may be of another type by now.
            IF p_resolution IS DISTINCT FROM 'remembered' THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    IF v_count = 0 THEN
        SELECT count(*) INTO v_left
          FROM pggit.merge_conflicts AS c JOIN pggit.conflicts AS r USING (merge_id, conflict_no)
         WHERE c.merge_id = p_merge_id AND c.resolution IS NOT NULL AND (v_table IS NULL OR r.table_id = v_table) AND (p_column IS NULL OR c.column_name = p_column);
        IF v_left > 0 THEN
            RAISE NOTICE USING
                MESSAGE = format('conflicts that stay as they were decided before: %s', v_left),
                HINT    = 'pggit.merge_conflicts lists them; pggit.resolve_conflict decides each anew.';
        END IF;
    END IF;
    SELECT count(*) INTO v_left FROM pggit.schema_conflicts AS c WHERE c.merge_id = p_merge_id AND c.resolution IS NULL;
    IF v_left > 0 AND p_table IS NULL AND p_column IS NULL THEN
        RAISE NOTICE USING
            MESSAGE = format('conflicts of definitions that stay open: %s', v_left),
            HINT    = 'pggit.merge_schema_conflicts lists them; pggit.resolve_conflict decides each.';
    END IF;
    RETURN v_count;
END;
$$;

COMMENT ON FUNCTION pggit.resolve_conflicts(uuid, text, text, text) IS
'Decides all open conflicts of a merge''s rows, of one table or one column, by ours, theirs, base, or as was decided when another merge had the same conflict (remembered: what nobody has decided, or does not
fit any more, stays open); returns how many. What is decided stays so: where nothing is open, a NOTICE says how many are. Conflicts of definitions (pggit.merge_schema_conflicts) are decided one by one: a NOTICE says how many stay open.
Raises VG004, VG005, VG006, VG202 (no such column, or no merge is named), VG204, VG303.';
