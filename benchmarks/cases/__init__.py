"""The scheduler's benchmark cases, a file a family, each read into a PumpingProblem with its engine and its judge.

case.py          what a case is; where the data are
anytown.py       AnyTown-modified: proved optima, and the same network under other tariffs
gops.py          networks given as quadratic equations in CSV, fixed and variable speed, whole years of days
van_zyl.py       van Zyl's network, hourly and half-hourly
two_pumps.py     two variable-speed pumps and one tank
large.py         C-Town, Net3 and the Kentucky networks: no published figures, for scale
quadratic.py     the equations and the engine behind gops.py and two_pumps.py; quadratic_judge.py judges by code of its own
grown.py         small random EPANET networks from a seed
tariffs.py       shapes of prices
"""
