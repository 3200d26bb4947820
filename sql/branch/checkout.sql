CREATE OR REPLACE FUNCTION pggit._branch_path(p_branch text, p_path text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch pggit.branches := pggit._branch(p_branch);
    v_path   text[] := '{}';
    v_used   text[] := '{}';
    v_part   record;
    v_shown  text;
    v_before text   := current_setting('pggit.branch', true);
    -- The branch that is checked out may be gone; left in the path, its schemas would show the next branch of that name.
    v_gone   text[] := ARRAY(SELECT pggit._branch_schema_name(t.schema_name, v_before) FROM pggit.tables AS t WHERE v_before <> ''
                             UNION SELECT pggit._branch_schema_name(s.schema_name, v_before) FROM pggit.tracked_schemas AS s WHERE v_before <> '');
BEGIN
    FOR v_part IN
        SELECT m.word, CASE WHEN m.word LIKE '"%' THEN replace(substr(m.word, 2, length(m.word) - 2), '""', '"') ELSE lower(m.word) END AS name
          FROM (SELECT r[1] FROM regexp_matches(p_path, '"(?:[^"]|"")*"|[^,\s]+', 'g') AS r) AS m(word)
    LOOP
        CONTINUE WHEN v_part.name = ANY (v_gone) OR EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.schema_name = v_part.name);
        SELECT s.schema_name INTO v_shown
          FROM pggit.branch_schemas AS s
         WHERE s.branch_id = v_branch.branch_id AND s.base_schema = v_part.name;
        IF FOUND AND v_shown <> ALL (v_used) THEN
            v_path := v_path || quote_ident(v_shown);
            v_used := v_used || v_shown;
        END IF;
        v_path := v_path || CASE WHEN v_part.word LIKE '"%' THEN v_part.word ELSE quote_ident(v_part.name) END;
    END LOOP;

    IF v_used = '{}' THEN
        v_path := ARRAY(SELECT quote_ident(s.schema_name) FROM pggit.branch_schemas AS s
                         WHERE s.branch_id = v_branch.branch_id ORDER BY s.base_schema <> 'public', s.base_schema) || v_path;
    END IF;
    RETURN array_to_string(v_path, ', ');
END;
$$;

COMMENT ON FUNCTION pggit._branch_path(text, text) IS
'A search_path with the schemas of a branch in front of those they stand for (all in front when none is named), and without those of other branches.';

CREATE OR REPLACE FUNCTION pggit._checkouts(p_branch_id integer DEFAULT NULL)
    RETURNS TABLE (pid integer, branch_id integer)
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT l.pid, l.objid::integer
      FROM pg_locks AS l
     WHERE l.locktype = 'advisory' AND l.classid::integer = hashtext('pggit.checkout') AND l.objsubid = 2 AND l.mode = 'ShareLock' AND l.granted
       AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()) AND l.objid::integer = coalesce(p_branch_id, l.objid::integer);
$$;

COMMENT ON FUNCTION pggit._checkouts(integer) IS
'Which sessions have checked out which branch, or this branch: each holds an advisory lock in share mode until it checks out another or ends.';

CREATE OR REPLACE FUNCTION pggit._is_stale(p_branch_id integer)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.branch_schemas AS s JOIN pg_namespace AS n ON n.nspname = s.schema_name
                            WHERE s.branch_id = p_branch_id AND to_regnamespace(quote_ident(s.schema_name)) IS DISTINCT FROM n.oid::regnamespace));
END;
$$;

COMMENT ON FUNCTION pggit._is_stale(integer) IS
'Whether a branch''s schemas are others now, or gone, than in the snapshot of this transaction: names are looked up in the catalog as it is now.';

CREATE OR REPLACE FUNCTION pggit._hold_branch(p_branch text)
    RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch pggit.branches;
    v_ends   timestamptz := pggit._patience_ends();
BEGIN
    LOOP
        v_branch := pggit._branch(p_branch);
        EXIT WHEN v_branch.branch_id = 1 OR EXISTS (SELECT FROM pggit._checkouts(v_branch.branch_id) AS c WHERE c.pid = pg_backend_pid());
        -- Who deletes or renames it just now has the lock alone: what the branch is afterwards counts.
        IF pg_try_advisory_lock_shared(hashtext('pggit.checkout'), v_branch.branch_id) THEN
            IF pggit._is_stale(v_branch.branch_id) THEN
                PERFORM pg_advisory_unlock_shared(hashtext('pggit.checkout'), v_branch.branch_id);
                RAISE EXCEPTION USING
                    ERRCODE = 'VG401', SCHEMA = 'pggit',
                    MESSAGE = format('branch %L has been deleted or renamed since this transaction began', v_branch.name),
                    HINT    = 'Check it out in a new transaction: this one is ' || upper(current_setting('transaction_isolation')) || ' and sees what was there before.';
            END IF;
            EXIT WHEN EXISTS (SELECT FROM pggit.branches AS b WHERE b.branch_id = v_branch.branch_id AND b.name = p_branch AND b.deleted_at IS NULL);
            PERFORM pg_advisory_unlock_shared(hashtext('pggit.checkout'), v_branch.branch_id);
        ELSIF clock_timestamp() >= v_ends THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG401', SCHEMA = 'pggit',
                MESSAGE = format('branch %L is being deleted or renamed', v_branch.name),
                HINT    = 'Try again when that is done. The setting pggit.lock_timeout (5s) says how long to try.';
        ELSE
            PERFORM pg_sleep(0.02 + random() * 0.05);
        END IF;
    END LOOP;
    RETURN v_branch.branch_id;
END;
$$;

COMMENT ON FUNCTION pggit._hold_branch(text) IS
'Keeps a branch from being deleted or renamed while this session has it checked out: its search_path would name a schema that is gone, and the session
would read main. Returns the branch''s number. Raises VG001 and VG401 (somebody does it for longer than pggit.lock_timeout, 5s, or has done it since a REPEATABLE READ transaction began).';

CREATE OR REPLACE FUNCTION pggit._leave_branches(p_except integer)
    RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_advisory_unlock_shared(hashtext('pggit.checkout'), c.branch_id)
      FROM pggit._checkouts() AS c WHERE c.pid = pg_backend_pid() AND c.branch_id <> p_except;
$$;

COMMENT ON FUNCTION pggit._leave_branches(integer) IS
'This session no longer keeps any branch but one from being deleted or renamed.';

CREATE OR REPLACE FUNCTION pggit._take_branch(p_branch pggit.branches, p_what text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT pggit._ask_for_lock(hashtext('pggit.checkout'), p_branch.branch_id, false) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG401', SCHEMA = 'pggit',
            MESSAGE = format('branch %L can''t be %s: it is checked out by %s', p_branch.name, p_what, coalesce(pggit._processes(ARRAY(SELECT c.pid FROM pggit._checkouts(p_branch.branch_id) AS c)), 'a session that has just left it')),
            HINT    = 'Try again when they have checked out another branch or ended; nothing was changed. The setting pggit.lock_timeout (5s) says how long to try.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._take_branch(pggit.branches, text) IS
'Waits, no longer than pggit.lock_timeout (5s), until no other session has the branch checked out, and keeps it so until this transaction ends. Raises
VG401 naming who has.';

CREATE OR REPLACE FUNCTION pggit.checkout(p_branch text)
    RETURNS text
    LANGUAGE plpgsql
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
DECLARE
    v_trusted   boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_name      text;
    v_branch_id integer;
    v_path      text;
BEGIN
    LOOP
        v_name := CASE WHEN coalesce(p_branch, '') = '' OR pggit._is_branch(p_branch) THEN coalesce(p_branch, '') ELSE pggit._ensure_detached(p_branch) END;
        BEGIN
            v_branch_id := pggit._hold_branch(v_name);
            EXIT;
        EXCEPTION WHEN SQLSTATE 'VG001' THEN
            -- A state of the past that was there may just have been taken, for nobody had it checked out.
            IF v_name = p_branch OR v_name NOT LIKE '@%' THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'VG001', SCHEMA = 'pggit',
                    MESSAGE = SQLERRM,
                    HINT    = pggit._near_refs(p_branch) || 'pggit.list_branches() shows the branches; a tag, a commit id of 4 digits or more, or a time can be checked out too.';
            END IF;
        END;
    END LOOP;
    PERFORM pggit._follow_main(v_branch_id) WHERE v_name LIKE '@%' AND NOT current_setting('transaction_read_only')::boolean;
    v_path := pggit._branch_path(v_name, current_setting('search_path'));
    PERFORM pg_catalog.set_config('pggit.branch', v_name, false);
    PERFORM pg_catalog.set_config('search_path', v_path, false);
    PERFORM pggit._leave_branches(v_branch_id);
    IF current_setting('session_replication_role') = 'replica' AND v_name NOT LIKE '@%' AND EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.branch_id = v_branch_id AND bt.form = 'view') THEN
        RAISE WARNING USING
            MESSAGE = format('what this session writes to views of branch %L is lost: PostgreSQL calls nothing that writes there with session_replication_role = replica', v_name),
            HINT    = 'SET session_replication_role = origin; or make the tables real: SELECT pggit.materialize(branch, table);';
    END IF;
    RETURN v_name;
END;
$$;

COMMENT ON FUNCTION pggit.checkout(text) IS
'Show a branch, or any state of the past, in this session: its tables are found under their plain names from now on. Returns the branch''s name.
A tag, commit or time gives views of all tables as they were then, in the shape they had, with main''s index paths; they can''t be written (VG301), pggit.create_branch(''name'') makes a branch of them. The
name of such a state begins with "@"; no list of branches has it, and pggit.gc takes those that no session has checked out. A name that main has got since does not exist there (42P01); a table, or a view or function of main''s of now, that can''t be shown as it was says why when it is read (VG302, VG306, VG307), and
keeps nothing else from being read. Rights are main''s of now.
Sets search_path and pggit.branch for the session; a rollback takes them back, and checkout(''main'') removes the branch from the path again.
A WARNING says where session_replication_role is replica and the branch has views: PostgreSQL takes writes to them then, and drops them.
Until the session checks out another branch or ends, nobody else can delete or rename this one (VG401); that a rollback does not take back.
Names with a schema in front still mean main, where a session on a branch may read but not write (VG309). Raises VG001 and VG401 (it is being deleted or renamed, or has been since a REPEATABLE READ transaction began).';
