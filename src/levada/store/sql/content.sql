-- name: hold_content
-- To the end of the transaction nothing that is there is dropped; see registry.drop_bundles.
SELECT pg_advisory_xact_lock_shared(hashtextextended('levada content of ' || %(tenant)s::text, 0));

-- name: content_known
-- Which of these contents are there?
SELECT sha256 FROM levada.blob WHERE sha256 = ANY(%(sha256s)s);

-- name: add_content
-- Keep a content, or that it lies apart, unless somebody else has just done so.
INSERT INTO levada.blob (sha256, bytes, content, apart_bytes) VALUES (%(sha256)s, %(bytes)s, %(content)s, %(apart_bytes)s) ON CONFLICT DO NOTHING;

-- name: hold_content_alone
-- To the end of the transaction nobody keeps or drops content.
SELECT pg_advisory_xact_lock(hashtextextended('levada content of ' || %(tenant)s::text, 0));

-- name: content_apart
-- Which of these contents are said to lie apart?
SELECT sha256 FROM levada.blob WHERE sha256 = ANY(%(sha256s)s) AND content IS NULL;

-- name: get_content
-- Contents by hash; NULL where it lies apart.
SELECT sha256, content FROM levada.blob WHERE sha256 = ANY(%(sha256s)s);
