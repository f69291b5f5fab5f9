"""EPANET's C library called directly, and steps.c, which runs planning steps on it without Python in between.

The library is the one that the `owa-epanet` package brings. Handles belong to one `Project` and one thread; calls of steps.c let other threads run.
"""

from __future__ import annotations

import ctypes
import importlib.util
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from levada.domain.errors import NetworkError
from levada.domain.series import Floats
from levada.hydraulics import compiled
from levada.hydraulics.epanet import FLOW_UNITS, InpText

__all__ = ["Project", "Stepper", "double_array", "int_array"]

# Codes of the toolkit's header (epanet2_enums.h).
NODE_ELEVATION, NODE_MAXLEVEL, LINK_PATTERN = 0, 21, 15
OPTION_ACCURACY, OPTION_DEMANDMULT, OPTION_HEADERROR, OPTION_FLOWCHANGE, OPTION_PRESS_UNITS = 1, 4, 5, 6, 25
COUNT_NODE, COUNT_LINK, COUNT_CONTROL, COUNT_RULE = 0, 2, 5, 6
LINK_TYPE_PUMP = 2
_PRESSURE_M = {0: 0.3048 / 0.4333, 1: 0.3048 / (0.4333 * 6.895), 2: 1.0, 3: 0.3048 / (0.4333 * 0.068948), 4: 0.3048}
"""Metres of water by EPANET's number for its pressure units psi, kPa, m, bar, ft; factors of its types.h."""

KINDS = 8
"""Kinds of severity in steps.c."""

COMPILED = "steps.compiled"
"""File beside this one that steps.c is compiled to."""

_CONSTANT = b"levada-constant"

_P, _I, _D = ctypes.c_void_p, ctypes.c_int, ctypes.c_double
_IP, _DP = ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_double)
_SIGNATURES: Final[dict[str, list[Any]]] = {
    "createproject": [ctypes.POINTER(_P)],
    "deleteproject": [_P],
    "open": [_P, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p],
    "close": [_P],
    "openH": [_P],
    "closeH": [_P],
    "getcount": [_P, _I, _IP],
    "getflowunits": [_P, _IP],
    "getnodeindex": [_P, ctypes.c_char_p, _IP],
    "getlinkindex": [_P, ctypes.c_char_p, _IP],
    "getlinktype": [_P, _I, _IP],
    "getnodevalue": [_P, _I, _I, _DP],
    "setnodevalue": [_P, _I, _I, _D],
    "setlinkvalue": [_P, _I, _I, _D],
    "settankdata": [_P, _I, _D, _D, _D, _D, _D, _D, ctypes.c_char_p],
    "getnumdemands": [_P, _I, _IP],
    "deletedemand": [_P, _I, _I],
    "adddemand": [_P, _I, _D, ctypes.c_char_p, ctypes.c_char_p],
    "setdemandpattern": [_P, _I, _I, _I],
    "addpattern": [_P, ctypes.c_char_p],
    "getpatternindex": [_P, ctypes.c_char_p, _IP],
    "setoption": [_P, _I, _D],
    "getoption": [_P, _I, _DP],
    "setstatusreport": [_P, _I],
    "setreport": [_P, ctypes.c_char_p],
    "deletecontrol": [_P, _I],
    "deleterule": [_P, _I],
}


@cache
def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("epanet")
    if spec is None or spec.origin is None:
        raise ImportError("the owa-epanet package is not installed")
    found = sorted(p for p in Path(spec.origin).parent.iterdir() if "epanet2" in p.name and p.suffix in {".so", ".dylib", ".dll"})
    # Global, so that steps.c finds EPANET's functions in it.
    library = ctypes.CDLL(str(found[0]), mode=ctypes.RTLD_GLOBAL)
    for name, types in _SIGNATURES.items():
        function = getattr(library, f"EN_{name}")
        function.argtypes, function.restype = types, ctypes.c_int
    return library


class Project:
    """An open EPANET project, its hydraulic solver open too, without demand patterns, multipliers, pump patterns, controls and rules:
    what a planner sets, nothing else changes.

    Indices of nodes and links are EPANET's, from 1. Values are in the file's own units; `units` converts.
    Raises NetworkError when EPANET refuses the file.
    """

    def __init__(self, name: str, inp: bytes) -> None:
        self.library = _library()
        self.handle = _P()
        self.name = name
        self._check(self.library.EN_createproject(ctypes.byref(self.handle)))
        with tempfile.TemporaryDirectory(prefix="levada-") as folder:
            path = Path(folder) / "network.inp"
            path.write_bytes(InpText(inp, name).for_epanet)
            # A report that goes nowhere: without a path EPANET would write to the screen.
            self._check(self.library.EN_open(self.handle, str(path).encode(), str(Path(folder) / "report").encode(), b""))
            self.library.EN_setstatusreport(self.handle, 0)
            self.library.EN_setreport(self.handle, b"MESSAGES NO")
        self.nodes, self.links = self._count(COUNT_NODE), self._count(COUNT_LINK)
        self.units = FLOW_UNITS[self._int("getflowunits")]
        self._strip()
        self._check(self.library.EN_openH(self.handle))

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.library.EN_close(self.handle)
            self.library.EN_deleteproject(self.handle)
            self.handle = _P()

    def _check(self, code: int) -> None:
        if code >= 100:
            raise NetworkError(self.name, f"EPANET refuses it with error {code}")

    def _int(self, function: str, *args: Any) -> int:
        value = ctypes.c_int()
        self._check(getattr(self.library, f"EN_{function}")(self.handle, *args, ctypes.byref(value)))
        return value.value

    def _count(self, what: int) -> int:
        return self._int("getcount", what)

    def _strip(self) -> None:
        for _ in range(self._count(COUNT_RULE)):
            self._check(self.library.EN_deleterule(self.handle, 1))
        for _ in range(self._count(COUNT_CONTROL)):
            self._check(self.library.EN_deletecontrol(self.handle, 1))
        for link_index in range(1, self.links + 1):
            if self._int("getlinktype", link_index) == LINK_TYPE_PUMP:
                self._check(self.library.EN_setlinkvalue(self.handle, link_index, LINK_PATTERN, 0.0))
        self._check(self.library.EN_setoption(self.handle, OPTION_DEMANDMULT, 1.0))
        self._check(self.library.EN_addpattern(self.handle, _CONSTANT))
        self._constant = self._int("getpatternindex", _CONSTANT)

    def node_index(self, name: str) -> int:
        return self._int("getnodeindex", name.encode())

    def link_index(self, name: str) -> int:
        return self._int("getlinkindex", name.encode())

    def prepare_demand(self, node: int) -> None:
        """Leave one demand category, with a constant pattern, at a junction: EPANET takes pattern 0 for the default pattern."""
        for i in range(self._int("getnumdemands", node), 1, -1):
            self._check(self.library.EN_deletedemand(self.handle, node, i))
        if self._int("getnumdemands", node) == 0:
            self._check(self.library.EN_adddemand(self.handle, node, 0.0, b"", b""))
        self._check(self.library.EN_setdemandpattern(self.handle, node, 1, self._constant))

    def replace_tank(self, node: int, elevation: float, least: float, most: float) -> None:
        """Make a tank a cylinder with these limits, in the file's unit."""
        self._check(self.library.EN_settankdata(self.handle, node, elevation, 2 * least, least, most, 10.0, 0.0, b""))
        self._check(self.library.EN_setnodevalue(self.handle, node, NODE_MAXLEVEL, most))  # once more: this way it rounds as TANKLEVEL does

    def set_option(self, option: int, value: float) -> None:
        self._check(self.library.EN_setoption(self.handle, option, value))

    def option(self, option: int) -> float:
        value = ctypes.c_double()
        self._check(self.library.EN_getoption(self.handle, option, ctypes.byref(value)))
        return value.value

    def node_value(self, node: int, what: int) -> float:
        value = ctypes.c_double()
        self._check(self.library.EN_getnodevalue(self.handle, node, what, ctypes.byref(value)))
        return value.value

    @property
    def pressure_m(self) -> float:
        """Metres of water in a unit of pressure of the file."""
        return _PRESSURE_M[int(self.option(OPTION_PRESS_UNITS))]


def double_array(values: Any) -> Any:
    """A C-contiguous array of doubles."""
    return np.ascontiguousarray(values, np.float64)


def int_array(values: Any) -> Any:
    """A C-contiguous array of C's ints."""
    return np.ascontiguousarray(values, np.int32)


_SCALARS = ("length", "flow", "engine_flow", "room", "tolerance", "balanced")
_COUNTS = ("tanks", "pumps", "valves", "nodes", "links", "sources", "demands", "caps", "ports", "groups")
_ARRAYS = (
    ("tank_node", _IP), ("pump_link", _IP), ("valve_link", _IP), ("node", _IP), ("link", _IP), ("source_node", _IP), ("demand_node", _IP),
    ("port_link", _IP), ("area", _DP), ("curve_start", _IP), ("curve_level", _DP), ("curve_volume", _DP), ("min_volume", _DP),
    ("max_volume", _DP), ("may_stand_full", _IP), ("level_low_file", _DP), ("level_high_file", _DP), ("ground", _DP), ("floor", _DP),
    ("ceiling", _DP), ("least_flow", _DP), ("most_flow", _DP), ("most_source", _DP), ("demand_file", _DP), ("duration", _IP), ("reserve", _DP),
    ("reserve_most", _DP), ("cap_of", _IP), ("cap_kw", _DP), ("choice_start", _IP), ("choice_status", _IP), ("choice_setting_file", _DP),
    ("port_sign", _DP), ("group_start", _IP), ("group_node", _IP), ("group_ground", _DP), ("pump_state", _DP), ("valve_state", _IP),
)  # fmt: skip


class _Plant(ctypes.Structure):
    """Plant of steps.c, field by field."""

    _fields_ = (
        ("project", _P), *((name, _I) for name in _COUNTS), ("hydraulic_step", _I), *((name, _D) for name in _SCALARS), *_ARRAYS,
        ("step_now", _I), ("solves", ctypes.c_long),
    )  # fmt: skip


class _Solves(ctypes.Structure):
    """Solves of steps.c."""

    _fields_ = (*((name, _DP) for name in ("inflow", "flow", "power", "delivers", "pressure", "port_flow", "lowest", "source")), ("code", _IP))


@cache
def _steps_library() -> ctypes.CDLL:
    _library()
    library = compiled.library(Path(__file__).with_name(COMPILED))
    library.levada_steps.argtypes = [ctypes.POINTER(_Plant), _I, _IP, _DP, _DP, _IP, _IP, *([_DP] * 7), _I, ctypes.POINTER(_Solves)]
    library.levada_steps.restype = _I
    library.levada_solves.argtypes = [ctypes.POINTER(_Plant), _I, _IP, _DP, _DP, _IP, ctypes.POINTER(_Solves)]
    library.levada_solves.restype = _I
    return library


class Stepper:
    """steps.c on one project. Made with the fields of its Plant: arrays by name, which are kept alive here."""

    def __init__(self, project: Project, *, counts: Mapping[str, int], scalars: Mapping[str, float], hydraulic_step: int, arrays: Mapping[str, Any]) -> None:
        self._library = _steps_library()
        self._project = project
        self._plant = _Plant(project=project.handle, hydraulic_step=hydraulic_step, step_now=-1, solves=0, **counts, **scalars)
        self._arrays: dict[str, Any] = {}
        for name, kind in _ARRAYS:
            self.put(name, arrays[name], kind)

    def put(self, name: str, values: Any, kind: Any = None) -> None:
        """Replace an array of the plant."""
        kind = kind or dict(_ARRAYS)[name]
        array = double_array(values) if kind is _DP else int_array(values)
        self._arrays[name] = array
        setattr(self._plant, name, array.ctypes.data_as(kind))

    def count(self, name: str, value: int) -> None:
        """Replace a count of the plant."""
        setattr(self._plant, name, value)

    @property
    def solves(self) -> int:
        return int(self._plant.solves)

    def steps(
        self, step: Any, volume: Floats, speed: Floats, choice: Any, *, lasts_s: Any = None, trace: Floats | None = None
    ) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats, int]:
        """Rows of steps.c's levada_steps, whole steps or their first `lasts_s` (N,) seconds: after, flow, power, drawn, severity, least pressure, and the records written to `trace`."""
        return self._steps(step, volume, speed, choice, lasts_s=lasts_s, trace=trace)

    def steps_and_solves(self, step: Any, volume: Floats, speed: Floats, choice: Any) -> tuple[Any, ...]:
        """Whole steps: after, flow, power, drawn and severity, and the solves that they begin with as in solves_at."""
        solves, out = self._room(len(step))
        return (*self._steps(step, volume, speed, choice, solves=solves)[:5], *out)

    def solves_at(self, step: Any, volume: Floats, speed: Floats, choice: Any) -> tuple[Any, ...]:
        """Rows of steps.c's levada_solves: inflow, flow, power, delivers, pressure, port flow, lowest, source, code."""
        solves, out = self._room(len(step))
        step, choice, volume, speed = int_array(step), int_array(choice), double_array(volume), double_array(speed)
        done = self._library.levada_solves(
            ctypes.byref(self._plant), len(step), _ints(step), _doubles(volume), _doubles(speed), _ints(choice), ctypes.byref(solves)
        )
        if done < 0:
            raise self._too_large()
        return out

    def _steps(
        self, step: Any, volume: Floats, speed: Floats, choice: Any, *, lasts_s: Any = None, trace: Floats | None = None, solves: _Solves | None = None
    ) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats, int]:
        p, n = self._plant, len(step)
        out = [np.empty((n, width)) for width in (p.tanks, p.pumps, p.pumps, p.sources, KINDS, p.nodes)]
        step, choice, volume, speed = int_array(step), int_array(choice), double_array(volume), double_array(speed)
        lasts = None if lasts_s is None else int_array(lasts_s)
        records = self._library.levada_steps(
            ctypes.byref(p), n, _ints(step), _doubles(volume), _doubles(speed), _ints(choice), None if lasts is None else _ints(lasts), *(_doubles(o) for o in out),
            None if trace is None else _doubles(trace), 0 if trace is None else len(trace), None if solves is None else ctypes.byref(solves),
        )  # fmt: skip
        if records < 0:
            raise self._too_large()
        return out[0], out[1], out[2], out[3], out[4], out[5], records

    def _room(self, rows: int) -> tuple[_Solves, tuple[Any, ...]]:
        """Room for solves, and the arrays that it is made of."""
        p = self._plant
        out = [np.empty((rows, width)) for width in (p.tanks, p.pumps, p.pumps, p.pumps, p.nodes, p.ports, p.groups, p.sources)]
        code = np.empty(rows, np.int32)
        return _Solves(*(_doubles(o) for o in out), _ints(code)), (*out, code)

    def _too_large(self) -> NetworkError:
        return NetworkError(self._project.name, "has more tanks, pumps and limits than can be simulated at once (4,096 values a solve)")


def _doubles(array: Any) -> Any:
    return array.ctypes.data_as(_DP)


def _ints(array: Any) -> Any:
    return array.ctypes.data_as(_IP)
