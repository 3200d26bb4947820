-- Installs pggit into the current database, or goes over what this version has installed, and says so in one line. psql -1 -f sql/setup.sql
\set pggit_quiet :QUIET
\set pggit_stop :ON_ERROR_STOP
\set QUIET on
\set ON_ERROR_STOP on
SELECT current_setting('client_min_messages') AS pggit_messages \gset
SET client_min_messages = warning;
\ir install.sql
SELECT pggit.version() AS pggit_version \gset
SET client_min_messages = :'pggit_messages';
\echo 'pggit ':pggit_version' is installed. Next: SELECT pggit.track_schema(''public'');'
\set ON_ERROR_STOP :pggit_stop
\set QUIET :pggit_quiet
