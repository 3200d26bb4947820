-- Merging definitions three ways, object by object and field by field. Tables and columns are known by their ids, everything else by kind and name within its parent.

CREATE OR REPLACE FUNCTION pggit._merge_labels(p_base jsonb, p_ours jsonb, p_theirs jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    -- Labels of theirs that ours has not, each behind the one that it follows there.
    RETURN (WITH RECURSIVE new AS (
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
            SELECT g.labels FROM merged AS g ORDER BY g.k DESC LIMIT 1);
END;
$$;

COMMENT ON FUNCTION pggit._merge_labels(jsonb, jsonb, jsonb) IS
'The labels of an enum that both sides have added to: those of ours, and what theirs added behind the labels that it follows there. PostgreSQL takes no label away.';

CREATE OR REPLACE FUNCTION pggit._merge_fields(p_base jsonb, p_ours jsonb, p_theirs jsonb, p_disputed jsonb DEFAULT NULL, OUT merged jsonb, OUT clash text[])
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
            ELSIF jsonb_typeof(v_ours) = 'object' AND jsonb_typeof(v_their) = 'object' AND coalesce(jsonb_typeof(v_base), 'object') = 'object' THEN
                v_part := pggit._merge_fields(v_base, v_ours, v_their, p_disputed);
                v_ours := v_part.merged;
                clash  := clash || ARRAY(SELECT v_field || '.' || c FROM unnest(v_part.clash) AS c);
            ELSE
                clash  := clash || v_field;
                v_ours := coalesce(p_disputed || jsonb_build_array(v_ours, v_their), v_ours);
            END IF;
        END IF;
        IF v_ours IS NOT NULL THEN
            merged := merged || jsonb_build_object(v_field, v_ours);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._merge_fields(jsonb, jsonb, jsonb, jsonb) IS
'Three definitions of one object, merged field by field. clash: the fields that both sides changed in different ways, in which merged is ours or, where p_disputed is given, that array and both values: what nobody has.';

CREATE OR REPLACE FUNCTION pggit._is_of_table(p_object pggit._schema_object)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
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
        WITH b AS MATERIALIZED (SELECT x.object_type, x.object_name, x FROM unnest(p_base) AS x),
             f AS MATERIALIZED (SELECT x.object_type, x.object_name, x FROM unnest(p_before) AS x),
             o AS MATERIALIZED (SELECT x.object_type, x.object_name, x FROM unnest(p_ours) AS x),
             t AS MATERIALIZED (SELECT x.object_type, x.object_name, x FROM unnest(p_theirs) AS x)
        SELECT b.x AS base, f.x AS before, o.x AS ours, t.x AS theirs,
               EXISTS (SELECT FROM o AS p WHERE p.object_type = 'table' AND p.object_name = (t.x).parent) AS has_table
          FROM o FULL JOIN t USING (object_type, object_name) LEFT JOIN b USING (object_type, object_name) LEFT JOIN f USING (object_type, object_name)
         ORDER BY object_type COLLATE "C", object_name COLLATE "C"
    LOOP
        IF coalesce((v_one.ours).object_type, (v_one.theirs).object_type) IN ('table', 'column', 'schema', 'extension') AND ((v_one.ours).hash IS NULL OR (v_one.theirs).hash IS NULL) THEN
            -- Which tables and columns there are has been decided.
            v_merged := v_one.ours;
        ELSIF (v_one.ours).object_type = 'sequence' AND (v_one.theirs).hash IS NULL
              AND EXISTS (SELECT FROM unnest(p_theirs) AS c WHERE c.object_type = 'column' AND c.object_name = (v_one.ours).definition ->> 'owned_by') THEN
            -- A branch's table draws from main's sequence.
            v_merged := v_one.ours;
        ELSIF (v_one.ours).hash IS NULL AND pggit._is_of_table(v_one.theirs) AND NOT v_one.has_table THEN
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
'All objects merged: what the target is to have, given its tables and columns. All sets have the names of p_ours; p_before is the target before its columns were changed.';

CREATE OR REPLACE FUNCTION pggit._is_validation(p_from jsonb, p_to jsonb)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT coalesce(p_from ->> 'definition' = (p_to ->> 'definition') || ' NOT VALID' AND p_from - '{definition,comment}'::text[] = p_to - '{definition,comment}'::text[], false);
$$;

COMMENT ON FUNCTION pggit._is_validation(jsonb, jsonb) IS
'Whether the second definition is that of a constraint of which the first is the same, NOT VALID: no other lock than that of VALIDATE CONSTRAINT is needed between them.';

CREATE OR REPLACE FUNCTION pggit._validated_later(p_merged pggit._schema_object[], p_now pggit._schema_object[], OUT merged pggit._schema_object[], OUT statements text[])
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH objects AS MATERIALIZED (
        SELECT u.*, u.object_type = 'constraint' AND u.definition ->> 'definition' ~ '^(CHECK|FOREIGN KEY) ' AND u.definition ->> 'definition' !~ '(NOT VALID|NOT ENFORCED)$'
                    AND (o.hash IS NULL OR pggit._is_validation(o.definition, u.definition))
                    -- A foreign key of a partitioned table can't wait before PostgreSQL 18.
                    AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = to_regclass(u.parent) AND c.relkind = 'r') AS waits
          FROM unnest(p_merged) WITH ORDINALITY AS u(object_type, object_name, parent, definition, hash, table_id, column_id, n)
          LEFT JOIN unnest(p_now) AS o ON o.object_type = u.object_type AND o.object_name = u.object_name
    ), told AS (
        SELECT w.*, (w.object_type, w.object_name, w.parent, d.definition, CASE WHEN w.waits THEN pggit._object_hash(d.definition) ELSE w.hash END, w.table_id, w.column_id)::pggit._schema_object AS object
          FROM objects AS w
         CROSS JOIN LATERAL (SELECT CASE WHEN w.waits THEN w.definition || jsonb_build_object('definition', (w.definition ->> 'definition') || ' NOT VALID') ELSE w.definition END AS definition) AS d
    )
    SELECT coalesce(array_agg(t.object ORDER BY t.n), '{}'),
           coalesce(array_agg(format('ALTER TABLE %s VALIDATE CONSTRAINT %s', t.parent, pggit._local_name(t.object)) ORDER BY t.n) FILTER (WHERE t.waits), '{}')
      FROM told AS t;
$$;

COMMENT ON FUNCTION pggit._validated_later(pggit._schema_object[], pggit._schema_object[]) IS
'What a merge is to make of main where constraints are validated later (option validate): checks and foreign keys that are new, or only to be validated, are NOT VALID; the statements validate them.';

CREATE OR REPLACE FUNCTION pggit._regains_type(p_branch_id integer, p_column pggit._schema_object, p_from text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (p_column).definition ->> 'type' <> p_from
           AND EXISTS (SELECT FROM pggit._columns_at((p_column).table_id, CASE WHEN p_branch_id <> 1 THEN pggit._branch_now(p_branch_id) END) AS c
                        WHERE c.origin = (p_column).column_id AND c.type_name = p_from);
END;
$$;

COMMENT ON FUNCTION pggit._regains_type(integer, pggit._schema_object, text) IS
'Whether a merged column of a branch, where it has type p_from, has another one by its definition alone. PostgreSQL has given it p_from in the catalog alone then: it is the same column in all commits (pggit._follow_shape), and gets the type of before again.';

CREATE OR REPLACE FUNCTION pggit._tables_that_regain_types(p_merge pggit.merges, p_base pggit._schema_object[], p_ours pggit._schema_object[], p_theirs pggit._schema_object[])
    RETURNS integer[]
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN ARRAY(SELECT DISTINCT t.table_id
                   FROM unnest(p_theirs) AS t
                   JOIN unnest(p_base) AS b ON b.object_type = 'column' AND b.table_id = t.table_id AND b.column_id = t.column_id AND b.definition ->> 'type' <> t.definition ->> 'type'
                   JOIN unnest(p_ours) AS o ON o.object_type = 'column' AND o.table_id = t.table_id AND o.column_id = t.column_id
                  WHERE p_merge.kind IN ('revert', 'reset') AND t.object_type = 'column' AND pggit._regains_type(p_merge.target_id, t, o.definition ->> 'type')
                  ORDER BY t.table_id);
END;
$$;

COMMENT ON FUNCTION pggit._tables_that_regain_types(pggit.merges, pggit._schema_object[], pggit._schema_object[], pggit._schema_object[]) IS
'The tables of a revert''s or reset''s target in which columns get the type that they had before (pggit._regains_type): no view of main''s table can show them so.';

CREATE OR REPLACE FUNCTION pggit._objects_before_rows(p_branch_id integer, p_merged pggit._schema_object[], p_ours pggit._schema_object[])
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql
AS $$
    WITH new_views AS MATERIALIZED (
        SELECT pggit._bare_name(pggit._local_name(m)) AS local
          FROM unnest(p_merged) AS m LEFT JOIN unnest(p_ours) AS o ON o.object_type = m.object_type AND o.object_name = m.object_name
         WHERE m.object_type IN ('view', 'materialized view') AND m.hash IS DISTINCT FROM o.hash
    )
    SELECT m.object_type, m.object_name, m.parent, d.definition, pggit._object_hash(d.definition), m.table_id, m.column_id
      FROM unnest(p_merged) AS m
      LEFT JOIN unnest(p_ours) AS o ON o.object_type = m.object_type AND o.object_name = m.object_name
     CROSS JOIN LATERAL (SELECT CASE WHEN pggit._is_validation(o.definition, m.definition) THEN o.definition
                                     WHEN m.object_type = 'column' AND (NOT pggit._is_relabel(o.definition ->> 'type', m.definition ->> 'type') OR p_branch_id <> 1 AND pggit._is_relabel(m.definition ->> 'type', o.definition ->> 'type'))
                                          AND pggit._regains_type(p_branch_id, m, o.definition ->> 'type') THEN o.definition
                                     WHEN m.object_type = 'column' AND m.definition ? 'not_null' AND NOT coalesce(o.definition ? 'not_null', false) THEN m.definition - '{not_null,identity}'::text[] ELSE m.definition END AS definition) AS d
     WHERE o.hash = m.hash OR pggit._is_validation(o.definition, m.definition)
        OR (m.object_type NOT IN ('constraint', 'index', 'trigger', 'policy', 'rule', 'view', 'materialized view', 'statistics')
            -- Functions of views wait for these.
            AND NOT (m.object_type IN ('function', 'procedure', 'aggregate') AND EXISTS (
                SELECT FROM pggit._mentions(m) AS n JOIN new_views AS v ON v.local = n)));
$$;

COMMENT ON FUNCTION pggit._objects_before_rows(integer, pggit._schema_object[], pggit._schema_object[]) IS
'What of the merged objects the target, a branch, gets before the merged rows: all that rows are made of, without the constraints, indexes, NOT NULLs and types that hold no more than those of now that these rows have to be there for, and without what reads tables.';

CREATE OR REPLACE FUNCTION pggit._in_names_of(p_objects pggit._schema_object[], p_other pggit._schema_object[])
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_renames jsonb;
    v_kind    text;
BEGIN
    FOREACH v_kind IN ARRAY ARRAY['table', 'column'] LOOP
        v_renames := pggit._renames(p_objects, p_other, v_kind);
        IF v_renames <> '[]' THEN
            p_objects := ARRAY(SELECT o FROM pggit._rename_objects(p_objects, v_renames) AS o);
        END IF;
    END LOOP;
    RETURN p_objects;
END;
$$;

COMMENT ON FUNCTION pggit._in_names_of(pggit._schema_object[], pggit._schema_object[]) IS
'Objects with the names that tables and columns have in another set, so that a renamed column does not make every index on it another one.';

CREATE OR REPLACE FUNCTION pggit._their_tree(p_source_id integer, p_their_id text, p_theirs pggit._position, p_is_committed boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    v_tree bigint;
BEGIN
    IF p_source_id IS NULL OR p_is_committed THEN
        v_tree := (SELECT s.tree_id FROM pggit.schema_commits AS s WHERE s.commit_id = p_their_id);
    END IF;
    IF v_tree IS NULL AND p_source_id IS NOT NULL THEN
        v_tree := pggit._scan_schema(p_source_id, p_theirs);
    END IF;
    RETURN v_tree;
END;
$$;

COMMENT ON FUNCTION pggit._their_tree(integer, text, pggit._position, boolean) IS
'The tree of theirs of a merge. p_source_id: the branch whose state theirs is, NULL: that of a commit. p_is_committed: the branch has just been committed, so that its state is that of the commit p_their_id.';

CREATE OR REPLACE FUNCTION pggit._schema_sides(p_bases text[], p_target_id integer, p_source_id integer, p_their_id text, p_theirs pggit._position, p_is_committed boolean, p_always boolean,
                                               OUT base pggit._schema_object[], OUT ours pggit._schema_object[], OUT theirs pggit._schema_object[])
    LANGUAGE plpgsql
AS $$
DECLARE
    v_bases  bigint[] := ARRAY(SELECT s.tree_id FROM unnest(p_bases) AS b(id) LEFT JOIN pggit.schema_commits AS s ON s.commit_id = b.id);
    v_theirs bigint := pggit._their_tree(p_source_id, p_their_id, p_theirs, p_is_committed);
BEGIN
    IF p_always OR array_position(v_bases, NULL) IS NOT NULL OR EXISTS (SELECT FROM unnest(v_bases) AS b(id) CROSS JOIN LATERAL pggit._tree_changes(b.id, v_theirs)) THEN
        base   := pggit._objects_of_base(p_bases);
        theirs := ARRAY(SELECT o FROM pggit._tree_objects(v_theirs) AS o);
        ours   := ARRAY(SELECT o FROM pggit._objects_now(p_target_id) AS o);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._schema_sides(text[], integer, integer, text, pggit._position, boolean, boolean) IS
'The objects of the three states of a merge; unless p_always, NULL where theirs has changed none, and base alone where nobody knows what there was. p_source_id,
p_is_committed: as in pggit._their_tree.';

CREATE OR REPLACE FUNCTION pggit._owner_on(p_branch_id integer, p_type text, p_name text, p_parent text)
    RETURNS oid
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_target jsonb := (SELECT jsonb_object_agg(quote_ident(s.base_schema), quote_ident(s.schema_name)) FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND p_branch_id <> 1);
    v_owner  oid;
BEGIN
    v_owner := CASE
        WHEN p_parent IS NOT NULL AND to_regclass(pggit._in_target(p_parent, v_target)) IS NOT NULL THEN (SELECT c.relowner FROM pg_class AS c WHERE c.oid = to_regclass(pggit._in_target(p_parent, v_target)))
        WHEN p_type IN ('table', 'view', 'materialized view', 'sequence') THEN (SELECT c.relowner FROM pg_class AS c WHERE c.oid = to_regclass(pggit._in_target(p_name, v_target)))
        WHEN p_type IN ('function', 'procedure', 'aggregate') THEN (SELECT p.proowner FROM pg_proc AS p WHERE p.oid = to_regprocedure(pggit._in_target(p_name, v_target)))
        WHEN p_type IN ('type', 'domain') THEN (SELECT t.typowner FROM pg_type AS t WHERE t.oid = to_regtype(pggit._in_target(p_name, v_target))) END;
    -- New objects belong to who owns the tables beside them.
    RETURN coalesce(v_owner,
                    (SELECT c.relowner FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation
                      WHERE t.untracked_at IS NULL ORDER BY quote_ident(t.schema_name) <> split_part(p_name, '.', 1), t.table_id LIMIT 1),
                    current_user::regrole);
END;
$$;

COMMENT ON FUNCTION pggit._owner_on(integer, text, text, text) IS
'As whom an object of main or of a branch is changed: its owner, that of its table, or that of the tables in its schema.';

CREATE OR REPLACE FUNCTION pggit._take_step(p_role oid, p_path text, p_ddl text, p_object text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._as_role(p_role, ARRAY[p_path, p_ddl]);
EXCEPTION WHEN undefined_column OR undefined_table OR undefined_object OR undefined_function OR dependent_objects_still_exist THEN
    RAISE EXCEPTION USING
        ERRCODE = 'VG310', SCHEMA = 'pggit',
        MESSAGE = format('%s needs what the other side has dropped or changed: %s', p_object, SQLERRM),
        HINT    = 'Nothing was written. Drop or change it on one side, and merge again.';
WHEN insufficient_privilege THEN
    RAISE EXCEPTION USING
        ERRCODE = 'VG310', SCHEMA = 'pggit',
        MESSAGE = format('%s can''t be changed or made by %s, to whom it belongs or would belong: %s', p_object, p_role::regrole, SQLERRM),
        HINT    = 'Nothing was written. What a branch brings gets no more rights than the owner of main''s tables has: do this on main by a role that may, and merge again.';
END;
$$;

COMMENT ON FUNCTION pggit._take_step(oid, text, text, text) IS
'Runs one statement of a migration as a role. Raises VG310 where what one side made uses what the other side has no more, or the role may not.';

CREATE OR REPLACE FUNCTION pggit._begin_retyping(p_branch_id integer, p_from pggit._schema_object[], p_to pggit._schema_object[])
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_all   jsonb := '{}';
    v_table pggit.tables;
    v_shown pggit.branch_tables;
    v_saved jsonb;
BEGIN
    FOR v_table IN
        SELECT t.* FROM pggit.tables AS t
         WHERE t.untracked_at IS NULL
           AND t.table_id IN (SELECT f.table_id FROM unnest(p_from) AS f JOIN unnest(p_to) AS o USING (object_type, object_name)
                               WHERE f.object_type = 'column' AND f.definition ->> 'type' <> o.definition ->> 'type')
         ORDER BY t.table_id
    LOOP
        IF p_branch_id = 1 THEN
            PERFORM pggit._release_views(v_table);
            v_saved := pggit._save_rows(v_table);
        ELSE
            SELECT bt.* INTO v_shown FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = v_table.table_id AND bt.form = 'table';
            CONTINUE WHEN NOT FOUND;
            v_saved := CASE WHEN NOT pggit._is_keyless(v_table.table_id) THEN pggit._save_branch_rows(v_shown) END;
        END IF;
        IF jsonb_typeof(v_saved) = 'string' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG310', SCHEMA = 'pggit',
                MESSAGE = format('what table %I.%I holds in columns that get another type can''t be saved: %s', v_table.schema_name, v_table.table_name, v_saved #>> '{}'),
                HINT    = 'Nothing was written. Try again with pggit.save_limit above the table''s size.';
        END IF;
        v_all := v_all || jsonb_build_object(v_table.table_id, v_saved);
    END LOOP;
    RETURN v_all;
END;
$$;

COMMENT ON FUNCTION pggit._begin_retyping(integer, pggit._schema_object[], pggit._schema_object[]) IS
'Saves the rows of the tables of which columns get another type, and has branches'' views let go of these. Returns the ordinals of the rows that were saved, by table (null: none need be), for pggit._end_retyping. Raises VG310 where they can''t be.';

CREATE OR REPLACE FUNCTION pggit._end_retyping(p_branch_id integer, p_saved jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table record;
BEGIN
    FOR v_table IN SELECT s.key::integer AS table_id, s.value AS saved FROM jsonb_each(p_saved) AS s ORDER BY 1 LOOP
        IF p_branch_id = 1 THEN
            PERFORM pggit._follow_shape(t.relation, false, v_table.saved) FROM pggit.tables AS t WHERE t.table_id = v_table.table_id;
        ELSE
            PERFORM pggit._follow_branch_table(bt, v_table.saved) FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = v_table.table_id;
        END IF;
    END LOOP;
    IF p_saved <> '{}' THEN
        PERFORM set_config('pggit.rewritten', '', true);
        PERFORM pggit._restore_views() WHERE p_branch_id = 1;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._end_retyping(integer, jsonb) IS
'The history of tables knows the columns that got another type since pggit._begin_retyping, and the views of branches read them again.';

CREATE OR REPLACE FUNCTION pggit._migrate(p_branch_id integer, p_from pggit._schema_object[], p_to pggit._schema_object[])
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_following text := coalesce(current_setting('pggit.following', true), '');
    v_branch    text := coalesce(current_setting('pggit.branch', true), '');
    v_path      text := format('SELECT pg_catalog.set_config(''search_path'', %L, true), pg_catalog.set_config(''check_function_bodies'', ''off'', true)', pggit._schema_path(p_branch_id));
    v_bodies    text := current_setting('check_function_bodies');
    v_steps     jsonb;
    v_step      record;
    v_saved     jsonb;
BEGIN
    SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.step), '[]') INTO v_steps FROM pggit._schema_steps(p_from, p_to, p_branch_id) AS s;
    PERFORM set_config('pggit.following', 'on', true), set_config('pggit.branch', '', true);
    v_saved := pggit._begin_retyping(p_branch_id, p_from, p_to);
    FOR v_step IN
        SELECT s.*, coalesce(t.parent, f.parent) AS parent
          FROM jsonb_to_recordset(v_steps) AS s(step integer, ddl text, object_type text, object_name text)
          LEFT JOIN unnest(p_to) AS t ON t.object_type = s.object_type AND t.object_name = s.object_name
          LEFT JOIN unnest(p_from) AS f ON f.object_type = s.object_type AND f.object_name = s.object_name
         ORDER BY s.step
    LOOP
        PERFORM pggit._mind_step(v_step.ddl) WHERE p_branch_id = 1;
        PERFORM pggit._free_types(false) WHERE v_step.ddl ~ '^DROP (?:TYPE|DOMAIN) ';
        PERFORM pggit._take_step(pggit._owner_on(p_branch_id, v_step.object_type, v_step.object_name, CASE WHEN v_step.parent LIKE '%.%' THEN v_step.parent END), v_path, v_step.ddl,
                                 concat_ws(' ', v_step.object_type, v_step.object_name));
    END LOOP;
    PERFORM pggit._end_retyping(p_branch_id, v_saved);
    PERFORM set_config('pggit.following', v_following, true), set_config('check_function_bodies', v_bodies, true);
    IF p_branch_id = 1 AND v_steps <> '[]' THEN
        PERFORM pggit._follow_shape(t.relation) FROM pggit.tables AS t
          WHERE t.untracked_at IS NULL AND EXISTS (SELECT FROM unnest(p_to) AS o JOIN jsonb_to_recordset(v_steps) AS s(object_type text, object_name text) USING (object_type, object_name)
                                                    WHERE o.table_id = t.table_id);
    END IF;
    PERFORM set_config('pggit.branch', v_branch, true);
    RETURN (SELECT coalesce(jsonb_agg(s.value ->> 'ddl' ORDER BY n), '[]') FROM jsonb_array_elements(v_steps) WITH ORDINALITY AS s(value, n));
END;
$$;

COMMENT ON FUNCTION pggit._migrate(integer, pggit._schema_object[], pggit._schema_object[]) IS
'Brings main or a branch from one set of objects to another, each step as the owner of what it changes, and returns the statements.';

CREATE OR REPLACE FUNCTION pggit._bring_first(p_branch_id integer, p_their_branch integer, p_base pggit._schema_object[], p_theirs pggit._schema_object[])
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_target jsonb := (SELECT jsonb_object_agg(quote_ident(s.base_schema), quote_ident(s.schema_name)) FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND p_branch_id <> 1);
    v_path  text := current_setting('search_path');
    v_done  text[] := '{}';
    v_left  pggit._schema_object[];
    v_later pggit._schema_object[];
    v_one   pggit._schema_object;
    v_users text[];
BEGIN
    IF p_base IS NULL OR (p_branch_id <> 1 AND p_their_branch = 1) THEN
        RETURN v_done;
    END IF;
    PERFORM set_config('search_path', pggit._schema_path(p_branch_id), true);
    v_left := ARRAY(SELECT t FROM unnest(p_theirs) AS t
                     WHERE (t.object_type IN ('function', 'procedure', 'aggregate') OR (t.object_type IN ('type', 'domain') AND p_branch_id = 1)) AND NOT EXISTS (SELECT FROM unnest(p_base) AS b WHERE b.object_type = t.object_type AND b.object_name = t.object_name)
                       AND CASE WHEN t.object_type IN ('type', 'domain') THEN to_regtype(t.object_name) IS NULL
                                ELSE to_regprocedure(t.object_name) IS NULL AND to_regprocedure(pggit._in_target(t.object_name, v_target)) IS NULL END
                     ORDER BY t.object_type IN ('type', 'domain') DESC, t.object_name COLLATE "C");
    PERFORM set_config('search_path', v_path, true);
    v_users := ARRAY(SELECT r.object_name FROM pggit._uncopied_readers(p_branch_id) AS r);
    LOOP
        v_later := '{}';
        FOREACH v_one IN ARRAY v_left LOOP
            BEGIN
                v_done := v_done || ARRAY(SELECT jsonb_array_elements_text(pggit._migrate(p_branch_id, '{}', ARRAY[v_one])));
            EXCEPTION WHEN SQLSTATE 'VG310' THEN
                -- It needs what comes later, and comes after that.
                v_later := v_later || v_one;
            END;
        END LOOP;
        EXIT WHEN v_later = '{}' OR v_later = v_left;
        v_left := v_later;
    END LOOP;
    PERFORM pggit._note_copied(p_branch_id, v_users);
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._bring_first(integer, integer, pggit._schema_object[], pggit._schema_object[]) IS
'Gives main the functions and types that theirs has made, or a branch those functions that another branch has made, before tables and columns come that may need them, and returns the statements.';

CREATE OR REPLACE FUNCTION pggit._decided_readers(p_merge_id uuid, p_branch_id integer, p_steps jsonb, p_base pggit._schema_object[], p_theirs pggit._schema_object[])
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_gone    oid[]  := ARRAY(SELECT pggit._relation_at((s ->> 'table')::integer, p_branch_id) FROM jsonb_array_elements(p_steps) AS s WHERE s ->> 'do' = 'drop');
    v_readers text[] := ARRAY(SELECT pggit._base_name(r.objid) FROM pggit._readers(v_gone, pggit._schemas_of(p_branch_id)) AS r WHERE v_gone <> '{}' AND r.classid = 'pg_class'::regclass);
    v_one     record;
BEGIN
    IF v_readers = '{}' OR p_base IS NULL THEN
        RETURN p_steps;
    END IF;
    FOR v_one IN
        SELECT o, b.definition AS base
          FROM pggit._schema_objects(p_branch_id) AS o JOIN unnest(p_base) AS b USING (object_type, object_name)
         WHERE o.object_type IN ('view', 'materialized view') AND o.object_name = ANY (v_readers) AND o.hash <> b.hash
           AND NOT EXISTS (SELECT FROM unnest(p_theirs) AS t WHERE t.object_type = o.object_type AND t.object_name = o.object_name)
         ORDER BY o.object_name
    LOOP
        IF (pggit._open_schema_conflict(p_merge_id, (v_one.o).object_type, (v_one.o).object_name, 'update_delete', v_one.base, (v_one.o).definition, NULL)).resolution = 'theirs' THEN
            p_steps := p_steps || jsonb_build_object('do', 'drop_reader', 'name', (v_one.o).object_name);
        END IF;
    END LOOP;
    RETURN p_steps;
END;
$$;

COMMENT ON FUNCTION pggit._decided_readers(uuid, integer, jsonb, pggit._schema_object[], pggit._schema_object[]) IS
'Views over tables that theirs dropped with them, and that ours has changed, are conflicts; those decided for theirs are added to the steps of a merge, to go before their tables.';

CREATE OR REPLACE FUNCTION pggit._drop_users_of_tables(p_branch_id integer, p_tables integer[], p_base pggit._schema_object[], p_theirs pggit._schema_object[], p_decided text[] DEFAULT '{}')
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_gone text[] := ARRAY(SELECT pggit._shown_name(t.id, p_branch_id) FROM unnest(p_tables) AS t(id));
    v_ours pggit._schema_object[];
    v_left pggit._schema_object[];
    v_real text[];
    v_own  text[];
BEGIN
    IF p_base IS NULL OR NOT EXISTS (SELECT FROM unnest(p_base) AS b WHERE pggit._uses_tables(b) AND NOT EXISTS (SELECT FROM unnest(p_theirs) AS t WHERE t.object_type = b.object_type AND t.object_name = b.object_name)) THEN
        RETURN '{}';
    END IF;
    v_ours := ARRAY(SELECT o FROM pggit._schema_objects(p_branch_id) AS o);
    v_real := ARRAY(SELECT pggit._shown_name(bt.table_id, p_branch_id) FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.form = 'table');
    v_own  := ARRAY(SELECT r.object_name FROM pggit._own_readers(p_branch_id) AS r);
    v_left := ARRAY(SELECT o FROM unnest(v_ours) AS o
                     WHERE NOT (pggit._uses_tables(o) AND o.parent <> ALL (v_gone) AND EXISTS (SELECT FROM unnest(p_base) AS b WHERE b.object_type = o.object_type AND b.object_name = o.object_name AND (b.hash = o.hash OR o.object_name = ANY (p_decided)))
                                AND NOT EXISTS (SELECT FROM unnest(p_theirs) AS t WHERE t.object_type = o.object_type AND t.object_name = o.object_name)
                                AND (p_branch_id = 1 OR CASE o.object_type WHEN 'constraint' THEN o.parent = ANY (v_real) ELSE o.object_name = ANY (v_own) END)));
    RETURN ARRAY(SELECT jsonb_array_elements_text(pggit._migrate(p_branch_id, v_ours, v_left)));
END;
$$;

COMMENT ON FUNCTION pggit._drop_users_of_tables(integer, integer[], pggit._schema_object[], pggit._schema_object[], text[]) IS
'Drops the views and foreign keys of main, or a branch''s own, that theirs has dropped and ours left alone, or that are decided to go (p_decided), before the tables that they use go, and returns the statements.';

CREATE OR REPLACE FUNCTION pggit._uses_tables(p_object pggit._schema_object)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT (p_object).object_type IN ('view', 'materialized view') OR ((p_object).object_type = 'constraint' AND (p_object).definition ? 'references');
$$;

COMMENT ON FUNCTION pggit._uses_tables(pggit._schema_object) IS
'Whether an object keeps PostgreSQL from dropping other tables: a view or a foreign key.';

CREATE OR REPLACE FUNCTION pggit._merged_types(p_merge_id uuid, p_branch_id integer, p_base pggit._schema_object[], p_ours pggit._schema_object[], p_theirs pggit._schema_object[])
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_target jsonb := (SELECT jsonb_object_agg(quote_ident(s.base_schema), quote_ident(s.schema_name)) FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND p_branch_id <> 1);
    v_types  text[];
BEGIN
    -- A branch shares main's types but for its copies.
    v_types := ARRAY(SELECT DISTINCT o.object_name FROM unnest(p_ours || p_theirs) AS o
                      WHERE o.object_type IN ('type', 'domain') AND (p_branch_id = 1 OR to_regtype(pggit._in_target(o.object_name, v_target)) IS NOT NULL));
    RETURN ARRAY(SELECT o FROM unnest(p_ours) AS o WHERE NOT (o.object_type IN ('type', 'domain') AND o.object_name = ANY (v_types)))
           || ARRAY(SELECT m FROM pggit._merge_objects(p_merge_id, pggit._of_types(p_base, v_types), pggit._of_types(p_ours, v_types), pggit._of_types(p_ours, v_types), pggit._of_types(p_theirs, v_types)) AS m)
           -- What ours still uses stays until its columns are others.
           || ARRAY(SELECT o FROM unnest(pggit._of_types(p_ours, v_types)) AS o
                     WHERE NOT EXISTS (SELECT FROM unnest(p_theirs) AS t WHERE t.object_type = o.object_type AND t.object_name = o.object_name)
                       AND EXISTS (SELECT FROM unnest(p_base) AS b WHERE b.object_type = o.object_type AND b.object_name = o.object_name AND b.hash = o.hash));
END;
$$;

COMMENT ON FUNCTION pggit._merged_types(uuid, integer, pggit._schema_object[], pggit._schema_object[], pggit._schema_object[]) IS
'Ours with the merged types of main, or of a branch''s own, which columns are made of; what theirs dropped is still there.';

CREATE OR REPLACE FUNCTION pggit._of_types(p_objects pggit._schema_object[], p_names text[])
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT ARRAY(SELECT o FROM unnest(p_objects) AS o WHERE o.object_type IN ('type', 'domain') AND o.object_name = ANY (p_names)));
END;
$$;

COMMENT ON FUNCTION pggit._of_types(pggit._schema_object[], text[]) IS
'Of a set of objects the types and domains of these names.';

CREATE OR REPLACE FUNCTION pggit._readers_of_columns(p_branch_id integer, p_objects pggit._schema_object[])
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN ARRAY(
        WITH RECURSIVE columns AS MATERIALIZED (
            SELECT a.attrelid, a.attnum
              FROM pg_temp.pggit_merged_columns AS m JOIN pg_attribute AS a ON a.attrelid = pggit._relation_at(m.table_id, p_branch_id) AND a.attname = m.ours_name
             WHERE m.change IN ('drop', 'retype')
        ), readers AS (
            SELECT r.ev_class FROM columns AS c
              JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.attrelid AND d.refobjsubid = c.attnum AND d.classid = 'pg_rewrite'::regclass
              JOIN pg_rewrite AS r ON r.oid = d.objid
            UNION
            SELECT r.ev_class FROM readers AS v
              JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.ev_class AND d.classid = 'pg_rewrite'::regclass
              JOIN pg_rewrite AS r ON r.oid = d.objid
        )
        SELECT o FROM readers AS r JOIN unnest(p_objects) AS o ON o.object_name = pggit._base_name(r.ev_class) AND o.object_type IN ('view', 'materialized view'));
END;
$$;

COMMENT ON FUNCTION pggit._readers_of_columns(integer, pggit._schema_object[]) IS
'The views that read columns which a merge drops or gives another type, also by way of other views.';

CREATE OR REPLACE FUNCTION pggit._new_tables(p_base pggit._schema_object[], p_theirs pggit._schema_object[])
    RETURNS text[]
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT ARRAY(SELECT t.object_name FROM unnest(p_theirs) AS t
                          WHERE t.object_type = 'table'
                            AND NOT EXISTS (SELECT FROM unnest(p_base) AS b
                                             WHERE b.object_type = 'table' AND b.object_name = t.object_name
                                               -- Another one by the same name is new.
                                               AND (SELECT count(*) FROM pggit.tables AS k WHERE k.table_id IN (b.table_id, t.table_id) AND k.untracked_at IS NULL) < 2)));
END;
$$;

COMMENT ON FUNCTION pggit._new_tables(pggit._schema_object[], pggit._schema_object[]) IS
'The tables that theirs has made. The merge has just taken them along, with all that belongs to them (pggit._try_steps).';

CREATE OR REPLACE FUNCTION pggit._of_tables(p_objects pggit._schema_object[], p_tables text[], p_is_in boolean)
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT ARRAY(SELECT o FROM unnest(p_objects) AS o
                          WHERE p_is_in = coalesce(CASE WHEN o.object_type = 'table' THEN o.object_name = ANY (p_tables)
                                                        WHEN pggit._is_of_table(o) THEN o.parent = ANY (p_tables)
                                                        WHEN o.object_type = 'sequence' THEN EXISTS (SELECT FROM unnest(p_tables) AS t WHERE starts_with(o.definition ->> 'owned_by', t || '.')) END, false)));
END;
$$;

COMMENT ON FUNCTION pggit._of_tables(pggit._schema_object[], text[], boolean) IS
'Of a set of objects those that belong to some tables, or that do not.';

CREATE OR REPLACE FUNCTION pggit._labels_of_shared_types(p_target pggit.branches, p_base pggit._schema_object[], p_ours pggit._schema_object[], p_theirs pggit._schema_object[])
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_target jsonb := (SELECT jsonb_object_agg(quote_ident(s.base_schema), quote_ident(s.schema_name)) FROM pggit.branch_schemas AS s WHERE s.branch_id = p_target.branch_id);
    v_type   record;
    v_done   text[] := '{}';
BEGIN
    FOR v_type IN
        SELECT o, t, pggit._in_target(t.object_name, v_target) AS name
          FROM unnest(p_theirs) AS t JOIN unnest(p_ours) AS o USING (object_type, object_name) JOIN unnest(p_base) AS b USING (object_type, object_name)
         WHERE p_target.branch_id <> 1 AND t.object_type = 'type' AND t.definition ->> 'kind' = 'enum' AND to_regtype(pggit._in_target(t.object_name, v_target)) IS NULL
           AND NOT (t.definition -> 'labels') <@ to_jsonb(ARRAY(SELECT e.enumlabel::text FROM pg_enum AS e WHERE e.enumtypid = to_regtype(t.object_name)))
           AND NOT (t.definition -> 'labels') <@ (b.definition -> 'labels')
         ORDER BY t.object_name
    LOOP
        v_done := v_done || ARRAY(SELECT format('SELECT pggit.ddl(%L, %L)', p_target.name, format('ALTER TYPE %s', v_type.name) || substr(s.ddl, length('ALTER TYPE ' || (v_type.t).object_name) + 1))
                                    FROM pggit._schema_steps(ARRAY[v_type.o], ARRAY[v_type.t]) AS s WHERE s.ddl ~ '^ALTER TYPE .* ADD VALUE' ORDER BY s.step);
    END LOOP;
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._labels_of_shared_types(pggit.branches, pggit._schema_object[], pggit._schema_object[], pggit._schema_object[]) IS
'The statements that give a branch copies of main''s enums with the labels that theirs has added and main''s types, which the branch uses, lack.';

CREATE OR REPLACE FUNCTION pggit._change_schema(p_merge pggit.merges, p_target pggit.branches, p_theirs pggit._position, p_base pggit._schema_object[], p_ours pggit._schema_object[],
                                                p_their_objects pggit._schema_object[], OUT merged pggit._schema_object[], OUT statements jsonb, OUT changes integer, OUT settled text[], OUT prepare text[], OUT finish text[], OUT reason text, OUT now pggit._schema_object[])
    LANGUAGE plpgsql
AS $$
DECLARE
    v_now     pggit._schema_object[];
    v_readers pggit._schema_object[];
    v_rest    pggit._schema_object[];
    v_types   pggit._schema_object[];
    v_columns record;
    v_first   text[];
    v_done    jsonb;
    v_users   text[];
    v_later   record;
BEGIN
    statements := '[]';
    changes    := 0;
    -- What reads columns that go, or become others, is away meanwhile.
    v_readers := pggit._readers_of_columns(p_target.branch_id, p_ours);
    IF v_readers <> '{}' THEN
        v_rest := ARRAY(SELECT o FROM unnest(p_ours) AS o WHERE NOT EXISTS (SELECT FROM unnest(v_readers) AS r WHERE r.object_type = o.object_type AND r.object_name = o.object_name));
        statements := pggit._migrate(p_target.branch_id, p_ours, v_rest);
    ELSE
        v_rest := p_ours;
    END IF;
    IF p_base IS NOT NULL THEN
        v_types := pggit._merged_types(p_merge.merge_id, p_target.branch_id, p_base, v_rest, p_their_objects);
        IF EXISTS (SELECT FROM unnest(v_types) AS t FULL JOIN unnest(v_rest) AS o USING (object_type, object_name) WHERE t.hash IS DISTINCT FROM o.hash) THEN
            prepare := ARRAY(SELECT s.ddl FROM pggit._schema_steps(v_rest, v_types, p_target.branch_id) AS s WHERE s.ddl ~ '^ALTER TYPE .* ADD VALUE' ORDER BY s.step);
            IF prepare = '{}' THEN
                statements := statements || pggit._migrate(p_target.branch_id, v_rest, v_types);
            END IF;
        END IF;
        prepare := coalesce(prepare, '{}') || pggit._labels_of_shared_types(p_target, p_base, v_rest, p_their_objects);
        IF prepare <> '{}' THEN
            reason := 'an enum gets new labels, which PostgreSQL lets no row have in the transaction that adds them; add them first (detail.prepare), and merge again';
            RETURN;
        END IF;
    END IF;
    v_first    := pggit._bring_first(p_target.branch_id, (p_theirs).branch_id, p_base, p_their_objects);
    statements := statements || to_jsonb(v_first);
    PERFORM pggit._make_real_for_merge(p_target, (pggit._target()).s, pggit._tables_that_regain_types(p_merge, p_base, p_ours, p_their_objects));
    v_columns  := pggit._change_columns(p_target.branch_id, (p_theirs).branch_id, p_their_objects);
    statements := statements || to_jsonb(v_columns.statements);
    reason     := v_columns.reason;
    IF reason IS NOT NULL OR p_base IS NULL THEN
        RETURN;
    END IF;
    v_now  := CASE WHEN p_target.branch_id = 1 AND statements = '[]' THEN p_ours ELSE ARRAY(SELECT o FROM pggit._schema_objects(p_target.branch_id) AS o) END;
    settled := pggit._new_tables(p_base, p_their_objects);
    merged  := ARRAY(SELECT m FROM pggit._merge_objects(p_merge.merge_id, pggit._of_tables(pggit._in_names_of(p_base, v_now), settled, false), pggit._of_tables(pggit._in_names_of(p_ours, v_now), settled, false),
                                                         pggit._of_tables(v_now || pggit._in_names_of(v_readers, v_now), settled, false),
                                                         pggit._of_tables(pggit._in_names_of(p_their_objects, v_now), settled, false)) AS m)
               || pggit._of_tables(v_now, settled, true);
    changes := (SELECT count(*) FROM unnest(merged) AS m FULL JOIN unnest(v_now || pggit._in_names_of(v_readers, v_now)) AS o USING (object_type, object_name)
                 WHERE m.hash IS DISTINCT FROM o.hash AND NOT (object_type = 'column' AND m.table_id IN (SELECT c.table_id FROM pg_temp.pggit_merged_columns AS c WHERE c.change <> 'none')))
               + (SELECT count(*) FROM jsonb_array_elements_text(statements) AS d WHERE d ~ '^(CREATE|ALTER|DROP) (TYPE|DOMAIN)')
               + (SELECT count(*) FROM unnest(v_first) AS d WHERE d ~ '^CREATE (OR REPLACE )?(FUNCTION|PROCEDURE|AGGREGATE)');
    IF p_target.branch_id <> 1 THEN
        merged := pggit._of_own_tables(p_target.branch_id, merged, v_now, (p_theirs).branch_id <> 1);
    ELSIF p_merge.options ->> 'validate' = 'later' THEN
        v_later := pggit._validated_later(merged, v_now);
        merged  := v_later.merged;
        finish  := v_later.statements;
    END IF;
    v_readers  := ARRAY(SELECT b FROM pggit._objects_before_rows(p_target.branch_id, merged, v_now) AS b);
    v_users    := ARRAY(SELECT r.object_name FROM pggit._uncopied_readers(p_target.branch_id) AS r);
    v_done     := pggit._migrate(p_target.branch_id, pggit._without_shown(p_target.branch_id, v_now, v_readers), v_readers);
    statements := statements || v_done;
    PERFORM pggit._note_copied(p_target.branch_id, v_users);
    IF p_target.branch_id <> 1 THEN
        merged := pggit._without_unmade(p_target.branch_id, merged, v_now);
    END IF;
    now        := CASE WHEN p_target.branch_id = 1 AND v_done = '[]' THEN v_now END;
END;
$$;

COMMENT ON FUNCTION pggit._change_schema(pggit.merges, pggit.branches, pggit._position, pggit._schema_object[], pggit._schema_object[], pggit._schema_object[]) IS
'The first half of a merge of definitions, before its rows: types, columns, and what else rows are made of. merged is what pggit._finish_schema makes of the target afterwards; reason: why it can''t be,
and prepare: what has to be done before, in transactions of its own; finish: what is left to do afterwards. now: what main has then, where this is known without another look.';

CREATE OR REPLACE FUNCTION pggit._own_readers(p_branch_id integer)
    RETURNS TABLE (object_type text, object_name text, classid oid, objid oid)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_before text := current_setting('search_path');
BEGIN
    PERFORM set_config('search_path', pggit._schema_path(p_branch_id), true);
    RETURN QUERY
    WITH spaces AS MATERIALIZED (
        SELECT n.oid, s.base_schema FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.schema_name WHERE s.branch_id = p_branch_id
    )
    SELECT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, format('%I.%I', s.base_schema, c.relname), 'pg_class'::regclass::oid, c.oid
      FROM spaces AS s JOIN pg_class AS c ON c.relnamespace = s.oid AND c.relkind IN ('v', 'm')
     WHERE NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.relation = c.oid) AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'pggit_shut')
    UNION ALL
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END, format('%I.%I(%s)', s.base_schema, p.proname, oidvectortypes(p.proargtypes)), 'pg_proc'::regclass, p.oid
      FROM spaces AS s JOIN pg_proc AS p ON p.pronamespace = s.oid;
    PERFORM set_config('search_path', v_before, true);
END;
$$;

COMMENT ON FUNCTION pggit._own_readers(integer) IS
'The views and functions in the schemas of a branch, under the names that they have on main.';

CREATE OR REPLACE FUNCTION pggit._note_synced(p_branch_id integer)
    RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A materialized view of main's is a view on the branch.
    WITH readers AS MATERIALIZED (
        SELECT r.object_name, ARRAY[r.object_type] || CASE r.object_type WHEN 'view' THEN ARRAY['materialized view'] END AS kinds FROM pggit._own_readers(p_branch_id) AS r
    ), unknown AS MATERIALIZED (
        SELECT r.* FROM readers AS r
         WHERE NOT EXISTS (SELECT FROM pggit.schema_copies AS k WHERE k.branch_id = p_branch_id AND k.object_type = ANY (r.kinds) AND k.object_name = r.object_name)
    ), below AS (
        SELECT e.object_type, e.object_name FROM pggit._tree_entries(CASE WHEN EXISTS (SELECT FROM unknown) THEN pggit._tree_below(p_branch_id) END) AS e
    )
    INSERT INTO pggit.schema_copies (branch_id, object_type, object_name)
    SELECT p_branch_id, b.object_type, b.object_name FROM unknown AS u JOIN below AS b ON b.object_type = ANY (u.kinds) AND b.object_name = u.object_name;
$$;

COMMENT ON FUNCTION pggit._note_synced(integer) IS
'A branch stands on another main: what main has there, too, of the branch''s own views and functions has been dropped by the branch when it has it no more.';

CREATE OR REPLACE FUNCTION pggit._of_own_tables(p_branch_id integer, p_merged pggit._schema_object[], p_now pggit._schema_object[], p_functions boolean)
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (WITH own AS MATERIALIZED (
                SELECT o.object_name FROM unnest(p_now) AS o JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch_id AND bt.table_id = o.table_id AND bt.form = 'table' WHERE o.object_type = 'table'
            ), readers AS MATERIALIZED (
                SELECT r.object_type, r.object_name FROM pggit._own_readers(p_branch_id) AS r
            ), now AS MATERIALIZED (
                SELECT o, o.object_type, o.object_name,
                       (pggit._is_of_table(o) AND CASE o.object_type WHEN 'table' THEN o.object_name ELSE o.parent END IN (SELECT w.object_name FROM own AS w))
                       OR (o.object_type, o.object_name) IN (SELECT r.object_type, r.object_name FROM readers AS r) AS is_own
                  FROM unnest(p_now) AS o
            ), functions AS MATERIALIZED (
                SELECT m, m.object_type, m.object_name
                  FROM unnest(p_merged) AS m LEFT JOIN now AS n ON n.object_type = m.object_type AND n.object_name = m.object_name
                 WHERE p_functions AND m.object_type IN ('function', 'procedure', 'aggregate') AND n.is_own IS NOT TRUE AND (n.o).hash IS DISTINCT FROM m.hash
            )
            SELECT ARRAY(SELECT f.m FROM functions AS f)
                   || ARRAY(SELECT m FROM unnest(p_merged) AS m
                          WHERE (pggit._is_of_table(m) AND CASE m.object_type WHEN 'table' THEN m.object_name ELSE m.parent END IN (SELECT w.object_name FROM own AS w))
                             OR (m.object_type, m.object_name) IN (SELECT r.object_type, r.object_name FROM readers AS r)
                             OR (m.object_type IN ('view', 'materialized view') AND NOT EXISTS (SELECT FROM now AS n WHERE n.object_type = m.object_type AND n.object_name = m.object_name)))
                   || ARRAY(SELECT n.o FROM now AS n WHERE NOT n.is_own AND (n.object_type, n.object_name) NOT IN (SELECT f.object_type, f.object_name FROM functions AS f)
                               -- The branch has a view in the place of a materialized one that goes.
                               AND NOT (n.object_type = 'materialized view' AND n.object_name IN (SELECT r.object_name FROM readers AS r)
                                        AND NOT EXISTS (SELECT FROM unnest(p_merged) AS m WHERE m.object_type = n.object_type AND m.object_name = n.object_name))));
END;
$$;

COMMENT ON FUNCTION pggit._of_own_tables(integer, pggit._schema_object[], pggit._schema_object[], boolean) IS
'What a merge changes on a branch: its real tables, its own views and functions, views that it has not, such as those that were away while their columns changed, and (p_functions) functions that are others
than those of main that it shows. Everything else it shows as main has it.';

CREATE OR REPLACE FUNCTION pggit._without_shown(p_branch_id integer, p_now pggit._schema_object[], p_merged pggit._schema_object[])
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (SELECT CASE p_branch_id WHEN 1 THEN p_now ELSE ARRAY(
                SELECT n FROM unnest(p_now) AS n LEFT JOIN unnest(p_merged) AS m ON m.object_type = n.object_type AND m.object_name = n.object_name
                 WHERE n.object_type NOT IN ('function', 'procedure', 'aggregate', 'materialized view') OR m.hash IS NOT DISTINCT FROM n.hash
                    OR (n.object_type = 'materialized view' AND m.hash IS NOT NULL)
                    OR (n.object_type, n.object_name) IN (SELECT r.object_type, r.object_name FROM pggit._own_readers(p_branch_id) AS r)) END);
END;
$$;

COMMENT ON FUNCTION pggit._without_shown(integer, pggit._schema_object[], pggit._schema_object[]) IS
'What a branch has, without functions of main that the merge changes there: it makes the branch''s own; and without materialized views that go, in whose place the branch has views.';

CREATE OR REPLACE FUNCTION pggit._without_unmade(p_branch_id integer, p_merged pggit._schema_object[], p_now pggit._schema_object[])
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (WITH readers AS MATERIALIZED (
                SELECT r.object_type, r.object_name FROM pggit._own_readers(p_branch_id) AS r
            )
            SELECT ARRAY(SELECT m FROM unnest(p_merged) AS m
                          WHERE m.object_type NOT IN ('function', 'procedure', 'aggregate', 'view')
                             OR (m.object_type, m.object_name) IN (SELECT r.object_type, r.object_name FROM readers AS r)
                             OR NOT EXISTS (SELECT FROM unnest(p_now) AS n WHERE n.object_type = m.object_type AND n.object_name = m.object_name AND n.hash = m.hash)));
END;
$$;

COMMENT ON FUNCTION pggit._without_unmade(integer, pggit._schema_object[], pggit._schema_object[]) IS
'What a merge wants of a branch, without the views and functions that are main''s and that it leaves alone: when the branch stands on another main, it shows those of that one, or has none. Materialized views are views there.';

CREATE OR REPLACE FUNCTION pggit._uncopied_readers(p_branch_id integer)
    RETURNS TABLE (object_name text, classid oid, objid oid)
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.object_name, r.classid, r.objid FROM pggit._own_readers(p_branch_id) AS r
     WHERE NOT EXISTS (SELECT FROM pggit.branch_copies AS c
                        WHERE c.branch_id = p_branch_id AND r.objid = CASE WHEN r.classid = 'pg_class'::regclass THEN c.relation::oid ELSE to_regprocedure(c.routine)::oid END)
     ORDER BY r.objid;
$$;

COMMENT ON FUNCTION pggit._uncopied_readers(integer) IS
'The views and functions of a branch that its users have made, and that are in the way of pggit.delete_branch.';

CREATE OR REPLACE FUNCTION pggit._note_copied(p_branch_id integer, p_users text[])
    RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO pggit.branch_copies (branch_id, relation, routine)
    SELECT p_branch_id, CASE WHEN r.classid = 'pg_class'::regclass THEN r.objid END, CASE WHEN r.classid = 'pg_proc'::regclass THEN pggit._signature(r.objid) END
      FROM pggit._uncopied_readers(p_branch_id) AS r WHERE r.object_name <> ALL (p_users);
$$;

COMMENT ON FUNCTION pggit._note_copied(integer, text[]) IS
'Notes what a merge has made of views and functions on a branch. p_users: the names of those that were its users'' before.';

CREATE OR REPLACE FUNCTION pggit._order_copies(p_branch_id integer)
    RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE copies AS MATERIALIZED (
        SELECT c.copy_id, CASE WHEN c.routine IS NULL THEN 'pg_class' ELSE 'pg_proc' END::regclass::oid AS classid, coalesce(c.relation::oid, to_regprocedure(c.routine)::oid) AS objid, c.relation, c.routine
          FROM pggit.branch_copies AS c WHERE c.branch_id = p_branch_id
    ), parts AS MATERIALIZED (
        SELECT c.classid, c.objid, c.classid AS part_class, c.objid AS part FROM copies AS c
        UNION ALL SELECT c.classid, c.objid, 'pg_rewrite'::regclass, r.oid FROM copies AS c JOIN pg_rewrite AS r ON r.ev_class = c.objid WHERE c.classid = 'pg_class'::regclass
    ), edges AS MATERIALIZED (
        SELECT DISTINCT p.classid, p.objid, o.classid AS on_class, o.objid AS on_object
          FROM parts AS p JOIN pg_depend AS d ON d.classid = p.part_class AND d.objid = p.part JOIN copies AS o ON o.classid = d.refclassid AND o.objid = d.refobjid
         WHERE (o.classid, o.objid) <> (p.classid, p.objid)
    ), levels AS (
        SELECT c.classid, c.objid, 0 AS level FROM copies AS c
        UNION
        SELECT e.classid, e.objid, l.level + 1 FROM levels AS l JOIN edges AS e ON e.on_class = l.classid AND e.on_object = l.objid WHERE l.level < 50
    ), ordered AS MATERIALIZED (
        SELECT c.copy_id, c.relation, c.routine, (SELECT max(l.level) FROM levels AS l WHERE l.classid = c.classid AND l.objid = c.objid) AS level FROM copies AS c
    ), gone AS (
        DELETE FROM pggit.branch_copies AS c USING ordered AS o WHERE c.copy_id = o.copy_id
    )
    INSERT INTO pggit.branch_copies (branch_id, relation, routine) SELECT p_branch_id, o.relation, o.routine FROM ordered AS o ORDER BY o.level, o.copy_id;
$$;

COMMENT ON FUNCTION pggit._order_copies(integer) IS
'Puts a branch''s copies into an order in which each comes after those that it reads.';

CREATE OR REPLACE FUNCTION pggit._follow_materialized(p_branch_id integer, p_merged pggit._schema_object[])
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_now   pggit._schema_object[];
    v_then  pggit._schema_object[];
    v_users text[];
BEGIN
    IF NOT EXISTS (SELECT FROM unnest(p_merged) AS m WHERE m.object_type = 'materialized view') THEN
        RETURN;
    END IF;
    v_now := ARRAY(SELECT o FROM pggit._own_objects(p_branch_id) AS o WHERE o.object_type = 'view');
    v_then := ARRAY(SELECT CASE WHEN m.object_name IS NULL THEN o
                                ELSE (o.object_type, o.object_name, o.parent, d.definition, pggit._object_hash(d.definition), NULL, NULL)::pggit._schema_object END
                      FROM unnest(v_now) AS o
                      LEFT JOIN unnest(p_merged) AS m ON m.object_type = 'materialized view' AND m.object_name = o.object_name AND m.definition -> 'query' <> o.definition -> 'query'
                     CROSS JOIN LATERAL (SELECT o.definition || jsonb_build_object('query', m.definition -> 'query', 'columns', m.definition -> 'columns') AS definition) AS d);
    v_users := ARRAY(SELECT r.object_name FROM pggit._uncopied_readers(p_branch_id) AS r);
    PERFORM pggit._migrate(p_branch_id, v_now, v_then);
    PERFORM pggit._note_copied(p_branch_id, v_users);
END;
$$;

COMMENT ON FUNCTION pggit._follow_materialized(integer, pggit._schema_object[]) IS
'Main''s materialized views are views on a branch: those whose queries a merge has changed are made anew.';

CREATE OR REPLACE FUNCTION pggit._finish_schema(p_branch_id integer, p_merged pggit._schema_object[], p_settled text[], p_now pggit._schema_object[])
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_now   pggit._schema_object[] := coalesce(p_now, ARRAY(SELECT o FROM pggit._schema_objects(p_branch_id) AS o));
    v_done  jsonb;
    v_users text[];
    v_tree  bigint;
    v_other text;
BEGIN
    p_merged := pggit._of_tables(p_merged, p_settled, false) || pggit._of_tables(v_now, p_settled, true);
    IF p_branch_id <> 1 THEN
        p_merged := pggit._of_own_tables(p_branch_id, p_merged, v_now, true);
    END IF;
    v_users := ARRAY(SELECT r.object_name FROM pggit._uncopied_readers(p_branch_id) AS r);
    v_done  := pggit._migrate(p_branch_id, pggit._without_shown(p_branch_id, v_now, p_merged), p_merged);
    IF p_branch_id <> 1 THEN
        PERFORM pggit._note_copied(p_branch_id, v_users);
        DELETE FROM pggit.schema_copies AS k USING unnest(p_merged) AS m WHERE k.branch_id = p_branch_id AND k.object_type = m.object_type AND k.object_name = m.object_name;
        PERFORM pggit._copy_readers(p_branch_id, 1, ARRAY(SELECT m.object_name FROM unnest(p_merged) AS m WHERE m.object_type IN ('view', 'materialized view', 'function', 'procedure')));
        PERFORM pggit._follow_materialized(p_branch_id, p_merged), pggit._note_synced(p_branch_id);
        PERFORM pggit._order_copies(p_branch_id);
    END IF;
    v_tree := pggit._scan_schema(p_branch_id, NULL);
    SELECT string_agg(format('%s %s', object_type, object_name), ', ' ORDER BY object_type, object_name) INTO v_other
      FROM pggit._tree_entries(v_tree) AS n FULL JOIN unnest(p_merged) AS m USING (object_type, object_name)
     WHERE n.hash IS DISTINCT FROM m.hash;
    IF v_other IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG310', SCHEMA = 'pggit',
            MESSAGE = format('the merged schema would not be what was planned: %s', v_other),
            HINT    = 'Nothing was written. Make this change on both sides, and merge again.'
                      || coalesce((SELECT format(' Schema %I is not tracked as a whole, and views and functions are versioned in such schemas alone: SELECT pggit.track_schema(%L);', s.base_schema, s.base_schema)
                                     FROM pggit._schema_spaces(1) AS s, unnest(p_merged) AS m WHERE NOT s.is_whole AND starts_with(m.object_name, quote_ident(s.base_schema) || '.')
                                      AND m.object_type IN ('view', 'materialized view', 'function', 'procedure', 'aggregate', 'type', 'domain', 'sequence') LIMIT 1), '');
    END IF;
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._finish_schema(integer, pggit._schema_object[], text[], pggit._schema_object[]) IS
'The second half of a merge of definitions, when the merged rows are there: constraints, indexes, triggers, views. Then the catalog has to say what the merge wanted. p_settled: tables that are
finished already; p_now: what the target has, where that is known. Raises VG310, and what PostgreSQL raises for rows
that a new constraint does not take.';

CREATE OR REPLACE FUNCTION pggit._code_in(p_merged pggit._schema_object[], p_ours pggit._schema_object[], p_base pggit._schema_object[], p_settled text[])
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(m.object_type || ' ' || m.object_name ORDER BY m.object_type COLLATE "C", m.object_name COLLATE "C"), '[]')
              FROM unnest(p_merged) AS m
              -- Tables that the merge has made, and functions that it has brought for them, were not there before.
              LEFT JOIN unnest(pggit._of_tables(p_ours, coalesce(p_settled, '{}'), false)) AS o ON o.object_type = m.object_type AND o.object_name = m.object_name
               AND (o.object_type NOT IN ('function', 'procedure', 'aggregate', 'domain') OR coalesce(p_settled, '{}') = '{}'
                    OR EXISTS (SELECT FROM unnest(p_base) AS b WHERE b.object_type = o.object_type AND b.object_name = o.object_name))
             WHERE m.hash IS DISTINCT FROM o.hash
               AND (m.object_type IN ('function', 'procedure', 'aggregate', 'trigger', 'policy', 'rule', 'view', 'materialized view')
                    OR (m.object_type = 'column' AND ROW(m.definition -> 'default', m.definition -> 'generated') IS DISTINCT FROM ROW(o.definition -> 'default', o.definition -> 'generated'))
                    OR (m.object_type IN ('constraint', 'index', 'domain') AND m.definition::text LIKE '%(%')));
END;
$$;

COMMENT ON FUNCTION pggit._code_in(pggit._schema_object[], pggit._schema_object[], pggit._schema_object[], text[]) IS
'The objects that a merge brings or changes and that have code in them, which somebody should have read: functions, triggers, policies, rules, views, defaults, and constraints and indexes with expressions.';
