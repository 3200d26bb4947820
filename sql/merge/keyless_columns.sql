-- Merging a table without a key whose columns are not the same everywhere. Rows are counted by the columns that base, ours and theirs have, in the merged types; what a side has added stays with
-- the rows that it stands beside. All rows of the three states are read.

CREATE OR REPLACE FUNCTION pggit._why_not_counted(p_table pggit.tables, p_bases text[], p_ours pggit._position, p_theirs pggit._position, p_names jsonb)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('column %I of table %I.%I, which has no primary key, is generated on one side and not on the other, so that nobody can tell which of its rows are the same',
                          coalesce((m.ours).name, (m.theirs).name, (m.base).name), p_table.schema_name, p_table.table_name)
              FROM pggit._merged_columns(p_table.table_id, p_bases, p_ours, p_theirs, p_names) AS m
             CROSS JOIN LATERAL (SELECT count(DISTINCT s.generated_as IS NULL) AS n FROM unnest(ARRAY[m.base, m.ours, m.theirs]) AS s WHERE s.column_id IS NOT NULL) AS kinds
             WHERE kinds.n > 1 LIMIT 1);
END;
$$;

COMMENT ON FUNCTION pggit._why_not_counted(pggit.tables, text[], pggit._position, pggit._position, jsonb) IS
'Why a table without a key with these columns can''t be merged, or NULL when it can.';

CREATE OR REPLACE FUNCTION pggit._counted_changes(p_table_id integer, p_base pggit._position, p_side pggit._position, p_from integer, p_to integer, p_new_row text)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    v_rest text := format('ROW(%s)::text COLLATE "C"', (SELECT string_agg('s.c' || u.id, ', ' ORDER BY u.id) FROM unnest(pggit._shared_columns(p_table_id, p_base, p_side)) AS u(id) WHERE u.id <> p_from));
    v_rows bigint;
BEGIN
    EXECUTE format($sql$
        WITH net AS MATERIALIZED (
            SELECT d.rest, d.cell, sum(d.n) AS n FROM pggit._pinned(%1$L) AS d(rest text, cell text, n integer) GROUP BY d.rest, d.cell HAVING sum(d.n) <> 0
        ), by_row AS (
            SELECT least(coalesce(sum(u.n) FILTER (WHERE u.n > 0), 0), -coalesce(sum(u.n) FILTER (WHERE u.n < 0), 0)) AS n FROM net AS u GROUP BY u.rest
        ), by_cell AS (
            SELECT sum(u.n) AS n FROM net AS u WHERE u.cell IS DISTINCT FROM %2$s GROUP BY u.cell HAVING sum(u.n) > 0
        )
        SELECT greatest((SELECT sum(b.n) FROM by_row AS b), (SELECT sum(b.n) FROM by_cell AS b WHERE %3$L), 0)$sql$,
        format('SELECT %1$s, s.c%2$s::text, 1 FROM (%3$s) AS s UNION ALL SELECT %1$s, s.c%4$s::text, -1 FROM (%5$s) AS s', v_rest, p_to, pggit._state_sql(p_table_id, p_side), p_from,
               pggit._state_sql(p_table_id, p_base)),
        CASE WHEN p_new_row IS NULL THEN 'NULL' ELSE format('pggit._pinned_text(%s)', p_new_row) END, p_new_row IS NOT NULL) INTO v_rows;
    RETURN v_rows;
END;
$$;

COMMENT ON FUNCTION pggit._counted_changes(integer, pggit._position, pggit._position, integer, integer, text) IS
'pggit._rows_with_changed_cell for a table without a key, from the column p_from of the base to p_to of a side: rows that are others in this column alone, or, if that is more, values that are there more often than before.
p_new_row: what new rows have in it, where that is known; others don''t count.';

CREATE OR REPLACE FUNCTION pggit._merged_cells(p_table_id integer, p_at pggit._position, p_missing jsonb, p_fills jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (WITH cells AS MATERIALIZED (
                SELECT c.column_id, c.name, c.type_name, w.column_id AS was, w.type_name AS was_type,
                       CASE WHEN w.column_id IS NULL THEN format('(%s)::%s', coalesce(p_missing ->> c.column_id::text, 'NULL'), c.type_name)
                            ELSE pggit._converted_sql('s.c' || w.column_id, w.type_name, c.type_name) END AS cell
                  FROM pggit._columns_at(p_table_id, pggit._target()) AS c
                  LEFT JOIN pggit._columns_at(p_table_id, p_at) AS w ON w.origin = c.origin AND w.generated_as IS NULL
                 WHERE c.generated_as IS NULL
            )
            SELECT jsonb_object_agg(c.column_id, CASE
                       WHEN p_fills ? c.column_id::text AND c.was_type <> c.type_name
                           THEN format('(SELECT (%s)::%s FROM (SELECT %s) AS r)', p_fills ->> c.column_id::text, c.type_name,
                                       (SELECT string_agg(format('%s AS %I', CASE o.column_id WHEN c.column_id THEN 's.c' || o.was ELSE o.cell END, o.name), ', ' ORDER BY o.column_id) FROM cells AS o))
                       ELSE c.cell END)
              FROM cells AS c);
END;
$$;

COMMENT ON FUNCTION pggit._merged_cells(integer, pggit._position, jsonb, jsonb) IS
'The merged columns of a row s of a state, expressions by column id: converted as an assignment does, or as p_fills says (by column id), over the row in which the column itself is what it was; p_missing has
those that the state has not got.';

CREATE OR REPLACE FUNCTION pggit._read_side(p_side text, p_table_id integer, p_at pggit._position, p_missing jsonb, p_fills jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_rows text := format('pg_temp.pggit_%s_%s', p_side, p_table_id);
BEGIN
    IF to_regclass(v_rows) IS NULL THEN
        EXECUTE format('CREATE TEMPORARY TABLE pggit_%2$s_%1$s (r pggit._delta_%1$s, plain pggit._delta_%1$s, was pggit._delta_%1$s, n integer, k text COLLATE "C", i bigint) ON COMMIT DROP', p_table_id, p_side);
    END IF;
    EXECUTE format('INSERT INTO %s (r, plain, was, n) SELECT %s, %s, %s, 1 FROM (%s) AS s', v_rows, pggit._merged_row_sql(p_table_id, 's', pggit._merged_cells(p_table_id, p_at, p_missing, p_fills)),
                   pggit._merged_row_sql(p_table_id, 's', pggit._merged_cells(p_table_id, p_at, p_missing, '{}')), pggit._as_row_sql(p_table_id, 's', p_at), pggit._state_sql(p_table_id, p_at));
END;
$$;

COMMENT ON FUNCTION pggit._read_side(text, integer, pggit._position, jsonb, jsonb) IS
'Reads the rows of a state into pggit_<side>_<table id>: r in the merged columns, plain likewise without p_fills, as the target has them once its columns have changed, was in the columns of then.';

CREATE OR REPLACE FUNCTION pggit._read_base(p_table_id integer, p_bases text[], p_fills jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF cardinality(p_bases) = 1 THEN
        PERFORM pggit._read_side('base', p_table_id, (pggit._ref(p_bases[1])).at, '{}', p_fills);
        RETURN;
    END IF;
    EXECUTE format('CREATE TEMPORARY TABLE pggit_base_%1$s ON COMMIT DROP AS
                    SELECT s.r, s.n::integer AS n, NULL::text COLLATE "C" AS k, NULL::bigint AS i FROM pggit._pinned(%2$L) AS s(k text, r pggit._delta_%1$s, n numeric)', p_table_id,
                   format('SELECT s.k, s.r, s.n::numeric FROM (%s) AS s', pggit._base_counts_sql(p_table_id, p_bases, p_fills)));
END;
$$;

COMMENT ON FUNCTION pggit._read_base(integer, text[], jsonb) IS
'Reads the rows that a merge starts from into pggit_base_<table id>: r in the merged columns, and how often there is each (n).';

CREATE OR REPLACE FUNCTION pggit._count_side(p_side text, p_table_id integer, p_shared integer[], p_own integer[], p_old jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_cells text := (SELECT string_agg(format('(s.r).c%s', c.id), ', ' ORDER BY c.id) FROM unnest(p_shared) AS c(id));
    v_old   text := (SELECT string_agg(format('(s.r).c%1$s::text IS NOT DISTINCT FROM (%2$s)::text', c.id, p_old ->> c.id::text), ' AND ' ORDER BY c.id)
                       FROM unnest(p_own) AS c(id) WHERE p_old ? c.id::text);
BEGIN
    EXECUTE format('UPDATE pg_temp.pggit_%1$s_%2$s AS s SET k = q.k, i = q.i FROM pggit._pinned(%3$L) AS q(at tid, k text, i bigint) WHERE s.ctid = q.at', p_side, p_table_id,
                   format('SELECT q.at, q.k, row_number() OVER (PARTITION BY q.k ORDER BY q.is_old DESC, q.t)
                             FROM (SELECT s.ctid AS at, ROW(%s)::text COLLATE "C" AS k, %s AS is_old, s.r::text COLLATE "C" AS t FROM pg_temp.pggit_%s_%s AS s) AS q',
                          v_cells, coalesce(v_old, 'true'), p_side, p_table_id));
    EXECUTE format('ANALYZE pg_temp.pggit_%s_%s (k, i)', p_side, p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._count_side(text, integer, integer[], integer[], jsonb) IS
'Gives the rows of pggit_<side>_<table id> what they are known by (k: the columns p_shared) and numbers among those that are the same in it (i), first those that have in the side''s own columns (p_own) what old rows got there
(p_old, by column id).';

CREATE OR REPLACE FUNCTION pggit._read_sides(p_table_id integer, p_bases text[], p_ours pggit._position, p_theirs pggit._position, p_shared integer[], p_mine integer[], p_yours integer[], p_old_ours jsonb,
                                             p_old_theirs jsonb, p_fills jsonb, p_new_ours jsonb, p_new_theirs jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_given  record := pggit._given_references(p_table_id, '(s.r)');
BEGIN
    PERFORM pggit._drop_temporary(format('pg_temp.pggit_%s_%s', s.side, p_table_id)) FROM unnest(ARRAY['base', 'ours', 'theirs', 'counts']) AS s(side);
    PERFORM pggit._read_base(p_table_id, p_bases, p_fills);
    IF v_given.joins <> '' THEN
        EXECUTE format('UPDATE pg_temp.pggit_base_%1$s AS u SET r = q.r FROM (SELECT s.ctid AS at, ROW(0, %2$s)::pggit._delta_%1$s AS r FROM pg_temp.pggit_base_%1$s AS s%3$s) AS q WHERE u.ctid = q.at', p_table_id,
                       (SELECT string_agg(coalesce(v_given.cells ->> c.column_id::text, format('(s.r).c%s', c.column_id)), ', ' ORDER BY c.attnum) FROM pggit._store_columns(p_table_id) AS c), v_given.joins);
    END IF;
    PERFORM pggit._read_side('ours', p_table_id, p_ours, p_new_theirs, p_fills), pggit._read_side('theirs', p_table_id, p_theirs, p_new_ours, p_fills);
    PERFORM pggit._count_side('base', p_table_id, p_shared, '{}', '{}'), pggit._count_side('ours', p_table_id, p_shared, p_mine, p_old_ours),
            pggit._count_side('theirs', p_table_id, p_shared, p_yours, p_old_theirs);
    EXECUTE format('CREATE TEMPORARY TABLE pggit_counts_%1$s ON COMMIT DROP AS
                    SELECT c.k, greatest(sum(c.b), 0) AS b, sum(c.o) AS o, sum(c.t) AS t
                      FROM (SELECT s.k, s.n AS b, 0 AS o, 0 AS t FROM pg_temp.pggit_base_%1$s AS s UNION ALL SELECT s.k, 0, 1, 0 FROM pg_temp.pggit_ours_%1$s AS s
                            UNION ALL SELECT s.k, 0, 0, 1 FROM pg_temp.pggit_theirs_%1$s AS s) AS c GROUP BY c.k', p_table_id);
    EXECUTE format('ANALYZE pg_temp.pggit_counts_%s', p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._read_sides(integer, text[], pggit._position, pggit._position, integer[], integer[], integer[], jsonb, jsonb, jsonb, jsonb, jsonb) IS
'Reads the three states of a table into pggit_base_, pggit_ours_ and pggit_theirs_<table id>, and into pggit_counts_<table id> how often there is what, in the columns that all have (p_shared). p_mine, p_yours: columns that
ours, or theirs, has beside; p_old_ours, p_old_theirs: what old rows got in them; p_new_ours, p_new_theirs: what the other side''s rows get in them.';

CREATE OR REPLACE FUNCTION pggit._is_converted(p_table_id integer, p_side text, p_shared integer[], p_column_id integer)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_cells text := (SELECT string_agg(format('(s.r).c%s', c.id), ', ' ORDER BY c.id) FROM unnest(p_shared) AS c(id) WHERE c.id <> p_column_id);
    v_other text := CASE p_side WHEN 'ours' THEN 'theirs' ELSE 'ours' END;
    v_is    boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM pg_temp.pggit_counts_%s AS c WHERE c.%s <> c.b)', p_table_id, left(v_other, 1)) INTO v_is;
    IF NOT v_is THEN
        RETURN false;
    END IF;
    EXECUTE format($sql$
        WITH net AS MATERIALIZED (SELECT d.rest, sum(d.n) AS n FROM pggit._pinned(%1$L) AS d(rest text, cell text, n integer) GROUP BY d.rest, d.cell HAVING sum(d.n) <> 0)
        SELECT coalesce(sum(p.n), 0) * 2 > (SELECT sum(c.b) FROM pg_temp.pggit_counts_%2$s AS c)
          FROM (SELECT least(coalesce(sum(u.n) FILTER (WHERE u.n > 0), 0), -coalesce(sum(u.n) FILTER (WHERE u.n < 0), 0)) AS n FROM net AS u GROUP BY u.rest) AS p$sql$,
        format('SELECT ROW(%1$s)::text COLLATE "C", (s.r).c%2$s::text, s.n FROM pg_temp.pggit_%3$s_%4$s AS s UNION ALL SELECT ROW(%1$s)::text COLLATE "C", (s.r).c%2$s::text, -s.n FROM pg_temp.pggit_base_%4$s AS s',
               v_cells, p_column_id, p_side, p_table_id), p_table_id) INTO v_is;
    RETURN v_is;
END;
$$;

COMMENT ON FUNCTION pggit._is_converted(integer, text, integer[], integer) IS
'Whether a side gave a column another type in a way of its own, so that most of its rows are not those of the base, and the other side has changed any.';

CREATE OR REPLACE FUNCTION pggit._fill_counted(p_merge pggit.merges, p_table pggit.tables, p_column pggit.columns, p_rows text, p_was_id integer DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_id    integer := p_table.table_id;
    v_row   text    := pggit._named_sql(p_table.table_id, format('SELECT %s', pggit._record_columns(p_table.table_id, 'p.r', pggit._target())), pggit._target());
    v_count bigint;
    v_fill  text;
BEGIN
    IF p_was_id IS NOT NULL THEN
        v_row := format('SELECT %s FROM (%s) AS n', (SELECT string_agg(CASE c.column_id WHEN p_column.column_id THEN format('(p.was).c%s AS %I', p_was_id, c.name) ELSE format('n.%I', c.name) END, ', ' ORDER BY c.attnum)
                                                       FROM pggit._shown_columns(v_id, pggit._target()) AS c), v_row);
    END IF;
    EXECUTE format('SELECT count(*) FROM pg_temp.pggit_merged_%s AS p WHERE %s', v_id, p_rows) INTO v_count;
    IF v_count = 0 THEN
        RETURN;
    END IF;
    v_fill := pggit._fill_expression(p_merge, p_table, p_column, v_count);
    IF v_fill IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('UPDATE pg_temp.pggit_merged_%s AS p SET r.c%s = (SELECT (%s)::%s FROM (%s) AS r) WHERE %s', v_id, p_column.column_id, v_fill, p_column.type_name, v_row,
                   p_rows);
EXCEPTION
    WHEN OTHERS THEN
        IF NOT pggit._is_ours_to_judge(SQLSTATE) THEN
            RAISE;
        END IF;
        PERFORM pggit._refuse_fill(p_table, p_column.name, SQLERRM);
END;
$$;

COMMENT ON FUNCTION pggit._fill_counted(pggit.merges, pggit.tables, pggit.columns, text, integer) IS
'Fills a column in those rows p of pggit_merged_<table id> for which a condition holds, if there are any, by the option fill or a resolution; otherwise a conflict of kind needs_fill is opened. In the expression
the column itself is what the column p_was_id was, before it was converted. Raises VG312.';

CREATE OR REPLACE FUNCTION pggit._plan_keyless_columns(p_merge pggit.merges, p_table pggit.tables, p_bases text[], p_before pggit._position, p_ours pggit._position, p_theirs pggit._position)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_id         integer  := p_table.table_id;
    v_relation   regclass := pggit._relation_at(p_table.table_id, (p_ours).branch_id);
    v_shared     integer[];
    v_mine       integer[];
    v_yours      integer[];
    v_old_ours   jsonb;
    v_old_theirs jsonb;
    v_new_ours   jsonb;
    v_new_theirs jsonb;
    v_fills      jsonb := '{}';
    v_fill       text;
    v_column     record;
    v_any        boolean;
    v_rows       bigint;
BEGIN
    -- Of what theirs added, the target's rows have by now what old rows of theirs got, or the default that came later (pggit._column_commands).
    SELECT coalesce(array_agg(c.column_id ORDER BY c.column_id) FILTER (WHERE m.base_id IS NOT NULL AND m.ours_id IS NOT NULL AND m.theirs_id IS NOT NULL), '{}'),
           coalesce(array_agg(c.column_id ORDER BY c.column_id) FILTER (WHERE m.ours_id IS NOT NULL AND (m.base_id IS NULL OR m.theirs_id IS NULL)), '{}'),
           coalesce(array_agg(c.column_id ORDER BY c.column_id) FILTER (WHERE m.theirs_id IS NOT NULL AND (m.base_id IS NULL OR m.ours_id IS NULL)), '{}'),
           coalesce(jsonb_object_agg(c.column_id, o.value || '::' || c.type_name) FILTER (WHERE m.ours_id IS NOT NULL AND o.value IS NOT NULL), '{}'),
           coalesce(jsonb_object_agg(c.column_id, t.value || '::' || c.type_name) FILTER (WHERE m.theirs_id IS NOT NULL AND t.value IS NOT NULL), '{}'),
           coalesce(jsonb_object_agg(c.column_id, coalesce(o.value, o.made) || '::' || c.type_name) FILTER (WHERE m.ours_id IS NOT NULL AND coalesce(o.value, o.made) IS NOT NULL), '{}'),
           coalesce(jsonb_object_agg(c.column_id, coalesce(t.value, t.made) || '::' || c.type_name) FILTER (WHERE m.theirs_id IS NOT NULL AND coalesce(t.value, t.made) IS NOT NULL), '{}')
      INTO v_shared, v_mine, v_yours, v_old_ours, v_old_theirs, v_new_ours, v_new_theirs
      FROM pg_temp.pggit_merged_columns AS m JOIN pggit._columns_at(v_id, pggit._target()) AS c ON c.origin = m.origin AND c.generated_as IS NULL
     CROSS JOIN LATERAL (SELECT pggit._value_of_old_rows(v_relation, c.name) AS value, pggit._constant_default(v_relation, c.name) AS made) AS o
     CROSS JOIN LATERAL (SELECT pggit._value_of_old_rows(m.their_relation, m.their_name) AS value, pggit._constant_default(m.their_relation, m.their_name) AS made) AS t
     WHERE m.table_id = v_id;
    PERFORM pggit._read_sides(v_id, p_bases, p_before, p_theirs, v_shared, v_mine, v_yours, v_old_ours, v_old_theirs, '{}', v_new_ours, v_new_theirs);

    FOR v_column IN
        SELECT c, s.side
          FROM pg_temp.pggit_merged_columns AS m
          JOIN pggit._columns_at(v_id, pggit._target()) AS c ON c.origin = m.origin AND c.column_id = ANY (v_shared)
         CROSS JOIN LATERAL (VALUES ('ours', p_before), ('theirs', p_theirs)) AS s(side, at)
          JOIN pggit._columns_at(v_id, s.at) AS w ON w.origin = c.origin AND w.type_name = c.type_name
         WHERE m.table_id = v_id AND EXISTS (SELECT FROM pggit._columns_at(v_id, (pggit._ref(p_bases[1])).at) AS b WHERE b.origin = c.origin AND b.column_id <> w.column_id AND b.type_name <> c.type_name)
         ORDER BY c.column_id, s.side
    LOOP
        CONTINUE WHEN v_fills ? ((v_column.c).column_id)::text OR NOT pggit._is_converted(v_id, v_column.side, v_shared, (v_column.c).column_id);
        EXECUTE format('SELECT sum(abs(c.%s - c.b)) FROM pg_temp.pggit_counts_%s AS c', CASE v_column.side WHEN 'ours' THEN 't' ELSE 'o' END, v_id) INTO v_rows;
        v_fill  := pggit._fill_expression(p_merge, p_table, v_column.c, v_rows);
        v_fills := v_fills || CASE WHEN v_fill IS NULL THEN '{}' ELSE jsonb_build_object((v_column.c).column_id, v_fill) END;
    END LOOP;
    IF v_fills <> '{}' THEN
        BEGIN
            PERFORM pggit._read_sides(v_id, p_bases, p_before, p_theirs, v_shared, v_mine, v_yours, v_old_ours, v_old_theirs, v_fills, v_new_ours, v_new_theirs);
        EXCEPTION WHEN OTHERS THEN
            IF NOT pggit._is_ours_to_judge(SQLSTATE) THEN
                RAISE;
            END IF;
            PERFORM pggit._refuse_fill(p_table, (SELECT string_agg(c.name, ', ') FROM pggit._columns_at(v_id, pggit._target()) AS c WHERE v_fills ? c.column_id::text), SQLERRM);
        END;
    END IF;

    PERFORM pggit._drop_temporary(format('pg_temp.pggit_merged_%s', v_id));
    EXECUTE format($sql$
        CREATE TEMPORARY TABLE pggit_merged_%1$s ON COMMIT DROP AS
        SELECT 'both' AS side, ROW(0, %2$s)::pggit._delta_%1$s AS r, o.r AS o, t.r AS t, o.was
          FROM pg_temp.pggit_counts_%1$s AS c JOIN pg_temp.pggit_ours_%1$s AS o USING (k) JOIN pg_temp.pggit_theirs_%1$s AS t USING (k, i)
         WHERE o.i <= greatest(c.o + c.t - c.b, 0) - greatest(c.o - c.b, 0) - greatest(c.t - c.b, 0)
        UNION ALL SELECT 'ours', o.r, o.r, NULL, o.was FROM pg_temp.pggit_counts_%1$s AS c JOIN pg_temp.pggit_ours_%1$s AS o USING (k) WHERE o.i > c.b
        UNION ALL SELECT 'theirs', t.r, NULL, t.r, t.was FROM pg_temp.pggit_counts_%1$s AS c JOIN pg_temp.pggit_theirs_%1$s AS t USING (k) WHERE t.i > c.b$sql$, v_id,
        (SELECT string_agg(CASE WHEN c.column_id = ANY (v_mine) AND c.column_id = ANY (v_yours)
                                THEN format('CASE WHEN pggit._pinned_text((o.r).c%1$s) IS NOT DISTINCT FROM pggit._pinned_text(%2$s) THEN (t.r).c%1$s ELSE (o.r).c%1$s END', c.column_id,
                                            pggit._value_before_both(c.column_id, v_old_ours, v_old_theirs))
                                WHEN c.column_id = ANY (v_yours) THEN format('(t.r).c%s', c.column_id) ELSE format('(o.r).c%s', c.column_id) END, ', ' ORDER BY c.attnum) FROM pggit._store_columns(v_id) AS c));

    -- What a side has filled, the new rows of the other side lack.
    FOR v_column IN
        SELECT c, s.side, s.other, s.relation, s.name, s.old, s.old IS NULL AND NOT s.is_past AS is_number, m.is_identity, s.is_past AND m.is_required AND s.side = 'theirs' AS is_asked
          FROM pg_temp.pggit_merged_columns AS m
          JOIN pggit._columns_at(v_id, pggit._target()) AS c ON c.origin = m.origin
         CROSS JOIN LATERAL (VALUES ('ours', 'theirs', v_relation, c.name, v_old_ours ->> c.column_id::text, false, c.column_id = ANY (v_mine) AND NOT c.column_id = ANY (v_yours)),
                                    ('theirs', 'ours', m.their_relation, m.their_name, v_old_theirs ->> c.column_id::text, m.is_past, c.column_id = ANY (v_yours) AND NOT c.column_id = ANY (v_mine)))
               AS s(side, other, relation, name, old, is_past, is_own)
         WHERE m.table_id = v_id AND s.is_own
         ORDER BY c.column_id
    LOOP
        v_fill := coalesce(v_column.old, pggit._constant_default(v_column.relation, v_column.name) || '::' || (v_column.c).type_name);
        v_any  := coalesce(v_column.is_asked, false);
        IF v_fill IS NOT NULL THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM pg_temp.pggit_merged_%1$s AS p WHERE p.side = ''both'' AND (%5$L OR (p.%2$s).c%3$s IS DISTINCT FROM NULL)
                                                                                      AND pggit._pinned_text((p.%2$s).c%3$s) IS DISTINCT FROM pggit._pinned_text(%4$s))',
                           v_id, left(v_column.side, 1), (v_column.c).column_id, v_fill, v_column.old IS NOT NULL) INTO v_any;
        END IF;
        IF v_any THEN
            PERFORM pggit._fill_counted(p_merge, p_table, v_column.c, format('p.side = %L', v_column.other));
        ELSIF v_column.is_number THEN
            PERFORM pggit._number_counted(p_table, v_column.c, v_column.other, v_column.side = 'theirs' AND v_column.is_identity);
        END IF;
    END LOOP;
    FOR v_column IN SELECT c FROM pggit._columns_at(v_id, pggit._target()) AS c WHERE c.column_id = ANY (v_mine) AND c.column_id = ANY (v_yours) ORDER BY c.column_id LOOP
        PERFORM pggit._fill_counted(p_merge, p_table, v_column.c, format(
            'p.side = ''both'' AND pggit._pinned_text((p.o).c%1$s) IS DISTINCT FROM pggit._pinned_text((p.t).c%1$s) AND pggit._pinned_text((p.o).c%1$s) IS DISTINCT FROM pggit._pinned_text(%2$s)
                               AND pggit._pinned_text((p.t).c%1$s) IS DISTINCT FROM pggit._pinned_text(%2$s)', (v_column.c).column_id,
            pggit._value_before_both((v_column.c).column_id, v_old_ours, v_old_theirs)));
    END LOOP;
    FOR v_column IN
        SELECT c, s.side, w FROM pggit._columns_at(v_id, pggit._target()) AS c CROSS JOIN LATERAL (VALUES ('ours', p_before), ('theirs', p_theirs)) AS s(side, at)
         CROSS JOIN LATERAL (SELECT k FROM pggit._columns_at(v_id, s.at) AS k WHERE k.origin = c.origin AND k.generated_as IS NULL AND k.column_id <> c.column_id AND k.type_name <> c.type_name) AS w(w)
         WHERE c.generated_as IS NULL AND NOT v_fills ? c.column_id::text
         ORDER BY c.column_id, s.side
    LOOP
        PERFORM pggit._fill_counted(p_merge, p_table, v_column.c, format('p.side = %L AND %s', v_column.side,
                                    pggit._loses_sql(format('(p.was).c%s', (v_column.w).column_id), (v_column.w).type_name, (v_column.c).type_name)), (v_column.w).column_id);
    END LOOP;

    PERFORM pggit._drop_temporary(format('pg_temp.pggit_net_%s', v_id));
    EXECUTE format('CREATE TEMPORARY TABLE pggit_net_%1$s ON COMMIT DROP AS SELECT s.k, s.r, s.n::bigint AS n FROM pggit._pinned(%2$L) AS s(k text, r pggit._delta_%1$s, n bigint)', v_id,
                   pggit._net_sql(format('SELECT %1$s, 1 AS n FROM pg_temp.pggit_merged_%3$s AS p UNION ALL SELECT %2$s, -1 FROM pg_temp.pggit_ours_%3$s AS s',
                                         pggit._counted_sql(v_id, pggit._shared_columns(v_id, pggit._target(), pggit._target()), '(p.r)'),
                                         pggit._counted_sql(v_id, pggit._shared_columns(v_id, pggit._target(), pggit._target()), '(s.plain)'), v_id)));
    PERFORM pggit._plan_net(v_id, p_ours);
    PERFORM pggit._drop_temporary(format('pg_temp.pggit_%s_%s', s.side, v_id)) FROM unnest(ARRAY['base', 'ours', 'theirs', 'counts', 'merged', 'net']) AS s(side);
END;
$$;

COMMENT ON FUNCTION pggit._plan_keyless_columns(pggit.merges, pggit.tables, text[], pggit._position, pggit._position, pggit._position) IS
'pggit._plan_keyless where the columns are not the same everywhere. Rows are the same that are alike in the columns which all three states have: of these there are ours + theirs - base, each beside one of the other side where
there are two, so that what either has filled in columns of its own stays. New rows of one side, what both filled differently, and conversions that are not the plain one ask for values as in pggit._fill_columns.';

CREATE OR REPLACE FUNCTION pggit._value_before_both(p_column_id integer, p_old_ours jsonb, p_old_theirs jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT CASE WHEN p_old_ours -> p_column_id::text = p_old_theirs -> p_column_id::text THEN p_old_ours ->> p_column_id::text ELSE 'NULL::text' END;
$$;

COMMENT ON FUNCTION pggit._value_before_both(integer, jsonb, jsonb) IS
'What counts as the base of a column that both sides have added: what old rows got, if that is the same on both sides, or NULL.';

CREATE OR REPLACE FUNCTION pggit._number_counted(p_table pggit.tables, p_column pggit.columns, p_side text, p_is_identity boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_relation regclass := coalesce(pggit._relation_at(p_table.table_id, (pggit._target()).branch_id), pggit._relation_at(p_table.table_id, 1));
    v_start    bigint;
    v_value    text     := format('pggit._as_type(pggit._default_of(%s, %L), NULL::%s)', v_relation::oid, p_column.name, p_column.type_name);
BEGIN
    IF p_is_identity THEN
        EXECUTE format('SELECT 1 + coalesce(max((p.r).c%s), 0) FROM pg_temp.pggit_merged_%s AS p', p_column.column_id, p_table.table_id) INTO v_start;
        EXECUTE 'DROP SEQUENCE IF EXISTS pg_temp.pggit_numbers';
        EXECUTE format('CREATE TEMPORARY SEQUENCE pggit_numbers START %s', greatest(v_start, 1));
        v_value := 'nextval(''pg_temp.pggit_numbers'')';
    ELSE
        PERFORM pggit._pass_sequences(p_table.table_id, v_relation::text);
    END IF;
    EXECUTE format('UPDATE pg_temp.pggit_merged_%s AS p SET r.c%s = %s WHERE p.side = %L', p_table.table_id, p_column.column_id, v_value, p_side);
END;
$$;

COMMENT ON FUNCTION pggit._number_counted(pggit.tables, pggit.columns, text, boolean) IS
'pggit._number_columns for a table without a key: the new rows of one side get values in a column of the other that has another value in each row.';
