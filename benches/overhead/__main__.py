"""What weir costs the programs that it watches, and what it takes itself.

Each workload runs in turns without and with weir, in a cgroup that weir is attached to, on the same cores. See
docs/benchmarks.md. Needs root, for cgroups and eBPF; changes nothing that outlives it.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sys
import time

import bpf
import report
import workloads
from lab import Failed, Lab
from weir import Weir

# The last records become rows within a drain of the rings; on a machine with too much to do it takes longer.
SETTLED_AFTER, SETTLE_WITHIN = 1.0, 20.0


def arguments():
    target = os.environ.get("CARGO_TARGET_DIR", pathlib.Path.home() / ".cache" / "weir-target")
    parser = argparse.ArgumentParser(prog="overhead", description=__doc__.splitlines()[0])
    parser.add_argument("--weir", default=pathlib.Path(target, "release", "weir"), help="the binary [%(default)s]")
    parser.add_argument("--pairs", type=int, default=10, help="runs without and with weir, of each [%(default)s]")
    parser.add_argument("--seconds", type=int, default=4, help="length of a run [%(default)s]")
    parser.add_argument("--only", action="append", default=[], metavar="WORD",
                        help="only workloads whose name holds this; may be repeated")
    parser.add_argument("--no-programs", action="store_true", help="leave out the nanoseconds of each program's run")
    parser.add_argument("--json", type=pathlib.Path, default=pathlib.Path(target, "overhead.json"),
                        help="where all figures go [%(default)s]")
    parser.add_argument("--option", action="append", default=[], metavar="OPTION",
                        help="an option more for weir serve, as --option=--memory=64MiB; may be repeated")
    return parser.parse_args()


def measured(lab, workload):
    """One run of a workload, with the processor time of the programs."""
    cpu, clock = lab.programs.cpu_seconds(), time.monotonic()
    run = workload.run()
    run["wall"] = time.monotonic() - clock
    run["programs_cpu"] = lab.programs.cpu_seconds() - cpu
    run["load"] = os.getloadavg()[0]
    return run


def settle(weir):
    """Waits until weir has read what the kernel has handed over."""
    until = time.monotonic() + SETTLE_WITHIN
    before, since = None, time.monotonic()
    while time.monotonic() < min(until, since + SETTLED_AFTER):
        tables = weir.status()["store"]["tables"]
        now = sum(table["rows_appended"] for table in tables if table["table"] == "http_events")
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.1)


@contextlib.contextmanager
def removing(weir):
    try:
        yield weir
    finally:
        weir.remove()


def with_weir(lab, workload, options):
    with removing(Weir(lab, options.weir, options.option)) as weir:
        cpu = weir.cpu_seconds()
        run = measured(lab, workload)
        settle(weir)
        run["weir_cpu"] = weir.cpu_seconds() - cpu
        weir.resident.look()
        run["resident"], run["beside_window"] = weir.resident.most, weir.resident.most_beside
        if "expected" in run:
            weir.stop()
            # Some requests may be answered that the client counts no more.
            rows, run["ledger"] = weir.captured()
            run["rows"] = min(run["expected"], rows)
    return run


def pairs_of(lab, workload, options):
    """Runs without and with weir in turns; which of a pair is first changes, so that a drift helps neither."""
    pairs = []
    for number in range(options.pairs):
        runs = {}
        for is_on in (False, True) if number % 2 == 0 else (True, False):
            runs[is_on] = with_weir(lab, workload, options) if is_on else measured(lab, workload)
        pairs.append((runs[False], runs[True]))
        print(f"    {workload.name}: {runs[False]['value']:.6g} and {runs[True]['value']:.6g} {workload.unit}, "
              f"load {runs[True]['load']:.1f}", file=sys.stderr)
    return pairs


def programs_phase(lab, workload, options):
    """What each program takes a run, beside an empty one at the same hooks."""
    with removing(Weir(lab, options.weir, options.option)) as weir, \
            contextlib.closing(bpf.Empty(lab.programs.path)) as empty, contextlib.closing(bpf.Stats()):
        before, empty_before = bpf.programs_of(weir.process.pid), empty.programs()
        workload.run()
        after, empty_after = bpf.programs_of(weir.process.pid), empty.programs()
    return {
        "workload": workload.name,
        "programs": bpf.between(before, after),
        "empty": bpf.between(empty_before, empty_after),
        "verified_instructions": {name: program["verified_instructions"] for name, program in after.items()},
    }


def main():
    options = arguments()
    if os.geteuid() != 0:
        raise Failed("this needs root, for cgroups and eBPF")
    if not os.access(options.weir, os.X_OK):
        raise Failed(f"there is no binary {options.weir}; `make build` makes it, --weir names another")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    chosen = [kind for kind in workloads.ALL
              if not options.only or any(word in kind.name for word in options.only)]
    if not chosen:
        raise Failed("no workload has such a name: " + "; ".join(kind.name for kind in workloads.ALL))
    if packages := workloads.missing(chosen):
        raise Failed("programs are missing; on Debian, without starting their services:\n"
                     "    printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d\n"
                     f"    apt-get install --no-install-recommends {' '.join(packages)}\n"
                     "    rm /usr/sbin/policy-rc.d")
    # The programs may connect thousands of times; what is done here is so also when a signal ends it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    with contextlib.closing(Lab()) as lab:
        binary = lab.directory / "weir"
        shutil.copy(options.weir, binary)  # a build beside it would replace it
        options.weir = binary
        summaries, phases, raw = [], [], {}
        for kind in chosen:
            workload = kind(lab, options.seconds)
            try:
                workload.start()
                workload.run()
                raw[workload.name] = pairs_of(lab, workload, options)
                summaries.append(report.summarise(workload, raw[workload.name]))
                if not options.no_programs:
                    phases.append(programs_phase(lab, workload, options))
            finally:
                workload.stop()
        result = {"machine": report.machine(), "seconds": options.seconds, "summaries": summaries,
                  "programs": phases, "runs": raw}
        options.json.write_text(json.dumps(result, indent=1))
    print(report.table(summaries))
    if phases:
        print()
        print(report.programs_table(phases))


try:
    main()
except Failed as failed:
    sys.exit(f"overhead: {failed}")
except KeyboardInterrupt:
    sys.exit(130)
