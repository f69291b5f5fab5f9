"""Schedules led by values by tank: a beam over true steps, each state judged by what was paid until it and what V says is still to pay at least.

Where V leaves little, schedules worth having are nowhere far above it. What follows each state in each configuration is ranked by planes through the steps seen; the most promising are run in EPANET, and of
those that hold all limits the best are kept, spread over starts used and water stored as in the first search (search.py). V knows no starts, so each is paid a little, in some beams more than in others; and
as pumps come whole, a tank may be left a little short at the end, so some beams take tanks for lower than they are, by ever more towards the end.

Ow and Morton 1988, Filtered beam search in scheduling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import Bools, PumpSchedule
from levada.domain.series import Floats
from levada.schedule.bars import Bars
from levada.schedule.candidate import Candidate, Runner, Trial, penalty
from levada.schedule.joint import JointConfigurations
from levada.schedule.near import levers_of
from levada.schedule.plant import Ints
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.race import race
from levada.schedule.search import keep
from levada.schedule.settle import settled
from levada.schedule.tank_planes import Planes
from levada.schedule.tank_values import TankValues

__all__ = ["Lead", "search_by_tanks"]

_BEAMS = ((0.01, 3e-4), (0.0, 1e-3), (0.0, 3e-4), (0.01, 1e-3))
"""For each beam what tanks are taken to be lower by at the end, as a share of the whole, and what a start is paid, as a share of the cost."""

_MOST_ROWS, _LEAST_ROWS, _KEPT = 6400, 240, 8
"""Steps that are run at an instant at most and at least; of those one in so many is kept. With a quarter of the most, whether grown 5/4's best valley was found hung on which of the V that tell as much led."""

_MOST_RANKED = 60_000
"""States kept times configurations."""

_MOST_LINKS, _ALL_LINKS = 20_000_000, 40_000_000
"""Solves times links of the network, of a beam and of all: some ten seconds, and twice as many."""

_TURNS = 4
"""So often are the next best steps run as well, where of those before too few hold all limits."""

_FAR, _FAR_COSTS = 0.02, 1.0
"""Planes may be wrong by this share of a tank before what is beyond its limits costs, for a whole tank so many times the whole cost."""

_FITTING, _EACH = 40, 2
"""So many of a beam's best are tried for starts by pump, and so many of those that fit are simulated as a whole."""

_RACE = 4
"""So many of the best of all beams go on by programmes."""


@dataclass(frozen=True, eq=False)
class Lead:
    """What beams go by: V, planes of what steps cost and lead to, and which configurations were seen to hold in each step, `held` (n, J)."""

    joint: JointConfigurations
    values: TankValues
    planes: Planes
    held: Bools

    def to_pay(self, k: int, x: Floats, lower: float) -> Floats:
        """V at instant k and states (..., tanks), for tanks as if they were lower by so much of the way to the end."""
        n = self.joint.plant.n
        return self.values.at(np.full(x.shape[:-1], k), np.clip(x - lower * k / n, 0.0, 1.0) if lower else x)


def search_by_tanks(runner: Runner, lead: Lead, cost: float, price: float, work: Work, teller: Teller) -> PumpSchedule | None:
    """The best schedule of some beams, after programmes near them; None where they find none. `cost`: that of a schedule known, `price`: cost of a unit of severity."""
    found: dict[bytes, Candidate] = {}

    def is_over(bests: list[Candidate]) -> bool:
        """Notes what was found: nothing but the end of the way ends it, since its bound is what leads."""
        found.update({c.key: c for c in bests})
        return False

    def ranked() -> list[Candidate]:
        return sorted(found.values(), key=lambda c: c.objective(price))

    rows, links = _rows(runner, lead)
    for lower, share in _BEAMS[: max(1, _ALL_LINKS // links)]:
        trials = _beam(runner, lead, rows, abs(cost), share * abs(cost), lower, price, teller)
        is_over([c for c in runner.simulate_all(trials) if c is not None] if trials else [])
        teller("search", min((c.cost for c in found.values() if c.severity == 0), default=None))
    race(runner, ranked()[:_RACE], levers_of(runner.plant), price, work, teller, is_over)
    return settled(runner, ranked()[:_RACE], price, teller, programmes=work.quick_programmes > 0)[1] if found else None


def _rows(runner: Runner, lead: Lead) -> tuple[int, int]:
    """How many steps a beam runs at an instant, and how many solves times links that takes."""
    problem = runner.plant.problem
    solves = sum(-(-int(s) // problem.hydraulic_step_s) for s in problem.steps.durations_s)
    links = solves * max(len(problem.network.links), 1)
    most = min(_MOST_ROWS, _MOST_LINKS // links, _KEPT * _MOST_RANKED // len(lead.joint))
    rows = max(_LEAST_ROWS, most)
    return rows, rows * links


@dataclass(frozen=True)
class _States:
    """States kept, by row: volume (N, tanks); cost, with starts as the bill has them; configurations (N, steps done) and counts (N, steps done, classes) so far; starts used today
    (N, classes); all starts (N,)."""

    volume: Floats
    cost: Floats
    kinds: Ints
    past: Ints
    used: Ints
    starts: Ints


def _beam(runner: Runner, lead: Lead, rows: int, scale: float, per_start: float, lower: float, price: float, teller: Teller) -> list[Trial]:
    """The best schedules of a beam that fit, the best first; none where it was told to stop."""
    plant, whole, joint = runner.plant, runner.whole, lead.joint
    bars, classes = Bars(plant), len(plant.classes)
    wear = np.array([whole.wear(c) for c in range(classes)])
    limited = bars.starts.min(axis=0) < plant.n * plant.class_size / 2
    s = _States(
        plant.simulator.volumes(plant.problem.initial_level_m)[None], np.zeros(1), np.zeros((1, 0), np.int64), np.zeros((1, 0, classes), np.int64),
        np.zeros((1, classes), np.int64), np.zeros(1, np.int64),
    )  # fmt: skip

    def left(k: int, x: Floats) -> Floats:
        """What is still to pay at instant k."""
        if k < plant.n:
            return lead.to_pay(k, x, lower)
        volume = plant.volume(x.reshape(-1, plant.tanks))
        return np.asarray(whole.stored(volume) + price * penalty(whole.end(volume)), np.float64).reshape(x.shape[:-1])

    for k in range(plant.n):
        if not teller("search"):
            return []
        x, ready = plant.state(s.volume), np.flatnonzero(joint.ready[k] & lead.held[k])
        counts, choices = joint.counts[ready], joint.choices[ready]
        begun, used, broken = bars.look(k, s.past, s.used, counts)
        step, kind = np.full((len(x), len(ready)), k), np.broadcast_to(ready, (len(x), len(ready)))
        paid, after = lead.planes.at(step, kind, np.broadcast_to(x[:, None], (*kind.shape, plant.tanks)))
        after = np.where(plant.problem.may_stand_full, np.minimum(after, 1.0), after)
        beyond = (np.maximum(after - 1.0, 0.0) + np.maximum(-after, 0.0)).sum(axis=2)
        accrued = begun @ wear + sum(whole.deviation(k, c, counts[:, c]) for c in range(classes))
        starts = s.starts[:, None] + begun.sum(axis=2)
        score = s.cost[:, None] + paid + accrued + per_start * starts + left(k + 1, after) + _FAR_COSTS * scale * np.maximum(beyond - _FAR, 0.0)
        best_first = np.argsort(np.where(broken > 0, np.inf, score).ravel(), kind="stable")[: int((broken == 0).sum())]
        i, j, cost, volume = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros((0, plant.tanks))
        for first in range(0, min(len(best_first), _TURNS * rows), rows):
            row, of = np.divmod(best_first[first : first + rows], len(ready))
            run = runner.steps(k, s.volume[row], counts[of], np.where(counts[of] > 0, plant.top_speed, 0.0), choices[of])
            holds = run.severity == 0.0
            i, j, cost = np.append(i, row[holds]), np.append(j, of[holds]), np.append(cost, run.cost[holds])
            volume = np.concatenate([volume, run.volume[holds]])
            if len(i) * _KEPT >= 2 * rows:
                break
        if not len(i):
            return []
        x, cost = plant.state(volume), s.cost[i] + cost + accrued[i, j]
        first_counts = s.past[i, 0] if k and bars.is_periodic else counts[j] * int(bars.is_periodic)
        kept = keep(cost + per_start * starts[i, j] + left(k + 1, x), x, counts[j], used[i, j], first_counts, limited, rows // _KEPT)
        i, j = i[kept], j[kept]
        s = _States(
            volume[kept], cost[kept], np.concatenate([s.kinds[i], ready[j][:, None]], axis=1), np.concatenate([s.past[i], counts[j][:, None]], axis=1),
            used[i, j], starts[i, j],
        )  # fmt: skip
    order = np.argsort(s.cost + left(plant.n, plant.state(s.volume)), kind="stable")[:_FITTING]
    fitting = [r for r in order.tolist() if runner.fits(s.past[r])][:_EACH]
    return [(s.past[r], np.where(s.past[r] > 0, plant.top_speed, 0.0), joint.choices[s.kinds[r]]) for r in fitting]
