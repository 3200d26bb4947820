-- DDL of main may take columns that branches show. Their views stand without them meanwhile, and read them out of the log afterwards.

CREATE OR REPLACE FUNCTION pggit._release_views(p_table pggit.tables, p_columns text[] DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_shown record;
BEGIN
    -- Views before tables, in which order readers of views lock them too.
    FOR v_shown IN
        SELECT bt.relation, (SELECT string_agg(format('NULL::%s%s AS %I', format_type(a.atttypid, a.atttypmod), pggit._collate_sql(a.attrelid, a.attnum), a.attname), ', ' ORDER BY a.attnum)
                               FROM pg_attribute AS a WHERE a.attrelid = bt.relation AND a.attnum > 0) AS columns
          FROM pggit.branch_tables AS bt
         WHERE bt.table_id = p_table.table_id AND bt.form = 'view'
           AND EXISTS (SELECT
                         FROM pg_rewrite AS r
                         JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table.relation
                         JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                        WHERE r.ev_class = bt.relation AND (p_columns IS NULL OR a.attname = ANY (p_columns)))
         ORDER BY bt.branch_id
    LOOP
        BEGIN
            EXECUTE format('CREATE OR REPLACE VIEW %s AS SELECT %s', v_shown.relation, v_shown.columns);
        EXCEPTION WHEN invalid_schema_name THEN
            CONTINUE;  -- somebody was deleting the branch, and has done so while we waited
        END;
        PERFORM set_config('pggit.released', concat_ws(',', nullif(current_setting('pggit.released', true), ''), v_shown.relation::oid), true);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._release_views(pggit.tables, text[]) IS
'Has the views in which branches show some columns of a table (NULL: any) read nothing until pggit._restore_views, so that these columns can be dropped and retyped. They keep their columns, names, types, triggers,
defaults and grants, and what depends on them knows nothing of it. The local setting pggit.released has their oids.';

CREATE OR REPLACE FUNCTION pggit._take_key_type(p_shown pggit.branch_tables)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_owner    text := (SELECT pg_get_userbyid(c.relowner) FROM pg_class AS c WHERE c.oid = p_shown.relation);
    v_table    pggit.tables;
    v_commands text[] := ARRAY(SELECT format('ALTER %I SET DEFAULT %s', a.attname, pg_get_expr(d.adbin, d.adrelid))
                                 FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = p_shown.relation);
    v_command  text;
    v_view     text;
BEGIN
    SELECT t.* INTO STRICT v_table FROM pggit.tables AS t WHERE t.table_id = p_shown.table_id;
    PERFORM pggit._remake_view(p_shown);
    v_view := (SELECT bt.relation::regclass FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_shown.branch_id AND bt.table_id = p_shown.table_id);
    FOREACH v_command IN ARRAY v_commands || format('OWNER TO %I', v_owner) LOOP
        EXECUTE format('ALTER VIEW %s %s', v_view, v_command);
    END LOOP;
EXCEPTION WHEN SQLSTATE 'VG308' THEN
    PERFORM pggit._refuse_for_views(v_table, format('its key gets another type, and what reads it there can''t: %s', SQLERRM), 'Drop on the branches what reads the view.');
END;
$$;

COMMENT ON FUNCTION pggit._take_key_type(pggit.branch_tables) IS
'Main''s key has become a larger whole number, and with it that of all stores: the view is made anew, for one that turned it back would have no index on its key. Raises VG307 where another view shows the key too.';

CREATE OR REPLACE FUNCTION pggit._restore_views()
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_released oid[] := string_to_array(nullif(current_setting('pggit.released', true), ''), ',');
    v_shown    record;
    v_table_id integer;
BEGIN
    -- A log that has just got all rows is read by another index than the key's until that is known.
    FOR v_table_id IN SELECT DISTINCT bt.table_id FROM pggit.branch_tables AS bt WHERE bt.relation = ANY (v_released) AND bt.form = 'view' ORDER BY 1 LOOP
        EXECUTE format('ANALYZE (SKIP_LOCKED) pggit._log_%s', v_table_id);
    END LOOP;
    FOR v_shown IN
        SELECT bt.relation, bt.branch_id, bt.table_id, b.s, bt AS shown,
               EXISTS (SELECT FROM unnest(bt.shape) WITH ORDINALITY AS k(column_id, n)
                         JOIN pggit.columns AS c ON c.table_id = bt.table_id AND c.column_id = k.column_id
                         JOIN pg_attribute AS a ON a.attrelid = bt.relation AND a.attnum = k.n
                        WHERE c.key_position IS NOT NULL AND format_type(a.atttypid, a.atttypmod) <> c.type_name) AS has_other_key,
               (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = bt.relation AND a.attnum > 0) AS columns
          FROM pggit.branch_tables AS bt JOIN pggit.branch_bases AS b USING (branch_id)
         WHERE bt.relation = ANY (v_released) AND bt.form = 'view' ORDER BY bt.branch_id, bt.table_id
    LOOP
        IF v_shown.has_other_key THEN
            PERFORM pggit._take_key_type(v_shown.shown);
        ELSE
            EXECUTE format('CREATE OR REPLACE VIEW %s (%s) AS %s', v_shown.relation, v_shown.columns, pggit._view_sql(v_shown.branch_id, v_shown.table_id, v_shown.s));
        END IF;
    END LOOP;
    PERFORM set_config('pggit.released', '', true);
END;
$$;

COMMENT ON FUNCTION pggit._restore_views() IS
'Has the views that pggit._release_views took their rows from read them again, with the columns of where each branch stands on main.';

CREATE OR REPLACE FUNCTION pggit._is_released(p_table_id integer)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pggit.branch_tables AS bt
                            WHERE bt.table_id = p_table_id AND bt.form = 'view' AND bt.relation::oid = ANY (string_to_array(current_setting('pggit.released', true), ',')::oid[])));
END;
$$;

COMMENT ON FUNCTION pggit._is_released(integer) IS
'Whether branches show a table in views that wait for pggit._restore_views.';

CREATE OR REPLACE FUNCTION pggit._refuse_for_views(p_table pggit.tables, p_reason text, p_hint text, p_may_be_real boolean DEFAULT true)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_branches text[] := ARRAY(SELECT b.name FROM pggit.branch_tables AS bt JOIN pggit.branches AS b USING (branch_id)
                                WHERE bt.table_id = p_table.table_id AND bt.form = 'view' ORDER BY b.branch_id);
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'VG307', SCHEMA = 'pggit',
        MESSAGE = format('table %I.%I can''t be changed like this while branches show it as a view: %s', p_table.schema_name, p_table.table_name, p_reason),
        DETAIL  = format('Branches: %s.', (SELECT string_agg(quote_literal(b), ', ') FROM unnest(v_branches[1:10]) AS b) || CASE WHEN cardinality(v_branches) > 10 THEN ', …' ELSE '' END),
        HINT    = p_hint || CASE WHEN p_may_be_real THEN format(' Or delete these branches, or give each a table of its own: SELECT pggit.materialize(%L, %L);', v_branches[1],
                                                                format('%I.%I', p_table.schema_name, p_table.table_name))
                                 ELSE ' Or delete these branches.' END;
END;
$$;

COMMENT ON FUNCTION pggit._refuse_for_views(pggit.tables, text, text, boolean) IS
'Raises VG307: DDL of main that would take from branches what they show.';
