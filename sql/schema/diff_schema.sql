CREATE OR REPLACE FUNCTION pggit._objects_at(p_ref text)
    RETURNS SETOF pggit._schema_object
    LANGUAGE plpgsql
AS $$
DECLARE
    v_commit text;
BEGIN
    IF p_ref = 'WORKING' THEN
        PERFORM pggit._follow_changed();
        RETURN QUERY SELECT o.* FROM pggit._schema_objects((pggit._branch(NULL)).branch_id) AS o;
        RETURN;
    END IF;
    v_commit := pggit._resolve(p_ref);
    IF NOT EXISTS (SELECT FROM pggit.schema_commits AS s WHERE s.commit_id = v_commit) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG306', SCHEMA = 'pggit',
            MESSAGE = format('the schema at %L is not known: that commit was made before schemas were recorded', p_ref),
            HINT    = 'Later commits have theirs.';
    END IF;
    RETURN QUERY SELECT o.* FROM pggit._schema_tree(v_commit) AS o;
END;
$$;

COMMENT ON FUNCTION pggit._objects_at(text) IS
'The objects of the schema at a ref: of its commit, for a time that of the last commit before; WORKING: of the current branch as it is now. Raises VG001, VG002, VG009, VG205, VG306.';

CREATE OR REPLACE FUNCTION pggit._schema_changes(p_from pggit._schema_object[], p_to pggit._schema_object[])
    RETURNS TABLE (object_type text, object_name text, parent text, change text, old_definition jsonb, new_definition jsonb)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_renamed record := pggit._after_renames(p_from, p_to);
BEGIN
    RETURN QUERY
    WITH renames AS MATERIALIZED (
        SELECT r.* FROM unnest(v_renamed.renames) AS l CROSS JOIN LATERAL jsonb_to_recordset(l) AS r(object_type text, old_name text, new_name text)
    ), both_sides AS MATERIALIZED (
        SELECT coalesce(t.object_type, f.object_type) AS object_type, coalesce(t.object_name, f.object_name) AS object_name, coalesce(t.parent, f.parent) AS parent, f.parent AS old_parent,
               f.definition AS old_definition, t.definition AS new_definition
          FROM unnest(v_renamed.objects) AS f FULL JOIN unnest(p_to) AS t ON t.object_type = f.object_type AND t.object_name = f.object_name
    )
    SELECT b.object_type, b.object_name, b.parent,
           CASE WHEN b.old_definition IS NULL THEN 'create' WHEN b.new_definition IS NULL THEN 'drop' WHEN r.new_name IS NOT NULL THEN 'rename' ELSE 'alter' END,
           b.old_definition || CASE WHEN r.new_name IS NOT NULL THEN jsonb_build_object('name', coalesce(p.old_name || substr(r.old_name, length(p.new_name) + 1), r.old_name)) ELSE '{}' END, b.new_definition
      FROM both_sides AS b
      LEFT JOIN renames AS r ON r.object_type = b.object_type AND r.new_name = b.object_name
      LEFT JOIN renames AS p ON p.object_type = 'table' AND p.new_name = b.old_parent AND starts_with(r.old_name, p.new_name || '.')
     WHERE b.old_definition IS DISTINCT FROM b.new_definition OR r.new_name IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION pggit._schema_changes(pggit._schema_object[], pggit._schema_object[]) IS
'What is other in one set of objects than in another, as pggit.diff_schema tells it.';

CREATE OR REPLACE FUNCTION pggit.diff_schema(p_from text, p_to text DEFAULT 'WORKING')
    RETURNS TABLE (object_type text, object_name text, change text, old_definition jsonb, new_definition jsonb, ddl text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_from    pggit._schema_object[] := ARRAY(SELECT o FROM pggit._objects_at(p_from) AS o);
    v_to      pggit._schema_object[] := ARRAY(SELECT o FROM pggit._objects_at(p_to) AS o);
BEGIN
    RETURN QUERY
    WITH steps AS MATERIALIZED (
        SELECT s.object_type, s.object_name, string_agg(s.ddl, E';\n' ORDER BY s.step) AS ddl FROM pggit._schema_steps(v_from, v_to) AS s GROUP BY 1, 2
    )
    SELECT c.object_type, c.object_name, c.change, c.old_definition, c.new_definition, s.ddl
      FROM pggit._schema_changes(v_from, v_to) AS c
      LEFT JOIN steps AS s ON s.object_type = c.object_type AND s.object_name = c.object_name
     ORDER BY c.object_type COLLATE "C", c.object_name COLLATE "C";
END;
$$;

COMMENT ON FUNCTION pggit.diff_schema(text, text) IS
'What is other in the schema at p_to than at p_from, object by object; WORKING is the current branch as it is now.
change is create, drop, alter or rename; a rename, told with the new name, has the old one as "name" in old_definition, and may have altered the object too. Tables and columns are known by their ids whatever their
names; of indexes, constraints, sequences and types one that is gone and one that is new count as renamed when they alone are the same. What a definition is made of does not count as changed with it: a renamed column changes no index.
ddl is what brings the object from one to the other in main (NULL where that is part of what is done for its table); pggit.generate_migration puts all of it in order.
Names in definitions are told for the search_path of the tracked schemas, public first. A time is the last commit before it. Raises VG001, VG002, VG009, VG205, VG306 (the commit is of before schemas were recorded).';
