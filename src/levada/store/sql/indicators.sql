-- name: put_indicator
-- One indicator of a run.
INSERT INTO levada.indicator (run_id, name, issue_time, value, unit, description)
VALUES (%(run_id)s, %(name)s, %(issue_time)s, %(value)s, %(unit)s, %(description)s) ON CONFLICT DO NOTHING;

-- name: latest_indicators
-- Those of the run with the latest issue time.
SELECT name, value, unit, description FROM levada.indicator
WHERE run_id = (SELECT run_id FROM levada.indicator ORDER BY issue_time DESC, run_id LIMIT 1) ORDER BY name;
