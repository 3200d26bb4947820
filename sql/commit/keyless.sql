-- Tables without a primary key are multisets: a log row is a whole row that came (I) or went (D), and states are sums of them. docs/architecture.md, "Tables without a key".

CREATE OR REPLACE FUNCTION pggit._is_keyless(p_table_id integer)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT NOT EXISTS (SELECT FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL));
END;
$$;

COMMENT ON FUNCTION pggit._is_keyless(integer) IS
'Whether a tracked table has no primary key, so that its rows are counted.';

CREATE OR REPLACE FUNCTION pggit._pinned(p_query text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C' SET search_path = pg_catalog
AS $$
BEGIN
    RETURN QUERY EXECUTE p_query;
END;
$$;

COMMENT ON FUNCTION pggit._pinned(text) IS
'The rows of a query in which values are told apart by their text: with settings under which different values have different texts.';

CREATE OR REPLACE FUNCTION pggit._stored_types(p_table_id integer, p_at pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT string_agg(format('c%s %s', c.column_id, format_type(a.atttypid, -1)), ', ' ORDER BY c.column_id)
              FROM pggit._columns_at(p_table_id, p_at) AS c
              JOIN pg_attribute AS a ON a.attrelid = format('pggit._delta_%s', p_table_id)::regclass AND a.attname = 'c' || c.column_id AND NOT a.attisdropped
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._stored_types(integer, pggit._position) IS
'pggit._stored_columns with the types they have in the stores, without a length.';

CREATE OR REPLACE FUNCTION pggit._shared_columns(p_table_id integer, p_a pggit._position, p_b pggit._position)
    RETURNS integer[]
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT ARRAY(SELECT a.column_id FROM pggit._columns_at(p_table_id, p_a) AS a JOIN pggit._columns_at(p_table_id, p_b) AS b USING (column_id)
                          WHERE a.generated_as IS NULL ORDER BY 1));
END;
$$;

COMMENT ON FUNCTION pggit._shared_columns(integer, pggit._position, pggit._position) IS
'The stored columns that a table has at both positions (NULL: on main now). Rows of two states are compared in these.';

CREATE OR REPLACE FUNCTION pggit._is_on_main(p_table_id integer, p_column_id integer, p_mark pggit._mark)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.columns AS m WHERE m.table_id = p_table_id AND m.column_id = p_column_id AND (m.added_at IS NULL OR pggit._mark_in(m.added_at, p_mark))));
END;
$$;

COMMENT ON FUNCTION pggit._is_on_main(integer, integer, pggit._mark) IS
'Whether main had got a column by a mark. One that a branch added comes to main by a merge, in rows of which main''s log says nothing.';

CREATE OR REPLACE FUNCTION pggit._counted_sql(p_table_id integer, p_columns integer[], p_row text, p_main_at pggit._mark DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (WITH cells AS (
                SELECT a.attnum, c.id = ANY (p_columns) AS counts,
                       CASE WHEN c.id = ANY (p_columns) AND (p_main_at IS NULL OR pggit._is_on_main(p_table_id, c.id, p_main_at)) THEN p_row || '.' || a.attname ELSE 'NULL' END AS cell
                  FROM pg_attribute AS a CROSS JOIN LATERAL (SELECT substr(a.attname, 2)::integer AS id) AS c
                 WHERE a.attrelid = format('pggit._delta_%s', p_table_id)::regclass AND a.attnum > 1 AND NOT a.attisdropped
            )
            SELECT format('row(%s)::text COLLATE "C" AS k, ROW(0, %s)::pggit._delta_%s AS r',
                          string_agg(c.cell, ', ' ORDER BY c.attnum) FILTER (WHERE c.counts), string_agg(c.cell, ', ' ORDER BY c.attnum), p_table_id)
              FROM cells AS c);
END;
$$;

COMMENT ON FUNCTION pggit._counted_sql(integer, integer[], text, pggit._mark) IS
'Select list: what a row (an alias, or a value in brackets) is known by, its text as k, and the row as r, in some columns. p_main_at: it is of main or its log, and counts as main had it then, without
columns that came to main later from a branch. For pggit._pinned.';

CREATE OR REPLACE FUNCTION pggit._sign_sql(p_alias text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('CASE %s._op WHEN ''I'' THEN 1 ELSE -1 END', p_alias);
$$;

COMMENT ON FUNCTION pggit._sign_sql(text) IS
'Expression: what a log row adds to the number of its row.';

CREATE OR REPLACE FUNCTION pggit._signed_sql(p_table_id integer, p_from pggit._position, p_to pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_main   text := format('pggit._log_%s', p_table_id);
    v_undo   text := format('pggit._undo_%s', p_table_id);
    v_columns integer[] := pggit._shared_columns(p_table_id, p_from, p_to);
    v_row    text := pggit._counted_sql(p_table_id, v_columns, 'l');
    v_one    constant text := 'SELECT %s, (%s) * (%s) AS n FROM %s AS l WHERE %s';
    v_sign   constant text := pggit._sign_sql('l');
    v_within constant text := 'CASE WHEN %s THEN 1 ELSE -1 END';
    v_sql    text;
BEGIN
    IF pggit._is_away(p_table_id, p_from) OR pggit._is_away(p_table_id, p_to) OR pggit._meets_rows_unlogged(p_table_id, p_from, p_to)
       OR EXISTS (SELECT FROM unnest(v_columns) AS c(id) WHERE pggit._is_on_main(p_table_id, c.id, pggit._base_mark(p_from)) <> pggit._is_on_main(p_table_id, c.id, pggit._base_mark(p_to))) THEN
        RETURN format('SELECT %1$s, 1 AS n FROM (%2$s) AS l UNION ALL SELECT %1$s, -1 FROM (%3$s) AS l', v_row, pggit._state_sql(p_table_id, p_to), pggit._state_sql(p_table_id, p_from));
    END IF;
    v_sql := format(v_one, pggit._counted_sql(p_table_id, v_columns, 'l', pggit._base_mark(p_from)), format(v_within, pggit._in_sql('l', pggit._base_mark(p_to))), v_sign, v_main,
                    pggit._between_sql('l', pggit._base_mark(p_from), pggit._base_mark(p_to)));
    IF (p_from).branch_id = (p_to).branch_id THEN
        IF (p_from).branch_id <> 1 THEN
            v_sql := v_sql || ' UNION ALL ' || format(v_one, v_row, format(v_within, pggit._in_sql('l', (p_to).x)), v_sign, v_undo,
                                                      format('l._b = %s AND %s', (p_to).branch_id, pggit._between_sql('l', (p_from).x, (p_to).x)));
        END IF;
        RETURN v_sql;
    END IF;
    IF (p_from).branch_id <> 1 THEN
        v_sql := v_sql || ' UNION ALL ' || format(v_one, v_row, -1, v_sign, v_undo, format('l._b = %s AND %s', (p_from).branch_id, pggit._in_sql('l', (p_from).x)));
    END IF;
    IF (p_to).branch_id <> 1 THEN
        v_sql := v_sql || ' UNION ALL ' || format(v_one, v_row, 1, v_sign, v_undo, format('l._b = %s AND %s', (p_to).branch_id, pggit._in_sql('l', (p_to).x)));
    END IF;
    RETURN v_sql;
END;
$$;

COMMENT ON FUNCTION pggit._signed_sql(integer, pggit._position, pggit._position) IS
'SELECT (k, r, n) of what was added to (n = 1) and taken from (-1) a table without a key between two positions of any lines, in the columns that both have: what main''s log says
between their bases, and what the branches did themselves. For pggit._pinned.';

CREATE OR REPLACE FUNCTION pggit._net_sql(p_signed text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('SELECT s.k, (array_agg(s.r))[1] AS r, sum(s.n) AS n FROM (%s) AS s GROUP BY s.k HAVING sum(s.n) <> 0', p_signed);
$$;

COMMENT ON FUNCTION pggit._net_sql(text) IS
'SELECT (k, r, n) of the sums of pggit._signed_sql, row by row, where they are not 0.';

CREATE OR REPLACE FUNCTION pggit._is_told_by_branch(p_table_id integer, p_position pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce((SELECT ((p_position).s)::text = (b.s)::text AND NOT ((p_position).x IS NULL)
                               FROM pggit.branch_tables AS bt JOIN pggit.branch_bases AS b USING (branch_id) JOIN pg_class AS c ON c.oid = bt.relation
                              WHERE bt.branch_id = (p_position).branch_id AND bt.table_id = p_table_id AND bt.form = 'table'), false)
                   AND NOT pggit._is_reshaped(p_table_id, p_position, pggit._branch_now((p_position).branch_id)));
END;
$$;

COMMENT ON FUNCTION pggit._is_told_by_branch(integer, pggit._position) IS
'Whether the table and the log of a branch alone tell the rows of a table without a key at a position: the branch still stands at that place on main, and the table has the columns it had.';

CREATE OR REPLACE FUNCTION pggit._with_parts_sql(p_table_id integer, p_columns integer[], p_signed text, p_present text, p_main_at pggit._mark DEFAULT NULL)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('WITH net AS MATERIALIZED (%s), present AS NOT MATERIALIZED (SELECT %s FROM (%s) AS q)', pggit._net_sql(p_signed), pggit._counted_sql(p_table_id, p_columns, 'q', p_main_at), p_present);
$$;

COMMENT ON FUNCTION pggit._with_parts_sql(integer, integer[], text, text, pggit._mark) IS
'The WITH of pggit._keyless_parts_sql.';

CREATE OR REPLACE FUNCTION pggit._keyless_parts_sql(p_table_id integer, p_position pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_base    pggit._mark := pggit._base_mark(p_position);
    v_columns integer[]   := pggit._shared_columns(p_table_id, p_position, p_position);
    v_present text        := format('SELECT %s FROM %s AS b', pggit._base_columns(p_table_id, 'b', p_position), pggit._base_rows(p_table_id));
    v_signed  text;
BEGIN
    IF pggit._is_told_by_branch(p_table_id, p_position) THEN
        v_present := pggit._dense_rows_sql((p_position).branch_id, p_table_id);
        v_signed  := format('SELECT %s, -(%s) AS n FROM pggit._undo_%s AS l WHERE l._b = %s AND %s', pggit._counted_sql(p_table_id, v_columns, 'l'), pggit._sign_sql('l'), p_table_id,
                            (p_position).branch_id, pggit._out_sql('l', (p_position).x));
        RETURN pggit._with_parts_sql(p_table_id, v_columns, v_signed, v_present);
    END IF;
    v_signed := format('SELECT %s, -(%s) AS n FROM pggit._log_%s AS l WHERE %s', pggit._counted_sql(p_table_id, v_columns, 'l', v_base), pggit._sign_sql('l'), p_table_id, pggit._out_sql('l', v_base));
    IF (p_position).branch_id <> 1 THEN
        v_signed := format('%s UNION ALL SELECT %s, %s FROM pggit._undo_%s AS l WHERE l._b = %s AND %s', v_signed, pggit._counted_sql(p_table_id, v_columns, 'l'), pggit._sign_sql('l'),
                           p_table_id, (p_position).branch_id, pggit._in_sql('l', (p_position).x));
    END IF;
    RETURN pggit._with_parts_sql(p_table_id, v_columns, v_signed, v_present, v_base);
END;
$$;

COMMENT ON FUNCTION pggit._keyless_parts_sql(integer, pggit._position) IS
'WITH: the rows that are there now (present: k, r) and what makes those of a position out of them (net: k, r, n). Of main''s rows, what main did since the place where the position stands is
taken back, and what the branch itself did is added; of the branch''s own, where these tell all, what it did since is taken back.';

CREATE OR REPLACE FUNCTION pggit._keyless_state_sql(p_table_id integer, p_position pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('SELECT %s FROM pggit._pinned(%L) AS s(%s)', pggit._stored_columns(p_table_id, 's', p_position), format($sql$%1$s
                SELECT %2$s FROM present AS p WHERE NOT EXISTS (SELECT FROM net AS u WHERE u.n < 0 AND u.k = p.k)
                UNION ALL
                SELECT %2$s FROM (SELECT p.r, u.n, row_number() OVER (PARTITION BY p.k) AS i FROM present AS p JOIN net AS u ON u.n < 0 AND u.k = p.k) AS p WHERE p.i > -p.n
                UNION ALL
                SELECT %3$s FROM net AS u CROSS JOIN generate_series(1, u.n)$sql$,
                pggit._keyless_parts_sql(p_table_id, p_position), pggit._record_columns(p_table_id, 'p.r', p_position), pggit._record_columns(p_table_id, 'u.r', p_position)),
                pggit._stored_types(p_table_id, p_position)));
END;
$$;

COMMENT ON FUNCTION pggit._keyless_state_sql(integer, pggit._position) IS
'SELECT of all rows of a table without a key at a position, each as often as it was there, columns c….';

CREATE OR REPLACE FUNCTION pggit._owes_rows(p_table_id integer, p_position pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_owes boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM pggit._pinned(%L) AS s(k text))', format(
                   '%s SELECT u.k FROM net AS u LEFT JOIN present AS p ON p.k = u.k WHERE u.n < 0 GROUP BY u.k, u.n HAVING count(p.k) < -u.n',
                   pggit._keyless_parts_sql(p_table_id, p_position))) INTO v_owes;
    RETURN v_owes;
END;
$$;

COMMENT ON FUNCTION pggit._owes_rows(integer, pggit._position) IS
'Whether the history of a table without a key takes away more rows than there are: some were deleted past the triggers.';

CREATE OR REPLACE FUNCTION pggit._untold_sql(p_table_id integer, p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_now     pggit._position := pggit._branch_now(p_branch_id);
    v_columns integer[]       := pggit._shared_columns(p_table_id, v_now, v_now);
    v_row     text            := pggit._counted_sql(p_table_id, v_columns, 'l');
BEGIN
    -- One statement, so one moment.
    RETURN format('SELECT s.* FROM pggit._pinned(%L) AS s(k text, r pggit._delta_%s, n bigint)', pggit._net_sql(format($sql$
                   SELECT %1$s, 1 AS n FROM (%2$s) AS l
                   UNION ALL SELECT %5$s, -1 FROM (SELECT %3$s FROM %4$s AS b) AS l
                   UNION ALL SELECT %5$s, %6$s FROM pggit._log_%7$s AS l WHERE %8$s
                   UNION ALL SELECT %1$s, -(%6$s) FROM pggit._undo_%7$s AS l WHERE l._b = %9$s$sql$,
                   v_row, pggit._dense_rows_sql(p_branch_id, p_table_id), pggit._base_columns(p_table_id, 'b', v_now), pggit._base_rows(p_table_id),
                   pggit._counted_sql(p_table_id, v_columns, 'l', (v_now).s), pggit._sign_sql('l'), p_table_id, pggit._out_sql('l', (v_now).s), p_branch_id)), p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._untold_sql(integer, integer) IS
'SELECT (k, r, n) of the rows that a table without a key has on a branch more often, or less, than main''s rows where the branch stands and the branch''s log come to.';

CREATE OR REPLACE FUNCTION pggit._branch_differs(p_table_id integer, p_branch_id integer)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_differs boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (%s)', pggit._untold_sql(p_table_id, p_branch_id)) INTO v_differs;
    RETURN v_differs;
END;
$$;

COMMENT ON FUNCTION pggit._branch_differs(integer, integer) IS
'Whether the rows of a table without a key on a branch are others than its history gives.';

CREATE OR REPLACE FUNCTION pggit._keyless_changes_sql(p_table_id integer, p_from pggit._position, p_to pggit._position)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('SELECT d.* FROM pggit._pinned(%1$L) AS d(change text, o pggit._delta_%2$s, n pggit._delta_%2$s)', format(
                  'SELECT CASE WHEN u.n > 0 THEN ''insert'' ELSE ''delete'' END, CASE WHEN u.n < 0 THEN u.r END, CASE WHEN u.n > 0 THEN u.r END
                     FROM (%s) AS u CROSS JOIN generate_series(1, abs(u.n))', pggit._net_sql(pggit._signed_sql(p_table_id, p_from, p_to))), p_table_id);
$$;

COMMENT ON FUNCTION pggit._keyless_changes_sql(integer, pggit._position, pggit._position) IS
'pggit._changes_sql of a table without a key: a row comes or goes, as often as it does; one that was changed does both. Columns that the two positions do not share are NULL.';
