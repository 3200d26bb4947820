-- DDL of a session that is on a branch: it meets tables where the branch has views, and changes nothing of main.

CREATE OR REPLACE FUNCTION pggit._is_own_ddl(p_context text)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT p_context ~ 'function pggit\.(?!_on_|ddl\()';
$$;

COMMENT ON FUNCTION pggit._is_own_ddl(text) IS
'Whether a statement runs in a function of pggit''s own, by PG_CONTEXT as an event trigger gets it; what pggit.ddl runs is the user''s.';

CREATE OR REPLACE FUNCTION pggit._session_branch()
    RETURNS pggit.branches
    LANGUAGE sql STABLE
AS $$
    SELECT b.* FROM pggit.branches AS b
     WHERE b.name = current_setting('pggit.branch', true) AND b.branch_id <> 1 AND b.deleted_at IS NULL;
$$;

COMMENT ON FUNCTION pggit._session_branch() IS
'The branch that this session has checked out; NULL on main.';

CREATE OR REPLACE FUNCTION pggit._statement_text(p_context text)
    RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT lower(concat_ws(' ', current_query(), p_context,
                           (SELECT string_agg(p.prosrc, ' ')
                              FROM regexp_matches(p_context, 'SQL function "([^"]+)"', 'g') AS m JOIN pg_proc AS p ON p.proname = m[1])));
$$;

COMMENT ON FUNCTION pggit._statement_text(text) IS
'Text, in lower case, in which the names of a running DDL statement are: the command''s, that of the statements it runs in (PG_CONTEXT), and the bodies of SQL functions, of which the context has only the name.';

CREATE OR REPLACE FUNCTION pggit._make_real_for_ddl(p_branch pggit.branches, p_tag text, p_statement text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_limit text := coalesce(nullif(current_setting('pggit.materialize_ddl_limit', true), ''), '1GB');
    v_table record;
BEGIN
    FOR v_table IN
        SELECT format('%I.%I', t.schema_name, t.table_name) AS name, pg_total_relation_size(t.relation) AS size
          FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
         WHERE bt.branch_id = p_branch.branch_id AND bt.form = 'view'
           AND (p_statement ~ pggit._word(t.table_name)
                OR p_tag LIKE '%INDEX' AND EXISTS (SELECT FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid
                                                    WHERE i.indrelid = t.relation AND p_statement ~ pggit._word(k.relname)))
         ORDER BY t.table_id
    LOOP
        IF v_table.size > pg_size_bytes(v_limit) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG307', SCHEMA = 'pggit',
                MESSAGE = format('%s needs a copy of table %s for branch %L: it has %s, and pggit.materialize_ddl_limit is %s', p_tag, v_table.name, p_branch.name,
                                 pg_size_pretty(v_table.size), v_limit),
                HINT    = format('SELECT pggit.materialize(%L, %L); makes the copy whatever its size.', p_branch.name, v_table.name);
        END IF;
        PERFORM pggit.materialize(p_branch.name, v_table.name);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._make_real_for_ddl(pggit.branches, text, text) IS
'Makes real what a branch shows as views and a statement names: PostgreSQL looks the names up afterwards. Raises VG307 for tables above the setting
pggit.materialize_ddl_limit (1GB) and what pggit.materialize raises.';

CREATE OR REPLACE FUNCTION pggit._on_branch_start()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch  pggit.branches;
    v_context text;
BEGIN
    IF coalesce(current_setting('pggit.branch', true), '') NOT IN ('', 'main') THEN
        GET DIAGNOSTICS v_context = PG_CONTEXT;
        v_branch := pggit._session_branch();
        IF v_branch.branch_id IS NOT NULL AND NOT pggit._is_own_ddl(v_context) THEN
            PERFORM pggit._make_real_for_ddl(v_branch, TG_TAG, pggit._statement_text(v_context));
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._on_branch_start() IS
'Event trigger: before DDL on a branch, the views that it names become tables.';

CREATE OR REPLACE FUNCTION pggit._refuse_on_branch(p_branch pggit.branches, p_what text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG309', SCHEMA = 'pggit',
        MESSAGE = format('this session is on branch %L, but the statement changes %s, which is not of that branch', p_branch.name, p_what),
        HINT    = 'Leave the schema name out, so that the branch''s object is found. What only main has (types, sequences, functions) is changed after SELECT pggit.checkout(''main'').';
END;
$$;

COMMENT ON FUNCTION pggit._refuse_on_branch(pggit.branches, text) IS
'Raises VG309: a session on a branch may not change the schema of main or of another branch.';

CREATE OR REPLACE FUNCTION pggit._names_of(p_relation oid)
    RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT c.relname::text || ARRAY(SELECT l.name FROM pggit._live_columns(c.oid) AS l ORDER BY l.attnum) FROM pg_class AS c WHERE c.oid = p_relation;
$$;

COMMENT ON FUNCTION pggit._names_of(oid) IS
'The name of a table and those of its columns.';

CREATE OR REPLACE FUNCTION pggit._has_other_shape(p_shown pggit.branch_tables)
    RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT p_shown.names IS DISTINCT FROM pggit._names_of(p_shown.relation)
           OR NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname
                           WHERE c.oid = p_shown.relation AND s.branch_id = p_shown.branch_id)
           OR EXISTS (SELECT
                        FROM (SELECT k.*, row_number() OVER (ORDER BY k.origin) AS n
                                FROM pggit.branch_bases AS b CROSS JOIN LATERAL pggit._columns_at(p_shown.table_id, b.s) AS k WHERE b.branch_id = p_shown.branch_id) AS c
                        FULL JOIN pggit._live_columns(p_shown.relation) AS l ON l.attnum = c.n
                       WHERE (c.type_name, c.key_position, c.generated_as IS NULL) IS DISTINCT FROM (l.type_name, l.key_position, l.generated_as IS NULL));
$$;

COMMENT ON FUNCTION pggit._has_other_shape(pggit.branch_tables) IS
'Whether a branch''s real table is no longer as it was made: its columns, their types, its primary key, its name or schema.';

CREATE OR REPLACE FUNCTION pggit._refuse_other_shape(p_branch_id integer, p_relation oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch text := (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_branch_id);
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG307', SCHEMA = 'pggit',
        MESSAGE = format('the columns, primary key or name of table %s can''t be changed on branch %L in this version', p_relation::regclass, v_branch),
        HINT    = 'Change the table on main: branches keep the columns they have, and new branches get the new ones. Indexes, checks, keys to other tables, triggers and policies can be changed here.';
END;
$$;

COMMENT ON FUNCTION pggit._refuse_other_shape(integer, oid) IS
'Raises VG307: a branch''s table keeps the columns, key and name that its history is kept by.';

CREATE OR REPLACE FUNCTION pggit._on_branch_end()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch  pggit.branches := pggit._session_branch();
    v_context text;
    v_one     record;
BEGIN
    GET DIAGNOSTICS v_context = PG_CONTEXT;
    IF pggit._is_own_ddl(v_context) THEN
        RETURN;
    END IF;
    FOR v_one IN
        WITH done AS MATERIALIZED (
            SELECT d.classid, d.objid, d.object_type, d.object_identity, coalesce(d.schema_name, a.object_names[1]) AS schema_name
              FROM pg_event_trigger_ddl_commands() AS d
              LEFT JOIN LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) AS a ON d.schema_name IS NULL AND d.classid <> 0 AND d.objid <> 0
        )
        SELECT d.*, s.branch_id AS other_branch, bt.branch_id, bt.relation, pggit._has_other_shape(bt) AS is_reshaped,
               EXISTS (SELECT FROM pggit.branch_schemas AS b WHERE b.base_schema = d.schema_name) AS is_main
          FROM done AS d
          LEFT JOIN pggit.branch_tables AS bt ON bt.relation = d.objid AND d.classid = 'pg_class'::regclass AND bt.form = 'table'
          LEFT JOIN pggit.branch_schemas AS s ON s.schema_name = d.schema_name AND s.branch_id <> v_branch.branch_id
    LOOP
        IF v_branch.branch_id IS NOT NULL AND (v_one.is_main OR v_one.other_branch IS NOT NULL) THEN
            PERFORM pggit._refuse_on_branch(v_branch, format('%s %s', v_one.object_type, v_one.object_identity));
        ELSIF v_one.relation IS NOT NULL AND v_one.is_reshaped THEN
            PERFORM pggit._refuse_other_shape(v_one.branch_id, v_one.relation);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._on_branch_end() IS
'Event trigger: DDL of a session on a branch must not have changed anything of main or of another branch, nor anybody the columns of a branch''s table. Raises VG309, VG307.';

CREATE OR REPLACE FUNCTION pggit._on_branch_drop()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch  pggit.branches := pggit._session_branch();
    v_context text;
    v_one     record;
BEGIN
    GET DIAGNOSTICS v_context = PG_CONTEXT;
    IF pggit._is_own_ddl(v_context) THEN
        RETURN;
    END IF;
    FOR v_one IN
        WITH gone AS MATERIALIZED (
            SELECT d.classid, d.objid, d.objsubid, d.original, d.object_type, d.object_identity, coalesce(d.schema_name, d.address_names[1]) AS schema_name
              FROM pg_event_trigger_dropped_objects() AS d WHERE NOT d.is_temporary
        )
        SELECT d.*, b.name AS branch_name, EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.base_schema = d.schema_name) AS is_main,
               EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.schema_name = d.schema_name AND s.branch_id <> v_branch.branch_id) AS is_others
          FROM gone AS d
          LEFT JOIN pggit.branch_tables AS bt ON bt.relation = d.objid AND d.classid = 'pg_class'::regclass AND d.objsubid = 0
          LEFT JOIN pggit.branches AS b USING (branch_id)
    LOOP
        IF v_branch.branch_id IS NOT NULL AND (v_one.is_main OR v_one.is_others) THEN
            PERFORM pggit._refuse_on_branch(v_branch, format('%s %s', v_one.object_type, v_one.object_identity));
        ELSIF v_one.branch_name IS NOT NULL AND (v_one.original OR v_branch.branch_id IS NOT NULL) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG307', SCHEMA = 'pggit',
                MESSAGE = format('table %s of branch %L can''t be dropped in this version', v_one.object_identity, v_one.branch_name),
                HINT    = format('Delete its rows, drop the table on main, or delete the branch: SELECT pggit.delete_branch(%L);', v_one.branch_name);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._on_branch_drop() IS
'Event trigger: DDL of a session on a branch must not have dropped anything of main or of another branch, nor anybody a branch''s table. Raises VG309, VG307.';

DO $triggers$
BEGIN
    IF NOT current_setting('is_superuser')::boolean THEN
        RETURN;
    END IF;
    DROP EVENT TRIGGER IF EXISTS pggit_branch_start;
    DROP EVENT TRIGGER IF EXISTS pggit_branch_end;
    DROP EVENT TRIGGER IF EXISTS pggit_branch_drop;
    CREATE EVENT TRIGGER pggit_branch_start ON ddl_command_start
        WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE INDEX', 'ALTER INDEX', 'DROP INDEX', 'CREATE TRIGGER', 'ALTER TRIGGER', 'DROP TRIGGER',
                     'CREATE POLICY', 'ALTER POLICY', 'DROP POLICY', 'CREATE RULE', 'ALTER RULE', 'DROP RULE', 'CREATE STATISTICS', 'COMMENT')
        EXECUTE FUNCTION pggit._on_branch_start();
    CREATE EVENT TRIGGER pggit_branch_end ON ddl_command_end EXECUTE FUNCTION pggit._on_branch_end();
    CREATE EVENT TRIGGER pggit_branch_drop ON sql_drop EXECUTE FUNCTION pggit._on_branch_drop();
    ALTER EVENT TRIGGER pggit_branch_start ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_branch_end ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_branch_drop ENABLE ALWAYS;
END;
$triggers$;
