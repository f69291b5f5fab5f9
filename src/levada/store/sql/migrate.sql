-- name: migration_lock
-- One process at a time sets up; the others wait and then find it done.
SELECT pg_advisory_lock(hashtextextended('levada migrate', 0));

-- name: migration_unlock
-- Let the next one look.
SELECT pg_advisory_unlock(hashtextextended('levada migrate', 0));

-- name: migrations_table
-- Null when nothing was ever set up here.
SELECT to_regclass('levada.migration');

-- name: migrations_applied
-- What was applied, with its SHA-256.
SELECT name, sha256 FROM levada.migration ORDER BY name;

-- name: record_migration
-- Remember that it was applied.
INSERT INTO levada.migration (name, sha256) VALUES (%(name)s, %(sha256)s)
ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, applied_at = now();

-- name: as_owner
-- What is made from here to the end of the transaction belongs to levada_owner.
SET LOCAL ROLE levada_owner;

-- name: as_registry
-- Act as the registry's role to the end of the transaction.
SET LOCAL ROLE levada_registry;

-- name: in_levada
-- Our own tables.
SET LOCAL search_path = levada;

-- name: in_queue
-- The queue's tables.
SET LOCAL search_path = queue;

-- name: role_powers
-- Is the role a superuser, may it pass row-level security?
SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = %(role)s;

-- name: join_owner_roles
-- The keeper acts as these while setting up.
GRANT levada_owner, levada_registry TO current_user;

-- name: create_schemas
-- levada: tables. registry: functions that look across tenants. queue: procrastinate's.
CREATE SCHEMA levada AUTHORIZATION levada_owner;
CREATE SCHEMA registry AUTHORIZATION levada_registry;
CREATE SCHEMA queue AUTHORIZATION levada_owner;
SET LOCAL ROLE levada_owner;
GRANT USAGE ON SCHEMA levada TO levada_app, levada_registry, levada_reader;
GRANT USAGE ON SCHEMA queue TO levada_app, levada_registry, levada_worker;
SET LOCAL ROLE levada_registry;
GRANT USAGE ON SCHEMA registry TO levada_app;
-- PostgreSQL lets everybody call new functions; these are for the application only.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- name: create_migrations_table
-- What was applied; only the owner reads it.
CREATE TABLE levada.migration (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE levada.migration ENABLE ROW LEVEL SECURITY;
ALTER TABLE levada.migration FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_only ON levada.migration TO levada_owner USING (true) WITH CHECK (true);

-- name: grant_queue_to_worker
-- The worker's role does all that procrastinate does; again after each of its migrations.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA queue TO levada_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA queue TO levada_worker;

-- name: keep_channel
-- Choose the notification channel's name, once.
SELECT registry.keep_value('notification-channel', %(value)s);
