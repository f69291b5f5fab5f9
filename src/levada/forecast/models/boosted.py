"""Gradient-boosted trees on departures from the usual week (LightGBM), one model for all lead times of a zone."""

from __future__ import annotations

from typing import Final

import lightgbm
import numpy as np

from levada.domain.series import Floats
from levada.forecast.features import features, floored_baseline
from levada.forecast.history import History
from levada.forecast.wall_clock import Ints

__all__ = ["Boosted", "fit_boosted", "training_pairs"]

_MAX_ROWS: Final = 30_000
_ORIGIN_DISTANCES_H: Final = (6, 12, 24)
_FIRST_TARGET_H: Final = 14 * 24
_DEPARTURE_LIMITS: Final = (-1.0, 1.5)
_HALF_LIFE_H: Final = 365 * 24

_PARAMETERS: Final[dict[str, object]] = {
    "objective": "regression",
    "learning_rate": 0.05,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 127,
    # One thread, fixed order of sums: the same input gives the same bytes.
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


class Boosted:
    """A fitted model of one zone."""

    def __init__(self, booster: lightgbm.Booster) -> None:
        self._booster = booster

    def flow(self, history: History, origin: Ints, target: Ints) -> Floats:
        """Mean flow of the target hours as seen at the origins, m3/s, (rows,)."""
        departure = np.asarray(self._booster.predict(features(history, origin, target), num_threads=1), dtype=np.float64)
        flow: Floats = floored_baseline(history)[target] * (1.0 + departure)
        return flow


def training_pairs(history: History, until: int, lead_hours: int, seed: int) -> tuple[Ints, Ints]:
    """Pairs (origin, target) to learn from, all targets before hour `until`, leads 0 .. lead_hours - 1.

    Origins share the issue time's local hour, or lie a whole number of 6 or 12 hours from it while that keeps the rows few:
    a planner that asks at midnight is not helped by what is known at noon. Above the limit a random choice is made from the seed.
    """
    slot = history.clock.slot
    for distance in _ORIGIN_DISTANCES_H:
        at = np.flatnonzero((slot[:until] - slot[history.known]) % distance == 0)
        if len(at) * lead_hours <= _MAX_ROWS:
            break
    origin = np.repeat(at, lead_hours)
    target = origin + np.tile(np.arange(lead_hours), len(at))
    inside = (target < until) & (origin >= 168)
    origin, target = origin[inside], target[inside]
    usable = (target >= _FIRST_TARGET_H) & np.isfinite(history.flow[target]) & np.isfinite(history.baseline[target])
    origin, target = origin[usable], target[usable]
    if len(origin) > _MAX_ROWS:
        chosen = np.sort(np.random.default_rng(seed).choice(len(origin), _MAX_ROWS, replace=False))
        origin, target = origin[chosen], target[chosen]
    return origin, target


def fit_boosted(history: History, until: int, lead_hours: int, seed: int) -> Boosted | None:
    """Fit on targets before hour `until`; None where fewer than 300 rows can be made.

    The trees learn flow / baseline - 1, weighted by the baseline, so that errors count in m3/s; older rows count less (half after a
    year). Short histories get fewer and smaller trees.
    """
    origin, target = training_pairs(history, until, lead_hours, seed)
    if len(origin) < 300:
        return None
    base = floored_baseline(history)[target]
    departure = np.clip(history.flow[target] / base - 1.0, *_DEPARTURE_LIMITS)
    weight = base / history.scale * 0.5 ** ((until - target) / _HALF_LIFE_H)
    days = until // 24
    parameters = {
        **_PARAMETERS,
        "seed": seed % 2**31,
        "num_leaves": 15 if days > 200 else 8,
        "min_data_in_leaf": max(20, min(100, len(origin) // 60)),
    }
    data = lightgbm.Dataset(features(history, origin, target), departure, weight=weight, params={"verbose": -1})
    return Boosted(lightgbm.train(parameters, data, num_boost_round=int(np.clip(days, 60, 200))))
