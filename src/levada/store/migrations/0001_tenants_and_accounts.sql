-- Tenants, the people and programs that may see them, and what the installation keeps once.
-- Runs as levada_owner, search_path levada.

-- Every table goes through here: row-level security on and forced, and only the rights that it needs.
-- `app_may` are the application's rights on its tenant's rows; `registry_may` those of the registry's functions on all rows.
CREATE PROCEDURE isolate(relation regclass, app_may text, reader_may boolean DEFAULT true, registry_may text DEFAULT '')
LANGUAGE plpgsql AS $$
DECLARE
    own constant text := 'tenant_id = nullif(current_setting(''app.tenant'', true), '''')';
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation);
    IF app_may <> '' THEN
        EXECUTE format('GRANT %s ON %s TO levada_app', app_may, relation);
        EXECUTE format('CREATE POLICY own_tenant ON %s TO levada_app USING (%s) WITH CHECK (%s)', relation, own, own);
    END IF;
    IF reader_may THEN
        EXECUTE format('GRANT SELECT ON %s TO levada_reader', relation);
        EXECUTE format('CREATE POLICY own_tenant_read ON %s FOR SELECT TO levada_reader USING (''levada_read_'' || tenant_id = session_user)', relation);
    END IF;
    IF registry_may <> '' THEN
        EXECUTE format('GRANT %s ON %s TO levada_registry', registry_may, relation);
        EXECUTE format('CREATE POLICY registry_only ON %s TO levada_registry USING (true) WITH CHECK (true)', relation);
    END IF;
END $$;
REVOKE EXECUTE ON PROCEDURE isolate FROM PUBLIC;

CREATE TABLE tenant (
    tenant_id text PRIMARY KEY CHECK (tenant_id ~ '^[a-z][a-z0-9-]{0,39}$'),
    name text NOT NULL CHECK (name <> ''),
    created_at timestamptz NOT NULL DEFAULT now()
);
CALL isolate('tenant', 'SELECT', registry_may => 'SELECT, INSERT');

-- People span tenants: only the registry's functions read or write them.
CREATE TABLE account (
    email text PRIMARY KEY CHECK (email = lower(email) AND email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
    name text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CALL isolate('account', '', reader_may => false, registry_may => 'SELECT, INSERT, UPDATE');

CREATE TABLE membership (
    tenant_id text NOT NULL REFERENCES tenant,
    email text NOT NULL REFERENCES account,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'engineer')),
    PRIMARY KEY (tenant_id, email)
);
CREATE INDEX membership_by_person ON membership (email);
CALL isolate('membership', '', reader_may => false, registry_may => 'SELECT, INSERT, UPDATE');

CREATE TABLE api_token (
    tenant_id text NOT NULL REFERENCES tenant,
    token_sha256 bytea NOT NULL CHECK (length(token_sha256) = 32),
    name text NOT NULL,
    rights text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    PRIMARY KEY (tenant_id, token_sha256)
);
CREATE INDEX api_token_by_secret ON api_token (token_sha256);
CALL isolate('api_token', '', reader_may => false, registry_may => 'SELECT, INSERT');

CREATE TABLE sftp_key (
    tenant_id text NOT NULL REFERENCES tenant,
    fingerprint text NOT NULL,
    name text NOT NULL,
    public_key text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, fingerprint)
);
CALL isolate('sftp_key', '', reader_may => false, registry_may => 'SELECT, INSERT');

-- Secrets and such that are made once per installation: session key, SFTP host key, name of the notification channel.
CREATE TABLE installation (
    name text PRIMARY KEY,
    value bytea NOT NULL
);
CALL isolate('installation', '', reader_may => false, registry_may => 'SELECT, INSERT');
