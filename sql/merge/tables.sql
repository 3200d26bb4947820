-- Tables in a merge: those that one side made, dropped or renamed. What has to be done to the target is worked out as steps and done before the rows are planned, which then are planned as ever; where nothing
-- is to be written after all, it is rolled back.

CREATE OR REPLACE FUNCTION pggit._made_like(p_table_id integer, p_position pggit._position)
    RETURNS pggit.branch_tables
    LANGUAGE sql STABLE
AS $$
    SELECT bt.* FROM pggit.branch_tables AS bt WHERE bt.table_id = p_table_id AND bt.branch_id = (p_position).branch_id AND NOT pggit._is_reshaped(p_table_id, p_position, pggit._branch_now(bt.branch_id));
$$;

COMMENT ON FUNCTION pggit._made_like(integer, pggit._position) IS
'The table of a branch that has the definition which a table had at a position of that branch; NULL when there is none any more.';

CREATE OR REPLACE FUNCTION pggit._same_name(p_table_id integer, p_bases text[], p_theirs pggit._position, p_ours pggit._position)
    RETURNS integer
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT t.table_id
              FROM pggit._name_at(p_table_id, p_theirs) AS n JOIN pggit.tables AS t ON t.untracked_at IS NULL AND t.table_id <> p_table_id
             CROSS JOIN LATERAL pggit._name_at(t.table_id, p_ours) AS o
             WHERE pggit._presence(t, p_ours) = 'present' AND (o.schema_name, o.table_name) = (n.schema_name, n.table_name)
               AND NOT (pggit._is_away(t.table_id, p_theirs) AND EXISTS (SELECT FROM unnest(p_bases) AS b(id) WHERE NOT pggit._is_away(t.table_id, (pggit._ref(b.id)).at)))
               -- Nor one that has another name on theirs.
               AND NOT EXISTS (SELECT FROM pggit._name_at(t.table_id, p_theirs) AS w WHERE pggit._presence(t, p_theirs) = 'present' AND (w.schema_name, w.table_name) <> (n.schema_name, n.table_name))
             LIMIT 1);
END;
$$;

COMMENT ON FUNCTION pggit._same_name(integer, text[], pggit._position, pggit._position) IS
'Another table, which ours has under the name of one of theirs, and which theirs has not dropped.';

CREATE OR REPLACE FUNCTION pggit._defined_on(p_table_id integer, p_branch_id integer)
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_relation oid := CASE p_branch_id WHEN 1 THEN (SELECT t.relation FROM pggit.tables AS t WHERE t.table_id = p_table_id)
                                       ELSE (SELECT bt.relation FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND bt.form = 'table') END;
    v_ddl      record;
BEGIN
    v_ddl := pggit._define(v_relation, p_branch_id, 'there', c.relname) FROM pg_class AS c WHERE c.oid = v_relation;
    RETURN v_ddl.rows_first || v_ddl.rows_then || v_ddl.keys;
END;
$$;

COMMENT ON FUNCTION pggit._defined_on(integer, integer) IS
'The definition of a table of a branch, or main''s (1), as statements that are the same wherever it is; NULL where the branch shows a view.';

CREATE OR REPLACE FUNCTION pggit._why_not_one(p_table_id integer, p_theirs pggit._position, p_other integer, p_ours pggit._position, p_name text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_ours   text := (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = (p_ours).branch_id);
    v_theirs text := (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = (p_theirs).branch_id);
    v_made   text[] := pggit._defined_on(p_table_id, (p_theirs).branch_id);
    v_there  text[] := pggit._defined_on(p_other, CASE WHEN EXISTS (SELECT FROM pggit.tables AS t WHERE t.table_id = p_other AND t.on_main) THEN 1 ELSE (p_ours).branch_id END);
BEGIN
    IF v_made IS NULL OR v_there IS NULL OR v_made <> v_there THEN
        RETURN format('%L and %L both made a table %s, and not the same one%s', v_theirs, v_ours, p_name,
                      (SELECT format(': %s', string_agg(d.statement, '; ')) FROM (SELECT s.statement FROM unnest(v_made || v_there) AS s(statement) GROUP BY s.statement HAVING count(*) = 1 ORDER BY 1 LIMIT 2) AS d));
    ELSIF EXISTS (SELECT FROM pggit.branch_columns AS c WHERE c.table_id IN (p_table_id, p_other) AND c.dropped_at IS NOT NULL)
          OR (SELECT array_agg(c.name ORDER BY c.column_id) FROM pggit.columns AS c WHERE c.table_id = p_table_id)
             <> (SELECT array_agg(c.name ORDER BY c.column_id) FROM pggit.columns AS c WHERE c.table_id = p_other AND c.dropped_at IS NULL) THEN
        RETURN format('%L and %L both made a table %s, and columns of it were changed since', v_theirs, v_ours, p_name);
    ELSIF NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.table_id IN (p_table_id, p_other) AND NOT t.on_main)
          OR EXISTS (SELECT FROM pggit.tables AS t JOIN pggit.table_changes AS c USING (table_id) WHERE t.table_id IN (p_table_id, p_other) AND NOT t.on_main AND c.branch_id = 1 AND c.is_there) THEN
        RETURN format('%L and %L have different tables by the name %s', v_theirs, v_ours, p_name);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._why_not_one(integer, pggit._position, integer, pggit._position, text) IS
'Why two tables that both sides made under one name are not one table, or NULL when they are: their definitions are the same.';

CREATE OR REPLACE FUNCTION pggit._join_tables(p_from integer, p_into integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_shown  pggit.branch_tables;
    v_store  text;
    v_ids    jsonb := (SELECT jsonb_object_agg(f.column_id, i.column_id) FROM pggit.columns AS f JOIN pggit.columns AS i USING (name) WHERE f.table_id = p_from AND i.table_id = p_into AND i.dropped_at IS NULL);
    v_into   text;
    v_from   text;
    v_table  pggit.tables := (SELECT t FROM pggit.tables AS t WHERE t.table_id = p_into);
BEGIN
    IF v_table.on_main AND NOT EXISTS (SELECT FROM pggit.table_changes AS c WHERE c.table_id = p_into AND c.branch_id = 1) THEN
        PERFORM pggit._note_table(p_into, 1, NULL, false, v_table.schema_name, v_table.table_name);
        PERFORM pggit._note_table(p_into, 1, v_table.tracked_at, true, v_table.schema_name, v_table.table_name);
    END IF;
    FOREACH v_store IN ARRAY ARRAY['_undo', '_delta', '_mask'] LOOP
        CONTINUE WHEN to_regclass(format('pggit.%s_%s', v_store, p_from)) IS NULL;
        SELECT string_agg(quote_ident(CASE WHEN a.attname ~ '^c[0-9]+$' THEN 'c' || (v_ids ->> substr(a.attname, 2)) ELSE a.attname END), ', ' ORDER BY a.attnum), string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
          INTO v_into, v_from
          FROM pg_attribute AS a WHERE a.attrelid = format('pggit.%s_%s', v_store, p_from)::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> '_at';
        EXECUTE format('INSERT INTO pggit.%1$s_%2$s (%3$s) SELECT %4$s FROM pggit.%1$s_%5$s%6$s', v_store, p_into, v_into, v_from, p_from, CASE v_store WHEN '_undo' THEN ' ORDER BY _at' ELSE '' END);
    END LOOP;
    UPDATE pggit.branch_columns AS c SET table_id = p_into, column_id = (v_ids ->> c.column_id::text)::integer, origin = (v_ids ->> c.column_id::text)::integer WHERE c.table_id = p_from;
    UPDATE pggit.branch_gaps AS g SET table_id = p_into WHERE g.table_id = p_from;
    UPDATE pggit.conflicts AS c SET table_id = p_into, column_id = (v_ids ->> c.column_id::text)::integer WHERE c.table_id = p_from;
    UPDATE pggit.violations AS v SET table_id = p_into WHERE v.table_id = p_from;
    DELETE FROM pggit.table_changes AS c WHERE c.table_id = p_from AND c.branch_id = 1;
    UPDATE pggit.table_changes AS c SET table_id = p_into WHERE c.table_id = p_from;
    UPDATE pggit.branch_tables AS bt SET table_id = p_into WHERE bt.table_id = p_from;
    FOR v_shown IN SELECT bt.* FROM pggit.branch_tables AS bt WHERE bt.table_id = p_into AND bt.form = 'table' LOOP
        PERFORM pggit._drop_capture(v_shown.relation);
        PERFORM pggit._capture_real(v_shown.branch_id, p_into, pggit._dense_relation(v_shown.branch_id, p_into), pggit._branch_now(v_shown.branch_id));
    END LOOP;
    PERFORM pggit._forget_table(p_from);
    PERFORM pggit._share_sequences(p_into) WHERE v_table.on_main;
END;
$$;

COMMENT ON FUNCTION pggit._join_tables(integer, integer) IS
'Two tables are one: all branches'' histories of one that main does not have go on under the id of the other.';

CREATE OR REPLACE FUNCTION pggit._forget_table(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_routine regprocedure;
BEGIN
    EXECUTE format('DROP TABLE %s, pggit._log_%2$s, pggit._delta_%2$s, pggit._undo_%2$s', (SELECT t.relation::regclass FROM pggit.tables AS t WHERE t.table_id = p_table_id), p_table_id);
    EXECUTE format('DROP TABLE IF EXISTS pggit._mask_%s', p_table_id);
    FOR v_routine IN SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace = 'pggit'::regnamespace AND p.proname ~ format('^_capture_%s_', p_table_id)
                        AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgfoid = p.oid) LOOP
        EXECUTE format('DROP FUNCTION %s', v_routine);
    END LOOP;
    DELETE FROM pggit.columns AS c WHERE c.table_id = p_table_id;
    DELETE FROM pggit.tables AS t WHERE t.table_id = p_table_id;
END;
$$;

COMMENT ON FUNCTION pggit._forget_table(integer) IS
'Removes a table that main does not have and no branch any more, with its stores.';

CREATE OR REPLACE FUNCTION pggit._is_changed_since(p_table pggit.tables, p_bases text[], p_kept pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_id      integer := (p_table).table_id;
    v_target  text    := current_setting('pggit.merge_target', true);
    v_changed boolean;
BEGIN
    IF EXISTS (SELECT FROM unnest(p_bases) AS b(id) CROSS JOIN LATERAL pggit._ref(b.id) AS r
                WHERE CASE pggit._presence(p_table, r.at) WHEN 'absent' THEN cardinality(p_bases) = 1 WHEN 'present' THEN NOT pggit._is_comparable(p_table, r.at, p_kept) ELSE true END) THEN
        RETURN true;
    ELSIF cardinality(p_bases) = 1 THEN
        IF NOT pggit._is_reshaped(v_id, (pggit._ref(p_bases[1])).at, p_kept) THEN
            EXECUTE format('SELECT EXISTS (%s)', pggit._changes_sql(v_id, (pggit._ref(p_bases[1])).at, p_kept)) INTO v_changed;
        END IF;
        RETURN coalesce(v_changed, true);
    ELSIF (SELECT jsonb_object_agg(c.origin, pggit._kind_of(c)) FROM pggit._columns_at(v_id, p_kept) AS c) IS DISTINCT FROM pggit._in_base('shape', v_id, p_bases) - 'is_there' THEN
        RETURN true;
    END IF;
    PERFORM set_config('pggit.merge_target', p_kept::text, true);
    EXECUTE CASE WHEN pggit._is_keyless(v_id)
        THEN format('SELECT EXISTS (SELECT FROM pggit._pinned(%L) AS b(k text, r pggit._delta_%3$s, n numeric) FULL JOIN pggit._pinned(%2$L) AS o(k text, r pggit._delta_%3$s, n bigint) USING (k) WHERE b.n IS DISTINCT FROM o.n)',
                    format('SELECT b.k, b.r, b.n::numeric FROM (%s) AS b', pggit._base_counts_sql(v_id, p_bases)), pggit._counts_sql(v_id, p_kept), v_id)
        ELSE format('SELECT EXISTS (SELECT FROM (%s) AS k CROSS JOIN LATERAL (%s) AS b LEFT JOIN LATERAL (%s) AS o ON true WHERE b._torn <> ''{}'' OR ROW(%s)::record *<> ROW(%s)::record)',
                    (SELECT string_agg(pggit._candidates_sql(v_id, (pggit._ref(b.id)).at, p_kept), ' UNION ') FROM unnest(p_bases) AS b(id)), pggit._base_row_sql(v_id, p_bases), pggit._row_now_sql(v_id, p_kept),
                    pggit._stored_columns(v_id, 'b', p_kept), pggit._stored_columns(v_id, 'o', p_kept)) END INTO v_changed;
    PERFORM set_config('pggit.merge_target', coalesce(v_target, ''), true);
    RETURN v_changed;
END;
$$;

COMMENT ON FUNCTION pggit._is_changed_since(pggit.tables, text[], pggit._position) IS
'Whether a table that a state has is another one there than where a merge starts from, in its columns or its rows.';

CREATE OR REPLACE FUNCTION pggit._why_not_dropped(p_table pggit.tables, p_bases text[], p_kept pggit._position, p_dropped pggit._position, p_name text, p_is_merge boolean)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_changed boolean := true;
BEGIN
    -- Tracking ended, by SET UNLOGGED for one, and nobody dropped it.
    IF p_is_merge AND (p_dropped).branch_id = 1
       AND EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                    WHERE n.nspname = p_table.schema_name AND c.relname = p_table.table_name AND c.relkind IN ('r', 'p')
                      AND NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = c.oid AND t.untracked_at IS NULL)) THEN
        RETURN format('main has a table %s that is not tracked, so that the one of before stays where it is: track it there (pggit.track_table), or drop or rename it', p_name);
    END IF;
    IF pggit._presence(p_table, p_kept) = 'present' THEN
        v_changed := pggit._is_changed_since(p_table, p_bases, p_kept);
    END IF;
    RETURN CASE WHEN v_changed THEN (
        SELECT CASE WHEN d.branch_id = k.branch_id OR NOT p_is_merge
                    THEN format('table %s is not in the state to go back to, and has been changed on %L since: DROP TABLE it if that may go (its history stays), and ask again', p_name, k.name)
                    WHEN d.branch_id = 1 AND pggit._table_of_now(p_table.table_id) IS NOT NULL
                    THEN format('table %s is another one on main by now, with another primary key or made anew, and %L has changed it as it was: merge main into a branch that has not, and make the changes there', p_name, k.name)
                    ELSE format('%L dropped table %s, and %L has changed it since', d.name, p_name, k.name) END
          FROM pggit.branches AS d, pggit.branches AS k WHERE d.branch_id = (p_dropped).branch_id AND k.branch_id = (p_kept).branch_id) END;
END;
$$;

COMMENT ON FUNCTION pggit._why_not_dropped(pggit.tables, text[], pggit._position, pggit._position, text, boolean) IS
'Why a table that one side dropped does not go on the other, or NULL when that one has left it as it was.';

CREATE OR REPLACE FUNCTION pggit._drop_on_main(p_tables integer[], p_ours pggit._position)
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table pggit.tables;
    v_rows  bigint;
    v_names text[] := '{}';
    v_done  text[] := '{}';
BEGIN
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.table_id = ANY (p_tables) ORDER BY t.table_id LOOP
        PERFORM pggit._let_branches_keep(v_table) WHERE EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = v_table.table_id);
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', v_table.relation);
        PERFORM pggit._hold_still(v_table.table_id, (p_ours).x);
        PERFORM pggit._record_transaction();
        EXECUTE format('SELECT count(*) FROM %s', pggit._rows_of(v_table.relation)) INTO v_rows;
        PERFORM pggit._log_all_rows(v_table.table_id, 'D', nextval('pggit._ordinal'));
        v_names    := v_names || pggit._base_relation(v_table.table_id);
        v_done     := v_done || format('DROP TABLE %s -- with %s rows', pggit._base_relation(v_table.table_id), v_rows);
        PERFORM pggit._leave_stand_in(v_table, pggit._create_stand_in(v_table.table_id, v_table.relation));
    END LOOP;
    EXECUTE 'DROP TABLE ' || array_to_string(v_names, ', ');
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._drop_on_main(integer[], pggit._position) IS
'Drops tables of main that theirs has dropped and nobody has written since; their history stays, and branches that show one keep it. Returns the statements. Raises VG307 where their copies would be too large, VG402, and what PostgreSQL raises while something depends on one.';

CREATE OR REPLACE FUNCTION pggit._drop_of_branch(p_tables integer[], p_branch_id integer)
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_shown pggit.branch_tables;
    v_name  text;
    v_saved jsonb;
    v_begun timestamptz := clock_timestamp();
    v_child record;
    v_all   text[] := '{}';
    v_done  text[] := '{}';
BEGIN
    -- Where one end is a view, PostgreSQL does not know of the foreign key.
    SELECT k.conname, c.table_name INTO v_child
      FROM pggit.tables AS t JOIN pg_constraint AS k ON k.confrelid = t.relation AND k.contype = 'f' JOIN pggit.tables AS c ON c.relation = k.conrelid AND c.untracked_at IS NULL
      JOIN pggit.branch_tables AS bt ON bt.table_id = c.table_id AND bt.branch_id = p_branch_id JOIN pggit.branch_tables AS pt ON pt.table_id = t.table_id AND pt.branch_id = p_branch_id
     WHERE t.table_id = ANY (p_tables) AND c.table_id <> ALL (p_tables) AND 'view' IN (bt.form, pt.form) LIMIT 1;
    IF v_child.conname IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('table %I refers by foreign key %I to a table that the merge would drop', v_child.table_name, v_child.conname);
    END IF;
    FOR v_shown IN SELECT bt.* FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = ANY (p_tables) ORDER BY bt.table_id LOOP
        v_saved := CASE WHEN v_shown.form = 'view' OR pggit._is_keyless(v_shown.table_id) THEN '0' ELSE pggit._save_branch_rows(v_shown) END;
        v_name  := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = v_shown.relation);
        v_done  := v_done || format('DROP %s %s', CASE v_shown.form WHEN 'view' THEN 'VIEW' ELSE 'TABLE' END, v_name);
        IF v_shown.form = 'view' THEN
            PERFORM pggit._execute_soon(format('DROP VIEW %s', v_name), v_begun);
        ELSE
            v_all := v_all || v_name;
        END IF;
        PERFORM pggit._drop_on_branch(v_shown, v_saved);
    END LOOP;
    PERFORM pggit._execute_soon('DROP TABLE ' || array_to_string(v_all, ', '), v_begun) WHERE v_all <> '{}';
    PERFORM pggit._shut_names(p_branch_id);
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._drop_of_branch(integer[], integer) IS
'Drops tables of a branch that theirs has dropped, and returns the statements. Raises what PostgreSQL raises while something depends on one, and VG307.';

CREATE OR REPLACE FUNCTION pggit._note_made(p_theirs pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table pggit.tables;
BEGIN
    FOR v_table IN
        SELECT t.* FROM pggit.tables AS t
         WHERE t.is_made AND t.on_main AND t.untracked_at IS NULL AND NOT EXISTS (SELECT FROM pggit.table_changes AS c WHERE c.table_id = t.table_id AND c.branch_id = 1)
           AND pggit._presence(t, p_theirs) = 'absent'
         ORDER BY t.table_id
    LOOP
        PERFORM pggit._note_table(v_table.table_id, 1, NULL, false, v_table.schema_name, v_table.table_name);
        PERFORM pggit._note_table(v_table.table_id, 1, v_table.tracked_at, true, v_table.schema_name, v_table.table_name);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._note_made(pggit._position) IS
'Main says of tables that CREATE TABLE made there after a state that they were not there, so that going back to it drops them.';

CREATE OR REPLACE FUNCTION pggit._table_steps(p_bases text[], p_ours pggit._position, p_theirs pggit._position, p_is_merge boolean, OUT steps jsonb, OUT reason text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table  pggit.tables;
    v_was    boolean;
    v_theirs boolean;
    v_ours   boolean;
    v_name   text;
    v_other  integer;
BEGIN
    steps := '[]';
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.untracked_at IS NULL ORDER BY t.table_id LOOP
        v_ours   := pggit._presence(v_table, p_ours) <> 'absent';
        v_theirs := pggit._presence(v_table, p_theirs) <> 'absent';
        CONTINUE WHEN v_ours = v_theirs;
        SELECT format('%I.%I', n.schema_name, n.table_name) INTO v_name FROM pggit._name_at(v_table.table_id, CASE WHEN v_ours THEN p_ours ELSE p_theirs END) AS n;
        v_was    := pggit._is_in_base(v_table, p_bases);
        IF v_theirs AND NOT v_was THEN
            v_other := pggit._same_name(v_table.table_id, p_bases, p_theirs, p_ours);
            IF v_other IS NULL THEN
                steps := steps || jsonb_build_object('do', 'create', 'table', v_table.table_id);
                CONTINUE;
            END IF;
            reason := pggit._why_not_one(v_table.table_id, p_theirs, v_other, p_ours, v_name);
            EXIT WHEN reason IS NOT NULL;
            steps := steps || jsonb_build_object('do', 'join', 'table', v_table.table_id, 'other', v_other);
        ELSIF v_was AND v_ours AND pggit._is_away(v_table.table_id, p_theirs) THEN
            reason := pggit._why_not_dropped(v_table, p_bases, p_ours, p_theirs, v_name, p_is_merge);
            EXIT WHEN reason IS NOT NULL;
            steps := steps || jsonb_build_object('do', 'drop', 'table', v_table.table_id);
        ELSIF v_was AND v_theirs AND pggit._is_away(v_table.table_id, p_ours) THEN
            reason := pggit._why_not_dropped(v_table, p_bases, p_theirs, p_ours, v_name, true);
            EXIT WHEN reason IS NOT NULL;
        END IF;
    END LOOP;
    -- What would come back goes on, under another name and key, as a table that stays: its rows would be there twice.
    IF reason IS NULL AND (p_ours).branch_id = 1 AND NOT p_is_merge THEN
        SELECT format('table %I.%I would come back, which has gone on as %s since, with another primary key: DROP TABLE that if it may go (its history stays), and ask again', o.schema_name, o.table_name, t.relation) INTO reason
          FROM jsonb_array_elements(steps) AS s JOIN pggit.tables AS o ON o.table_id = (s.value ->> 'table')::integer JOIN pggit.tables AS t ON t.relation = pggit._table_of_now(o.table_id)
         WHERE s.value ->> 'do' = 'create' AND pggit._presence(t, p_ours) <> 'absent' AND NOT steps @> jsonb_build_array(jsonb_build_object('do', 'drop', 'table', t.table_id)) LIMIT 1;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._table_steps(text[], pggit._position, pggit._position, boolean, OUT jsonb, OUT text) IS
'What a merge has to do to the tables of ours before their rows are merged, or why that can''t be.';

CREATE OR REPLACE FUNCTION pggit._why_not_again(p_bases text[], p_their_id text)
    RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('table %s was dropped on main, and its rows were not saved, so that it can''t be made again with them; make it on main, or leave it out', t.object_name)
      FROM pggit.schema_commits AS c CROSS JOIN LATERAL pggit._tree_entries(c.tree_id) AS t JOIN pggit.tables AS k ON k.table_id = t.table_id AND k.untracked_at IS NOT NULL
     WHERE c.commit_id = p_their_id AND CASE WHEN t.object_type = 'table' THEN to_regclass(t.object_name) IS NULL END
       AND NOT EXISTS (SELECT FROM jsonb_each_text(pggit._in_base('tables', NULL, p_bases)) AS b WHERE b.value = t.object_name)
     ORDER BY t.object_name LIMIT 1;
$$;

COMMENT ON FUNCTION pggit._why_not_again(text[], text) IS
'Names a table that a commit has and the base of a merge has not, and that has no history any more; NULL when there is none.';

CREATE OR REPLACE FUNCTION pggit._committed_names(p_commit_id text)
    RETURNS TABLE (table_id integer, name text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY SELECT e.table_id, e.object_name FROM pggit.schema_commits AS s CROSS JOIN LATERAL pggit._tree_entries(s.tree_id) AS e
                  WHERE s.commit_id = p_commit_id AND e.object_type = 'table' AND e.table_id IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION pggit._committed_names(text) IS
'The names that tables had at a commit, in schemas of main.';

CREATE OR REPLACE FUNCTION pggit._rename_table_steps(p_bases text[], p_source_id integer, p_their_id text, p_target_id integer, OUT steps jsonb, OUT reason text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table record;
BEGIN
    steps := '[]';
    FOR v_table IN
        SELECT n.* FROM (SELECT t.table_id, pggit._shown_name(t.table_id, p_target_id) AS ours, b.value AS base,
                                CASE WHEN p_source_id IS NULL THEN c.name ELSE pggit._shown_name(t.table_id, p_source_id) END AS theirs
                           FROM pggit.tables AS t LEFT JOIN jsonb_each_text(pggit._in_base('tables', NULL, p_bases)) AS b ON b.key = t.table_id::text
                           LEFT JOIN pggit._committed_names(CASE WHEN p_source_id IS NULL THEN p_their_id END) AS c USING (table_id) WHERE t.untracked_at IS NULL) AS n
         WHERE n.theirs <> n.base AND n.theirs <> n.ours
         ORDER BY n.table_id
    LOOP
        IF v_table.ours <> v_table.base THEN
            reason := format('both sides renamed table %s: to %s here and to %s there; rename one of them', v_table.base, v_table.ours, v_table.theirs);
            RETURN;
        END IF;
        steps := steps || jsonb_build_object('do', 'rename', 'table', v_table.table_id, 'name', v_table.theirs);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._rename_table_steps(text[], integer, text, integer, OUT jsonb, OUT text) IS
'The tables of ours that a merge renames, because theirs has; or why that can''t be. p_source_id: the branch whose state theirs is, NULL: that of a commit.';

CREATE OR REPLACE FUNCTION pggit._rename_step(p_table_id integer, p_target_id integer, p_name text)
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_to       text[] := parse_ident(p_name);
    v_was      text[] := parse_ident(pggit._shown_name(p_table_id, p_target_id));
    v_relation regclass;
    v_done     text[] := '{}';
BEGIN
    IF p_target_id <> 1 THEN
        RETURN pggit._give_name(p_table_id, p_target_id, p_name);
    END IF;
    SELECT t.relation INTO STRICT v_relation FROM pggit.tables AS t WHERE t.table_id = p_table_id;
    IF v_was[1] <> v_to[1] THEN
        v_done := ARRAY[format('ALTER TABLE %I.%I SET SCHEMA %I', v_was[1], v_was[2], v_to[1])];
    END IF;
    IF v_was[2] <> v_to[2] THEN
        v_done := v_done || format('ALTER TABLE %I.%I RENAME TO %I', v_to[1], v_was[2], v_to[2]);
    END IF;
    PERFORM pggit._as_owner(v_relation, v_done);
    PERFORM pggit._follow_shape(v_relation);
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._rename_step(integer, integer, text) IS
'Renames a table of a merge''s target, and returns the statements.';

CREATE OR REPLACE FUNCTION pggit._rename_tables(p_steps jsonb, p_target_id integer)
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_left jsonb  := coalesce((SELECT jsonb_agg(s) FROM jsonb_array_elements(p_steps) AS s WHERE s ->> 'do' = 'rename'), '[]');
    v_next jsonb;
    v_done text[] := '{}';
BEGIN
    WHILE v_left <> '[]' LOOP
        -- A table whose new name no other one is going to give up first.
        SELECT s INTO v_next FROM jsonb_array_elements(v_left) AS s
         WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(v_left) AS o WHERE pggit._shown_name((o ->> 'table')::integer, p_target_id) = s ->> 'name') LIMIT 1;
        IF v_next IS NULL THEN
            v_next := v_left -> 0;
            v_done := v_done || pggit._rename_step((v_next ->> 'table')::integer, p_target_id, format('%I.%I', (parse_ident(v_next ->> 'name'))[1], 'pggit_' || (v_next ->> 'table')));
        ELSE
            v_done := v_done || pggit._rename_step((v_next ->> 'table')::integer, p_target_id, v_next ->> 'name');
            v_left := coalesce((SELECT jsonb_agg(s) FROM jsonb_array_elements(v_left) AS s WHERE s <> v_next), '[]');
        END IF;
    END LOOP;
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._rename_tables(jsonb, integer) IS
'Renames tables of a merge''s target in an order in which each name is free, by way of another name where tables have changed theirs in a circle, and returns the statements.';

CREATE OR REPLACE FUNCTION pggit._owner_on_main(p_schema text, p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT o.name
              FROM (SELECT 1 AS n, r.rolname::text AS name, r.oid, count(*) AS tables
                      FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation JOIN pg_roles AS r ON r.oid = c.relowner
                     WHERE t.on_main AND t.untracked_at IS NULL AND t.schema_name = p_schema GROUP BY r.rolname, r.oid
                    UNION ALL SELECT 2, r.rolname, r.oid, 0 FROM pggit.branches AS b JOIN pg_roles AS r ON r.rolname = b.created_by WHERE b.branch_id = p_branch_id
                    UNION ALL SELECT 3, r.rolname, r.oid, 0 FROM pg_roles AS r WHERE r.rolname = current_user) AS o
             WHERE pggit._may_own_for(o.oid)
             ORDER BY o.n, o.tables DESC, o.name LIMIT 1);
END;
$$;

COMMENT ON FUNCTION pggit._owner_on_main(text, integer) IS
'Who is to own a table that a branch brings to main: who owns most tables of the schema, else who made the branch, else who merges; of these the first that this role may make an owner.';

CREATE OR REPLACE FUNCTION pggit._grant_by_default(p_relation oid, p_kind "char")
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_word  text := CASE p_kind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END;
    v_grant record;
BEGIN
    FOR v_grant IN SELECT DISTINCT g.grantee FROM pg_class AS c, aclexplode(c.relacl) AS g WHERE c.oid = p_relation AND g.grantee <> c.relowner LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s', v_word, p_relation::regclass, CASE WHEN v_grant.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(v_grant.grantee)) END);
    END LOOP;
    FOR v_grant IN
        SELECT g.* FROM pg_class AS c JOIN pg_default_acl AS d ON d.defaclrole = c.relowner AND d.defaclobjtype = p_kind AND d.defaclnamespace IN (0, c.relnamespace), aclexplode(d.defaclacl) AS g
         WHERE c.oid = p_relation AND g.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON %s %s TO %s%s', v_grant.privilege_type, v_word, p_relation::regclass,
                       CASE WHEN v_grant.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(v_grant.grantee)) END, CASE WHEN v_grant.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._grant_by_default(oid, "char") IS
'Gives a new table (r) or sequence (S) the grants that its owner''s default privileges say, and no others.';

CREATE OR REPLACE FUNCTION pggit._settle_on_main(p_table_id integer, p_schema text, p_name text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name   text := format('%I.%I', p_schema, p_name);
    v_before oid  := (SELECT t.relation FROM pggit.tables AS t WHERE t.table_id = p_table_id);
    v_code   text;
BEGIN
    v_code := pggit._foreign_code(v_name::regclass);
    IF v_code IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG302', SCHEMA = 'pggit',
            MESSAGE = format('table %s, which the merge would make, has constraints or indexes that call functions of another user, %s: they would run with the rights of who merges', v_name, v_code),
            HINT    = 'Merge as the functions'' owner, or let a superuser own them.';
    END IF;

    UPDATE pggit.tables AS t
       SET relation = v_name::regclass, on_main = true, schema_name = p_schema, table_name = p_name, fingerprint = pggit._fingerprint(v_name::regclass), storage = pggit._storage(v_name::regclass), place = pggit._place()
     WHERE t.table_id = p_table_id;
    UPDATE pggit.columns AS c SET attnum = a.attnum, catalog_row = pggit._row_version(a.xmin, a.ctid)
      FROM pg_attribute AS a WHERE c.table_id = p_table_id AND a.attrelid = v_name::regclass AND a.attname = c.name;
    EXECUTE format('DROP TABLE %s', v_before::regclass);
    PERFORM pggit._create_capture(p_table_id);
    PERFORM pggit._note_table(p_table_id, 1, pggit._next_mark(), true, p_schema, p_name);
    PERFORM pggit._share_sequences(p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._settle_on_main(integer, text, text) IS
'A table has been made on main, without rows and foreign keys: it takes the place of what stood in for it, and has its history from here on. Raises VG302 for code that would run with other rights than its owner''s.';

CREATE OR REPLACE FUNCTION pggit._create_on_main(p_table_id integer, p_from pggit.branch_tables, p_schema text, p_name text)
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name   text   := format('%I.%I', p_schema, p_name);
    v_ddl    record;
    v_owner  text   := pggit._owner_on_main(p_schema, p_from.branch_id);
BEGIN
    PERFORM pggit._take_columns(p_table_id, p_from.branch_id);
    v_ddl := pggit._define(p_from.relation, p_from.branch_id, p_schema, p_name);
    PERFORM pggit._execute_on(1, v_ddl.rows_first || v_ddl.rows_then);
    IF v_owner <> current_user THEN
        EXECUTE format('ALTER TABLE %s OWNER TO %I', v_name, v_owner);
    END IF;
    PERFORM pggit._grant_by_default(v_name::regclass, 'r');
    PERFORM pggit._grant_by_default(o.sequence, 'S') FROM pggit._own_sequences(v_name::regclass) AS o;

    PERFORM pggit._settle_on_main(p_table_id, p_schema, p_name);
    RETURN v_ddl.rows_first || v_ddl.rows_then || format('ALTER TABLE %s OWNER TO %I', v_name, v_owner);
END;
$$;

COMMENT ON FUNCTION pggit._create_on_main(integer, pggit.branch_tables, text, text) IS
'Makes a table on main as a branch has it, without rows and foreign keys, and returns the statements. It is one table with the branch''s from then on. Raises VG302 for code that would run with other rights than its owner''s.';

CREATE OR REPLACE FUNCTION pggit._share_sequences(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_one  record;
    v_last bigint;
BEGIN
    FOR v_one IN
        SELECT m.sequence AS main, m.is_identity, b.sequence AS branch, format('%I.%I', n.nspname, c.relname) AS table_name, n.nspname AS schema_name, a.attname, a.attidentity, k.relname AS sequence_name,
               pg_get_expr(d.adbin, d.adrelid) = format('nextval(%L::regclass)', b.sequence::regclass) AS is_serial
          FROM pggit.tables AS t CROSS JOIN LATERAL pggit._own_sequences(t.relation) AS m
          JOIN pggit.branch_tables AS bt USING (table_id) CROSS JOIN LATERAL pggit._own_sequences(bt.relation) AS b
          JOIN pg_class AS c ON c.oid = bt.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_class AS k ON k.oid = b.sequence
          JOIN pg_attribute AS a ON a.attrelid = bt.relation AND a.attname = b.column_name
          LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE t.table_id = p_table_id AND m.column_name = b.column_name
         ORDER BY bt.branch_id, a.attnum
    LOOP
        EXECUTE format('SELECT CASE WHEN b.last_value * sign(q.seqincrement) >= m.last_value * sign(q.seqincrement) AND b.is_called THEN b.last_value END
                          FROM %s AS b, %s AS m, pg_sequence AS q WHERE q.seqrelid = %L::regclass', v_one.branch::regclass, v_one.main::regclass, v_one.main::regclass) INTO v_last;
        IF v_last IS NOT NULL THEN
            PERFORM setval(v_one.main, v_last);
        END IF;
        IF v_one.is_identity THEN
            EXECUTE format('ALTER TABLE %s ALTER %I DROP IDENTITY', v_one.table_name, v_one.attname);
            PERFORM pggit._draw_from(v_one.table_name, v_one.schema_name, v_one.attname, v_one.attidentity, v_one.sequence_name, v_one.main);
        ELSIF v_one.is_serial THEN
            EXECUTE format('ALTER TABLE %s ALTER %I SET DEFAULT nextval(%L)', v_one.table_name, v_one.attname, v_one.main::regclass);
            EXECUTE format('DROP SEQUENCE %s', v_one.branch::regclass);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._share_sequences(integer) IS
'A table has come to main: its sequences there go on where those of the branches were, and branches draw from them, so that numbers given on different branches never meet.';

CREATE OR REPLACE FUNCTION pggit._create_on_branch(p_table pggit.tables, p_from pggit.branch_tables, p_branch_id integer)
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch pggit.branches := (SELECT b FROM pggit.branches AS b WHERE b.branch_id = p_branch_id);
    v_parent record;
BEGIN
    IF NOT EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND s.base_schema = p_table.schema_name) THEN
        PERFORM pggit._create_branch_schema(v_branch, p_table.schema_name);
    END IF;
    IF NOT p_table.on_main THEN
        PERFORM pggit._take_columns(p_table.table_id, p_from.branch_id);
        RETURN pggit._copy_new_table(p_table.table_id, p_from.branch_id, p_branch_id, false);
    END IF;
    IF EXISTS (SELECT FROM pg_inherits AS h JOIN pg_class AS c ON c.oid = h.inhparent AND c.relkind = 'r' WHERE p_table.relation IN (h.inhrelid, h.inhparent)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG302', SCHEMA = 'pggit',
            MESSAGE = format('table %s takes part in inheritance, and came to main after the branch began: in this version no merge takes it', p_table.relation),
            HINT    = 'A branch of main as it is now has it.';
    END IF;
    -- What main says of a table says it of the time before it was tracked there, too.
    IF NOT EXISTS (SELECT FROM pggit.table_changes AS c WHERE c.table_id = p_table.table_id AND c.branch_id = 1) THEN
        PERFORM pggit._note_table(p_table.table_id, 1, NULL, false, p_table.schema_name, p_table.table_name);
        PERFORM pggit._note_table(p_table.table_id, 1, p_table.tracked_at, true, p_table.schema_name, p_table.table_name);
    END IF;
    PERFORM pggit._note_table(p_table.table_id, p_branch_id, pggit._next_mark(), true, p_table.schema_name, p_table.table_name);
    PERFORM pggit._open_name(p_branch_id, s.schema_name, p_table.table_name) FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND s.base_schema = p_table.schema_name;
    -- The rows of main where the branch stands are not there, until the merge says which are.
    IF NOT pggit._is_keyless(p_table.table_id) THEN
        EXECUTE format('INSERT INTO pggit._mask_%s (_b, %s) SELECT %s, %s FROM (%s) AS m ON CONFLICT DO NOTHING', p_table.table_id, pggit._key_columns(p_table.table_id), p_branch_id,
                       pggit._key_columns(p_table.table_id, 'm'), pggit._main_state_sql(p_table.table_id, (SELECT b.s FROM pggit.branch_bases AS b WHERE b.branch_id = p_branch_id), NULL));
    END IF;
    IF pggit._is_keyless(p_table.table_id) OR pggit._why_no_view(p_table.relation) IS NOT NULL
       OR (pggit._total_size(p_table.relation) <= pg_size_bytes(pggit._size_setting('pggit.materialize_limit', '64MB'))
           AND NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.form = 'view')) THEN
        PERFORM pggit._create_real(p_branch_id, p_table.table_id, false);
    ELSE
        PERFORM pggit._create_view(p_branch_id, p_table.table_id);
    END IF;
    RETURN ARRAY[format('-- %s as main has it', p_table.relation)];
END;
$$;

COMMENT ON FUNCTION pggit._create_on_branch(pggit.tables, pggit.branch_tables, integer) IS
'Gives a branch a table that main has, as a view or a real one as the others of the branch are, or that another branch has; without rows.';

CREATE OR REPLACE FUNCTION pggit._definition_then(p_objects pggit._schema_object[], p_name text, p_keys boolean)
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (WITH RECURSIVE tables AS (
                SELECT p_name AS name
                UNION
                SELECT o.object_name FROM tables AS t JOIN unnest(p_objects) AS o ON o.object_type = 'table' AND o.definition ->> 'partition_of' = t.name
            )
            SELECT ARRAY(SELECT (o.object_type, o.object_name, o.parent, o.definition, o.hash, NULL, o.column_id)::pggit._schema_object
                           FROM unnest(pggit._of_tables(p_objects, ARRAY(SELECT t.name FROM tables AS t), true)) AS o
                          WHERE p_keys OR NOT (o.object_type = 'constraint' AND o.definition ? 'references')));
END;
$$;

COMMENT ON FUNCTION pggit._definition_then(pggit._schema_object[], text, boolean) IS
'Of a state''s objects a table with its partitions and all that belongs to them, without or with (p_keys) its foreign keys, as one that is to be made: without the id of the one that was.';

CREATE OR REPLACE FUNCTION pggit._create_again(p_table_id integer, p_target_id integer, p_theirs pggit._position, p_objects pggit._schema_object[], p_schema text, p_name text)
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name   text := format('%I.%I', p_schema, p_name);
    v_schema text;
    v_done   text[];
BEGIN
    IF (SELECT array_agg(c.column_id ORDER BY c.column_id) FROM pggit._columns_at(p_table_id, p_theirs) AS c) IS DISTINCT FROM
       (SELECT array_agg(c.column_id ORDER BY c.column_id) FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.dropped_at IS NULL)
       OR NOT EXISTS (SELECT FROM unnest(p_objects) AS o WHERE o.object_type = 'table' AND o.object_name = v_name) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG302', SCHEMA = 'pggit',
            MESSAGE = format('table %s would have to be made as it was then, and its columns were changed between then and when it was dropped', v_name),
            HINT    = 'First go back to the last commit that had it.';
    END IF;
    IF p_target_id = 1 THEN
        v_done := ARRAY(SELECT jsonb_array_elements_text(pggit._migrate(1, '{}', pggit._definition_then(p_objects, v_name, false))));
        PERFORM pggit._settle_on_main(p_table_id, p_schema, p_name);
        RETURN v_done;
    END IF;
    SELECT s.schema_name INTO STRICT v_schema FROM pggit.branch_schemas AS s WHERE s.branch_id = p_target_id AND s.base_schema = p_schema;
    PERFORM pggit._open_name(p_target_id, v_schema, p_name);
    v_done := ARRAY(SELECT jsonb_array_elements_text(pggit._migrate(p_target_id, '{}', pggit._definition_then(p_objects, v_name, false))));
    PERFORM pggit._show_again(p_table_id, p_target_id, format('%I.%I', v_schema, p_name)::regclass);
    PERFORM pggit._note_table(p_table_id, p_target_id, pggit._next_mark(), true, p_schema, p_name);
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._create_again(integer, integer, pggit._position, pggit._schema_object[], text, text) IS
'Makes a table, on main or a branch, as the commit that theirs is had it, without rows and foreign keys, and returns the statements. Raises VG302.';

CREATE OR REPLACE FUNCTION pggit._show_again(p_table_id integer, p_branch_id integer, p_relation regclass)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pggit.branch_columns AS b SET attnum = a.attnum
      FROM pg_attribute AS a WHERE b.branch_id = p_branch_id AND b.table_id = p_table_id AND b.dropped_at IS NULL AND a.attrelid = p_relation AND a.attname = b.name;
    IF NOT FOUND THEN
        INSERT INTO pggit.branch_columns (branch_id, table_id, column_id, attnum, name, type_name, key_position, generated_as, origin)
        SELECT p_branch_id, p_table_id, c.column_id, a.attnum, c.name, c.type_name, c.key_position, c.generated_as, c.origin
          FROM pggit.columns AS c JOIN pg_attribute AS a ON a.attrelid = p_relation AND a.attname = c.name WHERE c.table_id = p_table_id AND c.dropped_at IS NULL;
    END IF;
    INSERT INTO pggit.branch_tables (branch_id, table_id, relation, form, names, watched)
    VALUES (p_branch_id, p_table_id, p_relation, 'table', pggit._names_of(p_relation), ARRAY[pggit._column_versions(p_relation), pggit._storage(p_relation), pggit._place()::text]);
    PERFORM pggit._capture_real(p_branch_id, p_table_id, p_relation::text, pggit._branch_now(p_branch_id));
END;
$$;

COMMENT ON FUNCTION pggit._show_again(integer, integer, regclass) IS
'A table that main does not have has been made on a branch again, without rows: it goes on with the history that it had there.';

CREATE OR REPLACE FUNCTION pggit._copy_past_table(p_table_id integer, p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_at      pggit._position         := pggit._working_position(p_branch_id);
    v_objects pggit._schema_object[]  := ARRAY(SELECT o FROM pggit._objects_below(p_branch_id) AS o);
    v_named   pggit.table_changes;
    v_then    text;
    v_name    text;
    v_numbers record;
    v_rows    text;
    v_names   jsonb;  -- of then, by origin; the columns may have got others before the table went
BEGIN
    SELECT n.* INTO v_named FROM pggit._name_at(p_table_id, v_at) AS n;
    v_then := format('%I.%I', v_named.schema_name, v_named.table_name);
    v_name := (SELECT format('%I.%I', s.schema_name, v_named.table_name) FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND s.base_schema = v_named.schema_name);
    v_names := (SELECT coalesce(jsonb_object_agg(o.column_id, (parse_ident(o.object_name))[3]), '{}') FROM unnest(v_objects) AS o WHERE o.object_type = 'column' AND o.parent = v_then AND o.column_id IS NOT NULL);
    IF v_name IS NULL
       OR ARRAY(SELECT c.origin::text FROM pggit._columns_at(p_table_id, v_at) AS c ORDER BY 1) <> ARRAY(SELECT k FROM jsonb_object_keys(v_names) AS k ORDER BY 1) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG302', SCHEMA = 'pggit',
            MESSAGE = format('a branch can''t have table %s, which main has dropped since: nobody knows its definition of then', v_then),
            HINT    = 'Begin the branch at a commit. pggit.as_of and pggit.diff_rows show the rows of then.';
    END IF;
    v_rows := pggit._state_sql(p_table_id, v_at);
    PERFORM pggit._migrate(p_branch_id, '{}', pggit._definition_then(v_objects, v_then, false));
    INSERT INTO pggit.branch_columns (branch_id, table_id, column_id, attnum, name, type_name, key_position, generated_as, origin)
    SELECT p_branch_id, p_table_id, c.column_id, a.attnum, a.attname, c.type_name, c.key_position, c.generated_as, c.origin
      FROM pggit._columns_at(p_table_id, v_at) AS c JOIN pg_attribute AS a ON a.attrelid = v_name::regclass AND a.attname = v_names ->> c.origin::text;
    PERFORM pggit._keep_past_columns(p_branch_id, p_table_id);
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', v_name);
    EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE %s', v_name,
                   (SELECT string_agg(quote_ident(v_names ->> c.origin::text), ', ' ORDER BY c.column_id) FROM pggit._columns_at(p_table_id, v_at) AS c WHERE c.generated_as IS NULL),
                   v_rows);
    EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', v_name);
    PERFORM pggit._save_past_cells(p_branch_id, p_table_id);
    EXECUTE format('DELETE FROM pggit._delta_%s AS d WHERE d._b = %s', p_table_id, p_branch_id);
    FOR v_numbers IN SELECT o.sequence::regclass AS name, o.column_name, CASE WHEN q.seqincrement < 0 THEN 'min' ELSE 'max' END AS last FROM pggit._own_sequences(v_name::regclass) AS o JOIN pg_sequence AS q ON q.seqrelid = o.sequence LOOP
        EXECUTE format('SELECT setval(%L, m.last) FROM (SELECT %s(%I)::bigint AS last FROM %s) AS m WHERE m.last IS NOT NULL', v_numbers.name, v_numbers.last, v_numbers.column_name, v_name);
    END LOOP;
    PERFORM pggit._show_again(p_table_id, p_branch_id, v_name::regclass);
    EXECUTE format('ANALYZE %s', v_name);
END;
$$;

COMMENT ON FUNCTION pggit._copy_past_table(integer, integer) IS
'Gives a new branch a table that main has dropped since: made as main had it where the branch begins, without foreign keys, with its rows of then; numbers go on behind the highest. Raises VG302 when no tree has its
definition.';

CREATE OR REPLACE FUNCTION pggit._past_parents(p_branch_id integer, p_tables integer[])
    RETURNS integer[]
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (WITH objects AS MATERIALIZED (
                SELECT o.object_name, o.object_type, o.parent, o.definition, o.table_id FROM pggit._objects_below(p_branch_id) AS o
            )
            SELECT ARRAY(SELECT DISTINCT p.table_id
                           FROM objects AS t JOIN objects AS k ON k.object_type = 'constraint' AND k.parent = t.object_name JOIN objects AS p ON p.object_type = 'table' AND p.object_name = k.definition ->> 'references'
                          WHERE t.object_type = 'table' AND t.table_id = ANY (p_tables) AND p.table_id IS NOT NULL));
END;
$$;

COMMENT ON FUNCTION pggit._past_parents(integer, integer[]) IS
'The tables to which foreign keys of some tables pointed where a branch begins. Both ends of a foreign key are real.';

CREATE OR REPLACE FUNCTION pggit._past_keys(p_table_id integer, p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_objects pggit._schema_object[] := ARRAY(SELECT o FROM pggit._objects_below(p_branch_id) AS o);
    v_then    text                   := (SELECT format('%I.%I', n.schema_name, n.table_name) FROM pggit._name_at(p_table_id, pggit._branch_now(p_branch_id)) AS n);
BEGIN
    PERFORM pggit._migrate(p_branch_id, pggit._definition_then(v_objects, v_then, false), pggit._definition_then(v_objects, v_then, true));
END;
$$;

COMMENT ON FUNCTION pggit._past_keys(integer, integer) IS
'Gives a branch''s table that main has dropped since the foreign keys that it had where the branch begins, when all tables are there.';

CREATE OR REPLACE FUNCTION pggit._create_step(p_table_id integer, p_target_id integer, p_theirs pggit._position, p_objects pggit._schema_object[])
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table pggit.tables;
    v_from  pggit.branch_tables := pggit._made_like(p_table_id, p_theirs);
    v_named pggit.table_changes;
BEGIN
    SELECT t.* INTO v_table FROM pggit.tables AS t WHERE t.table_id = p_table_id;
    SELECT n.* INTO v_named FROM pggit._name_at(p_table_id, p_theirs) AS n;
    IF p_target_id <> 1 AND (v_table.on_main OR v_from.relation IS NOT NULL) THEN
        RETURN pggit._create_on_branch(v_table, v_from, p_target_id);
    ELSIF p_target_id = 1 AND to_regclass(format('%I.%I', v_named.schema_name, v_named.table_name)) IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG302', SCHEMA = 'pggit',
            MESSAGE = format('main has something else by the name of table %I.%I, which the merge would make', v_named.schema_name, v_named.table_name),
            HINT    = 'Rename one of them.';
    END IF;
    RETURN CASE WHEN v_from.relation IS NULL THEN pggit._create_again(p_table_id, p_target_id, p_theirs, p_objects, v_named.schema_name, v_named.table_name)
                ELSE pggit._create_on_main(p_table_id, v_from, v_named.schema_name, v_named.table_name) END;
END;
$$;

COMMENT ON FUNCTION pggit._create_step(integer, integer, pggit._position, pggit._schema_object[]) IS
'Makes a table of theirs, whose objects are given, on the target, and returns the statements. Raises VG302 when that can''t be.';

CREATE OR REPLACE FUNCTION pggit._keys_on_main(p_from pggit.branch_tables, p_schema text, p_name text)
    RETURNS text[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_keys text[];
BEGIN
    PERFORM set_config('search_path', pggit._line_path(p_from.branch_id), true);
    SELECT coalesce(array_agg(format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', p_schema, p_name, k.conname,
                                     CASE WHEN n.there IS NOT NULL AND starts_with(k.told, k.before || b.there) THEN k.before || n.there || substr(k.told, length(k.before || b.there) + 1) ELSE k.told END)
                              ORDER BY k.conname), '{}') INTO v_keys
      FROM (SELECT c.conname, c.confrelid, c.confkey, pg_get_constraintdef(c.oid) AS told,
                   format('FOREIGN KEY (%s) REFERENCES ', (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.n) FROM unnest(c.conkey) WITH ORDINALITY AS u(attnum, n)
                                                             JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = u.attnum)) AS before
              FROM pg_constraint AS c WHERE c.conrelid = p_from.relation AND c.contype = 'f' AND c.conparentid = 0) AS k
     CROSS JOIN LATERAL (SELECT format('%s(%s)', k.confrelid::regclass, string_agg(quote_ident(a.attname), ', ' ORDER BY u.n)) AS there
                           FROM unnest(k.confkey) WITH ORDINALITY AS u(attnum, n) JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum) AS b
      -- Main may have given the table or its columns other names.
      LEFT JOIN LATERAL (SELECT format('%I.%I(%s)', t.schema_name, t.table_name, string_agg(quote_ident(m.name), ', ' ORDER BY u.n)) AS there
                           FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
                          CROSS JOIN unnest(k.confkey) WITH ORDINALITY AS u(attnum, n)
                           JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
                          CROSS JOIN LATERAL pggit._columns_as_made(bt) AS c
                           JOIN pggit.columns AS m ON m.table_id = t.table_id AND m.origin = c.origin AND m.dropped_at IS NULL
                          WHERE bt.branch_id = p_from.branch_id AND bt.relation = k.confrelid AND t.on_main AND c.name = a.attname
                          GROUP BY t.schema_name, t.table_name HAVING count(*) = cardinality(k.confkey)) AS n ON true;
    RETURN v_keys;
END;
$$;

COMMENT ON FUNCTION pggit._keys_on_main(pggit.branch_tables, text, text) IS
'Statements that give the foreign keys of a branch''s new table to the one that main gets, which refer to main''s tables under the names that these have there.';

CREATE OR REPLACE FUNCTION pggit._key_step(p_table_id integer, p_target_id integer, p_theirs pggit._position, p_objects pggit._schema_object[])
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_from pggit.branch_tables := pggit._made_like(p_table_id, p_theirs);
    v_name text := (SELECT format('%I.%I', n.schema_name, n.table_name) FROM pggit._name_at(p_table_id, p_theirs) AS n);
    v_keys text[];
BEGIN
    IF (v_from.relation IS NULL OR v_from.branch_id = p_target_id) AND NOT (p_target_id <> 1 AND (SELECT t.on_main FROM pggit.tables AS t WHERE t.table_id = p_table_id)) THEN
        v_keys := ARRAY(SELECT jsonb_array_elements_text(pggit._migrate(p_target_id, pggit._definition_then(p_objects, v_name, false), pggit._definition_then(p_objects, v_name, true))));
    ELSIF p_target_id = 1 THEN
        v_keys := (SELECT pggit._keys_on_main(v_from, t.schema_name, t.table_name) FROM pggit.tables AS t WHERE t.table_id = p_table_id);
        PERFORM pggit._execute_on(1, v_keys);
    ELSIF NOT (SELECT t.on_main FROM pggit.tables AS t WHERE t.table_id = p_table_id) THEN
        PERFORM pggit.materialize((SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_target_id), format('%I.%I', t.schema_name, t.table_name))
           FROM pg_constraint AS k JOIN pggit.branch_tables AS bt ON bt.relation = k.confrelid JOIN pggit.tables AS t USING (table_id)
          WHERE k.conrelid = v_from.relation AND k.contype = 'f' AND t.on_main;
        PERFORM pggit._copy_new_keys(p_table_id, v_from.branch_id, p_target_id);
    END IF;
    RETURN coalesce(v_keys, '{}');
END;
$$;

COMMENT ON FUNCTION pggit._key_step(integer, integer, pggit._position, pggit._schema_object[]) IS
'Gives a table that a merge has made on the target its foreign keys, when all tables are there, and returns the statements. On a branch those of main come with pggit._late_keys.';

CREATE OR REPLACE FUNCTION pggit._late_keys(p_steps jsonb, p_target_id integer)
    RETURNS void
    LANGUAGE sql
AS $$
    SELECT pggit._real_foreign_keys(p_target_id, t.table_id)
      FROM jsonb_array_elements(p_steps) AS s JOIN pggit.tables AS t ON t.table_id = (s ->> 'table')::integer
     WHERE s ->> 'do' = 'create' AND t.on_main AND p_target_id <> 1;
$$;

COMMENT ON FUNCTION pggit._late_keys(jsonb, integer) IS
'Gives the tables of main that a merge has made on a branch their foreign keys, in both directions, when their rows are there.';

CREATE OR REPLACE FUNCTION pggit._stays_dropped(p_table_id integer, p_target_id integer, p_ours pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT pggit._is_away(p_table_id, p_ours)
                   AND CASE p_target_id WHEN 1 THEN NOT (SELECT t.on_main FROM pggit.tables AS t WHERE t.table_id = p_table_id)
                                        ELSE NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_target_id AND bt.table_id = p_table_id) END);
END;
$$;

COMMENT ON FUNCTION pggit._stays_dropped(integer, integer, pggit._position) IS
'Whether the target of a merge has dropped a table and this merge has not made it again: then its rows are not planned.';

CREATE OR REPLACE FUNCTION pggit._take_steps(p_steps jsonb, p_ours pggit._position, p_theirs pggit._position, p_base pggit._schema_object[], p_objects pggit._schema_object[])
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_following text   := current_setting('pggit.following', true);
    v_done      text[] := '{}';
    v_step      jsonb;
    v_id        integer;
    v_gone      integer[] := ARRAY(SELECT (s ->> 'table')::integer FROM jsonb_array_elements(p_steps) AS s WHERE s ->> 'do' = 'drop');
BEGIN
    PERFORM pggit._begin_hold() WHERE (p_ours).branch_id = 1 AND p_steps <> '[]';
    PERFORM set_config('pggit.following', 'on', true);
    IF v_gone <> '{}' THEN
        v_done := v_done || pggit._drop_users_of_tables((p_ours).branch_id, v_gone, p_base, p_objects,
                                                           ARRAY(SELECT s ->> 'name' FROM jsonb_array_elements(p_steps) AS s WHERE s ->> 'do' = 'drop_reader'));
        v_done := v_done || CASE (p_ours).branch_id WHEN 1 THEN pggit._drop_on_main(v_gone, p_ours) ELSE pggit._drop_of_branch(v_gone, (p_ours).branch_id) END;
    END IF;
    v_done := v_done || pggit._move_types(p_steps, (p_theirs).branch_id);
    v_done := v_done || pggit._rename_tables(p_steps, (p_ours).branch_id);
    FOR v_step IN SELECT s FROM jsonb_array_elements(p_steps) AS s WHERE s ->> 'do' = 'join' LOOP
        IF (SELECT t.on_main FROM pggit.tables AS t WHERE t.table_id = (v_step ->> 'table')::integer) THEN
            PERFORM pggit._join_tables((v_step ->> 'other')::integer, (v_step ->> 'table')::integer);
        ELSE
            PERFORM pggit._join_tables((v_step ->> 'table')::integer, (v_step ->> 'other')::integer);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM jsonb_array_elements(p_steps) AS s WHERE s ->> 'do' = 'create') THEN
        v_done := v_done || pggit._bring_first((p_ours).branch_id, (p_theirs).branch_id, p_base, p_objects);
    END IF;
    FOR v_id IN SELECT (s ->> 'table')::integer FROM jsonb_array_elements(p_steps) AS s WHERE s ->> 'do' = 'create' LOOP
        v_done := v_done || pggit._create_step(v_id, (p_ours).branch_id, p_theirs, p_objects);
    END LOOP;
    FOR v_id IN SELECT (s ->> 'table')::integer FROM jsonb_array_elements(p_steps) AS s WHERE s ->> 'do' = 'create' LOOP
        v_done := v_done || pggit._key_step(v_id, (p_ours).branch_id, p_theirs, p_objects);
    END LOOP;
    PERFORM set_config('pggit.following', coalesce(v_following, ''), true);
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._take_steps(jsonb, pggit._position, pggit._position, pggit._schema_object[], pggit._schema_object[]) IS
'Does what pggit._table_steps says to the tables of a merge''s target, and returns the statements, for people to read. Event triggers leave it alone.';

CREATE OR REPLACE FUNCTION pggit._try_steps(p_steps jsonb, p_ours pggit._position, p_theirs pggit._position, p_base pggit._schema_object[], p_objects pggit._schema_object[], OUT statements text[], OUT refused jsonb)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_message text;
    v_detail  text;
    v_hint    text;
BEGIN
    statements := '{}';
    IF p_steps <> '[]' THEN
        statements := pggit._take_steps(p_steps, p_ours, p_theirs, p_base, p_objects);
        PERFORM set_config('pggit.merge_touched', 'on', true);
    END IF;
EXCEPTION WHEN SQLSTATE 'VG302' OR SQLSTATE 'VG307' OR SQLSTATE 'VG310' OR syntax_error_or_access_rule_violation OR feature_not_supported OR dependent_objects_still_exist OR invalid_schema_name THEN
    GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
    refused := jsonb_strip_nulls(jsonb_build_object('reason', concat_ws(': ', v_message, nullif(v_detail, '')), 'hint', nullif(v_hint, ''), 'sqlstate', 'VG302'));
END;
$$;

COMMENT ON FUNCTION pggit._try_steps(jsonb, pggit._position, pggit._position, pggit._schema_object[], pggit._schema_object[], OUT text[], OUT jsonb) IS
'pggit._take_steps; where that can''t be, why not, as the detail of a refused merge. The local setting pggit.merge_touched tells pggit._run that there is something to undo when nothing is merged.';
