-- Rows that an UPDATE or MERGE moves between partitions. To an UPDATE's own triggers they are rows like others; a MERGE shows them, as deleted and inserted ones, only to the
-- triggers of its DELETE and INSERT actions, and where it has none to nobody. Triggers on rows see them always, so these log them.

CREATE OR REPLACE FUNCTION pggit._top(p_setting text)
    RETURNS bigint
    LANGUAGE sql STABLE
AS $$
    SELECT nullif(split_part(current_setting(p_setting, true), ',', 1), '')::bigint;
$$;

COMMENT ON FUNCTION pggit._top(text) IS
'The innermost ordinal on a stack of open statements; NULL when there is none.';

CREATE OR REPLACE FUNCTION pggit._expect_moves(p_tag text, p_command text, p_context text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_ordinal bigint := pggit._top('pggit.o' || p_tag || p_command);
    v_setting text   := 'pggit.s' || p_tag;
BEGIN
    IF p_command = 'INSERT' THEN
        PERFORM set_config('pggit.c' || p_tag, concat_ws(' ', v_ordinal, p_context), true);
    ELSIF p_command = 'UPDATE' THEN
        IF strpos(current_setting('pggit.o' || p_tag || 'UPDATE', true), ',') = 0 THEN
            PERFORM set_config(v_setting, '', true), set_config('pggit.m' || p_tag, '', true);
        END IF;
        IF current_setting('pggit.c' || p_tag, true) = concat_ws(' ', pggit._top('pggit.o' || p_tag || 'INSERT'), p_context) THEN
            PERFORM set_config(v_setting, concat_ws(',', v_ordinal, nullif(current_setting(v_setting, true), '')), true);
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._expect_moves(text, text, text) IS
'When a statement on a partitioned table begins: pggit.s<tag> lists the open UPDATEs that are part of one MERGE or upsert with an INSERT, known by the place in the code
where both begin (pggit.c<tag>). pggit.m<tag> will list those that have moved rows.';

CREATE OR REPLACE FUNCTION pggit._moved_rows_sql(p_table_id integer, p_repair text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format($body$
    IF v_seq::text = ANY (string_to_array(current_setting('pggit.m%1$s', true), ',')) THEN
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s)
        SELECT v_seq, v_xid, 'D', %3$s FROM old_rows AS o
         WHERE NOT EXISTS (SELECT FROM pggit._log_%1$s AS l WHERE %4$s AND l._xid = v_xid AND l._seq = v_seq AND l._op = 'D');
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %5$s)
        SELECT v_seq, v_xid, 'I', %6$s FROM new_rows AS n
         WHERE NOT EXISTS (SELECT FROM pggit._log_%1$s AS l WHERE %7$s AND l._xid = v_xid AND l._seq = v_seq AND l._op = 'I');
        -- A key that was there before and is there now.
        WITH stayed AS (
            DELETE FROM pggit._log_%1$s AS l USING pggit._log_%1$s AS d
             WHERE l._xid = v_xid AND l._seq = v_seq AND l._op = 'I' AND %8$s AND d._xid = v_xid AND d._seq = v_seq AND d._op = 'D'
            RETURNING d.*
        )
        UPDATE pggit._log_%1$s AS l SET _op = 'U' FROM stayed AS s WHERE %10$s AND l._at = s._at;%9$s
        RETURN NULL;
    END IF;$body$,
        p_table_id, pggit._stored_columns(p_table_id), pggit._user_columns(p_table_id, 'o'), pggit._same_key(p_table_id, 'l', 'o', false, true),
        pggit._key_columns(p_table_id), pggit._user_key_columns(p_table_id, 'n'), pggit._same_key(p_table_id, 'l', 'n', false, true),
        pggit._same_key(p_table_id, 'd', 'l'), p_repair, pggit._same_key(p_table_id, 'l', 's'));
$$;

COMMENT ON FUNCTION pggit._moved_rows_sql(integer, text) IS
'The part of a capture function for an UPDATE that has moved rows: those are in the log already.';

CREATE OR REPLACE FUNCTION pggit._create_move_function(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format($move$
CREATE OR REPLACE FUNCTION pggit._capture_%1$s_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $capture$
#variable_conflict use_variable
DECLARE
    v_seq bigint := pggit._top('pggit.o%1$sUPDATE');
BEGIN
    -- Of an INSERT or DELETE within the UPDATE, or beside it: its own trigger logs it. What one MERGE inserts, too, is logged when its INSERT ends.
    IF v_seq IS NULL OR pggit._top('pggit.o%1$s' || TG_OP) > v_seq THEN
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' AND pggit._top('pggit.o%1$sINSERT') IS NOT NULL AND v_seq::text = ANY (string_to_array(current_setting('pggit.s%1$s', true), ',')) THEN
        RETURN NULL;
    END IF;

    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    IF v_seq::text = ANY (string_to_array(current_setting('pggit.m%1$s', true), ',')) IS NOT TRUE THEN
        PERFORM set_config('pggit.m%1$s', concat_ws(',', v_seq, nullif(current_setting('pggit.m%1$s', true), '')), true);
    END IF;
    IF TG_OP = 'DELETE' THEN
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s) VALUES (v_seq, pggit._transaction_number(), 'D', %3$s);
    ELSE
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %4$s) VALUES (v_seq, pggit._transaction_number(), 'I', %5$s);
    END IF;
    RETURN NULL;
END;
$capture$
$move$, p_table_id, pggit._stored_columns(p_table_id), pggit._user_columns(p_table_id, 'OLD'), pggit._key_columns(p_table_id), pggit._user_key_columns(p_table_id, 'NEW'));
END;
$$;

COMMENT ON FUNCTION pggit._create_move_function(integer) IS
'Generates the function that logs a row which goes from one partition to another, each end of the way.';

CREATE OR REPLACE FUNCTION pggit._meet_partition(p_table_id integer, p_relation oid, p_command text)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_older boolean;
    v_seq   bigint;
BEGIN
    IF EXISTS (SELECT FROM pggit.partitions AS p WHERE p.relation = p_relation AND p.table_id = p_table_id) THEN
        RETURN false;
    END IF;
    INSERT INTO pggit.partitions (relation, table_id, captured) VALUES (p_relation, p_table_id, false)
        ON CONFLICT (relation) DO UPDATE SET table_id = excluded.table_id, captured = false, saved_at = NULL;
    v_older := p_command <> 'INSERT';
    IF NOT v_older THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s AS b WHERE age(b.xmin) > age(pg_current_xact_id()::xid))', p_relation::regclass) INTO v_older;
    END IF;
    IF v_older THEN
        PERFORM pggit._lose_history(p_table_id);
        RAISE WARNING 'partition % was attached, and written, before that could be noticed: what table % was before can''t be read any more',
                      p_relation::regclass, pggit._base_relation(p_table_id);
    ELSE
        v_seq := nextval('pggit._ordinal');
        PERFORM pggit._log_partition(p_table_id, p_relation, 'I', v_seq);
        PERFORM set_config('pggit.p' || p_relation, v_seq::text, true);
    END IF;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit._meet_partition(integer, oid, text) IS
'Where no event trigger tells of DDL: a partition that nobody has met yet is written directly. If all its rows are this transaction''s, they are inserted now, under the ordinal
in pggit.p<relation>; else nobody knows any more what it brought. False: it is known already.';

CREATE OR REPLACE FUNCTION pggit._put_move_capture(p_table_id integer, p_relation text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER pggit_move_%3$s AFTER INSERT OR DELETE ON %1$s FOR EACH ROW WHEN (pg_catalog.current_setting(%2$L, true) OPERATOR(pg_catalog.<>) '''')
                    EXECUTE FUNCTION pggit._capture_%3$s_move()', p_relation, format('pggit.o%sUPDATE', p_table_id), p_table_id);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER pggit_move_%s', p_relation, p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._put_move_capture(integer, text) IS
'Puts the trigger on rows that move on a partitioned table, which all its partitions get from it, later ones too.';
