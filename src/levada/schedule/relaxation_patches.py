"""A patch: one plane, with margins, through the steps of one configuration on one piece of states.

Inputs of a plane are [1, x, flows, taken]: the states x of the component's tanks at the start of the step, the mean flows of its classes (m3/s), and
the share of each of its tanks that the component gave it. Flows count where the speed varies: they may be anything between planes in x,
along the axes in which they vary. What was given counts for tanks that stood full for a while, where it decides, with the states, on all else: a tank at
level y that takes w of level ends near its maximum, so the differences y - (-w) are bounded as those of levels are, in one zone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np

from levada.domain.series import Floats
from levada.schedule.plant import Ints
from levada.schedule.reach import Zone
from levada.schedule.relaxation_pieces import Rows

__all__ = ["Patch", "excess", "fit_patch", "heads_of"]

_SAFETY = 1.25
"""Factor on the largest deviation of the steps that were run."""

_SAFETY_OF_FEW = 2.0
"""The same where there are few steps for each coefficient."""

_NOISE = 2e-5
"""Margin that every fit gets, as a share of its largest output: EPANET's convergence."""

_DOMAIN = 0.1
"""A patch is thought to reach beyond the steps that were seen on it by this share of their range."""

_RANGE = 0.02
"""The same for flows."""


@dataclass
class Patch:
    """A plane over a piece of states for one configuration: outputs = value' inputs, true within -low and +high. Outputs: the balances (m3 a step),
    then the energy of each meter (kWh a step).

    `domain`: heads of the component's tanks, then, of those that stood full, what they took, in m of level, with a minus. `axes` (flows, flows):
    directions of the flows that vary; `least`, `most` (1 + tanks, flows): their range along each as planes over [1, x]. `corners` (corners,
    inputs): of (domain x range of flows).
    """

    piece: int
    configuration: int
    mode: int
    domain: Zone
    flows: Ints
    taken: Ints
    """Places of the classes whose speed varies, and of the tanks that stood full, among the component's."""
    axes: Floats
    least: Floats
    most: Floats
    value: Floats
    low: Floats
    high: Floats
    corners: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def find_corners(self, floor_m: Floats, rise_m: Floats) -> None:
        """Set `corners`. `floor_m`, `rise_m` (tanks,): head at state 0 and its rise to state 1."""
        tanks = len(floor_m)
        heads = self.domain.vertices(tuple(range(tanks + len(self.taken))))
        at = np.concatenate([np.ones((len(heads), 1)), (heads[:, :tanks] - floor_m) / rise_m], axis=1)
        ends = np.stack([at @ self.least, at @ self.most])
        classes = len(self.value) - 1 - 2 * tanks
        share = np.zeros((len(heads), tanks))
        share[:, self.taken] = -heads[:, tanks:] / rise_m[self.taken]
        found = []
        for pick in product((0, 1), repeat=len(self.flows)):
            along = np.stack([ends[end, :, i] for i, end in enumerate(pick)], axis=1) if pick else np.zeros((len(heads), 0))
            flow = np.zeros((len(heads), classes))
            flow[:, self.flows] = along @ self.axes
            found.append(np.concatenate([at, flow, share], axis=1))
        self.corners = np.unique(np.concatenate(found), axis=0)


def excess(patch: Patch, inputs: Floats, outputs: Floats) -> tuple[Floats, Floats]:
    """By how much steps lie below and above what a patch allows, (N, outputs) each."""
    deviation = outputs - inputs @ patch.value
    return np.maximum(-deviation - patch.low, 0.0), np.maximum(deviation - patch.high, 0.0)


def heads_of(patch: Patch, rows: Rows, rise_m: Floats) -> Floats:
    """Coordinates of steps in the patch's domain, (N, coordinates)."""
    share = rows.inputs[:, rows.inputs.shape[1] - len(rise_m) + patch.taken]
    return np.concatenate([rows.y, -share * rise_m[patch.taken]], axis=1)


def fit_patch(
    rows: Rows, fitted: int, flows: Ints, taken: Ints, takes: Floats, piece: int, shadow: Zone, floor_m: Floats, rise_m: Floats
) -> Patch:
    """The patch through steps of one configuration and mode. The first `fitted` of them shape the plane where they are enough, all of them its
    margins. `takes` (tanks, outputs): what a full tank's content is in each output."""
    a, out, t = rows.inputs, rows.outputs, len(takes)
    classes = a.shape[1] - 1 - 2 * t
    size = 1 + t + len(flows) + len(taken)
    axes, least, most = _range_of(a[:, : 1 + t], a[:, 1 + t + flows])
    value = np.zeros((a.shape[1], out.shape[1]))
    # What a shut tank took goes into its balances as it is.
    value[1 + t + classes + taken] = takes[taken]
    patch = Patch(
        piece=piece, configuration=int(rows.configuration[0]), mode=int(rows.mode[0]), domain=shadow, flows=flows, taken=taken, axes=axes,
        least=least, most=most, value=value, low=np.zeros(out.shape[1]), high=np.zeros(out.shape[1]),
    )  # fmt: skip
    patch.domain = _domain(heads_of(patch, rows, rise_m), shadow)
    patch.find_corners(floor_m, rise_m)
    factor = _SAFETY if len(a) >= 4 * size else _SAFETY_OF_FEW
    patch.value, low, high = _plane(patch, a, out - a @ value, fitted, classes, factor)
    patch.value += value
    noise = _NOISE * np.abs(out).max(axis=0)
    patch.low, patch.high = low + noise, high + noise
    return patch


def _plane(patch: Patch, a: Floats, out: Floats, fitted: int, classes: int, factor: float) -> tuple[Floats, Floats, Floats]:
    """Planes (inputs, outputs) through outputs (N, outputs), and margins below and above. Of some sets of inputs, for each output that one
    which leaves least room on the whole patch: its margins, and how far it goes beyond the outputs seen at some corner."""
    t = (a.shape[1] - 1 - classes) // 2
    states, flows, taken = np.arange(1, 1 + t), 1 + t + patch.flows, 1 + t + classes + patch.taken
    bottom, top = out.min(axis=0), out.max(axis=0)
    best = np.full(out.shape[1], np.inf)
    value, low, high = np.zeros((a.shape[1], out.shape[1])), np.zeros(out.shape[1]), np.zeros(out.shape[1])
    singles = [np.array([i]) for i in states], [np.array([i]) for i in flows], [np.array([i]) for i in taken]
    together = [taken] if len(taken) else []
    sets = [[*singles[0], *singles[1], *singles[2]], [*singles[0], *singles[1], *together], [*singles[1], *together], []]
    for chosen in sets:
        # Columns, each the sum of some inputs.
        groups = [np.array([0]), *chosen]
        size = len(groups)
        fit = np.arange(fitted if fitted >= 2 * size else len(a))
        if len(fit) < 2 * size and size > 1:
            continue
        used = np.stack([a[:, g].sum(axis=1) for g in groups], axis=1)
        padded = np.vstack([used[fit], 1e-6 * np.eye(size)])
        plane = np.linalg.lstsq(padded, np.vstack([out[fit], np.zeros((size, out.shape[1]))]), rcond=None)[0]
        if size == 1:
            plane[0] = (bottom + top) / 2
        deviation = out - used @ plane
        below, above = factor * np.maximum(-deviation.min(axis=0), 0), factor * np.maximum(deviation.max(axis=0), 0)
        there = np.stack([patch.corners[:, g].sum(axis=1) for g in groups], axis=1) @ plane
        score = below + above + np.maximum(bottom - there.min(axis=0), 0) + np.maximum(there.max(axis=0) - top, 0)
        better = score < best - 1e-12
        best = np.where(better, score, best)
        low, high = np.where(better, below, low), np.where(better, above, high)
        value[:, better] = 0.0
        for g, row in zip(groups, plane, strict=True):
            value[np.ix_(g, np.flatnonzero(better))] += row[better]
    return value, low, high


def _range_of(at: Floats, free: Floats) -> tuple[Floats, Floats, Floats]:
    """Axes (flows, flows) along which flows (N, flows) vary at given states `at` = [1, x], and their range along each as planes over [1, x]."""
    count = free.shape[1]
    least, most = np.zeros((at.shape[1], count)), np.zeros((at.shape[1], count))
    axes = np.eye(count)
    if len(free) > 2 * (count + at.shape[1]):
        rest = free - at @ np.linalg.lstsq(at, free, rcond=None)[0]
        axes = np.linalg.svd(rest - rest.mean(axis=0), full_matrices=False)[2]
    along = free @ axes.T
    for i in range(count):
        least[:, i], most[:, i] = _side(at, along[:, i], -1.0), _side(at, along[:, i], 1.0)
    return axes, least, most


def _side(at: Floats, along: Floats, sign: float) -> Floats:
    """The least (sign -1) or most (1) of a coordinate as a plane over [1, x]: fitted to the outer samples, moved until it bounds all."""
    b = np.zeros(at.shape[1])
    b[0] = along.mean()
    if len(along) >= 6 * at.shape[1]:
        rest = sign * (along - at @ np.linalg.lstsq(at, along, rcond=None)[0])
        outer = rest >= np.quantile(rest, 0.7)
        b = np.linalg.lstsq(np.vstack([at[outer], 1e-6 * np.eye(at.shape[1])]), np.concatenate([along[outer], np.zeros(at.shape[1])]), rcond=None)[0]
    rest = along - at @ b
    b[0] += sign * (float(np.max(sign * rest)) + _RANGE * float(np.ptp(along - along.mean())))
    return np.asarray(b, np.float64)


def _domain(heads: Floats, shadow: Zone) -> Zone:
    """Bounds of the heads seen (N, coordinates), widened; those of levels within the piece."""
    size = len(shadow.d)
    if len(heads) < 4 and heads.shape[1] == size - 1:
        return shadow
    z = np.concatenate([np.zeros((len(heads), 1)), heads], axis=1)
    difference = z[:, :, None] - z[:, None, :]
    top, bottom = difference.max(axis=0), difference.min(axis=0)
    d = top + _DOMAIN * (top - bottom) + 1e-6
    np.fill_diagonal(d, 0.0)
    d[:size, :size] = np.minimum(d[:size, :size], shadow.d)
    # What was taken, if water was only ever taken, is so everywhere.
    never = np.flatnonzero((heads[:, size - 1 :] <= 0).all(axis=0)) + size
    d[never, 0] = np.minimum(d[never, 0], 0.0)
    closed = Zone.closed(d)
    return shadow if closed.is_empty and heads.shape[1] == size - 1 else closed
