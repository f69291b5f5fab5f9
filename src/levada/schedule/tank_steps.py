"""True steps by configuration, step and state: those seen so far, which all that values by tank are told by rests on."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.joint import JointConfigurations
from levada.schedule.least import least_of_each
from levada.schedule.plant import Ints
from levada.schedule.tank_values import TankValues
from levada.schedule.verify import steps_of

__all__ = ["Seen", "lowest", "of_schedule", "run", "simulated"]


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


def run(joint: JointConfigurations, step: Ints, kind: Ints, x: Floats, rng: np.random.Generator) -> Seen:
    """Steps in EPANET from states x (N, tanks) at joint configurations (N,): those that hold all limits. Of pumps that are nearly alike any may run."""
    ready = joint.ready[step, kind]
    step, kind, x = step[ready], kind[ready], x[ready]
    order = np.lexsort((kind, step))  # settings change once a configuration
    step, kind, x = step[order], kind[order], x[order]
    speed = np.zeros((len(step), joint.plant.pumps))
    for k in np.unique(step).tolist():
        own = step == k
        speed[own] = joint.speeds_at(k, kind[own])
    return _run(joint, step, kind, x, joint.plant.swapped(speed, rng))


def _run(joint: JointConfigurations, step: Ints, kind: Ints, x: Floats, speed: Floats) -> Seen:
    plant = joint.plant
    if not len(step):
        return _none(joint)
    ends = plant.simulator.steps(step, plant.volume(x), speed, joint.choices[kind])
    holds = ends.severity == 0
    return Seen(step[holds], kind[holds], x[holds], plant.state(ends.volume[holds]), ends.cost[holds])


def of_schedule(joint: JointConfigurations, schedule: PumpSchedule) -> Seen:
    """The steps of a schedule, with its own pumps."""
    plant = joint.plant
    steps = steps_of(plant, np.arange(plant.n), plant.simulator.run(schedule).level_m[:-1], schedule)
    step, volume, speed, choice = (np.array(column) for column in zip(*steps, strict=True))
    return _run(joint, step, joint.places(plant.by_class(speed)[0], choice), plant.state(volume), speed)


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

