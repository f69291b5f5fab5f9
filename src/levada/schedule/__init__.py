"""Pump scheduling: from a problem to a schedule, a bound on what any schedule can cost, and reasons.

Read problem.py (what is asked, prepared), plant.py (the plant as the search sees it), surface.py and reach.py (what EPANET would say, and
where levels can be), models.py and bound.py (what no schedule can beat), search.py and improve.py (finding a good one), assignment.py (which of the
identical pumps), verify.py (the bound against what was simulated), certificate.py, reasons.py, rules.py (the lowest rung: level switches); solve.py puts them in order.
May import domain and hydraulics. Knows no database, clock, environment or network; uses no randomness but from its seed.
"""

from levada.schedule.problem import Work
from levada.schedule.reasons import SwitchReason
from levada.schedule.rules import follow_rules
from levada.schedule.solve import Solution, solve

__all__ = ["Solution", "SwitchReason", "Work", "follow_rules", "solve"]
