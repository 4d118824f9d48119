"""weir itself: started on the cgroup of the programs, asked what it captured, and measured."""

import csv
import io
import json
import pathlib
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request

from lab import Failed, end, free_port

PAGE = 4096
MIB = 1024 * 1024


class Weir:
    """A running weir with an empty data directory."""

    def __init__(self, lab, binary, options):
        self.lab = lab
        self.binary = binary
        self.data = lab.directory / "data"
        self.log = lab.directory / "weir.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        with self.log.open("w") as log:
            self.process = lab.spawn(
                [binary, "serve", "--cgroup", lab.programs.path, "--data", self.data, "--listen",
                 self.url.removeprefix("http://"), *options],
                cgroup=lab.weir, stdout=subprocess.DEVNULL, stderr=log)
        self.wait_ready()
        self.resident = Resident(self)

    def wait_ready(self):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Failed(f"weir ended before it was ready:\n{self.log.read_text()[-2000:]}")
            try:
                self.get("/readyz")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise Failed(f"weir does not become ready:\n{self.log.read_text()[-2000:]}")

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=120) as answer:
            return answer.read().decode()

    def status(self):
        return json.loads(self.get("/api/v1/status"))

    def sql(self, query):
        """The rows of an answer from its files, each a list of texts; once it was stopped, when the ledger is whole."""
        output = self.lab.run([self.binary, "sql", query, "--data", self.data, "--format", "csv"])
        return list(csv.reader(io.StringIO(output)))[1:]

    def captured(self):
        """How many requests have a whole row, and what the ledger says was lost."""
        rows = self.sql("SELECT count(*) FROM http_events WHERE status IS NOT NULL AND outcome = 'ok'")
        lost = self.sql("SELECT stage, reason, sum(events) FROM capture_loss GROUP BY stage, reason ORDER BY 1, 2")
        return int(rows[0][0]), {f"{stage}/{reason}": int(events) for stage, reason, events in lost}

    def cpu_seconds(self):
        return self.lab.weir.cpu_seconds()

    def stop(self):
        self.resident.stop()
        end(self.process, 120.0)

    def remove(self):
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)


class Resident(threading.Thread):
    """Looks at the resident memory and the rows in memory now and then, and keeps the most of each."""

    def __init__(self, weir):
        super().__init__(daemon=True)
        self.statm = pathlib.Path(f"/proc/{weir.process.pid}/statm")
        self.weir = weir
        self.done = threading.Event()
        self.most = 0
        self.most_beside = 0
        self.start()

    def look(self):
        resident = int(self.statm.read_text().split()[1]) * PAGE
        window = self.weir.status()["store"]["window_bytes"]
        self.most = max(self.most, resident)
        self.most_beside = max(self.most_beside, resident - window)

    def run(self):
        while not self.done.wait(0.5):
            try:
                self.look()
            except (OSError, ValueError, KeyError):
                return

    def stop(self):
        self.done.set()
        self.join()
