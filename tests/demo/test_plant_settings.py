"""`plant.toml` says where it does not hold."""

import doctest
from pathlib import Path

import pytest

import levada.demo
from levada.demo.plant_settings import read_plant_settings
from levada.domain.errors import DocumentError

GOOD = """
seed = 1
[zones.a]
series = "dma_1"
mean_m3_per_h = 10
[rules.p]
tank = "t"
on_below_m = 2
off_above_m = 3
"""


def write(folder: Path, text: str) -> Path:
    (folder / "plant.toml").write_text(text)
    return folder


def test_a_small_one_is_read(tmp_path: Path) -> None:
    assert read_plant_settings(write(tmp_path, GOOD)).rules["p"].speed == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = ", "cannot be read"),
        (GOOD.replace("off_above_m = 3", "off_above_m = 1"), r"rules\.p: .*on_below_m 2\.0 is not below off_above_m 1\.0"),
        (GOOD.replace("mean_m3_per_h", "mean_m3"), r"zones\.a\.mean_m3_per_h: Field required"),
        (GOOD.replace('series = "dma_1"', 'series = "dma_1"\nshift_days = 3'), r"zones\.a\.shift_days: .*multiple of 7"),
        (GOOD.replace("seed = 1", "seed = 1\nsed = 2"), "sed: Extra"),
    ],
)
def test_what_does_not_hold_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read_plant_settings(write(tmp_path, text))


def test_a_missing_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"plant\.toml, \(file\): cannot be read"):
        read_plant_settings(tmp_path)


def test_the_packages_example_runs() -> None:
    assert doctest.testmod(levada.demo).failed == 0
