"""What the CSVs of a forecast case become: any unit, zone and label; what cannot be used is named with its line, and the rest is used."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.cases.forecasting.forecast_folder import HEAD, flow_l_per_s, flows, write_case

from levada.cases import forecasting
from levada.domain.errors import FileError, RowError
from levada.domain.time import from_np


def test_flows_come_in_their_unit_and_zone(tmp_path: Path) -> None:
    head = HEAD.replace('unit = "l/s"', 'unit = "m3/h"\ntime_zone = "America/New_York"')
    case = forecasting.load(write_case(tmp_path, head=head, lines=["time,north", "2026-03-02T00:00:00,36", "2026-03-02T01:00:00,72"]))
    north = case.zones["north"]
    assert from_np(north.times[0]) == datetime(2026, 3, 2, 5, tzinfo=UTC)
    assert north.values == pytest.approx([0.01, 0.02])


def test_bad_cells_and_rows_are_named_and_the_others_used(tmp_path: Path) -> None:
    lines = flows(48)
    lines[3] = lines[3].replace(str(flow_l_per_s("north", 2)), "eleven")
    lines[5] = "yesterday,1,2"
    lines[7] = lines[7].rsplit(",", 1)[0] + ","
    case = forecasting.load(write_case(tmp_path, lines=lines))
    assert len(case.zones["north"]) == 46
    assert len(case.zones["south"]) == 46
    (left,) = case.left_out
    assert left.count == 2
    assert {(x.line, x.column, x.found) for x in left.first} == {(6, "time", "yesterday"), (4, "north", "eleven")}


def test_rows_may_stand_in_any_order_and_a_time_that_comes_twice_is_named(tmp_path: Path) -> None:
    lines = flows(30)
    again = lines[10].split(",")[0] + ",99,99"
    case = forecasting.load(write_case(tmp_path, lines=[lines[0], *lines[:0:-1], again]))
    north = case.zones["north"]
    assert len(north) == 30
    assert north.values[9] == pytest.approx(0.099), "the later row counts"
    assert case.left_out[0].count == 1
    assert "each time once" in case.left_out[0].first[0].expected


def test_decimal_commas_and_stamps_at_the_end_of_the_interval(tmp_path: Path) -> None:
    head = HEAD + 'decimal_comma = true\ntime_is = "end"\n'
    lines = ["time;north", "2026-03-02T01:00:00+01:00;1.012,5", "2026-03-02T02:00:00+01:00;13,5", "2026-03-02T03:00:00+01:00;"]
    case = forecasting.load(write_case(tmp_path, head=head, lines=lines))
    north = case.zones["north"]
    assert from_np(north.times[0]) == datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert north.values == pytest.approx([1.0125, 0.0135])


def test_the_hour_that_comes_twice_is_two_hours(tmp_path: Path) -> None:
    stamps = ["2026-10-25T01:00:00", "2026-10-25T02:00:00", "2026-10-25T02:00:00", "2026-10-25T03:00:00"]
    case = forecasting.load(write_case(tmp_path, lines=["time,north", *(f"{s},{i}" for i, s in enumerate(stamps))]))
    assert np.diff(case.zones["north"].times).astype("timedelta64[h]").astype(int).tolist() == [1, 1, 1]
    assert not case.left_out


def test_a_clock_time_that_is_skipped_is_named(tmp_path: Path) -> None:
    case = forecasting.load(write_case(tmp_path, lines=["time,north", "2026-03-29T01:00:00,1", "2026-03-29T02:00:00,2", "2026-03-29T03:00:00,3"]))
    assert len(case.zones["north"]) == 2
    assert "skipped in spring" in case.left_out[0].first[0].expected


@pytest.mark.parametrize(
    ("lines", "error", "said"),
    [
        (["when,north", "2026-03-02T00:00:00,1"], FileError, r"has no column 'time'; it has when, north"),
        (["time,north", "soon,1"], FileError, r"has no row with a time"),
        (["time,north", "2026-03-02T00:00:00,x"], FileError, r"has no column of numbers"),
        (["time,north", "2026-03-02T00:00:00,1,2"], RowError, r"line 2.*3 cells"),
        (["time,north,north", "2026-03-02T00:00:00,1,2"], FileError, r"column 'north' twice"),
        (["time,north"], FileError, r"has no rows"),
    ],
)
def test_files_of_which_nothing_can_be_used_are_refused(tmp_path: Path, lines: list[str], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        forecasting.load(write_case(tmp_path, lines=lines))
