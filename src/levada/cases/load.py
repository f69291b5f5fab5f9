"""From a case folder to a pumping problem: `load`. What a case file leaves out gets the defaults that its model describes."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, timezone, tzinfo
from pathlib import Path

import numpy as np

from levada.cases.case_file import CaseText, read_bytes
from levada.cases.demand import demands_of
from levada.cases.document import DEFAULT, CaseDocument, Tariff
from levada.cases.inp_terms import InpTimes, inp_times, network_prices
from levada.cases.pumps import pump_fields
from levada.cases.schedule_csv import previous_plan
from levada.cases.series import SeriesReader
from levada.cases.tanks import tank_fields
from levada.cases.terms import flow_factor
from levada.domain.errors import DocumentError, ProblemError
from levada.domain.network import Network
from levada.domain.pumping import Ints, PumpingProblem, PumpSchedule
from levada.domain.pumping_terms import RELAX_ORDER, ControllableValve, Meter, Scenarios, Source
from levada.domain.series import Floats
from levada.domain.time import Steps, zone
from levada.domain.timeline import Timeline, instant_of
from levada.hydraulics.epanet import MAX_INP_BYTES
from levada.hydraulics.inp import read_network
from levada.schedule import Work

__all__ = ["Case", "load"]

_LONGEST_HORIZON_S = 35 * 86400
_MOST_STEPS = 5000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A case as read: the problem, and what a problem does not hold.

    | field | meaning |
    |---|---|
    | name | title of the case |
    | path | of the case file |
    | problem | what is asked |
    | currency | ISO 4217 code of all money in it |
    | clock | the case's own clock: local hours of periods, days |
    | timeline | the horizon on that clock |
    | work | what the search may spend |
    | previous | the plan followed until now, where it covers the horizon: a start for the search |
    """

    name: str
    path: Path
    problem: PumpingProblem
    currency: str
    clock: tzinfo
    timeline: Timeline
    work: Work
    previous: PumpSchedule | None


def load(path: str | Path) -> Case:
    """Read a case: a folder with a `case.toml`, or the path of a case file.

    Raises DocumentError (file, line, field), FileError and RowError (a CSV), NetworkError (the INP).
    """
    at = Path(path)
    text = CaseText(at / "case.toml" if at.is_dir() else at, CaseDocument)
    document = text.document
    clock = _clock(text)
    timeline = Timeline(_steps(text, clock), clock)
    inp = read_bytes(text.path.parent / document.network, MAX_INP_BYTES)
    network = read_network(inp, document.network)
    return _Loader(text, network, timeline).case()


def _clock(text: CaseText[CaseDocument]) -> tzinfo:
    document = text.document
    if document.time_zone is not None:
        try:
            return zone(document.time_zone)
        except (DocumentError, OSError):  # the name of a folder of zones, such as Europe, is found but cannot be read
            raise text.fault("time_zone", f"{document.time_zone!r} is not an IANA time zone such as Europe/Lisbon") from None
    if document.start.tzinfo is None:
        raise text.fault("start", 'has no offset, so the case needs `time_zone`, such as time_zone = "Europe/Lisbon"')
    offset = document.start.utcoffset()
    assert offset is not None
    return timezone(offset) if offset else UTC


def _steps(text: CaseText[CaseDocument], clock: tzinfo) -> Steps:
    document = text.document
    try:
        start = instant_of(document.start, clock)
    except ValueError as e:
        raise text.fault("start", str(e)) from None
    if start.second or start.microsecond:
        raise text.fault("start", f"found {document.start.isoformat()}; expected a whole minute")
    if document.steps is not None:
        field, pieces = "steps", [(d, c) for d, c in document.steps]
    else:
        field, step, horizon = "horizon", document.step if document.step is not None else 3600, document.horizon or 0
        if step <= 0 or horizon <= 0 or horizon % step:
            raise text.fault("horizon", f"{horizon} s is not a positive multiple of the step, {step} s")
        pieces = [(step, horizon // step)]
    if any(d <= 0 or d % 60 for d, _ in pieces):
        raise text.fault("steps" if document.steps is not None else "step", "steps must be whole minutes, at least one")
    count, total = sum(c for _, c in pieces), sum(d * c for d, c in pieces)
    if count > _MOST_STEPS or total > _LONGEST_HORIZON_S:
        raise text.fault(field, f"{count} steps over {total / 86400:.1f} days; at most {_MOST_STEPS} steps and {_LONGEST_HORIZON_S // 86400} days are planned")
    return Steps(start, tuple(d for d, c in pieces for _ in range(c)))


class _Loader:
    """The parts of one case on their way to its problem."""

    def __init__(self, text: CaseText[CaseDocument], network: Network, timeline: Timeline) -> None:
        self.text, self.network, self.timeline = text, network, timeline
        self.document: CaseDocument = text.document
        self.values = SeriesReader(text, timeline)
        self.times: InpTimes = inp_times(network)

    def case(self) -> Case:
        document, network, timeline = self.document, self.network, self.timeline
        self._names()
        tanks = tank_fields(self.text, network, self.values, timeline)
        pumps = pump_fields(self.text, network, timeline)
        expected, scenarios = demands_of(self.text, network, self.values, timeline, self.times)
        valves = self._valves()
        previous = None
        if document.previous is not None:
            previous = previous_plan(self.values.path(document.previous.file), network, valves, pumps.max_speed, pumps.min_speed, timeline)
        elif told := [name for name, t in document.pumps.items() if t.deviation_cost_per_h is not None]:
            raise self.text.fault(f"pumps.{told[0]}.deviation_cost_per_h", "needs [previous], the plan followed until now")
        deviation = None if previous is None else np.where(previous.covered[:, None], self._deviation_costs(), 0.0)
        co2 = document.co2
        try:
            problem = PumpingProblem(
                network=network,
                steps=timeline.steps,
                demand_m3_per_s=expected,
                price_per_kwh=self._prices(),
                initial_level_m=tanks.initial_level_m,
                min_level_m=tanks.min_level_m,
                max_level_m=tanks.max_level_m,
                may_stand_full=tanks.may_stand_full,
                end_level_m=tanks.end_level_m,
                pressure_floors_m=self._floors(expected),
                max_starts=pumps.max_starts,
                count_starts=document.count_starts,
                initial_on=pumps.initial_on,
                min_speed=pumps.min_speed,
                max_speed=pumps.max_speed,
                available=pumps.available,
                max_power_kw=document.max_power_kw,
                hydraulic_step_s=self._hydraulic_step_s(),
                reserve_level_m=tanks.reserve_level_m,
                ceiling_level_m=tanks.ceiling_level_m,
                end_level_max_m=tanks.end_level_max_m,
                stored_value_per_m3=tanks.stored_value_per_m3,
                pressure_ceilings_m=dict(document.pressure.ceilings),
                flow_limits_m3_per_s=self._flow_limits(),
                meters=self._meters(),
                sources=self._sources(),
                valves=valves,
                co2_kg_per_kwh=None if co2 is None else self.values.over_steps(co2.kg_per_kwh, "co2.kg_per_kwh", least=0.0),
                co2_price_per_kg=0.0 if co2 is None else co2.price_per_kg,
                max_co2_kg=None if co2 is None else co2.max_kg,
                day=self._day(),
                starts_made=pumps.starts_made,
                min_on_s=pumps.min_on_s,
                min_off_s=pumps.min_off_s,
                held_s=pumps.held_s,
                forced_on=pumps.forced_on,
                max_starts_total=document.max_starts_total,
                max_simultaneous_starts=document.max_simultaneous_starts,
                wear_cost_per_start=pumps.wear_cost_per_start,
                run_hours_h=pumps.run_hours_h,
                previous_on=None if previous is None else previous.on,
                deviation_cost_per_h=deviation,
                scenarios=None if scenarios is None or document.scenarios is None else Scenarios(demand_m3_per_s=scenarios, share=document.scenarios.share),
                also_hydraulic_steps_s=tuple(document.also_hydraulic_steps),
                switch_resolution_s=self._switch_resolution_s(),
                relax_order=RELAX_ORDER if document.relax_order is None else tuple(document.relax_order),
            )
        except ProblemError as e:
            raise DocumentError(str(self.text.path), e.field, e.problem) from e
        start = previous.schedule if previous is not None and previous.covered.all() else None
        name = document.name or self.text.path.resolve().parent.name
        return Case(name=name, path=self.text.path, problem=problem, currency=document.currency, clock=timeline.clock, timeline=timeline, work=self._work(), previous=start)

    def _names(self) -> None:
        """Every name that the case gives to a part of the network must be one of its."""
        network, document = self.network, self.document
        nodes = {*network.junction_index, *network.tank_index}
        links = {x.name for x in network.links}
        for table, given, known, kind in (
            ("tanks", document.tanks, {*network.tank_index, "default"}, "tank"),
            ("pumps", document.pumps, {*network.pump_index, "default"}, "pump"),
            ("pressure.floors", document.pressure.floors, nodes, "junction or tank"),
            ("pressure.ceilings", document.pressure.ceilings, nodes, "junction or tank"),
            ("flow_limits", document.flow_limits, links | set(network.pump_index), "link"),
            ("sources", document.sources, {r.name for r in network.reservoirs}, "reservoir"),
            ("valves", document.valves, links, "pipe or valve"),
        ):
            for name in given:
                self._known(f"{table}.{name}", name, known, kind)
        for name, meter in document.meters.items():
            for pump in meter.pumps:
                self._known(f"meters.{name}.pumps", pump, set(network.pump_index), "pump")

    def _known(self, field: str, name: str, known: Iterable[str], kind: str) -> None:
        names = sorted(set(known) - {"default"})
        if name in names or name in known:
            return
        near = difflib.get_close_matches(name, names, 1)
        has = f"it has {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}" if names else "it has none"
        raise self.text.fault(field, f"the network {self.network.name} has no {kind} {name!r}; {f'did you mean {near[0]!r}? ' if near else ''}{has}")

    def _hydraulic_step_s(self) -> int:
        given, durations = self.document.hydraulic_step, self.timeline.steps.durations_s
        if given is None:
            return math.gcd(self.times.hydraulic_step_s, *durations)
        if given <= 0:
            raise self.text.fault("hydraulic_step", f"{given} s is not above 0")
        return given

    def _switch_resolution_s(self) -> int | None:
        given, durations = self.document.switch_resolution, self.timeline.steps.durations_s
        if given is not None and (given <= 0 or given % 60 or any(d % given for d in durations)):
            raise self.text.fault("switch_resolution", f"{given} s is not whole minutes that divide every step ({', '.join(f'{d} s' for d in sorted(set(durations)))})")
        return given

    def _day(self) -> Ints | None:
        kind = self.document.days or ("horizon" if self.document.count_starts == "periodic" else "calendar")
        day = self.timeline.days() if kind == "calendar" else self.timeline.steps.offsets_s[:-1] // 86400
        if kind == "horizon" or not day[-1]:
            return None
        return day

    def _deviation_costs(self) -> Floats:
        """Cost of an hour in which a pump is not as in the previous plan, (n, pumps)."""
        document = self.document
        shared = (None if document.previous is None else document.previous.deviation_cost_per_h), "previous.deviation_cost_per_h"
        by_default = (document.pumps[DEFAULT].deviation_cost_per_h if DEFAULT in document.pumps else None), f"pumps.{DEFAULT}.deviation_cost_per_h"
        costs = np.zeros((len(self.timeline.steps), len(self.network.pumps)))
        for j, pump in enumerate(self.network.pumps):
            own = (document.pumps[pump.name].deviation_cost_per_h if pump.name in document.pumps else None), f"pumps.{pump.name}.deviation_cost_per_h"
            series, field = next((x for x in (own, by_default) if x[0] is not None), shared)
            if series is not None:
                costs[:, j] = self.values.over_steps(series, field, least=0.0)
        return costs

    def _tariff(self, tariff: Tariff, field: str) -> Floats:
        """(n, pumps)."""
        if tariff.network:
            by_clock = self.document.demand.patterns_begin == "clock"
            prices = network_prices(self.network, self.timeline, self.times, by_clock=by_clock) * tariff.factor
            if not prices.any():
                raise self.text.fault(field, f"the [ENERGY] section of {self.network.name} has no price; give one here")
            return prices
        return np.repeat(self.values.over_steps(tariff, field)[:, None], len(self.network.pumps), axis=1)

    def _prices(self) -> Floats:
        prices = self._tariff(self.document.tariff, "tariff")
        for name, meter in self.document.meters.items():
            if meter.tariff is not None:
                places = [self.network.pump_index[p] for p in meter.pumps]
                prices[:, places] = self._tariff(meter.tariff, f"meters.{name}.tariff")[:, places]
        return prices

    def _meters(self) -> tuple[Meter, ...]:
        found = []
        owner: dict[str, str] = {}
        for name, m in self.document.meters.items():
            for pump in m.pumps:
                if pump in owner:
                    raise self.text.fault(f"meters.{name}.pumps", f"pump {pump!r} is named twice, also under meters.{owner[pump]}; a pump has one meter")
                owner[pump] = name
            found.append(Meter(
                name=name, pumps=tuple(m.pumps), max_power_kw=m.contracted_kw, demand_charge_per_kw=m.demand_charge_per_kw, peak_so_far_kw=m.peak_so_far_kw,
                own_power_kw=None if m.own_power_kw is None else self.values.over_steps(m.own_power_kw, f"meters.{name}.own_power_kw", least=0.0),
                export_price_per_kwh=None if m.export_price_per_kwh is None else self.values.over_steps(m.export_price_per_kwh, f"meters.{name}.export_price_per_kwh"),
            ))  # fmt: skip
        return tuple(found)

    def _sources(self) -> tuple[Source, ...]:
        return tuple(
            Source(
                reservoir=name,
                cost_per_m3=None if s.cost_per_m3 is None else self.values.over_steps(s.cost_per_m3, f"sources.{name}.cost_per_m3"),
                max_flow_m3_per_s=None if s.max_flow is None or s.unit is None else s.max_flow * flow_factor(s.unit),
                max_volume_m3_per_day=s.max_volume_m3_per_day,
            )
            for name, s in self.document.sources.items()
        )

    def _valves(self) -> tuple[ControllableValve, ...]:
        kinds = {x.name: x.kind for x in self.network.links}
        found = []
        for name, v in self.document.valves.items():
            choices = [c if isinstance(c, str) else float(c) for c in v.choices]
            if len(set(choices)) < len(choices):
                raise self.text.fault(f"valves.{name}.choices", "names a choice twice")
            if v.before is not None and v.before not in choices:
                raise self.text.fault(f"valves.{name}.before", f"found {v.before!r}; expected one of the choices: {', '.join(str(c) for c in choices)}")
            if kinds[name] == "cv" or (kinds[name] == "pipe" and not all(isinstance(c, str) for c in choices)):
                raise self.text.fault(f"valves.{name}.choices", f"{name} is a {'check valve, which is not set' if kinds[name] == 'cv' else 'pipe, which can only be open or closed'}")
            found.append(ControllableValve(link=name, choices=tuple(choices), initial=0 if v.before is None else choices.index(v.before)))
        return tuple(found)

    def _floors(self, demand: Floats) -> dict[str, float]:
        pressure = self.document.pressure
        floors = dict(pressure.floors)
        if pressure.floor_at_demands is not None:
            for i, junction in enumerate(self.network.junctions):
                if (demand[:, i] > 0).any():
                    floors.setdefault(junction.name, pressure.floor_at_demands)
        for node, ceiling in pressure.ceilings.items():
            if node in floors and floors[node] > ceiling:
                raise self.text.fault(f"pressure.ceilings.{node}", f"{ceiling:g} m is below the floor at this node, {floors[node]:g} m")
        return floors

    def _flow_limits(self) -> dict[str, tuple[float, float]]:
        found = {}
        for name, limit in self.document.flow_limits.items():
            factor = flow_factor(limit.unit)
            least, most = (-math.inf if limit.min is None else limit.min * factor), (math.inf if limit.max is None else limit.max * factor)
            if least > most:
                raise self.text.fault(f"flow_limits.{name}", f"min {limit.min:g} is above max {limit.max:g}")
            found[name] = least, most
        return found

    def _work(self) -> Work:
        known = {f.name: f.default for f in fields(Work) if f.default is not MISSING}
        for name, value in self.document.work.items():
            if name not in known:
                raise self.text.fault(f"work.{name}", f"is unknown; known are {', '.join(known)}")
            whole = isinstance(known[name], int) and not isinstance(known[name], bool)
            if isinstance(value, bool) != isinstance(known[name], bool) or (whole and not isinstance(value, int)) or value < 0 or value > 10**9:
                raise self.text.fault(f"work.{name}", f"found {value!r}; expected a value like its default {known[name]!r}, not negative")
        return Work(**self.document.work)  # type: ignore[arg-type]
