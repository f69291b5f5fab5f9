"""The command asked wrongly: words on stderr, exit 2, never a traceback. With the database: tests/system."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from levada import cli
from levada.store.objects import ObjectsAway


def levada(*args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "levada", *args], capture_output=True, text=True, check=False, env=env, cwd=cwd, timeout=60)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("plan",), "No such command 'plan'"),
        (("replay", "serra", "not-a-run"), "not-a-run"),
        (("tenant", "apply", "/nowhere"), "does not exist"),
        (("user", "add", "a@b.example"), "--tenant"),
        (("replay", __file__), "not a Levada bundle"),
        (("replay", "/nowhere.run"), "there is no file /nowhere.run"),
        (("run", __file__, "--out", "/nowhere/result.json"), "there is no folder /nowhere"),
        (("network", "check", __file__), "test_cli.py: "),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, tuple) else "",
)
def test_wrong_use_is_said_in_words(args: tuple[str, ...], said: str) -> None:
    done = levada(*args)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_teaches_the_way_in() -> None:
    done = levada("--help")
    assert done.returncode == 0
    for word in ("levada demo run", "levada serve", "levada tenant apply", "levada status"):
        assert word in done.stdout


def test_a_database_that_cannot_be_reached_is_said_without_its_password(tmp_path: Path) -> None:
    env = {"LEVADA_DATABASE_URL": "postgresql://levada:hidden-word@127.0.0.1:1/levada?connect_timeout=2", "PATH": "/usr/bin:/bin", "LEVADA_DATA_DIR": str(tmp_path)}
    done = levada("status", env=env)
    assert done.returncode == 2
    assert "hidden-word" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr




def test_trouble_of_the_database_or_the_store_beside_it_is_told_in_a_line_and_a_defect_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "configure_logs", lambda **_: None)  # the process is the tests'
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")

    def raising(error: Exception) -> None:
        def fail(**_: object) -> None:
            raise error

        monkeypatch.setattr(cli.cli, "main", fail)

    for trouble in (ObjectsAway("the bundle store at s3://inputs did not list serra: refused"), psycopg.OperationalError("the connection\nis lost")):
        raising(trouble)
        assert cli.main(["retention"]) == 2
        assert capsys.readouterr().err == f"levada: {' '.join(str(trouble).split())}; try again once it is back\n"
        # As it comes from what is done side by side.
        raising(ExceptionGroup("utilities", [ExceptionGroup("days", [trouble]), trouble]))
        assert cli.main(["retention"]) == 2
        assert capsys.readouterr().err == f"levada: {' '.join(str(trouble).split())}; try again once it is back\n"
    raising(ExceptionGroup("utilities", [ZeroDivisionError("a defect"), psycopg.OperationalError("the connection is lost")]))
    with pytest.raises(ExceptionGroup):
        cli.main(["retention"])
    raising(ZeroDivisionError("a defect"))
    with pytest.raises(ZeroDivisionError):
        cli.main(["retention"])
