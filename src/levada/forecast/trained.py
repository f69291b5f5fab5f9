"""What a zone's forecast needs besides its recent readings: the fitted ensemble, its bands and past errors; as portable text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from levada.domain.bundle import canonical_json
from levada.domain.errors import ProblemError
from levada.domain.series import Floats
from levada.forecast.ensemble import Calibration, Ensemble, fit_ensembles
from levada.forecast.intervals import Band, conformal_band
from levada.forecast.models.boosted import Boosted, View
from levada.forecast.past import Past

__all__ = ["Trained", "address", "train_pasts"]

_FORMAT: Final = "levada forecast model 1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """`scale`: mean flow that the trees were fitted by, m3/s; `shape`: see within_hour.py; `past_errors` (issue times, hours): measured less
    expected, m3/s, NaN where not measured, the last issue time last."""

    step_s: int
    scale: float
    ensemble: Ensemble
    band: Band
    shape: Floats
    past_errors: Floats

    def text(self) -> str:
        """As canonical JSON, the trees within it in LightGBM's text format. Reading it again gives the same forecasts."""
        return canonical_json(
            {
                "format": _FORMAT,
                "step_s": self.step_s,
                "scale": self.scale,
                "trees": {name: {"view": t.view.value, "text": t.text()} for name, t in self.ensemble.trees.items()},
                "weights": {name: w.tolist() for name, w in self.ensemble.weights.items()},
                "weather": self.ensemble.weather,
                "band": {"size": self.band.size.tolist(), "leads_h": self.band.leads_h.tolist(), "scaled": self.band.scaled.tolist()},
                "shape": self.shape.tolist(),
                "past_errors": [[None if np.isnan(e) else float(e) for e in row] for row in self.past_errors],
            }
        ).decode()

    @classmethod
    def from_text(cls, text: str, zone: str) -> Trained:
        """Read text(). Raises ProblemError where it is none, or of another version."""
        try:
            found = json.loads(text)
        except json.JSONDecodeError as e:
            raise ProblemError(f"models[{zone}]", f"is no JSON ({e}); train it again") from e
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise ProblemError(f"models[{zone}]", f"is not in the format {_FORMAT!r}; train it again")
        return cls(
            step_s=found["step_s"],
            scale=found["scale"],
            ensemble=Ensemble(
                trees={name: Boosted.from_text(t["text"], View(t["view"])) for name, t in found["trees"].items()},
                weights={name: np.array(w) for name, w in found["weights"].items()},
                weather=found["weather"],
            ),
            band=Band(*(np.array(found["band"][name]) for name in ("size", "leads_h", "scaled"))),
            shape=np.array(found["shape"]),
            past_errors=np.array([[np.nan if e is None else e for e in row] for row in found["past_errors"]]),
        )


def address(text: str) -> str:
    """The content address of a model: the same text has the same, another text another."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def train_pasts(
    pasts: Sequence[Past], step_s: int, seed: int, *, any_hour: bool = False, threads: int = 1, each: Callable[[int], None] = lambda _: None
) -> list[Trained | None]:
    """Train on pasts that are enough for it; None for one that then has too few complete weeks. `each` is told the positions done."""
    fitted = fit_ensembles([past.hours for past in pasts], seed, any_hour=any_hour, threads=threads, each=each)
    return [None if fit is None else _trained(past, step_s, *fit) for past, fit in zip(pasts, fitted, strict=True)]


def _trained(past: Past, step_s: int, ensemble: Ensemble, judged: Calibration) -> Trained:
    days = len(np.unique(past.hours.clock.day[judged.target]))
    by_issue = _by_issue_time(judged, past.hours.flow[judged.target] - judged.flow, past.hours.known, past.hours.ahead)
    return Trained(
        step_s=step_s,
        scale=past.hours.scale,
        ensemble=ensemble,
        band=conformal_band(**past.step_errors(judged.origin, judged.target, judged.flow), days=days),
        shape=past.shape,
        past_errors=by_issue,
    )


def _by_issue_time(judged: Calibration, error: Floats, known: int, ahead: int) -> Floats:
    """Errors as (issue times, hours), the whole horizons only, unless there is none."""
    origins, row = np.unique(judged.origin, return_inverse=True)
    found = np.full((len(origins), ahead), np.nan)
    found[row, judged.target - judged.origin] = error
    whole = origins + ahead <= known
    return found[whole] if whole.any() else found
