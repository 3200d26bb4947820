-- The SELECT behind every branch view, and what else is generated from a table's own definitions.

CREATE OR REPLACE FUNCTION pggit._arm_columns(p_table_id integer, p_alias text, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT string_agg(CASE WHEN a.attnum IS NULL THEN format('NULL::%s%s AS c%s', c.type_name, pggit._collate_sql(d.attrelid, d.attnum), c.column_id)
                                   ELSE format('%s.%I%s AS c%s', p_alias, a.attname, CASE WHEN t.typtype = 'd' THEN '::' || (c.type_name::regtype)::text ELSE '' END, c.column_id) END,
                              ', ' ORDER BY c.column_id)
              FROM pggit._columns_at(p_table_id, p_at) AS c
              JOIN pggit.tables AS k USING (table_id)
              LEFT JOIN pggit.columns AS m ON m.table_id = c.table_id AND m.column_id = c.column_id AND m.dropped_at IS NULL
              LEFT JOIN pg_attribute AS a ON a.attrelid = k.relation AND a.attname = m.name
              LEFT JOIN pg_type AS t ON t.oid = a.atttypid
              LEFT JOIN pg_attribute AS d ON d.attrelid = to_regclass(format('pggit._delta_%s', p_table_id)) AND d.attname = 'c' || c.column_id
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._arm_columns(integer, text, pggit._position) IS
'Select list of main''s arm in a branch view: the columns of now, or of a position. A domain is seen as its base type without a length: with one, a function would stand between column and index.
A column that main has no more is NULL: all rows of then are in the log.';

CREATE OR REPLACE FUNCTION pggit._price(p_number bigint)
    RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 200
AS $$
BEGIN
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit._price(bigint) IS
'Never runs: it stands behind conditions that always hold, and its cost (docs/decisions/0032) lets the planner read all keys that a branch owns only for about as many rows.';

GRANT EXECUTE ON FUNCTION pggit._price(bigint) TO PUBLIC;

CREATE OR REPLACE FUNCTION pggit._flat_sql(p_table_id integer, p_branch text, p_floor text, p_own text, p_watermark text, p_snapshot text, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_last    constant text := $last$'18446744073709551615'::xid8$last$;
    v_far     constant text := '9223372036854775807::bigint';
    v_out     constant text := format('%%1$s._xid >= %1$s AND NOT CASE WHEN %%1$s._xid = %2$s THEN %%1$s._seq <= %3$s ELSE pg_visible_in_snapshot(%%1$s._xid, %4$s) END',
                                      replace(p_floor, '%', '%%'), replace(p_own, '%', '%%'), p_watermark, replace(p_snapshot, '%', '%%'));
    v_delta   text := '';
    v_mask    text := '';
    v_price   text := '';
    v_marks   boolean := pggit._has_marks(p_table_id);
    -- Of an expression no merge join comes without a sort: it would read all keys before the first one that a page asks for.
    v_same    text := regexp_replace(pggit._same_key(p_table_id, 'x', 'u'), '\mu\.(c\d+)', 'coalesce(u.\1, u.\1)', 'g');
BEGIN
    IF p_branch IS NOT NULL THEN
        v_delta := format(' UNION ALL SELECT %s, d._b, %s, (-1)::bigint, (-1)::bigint, ''U''::"char"%s FROM pggit._delta_%s AS d',
                          pggit._stored_columns(p_table_id, 'd', p_at), v_last, CASE WHEN v_marks THEN ', NULL::integer[]' ELSE '' END, p_table_id);
        v_mask  := format('SELECT %s, m._b, %s AS _xid, (-1)::bigint AS _seq, (-1)::bigint AS _at FROM pggit._mask_%s AS m UNION ALL ',
                          pggit._key_columns(p_table_id, 'm'), v_last, p_table_id);
        v_price := '(x._b >= 0 OR pggit._price(x._b)) AND (x._at >= -1 OR pggit._price(x._at)) AND ';
    END IF;

    RETURN format($sql$SELECT %1$s FROM (
    SELECT %2$s, %3$s AS _b, %4$s AS _xid, %5$s AS _seq, %5$s AS _at, 'U'::"char" AS _op%15$s FROM %6$s AS b
    UNION ALL SELECT %7$s, %3$s, h._xid, h._seq, h._at, h._op%16$s FROM pggit._log_%8$s AS h%9$s) AS u
 WHERE u._b = %3$s AND u._op <> 'I' AND %10$s
   AND NOT EXISTS (SELECT FROM (
        %11$sSELECT %12$s, %3$s AS _b, h._xid, h._seq, h._at FROM pggit._log_%8$s AS h) AS x
         WHERE x._b = %3$s AND %17$s%13$s AND %14$s
           AND CASE WHEN x._xid = u._xid THEN x._seq < u._seq ELSE x._at < u._at END)$sql$,
        pggit._whole_columns(p_table_id, 'u', p_at), pggit._arm_columns(p_table_id, 'b', p_at), coalesce(p_branch, '1'), v_last, v_far,
        pggit._base_rows(p_table_id), pggit._stored_columns(p_table_id, 'h', p_at), p_table_id, v_delta, format(v_out, 'u'), v_mask,
        pggit._key_columns(p_table_id, 'h'), v_same, format(v_out, 'x'),
        CASE WHEN v_marks THEN ', NULL::integer[] AS _same' ELSE '' END, CASE WHEN v_marks THEN ', h._same' ELSE '' END, v_price);
END;
$$;

COMMENT ON FUNCTION pggit._flat_sql(integer, text, text, text, text, text, pggit._position) IS
'SELECT c1, c2, … of a branch''s rows (p_branch NULL: main''s) over base, log and delta. The other arguments are SQL for the mark where the branch
stands on main: lowest transaction that may be out of it, own transaction, watermark, snapshot. The columns are main''s of now, or those of p_at.
The planner keeps index paths only while every arm is one bare relation with the same column types and the rows are told apart outside, in one anti-join.';

CREATE OR REPLACE FUNCTION pggit._flat_sql(p_table_id integer, p_branch_id integer, p_mark pggit._mark)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT pggit._flat_sql(p_table_id, p_branch_id::text,
                           format('%L::xid8', least(pg_snapshot_xmin((p_mark).snapshot), (p_mark).own)),
                           format('%L::xid8', (p_mark).own), format('%s::bigint', coalesce((p_mark).watermark, 0)),
                           format('%L::pg_snapshot', (p_mark).snapshot), (p_branch_id, NULL, p_mark)::pggit._position);
$$;

COMMENT ON FUNCTION pggit._flat_sql(integer, integer, pggit._mark) IS
'The same with the mark as constants, and the columns that main had there.';

CREATE OR REPLACE FUNCTION pggit._index_keys(p_index oid)
    RETURNS TABLE (n integer, expression text, operator text, attnum smallint, opclass text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT k.n::integer,
           '(' || pg_get_indexdef(i.indexrelid, k.n::integer, false) || ')'
               || coalesce(' COLLATE ' || quote_ident(ln.nspname) || '.' || quote_ident(l.collname), ''),
           'OPERATOR(' || quote_ident(pn.nspname) || '.' || o.oprname || ')',
           nullif(k.attnum, 0),
           format('%I.%I', cn.nspname, oc.opcname)
      FROM pg_index AS i
      CROSS JOIN LATERAL unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, n)
      JOIN pg_opclass AS oc ON oc.oid = i.indclass[k.n - 1]
      JOIN pg_namespace AS cn ON cn.oid = oc.opcnamespace
      LEFT JOIN pg_constraint AS x ON x.conindid = i.indexrelid AND x.conexclop IS NOT NULL
      LEFT JOIN pg_am AS am ON am.oid = oc.opcmethod
      LEFT JOIN pg_amop AS ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3 AND am.amname = 'btree'
                             AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
      LEFT JOIN pg_operator AS o ON o.oid = coalesce(x.conexclop[k.n], ao.amopopr)
      LEFT JOIN pg_namespace AS pn ON pn.oid = o.oprnamespace
      LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0
      LEFT JOIN pg_collation AS l ON l.oid = i.indcollation[k.n - 1] AND l.collname <> 'default' AND l.oid IS DISTINCT FROM a.attcollation
      LEFT JOIN pg_namespace AS ln ON ln.oid = l.collnamespace
     WHERE i.indexrelid = p_index
     ORDER BY k.n;
$$;

COMMENT ON FUNCTION pggit._index_keys(oid) IS
'The keys of an index: each as an expression over the user''s column names, with the operator that makes two of them clash (unique, exclusion),
the column''s number (NULL for an expression) and the operator class.';
