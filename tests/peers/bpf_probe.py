"""Tells whether this kernel and these rights load a cgroup_skb program, without any of weir's own code.

The tests ask it before they believe a "capture is not possible here". Exit status 0: it loads. 1: it does not, and
the reason is printed.
"""

import ctypes
import os
import platform
import struct
import sys

BPF_PROG_LOAD = 5
BPF_PROG_TYPE_CGROUP_SKB = 8
# r0 = 1; exit: let every packet pass.
INSTRUCTIONS = struct.pack("<BBhi", 0xB7, 0, 0, 1) + struct.pack("<BBhi", 0x95, 0, 0, 0)
SYSCALL_NUMBERS = {"x86_64": 321, "aarch64": 280}


def main():
    number = SYSCALL_NUMBERS.get(platform.machine())
    if number is None:
        sys.exit(f"do not know the number of bpf(2) on {platform.machine()}")
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        sys.exit("the kernel has no BTF")
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(INSTRUCTIONS)
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "<IIQQIIQII",
        BPF_PROG_TYPE_CGROUP_SKB,
        len(INSTRUCTIONS) // 8,
        ctypes.addressof(code),
        ctypes.addressof(licence),
        0,
        0,
        0,
        0,
        0,
    )
    fd = libc.syscall(number, BPF_PROG_LOAD, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes))
    if fd < 0:
        sys.exit(f"bpf(BPF_PROG_LOAD): {os.strerror(ctypes.get_errno())}")
    os.close(fd)
    print("a cgroup_skb program loads")


if __name__ == "__main__":
    main()
