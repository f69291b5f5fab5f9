"""A version of Levada to be held against others: another installation on this machine, told by its Python."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from levada.domain.errors import SetupError
from levada.runs.child import ComputeChild
from levada.runs.manifest import manifest

__all__ = ["Contender", "contender_at", "this_version"]

_ASK = "import json; from levada.runs.manifest import manifest; print(json.dumps(manifest().as_document()))"
_REMEDY = "give the virtual environment in which the version is installed, or its Python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """`name`: its version and the first of its sources' SHA-256. `python`: None for the version that runs. `made_with`: what its results are computed with."""

    name: str
    python: str | None
    made_with: Mapping[str, Any]

    def child(self) -> ComputeChild:
        """A process that computes with it."""
        return ComputeChild(python=self.python)


def this_version() -> Contender:
    return Contender(name=_name(manifest().as_document()), python=None, made_with=manifest().as_document())


async def contender_at(where: Path) -> Contender:
    """The version installed at `where`: a virtual environment, or a Python that has Levada. Raises SetupError, saying what was tried, where it is none."""
    python = where / "bin" / "python" if where.is_dir() else where
    if not os.access(python, os.X_OK):
        raise SetupError(f"{where}: no version of Levada: {python} is no program", _REMEDY)
    # Not resolved: a virtual environment's Python is known by its place.
    process = await asyncio.create_subprocess_exec(
        "env", "-u", "PYTHONPATH", str(python.absolute()), "-c", _ASK, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        said = err.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise SetupError(f"{where}: no version of Levada: asked for its version, {python} said: {said[0]}", _REMEDY)
    made_with = json.loads(out)
    same = made_with["sources_sha256"] == manifest().sources_sha256 and str(python.absolute()) == sys.executable
    return this_version() if same else Contender(name=_name(made_with), python=str(python.absolute()), made_with=made_with)


def _name(made_with: Mapping[str, Any]) -> str:
    return f"{made_with['levada']}+{made_with['sources_sha256'][:8]}"
