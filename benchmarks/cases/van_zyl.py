"""van Zyl's network (2004): two identical pumps, a booster, two tanks, a cheap night; the file's day begins at 07:00.

Best known: GBP 325.14 a day with 4 starts in the whole plant (Lopez-Ibanez 2009, SPEA2; switch instants finer than hours), 344.43 by a hybrid GA. No bound
is published, nor whether a tank may stand full: both readings are cases. Decisions are at any minute, hourly or half-hourly; hydraulic steps an hour
(half an hour where decisions are half-hourly) and ten minutes. Starts are counted periodically, as the evaluator's pins count them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.cases.case import Case, Posed, required
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.time import Steps
from levada.hydraulics.inp import pattern_demands, read_network

__all__ = ["BEST_KNOWN", "START_HOUR", "Pin", "pins", "problem", "van_zyl_cases"]

FOLDER = "van-zyl"
BEST_KNOWN = 325.14
START_HOUR = 7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pin:
    """A schedule whose cost (GBP), final heads (m, by tank) and starts another evaluator gave."""

    name: str
    schedule: PumpSchedule
    starts: int
    cost: float
    final_head_m: dict[str, float]


def problem(
    *, steps_a_day: int = 24, hydraulic_step_s: int = 3600, may_stand_full: bool = True, max_starts_total: int | None = 4, switch_resolution_s: int | None = None
) -> PumpingProblem:
    """The day from 07:00; prices in GBP."""
    path = required(FOLDER, "van_zyl.inp")
    network = read_network(path.read_bytes(), path.name)
    steps = Steps.even(datetime(2026, 1, 1, START_HOUR, tzinfo=UTC), timedelta(days=1) / steps_a_day, steps_a_day)
    pumps, tanks = network.pumps, network.tanks
    hourly = _tariff(network.inp)
    price = np.repeat(hourly, steps_a_day // 24)
    return PumpingProblem(
        network=network,
        steps=steps,
        demand_m3_per_s=pattern_demands(network, steps),  # the file's patterns begin at its start, 07:00
        price_per_kwh=np.repeat(price[:, None], len(pumps), axis=1),
        initial_level_m=np.array([t.initial_level_m for t in tanks]),
        min_level_m=np.array([t.min_level_m for t in tanks]),
        max_level_m=np.array([t.max_level_m for t in tanks]),
        may_stand_full=np.full(len(tanks), may_stand_full),
        end_level_m=np.array([t.initial_level_m for t in tanks]),
        pressure_floors_m={},
        max_starts=np.full(len(pumps), steps_a_day, np.int64),
        count_starts="periodic",
        initial_on=np.zeros(len(pumps), bool),
        min_speed=np.ones(len(pumps)),
        max_speed=np.ones(len(pumps)),
        available=np.ones((steps_a_day, len(pumps)), bool),
        max_power_kw=None,
        hydraulic_step_s=hydraulic_step_s,
        max_starts_total=max_starts_total,
        switch_resolution_s=switch_resolution_s,
    )


def pins() -> list[Pin]:
    """The evaluator's pins. Their strings begin at midnight; schedules here at 07:00."""
    names = [p.name for p in problem().network.pumps]
    found = []
    with required(FOLDER, "evaluator-pins.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            from_midnight = np.array([[c == "1" for c in row[name]] for name in names]).T
            on = np.roll(from_midnight, -START_HOUR, axis=0)
            found.append(Pin(
                name=row["id"], schedule=PumpSchedule(on=on, speed=on.astype(float)), starts=int(row["total_switches"]), cost=float(row["cost_gbp"]),
                final_head_m={"t5": float(row["final_head_t5"]), "t6": float(row["final_head_t6"])},
            ))  # fmt: skip
    return found


def van_zyl_cases() -> list[Case]:
    """Free instants, hourly and half-hourly decisions; two hydraulic steps; both readings of a full tank."""
    found = []
    for decisions, steps, resolution_s in (("free instants", 24, 60), ("T=24", 24, None), ("T=48", 48, None)):
        for hydraulic_step_s in (86400 // steps, 600):
            for full in (True, False):

                def posed(steps: int = steps, step_s: int = hydraulic_step_s, full: bool = full, resolution_s: int | None = resolution_s) -> Posed:
                    return Posed(problem=problem(steps_a_day=steps, hydraulic_step_s=step_s, may_stand_full=full, switch_resolution_s=resolution_s))

                found.append(Case(
                    name=f"van Zyl {decisions} h={hydraulic_step_s // 60}min {'may stand full' if full else 'not full'}", pose=posed, published=BEST_KNOWN,
                    what="best, free instants", peer="SPEA2 2009", is_quick=(decisions, hydraulic_step_s, full) == ("T=24", 3600, True),
                ))  # fmt: skip
    return found


def _tariff(inp: bytes) -> np.ndarray:
    """The pattern pumptariff, GBP per kWh, 24 hours from the file's start."""
    rows = [line.split() for line in inp.decode().splitlines()]
    return np.array([float(value) for row in rows if row and row[0] == "pumptariff" for value in row[1:]])
