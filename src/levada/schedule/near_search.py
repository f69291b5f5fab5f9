"""The search for plants whose states no linear model follows: many tanks on one part of the network, and more ways to run its pumps and set its valves than can be modelled.

Models and beams cost minutes there, and bound and guide nothing. Programmes near one schedule (replan.py) need but a step in EPANET for each of its steps and
each other choice, so they go on from the first schedule at once.
"""

from __future__ import annotations

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.anneal import can_be_annealed
from levada.schedule.bound import why_unbounded
from levada.schedule.candidate import Candidate, Runner, Trial
from levada.schedule.kicks import kicked
from levada.schedule.mend import mend, usual_speeds
from levada.schedule.models import MOST_TANKS
from levada.schedule.near import levers_of, near
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.programme import water_near
from levada.schedule.progress import Teller
from levada.schedule.replan import Descent
from levada.schedule.settle import settled
from levada.schedule.speeds import tune_speeds

__all__ = ["are_states_lost", "search_near", "water_near_schedule"]

_MORE = 3
"""How many times more programmes there are as long as limits are broken."""


def are_states_lost(plant: Plant) -> bool:
    """Whether there is no bound to be had and no level that models would follow."""
    return why_unbounded(plant) is not None and all(len(c.tanks) > MOST_TANKS for c in plant.components if c.classes)


def search_near(runner: Runner, starts: list[Trial], price: float, work: Work, teller: Teller) -> tuple[Candidate, PumpSchedule, Floats]:
    """The best schedule by classes and by pumps, and what a full tank's content is worth by instant and tank near it, (n + 1, tanks)."""
    levers = levers_of(runner.plant)
    fitting = [(mend(runner.plant, runner.fits, counts), speeds, choices) for counts, speeds, choices in starts]
    begun = [runner.simulate((counts, usual_speeds(runner.plant, counts, speeds), choices)) for counts, speeds, choices in fitting]
    way = Descent(runner, min(begun, key=lambda c: c.objective(price)), levers, price, teller)
    best = way.go(work.quick_programmes)
    best = way.go(work.programmes * (1 if best.severity == 0 else _MORE), thoroughly=True) if work.programmes else best
    if work.kicks and can_be_annealed(levers):
        best = kicked(runner, best, levers, price, work.kicks, work.seed, teller)
    ranked = [best, *begun]
    if work.quick_programmes and not teller.is_stopped:
        ranked.insert(0, tune_speeds(runner, best, price, budget=work.simulations // 4))
    best, schedule = settled(runner, sorted(ranked, key=lambda c: c.objective(price)), price, teller, programmes=work.quick_programmes > 0)
    return best, schedule, water_near(runner, near(runner, best, levers), levers, price)


def water_near_schedule(runner: Runner, schedule: Candidate, price: float) -> Floats:
    """What a full tank's content is worth by instant and tank near a schedule, (n + 1, tanks)."""
    levers = levers_of(runner.plant)
    return water_near(runner, near(runner, schedule, levers), levers, price)
