CREATE OR REPLACE FUNCTION pggit._to_jsonb(p_value anyelement)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN to_jsonb(p_value);
EXCEPTION WHEN data_exception THEN
    RETURN to_jsonb(p_value::text);
END;
$$;

COMMENT ON FUNCTION pggit._to_jsonb(anyelement) IS
'to_jsonb, or where json has what jsonb can''t hold (\u0000, half a surrogate pair, 1e999999), the value''s text.';

CREATE OR REPLACE FUNCTION pggit._holds_json(p_type text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT 'json'::regtype IN (t.oid, t.typelem) OR 'c' IN (t.typtype, e.typtype)
              FROM pg_type AS t LEFT JOIN pg_type AS e ON e.oid = t.typelem
             WHERE t.oid = p_type::regtype);
END;
$$;

COMMENT ON FUNCTION pggit._holds_json(text) IS
'Whether values of a type may have json in them, which to_jsonb does not always take.';

CREATE OR REPLACE FUNCTION pggit._json_sql(p_table_id integer, p_alias text, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN bool_or(pggit._holds_json(c.type_name))
                        THEN format('(SELECT to_jsonb(j.*) FROM (SELECT %s) AS j)',
                                    string_agg(CASE WHEN pggit._holds_json(c.type_name) THEN format('pggit._to_jsonb(%1$s.%2$I) AS %2$I', p_alias, c.name)
                                                    ELSE format('%s.%I', p_alias, c.name) END, ', ' ORDER BY c.attnum))
                        ELSE format('to_jsonb(%s.*)', p_alias) END
              FROM pggit._shown_columns(p_table_id, p_at) AS c);
END;
$$;

COMMENT ON FUNCTION pggit._json_sql(integer, text, pggit._position) IS
'Expression: a row of a table, with its columns of now or of a mark under their names, as jsonb.';
