CREATE OR REPLACE FUNCTION pggit.version()
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT '0.1.0';
$$;

COMMENT ON FUNCTION pggit.version() IS
'Version of the installed SQL core, as in semantic versioning.';
