-- The definition of a table as statements that make another one of it, in another schema, with every name.

CREATE OR REPLACE FUNCTION pggit._sequence_options(p_sequence oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT format('START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s', q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END)
              FROM pg_sequence AS q WHERE q.seqrelid = p_sequence);
END;
$$;

COMMENT ON FUNCTION pggit._sequence_options(oid) IS
'What defines a sequence apart from its name and type.';

CREATE OR REPLACE FUNCTION pggit._column_ddl(p_column pg_attribute, p_schema text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    -- Where a CHECK, a default or a type is found without its schema, it is written without: no SET search_path here.
    RETURN (SELECT concat_ws(' ', quote_ident((p_column).attname), format_type((p_column).atttypid, (p_column).atttypmod),
                             nullif(btrim(pggit._collate_sql((p_column).attrelid, (p_column).attnum)), ''),
                             CASE WHEN (p_column).attgenerated <> '' THEN format('GENERATED ALWAYS AS (%s) %s', pg_get_expr(d.adbin, d.adrelid), CASE (p_column).attgenerated WHEN 'v' THEN 'VIRTUAL' ELSE 'STORED' END)
                                  WHEN (p_column).attidentity <> '' THEN format('GENERATED %s AS IDENTITY (SEQUENCE NAME %I.%I %s)', CASE (p_column).attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
                                                                                p_schema, k.relname, pggit._sequence_options(k.oid))
                                  WHEN d.oid IS NOT NULL THEN 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END,
                             -- NOT NULL is a constraint with a name from PostgreSQL 18.
                             CASE WHEN (p_column).attnotnull THEN coalesce((SELECT format('CONSTRAINT %I ', c.conname) FROM pg_constraint AS c
                                                                             WHERE c.conrelid = (p_column).attrelid AND c.contype = 'n' AND c.conkey = ARRAY[(p_column).attnum]), '') || 'NOT NULL' END)
              FROM (SELECT) AS one
              LEFT JOIN pg_attrdef AS d ON d.adrelid = (p_column).attrelid AND d.adnum = (p_column).attnum
              LEFT JOIN pg_class AS k ON k.oid = pggit._column_sequence((p_column).attrelid, (p_column).attnum));
END;
$$;

COMMENT ON FUNCTION pggit._column_ddl(pg_attribute, text) IS
'A column as CREATE TABLE has it; the sequence of an identity column goes to the schema given.';

CREATE OR REPLACE FUNCTION pggit._own_sequences(p_relation oid)
    RETURNS TABLE (sequence oid, name text, type_name text, column_name text, is_identity boolean)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT k.oid, k.relname::text, format_type(q.seqtypid, NULL), a.attname::text, a.attidentity <> ''
      FROM pg_attribute AS a CROSS JOIN LATERAL pggit._column_sequence(a.attrelid, a.attnum) AS s(sequence)
      JOIN pg_class AS k ON k.oid = s.sequence JOIN pg_sequence AS q ON q.seqrelid = k.oid
     WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum;
$$;

COMMENT ON FUNCTION pggit._own_sequences(oid) IS
'The sequences that belong to columns of a table.';

CREATE OR REPLACE FUNCTION pggit._table_ddl(p_relation oid, p_schema text, p_name text, OUT rows_first text[], OUT rows_then text[])
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_name text := format('%I.%I', p_schema, p_name);
    v_from text := (SELECT format(' ON %I.%I ', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_relation);
BEGIN
    SELECT array_agg(s.statement ORDER BY s.step, s.place) INTO rows_first
      FROM (SELECT 1 AS step, o.name AS place, format('CREATE SEQUENCE %I.%I AS %s %s', p_schema, o.name, o.type_name, pggit._sequence_options(o.sequence)) AS statement
              FROM pggit._own_sequences(p_relation) AS o WHERE NOT o.is_identity
            UNION ALL
            SELECT 2, '', format('CREATE TABLE %s (%s)%s%s%s', v_name,
                                 (SELECT string_agg(pggit._column_ddl(a, p_schema), ', ' ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
                                 CASE WHEN m.amname <> 'heap' THEN format(' USING %I', m.amname) END,
                                 (SELECT format(' WITH (%s)', string_agg(r.o, ', ')) FROM (SELECT unnest(c.reloptions) UNION ALL SELECT 'toast.' || unnest(x.reloptions)) AS r(o) HAVING count(*) > 0),
                                 ' TABLESPACE ' || quote_ident(t.spcname))
              FROM pg_class AS c LEFT JOIN pg_am AS m ON m.oid = c.relam LEFT JOIN pg_class AS x ON x.oid = c.reltoastrelid LEFT JOIN pg_tablespace AS t ON t.oid = c.reltablespace WHERE c.oid = p_relation
            UNION ALL
            SELECT 3, o.name, format('ALTER SEQUENCE %I.%I OWNED BY %s.%I', p_schema, o.name, v_name, o.column_name) FROM pggit._own_sequences(p_relation) AS o WHERE NOT o.is_identity
            UNION ALL
            SELECT 4, a.attname, format('ALTER TABLE %s ALTER %I %s', v_name, a.attname, w.what)
              FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
             CROSS JOIN LATERAL (VALUES (CASE WHEN a.attstorage <> y.typstorage THEN 'SET STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END),
                                        (CASE a.attcompression WHEN 'p' THEN 'SET COMPRESSION pglz' WHEN 'l' THEN 'SET COMPRESSION lz4' END),
                                        (CASE WHEN a.attstattarget >= 0 THEN 'SET STATISTICS ' || a.attstattarget END),
                                        ('SET (' || array_to_string(a.attoptions, ', ') || ')')) AS w(what)
             WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped AND w.what IS NOT NULL) AS s;

    SELECT array_agg(s.statement ORDER BY s.step, s.place) INTO rows_then
      FROM (SELECT CASE c.contype WHEN 'c' THEN 2 ELSE 1 END AS step, c.conname AS place, format('ALTER TABLE %s ADD CONSTRAINT %I %s', v_name, c.conname, pg_get_constraintdef(c.oid)) AS statement
              FROM pg_constraint AS c WHERE c.conrelid = p_relation AND c.contype IN ('p', 'u', 'x', 'c')
            UNION ALL
            SELECT 3, k.relname, format('CREATE %sINDEX %I ON %s %s', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, k.relname, v_name, pggit._index_tail(i.indexrelid))
              FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid
             WHERE i.indrelid = p_relation AND i.indisvalid AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
            UNION ALL
            SELECT 4, k.relname, format('ALTER TABLE %s %s %I', v_name, w.what, k.relname)
              FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid
             CROSS JOIN LATERAL (VALUES (CASE WHEN i.indisclustered THEN 'CLUSTER ON' END), (CASE WHEN i.indisreplident THEN 'REPLICA IDENTITY USING INDEX' END)) AS w(what)
             WHERE i.indrelid = p_relation AND w.what IS NOT NULL
            UNION ALL
            SELECT 4, '', format('ALTER TABLE %s REPLICA IDENTITY %s', v_name, CASE c.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END) FROM pg_class AS c WHERE c.oid = p_relation AND c.relreplident IN ('f', 'n')
            UNION ALL
            SELECT 5, s.stxname, format('CREATE STATISTICS %I.%I %s FROM %s', p_schema, s.stxname, substring(pg_get_statisticsobjdef(s.oid) FROM '^CREATE STATISTICS (?:"(?:[^"]|"")*"|[^" ]+)+ (.*) FROM '), v_name)
              FROM pg_statistic_ext AS s WHERE s.stxrelid = p_relation
            UNION ALL
            SELECT 6, p.polname, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, v_name, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                                        CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                                        (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(p.polroles) AS r),
                                        ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
              FROM pg_policy AS p WHERE p.polrelid = p_relation
            UNION ALL
            SELECT 7, w.what, format('ALTER TABLE %s %s ROW LEVEL SECURITY', v_name, w.what)
              FROM pg_class AS c CROSS JOIN LATERAL (VALUES (CASE WHEN c.relrowsecurity THEN 'ENABLE' END), (CASE WHEN c.relforcerowsecurity THEN 'FORCE' END)) AS w(what)
             WHERE c.oid = p_relation AND w.what IS NOT NULL
            UNION ALL
            SELECT 8, g.tgname, left(g.definition, strpos(g.definition, v_from) - 1) || format(' ON %s ', v_name) || substr(g.definition, strpos(g.definition, v_from) + length(v_from))
              FROM (SELECT g.tgname, pg_get_triggerdef(g.oid) AS definition FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
                     WHERE g.tgrelid = p_relation AND NOT g.tgisinternal AND p.pronamespace <> 'pggit'::regnamespace) AS g
            UNION ALL
            SELECT 9, g.tgname, format('ALTER TABLE %s %s TRIGGER %I', v_name, CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, g.tgname)
              FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
             WHERE g.tgrelid = p_relation AND NOT g.tgisinternal AND p.pronamespace <> 'pggit'::regnamespace AND g.tgenabled <> 'O'
            UNION ALL
            SELECT 10, o.what, format('COMMENT ON %s IS %L', o.what, o.comment)
              FROM (SELECT 'TABLE ' || v_name, obj_description(p_relation, 'pg_class')
                    UNION ALL SELECT format('COLUMN %s.%I', v_name, a.attname), col_description(p_relation, a.attnum) FROM pg_attribute AS a WHERE a.attrelid = p_relation AND a.attnum > 0
                    UNION ALL SELECT format('CONSTRAINT %I ON %s', c.conname, v_name), obj_description(c.oid, 'pg_constraint') FROM pg_constraint AS c WHERE c.conrelid = p_relation AND c.contype <> 'f'
                    UNION ALL SELECT format('INDEX %I.%I', p_schema, k.relname), obj_description(k.oid, 'pg_class') FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid WHERE i.indrelid = p_relation
                   ) AS o(what, comment)
             WHERE o.comment IS NOT NULL) AS s;
    rows_then := coalesce(rows_then, '{}');
END;
$$;

COMMENT ON FUNCTION pggit._table_ddl(oid, text, text, OUT text[], OUT text[]) IS
'Statements that make a table like another one, apart from its foreign keys: what comes before its rows and what after. What the search_path finds is written without a schema, so that it is found again on the search_path on which they run.';

CREATE OR REPLACE FUNCTION pggit._foreign_keys_ddl(p_relation oid, p_schema text, p_name text)
    RETURNS text[]
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(array_agg(format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', p_schema, p_name, c.conname, pg_get_constraintdef(c.oid)) ORDER BY c.conname), '{}')
      FROM pg_constraint AS c WHERE c.conrelid = p_relation AND c.contype = 'f' AND c.conparentid = 0;
$$;

COMMENT ON FUNCTION pggit._foreign_keys_ddl(oid, text, text) IS
'Statements that give the foreign keys of a table to one that was made like it.';

CREATE OR REPLACE FUNCTION pggit._line_path(p_branch_id integer)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(pggit._path_sql(CASE WHEN p_branch_id <> 1 THEN pggit._schemas_of(p_branch_id) ELSE '{}' END || pggit._schemas_of(1)), 'pg_catalog');
$$;

COMMENT ON FUNCTION pggit._line_path(integer) IS
'The search_path on which a branch finds its tables, and main''s where it has none.';

CREATE OR REPLACE FUNCTION pggit._define(p_relation oid, p_branch_id integer, p_schema text, p_name text, OUT rows_first text[], OUT rows_then text[], OUT keys text[])
    LANGUAGE plpgsql
AS $$
DECLARE
    v_path text := current_setting('search_path');
BEGIN
    PERFORM set_config('search_path', pggit._line_path(p_branch_id), true);
    SELECT d.rows_first, d.rows_then INTO rows_first, rows_then FROM pggit._table_ddl(p_relation, p_schema, p_name) AS d;
    keys := pggit._foreign_keys_ddl(p_relation, p_schema, p_name);
    PERFORM set_config('search_path', v_path, true);
END;
$$;

COMMENT ON FUNCTION pggit._define(oid, integer, text, text, OUT text[], OUT text[], OUT text[]) IS
'pggit._table_ddl and pggit._foreign_keys_ddl of a branch''s table, as the branch finds what they name.';

CREATE OR REPLACE FUNCTION pggit._execute_on(p_branch_id integer, p_statements text[])
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_path      text := current_setting('search_path');
    v_statement text;
BEGIN
    PERFORM set_config('search_path', pggit._line_path(p_branch_id), true);
    FOREACH v_statement IN ARRAY p_statements LOOP
        EXECUTE v_statement;
    END LOOP;
    PERFORM set_config('search_path', v_path, true);
END;
$$;

COMMENT ON FUNCTION pggit._execute_on(integer, text[]) IS
'Runs statements as a branch, or main (1), finds what they name.';
