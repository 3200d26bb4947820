CREATE OR REPLACE FUNCTION pggit.drop_stash(p_stash text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_commit text;
BEGIN
    DELETE FROM pggit.stashes AS s WHERE s.name = p_stash RETURNING s.commit_id INTO v_commit;
    IF v_commit IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG002', SCHEMA = 'pggit',
            MESSAGE = CASE WHEN p_stash IS NULL THEN 'no stash is named: its name is NULL' ELSE format('there is no stash %L', p_stash) END,
            HINT    = 'pggit.stashes lists them.';
    END IF;
    RETURN v_commit;
END;
$$;

COMMENT ON FUNCTION pggit.drop_stash(text) IS
'Throws a stash away and returns its commit, which can be read, and picked by pggit.cherry_pick, until pggit.gc collects it.
What waits to take it back is refused from then on. Raises VG002 (no such stash).';
