"""Run every benchmark, each in a process of its own so that none disturbs the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CASES = ("schedule", "plans", "forecast", "spine")


def main() -> int:
    failed = []
    for case in CASES:
        print(f"\n== {case} ==", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{case}"], cwd=Path(__file__).resolve().parent.parent, check=False).returncode:
            failed.append(case)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
