"""True steps by configuration, step and state: those seen so far, and a plane through each configuration's in each step that says what others would come to."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import reduce

import numpy as np

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.grid_steps import true_steps
from levada.schedule.joint import JointConfigurations
from levada.schedule.least import least_of_each
from levada.schedule.plant import Ints
from levada.schedule.tank_values import TankValues
from levada.schedule.verify import steps_of

__all__ = ["Planes", "Seen", "lowest", "of_schedule", "run", "simulated"]

_RIDGE = 1e-3
"""Weight of a configuration's slopes over all steps in those of each step."""


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
        return Seen(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))

    def rows(self, which: Ints) -> Seen:
        return Seen(*(getattr(self, f.name)[which] for f in fields(self)))

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
    return reduce(Seen.joined, found, _none(joint))


def of_schedule(joint: JointConfigurations, schedule: PumpSchedule) -> Seen:
    """The steps of a schedule."""
    plant = joint.plant
    steps = steps_of(plant, np.arange(plant.n), plant.simulator.run(schedule).level_m[:-1], schedule)
    step, volume, speed, choice = (np.array(column) for column in zip(*steps, strict=True))
    return run(joint, step, joint.places(plant.by_class(speed)[0], choice), plant.state(volume))


def simulated(joint: JointConfigurations) -> Seen:
    """The steps that the plant remembers, on ways from the start without a violation."""
    plant, steps = joint.plant, joint.plant.simulated_steps()
    if not steps:
        return _none(joint)
    step, before, counts, _, choices, results = zip(*steps, strict=True)
    after = plant.state(np.array([r.volume for r in results]))
    return Seen(np.array(step, np.int64), joint.places(np.array(counts), np.array(choices)), plant.state(np.array(before)), after, np.array([r.cost for r in results]))


def _none(joint: JointConfigurations) -> Seen:
    step, x = np.zeros(0, np.int64), np.zeros((0, joint.plant.tanks))
    return Seen(step, step, x, x, np.zeros(0))


def lowest(values: TankValues, seen: Seen, each: int) -> Ints:
    """Rows of the steps seen that come to least, so many in each step of the horizon at most."""
    return least_of_each(values.plant.n, seen.step, seen.comes_to(values), each)


class Planes:
    """Planes through true steps, (n, J, tanks + 1) constants and (n, J, tanks, tanks + 1) slopes of cost and of what states rise by; `known` (n, J): whether any such step was seen."""

    def __init__(self, joint: JointConfigurations, seen: Seen) -> None:
        n, kinds, tanks = joint.plant.n, len(joint), joint.plant.tanks
        a = np.concatenate([np.ones((len(seen), 1)), seen.x], axis=1)
        y = np.concatenate([seen.cost[:, None], seen.after - seen.x], axis=1)
        place = seen.step * kinds + seen.kind
        order = np.argsort(place, kind="stable")
        first = np.flatnonzero(np.diff(place[order], prepend=-1))
        products = np.concatenate([a[:, :, None] * a[:, None, :], a[:, :, None] * y[:, None, :]], axis=2)[order]
        sums = np.zeros((n * kinds, tanks + 1, 2 * (tanks + 1)))
        sums[place[order][first]] = np.add.reduceat(products, first, axis=0)
        gram, right = np.split(sums.reshape(n, kinds, tanks + 1, -1), 2, axis=3)
        count = gram[:, :, 0, 0]
        self.known = count > 0
        mean_x, mean_y = gram[:, :, 0, 1:] / np.maximum(count, 1.0)[:, :, None], right[:, :, 0] / np.maximum(count, 1.0)[:, :, None]
        within = gram[:, :, 1:, 1:] - gram[:, :, 0, 1:, None] * mean_x[:, :, None]
        across = right[:, :, 1:] - gram[:, :, 0, 1:, None] * mean_y[:, :, None]
        # Where a step has few of its own, slopes are those of all steps together: demands shift what pumps do, and tilt it little.
        ridge = _RIDGE * np.eye(tanks)
        shared = np.linalg.solve(within.sum(axis=0) + ridge, across.sum(axis=0))
        self.slope = np.linalg.solve(within + ridge, across + ridge @ shared)
        self.constant = mean_y - (mean_x[:, :, None] @ self.slope)[:, :, 0]

    def at(self, step: Ints, kind: Ints, x: Floats) -> tuple[Floats, Floats]:
        """Cost (...,) and states after (..., tanks), from states x (..., tanks)."""
        y = self.constant[step, kind] + (x[..., None, :] @ self.slope[step, kind])[..., 0, :]
        return y[..., 0], x + y[..., 1:]
