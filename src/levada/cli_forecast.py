"""`levada forecast run|backtest|train`: forecast a case folder, score such forecasts on its past, store models.

Exit codes: 0 all series were forecast, 3 some could not be, 2 asked wrongly.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from levada.cli_interrupt import Stop, stop_on_interrupt

if TYPE_CHECKING:
    from levada.cases.forecasting import ForecastCase

__all__ = ["forecast"]

_NOT_ALL = 3
_CASE = click.argument("case_path", metavar="CASE", type=click.Path(exists=True, path_type=Path))
_OUT = "out"


@click.group("forecast")
def forecast() -> None:
    """Forecast demand from a case folder, and say how good such forecasts are."""


@forecast.command("run")
@_CASE
@click.option("--out", _OUT, type=click.Path(file_okay=False, path_type=Path), help="Write forecast.csv, explanation.json and plots into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print explanation.json.")
@click.option("--quiet", is_flag=True, help="No progress on stderr, nothing on stdout; the exit code tells.")
def run(case_path: Path, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Forecast each series of a case at each of its issue times, from what was known by then.

    CASE is a folder with a case.toml, or a case file. forecast.csv has a row per issue time, series and instant, with the quantiles. Ctrl-C
    stops and gives what is made. Exits 3 where a series could not be forecast, 2 for wrong input.

    \b
    Example:
      levada forecast run examples/town-demand --out forecasts
    """
    from levada.cases import forecasting
    from levada.cases.forecasting.tables import explanation_json

    case = _load(case_path, quiet=quiet)
    with stop_on_interrupt("stopping after this issue time; Ctrl-C again aborts") as stop:
        found = forecasting.run(case, _Line(quiet=quiet).watch(stop))
    if as_json:
        click.echo(explanation_json(case, found.forecasts, found.gaps), nl=False)
    elif not quiet:
        click.echo(str(found))
    _wrote(found.write(out) if out is not None else (), quiet=quiet or as_json)
    if found.gaps:
        sys.exit(_NOT_ALL)


@forecast.command("backtest")
@_CASE
@click.option("--out", _OUT, type=click.Path(file_okay=False, path_type=Path), help="Write scores.csv, scores.json, the forecasts and a plot per series into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as data.")
@click.option("--weeks", type=click.IntRange(1, 520), help="So many last whole weeks, instead of what the case says.")
@click.option("--quiet", is_flag=True, help="No progress on stderr, nothing on stdout.")
def backtest(case_path: Path, out: Path | None, as_json: bool, weeks: int | None, quiet: bool) -> None:
    """Score forecasts of the past beside last week's values.

    Issue times are the case's, or the Mondays of its last weeks. Ctrl-C stops and scores what is made.

    \b
    Example:
      levada forecast backtest examples/town-demand --weeks 4 --out scores
    """
    from levada.cases import forecasting

    case = _load(case_path, quiet=quiet)
    if weeks is not None:
        case = case.with_backtest_weeks(weeks)
    with stop_on_interrupt("stopping after this issue time; Ctrl-C again aborts") as stop:
        found = forecasting.backtest(case, _Line(quiet=quiet).watch(stop))
    if as_json:
        click.echo(found.scores_json(), nl=False)
    elif not quiet:
        click.echo(str(found))
    _wrote(found.write(out) if out is not None else (), quiet=quiet or as_json)
    if found.made.gaps:
        sys.exit(_NOT_ALL)


@forecast.command("train")
@_CASE
@click.option("--out", _OUT, required=True, type=click.Path(file_okay=False, path_type=Path), help="Write SERIES.model and models.json into this folder.")
@click.option("--quiet", is_flag=True, help="Nothing on stdout.")
def train(case_path: Path, out: Path, quiet: bool) -> None:
    """Fit models on what is known at the case's last issue time, and store them as text.

    A case with `models = "FOLDER"` under [forecast] then forecasts from them without fitting. Exits 3 where a series has too little history for one.

    \b
    Example:
      levada forecast train examples/town-demand --out models
    """
    from levada.cases import forecasting

    case = _load(case_path, quiet=quiet)
    made = forecasting.train_models(case, out)
    _wrote(made.files, quiet=quiet)
    for name in made.without:
        click.echo(f"no model for {name}: its history is too short; it is forecast without one", err=True)
    if made.without:
        sys.exit(_NOT_ALL)


def _load(path: Path, *, quiet: bool) -> ForecastCase:
    """The case; what of its files is not used is told on stderr."""
    from levada.cases import forecasting
    from levada.cases.forecasting.tables import left_out_lines

    case = forecasting.load(path)
    if not quiet:
        for line in left_out_lines(case):
            click.echo(line, err=True)
    return case


def _wrote(paths: Sequence[Path], *, quiet: bool) -> None:
    for path in paths if not quiet else ():
        click.echo(f"written: {path}")


class _Line:
    """How far the work is, on stderr: one line that is rewritten on a terminal, else a line now and then."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._rewrites = quiet, sys.stderr.isatty()
        self._every_s = 0.25 if self._rewrites else 5.0
        self._last = -1e9

    def watch(self, stop: Stop) -> Callable[[int, int, str], bool]:
        """Told before each issue time; False once the user has asked to stop."""

        def told(done: int, of: int, now: str) -> bool:
            if not self._quiet and of > 1 and done < of and time.monotonic() - self._last >= self._every_s:
                self._last = time.monotonic()
                text = f"{done} of {of} issue times made; now {now}"
                click.echo(f"\r\033[K{text}" if self._rewrites else text, err=True, nl=not self._rewrites)
            if self._rewrites and done == of:
                click.echo("\r\033[K", err=True, nl=False)
            return not stop.asked

        return told
