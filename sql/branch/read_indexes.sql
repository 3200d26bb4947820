CREATE OR REPLACE FUNCTION pggit._index_tail(p_index oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT substr(pg_get_indexdef(i.indexrelid),
                          length(format('CREATE %sINDEX %I ON %s%I.%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname,
                                        CASE t.relkind WHEN 'p' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname)) + 1)
              FROM pg_index AS i
              JOIN pg_class AS c ON c.oid = i.indexrelid
              JOIN pg_class AS t ON t.oid = i.indrelid
              JOIN pg_namespace AS n ON n.oid = t.relnamespace
             WHERE i.indexrelid = p_index);
END;
$$;

COMMENT ON FUNCTION pggit._index_tail(oid) IS
'What defines an index apart from its name and table: USING …';

CREATE OR REPLACE FUNCTION pggit._reads_generated(p_index oid)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    -- The index of a constraint depends on the constraint, and not on the columns.
    RETURN (SELECT EXISTS (SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attgenerated <> ''
                            WHERE i.indexrelid = p_index
                              AND (a.attnum = ANY (i.indkey)
                                   OR EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = p_index AND d.refclassid = 'pg_class'::regclass
                                                                           AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))));
END;
$$;

COMMENT ON FUNCTION pggit._reads_generated(oid) IS
'Whether an index reads a generated column.';

CREATE OR REPLACE FUNCTION pggit._index_number(p_index oid)
    RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT pggit._name_number(c.relname) FROM pg_class AS c WHERE c.oid = p_index);
END;
$$;

COMMENT ON FUNCTION pggit._index_number(oid) IS
'What the counterparts of an index on main are called after: a number of its name, for a restored database has other oids.';

CREATE OR REPLACE FUNCTION pggit._delta_predicate(p_number integer)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('_b <> -%s', p_number);
$$;

COMMENT ON FUNCTION pggit._delta_predicate(integer) IS
'Predicate of the delta''s counterpart of an index on main, by its number. It holds for every branch, and the planner sees that where the branch is a constant, as in views.
In write functions the branch is a parameter, and plans are kept for the session: one made while the delta is empty costs all indexes alike. There a statement
has the key''s index, and only those others whose predicates it repeats.';

CREATE OR REPLACE FUNCTION pggit._missing_read_indexes(p_table_id integer)
    RETURNS SETOF oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT i.indexrelid
      FROM pggit.tables AS t JOIN pg_index AS i ON i.indrelid = t.relation
     WHERE t.table_id = p_table_id AND NOT i.indisprimary AND i.indisvalid AND NOT pggit._reads_generated(i.indexrelid)
       AND to_regclass(format('pggit._delta_%s_i%s', p_table_id, pggit._index_number(i.indexrelid))) IS NULL;
$$;

COMMENT ON FUNCTION pggit._missing_read_indexes(integer) IS
'The secondary indexes of a table on main that its log and delta do not have yet.';

CREATE OR REPLACE FUNCTION pggit._ensure_read_indexes(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_relation regclass := (SELECT t.relation FROM pggit.tables AS t WHERE t.table_id = p_table_id);
    v_shape    text     := format('pggit._shape_%s', p_table_id);
    v_index    oid;
    v_column   record;
    v_made     record;
    v_timeout  text     := current_setting('lock_timeout');
BEGIN
    IF NOT EXISTS (SELECT FROM pggit._missing_read_indexes(p_table_id)) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('pggit.read_indexes'), p_table_id);
    BEGIN
        PERFORM set_config('lock_timeout', '1s', true);
        PERFORM pggit._fill_indexed_columns(p_table_id);
        EXECUTE format('LOCK TABLE pggit._log_%1$s, pggit._delta_%1$s IN SHARE MODE', p_table_id);
        PERFORM set_config('lock_timeout', v_timeout, true);
    EXCEPTION WHEN lock_not_available THEN
        RAISE NOTICE 'table % has writers: its branch views get their secondary indexes when the next branch is made', v_relation;
        RETURN;
    END;

    -- A stand-in with the same indexes and then the stores' column names: its definitions read as ones over the stores.
    EXECUTE format('CREATE TABLE %s (LIKE %s)', v_shape, v_relation);
    FOR v_index IN SELECT m FROM pggit._missing_read_indexes(p_table_id) AS m LOOP
        EXECUTE format('CREATE INDEX _shape_i%s ON %s %s', pggit._index_number(v_index), v_shape, pggit._index_tail(v_index));
    END LOOP;
    FOR v_column IN
        SELECT r.old_name, r.new_name
          FROM pggit.columns AS c
          CROSS JOIN LATERAL (VALUES (1, c.name, '_pggit' || c.column_id), (2, '_pggit' || c.column_id, 'c' || c.column_id)) AS r(step, old_name, new_name)
         WHERE c.table_id = p_table_id AND c.dropped_at IS NULL
         ORDER BY r.step
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME %I TO %I', v_shape, v_column.old_name, v_column.new_name);
    END LOOP;

    FOR v_made IN
        SELECT substr(k.relname, 9)::integer AS number, am.amname, p.predicate,
               left(t.tail, length(t.tail) - coalesce(length(' WHERE ' || p.predicate), 0)) AS columns
          FROM pg_index AS i
          JOIN pg_class AS k ON k.oid = i.indexrelid
          JOIN pg_am AS am ON am.oid = k.relam
         CROSS JOIN LATERAL (SELECT pg_get_expr(i.indpred, i.indrelid)) AS p(predicate)
         CROSS JOIN LATERAL (SELECT regexp_replace(pggit._index_tail(i.indexrelid), '^USING \S+ \(', '')) AS t(tail)
         WHERE i.indrelid = to_regclass(v_shape)
    LOOP
        -- Rows of the log that only say "was not there" hold nothing but their key.
        EXECUTE format('CREATE INDEX _log_%1$s_i%2$s ON pggit._log_%1$s USING %3$s (%4$s%5$s', p_table_id, v_made.number, v_made.amname,
                       v_made.columns, ' WHERE _op <> ''I''' || coalesce(' AND (' || v_made.predicate || ')', ''));
        EXECUTE format('CREATE INDEX _delta_%1$s_i%2$s ON pggit._delta_%1$s USING %3$s (%4$s%5$s', p_table_id, v_made.number, v_made.amname,
                       CASE v_made.amname WHEN 'btree' THEN '_b, ' ELSE '' END,
                       format('%s WHERE %s', v_made.columns, pggit._delta_predicate(v_made.number)) || coalesce(' AND (' || v_made.predicate || ')', ''));
    END LOOP;
    EXECUTE format('DROP TABLE %s', v_shape);
END;
$$;

COMMENT ON FUNCTION pggit._ensure_read_indexes(integer) IS
'Gives a table''s log and delta the secondary indexes that the table has on main, so that branch views keep its index paths.
Waits a second for open writers of the table, no longer: then it is left to the next branch. Indexes over generated columns have no counterpart: stores do not hold these columns.';
