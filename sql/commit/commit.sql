-- Text output is pinned so that a digest is the same in every session and on every server.
CREATE OR REPLACE FUNCTION pggit._sum_up(p_table_id integer, p_from pggit._position, p_to pggit._position, p_changes text)
    RETURNS TABLE (inserted bigint, updated bigint, deleted bigint, digest text)
    LANGUAGE plpgsql
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C' SET search_path = pg_catalog SET enable_nestloop = off SET enable_memoize = off SET jit = off
AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        WITH buckets AS (
            SELECT get_byte(d.h, 0) AS bucket, sha256(string_agg(d.h, '' ORDER BY d.h)) AS h, count(*) FILTER (WHERE d.change = 'insert') AS i,
                   count(*) FILTER (WHERE d.change = 'update') AS u, count(*) FILTER (WHERE d.change = 'delete') AS d
              FROM (SELECT d.change, sha256(convert_to(concat_ws('|', d.change, CASE d.change WHEN 'delete' THEN row(%s)::text ELSE row(%s)::text END), 'UTF8')) AS h
                      FROM (SELECT * FROM (%s) AS c OFFSET 0) AS d OFFSET 0) AS d
             GROUP BY 1
        )
        SELECT coalesce(sum(b.i), 0)::bigint, coalesce(sum(b.u), 0)::bigint, coalesce(sum(b.d), 0)::bigint,
               encode(sha256(coalesce(string_agg(b.h, '' ORDER BY b.bucket), '')), 'hex')
          FROM buckets AS b$sql$,
        pggit._record_columns(p_table_id, 'd.o', p_from), pggit._record_columns(p_table_id, 'd.n', p_to), p_changes);
END;
$$;

COMMENT ON FUNCTION pggit._sum_up(integer, pggit._position, pggit._position, text) IS
'How many rows of a table were inserted, updated and deleted, net, between two positions, and a digest of these changes, made as in pggit._digest. p_changes: pggit._changes_sql
of these positions, or what gives the same.';

CREATE OR REPLACE FUNCTION pggit._columns_json(p_table_id integer, p_at pggit._position)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT jsonb_agg(jsonb_build_array(c.name, c.type_name, c.key_position) ORDER BY c.column_id) FROM pggit._columns_at(p_table_id, p_at) AS c);
END;
$$;

COMMENT ON FUNCTION pggit._columns_json(integer, pggit._position) IS
'The columns of a table at a mark as commits tell them: name, type and place in the key.';

CREATE OR REPLACE FUNCTION pggit._table_content(p_table pggit.tables, p_from pggit._position, p_to pggit._position, p_changes jsonb DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_content  jsonb := '{}';
    v_presence text  := CASE WHEN p_from IS NULL THEN 'absent' ELSE pggit._presence(p_table, p_from) END;
    v_digest   record;
    v_changes  record;
    v_keys     bigint;
BEGIN
    -- What the table held at the parent, or what happened to it since, is lost: there is no row-by-row difference to tell, the whole state is told.
    IF v_presence = 'gap' OR (v_presence = 'present' AND NOT pggit._is_comparable(p_table, p_from, p_to)) THEN
        SELECT d.* INTO v_digest FROM pggit._table_digest(p_table.table_id, p_to) AS d;
        RETURN jsonb_build_object('reshaped', jsonb_build_object('rows', v_digest.row_count, 'digest', v_digest.digest,
                                                                 'columns', pggit._columns_json(p_table.table_id, p_to)));
    END IF;

    -- A table that was made on a branch, or that a merge brought to one, comes in empty, and all its rows are inserted.
    IF v_presence = 'absent' AND (p_from).branch_id IS NOT NULL
       AND (pggit._is_made_on_branch(p_table) OR EXISTS (SELECT FROM pggit._last_change(p_table.table_id, p_to) AS c WHERE c.branch_id <> 1)) THEN
        v_content := jsonb_build_object('tracked', jsonb_build_object('rows', 0, 'columns', pggit._columns_json(p_table.table_id, p_to)));
        SELECT c.* INTO v_changes FROM pggit._sum_up(p_table.table_id, p_from, p_to, pggit._changes_sql(p_table.table_id, p_from, p_to)) AS c;
        RETURN v_content || CASE WHEN v_changes.inserted > 0 THEN to_jsonb(v_changes) ELSE '{}' END;
    END IF;

    -- A table that was not tracked at the parent comes in with the digest of the rows it had when tracking began.
    IF v_presence = 'absent' THEN
        p_from := (1, p_table.tracked_at, p_table.tracked_at)::pggit._position;
        v_content := jsonb_build_object('tracked', jsonb_build_object('rows', p_table.row_count, 'digest', p_table.digest,
                                                                      'columns', pggit._columns_json(p_table.table_id, p_from)));
        IF pggit._presence(p_table, p_from) = 'gap' OR NOT pggit._is_comparable(p_table, p_from, p_to) THEN
            RETURN v_content || pggit._table_content(p_table, p_from, p_to);
        END IF;
    END IF;

    IF pggit._is_reshaped(p_table.table_id, p_from, p_to) THEN
        v_content := v_content || jsonb_build_object('reshaped', jsonb_build_object('columns', pggit._columns_json(p_table.table_id, p_to)));
    END IF;

    IF p_changes IS NOT NULL THEN
        RETURN v_content || CASE WHEN (p_changes ->> 'inserted')::bigint + (p_changes ->> 'updated')::bigint + (p_changes ->> 'deleted')::bigint > 0 THEN p_changes ELSE '{}' END;
    END IF;
    v_keys := pggit._count_keys(p_table.table_id, p_from, p_to);
    IF v_keys > 0 THEN
        PERFORM pggit._refresh_statistics(p_table.table_id, (p_to).branch_id);
        SELECT c.* INTO v_changes FROM pggit._sum_up(p_table.table_id, p_from, p_to, pggit._changes_sql(p_table.table_id, p_from, p_to, v_keys)) AS c;
        IF v_changes.inserted + v_changes.updated + v_changes.deleted > 0 THEN
            v_content := v_content || to_jsonb(v_changes);
        END IF;
    END IF;
    RETURN v_content;
END;
$$;

COMMENT ON FUNCTION pggit._table_content(pggit.tables, pggit._position, pggit._position, jsonb) IS
'What a commit says of one table: counts and digest of its net changes; its columns when they are others than before; and its columns, rows and digest when it is new to the
history or what it held before is lost. Empty when nothing changed. p_changes: the counts and the digest, where they are known.';

CREATE OR REPLACE FUNCTION pggit._content(p_from pggit._position, p_to pggit._position, p_known jsonb DEFAULT '{}', p_others boolean DEFAULT true)
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_content jsonb := '{}';
    v_table   pggit.tables;
    v_one     jsonb;
BEGIN
    FOR v_table IN SELECT t.* FROM pggit._tables_at(p_to) AS t WHERE p_others OR p_known ? t.table_id::text LOOP
        PERFORM pggit._hold_base(v_table.table_id);
        BEGIN
            v_one := pggit._table_content(v_table, p_from, p_to, p_known -> v_table.table_id::text);
        EXCEPTION WHEN undefined_column THEN  -- dropped since we looked; what it held was logged before
            v_one := pggit._table_content(v_table, p_from, p_to);
        END;
        IF v_one <> '{}' THEN
            v_content := v_content || jsonb_build_object((SELECT format('%I.%I', n.schema_name, n.table_name) FROM pggit._name_at(v_table.table_id, p_to) AS n), v_one);
        END IF;
    END LOOP;
    FOR v_table IN SELECT t.* FROM pggit._tables_gone(p_from, p_to) AS t LOOP
        v_content := jsonb_build_object((SELECT format('%I.%I', n.schema_name, n.table_name) FROM pggit._name_at(v_table.table_id, p_to) AS n), '{"dropped": true}'::jsonb) || v_content;
    END LOOP;
    RETURN v_content;
END;
$$;

COMMENT ON FUNCTION pggit._content(pggit._position, pggit._position, jsonb, boolean) IS
'What a commit between two positions says, table by table (pggit._table_content). p_known: the counts and digests, by table id, of tables in which a merge has written its plan between them and nothing else was done.
p_others: whether anything may have been done to other tables.';

CREATE OR REPLACE FUNCTION pggit._commit_id(p_parents text[], p_content jsonb, p_author text, p_message text, p_committed_at timestamptz)
    RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT encode(sha256(convert_to(
        jsonb_build_array('pggit commit 1', to_jsonb(p_parents), p_content, p_author, p_message,
                          to_char(p_committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text, 'UTF8')), 'hex');
$$;

COMMENT ON FUNCTION pggit._commit_id(text[], jsonb, text, text, timestamptz) IS
'Id of a commit: sha256 of a versioned canonical form of its parents, content, author, message and time. The same history has the same ids on every server.';

CREATE OR REPLACE FUNCTION pggit._move_head(p_branch_id integer, p_head text, p_at pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE pggit.branches AS b SET head = p_head, head_at = p_at WHERE b.branch_id = p_branch_id;
    IF ((p_at).x).own = pggit._transaction_number() THEN
        PERFORM set_config('pggit.stored', greatest(((p_at).x).watermark, nullif(current_setting('pggit.stored', true), '')::bigint)::text, true);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._move_head(integer, text, pggit._position) IS
'Moves a branch to a commit. The local setting pggit.stored tells the capture of this transaction that what it logs from here on comes later.';

CREATE OR REPLACE FUNCTION pggit._record_commit(p_branch pggit.branches, p_parents text[], p_since pggit._position, p_at pggit._position,
                                                p_content jsonb, p_author text, p_message text, p_committed_at timestamptz,
                                                p_merge_base text DEFAULT NULL, p_tree bigint DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_tree   bigint := coalesce(p_tree, pggit._scan_schema(p_branch.branch_id, p_at));
    v_schema jsonb  := pggit._schema_content(pggit._parent_tree(p_parents, v_tree), v_tree);
    v_id     text   := pggit._commit_id(p_parents, p_content || v_schema, p_author, p_message, p_committed_at);
BEGIN
    IF EXISTS (SELECT FROM pggit.commits AS c WHERE c.commit_id = v_id) THEN
        PERFORM pggit._hold_commits();
    END IF;
    INSERT INTO pggit.commits AS c (commit_id, branch_id, parents, merge_base, at, since, author, message, committed_at, rows_changed, objects_changed, content)
    SELECT v_id, p_branch.branch_id, p_parents, p_merge_base, p_at, p_since, p_author, p_message, p_committed_at,
           coalesce(sum(coalesce((c.value ->> 'inserted')::bigint, 0) + coalesce((c.value ->> 'updated')::bigint, 0)
                        + coalesce((c.value ->> 'deleted')::bigint, 0)), 0),
           coalesce((SELECT sum(n.value::integer) FROM jsonb_each_text(v_schema -> 'schema') AS n WHERE n.key <> 'digest'), 0), p_content || v_schema
      FROM jsonb_each(p_content) AS c
        -- The same change on the same parent by the same author at the same time is the same commit; one whose rows are collected has them again.
        ON CONFLICT (commit_id) DO UPDATE SET branch_id = excluded.branch_id, at = excluded.at, since = excluded.since, collected_at = NULL
                                        WHERE c.collected_at IS NOT NULL;
    INSERT INTO pggit.schema_commits (commit_id, tree_id) VALUES (v_id, v_tree) ON CONFLICT (commit_id) DO NOTHING;

    PERFORM pggit._accept_new_spaces(v_tree) WHERE p_branch.branch_id = 1;
    PERFORM pggit._move_head(p_branch.branch_id, v_id, p_at);
    RETURN v_id;
END;
$$;

COMMENT ON FUNCTION pggit._record_commit(pggit.branches, text[], pggit._position, pggit._position, jsonb, text, text, timestamptz, text, bigint) IS
'Stores a commit and moves the branch''s head to it; the branch''s row must be locked. p_tree: the tree of its schema, where the caller has just looked.';

CREATE OR REPLACE FUNCTION pggit._commit_pending(p_branch_id integer, p_message text, p_author text DEFAULT NULL, p_allow_empty boolean DEFAULT false,
                                                 p_committed_at timestamptz DEFAULT NULL, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch  pggit.branches := pggit._lock_branch(p_branch_id);
    v_at      pggit._position;
    v_content jsonb;
    v_parents text[]  := CASE WHEN v_branch.head IS NULL THEN '{}' ELSE ARRAY[v_branch.head] END;
    v_tree    bigint;
BEGIN
    IF p_at IS NULL THEN
        PERFORM pggit._follow_unseen();
    END IF;
    PERFORM pg_current_xact_id();
    v_at      := CASE WHEN p_at IS NULL THEN pggit._working_position(v_branch.branch_id) ELSE p_at END;
    v_content := pggit._content(v_branch.head_at, v_at);
    v_tree    := pggit._scan_schema(v_branch.branch_id, v_at);
    IF v_content = '{}' AND NOT p_allow_empty AND v_branch.head IS NOT NULL AND pggit._schema_content(pggit._parent_tree(v_parents, v_tree), v_tree) = '{}' THEN
        RETURN NULL;
    END IF;
    RETURN pggit._record_commit(v_branch, v_parents, v_branch.head_at, v_at,
                                v_content, coalesce(p_author, pggit._actor()), p_message, coalesce(p_committed_at, clock_timestamp()), p_tree => v_tree);
END;
$$;

COMMENT ON FUNCTION pggit._commit_pending(integer, text, text, boolean, timestamptz, pggit._position) IS
'Commits what is pending on a branch, now or at a position taken under its lock, and returns the commit, or NULL when there is nothing (the first commit of a repository may be empty).';

CREATE OR REPLACE FUNCTION pggit.commit(p_message text, p_branch text DEFAULT NULL, p_author text DEFAULT NULL, p_allow_empty boolean DEFAULT false,
                                        p_committed_at timestamptz DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET standard_conforming_strings = on SET quote_all_identifiers = off SET row_security = off
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_branch pggit.branches := pggit._branch(p_branch);
    v_commit text;
BEGIN
    IF coalesce(btrim(p_message), '') = '' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'a commit needs a message',
            HINT    = 'SELECT pggit.commit(''what changed, and why'');';
    END IF;
    v_commit := pggit._commit_pending(v_branch.branch_id, p_message, p_author, p_allow_empty, p_committed_at);
    IF v_commit IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG304', SCHEMA = 'pggit',
            MESSAGE = format('nothing has changed on branch %L since its last commit', v_branch.name),
            HINT    = 'p_allow_empty => true makes an empty commit.';
    END IF;
    RETURN v_commit;
END;
$$;

COMMENT ON FUNCTION pggit.commit(text, text, text, boolean, timestamptz) IS
'Records the branch as it is now as a commit and returns its id, 64 hexadecimal digits.
Contains every transaction that has committed, and of the calling one what it has written before the call; a writer in flight goes into a later
commit. Cost follows the changes. p_branch NULL is the session''s branch; p_author NULL is the acting role; p_committed_at NULL is now. Raises VG001, VG202
(no message), VG304 (nothing changed and p_allow_empty is false).';
