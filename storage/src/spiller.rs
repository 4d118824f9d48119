//! What runs in the background: the task that moves rows to files, and the thread that writes the log.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::error::StoreError;
use crate::options::Fsync;
use crate::store::Core;
use crate::wal::Committer;

/// First and longest pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The running task, and the thread that writes the log. Dropping it stops both too: what the task is writing is
/// written, and the log gets nothing more.
#[derive(Debug)]
pub struct SpillerHandle {
    /// Dropped to tell the task to stop.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    committer: Committer,
}

impl SpillerHandle {
    pub(crate) fn start(core: Arc<Core>, fsync: Fsync) -> Result<Self, StoreError> {
        let committer = Committer::start(Arc::clone(&core), fsync)?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(core, stopped));
        Ok(Self {
            stop,
            task,
            committer,
        })
    }

    /// Stops the task and waits until what it is writing is written, and everything else is in the log. What is in
    /// memory then stays there: see [`crate::Store::flush`].
    pub async fn stop(self) {
        let Self {
            stop,
            task,
            committer,
        } = self;
        drop(stop);
        if let Err(error) = task.await {
            tracing::error!(%error, "the spiller had ended early");
        }
        if let Err(error) = spawn_blocking(move || committer.stop()).await {
            tracing::error!(%error, "the log's thread could not be stopped");
        }
    }
}

async fn run(core: Arc<Core>, mut stopped: oneshot::Receiver<()>) {
    let tick = core.tick();
    let mut failures: u32 = 0;
    loop {
        let wake = async {
            if failures > 0 {
                // Pressure does not shorten this: trying a full disk more often frees none of it.
                sleep(pause_after(failures)).await;
            } else {
                tokio::select! {
                    () = sleep(tick) => {}
                    () = core.pressed.notified() => {}
                }
            }
        };
        tokio::select! {
            _ = &mut stopped => return,
            () = wake => {}
        }
        // The store keeps why it failed, and told the log.
        failures = match core.spill().await {
            Ok(()) => 0,
            Err(_) => failures.saturating_add(1),
        };
    }
}

fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let pauses: Vec<u64> = [1, 2, 3, 5, 6, u32::MAX]
            .map(|failures| pause_after(failures).as_secs())
            .into();
        assert_eq!(pauses, [1, 2, 4, 16, 30, 30]);
    }
}
