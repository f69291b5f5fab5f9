-- name: content_known
-- Which of these contents are there?
SELECT sha256 FROM levada.blob WHERE sha256 = ANY(%(sha256s)s);

-- name: add_content
-- Keep a content, unless somebody else has just done so.
INSERT INTO levada.blob (sha256, bytes, content) VALUES (%(sha256)s, %(bytes)s, %(content)s) ON CONFLICT DO NOTHING;

-- name: get_content
-- Contents by hash.
SELECT sha256, content FROM levada.blob WHERE sha256 = ANY(%(sha256s)s);
