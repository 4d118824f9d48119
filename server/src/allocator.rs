//! How memory is had from the operating system.
//!
//! glibc keeps freed blocks for later. Of large ones it learns to keep ever larger ones, up to 32 MiB, in heaps that a
//! single small block keeps from shrinking: under overload the process held three times what its rows took. With a
//! fixed threshold large blocks (columns of sealed rows, encoded files) come from the operating system each by itself
//! and go back to it at once. `docs/storage.md` has what that does to the process' memory.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    /// Blocks from this size on are had from the operating system, each by itself.
    const LARGE_BYTES: libc::c_int = 128 << 10;
    /// Most blocks that are had so: the kernel allows a process 65,530 mappings, and threads and files need some.
    const MOST_LARGE_BLOCKS: libc::c_int = 32_768;

    #[expect(
        unsafe_code,
        reason = "there is no safe way to say this, and nothing can go wrong in it: mallopt takes two numbers, and \
                  refuses what it does not know"
    )]
    pub(super) fn give_back_large_blocks() {
        // SAFETY: called before any other thread is started, with options that glibc documents.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
            libc::mallopt(libc::M_MMAP_MAX, MOST_LARGE_BLOCKS);
        }
    }
}

/// Has large blocks of memory go back to the operating system once they are freed. To be called first of all.
pub(crate) fn set_up() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::give_back_large_blocks();
}
