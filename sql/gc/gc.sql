CREATE OR REPLACE FUNCTION pggit._oldest_snapshot()
    RETURNS xid8
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT CASE WHEN NOT coalesce(bool_or(a.query = '<insufficient privilege>'), false)
                        THEN pggit._numbered(least(min(s.now), min(x.next - (x.next - a.backend_xmin::text::bigint) % 4294967296)::text::xid8), pggit._current_epoch()) END
              FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS now) AS s
             CROSS JOIN LATERAL (SELECT s.now::text::bigint AS next) AS x
              LEFT JOIN pg_stat_activity AS a ON a.datname = current_database() AND a.pid <> pg_backend_pid());
END;
$$;

COMMENT ON FUNCTION pggit._oldest_snapshot() IS
'The oldest transaction that any open one may not see as ended yet; NULL when this role may not know (it sees only its own sessions; pg_read_all_stats sees all).';

CREATE OR REPLACE FUNCTION pggit._hold_all_commits()
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT pggit._ask_for_lock(hashtext('pggit.gc'), 0, false) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG401', SCHEMA = 'pggit',
            MESSAGE = format('gc can''t begin: commits are being named by %s', coalesce(pggit._processes(pggit._gc_pids()), 'a session that has just ended')),
            HINT    = 'Try again when they are done; nothing was changed. The setting pggit.lock_timeout (5s) says how long to try.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._hold_all_commits() IS
'Lets nobody name or build on commits that no branch ends in until this transaction ends. It never waits in line, so nobody waits behind it. Raises VG401 when others hold commits for
longer than pggit.lock_timeout (5s).';

CREATE OR REPLACE FUNCTION pggit.gc(p_dry_run boolean DEFAULT true, p_within interval DEFAULT '1 minute')
    RETURNS TABLE (object text, rows bigint, bytes bigint, reason text)
    LANGUAGE plpgsql
    SET lock_timeout = '900ms'  -- under PostgreSQL's deadlock_timeout: gc gives way, it is never waited for in a circle
AS $$
DECLARE
    v_trusted  boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_dry      boolean     := coalesce(p_dry_run, true);
    v_since    timestamptz := pggit._kept_since();
    v_ends     timestamptz := CASE WHEN NOT v_dry THEN clock_timestamp() + p_within END;
    v_table    pggit.tables;
    v_gone     record;
    v_branches record;
    v_main     record;
    v_step     record;
    v_plans    uuid[];
BEGIN
    IF NOT v_dry THEN
        PERFORM pggit._require_read_committed('gc');
        PERFORM pggit._hold_all_commits();
    END IF;
    PERFORM pggit._decide(v_since);

    object := 'pggit.commits';
    SELECT r.rows, r.bytes INTO rows, bytes
      FROM pggit._remove('pggit.commits', 'r.commit_id IN (SELECT s.commit_id FROM pg_temp.pggit_gc_states AS s WHERE NOT s.stays)', v_dry) AS r;
    reason := 'commits that nothing has led to for the retention';
    RETURN QUERY SELECT object, rows, bytes, reason WHERE rows > 0;

    IF v_dry THEN
        SELECT count(*) INTO rows FROM pg_temp.pggit_gc_states AS s JOIN pggit.commits AS c USING (commit_id)
         WHERE s.stays AND NOT s.is_readable AND c.collected_at IS NULL;
    ELSE
        UPDATE pggit.commits AS c SET collected_at = now() FROM pg_temp.pggit_gc_states AS s
         WHERE s.commit_id = c.commit_id AND s.stays AND NOT s.is_readable AND c.collected_at IS NULL;
        GET DIAGNOSTICS rows = ROW_COUNT;
    END IF;
    reason := 'commits older than the retention that stay in the log; their rows can''t be read any more';
    RETURN QUERY SELECT object, rows, 0::bigint, reason WHERE rows > 0;

    IF NOT v_dry THEN
        PERFORM pggit._note_lines();
    END IF;
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE NOT t.stores_dropped ORDER BY t.schema_name, t.table_name, t.table_id LOOP
        object := format('%I.%I', v_table.schema_name, v_table.table_name);
        IF clock_timestamp() >= v_ends THEN
            RETURN QUERY SELECT object, 0::bigint, 0::bigint, 'left for the next run: p_within is over';
            CONTINUE;
        END IF;
        BEGIN
            PERFORM pggit._hold_base(v_table.table_id);
            v_gone := pggit._collect_deleted(v_table.table_id, v_dry);
            v_branches := pggit._collect_branches(v_table.table_id, v_dry);
            v_main := pggit._collect_main(v_table, v_dry);
        EXCEPTION WHEN lock_not_available THEN
            RETURN QUERY SELECT object, 0::bigint, 0::bigint, 'left for the next run: others are changing the table';
            CONTINUE;
        END;
        RETURN QUERY
        SELECT object, s.rows, s.bytes, s.reason
          FROM (VALUES (v_gone.rows, v_gone.bytes, 'what deleted branches left'),
                       (v_branches.rows, v_branches.bytes, 'changes on branches that no readable state needs'),
                       (v_main.rows, v_main.bytes, 'changes of main that no readable state needs')) AS s(rows, bytes, reason)
         WHERE s.rows > 0;
    END LOOP;

    BEGIN
        RETURN QUERY SELECT r.* FROM pggit._collect_times(v_since, v_dry) AS r WHERE r.rows > 0;
    EXCEPTION WHEN lock_not_available THEN
        RETURN QUERY SELECT 'pggit.transactions', 0::bigint, 0::bigint, 'left for the next run: others are changing tables';
    END;

    v_plans := ARRAY(SELECT m.merge_id FROM pggit.merges AS m
                      WHERE m.result = 'planned' AND m.created_at < v_since
                        AND NOT EXISTS (SELECT FROM pggit.merge_plans AS p WHERE p.merge_id = m.merge_id)
                        AND NOT EXISTS (SELECT FROM pggit.merge_runs AS p WHERE p.merge_id = m.merge_id) FOR UPDATE SKIP LOCKED);
    FOR v_step IN SELECT * FROM (VALUES
        ('pggit.branch_bases', 'r.branch_id IN (SELECT l.branch_id FROM pg_temp.pggit_gc_lines AS l WHERE NOT l.is_live)', 'what deleted branches left'),
        ('pggit.conflicts', format('r.merge_id IN (SELECT m.merge_id FROM pggit.merges AS m WHERE m.finished_at < %L) OR r.merge_id = ANY (%L)', v_since, v_plans),
         'conflicts of merges that ended, or were only planned, before the retention'),
        ('pggit.violations', format('r.merge_id IN (SELECT m.merge_id FROM pggit.merges AS m WHERE m.finished_at < %L)', v_since), 'violations of merges that ended before the retention'),
        ('pggit.merges', format('r.merge_id = ANY (%L)', v_plans), 'plans of before the retention that were not carried out'),
        -- Last: a writer that claims one of these keys just now waits for the end of gc.
        ('pggit.key_locks', format('r.ctid IN (SELECT k.ctid FROM pggit.key_locks AS k
                                    WHERE k.branch_id IN (SELECT l.branch_id FROM pg_temp.pggit_gc_lines AS l WHERE NOT l.is_live) OR k.xid < %L FOR UPDATE SKIP LOCKED)',
                                   pggit._oldest_snapshot()),
         'locks of transactions that have ended')) AS s(object, condition, reason)
    LOOP
        SELECT r.rows, r.bytes INTO rows, bytes FROM pggit._remove(v_step.object, v_step.condition, v_dry) AS r;
        RETURN QUERY SELECT v_step.object, gc.rows, gc.bytes, v_step.reason WHERE gc.rows > 0;
    END LOOP;
    RETURN QUERY SELECT r.* FROM pggit._collect_schemas(v_dry, v_since) AS r WHERE r.rows > 0;
    RETURN QUERY SELECT r.* FROM pggit._collect_stand_ins(v_dry) AS r;

    RETURN QUERY SELECT 'pggit.branches', s.rows, 0::bigint, 'states of the past that no session has checked out' FROM pggit._collect_detached(v_dry) AS s(rows) WHERE s.rows > 0;

    -- Writers and readers of these tables wait from here on, until the transaction ends.
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE NOT v_dry AND t.untracked_at IS NULL AND t.on_main AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.relation) ORDER BY t.table_id LOOP
        BEGIN
            PERFORM pggit._spare_more(v_table);
        EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
            EXIT;
        END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit.gc(boolean, interval) IS
'Give back the space of history that nothing needs any more; with p_dry_run, the default, only say what would go.
What can be read stays readable: all branches with what is pending on them, tags, snapshots, stashes, merges in conflict, the commits from which merges start, and every
commit not older than the setting pggit.retention (30 days; infinity keeps all). Other commits stay in the log, but their rows are collected: reading them raises VG306. A commit that
no branch, tag, snapshot or stash leads to any more goes altogether when it, and the reset or deletion that left it, are older than the retention. One row for each object and reason; bytes is
the sum of pg_column_size over the columns of the rows, which PostgreSQL uses again after VACUUM. A run ends after the table on which it is when p_within (1 minute; NULL: no limit) is over and says
what it left; run it again. Killed at any moment, it has changed nothing. Writers never wait for it; tagging, resetting to and branching from old commits wait. Raises VG202
(pggit.retention is no time) and VG401 (commits are being named for longer than pggit.lock_timeout, or the transaction is not READ COMMITTED).';
