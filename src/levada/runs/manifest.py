"""With what a result was computed: where two manifests are equal, the same bundle must give the same bytes."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import levada

__all__ = ["Manifest", "manifest"]

_LIBRARIES = ("numpy", "lightgbm", "highspy", "owa-epanet", "pydantic", "holidays", "tzdata")
# What a result depends on; the rest of the product may change without changing it.
_COMPUTING = ("domain", "hydraulics", "forecast", "schedule", "kpi", "runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The code's version and the SHA-256 over the sources that compute, the versions of the libraries, and the kind of machine."""

    levada: str
    sources_sha256: str
    python: str
    libraries: dict[str, str]
    machine: str
    cpu: str

    def as_document(self) -> dict[str, object]:
        return asdict(self)


@cache
def manifest() -> Manifest:
    """Of this process."""
    root = Path(levada.__file__).parent
    digest = hashlib.sha256()
    for folder in _COMPUTING:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return Manifest(
        levada=levada.__version__,
        sources_sha256=digest.hexdigest(),
        python=platform.python_version(),
        libraries={name: version(name) for name in _LIBRARIES},
        machine=platform.machine(),
        cpu=_cpu(),
    )


def _cpu() -> str:
    """Vendor, family and model: which vector instructions the libraries choose, and so the last bit of a sum, depends on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    facts = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    return " ".join(facts[k] for k in ("vendor_id", "cpu family", "model") if k in facts) or platform.processor()
