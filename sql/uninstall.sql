-- Takes pggit out of the current database; the tables of main keep their rows. Safe to run again.
\ir access/remove.sql
\ir core/remove.sql
