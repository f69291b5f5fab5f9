"""What the scheduler asks of hydraulics: solves and planning steps, one or many at once. `simulate.Simulator` answers with EPANET.

Another engine can stand in its place, for a plant whose equations are given otherwise: it needs only what `Engine` names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from levada.domain.pumping import Bools, Ints, PumpingProblem, PumpSchedule, Trajectory
from levada.domain.series import Floats

__all__ = ["SEVERITIES", "Engine", "Solve", "Solves", "StepResult", "Steps", "severity_weights"]

SEVERITIES = ("level", "saturation", "pressure", "flow", "power", "source", "supply", "reserve")
"""Kinds of what can be amiss in a step, in the order of steps.c."""

_MOST_WEIGHT, _LEAST_WEIGHT = 3.0, 0.03


def severity_weights(problem: PumpingProblem, kinds: Sequence[str]) -> Floats:
    """How much each kind of violation counts: limits that give way first (problem.relax_order) count least. Level counts 1 by default."""
    order = list(problem.relax_order)
    place = {name: (i + 0.5) / max(len(order), 1) for i, name in enumerate(order)}
    low, high = np.log(_LEAST_WEIGHT), np.log(_MOST_WEIGHT)
    return np.array([float(np.exp(low + (high - low) * place.get(k, 1.0))) for k in kinds])


@dataclass(frozen=True, slots=True)
class Solve:
    """One hydraulic solve.

    Shapes: `inflow` (tanks,) m3/s; `flow` m3/s, `power` W and `delivers` (pumps,), the last false for a pump that is on but cannot
    deliver or runs beyond its curve; `pressure` (floors,) m; `port_flow` (ports,) m3/s into the tank; `lowest` (watched groups of
    nodes,) m: the least pressure in each; `source` (sources,) m3/s drawn. `warning` is EPANET's, 0 for none, from 100 an error.
    """

    inflow: Floats
    flow: Floats
    power: Floats
    delivers: Bools
    pressure: Floats
    port_flow: Floats
    lowest: Floats
    source: Floats
    warning: int


@dataclass(frozen=True, slots=True)
class Solves:
    """Many solves: as Solve, with an axis of rows (N, ...) before."""

    inflow: Floats
    flow: Floats
    power: Floats
    delivers: Bools
    pressure: Floats
    port_flow: Floats
    lowest: Floats
    source: Floats
    warning: NDArray[np.int32]

    @staticmethod
    def joined(parts: Sequence[Solves]) -> Solves:
        """The rows of all parts, one after another."""
        return Solves(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Solves)))

    def __getitem__(self, row: int) -> Solve:
        return Solve(
            self.inflow[row], self.flow[row], self.power[row], self.delivers[row], self.pressure[row], self.port_flow[row], self.lowest[row],
            self.source[row], int(self.warning[row]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class StepResult:
    """A planning step: volumes (m3) at its end, mean flow (m3/s) and power (W) of each pump, its cost (billing.StepCosts), water drawn
    from sources (m3), and how much is amiss: 0 where nothing is, else growing with each violation in proportion to its size."""

    volume: Floats
    flow: Floats
    power: Floats
    cost: float
    source: Floats
    severity: float


@dataclass(frozen=True, slots=True)
class Steps:
    """Many planning steps: as StepResult, by row: volume (N, tanks), flow, power (N, pumps), cost (N,), source (N, sources), severity (N,);
    and `served` (N,): every pump delivers and every demand is met, so that the figures are those of a plant at work."""

    volume: Floats
    flow: Floats
    power: Floats
    cost: Floats
    source: Floats
    severity: Floats
    served: Bools

    def __len__(self) -> int:
        return len(self.cost)

    def __getitem__(self, row: int) -> StepResult:
        return StepResult(self.volume[row], self.flow[row], self.power[row], float(self.cost[row]), self.source[row], float(self.severity[row]))


class Engine(Protocol):
    """Hydraulics of one problem. Volumes (m3) are the state. A step is a pure function of its arguments."""

    problem: PumpingProblem
    floor_nodes: tuple[str, ...]
    """Nodes of problem.pressure_floors_m, in its order."""
    floors: Floats
    min_volume: Floats
    max_volume: Floats
    end_volume: Floats

    @property
    def solves(self) -> int:
        """Hydraulic solves spent."""

    @property
    def ports(self) -> tuple[tuple[str, int, float], ...]:
        """Each end of a link at a tank: link name, tank's index, and 1 where the link's flow goes into the tank, else -1."""

    def volumes(self, level_m: Floats) -> Floats:
        """Volumes (m3) at levels (m), shape (tanks,)."""

    def levels(self, volume_m3: Floats) -> Floats:
        """Levels (m) at volumes (m3), shape (tanks,)."""

    def watch(self, groups: Sequence[Sequence[int]]) -> None:
        """From now on solves report the least pressure within each group of junctions (the network's indices, none empty)."""

    def solves_at(self, step: Ints, volume: Floats, speed: Floats, choice: Ints) -> Solves:
        """Solves by row: step (N,), volume (N, tanks), speed (N, pumps; 0 is off), choice of each valve (N, valves)."""

    def steps(self, step: Ints, volume: Floats, speed: Floats, choice: Ints, lasts_s: Ints | None = None) -> Steps:
        """Planning steps by row, arguments as in solves_at; whole, or `lasts_s` (N,) seconds of each: a part of a step, in which pumps stay as they are."""

    def steps_and_solves(self, step: Ints, volume: Floats, speed: Floats, choice: Ints) -> tuple[Steps, Solves]:
        """Whole planning steps, and the solves that they begin with: both for the price of the steps."""

    def run(self, schedule: PumpSchedule) -> Trajectory:
        """Simulate a whole schedule, with its violations in words."""

    def run_all(self, schedules: Sequence[PumpSchedule]) -> list[Trajectory]:
        """Simulate several schedules, each as `run` does."""
