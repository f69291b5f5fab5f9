"""How tests of the store work: an async function of the open database, in a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from levada.domain.plan import AuditReport, Certificate, ForecastReport, Ladder, Plan, PumpPlan, TankPlan, ZoneForecast
from levada.store.database import Database

if TYPE_CHECKING:
    from tests.conftest import Installation


@pytest.fixture
def tenant(installation: Installation) -> str:
    return installation.new_tenant()


@pytest.fixture(scope="session")
def in_database(installation: Installation) -> Callable[[Callable[[Database], Awaitable[Any]]], Any]:
    """Run an async function with the database open as the application's role; returns what it returns."""

    def run(work: Callable[[Database], Awaitable[Any]]) -> Any:
        async def with_database() -> Any:
            database = await Database.open(installation.app_url, max_size=4)
            try:
                return await asyncio.wait_for(work(database), 60)
            finally:
                await database.close()

        return asyncio.run(with_database())

    return run


NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


def a_plan(tenant_id: str, issue_time: datetime = NOW, *, cost: float = 12.5, valid: timedelta = timedelta(hours=6)) -> Plan:
    """A small plan of two steps with awkward numbers in it."""
    return Plan(
        tenant_id=tenant_id,
        issue_time=issue_time,
        starts_at=issue_time,
        expires_at=issue_time + valid,
        ladder=Ladder.NEW,
        currency="EUR",
        step_starts=[issue_time, issue_time + timedelta(hours=1)],
        step_seconds=[3600, 3600],
        price_per_kwh=[0.1, 1e-7],
        price_period=["low", "peak"],
        price_assumed=[False, True],
        pumps=[PumpPlan(name="P1", on=[True, False], speed=[1.0, 0.0], flow_m3_per_s=[0.1 + 0.2, 0.0], power_w=[1e5, -0.0], starts=1)],
        tanks=[TankPlan(name="T1", level_m=[2.0, 2.5, 2.25], min_level_m=1.0, max_level_m=4.0, end_level_m=2.0)],
        demand_m3_per_s=[0.05, 5e-324],
        cost=cost,
        energy_kwh=100.0,
        step_cost=[cost, 0.0],
        certificate=Certificate(cost=cost, lower_bound=12.0, gap=0.04, kind="exact", method="test"),
        audit=AuditReport(accepted=True, cost=cost + 0.01, energy_kwh=100.0, engine="EPANET", hydraulic_step_s=900),
    )


def a_forecast(issue_time: datetime = NOW) -> ForecastReport:
    zone = ZoneForecast(zone="north", method="seasonal", q10_m3_per_s=[0.01], q50_m3_per_s=[0.02], q90_m3_per_s=[0.1 + 0.2])
    return ForecastReport(issue_time=issue_time, step_s=3600, times=[issue_time], zones=[zone])
