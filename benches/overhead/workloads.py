"""The programs that are measured. Each tells how much it did, and what weir should have seen of it."""

import glob
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

from lab import Failed, end, free_port, wait_listening

HIGHER, LOWER = "higher", "lower"


class Workload:
    """A program to measure. `run` returns a `Run`."""

    name = ""
    unit = ""
    #: Whether more of it is better.
    better = HIGHER
    #: Command to Debian package.
    needs = {}

    def __init__(self, lab, seconds):
        self.lab = lab
        self.seconds = seconds
        self.peers = []

    def start(self):
        """Starts what answers."""

    def run(self):
        raise NotImplementedError

    def stop(self):
        for peer in reversed(self.peers):
            end(peer)
        self.peers.clear()

    def serve(self, arguments, port, **options):
        peer = self.lab.spawn(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        self.peers.append(peer)
        wait_listening(port, peer)


class Run(dict):
    """What a run came to: `value` is compared, `operations` were done, `expected` rows of http_events are to come of it."""


class Nginx(Workload):
    #: Whether who asks is in the cgroup that is watched too: then each request is a row of both ends.
    watches_client = True
    needs = {"nginx": "nginx-light", "wrk": "wrk"}

    def start(self):
        self.port = free_port()
        directory = self.lab.directory / f"nginx-{self.port}"
        directory.mkdir()
        temporary = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        configuration = directory / "nginx.conf"
        configuration.write_text(f"""
daemon off; master_process off; worker_processes 1; user root; pid {directory}/pid; error_log {directory}/log;
events {{ worker_connections 1024; }}
http {{
    access_log off; {temporary} keepalive_requests 100000000;
    server {{
        listen 127.0.0.1:{self.port} backlog=1024;
        location / {{ default_type application/json; return 200 '{{"order":4711,"state":"shipped"}}'; }}
    }}
}}
""")
        self.serve(["nginx", "-c", configuration], self.port)

    def url(self):
        return f"http://127.0.0.1:{self.port}/api/v1/orders/4711?page=2"

    def ask(self, arguments):
        return self.lab.run(arguments, cgroup=None if self.watches_client else self.lab.others)

    def expected(self, requests):
        return requests * (2 if self.watches_client else 1)

    def wrk(self, *options):
        output = self.ask(["wrk", "-t1", f"-d{self.seconds}s", *options, self.url()])
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
        requests = int(re.search(r"(\d+) requests in", output)[1])
        return Run(value=rate, operations=requests, expected=self.expected(requests))


class NginxSaturated(Nginx):
    name, unit = "nginx, saturated", "requests/s"

    def run(self):
        return self.wrk("-c32")


class NginxFixed(Nginx):
    """h2load sends at a fixed rate over HTTP/1.1; the 99th percentile is of its own log of every request."""

    name, unit, better = "nginx, 10,000 requests/s", "ms (99th percentile)", LOWER
    needs = {"nginx": "nginx-light", "h2load": "nghttp2-client"}
    rate = 10_000
    # h2load looks at what is due every 10 ms: so each client sends one request then, and not several at once.
    rate_of_client = 100

    def run(self):
        log = self.lab.directory / "h2load.log"
        log.unlink(missing_ok=True)
        requests = self.rate * self.seconds
        self.ask(["h2load", "--h1", f"-c{self.rate // self.rate_of_client}", "-t1", f"-n{requests}",
                  f"--rps={self.rate_of_client}", f"--log-file={log}", self.url()])
        took = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
        if len(took) < requests:
            raise Failed(f"h2load logged {len(took)} of {requests} requests")
        return Run(value=took[len(took) * 99 // 100] / 1000, operations=requests, expected=self.expected(requests),
                   median_ms=statistics.median(took) / 1000)


class NginxHeavy(NginxFixed):
    name = "nginx, 50,000 requests/s"
    rate = 50_000


class NginxAloneSaturated(NginxSaturated):
    """As on a machine that serves others: only the server is watched."""

    name = "nginx alone, saturated"
    watches_client = False


class NginxAloneFixed(NginxFixed):
    name = "nginx alone, 10,000 requests/s"
    watches_client = False


class Storm(Nginx):
    """Each request opens a connection of its own, and closes it."""

    name, unit = "connect and close", "connections/s"

    def run(self):
        return self.wrk("-c32", "-H", "Connection: close")


class Redis(Workload):
    name, unit = "redis, one at a time", "requests/s"
    needs = {"redis-server": "redis-server", "redis-benchmark": "redis-tools"}
    pipeline = 1

    def start(self):
        self.port = free_port()
        self.serve(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                    "--dir", self.lab.directory], self.port)
        self.requests = 20_000
        self.requests = max(1_000, int(self.run()["value"] * self.seconds))

    def run(self):
        output = self.lab.run(["redis-benchmark", "-p", self.port, "-t", "get", "-c", "32", "-n", self.requests,
                               "-P", self.pipeline, "--csv"])
        rate = float(output.splitlines()[-1].split(",")[1].strip('"'))
        return Run(value=rate, operations=self.requests)


class RedisPipelined(Redis):
    name = "redis, 16 pipelined"
    pipeline = 16


class Postgres(Workload):
    name, unit = "PostgreSQL, pgbench -S", "transactions/s"
    needs = {"pgbench": "postgresql", "setpriv": "util-linux"}

    def start(self):
        binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda path: float(path.split("/")[4]))
        if not binaries:
            raise Failed("there is no PostgreSQL server: apt-get install postgresql")
        tools = pathlib.Path(binaries[-1]).parent
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        self.port = free_port()
        self.data = self.lab.directory / f"postgres-{self.port}"
        self.data.mkdir()
        shutil.chown(self.data, "postgres", "postgres")
        self.lab.run([*as_user, tools / "initdb", "-D", self.data / "db", "-A", "trust", "-U", "postgres", "--no-sync"])
        self.serve([*as_user, tools / "postgres", "-D", self.data / "db", "-p", self.port, "-k", self.data,
                    "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "autovacuum=off"], self.port)
        self.pgbench = tools / "pgbench"
        self.connect = ["-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "postgres"]
        self.lab.run([self.pgbench, "-i", "-q", "-s", "5", *self.connect])

    def run(self):
        output = self.lab.run([self.pgbench, "-n", "-S", "-M", "prepared", "-c", "8", "-T", self.seconds, *self.connect])
        rate = float(re.search(r"tps = ([\d.]+)", output)[1])
        return Run(value=rate, operations=int(re.search(r"actually processed: (\d+)", output)[1]))


class BulkTcp(Workload):
    name, unit = "bulk TCP, iperf3", "Gbit/s"
    needs = {"iperf3": "iperf3"}

    def start(self):
        self.port = free_port()
        self.serve(["iperf3", "-s", "-p", self.port, "-B", "127.0.0.1"], self.port)

    def run(self):
        output = self.lab.run(["iperf3", "-c", "127.0.0.1", "-p", self.port, "-t", self.seconds, "-J"])
        received = json.loads(output)["end"]["sum_received"]
        return Run(value=received["bits_per_second"] / 1e9, operations=received["bytes"] / 65_536)


EXEC_LOOP = """
import os, sys, time
seconds, rate = int(sys.argv[1]), int(sys.argv[2])
took, start = [], time.perf_counter()
for number in range(seconds * rate):
    wait = start + number / rate - time.perf_counter()
    if wait > 0:
        time.sleep(wait)
    began = time.perf_counter()
    os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)
    took.append(time.perf_counter() - began)
took.sort()
print(took[len(took) // 2] * 1e6, len(took) / (time.perf_counter() - start), len(took))
"""


class Execs(Workload):
    """A process starts /bin/true 1,000 times a second, one after the other, and waits for each."""

    name, unit, better = "1,000 execs/s", "us (median of start to end)", LOWER
    rate = 1_000

    def run(self):
        output = self.lab.run([sys.executable, "-c", EXEC_LOOP, self.seconds, self.rate])
        median, rate, count = output.split()
        return Run(value=float(median), operations=int(count), rate=float(rate))


ALL = [NginxSaturated, NginxFixed, NginxHeavy, NginxAloneSaturated, NginxAloneFixed,
       Redis, RedisPipelined, Postgres, BulkTcp, Storm, Execs]


def missing(workloads):
    """The Debian packages of the commands that are not there."""
    path = os.environ["PATH"]
    packages = set()
    for workload in workloads:
        for command, package in workload.needs.items():
            found = shutil.which(command, path=path) or glob.glob(f"/usr/lib/postgresql/*/bin/{command}")
            if not found:
                packages.add(package)
    return sorted(packages)
