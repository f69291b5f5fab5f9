"""Key performance indicators of a plan or a past day, a file an indicator.

Read volumes.py (what is counted), then any indicator; plan.py puts those of a plan together. Each indicator is a pure function of a
PumpingProblem and what a simulation or audit says of a schedule (Trajectory); its docstring has the formula and its source. One that
is not defined for the case at hand (nothing pumped, nothing drawn, no baseline) is None and is left out, not shown as 0.
May import domain.
"""

from levada.kpi.average_price import average_price
from levada.kpi.demand_volume import demand_volume
from levada.kpi.energy_cost import energy_cost
from levada.kpi.load_factor import load_factor
from levada.kpi.lowest_level import lowest_level
from levada.kpi.peak_share import off_peak_share, peak_share
from levada.kpi.plan import plan_indicators
from levada.kpi.savings import savings
from levada.kpi.specific_energy import specific_energy
from levada.kpi.starts import most_starts, starts
from levada.kpi.storage_margin import storage_margin

__all__ = [
    "average_price",
    "demand_volume",
    "energy_cost",
    "load_factor",
    "lowest_level",
    "most_starts",
    "off_peak_share",
    "peak_share",
    "plan_indicators",
    "savings",
    "specific_energy",
    "starts",
    "storage_margin",
]
