"""What errors of the demand forecast cost: a day is planned by our forecast, by last week's values and by what then came, and lived through.

The plant is examples/hill-town, its demand in the course of a district of the Battle of Water Demand Forecasting (see forecast.py), scaled to the
plant's own mean. Prices are Spain's day-ahead prices (OMIE, by the data's PROVENANCE.md) of the day 364 days later, since published prices
begin after the demands: the same weekday and season. Each plan of 24 hours from midnight is made for its expected demand and then followed
blindly in EPANET on the demand that came: no re-planning, which would make up for most of it. Water that the tanks have more or less at the end
than where all was foreseen counts at that day's cost per m3.

Data: LEVADA_BENCH_DATA, by default ../shared/data beside the repository. Options: `--zone dma_5`, `--days 10`.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.forecast import TIME_ZONE, Inflows, asked, data_folder, read_inflows, rolling_mondays
from levada.cases.load import load
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.domain.time import local_midnight, to_np
from levada.forecast import forecast
from levada.forecast.skill import last_week
from levada.hydraulics.audit import audit
from levada.kpi.volumes import tank_volume_m3
from levada.schedule import solve

__all__ = ["Lived", "day_problem", "lived_through", "main"]

HOURS = 24
_SHIFT = timedelta(days=364)
_WAYS = ("our forecast", "last week")


@dataclass(frozen=True, slots=True)
class Lived:
    """A plan followed on the demand that came: cost, water at the end, m3, and by how much tanks left their limits, m, the worst of them."""

    cost: float
    stored_m3: float
    outside_m: float


def day_problem(plant: PumpingProblem, flow: Floats, mean_flow: float, price_per_kwh: Floats) -> PumpingProblem:
    """The plant with a demand (24,) in the course of `flow` over `mean_flow`, split over junctions as its own is, and prices (24,)."""
    total = plant.demand_m3_per_s.sum(axis=1).mean()
    share = plant.demand_m3_per_s.mean(axis=0) / total
    return replace(
        plant,
        demand_m3_per_s=(flow / mean_flow * total)[:, None] * share[None, :],
        price_per_kwh=np.repeat(price_per_kwh[:, None], len(plant.network.pumps), axis=1),
    )


def lived_through(truth: PumpingProblem, schedule: PumpSchedule) -> Lived:
    """Follow a schedule on the demand that came."""
    found = audit(truth, schedule).trajectory
    stored = sum(float(tank_volume_m3(tank, found.level_m[-1, i])) for i, tank in enumerate(truth.network.tanks))
    outside = [v.amount for v in found.violations if v.limit == "level"]
    return Lived(cost=found.cost, stored_m3=stored, outside_m=max(outside, default=0.0))


def _prices() -> dict[np.datetime64, float]:
    """EUR/kWh by the hour's start, UTC."""
    with (data_folder().parent / "prices" / "omie_day_ahead_2023-04_2025-12.csv").open(newline="") as file:
        rows = [(r["time_utc"], int(r["minutes"]), float(r["price_es_eur_mwh"]) / 1000.0) for r in csv.DictReader(file)]
    return {np.datetime64(time.removesuffix("Z"), "us"): price for time, minutes, price in rows if minutes == 60}


def _days(inflows: Inflows, prices: dict[np.datetime64, float], zone: str, count: int) -> list[tuple[datetime, Floats]]:
    """`count` of the rolling issue times, spread evenly, with measured flows and prices for all hours, and those prices."""
    found = []
    # Not Mondays alone: each issue time is so many days after one.
    for i, monday in enumerate(rolling_mondays(52)):
        start = local_midnight(monday + timedelta(days=i % 7), ZoneInfo(TIME_ZONE))
        hours = to_np(start + _SHIFT) + np.arange(HOURS) * np.timedelta64(3600, "s")
        if np.isfinite(inflows.truth(zone, start, HOURS)).all() and all(h in prices for h in hours):
            found.append((start, np.array([prices[h] for h in hours])))
    return [found[i] for i in np.unique(np.linspace(0, max(len(found) - 1, 0), min(count, len(found))).round().astype(int))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zone", default="dma_5", help="the district whose course the demand has (default dma_5)")
    parser.add_argument("--days", type=int, default=10, help="number of days (default 10)")
    arguments = parser.parse_args()
    if not data_folder().exists():
        print(f"NOT RUN: there are no data at {data_folder()}; set LEVADA_BENCH_DATA", file=sys.stderr)
        return 1
    inflows, prices = read_inflows(), _prices()
    plant = load(Path(__file__).resolve().parents[1] / "examples" / "hill-town").problem
    days = _days(inflows, prices, arguments.zone, arguments.days)
    print(f"{len(days)} days from {days[0][0]:%Y-%m-%d} to {days[-1][0]:%Y-%m-%d}, demand in the course of {arguments.zone}, EUR\n")
    print("day          all foreseen   our forecast            last week             error of the day's water")
    extra: dict[str, list[float]] = {way: [] for way in _WAYS}
    outside: dict[str, list[float]] = {way: [] for way in _WAYS}
    for start, price in days:
        truth = inflows.truth(arguments.zone, start, HOURS)
        mean = float(np.nanmean(inflows.flow_l_per_s[arguments.zone]))
        known = inflows.known_before(start)[arguments.zone]
        ours = forecast(asked(inflows, start, [arguments.zone], hours=HOURS)).zones[0]
        expected = {"our forecast": 1000 * ours.quantiles_m3_per_s[len(ours.quantiles_m3_per_s) // 2], "last week": 1000 * last_week(known, start, HOURS, 3600, TIME_ZONE)}
        true_problem = day_problem(plant, truth, mean, price)
        best = lived_through(true_problem, solve(true_problem).schedule)
        worth = best.cost / float(true_problem.demand_m3_per_s.sum() * 3600)
        cells = []
        for way in _WAYS:
            lived = lived_through(true_problem, solve(day_problem(plant, expected[way], mean, price)).schedule)
            cost = lived.cost + worth * (best.stored_m3 - lived.stored_m3)
            extra[way].append(cost / best.cost - 1)
            outside[way].append(lived.outside_m)
            cells.append(f"{cost:8.2f} ({extra[way][-1]:+.1%}, {lived.outside_m:.2f} m out)")
        errors = ", ".join(f"{expected[way].mean() / truth.mean() - 1:+.1%}" for way in _WAYS)
        print(f"{start:%Y-%m-%d}  {best.cost:10.2f}   {'   '.join(cells)}   {errors}", flush=True)
    print()
    for way in _WAYS:
        print(f"{way}: {statistics.fmean(extra[way]):+.2%} on average over all foreseen, tanks outside their limits on {sum(o > 0 for o in outside[way])} of {len(days)} days, by {max(outside[way]):.2f} m at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
