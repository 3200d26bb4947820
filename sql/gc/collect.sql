-- What gc takes out of the stores, table by table.

CREATE OR REPLACE FUNCTION pggit._surely_in(p_inner pggit._mark, p_outer pggit._mark)
    RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT pg_snapshot_xmin((p_outer).snapshot) >= pg_snapshot_xmax((p_inner).snapshot)
                   AND ((p_inner).own IS NULL OR (p_inner).own < pg_snapshot_xmin((p_outer).snapshot) OR (p_inner).own = (p_outer).own)
                   AND ((p_outer).own IS NULL OR (p_outer).own >= pg_snapshot_xmax((p_inner).snapshot))
                   AND ((p_outer).own IS DISTINCT FROM (p_inner).own OR (p_inner).own IS NULL OR (p_inner).watermark <= (p_outer).watermark));
END;
$$;

COMMENT ON FUNCTION pggit._surely_in(pggit._mark, pggit._mark) IS
'Whether every log row in p_inner is in p_outer, as far as the marks alone can tell; false where it depends on which transactions wrote.';

CREATE OR REPLACE FUNCTION pggit._decide(p_since timestamptz)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pggit._drop_temporary('pg_temp.pggit_gc_states');
    PERFORM pggit._drop_temporary('pg_temp.pggit_gc_lines');

    -- One statement, so one moment: what is committed later builds on states that are here.
    CREATE TEMPORARY TABLE pggit_gc_states ON COMMIT DROP AS
    SELECT c.branch_id, c.commit_id, c.commit_no, c.committed_at >= p_since AS is_recent, k.commit_id IS NOT NULL AS stays,
           coalesce(k.is_readable, false) AS is_readable, c.at, c.since, c.objects_changed
      FROM pggit.commits AS c LEFT JOIN pggit._kept_commits(p_since) AS k USING (commit_id)
    UNION ALL
    SELECT b.branch_id, NULL, NULL, NULL, b.deleted_at IS NULL, b.deleted_at IS NULL, b.head_at,
           CASE WHEN b.deleted_at IS NULL THEN (b.branch_id, NULL, s.s)::pggit._position END, NULL
      FROM pggit.branches AS b LEFT JOIN pggit.branch_bases AS s USING (branch_id)
    UNION ALL
    SELECT m.branch_id, m._at::text, NULL, NULL, false, b.deleted_at IS NULL, NULL, (1, m.s, m.s)::pggit._position, NULL
      FROM pggit.base_moves AS m JOIN pggit.branches AS b USING (branch_id);

    -- The log rows up to the last commit before the retention are looked at, those after it stay as they are: blame names their writers.
    CREATE TEMPORARY TABLE pggit_gc_lines ON COMMIT DROP AS
    SELECT l.branch_id, l.is_live, l.first_recent IS NULL AND NOT l.is_live AS is_whole,
           EXISTS (SELECT FROM pg_temp.pggit_gc_states AS s WHERE s.is_readable AND l.branch_id IN ((s.at).branch_id, CASE WHEN s.commit_id IS NOT NULL THEN (s.since).branch_id END)) AS is_needed,
           (SELECT (s.at).x FROM pg_temp.pggit_gc_states AS s
             WHERE s.branch_id = l.branch_id AND s.commit_no < coalesce(l.first_recent, 9223372036854775807) ORDER BY s.commit_no DESC LIMIT 1) AS before
      FROM (SELECT s.branch_id, bool_or(s.stays) FILTER (WHERE s.commit_id IS NULL) AS is_live, min(s.commit_no) FILTER (WHERE s.is_recent) AS first_recent
              FROM pg_temp.pggit_gc_states AS s GROUP BY s.branch_id) AS l;

    -- Times before that can't be read, so where branches stood then is not needed.
    EXECUTE format('DELETE FROM pg_temp.pggit_gc_states AS s USING pggit.base_moves AS m WHERE s.commit_id = m._at::text AND %s', pggit._collected_sql('m'));
END;
$$;

COMMENT ON FUNCTION pggit._decide(timestamptz) IS
'What gc goes by, in two temporary tables. pggit_gc_states: all commits, whether they stay and are readable, (commit_id NULL) the branches'' heads, and (a number as commit_id) where they have stood on main. pggit_gc_lines: of each branch the mark
up to which its logs may be collapsed (NULL: not at all; is_whole: all of them), whether it is live, and whether a readable state lies on it.';

CREATE OR REPLACE FUNCTION pggit._collected_sql(p_alias text)
    RETURNS text
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN coalesce((SELECT pggit._in_sql(p_alias, l.before) FROM pg_temp.pggit_gc_lines AS l WHERE l.branch_id = 1 AND (l.before).snapshot IS NOT NULL), 'false');
END;
$$;

COMMENT ON FUNCTION pggit._collected_sql(text) IS
'Condition: a log row of the alias is among those of main that may be collapsed.';

CREATE OR REPLACE FUNCTION pggit._needed_marks(p_branch_id integer, p_before pggit._mark, p_more pggit._mark DEFAULT NULL)
    RETURNS pggit._mark[]
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (
    WITH positions AS (
        SELECT s.at AS position FROM pg_temp.pggit_gc_states AS s WHERE s.is_readable
        UNION ALL SELECT s.since FROM pg_temp.pggit_gc_states AS s WHERE s.is_readable
    ), marks AS (
        SELECT pggit._base_mark(p.position)::text AS mark FROM positions AS p WHERE p_branch_id = 1
        UNION SELECT ((p.position).x)::text FROM positions AS p WHERE p_branch_id <> 1 AND (p.position).branch_id = p_branch_id
        UNION SELECT p_more::text
    )
    SELECT coalesce(array_agg(m.mark::pggit._mark), '{}') FROM marks AS m
     WHERE (m.mark::pggit._mark).snapshot IS NOT NULL AND NOT coalesce(pggit._surely_in(p_before, m.mark::pggit._mark), false));
END;
$$;

COMMENT ON FUNCTION pggit._needed_marks(integer, pggit._mark, pggit._mark) IS
'The marks of a branch''s log (1: main''s) at which it has to stay readable, without those that contain all of p_before.';

CREATE OR REPLACE FUNCTION pggit._needless_sql(p_log text, p_keys text, p_condition text, p_marks pggit._mark[])
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT CASE cardinality(p_marks) WHEN 0 THEN format('SELECT l._at FROM %s AS l WHERE %s', p_log, p_condition)
                   ELSE format($sql$
                WITH rows AS MATERIALIZED (
                    SELECT l._at, l._xid, l._seq, %1$s, ARRAY[%2$s] AS within FROM %3$s AS l WHERE %4$s
                )
                SELECT l._at FROM rows AS l WHERE true = ALL (l.within)
                UNION ALL
                SELECT l._at
                  FROM (SELECT l._at, row_number() OVER (PARTITION BY %1$s, l.within ORDER BY l.first, l._seq, l._at) AS n
                          FROM (SELECT l.*, min(l._at) OVER (PARTITION BY %1$s, l._xid) AS first FROM rows AS l WHERE NOT true = ALL (l.within)) AS l) AS l
                 WHERE l.n > 1$sql$,
                p_keys, (SELECT string_agg(pggit._in_sql('l', m), ', ') FROM unnest(p_marks) AS m), p_log, p_condition) END);
END;
$$;

COMMENT ON FUNCTION pggit._needless_sql(text, text, text, pggit._mark[]) IS
'SELECT of the _at of log rows (alias l, those that the condition leaves) without which all marks read the same: rows that are in every mark, and of a key''s rows that are in the same marks all
but the first. p_keys: the key''s columns of alias l.';

CREATE OR REPLACE FUNCTION pggit._needless_rows_sql(p_table_id integer, p_log text, p_condition text, p_marks pggit._mark[], p_undone boolean)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT format('SELECT s.at FROM pggit._pinned(%L) AS s(at bigint)', format($sql$
                WITH rows AS MATERIALIZED (
                    SELECT l._at, %1$s, %2$s AS n, ARRAY[%3$s]::boolean[] AS within FROM %4$s AS l WHERE %5$s
                )
                SELECT l._at
                  FROM (SELECT l._at, l.n, l.within, sum(l.n) OVER (PARTITION BY l.k, l.within) AS net, row_number() OVER (PARTITION BY l.k, l.within, l.n ORDER BY l._at) AS i FROM rows AS l) AS l
                 WHERE %6$s OR l.i > l.n * l.net$sql$,
                pggit._counted_sql(p_table_id, ARRAY(SELECT substr(a.attname, 2)::integer FROM pg_attribute AS a
                                                      WHERE a.attrelid = p_log::regclass AND a.attname ~ '^c[0-9]+$' AND NOT a.attisdropped), 'l'),
                pggit._sign_sql('l'), (SELECT string_agg(pggit._in_sql('l', m), ', ') FROM unnest(p_marks) AS m), p_log, p_condition,
                CASE WHEN p_undone THEN 'true = ALL (l.within)' ELSE 'false' END)));
END;
$$;

COMMENT ON FUNCTION pggit._needless_rows_sql(integer, text, text, pggit._mark[], boolean) IS
'pggit._needless_sql for a table without a key: of the rows that are the same and in the same marks as many stay as they come to in sum. p_undone: this is main''s log, which is taken back from the
present, so that what is in every mark is not needed; a branch''s is added up from its beginning.';

CREATE OR REPLACE FUNCTION pggit._remove(p_relation text, p_condition text, p_dry_run boolean, OUT rows bigint, OUT bytes bigint)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_size text := (SELECT string_agg(format('coalesce(pg_column_size(r.%I), 0)', a.attname), ' + ')
                      FROM pg_attribute AS a WHERE a.attrelid = p_relation::regclass AND a.attnum > 0 AND NOT a.attisdropped);
BEGIN
    EXECUTE format('WITH found AS MATERIALIZED (SELECT r.ctid, %1$s AS size FROM %2$s AS r WHERE %3$s)%4$s SELECT count(*), coalesce(sum(f.size), 0) FROM found AS f',
                   v_size, p_relation, p_condition,
                   CASE WHEN NOT p_dry_run THEN format(', gone AS (DELETE FROM %s AS r USING found AS f WHERE r.ctid = f.ctid)', p_relation) END)
       INTO rows, bytes;
END;
$$;

COMMENT ON FUNCTION pggit._remove(text, text, boolean, OUT bigint, OUT bigint) IS
'Deletes, or only counts, the rows (alias r) of a relation for which a condition holds; bytes is the sum of pg_column_size of their columns.';

CREATE OR REPLACE FUNCTION pggit._collect_main(p_table pggit.tables, p_dry_run boolean, OUT rows bigint, OUT bytes bigint)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_before pggit._mark;
    v_shape  pggit._mark;
    v_log    text := format('pggit._log_%s', p_table.table_id);
    v_gone   text;
BEGIN
    SELECT (l.before).snapshot, (l.before).own, (l.before).watermark INTO v_before FROM pg_temp.pggit_gc_lines AS l WHERE l.branch_id = 1;
    IF v_before.snapshot IS NULL OR p_table.untracked_at IS NOT NULL OR NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = p_table.relation) THEN
        rows := 0;
        RETURN;
    END IF;
    -- A commit that brings the table in tells its changes since tracking began.
    IF EXISTS (SELECT FROM pg_temp.pggit_gc_states AS s
                WHERE s.is_readable AND (s.commit_id IS NULL OR s.objects_changed > 0)
                  AND CASE WHEN s.commit_id IS NULL THEN s.at IS NULL OR pggit._presence(p_table, s.at) = 'absent'
                           ELSE pggit._presence(p_table, s.at) = 'present' AND (s.since IS NULL OR pggit._presence(p_table, s.since) = 'absent') END) THEN
        v_shape := p_table.shape_at;
    END IF;
    v_gone := CASE WHEN pggit._is_keyless(p_table.table_id)
                   THEN pggit._needless_rows_sql(p_table.table_id, v_log, pggit._in_sql('l', v_before), pggit._needed_marks(1, v_before, v_shape), true)
                   ELSE pggit._needless_sql(v_log, pggit._key_columns(p_table.table_id, 'l'), pggit._in_sql('l', v_before), pggit._needed_marks(1, v_before, v_shape)) END;
    IF pggit._has_marks(p_table.table_id) AND NOT p_dry_run THEN
        -- Which rows go is decided once: those of writers that commit meanwhile are not among them.
        PERFORM pggit._drop_temporary('pg_temp.pggit_gc_rows');
        EXECUTE format('CREATE TEMP TABLE pggit_gc_rows ON COMMIT DROP AS SELECT g._at FROM (%s) AS g', v_gone);
        v_gone := 'SELECT g._at FROM pg_temp.pggit_gc_rows AS g';
        PERFORM pggit._save_values(p_table.table_id, v_gone);
    END IF;
    SELECT r.rows, r.bytes INTO rows, bytes FROM pggit._remove(v_log, format('r._at IN (%s)', v_gone), p_dry_run) AS r;
    IF rows > 0 AND NOT p_dry_run THEN
        INSERT INTO pggit.collected_tables AS c (table_id, at, digest)
        SELECT p_table.table_id, p.at, CASE WHEN pggit._presence(p_table, (1, p.at, p.at)::pggit._position) = 'present'
                                            THEN (SELECT d.digest FROM pggit._table_digest(p_table.table_id, (1, p.at, p.at)::pggit._position) AS d) END
          FROM (SELECT l.at FROM pggit.collected_lines AS l WHERE l.branch_id = 1) AS p
            ON CONFLICT (table_id) DO UPDATE SET at = excluded.at, digest = excluded.digest;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._collect_main(pggit.tables, boolean, OUT bigint, OUT bigint) IS
'Collapses main''s log of one table.';

CREATE OR REPLACE FUNCTION pggit._note_lines()
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO pggit.collected_lines AS c (branch_id, at)
    SELECT l.branch_id, CASE WHEN NOT l.is_whole THEN l.before END FROM pg_temp.pggit_gc_lines AS l WHERE l.is_whole OR (l.before).snapshot IS NOT NULL
        ON CONFLICT (branch_id) DO UPDATE SET at = CASE WHEN (c.at).snapshot IS NOT NULL AND (excluded.at).snapshot IS NOT NULL THEN pggit._later(c.at, excluded.at) END;
END;
$$;

COMMENT ON FUNCTION pggit._note_lines() IS
'Notes up to where the logs may be collapsed from now on.';

CREATE OR REPLACE FUNCTION pggit._collect_branches(p_table_id integer, p_dry_run boolean, OUT rows bigint, OUT bytes bigint)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_undo text := format('pggit._undo_%s', p_table_id);
    v_line record;
    v_in   text;
    v_over pggit._mark[];
    v_one  record;
BEGIN
    rows  := 0;
    bytes := 0;
    FOR v_line IN SELECT l.* FROM pg_temp.pggit_gc_lines AS l WHERE l.branch_id <> 1 AND l.is_needed AND (l.is_whole OR (l.before).snapshot IS NOT NULL) ORDER BY l.branch_id LOOP
        v_in   := format('l._b = %s AND %s', v_line.branch_id, CASE WHEN v_line.is_whole THEN 'true' ELSE pggit._in_sql('l', v_line.before) END);
        v_over := pggit._needed_marks(v_line.branch_id, CASE WHEN NOT v_line.is_whole THEN v_line.before END);
        v_one  := pggit._remove(v_undo, format('r._at IN (%s)', CASE WHEN pggit._is_keyless(p_table_id) THEN pggit._needless_rows_sql(p_table_id, v_undo, v_in, v_over, false)
                                                                    ELSE pggit._needless_sql(v_undo, pggit._key_columns(p_table_id, 'l'), v_in, v_over) END), p_dry_run);
        rows  := rows + v_one.rows;
        bytes := bytes + v_one.bytes;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._collect_branches(integer, boolean, OUT bigint, OUT bigint) IS
'Collapses the branches'' logs of one table: of branches that are there, and of deleted ones on which a readable commit lies.';

CREATE OR REPLACE FUNCTION pggit._collect_deleted(p_table_id integer, p_dry_run boolean, OUT rows bigint, OUT bytes bigint)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_gone  text := (SELECT format('r._b = ANY (%L)', array_agg(l.branch_id)) FROM pg_temp.pggit_gc_lines AS l WHERE NOT l.is_live AND NOT l.is_needed);
    v_store text;
    v_one   record;
BEGIN
    rows  := 0;
    bytes := 0;
    FOREACH v_store IN ARRAY CASE WHEN pggit._is_keyless(p_table_id) THEN ARRAY['_undo'] ELSE ARRAY['_delta', '_mask', '_undo'] END LOOP
        v_one := pggit._remove(format('pggit.%s_%s', v_store, p_table_id), coalesce(v_gone, 'false'), p_dry_run);
        rows  := rows + v_one.rows;
        bytes := bytes + v_one.bytes;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._collect_deleted(integer, boolean, OUT bigint, OUT bigint) IS
'Removes what deleted branches left of one table, where no readable commit lies on them.';

CREATE OR REPLACE FUNCTION pggit._written_sql()
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_main  text := (SELECT CASE WHEN (l.before).snapshot IS NULL THEN 'true' ELSE pggit._out_sql('l', l.before) END FROM pg_temp.pggit_gc_lines AS l WHERE l.branch_id = 1);
    v_cases text := (SELECT string_agg(format('WHEN %s THEN %s', l.branch_id, CASE WHEN l.is_whole THEN 'false' ELSE 'NOT ' || pggit._in_sql('l', l.before) END), ' ')
                       FROM pg_temp.pggit_gc_lines AS l WHERE l.branch_id <> 1 AND (l.is_whole OR (l.before).snapshot IS NOT NULL));
BEGIN
    RETURN format('SELECT l._xid FROM pggit.base_moves AS l WHERE %s AND l.branch_id IN (SELECT i.branch_id FROM pg_temp.pggit_gc_lines AS i WHERE i.is_live)', v_main)
           || (SELECT string_agg(format(' UNION ALL SELECT l._xid FROM pggit._log_%1$s AS l WHERE %2$s UNION ALL SELECT l._xid FROM pggit._undo_%1$s AS l WHERE %3$s', t.table_id,
                                        CASE WHEN t.untracked_at IS NULL THEN v_main ELSE 'true' END, coalesce('CASE l._b ' || v_cases || ' ELSE true END', 'true')), '')
                 FROM pggit.tables AS t WHERE NOT t.stores_dropped);
END;
$$;

COMMENT ON FUNCTION pggit._written_sql() IS
'SELECT of the transactions whose log rows are not touched by gc: blame names them, and times are told by them.';

CREATE OR REPLACE FUNCTION pggit._collect_times(p_since timestamptz, p_dry_run boolean)
    RETURNS TABLE (object text, rows bigint, bytes bigint, reason text)
    LANGUAGE plpgsql
AS $$
DECLARE
    v_over text := format('EXISTS (SELECT FROM pg_temp.pggit_gc_lines AS l WHERE x.xid = (l.before).own OR pg_visible_in_snapshot(x.xid, (l.before).snapshot))
                                 AND NOT EXISTS (SELECT FROM (%s) AS w WHERE w._xid = x.xid)', pggit._written_sql());
    v_step record;
BEGIN
    FOR v_step IN SELECT * FROM (VALUES
        -- The last ones of every branch tell a time after all of these from one before.
        ('pggit.transactions', format($sql$r.xid IN (
              WITH over AS MATERIALIZED (
                  SELECT x.xid, coalesce(x.committed_at, pggit._commit_time(x.xid), x.started_at) AS at FROM pggit.transactions AS x WHERE %s
              )
              SELECT o.xid FROM over AS o
              EXCEPT
              SELECT k.xid FROM pg_temp.pggit_gc_lines AS l
               CROSS JOIN LATERAL ((SELECT o.xid FROM over AS o WHERE o.xid = (l.before).own OR pg_visible_in_snapshot(o.xid, (l.before).snapshot) ORDER BY o.at DESC, o.xid DESC LIMIT 1)
                                   UNION ALL
                                   (SELECT o.xid FROM over AS o WHERE o.xid = (l.before).own OR pg_visible_in_snapshot(o.xid, (l.before).snapshot) ORDER BY o.xid DESC LIMIT 1)) AS k
               WHERE l.is_live AND (l.before).snapshot IS NOT NULL)$sql$, v_over), 'writers whose changes blame can''t tell any more'),
        ('pggit.base_moves', format('(%s) OR r.branch_id IN (SELECT l.branch_id FROM pg_temp.pggit_gc_lines AS l WHERE NOT l.is_live)', pggit._collected_sql('r')),
         'places of branches on main before the retention'),
        ('pggit.ticks', format('r.ticked_at < (SELECT max(t.ticked_at) FROM pggit.ticks AS t WHERE t.ticked_at <= %L)', p_since), 'times before the retention')
        ) AS s(object, condition, reason)
    LOOP
        SELECT v_step.object, r.rows, r.bytes, v_step.reason INTO object, rows, bytes, reason FROM pggit._remove(v_step.object, v_step.condition, p_dry_run) AS r;
        RETURN NEXT;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION pggit._collect_times(timestamptz, boolean) IS
'Removes who and when of changes that gc takes, and what told times before the retention.';
