CREATE OR REPLACE FUNCTION pggit._require_ref(p_ref text)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF p_ref IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'no commit is named: the ref is NULL',
            HINT    = 'A query that was to find one may have found none. ''HEAD'' is the last commit.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_ref(text) IS
'Raises VG202 where NULL, which stands for HEAD elsewhere, would undo or bring what nobody named.';

CREATE OR REPLACE FUNCTION pggit._require_parent(p_ref text, p_branch text, p_options jsonb, p_what text)
    RETURNS pggit.commits
    LANGUAGE plpgsql
AS $$
DECLARE
    v_parent integer := 1;
    v_commit pggit.commits;
BEGIN
    PERFORM pggit._require_ref(p_ref);
    SELECT c.* INTO STRICT v_commit FROM pggit.commits AS c WHERE c.commit_id = pggit._resolve(p_ref, (pggit._branch(p_branch)).branch_id);
    IF (p_options ->> 'parent') ~ '^[1-9][0-9]{0,5}$' THEN
        v_parent := p_options ->> 'parent';
    END IF;
    IF v_commit.parents[v_parent] IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('commit %s can''t be %s: it has %s', left(v_commit.commit_id, 12), p_what,
                             CASE cardinality(v_commit.parents) WHEN 0 THEN 'no parent to compare it with' ELSE format('no parent number %s', v_parent) END),
            HINT    = CASE cardinality(v_commit.parents) WHEN 0 THEN 'It is a first commit: the rows that its tables had then are nobody''s change.'
                                                         WHEN 1 THEN 'It has one parent: leave option parent out.'
                                                         ELSE format('Its parents are 1 (where the merge went, the default) to %s; pggit.show has their ids.', cardinality(v_commit.parents)) END;
    END IF;
    RETURN v_commit;
END;
$$;

COMMENT ON FUNCTION pggit._require_parent(text, text, jsonb, text) IS
'The commit of a ref. Raises VG202 when it has not the parent that the options name (1 if none).';

CREATE OR REPLACE FUNCTION pggit._require_since(p_commit pggit.commits, p_branch text, p_options jsonb)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_since text := pggit._resolve(p_options ->> 'since', (pggit._branch(p_branch)).branch_id);
BEGIN
    IF p_options ? 'parent' OR p_options ->> 'since' IS NULL OR NOT EXISTS (SELECT FROM pggit._ancestors(p_commit.commit_id) AS a WHERE a.commit_id = v_since) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('%s can''t be reverted back to %s', left(p_commit.commit_id, 12), coalesce(p_options ->> 'since', 'nothing')),
            HINT    = 'Option since is an earlier commit in the history of the one to revert, and takes the place of option parent.';
    END IF;
    RETURN v_since;
END;
$$;

COMMENT ON FUNCTION pggit._require_since(pggit.commits, text, jsonb) IS
'The commit that option since of a revert names. Raises VG202 unless it is in the history of the commit to revert, VG002.';

CREATE OR REPLACE FUNCTION pggit.revert(p_ref text, p_branch text DEFAULT NULL, p_options jsonb DEFAULT '{}')
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_commit pggit.commits := pggit._require_parent(p_ref, p_branch, p_options, 'reverted');
BEGIN
    IF p_options ? 'since' THEN
        p_options := p_options || jsonb_build_object('since', pggit._require_since(v_commit, p_branch, p_options));
    END IF;
    RETURN pggit._run(pggit._open_merge('revert', v_commit.commit_id, p_branch,
        format(E'Revert "%s"\n\nThis reverts commit %s.', split_part(v_commit.message, E'\n', 1), v_commit.commit_id), p_options), true);
END;
$$;

COMMENT ON FUNCTION pggit.revert(text, text, jsonb) IS
'Undoes what one commit changed, as a new commit on a branch; what was changed after it stays.
It is a merge that goes from the commit back to its parent, with the same conflicts and checks: a cell that has changed again since is a conflict. Of a merge commit it undoes what the merge
brought into its first parent, or the one that option parent names; with option since, everything between that earlier commit and
this one. Options, as pggit.merge: on_conflict, resolutions, rules (only those given here), checks, checks_as, fill, validate, approved_plan, approved_by; and parent, since. What is pending is committed first. Result
up_to_date: there is nothing left to undo. Raises VG001, VG002, VG007, VG009, VG202 (no such parent), VG204, VG205, VG401, VG402.';
