"""Counts the eBPF programs attached to a cgroup, as the kernel tells them, without any of weir's own code.

usage: bpf_attached.py CGROUP_DIRECTORY

Prints the number, summed over all cgroup attach types this kernel knows.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

BPF_PROG_QUERY = 16
SYSCALL_NUMBERS = {"x86_64": 321, "aarch64": 280}
# Beyond what any kernel has; one it does not know, or that is no cgroup's, answers EINVAL and counts nothing.
ATTACH_TYPES = range(64)


def main():
    number = SYSCALL_NUMBERS[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    cgroup = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
    programs = 0
    for attach_type in ATTACH_TYPES:
        # target_fd, attach_type, query_flags, attach_flags, prog_ids (none wanted), prog_cnt, padding
        attributes = ctypes.create_string_buffer(struct.pack("<IIIIQII", cgroup, attach_type, 0, 0, 0, 0, 0), 64)
        if libc.syscall(number, BPF_PROG_QUERY, attributes, 32) == 0:
            programs += struct.unpack_from("<I", attributes, 24)[0]
        elif ctypes.get_errno() == errno.ENOSPC:
            programs += struct.unpack_from("<I", attributes, 24)[0]
        elif ctypes.get_errno() not in (errno.EINVAL, errno.EOPNOTSUPP):
            sys.exit(f"bpf(BPF_PROG_QUERY): {os.strerror(ctypes.get_errno())}")
    print(programs)


if __name__ == "__main__":
    main()
