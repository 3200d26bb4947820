-- Rule renumber: both sides inserted a row with the same generated key, so the branch's row gets a new one. It is given on the branch itself, as a commit of its own before
-- the merge: then all states agree on which row has which key, and later merges in either direction find nothing strange. Rows of main keep their keys.

CREATE OR REPLACE FUNCTION pggit._sequence_of(p_relation oid, p_column name)
    RETURNS oid
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT coalesce(pg_get_serial_sequence(p_relation::regclass::text, p_column)::regclass::oid,
                            (SELECT s.oid FROM pg_attribute AS a
                               JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                               JOIN pg_depend AS p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
                               JOIN pg_class AS s ON s.oid = p.refobjid AND s.relkind = 'S'
                              WHERE a.attrelid = p_relation AND a.attname = p_column AND pg_get_expr(d.adbin, d.adrelid) ~ '^nextval\([^()]+\)$')));
END;
$$;

COMMENT ON FUNCTION pggit._sequence_of(oid, name) IS
'The sequence that gives a column its values (identity, serial, or nextval as default), or NULL.';

CREATE OR REPLACE FUNCTION pggit._generated_keys(p_table text, p_column text)
    RETURNS TABLE (table_id integer, column_id integer, sequence oid)
    LANGUAGE sql STABLE
AS $$
    WITH named AS MATERIALIZED (
        SELECT t.table_id, t.relation, c.column_id, c.name, c.key_position FROM pggit.tables AS t JOIN pggit.columns AS c USING (table_id) JOIN pg_class AS r ON r.oid = t.relation
         WHERE t.untracked_at IS NULL AND c.dropped_at IS NULL AND c.key_position IS NOT NULL AND c.type_name IN ('smallint', 'integer', 'bigint', 'numeric')
           AND pggit._fits_table(t, p_table) AND pggit._fits(c.name, p_column)
    )
    SELECT DISTINCT ON (n.table_id) n.table_id, n.column_id, s.sequence
      FROM named AS n CROSS JOIN LATERAL pggit._sequence_of(n.relation, n.name) AS s(sequence)
     WHERE s.sequence IS NOT NULL
     ORDER BY n.table_id, n.key_position;
$$;

COMMENT ON FUNCTION pggit._generated_keys(text, text) IS
'For each table that a rule renumber is for, by patterns as in pggit._ruled_columns, the column of the key that comes from a sequence, the first of several.';

CREATE OR REPLACE FUNCTION pggit._collisions(p_merge pggit.merges, p_kept jsonb)
    RETURNS TABLE (conflict_no integer, table_id integer, column_id integer, sequence oid, key jsonb, plan_row bigint)
    LANGUAGE sql STABLE
AS $$
    SELECT DISTINCT ON (c.conflict_no) c.conflict_no, c.table_id, g.column_id, g.sequence, c.key, c.plan_row
      FROM pggit._rules(p_merge) AS r
     CROSS JOIN LATERAL pggit._generated_keys(r.table_name, r.column_name) AS g
      JOIN pggit.conflicts AS c ON c.table_id = g.table_id
     WHERE r.rule = 'renumber' AND c.merge_id = p_merge.merge_id AND c.kind = 'insert_insert'
       AND NOT EXISTS (SELECT FROM jsonb_array_elements(p_kept) AS k WHERE k.value ->> 'id' = c.conflict_id)
       AND NOT EXISTS (SELECT FROM pggit._choices(p_merge.merge_id, p_merge.options -> 'resolutions') AS o WHERE o.conflict_no = c.conflict_no)
     ORDER BY c.conflict_no, r.n, g.column_id;
$$;

COMMENT ON FUNCTION pggit._collisions(pggit.merges, jsonb) IS
'The conflicts of a plan for which rule renumber is, and that nobody has decided: two rows with one generated key.';

CREATE OR REPLACE FUNCTION pggit._branch_to_renumber(p_merge pggit.merges)
    RETURNS integer
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN p_merge.kind = 'merge'
                THEN coalesce(nullif(p_merge.source_id, 1), nullif(p_merge.target_id, 1)) END;
$$;

COMMENT ON FUNCTION pggit._branch_to_renumber(pggit.merges) IS
'The branch whose rows get new keys in a merge: the source, or, where that is main or no branch, the target. NULL where only main is left.';

CREATE OR REPLACE FUNCTION pggit._pass_sequence(p_sequence oid, p_top bigint)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_sequence pg_sequence;
    v_last     bigint;
BEGIN
    SELECT q.* INTO STRICT v_sequence FROM pg_sequence AS q WHERE q.seqrelid = p_sequence;
    -- One that has not begun yet will give its last_value next.
    EXECUTE format('SELECT s.last_value - CASE WHEN s.is_called THEN 0 ELSE %s END FROM %s AS s', v_sequence.seqincrement, p_sequence::regclass) INTO v_last;
    -- nextval never goes back when others draw too; only over a wide gap is setval worth that risk.
    IF p_top - v_last > 100000 THEN
        PERFORM setval(p_sequence, p_top);
    ELSE
        WHILE v_last < p_top AND v_last <= v_sequence.seqmax - v_sequence.seqincrement LOOP
            v_last := nextval(p_sequence);
        END LOOP;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._pass_sequence(oid, bigint) IS
'Moves a sequence that counts up past a value that is not above its maximum.';

CREATE OR REPLACE FUNCTION pggit._reserve_keys(p_collisions jsonb, p_branch_id integer, p_bases text[], p_ours pggit._position, p_theirs pggit._position)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table  record;
    v_side   text := CASE WHEN (p_theirs).branch_id = p_branch_id THEN 't' ELSE 'o' END;
    v_new    text;
    v_taken  text;
    v_count  bigint;
    v_top    bigint;
BEGIN
    FOR v_table IN SELECT c.table_id, c.column_id, c.sequence, q.seqincrement, q.seqmax, jsonb_agg(jsonb_build_object('row', c.plan_row, 'key', c.key)) AS rows
                     FROM jsonb_to_recordset(p_collisions) AS c(table_id integer, column_id integer, sequence oid, key jsonb, plan_row bigint)
                     JOIN pg_sequence AS q ON q.seqrelid = c.sequence
                    GROUP BY c.table_id, c.column_id, c.sequence, q.seqincrement, q.seqmax
                    ORDER BY c.table_id LOOP
        v_new   := format('pg_temp.pggit_new_%s', v_table.table_id);
        v_taken := (SELECT string_agg(format('EXISTS (SELECT FROM (SELECT %s) AS k CROSS JOIN LATERAL (%s) AS r)', pggit._key_of_sql(v_table.table_id, 'n.new'),
                                             pggit._row_sql(v_table.table_id, at)), ' OR ')
                      FROM (SELECT p_ours AS at UNION ALL SELECT p_theirs UNION ALL SELECT (pggit._ref(b.id)).at FROM unnest(p_bases) AS b(id)) AS p);
        PERFORM pggit._drop_temporary(v_new);
        -- A number once drawn is this row's in every plan, so that conflicts and approvals stay what they are.
        EXECUTE format($sql$
            CREATE TEMPORARY TABLE pggit_new_%1$s ON COMMIT DROP AS
            SELECT x.value -> 'key' AS key, p.%2$s AS old, p.%2$s AS new, r.new_value
              FROM jsonb_array_elements($1) AS x JOIN pg_temp.pggit_plan_%1$s AS p ON p.row_no = (x.value ->> 'row')::bigint
              LEFT JOIN pggit.reserved_keys AS r ON r.branch_id = $2 AND r.table_id = %1$s AND r.key = x.value -> 'key'$sql$, v_table.table_id, v_side)
          USING v_table.rows, p_branch_id;
        PERFORM pggit._reuse_given_keys(v_table.table_id, v_table.column_id, p_branch_id);
        EXECUTE format('UPDATE %s AS n SET new_value = nextval($1) WHERE n.new_value IS NULL', v_new) USING v_table.sequence::regclass;
        LOOP
            EXECUTE format('UPDATE %s AS n SET new.c%s = n.new_value', v_new, v_table.column_id);
            EXECUTE format('SELECT count(*) FROM %s AS n WHERE %s', v_new, v_taken) INTO v_count;
            EXIT WHEN v_count = 0;
            IF v_table.seqincrement > 0 THEN
                SELECT max(m.top) INTO v_top
                  FROM unnest(ARRAY[(p_ours).branch_id, (p_theirs).branch_id]) AS b(id) CROSS JOIN LATERAL pggit._highest_key(v_table.table_id, v_table.column_id, b.id, v_table.seqmax) AS m(top);
                PERFORM pggit._pass_sequence(v_table.sequence, v_top);
            END IF;
            EXECUTE format('UPDATE %s AS n SET new_value = nextval($1) WHERE %s', v_new, v_taken) USING v_table.sequence::regclass;
        END LOOP;
        EXECUTE format('INSERT INTO pggit.reserved_keys AS r (branch_id, table_id, key, column_id, new_value) SELECT $1, $2, n.key, $3, n.new_value FROM %s AS n
                            ON CONFLICT (branch_id, table_id, key) DO UPDATE SET column_id = excluded.column_id, new_value = excluded.new_value', v_new)
          USING p_branch_id, v_table.table_id, v_table.column_id;
    END LOOP;
    RETURN NULL;
EXCEPTION WHEN sequence_generator_limit_exceeded OR numeric_value_out_of_range OR insufficient_privilege THEN
    RETURN SQLERRM;
END;
$$;

COMMENT ON FUNCTION pggit._reserve_keys(jsonb, integer, text[], pggit._position, pggit._position) IS
'Draws a new key for the branch''s row of each collision (pggit._collisions), one that no side has, into pggit.reserved_keys and the temporary tables pggit_new_<table id> (key, old, new). Returns why it
can''t, or NULL.';

CREATE OR REPLACE FUNCTION pggit._why_not_renumbered(p_merge pggit.merges, p_collisions jsonb, p_bases text[], p_ours pggit._position, p_theirs pggit._position)
    RETURNS text
    LANGUAGE sql
AS $$
    SELECT CASE WHEN p_merge.kind <> 'merge' THEN 'only a merge of a branch can give its rows new keys'
                WHEN pggit._branch_to_renumber(p_merge) IS NULL THEN 'the source is no branch, whose rows could get new keys, and the rows of main keep theirs'
                -- Another branch may bring the row to main under its old key.
                WHEN 1 NOT IN (p_merge.target_id, (p_theirs).branch_id) THEN 'only merges with main give new keys; merge one of the branches with main first'
                ELSE pggit._reserve_keys(p_collisions, pggit._branch_to_renumber(p_merge), p_bases, p_ours, p_theirs) END;
$$;

COMMENT ON FUNCTION pggit._why_not_renumbered(pggit.merges, jsonb, text[], pggit._position, pggit._position) IS
'Why collisions (pggit._collisions) stay conflicts; NULL when new keys are drawn for them.';

CREATE OR REPLACE FUNCTION pggit._reuse_given_keys(p_table_id integer, p_column_id integer, p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_head   text := (SELECT b.head FROM pggit.branches AS b WHERE b.branch_id = p_branch_id);
    v_commit text;
    v_base   text;
BEGIN
    FOR v_commit IN EXECUTE format('SELECT DISTINCT g.commit_id FROM pggit.given_keys AS g JOIN pg_temp.pggit_new_%1$s AS n ON n.key = g.key WHERE g.table_id = %1$s ORDER BY 1', p_table_id) LOOP
        v_base := (pggit._merge_bases(v_commit, v_head))[1];
        CONTINUE WHEN v_base IS NULL;
        EXECUTE format($sql$
            UPDATE pg_temp.pggit_new_%1$s AS n SET new_value = (g.new_key ->> $1)::bigint FROM pggit.given_keys AS g
             WHERE g.commit_id = $2 AND g.table_id = %1$s AND g.key = n.key AND EXISTS (SELECT FROM (SELECT %2$s) AS k CROSS JOIN LATERAL (%3$s) AS b)$sql$,
            p_table_id, pggit._key_of_sql(p_table_id, 'n.old'), pggit._row_sql(p_table_id, (pggit._ref(v_base)).at))
          USING (SELECT c.name FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.column_id = p_column_id), v_commit;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._reuse_given_keys(integer, integer, integer) IS
'Takes for rows of a branch (pggit_new_<table id>) the numbers that the same rows have got on another branch, which was one with this then.';

CREATE OR REPLACE FUNCTION pggit._highest_key(p_table_id integer, p_column_id integer, p_branch_id integer, p_limit bigint)
    RETURNS bigint
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_top bigint;
BEGIN
    EXECUTE (SELECT format('SELECT max(b.%1$I) FROM %2$s AS b WHERE b.%1$I <= $1', c.name, pggit._relation_on(p_branch_id, t.relation))
               FROM pggit.tables AS t JOIN pggit.columns AS c USING (table_id) WHERE t.table_id = p_table_id AND c.column_id = p_column_id)
       INTO v_top USING p_limit;
    RETURN v_top;
END;
$$;

COMMENT ON FUNCTION pggit._highest_key(integer, integer, integer, bigint) IS
'The highest value of a column on a branch that is not above a limit.';

CREATE OR REPLACE FUNCTION pggit._references(p_branch_id integer)
    RETURNS TABLE (child_id integer, parent_id integer, child_columns integer[], parent_columns integer[], operators text[])
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    WITH places AS MATERIALIZED (
        SELECT r.relation, c.table_id, k.column_id, c.name
          FROM (SELECT t.table_id, t.relation::oid FROM pggit.tables AS t WHERE t.untracked_at IS NULL
                UNION ALL SELECT p.table_id, p.relation::oid FROM pggit.partitions AS p) AS r
          JOIN pggit.columns AS c USING (table_id)
         CROSS JOIN LATERAL pggit._columns_at(c.table_id, CASE WHEN p_branch_id <> 1 THEN pggit._branch_now(p_branch_id) END) AS k
         WHERE c.dropped_at IS NULL AND c.generated_as IS NULL AND k.origin = c.origin AND k.generated_as IS NULL
        UNION ALL
        SELECT bt.relation::oid, bt.table_id, c.column_id, c.name
          FROM pggit.branch_tables AS bt CROSS JOIN LATERAL pggit._columns_as_made(bt) AS c
         WHERE bt.branch_id = p_branch_id AND bt.form = 'table' AND c.generated_as IS NULL
    ), parts AS MATERIALIZED (
        -- Of a key with PERIOD (PostgreSQL 18) the period is no reference to a row.
        SELECT k.oid, u.n, ca.attrelid AS child, ca.attname AS child_column, pa.attrelid AS parent, pa.attname AS parent_column, pggit._compare_sql(u.operator, pa.attcollation, ca.attcollation) AS operator,
               cardinality(k.conkey) - coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false)::integer AS needed
          FROM pg_constraint AS k
         CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS u(child, parent, operator, n)
          JOIN pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = u.child
          JOIN pg_attribute AS pa ON pa.attrelid = k.confrelid AND pa.attnum = u.parent
         WHERE k.contype = 'f' AND k.conparentid = 0
    ), keys AS (
        SELECT p.oid, c.table_id AS child_id, r.table_id AS parent_id, array_agg(c.column_id ORDER BY p.n) AS child_columns, array_agg(r.column_id ORDER BY p.n) AS parent_columns,
               array_agg(p.operator ORDER BY p.n) AS operators
          FROM parts AS p
          JOIN places AS c ON c.relation = p.child AND c.name = p.child_column
          JOIN places AS r ON r.relation = p.parent AND r.name = p.parent_column
         WHERE p.n <= p.needed
         GROUP BY p.oid, p.needed, c.table_id, r.table_id
        HAVING count(*) = p.needed
    )
    SELECT DISTINCT k.child_id, k.parent_id, k.child_columns, k.parent_columns, k.operators FROM keys AS k ORDER BY 1, 2, 3, 4;
$$;

COMMENT ON FUNCTION pggit._references(integer) IS
'The foreign keys between tracked tables, those of main and those that a branch''s real tables have: columns by the ids that they have on the branch, and the operator for parent and child column.';

CREATE OR REPLACE FUNCTION pggit._rows_on_sql(p_branch_id integer, p_table_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN pggit._is_keyless(p_table_id)
                        THEN (SELECT format('SELECT b.ctid AS at, %s FROM ONLY %s AS b', string_agg(format('b.%I AS c%s', c.name, c.column_id), ', '), pggit._dense_relation(p_branch_id, p_table_id))
                                FROM pggit.branch_tables AS bt CROSS JOIN LATERAL pggit._columns_as_made(bt) AS c WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND c.generated_as IS NULL)
                        ELSE format('SELECT NULL::tid AS at, q.* FROM (%s) AS q',
                                    coalesce(pggit._dense_rows_sql(p_branch_id, p_table_id), pggit._state_sql(p_table_id, pggit._working_position(p_branch_id)))) END);
END;
$$;

COMMENT ON FUNCTION pggit._rows_on_sql(integer, integer) IS
'SELECT of the rows that a branch has now: columns c…, and for a table without a key the place at.';

CREATE OR REPLACE FUNCTION pggit._move_row_table(p_table_id integer)
    RETURNS text
    LANGUAGE plpgsql
AS $$
BEGIN
    IF to_regclass(format('pg_temp.pggit_moved_%s', p_table_id)) IS NULL THEN
        EXECUTE format('CREATE TEMPORARY TABLE pggit_moved_%1$s (old pggit._delta_%1$s, new pggit._delta_%1$s, at tid) ON COMMIT DROP', p_table_id);
    END IF;
    RETURN format('pg_temp.pggit_moved_%s', p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._move_row_table(integer) IS
'The temporary table pggit_moved_<table id> of rows of a branch that change with new keys: before and after.';

CREATE OR REPLACE FUNCTION pggit._follow_reference(p_branch_id integer, p_child_id integer, p_parent_id integer, p_child_columns integer[], p_parent_columns integer[], p_operators text[])
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    v_parent text := pggit._move_row_table(p_parent_id);
    v_child  text := pggit._move_row_table(p_child_id);
    v_moves  text;
    v_row    text;
    v_old    text;
    v_set    text;
    v_other  text;
    v_known  text := (SELECT coalesce(string_agg(format('(x.old).c%1$s OPERATOR(%2$s) q.c%1$s', c.column_id, pggit._key_operator(c.table_id, c.column_id)), ' AND '), 'x.at = q.at')
                        FROM pggit.columns AS c WHERE c.table_id = p_child_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
    v_count  bigint;
BEGIN
    SELECT format('ROW(%s)::record *<> ROW(%s)::record', string_agg(format('(m.old).c%s', u.p), ', '), string_agg(format('(m.new).c%s', u.p), ', ')),
           string_agg(format('(m.old).c%s %s q.c%s', u.p, u.operator, u.c), ' AND '), string_agg(format('(m.old).c%s %s (x.old).c%s', u.p, u.operator, u.c), ' AND '),
           string_agg(format('new.c%s = (m.new).c%s', u.c, u.p), ', '), string_agg(format('(x.new).c%s <> (m.new).c%s', u.c, u.p), ' OR ')
      INTO v_moves, v_row, v_old, v_set, v_other
      FROM unnest(p_child_columns, p_parent_columns, p_operators) AS u(c, p, operator);
    EXECUTE format('SELECT count(*) FROM %s AS m WHERE %s', v_parent, v_moves) INTO v_count;
    IF v_count = 0 THEN
        RETURN 0;
    END IF;

    EXECUTE format('INSERT INTO %1$s (old, new, at) SELECT q.r, q.r, q.at FROM (SELECT q.*, %2$s AS r FROM (%3$s) AS q) AS q
                     WHERE EXISTS (SELECT FROM %4$s AS m WHERE %5$s AND %6$s) AND NOT EXISTS (SELECT FROM %1$s AS x WHERE %7$s)',
                   v_child, pggit._as_row_sql(p_child_id, 'q', pggit._target()), pggit._rows_on_sql(p_branch_id, p_child_id), v_parent, v_moves, v_row, v_known);
    EXECUTE format('UPDATE %s AS x SET %s FROM %s AS m WHERE %s AND %s AND (%s)', v_child, v_set, v_parent, v_moves, v_old, v_other);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END;
$$;

COMMENT ON FUNCTION pggit._follow_reference(integer, integer, integer, integer[], integer[], text[]) IS
'Lets the rows of a branch that refer by one foreign key to rows that move go with them; returns how many were changed.';

CREATE OR REPLACE FUNCTION pggit._move_rows(p_merge pggit.merges, p_branch pggit.branches)
    RETURNS pggit._position
    LANGUAGE plpgsql
AS $$
DECLARE
    v_at     pggit._position := pggit._working_position(p_branch.branch_id);
    v_table  integer;
    v_tables integer[] := '{}';
    v_same   text;
    v_any    boolean;
    v_plan   pggit.merge_result;
BEGIN
    FOR v_table IN SELECT t.table_id FROM pggit.tables AS t WHERE to_regclass(format('pg_temp.pggit_moved_%s', t.table_id)) IS NOT NULL ORDER BY t.table_id LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM pg_temp.pggit_moved_%s AS m WHERE m.old *<> m.new)', v_table) INTO v_any;
        CONTINUE WHEN NOT v_any;
        v_tables := v_tables || v_table;
        IF pggit._is_keyless(v_table) THEN
            PERFORM pggit._empty_keyless_plan(v_table);
            EXECUTE format('INSERT INTO pg_temp.pggit_plan_%1$s (at, o, want, action) SELECT m.at, m.old, NULL, ''delete'' FROM pg_temp.pggit_moved_%1$s AS m WHERE m.old *<> m.new
                            UNION ALL SELECT NULL, NULL, m.new, ''insert'' FROM pg_temp.pggit_moved_%1$s AS m WHERE m.old *<> m.new', v_table);
        ELSE
            v_same := (SELECT string_agg(format('ROW((m.old).c%1$s)::record *= ROW((m.new).c%1$s)::record', c.column_id), ' AND ')
                         FROM pggit.columns AS c WHERE c.table_id = v_table AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
            PERFORM pggit._drop_temporary(format('pg_temp.pggit_plan_%s', v_table));
            EXECUTE format($sql$
                CREATE TEMPORARY TABLE pggit_plan_%1$s ON COMMIT DROP AS
                SELECT w.*, NULL::tid AS at, 'take' AS outcome, row_number() OVER () AS row_no
                  FROM (SELECT %2$s, m.old AS o, CASE WHEN %3$s THEN m.new END AS want, CASE WHEN %3$s THEN 'update' ELSE 'delete' END AS action
                          FROM pg_temp.pggit_moved_%1$s AS m WHERE m.old *<> m.new
                        UNION ALL
                        SELECT %4$s, NULL, m.new, 'insert' FROM pg_temp.pggit_moved_%1$s AS m WHERE NOT (%3$s)) AS w$sql$,
                v_table, pggit._key_of_sql(v_table, 'm.old'), v_same, pggit._key_of_sql(v_table, 'm.new'));
        END IF;
    END LOOP;

    v_plan.detail := jsonb_build_object('planned_tables', v_tables);
    -- As a cherry-pick does: the branch stays where it is on main.
    p_merge.kind  := 'cherry_pick';
    v_at := pggit._apply(p_merge, p_branch, v_plan, v_at, v_at);
    IF pggit._find_orphans(p_merge.merge_id, p_branch.branch_id, '{}') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation', SCHEMA = 'pggit',
            MESSAGE = format('rows of branch %L, with the new keys that they get, would violate foreign keys that are on the branch alone', p_branch.name);
    END IF;
    RETURN v_at;
END;
$$;

COMMENT ON FUNCTION pggit._move_rows(pggit.merges, pggit.branches) IS
'Writes the rows of the tables pggit_moved_<table id> to a branch, as a merge writes: without triggers or referential actions. Returns its position afterwards.';

CREATE OR REPLACE FUNCTION pggit._key_of_sql(p_table_id integer, p_record text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('(%s).c%s AS c%2$s', p_record, c.column_id), ', ' ORDER BY c.key_position)
              FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._key_of_sql(integer, text) IS
'The key''s c… columns out of a record.';

CREATE OR REPLACE FUNCTION pggit._renumber(p_merge pggit.merges, p_branch_id integer, p_apply boolean)
    RETURNS jsonb
    LANGUAGE plpgsql
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex'
AS $$
DECLARE
    v_branch   pggit.branches;
    v_key      record;
    v_table    pggit.tables;
    v_changed  bigint;
    v_passes   integer := 0;
    v_after    pggit._position;
    v_one      jsonb;
    v_keys     jsonb   := '[]';
    v_commit   text;
    v_followed bigint  := 0;
    v_rows     bigint;
    v_target   text    := coalesce(current_setting('pggit.merge_target', true), '');
BEGIN
    PERFORM pggit._hold_branch_still(p_branch_id, false);
    -- All this is done in the columns that the branch has.
    PERFORM pggit._note_branch_columns(p_branch_id), pggit._work_in_columns_of(p_branch_id);
    SELECT b.* INTO STRICT v_branch FROM pggit.branches AS b WHERE b.branch_id = p_branch_id;
    FOR v_table IN SELECT t.* FROM pggit.tables AS t ORDER BY t.table_id LOOP
        PERFORM pggit._drop_temporary(format('pg_temp.pggit_moved_%s', v_table.table_id));
        IF to_regclass(format('pg_temp.pggit_new_%s', v_table.table_id)) IS NOT NULL THEN
            EXECUTE format('INSERT INTO %s (old, new) SELECT n.old, n.new FROM pg_temp.pggit_new_%s AS n', pggit._move_row_table(v_table.table_id), v_table.table_id);
            PERFORM pggit._drop_temporary(format('pg_temp.pggit_new_%s', v_table.table_id));
        END IF;
    END LOOP;

    LOOP
        v_changed := 0;
        FOR v_key IN SELECT r.* FROM pggit._references(p_branch_id) AS r LOOP
            v_changed := v_changed + pggit._follow_reference(p_branch_id, v_key.child_id, v_key.parent_id, v_key.child_columns, v_key.parent_columns, v_key.operators);
        END LOOP;
        EXIT WHEN v_changed = 0;
        v_passes := v_passes + 1;
        IF v_passes > 100 THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG310', SCHEMA = 'pggit',
                MESSAGE = format('foreign keys of branch %L contradict one another, so that its rows can''t be given new keys', v_branch.name),
                HINT    = 'Merge without the rule renumber, and decide the conflicts.';
        END IF;
    END LOOP;

    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE to_regclass(format('pg_temp.pggit_moved_%s', t.table_id)) IS NOT NULL ORDER BY t.schema_name, t.table_name LOOP
        IF NOT pggit._is_keyless(v_table.table_id) THEN
            EXECUTE format($sql$
                SELECT coalesce(jsonb_agg(jsonb_build_object('table', $1, 'key', m.key, 'new_key', m.new_key, 'id', %5$s) ORDER BY m.key) FILTER (WHERE m.key <> m.new_key), '[]')
                  FROM (SELECT %1$s AS key, %2$s AS new_key FROM (SELECT %3$s AS j, %4$s AS k FROM pg_temp.pggit_moved_%5$s AS m) AS m) AS m$sql$,
                pggit._key_json(v_table.table_id, 'm.j', pggit._target()), pggit._key_json(v_table.table_id, 'm.k', pggit._target()), pggit._row_json_sql(v_table.table_id, 'm.old'),
                pggit._row_json_sql(v_table.table_id, 'm.new'), v_table.table_id)
              INTO v_one USING format('%I.%I', v_table.schema_name, v_table.table_name);
            v_keys := v_keys || v_one;
        END IF;
        EXECUTE format('SELECT count(*) FROM pg_temp.pggit_moved_%s AS m WHERE m.old *<> m.new', v_table.table_id) INTO v_rows;
        v_followed := v_followed + v_rows;
    END LOOP;

    v_after := pggit._move_rows(p_merge, v_branch);
    PERFORM set_config('pggit.merge_target', v_target, true);
    IF p_apply THEN
        v_commit := pggit._record_commit(v_branch, ARRAY[v_branch.head], v_branch.head_at, v_after, pggit._content(v_branch.head_at, v_after), p_merge.requested_by,
                                     format('New keys for %s rows before merging %s into %s', jsonb_array_length(v_keys), p_merge.source,
                                            (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = p_merge.target_id)), clock_timestamp());
        INSERT INTO pggit.given_keys (commit_id, table_id, key, new_key)
        SELECT v_commit, k.id, k.key, k.new_key FROM jsonb_to_recordset(v_keys) AS k(id integer, key jsonb, new_key jsonb);
    END IF;
    RETURN jsonb_build_object('branch', v_branch.name, 'rows', v_followed,
                              'keys', (SELECT coalesce(jsonb_agg(k.value - 'id' ORDER BY k.n), '[]') FROM jsonb_array_elements(v_keys) WITH ORDINALITY AS k(value, n) WHERE k.n <= 100));
END;
$$;

COMMENT ON FUNCTION pggit._renumber(pggit.merges, integer, boolean) IS
'Gives rows of a branch the keys of pggit_new_<table id>, lets everything that refers to them follow, and, where it is for good, commits that on the branch. Returns what it did: branch, rows (how many
were changed), keys (the first 100: table, key, new_key). Raises VG310, VG402.';

CREATE OR REPLACE FUNCTION pggit._attempt_renumbered(p_merge pggit.merges, p_branch_id integer, p_apply boolean, p_rehearse boolean, p_still text)
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_done      jsonb;
    v_result    pggit.merge_result;
    v_found     record;
    v_is_undone boolean := false;
    v_before    text    := coalesce(current_setting('pggit.renumbered', true), '');
BEGIN
    IF length(v_before) >= 5 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG402', SCHEMA = 'pggit',
            MESSAGE = 'others keep taking the keys that rows are to get',
            HINT    = 'Nothing was written. Have writers take their keys from the sequence, or merge when they are done.';
    END IF;
    PERFORM set_config('pggit.renumbered', v_before || '+', true);
    BEGIN
        v_done   := pggit._renumber(p_merge, p_branch_id, p_apply);
        v_result := pggit._attempt(p_merge.merge_id, p_apply, p_rehearse, p_still);
        IF NOT p_apply OR v_result.result NOT IN ('merged', 'fast_forward', 'up_to_date') THEN
            v_found     := pggit._findings(p_merge.merge_id);
            v_is_undone := true;
            RAISE EXCEPTION USING ERRCODE = 'transaction_rollback';
        END IF;
    EXCEPTION WHEN transaction_rollback THEN
        -- Nothing is merged, so the branch keeps its keys too.
        IF NOT v_is_undone THEN
            RAISE;
        END IF;
        PERFORM pggit._find_again(p_merge.merge_id, v_found);
    END;
    PERFORM set_config('pggit.renumbered', v_before, true);
    v_result.detail := v_result.detail || jsonb_build_object('renumbered', jsonb_build_array(v_done) || coalesce(v_result.detail -> 'renumbered', '[]'));
    RETURN v_result;
END;
$$;

COMMENT ON FUNCTION pggit._attempt_renumbered(pggit.merges, integer, boolean, boolean, text) IS
'The rest of an attempt at a merge after new keys were drawn (pggit._reserve_keys): the branch gets them and the merge is attempted again; unless that merges, the branch is left as it was. Raises VG402 where that has been done five times within one another: somebody takes the new keys as soon as they are drawn.';

-- Where columns change in the same merge, the new keys are drawn in the merged columns, and given in an attempt of their own, before the columns change.

CREATE OR REPLACE FUNCTION pggit._drawn_keys(p_collisions jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table record;
    v_one   jsonb;
    v_drawn jsonb := '[]';
BEGIN
    FOR v_table IN SELECT DISTINCT c.table_id, c.column_id FROM jsonb_to_recordset(p_collisions) AS c(table_id integer, column_id integer) ORDER BY c.table_id LOOP
        EXECUTE format('SELECT jsonb_agg(jsonb_build_object(''table_id'', %1$s, ''column_id'', %2$s, ''key'', n.key, ''row'', jsonb_build_object(%3$s), ''new_value'', n.new_value) ORDER BY n.key) FROM pg_temp.pggit_new_%1$s AS n',
                       v_table.table_id, v_table.column_id,
                       (SELECT string_agg(format('%L, (n.old).c%s', 'c' || c.column_id, c.column_id), ', ') FROM pggit.columns AS c
                         WHERE c.table_id = v_table.table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL)) INTO v_one;
        v_drawn := v_drawn || v_one;
    END LOOP;
    RETURN v_drawn;
END;
$$;

COMMENT ON FUNCTION pggit._drawn_keys(jsonb) IS
'The new keys of collisions, out of the temporary tables pggit_new_<table id>: array of {table_id, column_id, key, row (the key by column), new_value}.';

CREATE OR REPLACE FUNCTION pggit._keep_drawn_keys(p_branch_id integer, p_drawn jsonb)
    RETURNS void
    LANGUAGE sql
AS $$
    INSERT INTO pggit.reserved_keys AS r (branch_id, table_id, key, column_id, new_value)
    SELECT p_branch_id, d.table_id, d.key, d.column_id, d.new_value FROM jsonb_to_recordset(p_drawn) AS d(table_id integer, key jsonb, column_id integer, new_value bigint)
        ON CONFLICT (branch_id, table_id, key) DO UPDATE SET column_id = excluded.column_id, new_value = excluded.new_value;
$$;

COMMENT ON FUNCTION pggit._keep_drawn_keys(integer, jsonb) IS
'Notes keys that were drawn (pggit._drawn_keys, or rows of pggit.reserved_keys that were undone) for the next plan.';

CREATE OR REPLACE FUNCTION pggit._take_drawn_keys(p_branch_id integer, p_drawn jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_at    pggit._position := pggit._working_position(p_branch_id);
    v_table record;
BEGIN
    PERFORM pggit._keep_drawn_keys(p_branch_id, p_drawn);
    FOR v_table IN SELECT DISTINCT d.table_id, d.column_id FROM jsonb_to_recordset(p_drawn) AS d(table_id integer, column_id integer) ORDER BY d.table_id LOOP
        PERFORM pggit._drop_temporary(format('pg_temp.pggit_new_%s', v_table.table_id));
        EXECUTE format($sql$
            CREATE TEMPORARY TABLE pggit_new_%1$s ON COMMIT DROP AS
            SELECT d.key, %2$s AS old, %2$s AS new, d.new_value
              FROM jsonb_to_recordset($1) AS d(table_id integer, key jsonb, "row" jsonb, new_value bigint)
             CROSS JOIN LATERAL jsonb_populate_record(NULL::pggit._delta_%1$s, d."row") AS k CROSS JOIN LATERAL (%3$s) AS b
             WHERE d.table_id = %1$s$sql$, v_table.table_id, pggit._as_row_sql(v_table.table_id, 'b', v_at), pggit._row_sql(v_table.table_id, v_at)) USING p_drawn;
        EXECUTE format('UPDATE pg_temp.pggit_new_%s AS n SET new.c%s = n.new_value', v_table.table_id, v_table.column_id);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._take_drawn_keys(integer, jsonb) IS
'Makes pggit_new_<table id> of keys that were drawn, for pggit._attempt_renumbered: the rows of the branch as they are now.';

-- What branched off a branch before its rows got new keys still has the old ones, and so has the base of its merges.

CREATE OR REPLACE FUNCTION pggit._find_given_keys(p_bases text[], p_ours text, p_theirs text)
    RETURNS integer[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table  integer;
    v_tables integer[] := '{}';
    v_row    text;
    v_unclear boolean;
BEGIN
    FOR v_table IN SELECT DISTINCT g.table_id FROM pggit.given_keys AS g ORDER BY 1 LOOP
        PERFORM pggit._drop_temporary(format('pg_temp.pggit_given_%s', v_table));
        v_row := (SELECT format('jsonb_populate_record(NULL::pggit._delta_%s, jsonb_build_object(%s))', v_table, string_agg(format('%L, g.%%1$I -> %L', 'c' || c.column_id, c.name), ', '))
                    FROM pggit.columns AS c WHERE c.table_id = v_table AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
        EXECUTE format($sql$
            CREATE TEMPORARY TABLE pggit_given_%1$s ON COMMIT DROP AS
            WITH ours AS MATERIALIZED (SELECT a.commit_id FROM pggit._ancestors($1) AS a), theirs AS MATERIALIZED (SELECT a.commit_id FROM pggit._ancestors($2) AS a),
                 made AS MATERIALIZED (
                    SELECT m.commit_id, EXISTS (SELECT FROM ours AS o WHERE o.commit_id = m.commit_id) AS in_ours, EXISTS (SELECT FROM theirs AS t WHERE t.commit_id = m.commit_id) AS in_theirs
                      FROM (SELECT DISTINCT g.commit_id FROM pggit.given_keys AS g WHERE g.table_id = %1$s) AS m
                     WHERE m.commit_id NOT IN (SELECT a.commit_id FROM pggit._ancestors($3) AS a) AND $3 IN (SELECT a.commit_id FROM pggit._ancestors(m.commit_id) AS a)
                 )
            SELECT %2$s AS old, %3$s AS new, bool_or(m.in_ours) AS in_ours, bool_or(m.in_theirs) AS in_theirs
              FROM pggit.given_keys AS g JOIN made AS m USING (commit_id)
             WHERE g.table_id = %1$s AND (m.in_ours OR m.in_theirs)
             GROUP BY g.key, g.new_key$sql$, v_table, format(v_row, 'key'), format(v_row, 'new_key')) USING p_ours, p_theirs, p_bases[1];
        EXECUTE (SELECT format('DELETE FROM pg_temp.pggit_given_%s AS g WHERE %s', v_table,
                               string_agg(format('NOT EXISTS (SELECT FROM (SELECT %s) AS k CROSS JOIN LATERAL (%s) AS b)', pggit._key_of_sql(v_table, 'g.old'), pggit._row_sql(v_table, (pggit._ref(b.id)).at)), ' AND '))
                   FROM unnest(p_bases) AS b(id));
        EXECUTE format('SELECT CASE WHEN EXISTS (SELECT FROM pg_temp.pggit_given_%1$s) THEN $1 || %1$s ELSE $1 END', v_table) INTO v_tables USING v_tables;
        IF v_table = ANY (v_tables) THEN
            EXECUTE (SELECT format('CREATE INDEX ON pg_temp.pggit_given_%1$s (%2$s); CREATE INDEX ON pg_temp.pggit_given_%1$s (%3$s); ANALYZE pg_temp.pggit_given_%1$s', v_table,
                                   string_agg(format('((old).c%s)', c.column_id), ', ' ORDER BY c.key_position), string_agg(format('((new).c%s)', c.column_id), ', ' ORDER BY c.key_position))
                       FROM pggit.columns AS c WHERE c.table_id = v_table AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
        END IF;
        EXECUTE format('SELECT count(*) > count(DISTINCT g.old) FROM pg_temp.pggit_given_%s AS g', v_table) INTO v_unclear;
        IF v_unclear THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG310', SCHEMA = 'pggit',
                MESSAGE = format('rows of table %s have got different new keys on both sides, so that nobody can tell which rows of one are those of the other', pggit._base_relation(v_table)),
                HINT    = 'Give them the same keys on both branches. Nothing was written.';
        END IF;
    END LOOP;
    RETURN v_tables;
END;
$$;

COMMENT ON FUNCTION pggit._find_given_keys(text[], text, text) IS
'Into the temporary tables pggit_given_<table id>: the keys of the base that rows have got other keys for since, in what led to ours or to theirs (in_ours, in_theirs). old and new have the columns of the
key. Returns the tables that have such keys.';

CREATE OR REPLACE FUNCTION pggit._branch_with_old_keys(p_tables integer[], p_base text, p_ours pggit._position, p_theirs pggit._position)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table   integer;
    v_lacking text;
    v_at      pggit._position;
    v_any     boolean;
    v_branch  integer;
BEGIN
    FOREACH v_lacking IN ARRAY ARRAY['ours', 'theirs'] LOOP
        v_at := CASE v_lacking WHEN 'ours' THEN p_ours ELSE p_theirs END;
        FOREACH v_table IN ARRAY p_tables LOOP
            PERFORM pggit._drop_temporary(format('pg_temp.pggit_new_%s', v_table));
            EXECUTE format($sql$
                CREATE TEMPORARY TABLE pggit_new_%1$s ON COMMIT DROP AS
                SELECT %2$s AS old, %2$s AS new, n._found AS is_taken, g.new AS new_key
                  FROM pg_temp.pggit_given_%1$s AS g
                 CROSS JOIN LATERAL (SELECT %3$s) AS k CROSS JOIN LATERAL (%4$s) AS b CROSS JOIN LATERAL (%5$s) AS x
                  LEFT JOIN LATERAL (SELECT true AS _found FROM (SELECT %6$s) AS k CROSS JOIN LATERAL (%5$s) AS n) AS n ON true
                 WHERE NOT g.in_%7$s$sql$,
                v_table, pggit._as_row_sql(v_table, 'x', v_at), pggit._key_of_sql(v_table, 'g.old'), pggit._row_sql(v_table, (pggit._ref(p_base)).at), pggit._row_sql(v_table, v_at),
                pggit._key_of_sql(v_table, 'g.new'), v_lacking);
            EXECUTE format('SELECT EXISTS (SELECT FROM pg_temp.pggit_new_%s AS n WHERE n.is_taken OR $1)', v_table) INTO v_any USING (v_at).branch_id = 1;
            IF v_any THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'VG310', SCHEMA = 'pggit',
                    MESSAGE = CASE WHEN (v_at).branch_id = 1 THEN format('rows of table %s got new keys on a branch, and main has them under the old ones', pggit._base_relation(v_table))
                                   ELSE format('rows of table %s got new keys elsewhere, and branch %L has other rows of those keys', pggit._base_relation(v_table),
                                               (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = (v_at).branch_id)) END,
                    HINT    = 'Give the rows of the branch the keys that main has. Nothing was written.';
            END IF;
            EXECUTE format('UPDATE pg_temp.pggit_new_%s AS n SET %s', v_table,
                           (SELECT string_agg(format('new.c%1$s = (n.new_key).c%1$s', c.column_id), ', ') FROM pggit.columns AS c
                             WHERE c.table_id = v_table AND c.key_position IS NOT NULL AND c.dropped_at IS NULL));
            EXECUTE format('SELECT EXISTS (SELECT FROM pg_temp.pggit_new_%s)', v_table) INTO v_any;
            v_branch := CASE WHEN v_any THEN (v_at).branch_id ELSE v_branch END;
        END LOOP;
        IF v_branch IS NOT NULL THEN
            RETURN v_branch;
        END IF;
    END LOOP;
    PERFORM pggit._drop_temporary(format('pg_temp.pggit_new_%s', t.id)) FROM unnest(p_tables) AS t(id);
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._branch_with_old_keys(integer[], text, pggit._position, pggit._position) IS
'The side of a merge, if any, that has rows under keys for which they have got others on the other side; what it has to move is then in pggit_new_<table id>, for pggit._attempt_renumbered. Raises VG310 where the
new keys are taken.';

CREATE OR REPLACE FUNCTION pggit._given_keys_sql(p_table_id integer)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN to_regclass(format('pg_temp.pggit_given_%s', p_table_id)) IS NULL THEN ''
                ELSE format(' UNION SELECT %s FROM pg_temp.pggit_given_%s AS g', pggit._key_of_sql(p_table_id, 'g.new'), p_table_id) END;
$$;

COMMENT ON FUNCTION pggit._given_keys_sql(integer) IS
'UNION with the keys that rows of the base have got since: a side that deleted such a row before has never had the new one.';

CREATE OR REPLACE FUNCTION pggit._given_references(p_table_id integer, p_record text, OUT joins text, OUT cells jsonb)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_key record;
    v_n   integer := 0;
BEGIN
    joins := '';
    cells := '{}';
    IF NOT EXISTS (SELECT FROM pggit.given_keys) THEN
        RETURN;
    END IF;
    FOR v_key IN SELECT r.* FROM pggit._references(coalesce((pggit._target()).branch_id, 1)) AS r WHERE r.child_id = p_table_id AND to_regclass(format('pg_temp.pggit_given_%s', r.parent_id)) IS NOT NULL
                    AND NOT EXISTS (SELECT FROM unnest(r.parent_columns) AS u(id) JOIN pggit.columns AS c ON c.table_id = r.parent_id AND c.column_id = u.id WHERE c.key_position IS NULL) LOOP
        v_n   := v_n + 1;
        joins := joins || (SELECT format(' LEFT JOIN LATERAL (SELECT g.new FROM pg_temp.pggit_given_%s AS g WHERE %s LIMIT 1) AS p%s ON true', v_key.parent_id,
                                         string_agg(format('(g.old).c%s %s %s.c%s', u.p, u.operator, p_record, u.c), ' AND '), v_n)
                             FROM unnest(v_key.child_columns, v_key.parent_columns, v_key.operators) AS u(c, p, operator));
        cells := cells || (SELECT jsonb_object_agg(u.c, format('coalesce((p%s.new).c%s, %s.c%s)', v_n, u.p, p_record, u.c)) FROM unnest(v_key.child_columns, v_key.parent_columns) AS u(c, p));
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._given_references(integer, text) IS
'Joins of pggit_given_<table id> to a record of a table that refers to such tables by their keys, and the cells of it that then have to be others, expressions by column id.';

CREATE OR REPLACE FUNCTION pggit._base_with_given_keys_sql(p_table_id integer, p_base text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_own    boolean := to_regclass(format('pg_temp.pggit_given_%s', p_table_id)) IS NOT NULL;
    v_others record  := pggit._given_references(p_table_id, 'q');
BEGIN
    IF NOT v_own AND v_others.joins = '' THEN
        RETURN p_base;
    END IF;
    RETURN format('SELECT %s, coalesce(q._torn, ''{}'') AS _torn FROM (SELECT) AS one LEFT JOIN LATERAL (SELECT q.*, k._new FROM (%s) AS k CROSS JOIN LATERAL (%s) AS q) AS q ON true%s',
        (SELECT string_agg(format('%s AS c%s', CASE WHEN c.key_position IS NOT NULL AND v_own
                                                    THEN format('CASE WHEN q._new IS NULL OR q.c%1$s IS NULL THEN q.c%1$s ELSE (q._new).c%1$s END', c.column_id)
                                                    WHEN v_others.cells ? c.column_id::text THEN format('(%s)::%s', v_others.cells ->> c.column_id::text, c.type_name)
                                                    ELSE 'q.c' || c.column_id END, c.column_id), ', ' ORDER BY c.column_id)
           FROM pggit._columns_at(p_table_id, pggit._target()) AS c WHERE c.generated_as IS NULL),
        CASE WHEN v_own
             THEN format('SELECT %1$s, NULL::pggit._delta_%2$s AS _new WHERE NOT EXISTS (SELECT FROM pg_temp.pggit_given_%2$s AS g WHERE %3$s OR %4$s)
                          UNION ALL SELECT %5$s, g.new FROM pg_temp.pggit_given_%2$s AS g WHERE %4$s', pggit._key_columns(p_table_id, 'k'), p_table_id,
                         pggit._same_record_key(p_table_id, 'g.old', 'k'), pggit._same_record_key(p_table_id, 'g.new', 'k'), pggit._key_of_sql(p_table_id, 'g.old'))
             ELSE format('SELECT %s, NULL::integer AS _new', pggit._key_columns(p_table_id, 'k')) END,
        p_base, v_others.joins);
END;
$$;

COMMENT ON FUNCTION pggit._base_with_given_keys_sql(integer, text) IS
'pggit._base_row_sql with the keys that rows have got since (pggit._find_given_keys): a row stands under its new key, and what refers to it does so by that.';

CREATE OR REPLACE FUNCTION pggit._counted_with_given_keys_sql(p_table_id integer, p_signed text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_others record := pggit._given_references(p_table_id, '(s.r)');
BEGIN
    IF v_others.joins = '' THEN
        RETURN p_signed;
    END IF;
    RETURN format('SELECT %s, m.n FROM (SELECT CASE WHEN s.n < 0 THEN ROW(0, %s)::pggit._delta_%s ELSE s.r END AS r, s.n FROM (%s) AS s%s) AS m',
        pggit._counted_sql(p_table_id, pggit._shared_columns(p_table_id, pggit._target(), pggit._target()), '(m.r)'),
        (SELECT string_agg(CASE WHEN v_others.cells ? substr(a.attname, 2) THEN format('(%s)::%s', v_others.cells ->> substr(a.attname, 2), format_type(a.atttypid, a.atttypmod)) ELSE '(s.r).' || a.attname END,
                           ', ' ORDER BY a.attnum)
           FROM pg_attribute AS a WHERE a.attrelid = format('pggit._delta_%s', p_table_id)::regclass AND a.attnum > 1 AND NOT a.attisdropped),
        p_table_id, pggit._net_sql(p_signed), v_others.joins);
END;
$$;

COMMENT ON FUNCTION pggit._counted_with_given_keys_sql(integer, text) IS
'The same for what a table without a key has more (n > 0) or less often than the base: the rows of the base.';

CREATE OR REPLACE FUNCTION pggit._same_record_key(p_table_id integer, p_record text, p_alias text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT string_agg(format('(%s).c%s OPERATOR(%s) %s.c%2$s', p_record, c.column_id, pggit._key_operator(c.table_id, c.column_id), p_alias), ' AND ' ORDER BY c.key_position)
              FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position IS NOT NULL AND c.dropped_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._same_record_key(integer, text, text) IS
'Condition: a record has the key of an alias.';
