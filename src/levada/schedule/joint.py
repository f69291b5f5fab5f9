"""Joint configurations: what all pumps and valves of the plant do at once, where there are few enough to list them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant

__all__ = ["Histories", "JointConfigurations", "are_all", "joint_choices"]


def are_all(plant: Plant) -> bool:
    """Whether joint configurations tell all that pumps can do: speeds are fixed, and pumps of a class the same."""
    return not any(c.is_variable or c.is_nearly for c in plant.classes)


def joint_choices(plant: Plant) -> float:
    """How many joint configurations there are: known before they are listed, which millions could not be."""
    return float(np.prod([len(c.pumps) + 1.0 for c in plant.classes]) * np.prod([float(len(v.choices)) for v in plant.problem.valves]))


class JointConfigurations:
    """All products of counts of fixed-speed classes and of choices of valves.

    `counts` (J, classes), `choices` (J, valves), `ready` (n, J): which may be in each step.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        ranges = [range(len(c.pumps) + 1) for c in plant.classes] + [range(len(v.choices)) for v in plant.problem.valves]
        every = np.array(list(product(*ranges)), np.int64)
        self.counts: Ints = every[:, : len(plant.classes)]
        self.choices: Ints = every[:, len(plant.classes) :]
        available = (self.counts[None] <= plant.available[:, None, :]).all(axis=2)
        self.ready: NDArray[np.bool_] = np.asarray(available & (self.counts[None] >= plant.forced[:, None, :]).all(axis=2), np.bool_)

    def __len__(self) -> int:
        return len(self.counts)

    def speeds_at(self, k: int, c: Ints) -> Floats:
        """Speeds (N, pumps) of configurations (N,) in step k: the first available pumps of each class."""
        plant = self.plant
        table = np.zeros((len(self.counts), plant.pumps))
        for j in np.unique(c[self.ready[k, c]]).tolist():
            table[j] = plant.pumps_on(k, self.counts[j], plant.top_speed)[1]
        return table[c]

    def groups(self, most: int = 5) -> Ints:
        """Group of each configuration, (J,): by how many pumps run, for want of a better guess of where it leads; each by itself if they are few."""
        if len(self.counts) <= most:
            return np.arange(len(self.counts))
        total = self.counts.sum(axis=1)
        edges = np.unique(np.quantile(total, np.linspace(0, 1, most + 1)[1:-1], method="nearest"))
        return np.asarray(np.searchsorted(edges, total, side="left"), np.int64)

    def places(self, counts: Ints, choices: Ints) -> Ints:
        """Places of configurations by counts (N, classes) and choices (N, valves)."""
        sizes = [len(c.pumps) + 1 for c in self.plant.classes] + [len(v.choices) for v in self.plant.problem.valves]
        return np.asarray(np.ravel_multi_index((*counts.T, *choices.T), tuple(sizes)), np.int64)

    def index_of(self, counts: Ints, choices: Ints) -> int:
        """Place of the configuration with these counts (classes,) and choices (valves,)."""
        return int(self.places(counts[None], choices[None])[0])


@dataclass(frozen=True)
class Histories:
    """The last `memory` configurations, latest last: what the tanks' differences depend on most.

    `last` (H,): the latest; `after` (H, J): the history once a configuration follows; `group` (H,): histories that share a zone;
    `group_after` (groups, J): the group once a configuration follows.
    """

    memory: int
    last: Ints
    after: Ints
    group: Ints
    group_after: Ints

    @classmethod
    def of(cls, joint: JointConfigurations, memory: int) -> Histories:
        kinds, own = len(joint), joint.groups(5 if memory == 1 else 4)
        groups = int(own.max()) + 1
        all_of = np.array(list(product(range(kinds), repeat=memory)), np.int64)
        weight = kinds ** np.arange(memory - 1, -1, -1)
        later = np.concatenate([np.repeat(all_of[:, None, 1:], kinds, axis=1), np.broadcast_to(np.arange(kinds)[None, :, None], (len(all_of), kinds, 1))], axis=2)
        group_weight = groups ** np.arange(memory - 1, -1, -1)
        of_groups = np.array(list(product(range(groups), repeat=memory)), np.int64)
        group_later = np.concatenate(
            [np.repeat(of_groups[:, None, 1:], kinds, axis=1), np.broadcast_to(own[None, :, None], (len(of_groups), kinds, 1))], axis=2
        )
        return cls(memory, all_of[:, -1], later @ weight, own[all_of] @ group_weight, group_later @ group_weight)

    def constant(self, kind: int) -> int:
        """The history in which one configuration has been all along."""
        history = 0
        for _ in range(self.memory):
            history = int(self.after[history, kind])
        return history
