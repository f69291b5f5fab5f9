"""Small problems with random subsets of everything a pumping problem can ask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpingProblem
from levada.domain.pumping_terms import ControllableValve, Meter, Source
from levada.hydraulics.inp import read_network
from levada.schedule.ahead import Forecast
from levada.schedule.assignment import Fits
from levada.schedule.bound import relax
from levada.schedule.broad import Broad, learn, search
from levada.schedule.candidate import Runner, Trial
from levada.schedule.models import fit_models
from levada.schedule.outlook import Outlook, outlook_by_water
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.search import Lean, actions_of, beam
from levada.schedule.surface import Sampler

__all__ = ["PRICE", "QUICK", "Searching", "random_problem", "search_broadly", "with_valve"]

QUICK = Work(fit_samples=12, audit_samples=100, beam=80, candidates=4, simulations=6000, quick_programmes=4, programmes=4)
PRICE = 1000.0


def search_broadly(problem: PumpingProblem) -> tuple[Plant, Broad]:
    """The broad search alone, with little work."""
    plant = Plant(problem)
    return plant, search(plant, np.random.default_rng(0), Fits(plant), QUICK, None, Teller(None, plant))


class Searching:
    """The parts of a search, ready to be called one by one."""

    def __init__(self, problem: PumpingProblem) -> None:
        self.plant, self.rng = Plant(problem), np.random.default_rng(0)
        sampler = Sampler(self.plant, self.rng)
        surfaces, zones = learn(self.plant, sampler, Work(fit_samples=12))
        models = fit_models(self.plant, surfaces, zones, sampler, Work(audit_samples=100))
        self.relaxation = relax(self.plant, models, zones)
        self.runner = Runner(self.plant, Fits(self.plant))
        self.forecast = Forecast(self.plant, surfaces, self.runner.whole)
        self.actions = actions_of(self.plant, models, self.relaxation)

    def beam(self, lean: Lean | None = None, outlook: Outlook | None = None) -> list[Trial]:
        return beam(self.runner, self.forecast, self.actions, outlook or outlook_by_water(self.relaxation.water), PRICE, 60, lean)


def with_valve(problem: PumpingProblem, small: Small) -> PumpingProblem:
    """The problem with a throttle on a second main beside the first: open, or nearly shut."""
    inp = small.inp().decode().replace(" B J1 T 400 250 120 0 Open", " B J1 T 400 250 120 0 Open\n E J0 J1 900 200 120 0 Open")
    network = read_network(inp.encode(), "valve.inp")
    return replace(problem, network=network, valves=(ControllableValve(link="E", choices=("closed", "open")),))


def random_problem(seed: int, *, most_steps: int = 12, most_pumps: int = 3) -> tuple[PumpingProblem, frozenset[str]]:
    """A problem and the names of what it asks beyond pumps, tanks and prices."""
    rng = np.random.default_rng(seed)
    small = Small(pumps=min(int(rng.integers(1, 4)), most_pumps), identical=bool(rng.random() < 0.6), upper=bool(rng.random() < 0.2), demand_l_per_s=float(rng.uniform(7, 16)), diameter_m=float(rng.uniform(11, 18)))
    n = min(int(rng.integers(6, 13)), most_steps)
    changes: dict[str, Any] = {"count_starts": "periodic" if rng.random() < 0.3 else "window"}
    asked: set[str] = set()

    def asks(name: str, share: float = 0.3) -> bool:
        if rng.random() < share:
            asked.add(name)
            return True
        return False

    plain = small.problem(n=n)
    pumps, tanks = len(plain.network.pumps), len(plain.network.tanks)
    names = tuple(p.name for p in plain.network.pumps)
    changes["max_starts"] = rng.integers(1, 4, pumps)
    changes["initial_on"] = rng.random(pumps) < 0.3
    if asks("speed", 0.2):
        changes["min_speed"] = np.full(pumps, 0.85)
    if asks("outage"):
        available = np.ones((n, pumps), bool)
        available[int(rng.integers(n)) :, 0] = pumps == 1
        available[0, -1] = False
        changes["available"] = available
    if asks("forced"):
        forced = np.zeros((n, pumps), bool)
        forced[n // 2 : n // 2 + 2, 0] = True
        changes["forced_on"] = forced & changes.get("available", True)
    if asks("times"):
        changes |= {"min_on_s": np.full(pumps, 7200.0), "min_off_s": np.full(pumps, 3600.0 * rng.integers(1, 3)), "held_s": rng.integers(0, 3, pumps) * 3600.0}
    if asks("days") and changes["count_starts"] == "window":
        changes |= {"day": (np.arange(n) >= n // 2).astype(np.int64), "starts_made": rng.integers(0, 2, pumps)}
    if asks("together"):
        changes["max_simultaneous_starts"] = 1
    if asks("wear"):
        changes["wear_cost_per_start"] = rng.uniform(0, 2, pumps)
    if asks("previous"):
        changes |= {"previous_on": rng.random((n, pumps)) < 0.5, "deviation_cost_per_h": np.where(rng.random((n, 1)) < 0.5, 0.3, 0.0) * np.ones(pumps)}
    if asks("hours"):
        changes["run_hours_h"] = rng.uniform(0, 20, pumps)
    if asks("reserve"):
        changes["reserve_level_m"] = np.repeat(rng.uniform(0.5, 1.5, (n, 1)), tanks, axis=1)
    if asks("ceiling"):
        changes["ceiling_level_m"] = np.repeat(rng.uniform(3.5, 4.5, (n, 1)), tanks, axis=1)
    if asks("band"):
        changes["end_level_max_m"] = np.full(tanks, 2.6)
    if asks("stored"):
        changes["stored_value_per_m3"] = np.full(tanks, 0.03)
    if asks("meter", 0.5):
        own = rng.uniform(0, 30, n) if asks("own power") else None
        changes["meters"] = (Meter(
            name="M", pumps=names, max_power_kw=60.0 if asks("contract") else None, demand_charge_per_kw=float(rng.uniform(0, 0.5)), peak_so_far_kw=float(rng.uniform(0, 15)),
            own_power_kw=own, export_price_per_kwh=None if own is None else np.full(n, 0.05),
        ),)  # fmt: skip
    if asks("co2"):
        changes |= {"co2_kg_per_kwh": rng.uniform(0.1, 0.5, n), "co2_price_per_kg": 0.05}
        if asks("co2 limit"):
            changes["max_co2_kg"] = 120.0
    if asks("source"):
        days = 2 if "day" in changes else 1
        changes["sources"] = (Source(
            reservoir="R", cost_per_m3=rng.uniform(0, 0.02, n), max_flow_m3_per_s=0.06 if asks("source flow") else None,
            max_volume_m3_per_day=small.demand_l_per_s * 3.6 * n * 1.4 / days if asks("source volume") else None,
        ),)  # fmt: skip
    if asks("ceilings"):
        changes["pressure_ceilings_m"] = {"J0": 75.0}
    if asks("flow limit"):
        changes["flow_limits_m3_per_s"] = {"A": (-0.01, 0.06)}
    problem = small.problem(n=n, prices=np.round(rng.uniform(0.05, 0.3, n), 3).tolist(), **changes)
    if asks("valve", 0.2):
        problem = with_valve(problem, small)
    return problem, frozenset(asked)
