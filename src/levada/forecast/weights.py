"""How much each member counts: by its skill on recent values that it had not seen."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

import numpy as np

from levada.domain.series import Floats
from levada.forecast.wall_clock import Ints

__all__ = ["FIRST_DAY_H", "by_lead", "weigh"]

FIRST_DAY_H: Final = 24
"""Members are weighed apart for shorter and longer leads."""

_HALF_LIFE_H: Final = 28 * 24
_ROUNDS: Final = 150
_RATE: Final = 10.0
_REFITTED: Final = 0.7
"""How far weights are drawn to equal ones of the members that are fitted again after the weighing: fresher, they err less than they did in it."""


def by_lead(weights: Floats, lead_h: Ints) -> Floats:
    """A member's weights (2,), for leads of the first day and later ones, laid over leads (rows,)."""
    return weights[(lead_h >= FIRST_DAY_H).astype(np.int64)]


def weigh(measured: Floats, members: Mapping[str, Floats], lead_h: Ints, age_h: Ints, refitted: Set[str]) -> dict[str, Floats]:
    """Weights (2,) of each member by exponentiated gradient on the absolute error of the mixture; together 1 at each lead.

    `measured` and the members are (rows,), m3/s; errors `age_h` back count half after four weeks. As recent skill is noisy, the
    weights are the mean over a descent that starts at equal ones; `refitted` members count more than they earned. See Kivinen and Warmuth (1997), Information and Computation 132, 1-63.
    """
    said = np.column_stack(list(members.values()))
    recency = 0.5 ** (age_h / _HALF_LIFE_H)
    prior = np.array([name in refitted for name in members]) / max(1, len(refitted))
    weights = np.full((2, said.shape[1]), 1.0 / said.shape[1])
    for part, of in enumerate((lead_h < FIRST_DAY_H, lead_h >= FIRST_DAY_H)):
        if of.any():
            counts = recency[of] / recency[of].sum()
            weights[part] = _descend(said[of], measured[of], counts)
        if refitted:
            weights[part] = (1 - _REFITTED) * weights[part] + _REFITTED * prior
    return {name: weights[:, i] for i, name in enumerate(members)}


def _descend(said: Floats, measured: Floats, counts: Floats) -> Floats:
    """Mean of the weights over the rounds, (members,), of which the mixture's mean absolute error falls."""
    found = np.full(said.shape[1], 1.0 / said.shape[1])
    size = max(float(counts @ np.abs(measured - said @ found)), 1e-12)
    total = np.zeros(said.shape[1])
    for turn in range(_ROUNDS):
        slope = -(counts * np.sign(measured - said @ found)) @ said / size
        found = found * np.exp(-_RATE / (10 + turn) * (slope - found @ slope))
        found /= found.sum()
        total += found
    return total / _ROUNDS
