"""Runs: when one is due, what goes into it, the computing of it, and doing it again.

Read timetable.py (due times -> queued runs), freeze.py (what was known -> an input bundle), problem.py (input and forecast ->
a scheduling problem), pipeline.py (bundle -> result: the one caller of the algorithms), ladder.py (what to do when no new plan can be made),
child.py (computing in a process of its own), worker.py (from the queue to the stored result, once), replay.py (the same again).
May import store, forecast, schedule, hydraulics, kpi, telemetry, clock and domain. Screens and doors never import this folder: they
ask for a run by a job.
"""
