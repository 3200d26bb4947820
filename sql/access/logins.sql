CREATE OR REPLACE FUNCTION pggit._login_name(p_branch pggit.branches)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('pggit_%s_%s_%s', d.oid, p_branch.branch_id, left(regexp_replace(p_branch.name, '[^A-Za-z0-9_-]+', '_', 'g'), 32))
              FROM pg_database AS d
             WHERE d.datname = current_database());
END;
$$;

COMMENT ON FUNCTION pggit._login_name(pggit.branches) IS
'Name of a branch''s role. Roles belong to the whole cluster, so it carries the database''s number: a copy of a database never touches the roles of its
original. At most 63 bytes.';

CREATE OR REPLACE FUNCTION pggit._branch_search_path(p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(quote_ident(s.schema_name), ', ' ORDER BY s.base_schema <> 'public', s.base_schema COLLATE "C") || ', '
                   || string_agg(quote_ident(s.base_schema), ', ' ORDER BY s.base_schema <> 'public', s.base_schema COLLATE "C")
              FROM pggit.branch_schemas AS s
             WHERE s.branch_id = p_branch_id);
END;
$$;

COMMENT ON FUNCTION pggit._branch_search_path(integer) IS
'The search_path that shows a branch: its schemas, then those of main for what only they have, such as the functions of extensions.';

CREATE OR REPLACE FUNCTION pggit.branch_login(p_branch text)
    RETURNS TABLE (role_name text, search_path text, schemas text[])
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
BEGIN
    RETURN QUERY
    SELECT pggit._login_name(v_branch), pggit._branch_search_path(v_branch.branch_id),
           ARRAY(SELECT s.schema_name FROM pggit.branch_schemas AS s WHERE s.branch_id = v_branch.branch_id
                  ORDER BY s.base_schema <> 'public', s.base_schema COLLATE "C");
END;
$$;

COMMENT ON FUNCTION pggit.branch_login(text) IS
'Name of a branch''s login, whether it is there or not, the search_path it has, and the schemas that show the branch. Raises VG001.';

CREATE OR REPLACE FUNCTION pggit._set_role_setting(p_role text, p_name text, p_value text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_there text;
BEGIN
    SELECT substr(c.one, length(p_name) + 2) INTO v_there
      FROM pg_db_role_setting AS s
      JOIN pg_roles AS r ON r.oid = s.setrole AND r.rolname = p_role
      JOIN pg_database AS d ON d.oid = s.setdatabase AND d.datname = current_database()
     CROSS JOIN LATERAL unnest(s.setconfig) AS c(one)
     WHERE starts_with(c.one, p_name || '=');
    IF v_there IS DISTINCT FROM p_value THEN
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET %s = %s', p_role, current_database(), p_name,
                       CASE WHEN p_name = 'search_path' THEN p_value ELSE quote_literal(p_value) END);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._set_role_setting(text, text, text) IS
'A setting that a role begins its sessions in this database with; written only where it differs.';

CREATE OR REPLACE FUNCTION pggit._grant_branch(p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_role  text;
    v_write boolean;
    v_one   record;
BEGIN
    SELECT b.role_name, l.can_write INTO v_role, v_write
      FROM pggit.branches AS b
      JOIN pggit.branch_logins AS l USING (branch_id)
      JOIN pg_roles AS r ON r.rolname = b.role_name
     WHERE b.branch_id = p_branch_id AND b.role_name = pggit._login_name(b);
    IF NOT FOUND THEN
        RETURN;
    END IF;

    FOR v_one IN SELECT n.oid, n.nspname FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.schema_name
                  WHERE s.branch_id = p_branch_id AND NOT has_schema_privilege(v_role, n.oid, 'USAGE') LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', v_one.nspname, v_role);
    END LOOP;

    FOR v_one IN SELECT c.oid::regclass AS relation
                   FROM pggit.branch_schemas AS s
                   JOIN pg_namespace AS n ON n.nspname = s.schema_name
                   JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                  WHERE s.branch_id = p_branch_id
                    AND (NOT has_table_privilege(v_role, c.oid, 'SELECT')
                         OR NOT (has_table_privilege(v_role, c.oid, 'INSERT') AND has_table_privilege(v_role, c.oid, 'UPDATE')
                                 AND has_table_privilege(v_role, c.oid, 'DELETE')) = v_write) LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %I', v_one.relation, v_role);
        EXECUTE format('GRANT %s ON %s TO %I', CASE WHEN v_write THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END, v_one.relation, v_role);
    END LOOP;

    -- Keys come from main's own sequences, so that those made on different branches never meet.
    FOR v_one IN SELECT DISTINCT q.oid::regclass AS relation
                   FROM pggit.branch_schemas AS s
                   JOIN pg_namespace AS n ON n.nspname = s.schema_name
                   JOIN pg_class AS c ON c.relnamespace = n.oid
                   JOIN pg_attrdef AS a ON a.adrelid = c.oid
                   JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
                   JOIN pg_class AS q ON q.oid = d.refobjid
                  WHERE s.branch_id = p_branch_id AND v_write
                    AND CASE WHEN q.relkind = 'S' THEN NOT has_sequence_privilege(v_role, q.oid, 'USAGE') END LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', v_one.relation, v_role);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._grant_branch(integer) IS
'Gives a branch''s login its rights on whatever stands on the branch now, tables that were made real later too; a branch without a login is left alone.';

CREATE OR REPLACE FUNCTION pggit._require_no_way_to_main(p_role text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_open text;
BEGIN
    SELECT string_agg(t.relation::regclass::text, ', ' ORDER BY t.relation::regclass::text) INTO v_open
      FROM unnest(pggit._relations(ARRAY(SELECT k.table_id FROM pggit.tables AS k WHERE k.untracked_at IS NULL))) AS t(relation)
      JOIN pg_class AS c ON c.oid = t.relation
     WHERE has_schema_privilege(p_role, c.relnamespace, 'USAGE')
       AND (has_any_column_privilege(p_role, t.relation, 'SELECT, INSERT, UPDATE, REFERENCES')
            OR has_table_privilege(p_role, t.relation, 'DELETE, TRUNCATE, TRIGGER'));
    IF v_open IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG305', SCHEMA = 'pggit',
            MESSAGE = format('everybody has rights on %s: the branch''s login would reach main through it', v_open),
            HINT    = format('REVOKE ALL ON %s FROM PUBLIC; and grant them to the roles that need them.', v_open);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_no_way_to_main(text) IS
'Raises VG305 when a role has any right on a tracked table of main, as it has when the table is open to PUBLIC.';

CREATE OR REPLACE FUNCTION pggit.ensure_branch_login(p_branch text, p_verifier text, p_password_id text, p_can_write boolean DEFAULT true)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._lock_branch((pggit._branch(p_branch)).branch_id);
    v_role   text := pggit._login_name(v_branch);
    v_right  boolean;
BEGIN
    IF v_branch.branch_id = 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('branch %L is the live tables themselves and has no login of its own', v_branch.name);
    ELSIF p_verifier IS NULL OR NOT starts_with(p_verifier, 'SCRAM-SHA-256$') OR coalesce(p_password_id, '') = '' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'a branch''s login needs a SCRAM verifier and an id of the password',
            HINT    = 'Make the verifier on the client (PQencryptPasswordConn): a password in a statement would be in the server''s log.';
    END IF;

    IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = v_role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
    END IF;
    SELECT count(*) = 1 INTO v_right
      FROM pggit.branch_logins AS l
      JOIN pg_roles AS r ON r.rolname = v_role AND r.rolcanlogin
     WHERE l.branch_id = v_branch.branch_id AND l.is_enabled AND l.password_id = p_password_id AND v_branch.role_name = v_role;
    IF NOT v_right THEN
        EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', v_role, p_verifier);
        UPDATE pggit.branches AS b SET role_name = v_role WHERE b.branch_id = v_branch.branch_id;
    END IF;
    INSERT INTO pggit.branch_logins (branch_id, password_id, can_write) VALUES (v_branch.branch_id, p_password_id, p_can_write)
        ON CONFLICT (branch_id) DO UPDATE
           SET password_id = excluded.password_id, can_write = excluded.can_write, is_enabled = true, changed_at = now()
         WHERE (branch_logins.password_id, branch_logins.can_write, branch_logins.is_enabled)
               IS DISTINCT FROM (excluded.password_id, excluded.can_write, true);

    PERFORM pggit._set_role_setting(v_role, 'search_path', pggit._branch_search_path(v_branch.branch_id));
    BEGIN
        PERFORM pggit._set_role_setting(v_role, 'pggit.branch', v_branch.name);
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;  -- a superuser's right; the search_path says which branch it is all the same
    END;
    IF NOT has_database_privilege(v_role, current_database(), 'CONNECT') THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), v_role);
    END IF;
    PERFORM pggit._require_no_way_to_main(v_role);
    PERFORM pggit._grant_branch(v_branch.branch_id);

    RETURN NOT v_right;
END;
$$;

COMMENT ON FUNCTION pggit.ensure_branch_login(text, text, text, boolean) IS
'A login of its own for a branch: it sees the branch and has no right on main. Safe to call again, which also gives rights on tables made real since.
p_verifier is a SCRAM verifier made by the client, p_password_id anything that differs when the password does; returns whether the password or the
switch was changed. Needs CREATEROLE. Raises VG001, VG202
(main, or no verifier) and VG305 (a table of main is open to PUBLIC, so the login would reach it).';

CREATE OR REPLACE FUNCTION pggit.disable_branch_login(p_branch text)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._lock_branch((pggit._branch(p_branch)).branch_id);
    v_role   text := pggit._login_name(v_branch);
BEGIN
    UPDATE pggit.branch_logins AS l SET is_enabled = false, changed_at = now() WHERE l.branch_id = v_branch.branch_id AND l.is_enabled;
    IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = v_role AND r.rolcanlogin) THEN
        RETURN false;
    END IF;
    EXECUTE format('ALTER ROLE %I NOLOGIN', v_role);
    BEGIN
        PERFORM pg_terminate_backend(a.pid) FROM pg_stat_activity AS a WHERE a.usename = v_role AND a.pid <> pg_backend_pid();
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE NOTICE 'sessions of % stay until they end by themselves: this role may not end them', v_role;
    END;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit.disable_branch_login(text) IS
'Switches a branch''s login off and ends its sessions; the branch stays. Returns whether it was on. ensure_branch_login switches it on again. Raises VG001.';

CREATE OR REPLACE FUNCTION pggit._drop_login(p_role text)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_grant record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = p_role) THEN
        RETURN false;
    END IF;
    FOR v_grant IN
        SELECT DISTINCT format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass) AS object
          FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a WHERE a.grantee = quote_ident(p_role)::regrole
         UNION ALL
        SELECT DISTINCT format('SCHEMA %I', n.nspname)
          FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a WHERE a.grantee = quote_ident(p_role)::regrole
         UNION ALL
        SELECT DISTINCT format('DATABASE %I', d.datname)
          FROM pg_database AS d CROSS JOIN LATERAL aclexplode(d.datacl) AS a
         WHERE a.grantee = quote_ident(p_role)::regrole AND d.datname = current_database()
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %I', v_grant.object, p_role);
    END LOOP;
    BEGIN
        EXECUTE format('DROP ROLE %I', p_role);
    EXCEPTION WHEN dependent_objects_still_exist THEN
        EXECUTE format('ALTER ROLE %I NOLOGIN', p_role);
        RAISE NOTICE 'role % owns objects and stays, without login', p_role;
        RETURN false;
    END;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit._drop_login(text) IS
'Takes a login''s rights away and drops it; one that owns objects stays, without login. Returns whether it was dropped.';

CREATE OR REPLACE FUNCTION pggit.drop_branch_login(p_branch text)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._lock_branch((pggit._branch(p_branch)).branch_id);
BEGIN
    DELETE FROM pggit.branch_logins AS l WHERE l.branch_id = v_branch.branch_id;
    UPDATE pggit.branches AS b SET role_name = NULL WHERE b.branch_id = v_branch.branch_id;
    RETURN pggit._drop_login(pggit._login_name(v_branch));
END;
$$;

COMMENT ON FUNCTION pggit.drop_branch_login(text) IS
'Drops a branch''s login; the branch stays. Returns whether there was one that could be dropped. Raises VG001.';

CREATE OR REPLACE FUNCTION pggit.discard_branch(p_branch text, p_owner jsonb, p_protected boolean DEFAULT false)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._try_branch((SELECT b.branch_id FROM pggit.branches AS b WHERE b.name = p_branch AND b.deleted_at IS NULL));
BEGIN
    IF v_branch.name IS DISTINCT FROM p_branch OR v_branch.branch_id = 1 OR NOT pggit._same_owner(v_branch.owner, p_owner) THEN
        RETURN false;
    END IF;
    PERFORM pggit.claim_branch(p_branch, p_owner, p_protected);
    IF (SELECT b.is_protected FROM pggit.branches AS b WHERE b.branch_id = v_branch.branch_id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG301', SCHEMA = 'pggit',
            MESSAGE = format('branch %L is protected', p_branch),
            HINT    = 'Unprotect the branch first, or keep it.';
    END IF;
    PERFORM pggit.drop_branch_login(p_branch);
    PERFORM pggit.delete_branch(p_branch, p_force => true);
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit.discard_branch(text, jsonb, boolean) IS
'Deletes a branch and its login if this owner holds it. p_protected as in pggit.claim_branch: false takes back the protection that the owner gave.
Returns false, and touches nothing, when there is no such branch or it is another''s. Raises VG301 (protected) and what pggit.delete_branch raises.';

CREATE OR REPLACE FUNCTION pggit.retire_branch(p_branch text, p_owner jsonb)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches;
BEGIN
    SELECT b.* INTO v_branch FROM pggit.branches AS b WHERE b.name = p_branch AND b.deleted_at IS NULL;
    IF NOT FOUND OR NOT pggit._same_owner(v_branch.owner, p_owner) THEN
        RETURN false;
    END IF;
    RETURN pggit.disable_branch_login(p_branch);
END;
$$;

COMMENT ON FUNCTION pggit.retire_branch(text, jsonb) IS
'Switches a branch''s login off if this owner holds the branch; the branch stays his. Returns whether the login was on.';

CREATE OR REPLACE VIEW pggit.branch_owners AS
SELECT b.name, b.owner ->> 'installation' AS installation, b.owner ->> 'namespace' AS namespace, b.owner ->> 'name' AS owner_name,
       b.owner ->> 'uid' AS uid, coalesce(l.is_enabled, false) AS login_enabled
  FROM pggit.branches AS b
  LEFT JOIN pggit.branch_logins AS l USING (branch_id)
 WHERE b.deleted_at IS NULL AND b.owner IS NOT NULL;

COMMENT ON VIEW pggit.branch_owners IS
'Branches that an object outside holds, who that is, and whether the branch''s login is switched on.';
