CREATE OR REPLACE FUNCTION pggit._branch(p_name text)
    RETURNS pggit.branches
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_name   text := coalesce(p_name, pggit.current_branch());
    v_branch pggit.branches;
BEGIN
    SELECT b.* INTO v_branch FROM pggit.branches AS b WHERE b.name = v_name AND b.deleted_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG001', SCHEMA = 'pggit',
            MESSAGE = format('there is no branch %L', v_name),
            HINT    = pggit._near_branches(v_name) || 'pggit.list_branches() shows the branches there are.';
    END IF;
    RETURN v_branch;
END;
$$;

COMMENT ON FUNCTION pggit._branch(text) IS
'The branch of that name; NULL means the session''s current branch. Raises VG001.';

CREATE OR REPLACE FUNCTION pggit._is_waited_for()
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pg_locks AS l WHERE NOT l.granted AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid))));
END;
$$;

COMMENT ON FUNCTION pggit._is_waited_for() IS
'Whether somebody waits for a lock of this transaction.';

CREATE OR REPLACE FUNCTION pggit._is_in_the_way()
    RETURNS boolean
    LANGUAGE sql VOLATILE
AS $$
    SELECT coalesce(current_setting('pggit.has_branch', true), '') <> '' OR pggit._is_waited_for();
$$;

COMMENT ON FUNCTION pggit._is_in_the_way() IS
'Whether others may wait for this transaction: it has locked a branch, or somebody waits for another lock of it.';

CREATE OR REPLACE FUNCTION pggit._try_branch(p_branch_id integer)
    RETURNS pggit.branches
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch pggit.branches;
    v_own    interval         := current_setting('lock_timeout')::interval;  -- zero: none
    v_ends   timestamptz      := CASE WHEN v_own > interval '0' THEN clock_timestamp() + v_own ELSE pggit._patience_ends() END;
    v_pause  double precision := 0.001;
    v_before text             := current_setting('lock_timeout');
    v_locked boolean;
BEGIN
    LOOP
        BEGIN
            -- SKIP LOCKED waits all the same for whoever has locked a version of the row that is newer than this statement.
            IF v_own = '0' OR v_own > '50 milliseconds' THEN
                PERFORM set_config('lock_timeout', '50ms', true);
            END IF;
            SELECT b.* INTO v_branch FROM pggit.branches AS b WHERE b.branch_id = p_branch_id AND b.deleted_at IS NULL FOR NO KEY UPDATE SKIP LOCKED;
            v_locked := FOUND;
            PERFORM set_config('lock_timeout', v_before, true);
        EXCEPTION WHEN lock_not_available THEN
            v_locked := false;
        END;
        IF v_locked THEN
            PERFORM set_config('pggit.has_branch', 'on', true);
            RETURN v_branch;
        END IF;
        SELECT b.* INTO v_branch FROM pggit.branches AS b WHERE b.branch_id = p_branch_id AND b.deleted_at IS NULL;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        IF clock_timestamp() >= v_ends THEN
            IF v_own > interval '0' OR pggit._is_in_the_way() THEN
                RAISE EXCEPTION USING
                    ERRCODE = CASE WHEN v_own > interval '0' THEN '55P03' ELSE 'VG401' END, SCHEMA = 'pggit',
                    MESSAGE = format('branch %L is busy: another transaction commits to it, merges it or changes it', v_branch.name),
                    HINT    = 'Try again when it is done. Who waits while others wait for him gives up after pggit.lock_timeout (5s), everybody after lock_timeout.';
            END IF;
            v_ends := v_ends + interval '1 second';
        END IF;
        PERFORM pg_sleep(v_pause * (0.5 + random()));
        v_pause := least(v_pause * 1.5, 0.02);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._try_branch(integer) IS
'Locks a branch''s row until the end of the transaction and returns it as it is then: commits on one branch queue here. NULL when it has been deleted.
Asks again and again instead of waiting in line: who has the row may wait for what this transaction has locked, and in a line of several, whoever has stood there for deadlock_timeout would be PostgreSQL''s victim.
Never a stronger lock than this one: foreign keys hold the row as KEY SHARE already, and two sessions that wanted more would wait for each other.
Waits as long as it takes while nobody can wait for this transaction, else for pggit.lock_timeout (VG401); never longer than lock_timeout (55P03).';

CREATE OR REPLACE FUNCTION pggit._lock_branch_row(p_branch_id integer)
    RETURNS pggit.branches
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch pggit.branches := pggit._try_branch(p_branch_id);
BEGIN
    IF v_branch.branch_id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG001', SCHEMA = 'pggit',
            MESSAGE = format('branch number %s has just been deleted', p_branch_id);
    END IF;
    RETURN v_branch;
END;
$$;

COMMENT ON FUNCTION pggit._lock_branch_row(integer) IS
'As pggit._try_branch, for a branch that has to be there. Raises VG001 too.';

CREATE OR REPLACE FUNCTION pggit._lock_branch(p_branch_id integer)
    RETURNS pggit.branches
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch pggit.branches := pggit._lock_branch_row(p_branch_id);
BEGIN
    PERFORM pggit._refuse_detached(v_branch);
    RETURN v_branch;
END;
$$;

COMMENT ON FUNCTION pggit._lock_branch(integer) IS
'pggit._lock_branch_row for who is going to change the branch. Raises VG001, VG301 (a state of the past).';

CREATE OR REPLACE FUNCTION pggit._commit_by_prefix(p_prefix text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_found text[] := ARRAY(SELECT c.commit_id FROM pggit.commits AS c WHERE p_prefix ~ '^[0-9a-f]{4,64}$' AND c.commit_id LIKE p_prefix || '%' LIMIT 2);
BEGIN
    IF cardinality(v_found) > 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG205', SCHEMA = 'pggit',
            MESSAGE = format('commit id %L is not unique', p_prefix),
            HINT    = 'Give more of its digits.';
    END IF;
    RETURN v_found[1];
END;
$$;

COMMENT ON FUNCTION pggit._commit_by_prefix(text) IS
'The commit whose id is or begins with 4 hexadecimal digits or more; NULL when there is none. Raises VG205.';

CREATE OR REPLACE FUNCTION pggit._find_commit(p_ref text, p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_commit text := pggit._find_named(p_ref, p_branch_id);
BEGIN
    IF v_commit IS NULL AND pggit._time(p_ref) IS NOT NULL THEN
        v_commit := pggit._commit_before((SELECT b FROM pggit.branches AS b WHERE b.branch_id = p_branch_id), pggit._time(p_ref));
        IF v_commit IS NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG002', SCHEMA = 'pggit',
                MESSAGE = format('branch %L has no commit at or before %s', (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_branch_id), p_ref),
                HINT    = 'pggit.log() shows its commits with their times.';
        END IF;
    ELSIF p_ref = 'WORKING' AND v_commit IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG002', SCHEMA = 'pggit',
            MESSAGE = '''WORKING'' is a branch as it is now, and here a commit is asked for',
            HINT    = 'A merge commits what is pending on a branch that is given by its name; pggit.commit makes a commit of it. diff, diff_rows, diff_schema and as_of take WORKING.';
    ELSIF v_commit IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG002', SCHEMA = 'pggit',
            MESSAGE = format('%L is no branch, tag, commit or time', p_ref),
            HINT    = pggit._near_refs(p_ref) || 'pggit.list_branches() shows the branches, pggit.tags the tags, pggit.log() the commits of a branch. A commit id needs at least 4 digits; HEAD~1 and main^2 count back from a ref; a time is written as PostgreSQL reads it, such as 2026-03-01 17:30.';
    END IF;
    RETURN v_commit;
END;
$$;

COMMENT ON FUNCTION pggit._find_commit(text, integer) IS
'Commit of a ref without ~ and ^. HEAD and times are of the branch given. Raises VG002, VG009, VG205.';

CREATE OR REPLACE FUNCTION pggit._find_named(p_ref text, p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_commit text;
BEGIN
    IF p_ref = 'HEAD' THEN
        SELECT b.head INTO v_commit FROM pggit.branches AS b WHERE b.branch_id = p_branch_id;
        IF v_commit IS NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG009', SCHEMA = 'pggit',
                MESSAGE = format('branch %L has no commits yet', (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_branch_id)),
                HINT    = 'SELECT pggit.commit(''first commit'');';
        END IF;
        RETURN v_commit;
    END IF;

    SELECT b.branch_id INTO p_branch_id FROM pggit.branches AS b WHERE b.name = p_ref AND b.deleted_at IS NULL;
    IF FOUND THEN
        RETURN pggit._find_named('HEAD', p_branch_id);
    END IF;

    SELECT t.commit_id INTO v_commit FROM pggit.tags AS t WHERE t.name = p_ref;
    IF FOUND THEN
        RETURN v_commit;
    END IF;

    RETURN pggit._commit_by_prefix(p_ref);
END;
$$;

COMMENT ON FUNCTION pggit._find_named(text, integer) IS
'Commit of HEAD, a branch, a tag or the beginning of an id; NULL when it is none of them. Raises VG009, VG205.';

CREATE OR REPLACE FUNCTION pggit._first_parents(p_head text)
    RETURNS TABLE (commit_id text, committed_at timestamptz, depth integer)
    LANGUAGE sql STABLE
AS $$
    WITH RECURSIVE walk AS (
        SELECT c.commit_id, c.committed_at, c.parents, 0 AS depth FROM pggit.commits AS c WHERE c.commit_id = p_head
        UNION ALL
        SELECT c.commit_id, c.committed_at, c.parents, w.depth + 1
          FROM walk AS w JOIN pggit.commits AS c ON c.commit_id = w.parents[1]
    )
    SELECT w.commit_id, w.committed_at, w.depth FROM walk AS w;
$$;

COMMENT ON FUNCTION pggit._first_parents(text) IS
'A commit and its first parents, nearest first.';

CREATE OR REPLACE FUNCTION pggit._commit_before(p_branch pggit.branches, p_at timestamptz)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT a.commit_id FROM pggit._first_parents(p_branch.head) AS a WHERE a.committed_at <= p_at ORDER BY a.depth LIMIT 1);
END;
$$;

COMMENT ON FUNCTION pggit._commit_before(pggit.branches, timestamptz) IS
'The last commit of a branch''s own history at or before a time.';

CREATE OR REPLACE FUNCTION pggit._ancestors(p_head text)
    RETURNS TABLE (commit_id text, commit_no bigint)
    LANGUAGE sql STABLE
AS $$
    WITH RECURSIVE walk AS (
        SELECT c.commit_id, c.commit_no, c.parents FROM pggit.commits AS c WHERE c.commit_id = p_head
        UNION
        SELECT c.commit_id, c.commit_no, c.parents FROM walk AS w JOIN pggit.commits AS c ON c.commit_id = ANY (w.parents)
    )
    SELECT w.commit_id, w.commit_no FROM walk AS w;
$$;

COMMENT ON FUNCTION pggit._ancestors(text) IS
'A commit and all its ancestors, over every parent.';

CREATE OR REPLACE FUNCTION pggit._resolve(p_ref text, p_branch_id integer DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_ref    text := coalesce(p_ref, 'HEAD');
    v_name   text := substring(v_ref FROM '^(.*?)(?:[~^][0-9]*)*$');
    v_commit text := pggit._find_commit(v_name, coalesce(p_branch_id, (pggit._branch(NULL)).branch_id));
    v_step   text[];
    v_count  integer;
BEGIN
    FOR v_step IN SELECT m FROM regexp_matches(substr(v_ref, length(v_name) + 1), '([~^])([0-9]*)', 'g') AS m LOOP
        IF length(v_step[2]) > 6 THEN
            v_commit := NULL;
            EXIT;
        END IF;
        v_count := coalesce(nullif(v_step[2], '')::integer, 1);
        IF v_step[1] = '~' THEN
            SELECT p.commit_id INTO v_commit FROM pggit._first_parents(v_commit) AS p WHERE p.depth = v_count;
        ELSIF v_count > 0 THEN
            SELECT c.parents[v_count] INTO v_commit FROM pggit.commits AS c WHERE c.commit_id = v_commit;
        END IF;
    END LOOP;
    IF v_commit IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG002', SCHEMA = 'pggit',
            MESSAGE = format('there is no commit %L: the history does not go back that far', v_ref),
            HINT    = format('%s goes back to %1$s~%s along first parents, and only merges have a ^2. SELECT * FROM pggit.log(%1$L); shows the commits there are.', v_name,
                             (SELECT max(p.depth) FROM pggit._first_parents(pggit._find_commit(v_name, coalesce(p_branch_id, (pggit._branch(NULL)).branch_id))) AS p));
    END IF;
    RETURN v_commit;
END;
$$;

COMMENT ON FUNCTION pggit._resolve(text, integer) IS
'Commit id of a ref with any ~n and ^n behind it. HEAD is of the branch given, else of the current branch. Raises VG002, VG009, VG205.';

CREATE OR REPLACE FUNCTION pggit._ref(p_ref text, p_branch_id integer DEFAULT NULL, OUT commit_id text, OUT at pggit._position)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_at     timestamptz;
    v_branch pggit.branches;
    v_then   record;
BEGIN
    IF p_ref = 'WORKING' THEN
        p_branch_id := coalesce(p_branch_id, (pggit._branch(NULL)).branch_id);
        SELECT b.head INTO commit_id FROM pggit.branches AS b WHERE b.branch_id = p_branch_id;
        at := pggit._working_position(p_branch_id);
        RETURN;
    END IF;
    v_at := pggit._time(p_ref);
    IF v_at IS NOT NULL THEN
        v_branch := CASE WHEN p_branch_id IS NULL THEN pggit._parent_of_detached(pggit._branch(NULL)) ELSE (SELECT b FROM pggit.branches AS b WHERE b.branch_id = p_branch_id) END;
        IF pggit._find_named(p_ref, v_branch.branch_id) IS NULL THEN
            v_then    := pggit._position_at(v_branch, v_at);
            commit_id := pggit._commit_before(v_branch, v_at);
            at        := v_then.at;
            PERFORM pggit._require_readable(NULL, at);
            IF NOT v_then.is_exact THEN
                RAISE NOTICE 'the state at % is not exact: transactions that were open then count by when they began', p_ref
                    USING HINT = 'It is exact where the server keeps commit times (track_commit_timestamp = on), and at ticks (pggit.tick).';
            END IF;
            RETURN;
        END IF;
    END IF;
    commit_id := pggit._resolve(p_ref, p_branch_id);
    PERFORM pggit._require_kept(commit_id);
    SELECT (c.at).branch_id, (c.at).x, (c.at).s INTO at FROM pggit.commits AS c WHERE c.commit_id = _ref.commit_id;
END;
$$;

COMMENT ON FUNCTION pggit._ref(text, integer) IS
'Commit and position of any ref. WORKING is the branch as it is now, a time as it was then, with the last commit before, NULL if there was none. Raises VG001, VG002, VG009, VG205,
VG306 (its rows are collected). Who reads at it asks pggit._require_readable again when done: pggit.gc may have come in between.';

CREATE OR REPLACE FUNCTION pggit.resolve_ref(p_ref text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN pggit._resolve(p_ref);
END;
$$;

COMMENT ON FUNCTION pggit.resolve_ref(text) IS
'The full commit id of a ref: branch, tag, commit id or unique prefix of 4 digits or more, HEAD, with ~n and ^n, or a time (the last commit of the
current branch at or before it; pggit.resolve_time says more). A branch hides a tag of the same name, and either a time that is written so. Raises VG001, VG002 (nothing of that name), VG009 (no commits yet), VG205
(prefix not unique).';
