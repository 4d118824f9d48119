"""bpf(2): an empty program to compare with, and what programs have taken."""

import ctypes
import os
import pathlib
import platform
import struct

SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
PROG_LOAD, PROG_GET_FD_BY_ID, GET_INFO_BY_FD, LINK_CREATE, ENABLE_STATS = 5, 13, 15, 28, 32
CGROUP_SKB = 8
INGRESS, EGRESS = 0, 1
STATS_RUN_TIME = 0
# `return 1`: the packet goes on.
EMPTY = struct.pack("<BBhi", 0xB7, 0, 0, 1) + struct.pack("<BBhi", 0x95, 0, 0, 0)
# Places in struct bpf_prog_info, which only ever grows.
INFO_BYTES, NAME_AT, RUN_TIME_AT, VERIFIED_AT = 256, 64, 192, 216
LIBC = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 144))
    result = LIBC.syscall(SYSCALL[platform.machine()], command, buffer, len(buffer))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"bpf command {command}: {os.strerror(error)}")
    return result


class Empty:
    """An empty cgroup_skb program at both hooks of a cgroup, which pays only for being called."""

    def __init__(self, cgroup):
        self.fds = []
        directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
        instructions = ctypes.create_string_buffer(EMPTY, len(EMPTY))
        licence = ctypes.create_string_buffer(b"GPL")
        for attach_type in (INGRESS, EGRESS):
            attributes = struct.pack(
                "<IIQQ6I16sII", CGROUP_SKB, len(EMPTY) // 8, ctypes.addressof(instructions), ctypes.addressof(licence),
                0, 0, 0, 0, 0, 0, b"empty", 0, attach_type)
            program = bpf(PROG_LOAD, attributes)
            self.fds += [program, bpf(LINK_CREATE, struct.pack("<IIII", program, directory, attach_type, 0))]
        os.close(directory)

    def programs(self):
        return dict(zip(("ingress", "egress"), map(read, self.fds[::2])))

    def close(self):
        for fd in self.fds:
            os.close(fd)


class Stats:
    """While it is open, the kernel measures what programs take (which itself costs some tens of nanoseconds a run)."""

    def __init__(self):
        self.fd = bpf(ENABLE_STATS, struct.pack("<I", STATS_RUN_TIME))

    def close(self):
        os.close(self.fd)


def read(fd):
    """Nanoseconds and runs of a program since it was loaded, while statistics were on."""
    info = ctypes.create_string_buffer(INFO_BYTES)
    bpf(GET_INFO_BY_FD, struct.pack("<IIQ", fd, INFO_BYTES, ctypes.addressof(info)))
    nanoseconds, runs = struct.unpack_from("<QQ", info, RUN_TIME_AT)
    (instructions,) = struct.unpack_from("<I", info, VERIFIED_AT)
    name = info.raw[NAME_AT:NAME_AT + 16].split(b"\0")[0].decode()
    return {"name": name, "ns": nanoseconds, "runs": runs, "verified_instructions": instructions}


def programs_of(pid):
    """The programs that a process holds, by name."""
    found = {}
    for entry in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = entry.read_text()
        except FileNotFoundError:  # closed since it was listed
            continue
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        if "prog_id" not in fields or "prog_type" not in fields:
            continue
        fd = bpf(PROG_GET_FD_BY_ID, struct.pack("<III", int(fields["prog_id"]), 0, 0))
        try:
            program = read(fd)
        finally:
            os.close(fd)
        found[program["name"]] = program
    return found


def between(before, after):
    """Nanoseconds a run of each program, and its runs, between two readings."""
    taken = {}
    for name, program in after.items():
        runs = program["runs"] - before.get(name, {"runs": 0})["runs"]
        nanoseconds = program["ns"] - before.get(name, {"ns": 0})["ns"]
        if runs:
            taken[name] = {"runs": runs, "ns": nanoseconds / runs}
    return taken
