"""EPANET in process: opening an INP text, its units and its messages. The thin typed edge to `epanet.toolkit`.

EPANET reads and writes files by path, so each open project lives in a temporary folder of its own that goes with it.
What an INP may name besides itself (hydraulics, map and report files) is taken out before EPANET sees it: a network
that somebody sends must not make this process read or write a path of their choosing.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from epanet import toolkit

from levada.domain.errors import NetworkError

__all__ = ["ENGINE", "FLOW_UNITS", "MAX_INP_BYTES", "EngineError", "InpText", "Project", "Units", "attempt", "open_project"]

_VERSION: int = toolkit.getversion()
ENGINE = f"EPANET {_VERSION // 10000}.{_VERSION // 100 % 100}.{_VERSION % 100}"
"""The engine and its version, such as `EPANET 2.3.5`."""

MAX_INP_BYTES = 20_000_000
"""A larger INP is refused: about 300,000 pipes, far beyond any network that is planned with."""

_LONGEST_LINE = 1000
"""EPANET reads 1024 bytes at a time and takes the rest of a longer line for a line of its own."""


class EngineError(Exception):
    """EPANET refused a call; the message is its own, such as `Error 110: cannot solve network hydraulic equations`."""


def attempt(function: Callable[..., Any], *arguments: object) -> Any:
    """Call a toolkit function that may fail for what a network or schedule is. Raises EngineError with EPANET's message.

    The toolkit raises exactly `Exception` for EPANET's errors; anything else is a fault of ours and passes.
    """
    try:
        return function(*arguments)
    except Exception as e:
        if type(e) is Exception:
            raise EngineError(str(e)) from None
        raise


_FT = 0.3048
_FT3 = _FT**3


@dataclass(frozen=True, slots=True)
class Units:
    """What one unit of a project is in SI.

    `flow_m3_per_s` is the unit by its definition (1 LPS is exactly 0.001 m3/s). EPANET computes in cubic feet and divides by
    rounded constants (28.317 l/ft3 and the like), so what it adds to a tank in a second is `engine_flow_m3_per_s` per unit
    of flow: 5e-6 off for metric units, 1.2e-4 for acre-feet. Use the first for what people read and write, the
    second for volumes that must agree with EPANET's.
    """

    name: str
    flow_m3_per_s: float
    engine_flow_m3_per_s: float
    length_m: float
    power_w: float
    """Unit of a pump's constant power: kW, or US horsepower as EPANET has it."""
    volume_m3: float
    """Unit of a volume curve."""


def _units(name: str, flow_m3_per_s: float, per_cfs: float, *, metric: bool) -> Units:
    return Units(
        name, flow_m3_per_s, _FT3 / per_cfs, 1.0 if metric else _FT, 1000.0 if metric else 745.7, 1.0 if metric else _FT3
    )


_US_GALLON_M3, _IMPERIAL_GALLON_M3, _ACRE_FOOT_M3, _DAY_S = 3.785411784e-3, 4.54609e-3, 43560 * _FT3, 86400.0

FLOW_UNITS: dict[int, Units] = {
    toolkit.CFS: _units("CFS", _FT3, 1.0, metric=False),
    toolkit.GPM: _units("GPM", _US_GALLON_M3 / 60, 448.831, metric=False),
    toolkit.MGD: _units("MGD", 1e6 * _US_GALLON_M3 / _DAY_S, 0.64632, metric=False),
    toolkit.IMGD: _units("IMGD", 1e6 * _IMPERIAL_GALLON_M3 / _DAY_S, 0.5382, metric=False),
    toolkit.AFD: _units("AFD", _ACRE_FOOT_M3 / _DAY_S, 1.9837, metric=False),
    toolkit.LPS: _units("LPS", 1e-3, 28.317, metric=True),
    toolkit.LPM: _units("LPM", 1e-3 / 60, 1699.0, metric=True),
    toolkit.MLD: _units("MLD", 1e3 / _DAY_S, 2.4466, metric=True),
    toolkit.CMH: _units("CMH", 1 / 3600, 101.94, metric=True),
    toolkit.CMD: _units("CMD", 1 / _DAY_S, 2446.6, metric=True),
    toolkit.CMS: _units("CMS", 1.0, 0.028317, metric=True),
}
"""Units by EPANET's number for its flow unit. The per-CFS figures are those of its types.h."""


class InpText:
    """The lines of an INP file: the text EPANET gets, and where in the file an element or a line stands.

    Raises NetworkError: too large, binary, or a line longer than EPANET reads.
    """

    def __init__(self, inp: bytes, name: str) -> None:
        if len(inp) > MAX_INP_BYTES:
            raise NetworkError(name, f"has {len(inp) / 1e6:.0f} MB, more than the {MAX_INP_BYTES / 1e6:.0f} MB that are taken")
        if b"\0" in inp:
            raise NetworkError(name, "is not text (it has zero bytes); export the network as an EPANET INP file")
        self.name = name
        try:
            text = inp.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = inp.decode("latin-1")  # EPANET's Windows programs write the machine's code page; only labels differ
        self._elements: dict[tuple[str, str], int] = {}
        self._echoes: dict[str, list[tuple[str, int]]] = {}
        lines, section = [], ""
        for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
            line = raw
            words = line.split(";", 1)[0].split()
            if words and words[0].startswith("["):
                section = words[0][1:5].upper()
            elif words and _names_a_file(section, words[0].upper()):
                line = ""
            elif words:
                self._elements.setdefault((section, words[0].upper()), number)
            if len(line.encode()) > _LONGEST_LINE:
                line = line.split(";", 1)[0]
                if len(line.encode()) > _LONGEST_LINE:
                    raise NetworkError(f"{name}, line {number}", f"is longer than the {_LONGEST_LINE} characters that EPANET reads; break it up")
            self._echoes.setdefault(line.strip(), []).append((section, number))
            lines.append(line)
        self.for_epanet = "\n".join(lines).encode() + b"\n"

    def element(self, sections: tuple[str, ...], element: str) -> str:
        """Where an element stands: `name, line 12`, or only the name when it has no line. Sections by their first four letters."""
        for section in sections:
            if line := self._elements.get((section, element.upper())):
                return f"{self.name}, line {line}"
        return self.name

    def echo(self, line: str, section: str | None) -> str:
        """Where a line that EPANET quotes stands; `section` by its first four letters."""
        places = self._echoes.get(line.strip(), [])
        number = next((n for s, n in places if section is None or s == section), None)
        return self.name if number is None else f"{self.name}, line {number}"


def _names_a_file(section: str, word: str) -> bool:
    """Whether EPANET would take a file name from this line. [REPORT] goes as a whole: reports are ours to ask for."""
    return section == "REPO" or (section == "OPTI" and word.startswith(("HYDR", "MAP", "VERI")))


@dataclass(slots=True)
class Project:
    """An open EPANET project: `handle` for `epanet.toolkit`, its units, its text."""

    handle: Any
    units: Units
    text: InpText
    report_path: Path
    _open: bool = field(default=True)

    @contextmanager
    def hydraulics(self) -> Iterator[None]:
        """Open EPANET's hydraulic solver. Raises NetworkError with EPANET's own reasons when the network cannot be solved."""
        try:
            attempt(toolkit.openH, self.handle)
        except EngineError as e:
            self.close()
            raise _network_error(self.text, self.report_lines(), str(e)) from None
        try:
            yield
        finally:
            if self._open:
                toolkit.closeH(self.handle)

    def close(self) -> None:
        """Close the project, so that its report is complete. Closing twice does nothing."""
        if self._open:
            self._open = False
            toolkit.close(self.handle)
            toolkit.deleteproject(self.handle)

    def report_lines(self) -> list[str]:
        """EPANET's report: its errors and warnings. Complete only once the project is closed."""
        return self.report_path.read_text(encoding="utf-8", errors="replace").splitlines()


class _QuietWarnings:
    """The toolkit turns EPANET's warnings into Python warnings that say only `WARNING`; the report says which."""

    def __enter__(self) -> _QuietWarnings:
        self._catcher = warnings.catch_warnings(record=True)
        self._caught = self._catcher.__enter__() or []
        warnings.simplefilter("always")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._catcher.__exit__(kind, error, trace)
        for caught in self._caught:
            if str(caught.message) != "WARNING":
                warnings.warn_explicit(caught.message, caught.category, caught.filename, caught.lineno)


@contextmanager
def open_project(inp: bytes, name: str) -> Iterator[Project]:
    """Open an INP in EPANET. Raises NetworkError naming file, line and fault when EPANET cannot read it."""
    text = InpText(inp, name)
    with tempfile.TemporaryDirectory(prefix="levada-epanet-") as folder, _QuietWarnings():
        inp_path, report_path = Path(folder, "network.inp"), Path(folder, "report.txt")
        inp_path.write_bytes(text.for_epanet)
        handle = toolkit.createproject()
        project = Project(handle, FLOW_UNITS[toolkit.CMS], text, report_path)
        try:
            try:
                attempt(toolkit.open, handle, str(inp_path), str(report_path), "")
            except EngineError as e:
                project.close()
                raise _network_error(text, project.report_lines(), str(e)) from None
            project.units = FLOW_UNITS[toolkit.getflowunits(handle)]
            yield project
        finally:
            project.close()


_ERROR = re.compile(r"^\s*Error (\d+): (.*)$")
_SECTION = re.compile(r"\[(\w{4})\w*\] section")
_SUMMARY_CODES = {200, 110, 223, 224, 233}  # say only that something is wrong; the other errors say what

_ELEMENTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"tank node (\S+)", ("TANK", "RESE")),
    (r"pump (\S+)", ("PUMP",)),
    (r"curve (\S+)", ("CURV",)),
    (r"with ID:\s*(\S+)", ("JUNC", "TANK", "RESE")),
)


def _network_error(text: InpText, report: list[str], raised: str) -> NetworkError:
    """The error for what EPANET reported: the place of the first fault, and up to five faults in words."""
    found: list[tuple[int, str, str]] = []
    for i, line in enumerate(report):
        if not (match := _ERROR.match(line)):
            continue
        code, message = int(match[1]), match[2].strip()
        where = text.name
        if message.endswith("section:") and i + 1 < len(report):
            quoted = report[i + 1].strip()
            section = _SECTION.search(message)
            where = text.echo(quoted, section[1].upper() if section else None)
            message = f"{message.removesuffix(' section:')}: {' '.join(quoted.split())}"
        elif code == 299 and (keyword := re.search(r"\[[^\]]*\]", message)):
            where = text.echo(keyword[0], None)
        else:
            for pattern, sections in _ELEMENTS:
                if element := re.search(pattern, message):
                    where = text.element(sections, element[1])
                    break
        found.append((code, where, message))
    faults = [f for f in found if f[0] not in _SUMMARY_CODES] or found
    if not faults:
        return NetworkError(text.name, f"EPANET cannot use it: {raised}")
    _, where, message = faults[0]
    others = [f"{w.removeprefix(text.name + ', ')}: {m}" for _, w, m in faults[1:5]]
    if len(faults) > 5:
        others.append(f"and {len(faults) - 5} more")
    return NetworkError(where, "; ".join([message, *others]))
