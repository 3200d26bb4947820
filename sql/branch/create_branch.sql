CREATE OR REPLACE FUNCTION pggit._branch_info(p_branch pggit.branches)
    RETURNS pggit.branch_info
    LANGUAGE sql STABLE
AS $$
    SELECT (p_branch).branch_id, (p_branch).name, (p_branch).mode, (SELECT p.name FROM pggit.branches AS p WHERE p.branch_id = (p_branch).parent_id),
           (p_branch).base_commit, (p_branch).head, (p_branch).is_protected, (p_branch).created_at, (p_branch).created_by,
           CASE WHEN (p_branch).branch_id <> 1 THEN
               ARRAY(SELECT format('%I.%I', t.schema_name, t.table_name)
                       FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
                      WHERE bt.branch_id = (p_branch).branch_id AND bt.form = 'table'
                      ORDER BY t.schema_name, t.table_name) END;
$$;

COMMENT ON FUNCTION pggit._branch_info(pggit.branches) IS
'A branch as users see it.';

CREATE OR REPLACE FUNCTION pggit._owned_sql(p_table_id integer, p_branch_id integer, p_mark pggit._mark, p_at pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (WITH part AS (
                SELECT pggit._key_columns(p_table_id) AS keys,
                       pggit._all_first_out_sql(format('pggit._undo_%s', p_table_id), pggit._key_columns(p_table_id, 'h'),
                                                format('h._b = %s AND %s', p_branch_id, pggit._out_sql('h', p_mark))) AS first_out,
                       pggit._dense_rows_sql(p_branch_id, p_table_id, p_at) AS dense
            )
            SELECT format($sql$
                WITH first_out AS MATERIALIZED (%1$s)
                SELECT f._live, %2$s FROM first_out AS f WHERE f._owned
                UNION ALL
                SELECT d._there IS NOT NULL, %3$s FROM pggit._mask_%4$s AS m LEFT JOIN (%5$s) AS d ON %6$s
                 WHERE m._b = %7$s AND NOT EXISTS (SELECT FROM first_out AS f WHERE %8$s)$sql$,
                p.first_out, pggit._stored_columns(p_table_id, 'f', p_at), pggit._own_columns(p_table_id, 'm', 'd', p_at), p_table_id,
                CASE WHEN p.dense IS NULL THEN format('SELECT true AS _there, %s FROM pggit._delta_%s AS d WHERE d._b = %s', pggit._stored_columns(p_table_id, 'd', p_at), p_table_id, p_branch_id)
                     ELSE format('SELECT true AS _there, r.* FROM (%s) AS r', p.dense) END,
                pggit._same_key(p_table_id, 'd', 'm'), p_branch_id, pggit._same_key(p_table_id, 'f', 'm'))
              FROM part AS p);
END;
$$;

COMMENT ON FUNCTION pggit._owned_sql(integer, integer, pggit._mark, pggit._position) IS
'SELECT (_live, c…) of the keys that a branch owned at a mark of its log, with their rows in the columns of a position; deleted ones are not _live.';

CREATE OR REPLACE FUNCTION pggit._copy_owned(p_table_id integer, p_from integer, p_mark pggit._mark, p_to integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_at   pggit._position := (SELECT pggit._branch_now(p_to) FROM pggit.tables AS t WHERE t.table_id = p_table_id AND t.on_main);
    v_rows bigint;
BEGIN
    EXECUTE format($sql$
        WITH owned AS MATERIALIZED (%1$s), masked AS (
            INSERT INTO pggit._mask_%2$s (_b, %3$s) SELECT %4$s, %5$s FROM owned AS o
        )
        INSERT INTO pggit._delta_%2$s (_b, %6$s) SELECT %4$s, %7$s FROM owned AS o WHERE o._live$sql$,
        pggit._owned_sql(p_table_id, p_from, p_mark, v_at), p_table_id, pggit._key_columns(p_table_id), p_to, pggit._key_columns(p_table_id, 'o'),
        pggit._stored_columns(p_table_id, NULL, v_at), pggit._stored_columns(p_table_id, 'o', v_at));
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    IF v_rows > 1000 THEN
        EXECUTE format('ANALYZE pggit._delta_%1$s, pggit._mask_%1$s', p_table_id);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._copy_owned(integer, integer, pggit._mark, integer) IS
'Gives a new branch what another one owned at a mark. Nothing is logged: the new branch begins with it.';

CREATE OR REPLACE FUNCTION pggit._fork_point(p_from text, OUT parent_id integer, OUT commit_id text, OUT at pggit._position)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch    pggit.branches;
    v_branch_id integer;
    v_ref       record;
BEGIN
    IF p_from IS NULL OR p_from = 'WORKING' THEN
        v_branch := pggit._branch(NULL);
    ELSE
        SELECT b.* INTO v_branch FROM pggit.branches AS b WHERE b.name = p_from AND b.deleted_at IS NULL;
    END IF;

    IF v_branch.mode = 'detached' THEN
        p_from      := substr(v_branch.name, 2);
        v_branch_id := v_branch.parent_id;
    END IF;
    IF v_branch.mode = 'schema' THEN
        PERFORM pggit._commit_pending(v_branch.branch_id, CASE WHEN v_branch.head IS NULL THEN 'First commit' ELSE 'Changes before a branch was made' END);
        parent_id := v_branch.branch_id;
        commit_id := (SELECT b.head FROM pggit.branches AS b WHERE b.branch_id = v_branch.branch_id);
    ELSE
        PERFORM pggit._hold_commit(p_from, v_branch_id);
        v_ref     := pggit._ref(p_from, v_branch_id);
        commit_id := v_ref.commit_id;
        at        := v_ref.at;
        parent_id := (at).branch_id;
        RETURN;
    END IF;
    at := (SELECT c.at FROM pggit.commits AS c WHERE c.commit_id = _fork_point.commit_id);
END;
$$;

COMMENT ON FUNCTION pggit._fork_point(text) IS
'Where a new branch begins: a branch as it is now (its pending changes are committed first), else any ref; at a time, what was not committed to the branch then is pending on the new one. NULL is the current branch, or the state of the past that is checked out.';

CREATE OR REPLACE FUNCTION pggit._why_no_view(p_relation oid)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN c.relrowsecurity THEN 'it has row-level security'
                WHEN EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisexclusion) THEN 'its primary key is WITHOUT OVERLAPS'
                WHEN c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits AS h WHERE c.oid IN (h.inhrelid, h.inhparent)) THEN 'it takes part in inheritance'
                WHEN f.functions IS NOT NULL THEN format('its constraints or indexes call functions of another user, %s', f.functions) END
      FROM pg_class AS c CROSS JOIN LATERAL pggit._foreign_code(c.oid) AS f(functions)
     WHERE c.oid = p_relation;
$$;

COMMENT ON FUNCTION pggit._why_no_view(oid) IS
'Why a table has to be a real one on branches, or NULL.';

CREATE OR REPLACE FUNCTION pggit._locks_of_real(p_relation oid)
    RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT 12 + 3 * count(*) FROM pg_index AS i WHERE i.indrelid = p_relation);
END;
$$;

COMMENT ON FUNCTION pggit._locks_of_real(oid) IS
'How many locks, about, a branch''s transaction holds for a table that it makes real: the table, its TOAST and indexes, and what it is read from. A view takes 5.';

CREATE OR REPLACE FUNCTION pggit._real_tables(p_tables pggit.tables[], p_materialize text)
    RETURNS integer[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_limit  bigint := pg_size_bytes(pggit._size_setting('pggit.materialize_limit', '64MB'));
    v_table  pggit.tables;
    v_real   integer[] := '{}';
    v_room   bigint := pggit._room_for_locks() * 3 / 4 - 5 * cardinality(p_tables);
    v_all    boolean;
    v_small  boolean;
    v_reason record;
BEGIN
    CASE p_materialize
        WHEN 'all' THEN
            v_real := ARRAY(SELECT t.table_id FROM unnest(p_tables) AS t);
        WHEN 'none' THEN
            NULL;
        WHEN 'auto' THEN
            v_all := (SELECT coalesce(sum(pggit._total_size(t.relation)), 0) <= v_limit FROM unnest(p_tables) AS t);
            FOREACH v_table IN ARRAY p_tables LOOP
                v_small := v_all;
                IF NOT v_small THEN
                    EXECUTE format('SELECT count(*) < 10000 FROM (SELECT FROM %s LIMIT 10000) AS r', pggit._rows_of(v_table.relation)) INTO v_small;
                END IF;
                IF (v_small AND v_room > pggit._locks_of_real(v_table.relation)) OR pggit._why_no_view(v_table.relation) IS NOT NULL THEN
                    v_real := v_real || v_table.table_id;
                    v_room := v_room - pggit._locks_of_real(v_table.relation);
                END IF;
            END LOOP;
        ELSE
            v_real := ARRAY(SELECT (pggit._table(btrim(m[1]))).table_id
                              FROM regexp_matches(p_materialize, '((?:"(?:[^"]|"")*"|[^",])+)', 'g') AS m);
    END CASE;

    v_real := v_real || ARRAY(SELECT t.table_id FROM unnest(p_tables) AS t WHERE pggit._is_keyless(t.table_id));
    IF (SELECT 5 * cardinality(p_tables) + sum(pggit._locks_of_real(t.relation)) > pggit._room_for_locks() FROM unnest(p_tables) AS t WHERE t.table_id = ANY (v_real)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('a branch with %s real tables needs more locks in one transaction than the server has room for (%s)', cardinality(v_real), pggit._room_for_locks()),
            HINT    = 'Make fewer tables real (p_materialize), or raise max_locks_per_transaction and restart the server.';
    END IF;
    FOR v_reason IN
        SELECT t.relation::regclass AS name, w.reason FROM unnest(p_tables) AS t CROSS JOIN LATERAL pggit._why_no_view(t.relation) AS w(reason)
         WHERE w.reason IS NOT NULL AND t.table_id <> ALL (v_real)
    LOOP
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('table %s can''t be a view on a branch: %s', v_reason.name, v_reason.reason),
            HINT    = 'Name it in p_materialize, or use auto: a real table keeps all of that.';
    END LOOP;
    RETURN v_real;
END;
$$;

COMMENT ON FUNCTION pggit._real_tables(pggit.tables[], text) IS
'Which tables of a new branch are to be real: all, none, a comma-separated list, or auto: all while together they are not above
pggit.materialize_limit (64MB), else those below 10,000 rows, as many as one transaction may lock. Tables without a primary key are always real; others that can''t be views are with auto (else VG307).';

CREATE OR REPLACE FUNCTION pggit._require_columns_of_main(p_table pggit.tables, p_at pggit._position)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF NOT p_table.on_main THEN
        RETURN;
    ELSIF pggit._is_reshaped(p_table.table_id, p_at, NULL) THEN
        PERFORM pggit._require_no_gap(p_table, (1, pggit._base_mark(p_at), pggit._base_mark(p_at))::pggit._position);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_columns_of_main(pggit.tables, pggit._position) IS
'Raises VG306 when a table had other columns at a position than now and main''s rows of then are lost.';

CREATE OR REPLACE FUNCTION pggit._has_own_columns(p_at pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.tables AS t
                            WHERE t.on_main AND t.untracked_at IS NULL
                              AND EXISTS (SELECT FROM pggit.branch_columns AS b WHERE b.branch_id = (p_at).branch_id AND b.table_id = t.table_id)
                              AND ARRAY(SELECT (c.column_id, c.name)::text FROM pggit._columns_at(t.table_id, p_at) AS c ORDER BY c.column_id)
                                  <> ARRAY(SELECT (c.column_id, c.name)::text FROM pggit._columns_at(t.table_id, (1, pggit._base_mark(p_at), pggit._base_mark(p_at))::pggit._position) AS c ORDER BY c.column_id)));
END;
$$;

COMMENT ON FUNCTION pggit._has_own_columns(pggit._position) IS
'Whether tables of main''s have other columns at a position of a branch than main had where the branch stood, or other names of them.';

CREATE OR REPLACE FUNCTION pggit._branch_off_changed_columns(p_name text, p_fork record, p_source text, p_mode text, p_materialize text)
    RETURNS pggit.branches
    LANGUAGE plpgsql
AS $$
DECLARE
    v_base   text := (SELECT (pggit._merge_bases(p_fork.commit_id, b.base_commit))[1] FROM pggit.branches AS b WHERE b.branch_id = (p_fork.at).branch_id);
    v_reason text;
    v_branch pggit.branches;
BEGIN
    IF v_base IS NULL OR v_base = p_fork.commit_id THEN
        v_reason := 'it has no commit from before that it is a continuation of';
    ELSIF EXISTS (SELECT FROM pggit.commits AS c WHERE c.commit_id = p_fork.commit_id AND c.at::text <> p_fork.at::text) THEN
        v_reason := 'that state is in no commit';
    ELSE
        v_branch := pggit._create_branch(p_name, v_base, p_mode, p_materialize);
        SELECT CASE WHEN m.result <> 'fast_forward' THEN coalesce(m.detail ->> 'reason', m.result) END INTO v_reason
          FROM pggit.merge(coalesce(p_source, p_fork.commit_id), p_name, NULL, '{"fast_forward": "only"}') AS m;
    END IF;
    IF v_reason IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG302', SCHEMA = 'pggit',
            MESSAGE = format('a branch can''t begin where tables have the columns that %s gave them: %s',
                             (SELECT format('branch %L', b.name) FROM pggit.branches AS b WHERE b.branch_id = (p_fork.at).branch_id),
                             v_reason),
            HINT    = 'Merge that branch into main and branch from there, or work on it. pggit.as_of and pggit.diff_rows show the rows of then.';
    END IF;
    UPDATE pggit.branches AS b SET parent_id = p_fork.parent_id, base_commit = b.head WHERE b.branch_id = v_branch.branch_id RETURNING b.* INTO v_branch;
    RETURN v_branch;
END;
$$;

COMMENT ON FUNCTION pggit._branch_off_changed_columns(text, record, text, text, text) IS
'Makes a branch of a branch that has columns of its own (p_fork: as of pggit._fork_point; p_source: that branch as it is now, NULL: the commit): it begins where that one began, and goes forward to it by a merge. Raises VG302 when that merge is refused.';

CREATE OR REPLACE FUNCTION pggit._show_tables(p_branch pggit.branches, p_at pggit._position, p_materialize text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name   text;
    v_tables pggit.tables[];
    v_real   integer[];
    v_new    integer[];
    v_past   integer[];
    v_table  pggit.tables;
    v_following text := coalesce(current_setting('pggit.following', true), '');
BEGIN
    -- What is made here is nothing that anybody has to follow.
    PERFORM set_config('pggit.following', 'on', true);
    v_tables := ARRAY(SELECT t FROM pggit._tables_at(p_at) AS t ORDER BY t.table_id);
    FOREACH v_table IN ARRAY v_tables LOOP
        PERFORM pggit._take_columns(v_table.table_id, (p_at).branch_id) WHERE NOT v_table.on_main;
        PERFORM pggit._require_columns_of_main(v_table, p_at);
        -- What a real table has of rows that main has lost is not copied.
        IF v_table.on_main AND pggit._dense_relation((p_at).branch_id, v_table.table_id) IS NOT NULL THEN
            PERFORM pggit._require_no_gap(v_table, (1, (p_at).s, (p_at).s)::pggit._position);
        END IF;
    END LOOP;
    v_new    := ARRAY(SELECT t.table_id FROM unnest(v_tables) AS t WHERE NOT t.on_main);
    v_past   := ARRAY(SELECT n FROM unnest(v_new) AS n WHERE NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.branch_id = (p_at).branch_id AND bt.table_id = n));
    v_real   := pggit._real_tables(ARRAY(SELECT t FROM unnest(v_tables) AS t WHERE t.on_main), p_materialize) || pggit._parents_of_new((p_at).branch_id);
    IF v_past <> '{}' THEN
        v_real := v_real || pggit._past_parents(p_branch.branch_id, v_past);
    END IF;
    PERFORM pggit._require_relatives(v_tables);
    FOREACH v_table IN ARRAY v_tables LOOP
        IF (p_at).branch_id <> 1 AND pggit._is_keyless(v_table.table_id) THEN
            PERFORM pggit._copy_own_rows(v_table.table_id, (p_at).branch_id, (p_at).x, p_branch.branch_id);
        ELSIF (p_at).branch_id <> 1 THEN
            PERFORM pggit._copy_owned(v_table.table_id, (p_at).branch_id, (p_at).x, p_branch.branch_id);
        END IF;
        IF v_table.table_id = ANY (v_past) THEN
            PERFORM pggit._copy_past_table(v_table.table_id, p_branch.branch_id);
        ELSIF v_table.table_id = ANY (v_new) THEN
            PERFORM pggit._copy_new_table(v_table.table_id, (p_at).branch_id, p_branch.branch_id);
        ELSIF v_table.table_id = ANY (v_real) THEN
            PERFORM pggit._create_real(p_branch.branch_id, v_table.table_id);
        ELSE
            PERFORM pggit._create_view(p_branch.branch_id, v_table.table_id);
        END IF;
        v_name := pggit._shown_name(v_table.table_id, (p_at).branch_id);
        PERFORM pggit._give_name(v_table.table_id, p_branch.branch_id, v_name) WHERE v_name <> pggit._shown_name(v_table.table_id, p_branch.branch_id) AND (p_at).branch_id <> 1;
    END LOOP;
    FOREACH v_table IN ARRAY v_tables LOOP
        IF v_table.table_id = ANY (v_past) THEN
            PERFORM pggit._past_keys(v_table.table_id, p_branch.branch_id);
        ELSIF v_table.table_id = ANY (v_new) THEN
            PERFORM pggit._copy_new_keys(v_table.table_id, (p_at).branch_id, p_branch.branch_id);
        ELSIF v_table.table_id = ANY (v_real) THEN
            PERFORM pggit._real_foreign_keys(p_branch.branch_id, v_table.table_id);
        END IF;
    END LOOP;
    PERFORM set_config('pggit.following', v_following, true);
END;
$$;

COMMENT ON FUNCTION pggit._show_tables(pggit.branches, pggit._position, text) IS
'Gives a new branch the tables of the position it begins at, as views or real ones, with what its parent owned of them.';

CREATE OR REPLACE FUNCTION pggit._create_branch(p_name text, p_from text, p_mode text, p_materialize text)
    RETURNS pggit.branches
    LANGUAGE plpgsql
AS $$
DECLARE
    v_fork   record;
    v_branch pggit.branches;
    v_schema record;
BEGIN
    IF p_mode IN ('database', 'instance') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('the SQL core makes branches in schema mode only, not in %s mode', p_mode),
            HINT    = 'Leave p_mode out.';
    ELSIF (p_mode IS DISTINCT FROM 'schema' AND NOT coalesce(p_mode = 'detached' AND p_name LIKE '@%', false)) OR p_materialize IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = CASE WHEN p_materialize IS NULL THEN 'p_materialize is NULL, but must be auto, none, all or a list of tables'
                           ELSE format('there is no branch mode %L', p_mode) END,
            HINT    = 'SELECT pggit.create_branch(''name''); with neither makes a branch in schema mode.';
    END IF;

    v_fork := pggit._fork_point(p_from);
    IF p_mode <> 'detached' AND pggit._has_own_columns(v_fork.at) THEN
        RETURN pggit._branch_off_changed_columns(p_name, v_fork, (SELECT b.name FROM pggit.branches AS b WHERE b.deleted_at IS NULL AND b.branch_id = v_fork.parent_id
                                                                     AND (b.name = p_from OR coalesce(p_from, 'WORKING') = 'WORKING')), p_mode, p_materialize);
    END IF;
    BEGIN
        INSERT INTO pggit.branches (name, mode, parent_id, base_commit, head, head_at, created_by)
        VALUES (p_name, p_mode, v_fork.parent_id, v_fork.commit_id, v_fork.commit_id, NULL, pggit._actor())
        RETURNING * INTO v_branch;
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG101', SCHEMA = 'pggit',
            MESSAGE = format('branch %L exists already', p_name),
            HINT    = 'pggit.ensure_branch() takes it as it is; pggit.delete_branch() removes it.';
    END;
    -- The statements that make a state of the past must not take it as one that nobody looks at.
    PERFORM set_config('pggit.making', v_branch.branch_id::text, true);
    INSERT INTO pggit.branch_bases (branch_id, s) VALUES (v_branch.branch_id, pggit._base_mark(v_fork.at));
    PERFORM pg_current_xact_id();
    UPDATE pggit.branches AS b SET head_at = CASE WHEN c.at::text = v_fork.at::text THEN pggit._working_position(v_branch.branch_id) ELSE c.at END
      FROM pggit.commits AS c
     WHERE b.branch_id = v_branch.branch_id AND c.commit_id = v_fork.commit_id
    RETURNING b.* INTO v_branch;

    INSERT INTO pggit.table_changes (table_id, branch_id, is_there, schema_name, table_name)
    SELECT t.table_id, v_branch.branch_id, c.is_there, c.schema_name, c.table_name
      FROM pggit.tables AS t CROSS JOIN LATERAL pggit._last_change(t.table_id, v_fork.at) AS c WHERE t.untracked_at IS NULL AND c.branch_id <> 1 ORDER BY t.table_id;
    FOR v_schema IN
        SELECT DISTINCT t.schema_name FROM pggit.tables AS t WHERE t.untracked_at IS NULL AND to_regnamespace(quote_ident(t.schema_name)) IS NOT NULL
        UNION SELECT s.schema_name FROM pggit.tracked_schemas AS s WHERE to_regnamespace(quote_ident(s.schema_name)) IS NOT NULL
        UNION SELECT n.schema_name FROM pggit.tables AS t CROSS JOIN LATERAL pggit._name_at(t.table_id, v_fork.at) AS n WHERE t.untracked_at IS NULL AND NOT t.on_main AND pggit._presence(t, v_fork.at) = 'present'
        ORDER BY 1
    LOOP
        PERFORM pggit._create_branch_schema(v_branch, v_schema.schema_name);
    END LOOP;
    IF p_mode = 'detached' THEN
        PERFORM pggit._show_state(v_branch, v_fork.at);
    ELSE
        PERFORM pggit._show_tables(v_branch, v_fork.at, p_materialize);
    END IF;
    PERFORM pggit._shut_later_names(v_branch.branch_id, false);
    PERFORM pggit._real_inheritance(v_branch.branch_id);
    PERFORM pggit._copy_readers(v_branch.branch_id, (v_fork.at).branch_id);
    PERFORM pggit._note_copies(v_branch.branch_id);
    INSERT INTO pggit.schema_moves SELECT v_branch.branch_id, m.object_type, m.object_name, m.parent, m.definition, m.hash, m.at FROM pggit.schema_moves AS m WHERE m.branch_id = (v_fork.at).branch_id;
    PERFORM pggit._shut_names(v_branch.branch_id);
    PERFORM set_config('pggit.making', '', true);
    RETURN v_branch;
END;
$$;

COMMENT ON FUNCTION pggit._create_branch(text, text, text, text) IS
'Makes a branch: its row, its place on main, what its parent owned, its schemas, relations, views and functions.';

CREATE OR REPLACE FUNCTION pggit._follow_schema_rights(p_base text, p_schema text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_change record;
BEGIN
    FOR v_change IN
        WITH wanted AS (
            SELECT g.grantee, g.privilege_type FROM pg_namespace AS n, aclexplode(n.nspacl) AS g WHERE n.nspname = p_base
            UNION SELECT n.nspowner, p.privilege FROM pg_namespace AS n, unnest(ARRAY['USAGE', 'CREATE']) AS p(privilege) WHERE n.nspname = p_base
            UNION SELECT c.relowner, 'USAGE' FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation WHERE t.schema_name = p_base AND t.untracked_at IS NULL
        ), given AS (
            SELECT g.grantee, g.privilege_type FROM pg_namespace AS n, aclexplode(n.nspacl) AS g WHERE n.nspname = p_schema
        )
        SELECT format('%s %s ON SCHEMA %I %s %s', CASE WHEN w.grantee IS NULL THEN 'REVOKE' ELSE 'GRANT' END, privilege_type, p_schema, CASE WHEN w.grantee IS NULL THEN 'FROM' ELSE 'TO' END,
                      CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END) AS command
          FROM wanted AS w FULL JOIN given AS g USING (grantee, privilege_type)
         WHERE (w.grantee IS NULL OR g.grantee IS NULL) AND grantee <> (SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = p_schema)
    LOOP
        EXECUTE v_change.command;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._follow_schema_rights(text, text) IS
'Who may use a schema of main or make objects in it, such as indexes, may do so in the schema that stands for it on a branch, and nobody else.';

CREATE OR REPLACE FUNCTION pggit._create_branch_schema(p_branch pggit.branches, p_schema text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name text := pggit._branch_schema_name(p_schema, p_branch.name);
BEGIN
    IF to_regnamespace(quote_ident(v_name)) IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG101', SCHEMA = 'pggit',
            MESSAGE = format('schema %I, which branch %L needs, exists already', v_name, p_branch.name),
            HINT    = 'Rename or drop the schema, or give the branch another name.';
    END IF;
    EXECUTE format('CREATE SCHEMA %I', v_name);
    INSERT INTO pggit.branch_schemas (branch_id, base_schema, schema_name) VALUES (p_branch.branch_id, p_schema, v_name);
    PERFORM pggit._follow_schema_rights(p_schema, v_name);
END;
$$;

COMMENT ON FUNCTION pggit._create_branch_schema(pggit.branches, text) IS
'Makes the schema of a branch that stands for one of main: who may use that one or make objects in it, such as indexes, may do so here. Raises VG101 when the name is taken.';

CREATE OR REPLACE FUNCTION pggit.create_branch(p_name text, p_from text DEFAULT NULL, p_mode text DEFAULT 'schema', p_materialize text DEFAULT 'auto')
    RETURNS pggit.branch_info
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET standard_conforming_strings = on SET quote_all_identifiers = off SET row_security = off
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches;
BEGIN
    PERFORM pggit._check_branch_name(p_name);
    v_branch := pggit._create_branch(p_name, p_from, p_mode, p_materialize);
    PERFORM pggit._tell_of_hidden(p_name);
    RETURN pggit._branch_info(v_branch);
END;
$$;

COMMENT ON FUNCTION pggit.create_branch(text, text, text, text) IS
'Make a branch and return it; nobody is moved to it (pggit.checkout does that).
p_from is any ref, a time too; NULL means the current branch as it is now. Changes of a branch that are not committed yet are committed first. p_materialize says
which tables become real ones, with every constraint and index: auto (all while together they are within pggit.materialize_limit, 64MB, else those below
10,000 rows), all, none, or a comma-separated list; tables without a primary key always do. The others are views that share main''s rows, made in a time that does not depend on them.
Raises VG001, VG002 (no such ref), VG101 (the branch exists), VG201 (bad name), VG202, VG302 (a table has other columns now than at the ref), VG306, VG307, VG902.';

CREATE OR REPLACE FUNCTION pggit.ensure_branch(p_name text, p_from text DEFAULT NULL, p_mode text DEFAULT 'schema', p_materialize text DEFAULT 'auto',
    OUT branch_id integer, OUT name text, OUT mode text, OUT parent text, OUT base_commit text, OUT head text, OUT is_protected boolean,
    OUT created_at timestamptz, OUT created_by text, OUT materialized text[], OUT was_created boolean)
    LANGUAGE plpgsql
    SET row_security = off
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches;
    v_info   pggit.branch_info;
BEGIN
    SELECT b.* INTO v_branch FROM pggit.branches AS b WHERE b.name = p_name AND b.deleted_at IS NULL;
    was_created := NOT FOUND;
    IF was_created THEN
        PERFORM pggit._check_branch_name(p_name);
        BEGIN
            v_branch := pggit._create_branch(p_name, p_from, p_mode, p_materialize);
        EXCEPTION WHEN SQLSTATE 'VG101' THEN
            SELECT b.* INTO v_branch FROM pggit.branches AS b WHERE b.name = p_name AND b.deleted_at IS NULL;
            IF NOT FOUND THEN
                RAISE;
            END IF;
            was_created := false;
        END;
    END IF;

    v_info       := pggit._branch_info(v_branch);
    branch_id    := v_info.branch_id;
    name         := v_info.name;
    mode         := v_info.mode;
    parent       := v_info.parent;
    base_commit  := v_info.base_commit;
    head         := v_info.head;
    is_protected := v_info.is_protected;
    created_at   := v_info.created_at;
    created_by   := v_info.created_by;
    materialized := v_info.materialized;
END;
$$;

COMMENT ON FUNCTION pggit.ensure_branch(text, text, text, text) IS
'As pggit.create_branch, but a branch that is there already is taken as it is; was_created says which.
Safe when several sessions call it at once. Raises what pggit.create_branch raises, except VG101 for the branch itself.';
