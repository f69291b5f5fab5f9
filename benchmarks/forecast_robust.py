"""What forecasts lose to gaps, frozen sensors, spikes, shifted levels and short histories, on real districts.

Issue times are Mondays outside the contest's weeks (benchmarks/forecast.py tells of the data); scores are mean absolute errors of the first
24 hours, over those of last week's wall-clock values or of undisturbed readings at the same times:

- spoilt: 10 % of the last fortnight's hours missing at random, a day frozen, three spikes of three times the mean: against undisturbed
- shifted: the last 1-7 days times 1.2, or with a burst that adds a fifth of the mean, or at 0.7 (part of the district re-zoned): the truth is
  shifted alike; the error over the undisturbed one on the same scale, and whether the change was reported
- cold: 14 days of history, and one day: against last week's values

Options: `--weeks 6`, `--zone dma_3`. Data: LEVADA_BENCH_DATA, by default ../shared/data beside the repository.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks import forecast as case
from levada.domain.series import Floats, Readings
from levada.domain.time import local_midnight, to_np
from levada.forecast import Forecast, ForecastInput, forecast

__all__ = ["main", "shifted", "spoilt"]

_FORTNIGHT_H = 14 * 24
_SHIFTS = {"+20 %": (1.2, 0.0), "burst, +20 % of mean": (1.0, 0.2), "re-zoned, -30 %": (0.7, 0.0)}
_DAYS = (1, 3, 7)


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """One district and issue time: readings before it (m3/s), and the measured first day (24,), m3/s."""

    start: datetime
    readings: Readings
    truth: Floats


def spoilt(readings: Readings, seed: int) -> Readings:
    """10 % of the last fortnight gone, a day frozen and three spikes in it."""
    rng = np.random.default_rng(seed)
    values, n = readings.values.copy(), len(readings)
    first = max(0, n - _FORTNIGHT_H)
    frozen = first + int(rng.integers(0, _FORTNIGHT_H - 48))
    values[frozen : frozen + 24] = values[frozen]
    values[rng.choice(np.arange(first, n), 3, replace=False)] = 3.0 * np.nanmean(values)
    kept = np.ones(n, np.bool_)
    kept[first:] = rng.random(n - first) >= 0.1
    return Readings.good(readings.times[kept], values[kept])


def shifted(readings: Readings, since: datetime, factor: float, amount: float) -> Readings:
    """From an instant on times `factor`, plus `amount` of the mean flow."""
    changed = np.where(readings.times >= to_np(since), readings.values * factor + amount * float(np.mean(readings.values)), readings.values)
    return Readings.good(readings.times, changed)


def _forecast(place: _Place, readings: Readings, hours: int = 24) -> Forecast:
    return forecast(
        ForecastInput(
            issue_time=place.start, step_s=3600, count=hours, time_zone=case.TIME_ZONE, zones={"a": readings}, holidays=case.italian_holidays(), seed=1
        )
    )


def _error(found: Forecast, truth: Floats) -> float:
    return float(np.nanmean(np.abs(found.zones[0].quantiles_m3_per_s[found.level(0.5)] - truth)))


def _places(inflows: case.Inflows, zones: Sequence[str], weeks: int) -> list[_Place]:
    found = []
    for monday in case.rolling_mondays(weeks):
        start = local_midnight(monday, ZoneInfo(case.TIME_ZONE))
        for zone, readings in inflows.known_before(start).items():
            truth = inflows.truth(zone, start, 24) / 1000.0
            known = np.isfinite(readings.values)
            # A district that is itself without readings lately would not tell what the disturbance costs.
            if zone in zones and np.isfinite(truth).all() and known[-_FORTNIGHT_H:].all():
                found.append(_Place(start, Readings.good(readings.times[known], readings.values[known]), truth))
    return found


def _gaps(places: Sequence[_Place], clean: Sequence[float]) -> None:
    worse = [_error(_forecast(p, spoilt(p.readings, seed)), p.truth) for seed, p in enumerate(places)]
    relative = np.array(worse) / np.array(clean)
    print(f"spoilt fortnight: error {np.sum(worse) / np.sum(clean) - 1:+.1%} (mean of ratios {relative.mean() - 1:+.1%}, worst {relative.max() - 1:+.0%})")


def _shifts(places: Sequence[_Place], clean: Sequence[float]) -> None:
    for name, (factor, amount) in _SHIFTS.items():
        for days in _DAYS:
            ratios, reported = [], 0
            for place, before in zip(places, clean, strict=True):
                readings = shifted(place.readings, place.start - timedelta(days=days), factor, amount)
                truth = place.truth * factor + amount * float(np.mean(place.readings.values))
                found = _forecast(place, readings)
                ratios.append(_error(found, truth) / (before * factor))
                reported += bool(found.zones[0].explanation.changes)
            print(f"shifted, {name:22} {days} days ago: error {statistics.fmean(ratios):6.2f} times the undisturbed, reported {reported} of {len(places)}")


def _cold(places: Sequence[_Place]) -> None:
    for days in (14, 7, 1):
        ours, naive, inside = [], [], []
        for place in places:
            since = to_np(place.start - timedelta(days=days))
            recent = place.readings.times >= since
            found = _forecast(place, Readings.good(place.readings.times[recent], place.readings.values[recent]))
            ours.append(_error(found, place.truth))
            week_ago = place.readings.values[len(place.readings) - 168 : len(place.readings) - 144]
            naive.append(float(np.nanmean(np.abs(week_ago - place.truth))))
            low, high = (found.zones[0].quantiles_m3_per_s[found.level(q)] for q in (0.05, 0.95))
            inside.append(float(((place.truth >= low) & (place.truth <= high)).mean()))
        against = f"{sum(ours) / sum(naive):.3f} of last week's" if days >= 7 else f"{sum(ours) / sum(naive):.3f} of last week's (which it has not seen)"
        print(f"{days:2} days of history: error {against}, 90 % interval holds {statistics.fmean(inside):.0%}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast_robust", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--zone", action="append", help="only this district (may be given more than once)")
    parser.add_argument("--weeks", type=int, default=6, help="number of issue times (default 6)")
    options = parser.parse_args(arguments)
    if not case.data_folder().exists():
        print(f"no benchmark data at {case.data_folder()}: set LEVADA_BENCH_DATA; nothing was compared", file=sys.stderr)
        return 0
    inflows = case.read_inflows()
    places = _places(inflows, options.zone or list(inflows.flow_l_per_s), options.weeks)
    print(f"{len(places)} districts and issue times, each district alone")
    clean = [_error(_forecast(place, place.readings), place.truth) for place in places]
    _cold(places)
    _gaps(places, clean)
    _shifts(places, clean)
    return 0


if __name__ == "__main__":
    sys.exit(main())
