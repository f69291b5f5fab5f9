"""Gradient-boosted trees (LightGBM), one model of a zone for all lead times. They learn the flow as a departure from the level of the
week before (in units of it), by absolute error; or the flow as a share of the usual of like days, by squared error: two views that err
differently, so that their mean errs less.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import lightgbm
import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.forecast.features import FLOOR, Rows
from levada.forecast.wall_clock import Ints

__all__ = ["Boosted", "View", "fit_boosted"]

_HALF_LIFE_H: Final = 365 * 24
_SHARE_LIMITS: Final = (0.0, 2.5)

_PARAMETERS: Final[dict[str, object]] = {
    "learning_rate": 0.05,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 127,
    # One thread, fixed order of sums: the same input gives the same bytes.
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


class View(StrEnum):
    """What the trees learn."""

    LEVEL = "level"
    USUAL = "usual"


class Boosted:
    """A fitted model of one zone."""

    def __init__(self, booster: lightgbm.Booster, view: View) -> None:
        self._booster, self.view = booster, view

    def flow(self, rows: Rows) -> Floats:
        """Mean flow of the rows' target hours, m3/s, (rows,)."""
        found: Floats = self._unit(rows) * np.asarray(self._booster.predict(self._seen(rows), num_threads=1), dtype=np.float64)
        return found

    def effects(self, rows: Rows) -> Floats:
        """What each feature adds to each row's flow (Shapley values of the trees), m3/s, (rows, features)."""
        values = np.asarray(self._booster.predict(self._seen(rows), num_threads=1, pred_contrib=True), dtype=np.float64)
        found: Floats = self._unit(rows)[:, None] * values[:, :-1]
        return found

    def _unit(self, rows: Rows) -> Floats:
        return rows.level if self.view is View.LEVEL else _floored_usual(rows)

    def _seen(self, rows: Rows) -> NDArray[np.float32]:
        # Columns that only others were fitted on, the weather's, are the last.
        return np.ascontiguousarray(rows.table[:, : self._booster.num_feature()])

    def text(self) -> str:
        """The trees in LightGBM's own text format."""
        found: str = self._booster.model_to_string()
        return found

    @classmethod
    def from_text(cls, text: str, view: View) -> Boosted:
        """Read text(). Raises lightgbm's error for another text."""
        return cls(lightgbm.Booster(model_str=text), view)


def _floored_usual(rows: Rows) -> Floats:
    return np.maximum(rows.usual, FLOOR * rows.level)


def fit_boosted(rows: Rows, flow: Floats, age_h: Ints, view: View, seed: int, scale: Floats | float = 1.0) -> Boosted:
    """Learn `flow` (rows,), m3/s, from `rows`; a row of which the target lies `age_h` back counts half after a year.

    Errors count in m3/s over `scale`, the mean flow of each row's zone where there are several. Few rows get fewer and smaller trees.
    """
    weight = 0.5 ** (age_h / _HALF_LIFE_H)
    if view is View.LEVEL:
        share, weight = flow / rows.level, weight * rows.level / scale
    else:
        unit = _floored_usual(rows)
        share, weight = np.clip(flow / unit, *_SHARE_LIMITS), weight * unit / scale
    parameters: dict[str, object] = {
        **_PARAMETERS,
        "objective": "l1" if view is View.LEVEL else "l2",
        "seed": seed % 2**31,
        "num_leaves": 15 if len(flow) >= 10_000 else 8,
        "min_data_in_leaf": int(np.clip(len(flow) // 60, 20, 60)),
    }
    data = lightgbm.Dataset(np.ascontiguousarray(rows.table), share, weight=weight / weight.mean(), params={"verbose": -1, "max_bin": _PARAMETERS["max_bin"]})
    rounds = int(np.clip(len(flow) // 60, 60, 200))
    return Boosted(lightgbm.train(parameters, data, num_boost_round=rounds), view)
