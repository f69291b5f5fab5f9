"""Each series that a document names is known with its place, quantity and reach: what is checked and frozen is this list."""

from typing import Any

import pytest
from tests.runs.whole import OPERATION, TARIFF

from levada.domain.errors import DocumentError
from levada.domain.settings import Operation, Tariff, read_document
from levada.domain.signals import Reach, signals
from levada.domain.units import Quantity

METER: dict[str, Any] = {
    "pumps": ["PU1"], "power_series": "meter.power", "billing_day": 15, "own_power_kw": {"constant": 0, "series": "site.pv"},
    "export_price_per_kwh": {"constant": 0, "series": "site.export"},
    "tariff": {"kind": "day-ahead", "price_series": "market.price", "typical_day_per_kwh": [0.1] * 24},
}  # fmt: skip


def test_each_series_is_told_with_its_place_quantity_and_reach() -> None:
    pump = {"status_series": "pump.a.status", "speed_series": "pump.a.speed", "energy_series": "pump.a.energy", "run_hours_series": "pump.a.hours"}
    operation = read_document("operation", {"network": "0" * 64, "zones": {"z": {"flow_series": "zone.z.flow", "junctions": ["J"]}}, **OPERATION, "pumps": {"a": pump}})
    tariff = read_document("tariff", {**TARIFF, "meters": {"m": METER}, "co2": {"kg_per_kwh": {"constant": 0.2, "series": "grid.co2"}}})
    assert isinstance(operation, Operation)
    assert isinstance(tariff, Tariff)
    assert [(s.path, s.series, s.quantity, s.reach) for s in signals(operation, tariff)] == [
        ("tanks.TNK.level_series", "tank.TNK.level", Quantity.LEVEL, Reach.STATE),
        ("pumps.a.status_series", "pump.a.status", Quantity.STATUS, Reach.STATE),
        ("pumps.a.speed_series", "pump.a.speed", Quantity.SPEED, Reach.STATE),
        ("pumps.a.energy_series", "pump.a.energy", Quantity.ENERGY, Reach.STATE),
        ("pumps.a.run_hours_series", "pump.a.hours", Quantity.DURATION, Reach.STATE),
        ("zones.z.flow_series", "zone.z.flow", Quantity.FLOW, Reach.HISTORY),
        ("meters.m.tariff.price_series", "market.price", Quantity.PRICE, Reach.AHEAD),
        ("meters.m.power_series", "meter.power", Quantity.POWER, Reach.BILLING),
        ("meters.m.own_power_kw.series", "site.pv", Quantity.POWER, Reach.AHEAD),
        ("meters.m.export_price_per_kwh.series", "site.export", Quantity.PRICE, Reach.AHEAD),
        ("co2.kg_per_kwh.series", "grid.co2", Quantity.EMISSION, Reach.AHEAD),
    ]
    assert next(s.billing_day for s in signals(operation, tariff) if s.reach is Reach.BILLING) == 15


def test_a_zone_without_a_meter_wants_the_past_of_its_tanks_and_of_what_flows_in_and_out() -> None:
    balance = {"tanks": ["TNK"], "inflow_series": ["pump.a.flow", "pump.b.flow"], "outflow_series": ["pipe.c.flow"]}
    operation = read_document("operation", {"network": "0" * 64, "zones": {"z": {"balance": balance, "junctions": ["J"]}}, **OPERATION})
    tariff = read_document("tariff", TARIFF)
    assert isinstance(operation, Operation)
    assert isinstance(tariff, Tariff)
    found = {s.path: (s.series, s.quantity) for s in signals(operation, tariff) if s.reach is Reach.HISTORY}
    assert found == {
        "tanks.TNK.level_series": ("tank.TNK.level", Quantity.LEVEL),
        "zones.z.balance.inflow_series[0]": ("pump.a.flow", Quantity.FLOW),
        "zones.z.balance.inflow_series[1]": ("pump.b.flow", Quantity.FLOW),
        "zones.z.balance.outflow_series[0]": ("pipe.c.flow", Quantity.FLOW),
    }


@pytest.mark.parametrize("both", [{}, {"flow_series": "zone.z.flow", "balance": {"tanks": ["TNK"], "inflow_series": ["pump.a.flow"]}}])
def test_a_zone_is_known_by_its_meter_or_its_balance_and_not_by_both(both: dict[str, object]) -> None:
    with pytest.raises(DocumentError, match="either `flow_series` or `balance`"):
        read_document("operation", {"network": "0" * 64, "zones": {"z": {"junctions": ["J"], **both}}, **OPERATION})
