-- DDL of a session that is on a branch: it meets tables where the branch has views, and changes nothing of main.

CREATE OR REPLACE FUNCTION pggit._is_own_ddl(p_context text)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    -- Without backslashes it reads the same whatever standard_conforming_strings is.
    SELECT p_context ~ 'function pggit[.](?!_on_|ddl[(]|apply_migration[(]|rollback_function[(]|_apply_steps[(])';
$$;

COMMENT ON FUNCTION pggit._is_own_ddl(text) IS
'Whether a statement runs in a function of pggit''s own, by PG_CONTEXT as an event trigger gets it; what pggit.ddl and pggit.apply_migration run is the user''s.';

CREATE OR REPLACE FUNCTION pggit._session_branch()
    RETURNS pggit.branches
    LANGUAGE sql STABLE
AS $$
    SELECT b.* FROM pggit.branches AS b
     WHERE b.name = current_setting('pggit.branch', true) AND b.branch_id <> 1 AND b.deleted_at IS NULL;
$$;

COMMENT ON FUNCTION pggit._session_branch() IS
'The branch that this session has checked out; NULL on main.';

CREATE OR REPLACE FUNCTION pggit._branch_for_ddl()
    RETURNS pggit.branches
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch pggit.branches := pggit._session_branch();
BEGIN
    IF v_branch.branch_id IS NULL AND coalesce(current_setting('pggit.branch', true), '') NOT IN ('', 'main') THEN
        PERFORM pggit._branch(current_setting('pggit.branch'));
    END IF;
    RETURN v_branch;
END;
$$;

COMMENT ON FUNCTION pggit._branch_for_ddl() IS
'The branch that this session has checked out; NULL on main. Raises VG001 where the setting pggit.branch has no branch''s name, so that what was meant for a branch does not change main.';

CREATE OR REPLACE FUNCTION pggit._is_of_main(p_schema text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.base_schema = p_schema)
                   OR EXISTS (SELECT FROM pggit.tracked_schemas AS s WHERE s.schema_name = p_schema)
                   OR EXISTS (SELECT FROM pggit.tables AS t WHERE t.schema_name = p_schema AND t.untracked_at IS NULL AND t.on_main));
END;
$$;

COMMENT ON FUNCTION pggit._is_of_main(text) IS
'Whether main has something under version control in a schema, whatever a branch has of it.';

CREATE OR REPLACE FUNCTION pggit._plain_names(p_text text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
DECLARE
    v_name record;
    v_code record;
BEGIN
    FOR v_name IN SELECT m[1] AS written, m[2] AS name FROM regexp_matches(p_text, '([uU]&("(?:[^"]|"")*"))', 'g') AS m LOOP
        FOR v_code IN
            SELECT c.written, c.code
              FROM (SELECT m[1] AS written, ('x' || lpad(coalesce(m[2], m[3]), 8, '0'))::bit(32)::integer AS code
                      FROM regexp_matches(v_name.name, '(\\(?:\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4})))', 'g') AS m) AS c
             WHERE c.code BETWEEN 1 AND 127 OR (getdatabaseencoding() = 'UTF8' AND (c.code BETWEEN 128 AND 55295 OR c.code BETWEEN 57344 AND 1114111))
        LOOP
            v_name.name := replace(v_name.name, v_code.written, chr(v_code.code));
        END LOOP;
        p_text := replace(p_text, v_name.written, v_name.name);
    END LOOP;
    RETURN p_text;
END;
$$;

COMMENT ON FUNCTION pggit._plain_names(text) IS
'The text of a statement with names such as U&"d\0061ta" as they are meant: "data".';

CREATE OR REPLACE FUNCTION pggit._statement_text(p_context text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT lower(pggit._plain_names(concat_ws(' ', current_query(), p_context,
                                                      (SELECT string_agg(p.prosrc, ' ')
                                                         FROM regexp_matches(p_context, 'SQL function "([^"]+)"', 'g') AS m JOIN pg_proc AS p ON p.proname = m[1])))));
END;
$$;

COMMENT ON FUNCTION pggit._statement_text(text) IS
'Text, in lower case, in which the names of a running DDL statement are: the command''s, that of the statements it runs in (PG_CONTEXT), and the bodies of SQL functions, of which the context has only the name.';

CREATE OR REPLACE FUNCTION pggit._make_real_within_limit(p_branch pggit.branches, p_tables integer[])
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_limit text := pggit._size_setting('pggit.materialize_ddl_limit', '1GB');
    v_table record;
BEGIN
    FOR v_table IN
        SELECT format('%I.%I', t.schema_name, t.table_name) AS name, pggit._total_size(t.relation) AS size
          FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
         WHERE bt.branch_id = p_branch.branch_id AND bt.form = 'view' AND bt.table_id = ANY (p_tables)
         ORDER BY t.table_id
    LOOP
        PERFORM pggit._refuse_detached(p_branch) WHERE p_branch.name = pggit.current_branch();
        IF v_table.size > pg_size_bytes(v_limit) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG307', SCHEMA = 'pggit',
                MESSAGE = format('the statement needs a copy of table %s for branch %L: it has %s, and pggit.materialize_ddl_limit is %s', v_table.name, p_branch.name,
                                 pg_size_pretty(v_table.size), v_limit),
                HINT    = format('SELECT pggit.materialize(%L, %L); makes the copy whatever its size.', p_branch.name, v_table.name);
        END IF;
        BEGIN
            PERFORM pggit.materialize(p_branch.name, v_table.name);
        EXCEPTION WHEN SQLSTATE 'VG001' THEN
            RETURN;  -- somebody was deleting the branch, and has done so while we waited
        END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._make_real_within_limit(pggit.branches, integer[]) IS
'Makes real those of some tables that a branch shows as views. Raises VG307 for tables above the setting pggit.materialize_ddl_limit (1GB) and what pggit.materialize raises.';

CREATE OR REPLACE FUNCTION pggit._make_real_for_ddl(p_branch pggit.branches, p_statement text)
    RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pggit._make_real_within_limit(p_branch, ARRAY(
        SELECT bt.table_id
          FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
         WHERE bt.branch_id = p_branch.branch_id AND bt.form = 'view'
           AND (p_statement ~ pggit._word(t.table_name) OR p_statement ~ pggit._word((SELECT c.relname FROM pg_class AS c WHERE c.oid = bt.relation))
                OR EXISTS (SELECT FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid
                            WHERE i.indrelid = t.relation AND p_statement ~ pggit._word(k.relname))
                -- A foreign key is a constraint of tables alone, at both ends.
                OR EXISTS (SELECT FROM pg_constraint AS c WHERE c.contype = 'f' AND t.relation IN (c.conrelid, c.confrelid) AND p_statement ~ pggit._word(c.conname))
                -- PostgreSQL knows who refers to a table that is dropped.
                OR (p_statement ~ '\mdrop\M' AND p_statement ~ '\mtable\M'
                    AND EXISTS (SELECT FROM pg_constraint AS c JOIN pggit.tables AS o ON o.relation = c.confrelid
                                 WHERE c.contype = 'f' AND c.conrelid = t.relation AND p_statement ~ pggit._word(o.table_name))))));
$$;

COMMENT ON FUNCTION pggit._make_real_for_ddl(pggit.branches, text) IS
'Makes real what a branch shows as views and a statement names: PostgreSQL looks the names up afterwards. Raises what pggit._make_real_within_limit raises.';

CREATE OR REPLACE FUNCTION pggit._save_for_ddl(p_branch pggit.branches, p_statement text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_saved jsonb := '{}';
    v_shown pggit.branch_tables;
    v_child pggit.branch_tables;
BEGIN
    IF p_statement ~ '\m(?:drop|type)\M' THEN
        FOR v_shown IN SELECT bt.* FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch.branch_id AND bt.form = 'table' AND NOT pggit._is_keyless(bt.table_id) ORDER BY bt.table_id LOOP
            IF pggit._takes_columns(p_statement, v_shown.names[1], ARRAY(SELECT c.name FROM pggit._columns_as_made(v_shown) AS c WHERE c.generated_as IS NULL)) THEN
                v_saved := v_saved || jsonb_build_object(v_shown.table_id, pggit._save_branch_rows(v_shown));
                FOR v_child IN SELECT bt.* FROM pggit._descendants(ARRAY[v_shown.relation::oid]) AS d JOIN pggit.branch_tables AS bt ON bt.relation = d ORDER BY bt.table_id LOOP
                    v_saved := jsonb_build_object(v_child.table_id, pggit._save_branch_rows(v_child)) || v_saved;
                END LOOP;
            END IF;
        END LOOP;
    END IF;
    PERFORM set_config('pggit.branch_saved', v_saved::text, true);
END;
$$;

COMMENT ON FUNCTION pggit._save_for_ddl(pggit.branches, text) IS
'Saves the rows of a branch''s real tables whose columns a statement is going to drop or retype. The local setting pggit.branch_saved tells pggit._on_branch_end: by table id, the ordinal or the
reason why not.';

CREATE OR REPLACE FUNCTION pggit._note_places(p_branch pggit.branches, p_statement text)
    RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT set_config('pggit.places', coalesce((
        SELECT jsonb_object_agg(bt.table_id, n.nspname) FROM pggit.branch_tables AS bt JOIN pg_class AS c ON c.oid = bt.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE p_statement ~ '\mschema\M' AND bt.branch_id = p_branch.branch_id AND bt.form = 'table')::text, ''), true);
$$;

COMMENT ON FUNCTION pggit._note_places(pggit.branches, text) IS
'Before a statement on a branch that may move tables to another schema: the local setting pggit.places tells pggit._follow_places where they are.';

CREATE OR REPLACE FUNCTION pggit._follow_places(p_branch pggit.branches)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_one record;
BEGIN
    FOR v_one IN
        SELECT bt AS shown, c.oid::regclass AS relation, w.base_schema AS was, coalesce(m.schema_name, n.nspname) AS there, m.schema_name IS NOT NULL AS is_mains
          FROM jsonb_each_text(nullif(current_setting('pggit.places', true), '')::jsonb) AS p
          JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch.branch_id AND bt.table_id = p.key::integer
          JOIN pg_class AS c ON c.oid = bt.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname <> p.value
          JOIN pggit.branch_schemas AS w ON w.schema_name = p.value
          -- The schema of that name on the branch is meant.
          LEFT JOIN pggit.branch_schemas AS m ON m.branch_id = p_branch.branch_id AND m.base_schema = n.nspname
         ORDER BY bt.table_id
    LOOP
        IF v_one.is_mains THEN
            EXECUTE format('ALTER TABLE %s SET SCHEMA %I', v_one.relation, v_one.there);
        END IF;
        PERFORM pggit._rename_on_branch(v_one.shown, v_one.was) WHERE EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch.branch_id AND s.schema_name = v_one.there);
    END LOOP;
    PERFORM set_config('pggit.places', '', true);
END;
$$;

COMMENT ON FUNCTION pggit._follow_places(pggit.branches) IS
'After ALTER TABLE … SET SCHEMA on a branch: where a schema of main was named, the table goes to the one that shows it on the branch; its history goes on under the name that it has there.';

CREATE OR REPLACE FUNCTION pggit._refuse_refresh(p_branch pggit.branches, p_statement text)
    RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name text := (regexp_match(p_statement, 'refresh\s+materialized\s+view\s+(?:concurrently\s+)?((?:"[^"]*"|[^\s;"])+)'))[1];
    v_view text := (SELECT c.relname
                      FROM pggit.branch_copies AS k JOIN pg_class AS c ON c.oid = k.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname
                     WHERE k.branch_id = p_branch.branch_id AND c.relkind = 'v' AND replace(v_name, '"', '') IN (lower(c.relname), lower(n.nspname || '.' || c.relname))
                       AND EXISTS (SELECT FROM pg_class AS m JOIN pg_namespace AS w ON w.oid = m.relnamespace WHERE w.nspname = s.base_schema AND m.relname = c.relname AND m.relkind = 'm')
                     LIMIT 1);
BEGIN
    IF v_view IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('materialized view %I needs no REFRESH on branch %L: it is a plain view there', v_view, p_branch.name),
            HINT    = 'It always shows the branch''s rows of now. Leave REFRESH out on a branch, or run it on main.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_refresh(pggit.branches, text) IS
'Raises VG307 where PostgreSQL would say that what REFRESH MATERIALIZED VIEW names is none: a branch''s copy of one is a plain view.';

CREATE OR REPLACE FUNCTION pggit._on_branch_start()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
DECLARE
    v_branch    pggit.branches;
    v_context   text;
    v_statement text;
BEGIN
    IF coalesce(current_setting('pggit.branch', true), '') NOT IN ('', 'main') THEN
        GET DIAGNOSTICS v_context = PG_CONTEXT;
        v_branch := pggit._session_branch();
        IF v_branch.branch_id IS NULL OR pggit._is_own_ddl(v_context) THEN
            RETURN;
        ELSIF TG_TAG IN ('GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES') THEN
            PERFORM set_config('pggit.other_rights', pggit._other_rights(v_branch.branch_id), true);
        ELSE
            v_statement := pggit._statement_text(v_context);
            IF TG_TAG IN ('ALTER TYPE', 'ALTER DOMAIN', 'DROP TYPE', 'DROP DOMAIN') THEN
                PERFORM pggit._copy_types_for_ddl(v_branch, v_statement);
                RETURN;
            ELSIF TG_TAG = 'REFRESH MATERIALIZED VIEW' THEN
                PERFORM pggit._refuse_refresh(v_branch, v_statement);
                RETURN;
            END IF;
            IF TG_TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE VIEW', 'ALTER TABLE', 'DROP TABLE') THEN
                PERFORM pggit._open_names(v_branch.branch_id, v_statement, TG_TAG);
            END IF;
            -- What only reads a table needs no copy of it.
            IF TG_TAG NOT IN ('CREATE TABLE AS', 'SELECT INTO', 'CREATE VIEW') THEN
                PERFORM pggit._make_real_for_ddl(v_branch, v_statement);
            END IF;
            IF TG_TAG = 'DROP TABLE' THEN
                PERFORM pggit._save_for_drop(v_branch, v_statement);
            ELSIF TG_TAG = 'ALTER TABLE' THEN
                PERFORM pggit._save_for_ddl(v_branch, v_statement), pggit._note_places(v_branch, v_statement);
            END IF;
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._on_branch_start() IS
'Event trigger: before DDL on a branch, the views that it names become tables, and the types that it changes get copies. Rights are compared afterwards, for PostgreSQL does not tell on what they were granted.';

CREATE OR REPLACE FUNCTION pggit._other_rights(p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH spaces AS MATERIALIZED (
                SELECT n.oid, n.nspacl FROM pg_namespace AS n
                 WHERE pggit._is_of_main(n.nspname) OR EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE n.nspname = s.schema_name AND s.branch_id <> p_branch_id)
            ), relations AS MATERIALIZED (
                SELECT c.oid, c.relacl FROM pg_class AS c JOIN spaces AS s ON c.relnamespace = s.oid
            ), rights AS (
                SELECT s.oid, 0 AS part, s.nspacl::text AS acl FROM spaces AS s
                UNION ALL SELECT r.oid, 0, r.relacl::text FROM relations AS r
                UNION ALL SELECT r.oid, a.attnum, a.attacl::text FROM relations AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
                UNION ALL SELECT p.oid, 0, p.proacl::text FROM pg_proc AS p JOIN spaces AS s ON p.pronamespace = s.oid
                UNION ALL SELECT y.oid, 0, y.typacl::text FROM pg_type AS y JOIN spaces AS s ON y.typnamespace = s.oid
                UNION ALL SELECT d.oid, 0, d.defaclacl::text FROM pg_default_acl AS d WHERE d.defaclnamespace = 0 OR d.defaclnamespace IN (SELECT s.oid FROM spaces AS s)
            )
            SELECT md5(string_agg(concat_ws(' ', r.oid, r.part, r.acl), ',' ORDER BY r.oid, r.part)) FROM rights AS r WHERE r.acl IS NOT NULL);
END;
$$;

COMMENT ON FUNCTION pggit._other_rights(integer) IS
'Another value whenever anybody gets or loses rights on main or on another branch, or on what is going to be made anywhere.';

CREATE OR REPLACE FUNCTION pggit._refuse_on_branch(p_branch pggit.branches, p_what text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG309', SCHEMA = 'pggit',
        MESSAGE = format('this session is on branch %L, but the statement changes %s, which is not of that branch', p_branch.name, p_what),
        HINT    = CASE split_part(p_what, ' ', 1)
                      WHEN 'extension' THEN 'An extension is there for the whole database, and changes nothing of what is there: SELECT pggit.checkout(''main''); make it, and come back. CREATE EXTENSION IF NOT EXISTS passes then.'
                      WHEN 'sequence' THEN 'Branches draw from main''s sequences, so that their numbers never meet: change it after SELECT pggit.checkout(''main''); or make another one here.'
                      WHEN 'schema' THEN 'Make the schema after SELECT pggit.checkout(''main'');. Tables of the branch in it have a history from pggit.track_schema on, on branches that are made after that.'
                      ELSE 'Leave the schema name out, so that the branch''s object is found. What only main has (functions, tables that the branch is older than) is changed after SELECT pggit.checkout(''main'').' END;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_on_branch(pggit.branches, text) IS
'Raises VG309: a session on a branch may not change the schema of main or of another branch. p_what begins with the kind of object.';

CREATE OR REPLACE FUNCTION pggit._names_of(p_relation oid)
    RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT c.relname::text || ARRAY(SELECT l.name FROM pggit._live_columns(c.oid) AS l ORDER BY l.attnum) FROM pg_class AS c WHERE c.oid = p_relation);
END;
$$;

COMMENT ON FUNCTION pggit._names_of(oid) IS
'The name of a table and those of its columns.';

CREATE OR REPLACE FUNCTION pggit._columns_as_made(p_shown pggit.branch_tables)
    RETURNS SETOF pggit.branch_columns
    LANGUAGE sql STABLE
AS $$
    SELECT p_shown.branch_id, p_shown.table_id, c.column_id, c.n::smallint, p_shown.names[c.n + 1], c.type_name, c.key_position, c.generated_as, NULL::pggit._mark, NULL::pggit._mark, c.origin, NULL::jsonb
      FROM (SELECT k.*, row_number() OVER (ORDER BY k.origin) AS n FROM pggit._columns_at(p_shown.table_id, pggit._branch_now(p_shown.branch_id)) AS k) AS c
     WHERE NOT EXISTS (SELECT FROM pggit.branch_columns AS b WHERE b.branch_id = p_shown.branch_id AND b.table_id = p_shown.table_id)
    UNION ALL
    SELECT b.* FROM pggit.branch_columns AS b WHERE b.branch_id = p_shown.branch_id AND b.table_id = p_shown.table_id AND b.dropped_at IS NULL;
$$;

COMMENT ON FUNCTION pggit._columns_as_made(pggit.branch_tables) IS
'The columns that a branch''s real table has as far as is known: those it was made with, or those that the branch has changed them to.';

CREATE OR REPLACE FUNCTION pggit._has_other_identity(p_shown pggit.branch_tables)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pggit.branch_schemas AS s ON s.schema_name = n.nspname
                                WHERE c.oid = p_shown.relation AND s.branch_id = p_shown.branch_id)
                   OR ARRAY(SELECT l.attnum FROM pggit._live_columns(p_shown.relation) AS l WHERE l.key_position IS NOT NULL ORDER BY l.key_position)
                      <> ARRAY(SELECT c.attnum FROM pggit._columns_as_made(p_shown) AS c WHERE c.key_position IS NOT NULL ORDER BY c.key_position));
END;
$$;

COMMENT ON FUNCTION pggit._has_other_identity(pggit.branch_tables) IS
'Whether a branch''s real table is in none of the branch''s schemas any more, or has another primary key than it was made with.';

CREATE OR REPLACE FUNCTION pggit._has_other_name(p_shown pggit.branch_tables)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT c.relname <> p_shown.names[1] FROM pg_class AS c WHERE c.oid = p_shown.relation);
END;
$$;

COMMENT ON FUNCTION pggit._has_other_name(pggit.branch_tables) IS
'Whether a branch''s real table has another name than is known.';

CREATE OR REPLACE FUNCTION pggit._has_other_shape(p_shown pggit.branch_tables)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT pggit._has_other_identity(p_shown) OR pggit._has_other_name(p_shown)
                   OR EXISTS (SELECT
                                FROM pggit._columns_as_made(p_shown) AS c
                                FULL JOIN pggit._live_columns(p_shown.relation) AS l ON l.attnum = c.attnum
                               WHERE (c.name, c.type_name, c.generated_as IS NULL) IS DISTINCT FROM (l.name, l.type_name, l.generated_as IS NULL))
                   OR (pggit._is_row_by_row(p_shown.relation) AND NOT pggit._is_captured_row_by_row(p_shown.relation)));
END;
$$;

COMMENT ON FUNCTION pggit._has_other_shape(pggit.branch_tables) IS
'Whether a branch''s real table is no longer as far as is known: its columns, primary key, name, schema or way of being logged.';

CREATE OR REPLACE FUNCTION pggit._save_branch_rows(p_shown pggit.branch_tables)
    RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    v_why   text := pggit._why_not_saved(p_shown.relation);
    v_now   pggit._position := pggit._branch_now(p_shown.branch_id);
    v_seq   bigint;
BEGIN
    IF v_why IS NOT NULL THEN
        RETURN to_jsonb(v_why);
    END IF;
    -- The lock that the statement is about to take.
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_shown.relation::regclass);
    PERFORM pggit._lock_base(p_shown.branch_id);
    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    v_seq := nextval('pggit._ordinal');
    EXECUTE format('INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _owned, _live, _deleted, %2$s)
                    SELECT $1, pggit._transaction_number(), %3$s, EXISTS (SELECT FROM pggit._mask_%1$s AS m WHERE m._b = %3$s AND %4$s), true, false, %5$s FROM (%6$s) AS r',
                   p_shown.table_id, pggit._stored_columns(p_shown.table_id, NULL, v_now), p_shown.branch_id, pggit._same_key(p_shown.table_id, 'm', 'r'),
                   pggit._stored_columns(p_shown.table_id, 'r', v_now), pggit._dense_rows_sql(p_shown.branch_id, p_shown.table_id)) USING v_seq;
    RETURN to_jsonb(v_seq);
END;
$$;

COMMENT ON FUNCTION pggit._save_branch_rows(pggit.branch_tables) IS
'Logs all rows of a branch''s real table as they are, as one statement of this transaction, and returns its ordinal; where that can''t be, the reason as text.';

CREATE OR REPLACE FUNCTION pggit._add_branch_column(p_shown pggit.branch_tables, p_column record, p_origin integer, p_mark pggit._mark)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_new   record := pggit._adopted_column(p_shown.branch_id, p_shown.table_id, p_column.name, p_column.type_name);
    v_store text;
BEGIN
    INSERT INTO pggit.branch_columns (branch_id, table_id, column_id, attnum, name, type_name, generated_as, added_at, origin)
    VALUES (p_shown.branch_id, p_shown.table_id, v_new.column_id, p_column.attnum, p_column.name, p_column.type_name, p_column.generated_as, p_mark,
            coalesce(v_new.origin, p_origin, v_new.column_id));
    IF p_column.generated_as IS NULL THEN
        FOREACH v_store IN ARRAY ARRAY['_delta', '_undo'] LOOP
            CONTINUE WHEN pggit._has_column(v_store, p_shown.table_id, v_new.column_id);
            PERFORM pggit._bounded(ARRAY[format('ALTER TABLE pggit.%s_%s ADD c%s %s%s', v_store, p_shown.table_id, v_new.column_id, p_column.type_name,
                                                pggit._collate_sql(p_shown.relation, p_column.attnum))],
                                   ARRAY[to_regclass(format('pggit.%s_%s', v_store, p_shown.table_id))::oid], format('the history of branches of table %s', p_shown.relation::regclass));
        END LOOP;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._add_branch_column(pggit.branch_tables, record, integer, pggit._mark) IS
'A new column of a branch''s real table, and of the stores of branches. p_origin: of the column that it takes the place of, if any.';

CREATE OR REPLACE FUNCTION pggit._begin_own_columns(p_shown pggit.branch_tables)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pggit.branch_columns AS b WHERE b.branch_id = p_shown.branch_id AND b.table_id = p_shown.table_id) THEN
        INSERT INTO pggit.branch_columns SELECT c.* FROM pggit._columns_as_made(p_shown) AS c;
        PERFORM pggit._keep_past_columns(p_shown.branch_id, p_shown.table_id);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._begin_own_columns(pggit.branch_tables) IS
'A branch''s real table has the columns that it was made with as a list of its own from here on.';

CREATE OR REPLACE FUNCTION pggit._follow_branch_columns(p_shown pggit.branch_tables, p_mark pggit._mark, p_is_rewritten boolean, OUT lost boolean, OUT recomputed boolean, OUT changed boolean)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_names  jsonb;
    v_column record;
BEGIN
    PERFORM pggit._begin_own_columns(p_shown);
    lost       := p_is_rewritten;
    recomputed := p_is_rewritten;
    changed    := false;
    v_names := (SELECT jsonb_object_agg(c.column_id, c.name) FROM pggit.branch_columns AS c
                 WHERE c.branch_id = p_shown.branch_id AND c.table_id = p_shown.table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL);
    FOR v_column IN
        SELECT c.column_id, c.origin, c.name AS old_name, c.type_name AS old_type, c.generated_as AS old_generated, l.*
          FROM (SELECT c.* FROM pggit.branch_columns AS c WHERE c.branch_id = p_shown.branch_id AND c.table_id = p_shown.table_id AND c.dropped_at IS NULL) AS c
          FULL JOIN pggit._live_columns(p_shown.relation) AS l ON l.attnum = c.attnum
         WHERE (c.name, c.type_name, c.generated_as) IS DISTINCT FROM (l.name, l.type_name, l.generated_as)
         ORDER BY coalesce(l.attnum, c.attnum)
    LOOP
        changed := true;
        IF v_column.column_id IS NULL THEN
            PERFORM pggit._add_branch_column(p_shown, v_column, NULL, p_mark);
        ELSIF (v_column.type_name, v_column.generated_as) IS NOT DISTINCT FROM (v_column.old_type, v_column.old_generated) THEN
            UPDATE pggit.branch_columns AS c SET name = v_column.name
             WHERE c.branch_id = p_shown.branch_id AND c.table_id = p_shown.table_id AND c.column_id = v_column.column_id;
        ELSE
            lost := lost OR v_column.old_generated IS NULL;
            IF v_column.key_position IS NOT NULL THEN
                PERFORM pggit._refuse_other_shape(p_shown);
            END IF;
            UPDATE pggit.branch_columns AS c SET dropped_at = p_mark, names = CASE WHEN c.generated_as IS NOT NULL THEN v_names END
             WHERE c.branch_id = p_shown.branch_id AND c.table_id = p_shown.table_id AND c.column_id = v_column.column_id;
            IF v_column.name IS NOT NULL THEN
                recomputed := recomputed OR v_column.generated_as IS NULL;
                PERFORM pggit._add_branch_column(p_shown, v_column, v_column.origin, p_mark);
            END IF;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._follow_branch_columns(pggit.branch_tables, pggit._mark, boolean) IS
'Takes over the columns that a branch''s real table has now. lost: values went that rows had; recomputed: rows got
others for them; changed: the columns are others. Raises VG307 for a key column of another type.';

CREATE OR REPLACE FUNCTION pggit._has_first_key(p_shown pggit.branch_tables)
    RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT pggit._is_keyless(p_shown.table_id) AND EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = p_shown.relation AND i.indisprimary)
           AND EXISTS (SELECT FROM pggit.tables AS t WHERE t.table_id = p_shown.table_id AND NOT t.on_main);
$$;

COMMENT ON FUNCTION pggit._has_first_key(pggit.branch_tables) IS
'Whether a table that was made on the branch without a primary key has got one.';

CREATE OR REPLACE FUNCTION pggit._begin_on_branch_anew(p_shown pggit.branch_tables)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._drop_capture(p_shown.relation);
    PERFORM pggit._drop_on_branch(p_shown, '0');
    PERFORM pggit._track_on_branch(p_shown.branch_id, p_shown.relation);
END;
$$;

COMMENT ON FUNCTION pggit._begin_on_branch_anew(pggit.branch_tables) IS
'A table that was made on a branch without a primary key has got one: to the history it is another table from now on, with all its rows.';

CREATE OR REPLACE FUNCTION pggit._follow_branch_table(p_shown pggit.branch_tables, p_saved jsonb DEFAULT NULL, p_in_statement boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_told    boolean := pggit._is_told_of_ddl();
    v_name    text    := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_shown.relation);
    v_now     pggit._position := pggit._branch_now(p_shown.branch_id);
    v_mark    pggit._mark;
    v_columns record;
BEGIN
    -- Where nobody told of it, whoever meets the change first follows it; the others wait here.
    SELECT bt.* INTO p_shown FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_shown.branch_id AND bt.table_id = p_shown.table_id FOR NO KEY UPDATE;
    -- A restored table has other attnums where columns had been dropped.
    UPDATE pggit.branch_columns AS c SET attnum = a.attnum
      FROM pg_attribute AS a
     WHERE p_shown.watched[3] <> pggit._place()::text AND c.branch_id = p_shown.branch_id AND c.table_id = p_shown.table_id AND c.dropped_at IS NULL
       AND a.attrelid = p_shown.relation AND a.attname = c.name AND NOT a.attisdropped;
    IF NOT p_in_statement AND pggit._has_first_key(p_shown) THEN
        PERFORM pggit._begin_on_branch_anew(p_shown);
        RETURN;
    ELSIF NOT p_in_statement AND pggit._has_other_identity(p_shown) THEN
        PERFORM pggit._refuse_other_shape(p_shown);
    ELSIF NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = p_shown.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('table %s would have no columns on branch %L, and rows without columns have no history', v_name, (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_shown.branch_id)),
            HINT    = 'Drop the table, or add the column that it goes on with before the last one is dropped.';
    END IF;
    PERFORM pggit._rename_on_branch(p_shown) WHERE pggit._has_other_name(p_shown) AND NOT pggit._has_other_identity(p_shown);
    PERFORM pggit._record_transaction();  -- when it was, for refs by time
    PERFORM nextval('pggit._ordinal');
    v_mark    := pggit._mark_now();
    v_columns := pggit._follow_branch_columns(p_shown, v_mark, CASE WHEN v_told THEN p_shown.relation::oid::text = ANY (string_to_array(coalesce(current_setting('pggit.rewritten', true), ''), ','))
                                                                   ELSE p_shown.watched[3] = pggit._place()::text AND p_shown.watched[2] <> pggit._storage(p_shown.relation) END);
    UPDATE pggit.branch_tables AS bt SET watched = ARRAY[pggit._column_versions(bt.relation), pggit._storage(bt.relation), pggit._place()::text]
     WHERE bt.branch_id = p_shown.branch_id AND bt.table_id = p_shown.table_id;
    IF pggit._is_keyless(p_shown.table_id) THEN
        PERFORM pggit._tell_branch(p_shown.table_id, p_shown.branch_id);
        v_columns.recomputed := false;
    ELSIF v_columns.lost AND jsonb_typeof(p_saved) IS DISTINCT FROM 'number' THEN
        PERFORM pggit._lose_branch_rows(p_shown, v_name, v_mark, p_in_statement, coalesce(p_saved #>> '{}', 'the statement does not name the table and the column'));
    ELSIF jsonb_typeof(p_saved) = 'number' AND NOT v_columns.lost THEN
        EXECUTE format('DELETE FROM pggit._undo_%s AS l WHERE l._b = %s AND l._xid = pggit._transaction_number() AND l._seq = $1', p_shown.table_id, p_shown.branch_id) USING p_saved::bigint;
    END IF;
    IF v_columns.recomputed THEN
        EXECUTE format('INSERT INTO pggit._mask_%s (_b, %s) SELECT %s, %s FROM (%s) AS r ON CONFLICT DO NOTHING', p_shown.table_id, pggit._key_columns(p_shown.table_id), p_shown.branch_id,
                       pggit._key_columns(p_shown.table_id, 'r'), pggit._dense_rows_sql(p_shown.branch_id, p_shown.table_id));
    END IF;
    IF (v_columns.changed AND v_told) OR (NOT p_in_statement AND pggit._is_row_by_row(p_shown.relation) AND NOT pggit._is_captured_row_by_row(p_shown.relation)) THEN
        PERFORM pggit._drop_capture(p_shown.relation);
        PERFORM pggit._capture_real(p_shown.branch_id, p_shown.table_id, v_name, v_now);
    ELSIF v_columns.changed THEN
        PERFORM pggit._ensure_real_capture(p_shown.table_id, v_now, pggit._real_shape_name(p_shown.branch_id, p_shown.table_id, v_now));
    END IF;
    PERFORM pggit._take_columns(p_shown.table_id, p_shown.branch_id);
END;
$$;

COMMENT ON FUNCTION pggit._follow_branch_table(pggit.branch_tables, jsonb, boolean) IS
'After DDL on a branch''s real table: its history knows the columns it has now, and its capture logs them. p_saved: the ordinal of the rows that were saved before, or why they were not.
p_in_statement: a statement on the table is running that must not fail. Raises VG307 when rows had to be saved, for another schema or primary key, and where no column is left.';

CREATE OR REPLACE FUNCTION pggit._lose_branch_rows(p_shown pggit.branch_tables, p_name text, p_mark pggit._mark, p_in_statement boolean, p_reason text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch text := (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_shown.branch_id);
BEGIN
    IF NOT p_in_statement THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('what the changed columns of table %s held on branch %L could not be saved: %s', p_name, v_branch, p_reason),
            HINT    = 'Check out the branch and change the table in READ COMMITTED by a statement that names table and column, with pggit.save_limit above the table''s size.';
    END IF;
    INSERT INTO pggit.branch_gaps (branch_id, table_id, at) VALUES (p_shown.branch_id, p_shown.table_id, p_mark) ON CONFLICT (branch_id, table_id) DO UPDATE SET at = excluded.at;
    RAISE WARNING USING
        MESSAGE = format('what the changed columns of table %s held is not saved: its states on branch %L from before can''t be read any more (VG306)', p_name, v_branch),
        HINT    = 'Where no event trigger tells pggit of DDL, change tables of a branch with pggit.ddl.';
END;
$$;

COMMENT ON FUNCTION pggit._lose_branch_rows(pggit.branch_tables, text, pggit._mark, boolean, text) IS
'Refuses DDL that would lose history of a branch (VG307); where it is too late for that, ends the part of the history that can be read, and warns of it.';

CREATE OR REPLACE FUNCTION pggit._refuse_other_shape(p_shown pggit.branch_tables)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG307', SCHEMA = 'pggit',
        MESSAGE = format('the primary key of table %s can''t be changed on branch %L, nor can the table go to a schema that the branch does not have: its history is kept by main''s key', p_shown.relation::regclass,
                         (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_shown.branch_id)),
        HINT    = 'Both are changed on main, after SELECT pggit.checkout(''main''); and a merge brings them. Its name, columns, indexes, constraints, triggers and policies, and its schema among those of the branch, can be changed here.';
END;
$$;

COMMENT ON FUNCTION pggit._refuse_other_shape(pggit.branch_tables) IS
'Raises VG307: a branch''s table stays in a schema of the branch, and keeps the key that its history is kept by.';

CREATE OR REPLACE FUNCTION pggit._state_of(p_schema text)
    RETURNS integer
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT b.branch_id FROM pggit.branch_schemas AS s JOIN pggit.branches AS b USING (branch_id) WHERE s.schema_name = p_schema AND b.mode = 'detached');
END;
$$;

COMMENT ON FUNCTION pggit._state_of(text) IS
'The state of the past that a schema shows, or NULL.';

CREATE OR REPLACE FUNCTION pggit._on_branch_end()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_branch  pggit.branches;
    v_saved   jsonb := coalesce(nullif(current_setting('pggit.branch_saved', true), ''), '{}');
    v_shown   pggit.branch_tables;
    v_context text;
    v_one     record;
BEGIN
    GET DIAGNOSTICS v_context = PG_CONTEXT;
    IF pggit._is_own_ddl(v_context) THEN
        RETURN;
    END IF;
    v_branch := pggit._branch_for_ddl();
    IF v_branch.branch_id IS NOT NULL AND TG_TAG IN ('GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES')
       AND current_setting('pggit.other_rights', true) IS DISTINCT FROM pggit._other_rights(v_branch.branch_id) THEN
        PERFORM pggit._refuse_on_branch(v_branch, 'rights on something');
    END IF;
    IF TG_TAG = 'ALTER TABLE' AND current_setting('pggit.places', true) <> '' THEN
        PERFORM pggit._follow_places(v_branch);
    END IF;
    FOR v_one IN
        WITH done AS MATERIALIZED (
            SELECT d.classid, d.objid, d.object_type, d.object_identity, coalesce(d.schema_name, a.object_names[1]) AS schema_name
              FROM pg_event_trigger_ddl_commands() AS d
              LEFT JOIN LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) AS a ON d.schema_name IS NULL AND d.classid <> 0 AND d.objid <> 0
        )
        SELECT DISTINCT d.object_type, d.object_identity, d.objid, s.branch_id AS other_branch,
               pggit._is_of_main(d.schema_name) AS is_main,
               EXISTS (SELECT FROM pggit.branch_schemas AS b WHERE b.schema_name = d.schema_name AND b.branch_id = v_branch.branch_id) AS is_own, pggit._state_of(d.schema_name) AS state
          FROM done AS d
          LEFT JOIN pggit.branch_schemas AS s ON s.schema_name = d.schema_name AND s.branch_id <> v_branch.branch_id
    LOOP
        IF v_branch.branch_id IS NOT NULL AND (v_one.is_main OR v_one.other_branch IS NOT NULL OR v_one.object_type IN ('extension', 'schema')) THEN
            PERFORM pggit._refuse_on_branch(v_branch, format('%s %s', v_one.object_type, v_one.object_identity));
        ELSIF v_one.state IS NOT NULL AND TG_TAG NOT IN ('REINDEX', 'REASSIGN OWNED') THEN
            PERFORM pggit._refuse_detached(b) FROM pggit.branches AS b WHERE b.branch_id = v_one.state;
        ELSIF v_one.is_own AND v_one.object_type = 'table' AND TG_TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO') THEN
            PERFORM pggit._follow_new_table(v_branch, v_one.objid);
        END IF;
    END LOOP;
    FOR v_shown IN
        WITH changed AS MATERIALIZED (
            SELECT d.objid FROM pg_event_trigger_ddl_commands() AS d WHERE d.classid = 'pg_class'::regclass
        ), shown AS (
            SELECT c.objid FROM changed AS c
            UNION SELECT d FROM pggit._descendants(ARRAY(SELECT c.objid FROM changed AS c)) AS d
            UNION SELECT h.inhparent FROM changed AS c JOIN pg_inherits AS h ON h.inhrelid = c.objid
        )
        SELECT bt.* FROM pggit.branch_tables AS bt JOIN shown AS s ON bt.relation = s.objid WHERE bt.form = 'table'
    LOOP
        IF v_saved ? v_shown.table_id::text OR pggit._has_other_shape(v_shown) OR v_shown.relation::oid::text = ANY (string_to_array(coalesce(current_setting('pggit.rewritten', true), ''), ',')) THEN
            PERFORM pggit._follow_branch_table(v_shown, v_saved -> v_shown.table_id::text);
        END IF;
    END LOOP;
    IF TG_TAG = 'DROP TABLE' THEN
        PERFORM pggit._unsave(v_branch.branch_id, s.key::integer, s.value) FROM jsonb_each(v_saved) AS s;
    END IF;
    IF pggit._opened() <> '{}' OR EXISTS (SELECT FROM pggit.table_changes AS c WHERE c.branch_id = v_branch.branch_id AND NOT c.is_there) THEN
        PERFORM pggit._close_names(v_branch.branch_id, pggit._statement_text(v_context));
    END IF;
    PERFORM set_config('pggit.branch_saved', '', true);
END;
$$;

COMMENT ON FUNCTION pggit._on_branch_end() IS
'Event trigger: DDL of a session on a branch must not have changed anything of main or of another branch; changed columns of a branch''s table are followed. Raises VG309, VG307.';

CREATE OR REPLACE FUNCTION pggit._refuse_drop(p_table text, p_branch text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG307', SCHEMA = 'pggit',
        MESSAGE = format('table %s of branch %L can''t be dropped from elsewhere', p_table, p_branch),
        HINT    = format('SELECT pggit.checkout(%L); and drop it there by its name, or SELECT pggit.delete_branch(%1$L);', p_branch);
END;
$$;

COMMENT ON FUNCTION pggit._refuse_drop(text, text) IS
'Raises VG307: a table of a branch is dropped by who is on the branch.';

CREATE OR REPLACE FUNCTION pggit._refuse_cascade(p_column text, p_tag text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG307', SCHEMA = 'pggit',
        MESSAGE = format('%s … CASCADE would drop column %s, and what it holds could not be saved', p_tag, p_column),
        HINT    = 'Drop the column first, by ALTER TABLE … DROP COLUMN.';
END;
$$;

COMMENT ON FUNCTION pggit._refuse_cascade(text, text) IS
'Raises VG307: a column of a branch''s table is dropped by a statement that names it.';

CREATE OR REPLACE FUNCTION pggit._refuse_taking(p_what text, p_branch text, p_tag text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG307', SCHEMA = 'pggit',
        MESSAGE = format('%s would drop %s, which is of branch %L', p_tag, p_what, p_branch),
        HINT    = format('Drop or change it there first: SELECT pggit.checkout(%L);. Or SELECT pggit.delete_branch(%1$L);', p_branch)
                  || CASE p_tag WHEN 'DROP OWNED' THEN ' Or give what the role owns to another one, by REASSIGN OWNED.'
                                WHEN 'DROP SCHEMA' THEN ' Or move what branches need out of the schema, by ALTER … SET SCHEMA.' ELSE '' END;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_taking(text, text, text) IS
'Raises VG307: what is dropped on main takes nothing of a branch along.';

CREATE OR REPLACE FUNCTION pggit._on_branch_drop()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
DECLARE
    v_branch  pggit.branches;
    v_context text;
    v_one     record;
BEGIN
    GET DIAGNOSTICS v_context = PG_CONTEXT;
    IF pggit._is_own_ddl(v_context) THEN
        RETURN;
    END IF;
    v_branch := pggit._branch_for_ddl();
    DELETE FROM pggit.branch_copies AS c USING pg_event_trigger_dropped_objects() AS d
     WHERE (d.classid = 'pg_class'::regclass AND c.relation = d.objid AND d.objsubid = 0) OR (d.classid = 'pg_proc'::regclass AND c.routine IS NOT NULL AND to_regprocedure(c.routine) IS NULL);
    FOR v_one IN
        WITH gone AS MATERIALIZED (
            SELECT d.classid, d.objid, d.objsubid, d.original, d.object_type, d.object_identity, coalesce(d.schema_name, d.address_names[1]) AS schema_name
              FROM pg_event_trigger_dropped_objects() AS d WHERE NOT d.is_temporary
        ), told AS MATERIALIZED (
            -- What belongs to an object that was dropped by its own name goes with it.
            SELECT g.*, EXISTS (SELECT FROM gone AS o JOIN pggit.branch_schemas AS s ON s.schema_name = o.schema_name WHERE o.original) AS is_meant FROM gone AS g
        )
        SELECT d.*, b.name AS branch_name, bt AS shown, bt.branch_id = v_branch.branch_id AND TG_TAG = 'DROP TABLE' AS may_go,
               bt.form = 'view' AND NOT d.original AS is_taken,
               (SELECT o.name FROM pggit.branch_schemas AS s JOIN pggit.branches AS o USING (branch_id)
                 WHERE v_branch.branch_id IS NULL AND s.schema_name = d.schema_name AND CASE WHEN d.original THEN d.object_type = 'schema' ELSE NOT d.is_meant END) AS taken_from,
               pggit._is_of_main(d.schema_name) AS is_main,
               EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.schema_name = d.schema_name AND s.branch_id <> v_branch.branch_id) AS is_others,
               CASE WHEN v_branch.branch_id IS NOT NULL OR (d.original AND TG_TAG <> 'DROP OWNED') THEN pggit._state_of(d.schema_name) END AS state
          FROM told AS d
          LEFT JOIN pggit.branch_tables AS bt ON bt.relation = d.objid AND d.classid = 'pg_class'::regclass AND d.objsubid = 0
          LEFT JOIN pggit.branches AS b USING (branch_id)
          LEFT JOIN pggit.tables AS t USING (table_id)
         ORDER BY d.original DESC, (bt.form = 'view') IS TRUE DESC, d.classid <> 'pg_class'::regclass, d.object_identity
    LOOP
        IF v_branch.branch_id IS NOT NULL AND (v_one.is_main OR v_one.is_others OR v_one.object_type IN ('extension', 'schema')) THEN
            PERFORM pggit._refuse_on_branch(v_branch, format('%s %s', v_one.object_type, v_one.object_identity));
        ELSIF v_one.state IS NOT NULL THEN
            PERFORM pggit._refuse_detached(b) FROM pggit.branches AS b WHERE b.branch_id = v_one.state;
        ELSIF v_branch.branch_id IS NOT NULL AND NOT v_one.original AND TG_TAG IN ('DROP TYPE', 'DROP DOMAIN') AND v_one.object_type = 'table column'
              AND EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.relation = v_one.objid AND bt.form = 'table') THEN
            PERFORM pggit._refuse_cascade(v_one.object_identity, TG_TAG);
        ELSIF v_one.may_go THEN
            PERFORM pggit._drop_on_branch(v_one.shown, coalesce(nullif(current_setting('pggit.branch_saved', true), ''), '{}')::jsonb -> ((v_one.shown).table_id)::text);
        ELSIF v_one.is_taken THEN
            PERFORM pggit._refuse_for_views(t, format('the statement would drop %s', v_one.object_identity), CASE WHEN TG_TAG = 'DROP TABLE' THEN 'What branches show can''t go along.' ELSE 'What branches show can''t go along: drop main''s columns by ALTER TABLE.' END, TG_TAG = 'DROP TABLE')
               FROM pggit.tables AS t WHERE t.table_id = (v_one.shown).table_id;
        ELSIF v_one.taken_from IS NOT NULL THEN
            PERFORM pggit._refuse_taking(format('%s %s', v_one.object_type, v_one.object_identity), v_one.taken_from, TG_TAG);
        ELSIF v_one.branch_name IS NOT NULL AND (v_one.original OR v_branch.branch_id IS NOT NULL) THEN
            PERFORM pggit._refuse_drop(v_one.object_identity, v_one.branch_name);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._on_branch_drop() IS
'Event trigger: DDL of a session on a branch must not have dropped anything of main or of another branch, nor anybody a branch''s table, nor main with CASCADE anything of a branch. Raises VG309, VG307.';

CREATE OR REPLACE FUNCTION pggit._main_objects(p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH spaces AS MATERIALIZED (
                SELECT n.oid FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.base_schema WHERE s.branch_id = p_branch_id
            ), relations AS MATERIALIZED (
                SELECT c.oid, concat_ws(' ', c.xmin, c.ctid) AS version FROM pg_class AS c JOIN spaces AS s ON c.relnamespace = s.oid
            ), objects AS ( -- ctid: what a transaction changes twice has one xmin
                SELECT r.oid, r.version FROM relations AS r
                UNION ALL SELECT a.attrelid, concat_ws(' ', a.xmin, a.ctid) FROM relations AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
                UNION ALL SELECT k.oid, concat_ws(' ', k.xmin, k.ctid) FROM relations AS r JOIN pg_constraint AS k ON k.conrelid = r.oid
                UNION ALL SELECT g.oid, concat_ws(' ', g.xmin, g.ctid) FROM relations AS r JOIN pg_trigger AS g ON g.tgrelid = r.oid
                UNION ALL SELECT l.oid, concat_ws(' ', l.xmin, l.ctid) FROM relations AS r JOIN pg_policy AS l ON l.polrelid = r.oid
                UNION ALL SELECT y.oid, concat_ws(' ', y.xmin, y.ctid) FROM pg_type AS y JOIN spaces AS s ON y.typnamespace = s.oid
                UNION ALL SELECT e.oid, concat_ws(' ', e.xmin, e.ctid) FROM pg_enum AS e JOIN pg_type AS y ON y.oid = e.enumtypid JOIN spaces AS s ON y.typnamespace = s.oid
                UNION ALL SELECT p.oid, concat_ws(' ', p.xmin, p.ctid) FROM pg_proc AS p JOIN spaces AS s ON p.pronamespace = s.oid
            )
            SELECT md5(string_agg(concat_ws(' ', o.oid, o.version), ',' ORDER BY o.oid, o.version)) FROM objects AS o);
END;
$$;

COMMENT ON FUNCTION pggit._main_objects(integer) IS
'Another value whenever anything is made, changed or dropped in the schemas of main that a branch shows.';

CREATE OR REPLACE FUNCTION pggit._follow_branch_tables(p_branch pggit.branches, p_saved jsonb)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_shown pggit.branch_tables;
BEGIN
    FOR v_shown IN SELECT bt.* FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch.branch_id AND bt.form = 'table' ORDER BY bt.table_id LOOP
        IF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = v_shown.relation) THEN
            PERFORM pggit._drop_on_branch(v_shown, p_saved -> v_shown.table_id::text);
        ELSIF p_saved ? v_shown.table_id::text OR pggit._has_other_shape(v_shown) THEN
            PERFORM pggit._follow_branch_table(v_shown, p_saved -> v_shown.table_id::text);
        END IF;
    END LOOP;
    PERFORM pggit._follow_tables_of(p_branch);
END;
$$;

COMMENT ON FUNCTION pggit._follow_branch_tables(pggit.branches, jsonb) IS
'Where no event trigger tells of DDL: follows what pggit.ddl did to a branch''s real tables. Raises VG307 for one that is gone and was not saved.';

CREATE OR REPLACE FUNCTION pggit.ddl(p_branch text, p_sql text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
    v_told   boolean := pggit._is_told_of_ddl();
    v_path   text    := current_setting('search_path');
    v_before text    := coalesce(current_setting('pggit.branch', true), '');
    v_main   text;
    v_saved  jsonb;
BEGIN
    IF p_sql IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'p_sql is NULL, but must be one or more statements';
    END IF;
    PERFORM pggit._refuse_detached(v_branch);
    PERFORM pg_catalog.set_config('search_path', pggit._branch_path(v_branch.name, v_path), true), pg_catalog.set_config('pggit.branch', v_branch.name, true);
    IF v_branch.branch_id <> 1 AND NOT v_told THEN
        PERFORM pggit._open_names(v_branch.branch_id, lower(p_sql));
        PERFORM pggit._copy_types_for_ddl(v_branch, lower(p_sql));
        PERFORM pggit._make_real_for_ddl(v_branch, lower(p_sql));
        PERFORM pggit._save_for_ddl(v_branch, lower(p_sql)), pggit._note_places(v_branch, lower(p_sql));
        PERFORM pggit._save_for_drop(v_branch, lower(p_sql)) WHERE p_sql ~* '\mdrop\M';
        v_main := pggit._main_objects(v_branch.branch_id);
    ELSIF NOT v_told THEN
        PERFORM pggit._follow_changed();
        v_saved := pggit._save_for_statement(lower(p_sql), current_schemas(true), '{}');
        PERFORM pg_catalog.set_config('pggit.saved', v_saved::text, true);
    END IF;

    EXECUTE p_sql;

    IF v_branch.branch_id <> 1 AND NOT v_told THEN
        PERFORM pggit._follow_places(v_branch) WHERE current_setting('pggit.places', true) <> '';
        IF v_main IS DISTINCT FROM pggit._main_objects(v_branch.branch_id) THEN
            PERFORM pggit._refuse_on_branch(v_branch, 'something');
        END IF;
        PERFORM pggit._follow_branch_tables(v_branch, coalesce(nullif(current_setting('pggit.branch_saved', true), ''), '{}')::jsonb);
        PERFORM pggit._close_names(v_branch.branch_id, lower(p_sql));
        PERFORM pg_catalog.set_config('pggit.branch_saved', '', true);
    ELSIF NOT v_told THEN
        PERFORM pggit._follow_shape(t.relation, false, s.value) FROM jsonb_each(v_saved) AS s JOIN pggit.tables AS t ON t.table_id = s.key::integer JOIN pg_class AS c ON c.oid = t.relation;
        PERFORM pggit._restore_views(), pg_catalog.set_config('pggit.saved', '', true);
    END IF;
    PERFORM pg_catalog.set_config('search_path', v_path, true), pg_catalog.set_config('pggit.branch', v_before, true);
END;
$$;

COMMENT ON FUNCTION pggit.ddl(text, text) IS
'Run DDL on a branch, as if it were checked out: it changes the branch''s tables and nothing of main, also where no event trigger watches over that.
On main, where none does, it is how columns are dropped and retyped that branches show as views: what they held is saved for them and for the history.
p_branch NULL is the session''s branch; p_sql is one or more statements that may run inside a transaction. Views of the branch that they name become tables first, up to
pggit.materialize_ddl_limit (1GB); what dropped or retyped columns held is saved up to pggit.save_limit (256MB). All or nothing. Raises VG001, VG202, VG307 (another key of a table
that the branch shows, or a schema that it has not; too large), VG309 (it would change main), VG401.';

CREATE OR REPLACE FUNCTION pggit._on_main_end()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
DECLARE
    v_context text;
BEGIN
    GET DIAGNOSTICS v_context = PG_CONTEXT;
    IF NOT pggit._is_own_ddl(v_context) AND ((pggit._session_branch())).branch_id IS NULL THEN
        PERFORM pggit._follow_main();
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._on_main_end() IS
'Event trigger: states of the past that somebody looks at get main''s rights at once, and nothing by a name that is new on main.';

DO $triggers$
BEGIN
    IF NOT pggit._is_told_of_ddl() THEN
        PERFORM pggit._watch_tables();
    END IF;
    IF NOT current_setting('is_superuser')::boolean THEN
        RETURN;
    END IF;
    DROP EVENT TRIGGER IF EXISTS pggit_branch_start;
    DROP EVENT TRIGGER IF EXISTS pggit_branch_end;
    DROP EVENT TRIGGER IF EXISTS pggit_branch_drop;
    DROP EVENT TRIGGER IF EXISTS pggit_main_end;
    CREATE EVENT TRIGGER pggit_branch_start ON ddl_command_start
        WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE VIEW', 'DROP TABLE', 'CREATE INDEX', 'ALTER INDEX', 'DROP INDEX', 'CREATE TRIGGER', 'ALTER TRIGGER', 'DROP TRIGGER',
                     'ALTER TYPE', 'ALTER DOMAIN', 'DROP TYPE', 'DROP DOMAIN', 'REFRESH MATERIALIZED VIEW',
                     'CREATE POLICY', 'ALTER POLICY', 'DROP POLICY', 'CREATE RULE', 'ALTER RULE', 'DROP RULE', 'CREATE STATISTICS', 'COMMENT', 'GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES')
        EXECUTE FUNCTION pggit._on_branch_start();
    CREATE EVENT TRIGGER pggit_branch_end ON ddl_command_end EXECUTE FUNCTION pggit._on_branch_end();
    CREATE EVENT TRIGGER pggit_branch_drop ON sql_drop EXECUTE FUNCTION pggit._on_branch_drop();
    CREATE EVENT TRIGGER pggit_main_end ON ddl_command_end
        WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE VIEW', 'ALTER VIEW', 'CREATE MATERIALIZED VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER SCHEMA',
                     'GRANT', 'REVOKE', 'CREATE POLICY', 'ALTER POLICY', 'DROP POLICY', 'DROP OWNED')
        EXECUTE FUNCTION pggit._on_main_end();
    ALTER EVENT TRIGGER pggit_main_end ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_branch_start ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_branch_end ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_branch_drop ENABLE ALWAYS;
END;
$triggers$;
