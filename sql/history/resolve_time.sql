CREATE OR REPLACE FUNCTION pggit.resolve_time(p_at timestamptz, p_branch text DEFAULT NULL)
    RETURNS TABLE (commit_id text, is_exact boolean, reason text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
BEGIN
    is_exact  := (pggit._position_at(v_branch, p_at)).is_exact;
    commit_id := pggit._commit_before(v_branch, p_at);
    reason    := CASE WHEN is_exact THEN 'every transaction that counts is known to be committed before or after it'
                      ELSE 'transactions that were open then count by when they began: the server does not keep commit times (track_commit_timestamp), and no tick was there' END;
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION pggit.resolve_time(timestamptz, text) IS
'What a time means as a ref on a branch (NULL: the current one): the last commit at or before it, and whether the state read at it is exact, with the reason.
Raises VG001 and VG002 (there was no such branch yet).';
