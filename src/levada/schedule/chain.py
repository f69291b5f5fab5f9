"""The best of a chain of values, each stage of which touches those of two instants alone: a concave programme, by an interior-point method.

    most  sum_k m_k - q(d) / 2        with  m_k + a_ki . (d_k, d_k+1) <= c_ki  for all rows i of stage k,        q(d) = sum_k d_k . own d_k  -  2 beside sum_k d_k . d_k+1

Predictor and corrector as in [Mehrotra, SIAM Journal on Optimization 2, 1992]. The normal equations are block tridiagonal and are solved instant by instant, which a solver for any programme does not know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.series import Floats

__all__ = ["Chain"]

_MOST = 40
"""Iterations; some ten are the rule."""

_BACK = 0.9
"""Share of the way to the nearest limit that is gone."""

_SHORT, _FAR = 1e-3, 1e-3
"""The weights of each stage's rows add up to 1, and all the others to what q asks, but for so much; or rounding keeps them from it where the gap is already so far below what is asked."""

_ROOM = 2e-3
"""Each m begins so far below its rows."""


@dataclass(frozen=True, eq=False)
class Chain:
    """Rows `a` (n, rows, 2 size) and `c` (n, rows), infinite where a stage has fewer, but each has one; `own` (size, size) symmetric and with `beside` such that q is above zero. All about 1 in size."""

    a: Floats
    c: Floats
    own: Floats
    beside: float

    def best(self, close: float) -> tuple[Floats, Floats]:
        """m (n,) and d (n + 1, size) that hold all rows, their sum at most `close` below the best but where the last iteration comes first."""
        there = np.isfinite(self.c)
        a = np.concatenate([there[:, :, None] * 1.0, self.a * there[:, :, None]], axis=2)
        c = np.where(there, self.c, 1.0)
        least = self.c.min(axis=1)
        n, size = len(c), len(self.own)
        # A block of what is unknown is m_k and d_k; there is no m_n.
        aim = np.zeros((n + 1, 1 + size))
        aim[:n, 0] = 1.0
        y = np.zeros_like(aim)
        y[:n, 0] = least - _ROOM
        slack = np.where(there, c - y[:n, :1], 1.0)
        weight = there / slack
        at = _Point(y, slack, weight / weight.sum(axis=1, keepdims=True))
        for _ in range(_MOST):
            gap = float((at.weight * at.slack).sum())
            short = aim - self._bend(at.y) - _by_column(a, at.weight)
            if gap < close and (np.abs(short).max() < _SHORT or gap < _FAR * close):
                break
            try:
                equations = self._equations(a, at.weight / at.slack)
            except np.linalg.LinAlgError:
                break  # all that doubles tell is told: what is there holds all rows
            straight = at.change(a, equations, short, -at.weight * at.slack)
            foreseen = at.moved(straight, at.reach(straight))
            center = gap / there.sum() * (float((foreseen.weight * foreseen.slack).sum()) / gap) ** 3
            bent = at.change(a, equations, short, there * (center - at.weight * at.slack - straight.weight * straight.slack))
            reach = at.reach(bent)
            at = at.moved(bent, 1.0 if reach == 1.0 else _BACK * reach)
        y = at.y.copy()
        y[:, 0] = 0.0
        return np.where(there, c - _by_row(a, y), np.inf).min(axis=1), y[:, 1:]

    def _bend(self, y: Floats) -> Floats:
        """The slope of q / 2."""
        found = np.zeros_like(y)
        found[:, 1:] = y[:, 1:] @ self.own
        found[1:, 1:] -= self.beside * y[:-1, 1:]
        found[:-1, 1:] -= self.beside * y[1:, 1:]
        return found

    def _equations(self, a: Floats, share: Floats) -> _Equations:
        """The normal equations where each row counts by such a share."""
        n, _, columns = a.shape
        size = columns // 2
        products = a.transpose(0, 2, 1) @ (a * share[:, :, None])
        block, across = np.zeros((n + 1, 1 + size, 1 + size)), np.zeros((n, 1 + size, 1 + size))
        block[:n] = products[:, : 1 + size, : 1 + size]
        block[n, 0, 0] = 1.0
        block[1:, 1:, 1:] += products[:, 1 + size :, 1 + size :]
        block[:, 1:, 1:] += self.own
        across[:, :, 1:] = products[:, : 1 + size, 1 + size :]
        place = np.arange(1, 1 + size)
        across[:, place, place] -= self.beside
        return _Equations(block, across)


@dataclass(frozen=True, eq=False)
class _Point:
    """m and d (n + 1, 1 + size), what rows leave and what they weigh (n, rows); or a change of these."""

    y: Floats
    slack: Floats
    weight: Floats

    def change(self, a: Floats, equations: _Equations, short: Floats, product: Floats) -> _Point:
        """Where all weights are to add up to what they are short of, and their product with the slack is to change so."""
        more = product / self.slack
        y = equations.solve(short - _by_column(a, more))
        slack = -_by_row(a, y)
        return _Point(y, slack, more - self.weight / self.slack * slack)

    def reach(self, change: _Point) -> float:
        """So much of a change, up to all, leaves slack and weights above zero."""
        return min(_longest(self.slack, change.slack), _longest(self.weight, change.weight))

    def moved(self, change: _Point, reach: float) -> _Point:
        return _Point(self.y + reach * change.y, self.slack + reach * change.slack, self.weight + reach * change.weight)


class _Equations:
    """Symmetric block tridiagonal equations with `block` (n + 1, b, b) and `across` (n, b, b) from each block to the next, by elimination."""

    def __init__(self, block: Floats, across: Floats) -> None:
        self._inverse, self._onto = np.empty_like(block), np.empty_like(across)
        for k, own in enumerate(block):
            self._inverse[k] = np.linalg.inv(own - across[k - 1].T @ self._onto[k - 1] if k else own)
            if k < len(across):
                self._onto[k] = self._inverse[k] @ across[k]

    def solve(self, right: Floats) -> Floats:
        """The unknowns (n + 1, b) of a right side (n + 1, b)."""
        found = right.copy()
        for k, onto in enumerate(self._onto):
            found[k + 1] -= onto.T @ found[k]
        found = np.asarray((self._inverse @ found[:, :, None])[:, :, 0], np.float64)
        for k in range(len(self._onto) - 1, -1, -1):
            found[k] -= self._onto[k] @ found[k + 1]
        return found


def _by_row(a: Floats, y: Floats) -> Floats:
    """What rows (n, rows, 1 + 2 size) come to at y (n + 1, 1 + size): at a stage's own block, and at d of the next."""
    return np.asarray((a @ np.concatenate([y[:-1], y[1:, 1:]], axis=1)[:, :, None])[:, :, 0], np.float64)


def _by_column(a: Floats, weight: Floats) -> Floats:
    """What rows of such weights (n, rows) add up to by column, (n + 1, 1 + size)."""
    n, _, columns = a.shape
    size = columns // 2
    sums = (weight[:, None] @ a)[:, 0]
    found = np.zeros((n + 1, 1 + size))
    found[:n] = sums[:, : 1 + size]
    found[1:, 1:] += sums[:, 1 + size :]
    return found


def _longest(values: Floats, change: Floats) -> float:
    """So much of the change, up to all, leaves values above zero."""
    down = change < 0
    return min(1.0, float((values[down] / -change[down]).min(initial=1.0)))
