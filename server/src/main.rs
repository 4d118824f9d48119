//! The `weir` binary; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    weir_server::cli::run()
}
