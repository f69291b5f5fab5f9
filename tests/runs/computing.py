"""What a computing child may be made to do in tests, by the kind of the bundle. Imported by the child itself."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from datetime import timedelta

from levada.domain.bundle import Bundle, canonical_json
from levada.domain.errors import InputGap
from levada.domain.plan import (
    AuditReport,
    Certificate,
    ForecastReport,
    Indicator,
    Ladder,
    Plan,
    PlanResult,
    PumpPlan,
    TankPlan,
)
from levada.domain.plan_input import PlanInput
from levada.schedule import Progress


def by_kind(bundle: Bundle, tell: Callable[[Progress], None] | None = None) -> bytes:
    match bundle.kind:
        case "telling":
            assert tell is not None
            for cost in (None, *range(39, 0, -1)):
                tell(Progress(stage="search", cost=cost, bound=0.5, solves=1))
                time.sleep(0.05)
            return b"told"
        case "echo":
            print("a library that prints")
            os.write(1, b"native code that prints\n")
            return bundle.parts["text"] + f" by {os.getpid()}".encode()
        case "gap":
            raise InputGap("no levels", "deliver them")
        case "defect":
            raise ZeroDivisionError("in an algorithm")
        case "segfault":
            ctypes.string_at(0)
        case "hang":
            time.sleep(3600)
        case "spin":
            while True:
                pass
        case "threads":
            return f"{os.environ['OMP_NUM_THREADS']} {os.environ['OPENBLAS_NUM_THREADS']}".encode()
        case "eat":
            blocks = []
            while True:
                blocks.append(b"x" * (8 << 20))
                time.sleep(0.01)
        case "fill":
            return str(len(b"x" * int(bundle.parts["bytes"]))).encode()
    raise AssertionError(bundle.kind)


# --- plans that take no computing, for tests of what is around it --------------------------------------------------


def plan_at_once(bundle: Bundle) -> bytes:
    """A plan of one step in which the pumps rest, from a real plan bundle."""
    inputs = PlanInput.of(bundle)
    start = inputs.issue_time
    level = float(inputs.readings["tank.TNK.level"].values[-1])
    plan = Plan(
        tenant_id=inputs.tenant_id,
        issue_time=start,
        starts_at=start,
        expires_at=start + timedelta(hours=6),
        ladder=Ladder.RULES,
        currency="EUR",
        step_starts=[start],
        step_seconds=[3600],
        price_per_kwh=[0.1],
        price_period=["day"],
        price_assumed=[False],
        pumps=[PumpPlan(name=p, on=[False], speed=[0.0], flow_m3_per_s=[0.0], power_w=[0.0], starts=0) for p in inputs.operation.pumps],
        tanks=[TankPlan(name="TNK", level_m=[level, level], min_level_m=1.0, max_level_m=4.3, end_level_m=level)],
        demand_m3_per_s=[0.0],
        cost=0.0,
        energy_kwh=0.0,
        step_cost=[0.0],
        certificate=Certificate(cost=0.0, lower_bound=None, gap=None, kind="none", method="rest"),
        audit=AuditReport(accepted=False, cost=0.0, energy_kwh=0.0, engine="none", hydraulic_step_s=900),
    )
    forecast = ForecastReport(issue_time=start, step_s=3600, times=[start], zones=[])
    indicators = [Indicator(name="rest", value=1.0, unit="1")]
    return canonical_json(PlanResult(plan=plan, forecast=forecast, indicators=indicators).model_dump(mode="json"))


def plan_slowly(bundle: Bundle, tell: Callable[[Progress], None]) -> bytes:
    tell(Progress(stage="search", cost=12.5, bound=12.0, solves=1))
    time.sleep(3.0)
    return plan_at_once(bundle)


def plan_never(bundle: Bundle) -> bytes:
    time.sleep(3600)
    return b""


def plan_of_600_mb(bundle: Bundle) -> bytes:
    held = b"x" * 600_000_000
    time.sleep(1.5)
    assert held
    return plan_at_once(bundle)


def gap(bundle: Bundle) -> bytes:
    raise InputGap("no levels", "deliver them")


def crash(bundle: Bundle) -> bytes:
    ctypes.string_at(0)
    return b""
