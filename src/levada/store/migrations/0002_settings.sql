-- Content by its hash, settings documents, networks, audit log.

-- Content-addressed bytes, once per tenant: network files, parts of bundles, results, originals of delivered files. zstd.
CREATE TABLE blob (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    bytes bigint NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (tenant_id, sha256)
);
ALTER TABLE blob ALTER COLUMN content SET STORAGE EXTERNAL;  -- compressed already
CALL isolate('blob', 'SELECT, INSERT', reader_may => false);

CREATE TABLE document (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    kind text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    body json NOT NULL,  -- as written: jsonb would turn floats into numeric and lose their form
    body_sha256 text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    PRIMARY KEY (tenant_id, kind, version)
);
CALL isolate('document', 'SELECT, INSERT');

CREATE TABLE network (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    sha256 text NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    PRIMARY KEY (tenant_id, sha256),
    FOREIGN KEY (tenant_id, sha256) REFERENCES blob
);
CALL isolate('network', 'SELECT, INSERT');

CREATE TABLE audit_entry (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    entry_no bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    detail jsonb NOT NULL,
    PRIMARY KEY (tenant_id, entry_no)
);
CALL isolate('audit_entry', 'SELECT, INSERT');
