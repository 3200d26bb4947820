CREATE OR REPLACE FUNCTION pggit._pending(p_branch pggit.branches)
    RETURNS jsonb
    LANGUAGE sql
AS $$
    SELECT pggit._content(p_branch.head_at, pggit._working_position(p_branch.branch_id));
$$;

COMMENT ON FUNCTION pggit._pending(pggit.branches) IS
'What a commit of a branch would say now: empty when nothing has changed since its head, and other digests for other rows.';

CREATE OR REPLACE FUNCTION pggit._merge_state(p_source text, p_target text, p_options jsonb)
    RETURNS text
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (SELECT md5(jsonb_build_array(CASE WHEN p_source IS NOT NULL THEN (SELECT jsonb_build_array(s.branch_id, s.head, pggit._pending(s), pggit._scan_schema(s.branch_id, pggit._working_position(s.branch_id))) FROM pggit._branch(p_source) AS s) END,
                                         (SELECT jsonb_build_array(t.branch_id, t.head) FROM pggit._branch(p_target) AS t), p_options, (SELECT jsonb_agg(r ORDER BY r.rule_no) FROM pggit.merge_rules AS r))::text));
END;
$$;

COMMENT ON FUNCTION pggit._merge_state(text, text, jsonb) IS
'Differs when a merge (or without a source: a revert) may come out differently: either branch has a new commit, the source has new changes, or options or merge rules are others.
Changes of the target that are not committed do not count: a merge that waits would commit them again and again. Raises VG001.';

CREATE OR REPLACE FUNCTION pggit._is_between(p_merge_id uuid, p_source text, p_target text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT m.source_id IS NOT DISTINCT FROM (SELECT b.branch_id FROM pggit.branches AS b WHERE b.name = p_source AND b.deleted_at IS NULL) AND m.target_id = (pggit._branch(p_target)).branch_id
              FROM pggit.merges AS m WHERE m.merge_id = p_merge_id);
END;
$$;

COMMENT ON FUNCTION pggit._is_between(uuid, text, text) IS
'Whether a merge is of the branches that have these names now: one of them may have been deleted and made again since.';

CREATE OR REPLACE FUNCTION pggit._run_of(p_owner jsonb)
    RETURNS pggit.merge_runs
    LANGUAGE sql STABLE
AS $$
    SELECT r FROM pggit.merge_runs AS r
     WHERE (r.installation, r.namespace, r.name) = (p_owner ->> 'installation', p_owner ->> 'namespace', p_owner ->> 'name');
$$;

COMMENT ON FUNCTION pggit._run_of(jsonb) IS
'The merge that ran for an owner, or NULL.';

CREATE OR REPLACE FUNCTION pggit._open_undo(p_owner jsonb, p_revert_of text, p_target text, p_message text, p_options jsonb)
    RETURNS uuid
    LANGUAGE plpgsql
AS $$
DECLARE
    v_target pggit.branches := pggit._branch(p_target);
    v_run    pggit.merge_runs := pggit._run_of(p_owner || jsonb_build_object('name', p_revert_of));
    v_merge  pggit.merges;
    v_commit text;
BEGIN
    SELECT m.* INTO v_merge FROM pggit.merges AS m WHERE m.merge_id = v_run.merge_id AND m.result IN ('merged', 'fast_forward', 'up_to_date');
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG006', SCHEMA = 'pggit',
            MESSAGE = format('there is no merge %L that has merged', p_revert_of);
    END IF;
    -- A fast-forward made no commit of its own: what it brought lies between two commits.
    v_commit := coalesce(v_merge.commit_id, v_merge.target_commit);
    IF NOT EXISTS (SELECT FROM pggit._ancestors(v_target.head) AS a WHERE a.commit_id = v_commit) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('merge %L went into branch %L; its commit %s is not in branch %L', p_revert_of, v_run.target, left(v_commit, 12), p_target),
            HINT    = 'Revert it on the branch that it went into.';
    END IF;
    RETURN pggit._open_merge('revert', v_commit, p_target, coalesce(p_message, format('Undo merge %s', p_revert_of)), p_options || jsonb_build_object('since', v_merge.target_commit));
END;
$$;

COMMENT ON FUNCTION pggit._open_undo(jsonb, text, text, text, jsonb) IS
'Records the wish to revert what the merge of the same installation and namespace and this name brought. Raises VG006 (it has not merged, or is not there), VG202 (the
target does not have it) and what pggit._open_merge raises.';

CREATE OR REPLACE FUNCTION pggit._distrusted(p_options jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN p_options ? 'checks' THEN p_options || jsonb_build_object('checks_as', 'nobody') ELSE p_options END;
$$;

COMMENT ON FUNCTION pggit._distrusted(jsonb) IS
'Options of a merge that an object outside asks for: who writes that may have fewer rights in the database than who carries it out.';

CREATE OR REPLACE FUNCTION pggit._open_run(p_owner jsonb, p_source text, p_revert_of text, p_target text, p_message text, p_options jsonb)
    RETURNS uuid
    LANGUAGE sql
AS $$
    SELECT CASE WHEN p_revert_of IS NULL THEN pggit._open_merge('merge', p_source, p_target, p_message, p_options)
                ELSE pggit._open_undo(p_owner, p_revert_of, p_target, p_message, p_options) END;
$$;

COMMENT ON FUNCTION pggit._open_run(jsonb, text, text, text, text, jsonb) IS
'Records what an owner wants: a merge of p_source, or a revert of the merge p_revert_of. Returns its id. Raises as pggit._open_merge and pggit._open_undo.';

CREATE OR REPLACE FUNCTION pggit.plan_merge_for(p_owner jsonb, p_source text, p_target text, p_options jsonb DEFAULT '{}', p_resolutions jsonb DEFAULT '[]',
                                                p_revert_of text DEFAULT NULL)
    RETURNS uuid
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_plan  pggit.merge_plans;
    v_state text := concat(pggit._merge_state(p_source, p_target, p_options), md5(pggit._pending(pggit._branch(p_target))::text), md5(p_resolutions::text));
    v_new   uuid;
BEGIN
    PERFORM pggit._require_owner(p_owner);
    p_options := pggit._distrusted(p_options);
    PERFORM pg_advisory_xact_lock(hashtextextended(format('pggit merge %s', p_owner - 'uid'), 0));
    SELECT r.* INTO v_plan
      FROM pggit.merge_plans AS r
     WHERE (r.installation, r.namespace, r.name) = (p_owner ->> 'installation', p_owner ->> 'namespace', p_owner ->> 'name');
    IF FOUND AND (v_plan.source, v_plan.revert_of, v_plan.target, v_plan.planned_at_state) IS NOT DISTINCT FROM (p_source, p_revert_of, p_target, v_state) THEN
        RETURN v_plan.merge_id;
    END IF;
    PERFORM pggit._drop_plan(p_owner);

    v_new := pggit._open_run(p_owner, p_source, p_revert_of, p_target, NULL, p_options);
    PERFORM pggit._run(v_new, false);
    IF jsonb_array_length(p_resolutions) > 0 AND (EXISTS (SELECT FROM pggit.conflicts AS c WHERE c.merge_id = v_new) OR EXISTS (SELECT FROM pggit.schema_conflicts AS c WHERE c.merge_id = v_new)) AND pggit._resolve_all(v_new, p_resolutions) > 0 THEN
        PERFORM pggit._run(v_new, false);
    END IF;
    INSERT INTO pggit.merge_plans (installation, namespace, name, source, revert_of, target, merge_id, planned_at_state)
    VALUES (p_owner ->> 'installation', p_owner ->> 'namespace', p_owner ->> 'name', p_source, p_revert_of, p_target, v_new, v_state);
    RETURN v_new;
END;
$$;

COMMENT ON FUNCTION pggit.plan_merge_for(jsonb, text, text, jsonb, jsonb, text) IS
'Plans for an owner what pggit.run_merge would do with these arguments, and returns the plan''s id; asked again, the same plan as long as neither branch has moved. Only the
newest plan of an owner is kept. Raises VG202, VG006 and VG007 as pggit.run_merge, and what pggit.plan_merge raises.';

CREATE OR REPLACE FUNCTION pggit._drop_plan(p_owner jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_id uuid;
BEGIN
    DELETE FROM pggit.merge_plans AS r
     WHERE (r.installation, r.namespace, r.name) = (p_owner ->> 'installation', p_owner ->> 'namespace', p_owner ->> 'name')
    RETURNING r.merge_id INTO v_id;
    DELETE FROM pggit.merges AS m WHERE m.merge_id = v_id AND m.commit_id IS NULL AND NOT EXISTS (SELECT FROM pggit.merge_runs AS r WHERE r.merge_id = m.merge_id);
    DELETE FROM pggit.conflicts AS c WHERE c.merge_id = v_id AND NOT EXISTS (SELECT FROM pggit.merges AS m WHERE m.merge_id = v_id);
END;
$$;

COMMENT ON FUNCTION pggit._drop_plan(jsonb) IS
'Forgets an owner''s plan; one that has been carried out stays in pggit.merges.';

CREATE OR REPLACE FUNCTION pggit._approved(p_merge_id uuid, p_options jsonb)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT m.result = 'up_to_date'
                   OR (m.result = 'planned' AND m.plan_hash = p_options ->> 'approved_plan' AND pggit._open_conflicts(m.merge_id) = 0
                       AND NOT EXISTS (SELECT FROM pggit.violations AS v WHERE v.merge_id = m.merge_id))
              FROM pggit.merges AS m
             WHERE m.merge_id = p_merge_id);
END;
$$;

COMMENT ON FUNCTION pggit._approved(uuid, jsonb) IS
'Whether a plan can be carried out, and is the one that option approved_plan names. Nothing to do needs no approval.';

CREATE OR REPLACE FUNCTION pggit._run_approved(p_owner jsonb, p_source text, p_revert_of text, p_target text, p_message text, p_options jsonb, p_resolutions jsonb)
    RETURNS pggit.merge_result
    LANGUAGE plpgsql
AS $$
DECLARE
    v_options jsonb := p_options - ARRAY['approved_plan', 'approved_by'];
    v_plan    uuid  := pggit.plan_merge_for(p_owner, p_source, p_target, v_options, p_resolutions, p_revert_of);
    v_result  pggit.merge_result;
BEGIN
    IF pggit._approved(v_plan, p_options) THEN
        -- pggit._attempt looks at the hash again: others may have changed rows since this plan.
        UPDATE pggit.merges AS m
           SET options = m.options || jsonb_build_object('approved_plan', p_options -> 'approved_plan') || CASE WHEN p_options ? 'approved_by' THEN jsonb_build_object('approved_by', p_options -> 'approved_by') ELSE '{}' END,
               message = coalesce(p_message, m.message)
         WHERE m.merge_id = v_plan;
        v_result := pggit._run(v_plan, true);
        IF v_result.result <> 'conflicted' AND NOT v_result.detail ? 'approved_plan' THEN
            RETURN v_result;
        END IF;
        PERFORM pggit._drop_plan(p_owner);
        v_plan := pggit.plan_merge_for(p_owner, p_source, p_target, v_options, p_resolutions, p_revert_of);
    END IF;
    v_result.merge_id := v_plan;
    v_result.result   := 'planned';
    RETURN v_result;
END;
$$;

COMMENT ON FUNCTION pggit._run_approved(jsonb, text, text, text, text, jsonb, jsonb) IS
'Carries an owner''s plan out if option approved_plan names its hash. Result planned: it does not, and merge_id is the plan that waits for it.';

CREATE OR REPLACE FUNCTION pggit.run_merge(p_owner jsonb, p_source text, p_target text, p_message text DEFAULT NULL, p_options jsonb DEFAULT '{}',
                                           p_resolutions jsonb DEFAULT '[]', p_revert_of text DEFAULT NULL)
    RETURNS TABLE (merge_id uuid, was_run boolean)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_run     pggit.merge_runs;
    v_result  text;
    v_state   text;
    v_ran     boolean := false;
    v_decided integer;
    v_before  uuid;
    v_asked   jsonb := p_options || CASE WHEN p_options ? 'approved_plan' THEN jsonb_build_object('resolutions', p_resolutions) ELSE '{}' END;
BEGIN
    PERFORM pggit._require_owner(p_owner);
    p_options := pggit._distrusted(p_options);
    IF (p_source IS NULL) = (p_revert_of IS NULL) THEN
        RAISE EXCEPTION USING ERRCODE = 'VG202', SCHEMA = 'pggit', MESSAGE = 'either a source is merged or a merge is reverted';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(format('pggit merge %s', p_owner - 'uid'), 0));
    v_run := pggit._run_of(p_owner);
    IF v_run.name IS NOT NULL AND (v_run.source, v_run.revert_of, v_run.target) IS DISTINCT FROM (p_source, p_revert_of, p_target) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG104', SCHEMA = 'pggit',
            MESSAGE = format('merge %s already ran with another intent: %s', pggit._owner_text(p_owner),
                             CASE WHEN v_run.revert_of IS NULL THEN format('%L into %L', v_run.source, v_run.target)
                                  ELSE format('to revert %L on %L', v_run.revert_of, v_run.target) END),
            HINT    = 'A merge runs once under its name; give this one another name.';
    END IF;

    v_before := v_run.merge_id;
    SELECT m.result INTO v_result FROM pggit.merges AS m WHERE m.merge_id = v_before;
    IF v_result IS NULL OR v_result IN ('refused', 'conflicted') THEN
        v_state := pggit._merge_state(p_source, p_target, v_asked);
    END IF;
    IF v_result IS NULL OR v_state <> v_run.ran_at_state THEN
        IF p_options ? 'approved_plan' THEN
            SELECT m.merge_id, m.result INTO v_run.merge_id, v_result FROM pggit._run_approved(p_owner, p_source, p_revert_of, p_target, p_message, p_options, p_resolutions) AS m;
            IF v_result = 'planned' THEN
                RETURN QUERY SELECT v_run.merge_id, false;
                RETURN;
            END IF;
        ELSIF v_result = 'conflicted' AND pggit._is_between(v_run.merge_id, p_source, p_target) THEN
            PERFORM pggit._work_in_columns_of((pggit._branch(p_target)).branch_id);
            PERFORM pggit._check_options(CASE WHEN p_revert_of IS NULL THEN 'merge' ELSE 'revert' END, p_options);
            UPDATE pggit.merges AS m
               SET options = p_options || CASE WHEN m.options ? 'since' THEN jsonb_build_object('since', m.options -> 'since') ELSE '{}' END, message = coalesce(p_message, m.message)
             WHERE m.merge_id = v_run.merge_id;
            SELECT m.merge_id, m.result INTO v_run.merge_id, v_result FROM pggit.continue_merge(v_run.merge_id) AS m;
        ELSE
            SELECT m.merge_id, m.result INTO v_run.merge_id, v_result
              FROM pggit._run(pggit._open_run(p_owner, p_source, p_revert_of, p_target, p_message, p_options), true) AS m;
        END IF;
        v_ran := true;
    END IF;
    IF v_result IN ('conflicted', 'refused') AND NOT p_options ? 'approved_plan' AND jsonb_array_length(p_resolutions) > 0
       AND (EXISTS (SELECT FROM pggit.conflicts AS c WHERE c.merge_id = v_run.merge_id) OR EXISTS (SELECT FROM pggit.schema_conflicts AS c WHERE c.merge_id = v_run.merge_id)) THEN
        v_decided := pggit._resolve_all(v_run.merge_id, p_resolutions);
        IF (v_result = 'conflicted' OR v_decided > 0) AND pggit._open_conflicts(v_run.merge_id) = 0 THEN
            SELECT m.merge_id, m.result INTO v_run.merge_id, v_result FROM pggit.continue_merge(v_run.merge_id) AS m;
            v_ran := true;
        END IF;
    END IF;

    IF v_ran THEN
        -- What the merge itself has committed is no news to it.
        IF v_result IN ('refused', 'conflicted') THEN
            v_state := pggit._merge_state(p_source, p_target, v_asked);
        END IF;
        INSERT INTO pggit.merge_runs (installation, namespace, name, source, revert_of, target, merge_id, ran_at_state, source_id)
        VALUES (p_owner ->> 'installation', p_owner ->> 'namespace', p_owner ->> 'name', p_source, p_revert_of, p_target, v_run.merge_id, v_state,
                (SELECT b.branch_id FROM pggit.branches AS b WHERE b.name = p_source AND b.deleted_at IS NULL))
            ON CONFLICT ON CONSTRAINT merge_runs_pkey
            DO UPDATE SET merge_id = excluded.merge_id, ran_at_state = excluded.ran_at_state, source_id = excluded.source_id, ran_at = now();
        PERFORM pggit._drop_plan(p_owner);
        PERFORM pggit.abort_merge(m.merge_id) FROM pggit.merges AS m WHERE m.merge_id = v_before AND m.merge_id <> v_run.merge_id AND m.result = 'conflicted';
    END IF;
    RETURN QUERY SELECT v_run.merge_id, v_ran;
END;
$$;

COMMENT ON FUNCTION pggit.run_merge(jsonb, text, text, text, jsonb, jsonb, text) IS
'Merges once for an owner (installation, namespace, name): asked again, it returns the merge that ran and runs nothing. With p_revert_of instead of p_source it
undoes, likewise once, what the merge of that name in the same installation and namespace brought. One that was refused, or waits with conflicts,
runs again when either branch has a new commit, the source new changes, or the options are others; one with conflicts goes on as soon as p_resolutions decide
them all, and one that was refused with what they decided when they decide otherwise: a list of objects with conflict_id, or table (with key and column for one cell), take (ours, theirs, base, value) and value in text form,
NULL without. Checks run as a role that may read the target and nothing else. With option approved_plan nothing is done but to plan, and merge_id is that plan, until the option names the plan''s hash. Raises VG104 (this owner ran another merge),
VG007 (a resolution names no conflict), VG204 (a value that is none of the column''s type), VG006 (p_revert_of has not merged), VG202 (its commit is not in p_target) and what pggit.merge raises.';

CREATE OR REPLACE FUNCTION pggit.delete_merged_source(p_owner jsonb)
    RETURNS TABLE (is_deleted boolean, reason text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_run    pggit.merge_runs := pggit._run_of(p_owner);
    v_merge  pggit.merges;
    v_branch pggit.branches;
    v_reason text;
BEGIN
    PERFORM pggit._require_owner(p_owner);
    SELECT m.* INTO v_merge FROM pggit.merges AS m WHERE m.merge_id = v_run.merge_id AND m.kind = 'merge' AND m.result IN ('merged', 'fast_forward', 'up_to_date');
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG006', SCHEMA = 'pggit',
            MESSAGE = format('merge %s has not merged a branch', pggit._owner_text(p_owner));
    END IF;
    -- By its number: another branch that has the name since is not meant.
    v_branch := pggit._try_branch(v_run.source_id);
    IF v_branch.branch_id IS NULL THEN
        RETURN QUERY SELECT true, NULL::text;
        RETURN;
    END IF;

    v_reason := CASE
        WHEN v_branch.owner IS NOT NULL AND EXISTS (SELECT FROM pggit.branch_logins AS l WHERE l.branch_id = v_branch.branch_id AND l.is_enabled)
            THEN format('it belongs to %s', pggit._owner_text(v_branch.owner))
        WHEN v_branch.head <> v_merge.source_commit OR pggit._pending(v_branch) <> '{}' THEN 'it has changed since the merge' END;
    IF v_reason IS NULL THEN
        BEGIN
            PERFORM pggit.drop_branch_login(v_branch.name);
            PERFORM pggit.delete_branch(v_branch.name, p_force => true);
            -- Nobody writes there any more: what was committed while locks were waited for is to be seen now.
            IF pggit._pending(v_branch) <> '{}' THEN
                RAISE EXCEPTION USING ERRCODE = 'VG311', SCHEMA = 'pggit', MESSAGE = 'it has changed since the merge';
            END IF;
        EXCEPTION WHEN SQLSTATE 'VG202' OR SQLSTATE 'VG301' OR SQLSTATE 'VG308' OR SQLSTATE 'VG311' OR SQLSTATE 'VG401' THEN
            v_reason := SQLERRM;
        END;
    END IF;
    RETURN QUERY SELECT v_reason IS NULL, v_reason;
END;
$$;

COMMENT ON FUNCTION pggit.delete_merged_source(jsonb) IS
'Deletes the branch that an owner''s merge has merged, with its login, once: another branch that has its name since is left alone. Or says why it stays: it
is main, protected, checked out or used by others, an object outside holds it and its login is on, or it has changed since the merge. Raises VG006 (nothing was merged).';

CREATE OR REPLACE FUNCTION pggit._resolve_all(p_merge_id uuid, p_resolutions jsonb)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_given    jsonb := (SELECT coalesce(jsonb_agg(CASE WHEN r.value ->> 'table' IS NULL THEN r.value ELSE r.value || jsonb_build_object('table', (SELECT format('%I.%I', t.schema_name, t.table_name) FROM pggit._table(r.value ->> 'table') AS t)) END
                                                   ORDER BY r.n), '[]')
                           FROM jsonb_array_elements(p_resolutions) WITH ORDINALITY AS r(value, n));
    v_conflict record;
    v_value    jsonb;
    v_decided  integer := 0;
BEGIN
    PERFORM pggit._require_one_choice(v_given);
    FOR v_conflict IN
        SELECT c.conflict_id, m.table_name, m.column_name, m.resolution, m.resolved_value, c.resolution ->> 'take' AS take, c.resolution ->> 'value' AS value
          FROM pggit._choices(p_merge_id, v_given, true) AS c JOIN pggit.merge_conflicts AS m ON m.merge_id = p_merge_id AND m.conflict_no = c.conflict_no
         ORDER BY c.conflict_no
    LOOP
        v_value := CASE WHEN v_conflict.take = 'value'
                        THEN coalesce(pggit._value_of_text(v_conflict.table_name, v_conflict.column_name, v_conflict.value), CASE WHEN v_conflict.column_name IS NULL THEN 'null'::jsonb END) END;
        IF (v_conflict.resolution, v_conflict.resolved_value) IS DISTINCT FROM (v_conflict.take, v_value) THEN
            PERFORM pggit.resolve_conflict(p_merge_id, v_conflict.conflict_id, v_conflict.take, v_value);
            v_decided := v_decided + 1;
        END IF;
    END LOOP;
    FOR v_conflict IN
        SELECT DISTINCT c.conflict_id, c.resolution, c.resolved_value, r.value ->> 'take' AS take, r.value ->> 'value' AS value
          FROM pggit.schema_conflicts AS c JOIN jsonb_array_elements(v_given) AS r(value) ON c.conflict_id = r.value ->> 'conflict_id'
         WHERE c.merge_id = p_merge_id
    LOOP
        -- A value, not an expression: who writes this may have fewer rights in the database than who carries it out.
        v_value := CASE WHEN v_conflict.take = 'value' THEN to_jsonb(quote_nullable(v_conflict.value)) END;
        IF (v_conflict.resolution, v_conflict.resolved_value) IS DISTINCT FROM (v_conflict.take, v_value) THEN
            PERFORM pggit.resolve_conflict(p_merge_id, v_conflict.conflict_id, v_conflict.take, v_value);
            v_decided := v_decided + 1;
        END IF;
    END LOOP;
    RETURN v_decided;
END;
$$;

COMMENT ON FUNCTION pggit._resolve_all(uuid, jsonb) IS
'Applies resolutions, of which each conflict has one (pggit._choices). Returns how many were decided anew. Raises VG007, VG204, VG004 and VG005.';

CREATE OR REPLACE FUNCTION pggit._column_type(p_table text, p_column text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT c.type_name
              FROM pggit.columns AS c
             WHERE c.table_id = (pggit._table(p_table)).table_id AND c.name = p_column AND c.dropped_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._column_type(text, text) IS
'Type of a tracked table''s column. Raises VG004, VG005.';

CREATE OR REPLACE FUNCTION pggit._value_of_text(p_table text, p_column text, p_value text)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_type  text := coalesce(pggit._column_type(p_table, p_column), 'jsonb');
    v_value jsonb;
BEGIN
    EXECUTE format('SELECT to_jsonb($1::%s)', v_type) INTO v_value USING p_value;
    RETURN v_value;
EXCEPTION WHEN data_exception OR datatype_mismatch OR undefined_object THEN
    RAISE EXCEPTION USING
        ERRCODE = 'VG204', SCHEMA = 'pggit',
        MESSAGE = format('the value given for %s is not valid %s',
                         CASE WHEN p_column IS NULL THEN 'a row of ' || p_table ELSE format('%s.%I', p_table, p_column) END,
                         CASE WHEN p_column IS NULL THEN 'JSON' ELSE v_type END),
        HINT    = 'Write it in PostgreSQL''s text form, JSON text for json and jsonb; whole rows are a JSON object.';
END;
$$;

COMMENT ON FUNCTION pggit._value_of_text(text, text, text) IS
'A value in PostgreSQL''s text form as jsonb, by the column''s type; without a column, a whole row as a JSON object. Raises VG204.';

CREATE OR REPLACE FUNCTION pggit._text_of_value(p_table text, p_column text, p_value jsonb)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_type text := pggit._column_type(p_table, p_column);
    v_text text;
BEGIN
    IF p_value IS NULL OR p_column IS NULL THEN
        RETURN p_value::text;
    ELSIF v_type IS NULL OR v_type IN ('json', 'jsonb') THEN
        RETURN p_value::text;
    END IF;
    EXECUTE format('SELECT r.v::text FROM jsonb_to_record($1) AS r(v %s)', v_type) INTO v_text USING jsonb_build_object('v', p_value);
    RETURN v_text;
END;
$$;

COMMENT ON FUNCTION pggit._text_of_value(text, text, jsonb) IS
'A cell of a conflict in PostgreSQL''s text form; JSON text for json and jsonb and for whole rows; NULL for NULL.';

CREATE OR REPLACE FUNCTION pggit._key_text(p_key jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(k.key, k.value), '{}') FROM jsonb_each_text(p_key) AS k);
END;
$$;

COMMENT ON FUNCTION pggit._key_text(jsonb) IS
'A key with all values in text form, so that no client loses digits.';

CREATE OR REPLACE FUNCTION pggit.describe_conflicts(p_merge_id uuid, p_limit integer DEFAULT 50, p_values boolean DEFAULT false)
    RETURNS TABLE (conflict_id text, kind text, table_name text, key jsonb, column_name text, base text, ours text, theirs text, resolution text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.* FROM (
        (SELECT s.conflict_id, s.kind, s.object_name, '{}'::jsonb, NULL::text, s.base::text, s.ours::text, s.theirs::text, s.resolution
           FROM pggit.schema_conflicts AS s WHERE s.merge_id = p_merge_id ORDER BY s.object_type, s.object_name, s.conflict_id)
        UNION ALL
        (SELECT c.conflict_id, c.kind, c.table_name, pggit._key_text(c.key), c.column_name,
                CASE WHEN p_values THEN pggit._text_of_value(c.table_name, c.column_name, c.base) END,
                CASE WHEN p_values THEN pggit._text_of_value(c.table_name, c.column_name, c.ours) END,
                CASE WHEN p_values THEN pggit._text_of_value(c.table_name, c.column_name, c.theirs) END,
                c.resolution
           FROM (SELECT c.* FROM pggit.merge_conflicts AS c WHERE c.merge_id = p_merge_id ORDER BY c.conflict_no LIMIT p_limit) AS c
          ORDER BY c.conflict_no)) AS c
     LIMIT p_limit;
$$;

COMMENT ON FUNCTION pggit.describe_conflicts(uuid, integer, boolean) IS
'Conflicts of a merge: of definitions first, with the object as table_name, an empty key and the definitions; then of rows, with keys and, where p_values is true, the three values in PostgreSQL''s text form: what can be shown without losing digits.';

CREATE OR REPLACE FUNCTION pggit.describe_violations(p_merge_id uuid, p_limit integer DEFAULT 50)
    RETURNS TABLE (kind text, constraint_name text, table_name text, key jsonb, side text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT v.kind, v.constraint_name, v.table_name, pggit._key_text(v.key), v.side
      FROM pggit.merge_violations AS v
     WHERE v.merge_id = p_merge_id
     ORDER BY v.table_name, v.constraint_name, v.key
     LIMIT p_limit;
$$;

COMMENT ON FUNCTION pggit.describe_violations(uuid, integer) IS
'Constraints that the merged rows would break, with keys in text form.';
