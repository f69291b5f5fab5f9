"""What the tariff document makes of a problem: prices at each pump's meter, meters with their power and peaks, emissions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from levada.domain.pumping_terms import Meter
from levada.domain.series import Floats
from levada.domain.settings import DayAheadTariff, TimeOfUseTariff
from levada.domain.tariff import EnergyPrices, billing_period_start, energy_prices
from levada.domain.tariff_settings import MeterTerms
from levada.domain.time import to_np
from levada.runs.horizon import Horizon

__all__ = ["ContractFields", "contract_fields"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContractFields:
    """Fields of PumpingProblem of the same names; `prices` are those of the tariff that holds where a meter has none of its own."""

    prices: EnergyPrices
    price_per_kwh: Floats
    max_power_kw: float | None
    meters: tuple[Meter, ...]
    co2_kg_per_kwh: Floats | None
    co2_price_per_kg: float
    max_co2_kg: float | None
    flags: tuple[str, ...]


def contract_fields(horizon: Horizon) -> ContractFields:
    """Raises InputGap for a tariff without a price for some instant, DocumentError for a value that holds at no time or is negative."""
    tariff, flags = horizon.inputs.tariff, list[str]()
    prices = _prices(horizon, tariff.tariff, "", flags)
    price_per_kwh = np.repeat(prices.per_kwh[:, None], len(horizon.network.pumps), axis=1)
    meters = []
    for name, terms in tariff.meters.items():
        if terms.tariff is not None:
            places = [horizon.network.pump_index[pump] for pump in terms.pumps]
            price_per_kwh[:, places] = _prices(horizon, terms.tariff, f" at meter {name}", flags).per_kwh[:, None]
        meters.append(_meter(horizon, name, terms, flags))
    co2 = tariff.co2
    intensity = None
    if co2 is not None:
        intensity, notes = horizon.told(co2.kg_per_kwh, "co2.kg_per_kwh", least=0.0)
        flags += notes
    return ContractFields(
        prices=prices,
        price_per_kwh=price_per_kwh,
        max_power_kw=tariff.tariff.contracted_power_kw,
        meters=tuple(meters),
        co2_kg_per_kwh=intensity,
        co2_price_per_kg=0.0 if co2 is None else co2.price_per_kg,
        max_co2_kg=None if co2 is None else co2.max_kg,
        flags=tuple(flags),
    )


def _prices(horizon: Horizon, terms: TimeOfUseTariff | DayAheadTariff, where: str, flags: list[str]) -> EnergyPrices:
    published = horizon.readings(terms.price_series) if isinstance(terms, DayAheadTariff) else None
    prices = energy_prices(terms, horizon.steps, horizon.inputs.utility.time_zone, horizon.holidays, published)
    if assumed := sum(prices.assumed):
        flags.append(f"no published energy price{where} for {assumed} of {len(horizon.steps)} steps: the typical day's price stands in")
    return prices


def _meter(horizon: Horizon, name: str, terms: MeterTerms, flags: list[str]) -> Meter:
    own_power = export_price = None
    if terms.own_power_kw is not None:
        own_power, notes = horizon.told(terms.own_power_kw, f"meters.{name}.own_power_kw", factor=1e-3, least=0.0)
        flags += notes
    if terms.export_price_per_kwh is not None:
        export_price, notes = horizon.told(terms.export_price_per_kwh, f"meters.{name}.export_price_per_kwh")
        flags += notes
    return Meter(
        name=name,
        pumps=terms.pumps,
        max_power_kw=terms.contracted_kw,
        demand_charge_per_kw=terms.demand_charge_per_kw,
        peak_so_far_kw=_peak_so_far_kw(horizon, name, terms, flags) if terms.demand_charge_per_kw else 0.0,
        own_power_kw=own_power,
        export_price_per_kwh=export_price,
    )


def _peak_so_far_kw(horizon: Horizon, name: str, terms: MeterTerms, flags: list[str]) -> float:
    """The highest power of the billing period under way: as measured and as stated, whichever is higher."""
    start, zone_name = horizon.steps.start, horizon.inputs.utility.time_zone
    begun = billing_period_start(start, zone_name, terms.billing_day)
    if billing_period_start(horizon.steps.window.end - timedelta(seconds=1), zone_name, terms.billing_day) > begun:
        flags.append(f"meter {name}: a new billing period begins within the plan; its peak is charged as that of the period under way")
    readings = horizon.readings(terms.power_series)
    within = readings.values[(readings.times >= to_np(begun)) & (readings.times < to_np(start))]
    stated = terms.peak_so_far_kw or 0.0
    if len(within):
        return max(stated, float(within.max()) / 1000.0)
    if terms.power_series is not None and start - begun >= timedelta(hours=1):
        flags.append(f"meter {name}: the peak reached in this billing period is not known (series {terms.power_series}); {stated:g} kW stands in")
    elif terms.power_series is None and terms.peak_so_far_kw is None:
        flags.append(f"meter {name}: the peak reached in this billing period is told neither by power_series nor by peak_so_far_kw; planned as if there were none")
    return stated
