"""The best V for the true steps seen so far, near one that is known: a linear programme.

    most sum_k m_k        with m_k + V_k(x) - V_k+1(x') below the cost of each step from x to x' that was seen in k

over what is added to V in its nodes [de Farias and Van Roy, Operations Research 51, 2003]. Far from where steps were seen V is free, so it is kept in a region around the V that is known. Where there would be too many columns,
what is added has some at a few instants only and is linear in time between them.
"""

from __future__ import annotations

import highspy
import numpy as np

from levada.domain.series import Floats
from levada.schedule.linear import Builder, solver
from levada.schedule.plant import Ints
from levada.schedule.tank_steps import Seen
from levada.schedule.tank_values import TankValues

__all__ = ["best_near"]


def best_near(values: TankValues, seen: Seen, region: float, most_columns: int) -> tuple[TankValues, float] | None:
    """The best V no further than `region` from V in each node, and what it comes to by these steps; None where the solver gives up."""
    plant, nodes = values.plant, values.nodes
    each = plant.tanks * nodes
    before, after, share = _in_time(plant.n, most_columns // each)
    b = Builder()
    least = b.add_columns(-np.ones(plant.n), -np.inf)
    added = b.add_columns(np.zeros((int(after.max(initial=-1)) + 1) * each), -region, region)
    rows = b.add_rows(np.full(len(seen), -np.inf), seen.comes_to(values))
    b.put(rows, least[seen.step], np.ones(len(seen)))
    for k, x, sign in ((seen.step, seen.x, 1.0), (seen.step + 1, seen.after, -1.0)):
        inside = (k > 0) & (k < plant.n)
        node, between = values.around(k[inside], x[inside])
        place = np.arange(plant.tanks) * nodes + node
        for at, part in ((before, 1.0 - share), (after, share)):
            first = added[at[k[inside] - 1][:, None] * each + place]
            weight = sign * part[k[inside] - 1][:, None]
            b.put(rows[inside][:, None], first, weight * (1.0 - between))
            b.put(rows[inside][:, None], first + 1, weight * between)
    h = solver()
    # From nothing an interior-point method is as fast as the simplex method from the basis before, and what lies amidst the best V needs fewer of them.
    h.setOptionValue("solver", "ipm")
    h.setOptionValue("run_crossover", "off")
    h.passModel(b.model())
    h.run()
    if h.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    found = np.array(h.getSolution().col_value)
    more = np.clip(found[added], -region, region).reshape(-1, plant.tanks, nodes)
    all_values = values.values.copy()
    all_values[1 : plant.n] += more[before] * (1.0 - share)[:, None, None] + more[after] * share[:, None, None]
    return values.with_values(all_values), float(found[least].sum())


def _in_time(n: int, most: int) -> tuple[Ints, Ints, Floats]:
    """For each instant from 1 to n - 1 the two of some evenly spaced ones, `most` or a little more, that it lies between, by place, and the share of the way to the later one."""
    at = np.arange(1, n)
    every = max(1, -(-len(at) // max(most, 1)))
    kept = np.unique(np.concatenate([at[:1], np.arange(every, n, every), at[-1:]]))
    place = np.interp(at, kept, np.arange(len(kept))) if n > 1 else np.zeros(0)
    before = place.astype(np.int64)
    return before, np.minimum(before + 1, max(len(kept) - 1, 0)), place - before
