-- name: put_outbox
-- A file for the tenant's outbox.
INSERT INTO levada.outbox_item (path, content, created_at) VALUES (%(path)s, %(content)s, %(at)s) RETURNING item_id;

-- name: undelivered
-- What no folder has yet, of all tenants.
SELECT tenant_id, item_id, path, content FROM registry.undelivered();

-- name: mark_delivered
-- It lies in the folder.
UPDATE levada.outbox_item SET delivered_at = %(at)s, content = NULL WHERE item_id = %(item_id)s AND delivered_at IS NULL;
