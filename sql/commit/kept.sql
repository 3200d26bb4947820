-- Commits whose rows pggit.gc has collected can't be read; who makes a name for a commit keeps gc out meanwhile.

CREATE OR REPLACE FUNCTION pggit._require_kept(p_commit text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT FROM pggit.commits AS c WHERE c.commit_id = p_commit AND c.collected_at IS NULL) OR p_commit IS NULL THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'VG306', SCHEMA = 'pggit',
        MESSAGE = format('the rows of commit %s are no longer kept: it was older than the retention (pggit.retention, %s) when pggit.gc ran, and nothing named it',
                         left(p_commit, 12), pggit._retention()),
        HINT    = 'Tag the commits that have to stay readable. A longer pggit.retention keeps more from the next pggit.gc on.';
END;
$$;

COMMENT ON FUNCTION pggit._require_kept(text) IS
'Raises VG306 when the rows of a commit are collected. NULL is what is not committed: always kept.';

CREATE OR REPLACE FUNCTION pggit._require_readable(p_commit text, p_at pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT FROM pggit.commits AS c WHERE c.commit_id = p_commit AND c.at::text = p_at::text) THEN
        PERFORM pggit._require_kept(p_commit);
    -- A time: whatever gc may have taken was committed before it.
    ELSIF EXISTS (SELECT FROM pggit.collected_lines AS l JOIN pggit.transactions AS x
                          ON x.xid >= pg_snapshot_xmin(((p_at).x).snapshot) AND x.xid <= greatest(pg_snapshot_xmax((l.at).snapshot), (l.at).own)
                         AND (x.xid = (l.at).own OR pg_visible_in_snapshot(x.xid, (l.at).snapshot))
                         AND NOT pg_visible_in_snapshot(x.xid, ((p_at).x).snapshot) AND x.xid IS DISTINCT FROM ((p_at).x).own
                   WHERE l.branch_id IN (1, (p_at).branch_id)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG306', SCHEMA = 'pggit',
            MESSAGE = format('the rows of that time are no longer kept: it was older than the retention (pggit.retention, %s) when pggit.gc ran', pggit._retention()),
            HINT    = 'pggit.log shows the commits; those that branches, tags and merges need can still be read. A longer pggit.retention keeps more from the next pggit.gc on.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_readable(text, pggit._position) IS
'Raises VG306 when the rows of a commit, or at a time (any other position), are collected.';

CREATE OR REPLACE FUNCTION pggit._hold_commits()
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT pggit._ask_for_lock(hashtext('pggit.gc'), 0, true) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG401', SCHEMA = 'pggit',
            MESSAGE = format('pggit.gc is at work in %s', coalesce(pggit._processes(pggit._gc_pids()), 'a session that has just ended')),
            HINT    = 'Try again when it is done; nothing was changed. The setting pggit.lock_timeout (5s) says how long to try.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._hold_commits() IS
'Keeps pggit.gc from beginning until this transaction ends: for whoever is about to name or build on a commit that no branch ends in. Commits and merges of branches
need it not, gc keeps what they build on. Raises VG401 when gc is at work for longer than pggit.lock_timeout.';

CREATE OR REPLACE FUNCTION pggit._gc_pids()
    RETURNS integer[]
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT array_agg(l.pid)
              FROM pg_locks AS l
             WHERE l.locktype = 'advisory' AND l.classid::integer = hashtext('pggit.gc') AND l.objid = 0 AND l.objsubid = 2 AND l.granted
               AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()));
END;
$$;

COMMENT ON FUNCTION pggit._gc_pids() IS
'The processes that run pggit.gc or keep it out.';

CREATE OR REPLACE FUNCTION pggit._hold_commit(p_ref text, p_branch_id integer DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_commit text;
BEGIN
    PERFORM pggit._hold_commits();
    v_commit := pggit._resolve(p_ref, p_branch_id);
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        -- The transaction's snapshot may be from before the last gc: a row that gc has touched since gives 40001.
        PERFORM FROM pggit.commits AS c WHERE c.commit_id = v_commit FOR SHARE;
    END IF;
    PERFORM pggit._require_kept(v_commit);
    RETURN v_commit;
END;
$$;

COMMENT ON FUNCTION pggit._hold_commit(text, integer) IS
'The commit of a ref, which stays as it is until this transaction ends. Raises VG001, VG002, VG009, VG205, VG306 (its rows are collected) and VG401.';
