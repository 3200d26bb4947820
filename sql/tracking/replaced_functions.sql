-- Where no event trigger tells of DDL, capture functions are made anew by a session that meets changed columns, not by the one that changed them under its lock on the table.
-- PostgreSQL shows what a transaction committed a moment before it tells other sessions that the functions they keep are old, and it does not lock a function that is called.

CREATE OR REPLACE FUNCTION pggit._lock_function(p_signature text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT pggit._is_told_of_ddl() AND to_regprocedure(p_signature) IS NOT NULL THEN
        -- Changes nothing: the owner is who it was. It takes the lock on the function that CREATE OR REPLACE does not take.
        EXECUTE format('ALTER FUNCTION %s OWNER TO CURRENT_USER', p_signature);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._lock_function(text) IS
'Before a function is replaced that others may be about to call: locks it until they have been told, which is when this transaction has ended. See pggit._await_function.';

CREATE OR REPLACE FUNCTION pggit._await_function(p_name text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '900ms'
AS $$
BEGIN
    -- Takes the function's lock in share mode, and after that what other sessions told. The error gives the lock back.
    PERFORM pg_get_object_address('function', ARRAY['pggit', p_name], '{}');
    RAISE EXCEPTION 'seen';
EXCEPTION WHEN raise_exception OR lock_not_available OR undefined_function THEN
    NULL;
END;
$$;

COMMENT ON FUNCTION pggit._await_function(text) IS
'Before a function of pggit is called that another session may just have replaced: waits until that session has told of it, so that the new one is called. Its new columns may be seen before.
A lock that is kept for longer than 0.9 seconds is not what is waited for here.';

CREATE OR REPLACE FUNCTION pggit._lock_capture(p_table_id integer)
    RETURNS void
    LANGUAGE sql
AS $$
    SELECT pggit._lock_function(format('pggit._capture_%s_truncate()', p_table_id));
$$;

COMMENT ON FUNCTION pggit._lock_capture(integer) IS
'pggit._lock_function for all capture functions of a table on main: they are replaced together, and the lock on one stands for all.';

CREATE OR REPLACE FUNCTION pggit._await_capture(p_table_id integer)
    RETURNS void
    LANGUAGE sql
AS $$
    SELECT pggit._await_function(format('_capture_%s_truncate', p_table_id));
$$;

COMMENT ON FUNCTION pggit._await_capture(integer) IS
'pggit._await_function for all capture functions of a table on main.';
