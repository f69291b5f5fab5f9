"""The operator's page of one tenant as data: what to do, how good the plan is, how old the data are, and the charts.

`board_view` is a pure function of what was loaded and the present instant; the page, its parts and board.json come from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from levada.domain.plan import Certificate, ForecastReport, Ladder, Plan
from levada.domain.release import Release
from levada.domain.run import Run, RunKind, RunState
from levada.domain.series import Readings
from levada.domain.settings import Operation
from levada.store.plans import StoredPlan
from levada.store.series import LatestReading
from levada.web.views.charts import BoardCharts, board_charts
from levada.web.views.cost import SpentSoFar
from levada.web.views.display import Display
from levada.web.views.plan import Switch, pump_now, step_at, switches
from levada.web.views.run import RunRow, run_row
from levada.web.views.told import reason_words, violation_words
from levada.web.views.zone import epoch_ms

__all__ = ["BoardData", "BoardView", "Need", "action_words", "age_colour", "board_view", "certificate_words", "mode_of", "plan_in_force"]

_SWITCHES_SHOWN = 6
_NEARLY_ALL = 0.85  # the last quarter-hours have not been delivered yet: no need to say so


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a plan cannot be made without, and whether it is there."""

    text: str
    there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardData:
    """What the store gave for one tenant, as known at `now`."""

    now: datetime
    current: StoredPlan | None
    recent: Sequence[StoredPlan]
    """Plans whose steps touch today, the current one among them."""
    forecast: ForecastReport | None
    operation: Operation | None
    readings: Mapping[str, Readings]
    latest: Mapping[str, LatestReading]
    data_age: timedelta | None
    runs: Sequence[Run]
    planned: SpentSoFar | None
    measured: SpentSoFar | None
    has_tariff: bool
    may_start: bool
    release: Release | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpRow:
    """A line of the table of pumps."""

    name: str
    on: bool
    state: str
    speed: str
    until: str
    following: str
    measured: str
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchRow:
    """A line of the list of coming switches."""

    clock: str
    what: str
    why: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The strip at the top: the one thing to know, then the figures. `mode` is new, previous, rules, expired or none."""

    mode: str
    label: str
    headline: str
    detail: str = ""
    valid_until: str = ""
    valid_until_ms: int | None = None
    audited: str = ""
    audited_ok: bool = False
    cost: str = ""
    cost_span: str = ""
    bound: str = ""
    gap: str = ""
    certificate: str = ""
    energy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardView:
    """All of the page."""

    now_ms: int
    clock: str
    day: str
    zone: str
    strip: Strip
    spent_measured: str
    spent_planned: str
    spent_note: str
    age: str
    age_colour: str
    charts: BoardCharts
    pumps: list[PumpRow] = field(default_factory=list)
    pumps_note: str = ""
    switches: list[SwitchRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    runs: list[RunRow] = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)
    last_problem: str = ""
    plan_id: str = ""
    may_start: bool = False
    busy: RunRow | None = None


def mode_of(stored: StoredPlan | None, now: datetime) -> str:
    """`new`, `previous` or `rules` by the plan's rung of the ladder; `expired` and `none` come before all of them."""
    if stored is None:
        return "none"
    return "expired" if stored.expired(now) else stored.plan.ladder.value


def plan_in_force(recent: Sequence[StoredPlan], current: StoredPlan | None, now: datetime) -> StoredPlan | None:
    """The plan that says what to do at `now`: the newest that has begun; before any has begun, the newest."""
    begun = [s for s in recent if s.plan.starts_at <= now and not s.expired(now) and step_at(s.plan, now) is not None]
    return max(begun, key=lambda s: s.published_at) if begun else current


def age_colour(age: timedelta | None, limit_minutes: int) -> str:
    """`ok`, `amber` past half of what is allowed, `red` past all of it or where there are no data."""
    if age is None:
        return "red"
    minutes = age.total_seconds() / 60
    return "red" if minutes > limit_minutes else "amber" if minutes > limit_minutes / 2 else "ok"


def certificate_words(certificate: Certificate, d: Display) -> str:
    """What the lower bound is worth, in a sentence."""
    if certificate.kind == "exact":
        return d.t("certificate.exact")
    if certificate.kind == "sampled":
        return d.t("certificate.sampled", samples=d.number(certificate.samples, 0))
    return d.t("certificate.none")


def _strip(data: BoardData, stored: StoredPlan | None, ahead: Sequence[Switch], d: Display) -> Strip:
    mode = mode_of(stored, data.now)
    if stored is None:
        is_computed = any(run.kind is RunKind.PLAN and run.state is RunState.RUNNING for run in data.runs)
        return Strip(mode=mode, label=d.t("ladder.none"), headline=d.t("headline.first" if is_computed else "headline.none"))
    plan, certificate = stored.plan, stored.plan.certificate
    until = d.local.near(plan.expires_at, data.now)
    headline = d.t("headline.expired", at=until) if mode == "expired" else d.t(f"headline.{mode}", until=until)
    if ahead and mode != "expired":
        detail = d.t("headline.next", switch=f"{d.local.near(ahead[0].time, data.now)} {action_words(ahead[0], d)}")
    else:
        detail = "" if mode == "expired" else d.t("headline.no_switch")
    return Strip(
        mode=mode,
        label=d.t(f"ladder.{mode}"),
        headline=headline,
        detail=detail,
        valid_until=until,
        valid_until_ms=epoch_ms(plan.expires_at),
        audited=d.t("audit.accepted" if plan.audit.accepted else "audit.refused", engine=plan.audit.engine),
        audited_ok=plan.audit.accepted,
        cost=d.money(plan.cost),
        cost_span=d.t("cost.span", start=d.local.near(plan.starts_at, data.now), hours=d.number(sum(plan.step_seconds) / 3600, 0)),
        bound=d.money(certificate.lower_bound),
        gap=d.percent(certificate.gap),
        certificate=certificate_words(certificate, d),
        energy=f"{d.number(plan.energy_kwh, 0)}\u00a0kWh",
    )


def action_words(switch: Switch, d: Display) -> str:
    """The switch as an order: start P1, stop P1, run P1 at 85 %."""
    if switch.action == "speed":
        return d.t("switch.speed", pump=switch.pump, speed=d.percent(switch.speed, 0))
    return d.t(f"switch.{switch.action}", pump=switch.pump)


def _measured(data: BoardData, pump: str, plan: Plan, d: Display) -> tuple[str, bool]:
    """The pump's reported state, and whether it differs from what the plan had for the instant of the report."""
    settings = data.operation.pumps.get(pump) if data.operation else None
    if settings is None or settings.status_series is None or (last := data.latest.get(settings.status_series)) is None:
        return "–", False
    on = last.value >= 0.5
    step = step_at(plan, last.time)
    wanted = next((p.on[step] for p in plan.pumps if p.name == pump), on) if step is not None else on
    return f"{d.t('pump.on' if on else 'pump.off')} {d.local.near(last.time, data.now)}", on != wanted


def _pump_rows(data: BoardData, stored: StoredPlan, d: Display) -> list[PumpRow]:
    rows = []
    if stored.expired(data.now):
        # What an expired plan had for now is not shown: somebody could follow it.
        for pump_plan in stored.plan.pumps:
            measured, _ = _measured(data, pump_plan.name, stored.plan, d)
            rows.append(PumpRow(name=pump_plan.name, on=False, state="–", speed="", until="–", following="–", measured=measured, differs=False))
        return rows
    for pump in pump_now(stored.plan, max(data.now, stored.plan.starts_at)):
        measured, differs = _measured(data, pump.name, stored.plan, d)
        rows.append(
            PumpRow(
                name=pump.name,
                on=pump.on,
                state=d.t("pump.on" if pump.on else "pump.off"),
                speed=d.percent(pump.speed, 0) if pump.on else "",
                until=d.local.near(pump.until, data.now),
                following="–" if pump.next is None else _following(pump.next, d),
                measured=measured,
                differs=differs,
            )
        )
    return rows


def _following(switch: Switch, d: Display) -> str:
    return d.percent(switch.speed, 0) if switch.action == "speed" else d.t("pump.on" if switch.action == "start" else "pump.off")


def _needs(data: BoardData, d: Display) -> list[Need]:
    """What a first plan waits for."""
    if data.operation is None:
        return [Need(d.t("need.operation"), False), Need(d.t("need.tariff"), data.has_tariff)]
    levels = [Need(d.t("need.level", tank=name), t.level_series in data.latest) for name, t in data.operation.tanks.items()]
    flows = [Need(d.t("need.flow", zone=name), all(series in data.latest for series in z.metered_flows)) for name, z in data.operation.zones.items()]
    return [Need(d.t("need.operation"), True), Need(d.t("need.tariff"), data.has_tariff), *levels, *flows]


def _spent(spent: SpentSoFar | None, d: Display) -> str:
    return "–" if spent is None else d.money(spent.amount)


def _spent_note(data: BoardData, d: Display) -> str:
    """Says where a sum covers only a part of the day so far."""
    parts = [
        d.t(f"spent.{name}_part", part=d.percent(spent.covered, 0))
        for name, spent in (("measured", data.measured), ("planned", data.planned))
        if spent is not None and spent.covered < _NEARLY_ALL
    ]
    return "; ".join(parts)


def board_view(data: BoardData, d: Display) -> BoardView:
    """The page for these data."""
    limit = data.operation.max_data_age_minutes if data.operation else 180
    stored = data.current
    force = plan_in_force(data.recent, stored, data.now)
    ahead = switches(force.plan, data.now) if force and not force.expired(data.now) else []
    rows = [run_row(run, data.now, d) for run in data.runs]
    # A training that failed is no missing plan, nor does one that went well make up for it.
    last = next((run for run in data.runs if run.kind is RunKind.PLAN), None)
    pumps_note = ""
    if force is not None and force.expired(data.now):
        pumps_note = d.t("pumps.expired")
    elif force is not None and force.plan.starts_at > data.now:
        pumps_note = d.t("pumps.begins", at=d.local.near(force.plan.starts_at, data.now))
    elif force is not None and stored is not None and force.plan_id != stored.plan_id:
        pumps_note = d.t("pumps.next_plan", at=d.local.near(stored.plan.starts_at, data.now))
    return BoardView(
        now_ms=epoch_ms(data.now),
        clock=d.local.clock(data.now),
        day=d.local.day(data.now),
        zone=d.local.zone_name(data.now),
        strip=_strip(data, stored, ahead, d),
        spent_measured=_spent(data.measured, d),
        spent_planned=_spent(data.planned, d),
        spent_note=_spent_note(data, d),
        age=d.t("age.none") if data.data_age is None else d.duration(data.data_age),
        age_colour=age_colour(data.data_age, limit),
        pumps=_pump_rows(data, force, d) if force is not None else [],
        pumps_note=pumps_note,
        switches=[
            SwitchRow(clock=d.local.near(s.time, data.now), what=action_words(s, d), why=reason_words(s.reason, d) if s.reason else "", action=s.action)
            for s in ahead[:_SWITCHES_SHOWN]
        ],
        notes=list(stored.plan.flags) if stored else [],
        warnings=_warnings(stored, data.release, d),
        runs=rows,
        needs=[] if stored else _needs(data, d),
        last_problem="" if last is None else str((last.error or {}).get("message", "")) or last.why_cancelled,
        plan_id=str(stored.plan_id) if stored else "",
        may_start=data.may_start,
        busy=next((row for row in rows if row.state in ("queued", "running")), None),
        charts=board_charts(
            now=data.now, stored=stored, recent=data.recent, forecast=data.forecast, operation=data.operation, readings=data.readings, d=d
        ),
    )


def _warnings(stored: StoredPlan | None, release: Release | None, d: Display) -> list[str]:
    withdrawn = [f"{d.t('release.withdrawn')} ({d.local.stamp(release.changed_at)})"] if release is not None and release.is_withdrawn else []
    if stored is None:
        return withdrawn
    why = [stored.plan.ladder_reason] if stored.plan.ladder is not Ladder.NEW and stored.plan.ladder_reason else []
    return withdrawn + why + [violation_words(v, d) for v in stored.plan.audit.violations]
