//! Standard output that may be closed early, as by `| head`.

use std::io::{self, Write};

/// Runs `write` on a buffered standard output. A reader that closed the pipe has what it wanted: that is no error.
pub(super) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
