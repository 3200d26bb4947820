CREATE OR REPLACE FUNCTION pggit._merge_jsonb_within(p_depth integer, p_base jsonb, p_ours jsonb, p_theirs jsonb, OUT merged jsonb, OUT clean boolean)
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    v_key  text;
    v_part record;
BEGIN
    clean := true;
    -- jsonb compares numbers by value; by text 1.0 and 1.00 differ, as they do in every other cell.
    IF p_theirs::text IS NOT DISTINCT FROM p_base::text OR p_ours::text IS NOT DISTINCT FROM p_theirs::text THEN
        merged := p_ours;
        RETURN;
    ELSIF p_ours::text IS NOT DISTINCT FROM p_base::text THEN
        merged := p_theirs;
        RETURN;
    ELSIF jsonb_typeof(p_base) IS DISTINCT FROM 'object' OR jsonb_typeof(p_ours) IS DISTINCT FROM 'object'
          OR jsonb_typeof(p_theirs) IS DISTINCT FROM 'object' OR p_depth > 200 THEN
        clean := false;
        RETURN;
    END IF;

    merged := p_ours;
    FOR v_key IN SELECT k FROM jsonb_object_keys(p_base) AS k UNION SELECT k FROM jsonb_object_keys(p_theirs) AS k LOOP
        v_part := pggit._merge_jsonb_within(p_depth + 1, p_base -> v_key, p_ours -> v_key, p_theirs -> v_key);
        IF NOT v_part.clean THEN
            clean  := false;
            merged := NULL;
            RETURN;
        END IF;
        merged := CASE WHEN v_part.merged IS NULL THEN merged - v_key ELSE merged || jsonb_build_object(v_key, v_part.merged) END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._merge_jsonb_within(integer, jsonb, jsonb, jsonb) IS
'Three-way merge of one jsonb cell: objects key by key, recursively; everything else, arrays too, is one value. clean is false, and merged NULL, when
both sides changed the same value differently. A missing key is SQL NULL, which is not the JSON null. Objects at a depth of more than 200 are one value:
documents may be nested deeper than functions can call each other.';

CREATE OR REPLACE FUNCTION pggit._merge_jsonb(p_base jsonb, p_ours jsonb, p_theirs jsonb, OUT merged jsonb, OUT clean boolean)
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT m.merged, m.clean FROM pggit._merge_jsonb_within(0, p_base, p_ours, p_theirs) AS m;
$$;

COMMENT ON FUNCTION pggit._merge_jsonb(jsonb, jsonb, jsonb) IS
'pggit._merge_jsonb_within of a whole cell.';

CREATE OR REPLACE FUNCTION pggit._hstore_schema(p_type text)
    RETURNS name
    LANGUAGE sql STABLE
AS $$
    SELECT n.nspname FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
     WHERE t.oid = to_regtype(p_type) AND t.typname = 'hstore' AND to_regprocedure(format('%I.hstore_to_jsonb(%s)', n.nspname, p_type)) IS NOT NULL;
$$;

COMMENT ON FUNCTION pggit._hstore_schema(text) IS
'Where a type is the hstore of the extension, the schema in which that is installed; otherwise NULL.';

CREATE OR REPLACE FUNCTION pggit._merge_by_key_sql(p_type text, p_base text, p_ours text, p_theirs text, OUT merge text, OUT merged text)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_hstore name := pggit._hstore_schema(p_type);
BEGIN
    IF p_type = 'jsonb' THEN
        merge  := format('pggit._merge_jsonb(%s, %s, %s)', p_base, p_ours, p_theirs);
        merged := '%1$s.merged';
    ELSIF v_hstore IS NOT NULL THEN
        merge  := format('pggit._merge_jsonb(%1$I.hstore_to_jsonb(%2$s), %1$I.hstore_to_jsonb(%3$s), %1$I.hstore_to_jsonb(%4$s))', v_hstore, p_base, p_ours, p_theirs);
        merged := format('CASE WHEN %%1$s.merged IS NOT NULL THEN (SELECT coalesce(%1$I.hstore(array_agg(e.key), array_agg(e.value)), '''') FROM jsonb_each_text(%%1$s.merged) AS e) END', v_hstore);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._merge_by_key_sql(text, text, text, text) IS
'For a type whose cells are merged key by key: the call of pggit._merge_jsonb for three expressions, and a format that makes the type''s value of the alias of its result. NULL for any other type.';
