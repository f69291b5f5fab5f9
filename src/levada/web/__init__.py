"""The web: an API for programs and screens for operators, from the same typed views.

Read app.py (how it is put together), access.py (who calls and what they may), then a resource in api/ or a screen in
screens/ (a .py and a .html of one name), then views/ (units, zone and language, applied nowhere else). site.py holds what
each route is given; events.py tells open pages that something changed; problems.py answers errors.
May import store, telemetry, clock and domain. Never an algorithm: a run is asked for by a job row.
"""
