"""Data comes in: a delivered file is read by the tenant's contract, checked, and taken or quarantined.

Read contracts/ (a file's text -> arrays), checks/ (what is refused, what is marked suspect), quarantine.py and receipt.py (what
the sender and the operator are told), take.py (all of one file in one transaction), then doors/ (how files reach us).
May import domain, clock, telemetry and store. Wakes the workers by a job in the transaction that stores the rows.
"""
