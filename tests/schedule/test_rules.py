"""Rule-based control: it must look like level switches, and keep an ordinary day within limits."""

import numpy as np
from tests.schedule.small_networks import Small

from levada.hydraulics.audit import audit
from levada.schedule import follow_rules, solve


def test_level_switches_keep_the_tank_between_its_limits_on_an_ordinary_day() -> None:
    problem = Small(demand_l_per_s=14).problem(n=24, max_starts=np.full(2, 12), end_level_m=np.full(1, 0.5))
    schedule = follow_rules(problem)
    verdict = audit(problem, schedule)
    assert verdict.accepted, verdict.trajectory.violations
    assert 0 < schedule.on.mean() < 1


def test_rules_cost_no_less_than_the_optimum() -> None:
    problem = Small(demand_l_per_s=14).problem(n=12, max_starts=np.full(2, 6))
    solution, rules = solve(problem), audit(problem, follow_rules(problem))
    if rules.accepted:
        assert solution.certificate.cost <= rules.trajectory.cost + 1e-6


def test_rules_leave_out_a_pump_that_is_not_available_and_start_none_too_often() -> None:
    available = np.ones((24, 2), bool)
    available[:, 0] = False
    problem = Small(demand_l_per_s=10).problem(n=24, available=available, max_starts=np.full(2, 2))
    schedule = follow_rules(problem)
    assert not schedule.on[:, 0].any()
    assert (schedule.starts("window", problem.initial_on) <= 2).all()
