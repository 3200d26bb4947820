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
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT (p_a ->> 'installation', p_a ->> 'namespace', p_a ->> 'name') IS NOT DISTINCT FROM
           (p_b ->> 'installation', p_b ->> 'namespace', p_b ->> 'name');
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

CREATE OR REPLACE FUNCTION pggit.claim_branch(p_branch text, p_owner jsonb, p_protected boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch pggit.branches := pggit._lock_branch((pggit._branch(p_branch)).branch_id);
    v_owner  jsonb := p_owner;
BEGIN
    PERFORM pggit._require_owner(p_owner);
    IF v_branch.branch_id = 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('branch %L is the live tables themselves and can''t be owned', v_branch.name);
    END IF;
    IF v_branch.owner IS NOT NULL AND NOT pggit._same_owner(v_branch.owner, p_owner) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG103', SCHEMA = 'pggit',
            MESSAGE = format('branch %L belongs to %s', v_branch.name, pggit._owner_text(v_branch.owner)),
            HINT    = format('Choose another name for this branch, or have the holder give it up: SELECT pggit.release_branch(%L);', v_branch.name);
    END IF;

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
    v_branch pggit.branches := pggit._lock_branch((pggit._branch(p_branch)).branch_id);
BEGIN
    UPDATE pggit.branches AS b SET owner = NULL WHERE b.branch_id = v_branch.branch_id;
    RETURN v_branch.owner IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION pggit.release_branch(text) IS
'Forgets whose branch this is, so that another may claim it. Returns whether somebody owned it. Raises VG001.';
