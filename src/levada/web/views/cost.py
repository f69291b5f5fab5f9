"""What pumping has cost so far today: as planned, and as measured where energy meters report. Plain sums, no estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from levada.domain.plan import Plan
from levada.domain.series import CellMethod, Floats, Readings
from levada.domain.time import Steps, Window, to_np
from levada.web.views.plan import step_edges

__all__ = ["Issued", "SpentSoFar", "energy_used_kwh", "measured_so_far", "planned_so_far"]


@dataclass(frozen=True, slots=True)
class SpentSoFar:
    """An amount for the part of the day that has passed, and the fraction of that part which it covers."""

    amount: float
    covered: float


@dataclass(frozen=True, slots=True)
class Issued:
    """A plan and when it was published: it is the one to follow from then until the next one is published."""

    published_at: datetime
    plan: Plan


def planned_so_far(issued: Sequence[Issued], day: Window, now: datetime) -> SpentSoFar | None:
    """Planned cost from the day's start to now, at each instant by the plan that was in force. None when no plan covers any of it.

    A step's cost is spread evenly over the step. A plan counts until it expires: after that it was not to be followed.
    """
    elapsed_s = (now - day.start).total_seconds()
    ordered = sorted(issued, key=lambda i: i.published_at)
    amount = covered_s = 0.0
    for i, one in enumerate(ordered):
        # A plan published after its start could not be followed before; until then the one before it held.
        begin = max(day.start, one.published_at)
        end = min(now, one.plan.expires_at, *(later.published_at for later in ordered[i + 1 : i + 2]))
        edges = step_edges(one.plan)
        for a, b, cost in zip(edges[:-1], edges[1:], one.plan.step_cost, strict=True):
            overlap_s = (min(b, end) - max(a, begin)).total_seconds()
            if overlap_s > 0:
                amount += cost * overlap_s / (b - a).total_seconds()
                covered_s += overlap_s
    return SpentSoFar(amount, covered_s / elapsed_s) if covered_s > 0 else None


def energy_used_kwh(meter: Readings, cell_method: CellMethod, steps: Steps) -> Floats:
    """Energy in each step, shape (steps,), NaN where the readings do not reach both ends of it.

    A `point` series is a counter that only rises (J); between two readings it is taken to rise evenly, and over a fall (a
    meter reset or replaced) nothing is counted. A `sum` series holds the energy (J) of [its time, the next one's).
    """
    used = np.full(len(steps), np.nan)
    if len(meter) < 2:
        return used
    edges, times = steps.edges.astype(np.float64), meter.times.astype(np.float64)
    if cell_method is CellMethod.SUM:
        total = np.concatenate([[0.0], np.cumsum(meter.values[:-1])])
    else:
        total = np.concatenate([[0.0], np.cumsum(np.maximum(np.diff(meter.values), 0.0))])
    at_edges = np.interp(edges, times, total, left=np.nan, right=np.nan)
    kwh: Floats = np.diff(at_edges) / 3.6e6
    return kwh


def measured_so_far(meters: Sequence[tuple[Readings, CellMethod, Floats]], steps: Steps, day: Window, now: datetime) -> SpentSoFar | None:
    """Cost of the metered energy of all pumps over the steps since the day's start, each at its price per kWh in each step.

    Only steps in which every meter reports are counted. None when there is none.
    """
    if not meters:
        return None
    cost = np.sum([energy_used_kwh(meter, method, steps) * price_per_kwh for meter, method, price_per_kwh in meters], axis=0)
    known = np.isfinite(cost) & (steps.edges[1:] <= to_np(now))
    if not known.any():
        return None
    elapsed = now - day.start
    covered = timedelta(seconds=float(np.asarray(steps.durations_s)[known].sum()))
    return SpentSoFar(float(cost[known].sum()), min(1.0, covered / elapsed))
