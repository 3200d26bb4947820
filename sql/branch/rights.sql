-- These run with the rights of whoever installed pggit and are called by generated code alone.
REVOKE EXECUTE ON FUNCTION
    pggit._lock_base(integer, boolean), pggit._claim_key(integer, oid, "char", bigint), pggit._share_key(integer, oid, bigint),
    pggit._has_parent(integer, oid, text[]), pggit._has_child(integer, oid, text[]), pggit._refuse_foreign_key(integer, oid, text[], boolean, boolean),
    pggit._check_later(integer, oid, text[], boolean), pggit._settle(pggit.pending_checks), pggit._referenced(integer, oid, text, text[], text[])
  FROM PUBLIC;
