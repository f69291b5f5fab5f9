"""What a demo utility remembers."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from levada.demo.memory import Memory, Remembered
from levada.demo.plant import Plant
from levada.demo.utilities import list_utilities
from levada.domain.errors import SetupError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_plants_state_comes_back_exactly(tmp_path: Path) -> None:
    plant = Plant(list_utilities()[0], start=NOW)
    plant.advance(NOW + timedelta(hours=7))
    memory = Memory(tmp_path)
    assert memory.load() is None
    kept = Remembered(plant=plant.state, prices_through=date(2026, 3, 2))
    memory.save(kept)
    assert Memory(tmp_path).load() == kept


def test_files_wait_in_order_until_they_are_sent(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.keep("late_b.csv", b"b", NOW + timedelta(hours=1))
    memory.keep("a.csv", b"a", NOW)
    (tmp_path / "outgoing" / f"{int(NOW.timestamp())}_half.csv.tmp").write_bytes(b"cut off by a crash")
    waiting = Memory(tmp_path).outgoing()
    assert [(f.name, f.due, f.path.read_bytes()) for f in waiting] == [("a.csv", NOW, b"a"), ("late_b.csv", NOW + timedelta(hours=1), b"b")]
    memory.sent(waiting[0])
    memory.sent(waiting[0])
    assert [f.name for f in memory.outgoing()] == ["late_b.csv"]


def test_a_file_computed_again_replaces_the_first(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.keep("a.csv", b"first", NOW)
    memory.keep("a.csv", b"again", NOW + timedelta(minutes=15))
    (only,) = memory.outgoing()
    assert only.path.read_bytes() == b"again"


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"plant": {}, "prices_through": null}'])
def test_a_damaged_memory_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    memory = Memory(tmp_path)
    (tmp_path / "plant.json").write_bytes(content)
    with pytest.raises(SetupError, match=r"plant\.json cannot be read.*make clean-demo"):
        memory.load()


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError, match="cannot be made"):
        Memory(tmp_path / "file")
