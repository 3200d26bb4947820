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
            MESSAGE = format('resolution %L takes no value', p_resolution);
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
            HINT    = 'pggit.merge_conflicts lists them. A conflict is gone when its rows have changed since.';
    END IF;
    IF p_resolution IS NULL OR p_resolution NOT IN ('ours', 'theirs', 'base', 'value') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('a conflict is resolved by ours, theirs, base or value, not by %L', p_resolution);
    END IF;
    IF p_resolution <> 'value' AND p_value IS NOT NULL AND p_value <> 'null' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('resolution %L takes no value', p_resolution);
    END IF;

    IF p_resolution = 'value' THEN
        -- A value that was forgotten must not delete a row.
        IF v_conflict.column_id IS NULL AND coalesce(jsonb_typeof(p_value), '') NOT IN ('object', 'null') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG204', SCHEMA = 'pggit',
                MESSAGE = format('conflict %L is about a whole row: its value is an object by column name, or JSON null to delete the row', p_conflict_id);
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
                                 coalesce('column ' || quote_ident(v_column.name) || ' of type ' || v_column.type_name, 'the row'), SQLERRM);
        END;
        IF v_null AND v_column.name IS NOT NULL AND EXISTS (
            SELECT FROM pggit.tables AS t JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attname = v_column.name AND a.attnotnull
             WHERE t.table_id = v_conflict.table_id) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG204', SCHEMA = 'pggit',
                MESSAGE = format('column %I may not be NULL', v_column.name);
        END IF;
        IF v_column.key_position IS NOT NULL THEN
            EXECUTE format('SELECT (%s) IS DISTINCT FROM (%s)', v_probe, pggit._cell_from_json_sql(v_conflict.table_id, v_conflict.column_id, v_conflict.ours)) INTO v_other;
            IF v_other THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'VG204', SCHEMA = 'pggit',
                    MESSAGE = format('the row must keep the conflict''s key %s', v_conflict.key);
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
            MESSAGE = format('table %s has no column %s', pggit._base_relation(p_conflict.table_id), v_unknown);
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
            MESSAGE = format('the row must keep the conflict''s key %s', p_conflict.key);
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
    v_reason text := CASE WHEN jsonb_typeof(p_resolution) <> 'object' THEN 'it is no object'
                          WHEN coalesce(p_resolution ->> 'conflict_id', p_resolution ->> 'table', p_resolution ->> 'key', p_resolution ->> 'column') IS NULL THEN 'it names no conflict; option on_conflict is for all of them'
                          ELSE (SELECT format('a resolution has no field %L', min(k)) FROM jsonb_object_keys(p_resolution) AS k
                                 WHERE k <> ALL ('{conflict_id,table,key,column,take,value}') HAVING count(*) > 0) END;
BEGIN
    IF v_reason IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = format('resolution %s: %s', CASE jsonb_typeof(p_resolution) WHEN 'object' THEN p_resolution - 'value' ELSE p_resolution END, v_reason),
            HINT    = 'A resolution is {"conflict_id": …, "take": …} or {"table": …, "key": {…}, "column": …, "take": …}; take is ours, theirs, base, or value with "value": ….';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_resolution(jsonb) IS
'Raises VG204 for a resolution of the option resolutions that names no conflict, or has a field that means nothing: what is misspelled would decide other conflicts than it was meant for.';

CREATE OR REPLACE FUNCTION pggit._means(p_resolution jsonb, p_conflict_id text, p_table text, p_key jsonb, p_column text)
    RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(p_conflict_id = p_resolution ->> 'conflict_id', true) AND coalesce(p_resolution ->> 'table' IN (p_table, regexp_replace(p_table, '^public\.', '')), true)
                   AND coalesce(p_key = p_resolution -> 'key', true) AND (p_resolution ->> 'column' IS NULL OR p_column IS NOT DISTINCT FROM p_resolution ->> 'column'));
END;
$$;

COMMENT ON FUNCTION pggit._means(jsonb, text, text, jsonb, text) IS
'Whether a resolution of the option resolutions is for a conflict.';

CREATE OR REPLACE FUNCTION pggit.resolve_conflict(p_merge_id uuid, p_conflict_id text, p_resolution text, p_value jsonb DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._open(p_merge_id);
    PERFORM pggit._set_resolution(p_merge_id, p_conflict_id, p_resolution, p_value);
END;
$$;

COMMENT ON FUNCTION pggit.resolve_conflict(uuid, text, text, jsonb) IS
'Decides one conflict: ours, theirs, base, or value with p_value. pggit.continue_merge then goes on; until then it can be decided anew.
One of definitions (pggit.merge_schema_conflicts) is decided by ours or theirs, one of kind needs_fill by a value alone: an SQL expression over the row, as a JSON string.
For a cell p_value is the cell as JSON (a string or number is read as PostgreSQL''s text form; no value
is NULL, and so is JSON null except in a json column); for a whole row it is an object by column name with all columns, in which null is NULL, or JSON null to delete the row. Raises VG006, VG007 (no such conflict), VG204 (the value does not fit), VG303 (the merge is settled).';

CREATE OR REPLACE FUNCTION pggit.resolve_conflicts(p_merge_id uuid, p_resolution text, p_table text DEFAULT NULL, p_column text DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table    integer := CASE WHEN p_table IS NOT NULL THEN (pggit._table(p_table)).table_id END;
    v_conflict record;
    v_count    integer := 0;
    v_left     integer;
BEGIN
    PERFORM pggit._open(p_merge_id);
    IF p_resolution = 'value' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG204', SCHEMA = 'pggit',
            MESSAGE = 'many conflicts are resolved by ours, theirs, base or remembered; a value belongs to one conflict',
            HINT    = 'Use pggit.resolve_conflict.';
    END IF;
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
fit any more, stays open); returns how many. Conflicts of definitions (pggit.merge_schema_conflicts) are decided one by one: a NOTICE says how many stay open. Raises VG004, VG005, VG006, VG204, VG303.';
