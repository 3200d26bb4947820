CREATE OR REPLACE FUNCTION pggit._merge_options(p_kind text)
    RETURNS text[]
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT ARRAY['on_conflict', 'resolutions', 'rules', 'checks', 'checks_as', 'approved_plan', 'approved_by', 'fill', 'validate']
           || CASE p_kind WHEN 'merge' THEN ARRAY['fast_forward', 'squash'] WHEN 'revert' THEN ARRAY['parent', 'since'] ELSE ARRAY['parent'] END;
$$;

COMMENT ON FUNCTION pggit._merge_options(text) IS
'The options that a merge, a revert or a cherry-pick knows.';

CREATE OR REPLACE FUNCTION pggit._option_as_in_git(p_kind text, p_name text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN v.name IN ('strategy', 'strategy_option', 'ours', 'theirs') THEN 'For Git''s --strategy-option it is {"on_conflict": "ours"}, or theirs. '
                WHEN v.name = 'abort' THEN 'SELECT pggit.abort_merge(merge_id); does that. '
                WHEN v.name = 'continue' THEN 'SELECT pggit.continue_merge(merge_id); does that. '
                WHEN p_kind = 'merge' AND v.name IN ('no_ff', 'ff') THEN 'For Git''s --no-ff it is {"fast_forward": "never"}. '
                WHEN p_kind = 'merge' AND v.name = 'ff_only' THEN 'For Git''s --ff-only it is {"fast_forward": "only"}. '
                WHEN p_kind = 'merge' AND v.name IN ('m', 'message') THEN 'The message of a merge is its third argument, p_message. '
                WHEN p_kind = 'merge' AND v.name IN ('dry_run', 'no_commit', 'plan') THEN 'pggit.plan_merge says what a merge would do, and writes nothing. '
                WHEN v.name IN ('dry_run', 'no_commit', 'plan') THEN 'With {"approved_plan": null} nothing is written, and the result says what would be. '
                WHEN p_kind <> 'merge' AND v.name IN ('m', 'mainline') THEN 'For Git''s --mainline it is {"parent": 1}. ' END
      FROM (SELECT lower(replace(ltrim(p_name, '-'), '-', '_'))) AS v(name);
$$;

COMMENT ON FUNCTION pggit._option_as_in_git(text, text) IS
'How what Git''s merge, revert and cherry-pick have as an option is asked for here, in words; NULL for any other.';

CREATE OR REPLACE FUNCTION pggit._require_merge_message(p_message text, p_options jsonb)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_object jsonb;
BEGIN
    IF btrim(p_message) = '' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'the message of a merge is not empty',
            HINT    = 'NULL stands for "Merge source into target".';
    END IF;
    IF p_message ~ E'^\\s*\\{.*\\}\\s*$' AND coalesce(p_options, '{}') = '{}' THEN
        BEGIN
            v_object := p_message;
        EXCEPTION WHEN data_exception THEN
            RETURN;
        END;
        IF v_object ?| pggit._merge_options('merge') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG202', SCHEMA = 'pggit',
                MESSAGE = 'the options of a merge are given as its message',
                HINT    = format('The message comes before them: pggit.merge(…, p_options => %L).', p_message);
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_merge_message(text, jsonb) IS
'Raises VG202 for a message of a merge that is empty, or that is its options.';

CREATE OR REPLACE FUNCTION pggit._names_column(p_name text, p_schema text, p_table text, p_column text)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT EXISTS (SELECT FROM (VALUES (p_table), (quote_ident(p_table)), (p_schema || '.' || p_table), (format('%I.%I', p_schema, p_table))) AS t(name), (VALUES (p_column), (quote_ident(p_column))) AS c(name)
                    WHERE p_name = t.name || '.' || c.name);
$$;

COMMENT ON FUNCTION pggit._names_column(text, text, text, text) IS
'Whether a text is a column as option fill names it: table.column or schema.table.column, quoted as in SQL or as they are.';

CREATE OR REPLACE FUNCTION pggit._require_fill(p_fill jsonb)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_name text;
BEGIN
    FOR v_name IN
        WITH tables AS (
            SELECT t.table_id, t.schema_name, t.table_name FROM pggit.tables AS t
            UNION
            SELECT t.table_id, t.schema_name, c.relname FROM pggit.tables AS t JOIN pggit.branch_tables AS b USING (table_id) JOIN pg_class AS c ON c.oid = b.relation
        ), columns AS (
            SELECT c.table_id, c.name FROM pggit.columns AS c
            UNION SELECT c.table_id, c.name FROM pggit.branch_columns AS c
            -- A branch shows main's columns by the names that they had when it began.
            UNION SELECT b.table_id, a.attname FROM pggit.branch_tables AS b JOIN pg_attribute AS a ON a.attrelid = b.relation WHERE a.attnum > 0 AND NOT a.attisdropped
        )
        SELECT f.name FROM jsonb_object_keys(p_fill) AS f(name)
         WHERE NOT EXISTS (SELECT FROM tables AS t JOIN columns AS c USING (table_id) WHERE pggit._names_column(f.name, t.schema_name, t.table_name, c.name))
         ORDER BY 1 LIMIT 1
    LOOP
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('option fill: no tracked table has a column %L, on any branch', v_name),
            HINT    = pggit._near_names(v_name, ARRAY(SELECT format(CASE WHEN v_name LIKE '%.%.%' THEN '%1$I.%2$I.%3$I' ELSE '%2$I.%3$I' END, t.schema_name, t.table_name, c.name)
                                                        FROM pggit.tables AS t JOIN (SELECT c.table_id, c.name FROM pggit.columns AS c UNION SELECT b.table_id, b.name FROM pggit.branch_columns AS b) AS c USING (table_id)
                                                       WHERE t.untracked_at IS NULL))
                      || 'fill is an object of SQL expressions by column, as {"orders.cents": "round(total * 100)"}.';
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._require_fill(jsonb) IS
'Raises VG202 where option fill names a column that no tracked table has or had, on main or on a branch.';

CREATE OR REPLACE FUNCTION pggit._check_options(p_kind text, p_options jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_known text[] := pggit._merge_options(p_kind);
    v_name  text;
BEGIN
    IF jsonb_typeof(coalesce(p_options, '{}')) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = format('merge options are a JSON object, not %s', left(p_options::text, 100)),
            HINT = format('p_options => ''{"on_conflict": "ours"}'' is one. Options: %s.', array_to_string(v_known, ', '));
    END IF;
    FOR v_name IN SELECT jsonb_object_keys(p_options) LOOP
        IF v_name <> ALL (v_known) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG202', SCHEMA = 'pggit',
                MESSAGE = format('there is no %s option %L', replace(p_kind, '_', ' '), v_name),
                HINT    = coalesce(pggit._option_as_in_git(p_kind, v_name), pggit._near_names(v_name, v_known)) || format('Options: %s.', array_to_string(v_known, ', '));
        END IF;
    END LOOP;
    IF coalesce(p_options ->> 'on_conflict', 'stop') NOT IN ('stop', 'ours', 'theirs') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('on_conflict is %L, but must be stop, ours or theirs', p_options ->> 'on_conflict'),
            HINT    = 'stop leaves conflicts for pggit.resolve_conflict; ours and theirs decide them all by one side.';
    END IF;
    IF coalesce(p_options ->> 'fast_forward', 'auto') NOT IN ('auto', 'never', 'only') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('fast_forward is %L, but must be auto, never or only', p_options ->> 'fast_forward'),
            HINT    = 'auto makes a commit where both sides have some; never makes one always; only refuses where it would be needed.';
    END IF;
    IF coalesce(p_options ->> 'checks_as', 'caller') NOT IN ('caller', 'nobody') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('checks_as is %L, but must be caller or nobody', p_options ->> 'checks_as'),
            HINT    = 'caller runs checks with the rights of whoever merges, nobody as a role that may read the target and nothing else.';
    END IF;
    IF coalesce(p_options ->> 'validate', 'now') NOT IN ('now', 'later') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('validate is %L, but must be now or later', p_options ->> 'validate'),
            HINT    = 'later leaves checks and foreign keys that come to main to be validated afterwards, by the statements in detail.finish.';
    END IF;
    IF jsonb_typeof(coalesce(p_options -> 'squash', 'false')) <> 'boolean' THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = format('squash is %s, but must be true or false', p_options -> 'squash'), HINT = 'true and false are written without quotes: {"squash": true}.';
    END IF;
    IF jsonb_typeof(coalesce(p_options -> 'fill', '{}')) <> 'object' OR EXISTS (SELECT FROM jsonb_each(p_options -> 'fill') AS f WHERE jsonb_typeof(f.value) <> 'string') THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = 'fill is an object of SQL expressions by column, as {"orders.cents": "round(total * 100)"}';
    END IF;
    FOREACH v_name IN ARRAY ARRAY['resolutions', 'rules', 'checks'] LOOP
        IF jsonb_typeof(coalesce(p_options -> v_name, '[]')) <> 'array' THEN
            RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = format('%s must be an array', v_name),
                HINT = format('Also one is in brackets: {%s: [{…}]}.', to_json(v_name));
        END IF;
    END LOOP;
    -- What names columns is about those that there are now.
    PERFORM pggit._follow_unseen() WHERE p_options ?| '{rules,fill}';
    PERFORM pggit._check_rule(r.value) FROM jsonb_array_elements(coalesce(p_options -> 'rules', '[]')) AS r(value);
    -- What a revert or a cherry-pick brings back may have a name that nothing has now.
    PERFORM pggit._require_fill(p_options -> 'fill') WHERE p_kind = 'merge' AND p_options ? 'fill';
    PERFORM pggit._require_resolution(r.value) FROM jsonb_array_elements(coalesce(p_options -> 'resolutions', '[]')) AS r(value);
    PERFORM pggit._require_one_choice(coalesce(p_options -> 'resolutions', '[]'));
    PERFORM pggit._require_check(c.value) FROM jsonb_array_elements(coalesce(p_options -> 'checks', '[]')) AS c(value);
    IF p_options ? 'approved_plan' AND jsonb_typeof(p_options -> 'approved_plan') NOT IN ('string', 'null') THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = 'approved_plan is the plan_hash that was approved, or null as long as none is';
    END IF;
    IF p_options ? 'approved_by' AND NOT (p_options ? 'approved_plan' AND jsonb_typeof(p_options -> 'approved_by') = 'string') THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = 'approved_by is who approved, a text beside approved_plan';
    END IF;
    IF p_options ? 'parent' AND (p_options ->> 'parent') !~ '^[1-9][0-9]{0,5}$' THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = 'parent is the number of a parent of the commit, from 1';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._check_options(text, jsonb) IS
'Raises VG202 for merge options that make no sense.';

CREATE OR REPLACE FUNCTION pggit._later(p_a pggit._mark, p_b pggit._mark)
    RETURNS pggit._mark
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN (pg_snapshot_xmax((p_b).snapshot), (p_b).watermark) > (pg_snapshot_xmax((p_a).snapshot), (p_a).watermark) THEN p_b ELSE p_a END;
$$;

COMMENT ON FUNCTION pggit._later(pggit._mark, pggit._mark) IS
'The later of two marks of main. Any mark is right as a branch''s base; the later one keeps what the branch owns small.';

CREATE OR REPLACE FUNCTION pggit._why_not_tracked(p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT format('table %I.%I is on branch %L but is no longer tracked on main', t.schema_name, t.table_name, b.name)
              FROM pggit.branch_tables AS bt JOIN pggit.tables AS t USING (table_id) JOIN pggit.branches AS b USING (branch_id)
             WHERE bt.branch_id = p_branch_id AND t.untracked_at IS NOT NULL
             ORDER BY t.schema_name, t.table_name LIMIT 1);
END;
$$;

COMMENT ON FUNCTION pggit._why_not_tracked(integer) IS
'Names a table that a branch shows and main has no more, or has with another key: what the branch writes of it is in no commit. NULL when there is none.';

CREATE OR REPLACE FUNCTION pggit._why_not_mergeable(p_source_id integer, p_target_id integer, p_base pggit._position, p_ours pggit._position, p_theirs pggit._position)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_table    pggit.tables;
    v_presence text[];
BEGIN
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.untracked_at IS NULL ORDER BY t.schema_name, t.table_name LOOP
        v_presence := ARRAY[pggit._presence(v_table, p_base), pggit._presence(v_table, p_ours), pggit._presence(v_table, p_theirs)];
        IF 'gap' = ANY (v_presence)
              OR ('absent' <> ALL (v_presence) AND NOT (pggit._is_comparable(v_table, p_base, p_ours) AND pggit._is_comparable(v_table, p_base, p_theirs))) THEN
            RETURN format('rows that table %I.%I had after these branches parted were lost before they were saved, so that nobody can tell what either changed',
                          v_table.schema_name, v_table.table_name);
        ELSIF pggit._is_away(v_table.table_id, p_base) OR pggit._is_away(v_table.table_id, p_ours) OR pggit._is_away(v_table.table_id, p_theirs) THEN
            CONTINUE;  -- pggit._table_steps has seen to it
        ELSIF v_presence = '{present,present,absent}' THEN
            RETURN format('table %I.%I was not under version control there yet, so going back there does not take it away; DROP TABLE it, if it is to go, and ask again', v_table.schema_name, v_table.table_name);
        ELSIF v_presence[3] = 'present' AND 'absent' = ANY (v_presence) THEN
            RETURN format('table %I.%I came under version control after these branches parted; merging a new table is not supported in this version',
                          v_table.schema_name, v_table.table_name);
        END IF;
    END LOOP;

    RETURN coalesce(pggit._why_not_tracked(p_source_id), pggit._why_not_tracked(p_target_id));
END;
$$;

COMMENT ON FUNCTION pggit._why_not_mergeable(integer, integer, pggit._position, pggit._position, pggit._position) IS
'Why the tables of the three states can''t be merged, or NULL when they can.';

CREATE OR REPLACE FUNCTION pggit._settle_conflicts(p_merge pggit.merges, p_kept jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_hit record;
BEGIN
    FOR v_hit IN SELECT c.conflict_id, c.resolution FROM pggit._choices(p_merge.merge_id, p_merge.options -> 'resolutions', p_merge.outcome IS NULL) AS c LOOP
        -- What has been decided since the merge was begun is the later word.
        CONTINUE WHEN p_kept @> jsonb_build_array(jsonb_build_object('id', v_hit.conflict_id));
        PERFORM pggit._set_resolution(p_merge.merge_id, v_hit.conflict_id, v_hit.resolution ->> 'take', v_hit.resolution -> 'value');
    END LOOP;

    IF p_merge.options ->> 'on_conflict' IN ('ours', 'theirs') THEN
        UPDATE pggit.conflicts AS c
           SET resolution = p_merge.options ->> 'on_conflict', resolved_by = pggit._actor(), resolved_at = now()
         WHERE c.merge_id = p_merge.merge_id AND c.resolution IS NULL;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._settle_conflicts(pggit.merges, jsonb) IS
'Resolves a plan''s conflicts by the options resolutions (pggit._choices) and on_conflict, but for those that were decided before (p_kept: pggit._kept_resolutions). Raises VG007 in the first plan
of a merge, VG204.';

CREATE OR REPLACE FUNCTION pggit._undecided_schema(p_merge_id uuid)
    RETURNS integer
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT count(*)::integer FROM pggit.schema_conflicts AS c WHERE c.merge_id = p_merge_id AND c.resolution IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._undecided_schema(uuid) IS
'Number of a merge''s conflicts of definitions that nobody has decided.';

CREATE OR REPLACE FUNCTION pggit._undecided(p_merge_id uuid)
    RETURNS bigint
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT count(*) FROM pggit.conflicts AS c WHERE c.merge_id = p_merge_id AND c.resolution IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._undecided(uuid) IS
'Number of a merge''s conflicts that nobody has decided.';

CREATE OR REPLACE FUNCTION pggit._open_conflicts(p_merge_id uuid)
    RETURNS integer
    LANGUAGE sql STABLE
AS $$
    SELECT pggit._undecided(p_merge_id)::integer + pggit._undecided_schema(p_merge_id);
$$;

COMMENT ON FUNCTION pggit._open_conflicts(uuid) IS
'Number of a merge''s conflicts, of rows and of definitions, that nobody has decided.';

CREATE OR REPLACE FUNCTION pggit._result(p_merge_id uuid, p_result text, p_detail jsonb DEFAULT '{}')
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_result pggit.merge_result;
BEGIN
    v_result.merge_id         := p_merge_id;
    v_result.result           := p_result;
    v_result.rows_inserted    := 0;
    v_result.rows_updated     := 0;
    v_result.rows_deleted     := 0;
    v_result.schema_changes   := 0;
    v_result.conflicts        := pggit._undecided(p_merge_id);
    v_result.schema_conflicts := pggit._undecided_schema(p_merge_id);
    v_result.violations       := (SELECT count(*) FROM pggit.violations AS v WHERE v.merge_id = p_merge_id);
    v_result.detail           := p_detail;
    RETURN v_result;
END;
$$;

COMMENT ON FUNCTION pggit._result(uuid, text, jsonb) IS
'A merge result with the counts of conflicts (open ones) and violations recorded for the merge, and no rows.';

CREATE OR REPLACE FUNCTION pggit._with_violations(p_result pggit.merge_result)
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
BEGIN
    p_result.result     := 'refused';
    p_result.violations := (SELECT count(*) FROM pggit.violations AS v WHERE v.merge_id = p_result.merge_id);
    p_result.detail     := p_result.detail || jsonb_build_object('reason', format('the merged state would violate constraints in %s places (pggit.merge_violations)', p_result.violations));
    RETURN p_result;
END;
$$;

COMMENT ON FUNCTION pggit._with_violations(pggit.merge_result) IS
'The result of a merge that is refused for the violations recorded for it.';

CREATE OR REPLACE FUNCTION pggit._kept_resolutions(p_merge pggit.merges)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(p_merge.options -> 'kept', '[]')
                   || coalesce(jsonb_agg(jsonb_build_object('id', c.conflict_id, 'take', c.resolution, 'by', c.resolved_by, 'at', c.resolved_at)
                                         || CASE WHEN c.resolved_value IS NULL THEN '{}' ELSE jsonb_build_object('value', c.resolved_value) END), '[]')
              FROM pggit.conflicts AS c
             WHERE c.merge_id = p_merge.merge_id AND c.resolution IS NOT NULL AND c.rule IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._kept_resolutions(pggit.merges) IS
'What people have decided in a merge so far, for the next plan: array of {id, take, value, by, at}.';

CREATE OR REPLACE FUNCTION pggit._kept_schema(p_merge pggit.merges)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(p_merge.options -> 'kept_schema', '[]')
                   || coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('conflict_id', c.conflict_id, 'take', c.resolution, 'value', c.resolved_value))), '[]')
              FROM pggit.schema_conflicts AS c
             WHERE c.merge_id = p_merge.merge_id AND c.resolution IS NOT NULL);
END;
$$;

COMMENT ON FUNCTION pggit._kept_schema(pggit.merges) IS
'The same of conflicts of definitions: array of {conflict_id, take, value}.';

CREATE OR REPLACE FUNCTION pggit._changed_by_both(p_table_id integer, p_base text, p_ours pggit._position, INOUT p_keys text, INOUT p_number bigint)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_base pggit._position := (pggit._ref(p_base)).at;
    v_ours text            := pggit._candidates_sql(p_table_id, v_base, p_ours);
BEGIN
    IF p_number <= 100 THEN
        RETURN;
    ELSIF (v_base).branch_id = 1 AND (p_ours).branch_id = 1 AND NOT pggit._is_away(p_table_id, v_base) AND NOT pggit._is_away(p_table_id, p_ours) AND NOT pggit._meets_rows_unlogged(p_table_id, v_base, p_ours) THEN
        -- The planner knows whether to look up each key in main's log or to read it.
        p_keys := format('SELECT t.* FROM (%s) AS t WHERE EXISTS (SELECT FROM pggit._log_%s AS l WHERE %s AND %s)',
                         p_keys, p_table_id, pggit._same_key(p_table_id, 'l', 't'), pggit._between_sql('l', (v_base).x, (p_ours).x));
    ELSE
        -- Where ours has changed much more than theirs, its changes are not all read: what is looked up for each key tells as well.
        p_number := pggit._how_many(p_keys, 10000000);
        IF pggit._how_many(v_ours, 4 * p_number + 1) > 4 * p_number THEN
            RETURN;
        END IF;
        p_keys := format('SELECT * FROM (%s) AS t INTERSECT %s', p_keys, v_ours);
    END IF;
    PERFORM pggit._drop_temporary(format('pg_temp.pggit_keys_%s', p_table_id));
    EXECUTE format('CREATE TEMPORARY TABLE pggit_keys_%s ON COMMIT DROP AS %s', p_table_id, p_keys);
    GET DIAGNOSTICS p_number = ROW_COUNT;
    p_keys := format('SELECT k.* FROM pg_temp.pggit_keys_%s AS k', p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._changed_by_both(integer, text, pggit._position, INOUT text, INOUT bigint) IS
'Of a query of the keys that theirs may have changed since a base, and of their number, counted up to 101: a superset of those that ours has changed, too, where they are more than 100. No other can be in conflict.';

CREATE OR REPLACE FUNCTION pggit._index_plan(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET default_statistics_target = 10  -- a sample of 3,000 rows: their number, and that the key is one, is all that is asked
AS $$
DECLARE
    v_key text := pggit._key_columns(p_table_id);
BEGIN
    IF v_key IS NOT NULL THEN
        EXECUTE format('CREATE INDEX ON pg_temp.pggit_plan_%s (%s)', p_table_id, v_key);
    END IF;
    -- Of the whole rows in it no statistics are of use, and they would cost the most.
    EXECUTE format('ANALYZE pg_temp.pggit_plan_%s (%s, action)', p_table_id, coalesce(v_key, 'at'));
END;
$$;

COMMENT ON FUNCTION pggit._index_plan(integer) IS
'Makes a table''s plan ready to be looked up by key.';

CREATE OR REPLACE FUNCTION pggit._plan(p_merge pggit.merges, p_bases text[], p_before pggit._position, p_ours pggit._position, p_theirs pggit._position, p_detect boolean DEFAULT false)
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table   pggit.tables;
    v_base    pggit._position;
    v_tables  integer[] := '{}';
    v_result  pggit.merge_result;
    v_kept    jsonb;
    v_keys    text;
    v_number  bigint;
    v_changes record;
    v_per     jsonb := '{}';
    v_content jsonb := '{}';
    v_at      pggit._position := CASE WHEN p_merge.target_id = 1 THEN p_ours ELSE pggit._target() END;
    v_before  pggit.conflicts[] := ARRAY(SELECT c FROM pggit.conflicts AS c WHERE c.merge_id = p_merge.merge_id);
    v_doubles jsonb;
    v_why_not text;
    v_missing record;
    v_by_both boolean;
    v_idle    oid[];
    v_reshaped integer[] := ARRAY(SELECT DISTINCT m.table_id FROM pg_temp.pggit_merged_columns AS m);
    -- By number: a branch that is made again under the name of another is not the one that was approved.
    v_effects text  := format(E'into branch %s\n', p_merge.target_id);
BEGIN
    v_kept := pggit._kept_resolutions(p_merge);
    DELETE FROM pggit.conflicts AS c WHERE c.merge_id = p_merge.merge_id;
    DELETE FROM pggit.violations AS v WHERE v.merge_id = p_merge.merge_id;
    PERFORM pggit._begin_unfit() WHERE v_reshaped <> '{}';

    FOR v_table IN SELECT t.* FROM pggit._tables_at(p_theirs) AS t LOOP
        CONTINUE WHEN pggit._stays_dropped(v_table.table_id, p_merge.target_id, p_ours);
        PERFORM pggit._mind_waiters();
        IF v_table.table_id = ANY (v_reshaped) AND pggit._is_keyless(v_table.table_id) THEN
            v_tables := v_tables || v_table.table_id;
            PERFORM pggit._plan_keyless_columns(p_merge, v_table, p_bases, p_before, p_ours, p_theirs);
            CONTINUE;
        END IF;
        SELECT string_agg(pggit._candidates_sql(v_table.table_id, (pggit._ref(b.id)).at, p_theirs), ' UNION ') INTO v_keys FROM unnest(p_bases) AS b(id);
        v_keys := v_keys || pggit._keys_of_view_sql(v_table.table_id, p_ours) || pggit._given_keys_sql(v_table.table_id)
                  || CASE WHEN v_table.table_id = ANY (v_reshaped) THEN pggit._keys_of_filled_sql(v_table.table_id, p_ours, p_theirs) ELSE '' END;
        v_by_both := p_detect AND cardinality(p_bases) = 1 AND v_table.table_id <> ALL (v_reshaped) AND NOT pggit._is_keyless(v_table.table_id) AND pggit._given_keys_sql(v_table.table_id) = '';
        v_number  := pggit._how_many(v_keys, CASE WHEN v_by_both THEN 101 ELSE 10000000 END);
        CONTINUE WHEN v_number = 0;
        PERFORM pggit._refresh_statistics(v_table.table_id, b.id) FROM unnest(ARRAY[(p_ours).branch_id, (p_theirs).branch_id]) AS b(id);
        v_tables := v_tables || v_table.table_id;
        IF pggit._is_keyless(v_table.table_id) THEN
            PERFORM pggit._plan_keyless(v_table.table_id, p_bases, p_ours, p_theirs);
            CONTINUE;
        END IF;
        IF v_table.table_id <> ALL (v_reshaped) THEN
            IF v_by_both THEN
                SELECT b.p_keys, b.p_number INTO v_keys, v_number FROM pggit._changed_by_both(v_table.table_id, p_bases[1], p_ours, v_keys, v_number) AS b;
            END IF;
            PERFORM pggit._plan_rows(v_table.table_id, v_keys, v_number, p_bases, p_ours, p_theirs);
            PERFORM pggit._list_conflicts(p_merge.merge_id, v_table);
            CONTINUE;
        END IF;
        v_missing := pggit._missing_cells(v_table.table_id, p_ours, p_theirs);
        PERFORM pggit._plan_rows(v_table.table_id, v_keys, v_number, p_bases, p_ours, p_theirs, v_missing.base, v_missing.ours, v_missing.theirs);
        v_base := pggit._base_with_table(v_table, p_bases);
        PERFORM pggit._number_columns(v_table, v_base, p_before, p_ours);
        PERFORM pggit._fill_columns(p_merge, v_table, v_base, p_before, p_ours, p_theirs);
        PERFORM pggit._list_conflicts(p_merge.merge_id, v_table);
        PERFORM pggit._show_unfit(p_merge.merge_id, v_table, v_base, p_before, p_theirs);
    END LOOP;

    IF EXISTS (SELECT FROM pggit.conflicts AS c WHERE c.merge_id = p_merge.merge_id AND c.kind = 'insert_insert') THEN
        v_doubles := (SELECT jsonb_agg(to_jsonb(d)) FROM pggit._collisions(p_merge, v_kept) AS d);
    END IF;
    IF v_doubles IS NOT NULL THEN
        v_why_not := pggit._why_not_renumbered(p_merge, v_doubles, p_bases, p_ours, p_theirs);
        IF v_why_not IS NULL THEN
            DELETE FROM pggit.conflicts AS c WHERE c.merge_id = p_merge.merge_id;
            INSERT INTO pggit.conflicts SELECT (c).* FROM unnest(v_before) AS c;
            RETURN pggit._result(p_merge.merge_id, 'renumber', jsonb_build_object('drawn', pggit._drawn_keys(v_doubles)));
        END IF;
    END IF;
    PERFORM pggit._decide_by_rules(p_merge, d.table_id) FROM unnest(v_tables) AS d(table_id) WHERE NOT pggit._is_keyless(d.table_id);
    UPDATE pggit.conflicts AS c SET note = concat_ws('; ', c.note, 'renumber: ' || v_why_not)
      FROM jsonb_to_recordset(v_doubles) AS d(conflict_no integer)
     WHERE c.merge_id = p_merge.merge_id AND c.conflict_no = d.conflict_no AND c.resolution IS NULL;

    UPDATE pggit.conflicts AS c
       SET resolution = k.value ->> 'take', resolved_value = k.value -> 'value', resolved_by = k.value ->> 'by', resolved_at = (k.value ->> 'at')::timestamptz, rule = NULL
      FROM jsonb_array_elements(v_kept) AS k
     WHERE c.merge_id = p_merge.merge_id AND c.conflict_id = k.value ->> 'id';
    PERFORM pggit._settle_conflicts(p_merge, v_kept);
    PERFORM pggit._reopen_unfit(p_merge.merge_id) WHERE v_reshaped <> '{}';
    IF p_detect THEN
        RETURN pggit._result(p_merge.merge_id, 'planned');
    END IF;

    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.table_id = ANY (v_tables) ORDER BY t.schema_name, t.table_name LOOP
        PERFORM pggit._take_resolutions(p_merge.merge_id, v_table.table_id);
        PERFORM pggit._index_plan(v_table.table_id);
    END LOOP;
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.table_id = ANY (v_tables) ORDER BY t.schema_name, t.table_name LOOP
        v_table.relation := coalesce(pggit._relation_at(v_table.table_id, p_merge.target_id), v_table.relation);
        PERFORM pggit._mind_waiters();
        PERFORM pggit._check_rows(p_merge.merge_id, v_table);
        PERFORM pggit._check_unique(p_merge.merge_id, v_table, p_merge.target_id);
    END LOOP;
    PERFORM pggit._mind_waiters();
    v_idle := pggit._check_foreign_keys(p_merge.merge_id, v_tables, p_merge.target_id);

    v_result := pggit._result(p_merge.merge_id, 'planned');
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.table_id = ANY (v_tables) ORDER BY t.schema_name COLLATE "C", t.table_name COLLATE "C" LOOP
        SELECT s.* INTO v_changes FROM pggit._sum_up(v_table.table_id, v_at, v_at, pggit._planned_changes_sql(v_table.table_id)) AS s;
        v_result.rows_inserted := v_result.rows_inserted + v_changes.inserted;
        v_result.rows_updated  := v_result.rows_updated + v_changes.updated;
        v_result.rows_deleted  := v_result.rows_deleted + v_changes.deleted;
        v_content              := v_content || jsonb_build_object(v_table.table_id, to_jsonb(v_changes));
        IF v_changes.inserted + v_changes.updated + v_changes.deleted > 0 THEN
            v_effects := v_effects || format('%I.%I %s', v_table.schema_name, v_table.table_name, v_changes.digest) || E'\n';
            v_per     := v_per || jsonb_build_object(format('%I.%I', v_table.schema_name, v_table.table_name), to_jsonb(v_changes) - 'digest');
        END IF;
    END LOOP;
    SELECT v_effects || coalesce(string_agg(format('%s %s %s', c.conflict_id, c.resolution, c.resolved_value), E'\n' ORDER BY c.conflict_id), '') INTO v_effects
      FROM pggit.conflicts AS c WHERE c.merge_id = p_merge.merge_id;
    v_result.plan_hash := encode(sha256(convert_to(v_effects, 'UTF8')), 'hex');
    v_result.detail    := jsonb_build_object('tables', v_per, 'planned_tables', to_jsonb(v_tables), 'planned_content', v_content, 'idle_keys', to_jsonb(v_idle))
                          || coalesce((SELECT jsonb_build_object('decided_by_rules', jsonb_object_agg(d.rule, d.n))
                                         FROM (SELECT c.rule, count(*) AS n FROM pggit.conflicts AS c
                                                WHERE c.merge_id = p_merge.merge_id AND c.rule IS NOT NULL GROUP BY c.rule) AS d
                                       HAVING count(*) > 0), '{}');
    RETURN v_result;
END;
$$;

COMMENT ON FUNCTION pggit._plan(pggit.merges, text[], pggit._position, pggit._position, pggit._position, boolean) IS
'Works a merge out, from its base, or after criss-cross merges several: rows into temporary tables, conflicts and violations into their tables. Resolutions given before are kept where the same conflict is there again.
Where rows have to get new keys first, there is no plan yet and result is renumber.
The plan hash is made from what the merge will do to which branch and from its conflicts, not from the heads. p_before: ours before its columns were changed.
p_detect: only the conflicts are found, and settled as far as rules and options say: no constraint is checked, and nothing can be applied.';

CREATE OR REPLACE FUNCTION pggit._base_after(p_merge pggit.merges, p_ours pggit._position, p_theirs pggit._position)
    RETURNS pggit._mark
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN p_merge.kind IN ('revert', 'cherry_pick', 'unstash') THEN (p_ours).s ELSE pggit._later((p_ours).s, pggit._base_mark(p_theirs)) END;
$$;

COMMENT ON FUNCTION pggit._base_after(pggit.merges, pggit._position, pggit._position) IS
'Where a branch stands on main after a merge into it.';

CREATE OR REPLACE FUNCTION pggit._apply(p_merge pggit.merges, p_target pggit.branches, p_result pggit.merge_result, p_ours pggit._position, p_theirs pggit._position)
    RETURNS pggit._position
    LANGUAGE plpgsql
AS $$
DECLARE
    v_tables  integer[] := (SELECT coalesce(array_agg(e::integer), '{}') FROM jsonb_array_elements_text(p_result.detail -> 'planned_tables') AS e);
    v_replica text      := current_setting('session_replication_role');
    v_branch  text      := current_setting('pggit.branch', true);
    v_table   pggit.tables;
    v_held    jsonb       := '[]';
    v_s       pggit._mark;
    v_x       pggit._mark := (p_ours).x;
    v_start   bigint      := (SELECT o.last_value FROM pggit._ordinal AS o);
    v_rows    bigint;
    v_begun   timestamptz := clock_timestamp();
BEGIN
    PERFORM set_config('pggit.branch', '', true);
    IF pggit._may_replicate() THEN
        PERFORM set_config('session_replication_role', 'replica', true);
    END IF;

    IF p_target.branch_id = 1 THEN
        FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.table_id = ANY (v_tables) ORDER BY t.table_id LOOP
            IF current_setting('session_replication_role') <> 'replica' THEN
                PERFORM pggit._execute_soon(format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', pggit._base_relation(v_table.table_id)), v_begun);
            ELSIF pggit._has_deferred_keys(v_table.relation) THEN
                PERFORM pggit._hold_still(v_table.table_id, (p_ours).x);
            END IF;
        END LOOP;
        PERFORM pggit._lock_planned_rows(v_tables);
        v_held := pggit._let_fire(pggit._relations(ARRAY(SELECT t.table_id FROM pggit.tables AS t WHERE t.table_id = ANY (v_tables) AND t.fires)));
        IF current_setting('session_replication_role') <> 'replica' THEN
            v_held := v_held || pggit._hold_triggers(pggit._relations(ARRAY(SELECT t.table_id FROM pggit.tables AS t WHERE t.table_id = ANY (v_tables) AND NOT t.fires)));
            PERFORM pggit._write_together(v_tables, ARRAY(SELECT pggit._base_relation(u.e) FROM unnest(v_tables) WITH ORDINALITY AS u(e, n) ORDER BY u.n));
        END IF;
        FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.table_id = ANY (v_tables) ORDER BY t.table_id LOOP
            PERFORM pggit._mind_waiters();
            IF current_setting('session_replication_role') = 'replica' THEN
                PERFORM pggit._write_rows(v_table.table_id, pggit._base_relation(v_table.table_id));
            END IF;
            PERFORM pggit._pass_sequences(v_table.table_id, pggit._base_relation(v_table.table_id));
        END LOOP;
        PERFORM pggit._release_triggers(v_held);
        PERFORM pggit._mind_waiters();
        PERFORM pggit._recheck_foreign_keys(v_tables, ARRAY(SELECT k::oid FROM jsonb_array_elements_text(p_result.detail -> 'idle_keys') AS k));
        PERFORM pggit._require_periods(v_tables, 1);
        PERFORM pggit._require_as_planned(v_tables, v_start, p_result.detail -> 'planned_content');
        PERFORM pggit._require_untouched(v_tables, (p_ours).x);
    ELSE
        PERFORM pggit._record_transaction();  -- when it was, for refs by time
        v_s := pggit._base_after(p_merge, p_ours, p_theirs);
        FOR v_table IN SELECT t.* FROM pggit.tables AS t JOIN pggit.branch_tables AS bt USING (table_id) WHERE bt.branch_id = p_target.branch_id ORDER BY t.table_id LOOP
            PERFORM pggit._write_branch(v_table.table_id, p_target.branch_id, p_ours, v_s, v_table.table_id = ANY (v_tables));
        END LOOP;
        v_rows := (SELECT o.last_value FROM pggit._ordinal AS o);
        -- Branches draw main's numbers.
        PERFORM pggit._pass_sequences(t.table_id, t.relation::regclass::text) FROM pggit.tables AS t WHERE t.table_id = ANY (v_tables) AND t.on_main;
        PERFORM pggit._write_dense(p_target.branch_id);
        PERFORM pggit._require_branch_as_planned(p_target.branch_id, v_start, v_rows);
        IF v_s::text <> (p_ours).s::text THEN
            PERFORM pggit._rebase_views(p_target.branch_id, v_s);
        END IF;
        PERFORM pggit._tell_branch(bt.table_id, bt.branch_id) FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_target.branch_id AND pggit._is_told_anew(bt, (p_ours).s, v_s);
        PERFORM pggit._require_periods(v_tables, p_target.branch_id);
    END IF;

    IF pggit._may_replicate() THEN
        PERFORM set_config('session_replication_role', v_replica, true);
    END IF;
    PERFORM set_config('pggit.branch', coalesce(v_branch, ''), true);

    -- The plan's snapshot, never a fresh one: a writer that commits between plan and apply belongs to the next commit.
    v_x.own       := pggit._transaction_number();
    v_x.watermark := (SELECT o.last_value FROM pggit._ordinal AS o);
    RETURN (p_target.branch_id, v_x, CASE WHEN p_target.branch_id = 1 THEN v_x ELSE v_s END)::pggit._position;
END;
$$;

COMMENT ON FUNCTION pggit._apply(pggit.merges, pggit.branches, pggit.merge_result, pggit._position, pggit._position) IS
'Writes a plan into its target and returns the position that the merge commit stands for. No trigger of the user takes part, but as pggit.fire_triggers says. Raises VG402 and VG310.';

CREATE OR REPLACE FUNCTION pggit._origin(p_merge pggit.merges, p_head text, OUT bases text[], OUT theirs text)
    LANGUAGE sql STABLE
AS $$
    SELECT CASE p_merge.kind WHEN 'revert' THEN ARRAY[c.commit_id] WHEN 'reset' THEN ARRAY[p_head] ELSE ARRAY[p.parent] END,
           CASE p_merge.kind WHEN 'revert' THEN coalesce(p_merge.options ->> 'since', p.parent) ELSE c.commit_id END
      FROM pggit.commits AS c
     CROSS JOIN LATERAL (SELECT c.parents[coalesce((p_merge.options ->> 'parent')::integer, 1)] AS parent) AS p
     WHERE c.commit_id = p_merge.source_commit;
$$;

COMMENT ON FUNCTION pggit._origin(pggit.merges, text) IS
'What a revert, a cherry-pick or a reset is as a merge: base and theirs. A revert goes from the commit to its parent or to the earlier commit that option since names, a cherry-pick and what takes a stash back from the parent to the commit, a reset from the branch''s head to the commit.';

CREATE OR REPLACE FUNCTION pggit._their_side(p_merge pggit.merges, p_source pggit.branches, p_head text, p_is_committed boolean, OUT bases text[], OUT commit_id text, OUT at pggit._position)
    LANGUAGE plpgsql
AS $$
BEGIN
    IF p_merge.kind <> 'merge' THEN
        SELECT o.bases, o.theirs INTO bases, commit_id FROM pggit._origin(p_merge, p_head) AS o;
    ELSIF p_source.branch_id IS NOT NULL THEN
        commit_id := pggit._find_commit('HEAD', p_source.branch_id);
    ELSE
        commit_id := p_merge.source_commit;
    END IF;
    bases := coalesce(bases, pggit._merge_bases(pggit._find_commit('HEAD', p_merge.target_id), commit_id));
    at    := CASE WHEN p_source.branch_id IS NULL THEN (pggit._ref(commit_id)).at
                  WHEN p_is_committed THEN p_source.head_at ELSE pggit._working_position(p_source.branch_id) END;
END;
$$;

COMMENT ON FUNCTION pggit._their_side(pggit.merges, pggit.branches, text, boolean) IS
'What a merge takes its changes from: the commits they begin at, the commit they end at, and the position of that; p_is_committed: a source that is a branch (p_source, else without an id) has nothing pending.
p_head is the head of the target.';

CREATE OR REPLACE FUNCTION pggit._shut_out_writers(p_merge pggit.merges, p_source pggit.branches)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_begun  timestamptz;
    v_theirs record;
    v_table  pggit.tables;
BEGIN
    IF pggit._is_waited_for() THEN
        RETURN;
    END IF;
    v_theirs := pggit._their_side(p_merge, p_source, pggit._find_commit('HEAD', p_merge.target_id), false);
    v_begun  := clock_timestamp();
    FOR v_table IN SELECT t.* FROM pggit.tables AS t WHERE t.on_main AND t.untracked_at IS NULL ORDER BY t.table_id LOOP
        CONTINUE WHEN pggit._presence(v_table, v_theirs.at) <> 'present';
        IF EXISTS (SELECT FROM unnest(v_theirs.bases) AS b(id) WHERE pggit._how_many(pggit._candidates_sql(v_table.table_id, (pggit._ref(b.id)).at, v_theirs.at), 1) > 0) THEN
            PERFORM pggit._execute_soon(format('LOCK TABLE %s IN EXCLUSIVE MODE', pggit._base_rows(v_table.table_id)), v_begun);
        END IF;
    END LOOP;
EXCEPTION WHEN lock_not_available OR deadlock_detected OR undefined_table OR invalid_schema_name OR insufficient_privilege THEN
    NULL;
END;
$$;

COMMENT ON FUNCTION pggit._shut_out_writers(pggit.merges, pggit.branches) IS
'Locks the tables of main that a merge is going to write, all or none, before it looks at their rows: what writers there always were one step ahead can''t change any more. Before the branches'' rows, for a writer that holds
a table may want main''s. Reading goes on; SELECT … FOR UPDATE waits too, since whoever has a row so and then updates it would wait for this merge, which wants the row. Others that come meanwhile wait behind this no longer
than 0.9 seconds; where a table is not free by then, and where somebody waits for this transaction already and may have one, the merge goes on without.';

CREATE OR REPLACE FUNCTION pggit._is_pending(p_branch pggit.branches, p_at pggit._position)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (SELECT pggit._content(p_branch.head_at, p_at) <> '{}' OR pggit._schema_content(pggit._parent_tree(ARRAY[p_branch.head], t.tree), t.tree) <> '{}'
              FROM pggit._scan_schema(p_branch.branch_id, p_at) AS t(tree));
END;
$$;

COMMENT ON FUNCTION pggit._is_pending(pggit.branches, pggit._position) IS
'Whether a branch has changes of rows or of its schema that are not committed.';

CREATE OR REPLACE FUNCTION pggit._require_sides(p_merge pggit.merges)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_gone pggit.branches;
BEGIN
    SELECT b.* INTO v_gone FROM pggit.branches AS b WHERE b.branch_id IN (p_merge.source_id, p_merge.target_id) AND b.deleted_at IS NOT NULL ORDER BY b.branch_id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = CASE v_gone.branch_id WHEN p_merge.target_id THEN 'VG001' ELSE 'VG002' END, SCHEMA = 'pggit',
            MESSAGE = format('branch %L has been deleted since merge %s was begun', v_gone.name, p_merge.merge_id),
            HINT    = 'A branch that has this name now is another one. pggit.abort_merge drops the merge, and a new one can be begun.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_sides(pggit.merges) IS
'Raises VG001 when the branch that a merge goes into has been deleted, VG002 when the one that it comes from has: what has their names now are other branches.';

CREATE OR REPLACE FUNCTION pggit._attempt(p_merge_id uuid, p_apply boolean, p_rehearse boolean DEFAULT false, p_still text DEFAULT NULL, p_alone boolean DEFAULT false, p_drawn jsonb DEFAULT NULL, p_detect boolean DEFAULT false)
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
    SET lock_timeout = '900ms'
    SET jit = off  -- the planner takes these many small lookups for something worth compiling
AS $$
DECLARE
    v_merge     pggit.merges;
    v_source    pggit.branches;
    v_target    pggit.branches;
    v_theirs    pggit._position;
    v_ours      pggit._position;
    v_before    pggit._position;
    v_bases     text[];
    v_their_id  text;
    v_forward   boolean;
    v_after     pggit._position;
    v_reason    text;
    v_result    pggit.merge_result;
    v_mode      text;
    v_shape     integer;
    v_side      record;
    v_sides     record;
    v_merged    pggit._schema_object[];
    v_commands  text[];
    v_given     integer[];
    v_old       integer;
    v_schema    record;
    v_x         pggit._mark;
    v_steps     record;
    v_names     record;
    v_tables    record;
    v_planned   jsonb := '{}';
    v_tree      bigint;
    v_their_objects pggit._schema_object[];
    v_base_objects  pggit._schema_object[];
    v_settled   text[];
    v_finish    text[];
    v_finished  jsonb;
    v_written   integer[];
BEGIN
    -- The session's lock_timeout holds where it is the shorter one.
    PERFORM set_config('lock_timeout', least(pggit._short_wait(), nullif(extract(epoch FROM nullif(current_setting('pggit.merge_patience', true), '')::interval) * 1000, 0)::integer)::text, true);
    SELECT m.* INTO STRICT v_merge FROM pggit.merges AS m WHERE m.merge_id = p_merge_id;
    v_mode := coalesce(v_merge.options ->> 'fast_forward', 'auto');
    PERFORM pggit._require_sides(v_merge);
    SELECT b.* INTO v_source FROM pggit.branches AS b WHERE b.branch_id = v_merge.source_id;

    PERFORM pggit._shut_out_writers(v_merge, v_source) WHERE p_alone AND v_merge.target_id = 1;
    -- Two branches: always in the order of their numbers.
    PERFORM pggit._lock_branch(b.id) FROM (SELECT DISTINCT unnest(ARRAY[v_merge.target_id, v_source.branch_id]) AS id ORDER BY 1) AS b WHERE b.id IS NOT NULL;
    PERFORM pg_current_xact_id() WHERE p_apply;
    -- What needs no table of main held still, and no branch, is done before writers have to wait.
    PERFORM pggit._commit_pending(v_source.branch_id, format('pending changes of %s', v_source.name), p_at => pggit._working_position(v_source.branch_id))
      WHERE p_apply AND v_source.branch_id IS NOT NULL;
    PERFORM pggit._hold_branch_still(v_merge.target_id, p_apply) WHERE v_merge.target_id <> 1;
    PERFORM pggit._lock_tables(p_still::integer[]) WHERE p_still IS NOT NULL;
    -- The target is looked at once: what others commit to main from here on is in no commit yet and stays pending.
    v_ours := pggit._working_position(v_merge.target_id);
    IF p_apply THEN
        PERFORM pggit._commit_pending(v_merge.target_id, coalesce(CASE v_merge.kind WHEN 'reset' THEN v_merge.message END,
                                                                  'pending changes before a ' || replace(v_merge.kind, '_', ' ')), p_at => v_ours)
          WHERE v_merge.kind <> 'unstash';
    END IF;
    SELECT b.* INTO STRICT v_target FROM pggit.branches AS b WHERE b.branch_id = v_merge.target_id;

    IF v_merge.kind = 'unstash' AND NOT EXISTS (SELECT FROM pggit.stashes AS s WHERE s.commit_id = v_merge.source_commit) THEN
        RETURN pggit._result(p_merge_id, 'refused', jsonb_build_object('reason', 'the stash is gone: it has been taken back or dropped'));
    ELSIF v_source.branch_id IS NOT NULL THEN
        SELECT b.* INTO STRICT v_source FROM pggit.branches AS b WHERE b.branch_id = v_source.branch_id;
    END IF;
    v_side     := pggit._their_side(v_merge, v_source, v_target.head, p_apply);
    v_bases    := v_side.bases;
    v_their_id := v_side.commit_id;
    v_theirs   := v_side.at;
    UPDATE pggit.merges AS m
       SET source = coalesce(v_source.name, m.source), source_commit = CASE m.kind WHEN 'merge' THEN v_their_id ELSE m.source_commit END,
           target_commit = v_target.head, base_commit = v_bases[1]
     WHERE m.merge_id = p_merge_id
    RETURNING m.* INTO v_merge;
    IF v_merge.base_commit IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG206', SCHEMA = 'pggit',
            MESSAGE = format('%L and %L have no commit in common', v_merge.source, v_target.name);
    END IF;

    IF v_merge.kind = 'merge' AND v_merge.base_commit = v_their_id AND (p_apply OR v_source.branch_id IS NULL OR v_source.branch_id = v_target.branch_id
                                             OR NOT pggit._is_pending(v_source, v_theirs)) THEN
        v_reason := pggit._why_not_tracked(v_source.branch_id);
        IF v_reason IS NULL THEN
            DELETE FROM pggit.conflicts AS c WHERE c.merge_id = p_merge_id AND c.resolution IS NULL;
            DELETE FROM pggit.schema_conflicts AS c WHERE c.merge_id = p_merge_id AND c.resolution IS NULL;
            DELETE FROM pggit.violations AS v WHERE v.merge_id = p_merge_id;
        END IF;
        RETURN CASE WHEN v_reason IS NULL THEN pggit._result(p_merge_id, 'up_to_date')
                    ELSE pggit._result(p_merge_id, 'refused', jsonb_build_object('reason', v_reason, 'sqlstate', 'VG302')) END;
    END IF;
    v_forward := v_merge.kind = 'reset'
                 OR (v_merge.kind = 'merge' AND v_merge.base_commit = v_target.head AND NOT coalesce((v_merge.options ->> 'squash')::boolean, false)
                     AND v_mode <> 'never' AND (p_apply OR NOT pggit._is_pending(v_target, v_ours)));
    IF v_mode = 'only' AND NOT v_forward THEN
        RETURN pggit._result(p_merge_id, 'refused', jsonb_build_object('reason', format('branch %L has moved on, so this merge is no fast-forward, and fast-forward only is asked for', v_target.name)));
    END IF;

    IF p_drawn IS NOT NULL THEN
        PERFORM pggit._take_drawn_keys(pggit._branch_to_renumber(v_merge), p_drawn);
        RETURN pggit._attempt_renumbered(v_merge, pggit._branch_to_renumber(v_merge), p_apply, p_rehearse, p_still);
    END IF;

    IF NOT p_apply AND ((v_target.branch_id <> 1 AND EXISTS (SELECT FROM pggit._own_foreign_keys(v_target.branch_id))) OR (NOT p_detect AND jsonb_array_length(v_merge.options -> 'checks') > 0)) THEN
        RETURN pggit._result(p_merge_id, 'rehearse');
    END IF;
    PERFORM pggit._note_made(v_theirs) WHERE v_merge.kind <> 'merge' AND v_target.branch_id = 1;
    v_steps := pggit._table_steps(v_bases, v_ours, v_theirs, v_merge.kind = 'merge');
    v_names := pggit._rename_table_steps(v_bases, v_source.branch_id, v_their_id, v_target.branch_id);
    v_steps.steps := v_steps.steps || v_names.steps || pggit._type_steps(v_bases, v_source.branch_id, v_target.branch_id);
    v_steps.reason := coalesce(v_steps.reason, v_names.reason, CASE WHEN v_source.branch_id IS NULL AND v_target.branch_id = 1 THEN pggit._why_not_again(v_bases, v_their_id) END);
    IF v_steps.reason IS NOT NULL THEN
        RETURN pggit._result(p_merge_id, 'refused', jsonb_build_object('reason', v_steps.reason, 'sqlstate', 'VG302'));
    ELSIF v_steps.steps <> '[]' AND NOT p_apply THEN
        RETURN pggit._result(p_merge_id, 'rehearse');
    END IF;
    PERFORM pggit._begin_schema(p_merge_id);
    IF v_steps.steps <> '[]' THEN
        v_their_objects := ARRAY(SELECT o FROM pggit._tree_objects(pggit._their_tree(v_source.branch_id, v_their_id, v_theirs)) AS o);
        v_base_objects  := pggit._objects_of_base(v_bases);
        v_steps.steps   := pggit._decided_readers(p_merge_id, v_target.branch_id, v_steps.steps, v_base_objects, v_their_objects);
        IF pggit._undecided_schema(p_merge_id) > 0 THEN
            RETURN pggit._result(p_merge_id, CASE WHEN p_rehearse THEN 'planned' ELSE 'conflicted' END);
        END IF;
    END IF;
    v_tables := pggit._try_steps(v_steps.steps, v_ours, v_theirs, v_base_objects, v_their_objects);
    IF v_tables.refused IS NOT NULL THEN
        PERFORM pggit._keep_decided(p_merge_id);
        RETURN pggit._result(p_merge_id, 'refused', v_tables.refused);
    END IF;

    SELECT pggit._why_not_mergeable(v_source.branch_id, v_target.branch_id, (pggit._ref(b.id)).at, v_ours, v_theirs) AS reason INTO v_reason
      FROM unnest(v_bases) AS b(id) ORDER BY 1 NULLS LAST LIMIT 1;
    IF v_reason IS NOT NULL THEN
        PERFORM pggit._keep_decided(p_merge_id);
        RETURN pggit._result(p_merge_id, 'refused', jsonb_build_object('reason', v_reason, 'sqlstate', 'VG302'));
    END IF;

    v_given := pggit._find_given_keys(v_bases, v_target.head, v_their_id);
    IF v_merge.kind = 'merge' AND cardinality(v_given) > 0 THEN
        v_old := pggit._branch_with_old_keys(v_given, v_bases[1], v_ours, v_theirs);
        IF v_old IS NOT NULL THEN
            RETURN pggit._attempt_renumbered(v_merge, v_old, p_apply, p_rehearse, p_still);
        END IF;
    END IF;

    v_before := v_ours;
    PERFORM set_config('pggit.merge_target', '', true);
    IF v_target.branch_id <> 1 THEN
        PERFORM pggit._note_branch_columns(v_target.branch_id);
        PERFORM set_config('pggit.merge_target', (v_target.branch_id, NULL, pggit._base_after(v_merge, v_ours, v_theirs))::pggit._position::text, true);
    END IF;
    v_reason := pggit._plan_columns(v_merge, v_bases, v_ours, v_theirs, CASE WHEN v_source.branch_id IS NULL THEN v_their_id END);
    v_shape  := (SELECT count(*) FROM pg_temp.pggit_merged_columns AS m WHERE m.change <> 'none');
    IF v_reason IS NULL AND p_apply AND v_target.branch_id = 1 AND v_shape > 0 AND pggit._undecided_schema(p_merge_id) = 0 AND NOT pggit._is_held_still(pggit._reshaped_tables()) THEN
        -- What others have written since this attempt looked at main would count as it was before the columns were changed.
        RAISE EXCEPTION USING ERRCODE = 'VG402', SCHEMA = 'pggit', MESSAGE = 'tables have to be held still', DETAIL = pggit._reshaped_tables()::text;
    END IF;
    v_sides := pggit._schema_sides(v_bases, v_target.branch_id, v_source.branch_id, v_their_id, v_theirs, p_apply AND v_steps.steps = '[]', v_shape > 0);
    IF v_reason IS NOT NULL THEN
        RETURN pggit._result(p_merge_id, 'refused', jsonb_build_object('reason', v_reason, 'sqlstate', 'VG302'));
    ELSIF pggit._undecided_schema(p_merge_id) > 0 THEN
        RETURN pggit._result(p_merge_id, CASE WHEN p_apply THEN 'conflicted' ELSE 'planned' END);
    ELSIF v_shape > 0 OR (v_sides.base IS NOT NULL AND v_sides.theirs IS NOT NULL) THEN
        IF NOT p_apply THEN
            RETURN pggit._result(p_merge_id, 'rehearse');
        END IF;
        PERFORM set_config('pggit.merge_touched', 'on', true);
        v_schema := pggit._change_schema(v_merge, v_target, v_theirs, v_sides.base, v_sides.ours, v_sides.theirs);
        v_merged   := v_schema.merged;
        v_settled  := v_schema.settled;
        v_finish   := v_schema.finish;
        v_commands := ARRAY(SELECT jsonb_array_elements_text(v_schema.statements));
        v_shape    := v_shape + v_schema.changes;
        IF v_schema.reason IS NOT NULL THEN
            RETURN pggit._result(p_merge_id, 'refused', jsonb_strip_nulls(jsonb_build_object('reason', v_schema.reason, 'sqlstate', 'VG302', 'prepare', to_jsonb(nullif(v_schema.prepare, '{}')))));
        END IF;
        v_x           := (v_ours).x;
        v_x.own       := pggit._transaction_number();
        v_x.watermark := nextval('pggit._ordinal');
        v_ours        := (v_target.branch_id, v_x, CASE WHEN v_target.branch_id = 1 THEN v_x ELSE (v_ours).s END)::pggit._position;
    END IF;

    v_result := pggit._plan(v_merge, v_bases, v_before, v_ours, v_theirs, p_detect);
    IF v_result.result = 'renumber' AND (v_merged IS NOT NULL OR v_shape > 0) THEN
        RAISE EXCEPTION USING ERRCODE = 'VG402', SCHEMA = 'pggit', MESSAGE = 'rows have to get new keys before columns change', DETAIL = v_result.detail -> 'drawn';
    ELSIF v_result.result = 'renumber' THEN
        v_result                := pggit._attempt_renumbered(v_merge, pggit._branch_to_renumber(v_merge), p_apply, p_rehearse, p_still);
        v_result.schema_changes := v_result.schema_changes + jsonb_array_length(v_steps.steps);
        RETURN v_result;
    END IF;
    v_commands := v_tables.statements || coalesce(v_commands, '{}');
    IF v_commands <> '{}' OR v_merged IS NOT NULL THEN
        v_result.detail    := v_result.detail || jsonb_build_object('ddl', v_commands, 'code', pggit._code_in(v_merged, v_sides.ours, v_sides.base, v_settled));
        v_result.plan_hash := encode(sha256(convert_to(concat(v_result.plan_hash, v_commands, (SELECT string_agg(concat_ws(' ', m.object_type, m.object_name, m.hash), E'\n' ORDER BY m.object_type COLLATE "C", m.object_name COLLATE "C")
                                                                                                 FROM unnest(v_merged) AS m)), 'UTF8')), 'hex');
    END IF;
    IF v_finish <> '{}' THEN
        v_result.detail := v_result.detail || jsonb_build_object('finish', v_finish);
    END IF;
    v_result.schema_changes   := v_shape + jsonb_array_length(v_steps.steps);
    v_result.schema_conflicts := pggit._undecided_schema(p_merge_id);
    IF v_result.conflicts + v_result.schema_conflicts > 0 THEN
        v_result.result := CASE WHEN p_apply THEN 'conflicted' ELSE 'planned' END;
        RETURN v_result;
    ELSIF v_result.violations > 0 THEN
        v_result        := pggit._with_violations(v_result);
        v_result.result := CASE WHEN p_apply THEN 'refused' ELSE 'planned' END;
        RETURN v_result;
    ELSIF p_apply AND NOT p_rehearse AND (v_merge.options ? 'approved_plan' OR (v_target.is_protected AND v_merge.kind IN ('merge', 'revert', 'cherry_pick')))
          AND v_result.plan_hash IS DISTINCT FROM v_merge.options ->> 'approved_plan' THEN
        v_result.result := 'refused';
        v_result.detail := v_result.detail || jsonb_build_object('approved_plan', v_merge.options -> 'approved_plan', 'reason', CASE WHEN v_target.is_protected THEN format('branch %L is protected: ', v_target.name) ELSE '' END || format(
            CASE WHEN v_merge.options ->> 'approved_plan' IS NULL THEN 'plan %s has to be approved' ELSE 'what was approved is not what would be done now, which is plan %s' END,
            v_result.plan_hash),
            'way_out', format('SELECT result FROM pggit.continue_merge(%L, %L) approves that plan', p_merge_id, jsonb_build_object('approved_plan', v_result.plan_hash))
                       || CASE WHEN v_target.is_protected THEN format(', or SELECT pggit.unprotect_branch(%L)', v_target.name) ELSE '' END);
        RETURN v_result;
    ELSIF NOT p_apply THEN
        v_result.detail := v_result.detail || jsonb_build_object('fast_forward', v_forward);
        RETURN v_result;
    END IF;

    IF v_merge.kind IN ('revert', 'cherry_pick', 'unstash') AND v_result.rows_inserted + v_result.rows_updated + v_result.rows_deleted = 0 AND v_steps.steps = '[]' AND v_shape = 0 THEN
        v_result.result := 'up_to_date';
        DELETE FROM pggit.stashes AS s WHERE s.commit_id = v_merge.source_commit AND v_merge.kind = 'unstash';
        RETURN v_result;
    END IF;

    v_after   := pggit._apply(v_merge, v_target, v_result, v_ours, v_theirs);
    v_written := ARRAY(SELECT t::integer FROM jsonb_array_elements_text(v_result.detail -> 'planned_tables') AS t);
    IF v_target.branch_id <> 1 AND pggit._find_orphans(p_merge_id, v_target.branch_id, v_written) THEN
        PERFORM set_config('pggit.merge_touched', 'on', true);
        RETURN pggit._with_violations(v_result);
    END IF;
    PERFORM pggit._note_synced(v_target.branch_id) WHERE v_target.branch_id <> 1;
    PERFORM pggit._late_keys(v_steps.steps, v_target.branch_id);
    IF v_merged IS NOT NULL THEN
        v_finished := pggit._try_finish(p_merge_id, v_target.branch_id, v_written, v_merged, v_settled, v_schema.now);
        IF v_finished IS NULL OR (v_target.branch_id <> 1 AND pggit._find_broken_on_views(p_merge_id, v_target.branch_id, v_written, v_sides.ours)) THEN
            RETURN pggit._with_violations(v_result);
        END IF;
        v_commands      := v_commands || ARRAY(SELECT jsonb_array_elements_text(v_finished));
        PERFORM pggit._pass_sequences(t.id::integer, pggit._relation_at(t.id::integer, v_target.branch_id)::text)
           FROM jsonb_array_elements_text(v_result.detail -> 'planned_tables') AS t(id) WHERE pggit._relation_at(t.id::integer, v_target.branch_id) IS NOT NULL;
        v_result.detail := v_result.detail || jsonb_build_object('ddl', v_commands);
        v_x             := (v_after).x;
        v_x.watermark   := (SELECT o.last_value FROM pggit._ordinal AS o);
        v_after         := (v_target.branch_id, v_x, CASE WHEN v_target.branch_id = 1 THEN v_x ELSE (v_after).s END)::pggit._position;
    END IF;
    PERFORM pggit._mind_waiters();
    PERFORM pggit._run_checks(v_merge, v_target.name);
    PERFORM pggit._mind_waiters();
    IF v_target.branch_id <> 1 AND v_shape = 0 AND v_commands = '{}' AND v_merged IS NULL THEN
        -- pggit._require_branch_as_planned has seen to it, and rows that the branch only moves over stay as they are.
        v_planned := (SELECT coalesce(jsonb_object_agg(bt.table_id, v_result.detail -> 'planned_content' -> bt.table_id::text), '{}') FROM pggit.branch_tables AS bt
                       WHERE bt.branch_id = v_target.branch_id AND v_result.detail -> 'planned_content' ? bt.table_id::text
                         AND NOT pggit._is_keyless(bt.table_id) AND NOT pggit._is_reshaped(bt.table_id, v_before, v_after));
    ELSIF v_shape = 0 AND v_commands = '{}' AND v_merged IS NULL THEN
        -- pggit._require_as_planned has seen to it.
        v_planned := v_result.detail -> 'planned_content';
        -- What was pending was committed, and the merge brought nothing of the schema.
        v_tree    := (SELECT s.tree_id FROM pggit.schema_commits AS s WHERE s.commit_id = v_target.head AND v_merge.kind <> 'unstash');
    END IF;
    IF p_rehearse THEN
        -- All is known that a plan tells; the longer this goes on, the longer writers wait.
        v_result.result := CASE WHEN v_forward THEN 'fast_forward' ELSE 'merged' END;
    ELSIF v_forward THEN
        PERFORM pggit._move_head(v_target.branch_id, v_their_id, v_after);
        v_result.result    := 'fast_forward';
        v_result.commit_id := v_their_id;
    ELSIF v_merge.kind = 'unstash' THEN
        v_result.result := 'merged';
        DELETE FROM pggit.stashes AS s WHERE s.commit_id = v_merge.source_commit;
    ELSE
        v_result.result    := 'merged';
        v_result.commit_id := pggit._record_commit(
            v_target,
            CASE WHEN v_merge.kind <> 'merge' OR coalesce((v_merge.options ->> 'squash')::boolean, false) THEN ARRAY[v_target.head] ELSE ARRAY[v_target.head, v_their_id] END,
            v_before, v_after, pggit._content(v_before, v_after, v_planned, v_target.branch_id <> 1 OR v_planned = '{}'),
            CASE v_merge.kind WHEN 'cherry_pick' THEN (SELECT c.author FROM pggit.commits AS c WHERE c.commit_id = v_their_id) ELSE v_merge.requested_by END,
            coalesce(v_merge.message, format('Merge %s into %s', v_merge.source, v_target.name)), clock_timestamp(), v_merge.base_commit, v_tree);
    END IF;
    IF pggit._held() IS NOT NULL THEN
        v_result.detail := v_result.detail || jsonb_build_object('held_seconds', round(extract(epoch FROM pggit._held())::numeric, 3));
    END IF;
    PERFORM pggit._accept_since(v_target.head) WHERE v_target.branch_id = 1 AND v_merge.kind <> 'unstash' AND v_result.schema_changes > 0 AND NOT p_rehearse;
    RETURN v_result;
END;
$$;

COMMENT ON FUNCTION pggit._attempt(uuid, boolean, boolean, text, boolean, jsonb, boolean) IS
'One attempt at a merge (or revert, cherry-pick, reset, unstash), from locks to commit; p_apply false plans only, and returns the result rehearse where the columns of the target have to change first, a branch has
foreign keys of its own, or there are checks: then the plan is a merge (p_rehearse) that is undone. Where main''s columns change, it is begun anew with their tables locked (p_still: their ids; VG402 has them as its detail), and likewise where rows of the branch
get new keys before (p_drawn: the keys, pggit._drawn_keys). p_alone: writers of the tables of main that it writes are kept out from the beginning (pggit._shut_out_writers). p_detect: as in pggit._plan. Waits for no lock longer than 0.9 seconds (under PostgreSQL''s deadlock_timeout) or the lock_timeout of the session (pggit.merge_patience), so that it never
takes part in a deadlock. Raises VG402, VG310, 55P03, or a constraint''s own error.';

CREATE OR REPLACE FUNCTION pggit._record_result(p_result pggit.merge_result)
    RETURNS void
    LANGUAGE sql
AS $$
    UPDATE pggit.merges AS m
       SET result = p_result.result, commit_id = p_result.commit_id, plan_hash = p_result.plan_hash, outcome = p_result,
           finished_at = CASE WHEN p_result.result IN ('merged', 'fast_forward', 'up_to_date') THEN now() END
     WHERE m.merge_id = p_result.merge_id;
$$;

COMMENT ON FUNCTION pggit._record_result(pggit.merge_result) IS
'Notes what became of a merge.';

CREATE OR REPLACE FUNCTION pggit._findings(p_merge_id uuid, OUT conflicts pggit.conflicts[], OUT schema_conflicts pggit.schema_conflicts[], OUT violations pggit.violations[])
    LANGUAGE sql STABLE
AS $$
    SELECT ARRAY(SELECT c FROM pggit.conflicts AS c WHERE c.merge_id = p_merge_id), ARRAY(SELECT c FROM pggit.schema_conflicts AS c WHERE c.merge_id = p_merge_id),
           ARRAY(SELECT v FROM pggit.violations AS v WHERE v.merge_id = p_merge_id);
$$;

COMMENT ON FUNCTION pggit._findings(uuid) IS
'What a plan has found, to be written down again (pggit._find_again) when what was done for it is undone.';

CREATE OR REPLACE FUNCTION pggit._find_again(p_merge_id uuid, p_found record)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM pggit.conflicts AS c WHERE c.merge_id = p_merge_id;
    DELETE FROM pggit.schema_conflicts AS c WHERE c.merge_id = p_merge_id;
    DELETE FROM pggit.violations AS v WHERE v.merge_id = p_merge_id;
    INSERT INTO pggit.conflicts SELECT (jsonb_populate_record(c, jsonb_build_object('merge_id', p_merge_id))).* FROM unnest(p_found.conflicts) AS c;
    INSERT INTO pggit.schema_conflicts SELECT (jsonb_populate_record(c, jsonb_build_object('merge_id', p_merge_id))).* FROM unnest(p_found.schema_conflicts) AS c;
    INSERT INTO pggit.violations SELECT (jsonb_populate_record(v, jsonb_build_object('merge_id', p_merge_id))).* FROM unnest(p_found.violations) AS v;
END;
$$;

COMMENT ON FUNCTION pggit._find_again(uuid, record) IS
'What was found (pggit._findings) is what this merge has found, and nothing else.';

CREATE OR REPLACE FUNCTION pggit._run(p_merge_id uuid, p_apply boolean, p_detect boolean DEFAULT false)
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET standard_conforming_strings = on SET quote_all_identifiers = off SET row_security = off
AS $$
DECLARE
    v_result   pggit.merge_result;
    v_attempts integer := 0;
    v_message  text;
    v_hint     text;
    v_name     text;
    v_detail   text;
    v_rehearse boolean := false;
    v_still    text;
    v_drawn    jsonb;
    v_reserved jsonb;
    v_undone   boolean;
    v_merge    pggit.merges;
    v_found    record;
BEGIN
    IF p_apply THEN
        PERFORM pggit._require_read_committed('a merge');
    END IF;
    PERFORM pggit._follow_unseen();
    PERFORM set_config('pggit.merge_patience', current_setting('lock_timeout'), true);
    LOOP
        v_attempts := v_attempts + 1;
        v_undone   := false;
        PERFORM set_config('pggit.merge_touched', '', true), set_config('pggit.held_since', '', true), set_config('pggit.locked_bytes', '', true);
        BEGIN
            v_result := pggit._attempt(p_merge_id, p_apply OR v_rehearse, v_rehearse, v_still, p_apply AND v_attempts > 2, v_drawn, p_detect AND NOT v_rehearse);
            IF v_result.result = 'rehearse' THEN
                PERFORM pggit._require_read_committed('planning this merge');
                v_rehearse := true;
                CONTINUE;
            END IF;
            EXIT WHEN (NOT v_rehearse AND coalesce(current_setting('pggit.merge_touched', true), '') = '') OR (p_apply AND v_result.result IN ('merged', 'fast_forward'));
            v_found := pggit._findings(p_merge_id);
            SELECT m.* INTO v_merge FROM pggit.merges AS m WHERE m.merge_id = p_merge_id;
            v_reserved := (SELECT jsonb_agg(k) FROM pggit.reserved_keys AS k WHERE k.branch_id = pggit._branch_to_renumber(v_merge));
            v_undone   := true;
            RAISE EXCEPTION USING ERRCODE = 'transaction_rollback';
        EXCEPTION
            WHEN SQLSTATE '40000' THEN
                IF NOT v_undone THEN
                    RAISE;
                END IF;
                UPDATE pggit.merges AS m SET source_commit = v_merge.source_commit, base_commit = v_merge.base_commit WHERE m.merge_id = p_merge_id;
                PERFORM pggit._find_again(p_merge_id, v_found);
                PERFORM pggit._keep_drawn_keys(pggit._branch_to_renumber(v_merge), v_reserved) WHERE v_reserved IS NOT NULL;
                EXIT;
            WHEN SQLSTATE 'VG402' OR unique_violation OR exclusion_violation THEN
                GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
                IF SQLSTATE = 'VG402' AND v_detail LIKE '{%}' AND v_detail IS DISTINCT FROM v_still THEN
                    v_still    := v_detail;
                    v_attempts := v_attempts - 1;
                ELSIF SQLSTATE = 'VG402' AND v_detail LIKE '[%]' AND v_drawn IS NULL THEN
                    v_drawn    := v_detail;
                    v_attempts := v_attempts - 1;
                ELSIF v_attempts >= 5 THEN
                    IF SQLSTATE = 'VG402' THEN
                        RAISE;
                    END IF;
                    GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL, v_name = CONSTRAINT_NAME;
                    v_result := pggit._result(p_merge_id, 'refused', jsonb_strip_nulls(jsonb_build_object(
                        'reason', v_message, 'rows', nullif(v_detail, ''), 'constraint', nullif(v_name, ''), 'sqlstate', SQLSTATE)));
                    EXIT;
                END IF;
            WHEN lock_not_available THEN
                IF v_attempts >= 5 THEN
                    RAISE EXCEPTION USING
                        ERRCODE = 'VG401', SCHEMA = 'pggit',
                        MESSAGE = 'the branches or rows of this merge are locked by others',
                        HINT    = 'Nothing was written. Merge again.';
                END IF;
                -- Who asked for a branch meanwhile (pggit._try_branch) has its turn.
                PERFORM pg_sleep(0.05 + random() * 0.05);
            WHEN SQLSTATE 'VG308' OR SQLSTATE 'VG310' OR SQLSTATE 'VG312' OR SQLSTATE 'VG403' OR dependent_objects_still_exist OR object_in_use OR integrity_constraint_violation OR data_exception OR raise_exception THEN
                GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT, v_name = CONSTRAINT_NAME;
                v_result := pggit._result(p_merge_id, 'refused', jsonb_strip_nulls(jsonb_build_object(
                    'reason', v_message, 'rows', nullif(v_detail, ''), 'hint', nullif(v_hint, ''), 'constraint', nullif(v_name, ''), 'sqlstate', SQLSTATE)));
                EXIT;
        END;
    END LOOP;

    IF v_rehearse AND v_result.result IN ('merged', 'fast_forward') THEN
        v_result.detail    := v_result.detail || jsonb_build_object('fast_forward', v_result.result = 'fast_forward');
        v_result.commit_id := NULL;
    END IF;
    IF v_rehearse AND v_result.result <> 'up_to_date' AND (v_result.detail ->> 'reason' IS NULL OR v_result.violations > 0) THEN
        v_result.result := 'planned';
    END IF;
    v_result.detail := v_result.detail - '{planned_tables,planned_content,idle_keys}'::text[]
                       || coalesce((SELECT jsonb_build_object('left_behind', pggit._unversioned_tables(m.source)) FROM pggit.merges AS m
                                     WHERE m.merge_id = p_merge_id AND m.kind = 'merge' AND pggit._unversioned_tables(m.source) IS NOT NULL), '{}');
    PERFORM pggit._record_result(v_result), set_config('pggit.held_since', '', true);
    -- Where the session is on the target, schemas that have just come to it are looked at first.
    PERFORM set_config('search_path', pggit._branch_path(b.name, current_setting('search_path')), false)
       FROM pggit.merges AS m JOIN pggit.branches AS b ON b.branch_id = m.target_id
      WHERE m.merge_id = p_merge_id AND b.branch_id <> 1 AND b.name = current_setting('pggit.branch', true) AND p_apply AND v_result.result IN ('merged', 'fast_forward')
        AND EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.branch_id = b.branch_id AND position(quote_ident(s.schema_name) IN current_setting('search_path')) > 0);
    RETURN v_result;
END;
$$;

COMMENT ON FUNCTION pggit._run(uuid, boolean, boolean) IS
'Runs a merge that is recorded in pggit.merges, again where others changed its rows meanwhile (up to 5 attempts, from the third on with writers kept out), and records the result. p_detect: a plan
of which only the conflicts are wanted.';

CREATE OR REPLACE FUNCTION pggit._open_merge(p_kind text, p_source text, p_target text, p_message text, p_options jsonb)
    RETURNS uuid
    LANGUAGE plpgsql
AS $$
DECLARE
    v_target pggit.branches := pggit._branch(p_target);
    v_source integer        := (SELECT b.branch_id FROM pggit.branches AS b WHERE b.name = p_source AND b.deleted_at IS NULL AND p_kind IN ('merge', 'rebase'));
    v_commit text;
    v_id     uuid;
BEGIN
    IF p_source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = format('a %s needs a source', replace(p_kind, '_', ' ')), HINT = 'It is NULL. A branch, tag or commit is merged: pggit.list_branches(), pggit.tags and pggit.log() show them.';
    END IF;
    PERFORM pggit._require_merge_message(p_message, p_options) WHERE p_kind = 'merge';
    PERFORM pggit._work_in_columns_of(v_target.branch_id);
    PERFORM pggit._check_options(p_kind, p_options);
    -- What a branch's merges need is kept while the branch is there; any other ref is held.
    v_commit := CASE WHEN v_source IS NOT NULL THEN pggit._find_commit('HEAD', v_source) ELSE pggit._hold_commit(p_source, v_target.branch_id) END;
    INSERT INTO pggit.merges (kind, source, source_commit, source_id, target_id, message, options, result, requested_by)
    VALUES (p_kind, p_source, v_commit, v_source, v_target.branch_id, p_message, coalesce(p_options, '{}'), 'planned', pggit._actor())
    RETURNING merge_id INTO v_id;
    RETURN v_id;
END;
$$;

COMMENT ON FUNCTION pggit._open_merge(text, text, text, text, jsonb) IS
'Records the wish to merge, revert, cherry-pick, reset or unstash and returns its id. Raises VG001, VG002, VG009, VG202, VG205, VG307.';

CREATE OR REPLACE FUNCTION pggit._tell_of_waiting(p_kind text, p_source text, p_target text, p_name text DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_target  text := coalesce(p_target, pggit.current_branch());
    v_waiting uuid := (SELECT m.merge_id FROM pggit.merges AS m JOIN pggit.branches AS b ON b.branch_id = m.target_id
                        WHERE m.kind = p_kind AND m.source = p_source AND b.name = v_target AND b.deleted_at IS NULL AND m.result = 'conflicted'
                          AND NOT EXISTS (SELECT FROM pggit.branches AS s WHERE s.branch_id = m.source_id AND s.deleted_at IS NOT NULL)
                        ORDER BY m.created_at DESC, m.merge_id LIMIT 1);
BEGIN
    IF v_waiting IS NOT NULL THEN
        RAISE NOTICE '% of % into % waits already for decisions about conflicts; this is another one', p_kind, quote_literal(coalesce(p_name, p_source)), quote_literal(v_target)
            USING HINT = format('SELECT pggit.continue_merge(%L); goes on with the one that waits, SELECT pggit.abort_merge(%1$L); drops it.', v_waiting);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._tell_of_waiting(text, text, text, text) IS
'Says in a NOTICE that the same merge has been begun before and waits for decisions. p_name is what the user calls the source, where that is not its ref.';

CREATE OR REPLACE FUNCTION pggit.plan_merge(p_source text, p_target text DEFAULT NULL, p_options jsonb DEFAULT '{}')
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    RETURN pggit._run(pggit._open_merge('merge', p_source, p_target, NULL, p_options), false);
END;
$$;

COMMENT ON FUNCTION pggit.plan_merge(text, text, jsonb) IS
'What pggit.merge would do, written nowhere but in the plan: counts, conflicts (pggit.merge_conflicts) and violations (pggit.merge_violations).
Changes not committed yet count as if they were. result is planned (see conflicts and violations), up_to_date or refused. pggit.continue_merge carries the plan out, pggit.abort_merge
drops it; until then pggit.merge_status() lists it. With option checks, or where definitions change, the plan is a merge that is undone: checks are run on the merged state, what they refuse is refused, and it locks what the merge would. Raises VG001, VG002, VG007, VG009, VG202, VG204,
VG205, VG206, VG307, VG401.';

CREATE OR REPLACE FUNCTION pggit.merge(p_source text, p_target text DEFAULT NULL, p_message text DEFAULT NULL, p_options jsonb DEFAULT '{}')
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_id uuid := pggit._open_merge('merge', p_source, p_target, p_message, p_options);
BEGIN
    PERFORM pggit._tell_of_waiting('merge', p_source, p_target);
    RETURN pggit._run(v_id, true);
END;
$$;

COMMENT ON FUNCTION pggit.merge(text, text, text, jsonb) IS
'Merges a branch, tag or commit into a branch, three ways, row by row and cell by cell, in the calling transaction.
p_target NULL is the session''s branch. p_message NULL is "Merge source into target". What is not committed on either side is committed first. p_options: on_conflict (stop, ours, theirs), resolutions (array of {conflict_id} or {table, key,
column}, with take: ours, theirs, base, value, and value; of several that mean one conflict the one that says most closely which decides), rules (array of {table, column, rule, by, expression}: see pggit.add_merge_rule), checks (array of {name, sql}: queries of one boolean
that must be true on the merged state, read only, else the merge is refused), checks_as (caller: they run with the rights of whoever merges; nobody: as a role made for it that may read the target and nothing else), fast_forward (auto, never, only), squash, validate (now; later: checks and foreign keys that come to main are NOT VALID until
the statements of detail.finish, phase finish of pggit.merge_steps, have run), approved_plan (the plan_hash of pggit.plan_merge: with
other effects than those, or null, the result is refused and has the plan_hash to approve; into a protected branch only an approved plan is merged), approved_by (a text to keep beside it). The merged state is checked for NOT NULL, CHECK, unique indexes and foreign keys before
anything is written; triggers take no part. result: merged (commit_id is the merge commit), fast_forward, up_to_date, conflicted (nothing written; pggit.resolve_conflict, then
pggit.continue_merge), or refused (nothing written; detail.reason, and detail.sqlstate VG403 where main''s tables would be locked for too long: settings pggit.lock_timeout and pggit.max_locked_bytes). Raises VG001, VG002, VG007, VG009, VG202, VG204, VG205, VG206, VG307, VG401 (locked by others, or
the transaction is not READ COMMITTED), VG402 (others kept changing the same rows).';

CREATE OR REPLACE FUNCTION pggit._work_in_columns_of(p_branch_id integer)
    RETURNS void
    LANGUAGE sql
AS $$
    SELECT set_config('pggit.merge_target', coalesce(CASE WHEN p_branch_id <> 1 THEN pggit._branch_now(p_branch_id)::text END, ''), true);
$$;

COMMENT ON FUNCTION pggit._work_in_columns_of(integer) IS
'Sets what pggit._target says, for what is said about a merge outside it.';

CREATE OR REPLACE FUNCTION pggit._require_merge_id(p_merge_id uuid)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF p_merge_id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'no merge is named: its id is NULL',
            HINT    = 'A query that was to find one may have found none. pggit.merge_status() lists the merges that wait, with their ids.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_merge_id(uuid) IS
'Raises VG202 for NULL.';

CREATE OR REPLACE FUNCTION pggit._open(p_merge_id uuid)
    RETURNS pggit.merges
    LANGUAGE plpgsql
AS $$
DECLARE
    v_merge pggit.merges;
BEGIN
    PERFORM pggit._require_merge_id(p_merge_id);
    PERFORM pggit._hold_commits();
    SELECT m.* INTO v_merge FROM pggit.merges AS m WHERE m.merge_id = p_merge_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG006', SCHEMA = 'pggit',
            MESSAGE = format('there is no merge %s', p_merge_id),
            HINT    = 'pggit.merge_status() lists the merges that wait, with their ids.';
    END IF;
    PERFORM pggit._work_in_columns_of(v_merge.target_id);
    IF v_merge.result NOT IN ('planned', 'conflicted', 'refused') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG303', SCHEMA = 'pggit',
            MESSAGE = format('merge %s is settled: %s', p_merge_id, v_merge.result),
            HINT    = CASE WHEN v_merge.result = 'aborted' THEN 'It wrote nothing. pggit.merge begins another; pggit.merge_status() lists those that wait.'
                           WHEN v_merge.commit_id IS NOT NULL THEN format(CASE WHEN v_merge.kind = 'rebase' THEN 'Nothing is left to decide. SELECT pggit.reset(%2$L, %3$L); brings the branch back to where it was'
                                                                               WHEN v_merge.result = 'fast_forward' THEN 'Nothing is left to decide. SELECT pggit.revert(%1$L, %2$L, ''{"since": "%3$s"}''); undoes it'
                                                                               ELSE 'Nothing is left to decide. SELECT pggit.revert(%1$L, %2$L); undoes it' END || '; pggit.merge_status() lists merges that wait.',
                                                                          left(v_merge.commit_id, 12), (SELECT b.name FROM pggit.branches AS b WHERE b.branch_id = v_merge.target_id), left(v_merge.target_commit, 12))
                           ELSE 'Nothing is left to decide. pggit.merge_status() lists merges that wait.' END;
    END IF;
    RETURN v_merge;
END;
$$;

COMMENT ON FUNCTION pggit._open(uuid) IS
'A merge that is not settled, locked. Raises VG006, VG202 (NULL), VG303.';

CREATE OR REPLACE FUNCTION pggit.continue_merge(p_merge_id uuid, p_options jsonb DEFAULT '{}')
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_merge pggit.merges := pggit._open(p_merge_id);
    v_name  text;
BEGIN
    p_options := coalesce(p_options, '{}');
    PERFORM pggit._check_options(v_merge.kind, p_options);
    v_name := (SELECT min(o) FROM jsonb_object_keys(p_options) AS o WHERE o NOT IN ('approved_plan', 'approved_by') OR v_merge.kind NOT IN ('merge', 'revert', 'cherry_pick'));
    IF v_name IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('a %s that goes on takes no option %L', replace(v_merge.kind, '_', ' '), v_name),
            HINT    = CASE WHEN v_merge.kind IN ('merge', 'revert', 'cherry_pick') THEN 'Only approved_plan and approved_by are given now, the others when it was begun; pggit.resolve_conflict decides conflicts. ' ELSE '' END
                      || 'pggit.abort_merge drops it, and another can be begun.';
    END IF;
    UPDATE pggit.merges AS m SET options = m.options || p_options WHERE m.merge_id = p_merge_id AND p_options <> '{}';
    RETURN CASE v_merge.kind WHEN 'rebase' THEN pggit._run_rebase(p_merge_id) ELSE pggit._run(p_merge_id, true) END;
END;
$$;

COMMENT ON FUNCTION pggit.continue_merge(uuid, jsonb) IS
'Goes on with a merge that was planned, in conflict or refused: it is planned again on the branches as they are now, resolutions of conflicts that are still there hold, and is
carried out when no conflict is open. p_options: approved_plan and approved_by, as pggit.merge takes them; all others were given when it was begun. Results and errors as pggit.merge; also raises VG006 (no such merge), VG202 (NULL,
or another option) and VG303 (already settled).';

CREATE OR REPLACE FUNCTION pggit.abort_merge(p_merge_id uuid)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    IF EXISTS (SELECT FROM pggit.merges AS m WHERE m.merge_id = p_merge_id AND m.result = 'aborted') THEN
        RETURN false;
    END IF;
    PERFORM pggit._open(p_merge_id);
    UPDATE pggit.merges AS m SET result = 'aborted', finished_at = now() WHERE m.merge_id = p_merge_id;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit.abort_merge(uuid) IS
'Ends a merge that is not settled; no branch was touched by it. Returns false when it was aborted before. Raises VG006, VG202 (NULL), VG303.';
