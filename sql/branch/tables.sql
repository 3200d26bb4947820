-- Rows that two writers of a branch both touch when what they write may not stand together (one unique value, a parent and its
-- child). object_id: the unique index (purpose u), the referenced table's id (f), or the table's id where the primary key is deferrable (k). No advisory lock can do this: above READ COMMITTED only a row that both wrote makes the second one fail.
CREATE TABLE IF NOT EXISTS pggit.key_locks (
    branch_id integer NOT NULL,
    object_id oid     NOT NULL,
    purpose   "char"  NOT NULL,
    key_hash  bigint  NOT NULL,
    slot      integer NOT NULL,
    xid       xid8    NOT NULL,
    PRIMARY KEY (branch_id, object_id, purpose, key_hash, slot)
) WITH (fillfactor = 60);

-- Foreign keys that did not hold when the row was written and must hold at the end of the statement or transaction.
CREATE TABLE IF NOT EXISTS pggit.pending_checks (
    check_id      bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid           xid8    NOT NULL,
    branch_id     integer NOT NULL,
    constraint_id oid     NOT NULL,
    key           text[]  NOT NULL,
    by_parent     boolean NOT NULL,
    is_deferred   boolean NOT NULL
);
CREATE INDEX IF NOT EXISTS pending_checks_xid_idx ON pggit.pending_checks (xid);
