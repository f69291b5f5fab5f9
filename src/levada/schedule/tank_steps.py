"""True steps by configuration, step and state: those seen so far, and a plane through each configuration's in each step that says what others would come to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.grid_steps import true_steps
from levada.schedule.joint import JointConfigurations
from levada.schedule.plant import Ints
from levada.schedule.tank_values import TankValues

__all__ = ["Planes", "Seen", "run"]

_RIDGE = 1e-3
"""Weight of the plane of a configuration over all steps, in that of each step."""


@dataclass(frozen=True, eq=False)
class Seen:
    """True steps that hold all limits: step (N,), joint configuration (N,), states before and after (N, tanks), cost (N,)."""

    step: Ints
    kind: Ints
    x: Floats
    after: Floats
    cost: Floats

    def __len__(self) -> int:
        return len(self.step)

    def joined(self, other: Seen) -> Seen:
        return Seen(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in ("step", "kind", "x", "after", "cost")))

    def rows(self, which: Ints) -> Seen:
        return Seen(self.step[which], self.kind[which], self.x[which], self.after[which], self.cost[which])

    def comes_to(self, values: TankValues) -> Floats:
        """Cost and what V gains in each step, (N,): no V_0 can be more than the sum of the least of each step."""
        return self.cost + values.at(self.step + 1, self.after) - values.at(self.step, self.x)

    def least(self, values: TankValues) -> Floats:
        """The least that steps come to, by step, (n,); infinite where there is none."""
        found = np.full(values.plant.n, np.inf)
        np.minimum.at(found, self.step, self.comes_to(values))
        return found


def run(joint: JointConfigurations, step: Ints, kind: Ints, x: Floats) -> Seen:
    """Steps in EPANET from states x (N, tanks) at joint configurations (N,): those that hold all limits."""
    found = []
    for k in np.unique(step).tolist():
        own = np.flatnonzero((step == k) & joint.ready[k, kind])
        ends = true_steps(joint, k, x[own], kind[own])
        holds = ends.severity == 0
        found.append(Seen(step[own][holds], kind[own][holds], x[own][holds], ends.x[holds], ends.cost[holds]))
    none = Seen(np.zeros(0, np.int64), np.zeros(0, np.int64), x[:0], x[:0], np.zeros(0))
    for more in found:
        none = none.joined(more)
    return none


def of_schedule(joint: JointConfigurations, schedule: PumpSchedule) -> Seen:
    """The steps of a schedule."""
    plant = joint.plant
    counts, _ = plant.by_class(np.where(schedule.on, schedule.speed, 0.0))
    choices = schedule.valve_choice if plant.problem.valves else np.zeros((plant.n, 0), np.int64)
    kind = np.array([joint.index_of(*row) for row in zip(counts, choices, strict=True)], np.int64)
    level = plant.simulator.run(schedule).level_m[:-1]
    return run(joint, np.arange(plant.n), kind, plant.state(np.array([plant.simulator.volumes(row) for row in level])))


class Planes:
    """Planes through true steps: cost and state after, by step and configuration (n, J, 1 + tanks, 1 + tanks): coefficients of 1 and x by cost and state; `known` (n, J): whether any held."""

    def __init__(self, joint: JointConfigurations, seen: Seen) -> None:
        n, kinds, size = joint.plant.n, len(joint), joint.plant.tanks + 1
        a = np.concatenate([np.ones((len(seen), 1)), seen.x], axis=1)
        y = np.concatenate([seen.cost[:, None], seen.after - seen.x], axis=1)
        place = seen.step * kinds + seen.kind
        gram, right = np.zeros((n * kinds, size, size)), np.zeros((n * kinds, size, size))
        order = np.argsort(place, kind="stable")
        first = np.flatnonzero(np.diff(place[order], prepend=-1))
        products = np.concatenate([a[:, :, None] * a[:, None, :], a[:, :, None] * y[:, None, :]], axis=2)[order]
        sums = np.add.reduceat(products, first, axis=0) if len(first) else products
        gram[place[order][first]], right[place[order][first]] = sums[:, :, :size], sums[:, :, size:]
        gram, right = gram.reshape(n, kinds, size, size), right.reshape(n, kinds, size, size)
        self.known = gram[:, :, 0, 0] > 0
        # Slopes of all steps together where a step has few of its own: what pumps do depends on demands little.
        ridge = np.diag([1e-9, *np.full(size - 1, _RIDGE)])
        mean_x = gram[:, :, 0, 1:] / np.maximum(gram[:, :, 0, 0], 1.0)[:, :, None]
        mean_y = right[:, :, 0] / np.maximum(gram[:, :, 0, 0], 1.0)[:, :, None]
        centred = gram[:, :, 1:, 1:] - gram[:, :, :1, 1:].swapaxes(2, 3) * mean_x[:, :, None, :]
        across = right[:, :, 1:] - gram[:, :, 0, 1:, None] * mean_y[:, :, None, :]
        shared = np.linalg.solve(centred.sum(axis=0) + ridge[1:, 1:], across.sum(axis=0))
        slope = np.linalg.solve(centred + ridge[1:, 1:], across + ridge[1:, 1:] @ shared)
        self.constant = mean_y - (mean_x[:, :, None, :] @ slope)[:, :, 0]
        self.slope = slope

    def at(self, step: Ints, kind: Ints, x: Floats) -> tuple[Floats, Floats]:
        """Cost (...,) and states after (..., tanks), from states x (..., tanks)."""
        y = self.constant[step, kind] + (x[..., None, :] @ self.slope[step, kind])[..., 0, :]
        return y[..., 0], x + y[..., 1:]
