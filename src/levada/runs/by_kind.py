"""What a bundle is computed with, by its kind. The one place that knows; pure, as all of them are."""

from __future__ import annotations

from levada.domain.bundle import Bundle, BundleError
from levada.domain.run import RunKind
from levada.runs import pipeline, training

__all__ = ["compute"]

_BY_KIND = {RunKind.PLAN.value: pipeline.compute, RunKind.TRAIN.value: training.compute}


def compute(bundle: Bundle) -> bytes:
    """The result of a bundle as canonical JSON. Raises BundleError for a kind that nothing computes, and what the kind's own function does."""
    found = _BY_KIND.get(bundle.kind)
    if found is None:
        raise BundleError(bundle.bundle_id, f"is a bundle for {bundle.kind!r}; this version computes {' and '.join(_BY_KIND)}")
    return found(bundle)
