"""A patch: one plane, with margins, through the steps (or single solves) of one configuration on one piece of states.

Inputs of a plane are [1, x, flows]: the states x of the component's tanks at the start of the step, and the mean flows of its classes (m3/s). Flows count where
the speed varies: they are free inputs, and may be anything between planes in x, along the axes in which they vary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np

from levada.domain.series import Floats
from levada.schedule.plant import Ints
from levada.schedule.reach import Zone
from levada.schedule.relaxation_pieces import Rows

__all__ = ["Patch", "excess", "fit_patch"]

_SAFETY = 1.25
"""Factor on the largest deviation of the steps that were run."""

_SAFETY_OF_FEW = 2.0
"""The same where there are few steps for each coefficient."""

_NOISE = 2e-5
"""Margin that every fit gets, as a share of its largest output: EPANET's convergence."""

_DOMAIN = 0.1
"""A patch is thought to reach beyond the steps that were seen on it by this share of their range."""

_RANGE = 0.02
"""The same for free inputs."""

_FEW_HEADS = 4


@dataclass
class Patch:
    """A plane over a piece of states for one configuration: outputs = value' inputs, true within -low and +high. Outputs: the balances (m3 a step),
    then the energy of each meter (kWh a step).

    `domain`: heads of the component's tanks. `axes` (free, free): orthonormal directions of the free inputs; `least`, `most`
    (1 + tanks, free): their range along each as planes over [1, x]. `corners` (corners, inputs): of (domain x range of free inputs).
    """

    piece: int
    configuration: int
    mode: int
    domain: Zone
    flows: Ints
    """Places of the classes whose speed varies among the component's."""
    axes: Floats
    least: Floats
    most: Floats
    value: Floats
    low: Floats
    high: Floats
    corners: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def free(self) -> Ints:
        """Columns of the free inputs."""
        return np.asarray(len(self.domain.d) + self.flows, np.int64)

    def along(self, inputs: Floats) -> Floats:
        """Free inputs of steps along the axes, (N, free)."""
        return np.asarray(inputs[:, self.free] @ self.axes.T, np.float64)

    def find_corners(self, floor_m: Floats, rise_m: Floats) -> None:
        """Set `corners`. `floor_m`, `rise_m` (tanks,): head at state 0 and its rise to state 1."""
        tanks = len(floor_m)
        heads = self.domain.vertices(tuple(range(tanks)))
        at = np.concatenate([np.ones((len(heads), 1)), (heads - floor_m) / rise_m], axis=1)
        ends = np.stack([at @ self.least, at @ self.most])
        found = []
        for pick in product((0, 1), repeat=len(self.axes)):
            along = np.stack([ends[end, :, i] for i, end in enumerate(pick)], axis=1) if pick else np.zeros((len(heads), 0))
            inputs = np.zeros((len(heads), len(self.value)))
            inputs[:, : 1 + tanks] = at
            inputs[:, self.free] = along @ self.axes
            found.append(inputs)
        self.corners = np.unique(np.concatenate(found), axis=0)


    def ends(self) -> tuple[Floats, Floats]:
        """The least and most of the outputs at the corners, (corners, outputs) each."""
        out = self.corners @ self.value
        return out - self.low, out + self.high


def excess(patch: Patch, inputs: Floats, outputs: Floats) -> tuple[Floats, Floats]:
    """By how much steps lie below and above what a patch allows, (N, outputs) each."""
    deviation = outputs - inputs @ patch.value
    return np.maximum(-deviation - patch.low, 0.0), np.maximum(deviation - patch.high, 0.0)


def fit_patch(rows: Rows, fitted: int, flows: Ints, piece: int, shadow: Zone, floor_m: Floats, rise_m: Floats) -> Patch:
    """The patch through steps of one configuration and mode. The first `fitted` of them shape the plane where they are enough, all of them its
    margins."""
    a, out, t = rows.inputs, rows.outputs, len(floor_m)
    axes, least, most = _range_of(a[:, : 1 + t], a[:, 1 + t + flows])
    patch = Patch(
        piece=piece, configuration=int(rows.configuration[0]), mode=int(rows.mode[0]), domain=_domain(rows.y, shadow), flows=flows, axes=axes, least=least, most=most,
        value=np.zeros((a.shape[1], out.shape[1])), low=np.zeros(out.shape[1]), high=np.zeros(out.shape[1]),
    )  # fmt: skip
    factor = _SAFETY if len(a) >= 4 * (1 + t + len(flows)) else _SAFETY_OF_FEW
    patch.find_corners(floor_m, rise_m)
    patch.value, low, high = _plane(patch, a, out, fitted, factor)
    noise = _NOISE * np.abs(out).max(axis=0)
    patch.low, patch.high = low + noise, high + noise
    return patch


def _plane(patch: Patch, a: Floats, out: Floats, fitted: int, factor: float) -> tuple[Floats, Floats, Floats]:
    """Planes (inputs, outputs) through outputs (N, outputs), and margins below and above. Of some sets of inputs, for each output that one
    which leaves least room on the whole patch: its margins, and how far it goes beyond the outputs seen at some corner."""
    tanks = len(patch.domain.d) - 1
    bottom, top = out.min(axis=0), out.max(axis=0)
    best = np.full(out.shape[1], np.inf)
    value, low, high = np.zeros((a.shape[1], out.shape[1])), np.zeros(out.shape[1]), np.zeros(out.shape[1])
    for chosen in (np.concatenate([np.arange(1, 1 + tanks), patch.free]), patch.free, np.zeros(0, np.int64)):
        inputs = np.concatenate([[0], chosen]).astype(np.int64)
        size = len(inputs)
        fit = np.arange(fitted if fitted >= 2 * size else len(a))
        if len(fit) < 2 * size and size > 1:
            continue
        used = a[:, inputs]
        padded = np.vstack([used[fit], 1e-6 * np.eye(size)])
        plane = np.linalg.lstsq(padded, np.vstack([out[fit], np.zeros((size, out.shape[1]))]), rcond=None)[0]
        if size == 1:
            plane[0] = (bottom + top) / 2
        deviation = out - used @ plane
        below, above = factor * np.maximum(-deviation.min(axis=0), 0), factor * np.maximum(deviation.max(axis=0), 0)
        there = patch.corners[:, inputs] @ plane
        score = below + above + np.maximum(bottom - there.min(axis=0), 0) + np.maximum(there.max(axis=0) - top, 0)
        better = score < best - 1e-12
        best = np.where(better, score, best)
        low, high = np.where(better, below, low), np.where(better, above, high)
        value[np.ix_(np.arange(len(value)), better)] = 0.0
        value[np.ix_(inputs, better)] = plane[:, better]
    return value, low, high


def _range_of(at: Floats, free: Floats) -> tuple[Floats, Floats, Floats]:
    """Axes (free, free) along which free inputs (N, free) vary at given states `at` = [1, x], and their range along each as planes over [1, x]."""
    count = free.shape[1]
    axes = np.eye(count)
    least, most = np.zeros((at.shape[1], count)), np.zeros((at.shape[1], count))
    if count and len(free) > 2 * (count + at.shape[1]):
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
    """Bounds of the heads seen (N, tanks), widened, within the piece; it may be empty."""
    if len(heads) < _FEW_HEADS:
        return shadow
    z = np.concatenate([np.zeros((len(heads), 1)), heads], axis=1)
    difference = z[:, :, None] - z[:, None, :]
    top, bottom = difference.max(axis=0), difference.min(axis=0)
    d = top + _DOMAIN * (top - bottom) + 1e-6
    np.fill_diagonal(d, 0.0)
    return Zone.closed(np.minimum(d, shadow.d))
