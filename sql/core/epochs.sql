-- Transaction ids mean something in one cluster only, so the stores hold transaction numbers: the id, with the epoch above its 48 bits. A database that was restored
-- into another cluster goes on in the next epoch, and its numbers are greater than all that came along. docs/architecture.md, "Epochs", says why that is enough.
-- Both are sequences, so that whoever notices first moves on at once, for every snapshot, and holds no lock until its transaction ends.
CREATE SEQUENCE IF NOT EXISTS pggit._epoch AS smallint;
CREATE SEQUENCE IF NOT EXISTS pggit._place AS bigint MINVALUE -9223372036854775808 START 0;

CREATE OR REPLACE FUNCTION pggit._place()
    RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT hashtextextended(format('%s %s', c.system_identifier, 'pggit.repository'::regclass::oid), 0) FROM pg_control_system() AS c);
END;
$$;

COMMENT ON FUNCTION pggit._place() IS
'Where this database is: another value in another cluster, and in a database that was restored into the same cluster.';

CREATE OR REPLACE FUNCTION pggit._enter_epoch()
    RETURNS bigint
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_place bigint := pggit._place();
BEGIN
    IF pg_sequence_last_value('pggit._place') IS DISTINCT FROM v_place THEN
        -- Who may not write sees all there is as of earlier epochs, as after the move.
        IF current_setting('transaction_read_only')::boolean THEN
            RETURN coalesce(pg_sequence_last_value('pggit._epoch'), 0) + 1;
        END IF;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtext('pggit.epoch'), 0);
            IF pg_sequence_last_value('pggit._place') IS DISTINCT FROM v_place THEN
                PERFORM setval('pggit._epoch', coalesce(pg_sequence_last_value('pggit._epoch'), 0) + 1);
                PERFORM setval('pggit._place', v_place);
            END IF;
            -- Rolled back, the lock is given up here and now; sequences keep their values.
            RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception', MESSAGE = 'done';
        EXCEPTION WHEN triggered_action_exception THEN
            NULL;
        END;
    END IF;
    PERFORM set_config('pggit.place', v_place::text, false);
    RETURN pg_sequence_last_value('pggit._epoch');
END;
$$;

COMMENT ON FUNCTION pggit._enter_epoch() IS
'The epoch, after beginning the next one if the database has come to another place. The session''s setting pggit.place tells the next caller that this was looked at.';

CREATE OR REPLACE FUNCTION pggit._current_epoch()
    RETURNS bigint
    LANGUAGE sql VOLATILE
AS $$
    SELECT CASE WHEN current_setting('pggit.place', true) = pg_sequence_last_value('pggit._place')::text THEN pg_sequence_last_value('pggit._epoch')
                ELSE pggit._enter_epoch() END;
$$;

COMMENT ON FUNCTION pggit._current_epoch() IS
'The epoch: 1, and one more after each time the database was restored elsewhere.';

CREATE OR REPLACE FUNCTION pggit._numbered(p_xid xid8, p_epoch bigint)
    RETURNS xid8
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE p_epoch WHEN 1 THEN p_xid ELSE (((p_epoch - 1) << 48) + p_xid::text::bigint)::text::xid8 END;
$$;

COMMENT ON FUNCTION pggit._numbered(xid8, bigint) IS
'The number of a transaction of an epoch.';

CREATE OR REPLACE FUNCTION pggit._numbered(p_snapshot pg_snapshot, p_epoch bigint)
    RETURNS pg_snapshot
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT CASE p_epoch WHEN 1 THEN p_snapshot
                        ELSE format('%s:%s:%s', pggit._numbered(pg_snapshot_xmin(p_snapshot), p_epoch), pggit._numbered(pg_snapshot_xmax(p_snapshot), p_epoch),
                                    (SELECT string_agg(pggit._numbered(x, p_epoch)::text, ',' ORDER BY x) FROM pg_snapshot_xip(p_snapshot) AS x))::pg_snapshot END);
END;
$$;

COMMENT ON FUNCTION pggit._numbered(pg_snapshot, bigint) IS
'A snapshot taken in an epoch, in transaction numbers: all of earlier epochs is visible in it, nothing of later ones.';

-- No argument and no STABLE: so it is computed in place, without a call, where capture functions assign it.
CREATE OR REPLACE FUNCTION pggit._transaction_number()
    RETURNS xid8
    LANGUAGE sql VOLATILE
AS $$
    SELECT CASE pg_sequence_last_value('pggit._epoch') WHEN 1 THEN pg_current_xact_id()
                ELSE (((pg_sequence_last_value('pggit._epoch') - 1) << 48) + pg_current_xact_id()::text::bigint)::text::xid8 END;
$$;

COMMENT ON FUNCTION pggit._transaction_number() IS
'The number of this transaction, in which pggit._current_epoch() has been asked before (by pggit._record_transaction or pggit._mark_now).';

DO $epoch$
BEGIN
    PERFORM pggit._current_epoch();
END;
$epoch$;
