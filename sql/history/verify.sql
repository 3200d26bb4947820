CREATE OR REPLACE FUNCTION pggit._without_names(p_content jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(c.value #- '{tracked,columns}' #- '{reshaped,columns}' ORDER BY c.value #- '{tracked,columns}' #- '{reshaped,columns}'), '[]')
              FROM jsonb_each(p_content) AS c);
END;
$$;

COMMENT ON FUNCTION pggit._without_names(jsonb) IS
'What a commit says, without the names of tables and columns: they may have been renamed since. The commit''s id covers the names.';

CREATE OR REPLACE FUNCTION pggit.verify()
    RETURNS TABLE (check_name text, object text, problem text)
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET standard_conforming_strings = on SET quote_all_identifiers = off SET row_security = off
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_commit pggit.commits;
    v_table  record;
    v_digest text;
BEGIN
    PERFORM pggit._follow_changed();
    PERFORM pggit._hold_commits();
    check_name := 'commit id';
    FOR v_commit IN SELECT c.* FROM pggit.commits AS c ORDER BY c.commit_no LOOP
        object := v_commit.commit_id;
        IF v_commit.commit_id <> pggit._commit_id(v_commit.parents, v_commit.content, v_commit.author, v_commit.message, v_commit.committed_at) THEN
            problem := 'what is stored of the commit does not give its id';
            RETURN NEXT;
        END IF;
    END LOOP;

    RETURN QUERY SELECT * FROM pggit._verify_schema();

    -- What a commit changed, worked out again from the logs and the present rows.
    check_name := 'commit content';
    FOR v_commit IN SELECT c.* FROM pggit.commits AS c WHERE c.collected_at IS NULL ORDER BY c.commit_no LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pggit.tables AS t
                               WHERE (NOT t.untracked_at IS NULL AND v_commit.content ? format('%I.%I', t.schema_name, t.table_name))
                                  OR (t.untracked_at IS NULL AND pggit._presence(t, v_commit.at) = 'gap')
                                  OR (NOT pggit._mark_in(t.relabelled_at, pggit._base_mark(v_commit.at)) AND v_commit.content ? format('%I.%I', t.schema_name, t.table_name))
                                  -- Lost only after the commit, which still had the rows to compare with.
                                  OR (t.untracked_at IS NULL AND pggit._presence(t, v_commit.at) = 'present' AND (pggit._presence(t, v_commit.since) = 'gap' OR NOT pggit._is_comparable(t, v_commit.since, v_commit.at))
                                      AND NOT coalesce(v_commit.content #> ARRAY[format('%I.%I', t.schema_name, t.table_name), 'reshaped'] ? 'rows', false)));
        object := v_commit.commit_id;
        IF pggit._without_names(v_commit.content - 'schema') <> pggit._without_names(pggit._content(v_commit.since, v_commit.at)) THEN
            problem := 'the history no longer gives the changes that were committed';
            RETURN NEXT;
        END IF;
    END LOOP;

    -- All history undone must give the rows that the table had when tracking began, or up to where gc has collapsed the history: finds writes that no trigger saw.
    check_name := 'table rows';
    FOR v_table IN
        SELECT t.table_id, t.schema_name, t.table_name, b.position, b.digest, b.moment
          FROM pggit.tables AS t
          LEFT JOIN pggit.collected_tables AS c ON c.table_id = t.table_id
         CROSS JOIN LATERAL (SELECT (1, m.at, m.at)::pggit._position AS position, m.digest, m.moment
                               FROM (VALUES (t.tracked_at, t.digest, 'when tracking began', c.table_id IS NULL AND t.relabelled_at IS NULL AND pggit._presence(t, (1, t.tracked_at, t.tracked_at)::pggit._position) = 'present'),
                                            (c.at, c.digest, 'where pggit.gc collapsed its history', c.table_id IS NOT NULL AND pggit._presence(t, (1, c.at, c.at)::pggit._position) = 'present' AND (t.relabelled_at IS NULL OR pggit._mark_in(t.relabelled_at, c.at)))) AS m(at, digest, moment, applies)
                              WHERE m.applies) AS b
         WHERE t.untracked_at IS NULL
         ORDER BY t.schema_name, t.table_name
    LOOP
        SELECT d.digest INTO v_digest FROM pggit._table_digest(v_table.table_id, v_table.position) AS d;
        IF v_digest <> v_table.digest OR (pggit._is_keyless(v_table.table_id) AND pggit._owes_rows(v_table.table_id, v_table.position)) THEN
            object  := format('%I.%I', v_table.schema_name, v_table.table_name);
            problem := format('rows and history together do not give the rows the table had %s', v_table.moment);
            RETURN NEXT;
        END IF;
    END LOOP;

    check_name := 'branch rows';
    FOR v_table IN
        SELECT t.table_id, b.branch_id, t.schema_name, t.table_name, b.name
          FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) JOIN pggit.branches AS b USING (branch_id) JOIN pggit.branch_bases AS s USING (branch_id)
         WHERE t.untracked_at IS NULL AND pggit._is_keyless(t.table_id) AND pggit._presence(t, (1, s.s, s.s)::pggit._position) = 'present'
         ORDER BY t.schema_name, t.table_name, b.name
    LOOP
        IF pggit._branch_differs(v_table.table_id, v_table.branch_id) THEN
            object  := format('%I.%I', v_table.schema_name, v_table.table_name);
            problem := format('the rows on branch %L are not those that its history gives', v_table.name);
            RETURN NEXT;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit.verify() IS
'Checks the whole repository and returns what is wrong; no row means all is well.
commit id: every commit''s id follows from what is stored of it. schema definition, schema tree, commit schema: the stored
schemas are what their hashes say, and give the changes each commit recorded. commit content: the logs still give the changes each commit recorded. table rows: undoing all history gives the
rows the table had when tracking began, which fails when rows or history were changed past the triggers. branch rows: a table without a primary key has
the rows on each branch that the branch''s history gives. Where columns were dropped or retyped and what they held was not saved, the history
before that is left out, and so is that of tables with types of the user''s where a label of an enum was renamed, or an attribute of a composite type added or dropped: all values then are as if it had always been so. Reads everything; repeatable, changes nothing.';
