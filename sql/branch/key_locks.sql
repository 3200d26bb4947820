CREATE OR REPLACE FUNCTION pggit._lock_base(p_branch_id integer, p_has_read_base boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Row locks are no queue: who comes later and shares the row would overtake a merge that waits for it.
    PERFORM pg_advisory_xact_lock_shared(hashtext('pggit.gate'), p_branch_id) WHERE NOT p_has_read_base;
    PERFORM FROM pggit.branch_bases AS b WHERE b.branch_id = p_branch_id FOR SHARE SKIP LOCKED;
    IF NOT FOUND THEN
        -- pggit._hold_branch_still keeps writers of views from coming here; what they have read would be of another place on main.
        IF p_has_read_base THEN
            RAISE EXCEPTION USING
                ERRCODE = '40001',
                MESSAGE = 'could not serialize access due to a concurrent merge into this branch',
                HINT    = 'The transaction might succeed if retried.';
        END IF;
        PERFORM FROM pggit.branch_bases AS b WHERE b.branch_id = p_branch_id FOR SHARE;
    END IF;
    PERFORM set_config('pggit.base' || p_branch_id, pg_current_xact_id()::text, true);
END;
$$;

COMMENT ON FUNCTION pggit._lock_base(integer, boolean) IS
'Keeps a branch where it stands on main until this transaction ends; the local setting pggit.base<branch id> tells the next caller that it is done. Waits for a merge that moves the branch just now; p_has_read_base: raises 40001 then, for what
this statement has read by the branch''s place on main may be another after it.';

CREATE OR REPLACE FUNCTION pggit._claim_key(p_branch_id integer, p_object_id oid, p_purpose "char", p_hash bigint)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
BEGIN
    INSERT INTO pggit.key_locks AS k (branch_id, object_id, purpose, key_hash, slot, xid)
    SELECT p_branch_id, p_object_id, p_purpose, p_hash, s.slot, pggit._transaction_number()
      FROM generate_series(0, CASE p_purpose WHEN 'f' THEN 15 ELSE 0 END) AS s(slot)
     ORDER BY s.slot
        ON CONFLICT (branch_id, object_id, purpose, key_hash, slot) DO UPDATE SET xid = excluded.xid;
END;
$$;

COMMENT ON FUNCTION pggit._claim_key(integer, oid, "char", bigint) IS
'Makes this transaction the only writer of a key: purpose u for a value of a unique index, f for a referenced row of a table that goes away (all 16 slots).
Others wait for it; above READ COMMITTED they then fail with 40001, as does this one when somebody wrote the key since its snapshot.';

CREATE OR REPLACE FUNCTION pggit._share_key(p_branch_id integer, p_object_id oid, p_hash bigint)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    v_slot integer := nullif(current_setting('pggit.slot', true), '');
    v_xid  xid8    := pggit._numbered(pg_current_xact_id(), pggit._current_epoch());
BEGIN
    IF v_slot IS NULL THEN
        v_slot := pg_backend_pid() % 16;
        FOR v_try IN 0..15 LOOP
            IF pg_try_advisory_xact_lock(hashtext('pggit.slot'), v_try) THEN
                v_slot := v_try;
                EXIT;
            END IF;
        END LOOP;
        PERFORM set_config('pggit.slot', v_slot::text, true);
    END IF;

    IF NOT EXISTS (SELECT FROM pggit.key_locks AS k
                    WHERE k.branch_id = p_branch_id AND k.object_id = p_object_id AND k.purpose = 'f' AND k.key_hash = p_hash
                      AND k.slot = v_slot AND k.xid = v_xid) THEN
        INSERT INTO pggit.key_locks AS k (branch_id, object_id, purpose, key_hash, slot, xid)
        VALUES (p_branch_id, p_object_id, 'f', p_hash, v_slot, v_xid)
            ON CONFLICT (branch_id, object_id, purpose, key_hash, slot) DO UPDATE SET xid = excluded.xid;
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._share_key(integer, oid, bigint) IS
'Says that this transaction refers to a key. Each open transaction has a slot of its own, so that children of one parent do not wait for
each other; who takes the parent away claims all slots.';

CREATE OR REPLACE FUNCTION pggit._pass_key(p_branch_id integer, p_object_id oid, p_hash bigint)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
BEGIN
    INSERT INTO pggit.key_locks (branch_id, object_id, purpose, key_hash, slot, xid) VALUES (p_branch_id, p_object_id, 'k', p_hash, 0, pggit._transaction_number());
    DELETE FROM pggit.key_locks AS k WHERE k.branch_id = p_branch_id AND k.object_id = p_object_id AND k.purpose = 'k' AND k.key_hash = p_hash AND k.slot = 0;
END;
$$;

COMMENT ON FUNCTION pggit._pass_key(integer, oid, bigint) IS
'Waits for other transactions that brought rows of a key, as a unique index that is not deferrable would. The index entry is enough for others to wait for, so no row is left.';
