"""Simulated water utilities, to see and to test Levada with: real hydraulics, real demand, real SFTP, and faults.

A demo utility is what a customer would be. Its plant (plant.py) is an EPANET network whose pumps, pipes and demands differ from
the model that Levada was given; its instruments (instruments.py) are noisy, biased, sometimes stuck or silent. Its customers draw
what a real town drew (demand.py, from data/). It writes files as its own contract says (render.py), uploads them by SFTP with its
own key, and obeys the plan that it finds in its outbox as long as that has not expired (customer.py, orders.py). If there is no
such plan, tank levels switch the pumps (control.py), and level switches in the plant override whatever it is told.

Nothing here knows how Levada is built: `customer.py` could run against an installation anywhere. Reading order:
utilities/__init__.py (who they are), plant_settings.py and truth.py (what is true of a plant), demand.py, control.py, instruments.py,
plant.py, prices.py (an invented day-ahead market), render.py, orders.py, memory.py (what survives a restart), mailbox.py, customer.py.

To add a utility, copy a folder of utilities/ and change its files; no code names one. A day of one without any server:

    >>> from datetime import UTC, datetime
    >>> from levada.demo.plant import Plant
    >>> from levada.demo.utilities import list_utilities
    >>> serra = Plant(list_utilities()[0], start=datetime(2026, 3, 1, tzinfo=UTC))
    >>> len(serra.advance(datetime(2026, 3, 2, tzinfo=UTC)))
    96

May import domain, hydraulics, clock and telemetry; never store, a door or ops.
"""
