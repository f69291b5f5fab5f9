"""The best V for the true steps seen so far, near one that is known: a concave programme.

    most sum_k m_k - q(d) / (2 step)        with  m_k + V_k(x) - V_k+1(x') below the cost of each step from x to x' that was seen in k

over what is added to V in its nodes, d [de Farias and Van Roy, Operations Research 51, 2003]. Far from where steps were seen V would be free: q keeps it near what is known [a proximal bundle method: Kiwiel, Mathematical Programming 46, 1990],
and nearest what is added alike in nodes that lie side by side and in instants that follow each other. So one step seen tells of those beside it.
"""

from __future__ import annotations

import numpy as np

from levada.schedule.chain import Chain
from levada.schedule.tank_steps import Seen
from levada.schedule.tank_values import TankValues

__all__ = ["best_near"]

_BESIDE, _AFTER = 0.3, 20.0
"""What the square of a change by the length of what can be reached, and of one by an hour, counts in q beside the square of what is added."""

_CLOSE = 1e-4
"""The programme is solved so far, in slopes of V."""


def best_near(values: TankValues, seen: Seen, step: float) -> tuple[TankValues, float]:
    """The best V, and what it comes to by these steps, of which there is one at least in each step of the horizon. The greater `step`, the further from V it may be. All is in units of its slope, so that programmes of all plants are alike."""
    n, nodes, along = values.plant.n, values.nodes, len(values.along)
    order = np.argsort(seen.step, kind="stable")
    seen = seen.rows(order)
    place = np.arange(len(seen)) - np.searchsorted(seen.step, np.arange(n))[seen.step]
    a, c = np.zeros((n, int(place.max()) + 1, 2 * along * nodes)), np.full((n, int(place.max()) + 1), np.inf)
    c[seen.step, place] = seen.comes_to(values) / values.slope
    for first, k, x, sign in ((0, seen.step, seen.x, 1.0), (along * nodes, seen.step + 1, seen.after, -1.0)):
        inside = (k > 0) & (k < n)
        node, between = values.around(k[inside], x[inside])
        column = first + np.arange(along) * nodes + node
        row = seen.step[inside][:, None], place[inside][:, None]
        a[*row, column], a[*row, column + 1] = sign * (1.0 - between), sign * between
    after = _AFTER / float(values.plant.problem.steps.hours.mean()) ** 2
    by = np.diff(np.eye(nodes), axis=0)
    own = np.eye(nodes) * (1.0 + 2.0 * after) + _BESIDE * (nodes - 1) ** 2 * by.T @ by
    m, d = Chain(a, c, np.asarray(np.kron(np.eye(along), own) / step, np.float64), after / step).best(_CLOSE)
    more = values.values.copy()
    more[1:n] += values.slope * d[1:n].reshape(n - 1, along, nodes)
    return values.with_values(more), float(m.sum() * values.slope)
