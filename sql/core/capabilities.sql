CREATE OR REPLACE FUNCTION pggit._is_told_of_ddl()
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT EXISTS (SELECT FROM pg_event_trigger AS e WHERE e.evtname = 'pggit_ddl_end' AND e.evtenabled IN ('O', 'A')));
END;
$$;

COMMENT ON FUNCTION pggit._is_told_of_ddl() IS
'Whether event triggers tell pggit of DDL; only a superuser can make them.';

CREATE OR REPLACE FUNCTION pggit.capabilities()
    RETURNS TABLE (capability text, available boolean, reason text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'event_triggers', d.is_told,
           CASE WHEN d.is_told
                THEN 'new tables of tracked schemas are tracked at once, and changes of shape are noticed when they happen'
                ELSE 'event triggers need a superuser at installation: new tables are noticed at the next commit, changed ones when they are written' END
      FROM (SELECT pggit._is_told_of_ddl() AS is_told) AS d
    UNION ALL
    SELECT 'triggers_kept_out_of_merges', r.can_replicate,
           CASE WHEN r.can_replicate
                THEN 'merges run with session_replication_role = replica: no trigger of yours fires, no writer waits for it'
                ELSE 'this role may not set session_replication_role: a merge into main switches triggers off by ALTER TABLE, which makes writers of those tables wait for it' END
      FROM (SELECT current_setting('is_superuser')::boolean
                   OR has_parameter_privilege('session_replication_role', 'SET') AS can_replicate) AS r
    UNION ALL
    SELECT 'commit_times', c.is_kept,
           CASE WHEN c.is_kept
                THEN 'the server keeps when each transaction was committed: every time since is exact as a ref'
                ELSE 'track_commit_timestamp is off: as a ref a time is exact at ticks (pggit.tick) alone' END
      FROM (SELECT current_setting('track_commit_timestamp')::boolean AS is_kept) AS c
    UNION ALL
    SELECT 'publications', NOT EXISTS (SELECT FROM pg_publication AS p WHERE p.puballtables),
           CASE WHEN EXISTS (SELECT FROM pg_publication AS p WHERE p.puballtables)
                THEN 'a publication FOR ALL TABLES also publishes pggit''s own tables'
                ELSE 'no publication takes in pggit''s own tables' END;
$$;

COMMENT ON FUNCTION pggit.capabilities() IS
'What this server and this role allow pggit to do, one row a capability, each with the reason.
available is false where something is missing or would get in the way.';
