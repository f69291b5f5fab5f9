"""A water network as planning sees it: names and facts of an EPANET model, in SI, with the INP text it came from.

The words are EPANET's. `levada.hydraulics.inp.read_network` makes these from an INP file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from levada.domain.errors import NetworkError

__all__ = ["Junction", "Link", "Network", "Pump", "Reservoir", "Tank"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Junction:
    """A node where water is drawn. `base_demand_m3_per_s` is the sum over its demand categories, before patterns."""

    name: str
    elevation_m: float
    base_demand_m3_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservoir:
    """A source of fixed head."""

    name: str
    head_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tank:
    """A storage tank, as in EPANET's [TANKS]. Levels are metres of water above `elevation_m`.

    `volume_curve` are (level_m, volume_m3) points where the tank is not a cylinder.
    """

    name: str
    elevation_m: float
    initial_level_m: float
    min_level_m: float
    max_level_m: float
    diameter_m: float
    volume_curve: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if not self.min_level_m < self.max_level_m:
            raise NetworkError(f"tank {self.name}", f"min level {self.min_level_m} m is not below max level {self.max_level_m} m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pump:
    """A pump between two nodes. `head_curve` are (flow_m3_per_s, head_m) at speed 1; `efficiency_curve` (flow_m3_per_s, fraction)."""

    name: str
    start_node: str
    end_node: str
    head_curve: tuple[tuple[float, float], ...] = ()
    efficiency_curve: tuple[tuple[float, float], ...] = ()
    global_efficiency: float = 0.75
    constant_power_w: float | None = None
    initial_speed: float = 1.0
    initially_on: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A pipe or valve: for drawing and for cutting the network into components. `kind` is EPANET's word, such as `pipe` or `prv`."""

    name: str
    kind: str
    start_node: str
    end_node: str


@dataclass(frozen=True)
class Network:
    """A network in the order of its INP file. Arrays elsewhere follow these orders: junctions, tanks, pumps."""

    name: str
    inp: bytes
    junctions: tuple[Junction, ...]
    reservoirs: tuple[Reservoir, ...]
    tanks: tuple[Tank, ...]
    pumps: tuple[Pump, ...]
    links: tuple[Link, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Identity of the network: the SHA-256 of its INP text."""
        return hashlib.sha256(self.inp).hexdigest()

    @cached_property
    def junction_index(self) -> dict[str, int]:
        return {j.name: i for i, j in enumerate(self.junctions)}

    @cached_property
    def tank_index(self) -> dict[str, int]:
        return {t.name: i for i, t in enumerate(self.tanks)}

    @cached_property
    def pump_index(self) -> dict[str, int]:
        return {p.name: i for i, p in enumerate(self.pumps)}
