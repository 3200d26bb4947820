-- Views and functions that read tracked tables have copies on a branch, which read the branch's.

CREATE OR REPLACE FUNCTION pggit._readers(p_relations oid[], p_schemas name[])
    RETURNS TABLE (classid oid, objid oid, depth integer)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- From the readers to what they read: from a table of main it would be all branches' views.
    WITH RECURSIVE spaces AS MATERIALIZED (
        SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = ANY (p_schemas)
    ), edges AS MATERIALIZED (
        SELECT DISTINCT 'pg_class'::regclass::oid AS classid, c.oid AS objid, d.refclassid AS on_class, d.refobjid AS on_object
          FROM spaces AS s
          JOIN pg_class AS c ON c.relnamespace = s.oid AND c.relkind IN ('v', 'm')
          JOIN pg_rewrite AS r ON r.ev_class = c.oid
          JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass) AND d.refobjid <> c.oid
         WHERE NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.relation = c.oid)
        UNION ALL
        SELECT DISTINCT d.classid, d.objid, d.refclassid, d.refobjid
          FROM spaces AS s
          JOIN pg_proc AS p ON p.pronamespace = s.oid AND p.prokind IN ('f', 'p') AND p.prosqlbody IS NOT NULL
          JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass)
    ), found AS (
        SELECT e.classid, e.objid, 1 AS depth FROM edges AS e WHERE e.on_class = 'pg_class'::regclass AND e.on_object = ANY (p_relations)
        UNION
        SELECT e.classid, e.objid, f.depth + 1 FROM found AS f JOIN edges AS e ON e.on_class = f.classid AND e.on_object = f.objid WHERE f.depth < 50
    )
    SELECT f.classid, f.objid, max(f.depth) FROM found AS f GROUP BY f.classid, f.objid ORDER BY 3, 1, 2;
$$;

COMMENT ON FUNCTION pggit._readers(oid[], name[]) IS
'The views, materialized views and functions (with bodies that PostgreSQL has parsed) in some schemas that read relations, also by way of each other; a reader comes after what it reads.';

CREATE OR REPLACE FUNCTION pggit._pinned(p_schemas name[])
    RETURNS oid[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT ARRAY(SELECT p.oid
                           FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
                          WHERE n.nspname = ANY (p_schemas) AND p.prokind IN ('f', 'p') AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
                            AND EXISTS (SELECT FROM unnest(p.proconfig) AS s(setting), unnest(p_schemas) AS k(name)
                                         WHERE s.setting LIKE 'search_path=%' AND lower(s.setting) ~ pggit._word(k.name))
                          ORDER BY p.oid));
END;
$$;

COMMENT ON FUNCTION pggit._pinned(name[]) IS
'The functions of some schemas whose own search_path names one of them: whoever calls them, they find the tables there.';

CREATE OR REPLACE FUNCTION pggit._path_sql(p_schemas name[])
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT string_agg(quote_ident(s.name), ', ' ORDER BY s.n) FROM unnest(p_schemas) WITH ORDINALITY AS s(name, n));
END;
$$;

COMMENT ON FUNCTION pggit._path_sql(name[]) IS
'A search_path of these schemas, in this order.';

CREATE OR REPLACE FUNCTION pggit._may_own_for(p_owner oid)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT p_owner = u.oid OR u.rolsuper OR pg_has_role(u.oid, p_owner, 'MEMBER') FROM pg_roles AS u WHERE u.rolname = current_user);
END;
$$;

COMMENT ON FUNCTION pggit._may_own_for(oid) IS
'Whether this role may give what it makes to another one. What somebody else wrote must not run with our rights.';

CREATE OR REPLACE FUNCTION pggit._view_text(p_view oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('%s AS %s', CASE WHEN c.relkind = 'v' AND c.reloptions IS NOT NULL THEN ' WITH (' || array_to_string(c.reloptions, ', ') || ')' ELSE '' END,
                          rtrim(pg_get_viewdef(c.oid), ';'))
              FROM pg_class AS c WHERE c.oid = p_view);
END;
$$;

COMMENT ON FUNCTION pggit._view_text(oid) IS
'What stands behind a view''s name in its CREATE VIEW; names that the search_path finds have no schema.';

CREATE OR REPLACE FUNCTION pggit._routine_text(p_routine oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    -- The header has the schema always: PostgreSQL builds it from the catalog.
    RETURN (SELECT substr(pg_get_functiondef(p.oid), length(format('CREATE OR REPLACE %s %I.%I', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, n.nspname, p.proname)) + 1)
              FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE p.oid = p_routine);
END;
$$;

COMMENT ON FUNCTION pggit._routine_text(oid) IS
'What stands behind a function''s name in its CREATE FUNCTION; names that the search_path finds have no schema.';

CREATE OR REPLACE FUNCTION pggit._copy_view(p_view oid, p_schema text, p_text text)
    RETURNS oid
    LANGUAGE plpgsql
AS $$
DECLARE
    v_view   record;
    v_object record;
    v_name   text;
    v_at     integer;
BEGIN
    SELECT c.relname, c.relowner, c.relkind, format(' ON %I.%I ', n.nspname, c.relname) AS "on" INTO v_view FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_view;
    v_name := format('%I.%I', p_schema, v_view.relname);
    EXECUTE format('CREATE VIEW %s%s', v_name, p_text);
    FOR v_object IN
        SELECT a.attname, pg_get_expr(d.adbin, d.adrelid) AS expression
          FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = p_view
    LOOP
        EXECUTE format('ALTER VIEW %s ALTER %I SET DEFAULT %s', v_name, v_object.attname, v_object.expression);
    END LOOP;
    FOR v_object IN SELECT pg_get_triggerdef(g.oid) AS definition FROM pg_trigger AS g WHERE g.tgrelid = p_view AND NOT g.tgisinternal ORDER BY g.tgname LOOP
        v_at := strpos(v_object.definition, v_view."on");
        EXECUTE left(v_object.definition, v_at - 1) || format(' ON %s ', v_name) || substr(v_object.definition, v_at + length(v_view."on"));
    END LOOP;
    EXECUTE format('COMMENT ON VIEW %s IS %L', v_name, obj_description(p_view, 'pg_class'));
    PERFORM pggit._copy_grants(p_view, v_name::regclass);
    IF pg_get_userbyid(v_view.relowner) <> current_user THEN
        EXECUTE format('ALTER VIEW %s OWNER TO %I', v_name, pg_get_userbyid(v_view.relowner));
    END IF;
    RETURN v_name::regclass;
END;
$$;

COMMENT ON FUNCTION pggit._copy_view(oid, text, text) IS
'Makes a view of the same name in another schema, over what its text (pggit._view_text) finds on the search_path, with its options, defaults, triggers, comment, grants and owner. A materialized view''s copy is a view.';

CREATE OR REPLACE FUNCTION pggit._copy_routine(p_routine oid, p_schema text, p_text text, p_branch text)
    RETURNS oid
    LANGUAGE plpgsql
AS $$
DECLARE
    v_routine record;
    v_name    text;
    v_grant   record;
BEGIN
    SELECT p.proname, p.proowner, p.proacl, CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind, pg_get_function_identity_arguments(p.oid) AS arguments,
           (SELECT substr(s, length('search_path=') + 1) FROM unnest(p.proconfig) AS s WHERE s LIKE 'search_path=%') AS path
      INTO v_routine FROM pg_proc AS p WHERE p.oid = p_routine;
    EXECUTE format('CREATE %s %I.%I', v_routine.kind, p_schema, v_routine.proname) || p_text;
    v_name := format('%s %I.%I(%s)', v_routine.kind, p_schema, v_routine.proname, v_routine.arguments);
    IF v_routine.path IS NOT NULL THEN
        EXECUTE format('ALTER %s SET search_path = %s', v_name, pggit._branch_path(p_branch, v_routine.path));
    END IF;
    IF v_routine.proacl IS NOT NULL THEN
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', v_name);
        FOR v_grant IN SELECT g.* FROM aclexplode(v_routine.proacl) AS g WHERE g.grantee <> v_routine.proowner LOOP
            EXECUTE format('GRANT EXECUTE ON %s TO %s', v_name, CASE WHEN v_grant.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(v_grant.grantee)) END);
        END LOOP;
    END IF;
    IF pg_get_userbyid(v_routine.proowner) <> current_user THEN
        EXECUTE format('ALTER %s OWNER TO %I', v_name, pg_get_userbyid(v_routine.proowner));
    END IF;
    RETURN (SELECT p.oid FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
             WHERE n.nspname = p_schema AND p.proname = v_routine.proname AND pg_get_function_identity_arguments(p.oid) = v_routine.arguments);
END;
$$;

COMMENT ON FUNCTION pggit._copy_routine(oid, text, text, text) IS
'Makes a function or procedure of the same name in another schema, with what its text (pggit._routine_text) finds on the search_path, its grants and owner. Its own search_path, if it has one, gets the branch''s schemas.';

CREATE OR REPLACE FUNCTION pggit._require_reads_branch(p_class oid, p_object oid, p_forbidden oid[])
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_found text;
BEGIN
    SELECT string_agg(DISTINCT pg_describe_object(d.refclassid, d.refobjid, 0), ', ') INTO v_found
      -- What a view reads its rule depends on.
      FROM (SELECT p_class AS class, p_object AS object WHERE p_class <> 'pg_class'::regclass
            UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite AS r WHERE r.ev_class = p_object AND p_class = 'pg_class'::regclass) AS o
      JOIN pg_depend AS d ON d.classid = o.class AND d.objid = o.object
     WHERE d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass) AND d.refobjid = ANY (p_forbidden);
    IF v_found IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('it names the schema of %s, which is main''s', v_found);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_reads_branch(oid, oid, oid[]) IS
'Raises VG307 for a copy that reads one of the relations or functions that it should have found on the branch.';

CREATE OR REPLACE FUNCTION pggit._require_reads_nothing_shut(p_branch_id integer, p_routine oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name text := (SELECT string_agg(s.name, ', ') FROM pggit._shut(p_branch_id) AS s
                     WHERE EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p_routine AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.relation));
BEGIN
    IF v_name IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format('it reads %s, which is not there', v_name);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_reads_nothing_shut(integer, oid) IS
'Raises 42P01 for a copy of a function that reads what can''t be shown on the branch: nothing may depend on what stands in its place.';

CREATE OR REPLACE FUNCTION pggit._schemas_of(p_branch_id integer)
    RETURNS name[]
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT ARRAY(SELECT CASE p_branch_id WHEN 1 THEN s.base_schema ELSE s.schema_name END
                           FROM (SELECT DISTINCT s.base_schema, CASE p_branch_id WHEN 1 THEN NULL ELSE s.schema_name END AS schema_name
                                   FROM pggit.branch_schemas AS s WHERE p_branch_id IN (1, s.branch_id)) AS s
                          ORDER BY s.base_schema <> 'public', s.base_schema));
END;
$$;

COMMENT ON FUNCTION pggit._schemas_of(integer) IS
'The schemas that show a branch, or the versioned ones of main (1), public first.';

CREATE OR REPLACE FUNCTION pggit._signature(p_routine oid)
    RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT p_routine::regprocedure::text;
$$;

COMMENT ON FUNCTION pggit._signature(oid) IS
'Name and argument types of a function, with their schemas.';

CREATE OR REPLACE FUNCTION pggit._reader_name(p_class oid, p_object oid)
    RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_before text := current_setting('search_path');
    v_name   text;
BEGIN
    PERFORM set_config('search_path', pggit._schema_path(1), true);
    v_name := CASE WHEN p_class = 'pg_class'::regclass THEN pggit._base_name(p_object)
                   ELSE (SELECT format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE p.oid = p_object) END;
    PERFORM set_config('search_path', v_before, true);
    RETURN v_name;
END;
$$;

COMMENT ON FUNCTION pggit._reader_name(oid, oid) IS
'The name of a view or function of main as an object.';

CREATE OR REPLACE FUNCTION pggit._copy_readers(p_branch_id integer, p_from integer, p_missing text[] DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_before    text   := current_setting('search_path');
    v_from      name[] := pggit._schemas_of(p_from);
    v_there     text   := pggit._path_sql(CASE p_from WHEN 1 THEN v_from ELSE v_from || pggit._schemas_of(1) END);
    v_here      text   := pggit._path_sql(pggit._schemas_of(p_branch_id) || pggit._schemas_of(1));
    v_forbidden oid[]  := ARRAY(SELECT CASE p_from WHEN 1 THEN t.relation ELSE bt.relation END FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
                                 WHERE bt.branch_id = CASE p_from WHEN 1 THEN p_branch_id ELSE p_from END
                                UNION SELECT t.relation FROM pggit.branches AS b CROSS JOIN pggit.tables AS t
                                 WHERE b.branch_id = p_branch_id AND b.mode = 'detached' AND t.on_main AND t.untracked_at IS NULL);
    v_reader    record;
    v_copy      oid;
    v_text      text;
    v_name      text;
    v_own       text[] := CASE WHEN p_missing IS NOT NULL THEN ARRAY(SELECT r.object_name FROM pggit._own_readers(p_branch_id) AS r) END;
BEGIN
    FOR v_reader IN
        WITH readers AS MATERIALIZED (
            SELECT r.classid, r.objid, r.depth FROM pggit._readers(v_forbidden, v_from) AS r
            UNION ALL
            SELECT 'pg_proc'::regclass, f, 0 FROM unnest(pggit._pinned(v_from)) AS f
        ), placed AS (
            SELECT r.classid, r.objid, max(r.depth) AS depth, coalesce(c.relowner, p.proowner) AS owner, c.relname::text AS name, c.oid IS NOT NULL AS is_view,
                   pggit._branch_schema_name(CASE p_from WHEN 1 THEN n.nspname ELSE (SELECT k.base_schema FROM pggit.branch_schemas AS k WHERE k.schema_name = n.nspname) END, b.name) AS schema_name, b.name AS branch_name
              FROM readers AS r
              LEFT JOIN pg_class AS c ON r.classid = 'pg_class'::regclass AND c.oid = r.objid
              LEFT JOIN pg_proc AS p ON r.classid = 'pg_proc'::regclass AND p.oid = r.objid
              JOIN pg_namespace AS n ON n.oid = coalesce(c.relnamespace, p.pronamespace)
              JOIN pggit.branches AS b ON b.branch_id = p_branch_id
             WHERE NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = r.classid AND e.objid = r.objid AND e.deptype = 'e')
             GROUP BY r.classid, r.objid, c.oid, p.oid, n.nspname, b.name
        )
        SELECT * FROM placed AS r ORDER BY r.depth, r.classid, r.objid
    LOOP
        v_forbidden := v_forbidden || v_reader.objid;
        v_name      := CASE WHEN p_missing IS NOT NULL THEN pggit._reader_name(v_reader.classid, v_reader.objid) END;
        CONTINUE WHEN v_name <> ALL (p_missing) OR v_name = ANY (v_own);
        CONTINUE WHEN p_missing IS NULL AND v_reader.is_view AND to_regclass(format('%I.%I', v_reader.schema_name, v_reader.name)) IS NOT NULL;
        PERFORM pggit._open_name(p_branch_id, v_reader.schema_name, v_reader.name) WHERE v_reader.is_view;
        BEGIN
            IF NOT pggit._may_own_for(v_reader.owner) THEN
                RAISE EXCEPTION USING ERRCODE = 'VG307', SCHEMA = 'pggit', MESSAGE = format('it belongs to %s', pg_get_userbyid(v_reader.owner));
            END IF;
            -- Told with the path of there, made with the path of here: each name finds what stands for it.
            PERFORM set_config('search_path', v_there, true);
            v_text := CASE WHEN v_reader.is_view THEN pggit._view_text(v_reader.objid) ELSE pggit._routine_text(v_reader.objid) END;
            PERFORM set_config('search_path', v_here, true);
            v_copy := CASE WHEN v_reader.is_view THEN pggit._copy_view(v_reader.objid, v_reader.schema_name, v_text)
                           ELSE pggit._copy_routine(v_reader.objid, v_reader.schema_name, v_text, v_reader.branch_name) END;
            PERFORM pggit._require_reads_branch(v_reader.classid, v_copy, v_forbidden);
            PERFORM pggit._require_reads_nothing_shut(p_branch_id, v_copy) WHERE NOT v_reader.is_view;
            INSERT INTO pggit.branch_copies (branch_id, relation, routine)
            VALUES (p_branch_id, CASE WHEN v_reader.is_view THEN v_copy END, CASE WHEN NOT v_reader.is_view THEN pggit._signature(v_copy) END);
        EXCEPTION WHEN feature_not_supported OR syntax_error_or_access_rule_violation OR SQLSTATE 'VG307' THEN
            IF p_missing IS NULL AND pggit._is_of_past(p_branch_id, NOT v_reader.is_view OR SQLSTATE IN ('VG307', '42501')) THEN
                PERFORM set_config('search_path', v_before, true);
                PERFORM pggit._refuse_reader(p_branch_id, v_reader.classid, v_reader.objid, v_reader.schema_name, SQLERRM);
            ELSE
                RAISE NOTICE '% is main''s on the branch: %', pg_describe_object(v_reader.classid, v_reader.objid, 0), SQLERRM;
            END IF;
        END;
    END LOOP;
    PERFORM set_config('search_path', v_before, true);
END;
$$;

COMMENT ON FUNCTION pggit._copy_readers(integer, integer, text[]) IS
'Gives a new branch its own views and functions, made from those of main (1) or of the branch that it comes from; p_missing: one that has come to stand on another main, those of these names that it has not. One that can''t be made (it belongs to somebody whom this role is not, or reads main
all the same) is left out with a notice; pggit.branch_capabilities tells of it.';

CREATE OR REPLACE FUNCTION pggit._told_readers(p_relation oid, p_branch_id integer)
    RETURNS TABLE (n bigint, classid oid, objid oid, command text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_before text := current_setting('search_path');
BEGIN
    PERFORM set_config('search_path', pggit._path_sql(pggit._schemas_of(p_branch_id) || pggit._schemas_of(1)), true);
    RETURN QUERY
    SELECT row_number() OVER (ORDER BY r.depth, r.classid, r.objid), r.classid, r.objid,
           CASE WHEN c.relkind = 'v' THEN format('CREATE OR REPLACE VIEW %I.%I%s', n.nspname, c.relname, pggit._view_text(c.oid))
                WHEN p.oid IS NOT NULL THEN format('CREATE OR REPLACE %s %I.%I', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, n.nspname, p.proname) || pggit._routine_text(p.oid) END
      FROM pggit._readers(ARRAY[p_relation], pggit._schemas_of(p_branch_id)) AS r
      LEFT JOIN pg_class AS c ON r.classid = 'pg_class'::regclass AND c.oid = r.objid
      LEFT JOIN pg_proc AS p ON r.classid = 'pg_proc'::regclass AND p.oid = r.objid
      JOIN pg_namespace AS n ON n.oid = coalesce(c.relnamespace, p.pronamespace)
     WHERE c.relkind IS DISTINCT FROM 'm';
    PERFORM set_config('search_path', v_before, true);
END;
$$;

COMMENT ON FUNCTION pggit._told_readers(oid, integer) IS
'The views and functions on a branch that read a relation of it (not materialized views, which no command makes read another), and the commands that make each read what has the relation''s name then; in the order in which they have to run.';
