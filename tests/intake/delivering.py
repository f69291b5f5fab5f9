"""The file contracts of the tenants of these tests."""

from typing import Any

FILES: dict[str, Any] = {
    "contracts": [
        {
            "name": "SCADA", "file_name": "scada_*.csv", "delimiter": ";", "step_s": 900,
            "columns": {
                "LEVEL": {"series": "tank.T1.level", "quantity": "level", "unit": "m", "minimum": 0, "maximum": 10},
                "FLOW": {"series": "zone.north.flow", "quantity": "flow", "unit": "L/s", "cell_method": "mean"},
            },
        },
        {"name": "Meter A", "file_name": "a_*.csv", "delimiter": ";", "columns": {"X": {"series": "meter.a", "quantity": "flow", "unit": "L/s"}}},
        {"name": "Meter B", "file_name": "b_*.csv", "delimiter": ";", "columns": {"X": {"series": "meter.b", "quantity": "flow", "unit": "L/s"}}},
    ]
}  # fmt: skip
