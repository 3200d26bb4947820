CREATE OR REPLACE FUNCTION pggit._merge_bases(VARIADIC p_commits text[])
    RETURNS text[]
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (WITH common AS (
                SELECT a.commit_id, a.commit_no FROM unnest(p_commits) AS c(id) CROSS JOIN LATERAL pggit._ancestors(c.id) AS a
                 GROUP BY a.commit_id, a.commit_no
                HAVING count(*) = cardinality(p_commits)
            ), inner_ones AS (
                SELECT unnest(c.parents) AS commit_id FROM pggit.commits AS c JOIN common USING (commit_id)
            )
            -- An ancestor of a common ancestor is a parent of some common ancestor: what is left are the best ones.
            SELECT array_agg(c.commit_id ORDER BY c.commit_no DESC) FROM common AS c
             WHERE c.commit_id NOT IN (SELECT i.commit_id FROM inner_ones AS i));
END;
$$;

COMMENT ON FUNCTION pggit._merge_bases(text[]) IS
'The best common ancestors of different commits, the youngest first; there are several after criss-cross merges. NULL when their histories have nothing in common.';

CREATE OR REPLACE FUNCTION pggit._merge_bases_of_any(p_commits text[], p_other text)
    RETURNS text[]
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_bases text[] := ARRAY(SELECT DISTINCT b.id FROM unnest(p_commits) AS c(id) CROSS JOIN LATERAL unnest(pggit._merge_bases(c.id, p_other)) AS b(id));
BEGIN
    RETURN (SELECT array_agg(c.commit_id ORDER BY c.commit_no DESC) FROM pggit.commits AS c
             WHERE c.commit_id = ANY (v_bases) AND NOT EXISTS (SELECT FROM unnest(v_bases) AS o(id) WHERE o.id <> c.commit_id AND pggit._is_ancestor(c.commit_id, o.id)));
END;
$$;

COMMENT ON FUNCTION pggit._merge_bases_of_any(text[], text) IS
'The best common ancestors of a commit and a merge of several others that there is not, the youngest first.';

CREATE OR REPLACE FUNCTION pggit.merge_base(p_a text, p_b text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_base text := (pggit._merge_bases(pggit._resolve(p_a), pggit._resolve(p_b)))[1];
BEGIN
    IF v_base IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG206', SCHEMA = 'pggit',
            MESSAGE = format('%L and %L have no commit in common', p_a, p_b);
    END IF;
    RETURN v_base;
END;
$$;

COMMENT ON FUNCTION pggit.merge_base(text, text) IS
'The commit that a merge of two refs would start from: their best common ancestor; of several (after criss-cross merges) the youngest.
Raises VG001, VG002, VG009, VG205, VG206 (nothing in common).';
