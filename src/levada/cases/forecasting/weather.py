"""Weather of a forecast case: observed, and forecast as it was known at each issue time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path

import numpy as np

from levada.cases.case_file import read_bytes
from levada.cases.forecasting.document import Weather as WeatherTerms
from levada.cases.forecasting.document import WeatherFile, WeatherForecastFile
from levada.cases.forecasting.readings import TimedRows, read_timed_rows
from levada.domain.errors import FileError
from levada.domain.series import Readings
from levada.domain.time import Instants, to_np, zone
from levada.domain.timeline import instant_of
from levada.forecast import Weather

__all__ = ["KnownWeather", "read_weather"]

_LARGEST_JSON_BYTES = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownWeather:
    """All weather of a case. `issued` (rows,): when each row of the forecasts was known."""

    observed: Mapping[str, Readings]
    forecasts: TimedRows | None
    issued: Instants
    variables: Mapping[str, str]

    def at(self, issue_time: datetime) -> Weather | None:
        """What was known at an issue time: observations whole (later ones are not looked at), of each hour's forecasts the latest issued by then."""
        if not self.observed and self.forecasts is None:
            return None
        return Weather(observed=self.observed, forecast=self._forecast_at(issue_time))

    def _forecast_at(self, issue_time: datetime) -> dict[str, Readings]:
        rows = self.forecasts
        if rows is None:
            return {}
        known = self.issued <= to_np(issue_time)
        # Sorted by time and then by when it was issued, the last of each time is the latest known.
        order = np.lexsort((self.issued, rows.times))
        order = order[known[order]]
        times = rows.times[order]
        last = np.append(times[1:] != times[:-1], True) if len(times) else np.zeros(0, bool)
        chosen = np.zeros(len(rows.times), bool)
        chosen[order[last]] = True
        latest = rows.only(chosen.tolist())
        return {name: latest.readings(column, 1.0) for name, column in self.variables.items()}


def read_weather(folder: Path, terms: WeatherTerms, clock: tzinfo) -> tuple[KnownWeather, list[TimedRows]]:
    """The weather, and the files read, which know what they left out. Raises FileError and RowError."""
    files: list[TimedRows] = []
    observed: dict[str, Readings] = {}
    forecasts, issued, variables = None, np.array([], "datetime64[us]"), {}
    if terms.observed is not None:
        if terms.observed.file.endswith(".json"):
            observed = _archive(folder / terms.observed.file, terms.observed)
        else:
            rows = read_timed_rows(folder, terms.observed, _clock(terms.observed, clock))
            files.append(rows)
            _need(rows, terms.observed)
            observed = {name: rows.readings(column, 1.0) for name, column in terms.observed.variables.items()}
    if terms.forecast is not None:
        own = _clock(terms.forecast, clock)
        rows = read_timed_rows(folder, terms.forecast, own, once=False)
        files.append(rows)
        _need(rows, terms.forecast)
        forecasts, issued = _with_issue_times(rows, terms.forecast, own)
        variables = terms.forecast.variables
    return KnownWeather(observed=observed, forecasts=forecasts, issued=issued, variables=variables), files


def _clock(terms: WeatherFile, clock: tzinfo) -> tzinfo:
    return clock if terms.time_zone is None else zone(terms.time_zone)


def _need(rows: TimedRows, terms: WeatherFile) -> None:
    for name, column in terms.variables.items():
        if column not in rows.columns:
            raise FileError(file=str(rows.path), problem=f"has no column {column!r} for {name}; it has {', '.join(rows.columns[:12])}", remedy="name the column that holds it")


def _with_issue_times(rows: TimedRows, terms: WeatherForecastFile, clock: tzinfo) -> tuple[TimedRows, Instants]:
    if terms.issued_column not in rows.columns:
        raise FileError(file=str(rows.path), problem=f"has no column {terms.issued_column!r}", remedy="name the column of the time at which a forecast was known in `issued_column`: without it nothing says what was known when")
    at = rows.columns.index(terms.issued_column)
    kept, issued = [], []
    for row in rows.order:
        line, cells = rows.rows.rows[row]
        try:
            issued.append(to_np(instant_of(datetime.fromisoformat(cells[at].strip()), clock)))
            kept.append(True)
        except ValueError:
            rows.leave_out(line, terms.issued_column, cells[at].strip(), "the time at which this forecast was known")
            kept.append(False)
    return rows.only(kept), np.array(issued, "datetime64[us]")


def _archive(path: Path, terms: WeatherFile) -> dict[str, Readings]:
    """The hourly part of an archive in JSON: arrays side by side, times without an offset on the archive's own clock (`utc_offset_seconds`)."""
    try:
        content = json.loads(read_bytes(path, _LARGEST_JSON_BYTES))
        hourly = content["hourly"]
        offset = timezone(timedelta(seconds=int(content.get("utc_offset_seconds", 0))))
        stamps = [datetime.fromisoformat(text) for text in hourly["time"]]
        times = np.array([to_np((s if s.tzinfo else s.replace(tzinfo=offset)).astimezone(UTC)) for s in stamps])
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise FileError(file=str(path), problem=f"is not an archive of hourly weather ({type(e).__name__}: {e})", remedy="give JSON with `hourly.time` and an array per variable beside it, or a CSV") from None
    found = {}
    for name, column in terms.variables.items():
        values = hourly.get(column)
        if not isinstance(values, list) or len(values) != len(times):
            raise FileError(file=str(path), problem=f"has no array `hourly.{column}` with a value for each of its {len(times)} times", remedy=f"name the array that holds {name}")
        numbers = np.array([float(v) if isinstance(v, int | float) and not isinstance(v, bool) else np.nan for v in values])
        found[name] = Readings.good(times, numbers)
    return found
