"""Shapes of energy prices for benchmark cases: quarter-hours of a day, averaged to whatever the steps are.

The shapes are ours: night and day rates, day-ahead days as they look with much sun, much wind or scarcity, and random walks from a seed.
"""

from __future__ import annotations

import numpy as np

from levada.domain.series import Floats

__all__ = ["QUARTERS", "averaged", "random_day", "shapes"]

QUARTERS = 96
_HOURS = (np.arange(QUARTERS) + 0.5) / 4


def averaged(quarters: Floats, steps_a_day: int) -> Floats:
    """Means over even steps of a day: (96,) to (steps,). The steps are whole quarter-hours."""
    return np.asarray(quarters.reshape(steps_a_day, -1).mean(axis=1))


def _bump(centre_h: float, width_h: float) -> Floats:
    away = (_HOURS - centre_h + 12) % 24 - 12
    return np.asarray(np.exp(-0.5 * (away / width_h) ** 2))


def random_day(rng: np.random.Generator, *, may_be_negative: bool = True) -> Floats:
    """A day-ahead-like day, per kWh, (96,): a level, two peaks, a slow random walk, hourly steps within which quarters see-saw."""
    level = rng.uniform(0.04, 0.2)
    walk = np.cumsum(rng.normal(0, 0.12, 24))
    walk -= walk.mean()
    base = 1 + rng.uniform(0, 0.8) * _bump(rng.uniform(7, 9), 1.5) + rng.uniform(0, 1.2) * _bump(rng.uniform(18, 21), 1.8)
    sun = rng.uniform(0, 1.6) * _bump(13, rng.uniform(1.5, 3)) if rng.random() < 0.6 else np.zeros(QUARTERS)
    saw = np.tile(np.linspace(-1, 1, 4), 24) * rng.uniform(0, 0.25)
    price = level * (base + np.repeat(walk, 4) - sun + saw)
    return price if may_be_negative else np.maximum(price, 0.01 * level)


def shapes() -> dict[str, Floats]:
    """Twenty tariffs by name, each (96,) per kWh: flat, two and three rates, negative hours, quarter-hourly day-ahead shapes, 10 random ones."""
    night = np.where((_HOURS < 7) | (_HOURS >= 23), 0.06, 0.15)
    three = np.where((_HOURS < 8) | (_HOURS >= 22), 0.05, np.where((_HOURS >= 18) & (_HOURS < 21), 0.24, 0.13))
    saw = np.tile(np.linspace(-1, 1, 4), 24)
    rise = np.sign(np.gradient(_bump(8, 2) + _bump(19, 2.5)))
    day_ahead = 0.08 + 0.05 * _bump(8, 1.5) + 0.09 * _bump(19, 2)
    found = {
        "flat": np.full(QUARTERS, 0.1),
        "night rate": night,
        "three rates": three,
        "noon rate": np.where((_HOURS >= 11) & (_HOURS < 15), 0.03, 0.14),
        "negative noon": 0.11 + 0.06 * _bump(20, 2) - 0.17 * _bump(13, 2),
        "negative night": 0.09 - 0.13 * _bump(3, 2) + 0.03 * _bump(18, 2),
        "mostly negative": -0.03 + 0.08 * _bump(19, 1.5),
        "day-ahead": day_ahead + 0.02 * saw * -rise,
        "day-ahead, sun": day_ahead - 0.09 * _bump(13, 2.5) + 0.03 * saw * -rise,
        "day-ahead, scarce": day_ahead + 0.6 * _bump(18.5, 0.7) + 0.02 * saw,
    }
    for seed in range(1, 11):
        found[f"random {seed}"] = random_day(np.random.default_rng([2026, seed]))
    return found
