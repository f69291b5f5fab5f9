"""Looking for the true steps that lower V most: where planes through those seen have it too high, near those seen that come to least, and anywhere.

What V gains in a step bends at its nodes alone, so a plane's worst is at one, or at an edge of what can be reached: one tank after the other is put to the best of these. Nodes along several tanks at once are met by what is drawn near the worst steps alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from levada.domain.series import Floats
from levada.schedule.hull_fit import Fitted
from levada.schedule.joint import JointConfigurations
from levada.schedule.least import least_of_each
from levada.schedule.plant import Ints
from levada.schedule.relaxation_samples import pieces_of_work
from levada.schedule.tank_planes import Planes, planes_of_solves
from levada.schedule.tank_steps import Seen, lowest, run
from levada.schedule.tank_values import TankValues

__all__ = ["TankSearch"]

_POOL, _LEAST_POOL, _MOST_DRAWN = 40, 8, 1_200_000
"""States drawn in each step, from the best of which each configuration is looked at; fewer where with all configurations these would be too many."""

_SWEEPS = 2
_MOST_LOOKED = 2400
"""Configurations of all steps together that are looked at from their best state on."""

_FIRST, _VAIN = 3, 2
"""A search begins with one in so many of a turn's steps by planes and as many anywhere; turns in vain after which it is over."""

_OTHER = 0.3
"""Share of the steps near others that are at any configuration."""

_THERE, _BESIDE = 0.5, 0.1
"""Share of a drawn state's tanks that are where the one seen has them; half of the others are beside it, by such a share of what can be reached."""


class TankSearch:
    """Steps of a plant over what can be reached; `steps`: how many were run; `planes`: those through solves."""

    def __init__(self, joint: JointConfigurations, fitted: Fitted, rng: np.random.Generator, pause: Callable[[], object] = lambda: None) -> None:
        """Between pieces of a few seconds' work there is a `pause`."""
        self.joint, self.steps, self._rng, self._pause = joint, 0, rng, pause
        self._states = fitted.states_of_steps(joint.plant)
        self._d = np.stack([z.d for z in fitted.zones])
        self.planes = planes_of_solves(joint, fitted.models)

    def anywhere(self, each: int) -> Seen:
        """True steps of about so many states of each step, at configurations in turn."""
        step, x = self._states.draw(each * self.joint.plant.n, self._rng)
        return self._run(step, self._kinds(step), x)

    def _run(self, step: Ints, kind: Ints, x: Floats) -> Seen:
        self.steps += len(step)
        pieces = []
        for at in pieces_of_work(self.joint.plant, max(len(step), 1)):
            self._pause()
            pieces.append(run(self.joint, step[at], kind[at], x[at], self._rng))
        return reduce(Seen.joined, pieces)

    def _kinds(self, step: Ints) -> Ints:
        """Configurations that may be in steps (N,), in turn."""
        kind = np.zeros(len(step), np.int64)
        for k in range(self.joint.plant.n):
            rows, ready = np.flatnonzero(step == k), np.flatnonzero(self.joint.ready[k])
            kind[rows] = self._rng.permutation(np.resize(self._rng.permutation(ready), len(rows)))
        return kind

    def worst(self, values: TankValues, seen: Seen, each: int, little: float) -> Seen:
        """True steps at which V may be too high: by planes and anywhere, then in turns near those that come to least by then, `each` in each step of the horizon, until two turns were in vain: the sum of the least fell by no more than `little`."""
        step, kind, x = self._by_planes(values, self.planes.through(seen), each // _FIRST)
        found = self._run(step, kind, x).joined(self.anywhere(each // _FIRST))
        least = np.minimum(seen.least(values), found.least(values))
        # V is the same in all turns, so that of what was seen before no other rows count.
        lowest_before = seen.rows(lowest(values, seen, each))
        vain = 0
        while vain < _VAIN:
            near = self._near(values, lowest_before.joined(found), each)
            found, before, least = found.joined(near), least, np.minimum(least, near.least(values))
            vain = 0 if before.sum() - least.sum() > little else vain + 1
        return found

    def _near(self, values: TankValues, seen: Seen, each: int) -> Seen:
        """True steps from states near those of the steps that come to least, most at their configurations."""
        plant, rng = self.joint.plant, self._rng
        own = lowest(values, seen, each)
        step = seen.step[own]
        others, drawn = self._states.draw(plant.n * 4, rng)
        first, count = np.searchsorted(others, np.arange(plant.n)), np.bincount(others, minlength=plant.n)
        other = drawn[first[step] + rng.integers(np.maximum(count[step], 1))]
        there = seen.x[own]
        width = self._d[step, 1:, 0] + self._d[step, 0, 1:]
        beside = np.clip(there + rng.normal(0.0, _BESIDE, there.shape) * width / plant.rise_m, 0.0, 1.0)
        x = np.where(rng.random(there.shape) < _THERE, there, np.where(rng.random(there.shape) < _THERE, beside, other))
        kind = np.where(rng.random(len(own)) < _OTHER, self._kinds(step), seen.kind[own])
        can = self._states.hold(step, x)
        return self._run(step[can], kind[can], x[can])

    def _by_planes(self, values: TankValues, planes: Planes, each: int) -> tuple[Ints, Ints, Floats]:
        """The worst by planes, so many in each step: steps, configurations, states."""
        n = self.joint.plant.n
        pool = min(_POOL, max(_LEAST_POOL, _MOST_DRAWN // (n * len(self.joint))))
        pool_step, pool_x = self._states.draw(n * pool, self._rng)
        can = planes.known & self.joint.ready
        step, kind, x = [], [], []
        for k in range(n):
            states, ready = pool_x[pool_step == k], np.flatnonzero(can[k])
            if not (len(ready) and len(states)):
                continue
            found = self._gains(values, planes, np.full((len(ready), len(states)), k), ready[:, None], states[None])
            best = found.argmin(axis=1)
            chosen = np.argsort(found[np.arange(len(ready)), best], kind="stable")[: max(_MOST_LOOKED // n, each)]
            step.append(np.full(len(chosen), k))
            kind.append(ready[chosen])
            x.append(states[best[chosen]])
        steps, of, at = np.concatenate(step), np.concatenate(kind), np.concatenate(x)
        at, comes_to = self._descend(values, planes, steps, of, at)
        own = least_of_each(n, steps, comes_to, each)
        return steps[own], of[own], at[own]

    def _gains(self, values: TankValues, planes: Planes, step: Ints, kind: Ints, x: Floats) -> Floats:
        """What planes say that steps come to."""
        cost, after = planes.at(step, kind, x)
        after = np.where(self.joint.plant.problem.may_stand_full, np.minimum(after, 1.0), after)
        return np.asarray(cost + values.at(step + 1, after) - values.at(step, np.broadcast_to(x, after.shape)), np.float64)

    def _descend(self, values: TankValues, planes: Planes, step: Ints, kind: Ints, x: Floats) -> tuple[Floats, Floats]:
        """From states x (N, tanks) on, one tank after the other put to where the step comes to least, and what it comes to, (N,)."""
        plant, rows = self.joint.plant, np.arange(len(step))
        places = values.places
        comes_to = self._gains(values, planes, step, kind, x)
        for tank in list(range(plant.tanks)) * _SWEEPS:
            low, high = self._range(step, x, tank)
            moved = planes.at(step, kind, x)[1][:, tank] - x[:, tank]
            nodes = np.concatenate([places[step, tank], places[step + 1, tank] - moved[:, None], low[:, None], high[:, None]], axis=1)
            tried = np.repeat(x[:, None], nodes.shape[1], axis=1)
            tried[:, :, tank] = np.clip(nodes, low[:, None], high[:, None])
            found = self._gains(values, planes, np.broadcast_to(step[:, None], nodes.shape), kind[:, None], tried)
            best = found.argmin(axis=1)
            better = found[rows, best] < comes_to
            x = np.where(better[:, None], tried[rows, best], x)
            comes_to = np.where(better, found[rows, best], comes_to)
        return x, comes_to

    def _range(self, step: Ints, x: Floats, tank: int) -> tuple[Floats, Floats]:
        """Least and greatest state of a tank that can be reached beside the others' (N,)."""
        plant = self.joint.plant
        y = np.concatenate([np.zeros((len(x), 1)), plant.floor_m + plant.rise_m * x], axis=1)
        others = [t for t in range(plant.tanks + 1) if t != tank + 1]
        high = (y[:, others] + self._d[step, tank + 1][:, others]).min(axis=1)
        low = (y[:, others] - self._d[step][:, others, tank + 1]).max(axis=1)
        low, high = (low - plant.floor_m[tank]) / plant.rise_m[tank], (high - plant.floor_m[tank]) / plant.rise_m[tank]
        return low, np.maximum(low, high)
