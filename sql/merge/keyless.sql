-- Merging tables without a primary key: how often there is a row is ours + theirs - base, never below zero. There are no conflicts.

CREATE OR REPLACE FUNCTION pggit._counts_sql(p_table_id integer, p_position pggit._position, p_fills jsonb DEFAULT '{}')
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_rows     text     := pggit._state_sql(p_table_id, p_position);
    v_relation regclass := coalesce(pggit._relation_at(p_table_id, (pggit._target()).branch_id), pggit._relation_at(p_table_id, 1));
BEGIN
    IF pggit._is_reshaped(p_table_id, p_position, pggit._target()) THEN
        SELECT format('SELECT %s FROM (%s) AS s', string_agg(format('%s AS c%s', e.value, e.key), ', ' ORDER BY e.key), v_rows) INTO v_rows
          FROM jsonb_each_text(pggit._merged_cells(p_table_id, p_position,
                                                   (SELECT jsonb_object_agg(c.column_id, pggit._value_of_old_rows(v_relation, c.name)) FROM pggit._columns_at(p_table_id, pggit._target()) AS c), p_fills)) AS e;
    END IF;
    RETURN format('SELECT s.k, (array_agg(s.r))[1] AS r, count(*) AS n FROM (SELECT %s FROM (%s) AS q) AS s GROUP BY s.k',
                  pggit._counted_sql(p_table_id, pggit._shared_columns(p_table_id, pggit._target(), pggit._target()), 'q'), v_rows);
END;
$$;

COMMENT ON FUNCTION pggit._counts_sql(integer, pggit._position, jsonb) IS
'SELECT (k, r, n) of all rows of a table without a key at a position, in the columns of the target of a merge: converted, or as p_fills says (pggit._merged_cells), and with what old rows got in a column that came later. For pggit._pinned.';

CREATE OR REPLACE FUNCTION pggit._base_counts_sql(p_table_id integer, p_bases text[], p_fills jsonb DEFAULT '{}')
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_counts   text := pggit._counts_sql(p_table_id, (pggit._ref(p_bases[1])).at, p_fills);
    v_before   text[];
    v_readable boolean;
BEGIN
    FOR v_at IN 2 .. cardinality(p_bases) LOOP
        v_before := pggit._merge_bases_of_any(p_bases[:v_at - 1], p_bases[v_at]);
        SELECT bool_and(pggit._presence(t, c.at) <> 'gap') INTO v_readable FROM pggit.tables AS t, pggit.commits AS c WHERE t.table_id = p_table_id AND c.commit_id = ANY (v_before);
        CONTINUE WHEN v_readable IS NOT TRUE;
        v_counts := format('SELECT s.k, (array_agg(s.r))[1] AS r, sum(s.n) AS n FROM (%s UNION ALL %s UNION ALL SELECT z.k, z.r, -z.n FROM (%s) AS z) AS s GROUP BY s.k HAVING sum(s.n) > 0',
                           'SELECT * FROM (' || v_counts || ') AS b', 'SELECT * FROM (' || pggit._counts_sql(p_table_id, (pggit._ref(p_bases[v_at])).at, p_fills) || ') AS b',
                           pggit._base_counts_sql(p_table_id, v_before, p_fills));
    END LOOP;
    RETURN v_counts;
END;
$$;

COMMENT ON FUNCTION pggit._base_counts_sql(integer, text[], jsonb) IS
'SELECT (k, r, n) of the rows that a merge starts from: of several best common ancestors what merges of them, one after the other, would give, each from what it has in common with those before. p_fills: as in pggit._counts_sql.';

CREATE OR REPLACE FUNCTION pggit._empty_keyless_plan(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._drop_temporary(format('pg_temp.pggit_plan_%s', p_table_id));
    EXECUTE format('CREATE TEMPORARY TABLE pggit_plan_%1$s (row_no bigint GENERATED ALWAYS AS IDENTITY, at tid, o pggit._delta_%1$s, want pggit._delta_%1$s, outcome text DEFAULT ''take'',
                        action text) ON COMMIT DROP', p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._empty_keyless_plan(integer) IS
'Makes pggit_plan_<table id> for a table without a key: a row for each one to insert (want) or to delete (o, which is at the place at).';

CREATE OR REPLACE FUNCTION pggit._plan_keyless(p_table_id integer, p_bases text[], p_ours pggit._position, p_theirs pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_net text := format('pg_temp.pggit_net_%s', p_table_id);
BEGIN
    PERFORM pggit._drop_temporary(v_net);
    EXECUTE format('CREATE TEMPORARY TABLE pggit_net_%1$s ON COMMIT DROP AS SELECT s.k, s.r, s.n::bigint AS n FROM pggit._pinned(%2$L) AS s(k text, r pggit._delta_%1$s, n numeric)', p_table_id,
                   pggit._net_sql(pggit._counted_with_given_keys_sql(p_table_id, CASE cardinality(p_bases)
                       WHEN 1 THEN format('SELECT s.k, s.r, s.n::numeric FROM (%s) AS s', pggit._signed_sql(p_table_id, (pggit._ref(p_bases[1])).at, p_theirs))
                       ELSE format('SELECT s.k, s.r, s.n::numeric FROM (%s) AS s UNION ALL SELECT s.k, s.r, -s.n FROM (%s) AS s',
                                   pggit._counts_sql(p_table_id, p_theirs), pggit._base_counts_sql(p_table_id, p_bases)) END)));
    PERFORM pggit._plan_net(p_table_id, p_ours);
END;
$$;

COMMENT ON FUNCTION pggit._plan_keyless(integer, text[], pggit._position, pggit._position) IS
'Merges a table without a key into pggit_plan_<table id>: what theirs has more often than the base is inserted, what it has less often is deleted, as far as ours has it. With one base the cost follows
the changes, and where rows have to be deleted the target is read once; with several all of it is read.';

CREATE OR REPLACE FUNCTION pggit._plan_net(p_table_id integer, p_ours pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_plan    text      := format('pg_temp.pggit_plan_%s', p_table_id);
    v_net     text      := format('pg_temp.pggit_net_%s', p_table_id);
    v_columns integer[] := pggit._shared_columns(p_table_id, pggit._target(), pggit._target());
    v_ours    integer   := (p_ours).branch_id;
    v_there   text;
    v_later   text;
    v_any     boolean;
BEGIN
    PERFORM pggit._empty_keyless_plan(p_table_id);
    EXECUTE format('INSERT INTO %s (want, action) SELECT u.r, ''insert'' FROM %s AS u CROSS JOIN generate_series(1, u.n)', v_plan, v_net);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s AS u WHERE u.n < 0)', v_net) INTO v_any;
    IF NOT v_any THEN
        RETURN;
    END IF;

    -- The rows to delete, looked for once in what stands there now. What came after ours does not count, and what went after it does: if it is needed, writing finds it gone.
    v_there := format('SELECT b.ctid AS at, %s FROM %s AS b', pggit._relation_columns(p_table_id, 'b', pggit._target()),
                      CASE v_ours WHEN 1 THEN pggit._base_rows(p_table_id) ELSE 'ONLY ' || pggit._dense_relation(v_ours, p_table_id) END);
    v_later := CASE v_ours WHEN 1 THEN format('pggit._log_%s AS l WHERE %s', p_table_id, pggit._out_sql('l', (p_ours).x))
                           ELSE format('pggit._undo_%s AS l WHERE l._b = %s AND %s', p_table_id, v_ours, pggit._out_sql('l', (p_ours).x)) END;
    EXECUTE format($sql$
        INSERT INTO %1$s (at, o, action)
        SELECT d.at, d.r, 'delete' FROM pggit._pinned(%2$L) AS d(at tid, r pggit._delta_%3$s)$sql$,
        v_plan, format($sql$
        WITH there AS MATERIALIZED (
            SELECT b.*, row_number() OVER (PARTITION BY b.k ORDER BY b.at) AS i
              FROM (SELECT q.at, %1$s FROM (%2$s) AS q) AS b WHERE b.k IN (SELECT u.k FROM %3$s AS u WHERE u.n < 0)
        ), ours AS (
            SELECT c.k, sum(c.n) AS n FROM (SELECT t.k, 1 AS n FROM there AS t UNION ALL SELECT l.k, -l.n FROM (SELECT %4$s, %5$s AS n FROM %6$s) AS l) AS c GROUP BY c.k
        )
        SELECT t.at, coalesce(t.r, u.r)
          FROM %3$s AS u JOIN ours AS o ON o.k = u.k CROSS JOIN generate_series(1, least(-u.n, o.n)::bigint) AS g(i) LEFT JOIN there AS t ON t.k = u.k AND t.i = g.i
         WHERE u.n < 0$sql$,
        pggit._counted_sql(p_table_id, v_columns, 'q'), v_there, v_net, pggit._counted_sql(p_table_id, v_columns, 'l'), pggit._sign_sql('l'), v_later), p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._plan_net(integer, pggit._position) IS
'Makes pggit_plan_<table id> of pggit_net_<table id>: rows of the target''s columns (k, r) that come (n > 0) or go.';

CREATE OR REPLACE FUNCTION pggit._planned_row_sql(p_table_id integer)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN pggit._is_keyless(p_table_id) THEN 'b.ctid = p.at' ELSE pggit._same_key(p_table_id, 'b', 'p', true, false, pggit._target()) END;
$$;

COMMENT ON FUNCTION pggit._planned_row_sql(integer) IS
'Condition: row b of a real table is the one that row p of the plan changes.';

CREATE OR REPLACE FUNCTION pggit._planned_place_sql(p_table_id integer)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT concat_ws(' AND ', 'b.ctid = p.at', CASE WHEN NOT pggit._is_keyless(p_table_id) THEN pggit._planned_row_sql(p_table_id) END);
$$;

COMMENT ON FUNCTION pggit._planned_place_sql(integer) IS
'pggit._planned_row_sql where the plan knows all places: found without an index, and not found once it was written by others.';

CREATE OR REPLACE FUNCTION pggit._is_as_planned(p_table_id integer, p_log text, p_watermark bigint)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_columns integer[] := pggit._shared_columns(p_table_id, pggit._target(), pggit._target());
    v_right   boolean;
BEGIN
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM pggit._pinned(%L) AS s(k text, r pggit._delta_%s, n bigint))', pggit._net_sql(format($sql$
        SELECT %1$s, %2$s AS n FROM %8$s AS l WHERE l._xid = %4$L::xid8 AND l._seq > %5$s
        UNION ALL SELECT %6$s, -1 FROM pg_temp.pggit_plan_%3$s AS p WHERE p.action = 'insert'
        UNION ALL SELECT %7$s, 1 FROM pg_temp.pggit_plan_%3$s AS p WHERE p.action = 'delete'$sql$,
        pggit._counted_sql(p_table_id, v_columns, 'l'), pggit._sign_sql('l'), p_table_id, pggit._transaction_number(), p_watermark,
        pggit._counted_sql(p_table_id, v_columns, '(p.want)'), pggit._counted_sql(p_table_id, v_columns, '(p.o)'), p_log)), p_table_id) INTO v_right;
    RETURN v_right;
END;
$$;

COMMENT ON FUNCTION pggit._is_as_planned(integer, text, bigint) IS
'Whether the net change that this transaction has logged, since a watermark, of a table without a key is the plan. p_log: main''s log, or a query of a branch''s.';

CREATE OR REPLACE FUNCTION pggit._is_merged_in_columns(p_table_id integer)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF to_regclass('pg_temp.pggit_merged_columns') IS NULL THEN
        RETURN false;
    END IF;
    RETURN EXISTS (SELECT FROM pg_temp.pggit_merged_columns AS m WHERE m.table_id = p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._is_merged_in_columns(integer) IS
'Whether the columns of a table are not the same in all three states of the merge that was planned last.';

CREATE OR REPLACE FUNCTION pggit._is_told_anew(p_shown pggit.branch_tables, p_from pggit._mark, p_to pggit._mark)
    RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT pggit._is_keyless(p_shown.table_id)
           AND (pggit._is_merged_in_columns(p_shown.table_id) OR pggit._is_reshaped(p_shown.table_id, (1, p_from, p_from)::pggit._position, (1, p_to, p_to)::pggit._position));
$$;

COMMENT ON FUNCTION pggit._is_told_anew(pggit.branch_tables, pggit._mark, pggit._mark) IS
'Whether a merge that has a branch stand elsewhere on main (p_to) tells all that a table without a key has there anew, because its columns, or main''s, are others now. Else pggit._move_keyless does.';

CREATE OR REPLACE FUNCTION pggit._move_keyless(p_table_id integer, p_branch_id integer, p_from pggit._mark, p_to pggit._mark)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format($sql$
        INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _op, %2$s)
        SELECT %3$s, %4$L, %5$s, CASE WHEN s.n > 0 THEN 'D' ELSE 'I' END, %6$s
          FROM pggit._pinned(%7$L) AS s(k text, r pggit._delta_%1$s, n bigint) CROSS JOIN generate_series(1, abs(s.n))$sql$,
        p_table_id, pggit._stored_columns(p_table_id, NULL, (1, p_to, p_to)::pggit._position), nextval('pggit._ordinal'), pggit._transaction_number(), p_branch_id, pggit._record_columns(p_table_id, 's.r', (1, p_to, p_to)::pggit._position),
        pggit._net_sql(pggit._signed_sql(p_table_id, (1, p_from, p_from)::pggit._position, (1, p_to, p_to)::pggit._position)));
END;
$$;

COMMENT ON FUNCTION pggit._move_keyless(integer, integer, pggit._mark, pggit._mark) IS
'A branch is about to stand elsewhere on main: takes what main did between there and here out of what the branch did itself, so that its rows stay what they are.';

CREATE OR REPLACE FUNCTION pggit._refuse_actions(p_table_id integer, p_relation text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name name;
    v_both boolean;
BEGIN
    -- On a branch where the other table is a view, a trigger does what the foreign key of main says.
    SELECT k.conname INTO v_name
      FROM pg_constraint AS k
     WHERE k.confrelid IN (p_relation::regclass, (SELECT t.relation FROM pggit.tables AS t WHERE t.table_id = p_table_id)) AND k.contype = 'f' AND k.confdeltype IN ('c', 'n', 'd')
     ORDER BY k.conname LIMIT 1;
    EXECUTE format('SELECT count(DISTINCT p.action) = 2 FROM pg_temp.pggit_plan_%s AS p', p_table_id) INTO v_both;
    IF v_name IS NOT NULL AND v_both THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG310', SCHEMA = 'pggit',
            MESSAGE = format('foreign key %I would act on rows that refer to table %s, which has no primary key: a changed row of it is deleted and inserted', v_name, p_relation),
            HINT    = 'Give the table a primary key, or let a role merge that may set session_replication_role. Nothing was written.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_actions(integer, text) IS
'Raises VG310 where foreign keys fire in a merge and one with ON DELETE CASCADE, SET NULL or SET DEFAULT would take a changed row of a table without a key for a deleted one.';
