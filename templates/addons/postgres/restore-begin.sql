-- A fresh database for the dump, beside the one that is in use. What an interrupted restore left goes.
\getenv role PAAS_ROLE
\getenv database PAAS_DATABASE
\set restoring :database _restoring
\set replaced :database _replaced
DROP DATABASE IF EXISTS :"replaced" WITH (FORCE);
DROP DATABASE IF EXISTS :"restoring" WITH (FORCE);
CREATE DATABASE :"restoring" OWNER :"role" TEMPLATE template0;
REVOKE ALL ON DATABASE :"restoring" FROM PUBLIC;
