CREATE OR REPLACE FUNCTION pggit._relation_of_past(p_table text)
    RETURNS oid
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_parts text[];
BEGIN
    v_parts := parse_ident(p_table);
    -- The branch's own comes first, then the youngest.
    RETURN (SELECT t.relation
              FROM pggit.tables AS t LEFT JOIN pggit.table_changes AS c ON c.table_id = t.table_id AND c.branch_id = (pggit._branch(NULL)).branch_id
             WHERE t.untracked_at IS NULL AND NOT t.on_main AND t.table_name = v_parts[cardinality(v_parts)] AND (cardinality(v_parts) = 1 OR t.schema_name = v_parts[cardinality(v_parts) - 1])
             ORDER BY c.change_no DESC NULLS LAST, t.table_id DESC LIMIT 1);
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._relation_of_past(text) IS
'What stands in on main for a table of that name that branches alone have or had; NULL when there is none.';

CREATE OR REPLACE FUNCTION pggit._relation(p_table text)
    RETURNS oid
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_relation oid;
BEGIN
    BEGIN
        v_relation := to_regclass(p_table);
    EXCEPTION WHEN syntax_error OR invalid_name THEN
        v_relation := NULL;
    END;

    IF v_relation IS NULL THEN
        v_relation := pggit._relation_of_past(p_table);
    END IF;
    IF v_relation IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG004', SCHEMA = 'pggit',
            MESSAGE = format('there is no table %L', p_table),
            HINT    = pggit._near_tables(p_table) || 'Write the name as in SQL: orders, public.orders or "Odd Name".';
    END IF;
    RETURN v_relation;
END;
$$;

COMMENT ON FUNCTION pggit._relation(text) IS
'oid of a relation by name, as in SQL; of a table that branches alone have, or had, what stands in for it on main. Raises VG004.';

CREATE OR REPLACE FUNCTION pggit._table(p_table text)
    RETURNS pggit.tables
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_relation oid := pggit._relation(p_table);
    v_table    pggit.tables;
BEGIN
    SELECT t.* INTO v_table
      FROM pggit.tables AS t
     WHERE t.untracked_at IS NULL
       AND (t.relation = v_relation
            OR EXISTS (SELECT FROM pggit.branch_tables AS bt WHERE bt.table_id = t.table_id AND bt.relation = v_relation));
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG005', SCHEMA = 'pggit',
            MESSAGE = format('table %s is not tracked', v_relation::regclass),
            HINT    = CASE WHEN pggit._root(v_relation) = v_relation THEN format('SELECT pggit.track_table(%L);', v_relation::regclass)
                           ELSE format('It is a partition of %s: the history of that table has its rows.', pggit._root(v_relation)::regclass) END;
    END IF;
    RETURN v_table;
END;
$$;

COMMENT ON FUNCTION pggit._table(text) IS
'The tracked table of that name, also by the name it has on a branch. Raises VG004, VG005.';

CREATE OR REPLACE FUNCTION pggit._has_comparable_key(p_relation oid)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_keys text := (SELECT string_agg(format('NULL::%s', l.type_name), ', ') FROM pggit._live_columns(p_relation) AS l WHERE l.key_position IS NOT NULL);
BEGIN
    IF v_keys IS NOT NULL THEN
        EXECUTE 'SELECT DISTINCT ' || v_keys;
    END IF;
    RETURN true;
EXCEPTION WHEN undefined_function THEN
    RETURN false;
END;
$$;

COMMENT ON FUNCTION pggit._has_comparable_key(oid) IS
'Whether equal keys can be found. PostgreSQL takes composites and arrays with json in them for a key as long as there is one row.';

CREATE OR REPLACE FUNCTION pggit._unsupported(p_relation oid)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE
                WHEN c.relispartition THEN format('it is a partition of %s, which is tracked as a whole', pg_partition_root(c.oid))
                WHEN c.relkind NOT IN ('r', 'p') THEN 'it is not a table'
                WHEN c.relpersistence <> 'p' THEN 'it is temporary or unlogged: its rows do not survive a crash, so its history could not be true'
                WHEN NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') THEN 'it has no columns'
                WHEN c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits AS h WHERE c.oid IN (h.inhrelid, h.inhparent)) AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary)
                    THEN 'it takes part in inheritance, and has no primary key of its own'
                WHEN c.relkind = 'p' AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary) THEN 'it is partitioned and has no primary key'
                WHEN c.relkind = 'p' AND pggit._is_row_by_row(c.oid) THEN 'its primary key is deferrable, and it is partitioned'
                WHEN EXISTS (SELECT FROM pg_index AS i JOIN pggit._live_columns(c.oid) AS k ON k.key_position IS NOT NULL
                              WHERE i.indrelid = c.oid AND i.indisprimary AND k.generated_as IS NOT NULL)
                    THEN 'its primary key is a generated column'
                WHEN NOT pggit._has_comparable_key(c.oid) THEN 'its primary key has a part, such as json, whose values PostgreSQL can''t compare'
                WHEN (SELECT count(*) FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) > 1590
                    THEN 'it has more than 1590 columns'
                ELSE pggit._unsupported_partition(c.oid)
            END
              FROM pg_class AS c
             WHERE c.oid = p_relation);
END;
$$;

COMMENT ON FUNCTION pggit._unsupported(oid) IS
'Why a relation can''t be tracked, or NULL when it can.';

CREATE OR REPLACE FUNCTION pggit._lock_bases(p_relations oid[], p_mode text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_ends     timestamptz := pggit._patience_ends();
    v_all      oid[]       := ARRAY(SELECT coalesce(t.relid, r.oid) FROM unnest(p_relations) WITH ORDINALITY AS r(oid, nth) LEFT JOIN LATERAL pg_partition_tree(r.oid) AS t ON true
                                     ORDER BY r.nth, t.level);
    v_begun    timestamptz;
    v_relation oid;
BEGIN
    LOOP
        v_begun := clock_timestamp();
        BEGIN
            FOREACH v_relation IN ARRAY v_all LOOP
                PERFORM pggit._execute_soon(format('LOCK TABLE ONLY %s IN %s MODE', v_relation::regclass, p_mode), v_begun);
            END LOOP;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            EXIT WHEN clock_timestamp() >= v_ends;
            PERFORM pg_sleep(0.02 + random() * 0.05);
        END;
    END LOOP;

    RAISE EXCEPTION USING
        ERRCODE = 'VG401', SCHEMA = 'pggit',
        MESSAGE = format('table %s is in use by %s', v_relation::regclass, coalesce(pggit._processes(ARRAY(
                             SELECT l.pid FROM pg_locks AS l
                              WHERE l.granted AND l.relation = v_relation AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
                                AND (p_mode = 'ACCESS EXCLUSIVE' OR l.mode NOT IN ('AccessShareLock', 'RowShareLock')))), 'a transaction that has just ended')),
        HINT    = 'Try again when it is done; nothing was changed. The setting pggit.lock_timeout (5s) says how long to try.';
END;
$$;

COMMENT ON FUNCTION pggit._lock_bases(oid[], text) IS
'Locks tables with their partitions, all or none of them, trying for pggit.lock_timeout (5s). Others that come meanwhile wait behind an attempt no longer than 0.9 seconds, or lock_timeout where that is less: then it
lets them pass. Raises VG401 naming the table and who holds it.';

CREATE OR REPLACE FUNCTION pggit._track(p_relation oid)
    RETURNS integer
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET standard_conforming_strings = on SET quote_all_identifiers = off SET row_security = off
AS $$
DECLARE
    v_table_id integer;
    v_reason   text := pggit._unsupported(p_relation);
BEGIN
    IF v_reason IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG203', SCHEMA = 'pggit',
            MESSAGE = format('table %s can''t be tracked: %s', p_relation::regclass, v_reason),
            HINT    = CASE WHEN pggit._root(p_relation) = p_relation THEN 'Give it an ordinary primary key, or leave it out of version control.'
                           ELSE format('SELECT pggit.track_table(%L);', pggit._root(p_relation)::regclass) END;
    END IF;

    -- CREATE TRIGGER needs this lock; who tracks without being asked to does not try again. It comes first, so that rows and digest are of one state.
    BEGIN
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', p_relation::regclass);
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG401', SCHEMA = 'pggit',
            MESSAGE = format('table %s is busy: its writers did not let tracking begin within lock_timeout', p_relation::regclass),
            HINT    = 'Try again; nothing was changed.';
    END;

    INSERT INTO pggit.tables (relation, schema_name, table_name, tracked_at, shape_at, digest, row_count, fingerprint, place, storage)
    SELECT c.oid, n.nspname, c.relname, pggit._mark_now(), pggit._mark_now(), '', 0, pggit._fingerprint(c.oid), pggit._place(), pggit._storage(c.oid)
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.oid = p_relation
    RETURNING table_id INTO v_table_id;

    INSERT INTO pggit.columns (table_id, column_id, attnum, name, type_name, key_position, generated_as, origin, catalog_row)
    SELECT v_table_id, l.attnum, l.attnum, l.name, l.type_name, l.key_position, l.generated_as, l.attnum, pggit._row_version(a.xmin, a.ctid)
      FROM pggit._live_columns(p_relation) AS l JOIN pg_attribute AS a ON a.attrelid = p_relation AND a.attnum = l.attnum;

    PERFORM pggit._record_transaction();
    PERFORM pggit._create_stores(v_table_id);
    PERFORM pggit._spare_columns(v_table_id, pggit._large_columns(v_table_id, NULL), true);
    PERFORM pggit._create_capture(v_table_id);
    PERFORM nextval('pggit._ordinal');  -- a commit that this transaction made before is before the table

    UPDATE pggit.tables AS t
       SET (digest, row_count, tracked_at, shape_at) =
           (SELECT d.digest, d.row_count, pggit._mark_now(), pggit._mark_now()
              FROM pggit._digest(format('SELECT row(%s)::text FROM %s AS b', pggit._user_columns(v_table_id, 'b'), pggit._base_rows(v_table_id))) AS d)
     WHERE t.table_id = v_table_id;
    PERFORM pggit._continue_by_name(v_table_id);
    RETURN v_table_id;
END;
$$;

COMMENT ON FUNCTION pggit._track(oid) IS
'Starts tracking a table that is not tracked: column ids, stores, triggers, digest of the rows it has. Raises VG203, VG401.';

CREATE OR REPLACE FUNCTION pggit.track_table(p_table text)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted  boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_relation oid  := pggit._relation(p_table);
    v_schema   name := (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = v_relation);
BEGIN
    IF NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = v_relation AND t.untracked_at IS NULL) THEN
        IF v_schema = 'pggit' OR EXISTS (SELECT FROM pggit.branch_schemas AS s WHERE s.schema_name = v_schema) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'VG203', SCHEMA = 'pggit',
                MESSAGE = format('table %s can''t be tracked: it is %s', v_relation::regclass, CASE v_schema WHEN 'pggit' THEN 'pggit''s own' ELSE 'a branch''s, whose tables have their history from that of main' END),
                HINT    = 'Track the tables of your schemas, on main: SELECT pggit.track_schema(''public'');';
        END IF;
        PERFORM pggit._lock_bases(ARRAY[v_relation], 'SHARE ROW EXCLUSIVE') WHERE pggit._unsupported(v_relation) IS NULL;
        PERFORM pggit._track(v_relation);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit.track_table(text) IS
'Puts one table under version control; nothing happens when it already is.
Takes a SHARE ROW EXCLUSIVE lock on the table and reads it once. Nobody is kept waiting for that lock for more than 0.9 seconds (or lock_timeout, where that is less) at a time. Raises VG004 (no such
table), VG203 (it can''t be tracked, with the reason) and VG401 (its writers, named in the message, did not make room within pggit.lock_timeout, 5s).';
