"""Levada: decision support for drinking-water utilities.

Readings come in, demand is forecast, pumps are scheduled, EPANET confirms, people and SCADA systems follow.

The folders are the flow (reading order): domain (what things are), intake (readings come in), store (the only SQL),
runs (freeze, queue, compute), forecast, schedule, hydraulics, kpi (pure functions), publish (plans go out),
web (screens and API), demo (a simulated utility), serve.py (puts processes together), cli.py (one function a command).
Which folder may import which is written in pyproject.toml and checked by `make test`.
"""

__version__ = "0.1.0"
