-- Versions side by side: which one computes a tenant's runs, and what a candidate makes of the same inputs. What computing takes, by day.

-- The version that is to compute a run, and that has computed it once it is done; NULL: whichever takes it.
ALTER TABLE levada.run ADD COLUMN version text;
-- The published run whose input this one computes again, for comparison only.
ALTER TABLE levada.run ADD COLUMN shadow_of uuid;
ALTER TABLE levada.run ADD COLUMN bytes_read bigint;
ALTER TABLE levada.run ADD COLUMN bytes_written bigint;
ALTER TABLE levada.run DROP CONSTRAINT run_cause_check;
ALTER TABLE levada.run ADD CONSTRAINT run_cause_check CHECK (cause IN ('timetable', 'new-data', 'operator', 'shadow'));
ALTER TABLE levada.run ADD CONSTRAINT run_shadow_check CHECK ((cause = 'shadow') = (shadow_of IS NOT NULL));
ALTER TABLE levada.run ADD FOREIGN KEY (tenant_id, shadow_of) REFERENCES levada.run;
DROP INDEX levada.run_waits_once;
CREATE UNIQUE INDEX run_waits_once ON levada.run (tenant_id, kind) WHERE state = 'queued' AND cause NOT IN ('timetable', 'shadow');
CREATE UNIQUE INDEX run_shadowed_once ON levada.run (tenant_id, shadow_of, version) WHERE shadow_of IS NOT NULL;

-- A tenant without a row goes on as if there were one version only.
CREATE TABLE levada.release (
    tenant_id text PRIMARY KEY DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES levada.tenant,
    stable text NOT NULL,
    previous_stable text,
    candidate text,
    mode text NOT NULL CHECK (mode IN ('stable', 'shadow', 'canary')),
    -- By how much a canary's plans may cost more, as a share.
    max_worse double precision NOT NULL CHECK (max_worse >= 0),
    -- Why it stands as it does, in words.
    reason text NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    CHECK (mode = 'stable' OR candidate IS NOT NULL)
);
CALL levada.isolate('levada.release', 'SELECT, INSERT, UPDATE');

CREATE TABLE levada.comparison (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES levada.tenant,
    shadow_run_id uuid NOT NULL,
    candidate text NOT NULL,
    stable_result jsonb NOT NULL,
    candidate_result jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, shadow_run_id),
    FOREIGN KEY (tenant_id, shadow_run_id) REFERENCES levada.run
);
CREATE INDEX comparison_by_age ON levada.comparison (tenant_id, candidate, at);
CALL levada.isolate('levada.comparison', 'SELECT, INSERT');

-- Which versions workers have said that they serve, and when last.
CREATE TABLE queue.served_version (
    version text PRIMARY KEY,
    seen_at timestamptz NOT NULL
);
ALTER TABLE queue.served_version ENABLE ROW LEVEL SECURITY;
ALTER TABLE queue.served_version FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON queue.served_version TO levada_worker USING (true) WITH CHECK (true);
CREATE POLICY registry_only ON queue.served_version FOR SELECT TO levada_registry USING (true);
GRANT SELECT, INSERT, UPDATE ON queue.served_version TO levada_worker;
GRANT SELECT ON queue.served_version TO levada_registry;

-- What runs have taken, by the UTC day on which they ended; it stays when they are forgotten. Sums; `peak_memory_bytes` is the greatest.
CREATE TABLE levada.usage_day (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES levada.tenant,
    day date NOT NULL,
    kind text NOT NULL,
    cause text NOT NULL,
    runs bigint NOT NULL,
    failed bigint NOT NULL,
    wall_s double precision NOT NULL,
    cpu_s double precision NOT NULL,
    memory_byte_s double precision NOT NULL,
    queue_wait_s double precision NOT NULL,
    bytes_read double precision NOT NULL,
    bytes_written double precision NOT NULL,
    peak_memory_bytes bigint NOT NULL,
    PRIMARY KEY (tenant_id, day, kind, cause)
);
CALL levada.isolate('levada.usage_day', 'SELECT, INSERT, UPDATE');
-- What was computed before there was such a table.
INSERT INTO levada.usage_day
SELECT tenant_id, (finished_at AT TIME ZONE 'UTC')::date, kind, cause, count(*), count(*) FILTER (WHERE state = 'failed'), coalesce(sum(wall_s), 0), coalesce(sum(cpu_s), 0),
    coalesce(sum(wall_s * peak_memory_bytes), 0), coalesce(sum(queue_wait_s), 0), 0, 0, coalesce(max(peak_memory_bytes), 0)
FROM levada.run WHERE state IN ('done', 'failed') AND finished_at IS NOT NULL
GROUP BY 1, 2, 3, 4;

SET LOCAL ROLE levada_registry;

CREATE FUNCTION registry.served_versions() RETURNS TABLE (version text, age_s double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = queue, pg_temp AS $$
    SELECT v.version, extract(epoch FROM now() - v.seen_at)::double precision FROM served_version AS v ORDER BY v.seen_at DESC, v.version;
$$;
GRANT EXECUTE ON FUNCTION registry.served_versions TO levada_app, levada_worker;

-- As before; but background runs of a version that no worker serves are nothing that a worker could begin: none is to be started for them.
CREATE OR REPLACE FUNCTION registry.jobs_due(background integer, stalled_s double precision) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = queue, pg_temp AS $$
    WITH heads AS (
        SELECT DISTINCT ON (j.tenant_id, coalesce(j.lock, j.id::text)) j.tenant_id, j.lock, j.priority, j.scheduled_at
        FROM procrastinate_jobs AS j
        WHERE j.status = 'todo' AND (j.priority >= 0 OR j.task_name NOT LIKE 'run@%' OR EXISTS (
            SELECT FROM served_version AS v WHERE j.task_name = 'run@' || v.version AND v.seen_at > now() - interval '60 seconds'
        ))
        ORDER BY j.tenant_id, coalesce(j.lock, j.id::text), j.priority DESC, j.id
    ), due AS (
        SELECT h.tenant_id, count(*) FILTER (WHERE h.priority >= 0) AS plans, count(*) FILTER (WHERE h.priority < 0) AS background
        FROM heads AS h
        WHERE (h.scheduled_at IS NULL OR h.scheduled_at <= now())
            AND NOT EXISTS (SELECT FROM procrastinate_jobs AS j WHERE j.status = 'doing' AND j.lock = h.lock)
        GROUP BY h.tenant_id
    ), running AS (
        SELECT j.tenant_id, count(*) AS background FROM procrastinate_jobs AS j WHERE j.status = 'doing' AND j.priority < 0 GROUP BY j.tenant_id
    )
    SELECT coalesce((
        SELECT sum(d.plans + least(d.background, greatest(jobs_due.background - coalesce(r.background, 0), 0))) FROM due AS d LEFT JOIN running AS r USING (tenant_id)
    ), 0)::bigint + (
        SELECT count(*) FROM procrastinate_jobs AS j WHERE j.status = 'doing' AND NOT EXISTS (
            SELECT FROM procrastinate_workers AS w WHERE w.id = j.worker_id AND w.last_heartbeat > now() - jobs_due.stalled_s * interval '1 second'
        )
    );
$$;
