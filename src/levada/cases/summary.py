"""A plan for the terminal: pumps, tanks and prices as rows of blocks, the bill, the certificate, the audit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from levada.cases.load import Case
from levada.cases.plan_document import PlanDocument
from levada.domain.plan import AuditReport, Certificate, ViolationReport

__all__ = ["certificate_text", "summary", "verdict"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_STEPS_A_ROW = 96


def summary(case: Case, plan: PlanDocument) -> str:
    """The plan in words and blocks, without a line break at its end."""
    start, end = plan.starts_at.astimezone(case.clock), plan.ends_at.astimezone(case.clock)
    lines = [f"{plan.case}: {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} ({plan.clock}), {len(plan.step_seconds)} steps", "", *_rows(case, plan), *_bill(plan), ""]
    lines.append(certificate_text(plan.certificate, plan.currency, stopped=plan.stopped))
    if round(plan.audit.cost, 2) != round(plan.certificate.cost, 2):
        lines.append(f"The bill, {plan.audit.cost:.2f}, is by the audit, which solves the network as exactly as its file asks; cost and bound are by the search, which solves it more exactly.")
    if plan.relaxations:
        lines += ["No schedule was found that holds all limits. In this one:", *_violations(plan.relaxations)]
    lines += verdict(plan.audit, said=plan.relaxations)
    return "\n".join(lines)


def verdict(audit: AuditReport, said: Sequence[ViolationReport] = ()) -> list[str]:
    """What EPANET says, a line for each violation, save those of limits that have been `said` already."""
    judge = f"audit by {audit.engine} every {audit.hydraulic_step_s // 60} min and at tank events"
    if audit.accepted:
        return [f"Accepted: {judge}; all limits hold, {audit.energy_kwh:.1f} kWh."]
    known = {(v.limit, v.element) for v in said}
    others = [v for v in audit.violations if (v.limit, v.element) not in known]
    what = "those above" if not others else "also" if len(others) < len(audit.violations) else "which are"
    return [f"Rejected: {judge}; limits are broken, {what}{':' if others else '.'}", *_violations(others)]


def certificate_text(certificate: Certificate, currency: str, *, stopped: bool) -> str:
    """Cost, bound and gap in a sentence, and how far the bound can be trusted."""
    early = " (stopped early)" if stopped else ""
    if certificate.lower_bound is None:
        return f"Cost {certificate.cost:.2f} {currency}{early}; no bound: {certificate.method.removeprefix('no bound: ')}."
    gap = "" if certificate.gap is None else f" (gap {100 * certificate.gap:.2f} %)"
    how = {"exact": "exact", "sampled": f"sampled, {certificate.samples} samples"}.get(certificate.kind, certificate.kind)
    return f"Cost {certificate.cost:.2f} {currency}{early}; no schedule costs less than {certificate.lower_bound:.2f}{gap}. The bound is {how}: {certificate.method}."


def _violations(found: Sequence[ViolationReport]) -> list[str]:
    return [f"  {v.limit}, {v.element}: {v.text}" for v in found]


def _rows(case: Case, plan: PlanDocument) -> list[str]:
    """Blocks over time, in bands of at most _STEPS_A_ROW steps."""
    n = len(plan.step_seconds)
    labels, rows = [], []
    for prices, names in _prices(plan):
        labels.append(f"price{'' if len(plan.price_per_kwh) == len(names) else ' ' + ', '.join(names)}")
        rows.append((_scaled(prices, min(prices), max(prices)), f"{min(prices):g} to {max(prices):g} {plan.currency}/kWh"))
    for pump in plan.pumps:
        fixed = len({s for s in pump.speed if s > 0}) < 2
        hours = sum(s for s, on in zip(plan.step_seconds, pump.on, strict=True) if on) / 3600
        speeds = [s for s in pump.speed if s > 0]
        note = f"{hours:.1f} h, {pump.starts} start{'' if pump.starts == 1 else 's'}" + ("" if fixed else f", speed {min(speeds):.2f} to {max(speeds):.2f}")
        labels.append(pump.name)
        shown = _scaled(pump.speed, min(speeds, default=0.0), max(speeds, default=1.0))
        rows.append(("".join("·" if not on else "█" if fixed else b for on, b in zip(pump.on, shown, strict=True)), note))
    for valve in plan.valves:
        choices = sorted({str(c) for c in valve.choice})
        labels.append(valve.link)
        rows.append(("".join("█" if c == "open" else "·" if c == "closed" else str(choices.index(str(c)) % 10) for c in valve.choice), ", ".join(choices)))
    for tank in plan.tanks:
        labels.append(tank.name)
        note = f"{tank.level_m[0]:.2f} to {tank.level_m[-1]:.2f} m at the end; {min(tank.level_m):.2f} to {max(tank.level_m):.2f} m within {tank.min_level_m:g} to {tank.max_level_m:g}"
        rows.append((_scaled(tank.level_m[1:], tank.min_level_m, tank.max_level_m), note))
    width = max(len(label) for label in labels)
    lines = []
    for begin in range(0, n, _STEPS_A_ROW):
        end = min(begin + _STEPS_A_ROW, n)
        lines.append(f"{'':{width}}  {_ruler(case, plan, begin, end)}".rstrip())
        lines += [f"{label:{width}}  {cells[begin:end]}  {note if end == n else ''}".rstrip() for label, (cells, note) in zip(labels, rows, strict=True)]
        lines.append("")
    return lines


def _prices(plan: PlanDocument) -> list[tuple[list[float], list[str]]]:
    """Different courses of the price, and the pumps that have each."""
    found: dict[tuple[float, ...], list[str]] = {}
    for name, prices in plan.price_per_kwh.items():
        found.setdefault(tuple(prices), []).append(name)
    return [(list(prices), names) for prices, names in found.items()]


def _scaled(values: Sequence[float], low: float, high: float) -> str:
    span = high - low
    return "".join(_BLOCKS[max(0, min(7, int(8 * (v - low) / span)))] if span > 0 else _BLOCKS[3] for v in values)


def _ruler(case: Case, plan: PlanDocument, begin: int, end: int) -> str:
    """Local hours above the steps at which they begin, as many as there is room for."""
    cells = [" "] * (end - begin + 2)
    free = 0
    for k in range(begin, end):
        local: datetime = plan.step_starts[k].astimezone(case.clock)
        if local.minute == 0 and k - begin >= free and (local.hour % 3 == 0 or plan.step_seconds[k] > 3600):
            cells[k - begin : k - begin + 2] = f"{local.hour:02d}"
            free = k - begin + 3
    return "".join(cells)


def _bill(plan: PlanDocument) -> list[str]:
    bill = plan.bill
    items = [(f"energy, {m.name}", sum(m.energy), f"peak {m.peak_kw:.1f} kW") for m in bill.meters]
    items += [(f"demand charge, {m.name}", m.demand_charge, "") for m in bill.meters if m.demand_charge]
    items += [
        (name, value, note)
        for name, value, note in (
            ("water", bill.water, ""), ("wear", bill.wear, ""), ("emissions", bill.co2, f"{bill.co2_kg:.1f} kg"), ("deviation from the previous plan", bill.deviation, ""),
            ("stored water", bill.stored_water, "less than at the start" if bill.stored_water > 0 else "more than at the start"),
        ) if value
    ]  # fmt: skip
    items.append(("total", bill.total, ""))
    width = max(len(name) for name, _, _ in items)
    return [f"Bill, {plan.currency}", *(f"  {name:{width}}  {value:10.2f}  {note}".rstrip() for name, value, note in items)]

