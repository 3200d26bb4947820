-- Capture of tables without a primary key: every row that comes and every row that goes, whole. No order matters.

CREATE OR REPLACE FUNCTION pggit._keyless_stores(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_columns text := (SELECT string_agg(pggit._stored_column(c), ', ' ORDER BY c.column_id) FROM pggit.columns AS c
                        WHERE c.table_id = p_table_id AND c.generated_as IS NULL AND c.dropped_at IS NULL);
    v_head    constant text := '_at bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, _seq bigint NOT NULL, _xid xid8 NOT NULL, _op "char" NOT NULL';
BEGIN
    EXECUTE format('CREATE TABLE pggit._log_%s (%s, %s)', p_table_id, v_head, v_columns);
    EXECUTE format('CREATE INDEX ON pggit._log_%s (_xid)', p_table_id);
    EXECUTE format('CREATE TABLE pggit._undo_%s (%s, _b integer NOT NULL, %s)', p_table_id, v_head, v_columns);
    EXECUTE format('CREATE INDEX ON pggit._undo_%s (_xid)', p_table_id);
    EXECUTE format('CREATE INDEX ON pggit._undo_%s (_b, _xid)', p_table_id);
    -- Always empty: for its row type.
    EXECUTE format('CREATE TABLE pggit._delta_%s (_b integer PRIMARY KEY, %s)', p_table_id, v_columns);
END;
$$;

COMMENT ON FUNCTION pggit._keyless_stores(integer) IS
'Creates the stores of a table without a key: main''s log and the branches'' logs, both of signed rows, and the row type.';

CREATE OR REPLACE FUNCTION pggit._log_rows_sql(p_table_id integer, p_op "char", p_rows text, p_alias text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format(E'\n    INSERT INTO pggit._log_%s (_seq, _xid, _op, %s) SELECT v_seq, v_xid, %L, %s FROM %s AS %s;',
                  p_table_id, pggit._stored_columns(p_table_id), p_op, pggit._user_columns(p_table_id, p_alias), p_rows, p_alias);
$$;

COMMENT ON FUNCTION pggit._log_rows_sql(integer, "char", text, text) IS
'Statement of a capture function on main: whole rows come (I) or go (D).';

CREATE OR REPLACE FUNCTION pggit._keyless_capture_functions(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_event record;
BEGIN
    FOR v_event IN
        SELECT e.name, coalesce(e.ordinal, format('pggit._take_ordinal(%L, %L)', p_table_id, upper(e.name))) AS ordinal, e.body
          FROM (VALUES ('insert', NULL, pggit._log_rows_sql(p_table_id, 'I', 'new_rows', 'n')),
                       ('update', NULL, pggit._log_rows_sql(p_table_id, 'D', 'old_rows', 'o') || pggit._log_rows_sql(p_table_id, 'I', 'new_rows', 'n')),
                       ('delete', NULL, pggit._log_rows_sql(p_table_id, 'D', 'old_rows', 'o')),
                       ('truncate', 'nextval(''pggit._ordinal'')',
                        E'\n    PERFORM pggit._require_read_committed(format(''TRUNCATE of tracked table %I.%I'', TG_TABLE_SCHEMA, TG_TABLE_NAME));'
                        || pggit._log_rows_sql(p_table_id, 'D', pggit._base_rows(p_table_id), 'o'))) AS e(name, ordinal, body)
    LOOP
        EXECUTE format($function$
CREATE OR REPLACE FUNCTION pggit._capture_%1$s_%2$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $capture$
#variable_conflict use_variable
DECLARE
    v_xid xid8;
    v_seq bigint := %3$s;
BEGIN
    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    v_xid := pggit._transaction_number();%4$s
    RETURN NULL;
END;
$capture$
$function$, p_table_id, v_event.name, v_event.ordinal, v_event.body);
    END LOOP;
    -- For rows of a subscription, which no statement writes (tracking/applied_rows.sql).
    EXECUTE format($row$
CREATE OR REPLACE FUNCTION pggit._capture_%1$s_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $capture$
#variable_conflict use_variable
DECLARE
    v_seq bigint := nextval('pggit._ordinal');
BEGIN
    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s) VALUES (v_seq, pggit._transaction_number(), 'D', %3$s);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s) VALUES (v_seq, pggit._transaction_number(), 'I', %4$s);
    END IF;
    RETURN NULL;
END;
$capture$
$row$, p_table_id, pggit._stored_columns(p_table_id), pggit._user_columns(p_table_id, 'OLD'), pggit._user_columns(p_table_id, 'NEW'));
END;
$$;

COMMENT ON FUNCTION pggit._keyless_capture_functions(integer) IS
'Generates the capture functions, on main, of a table without a key.';
