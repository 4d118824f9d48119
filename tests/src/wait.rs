//! Waiting for what will be so, with an end.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take on a slow, busy machine before it counts as never happening.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Asks `probe` until it gives something; panics after a minute with what it complained of last.
pub fn wait_until<T>(mut probe: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(why) => assert!(
                start.elapsed() < PATIENCE,
                "waited {PATIENCE:?} in vain: {why}"
            ),
        }
        sleep(Duration::from_millis(50));
    }
}
