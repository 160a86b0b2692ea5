-- Creates the role `gateway`, which owns the database of the same name. Every start sets the role's current password.
\getenv password GATEWAY_DATABASE_PASSWORD
SELECT 'CREATE ROLE gateway LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gateway') \gexec
ALTER ROLE gateway PASSWORD :'password';
ALTER DATABASE gateway OWNER TO gateway;
