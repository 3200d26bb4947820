-- How a commit knows, without a look at each definition, that nobody has changed the schema.

CREATE OR REPLACE FUNCTION pggit._schema_fingerprint(p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH spaces AS MATERIALIZED (
                SELECT n.oid, n.xmin, n.ctid FROM pggit._schema_spaces(p_branch_id) AS s JOIN pg_namespace AS n ON n.oid = s.namespace
            ), relations AS MATERIALIZED (
                SELECT c.oid, c.xmin, c.ctid FROM pg_class AS c JOIN spaces AS s ON c.relnamespace = s.oid
            ), types AS MATERIALIZED (
                SELECT y.oid, y.xmin, y.ctid FROM pg_type AS y JOIN spaces AS s ON y.typnamespace = s.oid
            ), routines AS MATERIALIZED (
                SELECT p.oid, p.xmin, p.ctid FROM pg_proc AS p JOIN spaces AS s ON p.pronamespace = s.oid
            -- What PostgreSQL's own objects and pggit's have thousands of is looked up by index.
            ), objects AS MATERIALIZED (
                SELECT * FROM spaces UNION ALL SELECT * FROM relations UNION ALL SELECT * FROM types UNION ALL SELECT * FROM routines
                UNION ALL SELECT r.oid, a.xmin, a.ctid FROM relations AS r CROSS JOIN LATERAL (SELECT a.xmin, a.ctid FROM pg_attribute AS a WHERE a.attrelid = r.oid OFFSET 0) AS a
                UNION ALL SELECT d.oid, d.xmin, d.ctid FROM relations AS r JOIN pg_attrdef AS d ON d.adrelid = r.oid
                UNION ALL SELECT k.oid, k.xmin, k.ctid FROM relations AS r JOIN pg_constraint AS k ON k.conrelid = r.oid
                UNION ALL SELECT k.oid, k.xmin, k.ctid FROM types AS y JOIN pg_constraint AS k ON k.contypid = y.oid
                UNION ALL SELECT i.indexrelid, i.xmin, i.ctid FROM relations AS r JOIN pg_index AS i ON i.indexrelid = r.oid
                UNION ALL SELECT h.inhrelid, h.xmin, h.ctid FROM relations AS r JOIN pg_inherits AS h ON h.inhrelid = r.oid
                UNION ALL SELECT q.seqrelid, q.xmin, q.ctid FROM relations AS r JOIN pg_sequence AS q ON q.seqrelid = r.oid
                UNION ALL SELECT g.oid, g.xmin, g.ctid FROM relations AS r JOIN pg_trigger AS g ON g.tgrelid = r.oid
                UNION ALL SELECT l.oid, l.xmin, l.ctid FROM relations AS r JOIN pg_policy AS l ON l.polrelid = r.oid
                UNION ALL SELECT w.oid, w.xmin, w.ctid FROM relations AS r JOIN pg_rewrite AS w ON w.ev_class = r.oid
                UNION ALL SELECT x.oid, x.xmin, x.ctid FROM relations AS r JOIN pg_statistic_ext AS x ON x.stxrelid = r.oid
                UNION ALL SELECT e.oid, e.xmin, e.ctid FROM types AS y JOIN pg_enum AS e ON e.enumtypid = y.oid
            ), all_rows AS (
                SELECT * FROM objects
                UNION ALL SELECT x.oid, x.xmin, x.ctid FROM pg_extension AS x
                UNION ALL SELECT o.oid, d.xmin, d.ctid
                            FROM (SELECT DISTINCT o.oid FROM objects AS o) AS o CROSS JOIN LATERAL (SELECT d.xmin, d.ctid FROM pg_description AS d WHERE d.objoid = o.oid OFFSET 0) AS d
            )
            -- ctid: what a transaction changes twice has one xmin.
            SELECT concat_ws(' ', count(*), sum(hashtidextended(o.ctid, hashint8extended(o.oid::bigint, o.xmin::text::bigint))::numeric)) FROM all_rows AS o);
END;
$$;

COMMENT ON FUNCTION pggit._schema_fingerprint(integer) IS
'Another value whenever anything is made, changed or dropped in the versioned schemas of main or of a branch: which version of its row in the catalog each object has.';

CREATE OR REPLACE FUNCTION pggit._schema_signature(p_branch_id integer)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT md5(concat_ws('|', (SELECT string_agg(s::text, ',' ORDER BY s.schema_name) FROM pggit.tracked_schemas AS s),
                                 (SELECT string_agg(concat_ws(' ', t.table_id, t.relation::oid), ',' ORDER BY t.table_id) FROM pggit.tables AS t WHERE p_branch_id = 1 AND t.untracked_at IS NULL),
                                 (SELECT string_agg(concat_ws(' ', bt.table_id, bt.relation::oid, bt.form), ',' ORDER BY bt.table_id) FROM pggit.branch_tables AS bt
                                   WHERE bt.branch_id = p_branch_id AND p_branch_id <> 1)))
                   || ' ' || pggit._schema_fingerprint(p_branch_id));
END;
$$;

COMMENT ON FUNCTION pggit._schema_signature(integer) IS
'What decides which objects a branch has and how they are: what is tracked, the forms of its tables, and the versions of what the catalog has.';
