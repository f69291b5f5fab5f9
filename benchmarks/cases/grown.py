"""Small random EPANET networks from a seed: zones, each with a tank and customers, fed by pumping stations from the source or from other zones.

They are sized as a planner would: pumps for about twice the mean draw of all that hangs on them, pipes for a metre a second or so, tanks for
some hours. A zone without a station lies about as high as the one it hangs on, joined to it by a main, so that their tanks float together.
The file's own controls run each station by its tank's level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.network import Network
from levada.hydraulics.inp import read_network

__all__ = ["grown_network", "grown_text"]

_SOURCE_HEAD_M = 10.0
_SHAPE = (0.5, 0.45, 0.4, 0.4, 0.5, 0.8, 1.2, 1.5, 1.5, 1.3, 1.2, 1.2, 1.25, 1.15, 1.05, 1.0, 1.05, 1.15, 1.3, 1.35, 1.2, 1.0, 0.8, 0.6)


@dataclass(slots=True)
class _Zone:
    parent: int
    """-1 for the source."""
    has_station: bool
    ground_m: float
    own_l_per_s: float
    total_l_per_s: float = 0.0


def grown_text(seed: int, *, tanks: int, stations: int) -> str:
    """The INP text of a network with so many tanks and stations; stations <= tanks."""
    if not 1 <= stations <= tanks:
        raise ValueError("a grown network needs a station at least, and no more stations than tanks")
    rng = np.random.default_rng([7, seed, tanks, stations])
    zones = _zones(rng, tanks, stations)
    junctions, tank_lines, pipes, pumps, curves, controls = [], [], [], [], [], []
    for i, z in enumerate(zones):
        level = rng.uniform(4.0, 6.0)
        hours = rng.uniform(6.0, 12.0)
        diameter = np.sqrt(4 * z.total_l_per_s * 3.6 * hours / level / np.pi)
        tank_lines.append(f"T{i} {z.ground_m + 30:.2f} {level * rng.uniform(0.4, 0.7):.3f} {0.1 * level:.3f} {level:.3f} {diameter:.3f} 0")
        parts = rng.dirichlet(np.full(3, 3.0)) * z.own_l_per_s
        junctions.append(f"J{i} {z.ground_m:.2f} 0")
        for c, part in enumerate(parts.tolist()):
            junctions.append(f"C{i}{c} {z.ground_m - rng.uniform(0, 15):.2f} {part:.4f} day{i}")
            pipes.append(f"pc{i}{c} {f'J{i}' if c == 0 else f'C{i}{c - 1}'} C{i}{c} {rng.uniform(200, 900):.0f} {_wide_mm(z.own_l_per_s):.0f} 120 0 Open")
        pipes.append(f"pl{i} C{i}2 J{i} {rng.uniform(300, 900):.0f} {_wide_mm(z.own_l_per_s / 2):.0f} 120 0 Open")
        pipes.append(f"pt{i} J{i} T{i} {rng.uniform(50, 300):.0f} {_wide_mm(3 * z.total_l_per_s):.0f} 120 0 Open")
        above = "R" if z.parent < 0 else f"T{z.parent}"
        if not z.has_station:
            pipes.append(f"pg{i} J{z.parent} J{i} {rng.uniform(400, 1500):.0f} {_wide_mm(3 * z.total_l_per_s):.0f} 120 0 Open")
            continue
        count = int(rng.integers(1, 4))
        low = _SOURCE_HEAD_M if z.parent < 0 else zones[z.parent].ground_m + 30 + 2
        lift = z.ground_m + 30 + 0.7 * level - low + rng.uniform(5, 12)
        flow = z.total_l_per_s * rng.uniform(1.7, 2.3) / count
        junctions += [f"S{i} {low - 5:.2f} 0", f"D{i} {low - 5:.2f} 0"]
        pipes.append(f"ps{i} {above} S{i} 20 {_wide_mm(4 * z.total_l_per_s):.0f} 130 0 Open")
        pipes.append(f"pm{i} D{i} J{i} {rng.uniform(300, 1500):.0f} {_wide_mm(2.5 * z.total_l_per_s):.0f} 120 0 Open")
        curves.append(f"head{i} {flow:.3f} {lift:.3f}")
        curves += [f"eff{i} {share * flow:.3f} {value:.1f}" for share, value in ((0.5, 60), (1.0, rng.uniform(70, 82)), (1.6, 55))]
        for c in range(count):
            pumps.append(f"P{i}{c} S{i} D{i} HEAD head{i}")
            controls.append(f"LINK P{i}{c} OPEN IF NODE T{i} BELOW {(0.6 - 0.15 * c) * level:.3f}")
            controls.append(f"LINK P{i}{c} CLOSED IF NODE T{i} ABOVE {(0.85 - 0.05 * c) * level:.3f}")
    drawn = {"JUNCTIONS": junctions, "TANKS": tank_lines, "PIPES": pipes, "PUMPS": pumps, "CURVES": curves, "CONTROLS": controls}
    return _text(drawn, _patterns(rng, len(zones)))


def grown_network(seed: int, *, tanks: int, stations: int) -> Network:
    """The network of `grown_text`, read by EPANET."""
    return read_network(grown_text(seed, tanks=tanks, stations=stations).encode(), f"grown-{seed}-{tanks}-{stations}.inp")


def _zones(rng: np.random.Generator, tanks: int, stations: int) -> list[_Zone]:
    """Zone 0 hangs on the source; the others on one before them."""
    pumped = {0, *(1 + rng.permutation(tanks - 1)[: stations - 1]).tolist()}
    zones: list[_Zone] = []
    for i in range(tanks):
        parent = -1 if i == 0 else int(rng.integers(0, i))
        below = _SOURCE_HEAD_M if parent < 0 else zones[parent].ground_m
        ground = below + (rng.uniform(10, 35) if i in pumped else rng.uniform(-0.5, 0.5))
        zones.append(_Zone(parent, i in pumped, ground, rng.uniform(5, 30)))
    for z in zones:
        z.total_l_per_s = z.own_l_per_s
    for z in reversed(zones):
        if z.parent >= 0:
            zones[z.parent].total_l_per_s += z.total_l_per_s
    return zones


def _wide_mm(flow_l_per_s: float) -> float:
    """A diameter at which the flow runs at about 0.8 m/s."""
    return max(80.0, float(np.sqrt(4 * flow_l_per_s / 1000 / 0.8 / np.pi)) * 1000)


def _patterns(rng: np.random.Generator, zones: int) -> list[str]:
    lines = []
    for i in range(zones):
        values = np.roll(np.array(_SHAPE), int(rng.integers(-2, 3))) * rng.uniform(0.9, 1.1, 24)
        lines.append(f"day{i} " + " ".join(f"{v:.3f}" for v in (values / values.mean()).tolist()))
    return lines


def _text(drawn: dict[str, list[str]], patterns: list[str]) -> str:
    efficiencies = [f"Pump {line.split()[0]} Efficiency eff{line.split()[0][1:-1]}" for line in drawn["PUMPS"]]
    # Nodes first: EPANET reads the file in its order.
    parts = {"JUNCTIONS": drawn["JUNCTIONS"], "RESERVOIRS": [f"R {_SOURCE_HEAD_M}"]} | drawn | {
        "PATTERNS": patterns,
        "ENERGY": ["Global Efficiency 75", *efficiencies],
        "TIMES": ["Duration 24:00", "Hydraulic Timestep 1:00", "Pattern Timestep 1:00"],
        "OPTIONS": ["Units LPS", "Headloss H-W", "Accuracy 0.00001", "Trials 100", "Unbalanced Continue 10"],
    }
    return "".join(f"[{name}]\n" + "\n".join(lines) + "\n\n" for name, lines in parts.items()) + "[END]\n"
