"""How one utility wants to see things: units, zone and language together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from levada.domain.settings import Utility
from levada.domain.units import Quantity
from levada.web.views.language import say
from levada.web.views.units import from_si, money, number, unit_sign
from levada.web.views.zone import LocalTime

__all__ = ["Display"]


@dataclass(frozen=True)
class Display:
    """Turns inside values into what this utility's people read."""

    language: str
    time_zone: str
    currency: str
    flow_unit: str

    @classmethod
    def of(cls, utility: Utility) -> Display:
        return cls(utility.language, utility.time_zone, utility.currency, utility.flow_unit)

    @classmethod
    def without_utility(cls, language: str) -> Display:
        """For pages that belong to no tenant, such as the sign-in: UTC and the browser's language."""
        return cls(language, "UTC", "EUR", "L/s")

    @cached_property
    def local(self) -> LocalTime:
        return LocalTime(self.time_zone, self.language)

    @property
    def flow_sign(self) -> str:
        return unit_sign(self.flow_unit)

    def t(self, key: str, **parts: object) -> str:
        """The interface's word or sentence of that key, with its parts put in."""
        return say(self.language, key, **parts)

    def number(self, value: float, decimals: int = 1) -> str:
        return number(value, decimals, self.language)

    def money(self, amount: float | None) -> str:
        return "–" if amount is None else money(amount, self.currency, self.language)

    def price(self, per_kwh: float) -> str:
        return f"{money(per_kwh, self.currency, self.language, 4)}/kWh"

    def money_of_water(self, per_m3: float) -> str:
        return f"{money(per_m3, self.currency, self.language, 4)}/m³"

    def percent(self, fraction: float | None, decimals: int = 1) -> str:
        return "–" if fraction is None else f"{self.number(100 * fraction, decimals)}\u00a0%"

    def level(self, metres: float) -> str:
        return f"{self.number(metres, 2)}\u00a0m"

    def power(self, watts: float) -> str:
        return f"{self.number(watts / 1000, 1)}\u00a0kW"

    def flow(self, m3_per_s: float) -> str:
        return f"{self.number(self.flow_value(m3_per_s), 1)}\u00a0{self.flow_sign}"

    def flow_value(self, m3_per_s: float) -> float:
        """A flow in the tenant's unit, as a plain number for charts."""
        return from_si(m3_per_s, Quantity.FLOW, self.flow_unit)

    def duration(self, span: timedelta) -> str:
        """`40 s`, `12 min`, `3 h 05 min` or `2 d 4 h`: two units at most."""
        seconds = max(0, round(span.total_seconds()))
        if seconds < 90:
            return f"{seconds}\u00a0s"
        minutes, hours = round(seconds / 60), seconds // 3600
        if minutes < 60:
            return f"{minutes}\u00a0min"
        if hours < 48:
            return f"{minutes // 60}\u00a0h {minutes % 60:02d}\u00a0min"
        return f"{hours // 24}\u00a0d {hours % 24}\u00a0h"

    def duration_hours(self, seconds: float) -> str:
        return f"{self.number(seconds / 3600, 1)}\u00a0h"

    def memory(self, count: int) -> str:
        return f"{self.number(count / 1e6, 0)}\u00a0MB"
