"""What an INP says besides the network itself: its hydraulic step, where its patterns begin, demands and energy prices by its patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from epanet import toolkit

from levada.domain.network import Network
from levada.domain.pumping import Ints
from levada.domain.series import Floats
from levada.domain.timeline import Timeline
from levada.hydraulics.epanet import Project, open_project
from levada.hydraulics.inp import pattern_demands

__all__ = ["InpTimes", "clock_demands", "inp_times", "network_prices"]

_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class InpTimes:
    """Seconds: the INP's hydraulic step, and the clock time at which its simulation starts."""

    hydraulic_step_s: int
    start_clock_s: int


def inp_times(network: Network) -> InpTimes:
    with open_project(network.inp, network.name) as project:
        return InpTimes(toolkit.gettimeparam(project.handle, toolkit.HYDSTEP), toolkit.gettimeparam(project.handle, toolkit.STARTTIME))


def _pattern_seconds(timeline: Timeline, times: InpTimes, *, by_clock: bool) -> Ints:
    """Pattern time at each minute of the horizon, s: what the clock shows since midnight of the first day, counted from the INP's Start
    ClockTime; or the time since the case's start. By the clock it jumps where the clock does."""
    if not by_clock:
        return np.arange(len(timeline.minutes), dtype=np.int64) * 60
    first = (timeline.start_clock_minute * 60 - times.start_clock_s) % _DAY_S
    shown = timeline.clock_minute + 1440 * timeline.local_day
    return np.asarray(np.maximum(first + (shown - shown[0]) * 60, 0), np.int64)


def clock_demands(network: Network, timeline: Timeline, times: InpTimes, *, by_clock: bool) -> Floats:
    """Demand of each junction by the INP's patterns, m3/s, (n, junctions): the mean over each step.

    Patterns follow the clock, over its changes too (`by_clock`), or the time since the case's start.
    """
    at = _pattern_seconds(timeline, times, by_clock=by_clock)
    total = np.zeros((len(timeline.steps), len(network.junctions)))
    for part, first_minute, owner in timeline.same_offset():
        np.add.at(total, owner, pattern_demands(network, part, start_clock_s=int(at[first_minute])) * np.array(part.durations_s)[:, None])
    mean: Floats = total / np.array(timeline.steps.durations_s)[:, None]
    return mean


def network_prices(network: Network, timeline: Timeline, times: InpTimes, *, by_clock: bool) -> Floats:
    """Price of energy at each pump by the INP's [ENERGY] section, in its own money per kWh, (n, pumps): the mean over each step.

    As EPANET reckons: a pump's own price and pattern before the global ones.
    """
    with open_project(network.inp, network.name) as project:
        ph = project.handle
        pattern_step = toolkit.gettimeparam(ph, toolkit.PATTERNSTEP)
        began = toolkit.gettimeparam(ph, toolkit.PATTERNSTART)
        period = (_pattern_seconds(timeline, times, by_clock=by_clock) + began) // pattern_step
        prices = np.zeros((len(timeline.steps), len(network.pumps)))
        for j, pump in enumerate(network.pumps):
            link = toolkit.getlinkindex(ph, pump.name)
            price = toolkit.getlinkvalue(ph, link, toolkit.PUMP_ECOST) or toolkit.getoption(ph, toolkit.GLOBALPRICE)
            pattern = int(toolkit.getlinkvalue(ph, link, toolkit.PUMP_EPAT) or toolkit.getoption(ph, toolkit.GLOBALPATTERN))
            values = _pattern(project, pattern)
            prices[:, j] = timeline.mean(price * values[period % len(values)])
        return prices


def _pattern(project: Project, index: int) -> Floats:
    if index <= 0:
        return np.ones(1)
    length = toolkit.getpatternlen(project.handle, index)
    return np.array([toolkit.getpatternvalue(project.handle, index, i) for i in range(1, length + 1)])
