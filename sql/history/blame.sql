CREATE OR REPLACE FUNCTION pggit._rows_json(p_table_id integer, p_position pggit._position, p_key jsonb)
    RETURNS TABLE (key jsonb, row_json jsonb)
    LANGUAGE plpgsql
    SET timezone = 'UTC'
AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$SELECT %1$s, r.j FROM (SELECT %3$s AS j FROM (%2$s) AS n) AS r$sql$,
        pggit._key_json(p_table_id, 'r.j'),
        pggit._named_sql(p_table_id, CASE WHEN p_key IS NULL THEN pggit._state_sql(p_table_id, p_position)
                                          ELSE pggit._lookup_sql(p_table_id, p_position, format('(%s)', pggit._key_from_json(p_table_id, p_key))) END,
                         p_position),
        pggit._json_sql(p_table_id, 'n', p_position));
END;
$$;

COMMENT ON FUNCTION pggit._rows_json(integer, pggit._position, jsonb) IS
'Rows at a position as JSON, with the columns of then: the one with the key given, or all. Times are in UTC.';

CREATE OR REPLACE FUNCTION pggit._key_from_json(p_table_id integer, p_key jsonb)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_column pggit.columns;
    v_list   text;
    v_query  text;
    v_valid  record;
BEGIN
    FOR v_column IN SELECT c.* FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL ORDER BY c.key_position LOOP
        IF jsonb_typeof(p_key) <> 'object' OR p_key ->> v_column.name IS NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG202', SCHEMA = 'pggit',
                MESSAGE = format('key %s does not name key column %L of table %s', p_key, v_column.name, pggit._base_relation(p_table_id)),
                HINT    = 'A key is an object with every key column, such as {"id": 7}.';
        END IF;
        v_list := concat_ws(', ', v_list, format('%s AS c%s', pggit._cell_from_json_sql(p_table_id, v_column.column_id, p_key -> v_column.name), v_column.column_id));
    END LOOP;
    v_query := 'SELECT ' || v_list;
    BEGIN
        EXECUTE v_query INTO v_valid;
    EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('key %s does not fit the key of table %s: %s', p_key, pggit._base_relation(p_table_id), SQLERRM);
    END;
    RETURN v_query;
END;
$$;

COMMENT ON FUNCTION pggit._key_from_json(integer, jsonb) IS
'SELECT of one row with the key columns c… from a key given as JSON. Raises VG202.';

CREATE OR REPLACE FUNCTION pggit.blame(p_table text, p_key jsonb DEFAULT NULL, p_ref text DEFAULT 'HEAD')
    RETURNS TABLE (key jsonb, column_name text, value jsonb, commit_id text, author text, changed_at timestamptz, db_role text, application_name text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_table  pggit.tables;
    v_ref    record;
    v_row    record;
    v_cell   record;
BEGIN
    PERFORM pggit._follow_changed(pggit._relation(p_table));
    v_table := pggit._table(p_table);
    IF pggit._is_keyless(v_table.table_id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG203', SCHEMA = 'pggit',
            MESSAGE = format('nobody can be blamed for rows of table %I.%I: it has no primary key to know them by', v_table.schema_name, v_table.table_name),
            HINT    = 'pggit.log and pggit.diff_rows show which commits brought rows or took them away.';
    END IF;
    PERFORM pggit._hold_base(v_table.table_id);
    v_ref := pggit._ref(p_ref);
    v_table := pggit._generation_at(v_table, v_ref.at);
    PERFORM pggit._require_table_at(v_table, v_ref.at, p_ref);
    IF v_ref.commit_id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG009', SCHEMA = 'pggit',
            MESSAGE = 'blame needs a commit, and there is none yet';
    END IF;

    FOR v_row IN SELECT r.* FROM pggit._rows_json(v_table.table_id, v_ref.at, p_key) AS r ORDER BY r.key LOOP
        FOR v_cell IN
            SELECT c.name, v_row.row_json -> c.name AS value, pggit._blame_cell(v_table, v_row.key, c.column_id, v_row.row_json -> c.name, v_ref.commit_id) AS commit_id
              FROM pggit._shown_columns(v_table.table_id, v_ref.at) AS c
             WHERE c.generated_as IS NULL
             ORDER BY c.attnum
        LOOP
            key := v_row.key; column_name := v_cell.name; value := v_cell.value; commit_id := v_cell.commit_id;
            SELECT c.author, c.committed_at, w.effective_role, w.application_name
              INTO author, changed_at, db_role, application_name
              FROM pggit.commits AS c
              LEFT JOIN LATERAL pggit._writer(v_table.table_id, v_row.key, c) AS w ON true
             WHERE c.commit_id = v_cell.commit_id;
            RETURN NEXT;
        END LOOP;
    END LOOP;
    PERFORM pggit._require_readable(v_ref.commit_id, v_ref.at);
END;
$$;

COMMENT ON FUNCTION pggit.blame(text, jsonb, text) IS
'For every cell of a row, or of all rows when p_key is NULL: the commit that gave it its value, and who wrote it.
A value that came in by a merge is blamed on the commit of the branch that made it. p_key is an object with every key column. db_role and application_name are
those of the last transaction that wrote the row for that commit; NULL for rows from before tracking and where pggit.gc has been. commit_id and all behind it are NULL for a cell that has not changed
since a commit whose rows are collected. Raises VG001, VG002, VG004, VG005, VG009,
VG202, VG203 (the table has no primary key), VG205, VG306.';

CREATE OR REPLACE FUNCTION pggit._has_cell(p_table_id integer, p_position pggit._position, p_key jsonb, p_column pggit.columns, p_value jsonb)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT
                             FROM pggit._shown_columns(p_table_id, p_position) AS c, pggit._rows_json(p_table_id, p_position, p_key) AS r
                            WHERE c.origin = (p_column).origin
                              AND CASE WHEN c.column_id = (p_column).column_id THEN (r.row_json -> c.name)::text IS NOT DISTINCT FROM p_value::text
                                       ELSE pggit._recast(r.row_json ->> c.name, (p_column).type_name) IS NOT DISTINCT FROM pggit._recast(p_value #>> '{}', (p_column).type_name) END));
END;
$$;

COMMENT ON FUNCTION pggit._has_cell(integer, pggit._position, jsonb, pggit.columns, jsonb) IS
'Whether a row has a value in a column at a position. Where the column had another type then, it is compared by its text as the type given writes it.';

CREATE OR REPLACE FUNCTION pggit._blame_cell(p_table pggit.tables, p_key jsonb, p_column_id integer, p_value jsonb, p_commit text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name   text := format('%I.%I', p_table.schema_name, p_table.table_name);
    v_column pggit.columns;
    v_commit pggit.commits;
    v_parent text;
    v_at     pggit._position;
    v_same   boolean;
BEGIN
    SELECT c.* INTO STRICT v_column FROM pggit.commits AS m CROSS JOIN LATERAL pggit._columns_at(p_table.table_id, m.at) AS c WHERE m.commit_id = p_commit AND c.column_id = p_column_id;
    LOOP
        SELECT c.* INTO STRICT v_commit FROM pggit.commits AS c WHERE c.commit_id = p_commit;
        EXIT WHEN cardinality(v_commit.parents) = 0;
        IF NOT v_commit.content ? v_name AND cardinality(v_commit.parents) = 1 THEN
            p_commit := v_commit.parents[1];
            CONTINUE;
        END IF;
        v_parent := NULL;
        FOREACH v_parent IN ARRAY v_commit.parents LOOP
            SELECT (c.at).branch_id, (c.at).x, (c.at).s INTO v_at FROM pggit.commits AS c WHERE c.commit_id = v_parent;
            v_same := pggit._presence(p_table, v_at) = 'present' AND pggit._has_cell(p_table.table_id, v_at, p_key, v_column, p_value);
            IF EXISTS (SELECT FROM pggit.commits AS c WHERE c.commit_id = v_parent AND c.collected_at IS NOT NULL) THEN
                RETURN NULL;
            END IF;
            EXIT WHEN v_same;
        END LOOP;
        EXIT WHEN NOT v_same;
        p_commit := v_parent;
    END LOOP;
    RETURN v_commit.commit_id;
END;
$$;

COMMENT ON FUNCTION pggit._blame_cell(pggit.tables, jsonb, integer, jsonb, text) IS
'Follows a cell back from a commit, each time to the first parent in which it has the same value, and returns the commit where that ends; history that is lost ends it too; NULL when it leads to a
commit whose rows are collected.';

CREATE OR REPLACE FUNCTION pggit._writer(p_table_id integer, p_key jsonb, p_commit pggit.commits)
    RETURNS TABLE (effective_role text, application_name text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_main   boolean     := p_commit.branch_id = 1;
    v_since  pggit._mark := ((p_commit.since)).x;
    v_before pggit.collected_lines;
BEGIN
    SELECT l.* INTO v_before FROM pggit.collected_lines AS l WHERE l.branch_id = p_commit.branch_id;
    RETURN QUERY EXECUTE format($sql$
        SELECT t.effective_role, t.application_name
          FROM (SELECT l._xid, %7$s AS is_sure FROM (%1$s) AS k JOIN %2$s AS l ON %3$s AND %4$s WHERE %5$s AND %6$s ORDER BY l._at DESC LIMIT 1) AS l
          JOIN pggit.transactions AS t ON t.xid = l._xid
         WHERE l.is_sure$sql$,
        pggit._key_from_json(p_table_id, p_key), format('pggit.%s_%s', CASE WHEN v_main THEN '_log' ELSE '_undo' END, p_table_id),
        pggit._same_key(p_table_id, 'l', 'k'), CASE WHEN v_main THEN 'true' ELSE format('l._b = %s', p_commit.branch_id) END,
        pggit._in_sql('l', ((p_commit.at)).x),
        CASE WHEN v_since IS NULL THEN 'true' ELSE 'NOT ' || pggit._in_sql('l', v_since) END,
        -- Later rows may be gone where gc has collapsed the log.
        CASE WHEN v_before.branch_id IS NULL THEN 'true' WHEN (v_before.at).snapshot IS NULL THEN 'false' ELSE 'NOT ' || pggit._in_sql('l', v_before.at) END);
END;
$$;

COMMENT ON FUNCTION pggit._writer(integer, jsonb, pggit.commits) IS
'Role and application of the last transaction that wrote a row between a commit''s predecessor and the commit.';
