CREATE OR REPLACE FUNCTION pggit._branch_path(p_branch text, p_path text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch pggit.branches := pggit._branch(p_branch);
    v_path   text[] := '{}';
    v_used   text[] := '{}';
    v_part   record;
    v_shown  text;
    -- The branch that is checked out may be gone; left in the path, its schemas would show the next branch of that name.
    v_gone   text[] := ARRAY(SELECT pggit._fit_name(t.schema_name || '@' || current_setting('pggit.branch')) FROM pggit.tables AS t
                              WHERE nullif(current_setting('pggit.branch', true), '') IS NOT NULL
                             UNION SELECT pggit._fit_name(s.schema_name || '@' || current_setting('pggit.branch')) FROM pggit.tracked_schemas AS s
                              WHERE nullif(current_setting('pggit.branch', true), '') IS NOT NULL);
BEGIN
    FOR v_part IN
        SELECT m.word, CASE WHEN m.word LIKE '"%' THEN replace(substr(m.word, 2, length(m.word) - 2), '""', '"') ELSE lower(m.word) END AS name
          FROM (SELECT r[1] FROM regexp_matches(p_path, '"(?:[^"]|"")*"|[^,\s]+', 'g') AS r) AS m(word)
    LOOP
        CONTINUE WHEN v_part.name = ANY (v_gone) OR EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.schema_name = v_part.name);
        SELECT s.schema_name INTO v_shown
          FROM pggit.branch_schemas AS s
         WHERE s.branch_id = v_branch.branch_id AND s.base_schema = v_part.name;
        IF FOUND AND v_shown <> ALL (v_used) THEN
            v_path := v_path || quote_ident(v_shown);
            v_used := v_used || v_shown;
        END IF;
        v_path := v_path || CASE WHEN v_part.word LIKE '"%' THEN v_part.word ELSE quote_ident(v_part.name) END;
    END LOOP;

    IF v_used = '{}' THEN
        v_path := ARRAY(SELECT quote_ident(s.schema_name) FROM pggit.branch_schemas AS s
                         WHERE s.branch_id = v_branch.branch_id ORDER BY s.base_schema <> 'public', s.base_schema) || v_path;
    END IF;
    RETURN array_to_string(v_path, ', ');
END;
$$;

COMMENT ON FUNCTION pggit._branch_path(text, text) IS
'A search_path with the schemas of a branch in front of those they stand for (all in front when none is named), and without those of other branches.';

CREATE OR REPLACE FUNCTION pggit.checkout(p_branch text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_path text := pggit._branch_path(coalesce(p_branch, ''), current_setting('search_path'));
BEGIN
    PERFORM pg_catalog.set_config('pggit.branch', p_branch, false);
    PERFORM pg_catalog.set_config('search_path', v_path, false);
    RETURN p_branch;
END;
$$;

COMMENT ON FUNCTION pggit.checkout(text) IS
'Show a branch in this session: its tables are found under their plain names from now on. Returns the branch''s name.
Sets search_path and pggit.branch for the session; a rollback takes them back, and checkout(''main'') removes the branch from the path again.
Names with a schema in front still mean main, where a session on a branch may read but not write (VG309). Raises VG001.';
