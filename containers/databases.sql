-- The users and databases, made by PostgreSQL's superuser. Each time the stack is
-- brought up this runs again: it makes what is missing and sets the passwords to
-- those of the secrets. For psql, which is told the passwords by the environment.
\getenv worker_password WORKER_PASSWORD
\getenv dashboard_password DASHBOARD_PASSWORD
\getenv temporal_password TEMPORAL_PASSWORD
\getenv metabase_password METABASE_PASSWORD

SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY['covid_owner', 'covid_loader', 'covid_reader', 'covid_worker', 'covid_dashboard', 'temporal', 'metabase']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

-- A password is a SCRAM hash in the server, and its statement is not logged.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
ALTER ROLE covid_worker LOGIN PASSWORD :'worker_password';
ALTER ROLE covid_dashboard LOGIN PASSWORD :'dashboard_password';
ALTER ROLE temporal LOGIN PASSWORD :'temporal_password';
ALTER ROLE metabase LOGIN PASSWORD :'metabase_password';

-- The worker migrates the tables and loads them; the dashboards look.
GRANT covid_owner, covid_loader TO covid_worker;
GRANT covid_reader TO covid_dashboard;
ALTER ROLE covid_dashboard SET default_transaction_read_only = on;
-- Compiling takes longer than the cards do.
ALTER ROLE covid_dashboard SET jit = off;

SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES
    ('warehouse', 'covid_worker'),
    ('temporal', 'temporal'),
    ('temporal_visibility', 'temporal'),
    ('metabase', 'metabase')
) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

-- Nobody reaches a database that is not his.
REVOKE ALL ON DATABASE warehouse, temporal, temporal_visibility, metabase, postgres FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE warehouse TO covid_loader;
GRANT CONNECT ON DATABASE warehouse TO covid_reader;
