"""AnyTown-modified in EPANET: its three proved optima, and the same network under twenty other tariffs, hourly and half-hourly.

Optima and rules: benchmarks/anytown_modified.py. Published proofs took 1.6, 25 and 409 s on 64 cores for 1, 2 and 3 starts (epanet-bb);
Costa et al. (2016) found 3916.98, 3618.59 and 3578.67 in 425 s, 10 h and 81 h. Under the other tariffs nothing is published: the bound tells.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from benchmarks import anytown_modified
from benchmarks.cases.case import Case, Posed, required
from benchmarks.cases.tariffs import averaged, shapes
from levada.domain.pumping import PumpingProblem
from levada.domain.series import Floats
from levada.domain.time import Steps

__all__ = ["half_hourly", "optima_cases", "tariff_cases", "under_tariff"]

_PROOFS = {1: "1.6 s", 2: "25 s", 3: "409 s"}
MOST_STARTS = 3


def half_hourly(problem: PumpingProblem) -> PumpingProblem:
    """The same day in half-hour steps: demands, prices and availability of the hour hold for both halves."""
    twice: dict[str, Any] = {name: np.repeat(getattr(problem, name), 2, axis=0) for name in ("demand_m3_per_s", "price_per_kwh", "available")}
    return replace(problem, steps=Steps.even(problem.steps.start, timedelta(minutes=30), 2 * len(problem.steps)), **twice)


def under_tariff(problem: PumpingProblem, quarters: Floats) -> PumpingProblem:
    """The problem at other prices: quarter-hours of its day, averaged to its even steps."""
    price = averaged(quarters, len(problem.steps))
    return replace(problem, price_per_kwh=np.repeat(price[:, None], len(problem.network.pumps), axis=1))


def optima_cases() -> list[Case]:
    """At most 1, 2 and 3 starts, hourly decisions, the published tariff."""
    found = []
    for starts, optimum in anytown_modified.OPTIMA.items():

        def posed(starts: int = starts) -> Posed:
            required("atm-anytown-modified")
            return Posed(problem=anytown_modified.problem(starts))

        peer = f"epanet-bb, 64 cores {_PROOFS[starts]}"
        found.append(Case(name=f"AT(M) <= {starts} starts", pose=posed, published=optimum, what="optimum", peer=peer, is_quick=True))

    def halved() -> Posed:
        required("atm-anytown-modified")
        return Posed(problem=half_hourly(anytown_modified.problem(MOST_STARTS)))

    what = "hourly optimum, a half-hourly one is at most as dear"
    found.append(Case(name="AT(M) 48 steps", pose=halved, published=anytown_modified.OPTIMA[MOST_STARTS], what=what, peer="epanet-bb"))
    return found


def tariff_cases() -> list[Case]:
    """Twenty tariffs, at most 3 starts, hourly and half-hourly."""
    found = []
    for steps in (24, 48):
        for name, quarters in shapes().items():

            def posed(steps: int = steps, quarters: Floats = quarters) -> Posed:
                required("atm-anytown-modified")
                hourly = anytown_modified.problem(MOST_STARTS)
                return Posed(problem=under_tariff(half_hourly(hourly) if steps == 48 else hourly, quarters))

            found.append(Case(name=f"AT(M) T={steps} {name}", pose=posed, is_quick=(steps, name) == (24, "negative noon")))
    return found
