-- name: lock_timetable
-- Timetable processes take their turns, for each tenant and kind of run.
SELECT pg_advisory_xact_lock(hashtextextended('levada timetable ' || current_setting('app.tenant') || ' ' || %(kind)s, 0));

-- name: last_due
-- The latest instant that was served.
SELECT max(due_at) AS last_due FROM levada.run WHERE kind = %(kind)s;
