"""What is shown: plain data in the user's units, zone and language. Pure functions of stored things and an instant.

Read units.py, zone.py and language.py (the three edges), display.py (the three together, of one utility), then what is
drawn: plan.py (switches and bars of a plan), cost.py (spent so far), series.py (lines of readings), board.py (all of the
operator's page). Imports domain and the types of store; asks no database and no clock.
"""
