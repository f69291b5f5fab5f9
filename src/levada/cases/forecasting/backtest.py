"""What forecasts of a case would have been worth: made at past issue times, scored by what was then measured, beside last week's values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from levada.cases.forecasting import tables
from levada.cases.forecasting.load import ForecastCase
from levada.cases.forecasting.names import file_name
from levada.cases.forecasting.plot import plot
from levada.cases.forecasting.run import CaseForecast, run
from levada.cases.output import write_files
from levada.domain.errors import DocumentError
from levada.domain.series import Floats
from levada.domain.time import isoformat_z
from levada.forecast.grid import even_steps, known_readings
from levada.forecast.skill import Skill, last_week, mean_skill, score

__all__ = ["Backtest", "Scored", "backtest", "measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One series at one issue time: what we forecast, and last week's values, scored."""

    series: str
    issue_time: datetime
    ours: Skill
    naive: Skill


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backtest:
    """Forecasts of the past and their scores."""

    case: ForecastCase
    made: CaseForecast
    scored: tuple[Scored, ...]

    def of(self, series: str) -> tuple[Skill, Skill]:
        """Mean scores over the issue times: ours and last week's, flows in m3/s."""
        mine = [s for s in self.scored if s.series == series]
        return mean_skill([s.ours for s in mine]), mean_skill([s.naive for s in mine])

    def cumulated_h(self, series: str, *, share: float = 0.9) -> tuple[float, float]:
        """The quantile over issue times of the largest cumulated error of the first day, in hours of mean flow: ours and last week's. NaN where none is known."""
        mine = [s for s in self.scored if s.series == series]
        found = []
        for skills in ([s.ours for s in mine], [s.naive for s in mine]):
            hours = np.array([s.cumulated_m3 / (s.mean_flow * 3600.0) if s.mean_flow > 0 else np.nan for s in skills])
            known = hours[np.isfinite(hours)]
            found.append(float(np.quantile(known, share)) if len(known) else float("nan"))
        return found[0], found[1]

    def __str__(self) -> str:
        return _table(self)

    def scores_json(self) -> str:
        """Mean scores by series as JSON, flows in the series' own unit."""
        return _scores_json(self)

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write scores.csv, scores.json, forecast.csv, explanation.json and a plot per series. Raises FileError where that cannot be done."""
        case, forecasts = self.case, self.made.forecasts
        texts = {
            "scores.csv": _scores_csv(self),
            "scores.json": self.scores_json(),
            "forecast.csv": tables.forecast_csv(case, forecasts),
            "explanation.json": tables.explanation_json(case, forecasts, self.made.gaps),
        }
        for name in dict.fromkeys(s.series for s in self.scored):
            mae, naive = (s.mae / case.factor(name) for s in self.of(name))
            title = f"{case.name}: {name}, mean absolute error {mae:.3g} {case.units[name]} (last week's values {naive:.3g})"
            texts[f"{file_name(name)}.svg"] = plot(case, name, forecasts, title=title)
        return write_files(folder, texts)


def backtest(case: ForecastCase, progress: Callable[[int, int, str], bool] | None = None) -> Backtest:
    """Forecast at past issue times, from what was known by then, and score.

    Raises DocumentError where no issue time has a horizon that was measured.
    """
    times = case.backtest_times
    if not times:
        raise DocumentError(str(case.path), "backtest.weeks", "no whole week is measured; name issue times under [forecast], or a shorter horizon")
    made = run(case.issued_at(times), progress)
    scored = []
    for f in made.forecasts:
        for z in f.zones:
            truth = measured(case, z.zone, f.start, len(f.times))
            usual = last_week(case.zones[z.zone], f.start, len(f.times), f.step_s, case.time_zone)
            scored.append(Scored(
                series=z.zone, issue_time=f.issue_time, ours=score(z.quantiles_m3_per_s, f.levels, truth, f.step_s), naive=score(usual[None], (0.5,), truth, f.step_s)
            ))  # fmt: skip
    return Backtest(case=case, made=made, scored=tuple(scored))


def measured(case: ForecastCase, series: str, start: datetime, count: int) -> Floats:
    """What was measured in the steps from `start` on, m3/s, (count,); NaN where it was not."""
    step_s = case.document.forecast.step
    end = start + timedelta(seconds=step_s * count)
    known, interval_s = known_readings(case.zones[series], end)
    steps = even_steps(known, interval_s, end, step_s)[-count:]
    return np.concatenate([np.full(count - len(steps), np.nan), steps])


# --- tables -------------------------------------------------------------------------------------------------------------

_FLOWS = ("mae", "pi1", "pi2", "pi3", "pinball", "width_80", "width_90", "mean_flow")
_SHARES = ("coverage_80", "coverage_90")


def _row(case: ForecastCase, series: str, skill: Skill) -> dict[str, float | None]:
    """Scores in the series' own unit; None where unknown."""
    found: dict[str, float | None] = {}
    for name, value in asdict(skill).items():
        value = float(value) / (case.factor(series) if name in _FLOWS else 1.0)
        found[name] = round(value, 7) if np.isfinite(value) else None
    return found


def _scores_csv(result: Backtest) -> str:
    names = [*_FLOWS, *_SHARES, "cumulated_m3"]
    rows: list[Sequence[object]] = []
    for s in result.scored:
        for who, skill in (("levada", s.ours), ("last week", s.naive)):
            row = _row(result.case, s.series, skill)
            rows.append([isoformat_z(s.issue_time), s.series, who, result.case.units[s.series], *("" if row[n] is None else row[n] for n in names)])
    return tables.csv_text(["issue_time", "series", "forecast", "unit", *names], rows)


def _scores_json(result: Backtest) -> str:
    case, series = result.case, []
    for name in dict.fromkeys(s.series for s in result.scored):
        ours, naive = result.of(name)
        cumulated = [round(h, 4) if np.isfinite(h) else None for h in result.cumulated_h(name)]
        series.append({
            "series": name, "unit": case.units[name], "issue_times": sum(s.series == name for s in result.scored),
            "levada": {**_row(case, name, ours), "cumulated_p90_h": cumulated[0]}, "last_week": {**_row(case, name, naive), "cumulated_p90_h": cumulated[1]},
        })  # fmt: skip
    return tables.as_json({"case": case.name, "series": series, "not_forecast": [{"series": n, "why": why} for n, why in result.made.gaps]})


_HEAD = ("series", "unit", "n", "MAE", "naive", "ratio", "PI1", "PI2", "PI3", "pinball %", "in 80 %", "in 90 %", "width 90 %", "cum. h", "naive")


def _table(result: Backtest) -> str:
    """For the terminal, a row per series."""
    case = result.case
    rows = [list(_HEAD)]
    for name in dict.fromkeys(s.series for s in result.scored):
        ours, naive = result.of(name)
        unit = case.factor(name)
        hours, naive_hours = result.cumulated_h(name)
        flows = [ours.mae / unit, naive.mae / unit, ours.mae / naive.mae if naive.mae > 0 else float("nan"), ours.pi1 / unit, ours.pi2 / unit, ours.pi3 / unit]
        shares = [100 * ours.pinball / ours.mean_flow, 100 * ours.coverage_80, 100 * ours.coverage_90, 100 * ours.width_90 / ours.mean_flow]
        rows.append([
            name, case.units[name], str(sum(s.series == name for s in result.scored)), *(_figure(v, ".4g") for v in flows), _figure(shares[0], ".2f"),
            *(_figure(v, ".1f") for v in shares[1:]), _figure(hours, ".2f"), _figure(naive_hours, ".2f"),
        ])  # fmt: skip
    widths = [max(len(r[i]) for r in rows) for i in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(r, widths, strict=True))) for r in rows]
    about = (
        "MAE over the horizon and `naive`, last week's values at the same clock times; PI1, PI2 mean and largest error of the first day, PI3 mean error after it; pinball and width as "
        "a share of the mean flow; parts of values within the 80 and 90 % intervals; cum. h: 90th percentile of the first day's largest cumulated error, in hours of mean flow."
    )
    return "\n".join([f"{case.name}: {len(result.made.forecasts)} issue times", *lines, "", about, *(f"not forecast: {n}: {why}" for n, why in dict(result.made.gaps).items())])


def _figure(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "-"
