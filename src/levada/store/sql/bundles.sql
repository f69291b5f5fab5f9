-- name: add_bundle
-- A bundle, unless somebody else has just put it in.
INSERT INTO levada.bundle (bundle_id, kind, parts, created_at) VALUES (%(bundle_id)s, %(kind)s, %(parts)s, %(at)s) ON CONFLICT DO NOTHING;

-- name: get_bundle
-- Its kind, the hash of each part, and when its contents were dropped.
SELECT kind, parts, dropped_at FROM levada.bundle WHERE bundle_id = %(bundle_id)s;

-- name: restore_bundle
-- Its contents are there again.
UPDATE levada.bundle SET dropped_at = NULL WHERE bundle_id = %(bundle_id)s;

-- name: drop_bundles
-- Drop what is older and in no use.
SELECT bundles, contents, bytes FROM registry.drop_bundles(%(tenant)s, %(made_before)s, %(at)s);
