"""What a bundle is computed with, by its kind. The one place that knows; pure, as all of them are."""

from __future__ import annotations

from collections.abc import Callable

from levada.domain.bundle import Bundle, BundleError
from levada.domain.run import RunKind
from levada.runs import pipeline, training
from levada.schedule import Progress

__all__ = ["compute"]


def compute(bundle: Bundle, tell: Callable[[Progress], None] | None = None) -> bytes:
    """The result of a bundle as canonical JSON; `tell` hears how a plan gets on. Raises BundleError for a kind that nothing computes, and what the kind's own
    function does."""
    match bundle.kind:
        case RunKind.PLAN:
            return pipeline.compute(bundle, tell)
        case RunKind.TRAIN:
            return training.compute(bundle)
    raise BundleError(bundle.bundle_id, f"is a bundle for {bundle.kind!r}; this version computes {' and '.join(RunKind)}")
