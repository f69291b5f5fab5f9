"""A case folder that the tests of this folder share: a small network with two pumps, a valve and a tank, and a case.toml to fill in."""

from __future__ import annotations

from pathlib import Path

from levada import cases

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

INP = """[JUNCTIONS]
 J1 10 0
 J2 10 12 day
 J3 12 8 day
 K 8 2 flat
[RESERVOIRS]
 R 10
[TANKS]
 T 40 3 1 5 12 0
[PIPES]
 a J1 J2 500 300 120
 b J2 T 500 300 120
 c J2 J3 300 200 120
 e J1 J3 900 150 120
[VALVES]
 V J3 K 150 PRV 40 0
[PUMPS]
 P R J1 HEAD 1
 Q R J1 HEAD 1
[CURVES]
 1 30 40
[PATTERNS]
 day 0.5 1.0 1.5 1.0
 flat 1
 cents 10 20 30
[ENERGY]
 Global Price 1
 Global Pattern cents
 Pump Q Price 2
[STATUS]
 Q Closed
[TIMES]
 Duration 24
 Hydraulic Timestep 0:30
 Pattern Timestep 1:00
[OPTIONS]
 Units LPS
 Accuracy 0.00001
[END]
"""

HEAD = """network = "network.inp"
start = 2026-03-02T00:00:00
time_zone = "Europe/Lisbon"
horizon = "4h"
tariff = 0.15
"""


def write_case(folder: Path, more: str = "", *, head: str = HEAD, inp: str = INP, **files: str) -> Path:
    """Write a case into a folder: `head` and `more` make its case.toml; `files` by name, `_csv` standing for `.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.inp").write_text(inp)
    (folder / "case.toml").write_text(head + more)
    for name, text in files.items():
        (folder / name.replace("_csv", ".csv")).write_text(text)
    return folder


def load_case(folder: Path, more: str = "", **rest: str) -> cases.Case:
    return cases.load(write_case(folder, more, **rest))
