-- name: create_tenant
-- A new utility.
SELECT registry.create_tenant(%(tenant_id)s, %(name)s);

-- name: list_tenants
-- All utilities, by id.
SELECT tenant_id, name FROM registry.list_tenants();

-- name: as_keeper
-- Be the role again that logged in.
RESET ROLE;
