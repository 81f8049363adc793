-- The old database was never touched; the half-restored one goes, and the role may log in again.
\getenv role PAAS_ROLE
\getenv database PAAS_DATABASE
\set restoring :database _restoring
ALTER ROLE :"role" LOGIN;
DROP DATABASE IF EXISTS :"restoring" WITH (FORCE);
