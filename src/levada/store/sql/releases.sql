-- name: release
-- The tenant's channels.
SELECT stable, previous_stable, candidate, mode, max_worse, reason, changed_at, changed_by FROM levada.release;

-- name: lock_release
-- Of two who change them at once, the second sees what the first one did.
SELECT pg_advisory_xact_lock(hashtextextended('levada release ' || current_setting('app.tenant'), 0));

-- name: put_release
-- Set them.
INSERT INTO levada.release (stable, previous_stable, candidate, mode, max_worse, reason, changed_at, changed_by)
VALUES (%(stable)s, %(previous_stable)s, %(candidate)s, %(mode)s, %(max_worse)s, %(reason)s, %(changed_at)s, %(changed_by)s)
ON CONFLICT (tenant_id) DO UPDATE SET stable = excluded.stable, previous_stable = excluded.previous_stable, candidate = excluded.candidate, mode = excluded.mode,
    max_worse = excluded.max_worse, reason = excluded.reason, changed_at = excluded.changed_at, changed_by = excluded.changed_by;

-- name: served_versions
-- Versions that workers serve, and how long ago they said so.
SELECT version, age_s FROM registry.served_versions();

-- name: serve_versions
-- This worker serves these. As the worker's role.
INSERT INTO queue.served_version AS v (version, seen_at) SELECT unnest(%(versions)s::text[]), now() ON CONFLICT (version) DO UPDATE SET seen_at = now();

-- name: free_unserved
-- Plans that wait for a version that no worker serves any more go to whoever takes them. As the worker's role.
UPDATE queue.procrastinate_jobs AS job SET task_name = %(task)s
WHERE job.status = 'todo' AND job.task_name LIKE %(task)s || '@%%' AND job.priority >= 0 AND NOT EXISTS (
    SELECT FROM queue.served_version AS v WHERE job.task_name = %(task)s || '@' || v.version AND v.seen_at > now() - %(seconds)s * interval '1 second'
)
RETURNING job.id, job.task_name;

-- name: create_shadow_run
-- A run that computes another one's input with another version; none where there is one already.
INSERT INTO levada.run (kind, state, cause, issue_time, created_at, started_by, bundle_id, version, shadow_of)
SELECT r.kind, 'queued', 'shadow', r.issue_time, %(at)s, '', r.bundle_id, %(version)s, r.run_id FROM levada.run AS r WHERE r.run_id = %(run_id)s
ON CONFLICT (tenant_id, shadow_of, version) WHERE shadow_of IS NOT NULL DO NOTHING
RETURNING run_id;

-- name: give_run_to
-- A run that is being computed waits again, for another version; what became of it stays in its history.
UPDATE levada.run SET state = 'queued', attempts = 0, started_at = NULL, worker = NULL, version = %(version)s, history = history || jsonb_build_array(%(entry)s::jsonb)
WHERE run_id = %(run_id)s AND state IN ('queued', 'running')
RETURNING run_id;

-- name: add_comparison
-- Both versions on one input.
INSERT INTO levada.comparison (shadow_run_id, candidate, stable_result, candidate_result, at)
VALUES (%(shadow_run_id)s, %(candidate)s, %(by_stable)s, %(by_candidate)s, %(at)s) ON CONFLICT (tenant_id, shadow_run_id) DO NOTHING;

-- name: comparisons
-- Of a candidate, the newest first.
SELECT candidate, stable_result, candidate_result, at FROM levada.comparison WHERE candidate = %(candidate)s ORDER BY at DESC, shadow_run_id LIMIT %(limit)s;
