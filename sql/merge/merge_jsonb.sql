CREATE OR REPLACE FUNCTION pggit._merge_jsonb(p_base jsonb, p_ours jsonb, p_theirs jsonb, OUT merged jsonb, OUT clean boolean)
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
          OR jsonb_typeof(p_theirs) IS DISTINCT FROM 'object' THEN
        clean := false;
        RETURN;
    END IF;

    merged := p_ours;
    FOR v_key IN SELECT k FROM jsonb_object_keys(p_base) AS k UNION SELECT k FROM jsonb_object_keys(p_theirs) AS k LOOP
        v_part := pggit._merge_jsonb(p_base -> v_key, p_ours -> v_key, p_theirs -> v_key);
        IF NOT v_part.clean THEN
            clean  := false;
            merged := NULL;
            RETURN;
        END IF;
        merged := CASE WHEN v_part.merged IS NULL THEN merged - v_key ELSE merged || jsonb_build_object(v_key, v_part.merged) END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._merge_jsonb(jsonb, jsonb, jsonb) IS
'Three-way merge of one jsonb cell: objects key by key, recursively; everything else, arrays too, is one value. clean is false, and merged NULL, when
both sides changed the same value differently. A missing key is SQL NULL, which is not the JSON null.';
