-- name: add_network
-- A network's name and origin; its content is in blob.
INSERT INTO levada.network (sha256, name, created_at, created_by) VALUES (%(sha256)s, %(name)s, %(at)s, %(by)s) ON CONFLICT DO NOTHING;

-- name: network
-- A row when the network is there.
SELECT name FROM levada.network WHERE sha256 = %(sha256)s;

-- name: list_networks
-- The newest first.
SELECT n.sha256, n.name, b.bytes, n.created_at, n.created_by
FROM levada.network AS n JOIN levada.blob AS b ON b.tenant_id = n.tenant_id AND b.sha256 = n.sha256 ORDER BY n.created_at DESC, n.sha256;
