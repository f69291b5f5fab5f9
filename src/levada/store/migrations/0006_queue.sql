-- The job queue's tables are procrastinate's own (schema queue, made before this); here they learn about tenants.
-- The application puts in and sees its tenant's jobs; the worker's role handles all jobs and sees no other table of ours.

ALTER TABLE queue.procrastinate_jobs ADD COLUMN tenant_id text NOT NULL GENERATED ALWAYS AS (args ->> 'tenant_id') STORED;
CREATE INDEX procrastinate_jobs_by_tenant ON queue.procrastinate_jobs (tenant_id, status);

ALTER TABLE queue.procrastinate_jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE queue.procrastinate_jobs FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON queue.procrastinate_jobs TO levada_app
    USING (tenant_id = nullif(current_setting('app.tenant', true), ''))
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), ''));
CREATE POLICY worker ON queue.procrastinate_jobs TO levada_worker USING (true) WITH CHECK (true);
CREATE POLICY registry_only ON queue.procrastinate_jobs FOR SELECT TO levada_registry USING (true);

ALTER TABLE queue.procrastinate_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE queue.procrastinate_events FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON queue.procrastinate_events TO levada_app
    USING (EXISTS (SELECT FROM queue.procrastinate_jobs AS job WHERE job.id = job_id))
    WITH CHECK (EXISTS (SELECT FROM queue.procrastinate_jobs AS job WHERE job.id = job_id));
-- When a worker's row goes, the foreign key sets its jobs' worker_id to NULL; procrastinate's trigger then notes an event, as the tables' owner.
CREATE POLICY foreign_keys ON queue.procrastinate_events FOR INSERT TO levada_owner WITH CHECK (true);
CREATE POLICY worker ON queue.procrastinate_events TO levada_worker USING (true) WITH CHECK (true);
CREATE POLICY registry_only ON queue.procrastinate_events FOR SELECT TO levada_registry USING (true);

ALTER TABLE queue.procrastinate_workers ENABLE ROW LEVEL SECURITY;
ALTER TABLE queue.procrastinate_workers FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON queue.procrastinate_workers TO levada_worker USING (true) WITH CHECK (true);
CREATE POLICY registry_only ON queue.procrastinate_workers FOR SELECT TO levada_registry USING (true);

ALTER TABLE queue.procrastinate_periodic_defers ENABLE ROW LEVEL SECURITY;
ALTER TABLE queue.procrastinate_periodic_defers FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON queue.procrastinate_periodic_defers TO levada_worker USING (true) WITH CHECK (true);

-- UPDATE of the priority alone: with it a waiting job can be held until the transaction that relies on it has committed.
GRANT SELECT, INSERT, UPDATE (priority) ON queue.procrastinate_jobs TO levada_app;
GRANT SELECT, INSERT ON queue.procrastinate_events TO levada_app;
GRANT USAGE ON SEQUENCE queue.procrastinate_jobs_id_seq, queue.procrastinate_events_id_seq TO levada_app;
GRANT SELECT ON queue.procrastinate_jobs, queue.procrastinate_events, queue.procrastinate_workers TO levada_registry;
