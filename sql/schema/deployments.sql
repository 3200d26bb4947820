CREATE OR REPLACE FUNCTION pggit.begin_deployment(p_name text)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_main pggit.branches := pggit._lock_branch(1);
    v_open pggit.deployments;
    v_id   integer;
BEGIN
    IF coalesce(btrim(p_name), '') = '' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'a deployment needs a name';
    END IF;
    SELECT d.* INTO v_open FROM pggit.deployments AS d WHERE d.ended_at IS NULL;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG308', SCHEMA = 'pggit',
            MESSAGE = format('deployment %L of %s is going on since %s', v_open.name, v_open.started_by, v_open.started_at),
            HINT    = 'SELECT pggit.end_deployment(); ends it.';
    END IF;
    PERFORM pggit._follow_unseen();
    INSERT INTO pggit.deployments (name, tree_id, started_by) VALUES (p_name, pggit._scan_schema(v_main.branch_id, NULL), pggit._actor()) RETURNING deployment_id INTO v_id;
    RETURN v_id;
END;
$$;

COMMENT ON FUNCTION pggit.begin_deployment(text) IS
'From here to pggit.end_deployment changes of main''s schema, whoever makes them and in however many transactions and sessions, are a deployment: together one commit, and no drift. What had drifted before stays drift. Returns its number
(pggit.deployments). It hinders nobody. Raises VG202 (no name), VG308 (another one is going on, which is named), VG401.';

CREATE OR REPLACE FUNCTION pggit.end_deployment(p_message text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_main   pggit.branches := pggit._lock_branch(1);
    v_open   pggit.deployments;
    v_commit text;
BEGIN
    SELECT d.* INTO v_open FROM pggit.deployments AS d WHERE d.ended_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'no deployment is going on',
            HINT    = 'SELECT pggit.begin_deployment(…); begins one.';
    END IF;
    v_commit := pggit._commit_pending(v_main.branch_id, coalesce(nullif(btrim(p_message), ''), format('Deployment %s', v_open.name)));
    PERFORM pggit._accept_changes(v_open.tree_id, pggit._scan_schema(1, NULL));
    UPDATE pggit.deployments AS d SET ended_at = now(), ended_by = pggit._actor(), commit_id = v_commit WHERE d.deployment_id = v_open.deployment_id;
    RETURN v_commit;
END;
$$;

COMMENT ON FUNCTION pggit.end_deployment(text) IS
'Ends the deployment that is going on: commits main as it is now, rows too, and accepts what changed in its schema since pggit.begin_deployment. Returns the commit, NULL where nothing was pending. p_message NULL or empty: its name says it.
Raises VG202 (none is going on), VG401.';
