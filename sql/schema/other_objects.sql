-- Definitions of views, sequences, functions, types, schemas and extensions. Names are told by the caller's search_path, which has the schemas of the branch and those of main.

CREATE OR REPLACE FUNCTION pggit._view_objects(p_relations pggit._schema_relation[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT CASE r.kind WHEN 'm' THEN 'materialized view' ELSE 'view' END, r.name, quote_ident(r.schema), jsonb_strip_nulls(jsonb_build_object(
               'query', pggit._stable_sql(rtrim(pg_get_viewdef(c.oid), ';')),
               'columns', (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0),
               'options', pggit._options(c.reloptions),
               'column_defaults', (SELECT jsonb_object_agg(a.attname, pg_get_expr(d.adbin, d.adrelid)) FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                                    WHERE d.adrelid = c.oid),
               'column_comments', (SELECT jsonb_object_agg(a.attname, o.description) FROM pg_description AS o JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = o.objsubid
                                    WHERE o.objoid = c.oid AND o.classoid = 'pg_class'::regclass AND o.objsubid > 0),
               'column_grants', (SELECT jsonb_object_agg(a.attname, pggit._grants(a.attacl, 'c', c.relowner)) FROM pg_attribute AS a
                                  WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND pggit._grants(a.attacl, 'c', c.relowner) IS NOT NULL),
               'comment', obj_description(c.oid, 'pg_class'), 'grants', pggit._grants(c.relacl, 'r', c.relowner))), NULL::text, NULL::integer, NULL::integer
      FROM unnest(p_relations) AS r JOIN pg_class AS c ON c.oid = r.relation
     WHERE r.kind IN ('v', 'm');
$$;

COMMENT ON FUNCTION pggit._view_objects(pggit._schema_relation[]) IS
'Views and materialized views.';

CREATE OR REPLACE FUNCTION pggit._sequence_objects(p_relations pggit._schema_relation[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT 'sequence', r.name, quote_ident(r.schema), jsonb_strip_nulls(jsonb_build_object(
               'type', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement, 'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache, 'cycle', nullif(s.seqcycle, false),
               'owned_by', (SELECT format('%s.%I', pggit._base_name(d.refobjid), a.attname)
                              FROM pg_depend AS d JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'),
               'unlogged', nullif(c.relpersistence = 'u', false),
               'comment', obj_description(c.oid, 'pg_class'), 'grants', pggit._grants(c.relacl, 's', c.relowner))), NULL::text, NULL::integer, NULL::integer
      FROM unnest(p_relations) AS r JOIN pg_class AS c ON c.oid = r.relation JOIN pg_sequence AS s ON s.seqrelid = c.oid
     WHERE r.kind = 'S';
$$;

COMMENT ON FUNCTION pggit._sequence_objects(pggit._schema_relation[]) IS
'Sequences but for those of identity columns; the number that one is at is no part of its definition.';

CREATE OR REPLACE FUNCTION pggit._base_path(p_path text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(m.word, ', ' ORDER BY m.n)
              FROM (SELECT r[1], n FROM regexp_matches(p_path, '"(?:[^"]|"")*"|[^,\s]+', 'g') WITH ORDINALITY AS r(r, n)) AS m(word, n)
             WHERE NOT EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE quote_ident(s.schema_name) = m.word));
END;
$$;

COMMENT ON FUNCTION pggit._base_path(text) IS
'A search_path without the schemas of branches.';

CREATE OR REPLACE FUNCTION pggit._routine_objects(p_branch_id integer)
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    WITH spaces AS MATERIALIZED (
        SELECT * FROM pggit._schema_spaces(p_branch_id) AS s WHERE s.is_whole
    )
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
           format('%I.%I(%s)', s.base_schema, p.proname, oidvectortypes(p.proargtypes)), quote_ident(s.base_schema), jsonb_strip_nulls(jsonb_build_object(
               'arguments', pg_get_function_arguments(p.oid), 'result', CASE p.prokind WHEN 'p' THEN NULL ELSE pg_get_function_result(p.oid) END,
               'parallel', CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' END,
               'comment', obj_description(p.oid, 'pg_proc'), 'grants', pggit._grants(p.proacl, 'f', p.proowner)))
           || CASE WHEN a.aggfnoid IS NULL THEN jsonb_strip_nulls(jsonb_build_object(
               'language', l.lanname, 'window', nullif(p.prokind = 'w', false),
               'volatility', CASE p.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' END,
               'strict', nullif(p.proisstrict, false), 'security_definer', nullif(p.prosecdef, false), 'leakproof', nullif(p.proleakproof, false),
               'cost', CASE WHEN p.procost <> CASE WHEN l.lanname IN ('c', 'internal') THEN 1 ELSE 100 END THEN p.procost END,
               'rows', CASE WHEN p.prorows NOT IN (0, 1000) THEN p.prorows END,
               'support', CASE WHEN p.prosupport <> 0 THEN p.prosupport::regproc::text END,
               'transforms', (SELECT jsonb_agg(format_type(y, NULL)) FROM unnest(p.protrftypes) AS y),
               'settings', (SELECT jsonb_object_agg(split_part(o, '=', 1), CASE split_part(o, '=', 1) WHEN 'search_path' THEN coalesce(pggit._base_path(v), '') ELSE v END)
                              FROM unnest(p.proconfig) AS o CROSS JOIN LATERAL substr(o, strpos(o, '=') + 1) AS v),
               'body', CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pggit._stable_sql(pg_get_function_sqlbody(p.oid)) END,
               'parsed', nullif(p.prosqlbody IS NOT NULL, false), 'library', p.probin))
              ELSE jsonb_strip_nulls(jsonb_build_object(
               'kind', CASE a.aggkind WHEN 'o' THEN 'ordered set' WHEN 'h' THEN 'hypothetical' END,
               'sfunc', a.aggtransfn::regproc::text, 'stype', format_type(a.aggtranstype, NULL), 'sspace', nullif(a.aggtransspace, 0),
               'finalfunc', nullif(a.aggfinalfn::regproc::text, '-'), 'finalfunc_extra', nullif(a.aggfinalextra, false),
               'finalfunc_modify', CASE a.aggfinalmodify WHEN 's' THEN 'SHAREABLE' WHEN 'w' THEN 'READ_WRITE' END,
               'combinefunc', nullif(a.aggcombinefn::regproc::text, '-'), 'serialfunc', nullif(a.aggserialfn::regproc::text, '-'), 'deserialfunc', nullif(a.aggdeserialfn::regproc::text, '-'),
               'initcond', a.agginitval, 'msfunc', nullif(a.aggmtransfn::regproc::text, '-'), 'minvfunc', nullif(a.aggminvtransfn::regproc::text, '-'),
               'mstype', CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END, 'msspace', nullif(a.aggmtransspace, 0),
               'mfinalfunc', nullif(a.aggmfinalfn::regproc::text, '-'), 'mfinalfunc_extra', nullif(a.aggmfinalextra, false), 'minitcond', a.aggminitval,
               'sortop', (SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname) FROM pg_operator AS o JOIN pg_namespace AS n ON n.oid = o.oprnamespace WHERE o.oid = a.aggsortop))) END,
           NULL::text, NULL::integer, NULL::integer
      FROM spaces AS s
      JOIN pg_proc AS p ON p.pronamespace = s.namespace
      JOIN pg_language AS l ON l.oid = p.prolang
      LEFT JOIN pg_aggregate AS a ON a.aggfnoid = p.oid
     -- The constructors of range types come and go with them.
     WHERE NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND (d.deptype = 'e' OR (d.deptype = 'i' AND d.refclassid = 'pg_type'::regclass)));
$$;

COMMENT ON FUNCTION pggit._routine_objects(integer) IS
'Functions, procedures and aggregates of the schemas that are versioned as a whole, by their names and argument types. A search_path of their own is told without a branch''s schemas.';

CREATE OR REPLACE FUNCTION pggit._type_objects(p_branch_id integer)
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    WITH spaces AS MATERIALIZED (
        SELECT * FROM pggit._schema_spaces(p_branch_id) AS s WHERE s.is_whole
    )
    SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, format('%I.%I', s.base_schema, t.typname), quote_ident(s.base_schema), jsonb_strip_nulls(jsonb_build_object(
               'kind', CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'c' THEN 'composite' WHEN 'r' THEN 'range' END,
               'labels', CASE t.typtype WHEN 'e' THEN (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid) END,
               'attributes', CASE t.typtype WHEN 'c' THEN (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
                                  'collation', CASE WHEN a.attcollation NOT IN (0, y.typcollation) THEN (SELECT quote_ident(l.collname) FROM pg_collation AS l WHERE l.oid = a.attcollation) END)) ORDER BY a.attnum)
                                 FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) END,
               'subtype', format_type(r.rngsubtype, NULL),
               'subtype_opclass', (SELECT quote_ident(o.opcname) FROM pg_opclass AS o WHERE o.oid = r.rngsubopc AND NOT o.opcdefault),
               'collation', (SELECT quote_ident(l.collname) FROM pg_collation AS l WHERE l.oid = coalesce(r.rngcollation, t.typcollation) AND l.collname <> 'default'
                                AND l.oid IS DISTINCT FROM (SELECT y.typcollation FROM pg_type AS y WHERE y.oid = t.typbasetype)),
               'canonical', nullif(r.rngcanonical::regproc::text, '-'), 'subtype_diff', nullif(r.rngsubdiff::regproc::text, '-'),
               'multirange', (SELECT quote_ident(m.typname) FROM pg_type AS m WHERE m.oid = r.rngmultitypid),
               'base', CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
               'not_null', nullif(t.typnotnull, false), 'default', pggit._stable_sql(coalesce(pg_get_expr(t.typdefaultbin, 0), CASE WHEN t.typtype = 'd' THEN quote_literal(t.typdefault) END)),
               'constraints', (SELECT jsonb_object_agg(c.conname, pggit._stable_sql(pg_get_constraintdef(c.oid))) FROM pg_constraint AS c WHERE c.contypid = t.oid AND c.contype = 'c'),
               'comment', obj_description(t.oid, 'pg_type'), 'grants', pggit._grants(t.typacl, 'T', t.typowner))),
           NULL::text, NULL::integer, NULL::integer
      FROM spaces AS s
      JOIN pg_type AS t ON t.typnamespace = s.namespace
      LEFT JOIN pg_range AS r ON r.rngtypid = t.oid
      LEFT JOIN pg_class AS k ON k.oid = t.typrelid
     WHERE t.typtype IN ('e', 'd', 'r', 'c') AND coalesce(k.relkind, 'c') = 'c'
       AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e');
$$;

COMMENT ON FUNCTION pggit._type_objects(integer) IS
'Enums, composite types, ranges and domains of the schemas that are versioned as a whole.';

CREATE OR REPLACE FUNCTION pggit._database_objects()
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT 'schema', quote_ident(n.nspname), NULL, jsonb_strip_nulls(jsonb_build_object(
               'comment', obj_description(n.oid, 'pg_namespace'), 'grants', pggit._grants(n.nspacl, 'n', n.nspowner))), NULL::text, NULL::integer, NULL::integer
      FROM pggit._schema_spaces(1) AS s JOIN pg_namespace AS n ON n.oid = s.namespace WHERE s.is_whole
    UNION ALL
    SELECT 'extension', quote_ident(e.extname), NULL, jsonb_build_object('version', e.extversion, 'schema', quote_ident(n.nspname)), NULL::text, NULL::integer, NULL::integer
      FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
     WHERE e.extname <> 'plpgsql' AND EXISTS (SELECT FROM pggit.tracked_schemas);
$$;

COMMENT ON FUNCTION pggit._database_objects() IS
'The tracked schemas themselves, and the extensions of the database: branches have those of main.';
