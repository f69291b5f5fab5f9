from __future__ import annotations

import csv
import re
import warnings
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from epanet import toolkit
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hydraulics.networks import (
    START,
    example_inp,
    problem_for,
    schedule_of,
    shared_network,
    small_inp,
    small_network,
)

from benchmarks import anytown_modified
from levada.domain.network import Network
from levada.domain.pumping import PumpSchedule
from levada.domain.time import Steps
from levada.domain.units import SPECIFIC_WEIGHT_N_PER_M3
from levada.hydraulics.audit import ENGINE, audit
from levada.hydraulics.inp import read_network


class PlainRun:
    """EPANET as anyone would run it: the INP with time controls, its own tank limits, its own stepping and energy report."""

    def __init__(self, inp: bytes, schedule: PumpSchedule, network: Network, folder: Path, *, hydraulic_step_s: int) -> None:
        text = re.sub(r"\[(CONTROLS|RULES|REPORT)\][^\[]*", "", inp.decode("latin-1"))
        controls = "".join(
            f" LINK {pump.name} {'OPEN' if schedule.on[hour, p] else 'CLOSED'} AT TIME {hour}\n"
            for p, pump in enumerate(network.pumps)
            for hour in range(len(schedule.on))
        )
        # A price of 1000 per kWh makes the report's two decimals of cost 1e-5 kWh.
        energy = re.sub(r"(?im)^\s*(pump\s+\S+\s+pri|pump\s+\S+\s+pat|global\s+pri|global\s+pat).*$", "", text)
        text = energy.replace("[END]", "") + f"\n[CONTROLS]\n{controls}\n[ENERGY]\n Global Price 1000\n[REPORT]\n ENERGY YES\n[END]\n"
        (folder / "plain.inp").write_text(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # EPANET's own, such as a pump that cannot deliver
            self._run(folder, schedule, network, hydraulic_step_s)

    def _run(self, folder: Path, schedule: PumpSchedule, network: Network, hydraulic_step_s: int) -> None:
        ph = toolkit.createproject()
        toolkit.open(ph, str(folder / "plain.inp"), str(folder / "plain.rpt"), str(folder / "plain.out"))
        for what, value in ((toolkit.DURATION, len(schedule.on) * 3600), (toolkit.HYDSTEP, hydraulic_step_s)):
            toolkit.settimeparam(ph, what, value)
        metre = 1.0 if toolkit.getflowunits(ph) >= toolkit.LPS else 0.3048
        nodes = [toolkit.getnodeindex(ph, t.name) for t in network.tanks]
        self.level_m = np.zeros((len(schedule.on) + 1, len(nodes)))
        levels: list[list[float]] = []
        toolkit.openH(ph)
        toolkit.initH(ph, toolkit.SAVE)
        while True:
            now = toolkit.runH(ph)
            level = [toolkit.getnodevalue(ph, n, toolkit.HEAD) * metre - t.elevation_m for n, t in zip(nodes, network.tanks, strict=True)]
            levels.append(level)
            if now % 3600 == 0:
                self.level_m[now // 3600] = level
            if toolkit.nextH(ph) <= 0:
                break
        toolkit.closeH(ph)
        toolkit.saveH(ph)
        toolkit.report(ph)
        toolkit.close(ph)
        toolkit.deleteproject(ph)
        self.solves = len(levels)
        self.touches_a_limit = any(
            not tank.min_level_m + 0.01 < level < tank.max_level_m - 0.01 for row in levels for level, tank in zip(row, network.tanks, strict=True)
        )
        found = re.search(r"Total Cost:\s+([\d.]+)", (folder / "plain.rpt").read_text())
        assert found
        self.kwh_per_day = float(found[1]) / 1000


@pytest.mark.parametrize("name", ["costa2016", "cimorelli2020", "depaola2025"])
def test_all_published_verdicts_and_costs_on_anytown_modified_come_out(name: str) -> None:
    shared_network("atm-anytown-modified")
    cases = [c for c in anytown_modified.published() if c.name.startswith(name)]
    assert len(cases) == 3
    for case in cases:
        result = audit(anytown_modified.problem(case.max_starts), case.schedule)
        assert result.accepted == case.valid, (case.name, [v.text for v in result.trajectory.violations])
        limits = {v.limit for v in result.trajectory.violations}
        if name == "cimorelli2020":
            assert "starts" in limits
        elif not case.valid:
            assert "saturation" in limits
            assert "starts" not in limits
        if case.name != "cimorelli2020_na_02":  # its file is not the schedule of its published cost: the tanks run empty in it
            assert result.trajectory.cost == pytest.approx(case.cost, rel=1e-4)


def test_no_valid_published_schedule_beats_the_proved_optimum() -> None:
    shared_network("atm-anytown-modified")
    for case in anytown_modified.published():
        if case.valid:
            assert audit(anytown_modified.problem(case.max_starts), case.schedule).trajectory.cost >= anytown_modified.OPTIMA[case.max_starts]


def van_zyl(tmp_path: Path) -> list[tuple[dict[str, str], float, np.ndarray, PlainRun, bool]]:
    """Each pin, our cost and final heads with tanks that may stand full, and EPANET's plain run. Days begin at 07:00."""
    network = read_network(shared_network("van-zyl", "van_zyl.inp").read_bytes(), "van_zyl.inp")
    tariff = np.where(np.arange(24) < 17, 0.1194, 0.0244)
    out = []
    for row in csv.DictReader(shared_network("van-zyl", "evaluator-pins.csv").read_text().splitlines()):
        schedule = schedule_of(*(row[p.name][7:] + row[p.name][:7] for p in network.pumps))
        problem = problem_for(
            network, hours=24, price_per_kwh=np.repeat(tariff[:, None], 3, axis=1), may_stand_full=np.ones(2, dtype=bool),
            end_level_m=np.zeros(2), hydraulic_step_s=3600,
        )  # fmt: skip
        result = audit(problem, schedule)
        heads = result.trajectory.level_m[-1] + [t.elevation_m for t in network.tanks]
        plain = PlainRun(network.inp, schedule, network, tmp_path, hydraulic_step_s=3600)
        out.append((row, result.trajectory.cost, heads, plain, result.accepted))
    return out


def test_van_zyls_pins_hold_where_no_tank_stands_full_and_todays_epanet_decides_where_one_does(tmp_path: Path) -> None:
    (first, *rest) = van_zyl(tmp_path)
    pin, cost, heads, _, accepted = first
    assert not accepted  # its tanks run empty, which the pinned evaluator let pass
    assert cost == pytest.approx(float(pin["cost_gbp"]), rel=1e-3)
    assert heads == pytest.approx([float(pin["final_head_t5"]), float(pin["final_head_t6"])], abs=0.15)
    # The other two fill their tanks for hours. The pins come from an older engine that treats a full tank differently (EPANET 2.3
    # is 1 and 5 % above them), so the levels of a plain run of this EPANET are the judge of how a tank stands full.
    for _, _, heads, plain, accepted in rest:
        assert accepted
        assert plain.touches_a_limit
        elevations = np.array([80.0, 85.0])
        assert heads == pytest.approx(plain.level_m[-1] + elevations, abs=2e-3)


@pytest.mark.parametrize(
    ("name", "pumps"),
    [
        ("Net1.inp", ("110110110110110110110110",)),
        ("Net3.inp", ("111111111111111111111111", "101010101010101010101010")),
    ],
)
@pytest.mark.parametrize("hydraulic_step_s", [3600, 900])
def test_a_plain_epanet_run_gives_the_same_levels_and_energy(name: str, pumps: tuple[str, ...], hydraulic_step_s: int, tmp_path: Path) -> None:
    inp = example_inp(name)
    network = read_network(inp, name)
    schedule = schedule_of(*pumps)
    plain = PlainRun(inp, schedule, network, tmp_path, hydraulic_step_s=hydraulic_step_s)
    assert not plain.touches_a_limit
    result = audit(problem_for(network, hours=24, hydraulic_step_s=hydraulic_step_s, end_level_m=np.zeros(len(network.tanks))), schedule)
    assert result.trajectory.level_m == pytest.approx(plain.level_m, abs=1e-6)
    assert result.trajectory.energy_kwh == pytest.approx(plain.kwh_per_day, rel=1e-4)
    assert result.trajectory.cost == pytest.approx(0.1 * plain.kwh_per_day, rel=1e-4)
    assert result.engine == ENGINE
    assert ENGINE.startswith("EPANET 2.")


def volume_change_m3(network: Network, level_m: np.ndarray) -> float:
    change = 0.0
    for i, tank in enumerate(network.tanks):
        if tank.volume_curve:
            x, y = zip(*tank.volume_curve, strict=True)
            change += float(np.interp(level_m[-1, i], x, y) - np.interp(level_m[0, i], x, y))
        else:
            change += np.pi / 4 * tank.diameter_m**2 * (level_m[-1, i] - level_m[0, i])
    return change


@given(
    on=st.lists(st.booleans(), min_size=6, max_size=6),
    demand=st.floats(1, 60),
    speed=st.floats(0.9, 1.1),
    units=st.sampled_from(["LPS", "LPM", "CMH", "CMD", "CMS", "MLD"]),
    shape=st.sampled_from(["", "bowl"]),
)
@settings(max_examples=40, deadline=None)
def test_what_the_pump_gives_and_the_town_does_not_draw_is_in_the_tank(on: list[bool], demand: float, speed: float, units: str, shape: str) -> None:
    """Also when the tank runs far beyond its limits: the water is not lost, the schedule is rejected."""
    per_lps = {"LPS": 1, "LPM": 60, "CMH": 3.6, "CMD": 86.4, "CMS": 1e-3, "MLD": 0.0864}[units]
    network = small_network(demand=demand, tank_curve=shape, curves=" bowl 0 0\n bowl 2 150\n bowl 9 1400")
    text = network.inp.decode().replace("Units LPS", f"Units {units}").replace(f" J2 10 {demand} ", f" J2 10 {demand * per_lps!r} ")
    network = read_network(text.replace(" 1 30 40", f" 1 {30 * per_lps!r} 40").encode(), "units.inp")
    schedule = schedule_of("".join("01"[x] for x in on), speed=speed)
    problem = problem_for(network, hours=6, max_speed=np.array([2.0]), min_speed=np.array([0.1]))
    trajectory = audit(problem, schedule).trajectory
    inside = (trajectory.level_m > 0).all() and (trajectory.level_m < 9).all()
    balance = float(((trajectory.flow_m3_per_s.sum(axis=1) - problem.demand_m3_per_s.sum(axis=1)) * 3600).sum())
    if inside or not shape:
        assert volume_change_m3(network, trajectory.level_m) == pytest.approx(balance, rel=1e-3, abs=0.05)
    assert (trajectory.power_w[~schedule.on] == 0).all()


def test_power_is_weight_times_flow_times_head_over_efficiency() -> None:
    network = small_network()
    problem = problem_for(network, hours=1, hydraulic_step_s=3600)
    trajectory = audit(problem, schedule_of("1")).trajectory
    flow, level = trajectory.flow_m3_per_s[0, 0], trajectory.level_m[0, 0]
    # Head gain from the network's side: to the tank's head, plus Hazen-Williams losses on the way (SI form).
    def loss(q: float) -> float:
        return 10.667 * 500 * abs(q) ** 1.852 * np.sign(q) / (120**1.852 * 0.300**4.871)

    gain = 40 + level - 10 + loss(flow) + loss(flow - problem.demand_m3_per_s[0, 1])
    assert trajectory.power_w[0, 0] == pytest.approx(SPECIFIC_WEIGHT_N_PER_M3 * flow * gain / 0.75, rel=1e-3)


def only(result_violations: tuple, limit: str):
    """The one violation of a limit; it must be there."""
    found = [v for v in result_violations if v.limit == limit]
    assert len(found) == 1, [v.text for v in result_violations]
    return found[0]


def test_a_tank_that_would_run_over_is_a_violation_with_place_time_and_amount() -> None:
    result = audit(problem_for(small_network(demand=1)), schedule_of("1111"))
    assert not result.accepted
    saturation, level = only(result.trajectory.violations, "saturation"), only(result.trajectory.violations, "level")
    assert (saturation.element, saturation.unit) == ("T", "m3/s")
    # 2 m of room in a tank of 113 m2, filled with what the pump gives in the first hours less the demand.
    flows = result.trajectory.flow_m3_per_s[:, 0] - 1e-3 * np.array([0.5, 1.0, 1.5, 1.0])
    full_at = 3600 * (np.interp(2 * np.pi * 36, np.concatenate([[0], np.cumsum(flows * 3600)]), np.arange(5)))
    assert saturation.at_s == pytest.approx(full_at, abs=30)
    minute = f"{int(full_at) // 3600:02d}:{int(full_at) % 3600 // 60:02d}"
    assert saturation.text.startswith("tank T is full (5.00 m) and still fills with")
    assert f"from 2026-03-02 {minute} to" in saturation.text
    assert level.amount == pytest.approx(result.trajectory.level_m[:, 0].max() - 5, abs=1e-6)
    assert level.text == f"tank T is up to {level.amount:.2f} m above its maximum 5.00 m from {START:%Y-%m-%d} {level.text[-18:-13]} to 04:00 UTC"


def test_a_tank_that_would_run_dry_is_a_violation() -> None:
    result = audit(problem_for(small_network(demand=60)), schedule_of("0000"))
    saturation = only(result.trajectory.violations, "saturation")
    assert "is empty (1.00 m) and still drains with" in saturation.text
    assert "below its minimum 1.00 m" in only(result.trajectory.violations, "level").text


def test_a_tank_that_just_reaches_its_limit_is_no_violation() -> None:
    network = small_network(demand=1)
    free = audit(problem_for(network, max_level_m=np.array([50.0])), schedule_of("1100"))
    top = free.trajectory.level_m[:, 0].max()
    assert audit(problem_for(network, max_level_m=np.array([top + 1e-6])), schedule_of("1100")).accepted
    assert not audit(problem_for(network, max_level_m=np.array([top - 0.002])), schedule_of("1100")).accepted


def test_a_tank_that_may_stand_full_does_so_and_its_inlet_shuts() -> None:
    """The town then takes exactly what the pump gives, and the level stays at the maximum."""
    network = small_network(demand=8)
    result = audit(problem_for(network, hours=6, may_stand_full=np.array([True])), schedule_of("111111"))
    assert result.accepted, [v.text for v in result.trajectory.violations]
    assert result.trajectory.level_m[-2:, 0] == pytest.approx([5, 5], abs=1e-9)
    assert result.trajectory.flow_m3_per_s[-1, 0] == pytest.approx(0.008, rel=1e-5)


def test_a_tank_may_begin_full_whatever_its_levels_round_to() -> None:
    """EPANET refuses an initial level above the maximum, be it by the last digit only."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        lift_m, highest_m = round(rng.uniform(30.0, 45.0), 2), round(rng.uniform(2.0, 5.0), 3)
        network = read_network(small_inp().replace(" T 40 ", f" T {lift_m} ").encode(), "full.inp")
        problem = problem_for(network, initial_level_m=np.array([highest_m]), max_level_m=np.array([highest_m]), may_stand_full=np.array([True]))
        assert audit(problem, schedule_of("0011")).trajectory.level_m[0] == pytest.approx([highest_m], abs=1e-9)


@pytest.mark.parametrize("end_level", [2.0, 3.0])
def test_end_levels_are_judged(end_level: float) -> None:
    result = audit(problem_for(small_network(), end_level_m=np.array([end_level])), schedule_of("0001"))
    ends_at = result.trajectory.level_m[-1, 0]
    violations = [v for v in result.trajectory.violations if v.limit == "end level"]
    assert bool(violations) == (ends_at < end_level)
    for violation in violations:
        assert violation.amount == pytest.approx(end_level - ends_at)
        assert violation.at_s == 4 * 3600
        assert violation.text == f"tank T ends at {ends_at:.2f} m, {end_level - ends_at:.2f} m short of the {end_level:.2f} m asked for at 2026-03-02 04:00 UTC"


def test_pressure_floors_are_judged_at_every_solve() -> None:
    """Demand is heaviest from 02:00 to 03:00, when the pump stands and the tank falls: least pressure at the last solve of that hour."""
    result = audit(problem_for(small_network(), pressure_floors_m={"J2": 33.3, "T": 0.5}), schedule_of("1101"))
    violation = only(result.trajectory.violations, "pressure")
    assert violation.element == "J2"
    assert violation.at_s == 2 * 3600 + 2700
    assert violation.text == "pressure at node J2 falls to 33.20 m, 0.10 m below its floor 33.3 m from 2026-03-02 02:45 to 03:00 UTC"


def test_starts_power_availability_and_speed_are_judged() -> None:
    network = small_network()
    available = np.array([[True], [True], [False], [True]])
    problem = problem_for(
        network, max_starts=np.array([1]), available=available, max_power_kw=5.0, min_speed=np.array([0.8]), max_speed=np.array([1.0])
    )
    result = audit(problem, PumpSchedule(on=np.array([[1], [0], [1], [1]]) == 1, speed=np.array([[1.0], [0.0], [1.0], [1.2]])))
    texts = {v.limit: [w.text for w in result.trajectory.violations if w.limit == v.limit] for v in result.trajectory.violations}
    assert texts["starts"] == ["pump P starts 2 times, allowed are 1"]
    assert texts["availability"] == [
        "pump P runs although it is not available from 2026-03-02 02:00 to 03:00 UTC",
        "pump P runs at speed 1.200, outside its range 0.8 to 1 from 2026-03-02 03:00 to 04:00 UTC",
    ]
    (power,) = texts["power"]
    assert re.match(r"the pumps draw \d+\.\d kW, \d+\.\d kW above the 5 kW allowed from 2026-03-02 00:00 to 04:00 UTC with breaks", power)


def test_the_first_step_counts_as_a_start_only_where_the_pump_stood_before() -> None:
    network = small_network()
    for running, starts in ((False, 1), (True, 0)):
        result = audit(problem_for(network, initial_on=np.array([running]), max_starts=np.array([0])), schedule_of("1111"))
        assert len([v for v in result.trajectory.violations if v.limit == "starts"]) == starts


def test_a_pump_that_is_on_but_cannot_reach_the_head_is_a_violation() -> None:
    problem = problem_for(small_network(), min_speed=np.array([0.1]))
    result = audit(problem, schedule_of("0110", speed=0.5))
    violation = only(result.trajectory.violations, "supply")
    assert (violation.element, violation.at_s) == ("P", 3600)
    assert violation.text.endswith("at speed 0.50 from 2026-03-02 01:00 to 03:00 UTC")
    assert result.trajectory.energy_kwh == 0


def test_negative_pressure_where_water_is_drawn_is_a_violation() -> None:
    text = small_network().inp.decode().replace(" J2 10 ", " J2 60 ")
    result = audit(problem_for(read_network(text.encode(), "hill.inp")), schedule_of("1111"))
    assert "pressure at demand node J2 is negative" in only(result.trajectory.violations, "supply").text


def test_water_that_pressure_driven_demand_holds_back_is_a_violation() -> None:
    network = small_network(options=" Demand Model PDA\n Minimum Pressure 0\n Required Pressure 40")
    result = audit(problem_for(network), schedule_of("1111"))
    assert "L/s less than its demand" in only(result.trajectory.violations, "supply").text


def test_what_epanet_only_warns_of_rejects_the_schedule() -> None:
    """A town behind the pump alone, with no tank: EPANET reports it disconnected when the pump stands."""
    text = small_network().inp.decode().replace(" J1 10 0\n", " J1 10 0\n K 10 1\n").replace("[PUMPS]", "[PUMPS]\n Q R K POWER 5")
    network = read_network(text.encode(), "alone.inp")
    # Links in file order: the second pump comes first.
    names = [p.name for p in network.pumps]
    result = audit(problem_for(network), schedule_of(*("0110" if name == "Q" else "1111" for name in names)))
    texts = [v.text for v in result.trajectory.violations]
    assert any("disconnected" in text for text in texts), texts
    assert not result.accepted


def test_controls_rules_and_patterns_of_the_inp_do_not_act() -> None:
    plain = small_network()
    text = plain.inp.decode().replace("[PUMPS]\n P R J1 HEAD 1", "[PUMPS]\n P R J1 HEAD 1 PATTERN day")
    text = text.replace("[END]", "[CONTROLS]\n LINK P CLOSED IF NODE T ABOVE 2\n[RULES]\n RULE 1\n IF TANK T LEVEL ABOVE 1.5\n THEN PIPE b STATUS IS CLOSED\n[END]")
    ruled = read_network(text.encode(), "ruled.inp")
    demand = problem_for(plain).demand_m3_per_s * 1.3
    a, b = (audit(problem_for(n, demand_m3_per_s=demand), schedule_of("0110")).trajectory for n in (plain, ruled))
    assert a.level_m == pytest.approx(b.level_m, abs=1e-12)
    assert a.cost == b.cost


def test_reservoir_heads_follow_their_pattern_from_the_first_step() -> None:
    """A higher source helps the pump: EPANET's heads at the pump in the second hour are those of a reservoir that always stands there."""
    text = small_network().inp.decode().replace(" R 10\n", " R 10 rising\n").replace("[PATTERNS]", "[PATTERNS]\n rising 1 2 2 2")
    high = small_network().inp.decode().replace(" R 10\n", " R 20\n")
    rising, always = (read_network(t.encode(), "r.inp") for t in (text, high))
    moved = audit(problem_for(rising), schedule_of("0111")).trajectory
    still = audit(problem_for(always), schedule_of("0111")).trajectory
    assert moved.flow_m3_per_s == pytest.approx(still.flow_m3_per_s, rel=1e-6)
    assert moved.energy_kwh < audit(problem_for(small_network()), schedule_of("0111")).trajectory.energy_kwh


def test_uneven_steps_are_cut_at_the_hydraulic_step_and_priced_each_at_its_price() -> None:
    network = small_network()
    uneven = Steps(START, (900, 2700, 3600))
    demand = np.array([[0, 0.02]] * 3)
    prices = np.array([[0.3], [-0.1], [0.2]])
    result = audit(problem_for(network, **_of(uneven, demand, prices)), schedule_of("110"))
    even = Steps.even(START, timedelta(minutes=15), 8)
    fine = audit(
        problem_for(network, **_of(even, np.array([[0, 0.02]] * 8), np.repeat(prices, [1, 3, 4], axis=0))), schedule_of("11110000")
    )
    assert result.trajectory.cost == pytest.approx(fine.trajectory.cost, rel=1e-12)
    assert result.trajectory.level_m[[1, 2, 3]] == pytest.approx(fine.trajectory.level_m[[1, 4, 8]], abs=1e-12)
    energy_kwh = result.trajectory.power_w[:, 0] / 1000 * uneven.hours
    assert result.trajectory.cost == pytest.approx(float(energy_kwh @ prices[:, 0]), rel=1e-12)


def _of(steps: Steps, demand: np.ndarray, prices: np.ndarray) -> dict:
    n = len(steps)
    return {"steps": steps, "demand_m3_per_s": demand, "price_per_kwh": prices, "available": np.ones((n, 1), dtype=bool)}


def test_a_schedule_of_another_shape_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="shape"):
        audit(problem_for(small_network()), schedule_of("111"))
