"""Better valleys beside the one a search came down into: a part of the best schedule is changed at random, and the way down begun from there.

Where programmes near the best schedule promise nothing more, other valleys lie a few changes beyond a ridge. A kick moves the counts of one or two classes by one over some hours, or moves what classes do as a
whole by some steps; programmes come down from there, and what is better is the next to be kicked. Kicks go in pairs, two ways down at once.

Lourenço, Martin and Stützle 2003, Iterated local search.
"""

from __future__ import annotations

import numpy as np

from levada.schedule.candidate import Candidate, Runner, Trial
from levada.schedule.mend import mend
from levada.schedule.near import Lever
from levada.schedule.plant import Ints
from levada.schedule.progress import Teller
from levada.schedule.replan import Descent, go_together

__all__ = ["kicked"]

_PROGRAMMES = 8
"""Programmes from each kick, and once more so many where these come near."""

_NEAR = 0.03
"""Share of the cost within which a way is near enough to go on."""

_SHIFTED = 0.3
"""Share of kicks that move what classes do in time, by so many steps at most:"""
_MOST_STEPS = 3

_LONGEST = 3
"""Counts are moved over one in so many of the steps at most."""

_GAIN = 1e-6
_MOST_IN_VAIN = 16
"""After so many kicks in vain there is an end."""

_CHOICES_A_KICK = 2
"""No more kicks than one for so many steps times classes: small plants have few valleys."""


def kicked(runner: Runner, best: Candidate, levers: list[Lever], price: float, kicks: int, seed: int, teller: Teller) -> Candidate:
    """The best schedule after at most so many kicks, and no more solves than the search before them took. `price`: cost of a unit of severity."""
    rng, in_vain, most = np.random.default_rng(seed), 0, 2 * runner.plant.simulator.solves
    for _ in range(min(kicks, runner.plant.n * len(runner.plant.classes) // _CHOICES_A_KICK) // 2):
        if in_vain >= _MOST_IN_VAIN or runner.plant.simulator.solves >= most or not teller("search"):
            break
        starts = [runner.simulate(_kick(runner, best, rng)) for _ in range(2)]
        ways = [Descent(runner, start, levers, price, teller) for start in starts]
        go_together(ways, _PROGRAMMES)
        go_together([way for way in ways if way.best.objective(price) < best.objective(price) + _NEAR * abs(best.cost)], _PROGRAMMES)
        found = min((way.best for way in ways), key=lambda c: c.objective(price))
        if found.objective(price) < best.objective(price) - _GAIN * abs(best.cost):
            best, in_vain = found, 0
            teller("search", best.cost if best.severity == 0 else None)
        else:
            in_vain += 2
    return best


def _kick(runner: Runner, best: Candidate, rng: np.random.Generator) -> Trial:
    plant, counts = runner.plant, best.counts.copy()
    if rng.random() < _SHIFTED:
        for c in _some(rng, len(plant.classes), len(plant.classes)):
            counts[:, c] = np.roll(counts[:, c], int(rng.integers(-_MOST_STEPS, _MOST_STEPS + 1)))
    else:
        longest = max(plant.n // _LONGEST, 1)
        rows = (int(rng.integers(0, plant.n)) + np.arange(int(rng.integers(min(_LONGEST, longest), longest + 1)))) % plant.n
        for c in _some(rng, len(plant.classes), 2):
            counts[rows, c] += rng.choice([-1, 1])
    counts = mend(plant, runner.fits, counts)
    return counts, np.where(counts > 0, np.where(best.speeds > 0, best.speeds, plant.top_speed), 0.0), best.choices


def _some(rng: np.random.Generator, of: int, most: int) -> Ints:
    """One to `most` of the first whole numbers."""
    return np.asarray(rng.permutation(of)[: int(rng.integers(1, most + 1))], np.int64)
