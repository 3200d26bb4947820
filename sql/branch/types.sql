-- Types on a branch. Main's are shared until a statement on the branch changes one: then the branch gets a copy, which its tables have from there on.

CREATE OR REPLACE FUNCTION pggit._named_types(p_branch_id integer, p_statement text)
    RETURNS SETOF oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH types AS MATERIALIZED (
        SELECT t.oid, t.typname::text AS name, s.schema_name, s.base_schema
          FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.base_schema JOIN pg_type AS t ON t.typnamespace = n.oid LEFT JOIN pg_class AS c ON c.oid = t.typrelid
         WHERE s.branch_id = p_branch_id AND t.typtype IN ('e', 'd', 'r', 'c') AND coalesce(c.relkind, 'c') = 'c'
           AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
    )
    SELECT y.oid FROM types AS y
     WHERE to_regtype(format('%I.%I', y.schema_name, y.name)) IS NULL
       -- Main's by its full name is refused.
       AND p_statement !~ (pggit._word(y.base_schema) || '"?\."?' || pggit._word(y.name))
       AND (p_statement ~ format('\malter\s+(?:type|domain)\s+(?:(?:"(?:[^"]|"")+"|[^".\s]+)\.)?"?%s', pggit._word(y.name))
            OR (p_statement ~ '\mdrop\s+(?:type|domain)\M' AND p_statement ~ pggit._word(y.name)));
$$;

COMMENT ON FUNCTION pggit._named_types(integer, text) IS
'Main''s types that a statement on a branch, which has no copy of them, is going to alter or drop.';

CREATE OR REPLACE FUNCTION pggit._users_of_type(p_branch_id integer, p_type oid)
    RETURNS TABLE (table_id integer, attnum smallint, is_array boolean)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT bt.table_id, a.attnum, a.atttypid <> p_type
      FROM pggit.branch_tables AS bt JOIN pg_attribute AS a ON a.attrelid = bt.relation AND a.attnum > 0 AND NOT a.attisdropped
     WHERE bt.branch_id = p_branch_id AND (a.atttypid = p_type OR a.atttypid = (SELECT t.typarray FROM pg_type AS t WHERE t.oid = p_type AND t.typarray <> 0));
$$;

COMMENT ON FUNCTION pggit._users_of_type(integer, oid) IS
'The columns of a branch''s tables that are of a type, or arrays of it.';

CREATE OR REPLACE FUNCTION pggit._refuse_type(p_branch pggit.branches, p_type oid, p_reason text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG307', SCHEMA = 'pggit',
        MESSAGE = format('type %s can''t be changed on branch %L, which would need a copy of it for its tables: %s', format_type(p_type, NULL), p_branch.name, p_reason),
        HINT    = 'Change it after SELECT pggit.checkout(''main''): a new label or a wider domain is in nobody''s way there.';
END;
$$;

COMMENT ON FUNCTION pggit._refuse_type(pggit.branches, oid, text) IS
'Raises VG307: a branch can''t have a copy of a type of main''s.';

CREATE OR REPLACE FUNCTION pggit._require_type_copied(p_branch pggit.branches, p_type oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_user text;
BEGIN
    SELECT pg_describe_object(d.classid, d.objid, d.objsubid) INTO v_user
      FROM pg_type AS t JOIN pg_depend AS d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, nullif(t.typarray, 0)) AND d.deptype = 'n'
      LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
     WHERE t.oid = p_type AND ((d.classid = 'pg_type'::regclass AND d.objid <> t.typarray) OR c.relkind = 'c') LIMIT 1;
    PERFORM pggit._refuse_type(p_branch, p_type, v_user || ' is made of it') WHERE v_user IS NOT NULL;
    SELECT pg_describe_object(d.classid, d.objid, 0) INTO v_user
      FROM pggit._users_of_type(p_branch.branch_id, p_type) AS u JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch.branch_id AND bt.table_id = u.table_id
      JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = bt.relation AND d.refobjsubid = u.attnum AND d.classid IN ('pg_rewrite'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass)
     WHERE NOT EXISTS (SELECT FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid WHERE d.classid = 'pg_trigger'::regclass AND g.oid = d.objid AND p.pronamespace = 'pggit'::regnamespace) LIMIT 1;
    PERFORM pggit._refuse_type(p_branch, p_type, v_user || ' depends on a column of it') WHERE v_user IS NOT NULL;
    SELECT format('generated column %I of table %s reads a column of it', g.attname, bt.relation::regclass) INTO v_user
      FROM pggit._users_of_type(p_branch.branch_id, p_type) AS u JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch.branch_id AND bt.table_id = u.table_id
      JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = bt.relation AND d.refobjsubid = u.attnum AND d.classid = 'pg_attrdef'::regclass
      JOIN pg_attrdef AS e ON e.oid = d.objid JOIN pg_attribute AS g ON g.attrelid = e.adrelid AND g.attnum = e.adnum AND g.attnum <> u.attnum LIMIT 1;
    PERFORM pggit._refuse_type(p_branch, p_type, v_user) WHERE v_user IS NOT NULL;
    SELECT format('column %I of table %s is in its key', a.attname, bt.relation::regclass) INTO v_user
      FROM pggit._users_of_type(p_branch.branch_id, p_type) AS u JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch.branch_id AND bt.table_id = u.table_id
      JOIN pg_attribute AS a ON a.attrelid = bt.relation AND a.attnum = u.attnum JOIN pg_index AS i ON i.indrelid = bt.relation AND i.indisprimary AND a.attnum = ANY (i.indkey::smallint[]) LIMIT 1;
    PERFORM pggit._refuse_type(p_branch, p_type, v_user) WHERE v_user IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION pggit._require_type_copied(pggit.branches, oid) IS
'Raises VG307 where columns of a type can''t become columns of a copy: other types, views, triggers, policies, generated columns or a primary key are made of it.';

CREATE OR REPLACE FUNCTION pggit._retype_commands(p_table text, p_relation oid, p_attnum smallint, p_type text)
    RETURNS TABLE (step integer, command text)
    LANGUAGE sql STABLE
AS $$
    -- Expressions are told while main's type has this name, and read again when the copy has it: no SET search_path here.
    WITH parts AS MATERIALIZED (
        SELECT c.oid, c.conname AS name, pg_get_constraintdef(c.oid) AS definition FROM pg_constraint AS c WHERE c.conrelid = p_relation AND c.contype = 'c' AND p_attnum = ANY (c.conkey)
    ), indexes AS MATERIALIZED (
        SELECT DISTINCT i.indexrelid::regclass AS index, k.relname AS name, i.indisunique,
               substr(pg_get_indexdef(i.indexrelid), length(format('CREATE %sINDEX %I ON %s ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, k.relname, p_table)) + 1) AS tail
          FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid
          JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_relation AND d.refobjsubid = p_attnum
         WHERE i.indrelid = p_relation AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid AND c.conrelid = p_relation)
    ), one AS MATERIALIZED (
        SELECT quote_ident(a.attname) AS name, pg_get_expr(d.adbin, d.adrelid) AS value
          FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = '' WHERE a.attrelid = p_relation AND a.attnum = p_attnum
    )
    SELECT 1, format('DROP INDEX %s', i.index) FROM indexes AS i
    UNION ALL SELECT 1, format('ALTER TABLE %s DROP CONSTRAINT %I', p_table, p.name) FROM parts AS p
    UNION ALL SELECT 1, format('ALTER TABLE %s ALTER %s DROP DEFAULT', p_table, o.name) FROM one AS o WHERE o.value IS NOT NULL
    UNION ALL SELECT 2, format('ALTER TABLE %s ALTER %s TYPE %s USING %2$s::text::%3$s', p_table, o.name, p_type) FROM one AS o
    UNION ALL SELECT 3, format('ALTER TABLE %s ALTER %s SET DEFAULT %s', p_table, o.name, o.value) FROM one AS o WHERE o.value IS NOT NULL
    UNION ALL SELECT 3, format('ALTER TABLE %s ADD CONSTRAINT %I %s', p_table, p.name, p.definition) FROM parts AS p
    UNION ALL SELECT 3, format('CREATE %sINDEX %I ON %s %s', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, i.name, p_table, i.tail) FROM indexes AS i;
$$;

COMMENT ON FUNCTION pggit._retype_commands(text, oid, smallint, text) IS
'What gives a column another type of the same name, with its default and the checks and indexes whose expressions name it: away (1), type (2), and again (3).';

CREATE OR REPLACE FUNCTION pggit._copy_type(p_branch pggit.branches, p_type oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name     record;
    v_made     text[];
    v_commands text[];
    v_shown    pggit.branch_tables;
    v_saved    jsonb := '{}';
    v_tables   integer[];
BEGIN
    SELECT format('%I.%I', s.base_schema, t.typname) AS main, format('%I.%I', s.schema_name, t.typname) AS branch, t.typowner INTO STRICT v_name
      FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace JOIN pggit.branch_schemas AS s ON s.branch_id = p_branch.branch_id AND s.base_schema = n.nspname WHERE t.oid = p_type;
    PERFORM pggit._make_real_within_limit(p_branch, ARRAY(SELECT t.table_id FROM pggit.tables AS t JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attnum > 0 AND NOT a.attisdropped
                                                           WHERE a.atttypid IN (p_type, (SELECT y.typarray FROM pg_type AS y WHERE y.oid = p_type))));
    v_tables := ARRAY(SELECT DISTINCT u.table_id FROM pggit._users_of_type(p_branch.branch_id, p_type) AS u ORDER BY 1);
    PERFORM pggit._require_type_copied(p_branch, p_type);
    PERFORM set_config('search_path', pggit._line_path(p_branch.branch_id), true);
    v_made := pggit._create_object(o, '{}', (SELECT jsonb_object_agg(quote_ident(s.base_schema), quote_ident(s.schema_name)) FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch.branch_id))
       FROM pggit._own_objects(1) AS o WHERE o.object_type IN ('type', 'domain') AND o.object_name = v_name.main;
    IF v_made IS NULL THEN
        PERFORM pggit._refuse_type(p_branch, p_type, 'its schema is not under version control');
    END IF;
    v_commands := ARRAY(SELECT c.command
                          FROM pggit._users_of_type(p_branch.branch_id, p_type) AS u JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch.branch_id AND bt.table_id = u.table_id
                          JOIN pg_attribute AS a ON a.attrelid = bt.relation AND a.attnum = u.attnum AND a.attinhcount = 0
                         CROSS JOIN LATERAL pggit._retype_commands(pggit._dense_relation(p_branch.branch_id, u.table_id), bt.relation, u.attnum, v_name.branch || CASE WHEN u.is_array THEN '[]' ELSE '' END) AS c
                         ORDER BY c.step, bt.table_id);
    FOR v_shown IN SELECT bt.* FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch.branch_id AND bt.table_id = ANY (v_tables) AND NOT pggit._is_keyless(bt.table_id) ORDER BY bt.table_id LOOP
        v_saved := v_saved || jsonb_build_object(v_shown.table_id, pggit._save_branch_rows(v_shown));
    END LOOP;
    PERFORM pggit._execute_on(p_branch.branch_id, v_made);
    EXECUTE format('ALTER TYPE %s OWNER TO %I', v_name.branch, pg_get_userbyid(v_name.typowner));
    INSERT INTO pggit.schema_copies (branch_id, object_type, object_name)
    SELECT p_branch.branch_id, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, v_name.main FROM pg_type AS t WHERE t.oid = p_type ON CONFLICT DO NOTHING;
    PERFORM pggit._execute_on(p_branch.branch_id, v_commands);
    FOR v_shown IN SELECT bt.* FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch.branch_id AND bt.table_id = ANY (v_tables) ORDER BY bt.table_id LOOP
        PERFORM pggit._follow_branch_table(v_shown, v_saved -> v_shown.table_id::text);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._copy_type(pggit.branches, oid) IS
'Gives a branch a copy of a type of main''s under the same name, and its tables'' columns that copy. Raises VG307 where that can''t be: too much to copy or to save, or more than tables is made of the type.';

CREATE OR REPLACE FUNCTION pggit._copy_types_for_ddl(p_branch pggit.branches, p_statement text)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_type oid;
BEGIN
    FOR v_type IN SELECT t FROM pggit._named_types(p_branch.branch_id, p_statement) AS t ORDER BY t LOOP
        PERFORM pggit._copy_type(p_branch, v_type);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._copy_types_for_ddl(pggit.branches, text) IS
'Before a statement on a branch alters or drops types of main''s: it is going to find the branch''s copies of them.';

CREATE OR REPLACE FUNCTION pggit._types_of_branch(p_branch_id integer)
    RETURNS TABLE (classid oid, objid oid, kind text, name text, base_schema text, local_name text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'pg_type'::regclass::oid, t.oid, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, format('%I.%I', s.schema_name, t.typname), s.base_schema, t.typname::text
      FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.schema_name JOIN pg_type AS t ON t.typnamespace = n.oid LEFT JOIN pg_class AS c ON c.oid = t.typrelid
     WHERE s.branch_id = p_branch_id AND t.typtype IN ('e', 'd', 'r', 'c') AND coalesce(c.relkind, 'c') = 'c'
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, 'sequence', format('%I.%I', s.schema_name, c.relname), s.base_schema, c.relname::text
      FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.schema_name JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind = 'S'
     WHERE s.branch_id = p_branch_id AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'));
$$;

COMMENT ON FUNCTION pggit._types_of_branch(integer) IS
'The types and the sequences of no table that a branch has of its own.';

CREATE OR REPLACE FUNCTION pggit._drop_types_of_branch(p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_one  record;
    v_left boolean;
BEGIN
    LOOP
        v_left := true;
        FOR v_one IN SELECT * FROM pggit._types_of_branch(p_branch_id) AS t ORDER BY t.objid DESC LOOP
            BEGIN
                EXECUTE format('DROP %s %s', v_one.kind, v_one.name);
                v_left := false;
            EXCEPTION WHEN dependent_objects_still_exist THEN
                NULL;
            END;
        END LOOP;
        EXIT WHEN v_left;
    END LOOP;
    FOR v_one IN SELECT * FROM pggit._types_of_branch(p_branch_id) AS t WHERE t.kind <> 'sequence' ORDER BY t.objid LOOP
        EXECUTE format('ALTER %s %s RENAME TO %I', v_one.kind, v_one.name, format('_type_%s', v_one.objid));
        EXECUTE format('ALTER %s %I.%I SET SCHEMA pggit', v_one.kind, (SELECT n.nspname FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE t.oid = v_one.objid), format('_type_%s', v_one.objid));
    END LOOP;
    PERFORM pggit._follow_types();
END;
$$;

COMMENT ON FUNCTION pggit._drop_types_of_branch(integer) IS
'Drops the types and sequences of a branch that is deleted. Types that its history is made of stay, in the schema pggit, as long as that.';
