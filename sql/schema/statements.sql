-- Statements that make, change and drop one object. Names get the target's schemas (p_target: base schema → schema, both quoted; NULL for main); definitions are told for the search_path of pggit._schema_path.

CREATE OR REPLACE FUNCTION pggit._in_target(p_name text, p_target jsonb)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT coalesce(p_target ->> s, s) || substr(p_name, length(s) + 1) FROM (SELECT substring(p_name FROM '^(?:"(?:[^"]|"")*"|[^.]+)')) AS p(s));
END;
$$;

COMMENT ON FUNCTION pggit._in_target(text, jsonb) IS
'The name of an object with the schema that stands for its schema in the target.';

CREATE OR REPLACE FUNCTION pggit._local_name(p_object pggit._schema_object)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN (p_object).object_type IN ('column', 'constraint', 'trigger', 'policy', 'rule') THEN substr((p_object).object_name, length((p_object).parent) + 2)
                ELSE regexp_replace((p_object).object_name, '^(?:"(?:[^"]|"")*"|[^.]+)\.', '') END;
$$;

COMMENT ON FUNCTION pggit._local_name(pggit._schema_object) IS
'The name of an object without its schema or table, quoted where it has to be.';

CREATE OR REPLACE FUNCTION pggit._called(p_object pggit._schema_object, p_target jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT CASE WHEN (p_object).object_type IN ('constraint', 'trigger', 'policy', 'rule')
                THEN format('%s %s ON %s', upper((p_object).object_type), pggit._local_name(p_object), pggit._in_target((p_object).parent, p_target))
                WHEN (p_object).object_type = 'extension' THEN 'EXTENSION ' || (p_object).object_name
                ELSE format('%s %s', upper((p_object).object_type), pggit._in_target((p_object).object_name, p_target)) END;
$$;

COMMENT ON FUNCTION pggit._called(pggit._schema_object, jsonb) IS
'An object as DROP and COMMENT name it: its kind and name.';

CREATE OR REPLACE FUNCTION pggit._grant_statements(p_on text, p_column text, p_from jsonb, p_to jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (WITH granted AS (
                SELECT g.key AS grantee, p.value AS privilege, true AS is_old FROM jsonb_each(coalesce(p_from, '{}')) AS g, jsonb_array_elements_text(g.value) AS p
                UNION ALL
                SELECT g.key, p.value, false FROM jsonb_each(coalesce(p_to, '{}')) AS g, jsonb_array_elements_text(g.value) AS p
            ), differing AS (
                SELECT g.grantee, g.privilege, bool_or(g.is_old) AS is_old, replace(g.privilege, ' WITH GRANT OPTION', '') || coalesce(' (' || p_column || ')', '') AS what
                  FROM granted AS g GROUP BY 1, 2 HAVING count(*) = 1
            )
            SELECT coalesce(array_agg(CASE WHEN d.is_old THEN format('REVOKE %s ON %s FROM %s', d.what, p_on, d.grantee)
                                           ELSE format('GRANT %s ON %s TO %s%s', d.what, p_on, d.grantee, CASE WHEN d.privilege LIKE '% WITH GRANT OPTION' THEN ' WITH GRANT OPTION' ELSE '' END) END
                                      ORDER BY NOT d.is_old, d.grantee, d.privilege), '{}')
              FROM differing AS d);
END;
$$;

COMMENT ON FUNCTION pggit._grant_statements(text, text, jsonb, jsonb) IS
'GRANT and REVOKE from some grants to others, on an object or a column of it.';

CREATE OR REPLACE FUNCTION pggit._default_grants(p_object_type text)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN p_object_type IN ('function', 'procedure', 'aggregate') THEN '{"PUBLIC": ["EXECUTE"]}'::jsonb
                WHEN p_object_type IN ('type', 'domain') THEN '{"PUBLIC": ["USAGE"]}' END;
$$;

COMMENT ON FUNCTION pggit._default_grants(text) IS
'What everybody may do with a new object.';

CREATE OR REPLACE FUNCTION pggit._common_statements(p_from jsonb, p_to pggit._schema_object, p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN (p_from ->> 'comment') IS DISTINCT FROM (p_to).definition ->> 'comment' AND (p_to).object_type <> 'extension'
                        THEN ARRAY[format('COMMENT ON %s IS %L', pggit._called(p_to, p_target), (p_to).definition ->> 'comment')] ELSE '{}' END
                   || CASE WHEN (p_to).object_type = 'column'
                           THEN pggit._grant_statements('TABLE ' || pggit._in_target((p_to).parent, p_target), pggit._local_name(p_to), p_from -> 'grants', (p_to).definition -> 'grants')
                           WHEN (p_to).object_type NOT IN ('constraint', 'index', 'trigger', 'policy', 'rule', 'statistics', 'extension')
                           THEN pggit._grant_statements(CASE WHEN (p_to).object_type IN ('view', 'materialized view') THEN 'TABLE ' || pggit._in_target((p_to).object_name, p_target)
                                                             WHEN (p_to).object_type = 'aggregate' THEN 'FUNCTION ' || pggit._in_target((p_to).object_name, p_target)
                                                             ELSE pggit._called(p_to, p_target) END, NULL, p_from -> 'grants', (p_to).definition -> 'grants') ELSE '{}' END);
END;
$$;

COMMENT ON FUNCTION pggit._common_statements(jsonb, pggit._schema_object, jsonb) IS
'COMMENT, GRANT and REVOKE that bring an object from one definition to another.';

CREATE OR REPLACE FUNCTION pggit._options_sql(p_options jsonb)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('%s = %L', o.key, o.value), ', ' ORDER BY o.key) FROM jsonb_each_text(p_options) AS o);
END;
$$;

COMMENT ON FUNCTION pggit._options_sql(jsonb) IS
'Options as they stand behind WITH and SET.';

CREATE OR REPLACE FUNCTION pggit._option_statements(p_alter text, p_from jsonb, p_to jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN coalesce(p_from, '{}') - ARRAY(SELECT jsonb_object_keys(coalesce(p_to, '{}'))) <> '{}'
                        THEN ARRAY[format('%s RESET (%s)', p_alter, (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(p_from - ARRAY(SELECT jsonb_object_keys(coalesce(p_to, '{}')))) AS k))] ELSE '{}' END
                   || CASE WHEN EXISTS (SELECT FROM jsonb_each(p_to) AS t WHERE t.value IS DISTINCT FROM p_from -> t.key)
                           THEN ARRAY[format('%s SET (%s)', p_alter, (SELECT pggit._options_sql(jsonb_object_agg(t.key, t.value)) FROM jsonb_each(p_to) AS t WHERE t.value IS DISTINCT FROM p_from -> t.key))] ELSE '{}' END);
END;
$$;

COMMENT ON FUNCTION pggit._option_statements(text, jsonb, jsonb) IS
'SET and RESET from some options to others. p_alter: the beginning of the statement.';

CREATE OR REPLACE FUNCTION pggit._column_sql(p_name text, p_definition jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT concat_ws(' ', p_name, p_definition ->> 'type', 'COMPRESSION ' || (p_definition ->> 'compression'), 'COLLATE ' || (p_definition ->> 'collation'),
                     CASE WHEN p_definition ? 'generated' THEN format('GENERATED ALWAYS AS (%s) %s', p_definition ->> 'generated', p_definition ->> 'generated_kind')
                          WHEN p_definition ? 'identity' THEN format('GENERATED %s AS IDENTITY', p_definition ->> 'identity')
                          WHEN p_definition ? 'default' THEN 'DEFAULT ' || (p_definition ->> 'default') END,
                     CASE WHEN p_definition ? 'not_null' THEN 'NOT NULL' END);
$$;

COMMENT ON FUNCTION pggit._column_sql(text, jsonb) IS
'A column as CREATE TABLE and ADD COLUMN have it.';

CREATE OR REPLACE FUNCTION pggit._column_details(p_table text, p_name text, p_from jsonb, p_to jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN (p_from -> 'storage') IS DISTINCT FROM (p_to -> 'storage')
                        THEN ARRAY[format('ALTER TABLE %s ALTER %s SET STORAGE %s', p_table, p_name, coalesce(p_to ->> 'storage', 'DEFAULT'))] ELSE '{}' END
                   || CASE WHEN (p_from -> 'compression') IS DISTINCT FROM (p_to -> 'compression')
                           THEN ARRAY[format('ALTER TABLE %s ALTER %s SET COMPRESSION %s', p_table, p_name, coalesce(p_to ->> 'compression', 'default'))] ELSE '{}' END
                   || CASE WHEN (p_from -> 'statistics') IS DISTINCT FROM (p_to -> 'statistics')
                           THEN ARRAY[format('ALTER TABLE %s ALTER %s SET STATISTICS %s', p_table, p_name, coalesce(p_to ->> 'statistics', '-1'))] ELSE '{}' END
                   || pggit._option_statements(format('ALTER TABLE %s ALTER %s', p_table, p_name), p_from -> 'options', p_to -> 'options'));
END;
$$;

COMMENT ON FUNCTION pggit._column_details(text, text, jsonb, jsonb) IS
'Statements for what ADD COLUMN can''t say of a column: storage, statistics, options.';

CREATE OR REPLACE FUNCTION pggit._cast_sql(p_from text, p_to text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_from oid := to_regtype(p_from);
    v_to   oid := to_regtype(p_to);
    v_cast "char";
BEGIN
    v_from := (SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END FROM pg_catalog.pg_type AS t WHERE t.oid = v_from);
    v_to   := (SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END FROM pg_catalog.pg_type AS t WHERE t.oid = v_to);
    IF v_from = v_to THEN
        RETURN NULL;
    ELSIF v_from IS NULL OR v_to IS NULL THEN
        RETURN format('%%s::text::%s', p_to);
    END IF;
    v_cast := (SELECT c.castcontext FROM pg_catalog.pg_cast AS c WHERE c.castsource = v_from AND c.casttarget = v_to);
    IF v_cast IN ('i', 'a') OR (v_cast IS NULL AND (SELECT t.typcategory = 'S' FROM pg_catalog.pg_type AS t WHERE t.oid = v_to)) THEN
        RETURN NULL;
    END IF;
    RETURN format(CASE WHEN v_cast = 'e' THEN '%%s::%s' ELSE '%%s::text::%s' END, p_to);
END;
$$;

COMMENT ON FUNCTION pggit._cast_sql(text, text) IS
'How values of one type become values of another where PostgreSQL does not do it by itself in an assignment, as a format for the column; NULL where it does.';

CREATE OR REPLACE FUNCTION pggit._loses_values(p_from text, p_to text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT NOT CASE WHEN to_regtype(p_from) = to_regtype(p_to)
                            THEN p_to NOT LIKE '%(%' OR (p_from ~ '^character varying\(' AND substring(p_from FROM '\((\d+)')::integer <= substring(p_to FROM '\((\d+)')::integer)
                            ELSE p_to NOT LIKE '%(%' AND (to_regtype(p_to) = 'text'::regtype
                                 OR EXISTS (SELECT FROM pg_catalog.pg_cast AS c WHERE c.castsource = to_regtype(p_from) AND c.casttarget = to_regtype(p_to) AND c.castcontext = 'i')) END);
END;
$$;

COMMENT ON FUNCTION pggit._loses_values(text, text) IS
'Whether a change of type may change values, or fail on them.';

CREATE OR REPLACE FUNCTION pggit._alter_column(p_from jsonb, p_to pggit._schema_object, p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_table  text  := pggit._in_target((p_to).parent, p_target);
    v_name   text  := pggit._local_name(p_to);
    v_to     jsonb := (p_to).definition;
    v_alter  text  := format('ALTER TABLE %s ALTER %s ', v_table, v_name);
    v_typed  boolean := (p_from -> 'type', p_from -> 'collation') IS DISTINCT FROM (v_to -> 'type', v_to -> 'collation');
    v_cast   text;
    v_done   text[] := '{}';
BEGIN
    IF (v_to ? 'generated' AND ((p_from -> 'generated', p_from -> 'generated_kind') IS DISTINCT FROM (v_to -> 'generated', v_to -> 'generated_kind') OR v_typed))
       OR (p_from ->> 'generated_kind' = 'VIRTUAL' AND NOT v_to ? 'generated') THEN
        RETURN NULL;
    END IF;
    IF p_from ? 'generated' AND NOT v_to ? 'generated' THEN
        v_done := v_done || (v_alter || 'DROP EXPRESSION');
    END IF;
    IF p_from ? 'identity' AND NOT v_to ? 'identity' THEN
        v_done := v_done || (v_alter || 'DROP IDENTITY');
    END IF;
    IF p_from ? 'default' AND (v_typed OR NOT v_to ? 'default') THEN
        v_done := v_done || (v_alter || 'DROP DEFAULT');
    END IF;
    IF v_typed THEN
        v_cast := CASE WHEN p_from ->> 'type' <> v_to ->> 'type' THEN format(pggit._cast_sql(p_from ->> 'type', v_to ->> 'type'), v_name) END;
        v_done := v_done || (v_alter || concat_ws(' ', 'TYPE', v_to ->> 'type', 'COLLATE ' || coalesce(v_to ->> 'collation', CASE WHEN p_from ? 'collation' THEN 'pg_catalog."default"' END), 'USING ' || v_cast));
    END IF;
    IF v_to ? 'default' AND (v_typed OR (p_from -> 'default') IS DISTINCT FROM v_to -> 'default') THEN
        v_done := v_done || (v_alter || 'SET DEFAULT ' || (v_to ->> 'default'));
    END IF;
    IF (p_from ? 'not_null') <> (v_to ? 'not_null') THEN
        v_done := v_done || (v_alter || CASE WHEN v_to ? 'not_null' THEN 'SET NOT NULL' ELSE 'DROP NOT NULL' END);
    END IF;
    IF v_to ? 'identity' AND (p_from -> 'identity') IS DISTINCT FROM v_to -> 'identity' THEN
        v_done := v_done || (v_alter || format(CASE WHEN p_from ? 'identity' THEN 'SET GENERATED %s' ELSE 'ADD GENERATED %s AS IDENTITY' END, v_to ->> 'identity'));
    END IF;
    RETURN v_done || pggit._column_details(v_table, v_name, p_from, v_to) || pggit._common_statements(p_from, p_to, p_target);
END;
$$;

COMMENT ON FUNCTION pggit._alter_column(jsonb, pggit._schema_object, jsonb) IS
'The statements that bring a column from a definition to its own; NULL where it has to be made anew, because what it is computed from is another expression.';

CREATE OR REPLACE FUNCTION pggit._table_details(p_from jsonb, p_to pggit._schema_object, p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN (p_from -> 'replica_identity') IS DISTINCT FROM d.to -> 'replica_identity' THEN ARRAY[d.alter || ' REPLICA IDENTITY ' || coalesce(d.to ->> 'replica_identity', 'DEFAULT')] ELSE '{}' END
                   || CASE WHEN (p_from -> 'clustered_on') IS DISTINCT FROM d.to -> 'clustered_on' THEN ARRAY[d.alter || coalesce(' CLUSTER ON ' || (d.to ->> 'clustered_on'), ' SET WITHOUT CLUSTER')] ELSE '{}' END
                   || CASE WHEN coalesce(p_from ? 'row_security', false) <> d.to ? 'row_security' THEN ARRAY[d.alter || CASE WHEN d.to ? 'row_security' THEN ' ENABLE' ELSE ' DISABLE' END || ' ROW LEVEL SECURITY'] ELSE '{}' END
                   || CASE WHEN coalesce(p_from ? 'force_row_security', false) <> d.to ? 'force_row_security' THEN ARRAY[d.alter || CASE WHEN d.to ? 'force_row_security' THEN ' FORCE' ELSE ' NO FORCE' END || ' ROW LEVEL SECURITY'] ELSE '{}' END
                   || pggit._common_statements(p_from, p_to, p_target)
              FROM (SELECT (p_to).definition AS to, 'ALTER TABLE ' || pggit._in_target((p_to).object_name, p_target) AS alter) AS d);
END;
$$;

COMMENT ON FUNCTION pggit._table_details(jsonb, pggit._schema_object, jsonb) IS
'Statements for what a table has when its indexes are there: replica identity, clustering, row-level security, comment and grants.';

CREATE OR REPLACE FUNCTION pggit._alter_table(p_from jsonb, p_to pggit._schema_object, p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    v_name  text   := pggit._in_target((p_to).object_name, p_target);
    v_alter text   := 'ALTER TABLE ' || v_name;
    v_to    jsonb  := (p_to).definition;
    v_done  text[] := '{}';
BEGIN
    IF (p_from -> 'of_type') IS DISTINCT FROM v_to -> 'of_type' THEN
        v_done := v_done || (v_alter || coalesce(' OF ' || (v_to ->> 'of_type'), ' NOT OF'));
    END IF;
    IF (p_from ? 'unlogged') <> (v_to ? 'unlogged') THEN
        v_done := v_done || (v_alter || CASE WHEN v_to ? 'unlogged' THEN ' SET UNLOGGED' ELSE ' SET LOGGED' END);
    END IF;
    IF (p_from -> 'access_method') IS DISTINCT FROM v_to -> 'access_method' THEN
        v_done := v_done || format('%s SET ACCESS METHOD %I', v_alter, coalesce(v_to ->> 'access_method', 'heap'));
    END IF;
    RETURN v_done || pggit._option_statements(v_alter, p_from -> 'options', v_to -> 'options');
END;
$$;

COMMENT ON FUNCTION pggit._alter_table(jsonb, pggit._schema_object, jsonb) IS
'The statements that bring a table itself from a definition to its own before its columns are changed: its type, kind of storage and options.';

CREATE OR REPLACE FUNCTION pggit._detach_table(p_from jsonb, p_to pggit._schema_object, p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN p_from ? 'partition_of' AND (p_from -> 'partition_of', p_from -> 'bound') IS DISTINCT FROM (d.to -> 'partition_of', d.to -> 'bound')
                        THEN ARRAY[format('ALTER TABLE %s DETACH PARTITION %s', pggit._in_target(p_from ->> 'partition_of', p_target), d.name)] ELSE '{}' END
                   || ARRAY(SELECT format('ALTER TABLE %s NO INHERIT %s', d.name, pggit._in_target(f, p_target)) FROM jsonb_array_elements_text(p_from -> 'inherits') AS f WHERE NOT coalesce(d.to -> 'inherits' ? f, false))
              FROM (SELECT (p_to).definition AS to, pggit._in_target((p_to).object_name, p_target) AS name) AS d);
END;
$$;

COMMENT ON FUNCTION pggit._detach_table(jsonb, pggit._schema_object, jsonb) IS
'The statements that take a table out of those that it is no longer a partition or child of, before these change.';

CREATE OR REPLACE FUNCTION pggit._attach_table(p_from jsonb, p_to pggit._schema_object, p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN d.to ? 'partition_of' AND (p_from -> 'partition_of', p_from -> 'bound') IS DISTINCT FROM (d.to -> 'partition_of', d.to -> 'bound')
                        THEN ARRAY[format('ALTER TABLE %s ATTACH PARTITION %s %s', pggit._in_target(d.to ->> 'partition_of', p_target), pggit._in_target((p_to).object_name, p_target), d.to ->> 'bound')] ELSE '{}' END
                   || ARRAY(SELECT format('ALTER TABLE %s INHERIT %s', pggit._in_target((p_to).object_name, p_target), pggit._in_target(t, p_target))
                              FROM jsonb_array_elements_text(d.to -> 'inherits') WITH ORDINALITY AS i(t, n) WHERE NOT coalesce(p_from -> 'inherits' ? t, false) ORDER BY n)
              FROM (SELECT (p_to).definition AS to) AS d);
END;
$$;

COMMENT ON FUNCTION pggit._attach_table(jsonb, pggit._schema_object, jsonb) IS
'The statements that make a table, when its columns are there, a partition or child of those that it was not one of.';

CREATE OR REPLACE FUNCTION pggit._create_table(p_table pggit._schema_object, p_columns pggit._schema_object[], p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT ARRAY[concat_ws(' ', CASE WHEN d.to ? 'unlogged' THEN 'CREATE UNLOGGED TABLE' ELSE 'CREATE TABLE' END, d.name,
                         CASE WHEN d.to ? 'partition_of' THEN 'PARTITION OF ' || pggit._in_target(d.to ->> 'partition_of', p_target)
                              ELSE format('(%s)', (SELECT string_agg(E'\n    ' || pggit._column_sql(pggit._local_name(c), c.definition), ',' ORDER BY c.column_id NULLS LAST, c.object_name COLLATE "C")
                                                     FROM unnest(p_columns) AS c WHERE NOT c.definition ? 'inherited')) END,
                         'INHERITS (' || (SELECT string_agg(pggit._in_target(i, p_target), ', ' ORDER BY n) FROM jsonb_array_elements_text(d.to -> 'inherits') WITH ORDINALITY AS i(i, n)) || ')',
                         d.to ->> 'bound', 'PARTITION BY ' || (d.to ->> 'partition_by'), 'USING ' || quote_ident(d.to ->> 'access_method'), 'WITH (' || pggit._options_sql(d.to -> 'options') || ')')]
                   || CASE WHEN d.to ? 'of_type' THEN ARRAY[format('ALTER TABLE %s OF %s', d.name, d.to ->> 'of_type')] ELSE '{}' END
                   || coalesce((SELECT array_agg(s ORDER BY c.object_name, n) FROM unnest(p_columns) AS c
                                 CROSS JOIN LATERAL unnest(pggit._column_details(d.name, pggit._local_name(c), '{}', c.definition - 'compression') || pggit._common_statements(NULL, c, p_target)) WITH ORDINALITY AS s(s, n)
                                 WHERE NOT c.definition ? 'inherited'), '{}')
              FROM (SELECT (p_table).definition AS to, pggit._in_target((p_table).object_name, p_target) AS name) AS d);
END;
$$;

COMMENT ON FUNCTION pggit._create_table(pggit._schema_object, pggit._schema_object[], jsonb) IS
'The statements that make a table with its columns; keys, indexes and what needs them come later.';

CREATE OR REPLACE FUNCTION pggit._create_routine(p_object pggit._schema_object, p_target jsonb)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT concat_ws(E'\n ', format('CREATE OR REPLACE %s %s(%s)', upper((p_object).object_type), pggit._in_target(substring((p_object).object_name FROM '^((?:"(?:[^"]|"")*"|[^."]+)\.(?:"(?:[^"]|"")*"|[^("]+))'), p_target), d.to ->> 'arguments'),
                             CASE WHEN (p_object).object_type = 'function' THEN 'RETURNS ' || (d.to ->> 'result') END,
                             'LANGUAGE ' || quote_ident(d.to ->> 'language'),
                             'TRANSFORM ' || (SELECT string_agg('FOR TYPE ' || y, ', ') FROM jsonb_array_elements_text(d.to -> 'transforms') AS y),
                             CASE WHEN d.to ? 'window' THEN 'WINDOW' END, d.to ->> 'volatility', CASE WHEN d.to ? 'strict' THEN 'STRICT' END, CASE WHEN d.to ? 'security_definer' THEN 'SECURITY DEFINER' END,
                             CASE WHEN d.to ? 'leakproof' THEN 'LEAKPROOF' END, 'PARALLEL ' || (d.to ->> 'parallel'), 'COST ' || (d.to ->> 'cost'), 'ROWS ' || (d.to ->> 'rows'), 'SUPPORT ' || (d.to ->> 'support'),
                             (SELECT string_agg(format('SET %s TO %s', s.key, CASE WHEN s.key IN ('search_path', 'temp_tablespaces', 'session_preload_libraries', 'local_preload_libraries')
                                                                                   THEN coalesce(nullif(s.value, ''), '''''') ELSE quote_literal(s.value) END), ' ' ORDER BY s.key)
                                FROM jsonb_each_text(d.to -> 'settings') AS s),
                             CASE WHEN d.to ? 'parsed' THEN d.to ->> 'body' WHEN d.to ? 'library' THEN format('AS %L, %L', d.to ->> 'library', d.to ->> 'body') ELSE 'AS ' || quote_literal(d.to ->> 'body') END)
              FROM (SELECT (p_object).definition AS to) AS d);
END;
$$;

COMMENT ON FUNCTION pggit._create_routine(pggit._schema_object, jsonb) IS
'CREATE OR REPLACE for a function or procedure.';

CREATE OR REPLACE FUNCTION pggit._create_aggregate(p_object pggit._schema_object, p_target jsonb)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT format('CREATE OR REPLACE AGGREGATE %s(%s) (%s)', pggit._in_target(substring((p_object).object_name FROM '^((?:"(?:[^"]|"")*"|[^."]+)\.(?:"(?:[^"]|"")*"|[^("]+))'), p_target),
                          coalesce(nullif(d.to ->> 'arguments', ''), '*'), concat_ws(', ', 'SFUNC = ' || (d.to ->> 'sfunc'), 'STYPE = ' || (d.to ->> 'stype'), 'SSPACE = ' || (d.to ->> 'sspace'),
                          'FINALFUNC = ' || (d.to ->> 'finalfunc'), CASE WHEN d.to ? 'finalfunc_extra' THEN 'FINALFUNC_EXTRA' END, 'FINALFUNC_MODIFY = ' || (d.to ->> 'finalfunc_modify'),
                          'COMBINEFUNC = ' || (d.to ->> 'combinefunc'), 'SERIALFUNC = ' || (d.to ->> 'serialfunc'), 'DESERIALFUNC = ' || (d.to ->> 'deserialfunc'), 'INITCOND = ' || quote_literal(d.to ->> 'initcond'),
                          'MSFUNC = ' || (d.to ->> 'msfunc'), 'MINVFUNC = ' || (d.to ->> 'minvfunc'), 'MSTYPE = ' || (d.to ->> 'mstype'), 'MSSPACE = ' || (d.to ->> 'msspace'),
                          'MFINALFUNC = ' || (d.to ->> 'mfinalfunc'), CASE WHEN d.to ? 'mfinalfunc_extra' THEN 'MFINALFUNC_EXTRA' END, 'MINITCOND = ' || quote_literal(d.to ->> 'minitcond'),
                          'SORTOP = ' || (d.to ->> 'sortop'), 'PARALLEL = ' || (d.to ->> 'parallel'), CASE WHEN d.to ->> 'kind' = 'hypothetical' THEN 'HYPOTHETICAL' END))
              FROM (SELECT (p_object).definition AS to) AS d);
END;
$$;

COMMENT ON FUNCTION pggit._create_aggregate(pggit._schema_object, jsonb) IS
'CREATE OR REPLACE for an aggregate.';

CREATE OR REPLACE FUNCTION pggit._create_view(p_object pggit._schema_object, p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT ARRAY[concat_ws(' ', CASE (p_object).object_type WHEN 'view' THEN 'CREATE OR REPLACE VIEW' ELSE 'CREATE MATERIALIZED VIEW' END, d.name, 'WITH (' || pggit._options_sql(d.to -> 'options') || ')', 'AS')
                         || E'\n' || (d.to ->> 'query')]
                   || ARRAY(SELECT format('ALTER VIEW %s ALTER %I SET DEFAULT %s', d.name, c.key, c.value) FROM jsonb_each_text(d.to -> 'column_defaults') AS c ORDER BY c.key)
                   || ARRAY(SELECT format('COMMENT ON COLUMN %s.%I IS %L', d.name, c.key, c.value) FROM jsonb_each_text(d.to -> 'column_comments') AS c ORDER BY c.key)
                   || ARRAY(SELECT s FROM jsonb_each(d.to -> 'column_grants') AS c CROSS JOIN LATERAL unnest(pggit._grant_statements('TABLE ' || d.name, quote_ident(c.key), NULL, c.value)) AS s ORDER BY c.key)
              FROM (SELECT (p_object).definition AS to, pggit._in_target((p_object).object_name, p_target) AS name) AS d);
END;
$$;

COMMENT ON FUNCTION pggit._create_view(pggit._schema_object, jsonb) IS
'The statements that make a view or materialized view with its columns'' defaults, comments and grants.';

CREATE OR REPLACE FUNCTION pggit._create_type(p_object pggit._schema_object, p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT ARRAY[CASE WHEN (p_object).object_type = 'domain'
                        THEN concat_ws(' ', 'CREATE DOMAIN', d.name, 'AS', d.to ->> 'base', 'COLLATE ' || (d.to ->> 'collation'), 'DEFAULT ' || (d.to ->> 'default'), CASE WHEN d.to ? 'not_null' THEN 'NOT NULL' END,
                                       (SELECT string_agg(format('CONSTRAINT %I %s', c.key, c.value), ' ' ORDER BY c.key) FROM jsonb_each_text(d.to -> 'constraints') AS c WHERE c.value NOT LIKE '%NOT VALID'))
                        WHEN d.to ->> 'kind' = 'enum' THEN format('CREATE TYPE %s AS ENUM (%s)', d.name, (SELECT string_agg(quote_literal(l), ', ' ORDER BY n) FROM jsonb_array_elements_text(d.to -> 'labels') WITH ORDINALITY AS l(l, n)))
                        WHEN d.to ->> 'kind' = 'composite'
                        THEN format('CREATE TYPE %s AS (%s)', d.name, (SELECT string_agg(concat_ws(' ', quote_ident(a ->> 'name'), a ->> 'type', 'COLLATE ' || (a ->> 'collation')), ', ' ORDER BY n) FROM jsonb_array_elements(d.to -> 'attributes') WITH ORDINALITY AS a(a, n)))
                        ELSE format('CREATE TYPE %s AS RANGE (%s)', d.name, concat_ws(', ', 'SUBTYPE = ' || (d.to ->> 'subtype'), 'SUBTYPE_OPCLASS = ' || (d.to ->> 'subtype_opclass'), 'COLLATION = ' || (d.to ->> 'collation'),
                                    'SUBTYPE_DIFF = ' || (d.to ->> 'subtype_diff'), 'MULTIRANGE_TYPE_NAME = ' || (d.to ->> 'multirange'))) END]
                   || ARRAY(SELECT format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', d.name, c.key, c.value) FROM jsonb_each_text(d.to -> 'constraints') AS c WHERE c.value LIKE '%NOT VALID' ORDER BY c.key)
              FROM (SELECT (p_object).definition AS to, pggit._in_target((p_object).object_name, p_target) AS name) AS d);
END;
$$;

COMMENT ON FUNCTION pggit._create_type(pggit._schema_object, jsonb) IS
'The statements that make an enum, composite type, range or domain.';

CREATE OR REPLACE FUNCTION pggit._create_object(p_object pggit._schema_object, p_columns pggit._schema_object[], p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    v_to    jsonb := (p_object).definition;
    v_name  text  := pggit._in_target((p_object).object_name, p_target);
    v_table text  := pggit._in_target((p_object).parent, p_target);
    v_local text  := pggit._local_name(p_object);
    v_made  text[];
BEGIN
    v_made := CASE (p_object).object_type
        WHEN 'schema' THEN ARRAY['CREATE SCHEMA IF NOT EXISTS ' || v_name]
        WHEN 'extension' THEN ARRAY[format('CREATE EXTENSION %s WITH SCHEMA %s VERSION %L', (p_object).object_name, v_to ->> 'schema', v_to ->> 'version')]
        WHEN 'table' THEN pggit._create_table(p_object, p_columns, p_target)
        WHEN 'column' THEN ARRAY[format('ALTER TABLE %s ADD %s', v_table, pggit._column_sql(v_local, v_to))] || pggit._column_details(v_table, v_local, '{}', v_to - 'compression')
        WHEN 'constraint' THEN ARRAY[format('ALTER TABLE %s ADD CONSTRAINT %s %s', v_table, v_local, v_to ->> 'definition')]
        WHEN 'index' THEN ARRAY[format('CREATE %sINDEX %s ON %s %s', CASE WHEN v_to ? 'unique' THEN 'UNIQUE ' ELSE '' END, v_local, v_table, v_to ->> 'definition')]
        WHEN 'trigger' THEN ARRAY[format('CREATE %sTRIGGER %s %s ON %s %s', CASE WHEN v_to ? 'constraint' THEN 'CONSTRAINT ' ELSE '' END, v_local, v_to ->> 'events', v_table, v_to ->> 'action')]
                            || CASE WHEN v_to ? 'enabled' THEN ARRAY[format('ALTER TABLE %s %s TRIGGER %s', v_table, v_to ->> 'enabled', v_local)] ELSE '{}' END
        WHEN 'policy' THEN ARRAY[concat_ws(' ', 'CREATE POLICY', v_local, 'ON', v_table, CASE WHEN v_to ? 'restrictive' THEN 'AS RESTRICTIVE' END, 'FOR', v_to ->> 'command',
                                           'TO ' || (SELECT string_agg(r, ', ') FROM jsonb_array_elements_text(v_to -> 'roles') AS r), 'USING (' || (v_to ->> 'using') || ')', 'WITH CHECK (' || (v_to ->> 'with_check') || ')')]
        WHEN 'rule' THEN ARRAY[regexp_replace(v_to ->> 'definition', '^CREATE RULE', 'CREATE OR REPLACE RULE')]
                         || CASE WHEN v_to ? 'enabled' THEN ARRAY[format('ALTER TABLE %s %s RULE %s', v_table, v_to ->> 'enabled', v_local)] ELSE '{}' END
        WHEN 'statistics' THEN ARRAY[concat_ws(' ', 'CREATE STATISTICS', v_name, '(' || (SELECT string_agg(k, ', ') FROM jsonb_array_elements_text(v_to -> 'kinds') AS k) || ')', 'ON', v_to ->> 'columns', 'FROM', v_table)]
                               || CASE WHEN v_to ? 'target' THEN ARRAY[format('ALTER STATISTICS %s SET STATISTICS %s', v_name, v_to ->> 'target')] ELSE '{}' END
        WHEN 'sequence' THEN ARRAY[concat_ws(' ', CASE WHEN v_to ? 'unlogged' THEN 'CREATE UNLOGGED SEQUENCE' ELSE 'CREATE SEQUENCE' END, v_name, 'AS', v_to ->> 'type', 'INCREMENT', v_to ->> 'increment', 'MINVALUE', v_to ->> 'min',
                                             'MAXVALUE', v_to ->> 'max', 'START', v_to ->> 'start', 'CACHE', v_to ->> 'cache', CASE WHEN v_to ? 'cycle' THEN 'CYCLE' END)]
        WHEN 'function' THEN ARRAY[pggit._create_routine(p_object, p_target)]
        WHEN 'procedure' THEN ARRAY[pggit._create_routine(p_object, p_target)]
        WHEN 'aggregate' THEN ARRAY[pggit._create_aggregate(p_object, p_target)]
        WHEN 'view' THEN pggit._create_view(p_object, p_target)
        WHEN 'materialized view' THEN pggit._create_view(p_object, p_target)
        ELSE pggit._create_type(p_object, p_target) END;
    IF (p_object).object_type = 'table' THEN
        RETURN v_made;
    END IF;
    RETURN v_made || pggit._common_statements(jsonb_strip_nulls(jsonb_build_object('grants', pggit._default_grants((p_object).object_type))), p_object, p_target);
END;
$$;

COMMENT ON FUNCTION pggit._create_object(pggit._schema_object, pggit._schema_object[], jsonb) IS
'The statements that make an object; a table with its columns, without what pggit._table_details adds.';

CREATE OR REPLACE FUNCTION pggit._drop_object(p_object pggit._schema_object, p_target jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE (p_object).object_type
               WHEN 'column' THEN format('ALTER TABLE %s DROP %s', pggit._in_target((p_object).parent, p_target), pggit._local_name(p_object))
               WHEN 'constraint' THEN format('ALTER TABLE %s DROP CONSTRAINT %s', pggit._in_target((p_object).parent, p_target), pggit._local_name(p_object))
               ELSE 'DROP ' || pggit._called(p_object, p_target) END;
$$;

COMMENT ON FUNCTION pggit._drop_object(pggit._schema_object, jsonb) IS
'The statement that drops an object.';
