//! The saved scripts as the server has them: the shipped ones, and those of a directory that is watched.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weir_query::Engine;
use weir_query::scripts::{DirectoryError, Library};

/// Directory of the user's scripts within the data directory, unless another is named.
const DIRECTORY: &str = "scripts";
/// How often the directory is looked at, so that the log tells of a broken script that nobody calls.
const INTERVAL: Duration = Duration::from_secs(2);

/// The scripts there are: the shipped ones, and those of the directory that is named or else of one in the data directory.
pub(crate) fn library(named: Option<&Path>, data: Option<&Path>) -> Library {
    let library = Library::shipped();
    match (named, data) {
        (Some(named), _) => library.with_directory(named),
        (None, Some(data)) => library.with_optional_directory(data.join(DIRECTORY)),
        (None, None) => library,
    }
}

/// Looks at the directory again, and tells the log what is newly wrong.
pub(crate) async fn refresh(library: &Library, engine: &Engine) -> Result<(), DirectoryError> {
    match library.refresh(engine).await {
        Ok(newly_broken) => {
            for broken in newly_broken {
                tracing::warn!("a script is broken: {broken}");
            }
            Ok(())
        }
        Err(error) => {
            if error.is_news {
                tracing::warn!("{error}");
            }
            Err(error)
        }
    }
}

/// Keeps looking.
pub(crate) async fn watch(library: Arc<Library>, engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        // The log has been told.
        let _ = refresh(&library, &engine).await;
    }
}
