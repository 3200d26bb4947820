-- A partitioned table is one tracked table, the root. Its partitions, at every level, have the root's capture; rows come and go with them.

CREATE OR REPLACE FUNCTION pggit._root(p_relation oid)
    RETURNS oid
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(pg_partition_root(p_relation)::oid, p_relation);
$$;

COMMENT ON FUNCTION pggit._root(oid) IS
'The partitioned table that a partition belongs to in the end; any other relation itself.';

CREATE OR REPLACE FUNCTION pggit._partitions(p_relation oid)
    RETURNS TABLE (relation oid, is_leaf boolean)
    LANGUAGE sql STABLE
AS $$
    SELECT t.relid::oid, t.isleaf FROM pg_partition_tree(p_relation) AS t WHERE t.relid::oid <> p_relation;
$$;

COMMENT ON FUNCTION pggit._partitions(oid) IS
'The partitions of a relation, at every level.';

CREATE OR REPLACE FUNCTION pggit._storage(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT jsonb_object_agg(f.oid, pg_relation_filenode(f.oid))::text FROM (SELECT p_relation UNION SELECT p.relation FROM pggit._partitions(p_relation) AS p) AS f(oid));
END;
$$;

COMMENT ON FUNCTION pggit._storage(oid) IS
'The files of a table and its partitions by oid, as text: each is another one whenever its rows are written anew (ALTER TABLE, but also VACUUM FULL, CLUSTER, TRUNCATE).';

CREATE OR REPLACE FUNCTION pggit._is_rewritten(p_before text, p_now text)
    RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT p_before IS NULL OR EXISTS (SELECT FROM jsonb_each(p_before::jsonb) AS b JOIN jsonb_each(p_now::jsonb) AS n USING (key) WHERE b.value <> n.value));
END;
$$;

COMMENT ON FUNCTION pggit._is_rewritten(text, text) IS
'Whether a table or one of the partitions that it has had in the meantime has another file (pggit._storage) than before.';

CREATE OR REPLACE FUNCTION pggit._relations(p_tables integer[])
    RETURNS oid[]
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(r.relation), '{}')
              FROM (SELECT t.relation::oid FROM pggit.tables AS t WHERE t.table_id = ANY (p_tables)
                    UNION ALL SELECT p.relation::oid FROM pggit.partitions AS p WHERE p.table_id = ANY (p_tables)) AS r);
END;
$$;

COMMENT ON FUNCTION pggit._relations(integer[]) IS
'Tables on main with their partitions.';

CREATE OR REPLACE FUNCTION pggit._total_size(p_relation oid)
    RETURNS bigint
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT (pg_total_relation_size(p_relation) + coalesce((SELECT sum(pg_total_relation_size(p.relation)) FROM pggit._partitions(p_relation) AS p WHERE p.is_leaf), 0))::bigint);
END;
$$;

COMMENT ON FUNCTION pggit._total_size(oid) IS
'Bytes of a table with its indexes, and of its partitions.';

CREATE OR REPLACE FUNCTION pggit._unsupported_partition(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (WITH parts AS MATERIALIZED (
                SELECT c.oid, c.relkind, c.relpersistence FROM pggit._partitions(p_relation) AS p JOIN pg_class AS c ON c.oid = p.relation
            )
            SELECT CASE WHEN c.relkind NOT IN ('r', 'p') THEN format('its partition %s is a foreign table', c.oid::regclass)
                        WHEN c.relpersistence <> 'p' THEN format('its partition %s is temporary or unlogged', c.oid::regclass)
                        ELSE format('its partition %s computes a generated column in its own way', c.oid::regclass) END
              FROM parts AS c
             WHERE c.relkind NOT IN ('r', 'p') OR c.relpersistence <> 'p'
                OR EXISTS (SELECT FROM pggit._live_columns(p_relation) AS r JOIN pggit._live_columns(c.oid) AS l USING (name) WHERE l.generated_as IS DISTINCT FROM r.generated_as)
             ORDER BY c.oid LIMIT 1);
END;
$$;

COMMENT ON FUNCTION pggit._unsupported_partition(oid) IS
'Why a partitioned table can''t be tracked with the partitions it has, or NULL.';

CREATE OR REPLACE FUNCTION pggit._bound_sql(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1
AS $$
DECLARE
    v_bound text := pg_get_partition_constraintdef(p_relation);
    v_name  record;
BEGIN
    -- The bound of a hash partition has the oid of the table above it, which is another one in a database that was restored.
    FOR v_name IN SELECT a.relid::oid, a.relid::text AS name FROM pg_partition_ancestors(p_relation) AS a(relid) LOOP
        v_bound := replace(v_bound, format('satisfies_hash_partition(''%s''::oid', v_name.relid), format('satisfies_hash_partition(%L::regclass::oid', v_name.name));
    END LOOP;
    RETURN v_bound;
END;
$$;

COMMENT ON FUNCTION pggit._bound_sql(oid) IS
'Condition over column names: the partition takes a row.';

CREATE OR REPLACE FUNCTION pggit._fits_sql(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (WITH parted AS (
                SELECT d.* FROM pg_partition_tree(p_relation) AS t JOIN pg_partitioned_table AS d ON d.partrelid = t.relid
            )
            SELECT CASE WHEN (SELECT bool_and(d.partdefid <> 0) FROM parted AS d) THEN NULL
                        -- The text of a bound does not name a collation of its own.
                        WHEN EXISTS (SELECT FROM parted AS d CROSS JOIN LATERAL unnest(d.partattrs, d.partcollation) AS k(attnum, collation_id)
                                       JOIN pg_attribute AS a ON a.attrelid = d.partrelid AND a.attnum = k.attnum WHERE a.attcollation <> k.collation_id) THEN NULL
                        ELSE coalesce((SELECT string_agg(format('(%s)', pggit._bound_sql(p.relation)), ' OR ' ORDER BY p.relation) FROM pggit._partitions(p_relation) AS p WHERE p.is_leaf), 'false') END
              FROM pg_class AS c WHERE c.oid = p_relation AND c.relkind = 'p');
END;
$$;

COMMENT ON FUNCTION pggit._fits_sql(oid) IS
'Condition over column names: some partition takes a row. NULL where every row is taken, or the catalog''s text can''t tell. The columns it reads are all in the primary key.';

CREATE OR REPLACE FUNCTION pggit._partition_columns(p_table_id integer, p_relation oid, p_alias text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT string_agg(CASE WHEN l.name IS NULL THEN 'NULL' ELSE format('%s.%s', p_alias, pggit._quoted(l.name)) END, ', ' ORDER BY c.column_id)
              FROM pggit.columns AS c LEFT JOIN pggit._live_columns(p_relation) AS l USING (name)
             WHERE c.table_id = p_table_id AND c.generated_as IS NULL AND c.dropped_at IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._partition_columns(integer, oid, text) IS
'The stored columns under their names in a partition. One that the table got after the partition was detached is NULL.';

CREATE OR REPLACE FUNCTION pggit._is_as_captured(p_table pggit.tables, p_relation oid)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT pggit._is_told_of_ddl()
                   OR (NOT pggit._is_rewritten((p_table).storage, pggit._storage(p_relation))
                       AND NOT EXISTS (SELECT FROM pggit.columns AS c LEFT JOIN pggit._live_columns(p_relation) AS l USING (name)
                                        WHERE c.table_id = (p_table).table_id AND c.generated_as IS NULL AND c.dropped_at IS NULL AND l.type_name IS DISTINCT FROM c.type_name
                                          AND NOT (l.name IS NULL AND (c.added_at).own IS NOT DISTINCT FROM pggit._transaction_number()))));
END;
$$;

COMMENT ON FUNCTION pggit._is_as_captured(pggit.tables, oid) IS
'Whether a partition that was detached still has the rows and columns that it had as a partition; p_table: the table as pggit knew it then. Without event triggers it may have been changed since.';

CREATE OR REPLACE FUNCTION pggit._partition_rows_sql(p_table_id integer, p_relation oid, p_op "char", p_seq bigint)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('INSERT INTO pggit._log_%1$s (_seq, _xid, _op, %2$s) SELECT %3$s, pggit._transaction_number(), %4$L, %5$s FROM ONLY %6$s AS b',
                  p_table_id, CASE p_op WHEN 'I' THEN pggit._key_columns(p_table_id) ELSE pggit._stored_columns(p_table_id) END, p_seq, p_op,
                  CASE p_op WHEN 'I' THEN pggit._user_key_columns(p_table_id, 'b') ELSE pggit._partition_columns(p_table_id, p_relation, 'b') END, p_relation::regclass);
$$;

COMMENT ON FUNCTION pggit._partition_rows_sql(integer, oid, "char", bigint) IS
'Statement that logs all rows of a partition as coming (I) or going (D).';

CREATE OR REPLACE FUNCTION pggit._log_partition(p_table_id integer, p_relation oid, p_op "char", p_seq bigint)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    IF (SELECT c.relkind <> 'r' FROM pg_class AS c WHERE c.oid = p_relation) OR pg_relation_size(p_relation) = 0 THEN
        RETURN;
    END IF;
    PERFORM pggit._require_read_committed(format('attaching, detaching or dropping partition %s, which is tracked,', p_relation::regclass));
    PERFORM pggit._record_transaction();
    EXECUTE pggit._partition_rows_sql(p_table_id, p_relation, p_op, p_seq);
END;
$$;

COMMENT ON FUNCTION pggit._log_partition(integer, oid, "char", bigint) IS
'Logs all rows of a partition as coming (I) or going (D). Above READ COMMITTED some might not be seen: raises VG401.';

CREATE OR REPLACE FUNCTION pggit._add_partition(p_table pggit.tables, p_relation oid, p_seq bigint)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    -- A table that was tracked for itself: its history stays and ends here.
    UPDATE pggit.tables AS t SET untracked_at = pggit._mark_now() WHERE t.relation = p_relation AND t.untracked_at IS NULL;
    IF FOUND THEN
        RAISE WARNING 'table % is a partition of %.% now: its own history ends, its rows go on there', p_relation::regclass, p_table.schema_name, p_table.table_name;
    END IF;
    PERFORM pggit._log_partition(p_table.table_id, p_relation, 'I', p_seq);
    INSERT INTO pggit.partitions (relation, table_id, captured) VALUES (p_relation, p_table.table_id, true)
        ON CONFLICT (relation) DO UPDATE SET table_id = excluded.table_id, captured = true, saved_at = NULL;
    BEGIN
        -- Who writes the partition may be waiting for what this transaction has.
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE NOWAIT', p_relation::regclass);
        PERFORM pggit._put_capture(p_table.table_id, p_relation);
    EXCEPTION WHEN object_in_use OR lock_not_available THEN
        UPDATE pggit.partitions AS p SET captured = false WHERE p.relation = p_relation;
    END;
END;
$$;

COMMENT ON FUNCTION pggit._add_partition(pggit.tables, oid, bigint) IS
'A partition has come: the rows it brings count as inserted, and it gets the root''s capture.';

CREATE OR REPLACE FUNCTION pggit._remove_partition(p_table pggit.tables, p_partition pggit.partitions, p_seq bigint)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_known boolean := p_partition.captured AND pggit._is_as_captured(p_table, p_partition.relation);
BEGIN
    DELETE FROM pggit.partitions AS p WHERE p.relation = p_partition.relation;
    IF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = p_partition.relation) THEN
        RETURN p_partition.saved_at IS NOT NULL;
    END IF;
    IF v_known THEN
        PERFORM pggit._log_partition(p_table.table_id, p_partition.relation, 'D', p_seq);
    END IF;
    BEGIN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', p_partition.relation);
        PERFORM pggit._drop_capture(p_partition.relation);
    EXCEPTION WHEN object_in_use OR lock_not_available THEN
        NULL;  -- capture of a partition that is not known logs nothing
    END;
    RETURN v_known;
END;
$$;

COMMENT ON FUNCTION pggit._remove_partition(pggit.tables, pggit.partitions, bigint) IS
'A partition has gone: the rows it takes along count as deleted. Returns false when they could not be saved.';

CREATE OR REPLACE FUNCTION pggit._partition_catalog(p_table_id integer, p_relation oid)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT jsonb_object_agg(c.column_id, jsonb_build_array(a.attnum, pggit._row_version(a.xmin, a.ctid)))
              FROM pggit.columns AS c JOIN pg_attribute AS a ON a.attrelid = p_relation AND a.attname = c.name AND NOT a.attisdropped
             WHERE c.table_id = p_table_id AND c.dropped_at IS NULL AND c.generated_as IS NULL);
END;
$$;

COMMENT ON FUNCTION pggit._partition_catalog(integer, oid) IS
'What pggit.partitions.columns holds of a partition: by column id, number and version of the catalog row.';

CREATE OR REPLACE FUNCTION pggit._note_partition_columns(p_table_id integer)
    RETURNS void
    LANGUAGE sql
AS $$
    UPDATE pggit.partitions AS p SET columns = pggit._partition_catalog(p.table_id, p.relation)
     WHERE p.table_id = p_table_id AND NOT pggit._is_told_of_ddl() AND p.columns IS DISTINCT FROM pggit._partition_catalog(p.table_id, p.relation);
$$;

COMMENT ON FUNCTION pggit._note_partition_columns(integer) IS
'Where no event trigger tells of DDL: notes which columns the partitions of a table have.';

CREATE OR REPLACE FUNCTION pggit._has_other_values(p_table pggit.tables)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT
                             FROM pggit.partitions AS p
                             JOIN pggit._partitions(p_table.relation) AS t USING (relation)
                            CROSS JOIN LATERAL jsonb_each(p.columns) AS b
                             JOIN LATERAL jsonb_each(pggit._partition_catalog(p.table_id, p.relation)) AS n USING (key)
                            WHERE p.table_id = p_table.table_id
                              AND (n.value -> 0 <> b.value -> 0 OR (n.value <> b.value AND pggit._is_rewritten(p_table.storage, pggit._storage(p.relation))))));
END;
$$;

COMMENT ON FUNCTION pggit._has_other_values(pggit.tables) IS
'Whether a partition may have been given other values by DDL while it was detached, before anybody noticed that: a name means another column, or a column was changed and the rows were written anew.';

CREATE OR REPLACE FUNCTION pggit._follow_partitions(p_table pggit.tables, p_in_statement boolean)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_seq       bigint := nextval('pggit._ordinal');
    v_relation  oid;
    v_partition pggit.partitions;
    v_detached  oid[]   := '{}';
    v_saved     boolean := true;
    v_changed   boolean := false;
BEGIN
    FOR v_partition IN SELECT p.* FROM pggit.partitions AS p
                        WHERE p.table_id = p_table.table_id AND p.relation NOT IN (SELECT t.relation FROM pggit._partitions(p_table.relation) AS t) ORDER BY p.relation LOOP
        v_changed  := true;
        v_saved    := pggit._remove_partition(p_table, v_partition, v_seq) AND v_saved;
        v_detached := v_detached || v_partition.relation::oid;
    END LOOP;
    FOR v_relation IN SELECT t.relation FROM pggit._partitions(p_table.relation) AS t
                       WHERE NOT EXISTS (SELECT FROM pggit.partitions AS p WHERE p.relation = t.relation AND p.table_id = p_table.table_id) ORDER BY t.relation LOOP
        v_changed := true;
        PERFORM pggit._add_partition(p_table, v_relation, v_seq);
    END LOOP;
    FOR v_partition IN SELECT p.* FROM pggit.partitions AS p WHERE p.table_id = p_table.table_id AND NOT p.captured AND NOT v_changed AND NOT p_in_statement LOOP
        UPDATE pggit.partitions AS p SET captured = true WHERE p.relation = v_partition.relation;
        PERFORM pggit._put_capture(p_table.table_id, v_partition.relation);
    END LOOP;
    IF NOT v_saved THEN
        PERFORM pggit._lose_history(p_table.table_id);
        RAISE WARNING 'a partition of table %.% was dropped, or detached and changed, before its rows were saved: what the table was before can''t be read any more',
                      p_table.schema_name, p_table.table_name
              USING HINT = 'DETACH a partition, and commit, before it is dropped.';
    END IF;

    IF v_changed THEN
        PERFORM pggit._renew_write_functions_of(p_table.table_id);
    END IF;
    FOREACH v_relation IN ARRAY v_detached LOOP
        PERFORM pggit._follow_shape(v_relation, p_in_statement) WHERE EXISTS (SELECT FROM pg_class AS c WHERE c.oid = v_relation) AND pggit._root(v_relation) = v_relation;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._follow_partitions(pggit.tables, boolean) IS
'Brings history and capture in line with the partitions that a tracked table has now. Where rows are gone unsaved, what was before can''t be read any more (VG306).';

CREATE OR REPLACE FUNCTION pggit._lose_history(p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM nextval('pggit._ordinal');
    UPDATE pggit.tables AS t SET shape_at = pggit._mark_now() WHERE t.table_id = p_table_id;
END;
$$;

COMMENT ON FUNCTION pggit._lose_history(integer) IS
'What a table was before now can''t be read any more: VG306.';

CREATE OR REPLACE FUNCTION pggit._save_partitions(p_tag text, p_command text)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_seq bigint;
    v_one record;
BEGIN
    FOR v_one IN
        SELECT DISTINCT l.relid::oid AS relation, t.table_id, t.relation AS root
          FROM pggit.partitions AS p
          JOIN pggit.tables AS t USING (table_id)
          JOIN pg_class AS c ON c.oid = p.relation
          JOIN pg_namespace AS n ON n.oid = c.relnamespace
         CROSS JOIN LATERAL pg_partition_tree(p.relation) AS l
         WHERE t.untracked_at IS NULL
           AND (pg_has_role(pggit._actor()::name, c.relowner, 'USAGE') OR pg_has_role(pggit._actor()::name, n.nspowner, 'USAGE'))
           AND CASE p_tag WHEN 'DROP TABLE' THEN p_command ~ pggit._word(c.relname) WHEN 'DROP SCHEMA' THEN p_command ~ pggit._word(n.nspname)
                          ELSE lower(concat_ws(' ', p_command, session_user, pggit._actor())) ~ pggit._word(pg_get_userbyid(c.relowner)) END
         ORDER BY 1
    LOOP
        v_seq := coalesce(v_seq, nextval('pggit._ordinal'));
        -- The locks that the DROP takes, in its order.
        EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', v_one.root::regclass);
        EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', v_one.relation::regclass);
        PERFORM pggit._log_partition(v_one.table_id, v_one.relation, 'D', v_seq);
        UPDATE pggit.partitions AS p SET saved_at = v_seq WHERE p.relation = v_one.relation;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._save_partitions(text, text) IS
'Before a DROP: logs the rows of every partition whose name, schema or owner the command''s text, in lower case, has as going. Those that are still there afterwards are taken back (pggit._unsave_partitions).';

CREATE OR REPLACE FUNCTION pggit._unsave_partitions()
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_partition pggit.partitions;
BEGIN
    FOR v_partition IN SELECT p.* FROM pggit.partitions AS p WHERE p.saved_at IS NOT NULL LOOP
        IF (SELECT c.relkind = 'r' FROM pg_class AS c WHERE c.oid = v_partition.relation) THEN
            EXECUTE format('DELETE FROM pggit._log_%s AS l USING ONLY %s AS b WHERE l._xid = pggit._transaction_number() AND l._seq = %s AND %s',
                           v_partition.table_id, v_partition.relation::regclass, v_partition.saved_at, pggit._same_key(v_partition.table_id, 'l', 'b', false, true));
        END IF;
        UPDATE pggit.partitions AS p SET saved_at = NULL WHERE p.relation = v_partition.relation;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._unsave_partitions() IS
'After a DROP: takes back what was logged of partitions that were not meant.';
