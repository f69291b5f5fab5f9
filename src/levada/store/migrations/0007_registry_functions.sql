-- What must look across tenants, one narrow question a function. They run as levada_registry, which owns nothing else and
-- has rights only on what they need.
SET LOCAL ROLE levada_registry;
SET LOCAL search_path = registry;

-- tenants

CREATE FUNCTION create_tenant(tenant text, title text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    INSERT INTO tenant (tenant_id, name) VALUES (tenant, title);
$$;

CREATE FUNCTION list_tenants() RETURNS TABLE (tenant_id text, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    SELECT t.tenant_id, t.name FROM tenant AS t ORDER BY t.tenant_id;
$$;

-- the installation

CREATE FUNCTION kept_value(wanted text) RETURNS bytea
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    SELECT i.value FROM installation AS i WHERE i.name = wanted;
$$;

-- Keeps the value if none is kept under that name yet; returns the one that is kept. Of two at once, both get the first one's.
CREATE FUNCTION keep_value(wanted text, candidate bytea) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = levada, pg_temp AS $$
BEGIN
    INSERT INTO installation (name, value) VALUES (wanted, candidate) ON CONFLICT (name) DO NOTHING;
    RETURN (SELECT i.value FROM installation AS i WHERE i.name = wanted);
END $$;

CREATE FUNCTION notification_channel() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    SELECT 'levada_' || encode(i.value, 'hex') FROM installation AS i WHERE i.name = 'notification-channel';
$$;

-- people and programs

CREATE FUNCTION put_account(mail text, title text, hash text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    INSERT INTO account (email, name, password_hash) VALUES (mail, title, hash)
    ON CONFLICT (email) DO UPDATE SET name = excluded.name, password_hash = excluded.password_hash;
$$;

CREATE FUNCTION account_of(mail text) RETURNS TABLE (name text, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    SELECT a.name, a.password_hash FROM account AS a WHERE a.email = mail;
$$;

CREATE FUNCTION set_membership(mail text, tenant text, as_role text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    INSERT INTO membership (tenant_id, email, role) VALUES (tenant, mail, as_role)
    ON CONFLICT (tenant_id, email) DO UPDATE SET role = excluded.role;
$$;

CREATE FUNCTION memberships_of(mail text) RETURNS TABLE (tenant_id text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    SELECT m.tenant_id, m.role FROM membership AS m WHERE m.email = mail ORDER BY m.tenant_id;
$$;

CREATE FUNCTION add_token(tenant text, hash bytea, title text, may text[], until timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    INSERT INTO api_token (tenant_id, token_sha256, name, rights, expires_at) VALUES (tenant, hash, title, may, until);
$$;

CREATE FUNCTION token_of(hash bytea) RETURNS TABLE (tenant_id text, name text, rights text[], expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    SELECT t.tenant_id, t.name, t.rights, t.expires_at FROM api_token AS t WHERE t.token_sha256 = hash;
$$;

CREATE FUNCTION add_sftp_key(tenant text, print text, title text, key text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    INSERT INTO sftp_key (tenant_id, fingerprint, name, public_key) VALUES (tenant, print, title, key)
    ON CONFLICT (tenant_id, fingerprint) DO NOTHING;
$$;

CREATE FUNCTION sftp_keys(tenant text) RETURNS TABLE (public_key text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    SELECT k.public_key FROM sftp_key AS k WHERE k.tenant_id = tenant ORDER BY k.created_at, k.fingerprint;
$$;

-- the outbox and the queue

CREATE FUNCTION undelivered() RETURNS TABLE (tenant_id text, item_id bigint, path text, content bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    SELECT o.tenant_id, o.item_id, o.path, o.content FROM outbox_item AS o WHERE o.delivered_at IS NULL ORDER BY o.item_id;
$$;

-- Waiting is counted from when a job could first run: from its deferral or, where it was put off, from then.
CREATE FUNCTION queue_depth() RETURNS TABLE (task text, state text, jobs bigint, oldest_wait_s double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = queue, pg_temp AS $$
    SELECT j.task_name::text, j.status::text, count(*),
           max(extract(epoch FROM now() - w.since)) FILTER (WHERE w.since <= now())::double precision
    FROM procrastinate_jobs AS j
    LEFT JOIN LATERAL (
        SELECT max(e.at) AS since FROM procrastinate_events AS e
        WHERE j.status = 'todo' AND e.job_id = j.id AND e.type IN ('deferred', 'deferred_for_retry', 'retried', 'scheduled')
    ) AS w ON true
    GROUP BY 1, 2 ORDER BY 1, 2;
$$;

CREATE FUNCTION workers() RETURNS TABLE (worker_id bigint, last_heartbeat timestamptz, heartbeat_age_s double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = queue, pg_temp AS $$
    SELECT w.id, w.last_heartbeat, extract(epoch FROM now() - w.last_heartbeat)::double precision
    FROM procrastinate_workers AS w ORDER BY w.id;
$$;

-- how all of it stands

CREATE FUNCTION tenant_status(at timestamptz) RETURNS TABLE (
    tenant_id text, name text, newest_reading timestamptz, last_file_at timestamptz, files jsonb, rows_ok bigint, rows_bad bigint,
    plan_id uuid, run_id uuid, issue_time timestamptz, starts_at timestamptz, expires_at timestamptz, ladder text, cost double precision,
    lower_bound double precision, audited_cost double precision, published_at timestamptz,
    runs jsonb, run_totals jsonb, failed_runs_24h bigint, last_error jsonb, last_error_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = levada, pg_temp AS $$
    SELECT t.tenant_id, t.name, data.newest, f.last_at, coalesce(f.by_state, '{}'), coalesce(f.rows_ok, 0)::bigint, coalesce(f.rows_bad, 0)::bigint,
           p.plan_id, p.run_id, p.issue_time, p.starts_at, p.expires_at, p.ladder, p.cost, p.lower_bound, p.audited_cost, p.published_at,
           coalesce(r.by_state, '{}'), coalesce(k.totals, '[]'), coalesce(r.failed_24h, 0), bad.error, bad.finished_at
    FROM tenant AS t
    CROSS JOIN LATERAL (
        -- Prices are published ahead of their time: they would hide that measurements have stopped.
        SELECT max(newest.time) AS newest FROM series AS s
        CROSS JOIN LATERAL (
            SELECT x.time FROM reading AS x
            WHERE x.tenant_id = s.tenant_id AND x.series_no = s.series_no AND x.available_at <= at
            ORDER BY x.time DESC LIMIT 1
        ) AS newest
        WHERE s.tenant_id = t.tenant_id AND s.quantity <> 'price'
    ) AS data
    LEFT JOIN LATERAL (
        SELECT max(g.last_at) AS last_at, jsonb_object_agg(g.state, g.files) AS by_state, sum(g.rows_ok) AS rows_ok, sum(g.rows_bad) AS rows_bad
        FROM (
            SELECT d.state, count(*) AS files, max(d.received_at) AS last_at, sum(d.rows_ok) AS rows_ok, sum(d.rows_bad) AS rows_bad
            FROM delivered_file AS d WHERE d.tenant_id = t.tenant_id GROUP BY d.state
        ) AS g
    ) AS f ON true
    LEFT JOIN LATERAL (
        SELECT * FROM plan AS q WHERE q.tenant_id = t.tenant_id ORDER BY q.issue_time DESC, q.published_at DESC LIMIT 1
    ) AS p ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(g.state, g.runs) AS by_state, sum(g.failed_24h)::bigint AS failed_24h
        FROM (
            SELECT x.state, count(*) AS runs, count(*) FILTER (WHERE x.state = 'failed' AND x.finished_at > at - interval '24 hours') AS failed_24h
            FROM run AS x WHERE x.tenant_id = t.tenant_id GROUP BY x.state
        ) AS g
    ) AS r ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(g) AS totals
        FROM (
            SELECT x.kind, count(*) AS runs, sum(x.wall_s) AS wall_s, sum(x.cpu_s) AS cpu_s, max(x.peak_memory_bytes) AS peak_memory_bytes, sum(x.queue_wait_s) AS queue_wait_s
            FROM run AS x WHERE x.tenant_id = t.tenant_id AND x.wall_s IS NOT NULL GROUP BY x.kind ORDER BY x.kind
        ) AS g
    ) AS k ON true
    LEFT JOIN LATERAL (
        SELECT x.error, x.finished_at FROM run AS x WHERE x.tenant_id = t.tenant_id AND x.state = 'failed' ORDER BY x.finished_at DESC LIMIT 1
    ) AS bad ON true
    ORDER BY t.tenant_id;
$$;

GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA registry TO levada_app;
