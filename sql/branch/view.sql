CREATE OR REPLACE FUNCTION pggit._branch_relation(p_branch_id integer, p_table_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT CASE WHEN p_branch_id = 1 THEN pggit._base_relation(p_table_id)
                        ELSE (SELECT format('%I.%I', n.nspname, c.relname)
                                FROM pggit.branch_tables AS bt
                                JOIN pg_class AS c ON c.oid = bt.relation
                                JOIN pg_namespace AS n ON n.oid = c.relnamespace
                               WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id) END);
END;
$$;

COMMENT ON FUNCTION pggit._branch_relation(integer, integer) IS
'Qualified name of what shows a tracked table on a branch; NULL where the branch does not have it.';

CREATE OR REPLACE FUNCTION pggit._has_ordered_key(p_table_id integer)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT bool_and((d.typtype <> 'd' OR o.opcintype = c.type_name::regtype) AND NOT i.indisexclusion)
              FROM pggit.columns AS c
              JOIN pggit.tables AS t USING (table_id)
              JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attnum = c.attnum
              JOIN pg_type AS d ON d.oid = a.atttypid
              JOIN pg_index AS i ON i.indrelid = t.relation AND i.indisprimary
              JOIN pg_opclass AS o ON o.oid = i.indclass[c.key_position - 1]
             WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._has_ordered_key(integer) IS
'Whether a branch view can give rows in key order without sorting. A domain over varchar, an array or a composite is found by index, but not ordered by it: to the planner
the order of the domain''s index is not that of the base type.';

CREATE OR REPLACE FUNCTION pggit._check_index_paths(p_view text, p_key text, p_ordered boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET enable_sort = off SET enable_seqscan = off SET enable_incremental_sort = off SET enable_mergejoin = off SET enable_hashjoin = off
    SET enable_bitmapscan = off SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    v_plan json;
BEGIN
    BEGIN
        EXECUTE format('EXPLAIN (FORMAT JSON, COSTS OFF) SELECT %2$s FROM %1$s ORDER BY %2$s LIMIT 1', p_view, p_key) INTO v_plan;
        -- Planning locks every index, and only a rollback gives locks back: a branch of hundreds of tables would not find room for them.
        RAISE EXCEPTION USING MESSAGE = 'planned';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    IF jsonb_path_exists(v_plan::jsonb, CASE WHEN p_ordered THEN 'lax $.**."Node Type" ? (@ == "Subquery Scan" || @ == "Sort" || @ == "Seq Scan")'
                                              ELSE 'lax $.**."Node Type" ? (@ == "Subquery Scan")' END::jsonpath) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG902', SCHEMA = 'pggit',
            MESSAGE = format('view %s would not keep the index paths of its table', p_view),
            DETAIL  = v_plan::text,
            HINT    = 'Please report this with the table''s definition; meanwhile, materialize the table on the branch.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._check_index_paths(text, text, boolean) IS
'Plans the first row in key order and raises VG902 unless it comes by index from every arm of the view, without sorting. Not p_ordered: the arms need only be
bare relations, to which the planner takes conditions on the key.';

CREATE OR REPLACE FUNCTION pggit._view_sql(p_branch_id integer, p_table_id integer, p_mark pggit._mark)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT format('SELECT %s FROM (%s) AS q',
                          (SELECT string_agg(format('q.%I', c.name), ', ' ORDER BY array_position(bt.shape, c.column_id), c.attnum)
                             FROM pggit._shown_columns(p_table_id, (p_branch_id, NULL, p_mark)::pggit._position) AS c
                             LEFT JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch_id AND bt.table_id = p_table_id),
                          pggit._named_sql(p_table_id, pggit._flat_sql(p_table_id, p_branch_id, p_mark), (p_branch_id, NULL, p_mark)::pggit._position)));
END;
$$;

COMMENT ON FUNCTION pggit._view_sql(integer, integer, pggit._mark) IS
'SELECT of a branch''s rows of a table as users see them, with its place on main as constants and the columns that main had there, in the order in which the branch shows them.';

CREATE OR REPLACE FUNCTION pggit._column_sequence(p_relation oid, p_attnum smallint)
    RETURNS oid
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT d.objid
              FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_relation AND d.refobjsubid = p_attnum
               AND d.deptype IN ('a', 'i')
             ORDER BY d.objid LIMIT 1);
END;
$$;

COMMENT ON FUNCTION pggit._column_sequence(oid, smallint) IS
'The sequence that belongs to a column, or NULL.';

CREATE OR REPLACE FUNCTION pggit._column_defaults(p_table_id integer)
    RETURNS TABLE (column_id integer, expression text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT c.column_id,
           CASE WHEN q.sequence IS NOT NULL AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) = format('nextval(%L::regclass)', q.sequence::regclass))
                THEN format('pggit._next_%s_%s()', c.table_id, c.column_id)
                ELSE coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0)) END
      FROM pggit.columns AS c
      JOIN pggit.tables AS k USING (table_id)
      JOIN pg_attribute AS a ON a.attrelid = k.relation AND a.attname = c.name
      JOIN pg_type AS t ON t.oid = a.atttypid
      LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      LEFT JOIN LATERAL pggit._column_sequence(a.attrelid, a.attnum) AS q(sequence) ON true
     WHERE c.table_id = p_table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL
       AND (a.attidentity <> '' OR d.adbin IS NOT NULL OR t.typdefaultbin IS NOT NULL);
$$;

COMMENT ON FUNCTION pggit._column_defaults(integer) IS
'Default expressions for a branch view. Identity and serial columns call a function of pggit, so that writers of a branch need no rights on main''s sequences.';

CREATE OR REPLACE FUNCTION pggit._ensure_sequence_functions(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_column record;
BEGIN
    FOR v_column IN
        SELECT format('pggit._next_%s_%s', c.table_id, l.column_id) AS name, s.sequence
          FROM pggit.columns AS c
          JOIN pggit.tables AS t USING (table_id)
          JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attname = c.name
          CROSS JOIN LATERAL pggit._column_sequence(t.relation, a.attnum) AS s(sequence)
          -- Views show columns that main has retyped since.
          JOIN pggit.columns AS l ON l.table_id = c.table_id AND l.origin = c.origin
                                 AND (l.column_id = c.column_id OR to_regprocedure(format('pggit._next_%s_%s()', l.table_id, l.column_id)) IS NOT NULL)
         WHERE c.table_id = p_table_id AND c.dropped_at IS NULL AND s.sequence IS NOT NULL
    LOOP
        PERFORM pggit._ensure_function(v_column.name || '()', 'bigint', 'VOLATILE',
                                       format('BEGIN RETURN nextval(%L::regclass); END', v_column.sequence::regclass));
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._ensure_sequence_functions(integer) IS
'One function for each sequence of a table: branches draw their keys from main''s sequences, so that keys made on different branches never clash.';

CREATE OR REPLACE FUNCTION pggit._ensure_function(p_signature text, p_result text, p_volatility text, p_body text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_body IS DISTINCT FROM (SELECT p.prosrc FROM pg_proc AS p WHERE p.oid = to_regprocedure(p_signature)) THEN
        PERFORM pg_advisory_xact_lock(hashtext('pggit.function'), hashtext(p_signature));
        IF p_body IS DISTINCT FROM (SELECT p.prosrc FROM pg_proc AS p WHERE p.oid = to_regprocedure(p_signature)) THEN
            PERFORM pggit._lock_function(p_signature);
            -- Plans are kept for the session: one made while a store was small would read all of it, or of a branch in it, for each row later.
            EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS %s LANGUAGE plpgsql %s SECURITY DEFINER
                                SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS %L',
                           p_signature, p_result, p_volatility, p_body);
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._ensure_function(text, text, text, text) IS
'Makes or replaces a generated function, but only when its body is another: two sessions that replace one function at once would fail.';

CREATE OR REPLACE FUNCTION pggit._copy_grants(p_from oid, p_to oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_owner oid := (SELECT c.relowner FROM pg_class AS c WHERE c.oid = p_from);
    v_grant record;
BEGIN
    IF v_owner <> (SELECT c.relowner FROM pg_class AS c WHERE c.oid = p_to) THEN
        EXECUTE format('GRANT ALL ON %s TO %I WITH GRANT OPTION', p_to::regclass, pg_get_userbyid(v_owner));
    END IF;
    FOR v_grant IN
        SELECT g.privilege_type, g.is_grantable, NULL::name AS attname, g.grantee
          FROM pg_class AS c, aclexplode(c.relacl) AS g
         WHERE c.oid = p_from AND g.grantee <> c.relowner
        UNION ALL
        SELECT g.privilege_type, g.is_grantable, a.attname, g.grantee
          FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid, aclexplode(a.attacl) AS g
         WHERE c.oid = p_from AND NOT a.attisdropped AND g.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s%s ON %s TO %s%s', v_grant.privilege_type, coalesce(' (' || quote_ident(v_grant.attname) || ')', ''), p_to::regclass,
                       CASE WHEN v_grant.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(v_grant.grantee)) END,
                       CASE WHEN v_grant.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._copy_grants(oid, oid) IS
'Gives everybody, the owner too, the rights on one relation that they have on another, columns included.';

CREATE OR REPLACE FUNCTION pggit._called_functions(p_relation oid)
    RETURNS SETOF pg_proc
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN QUERY
        WITH RECURSIVE types AS (
            SELECT a.atttypid AS oid FROM pg_attribute AS a WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped
            UNION
            SELECT t.typbasetype FROM types AS d JOIN pg_type AS t ON t.oid = d.oid WHERE t.typtype = 'd'
        ), users AS (
            SELECT 'pg_constraint'::regclass AS classid, c.oid FROM pg_constraint AS c
             WHERE c.conrelid = p_relation OR (c.contypid <> 0 AND c.contypid IN (SELECT t.oid FROM types AS t))
            UNION ALL
            SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index AS i WHERE i.indrelid = p_relation
            UNION ALL
            SELECT 'pg_attrdef'::regclass, d.oid FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
             WHERE d.adrelid = p_relation AND a.attgenerated <> ''
        ), called AS MATERIALIZED (
            SELECT DISTINCT CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END AS oid
              FROM users AS u
              JOIN pg_depend AS d ON d.classid = u.classid AND d.objid = u.oid
              LEFT JOIN pg_operator AS o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
        )
        SELECT p.* FROM called AS c JOIN pg_proc AS p ON p.oid = c.oid;
END;
$$;

COMMENT ON FUNCTION pggit._called_functions(oid) IS
'The functions, but for PostgreSQL''s own, that the constraints, domains, indexes and generated columns of a table call.';

CREATE OR REPLACE FUNCTION pggit._foreign_code(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid::regprocedure::text)
              FROM pggit._called_functions(p_relation) AS p JOIN pg_roles AS r ON r.oid = p.proowner
             WHERE NOT r.rolsuper AND r.rolname <> current_user);
END;
$$;

COMMENT ON FUNCTION pggit._foreign_code(oid) IS
'Functions of other users that the constraints, indexes and generated columns of a table call: a write function of the acting role must not run them.';

CREATE OR REPLACE FUNCTION pggit._path_of_code(p_table pggit.tables)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT format(', %s, pg_temp', pggit._path_sql(array_agg(s.name ORDER BY s.place, s.name)))
              FROM (SELECT n.name, min(n.place) AS place
                      FROM (SELECT p_table.schema_name::name AS name, 1 AS place
                            UNION ALL SELECT t.schema_name, 2 FROM pggit.tables AS t WHERE t.untracked_at IS NULL
                            UNION ALL SELECT n.nspname, 3 FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace) AS n
                     WHERE n.name <> 'pg_catalog' GROUP BY n.name) AS s
             WHERE EXISTS (SELECT FROM pggit._called_functions(p_table.relation) AS p JOIN pg_language AS l ON l.oid = p.prolang WHERE l.lanname NOT IN ('c', 'internal'))
            HAVING count(*) > 0);
END;
$$;

COMMENT ON FUNCTION pggit._path_of_code(pggit.tables) IS
'For a table that calls functions in constraints, domains, indexes or generated columns, what comes behind pg_catalog and the branch''s schema in the search_path under which these run on branches: the schemas of main, and of extensions; else NULL. They run with the rights of whoever installed pggit, or makes the branch, so that it is never the search_path of who writes.';

CREATE OR REPLACE FUNCTION pggit._write_trigger_sql(p_view text, p_shape text, p_branch_id integer)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('CREATE OR REPLACE TRIGGER pggit_write INSTEAD OF INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION pggit._write_%s(%s)', p_view, p_shape, p_branch_id);
$$;

COMMENT ON FUNCTION pggit._write_trigger_sql(text, text, integer) IS
'Statement that has a branch view written through the function of a shape.';

CREATE OR REPLACE FUNCTION pggit._watch_trigger_sql(p_view text, p_table_id integer)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('CREATE TRIGGER pggit_before BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION pggit._before_view_statement(%s)', p_view, p_table_id);
$$;

COMMENT ON FUNCTION pggit._watch_trigger_sql(text, integer) IS
'Statement by which a branch view looks for new names of main before it is written, where no event trigger tells of DDL.';

CREATE OR REPLACE FUNCTION pggit._watch_keys(p_shown pggit.branch_tables)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_command text;
BEGIN
    FOR v_command IN
        WITH keys AS MATERIALIZED (
            SELECT count(*) > 0 AS any, count(*) FILTER (WHERE c.confrelid = t.relation) > 0 AS is_parent
              FROM pggit.tables AS t JOIN pg_constraint AS c ON c.contype = 'f' AND t.relation IN (c.conrelid, c.confrelid) WHERE t.table_id = p_shown.table_id
        )
        SELECT w.command
          FROM keys AS k
         CROSS JOIN LATERAL (VALUES ('pggit_settle', k.any, format('CREATE TRIGGER pggit_settle AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION pggit._settle_statement()',
                                                                   p_shown.relation::regclass)),
                                    ('pggit_path', k.is_parent, pggit._note_path_sql(p_shown.relation::regclass::text))) AS w(name, wanted, command)
         WHERE w.wanted AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = p_shown.relation AND g.tgname = w.name)
    LOOP
        EXECUTE v_command;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._watch_keys(pggit.branch_tables) IS
'Gives a branch view of a table with foreign keys, or that others refer to, the statement triggers that these take, where it has not got them.';

CREATE OR REPLACE FUNCTION pggit._create_view(p_branch_id integer, p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table   pggit.tables;
    v_at      pggit._position := pggit._branch_now(p_branch_id);
    v_shown   pggit.branch_tables;
    v_name    text;
    v_default record;
BEGIN
    SELECT t.* INTO STRICT v_table FROM pggit.tables AS t WHERE t.table_id = p_table_id;
    SELECT format('%I.%I', s.schema_name, v_table.table_name) INTO STRICT v_name
      FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND s.base_schema = v_table.schema_name;

    PERFORM pggit._ensure_read_indexes(p_table_id);
    PERFORM pggit._ensure_sequence_functions(p_table_id);
    EXECUTE format('CREATE VIEW %s AS %s', v_name, pggit._view_sql(p_branch_id, p_table_id, (v_at).s));
    INSERT INTO pggit.branch_tables (branch_id, table_id, relation, form, shape)
    VALUES (p_branch_id, p_table_id, v_name::regclass, 'view', ARRAY(SELECT c.column_id FROM pggit._columns_at(p_table_id, v_at) AS c ORDER BY c.attnum))
    RETURNING branch_tables.* INTO v_shown;
    PERFORM pggit._ensure_write_function(p_table_id, v_shown);
    PERFORM pggit._check_index_paths(v_name, pggit._user_key_columns(p_table_id, format('%I', v_table.table_name)), pggit._has_ordered_key(p_table_id));

    FOR v_default IN
        SELECT v.name, d.expression FROM pggit._column_defaults(p_table_id) AS d JOIN pggit._view_columns(v_shown) AS v ON v.main_id = d.column_id
    LOOP
        EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', v_name, v_default.name, v_default.expression);
    END LOOP;
    EXECUTE pggit._write_trigger_sql(v_name, pggit._view_shape_name(v_shown), p_branch_id);
    IF NOT pggit._is_told_of_ddl() THEN
        EXECUTE pggit._watch_trigger_sql(v_name, p_table_id);
    END IF;
    PERFORM pggit._watch_keys(v_shown);
    IF obj_description(v_table.relation, 'pg_class') IS NOT NULL THEN
        EXECUTE format('COMMENT ON VIEW %s IS %L', v_name, obj_description(v_table.relation, 'pg_class'));
    END IF;
    PERFORM pggit._copy_grants(v_table.relation, v_name::regclass);
    PERFORM pggit._close_table(p_branch_id, p_table_id) FROM pggit.branches AS b WHERE b.branch_id = p_branch_id AND b.mode = 'detached';
END;
$$;

COMMENT ON FUNCTION pggit._create_view(integer, integer) IS
'Shows a table on a branch as a flat view with INSTEAD OF triggers, defaults, comment and the grants of the table on main, and the columns it had where the branch stands.
Raises VG902 if the view would lose the table''s index paths.';

CREATE OR REPLACE FUNCTION pggit._short_wait()
    RETURNS integer
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT least(900, extract(epoch FROM current_setting('deadlock_timeout')::interval) * 900)::integer;
$$;

COMMENT ON FUNCTION pggit._short_wait() IS
'Milliseconds that pggit waits for locks while others may wait for its own: less than PostgreSQL''s deadlock_timeout, after which they would look for a deadlock and find one.';

CREATE OR REPLACE FUNCTION pggit._execute_soon(p_command text, p_begun timestamptz, p_within integer DEFAULT pggit._short_wait())
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_before text    := current_setting('lock_timeout');
    v_own    integer := extract(epoch FROM v_before::interval) * 1000;  -- zero: none
    v_left   integer := least(greatest(p_within - extract(epoch FROM clock_timestamp() - p_begun) * 1000, 1), nullif(v_own, 0));
BEGIN
    PERFORM set_config('lock_timeout', v_left::text, true);
    EXECUTE p_command;
    PERFORM set_config('lock_timeout', v_before, true);
END;
$$;

COMMENT ON FUNCTION pggit._execute_soon(text, timestamptz, integer) IS
'Runs a command that takes locks. All of them together, from p_begun on, wait no longer than p_within milliseconds (pggit._short_wait), so that nobody who waits for a lock held
here for as long as PostgreSQL''s deadlock_timeout (1 s) finds it waiting too: it gives up (55P03) before that, and none of them waits longer than the session''s lock_timeout. What comes after this time of work goes on as long as it need not wait.';

CREATE OR REPLACE FUNCTION pggit._take_branch_still(p_branch_id integer, p_from_readers boolean, p_within integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_begun timestamptz := clock_timestamp();
    v_shown record;
BEGIN
    FOR v_shown IN
        WITH RECURSIVE keys AS MATERIALIZED (
            SELECT DISTINCT o.table_id AS child, r.table_id AS parent
              FROM pg_constraint AS k JOIN pggit.tables AS o ON o.relation = k.conrelid JOIN pggit.tables AS r ON r.relation = k.confrelid
              JOIN pggit.branch_tables AS ob ON ob.branch_id = p_branch_id AND ob.table_id = o.table_id JOIN pggit.branch_tables AS rb ON rb.branch_id = p_branch_id AND rb.table_id = r.table_id
             WHERE k.contype = 'f'
        ), above AS (
            SELECT k.child, k.parent FROM keys AS k
            UNION SELECT a.child, k.parent FROM above AS a JOIN keys AS k ON k.child = a.parent
        ), heights AS MATERIALIZED (
            SELECT a.child AS table_id, count(*) AS n FROM above AS a GROUP BY a.child
        ), locks (place, height, table_id, command) AS (
            -- Who comes by a real table whose triggers the merge takes out (pggit._hold_triggers) has to wait before he has it.
            SELECT 1, coalesce(h.n, 0), bt.table_id, format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', bt.relation::regclass)
              FROM pggit.branch_tables AS bt LEFT JOIN heights AS h ON h.table_id = bt.table_id
             WHERE bt.branch_id = p_branch_id AND bt.form = 'table' AND p_from_readers AND NOT pggit._may_replicate()
               AND EXISTS (SELECT FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid WHERE g.tgrelid = bt.relation AND NOT g.tgisinternal AND g.tgenabled = 'O'
                                                                                               AND (p.pronamespace <> 'pggit'::regnamespace OR p.proname IN ('_check_child', '_check_parent')))
            UNION ALL
            -- Before the views: who has come in by a real table goes on to any of them, and none is kept from him yet.
            SELECT 2, 0, 0, format('SELECT pg_advisory_xact_lock(hashtext(''pggit.gate''), %s)', p_branch_id)
            UNION ALL
            -- Commands that change nothing: LOCK TABLE would lock what the views read, too.
            SELECT 3, coalesce(h.n, 0), bt.table_id,
                   CASE WHEN p_from_readers THEN format('ALTER VIEW %s OWNER TO %I', bt.relation::regclass, pg_get_userbyid(c.relowner))
                        ELSE pggit._write_trigger_sql(bt.relation::regclass::text, substr(p.proname, length('_write_') + 1), p_branch_id) END
              FROM pggit.branch_tables AS bt
              JOIN pg_class AS c ON c.oid = bt.relation
              JOIN pg_trigger AS g ON g.tgrelid = bt.relation AND g.tgname = 'pggit_write'
              JOIN pg_proc AS p ON p.oid = g.tgfoid
              LEFT JOIN heights AS h ON h.table_id = bt.table_id
             WHERE bt.branch_id = p_branch_id AND bt.form = 'view'
            UNION ALL
            SELECT 4, 0, 0, format('SELECT FROM pggit.branch_bases AS b WHERE b.branch_id = %s FOR UPDATE', p_branch_id)
        )
        -- Tables that are referred to first: a statement comes from them to those that refer to them, and would wait for the merge, and the merge for it.
        SELECT l.command FROM locks AS l ORDER BY l.place, l.height, l.table_id
    LOOP
        PERFORM pggit._execute_soon(v_shown.command, v_begun, p_within);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._take_branch_still(integer, boolean, integer) IS
'Takes all locks of pggit._hold_branch_still, or raises 55P03 when writers are not done within so many milliseconds.';

CREATE OR REPLACE FUNCTION pggit._hold_branch_still(p_branch_id integer, p_from_readers boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_replica text    := current_setting('session_replication_role');
    -- No event trigger need look at what locks views. What changes this setting makes PostgreSQL plan everything anew.
    v_quietly boolean := pggit._may_replicate() AND EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.form = 'view');
    v_begun   timestamptz := clock_timestamp();
    v_within  integer := 20;
    v_left    integer;
BEGIN
    IF v_quietly THEN
        PERFORM set_config('session_replication_role', 'replica', true);
    END IF;
    LOOP
        -- All attempts together: who waits for the branch's row, which is held all the while, would find that he waits in a circle.
        v_left := greatest(pggit._short_wait() - extract(epoch FROM clock_timestamp() - v_begun) * 1000, 1);
        BEGIN
            PERFORM pggit._take_branch_still(p_branch_id, p_from_readers, least(v_within, v_left));
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF v_within >= v_left THEN
                RAISE;
            END IF;
        END;
        -- Whoever waits for one of these locks while the merge waits for him: he has it now, and is soon done.
        PERFORM pg_sleep(0.005 + random() * 0.02);
        v_within := v_within * 7;
    END LOOP;
    IF v_quietly THEN
        PERFORM set_config('session_replication_role', v_replica, true);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._hold_branch_still(integer, boolean) IS
'Keeps writers of a branch away until this transaction ends: from here on none is in flight. Those of its views wait for the view''s lock, so before they have a snapshot, and then write as if they had come later; those of its real tables wait at a gate (pggit._lock_base). All locks or none: who writes in an order in which he comes to meet the merge half way
would wait for it and it for him, so it lets go after a moment, and tries again for a longer one.
p_from_readers: who reads the views waits, too. Who is going to change a view has to say so, for a stronger lock that is asked for later makes PostgreSQL end, at once, whoever has read the view and goes on to write it. Raises 55P03 where writers are not done within 0.9 seconds.';

CREATE OR REPLACE FUNCTION pggit._remake_view(p_shown pggit.branch_tables)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name    text := p_shown.relation::regclass::text;
    v_schema  text := (SELECT quote_ident(n.nspname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_shown.relation);
    v_old     text := format('pggit_view_%s', p_shown.table_id);
    v_readers record;
BEGIN
    SELECT array_agg(r.command ORDER BY r.n) AS commands, array_agg(r.objid) || p_shown.relation::oid AS known INTO v_readers FROM pggit._told_readers(p_shown.relation, p_shown.branch_id) AS r;
    PERFORM pggit._require_no_reader(p_shown.relation, coalesce(v_readers.known, ARRAY[p_shown.relation::oid]));
    PERFORM pggit._execute_soon(format('ALTER VIEW %s RENAME TO %I', v_name, v_old), clock_timestamp());
    DELETE FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_shown.branch_id AND bt.table_id = p_shown.table_id;
    PERFORM pggit._create_view(p_shown.branch_id, p_shown.table_id);
    PERFORM pggit._copy_grants(p_shown.relation, (SELECT bt.relation FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_shown.branch_id AND bt.table_id = p_shown.table_id));
    PERFORM pggit._read_again(p_shown.branch_id, v_readers.commands);
    EXECUTE format('DROP VIEW %s.%I', v_schema, v_old);
END;
$$;

COMMENT ON FUNCTION pggit._remake_view(pggit.branch_tables) IS
'Makes a view of a branch anew, with the columns that main has now; what reads it reads the new one. Raises VG308.';

CREATE OR REPLACE FUNCTION pggit._rebase_views(p_branch_id integer, p_mark pggit._mark)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table record;
    v_shown pggit.branch_tables;
    v_begun timestamptz;
    v_reshaped integer[];
BEGIN
    PERFORM pggit._record_transaction();
    INSERT INTO pggit.base_moves (_seq, _xid, branch_id, s)
    SELECT nextval('pggit._ordinal'), pggit._transaction_number(), b.branch_id, b.s FROM pggit.branch_bases AS b WHERE b.branch_id = p_branch_id;
    v_reshaped := ARRAY(SELECT bt.table_id FROM pggit.branch_tables AS bt
                         WHERE bt.branch_id = p_branch_id AND bt.form = 'view'
                           AND (pggit._is_reshaped(bt.table_id, pggit._branch_now(p_branch_id), (p_branch_id, NULL, p_mark)::pggit._position)
                                OR EXISTS (SELECT FROM pggit._view_columns(bt) AS v JOIN pggit.columns AS c ON c.table_id = bt.table_id AND c.column_id = v.column_id WHERE c.name <> v.name)));
    UPDATE pggit.branch_bases AS b SET s = p_mark WHERE b.branch_id = p_branch_id;

    FOR v_shown IN SELECT bt.* FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = ANY (v_reshaped) ORDER BY bt.table_id LOOP
        PERFORM pggit._remake_view(v_shown);
    END LOOP;
    FOR v_table IN
        SELECT bt AS shown, bt.table_id, bt.relation::regclass::text AS name,
               (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = bt.relation AND a.attnum > 0) AS columns
          FROM pggit.branch_tables AS bt
         WHERE bt.branch_id = p_branch_id AND bt.form = 'view' AND bt.table_id <> ALL (v_reshaped) ORDER BY bt.table_id
    LOOP
        v_begun := coalesce(v_begun, clock_timestamp());
        PERFORM pggit._execute_soon(format('CREATE OR REPLACE VIEW %s (%s) AS %s', v_table.name, v_table.columns, pggit._view_sql(p_branch_id, v_table.table_id, p_mark)), v_begun);
        v_shown := v_table.shown;
        PERFORM pggit._ensure_write_function(v_shown.table_id, v_shown);
        PERFORM pggit._watch_keys(v_shown);
        IF NOT EXISTS (SELECT FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
                        WHERE g.tgrelid = v_shown.relation AND g.tgname = 'pggit_write' AND p.proname = '_write_' || pggit._view_shape_name(v_shown)) THEN
            PERFORM pggit._execute_soon(pggit._write_trigger_sql(v_table.name, pggit._view_shape_name(v_shown), p_branch_id), v_begun);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._rebase_views(integer, pggit._mark) IS
'Moves the place where a branch stands on main and rebuilds its views on it; names of columns, grants, defaults and triggers stay. Waits for open writers and readers of the branch.';
