-- name: add_model
-- A zone's model of a training.
INSERT INTO levada.forecast_model (run_id, zone, trained_at, sha256)
VALUES (%(run_id)s, %(zone)s, %(trained_at)s, %(sha256)s) ON CONFLICT DO NOTHING;

-- name: current_models
-- The models of the newest training by then, by zone.
SELECT zone, trained_at, sha256 FROM levada.forecast_model
WHERE run_id = (SELECT run_id FROM levada.forecast_model WHERE trained_at <= %(at)s ORDER BY trained_at DESC, run_id LIMIT 1) ORDER BY zone;
