-- A state of the past that a session looks at: a branch of its own that nobody writes, as git's detached HEAD.

CREATE OR REPLACE FUNCTION pggit._is_branch(p_name text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.branches AS b WHERE b.name = p_name AND b.deleted_at IS NULL));
END;
$$;

COMMENT ON FUNCTION pggit._is_branch(text) IS
'Whether there is a branch of that name.';

CREATE OR REPLACE FUNCTION pggit._refuse_detached(p_branch pggit.branches)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF p_branch.mode = 'detached' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG301', SCHEMA = 'pggit',
            MESSAGE = format('%s is a state of the past, and no branch that could change', p_branch.name),
            HINT    = 'SELECT pggit.create_branch(''name''); makes a branch that begins with what is checked out, pggit.checkout(''name'') goes there.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_detached(pggit.branches) IS
'Raises VG301 for a state of the past that is checked out.';

CREATE OR REPLACE FUNCTION pggit._on_detached_write()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._refuse_detached(b) FROM pggit.branches AS b WHERE b.branch_id = TG_ARGV[0]::integer;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._on_detached_write() IS
'Trigger of the tables of a state of the past: they can''t be written (VG301).';

CREATE OR REPLACE FUNCTION pggit._close_relation(p_branch_id integer, p_relation regclass)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_is_table boolean := (SELECT c.relkind = 'r' FROM pg_class AS c WHERE c.oid = p_relation);
BEGIN
    EXECUTE format('CREATE OR REPLACE TRIGGER pggit_a_detached BEFORE INSERT OR UPDATE OR DELETE %s ON %s FOR EACH STATEMENT EXECUTE FUNCTION pggit._on_detached_write(%s)',
                   CASE WHEN v_is_table THEN 'OR TRUNCATE' END, p_relation, p_branch_id);
    IF v_is_table THEN
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER pggit_a_detached', p_relation);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._close_relation(integer, regclass) IS
'From now on nobody writes a table or view of a branch.';

CREATE OR REPLACE FUNCTION pggit._close_table(p_branch_id integer, p_table_id integer)
    RETURNS void
    LANGUAGE sql
AS $$
    SELECT pggit._close_relation(p_branch_id, bt.relation) FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id;
$$;

COMMENT ON FUNCTION pggit._close_table(integer, integer) IS
'From now on nobody writes a table of a branch.';

CREATE OR REPLACE FUNCTION pggit._name_then(p_branch_id integer, p_table_id integer, p_at pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('%I.%I', s.schema_name, n.table_name) FROM pggit._name_at(p_table_id, p_at) AS n JOIN pggit.branch_schemas AS s ON s.branch_id = p_branch_id AND s.base_schema = n.schema_name);
END;
$$;

COMMENT ON FUNCTION pggit._name_then(integer, integer, pggit._position) IS
'The name under which a state of the past shows a table.';

CREATE OR REPLACE FUNCTION pggit._why_copied(p_table pggit.tables, p_at pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN NOT p_table.on_main THEN 'main does not have it'
                        WHEN EXISTS (SELECT FROM pggit.branch_columns AS c WHERE c.branch_id = (p_at).branch_id AND c.table_id = p_table.table_id) THEN 'its columns were a branch''s own'
                        WHEN pggit._is_keyless(p_table.table_id) AND pggit._is_reshaped(p_table.table_id, p_at, NULL) THEN 'it had other columns, and has no key'
                        WHEN pggit._presence(p_table, (1, pggit._base_mark(p_at), pggit._base_mark(p_at))::pggit._position) = 'gap' THEN 'main''s history of it has a gap' END);
END;
$$;

COMMENT ON FUNCTION pggit._why_copied(pggit.tables, pggit._position) IS
'Why a state of the past has a copy of a table''s rows of then, and neither a view over main''s nor a table that is made like main''s; NULL when it has one of these.';

CREATE OR REPLACE FUNCTION pggit._copy_of_then(p_branch_id integer, p_table pggit.tables, p_at pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name  text := pggit._name_then(p_branch_id, p_table.table_id, p_at);
    v_like  oid  := CASE WHEN p_table.on_main THEN p_table.relation ELSE coalesce((SELECT bt.relation FROM pggit.branch_tables AS bt WHERE bt.branch_id = (p_at).branch_id AND bt.table_id = p_table.table_id), pggit._table_of_now(p_table.table_id)) END;
    v_key   text := (SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.key_position) FROM pggit._shown_columns(p_table.table_id, p_at) AS c WHERE c.key_position IS NOT NULL);
BEGIN
    IF EXISTS (SELECT FROM pg_class AS c WHERE c.oid = v_like AND c.relrowsecurity) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('table %I.%I has row-level security, and can only be copied as it was: %s', p_table.schema_name, p_table.table_name, pggit._why_copied(p_table, p_at)),
            HINT    = 'pggit.as_of and pggit.diff_rows show the rows of then.';
    END IF;
    EXECUTE format('CREATE TABLE %s AS %s', v_name, pggit._named_sql(p_table.table_id, pggit._state_sql(p_table.table_id, p_at), p_at));
    IF v_key IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (%s)', v_name, v_key);
    END IF;
    INSERT INTO pggit.branch_copies (branch_id, relation) VALUES (p_branch_id, v_name::regclass);
    PERFORM pggit._copy_grants(v_like, v_name::regclass) WHERE v_like IS NOT NULL;
    PERFORM pggit._close_relation(p_branch_id, v_name::regclass);
    EXECUTE format('ANALYZE %s', v_name);
END;
$$;

COMMENT ON FUNCTION pggit._copy_of_then(integer, pggit.tables, pggit._position) IS
'Shows a table in a state of the past as a copy of its rows of then, with their columns and key, and the rights that it has now. Raises VG307 where row-level security would be lost.';

CREATE OR REPLACE FUNCTION pggit._show_table_of_then(p_branch_id integer, p_table pggit.tables, p_at pggit._position, p_is_real boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._require_no_gap(p_table, p_at);
    PERFORM pggit._require_no_gap(c, p_at) FROM pggit._descendants(ARRAY[p_table.relation::oid]) AS d JOIN pggit.tables AS c ON c.relation = d AND c.untracked_at IS NULL;
    IF pggit._why_copied(p_table, p_at) IS NOT NULL THEN
        PERFORM pggit._copy_of_then(p_branch_id, p_table, p_at);
        RETURN;
    END IF;
    IF (p_at).branch_id <> 1 AND pggit._is_keyless(p_table.table_id) THEN
        PERFORM pggit._copy_own_rows(p_table.table_id, (p_at).branch_id, (p_at).x, p_branch_id);
    ELSIF (p_at).branch_id <> 1 THEN
        PERFORM pggit._copy_owned(p_table.table_id, (p_at).branch_id, (p_at).x, p_branch_id);
    END IF;
    IF p_is_real THEN
        PERFORM pggit._create_real(p_branch_id, p_table.table_id);
    ELSE
        PERFORM pggit._create_view(p_branch_id, p_table.table_id);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._show_table_of_then(integer, pggit.tables, pggit._position, boolean) IS
'Shows a table in a state of the past: a view, a real table (p_is_real) or a copy. Raises VG306 when what it held has been lost since.';

CREATE OR REPLACE FUNCTION pggit._refuse_table_of_then(p_branch_id integer, p_table pggit.tables, p_at pggit._position, p_code text, p_reason text, p_hint text)
    RETURNS void
    LANGUAGE sql
AS $$
    SELECT pggit._refusing_stand_in(p_branch_id, pggit._name_then(p_branch_id, p_table.table_id, p_at),
               (SELECT string_agg(format('%I %s', c.name, CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN c.type_name ELSE 'text' END), ', ' ORDER BY c.attnum)
                  FROM pggit._shown_columns(p_table.table_id, p_at) AS c LEFT JOIN pg_type AS t ON t.oid = to_regtype(c.type_name)),
               CASE WHEN p_code LIKE 'VG%' THEN p_code ELSE 'VG302' END,
               format('table %I.%I can''t be shown as it was: %s', p_table.schema_name, p_table.table_name, p_reason), coalesce(nullif(p_hint, ''), 'All other tables of that state can be read.'));
$$;

COMMENT ON FUNCTION pggit._refuse_table_of_then(integer, pggit.tables, pggit._position, text, text, text) IS
'Stands in a state of the past for a table that can''t be shown there: whoever reads it is told why.';

CREATE OR REPLACE FUNCTION pggit._give_names_of_then(p_branch_id integer, p_at pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_other jsonb := '[]';
    v_one   record;
BEGIN
    FOR v_one IN
        SELECT bt.table_id, bt.relation, format('%I.%I', n.schema_name, n.table_name) AS name, pggit._shown_name(bt.table_id, p_branch_id) AS shown
          FROM pggit.branch_tables AS bt CROSS JOIN LATERAL pggit._name_at(bt.table_id, p_at) AS n WHERE bt.branch_id = p_branch_id ORDER BY bt.table_id
    LOOP
        IF v_one.name <> v_one.shown THEN
            -- Two tables may have each other's names.
            EXECUTE format('ALTER TABLE %s RENAME TO %I', v_one.relation, 'pggit ' || v_one.table_id);
            v_other := v_other || jsonb_build_object('id', v_one.table_id, 'name', v_one.name);
        END IF;
    END LOOP;
    PERFORM pggit._give_name((o.value ->> 'id')::integer, p_branch_id, o.value ->> 'name') FROM jsonb_array_elements(v_other) AS o;
END;
$$;

COMMENT ON FUNCTION pggit._give_names_of_then(integer, pggit._position) IS
'Gives the tables of a state of a branch the names that they had there, where these are not main''s.';

CREATE OR REPLACE FUNCTION pggit._show_state(p_branch pggit.branches, p_at pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_tables pggit.tables[] := ARRAY(SELECT t FROM pggit.tables AS t WHERE t.untracked_at IS NULL AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.relation)
                                                                       AND pggit._presence(t, p_at) <> 'absent' ORDER BY t.table_id);
    v_alike  pggit.tables[] := ARRAY(SELECT t FROM unnest(v_tables) AS t WHERE pggit._why_copied(t, p_at) IS NULL);
    v_real   integer[]      := pggit._real_tables(v_alike, (SELECT coalesce(string_agg(format('%I.%I', t.schema_name, t.table_name), ','), 'none')
                                                              FROM unnest(v_alike) AS t WHERE pggit._why_no_view(t.relation) IS NOT NULL));
    v_table  pggit.tables;
    v_code   text;
    v_reason text;
    v_hint   text;
BEGIN
    FOREACH v_table IN ARRAY v_tables LOOP
        BEGIN
            PERFORM pggit._show_table_of_then(p_branch.branch_id, v_table, p_at, v_table.table_id = ANY (v_real));
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE;
            WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR data_exception OR integrity_constraint_violation
              OR SQLSTATE 'VG302' OR SQLSTATE 'VG306' OR SQLSTATE 'VG307' OR SQLSTATE 'VG902' THEN
                GET STACKED DIAGNOSTICS v_code = RETURNED_SQLSTATE, v_reason = MESSAGE_TEXT, v_hint = PG_EXCEPTION_HINT;
                PERFORM pggit._refuse_table_of_then(p_branch.branch_id, v_table, p_at, v_code, v_reason, v_hint);
        END;
    END LOOP;
    PERFORM pggit._give_names_of_then(p_branch.branch_id, p_at) WHERE (p_at).branch_id <> 1;
    PERFORM pggit._real_foreign_keys(p_branch.branch_id, bt.table_id) FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch.branch_id AND bt.form = 'table';
END;
$$;

COMMENT ON FUNCTION pggit._show_state(pggit.branches, pggit._position) IS
'Gives a state of the past its tables: views over main''s, real tables where these can''t be, copies where neither can, and for what can''t be shown at all something that says why.';

CREATE OR REPLACE FUNCTION pggit._detached_name(p_ref text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_at timestamptz := pggit._time(p_ref);
BEGIN
    IF v_at IS NOT NULL AND isfinite(v_at) AND pggit._find_named(p_ref, (pggit._branch(NULL)).branch_id) IS NULL THEN
        RETURN '@' || to_char(least(v_at, clock_timestamp()) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
    END IF;
    RETURN '@' || left(pggit._resolve(p_ref), 16);
EXCEPTION WHEN SQLSTATE 'VG002' THEN
    IF p_ref ~ '[~^]' THEN
        RAISE;
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._detached_name(text) IS
'Name under which a state of the past is checked out: "@" and the beginning of its commit''s id, or its time; NULL when there is no such ref.';

CREATE OR REPLACE FUNCTION pggit._parent_of_detached(p_branch pggit.branches)
    RETURNS pggit.branches
    LANGUAGE sql STABLE
AS $$
    SELECT b.* FROM pggit.branches AS b WHERE b.branch_id = CASE p_branch.mode WHEN 'detached' THEN p_branch.parent_id ELSE p_branch.branch_id END;
$$;

COMMENT ON FUNCTION pggit._parent_of_detached(pggit.branches) IS
'The branch whose state of the past this is; any other branch itself.';

CREATE OR REPLACE FUNCTION pggit._policies(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT concat_ws(' ', c.relrowsecurity, c.relforcerowsecurity,
                             (SELECT string_agg(concat_ws(' ', p.polname, p.polcmd, p.polpermissive, p.polroles::text, pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)), ', ' ORDER BY p.polname)
                                FROM pg_policy AS p WHERE p.polrelid = c.oid))
              FROM pg_class AS c WHERE c.oid = p_relation);
END;
$$;

COMMENT ON FUNCTION pggit._policies(oid) IS
'The row-level security of a table, to be compared.';

CREATE OR REPLACE FUNCTION pggit._would_show_more(p_main oid, p_shown oid)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A view reads with other rights than its reader's, and a copy has the policies of when it was made.
    RETURN (SELECT c.relrowsecurity AND (s.relkind <> 'r' OR pggit._policies(c.oid) <> pggit._policies(s.oid)) FROM pg_class AS c, pg_class AS s WHERE c.oid = p_main AND s.oid = p_shown);
END;
$$;

COMMENT ON FUNCTION pggit._would_show_more(oid, oid) IS
'Whether main''s table has row-level security that what shows it in a state of the past has not.';

CREATE OR REPLACE FUNCTION pggit._is_hidden_in(p_name text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.branches AS b JOIN pggit.branch_tables AS bt USING (branch_id) JOIN pggit.tables AS t USING (table_id)
                            WHERE b.name = p_name AND b.deleted_at IS NULL AND t.on_main AND pggit._would_show_more(t.relation, bt.relation)));
END;
$$;

COMMENT ON FUNCTION pggit._is_hidden_in(text) IS
'Whether nobody may read a table of a state of the past, for its row-level security is another by now.';

CREATE OR REPLACE FUNCTION pggit._ensure_detached(p_ref text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name text := pggit._detached_name(p_ref);
BEGIN
    PERFORM pggit._collect_detached(false) WHERE pggit._is_hidden_in(v_name);
    IF v_name IS NULL OR pggit._is_branch(v_name) THEN
        RETURN coalesce(v_name, p_ref);
    END IF;
    BEGIN
        PERFORM pggit._create_branch(v_name, substr(v_name, 2), 'detached', 'none');
    EXCEPTION WHEN SQLSTATE 'VG101' THEN
        IF NOT pggit._is_branch(v_name) THEN
            RAISE;
        END IF;
    END;
    RETURN v_name;
END;
$$;

COMMENT ON FUNCTION pggit._ensure_detached(text) IS
'Makes a state of the past that can be checked out, if it is not there yet (or has other row-level security than main by now, and nobody looks at it), and returns its name. What is no ref comes back as it is.';

CREATE OR REPLACE FUNCTION pggit._relation_rights(p_relation oid)
    RETURNS TABLE (grantee oid, privilege text, column_name text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT g.grantee, format('%s %s', g.privilege_type, g.is_grantable), NULL FROM pg_class AS c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS g WHERE c.oid = p_relation
    UNION
    SELECT g.grantee, format('%s %s', g.privilege_type, g.is_grantable), a.attname FROM pg_attribute AS a, aclexplode(a.attacl) AS g WHERE a.attrelid = p_relation AND NOT a.attisdropped;
$$;

COMMENT ON FUNCTION pggit._relation_rights(oid) IS
'Who may do what with a relation and its columns.';

CREATE OR REPLACE FUNCTION pggit._follow_relation_rights(p_main oid, p_shown oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_hidden boolean := pggit._would_show_more(p_main, p_shown);
    v_owner  oid     := (SELECT c.relowner FROM pg_class AS c WHERE c.oid = p_shown);
    v_column text;
    v_role   record;
BEGIN
    IF (CASE WHEN v_hidden THEN NOT EXISTS (SELECT FROM pggit._relation_rights(p_shown))
             ELSE NOT EXISTS (SELECT r.grantee, r.privilege, r.column_name FROM pggit._relation_rights(p_shown) AS r WHERE r.grantee <> v_owner
                              EXCEPT
                              SELECT r.grantee, CASE r.grantee WHEN c.relowner THEN split_part(r.privilege, ' ', 1) || ' t' ELSE r.privilege END, r.column_name FROM pg_class AS c, pggit._relation_rights(c.oid) AS r WHERE c.oid = p_main)
                  AND NOT EXISTS (SELECT r.grantee, r.privilege, r.column_name FROM pg_class AS c, pggit._relation_rights(c.oid) AS r WHERE c.oid = p_main AND r.grantee NOT IN (c.relowner, v_owner)
                                  EXCEPT SELECT r.grantee, r.privilege, r.column_name FROM pggit._relation_rights(p_shown) AS r)
                  AND EXISTS (SELECT FROM pggit._relation_rights(p_shown) AS r WHERE r.grantee = v_owner) END) THEN
        RETURN;
    END IF;
    FOR v_role IN SELECT DISTINCT r.grantee, CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.grantee)) END AS name FROM pggit._relation_rights(p_shown) AS r LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', p_shown::regclass, v_role.name);
    END LOOP;
    IF NOT v_hidden THEN
        EXECUTE format('GRANT ALL ON %s TO %I', p_shown::regclass, pg_get_userbyid(v_owner));
        PERFORM pggit._copy_grants(p_main, p_shown);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._follow_relation_rights(oid, oid) IS
'Gives what shows a relation in a state of the past the rights that main''s has now; where main''s has other row-level security by now, nobody''s. Locks nothing that readers have.';

CREATE OR REPLACE FUNCTION pggit._follow_routine_rights(p_main oid, p_shown oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_change record;
BEGIN
    FOR v_change IN
        WITH rights AS (
            SELECT p.oid, g.grantee FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g WHERE p.oid IN (p_main, p_shown) AND g.grantee <> p.proowner
        )
        SELECT format(CASE WHEN w.grantee IS NULL THEN 'REVOKE EXECUTE ON ROUTINE %s FROM %s CASCADE' ELSE 'GRANT EXECUTE ON ROUTINE %s TO %s' END, p_shown::regprocedure,
                      CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END) AS command
          FROM (SELECT r.grantee FROM rights AS r WHERE r.oid = p_main) AS w FULL JOIN (SELECT r.grantee FROM rights AS r WHERE r.oid = p_shown) AS g USING (grantee)
         WHERE w.grantee IS NULL OR g.grantee IS NULL
    LOOP
        EXECUTE v_change.command;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._follow_routine_rights(oid, oid) IS
'Who may call a function or procedure of main may call its copy in a state of the past, and nobody else.';

CREATE OR REPLACE FUNCTION pggit._follow_rights(p_branch pggit.branches)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_pair record;
BEGIN
    FOR v_pair IN
        SELECT t.relation::oid AS main, bt.relation::oid AS shown FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) WHERE bt.branch_id = p_branch.branch_id AND t.on_main
        UNION ALL
        SELECT to_regclass(format('%I.%I', CASE p_branch.parent_id WHEN 1 THEN s.base_schema ELSE (SELECT o.schema_name FROM pggit.branch_schemas AS o WHERE o.branch_id = p_branch.parent_id AND o.base_schema = s.base_schema) END, c.relname)), c.oid
          FROM pggit.branch_copies AS k JOIN pg_class AS c ON c.oid = k.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname
         WHERE k.branch_id = p_branch.branch_id AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'pggit_shut')
    LOOP
        PERFORM pggit._follow_relation_rights(v_pair.main, v_pair.shown) WHERE v_pair.main IS NOT NULL AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = v_pair.shown);
    END LOOP;
    FOR v_pair IN
        SELECT m.oid AS main, c.oid AS shown
          FROM pggit.branch_copies AS k JOIN pg_proc AS c ON c.oid = to_regprocedure(k.routine) JOIN pg_namespace AS n ON n.oid = c.pronamespace JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname
          JOIN pg_proc AS m ON m.proname = c.proname AND oidvectortypes(m.proargtypes) = oidvectortypes(c.proargtypes) AND m.pronamespace = to_regnamespace(quote_ident(s.base_schema))
         WHERE k.branch_id = p_branch.branch_id
    LOOP
        PERFORM pggit._follow_routine_rights(v_pair.main, v_pair.shown);
    END LOOP;
    FOR v_pair IN SELECT s.base_schema, s.schema_name FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch.branch_id LOOP
        PERFORM pggit._follow_schema_rights(v_pair.base_schema, v_pair.schema_name);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._follow_rights(pggit.branches) IS
'Gives a state of the past the rights that main has now on its tables, views, functions and schemas.';

CREATE OR REPLACE FUNCTION pggit._is_being_deleted(p_branch_id integer)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pg_locks AS l
                            WHERE l.locktype = 'advisory' AND l.classid::integer = hashtext('pggit.checkout') AND l.objid::integer = p_branch_id AND l.objsubid = 2 AND l.mode = 'ExclusiveLock' AND l.granted
                              AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()) AND l.pid <> pg_backend_pid()));
END;
$$;

COMMENT ON FUNCTION pggit._is_being_deleted(integer) IS
'Whether another transaction is deleting or renaming a branch (pggit._take_branch).';

CREATE OR REPLACE FUNCTION pggit._follow_main(p_branch_id integer DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch pggit.branches;
BEGIN
    FOR v_branch IN
        -- One that is being deleted is left alone: nobody waits for that.
        SELECT b.* FROM pggit.branches AS b
         WHERE b.mode = 'detached' AND b.deleted_at IS NULL AND b.branch_id = coalesce(p_branch_id, b.branch_id) AND NOT pggit._is_being_deleted(b.branch_id) ORDER BY b.branch_id
    LOOP
        CONTINUE WHEN pggit._is_stale(v_branch.branch_id);
        PERFORM pggit._shut_later_names(v_branch.branch_id, true);
        PERFORM pggit._follow_rights(v_branch);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._follow_main(integer) IS
'Sees to it that states of the past (NULL: all) have nothing of main by names that they do not have, and main''s rights.';

CREATE OR REPLACE FUNCTION pggit._collect_detached(p_dry_run boolean)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch pggit.branches;
    v_gone   bigint := 0;
    v_before text   := current_setting('pggit.lock_timeout', true);
BEGIN
    PERFORM set_config('pggit.lock_timeout', '1ms', true);
    FOR v_branch IN
        SELECT b.* FROM pggit.branches AS b
         WHERE b.mode = 'detached' AND b.deleted_at IS NULL AND NOT EXISTS (SELECT FROM pggit._checkouts(b.branch_id)) AND b.name <> pggit.current_branch()
           AND b.branch_id::text IS DISTINCT FROM current_setting('pggit.making', true)
         ORDER BY b.branch_id
    LOOP
        BEGIN
            -- Another transaction may be deleting it, and take long to end: nobody's DDL waits for that.
            PERFORM FROM pggit.branches AS b WHERE b.branch_id = v_branch.branch_id FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
            v_gone := v_gone + CASE WHEN p_dry_run OR pggit.delete_branch(v_branch.name, true) THEN 1 ELSE 0 END;
        EXCEPTION WHEN OTHERS THEN
            NULL;  -- somebody uses it after all, or this session reads it in a query that runs: it goes another time
        END;
    END LOOP;
    PERFORM set_config('pggit.lock_timeout', coalesce(v_before, ''), true);
    RETURN v_gone;
END;
$$;

COMMENT ON FUNCTION pggit._collect_detached(boolean) IS
'Deletes states of the past that no session has checked out, or only counts them. Returns how many. Never fails, and never waits for another transaction that deletes one.';
