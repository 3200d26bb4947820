CREATE OR REPLACE FUNCTION pggit._quoted(p_name text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT '"' || replace(p_name, '"', '""') || '"';
$$;

COMMENT ON FUNCTION pggit._quoted(text) IS
'A name of the user''s in generated PL/pgSQL: always in quotes, for quote_ident leaves words bare that are keywords to PL/pgSQL alone (loop, begin, strict).';

CREATE OR REPLACE FUNCTION pggit._name_number(p_name text)
    RETURNS integer
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT ('x' || left(md5(p_name), 7))::bit(28)::integer;
$$;

COMMENT ON FUNCTION pggit._name_number(text) IS
'A number for a name of an object of main, to go into a name of pggit''s own.';

CREATE OR REPLACE FUNCTION pggit._base_type(p_type oid, p_typmod integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (WITH RECURSIVE chain AS (
                SELECT t.oid, t.typtype, t.typbasetype, t.typtypmod, p_typmod AS typmod
                  FROM pg_type AS t WHERE t.oid = p_type
                UNION ALL
                SELECT t.oid, t.typtype, t.typbasetype, t.typtypmod, c.typtypmod
                  FROM chain AS c JOIN pg_type AS t ON t.oid = c.typbasetype
                 WHERE c.typtype = 'd'
            )
            SELECT format_type(c.oid, c.typmod) FROM chain AS c WHERE c.typtype <> 'd');
END;
$$;

COMMENT ON FUNCTION pggit._base_type(oid, integer) IS
'Qualified name, with its modifier, of a type; for a domain, of the type under it.';

CREATE OR REPLACE FUNCTION pggit._live_columns(p_relation oid)
    RETURNS TABLE (attnum smallint, name text, type_name text, key_position integer, generated_as text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT a.attnum, a.attname::text, pggit._base_type(a.atttypid, a.atttypmod),
           (SELECT k.n::integer
              FROM pg_index AS i, unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, n)
             WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.attnum = a.attnum),
           CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END
      FROM pg_attribute AS a
      LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum;
$$;

COMMENT ON FUNCTION pggit._live_columns(oid) IS
'The columns of a relation as the catalog has them now: base types, 1-based place in the primary key, generation expression.';

CREATE OR REPLACE FUNCTION pggit._row_version(p_xmin xid, p_ctid tid)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT p_xmin::text || ' ' || p_ctid::text;
$$;

COMMENT ON FUNCTION pggit._row_version(xid, tid) IS
'Another value for each version of a row, also for those of one transaction.';

CREATE OR REPLACE FUNCTION pggit._fingerprint(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT md5(concat_ws('|', c.relnamespace::regnamespace, c.relname, c.relfilenode, c.relpersistence,
                       c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits AS h WHERE c.oid IN (h.inhrelid, h.inhparent)),
                       (SELECT concat_ws(' ', i.indkey, i.indimmediate) FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary),
                       (SELECT string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated, a.xmin), '|' ORDER BY a.attnum)
                          FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
                       CASE WHEN c.relkind = 'p' THEN (SELECT string_agg(concat_ws(' ', t.relid::oid, pg_relation_filenode(t.relid), h.xmin, h.ctid), ',' ORDER BY t.relid::oid)
                                                      FROM pg_partition_tree(c.oid) AS t LEFT JOIN pg_inherits AS h ON h.inhrelid = t.relid) END))
              FROM pg_class AS c WHERE c.oid = p_relation);
END;
$$;

COMMENT ON FUNCTION pggit._fingerprint(oid) IS
'Another value whenever a table''s name, primary key, partitions, inheritance or anything of its columns changes, a partition was detached and attached again, or
its rows are written anew; NULL when the table is gone.';

CREATE OR REPLACE FUNCTION pggit._collate_sql(p_relation oid, p_attnum smallint)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT coalesce((SELECT format(' COLLATE %I.%I', n.nspname, l.collname)
                               FROM pg_attribute AS a
                               JOIN pg_collation AS l ON l.oid = a.attcollation AND l.collname <> 'default'
                               JOIN pg_namespace AS n ON n.oid = l.collnamespace
                              WHERE a.attrelid = p_relation AND a.attnum = p_attnum), ''));
END;
$$;

COMMENT ON FUNCTION pggit._collate_sql(oid, smallint) IS
'The COLLATE clause of a column''s definition; empty for the default one.';

CREATE OR REPLACE FUNCTION pggit._stored_column(p_column pggit.columns)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT format('c%s %s%s', (p_column).column_id, (p_column).type_name, pggit._collate_sql(t.relation, (p_column).attnum)) FROM pggit.tables AS t WHERE t.table_id = (p_column).table_id);
END;
$$;

COMMENT ON FUNCTION pggit._stored_column(pggit.columns) IS
'Definition of a column in the stores: its base type, with the collation it has on main, so that views over main and stores compare and sort as main does.';

-- In PL/pgSQL it is planned once a session, and not again as a part of each statement that asks.
CREATE OR REPLACE FUNCTION pggit._columns_at(p_table_id integer, p_at pggit._position)
    RETURNS SETOF pggit.columns
    LANGUAGE plpgsql STABLE ROWS 10
AS $$
BEGIN
    IF p_at IS NULL THEN
        RETURN QUERY SELECT c.* FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.dropped_at IS NULL;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT c.*
      FROM pggit.columns AS c
     WHERE c.table_id = p_table_id
       AND (c.added_at IS NULL OR pggit._mark_in(c.added_at, pggit._base_mark(p_at))) AND (c.dropped_at IS NULL OR NOT pggit._mark_in(c.dropped_at, pggit._base_mark(p_at)))
       AND NOT EXISTS (SELECT FROM pggit.branch_columns AS b WHERE b.branch_id = (p_at).branch_id AND b.table_id = p_table_id)
    UNION ALL
    SELECT b.table_id, b.column_id, b.attnum, b.name, b.type_name, b.key_position, b.generated_as, b.added_at, b.dropped_at, b.origin, b.names, NULL
      FROM pggit.branch_columns AS b
     WHERE b.branch_id = (p_at).branch_id AND b.table_id = p_table_id
       AND CASE WHEN (p_at).x IS NULL THEN b.dropped_at IS NULL
                ELSE (b.added_at IS NULL OR pggit._mark_in(b.added_at, (p_at).x)) AND (b.dropped_at IS NULL OR NOT pggit._mark_in(b.dropped_at, (p_at).x)) END;
END;
$$;

COMMENT ON FUNCTION pggit._columns_at(integer, pggit._position) IS
'The columns a table had at a position; NULL: those it has on main. A position of a branch without a mark of its log means now: the columns of its table as it is.';

CREATE OR REPLACE FUNCTION pggit._shape_name(p_table_id integer, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('%s_%s', p_table_id, left(md5(string_agg(format('%s %I', c.column_id, c.name), ',' ORDER BY c.column_id)), 8)) FROM pggit._columns_at(p_table_id, p_at) AS c);
END;
$$;

COMMENT ON FUNCTION pggit._shape_name(integer, pggit._position) IS
'Part of the names of functions that branches share while their tables have the same columns under the same names.';

CREATE OR REPLACE FUNCTION pggit._shown_columns(p_table_id integer, p_at pggit._position)
    RETURNS TABLE (column_id integer, origin integer, attnum smallint, name text, type_name text, key_position integer, generated_as text, names jsonb)
    LANGUAGE plpgsql STABLE ROWS 10
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.column_id, c.origin, c.attnum,
           CASE WHEN NOT c.dropped_at IS NULL AND EXISTS (SELECT FROM pggit._columns_at(p_table_id, p_at) AS o
                                                           WHERE o.name = c.name AND o.column_id <> c.column_id AND (o.dropped_at IS NULL OR o.column_id > c.column_id))
                THEN format('%s (dropped %s)', left(c.name, greatest(length(c.name) - 20, 1)), c.column_id) ELSE c.name END,
           c.type_name, c.key_position, c.generated_as, c.names
      FROM pggit._columns_at(p_table_id, p_at) AS c;
END;
$$;

COMMENT ON FUNCTION pggit._shown_columns(integer, pggit._position) IS
'The columns a table had at a position, under the names they have now, or had last. One that was dropped before another got its name is shown as "name (dropped id)".';

CREATE OR REPLACE FUNCTION pggit._stored_columns(p_table_id integer, p_alias text DEFAULT NULL, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(coalesce(p_alias || '.', '') || 'c' || c.column_id, ', ' ORDER BY c.column_id)
              FROM pggit._columns_at(p_table_id, p_at) AS c
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._stored_columns(integer, text, pggit._position) IS
'c1, c2, … of a table''s stores, in column order, each behind the alias if one is given: those of now, or of a position.';

CREATE OR REPLACE FUNCTION pggit._is_reshaped(p_table_id integer, p_a pggit._position, p_b pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT ARRAY(SELECT c.column_id FROM pggit._columns_at(p_table_id, p_a) AS c ORDER BY 1)
                <> ARRAY(SELECT c.column_id FROM pggit._columns_at(p_table_id, p_b) AS c ORDER BY 1));
END;
$$;

COMMENT ON FUNCTION pggit._is_reshaped(integer, pggit._position, pggit._position) IS
'Whether a table had other columns at one position than at another; NULL is main as it is now.';

CREATE OR REPLACE FUNCTION pggit._key_columns(p_table_id integer, p_alias text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(coalesce(p_alias || '.', '') || 'c' || c.column_id, ', ' ORDER BY c.key_position)
              FROM pggit.columns AS c
             WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._key_columns(integer, text) IS
'The key''s c… columns of a table''s stores, in key order, each behind the alias if one is given.';

CREATE OR REPLACE FUNCTION pggit._user_columns(p_table_id integer, p_alias text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('%s.%s', p_alias, pggit._quoted(c.name)), ', ' ORDER BY c.column_id)
              FROM pggit.columns AS c
             WHERE c.table_id = p_table_id AND c.generated_as IS NULL AND c.dropped_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._user_columns(integer, text) IS
'The same columns as pggit._stored_columns under their names in the user''s table.';

CREATE OR REPLACE FUNCTION pggit._base_columns(p_table_id integer, p_alias text, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('%s::%s AS c%s', CASE WHEN m.dropped_at IS NULL AND m.name IS NOT NULL THEN p_alias || '.' || pggit._quoted(m.name) ELSE 'NULL' END, c.type_name, c.column_id),
                              ', ' ORDER BY c.column_id)
              FROM pggit._columns_at(p_table_id, p_at) AS c
              LEFT JOIN pggit.columns AS m ON m.table_id = c.table_id AND m.column_id = c.column_id
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._base_columns(integer, text, pggit._position) IS
'Select list that turns a row of main''s table into c1, c2, … of the stores'' types: the columns of now, or of a position. A row that the table has had unchanged since
has no value in a column that is gone: all rows of then were logged before it went.';

CREATE OR REPLACE FUNCTION pggit._relation_columns(p_table_id integer, p_alias text, p_at pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('%s.%s::%s AS c%s', p_alias, pggit._quoted(c.name), c.type_name, c.column_id), ', ' ORDER BY c.column_id)
              FROM pggit._columns_at(p_table_id, p_at) AS c
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._relation_columns(integer, text, pggit._position) IS
'Select list that turns a row of a table that has the columns of a position, under their names, into c1, c2, … of the stores'' types.';

CREATE OR REPLACE FUNCTION pggit._pinned_text(p_value anyelement)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C' SET search_path = pg_catalog
AS $$
BEGIN
    RETURN p_value::text;
END;
$$;

COMMENT ON FUNCTION pggit._pinned_text(anyelement) IS
'A value as text, the same in every session.';

CREATE OR REPLACE FUNCTION pggit._recast(p_value text, p_type text, p_column text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C' SET search_path = pg_catalog
AS $$
DECLARE
    v_value text;
BEGIN
    EXECUTE format('SELECT %L::%s::text', p_value, p_type) INTO v_value;
    RETURN v_value;
EXCEPTION WHEN OTHERS THEN
    IF p_column IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG306', SCHEMA = 'pggit',
            MESSAGE = format('column %I had another type at that state, and its value %L can''t be shown as %s', p_column, p_value, p_type),
            HINT    = 'pggit.diff_rows shows the rows of each side with the columns they had.';
    END IF;
    RETURN p_value;
END;
$$;

COMMENT ON FUNCTION pggit._recast(text, text, text) IS
'The text of a value as another type writes it. Where that type does not take it: VG306 if a column is named, else the text as it is.';

CREATE OR REPLACE FUNCTION pggit._key_equality(p_table_id integer, p_column_id integer)
    RETURNS oid
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog SET enable_nestloop = on  -- callers may be without
AS $$
BEGIN
    RETURN (SELECT ao.amopopr
              FROM pggit.columns AS c
              JOIN pggit.tables AS t USING (table_id)
             CROSS JOIN LATERAL (
                SELECT oc.opcfamily, oc.opcintype FROM pg_opclass AS oc
                 WHERE oc.oid = coalesce((SELECT i.indclass[c.key_position - 1] FROM pg_index AS i WHERE i.indrelid = t.relation AND i.indisprimary AND NOT i.indisexclusion),
                                         (SELECT i.indclass[c.key_position] FROM pg_index AS i WHERE i.indrelid = to_regclass(format('pggit._mask_%s', c.table_id)) AND i.indisprimary))
                OFFSET 0
             ) AS oc
              JOIN pg_amop AS ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
                                AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
             WHERE c.table_id = p_table_id AND c.column_id = p_column_id);
END;
$$;

COMMENT ON FUNCTION pggit._key_equality(integer, integer) IS
'Equality operator of a key column, from the primary key''s operator class; of a table that main has no more, or whose key is WITHOUT OVERLAPS (that has the operator by which rows exclude each other), from the mask''s.';

CREATE OR REPLACE FUNCTION pggit._key_operator(p_table_id integer, p_column_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT format('%I.%s', n.nspname, o.oprname) FROM pg_operator AS o JOIN pg_namespace AS n ON n.oid = o.oprnamespace WHERE o.oid = pggit._key_equality(p_table_id, p_column_id));
END;
$$;

COMMENT ON FUNCTION pggit._key_operator(integer, integer) IS
'The qualified name of pggit._key_equality.';

CREATE OR REPLACE FUNCTION pggit._key_cast(p_column pggit.columns)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT coalesce((SELECT '::' || (p_column).type_name
                               FROM pggit.tables AS t
                               JOIN pg_attribute AS a ON a.attrelid = t.relation AND a.attnum = (p_column).attnum
                               JOIN pg_type AS d ON d.oid = a.atttypid AND d.typtype = 'd'
                              WHERE t.table_id = (p_column).table_id AND (SELECT b.typtype FROM pg_type AS b WHERE b.oid = (p_column).type_name::regtype) = 'e'), ''));
END;
$$;

COMMENT ON FUNCTION pggit._key_cast(pggit.columns) IS
'What makes a key column of the user''s table comparable: a cast for a domain over an enum, which PostgreSQL''s own equality does not take.';

CREATE OR REPLACE FUNCTION pggit._same_key(p_table_id integer, p_left text, p_right text,
                                           p_left_named boolean DEFAULT false, p_right_named boolean DEFAULT false, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(
                       format('%s OPERATOR(%s) %s',
                              p_left  || '.' || CASE WHEN p_left_named  THEN pggit._quoted(coalesce(b.name, c.name)) || pggit._key_cast(c) ELSE 'c' || c.column_id END,
                              pggit._key_operator(c.table_id, c.column_id),
                              p_right || '.' || CASE WHEN p_right_named THEN pggit._quoted(coalesce(b.name, c.name)) || pggit._key_cast(c) ELSE 'c' || c.column_id END),
                       ' AND ' ORDER BY c.key_position)
              FROM pggit.columns AS c
              LEFT JOIN pggit.branch_columns AS b ON b.branch_id = (p_at).branch_id AND b.table_id = p_table_id AND b.column_id = c.column_id
             WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._same_key(integer, text, text, boolean, boolean, pggit._position) IS
'Condition: the rows of the two aliases have the same key, by the equality of the primary key''s own operator classes.
A side is named when it is the user''s table (with the names of now, or of a position), else its columns are c….';

CREATE OR REPLACE FUNCTION pggit._user_key_columns(p_table_id integer, p_alias text, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('%s.%s', p_alias, pggit._quoted(coalesce(b.name, c.name))), ', ' ORDER BY c.key_position)
              FROM pggit.columns AS c
              LEFT JOIN pggit.branch_columns AS b ON b.branch_id = (p_at).branch_id AND b.table_id = p_table_id AND b.column_id = c.column_id
             WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._user_key_columns(integer, text, pggit._position) IS
'The key columns, in key order, under their names in the user''s table: those of now, or of a position.';

CREATE OR REPLACE FUNCTION pggit._moves_sql(p_table_id integer, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('EXISTS (SELECT %s FROM new_rows AS n EXCEPT SELECT %s FROM old_rows AS o)',
                  pggit._user_key_columns(p_table_id, 'n', p_at), pggit._user_key_columns(p_table_id, 'o', p_at));
$$;

COMMENT ON FUNCTION pggit._moves_sql(integer, pggit._position) IS
'Condition in a trigger of UPDATE: a row has another key than any had before. EXCEPT is hashed or sorted in every plan. An anti-join that is planned for one row, and kept by the session,
compares all rows with all; and so does IN, when it is planned for more rows than hash memory has room for.';

CREATE OR REPLACE FUNCTION pggit._old_and_new_sql(p_table_id integer, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
DECLARE
    v_same text := pggit._same_key(p_table_id, 'o', 'n', true, true, p_at);
BEGIN
    RETURN (SELECT format('old_rows AS o FULL JOIN new_rows AS n ON %s',
                          CASE WHEN bool_and(e.oprcanmerge OR e.oprcanhash) THEN v_same
                               -- PostgreSQL takes no full join by an equality that can be neither.
                               ELSE format('ROW(%s)::record *= ROW(%s)::record', pggit._user_key_columns(p_table_id, 'o', p_at), pggit._user_key_columns(p_table_id, 'n', p_at)) END)
              FROM pggit.columns AS c JOIN pg_operator AS e ON e.oid = pggit._key_equality(c.table_id, c.column_id)
             WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._old_and_new_sql(integer, pggit._position) IS
'In a trigger of UPDATE: the rows before (o) and after (n) by key. A full join is hashed or merged in every plan; another one, planned once for one row and kept by the session, is not.';
