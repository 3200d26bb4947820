-- Functions of pggit's find PostgreSQL's own on the caller's search_path, for code of his that they run finds its names there. Of two functions of one name PostgreSQL takes the one whose
-- arguments fit better, whatever schema it is in: who may make functions in one of these schemas could have them run with the caller's rights.

CREATE OR REPLACE FUNCTION pggit._require_trusted_path(p_schemas name[])
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_others oid[] := ARRAY(SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = ANY (p_schemas) AND n.nspname <> 'pg_catalog' AND n.oid <> pg_my_temp_schema());
    v_before oid[] := ARRAY(SELECT n.oid FROM pg_namespace AS n WHERE n.oid = ANY (v_others) AND n.nspname = ANY (p_schemas[: array_position(p_schemas, 'pg_catalog')]));
    v_shown  text;
    v_owner  name;
BEGIN
    SELECT o.shown, r.rolname INTO v_shown, v_owner
      FROM (SELECT 'function ' || p.oid::regprocedure AS shown, p.proowner AS owner FROM pg_proc AS p
             WHERE p.pronamespace = ANY (v_others) AND EXISTS (SELECT FROM pg_proc AS c WHERE c.proname = p.proname AND c.pronamespace = 'pg_catalog'::regnamespace)
            UNION ALL
            SELECT 'operator ' || o.oid::regoperator, o.oprowner FROM pg_operator AS o
             WHERE o.oprnamespace = ANY (v_others) AND EXISTS (SELECT FROM pg_operator AS c WHERE c.oprname = o.oprname AND c.oprnamespace = 'pg_catalog'::regnamespace)
            UNION ALL
            -- A relation has a type of its name, too. Only what comes before pg_catalog hides what is there.
            SELECT 'type ' || t.oid::regtype, t.typowner FROM pg_type AS t
             WHERE t.typnamespace = ANY (v_before) AND EXISTS (SELECT FROM pg_type AS c WHERE c.typname = t.typname AND c.typnamespace = 'pg_catalog'::regnamespace)) AS o
      JOIN pg_roles AS r ON r.oid = o.owner
     WHERE NOT r.rolsuper AND NOT pg_has_role(o.owner, current_user, 'MEMBER')
     ORDER BY 1
     LIMIT 1;
    IF v_shown IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG313', SCHEMA = 'pggit',
            MESSAGE = format('%s of role %I has the name of one of PostgreSQL''s own, and pggit might use it with the rights of role %I', v_shown, v_owner, current_user),
            HINT    = format('Rename it, ALTER … OWNER TO %I if it can be trusted, or take its schema off your search_path.', current_user);
    END IF;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit._require_trusted_path(name[]) IS
'True, or VG313 where a schema has a function, an operator or, before pg_catalog, a type with the name of one in pg_catalog, and its owner is neither a superuser nor somebody who can act as the current role anyway.
Every public function whose search_path is its caller''s asks it of the caller''s schemas, before anything else; the call itself says pg_catalog. What is made while the function runs is not seen.';
