"""From how many identical pumps run to which of them: an exact search over the set that is on and the starts each has used."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant

__all__ = ["Fits", "assign", "to_pumps"]

_MOST_STATES = 20_000

_State = tuple[int, tuple[int, ...]]


def assign(
    counts: Ints, available: NDArray[np.bool_], max_starts: Ints, initial_on: NDArray[np.bool_], *, periodic: bool
) -> NDArray[np.bool_] | None:
    """Which pumps of a class run in each step, (n, pumps), so that `counts` (n,) of them run and none starts more than it may.

    available (n, pumps); max_starts, initial_on (pumps,). With `periodic` the step before the first is the last, otherwise
    `initial_on` is. Sets change by as few pumps as they can: swapping running pumps cannot save a start. Returns None where there
    is no such assignment (or, beyond a large number of states, none was found).
    """
    n, pumps = available.shape
    limit = tuple(int(s) for s in max_starts)
    if periodic:
        befores = [sum(1 << j for j in c) for c in combinations(range(pumps), int(counts[-1])) if all(available[-1, j] for j in c)]
    else:
        befores = [sum(1 << j for j in range(pumps) if initial_on[j])]
    for before in befores:
        found = _from(before, counts, available, limit, close=periodic)
        if found is not None:
            return np.array([[bool(mask >> j & 1) for j in range(pumps)] for mask in found]).reshape(n, pumps)
    return None


def _from(before: int, counts: Ints, available: NDArray[np.bool_], limit: tuple[int, ...], *, close: bool) -> list[int] | None:
    n, pumps = available.shape
    layers: list[dict[_State, _State]] = []
    layer: dict[_State, _State] = {(before, (0,) * pumps): (before, ())}
    for k in range(n):
        ready = sum(1 << j for j in range(pumps) if available[k, j])
        following: dict[_State, _State] = {}
        for state in layer:
            mask, used = state
            for after in _nearest(mask & ready, ready, int(counts[k]), pumps):
                started = after & ~mask
                spent = tuple(u + (started >> j & 1) for j, u in enumerate(used))
                if all(s <= m for s, m in zip(spent, limit, strict=True)):
                    following.setdefault((after, spent), state)
        layers.append(following)
        layer = _undominated(following) if len(following) > 64 else following
        if not layer:
            return None
    ends = [s for s in layer if not close or s[0] == before]
    if not ends:
        return None
    state, masks = min(ends, key=lambda s: (sum(s[1]), s)), []
    for following in reversed(layers):
        masks.append(state[0])
        state = following[state]
    return masks[::-1]


def _nearest(kept: int, ready: int, count: int, pumps: int) -> list[int]:
    """Sets of `count` ready pumps that keep as many of `kept` as they can."""
    on = [j for j in range(pumps) if kept >> j & 1]
    if count <= len(on):
        return [sum(1 << j for j in c) for c in combinations(on, count)]
    off = [j for j in range(pumps) if ready >> j & 1 and not kept >> j & 1]
    return [kept | sum(1 << j for j in c) for c in combinations(off, count - len(on))]


def _undominated(layer: dict[_State, _State]) -> dict[_State, _State]:
    kept: dict[_State, _State] = {}
    by_mask: dict[int, list[tuple[int, ...]]] = {}
    for (mask, used), before in sorted(layer.items(), key=lambda item: (sum(item[0][1]), item[0])):
        others = by_mask.setdefault(mask, [])
        if not any(all(a <= b for a, b in zip(o, used, strict=True)) for o in others):
            others.append(used)
            kept[mask, used] = before
        if len(kept) >= _MOST_STATES:
            break
    return kept


class Fits:
    """Whether counts (n, classes) can be assigned to pumps within their start limits; remembered by class."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._known: dict[tuple[int, bytes], bool] = {}

    def __call__(self, counts: Ints) -> bool:
        problem, n = self.plant.problem, self.plant.n
        for c, cls in enumerate(self.plant.classes):
            own = list(cls.pumps)
            if (problem.max_starts[own] * 2 >= n).all() and problem.available[:, own].all():
                continue
            key = (c, counts[:, c].tobytes())
            if key not in self._known:
                self._known[key] = self._assign(c, counts[:, c]) is not None
            if not self._known[key]:
                return False
        return True

    def _assign(self, c: int, counts: Ints) -> object | None:
        problem, own = self.plant.problem, list(self.plant.classes[c].pumps)
        return assign(counts, problem.available[:, own], problem.max_starts[own], problem.initial_on[own], periodic=problem.count_starts == "periodic")


def to_pumps(plant: Plant, counts: Ints, speeds: Floats, choices: Ints | None = None) -> PumpSchedule:
    """Choose which of the identical pumps run, within their start limits; where that cannot be, with the limits raised by as little as works.

    counts, speeds (n, classes); choices (n, valves), the first choice where None.
    """
    problem = plant.problem
    on = np.zeros((plant.n, plant.pumps), bool)
    speed: Floats = np.zeros((plant.n, plant.pumps))
    for c, cls in enumerate(plant.classes):
        own = list(cls.pumps)
        found = None
        for more in range(plant.n + 1):
            found = assign(
                np.minimum(counts[:, c], plant.available[:, c]), problem.available[:, own], problem.max_starts[own] + more, problem.initial_on[own],
                periodic=problem.count_starts == "periodic",
            )  # fmt: skip
            if found is not None:
                break
        assert found is not None
        on[:, own] = found
        speed[:, own] = np.where(found, speeds[:, [c]], 0.0)
    if choices is None:
        choices = np.repeat(plant.first_choice, plant.n, axis=0)
    return PumpSchedule(on=on, speed=speed, valve_choice=choices)
