CREATE TYPE state AS ENUM ('open', 'closed');
CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner varchar(60) NOT NULL,
    state state NOT NULL DEFAULT 'open',
    opened date NOT NULL DEFAULT '2026-01-01',
    phone text
);
CREATE TABLE bookings (
    id serial PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    cents integer NOT NULL,
    at timestamptz NOT NULL DEFAULT '2026-01-01 00:00+00'
);
CREATE INDEX bookings_by_account ON bookings (account_id);
CREATE VIEW balances AS SELECT account_id, sum(cents) AS cents FROM bookings GROUP BY account_id;
INSERT INTO accounts (owner, phone) SELECT 'o' || g, 'p' || g FROM generate_series(1, 20) AS g;
INSERT INTO bookings (account_id, cents) SELECT 1 + g % 20, g FROM generate_series(1, 100) AS g;
