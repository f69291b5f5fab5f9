"""From a case folder to what each forecast is made from: `load`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path

import holidays
import numpy as np

from levada.cases.case_file import CaseText, read_bytes
from levada.cases.forecasting.balances import ZoneBalance, zone_balance
from levada.cases.forecasting.document import BacktestTerms, ForecastCaseDocument, SeriesFile
from levada.cases.forecasting.names import file_name
from levada.cases.forecasting.readings import LeftOutRow, TimedRows, read_timed_rows
from levada.cases.forecasting.weather import KnownWeather, read_weather
from levada.domain.errors import DocumentError, FileError, ProblemError
from levada.domain.series import Floats, Readings
from levada.domain.time import floor_to, from_np, local_midnight, zone
from levada.domain.timeline import instant_of
from levada.domain.units import Quantity, factor_to_si
from levada.forecast import ForecastInput

__all__ = ["ForecastCase", "LeftOutFile", "load"]

_MOST_ISSUE_TIMES = 5000
_LARGEST_MODEL_BYTES = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutFile:
    """What of a file was not used: how many cells and rows, and the first of them."""

    file: str
    count: int
    first: tuple[LeftOutRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForecastCase:
    """A forecast case as read.

    | field | meaning |
    |---|---|
    | name | title of the case |
    | path | of the case file |
    | document | what the case file says |
    | time_zone | IANA name of the clock of the towns |
    | zones | series -> readings, m3/s, all there are: a forecast looks at those known at its issue time only |
    | balances | zone without a meter -> its balance; its readings in `zones` are by all that is known, for a forecast they are made anew |
    | units | series -> the unit it came in and goes out in |
    | weather | what is known of it |
    | models | series -> text of its stored model, where the case names a folder of them |
    | left_out | cells and rows of its files that could not be used |
    """

    name: str
    path: Path
    document: ForecastCaseDocument
    time_zone: str
    zones: Mapping[str, Readings]
    units: Mapping[str, str]
    weather: KnownWeather
    balances: Mapping[str, ZoneBalance]
    models: Mapping[str, str]
    left_out: tuple[LeftOutFile, ...]

    @property
    def count(self) -> int:
        """Steps of a forecast."""
        return self.document.forecast.horizon // self.document.forecast.step

    @property
    def issue_times(self) -> list[datetime]:
        """Instants at which forecasts are to be made, UTC, as [forecast] says; absent: the end of the readings."""
        terms, clock = self.document.forecast, zone(self.time_zone)
        if terms.issue_times is not None:
            return [instant_of(t, clock) for t in terms.issue_times]
        if terms.first is None:
            return [self.end]
        first, last = instant_of(terms.first, clock), self.end if terms.last is None else instant_of(terms.last, clock)
        return list(_every(first, last, terms.every, clock))

    @property
    def backtest_times(self) -> list[datetime]:
        """Issue times of a backtest: those of [forecast] where it names any, else the Mondays of the last weeks that are measured whole, with a day before them."""
        terms = self.document.forecast
        if terms.issue_times is not None or terms.first is not None:
            return self.issue_times
        clock, end = zone(self.time_zone), self.end
        day = end.astimezone(clock).date()
        monday = day - timedelta(days=day.weekday())
        found: list[datetime] = []
        for weeks in range(1, 2 + self.document.backtest.weeks):
            start = local_midnight(monday - timedelta(weeks=weeks - 1), clock)
            if self.begin + timedelta(days=1) <= start and start + timedelta(seconds=terms.horizon) <= end:
                found.append(start)
        return found[: self.document.backtest.weeks][::-1]

    def issued_at(self, times: list[datetime]) -> ForecastCase:
        """The same case with these issue times."""
        terms = self.document.forecast.model_copy(update={"issue_times": times, "first": None})
        return replace(self, document=self.document.model_copy(update={"forecast": terms}))

    def with_backtest_weeks(self, weeks: int) -> ForecastCase:
        """The same case, its backtest over the last so many weeks."""
        terms = self.document.forecast.model_copy(update={"issue_times": None, "first": None})
        return replace(self, document=self.document.model_copy(update={"forecast": terms, "backtest": BacktestTerms(weeks=weeks)}))

    @property
    def begin(self) -> datetime:
        """Start of the first interval that was measured in any series."""
        return min(from_np(r.times[0]) for r in self.zones.values() if len(r))

    @property
    def end(self) -> datetime:
        """End of the last interval that was measured in any series."""
        ends = []
        for readings in self.zones.values():
            if len(readings):
                usual = np.median(np.diff(readings.times).astype(np.int64)) if len(readings) > 1 else 3600e6
                ends.append(from_np(readings.times[-1]) + timedelta(microseconds=int(min(usual, 3600e6))))
        return max(ends)

    def factor(self, series: str) -> float:
        """m3/s in one unit of a series."""
        return factor_to_si(Quantity.FLOW, self.units[series])

    def bundle(self, issue_time: datetime) -> ForecastInput:
        """What a forecast issued then is made from. Raises DocumentError for terms that do not fit together."""
        terms, calendar = self.document.forecast, self.document.calendar
        try:
            return ForecastInput(
                issue_time=issue_time,
                step_s=terms.step,
                count=self.count,
                time_zone=self.time_zone,
                zones={**self.zones, **{name: b.demand(floor_to(issue_time, timedelta(seconds=terms.step)), terms.step) for name, b in self.balances.items()}},
                holidays=self._holidays(issue_time),
                local_days=calendar.local_days,
                weather=self.weather.at(issue_time),
                fallback=self._fallback(issue_time) or None,
                quantiles=tuple(terms.quantiles),
                scenarios=terms.scenarios,
                models={name: text for name, text in self.models.items() if name in self.zones},
                seed=terms.seed,
            )
        except ProblemError as e:
            raise DocumentError(str(self.path), f"forecast ({e.field})", e.problem) from None

    def _holidays(self, issue_time: datetime) -> dict[date, str]:
        calendar, clock = self.document.calendar, zone(self.time_zone)
        first = self.begin.astimezone(clock).date()
        last = issue_time.astimezone(clock).date() + timedelta(days=10)
        found: dict[date, str] = {}
        if calendar.country is not None:
            try:
                known = holidays.country_holidays(calendar.country, subdiv=calendar.subdivision, years=range(first.year, last.year + 1), language="en_US")
            except NotImplementedError:
                raise DocumentError(str(self.path), "calendar.country", f"no holidays are known for {calendar.country} {calendar.subdivision or ''}".rstrip()) from None
            found = {day: str(name) for day, name in known.items()}
        return found | calendar.holidays

    def _fallback(self, issue_time: datetime) -> dict[str, Floats]:
        """Flow of each step by the patterns of the case, m3/s."""
        terms, clock = self.document.forecast, zone(self.time_zone)
        hours = [(issue_time + timedelta(seconds=terms.step * i)).astimezone(clock).hour for i in range(self.count)]
        return {name: np.array(values)[hours] * self.factor(name) for name, values in self.document.patterns.items()}


def load(path: str | Path) -> ForecastCase:
    """Read a forecast case: a folder with a `case.toml`, or the path of a case file.

    Raises DocumentError (file, line, field), FileError and RowError (a CSV).
    """
    at = Path(path)
    text = CaseText(at / "case.toml" if at.is_dir() else at, ForecastCaseDocument)
    document, folder = text.document, text.path.parent
    try:
        clock = zone(document.time_zone)
    except DocumentError as e:
        raise text.fault("time_zone", e.problem) from None
    _check(text)
    zones: dict[str, Readings] = {}
    units: dict[str, str] = {}
    files: list[TimedRows] = []
    for terms in document.files:
        try:
            own: tzinfo = clock if terms.time_zone is None else zone(terms.time_zone)
        except DocumentError as e:
            raise text.fault("series.time_zone", e.problem) from None
        rows = read_timed_rows(folder, terms, own)
        files.append(rows)
        for name in _columns(text, terms, rows):
            if name in zones:
                raise text.fault("series", f"the column {name!r} stands in two files; give one of them another name")
            zones[name] = rows.readings(name, factor_to_si(Quantity.FLOW, terms.unit))
            units[name] = terms.unit
    balances: dict[str, ZoneBalance] = {}
    for name, balance in document.balance.items():
        try:
            own = clock if balance.time_zone is None else zone(balance.time_zone)
        except DocumentError as e:
            raise text.fault(f"balance.{name}.time_zone", e.problem) from None
        if name in zones:
            raise text.fault(f"balance.{name}", "a series has this name already")
        rows = read_timed_rows(folder, balance, own)
        balances[name] = zone_balance(rows, balance)
        files.append(rows)
        ends = [r.times[-1] for r in (balances[name].volume, *balances[name].inflows, *balances[name].outflows) if len(r)]
        zones[name] = balances[name].demand(floor_to(from_np(max(ends)), timedelta(seconds=document.forecast.step)), document.forecast.step) if ends else Readings.empty()
        units[name] = balance.unit
    weather, more = read_weather(folder, document.weather, clock)
    case = ForecastCase(
        name=document.name, path=text.path, document=document, time_zone=document.time_zone, zones=zones, units=units, weather=weather, balances=balances,
        models=_models(text, zones), left_out=tuple(LeftOutFile(file=str(f.path), count=f.left_out_count, first=tuple(f.left_out)) for f in (*files, *more) if f.left_out_count),
    )  # fmt: skip
    if unknown := sorted(set(document.patterns) - set(zones)):
        raise text.fault(f"patterns.{unknown[0]}", f"no series has this name; there are {', '.join(zones)}")
    if not any(len(r) for r in zones.values()):
        raise FileError(file=str(files[0].path), problem="has no number in any series", remedy="look at `decimal_comma` and at the columns")
    _check_times(text, case)
    return case


def _check(text: CaseText[ForecastCaseDocument]) -> None:
    terms = text.document.forecast
    if terms.step < 60 or 3600 % terms.step:
        raise text.fault("forecast.step", f"found {terms.step} s; a step divides an hour and is at least a minute")
    if terms.horizon <= 0 or terms.horizon % terms.step:
        raise text.fault("forecast.horizon", f"found {terms.horizon} s; the horizon is a whole number of steps of {terms.step} s")


def _check_times(text: CaseText[ForecastCaseDocument], case: ForecastCase) -> None:
    try:
        times = case.issue_times
    except ValueError as e:
        raise text.fault("forecast.issue_times" if case.document.forecast.issue_times else "forecast.first", str(e)) from None
    if not times:
        raise text.fault("forecast.first", "no issue time lies between `first` and `last`")
    if len(times) > _MOST_ISSUE_TIMES:
        raise text.fault("forecast.every", f"makes {len(times)} issue times, more than {_MOST_ISSUE_TIMES}")


def _columns(text: CaseText[ForecastCaseDocument], terms: SeriesFile, rows: TimedRows) -> list[str]:
    if terms.columns is None:
        found = [c for c in rows.columns if c != terms.time_column and rows.has_numbers(c)]
        if not found:
            raise FileError(file=str(rows.path), problem="has no column of numbers", remedy="look at `decimal_comma`; name the columns to forecast in `columns`")
        return found
    for name in terms.columns:
        if name not in rows.columns:
            raise text.fault("series.columns", f"the file has no column {name!r}; it has {', '.join(rows.columns[:12])}")
    return terms.columns


def _models(text: CaseText[ForecastCaseDocument], zones: Mapping[str, Readings]) -> dict[str, str]:
    """Stored models of the series that have one."""
    folder = text.document.forecast.models
    if folder is None:
        return {}
    at = text.path.parent / folder
    if not at.is_dir():
        raise text.fault("forecast.models", f"there is no folder {folder!r}; `levada forecast train` makes one")
    return {name: read_bytes(path, _LARGEST_MODEL_BYTES).decode() for name in zones if (path := at / f"{file_name(name)}.model").is_file()}


def _every(first: datetime, last: datetime, every_s: int, clock: tzinfo) -> Iterator[datetime]:
    """Instants from `first` to `last`: whole days apart on the clock, other distances in time that passes."""
    local = first.astimezone(clock).replace(tzinfo=None)
    for i in range(_MOST_ISSUE_TIMES + 1):
        instant = instant_of(local + timedelta(seconds=every_s * i), clock) if every_s % 86400 == 0 else first + timedelta(seconds=every_s * i)
        if instant > last:
            return
        yield instant
