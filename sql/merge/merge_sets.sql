CREATE OR REPLACE FUNCTION pggit._merge_arrays(p_base anyarray, p_ours anyarray, p_theirs anyarray)
    RETURNS anyarray
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT array_agg(e.v ORDER BY e.side, e.n)
              FROM (SELECT 1 AS side, o.n, o.v FROM unnest(p_ours) WITH ORDINALITY AS o(v, n)
                     WHERE EXISTS (SELECT FROM unnest(p_theirs) AS t(v) WHERE t.v IS NOT DISTINCT FROM o.v)
                        OR NOT EXISTS (SELECT FROM unnest(p_base) AS b(v) WHERE b.v IS NOT DISTINCT FROM o.v)
                    UNION ALL
                    SELECT 2, t.n, t.v FROM unnest(p_theirs) WITH ORDINALITY AS t(v, n)
                     WHERE NOT EXISTS (SELECT FROM unnest(p_ours) AS o(v) WHERE o.v IS NOT DISTINCT FROM t.v)
                       AND NOT EXISTS (SELECT FROM unnest(p_base) AS b(v) WHERE b.v IS NOT DISTINCT FROM t.v)) AS e);
END;
$$;

COMMENT ON FUNCTION pggit._merge_arrays(anyarray, anyarray, anyarray) IS
'Three-way merge of arrays as sets: the elements of ours, then those that theirs added, without those that either side took away. NULL when none is left.';

CREATE OR REPLACE FUNCTION pggit._merge_arrays(p_base jsonb, p_ours jsonb, p_theirs jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT to_jsonb(pggit._merge_arrays(ARRAY(SELECT jsonb_array_elements(p_base)), ARRAY(SELECT jsonb_array_elements(p_ours)),
                                        ARRAY(SELECT jsonb_array_elements(p_theirs))));
$$;

COMMENT ON FUNCTION pggit._merge_arrays(jsonb, jsonb, jsonb) IS
'The same for arrays in jsonb; elements are compared as jsonb compares them.';
