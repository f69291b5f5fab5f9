"""Documents of the tiny utility that state whatever can be stated, and can be kept."""

from __future__ import annotations

from typing import Any

__all__ = ["OPERATION", "TARIFF"]

_WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

OPERATION: dict[str, Any] = {
    "tanks": {"TNK": {
        "level_series": "tank.TNK.level", "min_level_m": 1.0, "max_level_m": 4.3, "end": [2.4, 3.5], "value_per_m3": 0.01,
        "reserve": {"periods": [{"value": 1.6, "from": "08:00", "to": "20:00"}]}, "ceiling": 4.2,
    }},
    "pumps": {
        name: {"status_series": f"pump.{name}.status", "max_starts_per_day": 4, "min_on": "1h", "min_off": "1h", "wear_per_start": 0.2, "run_hours": hours}
        for name, hours in (("PU1", 100.0), ("PU2", 90.0))
    },
    "pressure_ceilings": [{"node": "VIL", "max_pressure_m": 80}],
    "flow_limits": {"P1": {"unit": "l/s", "max": 40}},
    "sources": {"WELL": {"cost_per_m3": 0.01, "max_flow": 40, "unit": "l/s", "max_volume_m3_per_day": 2000}},
    "valves": {"P3": {"choices": ["open", "closed"]}},
    "max_simultaneous_starts": 1,
    "deviation_cost_per_h": 0.05,
    "scenarios": {"count": 10, "share": 0.8},
}  # fmt: skip
"""Changes to the operation document."""

TARIFF: dict[str, Any] = {
    "tariff": {
        "kind": "time-of-use", "contracted_power_kw": 60,
        "periods": [{"name": "flat", "price_per_kwh": 0.15, "days": _WEEK, "start": "00:00", "end": "00:00"}],
    },
    "meters": {"well": {
        "pumps": ["PU1", "PU2"], "contracted_kw": 50, "demand_charge_per_kw": 0.5, "peak_so_far_kw": 10,
        "own_power_kw": {"periods": [{"value": 6, "from": "10:00", "to": "17:00"}], "otherwise": 0}, "export_price_per_kwh": 0.03,
    }},
    "co2": {"kg_per_kwh": 0.2, "price_per_kg": 0.05, "max_kg": 200},
}  # fmt: skip
"""The tariff document."""
