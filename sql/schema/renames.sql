-- What has another name on the other side.

CREATE OR REPLACE FUNCTION pggit._bare_name(p_name text)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT CASE WHEN n LIKE '"%' THEN replace(substr(n, 2, length(n) - 2), '""', '"') ELSE n END
              FROM (SELECT substring(p_name FROM '^(?:"(?:[^"]|"")*"|[^(]+)')) AS s(n));
END;
$$;

COMMENT ON FUNCTION pggit._bare_name(text) IS
'A local name without quotes, and without the arguments of a function.';

CREATE OR REPLACE FUNCTION pggit._replace_names(p_sql text, p_names jsonb)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT coalesce(string_agg(coalesce(p_names ->> t.token, t.token), '' ORDER BY t.n), '') FROM pggit._sql_tokens(p_sql) AS t);
END;
$$;

COMMENT ON FUNCTION pggit._replace_names(text, jsonb) IS
'An expression in which names (as they are written, so quoted where needed) are others.';

CREATE OR REPLACE FUNCTION pggit._rename_in(p_definition jsonb, p_names jsonb, p_columns jsonb, p_referenced jsonb, p_whole jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT jsonb_object_agg(d.key, CASE
                       WHEN d.key IN ('references', 'partition_of') THEN coalesce(p_whole -> (d.value #>> '{}'), d.value)
                       WHEN d.key = 'owned_by'
                       THEN coalesce(p_whole -> (d.value #>> '{}'), (SELECT to_jsonb(w.value || substr(d.value #>> '{}', length(w.key) + 1)) FROM jsonb_each_text(p_whole) AS w WHERE starts_with(d.value #>> '{}', w.key || '.')), d.value)
                       WHEN d.key = 'inherits' THEN (SELECT jsonb_agg(coalesce(p_whole -> i, to_jsonb(i)) ORDER BY n) FROM jsonb_array_elements_text(d.value) WITH ORDINALITY AS i(i, n))
                       WHEN d.key = 'definition' AND p_definition ? 'references'
                       THEN to_jsonb(pggit._replace_names(split_part(d.value #>> '{}', ' REFERENCES ', 1), p_columns) || ' REFERENCES ' || pggit._replace_names(split_part(d.value #>> '{}', ' REFERENCES ', 2), p_names || p_referenced))
                       WHEN jsonb_typeof(d.value) = 'string' AND d.key IN ('definition', 'type', 'default', 'generated', 'using', 'with_check', 'query', 'events', 'action', 'columns', 'partition_by', 'clustered_on',
                                                                           'replica_identity', 'base', 'result', 'arguments')
                            OR (d.key = 'body' AND p_definition ? 'parsed')
                       THEN to_jsonb(pggit._replace_names(d.value #>> '{}', p_names || p_columns))
                       ELSE d.value END)
              FROM jsonb_each(p_definition) AS d);
END;
$$;

COMMENT ON FUNCTION pggit._rename_in(jsonb, jsonb, jsonb, jsonb, jsonb) IS
'A definition after renames: of what can be named anywhere, of the columns of its own table and of the one that it references, and of whole names (schema and all).';

CREATE OR REPLACE FUNCTION pggit._rename_objects(p_objects pggit._schema_object[], p_renames jsonb)
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    WITH renames AS MATERIALIZED (
        SELECT r.* FROM jsonb_to_recordset(p_renames) AS r(object_type text, old_name text, new_name text, parent text, old_local text, new_local text)
    ), maps AS MATERIALIZED (
        SELECT coalesce(jsonb_object_agg(r.old_local, r.new_local) FILTER (WHERE r.object_type NOT IN ('column', 'constraint')), '{}')
               || coalesce(jsonb_object_agg(quote_literal(r.old_local), quote_literal(r.new_local)) FILTER (WHERE r.object_type = 'sequence'), '{}') AS names,
               coalesce(jsonb_object_agg(r.old_name, r.new_name), '{}') AS whole
          FROM renames AS r
    ), columns AS MATERIALIZED (
        SELECT r.parent, jsonb_object_agg(r.old_local, r.new_local) AS names FROM renames AS r WHERE r.object_type = 'column' GROUP BY r.parent
    )
    SELECT o.object_type,
           CASE WHEN m.whole ? o.object_name AND EXISTS (SELECT FROM renames AS r WHERE r.object_type = o.object_type AND r.old_name = o.object_name) THEN m.whole ->> o.object_name
                WHEN t.new_name IS NOT NULL AND starts_with(o.object_name, o.parent || '.') THEN t.new_name || substr(o.object_name, length(o.parent) + 1) ELSE o.object_name END,
           coalesce(t.new_name, o.parent), d.definition, pggit._object_hash(d.definition), o.table_id, o.column_id
      FROM unnest(p_objects) AS o
     CROSS JOIN maps AS m
      LEFT JOIN renames AS t ON t.object_type = 'table' AND t.old_name = o.parent
      LEFT JOIN columns AS c ON c.parent = o.parent
      LEFT JOIN columns AS f ON f.parent = o.definition ->> 'references'
     CROSS JOIN LATERAL (SELECT CASE WHEN m.names = '{}' AND c.names IS NULL AND f.names IS NULL AND NOT o.definition ? 'owned_by' OR o.definition = '{}' THEN o.definition
                                     ELSE pggit._rename_in(o.definition, m.names, coalesce(c.names, '{}'), coalesce(f.names, '{}'), m.whole) END AS definition) AS d;
$$;

COMMENT ON FUNCTION pggit._rename_objects(pggit._schema_object[], jsonb) IS
'Objects as they are after renames (pggit._renames). Where a text can''t be followed exactly, as names of columns in views, the object counts as changed, which does no harm.';

CREATE OR REPLACE FUNCTION pggit._renames(p_from pggit._schema_object[], p_to pggit._schema_object[], p_kind text)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    -- What is the same object under the same name on both sides, most of all, is neither renamed nor in the way.
    RETURN (WITH f AS MATERIALIZED (
                SELECT o.*, pggit._local_name(o) AS local
                  FROM (SELECT object_type, object_name, parent, table_id, column_id FROM unnest(p_from) EXCEPT SELECT object_type, object_name, parent, table_id, column_id FROM unnest(p_to)) AS d
                  JOIN unnest(p_from) AS o ON o.object_type = d.object_type AND o.object_name = d.object_name
            ), t AS MATERIALIZED (
                SELECT o.*, pggit._local_name(o) AS local
                  FROM (SELECT object_type, object_name, parent, table_id, column_id FROM unnest(p_to) EXCEPT SELECT object_type, object_name, parent, table_id, column_id FROM unnest(p_from)) AS d
                  JOIN unnest(p_to) AS o ON o.object_type = d.object_type AND o.object_name = d.object_name
            ), gone AS MATERIALIZED (
                SELECT f.*, count(*) OVER (PARTITION BY f.object_type, f.parent, f.hash) AS alike FROM f
                 WHERE f.object_type IN ('index', 'constraint', 'sequence', 'type', 'domain') AND NOT EXISTS (SELECT FROM t WHERE t.object_type = f.object_type AND t.object_name = f.object_name)
            ), come AS MATERIALIZED (
                SELECT t.*, count(*) OVER (PARTITION BY t.object_type, t.parent, t.hash) AS alike FROM t
                 WHERE t.object_type IN ('index', 'constraint', 'sequence', 'type', 'domain') AND NOT EXISTS (SELECT FROM f WHERE f.object_type = t.object_type AND f.object_name = t.object_name)
            ), found AS (
                SELECT f.object_type, f.object_name AS old_name, t.object_name AS new_name, f.parent, f.local AS old_local, t.local AS new_local
                  FROM f JOIN t USING (object_type, table_id)
                 WHERE p_kind = 'table' AND f.object_type = 'table' AND f.object_name <> t.object_name
                UNION ALL
                SELECT f.object_type, f.object_name, t.object_name, f.parent, f.local, t.local
                  FROM f JOIN t USING (object_type, parent, column_id)
                 WHERE p_kind = 'column' AND f.object_type = 'column' AND f.table_id = t.table_id AND f.local <> t.local
                UNION ALL
                SELECT g.object_type, g.object_name, c.object_name, g.parent, g.local, c.local
                  FROM gone AS g JOIN come AS c USING (object_type, parent, hash)
                 WHERE p_kind = 'other' AND g.alike = 1 AND c.alike = 1
            ), in_the_way AS (  -- has a name that another one gets, and goes
                SELECT f.object_type, f.object_name AS old_name, left(f.object_name, -length(f.local)) || quote_ident(left('pggit~' || pggit._bare_name(f.local), 63)) AS new_name, f.parent, f.local AS old_local,
                       quote_ident(left('pggit~' || pggit._bare_name(f.local), 63)) AS new_local
                  FROM f JOIN found AS r ON r.object_type = f.object_type AND r.new_name = f.object_name
                 WHERE p_kind IN ('table', 'column') AND NOT EXISTS (SELECT FROM found AS o WHERE o.object_type = f.object_type AND o.old_name = f.object_name)
            )
            SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.object_type, r.old_name), '[]') FROM (SELECT * FROM found UNION ALL SELECT * FROM in_the_way) AS r);
END;
$$;

COMMENT ON FUNCTION pggit._renames(pggit._schema_object[], pggit._schema_object[], text) IS
'What has another name in the second set: tables (by their ids), columns (by their numbers; tables have the names of the second set already), or others: the only index, constraint, sequence or
type of its definition there that is new, in place of the only one that is gone.';

CREATE OR REPLACE FUNCTION pggit._after_renames(p_from pggit._schema_object[], p_to pggit._schema_object[], OUT renames jsonb[], OUT objects pggit._schema_object[])
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    objects := p_from;
    FOR i IN 1 .. 3 LOOP
        renames[i] := pggit._renames(objects, p_to, ('{table,column,other}'::text[])[i]);
        IF renames[i] <> '[]' THEN
            objects := ARRAY(SELECT o FROM pggit._rename_objects(objects, renames[i]) AS o);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._after_renames(pggit._schema_object[], pggit._schema_object[]) IS
'What is renamed between two sets of objects (tables, columns, others), and the first set after it.';
