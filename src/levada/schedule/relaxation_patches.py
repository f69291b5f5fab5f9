"""A patch: one plane, with margins, through the steps of one configuration on one piece of states.

Inputs of a plane are [1, x, flows, taken]: the states x of the component's tanks at the start of the step, the mean flows of its classes (m3/s), and
the share of each of its tanks that the component gave it. Flows count where the speed varies, and what was given for tanks that stood full for a while, where
it decides, with the states, on all else. Both are free inputs: they may be anything between planes in x, along the axes in which they vary. For what tanks took,
in m3, one axis is near their sum, which is what the pumps can give, however they share it.
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

_SPREAD, _MOST_OF_A_CLOUD = 1.3, 24
"""Where tanks stood full, up to so many steps, spread about their middle by this factor, stand for all: what is linear among them stays so."""


@dataclass
class Patch:
    """A plane over a piece of states for one configuration: outputs = value' inputs, true within -low and +high. Outputs: the balances (m3 a step),
    then the energy of each meter (kWh a step).

    `domain`: heads of the component's tanks. `axes` (free, free): orthonormal directions of the free inputs times `scale` (free,); `least`, `most`
    (1 + tanks, free): their range along each as planes over [1, x]. `corners` (corners, inputs): of (domain x range of free inputs).
    """

    piece: int
    configuration: int
    mode: int
    domain: Zone
    flows: Ints
    taken: Ints
    """Places of the classes whose speed varies, and of the tanks that stood full, among the component's."""
    scale: Floats
    axes: Floats
    least: Floats
    most: Floats
    value: Floats
    low: Floats
    high: Floats
    corners: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    cloud: Floats | None = None
    """Where tanks stood full: outputs at the corners, (corners, outputs). The corners then are outer steps that were seen, spread, and not those of (domain x range)."""

    @property
    def free(self) -> Ints:
        """Columns of the free inputs."""
        tanks = len(self.domain.d) - 1
        classes = len(self.value) - 1 - 2 * tanks
        return np.concatenate([1 + tanks + self.flows, 1 + tanks + classes + self.taken]).astype(np.int64)

    def along(self, inputs: Floats) -> Floats:
        """Free inputs of steps along the axes, (N, free)."""
        return np.asarray((inputs[:, self.free] * self.scale) @ self.axes.T, np.float64)

    def find_corners(self, floor_m: Floats, rise_m: Floats) -> None:
        """Set `corners`. `floor_m`, `rise_m` (tanks,): head at state 0 and its rise to state 1."""
        tanks = len(floor_m)
        heads = self.domain.vertices(tuple(range(tanks)))
        at = np.concatenate([np.ones((len(heads), 1)), (heads - floor_m) / rise_m], axis=1)
        ends = np.stack([at @ self.least, at @ self.most])
        found = []
        for pick in product((0, 1), repeat=len(self.scale)):
            along = np.stack([ends[end, :, i] for i, end in enumerate(pick)], axis=1) if pick else np.zeros((len(heads), 0))
            inputs = np.zeros((len(heads), len(self.value)))
            inputs[:, : 1 + tanks] = at
            inputs[:, self.free] = (along @ self.axes) / self.scale
            found.append(inputs)
        self.corners = np.unique(np.concatenate(found), axis=0)


    def ends(self) -> tuple[Floats, Floats]:
        """The least and most of the outputs at the corners, (corners, outputs) each."""
        if self.cloud is not None:
            noise = _NOISE * np.abs(self.cloud).max(axis=0)
            return self.cloud - noise, self.cloud + noise
        out = self.corners @ self.value
        return out - self.low, out + self.high


def excess(patch: Patch, inputs: Floats, outputs: Floats) -> tuple[Floats, Floats]:
    """By how much steps lie below and above what a patch allows, (N, outputs) each."""
    deviation = outputs - inputs @ patch.value
    return np.maximum(-deviation - patch.low, 0.0), np.maximum(deviation - patch.high, 0.0)


def fit_patch(
    rows: Rows, fitted: int, flows: Ints, taken: Ints, takes: Floats, meters: int, piece: int, shadow: Zone, floor_m: Floats, rise_m: Floats
) -> Patch:
    """The patch through steps of one configuration and mode. The first `fitted` of them shape the plane where they are enough, all of them its
    margins. `takes` (tanks, outputs): what a full tank's content is in each output. The last `meters` outputs are energies."""
    a, out, t = rows.inputs, rows.outputs, len(takes)
    classes = a.shape[1] - 1 - 2 * t
    size = 1 + t + len(flows) + len(taken)
    value = np.zeros((a.shape[1], out.shape[1]))
    # What a shut tank took goes into its balances as it is.
    value[1 + t + classes + taken] = takes[taken]
    content = takes.max(axis=1, initial=0.0)
    at = a[:, : 1 + t]
    ranges = [_range_of(at, a[:, 1 + t + flows], np.eye(len(flows))), _range_of(at, a[:, 1 + t + classes + taken] * content[taken], _sum_first(len(taken)))]
    axes = np.zeros((len(flows) + len(taken),) * 2)
    axes[: len(flows), : len(flows)], axes[len(flows) :, len(flows) :] = ranges[0][0], ranges[1][0]
    patch = Patch(
        piece=piece, configuration=int(rows.configuration[0]), mode=int(rows.mode[0]), domain=shadow, flows=flows, taken=taken,
        scale=np.concatenate([np.ones(len(flows)), content[taken]]), axes=axes, least=np.concatenate([r[1] for r in ranges], axis=1),
        most=np.concatenate([r[2] for r in ranges], axis=1), value=value, low=np.zeros(out.shape[1]), high=np.zeros(out.shape[1]),
    )  # fmt: skip
    patch.domain = _domain(rows.y, shadow, len(taken) > 0)
    factor = _SAFETY if len(a) >= 4 * size else _SAFETY_OF_FEW
    if len(taken):
        inputs = np.concatenate([np.arange(1 + t), patch.free]).astype(np.int64)
        weight = np.concatenate([np.ones(1 + t), patch.scale])
        both = np.concatenate([a, out], axis=1)
        energies = a.shape[1] + np.arange(out.shape[1] - meters, out.shape[1])
        bounded = np.concatenate([np.arange(1, 1 + t), 1 + t + classes + taken])
        spread = _spread(both, np.concatenate([inputs[1:], energies]), bounded, t)
        patch.corners, patch.cloud = spread[:, : a.shape[1]], spread[:, a.shape[1] :]
        rest = out - a @ value
        plane = np.linalg.lstsq(a[:, inputs] * weight, rest, rcond=1e-6)[0] * weight[:, None]
        deviation = rest - a[:, inputs] @ plane
        patch.value = np.zeros_like(value)
        patch.value[inputs] = plane
        low, high = factor * np.maximum(-deviation.min(axis=0), 0), factor * np.maximum(deviation.max(axis=0), 0)
    else:
        patch.find_corners(floor_m, rise_m)
        patch.value, low, high = _plane(patch, a, out - a @ value, fitted, classes, meters, content, factor)
    patch.value += value
    noise = _NOISE * np.abs(out).max(axis=0)
    patch.low, patch.high = low + noise, high + noise
    return patch


def _spread(a: Floats, inputs: Ints, bounded: Ints, tanks: int) -> Floats:
    """The outermost of inputs (N, inputs), moved away from their middle, but no level beyond its limits, and nothing given back that never was."""
    middle, outer = a.mean(axis=0), _outermost(a, inputs)
    away = (outer - middle)[:, bounded]
    low = np.minimum(a[:, bounded].min(axis=0), 0.0)
    high = np.where(bounded <= tanks, np.maximum(a[:, bounded].max(axis=0), 1.0), np.inf)
    room = np.where(away > 1e-12, high - middle[bounded], np.where(away < -1e-12, middle[bounded] - low, np.inf))
    times = np.minimum(_SPREAD, (room / np.maximum(np.abs(away), 1e-12)).min(axis=1))
    return np.asarray(middle + times[:, None] * (outer - middle), np.float64)


def _outermost(a: Floats, inputs: Ints) -> Floats:
    """Of inputs (N, inputs) those that lie farthest out in some of many directions of the given ones."""
    if len(a) <= _MOST_OF_A_CLOUD:
        return a
    z = a[:, inputs] - a[:, inputs].mean(axis=0)
    z = z / np.maximum(z.std(axis=0), 1e-12)
    directions = np.random.default_rng(0).normal(size=(_MOST_OF_A_CLOUD, len(inputs)))
    return np.asarray(a[np.unique((z @ directions.T).argmax(axis=0))], np.float64)


def _plane(patch: Patch, a: Floats, out: Floats, fitted: int, classes: int, meters: int, content: Floats, factor: float) -> tuple[Floats, Floats, Floats]:
    """Planes (inputs, outputs) through outputs (N, outputs), and margins below and above. Of some sets of inputs, for each output that one
    which leaves least room on the whole patch: its margins, and how far it goes beyond the outputs seen at some corner."""
    t = (a.shape[1] - 1 - classes) // 2
    states, flows, taken = np.arange(1, 1 + t), 1 + t + patch.flows, 1 + t + classes + patch.taken
    bottom, top = out.min(axis=0), out.max(axis=0)
    best = np.full(out.shape[1], np.inf)
    value, low, high = np.zeros((a.shape[1], out.shape[1])), np.zeros(out.shape[1]), np.zeros(out.shape[1])
    # Columns, each a weighed sum of some inputs: each by itself, or the water that all full tanks took.
    singles, size = np.eye(a.shape[1]), a.shape[1]
    together = np.zeros((1 if len(taken) else 0, size))
    together[:, taken] = content[patch.taken]
    rows_of = [singles[states], singles[flows], singles[taken]]
    sets = [np.vstack(rows_of), np.vstack([*rows_of[:2], together]), np.vstack([rows_of[1], together]), np.zeros((0, size))]
    for chosen in sets:
        mix = np.vstack([singles[:1], chosen]).T
        size = mix.shape[1]
        fit = np.arange(fitted if fitted >= 2 * size else len(a))
        if len(fit) < (size + 2 if len(taken) else 2 * size) and size > 1:
            continue
        used = a @ mix
        padded = np.vstack([used[fit], 1e-6 * np.eye(size)])
        plane = np.linalg.lstsq(padded, np.vstack([out[fit], np.zeros((size, out.shape[1]))]), rcond=None)[0]
        if size == 1:
            plane[0] = (bottom + top) / 2
        deviation = out - used @ plane
        below, above = factor * np.maximum(-deviation.min(axis=0), 0), factor * np.maximum(deviation.max(axis=0), 0)
        there = patch.corners @ mix @ plane
        over = np.maximum(there.max(axis=0) - top, 0)
        # Where tanks fill up, corners take more than could be pumped into them: that this would cost more than was ever seen is as it should be.
        over[out.shape[1] - meters :] *= len(taken) == 0
        score = below + above + np.maximum(bottom - there.min(axis=0), 0) + over
        better = score < best - 1e-12
        best = np.where(better, score, best)
        low, high = np.where(better, below, low), np.where(better, above, high)
        value[:, better] = mix @ plane[:, better]
    return value, low, high


def _sum_first(count: int) -> Floats:
    """Orthonormal directions (count, count), the first of which is that of the sum."""
    return np.asarray(np.linalg.svd(np.ones((1, count)))[2], np.float64) if count else np.zeros((0, 0))


def _range_of(at: Floats, free: Floats, axes: Floats) -> tuple[Floats, Floats, Floats]:
    """Axes (free, free) along which free inputs (N, free) vary at given states `at` = [1, x], and their range along each as planes over [1, x].
    `axes` are taken where there are few steps."""
    count = free.shape[1]
    least, most = np.zeros((at.shape[1], count)), np.zeros((at.shape[1], count))
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


def _domain(heads: Floats, shadow: Zone, fills: bool) -> Zone:
    """Bounds of the heads seen (N, tanks), widened, within the piece; it may be empty. `fills`: a tank stood full, so that few heads do not stand for the whole piece."""
    if len(heads) < _FEW_HEADS and not fills:
        return shadow
    z = np.concatenate([np.zeros((len(heads), 1)), heads], axis=1)
    difference = z[:, :, None] - z[:, None, :]
    top, bottom = difference.max(axis=0), difference.min(axis=0)
    d = top + _DOMAIN * (top - bottom) + 1e-6
    if len(heads) < _FEW_HEADS:
        d = d + _RANGE * (shadow.d + shadow.d.T)
    np.fill_diagonal(d, 0.0)
    return Zone.closed(np.minimum(d, shadow.d))
