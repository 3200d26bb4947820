CREATE OR REPLACE FUNCTION pggit._identity_trigger_sql(p_name text, p_origin integer, p_column text, p_own text, p_main text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT format('CREATE OR REPLACE TRIGGER %I BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION pggit._draw_identity(%L, %L, %L, %s)', '  pggit_identity_' || p_origin, p_name, p_column, p_own, p_main, p_origin);
$$;

COMMENT ON FUNCTION pggit._identity_trigger_sql(text, integer, text, text, text) IS
'What puts the trigger on a branch''s real table that draws main''s numbers for an identity column.';

CREATE OR REPLACE FUNCTION pggit._draw_from(p_name text, p_schema text, p_column name, p_identity "char", p_sequence_name name, p_sequence oid)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- It stays an identity column; what its own sequence gives, counting down, is replaced by the next number of main's. It may be set to any number, as what loads rows does.
    EXECUTE format('ALTER TABLE %s ALTER %I ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %I.%I INCREMENT BY -1 START WITH -1 MAXVALUE %s CYCLE)',
                   p_name, p_column, CASE p_identity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, p_schema, p_sequence_name,
                   (SELECT CASE format_type(q.seqtypid, NULL) WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647 ELSE 9223372036854775807 END FROM pg_sequence AS q WHERE q.seqrelid = p_sequence));
    EXECUTE (SELECT pggit._identity_trigger_sql(p_name, c.origin, p_column, format('%I.%I', p_schema, p_sequence_name), p_sequence::regclass::text)
               FROM pg_depend AS d JOIN pggit.tables AS t ON t.relation = d.refobjid AND t.untracked_at IS NULL
               JOIN pggit.columns AS c ON c.table_id = t.table_id AND c.attnum = d.refobjsubid AND c.dropped_at IS NULL
              WHERE d.classid = 'pg_class'::regclass AND d.objid = p_sequence AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'));
END;
$$;

COMMENT ON FUNCTION pggit._draw_from(text, text, name, "char", name, oid) IS
'Makes a column of a branch''s real table an identity column that draws its numbers from a sequence of main''s.';

CREATE OR REPLACE FUNCTION pggit._older_columns(p_branch_id integer, p_table_id integer)
    RETURNS TABLE (column_id integer, name text, made_as text, attnum smallint, is_same boolean, definition text, n bigint)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_shown     pggit.branch_tables;
    v_attribute pg_attribute;
    v_column    record;
BEGIN
    SELECT bt.* INTO v_shown FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND bt.form = 'view';
    FOR v_column IN
        SELECT k.column_id, coalesce(v.name, k.name) AS name, k.type_name, k.generated_as, k.names, m.name AS main_name, m.attnum AS main_attnum, t.relation,
               m.column_id = k.column_id OR (m.generated_as <> '' AND k.generated_as <> '') AS is_same, d.attrelid AS store, d.attnum AS stored_attnum,
               (SELECT pg_get_expr(x.adbin, x.adrelid) FROM pg_attrdef AS x JOIN pg_attribute AS w ON w.attrelid = x.adrelid AND w.attnum = x.adnum
                 WHERE x.adrelid = v_shown.relation AND w.attname = v.name) AS view_default,
               row_number() OVER (ORDER BY array_position(v_shown.shape, k.column_id), k.attnum) AS n
          FROM pggit._shown_columns(p_table_id, pggit._branch_now(p_branch_id)) AS k
          JOIN pggit.tables AS t ON t.table_id = p_table_id
          LEFT JOIN pggit._view_columns(v_shown) AS v ON v.column_id = k.column_id
          LEFT JOIN pggit.columns AS m ON m.table_id = p_table_id AND m.origin = k.origin AND m.dropped_at IS NULL
          LEFT JOIN pg_attribute AS d ON d.attrelid = to_regclass(format('pggit._delta_%s', p_table_id)) AND d.attname = 'c' || k.column_id
         ORDER BY n
    LOOP
        column_id := v_column.column_id;
        name      := v_column.name;
        attnum    := v_column.main_attnum;
        is_same   := coalesce(v_column.is_same, false);
        n         := v_column.n;
        -- Names that main's definitions know, until all is made.
        made_as   := CASE WHEN v_column.main_name IS NOT NULL THEN v_column.main_name
                          WHEN EXISTS (SELECT FROM pggit.columns AS c WHERE c.table_id = p_table_id AND c.dropped_at IS NULL AND c.name = v_column.name) THEN 'pggit c' || v_column.column_id
                          ELSE v_column.name END;
        IF is_same THEN
            SELECT a.* INTO STRICT v_attribute FROM pg_attribute AS a WHERE a.attrelid = v_column.relation AND a.attname = v_column.main_name;
            v_attribute.attidentity := '';
            definition := pggit._column_ddl(v_attribute, NULL);
        ELSE
            definition := concat_ws(' ', quote_ident(made_as), v_column.type_name, nullif(btrim(pggit._collate_sql(v_column.store, v_column.stored_attnum)), ''),
                                    CASE WHEN v_column.generated_as IS NOT NULL THEN format('GENERATED ALWAYS AS (%s) STORED', v_column.generated_as)
                                         WHEN v_column.view_default !~ 'pggit\._next_' THEN 'DEFAULT ' || v_column.view_default END);
        END IF;
        RETURN NEXT;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._older_columns(integer, integer) IS
'The columns that a table has where a branch stands, for a real table: the name there, and the one to be made with, so that main''s definitions find it; the number of the column that main has for it, if any;
whether that is the same column, or one of another type; its definition.';

CREATE OR REPLACE FUNCTION pggit._has_older_columns(p_branch_id integer, p_table_id integer)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT pggit._is_reshaped(p_table_id, pggit._branch_now(p_branch_id), NULL)
                   OR EXISTS (SELECT FROM pggit.branch_tables AS bt CROSS JOIN LATERAL pggit._view_columns(bt) AS v JOIN pggit.columns AS c ON c.table_id = bt.table_id AND c.column_id = v.main_id
                               WHERE bt.branch_id = p_branch_id AND bt.table_id = p_table_id AND bt.form = 'view' AND c.name <> v.name));
END;
$$;

COMMENT ON FUNCTION pggit._has_older_columns(integer, integer) IS
'Whether a branch shows a table in other columns than main has now, or under other names.';

CREATE OR REPLACE FUNCTION pggit._require_generated_columns(p_branch_id integer, p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name text;
BEGIN
    SELECT o.name INTO v_name
      FROM pggit._older_columns(p_branch_id, p_table_id) AS o
      JOIN pggit.columns AS c ON c.table_id = p_table_id AND c.column_id = o.column_id
     WHERE NOT o.is_same AND c.generated_as <> ''
       AND EXISTS (SELECT FROM pggit._older_columns(p_branch_id, p_table_id) AS k WHERE c.names ->> k.column_id::text <> k.made_as AND lower(c.generated_as) ~ pggit._word(c.names ->> k.column_id::text));
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG302', SCHEMA = 'pggit',
            MESSAGE = format('table %s can''t become real: main has its generated column %I no more, and columns that this reads have other names now', (SELECT t.relation FROM pggit.tables AS t WHERE t.table_id = p_table_id), v_name),
            HINT    = 'Merge main into the branch first: then it has the columns of now.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_generated_columns(integer, integer) IS
'Raises VG302 where the expression of a generated column that main has no more is told in names that can''t be given to the columns of a real table.';

CREATE OR REPLACE FUNCTION pggit._real_columns(p_table pggit.tables, p_schema text, p_branch_id integer DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name   text := format('%I.%I', p_schema, p_table.table_name);
    v_column record;
    v_options text;
BEGIN
    SELECT string_agg(o, ', ') INTO v_options
      FROM pg_class AS c
      LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid
      CROSS JOIN LATERAL (SELECT unnest(c.reloptions) UNION ALL SELECT 'toast.' || unnest(t.reloptions)) AS r(o)
     WHERE c.oid = p_table.relation;
    EXECUTE format('CREATE TABLE %s (%s)%s', v_name,
                   CASE WHEN p_branch_id IS NULL
                        THEN format('LIKE %s INCLUDING COMMENTS INCLUDING COMPRESSION INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE', p_table.relation::regclass)
                        ELSE (SELECT string_agg(o.definition, ', ' ORDER BY o.n) FROM pggit._older_columns(p_branch_id, p_table.table_id) AS o) END,
                   coalesce(' WITH (' || v_options || ')', ''));

    -- Indexes are built with the rights of the table's owner: never with more than the owner on main has. The setting is_superuser is the session's, not that of who acts here.
    IF (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        EXECUTE (SELECT format('ALTER TABLE %s OWNER TO %I', v_name, pg_get_userbyid(c.relowner)) FROM pg_class AS c WHERE c.oid = p_table.relation);
    END IF;

    FOR v_column IN
        SELECT a.attname, a.attstattarget, a.attoptions, a.attidentity, a.attnotnull, a.attstorage, a.attcompression, col_description(a.attrelid, a.attnum) AS comment, o.is_same, s.sequence, k.relname AS sequence_name, format_type(q.seqtypid, NULL) AS type_name, q.seqmin
          FROM pg_attribute AS a
          LEFT JOIN LATERAL pggit._column_sequence(a.attrelid, a.attnum) AS s(sequence) ON a.attidentity <> ''
          LEFT JOIN pg_class AS k ON k.oid = s.sequence
          LEFT JOIN pg_sequence AS q ON q.seqrelid = s.sequence
          LEFT JOIN pggit._older_columns(p_branch_id, p_table.table_id) AS o ON o.attnum = a.attnum
         WHERE a.attrelid = p_table.relation AND a.attnum > 0 AND NOT a.attisdropped AND (p_branch_id IS NULL OR o.attnum IS NOT NULL)
         ORDER BY a.attnum
    LOOP
        IF NOT v_column.is_same THEN
            PERFORM pggit._made(format('ALTER TABLE %s ALTER %I SET NOT NULL', v_name, v_column.attname), true) WHERE v_column.attnotnull;
            CONTINUE;
        ELSIF v_column.is_same THEN
            EXECUTE format('ALTER TABLE %s ALTER %I SET STORAGE %s', v_name, v_column.attname,
                           CASE v_column.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END);
            EXECUTE format('ALTER TABLE %s ALTER %I SET COMPRESSION %s', v_name, v_column.attname, CASE v_column.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE 'default' END);
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', v_name, v_column.attname, v_column.comment);
        END IF;
        IF coalesce(v_column.attstattarget, -1) <> -1 THEN
            EXECUTE format('ALTER TABLE %s ALTER %I SET STATISTICS %s', v_name, v_column.attname, v_column.attstattarget);
        END IF;
        IF v_column.attoptions IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s ALTER %I SET (%s)', v_name, v_column.attname, array_to_string(v_column.attoptions, ', '));
        END IF;
        IF v_column.attidentity <> '' THEN
            PERFORM pggit._draw_from(v_name, p_schema, v_column.attname, v_column.attidentity, v_column.sequence_name, v_column.sequence);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._real_columns(pggit.tables, text, integer) IS
'Creates a branch''s real table with the columns, defaults, identity and storage of the table on main; keys and indexes come after the rows. p_branch_id: with the columns that the table has where that branch
stands (pggit._older_columns).';

CREATE OR REPLACE FUNCTION pggit._next_above(p_sequence regclass, p_value bigint)
    RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_next bigint := nextval(p_sequence);
BEGIN
    -- Draws them one by one: setval could take the sequence back behind what others draw at the same time. Whoever goes further than this may meet given keys.
    FOR v_step IN 1 .. CASE WHEN p_value >= 0 THEN 100000 ELSE 0 END LOOP
        EXIT WHEN v_next - 1 > p_value;
        v_next := nextval(p_sequence);
    END LOOP;
    RETURN v_next;
END;
$$;

COMMENT ON FUNCTION pggit._next_above(regclass, bigint) IS
'The next number of a sequence of main''s; where that of a branch was set to a number, one that is above it.';

CREATE OR REPLACE FUNCTION pggit._draw_identity()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_column text := TG_ARGV[0];
    v_own    text := TG_ARGV[1];
    v_main   text := TG_ARGV[2];
    v_value  bigint;
    v_drawn  boolean;
    v_next   bigint;
BEGIN
    IF to_regclass(v_own) IS NULL OR to_regclass(v_main) IS NULL OR NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = TG_RELID AND a.attname = v_column AND a.attidentity <> '') THEN
        -- Renamed where nobody could tell of it (pggit._follow_numbers).
        SELECT n.column_name, n.own, n.main INTO v_column, v_own, v_main FROM pggit._numbers_of(TG_RELID, TG_ARGV[3]::integer) AS n;
        IF v_main IS NULL THEN
            RETURN NEW;
        END IF;
    END IF;
    EXECUTE format('SELECT ($1).%I', v_column) INTO v_value USING NEW;
    v_drawn := v_value < 0;
    IF NOT v_drawn AND pg_sequence_last_value(v_own::regclass) >= 0 THEN
        -- Somebody has set it. The number given to setval was not drawn: only drawing logs numbers ahead.
        EXECUTE format('SELECT s.log_cnt > 0 FROM %s AS s', v_own) INTO v_drawn;
    END IF;
    IF v_drawn THEN
        BEGIN
            IF v_value = currval(v_own::regclass) THEN
                v_next := pggit._next_above(v_main::regclass, v_value);
                NEW    := jsonb_populate_record(NEW, jsonb_build_object(v_column, v_next));
                PERFORM setval(v_own::regclass, -1) WHERE v_value >= 0;
            END IF;
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
            NULL;
        END;
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION pggit._draw_identity() IS
'Replaces the number that a branch''s identity sequence has just given by the next one of main''s. Arguments: column, the branch''s and main''s sequence, and the origin of the column, by which they
are found where they have other names by now.';

CREATE OR REPLACE FUNCTION pggit._reads_columns(p_class oid, p_object oid, p_relation oid, p_columns smallint[])
    RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pg_depend AS d
                            WHERE d.classid = p_class AND d.objid = p_object AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_relation AND d.refobjsubid = ANY (p_columns))
                   OR EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = p_object AND c.conrelid = p_relation AND c.conkey && p_columns));
END;
$$;

COMMENT ON FUNCTION pggit._reads_columns(oid, oid, oid, smallint[]) IS
'Whether an object depends on one of some columns of a table.';

CREATE OR REPLACE FUNCTION pggit._made(p_command text, p_may_fail boolean, p_path text DEFAULT '')
    RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT p_may_fail THEN
        PERFORM pggit._run_under(p_command, p_path);
        RETURN true;
    END IF;
    BEGIN
        PERFORM pggit._run_under(p_command, p_path);
        RETURN true;
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR integrity_constraint_violation OR data_exception OR feature_not_supported THEN
        RAISE NOTICE 'left out: % (%)', p_command, SQLERRM;
        RETURN false;
    END;
END;
$$;

COMMENT ON FUNCTION pggit._made(text, boolean, text) IS
'Runs a command that makes something; where it may fail and does, it is left out with a notice. p_path: as in pggit._run_under.';

CREATE OR REPLACE FUNCTION pggit._path_of_real(p_table pggit.tables, p_schema text)
    RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog
AS $$
    SELECT coalesce('pg_catalog, ' || quote_ident(p_schema) || pggit._path_of_code(p_table), '');
$$;

COMMENT ON FUNCTION pggit._path_of_real(pggit.tables, text) IS
'The search_path under which a branch''s real table is filled and its keys are made (pggit._path_of_code), or nothing.';

CREATE OR REPLACE FUNCTION pggit._real_keys(p_table pggit.tables, p_schema text, p_other smallint[] DEFAULT '{}')
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name   text := format('%I.%I', p_schema, p_table.table_name);
    v_path   text := pggit._path_of_real(p_table, p_schema);
    v_object record;
BEGIN
    FOR v_object IN
        SELECT c.conname, c.contype, pg_get_constraintdef(c.oid) AS definition, c.oid, pggit._reads_columns('pg_constraint'::regclass, c.oid, p_table.relation, p_other) AS may_fail
          FROM pg_constraint AS c WHERE c.conrelid = p_table.relation AND c.contype IN ('p', 'u', 'x', 'c')
         ORDER BY c.contype = 'c', c.oid
    LOOP
        CONTINUE WHEN NOT pggit._made(format('ALTER TABLE %s ADD CONSTRAINT %I %s', v_name, v_object.conname, v_object.definition), v_object.may_fail, v_path);
        EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', v_object.conname, v_name, obj_description(v_object.oid, 'pg_constraint'));
    END LOOP;

    FOR v_object IN
        SELECT k.relname, i.indexrelid, i.indisunique, i.indisclustered, i.indisreplident, k.reltablespace,
               NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x')) AS is_plain,
               pggit._reads_columns('pg_class'::regclass, i.indexrelid, p_table.relation, p_other) AS may_fail
          FROM pg_index AS i JOIN pg_class AS k ON k.oid = i.indexrelid
         WHERE i.indrelid = p_table.relation AND i.indisvalid ORDER BY i.indexrelid
    LOOP
        IF v_object.is_plain THEN
            CONTINUE WHEN NOT pggit._made(format('CREATE %sINDEX %I ON %s %s', CASE WHEN v_object.indisunique THEN 'UNIQUE ' ELSE '' END, v_object.relname, v_name,
                                                 pggit._index_tail(v_object.indexrelid)), v_object.may_fail, v_path);
            EXECUTE format('COMMENT ON INDEX %I.%I IS %L', p_schema, v_object.relname, obj_description(v_object.indexrelid, 'pg_class'));
        END IF;
        CONTINUE WHEN to_regclass(format('%I.%I', p_schema, v_object.relname)) IS NULL;
        IF v_object.indisclustered THEN
            EXECUTE format('ALTER TABLE %s CLUSTER ON %I', v_name, v_object.relname);
        END IF;
        IF v_object.indisreplident THEN
            EXECUTE format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', v_name, v_object.relname);
        END IF;
    END LOOP;
    FOR v_object IN SELECT c.relreplident FROM pg_class AS c WHERE c.oid = p_table.relation AND c.relreplident IN ('f', 'n') LOOP
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', v_name, CASE v_object.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END);
    END LOOP;

    FOR v_object IN
        SELECT s.stxname, s.oid, pg_get_statisticsobjdef(s.oid) AS definition,
               format('CREATE STATISTICS %I.%I ', n.nspname, s.stxname) AS head, format(' FROM %s', p_table.relation::regclass) AS tail,
               (to_jsonb(s) ->> 'stxstattarget')::integer AS target, pggit._reads_columns('pg_statistic_ext'::regclass, s.oid, p_table.relation, p_other) AS may_fail
          FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
         WHERE s.stxrelid = p_table.relation
    LOOP
        CONTINUE WHEN NOT pggit._made(format('CREATE STATISTICS %I.%I %s FROM %s', p_schema, v_object.stxname,
                                             substr(left(v_object.definition, -length(v_object.tail)), length(v_object.head) + 1), v_name), v_object.may_fail);
        IF coalesce(v_object.target, -1) <> -1 THEN
            EXECUTE format('ALTER STATISTICS %I.%I SET STATISTICS %s', p_schema, v_object.stxname, v_object.target);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._real_keys(pggit.tables, text, smallint[]) IS
'Gives a branch''s real table the keys, checks, indexes and statistics of the table on main, each under its own name. p_other: columns of main, by number, that the branch has not, or of another type: what reads
them comes along where it can.';

CREATE OR REPLACE FUNCTION pggit._real_behaviour(p_table pggit.tables, p_schema text, p_other smallint[] DEFAULT '{}')
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name   text := format('%I.%I', p_schema, p_table.table_name);
    v_base   text := format(' ON %I.%I ', p_table.schema_name, p_table.table_name);
    v_object record;
    v_at     integer;
BEGIN
    FOR v_object IN
        SELECT g.tgname, g.tgenabled, pg_get_triggerdef(g.oid) AS definition, pggit._reads_columns('pg_trigger'::regclass, g.oid, p_table.relation, p_other) AS may_fail
          FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid
         WHERE g.tgrelid = p_table.relation AND NOT g.tgisinternal AND p.pronamespace <> 'pggit'::regnamespace ORDER BY g.tgname
    LOOP
        v_at := strpos(v_object.definition, v_base);
        CONTINUE WHEN NOT pggit._made(left(v_object.definition, v_at - 1) || format(' ON %s ', v_name) || substr(v_object.definition, v_at + length(v_base)), v_object.may_fail);
        IF v_object.tgenabled <> 'O' THEN
            EXECUTE format('ALTER TABLE %s %s TRIGGER %I', v_name,
                           CASE v_object.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, v_object.tgname);
        END IF;
    END LOOP;

    FOR v_object IN
        SELECT p.polname, p.polpermissive, p.polcmd, pg_get_expr(p.polqual, p.polrelid) AS qual, pg_get_expr(p.polwithcheck, p.polrelid) AS with_check,
               (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(p.polroles) AS r) AS roles
          FROM pg_policy AS p WHERE p.polrelid = p_table.relation
    LOOP
        EXECUTE format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', v_object.polname, v_name,
                       CASE WHEN v_object.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                       CASE v_object.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                       v_object.roles, coalesce(' USING (' || v_object.qual || ')', ''), coalesce(' WITH CHECK (' || v_object.with_check || ')', ''));
    END LOOP;
    FOR v_object IN SELECT c.relrowsecurity, c.relforcerowsecurity FROM pg_class AS c WHERE c.oid = p_table.relation LOOP
        IF v_object.relrowsecurity THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', v_name);
        END IF;
        IF v_object.relforcerowsecurity THEN
            EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', v_name);
        END IF;
    END LOOP;
    EXECUTE format('COMMENT ON TABLE %s IS %L', v_name, obj_description(p_table.relation, 'pg_class'));
    PERFORM pggit._copy_grants(p_table.relation, v_name::regclass);
END;
$$;

COMMENT ON FUNCTION pggit._real_behaviour(pggit.tables, text, smallint[]) IS
'Gives a branch''s real table the triggers, policies, comment and grants of the table on main. p_other: as in pggit._real_keys.';

CREATE OR REPLACE FUNCTION pggit._keep_past_columns(p_branch_id integer, p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_column record;
BEGIN
    FOR v_column IN
        WITH stood AS (
            SELECT c.commit_no AS n, (c.at).x, (c.at).s FROM pggit.commits AS c WHERE c.branch_id = p_branch_id
            UNION ALL
            SELECT NULL, CASE WHEN (b.head_at).branch_id = p_branch_id THEN (b.head_at).x ELSE pggit._mark_now() END, m.s FROM pggit.branches AS b JOIN pggit.branch_bases AS m USING (branch_id) WHERE b.branch_id = p_branch_id
        ), seen AS (
            SELECT k.column_id, p.n, p.x, v.is_here, lag(v.is_here) OVER (PARTITION BY k.column_id ORDER BY p.n NULLS LAST) AS was_here
              FROM pggit.columns AS k
             CROSS JOIN stood AS p
             CROSS JOIN LATERAL (SELECT (k.added_at IS NULL OR pggit._mark_in(k.added_at, p.s)) AND (k.dropped_at IS NULL OR NOT pggit._mark_in(k.dropped_at, p.s)) AS is_here) AS v
             WHERE k.table_id = p_table_id
        ), turns AS (
            SELECT s.column_id, (array_agg(s.x ORDER BY s.n DESC NULLS FIRST) FILTER (WHERE s.is_here AND NOT s.was_here))[1] AS came,
                   (array_agg(s.x ORDER BY s.n DESC NULLS FIRST) FILTER (WHERE NOT s.is_here AND s.was_here))[1] AS went
              FROM seen AS s GROUP BY s.column_id
        )
        SELECT k.*, t.came, t.went, EXISTS (SELECT FROM pggit.branch_columns AS b WHERE b.branch_id = p_branch_id AND b.table_id = p_table_id AND b.column_id = k.column_id) AS is_kept
          FROM turns AS t JOIN pggit.columns AS k ON k.table_id = p_table_id AND k.column_id = t.column_id
         WHERE NOT t.came IS NULL OR NOT t.went IS NULL
    LOOP
        IF v_column.is_kept THEN
            UPDATE pggit.branch_columns AS b SET added_at = v_column.came WHERE b.branch_id = p_branch_id AND b.table_id = p_table_id AND b.column_id = v_column.column_id;
        ELSE
            INSERT INTO pggit.branch_columns (branch_id, table_id, column_id, attnum, name, type_name, key_position, generated_as, added_at, dropped_at, origin, names)
            VALUES (p_branch_id, p_table_id, v_column.column_id, v_column.attnum, v_column.name, v_column.type_name, v_column.key_position, v_column.generated_as, v_column.came, v_column.went, v_column.origin, v_column.names);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._keep_past_columns(integer, integer) IS
'A table of a branch, which had main''s columns, has got a list of its own: it goes back to what its commits had, which merges of main may have changed.';

CREATE OR REPLACE FUNCTION pggit._save_past_cells(p_branch_id integer, p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_stored text;
    v_gone   text;
BEGIN
    IF pggit._is_keyless(p_table_id) THEN
        RETURN;
    END IF;
    SELECT string_agg(a.attname, ', ' ORDER BY a.attnum),
           string_agg('d.' || a.attname, ', ') FILTER (WHERE NOT EXISTS (SELECT FROM pggit._columns_at(p_table_id, pggit._branch_now(p_branch_id)) AS c WHERE 'c' || c.column_id = a.attname))
      INTO v_stored, v_gone
      FROM pg_attribute AS a
     WHERE a.attrelid = format('pggit._delta_%s', p_table_id)::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> '_b';
    IF NOT v_gone IS NULL THEN
        PERFORM pggit._record_transaction();  -- when it was, for refs by time
        EXECUTE format('INSERT INTO pggit._undo_%1$s (_seq, _xid, _b, _owned, _live, _deleted, %2$s)
                        SELECT $1, pggit._transaction_number(), %3$s, true, true, false, %2$s FROM pggit._delta_%1$s AS d WHERE d._b = %3$s AND num_nonnulls(%4$s) > 0',
                       p_table_id, v_stored, p_branch_id, v_gone) USING nextval('pggit._ordinal');
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._save_past_cells(integer, integer) IS
'Before a branch''s rows of a table go from its delta into a real table, which has the columns of now: logs those with cells of columns that only commits of the past have.';

CREATE OR REPLACE FUNCTION pggit._keep_older_columns(p_branch_id integer, p_table_id integer, p_name text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_rename record;
BEGIN
    FOR v_rename IN
        SELECT r.before, r.after
          FROM pggit._older_columns(p_branch_id, p_table_id) AS o
         CROSS JOIN LATERAL (VALUES (1, o.made_as, 'pggit renamed ' || o.column_id), (2, 'pggit renamed ' || o.column_id, o.name)) AS r(step, before, after)
         WHERE o.made_as <> o.name ORDER BY r.step, o.n
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME %I TO %I', p_name, v_rename.before, v_rename.after);
    END LOOP;
    INSERT INTO pggit.branch_columns (branch_id, table_id, column_id, attnum, name, type_name, key_position, generated_as, origin)
    SELECT p_branch_id, p_table_id, o.column_id, l.attnum, l.name, l.type_name, l.key_position, l.generated_as, c.origin
      FROM pggit._older_columns(p_branch_id, p_table_id) AS o
      JOIN pggit._live_columns(p_name::regclass) AS l ON l.name = o.name
      JOIN pggit.columns AS c ON c.table_id = p_table_id AND c.column_id = o.column_id;
    PERFORM pggit._keep_past_columns(p_branch_id, p_table_id);
END;
$$;

COMMENT ON FUNCTION pggit._keep_older_columns(integer, integer, text) IS
'A branch''s new real table has other columns than main has now: they get the names that the branch knows them by, and it a list of columns of its own.';

CREATE OR REPLACE FUNCTION pggit._keep_columns_in_other_order(p_branch_id integer, p_table_id integer, p_name text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO pggit.branch_columns (branch_id, table_id, column_id, attnum, name, type_name, key_position, generated_as, origin)
    SELECT p_branch_id, p_table_id, m.column_id, m.attnum, m.name, m.type_name, m.key_position, m.generated_as, m.origin
      FROM (SELECT c.column_id, c.origin, l.*, bool_or(c.origin < c.before) OVER () AS is_other
              FROM (SELECT k.*, max(k.origin) OVER (ORDER BY a.attnum) AS before, a.attnum AS place
                      FROM pggit._columns_at(p_table_id, pggit._branch_now(p_branch_id)) AS k
                      JOIN pg_attribute AS a ON a.attrelid = p_name::regclass AND a.attname = k.name) AS c
              JOIN pggit._live_columns(p_name::regclass) AS l ON l.attnum = c.place) AS m
     WHERE m.is_other;
    IF FOUND THEN
        PERFORM pggit._keep_past_columns(p_branch_id, p_table_id);
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._keep_columns_in_other_order(integer, integer, text) IS
'A branch''s new real table with a column that came back on main, which then stands behind younger ones: it gets a list of columns of its own, since else they would be found in the order in which they first came.';

CREATE OR REPLACE FUNCTION pggit._create_real(p_branch_id integer, p_table_id integer, p_rows boolean DEFAULT true)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table  pggit.tables;
    v_schema text;
    v_name   text;
    v_older  boolean := p_rows AND pggit._has_older_columns(p_branch_id, p_table_id);
    v_other  smallint[] := '{}';
BEGIN
    SELECT t.* INTO STRICT v_table FROM pggit.tables AS t WHERE t.table_id = p_table_id;
    SELECT s.schema_name INTO STRICT v_schema FROM pggit.branch_schemas AS s WHERE s.branch_id = p_branch_id AND s.base_schema = v_table.schema_name;
    v_name := format('%I.%I', v_schema, v_table.table_name);

    IF v_older THEN
        PERFORM pggit._require_generated_columns(p_branch_id, p_table_id);
        v_other := ARRAY(SELECT l.attnum FROM pggit._live_columns(v_table.relation) AS l
                          WHERE NOT EXISTS (SELECT FROM pggit._older_columns(p_branch_id, p_table_id) AS o WHERE o.is_same AND o.attnum = l.attnum));
    END IF;
    PERFORM pggit._real_columns(v_table, v_schema, CASE WHEN v_older THEN p_branch_id END);
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', v_name);
    IF p_rows THEN
        PERFORM pggit._run_under(format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE %s', v_name,
                       CASE WHEN v_older THEN (SELECT string_agg(quote_ident(o.made_as), ', ' ORDER BY o.column_id)
                                                 FROM pggit._older_columns(p_branch_id, p_table_id) AS o JOIN pggit.columns AS c ON c.table_id = p_table_id AND c.column_id = o.column_id
                                                WHERE c.generated_as IS NULL)
                            ELSE (SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.column_id) FROM pggit.columns AS c
                                   WHERE c.table_id = p_table_id AND c.generated_as IS NULL AND c.dropped_at IS NULL) END,
                       CASE WHEN pggit._is_keyless(p_table_id) THEN pggit._keyless_state_sql(p_table_id, pggit._working_position(p_branch_id))
                            ELSE pggit._flat_sql(p_table_id, p_branch_id, (SELECT b.s FROM pggit.branch_bases AS b WHERE b.branch_id = p_branch_id)) END), pggit._path_of_real(v_table, v_schema));
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', v_name);
    PERFORM pggit._save_past_cells(p_branch_id, p_table_id);
    EXECUTE format('DELETE FROM pggit._delta_%s AS d WHERE d._b = %s', p_table_id, p_branch_id);

    PERFORM pggit._real_keys(v_table, v_schema, v_other);
    PERFORM pggit._real_behaviour(v_table, v_schema, v_other);
    IF v_older THEN
        PERFORM pggit._keep_older_columns(p_branch_id, p_table_id, v_name);
    ELSE
        PERFORM pggit._keep_columns_in_other_order(p_branch_id, p_table_id, v_name);
    END IF;
    PERFORM pggit._capture_real(p_branch_id, p_table_id, v_name, CASE WHEN v_older THEN pggit._branch_now(p_branch_id) END, pggit._is_row_by_row(v_table.relation));
    EXECUTE format('ANALYZE %s', v_name);

    INSERT INTO pggit.branch_tables (branch_id, table_id, relation, form, names, watched)
    VALUES (p_branch_id, p_table_id, v_name::regclass, 'table', pggit._names_of(v_name::regclass), ARRAY[pggit._column_versions(v_name::regclass), pggit._storage(v_name::regclass), pggit._place()::text])
        ON CONFLICT (branch_id, table_id) DO UPDATE SET relation = excluded.relation, form = excluded.form, names = excluded.names, watched = excluded.watched;
    PERFORM pggit._follow_numbers(ARRAY[p_table_id]) WHERE v_older;
    PERFORM pggit._close_table(p_branch_id, p_table_id) FROM pggit.branches AS b WHERE b.branch_id = p_branch_id AND b.mode = 'detached';
END;
$$;

COMMENT ON FUNCTION pggit._create_real(integer, integer, boolean) IS
'Makes a table of a branch a real one, with the columns that the branch shows: rows first (p_rows), then keys, indexes, triggers, policies, grants and capture. Foreign keys come when all tables are there.';

CREATE OR REPLACE FUNCTION pggit._real_foreign_keys(p_branch_id integer, p_table_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_oid    oid;
    v_key    record;
    v_name   text;
    v_child  record;
    v_parent record;
    v_old    record;
    v_there  record;
    v_def    text;
    v_head   text;
BEGIN
    FOR v_oid IN
        SELECT f FROM pggit.tables AS t CROSS JOIN LATERAL pggit._foreign_keys(t.relation, false) AS f WHERE t.table_id = p_table_id
        UNION
        SELECT f FROM pggit.tables AS t CROSS JOIN LATERAL pggit._foreign_keys(t.relation, true) AS f WHERE t.table_id = p_table_id
    LOOP
        CONTINUE WHEN NOT pggit._has_foreign_key(p_branch_id, v_oid);
        v_key  := pggit._foreign_key(v_oid);
        v_name := v_key.child_id || '_' || pggit._name_number(v_key.name);
        SELECT bt.form, bt.relation::regclass::text AS name, bt.relation INTO v_child FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = v_key.child_id;
        SELECT bt.form, bt.relation::regclass::text AS name, bt.relation INTO v_parent FROM pggit.branch_tables AS bt WHERE bt.branch_id = p_branch_id AND bt.table_id = v_key.parent_id;

        FOR v_old IN
            SELECT g.tgname, g.tgrelid::regclass AS relation FROM pg_trigger AS g
             WHERE g.tgrelid IN (v_child.relation, v_parent.relation) AND g.tgname IN ('pggit_child_' || v_name, 'pggit_parent_' || v_name)
        LOOP
            EXECUTE format('DROP TRIGGER %I ON %s', v_old.tgname, v_old.relation);
        END LOOP;

        IF v_child.form = 'table' AND v_parent.form = 'table' THEN
            CONTINUE WHEN EXISTS (SELECT FROM pg_constraint AS c WHERE c.conrelid = v_child.relation AND c.conname = v_key.name AND c.contype = 'f');
            v_def  := pg_get_constraintdef(v_oid);
            v_head := format(' REFERENCES %s(', v_key.parent_relation::regclass);
            v_def  := left(v_def, strpos(v_def, v_head) - 1) || format(' REFERENCES %s(', v_parent.name) || substr(v_def, strpos(v_def, v_head) + length(v_head));
            -- The branch may have the columns under other names.
            v_there := pggit._foreign_key(v_oid, p_branch_id);
            v_def   := replace(replace(v_def, format('FOREIGN KEY (%s)', pggit._path_sql(v_key.child_columns::name[])), format('FOREIGN KEY (%s)', pggit._path_sql(v_there.child_columns::name[]))),
                               format('%s(%s)', v_parent.name, pggit._path_sql(v_key.parent_columns::name[])), format('%s(%s)', v_parent.name, pggit._path_sql(v_there.parent_columns::name[])));
            PERFORM pggit._made(format('ALTER TABLE %s ADD CONSTRAINT %I %s', v_child.name, v_key.name, v_def),
                                pggit._has_older_columns(p_branch_id, v_key.child_id) OR pggit._has_older_columns(p_branch_id, v_key.parent_id));
        ELSIF v_child.form = 'table' THEN
            EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION pggit._check_child(%s, %s)',
                           'pggit_child_' || v_name, v_child.name, p_branch_id, pggit._constraint_sql(v_key.child_id, v_oid));
            EXECUTE format('CREATE OR REPLACE TRIGGER pggit_settle AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION pggit._settle_statement()', v_child.name);
        ELSIF v_parent.form = 'table' AND v_child.form IS NOT NULL THEN
            EXECUTE format('CREATE TRIGGER %I AFTER UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION pggit._check_parent(%s, %s)',
                           'pggit_parent_' || v_name, v_parent.name, p_branch_id, pggit._constraint_sql(v_key.child_id, v_oid));
            EXECUTE format('CREATE OR REPLACE TRIGGER pggit_settle AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION pggit._settle_statement()', v_parent.name);
            EXECUTE pggit._note_path_sql(v_parent.name);
            PERFORM pggit._ensure_cascade_as(v_key.child_relation);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._real_foreign_keys(integer, integer) IS
'Sets up the foreign keys of a table that has become real, in both directions: constraints between real tables, triggers where the other end is a view.';

CREATE OR REPLACE FUNCTION pggit._row_key(p_row anyelement, p_columns text[])
    RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_key text[];
BEGIN
    EXECUTE format('SELECT ARRAY[%s]', (SELECT string_agg(format('pggit._value_text(($1).%I)', c), ', ') FROM unnest(p_columns) AS c)) INTO v_key USING p_row;
    RETURN v_key;
END;
$$;

COMMENT ON FUNCTION pggit._row_key(anyelement, text[]) IS
'Some columns of a row, as text.';

CREATE OR REPLACE FUNCTION pggit._key_hash(p_constraint oid, p_key text[])
    RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_key  record := pggit._foreign_key(p_constraint);
    v_hash bigint;
BEGIN
    EXECUTE 'SELECT ' || pggit._hash_sql((SELECT string_agg(format('%L::%s', u.value, u.type), ', ' ORDER BY u.n)
                                            FROM unnest(p_key, v_key.parent_types) WITH ORDINALITY AS u(value, type, n)), v_key.parent_type_ids) INTO v_hash;
    RETURN v_hash;
END;
$$;

COMMENT ON FUNCTION pggit._key_hash(oid, text[]) IS
'Hash under which a foreign key''s values are locked, as write functions compute it.';

CREATE OR REPLACE FUNCTION pggit._check_child()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_oid oid    := pggit._constraint(TG_ARGV[1]::integer, TG_ARGV[2], TG_ARGV[3]::oid);
    v_key record := pggit._foreign_key(v_oid, TG_ARGV[0]::integer);
    v_new text[] := pggit._row_key(NEW, v_key.child_columns);
BEGIN
    IF v_key.match_full AND array_position(v_new, NULL) IS NOT NULL AND v_new <> array_fill(NULL::text, ARRAY[cardinality(v_new)]) THEN
        PERFORM pggit._violation('23503', format('insert or update on table "%s" violates foreign key constraint "%s"', TG_TABLE_NAME, v_key.name),
                                 'MATCH FULL does not allow mixing of null and nonnull key values.', TG_TABLE_SCHEMA, TG_TABLE_NAME, '', v_key.name);
    END IF;
    IF array_position(v_new, NULL) IS NOT NULL OR (TG_OP = 'UPDATE' AND v_new = pggit._row_key(OLD, v_key.child_columns)) THEN
        RETURN NULL;
    END IF;
    PERFORM pggit._share_key(TG_ARGV[0]::integer, coalesce(v_key.parent_id, 0), pggit._key_hash(v_oid, v_new));
    IF NOT pggit._has_parent(TG_ARGV[0]::integer, v_oid, v_new) THEN
        PERFORM pggit._check_later(TG_ARGV[0]::integer, v_oid, v_new, false);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._check_child() IS
'Row trigger of a branch''s real table whose parent is a view there. Arguments: branch id, and the foreign key as pggit._constraint takes it.';

CREATE OR REPLACE FUNCTION pggit._check_parent()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_oid oid    := pggit._constraint(TG_ARGV[1]::integer, TG_ARGV[2], TG_ARGV[3]::oid);
    v_key record := pggit._foreign_key(v_oid, TG_ARGV[0]::integer);
    v_old text[] := pggit._row_key(OLD, v_key.parent_columns);
    v_new text[] := CASE TG_OP WHEN 'UPDATE' THEN pggit._row_key(NEW, v_key.parent_columns) END;
BEGIN
    IF array_position(v_old, NULL) IS NOT NULL OR v_old = v_new THEN
        RETURN NULL;
    END IF;
    PERFORM pggit._claim_key(TG_ARGV[0]::integer, v_key.parent_id, 'f', pggit._key_hash(v_oid, v_old));
    PERFORM pggit._referenced(TG_ARGV[0]::integer, v_oid, TG_OP, v_old, v_new);
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION pggit._check_parent() IS
'Row trigger of a branch''s real table whose children are a view there. Arguments: branch id, and the foreign key as pggit._constraint takes it.';

CREATE OR REPLACE FUNCTION pggit._require_relatives(p_tables pggit.tables[])
    RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_pair record;
BEGIN
    FOR v_pair IN
        WITH ours AS MATERIALIZED (
            SELECT t.relation::oid AS relation FROM unnest(p_tables) AS t
        )
        SELECT h.inhrelid::regclass AS child, h.inhparent::regclass AS parent, (SELECT o.relation FROM ours AS o WHERE o.relation = h.inhparent) IS NULL AS parent_is_missing
          FROM pg_inherits AS h JOIN pg_class AS c ON c.oid = h.inhparent AND c.relkind = 'r'
         WHERE (h.inhrelid IN (SELECT o.relation FROM ours AS o)) <> (h.inhparent IN (SELECT o.relation FROM ours AS o))
         ORDER BY 1, 2
    LOOP
        RAISE EXCEPTION USING
            ERRCODE = 'VG307', SCHEMA = 'pggit',
            MESSAGE = format('table %s inherits from %s, but %s is not on the branch: what is read from %2$s there would be wrong', v_pair.child, v_pair.parent,
                             CASE WHEN v_pair.parent_is_missing THEN v_pair.parent ELSE v_pair.child END),
            HINT    = format('Track both tables, or neither; or ALTER TABLE %s NO INHERIT %s.', v_pair.child, v_pair.parent);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._require_relatives(pggit.tables[]) IS
'Raises VG307 unless for every table of a branch those that it inherits from, or that inherit from it, are on the branch too.';

CREATE OR REPLACE FUNCTION pggit._real_inheritance(p_branch_id integer)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_pair record;
BEGIN
    FOR v_pair IN
        SELECT child.relation AS child, parent.relation AS parent
          FROM pggit.branch_tables AS child
          JOIN pggit.tables AS c ON c.table_id = child.table_id
          JOIN pg_inherits AS h ON h.inhrelid = c.relation
          JOIN pggit.tables AS p ON p.relation = h.inhparent AND p.untracked_at IS NULL
          JOIN pggit.branch_tables AS parent ON parent.table_id = p.table_id AND parent.branch_id = p_branch_id
         WHERE child.branch_id = p_branch_id
         ORDER BY c.table_id, h.inhseqno
    LOOP
        EXECUTE format('ALTER TABLE %s INHERIT %s', v_pair.child, v_pair.parent);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._real_inheritance(integer) IS
'Lets the real tables of a new branch inherit from each other as those of main do.';
