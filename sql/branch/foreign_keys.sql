-- Foreign keys of a branch where a view is at one end. Between two real tables they are PostgreSQL's own.

CREATE OR REPLACE FUNCTION pggit._names_on_branch(p_shown pggit.branch_tables)
    RETURNS TABLE (main_id integer, name text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    IF p_shown.form = 'view' THEN
        RETURN QUERY SELECT v.main_id, v.name FROM pggit._view_columns(p_shown) AS v;
    ELSE
        RETURN QUERY SELECT m.column_id, k.name FROM pggit._columns_as_made(p_shown) AS k JOIN pggit.columns AS m ON m.table_id = p_shown.table_id AND m.origin = k.origin AND m.dropped_at IS NULL;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._names_on_branch(pggit.branch_tables) IS
'The columns of now of a table on main, and the names by which a branch has them.';

CREATE OR REPLACE FUNCTION pggit._name_on_branch(p_branch_id integer, p_table_id integer, p_attnum smallint, p_name text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT coalesce((SELECT n.name
                               FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) JOIN pggit.columns AS c USING (table_id)
                               JOIN LATERAL pggit._names_on_branch(bt) AS n ON n.main_id = c.column_id
                              WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND c.dropped_at IS NULL
                                AND CASE WHEN t.place = pggit._place() THEN c.attnum = p_attnum ELSE c.name = p_name END), p_name));
END;
$$;

COMMENT ON FUNCTION pggit._name_on_branch(integer, integer, smallint, text) IS
'The name by which a branch has a column of main.';

CREATE OR REPLACE FUNCTION pggit._full_type(p_type oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (WITH RECURSIVE chain AS (
                SELECT t.typnamespace, t.typname, t.typtype, t.typbasetype FROM pg_type AS t WHERE t.oid = p_type
                UNION ALL
                SELECT t.typnamespace, t.typname, t.typtype, t.typbasetype FROM chain AS c JOIN pg_type AS t ON t.oid = c.typbasetype WHERE c.typtype = 'd'
            )
            SELECT format('%I.%I', n.nspname, c.typname) FROM chain AS c JOIN pg_namespace AS n ON n.oid = c.typnamespace WHERE c.typtype <> 'd');
END;
$$;

COMMENT ON FUNCTION pggit._full_type(oid) IS
'Name of a type, or of the type under a domain, that means the same under any search_path; without modifier, for a value is not to be cut.';

CREATE OR REPLACE FUNCTION pggit._compare_sql(p_operator oid, p_left oid, p_right oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT concat(CASE WHEN p_left <> p_right THEN (SELECT format('COLLATE %I.%I ', cn.nspname, c.collname) FROM pg_collation AS c JOIN pg_namespace AS cn ON cn.oid = c.collnamespace WHERE c.oid = p_left) END,
                          format('OPERATOR(%I.%s)', n.nspname, o.oprname))
              FROM pg_operator AS o JOIN pg_namespace AS n ON n.oid = o.oprnamespace WHERE o.oid = p_operator);
END;
$$;

COMMENT ON FUNCTION pggit._compare_sql(oid, oid, oid) IS
'What stands between a parent''s column and a child''s in the condition that they are the same. p_left, p_right: their collations; where these are not the same, the parent''s decides, as in PostgreSQL''s own foreign keys.';

CREATE OR REPLACE FUNCTION pggit._value_text(p_value anyelement)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' SET search_path = pg_catalog
AS $$
BEGIN
    RETURN p_value::text;
END;
$$;

COMMENT ON FUNCTION pggit._value_text(anyelement) IS
'A value as text that every setting of this session reads as the same value.';

CREATE OR REPLACE FUNCTION pggit._foreign_key(p_constraint oid, p_branch_id integer DEFAULT NULL,
    OUT name text, OUT child_id integer, OUT parent_id integer, OUT child_relation oid, OUT parent_relation oid, OUT index_id oid,
    OUT child_columns text[], OUT parent_columns text[], OUT child_types text[], OUT parent_types text[], OUT parent_type_ids oid[],
    OUT operators text[], OUT match_full boolean, OUT on_delete "char", OUT on_update "char", OUT set_columns text[], OUT is_deferred boolean)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT c.conname, ct.table_id, pt.table_id, c.conrelid, c.confrelid, c.conindid,
           k.child_columns, k.parent_columns, k.child_types, k.parent_types, k.parent_type_ids, k.operators,
           c.confmatchtype = 'f', c.confdeltype, c.confupdtype,
           ARRAY(SELECT CASE WHEN p_branch_id IS NULL THEN a.attname::text ELSE pggit._name_on_branch(p_branch_id, ct.table_id, a.attnum, a.attname) END FROM pg_attribute AS a
                  WHERE a.attrelid = c.conrelid AND a.attnum = ANY (coalesce(nullif(c.confdelsetcols, '{}'), c.conkey)) ORDER BY a.attnum),
           c.condeferrable AND c.condeferred
      FROM pg_constraint AS c
      LEFT JOIN pggit.tables AS ct ON ct.relation = c.conrelid AND ct.untracked_at IS NULL
      LEFT JOIN pggit.tables AS pt ON pt.relation = c.confrelid AND pt.untracked_at IS NULL
      CROSS JOIN LATERAL (
          SELECT array_agg(CASE WHEN p_branch_id IS NULL THEN ca.attname::text ELSE pggit._name_on_branch(p_branch_id, ct.table_id, ca.attnum, ca.attname) END ORDER BY u.n) AS child_columns,
                 array_agg(CASE WHEN p_branch_id IS NULL THEN pa.attname::text ELSE pggit._name_on_branch(p_branch_id, pt.table_id, pa.attnum, pa.attname) END ORDER BY u.n) AS parent_columns,
                 array_agg(pggit._full_type(ca.atttypid) ORDER BY u.n) AS child_types,
                 array_agg(pggit._full_type(pa.atttypid) ORDER BY u.n) AS parent_types,
                 array_agg(pa.atttypid ORDER BY u.n) AS parent_type_ids,
                 array_agg(pggit._compare_sql(u.op, pa.attcollation, ca.attcollation) ORDER BY u.n) AS operators
            FROM unnest(c.conkey, c.confkey, c.conpfeqop) WITH ORDINALITY AS u(ck, pk, op, n)
            JOIN pg_attribute AS ca ON ca.attrelid = c.conrelid AND ca.attnum = u.ck
            JOIN pg_attribute AS pa ON pa.attrelid = c.confrelid AND pa.attnum = u.pk) AS k
     WHERE c.oid = p_constraint;
$$;

COMMENT ON FUNCTION pggit._foreign_key(oid, integer) IS
'What a foreign key on main says, in names of now, or those that a branch has. operators (pggit._compare_sql) compare a parent''s column (left) with a child''s.';

CREATE OR REPLACE FUNCTION pggit._constraint(p_child_id integer, p_name text, p_oid oid)
    RETURNS oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT c.oid
      FROM pggit.tables AS t JOIN pg_constraint AS c ON c.conrelid = t.relation
     WHERE t.table_id = p_child_id AND c.contype = 'f' AND (c.conname = p_name OR c.oid = p_oid)
     ORDER BY c.conname = p_name DESC LIMIT 1;
$$;

COMMENT ON FUNCTION pggit._constraint(integer, text, oid) IS
'The foreign key that generated code means: in a restored database it has another oid, and one that was renamed since has it still.';

CREATE OR REPLACE FUNCTION pggit._constraint_sql(p_child_id integer, p_constraint oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT format('%s, %L, %s', p_child_id, c.conname, c.oid) FROM pg_constraint AS c WHERE c.oid = p_constraint);
END;
$$;

COMMENT ON FUNCTION pggit._constraint_sql(integer, oid) IS
'A foreign key on main as the three arguments of pggit._constraint.';

CREATE OR REPLACE FUNCTION pggit._foreign_keys(p_relation oid, p_of_parent boolean)
    RETURNS SETOF oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT c.oid
      FROM pg_constraint AS c
     WHERE c.contype = 'f' AND CASE WHEN p_of_parent THEN c.confrelid ELSE c.conrelid END = p_relation AND c.conparentid = 0
       AND NOT EXISTS (SELECT FROM pggit.partitions AS p WHERE p.relation IN (c.conrelid, c.confrelid))
       AND coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true)
     ORDER BY c.conname;
$$;

COMMENT ON FUNCTION pggit._foreign_keys(oid, boolean) IS
'The foreign keys of a table on main, or those that point at it, in the order of their names; without those that only a single partition has.';

CREATE OR REPLACE FUNCTION pggit._has_foreign_key(p_branch_id integer, p_constraint oid)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT NOT EXISTS (SELECT
                                 FROM pg_constraint AS c
                                CROSS JOIN LATERAL (VALUES (c.conrelid, c.conkey), (c.confrelid, c.confkey)) AS e(relation, key)
                                 JOIN pg_attribute AS a ON a.attrelid = e.relation AND a.attnum = ANY (e.key)
                                 JOIN pggit.tables AS t ON t.relation = e.relation AND t.untracked_at IS NULL
                                 JOIN pggit.columns AS m ON m.table_id = t.table_id AND m.name = a.attname AND m.dropped_at IS NULL
                                 JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch_id AND bt.table_id = t.table_id
                                WHERE c.oid = p_constraint AND NOT EXISTS (SELECT FROM pggit._names_on_branch(bt) AS n WHERE n.main_id = m.column_id)));
END;
$$;

COMMENT ON FUNCTION pggit._has_foreign_key(integer, oid) IS
'Whether a branch has the columns of a foreign key on main, in both tables.';

CREATE OR REPLACE FUNCTION pggit._is_parent_sql(p_columns text[], p_operators text[], p_types text[], p_key text[])
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('p.%I %s %L::%s', u.name, u.operator, u.value, u.type), ' AND ' ORDER BY u.n)
              FROM unnest(p_columns, p_operators, p_types, p_key) WITH ORDINALITY AS u(name, operator, type, value, n));
END;
$$;

COMMENT ON FUNCTION pggit._is_parent_sql(text[], text[], text[], text[]) IS
'Condition: row p has these values, as a foreign key with these operators compares them. p_columns and p_types are the parent''s.';

CREATE OR REPLACE FUNCTION pggit._is_child_sql(p_columns text[], p_operators text[], p_types text[], p_key text[])
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('%L::%s %s c.%I', u.value, u.type, u.operator, u.name), ' AND ' ORDER BY u.n)
              FROM unnest(p_columns, p_operators, p_types, p_key) WITH ORDINALITY AS u(name, operator, type, value, n));
END;
$$;

COMMENT ON FUNCTION pggit._is_child_sql(text[], text[], text[], text[]) IS
'Condition: row c refers to the parent that has, or had, these values of these types. p_columns: the child''s.';

CREATE OR REPLACE FUNCTION pggit._has_parent(p_branch_id integer, p_constraint oid, p_key text[])
    RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_key   record := pggit._foreign_key(p_constraint, p_branch_id);
    v_found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s AS p WHERE %s)',
                   coalesce(pggit._branch_relation(p_branch_id, v_key.parent_id), v_key.parent_relation::regclass::text),
                   pggit._is_parent_sql(v_key.parent_columns, v_key.operators, v_key.parent_types, p_key)) INTO v_found;
    RETURN v_found;
END;
$$;

COMMENT ON FUNCTION pggit._has_parent(integer, oid, text[]) IS
'Whether a branch has the row that a foreign key''s values refer to; a parent that is not versioned is looked for on main.';

CREATE OR REPLACE FUNCTION pggit._has_child(p_branch_id integer, p_constraint oid, p_key text[])
    RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_key   record := pggit._foreign_key(p_constraint, p_branch_id);
    v_found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s AS c WHERE %s)', pggit._branch_relation(p_branch_id, v_key.child_id),
                   pggit._is_child_sql(v_key.child_columns, v_key.operators, v_key.parent_types, p_key)) INTO v_found;
    RETURN v_found;
END;
$$;

COMMENT ON FUNCTION pggit._has_child(integer, oid, text[]) IS
'Whether a branch has a row that refers to these values.';

CREATE OR REPLACE FUNCTION pggit._refuse_foreign_key(p_branch_id integer, p_constraint oid, p_key text[], p_by_parent boolean, p_restrict boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_key    record := pggit._foreign_key(p_constraint, p_branch_id);
    v_child  text := (SELECT c.relname FROM pg_class AS c WHERE c.oid = v_key.child_relation);
    v_parent text := (SELECT c.relname FROM pg_class AS c WHERE c.oid = v_key.parent_relation);
    v_schema text := (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                       WHERE c.oid = coalesce((SELECT bt.relation FROM pggit.branch_tables AS bt
                                                WHERE bt.branch_id = p_branch_id AND bt.table_id = v_key.child_id), v_key.child_relation));
BEGIN
    IF p_restrict AND current_setting('server_version_num')::integer >= 180000 THEN
        PERFORM pggit._violation('23001', format('update or delete on table "%s" violates RESTRICT setting of foreign key constraint "%s" on table "%s"',
                                                 v_parent, v_key.name, v_child),
                                 format('Key (%s)=(%s) is referenced from table "%s".', array_to_string(v_key.parent_columns, ', '),
                                        array_to_string(p_key, ', '), v_child), v_schema, v_child, '', v_key.name);
    ELSIF p_by_parent THEN
        PERFORM pggit._violation('23503', format('update or delete on table "%s" violates foreign key constraint "%s" on table "%s"', v_parent, v_key.name, v_child),
                                 format('Key (%s)=(%s) is still referenced from table "%s".', array_to_string(v_key.parent_columns, ', '),
                                        array_to_string(p_key, ', '), v_child), v_schema, v_child, '', v_key.name);
    END IF;
    PERFORM pggit._violation('23503', format('insert or update on table "%s" violates foreign key constraint "%s"', v_child, v_key.name),
                             format('Key (%s)=(%s) is not present in table "%s".', array_to_string(v_key.child_columns, ', '),
                                    array_to_string(p_key, ', '), v_parent), v_schema, v_child, '', v_key.name);
END;
$$;

COMMENT ON FUNCTION pggit._refuse_foreign_key(integer, oid, text[], boolean, boolean) IS
'Raises 23503 as PostgreSQL words it, for a child without parent or for a parent that is still referenced (RESTRICT: 23001 since version 18).';

CREATE OR REPLACE FUNCTION pggit._check_later(p_branch_id integer, p_constraint oid, p_key text[], p_by_parent boolean)
    RETURNS void
    LANGUAGE sql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO pggit.pending_checks (xid, branch_id, constraint_id, key, by_parent, is_deferred)
    SELECT pg_current_xact_id(), p_branch_id, p_constraint, p_key, p_by_parent, c.condeferrable AND c.condeferred
      FROM pg_constraint AS c WHERE c.oid = p_constraint;
$$;

COMMENT ON FUNCTION pggit._check_later(integer, oid, text[], boolean) IS
'Notes a foreign key that does not hold at this moment: it has to at the end of the statement, or of the transaction if it is deferred.';

CREATE OR REPLACE FUNCTION pggit._settle(p_check pggit.pending_checks)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM pggit.pending_checks AS c WHERE c.check_id = p_check.check_id;
    IF FOUND AND pggit._has_child(p_check.branch_id, p_check.constraint_id, p_check.key)
       AND NOT pggit._has_parent(p_check.branch_id, p_check.constraint_id, p_check.key) THEN
        PERFORM pggit._refuse_foreign_key(p_check.branch_id, p_check.constraint_id, p_check.key, p_check.by_parent);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._settle(pggit.pending_checks) IS
'Looks at a noted foreign key once more and raises 23503 if it still does not hold.';

CREATE OR REPLACE FUNCTION pggit._settle_statement()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_check pggit.pending_checks;
BEGIN
    IF current_setting('pggit.settle_later', true) = pg_trigger_depth()::text THEN
        RETURN NULL;
    END IF;
    FOR v_check IN
        SELECT c.* FROM pggit.pending_checks AS c WHERE c.xid = pg_current_xact_id_if_assigned() AND NOT c.is_deferred ORDER BY c.check_id
    LOOP
        PERFORM pggit._settle(v_check);
    END LOOP;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._settle_statement() IS
'AFTER STATEMENT trigger of branch relations with foreign keys: what was noted during the statement must hold now. What referential actions do is part of the statement that caused them (pggit.settle_later is how deep the triggers of theirs are), but not what triggers of the user''s do for them.';

CREATE OR REPLACE FUNCTION pggit._settle_deferred()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._settle(NEW);
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._settle_deferred() IS
'Deferred trigger: what was noted for the end of the transaction must hold now. SET CONSTRAINTS ALL IMMEDIATE brings it forward.';

DO $trigger$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = 'pggit.pending_checks'::regclass AND g.tgname = 'settle') THEN
        CREATE CONSTRAINT TRIGGER settle AFTER INSERT ON pggit.pending_checks DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION pggit._settle_deferred();
    END IF;
END;
$trigger$;

CREATE OR REPLACE FUNCTION pggit._note_path()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_catalog.set_config('pggit.search_path', pg_catalog.current_setting('search_path'), true);
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._note_path() IS
'BEFORE STATEMENT trigger of branch relations that others refer to: the local setting pggit.search_path is the search_path of who writes, for referential actions. Runs as that user and under that path, so nothing in it goes without its schema.';

CREATE OR REPLACE FUNCTION pggit._note_path_sql(p_relation text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('CREATE OR REPLACE TRIGGER pggit_path BEFORE UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION pggit._note_path()', p_relation);
$$;

COMMENT ON FUNCTION pggit._note_path_sql(text) IS
'Statement that has a branch relation note the search_path of who writes it.';

CREATE OR REPLACE FUNCTION pggit._ensure_cascade_as(p_relation oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_owner record;
    v_name  text;
BEGIN
    SELECT r.oid, r.rolname INTO v_owner FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner WHERE c.oid = p_relation AND NOT r.rolsuper;
    IF NOT FOUND OR pggit._cascade_as(v_owner.oid) IS NOT NULL OR NOT (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('pggit.cascade'), v_owner.oid::integer);
    IF pggit._cascade_as(v_owner.oid) IS NULL THEN
        v_name := format('pggit.%I(text, text)', '_cascade_as_' || v_owner.oid);
        EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L', v_name,
                       'BEGIN PERFORM set_config(''search_path'', $2, true) WHERE $2 <> ''''; EXECUTE $1; END');
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', v_name);
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', v_name, v_owner.rolname);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._ensure_cascade_as(oid) IS
'Makes, where a superuser installed pggit, the function by which referential actions run with the rights of a table''s owner, as PostgreSQL runs them: pggit._run_under as that role, for nobody else to call.';

CREATE OR REPLACE FUNCTION pggit._cascade_as(p_owner oid)
    RETURNS regproc
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    -- By its owner: in a restored database roles have other numbers.
    SELECT p.oid::regproc FROM pg_proc AS p
     WHERE p.pronamespace = 'pggit'::regnamespace AND p.proname LIKE '\_cascade\_as\_%' AND p.proowner = p_owner AND p.prosecdef LIMIT 1;
$$;

COMMENT ON FUNCTION pggit._cascade_as(oid) IS
'The function that pggit._ensure_cascade_as made for a role, or NULL.';

CREATE OR REPLACE FUNCTION pggit._cascade(p_child text, p_main_child oid, p_key text, p_command text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_path  text := coalesce(current_setting('pggit.search_path', true), '');
    v_child record;
    v_as    regproc;
BEGIN
    SELECT r.oid AS owner, r.rolsuper OR r.rolname = current_user AS is_ours, c.relforcerowsecurity INTO STRICT v_child
      FROM pg_class AS c JOIN pg_class AS o ON o.oid = CASE c.relkind WHEN 'v' THEN p_main_child ELSE c.oid END JOIN pg_roles AS r ON r.oid = o.relowner
     WHERE c.oid = p_child::regclass;
    -- Row-level security would hide rows from an owner that it is forced on.
    IF NOT v_child.is_ours AND NOT v_child.relforcerowsecurity THEN
        v_as := pggit._cascade_as(v_child.owner);
    END IF;
    IF v_as IS NOT NULL THEN
        EXECUTE format('SELECT %s($1, $2)', v_as) USING p_command, v_path;
    ELSIF EXISTS (SELECT FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid JOIN pg_roles AS r ON r.oid = p.proowner
                   WHERE g.tgrelid = p_child::regclass AND NOT g.tgisinternal AND NOT r.rolsuper AND r.rolname <> current_user) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('foreign key %I would change rows of %s here, whose triggers are another user''s and can''t be run for them', p_key, p_child),
            HINT    = 'Materialize both tables on the branch: then PostgreSQL itself does it.';
    ELSE
        PERFORM pggit._run_under(p_command, CASE WHEN v_child.is_ours THEN v_path ELSE '' END);
    END IF;
    -- What triggers have written has noted theirs.
    PERFORM set_config('pggit.search_path', v_path, true);
END;
$$;

COMMENT ON FUNCTION pggit._cascade(text, oid, text, text) IS
'Runs what a referential action does to the rows of a child on a branch as PostgreSQL would: with the rights of the child''s owner, and triggers under the search_path of who wrote the parent. Where it can''t have his rights, it has those of whoever installed pggit, under whose hands nobody else chooses the search_path.
p_main_child: the child on main, whose owner counts where the branch has a view. Raises VG307 where triggers of others would run with these rights.';

CREATE OR REPLACE FUNCTION pggit._referenced(p_branch_id integer, p_constraint oid, p_operation text, p_old text[], p_new text[])
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = on SET enable_bitmapscan = on
AS $$
DECLARE
    v_key    record := pggit._foreign_key(p_constraint, p_branch_id);
    v_action "char" := CASE p_operation WHEN 'DELETE' THEN v_key.on_delete ELSE v_key.on_update END;
    v_child  text   := pggit._branch_relation(p_branch_id, v_key.child_id);
    v_where  text;
    v_outer  text   := coalesce(current_setting('pggit.settle_later', true), '');
BEGIN
    IF v_child IS NULL OR NOT pggit._has_foreign_key(p_branch_id, p_constraint) THEN
        RETURN;
    END IF;
    v_where := pggit._is_child_sql(v_key.child_columns, v_key.operators, v_key.parent_types, p_old);

    PERFORM set_config('pggit.settle_later', (pg_trigger_depth() + 1)::text, true);
    CASE v_action
        WHEN 'a' THEN
            IF pggit._has_child(p_branch_id, p_constraint, p_old) THEN
                PERFORM pggit._check_later(p_branch_id, p_constraint, p_old, true);
            END IF;
        WHEN 'r' THEN
            IF pggit._has_child(p_branch_id, p_constraint, p_old) THEN
                PERFORM pggit._refuse_foreign_key(p_branch_id, p_constraint, p_old, true, true);
            END IF;
        WHEN 'c' THEN
            PERFORM pggit._cascade(v_child, v_key.child_relation, v_key.name,
                                   CASE p_operation WHEN 'DELETE' THEN format('DELETE FROM %s AS c WHERE %s', v_child, v_where)
                                        ELSE format('UPDATE %s AS c SET %s WHERE %s', v_child,
                                                    (SELECT string_agg(format('%I = %L::%s', u.name, u.value, u.type), ', ')
                                                       FROM unnest(v_key.child_columns, v_key.child_types, p_new) AS u(name, type, value)), v_where) END);
        ELSE
            PERFORM pggit._cascade(v_child, v_key.child_relation, v_key.name,
                                   format('UPDATE %s AS c SET %s WHERE %s', v_child,
                                          (SELECT string_agg(format('%I = %s', u.name, CASE v_action WHEN 'n' THEN 'NULL' ELSE 'DEFAULT' END), ', ')
                                             FROM unnest(CASE p_operation WHEN 'DELETE' THEN v_key.set_columns ELSE v_key.child_columns END) AS u(name)), v_where));
            -- Where the default is the very key that goes, nothing has changed that the child's own check would see.
            IF v_action = 'd' AND pggit._has_child(p_branch_id, p_constraint, p_old) THEN
                INSERT INTO pggit.pending_checks (xid, branch_id, constraint_id, key, by_parent, is_deferred)
                VALUES (pg_current_xact_id(), p_branch_id, p_constraint, p_old, true, false);
            END IF;
    END CASE;
    PERFORM set_config('pggit.settle_later', v_outer, true);
END;
$$;

COMMENT ON FUNCTION pggit._referenced(integer, oid, text, text[], text[]) IS
'What a foreign key says shall happen to the rows of a branch that refer to a key which has just gone (p_operation DELETE or UPDATE).';

CREATE OR REPLACE FUNCTION pggit._parent_lookup(p_parent_id integer, p_index oid, p_parent_columns text[], p_operators text[], p_child_columns text[])
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_named  text;
    v_stored text;
    v_keyed  boolean;
BEGIN
    IF p_parent_id IS NULL THEN
        RETURN E'\n            v_found := false;';
    END IF;
    SELECT string_agg(format('r.%s %s NEW.%s', pggit._quoted(u.parent), u.op, pggit._quoted(u.child)), ' AND ' ORDER BY u.n),
           string_agg(format('r.c%s %s NEW.%s', c.column_id, u.op, pggit._quoted(u.child)), ' AND ' ORDER BY u.n),
           bool_and(c.key_position IS NOT NULL) AND count(*) = (SELECT count(*) FROM pggit.columns AS k
                                                                 WHERE k.table_id = p_parent_id AND k.key_position IS NOT NULL AND k.dropped_at IS NULL)
      INTO v_named, v_stored, v_keyed
      FROM unnest(p_parent_columns, p_operators, p_child_columns) WITH ORDINALITY AS u(parent, op, child, n)
      JOIN pggit.columns AS c ON c.table_id = p_parent_id AND c.name = u.parent AND c.dropped_at IS NULL;

    IF NOT v_keyed THEN
        RETURN pggit._find_sql(p_parent_id, v_named, ARRAY[p_index]);
    END IF;
    -- The stores one after the other, each by its key: most often one or two short lookups settle it.
    RETURN format($w$
            v_found := EXISTS (SELECT FROM pggit._delta_%1$s AS r WHERE r._b = pggit_write.v_branch AND %2$s);
            IF v_found OR EXISTS (SELECT FROM pggit._mask_%1$s AS r WHERE r._b = pggit_write.v_branch AND %2$s) THEN
                NULL;
            ELSIF EXISTS (SELECT FROM pggit._log_%1$s AS r WHERE %2$s AND %3$s) THEN
                v_found := EXISTS (SELECT FROM (%4$s) AS r WHERE %5$s);
            ELSE
                v_found := EXISTS (SELECT FROM %6$s AS r WHERE %5$s);
            END IF;$w$,
        p_parent_id, v_stored, pggit._var_out_sql('r'), pggit._var_main_sql(p_parent_id), v_named, pggit._base_rows(p_parent_id));
END;
$$;

COMMENT ON FUNCTION pggit._parent_lookup(integer, oid, text[], text[], text[]) IS
'Statements of a write function that set v_found: the branch shows the row which a foreign key refers to.';

CREATE OR REPLACE FUNCTION pggit._write_foreign(p_table pggit.tables, p_missing smallint[])
    RETURNS TABLE (declarations text, body text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_oid oid;
    v_key record;
BEGIN
    declarations := '';
    body := '';
    FOR v_oid IN SELECT f FROM pggit._foreign_keys(p_table.relation, false) AS f LOOP
        CONTINUE WHEN (SELECT c.conkey && p_missing FROM pg_constraint AS c WHERE c.oid = v_oid);
        v_key := pggit._foreign_key(v_oid);
        body := body || format($w$
    IF TG_OP <> 'DELETE' AND %1$s AND (TG_OP = 'INSERT' OR ROW(%2$s)::record *<> ROW(%3$s)::record) THEN
        PERFORM pggit._share_key(v_branch, %4$s, %5$s);
        SELECT bt.form INTO v_form FROM pggit.branch_tables AS bt WHERE bt.branch_id = v_branch AND bt.table_id = %6$s;
        IF v_form = 'view' THEN%7$s
        ELSE
            v_found := pggit._has_parent(v_branch, pggit._constraint(%8$s), ARRAY[%9$s]);
        END IF;
        IF NOT v_found THEN
            PERFORM pggit._check_later(v_branch, pggit._constraint(%8$s), ARRAY[%9$s], false);
        END IF;
    END IF;$w$,
            (SELECT string_agg(format('NEW.%s IS DISTINCT FROM NULL', pggit._quoted(c)), ' AND ') FROM unnest(v_key.child_columns) AS c),
            (SELECT string_agg(format('NEW.%s', pggit._quoted(c)), ', ') FROM unnest(v_key.child_columns) AS c),
            (SELECT string_agg(format('OLD.%s', pggit._quoted(c)), ', ') FROM unnest(v_key.child_columns) AS c),
            coalesce(v_key.parent_id, 0),
            pggit._hash_sql((SELECT string_agg(format('NEW.%s::%s', pggit._quoted(u.name), u.type), ', ' ORDER BY u.n)
                               FROM unnest(v_key.child_columns, v_key.parent_types) WITH ORDINALITY AS u(name, type, n)), v_key.parent_type_ids),
            coalesce(v_key.parent_id, 0),
            pggit._parent_lookup(v_key.parent_id, v_key.index_id, v_key.parent_columns, v_key.operators, v_key.child_columns),
            pggit._constraint_sql(p_table.table_id, v_oid), (SELECT string_agg(format('pggit._value_text(NEW.%s)', pggit._quoted(c)), ', ') FROM unnest(v_key.child_columns) AS c));
        IF v_key.match_full AND cardinality(v_key.child_columns) > 1 THEN
            body := body || format($w$
    IF TG_OP <> 'DELETE' AND num_nulls(%1$s) NOT IN (0, %2$s) THEN
        PERFORM pggit._violation('23503', format('insert or update on table "%%s" violates foreign key constraint "%%s"', TG_TABLE_NAME, %3$L),
                                 'MATCH FULL does not allow mixing of null and nonnull key values.', TG_TABLE_SCHEMA, TG_TABLE_NAME, '', %3$L);
    END IF;$w$,
                (SELECT string_agg(format('NEW.%s', pggit._quoted(c)), ', ') FROM unnest(v_key.child_columns) AS c), cardinality(v_key.child_columns), v_key.name);
        END IF;
    END LOOP;

    FOR v_oid IN SELECT f FROM pggit._foreign_keys(p_table.relation, true) AS f LOOP
        v_key := pggit._foreign_key(v_oid);
        CONTINUE WHEN v_key.child_id IS NULL;
        body := body || format($w$
    IF TG_OP <> 'INSERT' AND %1$s AND (TG_OP = 'DELETE' OR ROW(%2$s)::record *<> ROW(%3$s)::record) THEN
        PERFORM pggit._claim_key(v_branch, %4$s, 'f', %5$s);
        SELECT bt.form INTO v_form FROM pggit.branch_tables AS bt WHERE bt.branch_id = v_branch AND bt.table_id = %6$s;
        IF v_form = 'view' THEN%7$s
        ELSE
            v_found := v_form IS NOT NULL;
        END IF;
        IF v_found THEN
            PERFORM pggit._referenced(v_branch, pggit._constraint(%8$s), TG_OP, ARRAY[%9$s], CASE TG_OP WHEN 'UPDATE' THEN ARRAY[%10$s] END);
        END IF;
    END IF;$w$,
            (SELECT string_agg(format('OLD.%s IS DISTINCT FROM NULL', pggit._quoted(c)), ' AND ') FROM unnest(v_key.parent_columns) AS c),
            (SELECT string_agg(format('NEW.%s', pggit._quoted(c)), ', ') FROM unnest(v_key.parent_columns) AS c),
            (SELECT string_agg(format('OLD.%s', pggit._quoted(c)), ', ') FROM unnest(v_key.parent_columns) AS c),
            v_key.parent_id,
            pggit._hash_sql((SELECT string_agg(format('OLD.%s::%s', pggit._quoted(u.name), u.type), ', ' ORDER BY u.n)
                               FROM unnest(v_key.parent_columns, v_key.parent_types) WITH ORDINALITY AS u(name, type, n)), v_key.parent_type_ids),
            v_key.child_id,
            pggit._find_sql(v_key.child_id, (SELECT string_agg(format('OLD.%s %s r.%s', pggit._quoted(u.parent), u.op, pggit._quoted(u.child)), ' AND ' ORDER BY u.n)
                                               FROM unnest(v_key.parent_columns, v_key.operators, v_key.child_columns) WITH ORDINALITY AS u(parent, op, child, n)),
                            ARRAY(SELECT i.indexrelid FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                                   WHERE i.indrelid = v_key.child_relation AND a.attname = ANY (v_key.child_columns) ORDER BY i.indexrelid)),
            pggit._constraint_sql(v_key.child_id, v_oid), (SELECT string_agg(format('pggit._value_text(OLD.%s)', pggit._quoted(c)), ', ') FROM unnest(v_key.parent_columns) AS c),
            (SELECT string_agg(format('pggit._value_text(NEW.%s)', pggit._quoted(c)), ', ') FROM unnest(v_key.parent_columns) AS c));
    END LOOP;
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION pggit._write_foreign(pggit.tables, smallint[]) IS
'The part of a write function that keeps foreign keys true, as child and as parent, but for those of missing columns.';
