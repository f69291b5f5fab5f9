"""What a forecast case gives, as text: forecast.csv, explanation.json, scenarios.csv, and what the terminal shows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from levada.cases.forecasting.load import ForecastCase
from levada.domain.series import Floats
from levada.domain.time import isoformat_z, zone
from levada.forecast import Forecast

__all__ = ["as_json", "csv_text", "explanation_json", "forecast_csv", "left_out_lines", "quantile_name", "scenarios_csv", "summary"]


def quantile_name(level: float) -> str:
    """Column of a level: q50 for the median, q2.5 for 0.025."""
    return f"q{round(100 * level, 6):g}"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def forecast_csv(case: ForecastCase, forecasts: Sequence[Forecast]) -> str:
    """A row per issue time, series and instant: the start of the step, and each quantile of its mean flow in the series' own unit."""

    def rows() -> Iterable[Sequence[object]]:
        for made in forecasts:
            issued, times = isoformat_z(made.issue_time), [isoformat_z(t) for t in made.times]
            for found in made.zones:
                flows = _in_unit(case, found.zone, found.quantiles_m3_per_s)
                for k, time in enumerate(times):
                    yield (issued, found.zone, time, case.units[found.zone], *flows[:, k].tolist())

    levels = case.document.forecast.quantiles
    return csv_text(["issue_time", "series", "time", "unit", *(quantile_name(q) for q in levels)], rows())


def scenarios_csv(case: ForecastCase, forecasts: Sequence[Forecast]) -> str:
    """A row per issue time, path and instant, with a column per series: equally likely courses of all of them together."""
    names = sorted(case.zones)

    def rows() -> Iterable[Sequence[object]]:
        for made in forecasts:
            place = {z.zone: i for i, z in enumerate(made.zones)}
            for p, path in enumerate(made.scenarios_m3_per_s):
                flows = [_in_unit(case, n, path[place[n]]).tolist() if n in place else [""] * path.shape[1] for n in names]
                for k, time in enumerate(made.times):
                    yield (isoformat_z(made.issue_time), p, isoformat_z(time), *(f[k] for f in flows))

    return csv_text(["issue_time", "path", "time", *names], rows())


def explanation_json(case: ForecastCase, forecasts: Sequence[Forecast], gaps: Sequence[tuple[str, str]]) -> str:
    """How each forecast came about: rung, members, drivers, special days, changes, volumes of whole days; and what of the files was not used."""
    made = []
    for f in forecasts:
        series = []
        for z in f.zones:
            volumes = {quantile_name(q): [round(float(v), 3) for v in row] for q, row in zip(f.levels, z.day_volume_m3, strict=True)}
            series.append({"series": z.zone, "rung": z.rung.value, "days": [d.isoformat() for d in z.days], "day_volume_m3": volumes, **z.explanation.document()})
        made.append({"issue_time": isoformat_z(f.issue_time), "step_s": f.step_s, "series": series})
    left_out = [
        {"file": f.file, "count": f.count, "first": [{"line": x.line, "column": x.column, "found": x.found, "expected": x.expected} for x in f.first]} for f in case.left_out
    ]
    return as_json({
        "case": case.name, "time_zone": case.time_zone, "forecasts": made, "not_forecast": [{"series": name, "why": why} for name, why in gaps], "left_out_of_files": left_out,
    })  # fmt: skip


def summary(case: ForecastCase, forecasts: Sequence[Forecast], gaps: Sequence[tuple[str, str]]) -> str:
    """For the terminal: each series at the last issue time."""
    lines: list[str] = []
    if forecasts:
        last = forecasts[-1]
        local = last.issue_time.astimezone(zone(case.time_zone))
        lines.append(f"{case.name}: {len(forecasts)} issue time{'' if len(forecasts) == 1 else 's'}; the last, {local:%Y-%m-%d %H:%M %Z}, {len(last.times)} steps of {last.step_s // 60} min:")
        width = max(len(z.zone) for z in last.zones)
        for z in last.zones:
            median = _in_unit(case, z.zone, z.quantiles_m3_per_s[last.level(0.5)])
            volume = "" if not z.days else f", first whole day {z.day_volume_m3[last.level(0.5), 0]:.0f} m3"
            lines.append(f"  {z.zone:<{width}}  mean {median.mean():.4g}, {median.min():.4g} to {median.max():.4g} {case.units[z.zone]}{volume}; {z.rung.value}")
            lines += [f"  {'':<{width}}  {said}" for said in z.explanation.sentences()]
    lines += [f"not forecast: {name}: {why}" for name, why in dict(gaps).items()]
    return "\n".join(lines)


def left_out_lines(case: ForecastCase) -> list[str]:
    """What of the case's files was not used, for the terminal: the first five places of each file."""
    lines = []
    for f in case.left_out:
        lines.append(f"{f.file}: {f.count} place{' was' if f.count == 1 else 's were'} left out; the rest is used")
        lines += [f"  line {x.line}, column {x.column!r}: found {x.found!r}, expected {x.expected}" for x in f.first[:5]]
        if f.count > 5:
            lines.append("  ...")
    return lines


def _in_unit(case: ForecastCase, series: str, flow_m3_per_s: Floats) -> Floats:
    """Flows in the series' own unit, rounded to seven digits of its largest: no meter tells more."""
    flow = flow_m3_per_s / case.factor(series)
    largest = float(abs(flow).max(initial=0.0))
    digits = 6 if largest <= 0 else max(0, 6 - int(f"{largest:e}".split("e")[1]))
    return flow.round(digits)
