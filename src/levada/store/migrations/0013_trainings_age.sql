-- As before, but that a training (priority -10) that could have run for six hours counts as a plan (0): where plans alone keep all workers busy, models
-- would never be trained anew. It is one in its tenant's turn, so that another tenant's plan still waits for no more than one job.
CREATE OR REPLACE FUNCTION queue.take_job(worker bigint, background integer, tasks text[]) RETURNS queue.procrastinate_jobs
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
        CROSS JOIN LATERAL (
            SELECT CASE WHEN head.priority = -10 AND (
                SELECT max(e.at) FROM procrastinate_events AS e
                WHERE e.job_id = head.id AND e.type IN ('deferred', 'deferred_for_retry', 'retried', 'scheduled')
            ) < now() - interval '6 hours' THEN 0 ELSE head.priority END AS priority
        ) AS rank
        LEFT JOIN turn ON turn.tenant_id = lanes.tenant_id
        WHERE (head.scheduled_at IS NULL OR head.scheduled_at <= now()) AND head.task_name = ANY(tasks) AND NOT running.is_locked
            AND (head.priority >= 0 OR running.background < take_job.background)
        ORDER BY rank.priority DESC, running.jobs, coalesce(turn.number, 0), head.id
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
