-- Merging definitions three ways, object by object and field by field. Tables and columns are known by their ids, everything else by kind and name within its parent.

CREATE OR REPLACE FUNCTION pggit._merge_labels(p_base jsonb, p_ours jsonb, p_theirs jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    -- Labels of theirs that ours has not, each behind the one that it follows there.
    WITH RECURSIVE new AS (
        SELECT t.value, t.n, lag(t.value) OVER (ORDER BY t.n) AS after
          FROM jsonb_array_elements(p_theirs) WITH ORDINALITY AS t(value, n)
    ), missing AS (
        SELECT m.*, row_number() OVER (ORDER BY m.n) AS k FROM new AS m WHERE NOT p_ours @> m.value AND NOT coalesce(p_base, '[]') @> m.value
    ), merged AS (
        SELECT p_ours AS labels, 0::bigint AS k
        UNION ALL
        SELECT (SELECT jsonb_agg(e.value ORDER BY e.n)
                  FROM (SELECT l.value, l.n::numeric AS n FROM jsonb_array_elements(g.labels) WITH ORDINALITY AS l(value, n)
                        UNION ALL SELECT m.value, coalesce((SELECT l.n FROM jsonb_array_elements(g.labels) WITH ORDINALITY AS l(value, n) WHERE l.value = m.after), 0) + 0.5) AS e), m.k
          FROM merged AS g JOIN missing AS m ON m.k = g.k + 1
    )
    SELECT g.labels FROM merged AS g ORDER BY g.k DESC LIMIT 1;
$$;

COMMENT ON FUNCTION pggit._merge_labels(jsonb, jsonb, jsonb) IS
'The labels of an enum that both sides have added to: those of ours, and what theirs added behind the labels that it follows there. PostgreSQL takes no label away.';

CREATE OR REPLACE FUNCTION pggit._merge_fields(p_base jsonb, p_ours jsonb, p_theirs jsonb, OUT merged jsonb, OUT clash text[])
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_field text;
    v_base  jsonb;
    v_ours  jsonb;
    v_their jsonb;
    v_part  record;
BEGIN
    merged := '{}';
    clash  := '{}';
    FOR v_field IN SELECT k FROM jsonb_object_keys(p_ours) AS k UNION SELECT k FROM jsonb_object_keys(p_theirs) AS k UNION SELECT k FROM jsonb_object_keys(coalesce(p_base, '{}')) AS k ORDER BY 1 LOOP
        v_base  := p_base -> v_field;
        v_ours  := p_ours -> v_field;
        v_their := p_theirs -> v_field;
        IF v_ours IS DISTINCT FROM v_their AND v_ours IS NOT DISTINCT FROM v_base THEN
            v_ours := v_their;
        ELSIF v_ours IS DISTINCT FROM v_their AND v_their IS DISTINCT FROM v_base THEN
            IF v_field = 'labels' AND jsonb_typeof(v_ours) = 'array' AND jsonb_typeof(v_their) = 'array' THEN
                v_ours := pggit._merge_labels(v_base, v_ours, v_their);
            ELSIF jsonb_typeof(v_ours) = 'object' AND jsonb_typeof(v_their) = 'object' THEN
                v_part := pggit._merge_fields(CASE WHEN jsonb_typeof(v_base) = 'object' THEN v_base END, v_ours, v_their);
                v_ours := v_part.merged;
                clash  := clash || ARRAY(SELECT v_field || '.' || c FROM unnest(v_part.clash) AS c);
            ELSE
                clash := clash || v_field;
            END IF;
        END IF;
        IF v_ours IS NOT NULL THEN
            merged := merged || jsonb_build_object(v_field, v_ours);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._merge_fields(jsonb, jsonb, jsonb) IS
'Three definitions of one object, merged field by field. clash: the fields that both sides changed in different ways, in which merged is ours.';

CREATE OR REPLACE FUNCTION pggit._object_identity(p_object pggit._schema_object)
    RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT concat_ws(' ', (p_object).object_type,
                     CASE WHEN (p_object).object_type = 'table' AND (p_object).table_id IS NOT NULL THEN (p_object).table_id::text
                          WHEN (p_object).object_type = 'column' AND (p_object).column_id IS NOT NULL THEN (p_object).table_id || '.' || (p_object).column_id
                          WHEN (p_object).object_type IN ('constraint', 'trigger', 'policy', 'rule')
                              THEN coalesce((p_object).table_id::text, (p_object).parent) || '.' || substr((p_object).object_name, length((p_object).parent) + 2)
                          ELSE (p_object).object_name END);
$$;

COMMENT ON FUNCTION pggit._object_identity(pggit._schema_object) IS
'What an object is the same by in three states.';

CREATE OR REPLACE FUNCTION pggit._is_of_table(p_object pggit._schema_object)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT (p_object).object_type IN ('table', 'column', 'constraint', 'index', 'trigger', 'policy', 'rule', 'statistics');
$$;

COMMENT ON FUNCTION pggit._is_of_table(pggit._schema_object) IS
'Whether an object is a table or a part of one.';

CREATE OR REPLACE FUNCTION pggit._merge_object(p_merge_id uuid, p_base pggit._schema_object, p_before pggit._schema_object, p_ours pggit._schema_object, p_theirs pggit._schema_object)
    RETURNS pggit._schema_object
    LANGUAGE plpgsql
AS $$
DECLARE
    v_merged  pggit._schema_object := CASE WHEN (p_ours).object_name IS NULL THEN p_theirs ELSE p_ours END;
    v_fields  record;
    v_taken   text;
    v_kind    text;
BEGIN
    -- Ours may have changed with the columns that it is about: then what it was before tells whether ours is a change.
    IF (p_theirs).hash IS NOT DISTINCT FROM (p_base).hash OR (p_ours).hash IS NOT DISTINCT FROM (p_theirs).hash THEN
        RETURN p_ours;
    ELSIF (p_before).hash IS NOT DISTINCT FROM (p_base).hash THEN
        v_merged.definition := (p_theirs).definition;
        v_merged.hash       := (p_theirs).hash;
        RETURN CASE WHEN (p_theirs).hash IS NOT NULL THEN v_merged END;
    END IF;
    IF (p_ours).hash IS NOT NULL AND (p_theirs).hash IS NOT NULL THEN
        v_fields := pggit._merge_fields((p_base).definition, (p_ours).definition, (p_theirs).definition);
        IF v_fields.clash = '{}' THEN
            v_merged.definition := v_fields.merged;
            v_merged.hash       := pggit._object_hash(v_fields.merged);
            RETURN v_merged;
        END IF;
    END IF;
    v_kind  := CASE WHEN (p_theirs).hash IS NULL THEN 'update_delete' WHEN (p_ours).hash IS NULL THEN 'delete_update' WHEN (p_base).hash IS NULL THEN 'insert_insert' ELSE 'update_update' END;
    v_taken := (pggit._open_schema_conflict(p_merge_id, (v_merged).object_type, (v_merged).object_name, v_kind, (p_base).definition, (p_before).definition, (p_theirs).definition)).resolution;
    IF v_taken IS DISTINCT FROM 'theirs' OR (p_theirs).hash IS NULL THEN
        RETURN CASE WHEN v_taken IS DISTINCT FROM 'theirs' THEN p_ours END;
    END IF;
    v_fields := pggit._merge_fields((p_base).definition, (p_theirs).definition, coalesce((p_ours).definition, (p_base).definition));
    v_merged.definition := v_fields.merged;
    v_merged.hash       := pggit._object_hash(v_fields.merged);
    RETURN v_merged;
END;
$$;

COMMENT ON FUNCTION pggit._merge_object(uuid, pggit._schema_object, pggit._schema_object, pggit._schema_object, pggit._schema_object) IS
'One object merged: what ours is to be, NULL for none. p_before is ours before its columns were changed. Opens a conflict where both sides changed the same field in different ways, or one changed what the other
dropped.';

CREATE OR REPLACE FUNCTION pggit._merge_objects(p_merge_id uuid, p_base pggit._schema_object[], p_before pggit._schema_object[], p_ours pggit._schema_object[], p_theirs pggit._schema_object[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE plpgsql
AS $$
DECLARE
    v_one    record;
    v_merged pggit._schema_object;
BEGIN
    FOR v_one IN
        WITH b AS MATERIALIZED (SELECT pggit._object_identity(x) AS id, x FROM unnest(p_base) AS x),
             f AS MATERIALIZED (SELECT pggit._object_identity(x) AS id, x FROM unnest(p_before) AS x),
             o AS MATERIALIZED (SELECT pggit._object_identity(x) AS id, x FROM unnest(p_ours) AS x),
             t AS MATERIALIZED (SELECT pggit._object_identity(x) AS id, x FROM unnest(p_theirs) AS x)
        SELECT b.x AS base, f.x AS before, o.x AS ours, t.x AS theirs, o.id IS NOT NULL AS is_ours
          FROM o FULL JOIN t USING (id) LEFT JOIN b USING (id) LEFT JOIN f USING (id)
         ORDER BY id COLLATE "C"
    LOOP
        IF (coalesce((v_one.ours).object_type, (v_one.theirs).object_type)) IN ('table', 'column', 'schema', 'extension') AND ((v_one.ours).hash IS NULL OR (v_one.theirs).hash IS NULL) THEN
            -- Which tables and columns there are has been decided.
            v_merged := v_one.ours;
        ELSIF (v_one.ours).hash IS NULL AND pggit._is_of_table(v_one.theirs)
              AND NOT EXISTS (SELECT FROM unnest(p_ours) AS p WHERE p.object_type = 'table' AND (p.table_id = (v_one.theirs).table_id OR p.object_name = (v_one.theirs).parent)) THEN
            v_merged := NULL;
        ELSE
            v_merged := pggit._merge_object(p_merge_id, v_one.base, v_one.before, v_one.ours, v_one.theirs);
        END IF;
        IF v_merged.hash IS NOT NULL THEN
            RETURN NEXT v_merged;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._merge_objects(uuid, pggit._schema_object[], pggit._schema_object[], pggit._schema_object[], pggit._schema_object[]) IS
'All objects merged: what the target is to have, given its tables and columns. p_before: the target before its columns were changed.';

CREATE OR REPLACE FUNCTION pggit._objects_before_rows(p_merged pggit._schema_object[], p_ours pggit._schema_object[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql
AS $$
    SELECT m.object_type, m.object_name, m.parent, d.definition, pggit._object_hash(d.definition), m.table_id, m.column_id
      FROM unnest(p_merged) AS m
      LEFT JOIN unnest(p_ours) AS o ON o.object_type = m.object_type AND o.object_name = m.object_name
     CROSS JOIN LATERAL (SELECT CASE WHEN m.object_type = 'column' AND m.definition ? 'not_null' AND NOT coalesce(o.definition ? 'not_null', false) THEN m.definition - 'not_null' ELSE m.definition END AS definition) AS d
     WHERE m.object_type NOT IN ('constraint', 'index', 'trigger', 'policy', 'rule', 'view', 'materialized view', 'statistics') OR o.hash = m.hash;
$$;

COMMENT ON FUNCTION pggit._objects_before_rows(pggit._schema_object[], pggit._schema_object[]) IS
'What of the merged objects the target gets before the merged rows: all that rows are made of, without the constraints, indexes and NOT NULLs that these rows have to be there for, and without what reads tables.';
