"""Slows down guessing of passwords: after some failures from one address for one email, waits that double.

Held in memory: each web process counts for itself, and a restart forgets. The address is the connection's own: a header that a
caller can write is not believed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from levada.domain.errors import LevadaError

__all__ = ["Attempts", "TooManyAttempts"]

_FREE = 5
_FREE_OF_ADDRESS = 30
_LONGEST_WAIT_S = 300.0
_FORGOTTEN_AFTER_S = 3600.0
_MOST_KEPT = 10_000


class TooManyAttempts(LevadaError):
    """Sign-in failed too often; `retry_after_s` says when it may be tried again."""

    code, status = "too-many-attempts", 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"sign-in failed too often; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


@dataclass(slots=True)
class Attempts:
    """Failed sign-ins by (email, address) and by address alone. `monotonic` gives seconds that only grow."""

    monotonic: Callable[[], float] = time.monotonic
    _failures: dict[tuple[str, str], _Failures] = field(default_factory=dict)

    def check(self, email: str, address: str) -> None:
        """Raises TooManyAttempts while a wait is on. Ask before the password is looked at."""
        now = self.monotonic()
        for key, free in (((email.casefold(), address), _FREE), (("", address), _FREE_OF_ADDRESS)):
            failed = self._failures.get(key)
            if failed is None or failed.count < free:
                continue
            wait = min(_LONGEST_WAIT_S, 2.0 ** min(failed.count - free + 1, 10)) - (now - failed.last)
            if wait > 0:
                raise TooManyAttempts(int(wait) + 1)

    def failed(self, email: str, address: str) -> None:
        now = self.monotonic()
        if len(self._failures) >= _MOST_KEPT:
            self._forget(now)
        for key in ((email.casefold(), address), ("", address)):
            known = self._failures.get(key)
            fresh = known is None or now - known.last > _FORGOTTEN_AFTER_S
            self._failures[key] = _Failures(1 if fresh or known is None else known.count + 1, now)

    def succeeded(self, email: str, address: str) -> None:
        """The address's own count stays: one known password must not open the way for guessing others."""
        self._failures.pop((email.casefold(), address), None)

    def _forget(self, now: float) -> None:
        kept = sorted(self._failures.items(), key=lambda item: item[1].last)[-_MOST_KEPT // 2 :]
        self._failures = {key: f for key, f in kept if now - f.last <= _FORGOTTEN_AFTER_S}
