"""The plans that a utility finds in its outbox, and which of them it obeys at an instant.

A set-point file is a few lines `# name: value`, then a table: `time_utc;time_local;duration_s;<pump>.on;<pump>.speed;...`,
a row for each step. A plan is obeyed from when it was made until it expires; of two, the one made later.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from levada.domain.errors import FileError
from levada.domain.time import parse_instant

__all__ = ["Plans", "SetPoints", "read_set_points"]

_HEADER = re.compile(r"^#\s*([a-z_ ]+?)\s*[:=;]\s*(.*?)\s*$")
_KEPT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPoints:
    """One plan: steps (start, end, pump -> speed; 0 is off), when it was made and when it must no longer be followed."""

    plan_id: str
    issue_time: datetime
    expires_at: datetime
    ladder: str
    cost: str
    lower_bound: str
    steps: tuple[tuple[datetime, datetime, Mapping[str, float]], ...]

    def at(self, time: datetime) -> Mapping[str, float] | None:
        """What the pumps are to do at `time`, or None where this plan does not speak or has expired."""
        if not self.issue_time <= time < self.expires_at:
            return None
        return next((speed for start, end, speed in self.steps if start <= time < end), None)


def read_set_points(content: bytes, name: str = "plan_current.csv") -> SetPoints:
    """Read a set-point file. Raises FileError: a plant must not obey what it does not fully understand."""

    def refuse(problem: str) -> FileError:
        return FileError(file=name, problem=problem, remedy="the plant goes on by the plan it has, or by its rules")

    try:
        lines = content.decode("utf-8-sig").splitlines()
        head = {m[1].replace(" ", "_"): m[2] for line in lines if (m := _HEADER.match(line))}
        rows = list(csv.reader((line for line in lines if line and not line.startswith("#")), delimiter=";"))
        columns = {title: i for i, title in enumerate(rows[0])}
        pumps = [title.removesuffix(".on") for title in columns if title.endswith(".on")]
        if not pumps:
            raise refuse("names no pump")
        steps = []
        for row in rows[1:]:
            start = parse_instant(row[columns["time_utc"]])
            speeds = {}
            for pump in pumps:
                on = row[columns[f"{pump}.on"]].strip().lower() in ("1", "true")
                speeds[pump] = float(row[columns[f"{pump}.speed"]]) if on else 0.0
            steps.append((start, start + timedelta(seconds=float(row[columns["duration_s"]])), speeds))
        return SetPoints(
            plan_id=next((head[k] for k in ("plan_id", "plan") if k in head), ""),
            # After an instant there may be words for people.
            issue_time=parse_instant(head["issue_time"].split()[0]),
            expires_at=parse_instant(head["expires_at"].split()[0]),
            ladder=head.get("ladder", ""),
            cost=head.get("cost", ""),
            lower_bound=head.get("lower_bound", "none"),
            steps=tuple(steps),
        )
    except (KeyError, IndexError, ValueError, csv.Error) as e:
        raise refuse(f"cannot be read: {e!r}") from e


class Plans:
    """The plans received lately."""

    def __init__(self) -> None:
        self._plans: list[SetPoints] = []

    def add(self, plan: SetPoints) -> bool:
        """Take a plan up. False when it was known."""
        if plan in self._plans:
            return False
        self._plans = sorted([*self._plans, plan], key=lambda p: p.issue_time)[-_KEPT:]
        return True

    def at(self, time: datetime) -> Mapping[str, float] | None:
        """Orders at `time` from the newest plan that speaks then, or None: go by the rules. Callable as a plant's Orders."""
        return next((speed for plan in reversed(self._plans) if (speed := plan.at(time)) is not None), None)
