CREATE OR REPLACE FUNCTION pggit._require_check(p_check jsonb)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF jsonb_typeof(p_check) <> 'object' OR jsonb_typeof(p_check -> 'sql') IS DISTINCT FROM 'string'
       OR EXISTS (SELECT FROM jsonb_object_keys(p_check) AS k WHERE k NOT IN ('name', 'sql')) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('this is no check: %s', p_check),
            HINT    = 'A check is {"name": …, "sql": "SELECT …"} with a query of one boolean.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_check(jsonb) IS
'Raises VG202 for a check that is not {name, sql}.';

-- The body may call nothing but what everybody may: it is also run as a role without rights.
CREATE OR REPLACE FUNCTION pggit._ask(p_sql text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_row   record;
    v_rows  bigint;
    v_cells json[];
BEGIN
    EXECUTE p_sql INTO v_row;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_cells := ARRAY(SELECT e.value FROM pg_catalog.json_each(pg_catalog.row_to_json(v_row)) AS e);
    RETURN CASE WHEN v_rows = 0 THEN 'it gave no row'
                WHEN v_rows > 1 THEN 'it gave more than one row'
                WHEN pg_catalog.cardinality(v_cells) > 1 THEN 'it gave more than one column'
                WHEN pg_catalog.json_typeof(v_cells[1]) NOT IN ('boolean', 'null') THEN 'it gave no boolean'
                ELSE pg_catalog.replace(v_cells[1]::text, 'null', 'NULL') END;
END;
$$;

COMMENT ON FUNCTION pggit._ask(text) IS
'What a query of one boolean gives: true, false, NULL, or why it is none.';

CREATE OR REPLACE FUNCTION pggit._readable_on(p_branch_id integer)
    RETURNS TABLE (schema_name name, relation regclass)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT n.nspname, c.oid::regclass
      FROM pg_namespace AS n
      LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
     WHERE n.nspname IN (SELECT s.schema_name FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id
                         UNION ALL SELECT t.schema_name FROM pggit.tables AS t WHERE p_branch_id = 1 AND t.untracked_at IS NULL);
$$;

COMMENT ON FUNCTION pggit._readable_on(integer) IS
'The schemas that a branch is, and what can be read there.';

CREATE OR REPLACE FUNCTION pggit._make_nobody(p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_role text := format('pggit_nobody_%s', pg_current_xact_id());
    v_one  record;
BEGIN
    EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
    IF NOT current_setting('is_superuser')::boolean THEN
        EXECUTE format('GRANT %I TO CURRENT_USER', v_role);
    END IF;
    EXECUTE format('CREATE FUNCTION pggit.%I(p_sql text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS %L', v_role,
                   (SELECT f.prosrc FROM pg_proc AS f WHERE f.oid = 'pggit._ask(text)'::regprocedure));
    EXECUTE format('GRANT CREATE ON SCHEMA pggit TO %I', v_role);
    EXECUTE format('ALTER FUNCTION pggit.%I(text) OWNER TO %1$I', v_role);
    EXECUTE format('REVOKE CREATE ON SCHEMA pggit FROM %I', v_role);
    FOR v_one IN SELECT DISTINCT r.schema_name FROM pggit._readable_on(p_branch_id) AS r LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', v_one.schema_name, v_role);
    END LOOP;
    FOR v_one IN SELECT r.relation FROM pggit._readable_on(p_branch_id) AS r WHERE r.relation IS NOT NULL LOOP
        EXECUTE format('GRANT SELECT ON %s TO %I', v_one.relation, v_role);
    END LOOP;
    RETURN v_role;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION USING
        ERRCODE = 'VG305', SCHEMA = 'pggit',
        MESSAGE = format('a check runs as a role that may only read the branch, and %I can''t make one: %s', current_user, SQLERRM),
        HINT    = 'It needs CREATEROLE, and has to own the tables or may grant rights on them.';
END;
$$;

COMMENT ON FUNCTION pggit._make_nobody(integer) IS
'Makes a role that may read a branch and nothing else, and a function of the same name that is pggit._ask as that role; the caller rolls both back. What runs in it can''t become another role. Raises VG305.';

CREATE OR REPLACE FUNCTION pggit._check_result(p_sql text, p_branch text, p_as_nobody boolean)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_asked  text := '_ask';
    v_said   text;
    v_is_run boolean := false;
BEGIN
    IF p_as_nobody THEN
        v_asked := pggit._make_nobody((pggit._branch(p_branch)).branch_id);
    END IF;
    PERFORM set_config('search_path', pggit._branch_path(p_branch, current_setting('search_path')), true);
    PERFORM set_config('pggit.branch', p_branch, true);
    -- Policies on rows would hide some from the check: it is to fail then.
    PERFORM set_config('row_security', 'off', true);
    PERFORM set_config('transaction_read_only', 'on', true);
    v_is_run := true;
    EXECUTE format('SELECT pggit.%I($1)', v_asked) INTO v_said USING p_sql;
    -- Only a rollback makes the transaction writable again, and the role disappear.
    RAISE EXCEPTION USING ERRCODE = 'transaction_rollback';
EXCEPTION
    WHEN OTHERS THEN
        -- An error's text may have rows in it.
        IF v_said IS NULL AND NOT pggit._is_ours_to_judge(SQLSTATE) THEN
            RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = CASE WHEN p_as_nobody AND v_is_run THEN 'a check could not be run to its end' ELSE SQLERRM END;
        END IF;
        RETURN coalesce(v_said, CASE WHEN p_as_nobody AND v_is_run THEN format('it failed with SQLSTATE %s', SQLSTATE) ELSE SQLERRM END);
END;
$$;

COMMENT ON FUNCTION pggit._check_result(text, text, boolean) IS
'true when a query, read only and on a branch, gives true; otherwise what it gave or what went wrong. p_as_nobody: it runs as a role that may read the branch and nothing else.';

CREATE OR REPLACE FUNCTION pggit._run_checks(p_merge pggit.merges, p_branch text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_check  jsonb;
    v_result text;
BEGIN
    FOR v_check IN SELECT jsonb_array_elements(coalesce(p_merge.options -> 'checks', '[]')) LOOP
        v_result := pggit._check_result(v_check ->> 'sql', p_branch, p_merge.options ->> 'checks_as' IS NOT DISTINCT FROM 'nobody');
        IF v_result <> 'true' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG312', SCHEMA = 'pggit',
                MESSAGE = format('check %L does not hold on the merged state: %s', coalesce(v_check ->> 'name', v_check ->> 'sql'), v_result);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._run_checks(pggit.merges, text) IS
'Runs the checks of a merge on its target after the rows are written and before anybody else can see them. Raises VG312.';
