//! The `weir` binary; all of it is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Rows come in small pieces on one thread and go in large blocks on others. glibc keeps what is freed in heaps that a
/// single small block keeps from shrinking: under overload the process held three times what its rows took. With this
/// one it gives memory back, and appending a row takes a quarter less (`docs/storage.md`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    weir_server::cli::run()
}
