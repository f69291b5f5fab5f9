"""What is wrong in a case is said with file, line and field, what was found and what is expected; never a traceback of ours."""

import re
from pathlib import Path

import pytest
from tests.cases.case_folder import HEAD, INP, load_case, write_case

from levada import cases
from levada.domain.errors import DocumentError, FileError, LevadaError, NetworkError, RowError

DEMAND = '[demand]\nfile = "demand.csv"\nunit = "l/s"\n'
ROWS = "0,5\n1,5\n2,5\n3,5\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        # names
        ("[pumps.PX]\nmax_starts = 3\n", r"case.toml, line 6, pumps.PX: the network network.inp has no pump 'PX'; .*it has P, Q"),
        ("[tanks.t]\n", r"line 6, tanks.t: .*no tank 't'.*it has T"),
        ('[meters.m]\npumps = ["P", "Z"]\n', r"line 7, meters.m.pumps: .*no pump 'Z'"),
        ('[meters.m]\npumps = ["P"]\n[meters.n]\npumps = ["P"]\n', r"line 9, meters.n.pumps: pump 'P' is named twice, also under meters.m"),
        ("[pressure]\nfloors = { X = 3 }\n", r"pressure.floors.X: .*no junction or tank 'X'"),
        ('[flow_limits.X]\nunit = "l/s"\n', r"flow_limits.X: .*no link 'X'"),
        ("[sources.T]\n", r"sources.T: .*no reservoir 'T'; it has R"),
        ('[valves.P]\nchoices = ["open", "closed"]\n', r"valves.P: .*no pipe or valve 'P'"),
        ('[valves.a]\nchoices = ["open", 3]\n', r"line 7, valves.a.choices: a is a pipe, which can only be open or closed"),
        ('[valves.V]\nchoices = ["open", "open"]\n', r"valves.V.choices: names a choice twice"),
        ('[valves.V]\nchoices = ["open", "shut"]\n', r"valves.V.choices\[1\]: found 'shut'"),
        ('[valves.V]\nchoices = [1.0, 2.0]\nbefore = 3.0\n', r"line 8, valves.V.before: found 3.0; expected one of the choices: 1.0, 2.0"),
        # fields and kinds of values
        ("max_start = 3\n", r"line 6, max_start: is unknown; did you mean"),
        ("[pumps.P]\nmax_start = 3\n", r"line 7, pumps.P.max_start: is unknown; did you mean 'max_starts'\?"),
        ("[pumps.P]\nmax_starts = 3.5\n", r"line 7, pumps.P.max_starts: found 3.5; .*integer"),
        ("[pumps.P]\nmax_starts = -1\n", r"pumps.P.max_starts: found -1; .*greater than or equal to 0"),
        ('[pumps.P]\nmax_starts = "3"\n', r"pumps.P.max_starts: found '3'"),
        ("[pumps.P]\non_before = 1\n", r"pumps.P.on_before: found 1"),
        ("[pumps.P]\nspeed = [1.0, 0.5]\n", r"line 6, pumps.P: `speed` is a relative speed"),
        ("[pumps.P]\nspeed = 95\n", r"pumps.P: `speed` is a relative speed above 0 and at most 2"),
        ("[pumps.P]\nmin_on = 60\n", r'line 7, pumps.P.min_on: found 60; expected a duration with its unit in quotes, such as "60min"'),
        ('[pumps.P]\nmin_on = "1 hour"\n', r"pumps.P.min_on: found '1 hour'; expected a duration"),
        ("[pumps.P]\nsince = 2026-03-02T08:00:00\n", r"pumps.P.since: .*is after the start"),
        ('[pumps.P]\noutages = [{ from = "08:00", to = 2026-03-02T09:00:00 }]\n', r"pumps.P.outages\[0\]: `from` and `to` must both be"),
        ('[pumps.P]\noutages = [{ from = "25:00", to = "26:00" }]\n', r"pumps.P.outages\[0\].from: found '25:00'; expected: Date-time, or clock time"),
        ("[pumps.P]\noutages = [{ from = 2026-03-02T02:00:00, to = 2026-03-02T01:00:00 }]\n", r"line 7, pumps.P.outages: number 1 ends"),
        ('[pumps.default]\noutages = [{ from = "00:00", to = "02:00" }]\nforced_on = [{ from = "01:00", to = "03:00" }]\n', r"line 8, pumps.P.forced_on: pump P is forced on and out"),
        ("[tanks.T]\nmin = nan\n", r"line 7, tanks.T.min: found nan; .*finite"),
        ("[tanks.T]\nmin = inf\n", r"tanks.T.min: found inf; .*finite"),
        ("[tanks.T]\nmin = 4\nmax = 2\n", r"line 7, tanks.T.min: the least level 4 m is not below the greatest, 2 m"),
        ("[tanks.T]\ninitial = 0.5\n", r"line 7, tanks.T.initial: the level at the start, 0.5 m, is outside the limits 1 to 5 m"),
        ("[tanks.T]\ninitial = 43\n", r'tanks.T.initial: 43 m above .*far outside .*is it a head\? Then say datum = "head"'),
        ("[tanks.T]\nmax = 480\n", r"tanks.T.max: 480 m above .*far outside"),
        ('[tanks.T]\nend = ">=start"\n', r"line 7, tanks.T.end: found '>=start'; expected: At the end"),
        ("[tanks.T]\nend = 7\n", r"tanks.T.end: 7 m cannot be reached within the limits 1 to 5 m"),
        ("[tanks.T]\nend = [3, 2]\n", r"tanks.T: `end` as a list is a band"),
        ("[tanks.T]\nreserve = [1, 2]\n", r"line 7, tanks.T.reserve: has 2 values, the horizon has 4 steps"),
        ("[tanks.T]\nreserve = 6\n", r"tanks.T.reserve: is above the ceiling or the maximum 5 m"),
        ("[pressure]\nfloors = { J2 = 30 }\nceilings = { J2 = 20 }\n", r"line 8, pressure.ceilings.J2: 20 m is below the floor at this node, 30 m"),
        ("[flow_limits.a]\nmax = 3\n", r"flow_limits.a.unit: is missing; it is required"),
        ('[flow_limits.a]\nmax = 3\nunit = "gpm"\n', r"line 8, flow_limits.a.unit: found 'gpm'; .*'m3/s', 'l/s', 'm3/h' or 'm3/d'"),
        ('[flow_limits.a]\nmax = 3\nmin = 4\nunit = "l/s"\n', r"flow_limits.a: min 4 is above max 3"),
        ("[sources.R]\nmax_flow = 3\n", r"sources.R: `max_flow` and `unit` go together"),
        ('[demand]\nfile = "d.csv"\n', r"line 6, demand: `file` needs `unit`"),
        ('[demand]\nunit = "l/s"\n', r"demand: `unit` goes with `file` only"),
        ('[demand]\nothers = "zero"\n', r"demand: `others` goes with `file` only"),
        ("[pumps.P]\ndeviation_cost_per_h = 1\n", r"line 7, pumps.P.deviation_cost_per_h: needs \[previous\]"),
        ("[demand]\nmultiplier = -1\n", r"demand.multiplier: found -1"),
        ('[demand]\nzones = { north = ["J9"] }\nfile = "demand.csv"\nunit = "l/s"\n', r"demand.zones.north: .*no junction 'J9'"),
        ('[demand]\nzones = { north = ["J2", "J2"] }\nfile = "demand.csv"\nunit = "l/s"\n', r"demand.zones.north: needs junctions, each once"),
        ('[demand]\nzones = { north = { J2 = 0.5, J3 = 0.6 } }\nfile = "demand.csv"\nunit = "l/s"\n', r"demand.zones.north: shares .*sum to 1.1"),
        ("[co2]\nprice_per_kg = 3\n", r"co2.kg_per_kwh: is missing; it is required"),
        ("[co2]\nkg_per_kwh = -0.1\n", r"line 7, co2.kg_per_kwh: has the value -0.1 in step 0; at least 0 is expected"),
        ('relax_order = ["everything"]\n', r"relax_order: 'everything' is no limit"),
        ("hydraulic_step = \"0min\"\n", r"line 6, hydraulic_step: 0 s is not above 0"),
        ("also_hydraulic_steps = [\"10min\"]\n", r"`also_hydraulic_steps` goes with `switch_resolution` only"),
        ("switch_resolution = \"25min\"\n", r"line 6, switch_resolution: 1500 s is not whole minutes that divide every step \(3600 s\)"),
        ("work = { beams = 3 }\n", r"line 6, work.beams: is unknown; known are "),
        ("work = { beam = -3 }\n", r"work.beam: found -3; expected a value like its default"),
        ("work = { beam = 3.5 }\n", r"work.beam: found 3.5"),
        ('currency = "euro"\n', r"currency: found 'euro'"),
        ("count_starts = \"daily\"\n", r"count_starts: found 'daily'; .*'window' or 'periodic'"),
        ('[scenarios]\ndemands = []\n', r"scenarios.demands: found \[\]; "),
        ("max_power_kw = 1e13\n", r"line 6, max_power_kw: found 1e\+13|line 6, max_power_kw: found 10000000000000.0; no number of a case is above 1e\+12"),
        # TOML itself
        ("[pumps.P\n", r"case.toml, line 6, the file: is not TOML"),
        ("horizon = \"5h\"\n", r"line 6, the file: is not TOML: Cannot overwrite a value"),
    ],
    ids=lambda x: re.sub(r"\s+", " ", x)[:40] if isinstance(x, str) else "",
)  # fmt: skip
def test_a_fault_is_named_by_line_and_field(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        load_case(tmp_path, more, demand_csv="step,J2\n" + ROWS)
    assert re.search(said, str(raised.value)), str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tariff = 0.15\n", "", r"case.toml, tariff: is missing; it is required"),
        ("tariff = 0.15", 'tariff = "0.15"', r"line 5, tariff: found '0.15'"),
        ("tariff = 0.15", "tariff = true", r"line 5, tariff: found True"),
        ("tariff = 0.15", "tariff = [0.1, 0.2]", r"line 5, tariff: has 2 values, the horizon has 4 steps"),
        ("tariff = 0.15", "tariff = { }", r"line 5, tariff: expected exactly one of constant, per_step, periods, file, network; found none"),
        ("tariff = 0.15", "tariff = { constant = 1, network = true }", r"found constant and network"),
        ("tariff = 0.15", "tariff = { constant = 1, column = 'x' }", r"`column` goes with `file` only"),
        ("tariff = 0.15", 'tariff = { periods = [{ value = 1, from = "08:00" }] }', r"line 5, tariff: no period holds at 00:00 of the local clock"),
        ("tariff = 0.15", 'tariff = { periods = [{ value = 1, days = ["monday"] }] }', r"tariff.periods\[0\].days\[0\]: found 'monday'"),
        ("tariff = 0.15", 'tariff = { periods = [{ value = 1, from = "08:00", to = "08:00" }] }', r"tariff.periods\[0\]: begins and ends at the same time"),
        ("tariff = 0.15", 'tariff = { periods = [{ price = 1 }] }', r"tariff.periods\[0\].(value: is missing|price: is unknown)"),
        ('horizon = "4h"\n', "", r"the file: needs `horizon`"),
        ('"4h"', '"4h30min"', r"line 4, horizon: 16200 s is not a positive multiple of the step, 3600 s"),
        ('"4h"', '"0h"', r"line 4, horizon: 0 s is not a positive multiple"),
        ('"4h"', '"4000d"', r"line 4, horizon: 96000 steps over 4000.0 days; at most"),
        ('"4h"', '"99999999999999999999d"', r"line 4, horizon: .*at most"),
        ('horizon = "4h"', 'horizon = "4h"\nstep = "0s"', r"horizon: 14400 s is not a positive multiple of the step, 0 s"),
        ('horizon = "4h"', 'horizon = "4h"\nstep = "90s"', r"line 5, step: steps must be whole minutes"),
        ('horizon = "4h"', 'horizon = "4h"\nsteps = [["1h", 4]]', r"needs `horizon`.*not both"),
        ('horizon = "4h"', 'steps = [["1h", 0]]', r"line 4, steps\[0\]\[1\]: found 0"),
        ('horizon = "4h"', 'steps = [["1h", 100000000000]]', r"steps\[0\]\[1\]: found 100000000000"),
        ('horizon = "4h"', 'steps = ["1h"]', r"line 4, steps\[0\]: found '1h'"),
        ('time_zone = "Europe/Lisbon"\n', "", r'line 2, start: has no offset, so the case needs `time_zone`'),
        ("Europe/Lisbon", "Lisbon", r"line 3, time_zone: 'Lisbon' is not an IANA time zone"),
        ("Europe/Lisbon", "../../etc/passwd", r"line 3, time_zone: .*is not an IANA time zone"),
        ("start = 2026-03-02T00:00:00", "start = 2026-03-29T01:30:00", r"line 2, start: 2026-03-29T01:30:00 does not exist on the clock"),
        ("start = 2026-03-02T00:00:00", "start = 2026-03-02", r"line 2, start: found datetime.date"),
        ("start = 2026-03-02T00:00:00", "start = 1772409600", r"line 2, start: found 1772409600; expected a date and time"),
        ("start = 2026-03-02T00:00:00", "start = 2026-03-02T00:00:30", r"line 2, start: .*whole minute"),
        ("start = 2026-03-02T00:00:00", "start = 9999-12-31T23:59:00", r"line 2, start: .*years from 1900 to 2300"),
    ],
    ids=lambda x: x[:40].strip() if isinstance(x, str) else "",
)  # fmt: skip
def test_a_fault_in_the_five_lines_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        load_case(tmp_path, head=HEAD.replace(old, new))
    assert re.search(said, str(raised.value)), str(raised.value)


@pytest.mark.parametrize(
    ("csv", "said"),
    [
        ("", "has no rows below a header"),
        ("step,J2\n", "has no rows below a header"),
        ("hour,J2\n0,5\n", "needs one column `time` or `step`; found the columns hour, J2"),
        ("step,time,J2\n0,0,5\n", "needs one column `time` or `step`"),
        ("step,J2\n0,5\n1,5\n2,5\n", "has 3 rows, the horizon has 4 steps"),
        ("step,J2\n0,5\n1,5\n1,5\n2,5\n", r"line 4, column 'step': found '1', expected 2: steps are numbered"),
        ("step,J2,J2\n0,5,5\n", "has the column 'J2' twice"),
        ("step,J2,\n0,5,5\n", "has a column without a name"),
        ("step,J2\n0,5\n1\n2,5\n3,5\n", r"line 3, .*found '1 cells', expected 2"),
        ("step,J2\n0,5\n1,\n2,5\n3,5\n", r"line 3, column 'J2': found '', expected a number"),
        ("step,J2\n0,5\n1,nan\n2,5\n3,5\n", r"line 3, column 'J2': found 'nan', expected a finite number"),
        ("step,J2\n0,5\n1,1e999\n2,5\n3,5\n", "expected a finite number"),
        ('step;J2\n0;5\n1;"5,5"\n2;5\n3;5\n', r"line 3, column 'J2': found '5,5', expected a number with a decimal point"),
        ("step,J9\n" + ROWS, "the column 'J9' is no junction of network.inp and no zone of the case"),
        ("time,J2\n2026-03-02T00:00,5\n2026-03-02T01:00,5\n2026-03-02T03:00,5\n2026-03-02T04:00,5\n", r"line 4, column 'time': .*rows 3600 s apart"),
        ("time,J2\n2026-03-02T00:00,5\n2026-03-02T01:00,5\n2026-03-02T02:00,5\n", "covers 2026-03-02 00:00 to 2026-03-02 03:00 UTC, the horizon is 2026-03-02 00:00 to 2026-03-02 04:00 UTC"),
        ("time,J2\n2026-03-02T01:00,5\n2026-03-02T00:00,5\n", r"line 3, column 'time': .*after that of the row before"),
        ("time,J2\n2026-03-02T01:00,5\n2026-03-02T01:00,5\n", r"line 3, column 'time': .*each time once"),
        ("time,J2\nnoon,5\n", r"line 2, column 'time': found 'noon', expected a time such as"),
        ("step,J2\n" + "0,5\n" * 300_001, "has more than 300000 rows"),
        ("step," + ",".join(f"c{i}" for i in range(6000)) + "\n0" + ",1" * 6000 + "\n", "has 6001 columns"),
    ],
    ids=lambda x: repr(x[:40]),
)  # fmt: skip
def test_a_csv_that_does_not_fit_is_named_by_line_and_column(tmp_path: Path, csv: str, said: str) -> None:
    with pytest.raises((FileError, RowError)) as raised:
        load_case(tmp_path, DEMAND, demand_csv=csv)
    assert "demand.csv" in str(raised.value)
    assert re.search(said, str(raised.value)), str(raised.value)


def test_a_junction_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="junction J2 is told twice, by the columns 'north' and 'J2'"):
        load_case(tmp_path, DEMAND + 'zones = { north = ["J2", "J3"] }\n', demand_csv="step,north,J2\n0,5,1\n1,5,1\n2,5,1\n3,5,1\n")


def test_the_inp_without_prices_is_no_tariff(tmp_path: Path) -> None:
    inp = INP.replace(" Global Price 1\n", "").replace(" Pump Q Price 2\n", "")
    with pytest.raises(DocumentError, match=r"line 5, tariff: the \[ENERGY\] section of network.inp has no price"):
        load_case(tmp_path, head=HEAD.replace("0.15", "{ network = true }"), inp=inp)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"nowhere.*case.toml: does not exist|nowhere: does not exist"):
        cases.load(tmp_path / "nowhere")
    with pytest.raises(FileError, match=r"other.inp: does not exist"):
        load_case(tmp_path, head=HEAD.replace("network.inp", "other.inp"))
    with pytest.raises(FileError, match=r"demand.csv: does not exist"):
        load_case(tmp_path / "b", DEMAND)
    with pytest.raises(FileError, match=r"cannot be read"):
        load_case(tmp_path, head=HEAD.replace("network.inp", "."))


def test_a_network_that_epanet_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"network.inp"):
        load_case(tmp_path, inp="no network\n")
    with pytest.raises(NetworkError, match=r"network.inp, line \d+"):
        load_case(tmp_path, inp=INP.replace(" a J1 J2", " a J1 J9"))


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00", b"\x00" * 100, b"a" * 3_000_000, b"[" * 100_000, b"x = " + b"[" * 5000, b"x = " + b"9" * 400, b"x = " + b"9" * 9000, b"a." * 3_000 + b"a = 1"])
def test_hostile_bytes_are_refused_in_words(tmp_path: Path, raw: bytes) -> None:
    write_case(tmp_path)
    (tmp_path / "case.toml").write_bytes(raw)
    with pytest.raises(LevadaError, match=r"case.toml"):
        cases.load(tmp_path)


def test_several_faults_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"pumps.P.max_starts: .*\(also wrong: tanks.T.min\)|tanks.T.min: .*\(also wrong: pumps.P.max_starts\)"):
        load_case(tmp_path, '[pumps.P]\nmax_starts = "3"\n[tanks.T]\nmin = "x"\n')
