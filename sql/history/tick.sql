CREATE OR REPLACE FUNCTION pggit.tick()
    RETURNS timestamptz
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_last pggit.ticks;
    v_mark pggit._mark;
    v_now  timestamptz;
BEGIN
    PERFORM pggit._require_read_committed('a tick');
    PERFORM pg_advisory_xact_lock(hashtext('pggit.tick'));
    SELECT t.* INTO v_last FROM pggit.ticks AS t ORDER BY t.ticked_at DESC LIMIT 1;
    v_now  := clock_timestamp();
    v_mark := pggit._mark_now();
    -- What this transaction has written is not committed yet.
    v_mark.own       := pggit._transaction_number();
    v_mark.watermark := 0;

    UPDATE pggit.transactions AS x SET committed_at = pggit._commit_time(x.xid)
     WHERE x.committed_at IS NULL AND x.xid <> v_mark.own AND pggit._commit_time(x.xid) IS NOT NULL
       AND (v_last.ticked_at IS NULL OR (x.xid >= pg_snapshot_xmin((v_last.mark).snapshot) AND NOT pg_visible_in_snapshot(x.xid, (v_last.mark).snapshot)));
    IF v_last.ticked_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM pggit.transactions AS x
         WHERE x.xid <> v_mark.own
           AND x.xid >= pg_snapshot_xmin((v_last.mark).snapshot) AND NOT pg_visible_in_snapshot(x.xid, (v_last.mark).snapshot)) THEN
        RETURN v_last.ticked_at;
    END IF;
    INSERT INTO pggit.ticks (ticked_at, mark) VALUES (v_now, v_mark);
    RETURN v_now;
END;
$$;

COMMENT ON FUNCTION pggit.tick() IS
'Notes what is committed now, so that the state of this moment can be read exactly later; returns the time of the newest tick, which is an earlier one when nothing was
committed since. Where the server keeps commit times (track_commit_timestamp), these are kept with the history, and every time is exact. Raises VG401 above READ COMMITTED.';
