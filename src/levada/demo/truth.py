"""How a plant differs from the model that Levada was given: drawn once from the plant's seed, the same for ever.

A model is never right. Pumps wear, pipes roughen, customers are not where the model has them. The bounds say by how much here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from levada.domain.network import Network
from levada.domain.settings import Operation

__all__ = ["PUMP_HEAD_FACTORS", "PUMP_POWER_FACTORS", "ROUGHNESS_FACTORS", "Truth", "draw_truth"]

PUMP_HEAD_FACTORS = (0.97, 1.02)
PUMP_POWER_FACTORS = (0.99, 1.04)
ROUGHNESS_FACTORS = (0.93, 1.03)
"""Of the Hazen-Williams coefficient in the model."""

_SPLIT_SPREAD = 0.25
"""Standard deviation of the logarithm of each junction's share of its zone, beside the model's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Factors on the model's figures by element, and the true share of each junction in its zone's demand (they sum to 1 in each zone)."""

    pump_head: Mapping[str, float]
    pump_power: Mapping[str, float]
    roughness: Mapping[str, float]
    share: Mapping[str, Mapping[str, float]]


def draw_truth(network: Network, operation: Operation, seed: int) -> Truth:
    """Draw what is true of the plant whose model is `network`. Shares follow the model's base demands, each off by some."""
    rng = np.random.default_rng([seed, 2])

    def uniform(bounds: tuple[float, float]) -> float:
        return float(rng.uniform(*bounds))

    head = {pump.name: uniform(PUMP_HEAD_FACTORS) for pump in network.pumps}
    power = {pump.name: uniform(PUMP_POWER_FACTORS) for pump in network.pumps}
    roughness = {link.name: uniform(ROUGHNESS_FACTORS) for link in network.links if link.kind in ("pipe", "cv")}
    share = {}
    for name, zone in operation.zones.items():
        base = np.array([network.junctions[network.junction_index[j]].base_demand_m3_per_s for j in zone.junctions])
        weight = (base if base.sum() > 0 else np.ones(len(base))) * np.exp(_SPLIT_SPREAD * rng.standard_normal(len(base)))
        share[name] = dict(zip(zone.junctions, (weight / weight.sum()).tolist(), strict=True))
    return Truth(pump_head=head, pump_power=power, roughness=roughness, share=share)
