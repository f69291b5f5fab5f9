"""The input of a planning run, as typed values and as a bundle. Each is made from the other without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from levada.domain.bundle import Bundle, BundleError, canonical_json, readings_from_bytes, readings_to_bytes
from levada.domain.plan import Plan
from levada.domain.series import Readings
from levada.domain.settings import Document, Operation, Tariff, Utility
from levada.domain.tenant import TenantId
from levada.domain.time import isoformat_z, parse_instant, require_utc

__all__ = ["PlanInput", "StoredModels"]

_KIND = "plan"
_D = TypeVar("_D", bound=Document)


@dataclass(frozen=True, slots=True)
class StoredModels:
    """A training's models: zone -> text; `trained_at` is the instant whose knowledge they were trained on."""

    trained_at: datetime
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInput:
    """All that a planning run knows. `readings` maps series_id to what was known of it by `issue_time`, SI."""

    tenant_id: TenantId
    issue_time: datetime
    utility: Utility
    tariff: Tariff
    operation: Operation
    inp: bytes
    readings: Mapping[str, Readings]
    previous_plan: Plan | None = None
    models: StoredModels | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "issue_time", require_utc(self.issue_time, "issue time"))

    def to_bundle(self) -> Bundle:
        parts = {
            "context.json": canonical_json({"tenant_id": self.tenant_id, "issue_time": isoformat_z(self.issue_time)}),
            "network.inp": self.inp,
            "utility.json": canonical_json(self.utility.model_dump(mode="json")),
            "tariff.json": canonical_json(self.tariff.model_dump(mode="json")),
            "operation.json": canonical_json(self.operation.model_dump(mode="json")),
            **{f"series/{name}": readings_to_bytes(r) for name, r in self.readings.items()},
        }
        if self.previous_plan is not None:
            parts["previous_plan.json"] = canonical_json(self.previous_plan.model_dump(mode="json"))
        if self.models is not None:
            parts["models.json"] = canonical_json({"trained_at": isoformat_z(self.models.trained_at)})
            parts |= {f"models/{zone}": text.encode() for zone, text in self.models.texts.items()}
        return Bundle(_KIND, parts)

    @classmethod
    def of(cls, bundle: Bundle) -> PlanInput:
        """Raises BundleError when the bundle is of another kind, lacks a part, or has one that does not hold under this code."""
        if bundle.kind != _KIND:
            raise BundleError(bundle.bundle_id, f"is a bundle for {bundle.kind!r}, not for a plan")

        def document(model: type[_D], name: str) -> _D:
            return model.model_validate_json(bundle.parts[name])

        try:
            context: dict[str, Any] = json.loads(bundle.parts["context.json"])
            previous = bundle.parts.get("previous_plan.json")
            return cls(
                tenant_id=context["tenant_id"],
                issue_time=parse_instant(context["issue_time"]),
                utility=document(Utility, "utility.json"),
                tariff=document(Tariff, "tariff.json"),
                operation=document(Operation, "operation.json"),
                inp=bundle.parts["network.inp"],
                readings={n.removeprefix("series/"): readings_from_bytes(c) for n, c in bundle.parts.items() if n.startswith("series/")},
                previous_plan=None if previous is None else Plan.model_validate_json(previous),
                models=_models(bundle.parts),
            )
        except KeyError as e:
            raise BundleError(bundle.bundle_id, f"lacks the part {e.args[0]!r}") from e
        except (ValueError, TypeError) as e:  # pydantic's ValidationError is a ValueError
            raise BundleError(bundle.bundle_id, f"has a part that does not hold under this version of Levada: {' '.join(str(e).split())[:500]}") from e


def _models(parts: Mapping[str, bytes]) -> StoredModels | None:
    if "models.json" not in parts:
        return None
    texts = {name.removeprefix("models/"): content.decode() for name, content in parts.items() if name.startswith("models/")}
    return StoredModels(parse_instant(json.loads(parts["models.json"])["trained_at"]), texts)
