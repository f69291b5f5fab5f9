-- name: lock_documents
-- Of two who put in the same kind of document at once, the second sees the first one's version.
SELECT pg_advisory_xact_lock(hashtextextended('levada document ' || current_setting('app.tenant') || ' ' || %(kind)s, 0));

-- name: current_document
-- The newest version.
SELECT version, body::text AS body, body_sha256 FROM levada.document WHERE kind = %(kind)s ORDER BY version DESC LIMIT 1;

-- name: document_version
-- One version.
SELECT body::text AS body FROM levada.document WHERE kind = %(kind)s AND version = %(version)s;

-- name: document_at
-- The version that was current then; the first one, where none was there yet.
SELECT body::text AS body FROM levada.document WHERE kind = %(kind)s
ORDER BY (created_at <= %(at)s) DESC, CASE WHEN created_at <= %(at)s THEN version ELSE -version END DESC LIMIT 1;

-- name: document_versions
-- All versions without their content.
SELECT version, created_at, created_by FROM levada.document WHERE kind = %(kind)s ORDER BY version DESC;

-- name: add_document
-- A new version.
INSERT INTO levada.document (kind, version, body, body_sha256, created_at, created_by)
VALUES (%(kind)s, %(version)s, %(body)s::json, %(sha256)s, %(at)s, %(by)s);
