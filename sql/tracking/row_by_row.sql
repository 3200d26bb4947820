-- Tables whose rows are logged one by one, each just before it is changed, because triggers on statements do not see enough. Where the primary key is deferrable, a transaction may have two rows
-- of one key for a while. Where a foreign key of the table to itself follows a key that changes, PostgreSQL adds what that does to the transition tables of the statement: a row that refers to itself is in them twice. Where tables inherit from each other, a statement on one also writes rows of the others, and its transition tables have these among its own, cut to its columns.

CREATE OR REPLACE FUNCTION pggit._is_row_by_row(p_relation oid)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = p_relation AND i.indisprimary AND NOT i.indimmediate)
                OR EXISTS (SELECT FROM pg_inherits AS h JOIN pg_class AS c ON c.oid = h.inhparent AND c.relkind = 'r' WHERE h.inhrelid = p_relation)
                OR EXISTS (SELECT FROM pg_inherits AS h JOIN pg_class AS c ON c.oid = h.inhparent AND c.relkind = 'r' WHERE h.inhparent = p_relation)
                OR EXISTS (SELECT FROM pg_constraint AS f JOIN pg_index AS i ON i.indrelid = f.conrelid AND i.indisprimary JOIN pg_class AS c ON c.oid = f.conrelid AND c.relkind = 'r'
                            WHERE f.conrelid = p_relation AND f.confrelid = p_relation AND f.contype = 'f' AND f.confupdtype NOT IN ('a', 'r') AND f.confkey && i.indkey::smallint[]));
END;
$$;

COMMENT ON FUNCTION pggit._is_row_by_row(oid) IS
'Whether a table has to be logged row by row.';

CREATE OR REPLACE FUNCTION pggit._is_captured_row_by_row(p_relation oid)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = p_relation AND g.tgname = '~pggit_row'));
END;
$$;

COMMENT ON FUNCTION pggit._is_captured_row_by_row(oid) IS
'Whether a table has the trigger that logs it row by row.';

CREATE OR REPLACE FUNCTION pggit._descendants(p_relations oid[])
    RETURNS SETOF oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    WITH RECURSIVE below AS (
        SELECT h.inhrelid FROM pg_inherits AS h JOIN pg_class AS c ON c.oid = h.inhparent AND c.relkind = 'r' WHERE h.inhparent = ANY (p_relations)
        UNION
        SELECT h.inhrelid FROM below AS b JOIN pg_inherits AS h ON h.inhparent = b.inhrelid
    )
    SELECT b.inhrelid FROM below AS b;
$$;

COMMENT ON FUNCTION pggit._descendants(oid[]) IS
'The tables that inherit from some, at every level: what DDL does to the columns of a table it does to theirs.';

CREATE OR REPLACE FUNCTION pggit._key_hash_sql(p_table_id integer, p_alias text, p_at pggit._position DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT pggit._hash_sql(string_agg(format('%s.%s::%s', p_alias, pggit._quoted(c.name), c.type_name), ', ' ORDER BY c.key_position),
                                   array_agg(to_regtype(c.type_name)::oid ORDER BY c.key_position))
              FROM pggit._columns_at(p_table_id, p_at) AS c
             WHERE c.key_position IS NOT NULL);
END;
$$;

COMMENT ON FUNCTION pggit._key_hash_sql(integer, text, pggit._position) IS
'Expression: hash of the key of a row of the user''s table, or of a branch''s with the columns of a position.';

CREATE OR REPLACE FUNCTION pggit._create_row_by_row_function(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format($row$
CREATE OR REPLACE FUNCTION pggit._capture_%1$s_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $capture$
#variable_conflict use_variable
DECLARE
    v_xid   xid8;
    v_stays boolean := false;
BEGIN
    PERFORM pggit._require_main(TG_TABLE_SCHEMA, TG_TABLE_NAME) WHERE coalesce(current_setting('pggit.branch', true), '') NOT IN ('', 'main');
    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    v_xid := pggit._transaction_number();
    IF TG_OP = 'UPDATE' THEN
        v_stays := %4$s;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s) VALUES (nextval('pggit._ordinal'), v_xid, CASE WHEN v_stays THEN 'U' ELSE 'D' END, %3$s);
    END IF;
    IF TG_OP <> 'DELETE' AND NOT v_stays THEN
        PERFORM pggit._pass_key(1, %1$s, %8$s);
        INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s)
        SELECT nextval('pggit._ordinal'), v_xid, 'U', %9$s FROM ONLY %10$s AS b WHERE %7$s LIMIT 1 FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %5$s) VALUES (nextval('pggit._ordinal'), v_xid, 'I', %6$s);
        END IF;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END;
$capture$
$row$, p_table_id, pggit._stored_columns(p_table_id), pggit._user_columns(p_table_id, 'OLD'), pggit._same_key(p_table_id, 'OLD', 'NEW', true, true),
        pggit._key_columns(p_table_id), pggit._user_key_columns(p_table_id, 'NEW'), pggit._same_key(p_table_id, 'b', 'NEW', true, true),
        pggit._key_hash_sql(p_table_id, 'NEW'), pggit._user_columns(p_table_id, 'b'), pggit._base_relation(p_table_id));
END;
$$;

COMMENT ON FUNCTION pggit._create_row_by_row_function(integer) IS
'Generates the function that logs a row before it is changed. A row that comes in under a key which another row has at that moment is logged as an update of that row, which stays locked.';

CREATE OR REPLACE FUNCTION pggit._put_row_by_row_capture(p_table_id integer, p_relation text, p_watch boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    -- PostgreSQL fires triggers in the order of their names: these see what the user's own have made of the row.
    EXECUTE format('CREATE TRIGGER "~pggit_row" BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION pggit._capture_%s_row()', p_relation, p_table_id);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "~pggit_row"', p_relation);
    -- Statements on the tables that it inherits from do not fire its triggers on statements.
    IF p_watch AND EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = p_relation::regclass) THEN
        EXECUTE format('CREATE TRIGGER "~pggit_a_watch" BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION pggit._watch_row(%L)', p_relation, p_table_id);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "~pggit_a_watch"', p_relation);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._put_row_by_row_capture(integer, text, boolean) IS
'Puts the trigger that logs a table row by row on it; where nothing tells of DDL, also one that notices changed columns.';

CREATE OR REPLACE FUNCTION pggit._require_unique_keys(p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table record;
    v_twice boolean;
BEGIN
    FOR v_table IN
        SELECT t.table_id, r.relation::regclass AS relation, CASE p_branch_id WHEN 1 THEN format('_log_%s', t.table_id) ELSE format('_undo_%s', t.table_id) END AS log
          FROM pggit.tables AS t
          LEFT JOIN pggit.branch_tables AS bt ON bt.table_id = t.table_id AND bt.branch_id = p_branch_id AND bt.form = 'table'
         CROSS JOIN LATERAL (SELECT CASE p_branch_id WHEN 1 THEN t.relation ELSE bt.relation END AS relation) AS r
          JOIN pg_index AS i ON i.indrelid = r.relation AND i.indisprimary AND NOT i.indimmediate
         WHERE t.untracked_at IS NULL
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM pggit.%s AS l WHERE l._xid = %L AND (SELECT count(*) FROM ONLY %s AS b WHERE %s) > 1)',
                       v_table.log, pggit._numbered(pg_current_xact_id_if_assigned(), pggit._current_epoch()), v_table.relation, pggit._same_key(v_table.table_id, 'b', 'l', true, false)) INTO v_twice;
        IF v_twice THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG307', SCHEMA = 'pggit',
                MESSAGE = format('table %s has two rows of one key at this point of the transaction: no state of history can have that', v_table.relation),
                HINT    = 'Its primary key is deferrable. SET CONSTRAINTS ALL IMMEDIATE says whether it holds; commit when it does.';
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._require_unique_keys(integer) IS
'Raises VG307 where this transaction has left two rows of one key in a table of a branch, as a deferrable primary key lets it.';

CREATE OR REPLACE FUNCTION pggit._has_deferred_keys(p_relation oid)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = p_relation AND (i.indisunique OR i.indisexclusion) AND NOT i.indimmediate));
END;
$$;

COMMENT ON FUNCTION pggit._has_deferred_keys(oid) IS
'Whether a table has unique or exclusion constraints that are deferrable, which PostgreSQL checks by triggers.';
