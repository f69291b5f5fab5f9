"""Plans go out: a file a channel. Read expiry.py (may this plan be followed now?), plan_csv.py (the set-point file), sftp_outbox.py.

May import domain, clock, telemetry and store. The plan of an instant is decided by runs; here it is only handed on.
"""
