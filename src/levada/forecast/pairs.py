"""Which past issue times and hours a model learns from, and on which it is judged."""

from __future__ import annotations

from typing import Final

import numpy as np

from levada.forecast.history import History
from levada.forecast.wall_clock import Ints
from levada.forecast.weights import FIRST_DAY_H

__all__ = ["MAX_ROWS", "held_out_hours", "recent_pairs", "training_pairs"]

MAX_ROWS: Final = 20_000
_HELD_OUT_DAYS: Final = (7, 84)
_ORIGIN_DISTANCES_H: Final = (6, 12, 24)
_FIRST_ORIGIN_H: Final = 168
_FIRST_TARGET_H: Final = 14 * 24
_NEAR_ROWS: Final = 3.0
"""How much likelier a row of the first day's leads is chosen: most decisions hang on them, and they are the fewest."""


def held_out_hours(history: History) -> int:
    """The last hours that a first fit leaves out to be judged on: a third of what is known, a week to twelve."""
    return 24 * int(np.clip(history.full_days // 3, *_HELD_OUT_DAYS))


def training_pairs(history: History, until: int, seed: int, any_hour: bool, most: int = MAX_ROWS) -> tuple[Ints, Ints]:
    """Pairs (origin, target) to learn from, all targets before hour `until`, of the leads that the history is asked for.

    Origins share the local hour of the history's end, or lie a whole number of 6 or 12 hours from it while that keeps the rows few:
    a planner that asks at midnight is not helped by what is known at noon. With `any_hour` they are of all hours alike, for a model
    that will be asked at any. Above `most` rows a random choice is made from the seed.
    """
    slot, leads = history.clock.slot, history.ahead
    rng = np.random.default_rng(seed)
    if any_hour:
        candidates = np.arange(_FIRST_ORIGIN_H, max(until, _FIRST_ORIGIN_H))
        at = np.sort(rng.choice(candidates, len(candidates) // 6, replace=False))
    else:
        for distance in _ORIGIN_DISTANCES_H:
            at = np.flatnonzero((slot[:until] - slot[history.known]) % distance == 0)
            if len(at) * leads <= MAX_ROWS:
                break
        at = at[at >= _FIRST_ORIGIN_H]
    origin = np.repeat(at, leads)
    target = origin + np.tile(np.arange(leads), len(at))
    usable = (target < until) & (target >= _FIRST_TARGET_H)
    usable[usable] = np.isfinite(history.flow[target[usable]])
    origin, target = origin[usable], target[usable]
    if len(origin) > most:
        likely = np.where(target - origin < FIRST_DAY_H, _NEAR_ROWS, 1.0)
        chosen = np.sort(rng.choice(len(origin), most, replace=False, p=likely / likely.sum()))
        origin, target = origin[chosen], target[chosen]
    return origin, target


def recent_pairs(history: History, held_out_h: int, any_hour: bool) -> tuple[Ints, Ints]:
    """Earlier issue times within the last `held_out_h` hours, a day apart (or 23 h, to be of any hour), and the known hours ahead of each."""
    distance = 23 if any_hour else 24
    origins = np.arange(history.known - distance, max(history.known - held_out_h, _FIRST_ORIGIN_H) - 1, -distance)[::-1]
    origin = np.repeat(origins, history.ahead)
    target = origin + np.tile(np.arange(history.ahead), len(origins))
    judged = target < history.known
    judged[judged] = np.isfinite(history.flow[target[judged]])
    return origin[judged], target[judged]
