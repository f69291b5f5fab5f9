-- name: hold_content
-- To the end of the transaction nothing that is there is dropped; see registry.drop_bundles.
SELECT pg_advisory_xact_lock_shared(hashtextextended('levada content of ' || %(tenant)s::text, 0));

-- name: content_known
-- Which of these contents are there?
SELECT sha256 FROM levada.blob WHERE sha256 = ANY(%(sha256s)s);

-- name: add_content
-- Keep a content, unless somebody else has just done so.
INSERT INTO levada.blob (sha256, bytes, content) VALUES (%(sha256)s, %(bytes)s, %(content)s) ON CONFLICT DO NOTHING;

-- name: get_content
-- Contents by hash.
SELECT sha256, content FROM levada.blob WHERE sha256 = ANY(%(sha256s)s);
