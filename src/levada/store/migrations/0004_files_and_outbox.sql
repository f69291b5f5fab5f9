-- What was delivered to us and how it was taken; what we have for the tenant to fetch.

CREATE TABLE delivered_file (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    file_id bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    sha256 text NOT NULL,
    size bigint NOT NULL,
    received_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('taken', 'partly', 'refused', 'duplicate')),
    rows_ok integer NOT NULL,
    rows_bad integer NOT NULL,
    contract text,
    problem text,
    original_sha256 text,
    PRIMARY KEY (tenant_id, file_id),
    FOREIGN KEY (tenant_id, original_sha256) REFERENCES blob (tenant_id, sha256)
);
-- The same file takes effect once, whatever races.
CREATE UNIQUE INDEX delivered_file_once ON delivered_file (tenant_id, sha256) WHERE state IN ('taken', 'partly');
CREATE INDEX delivered_file_by_content ON delivered_file (tenant_id, sha256);
CALL isolate('delivered_file', 'SELECT, INSERT', registry_may => 'SELECT');

CREATE TABLE quarantined_row (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    file_id bigint NOT NULL,
    entry_no integer NOT NULL,
    line integer NOT NULL,
    column_name text NOT NULL,
    found text NOT NULL,
    problem text NOT NULL,
    raw text NOT NULL,
    PRIMARY KEY (tenant_id, file_id, entry_no),
    FOREIGN KEY (tenant_id, file_id) REFERENCES delivered_file
);
CALL isolate('quarantined_row', 'SELECT, INSERT');

CREATE TABLE outbox_item (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    item_id bigint GENERATED ALWAYS AS IDENTITY,
    path text NOT NULL CHECK (path <> '' AND path !~ '(^|/)\.\.?(/|$)' AND path !~ '^/'),
    content bytea,  -- let go once it lies in the tenant's folder
    created_at timestamptz NOT NULL,
    delivered_at timestamptz,
    PRIMARY KEY (tenant_id, item_id),
    CHECK (content IS NOT NULL OR delivered_at IS NOT NULL)
);
CREATE INDEX outbox_item_undelivered ON outbox_item (tenant_id, item_id) WHERE delivered_at IS NULL;
CALL isolate('outbox_item', 'SELECT, INSERT, UPDATE', reader_may => false, registry_may => 'SELECT');
