CREATE SCHEMA IF NOT EXISTS pggit;

COMMENT ON SCHEMA pggit IS
'Git for PostgreSQL: branches, commits, time travel and three-way merges of rows. Names that start with _ are private.';

-- One database-wide sequence orders the statements of a transaction (see docs/architecture.md, "Order of log rows").
CREATE SEQUENCE IF NOT EXISTS pggit._ordinal AS bigint;
