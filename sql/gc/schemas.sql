-- What gc takes of schemas: trees and definitions that nothing refers to, and what stands in for tables that nothing has any more that can be read.

CREATE OR REPLACE FUNCTION pggit._kept_trees()
    RETURNS TABLE (tree_id bigint)
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE live AS MATERIALIZED (
        SELECT l.branch_id FROM pg_temp.pggit_gc_lines AS l WHERE l.is_live
    ), kept AS (
        SELECT r.tree_id
          FROM (SELECT c.tree_id FROM pggit.schema_commits AS c WHERE c.commit_id NOT IN (SELECT s.commit_id FROM pg_temp.pggit_gc_states AS s WHERE s.commit_id IS NOT NULL AND NOT s.stays)
                UNION SELECT p.tree_id FROM pggit.schema_places AS p
                UNION SELECT a.tree_id FROM pggit.accepted_schema AS a
                UNION SELECT d.tree_id FROM pggit.deployments AS d
                UNION SELECT u.tree_id FROM pggit.schema_scans AS s CROSS JOIN LATERAL (VALUES (s.tree_id), (s.below)) AS u(tree_id)
                       WHERE NOT EXISTS (SELECT FROM pg_temp.pggit_gc_lines AS l WHERE l.branch_id = s.branch_id) OR s.branch_id IN (SELECT l.branch_id FROM live AS l)) AS r
        UNION
        SELECT t.parent_id FROM kept AS k JOIN pggit.schema_trees AS t ON t.tree_id = k.tree_id
    )
    SELECT k.tree_id FROM kept AS k WHERE k.tree_id IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION pggit._kept_trees() IS
'The trees of schemas that are needed: those of all commits in the log, readable or not (their changes are shown there), of main''s places, deployments and accepted schema, of what branches looked like last, and those that any of these are told as a difference from.';

CREATE OR REPLACE FUNCTION pggit._collect_schemas(p_dry_run boolean, p_since timestamptz)
    RETURNS TABLE (object text, rows bigint, bytes bigint, reason text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_dead text     := 'r.branch_id IN (SELECT l.branch_id FROM pg_temp.pggit_gc_lines AS l WHERE NOT l.is_live)';
    v_tree text     := 'r.tree_id NOT IN (SELECT k.tree_id FROM pggit._kept_trees() AS k)';
    v_used text     := 'SELECT e.hash FROM pggit.schema_entries AS e WHERE e.hash IS NOT NULL AND e.tree_id IN (SELECT k.tree_id FROM pggit._kept_trees() AS k) UNION ALL SELECT n.hash FROM pggit.function_notes AS n';
    v_ids  bigint[];
    v_step record;
BEGIN
    IF NOT p_dry_run THEN
        -- Who stores a tree holds the definitions that it finds (pggit._store_tree): held ones stay, and the next statement sees what was stored before these were locked.
        EXECUTE format('SELECT array_agg(d.definition_id) FROM (SELECT r.definition_id FROM pggit.schema_definitions AS r WHERE r.hash NOT IN (%s) FOR UPDATE SKIP LOCKED) AS d', v_used) INTO v_ids;
    END IF;
    FOR v_step IN SELECT * FROM (VALUES
        ('pggit.schema_scans', v_dead, 'what deleted branches left'),
        ('pggit.schema_copies', v_dead, 'what deleted branches left'),
        ('pggit.ddl_log', format('r.changed_at < %L AND (%s OR r.ddl_no NOT IN (SELECT max(k.ddl_no) FROM pggit.ddl_log AS k GROUP BY k.branch_id, k.object_type, k.object_name))', p_since, v_dead),
         'statements from before the retention, but for the last one about each object'),
        ('pggit.schema_definitions', CASE WHEN p_dry_run THEN 'true' ELSE format('r.definition_id = ANY (%L::bigint[])', v_ids) END || format(' AND r.hash NOT IN (%s)', v_used),
         'definitions that no schema has any more'),
        ('pggit.schema_entries', v_tree, 'schemas of commits that are gone'),
        ('pggit.schema_trees', v_tree, 'schemas of commits that are gone')) AS s(object, condition, reason)
    LOOP
        RETURN QUERY SELECT v_step.object, r.rows, r.bytes, v_step.reason FROM pggit._remove(v_step.object, v_step.condition, p_dry_run) AS r;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._collect_schemas(boolean, timestamptz) IS
'Removes the trees and definitions of schemas that nothing refers to, what was known of the schemas of deleted branches, and who changed what before a time, but for the last change of each object.';

CREATE OR REPLACE FUNCTION pggit._is_past(p_table pggit.tables)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.table_changes AS c JOIN pg_temp.pggit_gc_lines AS l ON l.branch_id = 1
                            WHERE c.table_id = p_table.table_id AND c.branch_id = 1 AND NOT c.is_there AND (l.before).snapshot IS NOT NULL AND pggit._mark_in(c.at, l.before)
                              AND NOT EXISTS (SELECT FROM pggit.table_changes AS o WHERE o.table_id = p_table.table_id AND o.branch_id = 1 AND o.change_no > c.change_no))
                   AND NOT EXISTS (SELECT FROM pg_temp.pggit_gc_states AS s CROSS JOIN LATERAL (VALUES (s.at), (s.since)) AS p(position)
                                    WHERE s.is_readable AND (p.position).branch_id IS NOT NULL AND pggit._presence(p_table, p.position) <> 'absent'));
END;
$$;

COMMENT ON FUNCTION pggit._is_past(pggit.tables) IS
'Whether main lost a table before the retention, and no readable state has it.';

CREATE OR REPLACE FUNCTION pggit._left_stand_ins()
    RETURNS SETOF pggit.tables
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY
    SELECT t.* FROM pggit.tables AS t
     WHERE NOT t.on_main AND t.untracked_at IS NULL
       AND (NOT EXISTS (SELECT FROM pggit.table_changes AS c LEFT JOIN pg_temp.pggit_gc_lines AS l USING (branch_id)
                        WHERE c.table_id = t.table_id AND CASE WHEN c.branch_id = 1 THEN c.at IS NOT NULL OR c.is_there ELSE coalesce(l.is_live OR l.is_needed, true) END)
            OR pggit._is_past(t))
       AND EXISTS (SELECT FROM pggit.table_changes AS c WHERE c.table_id = t.table_id AND c.branch_id = 1)
       AND NOT EXISTS (SELECT FROM pggit.branch_tables AS b WHERE b.table_id = t.table_id)
       AND NOT EXISTS (SELECT FROM pggit.conflicts AS c WHERE c.table_id = t.table_id)
       AND NOT EXISTS (SELECT FROM pggit.violations AS v WHERE v.table_id = t.table_id)
     ORDER BY t.table_id;
END;
$$;

COMMENT ON FUNCTION pggit._left_stand_ins() IS
'Tables that main never had, and that only branches had which are gone and on which no readable commit lies; and those that main had before the retention and no readable state has.';

CREATE OR REPLACE FUNCTION pggit._drop_stand_in(p_table pggit.tables)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_routine text;
BEGIN
    -- Who went on from it goes on from what it went on from.
    UPDATE pggit.generations AS g SET continues = o.continues, columns = (SELECT coalesce(jsonb_object_agg(c.key, o.columns -> (c.value #>> '{}')), '{}') FROM jsonb_each(g.columns) AS c WHERE o.columns ? (c.value #>> '{}'))
      FROM pggit.generations AS o WHERE g.continues = p_table.table_id AND o.table_id = p_table.table_id;
    DELETE FROM pggit.generations AS g WHERE p_table.table_id IN (g.table_id, g.continues);
    DELETE FROM pggit.table_changes AS c WHERE c.table_id = p_table.table_id;
    DELETE FROM pggit.branch_columns AS c WHERE c.table_id = p_table.table_id;
    DELETE FROM pggit.branch_gaps AS g WHERE g.table_id = p_table.table_id;
    DELETE FROM pggit.collected_tables AS c WHERE c.table_id = p_table.table_id;
    DELETE FROM pggit.reserved_keys AS k WHERE k.table_id = p_table.table_id;
    DELETE FROM pggit.given_keys AS k WHERE k.table_id = p_table.table_id;
    DELETE FROM pggit.columns AS c WHERE c.table_id = p_table.table_id;
    DELETE FROM pggit.tables AS t WHERE t.table_id = p_table.table_id;
    EXECUTE format('DROP TABLE IF EXISTS pggit._main_%1$s, pggit._log_%1$s, pggit._delta_%1$s, pggit._mask_%1$s, pggit._undo_%1$s', p_table.table_id);
    FOR v_routine IN
        SELECT p.oid::regprocedure::text FROM pg_proc AS p
         WHERE p.pronamespace = 'pggit'::regnamespace AND p.proname ~ format('^_(capture|write|next)_%s_', p_table.table_id)
    LOOP
        EXECUTE format('DROP FUNCTION %s', v_routine);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._drop_stand_in(pggit.tables) IS
'Forgets a table that no branch and no readable commit has: what stood in for it on main, its stores, functions and columns.';

CREATE OR REPLACE FUNCTION pggit._collect_stand_ins(p_dry_run boolean)
    RETURNS TABLE (object text, rows bigint, bytes bigint, reason text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table pggit.tables;
BEGIN
    FOR v_table IN SELECT t.* FROM pggit._left_stand_ins() AS t LOOP
        object := format('%I.%I', v_table.schema_name, v_table.table_name);
        rows   := 1;
        bytes  := 0;
        reason := 'a table that nothing has any more that can be read';
        BEGIN
            IF NOT p_dry_run THEN
                PERFORM pggit._drop_stand_in(v_table);
            END IF;
        EXCEPTION WHEN lock_not_available OR foreign_key_violation THEN
            rows   := 0;
            reason := 'left for the next run: others are changing the table';
        END;
        RETURN NEXT;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._collect_stand_ins(boolean) IS
'Drops what stands in for tables that main never had and nothing needs any more; one row a table.';
