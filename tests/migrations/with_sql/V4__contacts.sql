-- A column becomes a table.
CREATE TABLE IF NOT EXISTS contacts (
    account_id bigint PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    phone text NOT NULL
);
WITH moved AS (SELECT a.id, a.phone FROM accounts AS a WHERE a.phone IS NOT NULL)
INSERT INTO contacts SELECT m.id, m.phone FROM moved AS m;
DROP STATISTICS owners_and_phones;
ALTER TABLE accounts DROP COLUMN phone;
CREATE TEMPORARY TABLE small AS SELECT id FROM bookings WHERE amount < 0.1;
DELETE FROM bookings WHERE id IN (SELECT id FROM small);
DROP TABLE small;
TRUNCATE contacts;
INSERT INTO contacts SELECT id, owner FROM accounts ORDER BY id LIMIT 3;
