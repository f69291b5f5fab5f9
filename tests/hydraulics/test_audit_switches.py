"""Pumps that switch within hours and at odd seconds: the audit and the simulator of the search against EPANET with time controls in its file."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from epanet import toolkit
from tests.hydraulics.networks import START, example_inp, problem_for, small_inp

from levada.domain.network import Network
from levada.domain.pumping import PumpSchedule
from levada.domain.time import Steps
from levada.hydraulics.audit import audit
from levada.hydraulics.inp import read_network
from levada.hydraulics.simulate import Simulator

HOURS = 6


@dataclass(frozen=True)
class Plain:
    """EPANET's own run: instants of its solves, s; levels there, m (solves, tanks); energy, kWh."""

    at_s: list[int]
    level_m: np.ndarray
    kwh: float


def plain_run(inp: bytes, network: Network, switches: dict[str, list[int]], folder: Path, hydraulic_step_s: int) -> Plain:
    """The INP with a time control for each switch (every pump is closed until its first), simulated for HOURS."""
    text = re.sub(r"\[(CONTROLS|RULES|REPORT)\][^\[]*", "", inp.decode("latin-1")).replace("[END]", "")
    # EPANET cuts fractions of a second off, which its conversion from hours makes: half a second more keeps the second that is meant.
    controls = [f" LINK {pump} {'CLOSED' if i % 2 else 'OPEN'} AT TIME {at}.5 SEC" for pump, times in switches.items() for i, at in enumerate(times)]
    closed = [f" {p.name} CLOSED" for p in network.pumps]
    (folder / "plain.inp").write_text("\n".join([text, "[STATUS]", *closed, "[CONTROLS]", *controls, "[END]", ""]))
    ph = toolkit.createproject()
    try:
        toolkit.open(ph, str(folder / "plain.inp"), str(folder / "plain.rpt"), "")
        toolkit.settimeparam(ph, toolkit.DURATION, HOURS * 3600)
        toolkit.settimeparam(ph, toolkit.HYDSTEP, hydraulic_step_s)
        metre = 1.0 if toolkit.getflowunits(ph) >= toolkit.LPS else 0.3048
        nodes, links = [toolkit.getnodeindex(ph, t.name) for t in network.tanks], [toolkit.getlinkindex(ph, p.name) for p in network.pumps]
        toolkit.openH(ph)
        toolkit.initH(ph, toolkit.NOSAVE)
        at, levels, kwh = [], [], 0.0
        while True:
            at.append(toolkit.runH(ph))
            levels.append([toolkit.getnodevalue(ph, n, toolkit.HEAD) * metre - t.elevation_m for n, t in zip(nodes, network.tanks, strict=True)])
            power = sum(toolkit.getlinkvalue(ph, link, toolkit.ENERGY) for link in links)
            seconds = toolkit.nextH(ph)
            if seconds <= 0:
                return Plain(at, np.array(levels), kwh)
            kwh += power * seconds / 3600
    finally:
        toolkit.deleteproject(ph)


SMALL = small_inp(options="").encode()


@pytest.mark.parametrize("hydraulic_step_s", [3600, 900, 420])
@pytest.mark.parametrize(
    ("name", "switches"),
    [
        ("small", {"P": [601, 5000, 9037, 12240, 17999]}),
        ("Net3.inp", {"10": [1234, 4321, 18000], "335": [60, 3660, 7261, 20000]}),
    ],
)
def test_switches_at_odd_seconds_are_simulated_as_epanet_does_it_with_time_controls(name: str, switches: dict[str, list[int]], hydraulic_step_s: int, tmp_path: Path) -> None:
    inp = SMALL if name == "small" else example_inp(name)
    network = read_network(inp, name)
    plain = plain_run(inp, network, switches, tmp_path, hydraulic_step_s)
    hourly = problem_for(network, hours=HOURS, hydraulic_step_s=hydraulic_step_s, end_level_m=np.zeros(len(network.tanks)), may_stand_full=np.zeros(len(network.tanks), bool))
    problem = hourly.on_steps(np.array([at for times in switches.values() for at in times]))
    edges = problem.steps.offsets_s
    on = np.stack([np.searchsorted(switches[p.name], edges[:-1], side="right") % 2 == 1 for p in network.pumps], axis=1)
    schedule = PumpSchedule(on=on, speed=on.astype(float))
    result = audit(problem, schedule).trajectory
    place = [plain.at_s.index(int(at)) for at in edges]  # EPANET solves at every edge
    assert result.level_m == pytest.approx(plain.level_m[place], abs=1e-5)
    assert result.energy_kwh == pytest.approx(plain.kwh, rel=1e-5)
    quick = Simulator(problem).run(schedule)
    assert quick.level_m == pytest.approx(plain.level_m[place], abs=2e-3)
    assert quick.energy_kwh == pytest.approx(plain.kwh, rel=1e-3)


def test_a_hydraulic_step_longer_than_the_steps_solves_once_in_each() -> None:
    network = read_network(SMALL, "small.inp")
    steps = Steps(START, (1200, 2400, 3000, 600))
    fields: dict[str, Any] = {"steps": steps, "demand_m3_per_s": np.full((4, len(network.junctions)), 0.004), "price_per_kwh": np.full((4, 1), 0.1), "available": np.ones((4, 1), bool)}
    on = np.array([[True], [False], [True], [True]])
    schedule = PumpSchedule(on=on, speed=on.astype(float))
    long, equal = (audit(problem_for(network, hydraulic_step_s=s, **fields), schedule).trajectory for s in (7200, 3000))
    assert (long.level_m == equal.level_m).all()
    finer = audit(problem_for(network, hydraulic_step_s=300, **fields), schedule).trajectory
    assert abs(finer.level_m[-1, 0] - long.level_m[-1, 0]) > 1e-4
    assert timedelta(seconds=int(steps.offsets_s[-1])) == timedelta(hours=2)
