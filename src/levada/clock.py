"""What time it is: the machine's, or the demo's, which runs faster.

The only place (with the store's `now()` for leases) that reads a clock. Outer layers hold a Clock and pass instants down.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from levada.domain.errors import SetupError
from levada.domain.time import isoformat_z, parse_instant

__all__ = ["REAL_TIME", "Clock"]


@dataclass(frozen=True, slots=True)
class Clock:
    """Maps real instants to the instants that this installation works in: told = told_anchor + rate * (real - real_anchor)."""

    real_anchor: datetime
    told_anchor: datetime
    rate: float

    def now(self) -> datetime:
        """The present instant, UTC."""
        return self.at(datetime.now(UTC))  # noqa: TID251  the one reading of the clock

    def at(self, real: datetime) -> datetime:
        return self.told_anchor + (real - self.real_anchor) * self.rate

    def real_seconds(self, told: timedelta) -> float:
        """How long one must really wait for `told` to pass."""
        return told.total_seconds() / self.rate

    @property
    def is_real(self) -> bool:
        return self.rate == 1.0 and self.real_anchor == self.told_anchor

    def as_setting(self) -> str:
        """The text from which `from_setting` makes this clock again."""
        return f"{isoformat_z(self.told_anchor)} x{self.rate:g} from {isoformat_z(self.real_anchor)}"

    @classmethod
    def from_setting(cls, text: str | None) -> Clock:
        """Read the setting LEVADA_CLOCK: absent or empty means real time. Raises SetupError when it cannot be read."""
        if not text:
            return REAL_TIME
        try:
            told, rate, word, real = text.split()
            if word != "from" or not rate.startswith("x") or not float(rate[1:]) > 0:
                raise ValueError(text)
            return cls(parse_instant(real), parse_instant(told), float(rate[1:]))
        except ValueError as e:
            raise SetupError(f"LEVADA_CLOCK is {text!r}", "write it as '2026-03-01T04:00:00Z x120 from 2026-11-24T10:00:00Z' or leave it out") from e


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REAL_TIME = Clock(_EPOCH, _EPOCH, 1.0)
