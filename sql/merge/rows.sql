-- The rows of one table in a merge, worked out in temporary tables: pggit_plan_<table id>.

CREATE OR REPLACE FUNCTION pggit._drop_temporary(p_name text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF to_regclass(p_name) IS NOT NULL THEN
        EXECUTE format('DROP TABLE %s', p_name);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._drop_temporary(text) IS
'Drops a temporary table that an earlier merge of the same transaction left.';

CREATE OR REPLACE FUNCTION pggit._one_change_sql(p_values text[], p_unchanged text[], p_same text)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT 'CASE ' || string_agg(format('WHEN %s THEN %s', (
                       SELECT string_agg(format('(%s OR %s)', p_unchanged[(v.n - 1) * cardinality(p_values) + o.n], format(p_same, o.value, v.value)), ' AND ')
                         FROM unnest(p_values) WITH ORDINALITY AS o(value, n) WHERE o.n <> v.n),
                       v.n), ' ' ORDER BY v.n) || ' END'
              FROM unnest(p_values) WITH ORDINALITY AS v(value, n));
END;
$$;

COMMENT ON FUNCTION pggit._one_change_sql(text[], text[], text) IS
'Expression: the number of the value that is the change of each pair that it is one of, in which the other is the same or unchanged; otherwise NULL. p_unchanged has, for value number v, for each value number o the condition that o is
what the two of them come from. p_same is the comparison, a format of two arguments.';

CREATE OR REPLACE FUNCTION pggit._target()
    RETURNS pggit._position
    LANGUAGE sql STABLE
AS $$
    SELECT nullif(current_setting('pggit.merge_target', true), '')::pggit._position;
$$;

COMMENT ON FUNCTION pggit._target() IS
'The position whose columns a merge works in (local setting pggit.merge_target): the target as it will be. NULL: main as it is now.';

CREATE OR REPLACE FUNCTION pggit._as_type(p_value text, p_type anyelement)
    RETURNS anyelement
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    IF p_value IS NULL THEN
        RETURN NULL;
    ELSIF (SELECT t.typrelid <> 0 FROM pg_type AS t WHERE t.oid = pg_typeof(p_type)) THEN
        -- No text is assigned to a composite variable.
        EXECUTE format('SELECT (s.x).* FROM (SELECT $1::%s AS x) AS s', pg_typeof(p_type)) INTO p_type USING p_value;
    ELSE
        p_type := p_value;
    END IF;
    RETURN p_type;
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._as_type(text, anyelement) IS
'The value of a type that a text stands for, or NULL where it stands for none.';

CREATE OR REPLACE FUNCTION pggit._converted_sql(p_value text, p_from text, p_to text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT CASE WHEN p_from = p_to THEN p_value
                        WHEN f.oid = t.oid OR EXISTS (SELECT FROM pg_cast AS c WHERE c.castsource = f.oid AND c.casttarget = t.oid AND c.castcontext IN ('i', 'a')) THEN format('%s::%s', p_value, p_to)
                        ELSE format('pggit._as_type(pggit._pinned_text(%s), NULL::%s)', p_value, p_to) END
              FROM pg_type AS f, pg_type AS t
             WHERE f.oid = p_from::regtype AND t.oid = p_to::regtype);
END;
$$;

COMMENT ON FUNCTION pggit._converted_sql(text, text, text) IS
'Expression: a value of one type as one of another, as an assignment would convert it; where PostgreSQL knows no such conversion by its text, and NULL where that stands for none.';

CREATE OR REPLACE FUNCTION pggit._is_same(p_a anyelement, p_b anyelement)
    RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN p_a IS NOT DISTINCT FROM p_b;
EXCEPTION WHEN undefined_function THEN
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit._is_same(anyelement, anyelement) IS
'Whether two values are equal; true where their type knows no equality.';

CREATE OR REPLACE FUNCTION pggit._loses_sql(p_value text, p_from text, p_to text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT CASE WHEN starts_with(c.there, 'pggit._as_type(') THEN format('%s IS NOT NULL AND %s IS NULL', p_value, c.there)
                        ELSE format('NOT pggit._is_same(%s, %s)', p_value, pggit._converted_sql('(' || c.there || ')', p_to, p_from)) END
              FROM pggit._converted_sql(p_value, p_from, p_to) AS c(there));
END;
$$;

COMMENT ON FUNCTION pggit._loses_sql(text, text, text) IS
'Condition: what pggit._converted_sql makes of a value is another one: rounded, cut, or none at all.';

CREATE OR REPLACE FUNCTION pggit._row_now_sql(p_table_id integer, p_position pggit._position, p_first text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN bool_and(b.column_id IS NOT DISTINCT FROM c.column_id) THEN pggit._row_sql(p_table_id, p_position, p_first)
                        ELSE format('SELECT %s FROM (%s) AS q',
                                    string_agg(CASE WHEN b.column_id IS NULL THEN format('NULL::%s AS c%s', c.type_name, c.column_id)
                                                    ELSE format('%s AS c%s', pggit._converted_sql('q.c' || b.column_id, b.type_name, c.type_name), c.column_id) END, ', ' ORDER BY c.column_id),
                                    pggit._row_sql(p_table_id, p_position, p_first)) END
              FROM pggit._columns_at(p_table_id, pggit._target()) AS c
              JOIN pggit.tables AS t USING (table_id)
              LEFT JOIN pggit._columns_at(p_table_id, p_position) AS b
                ON b.origin = c.origin AND b.generated_as IS NULL AND (b.key_position IS NOT NULL OR pggit._presence(t, p_position) <> 'gap')
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._row_now_sql(integer, pggit._position, text) IS
'pggit._row_sql with the columns of now: NULL in those that the table did not have then, or whose values of then are lost; others of another type are converted.';

CREATE OR REPLACE FUNCTION pggit._one_base_sql(p_table_id integer, p_base pggit._position, p_first text DEFAULT NULL)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('SELECT %s, ''{}''::integer[] AS _torn FROM (SELECT) AS one LEFT JOIN LATERAL (%s) AS q ON true',
                  pggit._stored_columns(p_table_id, 'q', pggit._target()), pggit._row_now_sql(p_table_id, p_base, p_first));
$$;

COMMENT ON FUNCTION pggit._one_base_sql(integer, pggit._position, text) IS
'pggit._base_row_sql where there is one base; p_first as in pggit._row_sql.';

CREATE OR REPLACE FUNCTION pggit._base_row_sql(p_table_id integer, p_bases text[], p_depth integer DEFAULT 1)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_numbers bigint[]  := ARRAY(SELECT generate_series(1, cardinality(p_bases)));
    v_pairs   text[]    := ARRAY(SELECT array_to_string(pggit._merge_bases(v.id, o.id), ' ') FROM unnest(p_bases) WITH ORDINALITY AS v(id, n), unnest(p_bases) WITH ORDINALITY AS o(id, n) ORDER BY v.n, o.n);
    v_before  text[]    := ARRAY(SELECT DISTINCT p.bases FROM unnest(v_pairs) WITH ORDINALITY AS p(bases, n) WHERE (p.n - 1) % (cardinality(p_bases) + 1) <> 0 ORDER BY 1);
    v_each    text      := '((%1$s IS NULL) = (%2$s IS NULL) AND coalesce(%1$s *= %2$s, true))';
    v_from    text      := '(SELECT) AS one';
    v_values  text;
    v_row     text;
    v_cells   text;
    v_torn    text;
BEGIN
    IF cardinality(p_bases) = 1 THEN
        RETURN pggit._one_base_sql(p_table_id, (pggit._ref(p_bases[1])).at);
    ELSIF array_position(v_before, NULL) IS NOT NULL OR p_depth > 3 THEN
        -- Then only what all of them have is known.
        v_before := '{}';
    END IF;

    SELECT string_agg(format('(SELECT %s FROM (%s) AS q) AS b%s', pggit._as_row_sql(p_table_id, 'q', pggit._target()), pggit._row_now_sql(p_table_id, (pggit._ref(b.id)).at), b.n), ', ')
      INTO v_values
      FROM unnest(p_bases) WITH ORDINALITY AS b(id, n);
    IF v_before <> '{}' THEN
        SELECT v_values || string_agg(format(', CASE WHEN NOT (ROW(%s) IS NULL) THEN %s END AS z%s, before%3$s._torn AS y%3$s', pggit._key_columns(p_table_id, 'before' || b.n),
                                             pggit._as_row_sql(p_table_id, 'before' || b.n, pggit._target()), b.n), ''),
               string_agg(format('LATERAL (%s) AS before%s', pggit._base_row_sql(p_table_id, string_to_array(b.ids, ' '), p_depth + cardinality(v_before)), b.n), ', ')
          INTO v_values, v_from
          FROM unnest(v_before) WITH ORDINALITY AS b(ids, n);
    END IF;
    v_row := pggit._one_change_sql(ARRAY(SELECT 's.b' || n FROM unnest(v_numbers) AS n),
                                   ARRAY(SELECT CASE WHEN x.z IS NULL THEN 'false' ELSE format('(s.y%1$s = ''{}'' AND %2$s)', x.z, format(v_each, 's.b' || x.o, 's.z' || x.z)) END
                                           FROM pggit._pairs_before(v_pairs, v_before) AS x ORDER BY x.v, x.o), v_each);
    SELECT string_agg(CASE WHEN c.column_id IS NULL THEN 'NULL'
                           ELSE format('CASE coalesce(%s, 1) %s END', x.pick, (SELECT string_agg(format('WHEN %s THEN (s.b%1$s).c%s', n, c.column_id), ' ') FROM unnest(v_numbers) AS n)) END,
                      ', ' ORDER BY s.attnum),
           string_agg(format('CASE WHEN %s IS NULL THEN %s END', x.pick, c.column_id), ', ' ORDER BY c.column_id) FILTER (WHERE NOT c.column_id IS NULL)
      INTO v_cells, v_torn
      FROM pggit._store_columns(p_table_id) AS s
      LEFT JOIN pggit._columns_at(p_table_id, pggit._target()) AS c ON c.column_id = s.column_id
     CROSS JOIN LATERAL (SELECT pggit._one_change_sql(ARRAY(SELECT format('(s.b%s).c%s', n, c.column_id) FROM unnest(v_numbers) AS n),
                                                      ARRAY(SELECT CASE WHEN p.z IS NULL THEN 'false'
                                                                        ELSE format('(NOT s.y%1$s && ''{0,%2$s}'' AND ROW((s.b%3$s).c%2$s)::record *= ROW((s.z%1$s).c%2$s)::record)', p.z, c.column_id, p.o) END
                                                              FROM pggit._pairs_before(v_pairs, v_before) AS p ORDER BY p.v, p.o),
                                                      'ROW(%s)::record *= ROW(%s)::record') AS pick) AS x;

    RETURN format($sql$
        SELECT %1$s, m.torn AS _torn
          FROM (SELECT s.*, %2$s AS pick, %3$s AS everywhere FROM (SELECT %4$s FROM %9$s OFFSET 0) AS s OFFSET 0) AS s
         CROSS JOIN LATERAL (
            SELECT CASE s.pick %5$s ELSE CASE WHEN s.everywhere THEN ROW(0, %6$s)::pggit._delta_%7$s ELSE s.b1 END END AS v,
                   CASE WHEN s.pick IS NOT NULL THEN '{}' WHEN s.everywhere THEN array_remove(ARRAY[%8$s]::integer[], NULL) ELSE '{0}' END::integer[] AS torn
             OFFSET 0
         ) AS m$sql$,
        pggit._record_columns(p_table_id, 'm.v', pggit._target()), v_row,
        (SELECT string_agg(format('NOT s.b%s IS NULL', n), ' AND ') FROM unnest(v_numbers) AS n)
        || coalesce((SELECT string_agg(format(' AND NOT s.z%s IS NULL', n), '') FROM generate_series(1, cardinality(v_before)) AS n), ''),
        v_values, (SELECT string_agg(format('WHEN %s THEN s.b%1$s', n), ' ') FROM unnest(v_numbers) AS n), v_cells, p_table_id, v_torn, v_from);
END;
$$;

COMMENT ON FUNCTION pggit._base_row_sql(integer, text[], integer) IS
'SELECT of the row that a merge starts from for the key of the outer alias k: always one row, of NULLs where there is none. Of several best common ancestors
it is that of the one which, beside each other, has made the change to what these two have in common, or the same; where none has, so cell by cell. _torn has the ids of the cells for which that says nothing ({0}: of the whole
row); the row of the youngest stands there, and sides that differ in them are in conflict. After the recursive merge of Git, three levels deep: what ancestors further down do not all have is torn.';

CREATE OR REPLACE FUNCTION pggit._pairs_before(p_pairs text[], p_before text[])
    RETURNS TABLE (v bigint, o bigint, z integer)
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT (p.n - 1) / sqrt(cardinality(p_pairs))::bigint + 1, (p.n - 1) % sqrt(cardinality(p_pairs))::bigint + 1, array_position(p_before, p.bases)
      FROM unnest(p_pairs) WITH ORDINALITY AS p(bases, n);
$$;

COMMENT ON FUNCTION pggit._pairs_before(text[], text[]) IS
'Each two (v, o) of the ancestors that a merge starts from, by number, and the place in p_before of what they have in common, NULL where it is not there. p_pairs has that of all pairs, row by row.';

CREATE OR REPLACE FUNCTION pggit._merged_row_sql(p_table_id integer, p_alias text, p_missing jsonb)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('ROW(0, %s)::pggit._delta_%s',
                          string_agg(CASE WHEN c.column_id IS NULL THEN 'NULL' ELSE coalesce(p_missing ->> c.column_id::text, format('%s.c%s', p_alias, c.column_id)) END, ', ' ORDER BY s.attnum),
                          p_table_id)
              FROM pggit._store_columns(p_table_id) AS s LEFT JOIN pggit._columns_at(p_table_id, pggit._target()) AS c ON c.column_id = s.column_id);
END;
$$;

COMMENT ON FUNCTION pggit._merged_row_sql(integer, text, jsonb) IS
'pggit._as_row_sql, with expressions by column id for the columns that the alias has not got.';

CREATE OR REPLACE FUNCTION pggit._may_be_written_otherwise(p_column pggit.columns)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT p_column.key_position IS NULL OR p_column.type_name <> ALL ('{smallint,integer,bigint,uuid}');
$$;

COMMENT ON FUNCTION pggit._may_be_written_otherwise(pggit.columns) IS
'Whether a column can have different values in rows of one key: a key may be written in several ways, as 1.0 and 1.00.';

CREATE OR REPLACE FUNCTION pggit._differs_sql(p_type text, p_a text, p_b text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN p_type ~ '^(smallint|integer|bigint|uuid|boolean|date|timestamp( ?\(\d\))? with(out)? time zone)$' THEN format('coalesce(%1$s OPERATOR(pg_catalog.<>) %2$s, (%1$s IS NULL) <> (%2$s IS NULL))', p_a, p_b)
                WHEN p_type ~ '^(text|character varying(\(\d+\))?)$'
                    THEN format('coalesce(%1$s COLLATE pg_catalog."C" OPERATOR(pg_catalog.<>) %2$s COLLATE pg_catalog."C", (%1$s IS NULL) <> (%2$s IS NULL))', p_a, p_b)
                ELSE format('ROW(%s)::record *<> ROW(%s)::record', p_a, p_b) END;
$$;

COMMENT ON FUNCTION pggit._differs_sql(text, text, text) IS
'Condition, true or false: two values of a type, given as expressions, differ in any byte. Where equal values of the type have equal bytes, its own operator says so, without a record made of each.';

CREATE OR REPLACE FUNCTION pggit._execute_without_loops(p_sql text)
    RETURNS void
    LANGUAGE plpgsql
    SET enable_nestloop = off SET enable_memoize = off
AS $$
BEGIN
    EXECUTE p_sql;
END;
$$;

COMMENT ON FUNCTION pggit._execute_without_loops(text) IS
'Runs a statement that joins row by row only what is LATERAL. The functions that make such a statement read the catalog, which is better done row by row.';

CREATE OR REPLACE FUNCTION pggit._execute_by_merge_joins(p_sql text)
    RETURNS void
    LANGUAGE plpgsql
    SET enable_nestloop = off SET enable_memoize = off SET enable_hashjoin = off
AS $$
BEGIN
    EXECUTE p_sql;
END;
$$;

COMMENT ON FUNCTION pggit._execute_by_merge_joins(text) IS
'pggit._execute_without_loops by merge joins alone: they keep keys in their order, and rows that follow each other are looked up in half the time.';

CREATE OR REPLACE FUNCTION pggit._plan_rows(p_table_id integer, p_keys text, p_number bigint, p_bases text[], p_ours pggit._position, p_theirs pggit._position,
                                            p_base_missing jsonb DEFAULT '{}', p_ours_missing jsonb DEFAULT '{}', p_theirs_missing jsonb DEFAULT '{}')
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_base        text   := pggit._base_row_sql(p_table_id, p_bases);
    v_with_given  text   := pggit._base_with_given_keys_sql(p_table_id, v_base);
    v_base_first  record;
    v_ours_first  record := pggit._read_first(p_table_id, p_ours, 'o', p_number, 'keys');
    v_their_first record := pggit._read_first(p_table_id, p_theirs, 't', p_number, 'keys');
    v_first text := 'c' || (SELECT c.column_id FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position = 1);
    v_ours  text := pggit._row_now_sql(p_table_id, p_ours, v_ours_first.first);
    v_theirs text := pggit._row_now_sql(p_table_id, p_theirs, v_their_first.first);
    v_from  pggit._position := (pggit._ref(p_bases[1])).at;
    v_placed boolean := false;
    v_alone text := '';
    v_joined text := '';
    v_rows   text;
    v_want  text;
    v_cells text;
    v_json  text;
BEGIN
    -- Where the base is made of several, or rows have got other keys since, each key is looked up.
    v_base_first := pggit._read_first(p_table_id, v_from, 'b', CASE WHEN cardinality(p_bases) = 1 AND v_with_given = v_base THEN p_number ELSE 0 END, 'keys');
    v_base       := CASE WHEN v_base_first.first IS NULL THEN v_with_given ELSE pggit._one_base_sql(p_table_id, v_from, v_base_first.first) END;
    IF v_base_first.first IS NOT NULL AND v_ours_first.first IS NOT NULL AND (p_ours).branch_id = 1 AND (v_from).branch_id = 1
       AND NOT EXISTS (SELECT FROM pg_temp.pggit_merged_columns AS c WHERE c.table_id = p_table_id) THEN
        v_placed := v_ours = pggit._row_sql(p_table_id, p_ours, v_ours_first.first)
                    AND pggit._row_now_sql(p_table_id, v_from, v_base_first.first) = pggit._row_sql(p_table_id, v_from, v_base_first.first)
                    AND EXISTS (SELECT FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation WHERE t.table_id = p_table_id AND c.relkind = 'r');
        IF v_placed THEN
            v_base := format('SELECT %s, ''{}''::integer[] AS _torn, q._place FROM (SELECT) AS one LEFT JOIN LATERAL (%s) AS q ON true',
                             pggit._stored_columns(p_table_id, 'q', pggit._target()), pggit._main_row_sql(p_table_id, (v_from).x, v_from, v_base_first.first, true));
            v_ours := pggit._main_row_sql(p_table_id, (p_ours).x, p_ours, v_ours_first.first, true);
        END IF;
        -- What main has not changed since the base is read once.
        v_ours := format('SELECT %1$s%5$s WHERE %2$s AND b.%3$s IS DISTINCT FROM NULL UNION ALL SELECT q.* FROM (%4$s) AS q WHERE NOT (%2$s)', pggit._stored_columns(p_table_id, 'b', pggit._target()),
                         format('%s._xid IS NULL AND %s._xid IS NULL', v_base_first.first, v_ours_first.first), v_first, v_ours, CASE WHEN v_placed THEN ', b._place' ELSE '' END);
    END IF;
    v_rows := 'keys AS k' || v_base_first.join_sql || v_ours_first.join_sql || v_their_first.join_sql;
    IF v_placed AND v_their_first.first = 't_own' AND v_theirs = pggit._row_sql(p_table_id, p_theirs, v_their_first.first) THEN
        -- A row of the branch that main has not touched is merged when it is compared with main's.
        v_joined := format(', joined AS MATERIALIZED (SELECT %s, t_own.*, b_first._xid IS NULL AND o_first._xid IS NULL AND t_own._live IS NOT NULL AS _alone FROM %s)',
                           (SELECT string_agg(format('k.c%1$s AS _key%1$s', c.column_id), ', ') FROM pggit.columns AS c WHERE c.table_id = p_table_id AND NOT c.key_position IS NULL), v_rows);
        v_rows   := (SELECT format('joined AS t_own CROSS JOIN LATERAL (SELECT %s) AS k', string_agg(format('t_own._key%1$s AS c%1$s', c.column_id), ', '))
                       FROM pggit.columns AS c WHERE c.table_id = p_table_id AND NOT c.key_position IS NULL);
        v_alone  := format($sql$
        SELECT %1$s, w.at, '{}'::integer[] AS torn, 'take' AS outcome, NULL::pggit._delta_%2$s AS b, NULL::pggit._delta_%2$s AS t, w.o, w.t AS want, '{}'::integer[] AS cells,
               CASE WHEN NOT w.is_here THEN 'insert' WHEN w.is_there THEN 'update' ELSE 'delete' END AS action
          FROM (
            SELECT %3$s, o._place AS at, o.%4$s IS DISTINCT FROM NULL AS is_here, t_own._live AS is_there, %11$s AS differs, CASE WHEN o.%4$s IS DISTINCT FROM NULL THEN %5$s END AS o, CASE WHEN t_own._live THEN %6$s END AS t
              FROM %7$s LEFT JOIN LATERAL (SELECT %8$s, b.ctid AS _place FROM %9$s AS b WHERE %10$s OFFSET 0) AS o ON true
             WHERE t_own._alone
            OFFSET 0
          ) AS w
         WHERE CASE WHEN w.is_here AND w.is_there THEN w.differs ELSE w.is_here <> w.is_there END
        UNION ALL$sql$,
            pggit._key_columns(p_table_id, 'w'), p_table_id, pggit._key_columns(p_table_id, 'k'), v_first, pggit._merged_row_sql(p_table_id, 'o', '{}'), pggit._merged_row_sql(p_table_id, 't_own', '{}'),
            v_rows, pggit._base_columns(p_table_id, 'b', p_ours), pggit._base_rows(p_table_id), pggit._same_key(p_table_id, 'b', 'k', true, false),
            (SELECT string_agg(pggit._differs_sql(c.type_name, 'o.c' || c.column_id, 't_own.c' || c.column_id), ' OR ' ORDER BY c.column_id)
               FROM pggit._store_columns(p_table_id) AS s JOIN pggit._columns_at(p_table_id, pggit._target()) AS c ON c.column_id = s.column_id));
        v_rows := v_rows || v_base_first.join_sql || v_ours_first.join_sql;
    END IF;

    SELECT string_agg(CASE WHEN c.column_id IS NULL THEN 'NULL'
               ELSE format('CASE WHEN w.torn && ''{0,%1$s}'' OR NOT %2$s THEN (w.o).c%1$s WHEN NOT %3$s THEN (w.t).c%1$s %4$s ELSE (w.o).c%1$s END', c.column_id, d.t_b, d.o_b,
                           CASE WHEN k.merge IS NOT NULL THEN format('WHEN j%s.clean THEN %s', c.column_id, format(k.merged, 'j' || c.column_id)) END) END,
               ', ' ORDER BY s.attnum),
           string_agg(format('CASE WHEN (w.torn && ''{0,%1$s}'' AND %2$s) OR %3$s THEN %1$s END', c.column_id, d.o_t,
                             CASE WHEN k.merge IS NOT NULL THEN format('NOT w.torn && ''{0,%1$s}'' AND NOT j%1$s.clean', c.column_id) ELSE concat_ws(' AND ', d.t_b, d.o_b, d.o_t) END),
               ', ' ORDER BY c.column_id) FILTER (WHERE NOT c.column_id IS NULL AND pggit._may_be_written_otherwise(c)),
           string_agg(format(' LEFT JOIN LATERAL (SELECT f.* FROM %2$s AS f WHERE w.outcome = ''cells'' AND %3$s OFFSET 0) AS j%1$s ON true', c.column_id, k.merge, concat_ws(' AND ', d.t_b, d.o_b, d.o_t)), ''
               ORDER BY c.column_id) FILTER (WHERE k.merge IS NOT NULL)
      INTO v_want, v_cells, v_json
      FROM pggit._store_columns(p_table_id) AS s
      LEFT JOIN pggit._columns_at(p_table_id, pggit._target()) AS c ON c.column_id = s.column_id
     CROSS JOIN LATERAL (SELECT '(w.b).c' || c.column_id AS b, '(w.o).c' || c.column_id AS o, '(w.t).c' || c.column_id AS t) AS w
     CROSS JOIN LATERAL (SELECT pggit._differs_sql(c.type_name, w.t, w.b) AS t_b, pggit._differs_sql(c.type_name, w.o, w.b) AS o_b, pggit._differs_sql(c.type_name, w.o, w.t) AS o_t) AS d
      LEFT JOIN LATERAL pggit._merge_by_key_sql(c.type_name, w.b, w.o, w.t) AS k ON NOT c.column_id IS NULL;

    PERFORM pggit._drop_temporary(format('pg_temp.pggit_plan_%s', p_table_id));
    PERFORM pggit._execute_by_merge_joins(format($sql$
        CREATE TEMPORARY TABLE pggit_plan_%1$s ON COMMIT DROP AS
        WITH keys AS MATERIALIZED (SELECT * FROM (%2$s) AS q ORDER BY %18$s)%14$s%21$s
        SELECT r.*, row_number() OVER () AS row_no FROM (%20$s
        SELECT %17$s, m.at, m.torn, m.outcome, %16$s, m.o, m.want, m.cells, CASE WHEN m.o IS NULL AND NOT m.want IS NULL THEN 'insert' WHEN m.want IS NULL AND NOT m.o IS NULL THEN 'delete'
                         WHEN m.o *<> m.want THEN 'update' ELSE 'none' END AS action
          FROM (
            SELECT w.*, CASE w.outcome WHEN 'take' THEN w.t WHEN 'cells' THEN ROW(0, %11$s)::pggit._delta_%1$s ELSE w.o END AS want,
                   CASE WHEN w.outcome = 'cells' THEN array_remove(ARRAY[%12$s]::integer[], NULL) ELSE '{}' END AS cells
              FROM (
                SELECT w.*, CASE
                    WHEN w.torn <> '{}' THEN CASE
                        WHEN w.o *= w.t OR (w.o IS NULL AND w.t IS NULL) THEN 'keep'
                        WHEN w.o IS NULL THEN 'delete_update'
                        WHEN w.t IS NULL THEN 'update_delete'
                        WHEN w.b IS NULL THEN 'insert_insert'
                        ELSE 'cells' END
                    WHEN w.b IS NULL AND w.t IS NULL THEN 'keep'
                    WHEN w.b IS NULL AND w.o IS NULL THEN 'take'
                    WHEN w.b IS NULL THEN CASE WHEN w.o *= w.t THEN 'keep' ELSE 'insert_insert' END
                    WHEN w.t IS NULL THEN CASE WHEN w.o IS NULL THEN 'keep' WHEN w.o *= w.b THEN 'take' ELSE 'update_delete' END
                    WHEN w.o IS NULL THEN 'delete_update'
                    WHEN w.o *= w.b THEN 'take'
                    WHEN w.o *= w.t THEN 'keep'
                    ELSE 'cells' END AS outcome
                  FROM (
                    SELECT %6$s, %19$s AS at, b._torn AS torn, CASE WHEN b.%7$s IS DISTINCT FROM NULL THEN %8$s END AS b, CASE WHEN o.%7$s IS DISTINCT FROM NULL THEN %9$s END AS o,
                           CASE WHEN t.%7$s IS DISTINCT FROM NULL THEN %10$s END AS t
                      FROM %15$s LEFT JOIN LATERAL (%3$s) AS b ON true LEFT JOIN LATERAL (%5$s) AS t ON true LEFT JOIN LATERAL (%4$s) AS o ON true
                     WHERE %22$s(b._torn <> '{}' OR (b.%7$s IS NOT DISTINCT FROM NULL) <> (t.%7$s IS NOT DISTINCT FROM NULL) OR (%8$s *<> %10$s))
                    OFFSET 0
                  ) AS w
                OFFSET 0
              ) AS w%13$s
            OFFSET 0
          ) AS m) AS r$sql$,
        p_table_id, p_keys, v_base, v_ours, v_theirs,
        pggit._key_columns(p_table_id, 'k'), v_first,
        pggit._merged_row_sql(p_table_id, 'b', p_base_missing), pggit._merged_row_sql(p_table_id, 'o', p_ours_missing), pggit._merged_row_sql(p_table_id, 't', p_theirs_missing),
        v_want, v_cells, coalesce(v_json, ''),
        rtrim(', ' || v_base_first.with_sql || v_ours_first.with_sql || v_their_first.with_sql, ', '), v_rows,
        CASE WHEN EXISTS (SELECT FROM pg_temp.pggit_merged_columns AS c WHERE c.table_id = p_table_id) THEN 'm.b, m.t'
                    ELSE 'CASE WHEN m.outcome NOT IN (''take'', ''keep'') THEN m.b END AS b, CASE WHEN m.outcome NOT IN (''take'', ''keep'') THEN m.t END AS t' END,
        pggit._key_columns(p_table_id, 'm'), pggit._key_columns(p_table_id, 'q'), CASE WHEN v_placed THEN 'o._place' ELSE 'NULL::tid' END,
        v_alone, v_joined, CASE WHEN v_joined <> '' THEN 'NOT t_own._alone AND ' ELSE '' END));
END;
$$;

COMMENT ON FUNCTION pggit._plan_rows(integer, text, bigint, text[], pggit._position, pggit._position, jsonb, jsonb, jsonb) IS
'Merges the rows of one table three ways, for a query of keys and their number, into the temporary table pggit_plan_<table id>: key, at (where in a table of main the row of ours is, if
that is known), torn (as in pggit._base_row_sql), the rows b, o and t (b and t not where the outcome is take or keep, unless
columns are merged), outcome, want (the merged row, NULL: none; for what is in conflict ours), cells (the column ids in conflict), row_no and action (insert, update, delete or none: what turns ours into want). Only keys that theirs changed against base are in it.
outcome is take, keep, cells, or the kind of a conflict of whole rows: insert_insert, update_delete, delete_update. p_base_missing, p_ours_missing, p_theirs_missing: expressions over o
and t, by column id, for what a column that a state has not got counts as there.';

CREATE OR REPLACE FUNCTION pggit._planned_changes_sql(p_table_id integer)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('SELECT p.action AS change, p.o, p.want AS n FROM pg_temp.pggit_plan_%s AS p WHERE p.action <> ''none''', p_table_id);
$$;

COMMENT ON FUNCTION pggit._planned_changes_sql(integer) IS
'pggit._changes_sql of what a plan changes.';

CREATE OR REPLACE FUNCTION pggit._row_json_sql(p_table_id integer, p_record text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('(SELECT %s FROM (%s) AS r WHERE NOT (%s IS NULL))', pggit._json_sql(p_table_id, 'r', pggit._target()),
                  pggit._named_sql(p_table_id, format('SELECT %s', pggit._record_columns(p_table_id, p_record, pggit._target())), pggit._target()), p_record);
$$;

COMMENT ON FUNCTION pggit._row_json_sql(integer, text) IS
'Expression: a row of the delta''s row type as a JSON object by column name; NULL for no row.';

-- Without a setting of its own it becomes a part of the statement that calls it.
CREATE OR REPLACE FUNCTION pggit._conflict_id(p_table text, p_key jsonb, p_column text, p_kind text, p_base jsonb, p_ours jsonb, p_theirs jsonb)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array(p_table, p_key, p_column, p_kind, p_base, p_ours, p_theirs)::pg_catalog.text, 'UTF8')), 'hex'), 16);
$$;

COMMENT ON FUNCTION pggit._conflict_id(text, jsonb, text, text, jsonb, jsonb, jsonb) IS
'The id of a conflict of rows: the same in every plan that finds it.';

CREATE OR REPLACE FUNCTION pggit._list_conflicts(p_merge_id uuid, p_table pggit.tables)
    RETURNS integer
    LANGUAGE plpgsql
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex'
AS $$
DECLARE
    v_cells text;
    v_rows  integer;
    v_open  constant text := 'p.outcome NOT IN (''take'', ''keep'') AND (p.outcome <> ''cells'' OR p.cells <> ''{}'')';
    v_any   boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM pg_temp.pggit_plan_%s AS p WHERE %s)', p_table.table_id, v_open) INTO v_any;
    IF NOT v_any THEN
        RETURN 0;
    END IF;
    SELECT format(' UNION ALL SELECT p.kj, ''update_update'', u.column_id, CASE u.column_id %s END, CASE u.column_id %s END, CASE u.column_id %s END, p.row_no, p.torn && ARRAY[0, u.column_id]
                      FROM plan AS p CROSS JOIN LATERAL unnest(p.cells) AS u(column_id)',
                  string_agg(format(v.cell, c.column_id, v.as_json, 'b'), ' '), string_agg(format(v.cell, c.column_id, v.as_json, 'o'), ' '), string_agg(format(v.cell, c.column_id, v.as_json, 't'), ' '))
      INTO v_cells
      FROM pggit._columns_at(p_table.table_id, pggit._target()) AS c
     CROSS JOIN LATERAL (SELECT 'WHEN %1$s THEN %2$s((p.%3$s).c%1$s)' AS cell, CASE WHEN pggit._holds_json(c.type_name) THEN 'pggit._to_jsonb' ELSE 'to_jsonb' END AS as_json) AS v
     WHERE c.generated_as IS NULL AND pggit._may_be_written_otherwise(c)
    HAVING count(*) > 0;

    EXECUTE format($sql$
        WITH plan AS MATERIALIZED (
            SELECT p.*, %1$s AS kj FROM pg_temp.pggit_plan_%2$s AS p WHERE %7$s
        ), found (key, kind, column_id, base, ours, theirs, row_no, is_torn) AS (
            SELECT p.kj, p.outcome, NULL::integer, %3$s, %4$s, %5$s, p.row_no, p.torn <> '{}' FROM plan AS p WHERE p.outcome <> 'cells' %6$s
        )
        INSERT INTO pggit.conflicts (merge_id, conflict_no, conflict_id, kind, table_id, key, column_id, base, ours, theirs, plan_row, is_torn)
        SELECT $1, (SELECT coalesce(max(x.conflict_no), 0) FROM pggit.conflicts AS x WHERE x.merge_id = $1)
                   + row_number() OVER (ORDER BY f.key, f.column_id),
               pggit._conflict_id($2, f.key, c.name, f.kind, f.base, f.ours, f.theirs),
               f.kind, $3, f.key, f.column_id, f.base, f.ours, f.theirs, f.row_no, f.is_torn
          FROM found AS f LEFT JOIN pggit._columns_at($3, pggit._target()) AS c ON c.column_id = f.column_id
        $sql$,
        pggit._key_object_sql(p_table.table_id, '(coalesce(p.o, p.t))'), p_table.table_id,
        pggit._row_json_sql(p_table.table_id, 'p.b'), pggit._row_json_sql(p_table.table_id, 'p.o'), pggit._row_json_sql(p_table.table_id, 'p.t'),
        coalesce(v_cells, ''), v_open)
      USING p_merge_id, format('%I.%I', p_table.schema_name, p_table.table_name), p_table.table_id;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    RETURN v_rows;
END;
$$;

COMMENT ON FUNCTION pggit._list_conflicts(uuid, pggit.tables) IS
'Writes the conflicts of a planned table to pggit.conflicts and returns their number. The id of a conflict is made from table, key, column, kind and the three
values, so the same conflict has the same id in every plan.';

CREATE OR REPLACE FUNCTION pggit._index_rows(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF to_regclass(format('pg_temp.pggit_plan_%s_row_no', p_table_id)) IS NULL THEN
        EXECUTE format('CREATE UNIQUE INDEX pggit_plan_%1$s_row_no ON pg_temp.pggit_plan_%1$s (row_no)', p_table_id);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._index_rows(integer) IS
'Makes the rows of a table''s plan ready to be written one by one, by row_no.';

CREATE OR REPLACE FUNCTION pggit._take_resolutions(p_merge_id uuid, p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
AS $$
DECLARE
    v_plan     text := format('pg_temp.pggit_plan_%s', p_table_id);
    v_column   integer;
    v_conflict pggit.conflicts;
BEGIN
    IF NOT EXISTS (SELECT FROM pggit.conflicts AS c WHERE c.merge_id = p_merge_id AND c.table_id = p_table_id AND c.resolution IS NOT NULL) THEN
        RETURN;
    END IF;

    EXECUTE format('UPDATE %s AS p SET want = CASE c.resolution WHEN ''ours'' THEN p.o WHEN ''theirs'' THEN p.t ELSE p.b END
                      FROM pggit.conflicts AS c
                     WHERE c.merge_id = $1 AND c.table_id = $2 AND c.plan_row = p.row_no AND c.column_id IS NULL AND c.resolution IN (''ours'', ''theirs'', ''base'')', v_plan)
      USING p_merge_id, p_table_id;
    FOR v_column IN SELECT DISTINCT c.column_id FROM pggit.conflicts AS c WHERE c.merge_id = p_merge_id AND c.table_id = p_table_id AND c.column_id IS NOT NULL LOOP
        EXECUTE format('UPDATE %1$s AS p SET want.c%2$s = CASE c.resolution WHEN ''ours'' THEN (p.o).c%2$s WHEN ''theirs'' THEN (p.t).c%2$s ELSE (p.b).c%2$s END
                          FROM pggit.conflicts AS c
                         WHERE c.merge_id = $1 AND c.table_id = $2 AND c.plan_row = p.row_no AND c.column_id = %2$s AND c.resolution IN (''ours'', ''theirs'', ''base'')', v_plan, v_column)
          USING p_merge_id, p_table_id;
    END LOOP;

    FOR v_conflict IN SELECT c.* FROM pggit.conflicts AS c
                       WHERE c.merge_id = p_merge_id AND c.table_id = p_table_id AND c.resolution = 'value' AND c.rule IS NULL ORDER BY c.conflict_no LOOP
        PERFORM pggit._index_rows(p_table_id);
        EXECUTE format('UPDATE %s AS p SET %s WHERE p.row_no = %s', v_plan,
                       CASE WHEN v_conflict.column_id IS NULL THEN 'want = ' || pggit._row_from_json_sql(p_table_id, v_conflict.resolved_value)
                            ELSE format('want.c%s = %s', v_conflict.column_id,
                                        pggit._cell_from_json_sql(p_table_id, v_conflict.column_id, v_conflict.resolved_value)) END,
                       v_conflict.plan_row);
    END LOOP;

    EXECUTE format('UPDATE %s AS p
                       SET action = CASE WHEN p.o IS NULL AND NOT p.want IS NULL THEN ''insert'' WHEN p.want IS NULL AND NOT p.o IS NULL THEN ''delete''
                                         WHEN p.o *<> p.want THEN ''update'' ELSE ''none'' END
                     WHERE p.outcome NOT IN (''take'', ''keep'')', v_plan);
END;
$$;

COMMENT ON FUNCTION pggit._take_resolutions(uuid, integer) IS
'Puts the resolutions given so far into the wanted rows of a planned table.';

CREATE OR REPLACE FUNCTION pggit._composite_text(p_table_id integer, p_column_id integer, p_value text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT '(' || string_agg(CASE a.attname WHEN 'c' || p_column_id THEN '"' || replace(replace(p_value, E'\\', E'\\\\'), '"', '""') || '"' ELSE '' END, ',' ORDER BY a.attnum) || ')'
              FROM pg_attribute AS a
             WHERE a.attrelid = format('pggit._delta_%s', p_table_id)::regclass AND a.attnum > 0 AND NOT a.attisdropped);
END;
$$;

COMMENT ON FUNCTION pggit._composite_text(integer, integer, text) IS
'A row of the delta''s row type, in text, with one column set. Read as that type it goes through the column''s input function, which refuses what an explicit cast would cut.';

CREATE OR REPLACE FUNCTION pggit._cell_from_json_sql(p_table_id integer, p_column_id integer, p_value jsonb)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN p_value IS NULL OR (p_value = 'null' AND c.type_name NOT IN ('json', 'jsonb')) THEN format('NULL::%s', c.type_name)
                        WHEN c.type_name IN ('json', 'jsonb') THEN format('%L::%s', p_value, c.type_name)
                        WHEN jsonb_typeof(p_value) = 'object' AND t.typname = 'hstore'
                            THEN format('(SELECT coalesce(%1$I.hstore(array_agg(e.key), array_agg(e.value)), '''') FROM jsonb_each_text(%2$L) AS e)', t.typnamespace::regnamespace, p_value)
                        WHEN jsonb_typeof(p_value) IN ('array', 'object')
                            THEN format('(jsonb_populate_record(NULL::pggit._delta_%s, jsonb_build_object(%L, %L::jsonb))).c%s',
                                        p_table_id, 'c' || p_column_id, p_value, p_column_id)
                        ELSE format('(%L::pggit._delta_%s).c%s', pggit._composite_text(p_table_id, p_column_id, p_value #>> '{}'), p_table_id, p_column_id) END
              FROM pggit._columns_at(p_table_id, pggit._target()) AS c LEFT JOIN pg_type AS t ON t.oid = to_regtype(c.type_name)
             WHERE c.column_id = p_column_id);
END;
$$;

COMMENT ON FUNCTION pggit._cell_from_json_sql(integer, integer, jsonb) IS
'Expression: a cell''s value from JSON. Strings and numbers are read as PostgreSQL''s text form; JSON null is NULL, except in a json column.';

CREATE OR REPLACE FUNCTION pggit._row_from_json_sql(p_table_id integer, p_value jsonb)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN p_value IS NULL OR p_value = 'null' THEN format('NULL::pggit._delta_%s', p_table_id)
                   ELSE (SELECT format('ROW(0, %s)::pggit._delta_%s',
                                       string_agg(CASE WHEN c.column_id IS NULL THEN 'NULL' ELSE pggit._cell_from_json_sql(p_table_id, c.column_id, nullif(p_value -> c.name, 'null')) END,
                                                  ', ' ORDER BY s.attnum), p_table_id)
                           FROM pggit._store_columns(p_table_id) AS s LEFT JOIN pggit._columns_at(p_table_id, pggit._target()) AS c ON c.column_id = s.column_id) END);
END;
$$;

COMMENT ON FUNCTION pggit._row_from_json_sql(integer, jsonb) IS
'Expression: a whole row of the delta''s row type from a JSON object by column name, in which null is NULL, as in to_jsonb of a row; NULL or JSON null is no row.';
