-- CREATE TYPE knows no IF NOT EXISTS: each type is made only where it is missing.
DO $types$
BEGIN
    IF to_regtype('pggit._mark') IS NULL THEN
        CREATE TYPE pggit._mark AS (
            snapshot  pg_snapshot,
            own       xid8,
            watermark bigint
        );
    END IF;

    IF to_regtype('pggit._position') IS NULL THEN
        CREATE TYPE pggit._position AS (
            branch_id integer,
            x         pggit._mark,
            s         pggit._mark
        );
    END IF;

    IF to_regtype('pggit.branch_info') IS NULL THEN
        CREATE TYPE pggit.branch_info AS (
            branch_id    integer,
            name         text,
            mode         text,
            parent       text,
            base_commit  text,
            head         text,
            is_protected boolean,
            created_at   timestamptz,
            created_by   text,
            materialized text[]
        );
    END IF;

    IF to_regtype('pggit.merge_result') IS NULL THEN
        CREATE TYPE pggit.merge_result AS (
            merge_id         uuid,
            result           text,
            commit_id        text,
            plan_hash        text,
            rows_inserted    bigint,
            rows_updated     bigint,
            rows_deleted     bigint,
            schema_changes   integer,
            conflicts        integer,
            schema_conflicts integer,
            violations       integer,
            detail           jsonb
        );
    END IF;
END;
$types$;

COMMENT ON TYPE pggit._mark IS
'A point in one log: a log row is before it when its transaction is visible in the snapshot, or, for rows of transaction "own", when its ordinal is not above the watermark.';
COMMENT ON TYPE pggit._position IS
'A readable state: the log of a branch at mark x, standing on main at mark s (on main, branch_id 1, s equals x).';
COMMENT ON TYPE pggit.branch_info IS
'One branch as pggit.create_branch, pggit.ensure_branch and pggit.list_branches show it.';
COMMENT ON TYPE pggit.merge_result IS
'What a merge did or would do. result is planned, merged, fast_forward, up_to_date, conflicted, refused or aborted.';
