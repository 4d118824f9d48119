//! Saved scripts: questions that have been asked before, with a name.
//!
//! A file `scripts/<group>/<name>.sql` is SQL under a header of comments that says what it answers, which parameters
//! it takes and how to draw its results; `docs/scripts.md` is the page for those who write one.
//!
//! ```text
//!   file -> Script (or its faults, by line) -> Library --name, values, range--> a QueryRequest for each result
//! ```
//!
//! The shipped ones are inside the binary. A directory of the user's may add to them and replace them; it is read
//! again when it changes, and a file in it that is wrong is kept as a [`BrokenScript`] and disturbs no other.

mod call;
mod check;
mod describe;
mod directory;
mod drawing;
mod error;
mod kind;
mod library;
mod parse;
mod plan;
mod script;
mod words;

pub use call::Call;
pub use check::Check;
pub use drawing::Drawing;
pub use error::{ScriptError, ScriptErrorKind};
pub use kind::Kind;
pub use library::{DirectoryError, Library, Listed};
pub use script::{BrokenScript, Fault, Origin, Parameter, Script, ScriptResult, Suggestion};
