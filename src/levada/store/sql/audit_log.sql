-- name: note
-- Remember what was done.
INSERT INTO levada.audit_entry (at, actor, action, detail) VALUES (%(at)s, %(actor)s, %(action)s, %(detail)s);

-- name: list_audit
-- The newest first.
SELECT at, actor, action, detail FROM levada.audit_entry ORDER BY entry_no DESC LIMIT %(limit)s;
