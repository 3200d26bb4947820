-- What is done to large tables in steps that lock them for moments.
ALTER TABLE accounts ADD COLUMN email text;
UPDATE accounts SET email = owner || '@example.org';
ALTER TABLE accounts ADD CONSTRAINT email_is_there CHECK (email IS NOT NULL) NOT VALID;
ALTER TABLE accounts VALIDATE CONSTRAINT email_is_there;
ALTER TABLE accounts ALTER email SET NOT NULL;
ALTER TABLE accounts DROP CONSTRAINT email_is_there;
CREATE UNIQUE INDEX accounts_email ON accounts (email);
ALTER TABLE accounts ADD CONSTRAINT accounts_email_once UNIQUE USING INDEX accounts_email;
ALTER TABLE bookings RENAME CONSTRAINT bookings_account_id_fkey TO booked_on;
ALTER INDEX bookings_by_account RENAME TO bookings_account;
ALTER TABLE bookings ADD CONSTRAINT not_nothing CHECK (cents <> 0);
CREATE STATISTICS owners_and_phones ON owner, phone FROM accounts;
COMMENT ON COLUMN accounts.email IS 'where bills go';
ALTER TABLE bookings SET (fillfactor = 80);
