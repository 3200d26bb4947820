-- Merging the columns of tables three ways. A column is matched by its origin, which a new name and another type keep. The target gets the merged columns first, then its rows are
-- merged in these; pggit_merged_columns is what was decided.

CREATE OR REPLACE FUNCTION pggit._relation_at(p_table_id integer, p_branch_id integer)
    RETURNS regclass
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN p_branch_id = 1 THEN t.relation
                        ELSE (SELECT bt.relation FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND bt.form = 'table') END
              FROM pggit.tables AS t WHERE t.table_id = p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._relation_at(integer, integer) IS
'The real table that a tracked table is on a branch; NULL where it is a view.';

CREATE OR REPLACE FUNCTION pggit._type_of_main(p_type text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT coalesce((SELECT quote_ident(s.base_schema) || substr(p_type, length(quote_ident(s.schema_name)) + 1)
                               FROM pggit.branch_schemas AS s WHERE starts_with(p_type, quote_ident(s.schema_name) || '.')), p_type));
END;
$$;

COMMENT ON FUNCTION pggit._type_of_main(text) IS
'The name on main of a type, which may be of a branch.';

CREATE OR REPLACE FUNCTION pggit._kind_of(p_column pggit.columns)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN NOT p_column IS NULL THEN concat(pggit._type_of_main((p_column).type_name), CASE WHEN (p_column).generated_as IS NOT NULL THEN ' generated' END) END;
$$;

COMMENT ON FUNCTION pggit._kind_of(pggit.columns) IS
'The type of a column, and whether it is generated: what makes it another one to a merge. NULL for none. A column that was gone, or had another type, and is as it was has another number and the same kind.';

CREATE OR REPLACE FUNCTION pggit._names_at(p_commit_id text)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT jsonb_object_agg(n.table_id, n.names)
              FROM (SELECT e.table_id, jsonb_object_agg(e.column_id, (parse_ident(substr(e.object_name, length(e.parent) + 2)))[1]) AS names
                      FROM pggit.schema_commits AS s CROSS JOIN LATERAL pggit._tree_entries(s.tree_id) AS e
                     WHERE s.commit_id = p_commit_id AND e.object_type = 'column' AND e.table_id IS NOT NULL AND e.column_id IS NOT NULL
                     GROUP BY e.table_id) AS n);
END;
$$;

COMMENT ON FUNCTION pggit._names_at(text) IS
'The names that columns had at a commit, by table and origin: pggit.columns knows the last one alone.';

CREATE OR REPLACE FUNCTION pggit._columns_named(p_table_id integer, p_at pggit._position, p_names jsonb)
    RETURNS SETOF pggit.columns
    LANGUAGE sql STABLE
AS $$
    SELECT c.table_id, c.column_id, c.attnum, coalesce(p_names -> p_table_id::text ->> c.origin::text, c.name), c.type_name, c.key_position, c.generated_as, c.added_at, c.dropped_at, c.origin, c.names,
           c.catalog_row
      FROM pggit._columns_at(p_table_id, p_at) AS c;
$$;

COMMENT ON FUNCTION pggit._columns_named(integer, pggit._position, jsonb) IS
'The columns a table had at a position, with the names of then (pggit._names_at; NULL: those of now).';

CREATE OR REPLACE FUNCTION pggit._at_commit(p_what text, p_table_id integer, p_commit_id text)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_at pggit._position;
BEGIN
    IF p_what = 'tables' THEN
        RETURN (SELECT coalesce(jsonb_object_agg(n.table_id, n.name), '{}') FROM pggit._committed_names(p_commit_id) AS n);
    ELSIF p_what = 'names' THEN
        RETURN coalesce(pggit._names_at(p_commit_id) -> p_table_id::text, '{}');
    END IF;
    v_at := (pggit._ref(p_commit_id)).at;
    RETURN (SELECT CASE pggit._presence(t, v_at) WHEN 'absent' THEN '{}' ELSE
                       (SELECT coalesce(jsonb_object_agg(c.origin, pggit._kind_of(c)), '{}') || '{"is_there": true}' FROM pggit._columns_at(p_table_id, v_at) AS c) END
              FROM pggit.tables AS t WHERE t.table_id = p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._at_commit(text, integer, text) IS
'What there was at a commit, as an object: tables has the names of all tables, by their ids, names those of a table''s columns, by origin, shape their kinds (pggit._kind_of), by origin, and is_there; {} where the table was not there.';

CREATE OR REPLACE FUNCTION pggit._unknown_fields(p_one jsonb, p_other jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT coalesce(jsonb_object_agg(k, 'null'::jsonb), '{}') FROM jsonb_object_keys(coalesce(p_one, '{}') || coalesce(p_other, '{}')) AS k;
$$;

COMMENT ON FUNCTION pggit._unknown_fields(jsonb, jsonb) IS
'The base of two objects whose base nobody knows: in each field a value that none of them has.';

CREATE OR REPLACE FUNCTION pggit._dispute(p_left integer)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT jsonb_build_array('in dispute' || CASE WHEN p_left < 64 THEN format(' (%s)', p_left) ELSE '' END);
$$;

COMMENT ON FUNCTION pggit._dispute(integer) IS
'The beginning of a value that is in dispute between ancestors (pggit._merge_fields). p_left: as in pggit._in_base; a dispute of one level is not that of another.';

CREATE OR REPLACE FUNCTION pggit._in_base(p_what text, p_table_id integer, p_bases text[], p_left integer DEFAULT 64)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_merged jsonb := pggit._at_commit(p_what, p_table_id, p_bases[1]);
    v_other  jsonb;
    v_before text[];
    v_base   jsonb;
BEGIN
    FOR v_at IN 2 .. cardinality(p_bases) LOOP
        v_other := pggit._at_commit(p_what, p_table_id, p_bases[v_at]);
        CONTINUE WHEN v_other = v_merged;
        v_before := CASE WHEN p_left > 1 THEN pggit._merge_bases_of_any(p_bases[:v_at - 1], p_bases[v_at]) END;
        v_base   := CASE WHEN v_before IS NULL THEN pggit._unknown_fields(v_merged, v_other)
                         ELSE pggit._in_base(p_what, p_table_id, v_before, (p_left - 1) / (cardinality(p_bases) - 1)) END;
        v_merged := (pggit._merge_fields(v_base, v_merged, v_other, pggit._dispute(p_left))).merged;
    END LOOP;
    RETURN v_merged;
END;
$$;

COMMENT ON FUNCTION pggit._in_base(text, integer, text[], integer) IS
'pggit._at_commit of what a merge starts from: of several best common ancestors what merges of them, one after the other, would give, each from what it has in common with those before. Where they would conflict there is an array,
which no side has: ["in dispute", one, the other]. p_left: how many commits may still be merged in this way; where it is used up, all in which two differ is in dispute.';

CREATE OR REPLACE FUNCTION pggit._is_in_base(p_table pggit.tables, p_bases text[])
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN CASE cardinality(p_bases) WHEN 1 THEN pggit._presence(p_table, (pggit._ref(p_bases[1])).at) <> 'absent'
                                     ELSE pggit._in_base('shape', (p_table).table_id, p_bases) ? 'is_there' END;
END;
$$;

COMMENT ON FUNCTION pggit._is_in_base(pggit.tables, text[]) IS
'Whether what a merge starts from has a table.';

CREATE OR REPLACE FUNCTION pggit._base_with_table(p_table pggit.tables, p_bases text[])
    RETURNS pggit._position
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT r.at FROM unnest(p_bases) WITH ORDINALITY AS b(id, n) CROSS JOIN LATERAL pggit._ref(b.id) AS r ORDER BY pggit._presence(p_table, r.at) = 'absent', b.n LIMIT 1);
END;
$$;

COMMENT ON FUNCTION pggit._base_with_table(pggit.tables, text[]) IS
'The youngest best common ancestor that has a table; where none has, the youngest.';

CREATE OR REPLACE FUNCTION pggit._columns_of_base(p_table_id integer, p_bases text[])
    RETURNS SETOF pggit.columns
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_shape jsonb;
BEGIN
    IF cardinality(p_bases) = 1 THEN
        RETURN QUERY SELECT c.* FROM pggit._columns_at(p_table_id, (pggit._ref(p_bases[1])).at) AS c;
        RETURN;
    END IF;
    v_shape := pggit._in_base('shape', p_table_id, p_bases);
    RETURN QUERY
    SELECT DISTINCT ON (c.origin) c.table_id, c.column_id, c.attnum, c.name, CASE WHEN k.is_its THEN c.type_name ELSE k.kind END, c.key_position, CASE WHEN k.is_its THEN c.generated_as END, c.added_at, c.dropped_at,
           c.origin, c.names, c.catalog_row
      FROM unnest(p_bases) WITH ORDINALITY AS b(id, n) CROSS JOIN LATERAL pggit._columns_at(p_table_id, (pggit._ref(b.id)).at) AS c
     CROSS JOIN LATERAL (SELECT v_shape ->> c.origin::text AS kind, v_shape ->> c.origin::text = pggit._kind_of(c) AS is_its) AS k
     WHERE k.kind IS NOT NULL
     ORDER BY c.origin, k.is_its DESC, b.n;
END;
$$;

COMMENT ON FUNCTION pggit._columns_of_base(integer, text[]) IS
'The columns that a merge of a table starts from (pggit._in_base). The type of one whose kind is in dispute is one that no column has.';

CREATE OR REPLACE FUNCTION pggit._base_object(p_before pggit._schema_object, p_one pggit._schema_object, p_other pggit._schema_object, p_dispute jsonb)
    RETURNS pggit._schema_object
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    v_merged pggit._schema_object := CASE WHEN (p_one).hash IS NULL THEN p_other ELSE p_one END;
BEGIN
    IF (p_one).hash IS NOT DISTINCT FROM (p_other).hash OR (p_other).hash IS NOT DISTINCT FROM (p_before).hash THEN
        RETURN p_one;
    ELSIF (p_one).hash IS NOT DISTINCT FROM (p_before).hash THEN
        RETURN p_other;
    END IF;
    v_merged.definition := CASE WHEN (p_one).hash IS NULL OR (p_other).hash IS NULL THEN (v_merged).definition || jsonb_build_object(p_dispute ->> 0, 'dropped')
                                ELSE (pggit._merge_fields((p_before).definition, (p_one).definition, (p_other).definition, p_dispute)).merged END;
    v_merged.hash       := pggit._object_hash((v_merged).definition);
    RETURN v_merged;
END;
$$;

COMMENT ON FUNCTION pggit._base_object(pggit._schema_object, pggit._schema_object, pggit._schema_object, jsonb) IS
'One object as a merge of two ancestors would have it, NULL for none; what is in dispute between them has a definition that nobody has (pggit._dispute).';

CREATE OR REPLACE FUNCTION pggit._objects_of_base(p_bases text[], p_left integer DEFAULT 64)
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trees  bigint[] := ARRAY(SELECT s.tree_id FROM unnest(p_bases) WITH ORDINALITY AS b(id, n) LEFT JOIN pggit.schema_commits AS s ON s.commit_id = b.id ORDER BY b.n);
    v_merged pggit._schema_object[];
    v_other  pggit._schema_object[];
    v_before text[];
    v_base   pggit._schema_object[];
BEGIN
    IF array_position(v_trees, NULL) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    v_merged := ARRAY(SELECT o FROM pggit._tree_objects(v_trees[1]) AS o);
    FOR v_at IN 2 .. cardinality(p_bases) LOOP
        v_other := pggit._in_names_of(ARRAY(SELECT o FROM pggit._tree_objects(v_trees[v_at]) AS o), v_merged);
        CONTINUE WHEN NOT EXISTS (SELECT FROM unnest(v_merged) AS m FULL JOIN unnest(v_other) AS o USING (object_type, object_name) WHERE m.hash IS DISTINCT FROM o.hash);
        v_before := CASE WHEN p_left > 1 THEN pggit._merge_bases_of_any(p_bases[:v_at - 1], p_bases[v_at]) END;
        v_base   := CASE WHEN v_before IS NOT NULL THEN pggit._in_names_of(pggit._objects_of_base(v_before, (p_left - 1) / (cardinality(p_bases) - 1)), v_merged) END;
        v_merged := ARRAY(
            WITH one AS MATERIALIZED (SELECT x.object_type, x.object_name, x FROM unnest(v_merged) AS x),
                 other AS MATERIALIZED (SELECT x.object_type, x.object_name, x FROM unnest(v_other) AS x),
                 base AS MATERIALIZED (SELECT x.object_type, x.object_name, x FROM unnest(v_base) AS x)
            SELECT m
              FROM one AS a FULL JOIN other AS b USING (object_type, object_name) LEFT JOIN base AS z USING (object_type, object_name)
             CROSS JOIN LATERAL pggit._base_object(CASE WHEN v_base IS NOT NULL THEN z.x
                                                        ELSE (object_type, object_name, NULL, pggit._unknown_fields((a.x).definition, (b.x).definition), '', NULL, NULL)::pggit._schema_object END,
                                                   a.x, b.x, pggit._dispute(p_left)) AS m
             WHERE m.hash IS NOT NULL);
    END LOOP;
    RETURN v_merged;
END;
$$;

COMMENT ON FUNCTION pggit._objects_of_base(text[], integer) IS
'The definitions that a merge starts from, merged of several best common ancestors as in pggit._in_base; tables and columns have the names of the youngest one. NULL where nobody knows what there was.';

CREATE OR REPLACE FUNCTION pggit._merged_columns(p_table_id integer, p_bases text[], p_ours pggit._position, p_theirs pggit._position, p_names jsonb)
    RETURNS TABLE (origin integer, base pggit.columns, ours pggit.columns, theirs pggit.columns, change text)
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(b.origin, o.origin, t.origin), b, o, t,
           CASE WHEN o IS NULL AND b IS NULL THEN 'add'
                WHEN t IS NULL AND NOT b IS NULL AND NOT o IS NULL THEN 'drop'
                WHEN o IS NULL OR t IS NULL THEN 'none'
                WHEN t.column_id <> o.column_id AND pggit._kind_of(t) <> pggit._kind_of(o) AND pggit._kind_of(t) IS DISTINCT FROM pggit._kind_of(b) THEN 'retype'
                WHEN t.name <> o.name THEN 'rename'
                ELSE 'none' END
      FROM pggit._columns_of_base(p_table_id, p_bases) AS b
      FULL JOIN pggit._columns_at(p_table_id, p_ours) AS o ON o.origin = b.origin
      FULL JOIN pggit._columns_named(p_table_id, p_theirs, p_names) AS t ON t.origin = coalesce(o.origin, b.origin);
$$;

COMMENT ON FUNCTION pggit._merged_columns(integer, text[], pggit._position, pggit._position, jsonb) IS
'The columns of a table at the three states of a merge, and what ours has to go through: add, drop, retype, rename or none. p_names: as in pggit._columns_named, where theirs is a state of the past.';

CREATE OR REPLACE FUNCTION pggit._begin_schema(p_merge_id uuid)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._drop_temporary('pg_temp.pggit_decided');
    IF EXISTS (SELECT FROM pggit.schema_conflicts AS c WHERE c.merge_id = p_merge_id AND c.resolution IS NOT NULL) THEN
        CREATE TEMPORARY TABLE pggit_decided ON COMMIT DROP AS SELECT c.* FROM pggit.schema_conflicts AS c WHERE c.merge_id = p_merge_id AND c.resolution IS NOT NULL;
    END IF;
    DELETE FROM pggit.schema_conflicts AS c WHERE c.merge_id = p_merge_id;
END;
$$;

COMMENT ON FUNCTION pggit._begin_schema(uuid) IS
'Begins a plan of definitions anew; what was decided in the one before, if anything was, stands in the temporary table pggit_decided.';

CREATE OR REPLACE FUNCTION pggit._keep_decided(p_merge_id uuid)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF to_regclass('pg_temp.pggit_decided') IS NOT NULL THEN
        INSERT INTO pggit.schema_conflicts SELECT d.* FROM pg_temp.pggit_decided AS d WHERE d.merge_id = p_merge_id ON CONFLICT DO NOTHING;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._keep_decided(uuid) IS
'A merge is refused before its definitions are planned: what was decided of them stands.';

CREATE OR REPLACE FUNCTION pggit._open_schema_conflict(p_merge_id uuid, p_type text, p_name text, p_kind text, p_base jsonb, p_ours jsonb, p_theirs jsonb)
    RETURNS pggit.schema_conflicts
    LANGUAGE plpgsql
AS $$
DECLARE
    v_id       text := left(encode(sha256(convert_to(jsonb_build_array(p_type, p_name, p_kind, p_base, p_ours, p_theirs)::text, 'UTF8')), 'hex'), 16);
    v_options  jsonb := (SELECT m.options FROM pggit.merges AS m WHERE m.merge_id = p_merge_id);
    v_conflict pggit.schema_conflicts;
BEGIN
    IF to_regclass('pg_temp.pggit_decided') IS NOT NULL THEN
        SELECT d.* INTO v_conflict FROM pg_temp.pggit_decided AS d WHERE d.conflict_id = v_id;
    END IF;
    IF (v_conflict).conflict_id IS NULL THEN
        v_conflict := (p_merge_id, v_id, p_type, p_name, p_kind, p_base, p_ours, p_theirs, NULL, NULL, NULL, NULL)::pggit.schema_conflicts;
        SELECT r.value ->> 'take', r.value -> 'value' INTO v_conflict.resolution, v_conflict.resolved_value
          FROM jsonb_array_elements(coalesce(v_options -> 'resolutions', '[]') || coalesce(v_options -> 'kept_schema', '[]')) AS r
         WHERE r.value ->> 'conflict_id' = v_id AND CASE p_kind WHEN 'needs_fill' THEN r.value ->> 'take' = 'value' AND jsonb_typeof(r.value -> 'value') = 'string' ELSE r.value ->> 'take' IN ('ours', 'theirs') END;
        v_conflict.resolution := coalesce(v_conflict.resolution, CASE WHEN v_options ->> 'on_conflict' IN ('ours', 'theirs') AND p_kind <> 'needs_fill' THEN v_options ->> 'on_conflict' END);
        IF v_conflict.resolution IS NOT NULL THEN
            v_conflict.resolved_by := pggit._actor();
            v_conflict.resolved_at := now();
        END IF;
    END IF;
    INSERT INTO pggit.schema_conflicts SELECT v_conflict.* ON CONFLICT DO NOTHING;
    RETURN v_conflict;
END;
$$;

COMMENT ON FUNCTION pggit._open_schema_conflict(uuid, text, text, text, jsonb, jsonb, jsonb) IS
'Notes a conflict of definitions, with the resolution that it was given before or that the merge''s options have for it. Its id is made from the object, the kind and the three sides, so that it is the same in every plan.';

CREATE OR REPLACE FUNCTION pggit._value_of_old_rows(p_relation regclass, p_name text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    -- A default alone says nothing of them: it may have come later, and the table may have been rewritten since.
    RETURN (SELECT CASE WHEN a.atthasmissing THEN quote_nullable((a.attmissingval::text::text[])[1])
                        WHEN NOT a.atthasdef AND a.attidentity = '' THEN 'NULL' END
              FROM pg_attribute AS a
             WHERE a.attrelid = p_relation AND a.attname = p_name AND NOT a.attisdropped);
END;
$$;

COMMENT ON FUNCTION pggit._value_of_old_rows(regclass, text) IS
'What a column that was added has in the rows that were there before, as a literal; NULL where nobody knows, or where it is another value in each row (a sequence, random values).';

CREATE OR REPLACE FUNCTION pggit._constant_default(p_relation regclass, p_name text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
DECLARE
    v_default text;
    v_node    text;
    v_value   text;
BEGIN
    SELECT pg_get_expr(d.adbin, d.adrelid), d.adbin::text INTO v_default, v_node
      FROM pg_attribute AS a JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = p_relation AND a.attname = p_name AND NOT a.attisdropped;
    IF v_default IS NULL
       OR EXISTS (SELECT FROM regexp_matches(v_node, '\{([A-Z]+)', 'g') AS m
                   WHERE m[1] <> ALL (ARRAY['CONST', 'RELABELTYPE', 'COERCEVIAIO', 'FUNCEXPR', 'OPEXPR', 'ARRAYEXPR', 'ARRAYCOERCEEXPR', 'CASETESTEXPR']))
       OR EXISTS (SELECT FROM regexp_matches(v_node, ':(?:op)?funcid (\d+)', 'g') AS m
                   WHERE NOT EXISTS (SELECT FROM pg_proc AS p WHERE p.oid = m[1]::oid AND p.provolatile = 'i' AND p.pronamespace = 'pg_catalog'::regnamespace)) THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT (%s)::text', v_default) INTO v_value;
    RETURN quote_nullable(v_value);
END;
$$;

COMMENT ON FUNCTION pggit._constant_default(regclass, text) IS
'The default of a column as a literal, where it is a constant; NULL where there is none or it has to be computed for each row.';

CREATE OR REPLACE FUNCTION pggit._changed_cells_sql(p_table_id integer, p_base pggit._position, p_side pggit._position, p_from integer, p_to integer, p_new_row text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('SELECT %1$s FROM (%2$s) AS k LEFT JOIN LATERAL (%3$s) AS b ON true LEFT JOIN LATERAL (%4$s) AS n ON true
                            WHERE n.%5$s IS DISTINCT FROM NULL AND CASE WHEN b.%5$s IS NOT DISTINCT FROM NULL THEN ROW(n.c%7$s)::record *<> ROW(%8$s)::record ELSE %9$s END',
                          pggit._key_columns(p_table_id, 'k'), pggit._candidates_sql(p_table_id, p_base, p_side), pggit._row_sql(p_table_id, p_base), pggit._row_sql(p_table_id, p_side),
                          (SELECT 'c' || c.column_id FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position = 1 AND c.dropped_at IS NULL), p_from, p_to, p_new_row,
                          -- An enum of a branch is another type than main's.
                          CASE WHEN p_from = p_to THEN format('ROW(n.c%s)::record *<> ROW(b.c%s)::record', p_to, p_from)
                               ELSE format('pggit._pinned_text(n.c%s) IS DISTINCT FROM pggit._pinned_text(b.c%s)', p_to, p_from) END));
END;
$$;

COMMENT ON FUNCTION pggit._changed_cells_sql(integer, pggit._position, pggit._position, integer, integer, text) IS
'SELECT of the keys of the rows in which one side has changed a cell, from the column p_from of the base to its own column p_to; new rows count where they have not p_new_row in it.';

CREATE OR REPLACE FUNCTION pggit._touched_rows_sql(p_table_id integer, p_base pggit._position, p_side pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('SELECT %1$s, o.%5$s IS NOT DISTINCT FROM NULL AS is_new FROM (%2$s) AS k LEFT JOIN LATERAL (%3$s) AS o ON true LEFT JOIN LATERAL (%4$s) AS n ON true
                            WHERE n.%5$s IS DISTINCT FROM NULL AND (o.%5$s IS NOT DISTINCT FROM NULL OR %6$s)',
                          pggit._key_columns(p_table_id, 'k'), pggit._candidates_sql(p_table_id, p_base, p_side), pggit._row_sql(p_table_id, p_base), pggit._row_sql(p_table_id, p_side),
                          (SELECT 'c' || c.column_id FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position = 1 AND c.dropped_at IS NULL),
                          pggit._differ_sql(p_table_id, p_base, p_side)));
END;
$$;

COMMENT ON FUNCTION pggit._touched_rows_sql(integer, pggit._position, pggit._position) IS
'SELECT of the keys of the rows that one side has, and has inserted (is_new) or changed since the base.';

CREATE OR REPLACE FUNCTION pggit._alias_columns(p_table_id integer, p_bases text[], p_ours pggit._position, p_theirs pggit._position, p_names jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_same record;
BEGIN
    FOR v_same IN
        SELECT (t.theirs).column_id, (o.ours).origin
          FROM pggit._merged_columns(p_table_id, p_bases, p_ours, p_theirs, p_names) AS t
          JOIN pggit._merged_columns(p_table_id, p_bases, p_ours, p_theirs, p_names) AS o ON (o.ours).name = (t.theirs).name
         WHERE t.base IS NULL AND t.ours IS NULL AND o.base IS NULL AND o.theirs IS NULL
    LOOP
        UPDATE pggit.branch_columns AS c SET origin = v_same.origin WHERE c.table_id = p_table_id AND c.column_id = v_same.column_id;
        UPDATE pggit.columns AS c SET origin = v_same.origin WHERE c.table_id = p_table_id AND c.column_id = v_same.column_id;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._alias_columns(integer, text[], pggit._position, pggit._position, jsonb) IS
'Both sides have added a column of one name: from here on it is one, of one origin.';

CREATE OR REPLACE FUNCTION pggit._column_json(p_column pggit.columns)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN NOT p_column IS NULL THEN jsonb_strip_nulls(jsonb_build_object('name', (p_column).name, 'type', (p_column).type_name, 'generated_as', (p_column).generated_as)) END;
$$;

COMMENT ON FUNCTION pggit._column_json(pggit.columns) IS
'A column as one side of a conflict of definitions.';

CREATE OR REPLACE FUNCTION pggit._rows_with_changed_cell(p_table_id integer, p_bases text[], p_side pggit._position, p_from pggit.columns, p_to pggit.columns)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    v_at   regclass := pggit._relation_at(p_table_id, (p_side).branch_id);
    -- Where the table was rewritten since, the default says what rows have in which nobody wrote it.
    v_old  text     := coalesce(pggit._value_of_old_rows(v_at, (p_to).name), pggit._constant_default(v_at, (p_to).name)) || '::' || (p_to).type_name;
    v_most bigint := 0;
    v_base record;
    v_rows bigint;
BEGIN
    FOR v_base IN
        SELECT r.at, c.column_id FROM unnest(p_bases) AS b(id) CROSS JOIN LATERAL pggit._ref(b.id) AS r CROSS JOIN LATERAL pggit._columns_at(p_table_id, r.at) AS c
         WHERE c.origin = (p_from).origin AND pggit._kind_of(c) = pggit._kind_of(p_from)
    LOOP
        IF pggit._is_keyless(p_table_id) THEN
            v_rows := pggit._counted_changes(p_table_id, v_base.at, p_side, v_base.column_id, (p_to).column_id, v_old);
        ELSE
            EXECUTE format('SELECT count(*) FROM (%s) AS changed', pggit._changed_cells_sql(p_table_id, v_base.at, p_side, v_base.column_id, (p_to).column_id,
                                                                                            coalesce(v_old, format('n.c%s', (p_to).column_id)))) INTO v_rows;
        END IF;
        v_most := greatest(v_most, v_rows);
    END LOOP;
    RETURN v_most;
END;
$$;

COMMENT ON FUNCTION pggit._rows_with_changed_cell(integer, text[], pggit._position, pggit.columns, pggit.columns) IS
'How many rows have another value in a column on one side than in the base; of several best common ancestors, than in the one that it differs from most, so that no change is missed.';

CREATE OR REPLACE FUNCTION pggit._is_disputed_drop(p_table_id integer, p_column record, p_bases text[])
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_ours   pggit.columns := p_column.ours;
    v_theirs pggit.columns := p_column.theirs;
    v_base   pggit.columns := p_column.base;
    v_pair   record;
BEGIN
    IF cardinality(p_bases) = 1 OR NOT v_base IS NULL OR (v_ours IS NULL) = (v_theirs IS NULL) THEN
        RETURN false;
    END IF;
    FOR v_pair IN
        SELECT h.id, h.at, c, pggit._merge_bases(h.id, g.id) AS before
          FROM (SELECT b.id, r.at FROM unnest(p_bases) AS b(id) CROSS JOIN LATERAL pggit._ref(b.id) AS r) AS h
          JOIN pggit._columns_at(p_table_id, h.at) AS c ON c.origin = p_column.origin AND c.generated_as IS NULL
          JOIN (SELECT b.id, r.at FROM unnest(p_bases) AS b(id) CROSS JOIN LATERAL pggit._ref(b.id) AS r) AS g
            ON NOT EXISTS (SELECT FROM pggit._columns_at(p_table_id, g.at) AS k WHERE k.origin = p_column.origin)
    LOOP
        IF pggit._rows_with_changed_cell(p_table_id, v_pair.before, v_pair.at, v_pair.c, v_pair.c) > 0 THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END;
$$;

COMMENT ON FUNCTION pggit._is_disputed_drop(integer, record, text[]) IS
'Whether one side alone has a column (as in pggit._merged_columns) that one best common ancestor has dropped and another has written: whoever has it yet, or not, has decided that.';

CREATE OR REPLACE FUNCTION pggit._decide_column(p_merge_id uuid, p_table pggit.tables, p_column record, p_bases text[], p_ours pggit._position, p_theirs pggit._position,
                                                OUT change text, OUT name text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_base   pggit.columns := p_column.base;
    v_ours   pggit.columns := p_column.ours;
    v_theirs pggit.columns := p_column.theirs;
    v_name   text := coalesce((v_ours).name, (v_theirs).name, (v_base).name);
    v_object text := format('%I.%I.%I', p_table.schema_name, p_table.table_name, v_name);
    v_rows   bigint := 0;
    v_kind   text;
    v_taken  text;
BEGIN
    change := p_column.change;
    name   := v_name;
    IF NOT v_ours IS NULL AND NOT v_theirs IS NULL AND (v_ours).name <> (v_theirs).name THEN
        -- Who has renamed it?
        CASE pggit._in_base('names', p_table.table_id, p_bases) ->> p_column.origin::text
            WHEN (v_ours).name THEN name := (v_theirs).name;
            WHEN (v_theirs).name THEN NULL;
            ELSE
                v_taken := (pggit._open_schema_conflict(p_merge_id, 'column', v_object, 'rename', NULL, pggit._column_json(v_ours), pggit._column_json(v_theirs))).resolution;
                name := CASE v_taken WHEN 'theirs' THEN (v_theirs).name ELSE (v_ours).name END;
        END CASE;
        change := CASE WHEN change = 'rename' AND name = (v_ours).name THEN 'none' ELSE change END;
    END IF;

    IF change = 'drop' AND pggit._kind_of(v_ours) = pggit._kind_of(v_base) AND (v_ours).generated_as IS NULL THEN
        v_rows := pggit._rows_with_changed_cell(p_table.table_id, p_bases, p_ours, v_base, v_ours);
    ELSIF v_ours IS NULL AND pggit._kind_of(v_theirs) = pggit._kind_of(v_base) AND (v_theirs).generated_as IS NULL THEN
        v_rows := pggit._rows_with_changed_cell(p_table.table_id, p_bases, p_theirs, v_base, v_theirs);
    END IF;

    v_kind := CASE WHEN pggit._is_disputed_drop(p_table.table_id, p_column, p_bases) THEN CASE WHEN v_ours IS NULL THEN 'delete_update' ELSE 'update_delete' END
                   WHEN change = 'drop' AND (v_rows > 0 OR pggit._kind_of(v_ours) <> pggit._kind_of(v_base)) THEN 'update_delete'
                   WHEN v_ours IS NULL AND NOT v_base IS NULL AND NOT v_theirs IS NULL AND (v_rows > 0 OR pggit._kind_of(v_theirs) <> pggit._kind_of(v_base)) THEN 'delete_update'
                   WHEN change = 'retype' AND pggit._kind_of(v_ours) IS DISTINCT FROM pggit._kind_of(v_base) THEN CASE WHEN v_base IS NULL THEN 'insert_insert' ELSE 'update_update' END END;
    IF v_kind IS NOT NULL THEN
        v_taken := (pggit._open_schema_conflict(p_merge_id, 'column', v_object, v_kind, pggit._column_json(v_base),
                       pggit._column_json(v_ours) || CASE WHEN v_rows > 0 AND change = 'drop' THEN jsonb_build_object('changed_rows', v_rows) ELSE '{}' END,
                       pggit._column_json(v_theirs) || CASE WHEN v_rows > 0 AND v_ours IS NULL THEN jsonb_build_object('changed_rows', v_rows) ELSE '{}' END)).resolution;
        change := CASE WHEN v_taken = 'theirs' THEN CASE v_kind WHEN 'delete_update' THEN 'add' WHEN 'update_delete' THEN 'drop' ELSE change END ELSE 'none' END;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._decide_column(uuid, pggit.tables, record, text[], pggit._position, pggit._position) IS
'What a merge does to one column of its target, and the name the column has afterwards. Opens a conflict where both sides changed it in different ways: update_delete (ours has written to it or given
it another type, theirs dropped it), delete_update, update_update (two types), insert_insert (added twice, with two types) or rename (two names).';

CREATE OR REPLACE FUNCTION pggit._plan_columns(p_merge pggit.merges, p_bases text[], p_ours pggit._position, p_theirs pggit._position, p_their_id text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table   pggit.tables;
    v_column  record;
    v_decided record;
    v_live    pggit.columns;
    v_clash   text;
    v_names   jsonb := pggit._names_at(p_their_id);
    v_why_not text;
BEGIN
    PERFORM pggit._drop_temporary('pg_temp.pggit_merged_columns');
    CREATE TEMPORARY TABLE pggit_merged_columns (table_id integer, origin integer, base_id integer, ours_id integer, theirs_id integer, change text, name text, ours_name text, theirs_name text,
                                                 is_generated boolean, is_past boolean, their_relation regclass, their_name text, is_identity boolean, is_required boolean, is_as_base boolean) ON COMMIT DROP;
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.untracked_at IS NULL ORDER BY t.schema_name, t.table_name LOOP
        CONTINUE WHEN 'absent' IN (pggit._presence(v_table, p_ours), pggit._presence(v_table, p_theirs)) OR NOT pggit._is_in_base(v_table, p_bases);
        CONTINUE WHEN NOT EXISTS (SELECT FROM pggit._merged_columns(v_table.table_id, p_bases, p_ours, p_theirs, v_names) AS m
                                   WHERE m.change <> 'none' OR (m.base).column_id IS DISTINCT FROM (m.ours).column_id OR (m.base).column_id IS DISTINCT FROM (m.theirs).column_id);
        IF pggit._is_keyless(v_table.table_id) THEN
            v_why_not := pggit._why_not_counted(v_table, p_bases, p_ours, p_theirs, v_names);
            IF v_why_not IS NOT NULL THEN
                RETURN v_why_not;
            END IF;
        END IF;
        PERFORM pggit._alias_columns(v_table.table_id, p_bases, p_ours, p_theirs, v_names);
        FOR v_column IN SELECT m.* FROM pggit._merged_columns(v_table.table_id, p_bases, p_ours, p_theirs, v_names) AS m ORDER BY m.origin LOOP
            v_decided := pggit._decide_column(p_merge.merge_id, v_table, v_column, p_bases, p_ours, p_theirs);
            v_live    := (SELECT c FROM pggit._columns_at(v_table.table_id, CASE WHEN (p_theirs).branch_id <> 1 THEN pggit._branch_now((p_theirs).branch_id) END) AS c
                           WHERE c.column_id = (v_column.theirs).column_id AND p_merge.kind NOT IN ('revert', 'reset'));
            INSERT INTO pg_temp.pggit_merged_columns
            VALUES (v_table.table_id, v_column.origin, (v_column.base).column_id, (v_column.ours).column_id, (v_column.theirs).column_id, v_decided.change, v_decided.name,
                    (v_column.ours).name, (v_column.theirs).name, coalesce((v_column.theirs).generated_as, (v_column.ours).generated_as) IS NOT NULL, (v_live).column_id IS NULL,
                    CASE WHEN (v_live).column_id IS NOT NULL THEN pggit._relation_at(v_table.table_id, (p_theirs).branch_id) END, (v_live).name,
                    NULL, NULL, pggit._kind_of(v_column.base) = pggit._kind_of(v_column.theirs));
        END LOOP;
        SELECT m.name INTO v_clash FROM pg_temp.pggit_merged_columns AS m
         WHERE m.table_id = v_table.table_id AND m.change <> 'drop' AND (m.change = 'add' OR m.ours_id IS NOT NULL) GROUP BY m.name HAVING count(*) > 1 LIMIT 1;
        IF v_clash IS NOT NULL THEN
            RETURN format('the merged table %I.%I would have two columns %I; rename one of them', v_table.schema_name, v_table.table_name, v_clash);
        END IF;
    END LOOP;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._plan_columns(pggit.merges, text[], pggit._position, pggit._position, text) IS
'Merges the columns of all tables into the temporary table pggit_merged_columns: all columns of each table whose columns are not the same everywhere. is_past: theirs is a state from before the base, or has
the column no longer, so that nothing but its history tells what the column holds; otherwise it is column their_name of table their_relation. p_their_id: the commit that theirs is, NULL: a branch as it is. Returns why that can''t be, if so.';

CREATE OR REPLACE FUNCTION pggit._execute_all(p_commands text[])
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_command text;
BEGIN
    FOREACH v_command IN ARRAY p_commands LOOP
        EXECUTE v_command;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._execute_all(text[]) IS
'Runs commands one after the other.';

CREATE OR REPLACE FUNCTION pggit._as_role(p_role oid, p_commands text[])
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_helper text := format('pggit._as_%s', p_role);
BEGIN
    IF p_role = current_user::regrole THEN
        PERFORM pggit._execute_all(p_commands);
        RETURN;
    END IF;
    -- SET ROLE could be undone by what the commands call; a function of the role's can't be left.
    IF to_regproc(v_helper) IS NULL THEN
        EXECUTE format('CREATE FUNCTION %s(p_commands text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L', v_helper,
                       'DECLARE v_command text; BEGIN FOREACH v_command IN ARRAY p_commands LOOP EXECUTE v_command; END LOOP; END');
        EXECUTE format('REVOKE ALL ON FUNCTION %s(text[]) FROM PUBLIC', v_helper);
        EXECUTE format('ALTER FUNCTION %s(text[]) OWNER TO %I', v_helper, pg_get_userbyid(p_role));
    END IF;
    EXECUTE format('SELECT %s($1)', v_helper) USING p_commands;
END;
$$;

COMMENT ON FUNCTION pggit._as_role(oid, text[]) IS
'Runs commands as a role, whoever runs the merge: code that comes from a branch gets no other rights than those of the owner of what it is for.';

CREATE OR REPLACE FUNCTION pggit._as_owner(p_relation regclass, p_commands text[])
    RETURNS void
    LANGUAGE sql
AS $$
    SELECT pggit._as_role((SELECT c.relowner FROM pg_class AS c WHERE c.oid = p_relation), p_commands);
$$;

COMMENT ON FUNCTION pggit._as_owner(regclass, text[]) IS
'Runs commands as the owner of a table.';

CREATE OR REPLACE FUNCTION pggit._qualified_type(p_type text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('%I.%I', n.nspname, t.typname) || coalesce(substring(p_type FROM '\([0-9, -]+\)'), '') FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE t.oid = to_regtype(p_type));
END;
$$;

COMMENT ON FUNCTION pggit._qualified_type(text) IS
'A type with its schema, as the caller''s search_path finds it.';

CREATE OR REPLACE FUNCTION pggit._column_commands(p_table_id integer, p_target_id integer, p_theirs pggit._schema_object[])
    RETURNS TABLE (command text, n integer)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table  text := (SELECT format('%I.%I', s.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS s ON s.oid = c.relnamespace WHERE c.oid = pggit._relation_at(p_table_id, p_target_id));
    v_before text := current_setting('search_path');
BEGIN
    PERFORM set_config('search_path', pggit._schema_path(p_target_id), true);
    RETURN QUERY
    WITH merged AS MATERIALIZED (
        SELECT m.*, t.definition AS d, l.type_name AS ours_type
          FROM pg_temp.pggit_merged_columns AS m
          LEFT JOIN unnest(p_theirs) AS t ON t.object_type = 'column' AND t.table_id = m.table_id AND t.object_name = t.parent || '.' || quote_ident(m.theirs_name)
          LEFT JOIN pggit._live_columns(pggit._relation_at(p_table_id, p_target_id)) AS l ON l.name = m.ours_name
         WHERE m.table_id = p_table_id
    )
    SELECT format('ALTER TABLE %s DROP COLUMN %I', v_table, m.ours_name), 1 FROM merged AS m WHERE m.change = 'drop'
    UNION ALL
    -- By way of names that nobody has, so that columns may swap theirs.
    SELECT format('ALTER TABLE %s RENAME COLUMN %I TO %I', v_table, m.ours_name, 'pggit ' || m.origin), 2 FROM merged AS m WHERE m.change NOT IN ('drop', 'add') AND m.ours_name <> m.name
    UNION ALL
    SELECT format('ALTER TABLE %s RENAME COLUMN %I TO %I', v_table, 'pggit ' || m.origin, m.name), 3 FROM merged AS m WHERE m.change NOT IN ('drop', 'add') AND m.ours_name <> m.name
    UNION ALL
    SELECT format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT, ALTER COLUMN %2$I TYPE %s%s USING %s', v_table, m.name, m.d ->> 'type', ' COLLATE ' || (m.d ->> 'collation'),
                  pggit._converted_sql(quote_ident(m.name), m.ours_type, pggit._qualified_type(m.d ->> 'type'))), 4
      FROM merged AS m WHERE m.change = 'retype' AND NOT m.is_generated
    UNION ALL
    SELECT format('ALTER TABLE %s ADD COLUMN %I %s%s%s', v_table, m.name, m.d ->> 'type', ' COLLATE ' || (m.d ->> 'collation'),
                  CASE WHEN m.d ? 'generated' THEN format(' GENERATED ALWAYS AS (%s) %s', m.d ->> 'generated', m.d ->> 'generated_kind')
                       ELSE ' DEFAULT ' || coalesce(pggit._value_of_old_rows(m.their_relation, m.their_name), pggit._constant_default(m.their_relation, m.their_name)) END), 5
      FROM merged AS m WHERE m.change = 'add';
    PERFORM set_config('search_path', v_before, true);
END;
$$;

COMMENT ON FUNCTION pggit._column_commands(integer, integer, pggit._schema_object[]) IS
'The commands, in order (n), that give the merge''s target the merged columns of one table, on the search_path pggit._schema_path; p_theirs has the definitions. A new column gets in all rows what the source''s old rows have in it, or, where
nobody knows that, its default, if that is a constant: so most rows need no other value. What else its definition says comes with the other objects.';

CREATE OR REPLACE FUNCTION pggit._reshaped_tables()
    RETURNS integer[]
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN ARRAY(SELECT DISTINCT m.table_id FROM pg_temp.pggit_merged_columns AS m WHERE m.change <> 'none' ORDER BY m.table_id);
END;
$$;

COMMENT ON FUNCTION pggit._reshaped_tables() IS
'The tables whose columns a merge changes.';

CREATE OR REPLACE FUNCTION pggit._lock_tables(p_table_ids integer[])
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._lock_bases(ARRAY(SELECT t.relation::oid FROM pggit.tables AS t WHERE t.table_id = ANY (p_table_ids) ORDER BY t.table_id), 'ACCESS EXCLUSIVE');
    PERFORM pggit._begin_hold();
    PERFORM set_config('pggit.held_still', (coalesce(nullif(current_setting('pggit.held_still', true), ''), '{}')::integer[] || p_table_ids)::text, true);
END;
$$;

COMMENT ON FUNCTION pggit._lock_tables(integer[]) IS
'Locks tables of main as changing their columns will, all or none (pggit._lock_bases). The local setting pggit.held_still has their ids. Raises VG401.';

CREATE OR REPLACE FUNCTION pggit._is_held_still(p_table_ids integer[])
    RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT p_table_ids <@ coalesce(nullif(current_setting('pggit.held_still', true), ''), '{}')::integer[];
$$;

COMMENT ON FUNCTION pggit._is_held_still(integer[]) IS
'Whether this transaction has locked tables by pggit._lock_tables.';

CREATE OR REPLACE FUNCTION pggit._is_relabel(p_from text, p_to text)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT coalesce(p_to IN ('text', 'character varying') AND p_from ~ '^(text|character varying)'
                    OR (regexp_match(p_from, '^character varying\((\d+)\)$'))[1]::integer <= (regexp_match(p_to, '^character varying\((\d+)\)$'))[1]::integer
                    OR p_to = 'numeric' AND p_from ~ '^numeric'
                    OR substring(p_from FROM '^numeric\(\d+(,-?\d+)\)$') = substring(p_to FROM '^numeric\(\d+(,-?\d+)\)$')
                       AND substring(p_from FROM '^numeric\((\d+),')::integer <= substring(p_to FROM '^numeric\((\d+),')::integer, false);
$$;

COMMENT ON FUNCTION pggit._is_relabel(text, text) IS
'Whether a column gets a type that PostgreSQL gives it in the catalog alone: text that may be longer, numbers with more digits before the point.';

CREATE OR REPLACE FUNCTION pggit._whole_passes(p_table pggit.tables)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
BEGIN
    -- The values of columns that go, or become others, are saved first.
    RETURN (SELECT count(*) FILTER (WHERE m.change = 'retype' AND NOT pggit._is_relabel(l.type_name, t.type_name) OR m.change = 'add' AND m.is_generated)
                   + max((m.change IN ('drop', 'retype'))::integer)
              FROM pg_temp.pggit_merged_columns AS m
              LEFT JOIN pggit._live_columns(p_table.relation) AS l ON l.name = m.ours_name
              LEFT JOIN pggit.columns AS t ON t.table_id = m.table_id AND t.column_id = m.theirs_id
             WHERE m.table_id = p_table.table_id);
END;
$$;

COMMENT ON FUNCTION pggit._whole_passes(pggit.tables) IS
'How many times the change of a table''s columns reads or writes all of its rows.';

CREATE OR REPLACE FUNCTION pggit._change_columns(p_target_id integer, p_source_id integer, p_theirs pggit._schema_object[], OUT statements text[], OUT reason text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_following text := coalesce(current_setting('pggit.following', true), '');
    v_branch    text := coalesce(current_setting('pggit.branch', true), '');
    v_table     pggit.tables;
    v_shown     pggit.branch_tables;
    v_commands  text[];
    v_saved     jsonb;
BEGIN
    statements := '{}';
    PERFORM set_config('pggit.adopted', coalesce((
        SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('branch', p_target_id, 'table', m.table_id, 'name', m.name, 'type', c.type_name, 'id', c.column_id, 'origin', m.origin)))
          FROM pg_temp.pggit_merged_columns AS m
          LEFT JOIN LATERAL pggit._columns_at(m.table_id, CASE WHEN p_source_id <> 1 THEN pggit._branch_now(p_source_id) END) AS c ON c.column_id = m.theirs_id
         WHERE m.change IN ('add', 'retype')), '[]')::text, true);
    UPDATE pg_temp.pggit_merged_columns AS m
       SET is_identity = t.definition ? 'identity', is_required = t.definition ? 'not_null' AND NOT t.definition ?| '{default,identity,generated}'
      FROM unnest(p_theirs) AS t WHERE t.object_type = 'column' AND t.table_id = m.table_id AND t.object_name = t.parent || '.' || quote_ident(m.theirs_name);
    -- What is done to the tables is followed here, not by event triggers.
    PERFORM set_config('pggit.following', 'on', true), set_config('pggit.branch', '', true);
    FOR v_table IN SELECT t.* FROM pggit.tables AS t
                    WHERE EXISTS (SELECT FROM pg_temp.pggit_merged_columns AS m WHERE m.table_id = t.table_id AND m.change <> 'none') ORDER BY t.table_id LOOP
        v_saved := NULL;
        IF p_target_id = 1 THEN
            PERFORM pggit._begin_hold(), pggit._mind_waiters(), pggit._mind_size(v_table.relation, pggit._total_size(v_table.relation) * pggit._whole_passes(v_table));
            IF EXISTS (SELECT FROM pg_temp.pggit_merged_columns AS m WHERE m.table_id = v_table.table_id AND m.change IN ('drop', 'retype')) THEN
                PERFORM pggit._release_views(v_table);
                v_saved := pggit._save_rows(v_table);
            END IF;
        ELSE
            SELECT bt.* INTO v_shown FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_target_id AND bt.table_id = v_table.table_id AND bt.form = 'table';
            CONTINUE WHEN NOT FOUND;
            IF NOT pggit._is_keyless(v_table.table_id) AND EXISTS (SELECT FROM pg_temp.pggit_merged_columns AS m WHERE m.table_id = v_table.table_id AND m.change IN ('drop', 'retype')) THEN
                v_saved := pggit._save_branch_rows(v_shown);
            END IF;
        END IF;
        IF jsonb_typeof(v_saved) = 'string' THEN
            PERFORM pggit._restore_views(), set_config('pggit.adopted', '', true), set_config('pggit.following', v_following, true), set_config('pggit.branch', v_branch, true);
            reason := format('what table %I.%I holds in columns that go can''t be saved: %s', v_table.schema_name, v_table.table_name, v_saved #>> '{}');
            RETURN;
        END IF;
        v_commands := ARRAY(SELECT c.command FROM pggit._column_commands(v_table.table_id, p_target_id, p_theirs) AS c ORDER BY c.n, c.command);
        statements := statements || v_commands;
        PERFORM pggit._as_owner(pggit._relation_at(v_table.table_id, p_target_id), format('SELECT pg_catalog.set_config(''search_path'', %L, true)', pggit._schema_path(p_target_id)) || v_commands);
        IF p_target_id = 1 THEN
            PERFORM pggit._follow_shape(v_table.relation, false, v_saved), pggit._restore_views();
        ELSE
            PERFORM pggit._follow_branch_table(v_shown, v_saved);
        END IF;
    END LOOP;
    PERFORM set_config('pggit.adopted', '', true), set_config('pggit.following', v_following, true), set_config('pggit.branch', v_branch, true), set_config('pggit.rewritten', '', true);
END;
$$;

COMMENT ON FUNCTION pggit._change_columns(integer, integer, pggit._schema_object[]) IS
'Gives the tables of a merge''s target the merged columns, as their owners, and their history too: a column of the source''s is that column there. Returns the statements, or why that can''t be.';

CREATE OR REPLACE FUNCTION pggit._missing_cells(p_table_id integer, p_ours pggit._position, p_theirs pggit._position, OUT base jsonb, OUT ours jsonb, OUT theirs jsonb)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_relation regclass := coalesce(pggit._relation_at(p_table_id, (p_ours).branch_id), pggit._relation_at(p_table_id, 1));
    v_key      text     := (SELECT 'c' || c.column_id FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position = 1 AND c.dropped_at IS NULL);
BEGIN
    SELECT coalesce(jsonb_object_agg(x.id, CASE WHEN m.ours_id IS NOT NULL AND m.theirs_id IS NOT NULL THEN x.both_old
                                                ELSE format('CASE WHEN o.%s IS DISTINCT FROM NULL THEN %s ELSE %s END', v_key, x.ours, x.theirs) END) FILTER (WHERE m.base_id IS NULL OR m.change = 'add'), '{}'),
           coalesce(jsonb_object_agg(x.id, x.ours) FILTER (WHERE NOT x.is_there), '{}'),
           coalesce(jsonb_object_agg(x.id, format('CASE WHEN o.%s IS DISTINCT FROM NULL THEN %s ELSE %s END', v_key, x.ours, x.theirs)) FILTER (WHERE m.theirs_id IS NULL), '{}')
      INTO base, ours, theirs
      FROM pg_temp.pggit_merged_columns AS m
      JOIN pggit._columns_at(p_table_id, pggit._target()) AS c ON c.origin = m.origin AND c.generated_as IS NULL
     CROSS JOIN LATERAL (SELECT pggit._value_of_old_rows(v_relation, c.name) AS old, EXISTS (SELECT FROM pggit._columns_at(p_table_id, p_ours) AS k WHERE k.origin = c.origin) AS is_there) AS d
     CROSS JOIN LATERAL (
        SELECT c.column_id AS id, d.is_there,
               CASE WHEN d.old = pggit._value_of_old_rows(m.their_relation, m.their_name) THEN d.old || '::' || c.type_name ELSE format('NULL::%s', c.type_name) END AS both_old,
               CASE WHEN d.is_there THEN 'o.c' || c.column_id ELSE coalesce(d.old || '::' || c.type_name, 't.c' || c.column_id) END AS ours,
               CASE WHEN m.theirs_id IS NOT NULL THEN 't.c' || c.column_id
                    ELSE coalesce(d.old || '::' || c.type_name, format('pggit._as_type(pggit._default_of(%s, %L), NULL::%s)', v_relation::oid, c.name, c.type_name)) END AS theirs) AS x
     WHERE m.table_id = p_table_id;
END;
$$;

COMMENT ON FUNCTION pggit._missing_cells(integer, pggit._position, pggit._position) IS
'For the rows of a merge whose columns differ: what a column that is new since the base counts as where it is missing, expressions by column id over o and t. In base and theirs it is what ours has in it now, so that only a
value that differs from that is a change; in a column that both have added, base has what old rows got on both sides, or NULL; a row that only theirs has takes ours'' default in a column of ours.';

CREATE OR REPLACE FUNCTION pggit._default_of(p_relation oid, p_name text)
    RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_default text := (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute AS a JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                        WHERE a.attrelid = p_relation AND a.attname = p_name AND NOT a.attisdropped);
    v_setting text := coalesce(current_setting('pggit.default', true), '');
BEGIN
    v_default := coalesce(v_default, (SELECT format('nextval(%L)', pg_get_serial_sequence(p_relation::regclass::text, a.attname)) FROM pg_attribute AS a
                                       WHERE a.attrelid = p_relation AND a.attname = p_name AND NOT a.attisdropped AND a.attidentity <> ''));
    IF v_default IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM pggit._as_owner(p_relation::regclass, ARRAY[format('SELECT set_config(''pggit.default'', to_jsonb((%s)::text)::text, true)', v_default)]);
    v_default := current_setting('pggit.default', true)::jsonb #>> '{}';
    PERFORM set_config('pggit.default', v_setting, true);
    RETURN v_default;
END;
$$;

COMMENT ON FUNCTION pggit._default_of(oid, text) IS
'A value of a column''s default, computed as the owner of the table, as text.';

CREATE OR REPLACE FUNCTION pggit._filled_columns(p_table_id integer, p_theirs pggit._position)
    RETURNS TABLE (column_id integer, name text, type_name text, everywhere boolean)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_column record;
    v_old    text;
    v_known  boolean;
    v_found  boolean;
BEGIN
    FOR v_column IN
        SELECT c.*, m.change, m.their_relation, m.their_name, m.theirs_id, m.is_past AND m.is_required AS is_asked, t.type_name AS their_type FROM pg_temp.pggit_merged_columns AS m JOIN pggit._columns_at(p_table_id, pggit._target()) AS c ON c.origin = m.origin
          JOIN pggit._columns_at(p_table_id, p_theirs) AS t ON t.column_id = m.theirs_id
         WHERE m.table_id = p_table_id AND m.change IN ('add', 'retype') AND c.generated_as IS NULL ORDER BY c.column_id
    LOOP
        v_known := true;
        v_old   := CASE v_column.change WHEN 'retype' THEN format('(p.b).c%s', v_column.column_id) ELSE pggit._value_of_old_rows(v_column.their_relation, v_column.their_name) END;
        IF v_old IS NULL THEN
            v_known := false;
            v_old   := pggit._constant_default(v_column.their_relation, v_column.their_name);
        END IF;
        IF v_old IS NULL AND v_column.is_asked THEN
            RETURN QUERY VALUES (v_column.column_id, v_column.name, v_column.type_name, false);
        END IF;
        CONTINUE WHEN v_old IS NULL;
        EXECUTE format('SELECT EXISTS (SELECT FROM pg_temp.pggit_plan_%1$s AS p WHERE NOT p.b IS NULL AND NOT p.t IS NULL AND (%5$L OR (p.t).c%2$s IS DISTINCT FROM NULL)
                                                                                  AND ROW((p.t).c%2$s)::record *<> ROW((%3$s)::%4$s)::record)',
                       p_table_id, v_column.column_id, v_old, v_column.type_name, v_known) INTO v_found;
        IF v_found THEN
            column_id := v_column.column_id;
            name      := v_column.name;
            type_name := v_column.type_name;
            everywhere := v_column.change = 'retype';
            IF NOT everywhere THEN
                EXECUTE format('SELECT NOT EXISTS (SELECT FROM (%s) AS s WHERE ROW(%s)::record *= ROW((%s)::%s)::record)', pggit._state_sql(p_table_id, p_theirs),
                               pggit._converted_sql('s.c' || v_column.theirs_id, v_column.their_type, v_column.type_name), v_old, v_column.type_name) INTO everywhere;
            END IF;
            RETURN NEXT;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._filled_columns(integer, pggit._position) IS
'The columns that theirs added, or gave another type, and then filled with values of its own: others than the default, or than the plain conversion; also those that come back out of the past and can''t be NULL. everywhere: in all rows, so that they seem to be computed from
the rest of the row.';

CREATE OR REPLACE FUNCTION pggit._lost_rows_sql(p_table_id integer, p_base pggit._position, p_base_id integer, p_side pggit._position, p_column pggit.columns, p_to pggit.columns)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('SELECT k.*, true AS is_new FROM (%s) AS k CROSS JOIN LATERAL (%s) AS w
                    WHERE %s AND NOT EXISTS (SELECT FROM pg_temp.pggit_plan_%s AS p WHERE %s AND (%s = ANY (p.cells) OR p.outcome NOT IN (''take'', ''keep'', ''cells'')))',
                  CASE WHEN p_base_id IS NOT NULL THEN pggit._changed_cells_sql(p_table_id, p_base, p_side, p_base_id, (p_column).column_id, format('NULL::%s', (p_column).type_name))
                       ELSE pggit._candidates_sql(p_table_id, p_base, p_side) END,
                  pggit._row_sql(p_table_id, p_side), pggit._loses_sql('w.c' || (p_column).column_id, (p_column).type_name, (p_to).type_name), p_table_id, pggit._same_key(p_table_id, 'p', 'k'),
                  (p_to).column_id);
$$;

COMMENT ON FUNCTION pggit._lost_rows_sql(integer, pggit._position, integer, pggit._position, pggit.columns, pggit.columns) IS
'SELECT of the keys of the rows to which one side has given a value that the type of the merged column can''t hold, and that are in no conflict anyway. p_base_id: the column in the base, where that is of the
side''s type.';

CREATE OR REPLACE FUNCTION pggit._fill_expression(p_merge pggit.merges, p_table pggit.tables, p_column pggit.columns, p_rows bigint)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_object   text := format('%I.%I.%I', p_table.schema_name, p_table.table_name, (p_column).name);
    v_fill     text := (SELECT f.value FROM jsonb_each_text(coalesce(p_merge.options -> 'fill', '{}')) AS f
                         WHERE pggit._names_column(f.key, p_table.schema_name, p_table.table_name, (p_column).name) LIMIT 1);
    v_conflict pggit.schema_conflicts;
BEGIN
    IF v_fill IS NULL THEN
        v_conflict := pggit._open_schema_conflict(p_merge.merge_id, 'column', v_object, 'needs_fill', NULL, jsonb_build_object('rows', p_rows),
                                                  jsonb_build_object('name', (p_column).name, 'type', (p_column).type_name));
        v_fill     := CASE WHEN v_conflict.resolution = 'value' THEN v_conflict.resolved_value #>> '{}' END;
    END IF;
    RETURN v_fill;
END;
$$;

COMMENT ON FUNCTION pggit._fill_expression(pggit.merges, pggit.tables, pggit.columns, bigint) IS
'What is to fill a column of some rows: the merge option fill, or a resolution; otherwise a conflict of kind needs_fill is opened, and the result is NULL.';

CREATE OR REPLACE FUNCTION pggit._filled_by_ours(p_table_id integer, p_base pggit._position, p_ours pggit._position)
    RETURNS TABLE (target pggit.columns, everywhere boolean, their_id integer)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_relation regclass := pggit._relation_at(p_table_id, (p_ours).branch_id);
    v_key      text     := (SELECT 'c' || c.column_id FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position = 1 AND c.dropped_at IS NULL);
    v_column   record;
    v_old      text;
    v_known    boolean;
    v_found    boolean;
BEGIN
    FOR v_column IN
        SELECT c AS target, o.column_id, o.type_name, m.name, m.base_id IS NULL AS is_new, m.theirs_id, pggit._converted_sql('b.c' || b.column_id, b.type_name, o.type_name) AS was
          FROM pg_temp.pggit_merged_columns AS m
          JOIN pggit._columns_at(p_table_id, pggit._target()) AS c ON c.origin = m.origin AND c.generated_as IS NULL AND c.key_position IS NULL
          JOIN pggit._columns_at(p_table_id, p_ours) AS o ON o.column_id = m.ours_id AND o.generated_as IS NULL
          LEFT JOIN pggit._columns_at(p_table_id, p_base) AS b ON b.column_id = m.base_id AND b.generated_as IS NULL AND pggit._kind_of(b) <> pggit._kind_of(o)
         WHERE m.table_id = p_table_id AND m.change IN ('none', 'rename')
           AND CASE WHEN m.base_id IS NULL THEN m.theirs_id IS NULL
                    ELSE m.is_as_base AND b.column_id IS NOT NULL END
         ORDER BY c.column_id
    LOOP
        v_known := true;
        v_old   := CASE WHEN v_column.is_new THEN pggit._value_of_old_rows(v_relation, v_column.name) ELSE v_column.was END;
        IF v_old IS NULL THEN
            v_known := false;
            v_old   := pggit._constant_default(v_relation, v_column.name);
        END IF;
        CONTINUE WHEN v_old IS NULL;
        EXECUTE format('SELECT EXISTS (SELECT FROM (%1$s) AS k JOIN LATERAL (%2$s) AS b ON true JOIN LATERAL (%3$s) AS n ON true
                                        WHERE b.%4$s IS DISTINCT FROM NULL AND n.%4$s IS DISTINCT FROM NULL AND (%5$L OR n.c%6$s IS DISTINCT FROM NULL)
                                          AND ROW(n.c%6$s)::record *<> ROW((%7$s)::%8$s)::record)',
                       pggit._candidates_sql(p_table_id, p_base, p_ours), pggit._row_sql(p_table_id, p_base), pggit._row_sql(p_table_id, p_ours), v_key, v_known, v_column.column_id, v_old,
                       v_column.type_name) INTO v_found;
        CONTINUE WHEN NOT v_found;
        target     := v_column.target;
        their_id   := CASE WHEN NOT v_column.is_new THEN v_column.theirs_id END;
        everywhere := true;
        IF v_column.is_new THEN
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM (%s) AS s WHERE ROW(s.c%s)::record *= ROW((%s)::%s)::record)', pggit._state_sql(p_table_id, p_ours), v_column.column_id, v_old,
                           v_column.type_name) INTO everywhere;
        ELSE
            -- A few other values are updates of rows, which every merge would ask for as long as theirs has the old type.
            EXECUTE format('SELECT count(*) FILTER (WHERE ROW(n.c%1$s)::record *<> ROW((%2$s)::%3$s)::record) * 2 > count(*) FROM (%4$s) AS b JOIN (%5$s) AS n ON %6$s WHERE NOT (%2$s) IS NULL',
                           v_column.column_id, v_old, v_column.type_name, pggit._state_sql(p_table_id, p_base), pggit._state_sql(p_table_id, p_ours), pggit._same_key(p_table_id, 'b', 'n'))
               INTO everywhere;
            CONTINUE WHEN NOT everywhere;
        END IF;
        RETURN NEXT;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._filled_by_ours(integer, pggit._position, pggit._position) IS
'The same of ours: columns that ours added, or gave another type, and then filled with values of its own (of another type: in most rows). their_id: the column that theirs has in its place, with the type that it had before.';

CREATE OR REPLACE FUNCTION pggit._fill_columns(p_merge pggit.merges, p_table pggit.tables, p_base pggit._position, p_ours pggit._position, p_now pggit._position, p_theirs pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_id      integer := p_table.table_id;
    v_plan    text    := format('pg_temp.pggit_plan_%s', p_table.table_id);
    v_touched text    := format('pg_temp.pggit_touched_%s', p_table.table_id);
    v_column  record;
    v_rows    bigint;
    v_fill    text;
    v_filled  integer[] := '{}';
    v_by_ours integer[] := '{}';
BEGIN
    FOR v_column IN
        SELECT f.everywhere, c, o.column_id AS was_id FROM pggit._filled_columns(v_id, p_theirs) AS f JOIN pggit._columns_at(v_id, pggit._target()) AS c USING (column_id)
          LEFT JOIN pggit._columns_at(v_id, p_ours) AS o ON o.origin = c.origin
         ORDER BY f.column_id
    LOOP
        IF v_rows IS NULL THEN
            PERFORM pggit._drop_temporary(v_touched);
            EXECUTE format('CREATE TEMPORARY TABLE pggit_touched_%s ON COMMIT DROP AS %s', v_id, pggit._touched_rows_sql(v_id, p_base, p_ours));
        END IF;
        EXECUTE format('SELECT count(*) FROM %s AS k WHERE k.is_new OR $1', v_touched) INTO v_rows USING v_column.everywhere;
        CONTINUE WHEN v_rows = 0;
        -- What theirs made of such a row is not an answer to what ours made of it.
        EXECUTE format('UPDATE %s AS p SET cells = array_remove(p.cells, %s) WHERE $1 AND EXISTS (SELECT FROM %s AS k WHERE %s)', v_plan, (v_column.c).column_id, v_touched, pggit._same_key(v_id, 'p', 'k'))
          USING v_column.everywhere;
        v_filled := v_filled || (v_column.c).column_id;
        v_fill   := pggit._fill_expression(p_merge, p_table, v_column.c, v_rows);
        PERFORM pggit._fill(p_table, (v_column.c).column_id, (v_column.c).type_name, v_fill, p_now, v_column.everywhere, p_ours, v_column.was_id) WHERE v_fill IS NOT NULL;
    END LOOP;

    FOR v_column IN SELECT f.target AS c, f.everywhere, f.their_id FROM pggit._filled_by_ours(v_id, p_base, p_ours) AS f LOOP
        PERFORM pggit._drop_temporary(v_touched);
        EXECUTE format('CREATE TEMPORARY TABLE pggit_touched_%1$s ON COMMIT DROP AS SELECT k.* FROM (%2$s) AS k
                         WHERE (k.is_new OR %3$L) AND EXISTS (SELECT FROM %4$s AS p WHERE %5$s AND NOT p.want IS NULL AND (p.o IS NULL OR NOT k.is_new))',
                       v_id, pggit._touched_rows_sql(v_id, p_base, p_theirs), v_column.everywhere, v_plan, pggit._same_key(v_id, 'p', 'k'));
        GET DIAGNOSTICS v_rows = ROW_COUNT;
        CONTINUE WHEN v_rows = 0;
        EXECUTE format('UPDATE %s AS p SET cells = array_remove(p.cells, %s) WHERE EXISTS (SELECT FROM %s AS k WHERE %s)', v_plan, (v_column.c).column_id, v_touched, pggit._same_key(v_id, 'p', 'k'));
        v_by_ours := v_by_ours || (v_column.c).column_id;
        v_fill    := pggit._fill_expression(p_merge, p_table, v_column.c, v_rows);
        PERFORM pggit._fill(p_table, (v_column.c).column_id, (v_column.c).type_name, v_fill, p_now, true, p_theirs, v_column.their_id) WHERE v_fill IS NOT NULL;
    END LOOP;

    FOR v_column IN
        SELECT (SELECT b.column_id FROM pggit._columns_at(v_id, p_base) AS b WHERE b.column_id = m.base_id AND pggit._kind_of(b) = pggit._kind_of(w)) AS base_id, s.at, w, c
          FROM pg_temp.pggit_merged_columns AS m
          JOIN pggit._columns_at(v_id, pggit._target()) AS c ON c.origin = m.origin AND c.generated_as IS NULL AND c.key_position IS NULL
         CROSS JOIN LATERAL (VALUES (p_ours, NOT c.column_id = ANY (v_filled)), (p_theirs, NOT c.column_id = ANY (v_by_ours))) AS s(at, is_open)
         CROSS JOIN LATERAL (SELECT k FROM pggit._columns_at(v_id, s.at) AS k WHERE k.origin = c.origin AND k.generated_as IS NULL AND k.type_name <> c.type_name) AS w(w)
         WHERE m.table_id = v_id AND s.is_open
         ORDER BY c.column_id, (s.at).branch_id
    LOOP
        PERFORM pggit._drop_temporary(v_touched);
        EXECUTE format('CREATE TEMPORARY TABLE pggit_touched_%s ON COMMIT DROP AS %s', v_id, pggit._lost_rows_sql(v_id, p_base, v_column.base_id, v_column.at, v_column.w, v_column.c));
        GET DIAGNOSTICS v_rows = ROW_COUNT;
        CONTINUE WHEN v_rows = 0;
        v_fill := pggit._fill_expression(p_merge, p_table, v_column.c, v_rows);
        PERFORM pggit._fill(p_table, (v_column.c).column_id, (v_column.c).type_name, v_fill, p_now, true, v_column.at, (v_column.w).column_id) WHERE v_fill IS NOT NULL;
    END LOOP;
END;
$$;

CREATE OR REPLACE FUNCTION pggit._number_columns(p_table pggit.tables, p_base pggit._position, p_ours pggit._position, p_now pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_id       integer  := p_table.table_id;
    v_relation regclass := coalesce(pggit._relation_at(p_table.table_id, (p_now).branch_id), pggit._relation_at(p_table.table_id, 1));
    v_column   record;
    v_start    bigint;
BEGIN
    FOR v_column IN
        SELECT c.column_id, c.name, c.type_name, m.is_identity
          FROM pg_temp.pggit_merged_columns AS m
          JOIN pggit._columns_at(v_id, pggit._target()) AS c ON c.origin = m.origin
         WHERE m.table_id = v_id AND m.change = 'add' AND m.base_id IS NULL AND NOT m.is_generated AND NOT coalesce(m.is_past AND m.is_required, false)
           AND pggit._value_of_old_rows(m.their_relation, m.their_name) IS NULL
         ORDER BY c.column_id
    LOOP
        PERFORM pggit._drop_temporary(format('pg_temp.pggit_touched_%s', v_id));
        EXECUTE format('CREATE TEMPORARY TABLE pggit_touched_%1$s ON COMMIT DROP AS SELECT k.* FROM (%2$s) AS k
                         WHERE k.is_new AND NOT EXISTS (SELECT FROM pg_temp.pggit_plan_%1$s AS p WHERE NOT p.t IS NULL AND %3$s)', v_id, pggit._touched_rows_sql(v_id, p_base, p_ours),
                       pggit._same_key(v_id, 'p', 'k'));
        IF v_column.is_identity THEN
            EXECUTE format('SELECT 1 + coalesce(max((p.t).c%s), 0) FROM pg_temp.pggit_plan_%s AS p', v_column.column_id, v_id) INTO v_start;
            EXECUTE 'DROP SEQUENCE IF EXISTS pg_temp.pggit_numbers';
            EXECUTE format('CREATE TEMPORARY SEQUENCE pggit_numbers START %s', greatest(v_start, 1));
        ELSE
            PERFORM pggit._pass_sequences(v_id, v_relation::text);
        END IF;
        PERFORM pggit._fill(p_table, v_column.column_id, v_column.type_name,
                            CASE WHEN v_column.is_identity THEN 'nextval(''pg_temp.pggit_numbers'')' ELSE format('pggit._as_type(pggit._default_of(%s, %L), NULL::%s)', v_relation::oid, v_column.name, v_column.type_name) END,
                            p_now, true);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._number_columns(pggit.tables, pggit._position, pggit._position, pggit._position) IS
'A column of theirs that has another value in each row, such as a number, gets one in the rows that only ours has: the next ones, or the default computed for each.';

COMMENT ON FUNCTION pggit._fill_columns(pggit.merges, pggit.tables, pggit._position, pggit._position, pggit._position, pggit._position) IS
'Theirs has filled a new column with values of its own; rows that ours has inserted since need some, too, and where theirs filled all rows, so that the values may come from the other columns, also those that
ours has changed; and the same the other way round. So do rows to which one side gave a value that the type that the other gave the column can''t hold. They come from the merge option fill or from a resolution, an expression over the row;
otherwise a conflict of kind needs_fill is opened.';

CREATE OR REPLACE FUNCTION pggit._fill(p_table pggit.tables, p_column_id integer, p_type text, p_expression text, p_now pggit._position, p_everywhere boolean, p_was_at pggit._position DEFAULT NULL,
                                       p_was_id integer DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_id      integer := p_table.table_id;
    v_plan    text    := format('pg_temp.pggit_plan_%s', p_table.table_id);
    v_touched text    := format('(SELECT * FROM pg_temp.pggit_touched_%s AS k%s)', p_table.table_id, CASE WHEN p_everywhere THEN '' ELSE ' WHERE k.is_new' END);
    v_row     text    := pggit._named_sql(p_table.table_id, format('SELECT %s', pggit._record_columns(p_table.table_id, 'p.want', pggit._target())), pggit._target());
BEGIN
    EXECUTE format('INSERT INTO %1$s (%2$s, torn, b, o, outcome, want, cells, row_no, action)
                    SELECT %8$s, ''{}'', r.o, r.o, ''keep'', r.o, ''{}'', (SELECT coalesce(max(p.row_no), 0) FROM %1$s AS p) + row_number() OVER (), ''none''
                      FROM (SELECT %3$s, %4$s AS o FROM %5$s AS k CROSS JOIN LATERAL (%6$s) AS o WHERE NOT EXISTS (SELECT FROM %1$s AS p WHERE %7$s)) AS r (%2$s, o)',
                   v_plan, pggit._key_columns(v_id), pggit._key_columns(v_id, 'k'), pggit._merged_row_sql(v_id, 'o', '{}'), v_touched, pggit._row_now_sql(v_id, p_now), pggit._same_key(v_id, 'p', 'k'),
                   pggit._key_columns(v_id, 'r'));
    IF p_was_id IS NOT NULL THEN
        v_row := format('SELECT %s FROM (SELECT %s) AS k CROSS JOIN LATERAL (%s) AS n LEFT JOIN LATERAL (%s) AS w ON true',
                        (SELECT string_agg(CASE c.column_id WHEN p_column_id THEN format('w.c%s AS %I', p_was_id, c.name) ELSE format('n.%I', c.name) END, ', ' ORDER BY c.attnum)
                           FROM pggit._shown_columns(v_id, pggit._target()) AS c),
                        pggit._key_columns(v_id, 'p'), v_row, pggit._row_sql(v_id, p_was_at));
    END IF;
    EXECUTE format('UPDATE %1$s AS p SET want.c%2$s = (SELECT (%3$s)::%4$s FROM (%5$s) AS r)
                     WHERE NOT p.want IS NULL AND EXISTS (SELECT FROM %6$s AS k WHERE %7$s)',
                   v_plan, p_column_id, p_expression, p_type, v_row, v_touched, pggit._same_key(v_id, 'p', 'k'));
    EXECUTE format('UPDATE %1$s AS p SET action = CASE WHEN p.o IS NULL AND NOT p.want IS NULL THEN ''insert'' WHEN p.want IS NULL AND NOT p.o IS NULL THEN ''delete''
                                                       WHEN p.o *<> p.want THEN ''update'' ELSE ''none'' END WHERE EXISTS (SELECT FROM %2$s AS k WHERE %3$s)',
                   v_plan, v_touched, pggit._same_key(v_id, 'p', 'k'));
EXCEPTION
    WHEN OTHERS THEN
        IF NOT pggit._is_ours_to_judge(SQLSTATE) THEN
            RAISE;
        END IF;
        PERFORM pggit._refuse_fill(p_table, (SELECT c.name FROM pggit._columns_at(v_id, pggit._target()) AS c WHERE c.column_id = p_column_id), SQLERRM);
END;
$$;

COMMENT ON FUNCTION pggit._fill(pggit.tables, integer, text, text, pggit._position, boolean, pggit._position, integer) IS
'Fills a column, in the plan, of the rows that ours has inserted or (p_everywhere) changed, with an expression over the merged row; in it, the column itself is what the column p_was_id was at p_was_at, before it was
converted. Raises VG312 when that fails.';

CREATE OR REPLACE FUNCTION pggit._refuse_fill(p_table pggit.tables, p_column text, p_message text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG312', SCHEMA = 'pggit',
        MESSAGE = format('what is to fill column %I of table %I.%I fails: %s', p_column, p_table.schema_name, p_table.table_name, p_message);
END;
$$;

COMMENT ON FUNCTION pggit._refuse_fill(pggit.tables, text, text) IS
'Raises VG312.';

CREATE OR REPLACE FUNCTION pggit._begin_unfit()
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._drop_temporary('pg_temp.pggit_unfit');
    CREATE TEMPORARY TABLE pggit_unfit (conflict_no integer, side text) ON COMMIT DROP;
END;
$$;

COMMENT ON FUNCTION pggit._begin_unfit() IS
'Makes pggit_unfit: the conflicts in which a side has a value that the type of the merged column can''t hold.';

CREATE OR REPLACE FUNCTION pggit._show_unfit(p_merge_id uuid, p_table pggit.tables, p_base pggit._position, p_ours pggit._position, p_theirs pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_column record;
BEGIN
    FOR v_column IN
        SELECT s.side, s.at, c.column_id, c.name, w.column_id AS was_id, pggit._loses_sql('w.c' || w.column_id, w.type_name, c.type_name) AS loses
          FROM pg_temp.pggit_merged_columns AS m
          JOIN pggit._columns_at(p_table.table_id, pggit._target()) AS c ON c.origin = m.origin AND c.generated_as IS NULL
         CROSS JOIN LATERAL (VALUES ('base', p_base), ('ours', p_ours), ('theirs', p_theirs)) AS s(side, at)
         CROSS JOIN LATERAL pggit._columns_at(p_table.table_id, s.at) AS w
         WHERE m.table_id = p_table.table_id AND w.origin = c.origin AND w.generated_as IS NULL AND w.type_name <> c.type_name
         ORDER BY c.column_id, s.side
    LOOP
        EXECUTE format($sql$
            WITH shown AS (
                UPDATE pggit.conflicts AS x
                   SET %1$s = CASE WHEN x.column_id IS NULL THEN x.%1$s || jsonb_build_object($3, pggit._pinned_text(w.c%2$s)) ELSE to_jsonb(pggit._pinned_text(w.c%2$s)) END
                  FROM pg_temp.pggit_plan_%3$s AS k CROSS JOIN LATERAL (%4$s) AS w
                 WHERE x.merge_id = $1 AND x.table_id = %3$s AND x.plan_row = k.row_no AND coalesce(x.column_id, $2) = $2 AND x.%1$s IS NOT NULL AND %5$s
                RETURNING x.conflict_no
            )
            INSERT INTO pg_temp.pggit_unfit SELECT s.conflict_no, %1$L FROM shown AS s$sql$,
            v_column.side, v_column.was_id, p_table.table_id, pggit._row_sql(p_table.table_id, v_column.at), v_column.loses)
          USING p_merge_id, v_column.column_id, v_column.name;
    END LOOP;
    UPDATE pggit.conflicts AS x
       SET conflict_id = pggit._conflict_id(format('%I.%I', p_table.schema_name, p_table.table_name), x.key,
                                            (SELECT c.name FROM pggit._columns_at(p_table.table_id, pggit._target()) AS c WHERE c.column_id = x.column_id), x.kind, x.base, x.ours, x.theirs)
     WHERE x.merge_id = p_merge_id AND x.table_id = p_table.table_id AND EXISTS (SELECT FROM pg_temp.pggit_unfit AS u WHERE u.conflict_no = x.conflict_no);
END;
$$;

COMMENT ON FUNCTION pggit._show_unfit(uuid, pggit.tables, pggit._position, pggit._position, pggit._position) IS
'Has conflicts show, as text, what the type of the merged column can''t hold, instead of what became of it.';

CREATE OR REPLACE FUNCTION pggit._reopen_unfit(p_merge_id uuid)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE pggit.conflicts AS c
       SET resolution = NULL, resolved_value = NULL, resolved_by = NULL, resolved_at = NULL, rule = NULL,
           note = concat_ws('; ', c.note, format('%s has a value that the merged column can''t hold: decide by a value', u.side))
      FROM pg_temp.pggit_unfit AS u
     WHERE c.merge_id = p_merge_id AND c.conflict_no = u.conflict_no AND (c.resolution = u.side OR c.rule IS NOT NULL);
END;
$$;

COMMENT ON FUNCTION pggit._reopen_unfit(uuid) IS
'A side that the merged column can''t hold is no resolution: such conflicts are open, and their note says why.';

CREATE OR REPLACE FUNCTION pggit._keys_of_filled_sql(p_table_id integer, p_ours pggit._position, p_theirs pggit._position)
    RETURNS text
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN coalesce((SELECT format(' UNION SELECT %s FROM (%s) AS s', pggit._key_columns(p_table_id, 's'), pggit._state_sql(p_table_id, p_theirs))
                      WHERE EXISTS (SELECT FROM pg_temp.pggit_merged_columns AS m
                                     CROSS JOIN LATERAL (SELECT pggit._value_of_old_rows(pggit._relation_at(p_table_id, (p_ours).branch_id), m.ours_name) AS ours,
                                                                pggit._value_of_old_rows(m.their_relation, m.their_name) AS theirs) AS v
                                     WHERE m.table_id = p_table_id AND NOT m.is_generated
                                       AND CASE WHEN m.change = 'add' THEN m.base_id IS NOT NULL OR v.theirs IS NULL OR pggit._is_on_main(p_table_id, m.theirs_id, pggit._base_mark(p_ours))
                                                ELSE m.ours_id <> m.theirs_id AND m.base_id IS DISTINCT FROM m.theirs_id AND (v.ours = v.theirs) IS NOT TRUE END)), '');
END;
$$;

COMMENT ON FUNCTION pggit._keys_of_filled_sql(integer, pggit._position, pggit._position) IS
'UNION with all keys of theirs, where a column of theirs has another value in each row without any row having been written (a sequence''s numbers, random values), or another one in old rows than the column of that name
that ours has added, or is one of main''s that is older than the main that ours stands on. Empty otherwise.';

CREATE OR REPLACE FUNCTION pggit._keys_of_view_sql(p_table_id integer, p_ours pggit._position)
    RETURNS text
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN CASE WHEN (p_ours).branch_id <> 1 AND pggit._relation_at(p_table_id, (p_ours).branch_id) IS NULL AND pggit._is_reshaped(p_table_id, p_ours, pggit._target())
                THEN format(' UNION SELECT %s FROM pggit._mask_%s AS m WHERE m._b = %s', pggit._key_columns(p_table_id, 'm'), p_table_id, (p_ours).branch_id) ELSE '' END;
END;
$$;

COMMENT ON FUNCTION pggit._keys_of_view_sql(integer, pggit._position) IS
'UNION with the keys that a branch owns of a table that it shows as a view, where the view gets other columns: what the branch has stored gets them, too. Empty otherwise.';

CREATE OR REPLACE FUNCTION pggit._note_branch_columns(p_target_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._begin_own_columns(bt) FROM pggit.branch_tables AS bt
     WHERE bt.branch_id = p_target_id AND bt.form = 'table'
       AND (SELECT array_agg((c.column_id, c.name)::text ORDER BY c.column_id) FROM pggit._columns_as_made(bt) AS c)
           <> (SELECT array_agg((c.column_id, c.name)::text ORDER BY c.column_id) FROM pggit._columns_at(bt.table_id, NULL) AS c);
END;
$$;

COMMENT ON FUNCTION pggit._note_branch_columns(integer) IS
'Writes down the columns of a branch''s real tables that are no longer those of main, which the branch is about to move along on: they are the branch''s own from here on.';

CREATE OR REPLACE FUNCTION pggit._make_real_for_merge(p_target pggit.branches, p_s pggit._mark, p_others integer[])
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table record;
BEGIN
    FOR v_table IN
        SELECT format('%I.%I', t.schema_name, t.table_name) AS name, t.table_id
          FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
         WHERE bt.branch_id = p_target.branch_id AND bt.form = 'view'
           AND (bt.table_id = ANY (p_others)
                OR EXISTS (SELECT FROM pg_temp.pggit_merged_columns AS m WHERE m.table_id = bt.table_id AND m.change = 'rename' AND NOT m.is_past)
                OR EXISTS (SELECT FROM pg_temp.pggit_merged_columns AS m WHERE m.table_id = bt.table_id AND m.change <> 'none')
                   AND ARRAY(SELECT CASE WHEN m.change IN ('add', 'retype') THEN m.theirs_id ELSE m.ours_id END FROM pg_temp.pggit_merged_columns AS m
                          WHERE m.table_id = bt.table_id AND m.change <> 'drop' AND (m.change = 'add' OR m.ours_id IS NOT NULL) ORDER BY 1)
                   <> ARRAY(SELECT c.column_id FROM pggit._columns_at(bt.table_id, (p_target.branch_id, NULL, p_s)::pggit._position) AS c ORDER BY 1))
         ORDER BY t.table_id
    LOOP
        PERFORM pggit.materialize(p_target.name, v_table.name);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._make_real_for_merge(pggit.branches, pggit._mark, integer[]) IS
'A branch shows a table as a view as long as its columns are main''s where the branch stands (p_s: after the merge). One that gets others, or other names than main''s, becomes a table, and so do p_others (ids).';
