CREATE OR REPLACE FUNCTION pggit._pin(p_branch_id integer, p_to text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_routine record;
BEGIN
    FOR v_routine IN
        SELECT c.routine, pggit._branch_path(p_to, substr(s.setting, length('search_path=') + 1)) AS path
          FROM pggit.branch_copies AS c JOIN pg_proc AS p ON p.oid = to_regprocedure(c.routine) CROSS JOIN LATERAL unnest(p.proconfig) AS s(setting)
         WHERE c.branch_id = p_branch_id AND s.setting LIKE 'search_path=%'
    LOOP
        EXECUTE format('ALTER ROUTINE %s SET search_path = %s', v_routine.routine, v_routine.path);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._pin(integer, text) IS
'In the functions of a branch that have a search_path of their own, the schemas of branch p_to take the place of this one''s.';

CREATE OR REPLACE FUNCTION pggit.rename_branch(p_name text, p_new_name text)
    RETURNS void
    LANGUAGE plpgsql
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch  pggit.branches := pggit._branch(p_name);
    v_current boolean;
    v_schema  record;
    v_new     text;
BEGIN
    PERFORM pggit._check_branch_name(p_new_name);
    v_branch  := pggit._lock_branch(v_branch.branch_id);
    v_current := v_branch.name = current_setting('pggit.branch', true);
    PERFORM pggit._refuse_protected(v_branch, 'renamed');
    PERFORM pggit._take_branch(v_branch, 'renamed');

    PERFORM pggit._pin(v_branch.branch_id, 'main');
    BEGIN
        UPDATE pggit.branches AS b SET name = p_new_name WHERE b.branch_id = v_branch.branch_id;
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG101', SCHEMA = 'pggit',
            MESSAGE = format('branch %L exists already', p_new_name),
            HINT    = 'Give another name, or rename or delete that one first.';
    END;

    FOR v_schema IN SELECT s.base_schema, s.schema_name FROM pggit.branch_schemas AS s WHERE s.branch_id = v_branch.branch_id LOOP
        v_new := pggit._branch_schema_name(v_schema.base_schema, p_new_name);
        CONTINUE WHEN v_new = v_schema.schema_name;
        IF to_regnamespace(quote_ident(v_new)) IS NOT NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG101', SCHEMA = 'pggit',
                MESSAGE = format('schema %I, which the branch needs under its new name, exists already', v_new);
        END IF;
        CREATE TEMPORARY TABLE pggit_routines ON COMMIT DROP AS
            SELECT c.copy_id, to_regprocedure(c.routine)::oid AS routine FROM pggit.branch_copies AS c WHERE c.branch_id = v_branch.branch_id AND c.routine IS NOT NULL;
        EXECUTE format('ALTER SCHEMA %I RENAME TO %I', v_schema.schema_name, v_new);
        UPDATE pggit.branch_copies AS c SET routine = pggit._signature(r.routine) FROM pg_temp.pggit_routines AS r WHERE c.copy_id = r.copy_id AND r.routine IS NOT NULL;
        DROP TABLE pg_temp.pggit_routines;
        IF v_current THEN
            PERFORM set_config('search_path', pggit._branch_path('main', current_setting('search_path')), false);
        END IF;
        UPDATE pggit.branch_schemas AS s SET schema_name = v_new WHERE s.schema_name = v_schema.schema_name;
    END LOOP;
    PERFORM pggit._pin(v_branch.branch_id, p_new_name);
    IF v_current THEN
        PERFORM pggit.checkout(p_new_name);
    END IF;
    PERFORM pggit._tell_of_hidden(p_new_name);
END;
$$;

COMMENT ON FUNCTION pggit.rename_branch(text, text) IS
'Give a branch, and the schemas that show it, another name; its history stays.
This session follows if it is on the branch. Raises VG001, VG101 (the new name is taken), VG201 (it is no good name), VG202 (main can''t be renamed),
VG301 (the branch is protected) and VG401 (other sessions have it checked out for longer than pggit.lock_timeout, 5s; the message says who).';

CREATE OR REPLACE FUNCTION pggit._require_unprotected(p_branch pggit.branches)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF p_branch.is_protected THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG301', SCHEMA = 'pggit',
            MESSAGE = format('branch %L is protected', p_branch.name),
            HINT    = format('SELECT pggit.unprotect_branch(%L); allows it.', p_branch.name);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_unprotected(pggit.branches) IS
'Raises VG301 for a protected branch.';

CREATE OR REPLACE FUNCTION pggit._refuse_protected(p_branch pggit.branches, p_what text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF p_branch.branch_id = 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('main can''t be %s: it is the tables themselves', p_what),
            HINT    = 'pggit.create_branch makes branches, which can. sql/uninstall.sql takes pggit away and leaves the tables.';
    END IF;
    PERFORM pggit._require_unprotected(p_branch);
END;
$$;

COMMENT ON FUNCTION pggit._refuse_protected(pggit.branches, text) IS
'Raises VG202 for main and VG301 for a protected branch.';
