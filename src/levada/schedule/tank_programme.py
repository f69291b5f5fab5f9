"""The best V for the true steps seen so far, near one that is known: a linear programme.

    most sum_k m_k        with m_k + V_k(x) - V_k+1(x') below the cost of each step from x to x' that was seen in k

over the values of V in its nodes [de Farias and Van Roy, Operations Research 51, 2003]. Far from where steps were seen V is free, so it is kept in a region around the V that is known.
"""

from __future__ import annotations

import highspy
import numpy as np

from levada.domain.series import Floats
from levada.schedule.linear import Builder, solver
from levada.schedule.tank_steps import Seen
from levada.schedule.tank_values import TankValues

__all__ = ["best_near"]


def best_near(values: TankValues, seen: Seen, region: float) -> tuple[TankValues, float] | None:
    """The best V no further than `region` from V in each node, and what it comes to by these steps; None where the solver gives up."""
    plant, nodes = values.plant, values.nodes
    b = Builder()
    least = b.add_columns(-np.ones(plant.n), -np.inf)
    flat = values.values[1 : plant.n].ravel()
    column = b.add_columns(np.zeros(len(flat)), flat - region, flat + region)
    rows = b.add_rows(np.full(len(seen), -np.inf), _most(values, seen))
    b.put(rows, least[seen.step], np.ones(len(seen)))
    for k, x, sign, inside in ((seen.step, seen.x, 1.0, seen.step > 0), (seen.step + 1, seen.after, -1.0, seen.step + 1 < plant.n)):
        i, share = values.around(k[inside], x[inside])
        at = column[((k[inside][:, None] - 1) * plant.tanks + np.arange(plant.tanks)) * nodes + i]
        b.put(rows[inside][:, None], at, sign * (1.0 - share))
        b.put(rows[inside][:, None], at + 1, sign * share)
    h = solver()
    # From nothing an interior-point method is as fast as the simplex method from the basis before, and what lies amidst the best V needs fewer of them.
    h.setOptionValue("solver", "ipm")
    h.setOptionValue("run_crossover", "off")
    h.passModel(b.model())
    h.run()
    if h.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    found = np.array(h.getSolution().col_value)
    all_values = values.values.copy()
    all_values[1 : plant.n] = np.clip(found[column], flat - region, flat + region).reshape(plant.n - 1, plant.tanks, nodes)
    return values.with_values(all_values), float(found[least].sum())


def _most(values: TankValues, seen: Seen) -> Floats:
    """What the rows may come to, (N,): the cost, and at the end what V is there."""
    most, last = seen.cost.copy(), seen.step + 1 == values.plant.n
    most[last] += values.at_the_end(seen.after[last])
    return most
