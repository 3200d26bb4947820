CREATE OR REPLACE FUNCTION pggit._same_lines(p_base text[], p_side text[])
    RETURNS integer[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
DECLARE
    v_n      integer   := cardinality(p_base);
    v_m      integer   := cardinality(p_side);
    v_head   integer   := 0;
    v_tail   integer   := 0;
    v_width  integer;
    v_height integer;
    v_length integer[];
    v_same   integer[] := array_fill(0, ARRAY[greatest(cardinality(p_base), 1)]);
    v_i      integer;
    v_j      integer;
BEGIN
    WHILE v_head < least(v_n, v_m) AND p_base[v_head + 1] = p_side[v_head + 1] LOOP
        v_head := v_head + 1;
        v_same[v_head] := v_head;
    END LOOP;
    WHILE v_tail < least(v_n, v_m) - v_head AND p_base[v_n - v_tail] = p_side[v_m - v_tail] LOOP
        v_same[v_n - v_tail] := v_m - v_tail;
        v_tail := v_tail + 1;
    END LOOP;
    v_height := v_n - v_head - v_tail;
    v_width  := v_m - v_head - v_tail;
    IF v_height = 0 OR v_width = 0 THEN
        RETURN v_same;
    ELSIF v_height::bigint * v_width > 1000000 THEN
        RETURN NULL;
    END IF;

    -- v_length[i, j], in one row of numbers: the longest common subsequence of the first i and j lines of the middles.
    v_length := array_fill(0, ARRAY[(v_height + 1) * (v_width + 1)]);
    FOR i IN 1 .. v_height LOOP
        FOR j IN 1 .. v_width LOOP
            v_length[i * (v_width + 1) + j + 1] := CASE
                WHEN p_base[v_head + i] = p_side[v_head + j] THEN v_length[(i - 1) * (v_width + 1) + j] + 1
                ELSE greatest(v_length[(i - 1) * (v_width + 1) + j + 1], v_length[i * (v_width + 1) + j]) END;
        END LOOP;
    END LOOP;
    v_i := v_height;
    v_j := v_width;
    WHILE v_i > 0 AND v_j > 0 LOOP
        IF p_base[v_head + v_i] = p_side[v_head + v_j] THEN
            v_same[v_head + v_i] := v_head + v_j;
            v_i := v_i - 1;
            v_j := v_j - 1;
        ELSIF v_length[(v_i - 1) * (v_width + 1) + v_j + 1] >= v_length[v_i * (v_width + 1) + v_j] THEN
            v_i := v_i - 1;
        ELSE
            v_j := v_j - 1;
        END IF;
    END LOOP;
    RETURN v_same;
END;
$$;

COMMENT ON FUNCTION pggit._same_lines(text[], text[]) IS
'For each line of base the number of the line of the other text that it is, 0 for none: a longest common subsequence. NULL when the texts differ in
too much (over a million pairs of lines).';

CREATE OR REPLACE FUNCTION pggit._merge_lines(p_base text, p_ours text, p_theirs text)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
DECLARE
    v_base    text[]    := string_to_array(p_base, E'\n');
    v_ours    text[]    := string_to_array(p_ours, E'\n');
    v_theirs  text[]    := string_to_array(p_theirs, E'\n');
    v_in_ours integer[] := pggit._same_lines(v_base, v_ours);
    v_in_them integer[] := pggit._same_lines(v_base, v_theirs);
    v_merged  text[]    := '{}';
    v_at      integer   := 1;
    v_o       integer   := 1;
    v_t       integer   := 1;
    v_end_o   integer;
    v_end_t   integer;
    v_parts   record;
BEGIN
    IF v_in_ours IS NULL OR v_in_them IS NULL THEN
        RETURN NULL;
    END IF;
    -- From one line that all three have to the next: at most one side may have changed what is between.
    FOR v_stable IN 1 .. cardinality(v_base) + 1 LOOP
        v_end_o := CASE WHEN v_stable > cardinality(v_base) THEN cardinality(v_ours) + 1 ELSE v_in_ours[v_stable] END;
        v_end_t := CASE WHEN v_stable > cardinality(v_base) THEN cardinality(v_theirs) + 1 ELSE v_in_them[v_stable] END;
        CONTINUE WHEN v_end_o = 0 OR v_end_t = 0;
        SELECT v_base[v_at : v_stable - 1] AS base, v_ours[v_o : v_end_o - 1] AS ours, v_theirs[v_t : v_end_t - 1] AS theirs INTO v_parts;
        IF v_parts.base = v_parts.theirs OR v_parts.ours = v_parts.theirs THEN
            v_merged := v_merged || v_parts.ours;
        ELSIF v_parts.base = v_parts.ours THEN
            v_merged := v_merged || v_parts.theirs;
        ELSE
            RETURN NULL;
        END IF;
        IF v_stable <= cardinality(v_base) THEN
            v_merged := v_merged || v_base[v_stable];
        END IF;
        v_at := v_stable + 1;
        v_o  := v_end_o + 1;
        v_t  := v_end_t + 1;
    END LOOP;
    RETURN array_to_string(v_merged, E'\n');
END;
$$;

COMMENT ON FUNCTION pggit._merge_lines(text, text, text) IS
'Three-way merge of texts by line; NULL where both changed the same lines, and lines with none between them that both left alone. The algorithm of diff3 (Khanna, Kunal and Pierce, 2007).';
