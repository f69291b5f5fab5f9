"""The tariff document: what energy, power and emissions cost, for all pumps or meter by meter."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from levada.domain.document import Document, Name, SeriesName
from levada.domain.terms import ClockValue, Weekday

__all__ = ["Co2Terms", "DayAheadTariff", "MeterTerms", "SignalValue", "Tariff", "TariffPeriod", "TimeOfUseTariff"]


class SignalValue(ClockValue):
    """A value over time: a number, or a table with `constant` or `periods`, and with `series` where readings tell it better."""

    series: Annotated[
        SeriesName | None, Field(description="Each of its readings holds until the next one, an hour at most; elsewhere the stated value stands in, and the plan says so")
    ] = None


class TariffPeriod(Document):
    """Hours in which a price holds, on the tenant's own clock. `to` 00:00 means the end of the day."""

    name: Name
    price_per_kwh: Annotated[float, Field(ge=-10, le=10)]
    days: Annotated[tuple[Weekday | Literal["holiday"], ...], Field(min_length=1)]
    months: Annotated[tuple[Annotated[int, Field(ge=1, le=12)], ...], Field(min_length=1)] = tuple(range(1, 13))
    start: time
    end: time


class TimeOfUseTariff(Document):
    """Energy prices by hour of the day. The first period that fits an instant gives its price; each instant needs one."""

    kind: Literal["time-of-use"] = "time-of-use"
    periods: Annotated[tuple[TariffPeriod, ...], Field(min_length=1)]
    contracted_power_kw: Annotated[float | None, Field(gt=0, description="Power that the plan must never exceed, all pumps of the tenant together")] = None


class DayAheadTariff(Document):
    """Energy prices that a market publishes a day ahead. They arrive as readings of `price_series`, like all other data.

    Where nothing is published yet, the price of the same local hour in `typical_day` stands in, and the plan says so.
    """

    kind: Literal["day-ahead"] = "day-ahead"
    price_series: SeriesName = "market.energy.price"
    typical_day_per_kwh: Annotated[tuple[float, ...], Field(min_length=24, max_length=24, description="24 hourly prices on the tenant's clock")]
    surcharge_per_kwh: Annotated[float, Field(description="Network charges and taxes on each kWh")] = 0.0
    contracted_power_kw: Annotated[float | None, Field(gt=0, description="Power that the plan must never exceed, all pumps together")] = None


class MeterTerms(Document):
    """Pumps that are billed together, such as those of a station."""

    pumps: Annotated[tuple[str, ...], Field(min_length=1, description="Their names; a pump has one meter, those of no meter share one without a demand charge")]
    tariff: Annotated[TimeOfUseTariff | DayAheadTariff | None, Field(discriminator="kind", description="Price of energy here; the document's `tariff` when absent")] = None
    contracted_kw: Annotated[float | None, Field(gt=0, description="Power that must not be exceeded at this meter, own power not taken off, kW")] = None
    demand_charge_per_kw: Annotated[float, Field(ge=0, description="On the highest mean power drawn from the grid in a billing period, per kW")] = 0.0
    billing_day: Annotated[int, Field(ge=1, le=28, description="Day of the month on whose local midnight a billing period begins")] = 1
    power_series: Annotated[
        SeriesName | None, Field(description="Mean power drawn from the grid here, as the meter tells it: its highest reading of this billing period is the peak already reached")
    ] = None
    peak_so_far_kw: Annotated[
        float | None, Field(ge=0, description="Peak that this billing period will have anyhow, kW: only what is above it, and above what `power_series` tells, is charged; 0 when absent")
    ] = None
    own_power_kw: Annotated[SignalValue | None, Field(description="Photovoltaic power on site, kW; its `series` is a forecast of it")] = None
    export_price_per_kwh: Annotated[SignalValue | None, Field(description="Paid for own power that the pumps do not use, per kWh; nothing when absent")] = None

    @model_validator(mode="after")
    def _has_one_limit_of_power(self) -> Self:
        if self.tariff is not None and self.tariff.contracted_power_kw is not None:
            raise ValueError("the power contracted at a meter is its `contracted_kw`; a meter's own tariff has no `contracted_power_kw`")
        if self.export_price_per_kwh is not None and self.own_power_kw is None:
            raise ValueError("`export_price_per_kwh` goes with `own_power_kw` only")
        return self


class Co2Terms(Document):
    """Emissions of the energy drawn from the grid."""

    kg_per_kwh: Annotated[SignalValue, Field(description="Of the grid's energy, kg/kWh")]
    price_per_kg: Annotated[float, Field(ge=0, description="Counts as a cost")] = 0.0
    max_kg: Annotated[float | None, Field(ge=0, description="Most over a plan's horizon, kg")] = None


class Tariff(Document):
    """What electricity costs. `tariff` holds for all pumps whose meter has no tariff of its own."""

    tariff: Annotated[TimeOfUseTariff | DayAheadTariff, Field(discriminator="kind")]
    meters: Annotated[dict[str, MeterTerms], Field(description="Name -> meter; where there are none, all pumps share one")] = Field(default_factory=dict)
    co2: Annotated[Co2Terms | None, Field(description="Emissions: their price and limit; not counted when absent")] = None

    @model_validator(mode="after")
    def _a_pump_has_one_meter(self) -> Self:
        owner: dict[str, str] = {}
        for name, meter in self.meters.items():
            for pump in meter.pumps:
                if pump in owner:
                    raise ValueError(f"meters.{name}.pumps: pump {pump!r} is named twice, also under meters.{owner[pump]}; a pump has one meter")
                owner[pump] = name
        return self
