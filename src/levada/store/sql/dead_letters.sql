-- name: add_dead_job
-- A job that failed for good; noted once.
INSERT INTO levada.dead_job (job_id, task, args, priority, lock, attempts, error, at)
VALUES (%(job_id)s, %(task)s, %(args)s, %(priority)s, %(lock)s, %(attempts)s, %(error)s, %(at)s) ON CONFLICT DO NOTHING;

-- name: dead_letters
-- Runs that have failed and jobs that were given up and not tried again, the newest first.
SELECT * FROM (
    (SELECT run_id::text AS letter_id, true AS is_run, kind AS what, finished_at AS at, attempts, error
     FROM levada.run WHERE state = 'failed' ORDER BY finished_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT job_id::text, false, task, at, attempts, error FROM levada.dead_job WHERE retried_at IS NULL ORDER BY at DESC LIMIT %(limit)s)
) AS letter
ORDER BY at DESC, letter_id LIMIT %(limit)s;

-- name: take_dead_job
-- Mark one as tried again; no row when there is none, or it was marked before.
UPDATE levada.dead_job SET retried_at = %(at)s, retried_by = %(by)s WHERE job_id = %(job_id)s AND retried_at IS NULL
RETURNING task, args, priority, lock;
