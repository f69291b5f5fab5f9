"""A zone without a meter in a forecast case: its demand by the balance of its tanks, from what was known at each issue time."""

from pathlib import Path

import numpy as np
import pytest
from tests.cases.forecasting.forecast_folder import FIRST, HOURS, flow_l_per_s, write_case

from levada.cases import forecasting
from levada.domain.errors import FileError, LevadaError

AREA_M2 = 50.0
EAST = """[balance.east]
file = "tank.csv"
unit = "m3/h"
tanks = [{ column = "level", area_m2 = 50.0 }]
inflows = ["in"]
"""


def tank_csv(factor: float = 1.0) -> str:
    """A tank filled evenly, from which the northern zone's flow is drawn: level in m at each hour, inflow in m3/h over it."""
    drawn = np.array([flow_l_per_s("north", h) * 3.6 for h in range(HOURS)])
    inflow = drawn.mean()
    level = 3.0 + np.concatenate([[0.0], np.cumsum(inflow - drawn)]) / AREA_M2
    stamps = [f"{t.isoformat()}" for t in (FIRST + np.arange(HOURS) * (FIRST.replace(hour=1) - FIRST.replace(hour=0)))]
    return "time,level,in\n" + "".join(f"{t},{lv * factor:.9f},{inflow:.9f}\n" for t, lv in zip(stamps, level, strict=False))


def test_its_demand_is_what_the_tank_loses(tmp_path: Path) -> None:
    case = forecasting.load(write_case(tmp_path, EAST, tank_csv=tank_csv()))
    east = case.zones["east"]
    assert case.units["east"] == "m3/h"
    assert east.values * 1000 == pytest.approx([flow_l_per_s("north", h) for h in range(len(east))], rel=0.02)
    curved = EAST.replace("area_m2 = 50.0", "curve = [[0.0, 0.0], [6.0, 300.0]]")
    assert forecasting.load(write_case(tmp_path, curved, tank_csv=tank_csv())).zones["east"].values == pytest.approx(east.values)
    volumes = EAST.replace("area_m2 = 50.0", "is_volume = true")
    assert forecasting.load(write_case(tmp_path, volumes, tank_csv=tank_csv(AREA_M2))).zones["east"].values == pytest.approx(east.values, rel=1e-6)


def test_it_is_forecast_like_the_others_and_needs_no_series_beside_it(tmp_path: Path) -> None:
    head = 'name = "Town"\ntime_zone = "Europe/Rome"\n'
    case = forecasting.load(write_case(tmp_path, EAST + "[forecast]\nissue_times = [2026-03-16T00:00:00]\nhorizon = '24h'\n", head=head, tank_csv=tank_csv()))
    (made,) = forecasting.run(case).forecasts
    median = made.zone("east").quantiles_m3_per_s[made.level(0.5)] * 1000
    assert median == pytest.approx([flow_l_per_s("north", h) for h in range(24)], rel=0.05)


def test_levels_after_the_issue_time_change_nothing(tmp_path: Path) -> None:
    more = EAST + "[forecast]\nissue_times = [2026-03-16T00:00:00]\nhorizon = '24h'\n"
    lines = tank_csv().splitlines(keepends=True)
    later = lines[: 14 * 24 + 2] + [f"{line.split(',')[0]},0.1,0.1\n" for line in lines[14 * 24 + 2 :]]
    made = [forecasting.run(forecasting.load(write_case(tmp_path / name, more, tank_csv="".join(own)))).forecasts[0] for name, own in (("a", lines), ("b", later))]
    assert made[0].to_bytes() == made[1].to_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"in"', '"out"'), r"tank.csv has no column 'out'|has no column 'out'"),
        (("area_m2 = 50.0", "area_m2 = 50.0, is_volume = true"), r"exactly one of area_m2, curve, is_volume"),
        (("area_m2 = 50.0", "curve = [[0.0, 5.0], [1.0, 5.0]]"), r"must rise"),
        (("[balance.east]", "[balance.north]"), r"balance.north: a series has this name already"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises((FileError, LevadaError), match=said):
        forecasting.load(write_case(tmp_path, EAST.replace(*change), tank_csv=tank_csv()))
