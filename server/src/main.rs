//! The `weir` binary; all of it is in the library.

use std::process::ExitCode;

// All memory is had through it.
use weir_allocator as _;

fn main() -> ExitCode {
    weir_server::cli::run()
}
