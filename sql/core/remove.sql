DO $remove$
DECLARE
    v_one      record;
    v_messages text := current_setting('client_min_messages');
    v_others   text;
BEGIN
    IF to_regnamespace('pggit') IS NULL THEN
        RETURN;
    END IF;

    IF to_regprocedure('pggit._checkouts(integer)') IS NOT NULL THEN
        EXECUTE 'SELECT string_agg(DISTINCT c.pid::text, '', '') FROM pggit._checkouts() AS c WHERE c.pid <> pg_backend_pid()' INTO v_others;
        IF v_others IS NOT NULL THEN
            RAISE WARNING USING
                MESSAGE = format('other sessions have branches checked out, and from now on read and write main: processes %s', v_others),
                HINT    = 'End these sessions (pg_terminate_backend), or they go on writing where they mean a branch.';
        END IF;
    END IF;
    IF current_setting('pggit.branch', true) <> '' AND to_regprocedure('pggit.checkout(text)') IS NOT NULL THEN
        EXECUTE 'SELECT pggit.checkout(''main'')';
    END IF;

    -- What a cascade drops is all ours, and thousands of lines.
    PERFORM set_config('client_min_messages', 'warning', true);

    FOR v_one IN SELECT e.evtname FROM pg_event_trigger AS e JOIN pg_proc AS p ON p.oid = e.evtfoid
                  WHERE p.pronamespace = 'pggit'::regnamespace LOOP
        EXECUTE format('DROP EVENT TRIGGER %I', v_one.evtname);
    END LOOP;

    FOR v_one IN EXECUTE 'SELECT s.schema_name FROM pggit.branch_schemas AS s' LOOP
        EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', v_one.schema_name);
    END LOOP;

    FOR v_one IN SELECT g.tgname, g.tgrelid::regclass AS relation FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
                  WHERE p.pronamespace = 'pggit'::regnamespace AND NOT g.tgisinternal AND g.tgparentid = 0 LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', v_one.tgname, v_one.relation);
    END LOOP;

    DROP SCHEMA pggit CASCADE;

    PERFORM set_config('client_min_messages', v_messages, true);
END;
$remove$;
