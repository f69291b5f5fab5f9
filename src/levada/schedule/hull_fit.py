"""True solves of all configurations of all parts, drawn once, and planes through them: what the bound by columns and that of values by tank begin with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.schedule.hull_models import Drawn, HullModel, Part, are_of_solves, directions, parts_of, run_at
from levada.schedule.hull_states import States
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Stopped, Teller
from levada.schedule.reach import Zone, reach_by_rates
from levada.schedule.relaxation_tariff import has_terms

__all__ = ["Fitted", "fitted"]

_SAMPLES, _LEAST_SAMPLES, _MOST_SAMPLES, _FEWEST = 250, 8000, 80_000, 100
"""Solves a configuration, at least and at most so many in all; with fewer a configuration than the last there are no models, which are made of so many where the most would be fewer."""

_MOST_CONFIGURATIONS = 3000
_MOST_LINKS = 100_000_000
"""Solves times links of the network that shape the planes at most: some half a minute."""


@dataclass(frozen=True)
class Fitted:
    """Parts, what was drawn, planes through it, and the zones of the states at the n + 1 instants."""

    parts: list[Part]
    drawn: Drawn
    models: list[HullModel]
    zones: list[Zone]

    def states_of_solves(self, plant: Plant) -> States:
        """States at the solves of each step, or at its beginning where models are of whole steps."""
        return States(plant, self.zones, of_solves=are_of_solves(plant))

    def states_of_steps(self, plant: Plant) -> States:
        """States at the beginning of each step."""
        return States(plant, self.zones, of_solves=False)


def fitted(plant: Plant, zones: list[Zone], rng: np.random.Generator, work: Work, teller: Teller) -> Fitted | None:
    """Models of all parts over what can be reached: by these zones, or where there are none by what levels were seen to change by at most. None where they are not for the plant, or it was stopped before it had any."""
    parts = parts_of(plant, _MOST_CONFIGURATIONS) if has_terms(plant) and plant.problem.switch_resolution_s is None else None
    kinds = max((len(p.counts) for p in parts or ()), default=0)
    count = min(max(min(_SAMPLES * kinds, _MOST_SAMPLES), _FEWEST * kinds, _LEAST_SAMPLES), work.hull_solves, _MOST_LINKS // max(len(plant.problem.network.links), 1))
    if parts is None or count < _FEWEST * kinds or teller.is_stopped:
        return None
    step, x = States(plant, zones, of_solves=are_of_solves(plant)).draw(count, rng)
    try:
        drawn = run_at(plant, parts, step, x, np.stack([rng.permutation(np.arange(len(step)) % len(p.counts)) for p in parts], axis=1), rng, teller.pause)
    except Stopped:
        return None
    z = directions(plant)
    return Fitted(parts, drawn, [HullModel.fit(plant, part, z, drawn) for part in parts], zones or _by_rates(plant, drawn))


def _by_rates(plant: Plant, drawn: Drawn) -> list[Zone]:
    """Zones by what solves anywhere raise tanks by."""
    whole = drawn.runs.holds.all(axis=1)
    inflow = drawn.runs.inflow[whole].sum(axis=1) / plant.problem.steps.hours[drawn.step[whole]][:, None]
    return reach_by_rates(plant, inflow / plant.span * plant.rise_m)
