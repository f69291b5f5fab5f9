"""Do a utility's documents fit its network and each other? Checked when they are put in, so that no run stumbles later."""

from __future__ import annotations

from difflib import get_close_matches

from levada.domain.errors import DocumentError
from levada.domain.network import Network
from levada.domain.settings import FileContracts, Operation, Tariff
from levada.domain.signals import signals

__all__ = ["check_consistency"]


def _known(document: str, path: str, name: str, known: set[str], what: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else f"; there are {', '.join(sorted(known)[:12])}"
        raise DocumentError(document, path, f"there is no {what} {name!r}{hint}")


def check_consistency(operation: Operation, network: Network, files: FileContracts, tariff: Tariff) -> None:
    """Raises DocumentError with the path of the first thing that does not fit.

    Checked: whatever `operation` and `tariff` name of the network is in it; every tank and pump of the network is
    configured; no junction is in two zones; each series that planning reads is fed by some file contract with the fitting quantity.
    """
    if operation.network != network.sha256:
        raise DocumentError("operation", "network", f"names {operation.network[:12]}..., but the network given is {network.sha256[:12]}...")
    for path, configured, known, what in (
        ("tanks", set(operation.tanks), set(network.tank_index), "tank"),
        ("pumps", set(operation.pumps), set(network.pump_index), "pump"),
    ):
        for name in configured:
            _known("operation", f"{path}.{name}", name, known, what)
        if missing := sorted(known - configured):
            raise DocumentError("operation", path, f"lacks {what} {missing[0]!r} of the network{f' (and {len(missing) - 1} more)' if missing[1:] else ''}")
    zone_of: dict[str, str] = {}
    for zone_name, zone in operation.zones.items():
        for junction in zone.junctions:
            _known("operation", f"zones.{zone_name}.junctions", junction, set(network.junction_index), "junction")
            if junction in zone_of:
                raise DocumentError("operation", f"zones.{zone_name}.junctions", f"junction {junction!r} is already in zone {zone_of[junction]!r}")
            zone_of[junction] = zone_name
        for tank in () if zone.balance is None else zone.balance.tanks:
            _known("operation", f"zones.{zone_name}.balance.tanks", tank, set(network.tank_index), "tank")
    nodes, links = set(network.junction_index) | set(network.tank_index), {link.name for link in network.links}
    for i, floor in enumerate(operation.pressure_floors):
        _known("operation", f"pressure_floors[{i}].node", floor.node, nodes, "node")
    for i, ceiling in enumerate(operation.pressure_ceilings):
        _known("operation", f"pressure_ceilings[{i}].node", ceiling.node, nodes, "node")
    for field, named, known, what in (
        ("flow_limits", operation.flow_limits, links | set(network.pump_index), "link"),
        ("sources", operation.sources, {reservoir.name for reservoir in network.reservoirs}, "reservoir"),
        ("valves", operation.valves, links, "pipe or valve"),
    ):
        for name in named:
            _known("operation", f"{field}.{name}", name, known, what)
    for name, meter in tariff.meters.items():
        for pump in meter.pumps:
            _known("tariff", f"meters.{name}.pumps", pump, set(network.pump_index), "pump")

    fed = {column.series: column.quantity for contract in files.contracts for column in contract.columns.values()}
    for signal in signals(operation, tariff):
        _known(signal.document, signal.path, signal.series, set(fed), "file contract column for series")
        if fed[signal.series] is not signal.quantity:
            raise DocumentError(signal.document, signal.path, f"series {signal.series!r} is delivered as {fed[signal.series].value}, but {signal.quantity.value} is needed")
