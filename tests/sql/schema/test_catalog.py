"""Every column of the catalog that describes versioned objects is in a definition, follows from it, or is left out."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, query

pytestmark = pytest.mark.each_version

#: Part of the object's definition or name, or read to make one (such as flags that say which objects there are).
DEFINED = {
    "pg_class": "relname relnamespace reloftype relam relpersistence relkind relrowsecurity relforcerowsecurity "
    "relreplident relispartition relacl reloptions relpartbound",
    "pg_attribute": "attname atttypid atttypmod attstattarget attstorage attcompression attnotnull attidentity "
    "attgenerated attisdropped attinhcount attcollation attacl attoptions",
    "pg_attrdef": "adbin",
    "pg_constraint": "conname contype condeferrable condeferred convalidated confrelid confupdtype confdeltype "
    "confmatchtype connoinherit conkey confkey confdelsetcols conexclop conbin conenforced conperiod conparentid "
    "coninhcount contypid",
    "pg_index": "indisunique indnullsnotdistinct indisprimary indisexclusion indisclustered indisreplident indnatts "
    "indnkeyatts indkey indcollation indclass indoption indexprs indpred",
    "pg_proc": "proname pronamespace prolang procost prorows provariadic prosupport prokind prosecdef proleakproof "
    "proisstrict proretset provolatile proparallel prorettype proargtypes proallargtypes proargmodes proargnames "
    "proargdefaults protrftypes prosrc probin prosqlbody proconfig proacl",
    "pg_aggregate": "aggkind aggtransfn aggfinalfn aggcombinefn aggserialfn aggdeserialfn aggmtransfn aggminvtransfn "
    "aggmfinalfn aggfinalextra aggmfinalextra aggfinalmodify aggsortop aggtranstype aggtransspace aggmtranstype "
    "aggmtransspace agginitval aggminitval",
    "pg_trigger": "tgname tgfoid tgtype tgenabled tgisinternal tgparentid tgconstrrelid tgconstraint tgdeferrable "
    "tginitdeferred tgattr tgargs tgqual tgoldtable tgnewtable",
    "pg_policy": "polname polcmd polpermissive polroles polqual polwithcheck",
    "pg_type": "typname typnamespace typtype typnotnull typbasetype typtypmod typcollation typdefaultbin typdefault "
    "typacl",
    "pg_enum": "enumsortorder enumlabel",
    "pg_sequence": "seqtypid seqstart seqincrement seqmax seqmin seqcache seqcycle",
    "pg_range": "rngsubtype rngmultitypid rngcollation rngsubopc rngcanonical rngsubdiff",
    "pg_rewrite": "rulename ev_type ev_enabled is_instead ev_qual ev_action",
    "pg_inherits": "inhparent inhseqno",
    "pg_partitioned_table": "partstrat partattrs partclass partcollation partexprs",
    "pg_statistic_ext": "stxname stxnamespace stxstattarget stxkeys stxkind stxexprs",
}
#: Follows from the definition, or links one object to another that has it.
DERIVED = {
    "pg_class": "oid reltype reltoastrelid relhasindex relnatts relchecks relhasrules relhastriggers relhassubclass",
    "pg_attribute": "attrelid attlen attnum attndims attbyval attalign atthasdef attislocal",
    "pg_attrdef": "oid adrelid adnum",
    "pg_constraint": "oid connamespace conrelid conindid conislocal conpfeqop conppeqop conffeqop",
    "pg_index": "indexrelid indrelid indimmediate",
    "pg_proc": "oid pronargs pronargdefaults",
    "pg_aggregate": "aggfnoid aggnumdirectargs",
    "pg_trigger": "oid tgrelid tgconstrindid tgnargs",
    "pg_policy": "oid polrelid",
    "pg_type": "oid typlen typbyval typisdefined typrelid typsubscript typelem typarray typalign typndims",
    "pg_enum": "oid enumtypid",
    "pg_sequence": "seqrelid",
    "pg_range": "rngtypid",
    "pg_rewrite": "oid ev_class",
    "pg_inherits": "inhrelid",
    "pg_partitioned_table": "partrelid partnatts partdefid",
    "pg_statistic_ext": "oid stxrelid",
}
OWNER = "who owns what is no part of a schema: a branch belongs to somebody else"
STATE = "what the server has counted, cached or is in the middle of"
BASE_TYPE = "base types need a library and a superuser; they are not versioned"
FOREIGN = "foreign tables are not versioned"
LEFT_OUT = {
    "pg_class": {
        "relowner": OWNER,
        "relfilenode": STATE,
        "relpages": STATE,
        "reltuples": STATE,
        "relallvisible": STATE,
        "relallfrozen": STATE,
        "relrewrite": STATE,
        "relfrozenxid": STATE,
        "relminmxid": STATE,
        "relispopulated": STATE,
        "relisshared": "only system catalogs are shared",
        "reltablespace": "a tablespace is of one server",
    },
    "pg_attribute": {
        "attcacheoff": STATE,
        "atthasmissing": STATE,
        "attmissingval": STATE,
        "attfdwoptions": FOREIGN,
    },
    "pg_index": {"indisvalid": STATE, "indcheckxmin": STATE, "indisready": STATE, "indislive": STATE},
    "pg_proc": {"proowner": OWNER},
    "pg_aggregate": {"aggmfinalmodify": "known gap: MFINALFUNC_MODIFY of a moving aggregate is not versioned"},
    "pg_type": {
        "typowner": OWNER,
        **dict.fromkeys(
            ["typcategory", "typispreferred", "typdelim", "typinput", "typoutput", "typreceive"], BASE_TYPE
        ),
        **dict.fromkeys(["typsend", "typmodin", "typmodout", "typanalyze", "typstorage"], BASE_TYPE),
    },
    "pg_inherits": {"inhdetachpending": STATE},
    "pg_statistic_ext": {"stxowner": OWNER},
}


@pytest.mark.pg(15, 16, 17, 18)
def test_every_column_is_classified_once(conn: Connection) -> None:
    found = query(
        conn,
        "SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname = ANY (%s) AND a.attnum > 0",
        list(DEFINED),
    ).fetchall()
    assert len({table for table, _ in found}) == len(DEFINED)
    wrong = []
    for table, column in found:
        rooms = [DEFINED[table].split(), DERIVED[table].split(), list(LEFT_OUT.get(table, {}))]
        if sum(column in room for room in rooms) != 1:
            wrong.append(f"{table}.{column}")
    assert wrong == [], "say what becomes of these columns of the catalog, and whether definitions have to have them"
