"""Put a tenant in, or bring it up to date, from a folder of documents: the same call twice changes nothing.

A tenant's folder holds `tenant.toml` (id, name), one JSON file for each kind of settings document, and the EPANET network.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from levada.domain.consistency import check_consistency
from levada.domain.errors import DocumentError
from levada.domain.network import Network
from levada.domain.series import SeriesSpec
from levada.domain.settings import DOCUMENT_KINDS, Document, FileContracts, Operation, Tariff, read_document
from levada.domain.tenant import tenant_id
from levada.store.audit_log import note
from levada.store.database import Database
from levada.store.documents import put_document
from levada.store.networks import put_network
from levada.store.series import ensure_series
from levada.store.tenants import create_tenant, tenant_exists

__all__ = ["TenantFolder", "apply_tenant", "read_tenant_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFolder:
    """What a tenant's folder says: its documents, checked one by one, and its network's INP."""

    tenant_id: str
    name: str
    documents: Mapping[str, Document]
    network_name: str
    inp: bytes

    @classmethod
    def of(cls, *, tenant: str, name: str, documents: Mapping[str, Mapping[str, Any]], network_name: str, inp: bytes) -> TenantFolder:
        """Raises DocumentError for a document that is missing, unknown or does not hold."""
        for kind in DOCUMENT_KINDS:
            if kind not in documents:
                raise DocumentError(kind, "(whole document)", f"is missing; the folder needs {kind}.json")
        return cls(
            tenant_id=tenant_id(tenant),
            name=name,
            documents={kind: read_document(kind, body) for kind, body in documents.items()},
            network_name=network_name,
            inp=inp,
        )


def read_tenant_folder(folder: Path) -> TenantFolder:
    """Read a tenant's folder from disk. Raises DocumentError naming the file for whatever is missing or cannot be read."""

    def text(name: str) -> str:
        try:
            return (folder / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise DocumentError(name, "(file)", f"cannot be read from {folder}: {e}") from e

    try:
        head = tomllib.loads(text("tenant.toml"))
        tenant, name = str(head["id"]), str(head["name"])
        network = str(head.get("network", "network.inp"))
    except (tomllib.TOMLDecodeError, KeyError) as e:
        raise DocumentError("tenant.toml", "(file)", f"needs `id` and `name`: {e}") from e
    documents: dict[str, dict[str, Any]] = {}
    for kind in DOCUMENT_KINDS:
        try:
            documents[kind] = json.loads(text(f"{kind}.json"))
        except json.JSONDecodeError as e:
            raise DocumentError(f"{kind}.json", f"line {e.lineno}, column {e.colno}", e.msg) from e
    try:
        inp = (folder / network).read_bytes()
    except OSError as e:
        raise DocumentError("tenant.toml", "network", f"{network} cannot be read: {e}") from e
    return TenantFolder.of(tenant=tenant, name=name, documents=documents, network_name=network, inp=inp)


def series_of(files: FileContracts) -> list[SeriesSpec]:
    """The series that the file contracts feed."""
    specs = {
        column.series: SeriesSpec(
            series_id=column.series, quantity=column.quantity, cell_method=column.cell_method, step_s=contract.step_s, description=f"{contract.name}: {tag}"
        )
        for contract in files.contracts
        for tag, column in contract.columns.items()
    }
    return list(specs.values())


async def apply_tenant(database: Database, folder: TenantFolder, network: Network, *, by: str, at: datetime) -> dict[str, int]:
    """Store the tenant, its network and documents in one transaction; returns the version of each document now current.

    `network` is the folder's INP as read by the caller (reading it runs EPANET, which is not this layer's business).
    Raises DocumentError when documents and network do not fit each other; nothing is stored then.
    """
    documents = folder.documents
    operation, files, tariff = documents["operation"], documents["files"], documents["tariff"]
    if not (isinstance(operation, Operation) and isinstance(files, FileContracts) and isinstance(tariff, Tariff)):
        raise TypeError("documents are not of their kinds")
    check_consistency(operation, network, files, tariff)
    async with database.registry() as registry:
        if not await tenant_exists(registry, folder.tenant_id):
            await create_tenant(registry, folder.tenant_id, folder.name)
    async with database.tenant(folder.tenant_id) as db:
        await put_network(db, folder.network_name, folder.inp, by, at)
        await ensure_series(db, series_of(files))
        versions = {kind: await put_document(db, kind, document, by, at) for kind, document in documents.items()}
        await note(db, by, "tenant applied", {"versions": versions, "network": network.sha256}, at)
    return versions
