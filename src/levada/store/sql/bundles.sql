-- name: add_bundle
-- A bundle, unless somebody else has just put it in.
INSERT INTO levada.bundle (bundle_id, kind, parts, created_at) VALUES (%(bundle_id)s, %(kind)s, %(parts)s, %(at)s) ON CONFLICT DO NOTHING;

-- name: get_bundle
-- Its kind and the hash of each part.
SELECT kind, parts FROM levada.bundle WHERE bundle_id = %(bundle_id)s;
