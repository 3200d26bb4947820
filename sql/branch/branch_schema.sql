CREATE OR REPLACE FUNCTION pggit.branch_schema(p_branch text, p_schema text DEFAULT 'public')
    RETURNS text
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch pggit.branches := pggit._branch(p_branch);
    v_schema text;
BEGIN
    IF v_branch.branch_id = 1 THEN
        RETURN p_schema;
    END IF;

    SELECT s.schema_name INTO v_schema
      FROM pggit.branch_schemas AS s
     WHERE s.branch_id = v_branch.branch_id AND s.base_schema = p_schema;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG008', SCHEMA = 'pggit',
            MESSAGE = format('branch %L has no schema for %L', v_branch.name, p_schema),
            HINT    = 'Only schemas with tracked tables have one.';
    END IF;
    RETURN v_schema;
END;
$$;

COMMENT ON FUNCTION pggit.branch_schema(text, text) IS
'The schema that shows a schema of main on a branch, such as public@fix-42.
On main it is the schema itself. Names over 63 bytes are cut and end with a hash. Raises VG001 (no such branch), VG008 (the branch does not
show that schema).';
