CREATE OR REPLACE FUNCTION pggit.list_branches()
    RETURNS SETOF pggit.branch_info
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT i.* FROM pggit.branches AS b, pggit._branch_info(b) AS i WHERE b.deleted_at IS NULL AND b.mode <> 'detached' ORDER BY b.branch_id;
$$;

COMMENT ON FUNCTION pggit.list_branches() IS
'The branches there are, main first, then in the order they were made.
parent is the branch each was made from, base_commit the commit it began with, head its last commit, materialized its real tables.';
