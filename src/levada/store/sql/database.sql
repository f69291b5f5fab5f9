-- name: enter_tenant
-- From here to the end of the transaction, rows of this tenant are seen and written, and no others.
SELECT set_config('app.tenant', %(tenant_id)s, true);

-- name: tenant_is_there
-- A row when the tenant that was entered exists.
SELECT 1 AS there FROM levada.tenant;

-- name: notify
-- Tell listeners when this transaction commits.
SELECT pg_notify(%(channel)s, %(payload)s);

-- name: listen
-- Hear notifications; CHANNEL is replaced by the installation's channel, which is made by us and holds no user's text.
LISTEN "CHANNEL";

-- name: ping
-- Does the server still answer?
SELECT 1;

-- name: notification_channel
-- The installation's channel. PostgreSQL lets any role listen to any channel, so its name is a secret of the application's role.
SELECT registry.notification_channel() AS channel;

-- name: database_there
-- A row when the server has a database of that name.
SELECT 1 AS there FROM pg_database WHERE datname = %(name)s;
