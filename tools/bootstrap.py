"""Make the virtual environment from a lock file: only Python's standard library, no root, safe to repeat.

    python3 tools/bootstrap.py .venv requirements.lock [--stamp .installed-dev]

Every package is pinned with its SHA-256 and none is built from source; Levada's own C sources are compiled (tools/compile.py). A stamp file is written last, so that an
interrupted set-up is taken up again by the next call.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
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


def site_packages(python: Path) -> Path:
    told = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True)
    return Path(told.stdout.strip())


def install(python: Path, lock: Path, *extra: str) -> None:
    """Exactly what the lock file says: no resolving, no source builds, every file checked against its SHA-256."""
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(lock), *extra], check=True)


def put_on_path(python: Path) -> None:
    """The package runs from its sources; its command lies beside the interpreter."""
    root = Path(__file__).resolve().parent.parent
    (site_packages(python) / "levada.pth").write_text(f"{root / 'src'}\n")
    command = python.parent / "levada"
    command.write_text(f"#!{python.absolute()}\nimport sys\nfrom levada.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)


def openmp(python: Path, environment: Path) -> None:
    """LightGBM needs the OpenMP run-time libgomp.so.1, which a bare Debian lacks and only root could install.

    scikit-learn's wheel carries a copy under a name of its own. Where the system has none, that copy is put into the
    environment under the usual name (file and SONAME) and loaded at the interpreter's start, so that LightGBM finds it.
    """
    probe = [python, "-c", "import ctypes; ctypes.CDLL('libgomp.so.1')"]
    if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return
    print("set-up: the system has no libgomp.so.1; taking one from a wheel", flush=True)
    lock = Path(__file__).resolve().parent.parent / "requirements-openmp.lock"
    with tempfile.TemporaryDirectory() as there:
        install(python, lock, "--target", there)
        found = sorted(Path(there).glob("*.libs/libgomp*.so*"))
        if not found:
            fail("the wheel brought no libgomp", "on Debian install libgomp1 (apt-get install libgomp1)")
        library = found[0].read_bytes()
    # The name in the file's dynamic section is what the loader compares: overwrite it with the shorter usual one.
    own_name = found[0].name.encode()
    library = library.replace(own_name + b"\0", b"libgomp.so.1".ljust(len(own_name), b"\0") + b"\0")
    target = environment.resolve() / "lib" / "openmp" / "libgomp.so.1"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(library)
    (site_packages(python) / "levada_openmp.pth").write_text(f"import ctypes; ctypes.CDLL({str(target)!r}, mode=ctypes.RTLD_GLOBAL)\n")
    again = subprocess.run(probe, capture_output=True, text=True, check=False)
    if again.returncode != 0:
        fail(f"the OpenMP run-time cannot be loaded: {again.stderr.strip().splitlines()[-1:]}", "on Debian install libgomp1 (apt-get install libgomp1)")


def compile_c(python: Path) -> None:
    """What is written in C, once, now: never in a worker's first run."""
    done = subprocess.run([python, str(Path(__file__).with_name("compile.py"))], check=False)
    if done.returncode != 0:
        fail("the C sources could not be compiled", "see the compiler's message above; any C compiler called cc, or named by CC, will do")


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
        put_on_path(python)
        openmp(python, args.environment)
        compile_c(python)
    except subprocess.CalledProcessError as e:
        fail(f"pip could not install {args.lock} (exit {e.returncode})", "see its message above; call make again to go on")
    (args.environment / args.stamp).touch()
    print("set-up: done", flush=True)


if __name__ == "__main__":
    main()
