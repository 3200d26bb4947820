-- The schema of each commit: a tree of objects, told as its difference from another tree, and definitions by their hash.

-- Not unique: who stores a definition that somebody else is storing just now must not wait for him.
CREATE TABLE IF NOT EXISTS pggit.schema_definitions (
    definition_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash          text   NOT NULL,
    definition    jsonb  NOT NULL
);
CREATE INDEX IF NOT EXISTS schema_definitions_hash_idx ON pggit.schema_definitions (hash);

-- parent_id: what the entries are a difference from; NULL where they are the whole tree. depth: how many trees have to be read. digest: of all names and hashes.
CREATE TABLE IF NOT EXISTS pggit.schema_trees (
    tree_id   bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id bigint  REFERENCES pggit.schema_trees,
    depth     integer NOT NULL,
    objects   integer NOT NULL,
    digest    text    NOT NULL
);

CREATE INDEX IF NOT EXISTS schema_trees_parent_id_idx ON pggit.schema_trees (parent_id);

-- hash NULL: the parent's tree has the object, this one has not.
CREATE TABLE IF NOT EXISTS pggit.schema_entries (
    tree_id     bigint NOT NULL REFERENCES pggit.schema_trees ON DELETE CASCADE,
    object_type text   COLLATE "C" NOT NULL,
    object_name text   COLLATE "C" NOT NULL,
    parent      text,
    hash        text,
    table_id    integer,
    column_id   integer,
    PRIMARY KEY (tree_id, object_type, object_name)
);

CREATE TABLE IF NOT EXISTS pggit.schema_commits (
    commit_id text   PRIMARY KEY REFERENCES pggit.commits ON DELETE CASCADE,
    tree_id   bigint NOT NULL REFERENCES pggit.schema_trees
);
CREATE INDEX IF NOT EXISTS schema_commits_tree_id_idx ON pggit.schema_commits (tree_id);

-- Which tree main had from a mark on.
CREATE TABLE IF NOT EXISTS pggit.schema_places (
    place_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       pggit._mark NOT NULL,
    tree_id  bigint      NOT NULL REFERENCES pggit.schema_trees
);

-- What was found when a branch was looked at last. Its tree holds until the signature is another, or the branch stands on another tree of main.
CREATE TABLE IF NOT EXISTS pggit.schema_scans (
    branch_id integer PRIMARY KEY REFERENCES pggit.branches,
    signature text    NOT NULL,
    below     bigint  REFERENCES pggit.schema_trees,
    tree_id   bigint  NOT NULL REFERENCES pggit.schema_trees
);

-- What a branch has, or had, its own copies of: where it has none any more, it was dropped there.
CREATE TABLE IF NOT EXISTS pggit.schema_copies (
    branch_id   integer NOT NULL REFERENCES pggit.branches,
    object_type text    NOT NULL,
    object_name text    NOT NULL,
    PRIMARY KEY (branch_id, object_type, object_name)
);

-- Who changed an object, when and by which statement, as event triggers tell; not what pggit does itself. branch_id: whose object it is. object_name is as on main; NULL for GRANT and REVOKE, of which PostgreSQL does not say on what.
-- statement has … in place of what literals held.
CREATE TABLE IF NOT EXISTS pggit.ddl_log (
    ddl_no           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    _seq             bigint      NOT NULL,
    _xid             xid8        NOT NULL,
    branch_id        integer     NOT NULL REFERENCES pggit.branches,
    command          text        NOT NULL,
    object_type      text        NOT NULL,
    object_name      text,
    session_role     text        NOT NULL,
    effective_role   text        NOT NULL,
    application_name text        NOT NULL,
    client_address   inet,
    changed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    statement        text
);
CREATE INDEX IF NOT EXISTS ddl_log_object_name_idx ON pggit.ddl_log (object_name, ddl_no);
CREATE INDEX IF NOT EXISTS ddl_log_xid_idx ON pggit.ddl_log (_xid);

-- The schema of main that somebody answers for: each change since that no merge, migration or deployment made is drift. spaces: the schemas, and tables of others, that were versioned when it was last looked at.
CREATE TABLE IF NOT EXISTS pggit.accepted_schema (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    tree_id  bigint  NOT NULL REFERENCES pggit.schema_trees,
    spaces   text[]  NOT NULL
);

-- Types and sequences of a branch that a merge has made main's: until the branch stands on a main that has them, its tree has them from here.
CREATE TABLE IF NOT EXISTS pggit.schema_moves (
    branch_id   integer     NOT NULL REFERENCES pggit.branches,
    object_type text        NOT NULL,
    object_name text        NOT NULL,
    parent      text        NOT NULL,
    definition  jsonb       NOT NULL,
    hash        text        NOT NULL,
    at          pggit._mark NOT NULL,
    PRIMARY KEY (branch_id, object_type, object_name)
);

-- Steps that somebody gave an object's version by hand, at a commit.
CREATE TABLE IF NOT EXISTS pggit.raised_versions (
    raise_no    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    commit_id   text        NOT NULL REFERENCES pggit.commits ON DELETE CASCADE,
    object_type text        NOT NULL,
    object_name text        NOT NULL,
    table_id    integer,
    column_id   integer,
    level       text        NOT NULL CHECK (level IN ('major', 'minor', 'patch')),
    raised_by   text        NOT NULL,
    raised_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS raised_versions_commit_id_idx ON pggit.raised_versions (commit_id);

-- Times between pggit.begin_deployment and pggit.end_deployment; tree_id: main's schema when it began.
CREATE TABLE IF NOT EXISTS pggit.deployments (
    deployment_id integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text        NOT NULL,
    tree_id       bigint      NOT NULL REFERENCES pggit.schema_trees,
    started_at    timestamptz NOT NULL DEFAULT now(),
    started_by    text        NOT NULL,
    ended_at      timestamptz,
    ended_by      text,
    commit_id     text
);

-- Functions as they were when somebody noted them (pggit.track_function, pggit.rollback_function); commits have theirs in their trees.
CREATE TABLE IF NOT EXISTS pggit.function_notes (
    note_no       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    function_name text        NOT NULL,
    hash          text        NOT NULL,
    noted_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    noted_by      text        NOT NULL
);
CREATE INDEX IF NOT EXISTS function_notes_function_name_idx ON pggit.function_notes (function_name);
