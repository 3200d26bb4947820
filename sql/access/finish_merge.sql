CREATE OR REPLACE FUNCTION pggit.run_finish_step(p_owner jsonb, p_step integer)
    RETURNS TABLE (ddl text, is_done boolean, reason text, steps integer)
    LANGUAGE plpgsql
    SET lock_timeout = '900ms'
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_finish jsonb;
    v_table  regclass;
    v_before bigint;
BEGIN
    PERFORM pggit._require_owner(p_owner);
    SELECT coalesce((m.outcome).detail -> 'finish', '[]') INTO v_finish FROM pggit.merges AS m WHERE m.merge_id = (pggit._run_of(p_owner)).merge_id AND m.result IN ('merged', 'fast_forward', 'up_to_date');
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG006', SCHEMA = 'pggit',
            MESSAGE = format('merge %s has merged nothing', pggit._owner_text(p_owner));
    END IF;
    steps   := jsonb_array_length(v_finish);
    ddl     := v_finish ->> (p_step - 1);
    is_done := true;
    v_table := (pggit._step_cost(ddl)).relation;
    IF v_table IS NOT NULL THEN
        v_before := pggit._scan_schema(1, NULL);
        BEGIN
            PERFORM pggit._as_owner(v_table, ARRAY[ddl]);
        EXCEPTION
            WHEN undefined_object OR undefined_table THEN
                reason := SQLERRM;
            WHEN check_violation OR foreign_key_violation THEN
                is_done := false;
                reason  := SQLERRM;
            WHEN lock_not_available THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'VG401', SCHEMA = 'pggit',
                    MESSAGE = format('table %s is in use by a statement that changes it, or a VACUUM', v_table),
                    HINT    = 'Try again when it is done; nothing was changed.';
        END;
        PERFORM pggit._accept_changes(v_before, pggit._scan_schema(1, NULL));
    END IF;
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION pggit.run_finish_step(jsonb, integer) IS
'Runs one of the statements that an owner''s merge has left to be run afterwards (phase finish of pggit.merge_steps), as the owner of its table: each is for a transaction of its own, while others read and write, and none hurts when it is run
again. ddl is NULL for a step that there is not; not is_done: reason says which rows are in the way. What is validated so is no drift. Raises VG006 (nothing was merged), VG401.';
