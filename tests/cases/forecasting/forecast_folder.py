"""A forecast case folder that the tests of this folder share: two weeks of two made-up zones, and a case.toml to fill in."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST = datetime(2026, 3, 1, 23, tzinfo=UTC)
"""Midnight of Monday, 2 March 2026, in Rome."""

HOURS = 16 * 24

HEAD = """name = "Town"
time_zone = "Europe/Rome"
[series]
file = "flows.csv"
unit = "l/s"
"""


def flow_l_per_s(zone: str, hour: int) -> float:
    """A daily wave, larger in one zone; no noise, so that what is expected can be told."""
    size = {"north": 10.0, "south": 40.0}[zone]
    return round(size * (1.0 + 0.5 * math.sin(2 * math.pi * (hour % 24) / 24)), 4)


def flows(hours: int = HOURS, *, first: datetime = FIRST) -> list[str]:
    """Lines of flows.csv, the header first."""
    stamps = [(first + timedelta(hours=h)).isoformat() for h in range(hours)]
    return ["time,north,south", *(f"{t},{flow_l_per_s('north', h)},{flow_l_per_s('south', h)}" for h, t in enumerate(stamps))]


def write_case(folder: Path, more: str = "", *, head: str = HEAD, lines: list[str] | None = None, **files: str) -> Path:
    """Write a case into a folder: `head` and `more` make its case.toml, `lines` its flows.csv; `files` by name, `_csv` standing for `.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "case.toml").write_text(head + more)
    (folder / "flows.csv").write_text("\n".join(flows() if lines is None else lines) + "\n")
    for name, text in files.items():
        (folder / name.replace("_csv", ".csv").replace("_json", ".json")).write_text(text)
    return folder
