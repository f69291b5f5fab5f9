"""A case file becomes the problem that it states; what it leaves out is as the network says."""

from pathlib import Path

import numpy as np
import pytest
from tests.cases.case_folder import EXAMPLES, HEAD, load_case

from levada import cases
from levada.domain.time import isoformat_z
from levada.hydraulics.inp import pattern_demands
from levada.schedule import Work


def test_five_lines_are_a_case_with_the_networks_own_limits(tmp_path: Path) -> None:
    case = load_case(tmp_path / "small-town")
    p = case.problem
    assert (case.name, case.currency, case.previous) == ("small-town", "EUR", None)
    assert isoformat_z(p.steps.start) == "2026-03-02T00:00:00Z"
    assert p.steps.durations_s == (3600,) * 4
    assert p.hydraulic_step_s == 1800
    assert (p.price_per_kwh == 0.15).all()
    assert np.allclose(p.demand_m3_per_s, pattern_demands(p.network, p.steps), rtol=0, atol=1e-15)
    assert (p.initial_level_m[0], p.min_level_m[0], p.max_level_m[0], p.end_level_m[0]) == pytest.approx((3, 1, 5, 3), abs=1e-9)
    assert p.initial_on.tolist() == [True, False]
    assert p.max_starts.tolist() == [4, 4]
    assert (p.min_speed == 1).all()
    assert (p.max_speed == 1).all()
    assert p.available.all()
    assert p.count_starts == "window"
    assert p.pressure_floors_m == {}
    assert p.meters == ()
    assert p.valves == ()
    assert p.sources == ()
    for name in ("reserve_level_m", "ceiling_level_m", "end_level_max_m", "stored_value_per_m3", "day", "forced_on", "min_on_s", "held_s", "scenarios", "previous_on", "co2_kg_per_kwh", "max_power_kw"):
        assert getattr(p, name) is None, name


EVERYTHING = """
name = "Everything"
currency = "BRL"
hydraulic_step = "15min"
count_starts = "window"
max_simultaneous_starts = 1
max_power_kw = 70
relax_order = ["end level", "starts"]
work = { beam = 50, seed = 3 }

[tariff]
per_step = [0.1, 0.2, 0.3, 0.4]
factor = 2

[demand]
file = "demand.csv"
unit = "m3/h"
zones = { town = { J2 = 0.75, J3 = 0.25 } }
multiplier = 1.5

[[scenarios.demands]]
multiplier = 1.1
[[scenarios.demands]]
file = "wet.csv"
unit = "l/s"
others = "zero"

[scenarios]
share = 0.5

[meters.main]
pumps = ["Q"]
tariff = { network = true, factor = 0.01 }
contracted_kw = 40
demand_charge_per_kw = 3
peak_so_far_kw = 12
own_power_kw = { file = "sun.csv" }
export_price_per_kwh = [0.01, 0.02, 0.03, 0.04]

[tanks.default]
value_per_m3 = 0.05
may_stand_full = true
[tanks.T]
datum = "head"
initial = 42.5
min = 41.5
max = 44.5
end = [42, 43]
reserve = { periods = [{ value = 42.2, from = "01:30", to = "02:30" }] }
ceiling = { constant = 44 }

[pumps.default]
max_starts = 3
min_on = "2h"
min_off = "30min"
run_hours = 100
[pumps.P]
starts_made = 1
on_before = false
since = 2026-03-01T22:00:00Z
outages = [{ from = "01:10", to = "01:20" }]
wear_per_start = 0.7
[pumps.Q]
speed = [0.7, 1.1]
forced_on = [{ from = 2026-03-02T02:00:00, to = 2026-03-02T03:00:00+00:00 }]
deviation_cost_per_h = [1, 2, 3, 4]
run_hours = 20.5

[pressure]
floors = { J2 = 25.5 }
ceilings = { J3 = 60 }
floor_at_demands = 10

[flow_limits.a]
unit = "l/s"
min = -5
[flow_limits.P]
unit = "m3/h"
max = 36

[sources.R]
cost_per_m3 = 0.02
max_flow = 72
unit = "m3/h"
max_volume_m3_per_day = 900

[valves.V]
choices = ["closed", 35.0, 40]
before = 40
[valves.e]
choices = ["open", "closed"]

[co2]
kg_per_kwh = [0.1, 0.2, 0.3, 0.4]
price_per_kg = 0.06
max_kg = 50

[previous]
file = "previous.csv"
deviation_cost_per_h = 0.3
"""

HEAD_WITHOUT_TARIFF = HEAD.replace("tariff = 0.15\n", "")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> cases.Case:
    return load_case(
        tmp_path_factory.mktemp("full"), EVERYTHING, head=HEAD_WITHOUT_TARIFF,
        demand_csv="step;town\n0;36\n1;72\n2;36\n3;36\n",
        wet_csv="time,J2\n2026-03-02T00:00Z,5\n2026-03-02T01:00Z,6\n2026-03-02T02:00Z,7\n2026-03-02T03:00Z,8\n",
        sun_csv="step,kw\n0,0\n1,1\n2,2\n3,3\n",
        previous_csv="time,step_s,P.on,Q.speed,V.choice,e.choice\n2026-03-01T23:00:00,7200,0,0.9,40,open\n2026-03-02T01:00:00,3600,1,0,closed,closed\n",
    )  # fmt: skip


def test_prices_and_power_reach_the_problem(full: cases.Case) -> None:
    p = full.problem
    assert p.price_per_kwh[:, 0].tolist() == [0.2, 0.4, 0.6, 0.8]
    assert np.allclose(p.price_per_kwh[:, 1], [0.2, 0.4, 0.6, 0.2])  # the INP's pattern times the pump's own price of 2, in cents
    (meter,) = p.meters
    assert (meter.name, meter.pumps, meter.max_power_kw, meter.demand_charge_per_kw, meter.peak_so_far_kw) == ("main", ("Q",), 40, 3, 12)
    assert meter.own_power_kw is not None
    assert meter.own_power_kw.tolist() == [0, 1, 2, 3]
    assert meter.export_price_per_kwh is not None
    assert meter.export_price_per_kwh.tolist() == [0.01, 0.02, 0.03, 0.04]
    assert p.max_power_kw == 70
    assert p.co2_kg_per_kwh is not None
    assert p.co2_kg_per_kwh.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert (p.co2_price_per_kg, p.max_co2_kg) == (0.06, 50)
    assert (full.name, full.currency, full.work) == ("Everything", "BRL", Work(beam=50, seed=3))


def test_demands_and_scenarios_reach_the_problem(full: cases.Case) -> None:
    p, at = full.problem, full.problem.network.junction_index
    assert np.allclose(p.demand_m3_per_s[:, at["J2"]], np.array([10, 20, 10, 10]) * 0.75 * 1.5 / 1000)
    assert np.allclose(p.demand_m3_per_s[:, at["J3"]], np.array([10, 20, 10, 10]) * 0.25 * 1.5 / 1000)
    assert np.allclose(p.demand_m3_per_s[:, at["K"]], 2 * 1.5 / 1000)  # what the file does not tell follows the INP
    assert p.scenarios is not None
    assert p.scenarios.share == 0.5
    assert np.allclose(p.scenarios.demand_m3_per_s[0], p.demand_m3_per_s * 1.1)
    assert np.allclose(p.scenarios.demand_m3_per_s[1][:, at["J2"]], np.array([5, 6, 7, 8]) / 1000)
    assert not p.scenarios.demand_m3_per_s[1][:, at["K"]].any()


def test_tanks_reach_the_problem_and_heads_become_levels(full: cases.Case) -> None:
    p = full.problem
    assert (p.initial_level_m[0], p.min_level_m[0], p.max_level_m[0], p.end_level_m[0]) == (2.5, 1.5, 4.5, 2)
    assert p.end_level_max_m is not None
    assert p.end_level_max_m.tolist() == [3]
    assert p.reserve_level_m is not None
    assert np.allclose(p.reserve_level_m[:, 0], [1.5, 2.2, 2.2, 1.5])
    assert p.ceiling_level_m is not None
    assert p.ceiling_level_m[:, 0].tolist() == [4] * 4
    assert p.stored_value_per_m3 is not None
    assert p.stored_value_per_m3.tolist() == [0.05]
    assert p.may_stand_full.all()


def test_pumps_reach_the_problem(full: cases.Case) -> None:
    p = full.problem
    assert p.max_starts.tolist() == [3, 3]
    assert p.starts_made is not None
    assert p.starts_made.tolist() == [1, 0]
    assert p.initial_on.tolist() == [False, False]
    assert p.min_on_s is not None
    assert p.min_on_s.tolist() == [7200, 7200]
    assert p.min_off_s is not None
    assert p.min_off_s.tolist() == [1800, 1800]
    assert p.held_s is not None
    assert p.held_s.tolist() == [7200, 7200]
    assert p.available[:, 0].tolist() == [True, False, True, True]
    assert p.forced_on is not None
    assert p.forced_on[:, 1].tolist() == [False, False, True, False]
    assert p.wear_cost_per_start is not None
    assert p.wear_cost_per_start.tolist() == [0.7, 0]
    assert p.run_hours_h is not None
    assert p.run_hours_h.tolist() == [100, 20.5]
    assert (p.min_speed.tolist(), p.max_speed.tolist()) == ([1, 0.7], [1, 1.1])
    assert p.max_simultaneous_starts == 1


def test_limits_sources_and_valves_reach_the_problem(full: cases.Case) -> None:
    p = full.problem
    assert p.pressure_floors_m == {"J2": 25.5, "J3": 10, "K": 10}
    assert p.pressure_ceilings_m == {"J3": 60}
    assert p.flow_limits_m3_per_s == {"a": (-0.005, np.inf), "P": (-np.inf, pytest.approx(0.01))}
    (source,) = p.sources
    assert (source.reservoir, source.max_volume_m3_per_day) == ("R", 900)
    assert source.max_flow_m3_per_s == pytest.approx(0.02)
    assert source.cost_per_m3 is not None
    assert source.cost_per_m3.tolist() == [0.02] * 4
    assert [(v.link, v.choices, v.initial) for v in p.valves] == [("V", ("closed", 35.0, 40.0), 2), ("e", ("open", "closed"), 0)]
    assert p.relax_order == ("end level", "starts")
    assert p.hydraulic_step_s == 900


def test_the_previous_plan_counts_where_it_covers_the_horizon(full: cases.Case) -> None:
    p = full.problem
    assert p.previous_on is not None
    assert p.previous_on.tolist() == [[False, True], [True, False], [False, False], [False, False]]
    assert p.deviation_cost_per_h is not None
    assert p.deviation_cost_per_h.T.tolist() == [[0.3, 0.3, 0, 0], [1, 2, 0, 0]]
    assert full.previous is None  # it does not cover all of the horizon, so it is no schedule to begin from


def test_a_previous_plan_that_covers_the_horizon_is_where_the_search_begins(tmp_path: Path) -> None:
    case = load_case(tmp_path, '[previous]\nfile = "plan.csv"\n', plan_csv="time,step_s,P.on,Q.on\n2026-03-01T22:00:00Z,10800,1,0\n2026-03-02T01:00:00Z,36000,0,1\n")
    assert case.previous is not None
    assert case.previous.on.tolist() == [[True, False], [False, True], [False, True], [False, True]]


def test_uneven_steps_and_days(tmp_path: Path) -> None:
    head = HEAD.replace('horizon = "4h"', 'steps = [["15min", 4], ["60min", 2], ["2h", 1]]').replace("T00:00:00", "T22:00:00")
    p = load_case(tmp_path, head=head).problem
    assert p.steps.durations_s == (900,) * 4 + (3600,) * 2 + (7200,)
    assert p.hydraulic_step_s == 900
    assert p.day is not None
    assert p.day.tolist() == [0, 0, 0, 0, 0, 1, 1]
    periodic = load_case(tmp_path, 'count_starts = "periodic"\n', head=head).problem
    assert periodic.day is None
    since_start = load_case(tmp_path, 'days = "start"\n', head=head).problem
    assert since_start.day is None
    two = load_case(tmp_path, 'days = "start"\n', head=HEAD.replace('"4h"', '"26h"').replace("T00:00:00", "T22:00:00")).problem.day
    assert two is not None
    assert two.tolist() == [0] * 24 + [1] * 2
    as_one = load_case(tmp_path, 'days = "horizon"\n', head=head).problem
    assert as_one.day is None


def test_an_end_may_be_free_or_a_number(tmp_path: Path) -> None:
    assert load_case(tmp_path, '[tanks.T]\nend = "free"\n').problem.end_level_m.tolist() == pytest.approx([1])
    assert load_case(tmp_path, "[tanks.default]\nend = 2\n").problem.end_level_m.tolist() == [2]


def test_a_tank_may_start_at_the_very_limit_of_the_inp(tmp_path: Path) -> None:
    for level in (1, 5):
        p = load_case(tmp_path, f"[tanks.T]\ninitial = {level}\n").problem
        assert p.min_level_m[0] <= p.initial_level_m[0] <= p.max_level_m[0]


def test_patterns_begin_at_the_inps_start_clock_time_or_at_the_start(tmp_path: Path) -> None:
    from tests.cases.case_folder import INP

    seven = INP.replace("[TIMES]", "[TIMES]\n Start ClockTime 7 AM")
    head = HEAD.replace("T00:00:00", "T09:00:00")
    day = np.array([0.5, 1.0, 1.5, 1.0])
    by_clock = load_case(tmp_path, head=head, inp=seven).problem
    assert np.allclose(by_clock.demand_m3_per_s[:, 1], 0.012 * np.roll(day, -2))
    by_start = load_case(tmp_path, '[demand]\npatterns_begin = "start"\n', head=head, inp=seven).problem
    assert np.allclose(by_start.demand_m3_per_s[:, 1], 0.012 * day)


def test_a_case_file_may_have_any_name_and_the_network_lie_elsewhere(tmp_path: Path) -> None:
    load_case(tmp_path)
    other = tmp_path / "cases" / "winter.toml"
    other.parent.mkdir()
    other.write_text(HEAD.replace("network.inp", "../network.inp"))
    assert cases.load(other).problem.steps.durations_s == (3600,) * 4


@pytest.mark.parametrize("name", ["hill-town", "two-zones"])
def test_the_examples_load(name: str) -> None:
    assert len(cases.load(EXAMPLES / name).problem.steps) == 24
