CREATE OR REPLACE FUNCTION pggit._apply_steps(p_from pggit._schema_object[], p_to pggit._schema_object[], p_branch pggit.branches, p_destructive boolean)
    RETURNS TABLE (step integer, ddl text, object_type text, object_name text, destructive boolean)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_steps  jsonb;
    v_taken  text;
    v_before bigint;
    v_path   text := current_setting('search_path');
    v_bodies text := current_setting('check_function_bodies');
    v_other  text;
BEGIN
    v_steps := (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.step) FROM pggit._schema_steps(p_from, p_to, p_branch.branch_id) AS s);
    v_taken := (SELECT string_agg(DISTINCT s.ddl, '; ') FROM jsonb_to_recordset(v_steps) AS s(ddl text, destructive boolean) WHERE s.destructive);
    IF v_taken IS NOT NULL AND NOT p_destructive THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG305', SCHEMA = 'pggit',
            MESSAGE = format('the migration may take values of rows: %s', v_taken),
            HINT    = 'p_allow_destructive => true lets it.';
    END IF;
    IF p_branch.branch_id = 1 THEN
        PERFORM pggit._lock_branch(1);
        v_before := pggit._scan_schema(1, NULL);
    END IF;
    PERFORM pg_catalog.set_config('search_path', pggit._schema_path(p_branch.branch_id), true), pg_catalog.set_config('check_function_bodies', 'off', true);
    FOR step, ddl, object_type, object_name, destructive IN
        SELECT s.* FROM jsonb_to_recordset(v_steps) AS s(step integer, ddl text, object_type text, object_name text, destructive boolean) ORDER BY s.step
    LOOP
        PERFORM pggit.ddl(p_branch.name, ddl);
        RETURN NEXT;
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', v_path, true), pg_catalog.set_config('check_function_bodies', v_bodies, true);

    PERFORM pggit._follow_changed();
    v_other := (SELECT string_agg(format('%s %s', c.object_type, c.object_name), ', ' ORDER BY c.object_name COLLATE "C")
                  FROM pggit._schema_changes(p_from, p_to) AS c
                  LEFT JOIN unnest(p_to) AS t ON t.object_type = c.object_type AND t.object_name = c.object_name
                  LEFT JOIN pggit._schema_objects(p_branch.branch_id) AS n ON n.object_type = c.object_type AND n.object_name = c.object_name
                 WHERE t.hash IS DISTINCT FROM n.hash);
    IF v_other IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG302', SCHEMA = 'pggit',
            MESSAGE = format('branch %L would not have what the migration leads to, for it was not as the migration begins: %s', p_branch.name, v_other),
            HINT    = 'Migrate from what the branch has now: p_from => ''WORKING'' on that branch, or merge.';
    END IF;
    IF p_branch.branch_id = 1 THEN
        PERFORM pggit._accept_changes(v_before, pggit._scan_schema(1, NULL));
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._apply_steps(pggit._schema_object[], pggit._schema_object[], pggit.branches, boolean) IS
'Runs on a branch what brings one set of objects to another, and makes sure that it then has what was wanted. On main this is no drift. Raises VG305, VG302.';

CREATE OR REPLACE FUNCTION pggit.apply_migration(p_from text, p_to text DEFAULT 'WORKING', p_branch text DEFAULT NULL, p_allow_destructive boolean DEFAULT false)
    RETURNS TABLE (step integer, ddl text, object_type text, object_name text, destructive boolean)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
BEGIN
    RETURN QUERY SELECT s.* FROM pggit._apply_steps(ARRAY(SELECT o FROM pggit._objects_at(p_from) AS o), ARRAY(SELECT o FROM pggit._objects_at(p_to) AS o), v_branch, coalesce(p_allow_destructive, false)) AS s;
END;
$$;

COMMENT ON FUNCTION pggit.apply_migration(text, text, text, boolean) IS
'Runs the statements of pggit.generate_migration(p_from, p_to) on a branch (NULL: the session''s) and returns them in order: all or nothing, with the rights of who calls it, as pggit.ddl does. Rows are not touched but by the statements themselves, and
nothing is committed: pggit.commit or pggit.end_deployment does that. Afterwards every object that differs between the refs must be on the branch as it is at p_to, or VG302 is raised and nothing was done. On main what it changed is no drift.
Statements that may take values of rows run with p_allow_destructive alone. Raises VG305 (they would, and it is false or NULL), VG302, VG307, VG309, VG401, and what pggit.generate_migration and the statements raise.';
