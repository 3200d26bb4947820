-- Which objects are followed by themselves, and when not.

CREATE OR REPLACE FUNCTION pggit._is_paused()
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.tracking_pauses AS p WHERE p.ends_at > clock_timestamp() AND NOT p.is_settled));
END;
$$;

COMMENT ON FUNCTION pggit._is_paused() IS
'Whether pggit.pause_tracking holds.';

CREATE OR REPLACE FUNCTION pggit._is_ignored(p_relation oid)
    RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(obj_description(p_relation, 'pg_class') ~ '@pggit:ignore\M', false);
$$;

COMMENT ON FUNCTION pggit._is_ignored(oid) IS
'Whether a table''s comment says @pggit:ignore.';

CREATE OR REPLACE FUNCTION pggit._follow_new_tables()
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pggit._follow_each(ARRAY(
        WITH untracked AS MATERIALIZED (
            SELECT c.oid
              FROM pggit.tracked_schemas AS s
              JOIN pg_namespace AS n ON n.nspname = s.schema_name
              JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> ALL (s.excluded)
             WHERE NOT EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = c.oid AND t.untracked_at IS NULL)
        )
        SELECT u.oid FROM untracked AS u WHERE pggit._unsupported(u.oid) IS NULL AND NOT pggit._is_ignored(u.oid)));
END;
$$;

COMMENT ON FUNCTION pggit._follow_new_tables() IS
'Tracks the tables of tracked schemas that are not tracked yet.';

CREATE OR REPLACE FUNCTION pggit._settle_pauses()
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pggit.tracking_pauses AS p SET is_settled = true WHERE NOT p.is_settled AND p.ends_at <= clock_timestamp();
    IF FOUND AND NOT pggit._is_paused() THEN
        PERFORM pggit._follow_new_tables();
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._settle_pauses() IS
'Follows what was made during a pause that has ended.';

CREATE OR REPLACE FUNCTION pggit.pause_tracking(p_interval interval DEFAULT '1 hour')
    RETURNS timestamptz
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_ends timestamptz;
BEGIN
    IF p_interval IS NULL OR p_interval <= interval '0' OR p_interval > interval '30 days' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('tracking can''t be paused for %s', coalesce(p_interval::text, 'NULL')),
            HINT    = 'Give a time above zero, up to 30 days.';
    END IF;
    UPDATE pggit.tracking_pauses AS p SET ends_at = clock_timestamp() + p_interval WHERE p.ends_at > clock_timestamp() AND NOT p.is_settled RETURNING p.ends_at INTO v_ends;
    IF NOT FOUND THEN
        INSERT INTO pggit.tracking_pauses (paused_by, ends_at) VALUES (pggit._actor(), clock_timestamp() + p_interval) RETURNING ends_at INTO v_ends;
    END IF;
    RETURN v_ends;
END;
$$;

COMMENT ON FUNCTION pggit.pause_tracking(interval) IS
'For a while, in all sessions: new tables of tracked schemas are not tracked, and DDL is not told to pggit.ddl_log. Rows of tracked tables, and changes of their columns, are recorded as ever, so no history has a gap. It ends by itself after p_interval (more
than zero, up to 30 days; called again, from now), or by pggit.resume_tracking; with the next commit tables that were made meanwhile are tracked as they then are. Commits during it record the schema without who and when. pggit.tracking_pauses keeps when
and by whom. Returns when it ends. Raises VG202.';

CREATE OR REPLACE FUNCTION pggit.resume_tracking()
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_was boolean := pggit._is_paused();
BEGIN
    UPDATE pggit.tracking_pauses AS p SET ends_at = clock_timestamp() WHERE p.ends_at > clock_timestamp() AND NOT p.is_settled;
    PERFORM pggit._settle_pauses();
    RETURN v_was;
END;
$$;

COMMENT ON FUNCTION pggit.resume_tracking() IS
'Ends pggit.pause_tracking, and tracks the tables of tracked schemas that were made meanwhile. Returns whether it was paused.';

CREATE OR REPLACE FUNCTION pggit.should_track_object(p_object text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_trusted  boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_schema   text   := substring(p_object FROM '^(?:"(?:[^"]|"")*"|[^.]+)(?=\.)');
    v_name     text   := coalesce(regexp_replace(substr(p_object, length(v_schema) + 2), '\..*$|\(.*$', ''), p_object);
    v_relation oid;
BEGIN
    IF coalesce(btrim(p_object), '') = '' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = 'the name of the object is empty';
    END IF;
    v_schema   := pggit._bare_name(coalesce(v_schema, 'public'));
    v_name     := pggit._bare_name(v_name);
    v_relation := (SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = to_regnamespace(quote_ident(v_schema)) AND c.relname = v_name AND c.relkind IN ('r', 'p'));
    RETURN EXISTS (SELECT FROM pggit.tables AS t WHERE t.relation = v_relation AND t.untracked_at IS NULL)
           OR EXISTS (SELECT FROM pggit.tracked_schemas AS s WHERE s.schema_name = v_schema AND v_name <> ALL (s.excluded)) AND (v_relation IS NULL OR NOT pggit._is_ignored(v_relation));
END;
$$;

COMMENT ON FUNCTION pggit.should_track_object(text) IS
'Whether an object of main of this name (without a schema: of public) is under version control, or would be if it were made, apart from a pause: its schema is tracked, and does not leave the name out, or the table is tracked by itself, and no comment of the
table says @pggit:ignore. A column or function goes by its schema, and a column by its table. Raises VG202 (NULL or empty).';

CREATE OR REPLACE FUNCTION pggit.configure_tracking(p_track_schemas text[] DEFAULT '{}', p_ignore_schemas text[] DEFAULT '{}')
    RETURNS TABLE (schema_name text, tables integer)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_schema text;
    v_table  text;
BEGIN
    v_schema := (SELECT s FROM unnest(p_track_schemas) AS s WHERE s = ANY (p_ignore_schemas) LIMIT 1);
    IF v_schema IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('schema %L is both to be tracked and to be ignored', v_schema);
    END IF;
    FOREACH v_schema IN ARRAY coalesce(p_ignore_schemas, '{}') LOOP
        FOR v_table IN SELECT format('%I.%I', t.schema_name, t.table_name) FROM pggit.tables AS t WHERE t.schema_name = v_schema AND t.untracked_at IS NULL AND t.on_main ORDER BY 1 LOOP
            PERFORM pggit.untrack_table(v_table);
        END LOOP;
        DELETE FROM pggit.tracked_schemas AS s WHERE s.schema_name = v_schema;
    END LOOP;
    FOREACH v_schema IN ARRAY coalesce(p_track_schemas, '{}') LOOP
        PERFORM pggit.track_schema(v_schema, coalesce((SELECT s.excluded FROM pggit.tracked_schemas AS s WHERE s.schema_name = v_schema), '{}'));
    END LOOP;
    RETURN QUERY
    SELECT s.schema_name, (SELECT count(*)::integer FROM pggit.tables AS t WHERE t.schema_name = s.schema_name AND t.untracked_at IS NULL AND t.on_main)
      FROM pggit.tracked_schemas AS s ORDER BY s.schema_name COLLATE "C";
END;
$$;

COMMENT ON FUNCTION pggit.configure_tracking(text[], text[]) IS
'Tracks schemas (pggit.track_schema; what they leave out stays so), and no longer tracks others: their tables stay, with their history up to now. Others stay as they are. Returns the schemas that are tracked now and how many tables of each. All or nothing.
Raises VG202 (a schema in both, a system schema), VG008, VG203, VG308 (a branch shows a table that is to be ignored).';
