//! weir's kernel side: the eBPF programs, their loader, the ring reader and the feature report
