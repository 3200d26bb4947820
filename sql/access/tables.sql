-- What pggit knows of the login that applications use on a branch; its name is in pggit.branches.role_name.
CREATE TABLE IF NOT EXISTS pggit.branch_logins (
    branch_id   integer     PRIMARY KEY REFERENCES pggit.branches,
    password_id text        NOT NULL,
    can_write   boolean     NOT NULL,
    is_enabled  boolean     NOT NULL DEFAULT true,
    changed_at  timestamptz NOT NULL DEFAULT now()
);

-- Snapshots that an object outside asked for: taken once, whoever asks again gets the same.
CREATE TABLE IF NOT EXISTS pggit.snapshots (
    tag          text        PRIMARY KEY,
    owner        jsonb       NOT NULL,
    commit_id    text        NOT NULL REFERENCES pggit.commits,
    state_digest text        NOT NULL,
    message      text,
    taken_at     timestamptz NOT NULL DEFAULT now()
);

-- Merges that an object outside asked for: run once, whoever asks again gets the same.
CREATE TABLE IF NOT EXISTS pggit.merge_runs (
    installation text        NOT NULL,
    namespace    text        NOT NULL,
    name         text        NOT NULL,
    source       text,
    revert_of    text,
    target       text        NOT NULL,
    merge_id     uuid        NOT NULL REFERENCES pggit.merges,
    ran_at_state text        NOT NULL,
    ran_at       timestamptz NOT NULL DEFAULT now(),
    source_id    integer,
    PRIMARY KEY (installation, namespace, name),
    CHECK ((source IS NULL) <> (revert_of IS NULL))
);

-- The newest plan of a merge that an object outside only wants to see.
CREATE TABLE IF NOT EXISTS pggit.merge_plans (
    installation     text NOT NULL,
    namespace        text NOT NULL,
    name             text NOT NULL,
    source           text,
    revert_of        text,
    target           text NOT NULL,
    merge_id         uuid NOT NULL REFERENCES pggit.merges ON DELETE CASCADE,
    planned_at_state text NOT NULL,
    PRIMARY KEY (installation, namespace, name)
);

-- Which object of each installation outside looks after this database.
CREATE TABLE IF NOT EXISTS pggit.database_owners (
    installation text PRIMARY KEY,
    namespace    text NOT NULL,
    name         text NOT NULL,
    uid          text NOT NULL
);
