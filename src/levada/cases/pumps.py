"""What a case says of its pumps, as arrays in the network's order."""

from __future__ import annotations

import numpy as np

from levada.cases.case_file import CaseText
from levada.cases.document import DEFAULT, CaseDocument, PumpTerms
from levada.cases.terms import Span
from levada.domain.network import Network
from levada.domain.plant_fields import PumpFields
from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.domain.timeline import Timeline, instant_of

__all__ = ["pump_fields"]


def pump_fields(text: CaseText[CaseDocument], network: Network, timeline: Timeline) -> PumpFields:
    """Raises DocumentError where what is said of a pump contradicts itself."""
    shared = text.document.pumps.get(DEFAULT, PumpTerms())
    terms = [_merged(text.document.pumps.get(pump.name, PumpTerms()), shared) for pump in network.pumps]
    n = len(timeline.steps)
    speeds = []
    for pump, t in zip(network.pumps, terms, strict=True):
        # EPANET gives a pump that is closed at the start the speed 0.
        speed = t.speed if t.speed is not None else pump.initial_speed or 1.0
        speeds.append((speed[0], speed[1]) if isinstance(speed, list) else (speed, speed))
    available, forced = np.ones((n, len(terms)), bool), np.zeros((n, len(terms)), bool)
    held = np.zeros(len(terms))
    for j, (pump, t) in enumerate(zip(network.pumps, terms, strict=True)):
        available[:, j] = ~_touched(text, timeline, t.outages, f"pumps.{pump.name}.outages")
        forced[:, j] = _touched(text, timeline, t.forced_on, f"pumps.{pump.name}.forced_on")
        clash = np.flatnonzero(forced[:, j] & ~available[:, j])
        if len(clash):
            at = timeline.local(timeline.steps.window.start).isoformat() if not clash[0] else str(timeline.steps.times[clash[0]].astype("datetime64[m]")) + " UTC"
            raise text.fault(f"pumps.{pump.name}.forced_on", f"pump {pump.name} is forced on and out in the step that begins {at}")
        held[j] = _held_s(text, timeline, t, pump.name)
    return PumpFields(
        max_starts=np.array([n if t.max_starts is None else t.max_starts for t in terms], np.int64),
        initial_on=np.array([pump.initially_on if t.on_before is None else t.on_before for pump, t in zip(network.pumps, terms, strict=True)], bool),
        min_speed=np.array([low for low, _ in speeds], np.float64),
        max_speed=np.array([high for _, high in speeds], np.float64),
        available=available,
        starts_made=np.array([t.starts_made or 0 for t in terms], np.int64) if any(t.starts_made for t in terms) else None,
        min_on_s=_given([t.min_on for t in terms]),
        min_off_s=_given([t.min_off for t in terms]),
        held_s=held if any(t.since is not None for t in terms) else None,
        forced_on=forced if forced.any() else None,
        wear_cost_per_start=_given([t.wear_per_start for t in terms]),
        run_hours_h=_given([t.run_hours for t in terms]),
    )


def _merged(own: PumpTerms, shared: PumpTerms) -> PumpTerms:
    return own.model_copy(update={name: getattr(shared, name) for name in PumpTerms.model_fields if getattr(own, name) is None})


def _given(values: list[int | None] | list[float | None]) -> Floats | None:
    if all(v is None for v in values):
        return None
    return np.array([float(v or 0) for v in values])


def _touched(text: CaseText[CaseDocument], timeline: Timeline, spans: list[Span] | None, field: str) -> Bools:
    holds = np.zeros(len(timeline.minutes), bool)
    for i, span in enumerate(spans or []):
        try:
            holds |= timeline.in_span(span)
        except ValueError as e:
            raise text.fault(field, f"number {i + 1} {e}") from None
    return timeline.touched(holds)


def _held_s(text: CaseText[CaseDocument], timeline: Timeline, terms: PumpTerms, name: str) -> float:
    """Seconds in the initial state; where nothing is said, as long as any limit asks."""
    if terms.since is None:
        return float(max(terms.min_on or 0, terms.min_off or 0))
    try:
        since = instant_of(terms.since, timeline.clock)
    except ValueError as e:
        raise text.fault(f"pumps.{name}.since", str(e)) from None
    held = (timeline.steps.start - since).total_seconds()
    if held < 0:
        raise text.fault(f"pumps.{name}.since", f"{since.isoformat()} is after the start")
    return held
