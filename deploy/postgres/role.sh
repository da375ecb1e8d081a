#!/bin/sh
# Makes the service's role and its database: the role owns what is in the schema `public` of this one
# database, and no more. Runs once, as a superuser, on a server that is new; the server is the one that
# psql's own variables name (PGHOST, PGPORT).
set -eu
: "${IMSERVER_DATABASE_PASSWORD:?is the password that the role is to have}"
export IMSERVER_DATABASE_PASSWORD

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
-- From the environment: an argument would be seen in the list of processes.
\getenv password IMSERVER_DATABASE_PASSWORD
CREATE ROLE imserver LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE DATABASE imserver ENCODING 'UTF8' TEMPLATE template0 LOCALE 'C';
\connect imserver
REVOKE ALL ON DATABASE imserver FROM PUBLIC;
GRANT CONNECT ON DATABASE imserver TO imserver;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO imserver;
-- Which server this is: so that a restore or a failover is noticed, and a new history begins.
GRANT EXECUTE ON FUNCTION pg_control_system() TO imserver;
SQL
