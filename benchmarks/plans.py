"""A whole plan — forecast, schedule, bound, audit, indicators — for each of the demo's utilities, from 61 days of its simulated readings.

No peer computes the same; the last column is what rule-based control would cost over the same steps, as the plan's own indicator gives it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np

from levada.demo.plant import Plant
from levada.demo.utilities import DemoUtility, list_utilities
from levada.domain.bundle import Bundle
from levada.domain.plan_input import PlanInput
from levada.domain.series import Readings
from levada.domain.settings import Operation, Tariff, Utility, read_document
from levada.runs.pipeline import compute

ISSUED = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
DAYS, RUNS = 61, 3
NONSENSE = 1e13
"""Above any energy counter, in J: what faulty instruments show is refused at the door, which this benchmark leaves out."""


def plan_input(utility: DemoUtility) -> PlanInput:
    """What a run at `ISSUED` would freeze, had the utility's files come in until then; without published prices the typical day stands in."""
    documents = {kind: read_document(kind, body) for kind, body in utility.documents.items()}
    measured = Plant(utility, start=ISSUED - timedelta(days=DAYS)).advance(ISSUED)
    times = np.array([m.time.replace(tzinfo=None) for m in measured], "datetime64[us]")
    quarter = np.timedelta64(15, "m")
    readings: dict[str, Readings] = {}
    for kind, shift in (("points", np.timedelta64(0, "m")), ("means", quarter)):
        for name in sorted({name for m in measured for name in getattr(m, kind)}):
            values = np.array([getattr(m, kind).get(name, np.nan) for m in measured])
            readings[name] = Readings.good(times - shift, np.where(np.abs(values) < NONSENSE, values, np.nan))
    return PlanInput(
        tenant_id=utility.tenant_id, issue_time=ISSUED, utility=cast(Utility, documents["utility"]), tariff=cast(Tariff, documents["tariff"]),
        operation=cast(Operation, documents["operation"]), inp=utility.inp, readings=readings,
    )  # fmt: skip


def main() -> int:
    print(f"{'utility':10} {'steps':>5} {'pumps':>5} {'tanks':>5} {'cost':>9} {'bound':>9} {'gap':>7} {'audit':>9} {'saved':>7} {'s':>6}   (median of {RUNS})")
    for utility in list_utilities():
        bundle: Bundle = plan_input(utility).to_bundle()
        seconds, results = [], set()
        for _ in range(RUNS):
            began = time.perf_counter()
            results.add(compute(bundle))
            seconds.append(time.perf_counter() - began)
        assert len(results) == 1, "the same bundle gave different bytes"
        result = json.loads(results.pop())
        plan = result["plan"]
        saved = next((f"{i['value']:6.1f}%" for i in result["indicators"] if i["name"] == "savings"), "-")
        bound, gap = plan["certificate"]["lower_bound"], plan["certificate"]["gap"]
        print(
            f"{utility.tenant_id:10} {len(plan['step_starts']):5} {len(plan['pumps']):5} {len(plan['tanks']):5} {plan['cost']:9.2f} "
            f"{'none' if bound is None else f'{bound:9.2f}':>9} {'none' if gap is None else f'{gap:7.2%}':>7} {'accepted' if plan['audit']['accepted'] else 'REFUSED':>9} "
            f"{saved:>7} {statistics.median(seconds):6.1f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
