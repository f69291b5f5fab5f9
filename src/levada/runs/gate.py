"""May a candidate be released? What a backtest of both versions on every utility says, by stated limits.

Money is compared over all days and over each kind of day by itself, for what goes wrong on Sundays only is lost in a total. A violation is new where
the other version, on the same day, does not break that limit of that element, or breaks it by less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from levada.runs.backtest import DayResult, TriedDay
from levada.runs.backtest_report import totals, water_value_per_m3
from levada.runs.day_kind import DayKind

__all__ = ["GateLimits", "TenantVerdict", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """By how much a candidate may be worse, as shares: settled cost over all days and over those of one kind, the median decision's processor time,
    and the greatest memory. `amount_share`: a violation that both have may be so much greater."""

    cost: float = 0.005
    cost_of_a_kind: float = 0.02
    time: float = 0.25
    memory: float = 0.25
    amount_share: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantVerdict:
    """`refusals`: why not, in words; none where the candidate may be released for all that this utility tells. `told`: how it compares by kind of day."""

    tenant_id: str
    refusals: tuple[str, ...]
    told: tuple[str, ...]


def judge(tenant_id: str, tried: Sequence[TriedDay], limits: GateLimits, currency: str) -> TenantVerdict:
    """The first version of each day is the one to compare with, the second the candidate."""
    if not tried:
        return TenantVerdict(tenant_id=tenant_id, refusals=("there is no day to try it on: too little history has been measured",), told=())
    value, refusals, told = water_value_per_m3(tried), list[str](), list[str]()
    groups: dict[str, list[TriedDay]] = {"all days": list(tried)}
    groups |= {f"{kind.value}s": [d for d in tried if d.kind is kind] for kind in DayKind}
    for name, days in groups.items():
        # Money of days on which one of them has none to show cannot be compared; that it failed is told below.
        whole = [d for d in days if not any(r.failure for r in d.results)]
        if not whole:
            continue
        old, new = (totals([d.results[v] for d in whole], value).cost for v in (0, 1))
        share, allowed = (new - old) / max(abs(old), 1e-9), limits.cost if name == "all days" else limits.cost_of_a_kind
        line = f"{name} ({len(whole)}): {old:.2f} -> {new:.2f} {currency} ({share:+.2%})"
        told.append(line)
        if share > allowed:
            refusals.append(f"{line}: dearer by more than {allowed:.1%}")
    for day in tried:
        old_day, new_day = day.results
        where = f"{day.day:%a} {day.day.isoformat()} ({day.kind.value})"
        refusals += [f"{where}: {text}" for text in _new_violations(old_day, new_day, limits)]
        if len(new_day.failures) > len(old_day.failures):
            refusals.append(f"{where}: {len(new_day.failures)} failures instead of {len(old_day.failures)}: {new_day.failures[0]}")
    old_all, new_all = (totals([d.results[v] for d in tried], value) for v in (0, 1))
    for what, unit, before, now, share in (
        ("the median decision takes", "s of processor time", old_all.decision_cpu_s, new_all.decision_cpu_s, limits.time),
        ("a decision takes up to", "MB of memory", old_all.peak_memory_bytes / 1e6, new_all.peak_memory_bytes / 1e6, limits.memory),
    ):
        line = f"{what} {now:.1f} {unit} instead of {before:.1f}"
        told.append(line)
        if before > 0 and now > before * (1 + share):
            refusals.append(f"{line}: more than {share:.0%} above")
    return TenantVerdict(tenant_id=tenant_id, refusals=tuple(refusals), told=tuple(told))


def _new_violations(old: DayResult, new: DayResult, limits: GateLimits) -> list[str]:
    if old.failure or new.failure:
        return []
    known: Mapping[tuple[str, str, str], float] = _worst(old)
    found = []
    for key, amount in _worst(new).items():
        if amount > known.get(key, -1.0) * (1 + limits.amount_share) + 1e-9:
            text = next(v.text for v in new.violations if (v.limit, v.element, v.unit) == key and v.amount == amount)
            found.append(f"{'a new violation' if key not in known else f'a greater violation than {known[key]:g} {key[2]}'}: {text}")
    return found


def _worst(result: DayResult) -> dict[tuple[str, str, str], float]:
    worst: dict[tuple[str, str, str], float] = {}
    for v in result.violations:
        key = v.limit, v.element, v.unit
        worst[key] = max(worst.get(key, v.amount), v.amount)
    return worst
