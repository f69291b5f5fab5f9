"""Documents that do not fit the network or each other are refused when they are put in, with their path."""

import json
from pathlib import Path
from typing import Any

import pytest

from levada.domain.consistency import check_consistency
from levada.domain.errors import DocumentError
from levada.domain.settings import FileContracts, Operation, Tariff
from levada.hydraulics.inp import read_network

TINY = Path(__file__).parent.parent / "system" / "tiny"


def check(change: Any = lambda documents: None) -> None:
    documents = {kind: json.loads((TINY / f"{kind}.json").read_text()) for kind in ("operation", "files", "tariff")}
    change(documents)
    network = read_network((TINY / "network.inp").read_bytes(), "network.inp")
    check_consistency(Operation(**documents["operation"]), network, FileContracts(**documents["files"]), Tariff(**documents["tariff"]))


def test_the_tiny_utility_fits() -> None:
    check()


def rename_pump(documents: dict[str, Any]) -> None:
    documents["operation"]["pumps"]["PU3"] = documents["operation"]["pumps"].pop("PU2")


def forget_tank(documents: dict[str, Any]) -> None:
    documents["operation"]["tanks"] = {"TANK": documents["operation"]["tanks"]["TNK"]}


def share_junction(documents: dict[str, Any]) -> None:
    documents["operation"]["zones"]["hamlet"] = {"flow_series": "zone.village.flow", "junctions": ["VIL"]}


def balance_nowhere(documents: dict[str, Any]) -> None:
    documents["operation"]["zones"]["village"] = {"balance": {"tanks": ["TANK"], "inflow_series": ["zone.village.flow"]}, "junctions": ["VIL"]}


def lose_series(documents: dict[str, Any]) -> None:
    del documents["files"]["contracts"][0]["columns"]["TNK_LEVEL"]


def level_from_flow(documents: dict[str, Any]) -> None:
    documents["operation"]["tanks"]["TNK"]["level_series"] = "zone.village.flow"


def other_network(documents: dict[str, Any]) -> None:
    documents["operation"]["network"] = "0" * 64


def ceiling_nowhere(documents: dict[str, Any]) -> None:
    documents["operation"]["pressure_ceilings"] = [{"node": "VILL", "max_pressure_m": 60}]


def flow_nowhere(documents: dict[str, Any]) -> None:
    documents["operation"]["flow_limits"] = {"P9": {"unit": "l/s", "max": 3}}


def source_of_a_tank(documents: dict[str, Any]) -> None:
    documents["operation"]["sources"] = {"TNK": {"max_volume_m3_per_day": 3}}


def valve_of_a_pump(documents: dict[str, Any]) -> None:
    documents["operation"]["valves"] = {"PU1": {"choices": ["open", "closed"]}}


def meter_of_a_tank(documents: dict[str, Any]) -> None:
    documents["tariff"]["meters"] = {"well": {"pumps": ["PU1", "TNK"]}}


def sun_that_nobody_sends(documents: dict[str, Any]) -> None:
    documents["tariff"]["meters"] = {"well": {"pumps": ["PU1"], "own_power_kw": {"constant": 0, "series": "site.pv"}}}


def hours_from_a_flow(documents: dict[str, Any]) -> None:
    documents["operation"]["pumps"]["PU1"]["run_hours_series"] = "zone.village.flow"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename_pump, "operation, pumps.PU3: there is no pump 'PU3'; did you mean"),
        (forget_tank, "operation, tanks.TANK: there is no tank 'TANK'"),
        (share_junction, "is already in zone"),
        (balance_nowhere, "operation, zones.village.balance.tanks: there is no tank 'TANK'"),
        (lose_series, "operation, tanks.TNK.level_series: there is no file contract column for series 'tank.TNK.level'"),
        (level_from_flow, "series 'zone.village.flow' is delivered as flow, but level is needed"),
        (other_network, "operation, network: names 000000000000"),
        (ceiling_nowhere, "operation, pressure_ceilings[0].node: there is no node 'VILL'; did you mean VIL"),
        (flow_nowhere, "operation, flow_limits.P9: there is no link 'P9'"),
        (source_of_a_tank, "operation, sources.TNK: there is no reservoir 'TNK'"),
        (valve_of_a_pump, "operation, valves.PU1: there is no pipe or valve 'PU1'"),
        (meter_of_a_tank, "tariff, meters.well.pumps: there is no pump 'TNK'"),
        (sun_that_nobody_sends, "tariff, meters.well.own_power_kw.series: there is no file contract column for series 'site.pv'"),
        (hours_from_a_flow, "operation, pumps.PU1.run_hours_series: series 'zone.village.flow' is delivered as flow, but duration is needed"),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(change: Any, said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        check(change)
    assert said in str(caught.value)
