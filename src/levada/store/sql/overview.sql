-- name: tenant_status
-- How each tenant stands.
SELECT * FROM registry.tenant_status(%(at)s);

-- name: database_size
-- Bytes on disk.
SELECT pg_database_size(current_database()) AS bytes;
