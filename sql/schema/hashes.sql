CREATE OR REPLACE FUNCTION pggit.export_schema_hashes(p_ref text DEFAULT 'WORKING')
    RETURNS TABLE (object_type text, object_name text, hash text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN QUERY SELECT o.object_type, o.object_name, o.hash FROM pggit._objects_at(p_ref) AS o ORDER BY o.object_type COLLATE "C", o.object_name COLLATE "C";
END;
$$;

COMMENT ON FUNCTION pggit.export_schema_hashes(text) IS
'The objects of the schema at a ref (WORKING: the current branch as it is now), each with the sha256 of its definition, for a comparison with another database of the same PostgreSQL version.
Raises VG001, VG002, VG009, VG205, VG306.';

CREATE OR REPLACE FUNCTION pggit.calculate_schema_hash(p_ref text DEFAULT 'WORKING')
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN (SELECT encode(sha256(convert_to(coalesce(string_agg(concat_ws('|', h.object_type, h.object_name, h.hash), E'\n' ORDER BY h.object_type COLLATE "C", h.object_name COLLATE "C"), ''), 'UTF8')), 'hex')
              FROM pggit.export_schema_hashes(p_ref) AS h);
END;
$$;

COMMENT ON FUNCTION pggit.calculate_schema_hash(text) IS
'One sha256 of all of the schema at a ref (WORKING: the current branch as it is now): the same for the same objects, on every server of one PostgreSQL version. Raises VG001, VG002, VG009, VG205, VG306.';

CREATE OR REPLACE FUNCTION pggit.get_history(p_object text, p_ref text DEFAULT 'HEAD')
    RETURNS TABLE (commit_id text, committed_at timestamptz, author text, message text, object_type text, change text, definition jsonb, changed_by text, changed_at timestamptz, statement text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN QUERY
    SELECT c.commit_id, c.committed_at, c.author, c.message, t.object_type, t.change, (SELECT d.definition FROM pggit.schema_definitions AS d WHERE d.hash = t.new_hash LIMIT 1),
           l.effective_role, l.changed_at, l.statement
      FROM pggit._ancestors(pggit._resolve(p_ref)) AS a
      JOIN pggit.commits AS c USING (commit_id)
      JOIN pggit.schema_commits AS s USING (commit_id)
     CROSS JOIN LATERAL pggit._tree_changes(pggit._parent_tree(c.parents, s.tree_id), s.tree_id) AS t
      LEFT JOIN LATERAL (
          SELECT d.* FROM pggit.ddl_log AS d
           WHERE d.branch_id = c.branch_id AND d.object_name IN (t.object_name, CASE WHEN t.object_type IN ('column', 'constraint', 'trigger', 'policy', 'rule') THEN regexp_replace(t.object_name, '\.(?:"(?:[^"]|"")*"|[^."]+)$', '') END)
             AND pggit._mark_in((NULL, d._xid, d._seq)::pggit._mark, (c.at).x) AND (c.since IS NULL OR NOT pggit._mark_in((NULL, d._xid, d._seq)::pggit._mark, (c.since).x))
           ORDER BY (d.object_type, d.object_name) = (t.object_type, t.object_name) DESC, d.ddl_no DESC LIMIT 1) AS l ON true
     WHERE c.content ? 'schema' AND t.object_name IN (p_object, 'public.' || p_object)
     ORDER BY c.commit_no DESC, t.object_type;
END;
$$;

COMMENT ON FUNCTION pggit.get_history(text, text) IS
'The commits that made, changed or dropped an object of the schema, newest first, with its definition after each (NULL: dropped). p_object is a name as pggit.diff_schema shows it, such as public.orders, public.orders.total or
public.total(integer); without a schema it is one of public. changed_by (a role), changed_at and statement are of the last DDL that the commit has of the object or the table it belongs to, as in pggit.schema_drift; NULL where no event trigger
told of it, and for what merges brought: the commits of the branch have theirs. No row for a name that no commit knows. Raises VG001, VG002, VG009, VG205.';
