-- SELECTs over the stores: rows at a position. docs/architecture.md, "Marks and positions", has the rule they implement.

CREATE OR REPLACE FUNCTION pggit._base_relation(p_table_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN t.on_main THEN format('%I.%I', t.schema_name, t.table_name)
                        ELSE (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = t.relation) END
              FROM pggit.tables AS t WHERE t.table_id = p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._base_relation(integer) IS
'Qualified name of a tracked table on main, or of what stands in for one that main does not have.';

CREATE OR REPLACE FUNCTION pggit._base_rows(p_table_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.relation AND c.relkind = 'p') THEN '' ELSE 'ONLY ' END || pggit._base_relation(t.table_id)
              FROM pggit.tables AS t WHERE t.table_id = p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._base_rows(integer) IS
'A tracked table on main as it is read, updated and deleted from: without the tables that inherit from it, which have histories of their own.';

CREATE OR REPLACE FUNCTION pggit._rows_of(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN c.relkind = 'p' THEN '' ELSE 'ONLY ' END || c.oid::regclass::text FROM pg_class AS c WHERE c.oid = p_relation);
END;
$$;

COMMENT ON FUNCTION pggit._rows_of(oid) IS
'The same for any relation: a branch''s real table, or either end of a foreign key, which sees no more either.';

CREATE OR REPLACE FUNCTION pggit._hold_base(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET lock_timeout = '900ms'
AS $$
DECLARE
    v_name text := (SELECT format('%I.%I', n.nspname, c.relname)
                      FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE t.table_id = p_table_id);
BEGIN
    IF v_name IS NOT NULL THEN
        EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', v_name);
    END IF;
EXCEPTION WHEN lock_not_available OR undefined_table OR invalid_schema_name OR insufficient_privilege THEN
    NULL;
END;
$$;

COMMENT ON FUNCTION pggit._hold_base(integer) IS
'What reads the stores of a table and then the table begins with this lock: DDL, which has the table when it changes the stores, would else be waited for while it waits, a deadlock. It
also keeps the table as it is while statements are put together. Where others keep it for longer than 0.9 seconds, the reader goes on without.';

CREATE OR REPLACE FUNCTION pggit._dense_relation(p_branch_id integer, p_table_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('%I.%I', n.nspname, c.relname)
              FROM pggit.branch_tables AS bt
              JOIN pg_class AS c ON c.oid = bt.relation
              JOIN pg_namespace AS n ON n.oid = c.relnamespace
             WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND bt.form = 'table');
END;
$$;

COMMENT ON FUNCTION pggit._dense_relation(integer, integer) IS
'Qualified name of the real table that stands for a tracked table on a branch; NULL where it is a view.';

CREATE OR REPLACE FUNCTION pggit._dense_rows_sql(p_branch_id integer, p_table_id integer, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT 'SELECT ' || string_agg(format('%s::%s AS c%s', CASE WHEN a.attname IS NULL THEN 'NULL' ELSE 'b.' || pggit._quoted(a.attname) END, c.type_name, c.column_id), ', ' ORDER BY c.column_id)
                   || format(' FROM ONLY %s AS b', pggit._dense_relation(p_branch_id, p_table_id))
              FROM pggit.branch_tables AS bt
             CROSS JOIN LATERAL (SELECT k.*, row_number() OVER (ORDER BY k.origin) AS n
                                   FROM pggit._columns_at(p_table_id, CASE WHEN p_at IS NULL THEN pggit._branch_now(p_branch_id) ELSE p_at END) AS k) AS c
              LEFT JOIN pggit.branch_columns AS bc ON bc.branch_id = bt.branch_id AND bc.table_id = bt.table_id AND bc.column_id = c.column_id
              LEFT JOIN pg_attribute AS a ON a.attrelid = bt.relation AND CASE WHEN bc.column_id IS NULL THEN a.attnum = c.n ELSE bc.dropped_at IS NULL AND a.attname = bc.name END
             WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND bt.form = 'table' AND c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._dense_rows_sql(integer, integer, pggit._position) IS
'SELECT of the rows of a branch''s real table, columns c… of now or of a position; NULL where there is none. It was made with the columns that main had where the branch stands, in their order,
and keeps them under the names they had then until the branch itself changes them. A column that it has no more is NULL: all rows were logged before it went.';

CREATE OR REPLACE FUNCTION pggit._lacks_columns_of_main(p_table_id integer, p_position pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT NOT bool_and(EXISTS (SELECT FROM pggit._columns_at(p_table_id, pggit._branch_now((p_position).branch_id)) AS n WHERE n.column_id = c.column_id))
                   AND bool_and(EXISTS (SELECT FROM pggit._columns_at(p_table_id, (1, (p_position).s, (p_position).s)::pggit._position) AS m WHERE m.column_id = c.column_id))
              FROM pggit._columns_at(p_table_id, p_position) AS c WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._lacks_columns_of_main(integer, pggit._position) IS
'Whether a branch had main''s columns at a position, and has some of them no more. Its real table, which may have become one since, then does not show what the rows that it does not own were: main does. Of columns of a
branch''s own all rows were logged before they went.';

CREATE OR REPLACE FUNCTION pggit._before_all()
    RETURNS pggit._mark
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT ('1:1:', '1', 0)::pggit._mark;
$$;

COMMENT ON FUNCTION pggit._before_all() IS
'A mark that is in every other one, and in which nothing is.';

CREATE OR REPLACE FUNCTION pggit._is_made_on_branch(p_table pggit.tables)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT (p_table).tracked_at::text = pggit._before_all()::text;
$$;

COMMENT ON FUNCTION pggit._is_made_on_branch(pggit.tables) IS
'Whether a table began on a branch: it never had a row that no log tells of.';

CREATE OR REPLACE FUNCTION pggit._last_change(p_table_id integer, p_position pggit._position)
    RETURNS SETOF pggit.table_changes
    LANGUAGE sql STABLE
AS $$
    SELECT c.*
      FROM pggit.table_changes AS c
     WHERE c.table_id = p_table_id
       AND CASE WHEN c.branch_id = (p_position).branch_id THEN (c.at).snapshot IS NULL OR ((p_position).x).snapshot IS NULL OR pggit._mark_in(c.at, (p_position).x)
                WHEN c.branch_id = 1 THEN (c.at).snapshot IS NULL OR pggit._mark_in(c.at, (p_position).s) END
     ORDER BY c.branch_id = (p_position).branch_id DESC, c.change_no DESC
     LIMIT 1;
$$;

COMMENT ON FUNCTION pggit._last_change(integer, pggit._position) IS
'The last that became of a table by a position: on the branch itself, else on main where the branch stands. No row: nothing is said of it.';

CREATE OR REPLACE FUNCTION pggit._name_at(p_table_id integer, p_position pggit._position)
    RETURNS SETOF pggit.table_changes
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(c.change_no, 0), t.table_id, coalesce(c.branch_id, 1), c.at, coalesce(c.is_there, true), coalesce(c.schema_name, t.schema_name), coalesce(c.table_name, t.table_name)
      FROM pggit.tables AS t LEFT JOIN pggit._last_change(t.table_id, p_position) AS c ON true
     WHERE t.table_id = p_table_id;
$$;

COMMENT ON FUNCTION pggit._name_at(integer, pggit._position) IS
'The name that a table had at a position, in schemas of main, as its last change has it.';

CREATE OR REPLACE FUNCTION pggit._is_away(p_table_id integer, p_position pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce((SELECT NOT c.is_there FROM pggit._last_change(p_table_id, p_position) AS c), false));
END;
$$;

COMMENT ON FUNCTION pggit._is_away(integer, pggit._position) IS
'Whether a table that came later, or went before, has no rows at a position, whatever the stores say.';

CREATE OR REPLACE FUNCTION pggit._no_rows_sql(p_table_id integer, p_position pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('SELECT %s WHERE false', string_agg(format('NULL::%s AS c%s', c.type_name, c.column_id), ', ' ORDER BY c.column_id))
              FROM pggit._columns_at(p_table_id, p_position) AS c WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._no_rows_sql(integer, pggit._position) IS
'SELECT of no row, with the columns of a position.';

-- The first log row of a key that is out of a mark: the oldest transaction by _at, and in it the lowest ordinal. The window keeps the planner from looking for that
-- transaction by the index on _xid, which would read everything else the transaction did.
CREATE OR REPLACE FUNCTION pggit._first_out_sql(p_log text, p_condition text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('SELECT h.* FROM (SELECT h.*, first_value(h._xid) OVER (ORDER BY h._at) AS _oldest FROM %s AS h WHERE %s) AS h
                    WHERE h._xid = h._oldest ORDER BY h._seq, h._at LIMIT 1', p_log, p_condition);
$$;

COMMENT ON FUNCTION pggit._first_out_sql(text, text) IS
'SELECT of the first of the log rows (alias h) that a condition on one key leaves.';

CREATE OR REPLACE FUNCTION pggit._main_row_sql(p_table_id integer, p_mark pggit._mark, p_at pggit._position, p_first text DEFAULT NULL, p_place boolean DEFAULT false)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN pggit._is_away(p_table_id, (1, p_mark, p_mark)::pggit._position) THEN pggit._no_rows_sql(p_table_id, p_at) ELSE format($sql$
                    SELECT %1$s%7$s FROM (%2$s) AS f WHERE f._op <> 'I'
                    UNION ALL
                    SELECT %3$s%8$s FROM %4$s AS b WHERE %5$s AND %6$s$sql$,
                pggit._log_columns(p_table_id, 'f', p_at),
                CASE WHEN p_first IS NULL THEN pggit._first_out_sql(format('pggit._log_%s', p_table_id), pggit._same_key(p_table_id, 'h', 'k') || ' AND ' || pggit._key_out_sql('h', p_mark))
                     ELSE format('SELECT %s.*', p_first) END,
                pggit._base_columns(p_table_id, 'b', p_at), pggit._base_rows(p_table_id), pggit._same_key(p_table_id, 'b', 'k', true, false),
                CASE WHEN p_first IS NULL THEN format('NOT EXISTS (SELECT FROM pggit._log_%s AS h WHERE %s AND %s)', p_table_id, pggit._same_key(p_table_id, 'h', 'k'), pggit._key_out_sql('h', p_mark))
                     ELSE format('%s._xid IS NULL', p_first) END,
                CASE WHEN p_place THEN ', NULL::tid AS _place' ELSE '' END, CASE WHEN p_place THEN ', b.ctid' ELSE '' END) END);
END;
$$;

COMMENT ON FUNCTION pggit._main_row_sql(integer, pggit._mark, pggit._position, text, boolean) IS
'SELECT of main''s row at a mark that has the key of the outer alias k: one row or none, with the columns of a position. p_first: the outer alias that has the key''s first log row out of the mark, or NULLs;
without one it is looked up. p_place: also where in the table the row is (_place), NULL of one that is in the log.';

CREATE OR REPLACE FUNCTION pggit._row_sql(p_table_id integer, p_position pggit._position, p_first text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_branch  integer := (p_position).branch_id;
    v_dense   text    := pggit._dense_rows_sql(v_branch, p_table_id, p_position);
    v_undo    text    := format('pggit._undo_%s', p_table_id);
    v_owned   text;
    v_lacks   boolean := v_dense IS NOT NULL AND pggit._lacks_columns_of_main(p_table_id, p_position);
    v_live    text    := CASE WHEN v_lacks THEN 'CASE WHEN %1$s._owned THEN %1$s._live END' ELSE '%1$s._live' END;
    v_first   text;
    v_present text;
    v_out     text;
BEGIN
    IF pggit._is_away(p_table_id, p_position) THEN
        RETURN pggit._no_rows_sql(p_table_id, p_position);
    ELSIF v_branch = 1 THEN
        RETURN pggit._main_row_sql(p_table_id, (p_position).x, p_position, p_first);
    END IF;

    v_owned := format('EXISTS (SELECT FROM pggit._mask_%s AS m WHERE m._b = %s AND %s)', p_table_id, v_branch, pggit._same_key(p_table_id, 'm', 'k'));
    IF p_first IS NOT NULL THEN
        RETURN format($sql$
            SELECT %1$s WHERE %9$s
            UNION ALL
            SELECT %3$s FROM %4$s WHERE %5$s AND %2$s._b IS NULL
            UNION ALL
            SELECT %6$s FROM (%7$s) AS main_row WHERE CASE WHEN %2$s._b IS NULL THEN %8$s ELSE (%9$s) IS NULL END$sql$,
            pggit._stored_columns(p_table_id, p_first, p_position), p_first, pggit._stored_columns(p_table_id, 'd', p_position),
            CASE WHEN v_dense IS NULL THEN format('pggit._delta_%s AS d', p_table_id) ELSE format('(%s) AS d', v_dense) END,
            concat_ws(' AND ', CASE WHEN v_dense IS NULL THEN format('d._b = %s', v_branch) WHEN v_lacks THEN v_owned END, pggit._same_key(p_table_id, 'd', 'k')),
            pggit._stored_columns(p_table_id, NULL, p_position), pggit._main_row_sql(p_table_id, (p_position).s, p_position),
            CASE WHEN v_dense IS NULL OR v_lacks THEN 'NOT ' || v_owned ELSE 'false' END, format(v_live, p_first));
    END IF;

    v_out   := format('h._b = %s AND %s', v_branch, pggit._key_out_sql('h', (p_position).x));
    v_first := pggit._first_out_sql(v_undo, pggit._same_key(p_table_id, 'h', 'k') || ' AND ' || v_out);
    v_present := CASE WHEN v_dense IS NULL
        THEN format('SELECT d._b IS NOT NULL, %s FROM pggit._mask_%s AS m LEFT JOIN pggit._delta_%2$s AS d ON d._b = %3$s AND %4$s WHERE m._b = %3$s AND %5$s',
                    pggit._stored_columns(p_table_id, 'd', p_position), p_table_id, v_branch, pggit._same_key(p_table_id, 'd', 'm'), pggit._same_key(p_table_id, 'm', 'k'))
        ELSE format('SELECT coalesce(d._found, false), %s FROM (SELECT true) AS one LEFT JOIN (SELECT true AS _found, r.* FROM (%s) AS r WHERE %s) AS d ON true',
                    pggit._stored_columns(p_table_id, 'd', p_position), v_dense, pggit._same_key(p_table_id, 'r', 'k')) || CASE WHEN v_lacks THEN ' WHERE ' || v_owned ELSE '' END
    END;
    -- What the branch itself says of the key comes first; only where it says nothing, main is asked.
    RETURN format($sql$
            WITH own (_live, %1$s) AS MATERIALIZED (
                SELECT %9$s, %2$s FROM (%3$s) AS f
                UNION ALL
                SELECT * FROM (%4$s) AS p(_live, %1$s) WHERE NOT EXISTS (SELECT FROM %5$s AS h WHERE %6$s AND %7$s)
            )
            SELECT %1$s FROM own WHERE _live
            UNION ALL
            SELECT %1$s FROM (%8$s) AS main_row WHERE NOT EXISTS (SELECT FROM own WHERE _live IS NOT NULL)$sql$,
        pggit._stored_columns(p_table_id, NULL, p_position), pggit._stored_columns(p_table_id, 'f', p_position), v_first, v_present, v_undo,
        pggit._same_key(p_table_id, 'h', 'k'), v_out, pggit._main_row_sql(p_table_id, (p_position).s, p_position), format(v_live, 'f'));
END;
$$;

COMMENT ON FUNCTION pggit._row_sql(integer, pggit._position, text) IS
'SELECT of the row at a position that has the key of the outer alias k, by index: one row or none. For LEFT JOIN LATERAL over a set of keys. p_first: the outer alias that has the key''s first log row
out of the position (pggit._read_first), or NULLs; without one it is looked up.';

CREATE OR REPLACE FUNCTION pggit._lookup_sql(p_table_id integer, p_position pggit._position, p_keys text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('SELECT r.* FROM %s AS k CROSS JOIN LATERAL (%s) AS r', p_keys, pggit._row_sql(p_table_id, p_position));
$$;

COMMENT ON FUNCTION pggit._lookup_sql(integer, pggit._position, text) IS
'SELECT of the rows at a position whose keys are in relation p_keys (its key columns named c…), by index; cost follows the keys.';

CREATE OR REPLACE FUNCTION pggit._all_first_out_sql(p_log text, p_keys text, p_out text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('SELECT DISTINCT ON (%2$s) h.* FROM (SELECT h.*, min(h._at) OVER (PARTITION BY %2$s, h._xid) AS _first FROM %1$s AS h WHERE %3$s) AS h
                    ORDER BY %2$s, h._first, h._seq, h._at', p_log, p_keys, p_out);
$$;

COMMENT ON FUNCTION pggit._all_first_out_sql(text, text, text) IS
'SELECT of the first log row out of a mark of every key; alias h stands for the log.';

CREATE OR REPLACE FUNCTION pggit._how_many(p_query text, p_at_most bigint)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    v_count bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (%s LIMIT %s) AS q', p_query, p_at_most) INTO v_count;
    RETURN v_count;
END;
$$;

COMMENT ON FUNCTION pggit._how_many(text, bigint) IS
'The number of rows of a query, counted up to a limit.';

CREATE OR REPLACE FUNCTION pggit._read_first(p_table_id integer, p_position pggit._position, p_alias text, p_keys bigint, p_among text, OUT first text, OUT with_sql text, OUT join_sql text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch integer := (p_position).branch_id;
    v_log    text := format(CASE v_branch WHEN 1 THEN 'pggit._log_%s' ELSE 'pggit._undo_%s' END, p_table_id);
    v_out    text := concat_ws(' AND ', CASE WHEN v_branch <> 1 THEN format('h._b = %s', v_branch) END, pggit._out_sql('h', (p_position).x));
BEGIN
    IF p_keys < 100 OR pggit._is_away(p_table_id, p_position) OR pggit._how_many(format('SELECT FROM %s AS h WHERE %s', v_log, v_out), 4 * p_keys + 1) > 4 * p_keys THEN
        with_sql := '';
        join_sql := '';
        RETURN;
    END IF;
    first    := p_alias || '_first';
    with_sql := format('%s AS MATERIALIZED (%s), ', first, pggit._all_first_out_sql(v_log, pggit._key_columns(p_table_id, 'h'),
                    v_out || CASE WHEN p_among IS NULL THEN '' ELSE format(' AND EXISTS (SELECT FROM %s AS k WHERE %s)', p_among, pggit._same_key(p_table_id, 'h', 'k')) END));
    IF v_branch <> 1 AND pggit._dense_relation(v_branch, p_table_id) IS NULL
       AND pggit._how_many(format('SELECT FROM pggit._mask_%s AS m WHERE m._b = %s', p_table_id, v_branch), 4 * p_keys + 1) <= 4 * p_keys THEN
        first    := p_alias || '_own';
        with_sql := with_sql || format('%s AS MATERIALIZED (%s), ', first, pggit._own_first_sql(p_table_id, p_position, p_alias || '_first'));
    END IF;
    join_sql := format(' LEFT JOIN %s ON %s', first, pggit._same_key(p_table_id, first, 'k'));
END;
$$;

COMMENT ON FUNCTION pggit._read_first(integer, pggit._position, text, bigint, text) IS
'How the first log rows out of a position come to so many keys k: where the keys are many, and what the log has since the position is not much more, read once (with_sql) and joined (join_sql) as
alias first, for pggit._row_sql (p_among: the relation of these keys, if what else the log has is to be left out first); where a branch owns not many more keys, with what it owns (pggit._own_first_sql), so that no key that it owns is looked up. Otherwise first is NULL: they are looked up by key.
Whoever runs it sets enable_nestloop = off: the planner does not know how many there are, and only joins by hash and merge joins take any number.
What is LATERAL, and by index, is not touched by that.';

CREATE OR REPLACE FUNCTION pggit._main_state_sql(p_table_id integer, p_mark pggit._mark, p_at pggit._position)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN pggit._is_away(p_table_id, (1, p_mark, p_mark)::pggit._position) THEN pggit._no_rows_sql(p_table_id, p_at) ELSE format($sql$
        SELECT %1$s FROM %2$s AS b WHERE NOT EXISTS (SELECT FROM pggit._log_%3$s AS h WHERE %4$s AND %5$s)
        UNION ALL
        SELECT %6$s FROM (%7$s) AS f WHERE f._op <> 'I'$sql$,
        pggit._base_columns(p_table_id, 'b', p_at), pggit._base_rows(p_table_id), p_table_id, pggit._same_key(p_table_id, 'h', 'b', false, true),
        pggit._out_sql('h', p_mark), pggit._log_columns(p_table_id, 'f', p_at),
        pggit._all_first_out_sql(format('pggit._log_%s', p_table_id), pggit._key_columns(p_table_id, 'h'), pggit._out_sql('h', p_mark))) END;
$$;

COMMENT ON FUNCTION pggit._main_state_sql(integer, pggit._mark, pggit._position) IS
'SELECT of all rows of main at a mark, with the columns of a position.';

CREATE OR REPLACE FUNCTION pggit._state_sql(p_table_id integer, p_position pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_branch integer := (p_position).branch_id;
    v_dense  text    := pggit._dense_rows_sql(v_branch, p_table_id, p_position);
    v_stored text    := pggit._stored_columns(p_table_id, NULL, p_position);
    v_owned  text    := 'true';
    v_live   text    := 'f._live';
    v_first  text;
    v_main   text;
BEGIN
    IF pggit._is_away(p_table_id, p_position) THEN
        RETURN pggit._no_rows_sql(p_table_id, p_position);
    ELSIF pggit._is_keyless(p_table_id) THEN
        RETURN pggit._keyless_state_sql(p_table_id, p_position);
    ELSIF v_branch = 1 THEN
        RETURN pggit._main_state_sql(p_table_id, (p_position).x, p_position);
    END IF;

    v_main  := pggit._main_state_sql(p_table_id, (p_position).s, p_position);
    v_first := pggit._all_first_out_sql(format('pggit._undo_%s', p_table_id), pggit._key_columns(p_table_id, 'h'),
                                        format('h._b = %s AND %s', v_branch, pggit._out_sql('h', (p_position).x)));
    IF v_dense IS NOT NULL THEN
        IF pggit._lacks_columns_of_main(p_table_id, p_position) THEN
            v_owned := format('EXISTS (SELECT FROM pggit._mask_%s AS m WHERE m._b = %s AND %s)', p_table_id, v_branch, pggit._same_key(p_table_id, 'm', 'r'));
            v_live  := '(CASE WHEN f._owned THEN f._live END)';
        END IF;
        RETURN format($sql$
            WITH first_out AS MATERIALIZED (%1$s)
            SELECT %2$s FROM first_out AS f WHERE %8$s
            UNION ALL
            SELECT %3$s FROM (%4$s) AS r WHERE EXISTS (SELECT FROM first_out AS f WHERE %5$s AND %8$s IS NULL) OR NOT (%7$s OR EXISTS (SELECT FROM first_out AS f WHERE %5$s))
            UNION ALL
            SELECT %3$s FROM (%6$s) AS r WHERE NOT EXISTS (SELECT FROM first_out AS f WHERE %5$s) AND %7$s$sql$,
            v_first, pggit._stored_columns(p_table_id, 'f', p_position), pggit._stored_columns(p_table_id, 'r', p_position), v_main, pggit._same_key(p_table_id, 'f', 'r'), v_dense, v_owned, v_live);
    END IF;
    RETURN format($sql$
        WITH first_out AS MATERIALIZED (%1$s), own (_live, %2$s) AS MATERIALIZED (
            SELECT f._live, %3$s FROM first_out AS f WHERE f._live IS NOT NULL
            UNION ALL
            SELECT d._b IS NOT NULL, %4$s FROM pggit._mask_%5$s AS m LEFT JOIN pggit._delta_%5$s AS d ON d._b = %6$s AND %7$s
             WHERE m._b = %6$s AND NOT EXISTS (SELECT FROM first_out AS f WHERE %8$s)
        )
        SELECT %2$s FROM own WHERE _live
        UNION ALL
        SELECT %9$s FROM (%10$s) AS r WHERE NOT EXISTS (SELECT FROM own AS o WHERE %11$s)$sql$,
        v_first, v_stored, pggit._stored_columns(p_table_id, 'f', p_position), pggit._own_columns(p_table_id, 'm', 'd', p_position), p_table_id, v_branch,
        pggit._same_key(p_table_id, 'd', 'm'), pggit._same_key(p_table_id, 'f', 'm'),
        pggit._stored_columns(p_table_id, 'r', p_position), v_main, pggit._same_key(p_table_id, 'o', 'r'));
END;
$$;

COMMENT ON FUNCTION pggit._state_sql(integer, pggit._position) IS
'SELECT of all rows at a position, columns c…; cost follows the table.';

CREATE OR REPLACE FUNCTION pggit._own_columns(p_table_id integer, p_keys text, p_rows text, p_at pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format(CASE WHEN c.key_position IS NULL THEN '%1$s.c%3$s' ELSE 'coalesce(%1$s.c%3$s, %2$s.c%3$s)' END, p_rows, p_keys, c.column_id), ', ' ORDER BY c.column_id)
              FROM pggit._columns_at(p_table_id, p_at) AS c
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._own_columns(integer, text, text, pggit._position) IS
'Stored columns of a mark, of one alias; where it has no row, the key of another. A key of the mask may be written otherwise than the row''s, as 1.0 is for 1.00.';

CREATE OR REPLACE FUNCTION pggit._own_first_sql(p_table_id integer, p_position pggit._position, p_first text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format($sql$
        SELECT h._b, h._live, %1$s FROM %2$s AS h
        UNION ALL
        SELECT m._b, d._b IS NOT NULL, %3$s FROM pggit._mask_%4$s AS m LEFT JOIN pggit._delta_%4$s AS d ON d._b = %5$s AND %6$s
         WHERE m._b = %5$s AND NOT EXISTS (SELECT FROM %2$s AS h WHERE %7$s)$sql$,
        pggit._stored_columns(p_table_id, 'h', p_position), p_first, pggit._own_columns(p_table_id, 'm', 'd', p_position), p_table_id, (p_position).branch_id,
        pggit._same_key(p_table_id, 'd', 'm'), pggit._same_key(p_table_id, 'h', 'm'));
$$;

COMMENT ON FUNCTION pggit._own_first_sql(integer, pggit._position, text) IS
'SELECT (_b, _live, columns) of all that a branch which is a view says of its rows at a position: the first log rows out of it (relation p_first), and of other keys what the branch owns now.';

CREATE OR REPLACE FUNCTION pggit._keys_at_sql(p_table_id integer, p_position pggit._position)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('SELECT %s FROM (%s) AS s', pggit._key_columns(p_table_id, 's'), pggit._state_sql(p_table_id, p_position));
$$;

COMMENT ON FUNCTION pggit._keys_at_sql(integer, pggit._position) IS
'SELECT of all keys at a position; cost follows the table.';

CREATE OR REPLACE FUNCTION pggit._meets_rows_unlogged(p_table_id integer, p_a pggit._position, p_b pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT pggit._is_away(p_table_id, (1, a.mark, a.mark)::pggit._position) <> pggit._is_away(p_table_id, (1, b.mark, b.mark)::pggit._position)
                   AND NOT (SELECT pggit._is_made_on_branch(t) FROM pggit.tables AS t WHERE t.table_id = p_table_id)
              FROM (SELECT pggit._base_mark(p_a)) AS a(mark), (SELECT pggit._base_mark(p_b)) AS b(mark));
END;
$$;

COMMENT ON FUNCTION pggit._meets_rows_unlogged(integer, pggit._position, pggit._position) IS
'Whether a table came to main between two positions with rows that were there when tracking began, of which no log tells.';

CREATE OR REPLACE FUNCTION pggit._candidates_sql(p_table_id integer, p_a pggit._position, p_b pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_sql      text;
    v_is_union boolean := (p_a).branch_id <> 1 OR (p_b).branch_id <> 1;
    v_position pggit._position;
BEGIN
    IF pggit._is_keyless(p_table_id) THEN
        RETURN format('SELECT s.n FROM (%s) AS s', pggit._signed_sql(p_table_id, p_a, p_b));
    ELSIF pggit._is_away(p_table_id, p_a) OR pggit._is_away(p_table_id, p_b) OR pggit._meets_rows_unlogged(p_table_id, p_a, p_b) THEN
        RETURN format('SELECT DISTINCT %s FROM (%s UNION ALL %s) AS r', pggit._key_columns(p_table_id, 'r'), pggit._keys_at_sql(p_table_id, p_a), pggit._keys_at_sql(p_table_id, p_b));
    END IF;
    v_sql := format('SELECT %s FROM pggit._log_%s AS l WHERE %s', pggit._key_columns(p_table_id, 'l'), p_table_id,
                    pggit._between_sql('l', pggit._base_mark(p_a), pggit._base_mark(p_b)));
    IF (p_a).branch_id = (p_b).branch_id THEN
        IF (p_a).branch_id <> 1 THEN
            v_sql := format('%s UNION SELECT %s FROM pggit._undo_%s AS l WHERE l._b = %s AND %s', v_sql, pggit._key_columns(p_table_id, 'l'),
                            p_table_id, (p_a).branch_id, pggit._between_sql('l', (p_a).x, (p_b).x));
        END IF;
    ELSE
        FOREACH v_position IN ARRAY ARRAY[p_a, p_b] LOOP
            CONTINUE WHEN (v_position).branch_id = 1;
            v_sql := format('%s UNION SELECT %s FROM pggit._mask_%s AS l WHERE l._b = %s UNION SELECT %2$s FROM pggit._undo_%3$s AS l WHERE l._b = %4$s AND %5$s',
                            v_sql, pggit._key_columns(p_table_id, 'l'), p_table_id, (v_position).branch_id, pggit._out_sql('l', (v_position).x));
        END LOOP;
    END IF;
    RETURN format('SELECT %s* FROM (%s) AS keys', CASE WHEN v_is_union THEN '' ELSE 'DISTINCT ' END, v_sql);
END;
$$;

COMMENT ON FUNCTION pggit._candidates_sql(integer, pggit._position, pggit._position) IS
'SELECT of a superset of the keys whose rows differ between two positions of any lines: what main''s log says between their bases, and what
the branches'' logs say (the same branch) or what either branch owns (different ones). Of a table without a key only whether there is a row means anything.';

CREATE OR REPLACE FUNCTION pggit._named_sql(p_table_id integer, p_query text, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('SELECT %s FROM (SELECT %s FROM (%s) AS q) AS n',
                          string_agg(CASE WHEN c.generated_as IS NULL THEN format('n.%I', c.name)
                                          WHEN c.names IS NULL THEN format('(%s)::%s AS %I', c.generated_as, c.type_name, c.name)
                                          ELSE format('(SELECT (%s)::%s FROM (SELECT %s) AS g) AS %I', c.generated_as, c.type_name,
                                                      (SELECT string_agg(format('n.%I AS %I', o.name, c.names ->> o.column_id::text), ', ')
                                                         FROM pggit._shown_columns(p_table_id, p_at) AS o
                                                        WHERE o.generated_as IS NULL AND c.names ? o.column_id::text), c.name) END, ', ' ORDER BY c.attnum),
                          string_agg(format('q.c%s AS %I', c.column_id, c.name), ', ' ORDER BY c.attnum) FILTER (WHERE c.generated_as IS NULL),
                          p_query)
              FROM pggit._shown_columns(p_table_id, p_at) AS c);
END;
$$;

COMMENT ON FUNCTION pggit._named_sql(integer, text, pggit._position) IS
'The query''s c… columns under their names, generated columns computed from them, in the order of the user''s table: the columns of now, or of a mark.';

CREATE OR REPLACE FUNCTION pggit._outlives_gap(p_table pggit.tables, p_position pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_form  text := (SELECT bt.form FROM pggit.branch_tables AS bt JOIN pg_class AS c ON c.oid = bt.relation
                      WHERE bt.branch_id = (p_position).branch_id AND bt.table_id = p_table.table_id);
    v_alone boolean;
BEGIN
    IF pggit._is_keyless(p_table.table_id) THEN
        RETURN pggit._is_told_by_branch(p_table.table_id, p_position);
    ELSIF v_form = 'table' THEN
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM pggit._undo_%s AS h WHERE h._b = %s AND h._live IS NULL AND %s)',
                       p_table.table_id, (p_position).branch_id, coalesce(pggit._out_sql('h', (p_position).x), 'false')) INTO v_alone;
        IF v_alone THEN
            RETURN true;
        END IF;
    END IF;
    RETURN coalesce(pggit._mark_in(p_table.shape_at, (p_position).x), false)
           AND (v_form IS NOT NULL OR EXISTS (SELECT FROM pggit.branches AS b WHERE b.branch_id = (p_position).branch_id AND NOT b.deleted_at IS NULL));
END;
$$;

COMMENT ON FUNCTION pggit._outlives_gap(pggit.tables, pggit._position) IS
'Whether a position of a branch can be read though main''s rows of where it stands are lost: the branch''s real table and log have all its rows, or the position is of after the loss, and so what the branch
showed then.';

CREATE OR REPLACE FUNCTION pggit._is_after_gap(p_table pggit.tables, p_mark pggit._mark)
    RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT pggit._mark_in((p_table).shape_at, p_mark) OR pggit._is_away((p_table).table_id, (1, p_mark, p_mark)::pggit._position);
$$;

COMMENT ON FUNCTION pggit._is_after_gap(pggit.tables, pggit._mark) IS
'Whether nothing that main had of a table at a mark has been lost since; where main did not have it, nothing can be.';

CREATE OR REPLACE FUNCTION pggit._presence(p_table pggit.tables, p_position pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    -- Of most tables nothing else is to be said.
    IF pggit._mark_in((p_table).tracked_at, pggit._base_mark(p_position)) AND pggit._mark_in((p_table).shape_at, pggit._base_mark(p_position))
       AND NOT EXISTS (SELECT FROM pggit.table_changes AS c WHERE c.table_id = (p_table).table_id) AND NOT EXISTS (SELECT FROM pggit.branch_gaps AS g WHERE g.table_id = (p_table).table_id)
       AND NOT EXISTS (SELECT FROM pggit.columns AS c WHERE c.table_id = (p_table).table_id AND c.dropped_at IS NOT NULL)
       AND NOT EXISTS (SELECT FROM pggit.branch_columns AS b WHERE b.table_id = (p_table).table_id) THEN
        RETURN 'present';
    END IF;
    RETURN (SELECT CASE WHEN NOT coalesce((SELECT c.is_there FROM pggit._last_change((p_table).table_id, p_position) AS c), pggit._mark_in((p_table).tracked_at, pggit._base_mark(p_position))) THEN 'absent'
                        WHEN NOT pggit._is_after_gap(p_table, pggit._base_mark(p_position))
                             AND ((p_position).branch_id = 1 OR NOT pggit._outlives_gap(p_table, p_position)) THEN 'gap'
                        WHEN EXISTS (SELECT FROM pggit.branch_gaps AS g WHERE g.branch_id = (p_position).branch_id AND g.table_id = (p_table).table_id
                                                                          AND NOT pggit._mark_in(g.at, (p_position).x)) THEN 'gap'
                        -- DROP TYPE … CASCADE takes the column of an earlier shape out of the stores.
                        WHEN EXISTS (SELECT FROM pggit._columns_at((p_table).table_id, p_position) AS c
                                      WHERE NOT c.dropped_at IS NULL AND c.generated_as IS NULL
                                        AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = to_regclass(format('pggit._delta_%s', (p_table).table_id))
                                                                                        AND a.attname = 'c' || c.column_id AND NOT a.attisdropped)) THEN 'gap'
                        ELSE 'present' END);
END;
$$;

COMMENT ON FUNCTION pggit._presence(pggit.tables, pggit._position) IS
'present, absent (not there, or not tracked yet, at the position) or gap (what it held in columns of then has been lost since).';

CREATE OR REPLACE FUNCTION pggit._refuse_gap(p_table pggit.tables)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG306', SCHEMA = 'pggit',
        MESSAGE = format('columns of table %I.%I were dropped or retyped after that state, and what they held was not saved', p_table.schema_name, p_table.table_name),
        HINT    = 'States from after that change can be read. Before such a change, see to it that the table is within pggit.save_limit and that the statement names table and column.';
END;
$$;

COMMENT ON FUNCTION pggit._refuse_gap(pggit.tables) IS
'Raises VG306: what a table held has been lost since.';

CREATE OR REPLACE FUNCTION pggit._require_no_gap(p_table pggit.tables, p_position pggit._position)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF pggit._presence(p_table, p_position) = 'gap' THEN
        PERFORM pggit._refuse_gap(p_table);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_no_gap(pggit.tables, pggit._position) IS
'Raises VG306 when what a table held at a position has been lost since.';

CREATE OR REPLACE FUNCTION pggit._is_comparable(p_table pggit.tables, p_a pggit._position, p_b pggit._position)
    RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT (p_a).branch_id = (p_b).branch_id
           OR (pggit._is_after_gap(p_table, pggit._base_mark(p_a)) AND pggit._is_after_gap(p_table, pggit._base_mark(p_b)));
$$;

COMMENT ON FUNCTION pggit._is_comparable(pggit.tables, pggit._position, pggit._position) IS
'Whether the logs tell all keys that differ between two positions that can be read. Between different lines main''s log does, which says nothing of a gap.';

CREATE OR REPLACE FUNCTION pggit._require_comparable(p_table pggit.tables, p_a pggit._position, p_b pggit._position)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF NOT pggit._is_comparable(p_table, p_a, p_b) THEN
        PERFORM pggit._refuse_gap(p_table);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_comparable(pggit.tables, pggit._position, pggit._position) IS
'Raises VG306 when a gap lies between two positions of different lines.';

CREATE OR REPLACE FUNCTION pggit._tables_at(p_position pggit._position)
    RETURNS SETOF pggit.tables
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_table    pggit.tables;
    v_presence text;
BEGIN
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.untracked_at IS NULL AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.relation)
                    ORDER BY t.schema_name, t.table_name LOOP
        v_presence := pggit._presence(v_table, p_position);
        IF v_presence = 'gap' THEN
            PERFORM pggit._refuse_gap(v_table);
        ELSIF v_presence = 'present' THEN
            RETURN NEXT v_table;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._tables_at(pggit._position) IS
'The tables that were tracked at a position. Raises VG306 when what one of them held then has been lost since.';

CREATE OR REPLACE FUNCTION pggit._tables_gone(p_from pggit._position, p_to pggit._position)
    RETURNS SETOF pggit.tables
    LANGUAGE sql STABLE
AS $$
    SELECT t.*
      FROM pggit.tables AS t
     WHERE t.untracked_at IS NULL AND (p_from).branch_id IS NOT NULL AND pggit._is_away(t.table_id, p_to) AND pggit._presence(t, p_from) <> 'absent'
     ORDER BY t.schema_name, t.table_name;
$$;

COMMENT ON FUNCTION pggit._tables_gone(pggit._position, pggit._position) IS
'The tables that were there at one position and have been dropped by another.';

CREATE OR REPLACE FUNCTION pggit._record_columns(p_table_id integer, p_record text, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('(%s).c%s', p_record, c.column_id), ', ' ORDER BY c.column_id)
              FROM pggit._columns_at(p_table_id, p_at) AS c
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._record_columns(integer, text, pggit._position) IS
'Stored columns, of now or of a mark, taken out of a record.';

CREATE OR REPLACE FUNCTION pggit._key_json(p_table_id integer, p_row text, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN bool_or(c.key_position IS NOT NULL)
                        THEN format('jsonb_build_object(%s)', string_agg(format('%L, %s -> %1$L', c.name, p_row), ', ' ORDER BY c.key_position) FILTER (WHERE c.key_position IS NOT NULL))
                        ELSE format('(%s - %L::text[])', p_row, coalesce(array_agg(c.name) FILTER (WHERE c.generated_as IS NOT NULL), '{}')) END
              FROM pggit._columns_at(p_table_id, p_at) AS c);
END;
$$;

COMMENT ON FUNCTION pggit._key_json(integer, text, pggit._position) IS
'Expression: the key, by column name, of a row given as jsonb; where there is none the row itself, without generated columns.';

CREATE OR REPLACE FUNCTION pggit._has_begun_anew(p_table pggit.tables, p_position pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = p_table.relation AND t.untracked_at IS NOT NULL AND pggit._mark_in(t.tracked_at, pggit._base_mark(p_position))))
           AND pggit._presence(p_table, p_position) = 'absent' AND NOT pggit._is_away(p_table.table_id, p_position);
END;
$$;

COMMENT ON FUNCTION pggit._has_begun_anew(pggit.tables, pggit._position) IS
'Whether the history of a table begins after a position at which it was tracked: its primary key has changed since, or it was untracked and tracked again.';

CREATE OR REPLACE FUNCTION pggit._require_table_at(p_table pggit.tables, p_position pggit._position, p_ref text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._require_no_gap(p_table, p_position);
    IF pggit._presence(p_table, p_position) <> 'present' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG005', SCHEMA = 'pggit',
            MESSAGE = format('table %I.%I was %s at %L', p_table.schema_name, p_table.table_name,
                             CASE WHEN pggit._is_away(p_table.table_id, p_position) THEN 'not there'
                                  WHEN pggit._has_begun_anew(p_table, p_position) THEN 'tracked before its primary key changed or it was untracked; its history has begun anew since, and can''t be read' ELSE 'not tracked yet' END,
                             coalesce(p_ref, 'HEAD'));
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_table_at(pggit.tables, pggit._position, text) IS
'Raises VG005 unless the table was tracked at the position, and VG306 when what it held then has been lost since.';

CREATE OR REPLACE FUNCTION pggit._store_columns(p_table_id integer)
    RETURNS TABLE (column_id integer, attnum smallint)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN QUERY
    SELECT substr(a.attname, 2)::integer, a.attnum
      FROM pg_attribute AS a
     WHERE a.attrelid = format('pggit._delta_%s', p_table_id)::regclass AND a.attnum > 1 AND NOT a.attisdropped;
END;
$$;

COMMENT ON FUNCTION pggit._store_columns(integer) IS
'The columns of the delta table, whose rows have those of main and of all branches: id and place.';

CREATE OR REPLACE FUNCTION pggit._as_row_sql(p_table_id integer, p_alias text, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('ROW(0, %s)::pggit._delta_%s', string_agg(CASE WHEN c.column_id IS NULL THEN 'NULL' ELSE format('%s.c%s', p_alias, c.column_id) END, ', ' ORDER BY s.attnum), p_table_id)
              FROM pggit._store_columns(p_table_id) AS s
              LEFT JOIN pggit._columns_at(p_table_id, p_at) AS c ON c.column_id = s.column_id);
END;
$$;

COMMENT ON FUNCTION pggit._as_row_sql(integer, text, pggit._position) IS
'Expression: the stored columns of an alias, of now or of a mark, as one value of the delta table''s row type, whose first column _b is 0 (so that the value is never NULL).';
