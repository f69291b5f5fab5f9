"""The demo's utilities: a folder of documents each, nothing else. One code base, they differ only in data.

`serra/` is a hilly town of our own design in Portugal; its EPANET model is our own work. `ribera/` is a Spanish utility on Net3,
the US EPA's example that comes with the WNTR package (`network.toml` says where its file lies in the package).
A folder holds what any tenant's folder holds (`tenant.toml`, a JSON file for each kind of settings document, the network) and
`plant.toml`, which says what the simulated plant is really like and which Levada itself never reads.

May import domain.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from levada.domain.errors import DocumentError, SetupError
from levada.domain.settings import DOCUMENT_KINDS

__all__ = ["DemoUtility", "list_utilities"]

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoUtility:
    """A utility of the demo: its settings documents as they are written, by kind, and the EPANET model that Levada is given."""

    tenant_id: str
    name: str
    folder: Path
    documents: dict[str, dict[str, Any]]
    inp: bytes
    network_name: str


def list_utilities() -> tuple[DemoUtility, ...]:
    """All utilities of the demo, in the order of their identifiers reversed, so that our own town comes first.

    Raises SetupError when a network's package is not installed, DocumentError when a file cannot be read.
    """
    folders = sorted((p.parent for p in _HERE.glob("*/tenant.toml")), reverse=True)
    return tuple(_read(folder) for folder in folders)


def _read(folder: Path) -> DemoUtility:
    try:
        head = tomllib.loads((folder / "tenant.toml").read_text("utf-8"))
        documents = {kind: json.loads((folder / f"{kind}.json").read_text("utf-8")) for kind in DOCUMENT_KINDS}
        network = folder / str(head["network"])
        if network.suffix == ".toml":
            network = _in_package(tomllib.loads(network.read_text("utf-8")))
        inp = network.read_bytes()
    except (OSError, ValueError, KeyError) as e:
        raise DocumentError(f"demo utility {folder.name}", "(folder)", f"cannot be read: {e}") from e
    return DemoUtility(tenant_id=str(head["id"]), name=str(head["name"]), folder=folder, documents=documents, inp=inp, network_name=network.name)


def _in_package(where: dict[str, Any]) -> Path:
    """The file that `network.toml` names. The package is found, not imported: WNTR's code would want pandas."""
    package = str(where["package"])
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SetupError(f"the package {package!r}, which has a network of the demo, is not installed", "run `make setup`")
    return Path(spec.origin).parent / str(where["path"])
