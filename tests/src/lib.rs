//! weir's end-to-end tests: real programs, real eBPF, the real binary
