CREATE OR REPLACE FUNCTION pggit._tree_entries(p_tree_id bigint)
    RETURNS SETOF pggit.schema_entries
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE chain AS (
        SELECT t.tree_id, t.parent_id, 0 AS age FROM pggit.schema_trees AS t WHERE t.tree_id = p_tree_id
        UNION ALL
        SELECT t.tree_id, t.parent_id, c.age + 1 FROM chain AS c JOIN pggit.schema_trees AS t ON t.tree_id = c.parent_id
    ), latest AS (
        SELECT DISTINCT ON (e.object_type, e.object_name) e.*
          FROM chain AS c JOIN pggit.schema_entries AS e ON e.tree_id = c.tree_id
         ORDER BY e.object_type, e.object_name, c.age
    )
    SELECT l.* FROM latest AS l WHERE l.hash IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION pggit._tree_entries(bigint) IS
'The objects of a tree, by the hashes of their definitions.';

CREATE OR REPLACE FUNCTION pggit._tree_objects(p_tree_id bigint)
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT e.object_type, e.object_name, e.parent, (SELECT d.definition FROM pggit.schema_definitions AS d WHERE d.hash = e.hash LIMIT 1), e.hash, e.table_id, e.column_id
      FROM pggit._tree_entries(p_tree_id) AS e;
$$;

COMMENT ON FUNCTION pggit._tree_objects(bigint) IS
'The objects of a tree with their definitions.';

CREATE OR REPLACE FUNCTION pggit._tree_digest(p_tree_id bigint)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT encode(sha256(convert_to(coalesce(string_agg(concat_ws('|', e.object_type, e.object_name, e.hash), E'\n' ORDER BY e.object_type, e.object_name), ''), 'UTF8')), 'hex')
              FROM pggit._tree_entries(p_tree_id) AS e);
END;
$$;

COMMENT ON FUNCTION pggit._tree_digest(bigint) IS
'What a tree is known by: the sha256 of the types, names and hashes of its objects.';

CREATE OR REPLACE FUNCTION pggit._tree_below(p_branch_id integer)
    RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT coalesce((SELECT p.tree_id FROM pggit.schema_places AS p WHERE pggit._mark_in(p.at, b.s) ORDER BY p.place_id DESC LIMIT 1),
                            (SELECT p.tree_id FROM pggit.schema_places AS p ORDER BY p.place_id LIMIT 1))
              FROM pggit.branch_bases AS b WHERE b.branch_id = p_branch_id AND p_branch_id <> 1);
END;
$$;

COMMENT ON FUNCTION pggit._tree_below(integer) IS
'The tree of main where a branch stands on it; before the first one that is known, that one.';

CREATE OR REPLACE FUNCTION pggit._objects_below(p_branch_id integer)
    RETURNS SETOF pggit._schema_object
    LANGUAGE plpgsql
AS $$
DECLARE
    v_objects pggit._schema_object[] := ARRAY(SELECT o FROM pggit._tree_objects(pggit._tree_below(p_branch_id)) AS o);
    v_renames jsonb;
BEGIN
    v_objects := v_objects || ARRAY(
        SELECT (m.object_type, m.object_name, m.parent, m.definition, m.hash, NULL, NULL)::pggit._schema_object
          FROM pggit.schema_moves AS m JOIN pggit.branch_bases AS s USING (branch_id)
         WHERE m.branch_id = p_branch_id AND NOT pggit._mark_in(m.at, s.s)
           AND NOT EXISTS (SELECT FROM unnest(v_objects) AS b WHERE b.object_type = m.object_type AND b.object_name = m.object_name));
    SELECT coalesce(jsonb_agg(jsonb_build_object('object_type', 'table', 'old_name', o.object_name, 'new_name', n.name, 'parent', o.parent,
                                                 'old_local', pggit._local_name(o), 'new_local', pggit._local_name((o.object_type, n.name, o.parent, NULL, NULL, NULL, NULL)::pggit._schema_object))), '[]')
      INTO v_renames
      FROM unnest(v_objects) AS o CROSS JOIN LATERAL pggit._shown_name(o.table_id, p_branch_id) AS n(name)
     WHERE o.object_type = 'table' AND n.name <> o.object_name;
    IF v_renames = '[]' THEN
        RETURN QUERY SELECT * FROM unnest(v_objects);
    ELSE
        RETURN QUERY SELECT * FROM pggit._rename_objects(v_objects, v_renames);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._objects_below(integer) IS
'The objects of main where a branch stands on it, and the types and sequences that have come to main from the branch since. Tables have the names that they have on the branch.';

CREATE OR REPLACE FUNCTION pggit._store_tree(p_branch_id integer, p_parent_id bigint)
    RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_depth integer := (SELECT t.depth + 1 FROM pggit.schema_trees AS t WHERE t.tree_id = p_parent_id AND t.depth < 50);
    v_tree  bigint;
BEGIN
    WITH now AS MATERIALIZED (
        SELECT o.object_type COLLATE "C" AS object_type, o.object_name COLLATE "C" AS object_name, o.parent, o.definition, o.hash, o.table_id, o.column_id
          FROM pggit._schema_objects(p_branch_id) AS o
    ), before AS MATERIALIZED (
        SELECT * FROM pggit._tree_entries(p_parent_id)
    ), changed AS MATERIALIZED (
        SELECT object_type, object_name, n.parent, n.definition, n.hash, n.table_id, n.column_id
          FROM now AS n FULL JOIN before AS b USING (object_type, object_name)
         WHERE (n.hash, n.parent, n.table_id, n.column_id) IS DISTINCT FROM (b.hash, b.parent, b.table_id, b.column_id)
    ), found AS MATERIALIZED (
        -- Held, for gc may be about to take one that nothing else refers to.
        SELECT d.hash FROM pggit.schema_definitions AS d WHERE d.hash IN (SELECT c.hash FROM changed AS c) FOR KEY SHARE OF d
    ), defined AS (
        INSERT INTO pggit.schema_definitions (hash, definition)
        SELECT DISTINCT ON (c.hash) c.hash, c.definition FROM changed AS c
         WHERE c.hash IS NOT NULL AND NOT EXISTS (SELECT FROM found AS d WHERE d.hash = c.hash)
    ), tree AS (
        INSERT INTO pggit.schema_trees (parent_id, depth, objects, digest)
        SELECT CASE WHEN v_depth IS NOT NULL THEN p_parent_id END, coalesce(v_depth, 0), (SELECT count(*) FROM now),
               (SELECT encode(sha256(convert_to(coalesce(string_agg(concat_ws('|', n.object_type, n.object_name, n.hash), E'\n' ORDER BY n.object_type, n.object_name), ''), 'UTF8')), 'hex') FROM now AS n)
         WHERE p_parent_id IS NULL OR EXISTS (SELECT FROM changed)
        RETURNING tree_id
    ), entered AS (
        INSERT INTO pggit.schema_entries (tree_id, object_type, object_name, parent, hash, table_id, column_id)
        SELECT t.tree_id, c.object_type, c.object_name, c.parent, c.hash, c.table_id, c.column_id FROM tree AS t, changed AS c WHERE v_depth IS NOT NULL
        UNION ALL
        SELECT t.tree_id, n.object_type, n.object_name, n.parent, n.hash, n.table_id, n.column_id FROM tree AS t, now AS n WHERE v_depth IS NULL
    )
    SELECT t.tree_id INTO v_tree FROM tree AS t;
    RETURN coalesce(v_tree, p_parent_id);
END;
$$;

COMMENT ON FUNCTION pggit._store_tree(integer, bigint) IS
'Stores the schema of a branch as it is now, as a difference from a tree, and returns it: that very tree where nothing is other. Every 50th tree is stored whole.';

CREATE OR REPLACE FUNCTION pggit._scan_schema(p_branch_id integer, p_at pggit._position)
    RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_scan      pggit.schema_scans;
    v_below     bigint;
    v_signature text := pggit._schema_signature(p_branch_id);
    v_tree      bigint;
BEGIN
    IF p_branch_id <> 1 AND NOT EXISTS (SELECT FROM pggit.schema_places) THEN
        PERFORM pggit._scan_schema(1, NULL);
    END IF;
    v_below := pggit._tree_below(p_branch_id);
    SELECT s.* INTO v_scan FROM pggit.schema_scans AS s WHERE s.branch_id = p_branch_id;
    IF v_scan.signature = v_signature AND v_scan.below IS NOT DISTINCT FROM v_below THEN
        RETURN v_scan.tree_id;
    END IF;

    v_tree := pggit._store_tree(p_branch_id, coalesce(v_scan.tree_id, v_below));
    INSERT INTO pggit.schema_scans AS s (branch_id, signature, below, tree_id) VALUES (p_branch_id, v_signature, v_below, v_tree)
        ON CONFLICT (branch_id) DO UPDATE SET signature = excluded.signature, below = excluded.below, tree_id = excluded.tree_id;
    IF p_branch_id = 1 AND v_tree IS DISTINCT FROM v_scan.tree_id THEN
        PERFORM pg_current_xact_id();
        INSERT INTO pggit.schema_places (at, tree_id)
        VALUES (CASE WHEN ((p_at).x).own IS NULL THEN pggit._mark_now() ELSE (p_at).x END, v_tree);
    END IF;
    RETURN v_tree;
END;
$$;

COMMENT ON FUNCTION pggit._scan_schema(integer, pggit._position) IS
'The tree of a branch as it is now, of which a commit at a position will be; the branch''s row is locked. Definitions are read only where the catalog has other versions of anything than at the last look.';

CREATE OR REPLACE FUNCTION pggit._objects_now(p_branch_id integer)
    RETURNS SETOF pggit._schema_object
    LANGUAGE plpgsql
AS $$
DECLARE
    v_scan pggit.schema_scans;
BEGIN
    SELECT s.* INTO v_scan FROM pggit.schema_scans AS s WHERE s.branch_id = p_branch_id;
    IF p_branch_id = 1 AND v_scan.signature = pggit._schema_signature(1) THEN
        RETURN QUERY SELECT * FROM pggit._tree_objects(v_scan.tree_id);
    ELSE
        RETURN QUERY SELECT * FROM pggit._schema_objects(p_branch_id);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._objects_now(integer) IS
'pggit._schema_objects; of main from the last look, if nothing in the catalog is other since.';

CREATE OR REPLACE FUNCTION pggit._tree_changes(p_from bigint, p_to bigint)
    RETURNS TABLE (object_type text, object_name text, change text, old_hash text, new_hash text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT object_type, object_name, CASE WHEN f.hash IS NULL THEN 'create' WHEN t.hash IS NULL THEN 'drop' ELSE 'alter' END, f.hash, t.hash
      FROM pggit._tree_entries(CASE WHEN p_from IS DISTINCT FROM p_to THEN p_from END) AS f
      FULL JOIN pggit._tree_entries(CASE WHEN p_from IS DISTINCT FROM p_to THEN p_to END) AS t USING (object_type, object_name)
     WHERE f.hash IS DISTINCT FROM t.hash;
$$;

COMMENT ON FUNCTION pggit._tree_changes(bigint, bigint) IS
'What is other in one tree than in another; NULL is the tree without objects.';

CREATE OR REPLACE FUNCTION pggit._schema_content(p_from bigint, p_to bigint)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT CASE WHEN count(*) = 0 THEN '{}' ELSE jsonb_build_object('schema', jsonb_build_object(
                       'created', count(*) FILTER (WHERE c.change = 'create'), 'altered', count(*) FILTER (WHERE c.change = 'alter'), 'dropped', count(*) FILTER (WHERE c.change = 'drop'),
                       'digest', encode(sha256(convert_to(string_agg(concat_ws('|', c.change, c.object_type, c.object_name, c.new_hash), E'\n'
                                                                     ORDER BY c.object_type COLLATE "C", c.object_name COLLATE "C"), 'UTF8')), 'hex'))) END
              FROM pggit._tree_changes(p_from, p_to) AS c);
END;
$$;

COMMENT ON FUNCTION pggit._schema_content(bigint, bigint) IS
'What a commit says of the schema: how many objects were created, altered and dropped, and a digest of these changes; empty when there is none.';

CREATE OR REPLACE FUNCTION pggit._parent_tree(p_parents text[], p_tree bigint)
    RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A parent of before schemas were recorded says nothing: its tree counts as this one.
    RETURN (SELECT CASE WHEN cardinality(p_parents) > 0 THEN coalesce((SELECT s.tree_id FROM pggit.schema_commits AS s WHERE s.commit_id = p_parents[1]), p_tree) END);
END;
$$;

COMMENT ON FUNCTION pggit._parent_tree(text[], bigint) IS
'The tree that a commit with these parents compares its own tree with; NULL for a first commit.';

CREATE OR REPLACE FUNCTION pggit._schema_tree(p_commit_id text)
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql STABLE
AS $$
    SELECT o.* FROM pggit.schema_commits AS s CROSS JOIN LATERAL pggit._tree_objects(s.tree_id) AS o WHERE s.commit_id = p_commit_id;
$$;

COMMENT ON FUNCTION pggit._schema_tree(text) IS
'The objects of the schema at a commit, as pggit._schema_objects gives those of now; none for commits of before schemas were recorded.';

CREATE OR REPLACE FUNCTION pggit._verify_schema()
    RETURNS TABLE (check_name text, object text, problem text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'schema definition', d.hash, 'the definition stored under this hash has another one'
      FROM pggit.schema_definitions AS d WHERE d.hash <> pggit._object_hash(d.definition)
    UNION ALL
    SELECT 'schema definition', e.object_type || ' ' || e.object_name, 'its definition is not stored'
      FROM pggit.schema_entries AS e WHERE e.hash IS NOT NULL AND NOT EXISTS (SELECT FROM pggit.schema_definitions AS d WHERE d.hash = e.hash)
    UNION ALL
    SELECT 'schema tree', t.tree_id::text, 'its objects are not those that its digest was made of' FROM pggit.schema_trees AS t WHERE t.digest <> pggit._tree_digest(t.tree_id)
    UNION ALL
    SELECT 'commit schema', c.commit_id, 'the stored schemas do not give the changes that were committed'
      FROM pggit.schema_commits AS s JOIN pggit.commits AS c USING (commit_id) CROSS JOIN LATERAL pggit._parent_tree(c.parents, s.tree_id) AS p(tree_id)
     WHERE (c.content -> 'schema') IS DISTINCT FROM (pggit._schema_content(p.tree_id, s.tree_id) -> 'schema');
$$;

COMMENT ON FUNCTION pggit._verify_schema() IS
'The part of pggit.verify that reads the stored schemas.';
