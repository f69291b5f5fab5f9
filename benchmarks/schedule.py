"""Pump schedules: cost, bound and time beside published results.

`python -m benchmarks.schedule [repeats]`. Case: AnyTown-modified, the one public case with proved optima (anytown_modified.py). Published
proofs took 1.6 / 25 / 409 s on 64 cores for 1 / 2 / 3 starts (epanet-bb); Costa 2016 found 3916.98 / 3618.59 / 3578.67 in 425 s / 10 h /
81 h. Seconds here include building the model. A schedule counts only if the audit accepts it.
"""

from __future__ import annotations

import statistics
import sys
import time

from benchmarks import anytown_modified
from levada.domain.pumping import PumpingProblem
from levada.hydraulics.audit import audit
from levada.schedule import solve

__all__ = ["main"]


def row(name: str, problem: PumpingProblem, published: float, repeats: int) -> str:
    """One line of the table: the solution is audited first, then timed."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        solution = solve(problem)
        seconds.append(time.perf_counter() - begin)
    verdict = audit(problem, solution.schedule)
    bound, gap = solution.certificate.lower_bound, solution.certificate.gap
    shown = f"{bound:10.2f} {gap:7.2%}" if bound is not None and gap is not None else f"{'none':>10} {'':>7}"
    accepted = "accepted" if verdict.accepted else "REJECTED"
    cost = solution.certificate.cost
    return (
        f"{name:26} {cost:10.2f} {published:10.2f} {cost / published:8.4f} {shown} {verdict.trajectory.cost:10.2f} {accepted} "
        f"{statistics.median(seconds):6.1f}"
    )


def main(repeats: int = 3) -> int:
    """Print the table. Returns 1 where the data are not there."""
    if not anytown_modified.data_folder().exists():
        print(f"no data at {anytown_modified.data_folder()}: set LEVADA_BENCH_DATA", file=sys.stderr)
        return 1
    print(f"{'case':26} {'ours':>10} {'published':>10} {'ratio':>8} {'bound':>10} {'gap':>7} {'audited':>10} {'verdict':8} {'s':>6}   (median of {repeats})")
    for starts, optimum in anytown_modified.OPTIMA.items():
        print(row(f"AT(M), <= {starts} starts", anytown_modified.problem(starts), optimum, repeats), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
