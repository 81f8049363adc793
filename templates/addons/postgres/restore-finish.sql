-- The restored database takes the place of the old one, both renames in one transaction. Clients of the old one are
-- sent away and find the new one when they connect again.
\getenv role PAAS_ROLE
\getenv database PAAS_DATABASE
\set restoring :database _restoring
\set replaced :database _replaced
-- A database with a client cannot be renamed, and clients come back at once. Cut short here, the role stays locked
-- out until restore-abandon.sql or setup.sql lets it in again; one of them runs whatever happens.
ALTER ROLE :"role" NOLOGIN;
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname IN (:'database', :'restoring')
\g /dev/null
BEGIN;
ALTER DATABASE :"database" RENAME TO :"replaced";
ALTER DATABASE :"restoring" RENAME TO :"database";
ALTER ROLE :"role" LOGIN;
COMMIT;
DROP DATABASE :"replaced" WITH (FORCE);
