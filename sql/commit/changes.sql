CREATE OR REPLACE FUNCTION pggit._refresh_statistics(p_table_id integer, p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET client_min_messages = 'error'
AS $$
DECLARE
    v_delta   text := format('_delta_%s', p_table_id);
    v_unknown boolean;
BEGIN
    SELECT p_branch_id::text <> ALL (s.most_common_vals::text::text[]) AND (SELECT sum(f) > 0.99 FROM unnest(s.most_common_freqs) AS f) INTO v_unknown
      FROM pg_stats AS s
     WHERE s.schemaname = 'pggit' AND s.tablename = v_delta AND s.attname = '_b';
    IF v_unknown AND p_branch_id <> 1 THEN
        EXECUTE format('SELECT count(*) = 100 FROM (SELECT FROM pggit.%I AS d WHERE d._b = %s LIMIT 100) AS few', v_delta, p_branch_id) INTO v_unknown;
        IF v_unknown THEN
            EXECUTE format('ANALYZE (SKIP_LOCKED) pggit.%I', v_delta);
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._refresh_statistics(integer, integer) IS
'Renews the statistics of a delta that do not know a branch with 100 rows or more: the planner would expect no row of it and read all of them for every key.';

CREATE OR REPLACE FUNCTION pggit._count_keys(p_table_id integer, p_from pggit._position, p_to pggit._position)
    RETURNS bigint
    LANGUAGE sql
AS $$
    SELECT pggit._how_many(pggit._candidates_sql(p_table_id, p_from, p_to), 10000000);
$$;

COMMENT ON FUNCTION pggit._count_keys(integer, pggit._position, pggit._position) IS
'How many keys there are to look at for the changes between two positions.';

CREATE OR REPLACE FUNCTION pggit._differ_sql(p_table_id integer, p_from pggit._position, p_to pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN pggit._stored_columns(p_table_id, NULL, p_from) = pggit._stored_columns(p_table_id, NULL, p_to)
                        THEN format('%s *<> %s', pggit._as_row_sql(p_table_id, 'o', p_from), pggit._as_row_sql(p_table_id, 'n', p_to))
                        ELSE concat_ws(' OR ',
                                 format('ROW(%s)::record *<> ROW(%s)::record', string_agg('o.c' || f.column_id, ', ' ORDER BY f.column_id) FILTER (WHERE f.column_id = t.column_id),
                                        string_agg('n.c' || f.column_id, ', ' ORDER BY f.column_id) FILTER (WHERE f.column_id = t.column_id)),
                                 -- What is written alike need not be written anew.
                                 string_agg(format('pggit._pinned_text(o.c%s) IS DISTINCT FROM pggit._pinned_text(n.c%s) AND ', f.column_id, t.column_id) || CASE WHEN f.column_id < t.column_id
                                     THEN format('pggit._recast(pggit._pinned_text(o.c%s), %L) IS DISTINCT FROM pggit._pinned_text(n.c%s)', f.column_id, t.type_name, t.column_id)
                                     ELSE format('pggit._pinned_text(o.c%s) IS DISTINCT FROM pggit._recast(pggit._pinned_text(n.c%s), %L)', f.column_id, t.column_id, f.type_name) END,
                                     ' OR ' ORDER BY t.column_id) FILTER (WHERE f.column_id <> t.column_id)) END
              FROM pggit._columns_at(p_table_id, p_from) AS f JOIN pggit._columns_at(p_table_id, p_to) AS t USING (origin)
             WHERE f.generated_as IS NULL AND t.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._differ_sql(integer, pggit._position, pggit._position) IS
'Condition: two rows of a key, aliases o at one mark and n at another, differ. Where the columns are others, those decide that both have; a column of another type is compared by its text,
as the younger type writes it.';

CREATE OR REPLACE FUNCTION pggit._changes_sql(p_table_id integer, p_from pggit._position, p_to pggit._position, p_keys bigint DEFAULT 0)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_old   record;
    v_new   record;
    v_first text := 'c' || (SELECT c.column_id FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position = 1);
BEGIN
    IF pggit._is_keyless(p_table_id) THEN
        RETURN pggit._keyless_changes_sql(p_table_id, p_from, p_to);
    END IF;
    v_old := pggit._read_first(p_table_id, p_from, 'o', p_keys, NULL);
    v_new := pggit._read_first(p_table_id, p_to, 'n', p_keys, NULL);
    RETURN format($sql$
        WITH %8$s keys AS (%1$s)
        SELECT CASE WHEN o.%4$s IS NOT DISTINCT FROM NULL THEN 'insert' WHEN n.%4$s IS NOT DISTINCT FROM NULL THEN 'delete' ELSE 'update' END AS change,
               CASE WHEN o.%4$s IS DISTINCT FROM NULL THEN %5$s END AS o, CASE WHEN n.%4$s IS DISTINCT FROM NULL THEN %6$s END AS n
          FROM keys AS k%9$s LEFT JOIN LATERAL (%2$s) AS o ON true LEFT JOIN LATERAL (%3$s) AS n ON true
         WHERE (o.%4$s IS NOT DISTINCT FROM NULL) <> (n.%4$s IS NOT DISTINCT FROM NULL) OR %7$s$sql$,
        pggit._candidates_sql(p_table_id, p_from, p_to), pggit._row_sql(p_table_id, p_from, v_old.first), pggit._row_sql(p_table_id, p_to, v_new.first), v_first,
        pggit._as_row_sql(p_table_id, 'o', p_from), pggit._as_row_sql(p_table_id, 'n', p_to),
        pggit._differ_sql(p_table_id, p_from, p_to), v_old.with_sql || v_new.with_sql, v_old.join_sql || v_new.join_sql);
END;
$$;

COMMENT ON FUNCTION pggit._changes_sql(integer, pggit._position, pggit._position, bigint) IS
'SELECT (change, o, n) of the net changes of a table between two positions: insert, update or delete, and the rows before and after as values
of the delta''s row type (NULL where there is none), each with the columns of its position. Rows are compared by their bytes, so 1.0 and 1.00 differ.
p_keys: how many keys there are to look at, if enable_nestloop is off (pggit._read_first).';

CREATE OR REPLACE FUNCTION pggit._changed_tables(p_from pggit._position, p_to pggit._position)
    RETURNS SETOF pggit.tables
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table   pggit.tables;
    v_changed boolean;
BEGIN
    FOR v_table IN SELECT t.* FROM pggit._tables_at(p_to) AS t LOOP
        PERFORM pggit._require_no_gap(v_table, p_from);
        PERFORM pggit._require_comparable(v_table, p_from, p_to);
        PERFORM pggit._hold_base(v_table.table_id);
        EXECUTE format('SELECT EXISTS (%s)', pggit._candidates_sql(v_table.table_id, p_from, p_to)) INTO v_changed;
        IF v_changed OR pggit._is_reshaped(v_table.table_id, p_from, p_to) OR pggit._is_away(v_table.table_id, p_from) OR (pggit._generation_at(v_table, p_from)).table_id <> v_table.table_id THEN
            RETURN NEXT v_table;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._changed_tables(pggit._position, pggit._position) IS
'The tables in which any key may differ between two positions, or that have other columns, or came, or were another one (pggit._generation_at). Raises VG306.';

CREATE OR REPLACE FUNCTION pggit._count_changes(p_table_id integer, p_from pggit._position, p_to pggit._position,
                                                OUT inserted bigint, OUT updated bigint, OUT deleted bigint)
    LANGUAGE plpgsql
    SET enable_nestloop = off SET enable_memoize = off SET jit = off
AS $$
BEGIN
    EXECUTE format($sql$SELECT count(*) FILTER (WHERE d.change = 'insert'), count(*) FILTER (WHERE d.change = 'update'),
                               count(*) FILTER (WHERE d.change = 'delete')
                          FROM (%s) AS d$sql$, pggit._changes_sql(p_table_id, p_from, p_to, pggit._count_keys(p_table_id, p_from, p_to)))
       INTO inserted, updated, deleted;
END;
$$;

COMMENT ON FUNCTION pggit._count_changes(integer, pggit._position, pggit._position) IS
'How many rows of a table were inserted, updated and deleted, net, between two positions.';
