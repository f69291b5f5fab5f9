"""True planning steps by the thousand, taken apart by hydraulic component: what each gave to its tanks, and what its pumps drew.

The engine's own steps know only sums over components. Here the step is walked solve by solve as the simulator walks it, for all rows at
once, and the flow at each link's end at a tank says which component it came from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from levada.domain.billing import MeterTerms
from levada.domain.series import Floats
from levada.hydraulics.engine import Solves
from levada.schedule.plant import Ints, Plant

__all__ = ["Run", "Runs", "draw_speeds", "pieces_of_work", "pump_speeds", "run_solves", "run_steps"]

_NO_PRESSURE_M = -0.05
"""A part whose least pressure is below this leaves demand unmet."""

_STILL_M3_PER_S = 1e-6
_AT_FULL = 1e-6
"""Share of its range within which a tank that may stand full is shut."""

_UNSOLVED = (1, 2)
"""EPANET's warnings of a solution that is not one."""
_MOST_SOLVES = 50
"""A step that is not over after so many solves goes on second by second: a tank at its limit is cut off and let in again by turns."""

_LINKS_A_PIECE = 2_000_000
"""Rows times links that are run without a pause: a few seconds of work."""

_ENDS = 0.2
"""Share of the drawn speeds at either end of their range."""


@dataclass(frozen=True)
class Runs:
    """Steps from states `x` (N, tanks): `inflow` (N, components, tanks) m3, `energy_kwh` (N, pumps), `flow` (N, classes) mean m3/s, `after`
    (N, tanks) states; `holds` (N, components): its pumps deliver, its pressures are met, its tanks are not saturated; `brim` (N, tanks): the tank is full
    and may be; `barred` (N, components, tanks): it is, and so takes nothing from the component."""

    x: Floats
    inflow: Floats
    energy_kwh: Floats
    flow: Floats
    after: Floats
    holds: NDArray[np.bool_]
    barred: NDArray[np.bool_]
    brim: NDArray[np.bool_]

    def joined(self, other: Runs) -> Runs:
        return Runs(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))

    def metered_kwh(self, meters: tuple[MeterTerms, ...], pumps: set[int]) -> Floats:
        """What some of the pumps drew by each meter, (N, meters)."""
        return np.stack([self.energy_kwh[:, [j for j in m.pumps.tolist() if j in pumps]].sum(axis=1) for m in meters], axis=1)

    def rows(self, which: NDArray[np.bool_] | Ints) -> Runs:
        return Runs(
            self.x[which], self.inflow[which], self.energy_kwh[which], self.flow[which], self.after[which], self.holds[which], self.barred[which],
            self.brim[which],
        )  # fmt: skip


def draw_speeds(rng: np.random.Generator, counts: Ints, low: Floats, high: Floats) -> Floats:
    """Mean speed of each class (N, classes) between `low` and `high`, the ends favoured; 0 where no pump runs."""
    u = np.clip(rng.uniform(-_ENDS, 1 + _ENDS, low.shape), 0.0, 1.0)
    return np.where(counts > 0, low + u * (high - low), 0.0)


def pump_speeds(plant: Plant, rng: np.random.Generator, counts: Ints, mean: Floats, *, unequal: bool) -> Floats:
    """Speeds of pumps (N, pumps), the first of each class running; `unequal` spreads them within a class, the mean kept."""
    speed = np.zeros((len(counts), plant.pumps))
    for k, cls in enumerate(plant.classes):
        running = np.arange(len(cls.pumps))[None, :] < counts[:, k : k + 1]
        value = np.repeat(mean[:, k : k + 1], len(cls.pumps), axis=1)
        if unequal and len(cls.pumps) > 1 and cls.is_variable:
            room = np.minimum(mean[:, k] - cls.bins[0][0], cls.bins[-1][1] - mean[:, k])
            shift = np.where(running, rng.uniform(-1, 1, running.shape), 0.0)
            shift = np.where(running, shift - shift.sum(axis=1, keepdims=True) / np.maximum(counts[:, k : k + 1], 1), 0.0)
            value = value + shift * (np.maximum(room, 0.0) / np.maximum(np.abs(shift).max(axis=1), 1e-9))[:, None]
        speed[:, list(cls.pumps)] = np.where(running, value, 0.0)
    return speed


Run = Callable[[Plant, Ints, Floats, Floats, Ints], Runs]
"""Planning steps by row: step (N,), from states x (N, tanks) with pumps at speeds (N, pumps) and valves at choices (N, valves)."""


def pieces_of_work(plant: Plant, rows: int) -> list[slice]:
    """Rows to run, cut into pieces between which whoever waits may stop the work."""
    size = max(_LINKS_A_PIECE // (len(plant.problem.network.links) + plant.pumps), 1)
    return [slice(at, at + size) for at in range(0, rows, size)]


def run_steps(plant: Plant, step: Ints, x: Floats, speed: Floats, choice: Ints, solved: list[tuple[Ints, Floats]] | None = None) -> Runs:
    """Planning steps by row: step (N,), from states x (N, tanks) with pumps at `speed` (N, pumps) and valves at `choice` (N, valves). Rows and volumes of
    all solves are added to `solved`.

    Steps that are not over after 50 solves are given up, and do not hold: one in a hundred is cut at every second, and takes as long as all others.
    """
    problem, engine = plant.problem, plant.simulator
    rows, tanks, parts = len(x), plant.tanks, len(plant.components)
    order = np.lexsort((*choice.T, *speed.T, step))  # demands, valves and pumps are set once a run of like rows
    back = np.argsort(order, kind="stable")
    steps, x, speed, choice = step[order], x[order], speed[order], choice[order]
    duration, h = np.array(problem.steps.durations_s, np.int64)[steps], problem.hydraulic_step_s
    volume = plant.volume(x)
    inflow, energy = np.zeros((rows, parts, tanks)), np.zeros((rows, plant.pumps))
    flow = np.zeros((rows, plant.pumps))
    holds, barred = np.ones((rows, parts), bool), np.zeros((rows, parts, tanks), bool)
    t = np.zeros(rows, np.int64)
    low, high, solves = engine.min_volume, engine.max_volume, 0
    while (left := np.flatnonzero(t < duration)).size:
        if solves == _MOST_SOLVES:
            holds[left] = False
            break
        solves += 1
        v = volume[left]
        if solved is not None:
            solved.append((order[left], v))
        s, given, now, ok = _solved(plant, steps[left], v, speed[left], choice[left])
        q = s.inflow
        dt = np.minimum(h - t[left] % h, duration[left] - t[left])
        # Cut short where a tank reaches a limit, to the second, as the simulator does.
        rises, falls = (q > 0) & (v < high), (q < 0) & (v > low)
        room = np.where(rises | falls, (np.where(rises, high, low) - v) / np.where(q == 0, 1.0, q), np.inf)
        event = np.floor(np.minimum(room, 1e9) + 0.5).astype(np.int64)
        dt = np.where((event > 0) & (event < dt[:, None]), event, dt[:, None]).min(axis=1)
        after = v + q * dt[:, None]
        snapped = np.where(rises & (after + q >= high), high, np.where(falls & (after + q <= low), low, after))
        barred[left] |= now & (t[left] == 0)[:, None, None]
        given = given * dt[:, None, None]
        # Within a second's flow of a limit a tank is at it: what that adds or takes, the part that moves most has moved.
        most = np.abs(given).argmax(axis=1)
        np.add.at(given, (np.arange(len(left))[:, None], most, np.arange(tanks)[None, :]), snapped - v - given.sum(axis=1))
        volume[left] = snapped
        inflow[left] += given
        energy[left] += s.power * dt[:, None] / 3.6e6
        flow[left] += s.flow * (dt / duration[left])[:, None]
        holds[left] &= ok
        t[left] += dt
    return Runs(x, inflow, energy, _by_class(plant, flow), plant.state(volume), holds, barred, _is_brimful(plant, plant.volume(x))).rows(back)


def run_solves(plant: Plant, step: Ints, x: Floats, speed: Floats, choice: Ints) -> Runs:
    """What planning steps would come to if all of each went on as at its one solve, by row as `run_steps`: `after` may lie beyond the limits."""
    order = np.lexsort((*choice.T, *speed.T, step))
    back = np.argsort(order, kind="stable")
    steps, x, speed, choice = step[order], x[order], speed[order], choice[order]
    duration = np.array(plant.problem.steps.durations_s, np.int64)[steps]
    s, given, barred, ok = _solved(plant, steps, plant.volume(x), speed, choice)
    inflow = given * duration[:, None, None]
    return Runs(
        x=x, inflow=inflow, energy_kwh=s.power * duration[:, None] / 3.6e6, flow=_by_class(plant, s.flow), after=x + inflow.sum(axis=1) / plant.span, holds=ok,
        barred=barred, brim=_is_brimful(plant, plant.volume(x)),
    ).rows(back)  # fmt: skip


def _by_class(plant: Plant, flow: Floats) -> Floats:
    return np.stack([flow[:, list(c.pumps)].sum(axis=1) for c in plant.classes], axis=1)


def _is_brimful(plant: Plant, volume: Floats) -> NDArray[np.bool_]:
    """Which tanks are at their maximum and may be, (N, tanks), at volumes (N, tanks)."""
    return np.asarray(plant.problem.may_stand_full & (volume >= plant.simulator.max_volume - _AT_FULL * plant.span), np.bool_)


def _solved(plant: Plant, step: Ints, volume: Floats, speed: Floats, choice: Ints) -> tuple[Solves, Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Solves by row, and of each component (N, components, tanks): what it gives to tanks, m3/s, and which of them stand full and take nothing from it;
    and whether it holds (N, components)."""
    problem, engine, parts = plant.problem, plant.simulator, len(plant.components)
    low, high = engine.min_volume, engine.max_volume
    s = engine.solves_at(step, volume, speed, choice)
    q, v = s.inflow, volume
    # A tank at a limit that moves beyond it (engine: saturation) breaks a limit; within a second of it no event is made any more.
    saturated = ((q > _STILL_M3_PER_S) & (high - v <= q) & ~problem.may_stand_full) | ((q < -_STILL_M3_PER_S) & (v - low <= -q))
    given = np.zeros((len(v), parts, plant.tanks))
    for port, (part, _, tank) in enumerate(plant.port_place):
        given[:, part, tank] += s.port_flow[:, port]
    full = _is_brimful(plant, v)[:, None, :] & (np.abs(given) <= _STILL_M3_PER_S)
    ok = np.repeat(((s.warning < 100) & ~np.isin(s.warning, _UNSOLVED))[:, None], parts, axis=1)
    for m, c in enumerate(plant.components):
        own = [j for k in c.classes for j in plant.classes[k].pumps]
        ok[:, m] &= ~saturated[:, list(c.tanks)].any(axis=1)
        ok[:, m] &= (s.delivers[:, own] | (speed[:, own] == 0)).all(axis=1)
        floors = list(c.floors)
        ok[:, m] &= (s.pressure[:, floors] >= engine.floors[floors] - 1e-6).all(axis=1)
        if plant.watched[m]:
            ok[:, m] &= s.lowest[:, plant.watch_row[m]] >= _NO_PRESSURE_M
    return s, given, full, ok
