"""Key performance indicators that runs have computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from levada.domain.plan import Indicator
from levada.store.database import TenantConnection

__all__ = ["latest_indicators", "put_indicators"]


async def put_indicators(db: TenantConnection, run_id: UUID, issue_time: datetime, indicators: Sequence[Indicator]) -> None:
    """Store a run's indicators; the same run and name again changes nothing.

    Raises ValueError for a value that is not finite: an indicator that cannot be told is left out.
    """
    for indicator in indicators:
        if not math.isfinite(indicator.value):
            raise ValueError(f"indicator {indicator.name!r} is {indicator.value}")
    rows = [{"run_id": run_id, "issue_time": issue_time, "name": i.name, "value": i.value, "unit": i.unit, "description": i.description} for i in indicators]
    if rows:
        await db.execute_many("put_indicator", rows)


async def latest_indicators(db: TenantConnection) -> list[Indicator]:
    """Those of the latest issue time, by name; empty before the first run."""
    return [Indicator(**row) for row in await db.fetch("latest_indicators")]
