-- Text output is pinned so that a digest is the same in every session and on every server.
CREATE OR REPLACE FUNCTION pggit._digest(p_rows text)
    RETURNS TABLE (digest text, row_count bigint)
    LANGUAGE plpgsql
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C' SET search_path = pg_catalog
AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        WITH hashed AS MATERIALIZED (
            SELECT sha256(convert_to(r.t, 'UTF8')) AS h FROM (%s) AS r(t)
        ), buckets AS (
            SELECT get_byte(d.h, 0) AS bucket, sha256(string_agg(d.h, '' ORDER BY d.h)) AS h, count(*) AS n
              FROM hashed AS d
             GROUP BY 1
        )
        SELECT encode(sha256(coalesce(string_agg(b.h, '' ORDER BY b.bucket), '')), 'hex'), coalesce(sum(b.n), 0)::bigint
          FROM buckets AS b
    $sql$, p_rows);
END;
$$;

COMMENT ON FUNCTION pggit._digest(text) IS
'Order-free digest of a set of texts given by a query with one text column: sha256 of the sorted sha256s, in 256 buckets
by their first byte (one string_agg ends at 1 GB). Also the number of rows.';
