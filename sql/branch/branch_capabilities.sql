CREATE OR REPLACE FUNCTION pggit._where_named(p_function pg_proc, p_schema text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT CASE WHEN (p_function).prosqlbody IS NULL AND lower((p_function).prosrc) ~ (pggit._word(p_schema) || '"?\s*\.') THEN 'its body names'
                        WHEN EXISTS (SELECT FROM unnest((p_function).proconfig) AS c WHERE lower(c) ~ ('^search_path=.*' || pggit._word(p_schema))) THEN 'its search_path names' END);
END;
$$;

COMMENT ON FUNCTION pggit._where_named(pg_proc, text) IS
'Where a function names a schema, so that it finds the same tables on every branch; NULL where it does not.';

CREATE OR REPLACE FUNCTION pggit.branch_capabilities(p_branch text)
    RETURNS TABLE (table_name text, kind text, limitation text, way_out text)
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch pggit.branches := pggit._branch(p_branch);
BEGIN
    RETURN QUERY
    WITH shown AS (
        SELECT t.relation, format('%I.%I', t.schema_name, t.table_name) AS name,
               format('SELECT pggit.materialize(%L, %L);', v_branch.name, format('%I.%I', t.schema_name, t.table_name)) AS real
          FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
         WHERE bt.branch_id = v_branch.branch_id AND bt.form = 'view'
    )
    SELECT s.name, l.kind, l.limitation, coalesce(l.way_out, s.real)
      FROM shown AS s
      CROSS JOIN LATERAL (
          VALUES ('on_conflict', 'INSERT … ON CONFLICT is refused by PostgreSQL on a view', NULL),
                 ('truncate', 'TRUNCATE is refused by PostgreSQL on a view', 'Use DELETE, or: ' || s.real),
                 ('row_locks', 'SELECT … FOR UPDATE locks nothing; who writes a row that another transaction has just updated gets 40001', NULL),
                 ('foreign_key_target', 'a new foreign key can''t point at a view', NULL),
                 ('replica', 'what sessions with session_replication_role = replica write to it is lost, without an error', NULL),
                 ('catalog', 'the catalog shows no constraints and indexes of it, though they hold', NULL),
                 ('ddl', 'ALTER TABLE and CREATE INDEX copy its rows first: it becomes a real table',
                  CASE WHEN NOT pggit._is_told_of_ddl() THEN format('SELECT pggit.ddl(%L, ''ALTER TABLE …'');', v_branch.name) END)
          UNION ALL
          SELECT 'merge_statement', 'MERGE on a view needs PostgreSQL 17', NULL
           WHERE current_setting('server_version_num')::integer < 170000
          UNION ALL
          SELECT 'trigger', format('trigger %I does not fire', g.tgname), NULL
            FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
           WHERE g.tgrelid = s.relation AND NOT g.tgisinternal AND p.pronamespace <> 'pggit'::regnamespace
          UNION ALL
          SELECT 'row_security', 'row-level security, which main has by now, does not hold: all rows are shown', NULL
            FROM pg_class AS c WHERE c.oid = s.relation AND c.relrowsecurity
          UNION ALL
          SELECT 'rule', format('rule %I does not apply', r.rulename), 'There is none: rules are not taken to branches.'
            FROM pg_rewrite AS r WHERE r.ev_class = s.relation
          UNION ALL
          SELECT 'deferred_unique', format('%I is deferrable, but is checked at once: a statement that passes through a duplicate is refused', k.relname), NULL
            FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid WHERE i.indrelid = s.relation AND NOT i.indimmediate
          UNION ALL
          SELECT 'identity', format('column %I takes given values without OVERRIDING SYSTEM VALUE', a.attname), NULL
            FROM pg_attribute AS a WHERE a.attrelid = s.relation AND a.attidentity = 'a'
          UNION ALL
          SELECT 'generated_index', format('index %I is not used: it reads a generated column', k.relname), NULL
            FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid WHERE i.indrelid = s.relation AND pggit._reads_generated(i.indexrelid)
          ) AS l(kind, limitation, way_out)
    UNION ALL
    SELECT format('%I.%I', t.schema_name, t.table_name), 'partitions', 'it is one relation: partitions, and what only one of them says (checks, keys, triggers), are on main alone',
           'There is none: a merge into main checks them, and what a row needs a partition for.'
      FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
      JOIN pg_class AS c ON c.oid = t.relation AND c.relkind = 'p'
     WHERE bt.branch_id = v_branch.branch_id
    UNION ALL
    SELECT format('%I.%I', n.nspname, coalesce(c.relname, p.proname)), CASE WHEN c.oid IS NULL THEN 'function' ELSE 'view' END, 'it reads main''s rows: the branch has none of that name',
           format('SELECT pggit.checkout(%L); and make one there.', v_branch.name)
      FROM pggit._readers(ARRAY(SELECT t.relation FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) WHERE bt.branch_id = v_branch.branch_id), pggit._schemas_of(1)) AS r
      LEFT JOIN pg_class AS c ON r.classid = 'pg_class'::regclass AND c.oid = r.objid
      LEFT JOIN pg_proc AS p ON r.classid = 'pg_proc'::regclass AND p.oid = r.objid
      JOIN pg_namespace AS n ON n.oid = coalesce(c.relnamespace, p.pronamespace)
      JOIN pggit.branch_schemas AS s ON s.branch_id = v_branch.branch_id AND s.base_schema = n.nspname
      JOIN pg_namespace AS o ON o.nspname = s.schema_name
     WHERE NOT EXISTS (SELECT FROM pg_class AS k WHERE k.relnamespace = o.oid AND k.relname = c.relname)
       AND NOT EXISTS (SELECT FROM pg_proc AS k WHERE k.pronamespace = o.oid AND k.proname = p.proname AND k.proargtypes = p.proargtypes)
    UNION ALL
    SELECT format('%I.%I', n.nspname, p.proname), 'function', format('%s schema %I: it reads and writes main, where a session on a branch may not write', w.where_named, n.nspname),
           'Leave the schema''s name out of it.'
      FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.base_schema JOIN pg_proc AS p ON p.pronamespace = n.oid
     CROSS JOIN LATERAL pggit._where_named(p, n.nspname) AS w(where_named)
     WHERE s.branch_id = v_branch.branch_id AND w.where_named IS NOT NULL
       -- The branch's copy of a function has another search_path, and the same body.
       AND (w.where_named = 'its body names' OR NOT EXISTS (SELECT FROM pg_proc AS k WHERE k.pronamespace = to_regnamespace(quote_ident(s.schema_name)) AND k.proname = p.proname AND k.proargtypes = p.proargtypes))
       AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
    UNION ALL
    SELECT format('%I.%I', t.schema_name, t.table_name), 'older_column',
           format('column %I: main has dropped it or given it another type since; what NOT NULL, checks, unique indexes and foreign keys said of it there does not hold here any more', o.name),
           format('Merge main into %s; or make it real and add them there: SELECT pggit.materialize(%L, %L);', v_branch.name, v_branch.name, format('%I.%I', t.schema_name, t.table_name))
      FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
      CROSS JOIN LATERAL pggit._written_columns(bt) AS o
     WHERE bt.branch_id = v_branch.branch_id AND bt.form = 'view' AND o.main_id IS NULL
    UNION ALL
    SELECT format('%I.%I', t.schema_name, t.table_name), 'trigger', format('trigger %I calls %s, where %s schema %I: it reads and writes main, where a session on a branch may not write', g.tgname,
                  format('%I.%I', n.nspname, p.proname), w.where_named, s.base_schema), format('Leave the schema''s name out of it, or in a session on the branch: ALTER TABLE %I DISABLE TRIGGER %I;', t.table_name, g.tgname)
      FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) JOIN pg_trigger AS g ON g.tgrelid = bt.relation AND NOT g.tgisinternal AND g.tgenabled <> 'D'
      JOIN pg_proc AS p ON p.oid = g.tgfoid JOIN pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname <> 'pggit'
      JOIN pggit.branch_schemas AS s ON s.branch_id = bt.branch_id
     CROSS JOIN LATERAL pggit._where_named(p, s.base_schema) AS w(where_named)
     WHERE bt.branch_id = v_branch.branch_id AND bt.form = 'table' AND w.where_named IS NOT NULL
    UNION ALL
    SELECT format('%I.%I', n.nspname, c.relname), 'left_out', l.limitation, l.way_out
      FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.base_schema JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
      LEFT JOIN pggit.tables AS t ON t.relation = c.oid AND t.untracked_at IS NULL
     CROSS JOIN LATERAL (
          SELECT CASE WHEN t.table_id IS NOT NULL THEN 'it came to main after the branch began: a session on the branch reads main''s, and may not write it'
                      ELSE format('it is not under version control%s: a session on the branch reads and writes main''s', CASE WHEN c.relkind = 'f' THEN ', for it is a foreign table' ELSE ', for ' || pggit._unsupported(c.oid) END) END AS limitation,
                 CASE WHEN t.table_id IS NOT NULL THEN format('SELECT pggit.merge(''main'', %L);', v_branch.name)
                      WHEN c.relkind = 'f' THEN 'There is none.'
                      ELSE 'On main, before the branch is made: ' || CASE c.relpersistence WHEN 'u' THEN format('ALTER TABLE %I.%I SET LOGGED;', n.nspname, c.relname)
                                                                                      ELSE format('SELECT pggit.track_table(%L);', format('%I.%I', n.nspname, c.relname)) END END AS way_out) AS l
     WHERE s.branch_id = v_branch.branch_id AND NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.branch_id = v_branch.branch_id AND bt.table_id = t.table_id)
       AND to_regclass(format('%I.%I', s.schema_name, c.relname)) IS NULL
       AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    UNION ALL
    SELECT format('%I.%I', t.schema_name, t.table_name), 'keyless', 'it has no primary key: it is always a real table here, and merges count its rows',
           'A primary key on main, before the branch is made.'
      FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
     WHERE bt.branch_id = v_branch.branch_id AND pggit._is_keyless(t.table_id)
     ORDER BY 1, 2, 3;
END;
$$;

COMMENT ON FUNCTION pggit.branch_capabilities(text) IS
'What tables, views and functions can''t do on a branch, and the way out; which tables of main''s schemas it has not (left_out); for real tables nothing but that a partitioned one is a single table there, one without a primary key
is always real, and triggers may call functions that name a schema of main. One row for each limitation of each table that is a view on the branch, and for each view and function of main that reads main there too. Raises VG001.';
