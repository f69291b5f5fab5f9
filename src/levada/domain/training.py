"""The input of a training run, as typed values and as a bundle, and its result: one model of demand a zone, as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from levada.domain.bundle import Bundle, BundleError, canonical_json, readings_from_bytes, readings_to_bytes
from levada.domain.series import Readings
from levada.domain.settings import Utility
from levada.domain.tenant import TenantId
from levada.domain.time import isoformat_z, parse_instant, require_utc

__all__ = ["TrainInput", "TrainResult", "ZoneTraining"]

_KIND = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainInput:
    """All that a training knows: `zones` maps each zone to the flow measured in it and known by `issue_time`, m3/s.

    `step_s` is the step of the forecasts that the models are for, `count` the most steps that one may ask for.
    """

    tenant_id: TenantId
    issue_time: datetime
    utility: Utility
    step_s: int
    count: int
    zones: Mapping[str, Readings]

    def __post_init__(self) -> None:
        object.__setattr__(self, "issue_time", require_utc(self.issue_time, "issue time"))

    def to_bundle(self) -> Bundle:
        context = {"tenant_id": self.tenant_id, "issue_time": isoformat_z(self.issue_time), "step_s": self.step_s, "count": self.count}
        parts = {"context.json": canonical_json(context), "utility.json": canonical_json(self.utility.model_dump(mode="json"))}
        return Bundle(_KIND, parts | {f"zones/{name}": readings_to_bytes(r) for name, r in self.zones.items()})

    @classmethod
    def of(cls, bundle: Bundle) -> TrainInput:
        """Raises BundleError when the bundle is of another kind or lacks a part."""
        if bundle.kind != _KIND:
            raise BundleError(bundle.bundle_id, f"is a bundle for {bundle.kind!r}, not for a training")
        try:
            context: dict[str, Any] = json.loads(bundle.parts["context.json"])
            return cls(
                tenant_id=context["tenant_id"],
                issue_time=parse_instant(context["issue_time"]),
                utility=Utility.model_validate_json(bundle.parts["utility.json"]),
                step_s=context["step_s"],
                count=context["count"],
                zones={n.removeprefix("zones/"): readings_from_bytes(c) for n, c in bundle.parts.items() if n.startswith("zones/")},
            )
        except KeyError as e:
            raise BundleError(bundle.bundle_id, f"lacks the part {e.args[0]!r}") from e


class ZoneTraining(BaseModel):
    """What became of a zone: the content address of its model, None where there is none; `days`: UTC days with usable readings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: str
    address: str | None
    days: int
    notes: list[str] = []


class TrainResult(BaseModel):
    """A training's result; zones in order of name. `texts` (address -> model) are computed with it and kept apart from it: see `report`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant_id: TenantId
    issue_time: datetime
    zones: list[ZoneTraining]
    texts: dict[str, str] = {}

    def to_bytes(self) -> bytes:
        return canonical_json(self.model_dump(mode="json"))

    def report(self) -> TrainResult:
        """The result as stored with the run: without the texts, which their addresses stand for."""
        return self.model_copy(update={"texts": {}})

    def models(self) -> dict[str, str]:
        """Zone -> text of its model, of the zones that have one. Raises KeyError on a report, which has no texts."""
        return {z.zone: self.texts[z.address] for z in self.zones if z.address is not None}
