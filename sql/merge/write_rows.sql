CREATE OR REPLACE FUNCTION pggit._may_replicate()
    RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT current_setting('is_superuser')::boolean OR has_parameter_privilege('session_replication_role', 'SET');
$$;

COMMENT ON FUNCTION pggit._may_replicate() IS
'Whether this role can keep triggers out of a merge by session_replication_role.';

CREATE OR REPLACE FUNCTION pggit._constraint_mode()
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_mode text;
BEGIN
    BEGIN
        PERFORM set_config('session_replication_role', 'origin', true) WHERE current_setting('session_replication_role') <> 'origin';
        CREATE TEMPORARY TABLE pggit_waits (early integer UNIQUE DEFERRABLE INITIALLY IMMEDIATE, late integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
        BEGIN
            INSERT INTO pg_temp.pggit_waits (late) VALUES (1), (1);
            INSERT INTO pg_temp.pggit_waits (early) VALUES (1), (1);
            v_mode := 'DEFERRED';
        EXCEPTION WHEN unique_violation THEN
            v_mode := CASE WHEN SQLERRM LIKE '%pggit_waits_late_key%' THEN 'IMMEDIATE' END;
        END;
        RAISE EXCEPTION USING ERRCODE = 'transaction_rollback';
    EXCEPTION WHEN transaction_rollback THEN
        RETURN v_mode;
    END;
END;
$$;

COMMENT ON FUNCTION pggit._constraint_mode() IS
'What SET CONSTRAINTS ALL has said in this transaction: DEFERRED, IMMEDIATE, or NULL where it has not been. No catalog has it, so it is tried.';

CREATE OR REPLACE FUNCTION pggit._waiting_constraints(p_relations oid[], p_types "char"[])
    RETURNS TABLE (all_names text, late_names text, can_wait text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT string_agg(c.name, ', '), string_agg(c.name, ', ') FILTER (WHERE c.condeferred AND NOT c.is_shared), string_agg(c.name, ', ') FILTER (WHERE NOT c.is_shared)
      FROM (SELECT format('%I.%I', n.nspname, k.conname) AS name, k.condeferred,
                   EXISTS (SELECT FROM pg_constraint AS o WHERE o.conname = k.conname AND o.connamespace = k.connamespace AND NOT o.condeferrable) AS is_shared
              FROM pg_constraint AS k JOIN pg_namespace AS n ON n.oid = k.connamespace
             WHERE k.condeferrable AND k.conparentid = 0 AND k.contype = ANY (p_types) AND (k.conrelid = ANY (p_relations) OR k.confrelid = ANY (p_relations))) AS c;
$$;

COMMENT ON FUNCTION pggit._waiting_constraints(oid[], "char"[]) IS
'The deferrable constraints of some types from or to relations, as SET CONSTRAINTS takes them: all, those that wait unless somebody says otherwise, and those that can be made to wait: SET CONSTRAINTS … DEFERRED
takes no name that another constraint of the schema has which can''t.';

CREATE OR REPLACE FUNCTION pggit._put_back_sql(p_late text)
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (SELECT CASE WHEN m.mode = 'DEFERRED' THEN '["SET CONSTRAINTS ALL DEFERRED"]' WHEN m.mode = 'IMMEDIATE' OR p_late IS NULL THEN '[]' ELSE jsonb_build_array(format('SET CONSTRAINTS %s DEFERRED', p_late)) END
              FROM pggit._constraint_mode() AS m(mode));
END;
$$;

COMMENT ON FUNCTION pggit._put_back_sql(text) IS
'The commands after which constraints wait as they do now, when they have been made IMMEDIATE: as SET CONSTRAINTS ALL has said, or else those named, which wait of themselves. What SET CONSTRAINTS has said of single ones is not known.';

CREATE OR REPLACE FUNCTION pggit._hold_triggers(p_relations oid[])
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_held    jsonb := '[]';
    v_trigger record;
    v_waiting record  := pggit._waiting_constraints(p_relations, '{f,u,p,x,t}');
    v_back    jsonb   := '[]';
BEGIN
    FOR v_trigger IN
        SELECT g.tgname AS name, g.tgrelid::regclass AS relation FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
         WHERE g.tgrelid = ANY (p_relations) AND NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgenabled = 'O'
           AND (p.pronamespace <> 'pggit'::regnamespace OR p.proname IN ('_check_child', '_check_parent'))
    LOOP
        -- A table can't be altered while one of its constraints waits to be checked.
        IF v_held = '[]' AND v_waiting.all_names IS NOT NULL THEN
            v_back := pggit._put_back_sql(v_waiting.late_names);
            EXECUTE format('SET CONSTRAINTS %s IMMEDIATE', v_waiting.all_names);
        END IF;
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', v_trigger.relation, v_trigger.name);
        v_held := v_held || to_jsonb(format('ALTER TABLE %s ENABLE TRIGGER %I', v_trigger.relation, v_trigger.name));
    END LOOP;
    RETURN v_held || v_back;
END;
$$;

COMMENT ON FUNCTION pggit._hold_triggers(oid[]) IS
'Where session_replication_role may not be set: takes the user''s own triggers out of the merge, and those that stand for foreign keys of a branch between a view and
a real table, which would look at half of what a merge writes. Constraints that wait are checked at once until then. Returns the commands for pggit._release_triggers.';

CREATE OR REPLACE FUNCTION pggit._release_triggers(p_held jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_command text;
BEGIN
    FOR v_command IN SELECT jsonb_array_elements_text(p_held) LOOP
        EXECUTE v_command;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._release_triggers(jsonb) IS
'Puts back the triggers that pggit._hold_triggers took out.';

CREATE OR REPLACE FUNCTION pggit._identities_sql(p_table_id integer, p_relation regclass)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(string_agg(format('ROW((p.o).c%1$s)::record *<> ROW((p.want).c%1$s)::record', c.column_id), ' OR '), 'false')
              FROM pggit._columns_at(p_table_id, pggit._target()) AS c
              JOIN pg_attribute AS a ON a.attrelid = p_relation AND a.attname = c.name
             WHERE c.generated_as IS NULL AND a.attidentity = 'a');
END;
$$;

COMMENT ON FUNCTION pggit._identities_sql(integer, regclass) IS
'Condition on a planned row p: its update changes a GENERATED ALWAYS identity, which an UPDATE may not.';

CREATE OR REPLACE FUNCTION pggit._swaps_sql(p_table_id integer, p_relation regclass)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(string_agg(DISTINCT format('ROW((p.o).c%1$s)::record *<> ROW((p.want).c%1$s)::record', c.column_id), ' OR '), 'false')
              FROM pggit._columns_at(p_table_id, pggit._target()) AS c
              JOIN pg_attribute AS a ON a.attrelid = p_relation AND a.attname = c.name
              JOIN pg_index AS i ON i.indrelid = p_relation AND (i.indisunique OR i.indisexclusion)
                                AND (a.attnum = ANY (i.indkey) OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
                                     OR EXISTS (SELECT FROM pg_attribute AS g WHERE g.attrelid = p_relation AND g.attgenerated <> '' AND g.attnum = ANY (i.indkey)))
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._swaps_sql(integer, regclass) IS
'Condition on a planned row p: its update changes what a unique index or exclusion constraint looks at, so that updates one by one could collide on the way to a valid end.';

CREATE OR REPLACE FUNCTION pggit._anew_sql(p_table_id integer, p_relation regclass)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT concat_ws(' OR ', pggit._identities_sql(p_table_id, p_relation), pggit._swaps_sql(p_table_id, p_relation));
$$;

COMMENT ON FUNCTION pggit._anew_sql(integer, regclass) IS
'Condition on a planned row p: its update is, or becomes where updates collide, a delete and an insert.';

CREATE OR REPLACE FUNCTION pggit._write_plan(p_table_id integer, p_relation text, p_anew text)
    RETURNS void
    LANGUAGE plpgsql
    SET random_page_cost = 0.1  -- the plan has just read these rows: looking them up again costs no page, and reading all of a large table much more
AS $$
DECLARE
    v_rows    text := pggit._rows_of(p_relation::regclass);
    v_plan    text := format('pg_temp.pggit_plan_%s', p_table_id);
    v_same    text := pggit._planned_row_sql(p_table_id);
    v_guard   text := pggit._named_as_row_sql(p_table_id, 'b') || ' *= p.o';
    v_set     text;
    v_delete  bigint;
    v_update  bigint;
    v_insert  bigint;
    v_placed  boolean;
    v_done    bigint;
BEGIN
    EXECUTE format('SELECT count(*) FILTER (WHERE p.action = ''delete'' OR (p.action = ''update'' AND (%1$s))), count(*) FILTER (WHERE p.action = ''update'' AND NOT (%1$s)),
                           count(*) FILTER (WHERE p.action = ''insert'' OR (p.action = ''update'' AND (%1$s))),
                           bool_and(p.at IS NOT NULL) FILTER (WHERE p.action IN (''delete'', ''update'')) FROM %2$s AS p',
                   p_anew, v_plan) INTO v_delete, v_update, v_insert, v_placed;
    IF v_placed AND EXISTS (SELECT FROM pggit.tables AS t WHERE t.table_id = p_table_id AND pggit._writes_alone(t)) THEN
        v_same := pggit._planned_place_sql(p_table_id);
    END IF;
    IF v_delete > 0 THEN
        EXECUTE format('DELETE FROM %s AS b USING %s AS p WHERE %s AND (p.action = ''delete'' OR (p.action = ''update'' AND (%s))) AND %s',
                       v_rows, v_plan, v_same, p_anew, v_guard);
        GET DIAGNOSTICS v_done = ROW_COUNT;
        PERFORM pggit._require_all(p_table_id, p_relation, v_delete, v_done, false);
    END IF;
    IF v_update > 0 THEN
        SELECT string_agg(format('%I = (p.want).c%s', c.name, c.column_id), ', ' ORDER BY c.column_id) INTO v_set
          FROM pggit._columns_at(p_table_id, pggit._target()) AS c
          JOIN pg_attribute AS a ON a.attrelid = p_relation::regclass AND a.attname = c.name
         WHERE c.generated_as IS NULL AND a.attidentity <> 'a';
        EXECUTE format('UPDATE %s AS b SET %s FROM %s AS p WHERE %s AND p.action = ''update'' AND NOT (%s) AND %s',
                       v_rows, v_set, v_plan, v_same, p_anew, v_guard);
        GET DIAGNOSTICS v_done = ROW_COUNT;
        PERFORM pggit._require_all(p_table_id, p_relation, v_update, v_done, false);
    END IF;

    IF v_insert > 0 THEN
        EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s AS p WHERE p.action = ''insert'' OR (p.action = ''update'' AND (%s))',
                       p_relation, pggit._column_names(p_table_id), pggit._record_columns(p_table_id, 'p.want', pggit._target()), v_plan, p_anew);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._write_plan(integer, text, text) IS
'Writes a table''s plan into a real table: deletes, updates, inserts, each guarded by the planned row of ours. Updates that meet the condition p_anew, on a planned row p, are a delete and an insert.
Raises VG402 when a row is no longer as planned.';

CREATE OR REPLACE FUNCTION pggit._lock_planned_rows(p_tables integer[])
    RETURNS void
    LANGUAGE plpgsql
    SET random_page_cost = 0.1  -- as in pggit._write_plan
AS $$
DECLARE
    v_ends   timestamptz := clock_timestamp() + interval '900 milliseconds';
    v_table  integer;
    v_rows   text;
    v_same   text;
    v_delete bigint;
    v_update bigint;
    v_placed boolean;
    v_locked bigint;
    v_there  bigint;
BEGIN
    FOREACH v_table IN ARRAY p_tables LOOP
        EXECUTE format('SELECT count(*) FILTER (WHERE p.action = ''delete''), count(*) FILTER (WHERE p.action = ''update''), bool_and(p.at IS NOT NULL) FROM pg_temp.pggit_plan_%s AS p
                         WHERE p.action IN (''delete'', ''update'')', v_table) INTO v_delete, v_update, v_placed;
        CONTINUE WHEN v_delete + v_update = 0;
        v_rows := format('FROM %s AS b JOIN pg_temp.pggit_plan_%s AS p', pggit._rows_of(pggit._base_relation(v_table)::regclass), v_table);
        v_same := CASE WHEN v_placed THEN pggit._planned_place_sql(v_table) ELSE pggit._planned_row_sql(v_table) END;
        LOOP
            EXECUTE 'SELECT ' || concat_ws(' + ',
                    CASE WHEN v_delete > 0 THEN format('(SELECT count(*) FROM (SELECT %s ON %s WHERE p.action = ''delete'' FOR UPDATE OF b SKIP LOCKED) AS d)', v_rows, v_same) END,
                    CASE WHEN v_update > 0 THEN format('(SELECT count(*) FROM (SELECT %s ON %s WHERE p.action = ''update'' FOR NO KEY UPDATE OF b SKIP LOCKED) AS u)', v_rows, v_same) END)
               INTO v_locked;
            EXIT WHEN v_locked >= v_delete + v_update;
            -- A row that others have written since is somewhere else.
            v_same := pggit._planned_row_sql(v_table);
            EXECUTE format('SELECT count(*) %s ON %s WHERE p.action IN (''delete'', ''update'')', v_rows, v_same) INTO v_there;
            EXIT WHEN v_locked >= v_there;
            IF clock_timestamp() >= v_ends THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'lock_not_available', MESSAGE = format('rows of %s are locked by others', pggit._base_relation(v_table));
            END IF;
            PERFORM pg_sleep(0.01 + random() * 0.02);
        END LOOP;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._lock_planned_rows(integer[]) IS
'Locks the rows of main that a merge is going to update or delete, before it writes any. Asks again for 0.9 seconds, and never waits: whoever has one of them may by now wait for another. Raises 55P03.
Rows that are gone are told by what writes.';

CREATE OR REPLACE FUNCTION pggit._write_rows(p_table_id integer, p_relation text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    -- An updated row is still there for a foreign key that waits for it; one that was deleted and inserted is not.
    PERFORM pggit._write_plan(p_table_id, p_relation, pggit._identities_sql(p_table_id, p_relation::regclass));
EXCEPTION WHEN unique_violation OR exclusion_violation THEN
    PERFORM pggit._write_plan(p_table_id, p_relation, pggit._anew_sql(p_table_id, p_relation::regclass));
END;
$$;

COMMENT ON FUNCTION pggit._write_rows(integer, text) IS
'pggit._write_plan where no foreign key fires. Only where updates one by one collide, those as in pggit._swaps_sql are a delete and an insert.';

CREATE OR REPLACE FUNCTION pggit._planned_table(p_relation oid)
    RETURNS integer
    LANGUAGE sql STABLE
AS $$
    SELECT r.table_id
      FROM (SELECT t.table_id FROM pggit.tables AS t WHERE t.relation = pggit._root(p_relation) AND t.untracked_at IS NULL
            UNION SELECT bt.table_id FROM pggit.branch_tables AS bt WHERE bt.relation = p_relation) AS r
     WHERE to_regclass(format('pg_temp.pggit_plan_%s', r.table_id)) IS NOT NULL;
$$;

COMMENT ON FUNCTION pggit._planned_table(oid) IS
'The id of the table that a relation of main or of a branch is, or is a partition of, if a merge has a plan for it.';

CREATE OR REPLACE FUNCTION pggit._acted_on_sql(p_table_id integer, p_relation regclass)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(string_agg(format('EXISTS (SELECT FROM %s AS c WHERE %s)', f.child, f.same)
                                       -- With one column PostgreSQL hashes what comes.
                                       || CASE WHEN f.planned IS NULL THEN ''
                                               WHEN f.one_column IS NOT NULL THEN format(' OR coalesce(%s ANY (SELECT c.%I FROM (%s) AS c WHERE c.%2$I IS DISTINCT FROM NULL), false)', f.ahead, f.one_column, pggit._wants_sql(f.planned))
                                               ELSE format(' OR EXISTS (SELECT FROM (%s) AS c WHERE %s)', pggit._wants_sql(f.planned), f.same) END, ' OR '), 'false')
              FROM (SELECT k.conrelid::regclass AS child, pggit._planned_table(k.conrelid) AS planned,
                           string_agg(x.ahead || format(' c.%I', ca.attname), ' AND ') AS same, min(x.ahead) AS ahead, CASE WHEN count(*) = 1 THEN min(ca.attname::text) END AS one_column
                      FROM pg_constraint AS k
                     CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) AS u(child_att, parent_att, op)
                      JOIN pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = u.child_att
                      JOIN pg_attribute AS pa ON pa.attrelid = k.confrelid AND pa.attnum = u.parent_att
                      JOIN pggit._columns_at(p_table_id, pggit._target()) AS m ON m.name = pa.attname
                     CROSS JOIN LATERAL (SELECT format('(p.o).c%s %s', m.column_id, pggit._compare_sql(u.op, pa.attcollation, ca.attcollation)) AS ahead) AS x
                     WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confdeltype <> 'a'
                       AND (k.confrelid = p_relation OR k.confrelid IN (SELECT t.relid FROM pg_partition_tree(p_relation) AS t))
                     GROUP BY k.oid, k.conrelid) AS f);
END;
$$;

COMMENT ON FUNCTION pggit._acted_on_sql(integer, regclass) IS
'Condition on a planned row p: rows that are there, or that the same merge writes, refer to it by a foreign key that would do something to them, or refuse it, if it were deleted and inserted.';

CREATE OR REPLACE FUNCTION pggit._spare_value_sql(p_relation regclass, p_column name, p_type oid, p_above boolean)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT CASE WHEN b.base IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'real'::regtype, 'double precision'::regtype, 'date'::regtype)
                        THEN format('(SELECT %s(x.%I) FROM %s AS x) %s p.n::integer', e.edge, p_column, p_relation, e.sign)
                        WHEN b.base IN ('timestamp'::regtype, 'timestamptz'::regtype) THEN format('(SELECT %s(x.%I) FROM %s AS x) %s p.n * interval ''1 day''', e.edge, p_column, p_relation, e.sign)
                        WHEN b.base IN ('text'::regtype, 'varchar'::regtype, 'character'::regtype, 'uuid'::regtype) THEN 'gen_random_uuid()'
                        WHEN b.base = 'bytea'::regtype THEN 'uuid_send(gen_random_uuid())'
                        WHEN b.base = 'jsonb'::regtype THEN 'to_jsonb(gen_random_uuid())' END
              FROM (SELECT coalesce(nullif(t.typbasetype, 0), t.oid) AS base FROM pg_type AS t WHERE t.oid = p_type) AS b,
                   (SELECT CASE WHEN p_above THEN 'max' ELSE 'min' END AS edge, CASE WHEN p_above THEN '+' ELSE '-' END AS sign) AS e);
END;
$$;

COMMENT ON FUNCTION pggit._spare_value_sql(regclass, name, oid, boolean) IS
'Expression: a value of a column''s type that no row of a relation has, for row number n of alias p: above all or below all, or random. NULL for types of which it can''t be told.';

CREATE OR REPLACE FUNCTION pggit._parked_sql(p_relation regclass, p_above boolean)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(DISTINCT format('%I = %s', c.attname, c.value), ', ')
          FROM pg_index AS i
         CROSS JOIN LATERAL (
            SELECT a.attname, v.value
              FROM pg_attribute AS a
             CROSS JOIN LATERAL (SELECT NOT a.attnotnull AND NOT EXISTS (SELECT FROM pg_type AS t WHERE t.oid = a.atttypid AND t.typnotnull)
                                        AND NOT EXISTS (SELECT FROM pg_index AS n WHERE n.indrelid = a.attrelid AND n.indnullsnotdistinct AND a.attnum = ANY (n.indkey)) AS may_be_null,
                                        EXISTS (SELECT FROM pg_constraint AS k WHERE k.contype = 'f' AND k.conrelid = a.attrelid AND a.attnum = ANY (k.conkey)) AS refers) AS s
             CROSS JOIN LATERAL (SELECT CASE WHEN s.may_be_null THEN 'NULL' WHEN NOT i.indisexclusion AND NOT s.refers
                                             THEN format('(%s)::%s', pggit._spare_value_sql(p_relation, a.attname, a.atttypid, p_above), format_type(a.atttypid, a.atttypmod)) END AS value) AS v
             WHERE a.attrelid = p_relation AND a.attgenerated = '' AND a.attidentity = '' AND v.value <> format('()::%s', format_type(a.atttypid, a.atttypmod))
               AND (a.attnum = ANY (i.indkey) OR EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum))
               AND NOT EXISTS (SELECT FROM pg_index AS k WHERE k.indrelid = a.attrelid AND k.indisprimary AND a.attnum = ANY (k.indkey))
               AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.contype = 'f' AND k.confrelid = a.attrelid AND a.attnum = ANY (k.confkey))
             ORDER BY s.refers, NOT s.may_be_null, a.attnum
             LIMIT 1) AS c
         WHERE i.indrelid = p_relation AND (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary);
END;
$$;

COMMENT ON FUNCTION pggit._parked_sql(regclass, boolean) IS
'SET list that gives a row, number n of alias p, values that collide with those of no other row: in one column of each unique index or exclusion constraint NULL, or a spare value (pggit._spare_value_sql; p_above: above all, if it has an order). NULL where there are no such columns.';

CREATE OR REPLACE FUNCTION pggit._park_rows(p_table_id integer, p_relation text, p_above boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_plan text := format('pg_temp.pggit_plan_%s', p_table_id);
    v_same text := pggit._planned_row_sql(p_table_id);
    v_row  text := pggit._named_as_row_sql(p_table_id, 'b');
    v_set  text := pggit._parked_sql(p_relation::regclass, p_above);
    v_held text := format('p.action = ''update'' AND (%s) AND (%s)', pggit._swaps_sql(p_table_id, p_relation::regclass), pggit._acted_on_sql(p_table_id, p_relation::regclass));
BEGIN
    IF v_set IS NOT NULL THEN
        EXECUTE format('UPDATE %s AS b SET %s FROM (SELECT p.*, row_number() OVER () AS n FROM %s AS p WHERE %s) AS p WHERE %s AND %s *= p.o',
                       pggit._rows_of(p_relation::regclass), v_set, v_plan, v_held, v_same, v_row);
        EXECUTE format('UPDATE %s AS p SET o = %s FROM %s AS b WHERE %s AND %s', v_plan, v_row, p_relation, v_same, v_held);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._park_rows(integer, text, boolean) IS
'Takes unique values away, for a moment, from planned rows that can''t be deleted and inserted because rows refer to them. The plan goes on from there.';

CREATE OR REPLACE FUNCTION pggit._write_parts(p_table_id integer, p_relation text, p_swaps boolean)
    RETURNS TABLE (step integer, wanted bigint, statement text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_rows   text := pggit._rows_of(p_relation::regclass);
    v_plan   text := format('pg_temp.pggit_plan_%s', p_table_id);
    v_same   text := pggit._planned_row_sql(p_table_id);
    v_guard  text := pggit._named_as_row_sql(p_table_id, 'b') || ' *= p.o';
    v_anew   text := format('p.action = ''update'' AND (%s%s) AND NOT (%s)', pggit._identities_sql(p_table_id, p_relation::regclass),
                            CASE WHEN p_swaps THEN ' OR ' || pggit._swaps_sql(p_table_id, p_relation::regclass) ELSE '' END, pggit._acted_on_sql(p_table_id, p_relation::regclass));
    v_set    text;
    v_delete bigint;
    v_update bigint;
    v_insert bigint;
BEGIN
    EXECUTE format('SELECT count(*) FILTER (WHERE p.action = ''delete'' OR a.anew), count(*) FILTER (WHERE p.action = ''update'' AND NOT a.anew), count(*) FILTER (WHERE p.action = ''insert'' OR a.anew)
                      FROM %s AS p CROSS JOIN LATERAL (SELECT %s AS anew) AS a', v_plan, v_anew) INTO v_delete, v_update, v_insert;
    SELECT string_agg(format('%I = (p.want).c%s', c.name, c.column_id), ', ' ORDER BY c.column_id) INTO v_set
      FROM pggit._columns_at(p_table_id, pggit._target()) AS c
      JOIN pg_attribute AS a ON a.attrelid = p_relation::regclass AND a.attname = c.name
     WHERE c.generated_as IS NULL AND a.attidentity <> 'a';

    RETURN QUERY VALUES
        (1, v_delete, format('DELETE FROM %s AS b USING %s AS p WHERE %s AND (p.action = ''delete'' OR %s) AND %s', v_rows, v_plan, v_same, v_anew, v_guard)),
        (2, v_update, format('UPDATE %s AS b SET %s FROM %s AS p WHERE %s AND p.action = ''update'' AND NOT (%s) AND %s', v_rows, v_set, v_plan, v_same, v_anew, v_guard)),
        (3, v_insert, format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s AS p WHERE p.action = ''insert'' OR %s',
                             p_relation, pggit._column_names(p_table_id), pggit._record_columns(p_table_id, 'p.want', pggit._target()), v_plan, v_anew));
END;
$$;

COMMENT ON FUNCTION pggit._write_parts(integer, text, boolean) IS
'The statements that write a table''s plan where foreign keys fire, each guarded by the planned row of ours, and how many rows each has to write. p_swaps: updates as in pggit._swaps_sql are a delete and an insert,
except of rows as in pggit._acted_on_sql.';

CREATE OR REPLACE FUNCTION pggit._write_in_one(p_table_ids integer[], p_relations text[], p_swaps boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET random_page_cost = 0.1  -- as in pggit._write_plan
AS $$
DECLARE
    v_with  text;
    v_count text;
    v_want  bigint[];
    v_ids   integer[];
    v_names text[];
    v_steps integer[];
    v_done  bigint[];
BEGIN
    SELECT string_agg(format('w%s AS (%s RETURNING 1)', q.n, q.statement), ', ' ORDER BY q.n),
           string_agg(format('(SELECT count(*) FROM w%s)', q.n), ', ' ORDER BY q.n),
           array_agg(q.wanted ORDER BY q.n), array_agg(q.table_id ORDER BY q.n), array_agg(q.relation ORDER BY q.n), array_agg(q.step ORDER BY q.n)
      INTO v_with, v_count, v_want, v_ids, v_names, v_steps
      FROM (SELECT row_number() OVER (ORDER BY p.step, w.table_id) AS n, p.step, w.table_id, w.relation, p.wanted, p.statement
              FROM unnest(p_table_ids, p_relations) AS w(table_id, relation)
             CROSS JOIN LATERAL pggit._write_parts(w.table_id, w.relation, p_swaps) AS p
             WHERE p.wanted > 0) AS q;
    IF v_with IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('WITH %s SELECT ARRAY[%s]', v_with, v_count) INTO v_done;
    FOR v_at IN 1 .. cardinality(v_want) LOOP
        PERFORM pggit._require_all(v_ids[v_at], v_names[v_at], v_want[v_at], v_done[v_at], v_steps[v_at] = 3);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._write_in_one(integer[], text[], boolean) IS
'Writes the plans of several real tables in one statement (pggit._write_parts). Raises VG402 when a row is no longer as planned.';

CREATE OR REPLACE FUNCTION pggit._write_parked(p_table_ids integer[], p_relations text[], p_above boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._park_rows(w.table_id, w.relation, p_above) FROM unnest(p_table_ids, p_relations) AS w(table_id, relation) WHERE NOT pggit._is_keyless(w.table_id);
    PERFORM pggit._write_in_one(p_table_ids, p_relations, true);
EXCEPTION WHEN unique_violation OR exclusion_violation OR check_violation OR data_exception THEN
    IF p_above THEN
        PERFORM pggit._write_parked(p_table_ids, p_relations, false);
        RETURN;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'VG310', SCHEMA = 'pggit',
        MESSAGE = format('unique values change hands between rows that others refer to, and there is no value that could stand for them meanwhile: %s', SQLERRM),
        HINT    = 'Let a role merge that may set session_replication_role, or make the foreign keys to these rows ON DELETE NO ACTION, or give the rows other values on the target first. Nothing was written.';
END;
$$;

COMMENT ON FUNCTION pggit._write_parked(integer[], text[], boolean) IS
'pggit._write_in_one after pggit._park_rows: first with spare values above all (p_above), then below all. Raises VG310 where neither will do.';

CREATE OR REPLACE FUNCTION pggit._write_together(p_table_ids integer[], p_relations text[])
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._refuse_actions(w.table_id, w.relation) FROM unnest(p_table_ids, p_relations) AS w(table_id, relation) WHERE pggit._is_keyless(w.table_id);
    PERFORM pggit._write_in_one(p_table_ids, p_relations, false);
EXCEPTION WHEN unique_violation OR exclusion_violation THEN
    PERFORM pggit._write_parked(p_table_ids, p_relations, true);
END;
$$;

COMMENT ON FUNCTION pggit._write_together(integer[], text[]) IS
'Writes the plans of several real tables in one statement, where foreign keys fire: they look at its end, so that the order of the tables does not matter and
cycles are no harm. Only where updates one by one collide, values that change hands are taken away first. Raises VG402 when a row is no longer as planned, VG310 as pggit._refuse_actions and pggit._write_parked.';

CREATE OR REPLACE FUNCTION pggit._key_object_sql(p_table_id integer, p_alias text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(format('jsonb_build_object(%s)', string_agg(format('%L, %s.c%s', c.name, p_alias, c.column_id), ', ' ORDER BY c.key_position)), pggit._row_json_sql(p_table_id, format('coalesce(%1$s.o, %1$s.want)', p_alias)))
              FROM pggit._columns_at(p_table_id, pggit._target()) AS c WHERE c.key_position IS NOT NULL);
END;
$$;

COMMENT ON FUNCTION pggit._key_object_sql(integer, text) IS
'Expression: the key of an alias, or record in parentheses, that has the columns of a plan, as a JSON object by column name; of a planned row without a key, all of it.';

CREATE OR REPLACE FUNCTION pggit._what_fires(p_tables integer[], p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce('what fires is ' || string_agg(format('trigger %I of table %s', g.tgname, g.tgrelid::regclass), ', ' ORDER BY g.tgrelid::regclass::text, g.tgname), 'no trigger fires, so that it is a rule or a policy')
              FROM (SELECT t.fires, unnest(CASE p_branch_id WHEN 1 THEN pggit._relations(ARRAY[t.table_id])
                                                            ELSE ARRAY(SELECT bt.relation::oid FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = t.table_id) END) AS relation
                      FROM pggit.tables AS t WHERE t.table_id = ANY (p_tables)) AS r
              JOIN pg_trigger AS g ON g.tgrelid = r.relation JOIN pg_proc AS f ON f.oid = g.tgfoid
             WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND f.pronamespace <> 'pggit'::regnamespace
               AND (g.tgenabled = 'A' OR (g.tgenabled = 'R' AND pggit._may_replicate()) OR (g.tgenabled = 'O' AND r.fires)));
END;
$$;

COMMENT ON FUNCTION pggit._what_fires(integer[], integer) IS
'Which triggers of the user fire when a merge writes these tables of a branch, in words.';

CREATE OR REPLACE FUNCTION pggit._refuse_skipping(p_table_id integer, p_relation text, p_inserts boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_row jsonb;
BEGIN
    EXECUTE format('SELECT %1$s FROM pg_temp.pggit_plan_%2$s AS p LEFT JOIN LATERAL (SELECT %3$s AS r FROM %4$s AS b WHERE %5$s OFFSET 0) AS b ON true
                     WHERE CASE p.action WHEN ''insert'' THEN %6$s AND b.r IS NULL ELSE p.action <> ''none'' AND b.r *= p.o END LIMIT 1',
                   pggit._key_object_sql(p_table_id, 'p'), p_table_id, pggit._named_as_row_sql(p_table_id, 'b'), pggit._rows_of(p_relation::regclass), pggit._planned_row_sql(p_table_id),
                   (NOT pggit._is_keyless(p_table_id))::text) INTO v_row;
    -- Which of several rows without a key is not there can't be told.
    IF v_row IS NOT NULL OR p_inserts THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG310', SCHEMA = 'pggit',
            MESSAGE = format('%s of table %s was to be written by the merge and was not: %s', coalesce('row ' || v_row::text, 'a row'), p_relation, pggit._what_fires(ARRAY[p_table_id], coalesce((SELECT bt.branch_id FROM pggit.branch_tables AS bt WHERE bt.relation = p_relation::regclass), 1))),
            HINT    = 'A trigger that fires in a merge (pggit.fire_triggers, ENABLE ALWAYS, ENABLE REPLICA) may raise an error, and neither change nor skip a row. Nothing was written.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_skipping(integer, text, boolean) IS
'Raises VG310 when a row of a plan that has just been written stands as it was before, or rows were not inserted (p_inserts): nobody else can do that, so something kept the merge from it.';

CREATE OR REPLACE FUNCTION pggit._require_all(p_table_id integer, p_relation text, p_want bigint, p_done bigint, p_inserts boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF p_want <> p_done THEN
        PERFORM pggit._refuse_skipping(p_table_id, p_relation, p_inserts);
        RAISE EXCEPTION USING
            ERRCODE = 'VG402', SCHEMA = 'pggit',
            MESSAGE = format('%s rows of %s were changed by others since the merge was planned', p_want - p_done, p_relation),
            HINT    = 'Nothing was written. Merge again.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_all(integer, text, bigint, bigint, boolean) IS
'Raises VG402 unless every planned row was still as planned (p_inserts: they were inserted), or VG310 as pggit._refuse_skipping.';

CREATE OR REPLACE FUNCTION pggit._named_as_row_sql(p_table_id integer, p_alias text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('ROW(0, %s)::pggit._delta_%s', string_agg(CASE WHEN c.column_id IS NULL THEN 'NULL' ELSE format('%s.%I', p_alias, c.name) END, ', ' ORDER BY s.attnum), p_table_id)
              FROM pggit._store_columns(p_table_id) AS s
              LEFT JOIN pggit._columns_at(p_table_id, pggit._target()) AS c ON c.column_id = s.column_id AND c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._named_as_row_sql(integer, text) IS
'pggit._as_row_sql of a user''s table, whose columns have their names.';

CREATE OR REPLACE FUNCTION pggit._column_names(p_table_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.column_id)
              FROM pggit._columns_at(p_table_id, pggit._target()) AS c
             WHERE c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._column_names(integer) IS
'The stored columns'' names in the user''s table, as an INSERT lists them.';

CREATE OR REPLACE FUNCTION pggit._lock_parents(p_rows text, p_relation regclass)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_ends   timestamptz := clock_timestamp() + interval '900 milliseconds';
    v_locked bigint;
    v_there  bigint;
BEGIN
    LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %s FOR KEY SHARE OF p SKIP LOCKED) AS held', p_rows) INTO v_locked;
        EXECUTE format('SELECT count(*) FROM %s', p_rows) INTO v_there;
        EXIT WHEN v_locked >= v_there;
        IF clock_timestamp() >= v_ends THEN
            RAISE EXCEPTION USING
                ERRCODE = 'lock_not_available', MESSAGE = format('rows of %s are locked by others', p_relation);
        END IF;
        PERFORM pg_sleep(0.01 + random() * 0.02);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._lock_parents(text, regclass) IS
'Locks rows that a merge refers to (what follows FROM, with alias p), as a foreign key does. Asks again for 0.9 seconds and never waits, as pggit._lock_planned_rows: whoever takes one of them away may wait for the merge. Raises 55P03.';

CREATE OR REPLACE FUNCTION pggit._recheck_foreign_keys(p_tables integer[], p_idle oid[])
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_key    record;
    v_child  integer;
    v_parent integer;
    v_wants  text;
    v_gone   text;
    v_broken boolean;
    v_relations oid[] := pggit._relations(p_tables);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.contype = 'f' AND k.conparentid = 0 AND k.oid <> ALL (p_idle) AND (k.conrelid = ANY (v_relations) OR k.confrelid = ANY (v_relations))) THEN
        RETURN;
    END IF;
    FOR v_key IN SELECT f.* FROM pggit._foreign_keys(v_relations) AS f WHERE f.key_id <> ALL (p_idle) LOOP
        v_child  := (SELECT t.table_id FROM pggit.tables AS t WHERE t.relation = pggit._root(v_key.child) AND t.table_id = ANY (p_tables));
        v_parent := (SELECT t.table_id FROM pggit.tables AS t WHERE t.relation = pggit._root(v_key.parent) AND t.table_id = ANY (p_tables));
        v_gone   := pggit._gone_of_key_sql(v_parent, v_key);
        v_wants  := pggit._wants_of_key_sql(v_child, v_key, v_gone IS NULL);
        IF v_wants IS NOT NULL THEN
            -- As the foreign key's own trigger does: hold the parents, then look with a new snapshot.
            PERFORM pggit._lock_parents(format('%s AS p WHERE EXISTS (SELECT FROM (%s) AS c WHERE %s)', pggit._rows_of(v_key.parent), v_wants, v_key.same), v_key.parent);
            EXECUTE format('SELECT EXISTS (SELECT FROM (%s) AS c WHERE %s AND NOT EXISTS (SELECT FROM %s AS p WHERE %s))',
                           v_wants, v_key.child_set, pggit._rows_of(v_key.parent), v_key.same) INTO v_broken;
            PERFORM pggit._require_unbroken(v_broken, v_key.conname);
        END IF;
        IF v_gone IS NOT NULL THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %1$s AS c WHERE EXISTS (SELECT FROM (%2$s) AS p WHERE %3$s) AND NOT EXISTS (SELECT FROM %4$s AS p WHERE %3$s))',
                           pggit._rows_of(v_key.child), v_gone, v_key.same, pggit._rows_of(v_key.parent)) INTO v_broken;
            PERFORM pggit._require_unbroken(v_broken, v_key.conname);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._recheck_foreign_keys(integer[], oid[]) IS
'After the rows of a merge are written to main without triggers: checks the foreign keys of what was written, under row locks, but for those of which pggit._check_foreign_keys has found that nothing asks them (p_idle). Raises VG402.';

CREATE OR REPLACE FUNCTION pggit._require_periods(p_tables integer[], p_target_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_key    record;
    v_broken boolean;
    v_relations oid[] := pggit._relations(p_tables);
BEGIN
    -- conperiod is there from PostgreSQL 18.
    IF current_setting('server_version_num')::integer < 180000 OR NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.contype = 'f' AND (to_jsonb(k) ->> 'conperiod')::boolean) THEN
        RETURN;
    END IF;
    FOR v_key IN
        SELECT k.conname, n.nspname, r.relname, pggit._relation_on(p_target_id, k.conrelid) AS child, pggit._relation_on(p_target_id, k.confrelid) AS parent,
               string_agg(format('p.%I %s c.%I', pa.attname, pggit._compare_sql(u.operator, pa.attcollation, ca.attcollation), ca.attname), ' AND ') FILTER (WHERE u.i < cardinality(k.conkey)) AS same,
               string_agg(format('c.%I IS DISTINCT FROM NULL', ca.attname), ' AND ') AS given,
               string_agg(format('c.%I <@ (SELECT range_agg(p.%I)', ca.attname, pa.attname), '') FILTER (WHERE u.i = cardinality(k.conkey)) AS covered
          FROM pg_constraint AS k
          JOIN pg_class AS r ON r.oid = k.conrelid
          JOIN pg_namespace AS n ON n.oid = r.relnamespace
         CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS u(child, parent, operator, i)
          JOIN pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = u.child
          JOIN pg_attribute AS pa ON pa.attrelid = k.confrelid AND pa.attnum = u.parent
         WHERE k.contype = 'f' AND (to_jsonb(k) ->> 'conperiod')::boolean AND pggit._is_enforced(k)
           AND (k.conrelid = ANY (v_relations) OR k.confrelid = ANY (v_relations))
         GROUP BY k.oid, k.conname, k.conrelid, k.confrelid, n.nspname, r.relname
    LOOP
        IF p_target_id = 1 THEN
            EXECUTE format('LOCK TABLE %s, %s IN SHARE ROW EXCLUSIVE MODE', v_key.parent, v_key.child);
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s AS c WHERE %s AND (%s FROM %s AS p WHERE %s)) IS NOT TRUE)',
                       v_key.child, v_key.given, v_key.covered, v_key.parent, v_key.same) INTO v_broken;
        IF v_broken THEN
            PERFORM pggit._violation('23503', format('the merged rows of table %s violate foreign key constraint "%s": a period is not covered', v_key.child, v_key.conname), '',
                                     v_key.nspname, v_key.relname, '', v_key.conname);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._require_periods(integer[], integer) IS
'Checks, after the rows of a merge are written, foreign keys with PERIOD: several rows together may hold what one refers to, which a plan does not work out. Reads the tables. Raises 23503.';

CREATE OR REPLACE FUNCTION pggit._require_unbroken(p_broken boolean, p_constraint name)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF p_broken THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG402', SCHEMA = 'pggit',
            MESSAGE = format('others changed rows that foreign key %I connects with the merge since it was planned', p_constraint),
            HINT    = 'Nothing was written. Merge again.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_unbroken(boolean, name) IS
'Raises VG402 when a foreign key was broken by a concurrent writer.';

CREATE OR REPLACE FUNCTION pggit._pass_sequences(p_table_id integer, p_relation text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_column record;
    v_top    bigint;
BEGIN
    FOR v_column IN
        SELECT c.column_id, s.sequence, q.seqmax FROM pggit._columns_at(p_table_id, pggit._target()) AS c
         -- Main may have the column no more, or by another name.
         CROSS JOIN LATERAL (SELECT pggit._sequence_of(p_relation::regclass, a.attname) AS sequence FROM pg_attribute AS a WHERE a.attrelid = p_relation::regclass AND a.attname = c.name AND NOT a.attisdropped OFFSET 0) AS s
          JOIN pg_sequence AS q ON q.seqrelid = s.sequence
         WHERE c.type_name ~ '^(smallint|integer|bigint|numeric)' AND q.seqincrement > 0
    LOOP
        -- No sequence comes to what is above its maximum, and one that cycles would never stop.
        EXECUTE format('SELECT max((p.want).c%1$s) FROM pg_temp.pggit_plan_%2$s AS p WHERE p.action IN (''insert'', ''update'') AND (p.want).c%1$s <= %3$s',
                       v_column.column_id, p_table_id, v_column.seqmax) INTO v_top;
        PERFORM pggit._pass_sequence(v_column.sequence, v_top) WHERE v_top IS NOT NULL;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._pass_sequences(integer, text) IS
'Moves the sequences of serial and identity columns, and of those with nextval as default, past the values a merge has written.';

CREATE OR REPLACE FUNCTION pggit._require_untouched(p_tables integer[], p_mark pggit._mark)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table_id integer;
    v_touched  boolean;
BEGIN
    FOREACH v_table_id IN ARRAY p_tables LOOP
        CONTINUE WHEN pggit._is_keyless(v_table_id);
        EXECUTE format($sql$
            WITH others AS MATERIALIZED (SELECT %2$s FROM pggit._log_%1$s AS h WHERE %3$s AND h._xid <> %4$L::xid8)
            SELECT EXISTS (SELECT FROM others AS h WHERE EXISTS (SELECT FROM pg_temp.pggit_plan_%1$s AS p WHERE p.action <> 'none' AND %5$s))$sql$,
            v_table_id, pggit._key_columns(v_table_id, 'h'), pggit._out_sql('h', p_mark), pggit._transaction_number(), pggit._same_key(v_table_id, 'h', 'p')) INTO v_touched;
        IF v_touched THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG402', SCHEMA = 'pggit',
                MESSAGE = format('rows of %s were written by others since the merge was planned', pggit._base_relation(v_table_id)),
                HINT    = 'Nothing was written. Merge again.';
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._require_untouched(integer[], pggit._mark) IS
'Raises VG402 when somebody else has logged a row of the plan since the mark, even if it was left as it was: that writer is not in the merge commit, and what the merge wrote after it would not be either. Rows without a key are
counted, so that order does not matter.';

CREATE OR REPLACE FUNCTION pggit._refuse_meddling(p_table_id integer, p_branch_id integer, p_plan text, p_log text, p_written integer[])
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_real     text := pggit._relation_at(p_table_id, p_branch_id)::text;
    v_relation text := coalesce(CASE p_branch_id WHEN 1 THEN pggit._base_relation(p_table_id) ELSE v_real END, (SELECT bt.relation::regclass::text FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id));
    v_beside   text := format('SELECT %s FROM %s AS l', pggit._key_object_sql(p_table_id, 'l'), p_log);
    v_row      jsonb;
BEGIN
    IF to_regclass(p_plan) IS NOT NULL AND NOT pggit._is_keyless(p_table_id) THEN
        IF v_real IS NOT NULL THEN
            EXECUTE format('SELECT %s FROM %s AS p LEFT JOIN LATERAL (SELECT %s AS r FROM %s AS b WHERE %s OFFSET 0) AS b ON true WHERE (p.want IS NULL) <> (b.r IS NULL) OR b.r *<> p.want LIMIT 1',
                           pggit._key_object_sql(p_table_id, 'p'), p_plan, pggit._named_as_row_sql(p_table_id, 'b'), pggit._rows_of(v_real::regclass),
                           pggit._same_key(p_table_id, 'b', 'p', true, false, pggit._target())) INTO v_row;
        END IF;
        v_beside := v_beside || format(' WHERE NOT EXISTS (SELECT FROM %s AS p WHERE %s)', p_plan, pggit._same_key(p_table_id, 'l', 'p'));
    END IF;
    IF v_row IS NULL AND NOT pggit._is_keyless(p_table_id) THEN
        EXECUTE v_beside || ' LIMIT 1' INTO v_row;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'VG310', SCHEMA = 'pggit',
        MESSAGE = format('triggers changed rows of table %s while the merge was applied, so that it would not be what was planned: %s%s', v_relation, 'row ' || v_row::text || '; ', pggit._what_fires(p_written, p_branch_id)),
        HINT    = 'A trigger that fires in a merge (pggit.fire_triggers, ENABLE ALWAYS, ENABLE REPLICA) may raise an error, and neither change nor skip a row. Nothing was written.';
END;
$$;

COMMENT ON FUNCTION pggit._refuse_meddling(integer, integer, text, text, integer[]) IS
'Raises VG310: something else than the plan was written to a table of a branch. p_plan: the temporary table that has the wanted rows, if there is one, p_log: what the merge has logged, p_written: the tables that it has written to.';

CREATE OR REPLACE FUNCTION pggit._writes_alone(p_table pggit.tables)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN NOT p_table.fires AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = p_table.relation AND c.relkind = 'r' AND NOT c.relhasrules)
           AND NOT EXISTS (SELECT FROM pg_trigger AS g
                            WHERE g.tgrelid = p_table.relation AND NOT g.tgisinternal AND (SELECT f.pronamespace FROM pg_proc AS f WHERE f.oid = g.tgfoid) <> 'pggit'::regnamespace AND g.tgenabled <> 'D'
                              AND NOT (g.tgenabled = 'O' AND current_setting('session_replication_role') = 'replica'));
END;
$$;

COMMENT ON FUNCTION pggit._writes_alone(pggit.tables) IS
'Whether a merge writes a table of main, which has no partitions, without any trigger or rule of the user taking part.';

CREATE OR REPLACE FUNCTION pggit._is_logged_as_planned(p_table pggit.tables, p_watermark bigint, p_changes jsonb)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_right boolean := false;
BEGIN
    IF current_setting('session_replication_role') = 'replica' AND pggit._writes_alone(p_table) THEN
        EXECUTE format($sql$
            SELECT jsonb_build_object('inserted', count(*) FILTER (WHERE l._op = 'I'), 'updated', count(*) FILTER (WHERE l._op = 'U'), 'deleted', count(*) FILTER (WHERE l._op = 'D')) = $1 - 'digest'
              FROM pggit._log_%s AS l
             WHERE l._xid = %L::xid8 AND l._seq > %s$sql$,
            p_table.table_id, pggit._transaction_number(), p_watermark) INTO v_right USING p_changes;
    END IF;
    RETURN v_right;
END;
$$;

COMMENT ON FUNCTION pggit._is_logged_as_planned(pggit.tables, bigint, jsonb) IS
'Whether this transaction has logged, since a watermark, as many inserts, updates and deletes of a table of main as a plan has (p_changes: pggit._sum_up of it), and nothing but the merge writes there: no foreign key and no trigger or rule of the
user that could have made another row of one. pggit._write_plan has seen to it that all planned rows are written, so that what is logged beside them would be one more of its kind. Then the net change is the plan. Where it says no, that is yet to be seen.';

CREATE OR REPLACE FUNCTION pggit._stands_as_planned(p_table_id integer, p_watermark bigint)
    RETURNS boolean
    LANGUAGE plpgsql
    SET enable_nestloop = off  -- the planner does not know how many this transaction has logged
AS $$
DECLARE
    v_right boolean;
BEGIN
    EXECUTE format($sql$
        SELECT NOT EXISTS (SELECT FROM pg_temp.pggit_plan_%1$s AS p LEFT JOIN LATERAL (SELECT %2$s AS r FROM %3$s AS b WHERE %4$s OFFSET 0) AS b ON true
                            WHERE p.action <> 'none' AND ((p.want IS NULL) <> (b.r IS NULL) OR b.r *<> p.want))
           AND NOT EXISTS (SELECT FROM pggit._log_%1$s AS l WHERE l._xid = %5$L::xid8 AND l._seq > %6$s
                              AND NOT EXISTS (SELECT FROM pg_temp.pggit_plan_%1$s AS p WHERE p.action <> 'none' AND %7$s))$sql$,
        p_table_id, pggit._named_as_row_sql(p_table_id, 'b'), pggit._base_rows(p_table_id), pggit._same_key(p_table_id, 'b', 'p', true, false),
        pggit._transaction_number(), p_watermark, pggit._same_key(p_table_id, 'l', 'p')) INTO v_right;
    RETURN v_right;
END;
$$;

COMMENT ON FUNCTION pggit._stands_as_planned(integer, bigint) IS
'Whether main''s rows of a table with a key are now those of the plan, and this transaction has logged none beside since a watermark.';

CREATE OR REPLACE FUNCTION pggit._require_as_planned(p_tables integer[], p_watermark bigint, p_content jsonb DEFAULT '{}')
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table pggit.tables;
    v_xid   xid8 := pggit._transaction_number();
    v_right boolean;
BEGIN
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.untracked_at IS NULL LOOP
        IF v_table.table_id = ANY (p_tables) AND pggit._is_keyless(v_table.table_id) THEN
            v_right := pggit._is_as_planned(v_table.table_id, format('pggit._log_%s', v_table.table_id), p_watermark);
        ELSIF v_table.table_id = ANY (p_tables) THEN
            v_right := pggit._is_logged_as_planned(v_table, p_watermark, p_content -> v_table.table_id::text) OR pggit._stands_as_planned(v_table.table_id, p_watermark);
        ELSE
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM pggit._log_%s AS l WHERE l._xid = %L::xid8 AND l._seq > %s)',
                           v_table.table_id, v_xid, p_watermark) INTO v_right;
        END IF;
        PERFORM pggit._refuse_meddling(v_table.table_id, 1, format('pg_temp.pggit_plan_%s', CASE WHEN v_table.table_id = ANY (p_tables) THEN v_table.table_id END),
                                       format('(SELECT * FROM pggit._log_%s AS l WHERE l._xid = %L::xid8 AND l._seq > %s)', v_table.table_id, v_xid, p_watermark), p_tables) WHERE NOT v_right;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._require_as_planned(integer[], bigint, jsonb) IS
'Raises VG310 unless the net change that this transaction made to main since a watermark is exactly the plan. p_content: what pggit._sum_up says of it by table id, where that is known.';

CREATE OR REPLACE FUNCTION pggit._hold_still(p_table_id integer, p_mark pggit._mark)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_moved boolean;
BEGIN
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', pggit._base_relation(p_table_id));
    EXECUTE format('SELECT EXISTS (SELECT FROM pggit._log_%s AS h WHERE %s AND h._xid <> %L::xid8)', p_table_id, pggit._out_sql('h', p_mark), pggit._transaction_number()) INTO v_moved;
    IF v_moved THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG402', SCHEMA = 'pggit',
            MESSAGE = format('rows of %s were changed by others since the merge was planned', pggit._base_relation(p_table_id)),
            HINT    = 'Nothing was written. Merge again.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._hold_still(integer, pggit._mark) IS
'Keeps writers out of a table from here on, and raises VG402 when one was there since a mark. PostgreSQL checks deferrable unique constraints by triggers, which do not fire where
session_replication_role is replica, so that what the plan has checked has to stay as it is.';
