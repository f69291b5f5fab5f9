"""The series that a utility's documents name: by whom, of which quantity, and over which time a plan wants to know them.

One list for all who need it: documents are checked against it when they are put in, and a planning run is frozen by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from levada.domain.settings import DayAheadTariff, Operation, Tariff
from levada.domain.tariff_settings import MeterTerms, SignalValue, TimeOfUseTariff
from levada.domain.units import Quantity

__all__ = ["Reach", "Signal", "signals"]


class Reach(StrEnum):
    """Over which time a plan wants to know a series."""

    STATE = "state"
    """Of the last days: how things stand, and what was done today."""
    HISTORY = "history"
    """Of many weeks: a forecast learns from it."""
    AHEAD = "ahead"
    """To the end of the horizon: what is told in advance."""
    BILLING = "billing"
    """Of the billing period under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A series named by a document at a path in it. `billing_day` is of its meter, for `Reach.BILLING`."""

    document: str
    path: str
    series: str
    quantity: Quantity
    reach: Reach
    billing_day: int = 1


def signals(operation: Operation, tariff: Tariff) -> tuple[Signal, ...]:
    """All of them, in the documents' order."""
    return (*_operation(operation), *_tariff(tariff))


def _operation(operation: Operation) -> Iterator[Signal]:
    def state(path: str, series: str | None, quantity: Quantity, reach: Reach = Reach.STATE) -> Iterator[Signal]:
        if series is not None:
            yield Signal(document="operation", path=path, series=series, quantity=quantity, reach=reach)

    for name, tank in operation.tanks.items():
        of_balance = any(area.balance is not None and name in area.balance.tanks for area in operation.zones.values())
        yield from state(f"tanks.{name}.level_series", tank.level_series, Quantity.LEVEL, Reach.HISTORY if of_balance else Reach.STATE)
    for name, pump in operation.pumps.items():
        yield from state(f"pumps.{name}.status_series", pump.status_series, Quantity.STATUS)
        yield from state(f"pumps.{name}.speed_series", pump.speed_series, Quantity.SPEED)
        yield from state(f"pumps.{name}.energy_series", pump.energy_series, Quantity.ENERGY)
        yield from state(f"pumps.{name}.run_hours_series", pump.run_hours_series, Quantity.DURATION)
    for name, area in operation.zones.items():
        yield from state(f"zones.{name}.flow_series", area.flow_series, Quantity.FLOW, Reach.HISTORY)
        if area.balance is not None:
            for field in ("inflow_series", "outflow_series"):
                for i, series in enumerate(getattr(area.balance, field)):
                    yield from state(f"zones.{name}.balance.{field}[{i}]", series, Quantity.FLOW, Reach.HISTORY)


def _tariff(tariff: Tariff) -> Iterator[Signal]:
    def ahead(path: str, series: str | None, quantity: Quantity) -> Iterator[Signal]:
        if series is not None:
            yield Signal(document="tariff", path=path, series=series, quantity=quantity, reach=Reach.AHEAD)

    def told(path: str, value: SignalValue | None, quantity: Quantity) -> Iterator[Signal]:
        yield from ahead(f"{path}.series", None if value is None else value.series, quantity)

    def prices(path: str, terms: TimeOfUseTariff | DayAheadTariff | None) -> Iterator[Signal]:
        yield from ahead(f"{path}.price_series", terms.price_series if isinstance(terms, DayAheadTariff) else None, Quantity.PRICE)

    def meter(path: str, terms: MeterTerms) -> Iterator[Signal]:
        yield from prices(f"{path}.tariff", terms.tariff)
        if terms.power_series is not None:
            yield Signal(
                document="tariff", path=f"{path}.power_series", series=terms.power_series, quantity=Quantity.POWER, reach=Reach.BILLING, billing_day=terms.billing_day
            )
        yield from told(f"{path}.own_power_kw", terms.own_power_kw, Quantity.POWER)
        yield from told(f"{path}.export_price_per_kwh", terms.export_price_per_kwh, Quantity.PRICE)

    yield from prices("tariff", tariff.tariff)
    for name, terms in tariff.meters.items():
        yield from meter(f"meters.{name}", terms)
    if tariff.co2 is not None:
        yield from told("co2.kg_per_kwh", tariff.co2.kg_per_kwh, Quantity.EMISSION)
