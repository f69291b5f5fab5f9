"""The only SQL: everything that is kept, and the job queue, in PostgreSQL.

Read embedded.py (a server of our own), migrate.py (roles and schema), database.py (connections: a tenant's, the registry's)
and queries.py (named SQL in sql/<subject>.sql) first; then a .py a subject: tenants, accounts, documents, networks, series,
files, outbox, content and objects (bytes by their hash, here or in a bucket), bundles, runs, plans, timetable, indicators, audit_log, jobs (the queue), overview (how all of it stands).

Isolation is the database's: every table has forced row-level security; a connection without a tenant sees nothing. What must
look across tenants goes through SECURITY DEFINER functions in the schema `registry`, one narrow question each.
May import domain, clock and telemetry.
"""
