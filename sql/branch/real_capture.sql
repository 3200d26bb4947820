-- Capture on a branch's real tables: marks of owned keys in the mask, pre-images in the branches' undo log.

CREATE OR REPLACE FUNCTION pggit._before_branch_statement()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_ordinal bigint;
BEGIN
    IF TG_ARGV[2] = 'watch' THEN
        PERFORM pggit._follow_branch_table(bt, NULL, true)
           FROM pggit.branch_tables AS bt WHERE bt.branch_id = TG_ARGV[1]::integer AND bt.table_id = TG_ARGV[0]::integer AND bt.watched[1] <> pggit._column_versions(bt.relation);
        PERFORM pggit._await_function(format('_capture_%s_b%s_branch_%s', TG_ARGV[0], TG_ARGV[1], CASE WHEN TG_ARGV[3] = 'rows' AND TG_OP <> 'TRUNCATE' THEN 'row' ELSE lower(TG_OP) END));
    END IF;
    IF TG_OP = 'TRUNCATE' THEN
        RETURN NULL;
    END IF;
    IF current_setting('pggit.base' || TG_ARGV[1], true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._lock_base(TG_ARGV[1]::integer);
    END IF;
    IF TG_ARGV[3] IS DISTINCT FROM 'rows' THEN
        v_ordinal := pggit._open_statement(TG_ARGV[0] || 'b' || TG_ARGV[1], TG_OP);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._before_branch_statement() IS
'Draws the ordinal of a statement on a branch''s real table and keeps the branch where it stands on main. Arguments: table id, branch id, watch where no event trigger
tells of DDL (changed columns are noticed here then, also by TRUNCATE), and rows where each row is logged by itself.';

CREATE OR REPLACE FUNCTION pggit._undo_sql(p_table_id integer, p_rows text, p_columns text, p_stored text, p_live text, p_deleted text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    -- A statement nested in this one has logged first but comes later: then it is this one that found the key as it was before both.
    SELECT format($log$
    WITH changed AS (
        SELECT %1$s FROM %2$s
    ), later AS (
        UPDATE pggit._undo_%3$s AS l SET _owned = true
          FROM changed AS r
         WHERE currval('pggit._ordinal') > v_seq AND l._b = v_branch AND %4$s AND l._xid = v_xid AND l._seq > v_seq AND NOT l._owned
        RETURNING %5$s
    ), logged AS (
        INSERT INTO pggit._undo_%3$s (_seq, _xid, _b, _owned, _live, _deleted, %6$s)
        SELECT v_seq, v_xid, v_branch,
               EXISTS (SELECT FROM pggit._mask_%3$s AS l WHERE l._b = v_branch AND %4$s) AND NOT EXISTS (SELECT FROM later AS l WHERE %4$s),
               %7$s, %8$s, %9$s
          FROM changed AS r
    )
    INSERT INTO pggit._mask_%3$s (_b, %10$s) SELECT v_branch, %11$s FROM changed AS r ON CONFLICT DO NOTHING;$log$,
        p_columns, p_rows, p_table_id, pggit._same_key(p_table_id, 'l', 'r'), pggit._key_columns(p_table_id, 'l'), p_stored,
        p_live, p_deleted, 'r.' || replace(p_stored, ', ', ', r.'), pggit._key_columns(p_table_id), pggit._key_columns(p_table_id, 'r'));
$$;

COMMENT ON FUNCTION pggit._undo_sql(integer, text, text, text, text, text) IS
'Statement of a capture function that logs rows as they were (p_live true) or keys that had none, and marks the keys as owned.';

CREATE OR REPLACE FUNCTION pggit._ensure_real_capture(p_table_id integer, p_at pggit._position, p_shape text DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Columns of the user are always behind an alias here.
    v_head   constant text := $head$
#variable_conflict use_variable
DECLARE
    v_branch integer := TG_ARGV[0]::integer;
    v_xid    xid8;
    v_seq    bigint  := %1$s;
    v_moves  boolean := false;
    v_nest   bigint;
BEGIN
    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    v_xid := pggit._transaction_number();
%2$s
    RETURN NULL;
END$head$;
    v_take   constant text := 'pggit._take_ordinal(''%sb'' || TG_ARGV[0], %L)';
    v_stored text := pggit._stored_columns(p_table_id, NULL, p_at);
    v_keys   text := pggit._key_columns(p_table_id);
    v_shape  text := coalesce(p_shape, pggit._shape_name(p_table_id, p_at));
    v_new    text;
    v_old    text := pggit._relation_columns(p_table_id, 'o', p_at);
    v_both   text;
    v_gone   text;
    v_come   text;
    v_repair text := format($w$
    v_nest := pggit._lowest_in_nest(v_seq, '%sb' || TG_ARGV[0]);
    IF v_nest IS NOT NULL THEN
        EXECUTE replace(%L, '{relation of the branch}', TG_RELID::regclass::text) USING v_branch, v_xid, v_nest;
    END IF;$w$, p_table_id, pggit._repair_order_sql(
            p_table_id, format('pggit._undo_%s', p_table_id), '{relation of the branch}', 'l._b = $1 AND l._xid = $2', '$3', '(NOT l._live)', 'l._deleted', true, p_at));
BEGIN
    IF pggit._is_keyless(p_table_id) THEN
        PERFORM pggit._ensure_keyless_capture(p_table_id, p_at, v_shape);
        RETURN;
    END IF;
    SELECT string_agg(format('n.%s::%s AS c%s', pggit._quoted(c.name), c.type_name, c.column_id), ', ' ORDER BY c.key_position) INTO v_new
      FROM pggit._columns_at(p_table_id, p_at) AS c WHERE c.key_position IS NOT NULL;
    SELECT pggit._old_and_new_sql(p_table_id, p_at), format('n.%s IS NOT DISTINCT FROM NULL', k.first), format('o.%s IS NOT DISTINCT FROM NULL', k.first) INTO v_both, v_gone, v_come
      FROM (SELECT pggit._quoted(c.name) FROM pggit._columns_at(p_table_id, p_at) AS c WHERE c.key_position = 1) AS k(first);

    PERFORM pggit._ensure_function(format('pggit._capture_%s_branch_insert()', v_shape), 'trigger', 'VOLATILE',
        format(v_head, format(v_take, p_table_id, 'INSERT'), pggit._undo_sql(p_table_id, 'new_rows AS n', v_new, v_keys, 'false', 'false') || v_repair));

    -- A key in both OLD and NEW of one statement has only its OLD row.
    PERFORM pggit._ensure_function(format('pggit._capture_%s_branch_update()', v_shape), 'trigger', 'VOLATILE',
        format(v_head, format(v_take, p_table_id, 'UPDATE'),
               format(E'    v_moves := %s;\n    IF v_moves THEN', pggit._moves_sql(p_table_id, p_at))
               || pggit._undo_sql(p_table_id, format('(SELECT o.*, %s AS "pggit gone", %s AS "pggit new" FROM %s OFFSET 0) AS o WHERE NOT o."pggit new"', v_gone, v_come, v_both),
                                  v_old || ', o."pggit gone" AS _gone', v_stored, 'true', 'r._gone')
               || pggit._undo_sql(p_table_id, format('(SELECT n.*, %s AS "pggit new" FROM %s OFFSET 0) AS n WHERE n."pggit new"', v_come, v_both), v_new, v_keys, 'false', 'false')
               || v_repair || E'\n    ELSE' || pggit._undo_sql(p_table_id, 'old_rows AS o', v_old, v_stored, 'true', 'false') || E'\n    END IF;'));

    PERFORM pggit._ensure_function(format('pggit._capture_%s_branch_delete()', v_shape), 'trigger', 'VOLATILE',
        format(v_head, format(v_take, p_table_id, 'DELETE'), pggit._undo_sql(p_table_id, 'old_rows AS o', v_old, v_stored, 'true', 'true') || v_repair));

    PERFORM pggit._ensure_function(format('pggit._capture_%s_branch_truncate()', v_shape), 'trigger', 'VOLATILE',
        format(v_head, $seq$nextval('pggit._ordinal')$seq$, format($w$
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG401', SCHEMA = 'pggit',
            MESSAGE = format('TRUNCATE of %%I.%%I needs READ COMMITTED', TG_TABLE_SCHEMA, TG_TABLE_NAME),
            HINT    = 'Rows that others committed since this transaction''s snapshot would be lost from history. Use READ COMMITTED, or DELETE.';
    END IF;
    PERFORM pggit._lock_base(v_branch);
    EXECUTE replace(%s, '{relation of the branch}', TG_RELID::regclass::text) USING v_seq, v_xid, v_branch;$w$,
            quote_literal(format($rows$
    WITH changed AS (
        SELECT %1$s FROM ONLY {relation of the branch} AS o
    ), logged AS (
        INSERT INTO pggit._undo_%2$s (_seq, _xid, _b, _owned, _live, _deleted, %3$s)
        SELECT $1, $2, $3, EXISTS (SELECT FROM pggit._mask_%2$s AS l WHERE l._b = $3 AND %4$s), true, true, %5$s FROM changed AS r
    )
    INSERT INTO pggit._mask_%2$s (_b, %6$s) SELECT $3, %7$s FROM changed AS r ON CONFLICT DO NOTHING$rows$,
            v_old, p_table_id, v_stored, pggit._same_key(p_table_id, 'l', 'r'),
            pggit._stored_columns(p_table_id, 'r', p_at), v_keys, pggit._key_columns(p_table_id, 'r'))))));
    IF to_regprocedure(format('pggit._capture_%s_branch_row()', v_shape)) IS NOT NULL THEN
        PERFORM pggit._ensure_real_row_capture(p_table_id, p_at, v_shape);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._ensure_real_capture(integer, pggit._position, text) IS
'Makes the capture functions that all branches'' real tables of a tracked table share while they have the same columns, those of main now (NULL) or of a position.
p_shape: the name in their names, when it is not pggit._shape_name.';

CREATE OR REPLACE FUNCTION pggit._real_shape_name(p_branch_id integer, p_table_id integer, p_at pggit._position)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN pggit._is_told_of_ddl() THEN pggit._shape_name(p_table_id, p_at) ELSE format('%s_b%s', p_table_id, p_branch_id) END;
$$;

COMMENT ON FUNCTION pggit._real_shape_name(integer, integer, pggit._position) IS
'Part of the names of the capture functions of a branch''s real table. Where no event trigger tells of DDL each table has its own: they are made anew while a statement runs whose triggers call them.';

CREATE OR REPLACE FUNCTION pggit._column_versions(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT md5(string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated, a.xmin), '|' ORDER BY a.attnum))
              FROM pg_attribute AS a WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped);
END;
$$;

COMMENT ON FUNCTION pggit._column_versions(oid) IS
'Another value whenever anything of a table''s columns changes.';

CREATE OR REPLACE FUNCTION pggit._ensure_real_row_capture(p_table_id integer, p_at pggit._position, p_shape text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_stored text := pggit._stored_columns(p_table_id, NULL, p_at);
    v_keys   text := pggit._key_columns(p_table_id);
BEGIN
    PERFORM pggit._ensure_function(format('pggit._capture_%s_branch_row()', p_shape), 'trigger', 'VOLATILE', format($row$
#variable_conflict use_variable
DECLARE
    v_branch integer := TG_ARGV[0]::integer;
    v_xid    xid8;
    v_stays  boolean := false;
    v_found  bigint;
BEGIN
    IF current_setting('pggit.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM pggit._record_transaction();
    END IF;
    v_xid := pggit._transaction_number();
    IF TG_OP = 'UPDATE' THEN
        v_stays := %4$s;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _owned, _live, _deleted, %2$s)
        SELECT nextval('pggit._ordinal'), v_xid, v_branch, EXISTS (SELECT FROM pggit._mask_%1$s AS l WHERE l._b = v_branch AND %5$s), true, NOT v_stays, %3$s;
        INSERT INTO pggit._mask_%1$s (_b, %6$s) VALUES (v_branch, %7$s) ON CONFLICT DO NOTHING;
    END IF;
    IF TG_OP <> 'DELETE' AND NOT v_stays THEN
        PERFORM pggit._pass_key(v_branch, %1$s, %10$s);
        EXECUTE replace(%11$L, '{relation of the branch}', TG_RELID::regclass::text) USING v_xid, v_branch, NEW;
        GET DIAGNOSTICS v_found = ROW_COUNT;
        IF v_found = 0 THEN
            INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _owned, _live, _deleted, %6$s)
            SELECT nextval('pggit._ordinal'), v_xid, v_branch, EXISTS (SELECT FROM pggit._mask_%1$s AS l WHERE l._b = v_branch AND %8$s), false, false, %9$s;
        END IF;
        INSERT INTO pggit._mask_%1$s (_b, %6$s) VALUES (v_branch, %9$s) ON CONFLICT DO NOTHING;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END$row$, p_table_id, v_stored, pggit._relation_columns(p_table_id, 'OLD', p_at), pggit._same_key(p_table_id, 'OLD', 'NEW', true, true, p_at),
        pggit._same_key(p_table_id, 'l', 'OLD', false, true, p_at), v_keys, pggit._user_key_columns(p_table_id, 'OLD', p_at), pggit._same_key(p_table_id, 'l', 'NEW', false, true, p_at),
        pggit._user_key_columns(p_table_id, 'NEW', p_at), pggit._key_hash_sql(p_table_id, 'NEW', p_at),
        format($found$INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _owned, _live, _deleted, %2$s)
            SELECT nextval('pggit._ordinal'), $1, $2, EXISTS (SELECT FROM pggit._mask_%1$s AS l WHERE l._b = $2 AND %3$s), true, false, %4$s
              FROM ONLY {relation of the branch} AS b WHERE %5$s LIMIT 1 FOR NO KEY UPDATE OF b$found$,
            p_table_id, v_stored, pggit._same_key(p_table_id, 'l', 'b', false, true, p_at), pggit._relation_columns(p_table_id, 'b', p_at), pggit._same_key(p_table_id, 'b', '($3)', true, true, p_at))));
END;
$$;

COMMENT ON FUNCTION pggit._ensure_real_row_capture(integer, pggit._position, text) IS
'Makes the function by which branches'' real tables are logged row by row, as pggit._create_row_by_row_function does on main.';

CREATE OR REPLACE FUNCTION pggit._capture_real(p_branch_id integer, p_table_id integer, p_name text, p_at pggit._position DEFAULT NULL, p_rows boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_shape text    := pggit._real_shape_name(p_branch_id, p_table_id, p_at);
    v_rows  boolean := p_rows OR pggit._is_row_by_row(p_name::regclass);
    v_watch boolean := NOT pggit._is_told_of_ddl();
BEGIN
    PERFORM pggit._ensure_real_capture(p_table_id, p_at, v_shape);
    EXECUTE format('CREATE TRIGGER pggit_before BEFORE INSERT OR UPDATE OR DELETE%s ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION pggit._before_branch_statement(%s, %s, %L, %L)', CASE WHEN v_watch THEN ' OR TRUNCATE' ELSE '' END, p_name, p_table_id, p_branch_id,
                   CASE WHEN v_watch THEN 'watch' ELSE '' END, CASE WHEN v_rows THEN 'rows' ELSE '' END);
    EXECUTE format('CREATE TRIGGER pggit_truncate BEFORE TRUNCATE ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION pggit._capture_%s_branch_truncate(%s)', p_name, v_shape, p_branch_id);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER pggit_before, ENABLE ALWAYS TRIGGER pggit_truncate', p_name);
    IF v_rows THEN
        PERFORM pggit._ensure_real_row_capture(p_table_id, p_at, v_shape);
        EXECUTE format('CREATE TRIGGER "~pggit_row" BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION pggit._capture_%s_branch_row(%s)', p_name, v_shape, p_branch_id);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "~pggit_row"', p_name);
        RETURN;
    END IF;
    EXECUTE format('CREATE TRIGGER pggit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
                    FOR EACH STATEMENT EXECUTE FUNCTION pggit._capture_%s_branch_insert(%s)', p_name, v_shape, p_branch_id);
    EXECUTE format('CREATE TRIGGER pggit_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
                    FOR EACH STATEMENT EXECUTE FUNCTION pggit._capture_%s_branch_update(%s)', p_name, v_shape, p_branch_id);
    EXECUTE format('CREATE TRIGGER pggit_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
                    FOR EACH STATEMENT EXECUTE FUNCTION pggit._capture_%s_branch_delete(%s)', p_name, v_shape, p_branch_id);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER pggit_insert, ENABLE ALWAYS TRIGGER pggit_update, ENABLE ALWAYS TRIGGER pggit_delete', p_name);
END;
$$;

COMMENT ON FUNCTION pggit._capture_real(integer, integer, text, pggit._position, boolean) IS
'Puts capture on a branch''s real table that has the columns of main now (NULL) or of a position. p_rows: row by row, whatever the table is so far.';
