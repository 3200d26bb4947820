CREATE OR REPLACE FUNCTION pggit._step_cost(p_ddl text, OUT relation regclass, OUT lock text, OUT bytes bigint)
    LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_name  text := '((?:"(?:[^"]|"")+"|[^\s".(;]+)(?:\.(?:"(?:[^"]|"")+"|[^\s".(;]+))?)';
    v_table regclass := to_regclass((regexp_match(p_ddl, CASE WHEN p_ddl ~ '^\w+ (OR REPLACE )?(UNIQUE INDEX|INDEX|CONSTRAINT TRIGGER|TRIGGER|POLICY|RULE) .*\sON ' THEN '\sON (?:ONLY )?'
                                                            ELSE '^(?:ALTER|DROP|COMMENT ON|CREATE OR REPLACE) (?:TABLE|INDEX|VIEW|MATERIALIZED VIEW|COLUMN) (?:ONLY )?' END || v_name))[1]);
BEGIN
    relation := v_table;
    lock := CASE
        WHEN v_table IS NULL AND p_ddl !~ '^(COMMENT ON COLUMN|\w+ STATISTICS)'   THEN NULL
        WHEN p_ddl ~ '^CREATE (UNIQUE )?INDEX'                                     THEN 'ShareLock'
        WHEN p_ddl ~ '^CREATE (OR REPLACE )?(CONSTRAINT )?TRIGGER'                 THEN 'ShareRowExclusiveLock'
        WHEN p_ddl ~ '^ALTER TABLE \S.* ADD CONSTRAINT .*FOREIGN KEY'              THEN 'ShareRowExclusiveLock'
        WHEN p_ddl ~ '^ALTER TABLE \S.* (VALIDATE CONSTRAINT|SET STATISTICS|ATTACH PARTITION|CLUSTER ON) ' THEN 'ShareUpdateExclusiveLock'
        WHEN p_ddl ~ '^(COMMENT ON|CREATE STATISTICS|ALTER STATISTICS)'            THEN 'ShareUpdateExclusiveLock'
        WHEN p_ddl ~ '^(ALTER TABLE|ALTER INDEX|ALTER VIEW|ALTER MATERIALIZED VIEW|ALTER TRIGGER|(CREATE|ALTER|DROP) (POLICY|RULE)|DROP (TABLE|INDEX|VIEW|MATERIALIZED VIEW|TRIGGER)|CREATE OR REPLACE VIEW)' THEN 'AccessExclusiveLock'
    END;
    bytes := CASE WHEN p_ddl ~ '^CREATE (UNIQUE )?INDEX|\m(ADD|VALIDATE) CONSTRAINT\M|\mSET NOT NULL\M|\mALTER COLUMN .* TYPE\M|\mADD COLUMN .*(\mGENERATED\M|nextval\()' AND p_ddl !~ '\m(NOT VALID|USING INDEX)\M'
                  THEN coalesce(pggit._total_size(v_table), 0) ELSE 0 END;
END;
$$;

COMMENT ON FUNCTION pggit._step_cost(text) IS
'The strongest lock that a statement of a plan takes on a table that is there already, NULL for none, and how large the table (relation) is that it reads or writes whole.';

CREATE OR REPLACE FUNCTION pggit.merge_steps(p_merge_id uuid)
    RETURNS TABLE (step integer, phase text, ddl text, lock text, bytes bigint)
    LANGUAGE plpgsql VOLATILE  -- it knows a merge that the same statement has planned
AS $$
#variable_conflict use_column
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_detail jsonb;
BEGIN
    PERFORM pggit._require_merge_id(p_merge_id);
    SELECT (m.outcome).detail INTO v_detail FROM pggit.merges AS m WHERE m.merge_id = p_merge_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG006', SCHEMA = 'pggit',
            MESSAGE = format('there is no merge %s', p_merge_id),
            HINT    = 'pggit.merge_status() lists the merges that wait, with their ids.';
    END IF;
    RETURN QUERY
    SELECT row_number() OVER (ORDER BY array_position('{prepare,apply,finish}'::text[], s.phase), s.n)::integer, s.phase, s.ddl, c.lock, c.bytes
      FROM (SELECT 'prepare', d.ddl, d.n FROM jsonb_array_elements_text(v_detail -> 'prepare') WITH ORDINALITY AS d(ddl, n)
            UNION ALL
            SELECT 'apply', d.ddl, d.n FROM jsonb_array_elements_text(v_detail -> 'ddl') WITH ORDINALITY AS d(ddl, n)
            UNION ALL
            SELECT 'finish', d.ddl, d.n FROM jsonb_array_elements_text(v_detail -> 'finish') WITH ORDINALITY AS d(ddl, n)) AS s(phase, ddl, n)
     CROSS JOIN LATERAL pggit._step_cost(s.ddl) AS c;
END;
$$;

COMMENT ON FUNCTION pggit.merge_steps(uuid) IS
'The DDL of a planned, refused or carried out merge, in order.
phase prepare: statements that the merge is refused without (new labels of enums, each a transaction of its own): run them, for example by psql''s \gexec, and continue the merge, whose further steps are known then.
phase apply: what the merge runs itself, with the rows, in one transaction. lock is the strongest lock that the statement takes on a table that is there already (the merge holds it to its end), bytes the size of
that table where the statement may read or write all of it, else 0.
phase finish: with the merge option validate "later", what validates the constraints that the merge has brought, while rows are read and written; without it they are valid when the merge ends. Raises VG006, VG202 (NULL).';
