-- Which commits stay, and which of them can be read.

CREATE OR REPLACE FUNCTION pggit._named_commits(p_since timestamptz)
    RETURNS TABLE (commit_id text)
    LANGUAGE sql STABLE
AS $$
    SELECT b.head FROM pggit.branches AS b WHERE b.deleted_at IS NULL OR (b.deleted_at >= p_since AND b.mode <> 'detached')
    -- Where a branch was when the retention began: from there the commits since then go on.
    UNION SELECT pggit._commit_before(b, p_since) FROM pggit.branches AS b WHERE b.deleted_at IS NULL
    UNION SELECT t.commit_id FROM pggit.tags AS t
    UNION SELECT s.commit_id FROM pggit.snapshots AS s
    -- A stash is what changed from its parent on, and so is a revert or a cherry-pick that waits.
    UNION SELECT u.id FROM pggit.stashes AS s JOIN pggit.commits AS c USING (commit_id) CROSS JOIN LATERAL (VALUES (c.commit_id), (c.parents[1])) AS u(id)
    UNION SELECT u.id
            FROM pggit.merges AS m
            LEFT JOIN pggit.commits AS c ON c.commit_id = m.source_commit AND m.kind IN ('revert', 'cherry_pick', 'unstash')
           CROSS JOIN LATERAL (VALUES (m.source_commit), (c.parents[coalesce((m.options ->> 'parent')::integer, 1)])) AS u(id)
           WHERE (m.result = 'conflicted' OR (m.result IN ('planned', 'refused') AND m.created_at >= p_since))
             AND EXISTS (SELECT FROM pggit.branches AS b WHERE b.branch_id = m.target_id AND b.deleted_at IS NULL)
    UNION SELECT CASE m.kind WHEN 'reset' THEN m.target_commit ELSE m.source_commit END
            FROM pggit.merges AS m WHERE m.kind IN ('reset', 'unstash') AND m.finished_at >= p_since
    UNION SELECT c.commit_id FROM pggit.commits AS c WHERE c.committed_at >= p_since;
$$;

COMMENT ON FUNCTION pggit._named_commits(timestamptz) IS
'The commits that have to be readable whatever becomes of the others: those that branches, tags, snapshots, stashes and merges in conflict have, what a branch had until a reset or its
end not before p_since, and those made since then.';

CREATE OR REPLACE FUNCTION pggit._kept_commits(p_since timestamptz)
    RETURNS TABLE (commit_id text, is_readable boolean)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_ids   text[];
    v_kept  boolean[];
    v_below integer[];
    v_one   integer;
    v_edge  record;
BEGIN
    -- Newest first; a parent has a lower number than its children.
    WITH RECURSIVE named AS (
        SELECT DISTINCT n.commit_id FROM pggit._named_commits(p_since) AS n
    ), walk AS (
        SELECT c.commit_id, c.commit_no, c.parents
          FROM pggit.commits AS c
         WHERE c.commit_id IN (SELECT n.commit_id FROM named AS n UNION SELECT b.base_commit FROM pggit.branches AS b WHERE b.deleted_at IS NULL)
        UNION
        SELECT c.commit_id, c.commit_no, c.parents FROM walk AS w JOIN pggit.commits AS c ON c.commit_id = ANY (w.parents)
    )
    SELECT array_agg(w.commit_id ORDER BY w.commit_no DESC), array_agg(n.commit_id IS NOT NULL ORDER BY w.commit_no DESC),
           array_agg(NULL::integer)
      INTO v_ids, v_kept, v_below
      FROM walk AS w LEFT JOIN named AS n USING (commit_id);

    -- Of every commit: the first readable one above it. Where the ways up end in two, neither above the other, it is their best common ancestor.
    FOR v_edge IN
        SELECT i.n AS child, p.n AS parent
          FROM unnest(v_ids) WITH ORDINALITY AS i(id, n)
          JOIN pggit.commits AS c ON c.commit_id = i.id
         CROSS JOIN LATERAL unnest(c.parents) AS q(id)
          JOIN unnest(v_ids) WITH ORDINALITY AS p(id, n) ON p.id = q.id
         ORDER BY i.n
    LOOP
        v_one := CASE WHEN v_kept[v_edge.child] THEN v_edge.child ELSE v_below[v_edge.child] END;
        CONTINUE WHEN v_one IS NULL OR v_kept[v_edge.parent] OR v_one = v_below[v_edge.parent];
        IF v_below[v_edge.parent] IS NULL THEN
            v_below[v_edge.parent] := v_one;
        ELSIF pggit._is_ancestor(v_ids[greatest(v_one, v_below[v_edge.parent])], v_ids[least(v_one, v_below[v_edge.parent])]) THEN
            v_below[v_edge.parent] := greatest(v_one, v_below[v_edge.parent]);
        ELSE
            v_kept[v_edge.parent] := true;
        END IF;
    END LOOP;
    RETURN QUERY SELECT k.id, k.is_kept AND c.collected_at IS NULL FROM unnest(v_ids, v_kept) AS k(id, is_kept) JOIN pggit.commits AS c ON c.commit_id = k.id;
END;
$$;

COMMENT ON FUNCTION pggit._kept_commits(timestamptz) IS
'All commits that stay, and which of them can be read: those of pggit._named_commits and the best common ancestors of any of these and of each other, from which merges start.';

CREATE OR REPLACE FUNCTION pggit._is_ancestor(p_older text, p_younger text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (WITH RECURSIVE walk AS (
                SELECT c.commit_id, c.parents FROM pggit.commits AS c WHERE c.commit_id = p_younger
                UNION
                SELECT c.commit_id, c.parents FROM walk AS w JOIN pggit.commits AS c ON c.commit_id = ANY (w.parents)
                 WHERE c.commit_no >= (SELECT o.commit_no FROM pggit.commits AS o WHERE o.commit_id = p_older)
            )
            SELECT EXISTS (SELECT FROM walk AS w WHERE w.commit_id = p_older));
END;
$$;

COMMENT ON FUNCTION pggit._is_ancestor(text, text) IS
'Whether one commit is another or among its ancestors; goes back no further than the older one.';
