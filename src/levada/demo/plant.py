"""A water utility's plant: a hidden EPANET network that evolves, obeys, protects itself and is measured each quarter of an hour.

The network is the model that Levada has, made untrue (truth.py). Customers draw what demand.py says. Each quarter-hour, orders
come from a plan or, without one, from rules on tank levels; the plant's own level switches override both. Then EPANET computes the
quarter-hour from a cold start, so that a plant taken up again from its saved state goes on to the last bit as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from epanet import toolkit

from levada.demo.control import by_rules, protect
from levada.demo.demand import QUARTER, Demand
from levada.demo.instruments import Instruments, Stuck
from levada.demo.plant_settings import PlantSettings, read_plant_settings
from levada.demo.truth import Truth, draw_truth
from levada.demo.utilities import DemoUtility
from levada.domain.settings import FileContracts, Operation, Tariff, Utility, read_document
from levada.domain.time import floor_to, isoformat_z, parse_instant, require_utc
from levada.hydraulics.epanet import Project, open_project
from levada.hydraulics.inp import read_network

__all__ = ["Measurements", "Orders", "Plant", "PlantState"]

_ALL_CONSTANT = "levada-plant"
_J_PER_KWH = 3.6e6


class Orders(Protocol):
    """What the plant is told to do."""

    def __call__(self, time: datetime) -> Mapping[str, float] | None:
        """Pump -> relative speed (0 is off) from `time` on, or None: nothing is known, go by the rules."""
        ...


def no_orders(time: datetime) -> None:
    """Nobody says anything: the plant goes by its rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """What the instruments showed of the quarter-hour before `time`, SI, by series; silent sensors are left out.

    `points` are levels, states and counters at `time`; `means` are flows and powers over [time - 15 min, time).
    """

    time: datetime
    points: dict[str, float]
    means: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantState:
    """All that a plant remembers. Levels in m above each tank's elevation; energy in J since the meters were installed."""

    time: datetime
    level_m: dict[str, float]
    speed: dict[str, float]
    energy_j: dict[str, float]
    tripped: frozenset[str] = frozenset()
    stuck: Mapping[str, Stuck]
    last_points: Mapping[str, float]
    """The newest point readings, as measured."""

    def as_document(self) -> dict[str, Any]:
        """The state as JSON. Floats come back exactly."""
        return {
            "time": isoformat_z(self.time),
            "level_m": self.level_m,
            "speed": self.speed,
            "energy_j": self.energy_j,
            "tripped": sorted(self.tripped),
            "stuck": {series: {"until": isoformat_z(held.until), "value": held.value} for series, held in self.stuck.items()},
            "last_points": dict(self.last_points),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> PlantState:
        """Raises KeyError or ValueError for what `as_document` did not write."""
        return cls(
            time=parse_instant(body["time"]),
            level_m=dict(body["level_m"]),
            speed=dict(body["speed"]),
            energy_j=dict(body["energy_j"]),
            tripped=frozenset(body["tripped"]),
            stuck={series: Stuck(parse_instant(held["until"]), held["value"]) for series, held in body["stuck"].items()},
            last_points=dict(body["last_points"]),
        )


class Plant:
    """A utility's plant. It starts at `start` with its tanks at the usual level and all pumps off, or from a saved state."""

    def __init__(self, utility: DemoUtility, start: datetime | None = None, state: PlantState | None = None) -> None:
        documents = {kind: read_document(kind, body) for kind, body in utility.documents.items()}
        self.operation = cast(Operation, documents["operation"])
        self._meters = [(meter.power_series, meter.pumps) for meter in cast(Tariff, documents["tariff"]).meters.values() if meter.power_series is not None]
        self.settings: PlantSettings = read_plant_settings(utility.folder)
        self._inp, self._name = utility.inp, utility.network_name
        self.network = read_network(utility.inp, utility.network_name)
        self.truth: Truth = draw_truth(self.network, self.operation, self.settings.seed)
        self.demand = Demand(cast(Utility, documents["utility"]), self.settings.zones, self.settings.seed)
        self.instruments = Instruments(cast(FileContracts, documents["files"]), self.settings.seed)
        if state is None:
            if start is None:
                raise ValueError("a plant needs an instant to start at, or a state")
            state = self._at_first(floor_to(require_utc(start), QUARTER))
        self.state = state

    def _at_first(self, time: datetime) -> PlantState:
        at = self.settings.levels_start_at
        return PlantState(
            time=time,
            level_m={name: t.min_level_m + at * (t.max_level_m - t.min_level_m) for name, t in self.operation.tanks.items()},
            speed={pump.name: 0.0 for pump in self.network.pumps},
            energy_j={pump.name: (100_000 + 10_000 * i) * _J_PER_KWH for i, pump in enumerate(self.network.pumps)},
            stuck={},
            last_points={},
        )

    def advance(self, until: datetime, orders: Orders = no_orders) -> list[Measurements]:
        """Live until the last quarter-hour that has ended by `until`; returns what was measured at the end of each. `state` is then the new one."""
        return list(self._live(floor_to(require_utc(until), QUARTER), orders))

    def _live(self, until: datetime, orders: Orders) -> Iterator[Measurements]:
        if until <= self.state.time:
            return
        with open_project(self._inp, self._name) as project:
            hidden = _HiddenNetwork(project, self)
            with project.hydraulics():
                while self.state.time < until:
                    yield self._quarter(hidden, orders)

    def _quarter(self, hidden: _HiddenNetwork, orders: Orders) -> Measurements:
        before = self.state
        told = orders(before.time)
        if told is None:
            wanted = by_rules(self.settings.rules, before.level_m, before.speed)
        else:
            wanted = {pump: float(told.get(pump, 0.0)) for pump in before.speed}
        speed, tripped = protect(self.settings.protection, before.level_m, wanted, before.tripped)
        flow = dict(zip(self.demand.zones, self.demand.flow_m3_per_s(before.time).tolist(), strict=True))
        level_m, energy_j = hidden.run(before.level_m, speed, flow, QUARTER)
        time = before.time + QUARTER
        power_w = {pump: energy / QUARTER.total_seconds() for pump, energy in energy_j.items()}
        energy_j = {pump: before.energy_j[pump] + energy_j[pump] for pump in speed}
        means, points = self._true_values(flow, power_w, level_m, speed, energy_j)
        shown, stuck = self.instruments.read(time, means | points, before.stuck)
        measured = Measurements(
            time=time, points={s: v for s, v in shown.items() if s in points}, means={s: v for s, v in shown.items() if s in means}
        )
        self.state = PlantState(
            time=time, level_m=level_m, speed=speed, energy_j=energy_j, tripped=tripped, stuck=stuck, last_points=measured.points
        )
        return measured

    def _true_values(
        self, flow: Mapping[str, float], power_w: Mapping[str, float], level_m: Mapping[str, float], speed: Mapping[str, float], energy_j: Mapping[str, float]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Means and points by the series that the utility's settings name."""
        means = {zone.flow_series: flow[name] for name, zone in self.operation.zones.items() if zone.flow_series is not None}
        means |= {series: sum(power_w[pump] for pump in pumps) for series, pumps in self._meters}
        points = {tank.level_series: level_m[name] for name, tank in self.operation.tanks.items()}
        for name, pump in self.operation.pumps.items():
            if pump.status_series:
                points[pump.status_series] = float(speed[name] > 0)
            if pump.speed_series:
                points[pump.speed_series] = speed[name]
            if pump.energy_series:
                points[pump.energy_series] = energy_j[name]
        return means, points


class _HiddenNetwork:
    """The EPANET network as it truly is. Zones are demand patterns of one multiplier: the zone's flow in the network's unit."""

    def __init__(self, project: Project, plant: Plant) -> None:
        self._ph, self._units = project.handle, project.units
        ph, truth = self._ph, plant.truth
        for what, remove in ((toolkit.CONTROLCOUNT, toolkit.deletecontrol), (toolkit.RULECOUNT, toolkit.deleterule)):
            for index in range(toolkit.getcount(ph, what), 0, -1):
                remove(ph, index)
        toolkit.setstatusreport(ph, toolkit.NO_REPORT)
        toolkit.setoption(ph, toolkit.DEMANDMULT, 1.0)
        toolkit.settimeparam(ph, toolkit.REPORTSTEP, int(QUARTER.total_seconds()))
        toolkit.settimeparam(ph, toolkit.HYDSTEP, int(QUARTER.total_seconds()))
        toolkit.settimeparam(ph, toolkit.DURATION, int(QUARTER.total_seconds()))
        self._zone_pattern = self._set_demands(truth)
        self._tanks = {t.name: (toolkit.getnodeindex(ph, t.name), t.elevation_m) for t in plant.network.tanks}
        self._limits = {t.name: (t.min_level_m, t.max_level_m) for t in plant.network.tanks}
        self._pumps = {p.name: toolkit.getlinkindex(ph, p.name) for p in plant.network.pumps}
        self._power_factor = truth.pump_power
        self._set_pumps(truth)
        for name, factor in truth.roughness.items():
            link = toolkit.getlinkindex(ph, name)
            toolkit.setlinkvalue(ph, link, toolkit.ROUGHNESS, factor * toolkit.getlinkvalue(ph, link, toolkit.ROUGHNESS))

    def _set_demands(self, truth: Truth) -> dict[str, int]:
        ph = self._ph
        toolkit.addpattern(ph, _ALL_CONSTANT)
        constant = toolkit.getpatternindex(ph, _ALL_CONSTANT)
        zone_pattern = {}
        share: dict[int, tuple[int, float]] = {}
        for number, (zone, shares) in enumerate(truth.share.items()):
            name = f"{_ALL_CONSTANT}-{number}"
            toolkit.addpattern(ph, name)
            zone_pattern[zone] = toolkit.getpatternindex(ph, name)
            share |= {toolkit.getnodeindex(ph, j): (zone_pattern[zone], part) for j, part in shares.items()}
        for node in range(1, toolkit.getcount(ph, toolkit.NODECOUNT) + 1):
            if toolkit.getnodetype(ph, node) != toolkit.JUNCTION:
                continue
            pattern, part = share.get(node, (constant, 0.0))  # who is in no zone draws nothing here
            for category in range(toolkit.getnumdemands(ph, node), 0, -1):
                toolkit.setbasedemand(ph, node, category, part if category == 1 else 0.0)
                toolkit.setdemandpattern(ph, node, category, pattern)
        return zone_pattern

    def _set_pumps(self, truth: Truth) -> None:
        """Pumps that share a curve in the model get each its own, which is lower or higher by its factor."""
        ph = self._ph
        for number, (name, factor) in enumerate(truth.pump_head.items()):
            link = self._pumps[name]
            toolkit.setlinkvalue(ph, link, toolkit.LINKPATTERN, 0)
            if not (shared := toolkit.getheadcurveindex(ph, link)):
                continue
            points = [toolkit.getcurvevalue(ph, shared, i) for i in range(1, toolkit.getcurvelen(ph, shared) + 1)]
            own_name = f"{_ALL_CONSTANT}-{number}"
            toolkit.addcurve(ph, own_name)
            own = toolkit.getcurveindex(ph, own_name)
            for i, (flow, head) in enumerate(points, start=1):
                toolkit.setcurvevalue(ph, own, i, flow, head * factor)
            toolkit.setheadcurveindex(ph, link, own)

    def run(
        self, level_m: Mapping[str, float], speed: Mapping[str, float], flow_m3_per_s: Mapping[str, float], duration: timedelta
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Run the network for `duration` from these levels; returns levels at the end and the electric energy (J) of each pump."""
        ph, units = self._ph, self._units
        for zone, flow in flow_m3_per_s.items():
            toolkit.setpatternvalue(ph, self._zone_pattern[zone], 1, flow / units.flow_m3_per_s)
        for name, (node, _) in self._tanks.items():
            low, high = self._limits[name]
            # A tank that stands exactly at a bound may come back from feet a hair beyond it, which EPANET would refuse.
            level = min(max(level_m[name], low + 1e-6), high - 1e-6)
            toolkit.setnodevalue(ph, node, toolkit.TANKLEVEL, level / units.length_m)
        for name, link in self._pumps.items():
            if speed[name] > 0:
                toolkit.setlinkvalue(ph, link, toolkit.INITSETTING, speed[name])
            toolkit.setlinkvalue(ph, link, toolkit.INITSTATUS, 1 if speed[name] > 0 else 0)
        toolkit.initH(ph, toolkit.INITFLOW)
        energy_j = dict.fromkeys(self._pumps, 0.0)
        left = int(duration.total_seconds())
        while left > 0:
            toolkit.runH(ph)
            power = {name: toolkit.getlinkvalue(ph, link, toolkit.ENERGY) for name, link in self._pumps.items()}
            step = toolkit.nextH(ph)
            for name, kw in power.items():
                energy_j[name] += kw * 1000.0 * self._power_factor[name] * step
            left = left - step if step > 0 else 0
        levels = {name: toolkit.getnodevalue(ph, node, toolkit.HEAD) * units.length_m - e for name, (node, e) in self._tanks.items()}
        return levels, energy_j
