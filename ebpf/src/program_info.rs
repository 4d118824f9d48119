//! What the kernel tells about a loaded program: how often it ran, how long that took, and how hard it was to verify.
//!
//! aya does not hand out all of it, so the system call stands here.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use serde::Serialize;

const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_ENABLE_STATS: libc::c_long = 32;
const BPF_STATS_RUN_TIME: u32 = 0;

/// What the kernel tells about a program. Runs and times count from when it was loaded, and only while the kernel keeps
/// statistics: see [`RunStatistics`] and the sysctl `kernel.bpf_stats_enabled`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProgramInfo {
    /// Id of the program while it is loaded.
    pub id: u32,
    /// How often it ran; `None` where the kernel counted no run.
    pub runs: Option<u64>,
    /// How long these runs took in nanoseconds, with the cost of measuring (40 to 66 ns a run).
    pub run_time_ns: Option<u64>,
    /// How often it was to run and did not, since it ran on that processor already; `None` before Linux 5.12.
    pub missed_runs: Option<u64>,
    /// Instructions that the verifier followed to accept it; `None` before Linux 5.16.
    pub verified_instructions: Option<u32>,
}

/// `struct bpf_prog_info` of `include/uapi/linux/bpf.h`.
#[repr(C)]
#[derive(Default)]
struct RawInfo {
    program_type: u32,
    id: u32,
    /// Code, name, maps, symbols, functions and lines of the program.
    unused: [u64; 23],
    run_time_ns: u64,
    run_cnt: u64,
    recursion_misses: u64,
    verified_insns: u32,
    attach_btf_obj_id: u32,
}

/// `struct { ... } info` of `union bpf_attr`.
#[repr(C)]
struct GetInfo {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

const _: () = {
    assert!(std::mem::offset_of!(RawInfo, run_time_ns) == 192);
    assert!(std::mem::offset_of!(RawInfo, verified_insns) == 216);
};

impl ProgramInfo {
    /// Asks the kernel about a loaded program.
    pub(crate) fn read(program: BorrowedFd<'_>) -> io::Result<Self> {
        let mut raw = RawInfo::default();
        let mut request = GetInfo {
            bpf_fd: program.as_raw_fd().cast_unsigned(),
            info_len: size_of::<RawInfo>() as u32,
            info: std::ptr::from_mut(&mut raw) as u64,
        };
        // SAFETY: `request` has the layout of `union bpf_attr` for this command, and `info` points to a live, writable
        // value of at least `info_len` bytes that holds plain integers only. An older kernel writes a prefix of it.
        let outcome = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_OBJ_GET_INFO_BY_FD,
                std::ptr::from_mut(&mut request),
                size_of::<GetInfo>(),
            )
        };
        if outcome < 0 {
            return Err(io::Error::last_os_error());
        }
        // The kernel writes back how much it told.
        let told = |end: usize| request.info_len as usize >= end;
        Ok(Self {
            id: raw.id,
            runs: (raw.run_cnt > 0).then_some(raw.run_cnt),
            run_time_ns: (raw.run_cnt > 0).then_some(raw.run_time_ns),
            missed_runs: told(std::mem::offset_of!(RawInfo, verified_insns))
                .then_some(raw.recursion_misses),
            verified_instructions: (raw.verified_insns > 0).then_some(raw.verified_insns),
        })
    }
}

/// While it lives, the kernel counts and times the runs of every program on this machine, which costs each run some 40
/// to 66 ns. Since Linux 5.8.
#[derive(Debug)]
pub struct RunStatistics {
    _kept: OwnedFd,
}

impl RunStatistics {
    /// Begins to count.
    ///
    /// # Errors
    ///
    /// Where the kernel is too old, or the process has no `CAP_SYS_ADMIN`.
    pub fn begin() -> io::Result<Self> {
        let statistics: u32 = BPF_STATS_RUN_TIME;
        // SAFETY: for this command `union bpf_attr` begins with the kind of statistics, a u32; its size is passed along.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_ENABLE_STATS,
                std::ptr::from_ref(&statistics),
                size_of::<u32>(),
            )
        };
        let fd = RawFd::try_from(fd)
            .map_err(|_| io::Error::other("the kernel returned no file descriptor"))?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the command returns a new file descriptor that nothing else owns.
        let kept = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { _kept: kept })
    }
}
