"""What a case says of the water drawn: the expected demand of each junction, and the demands that may come instead."""

from __future__ import annotations

import numpy as np

from levada.cases.case_file import CaseText
from levada.cases.document import CaseDocument, Demand
from levada.cases.inp_terms import InpTimes, clock_demands
from levada.cases.series import SeriesReader
from levada.cases.terms import flow_factor
from levada.domain.errors import FileError
from levada.domain.network import Network
from levada.domain.series import Floats
from levada.domain.timeline import Timeline

__all__ = ["demands_of"]


def demands_of(text: CaseText[CaseDocument], network: Network, values: SeriesReader, timeline: Timeline, times: InpTimes) -> tuple[Floats, Floats | None]:
    """The expected demand, (n, junctions) m3/s, and the scenarios', (scenarios, n, junctions) or None. Raises DocumentError, FileError, RowError."""
    reader = _Demands(text, network, values, timeline, times)
    expected = reader.of(text.document.demand, "demand")
    terms = text.document.scenarios
    if terms is None:
        return expected, None
    zones = text.document.demand.zones
    own = [d if d.zones else d.model_copy(update={"zones": zones}) for d in terms.demands]
    return expected, np.stack([expected * d.multiplier if d.file is None else reader.of(d, f"scenarios.demands.{i}") for i, d in enumerate(own)])


class _Demands:
    def __init__(self, text: CaseText[CaseDocument], network: Network, values: SeriesReader, timeline: Timeline, times: InpTimes) -> None:
        self._text, self._network, self._values, self._timeline, self._times = text, network, values, timeline, times
        self._by_patterns: dict[bool, Floats] = {}

    def of(self, terms: Demand, field: str) -> Floats:
        junctions = self._network.junction_index
        by_clock = terms.patterns_begin == "clock"
        if by_clock not in self._by_patterns:
            self._by_patterns[by_clock] = clock_demands(self._network, self._timeline, self._times, by_clock=by_clock)
        demand = self._by_patterns[by_clock].copy()
        shares = {name: self._shares(name, members, field) for name, members in terms.zones.items()}
        if terms.file is not None and terms.unit is not None:
            table = self._values.table(terms.file)
            if terms.others == "zero":
                demand[:] = 0.0
            told: dict[int, str] = {}
            for column in table.columns:
                if column in shares:
                    split = shares[column]
                elif column in junctions:
                    split = {junctions[column]: 1.0}
                else:
                    raise FileError(
                        file=str(self._values.path(terms.file)), problem=f"the column {column!r} is no junction of {self._network.name} and no zone of the case",
                        remedy=f"name it as the network does, or add the zone to [{field}.zones]",
                    )  # fmt: skip
                flow = table.mean(column) * flow_factor(terms.unit)
                for place, share in split.items():
                    if place in told:
                        raise self._text.fault(f"{field}.file", f"junction {self._network.junctions[place].name} is told twice, by the columns {told[place]!r} and {column!r}")
                    told[place] = column
                    demand[:, place] = flow * share
        return demand * terms.multiplier

    def _shares(self, zone: str, members: list[str] | dict[str, float], field: str) -> dict[int, float]:
        """Place of each junction of a zone -> its share of the zone's flow; the shares sum to 1."""
        where = f"{field}.zones.{zone}"
        if zone in self._network.junction_index:
            raise self._text.fault(where, "has the name of a junction; give the zone another")
        for name in members:
            if name not in self._network.junction_index:
                raise self._text.fault(where, f"the network {self._network.name} has no junction {name!r}")
        places = [self._network.junction_index[name] for name in members]
        if not places or len(set(places)) < len(places):
            raise self._text.fault(where, "needs junctions, each once")
        if isinstance(members, dict):
            shares = np.array(list(members.values()))
            if (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
                raise self._text.fault(where, f"shares must not be negative and must sum to 1; they sum to {shares.sum():g}")
        else:
            # A negative base demand is an inflow of the model; it takes no part in what customers draw.
            base = np.array([max(0.0, self._network.junctions[p].base_demand_m3_per_s) for p in places])
            shares = base / base.sum() if base.sum() > 0 else np.full(len(places), 1 / len(places))
        return dict(zip(places, shares.tolist(), strict=True))
