"""EPANET's C functions called directly: the few that a search calls a million times, without a wrapper's cost per call.

The library is the one that the `owa-epanet` package brings. Handles belong to one `Project` and one thread.
"""

from __future__ import annotations

import ctypes
import importlib.util
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from levada.domain.errors import NetworkError
from levada.domain.series import Floats
from levada.hydraulics.epanet import FLOW_UNITS, InpText

__all__ = ["Project"]

# Codes of the toolkit's header (epanet2_enums.h).
NODE_ELEVATION, NODE_TANKLEVEL, NODE_DEMAND, NODE_HEAD = 0, 8, 9, 10
NODE_MAXLEVEL = 21
LINK_FLOW, LINK_INITSTATUS, LINK_INITSETTING, LINK_ENERGY, LINK_PATTERN, LINK_PUMP_STATE = 8, 4, 5, 13, 15, 16
OPTION_ACCURACY, OPTION_DEMANDMULT = 1, 4
COUNT_NODE, COUNT_LINK, COUNT_CONTROL, COUNT_RULE = 0, 2, 5, 6
LINK_TYPE_PUMP = 2
PUMP_OPEN = 3.0
INIT_FLOWS = 10
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
    "initH": [_P, _I],
    "runH": [_P, ctypes.POINTER(ctypes.c_long)],
    "getcount": [_P, _I, _IP],
    "getflowunits": [_P, _IP],
    "getnodeindex": [_P, ctypes.c_char_p, _IP],
    "getlinkindex": [_P, ctypes.c_char_p, _IP],
    "getlinktype": [_P, _I, _IP],
    "getnodevalue": [_P, _I, _I, _DP],
    "getnodevalues": [_P, _I, _DP],
    "getlinkvalues": [_P, _I, _DP],
    "setnodevalue": [_P, _I, _I, _D],
    "setlinkvalue": [_P, _I, _I, _D],
    "settankdata": [_P, _I, _D, _D, _D, _D, _D, _D, ctypes.c_char_p],
    "getnumdemands": [_P, _I, _IP],
    "deletedemand": [_P, _I, _I],
    "setbasedemand": [_P, _I, _I, _D],
    "adddemand": [_P, _I, _D, ctypes.c_char_p, ctypes.c_char_p],
    "setdemandpattern": [_P, _I, _I, _I],
    "addpattern": [_P, ctypes.c_char_p],
    "getpatternindex": [_P, ctypes.c_char_p, _IP],
    "setoption": [_P, _I, _D],
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
    library = ctypes.CDLL(str(found[0]))
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
        self._name = name
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
        self._node_values = np.zeros(self.nodes)
        self._link_values = np.zeros(self.links)
        self._node_pointer = self._node_values.ctypes.data_as(_DP)
        self._link_pointer = self._link_values.ctypes.data_as(_DP)
        self._time = ctypes.c_long()
        self.set_node: Callable[[Any, int, int, float], int] = self.library.EN_setnodevalue
        self.set_link: Callable[[Any, int, int, float], int] = self.library.EN_setlinkvalue

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.library.EN_close(self.handle)
            self.library.EN_deleteproject(self.handle)
            self.handle = _P()

    def _check(self, code: int) -> None:
        if code >= 100:
            raise NetworkError(self._name, f"EPANET refuses it with error {code}")

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

    def set_demand(self, node: int, value: float) -> None:
        """Demand of a junction in the file's flow unit."""
        self._check(self.library.EN_setbasedemand(self.handle, node, 1, value))

    def set_option(self, option: int, value: float) -> None:
        self._check(self.library.EN_setoption(self.handle, option, value))

    def node_value(self, node: int, what: int) -> float:
        value = ctypes.c_double()
        self._check(self.library.EN_getnodevalue(self.handle, node, what, ctypes.byref(value)))
        return value.value

    def solve(self) -> int:
        """One hydraulic solve from EPANET's initial flows, so that nothing solved before can matter. Returns EPANET's code: 0, a
        warning, or from 100 an error, after which results mean nothing."""
        self.library.EN_initH(self.handle, INIT_FLOWS)
        return int(self.library.EN_runH(self.handle, ctypes.byref(self._time)))

    def node_values(self, what: int) -> Floats:
        """Values of all nodes, index 0 being EPANET's node 1. The array is reused by the next call."""
        self.library.EN_getnodevalues(self.handle, what, self._node_pointer)
        return self._node_values

    def link_values(self, what: int) -> Floats:
        """Values of all links, index 0 being EPANET's link 1. The array is reused by the next call."""
        self.library.EN_getlinkvalues(self.handle, what, self._link_pointer)
        return self._link_values
