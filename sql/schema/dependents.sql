-- What depends on what, from PostgreSQL's own catalog.

CREATE OR REPLACE FUNCTION pggit._catalog_address(p_object text, OUT classid oid, OUT objid oid, OUT objsubid integer)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_table text := substring(p_object FROM '^(.+)\.(?:"(?:[^"]|"")*"|[^."]+)$');
BEGIN
    objsubid := 0;
    BEGIN
        objid   := to_regclass(p_object);
        classid := 'pg_class'::regclass;
        IF objid IS NULL THEN
            objid   := coalesce(CASE WHEN p_object LIKE '%(%' THEN to_regprocedure(p_object)::oid ELSE to_regproc(p_object)::oid END);
            classid := 'pg_proc'::regclass;
        END IF;
        IF objid IS NULL THEN
            objid   := to_regtype(p_object);
            classid := 'pg_type'::regclass;
        END IF;
    EXCEPTION WHEN syntax_error OR invalid_name OR invalid_text_representation OR undefined_object OR invalid_schema_name OR feature_not_supported THEN
        objid := NULL;
    END;
    IF objid IS NULL AND v_table IS NOT NULL THEN
        BEGIN
            SELECT 'pg_class'::regclass, a.attrelid, a.attnum INTO classid, objid, objsubid FROM pg_attribute AS a
             WHERE a.attrelid = to_regclass(v_table) AND quote_ident(a.attname) = substr(p_object, length(v_table) + 2) AND a.attnum > 0 AND NOT a.attisdropped;
        EXCEPTION WHEN syntax_error OR invalid_name OR feature_not_supported THEN
            NULL;
        END;
    END IF;
    IF objid IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG010', SCHEMA = 'pggit',
            MESSAGE = CASE WHEN p_object IS NULL THEN 'the name of the object is NULL' ELSE format('there is no table, view, sequence, index, column, function or type %L', p_object) END,
            HINT    = 'Quote names as SQL does; a function that is not alone under its name needs its argument types: f(integer).';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._catalog_address(text) IS
'What a name means in the session''s search_path: a relation, a function with or without its arguments, a type, or a column as table.column. Raises VG010.';

CREATE OR REPLACE FUNCTION pggit._dependents(p_classid oid, p_objid oid, p_objsubid integer)
    RETURNS TABLE (classid oid, objid oid, objsubid integer, deptype "char")
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    -- A view's rule is the view, a default its column.
    SELECT CASE WHEN w.oid IS NOT NULL OR f.oid IS NOT NULL THEN 'pg_class'::regclass::oid ELSE d.classid END, coalesce(w.ev_class, f.adrelid, d.objid), CASE WHEN f.oid IS NOT NULL THEN f.adnum ELSE d.objsubid END, d.deptype
      FROM pg_depend AS d
      LEFT JOIN pg_rewrite AS w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid AND w.rulename = '_RETURN'
      LEFT JOIN pg_attrdef AS f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
     WHERE d.refclassid = p_classid AND d.refobjid = p_objid AND (p_objsubid = 0 OR d.refobjsubid IN (0, p_objsubid) AND (d.refobjsubid = p_objsubid OR p_classid <> 'pg_class'::regclass))
       AND d.deptype IN ('n', 'a', 'i', 'P', 'S')
       AND (d.classid, d.objid) IS DISTINCT FROM (p_classid, CASE WHEN p_objsubid = 0 THEN p_objid END);
$$;

COMMENT ON FUNCTION pggit._dependents(oid, oid, integer) IS
'What depends on an object or a column directly.';

CREATE OR REPLACE FUNCTION pggit.get_impact_analysis(p_object text)
    RETURNS TABLE (level integer, object_type text, object_name text, depends_on text, goes_along boolean)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_of record := pggit._catalog_address(p_object);
BEGIN
    RETURN QUERY
    WITH RECURSIVE found AS (
        SELECT 1 AS level, d.classid, d.objid, d.objsubid, v_of.classid AS on_class, v_of.objid AS on_id, v_of.objsubid AS on_sub, d.deptype <> 'n' AS goes_along
          FROM pggit._dependents(v_of.classid, v_of.objid, v_of.objsubid) AS d
        UNION
        SELECT f.level + 1, d.classid, d.objid, d.objsubid, f.classid, f.objid, f.objsubid, f.goes_along AND d.deptype <> 'n'
          FROM found AS f CROSS JOIN LATERAL pggit._dependents(f.classid, f.objid, f.objsubid) AS d WHERE f.level < 30
    ), nearest AS MATERIALIZED (
        SELECT DISTINCT ON (f.classid, f.objid, f.objsubid) f.* FROM found AS f
         WHERE (f.classid, f.objid, f.objsubid) <> (v_of.classid, v_of.objid, v_of.objsubid) ORDER BY f.classid, f.objid, f.objsubid, f.level, f.goes_along DESC
    ), told AS MATERIALIZED (
        SELECT n.level, pggit._object_kind(i.type) AS kind, i.schema AS nspname, i.identity, o.identity AS on_identity, n.goes_along,
               n.classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger AS g WHERE g.oid = n.objid AND (g.tgisinternal OR ltrim(g.tgname, ' ~') LIKE 'pggit\_%'))
               OR n.classid = 'pg_constraint'::regclass AND EXISTS (SELECT FROM pg_constraint AS k WHERE k.oid = n.objid AND k.contype = 'n') AS is_hidden
          FROM nearest AS n CROSS JOIN LATERAL pg_identify_object(n.classid, n.objid, n.objsubid) AS i CROSS JOIN LATERAL pg_identify_object(n.on_class, n.on_id, n.on_sub) AS o
    )
    SELECT t.level, t.kind, t.identity, t.on_identity, t.goes_along
      FROM told AS t
     WHERE t.kind IS NOT NULL AND NOT t.is_hidden AND NOT (t.kind = 'type' AND EXISTS (SELECT FROM pg_type AS y WHERE y.oid = to_regtype(t.identity) AND (y.typrelid <> 0 OR y.typcategory = 'A') AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = y.typrelid AND c.relkind = 'c')))
       AND NOT EXISTS (SELECT FROM pggit.branch_schemas AS b WHERE b.schema_name = t.nspname OR starts_with(t.identity, quote_ident(b.schema_name) || '.') OR t.identity LIKE '% on ' || quote_ident(b.schema_name) || '.%')
       AND t.nspname NOT IN ('pggit', 'pg_toast') AND t.identity !~ '(^| on )pggit\.'
     ORDER BY t.level, t.kind COLLATE "C", t.identity COLLATE "C";
END;
$$;

COMMENT ON FUNCTION pggit.get_impact_analysis(text) IS
'What depends on an object (p_object in the session''s search_path: a table, view, sequence, index, function, type, or table.column), directly (level 1) or by way of others, each once at its lowest level, from pg_depend. object_name and depends_on are as
PostgreSQL identifies objects. goes_along: dropping p_object takes it along without CASCADE, as a table its indexes; the others would refuse the DROP. Bodies of functions that PostgreSQL has not parsed (PL/pgSQL, SQL as text) name tables unseen and are not found.
pggit''s own objects and branches'' are left out. Empty where nothing depends on it. Raises VG010 (no such object, or NULL).';

CREATE OR REPLACE FUNCTION pggit.get_dependency_order(p_schema text DEFAULT NULL)
    RETURNS TABLE ("position" integer, object_type text, object_name text, depends_on text[], is_in_cycle boolean)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_names  text[];
    v_kinds  text[];
    v_needs  jsonb[];
    v_done   text[] := '{}';
    v_ready  text[];
    v_cyclic boolean := false;
BEGIN
    IF p_schema IS NOT NULL AND to_regnamespace(quote_ident(p_schema)) IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG008', SCHEMA = 'pggit',
            MESSAGE = format('there is no schema %L', p_schema);
    END IF;
    WITH spaces AS MATERIALIZED (
        SELECT s.namespace FROM pggit._schema_spaces(1) AS s WHERE p_schema IS NULL OR s.base_schema = p_schema
    ), nodes AS MATERIALIZED (
        SELECT 'pg_class'::regclass::oid AS classid, c.oid AS objid FROM pg_class AS c JOIN spaces AS s ON c.relnamespace = s.namespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')
        UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc AS p JOIN spaces AS s ON p.pronamespace = s.namespace
        UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type AS t JOIN spaces AS s ON t.typnamespace = s.namespace WHERE t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND EXISTS (SELECT FROM pg_class AS k WHERE k.oid = t.typrelid AND k.relkind = 'c'))
    ), told AS MATERIALIZED (
        SELECT n.*, pggit._object_kind(i.type) AS kind, i.identity FROM nodes AS n CROSS JOIN LATERAL pg_identify_object(n.classid, n.objid, 0) AS i
         WHERE NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = n.classid AND e.objid = n.objid AND (e.deptype = 'e' OR (e.deptype = 'i' AND n.classid <> 'pg_class'::regclass)))
    ), parts AS MATERIALIZED (  -- what an object is made of besides itself
        SELECT t.identity, t.classid AS part_class, t.objid AS part FROM told AS t
        UNION ALL SELECT t.identity, 'pg_rewrite'::regclass, w.oid FROM told AS t JOIN pg_rewrite AS w ON w.ev_class = t.objid WHERE t.classid = 'pg_class'::regclass
        UNION ALL SELECT t.identity, 'pg_attrdef'::regclass, f.oid FROM told AS t JOIN pg_attrdef AS f ON f.adrelid = t.objid WHERE t.classid = 'pg_class'::regclass
        UNION ALL SELECT t.identity, 'pg_constraint'::regclass, k.oid FROM told AS t JOIN pg_constraint AS k ON k.conrelid = t.objid WHERE t.classid = 'pg_class'::regclass
        UNION ALL SELECT t.identity, 'pg_constraint'::regclass, k.oid FROM told AS t JOIN pg_constraint AS k ON k.contypid = t.objid WHERE t.classid = 'pg_type'::regclass
        UNION ALL SELECT t.identity, 'pg_class'::regclass, i.indexrelid FROM told AS t JOIN pg_index AS i ON i.indrelid = t.objid WHERE t.classid = 'pg_class'::regclass
    ), edges AS MATERIALIZED (
        SELECT DISTINCT p.identity, o.identity AS needs
          FROM parts AS p JOIN pg_depend AS d ON d.classid = p.part_class AND d.objid = p.part AND d.deptype IN ('n', 'a')
          -- The row type of a table or view, or an array, is that table, view or type.
          LEFT JOIN pg_type AS y ON d.refclassid = 'pg_type'::regclass AND y.oid = d.refobjid
          LEFT JOIN pg_type AS m ON m.oid = y.typelem AND y.typcategory = 'A'
          JOIN told AS o ON (o.classid = d.refclassid AND o.objid = d.refobjid) OR (o.classid = 'pg_class'::regclass AND o.objid = coalesce(m.typrelid, y.typrelid)) OR (o.classid = 'pg_type'::regclass AND o.objid = m.oid)
         WHERE p.identity <> o.identity
           -- A sequence of a column comes with its table.
           AND NOT (d.deptype = 'a' AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_sequence AS q WHERE q.seqrelid = d.objid))
    )
    SELECT array_agg(t.identity ORDER BY t.identity COLLATE "C"), array_agg(t.kind ORDER BY t.identity COLLATE "C"),
           array_agg(to_jsonb(ARRAY(SELECT e.needs FROM edges AS e WHERE e.identity = t.identity ORDER BY e.needs COLLATE "C")) ORDER BY t.identity COLLATE "C")
      INTO v_names, v_kinds, v_needs FROM told AS t;
    "position" := 0;
    WHILE coalesce(cardinality(v_names), 0) > cardinality(v_done) LOOP
        v_ready  := ARRAY(SELECT n FROM unnest(v_names, v_needs) AS u(n, needs) WHERE n <> ALL (v_done) AND u.needs <@ to_jsonb(v_done));
        v_cyclic := v_ready = '{}';
        IF v_cyclic THEN
            -- The one that most of the others wait for.
            v_ready := ARRAY(SELECT n FROM unnest(v_names) AS n WHERE n <> ALL (v_done) ORDER BY (SELECT count(*) FROM unnest(v_names, v_needs) AS u(o, needs) WHERE o <> ALL (v_done) AND u.needs ? n) DESC, n COLLATE "C" LIMIT 1);
        END IF;
        FOR object_name, object_type, depends_on IN
            SELECT u.n, u.k, ARRAY(SELECT jsonb_array_elements_text(u.needs)) FROM unnest(v_names, v_kinds, v_needs) AS u(n, k, needs) WHERE u.n = ANY (v_ready) ORDER BY u.n COLLATE "C"
        LOOP
            "position"  := "position" + 1;
            is_in_cycle := v_cyclic;
            RETURN NEXT;
        END LOOP;
        v_done := v_done || v_ready;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit.get_dependency_order(text) IS
'The tables, views, sequences, functions and types of main''s tracked schemas, or of one schema of these, in an order in which each can be made after all that it needs (backwards: dropped), from pg_depend. depends_on is what it needs directly, of those listed.
is_in_cycle: two or more need each other, as tables with foreign keys both ways do, and this one comes first though not all it needs is there. Bodies of functions that PostgreSQL has not parsed need nothing. Empty for a schema that is not tracked. Raises VG008.';
