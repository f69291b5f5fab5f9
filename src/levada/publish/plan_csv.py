"""A plan as a set-point file for a SCADA system: comments with what it promises, then a row per step.

    # tenant: serra
    # expires_at: 2026-03-01T10:00:00Z
    ...
    time_utc;time_local;duration_s;PU1.on;PU1.speed;PU2.on;PU2.speed
    2026-03-01T04:00:00Z;2026-03-01T04:00:00+00:00;3600;1;0.9400;0;0.0000

Semicolons, decimal points, UTF-8, CR LF as RFC 4180 has it; comment lines begin with `#`. `on` is 1 or 0, `speed` is relative, and 0
where the pump is off. A column's name is the pump's name in the network. A valve that the plan sets has a column such as V1.choice: `open`,
`closed`, or a setting in SI.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime

from levada.domain.plan import Plan
from levada.domain.settings import Utility
from levada.domain.time import isoformat_z, zone

__all__ = ["plan_csv", "plan_file_name"]


def plan_file_name(plan: Plan) -> str:
    """Such as plan_20260301T040000Z.csv: by issue time, so that names sort by age."""
    return f"plan_{_compact(plan.issue_time)}.csv"


def plan_csv(plan: Plan, utility: Utility, *, plan_id: str = "") -> bytes:
    """The plan's set-point file. Times are given in UTC and on the utility's clock; the row holds from its time for `duration_s`."""
    tz = zone(utility.time_zone)
    bound = plan.certificate.lower_bound
    head = {
        "tenant": plan.tenant_id,
        "plan": plan_id,
        "issue_time": isoformat_z(plan.issue_time),
        "starts_at": isoformat_z(plan.starts_at),
        "expires_at": f"{isoformat_z(plan.expires_at)} (must not be followed from then on)",
        "ladder": plan.ladder.value + (f" ({plan.ladder_reason})" if plan.ladder_reason else ""),
        "cost": f"{plan.cost:.2f} {plan.currency}",
        "lower_bound": "none" if bound is None else f"{bound:.2f} {plan.currency}",
        "audited_cost": f"{plan.audit.cost:.2f} {plan.currency} by {plan.audit.engine}",
    }
    text = io.StringIO()
    for name, value in head.items():
        text.write(f"# {name}: {_one_line(value)}\r\n")
    for flag in plan.flags:
        text.write(f"# note: {_one_line(flag)}\r\n")
    rows = csv.writer(text, delimiter=";", lineterminator="\r\n")
    rows.writerow(["time_utc", "time_local", "duration_s", *(column for p in plan.pumps for column in (f"{p.name}.on", f"{p.name}.speed")), *(f"{v.link}.choice" for v in plan.valves)])
    for i, (start, seconds) in enumerate(zip(plan.step_starts, plan.step_seconds, strict=True)):
        points = [point for p in plan.pumps for point in ((1, f"{p.speed[i]:.4f}") if p.on[i] else (0, "0.0000"))]
        rows.writerow([isoformat_z(start), start.astimezone(tz).isoformat(), seconds, *points, *(v.choice[i] for v in plan.valves)])
    return text.getvalue().encode()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _compact(instant: datetime) -> str:
    return isoformat_z(instant.replace(microsecond=0)).replace("-", "").replace(":", "")
