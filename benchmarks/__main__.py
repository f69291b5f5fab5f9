"""Run every benchmark, each in a process of its own so that none disturbs the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CASES = {"schedule": ["--quick", "--repeats", "1"], "plans": [], "forecast": [], "spine": []}
"""Benchmark and its arguments; `make bench-schedule` runs every case of the scheduler's, which takes hours."""


def main() -> int:
    failed = []
    for case, arguments in CASES.items():
        print(f"\n== {case} ==", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{case}", *arguments], cwd=Path(__file__).resolve().parent.parent, check=False).returncode:
            failed.append(case)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
