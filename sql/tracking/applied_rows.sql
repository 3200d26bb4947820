-- Rows that no statement writes: the workers of logical replication apply a subscription's changes row by row and fire triggers on rows only, those that are ENABLE REPLICA or
-- ALWAYS. Statements fire the triggers on statements and leave their ordinal open meanwhile, by which these here know that they have nothing to do.

CREATE OR REPLACE FUNCTION pggit._create_row_function(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_parted boolean := (SELECT c.relkind = 'p' FROM pggit.tables AS t JOIN pg_class AS c ON c.oid = t.relation WHERE t.table_id = p_table_id);
BEGIN
    EXECUTE format($row$
CREATE OR REPLACE FUNCTION pggit._capture_%1$s_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $capture$
#variable_conflict use_variable
DECLARE
    v_xid xid8;
    v_seq bigint;
BEGIN
    %7$s
    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    v_xid := pggit._transaction_number();
    v_seq := nextval('pggit._ordinal');
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s) VALUES (v_seq, v_xid, left(TG_OP, 1)::"char", %3$s);
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF %4$s THEN
            RETURN NULL;
        END IF;
        UPDATE pggit._log_%1$s AS l SET _op = 'D' WHERE l._xid = v_xid AND l._seq = v_seq;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %5$s) SELECT v_seq, v_xid, 'I', %6$s%8$s;
    END IF;
    RETURN NULL;
END;
$capture$
$row$, p_table_id, pggit._stored_columns(p_table_id), pggit._user_columns(p_table_id, 'OLD'), pggit._same_key(p_table_id, 'OLD', 'NEW', true, true),
        pggit._key_columns(p_table_id), pggit._user_key_columns(p_table_id, 'NEW'),
        CASE WHEN v_parted THEN format($meet$IF TG_ARGV[0] = 'watch' AND pggit._meet_partition(%s, TG_RELID, TG_OP) THEN
        RETURN NULL;
    END IF;$meet$, p_table_id) ELSE '' END,
        -- What the partition brought was logged when it was met.
        CASE WHEN v_parted THEN format($new$
         WHERE NOT EXISTS (SELECT FROM pggit._log_%1$s AS l
                            WHERE %2$s AND l._xid = v_xid AND l._seq = nullif(current_setting('pggit.p' || TG_RELID, true), '')::bigint
                              AND NOT EXISTS (SELECT FROM pggit._log_%1$s AS n WHERE %3$s AND n._xid = v_xid AND n._seq > l._seq))$new$,
            p_table_id, pggit._same_key(p_table_id, 'l', 'NEW', false, true), pggit._same_key(p_table_id, 'n', 'l')) ELSE '' END);
END;
$$;

COMMENT ON FUNCTION pggit._create_row_function(integer) IS
'Generates the function that logs one row: of a subscription, or of a partition that has no triggers of its own yet (those come with the next commit).';

CREATE OR REPLACE FUNCTION pggit._watch_row()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._follow_shape(t.relation, true)
      FROM pggit.tables AS t WHERE t.table_id = TG_ARGV[0]::integer AND t.fingerprint IS DISTINCT FROM pggit._fingerprint(t.relation);
    PERFORM pggit._await_capture(TG_ARGV[0]::integer);
    RETURN coalesce(NEW, OLD);
END;
$$;

COMMENT ON FUNCTION pggit._watch_row() IS
'Where no event trigger tells of DDL: notices changed columns before a row is logged that no statement on the table writes. Argument: table id.';

CREATE OR REPLACE FUNCTION pggit._put_row_capture(p_table_id integer, p_relation text, p_watch boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_parted boolean := (SELECT c.relkind = 'p' FROM pg_class AS c WHERE c.oid = p_relation::regclass);
    v_when   text    := (SELECT string_agg(format('pg_catalog.current_setting(%L, true)', 'pggit.o' || p_table_id || c), ', ') FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS c);
    -- PostgreSQL fires triggers in the order of their names; these are before those of the user, which may write the row again.
    v_name   text    := format('  pggit_row_%s', p_table_id);
    v_watch  text    := format('   pggit_watch_%s', p_table_id);
BEGIN
    EXECUTE format('CREATE TRIGGER %2$I AFTER INSERT OR UPDATE OR DELETE ON %1$s FOR EACH ROW WHEN (pg_catalog.concat(%3$s) OPERATOR(pg_catalog.=) '''')
                    EXECUTE FUNCTION pggit._capture_%4$s_row(%5$L)', p_relation, v_name, v_when, p_table_id, CASE WHEN p_watch THEN 'watch' ELSE '' END);
    EXECUTE format('ALTER TABLE %s ENABLE %s TRIGGER %I', p_relation, CASE WHEN p_watch AND v_parted THEN 'ALWAYS' ELSE 'REPLICA' END, v_name);
    IF p_watch THEN
        EXECUTE format('CREATE TRIGGER %2$I AFTER INSERT OR UPDATE OR DELETE ON %1$s FOR EACH ROW WHEN (pg_catalog.concat(%3$s) OPERATOR(pg_catalog.=) '''')
                        EXECUTE FUNCTION pggit._watch_row(%4$L)', p_relation, v_watch, v_when, p_table_id);
        EXECUTE format('ALTER TABLE %s ENABLE REPLICA TRIGGER %I', p_relation, v_watch);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._put_row_capture(integer, text, boolean) IS
'Puts the triggers on rows that no statement writes on a table; all partitions get them from a partitioned one, later ones too. A table that has such triggers may become a partition
itself, so they are named by the table. Where nothing tells of DDL, they also fire on a partition that has come and has no triggers on statements.';
