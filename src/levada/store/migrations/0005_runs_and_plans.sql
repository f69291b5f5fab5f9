-- Bundles, runs, plans and indicators.

CREATE TABLE bundle (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    bundle_id text NOT NULL CHECK (bundle_id ~ '^[0-9a-f]{64}$'),
    kind text NOT NULL,
    parts jsonb NOT NULL,  -- name -> SHA-256 in blob
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, bundle_id)
);
CALL isolate('bundle', 'SELECT, INSERT');

CREATE TABLE run (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    run_id uuid NOT NULL DEFAULT gen_random_uuid(),
    kind text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    cause text NOT NULL CHECK (cause IN ('timetable', 'new-data', 'operator')),
    issue_time timestamptz NOT NULL,
    due_at timestamptz,
    created_at timestamptz NOT NULL,
    created_no bigint GENERATED ALWAYS AS IDENTITY,
    started_at timestamptz,
    finished_at timestamptz,
    worker text,
    bundle_id text,
    result_sha256 text,
    attempts integer NOT NULL DEFAULT 0,
    error jsonb,
    wall_s double precision,
    cpu_s double precision,
    peak_memory_bytes bigint,
    queue_wait_s double precision,
    -- With what it was computed: versions of code and libraries, kind of machine.
    manifest jsonb,
    started_by text NOT NULL,
    PRIMARY KEY (tenant_id, run_id),
    FOREIGN KEY (tenant_id, bundle_id) REFERENCES bundle,
    FOREIGN KEY (tenant_id, result_sha256) REFERENCES blob (tenant_id, sha256),
    CHECK ((state = 'done') = (result_sha256 IS NOT NULL)),
    CHECK ((state = 'failed') = (error IS NOT NULL)),
    CHECK ((cause = 'timetable') = (due_at IS NOT NULL))
);
-- What the timetable asks for at an instant is made once, however many timetable processes there are.
CREATE UNIQUE INDEX run_due_once ON run (tenant_id, kind, due_at);
-- Of what people and data ask for, one waits at a time.
CREATE UNIQUE INDEX run_waits_once ON run (tenant_id, kind) WHERE state = 'queued' AND cause <> 'timetable';
CREATE INDEX run_by_age ON run (tenant_id, created_at, created_no);
CALL isolate('run', 'SELECT, INSERT, UPDATE', registry_may => 'SELECT');

CREATE TABLE plan (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    plan_id uuid NOT NULL DEFAULT gen_random_uuid(),
    run_id uuid NOT NULL,
    issue_time timestamptz NOT NULL,
    starts_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ladder text NOT NULL,
    cost double precision NOT NULL,
    lower_bound double precision,
    audited_cost double precision NOT NULL,
    published_at timestamptz NOT NULL,
    body json NOT NULL,
    forecast json NOT NULL,
    PRIMARY KEY (tenant_id, plan_id),
    UNIQUE (tenant_id, run_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES run
);
CREATE INDEX plan_by_issue_time ON plan (tenant_id, issue_time, published_at);
CALL isolate('plan', 'SELECT, INSERT', registry_may => 'SELECT');

CREATE TABLE indicator (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    run_id uuid NOT NULL,
    name text NOT NULL,
    issue_time timestamptz NOT NULL,
    value double precision NOT NULL,
    unit text NOT NULL,
    description text NOT NULL,
    PRIMARY KEY (tenant_id, run_id, name),
    FOREIGN KEY (tenant_id, run_id) REFERENCES run
);
CREATE INDEX indicator_by_issue_time ON indicator (tenant_id, issue_time);
CALL isolate('indicator', 'SELECT, INSERT');
