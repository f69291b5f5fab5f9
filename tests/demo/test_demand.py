"""The demo's demand: real, repeatable, for any date."""

import csv
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levada.demo.demand import QUARTER, Demand, source_days
from levada.demo.plant_settings import TrueZone
from levada.domain.settings import Utility

LISBON = Utility(name="somewhere", time_zone="Europe/Lisbon", country="PT")
ZONES = {"a": TrueZone(series="dma_5", mean_m3_per_h=100.0), "b": TrueZone(series="dma_1", mean_m3_per_h=10.0, shift_days=14)}


def make(seed: int = 1) -> Demand:
    return Demand(LISBON, ZONES, seed)


def day_of(demand: Demand, start: datetime) -> np.ndarray:
    return np.array([demand.flow_m3_per_s(start + i * QUARTER) for i in range(96)]) * 3600


def test_a_years_mean_is_what_was_asked_for() -> None:
    demand = make()
    days = np.array([day_of(demand, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=i)).mean(axis=0) for i in range(0, 364, 4)])
    assert days.mean(axis=0) == pytest.approx([100.0, 10.0], rel=0.05)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 96 * 365 * 8), min_size=1, max_size=6), st.integers(0, 3))
def test_a_value_does_not_depend_on_what_was_asked_before(quarters: list[int], seed: int) -> None:
    instants = [datetime(2024, 1, 1, tzinfo=UTC) + q * QUARTER for q in quarters]
    together = make(seed)
    forwards = [together.flow_m3_per_s(t).tolist() for t in instants]
    backwards = [together.flow_m3_per_s(t).tolist() for t in reversed(instants)]
    assert forwards == backwards[::-1] == [make(seed).flow_m3_per_s(t).tolist() for t in instants]
    assert (np.array(forwards) > 0).all()


def test_nights_are_low_and_holidays_are_like_sundays() -> None:
    demand = make()
    # Freedom Day 2028 is a Tuesday; the Sunday before it draws from the same source week.
    holiday, sunday = day_of(demand, datetime(2028, 4, 24, 23, tzinfo=UTC)), day_of(demand, datetime(2028, 4, 22, 23, tzinfo=UTC))
    assert (np.abs(holiday - sunday).mean(axis=0) < [10.0, 2.0]).all()
    assert holiday[8:20, 0].mean() < 0.8 * holiday[48:60, 0].mean()


def test_clock_changes_keep_the_towns_habits_on_its_own_clock() -> None:
    demand = make()
    # Lunch at one o'clock on the wall, on the days before and after clocks go forward.
    before = demand.flow_m3_per_s(datetime(2027, 3, 26, 13, tzinfo=UTC))
    after = demand.flow_m3_per_s(datetime(2027, 4, 2, 12, tzinfo=UTC))
    assert after[0] == pytest.approx(before[0], rel=0.25)
    # The hour that comes twice in autumn is drawn twice.
    twice = [demand.flow_m3_per_s(datetime(2026, 10, 25, h, 30, tzinfo=UTC))[0] for h in (0, 1)]
    assert twice[0] == pytest.approx(twice[1], rel=0.2)


def test_off_the_quarter_hour_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="quarter-hour"):
        make().flow_m3_per_s(datetime(2026, 1, 1, 0, 7, tzinfo=UTC))


def test_all_gaps_are_filled_and_no_source_day_is_a_holiday_there() -> None:
    source = source_days()
    assert all(np.isfinite(flow).all() and (flow > 0).all() for flow in source.flow_l_per_s.values())
    days = {source.first + timedelta(days=i) for indices in source.ordinary.values() for i in indices}
    assert not days & {date(2021, 12, 25), date(2022, 1, 1), date(2022, 4, 25), date(2022, 8, 15), date(2022, 11, 3)}
    assert set(source.ordinary) == {1, 2, 3, 4, 5, 6, 7}


def test_the_extract_says_what_its_source_says() -> None:
    folder = Path(os.environ.get("LEVADA_BENCH_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    path = folder / "demand" / "bwdf_inflow_lps.csv"
    if not path.exists():
        pytest.skip(f"the source data are not at {path}: set LEVADA_BENCH_DATA to check the demo's extract against them")
    extract = Path(__file__).resolve().parents[2] / "src" / "levada" / "demo" / "data" / "bwdf_inflow_l_per_s.csv"
    with path.open() as f, extract.open() as g:
        source = {datetime.fromisoformat(row["time_utc"]): row for row in csv.DictReader(f)}
        rows = list(csv.DictReader(g))
    assert len(rows) == 10032
    for row in rows:
        original = source[datetime.fromisoformat(row["time_utc"].replace("Z", ":00+00:00"))]
        for name in ("dma_1", "dma_3", "dma_5", "dma_8", "dma_10"):
            assert (row[name] == "") == (original[name] == "")
            if row[name]:
                assert float(row[name]) == pytest.approx(float(original[name]), abs=0.051)
