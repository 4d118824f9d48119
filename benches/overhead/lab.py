"""Places of the benchmark's own: a cgroup for the programs, one for weir, a directory, ports, processes."""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PREFIX = "weir-overhead-"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """The benchmark cannot go on; the message says why."""


def cgroup_mount():
    """Where the cgroup v2 hierarchy is mounted."""
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _device, mount, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(mount)
    raise Failed("no cgroup v2 hierarchy is mounted")


class Cgroup:
    """A cgroup of its own; what still runs in it at the end is killed."""

    def __init__(self, label):
        self.path = cgroup_mount() / f"{PREFIX}{os.getpid()}-{label}"
        self.path.mkdir()

    def cpu_seconds(self):
        """Processor time of everything that ever ran in it."""
        for line in (self.path / "cpu.stat").read_text().splitlines():
            name, value = line.split()
            if name == "usage_usec":
                return int(value) / 1e6
        raise Failed(f"{self.path}/cpu.stat tells no usage")

    def remove(self):
        remove_cgroup(self.path)


def remove_cgroup(path):
    for _ in range(100):
        with contextlib.suppress(OSError):
            for pid in (path / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        try:
            path.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
    print(f"left behind: cgroup {path}")


def sweep():
    """Removes what a benchmark left that was itself killed."""
    for path in cgroup_mount().glob(f"{PREFIX}*"):
        owner = path.name.removeprefix(PREFIX).split("-")[0]
        if not pathlib.Path("/proc", owner).exists():
            remove_cgroup(path)
    for path in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = path.name.removeprefix(PREFIX).split("-")[0]
        if not pathlib.Path("/proc", owner).exists():
            shutil.rmtree(path, ignore_errors=True)


class Lab:
    """The cgroups and the directory of one run of the benchmark."""

    def __init__(self):
        sweep()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        # PostgreSQL runs as another user.
        self.directory.chmod(0o755)
        self.programs = Cgroup("programs")
        self.weir = Cgroup("weir")
        # Of programs that are not watched.
        self.others = Cgroup("others")

    def spawn(self, arguments, cgroup=None, **options):
        """Starts a program in a cgroup (that of the programs unless told otherwise); it ends with this process."""
        procs = (cgroup or self.programs).path / "cgroup.procs"
        parent = os.getpid()

        def enter():
            # Before the program opens a socket: that belongs to the cgroup in which it was made.
            procs.write_text(str(os.getpid()))
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([str(argument) for argument in arguments], preexec_fn=enter, **options)

    def run(self, arguments, **options):
        """Runs a program (in the cgroup of the programs unless told otherwise) to its end; its standard output."""
        process = self.spawn(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
        output, errors = process.communicate()
        if process.returncode != 0:
            raise Failed(f"{arguments[0]} failed with status {process.returncode}: {(errors or output).strip()[-600:]}")
        return output

    def close(self):
        self.weir.remove()
        self.others.remove()
        self.programs.remove()
        shutil.rmtree(self.directory, ignore_errors=True)


def end(process, patience=30.0):
    """Asks a process to end, and waits until it has."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_listening(port, process, seconds=20.0):
    """Waits until something listens there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failed(f"{process.args[0]} ended with status {process.returncode} before it listened")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise Failed(f"{process.args[0]} does not listen on port {port}")
