"""Pump scheduling: from a problem to a schedule, a bound on what any schedule can cost, and reasons.

solve.py puts the work in order. Three searches share problem.py (what is asked, prepared), plant.py (the plant as they see it), reach.py (where levels can
be) and assignment.py (which of the identical pumps):

- exact.py, where few configurations act: joint.py (those), volume_models.py and volume_bound.py (what no schedule can beat, by dynamic programming).
- level_search.py, for plants of one tank at any speeds: level_steps.py (what actions do by level) and level_values.py (what is still to pay from each level).
- broad.py, for any plant: surface.py (what EPANET would say), models.py and bound.py (a linear relaxation), verify.py (that against what was simulated),
  outlook.py, search.py and improve.py. Where its bound leaves much open there are two more: tank_bound.py (values that add up over
  tanks; tank_*.py) and hull_bound.py (the relaxation by columns; hull_*.py).

instants.py goes on from the schedules on steps where pumps may be switched within them (switches.py).

certificate.py says what is proved, reasons.py why a pump is switched, rules.py what level switches would do (the lowest rung), progress.py how far it is.
May import domain and hydraulics. Knows no database, clock, environment or network; uses no randomness but from its seed.
"""

from levada.schedule.problem import Work
from levada.schedule.progress import Progress
from levada.schedule.reasons import SwitchReason
from levada.schedule.rules import follow_rules
from levada.schedule.solve import Solution, explain_schedule, solve

__all__ = ["Progress", "Solution", "SwitchReason", "Work", "explain_schedule", "follow_rules", "solve"]
