CREATE OR REPLACE FUNCTION pggit._across_sql(p_from_id integer, p_from pggit._position, p_to_id integer, p_to pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_sides text[] := '{}';
    v_side  record;
BEGIN
    FOR v_side IN
        WITH shared AS MATERIALIZED (
            SELECT f.column_id AS from_column, t.column_id AS to_column, f.name AS from_name, t.name AS to_name, f.type_name AS from_type, t.type_name AS to_type,
                   CASE WHEN p_from_id > p_to_id THEN f.name ELSE t.name END AS name, CASE WHEN p_from_id > p_to_id THEN f.type_name ELSE t.type_name END AS type_name
              FROM pggit._same_columns(p_from_id, p_to_id) AS s JOIN pggit._shown_columns(p_from_id, p_from) AS f ON f.origin = s.a JOIN pggit._shown_columns(p_to_id, p_to) AS t ON t.origin = s.b
             WHERE f.generated_as IS NULL AND t.generated_as IS NULL
        )
        SELECT x.table_id, x.at, x.side,
               (SELECT coalesce(string_agg(CASE WHEN c.type_is = s.type_name THEN format('s.c%s::text', c.id) ELSE format('pggit._recast(s.c%s::text, %L)', c.id, s.type_name) END, ', ' ORDER BY s.name), '')
                  FROM shared AS s CROSS JOIN LATERAL (SELECT CASE x.side WHEN 'old' THEN s.from_column ELSE s.to_column END AS id, CASE x.side WHEN 'old' THEN s.from_type ELSE s.to_type END AS type_is) AS c) AS cells,
               (SELECT format('unnest(%L::text[], %L::text[])', coalesce(array_agg(s.name), '{}'), coalesce(array_agg(CASE x.side WHEN 'old' THEN s.from_name ELSE s.to_name END), '{}')) FROM shared AS s) AS names
          FROM (VALUES ('old', p_from_id, p_from), ('new', p_to_id, p_to)) AS x(side, table_id, at)
    LOOP
        v_sides := v_sides || format('SELECT p.k, count(*) AS n, (array_agg(p.r))[1] AS r FROM pggit._pinned(%L) AS p(k text[], r pggit._delta_%s) GROUP BY p.k',
                                     format('SELECT ARRAY[%s]::text[], %s FROM (%s) AS s', v_side.cells, pggit._as_row_sql(v_side.table_id, 's', v_side.at), pggit._state_sql(v_side.table_id, v_side.at)), v_side.table_id)
                           || format('(SELECT coalesce(jsonb_object_agg(m.name, j.j -> m.its), ''{}'') FROM %s AS m(name, its), (SELECT %s AS j FROM (%s) AS r) AS j)', v_side.names,
                                     pggit._json_sql(v_side.table_id, 'r', v_side.at),
                                     pggit._named_sql(v_side.table_id, format('SELECT %s', pggit._record_columns(v_side.table_id, v_side.side || '.r', v_side.at)), v_side.at));
    END LOOP;
    RETURN format('WITH old AS MATERIALIZED (%s), new AS MATERIALIZED (%s)
                   SELECT ''delete'' AS change, %s AS j FROM old LEFT JOIN new USING (k) CROSS JOIN generate_series(1, old.n - coalesce(new.n, 0))
                   UNION ALL
                   SELECT ''insert'', %s FROM new LEFT JOIN old USING (k) CROSS JOIN generate_series(1, new.n - coalesce(old.n, 0))', v_sides[1], v_sides[3], v_sides[2], v_sides[4]);
END;
$$;

COMMENT ON FUNCTION pggit._across_sql(integer, pggit._position, integer, pggit._position) IS
'SELECT (change, j) of the rows that came and went between two positions at which a table was there as another one (pggit._generation_at): rows are compared by their texts, in the columns that both have and as the
younger writes them, and counted; j has these columns under their names of now. Cost follows the tables.';

CREATE OR REPLACE FUNCTION pggit._diff(p_from pggit._position, p_to pggit._position)
    RETURNS TABLE (table_name text, inserted bigint, updated bigint, deleted bigint)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table pggit.tables;
    v_old   pggit.tables;
    v_gone  integer[] := '{}';
BEGIN
    FOR v_table IN SELECT t.* FROM pggit._changed_tables(p_from, p_to) AS t LOOP
        v_old := pggit._generation_at(v_table, p_from);
        IF v_old.table_id <> v_table.table_id THEN
            PERFORM pggit._require_no_gap(v_old, p_from);
            table_name := format('%I.%I', v_table.schema_name, v_table.table_name);
            updated    := 0;
            EXECUTE format('SELECT count(*) FILTER (WHERE d.change = ''insert''), count(*) FILTER (WHERE d.change = ''delete'') FROM (%s) AS d', pggit._across_sql(v_old.table_id, p_from, v_table.table_id, p_to))
               INTO inserted, deleted;
            v_gone := v_gone || v_old.table_id;
            RETURN NEXT;
            CONTINUE;
        END IF;
        SELECT c.inserted, c.updated, c.deleted INTO inserted, updated, deleted FROM pggit._count_changes(v_table.table_id, p_from, p_to) AS c;
        IF inserted + updated + deleted > 0 OR pggit._is_reshaped(v_table.table_id, p_from, p_to) OR pggit._is_away(v_table.table_id, p_from) THEN
            table_name := format('%I.%I', v_table.schema_name, v_table.table_name);
            RETURN NEXT;
        END IF;
    END LOOP;
    FOR v_table IN SELECT t.* FROM pggit._tables_gone(p_from, p_to) AS t WHERE t.table_id <> ALL (v_gone) LOOP
        PERFORM pggit._require_no_gap(v_table, p_from);
        table_name := format('%I.%I', v_table.schema_name, v_table.table_name);
        inserted   := 0;
        updated    := 0;
        EXECUTE format('SELECT count(*) FROM (%s) AS s', pggit._state_sql(v_table.table_id, p_from)) INTO deleted;
        RETURN NEXT;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._diff(pggit._position, pggit._position) IS
'Net changes between two positions, table by table; tables whose columns or key alone are others come with zeros, and those that came or went with all their rows.';

CREATE OR REPLACE FUNCTION pggit.diff(p_from text DEFAULT 'HEAD', p_to text DEFAULT 'WORKING')
    RETURNS TABLE (table_name text, inserted bigint, updated bigint, deleted bigint)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_from record;
    v_to   record;
BEGIN
    PERFORM pggit._follow_changed();
    v_from := pggit._ref(p_from);
    v_to   := pggit._ref(p_to);
    PERFORM pggit._require_table_at(t, v_from.at, p_from) FROM pggit.tables AS t
      WHERE t.untracked_at IS NULL AND t.relation IN (SELECT o.relation FROM pggit.tables AS o WHERE o.untracked_at IS NOT NULL)
        AND pggit._has_begun_anew(pggit._generation_at(t, v_from.at), v_from.at) AND pggit._presence(t, v_to.at) = 'present';
    RETURN QUERY SELECT d.* FROM pggit._diff(v_from.at, v_to.at) AS d;
    PERFORM pggit._require_readable(v_from.commit_id, v_from.at), pggit._require_readable(v_to.commit_id, v_to.at);
END;
$$;

COMMENT ON FUNCTION pggit.diff(text, text) IS
'Net rows inserted, updated and deleted between two refs, table by table; WORKING is the current branch as it is now. Without refs: what is not committed.
Cost follows the changes, not the tables. Tables tracked at p_to are compared. Rows are compared in the columns that both refs have; a table whose columns alone are others
comes with zeros. Raises VG001, VG002, VG005 (the history of a table has begun anew in between, as when its primary key changes), VG009, VG205, VG306 (what dropped or retyped columns held was not saved).';

CREATE OR REPLACE FUNCTION pggit._without_unshared_sql(p_table_id integer, p_from pggit._position, p_to pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN pggit._is_keyless(p_table_id) AND pggit._is_reshaped(p_table_id, p_from, p_to)
                        THEN format(' - %L::text[]', ARRAY(SELECT s.name FROM (SELECT * FROM pggit._shown_columns(p_table_id, p_from) UNION SELECT * FROM pggit._shown_columns(p_table_id, p_to)) AS s
                                                            WHERE s.column_id <> ALL (pggit._shared_columns(p_table_id, p_from, p_to))))
                        ELSE '' END);
END;
$$;

COMMENT ON FUNCTION pggit._without_unshared_sql(integer, pggit._position, pggit._position) IS
'What takes columns out of the JSON of a changed row of a table without a key, which says nothing of columns that only one of two positions has.';

CREATE OR REPLACE FUNCTION pggit.diff_rows(p_table text, p_from text, p_to text DEFAULT 'WORKING')
    RETURNS TABLE (change text, key jsonb, old_row jsonb, new_row jsonb)
    LANGUAGE plpgsql
    SET enable_nestloop = off SET enable_memoize = off SET jit = off
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_table pggit.tables;
    v_older pggit.tables;
    v_from  record;
    v_to    record;
BEGIN
    PERFORM pggit._follow_changed(pggit._relation(p_table));
    v_table := pggit._table(p_table);
    PERFORM pggit._hold_base(v_table.table_id);
    v_from := pggit._ref(p_from);
    v_to   := pggit._ref(p_to);
    v_older := pggit._generation_at(v_table, v_from.at);
    v_table := pggit._generation_at(v_table, v_to.at);
    IF pggit._presence(v_table, v_to.at) = 'absent' THEN
        v_table := v_older;
    ELSIF v_older.table_id <> v_table.table_id AND pggit._presence(v_older, v_from.at) <> 'absent' THEN
        PERFORM pggit._require_table_at(v_older, v_from.at, p_from), pggit._require_table_at(v_table, v_to.at, p_to);
        RETURN QUERY EXECUTE format('SELECT d.change, d.j, CASE d.change WHEN ''delete'' THEN d.j END, CASE d.change WHEN ''insert'' THEN d.j END FROM (%s) AS d ORDER BY 2, 1',
                                    pggit._across_sql(v_older.table_id, v_from.at, v_table.table_id, v_to.at));
        PERFORM pggit._require_readable(v_from.commit_id, v_from.at), pggit._require_readable(v_to.commit_id, v_to.at);
        RETURN;
    END IF;
    -- One that came or went between the refs has no rows at one of them.
    PERFORM pggit._require_table_at(v_table, v_from.at, p_from) WHERE NOT pggit._is_away(v_table.table_id, v_from.at);
    PERFORM pggit._require_table_at(v_table, v_to.at, p_to) WHERE NOT pggit._is_away(v_table.table_id, v_to.at);
    PERFORM pggit._require_comparable(v_table, v_from.at, v_to.at);
    RETURN QUERY EXECUTE format($sql$
        WITH changes AS MATERIALIZED (%1$s)
        SELECT c.change, %2$s, before.j, after.j
          FROM changes AS c
          LEFT JOIN LATERAL (SELECT %5$s%7$s AS j FROM (%3$s) AS r) AS before ON c.change <> 'insert'
          LEFT JOIN LATERAL (SELECT %6$s%7$s AS j FROM (%4$s) AS r) AS after ON c.change <> 'delete'
         ORDER BY 2, 1$sql$,
        pggit._changes_sql(v_table.table_id, v_from.at, v_to.at, pggit._count_keys(v_table.table_id, v_from.at, v_to.at)), pggit._key_json(v_table.table_id, 'coalesce(after.j, before.j)'),
        pggit._named_sql(v_table.table_id, format('SELECT %s', pggit._record_columns(v_table.table_id, 'c.o', v_from.at)), v_from.at),
        pggit._named_sql(v_table.table_id, format('SELECT %s', pggit._record_columns(v_table.table_id, 'c.n', v_to.at)), v_to.at),
        pggit._json_sql(v_table.table_id, 'r', v_from.at), pggit._json_sql(v_table.table_id, 'r', v_to.at),
        pggit._without_unshared_sql(v_table.table_id, v_from.at, v_to.at));
    PERFORM pggit._require_readable(v_from.commit_id, v_from.at), pggit._require_readable(v_to.commit_id, v_to.at);
END;
$$;

COMMENT ON FUNCTION pggit.diff_rows(text, text, text) IS
'The rows of one table that differ between two refs: insert, update or delete, the key, and the row before and after as JSON, in key order. Without a primary key rows are
counted: each that came or went is there as often as it did, a changed one as both, the key is the row itself, and only columns that both refs have are shown.
WORKING is the current branch as it is now. Each row has the columns its ref has, under their names of now; rows are compared in those that both have. Cost follows the
changes. Raises VG001, VG002, VG004, VG005, VG009, VG205, VG306.';
