CREATE OR REPLACE FUNCTION pggit.merge_status(p_merge_id uuid DEFAULT NULL)
    RETURNS TABLE (merge_id uuid, kind text, source text, target text, result text, commit_id text, total_conflicts integer, open_conflicts integer, violations integer, reason text,
                   requested_by text, created_at timestamptz, finished_at timestamptz)
    LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN QUERY
    SELECT m.merge_id, m.kind, m.source, b.name, m.result, m.commit_id, ((SELECT count(*) FROM pggit.conflicts AS c WHERE c.merge_id = m.merge_id) + (SELECT count(*) FROM pggit.schema_conflicts AS c WHERE c.merge_id = m.merge_id))::integer,
           pggit._open_conflicts(m.merge_id), (SELECT count(*)::integer FROM pggit.violations AS v WHERE v.merge_id = m.merge_id),
           (m.outcome).detail ->> 'reason', m.requested_by, m.created_at, m.finished_at
      FROM pggit.merges AS m JOIN pggit.branches AS b ON b.branch_id = m.target_id
     WHERE CASE WHEN p_merge_id IS NULL THEN m.result IN ('planned', 'conflicted', 'refused') ELSE m.merge_id = p_merge_id END
     ORDER BY m.created_at DESC, m.merge_id;
    IF NOT FOUND AND p_merge_id IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG006', SCHEMA = 'pggit',
            MESSAGE = format('there is no merge %s', p_merge_id),
            HINT    = 'pggit.merge_status() lists the merges that wait, with their ids.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit.merge_status(uuid) IS
'How a merge stands; with NULL all that are not settled, the newest first.
kind is merge, revert, cherry_pick, reset, unstash or rebase; result as in pggit.merge; total_conflicts are those of rows and of definitions, open_conflicts those of them that nobody has decided; reason is why it was refused. Raises VG006.';
