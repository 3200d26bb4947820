-- What is installed is gone over again only by the version that it is: tables and results of functions of another one may differ.
DO $same_version$
DECLARE
    v_new   text := '0.1.0';
    v_there text;
BEGIN
    IF to_regprocedure('pggit.version()') IS NOT NULL THEN
        EXECUTE 'SELECT pggit.version()' INTO v_there;
    END IF;
    IF v_there <> v_new THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('pggit %s is installed in this database, and pggit %s can''t take it over: nothing was changed', v_there, v_new),
            HINT    = format('Go on with %s. Or take it out with its own sql/uninstall.sql, which takes the history and the branches away and leaves the tables of main, and install %s then.', v_there, v_new);
    END IF;
END;
$same_version$;
