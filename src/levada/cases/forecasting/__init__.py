"""A forecast case: a folder with a `case.toml`, CSVs of flows and what else is known; read, forecast at each issue time, scored.

    from levada.cases import forecasting
    case = forecasting.load("examples/town-demand")
    found = forecasting.run(case)            # a Forecast per issue time
    found.write("out")
    print(forecasting.backtest(case))

Read document.py (what the case file may say), readings.py (CSVs into readings: what cannot be used is named, the rest is), weather.py, load.py; run.py and
backtest.py do the work; tables.py writes it, plot.py draws it. May import domain, forecast and the words and files of levada.cases.
Knows no database, environment, network or clock of the machine.
"""

from levada.cases.forecasting.backtest import Backtest, backtest
from levada.cases.forecasting.load import ForecastCase, load
from levada.cases.forecasting.run import CaseForecast, run, train_models

__all__ = ["Backtest", "CaseForecast", "ForecastCase", "backtest", "load", "run", "train_models"]
