-- Large values that an UPDATE leaves as they are stay out of main's log: docs/decisions/0020. Such a log row is marked in _same with the ids of these columns, and whoever reads it takes each
-- value from the next row of the key in the log that has it, else from the table.

CREATE OR REPLACE FUNCTION pggit._is_indexed(p_relation oid, p_attnum smallint)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pg_index AS i
                            WHERE i.indrelid = p_relation
                              AND (p_attnum = ANY (i.indkey)
                                   OR EXISTS (SELECT FROM pg_depend AS d
                                               WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
                                                 AND d.refobjid = p_relation AND d.refobjsubid = p_attnum))));
END;
$$;

COMMENT ON FUNCTION pggit._is_indexed(oid, smallint) IS
'Whether an index of a table reads a column, be it in an expression or a predicate.';

CREATE OR REPLACE FUNCTION pggit._may_be_large(p_column pggit.columns)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT (p_column).key_position IS NULL AND (p_column).generated_as IS NULL
                   AND EXISTS (SELECT FROM pg_type AS t WHERE t.oid = to_regtype((p_column).type_name) AND t.typlen = -1 AND t.typstorage IN ('x', 'e'))
                   -- A character has 4 bytes at most.
                   AND coalesce(substring((p_column).type_name FROM '^character(?: varying)?\((\d+)\)$')::integer * 4 > 2000, true));
END;
$$;

COMMENT ON FUNCTION pggit._may_be_large(pggit.columns) IS
'Whether a column may have values that PostgreSQL stores apart from their rows (TOAST).';

CREATE OR REPLACE FUNCTION pggit._large_columns(p_table_id integer, p_pages integer)
    RETURNS integer[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_relation oid := (SELECT t.relation FROM pggit.tables AS t WHERE t.table_id = p_table_id);
    v_size     record;
    v_tests    text;
    v_found    integer[];
BEGIN
    SELECT sum(pg_relation_size(c.oid)) / 8192 AS pages, sum(pg_relation_size(c.reltoastrelid)) AS toasted INTO v_size
      FROM (SELECT v_relation AS oid UNION ALL SELECT p.relation FROM pggit._partitions(v_relation) AS p) AS r JOIN pg_class AS c ON c.oid = r.oid;
    -- Where an index reads the column, branch views have to show it as it is stored, else they have no use of the index.
    SELECT string_agg(format('CASE WHEN bool_or(pg_column_size(b.%I) > 2000) THEN %s END', c.name, c.column_id), ', ') INTO v_tests
      FROM pggit.columns AS c
     WHERE c.table_id = p_table_id AND c.dropped_at IS NULL AND NOT pggit._is_keyless(p_table_id) AND pggit._may_be_large(c) AND NOT pggit._is_indexed(v_relation, c.attnum)
       AND NOT EXISTS (SELECT FROM pggit.spared_columns AS s WHERE s.table_id = c.table_id AND s.column_id = c.column_id);
    -- Policies that hide the present row from the owner would hide the values that older states take from it.
    IF v_size.toasted > 0 AND v_tests IS NOT NULL AND NOT (SELECT c.relrowsecurity FROM pg_class AS c WHERE c.oid = v_relation) THEN
        EXECUTE format('SELECT array_remove(ARRAY[%s], NULL) FROM %s AS b%s', v_tests, pggit._base_rows(p_table_id),
                       CASE WHEN p_pages < v_size.pages THEN format(' TABLESAMPLE SYSTEM (%s)', 100.0 * p_pages / v_size.pages) ELSE '' END) INTO v_found;
    END IF;
    RETURN coalesce(v_found, '{}');
END;
$$;

COMMENT ON FUNCTION pggit._large_columns(integer, integer) IS
'The columns of a table that have large values, and are not spared yet: those found in about so many pages of it (NULL: in all).';

CREATE OR REPLACE FUNCTION pggit._spare_columns(p_table_id integer, p_columns integer[], p_left_out boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF cardinality(p_columns) > 0 THEN
        EXECUTE format('ALTER TABLE pggit._log_%s ADD COLUMN IF NOT EXISTS _same integer[]', p_table_id);
        INSERT INTO pggit.spared_columns (table_id, column_id, left_out, known_at) SELECT p_table_id, c, p_left_out, pggit._transaction_number() FROM unnest(p_columns) AS c;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._spare_columns(integer, integer[], boolean) IS
'Has whatever is made from now on to read main''s log know that its rows may be without large values of some columns; and, once capture functions are made anew, p_left_out says whether they are.
At once only when tracking begins and nothing reads the log yet.';

CREATE OR REPLACE FUNCTION pggit._has_marks(p_table_id integer)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.spared_columns AS s WHERE s.table_id = p_table_id));
END;
$$;

COMMENT ON FUNCTION pggit._has_marks(integer) IS
'Whether rows of main''s log of a table may be without large values.';

CREATE OR REPLACE FUNCTION pggit._later_sql(p_table_id integer, p_column_id integer, p_alias text, p_condition text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    -- The order of a key's rows is that of pggit._first_out_sql.
    SELECT format('SELECT held.c%2$s, held._at FROM (SELECT held.c%2$s, held._at, held._seq, held._xid, first_value(held._xid) OVER (ORDER BY held._at) AS _oldest
                     FROM pggit._log_%1$s AS held
                    WHERE %3$s AND held._op <> ''I'' AND CASE WHEN held._xid = %4$s._xid THEN held._seq > %4$s._seq ELSE held._at > %4$s._at END AND (%5$s)) AS held
                    WHERE held._xid = held._oldest ORDER BY held._seq, held._at LIMIT 1',
                  p_table_id, p_column_id, pggit._same_key(p_table_id, 'held', p_alias), p_alias, p_condition);
$$;

COMMENT ON FUNCTION pggit._later_sql(integer, integer, text, text) IS
'SELECT of the first log row, alias held, of the same key after the row of an alias that meets a condition: its value of a column, and its _at.';

CREATE OR REPLACE FUNCTION pggit._has_value_sql(p_column_id integer, p_alias text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('(%2$s._same IS NULL OR %1$s <> ALL (%2$s._same))', p_column_id, p_alias);
$$;

COMMENT ON FUNCTION pggit._has_value_sql(integer, text) IS
'Condition: the log row of an alias has its value of a column in itself.';

CREATE OR REPLACE FUNCTION pggit._whole_sql(p_table_id integer, p_alias text, p_column_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (
    SELECT CASE WHEN s.column_id IS NULL THEN format('%s.c%s', p_alias, p_column_id)
                ELSE format('(CASE WHEN %1$s = ANY (%2$s._same) THEN coalesce((SELECT held.c%1$s FROM (%3$s) AS held)%4$s) ELSE %2$s.c%1$s END)%5$s AS c%1$s', p_column_id, p_alias,
                            pggit._later_sql(p_table_id, p_column_id, p_alias, pggit._has_value_sql(p_column_id, 'held')),
                            CASE WHEN c.column_id IS NOT NULL AND c.dropped_at IS NULL
                                 THEN format(', (SELECT present.%s::%s FROM %s AS present WHERE %s)', pggit._quoted(c.name), c.type_name, pggit._base_rows(p_table_id),
                                             pggit._same_key(p_table_id, 'present', p_alias, true, false)) ELSE '' END,
                            (SELECT pggit._collate_sql(a.attrelid, a.attnum) FROM pg_catalog.pg_attribute AS a
                              WHERE a.attrelid = to_regclass(format('pggit._log_%s', p_table_id)) AND a.attname = 'c' || p_column_id)) END
      FROM (SELECT) AS one
      LEFT JOIN pggit.spared_columns AS s ON s.table_id = p_table_id AND s.column_id = p_column_id
      LEFT JOIN pggit.columns AS c ON c.table_id = p_table_id AND c.column_id = p_column_id);
END;
$$;

COMMENT ON FUNCTION pggit._whole_sql(integer, text, integer) IS
'What a select list has for a column of main''s log, of an alias with _xid, _seq, _at, _same and the key: the value that the row had, wherever it is now. When main drops or retypes a column, all rows are
logged before, so of a column that main has no more the log has every value.';

CREATE OR REPLACE FUNCTION pggit._whole_columns(p_table_id integer, p_alias text, p_at pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(pggit._whole_sql(p_table_id, p_alias, c.column_id), ', ' ORDER BY c.column_id) FROM pggit._columns_at(p_table_id, p_at) AS c WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._whole_columns(integer, text, pggit._position) IS
'Stored columns of a position, as pggit._stored_columns has them, with the values that log rows are without.';

CREATE OR REPLACE FUNCTION pggit._log_columns(p_table_id integer, p_alias text, p_at pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(CASE WHEN m.column_id IS NULL THEN format('NULL::%s AS c%s', c.type_name, c.column_id) ELSE pggit._whole_sql(p_table_id, p_alias, c.column_id) END, ', ' ORDER BY c.column_id)
              FROM pggit._columns_at(p_table_id, p_at) AS c
              LEFT JOIN pggit.columns AS m ON m.table_id = c.table_id AND m.column_id = c.column_id
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._log_columns(integer, text, pggit._position) IS
'The same out of main''s log alone, which has none of the columns that a branch added.';

CREATE OR REPLACE FUNCTION pggit._updated_rows_sql(p_table_id integer)
    RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- OFFSET 0: values are compared once, not for each use.
    SELECT format($sql$
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, _same, %2$s)
        SELECT v_seq, v_xid, 'U', s.same, %3$s
          FROM %4$s
         CROSS JOIN LATERAL (SELECT nullif(array_remove(ARRAY[%5$s], NULL), '{}') OFFSET 0) AS s(same)$sql$,
        p_table_id, pggit._stored_columns(p_table_id),
        string_agg(format(CASE WHEN s.column_id IS NULL THEN 'o.%1$s' ELSE 'CASE WHEN %2$s = ANY (s.same) THEN NULL ELSE o.%1$s END' END, pggit._quoted(c.name), c.column_id), ', ' ORDER BY c.column_id),
        pggit._old_and_new_sql(p_table_id),
        string_agg(format('CASE WHEN pg_column_size(o.%1$s) > 2000 AND ROW(o.%1$s)::record *= ROW(n.%1$s)::record THEN %2$s END', pggit._quoted(c.name), c.column_id), ', ' ORDER BY c.column_id)
            FILTER (WHERE s.column_id IS NOT NULL))
      FROM pggit.columns AS c LEFT JOIN pggit.spared_columns AS s ON s.table_id = c.table_id AND s.column_id = c.column_id AND s.left_out
     WHERE c.table_id = p_table_id AND c.generated_as IS NULL AND c.dropped_at IS NULL;
$$;

COMMENT ON FUNCTION pggit._updated_rows_sql(integer) IS
'Statement of a capture function that logs the rows of an UPDATE that moved no key, without the large values that it left as they were.';

CREATE OR REPLACE FUNCTION pggit._large_sql(p_table_id integer, p_alias text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('pg_column_size(%s.%s) > 2000', p_alias, pggit._quoted(c.name)), ' OR ' ORDER BY c.column_id)
              FROM pggit.columns AS c JOIN pggit.spared_columns AS s USING (table_id, column_id)
             WHERE c.table_id = p_table_id AND c.dropped_at IS NULL AND s.left_out);
END;
$$;

COMMENT ON FUNCTION pggit._large_sql(integer, text) IS
'Condition: a row of the user''s table has a large value that the log may be without; NULL where there is no such column. The size is the stored one: no value is fetched for it.';

CREATE OR REPLACE FUNCTION pggit._save_values(p_table_id integer, p_gone text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_column integer;
BEGIN
    -- DROP TYPE … CASCADE takes columns out of the stores.
    FOR v_column IN SELECT s.column_id FROM pggit.spared_columns AS s WHERE s.table_id = p_table_id AND pggit._has_column('_log', p_table_id, s.column_id) LOOP
        EXECUTE format($sql$
            UPDATE pggit._log_%1$s AS l SET c%2$s = f.c%2$s, _same = nullif(array_remove(l._same, %2$s), '{}')
              FROM (SELECT r._at, held.c%2$s
                      FROM pggit._log_%1$s AS r
                     CROSS JOIN LATERAL (%3$s) AS held
                     WHERE %2$s = ANY (r._same) AND r._at NOT IN (%4$s) AND held._at IN (%4$s)) AS f
             WHERE l._at = f._at$sql$,
            p_table_id, v_column, pggit._later_sql(p_table_id, v_column, 'r', format('%s OR held._at NOT IN (%s)', pggit._has_value_sql(v_column, 'held'), p_gone)), p_gone);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._save_values(integer, text) IS
'Before rows of main''s log go: gives the values they have to those rows that take them from there. Of the rows of a key that stay it is the last one; earlier ones take them from that. p_gone: SELECT of the _at of the rows that go.';

CREATE OR REPLACE FUNCTION pggit._fill_indexed_columns(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_column integer;
    v_filled boolean := false;
BEGIN
    FOR v_column IN
        SELECT s.column_id
          FROM pggit.spared_columns AS s JOIN pggit.columns AS c USING (table_id, column_id) JOIN pggit.tables AS t USING (table_id)
         WHERE s.table_id = p_table_id AND c.dropped_at IS NULL AND pggit._is_indexed(t.relation, c.attnum)
    LOOP
        -- Nobody has decided to leave a value out and not done so yet.
        EXECUTE format('LOCK TABLE %s IN SHARE MODE', (SELECT t.relation::regclass FROM pggit.tables AS t WHERE t.table_id = p_table_id));
        EXECUTE format('LOCK TABLE pggit._log_%s IN SHARE ROW EXCLUSIVE MODE', p_table_id);
        EXECUTE format('UPDATE pggit._log_%1$s AS l SET c%2$s = f.c%2$s, _same = nullif(array_remove(l._same, %2$s), ''{}'')
                          FROM (SELECT r._at, %3$s FROM pggit._log_%1$s AS r WHERE %2$s = ANY (r._same)) AS f WHERE l._at = f._at',
                       p_table_id, v_column, pggit._whole_sql(p_table_id, 'r', v_column));
        DELETE FROM pggit.spared_columns AS s WHERE s.table_id = p_table_id AND s.column_id = v_column;
        v_filled := true;
    END LOOP;
    IF v_filled THEN
        PERFORM pggit._create_capture_functions(p_table_id);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._fill_indexed_columns(integer) IS
'Where main has got an index on a column since it was decided that log rows may be without it: gives all rows their values again, so that branch views can use the index.';

CREATE OR REPLACE FUNCTION pggit._spare_more(p_table pggit.tables)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_view record;
BEGIN
    -- Nobody reads any more by what was made before the columns were noted. Branch views may be older.
    IF EXISTS (SELECT FROM pggit.spared_columns AS s WHERE s.table_id = p_table.table_id AND NOT s.left_out)
       AND pggit._oldest_snapshot() > (SELECT max(s.known_at) FROM pggit.spared_columns AS s WHERE s.table_id = p_table.table_id) THEN
        FOR v_view IN
            SELECT bt.relation, bt.branch_id, b.s, (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = bt.relation AND a.attnum > 0) AS columns
              FROM pggit.branch_tables AS bt JOIN pggit.branch_bases AS b USING (branch_id)
             WHERE bt.table_id = p_table.table_id AND bt.form = 'view' ORDER BY bt.branch_id
        LOOP
            EXECUTE format('CREATE OR REPLACE VIEW %s (%s) AS %s', v_view.relation, v_view.columns, pggit._view_sql(v_view.branch_id, p_table.table_id, v_view.s));
        END LOOP;
        UPDATE pggit.spared_columns AS s SET left_out = true WHERE s.table_id = p_table.table_id;
        PERFORM pggit._renew_write_functions(p_table.relation);
        PERFORM pggit._create_capture_functions(p_table.table_id);
    END IF;
    PERFORM pggit._spare_columns(p_table.table_id, pggit._large_columns(p_table.table_id, 500), false);
END;
$$;

COMMENT ON FUNCTION pggit._spare_more(pggit.tables) IS
'Looks for columns that have got large values since tracking began. In the run of gc that finds one, what reads the log is told; in a later one, when all that was made before has ended, its values begin to be left out.
gc keeps out who makes branches.';
