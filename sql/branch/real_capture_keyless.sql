-- Tables without a primary key on branches: always real tables; the branch's log has what it did itself, as signed rows.

CREATE OR REPLACE FUNCTION pggit._undo_rows_sql(p_table_id integer, p_op "char", p_rows text, p_alias text, p_at pggit._position)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format(E'\n    INSERT INTO pggit._undo_%s (_seq, _xid, _b, _op, %s) SELECT v_seq, v_xid, v_branch, %L, %s FROM %s AS %s;',
                  p_table_id, pggit._stored_columns(p_table_id, NULL, p_at), p_op, pggit._relation_columns(p_table_id, p_alias, p_at), p_rows, p_alias);
$$;

COMMENT ON FUNCTION pggit._undo_rows_sql(integer, "char", text, text, pggit._position) IS
'Statement of a capture function on a branch: whole rows come (I) or go (D).';

CREATE OR REPLACE FUNCTION pggit._ensure_keyless_capture(p_table_id integer, p_at pggit._position, p_shape text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_event record;
BEGIN
    FOR v_event IN
        SELECT e.name, coalesce(e.ordinal, format('pggit._take_ordinal(''%sb'' || TG_ARGV[0], %L)', p_table_id, upper(e.name))) AS ordinal, e.body
          FROM (VALUES ('insert', NULL, pggit._undo_rows_sql(p_table_id, 'I', 'new_rows', 'n', p_at)),
                       ('update', NULL, pggit._undo_rows_sql(p_table_id, 'D', 'old_rows', 'o', p_at) || pggit._undo_rows_sql(p_table_id, 'I', 'new_rows', 'n', p_at)),
                       ('delete', NULL, pggit._undo_rows_sql(p_table_id, 'D', 'old_rows', 'o', p_at)),
                       ('truncate', 'nextval(''pggit._ordinal'')', format($truncate$
    PERFORM pggit._require_read_committed(format('TRUNCATE of tracked table %%I.%%I', TG_TABLE_SCHEMA, TG_TABLE_NAME));
    PERFORM pggit._lock_base(v_branch);
    EXECUTE format('INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _op, %2$s) SELECT $1, $2, $3, ''D'', %3$s FROM %%s AS o', TG_RELID::regclass) USING v_seq, v_xid, v_branch;$truncate$,
                            p_table_id, pggit._stored_columns(p_table_id, NULL, p_at),
                            replace(replace(pggit._relation_columns(p_table_id, 'o', p_at), '''', ''''''), '%', '%%')))) AS e(name, ordinal, body)
    LOOP
        PERFORM pggit._ensure_function(format('pggit._capture_%s_branch_%s()', p_shape, v_event.name), 'trigger', 'VOLATILE', format($body$
#variable_conflict use_variable
DECLARE
    v_branch integer := TG_ARGV[0]::integer;
    v_xid    xid8;
    v_seq    bigint  := %s;
BEGIN
    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    v_xid := pggit._transaction_number();%s
    RETURN NULL;
END$body$, v_event.ordinal, v_event.body));
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._ensure_keyless_capture(integer, pggit._position, text) IS
'pggit._ensure_real_capture for a table without a key.';

CREATE OR REPLACE FUNCTION pggit._copy_own_rows(p_table_id integer, p_from integer, p_mark pggit._mark, p_to integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_at      pggit._position := pggit._branch_now(p_to);
    v_columns integer[]       := pggit._shared_columns(p_table_id, v_at, v_at);
BEGIN
    -- Transaction 0 is in every mark: the new branch begins with these.
    EXECUTE format($sql$
        INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _op, %2$s)
        SELECT 0, '0', %3$s, CASE WHEN s.n > 0 THEN 'I' ELSE 'D' END, %4$s
          FROM pggit._pinned(%5$L) AS s(k text, r pggit._delta_%1$s, n bigint) CROSS JOIN generate_series(1, abs(s.n))$sql$,
        p_table_id, pggit._stored_columns(p_table_id, NULL, v_at), p_to, pggit._record_columns(p_table_id, 's.r', v_at),
        pggit._net_sql(format('SELECT %s, %s AS n FROM pggit._undo_%s AS l WHERE l._b = %s AND %s', pggit._counted_sql(p_table_id, v_columns, 'l'), pggit._sign_sql('l'),
                              p_table_id, p_from, pggit._in_sql('l', p_mark))));
END;
$$;

COMMENT ON FUNCTION pggit._copy_own_rows(integer, integer, pggit._mark, integer) IS
'pggit._copy_owned for a table without a key: what another branch had done itself by a mark.';

CREATE OR REPLACE FUNCTION pggit._tell_branch(p_table_id integer, p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_now pggit._position := pggit._branch_now(p_branch_id);
BEGIN
    PERFORM pggit._lock_base(p_branch_id);
    EXECUTE format('INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _op, %2$s)
                    SELECT %3$s, %4$L, %5$s, CASE WHEN s.n > 0 THEN ''I'' ELSE ''D'' END, %6$s FROM (%7$s) AS s CROSS JOIN generate_series(1, abs(s.n))',
                   p_table_id, pggit._stored_columns(p_table_id, NULL, v_now), nextval('pggit._ordinal'), pggit._transaction_number(), p_branch_id,
                   pggit._record_columns(p_table_id, 's.r', v_now), pggit._untold_sql(p_table_id, p_branch_id));
END;
$$;

COMMENT ON FUNCTION pggit._tell_branch(integer, integer) IS
'Logs what makes the rows of a table without a key on a branch, as they are, out of its history: after DDL gave them other columns or values.';
