-- The definitions of all objects of main or of a branch, as they are now.

CREATE OR REPLACE FUNCTION pggit._schema_path(p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT concat_ws(', ', pggit._path_sql(array_agg(n.nspname ORDER BY s.is_main, s.base_schema <> 'public', s.base_schema)), 'pg_temp')
              FROM (SELECT b.namespace, b.base_schema, false AS is_main FROM pggit._schema_spaces(p_branch_id) AS b WHERE p_branch_id <> 1
                    UNION ALL SELECT m.namespace, m.base_schema, true FROM pggit._schema_spaces(1) AS m) AS s
              JOIN pg_namespace AS n ON n.oid = s.namespace);
END;
$$;

COMMENT ON FUNCTION pggit._schema_path(integer) IS
'The search_path by which definitions are told, and generated DDL runs: the schemas of the branch and then those of main, public first. So an object of main and the same one of a branch
have the same text.';

CREATE OR REPLACE FUNCTION pggit._own_objects(p_branch_id integer)
    RETURNS SETOF pggit._schema_object
    LANGUAGE plpgsql
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C' SET quote_all_identifiers = off SET standard_conforming_strings = on
    SET jit = off  -- a catalog read once is not worth compiling
AS $$
DECLARE
    v_relations pggit._schema_relation[] := ARRAY(SELECT r FROM pggit._schema_relations(p_branch_id) AS r);
    v_before    text := current_setting('search_path');
    v_object    pggit._schema_object;
    v_schema    record;
BEGIN
    PERFORM set_config('search_path', pggit._schema_path(p_branch_id), true);
    FOR v_object IN
        SELECT * FROM pggit._table_objects(v_relations)
        UNION ALL SELECT * FROM pggit._column_objects(p_branch_id, v_relations)
        UNION ALL SELECT * FROM pggit._constraint_objects(v_relations)
        UNION ALL SELECT * FROM pggit._index_objects(v_relations)
        UNION ALL SELECT * FROM pggit._trigger_objects(v_relations)
        UNION ALL SELECT * FROM pggit._policy_objects(v_relations)
        UNION ALL SELECT * FROM pggit._rule_objects(v_relations)
        UNION ALL SELECT * FROM pggit._statistics_objects(v_relations)
        UNION ALL SELECT * FROM pggit._view_objects(v_relations)
        UNION ALL SELECT * FROM pggit._sequence_objects(v_relations)
        UNION ALL SELECT * FROM pggit._routine_objects(p_branch_id)
        UNION ALL SELECT * FROM pggit._type_objects(p_branch_id)
        UNION ALL SELECT * FROM pggit._database_objects() AS d WHERE p_branch_id = 1
    LOOP
        -- A name that two schemas have is told with its schema, which is quoted in a branch: @ is in it.
        IF p_branch_id <> 1 AND v_object.definition::text LIKE '%@%.%' THEN
            FOR v_schema IN SELECT quote_ident(s.schema_name) || '.' AS name, quote_ident(s.base_schema) || '.' AS base FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id LOOP
                v_object.definition := replace(v_object.definition::text, btrim(to_jsonb(v_schema.name)::text, '"'), btrim(to_jsonb(v_schema.base)::text, '"'))::jsonb;
            END LOOP;
        END IF;
        v_object.hash := pggit._object_hash(v_object.definition);
        RETURN NEXT v_object;
    END LOOP;
    PERFORM set_config('search_path', v_before, true);
END;
$$;

COMMENT ON FUNCTION pggit._own_objects(integer) IS
'The objects that are in the schemas of a branch, or of main, with their definitions.';

CREATE OR REPLACE FUNCTION pggit._note_copies(p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_before text := current_setting('search_path');
BEGIN
    PERFORM set_config('search_path', pggit._schema_path(p_branch_id), true);
    INSERT INTO pggit.schema_copies (branch_id, object_type, object_name)
    SELECT p_branch_id, CASE m.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, pggit._base_name(c.oid)
      FROM pggit.branch_copies AS b
      JOIN pg_class AS c ON c.oid = b.relation
      LEFT JOIN pg_class AS m ON m.oid = to_regclass(pggit._base_name(c.oid))
     WHERE b.branch_id = p_branch_id AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'pggit_shut')
    UNION
    SELECT p_branch_id, CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, format('%I.%I(%s)', s.base_schema, p.proname, oidvectortypes(p.proargtypes))
      FROM pggit.branch_copies AS b
      JOIN pg_proc AS p ON p.oid = to_regprocedure(b.routine)
      JOIN pg_namespace AS n ON n.oid = p.pronamespace
      JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname
     WHERE b.branch_id = p_branch_id
        ON CONFLICT DO NOTHING;
    PERFORM set_config('search_path', v_before, true);
END;
$$;

COMMENT ON FUNCTION pggit._note_copies(integer) IS
'Notes of which views and functions a new branch has copies of its own.';

CREATE OR REPLACE FUNCTION pggit._branch_objects(p_branch_id integer)
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql
AS $$
    WITH RECURSIVE own AS MATERIALIZED (
        SELECT * FROM pggit._own_objects(p_branch_id)
    ), base AS MATERIALIZED (
        SELECT * FROM pggit._objects_below(p_branch_id)
    ), tables AS MATERIALIZED (
        SELECT b.object_name, b.table_id, bt.form, b.definition
          FROM base AS b LEFT JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch_id AND bt.table_id = b.table_id
         WHERE b.object_type = 'table'
    ), gone AS (  -- with its partitions
        SELECT t.object_name FROM tables AS t WHERE t.table_id IS NOT NULL AND t.form IS NULL
        UNION
        SELECT t.object_name FROM gone AS g JOIN tables AS t ON t.definition ->> 'partition_of' = g.object_name
    ), dropped AS MATERIALIZED (
        SELECT k.object_type, k.object_name FROM pggit.schema_copies AS k
         WHERE k.branch_id = p_branch_id
           AND NOT EXISTS (SELECT FROM own AS o WHERE o.object_name = k.object_name AND o.object_type = CASE k.object_type WHEN 'materialized view' THEN 'view' ELSE k.object_type END)
    ), mains_alone AS MATERIALIZED (  -- copies of what main has without versions: they come from no commit, and are the branch's to read only
        SELECT o.object_type, o.object_name
          FROM own AS o JOIN pggit.schema_copies AS k ON k.branch_id = p_branch_id AND k.object_name = o.object_name AND o.object_type = CASE k.object_type WHEN 'materialized view' THEN 'view' ELSE k.object_type END
          JOIN pggit._schema_spaces(1) AS s ON quote_ident(s.base_schema) = o.parent
         WHERE o.object_type IN ('view', 'function', 'procedure')
           AND (NOT s.is_whole OR EXISTS (SELECT FROM unnest(s.excluded) AS e(name) WHERE o.object_name = format('%I.%I', s.base_schema, e.name)))
    ), patched AS (
        -- A branch shows a partitioned table as one relation, and no table of a type or without WAL.
        SELECT o.object_type, o.object_name, o.parent,
               o.definition || coalesce((SELECT jsonb_object_agg(k.key, k.value) FROM jsonb_each(t.definition) AS k WHERE k.key IN ('partition_by', 'of_type', 'unlogged', 'access_method')), '{}') AS definition,
               o.table_id, o.column_id
          FROM own AS o LEFT JOIN tables AS t ON o.object_type = 'table' AND t.table_id = o.table_id
         WHERE NOT (o.object_type = 'view' AND EXISTS (SELECT FROM base AS b WHERE b.object_type = 'materialized view' AND b.object_name = o.object_name))
           AND NOT EXISTS (SELECT FROM mains_alone AS m WHERE (m.object_type = o.object_type AND m.object_name = o.object_name) OR m.object_name = o.parent)
    )
    SELECT p.object_type, p.object_name, p.parent, p.definition, pggit._object_hash(p.definition), p.table_id, p.column_id FROM patched AS p
    UNION ALL
    SELECT b.*
      FROM base AS b
      LEFT JOIN tables AS t ON t.object_name = CASE b.object_type WHEN 'table' THEN b.object_name ELSE b.parent END
      LEFT JOIN own AS o ON o.object_type = b.object_type AND o.object_name = b.object_name
      LEFT JOIN tables AS f ON b.object_type = 'constraint' AND f.object_name = b.definition ->> 'references'
     WHERE o.object_name IS NULL
       AND NOT EXISTS (SELECT FROM dropped AS d WHERE (d.object_type = b.object_type AND d.object_name = b.object_name) OR d.object_name = b.parent)
       AND NOT EXISTS (SELECT FROM gone AS g WHERE g.object_name = t.object_name OR starts_with(b.definition ->> 'owned_by', g.object_name || '.'))
       AND (t.table_id IS NULL OR t.form = 'view'
            -- What a real table has not, because it is main's or pggit's to do.
            OR (t.form = 'table' AND (b.object_type = 'rule' OR f.form = 'view' OR b.definition ->> 'definition' LIKE '%NOT ENFORCED')));
$$;

COMMENT ON FUNCTION pggit._branch_objects(integer) IS
'The objects of a branch: those in its own schemas, and for what it has not (the tables that it shows as views, types, sequences, functions) those of main where it stands on it.';

CREATE OR REPLACE FUNCTION pggit._schema_objects(p_branch_id integer)
    RETURNS SETOF pggit._schema_object
    LANGUAGE plpgsql
AS $$
BEGIN
    IF p_branch_id = 1 THEN
        RETURN QUERY SELECT * FROM pggit._own_objects(1);
    ELSE
        RETURN QUERY SELECT * FROM pggit._branch_objects(p_branch_id);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._schema_objects(integer) IS
'The versioned objects of main (1) or of a branch as they are now: type, name, parent, definition and its hash, and the ids of tracked tables and of their columns.';
