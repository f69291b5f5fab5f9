"""Resolve requirements.lock and requirements-dev.lock from pyproject.toml, with hashes for every platform's wheels.

Run by `make lock`. Uses uv, which it installs into the environment. The demo's second network comes with WNTR's package, of
which only the example files are used: it is locked without its dependencies.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ONLY_FILES_OF = ["wntr"]
# The wheel whose copy of the OpenMP run-time serves where the system has none; see tools/bootstrap.py.
OPENMP_FROM = ["scikit-learn"]
# The wheel whose C compiler serves where the system has none; see tools/compile.py.
COMPILER = ["ziglang"]


def compile_lock(requirements: list[str], out: Path, *extra: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".in") as source:
        source.write("\n".join(requirements) + "\n")
        source.flush()
        subprocess.run(
            [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes",
             "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", *extra, source.name, "-o", str(out)],
            check=True,
        )  # fmt: skip


def main() -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "uv"], check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run, dev = project["project"]["dependencies"], project["dependency-groups"]["dev"]
    lock, dev_lock = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
    compile_lock(run, lock)
    with tempfile.NamedTemporaryFile("r", suffix=".lock") as only:
        compile_lock(ONLY_FILES_OF, Path(only.name), "--no-deps")
        lock.write_text(lock.read_text() + Path(only.name).read_text())
    compile_lock(OPENMP_FROM, ROOT / "requirements-openmp.lock", "--no-deps")
    compile_lock(COMPILER, ROOT / "requirements-compiler.lock", "--no-deps")
    compile_lock([*run, *dev], dev_lock, "--constraint", str(lock))


if __name__ == "__main__":
    main()
