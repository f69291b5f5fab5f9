"""Tiny networks as INP text, and problems on them, small enough to try every schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

import numpy as np

from levada.domain.billing import bill_of
from levada.domain.pumping import PumpingProblem, PumpSchedule, Trajectory
from levada.domain.time import Steps
from levada.hydraulics.engine import StepResult
from levada.hydraulics.inp import read_network
from levada.hydraulics.simulate import Simulator

START = datetime(2026, 3, 3, tzinfo=UTC)


@dataclass(frozen=True)
class Small:
    """A reservoir, pumps side by side, a tank, and with `upper` a second station from the first tank to a second one."""

    pumps: int = 2
    identical: bool = True
    diameter_m: float = 12.0
    demand_l_per_s: float = 18.0
    upper: bool = False
    lift_m: float = 40.0

    def inp(self) -> bytes:
        curves = [f" C{i} {q} {h}" for i in range(2) for q, h in ((0, 60 + 6 * i), (20 + 4 * i, 50 + 5 * i), (40 + 6 * i, 20 + 4 * i))]
        pumps = [f" P{i} R J0 HEAD C{0 if self.identical else i % 2}" for i in range(self.pumps)]
        lines = [
            "[JUNCTIONS]", " J0 0 0", " J1 5 1", *([" U0 40 0", " U1 45 1"] if self.upper else []),
            "[RESERVOIRS]", " R 0",
            "[TANKS]", f" T {self.lift_m} 2 0 5 {self.diameter_m} 0", *([" V 70 2 0 5 9 0"] if self.upper else []),
            "[PIPES]", " A J0 J1 800 250 120 0 Open", " B J1 T 400 250 120 0 Open",
            *([" C U0 U1 300 200 120 0 Open", " D U1 V 200 200 120 0 Open"] if self.upper else []),
            "[PUMPS]", *pumps, *([" Q0 T U0 HEAD C0"] if self.upper else []),
            "[CURVES]", *curves,
            "[OPTIONS]", " Units LPS", " Headloss H-W", " Accuracy 0.0001",
            "[TIMES]", " Duration 24:00", " Hydraulic Timestep 1:00",
            "[END]",
        ]  # fmt: skip
        return "\n".join(lines).encode()

    def problem(self, n: int = 6, minutes: int = 60, prices: list[float] | None = None, **changes: object) -> PumpingProblem:
        """Hourly steps by default; demand at J1 (and a quarter of it at U1) around the mean; end level not below the start."""
        network = read_network(self.inp(), "small.inp")
        steps = Steps.even(START, timedelta(minutes=minutes), n)
        pumps, tanks = len(network.pumps), len(network.tanks)
        demand = np.zeros((n, len(network.junctions)))
        wave = 1 + 0.3 * np.sin(np.arange(n))
        demand[:, network.junction_index["J1"]] = self.demand_l_per_s / 1000 * wave
        if self.upper:
            demand[:, network.junction_index["U1"]] = self.demand_l_per_s / 4000 * wave
        price = np.array(prices or [0.1, 0.12, 0.3, 0.25, 0.15, 0.1] * n)[:n]
        fields: dict[str, object] = {
            "network": network, "steps": steps, "demand_m3_per_s": demand, "price_per_kwh": np.repeat(price[:, None], pumps, axis=1),
            "initial_level_m": np.full(tanks, 2.0), "min_level_m": np.full(tanks, 0.5), "max_level_m": np.full(tanks, 4.5),
            "may_stand_full": np.zeros(tanks, bool), "end_level_m": np.full(tanks, 2.0), "pressure_floors_m": {},
            "max_starts": np.full(pumps, 3), "count_starts": "window", "initial_on": np.zeros(pumps, bool), "min_speed": np.ones(pumps),
            "max_speed": np.ones(pumps), "available": np.ones((n, pumps), bool), "max_power_kw": None, "hydraulic_step_s": 1800,
        }  # fmt: skip
        return PumpingProblem(**{**fields, **changes})  # type: ignore[arg-type]


def every_schedule(problem: PumpingProblem) -> Iterator[PumpSchedule]:
    """All on/off schedules at full speed, with all choices of valves; of identical pumps the first ones run."""
    pumps = problem.network.pumps
    same = len({(p.start_node, p.head_curve) for p in pumps}) == 1
    states = [tuple(i < k for i in range(len(pumps))) for k in range(len(pumps) + 1)] if same else list(product((False, True), repeat=len(pumps)))
    choices = list(product(*(range(len(v.choices)) for v in problem.valves)))
    for way in product(product(states, choices), repeat=len(problem.steps)):
        on = np.array([state for state, _ in way])
        valve_choice = np.array([choice for _, choice in way], np.int64).reshape(len(way), len(problem.valves))
        yield PumpSchedule(on=on, speed=np.where(on, problem.max_speed, 0.0), valve_choice=valve_choice)


def best_by_trying_all(problem: PumpingProblem) -> tuple[float, PumpSchedule] | None:
    """The cheapest schedule without a violation, by its whole bill, every schedule simulated; None where there is none."""
    simulator = Simulator(problem)
    best: tuple[float, PumpSchedule] | None = None
    known: dict[tuple[int, bytes, bytes, bytes], StepResult] = {}
    start = simulator.volumes(problem.initial_level_m)
    for schedule in every_schedule(problem):
        volume, steps = start, list[StepResult]()
        for k in range(len(problem.steps)):
            choice = schedule.valve_choice[k]
            key = (k, volume.tobytes(), schedule.on[k].tobytes(), choice.tobytes())
            if key not in known:
                known[key] = simulator.steps(np.array([k]), volume[None], schedule.speed[k][None], choice[None])[0]
            steps.append(known[key])
            if steps[-1].severity > 0:
                break
            volume = steps[-1].volume
        else:
            if (volume < simulator.end_volume - 1e-6).any():
                continue
            cost = bill_of(problem, schedule, np.array([s.power for s in steps]), np.array([s.source for s in steps]), volume - start).total
            if (best is None or cost < best[0]) and not simulator.run(schedule).violations:
                best = cost, schedule
    return best


def same(a: Trajectory, b: Trajectory) -> bool:
    return bool(np.array_equal(a.level_m, b.level_m) and a.cost == b.cost)


__all__ = ["Small", "best_by_trying_all", "every_schedule", "replace", "same"]
