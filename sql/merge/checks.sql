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

CREATE OR REPLACE FUNCTION pggit._check_result(p_sql text, p_branch text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_row   record;
    v_rows  bigint;
    v_cells json[];
BEGIN
    PERFORM set_config('search_path', pggit._branch_path(p_branch, current_setting('search_path')), true);
    PERFORM set_config('pggit.branch', p_branch, true);
    PERFORM set_config('transaction_read_only', 'on', true);
    EXECUTE p_sql INTO v_row;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_cells := ARRAY(SELECT e.value FROM json_each(row_to_json(v_row)) AS e);
    -- Only a rollback makes the transaction writable again.
    RAISE EXCEPTION USING
        ERRCODE = 'VG312', SCHEMA = 'pggit',
        MESSAGE = CASE WHEN v_rows = 0 THEN 'it gave no row'
                       WHEN v_rows > 1 THEN 'it gave more than one row'
                       WHEN cardinality(v_cells) > 1 THEN 'it gave more than one column'
                       WHEN json_typeof(v_cells[1]) NOT IN ('boolean', 'null') THEN 'it gave no boolean'
                       ELSE replace(v_cells[1]::text, 'null', 'NULL') END;
EXCEPTION
    WHEN OTHERS THEN
        IF NOT pggit._is_ours_to_judge(SQLSTATE) THEN
            RAISE;
        END IF;
        RETURN SQLERRM;
END;
$$;

COMMENT ON FUNCTION pggit._check_result(text, text) IS
'true when a query, read only and on a branch, gives true; otherwise what it gave or what went wrong.';

CREATE OR REPLACE FUNCTION pggit._run_checks(p_checks jsonb, p_branch text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_check  jsonb;
    v_result text;
BEGIN
    FOR v_check IN SELECT jsonb_array_elements(coalesce(p_checks, '[]')) LOOP
        v_result := pggit._check_result(v_check ->> 'sql', p_branch);
        IF v_result <> 'true' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG312', SCHEMA = 'pggit',
                MESSAGE = format('check %L does not hold on the merged state: %s', coalesce(v_check ->> 'name', v_check ->> 'sql'), v_result);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._run_checks(jsonb, text) IS
'Runs the checks of a merge on its target after the rows are written and before anybody else can see them. Raises VG312.';
