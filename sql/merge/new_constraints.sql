-- Constraints that a merge brings to its target, and that the merged rows do not satisfy: the rows are found, and all is undone.

CREATE OR REPLACE FUNCTION pggit._clashes(p_relation oid)
    RETURNS TABLE (relname name, is_exclusion boolean, predicate text, expressions text, same text, keys text, own_keys text)
    LANGUAGE sql STABLE
AS $$
    SELECT c.relname, i.indisexclusion, coalesce(pg_get_expr(i.indpred, i.indrelid), 'true'),
           (SELECT string_agg(format('(%s)%s AS pggit_u%s', pg_get_indexdef(i.indexrelid, k, false),
                                     (SELECT format(' COLLATE %I.%I', cn.nspname, co.collname) FROM pg_collation AS co JOIN pg_namespace AS cn ON cn.oid = co.collnamespace
                                       WHERE co.oid = i.indcollation[k - 1]), k), ', ' ORDER BY k) FROM generate_series(1, i.indnkeyatts) AS k),
           (SELECT string_agg(format('w.pggit_u%1$s %2$s r.pggit_u%1$s', k.n, k.operator)
                              || CASE WHEN i.indnullsnotdistinct THEN format(' IS NOT FALSE AND (w.pggit_u%1$s IS NOT DISTINCT FROM NULL) = (r.pggit_u%1$s IS NOT DISTINCT FROM NULL)', k.n) ELSE '' END, ' AND ' ORDER BY k.n)
              FROM pggit._index_keys(i.indexrelid) AS k),
           (SELECT format('%I (%s)', m.amname, string_agg(format('pggit_u%s %s', k.n, k.opclass), ', ' ORDER BY k.n)) FROM pggit._index_keys(i.indexrelid) AS k),
           (SELECT format('%I (%s)', m.amname, string_agg(format('%s %s', k.expression, k.opclass), ', ' ORDER BY k.n)) FROM pggit._index_keys(i.indexrelid) AS k)
      FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS m ON m.oid = c.relam
     WHERE i.indrelid = p_relation AND (i.indisunique AND NOT i.indisprimary OR i.indisexclusion)
     ORDER BY c.relname;
$$;

COMMENT ON FUNCTION pggit._clashes(oid) IS
'The unique indexes and exclusion constraints of a table, but for its key: what they are made of as columns pggit_u1, …; same: the condition on which rows w and r clash; keys: access method and columns of an index on
these columns, own_keys: on the table itself.';

CREATE OR REPLACE FUNCTION pggit._new_objects_of(p_parent text, p_now pggit._schema_object[], p_merged pggit._schema_object[])
    RETURNS pggit._schema_object[]
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN ARRAY(SELECT m FROM unnest(p_merged) AS m LEFT JOIN unnest(p_now) AS n ON n.object_type = m.object_type AND n.object_name = m.object_name
                  WHERE m.parent = p_parent AND m.hash IS DISTINCT FROM n.hash
                    AND CASE m.object_type WHEN 'constraint' THEN m.definition ->> 'definition' !~ '(NOT VALID|NOT ENFORCED)$' AND m.definition ->> 'definition' IS DISTINCT FROM n.definition ->> 'definition'
                                           WHEN 'index' THEN m.definition ? 'unique'
                                           WHEN 'column' THEN m.definition ? 'not_null' AND NOT coalesce(n.definition ? 'not_null', false) ELSE false END
                  ORDER BY m.object_type COLLATE "C", m.object_name COLLATE "C");
END;
$$;

COMMENT ON FUNCTION pggit._new_objects_of(text, pggit._schema_object[], pggit._schema_object[]) IS
'What a merge brings to a table that rows have to satisfy: constraints, unique indexes, and columns that must not be NULL from now on.';

CREATE OR REPLACE FUNCTION pggit._note_broken(p_merge_id uuid, p_table_id integer, p_relation regclass, p_is_planned boolean, p_kind text, p_constraint text, p_rows text, p_detail text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
AS $$
BEGIN
    PERFORM pggit._as_owner(p_relation, ARRAY['SET LOCAL search_path = pg_catalog, pg_temp', format(
        'SELECT set_config(''pggit.found'', coalesce((SELECT jsonb_agg(k.key) FROM (SELECT %s AS key FROM (SELECT to_jsonb(v.*) AS j FROM (%s) AS v) AS v LIMIT 10000) AS k), ''[]'')::text, true)',
        pggit._key_json(p_table_id, 'v.j', pggit._target()), p_rows)]);
    PERFORM pggit._note_violations(p_merge_id, p_table_id, p_kind, p_constraint, format('SELECT f.value AS key FROM jsonb_array_elements(%L) AS f', current_setting('pggit.found')), p_detail, p_is_planned);
END;
$$;

COMMENT ON FUNCTION pggit._note_broken(uuid, integer, regclass, boolean, text, text, text, text) IS
'Records a violation for each of the first 10,000 rows of a query over a table, which is run as the table''s owner: there may be code of a branch in it.';

CREATE OR REPLACE FUNCTION pggit._find_broken_keys(p_merge_id uuid, p_table_id integer, p_relation regclass, p_is_planned boolean, p_new pggit._schema_object[], p_target jsonb, p_path text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_one pggit._schema_object;
    v_key record;
BEGIN
    FOREACH v_one IN ARRAY p_new LOOP
        CONTINUE WHEN v_one.object_type <> 'constraint' OR NOT v_one.definition ? 'references';
        BEGIN
            PERFORM pggit._as_owner(p_relation, ARRAY[format('SELECT pg_catalog.set_config(''search_path'', %L, true)', p_path), (pggit._create_object(v_one, '{}', p_target))[1] || ' NOT VALID']);
        EXCEPTION WHEN OTHERS THEN
            IF NOT pggit._is_ours_to_judge(SQLSTATE) THEN
                RAISE;
            END IF;
            -- It can't be there for another reason: no rows are to blame.
            CONTINUE;
        END;
        PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
        FOR v_key IN SELECT f.* FROM pggit._foreign_keys(ARRAY[p_relation::oid]) AS f WHERE f.child = p_relation AND quote_ident(f.conname) = pggit._local_name(v_one) LOOP
            PERFORM pggit._note_violations(p_merge_id, p_table_id, 'foreign_key', v_key.conname,
                format('SELECT %s AS key FROM (SELECT to_jsonb(c.*) AS j FROM %s AS c WHERE (%s%s) AND NOT EXISTS (SELECT FROM %s AS p WHERE %s) LIMIT 10000) AS v', pggit._key_json(p_table_id, 'v.j', pggit._target()), p_relation,
                       v_key.child_set, CASE WHEN v_key.match_full THEN ' OR NOT (' || v_key.child_null || ')' ELSE '' END, v_key.parent::regclass, v_key.same),
                format('(%s) is not present in %s (%s)', v_key.child_columns, v_key.parent::regclass, v_key.parent_columns), p_is_planned);
        END LOOP;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._find_broken_keys(uuid, integer, regclass, boolean, pggit._schema_object[], jsonb, text) IS
'Records the rows of a table that new foreign keys of it do not take. Leaves these there, NOT VALID, to be undone with the rest.';

CREATE OR REPLACE FUNCTION pggit._find_broken_in(p_merge_id uuid, p_table pggit.tables, p_relation regclass, p_is_planned boolean, p_new pggit._schema_object[], p_path text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_copy  name   := (SELECT c.relname FROM pg_class AS c WHERE c.oid = p_relation);
    -- Rows of a view have a key, and no place.
    v_is_view boolean := (SELECT c.relkind = 'v' FROM pg_class AS c WHERE c.oid = p_relation);
    v_there oid;
    v_one   record;
    v_index record;
    v_found text   := coalesce(pggit._user_key_columns(p_table.table_id, 'w', pggit._target()), pggit._user_columns(p_table.table_id, 'w'));
    v_keys  text   := coalesce(pggit._user_key_columns(p_table.table_id, 'n', pggit._target()), pggit._user_columns(p_table.table_id, 'n'));
    v_rows  text;
BEGIN
    FOR v_one IN SELECT pggit._local_name(u) AS name FROM unnest(p_new) AS u WHERE u.object_type = 'column' LOOP
        PERFORM pggit._note_broken(p_merge_id, p_table.table_id, p_relation, p_is_planned, 'not_null', format('%I.%I.%s', p_table.schema_name, p_table.table_name, v_one.name),
            format('SELECT n.* FROM %s AS n WHERE n.%s IS NOT DISTINCT FROM NULL', p_relation, v_one.name), format('column %s of table %I.%I may not be NULL', v_one.name, p_table.schema_name, p_table.table_name));
    END LOOP;

    -- An empty table takes them all, and the catalog says of each what it means.
    PERFORM pggit._drop_temporary(format('pg_temp.%I', v_copy));
    PERFORM pggit._as_owner(p_relation, ARRAY[format('SELECT pg_catalog.set_config(''search_path'', %L, true)', p_path), format('CREATE TEMPORARY TABLE %I (LIKE %s)', v_copy, p_relation)]
        || ARRAY(SELECT CASE u.object_type WHEN 'index' THEN format('CREATE UNIQUE INDEX %s ON pg_temp.%I %s', pggit._local_name(u), v_copy, u.definition ->> 'definition')
                                           ELSE format('ALTER TABLE pg_temp.%I ADD CONSTRAINT %s %s', v_copy, pggit._local_name(u), u.definition ->> 'definition') END
                   FROM unnest(p_new) AS u WHERE u.object_type = 'index' OR u.object_type = 'constraint' AND NOT u.definition ? 'references'));
    PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
    v_there := to_regclass(format('pg_temp.%I', v_copy));
    FOR v_one IN SELECT k.conname, pg_get_expr(k.conbin, k.conrelid) AS expression FROM pg_constraint AS k WHERE k.conrelid = v_there AND k.contype = 'c' ORDER BY k.conname LOOP
        PERFORM pggit._note_broken(p_merge_id, p_table.table_id, p_relation, p_is_planned, 'check', v_one.conname,
            format('SELECT %1$I.* FROM %2$s AS %1$I WHERE NOT (%3$s)', v_copy, p_relation, v_one.expression), format('the row does not satisfy %s', v_one.expression));
    END LOOP;
    FOR v_index IN SELECT x.* FROM pggit._clashes(v_there) AS x LOOP
        IF v_index.is_exclusion AND NOT v_is_view THEN
            -- What overlaps is found by an index alone.
            PERFORM pggit._as_owner(p_relation, ARRAY[format('CREATE INDEX ON %s USING %s WHERE %s', p_relation, v_index.own_keys, v_index.predicate), 'SET LOCAL enable_seqscan = off']);
        END IF;
        v_rows := format('SELECT %s%s, %s FROM %s AS n WHERE %s', CASE WHEN v_is_view THEN '' ELSE 'n.tableoid AS pggit_in, n.ctid AS pggit_at, ' END, v_keys, v_index.expressions, p_relation, v_index.predicate);
        PERFORM pggit._note_broken(p_merge_id, p_table.table_id, p_relation, p_is_planned, CASE WHEN v_index.is_exclusion THEN 'exclusion' ELSE 'unique' END, v_index.relname,
            format('SELECT DISTINCT %1$s FROM (%2$s) AS w JOIN (%2$s) AS r ON %3$s AND %4$s', v_found, v_rows, v_index.same,
                   CASE WHEN v_is_view THEN format('NOT (%s)', pggit._same_key(p_table.table_id, 'w', 'r', true, true, pggit._target())) ELSE '(w.pggit_in, w.pggit_at) <> (r.pggit_in, r.pggit_at)' END),
            pggit._why_clash(v_index.is_exclusion, v_index.relname));
    END LOOP;
    PERFORM pggit._as_owner(p_relation, ARRAY[format('DROP TABLE pg_temp.%I', v_copy)]);
END;
$$;

COMMENT ON FUNCTION pggit._find_broken_in(uuid, pggit.tables, regclass, boolean, pggit._schema_object[], text) IS
'Records the rows of a table that new NOT NULLs, CHECKs, unique indexes and exclusion constraints of it do not take. What it makes for that is undone with the rest.';

CREATE OR REPLACE FUNCTION pggit._find_broken(p_merge_id uuid, p_branch_id integer, p_tables integer[], p_now pggit._schema_object[], p_merged pggit._schema_object[])
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_target jsonb := (SELECT jsonb_object_agg(quote_ident(s.base_schema), quote_ident(s.schema_name)) FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND p_branch_id <> 1);
    v_path   text  := pggit._schema_path(p_branch_id);
    v_follow text  := coalesce(current_setting('pggit.following', true), '');
    v_branch text  := coalesce(current_setting('pggit.branch', true), '');
    v_table  record;
BEGIN
    PERFORM set_config('pggit.following', 'on', true), set_config('pggit.branch', '', true);
    FOR v_table IN
        SELECT t, r.relation, n.objects
          FROM pggit.tables AS t
         CROSS JOIN LATERAL (SELECT pggit._relation_at(t.table_id, p_branch_id) AS relation) AS r
         CROSS JOIN LATERAL (SELECT pggit._new_objects_of(pggit._shown_name(t.table_id, p_branch_id), p_now, p_merged) AS objects) AS n
         WHERE t.untracked_at IS NULL AND r.relation IS NOT NULL AND n.objects <> '{}'
         ORDER BY t.schema_name, t.table_name
    LOOP
        PERFORM pggit._find_broken_in(p_merge_id, v_table.t, v_table.relation, (v_table.t).table_id = ANY (p_tables), v_table.objects, v_path);
        PERFORM pggit._find_broken_keys(p_merge_id, (v_table.t).table_id, v_table.relation, (v_table.t).table_id = ANY (p_tables), v_table.objects, v_target, v_path);
    END LOOP;
    PERFORM set_config('pggit.following', v_follow, true), set_config('pggit.branch', v_branch, true);
    RETURN EXISTS (SELECT FROM pggit.violations AS v WHERE v.merge_id = p_merge_id);
EXCEPTION WHEN OTHERS THEN
    -- The owner may make no temporary table, or code in a constraint fails: then no rows are to blame.
    IF NOT pggit._is_ours_to_judge(SQLSTATE) THEN
        RAISE;
    END IF;
    RETURN false;
END;
$$;

COMMENT ON FUNCTION pggit._find_broken(uuid, integer, integer[], pggit._schema_object[], pggit._schema_object[]) IS
'Records the rows of the merge''s target, whose rows are merged already (p_tables: of those tables there is a plan), that constraints which the merge is about to bring do not take; false when none were found. The
caller undoes the merge.';

CREATE OR REPLACE FUNCTION pggit._owns_rows(p_branch_id integer, p_table_id integer)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_any boolean := true;
BEGIN
    IF pggit._dense_relation(p_branch_id, p_table_id) IS NULL THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM pggit._mask_%s AS m WHERE m._b = %s)', p_table_id, p_branch_id) INTO v_any;
    END IF;
    RETURN v_any;
END;
$$;

COMMENT ON FUNCTION pggit._owns_rows(integer, integer) IS
'Whether a branch may show other rows of a table than main has where the branch stands.';

CREATE OR REPLACE FUNCTION pggit._find_broken_on_views(p_merge_id uuid, p_branch_id integer, p_tables integer[], p_before pggit._schema_object[])
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_follow  text := coalesce(current_setting('pggit.following', true), '');
    v_session text := current_setting('pggit.branch', true);
    v_path    text := current_setting('search_path');
    v_now     pggit._schema_object[] := ARRAY(SELECT o FROM pggit._schema_objects(p_branch_id) AS o);
    v_table   record;
    v_key     record;
BEGIN
    PERFORM set_config('pggit.following', 'on', true), set_config('pggit.branch', '', true);
    FOR v_table IN
        SELECT t, bt.form, bt.relation, n.objects
          FROM pggit.tables AS t JOIN pggit.branch_tables AS bt USING (table_id)
         CROSS JOIN LATERAL (SELECT pggit._new_objects_of(pggit._shown_name(t.table_id, p_branch_id), p_before, v_now) AS objects) AS n
         WHERE bt.branch_id = p_branch_id AND t.untracked_at IS NULL AND t.on_main AND n.objects <> '{}'
         ORDER BY t.schema_name, t.table_name
    LOOP
        IF v_table.form = 'view' AND pggit._owns_rows(p_branch_id, (v_table.t).table_id) THEN
            PERFORM pggit._find_broken_in(p_merge_id, v_table.t, v_table.relation, (v_table.t).table_id = ANY (p_tables), v_table.objects, pggit._schema_path(p_branch_id));
        END IF;
        FOR v_key IN
            SELECT f.*, pggit._relation_on(p_branch_id, f.child) AS child_there, pggit._relation_on(p_branch_id, f.parent) AS parent_there
              FROM pggit._foreign_keys(ARRAY[(v_table.t).relation::oid]) AS f LEFT JOIN pggit.tables AS m ON m.relation = pggit._root(f.parent) AND m.untracked_at IS NULL
              LEFT JOIN pggit.branch_tables AS b ON b.branch_id = p_branch_id AND b.table_id = m.table_id
             WHERE f.child = (v_table.t).relation AND 'view' IN (v_table.form, b.form) AND (pggit._owns_rows(p_branch_id, (v_table.t).table_id) OR pggit._owns_rows(p_branch_id, b.table_id))
               AND quote_ident(f.conname) IN (SELECT pggit._local_name(u) FROM unnest(v_table.objects) AS u WHERE u.object_type = 'constraint')
        LOOP
            PERFORM pggit._note_violations(p_merge_id, (v_table.t).table_id, 'foreign_key', v_key.conname,
                format('SELECT %s AS key FROM (SELECT to_jsonb(c.*) AS j FROM %s AS c WHERE (%s%s) AND NOT EXISTS (SELECT FROM %s AS p WHERE %s) LIMIT 10000) AS v', pggit._key_json((v_table.t).table_id, 'v.j', pggit._target()),
                       v_key.child_there, v_key.child_set, CASE WHEN v_key.match_full THEN ' OR NOT (' || v_key.child_null || ')' ELSE '' END, v_key.parent_there, v_key.same),
                format('(%s) is not present in %s (%s)', v_key.child_columns, v_key.parent::regclass, v_key.parent_columns), (v_table.t).table_id = ANY (p_tables));
        END LOOP;
    END LOOP;
    PERFORM set_config('pggit.following', v_follow, true), set_config('pggit.branch', coalesce(v_session, ''), true), set_config('search_path', v_path, true);
    RETURN EXISTS (SELECT FROM pggit.violations AS v WHERE v.merge_id = p_merge_id);
END;
$$;

COMMENT ON FUNCTION pggit._find_broken_on_views(uuid, integer, integer[], pggit._schema_object[]) IS
'The same on a branch whose definitions are merged, for its views, on which nothing but this looks at rows that are there when a constraint of main comes to them, and for foreign keys of which one end is a view. Of tables of which the branch
owns no row main has looked at all. p_before: the branch''s objects before the merge.';

CREATE OR REPLACE FUNCTION pggit._try_finish(p_merge_id uuid, p_branch_id integer, p_tables integer[], p_merged pggit._schema_object[], p_settled text[], p_now pggit._schema_object[])
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN pggit._finish_schema(p_branch_id, p_merged, p_settled, p_now);
EXCEPTION WHEN check_violation OR not_null_violation OR unique_violation OR exclusion_violation OR foreign_key_violation THEN
    IF NOT pggit._find_broken(p_merge_id, p_branch_id, p_tables, coalesce(p_now, ARRAY(SELECT o FROM pggit._schema_objects(p_branch_id) AS o)), p_merged) THEN
        RAISE;
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._try_finish(uuid, integer, integer[], pggit._schema_object[], text[], pggit._schema_object[]) IS
'pggit._finish_schema; NULL when a constraint that it makes does not take the merged rows, which are then recorded as violations: the caller undoes the merge.';
