CREATE OR REPLACE FUNCTION pggit._unknown_column(p_column text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG302', SCHEMA = 'pggit',
        MESSAGE = format('column %s is not in the history', p_column),
        HINT    = 'It was added on the branch alone, or to main in a way that pggit notices at the next commit.';
END;
$$;

COMMENT ON FUNCTION pggit._unknown_column(text) IS
'Raises VG302 instead of a value that nobody recorded.';

CREATE OR REPLACE FUNCTION pggit._as_type_sql(p_table_id integer, p_relation oid, p_then integer, p_at pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH own AS (
                -- The columns of main, or of what stands for the table on a branch: made in the order they had where the branch stands.
                SELECT CASE WHEN t.place = pggit._place() THEN c.attnum ELSE (SELECT a.attnum FROM pg_attribute AS a WHERE a.attrelid = t.relation AND a.attname = c.name) END::bigint AS attnum, c.origin
                  FROM pggit.tables AS t JOIN pggit._columns_at(p_table_id, NULL) AS c USING (table_id) WHERE t.relation = p_relation
                UNION ALL
                SELECT CASE WHEN EXISTS (SELECT FROM pggit.branch_columns AS b WHERE b.branch_id = bt.branch_id AND b.table_id = p_table_id)
                            THEN (SELECT a.attnum FROM pg_attribute AS a WHERE a.attrelid = p_relation AND a.attname = c.name) ELSE row_number() OVER (ORDER BY c.origin) END, c.origin
                  FROM pggit.branch_tables AS bt CROSS JOIN LATERAL pggit._columns_at(p_table_id, pggit._branch_now(bt.branch_id)) AS c
                 WHERE bt.relation = p_relation
            ), same AS (
                SELECT w.a, w.b FROM pggit._same_columns(p_table_id, p_then) AS w
            )
            -- Stores keep a domain's values in its base type; the row type asked for has the domain.
            SELECT string_agg(CASE WHEN o.origin IS NULL THEN format('pggit._unknown_column(%L)::%s', format('%s.%I', p_relation::regclass, a.attname), y.name)
                                   WHEN s.column_id IS NULL THEN format('NULL::%s', y.name)
                                   WHEN s.type_name = pggit._base_type(a.atttypid, a.atttypmod) THEN format('s.%I::%s', s.name, y.name)
                                   ELSE format('pggit._recast(pggit._pinned_text(s.%I), %L, %L)::%s', s.name, pggit._base_type(a.atttypid, a.atttypmod), a.attname, y.name) END,
                              ', ' ORDER BY a.attnum)
              FROM pg_attribute AS a
             CROSS JOIN LATERAL (SELECT format_type(a.atttypid, a.atttypmod) AS name) AS y
              LEFT JOIN own AS o ON o.attnum = a.attnum
              LEFT JOIN same AS w ON w.a = o.origin AND p_then <> p_table_id
              LEFT JOIN pggit._shown_columns(p_then, p_at) AS s ON s.origin = CASE p_then WHEN p_table_id THEN o.origin ELSE w.b END
             WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped);
END;
$$;

COMMENT ON FUNCTION pggit._as_type_sql(integer, oid, integer, pggit._position) IS
'Select list that turns the rows at a position of a table, or of the one by which it was there then (p_then), under their names (alias s), into the row type that the table, or what stands for it on a branch, has now.';

CREATE OR REPLACE FUNCTION pggit.as_of(p_type anyelement, p_ref text)
    RETURNS SETOF anyelement
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted  boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_relation oid := (SELECT t.typrelid FROM pg_type AS t WHERE t.oid = pg_typeof(p_type));
    v_table    pggit.tables;
    v_then     pggit.tables;
    v_ref      record;
BEGIN
    IF coalesce(v_relation, 0) = 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('%s is not the row type of a table', pg_typeof(p_type)),
            HINT    = 'Name the table by its type: SELECT * FROM pggit.as_of(NULL::public.orders, ''v1.2'');';
    END IF;
    PERFORM pggit._follow_changed(v_relation);
    v_table := pggit._table(v_relation::regclass::text);
    PERFORM pggit._hold_base(v_table.table_id);
    v_ref   := pggit._ref(p_ref);
    v_then  := pggit._generation_at(v_table, v_ref.at);
    PERFORM pggit._require_table_at(v_then, v_ref.at, p_ref);
    RETURN QUERY EXECUTE format('SELECT %s FROM (%s) AS s', pggit._as_type_sql(v_table.table_id, v_relation, v_then.table_id, v_ref.at),
        pggit._named_sql(v_then.table_id, pggit._state_sql(v_then.table_id, v_ref.at), v_ref.at));
    PERFORM pggit._require_readable(v_ref.commit_id, v_ref.at);
END;
$$;

COMMENT ON FUNCTION pggit.as_of(anyelement, text) IS
'All rows of a table as they were at a ref: SELECT * FROM pggit.as_of(NULL::public.orders, ''v1.2'').
Exact at commits and tags. A time means the current branch as it was then: exact where the server keeps commit times or at a tick (pggit.tick), with a NOTICE where not. The rows have
the columns of the type given: one that the table did not have then is NULL, one that had another type is converted. Cost follows the table. Raises VG001, VG002, VG005 (not tracked, or not
yet), VG009, VG202, VG205, VG302 (a column that pggit has not noticed yet), VG306 (a value does not fit the column''s type of now, or what dropped or retyped columns held was not saved).';

CREATE OR REPLACE FUNCTION pggit.as_of(p_type anyelement, p_at timestamptz)
    RETURNS SETOF anyelement
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN QUERY SELECT * FROM pggit.as_of(p_type, CASE WHEN isfinite(p_at) THEN to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') ELSE p_at::text END);
END;
$$;

COMMENT ON FUNCTION pggit.as_of(anyelement, timestamptz) IS
'All rows of a table as they were at a time: SELECT * FROM pggit.as_of(NULL::public.orders, now() - interval ''1 hour''). As pggit.as_of with that time as a ref.';

CREATE OR REPLACE FUNCTION pggit.as_of(p_table text, p_ref text)
    RETURNS SETOF text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG202', SCHEMA = 'pggit',
        MESSAGE = format('the table of pggit.as_of is given by its row type, not as text %L', p_table),
        HINT    = format('SELECT * FROM pggit.as_of(NULL::%s, %L);', CASE WHEN p_table IS NULL THEN 'public.orders' ELSE pggit._relation(p_table)::regclass::text END, p_ref);
END;
$$;

COMMENT ON FUNCTION pggit.as_of(text, text) IS
'Says how pggit.as_of wants its table, whose columns PostgreSQL has to know beforehand: as NULL::public.orders. Raises VG202, VG004 (no such table).';
