-- name: create_due_run
-- The timetable's run for an instant, unless it was made before.
INSERT INTO levada.run (kind, state, cause, issue_time, due_at, created_at, started_by, version)
VALUES (%(kind)s, 'queued', %(cause)s, %(issue_time)s, %(due_at)s, %(created_at)s, %(started_by)s, %(version)s)
ON CONFLICT (tenant_id, kind, due_at) DO NOTHING
RETURNING run_id, true AS created;

-- name: run_due_at
-- The timetable's run for an instant.
SELECT run_id, false AS created FROM levada.run WHERE kind = %(kind)s AND due_at = %(due_at)s;

-- name: create_asked_run
-- A run that people or data ask for; where one of the kind waits, that one, to use what is known by now.
INSERT INTO levada.run AS r (kind, state, cause, issue_time, due_at, created_at, started_by, version)
VALUES (%(kind)s, 'queued', %(cause)s, %(issue_time)s, %(due_at)s, %(created_at)s, %(started_by)s, %(version)s)
ON CONFLICT (tenant_id, kind) WHERE state = 'queued' AND cause NOT IN ('timetable', 'shadow')
DO UPDATE SET issue_time = greatest(r.issue_time, excluded.issue_time)
RETURNING run_id, xmax = 0 AS created;

-- name: start_run
-- Begin, or begin again.
UPDATE levada.run SET state = 'running', started_at = %(at)s, worker = %(worker)s, attempts = attempts + 1, progress = NULL
WHERE run_id = %(run_id)s AND state IN ('queued', 'running')
RETURNING *;

-- name: put_progress
-- How far it is; nothing for a run that has ended.
UPDATE levada.run SET progress = %(progress)s WHERE run_id = %(run_id)s AND state = 'running' RETURNING run_id;

-- name: attach_bundle
-- The run's input; the first one stays.
UPDATE levada.run SET bundle_id = coalesce(bundle_id, %(bundle_id)s) WHERE run_id = %(run_id)s;

-- name: lock_open_run
-- Hold a run that is neither done nor failed; no row when it is. Under READ COMMITTED the state is looked at again once the lock is had.
SELECT run_id FROM levada.run WHERE run_id = %(run_id)s AND state IN ('queued', 'running') FOR UPDATE;

-- name: finish_run
-- Done, with a result.
UPDATE levada.run SET state = 'done', result_sha256 = %(result_sha256)s, finished_at = %(at)s, manifest = %(manifest)s, version = coalesce(%(version)s, version),
    bytes_read = %(bytes_read)s, bytes_written = %(bytes_written)s,
    wall_s = %(wall_s)s, cpu_s = %(cpu_s)s, peak_memory_bytes = %(peak_memory_bytes)s, queue_wait_s = %(queue_wait_s)s
WHERE run_id = %(run_id)s;

-- name: fail_run
-- It cannot be made.
UPDATE levada.run SET state = 'failed', error = %(error)s, finished_at = %(at)s, bytes_read = %(bytes_read)s, bytes_written = %(bytes_written)s,
    wall_s = %(wall_s)s, cpu_s = %(cpu_s)s, peak_memory_bytes = %(peak_memory_bytes)s, queue_wait_s = %(queue_wait_s)s
WHERE run_id = %(run_id)s;

-- name: add_history
-- What became of an attempt, while the run goes on.
UPDATE levada.run SET history = history || jsonb_build_array(%(entry)s::jsonb) WHERE run_id = %(run_id)s AND state IN ('queued', 'running');

-- name: cancel_run
-- It is not wanted any more; no row when it has ended.
UPDATE levada.run SET state = 'cancelled', finished_at = %(at)s, history = history || jsonb_build_array(%(entry)s::jsonb)
WHERE run_id = %(run_id)s AND state IN ('queued', 'running')
RETURNING run_id;

-- name: overtaking_run
-- The newest run of a kind that waits and will know more than one issued at an instant.
SELECT run_id FROM levada.run WHERE kind = %(kind)s AND state = 'queued' AND cause <> 'shadow' AND issue_time > %(issue_time)s ORDER BY issue_time DESC LIMIT 1;

-- name: retry_run
-- A run that has failed or was cancelled waits again; what became of it stays in its history.
UPDATE levada.run SET state = 'queued', attempts = 0, error = NULL, started_at = NULL, finished_at = NULL, worker = NULL,
    wall_s = NULL, cpu_s = NULL, peak_memory_bytes = NULL, queue_wait_s = NULL,
    history = history || CASE WHEN error IS NULL THEN '[]' ELSE jsonb_build_array(error || jsonb_build_object('at', finished_at)) END || jsonb_build_array(%(entry)s::jsonb)
WHERE run_id = %(run_id)s AND state IN ('failed', 'cancelled')
RETURNING kind, version, shadow_of;

-- name: get_run
-- One run.
SELECT * FROM levada.run WHERE run_id = %(run_id)s;

-- name: list_runs
-- The newest first; those before a given run when one is given.
SELECT * FROM levada.run
WHERE %(before)s::uuid IS NULL OR (created_at, created_no) < (SELECT b.created_at, b.created_no FROM levada.run AS b WHERE b.run_id = %(before)s::uuid)
ORDER BY created_at DESC, created_no DESC LIMIT %(limit)s;

-- name: add_usage
-- What a run, or an attempt of one, has taken, on its day.
INSERT INTO levada.usage_day AS u (day, kind, cause, runs, failed, wall_s, cpu_s, memory_byte_s, queue_wait_s, bytes_read, bytes_written, peak_memory_bytes)
SELECT (%(at)s::timestamptz AT TIME ZONE 'UTC')::date, r.kind, r.cause, %(runs)s, %(failed)s, %(wall_s)s, %(cpu_s)s, %(wall_s)s * %(peak_memory_bytes)s::double precision, %(queue_wait_s)s,
    %(bytes_read)s, %(bytes_written)s, %(peak_memory_bytes)s
FROM levada.run AS r WHERE r.run_id = %(run_id)s
ON CONFLICT (tenant_id, day, kind, cause) DO UPDATE SET runs = u.runs + excluded.runs, failed = u.failed + excluded.failed, wall_s = u.wall_s + excluded.wall_s, cpu_s = u.cpu_s + excluded.cpu_s,
    memory_byte_s = u.memory_byte_s + excluded.memory_byte_s, queue_wait_s = u.queue_wait_s + excluded.queue_wait_s, bytes_read = u.bytes_read + excluded.bytes_read,
    bytes_written = u.bytes_written + excluded.bytes_written, peak_memory_bytes = greatest(u.peak_memory_bytes, excluded.peak_memory_bytes);

-- name: usage
-- By day, kind and cause.
SELECT day, kind, cause, runs, failed, wall_s, cpu_s, memory_byte_s, queue_wait_s, bytes_read, bytes_written, peak_memory_bytes
FROM levada.usage_day WHERE day >= %(first)s AND day <= %(last)s ORDER BY day, kind, cause;
