"""Units at the edges: each quantity has one SI unit inside and a list of units (UCUM codes) that users may write.

UCUM: The Unified Code for Units of Measure, https://ucum.org. Values: SI Brochure, 9th edition; US customary units from
NIST SP 811 appendix B. Physical constants stand here once and equal EPANET's.
"""

from __future__ import annotations

from enum import StrEnum

from levada.domain.errors import UnitError

__all__ = ["SPECIFIC_WEIGHT_N_PER_M3", "Quantity", "factor_to_si", "si_unit", "units_of"]

SPECIFIC_WEIGHT_N_PER_M3 = 0.7457 * 1000.0 * 62.4 / 550.0 / 0.3048**4
"""Weight of a cubic metre of water as EPANET's energy report implies it, about 9802.26 N/m3.

EPANET computes kW = 0.7457 * 62.4 / 550 * (q in ft3/s) * (h in ft) / efficiency (getenergy in its hydraul.c);
using the same figure makes our costs and EPANET's agree.
"""


class Quantity(StrEnum):
    """What a series or a field measures. The value is the name used in documents."""

    FLOW = "flow"
    LEVEL = "level"
    HEAD = "head"
    PRESSURE = "pressure"
    POWER = "power"
    ENERGY = "energy"
    VOLUME = "volume"
    STATUS = "status"
    SPEED = "speed"
    PRICE = "price"
    DURATION = "duration"
    EMISSION = "emission"


_FACTORS: dict[Quantity, dict[str, float]] = {
    Quantity.FLOW: {
        "m3/s": 1.0, "L/s": 1e-3, "m3/h": 1 / 3600, "m3/d": 1 / 86400, "L/min": 1e-3 / 60,
        "[gal_us]/min": 3.785411784e-3 / 60, "[ft_i]3/s": 0.3048**3,
    },
    Quantity.LEVEL: {"m": 1.0, "cm": 0.01, "mm": 0.001, "[ft_i]": 0.3048},
    Quantity.HEAD: {"m": 1.0, "[ft_i]": 0.3048},
    # Pressure is held as metres of water, EPANET's convention: 1 bar = 1e5 Pa over the specific weight above.
    Quantity.PRESSURE: {
        "m[H2O]": 1.0, "bar": 1e5 / SPECIFIC_WEIGHT_N_PER_M3, "kPa": 1e3 / SPECIFIC_WEIGHT_N_PER_M3,
        "[psi]": 6894.757293168 / SPECIFIC_WEIGHT_N_PER_M3,
    },
    Quantity.POWER: {"W": 1.0, "kW": 1e3, "MW": 1e6},
    Quantity.ENERGY: {"J": 1.0, "kW.h": 3.6e6, "MW.h": 3.6e9},
    Quantity.VOLUME: {"m3": 1.0, "L": 1e-3, "[gal_us]": 3.785411784e-3},
    Quantity.STATUS: {"1": 1.0},
    Quantity.SPEED: {"1": 1.0, "%": 0.01},
    # In the tenant's currency; UCUM has none, so it is an annotation. Prices stay per kWh inside: tariffs are written so.
    Quantity.PRICE: {"{currency}/kW.h": 1.0, "{currency}/MW.h": 1e-3},
    Quantity.DURATION: {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0},
    # Of carbon dioxide (or its equivalent) for each kWh of the grid's; per kWh inside, as prices are.
    Quantity.EMISSION: {"kg/kW.h": 1.0, "g/kW.h": 1e-3, "kg/MW.h": 1e-3},
}  # fmt: skip


def units_of(quantity: Quantity) -> tuple[str, ...]:
    """The units that users may write for a quantity; the first is the one used inside."""
    return tuple(_FACTORS[quantity])


def si_unit(quantity: Quantity) -> str:
    """The unit in which the quantity is held inside."""
    return units_of(quantity)[0]


def factor_to_si(quantity: Quantity, unit: str) -> float:
    """Multiply a value in `unit` by this to have it in the inside unit. Raises UnitError for a unit that does not fit."""
    try:
        return _FACTORS[quantity][unit]
    except KeyError:
        raise UnitError(unit, quantity.value, units_of(quantity)) from None
