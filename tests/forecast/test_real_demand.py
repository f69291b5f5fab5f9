"""On real districts (BWDF, CC BY 4.0, see benchmarks/forecast.py), outside the contest's weeks."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from benchmarks import forecast as benchmark
from levada.domain.time import local_midnight


@pytest.fixture(scope="module")
def inflows() -> benchmark.Inflows:
    if not benchmark.data_folder().exists():
        pytest.skip(f"no benchmark data at {benchmark.data_folder()}: set LEVADA_BENCH_DATA; forecasts of real demand are NOT checked here")
    return benchmark.read_inflows()


def _errors(inflows: benchmark.Inflows, zone: str, mondays: list[date], days: int) -> tuple[float, float, float]:
    """Mean absolute error of the first day, ours and last week's, l/s; part of the values in the 80 % band."""
    ours, naive, inside = [], [], []
    for monday in mondays:
        start = local_midnight(monday, ZoneInfo(benchmark.TIME_ZONE))
        found = benchmark.our_forecast(inflows, start, [zone], hours=48, days=days)[zone]
        measured = inflows.truth(zone, start, 48)
        ours.append(benchmark.scores(measured, np.array(found.q50_m3_per_s) * 1000).pi1)
        naive.append(benchmark.scores(measured, benchmark.last_week(inflows, zone, start, 48)).pi1)
        low, high = np.array(found.q10_m3_per_s) * 1000, np.array(found.q90_m3_per_s) * 1000
        inside.append(float(((measured >= low) & (measured <= high))[np.isfinite(measured)].mean()))
    return float(np.mean(ours)), float(np.mean(naive)), float(np.mean(inside))


@pytest.mark.parametrize("zone", ["dma_3", "dma_5"])
def test_with_60_days_of_history_it_is_a_fifth_better_than_last_week(inflows: benchmark.Inflows, zone: str) -> None:
    mondays = [date(2022, 4, 4) + timedelta(weeks=5 * i) for i in range(8)]
    ours, naive, inside = _errors(inflows, zone, mondays, 60)
    assert ours < 0.8 * naive
    assert 0.65 < inside < 0.95


def test_last_week_keeps_to_the_wall_clock(inflows: benchmark.Inflows) -> None:
    start = local_midnight(date(2021, 11, 1), ZoneInfo(benchmark.TIME_ZONE))
    # 169 hours before, as the clock went back in between.
    earlier = inflows.truth("dma_3", start - timedelta(hours=169), 24)
    assert np.array_equal(benchmark.last_week(inflows, "dma_3", start, 24), earlier)
