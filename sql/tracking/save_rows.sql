-- What DDL is going to take away is saved before: DROP COLUMN and ALTER COLUMN TYPE fire no row triggers.

CREATE OR REPLACE FUNCTION pggit._word(p_name text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT '(?<![[:alnum:]_])' || regexp_replace(lower(replace(p_name, '"', '""')), '([^[:alnum:]_])', '\\\1', 'g')
           || CASE WHEN octet_length(p_name) < 63 THEN '(?![[:alnum:]_])' ELSE '' END;
$$;

COMMENT ON FUNCTION pggit._word(text) IS
'Regular expression: a name, quoted or not, in the text of a statement in lower case. What a name of 63 bytes was cut from may go on.';

CREATE OR REPLACE FUNCTION pggit._takes_columns(p_statement text, p_table text, p_columns text[])
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH blank AS (
                SELECT $re$(?:\s|/\*.*?\*/|--[^\n]*\n)$re$ AS b
            )
            SELECT p_statement ~ pggit._word(p_table)
                   AND EXISTS (SELECT FROM unnest(p_columns) AS c(name) CROSS JOIN blank AS s CROSS JOIN LATERAL pggit._word(c.name) AS w(name)
                                WHERE (p_statement ~ format('\mdrop%1$s+(?:column%1$s*)?(?:if%1$s+exists%1$s*)?"?%2$s', s.b, w.name)
                                       OR p_statement ~ format('%2$s"?%1$s*(?:set%1$s+data%1$s+)?type\M', s.b, w.name)
                                       OR (p_statement ~ '[$]|\m(?:execute|select|call)\M' AND p_statement ~ '\m(?:drop|type)\M' AND p_statement ~ w.name))));
END;
$$;

COMMENT ON FUNCTION pggit._takes_columns(text, text, text[]) IS
'Whether a statement, in lower case, may drop or retype a column of a table: it names the table, and says so of one of its columns. Where statements may be put together at run time, any mention of the
names counts. Not a parser: a statement that is missed leaves a gap, one that is meant too much costs the time to save.';

CREATE OR REPLACE FUNCTION pggit._takes_key(p_statement text, p_table pggit.tables)
    RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_constraint AS k
                    WHERE k.conrelid = p_table.relation AND k.contype = 'p' AND p_statement ~ ('\mdrop\M.*\mconstraint\M.*' || pggit._word(k.conname)));
$$;

COMMENT ON FUNCTION pggit._takes_key(text, pggit.tables) IS
'Whether a statement, in lower case, may drop the primary key of a table. Branches that show the table as a view need it, so they get real tables first.';

CREATE OR REPLACE FUNCTION pggit._log_all_rows(p_table_id integer, p_op "char", p_seq bigint)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('INSERT INTO pggit._log_%s (_seq, _xid, _op, %s) SELECT $1, pggit._transaction_number(), $2, %s FROM %s AS b',
                   p_table_id, pggit._stored_columns(p_table_id), pggit._user_columns(p_table_id, 'b'), (SELECT pggit._rows_of(t.relation) FROM pggit.tables AS t WHERE t.table_id = p_table_id))
      USING p_seq, p_op;
END;
$$;

COMMENT ON FUNCTION pggit._log_all_rows(integer, "char", bigint) IS
'Logs all rows of a table as they are, under an ordinal of this transaction.';

CREATE OR REPLACE FUNCTION pggit._is_shown(p_table_id integer, p_column_id integer DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = p_table_id AND bt.form = 'view' AND (p_column_id IS NULL OR p_column_id = ANY (bt.shape))));
END;
$$;

COMMENT ON FUNCTION pggit._is_shown(integer, integer) IS
'Whether branches show a table, or one of its columns, in views.';

CREATE OR REPLACE FUNCTION pggit._why_not_saved(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT CASE WHEN current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted')
                            THEN format('a transaction that is %s may not see all rows', upper(current_setting('transaction_isolation')))
                        WHEN s.is_shown AND s.size > greatest(pg_size_bytes(s.allowed), pg_size_bytes(s.for_branches))
                            THEN format('the table has %s, and pggit.materialize_ddl_limit is %s', pg_size_pretty(s.size), s.for_branches)
                        WHEN NOT s.is_shown AND s.size > pg_size_bytes(s.allowed) THEN format('the table has %s, and pggit.save_limit is %s', pg_size_pretty(s.size), s.allowed) END
              FROM (SELECT (pg_table_size(p_relation) + coalesce((SELECT sum(pg_table_size(p.relation)) FROM pggit._partitions(p_relation) AS p), 0))::bigint AS size,
                           pggit._size_setting('pggit.save_limit', '256MB') AS allowed,
                           pggit._size_setting('pggit.materialize_ddl_limit', '1GB') AS for_branches,
                           EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = p_relation AND t.untracked_at IS NULL AND pggit._is_shown(t.table_id)) AS is_shown) AS s);
END;
$$;

COMMENT ON FUNCTION pggit._why_not_saved(oid) IS
'Why the rows of a table are not saved before DDL takes some of their values: isolation, or the setting pggit.save_limit (256MB); NULL when they are. Where branches show the table as
views, which need the rows, pggit.materialize_ddl_limit (1GB) is the limit, if it is larger.';

CREATE OR REPLACE FUNCTION pggit._save_rows(p_table pggit.tables)
    RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    v_why   text;
    v_kept  bigint  := nullif(current_setting('pggit.kept', true), '')::jsonb -> p_table.table_id::text;
    v_seq   bigint;
    v_again boolean := false;
BEGIN
    v_why := pggit._why_not_saved(p_table.relation);
    IF v_why IS NOT NULL THEN
        RETURN to_jsonb(v_why);
    END IF;
    -- The lock that the statement is about to take.
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table.relation::regclass);

    -- Saved by this transaction already, and neither written nor committed since.
    IF v_kept > coalesce(nullif(current_setting('pggit.stored', true), '')::bigint, 0) THEN
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM pggit._log_%s AS l WHERE l._xid = pggit._transaction_number() AND l._seq > $1)', p_table.table_id) INTO v_again USING v_kept;
        IF v_again THEN
            RETURN to_jsonb(v_kept);
        END IF;
    END IF;

    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    v_seq := nextval('pggit._ordinal');
    PERFORM pggit._log_all_rows(p_table.table_id, CASE WHEN pggit._is_keyless(p_table.table_id) THEN 'D' ELSE 'U' END::"char", v_seq);
    RETURN to_jsonb(v_seq);
EXCEPTION
    WHEN lock_not_available OR deadlock_detected THEN
        RAISE;
    WHEN OTHERS THEN
        RETURN to_jsonb(SQLERRM);
END;
$$;

COMMENT ON FUNCTION pggit._save_rows(pggit.tables) IS
'Logs all rows of a table as they are, as one statement of this transaction, and returns its ordinal; where that can''t be, the reason as text. Tables above the setting pggit.save_limit (256MB)
are not saved. Never raises but for locks, as the statement itself would.';

CREATE OR REPLACE FUNCTION pggit._settle_saved(p_table_id integer, p_seq bigint, p_needed boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_kept jsonb := coalesce(nullif(current_setting('pggit.kept', true), ''), '{}');
BEGIN
    IF p_needed THEN
        PERFORM set_config('pggit.kept', (v_kept || jsonb_build_object(p_table_id, p_seq))::text, true);
        -- Without a key, what was logged as gone has come back as it is now.
        IF pggit._is_keyless(p_table_id) THEN
            EXECUTE format('DELETE FROM pggit._log_%s AS l WHERE l._xid = pggit._transaction_number() AND l._seq = $1 AND l._op = ''I''', p_table_id) USING p_seq;
            PERFORM pggit._log_all_rows(p_table_id, 'I', p_seq);
        END IF;
    ELSIF (v_kept -> p_table_id::text)::bigint IS DISTINCT FROM p_seq THEN
        EXECUTE format('DELETE FROM pggit._log_%s AS l WHERE l._xid = pggit._transaction_number() AND l._seq = $1', p_table_id) USING p_seq;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._settle_saved(integer, bigint, boolean) IS
'Keeps the rows that were saved when a column did go, else takes them out of the log again.';

CREATE OR REPLACE FUNCTION pggit._on_ddl_path()
    RETURNS event_trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_catalog.set_config('pggit.path', pg_catalog.current_schemas(true)::pg_catalog.text, true);
END;
$$;

COMMENT ON FUNCTION pggit._on_ddl_path() IS
'Event trigger, run as who gives the statement: notes the search_path for pggit._on_ddl_start, which has one of its own.';

CREATE OR REPLACE FUNCTION pggit._save_for_statement(p_statement text, p_path text[], p_saved jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_saved   jsonb := p_saved;
    v_table   pggit.tables;
    v_child   pggit.tables;
    v_columns text[];
BEGIN
    FOR v_table IN
        SELECT t.*
          FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation
         WHERE t.untracked_at IS NULL AND strpos(p_statement, lower(replace(t.table_name, '"', '""'))) > 0
           AND (t.schema_name = ANY (p_path) OR p_statement ~ pggit._word(t.schema_name))
           AND pg_has_role(pggit._actor()::name, c.relowner, 'USAGE')
         ORDER BY t.table_id
    LOOP
        PERFORM pggit._collect_detached(false);
        IF pggit._is_shown(v_table.table_id) AND pggit._takes_key(p_statement, v_table) THEN
            PERFORM set_config('pggit.following', 'on', true);
            PERFORM pggit._make_real_on_branches(v_table);
            PERFORM set_config('pggit.following', '', true);
        END IF;
        v_columns := ARRAY(SELECT c.name FROM pggit._columns_at(v_table.table_id, NULL) AS c
                            WHERE c.generated_as IS NULL AND pggit._takes_columns(p_statement, v_table.table_name, ARRAY[c.name]));
        IF v_columns <> '{}' AND NOT v_saved ? v_table.table_id::text THEN
            PERFORM pggit._release_views(v_table, v_columns);
            v_saved := v_saved || jsonb_build_object(v_table.table_id, pggit._save_rows(v_table));
            -- A branch may have been made before the table was locked.
            PERFORM pggit._release_views(v_table, v_columns);
            PERFORM pggit._keep_numbers(v_table, v_columns) WHERE p_statement ~ '\mdrop\M'
                AND EXISTS (SELECT FROM pggit._own_sequences(v_table.relation) AS s WHERE s.column_name = ANY (v_columns))
                AND EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = v_table.table_id);
            FOR v_child IN SELECT t.* FROM pggit._descendants(ARRAY[v_table.relation::oid]) AS d JOIN pggit.tables AS t ON t.relation = d AND t.untracked_at IS NULL ORDER BY t.table_id LOOP
                v_saved := jsonb_build_object(v_child.table_id, pggit._save_rows(v_child)) || v_saved;
            END LOOP;
        END IF;
    END LOOP;
    RETURN v_saved;
END;
$$;

COMMENT ON FUNCTION pggit._save_for_statement(text, text[], jsonb) IS
'Saves the rows of tracked tables whose columns a statement, in lower case, is going to drop or retype, and has branches'' views let go of these columns. Returns, by table id, the ordinal or the reason why not,
with what has been saved before.';

CREATE OR REPLACE FUNCTION pggit._tell_of_branches_left()
    RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_left text := (SELECT string_agg(quote_ident(s.schema_name), ', ' ORDER BY s.schema_name) FROM pggit.branch_schemas AS s);
BEGIN
    IF v_left IS NOT NULL THEN
        RAISE WARNING 'DROP SCHEMA pggit leaves schemas of branches behind, with their real tables: %', v_left
            USING HINT = format('sql/uninstall.sql takes all of pggit away instead. Afterwards: DROP SCHEMA IF EXISTS %s CASCADE;', v_left);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._tell_of_branches_left() IS
'Says in a WARNING what stays when somebody drops pggit''s own schema.';

CREATE OR REPLACE FUNCTION pggit._on_ddl_start()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
DECLARE
    v_statement text;
    v_context   text;
BEGIN
    GET DIAGNOSTICS v_context = PG_CONTEXT;
    v_statement := pggit._statement_text(v_context);
    IF TG_TAG LIKE 'DROP %' THEN
        PERFORM pggit._tell_of_branches_left() WHERE TG_TAG = 'DROP SCHEMA' AND NOT pggit._is_own_ddl(v_context) AND current_query() ~* '\mdrop\s+schema\s([^;]*[\s,"])?pggit($|[\s,;"])';
        PERFORM pggit._save_partitions(TG_TAG, v_statement);
        IF TG_TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED') AND coalesce(current_setting('pggit.following', true), '') <> 'on' AND ((pggit._session_branch())).branch_id IS NULL AND NOT pggit._is_own_ddl(v_context) THEN
            PERFORM set_config('pggit.following', 'on', true);
            PERFORM pggit._prepare_to_leave(TG_TAG, v_statement);
            PERFORM set_config('pggit.following', '', true);
        END IF;
        RETURN;
    END IF;
    -- On a branch no statement may change a table of main.
    IF current_setting('pggit.following', true) = 'on' OR v_statement !~ '\m(?:drop|type)\M' OR ((pggit._session_branch())).branch_id IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('pggit.saved', pggit._save_for_statement(v_statement, coalesce(nullif(current_setting('pggit.path', true), ''), '{}')::text[],
                                                                coalesce(nullif(current_setting('pggit.saved', true), ''), '{}')::jsonb)::text, true);
END;
$$;

COMMENT ON FUNCTION pggit._on_ddl_start() IS
'Event trigger: pggit._save_for_statement. The local setting pggit.saved tells pggit._on_ddl_end.';

CREATE OR REPLACE FUNCTION pggit._on_rewrite()
    RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on SET quote_all_identifiers = off
AS $$
BEGIN
    IF pg_event_trigger_table_rewrite_reason() & 4 <> 0 THEN
        PERFORM set_config('pggit.rewritten', concat_ws(',', nullif(current_setting('pggit.rewritten', true), ''), pggit._root(pg_event_trigger_table_rewrite_oid())), true);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._on_rewrite() IS
'Event trigger: notes tables whose values ALTER COLUMN TYPE computes anew, even for the same type, in the local setting pggit.rewritten.';
