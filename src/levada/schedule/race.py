"""A race of programmes from several schedules: better valleys are not seen from afar."""

from __future__ import annotations

import math
from collections.abc import Callable

from levada.schedule.candidate import Candidate, Runner
from levada.schedule.near import Lever, is_large
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.replan import Descent, go_together, onward

__all__ = ["race"]

_ROUNDS = (0.2, 0.3, 0.5)
"""Shares of a schedule's quick programmes in each round."""

_MORE = 3
"""How many times more programmes there are as long as limits are broken."""


def race(
    runner: Runner, starts: list[Candidate], levers: list[Lever], price: float, work: Work, teller: Teller, is_over: Callable[[list[Candidate]], bool]
) -> None:
    """Quick programmes from several schedules: the better half of them goes on, and further each time. The winner goes on thoroughly, three times as far
    where limits are broken: it ends by itself where nothing more is promised. `is_over` is told the best of each way before every round, and whether it ends there; and
    once more at the end. `price`: cost of a unit of severity."""
    starts = list({c.key: c for c in starts}.values())
    if not starts or not work.quick_programmes or teller.is_stopped:
        return
    if is_large(runner.plant, levers):
        starts = sorted(starts, key=lambda c: c.objective(price))[:1]
    ways = [Descent(runner, start, levers, price, teller) for start in starts]
    bests = starts
    for share in _ROUNDS:
        if is_over(bests):
            return
        go_together(ways, math.ceil(share * work.quick_programmes))
        bests = [way.best for way in ways]
        ways = onward(ways, price)
    if is_over(bests):
        return
    ways[0].go(work.programmes * (1 if ways[0].best.severity == 0 else _MORE), thoroughly=True)
    is_over([ways[0].best])
