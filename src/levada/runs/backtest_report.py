"""What a backtest found: by day and in total, one version beside the other; as text, data and rows.

Versions end a day with different water in the tanks. So that emptying them is no saving, a cubic metre more or less is counted at what
a cubic metre drawn has cost the first version over all days: `settled` cost. (A mean: it knows neither the hour nor the tank.)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from levada.runs.backtest import DayResult, ForecastScore, TriedDay

__all__ = ["Totals", "as_csv", "as_document", "as_text", "settled_costs", "totals", "water_value_per_m3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Of a version over days. `cost` is settled, in the utility's currency; memory is the most that any decision took, time the median decision's."""

    days: int
    decisions: int
    failures: int
    not_new_plans: int
    by_rules_h: float
    cost: float
    energy_kwh: float
    starts: int
    violations: int
    forecast_error: float | None
    forecast_bias: float | None
    within_band: float | None
    decision_cpu_s: float
    decision_wall_s: float
    cpu_s: float
    peak_memory_bytes: int


def water_value_per_m3(tried: Iterable[TriedDay]) -> float:
    """What a cubic metre drawn has cost the first version; 0 where nothing was drawn."""
    first = [day.results[0] for day in tried]
    drawn = sum(r.demand_m3 for r in first)
    return sum(r.cost for r in first) / drawn if drawn > 0 else 0.0


def settled_costs(result: DayResult, value_per_m3: float) -> float:
    """A day's cost less the worth of what its tanks gained."""
    return result.cost - value_per_m3 * result.stored_m3


def totals(results: Sequence[DayResult], value_per_m3: float) -> Totals:
    decisions = [d for r in results for d in r.decisions]
    score = sum((r.forecast for r in results), ForecastScore())
    return Totals(
        days=len(results),
        decisions=len(decisions),
        failures=sum(len(r.failures) for r in results),
        not_new_plans=sum(d.ladder not in (None, "new") for d in decisions),
        by_rules_h=sum(r.by_rules_s for r in results) / 3600,
        cost=sum(settled_costs(r, value_per_m3) for r in results),
        energy_kwh=sum(r.energy_kwh for r in results),
        starts=sum(r.starts for r in results),
        violations=sum(len(r.violations) for r in results),
        forecast_error=score.size / score.drawn if score.drawn > 0 else None,
        forecast_bias=score.error / score.drawn if score.drawn > 0 else None,
        within_band=score.within / score.steps if score.steps else None,
        decision_cpu_s=median(d.cpu_s for d in decisions) if decisions else 0.0,
        decision_wall_s=median(d.wall_s for d in decisions) if decisions else 0.0,
        cpu_s=sum(d.cpu_s for d in decisions),
        peak_memory_bytes=max((d.peak_memory_bytes for d in decisions), default=0),
    )


def _of(tried: Sequence[TriedDay], version: int) -> list[DayResult]:
    return [day.results[version] for day in tried]


# --- as text ----------------------------------------------------------------------------------------------------------

_COLUMNS = f"{'settled cost':>13} {'kWh':>9} {'starts':>6} {'broken':>6} {'failed':>6} {'forecast':>8} {'in band':>7} {'cpu s':>7} {'MB':>5}"


def as_text(tried: Sequence[TriedDay], names: Sequence[str], currency: str) -> str:
    """A line for each day and version, then totals, then what was broken and what failed."""
    value = water_value_per_m3(tried)
    several = len(names) > 1
    lines = [f"{'day':10} {'kind':12} {'version' if several else '':18} {_COLUMNS}"]
    for day in tried:
        for name, result in zip(names, day.results, strict=True):
            lines.append(f"{day.day.isoformat():10} {day.kind.value:12} {name[:18] if several else '':18} {_line(totals([result], value))}")
    for version, name in enumerate(names):
        lines.append(f"{'total':10} {f'{len(tried)} days':12} {name[:18] if several else '':18} {_line(totals(_of(tried, version), value))}")
    if several:
        old, new = (totals(_of(tried, v), value).cost for v in (0, 1))
        lines.append(f"{names[1]} costs {new - old:+.2f} {currency} beside {names[0]}" + (f" ({(new - old) / abs(old):+.2%})" if old else ""))
    lines.append(f"costs in {currency}, water left in the tanks counted at {value:.4f} per m3; forecast: mean error over the next 24 h as a share of what was drawn; cpu s of all decisions")
    for day in tried:
        for name, result in zip(names, day.results, strict=True):
            who = f" {name}" if several else ""
            lines += [f"{day.day.isoformat()}{who}: {v.text}" for v in result.violations]
            lines += [f"{day.day.isoformat()}{who}: FAILED {text}" for text in result.failures]
            if result.by_rules_s:
                lines.append(f"{day.day.isoformat()}{who}: no plan was valid for {result.by_rules_s / 3600:.1f} h; tank levels switched the pumps")
    return "\n".join(lines)


def _line(t: Totals) -> str:
    return (
        f"{t.cost:13.2f} {t.energy_kwh:9.0f} {t.starts:6} {t.violations:6} {t.failures:6} {_share(t.forecast_error):>8} {_share(t.within_band):>7} "
        f"{t.cpu_s:7.1f} {t.peak_memory_bytes / 1e6:5.0f}"
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


# --- as data ----------------------------------------------------------------------------------------------------------


def as_document(tried: Sequence[TriedDay], names: Sequence[str], currency: str) -> dict[str, object]:
    """All of it: by day and version, with each decision, and in total."""
    value = water_value_per_m3(tried)
    return {
        "currency": currency,
        "water_value_per_m3": value,
        "versions": list(names),
        "days": [
            {"day": day.day.isoformat(), "kind": day.kind.value, "results": {name: _document(r, value) for name, r in zip(names, day.results, strict=True)}} for day in tried
        ],
        "total": {name: asdict(totals(_of(tried, v), value)) for v, name in enumerate(names)},
    }


def _document(result: DayResult, value: float) -> dict[str, object]:
    return {
        **asdict(totals([result], value)),
        "stored_m3": result.stored_m3,
        "demand_m3": result.demand_m3,
        "broken": [v.model_dump() for v in result.violations],
        "failed": list(result.failures),
        "decided": [{**asdict(d), "issue_time": d.issue_time.isoformat()} for d in result.decisions],
    }


def as_csv(tried: Sequence[TriedDay], names: Sequence[str]) -> str:
    """A row for each day and version."""
    value = water_value_per_m3(tried)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for i, day in enumerate(tried):
        for name, result in zip(names, day.results, strict=True):
            row = {"day": day.day.isoformat(), "kind": day.kind.value, "version": name, **asdict(totals([result], value)), "stored_m3": result.stored_m3, "demand_m3": result.demand_m3}
            if i == 0 and name == names[0]:
                writer.writerow(row)
            writer.writerow(row.values())
    return out.getvalue()
