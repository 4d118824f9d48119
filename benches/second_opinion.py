#!/usr/bin/env python3
"""Compares what weir makes of capture files with what tshark does, and tells where they differ.

    benches/second_opinion.py --weir RELEASE/weir DIRECTORY...

What is compared: requests of HTTP by method, responses by status, queries and responses of DNS, packets of TCP and UDP.
A difference is no fault yet: tshark takes protocols by port, guesses at what is cut, follows SOCKS, and counts what was
sent again once more. The list says where to look.
"""

import argparse
import collections
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import tempfile

QUERIES = {
    "requests": "SELECT method AS what, count(*) AS n FROM http_events WHERE method IS NOT NULL GROUP BY method",
    "responses": "SELECT CAST(status AS VARCHAR) AS what, count(*) AS n FROM http_events WHERE status IS NOT NULL"
                 " GROUP BY status",
    "dns": "SELECT CASE WHEN outcome = 'no_query' THEN 'response' WHEN outcome = 'ok' THEN 'both' ELSE 'query' END AS what,"
           " count(*) AS n, sum(retransmits) AS again FROM dns_events"
           " WHERE server_port NOT IN (5353, 5355) AND client_port NOT IN (5353, 5355) GROUP BY 1",
    "packets": "SELECT protocol AS what, sum(packets_sent + packets_received) AS n FROM flows"
               " WHERE protocol IN ('tcp', 'udp') GROUP BY protocol",
    "lost": "SELECT stage || '/' || reason AS what, sum(events) AS n FROM capture_loss GROUP BY 1",
}

FIELDS = ["_ws.col.Protocol", "tcp.stream", "udp.stream", "icmp.type", "icmpv6.type", "http.request.method",
          "http.response.code", "dns.id", "dns.flags.response"]


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, errors="replace", timeout=600)
    return done.returncode, done.stdout, done.stderr


def of_weir(weir, file):
    """Counts by what is counted and which; raises RuntimeError with weir's words."""
    directory = tempfile.mkdtemp(prefix="weir-opinion-")
    try:
        status, _, errors = run(weir, "import", file, "--data", directory)
        if status != 0:
            raise RuntimeError(errors.strip())
        counts = {}
        for name, query in QUERIES.items():
            status, output, errors = run(weir, "sql", query, "--data", directory, "--format", "ndjson")
            if status != 0:
                raise RuntimeError(errors.strip())
            counts[name] = [json.loads(line) for line in output.splitlines() if line]
    finally:
        shutil.rmtree(directory)
    lost = {row["what"]: row["n"] for row in counts["lost"]}
    dns = collections.Counter()
    for row in counts["dns"]:
        dns["query"] += (row["n"] if row["what"] != "response" else 0) + (row["again"] or 0)
        dns["response"] += row["n"] if row["what"] != "query" else 0
    # These made no row of their own, and are told.
    dns["response"] += sum(lost.get(f"dns/{reason}", 0)
                           for reason in ("duplicate_response", "late_response", "continuation"))
    counts = {name: collections.Counter({row["what"]: row["n"] or 0 for row in counts[name]})
              for name in ("requests", "responses", "packets")}
    return counts | {"dns": dns}, lost


def of_tshark(file):
    arguments = [argument for field in FIELDS for argument in ("-e", field)]
    _, output, _ = run("tshark", "-r", file, "-T", "fields", "-E", "separator=|", *arguments)
    counts = {name: collections.Counter() for name in ("requests", "responses", "dns", "packets")}
    for line in output.splitlines():
        values = line.split("|")
        if len(values) != len(FIELDS):
            continue
        protocol, tcp, udp, icmp, icmp_v6, methods, statuses, ids, are_responses = values
        # Messages of ICMP quote packets.
        if icmp or icmp_v6:
            continue
        counts["packets"]["tcp" if tcp else "udp" if udp else ""] += 1
        if tcp:
            counts["requests"].update(filter(None, methods.split(",")))
            counts["responses"].update(filter(None, statuses.split(",")))
        if ids and protocol not in ("MDNS", "LLMNR", "NBNS"):
            for is_response in are_responses.split(","):
                counts["dns"]["response" if is_response in ("1", "True") else "query"] += 1
    del counts["packets"][""]
    for interim in ("100", "102", "103"):
        del counts["responses"][interim]
    return counts


def differences(weir, file):
    try:
        ours, lost = of_weir(weir, file)
    except RuntimeError as failure:
        return [f"weir: {failure}"]
    theirs = of_tshark(file)
    found = []
    for name, counts in theirs.items():
        more, less = ours[name] - counts, counts - ours[name]
        if more or less:
            found.append(f"{name}: weir has more {dict(more)}, tshark {dict(less)}")
    if found and lost:
        found.append(f"told as lost: {lost}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", required=True, help="the binary")
    parser.add_argument("directories", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    files = sorted(file for directory in arguments.directories for file in directory.rglob("*") if file.is_file())
    differ = 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for file, found in zip(files, pool.map(lambda file: differences(arguments.weir, file), files)):
            differ += bool(found)
            for line in found:
                print(f"{file}\n    {line}" if line is found[0] else f"    {line}", flush=True)
    print(f"{len(files)} files, {differ} with differences")


if __name__ == "__main__":
    main()
