-- Names and types of columns, a view over them, a function and a trigger.
DROP VIEW balances;
ALTER TABLE bookings RENAME COLUMN cents TO amount;
ALTER TABLE bookings ALTER amount TYPE numeric(12, 2) USING amount / 100.0;
ALTER TABLE bookings ADD COLUMN is_credit boolean GENERATED ALWAYS AS (amount > 0) STORED;
CREATE VIEW balances AS SELECT account_id, sum(amount) AS amount FROM bookings GROUP BY account_id;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.at := '2026-02-02 00:00+00';
    RETURN NEW;
END;
$$;
CREATE TRIGGER touched BEFORE UPDATE ON bookings FOR EACH ROW EXECUTE FUNCTION touch();
UPDATE bookings SET amount = amount + 1 WHERE account_id = 3;
DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['accounts', 'bookings'] LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN IF NOT EXISTS changed_by text NOT NULL DEFAULT %L', v_table, 'nobody');
    END LOOP;
END;
$$;
