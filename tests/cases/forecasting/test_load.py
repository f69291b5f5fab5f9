"""A forecast case's terms: issue times on its clock, calendar, patterns, models; what is wrong is said with line and field."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tests.cases.forecasting.forecast_folder import FIRST, HEAD, HOURS, write_case

from levada.cases import forecasting
from levada.domain.errors import DocumentError, LevadaError


def load(folder: Path, more: str = "", **rest: str) -> forecasting.ForecastCase:
    return forecasting.load(write_case(folder, more, **rest))


def test_without_issue_times_the_end_of_the_readings_is_meant(tmp_path: Path) -> None:
    case = load(tmp_path)
    assert case.issue_times == [datetime(2026, 3, 17, 23, tzinfo=UTC)]
    assert case.count == 168
    assert (case.end - FIRST).total_seconds() == HOURS * 3600


def test_days_from_one_issue_time_to_the_next_are_those_of_the_clock(tmp_path: Path) -> None:
    case = load(tmp_path, "[forecast]\nfirst = 2026-03-28T06:00:00\nlast = 2026-03-30T06:00:00\nevery = '1d'\n")
    assert [t.hour for t in case.issue_times] == [5, 4, 4], "06:00 in Rome, before and after the clock goes forward"


def test_hours_from_one_issue_time_to_the_next_are_hours_that_pass(tmp_path: Path) -> None:
    case = load(tmp_path, "[forecast]\nfirst = 2026-03-29T00:00:00\nlast = 2026-03-29T06:00:00\nevery = '2h'\n")
    assert [t.isoformat()[11:16] for t in case.issue_times] == ["23:00", "01:00", "03:00"]


def test_a_backtest_is_of_the_last_whole_weeks(tmp_path: Path) -> None:
    case = load(tmp_path, "[backtest]\nweeks = 1\n")
    assert case.backtest_times == [datetime(2026, 3, 8, 23, tzinfo=UTC)]
    assert case.with_backtest_weeks(5).backtest_times == case.backtest_times, "the first week has nothing before it"


def test_the_calendar_knows_the_countrys_holidays_and_the_cases_own(tmp_path: Path) -> None:
    more = '[calendar]\ncountry = "IT"\nholidays = { 2026-03-19 = "San Giuseppe" }\nlocal_days = { 2026-03-20 = "fair" }\n'
    bundle = load(tmp_path, more).bundle(datetime(2026, 3, 30, tzinfo=UTC))
    assert bundle.holidays[date(2026, 4, 6)] == "Easter Monday"
    assert bundle.holidays[date(2026, 3, 19)] == "San Giuseppe"
    assert bundle.local_days == {date(2026, 3, 20): "fair"}


def test_patterns_follow_the_local_hour(tmp_path: Path) -> None:
    hours = ", ".join(f"{h}.0" for h in range(24))
    bundle = load(tmp_path, f"[patterns]\nnorth = [{hours}]\n").bundle(datetime(2026, 3, 28, 23, tzinfo=UTC))
    assert bundle.fallback is not None
    assert (bundle.fallback["north"][:4] * 1000).round(6).tolist() == [0.0, 1.0, 3.0, 4.0], "the clock skips 02:00"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[forecasts]\n", r"case.toml, line 6, forecasts: is unknown; did you mean 'forecast'\?"),
        ("[forecast]\nhorizon = 24\n", r"line 7, forecast.horizon: .*a duration with its unit"),
        ("[forecast]\nhorizon = '90min'\n", r"forecast.horizon: found 5400 s; the horizon is a whole number of steps"),
        ("[forecast]\nhorizon = '9d'\n", r"not within \(0, 192\] hours"),
        ("[forecast]\nstep = '7min'\n", r"forecast.step: found 420 s; a step divides an hour"),
        ("[forecast]\nquantiles = [0.1, 0.9]\n", r"0.5 is among them"),
        ("[forecast]\nquantiles = [0.5, 1.0]\n", r"forecast.quantiles\[1\]"),
        ("[forecast]\nissue_times = [2026-03-10T00:00:00]\nfirst = 2026-03-10T00:00:00\n", r"either `issue_times` or `first`"),
        ("[forecast]\nissue_times = [2026-03-29T02:30:00]\n", r"forecast.issue_times: .*skipped in spring"),
        ("[forecast]\nfirst = 2026-03-10T00:00:00\nlast = 2026-03-09T00:00:00\n", r"no issue time lies between"),
        ("[forecast]\nfirst = 1990-01-01T00:00:00\nevery = '1h'\n", r"forecast.every: makes \d+ issue times"),
        ("[forecast]\nmodels = 'nowhere'\n", r"forecast.models: there is no folder 'nowhere'"),
        ("[patterns]\neast = [" + "1.0, " * 24 + "]\n", r"patterns.east: no series has this name; there are north, south"),
        ("[patterns]\nnorth = [1.0]\n", r"patterns.north: "),
        ("[calendar]\ncountry = 'Italy'\n", r"calendar.country: found 'Italy'"),
        ("[calendar.holidays]\nsoon = 'x'\n", r"expected a day such as 2026-12-24"),
        ("[weather.observed]\nfile = 'w.csv'\nvariables = { rain_mm = 'Rain' }\n", r"w.csv.*does not exist"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_field(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(LevadaError, match=said):
        asked(tmp_path, more)


def asked(folder: Path, more: str) -> object:
    case = load(folder, more)
    return case.bundle(case.issue_times[0])


def test_an_unknown_unit_zone_or_column_is_said(tmp_path: Path) -> None:
    for change, said in ((('"l/s"', '"cups"'), "series.unit"), (("Europe/Rome", "Europe/Atlantis"), "time_zone"), (('unit = "l/s"', 'unit = "l/s"\ncolumns = ["east"]'), "no column 'east'")):
        with pytest.raises(DocumentError, match=said):
            load(tmp_path, head=HEAD.replace(*change))


def test_a_country_without_known_holidays_is_said(tmp_path: Path) -> None:
    case = load(tmp_path, "[calendar]\ncountry = 'XX'\n")
    with pytest.raises(DocumentError, match="no holidays are known for XX"):
        case.bundle(case.issue_times[0])
