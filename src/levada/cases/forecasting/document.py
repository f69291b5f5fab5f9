"""case.toml of a forecast: what it may hold. Each field says its meaning and unit; docs/reference/forecast-case.md is made from here."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from levada.cases.terms import Duration, Part, When
from levada.domain.units import Quantity, units_of

__all__ = ["BacktestTerms", "Balance", "BalanceTank", "Calendar", "ForecastCaseDocument", "ForecastTerms", "SeriesFile", "WeatherFile", "WeatherForecastFile"]


_UNITS = units_of(Quantity.FLOW)


def _unit(value: str) -> str:
    """Units as the platform writes them, and `l/s`, as many people do."""
    unit = "L/s" if value == "l/s" else value
    if unit not in _UNITS:
        raise ValueError(f"expected one of {', '.join(_UNITS)}")
    return unit


Unit = Annotated[str, AfterValidator(_unit), Field(json_schema_extra={"enum": ["l/s", *_UNITS]})]


def _day(value: object) -> date:
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("expected a day such as 2026-12-24")


Day = Annotated[date, BeforeValidator(_day)]
Quantile = Annotated[float, Field(gt=0, lt=1)]


class TimedFile(Part):
    """A CSV whose rows have a time."""

    file: Annotated[str, Field(min_length=1, description="CSV beside the case file: a header, commas or semicolons")]
    time_column: Annotated[str, Field(min_length=1, description="Column of times, ISO 8601")] = "time"
    time_zone: Annotated[str | None, Field(description="IANA zone of times without an offset; absent: the case's")] = None
    time_is: Annotated[Literal["start", "end"], Field(description="Whether a time is the start or the end of the interval whose mean stands beside it")] = "start"
    decimal_comma: Annotated[bool, Field(description="Numbers are written 12,5; columns are then separated by semicolons")] = False


class SeriesFile(TimedFile):
    """Flows: a column per zone. Cells that are no numbers, rows without a time, and times that come twice are left out and named; the rest is used."""

    unit: Annotated[Unit, Field(description="Of all its flows, and of what is written")]
    columns: Annotated[list[str] | None, Field(min_length=1, description="Columns to forecast; absent: all but the column of times and those in which no cell is a number")] = None


class BalanceTank(Part):
    """A tank of a zone whose demand is taken from its balance: a column of levels with the tank's area or volume curve, or a column of volumes."""

    column: Annotated[str, Field(min_length=1, description="Column of levels, m, or with `is_volume` of volumes, m3, at the instants of the rows")]
    area_m2: Annotated[float | None, Field(gt=0, description="Of a tank with upright walls")] = None
    curve: Annotated[list[Annotated[list[float], Field(min_length=2, max_length=2)]] | None, Field(min_length=2, description="Of another one: pairs of level, m, and volume, m3, both rising")] = None
    is_volume: Annotated[bool, Field(description="The column holds volumes")] = False

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if (self.area_m2 is not None) + (self.curve is not None) + self.is_volume != 1:
            raise ValueError("expected exactly one of area_m2, curve, is_volume = true")
        if self.curve is not None and any(b[0] <= a[0] or b[1] <= a[1] for a, b in pairwise(self.curve)):
            raise ValueError("`curve` must rise from pair to pair, in level and in volume")
        return self


class Balance(TimedFile):
    """A zone without a meter: what flows into its tanks, less what flows out of them to others, less what they gain, is what it draws."""

    unit: Annotated[Unit, Field(description="Of its flows, and of the demand that is written")]
    tanks: Annotated[list[BalanceTank], Field(min_length=1, description="All tanks that feed the zone")]
    inflows: Annotated[list[str], Field(min_length=1, description="Columns of metered flows into the zone")]
    outflows: Annotated[list[str], Field(description="Columns of metered flows out of it to other zones")] = Field(default_factory=list)


class Calendar(Part):
    """Days unlike others."""

    country: Annotated[str | None, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166 code; its national holidays count")] = None
    subdivision: Annotated[str | None, Field(description="ISO 3166-2 code of the region, whose holidays count too")] = None
    holidays: Annotated[dict[Day, str], Field(description="Further days that are like a Sunday here: a municipal holiday, say")] = Field(default_factory=dict)
    local_days: Annotated[dict[Day, str], Field(description="Days of their own kind, such as a market or a festival. Days with the same name are held to be alike")] = Field(default_factory=dict)


class WeatherFile(TimedFile):
    """Weather that was measured, or an archive of it: hourly. A CSV, or the JSON of an Open-Meteo archive (its `hourly` part)."""

    variables: Annotated[dict[str, str], Field(min_length=1, description="Name with its unit, such as temperature_c, rain_mm, humidity_percent, wind_km_per_h -> column")]


class WeatherForecastFile(WeatherFile):
    """Weather forecasts as they were known: for each issue time the latest row of each hour is used that had been issued by then."""

    issued_column: Annotated[str, Field(min_length=1, description="Column of the time at which the row was known")] = "issued"


class Weather(Part):
    """Weather, observed and forecast kept apart: what was observed after an issue time is never used for it."""

    observed: Annotated[WeatherFile | None, Field(description="What was measured")] = None
    forecast: Annotated[WeatherForecastFile | None, Field(description="What was foretold, and when it was")] = None


class ForecastTerms(Part):
    """What to forecast, and when."""

    issue_times: Annotated[list[When] | None, Field(min_length=1, max_length=5000, description="Instants at which a forecast is made, from what was known by then")] = None
    first: Annotated[When | None, Field(description="Instead of `issue_times`: the first of them")] = None
    last: Annotated[When | None, Field(description="With `first`: none after it; absent: the end of the readings")] = None
    every: Annotated[Duration, Field(description="With `first`: from one to the next, on the local clock for whole days", json_schema_extra={"default": "7d"})] = 7 * 86400
    horizon: Annotated[Duration, Field(description="How far ahead, at most 8 days", json_schema_extra={"default": "168h"})] = 168 * 3600
    step: Annotated[Duration, Field(description="Length of a step: 60, 30, 15, 10 or 5 min, or another that divides an hour", json_schema_extra={"default": "60min"})] = 3600
    quantiles: Annotated[list[Quantile], Field(min_length=1, max_length=99, description="Levels to give; 0.5 among them")] = Field(default_factory=lambda: [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
    scenarios: Annotated[int, Field(ge=0, le=1000, description="So many paths, dependent over time and zones, are written as well")] = 0
    models: Annotated[str | None, Field(min_length=1, description="Folder of stored models, as `levada forecast train` writes them; absent: trained for each issue time")] = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Of all that is drawn at random: the same case and seed give the same bytes")] = 0

    @model_validator(mode="before")
    @classmethod
    def _as_given(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("issue_times") is not None and value.get("first") is not None:
            raise ValueError("either `issue_times` or `first` says when, not both")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if 0.5 not in self.quantiles or sorted(set(self.quantiles)) != self.quantiles:
            raise ValueError("`quantiles` rise, each once, and 0.5 is among them")
        if self.every <= 0:
            raise ValueError("`every` must be above 0")
        return self


class BacktestTerms(Part):
    """Issue times of `levada forecast backtest`, where they are to be others than those under [forecast]."""

    weeks: Annotated[int, Field(ge=1, le=520, description="So many last whole weeks, each forecast from its Monday's first midnight")] = 26


class ForecastCaseDocument(Part):
    """A forecast case."""

    name: Annotated[str, Field(min_length=1, max_length=120, description="Title of the case")]
    time_zone: Annotated[str, Field(description="IANA zone of the towns: weekdays, hours and holidays are those of its clock")]
    series: Annotated[SeriesFile | list[SeriesFile] | None, Field(description="A file of flows, or several ([[series]]); may be left out where there is a `balance`")] = None
    balance: Annotated[dict[str, Balance], Field(description="Zone -> its balance, for zones without a meter: forecast like the series")] = Field(default_factory=dict)
    calendar: Annotated[Calendar, Field(description="Holidays and other days unlike others")] = Field(default_factory=Calendar)
    weather: Annotated[Weather, Field(description="Used for a series only where a test on its own past shows that it helps")] = Field(default_factory=Weather)
    patterns: Annotated[
        dict[str, Annotated[list[float], Field(min_length=24, max_length=24)]],
        Field(description="Series -> flow of each hour of a local day, 24 values in the series' unit: the last resort where there are too few readings"),
    ] = Field(default_factory=dict)
    forecast: Annotated[ForecastTerms, Field(description="What to forecast, and when; absent: 168 hours from the end of the readings")] = Field(default_factory=ForecastTerms)
    backtest: Annotated[BacktestTerms, Field(description="Of `levada forecast backtest`")] = Field(default_factory=BacktestTerms)

    @property
    def files(self) -> list[SeriesFile]:
        """The files of flows."""
        return self.series if isinstance(self.series, list) else [] if self.series is None else [self.series]

    @model_validator(mode="after")
    def _has_series(self) -> Self:
        if not self.files and not self.balance:
            raise ValueError("needs `series`, a file of flows, or a `balance`")
        return self
