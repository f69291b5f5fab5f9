import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levada.domain.bundle import Bundle, BundleError, RecordedRun, readings_from_bytes, readings_to_bytes
from levada.domain.series import Readings

parts = st.dictionaries(st.text("abc./", min_size=1, max_size=8), st.binary(max_size=50), max_size=5)


@given(parts, st.randoms(use_true_random=False))
def test_equal_content_has_equal_id_in_whatever_order(content: dict[str, bytes], random: object) -> None:
    shuffled = dict(sorted(content.items(), key=lambda kv: hash((kv[0], id(random)))))
    assert Bundle("plan", content).bundle_id == Bundle("plan", shuffled).bundle_id


@given(parts)
def test_a_bundle_file_gives_back_the_bundle(content: dict[str, bytes]) -> None:
    bundle = Bundle("plan", content)
    assert Bundle.from_file(bundle.to_file()) == bundle


def test_one_changed_byte_is_found() -> None:
    out = io.BytesIO()
    bundle = Bundle("plan", {"network.inp": b"[TITLE]"})
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("manifest.json", bundle.manifest)
        archive.writestr("parts/network.inp", b"[TITLf]")
    with pytest.raises(BundleError, match=r"part 'network.inp' does not match its SHA-256"):
        Bundle.from_file(out.getvalue())


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_a_file_that_is_no_bundle_says_so(data: bytes) -> None:
    with pytest.raises(BundleError, match="not a Levada bundle"):
        Bundle.from_file(data, "x.bundle")


@given(st.lists(st.tuples(st.integers(0, 2**48), st.floats(allow_nan=False), st.integers(0, 15)), unique_by=lambda r: r[0], max_size=20))
def test_readings_survive_their_bytes(rows: list[tuple[int, float, int]]) -> None:
    rows.sort()
    readings = Readings(
        times=np.array([r[0] for r in rows], "datetime64[us]"), values=np.array([r[1] for r in rows], float), quality=np.array([r[2] for r in rows], np.uint8)
    )
    again = readings_from_bytes(readings_to_bytes(readings))
    assert again.times.tolist() == readings.times.tolist()
    assert again.values.tolist() == readings.values.tolist()
    assert again.quality.tolist() == readings.quality.tolist()
    with pytest.raises(BundleError):
        readings_from_bytes(readings_to_bytes(readings) + b"x")


def recorded() -> RecordedRun:
    return RecordedRun(
        bundle=Bundle("plan", {"network.inp": b"[TITLE]" * 40, "context.json": b"{}"}), result=b'{"cost":1}', made_with={"libraries": {"numpy": "2.0"}}, run={"tenant": "serra"}
    )


def test_a_recorded_run_survives_its_file_which_is_a_bundle_file_too() -> None:
    run = recorded()
    data = run.to_file()
    assert RecordedRun.from_file(data) == run
    assert Bundle.from_file(data) == run.bundle
    assert data == recorded().to_file()


def test_a_bundle_alone_is_no_recorded_run_and_says_what_it_is() -> None:
    with pytest.raises(BundleError, match="no result to compare with"):
        RecordedRun.from_file(recorded().bundle.to_file())


@given(st.data())
def test_no_damage_to_a_file_is_anything_but_told_or_harmless(data: st.DataObject) -> None:
    whole = recorded().to_file()
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    for candidate in (damaged, whole[:place]):
        try:
            read = RecordedRun.from_file(candidate)
        except BundleError:
            continue
        # What was computed from, and what came out, is never another without notice.
        assert (read.bundle, read.result) == (recorded().bundle, recorded().result)
