"""The demo's utilities are data: they hold together, and they differ in everything that a utility may differ in."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import distribution
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from levada.demo.plant_settings import read_plant_settings
from levada.demo.prices import day_prices
from levada.demo.utilities import DemoUtility, list_utilities
from levada.domain.calendar import holidays_in
from levada.domain.consistency import check_consistency
from levada.domain.settings import (
    DOCUMENT_KINDS,
    DayAheadTariff,
    FileContracts,
    Operation,
    Tariff,
    Utility,
    read_document,
)
from levada.domain.tariff import energy_prices
from levada.domain.time import Steps, Window, from_np, zone
from levada.hydraulics.inp import read_network

UTILITIES = list_utilities()
SERRA, RIBERA = UTILITIES

each = pytest.mark.parametrize("utility", UTILITIES, ids=lambda u: u.tenant_id)


def operation_of(utility: DemoUtility) -> Operation:
    return cast(Operation, read_document("operation", utility.documents["operation"]))


@each
def test_all_documents_hold_and_fit_the_network_and_each_other(utility: DemoUtility) -> None:
    documents = {kind: read_document(kind, utility.documents[kind]) for kind in DOCUMENT_KINDS}
    network = read_network(utility.inp, utility.network_name)
    check_consistency(cast(Operation, documents["operation"]), network, cast(FileContracts, documents["files"]), cast(Tariff, documents["tariff"]))


@each
def test_the_operation_names_the_network_by_its_hash(utility: DemoUtility) -> None:
    assert operation_of(utility).network == hashlib.sha256(utility.inp).hexdigest()


def test_the_second_network_is_the_one_that_its_package_ships() -> None:
    shipped = distribution("wntr").locate_file("wntr/library/networks/Net3.inp")
    assert Path(str(shipped)).read_bytes() == RIBERA.inp


@each
def test_every_junction_that_draws_water_is_in_a_zone(utility: DemoUtility) -> None:
    network = read_network(utility.inp, utility.network_name)
    zoned = {junction for z in operation_of(utility).zones.values() for junction in z.junctions}
    assert {j.name for j in network.junctions if j.base_demand_m3_per_s > 0} == zoned


@each
def test_limits_lie_within_what_the_tanks_can_hold_and_switches_between_the_two(utility: DemoUtility) -> None:
    operation, network = operation_of(utility), read_network(utility.inp, utility.network_name)
    guarded = {p.tank: p for p in read_plant_settings(utility.folder).protection}
    for tank in network.tanks:
        limits = operation.tanks[tank.name]
        assert tank.min_level_m < guarded[tank.name].low_m < limits.min_level_m < limits.max_level_m < guarded[tank.name].high_m < tank.max_level_m


@each
def test_the_hidden_plant_covers_what_the_documents_name(utility: DemoUtility) -> None:
    operation, settings = operation_of(utility), read_plant_settings(utility.folder)
    assert set(settings.zones) == set(operation.zones)
    assert set(settings.rules) == set(operation.pumps)
    assert {rule.tank for rule in settings.rules.values()} <= set(operation.tanks)


def test_they_differ_in_zone_language_layout_tariff_and_step() -> None:
    def facts(u: DemoUtility) -> tuple[object, ...]:
        files = u.documents["files"]["contracts"][0]
        who = u.documents["utility"]
        return who["time_zone"], who["language"], who["country"], who["flow_unit"], files["layout"], files["delimiter"], files["decimal_mark"], files["stamp_marks"], files["encoding"], u.documents["tariff"]["tariff"]["kind"], u.documents["operation"]["step_minutes"]  # fmt: skip

    assert all(a != b for a, b in zip(facts(SERRA), facts(RIBERA), strict=True))


def test_serra_is_the_town_of_the_brief() -> None:
    network, operation = read_network(SERRA.inp, SERRA.network_name), operation_of(SERRA)
    assert len(network.tanks) == 3
    assert len({t.elevation_m for t in network.tanks}) == 3
    assert len(operation.zones) == 5
    assert len({(p.start_node, p.end_node) for p in network.pumps}) == 2, "two pumping stations"
    variable = {p.name for p in network.pumps if operation.pumps[p.name].min_speed < operation.pumps[p.name].max_speed}
    assert len({p.start_node for p in network.pumps if p.name in variable}) == 1, "one with variable-speed pumps"
    assert all(0.70 < max(e for _, e in p.efficiency_curve) <= 0.80 for p in network.pumps)
    assert {p["name"] for p in SERRA.documents["tariff"]["tariff"]["periods"]} == {"ponta", "cheias", "vazio normal", "super vazio"}
    assert SERRA.documents["tariff"]["tariff"]["contracted_power_kw"]


def test_serra_is_billed_by_station_for_its_peak_and_says_what_a_start_and_a_change_of_plan_cost() -> None:
    tariff, operation = read_document("tariff", SERRA.documents["tariff"]), operation_of(SERRA)
    assert isinstance(tariff, Tariff)
    assert {pump for meter in tariff.meters.values() for pump in meter.pumps} == set(operation.pumps)
    assert all(meter.demand_charge_per_kw and meter.power_series for meter in tariff.meters.values())
    assert all(pump.wear_per_start and pump.min_on for pump in operation.pumps.values())
    assert operation.deviation_cost_per_h


@each
def test_each_quarter_of_an_hour_of_years_has_a_price(utility: DemoUtility) -> None:
    who, tariff = (read_document(kind, utility.documents[kind]) for kind in ("utility", "tariff"))
    assert isinstance(who, Utility)
    assert isinstance(tariff, Tariff)
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
    steps = Steps.even(window.start, timedelta(minutes=15), 96 * 730)
    prices = energy_prices(tariff, steps, who.time_zone, holidays_in(who, window))
    assert 0.01 < prices.per_kwh.mean() < 0.3


def test_a_portuguese_holiday_is_priced_like_a_sunday() -> None:
    who, tariff = (read_document(kind, SERRA.documents[kind]) for kind in ("utility", "tariff"))
    assert isinstance(who, Utility)
    assert isinstance(tariff, Tariff)

    def day(start: datetime) -> list[float]:
        steps = Steps.even(start, timedelta(hours=1), 24)
        return energy_prices(tariff, steps, who.time_zone, holidays_in(who, Window(start, start + timedelta(days=1)))).per_kwh.tolist()

    freedom_day, sunday, monday = datetime(2028, 4, 24, 23, tzinfo=UTC), datetime(2028, 4, 22, 23, tzinfo=UTC), datetime(2028, 5, 7, 23, tzinfo=UTC)
    local_fair = datetime(2027, 6, 23, 23, tzinfo=UTC)
    assert day(freedom_day) == day(sunday) == day(local_fair)
    assert sum(day(freedom_day)) < sum(day(monday))


def test_the_typical_day_is_near_what_the_market_makes() -> None:
    who, tariff = (read_document(kind, RIBERA.documents[kind]) for kind in ("utility", "tariff"))
    assert isinstance(who, Utility)
    assert isinstance(tariff, Tariff)
    assert isinstance(tariff.tariff, DayAheadTariff)
    seed = read_plant_settings(RIBERA.folder).price_seed
    assert seed is not None
    hours: list[list[float]] = [[] for _ in range(24)]
    for i in range(0, 364, 3):
        for time, price in zip(*day_prices(who, date(2026, 1, 1) + timedelta(days=i), seed), strict=True):
            hours[from_np(time).astimezone(zone(who.time_zone)).hour].append(float(price))
    typical = np.array(tariff.tariff.typical_day_per_kwh)
    assert np.abs(typical - np.array([np.mean(h) for h in hours])).max() < 0.01
