"""Make the virtual environment from a lock file: only Python's standard library, no root, safe to repeat.

    python3 tools/bootstrap.py .venv requirements.lock [--stamp .installed-dev]

Every package is pinned with its SHA-256; nothing is built from source. A stamp file is written last, so that an
interrupted set-up is taken up again by the next call.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path


def fail(problem: str, remedy: str) -> None:
    print(f"set-up: {problem}\n        {remedy}", file=sys.stderr)
    raise SystemExit(1)


def make_environment(where: Path) -> Path:
    """A virtual environment with pip. Debian splits venv from Python: say so instead of failing with a traceback."""
    python = where / "bin" / "python"
    if python.exists() and subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return python
    if where.exists():
        shutil.rmtree(where)
    made = subprocess.run([sys.executable, "-m", "venv", str(where)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        # Debian without python3-venv has no ensurepip, but may have pip or virtualenv.
        shutil.rmtree(where, ignore_errors=True)
        other = subprocess.run([sys.executable, "-m", "virtualenv", str(where)], capture_output=True, text=True, check=False)
        if other.returncode != 0:
            fail(
                f"cannot make a virtual environment with {sys.executable}: {(made.stdout + made.stderr).strip().splitlines()[0:3]}",
                "on Debian install python3-venv (apt-get install python3-venv), or name another Python: make PYTHON=/path/to/python3.11",
            )
    return python


def install(python: Path, lock: Path) -> None:
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    root = Path(__file__).resolve().parent.parent
    # The lock file is the whole truth: no resolving, no source builds, every file checked against its SHA-256.
    subprocess.run([*pip, "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(lock)], check=True)
    site = Path(subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True).stdout.strip())
    (site / "levada.pth").write_text(f"{root / 'src'}\n")
    command = python.parent / "levada"
    command.write_text(f"#!{python.absolute()}\nimport sys\nfrom levada.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)


def openmp(python: Path) -> None:
    """LightGBM needs the OpenMP run-time libgomp.so.1, which a bare Debian lacks: say what to do before anything fails on it."""
    probe = subprocess.run([python, "-c", "import ctypes; ctypes.CDLL('libgomp.so.1')"], capture_output=True, check=False)
    if probe.returncode != 0:
        fail("the OpenMP run-time libgomp.so.1 is missing (the forecaster needs it)", "on Debian: apt-get install libgomp1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--stamp", default=".installed")
    args = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036  this file must still parse and say so on an older Python
        fail(f"Python {sys.version.split()[0]} is too old", "Levada needs 3.11 or newer: make PYTHON=/path/to/python3.11")
    print(f"set-up: installing {args.lock} into {args.environment} ...", flush=True)
    python = make_environment(args.environment)
    try:
        install(python, args.lock)
    except subprocess.CalledProcessError as e:
        fail(f"pip could not install {args.lock} (exit {e.returncode})", "see its message above; call make again to go on")
    openmp(python)
    (args.environment / args.stamp).touch()
    print("set-up: done", flush=True)


if __name__ == "__main__":
    main()
