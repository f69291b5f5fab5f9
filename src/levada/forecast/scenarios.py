"""Equally likely courses of all zones together: the quantiles as margins, put together by how past errors went together.

The Schaake shuffle (Clark et al. 2004, J. Hydrometeorology 5, 243-262): each path takes one past issue time, the same for all zones, and
at every hour the rank that the error of that time's forecast had among those of all paths. So long dry spells, wrong levels and days on
which all zones draw more stay together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from levada.domain.series import Floats
from levada.forecast.intervals import interpolated

__all__ = ["draw_paths"]

_TIE_BREAK = 0.05


def draw_paths(margins: Sequence[Floats], past_errors: Sequence[Floats], per_hour: int, paths: int, seed: int) -> Floats:
    """Paths (paths, zones, steps) from each zone's quantiles at GRID (GRID, steps) and its past errors (issue times, hours).

    The last rows of `past_errors` are of the same issue times in all zones, only times that all have are taken; a zone without any
    (0 rows) is drawn as one that is always equally wrong. NaN counts as no error.
    """
    drawn = np.empty((paths, len(margins), margins[0].shape[1] if margins else 0))
    if not paths:
        return drawn
    rng = np.random.default_rng(seed)
    common = min((len(errors) for errors in past_errors if len(errors)), default=1)
    back = rng.permutation(paths) % common
    for z, (margin, errors) in enumerate(zip(margins, past_errors, strict=True)):
        hours = -(-margin.shape[1] // per_hour)
        if len(errors):
            taken = np.nan_to_num(errors[len(errors) - 1 - back, :hours])
            # Paths of the same issue time differ a little, as a whole and by hour.
            size = np.abs(taken).mean() + 1e-12
            taken = taken + _TIE_BREAK * size * (rng.normal(size=(paths, 1)) + rng.normal(size=taken.shape))
        else:
            taken = np.repeat(rng.normal(size=(paths, 1)), hours, axis=1)
        rank = np.repeat(taken.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable"), per_hour, axis=1)[:, : margin.shape[1]]
        sample = interpolated(margin, (np.arange(paths) + 0.5) / paths)
        drawn[:, z] = np.take_along_axis(sample, rank, axis=0)
    return drawn
