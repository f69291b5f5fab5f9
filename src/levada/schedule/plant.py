"""The plant as the search sees it: states x, class actions, and EPANET behind them.

An action is, for each pump class, how many of its pumps run and at what common speed. Which of the identical pumps they are does not
matter to the hydraulics and is settled last (assignment.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from levada.domain.pumping import PumpingProblem
from levada.domain.series import Floats
from levada.hydraulics.engine import Engine, Solve, StepResult
from levada.hydraulics.simulate import Simulator
from levada.schedule.alike import merged
from levada.schedule.problem import (
    Component,
    PumpClass,
    availability,
    components_of,
    forced,
    most_configurations,
    pump_classes,
)

__all__ = ["Ints", "Plant"]

Ints = NDArray[np.int64]


_MOST_REMEMBERED = 200_000

_MANY = 60
"""Where a component has more configurations, pumps that are nearly alike become one class."""


class Plant:
    """Simulator, classes and components of one problem, and the conversions between volumes and states.

    x = (volume - volume at min_level) / (volume at max_level - volume at min_level), shape (tanks,).
    """

    def __init__(self, problem: PumpingProblem, engine: Callable[[PumpingProblem], Engine] = Simulator) -> None:
        self.problem = problem
        self.simulator = engine(problem)
        self.classes: tuple[PumpClass, ...] = pump_classes(problem)
        # Which of nearly alike pumps runs is worth a litre, so they stay apart where that costs nothing.
        if most_configurations(problem, self.classes) > _MANY:
            self.classes = merged(problem, self.simulator, self.classes)
        self.components: tuple[Component, ...] = components_of(problem, self.classes, self.simulator.floor_nodes)
        if not all(c.is_complete for c in self.components):
            # Fewer ranges of speed make fewer configurations.
            self.classes = merged(problem, self.simulator, pump_classes(problem, speed_bins=1))
            self.components = components_of(problem, self.classes, self.simulator.floor_nodes)
        self.available: Ints = availability(problem, self.classes)
        self.forced: Ints = forced(problem, self.classes)
        self.top_speed: Floats = np.array([c.bins[-1][1] for c in self.classes])
        self.span: Floats = self.simulator.max_volume - self.simulator.min_volume
        self.x0 = self.state(self.simulator.volumes(problem.initial_level_m))
        self.x_end = self.state(self.simulator.end_volume)
        self.n = len(problem.steps)
        self.tanks = len(problem.network.tanks)
        # Level in metres spanned by x from 0 to 1; exact for cylinders, the mean slope for other shapes.
        self.rise_m: Floats = problem.max_level_m - problem.min_level_m
        self.floor_m = np.array([t.elevation_m for t in problem.network.tanks]) + problem.min_level_m
        self.x_least, self.x_most = self._limits()
        self._remembered: dict[tuple[int, bytes, bytes, bytes, bytes], StepResult] = {}
        network = problem.network
        self.watched = []
        for c in self.components:
            drawn = [i for i in c.junctions if (problem.demand_m3_per_s[:, i] > 0).any()]
            self.watched.append(drawn)
        self.simulator.watch([w for w in self.watched if w])
        self.watch_row = np.cumsum([bool(w) for w in self.watched]) - 1
        place = {name: k for k, c in enumerate(self.components) for name in c.links}
        tanks_of = [{t: i for i, t in enumerate(c.tanks)} for c in self.components]
        self.port_place = [(place[name], tanks_of[place[name]][tank], tank) for name, tank, _ in self.simulator.ports]
        self.class_price: Floats = np.stack([problem.price_per_kwh[:, c.pumps[0]] for c in self.classes], axis=1)
        self.class_size: Ints = np.array([len(c.pumps) for c in self.classes])
        self.class_starts: Ints = np.array([int(problem.max_starts[list(c.pumps)].sum()) for c in self.classes])
        if problem.max_starts_total is not None:
            self.class_starts = np.minimum(self.class_starts, problem.max_starts_total)
        self.initial_count: Ints = np.array([int(problem.initial_on[list(c.pumps)].sum()) for c in self.classes])
        self.pumps = len(network.pumps)
        self.first_choice: Ints = problem.initial_choice[None]

    def state(self, volume: Floats) -> Floats:
        return (volume - self.simulator.min_volume) / self.span

    def volume(self, x: Floats) -> Floats:
        return self.simulator.min_volume + x * self.span

    def _limits(self) -> tuple[Floats, Floats]:
        """Least and greatest state at each instant, (n + 1, tanks): limits, reserves, and at the end what is asked there."""
        problem, n = self.problem, len(self.problem.steps)
        least, most = np.tile(np.minimum(0.0, self.x0), (n + 1, 1)), np.tile(np.maximum(1.0, self.x0), (n + 1, 1))
        # A reserve holds at the solves of its step, so at the step's start; the last one at the end too.
        if problem.reserve_level_m is not None:
            reserve = np.array([self.state(self.simulator.volumes(row)) for row in problem.reserve_level_m])
            least = np.maximum(least, np.vstack([reserve, reserve[-1]]))
        if problem.ceiling_level_m is not None:
            ceiling = np.array([self.state(self.simulator.volumes(row)) for row in problem.ceiling_level_m])
            most = np.minimum(most, np.vstack([ceiling, ceiling[-1]]))
        least[n] = np.maximum(least[n], self.x_end)
        if problem.end_level_max_m is not None:
            most[n] = np.minimum(most[n], self.state(self.simulator.volumes(problem.end_level_max_m)))
        least[0] = most[0] = self.x0
        return least, most

    def left_at_the_end(self, x: Floats, slope: float) -> Floats:
        """What is left to pay at states (N, tanks) at the end, (N,): less what stored water is worth, and at the `slope` per full tank what is off from what is asked there."""
        worth = self.problem.stored_value_per_m3
        off = np.maximum(self.x_least[-1] - x, 0.0) + np.maximum(x - self.x_most[-1], 0.0)
        stored = np.zeros(len(x)) if worth is None else (x - self.x0) @ (self.span * worth)
        return np.asarray(slope * off.sum(axis=1) - stored, np.float64)

    def heads(self, volume: Floats) -> Floats:
        """Heads (N, tanks), m, at volumes (N, tanks): by x, so exact for cylinders, and the inverse of volumes_at for all."""
        return np.asarray(self.floor_m + self.rise_m * self.state(volume), np.float64)

    def volumes_at(self, head_m: Floats) -> Floats:
        """Volumes (N, tanks), m3, at heads (N, tanks): the inverse of heads."""
        return self.volume((head_m - self.floor_m) / self.rise_m)

    def pumps_on(self, step: int, counts: Ints, speeds: Floats) -> tuple[NDArray[np.bool_], Floats]:
        """Any assignment of an action to pumps: the first available ones of each class. Shapes (classes,) to (pumps,)."""
        on, speed = np.zeros(self.pumps, bool), np.zeros(self.pumps)
        for k, c in enumerate(self.classes):
            ready = [j for j in c.pumps if self.problem.available[step, j]]
            rest = [j for j in c.pumps if not self.problem.available[step, j]]
            for j in (ready + rest)[: int(counts[k])]:
                on[j], speed[j] = True, speeds[k]
        return on, speed

    def by_class(self, speed: Floats) -> tuple[Ints, Floats]:
        """What speeds of pumps (N, pumps) come to by class: counts and mean speeds of those that run (N, classes)."""
        counts = np.stack([(speed[:, list(c.pumps)] > 0).sum(axis=1) for c in self.classes], axis=1).astype(np.int64)
        total = np.stack([speed[:, list(c.pumps)].sum(axis=1) for c in self.classes], axis=1)
        return counts, total / np.maximum(counts, 1)

    def swapped(self, speed: Floats, rng: np.random.Generator) -> Floats:
        """Speeds of pumps (N, pumps), in classes of pumps that are nearly alike put to any of them: what is measured so holds whichever of them runs."""
        speed = speed.copy()
        for own in (list(c.pumps) for c in self.classes if c.is_nearly):
            speed[:, own] = rng.permuted(speed[:, own], axis=1)
        return speed

    def step(self, step: int, volume: Floats, counts: Ints, speeds: Floats) -> StepResult:
        """A step in EPANET from volumes (m3), remembered."""
        on, speed = self.pumps_on(step, counts, speeds)
        found = self.simulator.steps(np.array([step]), volume[None], np.where(on, speed, 0.0)[None], self.first_choice)[0]
        self.remember(step, volume, counts, speeds, self.first_choice[0], found)
        return found

    def remember(self, step: int, volume: Floats, counts: Ints, speeds: Floats, choices: Ints, result: StepResult) -> None:
        """Keep a simulated step for `simulated_steps`, which the bound's models are checked against."""
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[step, volume.tobytes(), counts.tobytes(), speeds.tobytes(), choices.tobytes()] = result

    def simulated_steps(self) -> list[tuple[int, Floats, Ints, Floats, Ints, StepResult]]:
        """Steps remembered that lie on a way from the start without a violation: step, volumes before, counts, speeds, choices, result; in order of time."""
        clean = {(0, self.simulator.volumes(self.problem.initial_level_m).tobytes())}
        found = []
        for (k, v, c, s, valves), r in sorted(self._remembered.items(), key=lambda item: item[0][0]):
            if r.severity == 0.0 and (k, v) in clean:
                clean.add((k + 1, r.volume.tobytes()))
                found.append((k, np.frombuffer(v), np.frombuffer(c, np.int64), np.frombuffer(s), np.frombuffer(valves, np.int64), r))
        return found

    def solve(self, step: int, x: Floats, on: NDArray[np.bool_], speed: Floats) -> Solve:
        return self.simulator.solves_at(np.array([step]), self.volume(x)[None], np.where(on, speed, 0.0)[None], self.first_choice)[0]
