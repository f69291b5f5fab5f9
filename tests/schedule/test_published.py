"""The public case with proved optima: ours must be one, proved, and accepted by the audit."""

import pytest

from benchmarks import anytown_modified
from levada.hydraulics.audit import audit
from levada.schedule import solve

pytestmark = pytest.mark.skipif(
    not anytown_modified.data_folder().exists(), reason=f"NO BENCHMARK DATA at {anytown_modified.data_folder()}: set LEVADA_BENCH_DATA to compare with published optima"
)


@pytest.mark.parametrize("starts", [1, 2, 3])
def test_anytown_modified_is_solved_to_its_published_optimum_and_proved_within_a_hundredth_of_a_per_cent(starts: int) -> None:
    problem, optimum = anytown_modified.problem(starts), anytown_modified.OPTIMA[starts]
    solution = solve(problem)
    verdict = audit(problem, solution.schedule)
    assert solution.feasible
    assert verdict.accepted
    assert verdict.trajectory.cost == pytest.approx(solution.certificate.cost, rel=1e-6)
    assert solution.certificate.cost == pytest.approx(optimum, abs=0.01)
    assert solution.certificate.lower_bound is not None
    assert optimum * (1 - 1e-4) <= solution.certificate.lower_bound <= optimum + 0.01
