CREATE OR REPLACE FUNCTION pggit._table_digest(p_table_id integer, p_position pggit._position)
    RETURNS TABLE (digest text, row_count bigint)
    LANGUAGE sql
AS $$
    SELECT * FROM pggit._digest(format('SELECT row(%s)::text FROM (%s) AS r', pggit._stored_columns(p_table_id, 'r', p_position),
                                       pggit._state_sql(p_table_id, p_position)));
$$;

COMMENT ON FUNCTION pggit._table_digest(integer, pggit._position) IS
'Digest and number of a table''s rows at a position.';

CREATE OR REPLACE FUNCTION pggit.state_digest(p_ref text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_ref    record;
    v_digest text;
BEGIN
    PERFORM pggit._follow_changed();
    v_ref := pggit._ref(p_ref);
    SELECT encode(sha256(convert_to(coalesce(jsonb_agg(jsonb_build_array(t.schema_name, t.table_name, d.row_count, d.digest)
                                                       ORDER BY t.schema_name COLLATE "C", t.table_name COLLATE "C"), '[]')::text, 'UTF8')), 'hex')
      INTO v_digest
      FROM pggit._tables_at(v_ref.at) AS t, pggit._table_digest(t.table_id, v_ref.at) AS d;
    PERFORM pggit._require_readable(v_ref.commit_id, v_ref.at);
    RETURN v_digest;
END;
$$;

COMMENT ON FUNCTION pggit.state_digest(text) IS
'sha256 over all rows of all tables tracked at a ref: two refs, or two servers, with the same rows have the same digest.
Generated columns are left out, they follow from the rest. Reads every table whole. Raises VG001, VG002, VG009, VG205, VG306.';
