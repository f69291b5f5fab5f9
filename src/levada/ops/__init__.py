"""What keepers of an installation do: put tenants in, see how all of it stands.

provision.py (a tenant from a folder of documents), status.py (how the installation stands, in words and as data).
May import store, telemetry and domain; never an algorithm.
"""
