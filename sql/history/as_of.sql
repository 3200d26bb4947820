CREATE OR REPLACE FUNCTION pggit.as_of(p_type anyelement, p_ref text)
    RETURNS SETOF anyelement
    LANGUAGE plpgsql
AS $$
DECLARE
    v_relation oid := (SELECT t.typrelid FROM pg_type AS t WHERE t.oid = pg_typeof(p_type));
    v_table    pggit.tables;
    v_at       pggit._position;
BEGIN
    IF coalesce(v_relation, 0) = 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('%s is not the row type of a table', pg_typeof(p_type)),
            HINT    = 'SELECT * FROM pggit.as_of(NULL::public.orders, ''v1.2'');';
    END IF;
    v_table := pggit._table(v_relation::regclass::text);
    v_at    := (pggit._ref(p_ref)).at;
    PERFORM pggit._require_table_at(v_table, v_at, p_ref);
    -- Stores keep a domain's values in its base type; the row type asked for has the domain.
    RETURN QUERY EXECUTE format('SELECT %s FROM (%s) AS s',
        (SELECT string_agg(format('s.%I::%s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
           FROM pg_attribute AS a WHERE a.attrelid = v_relation AND a.attnum > 0 AND NOT a.attisdropped),
        pggit._named_sql(v_table.table_id, pggit._state_sql(v_table.table_id, v_at)));
END;
$$;

COMMENT ON FUNCTION pggit.as_of(anyelement, text) IS
'All rows of a table as they were at a ref: SELECT * FROM pggit.as_of(NULL::public.orders, ''v1.2'').
Exact at commits and tags. A time means the current branch as it was then: exact where the server keeps commit times or at a tick (pggit.tick), with a NOTICE where not. Cost follows the table. Raises VG001, VG002, VG005
(not tracked, or not yet), VG009, VG202, VG205, VG306.';
