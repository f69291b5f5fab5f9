"""Demand forecasts beside last week's values and the competitors of the Battle of Water Demand Forecasting (WDSA/CCWI 2024).

The case is here because it is the one public contest of water-demand forecasts on real districts with every entry's scores.
Scores, l/s: PI1 = mean absolute error of hours 1-24, PI2 = largest absolute error of hours 1-24, PI3 = mean absolute error of hours
25-168; means over five districts (1, 3, 5, 8, 10) and the weeks W1-W3, each forecast for 168 h from its Monday's first midnight.
Alvisi et al. (2025), J. Water Resour. Plann. Manage. 151(10) 04025049, doi 10.1061/JWRMD5.WRENG-6887, data CC BY 4.0.

Competitors' figures are computed from the forecasts that they handed in. They had the week's observed weather; ours is shown without
and with it. One configuration for all districts, chosen on rolling issue times outside the three weeks; these are the second table.
Out of scope: the other five districts and the fourth week, which are not in these data.
Data: LEVADA_BENCH_DATA, by default ../shared/data beside the repository. Options: `--zone dma_3`, `--weeks 12`, `--no-weather`.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays
import numpy as np

from levada.domain.series import Floats, Readings
from levada.domain.time import Instants, local_midnight, to_np
from levada.forecast import Forecast, ForecastInput, Weather, forecast, train
from levada.forecast.skill import Skill, last_week, mean_skill, score

__all__ = ["CONTEST_WEEKS", "TIME_ZONE", "Inflows", "Scores", "asked", "data_folder", "judged", "read_inflows", "rolling_mondays"]

TIME_ZONE = "Europe/Rome"
CONTEST_WEEKS = {"W1": date(2022, 7, 25), "W2": date(2022, 10, 31), "W3": date(2023, 1, 16)}
HOURS = 168
_L_PER_M3 = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inflows:
    """Net inflow of each district, hourly means: `flow_l_per_s` (hours,) with NaN where missing, labelled by `times`; observed weather."""

    times: Instants
    flow_l_per_s: dict[str, Floats]
    weather: Mapping[str, Readings]

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
    times, flow = _table("bwdf_inflow_lps.csv")
    hours, sky = _table("bwdf_weather.csv")
    names = {"Rain": "rain_mm", "Temperature": "temperature_c", "Humidity": "humidity_percent", "Windspeed": "wind_km_per_h"}
    weather = {names[name]: Readings.good(hours[known], values[known]) for name, values in sky.items() for known in [np.isfinite(values)]}
    return Inflows(times=times, flow_l_per_s=flow, weather=weather)


def _table(name: str) -> tuple[Instants, dict[str, Floats]]:
    with (data_folder() / name).open(newline="") as file:
        header, *rows = csv.reader(file)
    times = np.array([np.datetime64(row[0].removesuffix("Z"), "us") for row in rows])
    values = np.array([[float(cell) if cell else np.nan for cell in row[2:]] for row in rows])
    return times, {column: values[:, i] for i, column in enumerate(header[2:])}


def italian_holidays() -> dict[date, str]:
    """National holidays and the city's patron saint, as the contest's calendar has them."""
    years = range(2021, 2024)
    days = {day: str(name) for day, name in holidays.country_holidays("IT", years=years, language="en_US").items()}
    return days | {date(year, 11, 3): "San Giusto" for year in years}


def asked(
    inflows: Inflows, start: datetime, zones: Sequence[str], *, hours: int = HOURS, days: int | None = None, weather: bool = False, **more: object
) -> ForecastInput:
    """A forecast to be issued at `start` from what had been measured before it; `weather` foretold as it then was, as in the contest."""
    known = inflows.known_before(start, days)
    return ForecastInput(
        issue_time=start,
        step_s=3600,
        count=hours,
        time_zone=TIME_ZONE,
        zones={zone: known[zone] for zone in zones},
        holidays=italian_holidays(),
        weather=Weather(observed=inflows.weather, forecast=inflows.weather) if weather else None,
        seed=1,
        **more,  # type: ignore[arg-type]
    )


def judged(found: Forecast, inflows: Inflows) -> dict[str, tuple[Skill, Skill]]:
    """Of each zone: our scores and those of last week's values, in l/s."""
    scores = {}
    for zone in found.zones:
        count = zone.quantiles_m3_per_s.shape[1]
        measured = inflows.truth(zone.zone, found.start, count)
        readings = inflows.known_before(found.start)[zone.zone]
        naive = last_week(readings, found.start, count, found.step_s, TIME_ZONE) * _L_PER_M3
        ours = score(zone.quantiles_m3_per_s * _L_PER_M3, found.levels, measured, found.step_s)
        scores[zone.zone] = ours, score(naive[None, :], (0.5,), measured, found.step_s)
    return scores


def rolling_mondays(weeks: int) -> list[date]:
    """`weeks` Mondays spread over a year, of which no week touches one of the contest's."""
    mondays = [date(2022, 1, 10) + timedelta(weeks=i) for i in range(53)]
    mondays = [m for m in mondays if all(abs((m - w).days) >= 7 for w in CONTEST_WEEKS.values())]
    return [mondays[i] for i in np.unique(np.linspace(0, len(mondays) - 1, weeks).round().astype(int))]


def mean_scores(of: Sequence[Scores]) -> Scores:
    return Scores(*(float(np.nanmean([getattr(s, name) for s in of])) for name in ("pi1", "pi2", "pi3")))


def _competitors(zones: Sequence[str]) -> dict[int, dict[tuple[str, str], Scores]]:
    """Scores by final position, then week and district, of those who forecast all of these districts and weeks."""
    found: dict[int, dict[tuple[str, str], Scores]] = {}
    with (data_folder() / "bwdf_competitor_scores.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["week"] in CONTEST_WEEKS and row["dma"] in zones:
                cells = [float(row[name] or "nan") for name in ("PI1", "PI2", "PI3")]
                found.setdefault(int(row["ranking_position"]), {})[row["week"], row["dma"]] = Scores(*cells)
    # Who left out a district or week is not compared: its mean would be over other, perhaps easier, weeks.
    complete = {p: s for p, s in found.items() if all(np.isfinite([x.pi1, x.pi2, x.pi3]).all() for x in s.values())}
    return dict(sorted(complete.items()))


def _mean_rank(of: Mapping[tuple[str, str], Scores], against: Sequence[Mapping[tuple[str, str], Scores]]) -> float:
    """Mean place over districts, weeks and scores: the contest's measure."""
    places = [
        1 + sum(getattr(other[key], name) < getattr(mine, name) for other in against) for key, mine in of.items() for name in ("pi1", "pi2", "pi3")
    ]
    return statistics.fmean(places)


def _row(name: str, them: Scores, us: Scores, rank: float | None) -> str:
    ratios = f"{us.pi1 / them.pi1:6.3f}{us.pi2 / them.pi2:8.3f}{us.pi3 / them.pi3:8.3f}"
    return f"{name:36}{them.pi1:8.3f}{them.pi2:8.3f}{them.pi3:8.3f}   {ratios}{'' if rank is None else f'{rank:10.2f}'}"


def contest(inflows: Inflows, zones: Sequence[str], weather: bool) -> None:
    """The three weeks of the contest that these data hold."""
    ours: dict[tuple[str, str], Scores] = {}
    naive: dict[tuple[str, str], Scores] = {}
    began = time.process_time()
    for week, monday in CONTEST_WEEKS.items():
        found = forecast(asked(inflows, local_midnight(monday, ZoneInfo(TIME_ZONE)), zones, weather=weather))
        for zone, pair in judged(found, inflows).items():
            ours[week, zone], naive[week, zone] = (Scores(x.pi1, x.pi2, x.pi3) for x in pair)
    seconds = time.process_time() - began
    others = _competitors(zones)
    means = {position: mean_scores(list(s.values())) for position, s in others.items()}
    us = mean_scores(list(ours.values()))
    median = Scores(*(statistics.median(getattr(s, name) for s in means.values()) for name in ("pi1", "pi2", "pi3")))
    field = [ours, *others.values()]
    print(f"\nweeks {', '.join(CONTEST_WEEKS)}, {len(zones)} districts, l/s; ratio = ours / theirs (below 1: ours is better)")
    print(f"{'':36}{'PI1':>8}{'PI2':>8}{'PI3':>8}   {'ratio of each':>22}{'mean rank':>10}")
    print(_row(f"Levada, {'with' if weather else 'without'} weather", us, us, _mean_rank(ours, field)))
    print(_row("last week by wall clock", mean_scores(list(naive.values())), us, None))
    for position in (1, 2):
        print(_row(f"competitor at position {position} (weather)", means[position], us, _mean_rank(others[position], field)))
    print(_row(f"median of {len(others)} competitors", median, us, None))
    ranks = [1 + sum(getattr(s, name) < getattr(us, name) for s in means.values()) for name in ("pi1", "pi2", "pi3")]
    print(f"our place among {len(others) + 1} by mean PI1, PI2, PI3: {ranks[0]}, {ranks[1]}, {ranks[2]}; {seconds / len(ours):.1f} s of one core a forecast")


def rolling(inflows: Inflows, zones: Sequence[str], weeks: int, weather: bool) -> None:
    """Weekly issue times spread over the year outside the contest's weeks: errors, bands, cumulated error."""
    ours: dict[str, list[Skill]] = {zone: [] for zone in zones}
    naive: dict[str, list[Skill]] = {zone: [] for zone in zones}
    mondays = rolling_mondays(weeks)
    for monday in mondays:
        found = forecast(asked(inflows, local_midnight(monday, ZoneInfo(TIME_ZONE)), zones, weather=weather))
        for zone, (us, them) in judged(found, inflows).items():
            if np.isfinite(us.pi1) and np.isfinite(them.pi1):
                ours[zone].append(us)
                naive[zone].append(them)
    print(f"\n{len(mondays)} weekly issue times outside those weeks, {'with' if weather else 'without'} weather; flows in l/s, widths and pinball in % of mean flow,")
    print("cumulated: 90th percentile of the largest cumulated error over 24 h, in hours of mean flow")
    print(f"{'':10}{'PI1':>7}{'last w.':>9}{'ratio':>7}{'PI3':>7}{'last w.':>9}{'80 %':>7}{'90 %':>7}{'weeks in 85-95':>16}{'width 90':>10}{'pinball':>9}{'cumulated':>11}")
    for name, of in [*((zone, [zone]) for zone in zones), ("all", list(zones))]:
        mine, others = [x for zone in of for x in ours[zone]], [x for zone in of for x in naive[zone]]
        mean, beside = mean_skill(mine), mean_skill(others)
        inside = statistics.fmean(0.85 <= x.coverage_90 <= 0.95 for x in mine)
        width, pinball = (statistics.fmean(getattr(x, field) / x.mean_flow for x in mine) for field in ("width_90", "pinball"))
        cumulated_h = float(np.quantile([x.cumulated_m3 / 3600 / x.mean_flow for x in mine], 0.9))
        print(
            f"{name:10}{mean.pi1:7.3f}{beside.pi1:9.3f}{mean.pi1 / beside.pi1:7.3f}{mean.pi3:7.3f}{beside.pi3:9.3f}"
            f"{mean.coverage_80:7.1%}{mean.coverage_90:7.1%}{inside:16.0%}{width:10.1%}{pinball:9.2%}{cumulated_h:11.2f}"
        )


def speed(inflows: Inflows, zones: Sequence[str]) -> None:
    """Series a minute on two cores, from seconds of one core: training and 168 h; 168 h from stored models; and the size of these."""
    start = local_midnight(CONTEST_WEEKS["W3"], ZoneInfo(TIME_ZONE))
    began = time.process_time()
    forecast(asked(inflows, start, zones))
    afresh = (time.process_time() - began) / len(zones)
    models = train(asked(inflows, start, zones))
    stored = []
    for _ in range(5):
        began = time.process_time()
        forecast(asked(inflows, start, list(models), models=models))
        stored.append((time.process_time() - began) / len(models))
    size_kb = statistics.fmean(len(text) for text in models.values()) / 1000
    print(f"\n168 h hourly from {len(zones)} districts' two years: {120 / afresh:.0f} series/min on two cores with training ({afresh:.2f} s of one core each),")
    print(f"{120 / min(stored):.0f} series/min from stored models ({min(stored) * 1000:.0f} ms each, models of {size_kb:.0f} kB)")
    print(f"machine: {platform.machine()}, Python {platform.python_version()}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--zone", action="append", help="only this district (may be given more than once)")
    parser.add_argument("--weeks", type=int, default=26, help="number of rolling issue times (default 26)")
    parser.add_argument("--no-weather", action="store_true", help="skip the runs with observed weather")
    options = parser.parse_args(arguments)
    if not data_folder().exists():
        print(f"no benchmark data at {data_folder()}: set LEVADA_BENCH_DATA; nothing was compared", file=sys.stderr)
        return 0
    inflows = read_inflows()
    zones = options.zone or list(inflows.flow_l_per_s)
    for weather in (False,) if options.no_weather else (False, True):
        contest(inflows, zones, weather)
        rolling(inflows, zones, options.weeks, weather)
    speed(inflows, zones)
    return 0


if __name__ == "__main__":
    sys.exit(main())
