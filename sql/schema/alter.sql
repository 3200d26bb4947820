-- Statements that change one object that stays. NULL: it has to be made anew.

CREATE OR REPLACE FUNCTION pggit._alter_enum(p_from jsonb, p_to jsonb, p_name text)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
DECLARE
    v_from text[] := ARRAY(SELECT l FROM jsonb_array_elements_text(p_from -> 'labels') WITH ORDINALITY AS l(l, n) ORDER BY n);
    v_to   text[] := ARRAY(SELECT l FROM jsonb_array_elements_text(p_to -> 'labels') WITH ORDINALITY AS l(l, n) ORDER BY n);
    v_done text[] := '{}';
BEGIN
    IF cardinality(v_from) = cardinality(v_to) THEN
        -- At the same place, and nowhere else on the other side: another name.
        FOR i IN 1 .. cardinality(v_to) LOOP
            IF v_from[i] <> v_to[i] THEN
                IF v_from[i] = ANY (v_to) OR v_to[i] = ANY (v_from) THEN
                    RETURN NULL;
                END IF;
                v_done := v_done || format('ALTER TYPE %s RENAME VALUE %L TO %L', p_name, v_from[i], v_to[i]);
            END IF;
        END LOOP;
        RETURN v_done;
    ELSIF v_from <> ARRAY(SELECT l FROM unnest(v_to) WITH ORDINALITY AS l(l, n) WHERE l = ANY (v_from) ORDER BY n) THEN
        RETURN NULL;
    END IF;
    FOR i IN 1 .. cardinality(v_to) LOOP
        IF v_to[i] <> ALL (v_from) THEN
            v_done := v_done || (format('ALTER TYPE %s ADD VALUE %L', p_name, v_to[i])
                                 || CASE WHEN i > 1 THEN format(' AFTER %L', v_to[i - 1]) WHEN cardinality(v_from) > 0 THEN format(' BEFORE %L', v_from[1]) ELSE '' END);
        END IF;
    END LOOP;
    RETURN v_done;
END;
$$;

COMMENT ON FUNCTION pggit._alter_enum(jsonb, jsonb, text) IS
'Labels that were added, or renamed where they stand; NULL where labels went or changed places.';

CREATE OR REPLACE FUNCTION pggit._renamed_attributes(p_from jsonb, p_to jsonb)
    RETURNS TABLE (old_name text, new_name text)
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    -- At the same place and of the same type, and nowhere else on the other side.
    SELECT f.a ->> 'name', t.a ->> 'name'
      FROM jsonb_array_elements(p_from -> 'attributes') WITH ORDINALITY AS f(a, n) JOIN jsonb_array_elements(p_to -> 'attributes') WITH ORDINALITY AS t(a, n) USING (n)
     WHERE jsonb_array_length(p_from -> 'attributes') = jsonb_array_length(p_to -> 'attributes') AND f.a - 'name' = t.a - 'name' AND f.a -> 'name' <> t.a -> 'name'
       AND NOT jsonb_path_query_array(p_to -> 'attributes', '$[*].name') @> (f.a -> 'name') AND NOT jsonb_path_query_array(p_from -> 'attributes', '$[*].name') @> (t.a -> 'name');
$$;

COMMENT ON FUNCTION pggit._renamed_attributes(jsonb, jsonb) IS
'The attributes of a composite type that have another name at the same place.';

CREATE OR REPLACE FUNCTION pggit._alter_composite(p_from jsonb, p_to jsonb, p_name text)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN ARRAY(SELECT format('ALTER TYPE %s RENAME ATTRIBUTE %I TO %I', p_name, r.old_name, r.new_name) FROM pggit._renamed_attributes(p_from, p_to) AS r)
           || (SELECT coalesce(array_agg(CASE WHEN t.a IS NULL THEN format('ALTER TYPE %s DROP ATTRIBUTE %I', p_name, name)
                                           WHEN f.a IS NULL THEN concat_ws(' ', format('ALTER TYPE %s ADD ATTRIBUTE %I %s', p_name, name, t.a ->> 'type'), 'COLLATE ' || (t.a ->> 'collation'))
                                           ELSE concat_ws(' ', format('ALTER TYPE %s ALTER ATTRIBUTE %I TYPE %s', p_name, name, t.a ->> 'type'), 'COLLATE ' || (t.a ->> 'collation')) END
                                      ORDER BY t.a IS NULL DESC, t.n), '{}')
              FROM (SELECT coalesce(r.new_name, a ->> 'name') AS name, a - 'name' AS a FROM jsonb_array_elements(p_from -> 'attributes') AS a LEFT JOIN pggit._renamed_attributes(p_from, p_to) AS r ON r.old_name = a ->> 'name') AS f
              FULL JOIN (SELECT a ->> 'name' AS name, a - 'name' AS a, n FROM jsonb_array_elements(p_to -> 'attributes') WITH ORDINALITY AS a(a, n)) AS t USING (name)
             WHERE f.a IS DISTINCT FROM t.a);
END;
$$;

COMMENT ON FUNCTION pggit._alter_composite(jsonb, jsonb, text) IS
'Attributes that were renamed, went, came or have other types.';

CREATE OR REPLACE FUNCTION pggit._alter_domain(p_from jsonb, p_to jsonb, p_name text)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT CASE WHEN (p_from -> 'base', p_from -> 'collation') IS NOT DISTINCT FROM (p_to -> 'base', p_to -> 'collation') THEN
                       ARRAY(SELECT format('ALTER DOMAIN %s DROP CONSTRAINT %I', p_name, f.key) FROM jsonb_each_text(p_from -> 'constraints') AS f
                              WHERE f.value IS DISTINCT FROM p_to #>> ARRAY['constraints', f.key] ORDER BY f.key)
                       || CASE WHEN (p_from -> 'default') IS DISTINCT FROM p_to -> 'default' THEN ARRAY[format('ALTER DOMAIN %s %s', p_name, coalesce('SET DEFAULT ' || (p_to ->> 'default'), 'DROP DEFAULT'))] ELSE '{}' END
                       || CASE WHEN (p_from ? 'not_null') <> (p_to ? 'not_null') THEN ARRAY[format('ALTER DOMAIN %s %s NOT NULL', p_name, CASE WHEN p_to ? 'not_null' THEN 'SET' ELSE 'DROP' END)] ELSE '{}' END
                       || ARRAY(SELECT format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', p_name, t.key, t.value) FROM jsonb_each_text(p_to -> 'constraints') AS t
                                 WHERE t.value IS DISTINCT FROM p_from #>> ARRAY['constraints', t.key] ORDER BY t.key) END);
END;
$$;

COMMENT ON FUNCTION pggit._alter_domain(jsonb, jsonb, text) IS
'Default, NOT NULL and constraints of a domain; NULL where its base type is another one.';

CREATE OR REPLACE FUNCTION pggit._alter_view(p_from jsonb, p_to pggit._schema_object, p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT CASE WHEN (SELECT bool_and(f.c IS NOT DISTINCT FROM d.to -> 'columns' -> (f.n::integer - 1)) FROM jsonb_array_elements(p_from -> 'columns') WITH ORDINALITY AS f(c, n)) IS NOT FALSE THEN
                       ARRAY(SELECT format('ALTER VIEW %s ALTER %I DROP DEFAULT', d.name, k) FROM jsonb_object_keys(p_from -> 'column_defaults') AS k WHERE NOT coalesce(d.to -> 'column_defaults' ? k, false))
                       || ARRAY(SELECT format('COMMENT ON COLUMN %s.%I IS NULL', d.name, k) FROM jsonb_object_keys(p_from -> 'column_comments') AS k WHERE NOT coalesce(d.to -> 'column_comments' ? k, false))
                       || ARRAY(SELECT s FROM jsonb_each(p_from -> 'column_grants') AS c CROSS JOIN LATERAL unnest(pggit._grant_statements('TABLE ' || d.name, quote_ident(c.key), c.value, NULL)) AS s)
                       || pggit._create_view(p_to, p_target) || pggit._common_statements(p_from, p_to, p_target) END
              FROM (SELECT (p_to).definition AS to, pggit._in_target((p_to).object_name, p_target) AS name) AS d);
END;
$$;

COMMENT ON FUNCTION pggit._alter_view(jsonb, pggit._schema_object, jsonb) IS
'CREATE OR REPLACE, which keeps the columns there are and may add some; NULL where it would not.';

CREATE OR REPLACE FUNCTION pggit._alter_object(p_from jsonb, p_to pggit._schema_object, p_target jsonb)
    RETURNS text[]
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_to    jsonb  := (p_to).definition;
    v_name  text   := pggit._in_target((p_to).object_name, p_target);
    v_table text   := pggit._in_target((p_to).parent, p_target);
    v_local text   := pggit._local_name(p_to);
    v_other text[] := ARRAY(SELECT key FROM jsonb_each(p_from) AS f FULL JOIN jsonb_each(v_to) AS t USING (key) WHERE f.value IS DISTINCT FROM t.value AND key NOT IN ('comment', 'grants'));
    v_done  text[];
BEGIN
    IF v_other = '{}' THEN
        RETURN pggit._common_statements(p_from, p_to, p_target);
    END IF;
    CASE (p_to).object_type
        WHEN 'extension' THEN
            v_done := CASE WHEN 'version' = ANY (v_other) THEN ARRAY[format('ALTER EXTENSION %s UPDATE TO %L', v_name, v_to ->> 'version')] ELSE '{}' END
                      || CASE WHEN 'schema' = ANY (v_other) THEN ARRAY[format('ALTER EXTENSION %s SET SCHEMA %s', v_name, v_to ->> 'schema')] ELSE '{}' END;
        WHEN 'column' THEN
            RETURN pggit._alter_column(p_from, p_to, p_target);
        WHEN 'constraint' THEN
            v_done := CASE WHEN v_other = '{definition}' AND p_from ->> 'definition' = (v_to ->> 'definition') || ' NOT VALID' THEN ARRAY[format('ALTER TABLE %s VALIDATE CONSTRAINT %s', v_table, v_local)] END;
        WHEN 'trigger' THEN
            v_done := CASE WHEN v_other = '{enabled}' THEN ARRAY[format('ALTER TABLE %s %s TRIGGER %s', v_table, coalesce(v_to ->> 'enabled', 'ENABLE'), v_local)] END;
        WHEN 'policy' THEN
            v_done := CASE WHEN NOT v_other && '{command,restrictive}' AND (v_to ? 'using' OR NOT p_from ? 'using') AND (v_to ? 'with_check' OR NOT p_from ? 'with_check')
                           THEN ARRAY[concat_ws(' ', 'ALTER POLICY', v_local, 'ON', v_table, 'TO ' || (SELECT string_agg(r, ', ') FROM jsonb_array_elements_text(v_to -> 'roles') AS r),
                                                'USING (' || (v_to ->> 'using') || ')', 'WITH CHECK (' || (v_to ->> 'with_check') || ')')] END;
        WHEN 'rule' THEN
            v_done := ARRAY[regexp_replace(v_to ->> 'definition', '^CREATE RULE', 'CREATE OR REPLACE RULE'), format('ALTER TABLE %s %s RULE %s', v_table, coalesce(v_to ->> 'enabled', 'ENABLE'), v_local)];
        WHEN 'statistics' THEN
            v_done := CASE WHEN v_other = '{target}' THEN ARRAY[format('ALTER STATISTICS %s SET STATISTICS %s', v_name, coalesce(v_to ->> 'target', '-1'))] END;
        WHEN 'sequence' THEN
            v_done := CASE WHEN v_other && '{type,increment,min,max,start,cache,cycle}'
                           THEN ARRAY[concat_ws(' ', 'ALTER SEQUENCE', v_name, 'AS', v_to ->> 'type', 'INCREMENT', v_to ->> 'increment', 'MINVALUE', v_to ->> 'min', 'MAXVALUE', v_to ->> 'max',
                                                'START', v_to ->> 'start', 'CACHE', v_to ->> 'cache', CASE WHEN v_to ? 'cycle' THEN 'CYCLE' ELSE 'NO CYCLE' END)] ELSE '{}' END
                      || CASE WHEN 'unlogged' = ANY (v_other) THEN ARRAY[format('ALTER SEQUENCE %s SET %s', v_name, CASE WHEN v_to ? 'unlogged' THEN 'UNLOGGED' ELSE 'LOGGED' END)] ELSE '{}' END;
        WHEN 'function', 'procedure' THEN
            v_done := CASE WHEN NOT v_other && '{arguments,result,window}' THEN ARRAY[pggit._create_routine(p_to, p_target)] END;
        WHEN 'aggregate' THEN
            v_done := CASE WHEN NOT v_other && '{arguments,result,kind}' THEN ARRAY[pggit._create_aggregate(p_to, p_target)] END;
        WHEN 'view' THEN
            RETURN pggit._alter_view(p_from, p_to, p_target);
        WHEN 'materialized view' THEN
            v_done := CASE WHEN v_other = '{options}' THEN pggit._option_statements('ALTER MATERIALIZED VIEW ' || v_name, p_from -> 'options', v_to -> 'options') END;
        WHEN 'type' THEN
            v_done := CASE WHEN p_from ->> 'kind' = v_to ->> 'kind' THEN CASE v_to ->> 'kind' WHEN 'enum' THEN pggit._alter_enum(p_from, v_to, v_name)
                                                                                              WHEN 'composite' THEN pggit._alter_composite(p_from, v_to, v_name) END END;
        WHEN 'domain' THEN
            v_done := pggit._alter_domain(p_from, v_to, v_name);
        ELSE
            NULL;
    END CASE;
    RETURN CASE WHEN v_done IS NOT NULL THEN v_done || pggit._common_statements(p_from, p_to, p_target) END;
END;
$$;

COMMENT ON FUNCTION pggit._alter_object(jsonb, pggit._schema_object, jsonb) IS
'The statements that bring an object (a table: pggit._alter_table) from a definition to its own; NULL where it has to be dropped and made anew.';
