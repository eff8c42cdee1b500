-- Creates the database and its two roles. Run it once, as a role that may create both: psql -d postgres -f roles.sql
-- Then set the passwords, which are not in this file: \password cdn_activation_owner and \password cdn_activation

-- Owns the tables: `migrate` runs with it (DB_ADMIN_URL).
CREATE ROLE cdn_activation_owner LOGIN;
-- Owns nothing: `serve` runs with it (DATABASE_URL), with the privileges of grants.sql.
CREATE ROLE cdn_activation LOGIN;
-- Lets the role that runs this file give the database away. A superuser does not need it.
GRANT cdn_activation_owner TO CURRENT_USER;

CREATE DATABASE cdn_activation OWNER cdn_activation_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE cdn_activation FROM PUBLIC;
GRANT CONNECT ON DATABASE cdn_activation TO cdn_activation;

\connect cdn_activation
-- Before PostgreSQL 15, every role may create tables in this schema, and the owner of the database has no right of its own to.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO cdn_activation_owner;
