-- Changes of main's schema that nobody answers for.

CREATE OR REPLACE FUNCTION pggit._versioned_spaces()
    RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT ARRAY(SELECT quote_ident(s.base_schema) FROM pggit._schema_spaces(1) AS s WHERE s.is_whole
                         UNION SELECT format('%I.%I', t.schema_name, t.table_name) FROM pggit.tables AS t
                                WHERE t.untracked_at IS NULL AND t.on_main AND NOT EXISTS (SELECT FROM pggit.tracked_schemas AS s WHERE s.schema_name = t.schema_name)
                         ORDER BY 1));
END;
$$;

COMMENT ON FUNCTION pggit._versioned_spaces() IS
'What of main is versioned: whole schemas, and tables of schemas that are not tracked as a whole, by their quoted names.';

CREATE OR REPLACE FUNCTION pggit._is_within(p_object_type text, p_object_name text, p_parent text, p_spaces text[])
    RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT p_object_type = 'extension' OR ARRAY[p_object_name, p_parent, substring(p_object_name FROM '^(?:"(?:[^"]|"")*"|[^.]+)')] && p_spaces);
END;
$$;

COMMENT ON FUNCTION pggit._is_within(text, text, text, text[]) IS
'Whether an object is in one of these schemas or belongs to one of these tables; extensions are in all.';

CREATE OR REPLACE FUNCTION pggit._patch_tree(p_tree_id bigint, p_changes pggit._schema_object[])
    RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tree bigint;
BEGIN
    IF cardinality(p_changes) = 0 THEN
        RETURN p_tree_id;
    END IF;
    INSERT INTO pggit.schema_trees (parent_id, depth, objects, digest)
    SELECT CASE WHEN t.depth < 50 THEN t.tree_id END, CASE WHEN t.depth < 50 THEN t.depth + 1 ELSE 0 END, 0, '' FROM pggit.schema_trees AS t WHERE t.tree_id = p_tree_id
    RETURNING tree_id INTO v_tree;
    INSERT INTO pggit.schema_entries (tree_id, object_type, object_name, parent, hash, table_id, column_id)
    SELECT v_tree, c.object_type, c.object_name, c.parent, c.hash, c.table_id, c.column_id FROM unnest(p_changes) AS c
    UNION ALL
    SELECT v_tree, e.object_type, e.object_name, e.parent, e.hash, e.table_id, e.column_id
      FROM pggit.schema_trees AS t CROSS JOIN LATERAL pggit._tree_entries(p_tree_id) AS e
     WHERE t.tree_id = v_tree AND t.parent_id IS NULL AND NOT EXISTS (SELECT FROM unnest(p_changes) AS c WHERE c.object_type = e.object_type AND c.object_name = e.object_name);
    UPDATE pggit.schema_trees AS t SET digest = pggit._tree_digest(v_tree), objects = (SELECT count(*) FROM pggit._tree_entries(v_tree)) WHERE t.tree_id = v_tree;
    RETURN v_tree;
END;
$$;

COMMENT ON FUNCTION pggit._patch_tree(bigint, pggit._schema_object[]) IS
'A tree that is as another one but for these objects (hash NULL: without it). Their definitions are stored already.';

CREATE OR REPLACE FUNCTION pggit._accept_changes(p_from bigint, p_to bigint, p_chosen text[] DEFAULT '{}', p_others text[] DEFAULT '{}')
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pggit.accepted_schema AS a
       SET tree_id = CASE WHEN a.tree_id = p_from AND p_others = '{}' THEN p_to
                          ELSE pggit._patch_tree(a.tree_id, ARRAY(
                              SELECT (t.object_type, t.object_name, e.parent, NULL, e.hash, e.table_id, e.column_id)::pggit._schema_object
                                FROM pggit._tree_changes(p_from, p_to) AS t
                                LEFT JOIN pggit._tree_entries(p_to) AS e USING (object_type, object_name)
                                LEFT JOIN pggit._tree_entries(p_from) AS f USING (object_type, object_name)
                               WHERE t.object_name = ANY (p_chosen) OR NOT ARRAY[t.object_name, e.parent, f.parent] && p_others)) END
     WHERE p_from IS DISTINCT FROM p_to;
END;
$$;

COMMENT ON FUNCTION pggit._accept_changes(bigint, bigint, text[], text[]) IS
'Somebody answers for what changed between two trees of main, but for the objects p_others and, unless they are among p_chosen, what belongs to these.';

CREATE OR REPLACE FUNCTION pggit._accept_since(p_commit_id text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._accept_changes((SELECT s.tree_id FROM pggit.schema_commits AS s WHERE s.commit_id = p_commit_id), pggit._scan_schema(1, NULL));
END;
$$;

COMMENT ON FUNCTION pggit._accept_since(text) IS
'A merge into main has brought what is other than at a commit of main''s: that is no drift.';

CREATE OR REPLACE FUNCTION pggit._accept_new_spaces(p_tree_id bigint)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_spaces   text[] := pggit._versioned_spaces();
    v_accepted pggit.accepted_schema;
    v_tree     bigint;
BEGIN
    SELECT a.* INTO v_accepted FROM pggit.accepted_schema AS a;
    IF v_accepted.spaces = v_spaces THEN
        RETURN;
    END IF;
    v_tree := CASE WHEN v_accepted.tree_id IS NULL THEN p_tree_id
                   ELSE pggit._patch_tree(v_accepted.tree_id, ARRAY(
                       SELECT (object_type, object_name, n.parent, NULL, n.hash, n.table_id, n.column_id)::pggit._schema_object
                         FROM pggit._tree_entries(p_tree_id) AS n FULL JOIN pggit._tree_entries(v_accepted.tree_id) AS a USING (object_type, object_name)
                        WHERE n.hash IS DISTINCT FROM a.hash AND object_type <> 'extension'
                          AND pggit._is_within(object_type, object_name, coalesce(n.parent, a.parent), v_spaces) IS DISTINCT FROM pggit._is_within(object_type, object_name, coalesce(n.parent, a.parent), v_accepted.spaces))) END;
    INSERT INTO pggit.accepted_schema AS a (tree_id, spaces) VALUES (v_tree, v_spaces)
        ON CONFLICT (only_row) DO UPDATE SET tree_id = excluded.tree_id, spaces = excluded.spaces;
END;
$$;

COMMENT ON FUNCTION pggit._accept_new_spaces(bigint) IS
'With the first commit of main after a schema or table was tracked, it is accepted as it is then; what is not tracked any more is no drift.';

CREATE OR REPLACE FUNCTION pggit._drift()
    RETURNS TABLE (object_type text, object_name text, parent text, change text, old_name text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_accepted pggit.accepted_schema;
    v_spaces   text[];
    v_objects  pggit._schema_object[];
    v_now      bigint := (SELECT s.tree_id FROM pggit.schema_scans AS s WHERE s.branch_id = 1 AND s.signature = pggit._schema_signature(1));
BEGIN
    SELECT a.* INTO v_accepted FROM pggit.accepted_schema AS a;
    IF NOT FOUND OR v_now = v_accepted.tree_id THEN
        RETURN;
    END IF;
    IF v_now IS NULL THEN
        v_objects := ARRAY(SELECT o FROM pggit._schema_objects(1) AS o);
    ELSE
        v_objects := ARRAY(SELECT o FROM pggit._tree_objects(v_now) AS o);
    END IF;
    v_spaces := ARRAY(SELECT unnest(v_accepted.spaces) INTERSECT SELECT unnest(pggit._versioned_spaces()));
    RETURN QUERY
    SELECT c.object_type, c.object_name, c.parent, c.change, c.old_definition ->> 'name'
      FROM pggit._schema_changes(
            ARRAY(SELECT o FROM pggit._tree_objects(v_accepted.tree_id) AS o WHERE pggit._is_within(o.object_type, o.object_name, o.parent, v_spaces)
                    AND NOT EXISTS (SELECT FROM pggit.tracked_schemas AS s CROSS JOIN unnest(s.excluded) AS x WHERE format('%I.%I', s.schema_name, x) IN (o.object_name, o.parent))),
            ARRAY(SELECT o FROM unnest(v_objects) AS o WHERE pggit._is_within(o.object_type, o.object_name, o.parent, v_spaces))) AS c;
END;
$$;

COMMENT ON FUNCTION pggit._drift() IS
'What main has other than it was accepted. Definitions are read only where the catalog is another than at the last look.';

CREATE OR REPLACE FUNCTION pggit.schema_drift()
    RETURNS TABLE (object_kind text, object_name text, change text, changed_by text, changed_at timestamptz, statement text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN QUERY
    SELECT d.object_type, d.object_name, d.change, l.effective_role, l.changed_at, l.statement
      FROM pggit._drift() AS d LEFT JOIN LATERAL pggit._last_ddl(1, d.object_type, d.object_name, d.parent, d.old_name) AS l ON true
     ORDER BY l.changed_at, d.object_type COLLATE "C", d.object_name COLLATE "C";
END;
$$;

COMMENT ON FUNCTION pggit.schema_drift() IS
'Changes of main''s schema that nobody answers for: what is other now than it was accepted, but for what merges into main, pggit.apply_migration and deployments (pggit.begin_deployment) changed. One row an object, empty without drift.
A schema is accepted as it is at the first commit of main after it was tracked; pggit.accept_drift accepts what has changed since. A commit alone accepts nothing.
change is create, alter, drop or rename. changed_by (a role), changed_at and statement are those of the last DDL of the object, or of the table it belongs to, and NULL where no event trigger tells pggit of DDL. A statement is
told without comments, with … in place of what literals held, up to 8192 characters. Reads only. object_kind and object_name are object_type and object_name of pggit.diff_schema.';

CREATE OR REPLACE FUNCTION pggit._last_ddl(p_branch_id integer, p_object_type text, p_object_name text, p_parent text, p_old_name text DEFAULT NULL)
    RETURNS SETOF pggit.ddl_log
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT l.* FROM (SELECT o.* FROM pggit.ddl_log AS o WHERE o.branch_id = p_branch_id AND o.object_name IN (p_object_name, p_parent, p_old_name) AND o.object_type <> 'schema'
                     UNION ALL SELECT g.* FROM pggit.ddl_log AS g WHERE g.branch_id = p_branch_id AND g.object_name IS NULL
                                  AND lower(g.statement) ~ pggit._word(pggit._bare_name(regexp_replace(p_object_name, '^.*\.(?=(?:"(?:[^"]|"")*"|[^.]+)$)|\(.*', '', 'g')))) AS l
     ORDER BY (l.object_type, l.object_name) = (p_object_type, p_object_name)
              OR coalesce(lower(l.statement) ~ pggit._word(pggit._bare_name(substr(p_object_name, length(p_parent) + 2))), false) DESC, l.ddl_no DESC
     LIMIT 1;
$$;

COMMENT ON FUNCTION pggit._last_ddl(integer, text, text, text, text) IS
'The last statement in pggit.ddl_log that was about an object, or about the table it belongs to; of the latter rather one that names the object.';

CREATE OR REPLACE FUNCTION pggit.accept_drift(p_object text DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_main   pggit.branches := pggit._lock_branch(1);
    v_chosen text[];
    v_others text[];
    v_count  integer;
BEGIN
    WITH drifted AS MATERIALIZED (
        SELECT d.*, p_object IS NULL OR ARRAY[p_object, 'public.' || p_object] && ARRAY[d.object_name, d.parent] AS is_chosen FROM pggit._drift() AS d
    )
    SELECT array_remove(array_agg(n) FILTER (WHERE d.is_chosen), NULL), coalesce(array_remove(array_agg(n) FILTER (WHERE NOT d.is_chosen), NULL), '{}'),
           count(*) FILTER (WHERE d.is_chosen AND n = d.object_name)
      INTO v_chosen, v_others, v_count
      FROM drifted AS d CROSS JOIN unnest(ARRAY[d.object_name, d.old_name]) AS n;
    IF v_count = 0 AND p_object IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('%L is no object that has drifted', p_object),
            HINT    = 'SELECT object_name FROM pggit.schema_drift(); lists those that have.';
    END IF;
    PERFORM pggit._accept_changes(a.tree_id, pggit._scan_schema(v_main.branch_id, NULL), v_chosen, v_others) FROM pggit.accepted_schema AS a;
    RETURN v_count;
END;
$$;

COMMENT ON FUNCTION pggit.accept_drift(text) IS
'Accepts what pggit.schema_drift shows, of one object (its object_name; one of public also without the schema) and what belongs to it, or all of it; returns how many rows that were. It changes nothing else: a commit records the changes as ever.
Raises VG202 (nothing of that name has drifted), VG401.';
