"""Second versions for tests: a copy of the sources with one text changed, and a Python that has it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import levada

SOURCES = Path(levada.__file__).parents[1]
ROOT = Path(__file__).parents[2]


def another_version(top: Path, file: str, text: str, changed: str) -> Path:
    """The Python of a version made in the empty folder `top`, in which `text` of a file reads otherwise."""
    shutil.copytree(SOURCES / "levada", top / "levada", ignore=shutil.ignore_patterns("__pycache__"))
    before = (top / "levada" / file).read_text()
    assert before.count(text) == 1
    (top / "levada" / file).write_text(before.replace(text, changed))
    python = top / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={top}:{ROOT} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python
