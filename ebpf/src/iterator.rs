//! Reading a BPF iterator over the sockets that weir has marked.
//!
//! aya attaches iterators without parameters; this one walks a map, which must be named, so the two system calls stand
//! here.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use zerocopy::FromBytes as _;

use crate::events::TcpEvent;

const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_ITER_CREATE: libc::c_long = 33;
const BPF_TRACE_ITER: u32 = 28;

/// `union bpf_iter_link_info`, as far as a map iterator uses it.
#[repr(C)]
struct MapIteratorInfo {
    map_fd: RawFd,
}

/// `struct { ... } link_create` of `union bpf_attr`, with the part for iterators.
#[repr(C)]
struct LinkCreate {
    prog_fd: RawFd,
    target_fd: RawFd,
    attach_type: u32,
    flags: u32,
    iter_info: u64,
    iter_info_len: u32,
    reserved: u32,
}

/// `struct { ... } iter_create` of `union bpf_attr`.
#[repr(C)]
struct IterCreate {
    link_fd: RawFd,
    flags: u32,
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attributes` is a live value of a `repr(C)` type whose layout is that of `union bpf_attr` for this
    // command, and its size is passed along; the kernel only reads it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    let fd = RawFd::try_from(fd)
        .map_err(|_| io::Error::other("the kernel returned no file descriptor"))?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both commands return a new file descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A link between an iterator program and the map that it walks over.
#[derive(Debug)]
pub(crate) struct MapIterator {
    link: OwnedFd,
}

impl MapIterator {
    /// Links a loaded `iter/bpf_sk_storage_map` program with its map.
    pub(crate) fn new(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> io::Result<Self> {
        let info = MapIteratorInfo {
            map_fd: map.as_raw_fd(),
        };
        let attributes = LinkCreate {
            prog_fd: program.as_raw_fd(),
            target_fd: 0,
            attach_type: BPF_TRACE_ITER,
            flags: 0,
            iter_info: std::ptr::from_ref(&info) as u64,
            iter_info_len: size_of::<MapIteratorInfo>() as u32,
            reserved: 0,
        };
        Ok(Self {
            link: bpf(BPF_LINK_CREATE, &attributes)?,
        })
    }

    /// Starts a walk.
    pub(crate) fn open(&self) -> io::Result<File> {
        Ok(File::from(bpf(
            BPF_ITER_CREATE,
            &IterCreate {
                link_fd: self.link.as_raw_fd(),
                flags: 0,
            },
        )?))
    }
}

/// Reads the events that an iterator writes.
pub(crate) fn read_events(mut file: File, mut each: impl FnMut(&TcpEvent)) -> io::Result<()> {
    let mut buffer = vec![0_u8; 64 * 1024];
    let mut filled = 0;
    loop {
        // The kernel hands out a prefix of what it has, not necessarily whole records.
        let read = match file.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        filled += read;
        let whole = filled - filled % size_of::<TcpEvent>();
        for record in buffer[..whole].chunks_exact(size_of::<TcpEvent>()) {
            if let Ok(event) = TcpEvent::read_from_bytes(record) {
                each(&event);
            }
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}
