"""Do a utility's documents fit its network and each other? Checked when they are put in, so that no run stumbles later."""

from __future__ import annotations

from difflib import get_close_matches

from levada.domain.errors import DocumentError
from levada.domain.network import Network
from levada.domain.settings import DayAheadTariff, FileContracts, Operation, Tariff
from levada.domain.units import Quantity

__all__ = ["check_consistency"]


def _known(document: str, path: str, name: str, known: set[str], what: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else f"; there are {', '.join(sorted(known)[:12])}"
        raise DocumentError(document, path, f"there is no {what} {name!r}{hint}")


def check_consistency(operation: Operation, network: Network, files: FileContracts, tariff: Tariff) -> None:
    """Raises DocumentError with the path of the first thing that does not fit.

    Checked: each tank, pump and junction named in `operation` is in the network; every tank and pump of the network is
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
    for i, floor in enumerate(operation.pressure_floors):
        _known("operation", f"pressure_floors[{i}].node", floor.node, set(network.junction_index) | set(network.tank_index), "node")

    fed = {column.series: column.quantity for contract in files.contracts for column in contract.columns.values()}
    needs = [(f"tanks.{n}.level_series", t.level_series, Quantity.LEVEL) for n, t in operation.tanks.items()]
    needs += [(f"zones.{n}.flow_series", z.flow_series, Quantity.FLOW) for n, z in operation.zones.items()]
    for name, pump in operation.pumps.items():
        for field, quantity in (("status_series", Quantity.STATUS), ("speed_series", Quantity.SPEED), ("energy_series", Quantity.ENERGY)):
            if (series := getattr(pump, field)) is not None:
                needs.append((f"pumps.{name}.{field}", series, quantity))
    if isinstance(tariff.tariff, DayAheadTariff):
        needs.append(("tariff.price_series", tariff.tariff.price_series, Quantity.PRICE))
    for path, series, quantity in needs:
        document = "tariff" if path.startswith("tariff") else "operation"
        _known(document, path, series, set(fed), "file contract column for series")
        if fed[series] is not quantity:
            raise DocumentError(document, path, f"series {series!r} is delivered as {fed[series].value}, but {quantity.value} is needed")
