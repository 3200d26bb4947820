-- Takes pggit out of the current database; the tables of main keep their rows. Safe to run again. psql -1 -f sql/uninstall.sql
\set pggit_quiet :QUIET
\set pggit_stop :ON_ERROR_STOP
\set QUIET on
\set ON_ERROR_STOP on
\ir access/remove.sql
\ir core/remove.sql
\echo 'pggit and its history are gone from this database; the tables stay. To install it again: psql -1 -f sql/setup.sql'
\set ON_ERROR_STOP :pggit_stop
\set QUIET :pggit_quiet
