CREATE OR REPLACE FUNCTION pggit.take_snapshot(p_owner jsonb, p_branch text, p_tag text, p_message text DEFAULT NULL)
    RETURNS TABLE (commit_id text, state_digest text, was_created boolean)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_there  pggit.snapshots;
    v_branch pggit.branches;
    v_commit text;
    v_digest text;
BEGIN
    PERFORM pggit._require_owner(p_owner);
    PERFORM pggit._require_ref_name(p_tag, 'tag');
    PERFORM pg_advisory_xact_lock(hashtextextended('pggit snapshot ' || p_tag, 0));
    SELECT s.* INTO v_there FROM pggit.snapshots AS s WHERE s.tag = p_tag;
    IF FOUND THEN
        IF NOT pggit._same_owner(v_there.owner, p_owner) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG103', SCHEMA = 'pggit',
                MESSAGE = format('tag %L belongs to snapshot %s', p_tag, pggit._owner_text(v_there.owner)),
                HINT    = 'Choose another name for the tag.';
        END IF;
        UPDATE pggit.snapshots AS s SET owner = p_owner WHERE s.tag = p_tag AND s.owner <> p_owner;
        IF NOT EXISTS (SELECT FROM pggit.tags AS t WHERE t.name = p_tag) THEN
            PERFORM pggit.tag(p_tag, v_there.commit_id, v_there.message);
        END IF;
        RETURN QUERY SELECT v_there.commit_id, v_there.state_digest, false;
        RETURN;
    END IF;

    IF EXISTS (SELECT FROM pggit.tags AS t WHERE t.name = p_tag) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG102', SCHEMA = 'pggit',
            MESSAGE = format('there is a tag %L already, which no snapshot made', p_tag),
            HINT    = 'Choose another name for the tag, or delete it first with pggit.delete_tag.';
    END IF;
    v_branch := pggit._branch(p_branch);
    v_commit := pggit._commit_pending(v_branch.branch_id, coalesce(nullif(btrim(p_message), ''), format('snapshot %s', p_tag)));
    IF v_commit IS NULL THEN
        v_commit := (pggit._branch(p_branch)).head;
    END IF;
    PERFORM pggit.tag(p_tag, v_commit, p_message);
    v_digest := pggit.state_digest(v_commit);
    INSERT INTO pggit.snapshots (tag, owner, commit_id, state_digest, message) VALUES (p_tag, p_owner, v_commit, v_digest, p_message);
    RETURN QUERY SELECT v_commit, v_digest, true;
END;
$$;

COMMENT ON FUNCTION pggit.take_snapshot(jsonb, text, text, text) IS
'Commits what is pending on a branch, tags the result, and remembers whose snapshot it is; asked again by the same owner it returns the same commit.
Raises VG001, VG102 (a tag that no snapshot made), VG103 (another''s snapshot, who is named), VG201 and VG202.';

CREATE OR REPLACE FUNCTION pggit.discard_snapshot(p_owner jsonb, p_tag text)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('pggit snapshot ' || p_tag, 0));
    DELETE FROM pggit.snapshots AS s WHERE s.tag = p_tag AND pggit._same_owner(s.owner, p_owner);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM pggit.delete_tag(p_tag);
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit.discard_snapshot(jsonb, text) IS
'Deletes a snapshot''s tag if this owner took it; the commit stays. Returns false, and touches nothing, when it is another''s or gone.';
