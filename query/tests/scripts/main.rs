//! The saved scripts over a real store and engine.
#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod calls;
mod data;
mod directory;
mod shipped;
