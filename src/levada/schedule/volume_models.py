"""How stored volume moves under each configuration: what the bound over volumes (volume_bound.py) stands on, sampled in EPANET.

Where few configurations act and the tanks hang together, what matters of the state is the volume stored in all tanks together, and little
besides: tanks that are connected keep levels that differ by what the last configuration left. So the state is cut into

    a   the volume stored in all tanks, m3
    b   one coordinate of the rest: the direction, of the tanks' heads from their mean, in which cost and inflow change most (for one tank, none)

and what remains is bounded by the zone (reach.Zone) that the last configuration can have led to. For each step k, group g of histories (the last configurations) and
configuration c, the volume after the step, b after it and the energy of each meter are fitted as

    f(a, d) = p0 + p1 a + p2 a2 + p3 a3 + (q + r a) . d + s2 b2 + s3 b3        d: the tanks' heads less their mean (weighted by size), b in it

to steps that EPANET runs from states drawn in the zone. Margins are the largest deviations: over the samples of the fit, and, pooled over steps, over
independent samples of another draw times a safety factor. Zones are propagated through the same steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from levada.domain.billing import metered
from levada.domain.series import Floats
from levada.schedule.joint import Histories, JointConfigurations
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import Zone, whole

__all__ = ["VolumeModels", "fit_volume_models", "outputs", "predict"]

_SAFETY = 1.4
"""Factor on the largest deviations that samples show."""

_NOISE, _NOISE_B = 1e-4, 0.05
"""Margins that every fit gets: a share of the largest output; for b, which only chooses cells, of its range."""

_WIDEN = 0.06
"""Share of a step's spread by which its zone is widened."""

_POLYNOMIAL = 4
"""Coefficients in a."""


@dataclass
class VolumeModels:
    """Fits over the steps. Index [k, g, c]; outputs: 0 the volume a after the step (m3), 1 b after it (m), then the energy of each meter (kWh),
    then what each source gives (m3).

    `poly` (n, groups, configurations, outputs, 4) in the scaled volume, `slope` (…, outputs, T) and `tilt` (…, outputs, T) on d, `bend`
    (…, outputs, 2) on b2 and b3;
    `low`, `high` (…, outputs) margins below and above; `possible` (n, groups, configurations).
    """

    histories: Histories
    zones: list[list[Zone | None]]
    """Zone at each instant by group of the history before it, [n + 1][groups]; None where no state can be."""
    direction: Floats
    """(T,): b = direction . d."""
    weight: Floats
    """(T,): share of each tank in the mean head."""
    poly: Floats
    slope: Floats
    tilt: Floats
    bend: Floats
    low: Floats
    high: Floats
    possible: NDArray[np.bool_]
    a_low: float
    a_high: float
    samples: int

    def differences(self, y: Floats) -> Floats:
        """d (N, tanks), m: heads (N, tanks) less their mean."""
        return np.asarray(y - (y @ self.weight)[:, None], np.float64)

    def scaled(self, a: Floats) -> Floats:
        """Volume scaled to 0..1."""
        return (a - self.a_low) / (self.a_high - self.a_low)


def fit_volume_models(plant: Plant, joint: JointConfigurations, histories: Histories, rng: np.random.Generator, points: int) -> VolumeModels | None:
    """Propagate zones and fit the models, `points` states for each step, group and configuration, twice: to fit and to measure.

    None where no configuration keeps the limits from any state that can be reached.
    """
    n, tanks, kinds = plant.n, plant.tanks, len(joint.counts)
    groups = len(histories.group_after)
    engine = plant.simulator
    area = plant.span / plant.rise_m
    weight = area / area.sum()
    meters = metered(plant.problem)
    outputs = 2 + len(meters) + len(plant.problem.sources)
    shape = (n, groups, kinds, outputs)
    models = VolumeModels(
        histories=histories, zones=[], direction=np.zeros(tanks), weight=weight, poly=np.zeros((*shape, _POLYNOMIAL)), slope=np.zeros((*shape, tanks)),
        tilt=np.zeros((*shape, tanks)), bend=np.zeros((*shape, 2)), low=np.zeros(shape), high=np.zeros(shape), possible=np.zeros((n, groups, kinds), bool),
        a_low=float(engine.min_volume.sum()), a_high=float(engine.max_volume.sum()), samples=0,
    )  # fmt: skip
    limit = whole(plant)
    y0 = plant.heads(engine.volumes(plant.problem.initial_level_m)[None])[0]
    start = _point(y0)
    zones: list[list[Zone | None]] = [[start] * groups]
    drawn: list[tuple[Floats, Ints, Ints, Floats, Floats, NDArray[np.bool_]]] = []
    for k in range(n):
        if not joint.ready[k].any() or not any(z is not None for z in zones[k]):
            return None
        rows = _run(plant, joint, models, zones[k], k, rng, points)
        drawn.append(rows)
        zones.append(_next_zones(models, rows, limit, zones[k]))
    models.zones = zones
    _choose_direction(plant, models, drawn)
    for k, rows in enumerate(drawn):
        _fit(plant, models, k, rows)
    _measure(plant, joint, models, rng, points)
    return models


def _point(y: Floats) -> Zone:
    y = np.concatenate([[0.0], y])
    return Zone(y[:, None] - y[None, :])


_Rows = tuple[Floats, Ints, Ints, Floats, Floats, NDArray[np.bool_]]
"""States before (N, tanks) as heads, group, configuration (N,), states after as heads, outputs (N, outputs), feasible."""


def _run(
    plant: Plant, joint: JointConfigurations, models: VolumeModels, zones: list[Zone | None], k: int, rng: np.random.Generator, points: int
) -> _Rows:
    """Run all configurations that may be from `points` states of each group's zone."""
    ready = joint.ready[k]
    there = [(i, z) for i, z in enumerate(zones) if z is not None]
    y = np.concatenate([z.draw(points, rng) for _, z in there])
    g = np.repeat([i for i, _ in there], points)
    kinds = np.flatnonzero(ready)
    y, g, c = np.repeat(y, len(kinds), axis=0), np.repeat(g, len(kinds)), np.tile(kinds, len(y))
    order = np.argsort(c, kind="stable")  # pumps are set once a configuration
    y, g, c = y[order], g[order], c[order]
    volume = plant.volumes_at(y)
    steps = plant.simulator.steps(np.full(len(c), k), volume, joint.speeds_at(k, c), joint.choices[c])
    models.samples += len(c)
    served = steps.served
    out = outputs(plant, models, k, steps.volume[served], steps.power[served], steps.source[served])
    return y[served], g[served], c[served], plant.heads(steps.volume[served]), out, steps.severity[served] == 0.0


def outputs(plant: Plant, models: VolumeModels, k: int, volume: Floats, power: Floats, source: Floats) -> Floats:
    """What the models predict, (N, outputs), of steps k that ended with volumes (N, tanks) and drew power (N, pumps), W, and water (N, sources)."""
    meters = metered(plant.problem)
    out = np.zeros((len(volume), 2 + len(meters) + source.shape[1]))
    out[:, 0] = volume.sum(axis=1)
    out[:, 1] = models.differences(plant.heads(volume)) @ models.direction
    for i, m in enumerate(meters):
        out[:, 2 + i] = power[:, m.pumps].sum(axis=1) / 1000.0 * plant.problem.steps.hours[k]
    out[:, 2 + len(meters) :] = source
    return out


def _next_zones(models: VolumeModels, rows: _Rows, limit: Zone, before: list[Zone | None]) -> list[Zone | None]:
    """The zones after a step: where each group's configurations lead from all zones, widened, and cut at the limits; None where none leads."""
    _, g_before, c, after, _, ok = rows
    group = models.histories.group_after[g_before, c]
    found: list[Zone | None] = []
    everything = np.concatenate([np.zeros((len(after), 1)), after], axis=1)
    for g in range(len(before)):
        mine = (group == g) & ok
        if not mine.any():
            found.append(None)
            continue
        y = everything[mine]
        difference = y[:, :, None] - y[:, None, :]
        top, bottom = difference.max(axis=0), difference.min(axis=0)
        d = top + _WIDEN * (top - bottom) + 1e-3
        np.fill_diagonal(d, 0.0)
        closed = Zone.closed(np.minimum(d, limit.d))
        found.append(limit if closed.is_empty else closed)
    return found


def _coordinates(plant: Plant, models: VolumeModels, y: Floats) -> tuple[Floats, Floats, Floats]:
    """a (N,) m3, scaled a (N,), and d (N, tanks) m of states given as heads (N, tanks)."""
    a = plant.volumes_at(y).sum(axis=1)
    return a, models.scaled(a), models.differences(y)


def _choose_direction(plant: Plant, models: VolumeModels, drawn: list[_Rows]) -> None:
    """b's direction: in which energy and inflow, priced alike, change most with d."""
    if plant.tanks == 1:
        return
    price = np.maximum(np.abs(plant.class_price).mean(axis=1), 1e-9)
    w = models.weight
    gradients: list[Floats] = []
    for k, (y, g, c, _, out, ok) in enumerate(drawn):
        _, s, d = _coordinates(plant, models, y)
        kwh_per_m3 = max(float(out[:, 2:].sum(axis=1).max()), 1e-9) / max(float(np.ptp(out[:, 0])), 1e-9)
        for group in np.unique(g):
            for kind in np.unique(c):
                rows = (g == group) & (c == kind) & ok
                if rows.sum() < 2 * (_POLYNOMIAL + 1 + plant.tanks):
                    continue
                x = np.concatenate([_powers(s[rows]), d[rows]], axis=1)
                target = np.stack([out[rows, 2:].sum(axis=1), out[rows, 0] * kwh_per_m3], axis=1) * price[k]
                found = _least_squares(x, target)[_POLYNOMIAL:]
                gradients.extend(found.T - np.outer(found.T @ w, w) / float(w @ w))
    if not gradients:
        models.direction = np.eye(plant.tanks)[0] - models.weight
        return
    _, _, vt = np.linalg.svd(np.array(gradients), full_matrices=False)
    models.direction = vt[0]


def _powers(s: Floats) -> Floats:
    return np.stack([np.ones_like(s), s, s * s, s * s * s], axis=1)


def _least_squares(x: Floats, y: Floats) -> Floats:
    scale = np.maximum(np.abs(x).max(axis=0), 1e-9)
    padded = np.vstack([x / scale, 1e-3 * np.eye(x.shape[1])])
    found = np.linalg.lstsq(padded, np.vstack([y, np.zeros((x.shape[1], y.shape[1]))]), rcond=None)[0]
    return np.asarray(found / scale[:, None], np.float64)


def _features(models: VolumeModels, s: Floats, d: Floats) -> Floats:
    return np.concatenate([_powers(s), d, d * s[:, None], _bends(models, d)], axis=1)


def _bends(models: VolumeModels, d: Floats) -> Floats:
    b = d @ models.direction
    return np.stack([b * b, b * b * b], axis=1)


def _fit(plant: Plant, models: VolumeModels, k: int, rows: _Rows) -> None:
    y, g, c, after, out, ok = rows
    a, s, d = _coordinates(plant, models, y)
    target = out.copy()
    target[:, 1] = models.differences(after) @ models.direction  # b's direction was not chosen yet when these steps were run
    target[:, 0] -= a  # the change of volume is what is smooth
    tanks = plant.tanks
    for group in np.unique(g):
        for kind in np.unique(c):
            mine = (g == group) & (c == kind)
            if not mine.any():
                continue
            # Hydraulics go on smoothly beyond the limits: all samples shape the fit, those that keep the limits its margins.
            x = _features(models, s[mine], d[mine])
            found = _least_squares(x, target[mine])
            deviation = (target[mine] - x @ found)[ok[mine]]
            models.possible[k, group, kind] = len(deviation) > 0
            deviation = deviation if len(deviation) else np.zeros((1, target.shape[1]))
            models.poly[k, group, kind] = found[:_POLYNOMIAL].T
            models.slope[k, group, kind] = found[_POLYNOMIAL : _POLYNOMIAL + tanks].T
            models.tilt[k, group, kind] = found[_POLYNOMIAL + tanks : _POLYNOMIAL + 2 * tanks].T
            models.bend[k, group, kind] = found[_POLYNOMIAL + 2 * tanks :].T
            # What rounding and EPANET's convergence leave, as a share of the largest outputs, is no news later on.
            noise = _NOISE * np.maximum(np.abs(target).max(axis=0), 1e-3)
            noise[1] = _NOISE_B * float(np.ptp(target[:, 1]))
            models.low[k, group, kind] = _SAFETY * np.maximum(-deviation.min(axis=0), 0.0) + noise
            models.high[k, group, kind] = _SAFETY * np.maximum(deviation.max(axis=0), 0.0) + noise


def predict(models: VolumeModels, k: int, g: Ints, c: Ints, a: Floats, d: Floats) -> Floats:
    """The fits (N, outputs) at step k, groups, configurations (N,), volumes a (N,), deviations d (N, tanks)."""
    s = models.scaled(a)
    value = np.einsum("noi,ni->no", models.poly[k, g, c], _powers(s))
    value += np.einsum("not,nt->no", models.slope[k, g, c], d) + np.einsum("not,nt->no", models.tilt[k, g, c], d * s[:, None])
    value += np.einsum("noi,ni->no", models.bend[k, g, c], _bends(models, d))
    value[:, 0] += a
    return np.asarray(value, np.float64)


def _measure(plant: Plant, joint: JointConfigurations, models: VolumeModels, rng: np.random.Generator, points: int) -> None:
    """Widen margins by what independent steps exceed them, at the step itself and its neighbours."""
    n = len(models.low)
    low, high = np.zeros_like(models.low), np.zeros_like(models.high)
    for k in range(n):
        y, g, c, _, out, ok = _run(plant, joint, models, models.zones[k], k, rng, points)
        models.possible[k, g[ok], c[ok]] = True
        a, _, d = _coordinates(plant, models, y[ok])
        deviation = out[ok] - predict(models, k, g[ok], c[ok], a, d)
        np.maximum.at(low[k], (g[ok], c[ok]), -deviation - models.low[k, g[ok], c[ok]])
        np.maximum.at(high[k], (g[ok], c[ok]), deviation - models.high[k, g[ok], c[ok]])
    hours = plant.problem.steps.hours
    for k in range(n):
        near = [j for j in (k - 1, k, k + 1) if 0 <= j < n and hours[j] == hours[k]]
        models.low[k] += _SAFETY * low[near].max(axis=0)
        models.high[k] += _SAFETY * high[near].max(axis=0)
