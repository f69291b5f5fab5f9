"""Demand forecasts beside last week's values and the competitors of the Battle of Water Demand Forecasting (WDSA/CCWI 2024).

The case is here because it is the one public contest of water-demand forecasts on real districts with every entry's scores.
Scores, l/s: PI1 = mean absolute error of hours 1-24, PI2 = largest absolute error of hours 1-24, PI3 = mean absolute error of hours
25-168; means over five districts (1, 3, 5, 8, 10) and the weeks W1-W3, each forecast for 168 h from its Monday's first midnight.
Alvisi et al. (2025), J. Water Resour. Plann. Manage. 151(10) 04025049, doi 10.1061/JWRMD5.WRENG-6887, data CC BY 4.0.

Competitors' figures are computed from the forecasts that they handed in. They had the week's observed weather; ours uses none.
Ours is one configuration for all districts, chosen on rolling issue times outside the three weeks. The second table is of such times.
Out of scope: the other five districts and the fourth week, which are not in these data.
Data: LEVADA_BENCH_DATA, by default ../shared/data beside the repository. Options: `--zone dma_3`, `--weeks 12`.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays
import numpy as np

from levada.domain.plan import ZoneForecast
from levada.domain.series import Floats, Readings
from levada.domain.time import Instants, local_midnight, to_np
from levada.forecast import ForecastInput, forecast

__all__ = ["CONTEST_WEEKS", "Inflows", "Scores", "data_folder", "last_week", "mean_scores", "our_forecast", "read_inflows", "scores"]

TIME_ZONE = "Europe/Rome"
CONTEST_WEEKS = {"W1": date(2022, 7, 25), "W2": date(2022, 10, 31), "W3": date(2023, 1, 16)}
HOURS = 168
_L_PER_M3 = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inflows:
    """Net inflow of each district, hourly means: `flow_l_per_s` (hours,) with NaN where missing, labelled by `times`."""

    times: Instants
    flow_l_per_s: dict[str, Floats]

    def known_before(self, instant: datetime, days: int | None = None) -> dict[str, Readings]:
        """What had been measured before an instant, m3/s; of the last `days` only, where given."""
        end = int(np.searchsorted(self.times, to_np(instant)))
        begin = 0 if days is None else int(np.searchsorted(self.times, to_np(instant - timedelta(days=days))))
        return {z: Readings.good(self.times[begin:end], f[begin:end] / _L_PER_M3) for z, f in self.flow_l_per_s.items()}

    def truth(self, zone: str, start: datetime, hours: int = HOURS) -> Floats:
        """What then was measured, l/s, (hours,); NaN where missing."""
        first = int(np.searchsorted(self.times, to_np(start)))
        measured = self.flow_l_per_s[zone][first : first + hours]
        return np.concatenate([measured, np.full(hours - len(measured), np.nan)])


@dataclass(frozen=True, slots=True)
class Scores:
    """Errors of one forecast of a week, l/s."""

    pi1: float
    pi2: float
    pi3: float


def data_folder() -> Path:
    """Where the case's data are; it may not exist on this machine."""
    root = Path(__file__).resolve().parents[1]
    return Path(os.environ.get("LEVADA_BENCH_DATA", root / ".." / "shared" / "data")) / "demand"


def read_inflows() -> Inflows:
    with (data_folder() / "bwdf_inflow_lps.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    times = np.array([np.datetime64(row[0].removesuffix("Z"), "us") for row in rows])
    values = np.array([[float(cell) if cell else np.nan for cell in row[2:]] for row in rows])
    return Inflows(times=times, flow_l_per_s={zone: values[:, i] for i, zone in enumerate(header[2:])})


def italian_holidays() -> dict[date, str]:
    """National holidays and the city's patron saint, as the contest's calendar has them."""
    years = range(2021, 2024)
    days = {day: str(name) for day, name in holidays.country_holidays("IT", years=years, language="en_US").items()}
    return days | {date(year, 11, 3): "San Giusto" for year in years}


def our_forecast(inflows: Inflows, start: datetime, zones: Sequence[str], hours: int = HOURS, days: int | None = None) -> dict[str, ZoneForecast]:
    """Our forecast issued at `start`, from what had been measured before it."""
    known = inflows.known_before(start, days)
    report = forecast(
        ForecastInput(
            issue_time=start,
            step_s=3600,
            count=hours,
            time_zone=TIME_ZONE,
            holidays=italian_holidays(),
            zones={zone: known[zone] for zone in zones},
            fallback=None,
            seed=1,
        )
    )
    return {f.zone: f for f in report.zones}


def last_week(inflows: Inflows, zone: str, start: datetime, hours: int = HOURS) -> Floats:
    """The value at the same wall-clock hour a week before; where that is missing, two weeks before and so on. l/s, (hours,)."""
    tz = ZoneInfo(TIME_ZONE)
    flow = inflows.flow_l_per_s[zone]
    values = np.full(hours, np.nan)
    for i in range(hours):
        local = (start + timedelta(hours=i)).astimezone(tz).replace(tzinfo=None)
        for weeks in range(1, 9):
            # Wall-clock arithmetic: the naive local time a week earlier, read in the zone again.
            earlier = (local - timedelta(weeks=weeks)).replace(tzinfo=tz).astimezone(UTC)
            at = int(np.searchsorted(inflows.times, to_np(earlier)))
            if earlier < start and np.isfinite(flow[at]):
                values[i] = flow[at]
                break
    return values


def scores(measured: Floats, expected: Floats) -> Scores:
    """PI1, PI2, PI3; NaN where a day has no measured value."""
    error = np.abs(measured - expected)

    def over(part: Floats, largest: bool = False) -> float:
        known = part[np.isfinite(part)]
        return float("nan") if not len(known) else float(known.max() if largest else known.mean())

    return Scores(over(error[:24]), over(error[:24], largest=True), over(error[24:]))


def mean_scores(of: Sequence[Scores]) -> Scores:
    return Scores(*(float(np.nanmean([getattr(s, name) for s in of])) for name in ("pi1", "pi2", "pi3")))


def _competitors(zones: Sequence[str]) -> dict[int, Scores]:
    """Mean scores by final position, of those who forecast all of these districts and weeks."""
    found: dict[int, list[Scores]] = {}
    with (data_folder() / "bwdf_competitor_scores.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["week"] in CONTEST_WEEKS and row["dma"] in zones:
                cells = [float(row[name] or "nan") for name in ("PI1", "PI2", "PI3")]
                found.setdefault(int(row["ranking_position"]), []).append(Scores(*cells))
    # Who left out a district or week is not compared: its mean would be over other, perhaps easier, weeks.
    complete = {position: s for position, s in found.items() if all(np.isfinite([x.pi1, x.pi2, x.pi3]).all() for x in s)}
    return {position: mean_scores(s) for position, s in sorted(complete.items())}


def _middle(q: ZoneForecast) -> Floats:
    return np.array(q.q50_m3_per_s) * _L_PER_M3


def _row(name: str, them: Scores, us: Scores) -> str:
    return f"{name:34}{them.pi1:9.3f}{them.pi2:9.3f}{them.pi3:9.3f}   {us.pi1 / them.pi1:6.3f}{us.pi2 / them.pi2:8.3f}{us.pi3 / them.pi3:8.3f}"


def contest(inflows: Inflows, zones: Sequence[str]) -> None:
    """The three weeks of the contest that these data hold."""
    tz = ZoneInfo(TIME_ZONE)
    ours, naive = [], []
    began = time.perf_counter()
    for monday in CONTEST_WEEKS.values():
        start = local_midnight(monday, tz)
        for zone, found in our_forecast(inflows, start, zones).items():
            measured = inflows.truth(zone, start)
            ours.append(scores(measured, _middle(found)))
            naive.append(scores(measured, last_week(inflows, zone, start)))
    seconds = time.perf_counter() - began
    us, others = mean_scores(ours), _competitors(zones)
    median = Scores(*(statistics.median(getattr(s, name) for s in others.values()) for name in ("pi1", "pi2", "pi3")))
    ranks = [1 + sum(getattr(s, name) < getattr(us, name) for s in others.values()) for name in ("pi1", "pi2", "pi3")]
    print(f"weeks {', '.join(CONTEST_WEEKS)}, {len(zones)} districts, l/s; ratio = ours / theirs (below 1: ours is better)")
    print(f"{'':34}{'PI1':>9}{'PI2':>9}{'PI3':>9}   {'ratio of each':>22}")
    print(_row("Levada", us, us))
    print(_row("last week by wall clock", mean_scores(naive), us))
    for position in (1, 2):
        print(_row(f"competitor at position {position} (weather)", others[position], us))
    print(_row(f"median of {len(others)} competitors", median, us))
    print(f"our place among {len(others) + 1} by PI1, PI2, PI3: {ranks[0]}, {ranks[1]}, {ranks[2]}")
    print(f"{seconds / len(ours):.2f} s for a district and week, training included, one thread")


def rolling(inflows: Inflows, zones: Sequence[str], weeks: int) -> None:
    """Weekly issue times spread over the year outside the contest's weeks: error of the first day, and how often the band holds."""
    tz = ZoneInfo(TIME_ZONE)
    mondays = [date(2022, 1, 10) + timedelta(weeks=i) for i in range(53)]
    mondays = [m for m in mondays if all(abs((m - w).days) >= 7 for w in CONTEST_WEEKS.values())]
    chosen = [mondays[i] for i in np.unique(np.linspace(0, len(mondays) - 1, weeks).round().astype(int))]
    error: dict[str, list[float]] = {zone: [] for zone in zones}
    naive: dict[str, list[float]] = {zone: [] for zone in zones}
    inside: dict[str, list[float]] = {zone: [] for zone in zones}
    width: dict[str, list[float]] = {zone: [] for zone in zones}
    for monday in chosen:
        start = local_midnight(monday, tz)
        for zone, found in our_forecast(inflows, start, zones).items():
            measured = inflows.truth(zone, start)
            low, high = np.array(found.q10_m3_per_s) * _L_PER_M3, np.array(found.q90_m3_per_s) * _L_PER_M3
            known = np.isfinite(measured)
            inside[zone].append(float(((measured >= low) & (measured <= high))[known].mean()) if known.any() else float("nan"))
            width[zone].append(float((high - low).mean()))
            ours, theirs = scores(measured, _middle(found)), scores(measured, last_week(inflows, zone, start))
            if np.isfinite(ours.pi1) and np.isfinite(theirs.pi1):
                error[zone].append(ours.pi1)
                naive[zone].append(theirs.pi1)
    print(f"\n{len(chosen)} weekly issue times outside those weeks: mean absolute error of the first day, l/s; 80 % band over the week")
    print(f"{'':12}{'Levada':>9}{'last week':>11}{'ratio':>8}{'band holds':>12}{'width / mean flow':>19}")
    for zone in zones:
        ours_mean, naive_mean = statistics.fmean(error[zone]), statistics.fmean(naive[zone])
        mean_flow = float(np.nanmean(inflows.flow_l_per_s[zone]))
        print(
            f"{zone:12}{ours_mean:9.3f}{naive_mean:11.3f}{ours_mean / naive_mean:8.3f}"
            f"{np.nanmean(inside[zone]):12.1%}{statistics.fmean(width[zone]) / mean_flow:19.1%}"
        )
    all_ours, all_naive = (statistics.fmean(x for zone in zones for x in of[zone]) for of in (error, naive))
    covered = float(np.nanmean([x for zone in zones for x in inside[zone]]))
    print(f"{'all':12}{all_ours:9.3f}{all_naive:11.3f}{all_ours / all_naive:8.3f}{covered:12.1%}")


def replanning(inflows: Inflows, zones: Sequence[str]) -> None:
    """What a planner pays every hour: 60 days of quarter-hours, 48 hours ahead at quarter-hours, trained afresh."""
    start = datetime(2022, 6, 15, 8, tzinfo=UTC)
    quarters = {}
    for zone, hourly in inflows.known_before(start, days=60).items():
        times = (hourly.times[:, None] + np.arange(4) * np.timedelta64(900_000_000, "us")).ravel()
        quarters[zone] = Readings.good(times, np.repeat(hourly.values, 4))
    inputs = ForecastInput(
        issue_time=start,
        step_s=900,
        count=192,
        time_zone=TIME_ZONE,
        holidays=italian_holidays(),
        zones={zone: quarters[zone] for zone in zones},
        fallback=None,
        seed=1,
    )
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        forecast(inputs)
        seconds.append(time.perf_counter() - began)
    print(f"\n{len(zones)} zones, 60 days of quarter-hours, 48 h ahead: {statistics.median(seconds):.2f} s, training included, one thread")
    print(f"machine: {platform.machine()}, Python {platform.python_version()}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--zone", action="append", help="only this district (may be given more than once)")
    parser.add_argument("--weeks", type=int, default=16, help="number of rolling issue times (default 16)")
    options = parser.parse_args(arguments)
    if not data_folder().exists():
        print(f"no benchmark data at {data_folder()}: set LEVADA_BENCH_DATA; nothing was compared", file=sys.stderr)
        return 0
    inflows = read_inflows()
    zones = options.zone or list(inflows.flow_l_per_s)
    contest(inflows, zones)
    rolling(inflows, zones, options.weeks)
    replanning(inflows, zones)
    return 0


if __name__ == "__main__":
    sys.exit(main())
