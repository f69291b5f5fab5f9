"""Schedules by classes, simulated in EPANET: alone or many side by side, step by step as rows of one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import Bools, PumpSchedule
from levada.domain.series import Floats
from levada.hydraulics.engine import Steps
from levada.schedule.assignment import Fits
from levada.schedule.plant import Ints, Plant
from levada.schedule.whole import Whole

__all__ = ["SEVERITY", "Candidate", "Runner", "Trial", "penalty", "penalty_of"]

SEVERITY = 20.0
"""A unit of severity (a whole tank beyond its limit) costs so many times running all pumps throughout."""

_ANY, _STEEP = 0.05, 50.0
"""Any violation counts as much severity besides its own; forecasts, which are never quite right, come to that by degrees."""

Trial = tuple[Ints, Floats, Ints]
"""A schedule to simulate: counts, speeds (n, classes), choices (n, valves)."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A schedule by classes: counts, speeds (n, classes), choices (n, valves); EPANET's cost and severity, both of the whole schedule, and
    its way: volumes (n + 1, tanks), power (n, pumps) W, source (n, sources) m3, cost and severity of each step (n,)."""

    counts: Ints
    speeds: Floats
    choices: Ints
    cost: float
    severity: float
    volume: Floats
    power: Floats
    source: Floats
    step_cost: Floats
    step_severity: Floats

    def objective(self, price: float) -> float:
        """Cost with violations priced: each unit of severity, and a twentieth of a unit for there being any at all."""
        return self.cost + price * penalty_of(self.severity)

    @property
    def trial(self) -> Trial:
        return self.counts, self.speeds, self.choices

    @property
    def key(self) -> bytes:
        return self.counts.tobytes() + self.speeds.tobytes() + self.choices.tobytes()


def penalty_of(severity: float) -> float:
    """A severity that EPANET has found, with what there being any counts besides."""
    return severity + (_ANY if severity > 0 else 0.0)


def penalty(severity: Floats) -> Floats:
    """Severity (N,) that is forecast, with what there being any counts besides."""
    return np.asarray(severity + np.minimum(_ANY, _STEEP * np.maximum(severity, 0.0)), np.float64)


class Runner:
    """EPANET behind schedules of classes, with what whole schedules cost and break."""

    def __init__(self, plant: Plant, fits: Fits) -> None:
        self.plant, self.fits, self.whole = plant, fits, Whole(plant, fits)
        self.first_choices: Ints = np.repeat(plant.first_choice, plant.n, axis=0)
        # Which pumps a count means is settled last; until then the first available ones of each class run.
        self._rank = np.zeros((plant.n, plant.pumps), np.int64)
        self._class = np.zeros(plant.pumps, np.int64)
        for c, cls in enumerate(plant.classes):
            self._class[list(cls.pumps)] = c
        self._put_first(plant.problem.available)

    def follow(self, schedule: PumpSchedule) -> None:
        """From now on a count means the pumps that run in this schedule first, then others that are available."""
        self._put_first(self.plant.problem.available + 1 * schedule.on)

    def _put_first(self, preferred: Bools | Ints) -> None:
        """Rank the pumps of each class in each step by how much they are preferred, (n, pumps)."""
        for cls in self.plant.classes:
            own = list(cls.pumps)
            order = np.argsort(-preferred[:, own].astype(np.int64), axis=1, kind="stable")
            np.put_along_axis(ranks := np.empty_like(order), order, np.broadcast_to(np.arange(len(own)), order.shape), axis=1)
            self._rank[:, own] = ranks

    def steps(self, k: int, volume: Floats, counts: Ints, speeds: Floats, choices: Ints) -> Steps:
        """Planning step k by row, from volumes (N, tanks) with counts, speeds (N, classes) and choices (N, valves)."""
        plant = self.plant
        speed = self.pump_speeds(np.full(len(counts), k), counts, speeds)
        # Rows in the order of what the pumps do: EPANET then changes the fewest of its settings.
        order = np.lexsort((*choices.T, *speed.T)) if len(speed) > 1 else np.zeros(len(speed), np.int64)
        found = plant.simulator.steps(np.full(len(order), k), volume[order], speed[order], choices[order])
        back = np.argsort(order, kind="stable")
        result = Steps(found.volume[back], found.flow[back], found.power[back], found.cost[back], found.source[back], found.severity[back], found.served[back])
        for i in np.flatnonzero(result.severity == 0.0).tolist():
            plant.remember(k, volume[i], counts[i], speeds[i], choices[i], result[i])
        return result

    def pump_speeds(self, step: Ints, counts: Ints, speeds: Floats) -> Floats:
        """Speeds (N, pumps), 0 for off, at counts and speeds by class (N, classes) in steps (N,)."""
        return np.where(self._rank[step] < counts[:, self._class], speeds[:, self._class], 0.0)

    def simulate(self, trial: Trial) -> Candidate:
        """Simulate one schedule from the start."""
        found = self.simulate_all([trial])[0]
        assert found is not None
        return found

    def simulate_all(self, trials: Sequence[Trial], base: Candidate | None = None, *, worse_than: float = np.inf, price: float = 0.0) -> list[Candidate | None]:
        """Simulate schedules side by side, each from where it leaves `base`. None for those whose steps' violations alone cost more than
        `worse_than` at `price`."""
        plant, n, rows = self.plant, self.plant.n, len(trials)
        counts, speeds, choices = (np.stack([t[i] for t in trials]) for i in range(3))
        volume, power = np.zeros((rows, n + 1, plant.tanks)), np.zeros((rows, n, plant.pumps))
        source, cost, severity = np.zeros((rows, n, len(plant.problem.sources))), np.zeros((rows, n)), np.zeros((rows, n))
        first = np.zeros(rows, np.int64)
        if base is None:
            volume[:, 0] = plant.simulator.volumes(plant.problem.initial_level_m)
        else:
            volume[:], power[:], source[:], cost[:], severity[:] = base.volume, base.power, base.source, base.step_cost, base.step_severity
            other = (counts != base.counts).any(axis=2) | (speeds != base.speeds).any(axis=2) | (choices != base.choices).any(axis=2)
            first = np.where(other.any(axis=1), other.argmax(axis=1), n)
        alive = np.ones(rows, bool)
        for k in range(int(first.min()), n):
            at = np.flatnonzero(alive & (first <= k))
            if not len(at):
                continue
            r = self.steps(k, volume[at, k], counts[at, k], speeds[at, k], choices[at, k])
            volume[at, k + 1], power[at, k], source[at, k], cost[at, k], severity[at, k] = r.volume, r.power, r.source, r.cost, r.severity
            if np.isfinite(worse_than):
                alive[at] = price * severity[at, : k + 1].sum(axis=1) <= worse_than
        found: list[Candidate | None] = []
        for i in range(rows):
            if not alive[i]:
                found.append(None)
                continue
            total, broken = self.whole.of(counts[i], power[i], source[i], volume[i])
            found.append(Candidate(
                counts[i], speeds[i], choices[i], total, float(severity[i].sum()) + broken, volume[i], power[i], source[i], cost[i], severity[i],
            ))  # fmt: skip
        return found
