CREATE OR REPLACE FUNCTION pggit.current_branch()
    RETURNS text
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT coalesce(nullif(current_setting('pggit.branch', true), ''),
                            (SELECT b.name FROM pggit.branches AS b
                              WHERE b.role_name = pggit._actor() AND b.deleted_at IS NULL
                              ORDER BY b.branch_id LIMIT 1),
                            'main'));
END;
$$;

COMMENT ON FUNCTION pggit.current_branch() IS
'The branch this session works on: the one it checked out, else the one its role belongs to, else main.';
