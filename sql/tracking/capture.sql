-- What every tracked write calls, and the code generated for each table. An assignment costs PL/pgSQL a fraction of what PERFORM does, which runs a query: so what every statement calls returns something.

CREATE OR REPLACE FUNCTION pggit._record_transaction()
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_epoch bigint := pggit._current_epoch();  -- of which the number is
BEGIN
    INSERT INTO pggit.transactions (xid, session_role, effective_role, application_name, started_at)
    VALUES (pggit._transaction_number(), session_user, pggit._actor(), current_setting('application_name'), now())
        ON CONFLICT DO NOTHING;

    PERFORM set_config('pggit.transaction', pg_current_xact_id()::text, true);
END;
$$;

COMMENT ON FUNCTION pggit._record_transaction() IS
'Notes who changes tracked rows, once per transaction; the local setting pggit.transaction tells the next caller that it is done.';

CREATE OR REPLACE FUNCTION pggit._open_statement(p_tag text, p_command text)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    v_setting text   := 'pggit.o' || p_tag || p_command;
    v_ordinal bigint := nextval('pggit._ordinal');
    v_others  text;
BEGIN
    IF p_command <> 'INSERT' THEN
        v_others := concat_ws(',', nullif(current_setting('pggit.o' || p_tag || 'INSERT', true), ''), nullif(current_setting('pggit.o' || p_tag || 'UPDATE', true), ''));
        IF v_others <> '' THEN
            PERFORM set_config('pggit.n' || p_tag, least(v_ordinal, (SELECT min(o.e::bigint) FROM string_to_table(v_others, ',') AS o(e))) || ',' || v_ordinal, true);
        END IF;
    END IF;
    v_setting := set_config(v_setting, concat_ws(',', v_ordinal, nullif(current_setting(v_setting, true), '')), true);
    RETURN v_ordinal;
END;
$$;

COMMENT ON FUNCTION pggit._open_statement(text, text) IS
'Draws and returns the ordinal of a statement before it changes a row, and puts it on the stack of the table and command, the local setting pggit.o<tag><command> (statements nest
when a trigger or function of the user writes the same table). An UPDATE or DELETE that begins inside an INSERT or UPDATE of the same table is noted in
pggit.n<tag> as "lowest open ordinal,own ordinal". The tag is the table id, with b<branch id> behind it for a branch''s real table.';

CREATE OR REPLACE FUNCTION pggit._require_main(p_schema name, p_table name)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_branch text    := current_setting('pggit.branch', true);
    v_has_it boolean := to_regclass(format('%I.%I', pggit._branch_schema_name(p_schema, v_branch), p_table)) IS NOT NULL;
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG309', SCHEMA = 'pggit',
        MESSAGE = format('this session is on branch %L, but the statement writes table %I.%I of main', v_branch, p_schema, p_table),
        HINT    = CASE WHEN v_has_it THEN format('Leave the schema name out, so that the branch''s table is found; where it was left out, SELECT pggit.checkout(%L); brings search_path up to date. Or check out main first.', v_branch)
                       ELSE format('The branch has no such table. If main got it after the branch was made, SELECT pggit.merge(''main'', %L); brings it. Or check out main first.', v_branch) END;
END;
$$;

COMMENT ON FUNCTION pggit._require_main(name, name) IS
'Raises VG309: a session on a branch writes a table of main, by its schema or because the branch has none of that name.';

CREATE OR REPLACE FUNCTION pggit._before_statement()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_ordinal bigint;
    v_context text;
BEGIN
    IF coalesce(current_setting('pggit.branch', true), '') NOT IN ('', 'main') AND TG_ARGV[1] = 'main' THEN
        PERFORM pggit._require_main(TG_TABLE_SCHEMA, TG_TABLE_NAME);
    END IF;

    IF TG_ARGV[2] = 'watch' THEN
        PERFORM pggit._follow_shape(t.relation, true)
          FROM pggit.tables AS t WHERE t.table_id = TG_ARGV[0]::integer AND t.fingerprint IS DISTINCT FROM pggit._fingerprint(t.relation);
        PERFORM pggit._await_capture(TG_ARGV[0]::integer);
    END IF;
    IF TG_OP <> 'TRUNCATE' AND TG_ARGV[3] IS DISTINCT FROM 'rows' THEN
        v_ordinal := pggit._open_statement(TG_ARGV[0], TG_OP);
    END IF;
    IF TG_ARGV[3] = 'moves' AND TG_OP <> 'TRUNCATE' THEN
        GET DIAGNOSTICS v_context = PG_CONTEXT;
        PERFORM pggit._expect_moves(TG_ARGV[0], TG_OP, v_context);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._before_statement() IS
'Opens a statement on a tracked table of main. Where no event trigger tells of DDL, changed columns are noticed here, before the capture function meets them.
Arguments: the table''s tag, main, watch where there are no event triggers, and moves where an UPDATE may move rows between partitions, or rows where each row is
logged by itself and no statement needs to be open. Raises VG309 when a session on a branch writes a table of main.';

CREATE OR REPLACE FUNCTION pggit._after_truncate()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pggit.tables AS t SET fingerprint = pggit._fingerprint(t.relation), storage = pggit._storage(t.relation) WHERE t.table_id = TG_ARGV[0]::integer;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._after_truncate() IS
'Where no event trigger tells of DDL: the file that TRUNCATE gives a table is no sign of changed columns. Argument: table id.';

CREATE OR REPLACE FUNCTION pggit._take_ordinal(p_tag text, p_command text)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    v_setting text   := 'pggit.o' || p_tag || p_command;
    v_open    text   := current_setting(v_setting, true);
    v_top     text   := split_part(v_open, ',', 1);
    v_taken   bigint := coalesce(nullif(v_top, '')::bigint, nextval('pggit._ordinal'));
BEGIN
    v_setting := set_config(v_setting, substr(v_open, length(v_top) + 2), true);
    IF v_taken <= nullif(current_setting('pggit.stored', true), '')::bigint THEN
        v_taken := nextval('pggit._ordinal');
        PERFORM set_config('pggit.n' || p_tag, v_taken || ',' || v_taken, true);
    END IF;
    RETURN v_taken;
END;
$$;

COMMENT ON FUNCTION pggit._take_ordinal(text, text) IS
'Takes the innermost open ordinal of a table and command off its stack. A statement in which a commit was made is after that commit, and gets a new one.';

CREATE OR REPLACE FUNCTION pggit._lowest_in_nest(p_ordinal bigint, p_tag text)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    v_nest text := coalesce(nullif(current_setting('pggit.n' || p_tag, true), ''), '0,0');
BEGIN
    IF p_ordinal <= split_part(v_nest, ',', 2)::bigint THEN
        RETURN least(p_ordinal, split_part(v_nest, ',', 1)::bigint);
    END IF;
    RETURN CASE WHEN currval('pggit._ordinal') > p_ordinal THEN p_ordinal END;
END;
$$;

COMMENT ON FUNCTION pggit._lowest_in_nest(bigint, text) IS
'The lowest ordinal among the statements on one table that ran inside each other with the one of this ordinal; NULL when it ran alone.';

CREATE OR REPLACE FUNCTION pggit._repair_order_sql(p_table_id integer, p_log text, p_relation text, p_mine text, p_lowest text, p_insert text, p_delete text,
                                                   p_owned boolean, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format($sql$
        WITH keys AS MATERIALIZED (
            SELECT %3$s, min(l._seq) AS first_any, min(l._seq) FILTER (WHERE %8$s) AS first_insert, min(l._seq) FILTER (WHERE NOT %8$s) AS first_pre,
                   count(*) FILTER (WHERE %9$s) - count(*) FILTER (WHERE %8$s) AS balance%10$s
              FROM %1$s AS l
             WHERE %6$s AND l._seq >= %7$s AND l._seq > coalesce(nullif(current_setting('pggit.stored', true), '')::bigint, 0)
             GROUP BY %3$s
            HAVING bool_or(%8$s) AND bool_or(NOT %8$s)
        ), wrong AS (
            SELECT k.*, CASE (EXISTS (SELECT FROM %2$s AS b WHERE %4$s))::integer + k.balance WHEN 1 THEN k.first_pre WHEN 0 THEN k.first_insert END AS first_due
              FROM keys AS k
        )
        UPDATE %1$s AS l
           SET _seq = CASE l._seq WHEN k.first_any THEN k.first_due ELSE k.first_any END%11$s
          FROM wrong AS k
         WHERE k.first_due > k.first_any AND %5$s AND %6$s AND l._seq IN (k.first_any, k.first_due)$sql$,
        p_log, p_relation, pggit._key_columns(p_table_id, 'l'), pggit._same_key(p_table_id, 'b', 'k', true, false, p_at), pggit._same_key(p_table_id, 'l', 'k'),
        p_mine, p_lowest, p_insert, p_delete,
        CASE WHEN p_owned THEN ', bool_and(l._owned) AS owned' ELSE '' END, CASE WHEN p_owned THEN ', _owned = l._seq = k.first_any OR k.owned' ELSE '' END);
$$;

COMMENT ON FUNCTION pggit._repair_order_sql(integer, text, text, text, text, text, text, boolean, pggit._position) IS
'Statement that puts the log of a nest of statements right. A statement draws its ordinal when it begins, so one that inserts a key may have a lower
ordinal than the one that took the key from another row first (a writable CTE, MERGE, a BEFORE ROW trigger). The key existed before the nest exactly when
(exists now) + deletes - inserts = 1; then the first row of its log must be a pre-image, else an insert. While parts of the nest have not logged yet the sum may be
wrong; the part that logs last puts all right. p_log and p_relation: the log and the table. Conditions on a log row l: p_mine (of this transaction), p_insert, p_delete. p_lowest: the
lowest ordinal of the nest. p_owned: the log also says whether the branch owned the key before, which the row that comes first has to say. p_at: the position whose names the table''s columns have.';

CREATE OR REPLACE FUNCTION pggit._create_stores(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_columns text;
    v_keys    text;
BEGIN
    IF pggit._is_keyless(p_table_id) THEN
        PERFORM pggit._keyless_stores(p_table_id);
        RETURN;
    END IF;
    SELECT string_agg(pggit._stored_column(c), ', ' ORDER BY c.column_id),
           string_agg(pggit._stored_column(c), ', ' ORDER BY c.key_position) FILTER (WHERE c.key_position IS NOT NULL)
      INTO v_columns, v_keys
      FROM pggit.columns AS c
     WHERE c.table_id = p_table_id AND c.generated_as IS NULL AND c.dropped_at IS NULL;

    EXECUTE format('CREATE TABLE pggit._log_%s (_at bigint GENERATED ALWAYS AS IDENTITY, _seq bigint NOT NULL, _xid xid8 NOT NULL,
                        _op "char" NOT NULL, %s, PRIMARY KEY (%s, _at))', p_table_id, v_columns, pggit._key_columns(p_table_id));
    EXECUTE format('CREATE INDEX ON pggit._log_%s (_xid)', p_table_id);

    EXECUTE format('CREATE TABLE pggit._delta_%s (_b integer NOT NULL, %s, PRIMARY KEY (_b, %s))',
                   p_table_id, v_columns, pggit._key_columns(p_table_id));
    EXECUTE format('CREATE TABLE pggit._mask_%s (_b integer NOT NULL, %s, PRIMARY KEY (_b, %s))',
                   p_table_id, v_keys, pggit._key_columns(p_table_id));
    EXECUTE format('CREATE TABLE pggit._undo_%s (_at bigint GENERATED ALWAYS AS IDENTITY, _seq bigint NOT NULL, _xid xid8 NOT NULL,
                        _b integer NOT NULL, _owned boolean NOT NULL, _live boolean, _deleted boolean, %s,
                        PRIMARY KEY (_b, %s, _at))',
                   p_table_id, v_columns, pggit._key_columns(p_table_id));
    EXECUTE format('CREATE INDEX ON pggit._undo_%s (_xid)', p_table_id);

    -- A branch id that the statistics have not seen makes the planner expect no row at all.
    EXECUTE format('ALTER TABLE pggit._delta_%1$s ALTER _b SET STATISTICS 1', p_table_id);
    EXECUTE format('ALTER TABLE pggit._mask_%1$s ALTER _b SET STATISTICS 1', p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._create_stores(integer) IS
'Creates the log, delta, mask and undo tables of a tracked table from pggit.columns.';

CREATE OR REPLACE FUNCTION pggit._create_capture_functions(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table  pggit.tables;
    v_parted boolean;
    v_stored text := pggit._stored_columns(p_table_id);
    v_keys   text := pggit._key_columns(p_table_id);
    v_first  text := (SELECT pggit._quoted(c.name) FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.key_position = 1 AND c.dropped_at IS NULL);
    v_base   text;
    v_repair text;
    v_head   constant text := $head$
CREATE OR REPLACE FUNCTION pggit._capture_%1$s_%2$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $capture$
#variable_conflict use_variable
DECLARE
    v_xid  xid8;
    v_seq  bigint := %3$s;
    v_nest bigint := pggit._lowest_in_nest(v_seq, '%1$s');
BEGIN
    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    v_xid := pggit._transaction_number();%5$s
%4$s
    RETURN NULL;
END;
$capture$
$head$;
    v_known  text := '';
BEGIN
    PERFORM pggit._lock_capture(p_table_id);
    IF pggit._is_keyless(p_table_id) THEN
        PERFORM pggit._keyless_capture_functions(p_table_id);
        RETURN;
    END IF;
    SELECT t.* INTO STRICT v_table FROM pggit.tables AS t WHERE t.table_id = p_table_id;
    v_parted := (SELECT c.relkind = 'p' FROM pg_class AS c WHERE c.oid = v_table.relation);
    IF v_parted THEN
        v_known := format($known$
    IF NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.table_id = %1$s AND t.relation = TG_RELID)
       AND NOT EXISTS (SELECT FROM pggit.partitions AS p WHERE p.table_id = %1$s AND p.relation = TG_RELID) THEN
        RETURN NULL;
    END IF;$known$, p_table_id);
    END IF;
    v_base   := format('%I.%I', v_table.schema_name, v_table.table_name);
    v_repair := format(E'\n    IF v_nest IS NOT NULL THEN%s;\n    END IF;', pggit._repair_order_sql(
                    p_table_id, format('pggit._log_%s', p_table_id), v_base, 'l._xid = v_xid', 'v_nest', 'l._op = ''I''', 'l._op = ''D''', false));

    -- Above READ COMMITTED a row committed after the snapshot would vanish without a pre-image.
    EXECUTE format(v_head, p_table_id, 'truncate', $seq$nextval('pggit._ordinal')$seq$, format($body$
    PERFORM pggit._require_read_committed(format('TRUNCATE of tracked table %%I.%%I', TG_TABLE_SCHEMA, TG_TABLE_NAME));
    %1$s;$body$,
        CASE WHEN v_parted THEN format($rows$EXECUTE pggit._partition_rows_sql(%s, TG_RELID, 'D', v_seq)$rows$, p_table_id)
             ELSE format($rows$INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s)
    SELECT v_seq, v_xid, 'D', %3$s FROM %4$s AS o$rows$, p_table_id, v_stored, pggit._user_columns(p_table_id, 'o'), 'ONLY ' || v_base) END), v_known);
    IF pggit._is_row_by_row(v_table.relation) THEN
        PERFORM pggit._create_row_by_row_function(p_table_id);
        RETURN;
    END IF;

    EXECUTE format(v_head, p_table_id, 'insert', format('pggit._take_ordinal(%L, %L)', p_table_id, 'INSERT'), format($body$
    INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s)
    SELECT v_seq, v_xid, 'I', %3$s FROM new_rows AS n;%4$s$body$,
        p_table_id, v_keys, pggit._user_key_columns(p_table_id, 'n'), v_repair), v_known);

    -- A key in both OLD and NEW of one statement has only its OLD row; one that the statement moved away is a delete, one it moved to an insert.
    EXECUTE format(v_head, p_table_id, 'update', format('pggit._take_ordinal(%L, %L)', p_table_id, 'UPDATE'), format($body$%11$s
    IF %4$s THEN
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s)
        SELECT v_seq, v_xid, CASE WHEN %5$s THEN 'I' WHEN %6$s THEN 'D' ELSE 'U' END, %7$s FROM %8$s;%9$s%10$s
    ELSE
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s)
        SELECT v_seq, v_xid, 'U', %3$s FROM old_rows AS o;
    END IF;$body$,
        p_table_id, v_stored, pggit._user_columns(p_table_id, 'o'), pggit._moves_sql(p_table_id), format('o.%s IS NOT DISTINCT FROM NULL', v_first), format('n.%s IS NOT DISTINCT FROM NULL', v_first),
        (SELECT string_agg(format(CASE WHEN c.key_position IS NULL THEN 'o.%1$s' ELSE 'coalesce(o.%1$s, n.%1$s)' END, pggit._quoted(c.name)), ', ' ORDER BY c.column_id)
           FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.generated_as IS NULL AND c.dropped_at IS NULL),
        pggit._old_and_new_sql(p_table_id), v_repair,
        coalesce(E'\n    ELSIF EXISTS (SELECT FROM old_rows AS o WHERE ' || pggit._large_sql(p_table_id, 'o') || ') THEN' || pggit._updated_rows_sql(p_table_id) || ';', ''),
        CASE WHEN v_parted THEN pggit._moved_rows_sql(p_table_id, v_repair) ELSE '' END), v_known);

    EXECUTE format(v_head, p_table_id, 'delete', format('pggit._take_ordinal(%L, %L)', p_table_id, 'DELETE'), format($body$
    INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s)
    SELECT v_seq, v_xid, 'D', %3$s FROM old_rows AS o;%4$s$body$,
        p_table_id, v_stored, pggit._user_columns(p_table_id, 'o'), v_repair), v_known);
    IF v_parted THEN
        PERFORM pggit._create_move_function(p_table_id);
    END IF;
    PERFORM pggit._create_row_function(p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._create_capture_functions(integer) IS
'Generates the capture functions of a table on main from pggit.columns.';

CREATE OR REPLACE FUNCTION pggit._create_capture(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_relation  oid := (SELECT t.relation FROM pggit.tables AS t WHERE t.table_id = p_table_id);
    v_partition oid;
BEGIN
    PERFORM pggit._create_capture_functions(p_table_id);
    INSERT INTO pggit.partitions (relation, table_id, captured) SELECT p.relation, p_table_id, true FROM pggit._partitions(v_relation) AS p
        ON CONFLICT (relation) DO UPDATE SET table_id = excluded.table_id, captured = true, saved_at = NULL;
    PERFORM pggit._put_capture(p_table_id, v_relation);
    FOR v_partition IN SELECT p.relation FROM pggit._partitions(v_relation) AS p ORDER BY p.relation LOOP
        PERFORM pggit._put_capture(p_table_id, v_partition);
    END LOOP;
    PERFORM pggit._note_partition_columns(p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._create_capture(integer) IS
'Generates the capture functions of a table on main and puts their triggers on it and its partitions (ShareRowExclusive lock on each).';

CREATE OR REPLACE FUNCTION pggit._put_capture(p_table_id integer, p_relation oid)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_table  text    := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = p_relation);
    v_parted boolean := (SELECT c.relkind = 'p' FROM pg_class AS c WHERE c.oid = p_relation);
    v_rows   boolean := pggit._is_row_by_row(p_relation);
    v_watch  text    := CASE WHEN pggit._is_told_of_ddl() THEN '' ELSE 'watch' END;
BEGIN
    PERFORM pggit._drop_capture(p_relation);
    EXECUTE format('CREATE TRIGGER pggit_before BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION pggit._before_statement(%L, ''main'', %L%s)', v_table, p_table_id, v_watch,
                   CASE WHEN v_parted THEN ', ''moves''' WHEN v_rows THEN ', ''rows''' ELSE '' END);
    IF v_rows THEN
        PERFORM pggit._put_row_by_row_capture(p_table_id, v_table, v_watch = 'watch');
    ELSE
        EXECUTE format('CREATE TRIGGER pggit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
                        FOR EACH STATEMENT EXECUTE FUNCTION pggit._capture_%s_insert()', v_table, p_table_id);
        EXECUTE format('CREATE TRIGGER pggit_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
                        FOR EACH STATEMENT EXECUTE FUNCTION pggit._capture_%s_update()', v_table, p_table_id);
        EXECUTE format('CREATE TRIGGER pggit_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
                        FOR EACH STATEMENT EXECUTE FUNCTION pggit._capture_%s_delete()', v_table, p_table_id);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER pggit_insert, ENABLE ALWAYS TRIGGER pggit_update,
                        ENABLE ALWAYS TRIGGER pggit_delete', v_table);
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER pggit_before', v_table);
    -- TRUNCATE of a partitioned table fires the triggers of all its partitions.
    IF NOT v_parted THEN
        EXECUTE format('CREATE TRIGGER pggit_truncate BEFORE TRUNCATE ON %s
                        FOR EACH STATEMENT EXECUTE FUNCTION pggit._capture_%s_truncate()', v_table, p_table_id);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER pggit_truncate', v_table);
    END IF;
    IF pggit._root(p_relation) = p_relation AND NOT v_rows THEN
        PERFORM pggit._put_row_capture(p_table_id, v_table, v_watch = 'watch');
        IF v_parted THEN
            PERFORM pggit._put_move_capture(p_table_id, v_table);
        END IF;
    END IF;
    IF v_watch = 'watch' THEN
        EXECUTE format('CREATE TRIGGER pggit_after_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION pggit._after_truncate(%L)', v_table, p_table_id);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER pggit_after_truncate', v_table);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._put_capture(integer, oid) IS
'Puts the capture triggers of a tracked table on it or on one of its partitions.';

CREATE OR REPLACE FUNCTION pggit._stop_capture(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_event text;
BEGIN
    PERFORM pggit._lock_capture(p_table_id);
    FOREACH v_event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate', 'row'] LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION pggit._capture_%s_%s() RETURNS trigger LANGUAGE plpgsql AS $f$BEGIN RETURN coalesce(NEW, OLD); END$f$', p_table_id, v_event);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._stop_capture(integer) IS
'Makes the capture functions of a table do nothing, where its triggers can''t be dropped because a statement on it runs.';

CREATE OR REPLACE FUNCTION pggit._drop_capture(p_relation oid)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trigger name;
BEGIN
    FOR v_trigger IN
        SELECT g.tgname FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
         WHERE g.tgrelid = p_relation AND p.pronamespace = 'pggit'::regnamespace AND g.tgparentid = 0
           AND p.proname NOT IN ('_draw_identity', '_check_child', '_check_parent', '_settle_statement')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', v_trigger, p_relation::regclass);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._drop_capture(oid) IS
'Takes the triggers off a relation that capture its changes. Those by which a branch''s real table has its keys and foreign keys stay.';

CREATE OR REPLACE FUNCTION pggit._drop_all_capture(p_table pggit.tables)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._drop_capture(p_table.relation);
    PERFORM pggit._drop_capture(p.relation) FROM pggit.partitions AS p WHERE p.table_id = p_table.table_id;
    DELETE FROM pggit.partitions AS p WHERE p.table_id = p_table.table_id;
END;
$$;

COMMENT ON FUNCTION pggit._drop_all_capture(pggit.tables) IS
'Takes pggit''s triggers off a tracked table and its partitions.';
