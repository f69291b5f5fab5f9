"""From schedules of counts to one of pumps: the best that holds with the very pumps that are to run, which are alike to a thousandth only, or to a few."""

from __future__ import annotations

from levada.domain.pumping import PumpSchedule
from levada.schedule.assignment import to_pumps
from levada.schedule.candidate import Candidate, Runner
from levada.schedule.near import levers_of
from levada.schedule.progress import Teller
from levada.schedule.replan import Descent

__all__ = ["settled"]

_TURNS = 4
"""So often is a schedule planned anew for the pumps that are to run."""


def settled(runner: Runner, ranked: list[Candidate], price: float, teller: Teller, *, programmes: bool) -> tuple[Candidate, PumpSchedule]:
    """The first of the schedules, ranked from the best on, that holds by pumps as by classes: by classes and by pumps. Where none does the best is planned anew near it, with
    just the pumps running that are to run, if `programmes` may be; where all break limits it is the best."""
    plant, best = runner.plant, None
    for c in ranked:
        schedule = to_pumps(plant, c.counts, c.speeds, c.choices)
        best = best or (c, schedule)
        if c.severity > 0 or not plant.simulator.run(schedule).violations:
            return c, schedule
    assert best is not None
    c, schedule = best
    for _ in range(_TURNS if programmes and any(cls.is_nearly for cls in plant.classes) else 0):
        if teller.is_stopped:
            break
        runner.follow(schedule)
        c = Descent(runner, runner.simulate(c.trial), levers_of(plant), price, teller).go(1)
        schedule = to_pumps(plant, c.counts, c.speeds, c.choices)
        if c.severity == 0 and not plant.simulator.run(schedule).violations:
            break
    return c, schedule
