"""On real districts (BWDF, CC BY 4.0, see benchmarks/forecast.py), outside the contest's weeks."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from benchmarks import forecast as benchmark
from levada.domain.time import local_midnight
from levada.forecast import forecast
from levada.forecast.skill import Skill, mean_skill


@pytest.fixture(scope="module")
def inflows() -> benchmark.Inflows:
    if not benchmark.data_folder().exists():
        pytest.skip(f"no benchmark data at {benchmark.data_folder()}: set LEVADA_BENCH_DATA; forecasts of real demand are NOT checked here")
    return benchmark.read_inflows()


def _skill(inflows: benchmark.Inflows, zone: str, mondays: list[date], days: int) -> tuple[Skill, Skill]:
    """Of two days from each Monday: our mean scores and last week's, l/s."""
    scores = []
    for monday in mondays:
        start = local_midnight(monday, ZoneInfo(benchmark.TIME_ZONE))
        scores.append(benchmark.judged(forecast(benchmark.asked(inflows, start, [zone], hours=48, days=days)), inflows)[zone])
    ours, naive = (mean_skill([pair[i] for pair in scores]) for i in (0, 1))
    return ours, naive


@pytest.mark.parametrize("zone", ["dma_3", "dma_5"])
def test_with_60_days_of_history_it_is_a_fifth_better_than_last_week(inflows: benchmark.Inflows, zone: str) -> None:
    ours, naive = _skill(inflows, zone, [date(2022, 4, 4) + timedelta(weeks=5 * i) for i in range(8)], 60)
    assert ours.pi1 < 0.8 * naive.pi1
    assert 0.65 < ours.coverage_80 < 0.95
    assert ours.coverage_90 > ours.coverage_80
