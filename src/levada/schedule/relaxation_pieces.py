"""Cutting a zone of states into pieces on which the plant is nearly linear.

A cut is a bound on a level or on the difference of two levels, so pieces are zones again. Of all pieces and all their middles the cut is taken that
most reduces what planes, one for each component and configuration, leave of the sampled steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.schedule.plant import Ints
from levada.schedule.reach import Zone

__all__ = ["Rows", "cut", "within"]

_NARROW = 0.02
"""Pieces are not cut in directions in which they are narrower than this, in m."""

_ROUNDING_M = 1e-9


@dataclass(frozen=True)
class Rows:
    """Steps of one component: heads of its tanks `y` (N, tanks), inputs and outputs of its planes, its configuration, the mode (which tanks stood
    full and shut, or full and open, which half of each speed range, which pumps idled), and whether it holds its limits, all by row."""

    y: Floats
    inputs: Floats
    outputs: Floats
    configuration: Ints
    mode: Ints
    holds: NDArray[np.bool_]

    def rows(self, at: NDArray[np.bool_]) -> Rows:
        return Rows(self.y[at], self.inputs[at], self.outputs[at], self.configuration[at], self.mode[at], self.holds[at])

    def joined(self, other: Rows) -> Rows:
        return Rows(
            np.concatenate([self.y, other.y]), np.concatenate([self.inputs, other.inputs]), np.concatenate([self.outputs, other.outputs]),
            np.concatenate([self.configuration, other.configuration]), np.concatenate([self.mode, other.mode]), np.concatenate([self.holds, other.holds]),
        )  # fmt: skip


def within(y: Floats, zone: Zone, room_m: float = _ROUNDING_M) -> NDArray[np.bool_]:
    """Which heads (N, tanks) lie in a zone of these tanks, (N,), or no further outside than a room."""
    z = np.concatenate([np.zeros((len(y), 1)), y], axis=1)
    return np.asarray((z[:, :, None] - z[:, None, :] <= zone.d + room_m).all(axis=(1, 2)))


def cut(zone: Zone, rows: list[Rows], places: list[list[int]], worth: Floats, most: int) -> list[Zone]:
    """Cut a zone into at most `most` pieces. `places`: of each component, its tanks' places in the zone; `worth` (outputs,) weighs the deviations."""
    pairs = sorted({(i, j) for own in places for i in own for j in (0, *own) if j < i})
    pieces = [zone]
    left = [_misfit(zone, rows, places, worth)]
    gains: list[tuple[float, list[Zone], list[float]] | None] = [None]
    while len(pieces) < most:
        for p, piece in enumerate(pieces):
            if gains[p] is None:
                gains[p] = _best_cut(piece, left[p], pairs, rows, places, worth)
        known = [g for g in gains if g is not None]
        best = int(np.argmax([g[0] for g in known]))
        gain, halves, misfits = known[best]
        if gain <= 0:
            break
        pieces[best : best + 1], left[best : best + 1], gains[best : best + 1] = halves, misfits, [None, None]
    return pieces


def _best_cut(
    piece: Zone, misfit: float, pairs: list[tuple[int, int]], rows: list[Rows], places: list[list[int]], worth: Floats
) -> tuple[float, list[Zone], list[float]]:
    best: tuple[float, list[Zone], list[float]] = (0.0, [], [])
    for i, j in pairs:
        if piece.d[i, j] + piece.d[j, i] < _NARROW:
            continue
        halves = _halves(piece, i, j)
        if any(h.is_empty for h in halves):
            continue
        misfits = [_misfit(h, rows, places, worth) for h in halves]
        if (gain := misfit - sum(misfits)) > best[0]:
            best = gain, halves, misfits
    return best


def _halves(piece: Zone, i: int, j: int) -> list[Zone]:
    middle = (piece.d[i, j] - piece.d[j, i]) / 2
    below, above = piece.d.copy(), piece.d.copy()
    below[i, j], above[j, i] = middle, -middle
    return [Zone.closed(below), Zone.closed(above)]


def _misfit(piece: Zone, rows: list[Rows], places: list[list[int]], worth: Floats) -> float:
    """Sum over the steps in a piece of what planes leave of their outputs, weighed."""
    total = 0.0
    for r, own in zip(rows, places, strict=True):
        if not own:
            continue
        keep = [0, *own]
        inside = within(r.y, Zone(piece.d[np.ix_(keep, keep)])) & r.holds
        key = r.configuration * (1 << 20) + r.mode
        for one in np.unique(key[inside]):
            at = inside & (key == one)
            a, b = r.inputs[at], r.outputs[at] * worth
            if len(a) <= a.shape[1]:
                continue
            rest = b - a @ np.linalg.lstsq(a, b, rcond=None)[0]
            # Few samples are fitted too well.
            total += float(np.abs(rest).sum()) * len(a) / (len(a) - a.shape[1])
    return total
