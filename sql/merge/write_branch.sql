CREATE OR REPLACE FUNCTION pggit._put_rows(p_table_id integer, p_branch_id integer, p_ours pggit._position, p_s_new pggit._mark, p_planned boolean, p_moves boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_main    pggit._position := (1, p_s_new, p_s_new)::pggit._position;
    v_plan    text := format('pg_temp.pggit_plan_%s', p_table_id);
    v_first   text := 'c' || (SELECT c.column_id FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position = 1);
    v_missing jsonb := (SELECT coalesce(jsonb_object_agg(c.column_id, coalesce(pggit._value_of_old_rows(pggit._relation_at(p_table_id, 1), c.name), 'm.c' || c.column_id)), '{}')
                          FROM pggit._columns_at(p_table_id, pggit._target()) AS c
                         WHERE c.generated_as IS NULL AND NOT EXISTS (SELECT FROM pggit._columns_at(p_table_id, p_ours) AS o WHERE o.origin = c.origin));
    v_also    text := concat_ws(' ', CASE WHEN p_planned THEN format('UNION SELECT %s FROM %s AS p', pggit._key_columns(p_table_id, 'p'), v_plan) END,
                                CASE WHEN p_moves THEN format('UNION SELECT %s FROM pggit._mask_%s AS x WHERE x._b = %s', pggit._key_columns(p_table_id, 'x'), p_table_id, p_branch_id) END);
    v_keys    text := format('SELECT %s FROM pggit._log_%s AS l WHERE %s %s', pggit._key_columns(p_table_id, 'l'), p_table_id, pggit._between_sql('l', (p_ours).s, p_s_new),
                             coalesce(nullif(v_also, ''), 'GROUP BY ' || pggit._key_columns(p_table_id, 'l')));
    v_number  bigint := pggit._how_many(v_keys, 10000000);
    v_o_first record := pggit._read_first(p_table_id, p_ours, 'o', v_number, NULL);
    v_m_first record := pggit._read_first(p_table_id, v_main, 'm', v_number, NULL);
    -- The plan has ours as it is, unless it has filled columns that ours had not.
    v_known   boolean := p_planned AND NOT pggit._is_merged_in_columns(p_table_id);
    v_o       text := pggit._row_now_sql(p_table_id, p_ours, v_o_first.first);
BEGIN
    PERFORM pggit._drop_temporary(format('pg_temp.pggit_put_%s', p_table_id));
    PERFORM pggit._execute_without_loops(format($sql$
        CREATE TEMPORARY TABLE pggit_put_%1$s ON COMMIT DROP AS
        WITH %2$s keys AS (%3$s)
        SELECT w.*
          FROM (SELECT w.*, NOT (coalesce(w.want *= w.m, w.want IS NULL AND w.m IS NULL)) AS own
                  FROM (SELECT %4$s, CASE WHEN %5$s THEN p.o WHEN o.%6$s IS DISTINCT FROM NULL THEN %7$s END AS o, CASE WHEN m.%6$s IS DISTINCT FROM NULL THEN %8$s END AS m,
                               mask._b IS NOT NULL AS owned, CASE WHEN NOT p.action IS NULL THEN p.want WHEN o.%6$s IS DISTINCT FROM NULL THEN %9$s END AS want
                          FROM keys AS k %10$s %11$s LEFT JOIN LATERAL (%12$s) AS o ON true LEFT JOIN LATERAL (%13$s) AS m ON true
                          LEFT JOIN LATERAL (SELECT x._b FROM pggit._mask_%1$s AS x WHERE x._b = %14$s AND %15$s OFFSET 0) AS mask ON true
                        OFFSET 0) AS w
                OFFSET 0) AS w
         -- A row that stays as it is has to go to the columns of now all the same.
         WHERE NOT (w.own = w.owned AND coalesce(w.want *= w.o, w.want IS NULL AND w.o IS NULL) AND NOT (%16$L AND w.owned))$sql$,
        p_table_id, v_o_first.with_sql || v_m_first.with_sql, v_keys, pggit._key_columns(p_table_id, 'k'),
        CASE WHEN v_known THEN 'NOT p.action IS NULL' ELSE 'false' END, v_first,
        pggit._as_row_sql(p_table_id, 'o', pggit._target()), pggit._as_row_sql(p_table_id, 'm', pggit._target()), pggit._merged_row_sql(p_table_id, 'o', v_missing),
        CASE WHEN p_planned THEN format('LEFT JOIN %s AS p ON %s', v_plan, pggit._same_key(p_table_id, 'p', 'k'))
             ELSE format('CROSS JOIN (SELECT NULL::text AS action, NULL::pggit._delta_%1$s AS o, NULL::pggit._delta_%1$s AS want) AS p', p_table_id) END,
        v_o_first.join_sql || v_m_first.join_sql,
        CASE WHEN v_known THEN format('SELECT q.* FROM (%s) AS q WHERE p.action IS NULL', v_o) ELSE v_o END,
        pggit._row_now_sql(p_table_id, v_main, v_m_first.first), p_branch_id, pggit._same_key(p_table_id, 'x', 'k'), p_moves));
    -- Of the whole rows in it no statistics are of use.
    EXECUTE format('ANALYZE pg_temp.pggit_put_%s (%s)', p_table_id, pggit._key_columns(p_table_id));
END;
$$;

COMMENT ON FUNCTION pggit._put_rows(integer, integer, pggit._position, pggit._mark, boolean, boolean) IS
'Works out what has to be written to a table of a branch into the temporary table pggit_put_<table id>: the keys of the plan and those that main''s side of the branch moves over, which would change silently otherwise, where anything about
them changes. o is the row as it is, m main''s row at the new base, want the row that there will be, owned and own whether the key is the branch''s before and after. p_moves: the branch''s rows go to other columns.';

CREATE OR REPLACE FUNCTION pggit._write_branch(p_table_id integer, p_branch_id integer, p_ours pggit._position, p_s_new pggit._mark, p_planned boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_keys   text := pggit._key_columns(p_table_id);
    v_put    text := format('pg_temp.pggit_put_%s', p_table_id);
    v_dense  text := pggit._dense_relation(p_branch_id, p_table_id);
    v_stored text := pggit._stored_columns(p_table_id, NULL, pggit._target());
    v_logged text;
    v_before text;
    v_seq    bigint;
BEGIN
    IF pggit._is_keyless(p_table_id) THEN
        PERFORM pggit._empty_keyless_plan(p_table_id) WHERE NOT p_planned;
        PERFORM pggit._move_keyless(p_table_id, p_branch_id, (p_ours).s, p_s_new)
           FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND NOT pggit._is_told_anew(bt, (p_ours).s, p_s_new);
        RETURN;
    END IF;
    PERFORM pggit._put_rows(p_table_id, p_branch_id, p_ours, p_s_new, p_planned, v_dense IS NULL AND pggit._is_reshaped(p_table_id, p_ours, pggit._target()));

    IF v_dense IS NOT NULL THEN
        PERFORM pggit._plan_dense(p_table_id, p_planned);
        RETURN;
    END IF;

    SELECT string_agg('c' || c.column_id, ', ' ORDER BY c.column_id),
           string_agg(CASE WHEN c.is_key THEN format('coalesce(d.c%1$s, w.c%1$s)', c.column_id) ELSE 'd.c' || c.column_id END, ', ' ORDER BY c.column_id)
      INTO v_logged, v_before
      FROM (SELECT k.column_id, bool_or(k.key_position IS NOT NULL) AS is_key
              FROM (SELECT * FROM pggit._columns_at(p_table_id, pggit._target()) UNION ALL SELECT * FROM pggit._columns_at(p_table_id, p_ours)) AS k
             WHERE k.generated_as IS NULL GROUP BY k.column_id) AS c;
    v_seq := nextval('pggit._ordinal');
    EXECUTE format($sql$
        INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _owned, _live, %2$s)
        SELECT %3$s, %4$L, %5$s, w.owned, CASE WHEN w.owned THEN d._b IS NOT NULL END, %6$s
          FROM %7$s AS w LEFT JOIN pggit._delta_%1$s AS d ON d._b = %5$s AND w.owned AND %8$s$sql$,
        p_table_id, v_logged, v_seq, pggit._transaction_number(), p_branch_id, v_before, v_put, pggit._same_key(p_table_id, 'd', 'w'));
    EXECUTE format('DELETE FROM pggit._mask_%s AS m USING %s AS w WHERE m._b = %s AND %s AND NOT w.own', p_table_id, v_put, p_branch_id, pggit._same_key(p_table_id, 'm', 'w'));
    EXECUTE format('DELETE FROM pggit._delta_%s AS d USING %s AS w WHERE d._b = %s AND %s', p_table_id, v_put, p_branch_id, pggit._same_key(p_table_id, 'd', 'w'));
    EXECUTE format('INSERT INTO pggit._mask_%s (_b, %s) SELECT %s, %s FROM %s AS w WHERE w.own AND NOT w.owned', p_table_id, v_keys, p_branch_id,
                   pggit._key_columns(p_table_id, 'w'), v_put);
    EXECUTE format('INSERT INTO pggit._delta_%s (_b, %s) SELECT %s, %s FROM %s AS w WHERE w.own AND NOT w.want IS NULL', p_table_id, v_stored, p_branch_id,
                   pggit._record_columns(p_table_id, 'w.want', pggit._target()), v_put);
END;
$$;

COMMENT ON FUNCTION pggit._write_branch(integer, integer, pggit._position, pggit._mark, boolean) IS
'Writes one table of a merge into a branch whose writers are locked out, straight into its stores: for the keys of the plan and those that main changed between the
old and the new base, the branch owns the wanted row unless it is main''s row at the new base. p_planned: there is a plan for this table.';

CREATE OR REPLACE FUNCTION pggit._plan_dense(p_table_id integer, p_planned boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._drop_temporary(format('pg_temp.pggit_told_%s', p_table_id));
    IF p_planned THEN
        EXECUTE format('ALTER TABLE pg_temp.pggit_plan_%1$s RENAME TO pggit_told_%1$s', p_table_id);
    ELSE
        PERFORM pggit._drop_temporary(format('pg_temp.pggit_plan_%s', p_table_id));
    END IF;
    EXECUTE format($sql$
        CREATE TEMPORARY TABLE pggit_plan_%1$s ON COMMIT DROP AS
        SELECT w.*, NULL::tid AS at, CASE WHEN w.o IS NULL AND NOT w.want IS NULL THEN 'insert' WHEN w.want IS NULL AND NOT w.o IS NULL THEN 'delete'
                         WHEN w.o *<> w.want THEN 'update' ELSE 'none' END AS action FROM pg_temp.pggit_put_%1$s AS w$sql$, p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._plan_dense(integer, boolean) IS
'The same for a table that is real on the branch: what has to be written, as pggit._write_dense takes it. The plan of the merge itself is pggit_told_<table id> from here on.';

CREATE OR REPLACE FUNCTION pggit._written_relations(p_table_ids integer[], p_relations text[], p_fire boolean)
    RETURNS oid[]
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_written oid[] := '{}';
    v_writes  boolean;
BEGIN
    FOR v_at IN 1 .. cardinality(p_table_ids) LOOP
        CONTINUE WHEN p_fire <> (SELECT t.fires FROM pggit.tables AS t WHERE t.table_id = p_table_ids[v_at]);
        EXECUTE format('SELECT EXISTS (SELECT FROM pg_temp.pggit_plan_%s AS p WHERE p.action <> ''none'')', p_table_ids[v_at]) INTO v_writes;
        v_written := v_written || CASE WHEN v_writes THEN p_relations[v_at]::regclass::oid END;
    END LOOP;
    RETURN array_remove(v_written, NULL);
END;
$$;

COMMENT ON FUNCTION pggit._written_relations(integer[], text[], boolean) IS
'Those of a branch''s real tables that a merge has to write to, and whose triggers fire in it, or not.';

CREATE OR REPLACE FUNCTION pggit._write_dense(p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_ids       integer[];
    v_relations text[];
    v_id        integer;
    v_put       text;
    v_held      jsonb;
BEGIN
    SELECT coalesce(array_agg(bt.table_id ORDER BY bt.table_id), '{}'), coalesce(array_agg(d.relation ORDER BY bt.table_id), '{}') INTO v_ids, v_relations
      FROM pggit.branch_tables AS bt
     CROSS JOIN LATERAL (SELECT pggit._dense_relation(p_branch_id, bt.table_id) AS relation) AS d
     WHERE bt.branch_id = p_branch_id AND d.relation IS NOT NULL;

    v_held := pggit._let_fire(pggit._written_relations(v_ids, v_relations, true));
    IF current_setting('session_replication_role') = 'replica' THEN
        FOR v_at IN 1 .. cardinality(v_ids) LOOP
            PERFORM pggit._write_rows(v_ids[v_at], v_relations[v_at]);
        END LOOP;
    ELSE
        v_held := v_held || pggit._hold_triggers(pggit._written_relations(v_ids, v_relations, false));
        PERFORM pggit._write_together(v_ids, v_relations);
    END IF;
    PERFORM pggit._release_triggers(v_held);

    FOREACH v_id IN ARRAY v_ids LOOP
        CONTINUE WHEN pggit._is_keyless(v_id);
        v_put := format('pg_temp.pggit_put_%s', v_id);
        -- Where a key changes hands and its row does not, no trigger has logged it.
        EXECUTE format($sql$
            INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _owned, _live, _deleted, %2$s)
            SELECT nextval('pggit._ordinal'), %6$L, %3$s, w.owned, NOT w.o IS NULL, false, %4$s
              FROM %5$s AS w
             WHERE w.own <> w.owned AND coalesce(w.want *= w.o, w.want IS NULL AND w.o IS NULL)$sql$,
            v_id, pggit._stored_columns(v_id, NULL, pggit._target()), p_branch_id,
            (SELECT string_agg(format(CASE WHEN c.key_position IS NULL THEN '(w.o).c%1$s' ELSE 'coalesce((w.o).c%1$s, w.c%1$s)' END, c.column_id), ', ' ORDER BY c.column_id)
               FROM pggit._columns_at(v_id, pggit._target()) AS c WHERE c.generated_as IS NULL), v_put,
            pggit._transaction_number());
        EXECUTE format('DELETE FROM pggit._mask_%s AS m USING %s AS w WHERE m._b = %s AND %s AND NOT w.own', v_id, v_put, p_branch_id, pggit._same_key(v_id, 'm', 'w'));
        EXECUTE format('INSERT INTO pggit._mask_%s (_b, %s) SELECT %s, %s FROM %s AS w WHERE w.own ON CONFLICT DO NOTHING', v_id, pggit._key_columns(v_id), p_branch_id,
                       pggit._key_columns(v_id, 'w'), v_put);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._write_dense(integer) IS
'Writes the tables that are real on the branch, all together where foreign keys fire: their capture triggers log the rows, the mask then says which keys the branch owns.';

CREATE OR REPLACE FUNCTION pggit._require_branch_as_planned(p_branch_id integer, p_watermark bigint, p_before_rows bigint)
    RETURNS void
    LANGUAGE plpgsql
    SET enable_nestloop = off  -- as in pggit._stands_as_planned
AS $$
DECLARE
    v_shown pggit.branch_tables;
    v_xid   xid8 := pggit._transaction_number();
    v_right boolean;
BEGIN
    FOR v_shown IN SELECT bt.* FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) WHERE bt.branch_id = p_branch_id ORDER BY bt.table_id LOOP
        IF pggit._is_keyless(v_shown.table_id) THEN
            v_right := pggit._is_as_planned(v_shown.table_id, format('(SELECT * FROM pggit._undo_%s AS u WHERE u._b = %s)', v_shown.table_id, p_branch_id), p_before_rows);
        ELSE
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM pggit._undo_%1$s AS l WHERE l._b = %2$s AND l._xid = %3$L::xid8 AND l._seq > %4$s
                                                  AND NOT EXISTS (SELECT FROM pg_temp.pggit_put_%1$s AS p WHERE %5$s))',
                           v_shown.table_id, p_branch_id, v_xid, p_watermark, pggit._same_key(v_shown.table_id, 'l', 'p')) INTO v_right;
        END IF;
        IF v_right AND v_shown.form = 'table' AND NOT pggit._is_keyless(v_shown.table_id) THEN
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM pg_temp.pggit_put_%s AS p LEFT JOIN LATERAL (SELECT %s AS r FROM %s AS b WHERE %s OFFSET 0) AS b ON true
                                                WHERE (p.want IS NULL) <> (b.r IS NULL) OR b.r *<> p.want)',
                           v_shown.table_id, pggit._named_as_row_sql(v_shown.table_id, 'b'), pggit._rows_of(v_shown.relation),
                           pggit._same_key(v_shown.table_id, 'b', 'p', true, false, pggit._target())) INTO v_right;
        END IF;
        PERFORM pggit._refuse_meddling(v_shown.table_id, p_branch_id, format('pg_temp.pggit_put_%s', v_shown.table_id),
                                       format('(SELECT * FROM pggit._undo_%s AS u WHERE u._b = %s AND u._xid = %L::xid8 AND u._seq > %s)', v_shown.table_id, p_branch_id, v_xid, p_watermark),
                                       ARRAY(SELECT bt.table_id FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.form = 'table')) WHERE NOT v_right;
    END LOOP;
    PERFORM pggit._require_as_planned('{}', p_watermark);
END;
$$;

COMMENT ON FUNCTION pggit._require_branch_as_planned(integer, bigint, bigint) IS
'Raises VG310 unless what this transaction has written to a branch since a watermark is exactly the plan, and nothing of main. p_before_rows: the watermark from which on rows were written to its real tables.';

CREATE OR REPLACE FUNCTION pggit._own_foreign_keys(p_branch_id integer)
    RETURNS TABLE (conname name, child regclass, parent regclass, table_id integer, nspname name, relname name, columns text, same text, given text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH keys AS MATERIALIZED (
        SELECT c.* FROM pg_constraint AS c
         WHERE c.contype = 'f' AND c.convalidated
           AND EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.form = 'table' AND bt.relation IN (c.conrelid, c.confrelid))
           AND (NOT EXISTS (SELECT FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) JOIN pg_constraint AS m ON m.conrelid = t.relation
                             WHERE bt.branch_id = p_branch_id AND bt.relation = c.conrelid AND m.contype = 'f' AND m.conname = c.conname)
                OR EXISTS (SELECT FROM pggit.branch_tables AS bt JOIN pggit.branch_columns AS bc USING (branch_id, table_id)
                            WHERE bt.branch_id = p_branch_id AND bt.relation IN (c.conrelid, c.confrelid)))
    )
    SELECT c.conname, c.conrelid::regclass, c.confrelid::regclass, (SELECT bt.table_id FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.relation = c.conrelid), n.nspname, k.relname,
           string_agg(quote_ident(ca.attname), ', ' ORDER BY u.nth),
           string_agg(format('p.%I %s c.%I', pa.attname, pggit._compare_sql(u.operator, pa.attcollation, ca.attcollation), ca.attname), ' AND '),
           -- Of a MATCH FULL key all columns refer as soon as one does: where another is NULL, there is no such row.
           format('(%s)', string_agg(format('c.%I IS DISTINCT FROM NULL', ca.attname), CASE c.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END))
      FROM keys AS c
      JOIN pg_class AS k ON k.oid = c.conrelid
      JOIN pg_namespace AS n ON n.oid = k.relnamespace
     CROSS JOIN LATERAL unnest(c.conkey, c.confkey, c.conpfeqop) WITH ORDINALITY AS u(child, parent, operator, nth)
      JOIN pg_attribute AS ca ON ca.attrelid = c.conrelid AND ca.attnum = u.child
      JOIN pg_attribute AS pa ON pa.attrelid = c.confrelid AND pa.attnum = u.parent
     GROUP BY c.oid, c.conname, c.conrelid, c.confrelid, c.confmatchtype, n.nspname, k.relname
     ORDER BY c.conname;
$$;

COMMENT ON FUNCTION pggit._own_foreign_keys(integer) IS
'The foreign keys that only a branch has, or whose tables have columns of their own there: what main''s catalog says is not enough to know whether merged rows satisfy them, and no trigger of theirs fires.';

CREATE OR REPLACE FUNCTION pggit._find_orphans(p_merge_id uuid, p_branch_id integer, p_tables integer[])
    RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_key     record;
    v_orphans text;
    v_any     boolean;
    v_found   boolean := false;
BEGIN
    FOR v_key IN SELECT f.* FROM pggit._own_foreign_keys(p_branch_id) AS f LOOP
        v_orphans := format('SELECT to_jsonb(c.*) AS j FROM %s AS c WHERE %s AND NOT EXISTS (SELECT FROM %s AS p WHERE %s)', v_key.child, v_key.given, v_key.parent, v_key.same);
        EXECUTE format('SELECT EXISTS (%s)', v_orphans) INTO v_any;
        CONTINUE WHEN NOT v_any;
        IF v_key.table_id IS NULL THEN
            PERFORM pggit._violation('23503', format('the merged rows of table %s violate foreign key constraint "%s", which is on the branch alone', v_key.child, v_key.conname), '',
                                     v_key.nspname, v_key.relname, '', v_key.conname);
        END IF;
        v_found := true;
        PERFORM pggit._note_violations(p_merge_id, v_key.table_id, 'foreign_key', v_key.conname, format('SELECT %s AS key FROM (%s LIMIT 10000) AS v', pggit._key_json(v_key.table_id, 'v.j', pggit._target()), v_orphans),
                                       format('(%s) is not present in %s', v_key.columns, v_key.parent), v_key.table_id = ANY (p_tables));
    END LOOP;
    RETURN v_found;
END;
$$;

COMMENT ON FUNCTION pggit._find_orphans(uuid, integer, integer[]) IS
'Records, after a merge into a branch, the first 10,000 rows that each of its own foreign keys (pggit._own_foreign_keys) does not take; p_tables: the tables of which there is a plan. Reads the tables. Whether there were any: then the caller undoes the merge.';
