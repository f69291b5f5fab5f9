"""The choices of controllable valves, checked, and set in EPANET in the units that its file is written in."""

from __future__ import annotations

import math

import numpy as np
from epanet import toolkit

from levada.domain.errors import ProblemError
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.pumping_terms import ValveSetting
from levada.hydraulics.epanet import Project

__all__ = ["check_choices", "set_valve"]

_PSI_M = 0.3048 / 0.4333
_PRESSURE_UNITS_M = {
    toolkit.PSI: _PSI_M,
    toolkit.KPA: _PSI_M / 6.895,
    toolkit.BAR: _PSI_M / 0.068948,
    toolkit.METERS: 1.0,
    toolkit.FEET: 0.3048,
}
"""Head of water that one unit of pressure is, with the rounded constants of EPANET 2.3's types.h: 0.4333 psi a foot, 6.895 kPa and
0.068948 bar a psi. Metres and feet are head whatever the liquid weighs; for the others its specific gravity counts."""

_SETTINGS = {"prv": "pressure", "psv": "pressure", "pbv": "pressure", "fcv": "flow", "tcv": "loss coefficient"}


def check_choices(problem: PumpingProblem, schedule: PumpSchedule) -> None:
    """Raises ValueError where the schedule's choices do not fit the problem's valves, ProblemError where a valve cannot take a choice."""
    n, valves = len(problem.steps), len(problem.valves)
    choice = schedule.valve_choice
    if (valves or choice.size) and choice.shape != (n, valves):
        raise ValueError(f"the schedule's valve_choice has shape {choice.shape}, the problem's valves need {(n, valves)}")
    if not valves:
        return
    if not np.issubdtype(choice.dtype, np.integer):
        raise ValueError(f"the schedule's valve_choice is of type {choice.dtype}, expected whole numbers")
    kinds = {x.name: x.kind for x in problem.network.links}
    for v, valve in enumerate(problem.valves):
        wrong = (choice[:, v] < 0) | (choice[:, v] >= len(valve.choices))
        if wrong.any():
            k = int(wrong.argmax())
            raise ValueError(f"valve {valve.link}, step {k}: choice {choice[k, v]} is none of its {len(valve.choices)}, 0 to {len(valve.choices) - 1}")
        for setting in valve.choices:
            if setting in ("open", "closed"):
                continue
            if kinds[valve.link] not in _SETTINGS or not isinstance(setting, int | float):
                raise ProblemError("valves", f"{valve.link} is a {kinds[valve.link]}, which cannot be set to {setting!r}; use `open` and `closed`")
            if not (math.isfinite(setting) and setting >= 0):
                raise ProblemError("valves", f"valve {valve.link}: a {_SETTINGS[kinds[valve.link]]} of {setting!r} cannot be set; give 0 or more")


def set_valve(project: Project, link_name: str, choice: ValveSetting, *, initially: bool) -> None:
    """Set a valve or pipe in an open project: fully open, closed, or acting with a setting in SI.

    `initially` sets what the run starts from, else what holds from now on. In EPANET a status takes a valve's setting away, so that it
    stays fully open or closed; a setting makes it act again.
    """
    ph = project.handle
    link = toolkit.getlinkindex(ph, link_name)
    if isinstance(choice, str):
        toolkit.setlinkvalue(ph, link, toolkit.INITSTATUS if initially else toolkit.STATUS, int(choice == "open"))
    else:
        toolkit.setlinkvalue(ph, link, toolkit.INITSETTING if initially else toolkit.SETTING, float(choice) / _setting_unit(project, link))


def _setting_unit(project: Project, link: int) -> float:
    """What one unit of a valve's setting is in SI."""
    kind = toolkit.getlinktype(project.handle, link)
    if kind in (toolkit.PRV, toolkit.PSV, toolkit.PBV):
        return _pressure_unit_m(project)
    return project.units.flow_m3_per_s if kind == toolkit.FCV else 1.0


def _pressure_unit_m(project: Project) -> float:
    """Metres of head, of the liquid in the network, that one unit of pressure in its file is."""
    unit = int(toolkit.getoption(project.handle, toolkit.PRESS_UNITS))
    is_head = unit in (toolkit.METERS, toolkit.FEET)
    return _PRESSURE_UNITS_M[unit] / (1.0 if is_head else toolkit.getoption(project.handle, toolkit.SP_GRAVITY))
