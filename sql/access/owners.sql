CREATE OR REPLACE FUNCTION pggit._require_owner(p_owner jsonb)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF p_owner IS NULL OR jsonb_typeof(p_owner) <> 'object' OR NOT p_owner ?& ARRAY['installation', 'namespace', 'name', 'uid'] THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'an owner needs installation, namespace, name and uid';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_owner(jsonb) IS
'Raises VG202 unless the value names an object: installation, namespace, name and uid.';

CREATE OR REPLACE FUNCTION pggit._same_owner(p_a jsonb, p_b jsonb)
    RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT (p_a ->> 'installation', p_a ->> 'namespace', p_a ->> 'name') IS NOT DISTINCT FROM
                   (p_b ->> 'installation', p_b ->> 'namespace', p_b ->> 'name'));
END;
$$;

COMMENT ON FUNCTION pggit._same_owner(jsonb, jsonb) IS
'Whether two owners are the same object, made again or not: its uid does not count.';

CREATE OR REPLACE FUNCTION pggit._owner_text(p_owner jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('%s/%s of installation %L', p_owner ->> 'namespace', p_owner ->> 'name', p_owner ->> 'installation');
$$;

COMMENT ON FUNCTION pggit._owner_text(jsonb) IS
'An owner in words.';

CREATE OR REPLACE FUNCTION pggit._require_branch_of(p_branch pggit.branches, p_owner jsonb)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF p_branch.owner IS NOT NULL AND NOT pggit._same_owner(p_branch.owner, p_owner) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG103', SCHEMA = 'pggit',
            MESSAGE = format('branch %L belongs to %s', p_branch.name, pggit._owner_text(p_branch.owner)),
            HINT    = format('Choose another name for this branch, or have the holder give it up: SELECT pggit.release_branch(%L);', p_branch.name);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_branch_of(pggit.branches, jsonb) IS
'Raises VG103 when the branch belongs to another owner, who is named.';

CREATE OR REPLACE FUNCTION pggit.branch_start(p_owner jsonb, p_name text, p_from jsonb DEFAULT '{}')
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches;
    v_found  text;
BEGIN
    PERFORM pggit._require_owner(p_owner);
    PERFORM pggit._check_branch_name(p_name);
    SELECT b.* INTO v_branch FROM pggit.branches AS b WHERE b.name = p_name AND b.deleted_at IS NULL;
    IF FOUND THEN
        PERFORM pggit._require_branch_of(v_branch, p_owner);
        RETURN v_branch.base_commit;
    END IF;
    IF NOT EXISTS (SELECT FROM pggit.branches AS b WHERE b.branch_id = 1 AND b.head IS NOT NULL) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG009', SCHEMA = 'pggit',
            MESSAGE = 'main has no commits yet, and perhaps no tracked tables',
            HINT    = 'SELECT pggit.track_schema(…); SELECT pggit.commit(''first commit'');';
    END IF;

    IF p_from ? 'branch' THEN
        RETURN (pggit._branch(p_from ->> 'branch')).name;
    ELSIF p_from ? 'tag' THEN
        SELECT t.commit_id INTO v_found FROM pggit.tags AS t WHERE t.name = p_from ->> 'tag';
        IF NOT FOUND THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG003', SCHEMA = 'pggit',
                MESSAGE = format('there is no tag %L', p_from ->> 'tag')
                          || CASE WHEN EXISTS (SELECT FROM pggit.branches AS b WHERE b.name = p_from ->> 'tag' AND b.deleted_at IS NULL)
                                  THEN '; a branch is called so' ELSE '' END;
        END IF;
    ELSIF p_from ? 'commit' THEN
        v_found := pggit._commit_by_prefix(p_from ->> 'commit');
        IF v_found IS NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG002', SCHEMA = 'pggit',
                MESSAGE = format('there is no commit %L', p_from ->> 'commit');
        END IF;
    END IF;
    RETURN v_found;
END;
$$;

COMMENT ON FUNCTION pggit.branch_start(jsonb, text, jsonb) IS
'What stands in the way of a branch before anything is made: reads only. p_from is {"branch": …}, {"tag": …} or {"commit": …}, each that and nothing else; empty means
main. Returns the ref to give pggit.ensure_branch; of a branch that is there already, the commit it began at. Raises VG201 (the name), VG103 (it belongs
to another, who is named), VG009 (main has no commit), VG001, VG003, VG002 and VG205 (the start is not there, or not unique).';

CREATE OR REPLACE FUNCTION pggit.claim_branch(p_branch text, p_owner jsonb, p_protected boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._lock_branch((pggit._branch(p_branch)).branch_id);
    v_owner  jsonb := p_owner;
BEGIN
    PERFORM pggit._require_owner(p_owner);
    IF v_branch.branch_id = 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('branch %L is the live tables themselves and can''t be owned', v_branch.name);
    END IF;
    PERFORM pggit._require_branch_of(v_branch, p_owner);

    -- Protection that somebody else gave the branch is not ours to take away.
    IF p_protected AND (v_branch.owner ? 'protected' OR NOT v_branch.is_protected) THEN
        v_owner := p_owner || '{"protected": true}';
    END IF;
    IF p_protected AND NOT v_branch.is_protected THEN
        PERFORM pggit.protect_branch(p_branch);
    ELSIF NOT p_protected AND v_branch.is_protected AND v_branch.owner ? 'protected' THEN
        PERFORM pggit.unprotect_branch(p_branch);
    END IF;
    IF v_branch.owner IS DISTINCT FROM v_owner THEN
        UPDATE pggit.branches AS b SET owner = v_owner WHERE b.branch_id = v_branch.branch_id;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit.claim_branch(text, jsonb, boolean) IS
'Records whose branch this is: an object with installation, namespace, name and uid. Claiming again is fine for the same installation, namespace and
name. p_protected protects the branch, and without it takes back the protection that it gave. Raises VG001, VG103 (it belongs to another, who is named) and VG202 (main, or an owner without these keys).';

CREATE OR REPLACE FUNCTION pggit.release_branch(p_branch text)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._lock_branch((pggit._branch(p_branch)).branch_id);
BEGIN
    UPDATE pggit.branches AS b SET owner = NULL WHERE b.branch_id = v_branch.branch_id;
    RETURN v_branch.owner IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION pggit.release_branch(text) IS
'Forgets whose branch this is, so that another may claim it. Returns whether somebody owned it. Raises VG001.';

CREATE OR REPLACE FUNCTION pggit.claim_database(p_owner jsonb, p_instead_of text DEFAULT NULL)
    RETURNS TABLE (installation text, namespace text, name text, uid text)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    PERFORM pggit._require_owner(p_owner);
    -- Asked again and again, it writes only when something changes.
    IF NOT EXISTS (SELECT FROM pggit.database_owners AS o
                    WHERE o.installation = p_owner ->> 'installation'
                      AND CASE WHEN pggit._same_owner(to_jsonb(o), p_owner) THEN o.uid = p_owner ->> 'uid' ELSE o.uid IS DISTINCT FROM p_instead_of END) THEN
        INSERT INTO pggit.database_owners AS o (installation, namespace, name, uid)
        VALUES (p_owner ->> 'installation', p_owner ->> 'namespace', p_owner ->> 'name', p_owner ->> 'uid')
            ON CONFLICT (installation) DO UPDATE SET namespace = excluded.namespace, name = excluded.name, uid = excluded.uid
         WHERE (o.namespace, o.name) = (excluded.namespace, excluded.name) OR o.uid = p_instead_of;
    END IF;
    RETURN QUERY SELECT o.installation, o.namespace, o.name, o.uid FROM pggit.database_owners AS o WHERE o.installation = p_owner ->> 'installation';
END;
$$;

COMMENT ON FUNCTION pggit.claim_database(jsonb, text) IS
'Records which object of an installation looks after this database, if none does or the one with the uid p_instead_of does, and returns who does now.
Claiming again is fine for the same namespace and name; another installation has a claim of its own.';

CREATE OR REPLACE FUNCTION pggit.unsupported_tables(p_schema text)
    RETURNS TABLE (table_name text, shown_as text, reason text, is_tracked boolean)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.relname::text, format('%I.%I', n.nspname, c.relname), pggit._unsupported(c.oid),
           EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = c.oid AND t.untracked_at IS NULL)
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = p_schema AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND pggit._unsupported(c.oid) IS NOT NULL
     ORDER BY c.relname COLLATE "C";
$$;

COMMENT ON FUNCTION pggit.unsupported_tables(text) IS
'Tables of a schema that can''t be put under version control, and why: for p_exclude of pggit.track_schema.';
