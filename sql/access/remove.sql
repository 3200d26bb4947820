-- The branches' logins belong to the cluster and would stay behind.
DO $remove$
DECLARE
    v_role text;
BEGIN
    IF to_regclass('pggit.branch_logins') IS NOT NULL THEN
        FOR v_role IN EXECUTE 'SELECT b.role_name FROM pggit.branches AS b WHERE b.role_name = pggit._login_name(b)' LOOP
            EXECUTE 'SELECT pggit._drop_login($1)' USING v_role;
        END LOOP;
    END IF;
END;
$remove$;
