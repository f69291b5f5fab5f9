"""What each zone drew in the past: by its meter or, where it has none, by its tanks' balance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from levada.domain.network import Network
from levada.domain.series import Readings
from levada.domain.settings import Operation
from levada.forecast.tank_balance import demand_by_balance, stored_together
from levada.kpi.volumes import tank_volume_m3

__all__ = ["zone_demands"]


def zone_demands(operation: Operation, network: Network, readings: Mapping[str, Readings], until: datetime) -> dict[str, Readings]:
    """Zone -> mean flows that it drew, m3/s, labelled by the interval's start; those of a balance in steps of the operation document, up to `until`."""
    demands = {}
    for name, area in operation.zones.items():
        if area.balance is None:
            demands[name] = readings.get(str(area.flow_series), Readings.empty())
            continue
        levels = {tank: readings.get(operation.tanks[tank].level_series, Readings.empty()) for tank in area.balance.tanks}
        volumes = [replace(level, values=tank_volume_m3(network.tanks[network.tank_index[tank]], level.values)) for tank, level in levels.items()]
        inflows, outflows = ([readings.get(series, Readings.empty()).usable() for series in found] for found in (area.balance.inflow_series, area.balance.outflow_series))
        demands[name] = demand_by_balance(stored_together(volumes), inflows, outflows, until, operation.step_minutes * 60)
    return demands
