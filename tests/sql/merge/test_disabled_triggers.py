"""A merge by an owner who is no superuser leaves a trigger that was disabled before as it was."""

from __future__ import annotations

from fixtures.postgres import INSTALL, Database, query


def test_a_trigger_that_was_disabled_stays_so(db: Database) -> None:
    db.run("DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    db.run(f'ALTER SCHEMA public OWNER TO plain; GRANT CREATE ON DATABASE "{db.name}" TO plain')
    db.psql("-f", str(INSTALL.with_name("uninstall.sql")))
    db.psql("-c", "SET ROLE plain", "-f", str(INSTALL))
    plain = db.connect(user="plain")
    query(
        plain,
        """
        CREATE TABLE t (id integer PRIMARY KEY, v text);
        INSERT INTO t VALUES (1, 'a');
        CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := upper(NEW.v); RETURN NEW; END';
        CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION shout();
        ALTER TABLE t DISABLE TRIGGER shout;
        """,
    )
    query(plain, "SELECT pggit.track_schema('public')")
    query(plain, "SELECT pggit.commit('first')")
    query(plain, "SELECT pggit.create_branch('dev', p_materialize => 'none')")
    query(db.connect(user="plain", branch="dev"), "UPDATE t SET v = 'b'")
    assert query(plain, "SELECT (pggit.merge('dev', 'main')).result").fetchone() == ("fast_forward",)
    assert db.value("SELECT tgenabled FROM pg_trigger WHERE tgname = 'shout'") == "D"
