-- Semantic versions of objects: what each commit's change of one means to those who use it.

CREATE OR REPLACE FUNCTION pggit._change_level(p_object_type text, p_old jsonb, p_new jsonb)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (WITH differing AS MATERIALIZED (
                SELECT coalesce(array_agg(key), '{}') AS fields FROM jsonb_each(p_old) AS o FULL JOIN jsonb_each(p_new) AS n USING (key)
                 WHERE o.value IS DISTINCT FROM n.value AND key NOT IN ('comment', 'grants', 'column_comments', 'column_grants', 'options', 'statistics', 'storage', 'compression', 'cost', 'rows', 'parallel')
            )
            SELECT CASE
                WHEN p_old IS NULL THEN
                    CASE WHEN p_object_type = 'column' THEN CASE WHEN p_new ? 'not_null' AND NOT p_new ?| ARRAY['default', 'generated', 'identity'] THEN 'major' ELSE 'minor' END
                         WHEN p_object_type IN ('constraint', 'policy', 'rule') OR (p_object_type = 'index' AND p_new ? 'unique') THEN 'major'
                         WHEN p_object_type IN ('index', 'statistics') THEN 'patch' ELSE 'minor' END
                WHEN p_new IS NULL THEN
                    CASE WHEN p_object_type IN ('trigger') OR (p_object_type = 'constraint' AND p_old ->> 'kind' NOT IN ('primary key', 'unique')) THEN 'minor'
                         WHEN p_object_type = 'statistics' OR (p_object_type = 'index' AND NOT p_old ? 'unique') THEN 'patch' ELSE 'major' END
                WHEN p_old ? 'name' THEN 'major'
                WHEN d.fields = '{}' THEN 'patch'
                WHEN p_object_type = 'column' THEN
                    CASE WHEN d.fields && ARRAY['type', 'collation', 'generated', 'generated_kind', 'identity'] OR p_new ? 'not_null' AND NOT p_old ? 'not_null' THEN 'major'
                         WHEN d.fields && ARRAY['not_null', 'default'] THEN 'minor' ELSE 'patch' END
                WHEN p_object_type IN ('view', 'materialized view') THEN
                    CASE WHEN NOT (p_new -> 'columns') @> (p_old -> 'columns') THEN 'major' WHEN (p_new -> 'columns') <> (p_old -> 'columns') THEN 'minor' ELSE 'patch' END
                WHEN p_object_type IN ('function', 'procedure', 'aggregate') THEN
                    CASE WHEN d.fields && ARRAY['arguments', 'result'] THEN 'major' WHEN d.fields <@ ARRAY['body', 'parsed', 'language', 'volatility', 'support', 'settings', 'transforms'] THEN 'patch' ELSE 'minor' END
                WHEN p_object_type = 'type' THEN
                    CASE WHEN (p_new -> 'labels') @> (p_old -> 'labels') OR (p_new -> 'attributes') @> (p_old -> 'attributes') THEN 'minor' ELSE 'major' END
                WHEN p_object_type = 'domain' THEN CASE WHEN d.fields = ARRAY['default'] THEN 'minor' ELSE 'major' END
                WHEN p_object_type = 'sequence' THEN CASE WHEN 'type' = ANY (d.fields) THEN 'major' ELSE 'patch' END
                WHEN p_object_type IN ('index', 'trigger', 'schema', 'statistics') THEN CASE WHEN p_old ? 'unique' OR p_new ? 'unique' THEN 'major' WHEN p_object_type = 'trigger' THEN 'minor' ELSE 'patch' END
                WHEN p_object_type = 'table' THEN CASE WHEN d.fields <@ ARRAY['replica_identity', 'clustered_on', 'access_method', 'unlogged'] THEN 'patch' ELSE 'major' END
                ELSE 'major' END
              FROM differing AS d);
END;
$$;

COMMENT ON FUNCTION pggit._change_level(text, jsonb, jsonb) IS
'What a change of an object means to who uses it: major, something that worked may fail or mean something else; minor, there is something new or less is demanded; patch, neither. NULL: not there.';

CREATE OR REPLACE FUNCTION pggit._require_object(p_object text, p_objects pggit._schema_object[])
    RETURNS pggit._schema_object
    LANGUAGE plpgsql
AS $$
DECLARE
    v_object pggit._schema_object;
BEGIN
    SELECT o.* INTO v_object FROM unnest(p_objects) AS o
     WHERE o.object_name IN (p_object, 'public.' || p_object) OR regexp_replace(o.object_name, '\(.*$', '') IN (p_object, 'public.' || p_object)
     ORDER BY o.object_name <> p_object, o.object_name <> 'public.' || p_object, o.object_type LIMIT 1;
    IF v_object IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG010', SCHEMA = 'pggit',
            MESSAGE = CASE WHEN p_object IS NULL THEN 'the name of the object is NULL' ELSE format('there is no versioned object %L', p_object) END,
            HINT    = 'Names are as pggit.diff_schema shows them: public.orders, public.orders.total, public.f(integer). SELECT object_name FROM pggit.export_schema_hashes(); lists them.';
    END IF;
    RETURN v_object;
END;
$$;

COMMENT ON FUNCTION pggit._require_object(text, pggit._schema_object[]) IS
'The object of a name among some: without a schema one of public, without arguments the first function called so. Raises VG010.';

CREATE OR REPLACE FUNCTION pggit._object_with_parts(p_object pggit._schema_object, p_tree_id bigint)
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT ARRAY(SELECT (e.object_type, e.object_name, e.parent, (SELECT d.definition FROM pggit.schema_definitions AS d WHERE d.hash = e.hash LIMIT 1), e.hash, e.table_id, e.column_id)::pggit._schema_object
                           FROM pggit._tree_entries(p_tree_id) AS e
                          WHERE CASE WHEN p_object.object_type = 'table' AND p_object.table_id IS NOT NULL THEN e.table_id = p_object.table_id
                                     WHEN p_object.object_type = 'column' AND p_object.column_id IS NOT NULL THEN e.object_type = 'column' AND (e.table_id, e.column_id) = (p_object.table_id, p_object.column_id)
                                     ELSE (e.object_type, e.object_name) = (p_object.object_type, p_object.object_name) OR (p_object.object_type <> 'schema' AND e.parent = p_object.object_name) END));
END;
$$;

COMMENT ON FUNCTION pggit._object_with_parts(pggit._schema_object, bigint) IS
'An object as it is in a tree, whatever a table''s or column''s name is there, with what belongs to it.';

CREATE OR REPLACE FUNCTION pggit._object_versions(p_object pggit._schema_object, p_commit_id text)
    RETURNS TABLE (commit_id text, committed_at timestamptz, level text, version integer[])
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_commit record;
    v_before pggit._schema_object[] := '{}';
    v_now    pggit._schema_object[];
BEGIN
    FOR v_commit IN
        WITH RECURSIVE line AS (
            SELECT c.commit_id, c.commit_no, c.parents, c.committed_at, c.content ? 'schema' AS is_changed FROM pggit.commits AS c WHERE c.commit_id = p_commit_id
            UNION ALL
            SELECT c.commit_id, c.commit_no, c.parents, c.committed_at, c.content ? 'schema' FROM line AS l JOIN pggit.commits AS c ON c.commit_id = l.parents[1]
        ), places AS (
            SELECT l.*, row_number() OVER (ORDER BY l.commit_no) AS place, s.tree_id, NULL::text AS raised FROM line AS l LEFT JOIN pggit.schema_commits AS s USING (commit_id)
        )
        SELECT p.* FROM places AS p WHERE p.is_changed AND p.tree_id IS NOT NULL
        UNION ALL
        SELECT p.commit_id, p.commit_no, p.parents, r.raised_at, true, p.place, p.tree_id, r.level FROM places AS p JOIN pggit.raised_versions AS r USING (commit_id)
         WHERE r.object_type = p_object.object_type AND CASE WHEN p_object.table_id IS NULL THEN r.object_name = p_object.object_name ELSE (r.table_id, coalesce(r.column_id, 0)) = (p_object.table_id, coalesce(p_object.column_id, 0)) END
         ORDER BY place, raised NULLS FIRST, committed_at
    LOOP
        v_now := CASE WHEN v_commit.raised IS NULL THEN pggit._object_with_parts(p_object, v_commit.tree_id) ELSE v_before END;
        CONTINUE WHEN v_commit.raised IS NULL AND v_now = v_before;
        level := CASE WHEN v_commit.raised IS NOT NULL THEN v_commit.raised WHEN v_now = '{}' THEN NULL WHEN v_before = '{}' THEN 'major'
                      ELSE (SELECT (ARRAY['major', 'minor', 'patch'])[min(array_position(ARRAY['major', 'minor', 'patch'], pggit._change_level(c.object_type, c.old_definition, c.new_definition)))]
                              FROM pggit._schema_changes(v_before, v_now) AS c) END;
        v_before := v_now;
        CONTINUE WHEN level IS NULL;
        commit_id    := v_commit.commit_id;
        committed_at := v_commit.committed_at;
        version      := CASE level WHEN 'major' THEN ARRAY[coalesce(version[1], 0) + 1, 0, 0] WHEN 'minor' THEN ARRAY[version[1], version[2] + 1, 0] ELSE ARRAY[version[1], version[2], version[3] + 1] END;
        RETURN NEXT;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._object_versions(pggit._schema_object, text) IS
'The versions of an object along the first parents of a commit, oldest first: a change by a merge is one of the merge.';

CREATE OR REPLACE FUNCTION pggit.get_version(p_object text, p_ref text DEFAULT 'HEAD')
    RETURNS TABLE (object_type text, object_name text, version text, commit_id text, changed_at timestamptz)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_object pggit._schema_object := pggit._require_object(p_object, ARRAY(SELECT o FROM pggit._objects_at(coalesce(nullif(p_ref, 'WORKING'), 'HEAD')) AS o));
BEGIN
    RETURN QUERY
    SELECT v_object.object_type, v_object.object_name, array_to_string(v.version, '.'), v.commit_id, v.committed_at
      FROM pggit._object_versions(v_object, pggit._resolve(coalesce(nullif(p_ref, 'WORKING'), 'HEAD'))) AS v ORDER BY v.version DESC LIMIT 1;
END;
$$;

COMMENT ON FUNCTION pggit.get_version(text, text) IS
'The semantic version of one object of the schema at a ref, and the commit that made it. 1.0.0 is the object as it was first committed. Each later commit along first parents that changed it or what belongs to it (a table''s columns,
constraints, indexes, triggers) raises it: major, where something that worked may fail (a column dropped, renamed or retyped, a new constraint, NOT NULL, unique index or policy, a view without a column, a function with other arguments or
another result, labels of an enum gone, the object dropped and made again); minor, where there is something new or less is demanded; patch otherwise. pggit.increment_version raises it by hand. Tables and columns keep theirs when they are renamed.
What is not committed yet does not count. Raises VG010 (no such object at p_ref, or NULL), VG001, VG002, VG009, VG205, VG306.';

CREATE OR REPLACE FUNCTION pggit.increment_version(p_object text, p_level text DEFAULT 'patch')
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_commit text := pggit._resolve('HEAD');
    v_object pggit._schema_object := pggit._require_object(p_object, ARRAY(SELECT o FROM pggit._objects_at('HEAD') AS o));
BEGIN
    IF p_level IS NULL OR p_level NOT IN ('major', 'minor', 'patch') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('the level %s is none of major, minor and patch', coalesce(quote_literal(p_level), 'NULL'));
    END IF;
    INSERT INTO pggit.raised_versions (commit_id, object_type, object_name, table_id, column_id, level, raised_by)
    VALUES (v_commit, v_object.object_type, v_object.object_name, v_object.table_id, v_object.column_id, p_level, pggit._actor());
    RETURN (SELECT v.version FROM pggit.get_version(v_object.object_name) AS v);
END;
$$;

COMMENT ON FUNCTION pggit.increment_version(text, text) IS
'Raises the version (pggit.get_version) of an object at the head of the session''s branch by hand, by a major, minor or patch step, and returns it. It belongs to that commit: branches that have it have the version. Nothing else changes.
Raises VG010 (no such object), VG202 (another level), VG009.';

CREATE OR REPLACE FUNCTION pggit.compute_ddl_hash(p_object_type text, p_schema_name text, p_object_name text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_object pggit._schema_object;
    v_all    pggit._schema_object[] := ARRAY(SELECT o FROM pggit._objects_at('WORKING') AS o);
BEGIN
    v_object := pggit._require_object(quote_ident(p_schema_name) || '.' || p_object_name,
                                      ARRAY(SELECT o FROM unnest(v_all) AS o WHERE o.object_type = lower(p_object_type) AND o.object_name NOT LIKE '%(%'
                                            UNION ALL SELECT o FROM unnest(v_all) AS o WHERE o.object_type = lower(p_object_type) AND o.object_name LIKE '%(%'));
    RETURN (SELECT encode(sha256(convert_to(string_agg(concat_ws('|', o.object_type, o.object_name, o.hash), E'\n' ORDER BY o.object_type COLLATE "C", o.object_name COLLATE "C"), 'UTF8')), 'hex')
              FROM unnest(v_all) AS o
             WHERE (o.object_type, o.object_name) = (v_object.object_type, v_object.object_name) OR (v_object.object_type <> 'schema' AND o.parent = v_object.object_name));
END;
$$;

COMMENT ON FUNCTION pggit.compute_ddl_hash(text, text, text) IS
'The sha256 of an object of the session''s branch as it is now with all that belongs to it: of a table also its columns, constraints, indexes, triggers and policies. The same for the same object on every server of one PostgreSQL version.
p_object_type is one of pggit.diff_schema, such as table, view or function; p_schema_name has no quotes; p_object_name is quoted where SQL needs it, a function with or without its arguments. Raises VG010 (no such object, or NULL).';

CREATE OR REPLACE FUNCTION pggit.detect_schema_changes(p_branch text DEFAULT NULL)
    RETURNS TABLE (object_type text, object_name text, change text, level text, changed_by text, changed_at timestamptz, statement text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
BEGIN
    PERFORM pggit._follow_changed();
    RETURN QUERY
    SELECT c.object_type, c.object_name, c.change, pggit._change_level(c.object_type, c.old_definition, c.new_definition), l.effective_role, l.changed_at, l.statement
      FROM pggit._schema_changes(ARRAY(SELECT o FROM pggit.schema_commits AS s CROSS JOIN LATERAL pggit._tree_objects(s.tree_id) AS o WHERE s.commit_id = v_branch.head),
                                 ARRAY(SELECT o FROM pggit._schema_objects(v_branch.branch_id) AS o)) AS c
      LEFT JOIN LATERAL pggit._last_ddl(v_branch.branch_id, c.object_type, c.object_name, c.parent, c.old_definition ->> 'name') AS l ON true
     ORDER BY c.object_type COLLATE "C", c.object_name COLLATE "C";
END;
$$;

COMMENT ON FUNCTION pggit.detect_schema_changes(text) IS
'What is other in the schema of a branch (NULL: the session''s) than in its last commit, one row an object, as pggit.diff_schema tells it; of a branch without commits all there is. level is what it means to who uses the object: major, minor or patch
(pggit.get_version). Who, when and by which statement is as in pggit.schema_drift. Empty where nothing has changed. Raises VG001.';
