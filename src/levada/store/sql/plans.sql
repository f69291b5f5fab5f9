-- name: publish_plan
-- A run's plan, unless it was published before.
INSERT INTO levada.plan (run_id, issue_time, starts_at, expires_at, ladder, cost, lower_bound, audited_cost, published_at, body, forecast)
VALUES (%(run_id)s, %(issue_time)s, %(starts_at)s, %(expires_at)s, %(ladder)s, %(cost)s, %(lower_bound)s, %(audited_cost)s, %(at)s, %(body)s::json, %(forecast)s::json)
ON CONFLICT (tenant_id, run_id) DO NOTHING
RETURNING plan_id;

-- name: plan_of_run
-- The plan that a run has published.
SELECT plan_id FROM levada.plan WHERE run_id = %(run_id)s;

-- name: current_plan
-- The plan with the latest issue time of those published by then. A slow old run that publishes late does not displace a newer plan.
SELECT plan_id, run_id, published_at, body::text AS body FROM levada.plan WHERE published_at <= %(at)s ORDER BY issue_time DESC, published_at DESC LIMIT 1;

-- name: get_plan
-- One plan.
SELECT plan_id, run_id, published_at, body::text AS body FROM levada.plan WHERE plan_id = %(plan_id)s;

-- name: list_plans
-- The newest first, without their steps.
SELECT plan_id, run_id, issue_time, starts_at, expires_at, ladder, cost, lower_bound, audited_cost, published_at
FROM levada.plan ORDER BY issue_time DESC, published_at DESC LIMIT %(limit)s;

-- name: forecast_of
-- The forecast behind a plan.
SELECT forecast::text AS forecast FROM levada.plan WHERE plan_id = %(plan_id)s;

-- name: plans_covering
-- Plans that hold somewhere in a window.
SELECT plan_id, run_id, published_at, body::text AS body FROM levada.plan
WHERE starts_at < %(end)s AND expires_at > %(start)s ORDER BY issue_time, published_at;
