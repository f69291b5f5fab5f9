-- name: enqueue
-- A job, or the one that waits under the same queueing lock: that one is held, so that no worker takes it before this transaction ends.
INSERT INTO queue.procrastinate_jobs AS job (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
VALUES (%(queue)s, %(task)s, %(priority)s, %(lock)s, %(queueing_lock)s, %(args)s, %(run_at)s)
ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET priority = greatest(job.priority, excluded.priority)
RETURNING id, xmax = 0 AS is_new;

-- name: wake_workers
-- As procrastinate's own trigger does for a new job.
SELECT pg_notify('procrastinate_any_queue_v1', json_build_object('type', 'job_inserted', 'job_id', %(job_id)s::bigint)::text);

-- name: queue_depth
-- Jobs of all tenants by task and state.
SELECT task, state, jobs, oldest_wait_s FROM registry.queue_depth();

-- name: workers
-- Workers that have registered.
SELECT worker_id, last_heartbeat, heartbeat_age_s FROM registry.workers();

-- name: jobs_due
-- How many jobs a worker could begin now.
SELECT registry.jobs_due(%(background)s::integer, %(stalled_s)s::double precision) AS jobs;

-- name: release_stalled
-- Jobs of workers that are gone wait again. As the worker's role. The state is looked at again on the locked row: another sweep may have been first.
WITH stalled AS (
    SELECT job.id
    FROM queue.procrastinate_jobs AS job
    WHERE job.status = 'doing' AND NOT EXISTS (
        SELECT FROM queue.procrastinate_workers AS w WHERE w.id = job.worker_id AND w.last_heartbeat > now() - %(seconds)s * interval '1 second'
    )
    FOR UPDATE OF job SKIP LOCKED
)
UPDATE queue.procrastinate_jobs AS job SET status = 'todo', attempts = job.attempts + 1, worker_id = NULL, abort_requested = false, scheduled_at = NULL
FROM stalled WHERE job.id = stalled.id AND job.status = 'doing'
RETURNING job.id, job.task_name;

-- name: take_job
-- The next job for a worker, marked as begun; a row of nulls where there is none. As the worker's role.
SELECT id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id
FROM queue.take_job(%(worker_id)s::bigint, %(background)s::integer, %(tasks)s::text[]);

-- name: holds_jobs
-- How many jobs a worker has begun and not yet ticked off. As the worker's role.
SELECT count(*) AS jobs FROM queue.procrastinate_jobs WHERE status = 'doing' AND worker_id = %(worker_id)s::bigint;
