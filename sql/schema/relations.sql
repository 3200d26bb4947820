-- Which relations are versioned, and under which names.

CREATE OR REPLACE FUNCTION pggit._schema_spaces(p_branch_id integer)
    RETURNS TABLE (namespace oid, base_schema text, is_whole boolean, excluded text[])
    LANGUAGE sql STABLE
AS $$
    SELECT n.oid, n.nspname::text, s.schema_name IS NOT NULL, coalesce(s.excluded, '{}')
      FROM pg_namespace AS n LEFT JOIN pggit.tracked_schemas AS s ON s.schema_name = n.nspname
     WHERE p_branch_id = 1 AND (s.schema_name IS NOT NULL OR n.nspname IN (SELECT t.schema_name FROM pggit.tables AS t WHERE t.untracked_at IS NULL AND t.on_main))
    UNION ALL
    SELECT n.oid, s.base_schema, true, '{}'
      FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.schema_name
     WHERE s.branch_id = p_branch_id AND p_branch_id <> 1;
$$;

COMMENT ON FUNCTION pggit._schema_spaces(integer) IS
'The schemas of a branch, and those of main that they stand for. Of a schema that is not tracked as a whole only the tracked tables are versioned.';

CREATE OR REPLACE FUNCTION pggit._base_name(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('%I.%I', coalesce(s.base_schema, n.nspname), c.relname)
              FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname
             WHERE c.oid = p_relation);
END;
$$;

COMMENT ON FUNCTION pggit._base_name(oid) IS
'The name of a relation with the schema of main that its schema stands for.';

CREATE OR REPLACE FUNCTION pggit._schema_relations(p_branch_id integer)
    RETURNS SETOF pggit._schema_relation
    LANGUAGE sql STABLE
AS $$
    WITH spaces AS MATERIALIZED (
        SELECT * FROM pggit._schema_spaces(p_branch_id)
    ), shown AS MATERIALIZED (
        SELECT t.relation::oid AS relation, t.table_id, 'table' AS form FROM pggit.tables AS t WHERE p_branch_id = 1 AND t.untracked_at IS NULL
        UNION ALL
        SELECT bt.relation::oid, bt.table_id, bt.form FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND p_branch_id <> 1
    ), others AS MATERIALIZED (  -- of extensions, and sequences of identity columns
        SELECT d.objid FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid
         WHERE d.classid = 'pg_class'::regclass AND (d.deptype = 'e' OR (d.deptype = 'i' AND c.relkind = 'S'))
    )
    SELECT c.oid, c.relkind, format('%I.%I', s.base_schema, c.relname), s.base_schema, t.table_id
      FROM spaces AS s
      JOIN pg_class AS c ON c.relnamespace = s.namespace
      LEFT JOIN shown AS t ON t.relation = c.oid
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND c.relpersistence <> 't' AND c.oid NOT IN (SELECT o.objid FROM others AS o)
       AND NOT (t.table_id IS NULL AND c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_description AS d WHERE d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = 0 AND d.description ~ '@pggit:ignore\M'))
       AND t.form IS DISTINCT FROM 'view' AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'pggit_shut')
       AND CASE WHEN s.is_whole THEN c.relname <> ALL (s.excluded) ELSE t.table_id IS NOT NULL OR EXISTS (SELECT FROM pggit.partitions AS p WHERE p.relation = c.oid) END;
$$;

COMMENT ON FUNCTION pggit._schema_relations(integer) IS
'The tables, views and sequences that a branch has itself: not the views that show tables of main there, or shut a name, nor what belongs to an extension or an identity column.';
