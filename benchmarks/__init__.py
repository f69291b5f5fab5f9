"""What we claim, as commands that print our figure beside a peer's or a published one from the same run.

`python -m benchmarks` runs all; `python -m benchmarks.schedule` one. Each checks the answer before it times, repeats and takes
the median. Real networks and demands are read from LEVADA_BENCH_DATA (default ../shared/data); where they are absent, a case says so.

schedule.py   cost, bound and gap of schedules beside published ones
plans.py      a whole plan for each of the demo's utilities: seconds, cost, bound
forecast.py   errors of forecasts beside the naive one and a contest's competitors
spine.py      the running product: file closed -> readings -> plan, load, memory
"""

import os

# As commands and workers have it, and before numpy is loaded: bounds come to the same bits, and seconds are those of one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
