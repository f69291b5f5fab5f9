"""Compile what is written in C: each .c of src/levada to a .compiled beside it.

    .venv/bin/python tools/compile.py

With the system's `cc` where there is one; else with the C compiler that comes as a wheel (requirements-compiler.lock), fetched for this once.
Safe to repeat, and nothing to do where the library is newer than its source; it appears whole or not at all. The options keep results the same whichever compiler it was: no fused or reordered
floating point, no instructions of this machine alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_OPTIONS = ["-O3", "-ffp-contract=off", "-fPIC", "-shared"]


def compiler(there: Path) -> tuple[list[str], dict[str, str]]:
    """The command of a C compiler, and the environment it wants."""
    if cc := shutil.which(os.environ.get("CC", "cc")):
        return [cc], {}
    print("set-up: the system has no C compiler; taking one from a wheel", flush=True)
    from bootstrap import install

    install(Path(sys.executable), _ROOT / "requirements-compiler.lock", "--target", str(there / "compiler"))
    cache = str(there / "cache")
    return [sys.executable, "-m", "ziglang", "cc"], {"PYTHONPATH": str(there / "compiler"), "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}


def main() -> int:
    """Exit code 0, or 1 where the compiler fails."""
    newest_rule = Path(__file__).stat().st_mtime
    stale = [
        source
        for source in sorted((_ROOT / "src" / "levada").rglob("*.c"))
        if not (made := source.with_suffix(".compiled")).exists() or made.stat().st_mtime < max(source.stat().st_mtime, newest_rule)
    ]
    if not stale:
        return 0
    undefined = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    with tempfile.TemporaryDirectory() as there:
        command, extra = compiler(Path(there))
        for source in stale:
            made = source.with_name(f".{source.stem}-{os.getpid()}.compiled")
            done = subprocess.run([*command, *_OPTIONS, *undefined, "-o", str(made), str(source), "-lm"], env=os.environ | extra, check=False)
            if done.returncode != 0:
                print(f"set-up: {' '.join(command)} could not compile {source} (exit {done.returncode})", file=sys.stderr)
                made.unlink(missing_ok=True)
                return 1
            made.replace(source.with_suffix(".compiled"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
