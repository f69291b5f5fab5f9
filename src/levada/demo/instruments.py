"""The plant's instruments: biased, noisy, coarse, now and then silent, stuck or talking nonsense.

What a reading becomes depends only on the seed, the sensor and the instant (and, while a sensor is stuck, on what it showed at first),
so a plant that is taken up again shows what it would have shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from levada.domain.series import Floats
from levada.domain.settings import FileContracts
from levada.domain.units import Quantity

__all__ = ["Instruments", "Stuck"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Instruments of one quantity. SI units; `proportional` ones are fractions of the value."""

    bias: float = 0.0
    noise: float = 0.0
    proportional: bool = False
    quantum: float = 0.0
    may_stick: bool = False


_KINDS = {
    Quantity.LEVEL: _Kind(bias=0.02, noise=0.006, quantum=0.01, may_stick=True),
    Quantity.FLOW: _Kind(bias=0.01, noise=0.008, proportional=True, quantum=1e-5, may_stick=True),
    Quantity.POWER: _Kind(bias=0.005, noise=0.002, proportional=True, quantum=100.0),
    Quantity.ENERGY: _Kind(bias=0.005, proportional=True, quantum=0.1 * 3.6e6),
    Quantity.SPEED: _Kind(quantum=0.001),
    Quantity.STATUS: _Kind(quantum=1.0),
}
_SILENT = 0.002
"""Chance that a reading is missing."""
_STICKS = 0.0005
"""Chance that a sensor begins to stick at a reading: each about once in three weeks."""
_STUCK_HOURS = (2.0, 6.0)
_NONSENSE = 0.00003
"""Chance of a reading far beyond the instrument's range, as from a broken wire."""
_BEYOND_RANGE = 99.99


@dataclass(frozen=True, slots=True)
class Stuck:
    """A sensor that shows the same value until an instant."""

    until: datetime
    value: float


class Instruments:
    """The sensors of one utility: one for each series in its file contracts that a plant can measure."""

    def __init__(self, contracts: FileContracts, seed: int) -> None:
        columns = {column.series: column.quantity for contract in contracts.contracts for column in contract.columns.values()}
        self._kinds = {series: _KINDS[quantity] for series, quantity in sorted(columns.items()) if quantity in _KINDS}
        self._seed = seed
        draws = np.random.default_rng([seed, 3]).uniform(-1, 1, len(self._kinds))
        self.bias = {series: float(draw) * kind.bias for (series, kind), draw in zip(self._kinds.items(), draws, strict=True)}

    def read(self, time: datetime, true: Mapping[str, float], stuck: Mapping[str, Stuck]) -> tuple[dict[str, float], dict[str, Stuck]]:
        """What the sensors show at `time` for true SI values by series; silent ones are left out. Also: the sensors stuck from now on.

        A series that no contract delivers is not measured.
        """
        rng = np.random.default_rng([self._seed, 4, int(time.timestamp())])
        noise = rng.standard_normal(len(self._kinds))
        chance: Floats = rng.random((4, len(self._kinds)))
        shown: dict[str, float] = {}
        still = {series: held for series, held in stuck.items() if held.until > time}
        for i, (series, kind) in enumerate(self._kinds.items()):
            if series not in true:
                continue
            value = still[series].value if series in still else self._measured(kind, true[series], self.bias[series], float(noise[i]))
            if kind.may_stick:
                if series not in still and chance[0, i] < _STICKS:
                    low, high = _STUCK_HOURS
                    still[series] = Stuck(time + timedelta(hours=low + (high - low) * float(chance[1, i])), value)
                if chance[2, i] < _NONSENSE:
                    value = _BEYOND_RANGE
            if chance[3, i] >= _SILENT:
                shown[series] = value
        return shown, still

    @staticmethod
    def _measured(kind: _Kind, true: float, bias: float, noise: float) -> float:
        value = true * (1 + bias + kind.noise * noise) if kind.proportional else true + bias + kind.noise * noise
        if kind.quantum:
            value = round(value / kind.quantum) * kind.quantum
        return max(value, 0.0)
