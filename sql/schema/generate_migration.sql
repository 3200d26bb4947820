CREATE OR REPLACE FUNCTION pggit.generate_migration(p_from text, p_to text DEFAULT 'WORKING')
    RETURNS TABLE (step integer, ddl text, object_type text, object_name text, destructive boolean)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_from pggit._schema_object[] := ARRAY(SELECT o FROM pggit._objects_at(p_from) AS o);
    v_to   pggit._schema_object[] := ARRAY(SELECT o FROM pggit._objects_at(p_to) AS o);
BEGIN
    RETURN QUERY
    WITH steps AS MATERIALIZED (
        SELECT s.* FROM pggit._schema_steps(v_from, v_to) AS s
    ), settings AS MATERIALIZED (
        SELECT c.n, c.ddl
          FROM (VALUES (1, 'SET search_path = ' || pggit._schema_path(1), pggit._schema_path(1) <> 'public, pg_temp'),
                       (2, 'SET check_function_bodies = off', EXISTS (SELECT FROM steps AS s WHERE s.object_type IN ('function', 'procedure')))) AS c(n, ddl, is_needed)
         WHERE c.is_needed AND EXISTS (SELECT FROM steps)
    )
    SELECT c.n, c.ddl, 'setting', NULL::text, false FROM (SELECT row_number() OVER (ORDER BY n)::integer AS n, t.ddl FROM settings AS t) AS c
    UNION ALL
    SELECT s.step + (SELECT count(*)::integer FROM settings), s.ddl, s.object_type, s.object_name, s.destructive FROM steps AS s
    ORDER BY 1;
END;
$$;

COMMENT ON FUNCTION pggit.generate_migration(text, text) IS
'The statements, in their order, that bring the schema of a database from one ref to another; WORKING is the current branch as it is now. SELECT string_agg(ddl, '';'' || chr(10) ORDER BY step) gives a script.
Objects are altered where PostgreSQL can alter them, and renamed where pggit.diff_schema finds them renamed; views, triggers and others that a change takes along are made again. destructive marks what may take
values of rows: dropped tables, columns and sequences, and types that do not hold all values of the old ones. A type that no assignment leads to is reached by an explicit cast, or by way of text. Where the refs are of schemas
besides public, or have functions, settings come first (object_type setting). New enum labels can be used by the transaction after the one that adds them. Owners are not in it: new objects belong to who makes them.
Raises what pggit.diff_schema raises.';
