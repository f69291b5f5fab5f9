"""Checks: what is refused with its line, what is only marked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levada.domain.series import Quality
from levada.domain.settings import Column, FileContract
from levada.domain.units import Quantity
from levada.intake.checks.checked import CheckedSeries, check_file
from levada.intake.checks.limits import above, below
from levada.intake.checks.physical import suspect
from levada.intake.checks.repeats import overridden
from levada.intake.contracts.parsed import ParsedFile
from levada.intake.contracts.read import read_file

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def check(rows: list[str], **column: Any) -> tuple[ParsedFile, CheckedSeries]:
    made = FileContract(name="c", file_name="*", delimiter=";", columns={"X": Column(**{"series": "a.b", "quantity": "level", "unit": "m", **column})})
    parsed = read_file(made, "f.csv", "\n".join(["time;X", *rows]).encode(), now=NOW)
    (checked,) = check_file(parsed, NOW)
    return parsed, checked


def told(parsed: ParsedFile) -> list[tuple[int, str, str]]:
    return [(p.line, p.column, p.found) for p in parsed.problems.first()]


def test_values_outside_the_plausible_range_are_refused_and_its_ends_are_in_it() -> None:
    parsed, checked = check([f"2026-03-01T1{i}:00;{v}" for i, v in enumerate(("0.1", "0.09", "4.3"))], minimum=0.1, maximum=4.3, unit="m")
    assert told(parsed) == [(3, "X", "0.09")]
    assert "at least 0.1 m" in parsed.problems.first()[0].expected
    assert checked.values.tolist() == [0.1, 4.3]


@given(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), st.sampled_from(["L/s", "m3/h", "m3/d", "[gal_us]/min"]))
def test_a_value_that_equals_its_limit_is_within_it_in_any_unit(limit: float, unit: str) -> None:
    column = Column(series="a.b", quantity="flow", unit=unit, minimum=limit, maximum=limit)
    parsed = read_file(FileContract(name="c", file_name="*", delimiter=";", columns={"X": column}), "f", f"time;X\n2026-03-01T00:00;{limit}\n".encode(), now=NOW)
    assert not below(parsed.series[0].values, column).any()
    assert not above(parsed.series[0].values, column).any()


def test_the_future_and_the_distant_past_are_refused() -> None:
    times = [NOW + timedelta(days=1, hours=1), NOW + timedelta(hours=23), NOW - timedelta(days=3654), NOW - timedelta(days=3600)]
    parsed, checked = check([f"{t:%Y-%m-%dT%H:%M};1" for t in times])
    assert [line for line, _, _ in told(parsed)] == [2, 4]
    assert {column for _, column, _ in told(parsed)} == {"time"}
    assert len(checked.times) == 2


@pytest.mark.parametrize(
    "column", [{"quantity": "price", "unit": "{currency}/kW.h"}, {"quantity": "emission", "unit": "g/kW.h"}, {"quantity": "power", "unit": "kW", "is_forecast": True}], ids=["price", "emission", "forecast"]
)
def test_what_is_told_ahead_may_be_known_ahead(column: dict[str, Any]) -> None:
    parsed, checked = check([f"{NOW + timedelta(days=2):%Y-%m-%dT%H:%M};0.1", f"{NOW + timedelta(days=400):%Y-%m-%dT%H:%M};0.1"], **column)
    assert [line for line, _, _ in told(parsed)] == [3]
    assert len(checked.times) == 1


def test_of_two_values_for_an_instant_the_later_line_counts_and_the_earlier_is_told() -> None:
    parsed, checked = check(["2026-03-01T10:00;1", "2026-03-01T10:00;1", "2026-03-01T11:00;5", "2026-03-01T10:00;2"])
    assert told(parsed) == [(2, "X", "1"), (3, "X", "1")]
    assert "line 5 has another one" in parsed.problems.first()[0].expected
    assert checked.values.tolist() == [5.0, 2.0]


def test_the_same_row_twice_is_no_problem() -> None:
    parsed, _ = check(["2026-03-01T10:00;1"] * 3)
    assert told(parsed) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=20))
def test_what_is_overridden_is_what_a_dictionary_would_forget(rows: list[tuple[int, int]]) -> None:
    times = np.array([t for t, _ in rows], "datetime64[us]")
    values = np.array([v for _, v in rows], float)
    mask, decider = overridden(times, values, np.arange(len(rows)))
    last = {t: (i, v) for i, (t, v) in enumerate(rows)}
    assert mask.tolist() == [last[t][1] != v for t, v in rows]
    assert all(decider[i] == last[t][0] for i, (t, _) in enumerate(rows) if mask[i])


def test_late_readings_are_marked_and_kept() -> None:
    _, checked = check(["2026-03-01T10:59;1", "2026-03-01T11:01;1"])
    assert checked.quality.tolist() == [Quality.LATE, Quality.GOOD]


@pytest.mark.parametrize(
    ("quantity", "impossible", "possible"),
    [
        (Quantity.STATUS, [2, -1, 0.5], [0, 1]),
        (Quantity.SPEED, [-0.1, 3], [0, 0.5, 1.2]),
        (Quantity.ENERGY, [-1], [0, 5]),
        (Quantity.DURATION, [-1], [0, 5]),
        (Quantity.EMISSION, [-0.1], [0, 0.3]),
        (Quantity.FLOW, [], [-3, 0, 3]),
        (Quantity.PRICE, [], [-0.05, 0.2]),
    ],
)
def test_what_a_quantity_cannot_be_is_suspect(quantity: Quantity, impossible: list[float], possible: list[float]) -> None:
    assert suspect(np.array(impossible, float), quantity).all()
    assert not suspect(np.array(possible, float), quantity).any()
