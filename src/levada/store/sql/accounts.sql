-- name: put_account
-- A person who may sign in, or their new name and password.
SELECT registry.put_account(%(email)s, %(name)s, %(password_hash)s);

-- name: account_of
-- Name and password hash of a person.
SELECT name, password_hash FROM registry.account_of(%(email)s);

-- name: set_membership
-- What a person is to a tenant.
SELECT registry.set_membership(%(email)s, %(tenant_id)s, %(role)s);

-- name: memberships_of
-- The tenants that a person may see, and as what.
SELECT tenant_id, role FROM registry.memberships_of(%(email)s);

-- name: add_token
-- A program's token, by its hash.
SELECT registry.add_token(%(tenant_id)s, %(sha256)s, %(name)s, %(rights)s, %(expires_at)s);

-- name: token_of
-- Whose token has this hash?
SELECT tenant_id, name, rights, expires_at FROM registry.token_of(%(sha256)s);

-- name: add_sftp_key
-- A sender's public key.
SELECT registry.add_sftp_key(%(tenant_id)s, %(fingerprint)s, %(name)s, %(public_key)s);

-- name: sftp_keys
-- Public keys that may deliver for a tenant.
SELECT public_key FROM registry.sftp_keys(%(tenant_id)s);

-- name: kept_value
-- What the installation keeps under a name.
SELECT registry.kept_value(%(name)s) AS value;

-- name: keep_value
-- Keep a value under a name, unless there is one: the one that is kept.
SELECT registry.keep_value(%(name)s, %(value)s) AS value;
