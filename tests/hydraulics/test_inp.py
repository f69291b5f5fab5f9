from __future__ import annotations

import re
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from epanet import toolkit
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hydraulics.networks import START, example_inp, small_inp, small_network

from levada.domain.errors import NetworkError
from levada.domain.network import Network
from levada.domain.time import Steps
from levada.domain.units import Quantity, factor_to_si
from levada.hydraulics.epanet import FLOW_UNITS, MAX_INP_BYTES, open_project
from levada.hydraulics.inp import pattern_demands, read_network


def line_of(text: str, beginning: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), start=1) if line.strip().startswith(beginning))


def test_a_network_is_read_in_si_and_in_the_order_of_its_file() -> None:
    network = small_network(curves=" eff 20 60\n eff 30 70", extra="[ENERGY]\n Pump P Efficiency eff")
    assert [j.name for j in network.junctions] == ["J1", "J2"]
    assert network.junctions[1].base_demand_m3_per_s == pytest.approx(0.020)
    tank, pump = network.tanks[0], network.pumps[0]
    assert (tank.elevation_m, tank.initial_level_m, tank.min_level_m, tank.max_level_m, tank.diameter_m) == pytest.approx((40, 3, 1, 5, 12))
    assert (pump.start_node, pump.end_node) == ("R", "J1")
    assert np.array(pump.head_curve) == pytest.approx(np.array([(0, 160 / 3), (0.030, 40), (0.060, 0)]))  # one point makes three
    assert np.array(pump.efficiency_curve) == pytest.approx(np.array([(0.020, 0.6), (0.030, 0.7)]))
    assert [(k.name, k.kind) for k in network.links] == [("a", "pipe"), ("b", "pipe")]
    assert network.reservoirs[0].head_m == pytest.approx(10)


def test_us_units_become_si() -> None:
    network = read_network(example_inp("Net1.inp"), "Net1.inp")
    assert network.tanks[0].diameter_m == pytest.approx(50.5 * 0.3048)
    assert network.junctions[network.junction_index["10"]].elevation_m == pytest.approx(710 * 0.3048)
    assert network.pumps[0].head_curve[1] == pytest.approx((1500 * factor_to_si(Quantity.FLOW, "[gal_us]/min"), 250 * 0.3048))


@pytest.mark.parametrize("unit", sorted(FLOW_UNITS))
def test_flow_factors_are_epanets_own(unit: int) -> None:
    """EPANET itself converts a demand of one cubic foot per second to each unit."""
    with open_project(small_inp().replace("Units LPS", "Units CFS").replace(" J2 10 20.0 day", " J2 10 1 day").encode(), "cfs.inp") as project:
        toolkit.setflowunits(project.handle, unit)
        demand = toolkit.getbasedemand(project.handle, toolkit.getnodeindex(project.handle, "J2"), 1)
        height = toolkit.getnodevalue(project.handle, toolkit.getnodeindex(project.handle, "J2"), toolkit.ELEVATION)
    assert demand * FLOW_UNITS[unit].engine_flow_m3_per_s == pytest.approx(0.3048**3, rel=1e-12)
    assert demand * FLOW_UNITS[unit].flow_m3_per_s == pytest.approx(0.3048**3, rel=2e-4)  # EPANET rounds: 1.9837 for acre-feet
    assert height * FLOW_UNITS[unit].length_m == pytest.approx(10 * 0.3048, rel=1e-12)


@given(unit=st.sampled_from(sorted(FLOW_UNITS)), demand=st.floats(0.001, 500), level=st.floats(1.1, 4.9))
@settings(max_examples=25, deadline=None)
def test_a_network_converted_by_epanet_to_other_units_stays_the_same_in_si(unit: int, demand: float, level: float) -> None:
    ours = read_network(small_inp(demand=demand, level=level).encode(), "lps.inp")
    with tempfile.TemporaryDirectory() as folder:
        with open_project(ours.inp, "lps.inp") as project:
            toolkit.setflowunits(project.handle, unit)
            toolkit.saveinpfile(project.handle, str(Path(folder, "other.inp")))
        theirs = read_network(Path(folder, "other.inp").read_bytes(), "other.inp")
    a, b = ours.tanks[0], theirs.tanks[0]
    assert (b.elevation_m, b.initial_level_m, b.max_level_m, b.diameter_m) == pytest.approx(
        (a.elevation_m, a.initial_level_m, a.max_level_m, a.diameter_m), rel=1e-3
    )  # EPANET writes four decimals
    assert theirs.junctions[1].base_demand_m3_per_s == pytest.approx(ours.junctions[1].base_demand_m3_per_s, rel=3e-4, abs=2e-6)


def test_tanks_of_any_shape_keep_their_volume_curve() -> None:
    tank = small_network(tank_curve="shape", curves=" shape 0 0\n shape 2 100\n shape 6 700").tanks[0]
    assert np.array(tank.volume_curve) == pytest.approx(np.array([(0, 0), (2, 100), (6, 700)]))


@st.composite
def demand_inps(draw: st.DrawFn) -> str:
    """INPs with several demand categories, default and named patterns, a multiplier and a pattern start."""
    number = st.floats(0, 3, allow_subnormal=False).map(lambda x: round(x, 3))
    patterns = {name: draw(st.lists(number, min_size=1, max_size=9)) for name in ("day", "1", "night")}
    rows = "\n".join(f" {name} {' '.join(map(str, values))}" for name, values in patterns.items())
    categories = draw(st.lists(st.tuples(number, st.sampled_from(["", "day", "1", "night"])), max_size=3))
    demands = "[DEMANDS]\n" + "\n".join(f" J2 {base} {pattern}" for base, pattern in categories)
    unit = draw(st.sampled_from([u.name for u in FLOW_UNITS.values()]))
    options = f" Demand Multiplier {draw(st.sampled_from([0.5, 1.0, 1.3]))}\n Pattern {draw(st.sampled_from(['1', 'day', 'night']))}\n"
    text = small_inp(demand=draw(number), options=options, extra=demands).replace(" day 0.5 1.0 1.5 1.0", rows).replace("Units LPS", f"Units {unit}")
    times = f" Pattern Timestep {draw(st.sampled_from([900, 3600, 5400]))} SEC\n Pattern Start {draw(st.sampled_from([0, 900, 7200]))} SEC"
    return text.replace(" Pattern Timestep 1:00", times)


@given(inp=demand_inps())
@settings(max_examples=40, deadline=None)
def test_pattern_demands_are_those_that_epanet_reports(inp: str) -> None:
    """EPANET's demands at every quarter of an hour of half a day, in steps of a quarter and as means over uneven steps."""
    quarters = Steps.even(START, timedelta(minutes=15), 48)
    with open_project(inp.encode(), "d.inp") as project:
        ph = project.handle
        for what, value in ((toolkit.DURATION, 43200), (toolkit.REPORTSTEP, 900), (toolkit.HYDSTEP, 900)):
            toolkit.settimeparam(ph, what, value)
        toolkit.setoption(ph, toolkit.UNBALANCED, 10)  # only demands matter here: a solve that does not settle must not end the run
        node, reported = toolkit.getnodeindex(ph, "J2"), {}
        with project.hydraulics():
            toolkit.initH(ph, toolkit.NOSAVE)
            while True:
                now = toolkit.runH(ph)
                reported[now] = toolkit.getnodevalue(ph, node, toolkit.DEMAND) * project.units.flow_m3_per_s
                if toolkit.nextH(ph) <= 0:
                    break
    expected = np.array([reported[900 * k] for k in range(48)])
    network = read_network_without_trial(inp)
    assert pattern_demands(network, quarters)[:, 1] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    uneven = Steps(START, (900, 3600, 1800, 36900))
    means = [expected[a:b].mean() for a, b in ((0, 1), (1, 5), (5, 7), (7, 48))]
    assert pattern_demands(network, uneven)[:, 1] == pytest.approx(means, rel=1e-9, abs=1e-12)
    later = Steps.even(START, timedelta(minutes=15), 44)
    assert pattern_demands(network, later, start_clock_s=3600)[:, 1] == pytest.approx(expected[4:], rel=1e-9, abs=1e-12)


def read_network_without_trial(inp: str) -> Network:
    """The names are enough here, and these demands may be more than the pump can give."""
    base = small_network()
    return Network(name="d.inp", inp=inp.encode(), junctions=base.junctions, reservoirs=base.reservoirs, tanks=base.tanks, pumps=base.pumps)


GOOD = small_inp()
BROKEN = {
    "an undefined node": (GOOD.replace(" a J1 J2", " a J1 J9"), "a J1 J9", "undefined node J9"),
    "a word for a number": (GOOD.replace("b J2 T 500", "b J2 T half"), "b J2 T half", "illegal numeric value half"),
    "a duplicate name": (GOOD.replace(" R 10\n", " R 10\n J1 20\n"), "J1 20", "duplicate ID label J1"),
    "a pump whose curve is not there": (GOOD.replace("HEAD 1", "HEAD 7"), "P R J1", "7"),
    "a pump without a curve": (GOOD.replace("HEAD 1", ""), "P R J1", "pump P has neither a head curve nor a power"),
    "a head curve that rises": (GOOD.replace(" 1 30 40\n", " 1 0 40\n 1 30 45\n 1 60 20\n"), "P R J1", "invalid head curve for pump P"),
    "a level above the maximum": (GOOD.replace("T 40 3.0 1 5", "T 40 7.0 1 5"), "T 40 7.0", "invalid lower/upper levels"),
    "an unknown section": (GOOD.replace("[PUMPS]", "[PUMPZ]"), "[PUMPZ]", "invalid section keyword [PUMPZ]"),
    "an unconnected node": (GOOD.replace(" J1 10 0\n", " J1 10 0\n J7 10 0\n"), "J7 10", "no tank or reservoir is connected to J7"),
    "a part without water": (GOOD.replace(" J1 10 0\n", " J1 10 0\n K1 10 1\n K2 10 1\n").replace("[PUMPS]", " c K1 K2 9 200 99\n[PUMPS]"), "K1 10", "K1, K2"),
    "a control of a link that is not there": (GOOD.replace("[END]", "[CONTROLS]\n LINK Q OPEN AT TIME 3\n[END]"), "LINK Q", "undefined link Q"),
    "a rule that cannot be read": (GOOD.replace("[END]", "[RULES]\n RULE 1\n IF TANK Z LEVEL BELOW 3\n THEN PUMP P STATUS IS OPEN\n[END]"), "IF TANK Z", ""),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_inp_is_refused_with_file_line_and_reason(fault: str) -> None:
    text, line, reason = BROKEN[fault]
    with pytest.raises(NetworkError) as caught:
        read_network(text.encode(), "town.inp")
    assert caught.value.where == f"town.inp, line {line_of(text, line)}"
    assert reason in re.sub(r"\s+", " ", str(caught.value))


def test_several_faults_are_told_at_once() -> None:
    text = GOOD.replace(" a J1 J2", " a J1 J9").replace("b J2 T 500", "b J2 T half")
    with pytest.raises(NetworkError, match=r"undefined node J9.*line \d+: illegal numeric value half"):
        read_network(text.encode(), "town.inp")


@pytest.mark.parametrize(
    ("inp", "reason"),
    [
        (b"", "has no pump"),
        (b"PK\x03\x04\x00\x00", "is not text"),
        (b";" * (MAX_INP_BYTES + 1), "MB"),
        (b"[JUNCTIONS]\n" + b"x" * 2000, "line 2: is longer than"),
        (GOOD.replace(" P R J1 HEAD 1\n", " \n").replace("[PUMPS]", " q R J1 5 200 99\n[PUMPS]").encode(), "has no pump"),
        (GOOD.replace(" T 40 3.0 1 5 12 0 \n", "").replace(" R 10\n", " R 10\n T 43\n").encode(), "has no tank"),
    ],
)
def test_what_cannot_be_planned_with_is_refused(inp: bytes, reason: str) -> None:
    with pytest.raises(NetworkError, match=reason):
        read_network(inp, "town.inp")


def test_a_network_whose_controls_chatter_is_refused() -> None:
    controls = "[CONTROLS]\n LINK P OPEN IF NODE T BELOW 3\n LINK P CLOSED IF NODE T ABOVE 3.0005\n[END]"
    with pytest.raises(NetworkError, match="chatters"):
        read_network(GOOD.replace("[END]", controls).encode(), "town.inp")


def test_files_that_an_inp_names_are_neither_read_nor_written(tmp_path: Path) -> None:
    report, hydraulics, used = tmp_path / "report.txt", tmp_path / "hydraulics.bin", tmp_path / "absent.bin"
    hostile = GOOD.replace("Units LPS", f"Units LPS\n HYDRAULICS SAVE {hydraulics}\n Hydraulics Use {used}\n MAP {tmp_path / 'map'}")
    hostile = hostile.replace("[END]", f"[REPORT]\n FILE {report}\n STATUS FULL\n[END]")
    assert read_network(hostile.encode(), "town.inp").tanks
    assert list(tmp_path.iterdir()) == []


def test_comments_of_any_length_windows_line_ends_and_other_encodings_are_read() -> None:
    text = GOOD.replace("[PUMPS]", "; " + "long " * 1000 + "\n[PUMPS]").replace(" a J1", " pão J1").replace("\n", "\r\n")
    for encoding in ("utf-8", "utf-8-sig", "latin-1"):
        assert read_network(text.encode(encoding), "town.inp").links[0].name == "pão"
