CREATE OR REPLACE FUNCTION pggit._unmerged(p_branch pggit.branches)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_commits bigint;
BEGIN
    IF EXISTS (SELECT FROM pggit.status(p_branch.name)) THEN
        RETURN 'changes that are not committed';
    END IF;
    SELECT count(*) INTO v_commits
      FROM pggit._ancestors(p_branch.head) AS a
     WHERE NOT EXISTS (SELECT FROM pggit.branches AS b CROSS JOIN LATERAL pggit._ancestors(b.head) AS o
                        WHERE b.branch_id <> p_branch.branch_id AND b.deleted_at IS NULL AND o.commit_id = a.commit_id)
       AND NOT EXISTS (SELECT FROM pggit.tags AS t CROSS JOIN LATERAL pggit._ancestors(t.commit_id) AS o WHERE o.commit_id = a.commit_id)
       AND NOT EXISTS (SELECT FROM pggit.merges AS m WHERE m.kind = 'merge' AND m.source_commit = a.commit_id AND m.result IN ('merged', 'fast_forward'));
    RETURN CASE WHEN v_commits > 0 THEN format('%s %s that no other branch or tag has', v_commits, CASE v_commits WHEN 1 THEN 'commit' ELSE 'commits' END) END;
END;
$$;

COMMENT ON FUNCTION pggit._unmerged(pggit.branches) IS
'What would be lost with a branch, in words, or NULL when all of it is elsewhere.';

CREATE OR REPLACE FUNCTION pggit._require_merged(p_branch pggit.branches)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_lost text := pggit._unmerged(p_branch);
BEGIN
    IF v_lost IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG311', SCHEMA = 'pggit',
            MESSAGE = format('branch %L has %s', p_branch.name, v_lost),
            HINT    = 'Merge or tag them first; p_force => true deletes the branch all the same.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_merged(pggit.branches) IS
'Raises VG311 for a branch with changes or commits that nobody else has.';

CREATE OR REPLACE FUNCTION pggit._foreign_objects(p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH own AS (
                SELECT bt.relation FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id
                UNION ALL SELECT c.relation FROM pggit.branch_copies AS c WHERE c.branch_id = p_branch_id AND c.relation IS NOT NULL
            ), spaces AS (
                SELECT n.oid FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.schema_name WHERE s.branch_id = p_branch_id
            ), users AS (
                SELECT pg_describe_object(d.classid, d.objid, 0) AS what
                  FROM pg_depend AS d JOIN spaces AS s ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = s.oid AND d.deptype = 'n'
                 WHERE NOT (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT o.relation FROM own AS o))
                   AND NOT EXISTS (SELECT FROM pggit._types_of_branch(p_branch_id) AS t LEFT JOIN pg_type AS y ON y.oid = t.objid AND t.kind <> 'sequence'
                                    WHERE (t.classid, t.objid) = (d.classid, d.objid) OR (d.classid = 'pg_class'::regclass AND d.objid = y.typrelid))
                   AND NOT EXISTS (SELECT FROM pg_range AS r WHERE d.classid = 'pg_type'::regclass AND d.objid = r.rngmultitypid)
                   AND NOT (d.classid = 'pg_proc'::regclass AND d.objid IN (SELECT to_regprocedure(c.routine) FROM pggit.branch_copies AS c WHERE c.branch_id = p_branch_id AND to_regprocedure(c.routine) IS NOT NULL))
                   AND NOT EXISTS (SELECT FROM pg_depend AS i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype IN ('a', 'i')
                                                                AND i.refclassid = 'pg_class'::regclass AND i.refobjid IN (SELECT o.relation FROM own AS o))
                UNION
                SELECT pg_describe_object('pg_class'::regclass, r.ev_class, 0)
                  FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
                 WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT o.relation FROM own AS o)
                   AND r.ev_class NOT IN (SELECT o.relation FROM own AS o)
                UNION
                SELECT pg_describe_object('pg_constraint'::regclass, c.oid, 0)
                  FROM pg_constraint AS c
                 WHERE c.contype = 'f' AND c.confrelid IN (SELECT o.relation FROM own AS o) AND c.conrelid NOT IN (SELECT o.relation FROM own AS o)
            )
            SELECT string_agg(u.what, ', ' ORDER BY u.what) FROM users AS u);
END;
$$;

COMMENT ON FUNCTION pggit._foreign_objects(integer) IS
'Objects of others that live in a branch''s schemas or depend on its relations, in words; NULL when there are none.';

CREATE OR REPLACE FUNCTION pggit._bounded(p_commands text[], p_relations oid[], p_what text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_ends    timestamptz := pggit._patience_ends();
    v_begun   timestamptz;
    v_command text;
    v_blocker text;
BEGIN
    LOOP
        v_begun := clock_timestamp();
        BEGIN
            FOREACH v_command IN ARRAY p_commands LOOP
                PERFORM pggit._execute_soon(v_command, v_begun);
            END LOOP;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() >= v_ends THEN
                EXIT;
            END IF;
            PERFORM pg_sleep(0.02 + random() * 0.05);
        END;
    END LOOP;

    v_blocker := pggit._processes(ARRAY(SELECT l.pid FROM pg_locks AS l
                                         WHERE l.granted AND l.relation = ANY (p_relations)
                                           AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())));
    RAISE EXCEPTION USING
        ERRCODE = 'VG401', SCHEMA = 'pggit',
        MESSAGE = format('%s is in use by %s', p_what, coalesce(v_blocker, 'a transaction that has just ended')),
        HINT    = 'Try again when it is done; nothing was changed. The setting pggit.lock_timeout (5s) says how long to try.';
END;
$$;

COMMENT ON FUNCTION pggit._bounded(text[], oid[], text) IS
'Runs commands that need locks on relations, all or none of them, trying for pggit.lock_timeout (5s). Raises VG401 naming who holds them.';

CREATE OR REPLACE FUNCTION pggit.delete_branch(p_name text, p_force boolean DEFAULT false)
    RETURNS boolean
    LANGUAGE plpgsql
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
DECLARE
    v_trusted   boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch    pggit.branches;
    v_objects   text;
    v_names     text;
    v_later     text[];
    v_lock      text[];
    v_drop      text[] := '{}';
    v_relations oid[];
    v_real      record;
    v_now       pggit._position;
BEGIN
    -- A state of the past has no rows that others may have committed since.
    PERFORM pggit._require_read_committed('deleting a branch') WHERE NOT EXISTS (SELECT FROM pggit.branches AS b WHERE b.name = p_name AND b.mode = 'detached' AND b.deleted_at IS NULL);
    v_branch := pggit._try_branch((SELECT b.branch_id FROM pggit.branches AS b WHERE b.name = p_name AND b.deleted_at IS NULL));
    IF v_branch.name IS DISTINCT FROM p_name OR p_name IS NULL THEN
        RAISE NOTICE 'there is no branch %', quote_nullable(p_name) USING HINT = pggit._near_branches(p_name) || 'pggit.list_branches() shows the branches there are.';
        RETURN false;
    END IF;
    PERFORM pggit._refuse_protected(v_branch, 'deleted');
    IF pggit.current_branch() = v_branch.name THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG308', SCHEMA = 'pggit',
            MESSAGE = format('branch %L is checked out by this session', v_branch.name),
            HINT    = 'SELECT pggit.checkout(''main''); first.';
    END IF;
    -- Views and functions that were made on the branch are its own, and in its commits.
    PERFORM pggit._note_copied(v_branch.branch_id, ARRAY(
        SELECT r.object_name FROM pggit._uncopied_readers(v_branch.branch_id) AS r
         WHERE NOT pggit._may_own_for(CASE WHEN r.classid = 'pg_class'::regclass THEN (SELECT c.relowner FROM pg_class AS c WHERE c.oid = r.objid) ELSE (SELECT p.proowner FROM pg_proc AS p WHERE p.oid = r.objid) END)));
    PERFORM pggit._order_copies(v_branch.branch_id);
    v_objects := pggit._foreign_objects(v_branch.branch_id);
    IF v_objects IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG308', SCHEMA = 'pggit',
            MESSAGE = format('branch %L can''t be deleted: other objects are in its schemas or depend on it: %s', v_branch.name, v_objects),
            HINT    = 'Drop or move them first.';
    END IF;
    IF NOT coalesce(p_force, false) THEN
        PERFORM pggit._require_merged(v_branch);
    END IF;

    PERFORM pggit._take_branch(v_branch, 'deleted');

    -- Functions that checks, defaults, indexes, triggers and policies of the tables, or types, call go after these.
    v_later := ARRAY(SELECT c.routine FROM pggit.branch_copies AS c
                      WHERE c.branch_id = v_branch.branch_id
                        AND EXISTS (SELECT FROM pg_depend AS d WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = to_regprocedure(c.routine) AND d.classid NOT IN ('pg_rewrite'::regclass, 'pg_proc'::regclass))
                      ORDER BY c.copy_id DESC);
    v_lock := ARRAY(SELECT CASE WHEN c.relation IS NULL THEN format('DROP ROUTINE %s', c.routine) ELSE format('DROP %s %s', CASE (SELECT k.relkind FROM pg_class AS k WHERE k.oid = c.relation) WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'r' THEN 'TABLE' ELSE 'VIEW' END, c.relation) END
                      FROM pggit.branch_copies AS c
                     WHERE c.branch_id = v_branch.branch_id AND (EXISTS (SELECT FROM pg_class AS k WHERE k.oid = c.relation) OR to_regprocedure(c.routine) IS NOT NULL) AND coalesce(c.routine <> ALL (v_later), true)
                     ORDER BY c.copy_id DESC)
           || ARRAY(SELECT format(CASE bt.form WHEN 'view' THEN 'DROP VIEW %s' ELSE 'LOCK TABLE ONLY %s' END, bt.relation::regclass)
                      FROM pggit.branch_tables AS bt WHERE bt.branch_id = v_branch.branch_id ORDER BY bt.table_id);
    v_relations := ARRAY(SELECT bt.relation FROM pggit.branch_tables AS bt WHERE bt.branch_id = v_branch.branch_id);
    PERFORM pggit._bounded(v_lock, v_relations, format('branch %L', v_branch.name));
    -- Nobody writes there any more: what was committed while these locks were waited for counts too.
    IF NOT coalesce(p_force, false) THEN
        PERFORM pggit._require_merged(v_branch);
    END IF;

    v_now := pggit._branch_now(v_branch.branch_id);
    -- Commits of the branch stay readable: what its real tables hold of owned rows, and of those that main has lost, goes where views keep theirs. Without a key the
    -- branch's log has all of it.
    FOR v_real IN
        SELECT bt.table_id, bt.relation, NOT pggit._mark_in(t.shape_at, (v_now).s) AS is_after_gap
          FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) WHERE bt.branch_id = v_branch.branch_id AND bt.form = 'table' AND NOT pggit._is_keyless(bt.table_id)
    LOOP
        IF v_real.is_after_gap THEN
            EXECUTE format('INSERT INTO pggit._mask_%1$s (_b, %2$s) SELECT %3$s, %4$s FROM (%5$s) AS d ON CONFLICT DO NOTHING',
                           v_real.table_id, pggit._key_columns(v_real.table_id), v_branch.branch_id, pggit._key_columns(v_real.table_id, 'd'),
                           pggit._dense_rows_sql(v_branch.branch_id, v_real.table_id));
        END IF;
        EXECUTE format('INSERT INTO pggit._delta_%1$s (_b, %2$s)
                        SELECT %3$s, %4$s FROM pggit._mask_%1$s AS m JOIN (%5$s) AS d ON %6$s WHERE m._b = %3$s',
                       v_real.table_id, pggit._stored_columns(v_real.table_id, NULL, v_now), v_branch.branch_id, pggit._stored_columns(v_real.table_id, 'd', v_now),
                       pggit._dense_rows_sql(v_branch.branch_id, v_real.table_id), pggit._same_key(v_real.table_id, 'd', 'm'));
    END LOOP;

    SELECT string_agg(bt.relation::regclass::text, ', ') INTO v_names FROM pggit.branch_tables AS bt WHERE bt.branch_id = v_branch.branch_id AND bt.form = 'table';
    v_drop := v_drop || ('DROP TABLE ' || v_names);
    PERFORM pggit._bounded(array_remove(v_drop, NULL), v_relations, format('branch %L', v_branch.name));
    PERFORM pggit._drop_types_of_branch(v_branch.branch_id);
    PERFORM pggit._bounded(ARRAY(SELECT format('DROP ROUTINE %s', r.routine) FROM unnest(v_later) AS r(routine)), v_relations, format('branch %L', v_branch.name)) WHERE v_later <> '{}';
    v_drop := ARRAY(SELECT format('DROP SCHEMA %I', s.schema_name) FROM pggit.branch_schemas AS s WHERE s.branch_id = v_branch.branch_id);
    PERFORM pggit._bounded(array_remove(v_drop, NULL), v_relations, format('branch %L', v_branch.name));

    DELETE FROM pggit.branch_copies AS c WHERE c.branch_id = v_branch.branch_id;
    DELETE FROM pggit.branch_tables AS bt WHERE bt.branch_id = v_branch.branch_id;
    DELETE FROM pggit.branch_schemas AS s WHERE s.branch_id = v_branch.branch_id;
    UPDATE pggit.branches AS b SET deleted_at = now() WHERE b.branch_id = v_branch.branch_id;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit.delete_branch(text, boolean) IS
'Delete a branch; false, with a NOTICE, when there is none of that name.
Its last commit stays readable for the retention (pggit.retention, 30 days), all others as pggit.gc says; what nothing needs goes when pggit.gc(false) runs. Raises VG202 (main),
VG301 (protected), VG308 (checked out by this session, or objects of others in its schemas or depending on it), VG311 (without p_force: it has changes or
commits that nobody else has) and VG401 (other sessions have it checked out or use it for longer than pggit.lock_timeout, 5s; the message says who;
or the transaction is not READ COMMITTED).';
