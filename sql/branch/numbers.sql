-- Branches draw the numbers of identity and serial columns from main's sequences, whatever these and the columns are called, and go on with the numbers when main drops the column.

CREATE OR REPLACE FUNCTION pggit._numbers_of(p_relation oid, p_origin integer)
    RETURNS TABLE (column_name text, own text, main text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.name, pggit._column_sequence(bt.relation, a.attnum)::regclass::text, pggit._column_sequence(t.relation, m.attnum)::regclass::text
      FROM pggit.branch_tables AS bt
     CROSS JOIN LATERAL pggit._columns_as_made(bt) AS c
      JOIN pg_attribute AS a ON a.attrelid = bt.relation AND a.attname = c.name AND a.attidentity <> ''
      LEFT JOIN pggit.tables AS t ON t.table_id = bt.table_id AND t.untracked_at IS NULL AND t.on_main
      LEFT JOIN pggit.columns AS m ON m.table_id = t.table_id AND m.origin = c.origin AND m.dropped_at IS NULL
     WHERE bt.relation = p_relation AND c.origin = p_origin;
$$;

COMMENT ON FUNCTION pggit._numbers_of(oid, integer) IS
'The name that an identity column of a branch''s real table has, its sequence, and that of main''s column, by the origin of both.';

CREATE OR REPLACE FUNCTION pggit._numbered_tables(p_objects oid[])
    RETURNS integer[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH relations AS MATERIALIZED (
                SELECT c.oid FROM pg_class AS c WHERE c.oid = ANY (p_objects) AND c.relkind <> 'S'
                UNION SELECT d.refobjid FROM pg_class AS c JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
                       WHERE c.oid = ANY (p_objects) AND c.relkind = 'S'
                UNION SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = ANY (p_objects)
            )
            SELECT ARRAY(SELECT t.table_id FROM relations AS r JOIN pggit.tables AS t ON t.relation = r.oid WHERE t.untracked_at IS NULL
                         UNION SELECT bt.table_id FROM relations AS r JOIN pggit.branch_tables AS bt ON bt.relation = r.oid));
END;
$$;

COMMENT ON FUNCTION pggit._numbered_tables(oid[]) IS
'The tables, of main and branches, that some relations, their sequences or whole schemas are about.';

CREATE OR REPLACE FUNCTION pggit._follow_numbers(p_tables integer[])
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '900ms'
AS $$
DECLARE
    v_one record;
BEGIN
    PERFORM pggit._ensure_sequence_functions(t.table_id) FROM pggit.tables AS t WHERE t.table_id = ANY (p_tables) AND t.untracked_at IS NULL AND t.on_main AND pggit._is_shown(t.table_id);
    FOR v_one IN
        SELECT g.tgrelid::regclass::text AS name, o.origin, n.*
          FROM pggit.branch_tables AS bt
          JOIN pg_trigger AS g ON g.tgrelid = bt.relation AND g.tgname LIKE '  pggit\_identity\_%'
         CROSS JOIN LATERAL (SELECT split_part(g.tgname, 'identity_', 2)::integer) AS o(origin)
         CROSS JOIN LATERAL pggit._numbers_of(bt.relation, o.origin) AS n
         WHERE bt.table_id = ANY (p_tables) AND bt.form = 'table' AND n.main IS NOT NULL
           AND encode(g.tgargs, 'hex') <> (SELECT string_agg(encode(convert_to(x.argument, getdatabaseencoding()), 'hex') || '00', '' ORDER BY x.n)
                                             FROM unnest(ARRAY[n.column_name, n.own, n.main, o.origin::text]) WITH ORDINALITY AS x(argument, n))
         ORDER BY bt.branch_id
    LOOP
        BEGIN
            EXECUTE pggit._identity_trigger_sql(v_one.name, v_one.origin, v_one.column_name, v_one.own, v_one.main);
        EXCEPTION WHEN lock_not_available THEN
            NULL;  -- it looks for the names itself
        END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._follow_numbers(integer[]) IS
'Columns or sequences of some tables may have other names now: what draws main''s numbers on branches finds them.';

CREATE OR REPLACE FUNCTION pggit._keep_numbers(p_table pggit.tables, p_columns text[])
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_following text := coalesce(current_setting('pggit.following', true), '');
    v_one       record;
BEGIN
    PERFORM set_config('pggit.following', 'on', true);
    PERFORM pggit._own_numbers(p_table.table_id, p_columns);
    FOR v_one IN
        SELECT m.sequence, m.type_name, format('pggit._numbers_%s_%s', c.table_id, c.origin) AS name, format('pggit._next_%s_%s()', l.table_id, l.column_id) AS function
          FROM pggit._own_sequences(p_table.relation) AS m JOIN pggit.columns AS c ON c.table_id = p_table.table_id AND c.name = m.column_name AND c.dropped_at IS NULL
          -- Views may show what the column was before it was retyped.
          JOIN pggit.columns AS l ON l.table_id = c.table_id AND l.origin = c.origin
         WHERE m.column_name = ANY (p_columns) AND to_regprocedure(format('pggit._next_%s_%s()', l.table_id, l.column_id)) IS NOT NULL
    LOOP
        IF to_regclass(v_one.name) IS NULL THEN
            EXECUTE format('CREATE SEQUENCE %s AS %s %s', v_one.name, v_one.type_name, pggit._sequence_options(v_one.sequence));
            EXECUTE format('SELECT setval(%L, s.last_value, s.is_called) FROM %s AS s', v_one.name, v_one.sequence::regclass);
        END IF;
        PERFORM pggit._ensure_function(v_one.function, 'bigint', 'VOLATILE', format('BEGIN RETURN nextval(%L::regclass); END', v_one.name));
    END LOOP;
    PERFORM set_config('pggit.following', v_following, true), set_config('pggit.numbered', concat_ws(',', nullif(current_setting('pggit.numbered', true), ''), p_table.table_id), true);
END;
$$;

COMMENT ON FUNCTION pggit._keep_numbers(pggit.tables, text[]) IS
'Before columns go from main: what branches draw for them goes on where main''s sequences were, in a sequence of pggit for views and in own ones of real tables. The local setting pggit.numbered tells pggit._share_numbers.';

CREATE OR REPLACE FUNCTION pggit._share_numbers()
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_id  integer;
    v_one record;
BEGIN
    FOREACH v_id IN ARRAY string_to_array(coalesce(current_setting('pggit.numbered', true), ''), ',')::integer[] LOOP
        PERFORM pggit._share_sequences(v_id), pggit._ensure_sequence_functions(v_id);
        FOR v_one IN
            SELECT format('pggit._numbers_%s_%s', v_id, c.origin) AS name
              FROM pggit.tables AS t JOIN pggit.columns AS c USING (table_id)
             WHERE t.table_id = v_id AND c.dropped_at IS NULL AND pggit._column_sequence(t.relation, c.attnum) IS NOT NULL
               AND to_regclass(format('pggit._numbers_%s_%s', v_id, c.origin)) IS NOT NULL
        LOOP
            EXECUTE format('DROP SEQUENCE %s', v_one.name);
        END LOOP;
    END LOOP;
    PERFORM set_config('pggit.numbered', '', true);
END;
$$;

COMMENT ON FUNCTION pggit._share_numbers() IS
'After a statement: branches draw from main''s sequences again for columns that pggit._keep_numbers prepared, and that did not go.';
