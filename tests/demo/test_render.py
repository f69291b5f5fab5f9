"""Files as their contract says, read back by what Levada reads them with; and to the letter."""

from datetime import UTC, date, datetime, timedelta
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levada.demo.plant import Plant
from levada.demo.render import Reading, file_name, render
from levada.demo.utilities import list_utilities
from levada.domain.settings import FileContract, FileContracts, read_document
from levada.domain.time import from_np
from levada.domain.units import factor_to_si
from levada.intake.contracts.read import read_file

SERRA, RIBERA = list_utilities()
QUARTER = timedelta(minutes=15)


def contract(utility: object, index: int = 0) -> FileContract:
    return cast(FileContracts, read_document("files", utility.documents["files"])).contracts[index]  # type: ignore[attr-defined]


SCADA, TELEMEDIDA, PRECIOS = contract(SERRA), contract(RIBERA), contract(RIBERA, 1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_wide_file_to_the_letter() -> None:
    small = SCADA.model_copy(update={"columns": {tag: SCADA.columns[tag] for tag in ("RES_CASTELO_NIVEL", "ZMC_BAIXA_CAUDAL", "EE2_G1_VELOC")}})
    text = render(small, [("tank.Castelo.level", NOON, 3.21), ("zone.baixa.flow", NOON - QUARTER, 0.0141), ("pump.EE2-1.speed", NOON, 0.92), ("unknown.series", NOON, 1.0)])
    assert text.decode() == (
        "time,RES_CASTELO_NIVEL,ZMC_BAIXA_CAUDAL,EE2_G1_VELOC\r\n2026-03-01T11:45:00Z,,14.100,\r\n2026-03-01T12:00:00Z,3.210,,92.0\r\n"
    )


def test_a_long_file_to_the_letter() -> None:
    text = render(TELEMEDIDA, [("tank.1.level", NOON, 4.07), ("zone.norte.flow", NOON - QUARTER, 0.1), ("pump.10.energy", NOON, 3.6e11)])
    assert text == (
        "fecha;señal;valor\r\n"
        "01/03/2026 13:00;DEP1.NIVEL;407,000\r\n"
        "01/03/2026 13:00;SEC.NORTE.CAUDAL;360,000\r\n"
        "01/03/2026 13:00;BOM10.ENERGIA;100000,0\r\n"
        "01/03/2026 13:00;RTU.ESTADO;1\r\n"
    ).encode("cp1252")


def test_names_fit_the_contract() -> None:
    assert file_name(SCADA, NOON) == "scada_20260301T1200Z.csv"
    assert file_name(PRECIOS, date(2026, 3, 2)) == "precios_20260302.csv"
    with pytest.raises(ValueError, match="give the pattern one"):
        file_name(SCADA.model_copy(update={"file_name": "scada_?.csv"}), NOON)


def read_back(file_contract: FileContract, content: bytes, now: datetime) -> dict[tuple[str, datetime], float]:
    parsed = read_file(file_contract, "sent.csv", content, now=now)
    assert not parsed.problems.first()
    assert not parsed.unknown_tags
    return {(s.column.series, from_np(t)): float(v) for s in parsed.series for t, v in zip(s.times, s.values, strict=True)}


def as_sent(readings: list[Reading]) -> dict[tuple[str, datetime], float]:
    return {(series, time): pytest.approx(value, rel=1e-3, abs=1e-6) for series, time, value in readings}


@pytest.mark.parametrize("file_contract", [SCADA, TELEMEDIDA], ids=["wide", "long"])
@pytest.mark.parametrize("day", [datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2027, 3, 27, 23, tzinfo=UTC), datetime(2026, 5, 5, tzinfo=UTC)], ids=["25 h", "23 h", "24 h"])
def test_a_day_is_read_back_as_it_was_sent_whatever_the_clocks_did(file_contract: FileContract, day: datetime) -> None:
    means = [s.series for s in file_contract.columns.values() if s.cell_method == "mean"]
    points = [s.series for s in file_contract.columns.values() if s.series.endswith(("level", "status"))]
    readings: list[Reading] = [(series, day + i * QUARTER, (1 + i % 7) * (1e4 if series.endswith("power") else 0.01)) for i in range(100) for series in means]
    readings += [(series, day + i * QUARTER, float(i % 2)) for i in range(1, 101) for series in points]
    end = day + 100 * QUARTER
    assert read_back(file_contract, render(file_contract, readings), end) == as_sent(readings)


@pytest.mark.parametrize("hour", range(4))
@pytest.mark.parametrize("minute", [0, 15, 30, 45])
def test_single_quarter_hours_in_the_hour_that_comes_twice_are_told_apart(hour: int, minute: int) -> None:
    time = datetime(2026, 10, 25, hour, minute, tzinfo=UTC)
    readings: list[Reading] = [("tank.1.level", time, 3.0), ("zone.norte.flow", time - QUARTER, 0.05)]
    assert read_back(TELEMEDIDA, render(TELEMEDIDA, readings), time + timedelta(seconds=20)) == as_sent(readings)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([SCADA, TELEMEDIDA]),
    st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "cp1252"]),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([".", ","]),
    st.sampled_from(["start", "end"]),
    st.sampled_from(["UTC", "Europe/Lisbon", "America/Bogota", "Asia/Kathmandu"]),
    st.sampled_from(["iso", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%S%z"]),
    st.integers(0, 96 * 60),
)
def test_any_layout_that_a_contract_can_say_is_read_back(base: FileContract, encoding: str, delimiter: str, mark: str, marks: str, zone_name: str, form: str, quarter: int) -> None:
    if delimiter == mark:
        return  # a sheet whose numbers hold its delimiter needs quotation marks; no contract of ours is so
    file_contract = FileContract.model_validate(base.model_dump() | {"encoding": encoding, "delimiter": delimiter, "decimal_mark": mark, "stamp_marks": marks, "time_zone": zone_name, "stamp_format": form})
    start = datetime(2026, 5, 1, tzinfo=UTC) + quarter * QUARTER
    readings: list[Reading] = [(c.series, start + i * QUARTER, 5 * factor_to_si(c.quantity, c.unit)) for i in range(3) for c in file_contract.columns.values()]
    assert read_back(file_contract, render(file_contract, readings), start + timedelta(hours=1)) == as_sent(readings)


@pytest.mark.parametrize(("utility", "file_contract"), [(SERRA, SCADA), (RIBERA, TELEMEDIDA)], ids=["serra", "ribera"])
def test_what_a_plant_measures_passes_the_contracts_limits(utility: object, file_contract: FileContract) -> None:
    plant = Plant(utility, start=datetime(2026, 7, 1, tzinfo=UTC))  # type: ignore[arg-type]
    measured = plant.advance(datetime(2026, 7, 8, tzinfo=UTC))
    limits = {c.series: (c, tag) for tag, c in file_contract.columns.items()}
    readings: list[Reading] = [(s, m.time, v) for m in measured for s, v in (m.points | m.means).items()]
    back = read_back(file_contract, render(file_contract, readings), datetime(2026, 7, 8, tzinfo=UTC))
    outside = 0
    for (series, _), value in back.items():
        column, _ = limits[series]
        written = value / factor_to_si(column.quantity, column.unit)
        outside += not ((column.minimum is None or written >= column.minimum) and (column.maximum is None or written <= column.maximum))
    assert outside <= 6, "only what broken sensors say is beyond the limits"
    assert len({s for s, _ in back}) == len(file_contract.columns), "each tag is delivered"
    assert np.isfinite(list(back.values())).all()
