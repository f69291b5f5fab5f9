"""Numbers as people of a language write them, in the units that the tenant chose."""

from __future__ import annotations

from levada.domain.units import Quantity, factor_to_si

__all__ = ["UNIT_SIGNS", "from_si", "money", "number", "unit_sign"]

_MARKS = {"en": (",", "."), "pt": ("\u202f", ","), "es": (".", ",")}
"""Language -> (thousands, decimal) mark. Portuguese groups by a narrow space that does not break."""

_CURRENCY_SIGNS = {"EUR": "€", "GBP": "£", "USD": "$", "BRL": "R$"}

UNIT_SIGNS = {"L/s": "l/s", "m3/h": "m³/h", "m3/d": "m³/d", "m3/s": "m³/s", "kW.h": "kWh", "m[H2O]": "m", "1": ""}
"""UCUM code -> how it is written on screens, where the two differ."""


def unit_sign(unit: str) -> str:
    return UNIT_SIGNS.get(unit, unit)


def from_si(value: float, quantity: Quantity, unit: str) -> float:
    """An inside value in `unit`. Raises UnitError for a unit that does not fit the quantity."""
    return value / factor_to_si(quantity, unit)


def number(value: float, decimals: int, language: str) -> str:
    """`value` with so many decimals and the language's marks; a minus is a real minus sign."""
    thousands, decimal = _MARKS[language]
    text = f"{abs(value):,.{decimals}f}".replace(",", "\0").replace(".", decimal).replace("\0", thousands)
    is_zero = not any(digit in text for digit in "123456789")
    return text if value >= 0 or is_zero else f"\u2212{text}"


def money(amount: float, currency: str, language: str, decimals: int = 2) -> str:
    """An amount with the currency's sign where the language puts it."""
    sign = _CURRENCY_SIGNS.get(currency, currency)
    text = number(amount, decimals, language)
    if language == "en" and len(sign) == 1:
        return f"{sign}{text}" if not text.startswith("\u2212") else f"\u2212{sign}{text[1:]}"
    return f"{text}\u00a0{sign}"
