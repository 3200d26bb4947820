CREATE OR REPLACE FUNCTION pggit.switch_branch(p_branch text)
    RETURNS text
    LANGUAGE sql
AS $$
    SELECT pggit.checkout(p_branch);
$$;

COMMENT ON FUNCTION pggit.switch_branch(text) IS
'The same as pggit.checkout.';
