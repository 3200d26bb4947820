CREATE OR REPLACE FUNCTION pggit.describe_merge(p_merge_id uuid)
    RETURNS TABLE (merge_id uuid, result text, commit_id text, base_commit text, ours_commit text, theirs_commit text, plan_hash text,
                   inserted bigint, updated bigint, deleted bigint, conflicts integer, open_conflicts integer, violations integer, reason text, approved_by text)
    LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN QUERY
    SELECT m.merge_id, m.result, m.commit_id, m.base_commit, m.target_commit, m.source_commit, m.plan_hash,
           coalesce((m.outcome).rows_inserted, 0), coalesce((m.outcome).rows_updated, 0), coalesce((m.outcome).rows_deleted, 0),
           (SELECT count(*)::integer FROM pggit.conflicts AS c WHERE c.merge_id = m.merge_id) + (SELECT count(*)::integer FROM pggit.schema_conflicts AS c WHERE c.merge_id = m.merge_id),
           pggit._open_conflicts(m.merge_id),
           (SELECT count(*)::integer FROM pggit.merge_violations AS v WHERE v.merge_id = m.merge_id),
           (m.outcome).detail ->> 'reason', m.options ->> 'approved_by'
      FROM pggit.merges AS m
     WHERE m.merge_id = p_merge_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG006', SCHEMA = 'pggit',
            MESSAGE = format('there is no merge %s', p_merge_id),
            HINT    = 'pggit.merge_status() lists the merges that wait, with their ids.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit.describe_merge(uuid) IS
'One merge: its result, the commits it is about, what it changes, and how many conflicts (of rows and of definitions) and violations it has, and who approved it. Raises VG006.';

CREATE OR REPLACE FUNCTION pggit.describe_merge_tables(p_merge_id uuid)
    RETURNS TABLE (table_name text, inserted bigint, updated bigint, deleted bigint)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.key, coalesce((t.value ->> 'inserted')::bigint, 0), coalesce((t.value ->> 'updated')::bigint, 0),
           coalesce((t.value ->> 'deleted')::bigint, 0)
      FROM pggit.merges AS m
     CROSS JOIN LATERAL jsonb_each(coalesce((m.outcome).detail -> 'tables', '{}')) AS t
     WHERE m.merge_id = p_merge_id
     ORDER BY t.key;
$$;

COMMENT ON FUNCTION pggit.describe_merge_tables(uuid) IS
'What a merge changes, table by table.';

CREATE OR REPLACE FUNCTION pggit.describe_merge_ddl(p_merge_id uuid)
    RETURNS TABLE (ddl text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT d.value
      FROM pggit.merges AS m
     CROSS JOIN LATERAL jsonb_array_elements_text(coalesce((m.outcome).detail -> 'ddl', '[]')) WITH ORDINALITY AS d(value, n)
     WHERE m.merge_id = p_merge_id
     ORDER BY d.n;
$$;

COMMENT ON FUNCTION pggit.describe_merge_ddl(uuid) IS
'The statements with which a merge changes the schema of its target, in order.';
