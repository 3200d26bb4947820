-- Definitions of tables and of what belongs to them. Names are told by the caller's search_path, which has the schemas of the branch and those of main.

CREATE OR REPLACE FUNCTION pggit._table_objects(p_relations pggit._schema_relation[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT 'table', r.name, quote_ident(r.schema), jsonb_strip_nulls(jsonb_build_object(
               'partition_by', CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END,
               'partition_of', CASE WHEN c.relispartition THEN (SELECT pggit._base_name(h.inhparent) FROM pg_inherits AS h WHERE h.inhrelid = c.oid) END,
               'bound', pg_get_expr(c.relpartbound, c.oid),
               'inherits', CASE WHEN NOT c.relispartition THEN (SELECT jsonb_agg(pggit._base_name(h.inhparent) ORDER BY h.inhseqno) FROM pg_inherits AS h WHERE h.inhrelid = c.oid) END,
               'of_type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
               'unlogged', nullif(c.relpersistence = 'u', false),
               'access_method', (SELECT nullif(m.amname, 'heap') FROM pg_am AS m WHERE m.oid = c.relam),
               'options', pggit._options(c.reloptions || (SELECT array_agg('toast.' || o) FROM pg_class AS t, unnest(t.reloptions) AS o WHERE t.oid = c.reltoastrelid)),
               'replica_identity', CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
                                   WHEN 'i' THEN (SELECT 'USING INDEX ' || quote_ident(k.relname) FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid
                                                   WHERE i.indrelid = c.oid AND i.indisreplident) END,
               'clustered_on', (SELECT quote_ident(k.relname) FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisclustered),
               'row_security', nullif(c.relrowsecurity, false), 'force_row_security', nullif(c.relforcerowsecurity, false),
               'comment', obj_description(c.oid, 'pg_class'), 'grants', pggit._grants(c.relacl, 'r', c.relowner))),
           NULL::text, r.table_id, NULL::integer
      FROM unnest(p_relations) AS r JOIN pg_class AS c ON c.oid = r.relation
     WHERE r.kind IN ('r', 'p');
$$;

COMMENT ON FUNCTION pggit._table_objects(pggit._schema_relation[]) IS
'Tables: partitioning, inheritance, options, replica identity, row-level security, comment and grants. Columns are objects of their own.';

CREATE OR REPLACE FUNCTION pggit._origins(p_branch_id integer, p_relations pggit._schema_relation[])
    RETURNS TABLE (relation oid, name text, origin integer)
    LANGUAGE sql STABLE
AS $$
    SELECT r.relation, c.name, c.origin
      FROM unnest(p_relations) AS r JOIN pggit.columns AS c ON c.table_id = r.table_id AND c.dropped_at IS NULL
     WHERE p_branch_id = 1
    UNION ALL
    SELECT r.relation, c.name, c.origin
      FROM unnest(p_relations) AS r
      JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch_id AND bt.table_id = r.table_id
     CROSS JOIN LATERAL pggit._columns_as_made(bt) AS c
     WHERE p_branch_id <> 1;
$$;

COMMENT ON FUNCTION pggit._origins(integer, pggit._schema_relation[]) IS
'The columns of tracked tables, and the numbers that they keep.';

CREATE OR REPLACE FUNCTION pggit._column_objects(p_branch_id integer, p_relations pggit._schema_relation[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    WITH origins AS MATERIALIZED (
        SELECT * FROM pggit._origins(p_branch_id, p_relations)
    ), described AS MATERIALIZED (
        SELECT r.name, r.table_id, a.attname, a.attrelid, CASE WHEN a.attinhcount > 0 THEN (SELECT h.inhparent FROM pg_inherits AS h WHERE h.inhrelid = a.attrelid ORDER BY h.inhseqno LIMIT 1) END AS from_relation,
               c.relispartition, o.origin,
               jsonb_strip_nulls(jsonb_build_object(
                   'type', format_type(a.atttypid, a.atttypmod),
                   'collation', CASE WHEN a.attcollation NOT IN (0, t.typcollation)
                                     THEN (SELECT CASE WHEN pg_collation_is_visible(l.oid) THEN quote_ident(l.collname) ELSE format('%I.%I', n.nspname, l.collname) END
                                             FROM pg_collation AS l JOIN pg_namespace AS n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) END,
                   'not_null', nullif(a.attnotnull, false),
                   'default', CASE a.attgenerated WHEN '' THEN pggit._stable_sql(pg_get_expr(d.adbin, d.adrelid)) END,
                   'generated', CASE WHEN a.attgenerated <> '' THEN pggit._stable_sql(pg_get_expr(d.adbin, d.adrelid)) END,
                   'generated_kind', CASE a.attgenerated WHEN 's' THEN 'STORED' WHEN 'v' THEN 'VIRTUAL' END,
                   'identity', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
                   'storage', CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END END,
                   'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
                   'statistics', CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END,
                   'options', pggit._options(a.attoptions),
                   'comment', col_description(a.attrelid, a.attnum),
                   'grants', CASE WHEN a.attacl IS NOT NULL THEN pggit._grants(a.attacl, 'c', c.relowner) END)) AS definition
          FROM unnest(p_relations) AS r
          JOIN pg_class AS c ON c.oid = r.relation
          JOIN pg_attribute AS a ON a.attrelid = r.relation AND a.attnum > 0 AND NOT a.attisdropped
          JOIN pg_type AS t ON t.oid = a.atttypid
          LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          LEFT JOIN origins AS o ON o.relation = r.relation AND o.name = a.attname
         WHERE r.kind IN ('r', 'p')
    )
    SELECT 'column', format('%s.%I', c.name, c.attname), c.name,
           CASE WHEN c.from_relation IS NULL THEN c.definition ELSE c.definition || '{"inherited": true}' END, NULL::text, c.table_id, c.origin
      FROM described AS c
      LEFT JOIN described AS p ON p.attrelid = c.from_relation AND p.attname = c.attname
     -- What a partition's column has from the parent's is not told again.
     WHERE NOT (c.relispartition AND c.from_relation IS NOT NULL AND p.definition - '{comment,grants}'::text[] IS NOT DISTINCT FROM c.definition);
$$;

COMMENT ON FUNCTION pggit._column_objects(integer, pggit._schema_relation[]) IS
'Columns of tables: type, collation, NOT NULL, default, generation, identity, storage, statistics, options, comment and grants; of a partition those that are not just as the parent''s. NOT NULL
constraints, which have names since PostgreSQL 18, are fields of their columns.';

CREATE OR REPLACE FUNCTION pggit._constraint_objects(p_relations pggit._schema_relation[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT 'constraint', format('%s.%I', r.name, c.conname), r.name, jsonb_strip_nulls(jsonb_build_object(
               'kind', CASE c.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' ELSE 'exclude' END,
               'definition', pggit._stable_sql(pg_get_constraintdef(c.oid)),
               'references', CASE c.contype WHEN 'f' THEN pggit._base_name(c.confrelid) END,
               'options', (SELECT pggit._options(k.reloptions) FROM pg_class AS k WHERE k.oid = c.conindid AND c.contype <> 'f'),
               'comment', obj_description(c.oid, 'pg_constraint'))),
           NULL::text, r.table_id, NULL::integer
      FROM unnest(p_relations) AS r JOIN pg_constraint AS c ON c.conrelid = r.relation
     WHERE r.kind IN ('r', 'p') AND c.contype IN ('p', 'u', 'c', 'f', 'x') AND c.conparentid = 0 AND c.coninhcount = 0;
$$;

COMMENT ON FUNCTION pggit._constraint_objects(pggit._schema_relation[]) IS
'Primary keys, unique, check, foreign key and exclusion constraints, but for those that partitions and children have from their parents.';

CREATE OR REPLACE FUNCTION pggit._index_objects(p_relations pggit._schema_relation[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT 'index', format('%I.%I', r.schema, k.relname), r.name, jsonb_strip_nulls(jsonb_build_object(
               'unique', nullif(i.indisunique, false),
               'definition', pggit._stable_sql(substr(pg_get_indexdef(i.indexrelid),
                                 length(format('CREATE %sINDEX %I ON %s%I.%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, k.relname,
                                               CASE t.relkind WHEN 'p' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname)) + 1)),
               'comment', obj_description(k.oid, 'pg_class'))),
           NULL::text, r.table_id, NULL::integer
      FROM unnest(p_relations) AS r
      JOIN pg_index AS i ON i.indrelid = r.relation
      JOIN pg_class AS k ON k.oid = i.indexrelid
      JOIN pg_class AS t ON t.oid = i.indrelid
      JOIN pg_namespace AS n ON n.oid = t.relnamespace
     WHERE i.indisvalid AND NOT k.relispartition AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conrelid = i.indrelid AND c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'));
$$;

COMMENT ON FUNCTION pggit._index_objects(pggit._schema_relation[]) IS
'Indexes that are not those of constraints, nor parts of a partitioned one. What a failed CREATE INDEX CONCURRENTLY left is none.';

CREATE OR REPLACE FUNCTION pggit._trigger_objects(p_relations pggit._schema_relation[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT 'trigger', format('%s.%I', r.name, g.tgname), r.name, jsonb_strip_nulls(jsonb_build_object(
               'constraint', nullif(g.tgconstraint <> 0, false),
               'events', left(d.text, strpos(d.text, d."on") - 1), 'action', pggit._stable_sql(substr(d.text, strpos(d.text, d."on") + length(d."on"))),
               'enabled', CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END,
               'comment', obj_description(g.oid, 'pg_trigger'))),
           NULL::text, r.table_id, NULL::integer
      FROM unnest(p_relations) AS r
      JOIN pg_trigger AS g ON g.tgrelid = r.relation
      JOIN pg_proc AS p ON p.oid = g.tgfoid
     CROSS JOIN LATERAL (SELECT substr(pg_get_triggerdef(g.oid, true), length(format('CREATE %sTRIGGER %I ', CASE WHEN g.tgconstraint <> 0 THEN 'CONSTRAINT ' ELSE '' END, g.tgname)) + 1) AS text,
                                format(' ON %s ', g.tgrelid::regclass) AS "on") AS d
     WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND p.pronamespace <> 'pggit'::regnamespace;
$$;

COMMENT ON FUNCTION pggit._trigger_objects(pggit._schema_relation[]) IS
'Triggers but for pggit''s own and those that partitions have from their parents: what stands before and behind the table''s name.';

CREATE OR REPLACE FUNCTION pggit._policy_objects(p_relations pggit._schema_relation[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT 'policy', format('%s.%I', r.name, p.polname), r.name, jsonb_strip_nulls(jsonb_build_object(
               'restrictive', nullif(NOT p.polpermissive, false),
               'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
               'roles', (SELECT jsonb_agg(n.name ORDER BY n.name) FROM (SELECT CASE WHEN o = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END FROM unnest(p.polroles) AS o) AS n(name)),
               'using', pggit._stable_sql(pg_get_expr(p.polqual, p.polrelid)), 'with_check', pggit._stable_sql(pg_get_expr(p.polwithcheck, p.polrelid)),
               'comment', obj_description(p.oid, 'pg_policy'))),
           NULL::text, r.table_id, NULL::integer
      FROM unnest(p_relations) AS r JOIN pg_policy AS p ON p.polrelid = r.relation;
$$;

COMMENT ON FUNCTION pggit._policy_objects(pggit._schema_relation[]) IS
'Policies of row-level security.';

CREATE OR REPLACE FUNCTION pggit._rule_objects(p_relations pggit._schema_relation[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT 'rule', format('%s.%I', r.name, w.rulename), r.name, jsonb_strip_nulls(jsonb_build_object(
               'definition', pggit._stable_sql(rtrim(pg_get_ruledef(w.oid, true), ';')),
               'enabled', CASE w.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END,
               'comment', obj_description(w.oid, 'pg_rewrite'))),
           NULL::text, r.table_id, NULL::integer
      FROM unnest(p_relations) AS r JOIN pg_rewrite AS w ON w.ev_class = r.relation AND w.rulename <> '_RETURN';
$$;

COMMENT ON FUNCTION pggit._rule_objects(pggit._schema_relation[]) IS
'Rules but for those that views are made of.';

CREATE OR REPLACE FUNCTION pggit._statistics_objects(p_relations pggit._schema_relation[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT 'statistics', format('%I.%I', coalesce(b.base_schema, n.nspname), s.stxname), r.name, jsonb_strip_nulls(jsonb_build_object(
               'kinds', (SELECT jsonb_agg(k.kind ORDER BY k.kind) FROM (SELECT CASE o WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' WHEN 'm' THEN 'mcv' END FROM unnest(s.stxkind) AS o) AS k(kind)
                          WHERE k.kind IS NOT NULL),
               'columns', pggit._stable_sql(pg_get_statisticsobjdef_columns(s.oid)),
               'target', nullif((to_jsonb(s) ->> 'stxstattarget')::integer, -1),
               'comment', obj_description(s.oid, 'pg_statistic_ext'))),
           NULL::text, r.table_id, NULL::integer
      FROM unnest(p_relations) AS r
      JOIN pg_statistic_ext AS s ON s.stxrelid = r.relation
      JOIN pg_namespace AS n ON n.oid = s.stxnamespace
      LEFT JOIN pggit.branch_schemas AS b ON b.schema_name = n.nspname;
$$;

COMMENT ON FUNCTION pggit._statistics_objects(pggit._schema_relation[]) IS
'Extended statistics.';
