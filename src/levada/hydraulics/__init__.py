"""EPANET in process: what a network is, and whether a pump schedule holds on it.

Read epanet.py (opening an INP, its units and messages), inp.py (INP text to Network, demands by its patterns),
audit.py (the judge: does a schedule hold, what does it cost; with audit_tank.py and audit_findings.py), and
simulate.py (the fast simulator inside the search; with native.py and findings.py). The judge and the simulator share no
code, so that a mistake in one shows in the other.
Pure: bytes and arrays in, values out; EPANET's own files live in a temporary folder for the time of a call. May import domain.
"""
