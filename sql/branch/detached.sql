-- A state of the past that a session looks at: a branch of its own that nobody writes, as git's detached HEAD.

CREATE OR REPLACE FUNCTION pggit._is_branch(p_name text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.branches AS b WHERE b.name = p_name AND b.deleted_at IS NULL));
END;
$$;

COMMENT ON FUNCTION pggit._is_branch(text) IS
'Whether there is a branch of that name.';

CREATE OR REPLACE FUNCTION pggit._refuse_detached(p_branch pggit.branches)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF p_branch.mode = 'detached' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG301', SCHEMA = 'pggit',
            MESSAGE = format('%s is a state of the past, and no branch that could change', p_branch.name),
            HINT    = 'SELECT pggit.create_branch(''name''); makes a branch that begins with what is checked out, pggit.checkout(''name'') goes there.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_detached(pggit.branches) IS
'Raises VG301 for a state of the past that is checked out.';

CREATE OR REPLACE FUNCTION pggit._on_detached_write()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._refuse_detached(b) FROM pggit.branches AS b WHERE b.branch_id = TG_ARGV[0]::integer;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._on_detached_write() IS
'Trigger of the tables of a state of the past: they can''t be written (VG301).';

CREATE OR REPLACE FUNCTION pggit._close_table(p_branch_id integer, p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_shown record;
BEGIN
    SELECT bt.relation, bt.form INTO STRICT v_shown FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id;
    EXECUTE format('CREATE OR REPLACE TRIGGER pggit_a_detached BEFORE INSERT OR UPDATE OR DELETE %s ON %s FOR EACH STATEMENT EXECUTE FUNCTION pggit._on_detached_write(%s)',
                   CASE v_shown.form WHEN 'table' THEN 'OR TRUNCATE' END, v_shown.relation, p_branch_id);
    IF v_shown.form = 'table' THEN
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER pggit_a_detached', v_shown.relation);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._close_table(integer, integer) IS
'From now on nobody writes a table of a branch.';

CREATE OR REPLACE FUNCTION pggit._detached_name(p_ref text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_at timestamptz := pggit._time(p_ref);
BEGIN
    IF v_at IS NOT NULL AND isfinite(v_at) AND pggit._find_named(p_ref, (pggit._branch(NULL)).branch_id) IS NULL THEN
        RETURN '@' || to_char(least(v_at, clock_timestamp()) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
    END IF;
    RETURN '@' || left(pggit._resolve(p_ref), 16);
EXCEPTION WHEN SQLSTATE 'VG002' THEN
    IF p_ref ~ '[~^]' THEN
        RAISE;
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._detached_name(text) IS
'Name under which a state of the past is checked out: "@" and the beginning of its commit''s id, or its time; NULL when there is no such ref.';

CREATE OR REPLACE FUNCTION pggit._parent_of_detached(p_branch pggit.branches)
    RETURNS pggit.branches
    LANGUAGE sql STABLE
AS $$
    SELECT b.* FROM pggit.branches AS b WHERE b.branch_id = CASE p_branch.mode WHEN 'detached' THEN p_branch.parent_id ELSE p_branch.branch_id END;
$$;

COMMENT ON FUNCTION pggit._parent_of_detached(pggit.branches) IS
'The branch whose state of the past this is; any other branch itself.';

CREATE OR REPLACE FUNCTION pggit._ensure_detached(p_ref text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name   text := pggit._detached_name(p_ref);
    v_branch pggit.branches;
BEGIN
    IF v_name IS NULL OR pggit._is_branch(v_name) THEN
        RETURN coalesce(v_name, p_ref);
    END IF;
    BEGIN
        v_branch := pggit._create_branch(v_name, substr(v_name, 2), 'schema',
                                         (SELECT coalesce(string_agg(format('%I.%I', t.schema_name, t.table_name), ','), 'none') FROM pggit.tables AS t
                                           WHERE t.on_main AND t.untracked_at IS NULL AND pggit._why_no_view(t.relation) IS NOT NULL));
        PERFORM pggit._close_table(v_branch.branch_id, bt.table_id) FROM pggit.branch_tables AS bt WHERE bt.branch_id = v_branch.branch_id;
        UPDATE pggit.branches AS b SET mode = 'detached' WHERE b.branch_id = v_branch.branch_id;
    EXCEPTION WHEN SQLSTATE 'VG101' THEN
        IF NOT pggit._is_branch(v_name) THEN
            RAISE;
        END IF;
    END;
    RETURN v_name;
END;
$$;

COMMENT ON FUNCTION pggit._ensure_detached(text) IS
'Makes a state of the past that can be checked out, if it is not there yet, and returns its name. Its tables are views; those that can''t be views are copied.
What is no ref comes back as it is.';

CREATE OR REPLACE FUNCTION pggit._collect_detached(p_dry_run boolean)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch pggit.branches;
    v_gone   bigint := 0;
    v_before text   := current_setting('pggit.lock_timeout', true);
BEGIN
    PERFORM set_config('pggit.lock_timeout', '1ms', true);
    FOR v_branch IN
        SELECT b.* FROM pggit.branches AS b
         WHERE b.mode = 'detached' AND b.deleted_at IS NULL AND NOT EXISTS (SELECT FROM pggit._checkouts(b.branch_id)) AND b.name <> pggit.current_branch()
         ORDER BY b.branch_id
    LOOP
        BEGIN
            -- Another transaction may be deleting it, and take long to end: nobody's DDL waits for that.
            PERFORM FROM pggit.branches AS b WHERE b.branch_id = v_branch.branch_id FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
            v_gone := v_gone + CASE WHEN p_dry_run OR pggit.delete_branch(v_branch.name, true) THEN 1 ELSE 0 END;
        EXCEPTION WHEN OTHERS THEN
            NULL;  -- somebody uses it after all, or this session reads it in a query that runs: it goes another time
        END;
    END LOOP;
    PERFORM set_config('pggit.lock_timeout', coalesce(v_before, ''), true);
    RETURN v_gone;
END;
$$;

COMMENT ON FUNCTION pggit._collect_detached(boolean) IS
'Deletes states of the past that no session has checked out, or only counts them. Returns how many. Never fails, and never waits for another transaction that deletes one.';
