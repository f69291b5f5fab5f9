"""x"""
from __future__ import annotations
import time
import numpy as np
from levada.schedule.joint import JointConfigurations
from levada.schedule.tank_programme import best_near, lowest
from levada.schedule.tank_search import TankSearch
from levada.schedule.tank_steps import Seen, of_schedule
from levada.schedule.tank_values import TankValues

import os
EACH = int(os.environ.get('EACH','120')); UP=float(os.environ.get('UP','2.5')); DOWN=float(os.environ.get('DOWN','.8'))


def climb(values, seen, search, region, scale, limit, log):
    t0 = time.time()
    centre, cand = values, values
    told = -np.inf
    tt = dict(lp=0, search=0)
    for it in range(limit):
        t = time.time()
        rows = np.unique(np.concatenate([lowest(centre, seen, EACH), lowest(cand, seen, EACH)]))
        got = best_near(centre, seen.rows(rows), region)
        tt['lp'] += time.time() - t
        if got is None:
            break
        cand, promise = got
        t = time.time()
        new = search.worst(cand, seen)
        seen = seen.joined(new)
        tt['search'] += time.time() - t
        now, then = cand and float(seen.least(cand).sum()), float(seen.least(centre).sum())
        if log and it % 5 == 0:
            print(f"{it:3d} {time.time()-t0:6.1f}s region {region:8.3f} promise {promise:9.3f} cand {now:9.3f} centre {then:9.3f} seen {len(seen)} rows {len(rows)} {tt}", flush=True)
        if now > then:
            centre = cand
            region *= UP
        else:
            region *= DOWN
        if promise - max(now, then) < 5e-4 * scale:
            break
    return centre, seen
