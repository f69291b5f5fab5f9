-- name: lock_readings
-- Deliveries of one tenant take their turns: a reading's predecessor must be seen, and FOR UPDATE cannot lock what is not there yet.
SELECT pg_advisory_xact_lock(hashtextextended('levada readings ' || current_setting('app.tenant'), 0));

-- name: ensure_series
-- A series with the next free number, or its new description.
INSERT INTO levada.series AS s (series_no, series_id, quantity, cell_method, step_s, description)
SELECT coalesce(max(series_no), 0) + 1, %(series_id)s, %(quantity)s, %(cell_method)s, %(step_s)s, %(description)s FROM levada.series
ON CONFLICT (tenant_id, series_id) DO UPDATE
SET quantity = excluded.quantity, cell_method = excluded.cell_method, step_s = excluded.step_s, description = excluded.description
WHERE (s.quantity, s.cell_method, s.step_s, s.description) IS DISTINCT FROM (excluded.quantity, excluded.cell_method, excluded.step_s, excluded.description);

-- name: list_series
-- All series of the tenant.
SELECT series_id, quantity, cell_method, step_s, description FROM levada.series ORDER BY series_id;

-- name: series_numbers
-- The numbers under which readings of these series are kept.
SELECT series_id, series_no FROM levada.series WHERE series_id = ANY(%(series_ids)s);

-- name: make_incoming
-- This session's own table for what is being delivered; it stays, empty, for the next delivery.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_reading (
    series_no integer NOT NULL, time timestamptz NOT NULL, value double precision NOT NULL, quality smallint NOT NULL
) ON COMMIT DELETE ROWS;

-- name: copy_incoming
-- Rows of series_no, time, value, quality; sorted, none twice.
COPY pg_temp.incoming_reading (series_no, time, value, quality) FROM STDIN (FORMAT binary);

-- name: analyse_incoming
-- Tell the planner how much there is.
ANALYZE pg_temp.incoming_reading (series_no, time);

-- name: empty_incoming
-- There may be another delivery in this transaction.
TRUNCATE pg_temp.incoming_reading;

-- name: add_readings
-- Adds what is new or differs from the newest value for its instant; how many of each. `judged` are the quality flags that make a difference.
WITH newest AS MATERIALIZED (
    SELECT DISTINCT ON (r.series_no, r.time) r.series_no, r.time, r.available_at, r.value, r.quality
    FROM levada.reading AS r
    WHERE r.series_no = ANY(%(series_nos)s) AND r.time BETWEEN %(first)s AND %(last)s
    ORDER BY r.series_no, r.time, r.available_at DESC
), added AS (
    INSERT INTO levada.reading (series_no, time, available_at, value, quality, source)
    SELECT i.series_no, i.time,
           -- What arrives later is newer, also where the receivers' clocks disagree.
           greatest(%(available_at)s::timestamptz, n.available_at + interval '1 microsecond'),
           i.value,
           CASE WHEN n.time IS NULL THEN i.quality ELSE i.quality | %(corrected)s::smallint END,
           %(source)s::bigint
    FROM pg_temp.incoming_reading AS i
    LEFT JOIN newest AS n ON n.series_no = i.series_no AND n.time = i.time
    WHERE n.time IS NULL OR n.value <> i.value OR (n.quality & %(judged)s::smallint) <> (i.quality & %(judged)s::smallint)
    RETURNING quality
)
SELECT count(*) FILTER (WHERE quality & %(corrected)s::smallint = 0) AS new, count(*) FILTER (WHERE quality & %(corrected)s::smallint <> 0) AS corrected FROM added;

-- name: copy_readings
-- All versions known by then in a window, in no order; the newest of each is chosen by the caller, who has them as arrays.
COPY (
    SELECT series_no, time, available_at, value, quality FROM levada.reading
    WHERE series_no = ANY(%(series_nos)s) AND time >= %(start)s AND time < %(end)s AND available_at <= %(known_at)s
) TO STDOUT (FORMAT binary);

-- name: latest_readings
-- For each series the value for its latest instant.
SELECT s.series_id, n.time, n.available_at, n.value, n.quality
FROM levada.series AS s
CROSS JOIN LATERAL (
    SELECT r.time, r.available_at, r.value, r.quality FROM levada.reading AS r
    WHERE r.tenant_id = s.tenant_id AND r.series_no = s.series_no AND r.available_at <= %(known_at)s
    ORDER BY r.time DESC, r.available_at DESC LIMIT 1
) AS n;

-- name: newest_measurement
-- The latest instant for which anything was measured.
SELECT max(n.time) AS newest
FROM levada.series AS s
CROSS JOIN LATERAL (
    SELECT r.time FROM levada.reading AS r
    WHERE r.tenant_id = s.tenant_id AND r.series_no = s.series_no AND r.available_at <= %(known_at)s
    ORDER BY r.time DESC LIMIT 1
) AS n
WHERE s.quantity <> 'price';

-- name: oldest_readings
-- For each of these series the first instant that it has a value for.
SELECT s.series_id, n.time
FROM levada.series AS s
CROSS JOIN LATERAL (
    SELECT r.time FROM levada.reading AS r WHERE r.tenant_id = s.tenant_id AND r.series_no = s.series_no ORDER BY r.time LIMIT 1
) AS n
WHERE s.series_id = ANY(%(series_ids)s);
