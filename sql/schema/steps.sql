-- From one set of objects to another: which steps, and in which order.

CREATE OR REPLACE FUNCTION pggit._mentions(p_object pggit._schema_object)
    RETURNS SETOF text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT DISTINCT CASE WHEN m[1] LIKE '"%' THEN replace(substr(m[1], 2, length(m[1]) - 2), '""', '"') ELSE m[1] END
      FROM jsonb_path_query((p_object).definition - '{comment,grants,labels,settings,language,options,replica_identity,clustered_on,enabled}'::text[]
                            - CASE WHEN (p_object).definition ? 'parsed' THEN '' ELSE 'body' END - CASE WHEN (p_object).definition ? 'query' THEN 'columns' ELSE '' END,
                            'strict $.** ? (@.type() == "string")') AS v
     CROSS JOIN regexp_matches(v #>> '{}', '"(?:[^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*', 'g') AS m;
$$;

COMMENT ON FUNCTION pggit._mentions(pggit._schema_object) IS
'All names that a definition may mean, also those in literals: too many rather than too few. Bodies that PostgreSQL has not parsed mean nothing.';

CREATE OR REPLACE FUNCTION pggit._prepare_changes(p_from pggit._schema_object[], p_to pggit._schema_object[], p_target jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF to_regclass('pg_temp.pggit_changes') IS NULL THEN
        CREATE TEMP TABLE pggit_changes (object_type text, object_name text, f pggit._schema_object, t pggit._schema_object, action text NOT NULL, local text, is_early boolean DEFAULT false, level integer DEFAULT 0, drop_level integer DEFAULT 0)
            ON COMMIT DROP;
        CREATE TEMP TABLE pggit_mentions (object_type text, object_name text, is_from boolean, token text) ON COMMIT DROP;
        CREATE INDEX ON pg_temp.pggit_mentions (object_name, token);
        CREATE INDEX ON pg_temp.pggit_mentions (token);
        CREATE TEMP TABLE pggit_touched (token text, column_name text, is_gone boolean) ON COMMIT DROP;
        CREATE TEMP TABLE pggit_steps (n integer GENERATED ALWAYS AS IDENTITY, phase integer, level integer, ddl text, object_type text, object_name text, destructive boolean) ON COMMIT DROP;
    ELSE
        TRUNCATE pg_temp.pggit_changes, pg_temp.pggit_mentions, pg_temp.pggit_touched, pg_temp.pggit_steps;
    END IF;
    INSERT INTO pg_temp.pggit_changes (object_type, object_name, f, t, action, local)
    SELECT coalesce(f.object_type, t.object_type), coalesce(f.object_name, t.object_name), f, t,
           CASE WHEN f.object_type IS NULL THEN 'create' WHEN t.object_type IS NULL THEN 'drop' WHEN f.definition = t.definition THEN 'keep' ELSE 'alter' END,
           pggit._bare_name(pggit._local_name(CASE WHEN t.object_type IS NULL THEN f ELSE t END))
      FROM unnest(p_from) AS f FULL JOIN unnest(p_to) AS t ON t.object_type = f.object_type AND t.object_name = f.object_name;

    UPDATE pg_temp.pggit_changes AS c
       SET action = CASE WHEN c.object_type = 'table' THEN 'recreate' WHEN c.object_type IN ('type', 'domain') THEN 'retype' ELSE 'recreate' END
     WHERE c.action = 'alter'
       AND CASE WHEN c.object_type = 'table' THEN ((c.f).definition -> 'partition_by') IS DISTINCT FROM (c.t).definition -> 'partition_by'
                ELSE pggit._alter_object((c.f).definition, c.t, p_target) IS NULL END;
    -- What is in a table that is made anew comes and goes with it.
    UPDATE pg_temp.pggit_changes AS c
       SET action = CASE WHEN c.t IS NULL THEN 'drop' WHEN c.f IS NULL THEN 'create' ELSE 'recreate' END
      FROM pg_temp.pggit_changes AS p
     WHERE p.object_type = 'table' AND p.action = 'recreate' AND coalesce((c.t).parent, (c.f).parent) = p.object_name AND c.object_type <> 'table';
END;
$$;

COMMENT ON FUNCTION pggit._prepare_changes(pggit._schema_object[], pggit._schema_object[], jsonb) IS
'Fills the temporary table pggit_changes: every object of either set, before and after, and what is to be done with it: keep, create, drop, alter, recreate or, a type that columns have, retype.';

CREATE OR REPLACE FUNCTION pggit._spread_changes()
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_found bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_temp.pggit_changes AS c WHERE c.action IN ('drop', 'recreate', 'retype') OR (c.action = 'alter' AND c.object_type = 'column')) THEN
        RETURN;
    END IF;
    INSERT INTO pg_temp.pggit_mentions
    SELECT c.object_type, c.object_name, true, m FROM pg_temp.pggit_changes AS c CROSS JOIN LATERAL pggit._mentions(c.f) AS m
     WHERE (c.f).object_type IS NOT NULL AND c.object_type IN ('table', 'view', 'materialized view', 'rule', 'policy', 'trigger', 'function', 'procedure', 'aggregate', 'constraint', 'index', 'statistics', 'column', 'domain', 'type');
    ANALYZE pg_temp.pggit_mentions;
    LOOP
        TRUNCATE pg_temp.pggit_touched;
        INSERT INTO pg_temp.pggit_touched
        SELECT c.local, NULL, true FROM pg_temp.pggit_changes AS c
         WHERE c.object_type IN ('table', 'view', 'materialized view', 'function', 'procedure', 'aggregate', 'type', 'domain') AND c.action IN ('drop', 'recreate', 'retype')
        UNION
        SELECT pggit._bare_name(regexp_replace((c.f).parent, '^(?:"(?:[^"]|"")*"|[^.]+)\.', '')), c.local, c.action <> 'alter'
          FROM pg_temp.pggit_changes AS c
         WHERE c.object_type = 'column' AND (c.action IN ('drop', 'recreate')
               OR (c.action = 'alter' AND ((c.f).definition -> 'type', (c.f).definition -> 'collation') IS DISTINCT FROM ((c.t).definition -> 'type', (c.t).definition -> 'collation'))
               OR (c.action IN ('keep', 'alter') AND EXISTS (SELECT FROM pg_temp.pggit_changes AS y WHERE y.action = 'retype' AND y.local = pggit._bare_name(regexp_replace((c.f).definition ->> 'type', '(\[\])+$', '')))));

        UPDATE pg_temp.pggit_changes AS c
           SET action = CASE WHEN (c.t).object_type IS NULL THEN 'drop' ELSE 'recreate' END, is_early = true
         WHERE c.action IN ('keep', 'alter', 'drop') AND NOT c.is_early AND (c.f).object_type IS NOT NULL
           AND (CASE
                WHEN c.object_type IN ('view', 'materialized view', 'function', 'procedure', 'aggregate')
                THEN EXISTS (SELECT FROM pg_temp.pggit_touched AS h JOIN pg_temp.pggit_mentions AS m ON m.object_type = c.object_type AND m.object_name = c.object_name AND m.token = h.token
                              WHERE (h.token <> c.local OR c.object_type IN ('view', 'materialized view'))
                                AND (h.column_name IS NULL OR EXISTS (SELECT FROM pg_temp.pggit_mentions AS k WHERE k.object_type = c.object_type AND k.object_name = c.object_name AND k.token = h.column_name)))
                WHEN c.object_type IN ('rule', 'policy', 'trigger', 'constraint', 'index', 'statistics', 'column')
                THEN EXISTS (SELECT FROM pg_temp.pggit_touched AS h
                               JOIN pg_temp.pggit_mentions AS m ON m.object_type = c.object_type AND m.object_name = c.object_name AND m.token = coalesce(h.column_name, h.token)
                              WHERE CASE WHEN h.column_name IS NULL THEN c.object_type <> 'column' OR (c.f).definition ? 'generated' AND m.token <> pggit._bare_name((c.f).definition ->> 'type')
                                         ELSE (h.token = pggit._bare_name(regexp_replace((c.f).parent, '^(?:"(?:[^"]|"")*"|[^.]+)\.', ''))
                                               AND (CASE WHEN c.object_type = 'column' THEN (c.f).definition ? 'generated' AND c.local <> h.column_name
                                                         WHEN c.object_type IN ('constraint', 'index', 'statistics') THEN h.is_gone ELSE true END))
                                              OR (c.object_type IN ('rule', 'policy') AND EXISTS (SELECT FROM pg_temp.pggit_mentions AS k WHERE k.object_type = c.object_type AND k.object_name = c.object_name AND k.token = h.token)) END)
                END
                -- Of views that are made anew.
                OR (c.object_type IN ('index', 'trigger', 'rule') AND EXISTS (SELECT FROM pg_temp.pggit_changes AS p
                     WHERE p.object_type IN ('view', 'materialized view') AND p.object_name = (c.f).parent AND p.action IN ('drop', 'recreate')))
                -- Foreign keys to a key that goes.
                OR (c.object_type = 'constraint' AND (c.f).definition ? 'references' AND EXISTS (SELECT FROM pg_temp.pggit_changes AS p
                     WHERE p.action IN ('drop', 'recreate') AND ((p.object_type = 'table' AND p.object_name = (c.f).definition ->> 'references')
                           OR ((p.f).parent = (c.f).definition ->> 'references' AND ((p.f).definition ->> 'kind' IN ('primary key', 'unique') OR (p.f).definition ? 'unique'))))));
        GET DIAGNOSTICS v_found = ROW_COUNT;
        EXIT WHEN v_found = 0;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._spread_changes() IS
'Finds what has to be dropped and made anew because what it is made of goes or changes its type: views, and their indexes and triggers, functions, policies, triggers, rules, generated columns, foreign keys.';

CREATE OR REPLACE FUNCTION pggit._levels(p_is_from boolean)
    RETURNS TABLE (object_type text, object_name text, level integer)
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE nodes AS MATERIALIZED (
        SELECT c.object_type, c.object_name, c.local FROM pg_temp.pggit_changes AS c
         WHERE c.action <> 'keep' AND c.object_type IN ('table', 'view', 'materialized view', 'function', 'procedure', 'aggregate', 'type', 'domain')
           AND (CASE WHEN p_is_from THEN c.f ELSE c.t END).object_type IS NOT NULL
    ), edges AS MATERIALIZED (
        SELECT DISTINCT n.object_type, n.object_name, d.object_type AS on_type, d.object_name AS on_name
          FROM nodes AS n JOIN pg_temp.pggit_mentions AS m ON m.object_type = n.object_type AND m.object_name = n.object_name AND m.is_from = p_is_from
          JOIN nodes AS d ON d.local = m.token AND (d.object_type, d.object_name) <> (n.object_type, n.object_name)
    ), levels AS (
        SELECT n.object_type, n.object_name, 0 AS level FROM nodes AS n
        UNION
        SELECT e.object_type, e.object_name, l.level + 1 FROM levels AS l JOIN edges AS e ON e.on_type = l.object_type AND e.on_name = l.object_name WHERE l.level < 40
    )
    SELECT l.object_type, l.object_name, max(l.level) FROM levels AS l GROUP BY 1, 2;
END;
$$;

COMMENT ON FUNCTION pggit._levels(boolean) IS
'Of what is dropped (p_is_from) or made, the level of each object: above that of all others that it mentions.';

CREATE OR REPLACE FUNCTION pggit._order_changes()
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    -- What a table's columns mention, the table does.
    INSERT INTO pg_temp.pggit_mentions
    SELECT CASE c.object_type WHEN 'column' THEN 'table' ELSE c.object_type END, CASE c.object_type WHEN 'column' THEN (c.t).parent ELSE c.object_name END, false, m
      FROM pg_temp.pggit_changes AS c CROSS JOIN LATERAL pggit._mentions(c.t) AS m
     WHERE c.action IN ('create', 'recreate', 'retype', 'alter') AND (c.t).object_type IS NOT NULL
       AND c.object_type IN ('table', 'column', 'view', 'materialized view', 'function', 'procedure', 'aggregate', 'type', 'domain');
    UPDATE pg_temp.pggit_changes AS c SET level = l.level FROM pggit._levels(false) AS l WHERE l.object_type = c.object_type AND l.object_name = c.object_name;
    UPDATE pg_temp.pggit_changes AS c SET drop_level = l.level FROM pggit._levels(true) AS l WHERE l.object_type = c.object_type AND l.object_name = c.object_name;
END;
$$;

COMMENT ON FUNCTION pggit._order_changes() IS
'Sets the levels by which objects are made (level) and, the other way round, dropped (drop_level).';

CREATE OR REPLACE FUNCTION pggit._add_steps(p_phase integer, p_level integer, p_ddl text[], p_type text, p_name text, p_destructive boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO pg_temp.pggit_steps (phase, level, ddl, object_type, object_name, destructive)
    SELECT p_phase, p_level, s.ddl, p_type, p_name, p_destructive FROM unnest(p_ddl) WITH ORDINALITY AS s(ddl, n) WHERE s.ddl IS NOT NULL ORDER BY s.n;
END;
$$;

COMMENT ON FUNCTION pggit._add_steps(integer, integer, text[], text, text, boolean) IS
'Adds statements to the temporary table pggit_steps, which is read by phase, level and order of coming.';

CREATE OR REPLACE FUNCTION pggit._rename_steps(p_renames jsonb, p_phase integer, p_target jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_one   record;
    v_alter text;
    v_name  text;
    v_among boolean;
BEGIN
    FOR v_one IN
        SELECT r.*, row_number() OVER () AS n, EXISTS (SELECT FROM jsonb_to_recordset(p_renames) AS o(object_type text, old_name text) WHERE o.object_type = r.object_type
                 AND o.old_name = CASE r.object_type WHEN 'column' THEN r.parent || '.' || r.new_local ELSE r.new_name END) AS collides,
               substring(r.new_name FROM '^(?:"(?:[^"]|"")*"|[^.]+)') AS new_schema, substring(r.old_name FROM '^(?:"(?:[^"]|"")*"|[^.]+)') AS old_schema
          FROM jsonb_to_recordset(p_renames) AS r(object_type text, old_name text, new_name text, parent text, old_local text, new_local text)
    LOOP
        v_alter := CASE v_one.object_type WHEN 'column' THEN format('ALTER TABLE %s RENAME ', pggit._in_target(v_one.parent, p_target))
                                          WHEN 'constraint' THEN format('ALTER TABLE %s RENAME CONSTRAINT ', pggit._in_target(v_one.parent, p_target)) END;
        v_name  := pggit._in_target(v_one.old_name, p_target);
        v_among := v_one.collides;
        IF v_alter IS NOT NULL THEN
            PERFORM pggit._add_steps(p_phase, CASE WHEN v_among THEN 0 ELSE 1 END, ARRAY[format('%s%s TO %s', v_alter, v_one.old_local, CASE WHEN v_among THEN format('"pggit~%s"', v_one.n) ELSE v_one.new_local END)],
                                     v_one.object_type, v_one.new_name);
            PERFORM pggit._add_steps(p_phase, 2, ARRAY[format('%s"pggit~%s" TO %s', v_alter, v_one.n, v_one.new_local)], v_one.object_type, v_one.new_name) WHERE v_among;
        ELSE
            v_alter := format('ALTER %s ', upper(v_one.object_type));
            PERFORM pggit._add_steps(p_phase, 1, ARRAY[format('%s%s SET SCHEMA %s', v_alter, v_name, pggit._in_target(v_one.new_schema, p_target))], v_one.object_type, v_one.new_name) WHERE v_one.new_schema <> v_one.old_schema;
            v_name := pggit._in_target(v_one.new_schema || '.' || v_one.old_local, p_target);
            PERFORM pggit._add_steps(p_phase, 1, ARRAY[format('%s%s RENAME TO %s', v_alter, v_name, CASE WHEN v_among THEN format('"pggit~%s"', v_one.n) ELSE v_one.new_local END)], v_one.object_type, v_one.new_name)
              WHERE v_one.old_local <> v_one.new_local;
            PERFORM pggit._add_steps(p_phase, 2, ARRAY[format('%s%s RENAME TO %s', v_alter, pggit._in_target(format('%s."pggit~%s"', v_one.new_schema, v_one.n), p_target), v_one.new_local)], v_one.object_type, v_one.new_name)
              WHERE v_among;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._rename_steps(jsonb, integer, jsonb) IS
'Steps for renames (pggit._renames); names that change places go by way of others.';

CREATE OR REPLACE FUNCTION pggit._drop_steps(p_change record, p_target jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_type text    := p_change.object_type;
    v_drop text[]  := ARRAY[pggit._drop_object(p_change.f, p_target)];
    v_gone boolean := p_change.parent_action IN ('drop', 'recreate');  -- what it belongs to takes it along
BEGIN
    CASE
        WHEN v_type IN ('trigger', 'policy', 'rule') THEN
            PERFORM pggit._add_steps(10, 0, v_drop, v_type, p_change.object_name) WHERE v_gone IS NOT TRUE;
        WHEN v_type = 'constraint' AND (p_change.f).definition ? 'references' THEN
            PERFORM pggit._add_steps(11, 0, v_drop, v_type, p_change.object_name)
              WHERE v_gone IS NOT TRUE OR ((p_change.f).definition ->> 'references' <> (p_change.f).parent
                    AND EXISTS (SELECT FROM pg_temp.pggit_changes AS r WHERE r.action IN ('drop', 'recreate')
                                   AND ((r.object_type = 'table' AND r.object_name = (p_change.f).definition ->> 'references')
                                        OR (r.object_type IN ('constraint', 'index') AND (r.f).parent = (p_change.f).definition ->> 'references'))));
        WHEN v_type IN ('view', 'materialized view') OR (v_type IN ('function', 'procedure', 'aggregate') AND (p_change.is_early OR p_change.action = 'recreate')) THEN
            PERFORM pggit._add_steps(12, -p_change.drop_level, v_drop, v_type, p_change.object_name);
        WHEN v_type IN ('index', 'constraint', 'statistics') THEN
            PERFORM pggit._add_steps(13, 0, v_drop, v_type, p_change.object_name) WHERE v_gone IS NOT TRUE;
        WHEN v_type = 'table' THEN
            PERFORM pggit._add_steps(14, -p_change.drop_level, v_drop, v_type, p_change.object_name, true)
              WHERE NOT EXISTS (SELECT FROM pg_temp.pggit_changes AS r WHERE r.object_type = 'table' AND r.object_name = (p_change.f).definition ->> 'partition_of' AND r.action IN ('drop', 'recreate'));
        WHEN v_type = 'column' THEN
            -- A sequence of another column goes with that one.
            PERFORM pggit._add_steps(9, 0, ARRAY[format('ALTER TABLE %s ALTER %s DROP DEFAULT', pggit._in_target((p_change.f).parent, p_target), pggit._local_name(p_change.f))], v_type, p_change.object_name)
              WHERE v_gone IS NOT TRUE AND (p_change.f).definition ->> 'default' LIKE 'nextval(%'
                AND NOT EXISTS (SELECT FROM pg_temp.pggit_changes AS r WHERE r.object_type = 'sequence' AND (r.f).definition ->> 'owned_by' = p_change.object_name);
            PERFORM pggit._add_steps(31, CASE WHEN (p_change.f).definition ? 'generated' THEN 0 ELSE 1 END, v_drop, v_type, p_change.object_name,
                                     NOT ((p_change.f).definition ? 'generated' AND (p_change.action = 'drop' OR (p_change.t).definition ? 'generated')))
              WHERE v_gone IS NOT TRUE;
        WHEN v_type IN ('function', 'procedure', 'aggregate') THEN
            PERFORM pggit._add_steps(90, -p_change.drop_level, v_drop, v_type, p_change.object_name);
        WHEN v_type IN ('type', 'domain') AND p_change.action = 'retype' THEN
            PERFORM pggit._add_steps(15, 0, ARRAY[format('ALTER %s %s RENAME TO %I', upper(v_type), pggit._in_target(p_change.object_name, p_target), left('pggit~' || p_change.local, 63))], v_type, p_change.object_name);
            PERFORM pggit._add_steps(91, 0, ARRAY[format('DROP %s %s.%I', upper(v_type), pggit._in_target((p_change.f).parent, p_target), left('pggit~' || p_change.local, 63))], v_type, p_change.object_name);
        WHEN v_type IN ('type', 'domain') THEN
            PERFORM pggit._add_steps(92, -p_change.drop_level, v_drop, v_type, p_change.object_name);
        WHEN v_type = 'sequence' THEN
            PERFORM pggit._add_steps(93, 0, v_drop, v_type, p_change.object_name, true)
              WHERE NOT EXISTS (SELECT FROM pg_temp.pggit_changes AS r WHERE r.object_type = 'column' AND r.object_name = (p_change.f).definition ->> 'owned_by' AND r.action IN ('drop', 'recreate'));
        ELSE
            PERFORM pggit._add_steps(94, CASE v_type WHEN 'schema' THEN 1 ELSE 0 END, v_drop, v_type, p_change.object_name, v_type = 'extension');
    END CASE;
END;
$$;

COMMENT ON FUNCTION pggit._drop_steps(record, jsonb) IS
'Steps that drop an object, unless it goes with another one: what is made of others before these, what others may still need at the end.';

CREATE OR REPLACE FUNCTION pggit._make_steps(p_change record, p_target jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_type  text   := p_change.object_type;
    v_to    jsonb  := (p_change.t).definition;
    v_made  text[];
    v_phase integer;
    v_base  jsonb;
BEGIN
    IF v_type = 'column' AND p_change.parent_action IN ('create', 'recreate') THEN
        -- Made with its table; what it has other than the parent's is said then.
        IF v_to ? 'inherited' THEN
            SELECT (k.t).definition - '{comment,grants,statistics,options}'::text[] - CASE WHEN v_to ? 'identity' THEN '' ELSE 'identity' END INTO v_base
              FROM pg_temp.pggit_changes AS c
              JOIN pg_temp.pggit_changes AS k ON k.object_type = 'column' AND k.local = p_change.local AND (k.t).object_type IS NOT NULL
               AND ((k.t).parent = (c.t).definition ->> 'partition_of' OR (c.t).definition -> 'inherits' ? (k.t).parent)
             WHERE c.object_type = 'table' AND c.object_name = (p_change.t).parent LIMIT 1;
            PERFORM pggit._add_steps(34, 0, pggit._alter_column(v_base, p_change.t, p_target), v_type, p_change.object_name);
        END IF;
        RETURN;
    END IF;
    v_phase := CASE WHEN v_type IN ('schema', 'extension') THEN 20
                    WHEN v_type = 'sequence' THEN 21
                    WHEN v_type IN ('function', 'procedure', 'aggregate') THEN CASE WHEN p_change.is_late THEN 50 ELSE 22 END
                    WHEN v_type IN ('type', 'domain', 'table') THEN 22
                    WHEN v_type = 'column' THEN CASE WHEN v_to ? 'generated' THEN 34 ELSE 32 END
                    WHEN v_type = 'constraint' THEN CASE WHEN v_to ? 'references' THEN 42 ELSE 40 END
                    WHEN v_type IN ('index', 'statistics') THEN CASE WHEN p_change.parent_type = 'materialized view' THEN 51 ELSE 41 END
                    WHEN v_type IN ('view', 'materialized view') THEN 50
                    ELSE 52 END;
    v_made := pggit._create_object(p_change.t, CASE v_type WHEN 'table' THEN ARRAY(SELECT c.t FROM pg_temp.pggit_changes AS c WHERE c.object_type = 'column' AND (c.t).parent = p_change.object_name) END, p_target);
    PERFORM pggit._add_steps(v_phase, CASE v_type WHEN 'extension' THEN 1 ELSE p_change.level END, v_made, v_type, p_change.object_name);
    IF v_type = 'table' THEN
        PERFORM pggit._add_steps(53, 0, pggit._table_details('{}', p_change.t, p_target), v_type, p_change.object_name);
    ELSIF v_to ? 'owned_by' THEN
        PERFORM pggit._add_steps(53, 0, ARRAY[format('ALTER SEQUENCE %s OWNED BY %s', pggit._in_target(p_change.object_name, p_target), pggit._in_target(v_to ->> 'owned_by', p_target))], v_type, p_change.object_name);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._make_steps(record, jsonb) IS
'Steps that make an object: types and functions before the tables whose columns need them, keys and indexes after the columns, foreign keys after all keys, then views, and what belongs to all of these.';

CREATE OR REPLACE FUNCTION pggit._partition_column_steps(p_change record, p_partition_of text, p_target jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_parent record;
    v_base   jsonb;
    v_back   pggit._schema_object;
BEGIN
    SELECT k.f, k.t INTO v_parent FROM pg_temp.pggit_changes AS k WHERE k.object_type = 'column' AND k.local = p_change.local AND coalesce((k.t).parent, (k.f).parent) = p_partition_of;
    IF p_change.action = 'create' THEN
        v_base := coalesce((v_parent.f).definition, (v_parent.t).definition) - '{comment,grants,statistics,options}'::text[] - CASE WHEN (p_change.t).definition ? 'identity' THEN '' ELSE 'identity' END;
        PERFORM pggit._add_steps(34, 0, pggit._alter_column(v_base, p_change.t, p_target), p_change.object_type, p_change.object_name);
    ELSIF (v_parent.t).object_name IS NOT NULL THEN
        v_back            := p_change.f;
        v_back.definition := (v_parent.t).definition - '{comment,grants,statistics,options}'::text[] - CASE WHEN (p_change.f).definition ? 'identity' THEN '' ELSE 'identity' END;
        PERFORM pggit._add_steps(33, 0, pggit._alter_column((p_change.f).definition, v_back, p_target), p_change.object_type, p_change.object_name);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._partition_column_steps(record, text, jsonb) IS
'Steps for what a partition says of a column that it has from its parent, a default of its own for example, and said not before, or says no more.';

CREATE OR REPLACE FUNCTION pggit._change_steps(p_change record, p_target jsonb)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_type  text  := p_change.object_type;
    v_from  jsonb := (p_change.f).definition;
    v_to    jsonb := (p_change.t).definition;
    v_phase integer;
    v_alter text;
BEGIN
    IF v_type = 'table' THEN
        PERFORM pggit._add_steps(9, 0, pggit._detach_table(v_from, p_change.t, p_target), v_type, p_change.object_name);
        IF v_from ->> 'replica_identity' LIKE 'USING INDEX%' AND (v_from -> 'replica_identity') IS DISTINCT FROM v_to -> 'replica_identity' THEN
            -- Its columns have to stay NOT NULL as long as it is that.
            PERFORM pggit._add_steps(9, 0, ARRAY[format('ALTER TABLE %s REPLICA IDENTITY DEFAULT', pggit._in_target(p_change.object_name, p_target))], v_type, p_change.object_name);
            v_from := v_from - 'replica_identity';
        END IF;
        PERFORM pggit._add_steps(30, 0, pggit._alter_table(v_from, p_change.t, p_target), v_type, p_change.object_name);
        IF v_to ? 'partition_of' AND NOT v_from ? 'partition_of' THEN
            PERFORM pggit._add_steps(CASE WHEN c.f IS NULL THEN 32 ELSE 33 END, 0,
                                     CASE WHEN c.f IS NULL THEN pggit._create_object(k.own, NULL, p_target) ELSE pggit._alter_column((c.f).definition - '{comment,grants}'::text[], k.own, p_target) END, v_type, p_change.object_name)
               FROM (SELECT p.local, ('column', p_change.object_name || substr((p.t).object_name, length((p.t).parent) + 1), p_change.object_name, (p.t).definition - '{comment,grants}'::text[], NULL, NULL, NULL)::pggit._schema_object AS own
                       FROM pg_temp.pggit_changes AS p WHERE p.object_type = 'column' AND (p.t).parent = v_to ->> 'partition_of') AS k
               LEFT JOIN pg_temp.pggit_changes AS c ON c.object_type = 'column' AND (c.f).parent = p_change.object_name AND c.local = k.local;
        END IF;
        PERFORM pggit._add_steps(35, 0, pggit._attach_table(v_from, p_change.t, p_target), v_type, p_change.object_name);
        PERFORM pggit._add_steps(53, 0, pggit._table_details(v_from, p_change.t, p_target), v_type, p_change.object_name);
        RETURN;
    END IF;
    v_phase := CASE WHEN v_type = 'column' THEN 33
                    WHEN v_type IN ('function', 'procedure', 'aggregate') THEN CASE WHEN p_change.is_late THEN 50 ELSE 22 END
                    WHEN v_type = 'constraint' THEN CASE WHEN v_to ? 'references' THEN 42 ELSE 40 END
                    WHEN v_type IN ('index', 'statistics') THEN CASE WHEN p_change.parent_type = 'materialized view' THEN 51 ELSE 41 END
                    WHEN v_type IN ('view', 'materialized view') THEN 50
                    WHEN v_type IN ('trigger', 'policy', 'rule') THEN 52
                    ELSE 21 END;
    IF v_type = 'column' AND v_from ->> 'default' LIKE 'nextval(%' AND (v_from -> 'default') IS DISTINCT FROM v_to -> 'default' THEN
        PERFORM pggit._add_steps(9, 0, ARRAY[format('ALTER TABLE %s ALTER %s DROP DEFAULT', pggit._in_target((p_change.t).parent, p_target), pggit._local_name(p_change.t))], v_type, p_change.object_name);
    END IF;
    IF p_change.is_retyped THEN
        v_alter := format('ALTER TABLE %s ALTER %s ', pggit._in_target((p_change.t).parent, p_target), pggit._local_name(p_change.t));
        PERFORM pggit._add_steps(33, 0, ARRAY[CASE WHEN v_from ? 'default' THEN v_alter || 'DROP DEFAULT' END,
                                              v_alter || format('TYPE %s USING %s::text::%s', v_to ->> 'type', pggit._local_name(p_change.t), v_to ->> 'type'),
                                              v_alter || 'SET DEFAULT ' || (v_to ->> 'default')], v_type, p_change.object_name, true);
    END IF;
    PERFORM pggit._add_steps(v_phase, p_change.level, pggit._alter_object(v_from, p_change.t, p_target), v_type, p_change.object_name,
                             CASE v_type WHEN 'column' THEN v_from ->> 'type' <> v_to ->> 'type' AND pggit._loses_values(v_from ->> 'type', v_to ->> 'type')
                                         WHEN 'type' THEN EXISTS (SELECT FROM jsonb_array_elements(v_from -> 'attributes') AS a(f)
                                                                   WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(v_to -> 'attributes') AS b(t) WHERE b.t ->> 'name' = a.f ->> 'name' AND b.t -> 'type' = a.f -> 'type')
                                                                     AND a.f ->> 'name' NOT IN (SELECT r.old_name FROM pggit._renamed_attributes(v_from, v_to) AS r)) ELSE false END)
      WHERE p_change.action <> 'keep';
    IF v_type = 'sequence' AND (v_from -> 'owned_by') IS DISTINCT FROM v_to -> 'owned_by' THEN
        PERFORM pggit._add_steps(9, 0, ARRAY[format('ALTER SEQUENCE %s OWNED BY NONE', pggit._in_target(p_change.object_name, p_target))], v_type, p_change.object_name) WHERE v_from ? 'owned_by';
        PERFORM pggit._add_steps(53, 0, ARRAY[format('ALTER SEQUENCE %s OWNED BY %s', pggit._in_target(p_change.object_name, p_target), pggit._in_target(v_to ->> 'owned_by', p_target))],
                                 v_type, p_change.object_name) WHERE v_to ? 'owned_by';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._change_steps(record, jsonb) IS
'Steps that change an object that stays.';

CREATE OR REPLACE FUNCTION pggit._schema_steps(p_from pggit._schema_object[], p_to pggit._schema_object[], p_branch_id integer DEFAULT 1)
    RETURNS TABLE (step integer, ddl text, object_type text, object_name text, destructive boolean)
    LANGUAGE plpgsql
    SET client_min_messages = 'warning'
AS $$
DECLARE
    v_target  jsonb := (SELECT jsonb_object_agg(quote_ident(s.base_schema), quote_ident(s.schema_name)) FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND p_branch_id <> 1);
    v_before  text  := current_setting('search_path');
    v_renamed record;
    v_change  record;
BEGIN
    PERFORM set_config('search_path', pggit._schema_path(p_branch_id), true);
    v_renamed := pggit._after_renames(p_from, p_to);
    PERFORM pggit._prepare_changes(v_renamed.objects, p_to, v_target);
    PERFORM pggit._spread_changes();
    PERFORM pggit._order_changes();
    FOR i IN 1 .. 3 LOOP
        PERFORM pggit._rename_steps(v_renamed.renames[i], i, v_target);
    END LOOP;

    FOR v_change IN
        WITH late AS MATERIALIZED (  -- what functions may have to wait for
            SELECT c.local FROM pg_temp.pggit_changes AS c WHERE c.object_type IN ('view', 'materialized view') AND c.action <> 'keep'
            UNION
            SELECT p.local FROM pg_temp.pggit_changes AS c JOIN pg_temp.pggit_changes AS p ON p.object_type = 'table' AND p.object_name = (c.t).parent AND p.action IN ('keep', 'alter')
             WHERE c.object_type = 'column' AND c.action <> 'keep'
        ), retyped AS MATERIALIZED (
            SELECT c.local FROM pg_temp.pggit_changes AS c WHERE c.action = 'retype'
        ), parents AS MATERIALIZED (
            SELECT c.object_name, c.object_type, c.action, c.f, c.t FROM pg_temp.pggit_changes AS c WHERE c.object_type IN ('table', 'view', 'materialized view')
        )
        SELECT c.*, p.action AS parent_action, p.object_type AS parent_type,
               p.action = 'alter' AND (p.f).definition ? 'partition_of' AND NOT (p.t).definition ? 'partition_of' AS was_child,
               (p.f).definition ->> 'partition_of' AS was_part_of,
               CASE WHEN p.action IN ('keep', 'alter') AND (p.f).definition ->> 'partition_of' = (p.t).definition ->> 'partition_of' THEN (p.t).definition ->> 'partition_of' END AS stays_part_of,
               p.action = 'alter' AND (p.t).definition ? 'partition_of' AND NOT (p.f).definition ? 'partition_of' AS is_child,
               p.action = 'alter' AND ((p.f).definition -> 'inherits') IS DISTINCT FROM (p.t).definition -> 'inherits' AS changes_parents,
               c.object_type IN ('column', 'constraint', 'index', 'trigger') AND p.action = 'alter' AND EXISTS (
                   SELECT FROM pg_temp.pggit_changes AS k
                    WHERE k.object_type = c.object_type AND CASE WHEN c.object_type IN ('column', 'trigger') THEN k.local = c.local
                              ELSE (CASE c.action WHEN 'create' THEN k.f ELSE k.t END).definition -> 'definition' = coalesce((c.t).definition, (c.f).definition) -> 'definition' END
                      AND ((c.action = 'create' AND (k.f).parent = (p.f).definition ->> 'partition_of') OR (c.action = 'drop' AND (k.t).parent = (p.t).definition ->> 'partition_of'))) AS is_parents,
               EXISTS (SELECT FROM pg_temp.pggit_mentions AS m JOIN late AS l ON l.local = m.token WHERE m.object_type = c.object_type AND m.object_name = c.object_name AND NOT m.is_from) AS is_late,
               c.object_type = 'column' AND c.action IN ('keep', 'alter') AND (c.f).definition ->> 'type' = (c.t).definition ->> 'type'
               AND pggit._bare_name(regexp_replace((c.t).definition ->> 'type', '(\[\])+$', '')) IN (SELECT r.local FROM retyped AS r) AS is_retyped
          FROM pg_temp.pggit_changes AS c
          LEFT JOIN parents AS p ON p.object_name = coalesce((c.t).parent, (c.f).parent) AND (CASE WHEN c.action = 'drop' THEN p.f ELSE p.t END).object_type IS NOT NULL
         WHERE c.action <> 'keep' OR (c.object_type = 'column' AND EXISTS (SELECT FROM retyped))
         ORDER BY c.object_type COLLATE "C", c.object_name COLLATE "C"
    LOOP
        CONTINUE WHEN v_change.action = 'keep' AND NOT v_change.is_retyped;
        -- What a partition has from its parent, and a child of its checks, comes and goes with them.
        IF v_change.action = 'create' AND v_change.was_child AND v_change.is_parents AND v_change.object_type = 'column' THEN
            PERFORM pggit._add_steps(33, 0, pggit._alter_column((k.f).definition - '{comment,grants,statistics,options}'::text[] - CASE WHEN (v_change.t).definition ? 'identity' THEN '' ELSE 'identity' END,
                                                                v_change.t, v_target), v_change.object_type, v_change.object_name)
               FROM pg_temp.pggit_changes AS k WHERE k.object_type = 'column' AND k.local = v_change.local AND (k.f).parent = v_change.was_part_of;
        END IF;
        IF v_change.object_type = 'column' AND v_change.action IN ('create', 'drop') AND v_change.stays_part_of IS NOT NULL THEN
            PERFORM pggit._partition_column_steps(v_change, v_change.stays_part_of, v_target);
            CONTINUE;
        END IF;
        CONTINUE WHEN (v_change.action = 'create' AND v_change.was_child AND v_change.is_parents) OR (v_change.action = 'drop' AND v_change.is_child AND v_change.is_parents)
                   OR (v_change.object_type = 'constraint' AND v_change.action IN ('create', 'drop') AND v_change.changes_parents AND coalesce((v_change.t).definition, (v_change.f).definition) ->> 'kind' = 'check');
        IF v_change.action IN ('drop', 'recreate', 'retype') THEN
            PERFORM pggit._drop_steps(v_change, v_target);
        END IF;
        IF v_change.action IN ('create', 'recreate', 'retype') THEN
            PERFORM pggit._make_steps(v_change, v_target);
        ELSIF v_change.action IN ('alter', 'keep') THEN
            PERFORM pggit._change_steps(v_change, v_target);
        END IF;
    END LOOP;
    PERFORM set_config('search_path', v_before, true);
    RETURN QUERY SELECT row_number() OVER (ORDER BY s.phase, s.level, s.n)::integer, s.ddl, s.object_type, s.object_name, s.destructive FROM pg_temp.pggit_steps AS s ORDER BY s.phase, s.level, s.n;
END;
$$;

COMMENT ON FUNCTION pggit._schema_steps(pggit._schema_object[], pggit._schema_object[], integer) IS
'The statements, in their order, that bring the schema of main (1) or of a branch from one set of objects (pggit._schema_objects, pggit._schema_tree) to another. They run on the search_path pggit._schema_path, with
check_function_bodies off. destructive: may take values of rows, or a sequence''s place. Renames of tables and columns are known by their ids.';
