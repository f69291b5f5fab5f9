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
-- `background` running. Its work grows with the number of lanes, not with that of jobs.
CREATE FUNCTION queue.take_job(worker bigint, background integer) RETURNS queue.procrastinate_jobs
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
            SELECT j.id, j.priority, j.scheduled_at FROM procrastinate_jobs AS j
            WHERE j.status = 'todo' AND j.tenant_id = lanes.tenant_id AND coalesce(j.lock, '') = lanes.lock
                AND (lanes.lock <> '' OR j.scheduled_at IS NULL OR j.scheduled_at <= now())
            ORDER BY j.priority DESC, j.id LIMIT 1
        ) AS head
        CROSS JOIN LATERAL (
            SELECT count(*) AS jobs, count(*) FILTER (WHERE j.priority < 0) AS background, coalesce(bool_or(j.lock = lanes.lock), false) AS is_locked
            FROM procrastinate_jobs AS j WHERE j.status = 'doing' AND j.tenant_id = lanes.tenant_id
        ) AS running
        LEFT JOIN turn ON turn.tenant_id = lanes.tenant_id
        WHERE (head.scheduled_at IS NULL OR head.scheduled_at <= now()) AND NOT running.is_locked
            AND (head.priority >= 0 OR running.background < take_job.background)
        ORDER BY head.priority DESC, running.jobs, coalesce(turn.number, 0), head.id
    LOOP
        -- Where another worker is taking the head at this moment: the next one of the lane, or none where they are to run in order.
        SELECT j.* INTO taken FROM procrastinate_jobs AS j
        WHERE j.status = 'todo' AND j.tenant_id = lane.tenant_id AND coalesce(j.lock, '') = lane.lock
            AND (j.id = lane.id OR lane.lock = '') AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())
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
