-- Who changed which object when, by which statement: written by event triggers, where there are any.

CREATE OR REPLACE FUNCTION pggit._masked_statements(p_sql text)
    RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
DECLARE
    v_done    text[]  := '{}';
    v_masked  text[]  := '{}';
    v_state   text    := 'code';
    v_last    text;
    v_at      integer := 0;
    v_skip    integer := 0;
    v_depth   integer;
    v_escapes boolean;
    v_escaped boolean;
    v_piece   text;
    v_first   text;
    v_is_odd  boolean;
BEGIN
    -- The text is cut once, so that the time grows as the text does. A letter of a name is also all that is not ASCII, whatever the collation.
    FOR v_piece IN
        SELECT m[1] FROM regexp_matches(p_sql, $re$('+|"+|--|/\*|\*/|\\|[$](?:[^\x01-\x40\x5b-\x5e\x60\x7b-\x7f][^\x01-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]*)?[$]|[^\x01-\x40\x5b-\x5e\x60\x7b-\x7f][^\x01-\x23\x25-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]*|[ \t0-9]+|.)$re$, 'g') AS m
    LOOP
        v_at := v_at + length(v_piece);
        CONTINUE WHEN v_at <= v_skip;
        v_piece  := right(v_piece, v_at - v_skip);
        v_skip   := v_at;
        v_first  := left(v_piece, 1);
        v_is_odd := length(v_piece) % 2 = 1;
        CASE v_state
        WHEN 'code' THEN
            IF v_first = '''' THEN
                v_escapes := v_last IN ('e', 'E');
                v_escaped := false;
                v_masked  := v_masked || '''…'''::text;
                v_state   := CASE WHEN v_is_odd THEN 'literal' ELSE 'code' END;
            ELSIF v_first = '"' THEN
                v_masked := v_masked || v_piece;
                v_state  := CASE WHEN v_is_odd THEN 'name' ELSE 'code' END;
            ELSIF v_first = '$' AND length(v_piece) > 1 THEN
                v_depth := strpos(substr(p_sql, v_at + 1), v_piece);
                IF v_depth = 0 THEN
                    RETURN NULL;
                END IF;
                v_masked := v_masked || (v_piece || '…' || v_piece);
                v_skip   := v_at + v_depth + length(v_piece) - 1;
            ELSIF v_piece = '--' THEN
                v_state := 'line';
            ELSIF v_piece = '/*' THEN
                v_masked := v_masked || ' '::text;
                v_depth  := 1;
                v_state  := 'block';
            ELSIF v_piece = ';' THEN
                v_done   := v_done || btrim(array_to_string(v_masked, ''), E' \t\r\n');
                v_masked := '{}';
            ELSE
                v_masked := v_masked || v_piece;
            END IF;
            v_last := v_piece;
        WHEN 'literal' THEN
            -- A backslash before a quote means one thing or another, by a setting of then and by the literal that goes on here.
            IF v_first = '''' AND v_escaped AND NOT v_escapes THEN
                RETURN NULL;
            ELSIF v_first = '''' AND v_is_odd <> v_escaped THEN
                v_state := 'code';
            END IF;
            v_escaped := v_piece = '\' AND NOT v_escaped;
        WHEN 'name' THEN
            v_masked := v_masked || v_piece;
            v_state  := CASE WHEN v_first = '"' AND v_is_odd THEN 'code' ELSE 'name' END;
        WHEN 'line' THEN
            IF v_piece IN (E'\n', E'\r') THEN
                v_masked := v_masked || v_piece;
                v_state  := 'code';
            END IF;
        ELSE
            v_depth := v_depth + CASE v_piece WHEN '/*' THEN 1 WHEN '*/' THEN -1 ELSE 0 END;
            v_state := CASE v_depth WHEN 0 THEN 'code' ELSE 'block' END;
        END CASE;
    END LOOP;
    RETURN CASE WHEN v_state IN ('code', 'line') AND v_skip <= v_at THEN array_remove(v_done || btrim(array_to_string(v_masked, ''), E' \t\r\n'), '') END;
END;
$$;

COMMENT ON FUNCTION pggit._masked_statements(text) IS
'The statements of a text, without comments and with … in place of what every literal and body holds, for that may be a secret; NULL for a text that ends in the middle of one.';

CREATE OR REPLACE FUNCTION pggit._running_statement(p_command text, p_context text, p_names text[], p_ends boolean)
    RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog
AS $$
DECLARE
    v_sql   text    := coalesce(substring(p_context FROM 'SQL statement "(.*?)"\n(?:PL/pgSQL|SQL) function'), current_query());
    v_kept  text    := current_setting('pggit.statements', true);
    v_next  integer := 1;
    v_all   text[];
    v_found integer;
BEGIN
    -- A script that is sent as one text is read once, not by each of its statements.
    IF left(v_kept, 32) = md5(v_sql) THEN
        v_all  := substr(v_kept, 33)::text[];
        v_next := current_setting('pggit.statement_at', true)::integer;
    ELSE
        v_all := CASE WHEN octet_length(v_sql) <= 65536 AND current_setting('standard_conforming_strings')::boolean THEN pggit._masked_statements(v_sql) END;
        PERFORM set_config('pggit.statements', md5(v_sql) || coalesce(v_all, '{}')::text, true);
    END IF;
    -- An index without a name of its own is found by the command alone.
    FOR v_i IN 0 .. 2 * coalesce(cardinality(v_all), 0) - 1 LOOP
        v_found := (v_next + v_i - 1) % cardinality(v_all) + 1;
        EXIT WHEN v_all[v_found] ~* format('^%s\M.*\m%s\M', split_part(p_command, ' ', 1), substring(p_command FROM '[A-Z]+$'))
                  AND (v_i >= cardinality(v_all) OR p_names = '{}' OR EXISTS (SELECT FROM unnest(p_names) AS n WHERE strpos(lower(v_all[v_found]), lower(replace(n, '"', '""'))) > 0));
        v_found := NULL;
    END LOOP;
    PERFORM set_config('pggit.statement_at', (coalesce(v_found, v_next) + CASE WHEN p_ends AND v_found IS NOT NULL THEN 1 ELSE 0 END)::text, true);
    RETURN left(v_all[coalesce(v_found, 1)], 8192);
END;
$$;

COMMENT ON FUNCTION pggit._running_statement(text, text, text[], boolean) IS
'The statement that runs, masked (pggit._masked_statements): of those in the nearest EXECUTE of PL/pgSQL, or that the client sent, the next one of this command that has one of the names, or else the next one of the command; what comes after it is looked at first next time
(p_ends). Where none is, the first. NULL where the text has more than 64 kB or can''t be read for sure.';

CREATE OR REPLACE FUNCTION pggit._log_ddl(p_command text, p_context text, p_objects jsonb, p_ends boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._current_epoch();
    INSERT INTO pggit.ddl_log (_seq, _xid, branch_id, command, object_type, object_name, session_role, effective_role, application_name, client_address, statement)
    WITH spaces AS MATERIALIZED (
        SELECT 1 AS branch_id, t.schema_name, t.schema_name AS base_schema FROM pggit.tracked_schemas AS t
        UNION SELECT 1, t.schema_name, t.schema_name FROM pggit.tables AS t WHERE t.untracked_at IS NULL AND t.on_main
        UNION ALL SELECT b.branch_id, b.schema_name, b.base_schema FROM pggit.branch_schemas AS b
    ), changed AS MATERIALIZED (
        SELECT DISTINCT s.branch_id, o.kind, CASE WHEN o.kind IN ('function', 'procedure', 'aggregate')
                    THEN format('%I.%I(%s)', s.base_schema, o.names[2], (SELECT string_agg(regexp_replace(a, '^(?:pg_catalog|' || quote_ident(o.schema_name) || ')\.', ''), ', ' ORDER BY n)
                                                                           FROM unnest(o.args) WITH ORDINALITY AS a(a, n)))
                    ELSE quote_ident(s.base_schema) || coalesce((SELECT string_agg('.' || quote_ident(n), '' ORDER BY i) FROM unnest(o.names[2:]) WITH ORDINALITY AS n(n, i)), '') END AS name,
               o.names[cardinality(o.names)] AS local
          FROM jsonb_to_recordset(p_objects) AS o(kind text, schema_name text, names text[], args text[]) JOIN spaces AS s ON s.schema_name = o.schema_name
         WHERE o.kind IS NOT NULL
        UNION ALL
        SELECT coalesce((pggit._session_branch()).branch_id, 1), lower(o.kind), NULL, NULL
          FROM jsonb_to_recordset(p_objects) AS o(kind text, names text[]) WHERE o.names IS NULL AND p_command IN ('GRANT', 'REVOKE')
    ), running AS MATERIALIZED (
        SELECT pggit._running_statement(p_command, p_context, ARRAY(SELECT c.local FROM changed AS c WHERE c.local IS NOT NULL), p_ends) AS statement WHERE EXISTS (SELECT FROM changed)
    )
    SELECT nextval('pggit._ordinal'), pggit._transaction_number(), c.branch_id, p_command, c.kind, c.name, session_user, pggit._actor(), current_setting('application_name'), inet_client_addr(), r.statement
      FROM changed AS c CROSS JOIN running AS r;
EXCEPTION
    WHEN OTHERS THEN
        RAISE WARNING 'pggit.ddl_log has no row of this %: %', p_command, SQLERRM;
END;
$$;

COMMENT ON FUNCTION pggit._log_ddl(text, text, jsonb, boolean) IS
'Writes pggit.ddl_log: for a command, its context (PG_CONTEXT) and the objects it changed, {kind, schema_name, names, args} each, those that are versioned. Of GRANT and REVOKE PostgreSQL does not say on what. p_ends: nothing else is told of the
command. Never fails, but warns.';

CREATE OR REPLACE FUNCTION pggit._object_kind(p_type text)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT CASE WHEN p_type IN ('table', 'view', 'materialized view', 'sequence', 'index', 'function', 'procedure', 'aggregate', 'type', 'domain', 'trigger', 'policy', 'rule', 'schema') THEN p_type
                        ELSE (SELECT k.kind FROM (VALUES ('table column', 'column'), ('table constraint', 'constraint'), ('domain constraint', 'domain'), ('composite type', 'type'),
                                                         ('statistics object', 'statistics')) AS k(type, kind) WHERE k.type = p_type) END);
END;
$$;

COMMENT ON FUNCTION pggit._object_kind(text) IS
'The kind of a versioned object that PostgreSQL''s event triggers call p_type; NULL for what is not versioned.';

CREATE OR REPLACE FUNCTION pggit._heed_comment(p_relation oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table pggit.tables;
    v_head  pggit._position;
BEGIN
    SELECT t.* INTO v_table FROM pggit.tables AS t WHERE t.relation = p_relation AND t.untracked_at IS NULL AND t.on_main;
    IF NOT FOUND OR NOT pggit._is_ignored(p_relation) THEN
        RETURN;
    END IF;
    v_head := (SELECT b.head_at FROM pggit.branches AS b WHERE b.branch_id = 1);
    IF (v_head IS NULL OR NOT pggit._mark_in(v_table.tracked_at, (v_head).x)) AND NOT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = v_table.table_id) THEN
        PERFORM pggit.untrack_table(p_relation::regclass::text);
    ELSE
        RAISE WARNING USING
            MESSAGE = format('table %s stays under version control: it has been committed', p_relation::regclass),
            HINT    = format('SELECT pggit.untrack_table(%L); ends that.', p_relation::regclass);
    END IF;
EXCEPTION
    WHEN OTHERS THEN
        RAISE WARNING 'table % stays under version control: %', p_relation::regclass, SQLERRM;
END;
$$;

COMMENT ON FUNCTION pggit._heed_comment(oid) IS
'@pggit:ignore in the comment of a table that no commit has takes it out of version control; of one that has been committed it only warns. Never fails.';

CREATE OR REPLACE FUNCTION pggit._on_ddl_to_log()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off
AS $$
DECLARE
    v_context text;
BEGIN
    GET DIAGNOSTICS v_context = PG_CONTEXT;
    IF pggit._is_own_ddl(v_context) OR NOT EXISTS (SELECT FROM pggit.tables) THEN
        RETURN;
    END IF;
    IF TG_TAG = 'COMMENT' THEN
        PERFORM pggit._heed_comment(d.objid) FROM pg_event_trigger_ddl_commands() AS d WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0;
    END IF;
    IF pggit._is_paused() THEN
        RETURN;
    END IF;
    PERFORM pggit._log_ddl(TG_TAG, v_context, jsonb_agg(jsonb_build_object(
                'kind', coalesce(pggit._object_kind(d.object_type), CASE WHEN TG_TAG IN ('GRANT', 'REVOKE') THEN d.object_type END),
                'schema_name', coalesce(d.schema_name, a.object_names[1]),
                'names', CASE WHEN d.object_type IN ('type', 'domain', 'domain constraint') THEN (SELECT jsonb_build_array(n.nspname, t.typname) FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
                                     WHERE t.oid = CASE WHEN d.classid = 'pg_constraint'::regclass THEN (SELECT c.contypid FROM pg_constraint AS c WHERE c.oid = d.objid) ELSE d.objid END)
                              WHEN a.object_names IS NOT NULL THEN to_jsonb(a.object_names) END,
                'args', to_jsonb(a.object_args))), true)
       FROM pg_event_trigger_ddl_commands() AS d
       LEFT JOIN LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) AS a ON d.classid <> 0 AND d.objid <> 0
      WHERE NOT d.in_extension AND d.schema_name IS DISTINCT FROM 'pg_temp'
     HAVING count(*) > 0;
END;
$$;

COMMENT ON FUNCTION pggit._on_ddl_to_log() IS
'Event trigger: what was made or changed goes into pggit.ddl_log.';

CREATE OR REPLACE FUNCTION pggit._on_drop_to_log()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET quote_all_identifiers = off
AS $$
DECLARE
    v_context text;
BEGIN
    GET DIAGNOSTICS v_context = PG_CONTEXT;
    IF pggit._is_own_ddl(v_context) OR NOT EXISTS (SELECT FROM pggit.tables) OR pggit._is_paused() THEN
        RETURN;
    END IF;
    PERFORM pggit._log_ddl(TG_TAG, v_context, jsonb_agg(jsonb_build_object(
                'kind', pggit._object_kind(d.object_type), 'schema_name', coalesce(d.schema_name, d.address_names[1]),
                'names', CASE WHEN d.object_type IN ('type', 'domain') THEN jsonb_build_array(d.schema_name, d.object_name) ELSE to_jsonb(d.address_names) END, 'args', to_jsonb(d.address_args))), TG_TAG NOT LIKE 'ALTER %')
       FROM pg_event_trigger_dropped_objects() AS d
      WHERE NOT d.is_temporary AND (d.original OR d.object_type IN ('table', 'view', 'materialized view', 'function', 'procedure', 'aggregate', 'sequence', 'table column'))
     HAVING count(*) > 0;
END;
$$;

COMMENT ON FUNCTION pggit._on_drop_to_log() IS
'Event trigger: what was dropped, by name or by CASCADE, goes into pggit.ddl_log.';

DO $triggers$
BEGIN
    IF NOT current_setting('is_superuser')::boolean THEN
        RETURN;
    END IF;
    DROP EVENT TRIGGER IF EXISTS pggit_log_ddl;
    DROP EVENT TRIGGER IF EXISTS pggit_log_drop;
    CREATE EVENT TRIGGER pggit_log_ddl ON ddl_command_end EXECUTE FUNCTION pggit._on_ddl_to_log();
    CREATE EVENT TRIGGER pggit_log_drop ON sql_drop EXECUTE FUNCTION pggit._on_drop_to_log();
    ALTER EVENT TRIGGER pggit_log_ddl ENABLE ALWAYS;
    ALTER EVENT TRIGGER pggit_log_drop ENABLE ALWAYS;
END;
$triggers$;
