CREATE OR REPLACE FUNCTION pggit.delete_merge_rule(p_rule_no integer)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    DELETE FROM pggit.merge_rules AS r WHERE r.rule_no = p_rule_no;
    RETURN FOUND;
END;
$$;

COMMENT ON FUNCTION pggit.delete_merge_rule(integer) IS
'Takes a rule of pggit.merge_rules away; returns false when there is none of that number.';
