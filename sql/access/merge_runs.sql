CREATE OR REPLACE FUNCTION pggit._merge_state(p_source text, p_target text, p_options jsonb)
    RETURNS text
    LANGUAGE sql
AS $$
    SELECT md5(jsonb_build_array((pggit._branch(p_source)).head, (pggit._branch(p_target)).head, p_options,
                                 (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.table_name) FROM pggit.status(p_source) AS s))::text);
$$;

COMMENT ON FUNCTION pggit._merge_state(text, text, jsonb) IS
'Differs when a merge may come out differently: either branch has a new commit, the source has new changes, or the options are others. Changes of the
target that are not committed do not count: a merge that waits would commit them again and again. Raises VG001.';

CREATE OR REPLACE FUNCTION pggit.run_merge(p_owner jsonb, p_source text, p_target text, p_message text DEFAULT NULL, p_options jsonb DEFAULT '{}',
                                           p_resolutions jsonb DEFAULT '[]')
    RETURNS TABLE (merge_id uuid, was_run boolean)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    v_run     pggit.merge_runs;
    v_result  text;
    v_state   text;
    v_ran     boolean := false;
    v_decided integer;
BEGIN
    PERFORM pggit._require_owner(p_owner);
    PERFORM pg_advisory_xact_lock(hashtextextended(format('pggit merge %s', p_owner - 'uid'), 0));
    SELECT r.* INTO v_run
      FROM pggit.merge_runs AS r
     WHERE (r.installation, r.namespace, r.name) = (p_owner ->> 'installation', p_owner ->> 'namespace', p_owner ->> 'name');
    IF FOUND AND (v_run.source, v_run.target) IS DISTINCT FROM (p_source, p_target) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG104', SCHEMA = 'pggit',
            MESSAGE = format('merge %s already ran with another intent: %L into %L', pggit._owner_text(p_owner), v_run.source, v_run.target),
            HINT    = 'A merge runs once under its name; give this one another name.';
    END IF;

    SELECT m.result INTO v_result FROM pggit.merges AS m WHERE m.merge_id = v_run.merge_id;
    IF v_result IS NULL OR v_result IN ('refused', 'conflicted') THEN
        v_state := pggit._merge_state(p_source, p_target, p_options);
    END IF;
    IF v_result IS NULL OR v_state <> v_run.ran_at_state THEN
        IF v_result = 'conflicted' THEN
            IF p_options ->> 'on_conflict' IN ('ours', 'theirs') THEN
                PERFORM pggit.resolve_conflicts(v_run.merge_id, p_options ->> 'on_conflict');
            END IF;
            SELECT m.merge_id, m.result INTO v_run.merge_id, v_result FROM pggit.continue_merge(v_run.merge_id) AS m;
        ELSE
            SELECT m.merge_id, m.result INTO v_run.merge_id, v_result FROM pggit.merge(p_source, p_target, p_message, p_options) AS m;
        END IF;
        v_ran := true;
    END IF;
    IF v_result IN ('conflicted', 'refused') AND jsonb_array_length(p_resolutions) > 0
       AND EXISTS (SELECT FROM pggit.merge_conflicts AS c WHERE c.merge_id = v_run.merge_id) THEN
        v_decided := pggit._resolve_all(v_run.merge_id, p_resolutions);
        IF (v_result = 'conflicted' OR v_decided > 0) AND NOT EXISTS (SELECT FROM pggit.merge_conflicts AS c WHERE c.merge_id = v_run.merge_id AND c.resolution IS NULL) THEN
            SELECT m.merge_id, m.result INTO v_run.merge_id, v_result FROM pggit.continue_merge(v_run.merge_id) AS m;
            v_ran := true;
        END IF;
    END IF;

    IF v_ran THEN
        -- What the merge itself has committed is no news to it.
        IF v_result IN ('refused', 'conflicted') THEN
            v_state := pggit._merge_state(p_source, p_target, p_options);
        END IF;
        INSERT INTO pggit.merge_runs (installation, namespace, name, source, target, merge_id, ran_at_state)
        VALUES (p_owner ->> 'installation', p_owner ->> 'namespace', p_owner ->> 'name', p_source, p_target, v_run.merge_id, v_state)
            ON CONFLICT ON CONSTRAINT merge_runs_pkey
            DO UPDATE SET merge_id = excluded.merge_id, ran_at_state = excluded.ran_at_state, ran_at = now();
    END IF;
    RETURN QUERY SELECT v_run.merge_id, v_ran;
END;
$$;

COMMENT ON FUNCTION pggit.run_merge(jsonb, text, text, text, jsonb, jsonb) IS
'Merges once for an owner (installation, namespace, name): asked again, it returns the merge that ran and runs nothing. One that was refused, or waits with conflicts,
runs again when either branch has a new commit, the source new changes, or the options are others; one with conflicts goes on as soon as p_resolutions decide
them all, and one that was refused with what they decided when they decide otherwise: a list of objects with conflict_id, or table (with key and column for one cell), take (ours, theirs, base, value) and value in text form,
NULL without. Raises VG104 (this owner ran another merge), VG007 (a resolution names no conflict), VG204 (a value that is none of the column''s type)
and what pggit.merge raises.';

CREATE OR REPLACE FUNCTION pggit.plan_merge_for(p_owner jsonb, p_source text, p_target text, p_options jsonb DEFAULT '{}')
    RETURNS uuid
    LANGUAGE plpgsql
AS $$
DECLARE
    v_plan  pggit.merge_plans;
    v_state text := concat(pggit._merge_state(p_source, p_target, p_options),
                           md5((SELECT jsonb_agg(to_jsonb(s) ORDER BY s.table_name) FROM pggit.status(p_target) AS s)::text));
BEGIN
    PERFORM pggit._require_owner(p_owner);
    PERFORM pg_advisory_xact_lock(hashtextextended(format('pggit merge %s', p_owner - 'uid'), 0));
    SELECT r.* INTO v_plan
      FROM pggit.merge_plans AS r
     WHERE (r.installation, r.namespace, r.name) = (p_owner ->> 'installation', p_owner ->> 'namespace', p_owner ->> 'name');
    IF FOUND AND (v_plan.source, v_plan.target, v_plan.planned_at_state) IS NOT DISTINCT FROM (p_source, p_target, v_state) THEN
        RETURN v_plan.merge_id;
    END IF;
    DELETE FROM pggit.merge_plans AS r WHERE r.merge_id = v_plan.merge_id;
    DELETE FROM pggit.merges AS m WHERE m.merge_id = v_plan.merge_id AND m.commit_id IS NULL;

    SELECT m.merge_id INTO v_plan.merge_id FROM pggit.plan_merge(p_source, p_target, p_options) AS m;
    INSERT INTO pggit.merge_plans (installation, namespace, name, source, target, merge_id, planned_at_state)
    VALUES (p_owner ->> 'installation', p_owner ->> 'namespace', p_owner ->> 'name', p_source, p_target, v_plan.merge_id, v_state);
    RETURN v_plan.merge_id;
END;
$$;

COMMENT ON FUNCTION pggit.plan_merge_for(jsonb, text, text, jsonb) IS
'Plans a merge for an owner and returns its id; asked again, the same plan as long as neither branch has moved. Only the newest plan of an owner is kept.
Raises VG202 and what pggit.plan_merge raises.';

CREATE OR REPLACE FUNCTION pggit._is_key(p_key jsonb, p_given jsonb)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT NOT EXISTS (SELECT FROM jsonb_each_text(p_key) AS k FULL JOIN jsonb_each_text(p_given) AS g USING (key)
                        WHERE k.value IS DISTINCT FROM g.value);
$$;

COMMENT ON FUNCTION pggit._is_key(jsonb, jsonb) IS
'Whether two keys are the same in text form: {"id": 7} is {"id": "7"}.';

CREATE OR REPLACE FUNCTION pggit._resolve_all(p_merge_id uuid, p_resolutions jsonb)
    RETURNS integer
    LANGUAGE plpgsql
AS $$
DECLARE
    v_given    jsonb;
    v_table    text;
    v_conflict record;
    v_found    boolean;
    v_value    jsonb;
    v_decided  integer := 0;
BEGIN
    FOR v_given IN SELECT g FROM jsonb_array_elements(p_resolutions) AS g LOOP
        v_found := false;
        v_table := NULL;
        IF v_given ->> 'table' IS NOT NULL THEN
            SELECT format('%I.%I', t.schema_name, t.table_name) INTO v_table FROM pggit._table(v_given ->> 'table') AS t;
        END IF;
        FOR v_conflict IN
            SELECT c.conflict_id, c.table_name, c.column_name, c.resolution, c.resolved_value
              FROM pggit.merge_conflicts AS c
             WHERE c.merge_id = p_merge_id
               AND (v_given ->> 'conflict_id' IS NULL OR c.conflict_id = v_given ->> 'conflict_id')
               AND (v_table IS NULL OR c.table_name = v_table)
               AND (v_given -> 'key' IS NULL OR pggit._is_key(c.key, v_given -> 'key'))
               AND (v_given ->> 'column' IS NULL OR c.column_name = v_given ->> 'column')
        LOOP
            v_found := true;
            v_value := CASE WHEN v_given ->> 'take' = 'value'
                            THEN pggit._value_of_text(v_conflict.table_name, v_conflict.column_name, v_given ->> 'value') END;
            IF (v_conflict.resolution, v_conflict.resolved_value) IS DISTINCT FROM (v_given ->> 'take', v_value) THEN
                PERFORM pggit.resolve_conflict(p_merge_id, v_conflict.conflict_id, v_given ->> 'take', v_value);
                v_decided := v_decided + 1;
            END IF;
        END LOOP;
        IF NOT v_found THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG007', SCHEMA = 'pggit',
                MESSAGE = format('there is no conflict %s in this merge', coalesce(
                              quote_literal(v_given ->> 'conflict_id'),
                              concat_ws(' ', 'in table', v_table, 'key ' || (v_given -> 'key')::text, 'column ' || (v_given ->> 'column')))),
                HINT    = 'The status of the merge and the view pggit.merge_conflicts list the conflicts that there are.';
        END IF;
    END LOOP;
    RETURN v_decided;
END;
$$;

COMMENT ON FUNCTION pggit._resolve_all(uuid, jsonb) IS
'Applies a list of resolutions in their order; each decides every conflict that it matches. Returns how many were decided anew. Raises VG007, VG204, VG004 and VG005.';

CREATE OR REPLACE FUNCTION pggit._column_type(p_table text, p_column text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT c.type_name
      FROM pggit.columns AS c
     WHERE c.table_id = (pggit._table(p_table)).table_id AND c.name = p_column AND c.dropped_at IS NULL;
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
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT coalesce(jsonb_object_agg(k.key, k.value), '{}') FROM jsonb_each_text(p_key) AS k;
$$;

COMMENT ON FUNCTION pggit._key_text(jsonb) IS
'A key with all values in text form, so that no client loses digits.';

CREATE OR REPLACE FUNCTION pggit.describe_conflicts(p_merge_id uuid, p_limit integer DEFAULT 50, p_values boolean DEFAULT false)
    RETURNS TABLE (conflict_id text, kind text, table_name text, key jsonb, column_name text, base text, ours text, theirs text, resolution text)
    LANGUAGE sql STABLE
AS $$
    SELECT c.conflict_id, c.kind, c.table_name, pggit._key_text(c.key), c.column_name,
           CASE WHEN p_values THEN pggit._text_of_value(c.table_name, c.column_name, c.base) END,
           CASE WHEN p_values THEN pggit._text_of_value(c.table_name, c.column_name, c.ours) END,
           CASE WHEN p_values THEN pggit._text_of_value(c.table_name, c.column_name, c.theirs) END,
           c.resolution
      FROM (SELECT c.* FROM pggit.merge_conflicts AS c WHERE c.merge_id = p_merge_id ORDER BY c.conflict_no LIMIT p_limit) AS c
     ORDER BY c.conflict_no;
$$;

COMMENT ON FUNCTION pggit.describe_conflicts(uuid, integer, boolean) IS
'Conflicts of a merge with keys and, where p_values is true, the three values in PostgreSQL''s text form: what can be shown without losing digits.';

CREATE OR REPLACE FUNCTION pggit.describe_violations(p_merge_id uuid, p_limit integer DEFAULT 50)
    RETURNS TABLE (kind text, constraint_name text, table_name text, key jsonb, side text)
    LANGUAGE sql STABLE
AS $$
    SELECT v.kind, v.constraint_name, v.table_name, pggit._key_text(v.key), v.side
      FROM pggit.merge_violations AS v
     WHERE v.merge_id = p_merge_id
     ORDER BY v.table_name, v.constraint_name, v.key
     LIMIT p_limit;
$$;

COMMENT ON FUNCTION pggit.describe_violations(uuid, integer) IS
'Constraints that the merged rows would break, with keys in text form.';
