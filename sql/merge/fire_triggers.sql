CREATE OR REPLACE FUNCTION pggit.fire_triggers(p_table text, p_fire boolean DEFAULT true)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    IF p_fire IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = 'triggers either fire in merges (true) or do not (false); NULL is neither';
    END IF;
    UPDATE pggit.tables AS t SET fires = p_fire WHERE t.table_id = (pggit._table(p_table)).table_id;
END;
$$;

COMMENT ON FUNCTION pggit.fire_triggers(text, boolean) IS
'Let a table''s own triggers fire for the rows that merges write to it, on main and on branches'' real tables; false: no more. By default they take no part, for both sides'' rows contain what they did.
It is meant for triggers that check: one that raises an error refuses the merge, and so does one that changes rows of versioned tables, or skips what the merge writes. Constraint triggers that can be deferred fire when
all rows are written; of what SET CONSTRAINTS has said before in the same transaction, ALL stays in force, single constraints wait as they were declared.
Raises VG004 (no such table), VG005 (it is not tracked), VG202 (p_fire is NULL).';

CREATE OR REPLACE FUNCTION pggit._let_fire(p_relations oid[])
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_held    jsonb  := '[]';
    v_back    jsonb  := '[]';
    v_trigger record;
    v_all     record := pggit._waiting_constraints(p_relations, '{f,u,p,x,t}');
    v_checks  record := pggit._waiting_constraints(p_relations, '{t}');
BEGIN
    IF v_all.all_names IS NOT NULL THEN
        v_back := pggit._put_back_sql(v_all.late_names);
        -- A table can't be altered while one of its constraints waits to be checked.
        EXECUTE format('SET CONSTRAINTS %s IMMEDIATE', v_all.all_names);
    END IF;
    IF v_checks.can_wait IS NOT NULL THEN
        EXECUTE format('SET CONSTRAINTS %s DEFERRED', v_checks.can_wait);
        v_held := v_held || to_jsonb(format('SET CONSTRAINTS %s IMMEDIATE', v_checks.can_wait));
    END IF;
    FOR v_trigger IN
        SELECT g.tgname AS name, g.tgrelid::regclass AS relation FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
         WHERE g.tgrelid = ANY (p_relations) AND NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgenabled = 'O' AND p.pronamespace <> 'pggit'::regnamespace
           AND current_setting('session_replication_role') = 'replica'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', v_trigger.relation, v_trigger.name);
        v_held := v_held || to_jsonb(format('ALTER TABLE %s ENABLE TRIGGER %I', v_trigger.relation, v_trigger.name));
    END LOOP;
    RETURN v_held || v_back;
END;
$$;

COMMENT ON FUNCTION pggit._let_fire(oid[]) IS
'Makes the user''s triggers of these tables fire in a merge, those that can wait at its end. Returns the commands for pggit._release_triggers.';
