CREATE OR REPLACE FUNCTION pggit._check_branch_name(p_name text)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    v_problem text;
BEGIN
    v_problem := CASE
        WHEN p_name IS NULL OR p_name = ''            THEN 'it is empty'
        WHEN octet_length(p_name) > 200               THEN 'it is longer than 200 bytes'
        WHEN p_name IN ('HEAD', 'WORKING')            THEN 'this word has a meaning of its own'
        WHEN p_name ~ E'[\\x01-\\x1f\\x7f]'               THEN 'it has a control character'
        WHEN p_name ~ E'[ ~^:?*\\[\\\\]'                  THEN E'it has a space or one of ~ ^ : ? * [ \\'
        WHEN p_name ~ E'\\.\\.|@\\{|//'                   THEN 'it has ".." or "@{" or "//" in it'
        WHEN p_name LIKE '@%'                         THEN 'states of the past that are checked out have names with "@" in front'
        WHEN p_name ~ '^[-/]' OR p_name ~ E'(^|/)\\.'   THEN 'it, or a part of it, begins with "-", "/" or "."'
        WHEN p_name ~ '[/.]$' OR p_name ~ E'\\.lock(/|$)' THEN 'it ends with "/", "." or ".lock"'
        WHEN p_name ~ '^[0-9a-f]{4,64}$'              THEN 'it can''t be told from a commit id'
    END;

    IF v_problem IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG201', SCHEMA = 'pggit',
            MESSAGE = format('%L can''t be the name of a branch: %s', p_name, v_problem),
            HINT    = 'Branch names follow the rules of git, such as feature/prices or fix-42.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._check_branch_name(text) IS
'Refuses names that git would refuse or that could be taken for a commit. Raises VG201 with the reason.';

CREATE OR REPLACE FUNCTION pggit._branch_schema_name(p_schema text, p_branch text)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    v_whole text := p_schema || '@' || p_branch;
    v_name  text := v_whole;
BEGIN
    IF octet_length(v_name) <= 63 THEN
        RETURN v_name;
    END IF;
    WHILE octet_length(v_name) > 54 LOOP
        v_name := left(v_name, -1);
    END LOOP;
    RETURN v_name || '~' || left(encode(sha256(convert_to(v_whole, 'UTF8')), 'hex'), 8);
END;
$$;

COMMENT ON FUNCTION pggit._branch_schema_name(text, text) IS
'Name of the schema that stands for one of main on a branch: schema@branch when PostgreSQL can hold it (63 bytes), else its beginning, "~" and eight digits of its sha256.';

CREATE OR REPLACE FUNCTION pggit._run_under(p_command text, p_path text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('search_path', p_path, true) WHERE p_path <> '';
    EXECUTE p_command;
END;
$$;

COMMENT ON FUNCTION pggit._run_under(text, text) IS
'Runs a command, in which every name has its schema, so that triggers and other code of the user''s run under a search_path; it is as before afterwards. An empty one: pg_catalog alone.';
