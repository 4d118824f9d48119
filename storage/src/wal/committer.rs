//! The thread that brings rows to the log, group by group.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::StoreError;
use crate::options::Fsync;
use crate::store::Core;

/// How often the number of accepted rows is written down: what a kill loses is counted up to that.
const COUNT_INTERVAL: Duration = Duration::from_millis(10);
/// How often rows are written where they are never synced.
const WRITE_INTERVAL: Duration = Duration::from_millis(200);
/// Pause after a failure, since a full disk is not freed by trying.
const PAUSE: Duration = Duration::from_secs(1);

/// The running thread. Stopping it writes what there is; dropping it writes nothing more.
#[derive(Debug)]
pub(crate) struct Committer {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

/// How others reach the thread.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    stop: Option<Stop>,
    rows_came: bool,
}

#[derive(Debug, Clone, Copy)]
enum Stop {
    AfterCommit,
    AtOnce,
}

impl Signal {
    /// Tells the thread that rows came, where it is to commit without delay.
    pub(crate) fn rows_came(&self) {
        let mut wanted = self.wanted.lock();
        if !wanted.rows_came {
            wanted.rows_came = true;
            self.changed.notify_one();
        }
    }

    fn stop(&self, stop: Stop) {
        self.wanted.lock().stop = Some(stop);
        self.changed.notify_one();
    }

    /// Waits at most so long; returns whether to stop, and whether rows came.
    fn wait(&self, timeout: Duration) -> (Option<Stop>, bool) {
        let mut wanted = self.wanted.lock();
        if wanted.stop.is_none() && !wanted.rows_came {
            self.changed.wait_for(&mut wanted, timeout);
        }
        (wanted.stop, std::mem::take(&mut wanted.rows_came))
    }
}

impl Committer {
    pub(crate) fn start(core: Arc<Core>, fsync: Fsync) -> Result<Self, StoreError> {
        core.logs.store(true, Ordering::Relaxed);
        let signal = Arc::clone(&core.committing);
        let directory = core.log_directory();
        let thread = thread::Builder::new()
            .name("weir-log".to_owned())
            .spawn({
                let signal = Arc::clone(&signal);
                move || run(&core, &signal, fsync)
            })
            .map_err(StoreError::io("start the thread of", &directory))?;
        Ok(Self {
            signal,
            thread: Some(thread),
        })
    }

    /// Writes what there is and ends. Blocks.
    pub(crate) fn stop(mut self) {
        self.signal.stop(Stop::AfterCommit);
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the log had ended early");
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.signal.stop(Stop::AtOnce);
        self.join();
    }
}

fn run(core: &Core, signal: &Signal, fsync: Fsync) {
    let interval = match fsync {
        Fsync::Always => Duration::ZERO,
        Fsync::Every(interval) => interval,
        Fsync::Never => WRITE_INTERVAL,
    };
    let mut due = Instant::now() + interval;
    let mut is_failing = false;
    loop {
        let (stop, rows_came) = signal.wait(COUNT_INTERVAL);
        match stop {
            Some(Stop::AtOnce) => return,
            Some(Stop::AfterCommit) => {
                core.commit_quietly();
                return;
            }
            None => {}
        }
        core.note_accepted();
        let is_asked = rows_came && fsync == Fsync::Always && !is_failing;
        if is_asked || Instant::now() >= due {
            is_failing = !core.commit_quietly();
            due = Instant::now()
                + if is_failing {
                    PAUSE.max(interval)
                } else {
                    interval
                };
        }
    }
}
