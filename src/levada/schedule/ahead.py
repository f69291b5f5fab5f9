"""One step of the plant on response surfaces, for many states and actions at once: what the search looks ahead with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.billing import StepCosts
from levada.domain.series import Floats
from levada.hydraulics.engine import severity_weights
from levada.schedule.plant import Ints, Plant
from levada.schedule.surface import Surface
from levada.schedule.whole import Whole

__all__ = ["FREE_SHARE", "Ahead", "Forecast"]

FREE_SHARE = 0.01
"""Surfaces may be wrong by this share of a tank before a predicted overflow counts."""

_FREE_METRES = 0.2
_FREE_POWER = 0.005
_MOST_PARTS = 2
"""A forecast cuts a step into at most so many parts of constant flow: it only has to rank."""

_SOURCE_SAMPLES = 200

_FURTHEST = 1.0
"""States further beyond empty or full than a whole tank are told as just that: surfaces know nothing there, and run away."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Rows after a step: states (N, tanks), cost (N,), severity of all but levels (N,), power from the grid (N, meters) kW, and what the step
    adds to the totals that are limited over the day or horizon (N, totals)."""

    x: Floats
    cost: Floats
    severity: Floats
    grid_kw: Floats
    totals: Floats


class Forecast:
    """The plant on surfaces. `whole` says what is limited and billed beyond the steps."""

    def __init__(self, plant: Plant, surfaces: list[Surface], whole: Whole) -> None:
        problem = plant.problem
        self.plant, self.surfaces, self.whole = plant, surfaces, whole
        self._costs = StepCosts(problem)
        self._first = [c.pumps[0] for c in plant.classes]
        """Each class's power is shown at its first pump."""
        caps = [(m.max_power_kw, m.pumps) for m in whole.meters if m.max_power_kw is not None]
        if problem.max_power_kw is not None:
            caps.append((problem.max_power_kw, np.arange(plant.pumps)))
        self._caps = [(kw, np.isin(self._first, pumps)) for kw, pumps in caps]
        kinds = ("level", "reserve", "pressure", "supply", "power", "end level")
        self._weight = dict(zip(kinds, severity_weights(problem, kinds).tolist(), strict=True))
        none = np.full((plant.n, plant.tanks), np.inf)
        simulator = plant.simulator
        least = -none if problem.reserve_level_m is None else np.array([plant.state(simulator.volumes(row)) for row in problem.reserve_level_m])
        most = none if problem.ceiling_level_m is None else np.array([plant.state(simulator.volumes(row)) for row in problem.ceiling_level_m])
        # The state after a step is judged by the limits of that step and of the next.
        self._least = np.maximum(least, np.vstack([least[1:], least[-1:]]))
        self._most = np.minimum(most, np.vstack([most[1:], most[-1:]]))
        self._has_reserves = problem.reserve_level_m is not None or problem.ceiling_level_m is not None
        self._sources = self._fit_sources() if problem.sources else None

    def step(self, k: int, x: Floats, configuration: Ints, speeds: Floats) -> Ahead:
        """After step k from states x (N, tanks), configuration (N, components), speeds (N, classes)."""
        plant, problem = self.plant, self.plant.problem
        duration = int(problem.steps.durations_s[k])
        parts = min(-(-duration // problem.hydraulic_step_s), _MOST_PARTS)
        h = duration / parts
        steps = np.full(len(x), k)
        classes = len(plant.classes)
        severity, mean_w = np.zeros(len(x)), np.zeros((len(x), classes))
        drawn = np.zeros((len(x), len(problem.sources)))
        for _ in range(parts):
            dx, watts, flow = np.zeros_like(x), np.zeros((len(x), classes)), np.zeros((len(x), classes))
            for m, s in enumerate(self.surfaces):
                tanks, own = list(s.component.tanks), list(s.component.classes)
                t, q = len(tanks), len(own)
                out = s.evaluate(steps, configuration[:, m], x[:, tanks], speeds[:, own])
                dx[:, tanks] += out[:, :t] * h / plant.span[tanks]
                watts[:, own] = out[:, t : t + q]
                flow[:, own] = out[:, t + 2 * q : t + 3 * q]
                severity += self._weight["supply"] * 0.05 * (out[:, t + q : t + 2 * q] <= 0).sum(axis=1)
                severity += self._weight["pressure"] * np.maximum(-_FREE_METRES - out[:, t + 3 * q :], 0.0).sum(axis=1) / 10.0
            mean_w += watts / parts
            if self._sources is not None:
                drawn += np.concatenate([np.ones((len(x), 1)), x, flow], axis=1) @ self._sources * h
            x = np.clip(x + dx, -_FURTHEST, 1.0 + _FURTHEST)
            x = np.where(problem.may_stand_full, np.minimum(x, 1.0), x)
            for kw, members in self._caps:
                severity += self._weight["power"] * np.maximum(watts[:, members].sum(axis=1) / 1000.0 / max(kw, 1.0) - 1.0 - _FREE_POWER, 0.0)
        power = np.zeros((len(x), plant.pumps))
        power[:, self._first] = mean_w
        grid = self.whole.grid_kw(steps, power)
        return Ahead(x, self._costs.of(steps, power, drawn), severity, grid, self.whole.totals(k, self.whole.co2_kg(steps, grid), drawn))

    def beyond(self, k: int | slice, x: Floats, free: float = FREE_SHARE) -> Floats:
        """Severity of states (..., tanks) after step k (or (..., steps, tanks) after a slice of steps) beyond their limits and reserves by more than a share `free`."""
        low, high = np.minimum(0.0, self.plant.x0) - free, 1.0 + free
        found = self._weight["level"] * (np.maximum(x - high, 0.0) + np.maximum(low - x, 0.0)).sum(axis=-1)
        if self._has_reserves:
            off = np.maximum(x - self._most[k] - free, 0.0) + np.maximum(self._least[k] - free - x, 0.0)
            found = found + self._weight["reserve"] * off.sum(axis=-1)
        return np.asarray(found, np.float64)

    def end(self, x: Floats, free: float = 0.0) -> Floats:
        """Severity of ending in states (..., tanks) off what is asked for by more than a share `free`."""
        low, high = self.whole.end_states
        return np.asarray(self._weight["end level"] * (np.maximum(low - x - free, 0.0) + np.maximum(x - high - free, 0.0)).sum(axis=-1), np.float64)

    def configuration(self, counts: Ints, speeds: Floats, choices: Ints) -> Ints:
        """Configuration of each component (N, components) that counts, speeds (N, classes) and choices (N, valves) fall into."""
        found = np.zeros((len(counts), len(self.surfaces)), np.int64)
        for m, s in enumerate(self.surfaces):
            code = np.zeros(len(counts), np.int64)
            for cls in s.component.classes:
                bins = self.plant.classes[cls].bins
                edges = np.array([b[1] for b in bins[:-1]])
                b = np.searchsorted(edges, speeds[:, cls])
                # The states of a class are off, then counts in order, each with its bins; components list their product in order, then that of their valves.
                code = code * (1 + self.plant.class_size[cls] * len(bins)) + np.where(counts[:, cls] > 0, 1 + (counts[:, cls] - 1) * len(bins) + b, 0)
            for v in s.component.valves:
                code = code * len(self.plant.problem.valves[v].choices) + choices[:, v]
            found[:, m] = s.component.place[code]
        return found

    def _fit_sources(self) -> Floats:
        """Water drawn from each source (m3/s) as a linear function of [1, states, flows of classes], (inputs, sources)."""
        plant = self.plant
        rng = np.random.default_rng(0)
        step = rng.integers(plant.n, size=_SOURCE_SAMPLES)
        x = rng.random((_SOURCE_SAMPLES, plant.tanks))
        counts = rng.integers(0, plant.available[step] + 1)
        speed = np.zeros((_SOURCE_SAMPLES, plant.pumps))
        for r in range(_SOURCE_SAMPLES):
            on, at = plant.pumps_on(int(step[r]), counts[r], plant.top_speed)
            speed[r] = np.where(on, at, 0.0)
        order = np.argsort(step, kind="stable")
        solved = plant.simulator.solves_at(step[order], plant.volume(x[order]), speed[order], np.repeat(plant.first_choice, _SOURCE_SAMPLES, axis=0))
        flow = np.stack([solved.flow[:, list(c.pumps)].sum(axis=1) for c in plant.classes], axis=1)
        good = solved.warning < 100
        a = np.concatenate([np.ones((_SOURCE_SAMPLES, 1)), x[order], flow], axis=1)[good]
        damped = np.vstack([a, 1e-6 * np.eye(a.shape[1])]), np.vstack([solved.source[good], np.zeros((a.shape[1], solved.source.shape[1]))])
        return np.asarray(np.linalg.lstsq(*damped, rcond=None)[0], np.float64)
