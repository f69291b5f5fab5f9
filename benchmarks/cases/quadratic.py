"""Networks given by quadratic equations instead of an EPANET file, and how many of their states are solved at once.

Equations, in the data's units (L/s, m, m3, kW):

- pipe from i to j:  h_i - h_j = A q |q| + B q
- pump from i to j, running at relative speed w:  h_j - h_i = C w^2 + B w q - A q^2, q >= 0; its power is w^3 P0 + w^2 P1 q, kW
- junction: inflow = outflow + demand;  tank: head = elevation + volume / surface
- time is explicit: heads are held over a step, and each step is one solve

At speed 1 these are the equations of gops's fixed-speed pumps; at other speeds they follow the affinity laws.
Solved by Newton's method on flows and heads together, in Todini and Pilati's form: the linear system has one row a junction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats

__all__ = ["L_PER_M3", "Flows", "QuadraticNetwork", "solve_flows"]

L_PER_M3 = 1000.0
_CLOSE_M = 1e-9
_CLOSE_L_PER_S = 1e-6
"""The equations hold when heads and balances are off by less."""
_MOST_ITERATIONS = 200
_LEAST_SLOPE = 1e-7
"""m per L/s: keeps Newton's matrix regular where a pipe without a linear term carries nothing."""
_ALMOST_SHUT_L_PER_S = 1e-3
"""A pump whose flow falls below 0 from below this is shut by its check valve."""
_REOPENS_M = 1e-7
"""A shut pump opens again when it could lift so much more than is asked."""


@dataclass(frozen=True, kw_only=True, eq=False)
class QuadraticNetwork:
    """The equations' coefficients. Nodes are numbered junctions first, then tanks, then reservoirs.

    ends (pipes or pumps, 2) start and end node; loss (pipes, 2): A, B; gain (pumps, 3): A (positive), B, C; power (pumps, 2): P0, P1;
    flow ranges (.., 2) in L/s; surface_m2, tank_elevation_m (tanks,); reservoir_head_m (reservoirs,).
    """

    junctions: int
    pipe_ends: NDArray[np.intp]
    pipe_loss: Floats
    pipe_range: Floats
    pump_ends: NDArray[np.intp]
    pump_gain: Floats
    pump_power: Floats
    pump_range: Floats
    surface_m2: Floats
    tank_elevation_m: Floats
    reservoir_head_m: Floats

    @cached_property
    def ends(self) -> NDArray[np.intp]:
        """Of pipes, then pumps."""
        return np.vstack([self.pipe_ends, self.pump_ends])

    @cached_property
    def incidence(self) -> Floats:
        """(links, nodes): -1 where a link starts, 1 where it ends; pipes, then pumps."""
        matrix = np.zeros((len(self.ends), self.junctions + len(self.surface_m2) + len(self.reservoir_head_m)))
        rows = np.arange(len(self.ends))
        matrix[rows, self.ends[:, 0]] = -1.0
        matrix[rows, self.ends[:, 1]] = 1.0
        return matrix

    @property
    def tank_columns(self) -> slice:
        return slice(self.junctions, self.junctions + len(self.surface_m2))


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """Many solves at once, L/s, m, kW: pipe (N, pipes), pump (N, pumps), head (N, junctions), inflow (N, tanks), outflow from each
    reservoir (N, reservoirs), power (N, pumps); `solved` (N,) false where Newton's method did not end."""

    pipe: Floats
    pump: Floats
    head: Floats
    inflow: Floats
    outflow: Floats
    power: Floats
    solved: NDArray[np.bool_]


def solve_flows(network: QuadraticNetwork, demand: Floats, tank_head: Floats, on: NDArray[np.bool_], speed: Floats) -> Flows:
    """Flows and heads at `demand` (N, junctions) L/s, tank heads (N, tanks) m, pumps `on` at `speed` (N, pumps)."""
    count, pipes = len(demand), len(network.pipe_ends)
    inner = network.incidence[:, : network.junctions]
    outer = network.incidence[:, network.junctions :]
    fixed = np.hstack([tank_head, np.broadcast_to(network.reservoir_head_m, (count, len(network.reservoir_head_m)))])
    a, _, c = network.pump_gain.T
    speed = np.where(on, speed, 0.0)
    open_ = np.hstack([np.ones((count, pipes), bool), on])  # pumps that their check valve shuts become false
    given = fixed @ outer.T
    flow = np.hstack([np.full((count, pipes), 10.0), np.where(on, speed * np.sqrt(c / a) / 2, 0.0)])
    head = np.zeros((count, network.junctions))
    solved = np.zeros(count, bool)
    # A junction that only closed pumps reach has no equation of its own: its head is held at 0.
    anchor = ((open_ @ np.abs(inner)) == 0)[:, :, None] * np.eye(network.junctions)
    left = np.arange(count)  # rows not solved yet
    for _ in range(_MOST_ITERATIONS):
        q, is_open = flow[left], open_[left]
        loss, slope = _losses(network, q, speed[left])
        rise = head[left] @ inner.T + given[left]
        wrong = np.where(is_open, loss + rise, 0.0)
        missing = q @ inner - demand[left]
        done = (np.abs(wrong).max(axis=1, initial=0.0) < _CLOSE_M) & (np.abs(missing).max(axis=1, initial=0.0) < _CLOSE_L_PER_S)
        spare = c * speed[left] ** 2 - rise[:, pipes:]
        again = done[:, None] & on[left] & ~is_open[:, pipes:] & (spare > _REOPENS_M)
        if again.any():
            flow[left, pipes:] = np.where(again, np.sqrt(np.maximum(spare, 0.0) / a), flow[left, pipes:])
            open_[left, pipes:] |= again
            done &= ~again.any(axis=1)
            q, is_open = flow[left], open_[left]
            loss, slope = _losses(network, q, speed[left])
        solved[left[done]] = True
        if done.all():
            break
        left, q, is_open, loss, slope = left[~done], q[~done], is_open[~done], loss[~done], slope[~done]
        ease = np.where(is_open, 1.0 / slope, 0.0)
        matrix = (inner.T[None] * ease[:, None, :]) @ inner + anchor[left]
        # The next flow is flow - ease (loss + A h' + given): put into the balance of each junction, that gives the next heads h'.
        right = (q - ease * (loss + given[left])) @ inner - demand[left]
        head[left] = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
        after = q - ease * (loss + head[left] @ inner.T + given[left])
        back = after[:, pipes:] < 0
        shut = back & (q[:, pipes:] <= _ALMOST_SHUT_L_PER_S)
        after[:, pipes:] = np.where(shut, 0.0, np.where(back, q[:, pipes:] / 10, after[:, pipes:]))
        flow[left] = after
        open_[left, pipes:] &= ~shut
    pump = flow[:, pipes:]
    through = np.hstack([flow[:, :pipes], pump]) @ outer
    tanks = len(network.surface_m2)
    p0, p1 = network.pump_power.T
    return Flows(
        pipe=flow[:, :pipes], pump=pump, head=head, inflow=through[:, :tanks], outflow=-through[:, tanks:],
        power=np.where(on, speed**3 * p0 + speed**2 * p1 * pump, 0.0), solved=solved,
    )  # fmt: skip


def _losses(network: QuadraticNetwork, flow: Floats, speed: Floats) -> tuple[Floats, Floats]:
    """Head lost along each link (negative in a pump) and its slope, (N, links)."""
    pipes = len(network.pipe_ends)
    k2, k1 = network.pipe_loss.T
    a, b, c = network.pump_gain.T
    q, p = flow[:, :pipes], flow[:, pipes:]
    loss = np.hstack([(k2 * np.abs(q) + k1) * q, (a * p - b * speed) * p - c * speed**2])
    slope = np.hstack([2 * k2 * np.abs(q) + k1, 2 * a * p - b * speed])
    return loss, np.maximum(slope, _LEAST_SLOPE)
