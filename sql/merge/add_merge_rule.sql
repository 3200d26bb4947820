CREATE OR REPLACE FUNCTION pggit.add_merge_rule(p_table text, p_column text, p_rule text, p_by text DEFAULT NULL, p_expression text DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_number integer;
BEGIN
    PERFORM pggit._check_rule(jsonb_strip_nulls(jsonb_build_object('table', p_table, 'column', p_column, 'rule', p_rule, 'by', p_by, 'expression', p_expression)));
    INSERT INTO pggit.merge_rules (table_name, column_name, rule, by_column, expression, created_by)
    VALUES (coalesce(p_table, '*'), coalesce(p_column, '*'), p_rule, p_by, p_expression, pggit._actor())
    RETURNING rule_no INTO v_number;
    RETURN v_number;
END;
$$;

COMMENT ON FUNCTION pggit.add_merge_rule(text, text, text, text, text) IS
'Adds a rule that decides, in every merge from now on, cells that both sides changed; returns its number.
p_table (with or without schema) and p_column may contain *, which stands for any characters; NULL is *. p_rule: ours, theirs, base; max, min; sum (ours + theirs - base); newest (the side whose column p_by is greater);
union (arrays, also in jsonb, as sets); concat (what both added to the end of a text); diff3 (texts by line); non_null; expression (p_expression: SQL over base, ours and theirs that gives the
column''s type); renumber (for a column of the key that has a sequence: of two rows that were both inserted with one key, the branch''s gets a new one, and what refers to it follows). Rules given with a merge are asked first, then exact names before patterns, then by number; what one can''t decide is the next one''s, and what
none decides is a conflict that says why. A revert does not use the rules kept here. Raises VG202 (no such rule, table or column, or, where both are named without *, one that the rule can never decide: a column of the key, or a type that it is not for).';
