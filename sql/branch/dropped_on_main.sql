-- DROP TABLE on main: the history of the table stays, with an empty table in its place, as where a merge drops one. Branches that have it keep it.

CREATE OR REPLACE FUNCTION pggit._refuse_leaving(p_table pggit.tables, p_reason text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name     text   := format('%I.%I', p_table.schema_name, p_table.table_name);
    v_branches text[] := ARRAY(SELECT b.name FROM pggit.branch_tables AS bt JOIN pggit.branches AS b USING (branch_id) WHERE bt.table_id = p_table.table_id ORDER BY b.branch_id);
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG307', SCHEMA = 'pggit',
        MESSAGE = format('table %s can''t be dropped while branches have it: %s', v_name, p_reason),
        DETAIL  = format('Branches: %s.', (SELECT string_agg(quote_literal(b), ', ') FROM unnest(v_branches[1:10]) AS b) || CASE WHEN cardinality(v_branches) > 10 THEN ', …' ELSE '' END),
        HINT    = format('Raise pggit.materialize_ddl_limit, so that the rows are kept for them; or give each a table of its own first: SELECT pggit.materialize(%L, %L); or delete them: SELECT pggit.delete_branch(%1$L);',
                         v_branches[1], v_name);
END;
$$;

COMMENT ON FUNCTION pggit._refuse_leaving(pggit.tables, text) IS
'Raises VG307: a table that branches have can''t go from main, for their rows could not be kept.';

CREATE OR REPLACE FUNCTION pggit._own_numbers(p_table_id integer, p_columns text[] DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_one  record;
    v_name text;
BEGIN
    FOR v_one IN
        SELECT format('%I.%I', n.nspname, c.relname) AS table_name, n.nspname AS schema_name, a.attname, a.attidentity, m.sequence, m.name, m.type_name, k.origin,
               -- The branch's column may be of another type.
               CASE WHEN format_type(a.atttypid, NULL) = m.type_name THEN pggit._sequence_options(m.sequence) ELSE (SELECT format('START WITH 1 INCREMENT BY %s', q.seqincrement) FROM pg_sequence AS q WHERE q.seqrelid = m.sequence) END AS options,
               pg_get_expr(d.adbin, d.adrelid) = format('nextval(%L::regclass)', m.sequence::regclass) AS is_serial
          FROM pggit.tables AS t CROSS JOIN LATERAL pggit._own_sequences(t.relation) AS m
          JOIN pggit.branch_tables AS bt USING (table_id) JOIN pg_class AS c ON c.oid = bt.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
          JOIN pg_attribute AS a ON a.attrelid = bt.relation AND a.attname = m.column_name AND NOT a.attisdropped
          LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          JOIN pggit.columns AS k ON k.table_id = t.table_id AND k.name = m.column_name AND k.dropped_at IS NULL
         WHERE t.table_id = p_table_id AND bt.form = 'table' AND (p_columns IS NULL OR m.column_name = ANY (p_columns))
         ORDER BY bt.branch_id, a.attnum
    LOOP
        IF v_one.attidentity <> '' THEN
            EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', '  pggit_identity_' || v_one.origin, v_one.table_name);
            EXECUTE format('ALTER TABLE %s ALTER %I DROP IDENTITY', v_one.table_name, v_one.attname);
            EXECUTE format('ALTER TABLE %s ALTER %I ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %I.%I %s)', v_one.table_name, v_one.attname,
                           CASE v_one.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, v_one.schema_name, v_one.name, v_one.options);
        ELSIF v_one.is_serial THEN
            EXECUTE format('CREATE SEQUENCE %I.%I AS %s %s', v_one.schema_name, v_one.name, v_one.type_name, pggit._sequence_options(v_one.sequence));
            EXECUTE format('ALTER TABLE %s ALTER %I SET DEFAULT nextval(%L)', v_one.table_name, v_one.attname, format('%I.%I', v_one.schema_name, v_one.name));
            EXECUTE format('ALTER SEQUENCE %I.%I OWNED BY %s.%I', v_one.schema_name, v_one.name, v_one.table_name, v_one.attname);
        ELSE
            CONTINUE;
        END IF;
        v_name := format('%I.%I', v_one.schema_name, v_one.name);
        EXECUTE format('SELECT setval(%L, s.last_value, s.is_called) FROM %s AS s', v_name, v_one.sequence::regclass);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._own_numbers(integer, text[]) IS
'Branches'' real tables of a table that leaves main, or of columns that do, get sequences of their own, which go on where main''s was.';

CREATE OR REPLACE FUNCTION pggit._make_real_on_branches(p_table pggit.tables)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branch pggit.branches;
BEGIN
    -- Both ends of a foreign key are real, for main does not tell of it any more.
    FOR v_branch IN SELECT b.* FROM pggit.branch_tables AS bt JOIN pggit.branches AS b USING (branch_id) WHERE bt.table_id = p_table.table_id ORDER BY b.branch_id LOOP
        PERFORM pggit._make_real_within_limit(v_branch, p_table.table_id || ARRAY(
            SELECT o.table_id FROM pg_constraint AS k JOIN pggit.tables AS o ON o.relation IN (k.conrelid, k.confrelid)
             WHERE k.contype = 'f' AND p_table.relation IN (k.conrelid, k.confrelid)));
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._make_real_on_branches(pggit.tables) IS
'Makes a table of main real on all branches that have it, with those that foreign keys tie to it. Raises what pggit._make_real_within_limit raises.';

CREATE OR REPLACE FUNCTION pggit._let_branches_keep(p_table pggit.tables)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    v_reason text;
    v_limit  text := pggit._size_setting('pggit.materialize_ddl_limit', '1GB');
BEGIN
    SELECT format('copies for %s of them would have %s, and pggit.materialize_ddl_limit is %s', v.n, pg_size_pretty(v.size), v_limit) INTO v_reason
      FROM (SELECT count(*) AS n, count(*) * pggit._total_size(p_table.relation) AS size FROM pggit.branch_tables AS bt WHERE bt.table_id = p_table.table_id AND bt.form = 'view') AS v
     WHERE v.size > pg_size_bytes(v_limit);
    v_reason := coalesce(v_reason, pggit._why_not_saved(p_table.relation));
    PERFORM pggit._refuse_leaving(p_table, v_reason) WHERE v_reason IS NOT NULL;
    PERFORM pggit._make_real_on_branches(p_table);
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table.relation::regclass);
    PERFORM pggit._own_numbers(p_table.table_id);
END;
$$;

COMMENT ON FUNCTION pggit._let_branches_keep(pggit.tables) IS
'Before a table goes from main: branches that show it get tables of their own, with numbers of their own. Locks the table. Raises VG307 where that is too much, and what pggit.materialize raises.';

CREATE OR REPLACE FUNCTION pggit._is_in_history(p_table pggit.tables)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT b.head_at IS NOT NULL AND pggit._mark_in(p_table.tracked_at, (b.head_at).x) FROM pggit.branches AS b WHERE b.branch_id = 1);
END;
$$;

COMMENT ON FUNCTION pggit._is_in_history(pggit.tables) IS
'Whether commits of main''s may have a table.';

CREATE OR REPLACE FUNCTION pggit._was_in_history(p_table pggit.tables)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = p_table.table_id)
           OR EXISTS (SELECT FROM pggit.commits AS c
                       WHERE pggit._mark_in(p_table.tracked_at, pggit._base_mark(c.at)) AND NOT pggit._mark_in(p_table.untracked_at, pggit._base_mark(c.at)));
END;
$$;

COMMENT ON FUNCTION pggit._was_in_history(pggit.tables) IS
'Whether a branch or a commit has a table that is not tracked any more. One that came and went between two commits, as the table without a key between DROP CONSTRAINT and ADD PRIMARY KEY does, was never anybody''s.';

CREATE OR REPLACE FUNCTION pggit._leaving(p_tag text, p_statement text)
    RETURNS SETOF integer
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH text AS MATERIALIZED (
        -- With comments and without.
        SELECT concat_ws(';', p_statement, regexp_replace(regexp_replace(p_statement, '/\*.*?\*/', ' ', 'g'), '--[^\n]*', ' ', 'g')) AS statement
    ), named AS MATERIALIZED (
        SELECT t.table_id, t.relation::oid AS relation, x.statement ~ '\mcascade\M' AS cascades
          FROM text AS x CROSS JOIN pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE t.untracked_at IS NULL AND t.on_main
           AND CASE p_tag WHEN 'DROP TABLE' THEN x.statement ~ ('\mdrop\s+table\M[^;]*' || pggit._word(t.table_name))
                          WHEN 'DROP SCHEMA' THEN x.statement ~ '\mcascade\M' AND x.statement ~ ('\mdrop\s+schema\M[^;]*' || pggit._word(t.schema_name))
                          WHEN 'DROP OWNED' THEN x.statement ~ ('\mdrop\s+owned\M[^;]*(?:\m(?:current_user|current_role|session_user)\M|' || pggit._word(pg_get_userbyid(c.relowner)) || ')') END
           AND (pg_has_role(pggit._actor()::name, c.relowner, 'USAGE') OR pg_has_role(pggit._actor()::name, n.nspowner, 'USAGE'))
    ), leaving AS MATERIALIZED (
        SELECT n.table_id FROM named AS n
        UNION
        SELECT t.table_id FROM pggit._descendants(ARRAY(SELECT n.relation FROM named AS n WHERE n.cascades)) AS d JOIN pggit.tables AS t ON t.relation = d AND t.untracked_at IS NULL
    )
    SELECT l.table_id FROM leaving AS l JOIN pggit.tables AS t USING (table_id)
     WHERE EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = l.table_id) OR pggit._is_in_history(t) ORDER BY 1;
$$;

COMMENT ON FUNCTION pggit._leaving(text, text) IS
'The tables of main that a DROP TABLE, DROP SCHEMA … CASCADE or DROP OWNED, in lower case, is going to drop, and that branches or commits have. Not a parser: of one that is meant too much branches get real tables,
and its rows are logged and taken out of the log again.';

CREATE OR REPLACE FUNCTION pggit._why_not_kept(p_table pggit.tables, p_tag text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT coalesce(pggit._why_not_saved(p_table.relation),
                            (SELECT format('column %I is of a type that goes with the schema', a.attname)
                               FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid JOIN pg_class AS c ON c.oid = a.attrelid LEFT JOIN pg_type AS e ON e.oid = y.typelem
                              WHERE p_tag IN ('DROP SCHEMA', 'DROP OWNED') AND a.attrelid = p_table.relation AND a.attnum > 0 AND NOT a.attisdropped
                                AND 'pg_catalog'::regnamespace NOT IN (y.typnamespace, coalesce(e.typnamespace, y.typnamespace)) ORDER BY a.attnum LIMIT 1)));
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END;
$$;

COMMENT ON FUNCTION pggit._why_not_kept(pggit.tables, text) IS
'Why the rows of a table that no branch has are not kept for the history when it is dropped by a command (its tag); NULL when they are.';

CREATE OR REPLACE FUNCTION pggit._prepare_to_leave(p_tag text, p_statement text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    v_leaving  jsonb := '{}';
    v_unsaved  jsonb := '{}';
    v_table    pggit.tables;
    v_shown    boolean;
    v_reason   text;
    v_seq      bigint;
BEGIN
    FOR v_table IN
        SELECT t.* FROM pggit._leaving(p_tag, p_statement) AS l JOIN pggit.tables AS t ON t.table_id = l ORDER BY t.table_id
    LOOP
        PERFORM pggit._collect_detached(false);
        v_shown := EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = v_table.table_id);
        CONTINUE WHEN NOT v_shown AND NOT pggit._is_in_history(v_table) OR v_shown AND p_tag = 'DROP OWNED';
        IF v_shown THEN
            PERFORM pggit._let_branches_keep(v_table);
        ELSE
            v_reason := pggit._why_not_kept(v_table, p_tag);
            IF v_reason IS NOT NULL THEN
                v_unsaved := v_unsaved || jsonb_build_object(v_table.relation::oid::bigint, v_reason);
                CONTINUE;
            END IF;
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', v_table.relation::regclass);
        END IF;
        PERFORM pggit._record_transaction();
        v_seq := nextval('pggit._ordinal');
        PERFORM pggit._log_all_rows(v_table.table_id, 'D', v_seq);
        PERFORM pggit._create_stand_in(v_table.table_id, v_table.relation);
        v_leaving := v_leaving || jsonb_build_object(v_table.table_id, jsonb_build_object('relation', v_table.relation::oid::bigint, 'seq', v_seq));
    END LOOP;
    PERFORM set_config('pggit.leaving', v_leaving::text, true), set_config('pggit.unsaved', v_unsaved::text, true);
END;
$$;

COMMENT ON FUNCTION pggit._prepare_to_leave(text, text) IS
'Before a DROP on main names tables that branches or commits have: on branches views become tables, with numbers of their own, the rows are logged, and what is to stand in for the table is made. The local setting
pggit.leaving tells pggit._leave_main: by table id, the table''s oid and the ordinal of its rows; pggit.unsaved, by oid, why rows that no branch needs are not kept. Raises VG307 where it is too much for branches, and what pggit.materialize raises.';

CREATE OR REPLACE FUNCTION pggit._note_begin(p_table pggit.tables)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pggit.table_changes AS c WHERE c.table_id = p_table.table_id AND c.branch_id = 1) THEN
        RETURN;
    END IF;
    PERFORM pggit._note_table(p_table.table_id, 1, NULL, false, p_table.schema_name, p_table.table_name)
      WHERE NOT EXISTS (SELECT FROM pggit.tables AS l
                         WHERE l.table_id < p_table.table_id AND l.untracked_at IS NOT NULL AND (l.relation = p_table.relation OR (l.schema_name, l.table_name) = (p_table.schema_name, p_table.table_name))
                           AND pggit._was_in_history(l));
    PERFORM pggit._note_table(p_table.table_id, 1, p_table.tracked_at, true, p_table.schema_name, p_table.table_name);
END;
$$;

COMMENT ON FUNCTION pggit._note_begin(pggit.tables) IS
'Notes that a table of main''s is there since it is tracked, and was not there before, unless main had it then with a history that is lost: of that time nobody knows.';

CREATE OR REPLACE FUNCTION pggit._leave_stand_in(p_table pggit.tables, p_stand_in regclass)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._note_begin(p_table);
    UPDATE pggit.tables AS t SET relation = p_stand_in, on_main = false, fingerprint = pggit._fingerprint(p_stand_in), storage = pggit._storage(p_stand_in), place = pggit._place()
     WHERE t.table_id = p_table.table_id;
    UPDATE pggit.columns AS c SET attnum = a.attnum, catalog_row = pggit._row_version(a.xmin, a.ctid)
      FROM pg_attribute AS a WHERE c.table_id = p_table.table_id AND c.dropped_at IS NULL AND a.attrelid = p_stand_in AND a.attname = c.name;
    DELETE FROM pggit.partitions AS p WHERE p.table_id = p_table.table_id;
    PERFORM pggit._note_table(p_table.table_id, 1, pggit._next_mark(), false, p_table.schema_name, p_table.table_name);
END;
$$;

COMMENT ON FUNCTION pggit._leave_stand_in(pggit.tables, regclass) IS
'A table that main has no more gets an empty one in its place (pggit._create_stand_in): it is not there from now on, and its history, in which all rows are, stays.';

CREATE OR REPLACE FUNCTION pggit._leave_main(p_dropped oid[])
    RETURNS void
    LANGUAGE sql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pggit._leave_stand_in(t, format('pggit._main_%s', t.table_id)::regclass)
      FROM (SELECT t.* FROM jsonb_object_keys(coalesce(nullif(current_setting('pggit.leaving', true), ''), '{}')::jsonb) AS l(id) JOIN pggit.tables AS t ON t.table_id = l.id::integer
             WHERE t.relation = ANY (p_dropped) ORDER BY t.table_id) AS t;
$$;

COMMENT ON FUNCTION pggit._leave_main(oid[]) IS
'Tables that branches or commits have were dropped on main: an empty one stands in for each (pggit._prepare_to_leave), and its history stays.';

CREATE OR REPLACE FUNCTION pggit._unprepare_to_leave()
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_one record;
BEGIN
    FOR v_one IN
        SELECT t.table_id, l.value FROM jsonb_each(coalesce(nullif(current_setting('pggit.leaving', true), ''), '{}')::jsonb) AS l JOIN pggit.tables AS t ON t.table_id = l.key::integer WHERE t.on_main
    LOOP
        EXECUTE format('DROP TABLE pggit._main_%s', v_one.table_id);
        EXECUTE format('DELETE FROM pggit._log_%s AS l WHERE l._xid = pggit._transaction_number() AND l._seq = $1', v_one.table_id) USING (v_one.value ->> 'seq')::bigint;
    END LOOP;
    PERFORM set_config('pggit.leaving', '', true), set_config('pggit.unsaved', '', true);
END;
$$;

COMMENT ON FUNCTION pggit._unprepare_to_leave() IS
'Takes back what was prepared for tables that a DROP named and did not drop.';
