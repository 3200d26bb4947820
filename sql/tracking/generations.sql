-- A table of main's whose primary key changes is another one to the history, which goes on from it: an empty table stands in for the old one, as after a DROP, and both have all that they ever had.

CREATE OR REPLACE FUNCTION pggit._create_stand_in_of_then(p_table_id integer)
    RETURNS regclass
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name text := format('pggit._main_%s', p_table_id);
BEGIN
    EXECUTE (SELECT format('CREATE TABLE %s (%s%s)', v_name,
                           string_agg(format('%I %s%s', c.name, c.type_name, pggit._collate_sql(a.attrelid, a.attnum)), ', ' ORDER BY c.attnum),
                           ', PRIMARY KEY (' || string_agg(quote_ident(c.name), ', ' ORDER BY c.key_position) FILTER (WHERE c.key_position IS NOT NULL) || ')')
               FROM pggit.columns AS c LEFT JOIN pg_attribute AS a ON a.attrelid = format('pggit._log_%s', p_table_id)::regclass AND a.attname = 'c' || c.column_id AND NOT a.attisdropped
              WHERE c.table_id = p_table_id AND c.dropped_at IS NULL);
    RETURN v_name::regclass;
END;
$$;

COMMENT ON FUNCTION pggit._create_stand_in_of_then(integer) IS
'Makes the empty table that stands in for one of main''s, with the columns and the key that the history knows of it, whatever they are by now.';

CREATE OR REPLACE FUNCTION pggit._end_generation(p_table pggit.tables, p_saved jsonb, p_is_changed boolean, p_in_statement boolean)
    RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    v_reason text;
BEGIN
    IF jsonb_typeof(p_saved) = 'number' AND pggit._is_keyless(p_table.table_id) THEN
        EXECUTE format('DELETE FROM pggit._log_%s AS l WHERE l._xid = pggit._transaction_number() AND l._seq = $1 AND l._op = ''I''', p_table.table_id) USING p_saved::bigint;
    ELSIF jsonb_typeof(p_saved) = 'number' THEN
        EXECUTE format('UPDATE pggit._log_%s AS l SET _op = ''D'' WHERE l._xid = pggit._transaction_number() AND l._seq = $1', p_table.table_id) USING p_saved::bigint;
    ELSIF p_is_changed THEN
        RETURN coalesce(p_saved #>> '{}', CASE WHEN pggit._is_told_of_ddl() THEN 'the statement does not name the table and the column' ELSE 'no event trigger tells pggit of such statements' END);
    ELSE
        v_reason := pggit._why_not_saved(p_table.relation);
        IF v_reason IS NOT NULL THEN
            RETURN v_reason;
        END IF;
        -- The rows are still those that they were: a key says nothing of values.
        UPDATE pggit.columns AS c SET name = a.attname
          FROM pg_attribute AS a
         WHERE c.table_id = p_table.table_id AND c.dropped_at IS NULL AND a.attrelid = p_table.relation AND a.attnum = c.attnum AND c.name <> a.attname;
        PERFORM pggit._record_transaction();
        PERFORM pggit._log_all_rows(p_table.table_id, 'D', nextval('pggit._ordinal'));
    END IF;
    PERFORM pggit._make_real_on_branches(p_table);
    PERFORM pggit._own_numbers(p_table.table_id);
    PERFORM pggit._leave_stand_in(p_table, pggit._create_stand_in_of_then(p_table.table_id));
    RETURN NULL;
EXCEPTION
    WHEN lock_not_available OR deadlock_detected THEN
        IF p_in_statement THEN
            RETURN SQLERRM;
        END IF;
        RAISE;
    WHEN OTHERS THEN
        RETURN SQLERRM;
END;
$$;

COMMENT ON FUNCTION pggit._end_generation(pggit.tables, jsonb, boolean, boolean) IS
'A table of main''s goes on as another one: all its rows are logged as deleted, those that were saved before the statement (p_saved) or, where no value can be another (p_is_changed: it can), those of now, and an empty table
stands in for it. Returns NULL, or why that can''t be, and then nothing has happened; never raises in a statement of somebody''s (p_in_statement).';

CREATE OR REPLACE FUNCTION pggit._continue(p_table_id integer, p_continues integer, p_columns jsonb)
    RETURNS void
    LANGUAGE sql
AS $$
    INSERT INTO pggit.generations (table_id, continues, columns) VALUES (p_table_id, p_continues, p_columns) ON CONFLICT (table_id) DO UPDATE SET continues = excluded.continues, columns = excluded.columns;
$$;

COMMENT ON FUNCTION pggit._continue(integer, integer, jsonb) IS
'Notes that a table goes on from another one, and which columns of both are the same.';

CREATE OR REPLACE FUNCTION pggit._continue_by_name(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table pggit.tables;
    v_older integer;
BEGIN
    SELECT t.* INTO v_table FROM pggit.tables AS t WHERE t.table_id = p_table_id;
    v_older := (SELECT o.table_id
                  FROM pggit.tables AS o CROSS JOIN LATERAL (SELECT c.is_there FROM pggit.table_changes AS c WHERE c.table_id = o.table_id AND c.branch_id = 1 ORDER BY c.change_no DESC LIMIT 1) AS l
                 WHERE o.untracked_at IS NULL AND NOT o.on_main AND o.schema_name = v_table.schema_name AND o.table_name = v_table.table_name AND NOT l.is_there
                   AND EXISTS (SELECT FROM pggit.table_changes AS c WHERE c.table_id = o.table_id AND c.branch_id = 1 AND c.is_there)
                 ORDER BY o.table_id DESC LIMIT 1);
    IF v_older IS NULL THEN
        RETURN;
    END IF;
    PERFORM pggit._continue(p_table_id, v_older, (SELECT coalesce(jsonb_object_agg(n.column_id, o.column_id), '{}') FROM pggit.columns AS n JOIN pggit.columns AS o ON o.table_id = v_older AND o.dropped_at IS NULL AND o.name = n.name
                                                        WHERE n.table_id = p_table_id));
    PERFORM pggit._note_begin(v_table);
END;
$$;

COMMENT ON FUNCTION pggit._continue_by_name(integer) IS
'A table of main''s that is new to the history goes on from the last one that main had by its name; columns of one name are the same.';

CREATE OR REPLACE FUNCTION pggit._continue_columns(p_table_id integer, p_older integer, p_columns jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_columns jsonb := (SELECT coalesce(jsonb_object_agg(c.column_id, p_columns -> c.attnum::text), '{}') FROM pggit.columns AS c WHERE c.table_id = p_table_id AND p_columns ? c.attnum::text);
    v_before  pggit.generations;
BEGIN
    IF EXISTS (SELECT FROM pggit.tables AS t WHERE t.table_id = p_older AND t.untracked_at IS NULL) THEN
        PERFORM pggit._continue(p_table_id, p_older, v_columns);
        RETURN;
    END IF;
    -- One that no commit has counts as if it had not been.
    SELECT g.* INTO v_before FROM pggit.generations AS g WHERE g.table_id = p_older;
    IF FOUND THEN
        PERFORM pggit._continue(p_table_id, v_before.continues, (SELECT coalesce(jsonb_object_agg(c.key, v_before.columns -> (c.value #>> '{}')), '{}') FROM jsonb_each(v_columns) AS c WHERE v_before.columns ? (c.value #>> '{}')));
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._continue_columns(integer, integer, jsonb) IS
'A table goes on from the one that its relation was before its key changed. p_columns: by attnum, the columns of that one; they may have got other names.';

CREATE OR REPLACE FUNCTION pggit._generation_at(p_table pggit.tables, p_position pggit._position)
    RETURNS pggit.tables
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_found pggit.tables;
BEGIN
    IF pggit._presence(p_table, p_position) = 'absent' THEN
        WITH RECURSIVE older AS (
            SELECT g.continues AS table_id, 1 AS n FROM pggit.generations AS g WHERE g.table_id = p_table.table_id
            UNION ALL SELECT g.continues, o.n + 1 FROM older AS o JOIN pggit.generations AS g USING (table_id)
        ), younger AS (
            SELECT g.table_id, 1 AS n FROM pggit.generations AS g WHERE g.continues = p_table.table_id
            UNION ALL SELECT g.table_id, y.n + 1 FROM younger AS y JOIN pggit.generations AS g ON g.continues = y.table_id
        )
        SELECT t.* INTO v_found
          FROM (SELECT * FROM older UNION ALL SELECT * FROM younger) AS f JOIN pggit.tables AS t USING (table_id)
         WHERE t.untracked_at IS NULL AND pggit._presence(t, p_position) <> 'absent' ORDER BY f.n LIMIT 1;
    END IF;
    RETURN CASE WHEN v_found.table_id IS NULL THEN p_table ELSE v_found END;
END;
$$;

COMMENT ON FUNCTION pggit._generation_at(pggit.tables, pggit._position) IS
'Of a table, those that it goes on from and those that go on from it, the one that was there at a position; where none was, the table itself.';

CREATE OR REPLACE FUNCTION pggit._table_of_now(p_table_id integer)
    RETURNS oid
    LANGUAGE sql STABLE
AS $$
    WITH RECURSIVE younger AS (
        SELECT p_table_id AS table_id
        UNION ALL SELECT g.table_id FROM younger AS y JOIN pggit.generations AS g ON g.continues = y.table_id
    )
    SELECT t.relation FROM younger AS y JOIN pggit.tables AS t USING (table_id) WHERE t.on_main AND t.untracked_at IS NULL ORDER BY t.table_id DESC LIMIT 1;
$$;

COMMENT ON FUNCTION pggit._table_of_now(integer) IS
'The table of main that goes on from one that main has no more; NULL where none does.';

CREATE OR REPLACE FUNCTION pggit._same_columns(p_a integer, p_b integer)
    RETURNS TABLE (a integer, b integer)
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE chain AS (
        SELECT greatest(p_a, p_b) AS table_id, c.origin AS young, c.origin AS old FROM (SELECT DISTINCT k.origin FROM pggit.columns AS k WHERE k.table_id = greatest(p_a, p_b)) AS c
        UNION ALL
        SELECT g.continues, c.young, o.origin
          FROM chain AS c JOIN pggit.generations AS g USING (table_id) JOIN pggit.columns AS o ON o.table_id = g.continues AND o.column_id = (g.columns ->> c.old::text)::integer
         WHERE c.table_id > least(p_a, p_b)
    )
    SELECT CASE WHEN p_a < p_b THEN c.old ELSE c.young END, CASE WHEN p_a < p_b THEN c.young ELSE c.old END FROM chain AS c WHERE c.table_id = least(p_a, p_b);
END;
$$;

COMMENT ON FUNCTION pggit._same_columns(integer, integer) IS
'The columns, by origin, that two tables have in common of which one goes on from the other. Who goes on is younger, and has the higher id.';
