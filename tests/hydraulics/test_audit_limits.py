"""Limits that the audit judges at every hydraulic solve, over a day and at the end: each just holds and just fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.hydraulics.networks import (
    START,
    problem_for,
    schedule_of,
    small_network,
    two_pump_network,
    violations_of,
)

from levada.domain.pumping import Trajectory, Violation
from levada.domain.pumping_terms import Meter, Source
from levada.domain.time import Steps
from levada.hydraulics.audit import audit
from levada.hydraulics.inp import read_network

AREA_M2 = 36 * np.pi
"""Of the small network's tank, 12 m across."""


def small(on: str = "1101", **changes: Any) -> Trajectory:
    return audit(problem_for(small_network(), hours=len(on), **changes), schedule_of(on)).trajectory


def found(limit: str, on: str = "1101", **changes: Any) -> list[Violation]:
    return [v for v in small(on, **changes).violations if v.limit == limit]


def test_a_reserve_holds_at_each_solve_of_its_step_and_the_last_at_the_end() -> None:
    """The pump stands; the tank gives exactly the demand, 10, 20, 30 and 20 L/s, and falls by so many litres."""
    level = 3.0 - np.array([0, 10, 30, 60, 80]) * 3.6 / AREA_M2
    assert small("0000").level_m[:, 0] == pytest.approx(level, abs=1e-4)
    lowest_at_a_solve = np.array([level[0] - 0.75 * 36 / AREA_M2, level[1] - 0.75 * 72 / AREA_M2, level[2] - 0.75 * 108 / AREA_M2, level[4]])
    assert not found("reserve", "0000", reserve_level_m=lowest_at_a_solve[:, None] - 1e-3)
    for k in range(4):
        reserve = (lowest_at_a_solve - 1e-3)[:, None]
        reserve[k] += 3e-3
        (violation,) = found("reserve", "0000", reserve_level_m=reserve)
        assert violation.element == "T"
        assert violation.amount == pytest.approx(2e-3, abs=2e-4)
        assert violation.at_s == (4 * 3600 if k == 3 else k * 3600 + 2700)


def test_a_reserve_is_told_with_its_figures_and_times() -> None:
    reserve = np.array([[0.0], [0.0], [2.5], [0.0]])
    (violation,) = found("reserve", "0000", reserve_level_m=reserve)
    short = 2.5 - (3.0 - (30 + 0.75 * 30) * 3.6 / AREA_M2)
    assert violation.amount == pytest.approx(short, abs=1e-4)
    assert (violation.at_s, violation.unit) == (7200, "m")
    assert violation.text == f"tank T is up to {short:.2f} m below its reserve 2.50 m from 2026-03-02 02:00 to 03:00 UTC"


def test_a_ceiling_holds_by_step() -> None:
    ceiling = np.array([[9.0], [3.0], [3.0], [9.0]])
    level = small().level_m[:, 0]
    (violation,) = found("reserve", ceiling_level_m=ceiling)
    assert violation.amount == pytest.approx(level[1:3].max() - 3.0, abs=1e-4)
    assert "above its ceiling 3.00 m from 2026-03-02 01:00 to" in violation.text
    assert not found("reserve", ceiling_level_m=np.where(ceiling < 9, level[1:3].max() + 1e-3, 9.0))


def test_a_reserve_above_the_tank_is_broken_by_a_full_tank_and_no_fault_of_its_maximum() -> None:
    violations = small("1101", reserve_level_m=np.full((4, 1), 6.0)).violations
    assert {v.limit for v in violations} == {"reserve"}


def test_a_reserve_at_the_minimum_asks_no_more_than_the_minimum_does() -> None:
    """A tank event falls on a whole second, up to half a second's flow off the limit."""
    changes: dict[str, Any] = {"initial_level_m": np.array([1.05]), "reserve_level_m": np.ones((4, 1))}
    falling = small("0111", **changes)
    assert bool([v for v in falling.violations if v.limit == "reserve"]) == bool([v for v in falling.violations if v.limit == "level"])
    assert {v.limit for v in small("1111", **changes).violations} == set()


def test_reserve_and_ceiling_that_exclude_each_other_are_both_told() -> None:
    violations = found("reserve", "0000", reserve_level_m=np.full((4, 1), 4.0), ceiling_level_m=np.full((4, 1), 1.0))
    assert len(violations) == 2


def test_the_level_at_the_end_lies_in_its_band() -> None:
    end = float(small().level_m[-1, 0])
    for least, most, text in (
        (end - 0.001, end + 0.001, None), (end + 0.2, end + 0.3, "short of the"), (end - 0.3, end - 0.2, "above the"),
    ):  # fmt: skip
        violations = found("end level", end_level_m=np.array([least]), end_level_max_m=np.array([most]))
        assert len(violations) == (text is not None)
        for v in violations:
            assert (v.at_s, v.unit) == (4 * 3600, "m")
            assert v.amount == pytest.approx(0.2)
            assert f"tank T ends at {end:.2f} m, 0.20 m {text}" in v.text


def test_pressure_ceilings_and_floors_are_judged_apart() -> None:
    level = small(pressure_floors_m={"T": 0.0})
    highest, lowest = level.pressure_m.max(), level.pressure_m.min()
    assert not found("pressure", pressure_ceilings_m={"T": float(level.level_m.max())})
    violations = found("pressure", pressure_ceilings_m={"T": highest - 0.5}, pressure_floors_m={"T": lowest + 0.1})
    assert sorted(v.amount for v in violations)[0] == pytest.approx(0.1)
    texts = " / ".join(v.text for v in violations)
    assert f"above its ceiling {highest - 0.5:g} m from" in texts
    assert "below its floor" in texts


def test_the_least_pressure_of_each_step_is_in_the_trajectory_in_the_order_of_the_floors() -> None:
    """At the tank the pressure is its level; the last solve of a step is a quarter of an hour before its end."""
    trajectory = small("0000", pressure_floors_m={"J2": 0.0, "T": 0.0})
    step_m = np.array([10, 20, 30, 20]) * 3.6 / AREA_M2
    assert trajectory.pressure_m[:, 1] == pytest.approx(trajectory.level_m[:-1, 0] - 0.75 * step_m, abs=1e-4)
    losses = [10.667 * 500 * q**1.852 / (120**1.852 * 0.300**4.871) for q in (0.01, 0.02, 0.03, 0.02)]
    assert trajectory.pressure_m[:, 0] == pytest.approx(30 + trajectory.pressure_m[:, 1] - losses, abs=2e-3)


def test_flow_through_a_pipe_counts_from_its_start_to_its_end_node() -> None:
    """The pump stands: the tank supplies the town through pipe b, which is drawn from the town to the tank."""
    assert not found("flow", "0000", flow_limits_m3_per_s={"b": (-0.030, -0.010)})
    below, above = found("flow", "0000", flow_limits_m3_per_s={"b": (-0.025, -0.015)}), found("flow", "0000", flow_limits_m3_per_s={"b": (-1, -0.011)})
    assert len(below) == 2  # too much backwards in the third hour, too little in the first
    (violation,) = above
    assert violation.amount == pytest.approx(1e-3, rel=1e-3)
    assert violation.text == (
        "flow through pipe b, counted from J2 to T, is -10.0 L/s, 1.0 L/s above the -11.0 L/s that it may be at most from 2026-03-02 00:00 to 01:00 UTC"
    )
    worst = next(v for v in below if "below the" in v.text)
    assert (worst.element, worst.at_s, worst.unit) == ("b", 7200, "m3/s")
    assert worst.amount == pytest.approx(0.005, rel=1e-4)


def test_flow_through_a_pump_is_limited_as_that_of_any_link() -> None:
    most = small("1111", hydraulic_step_s=3600).flow_m3_per_s.max()
    assert not found("flow", "1111", flow_limits_m3_per_s={"P": (0, most + 2e-6)}, hydraulic_step_s=3600)
    (violation,) = found("flow", "1111", flow_limits_m3_per_s={"P": (0, most - 0.001)}, hydraulic_step_s=3600)
    assert violation.amount == pytest.approx(0.001, rel=1e-6)
    assert violation.text.startswith("flow through pump P, counted from R to J1, is ")
    (violation,) = found("flow", "1101", flow_limits_m3_per_s={"P": (0.005, 1.0)})
    assert violation.at_s == 7200  # it stands, and so carries less than asked for


def pair(on: tuple[str, str], **changes: Any) -> list[Violation]:
    network = two_pump_network()
    return violations_of(audit(problem_for(network, hours=4, max_level_m=np.array([50.0]), **changes), schedule_of(*on)), "power")


def test_power_is_limited_at_each_meter_and_in_total_whatever_is_made_on_site() -> None:
    on = ("1100", "1010")
    power_kw = audit(problem_for(two_pump_network(), max_level_m=np.array([50.0])), schedule_of(*on)).trajectory.power_w / 1000
    own = np.full(4, 100.0)
    first, both = power_kw[:, 0].max(), power_kw.sum(axis=1).max()

    def limits(p: float, q: float, total: float) -> dict[str, Any]:
        meters = (Meter(name="west", pumps=("P",), max_power_kw=p, own_power_kw=own), Meter(name="east", pumps=("Q",), max_power_kw=q))
        return {"meters": meters, "max_power_kw": total}

    enough = power_kw.max() * 1.02
    assert not pair(on, **limits(enough, enough, both * 1.02))
    (violation,) = pair(on, **limits(first - 1.0, enough, both * 1.02))
    assert (violation.element, violation.unit) == ("west", "kW")
    assert violation.amount == pytest.approx(1.0, rel=0.02)
    assert violation.text.startswith("the pumps at meter west draw")
    (violation,) = pair(on, **limits(enough, enough, both - 1.0))
    assert (violation.element, violation.at_s) == ("all pumps", 0)
    # A meter for both pumps: its limit is on their sum.
    (violation,) = pair(on, meters=(Meter(name="station", pumps=("Q", "P"), max_power_kw=first + 0.5),))
    assert (violation.element, violation.at_s) == ("station", 0)


def test_what_a_source_gives_is_limited_at_each_solve() -> None:
    trajectory = small("1101", sources=(Source(reservoir="R"),), hydraulic_step_s=3600)
    flow = trajectory.flow_m3_per_s[:, 0]
    assert trajectory.source_m3[:, 0] == pytest.approx(flow * 3600, rel=1e-6, abs=1e-3)
    assert not found("source", sources=(Source(reservoir="R", max_flow_m3_per_s=flow.max() + 2e-6),), hydraulic_step_s=3600)
    (violation,) = found("source", sources=(Source(reservoir="R", max_flow_m3_per_s=flow.max() - 0.001),), hydraulic_step_s=3600)
    assert (violation.element, violation.unit) == ("R", "m3/s")
    assert violation.amount == pytest.approx(0.001, rel=1e-6)
    assert violation.text.startswith("source R gives ")


def test_what_a_source_gives_is_limited_in_each_day() -> None:
    volume = small("1101", sources=(Source(reservoir="R"),)).source_m3[:, 0]
    day = np.array([0, 0, 1, 1])

    def source(most: float, **changes: Any) -> list[Violation]:
        return found("source", sources=(Source(reservoir="R", max_volume_m3_per_day=most),), **changes)

    assert not source(volume.sum() + 0.01)
    (violation,) = source(volume.sum() - 1)
    assert (violation.at_s, violation.unit) == (None, "m3")
    assert violation.amount == pytest.approx(1.0)
    assert not source(volume[:2].sum() + 0.01, day=day)
    (violation,) = source(volume[:2].sum() - 1, day=day)
    assert violation.at_s == 0
    assert violation.text == (
        f"source R gives {volume[:2].sum():.1f} m3 in the day, 1.0 m3 more than the {volume[:2].sum() - 1:g} m3 allowed from 2026-03-02 00:00 to 02:00 UTC"
    )
    assert [v.at_s for v in source(volume[3] - 1, day=day)] == [0, 7200]


def test_water_that_flows_back_does_not_make_room_for_more() -> None:
    """A second reservoir on J2 below the tank's head takes water while the pumps run, and gives none."""
    text = small_network().inp.decode().replace("[RESERVOIRS]\n", "[RESERVOIRS]\n S 41\n").replace("[PUMPS]", " c S J2 2000 100 120\n[PUMPS]")
    network = read_network(text.encode(), "two.inp")
    sources = (Source(reservoir="S", max_volume_m3_per_day=0.0, max_flow_m3_per_s=0.0), Source(reservoir="R"))
    result = audit(problem_for(network, sources=sources), schedule_of("1111"))
    assert (result.trajectory.source_m3[:, 0] < 0).all()
    assert (result.trajectory.source_m3[:, 1] > 0).all()
    assert not violations_of(result, "source")


def test_volumes_of_uneven_steps_are_those_of_their_lengths() -> None:
    steps = Steps(START, (900, 2700, 3600))
    changes: dict[str, Any] = {
        "steps": steps, "demand_m3_per_s": np.full((3, 2), 0.005), "price_per_kwh": np.zeros((3, 1)), "available": np.ones((3, 1), dtype=bool),
    }  # fmt: skip
    trajectory = small("110", sources=(Source(reservoir="R"),), **changes)
    assert trajectory.source_m3[:, 0] == pytest.approx(trajectory.flow_m3_per_s[:, 0] * np.array(steps.durations_s), rel=1e-6, abs=1e-3)
    gained = float(np.diff(trajectory.level_m[[0, -1], 0])[0]) * AREA_M2
    assert gained == pytest.approx(trajectory.source_m3.sum() - 0.01 * 7200, abs=0.05)


def test_emissions_are_limited_over_the_horizon_after_what_is_made_on_site() -> None:
    kwh = small().power_w[:, 0] / 1000
    intensity = np.array([0.1, 0.4, 0.2, 0.3])
    grid_kg = float(kwh @ intensity)
    assert not found("co2", co2_kg_per_kwh=intensity, max_co2_kg=grid_kg + 0.01)
    (violation,) = found("co2", co2_kg_per_kwh=intensity, max_co2_kg=grid_kg - 0.5)
    assert (violation.at_s, violation.unit) == (None, "kg")
    assert violation.amount == pytest.approx(0.5)
    assert violation.text.startswith(f"the energy drawn from the grid emits {grid_kg:.1f} kg of CO2 over the horizon, 0.5 kg more than the")
    meters = (Meter(name="west", pumps=("P",), own_power_kw=np.full(4, 1.0)),)
    saved = float(intensity[[0, 1, 3]].sum())
    assert not found("co2", co2_kg_per_kwh=intensity, max_co2_kg=grid_kg - saved + 0.01, meters=meters)
    assert found("co2", co2_kg_per_kwh=intensity, max_co2_kg=grid_kg - saved - 0.01, meters=meters)


def test_the_bill_counts_sources_stored_water_and_own_power() -> None:
    trajectory = small(
        sources=(Source(reservoir="R", cost_per_m3=np.array([0.1, 0.2, 0.3, 0.4])),), stored_value_per_m3=np.array([0.05]),
        meters=(Meter(name="west", pumps=("P",), own_power_kw=np.array([0.0, 100.0, 0.0, 0.0])),),
    )  # fmt: skip
    kwh, drawn = trajectory.power_w[:, 0] / 1000, trajectory.source_m3[:, 0]
    water = float(drawn @ np.array([0.1, 0.2, 0.3, 0.4]))
    stored = -0.05 * AREA_M2 * float(trajectory.level_m[-1, 0] - trajectory.level_m[0, 0])
    assert trajectory.cost == pytest.approx(0.1 * (kwh[0] + kwh[3]) + water + stored, rel=1e-9)
