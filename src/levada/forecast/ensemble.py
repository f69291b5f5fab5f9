"""The best rung: several members, weighed zone by zone by their recent skill on values that they had not seen.

Members: the usual week at the present level (models/seasonal.py), the median of like days (features.Rows.usual), boosted trees of the
zone alone in two views (models/boosted.py), trees of all zones together, and where weather is given trees of the zone that see it too.
All trees are fitted twice: first without the last weeks, on which the members are then weighed and their joint errors kept for the
bands; then on all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from levada.domain.series import Floats
from levada.forecast.features import Rows, rows
from levada.forecast.history import History
from levada.forecast.models.boosted import Boosted, View, fit_boosted
from levada.forecast.models.seasonal import seasonal
from levada.forecast.pairs import held_out_hours, recent_pairs, training_pairs
from levada.forecast.wall_clock import Ints
from levada.forecast.weights import by_lead, weigh

__all__ = ["MEMBERS", "Calibration", "Ensemble", "fit_ensembles"]

_TREES: Final = {"trees on level": View.LEVEL, "trees on usual": View.USUAL}
_POOLED, _WITH_WEATHER = "trees of all zones", "trees with weather"
MEMBERS: Final = ("seasonal", "like days", *_TREES, _POOLED, _WITH_WEATHER)
"""Names of the members, as explanations give them."""

_POOLED_ROWS: Final = 60_000
_LEAST_ROWS: Final = 300
_LEAST_ERRORS: Final = 100
_WEATHER_GAIN: Final = 0.995
"""The trees with weather must err less than this part of the same trees without, or they are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Forecasts of the past that were made without what they are judged by: pairs (rows,) of hours, and the flow expected, m3/s."""

    origin: Ints
    target: Ints
    flow: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ensemble:
    """Fitted `trees` by name of the member; `weights` name -> (2,): shares for leads of the first day, and of later ones."""

    trees: Mapping[str, Boosted]
    weights: Mapping[str, Floats]
    weather: str

    def flow(self, of: Rows, history: History, origin: Ints, target: Ints) -> Floats:
        """Mean flow of the rows' target hours, m3/s, (rows,), not negative."""
        members = _members(self.trees, of, history, origin, target)
        return sum((by_lead(self.weights[name], target - origin) * flow for name, flow in members.items()), np.zeros(len(target)))

    def effects(self, of: Rows, lead_h: Ints) -> Floats:
        """What each feature adds to each row's flow through the trees, m3/s, (rows, features)."""
        total = np.zeros(of.table.shape)
        for name, trees in self.trees.items():
            found = trees.effects(of)
            total[:, : found.shape[1]] += by_lead(self.weights[name], lead_h)[:, None] * found
        return total


@dataclass(slots=True, eq=False)
class _Fit:
    """A zone on its way through fit_ensembles."""

    history: History
    origin: Ints
    target: Ints
    judged: Rows
    until: tuple[int, int]
    """End of the hours that the first and the last fit may learn from."""


def fit_ensembles(
    histories: Sequence[History], seed: int, *, any_hour: bool = False, threads: int = 1, each: Callable[[int], None] = lambda _: None
) -> list[tuple[Ensemble, Calibration] | None]:
    """Fit, weigh and fit again; None for a zone with too few complete weeks. `each` is told the position of a zone that is done.

    With `any_hour` the models may be asked at any hour of the day, else at that of the histories' end.
    """
    fits = [_prepare(history, any_hour) for history in histories]
    ready = [fit for fit in fits if fit is not None]
    pooled = [_fit_pooled(ready, part, seed, any_hour) if len(ready) > 1 else None for part in (0, 1)]

    def fitted(fit: _Fit | None) -> tuple[Ensemble, Calibration] | None:
        return None if fit is None else _fit_zone(fit, pooled, seed, any_hour)

    found = []
    with ThreadPoolExecutor(threads) as threaded:
        for i, one in enumerate(threaded.map(fitted, fits)):
            found.append(one)
            each(i)
    return found


def _prepare(history: History, any_hour: bool) -> _Fit | None:
    held_out_h = held_out_hours(history)
    origin, target = recent_pairs(history, held_out_h, any_hour)
    until = history.known - held_out_h
    if len(origin) < _LEAST_ERRORS or len(training_pairs(history, until, 0, any_hour)[0]) < _LEAST_ROWS:
        return None
    return _Fit(history, origin, target, rows(history, origin, target), (until, history.known))


def _fit_pooled(fits: Sequence[_Fit], part: int, seed: int, any_hour: bool) -> Boosted:
    """Trees of all zones, in units of each zone's level, so that a small zone teaches as much as a large one."""
    tables, shares, ages = [], [], []
    for fit in fits:
        until = fit.until[part]
        origin, target = training_pairs(fit.history, until, seed, any_hour, most=max(_LEAST_ROWS, _POOLED_ROWS // len(fits)))
        of = rows(fit.history, origin, target, with_weather=False)
        tables.append(of)
        shares.append(fit.history.flow[target])
        ages.append(until - target)
    joined = Rows(*(np.concatenate([getattr(of, name) for of in tables]) for name in ("table", "usual", "level", "bridge")))
    scale = np.concatenate([np.full(len(age), fit.history.scale) for age, fit in zip(ages, fits, strict=True)])
    return fit_boosted(joined, np.concatenate(shares), np.concatenate(ages), View.LEVEL, seed, scale)


def _fit_zone(fit: _Fit, pooled: Sequence[Boosted | None], seed: int, any_hour: bool) -> tuple[Ensemble, Calibration]:
    history, origin, target = fit.history, fit.origin, fit.target
    measured, lead_h, age_h = history.flow[target], target - origin, history.known - target
    first = _fit_trees(fit, 0, pooled[0], seed, any_hour)
    members = _members(first, fit.judged, history, origin, target)
    weather = "none was given"
    if _WITH_WEATHER in members:
        seeing, blind = (float(np.abs(measured - members[name]).mean()) for name in (_WITH_WEATHER, "trees on level"))
        helps = seeing < _WEATHER_GAIN * blind
        weather = f"{'used' if helps else 'not used'}: with it, trees err {seeing / blind - 1:+.1%} on values that they had not seen"
        if not helps:
            del members[_WITH_WEATHER]
    weights = weigh(measured, members, lead_h, age_h, first.keys() & members.keys())
    joined = sum((by_lead(weights[name], lead_h) * flow for name, flow in members.items()), np.zeros(len(target)))
    trees = {name: t for name, t in _fit_trees(fit, 1, pooled[1], seed, any_hour).items() if name in members}
    return Ensemble(trees=trees, weights=weights, weather=weather), Calibration(origin, target, joined)


def _fit_trees(fit: _Fit, part: int, pooled: Boosted | None, seed: int, any_hour: bool) -> dict[str, Boosted]:
    until = fit.until[part]
    origin, target = training_pairs(fit.history, until, seed, any_hour)
    of, flow, age_h = rows(fit.history, origin, target), fit.history.flow[target], until - target
    found = {name: fit_boosted(of.without_weather(), flow, age_h, view, seed) for name, view in _TREES.items()}
    if pooled is not None:
        found[_POOLED] = pooled
    if fit.history.weather:
        found[_WITH_WEATHER] = fit_boosted(of, flow, age_h, View.LEVEL, seed)
    return found


def _members(trees: Mapping[str, Boosted], of: Rows, history: History, origin: Ints, target: Ints) -> dict[str, Floats]:
    """What each member says, (rows,), m3/s, not negative."""
    said = {"seasonal": seasonal(history, origin, target), "like days": of.usual, **{name: t.flow(of) for name, t in trees.items()}}
    return {name: np.maximum(flow * of.bridge, 0.0) for name, flow in said.items()}
