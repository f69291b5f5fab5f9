"""The public case with proved optima: ours must come close, be accepted by the audit, and no bound may exceed a proved optimum."""

import pytest

from benchmarks import anytown_modified
from levada.hydraulics.audit import audit
from levada.schedule import solve

pytestmark = pytest.mark.skipif(
    not anytown_modified.data_folder().exists(), reason=f"NO BENCHMARK DATA at {anytown_modified.data_folder()}: set LEVADA_BENCH_DATA to compare with published optima"
)


@pytest.mark.parametrize("starts", [1, 2, 3])
def test_anytown_modified_is_within_one_per_cent_of_the_proved_optimum_and_the_bound_below_it(starts: int) -> None:
    problem, optimum = anytown_modified.problem(starts), anytown_modified.OPTIMA[starts]
    solution = solve(problem)
    verdict = audit(problem, solution.schedule)
    assert solution.feasible
    assert verdict.accepted
    assert verdict.trajectory.cost == pytest.approx(solution.certificate.cost, rel=1e-3)
    assert optimum * (1 - 1e-5) <= solution.certificate.cost <= optimum * 1.01
    assert solution.certificate.lower_bound is not None
    assert optimum * 0.8 <= solution.certificate.lower_bound <= optimum
