CREATE OR REPLACE FUNCTION pggit.log(p_ref text DEFAULT 'HEAD', p_limit integer DEFAULT 50)
    RETURNS TABLE (commit_id text, parents text[], author text, message text, committed_at timestamptz, rows_changed bigint, objects_changed integer)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    IF p_limit < 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('p_limit is %s, but can''t be negative', p_limit);
    END IF;
    RETURN QUERY
    SELECT c.commit_id, c.parents, c.author, c.message, c.committed_at, c.rows_changed, c.objects_changed
      FROM pggit._ancestors(pggit._resolve(p_ref)) AS a JOIN pggit.commits AS c USING (commit_id)
     ORDER BY c.commit_no DESC
     LIMIT p_limit;
END;
$$;

COMMENT ON FUNCTION pggit.log(text, integer) IS
'A ref''s commits over all parents, newest first, at most p_limit (NULL: all).
rows_changed counts rows inserted, updated and deleted against the first parent, but not those that a table had when it began (also with another primary key, or made again); objects_changed counts objects of the schema that were created, altered or dropped. Raises
VG001, VG002, VG009, VG202, VG205.';

CREATE OR REPLACE FUNCTION pggit.show(p_ref text DEFAULT 'HEAD')
    RETURNS TABLE (commit_id text, parents text[], author text, message text, committed_at timestamptz, rows_changed bigint, objects_changed integer, changes jsonb)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN QUERY
    SELECT c.commit_id, c.parents, c.author, c.message, c.committed_at, c.rows_changed, c.objects_changed,
           CASE WHEN c.content ? 'schema' THEN jsonb_set(c.content, '{schema,objects}', coalesce(
               (SELECT jsonb_agg(jsonb_build_object('type', o.object_type, 'name', o.object_name, 'change', o.change) ORDER BY o.object_type COLLATE "C", o.object_name COLLATE "C")
                  FROM pggit.schema_commits AS s CROSS JOIN LATERAL pggit._tree_changes(pggit._parent_tree(c.parents, s.tree_id), s.tree_id) AS o WHERE s.commit_id = c.commit_id), '[]')) ELSE c.content END
      FROM pggit.commits AS c
     WHERE c.commit_id = pggit._resolve(p_ref);
END;
$$;

COMMENT ON FUNCTION pggit.show(text) IS
'One commit (HEAD when none is given) as pggit.log shows it, and its changes: an object with a member a table, {inserted, updated, deleted, digest} against the first parent, and
{tracked: {rows, digest, columns}} where the table came under version control, {reshaped: {columns}} where its columns changed (with rows and digest where what they held before
was not saved); and, where the schema changed, {schema: {created, altered, dropped, digest, objects: [{type, name, change}]}}. Raises VG001, VG002, VG009, VG205.';
