-- The INSTEAD OF trigger function of a table: one for all branches with the same columns. docs/architecture.md has the meaning of mask, delta and undo.

CREATE OR REPLACE FUNCTION pggit._violation(p_sqlstate text, p_message text, p_detail text, p_schema text, p_table text, p_column text DEFAULT '',
                                            p_constraint text DEFAULT '')
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = p_sqlstate, MESSAGE = p_message, DETAIL = p_detail, SCHEMA = p_schema, TABLE = p_table, COLUMN = p_column, CONSTRAINT = p_constraint;
END;
$$;

COMMENT ON FUNCTION pggit._violation(text, text, text, text, text, text, text) IS
'Raises what PostgreSQL itself would raise for a broken constraint.';

CREATE OR REPLACE FUNCTION pggit._var_main_sql(p_table_id integer)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT pggit._named_sql(p_table_id, pggit._flat_sql(p_table_id, NULL, 'pggit_write.v_floor', 'pggit_write.v_own', 'pggit_write.v_watermark', 'pggit_write.v_snapshot'));
$$;

COMMENT ON FUNCTION pggit._var_main_sql(integer) IS
'Rows of main where the branch stands for use in a write function, whose block is labelled: a column of the user''s may have the name of any variable.';

CREATE OR REPLACE FUNCTION pggit._own_rows_sql(p_table_id integer, p_indexes oid[])
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT pggit._named_sql(p_table_id, format('SELECT %s FROM pggit._delta_%s AS d WHERE d._b = pggit_write.v_branch%s', pggit._stored_columns(p_table_id, 'd'), p_table_id,
                                               (SELECT string_agg(' AND d.' || pggit._delta_predicate(pggit._index_number(i)), '') FROM unnest(p_indexes) AS i)));
$$;

COMMENT ON FUNCTION pggit._own_rows_sql(integer, oid[]) IS
'Query, in a write function: the rows that the branch owns, with the names of now. p_indexes: the indexes on main that are to serve it.';

CREATE OR REPLACE FUNCTION pggit._find_sql(p_table_id integer, p_condition text, p_indexes oid[])
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    -- Store by store: in one query, a plan made while delta and mask are empty would read all that the branch owns in them. Without a key there is no view.
    SELECT CASE WHEN pggit._is_keyless(p_table_id) THEN ' v_found := false;' ELSE format($w$
            v_found := EXISTS (SELECT FROM (%1$s) AS r WHERE %2$s);
            IF NOT v_found THEN
                FOR v_other IN SELECT %3$s FROM (%4$s) AS r WHERE %2$s LOOP
                    v_found := NOT EXISTS (SELECT FROM pggit._mask_%5$s AS m WHERE m._b = pggit_write.v_branch AND %6$s);
                    EXIT WHEN v_found;
                END LOOP;
            END IF;$w$,
        pggit._own_rows_sql(p_table_id, p_indexes), p_condition,
        (SELECT string_agg(format('r.%s AS c%s', pggit._quoted(c.name), c.column_id), ', ' ORDER BY c.key_position)
           FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL),
        pggit._var_main_sql(p_table_id), p_table_id, pggit._same_key(p_table_id, 'm', 'v_other')) END;
$$;

COMMENT ON FUNCTION pggit._find_sql(integer, text, oid[]) IS
'Statements of a write function that set v_found: the branch shows a row, alias r, that meets a condition. p_indexes: the indexes on main that serve it.';

CREATE OR REPLACE FUNCTION pggit._is_going_sql(p_table_id integer, p_condition text, p_indexes oid[])
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN pggit._is_keyless(p_table_id) THEN '' ELSE format($w$
                BEGIN
                    PERFORM set_config('lock_timeout', '1ms', true);
                    FOR v_other IN SELECT %1$s FROM (%2$s) AS r WHERE %3$s LOOP
                        PERFORM FROM pggit._delta_%4$s AS d WHERE d._b = pggit_write.v_branch AND %5$s FOR UPDATE;
                    END LOOP;
                    FOR v_other IN SELECT %1$s FROM (%6$s) AS r WHERE %3$s LOOP
                        INSERT INTO pggit._mask_%4$s (_b, %7$s) VALUES (pggit_write.v_branch, %8$s) ON CONFLICT DO NOTHING;
                    END LOOP;
                EXCEPTION WHEN lock_not_available THEN
                    PERFORM pggit._violation('40001', 'could not serialize access due to concurrent update', '', TG_TABLE_SCHEMA, TG_TABLE_NAME);
                END;$w$,
        k.named, pggit._own_rows_sql(p_table_id, p_indexes), p_condition, p_table_id, pggit._same_key(p_table_id, 'd', 'v_other'), pggit._var_main_sql(p_table_id), k.columns, k.given) END
      FROM (SELECT string_agg(format('r.%s AS c%s', pggit._quoted(c.name), c.column_id), ', ' ORDER BY c.key_position) AS named,
                   string_agg('c' || c.column_id, ', ' ORDER BY c.key_position) AS columns, string_agg('v_other.c' || c.column_id, ', ' ORDER BY c.key_position) AS given
              FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL) AS k;
$$;

COMMENT ON FUNCTION pggit._is_going_sql(integer, text, oid[]) IS
'Statements of a write function that is about to refuse a row because of another one (pggit._find_sql): 40001 where a transaction in flight is writing that one, which may be gone in a moment. A table would wait; here the key is claimed already, and who waits for two is soon part of a deadlock.';

CREATE OR REPLACE FUNCTION pggit._var_out_sql(p_alias text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT format('NOT CASE WHEN %1$s._xid = pggit_write.v_own THEN %1$s._seq <= pggit_write.v_watermark '
                  'ELSE pg_visible_in_snapshot(%1$s._xid, pggit_write.v_snapshot) END', p_alias);
$$;

COMMENT ON FUNCTION pggit._var_out_sql(text) IS
'Condition, in a write function: a row of main''s log came after the place where the branch stands. For a look at one key, which only the index on the key may serve.';

CREATE OR REPLACE FUNCTION pggit._hash_sql(p_values text, p_types oid[])
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    EXECUTE format('SELECT hash_record_extended(ROW(%s), 0)', (SELECT string_agg(format('NULL::%s', pggit._base_type(t, NULL)), ', ') FROM unnest(p_types) AS t));
    RETURN format('hash_record_extended(ROW(%s), 0)', p_values);
EXCEPTION WHEN undefined_function THEN
    RETURN '0::bigint';
END;
$$;

COMMENT ON FUNCTION pggit._hash_sql(text, oid[]) IS
'Expression that hashes values so that equal ones hash alike; zero for types that can''t be hashed: their writers wait for each other.';

CREATE OR REPLACE FUNCTION pggit._view_columns(p_shown pggit.branch_tables)
    RETURNS TABLE (column_id integer, name text, main_id integer)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    -- A generated column whose expression changed, be it in names alone, is another column of the same origin.
    SELECT c.column_id, a.attname::text, m.column_id
      FROM unnest(p_shown.shape) WITH ORDINALITY AS s(column_id, n)
      JOIN pggit.columns AS c ON c.table_id = p_shown.table_id AND c.column_id = s.column_id
      JOIN pg_attribute AS a ON a.attrelid = p_shown.relation AND a.attnum = s.n
      LEFT JOIN pggit.columns AS m ON m.table_id = c.table_id AND m.dropped_at IS NULL
                                  AND (m.column_id = c.column_id OR (m.origin = c.origin AND m.generated_as <> '' AND c.generated_as <> ''))
     ORDER BY s.n;
$$;

COMMENT ON FUNCTION pggit._view_columns(pggit.branch_tables) IS
'The columns of a branch view under the names that it has them by: those of where the branch stands on main, which may have got other names there. main_id: the column that main has now; NULL where
it was dropped there or got another type.';

CREATE OR REPLACE FUNCTION pggit._written_columns(p_shown pggit.branch_tables)
    RETURNS TABLE (column_id integer, name text, field text, main_id integer, is_stored boolean, n bigint)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT v.column_id, v.name, coalesce(m.name, 'pggit c' || v.column_id), v.main_id, c.generated_as IS NULL, v.n
      FROM pggit._view_columns(p_shown) WITH ORDINALITY AS v(column_id, name, main_id, n)
      JOIN pggit.columns AS c ON c.table_id = p_shown.table_id AND c.column_id = v.column_id
      LEFT JOIN pggit.columns AS m ON m.table_id = c.table_id AND m.column_id = v.main_id;
$$;

COMMENT ON FUNCTION pggit._written_columns(pggit.branch_tables) IS
'The columns of a branch view, and under which name (field) each is in the records NEW and OLD of the function that writes it: main''s, or one of its own where main has the column no more.';

CREATE OR REPLACE FUNCTION pggit._view_shape_name(p_shown pggit.branch_tables)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('%s_%s', p_shown.table_id, left(md5(string_agg(format('%s %I', c.column_id, c.name), ',' ORDER BY c.column_id)), 8)) FROM pggit._view_columns(p_shown) AS c);
END;
$$;

COMMENT ON FUNCTION pggit._view_shape_name(pggit.branch_tables) IS
'pggit._shape_name for the columns and names that a branch view has.';

CREATE OR REPLACE FUNCTION pggit._returned_sql(p_shown pggit.branch_tables, p_row text, p_column_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT CASE WHEN w.main_id IS NOT NULL OR w.is_stored THEN p_row || '.' || pggit._quoted(w.field)
                        ELSE format('(SELECT (%s)::%s FROM (SELECT %s) AS g)', c.generated_as, c.type_name,
                                    (SELECT string_agg(format('%s.%s AS %s', p_row, pggit._quoted(o.field), pggit._quoted(c.names ->> o.column_id::text)), ', ')
                                       FROM pggit._written_columns(p_shown) AS o WHERE o.is_stored AND c.names ? o.column_id::text)) END
              FROM pggit._written_columns(p_shown) AS w JOIN pggit.columns AS c ON c.table_id = p_shown.table_id AND c.column_id = w.column_id
             WHERE w.column_id = p_column_id);
END;
$$;

COMMENT ON FUNCTION pggit._returned_sql(pggit.branch_tables, text, integer) IS
'A column of a branch view out of the record NEW or OLD of the function that writes it; a generated one that main has no more is computed.';

CREATE OR REPLACE FUNCTION pggit._renamed_sql(p_shown pggit.branch_tables, p_row text, p_for_view boolean)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT CASE WHEN p_for_view
                        THEN (SELECT format('SELECT %s INTO %s;', string_agg(format('%s AS %s', pggit._returned_sql(p_shown, p_row, w.column_id), pggit._quoted(w.name)), ', ' ORDER BY w.n), p_row)
                                FROM pggit._written_columns(p_shown) AS w)
                        ELSE (SELECT format('SELECT %s INTO %s;', string_agg(format('%s AS %s', f.value, pggit._quoted(f.field)), ', ' ORDER BY f.place, f.n), p_row)
                                FROM (SELECT 1, c.attnum, c.name, CASE WHEN w.name IS NULL THEN 'NULL::' || c.type_name ELSE p_row || '.' || pggit._quoted(w.name) END
                                        FROM pggit.columns AS c LEFT JOIN pggit._written_columns(p_shown) AS w ON w.main_id = c.column_id
                                       WHERE c.table_id = p_shown.table_id AND c.dropped_at IS NULL
                                      UNION ALL
                                      SELECT 2, w.n, w.field, p_row || '.' || pggit._quoted(w.name) FROM pggit._written_columns(p_shown) AS w WHERE w.main_id IS NULL AND w.is_stored
                                     ) AS f(place, n, field, value)) END);
END;
$$;

COMMENT ON FUNCTION pggit._renamed_sql(pggit.branch_tables, text, boolean) IS
'Statement of a write function that gives the record NEW or OLD of a branch view the columns that main has now, under their names there, and behind them those that main has no more; or turns it back into a row of the view.';

CREATE OR REPLACE FUNCTION pggit._write_checks(p_table pggit.tables, p_missing smallint[])
    RETURNS TABLE (declarations text, body text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_new    text;
    v_column record;
    v_checks text;
    v_fits   text;
BEGIN
    declarations := '';
    body := '';
    SELECT string_agg(format('NEW.%1$s AS %1$s', pggit._quoted(c.name)), ', ' ORDER BY c.attnum) INTO v_new
      FROM pggit.columns AS c WHERE c.table_id = p_table.table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL;

    FOR v_column IN
        SELECT a.attname, pggit._quoted(a.attname) AS quoted, a.attnotnull, a.attidentity, t.typtype, format_type(a.atttypid, a.atttypmod) AS type_name, c.generated_as
          FROM pggit.columns AS c
          JOIN pg_attribute AS a ON a.attrelid = p_table.relation AND a.attname = c.name
          JOIN pg_type AS t ON t.oid = a.atttypid
         WHERE c.table_id = p_table.table_id AND c.dropped_at IS NULL AND a.attnum <> ALL (p_missing)
         ORDER BY a.attgenerated <> '', c.attnum
    LOOP
        IF v_column.generated_as IS NOT NULL THEN
            body := body || format($w$
        IF TG_OP = 'INSERT' AND NEW.%1$s IS DISTINCT FROM NULL THEN
            PERFORM pggit._violation('428C9', %2$L, %3$L, TG_TABLE_SCHEMA, TG_TABLE_NAME, %5$L);
        ELSIF TG_OP = 'UPDATE' AND ROW(NEW.%1$s)::record *<> ROW(OLD.%1$s)::record THEN
            PERFORM pggit._violation('428C9', %4$L, %3$L, TG_TABLE_SCHEMA, TG_TABLE_NAME, %5$L);
        END IF;
        NEW.%1$s := (SELECT (%6$s) FROM (SELECT %7$s) AS r);$w$,
                v_column.quoted, format('cannot insert a non-DEFAULT value into column "%s"', v_column.attname),
                format('Column "%s" is a generated column.', v_column.attname), format('column "%s" can only be updated to DEFAULT', v_column.attname),
                v_column.attname, v_column.generated_as, v_new);
        END IF;
        IF v_column.attidentity = 'a' THEN
            body := body || format($w$
        IF TG_OP = 'UPDATE' AND ROW(NEW.%1$s)::record *<> ROW(OLD.%1$s)::record THEN
            PERFORM pggit._violation('428C9', %2$L, %3$L, TG_TABLE_SCHEMA, TG_TABLE_NAME, %4$L);
        END IF;$w$,
                v_column.quoted, format('column "%s" can only be updated to DEFAULT', v_column.attname),
                format('Column "%s" is an identity column defined as GENERATED ALWAYS.', v_column.attname), v_column.attname);
        END IF;
        IF v_column.typtype = 'd' THEN
            body := body || format($w$
        DECLARE
            v_domain %2$s := NEW.%1$s;
        BEGIN
            NEW.%1$s := v_domain;
        END;$w$, v_column.quoted, v_column.type_name);
        END IF;
        IF v_column.attnotnull THEN
            body := body || format($w$
        IF NEW.%1$s IS NOT DISTINCT FROM NULL THEN
            PERFORM pggit._violation('23502', %2$L || format('of relation "%%s" violates not-null constraint', TG_TABLE_NAME),
                                     format('Failing row contains %%s.', NEW), TG_TABLE_SCHEMA, TG_TABLE_NAME, %3$L);
        END IF;$w$,
                v_column.quoted, format('null value in column "%s" ', v_column.attname), v_column.attname);
        END IF;
    END LOOP;

    SELECT string_agg(format('WHEN NOT (%s) THEN %L', pg_get_expr(c.conbin, c.conrelid), c.conname), ' ' ORDER BY c.conname) INTO v_checks
      FROM pg_constraint AS c
     WHERE c.conrelid = p_table.relation AND c.contype = 'c' AND coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true) AND NOT coalesce(c.conkey, '{}') && p_missing;
    v_fits := pggit._fits_sql(p_table.relation);
    IF v_fits IS NOT NULL THEN
        body := body || format($w$
        IF v_moved AND (SELECT (%1$s) IS NOT TRUE FROM (SELECT %2$s) AS r) THEN
            PERFORM pggit._violation('23514', format('no partition of relation "%%s" found for row', TG_TABLE_NAME),
                                     format('Failing row contains %%s.', NEW), TG_TABLE_SCHEMA, TG_TABLE_NAME);
        END IF;$w$, v_fits, v_new);
    END IF;
    IF v_checks IS NOT NULL THEN
        body := body || format($w$
        SELECT CASE %1$s END INTO v_broken FROM (SELECT %2$s) AS %3$s;
        IF v_broken IS NOT NULL THEN
            PERFORM pggit._violation('23514', format('new row for relation "%%s" violates check constraint "%%s"', TG_TABLE_NAME, v_broken),
                                     format('Failing row contains %%s.', NEW), TG_TABLE_SCHEMA, TG_TABLE_NAME, '', v_broken);
        END IF;$w$,
            v_checks, (SELECT string_agg(format('NEW.%1$s AS %1$s', pggit._quoted(c.name)), ', ' ORDER BY c.attnum)
                         FROM pggit.columns AS c WHERE c.table_id = p_table.table_id AND c.dropped_at IS NULL),
            pggit._quoted(p_table.table_name));
    END IF;
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION pggit._write_checks(pggit.tables, smallint[]) IS
'The part of a write function that concerns the new row alone: generated and identity columns, domains, NOT NULL, partitions, CHECK. p_missing: columns of main, by number, that the branch
does not have.';

CREATE OR REPLACE FUNCTION pggit._write_unique(p_table pggit.tables, p_missing smallint[])
    RETURNS TABLE (declarations text, body text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_index  record;
    v_new    text;
    v_same   text;
    v_others text;
BEGIN
    declarations := '';
    body := '';
    SELECT string_agg(format('NEW.%1$s AS %1$s', pggit._quoted(c.name)), ', ' ORDER BY c.attnum),
           string_agg(format('r.%1$s OPERATOR(%2$s) OLD.%1$s', pggit._quoted(c.name), pggit._key_operator(c.table_id, c.column_id)), ' AND ' ORDER BY c.key_position)
               FILTER (WHERE c.key_position IS NOT NULL)
      INTO v_new, v_same
      FROM pggit.columns AS c WHERE c.table_id = p_table.table_id AND c.dropped_at IS NULL;

    FOR v_index IN
        SELECT i.indexrelid, k.relname AS name, i.indisexclusion, coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_clash,
               pg_get_expr(i.indpred, i.indrelid) AS predicate, 0 = ANY (i.indkey::smallint[]) AS has_expression,
               (SELECT string_agg(format('%s AS k%s', x.expression, x.n), ', ' ORDER BY x.n) FROM pggit._index_keys(i.indexrelid) AS x) AS select_keys,
               (SELECT string_agg(format('%s %s v_key_%s.k%s', x.expression, x.operator, i.indexrelid, x.n), ' AND ' ORDER BY x.n) FROM pggit._index_keys(i.indexrelid) AS x) AS clash,
               (SELECT string_agg(format('%s IS NOT DISTINCT FROM v_key_%s.k%s', x.expression, i.indexrelid, x.n), ' AND ' ORDER BY x.n) FROM pggit._index_keys(i.indexrelid) AS x) AS clash_nulls,
               (SELECT string_agg(format('v_key_%s.k%s', i.indexrelid, x.n), ', ' ORDER BY x.n) FROM pggit._index_keys(i.indexrelid) AS x) AS keys,
               (SELECT string_agg(format('v_key_%s.k%s IS DISTINCT FROM NULL', i.indexrelid, x.n), ' AND ' ORDER BY x.n) FROM pggit._index_keys(i.indexrelid) AS x) AS keys_set,
               (SELECT string_agg(pg_get_indexdef(i.indexrelid, x.n, false), ', ' ORDER BY x.n) FROM pggit._index_keys(i.indexrelid) AS x) AS key_names,
               (SELECT array_agg(a.atttypid ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = i.indexrelid AND a.attnum <= i.indnkeyatts) AS types,
               (SELECT string_agg(format('NEW.%s', pggit._quoted(a.attname)), ', ') FROM pg_attribute AS a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::smallint[])) AS new_columns,
               (SELECT string_agg(format('OLD.%s', pggit._quoted(a.attname)), ', ') FROM pg_attribute AS a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::smallint[])) AS old_columns
          FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid
         WHERE i.indrelid = p_table.relation AND NOT i.indisprimary AND (i.indisunique OR i.indisexclusion) AND NOT i.indkey::smallint[] && p_missing
           AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
                                                        AND d.refobjid = i.indrelid AND d.refobjsubid = ANY (p_missing))
         ORDER BY i.indexrelid
    LOOP
        v_others := coalesce(' AND (' || v_index.predicate || ')', '') || format(' AND (pggit_write.v_operation = ''INSERT'' OR NOT (%s))', v_same);
        declarations := declarations || format(E'    v_key_%s record;\n', v_index.indexrelid);
        body := body || format($w$
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND (%1$s)) THEN
        SELECT %2$s, %3$s AS applies INTO v_key_%4$s FROM (SELECT %5$s) AS r;
        IF v_key_%4$s.applies THEN
            IF %6$s THEN
                PERFORM pggit._claim_key(v_branch, %4$s, 'u', %7$s);%8$s
            ELSE
                v_found := false;%9$s
            END IF;
            IF v_found THEN%15$s
                PERFORM pggit._violation(%10$L, %11$L, format(%12$L, concat_ws(', ', %13$s)), TG_TABLE_SCHEMA, TG_TABLE_NAME, '', %14$L);
            END IF;
        END IF;
    END IF;$w$,
            CASE WHEN v_index.has_expression OR v_index.predicate IS NOT NULL THEN 'true'
                 ELSE format('ROW(%s)::record *<> ROW(%s)::record', v_index.new_columns, v_index.old_columns) END,
            v_index.select_keys, coalesce('(' || v_index.predicate || ')', 'true'), v_index.indexrelid, v_new, v_index.keys_set,
            CASE WHEN v_index.indisexclusion THEN '0::bigint' ELSE pggit._hash_sql(v_index.keys, v_index.types) END,
            pggit._find_sql(p_table.table_id, v_index.clash || v_others, ARRAY[v_index.indexrelid]),
            CASE WHEN NOT v_index.nulls_clash THEN ''
                 ELSE format($w$
                PERFORM pggit._claim_key(v_branch, %1$s, 'u', %2$s);%3$s$w$,
                    v_index.indexrelid, pggit._hash_sql(v_index.keys, v_index.types),
                    pggit._find_sql(p_table.table_id, v_index.clash_nulls || v_others, ARRAY[v_index.indexrelid])) END,
            CASE WHEN v_index.indisexclusion THEN '23P01' ELSE '23505' END,
            CASE WHEN v_index.indisexclusion THEN format('conflicting key value violates exclusion constraint "%s"', v_index.name)
                 ELSE format('duplicate key value violates unique constraint "%s"', v_index.name) END,
            CASE WHEN v_index.indisexclusion THEN 'Key (' || replace(v_index.key_names, '%', '%%') || ')=(%s) conflicts with existing key.'
                 ELSE 'Key (' || replace(v_index.key_names, '%', '%%') || ')=(%s) already exists.' END,
            v_index.keys, v_index.name,
            pggit._is_going_sql(p_table.table_id, CASE WHEN v_index.nulls_clash THEN v_index.clash_nulls ELSE v_index.clash END || v_others, ARRAY[v_index.indexrelid]));
    END LOOP;
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION pggit._write_unique(pggit.tables, smallint[]) IS
'The part of a write function that keeps unique indexes and exclusion constraints true, whatever their keys, predicates and treatment of NULL, but for those over missing columns.';

CREATE OR REPLACE FUNCTION pggit._definition_mark(p_table_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH around AS (
                SELECT t.relation AS oid FROM pggit.tables AS t WHERE t.table_id = p_table_id
                UNION SELECT c.confrelid FROM pggit.tables AS t JOIN pg_constraint AS c ON c.conrelid = t.relation WHERE t.table_id = p_table_id AND c.contype = 'f'
                UNION SELECT c.conrelid FROM pggit.tables AS t JOIN pg_constraint AS c ON c.confrelid = t.relation WHERE t.table_id = p_table_id AND c.contype = 'f'
            ), versions AS (
                SELECT concat_ws(' ', 't', t.table_id, t.xmin, t.relation) AS version FROM pggit.tables AS t JOIN around AS r ON r.oid = t.relation
                UNION ALL SELECT concat_ws(' ', 'k', k.table_id, k.column_id, k.xmin) FROM pggit.tables AS t JOIN around AS r ON r.oid = t.relation JOIN pggit.columns AS k USING (table_id)
                UNION ALL SELECT concat_ws(' ', 'a', a.attrelid, a.attnum, a.attnotnull, a.attidentity, a.atttypid) FROM pg_attribute AS a JOIN around AS r ON r.oid = a.attrelid
                UNION ALL SELECT concat_ws(' ', 'y', y.oid, y.xmin) FROM pg_type AS y WHERE y.oid IN (SELECT a.atttypid FROM pg_attribute AS a JOIN around AS r ON r.oid = a.attrelid)
                UNION ALL SELECT concat_ws(' ', 'c', c.oid, c.xmin) FROM pg_constraint AS c JOIN around AS r ON r.oid = c.conrelid
                UNION ALL SELECT concat_ws(' ', 'p', p.relation, md5(c.relpartbound::text)) FROM pggit.tables AS t CROSS JOIN LATERAL pggit._partitions(t.relation) AS p
                            JOIN pg_class AS c ON c.oid = p.relation WHERE t.table_id = p_table_id
                UNION ALL SELECT concat_ws(' ', 'i', i.indexrelid, i.xmin, c.relname) FROM pg_index AS i JOIN around AS r ON r.oid = i.indrelid JOIN pg_class AS c ON c.oid = i.indexrelid
            )
            SELECT md5(string_agg(v.version, ',' ORDER BY v.version) || (SELECT r.core_version FROM pggit.repository AS r))
              FROM versions AS v);
END;
$$;

COMMENT ON FUNCTION pggit._definition_mark(integer) IS
'Another value whenever something changes that a table''s write function was generated from: its columns, partitions, constraints and indexes, and those of tables
it refers to or that refer to it.';

CREATE OR REPLACE FUNCTION pggit._hold_around_sql(p_table pggit.tables)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT format('PERFORM FROM %s WHERE false;', string_agg('ONLY ' || pggit._base_relation(t.table_id), ', ' ORDER BY t.table_id <> p_table.table_id, t.table_id))
              FROM pggit.tables AS t
             WHERE t.table_id = p_table.table_id
                OR (t.untracked_at IS NULL AND EXISTS (SELECT FROM pg_constraint AS c WHERE c.contype = 'f' AND ((c.conrelid = p_table.relation AND c.confrelid = t.relation)
                                                                                                                 OR (c.confrelid = p_table.relation AND c.conrelid = t.relation)))));
END;
$$;

COMMENT ON FUNCTION pggit._hold_around_sql(pggit.tables) IS
'Statement of a write function that reads nothing, but locks the table on main and those of its foreign keys before their stores are read, in the order in which DDL of main comes by them.';

CREATE OR REPLACE FUNCTION pggit._looks_around_sql(p_relation oid, p_missing smallint[])
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH rules AS (
                SELECT i.indkey::smallint[] AS columns, i.indpred IS NOT NULL OR 0 = ANY (i.indkey::smallint[]) AS is_any
                  FROM pg_index AS i WHERE i.indrelid = p_relation AND (i.indisunique OR i.indisexclusion)
                UNION ALL SELECT c.conkey, false FROM pg_constraint AS c WHERE c.conrelid = p_relation AND c.contype = 'f'
                UNION ALL SELECT c.confkey, false FROM pg_constraint AS c WHERE c.confrelid = p_relation AND c.contype = 'f'
            )
            SELECT CASE WHEN (SELECT bool_or(r.is_any) FROM rules AS r) THEN 'true'
                        ELSE format('TG_OP <> ''UPDATE'' OR ROW(%s)::record *<> ROW(%s)::record',
                                    string_agg('NEW.' || pggit._quoted(a.attname), ', ' ORDER BY a.attnum), string_agg('OLD.' || pggit._quoted(a.attname), ', ' ORDER BY a.attnum)) END
              FROM pg_attribute AS a
             WHERE a.attrelid = p_relation AND a.attnum <> ALL (p_missing) AND a.attnum IN (SELECT u FROM rules AS r CROSS JOIN LATERAL unnest(r.columns) AS u));
END;
$$;

COMMENT ON FUNCTION pggit._looks_around_sql(oid, smallint[]) IS
'Condition, in a write function behind the checks of the new row: other rows have to be looked at, for a column of a key, a unique index, an exclusion or a foreign key has another value. p_missing: columns of
main, by number, that the branch has not.';

CREATE OR REPLACE FUNCTION pggit._set_sql(p_column pggit.columns, p_field text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN pggit._may_be_large(p_column)
                THEN format('c%1$s = CASE WHEN pg_column_size(d.c%1$s) > 2000 AND ROW(OLD.%2$s)::record *= ROW(NEW.%2$s)::record THEN d.c%1$s ELSE NEW.%2$s END', (p_column).column_id, p_field)
                ELSE format('c%s = NEW.%s', (p_column).column_id, p_field) END;
$$;

COMMENT ON FUNCTION pggit._set_sql(pggit.columns, text) IS
'What an UPDATE of the delta, alias d, by a write function sets a column to, out of the field of NEW. A large value that stays is that of the delta''s row: PostgreSQL then leaves it where it is, and writes it to no WAL.';

CREATE OR REPLACE FUNCTION pggit._gone_sql(p_table_id integer, p_held text, p_old text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN format($w$current_setting('transaction_isolation') IN ('read committed', 'read uncommitted')
                  AND EXISTS (SELECT FROM (SELECT d.* FROM pggit._undo_%1$s AS d WHERE d._b = v_branch AND %2$s ORDER BY d._at DESC LIMIT 1) AS d
                               WHERE (d._live IS NULL OR ROW(%3$s)::record *= ROW(%4$s)::record)
                                 AND NOT EXISTS (SELECT FROM pggit._undo_%1$s AS m
                                                  WHERE m._b = v_branch AND m._xid = d._xid AND m._live IS DISTINCT FROM true
                                                    AND (EXISTS (SELECT FROM pggit._delta_%1$s AS n WHERE n._b = v_branch AND %5$s)
                                                         OR EXISTS (SELECT FROM pggit._undo_%1$s AS n WHERE n._b = v_branch AND %5$s AND n._at > m._at))))
                  AND NOT EXISTS (SELECT FROM pggit._delta_%1$s AS d WHERE d._b = v_branch AND %2$s)$w$,
                  p_table_id, pggit._same_key(p_table_id, 'd', 'OLD', false, true), p_held, p_old, pggit._same_key(p_table_id, 'n', 'm'));
END;
$$;

COMMENT ON FUNCTION pggit._gone_sql(integer, text, text) IS
'Condition, in a write function, for a row that is not as the statement has read it: another transaction, which has been committed since, deleted that very row, so that there is nothing to write, as in a table. Not one that may have given the row another key: it brought
rows that are there now, or that others have written since. p_held, p_old: the stored columns, of alias d and of OLD.';

CREATE OR REPLACE FUNCTION pggit._ensure_write_function(p_table_id integer, p_shown pggit.branch_tables DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table    pggit.tables;
    v_checks   record;
    v_unique   record;
    v_foreign  record;
    v_stored   text;
    v_held     text;
    v_keys     text;
    v_new      text;
    v_old      text;
    v_old_keys text;
    v_new_keys text;
    v_set      text;
    v_key_name text;
    v_key_list text;
    v_mark     text := format('-- generated from %s', pggit._definition_mark(p_table_id));
    v_shape    text := CASE WHEN p_shown.branch_id IS NULL THEN pggit._shape_name(p_table_id) ELSE pggit._view_shape_name(p_shown) END;
    v_columns  integer[];
    v_missing  smallint[];
    v_enter    text := '';
    v_leave_old text := '';
    v_leave_new text := '';
BEGIN
    IF starts_with((SELECT p.prosrc FROM pg_proc AS p WHERE p.oid = to_regprocedure(format('pggit._write_%s()', v_shape))), v_mark) THEN
        RETURN;
    END IF;

    v_stored   := pggit._stored_columns(p_table_id);
    v_held     := pggit._stored_columns(p_table_id, 'd');
    v_keys     := pggit._key_columns(p_table_id);
    v_new      := pggit._user_columns(p_table_id, 'NEW');
    v_old      := pggit._user_columns(p_table_id, 'OLD');
    v_old_keys := pggit._user_key_columns(p_table_id, 'OLD');
    v_new_keys := pggit._user_key_columns(p_table_id, 'NEW');
    v_columns  := ARRAY(SELECT c.column_id FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.dropped_at IS NULL);
    IF v_shape <> pggit._shape_name(p_table_id) THEN
        v_columns := ARRAY(SELECT v.main_id FROM pggit._view_columns(p_shown) AS v);
        SELECT string_agg(format('c%s', w.column_id), ', ' ORDER BY w.column_id), string_agg(format('d.c%s', w.column_id), ', ' ORDER BY w.column_id),
               string_agg('NEW.' || pggit._quoted(w.field), ', ' ORDER BY w.column_id), string_agg('OLD.' || pggit._quoted(w.field), ', ' ORDER BY w.column_id),
               string_agg(pggit._set_sql(c, pggit._quoted(w.field)), ', ')
          INTO v_stored, v_held, v_new, v_old, v_set
          FROM pggit._written_columns(p_shown) AS w JOIN pggit.columns AS c ON c.table_id = p_table_id AND c.column_id = w.column_id WHERE w.is_stored;
        v_enter   := format($w$
    %s
    %s$w$, pggit._renamed_sql(p_shown, 'OLD', false), pggit._renamed_sql(p_shown, 'NEW', false));
        v_leave_old := pggit._renamed_sql(p_shown, 'OLD', true);
        v_leave_new := pggit._renamed_sql(p_shown, 'NEW', true);
    END IF;

    SELECT t.* INTO STRICT v_table FROM pggit.tables AS t WHERE t.table_id = p_table_id;
    v_missing := ARRAY(SELECT l.attnum FROM pggit._live_columns(v_table.relation) AS l
                        WHERE NOT EXISTS (SELECT FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.column_id = ANY (v_columns) AND c.name = l.name));
    v_checks  := pggit._write_checks(v_table, v_missing);
    v_unique  := pggit._write_unique(v_table, v_missing);
    v_foreign := pggit._write_foreign(v_table, v_missing);
    PERFORM pggit._ensure_cascade_as(c.conrelid) FROM pg_constraint AS c WHERE c.contype = 'f' AND c.confrelid = v_table.relation;
    v_set     := coalesce(v_set, (SELECT string_agg(pggit._set_sql(c, pggit._quoted(c.name)), ', ')
                                    FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.generated_as IS NULL AND c.dropped_at IS NULL));
    v_enter   := coalesce(format('PERFORM set_config(''search_path'', concat(''pg_catalog, '', quote_ident(TG_TABLE_SCHEMA), %L), true);', pggit._path_of_code(v_table)), '') || v_enter;
    SELECT k.relname INTO v_key_name FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid WHERE i.indrelid = v_table.relation AND i.indisprimary;
    SELECT string_agg(quote_ident(coalesce(v.name, c.name)), ', ' ORDER BY c.key_position) INTO v_key_list
      FROM pggit.columns AS c LEFT JOIN pggit._view_columns(p_shown) AS v ON v.main_id = c.column_id
     WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL;

    PERFORM pggit._ensure_function(format('pggit._write_%s()', v_shape), 'trigger', 'VOLATILE', v_mark || format($w$
#variable_conflict use_column
<<pggit_write>>
DECLARE
    v_operation text    := TG_OP;
    v_branch    integer := TG_ARGV[0]::integer;
    v_xid       xid8;
    v_floor     xid8;
    v_own       xid8;
    v_watermark bigint;
    v_snapshot  pg_snapshot;
    v_broken    text;
    v_form      text;
    v_found     boolean;
    v_moved     boolean := false;
    v_around    boolean;
    v_other     record;
%1$sBEGIN
    %24$s
    IF TG_OP <> 'DELETE' THEN
        v_moved := TG_OP = 'INSERT' OR NOT (%2$s);%3$s
    END IF;
    -- An update of other columns needs none of main's rows: its table is locked by the view, and no statement is spent on the rest.
    v_around := %28$s;
    IF v_around THEN
        %27$s
    END IF;
    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    v_xid := pggit._transaction_number();
    IF current_setting('pggit.base' || v_branch, true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._lock_base(v_branch, true);
    END IF;
    IF v_around THEN
        SELECT (b.s).own, (b.s).watermark, (b.s).snapshot, least(pg_snapshot_xmin((b.s).snapshot), (b.s).own)
          INTO STRICT v_own, v_watermark, v_snapshot, v_floor
          FROM pggit.branch_bases AS b WHERE b.branch_id = v_branch;
    END IF;
%4$s
    -- The row as it was. Its lock comes first (the delta's row, or the key in the mask), then its undo row: undo rows of one key are in the order of their writers.
    IF TG_OP = 'UPDATE' AND NOT v_moved THEN
        UPDATE pggit._delta_%5$s AS d SET %6$s WHERE d._b = v_branch AND %7$s AND ROW(%8$s)::record *= ROW(%9$s)::record;
        IF FOUND THEN
            INSERT INTO pggit._undo_%5$s (_seq, _xid, _b, _owned, _live, %10$s)
            VALUES (nextval('pggit._ordinal'), v_xid, v_branch, true, true, %9$s);
        ELSE
            INSERT INTO pggit._mask_%5$s (_b, %11$s) VALUES (v_branch, %12$s) ON CONFLICT DO NOTHING;
            IF FOUND THEN
                INSERT INTO pggit._delta_%5$s (_b, %10$s) VALUES (v_branch, %13$s);
                INSERT INTO pggit._undo_%5$s (_seq, _xid, _b, _owned, _live, %11$s)
                VALUES (nextval('pggit._ordinal'), v_xid, v_branch, false, NULL, %12$s);
            ELSIF EXISTS (SELECT FROM pggit._undo_%5$s AS d WHERE d._b = v_branch AND %7$s AND d._xid IS NOT DISTINCT FROM v_xid) THEN
                RETURN NULL;
            ELSIF %29$s THEN
                RETURN NULL;
            ELSE
                PERFORM pggit._violation('40001', 'could not serialize access due to concurrent update', '', TG_TABLE_SCHEMA, TG_TABLE_NAME);
            END IF;
        END IF;
    ELSIF TG_OP <> 'INSERT' THEN
        DELETE FROM pggit._delta_%5$s AS d WHERE d._b = v_branch AND %7$s AND ROW(%8$s)::record *= ROW(%9$s)::record;
        IF FOUND THEN
            INSERT INTO pggit._undo_%5$s (_seq, _xid, _b, _owned, _live, %10$s)
            VALUES (nextval('pggit._ordinal'), v_xid, v_branch, true, true, %9$s);
        ELSE
            INSERT INTO pggit._mask_%5$s (_b, %11$s) VALUES (v_branch, %12$s) ON CONFLICT DO NOTHING;
            IF FOUND THEN
                INSERT INTO pggit._undo_%5$s (_seq, _xid, _b, _owned, _live, %11$s)
                VALUES (nextval('pggit._ordinal'), v_xid, v_branch, false, NULL, %12$s);
            ELSIF EXISTS (SELECT FROM pggit._undo_%5$s AS d WHERE d._b = v_branch AND %7$s AND d._xid IS NOT DISTINCT FROM v_xid) THEN
                RETURN NULL;
            ELSIF %29$s THEN
                RETURN NULL;
            ELSE
                PERFORM pggit._violation('40001', 'could not serialize access due to concurrent update', '', TG_TABLE_SCHEMA, TG_TABLE_NAME);
            END IF;
        END IF;
    END IF;

    -- The row at a key that had none.
    IF v_moved THEN
        IF EXISTS (SELECT FROM pggit._log_%5$s AS h WHERE %21$s AND %22$s) THEN
            v_found := EXISTS (SELECT FROM (%14$s) AS r WHERE %15$s);
        ELSE
            v_found := EXISTS (SELECT FROM %23$s AS r WHERE %15$s);
        END IF;
        INSERT INTO pggit._mask_%5$s (_b, %11$s) VALUES (v_branch, %16$s) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            IF NOT v_found THEN
                INSERT INTO pggit._delta_%5$s (_b, %10$s) VALUES (v_branch, %13$s);
                INSERT INTO pggit._undo_%5$s (_seq, _xid, _b, _owned, _live, %11$s)
                VALUES (nextval('pggit._ordinal'), v_xid, v_branch, false, NULL, %16$s);
            END IF;
        ELSE
            INSERT INTO pggit._delta_%5$s (_b, %10$s) VALUES (v_branch, %13$s) ON CONFLICT DO NOTHING;
            v_found := NOT FOUND;
            IF NOT v_found THEN
                INSERT INTO pggit._undo_%5$s (_seq, _xid, _b, _owned, _live, %11$s)
                VALUES (nextval('pggit._ordinal'), v_xid, v_branch, true, false, %16$s);
            END IF;
        END IF;
        IF v_found THEN
            PERFORM pggit._violation('23505', %17$L, format(%18$L, concat_ws(', ', %16$s)), TG_TABLE_SCHEMA, TG_TABLE_NAME, '', %19$L);
        END IF;
    END IF;
%20$s
    IF TG_OP = 'DELETE' THEN
        %25$s
        RETURN OLD;
    END IF;
    %26$s
    RETURN NEW;
END$w$,
        v_checks.declarations || v_unique.declarations || v_foreign.declarations,
        pggit._same_key(p_table_id, 'NEW', 'OLD', true, true),
        v_checks.body, v_unique.body, p_table_id, v_set, pggit._same_key(p_table_id, 'd', 'OLD', false, true),
        v_held, v_old, v_stored, v_keys, v_old_keys, v_new,
        pggit._var_main_sql(p_table_id), pggit._same_key(p_table_id, 'r', 'NEW', true, true), v_new_keys,
        format('duplicate key value violates unique constraint "%s"', v_key_name),
        format('Key (%s)=(%%s) already exists.', replace(v_key_list, '%', '%%')), v_key_name, v_foreign.body,
        pggit._same_key(p_table_id, 'h', 'NEW', false, true), pggit._var_out_sql('h'), pggit._base_rows(p_table_id), v_enter, v_leave_old, v_leave_new, pggit._hold_around_sql(v_table),
        pggit._looks_around_sql(v_table.relation, v_missing), pggit._gone_sql(p_table_id, v_held, v_old)));
END;
$$;

COMMENT ON FUNCTION pggit._ensure_write_function(integer, pggit.branch_tables) IS
'Makes pggit._write_<shape>(), through which all branch views of a table with the same columns are written: those of now, or those of a view that was made before main added, dropped, retyped or renamed some. A row that another
session changed since the statement began gives 40001; one that this statement itself changed already is skipped, as in a table. A look at one key is shaped so that no index but the key''s
fits it (pggit._delta_predicate).';

CREATE OR REPLACE FUNCTION pggit._renew_write_functions_of(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regprocedure(format('pggit._write_%s()', pggit._shape_name(p_table_id))) IS NOT NULL THEN
        PERFORM pggit._ensure_write_function(p_table_id);
    END IF;
    -- One view for each function that views are written through.
    PERFORM pggit._ensure_write_function(p_table_id, v.shown)
       FROM (SELECT DISTINCT ON (g.tgfoid) bt AS shown
               FROM pggit.branch_tables AS bt JOIN pg_trigger AS g ON g.tgrelid = bt.relation AND g.tgname = 'pggit_write'
              WHERE bt.table_id = p_table_id AND bt.form = 'view' ORDER BY g.tgfoid, bt.branch_id) AS v;
END;
$$;

COMMENT ON FUNCTION pggit._renew_write_functions_of(integer) IS
'Makes the functions anew that write a table on branches, of all shapes in which views show it.';
