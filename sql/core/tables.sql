CREATE TABLE IF NOT EXISTS pggit.repository (
    only_row          boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    repository_id     uuid        NOT NULL DEFAULT gen_random_uuid(),
    core_version      text        NOT NULL,
    installed_at      timestamptz NOT NULL DEFAULT now()
);

-- Branch 1 is main. A deleted branch keeps its row: positions of commits name it.
CREATE TABLE IF NOT EXISTS pggit.branches (
    branch_id    integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text        NOT NULL,
    mode         text        NOT NULL DEFAULT 'schema' CHECK (mode IN ('schema', 'database', 'instance', 'detached')),
    parent_id    integer     REFERENCES pggit.branches,
    base_commit  text,
    head         text,
    head_at      pggit._position,
    is_protected boolean     NOT NULL DEFAULT false,
    role_name    text,
    owner        jsonb,
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text        NOT NULL,
    deleted_at   timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS branches_name_key ON pggit.branches (name) WHERE deleted_at IS NULL;

-- Apart from the head row: writers of a branch share-lock it, a move of the base updates it.
CREATE TABLE IF NOT EXISTS pggit.branch_bases (
    branch_id integer     PRIMARY KEY REFERENCES pggit.branches,
    s         pggit._mark NOT NULL
);

-- The undo log of branch_bases: where a branch stood on main before each move.
CREATE TABLE IF NOT EXISTS pggit.base_moves (
    _at       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    _seq      bigint      NOT NULL,
    _xid      xid8        NOT NULL,
    branch_id integer     NOT NULL REFERENCES pggit.branches,
    s         pggit._mark NOT NULL
);
CREATE INDEX IF NOT EXISTS base_moves_branch_id_idx ON pggit.base_moves (branch_id, _at);

CREATE TABLE IF NOT EXISTS pggit.branch_schemas (
    branch_id   integer NOT NULL REFERENCES pggit.branches,
    base_schema text    NOT NULL,
    schema_name text    NOT NULL UNIQUE,
    PRIMARY KEY (branch_id, base_schema)
);

CREATE TABLE IF NOT EXISTS pggit.commits (
    commit_id       text            PRIMARY KEY CHECK (commit_id ~ '^[0-9a-f]{64}$'),
    commit_no       bigint          GENERATED ALWAYS AS IDENTITY UNIQUE,
    branch_id       integer         NOT NULL REFERENCES pggit.branches,
    parents         text[]          NOT NULL,
    merge_base      text,
    at              pggit._position NOT NULL,
    since           pggit._position,
    author          text            NOT NULL,
    message         text            NOT NULL,
    committed_at    timestamptz     NOT NULL,
    rows_changed    bigint          NOT NULL DEFAULT 0,
    objects_changed integer         NOT NULL DEFAULT 0,
    content         jsonb           NOT NULL DEFAULT '{}',
    collected_at    timestamptz
);
CREATE INDEX IF NOT EXISTS commits_branch_id_idx ON pggit.commits (branch_id, commit_no);
CREATE INDEX IF NOT EXISTS commits_commit_id_prefix_idx ON pggit.commits (commit_id text_pattern_ops);

CREATE TABLE IF NOT EXISTS pggit.tags (
    name      text        PRIMARY KEY,
    commit_id text        NOT NULL REFERENCES pggit.commits,
    message   text,
    tagged_at timestamptz NOT NULL DEFAULT now(),
    tagged_by text        NOT NULL
);

-- place: where the fingerprint and the columns' attnums were true; a restored table has others until pggit._find_columns has looked for them. Not on_main: branches alone have
-- the table, and relation is an empty one that stands in for main's.
CREATE TABLE IF NOT EXISTS pggit.tables (
    table_id     integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation     regclass    NOT NULL,
    schema_name  text        NOT NULL,
    table_name   text        NOT NULL,
    tracked_at   pggit._mark NOT NULL,
    shape_at     pggit._mark NOT NULL,
    digest       text        NOT NULL,
    row_count    bigint      NOT NULL,
    fingerprint  text        NOT NULL,
    untracked_at pggit._mark,
    place        bigint      NOT NULL,
    relabelled_at pggit._mark,
    stores_dropped boolean   NOT NULL DEFAULT false,
    storage      text,
    on_main      boolean     NOT NULL DEFAULT true,
    fires        boolean     NOT NULL DEFAULT false,
    is_made      boolean     NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX IF NOT EXISTS tables_relation_key ON pggit.tables (relation) WHERE untracked_at IS NULL;

-- is_made: tracking began with the table itself, so that it was not there before tracked_at.
-- Where tables came, went or got another name, in this order. at is a mark of the branch's log (1: main's), NULL: the branch began with it. Where a branch says nothing of a table, it has it
-- as main has where it stands; where main says nothing, the table has been there since tracked_at under the name it has.
CREATE TABLE IF NOT EXISTS pggit.table_changes (
    change_no   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_id    integer     NOT NULL REFERENCES pggit.tables,
    branch_id   integer     NOT NULL REFERENCES pggit.branches,
    at          pggit._mark,
    is_there    boolean     NOT NULL,
    schema_name text        NOT NULL,
    table_name  text        NOT NULL
);
CREATE INDEX IF NOT EXISTS table_changes_table_id_idx ON pggit.table_changes (table_id, branch_id);

-- A table that goes on from another one of main's, whose key it changed or whose name it took after a DROP. columns: by the id of each of its columns, that of the same column of the other one's.
CREATE TABLE IF NOT EXISTS pggit.generations (
    table_id  integer PRIMARY KEY REFERENCES pggit.tables,
    continues integer NOT NULL REFERENCES pggit.tables,
    columns   jsonb   NOT NULL
);

-- namespace: the schema's oid at place, by which it is found when it gets another name.
CREATE TABLE IF NOT EXISTS pggit.tracked_schemas (
    schema_name text   PRIMARY KEY,
    excluded    text[] NOT NULL DEFAULT '{}',
    namespace   oid,
    place       bigint
);

-- Stored columns are named c<column_id> in every log, delta and mask: a rename touches this table only. added_at is NULL for columns that were there when
-- tracking began. A column that gets another type or expression is a new one of the same origin. names: for a generated column that is gone, the
-- names that its expression knows the table's columns by. catalog_row: which version of its row in the catalog the column has.
CREATE TABLE IF NOT EXISTS pggit.columns (
    table_id     integer  NOT NULL REFERENCES pggit.tables,
    column_id    integer  NOT NULL,
    attnum       smallint NOT NULL,
    name         text     NOT NULL,
    type_name    text     NOT NULL,
    key_position integer,
    generated_as text,
    added_at     pggit._mark,
    dropped_at   pggit._mark,
    origin       integer  NOT NULL,
    names        jsonb,
    catalog_row  text,
    PRIMARY KEY (table_id, column_id)
);

-- Columns whose large values main's log may be without: sql/tracking/large_values.sql. left_out: its rows may be, else only whatever reads them knows so, since the transaction known_at.
CREATE TABLE IF NOT EXISTS pggit.spared_columns (
    table_id  integer NOT NULL REFERENCES pggit.tables ON DELETE CASCADE,
    column_id integer NOT NULL,
    left_out  boolean NOT NULL,
    known_at  xid8    NOT NULL,
    PRIMARY KEY (table_id, column_id)
);

-- The columns of a branch's real table, all of them, where the branch has others than main had when the table was made. added_at (NULL: when the table was made) and
-- dropped_at are marks of the branch's own log; the rest is as in pggit.columns. A column that the branch added has a number of its own, and is in the branches' stores alone.
CREATE TABLE IF NOT EXISTS pggit.branch_columns (
    branch_id    integer  NOT NULL REFERENCES pggit.branches,
    table_id     integer  NOT NULL REFERENCES pggit.tables,
    column_id    integer  NOT NULL,
    attnum       smallint NOT NULL,
    name         text     NOT NULL,
    type_name    text     NOT NULL,
    key_position integer,
    generated_as text,
    added_at     pggit._mark,
    dropped_at   pggit._mark,
    origin       integer  NOT NULL,
    names        jsonb,
    PRIMARY KEY (branch_id, table_id, column_id)
);

-- Tables of branches whose columns went in a way that pggit was not told of in time: what they held before that mark of the branch's log can't be read.
CREATE TABLE IF NOT EXISTS pggit.branch_gaps (
    branch_id integer     NOT NULL REFERENCES pggit.branches,
    table_id  integer     NOT NULL REFERENCES pggit.tables,
    at        pggit._mark NOT NULL,
    PRIMARY KEY (branch_id, table_id)
);

-- The partitions, at every level, of tracked partitioned tables, whose rows are in the history of the root. saved_at: the ordinal under which rows were logged before
-- a DROP that may mean them. captured: their own triggers are there; where none tells of DDL they come with the next commit. columns: there, by column id, the number and
-- the version of the catalog row that each column has in the partition.
CREATE TABLE IF NOT EXISTS pggit.partitions (
    relation regclass PRIMARY KEY,
    table_id integer NOT NULL REFERENCES pggit.tables,
    captured boolean NOT NULL,
    saved_at bigint,
    columns  jsonb
);
CREATE INDEX IF NOT EXISTS partitions_table_id_idx ON pggit.partitions (table_id);

-- What stands for a table on a branch: a view over the shared stores, or a table of its own.
CREATE TABLE IF NOT EXISTS pggit.branch_tables (
    branch_id integer NOT NULL REFERENCES pggit.branches,
    table_id  integer NOT NULL REFERENCES pggit.tables,
    relation  regclass NOT NULL,
    form      text    NOT NULL CHECK (form IN ('view', 'table')),
    names     text[],  -- of a real table: its own and its columns', as it was made
    watched   text[],  -- of a real table, where no event trigger tells of DDL: what the catalog said of its columns and storage, and where (pggit._place)
    shape     integer[],  -- of a view: the ids of its columns, in their order
    PRIMARY KEY (branch_id, table_id)
);

-- Views and functions of a branch that were made from those of main, or of the branch it began at, in the order in which they were made.
CREATE TABLE IF NOT EXISTS pggit.branch_copies (
    copy_id   bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    branch_id integer NOT NULL REFERENCES pggit.branches,
    relation  regclass,
    routine   text,  -- as regprocedure writes it, which pg_upgrade would not take
    CHECK ((relation IS NULL) <> (routine IS NULL))
);

-- Who and when, once per transaction that changed tracked rows, tables or branches. When it was committed is filled in later, where the server knows.
CREATE TABLE IF NOT EXISTS pggit.transactions (
    xid              xid8        PRIMARY KEY,
    session_role     text        NOT NULL,
    effective_role   text        NOT NULL,
    application_name text        NOT NULL,
    started_at       timestamptz NOT NULL,
    committed_at     timestamptz
);

-- What was committed at a time.
CREATE TABLE IF NOT EXISTS pggit.ticks (
    ticked_at timestamptz PRIMARY KEY,
    mark      pggit._mark NOT NULL
);

-- Up to where pggit.gc has been: log rows of a branch that are in the mark may be gone; of a deleted branch (NULL) all.
CREATE TABLE IF NOT EXISTS pggit.collected_lines (
    branch_id integer     PRIMARY KEY REFERENCES pggit.branches,
    at        pggit._mark
);

-- The rows that a table had on main at a mark up to which its log was collapsed.
CREATE TABLE IF NOT EXISTS pggit.collected_tables (
    table_id  integer     PRIMARY KEY REFERENCES pggit.tables,
    at        pggit._mark NOT NULL,
    digest    text
);

CREATE TABLE IF NOT EXISTS pggit.merges (
    merge_id      uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    kind          text        NOT NULL DEFAULT 'merge' CHECK (kind IN ('merge', 'revert', 'cherry_pick', 'reset', 'unstash', 'rebase')),
    source        text        NOT NULL,
    source_commit text        NOT NULL,
    source_id     integer     REFERENCES pggit.branches,  -- NULL: what is merged is a commit
    target_id     integer     NOT NULL REFERENCES pggit.branches,
    target_commit text,
    base_commit   text,
    message       text,
    options       jsonb       NOT NULL DEFAULT '{}',
    result        text        NOT NULL,
    commit_id     text,
    plan_hash     text,
    outcome       pggit.merge_result,
    requested_by  text        NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz
);
CREATE INDEX IF NOT EXISTS merges_target_id_idx ON pggit.merges (target_id, created_at);

-- Changes put aside: a commit that no branch has.
CREATE TABLE IF NOT EXISTS pggit.stashes (
    stash_no   integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE GENERATED ALWAYS AS ('stash-' || stash_no::text) STORED,
    branch_id  integer     NOT NULL REFERENCES pggit.branches,
    commit_id  text        NOT NULL UNIQUE REFERENCES pggit.commits,
    stashed_at timestamptz NOT NULL DEFAULT now(),
    stashed_by text        NOT NULL
);

-- A foreign key to pggit.merges would be asked twice for each conflict: when it is found, and when it is decided.
CREATE TABLE IF NOT EXISTS pggit.conflicts (
    merge_id       uuid        NOT NULL,
    conflict_no    integer     NOT NULL,
    conflict_id    text        NOT NULL,
    kind           text        NOT NULL,
    table_id       integer     NOT NULL,
    key            jsonb       NOT NULL,
    column_id      integer,
    base           jsonb,
    ours           jsonb,
    theirs         jsonb,
    resolution     text        CHECK (resolution IN ('ours', 'theirs', 'base', 'value')),
    resolved_value jsonb,
    resolved_by    text,
    resolved_at    timestamptz,
    rule           text,
    note           text,
    plan_row       bigint      NOT NULL,
    is_torn        boolean     NOT NULL DEFAULT false,  -- base is one of several that do not agree
    PRIMARY KEY (merge_id, conflict_no),
    UNIQUE (conflict_id, merge_id)
) WITH (fillfactor = 50);  -- each is inserted, and then decided

CREATE TABLE IF NOT EXISTS pggit.schema_conflicts (
    merge_id       uuid NOT NULL REFERENCES pggit.merges ON DELETE CASCADE,
    conflict_id    text NOT NULL,
    object_type    text NOT NULL,
    object_name    text NOT NULL,
    kind           text NOT NULL,
    base           jsonb,
    ours           jsonb,
    theirs         jsonb,
    resolution     text CHECK (resolution IN ('ours', 'theirs', 'value')),
    resolved_value jsonb,
    resolved_by    text,
    resolved_at    timestamptz,
    PRIMARY KEY (merge_id, conflict_id)
);

CREATE TABLE IF NOT EXISTS pggit.violations (
    merge_id        uuid    NOT NULL REFERENCES pggit.merges ON DELETE CASCADE,
    violation_no    integer NOT NULL,
    violation_id    text    NOT NULL,
    kind            text    NOT NULL,
    constraint_name text    NOT NULL,
    table_id        integer NOT NULL REFERENCES pggit.tables,
    key             jsonb   NOT NULL,
    side            text,
    detail          text    NOT NULL,
    PRIMARY KEY (merge_id, violation_no)
);

-- What decides cells that both sides of a merge changed: pggit.add_merge_rule, pggit.delete_merge_rule.
CREATE TABLE IF NOT EXISTS pggit.merge_rules (
    rule_no     integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name  text        NOT NULL,
    column_name text        NOT NULL,
    rule        text        NOT NULL,
    by_column   text,
    expression  text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  text        NOT NULL
);

-- New keys drawn for rows of a branch by rule renumber; kept, so that plans made again give the same.
CREATE TABLE IF NOT EXISTS pggit.reserved_keys (
    branch_id integer NOT NULL REFERENCES pggit.branches,
    table_id  integer NOT NULL REFERENCES pggit.tables,
    key       jsonb   NOT NULL,
    column_id integer NOT NULL,
    new_value bigint  NOT NULL,
    PRIMARY KEY (branch_id, table_id, key)
);

-- Which rows got new keys in which commit: what branched off before still has the old ones.
CREATE TABLE IF NOT EXISTS pggit.given_keys (
    commit_id text    NOT NULL,
    table_id  integer NOT NULL REFERENCES pggit.tables,
    key       jsonb   NOT NULL,
    new_key   jsonb   NOT NULL,
    PRIMARY KEY (commit_id, table_id, key)
);

-- Times in which new tables are not tracked by themselves and DDL is not logged. is_settled: what was made meanwhile has been looked at.
CREATE TABLE IF NOT EXISTS pggit.tracking_pauses (
    pause_no   integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    paused_by  text        NOT NULL,
    paused_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at    timestamptz NOT NULL,
    is_settled boolean     NOT NULL DEFAULT false
);
