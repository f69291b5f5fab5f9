"""Files on disk: what is accepted stays, what is not whole goes, and processes do not tread on each other."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from levada.intake.doors.spool import TenantSpool, is_temporary, locked

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def upload(spool: TenantSpool, name: str, content: bytes) -> None:
    one = spool.begin(name, 1000)
    os.write(one.fd, content)
    spool.keep(one, NOW)


@pytest.mark.parametrize(("name", "temporary"), [("a.csv", False), (".a.csv", True), ("a.TMP", True), ("a.part", True), ("a.csv.filepart", True), ("part.csv", False)])
def test_temporary_names_are_known_by_their_form(name: str, temporary: bool) -> None:
    assert is_temporary(name) is temporary


def test_files_of_one_name_at_one_instant_both_wait_in_order(tmp_path: Path) -> None:
    spool = TenantSpool(tmp_path, "serra")
    for content in (b"1", b"2", b"3"):
        upload(spool, "a_b.csv", content)
    waiting = spool.waiting()
    assert [f.name for f in waiting] == ["a_b.csv"] * 3
    assert [f.path.read_bytes() for f in waiting] == [b"1", b"2", b"3"]
    assert len({f.received_at for f in waiting}) == 3
    assert list(spool.uploads.iterdir()) == []


def test_an_upload_under_way_survives_the_start_of_another_process(tmp_path: Path) -> None:
    spool = TenantSpool(tmp_path, "serra")
    running = spool.begin("a.csv", 1000)
    (spool.uploads / "left-behind").write_bytes(b"half")
    assert TenantSpool(tmp_path, "serra").recover(NOW) == 1
    assert spool.keep(running, NOW) is not None


def test_a_file_is_worked_on_by_one_process_at_a_time(tmp_path: Path) -> None:
    spool = TenantSpool(tmp_path, "serra")
    upload(spool, "a.csv", b"content")
    (file,) = spool.waiting()
    with locked(file) as content:
        assert content == b"content"
        with locked(file) as other:
            assert other is None
        file.path.unlink()
    with locked(file) as gone:
        assert gone is None


def test_a_link_put_into_the_inbox_is_not_accepted(tmp_path: Path) -> None:
    spool = TenantSpool(tmp_path, "serra")
    (tmp_path / "secret").write_text("secret")
    (spool.inbox / "a.csv").symlink_to(tmp_path / "secret")
    spool.recover(NOW)
    assert spool.waiting() == []
    with pytest.raises(FileNotFoundError):
        spool.accept_renamed("a.csv", "b.csv", NOW)
