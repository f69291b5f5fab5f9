"""From a tariff document to the price of energy in each step of a plan and to its billing periods, on the tenant's own clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

import numpy as np

from levada.domain.errors import InputGap
from levada.domain.series import Floats, Readings
from levada.domain.tariff_settings import DayAheadTariff, Tariff, TariffPeriod, TimeOfUseTariff
from levada.domain.time import Steps, from_np, local_midnight, zone

__all__ = ["EnergyPrices", "billing_period_start", "energy_prices"]

_DAYS: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnergyPrices:
    """Prices over the steps of a plan: `per_kwh`, shape (steps,); the name of the tariff period in each step; what was assumed."""

    per_kwh: Floats
    period: tuple[str, ...]
    assumed: tuple[bool, ...]
    """True where no published price was known and the typical day stands in."""


def _holds(period: TariffPeriod, local: datetime, is_holiday: bool) -> bool:
    day = "holiday" if is_holiday and "holiday" in period.days else _DAYS[local.weekday()]
    if local.month not in period.months or day not in period.days:
        return False
    clock = local.time()
    if period.end == time(0):
        return clock >= period.start
    if period.start <= period.end:
        return period.start <= clock < period.end
    return clock >= period.start or clock < period.end


def _time_of_use(tariff: TimeOfUseTariff, local: datetime, is_holiday: bool) -> tuple[float, str]:
    # On a holiday, periods that name "holiday" come first; a tariff that never names it treats the day by its weekday.
    for period in tariff.periods:
        if _holds(period, local, is_holiday):
            return period.price_per_kwh, period.name
    raise InputGap(f"the tariff has no period for {local:%A %d %B %H:%M}", "add a period for it to the tariff document")


def energy_prices(
    tariff: Tariff | TimeOfUseTariff | DayAheadTariff, steps: Steps, time_zone: str, holidays: Mapping[date, str], published: Readings | None = None
) -> EnergyPrices:
    """Price of energy in each step: the mean over the quarter-hours that the step covers. Of a document it is the price that holds for all meters.

    `published` are the known day-ahead prices (per kWh), each holding from its time until the next one, for at most an hour.
    Raises InputGap where a time-of-use tariff names no period for an instant.
    """
    tz = zone(time_zone)
    terms = tariff.tariff if isinstance(tariff, Tariff) else tariff
    known = published if published is not None else Readings.empty()
    prices, names, assumed = [], [], []
    for start, duration in zip(steps.times, steps.durations_s, strict=True):
        instant = from_np(start)
        quarters = [instant + timedelta(seconds=s) for s in range(0, duration, 900)]
        step_prices: list[float] = []
        step_names: list[str] = []
        guess = False
        for quarter in quarters:
            local = quarter.astimezone(tz)
            if isinstance(terms, TimeOfUseTariff):
                price, name = _time_of_use(terms, local, local.date() in holidays)
            else:
                price, name, missing = _day_ahead(terms, quarter, local, known)
                guess = guess or missing
            step_prices.append(price)
            step_names.append(name)
        prices.append(float(np.mean(step_prices)))
        names.append(step_names[0])
        assumed.append(guess)
    return EnergyPrices(per_kwh=np.array(prices), period=tuple(names), assumed=tuple(assumed))


def _day_ahead(terms: DayAheadTariff, instant: datetime, local: datetime, known: Readings) -> tuple[float, str, bool]:
    at = np.datetime64(instant.replace(tzinfo=None), "us")
    i = int(np.searchsorted(known.times, at, side="right")) - 1
    if i >= 0 and at - known.times[i] < np.timedelta64(1, "h"):
        return float(known.values[i]) + terms.surcharge_per_kwh, "day-ahead", False
    return terms.typical_day_per_kwh[local.hour] + terms.surcharge_per_kwh, "typical day", True


def billing_period_start(instant: datetime, time_zone: str, billing_day: int) -> datetime:
    """When the billing period under way at `instant` began: the latest local midnight of that day of a month (1 to 28) that is not after it."""
    tz = zone(time_zone)
    today = instant.astimezone(tz).date()
    month = today.replace(day=1) if today.day >= billing_day else (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    return local_midnight(month.replace(day=billing_day), tz)
