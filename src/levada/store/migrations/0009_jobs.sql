-- Fair shares: whose job is next.

-- When each tenant was last given a turn: a number that only grows. The worker's role alone sees it.
CREATE SEQUENCE queue.turn_number;
CREATE TABLE queue.turn (
    tenant_id text PRIMARY KEY,
    number bigint NOT NULL
);
ALTER TABLE queue.turn ENABLE ROW LEVEL SECURITY;
ALTER TABLE queue.turn FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON queue.turn TO levada_worker USING (true) WITH CHECK (true);

-- A lane is what a tenant has waiting under one lock, or under none.
CREATE INDEX procrastinate_jobs_by_lane ON queue.procrastinate_jobs (tenant_id, (coalesce(lock, '')), priority DESC, id) WHERE status = 'todo';

-- The next job for a worker, or a row of nulls: of the highest priority; then of the tenant with the fewest jobs running; then of the one whose
-- last turn is longest ago; then the oldest. Jobs of one lock run one at a time, in order. Of jobs below priority 0 a tenant has at most
-- `background` running. Only jobs of the given tasks: a worker of an older version leaves those that it does not know to a newer one.
-- Its work grows with the number of lanes, not with that of jobs.
CREATE FUNCTION queue.take_job(worker bigint, background integer, tasks text[]) RETURNS queue.procrastinate_jobs
LANGUAGE plpgsql SET search_path = queue, pg_temp AS $$
DECLARE
    lane record;
    taken procrastinate_jobs;
BEGIN
    FOR lane IN
        WITH RECURSIVE lanes AS (
            (SELECT j.tenant_id, coalesce(j.lock, '') AS lock FROM procrastinate_jobs AS j WHERE j.status = 'todo' ORDER BY 1, 2 LIMIT 1)
            UNION ALL
            SELECT following.tenant_id, following.lock
            FROM lanes CROSS JOIN LATERAL (
                SELECT j.tenant_id, coalesce(j.lock, '') AS lock FROM procrastinate_jobs AS j
                WHERE j.status = 'todo' AND (j.tenant_id, coalesce(j.lock, '')) > (lanes.tenant_id, lanes.lock)
                ORDER BY 1, 2 LIMIT 1
            ) AS following
        )
        SELECT lanes.tenant_id, lanes.lock, head.id
        FROM lanes
        CROSS JOIN LATERAL (
            -- One that is put off holds up those behind it under its lock; those without a lock go past it.
            SELECT j.id, j.priority, j.scheduled_at, j.task_name FROM procrastinate_jobs AS j
            WHERE j.status = 'todo' AND j.tenant_id = lanes.tenant_id AND coalesce(j.lock, '') = lanes.lock
                AND (lanes.lock <> '' OR j.task_name = ANY(tasks) AND (j.scheduled_at IS NULL OR j.scheduled_at <= now()))
            ORDER BY j.priority DESC, j.id LIMIT 1
        ) AS head
        CROSS JOIN LATERAL (
            SELECT count(*) AS jobs, count(*) FILTER (WHERE j.priority < 0) AS background, coalesce(bool_or(j.lock = lanes.lock), false) AS is_locked
            FROM procrastinate_jobs AS j WHERE j.status = 'doing' AND j.tenant_id = lanes.tenant_id
        ) AS running
        LEFT JOIN turn ON turn.tenant_id = lanes.tenant_id
        WHERE (head.scheduled_at IS NULL OR head.scheduled_at <= now()) AND head.task_name = ANY(tasks) AND NOT running.is_locked
            AND (head.priority >= 0 OR running.background < take_job.background)
        ORDER BY head.priority DESC, running.jobs, coalesce(turn.number, 0), head.id
    LOOP
        -- Where another worker is taking the head at this moment: the next one of the lane, or none where they are to run in order.
        SELECT j.* INTO taken FROM procrastinate_jobs AS j
        WHERE j.status = 'todo' AND j.tenant_id = lane.tenant_id AND coalesce(j.lock, '') = lane.lock
            AND (j.id = lane.id OR lane.lock = '') AND j.task_name = ANY(tasks) AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())
        ORDER BY j.priority DESC, j.id LIMIT 1
        FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN taken.id IS NULL;
        BEGIN
            UPDATE procrastinate_jobs AS j SET status = 'doing', worker_id = take_job.worker
            WHERE j.id = taken.id AND j.status = 'todo'
            RETURNING j.* INTO taken;
        EXCEPTION WHEN unique_violation THEN
            CONTINUE;  -- another one of its lock was begun since we looked
        END;
        CONTINUE WHEN taken.id IS NULL;
        INSERT INTO turn (tenant_id, number) VALUES (lane.tenant_id, nextval('turn_number'))
        ON CONFLICT (tenant_id) DO UPDATE SET number = excluded.number;
        RETURN taken;
    END LOOP;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION queue.take_job FROM PUBLIC;
GRANT EXECUTE ON FUNCTION queue.take_job TO levada_worker;

-- Runs that are stopped before they are done, and what became of a run's earlier attempts.
ALTER TABLE levada.run DROP CONSTRAINT run_state_check;
ALTER TABLE levada.run ADD CONSTRAINT run_state_check CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled'));
-- Entries as errors are (code, message, ...), each with `at`: attempts that failed, who cancelled it, who had it tried again. The oldest first.
ALTER TABLE levada.run ADD COLUMN history jsonb NOT NULL DEFAULT '[]';

-- Jobs that failed for good, with all that it takes to put them in again. Runs that failed have their error with them and are not here.
CREATE TABLE levada.dead_job (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES levada.tenant,
    job_id bigint NOT NULL,
    task text NOT NULL,
    args jsonb NOT NULL,
    priority integer NOT NULL,
    lock text,
    attempts integer NOT NULL,
    error jsonb NOT NULL,
    at timestamptz NOT NULL,
    retried_at timestamptz,
    retried_by text,
    PRIMARY KEY (tenant_id, job_id)
);
CREATE INDEX dead_job_by_age ON levada.dead_job (tenant_id, at) WHERE retried_at IS NULL;
CALL levada.isolate('levada.dead_job', 'SELECT, INSERT, UPDATE (retried_at, retried_by)');

-- Retention of bundles. The bundle's row stays, with the hashes of what it held; the contents go. Only the function below may remove any.
ALTER TABLE levada.bundle ADD COLUMN dropped_at timestamptz;
GRANT UPDATE (dropped_at) ON levada.bundle TO levada_app;  -- to clear it, when the same input is frozen again
GRANT SELECT, UPDATE (dropped_at) ON levada.bundle TO levada_registry;
GRANT SELECT, DELETE ON levada.blob TO levada_registry;
GRANT SELECT ON levada.network TO levada_registry;
GRANT SELECT, DELETE ON levada.forecast_model TO levada_registry;
CREATE POLICY registry_only ON levada.bundle TO levada_registry USING (true) WITH CHECK (true);
CREATE POLICY registry_only ON levada.blob TO levada_registry USING (true) WITH CHECK (true);
CREATE POLICY registry_only ON levada.forecast_model TO levada_registry USING (true) WITH CHECK (true);
CREATE POLICY registry_only ON levada.network FOR SELECT TO levada_registry USING (true);

-- What follows looks across tenants, as the registry.
SET LOCAL ROLE levada_registry;

-- How many jobs a worker could begin at this moment, for whoever starts workers: as take_job gives them out, and those that dead workers hold.
CREATE FUNCTION registry.jobs_due(background integer, stalled_s double precision) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = queue, pg_temp AS $$
    WITH heads AS (
        SELECT DISTINCT ON (j.tenant_id, coalesce(j.lock, j.id::text)) j.tenant_id, j.lock, j.priority, j.scheduled_at
        FROM procrastinate_jobs AS j WHERE j.status = 'todo'
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

-- Drop the bundles of a tenant that were made before an instant and that no run asked for since, or still open, uses; and whatever content of
-- theirs nothing else refers to. Models of demand that were trained before it go too, save those of the newest training. Storing content takes the same lock, shared: what it found to be there stays there.
CREATE FUNCTION registry.drop_bundles(tenant text, made_before timestamptz, at timestamptz) RETURNS TABLE (bundles bigint, contents bigint, bytes bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = levada, pg_temp AS $$
DECLARE
    held text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('levada content of ' || tenant, 0));
    WITH old AS (
        UPDATE bundle AS b SET dropped_at = drop_bundles.at
        WHERE b.tenant_id = tenant AND b.dropped_at IS NULL AND b.created_at < made_before AND NOT EXISTS (
            SELECT FROM run AS r
            WHERE r.tenant_id = tenant AND r.bundle_id = b.bundle_id AND (r.created_at >= made_before OR r.state IN ('queued', 'running'))
        )
        RETURNING b.parts
    )
    SELECT (SELECT count(*) FROM old), (SELECT array_agg(DISTINCT part.value) FROM old CROSS JOIN jsonb_each_text(old.parts) AS part) INTO bundles, held;
    WITH old AS (
        DELETE FROM forecast_model AS m
        WHERE m.tenant_id = tenant AND m.trained_at < made_before AND m.trained_at < (SELECT max(n.trained_at) FROM forecast_model AS n WHERE n.tenant_id = tenant)
        RETURNING m.sha256
    )
    SELECT coalesce(held, '{}') || coalesce(array_agg(DISTINCT old.sha256), '{}') INTO held FROM old;
    WITH kept AS MATERIALIZED (
        SELECT DISTINCT part.value AS sha256 FROM bundle AS b CROSS JOIN jsonb_each_text(b.parts) AS part WHERE b.tenant_id = tenant AND b.dropped_at IS NULL
    ), gone AS (
        DELETE FROM blob AS x
        WHERE x.tenant_id = tenant AND x.sha256 = ANY(held)
            AND NOT EXISTS (SELECT FROM kept WHERE kept.sha256 = x.sha256)
            AND NOT EXISTS (SELECT FROM run AS r WHERE r.tenant_id = tenant AND r.result_sha256 = x.sha256)
            AND NOT EXISTS (SELECT FROM forecast_model AS m WHERE m.tenant_id = tenant AND m.sha256 = x.sha256)
            AND NOT EXISTS (SELECT FROM network AS n WHERE n.tenant_id = tenant AND n.sha256 = x.sha256)
            AND NOT EXISTS (SELECT FROM delivered_file AS f WHERE f.tenant_id = tenant AND f.original_sha256 = x.sha256)
        RETURNING length(x.content) AS bytes
    )
    SELECT count(*), coalesce(sum(gone.bytes), 0) INTO contents, bytes FROM gone;
    RETURN NEXT;
END $$;

GRANT EXECUTE ON FUNCTION registry.drop_bundles TO levada_app;
GRANT USAGE ON SCHEMA registry TO levada_worker;
GRANT EXECUTE ON FUNCTION registry.jobs_due TO levada_app, levada_worker;
