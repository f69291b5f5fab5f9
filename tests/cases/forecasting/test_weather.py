"""Weather of a forecast case: of forecasts, what had been issued by then and no more; archives in CSV and JSON."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cases.forecasting.forecast_folder import write_case

from levada.cases import forecasting
from levada.domain.errors import FileError
from levada.domain.time import from_np

FORECAST = '[weather.forecast]\nfile = "ahead.csv"\nvariables = { temperature_c = "t" }\n'
AHEAD = """issued,time,t
2026-03-10T00:00:00Z,2026-03-10T06:00:00Z,10
2026-03-10T00:00:00Z,2026-03-10T07:00:00Z,11
2026-03-10T03:00:00Z,2026-03-10T07:00:00Z,12
2026-03-10T09:00:00Z,2026-03-10T07:00:00Z,99
"""


def test_for_each_hour_the_latest_forecast_issued_by_then_is_used(tmp_path: Path) -> None:
    case = forecasting.load(write_case(tmp_path, FORECAST, ahead_csv=AHEAD))

    def known(hour: int) -> list[float]:
        weather = case.weather.at(datetime(2026, 3, 10, hour, tzinfo=UTC))
        assert weather is not None
        return weather.forecast["temperature_c"].values.tolist()

    assert known(0) == [10.0, 11.0]
    assert known(2) == [10.0, 11.0]
    assert known(3) == [10.0, 12.0]
    assert known(12) == [10.0, 99.0]


def test_forecasts_without_the_time_of_their_issue_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="what was known when"):
        forecasting.load(write_case(tmp_path, FORECAST, ahead_csv=AHEAD.replace("issued", "run")))


def test_an_archive_in_json_is_on_its_own_clock(tmp_path: Path) -> None:
    archive = {"utc_offset_seconds": 3600, "hourly": {"time": ["2026-03-02T00:00", "2026-03-02T01:00"], "temperature_2m": [7.5, None]}}
    more = '[weather.observed]\nfile = "w.json"\nvariables = { temperature_c = "temperature_2m" }\n'
    case = forecasting.load(write_case(tmp_path, more, w_json=json.dumps(archive)))
    observed = case.weather.observed["temperature_c"]
    assert observed.values.tolist() == [7.5]
    assert from_np(observed.times[0]) == datetime(2026, 3, 1, 23, tzinfo=UTC)


@pytest.mark.parametrize("text", ["[]", "{", '{"hourly": {"time": ["x"]}}', '{"hourly": {"time": ["2026-03-02T00:00"], "temperature_2m": [1, 2]}}'])
def test_what_is_no_archive_is_said(tmp_path: Path, text: str) -> None:
    more = '[weather.observed]\nfile = "w.json"\nvariables = { temperature_c = "temperature_2m" }\n'
    with pytest.raises(FileError, match=r"w\.json"):
        forecasting.load(write_case(tmp_path, more, w_json=text))


def test_without_weather_there_is_none(tmp_path: Path) -> None:
    assert forecasting.load(write_case(tmp_path)).weather.at(datetime(2026, 3, 10, tzinfo=UTC)) is None
