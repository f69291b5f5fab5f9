"""Whatever stands in a field of a case file, it is taken or refused in words: nothing else comes out of `load`."""

from __future__ import annotations

import json
import tomllib
from contextlib import suppress
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cases.case_folder import HEAD, write_case
from tests.cases.test_load import EVERYTHING, HEAD_WITHOUT_TARIFF

from levada import cases
from levada.domain.errors import LevadaError

FULL: dict[str, Any] = tomllib.loads(HEAD_WITHOUT_TARIFF + EVERYTHING)
for name in ("demand", "previous", "scenarios"):
    FULL.pop(name)
FULL["meters"]["main"].pop("own_power_kw")


def toml(value: Any) -> str:
    """A value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def paths(value: Any) -> list[tuple[Any, ...]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [p for key in keys for p in ((key,), *((key, *rest) for rest in paths(value[key])))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        return {k: changed(v, path[1:], new) if k == path[0] else v for k, v in value.items()}
    return [changed(v, path[1:], new) if i == path[0] else v for i, v in enumerate(value)]


odd = st.one_of(
    st.sampled_from([0, -1, 1, 10**18, -(10**18), 0.0, -0.0, 1e-300, 1e308, -1e308, float("nan"), float("inf"), True, False, "", "x", "0h", "24h", "24:00", "Europe", "../x", "default"]),
    st.sampled_from([[], {}, [[]], [{}], {"": 1}, {"default": {}}, [1, 2, 3, 4], [1e308] * 4, {"constant": 1e308, "factor": 1e308}, {"periods": []}, {"file": "."}]),
    st.sampled_from([datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59), datetime(2026, 3, 29, 1, 30), datetime(2026, 3, 2, 1), date(2026, 3, 2), time(8)]),
    st.floats(), st.text(alphabet="ab.:-\"'\\\u00e9 0", max_size=8), st.integers(-10, 10_000),
)  # fmt: skip


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(paths(FULL)), new=odd)
def test_an_odd_value_in_any_field_is_taken_or_refused_in_words(tmp_path: Path, path: tuple[Any, ...], new: Any) -> None:
    document = changed(FULL, path, new)
    text = "\n".join(f"{json.dumps(k)} = {toml(v)}" for k, v in document.items())
    folder = write_case(tmp_path, text, head="")
    with suppress(LevadaError):
        assert len(cases.load(folder).problem.steps) >= 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="stepim,;:-.0123456789TZJ2\"\n\r+ ena\u00e9", max_size=120))
def test_an_odd_csv_is_taken_or_refused_in_words(tmp_path: Path, text: str) -> None:
    folder = write_case(tmp_path, '[demand]\nfile = "demand.csv"\nunit = "l/s"\n', head=HEAD, demand_csv=text)
    with suppress(LevadaError):
        cases.load(folder)
