-- Names that a branch has dropped stay shut: the search_path must not go on to main's table of the same name.

CREATE OR REPLACE FUNCTION pggit._refuse_shut()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._refuse_dropped(TG_TABLE_NAME, TG_ARGV[0]);
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_shut() IS
'Trigger of what stands for a table that a branch has dropped. Argument: the branch''s number. Raises 42P01.';

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
               coalesce((SELECT string_agg(format('NULL::text AS %I', k.name), ', ' ORDER BY k.n)
                           FROM (SELECT DISTINCT ON (l.name) l.name, l.attnum AS n FROM pggit.columns AS l WHERE l.table_id = c.table_id AND l.dropped_at IS NULL) AS k), 'NULL::text AS dropped') AS columns
          FROM (SELECT DISTINCT ON (h.schema_name, h.table_name) h.* FROM pggit.table_changes AS h WHERE h.branch_id = p_branch_id ORDER BY h.schema_name, h.table_name, h.change_no DESC) AS c
          JOIN pggit.branch_schemas AS s ON s.branch_id = p_branch_id AND s.base_schema = c.schema_name
         WHERE NOT c.is_there AND to_regclass(format('%I.%I', c.schema_name, c.table_name)) IS NOT NULL AND to_regclass(format('%I.%I', s.schema_name, c.table_name)) IS NULL
    LOOP
        EXECUTE format('CREATE VIEW %s AS SELECT %s WHERE pggit._refuse_dropped(%L, %L)', v_shut.name, v_shut.columns, v_shut.table_name, p_branch_id);
        EXECUTE format('CREATE TRIGGER pggit_shut INSTEAD OF INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION pggit._refuse_shut(%s)', v_shut.name, p_branch_id);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO PUBLIC', v_shut.name);
        INSERT INTO pggit.branch_copies (branch_id, relation) VALUES (p_branch_id, v_shut.name::regclass);
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
