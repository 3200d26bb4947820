-- Versions of functions: of each overload the definitions that main's commits have, and those that were noted between them.

CREATE OR REPLACE FUNCTION pggit._current_functions(p_function text)
    RETURNS SETOF pggit._schema_object
    LANGUAGE sql
AS $$
    SELECT o.* FROM pggit._schema_objects(1) AS o
     WHERE o.object_type IN ('function', 'procedure', 'aggregate')
       AND (o.object_name IN (p_function, 'public.' || p_function) OR left(o.object_name, strpos(o.object_name, '(') - 1) IN (p_function, 'public.' || p_function));
$$;

COMMENT ON FUNCTION pggit._current_functions(text) IS
'The function of a name with its argument types, or all that are called so, as main has them now.';

CREATE OR REPLACE FUNCTION pggit._function_versions(p_function text)
    RETURNS TABLE (function_name text, object_type text, version integer, hash text, definition jsonb, recorded_at timestamptz, recorded_by text, commit_id text, is_current boolean)
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE line AS (
        SELECT c.commit_id, c.parents, c.author, c.committed_at, c.content ? 'schema' AS is_changed FROM pggit.branches AS b JOIN pggit.commits AS c ON c.commit_id = b.head WHERE b.branch_id = 1
        UNION ALL
        SELECT c.commit_id, c.parents, c.author, c.committed_at, c.content ? 'schema' FROM line AS l JOIN pggit.commits AS c ON c.commit_id = l.parents[1]
    ), seen AS MATERIALIZED (
        SELECT e.object_name, e.object_type, e.hash, l.committed_at AS recorded_at, l.author AS recorded_by, l.commit_id
          FROM line AS l JOIN pggit.schema_commits AS s USING (commit_id) CROSS JOIN LATERAL pggit._tree_entries(s.tree_id) AS e
         WHERE l.is_changed AND e.object_type IN ('function', 'procedure', 'aggregate')
           AND (e.object_name IN (p_function, 'public.' || p_function) OR left(e.object_name, strpos(e.object_name, '(') - 1) IN (p_function, 'public.' || p_function))
        UNION ALL
        SELECT n.function_name, CASE WHEN d.definition ? 'sfunc' THEN 'aggregate' WHEN d.definition ? 'result' THEN 'function' ELSE 'procedure' END, n.hash, n.noted_at, n.noted_by, NULL
          FROM pggit.function_notes AS n CROSS JOIN LATERAL (SELECT d.definition FROM pggit.schema_definitions AS d WHERE d.hash = n.hash LIMIT 1) AS d
         WHERE n.function_name IN (p_function, 'public.' || p_function) OR left(n.function_name, strpos(n.function_name, '(') - 1) IN (p_function, 'public.' || p_function)
    ), changed AS MATERIALIZED (
        SELECT s.*, lag(s.hash) OVER (PARTITION BY s.object_name ORDER BY s.recorded_at, s.commit_id NULLS FIRST) AS before FROM seen AS s
    ), numbered AS MATERIALIZED (
        SELECT c.*, row_number() OVER (PARTITION BY c.object_name ORDER BY c.recorded_at, c.commit_id NULLS FIRST)::integer AS version FROM changed AS c WHERE c.hash IS DISTINCT FROM c.before
    )
    SELECT n.object_name, n.object_type, n.version, n.hash, (SELECT d.definition FROM pggit.schema_definitions AS d WHERE d.hash = n.hash LIMIT 1), n.recorded_at, n.recorded_by, n.commit_id,
           n.version = max(n.version) OVER (PARTITION BY n.object_name) AND EXISTS (SELECT FROM pggit._current_functions(n.object_name) AS f WHERE f.hash = n.hash)
      FROM numbered AS n
     ORDER BY n.object_name COLLATE "C", n.version;
    IF NOT FOUND AND NOT EXISTS (SELECT FROM pggit._current_functions(p_function)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG010', SCHEMA = 'pggit',
            MESSAGE = CASE WHEN p_function IS NULL THEN 'the name of the function is NULL' ELSE format('no tracked schema has, or had, a function %L', p_function) END,
            HINT    = 'Names are as pggit.diff_schema shows them: public.f(integer), or public.f for all that are called so. pggit.track_schema tracks a schema.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._function_versions(text) IS
'The versions of a function, or of all that are called so, by the order in which they were recorded on main; a definition that only repeats the one before is none. Raises VG010.';

CREATE OR REPLACE FUNCTION pggit._only_function(p_function text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_names text[] := ARRAY(SELECT DISTINCT n FROM (SELECT v.function_name FROM pggit._function_versions(p_function) AS v UNION SELECT f.object_name FROM pggit._current_functions(p_function) AS f) AS u(n) ORDER BY n);
BEGIN
    IF cardinality(v_names) > 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('more than one function is called %L: %s', p_function, array_to_string(v_names, ', ')),
            HINT    = 'Name it with its argument types.';
    END IF;
    RETURN v_names[1];
END;
$$;

COMMENT ON FUNCTION pggit._only_function(text) IS
'The full name of the one function that is meant. Raises VG010, VG202.';

CREATE OR REPLACE FUNCTION pggit._note_function(p_name text)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_now pggit._schema_object;
BEGIN
    SELECT f.* INTO v_now FROM pggit._current_functions(p_name) AS f WHERE f.object_name = p_name;
    IF v_now IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG010', SCHEMA = 'pggit',
            MESSAGE = format('there is no function %s now', p_name),
            HINT    = format('SELECT pggit.rollback_function(%L, …); brings a version back.', p_name);
    END IF;
    IF NOT EXISTS (SELECT FROM pggit._function_versions(p_name) AS v WHERE v.function_name = p_name AND v.is_current) THEN
        -- Held, for gc may be about to take one that nothing else refers to.
        PERFORM FROM pggit.schema_definitions AS d WHERE d.hash = v_now.hash FOR KEY SHARE;
        IF NOT FOUND THEN
            INSERT INTO pggit.schema_definitions (hash, definition) VALUES (v_now.hash, v_now.definition);
        END IF;
        INSERT INTO pggit.function_notes (function_name, hash, noted_by) VALUES (p_name, v_now.hash, pggit._actor());
    END IF;
    RETURN (SELECT max(v.version) FROM pggit._function_versions(p_name) AS v WHERE v.function_name = p_name);
END;
$$;

COMMENT ON FUNCTION pggit._note_function(text) IS
'Notes a function as it is now, unless its last version is just that, and returns its version.';

CREATE OR REPLACE FUNCTION pggit.track_function(p_function text)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN pggit._note_function(pggit._only_function(p_function));
END;
$$;

COMMENT ON FUNCTION pggit.track_function(text) IS
'Notes a function of main as it is now as a version of it, without a commit, and returns the version; the last one where nothing has changed since. Commits record all functions of tracked schemas by themselves: this is for what changes between two of them.
p_function is public.f(integer), or public.f where one function alone is called so; without a schema it is one of public. Raises VG010 (no such function in a tracked schema, or NULL), VG202 (several are called so).';

CREATE OR REPLACE FUNCTION pggit.list_function_versions(p_function text)
    RETURNS TABLE (function_name text, version integer, arguments text, result text, language text, source text, recorded_at timestamptz, recorded_by text, commit_id text, is_current boolean)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN QUERY
    SELECT v.function_name, v.version, v.definition ->> 'arguments', v.definition ->> 'result', v.definition ->> 'language', v.definition ->> 'body', v.recorded_at, v.recorded_by, v.commit_id, v.is_current
      FROM pggit._function_versions(p_function) AS v;
END;
$$;

COMMENT ON FUNCTION pggit.list_function_versions(text) IS
'The versions of a function, from 1, or of each function that is called so: those that commits of main have and those that pggit.track_function and pggit.rollback_function noted (commit_id NULL). function_name has the argument types; arguments has names and
defaults too; result, language and source are NULL for what has none (procedures, aggregates). is_current: main has it like that now. Functions that are gone keep their versions; none is listed of one that is in no commit yet. Raises VG010.';

CREATE OR REPLACE FUNCTION pggit._function_version(p_function text, p_version integer)
    RETURNS pggit._schema_object
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name  text := pggit._only_function(p_function);
    v_found pggit._schema_object;
BEGIN
    SELECT v.object_type, v.function_name, quote_ident(n.nspname), v.definition, v.hash, NULL, NULL INTO v_found
      FROM pggit._function_versions(v_name) AS v LEFT JOIN pg_namespace AS n ON starts_with(v.function_name, quote_ident(n.nspname) || '.')
     WHERE v.function_name = v_name AND v.version = coalesce(p_version, v.version) ORDER BY v.version DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG010', SCHEMA = 'pggit',
            MESSAGE = format('function %s has no version %s', v_name, coalesce(p_version::text, 'yet')),
            HINT    = format('SELECT version FROM pggit.list_function_versions(%L); lists them.', v_name);
    END IF;
    RETURN v_found;
END;
$$;

COMMENT ON FUNCTION pggit._function_version(text, integer) IS
'A version of a function (NULL: the last one). Raises VG010, VG202.';

CREATE OR REPLACE FUNCTION pggit.get_function_version(p_function text, p_version integer DEFAULT NULL)
    RETURNS TABLE (function_name text, version integer, arguments text, result text, language text, source text, definition jsonb, recorded_at timestamptz, recorded_by text, commit_id text, is_current boolean)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_found pggit._schema_object := pggit._function_version(p_function, p_version);
BEGIN
    RETURN QUERY
    SELECT v.function_name, v.version, v.definition ->> 'arguments', v.definition ->> 'result', v.definition ->> 'language', v.definition ->> 'body', v.definition, v.recorded_at, v.recorded_by, v.commit_id, v.is_current
      FROM pggit._function_versions(v_found.object_name) AS v
     WHERE v.function_name = v_found.object_name AND v.version <= coalesce(p_version, v.version) ORDER BY v.version DESC LIMIT 1;
END;
$$;

COMMENT ON FUNCTION pggit.get_function_version(text, integer) IS
'One version of a function as pggit.list_function_versions gives it (NULL: the last one), with all fields of its definition. Raises VG010 (no such function or version), VG202 (several are called so: name its argument types).';

CREATE OR REPLACE FUNCTION pggit.diff_function_versions(p_function text, p_from integer, p_to integer DEFAULT NULL)
    RETURNS TABLE (field text, old_value text, new_value text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_from pggit._schema_object := pggit._function_version(p_function, coalesce(p_from, 0));
    v_to   pggit._schema_object := pggit._function_version(p_function, p_to);
BEGIN
    RETURN QUERY
    SELECT CASE f.key WHEN 'body' THEN 'source' ELSE f.key END, o.value, n.value
      FROM (SELECT jsonb_object_keys(v_from.definition) UNION SELECT jsonb_object_keys(v_to.definition)) AS f(key)
     CROSS JOIN LATERAL (SELECT v_from.definition ->> f.key) AS o(value) CROSS JOIN LATERAL (SELECT v_to.definition ->> f.key) AS n(value)
     WHERE o.value IS DISTINCT FROM n.value
     ORDER BY f.key COLLATE "C";
END;
$$;

COMMENT ON FUNCTION pggit.diff_function_versions(text, integer, integer) IS
'What is other in one version of a function than in another (NULL: the last one), field by field: source, arguments, result, language, volatility, security_definer, settings, comment, grants and so on; NULL where a version has no such field. Empty where they
are the same. Raises VG010 (no such function or version), VG202.';

CREATE OR REPLACE FUNCTION pggit.rollback_function(p_function text, p_version integer)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_then pggit._schema_object := pggit._function_version(p_function, coalesce(p_version, 0));
    v_now  pggit._schema_object[];
BEGIN
    v_now := ARRAY(SELECT f FROM pggit._current_functions(v_then.object_name) AS f WHERE f.object_name = v_then.object_name);
    IF v_now <> '{}' THEN
        PERFORM pggit._note_function(v_then.object_name);
    END IF;
    PERFORM pggit._apply_steps(v_now, ARRAY[v_then], pggit._branch((SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = 1)), true);
    RETURN pggit._note_function(v_then.object_name);
END;
$$;

COMMENT ON FUNCTION pggit.rollback_function(text, integer) IS
'Makes a function of main again what it was in a version, with its comment and grants, and returns the new version that this is (the last one, if it is like that already). What it was before is noted first, so nothing is lost. One that is gone is made
again, and belongs to who calls this. One with another result is dropped and made anew, which PostgreSQL refuses where something depends on it (2BP01). Nothing is committed; it is no drift. Raises VG010 (no such function or version, or NULL), VG202.';
