"""What things are: time, units, series, tariffs, settings, networks, bundles, plans, runs and errors.

Read errors.py, time.py, units.py, series.py first; then settings.py (what a utility configures) and
plan_input.py, plan.py (what goes into a planning run and what comes out).
Frozen values that cannot exist in an invalid state. No I/O, no clock, no environment. Imports nothing of ours.
"""
