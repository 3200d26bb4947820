-- The merged state is checked before anything is written: what the plan wants, over the target as it is.

CREATE OR REPLACE FUNCTION pggit._state_now_sql(p_table_id integer, p_now pggit._position)
    RETURNS text
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (SELECT pggit._named_sql(p_table_id, format('SELECT %s FROM (%s) AS s',
                       (SELECT string_agg(CASE WHEN o.column_id IS NULL THEN format('%s AS c%s', coalesce(pggit._value_of_old_rows(pggit._relation_at(p_table_id, 1), c.name), 'NULL::' || c.type_name), c.column_id)
                                               ELSE format('%s AS c%s', pggit._converted_sql('s.c' || o.column_id, o.type_name, c.type_name), c.column_id) END, ', ' ORDER BY c.column_id)
                          FROM pggit._columns_at(p_table_id, pggit._target()) AS c LEFT JOIN pggit._columns_at(p_table_id, p_now) AS o ON o.origin = c.origin AND o.generated_as IS NULL
                         WHERE c.generated_as IS NULL),
                       pggit._state_sql(p_table_id, ((p_now).branch_id, pggit._mark_now(), (p_now).s)::pggit._position)), pggit._target()));
END;
$$;

COMMENT ON FUNCTION pggit._state_now_sql(integer, pggit._position) IS
'SELECT of all rows of a branch, as they will be with the columns that the target of a merge gets.';

CREATE OR REPLACE FUNCTION pggit._relation_on(p_branch_id integer, p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN bt.form = 'view' AND pggit._is_reshaped(t.table_id, pggit._branch_now(p_branch_id), pggit._target()) THEN format('(%s)', pggit._state_now_sql(t.table_id, pggit._branch_now(p_branch_id)))
                        WHEN o.columns IS NULL THEN format('%I.%I', n.nspname, c.relname) ELSE format('(SELECT %s FROM %I.%I AS b)', o.columns, n.nspname, c.relname) END
              FROM (SELECT) AS given
              LEFT JOIN pggit.tables AS t ON t.relation = p_relation AND t.untracked_at IS NULL
              LEFT JOIN pggit.branch_tables AS bt ON bt.branch_id = p_branch_id AND bt.table_id = t.table_id
              JOIN pg_class AS c ON c.oid = coalesce(bt.relation, p_relation)
              JOIN pg_namespace AS n ON n.oid = c.relnamespace
              LEFT JOIN LATERAL (SELECT string_agg(format('b.%I AS %I', b.name, m.name), ', ' ORDER BY m.attnum) AS columns
                                   FROM pggit._names_on_branch(bt) AS b JOIN pggit.columns AS m ON m.table_id = t.table_id AND m.column_id = b.main_id
                                 HAVING bool_or(b.name <> m.name)) AS o ON true);
END;
$$;

COMMENT ON FUNCTION pggit._relation_on(integer, oid) IS
'What stands for a table of main on a branch, for FROM: its qualified name, or, where the branch has columns by other names than main, a query that gives them those of main. On main, or for a table that is not
tracked, the table itself.';

CREATE OR REPLACE FUNCTION pggit._of_partition_sql(p_relation oid, p_query text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN pggit._root(p_relation) = p_relation OR p_relation IS NULL THEN p_query
                ELSE format('SELECT o.* FROM (%s) AS o WHERE %s', p_query, pggit._bound_sql(p_relation)) END;
$$;

COMMENT ON FUNCTION pggit._of_partition_sql(oid, text) IS
'The rows of a query that a partition takes; where p_relation is no partition, all.';

CREATE OR REPLACE FUNCTION pggit._wants_sql(p_table_id integer, p_relation oid DEFAULT NULL, p_if text DEFAULT 'true')
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT pggit._of_partition_sql(p_relation, pggit._named_sql(p_table_id, format('SELECT %s FROM pg_temp.pggit_plan_%s AS p WHERE p.action IN (''insert'', ''update'') AND %s',
                                                                                   pggit._record_columns(p_table_id, 'p.want', pggit._target()), p_table_id, p_if), pggit._target()));
$$;

COMMENT ON FUNCTION pggit._wants_sql(integer, oid, text) IS
'SELECT of the rows that a plan will write, under their names; p_relation: of those, the ones that go to one partition; p_if: those that meet a condition on the planned row p.';

CREATE OR REPLACE FUNCTION pggit._gone_sql(p_table_id integer, p_relation oid DEFAULT NULL, p_if text DEFAULT 'true')
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT pggit._of_partition_sql(p_relation, pggit._named_sql(p_table_id, format('SELECT %s FROM pg_temp.pggit_plan_%s AS p WHERE p.action IN (''delete'', ''update'') AND %s',
                                                                                   pggit._record_columns(p_table_id, 'p.o', pggit._target()), p_table_id, p_if), pggit._target()));
$$;

COMMENT ON FUNCTION pggit._gone_sql(integer, oid, text) IS
'SELECT of the rows of ours that a plan will delete or overwrite, as they are before, under their names; p_relation: of those, the ones in one partition; p_if: those that meet a condition on the planned row p.';

CREATE OR REPLACE FUNCTION pggit._sets_sql(p_table_id integer, p_relation oid, p_names name[])
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    -- An update may move a row to another partition, or change a generated column through others.
    RETURN (SELECT CASE WHEN count(*) = cardinality(p_names) AND pggit._root(p_relation) = p_relation
                        THEN format('(p.action <> ''update'' OR %s)', string_agg(pggit._differs_sql(c.type_name, '(p.o).c' || c.column_id, '(p.want).c' || c.column_id), ' OR ' ORDER BY c.column_id))
                        ELSE 'true' END
              FROM pggit._columns_at(p_table_id, pggit._target()) AS c
             WHERE c.name = ANY (p_names) AND c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._sets_sql(integer, oid, name[]) IS
'Condition on a planned row p: it is no update, or one that changes these columns of the relation.';

CREATE OR REPLACE FUNCTION pggit._untouched_sql(p_table_id integer, p_alias text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('NOT EXISTS (SELECT FROM pg_temp.pggit_plan_%s AS x WHERE x.action <> ''none'' AND %s)',
                  p_table_id, coalesce(pggit._same_key(p_table_id, 'x', p_alias, false, true, pggit._target()), format('x.at = %s.ctid', p_alias)));
$$;

COMMENT ON FUNCTION pggit._untouched_sql(integer, text) IS
'Condition: the plan does not write the row of the alias.';

CREATE OR REPLACE FUNCTION pggit._note_violations(p_merge_id uuid, p_table_id integer, p_kind text, p_constraint text, p_keys text, p_detail text, p_is_planned boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
AS $$
DECLARE
    v_plan text := format('pg_temp.pggit_plan_%s', p_table_id);
BEGIN
    IF p_is_planned AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = to_regclass(v_plan) AND a.attname = 'outcome') THEN
        v_plan := format('pg_temp.pggit_told_%s', p_table_id);
    END IF;
    EXECUTE format($sql$
        WITH found AS MATERIALIZED (
            SELECT DISTINCT k.key FROM (%1$s) AS k
        )
        INSERT INTO pggit.violations (merge_id, violation_no, violation_id, kind, constraint_name, table_id, key, side, detail)
        SELECT $1, (SELECT coalesce(max(x.violation_no), 0) FROM pggit.violations AS x WHERE x.merge_id = $1) + row_number() OVER (ORDER BY f.key),
               left(encode(sha256(convert_to(jsonb_build_array($2, $3, $4, f.key)::text, 'UTF8')), 'hex'), 16), $3, $4, $2, f.key, s.side, $5
          FROM found AS f
          LEFT JOIN (%2$s) AS s USING (key)$sql$,
        p_keys,
        CASE WHEN p_is_planned
             THEN format('SELECT DISTINCT ON (1) %s AS key, CASE WHEN p.outcome = ''take'' THEN ''theirs'' WHEN p.outcome = ''cells'' THEN ''both'' ELSE ''resolution'' END AS side FROM %s AS p WHERE %s',
                         CASE WHEN pggit._is_keyless(p_table_id) THEN pggit._key_json(p_table_id, pggit._row_json_sql(p_table_id, 'p.want'), pggit._target())
                              ELSE pggit._key_object_sql(p_table_id, 'p') END,
                         v_plan, CASE WHEN pggit._is_keyless(p_table_id) THEN 'p.action = ''insert''' ELSE 'p.action <> ''none''' END)
             ELSE 'SELECT NULL::jsonb AS key, NULL::text AS side' END)
      USING p_merge_id, p_table_id, p_kind, p_constraint, p_detail;
END;
$$;

COMMENT ON FUNCTION pggit._note_violations(uuid, integer, text, text, text, text, boolean) IS
'Records a violation for each key (column key, as pggit._key_json has it) of a query. side is theirs, both (cells of both sides together), resolution, or NULL for
a row of ours that the plan does not write; p_is_planned: whether there is a plan of the table.';

CREATE OR REPLACE FUNCTION pggit._add_violations(p_merge_id uuid, p_table_id integer, p_kind text, p_constraint text, p_rows text, p_detail text)
    RETURNS void
    LANGUAGE sql
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
AS $$
    SELECT pggit._note_violations(p_merge_id, p_table_id, p_kind, p_constraint,
                                  format('SELECT %s AS key FROM (SELECT to_jsonb(v.*) AS j FROM (%s) AS v) AS v', pggit._key_json(p_table_id, 'v.j', pggit._target()), p_rows), p_detail, true);
$$;

COMMENT ON FUNCTION pggit._add_violations(uuid, integer, text, text, text, text) IS
'Records a violation for each row of a query over a planned table''s named rows.';

-- pg_constraint.conenforced is there from PostgreSQL 18.
CREATE OR REPLACE FUNCTION pggit._is_enforced(p_constraint pg_constraint)
    RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce((to_jsonb(p_constraint) ->> 'conenforced')::boolean, true);
$$;

COMMENT ON FUNCTION pggit._is_enforced(pg_constraint) IS
'Whether a constraint binds anybody: a NOT ENFORCED one does not.';

CREATE OR REPLACE FUNCTION pggit._check_rows(p_merge_id uuid, p_table pggit.tables)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_one        record;
    v_name       text := format('%I.%I', p_table.schema_name, p_table.table_name);
    v_never_null name[];
    v_any        text;
    v_found      boolean;
BEGIN
    SELECT array_agg(a.attname ORDER BY a.attnum), format('SELECT EXISTS (SELECT FROM (%s) AS n WHERE %s)', pggit._wants_sql(p_table.table_id),
                                                          coalesce(string_agg(format('n.%I IS NOT DISTINCT FROM NULL', a.attname), ' OR '), 'false'))
      INTO v_never_null, v_any
      FROM pg_attribute AS a
     WHERE a.attrelid = p_table.relation AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped;
    EXECUTE v_any INTO v_found;
    FOR v_one IN SELECT u.attname FROM unnest(v_never_null) AS u(attname) WHERE v_found LOOP
        PERFORM pggit._add_violations(p_merge_id, p_table.table_id, 'not_null', format('%s.%I', v_name, v_one.attname),
            format('SELECT n.* FROM (%s) AS n WHERE n.%I IS NOT DISTINCT FROM NULL', pggit._wants_sql(p_table.table_id), v_one.attname),
            format('column %I of table %s may not be NULL', v_one.attname, v_name));
    END LOOP;

    FOR v_one IN SELECT k.conname, pg_get_expr(k.conbin, k.conrelid) AS expression FROM pg_constraint AS k
                  WHERE k.conrelid = p_table.relation AND k.contype = 'c' AND pggit._is_enforced(k) LOOP
        PERFORM pggit._add_violations(p_merge_id, p_table.table_id, 'check', v_one.conname,
            -- A CHECK of the whole row calls it by the table's name.
            format('SELECT %1$I.* FROM (%2$s) AS %1$I WHERE NOT (%3$s)', p_table.table_name, pggit._wants_sql(p_table.table_id), v_one.expression),
            format('the row does not satisfy %s', v_one.expression));
    END LOOP;

    FOR v_one IN SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS domain FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid AND t.typtype = 'd'
                  WHERE a.attrelid = p_table.relation AND a.attnum > 0 AND NOT a.attisdropped LOOP
        CONTINUE WHEN pggit._takes_all(v_one.domain, format('SELECT n.%I FROM (%s) AS n', v_one.attname, pggit._wants_sql(p_table.table_id)));
        PERFORM pggit._add_violations(p_merge_id, p_table.table_id, 'check', format('%s.%I', v_name, v_one.attname),
            format('SELECT n.* FROM (%s) AS n WHERE NOT pggit._takes(%L, n.%I)', pggit._wants_sql(p_table.table_id), v_one.domain, v_one.attname),
            format('column %I of table %s is of domain %s, which does not take the value', v_one.attname, v_name, v_one.domain));
    END LOOP;

    PERFORM pggit._add_violations(p_merge_id, p_table.table_id, 'partition', v_name,
        format('SELECT n.* FROM (%s) AS n WHERE (%s) IS NOT TRUE', pggit._wants_sql(p_table.table_id), f.fits), format('no partition of table %s takes the row', v_name))
       FROM pggit._fits_sql(p_table.relation) AS f(fits) WHERE f.fits IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION pggit._check_rows(uuid, pggit.tables) IS
'Records the rows of a plan that would violate NOT NULL, CHECK or a domain, or that no partition takes.';

CREATE OR REPLACE FUNCTION pggit._takes_all(p_domain text, p_query text)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('SELECT count(q.v::%s) FROM (%s) AS q(v)', p_domain, p_query);
    RETURN true;
EXCEPTION WHEN check_violation OR not_null_violation THEN
    RETURN false;
END;
$$;

COMMENT ON FUNCTION pggit._takes_all(text, text) IS
'Whether a domain takes all values of a query with one column.';

CREATE OR REPLACE FUNCTION pggit._takes(p_domain text, p_value anyelement)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('SELECT $1::%s', p_domain) USING p_value;
    RETURN true;
EXCEPTION WHEN check_violation OR not_null_violation THEN
    RETURN false;
END;
$$;

COMMENT ON FUNCTION pggit._takes(text, anyelement) IS
'Whether a domain takes a value. One at a time costs much more than pggit._takes_all.';

CREATE OR REPLACE FUNCTION pggit._why_clash(p_is_exclusion boolean, p_index name)
    RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT format(CASE WHEN p_is_exclusion THEN 'exclusion constraint %I keeps it from another row of the merged state'
                       ELSE 'another row of the merged state has the same value in unique index %I' END, p_index);
$$;

COMMENT ON FUNCTION pggit._why_clash(boolean, name) IS
'What a violation of a unique index or exclusion constraint says.';

CREATE OR REPLACE FUNCTION pggit._check_unique(p_merge_id uuid, p_table pggit.tables, p_target_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_index record;
    v_keys  text := coalesce(pggit._user_key_columns(p_table.table_id, 'n', pggit._target()), pggit._user_columns(p_table.table_id, 'n'));
    v_found text := coalesce(pggit._user_key_columns(p_table.table_id, 'w', pggit._target()), pggit._user_columns(p_table.table_id, 'w'));
    v_wants text;
    v_there text;
BEGIN
    FOR v_index IN SELECT x.* FROM pggit._clashes(p_table.relation) AS x LOOP
        v_wants := format('SELECT row_number() OVER () AS pggit_no, %s, %s FROM (%s) AS n WHERE %s', v_keys, v_index.expressions, pggit._wants_sql(p_table.table_id), v_index.predicate);
        v_there := format('SELECT %s, %s%s FROM %s AS n WHERE %s', v_keys, v_index.expressions, CASE WHEN pggit._is_keyless(p_table.table_id) THEN ', n.ctid AS ctid' ELSE '' END,
                          pggit._relation_on(p_target_id, p_table.relation), v_index.predicate);
        IF v_index.is_exclusion THEN
            -- What overlaps is found by an index alone.
            PERFORM pggit._drop_temporary('pg_temp.pggit_wants');
            EXECUTE format('CREATE TEMPORARY TABLE pggit_wants ON COMMIT DROP AS %s', v_wants);
            EXECUTE format('CREATE INDEX ON pg_temp.pggit_wants USING %s', v_index.keys);
            ANALYZE pg_temp.pggit_wants;
            v_wants := 'SELECT * FROM pg_temp.pggit_wants';
        END IF;
        PERFORM pggit._add_violations(p_merge_id, p_table.table_id, CASE WHEN v_index.is_exclusion THEN 'exclusion' ELSE 'unique' END, v_index.relname,
            format('WITH wants AS %6$s (%1$s)
                    SELECT %5$s FROM wants AS w JOIN (%2$s) AS r ON %3$s WHERE %4$s
                    UNION ALL SELECT %5$s FROM wants AS w JOIN wants AS r ON %3$s AND w.pggit_no <> r.pggit_no',
                   v_wants, v_there, v_index.same, pggit._untouched_sql(p_table.table_id, 'r'), v_found,
                   CASE WHEN v_index.is_exclusion THEN 'NOT MATERIALIZED' ELSE 'MATERIALIZED' END),
            pggit._why_clash(v_index.is_exclusion, v_index.relname));
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._check_unique(uuid, pggit.tables, integer) IS
'Records the rows of a plan that would share the value of a unique index (partial, on expressions, NULLS NOT DISTINCT too) with another row of the merged state, or that an exclusion constraint keeps from one.';

CREATE OR REPLACE FUNCTION pggit._foreign_keys(p_relations oid[])
    RETURNS TABLE (key_id oid, conname name, child oid, parent oid, match_full boolean, is_valid boolean, same text, child_set text, child_null text, child_columns text, parent_columns text,
                   child_names name[], parent_names name[])
    LANGUAGE plpgsql STABLE ROWS 10
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT k.oid, k.conname, k.conrelid, k.confrelid, k.confmatchtype = 'f', k.convalidated,
           string_agg(format('p.%I %s c.%I', pa.attname, pggit._compare_sql(x.op, pa.attcollation, ca.attcollation), ca.attname), ' AND ' ORDER BY x.i),
           string_agg(format('c.%I IS DISTINCT FROM NULL', ca.attname), ' AND ' ORDER BY x.i),
           string_agg(format('c.%I IS NOT DISTINCT FROM NULL', ca.attname), ' AND ' ORDER BY x.i),
           string_agg(quote_ident(ca.attname), ', ' ORDER BY x.i),
           string_agg(quote_ident(pa.attname), ', ' ORDER BY x.i), array_agg(ca.attname), array_agg(pa.attname)
      FROM pg_constraint AS k
     CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS x(child_att, parent_att, op, i)
      JOIN pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = x.child_att
      JOIN pg_attribute AS pa ON pa.attrelid = k.confrelid AND pa.attnum = x.parent_att
     WHERE k.contype = 'f' AND k.conparentid = 0 AND pggit._is_enforced(k) AND (k.conrelid = ANY (p_relations) OR k.confrelid = ANY (p_relations))
     GROUP BY k.oid, k.conname, k.conrelid, k.confrelid, k.confmatchtype, k.convalidated
     ORDER BY k.conname;
END;
$$;

COMMENT ON FUNCTION pggit._foreign_keys(oid[]) IS
'Foreign keys from or to the relations, with conditions over the aliases c (child) and p (parent).';

CREATE OR REPLACE FUNCTION pggit._gone_of_key_sql(p_parent_id integer, p_key record)
    RETURNS text
    LANGUAGE plpgsql STRICT
AS $$
DECLARE
    v_gone text := pggit._gone_sql(p_parent_id, p_key.parent, pggit._sets_sql(p_parent_id, p_key.parent, p_key.parent_names));
BEGIN
    RETURN CASE WHEN pggit._how_many(v_gone, 1) > 0 THEN v_gone END;
END;
$$;

COMMENT ON FUNCTION pggit._gone_of_key_sql(integer, record) IS
'Of a foreign key (pggit._foreign_keys) and the planned table it refers to: SELECT of the rows that it may refer to and that go, or are other in what it refers to. NULL where there is none.';

CREATE OR REPLACE FUNCTION pggit._wants_of_key_sql(p_child_id integer, p_key record, p_parents_stay boolean)
    RETURNS text
    LANGUAGE plpgsql STRICT
AS $$
DECLARE
    v_wants text := pggit._wants_sql(p_child_id, p_key.child, CASE WHEN p_parents_stay AND p_key.is_valid
                                  THEN format('(%s)', concat_ws(' OR ', pggit._sets_sql(p_child_id, p_key.child, p_key.child_names), pggit._anew_sql(p_child_id, pggit._base_relation(p_child_id)::regclass)))
                                  ELSE 'true' END);
BEGIN
    RETURN CASE WHEN pggit._how_many(v_wants, 1) > 0 THEN v_wants END;
END;
$$;

COMMENT ON FUNCTION pggit._wants_of_key_sql(integer, record, boolean) IS
'Of a foreign key and the planned table that has it: SELECT of the rows to write that it has to be checked for. As PostgreSQL has it, an update that leaves its columns alone does not ask it again, unless p_parents_stay is
false, it is NOT VALID or the row may be deleted and inserted (pggit._anew_sql): who deletes the parent meanwhile finds no row then that refers to it. NULL where there is none.';

CREATE OR REPLACE FUNCTION pggit._check_foreign_keys(p_merge_id uuid, p_tables integer[], p_target_id integer)
    RETURNS oid[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_key         record;
    v_child       integer;
    v_parent      integer;
    v_child_name  text;
    v_parent_name text;
    v_wants       text;
    v_gone        text;
    v_relations   oid[] := pggit._relations(p_tables);
    v_idle        oid[] := '{}';
BEGIN
    FOR v_key IN SELECT f.* FROM pggit._foreign_keys(v_relations) AS f LOOP
        -- What a single partition says holds on main alone.
        CONTINUE WHEN p_target_id <> 1 AND EXISTS (SELECT FROM pggit.partitions AS p WHERE p.relation IN (v_key.child, v_key.parent));
        -- With columns of its own, a branch has foreign keys of its own, which pggit._find_orphans looks at.
        CONTINUE WHEN p_target_id <> 1 AND 2 = (SELECT count(*) FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id)
                                                 WHERE bt.branch_id = p_target_id AND bt.form = 'table' AND t.relation IN (pggit._root(v_key.child), pggit._root(v_key.parent)))
                                       + (v_key.child = v_key.parent)::integer
                      AND EXISTS (SELECT FROM pggit.branch_columns AS bc JOIN pggit.tables AS t USING (table_id)
                                   WHERE bc.branch_id = p_target_id AND t.relation IN (pggit._root(v_key.child), pggit._root(v_key.parent)));
        v_child  := (SELECT t.table_id FROM pggit.tables AS t WHERE t.relation = pggit._root(v_key.child) AND t.table_id = ANY (p_tables));
        v_parent := (SELECT t.table_id FROM pggit.tables AS t WHERE t.relation = pggit._root(v_key.parent) AND t.table_id = ANY (p_tables));
        v_gone   := pggit._gone_of_key_sql(v_parent, v_key);
        v_wants  := pggit._wants_of_key_sql(v_child, v_key, p_target_id = 1 AND v_gone IS NULL);
        IF v_wants IS NULL AND v_gone IS NULL THEN
            v_idle := v_idle || v_key.key_id;
            CONTINUE;
        END IF;
        v_child_name  := pggit._relation_on(p_target_id, v_key.child);
        v_parent_name := pggit._relation_on(p_target_id, v_key.parent);

        IF v_wants IS NOT NULL THEN
            PERFORM pggit._add_violations(p_merge_id, v_child, 'foreign_key', v_key.conname,
                format('SELECT c.* FROM (%1$s) AS c WHERE (%2$s%3$s) AND NOT EXISTS (SELECT FROM %4$s AS p WHERE %5$s%6$s)%7$s',
                       v_wants, v_key.child_set, CASE WHEN v_key.match_full THEN ' OR NOT (' || v_key.child_null || ')' ELSE '' END,
                       v_parent_name, v_key.same,
                       CASE WHEN v_parent IS NULL THEN '' ELSE ' AND ' || pggit._untouched_sql(v_parent, 'p') END,
                       CASE WHEN v_parent IS NULL THEN '' ELSE format(' AND NOT EXISTS (SELECT FROM (%s) AS p WHERE %s)', pggit._wants_sql(v_parent, v_key.parent), v_key.same) END),
                format('(%s) is not present in %s (%s)', v_key.child_columns, v_key.parent::regclass, v_key.parent_columns));
        END IF;

        -- Rows that stay and refer to a row that goes. A table that is not tracked has rows on main alone.
        CONTINUE WHEN v_gone IS NULL OR (p_target_id <> 1 AND NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = v_key.child AND t.untracked_at IS NULL));
        IF v_child IS NULL THEN
            PERFORM pggit._add_violations(p_merge_id, v_parent, 'foreign_key', v_key.conname,
                format('SELECT p.* FROM (%1$s) AS p WHERE EXISTS (SELECT FROM %2$s AS c WHERE %3$s AND NOT EXISTS (SELECT FROM (%4$s) AS p WHERE %3$s))',
                       v_gone, v_child_name, v_key.same, pggit._wants_sql(v_parent, v_key.parent)),
                format('rows of %s still refer to it', v_key.child::regclass));
        ELSE
            PERFORM pggit._add_violations(p_merge_id, v_child, 'foreign_key', v_key.conname,
                format('SELECT c.* FROM %1$s AS c WHERE %2$s AND EXISTS (SELECT FROM (%3$s) AS p WHERE %4$s) AND NOT EXISTS (SELECT FROM (%5$s) AS p WHERE %4$s)',
                       v_child_name, pggit._untouched_sql(v_child, 'c'), v_gone, v_key.same, pggit._wants_sql(v_parent, v_key.parent)),
                format('the merge deletes the row of %s that this row''s (%s) refers to', v_key.parent::regclass, v_key.child_columns));
        END IF;
    END LOOP;
    RETURN v_idle;
END;
$$;

COMMENT ON FUNCTION pggit._check_foreign_keys(uuid, integer[], integer) IS
'Records rows that would refer to nothing in the merged state, in both directions: rows the plan writes, and rows that stay while the row they refer to goes.
Returns the foreign keys that nothing which the plan does asks.';
