-- Names that a branch has dropped, or that main has got since the state that a branch began with, stay shut: the search_path must not go on to main's table of the same name.

CREATE OR REPLACE FUNCTION pggit._refuse_name(p_code text, p_message text, p_hint text)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = p_code, SCHEMA = CASE WHEN p_code LIKE 'VG%' THEN 'pggit' ELSE '' END, MESSAGE = p_message, HINT = p_hint;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_name(text, text, text) IS
'Raises what somebody reads who reads what stands for a table that can''t be shown.';

CREATE OR REPLACE FUNCTION pggit._refuse_shut()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_NARGS = 1 THEN
        PERFORM pggit._refuse_dropped(TG_TABLE_NAME, TG_ARGV[0]);
    END IF;
    PERFORM pggit._refuse_name(TG_ARGV[0], TG_ARGV[1], TG_ARGV[2]);
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_shut() IS
'Trigger of what stands for a table that can''t be shown. Arguments: the number of the branch that has dropped it, or what pggit._refuse_name takes.';

CREATE OR REPLACE FUNCTION pggit._refuse_dropped(p_name text, p_branch_id text)
    RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'undefined_table',
        MESSAGE = format('relation "%s" does not exist', p_name),
        HINT    = format('It was dropped on branch %L. Main still has it.', (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_branch_id::integer));
END;
$$;

COMMENT ON FUNCTION pggit._refuse_dropped(text, text) IS
'Raises 42P01, as PostgreSQL does for a table that is not there.';

CREATE OR REPLACE FUNCTION pggit._refused_rows(p_refusal boolean)
    RETURNS SETOF record
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN;
END;
$$;

COMMENT ON FUNCTION pggit._refused_rows(boolean) IS
'The rows of what stands for a table that can''t be shown: whoever reads them runs the argument, which raises an error.';

CREATE OR REPLACE FUNCTION pggit._own_as_schema(p_view regclass)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_owner oid := (SELECT n.nspowner FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_view);
BEGIN
    IF pg_get_userbyid(v_owner) <> current_user AND pggit._may_own_for(v_owner) THEN
        EXECUTE format('ALTER VIEW %s OWNER TO %I', p_view, pg_get_userbyid(v_owner));
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._own_as_schema(regclass) IS
'Gives a view to the owner of its schema, who deletes the branch.';

CREATE OR REPLACE FUNCTION pggit._stand_in(p_branch_id integer, p_name text, p_columns text, p_refusal text, p_trigger_arguments text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A function gives the rows: of columns that are NULL the planner knows that no condition holds, and nobody would be refused.
    EXECUTE format('CREATE VIEW %s AS SELECT r.* FROM pggit._refused_rows(%s) AS r(%s)', p_name, p_refusal, coalesce(p_columns, 'dropped text'));
    EXECUTE format('CREATE TRIGGER pggit_shut INSTEAD OF INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION pggit._refuse_shut(%s)', p_name, p_trigger_arguments);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO PUBLIC', p_name);
    PERFORM pggit._own_as_schema(p_name::regclass);
    INSERT INTO pggit.branch_copies (branch_id, relation) VALUES (p_branch_id, p_name::regclass);
END;
$$;

COMMENT ON FUNCTION pggit._stand_in(integer, text, text, text, text) IS
'Makes a view on a branch that stands for a table that can''t be shown: who reads it runs p_refusal, who writes it the trigger pggit._refuse_shut. p_columns: their definitions, so that queries come as far as that.';

CREATE OR REPLACE FUNCTION pggit._refusing_stand_in(p_branch_id integer, p_name text, p_columns text, p_code text, p_message text, p_hint text)
    RETURNS void
    LANGUAGE sql
AS $$
    SELECT pggit._stand_in(p_branch_id, p_name, p_columns, format('pggit._refuse_name(%L, %L, %L)', p_code, p_message, p_hint), format('%L, %L, %L', p_code, p_message, p_hint));
$$;

COMMENT ON FUNCTION pggit._refusing_stand_in(integer, text, text, text, text, text) IS
'The same, with the error that is raised.';

CREATE OR REPLACE FUNCTION pggit._column_definitions(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    -- Of PostgreSQL's own types: nothing may depend on others that has no values of them.
    RETURN (SELECT string_agg(format('%I %s', a.attname, CASE t.typnamespace WHEN 'pg_catalog'::regnamespace THEN format_type(a.atttypid, a.atttypmod) ELSE 'text' END), ', ' ORDER BY a.attnum)
              FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped);
END;
$$;

COMMENT ON FUNCTION pggit._column_definitions(oid) IS
'Name and type of a relation''s columns.';

CREATE OR REPLACE FUNCTION pggit._name_on_branch(p_relation oid, p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT format('%I.%I', s.schema_name, c.relname)
              FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pggit.branch_schemas AS s ON s.base_schema = n.nspname AND s.branch_id = p_branch_id WHERE c.oid = p_relation);
END;
$$;

COMMENT ON FUNCTION pggit._name_on_branch(oid, integer) IS
'The name by which a branch would show what has the name of a relation of main; NULL where the branch does not show its schema.';

CREATE OR REPLACE FUNCTION pggit._later_relations(p_branch_id integer, p_is_made boolean)
    RETURNS TABLE (relation oid, hint text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE tables AS MATERIALIZED (
        SELECT t.relation::oid AS relation, b.mode = 'detached' AS is_detached, EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.branch_id = b.branch_id AND bt.table_id = t.table_id) AS is_there
          FROM pggit.branches AS b CROSS JOIN pggit.tables AS t WHERE b.branch_id = p_branch_id AND t.on_main AND t.untracked_at IS NULL
    ), partitions AS ( -- which pg_partition_tree would lock
        SELECT h.inhrelid AS relation, t.relation AS root FROM tables AS t JOIN pg_class AS c ON c.oid = t.relation AND c.relkind = 'p' JOIN pg_inherits AS h ON h.inhparent = c.oid WHERE t.is_detached OR NOT t.is_there
        UNION ALL SELECT h.inhrelid, p.root FROM partitions AS p JOIN pg_inherits AS h ON h.inhparent = p.relation
    ), missing AS MATERIALIZED (
        SELECT t.relation, 'What main has by that name now was not there, not under version control, or had another primary key, in the state that is shown.' AS hint FROM tables AS t WHERE t.is_detached OR NOT t.is_there
        UNION ALL
        SELECT p.relation, format('It is a partition of table %s.', p.root::regclass) FROM partitions AS p
    ), absent AS MATERIALIZED (
        SELECT m.relation FROM missing AS m WHERE p_is_made OR to_regclass(pggit._name_on_branch(m.relation, p_branch_id)) IS NULL
    )
    SELECT m.relation, m.hint FROM missing AS m
    UNION ALL
    SELECT r.objid, 'It reads a table that was not there, not under version control, or had another primary key, in the state that is shown.'
      FROM pggit._readers(ARRAY(SELECT a.relation FROM absent AS a), pggit._schemas_of(1)) AS r WHERE r.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM absent);
$$;

COMMENT ON FUNCTION pggit._later_relations(integer, boolean) IS
'The relations of main by whose names a branch that began with a state of the past, or such a state, may have nothing: tables that it has not, their partitions (of such a state all tables, for
they may have got other names), and views that read them. p_is_made: all views, for those that it has are there by now.';

CREATE OR REPLACE FUNCTION pggit._other_name(p_branch_id integer, p_main oid, p_shown regclass, p_name text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE VIEW %s WITH (security_invoker) AS SELECT * FROM %s', p_name, p_shown);
    INSERT INTO pggit.branch_copies (branch_id, relation) VALUES (p_branch_id, p_name::regclass);
    PERFORM pggit._own_as_schema(p_name::regclass);
    PERFORM pggit._copy_grants(p_main, p_name::regclass);
END;
$$;

COMMENT ON FUNCTION pggit._other_name(integer, oid, regclass, text) IS
'Shows what a state of the past has of a table by another name, too; whoever reads it needs the rights on both.';

CREATE OR REPLACE FUNCTION pggit._shut_later_names(p_branch_id integer, p_is_made boolean, p_names text[] DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_shut record;
BEGIN
    FOR v_shut IN
        WITH later AS MATERIALIZED (
            SELECT DISTINCT ON (l.relation) l.relation, l.hint, c.relname, pggit._name_on_branch(l.relation, p_branch_id) AS name,
                   (SELECT bt.relation FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) WHERE bt.branch_id = p_branch_id AND t.relation = l.relation) AS shown
              FROM pggit._later_relations(p_branch_id, p_is_made) AS l JOIN pg_class AS c ON c.oid = l.relation
        )
        SELECT l.* FROM later AS l WHERE l.name IS NOT NULL AND to_regclass(l.name) IS NULL AND coalesce(l.relname = ANY (p_names), true) ORDER BY l.relation
    LOOP
        IF v_shut.shown IS NOT NULL THEN
            PERFORM pggit._other_name(p_branch_id, v_shut.relation, v_shut.shown, v_shut.name);
            CONTINUE;
        END IF;
        PERFORM pggit._refusing_stand_in(p_branch_id, v_shut.name, pggit._column_definitions(v_shut.relation), '42P01', format('relation "%s" does not exist', v_shut.relname), v_shut.hint);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._shut_later_names(integer, boolean, text[]) IS
'Where main has something by a name (one of p_names, if they are given) that a state of the past, or a branch that began with one, has not: makes a view in its place that can''t be read or written (42P01).
A table that has got another name on main since the state was made is there by both.';

CREATE OR REPLACE FUNCTION pggit._shut_names(p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_shut record;
BEGIN
    FOR v_shut IN
        SELECT s.schema_name, format('%I.%I', s.schema_name, c.table_name) AS name, c.table_name,
               (SELECT string_agg(format('%I text', k.name), ', ' ORDER BY k.n)
                  FROM (SELECT DISTINCT ON (l.name) l.name, l.attnum AS n FROM pggit.columns AS l WHERE l.table_id = c.table_id AND l.dropped_at IS NULL) AS k) AS columns
          FROM (SELECT DISTINCT ON (h.schema_name, h.table_name) h.* FROM pggit.table_changes AS h WHERE h.branch_id = p_branch_id ORDER BY h.schema_name, h.table_name, h.change_no DESC) AS c
          JOIN pggit.branch_schemas AS s ON s.branch_id = p_branch_id AND s.base_schema = c.schema_name
         WHERE NOT c.is_there AND to_regclass(format('%I.%I', c.schema_name, c.table_name)) IS NOT NULL AND to_regclass(format('%I.%I', s.schema_name, c.table_name)) IS NULL
    LOOP
        PERFORM pggit._stand_in(p_branch_id, v_shut.name, v_shut.columns, format('pggit._refuse_dropped(%L, %L)', v_shut.table_name, p_branch_id), p_branch_id::text);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._shut_names(integer) IS
'Where a branch has dropped a table and main has something by that name: makes a view in its place that can''t be read or written (42P01).';

CREATE OR REPLACE FUNCTION pggit._shut(p_branch_id integer)
    RETURNS TABLE (relation oid, full_name text, name text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relname::text
      FROM pggit.branch_copies AS k JOIN pg_class AS c ON c.oid = k.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE k.branch_id = p_branch_id AND EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'pggit_shut');
$$;

COMMENT ON FUNCTION pggit._shut(integer) IS
'The names that are shut on a branch, by the views that shut them.';

CREATE OR REPLACE FUNCTION pggit._opened()
    RETURNS jsonb
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(nullif(current_setting('pggit.opened', true), ''), '{}')::jsonb;
$$;

COMMENT ON FUNCTION pggit._opened() IS
'The empty tables that are there for a DROP TABLE to find, names by oid: the local setting pggit.opened.';

CREATE OR REPLACE FUNCTION pggit._open_names(p_branch_id integer, p_statement text, p_tag text DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_blank constant text := $re$(?:\s|/\*.*?\*/|--[^\n]*\n)$re$;
    v_shut  record;
    v_drops boolean;
BEGIN
    FOR v_shut IN SELECT s.* FROM pggit._shut(p_branch_id) AS s WHERE p_statement ~ pggit._word(s.name) LOOP
        v_drops := CASE WHEN p_tag IS NULL THEN p_statement ~ '\mdrop\M' AND p_statement ~ '\mtable\M' ELSE p_tag = 'DROP TABLE' END;
        IF v_drops OR p_statement ~ format('\m(?:table|view|into|to)%1$s+(?:if%1$s+not%1$s+exists%1$s+)?(?:"?[^".\s]+"?\.)?"?%2$s', v_blank, pggit._word(v_shut.name)) THEN
            IF (SELECT b.mode FROM pggit.branches AS b WHERE b.branch_id = p_branch_id) = 'detached' THEN
                PERFORM pggit._refuse_detached(b) FROM pggit.branches AS b WHERE b.branch_id = p_branch_id AND p_statement !~ '\mtemp(?:orary)?\M';
                CONTINUE;
            END IF;
            DELETE FROM pggit.branch_copies AS c WHERE c.relation = v_shut.relation;
            EXECUTE format('DROP VIEW %s', v_shut.full_name);
            IF v_drops THEN
                -- DROP TABLE finds a table that it may drop if it is said with IF EXISTS, not main's.
                EXECUTE format('CREATE TABLE %s ()', v_shut.full_name);
                PERFORM set_config('pggit.opened', (pggit._opened() || jsonb_build_object(v_shut.full_name::regclass::oid, v_shut.name))::text, true);
            END IF;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._open_names(integer, text, text) IS
'Before a statement makes a table under a name that is shut on a branch, or drops it once more. p_tag: which command it is; NULL: one or more that are not known.';

CREATE OR REPLACE FUNCTION pggit._refuse_second_drop(p_branch_id integer, p_statement text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name text := (SELECT o.value FROM jsonb_each_text(pggit._opened()) AS o WHERE NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid::text = o.key) ORDER BY 1 LIMIT 1);
BEGIN
    IF v_name IS NOT NULL AND p_statement !~ '\mif\M.*\mexists\M' THEN
        PERFORM pggit._refuse_dropped(v_name, p_branch_id::text);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_second_drop(integer, text) IS
'Raises 42P01 after a DROP TABLE without IF EXISTS of a table that the branch has dropped before.';

CREATE OR REPLACE FUNCTION pggit._close_names(p_branch_id integer, p_statement text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_opened jsonb := pggit._opened();
    v_name   text;
BEGIN
    PERFORM pggit._refuse_second_drop(p_branch_id, p_statement);
    PERFORM set_config('pggit.opened', '', true);
    FOR v_name IN SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE v_opened ? c.oid::text LOOP
        EXECUTE format('DROP TABLE %s', v_name);
    END LOOP;
    PERFORM pggit._shut_names(p_branch_id);
    PERFORM pggit._shut_later_names(p_branch_id, false, ARRAY(SELECT o.value FROM jsonb_each_text(v_opened) AS o));
END;
$$;

COMMENT ON FUNCTION pggit._close_names(integer, text) IS
'After a statement on a branch: names that it has dropped, and that nothing on the branch has, are shut.';

CREATE OR REPLACE FUNCTION pggit._open_name(p_branch_id integer, p_schema text, p_name text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_shut oid := (SELECT s.relation FROM pggit._shut(p_branch_id) AS s WHERE s.full_name = format('%I.%I', p_schema, p_name));
BEGIN
    IF v_shut IS NOT NULL THEN
        DELETE FROM pggit.branch_copies AS c WHERE c.relation = v_shut;
        EXECUTE format('DROP VIEW %I.%I', p_schema, p_name);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._open_name(integer, text, text) IS
'Makes room for a table under a name that may be shut on a branch.';

CREATE OR REPLACE FUNCTION pggit._is_of_past(p_branch_id integer, p_detached_only boolean)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.branches AS b WHERE b.branch_id = p_branch_id AND b.mode = 'detached')
                   OR (NOT p_detached_only AND EXISTS (SELECT FROM pggit._shut(p_branch_id)))
                   OR (NOT p_detached_only AND EXISTS (SELECT FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
                               WHERE bt.branch_id = p_branch_id AND t.on_main AND pggit._is_reshaped(bt.table_id, pggit._branch_now(p_branch_id), NULL))));
END;
$$;

COMMENT ON FUNCTION pggit._is_of_past(integer, boolean) IS
'Whether this is a state of the past, or (unless p_detached_only) a branch on which tables of main are missing or have other columns.';

CREATE OR REPLACE FUNCTION pggit._refuse_reader(p_branch_id integer, p_class oid, p_object oid, p_schema text, p_reason text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_message text := format('%s can''t be shown as of that state: %s', pg_describe_object(p_class, p_object, 0), p_reason);
    v_hint    text := 'It is as main has it now, and does not fit the tables of then.';
    v_routine record;
BEGIN
    IF p_class = 'pg_class'::regclass THEN
        PERFORM pggit._refusing_stand_in(p_branch_id, format('%I.%I', p_schema, c.relname), pggit._column_definitions(p_object), 'VG302', v_message, v_hint) FROM pg_class AS c WHERE c.oid = p_object;
        RETURN;
    END IF;
    SELECT format('%I.%I', p_schema, p.proname) AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_identity_arguments(p.oid) AS identity, CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind,
           coalesce(' RETURNS ' || CASE p.prokind WHEN 'f' THEN pg_get_function_result(p.oid) END, '') AS result
      INTO STRICT v_routine FROM pg_proc AS p WHERE p.oid = p_object;
    EXECUTE format('CREATE %s %s(%s)%s LANGUAGE plpgsql AS %L', v_routine.kind, v_routine.name, v_routine.arguments, v_routine.result,
                   format('BEGIN PERFORM pggit._refuse_name(%L, %L, %L); END', 'VG302', v_message, v_hint));
    INSERT INTO pggit.branch_copies (branch_id, routine)
    SELECT p_branch_id, pggit._signature(p.oid) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
     WHERE n.nspname = p_schema AND format('%I.%I', n.nspname, p.proname) = v_routine.name AND pg_get_function_identity_arguments(p.oid) = v_routine.identity;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_reader(integer, oid, oid, text, text) IS
'Stands on a branch for a view or function of main that can''t be made there: whoever uses it is told why (VG302).';
