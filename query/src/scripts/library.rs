//! The scripts there are: the shipped ones, and those of a user's directory as it is now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::directory::{Found, Stamp, read, scan};
use super::error::{ScriptError, ScriptErrorKind};
use super::script::{BrokenScript, Fault, Origin, Script};
use super::{parse, plan};
use crate::engine::Engine;
use crate::names::nearest;

/// Name and text of each shipped script.
const SHIPPED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The scripts by name.
///
/// A directory of the user's adds to the shipped ones. A file there of the name of a shipped script stands in its
/// place, also while it is broken: what is called is never something else than what is there to read.
pub struct Library {
    shipped: BTreeMap<String, Listed>,
    directory: Option<PathBuf>,
    /// Whether a directory that is not there is no error: it may come later.
    is_optional: bool,
    own: RwLock<Arc<Own>>,
    /// Held while the directory is looked at, so that nobody does it twice.
    refreshing: tokio::sync::Mutex<()>,
}

/// One entry of the library.
#[derive(Debug, Clone)]
pub enum Listed {
    /// It can be called.
    Script(Arc<Script>),
    /// Its file is wrong.
    Broken(Arc<BrokenScript>),
}

/// What was found in the user's directory.
#[derive(Default)]
struct Own {
    files: BTreeMap<PathBuf, (Stamp, Listed)>,
    by_name: BTreeMap<String, Listed>,
    /// Why the directory cannot be read.
    unreadable: Option<String>,
}

/// A user's directory that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryError {
    /// The directory.
    pub directory: PathBuf,
    /// Why.
    pub why: String,
    /// Whether the look before could read it, or failed for another reason.
    pub is_news: bool,
}

impl std::fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let directory = self.directory.display();
        write!(f, "cannot read the scripts in {directory}: {}", self.why)
    }
}

impl std::error::Error for DirectoryError {}

impl Listed {
    /// `group/name`
    pub fn name(&self) -> &str {
        match self {
            Self::Script(script) => &script.name,
            Self::Broken(broken) => &broken.name,
        }
    }
}

impl Library {
    /// The shipped scripts alone.
    pub fn shipped() -> Self {
        let shipped = SHIPPED.iter().map(|(name, text)| {
            let listed = match parse::parse(name, text, Origin::Shipped) {
                Ok(script) => Listed::Script(Arc::new(script)),
                Err(faults) => broken(name, faults),
            };
            ((*name).to_owned(), listed)
        });
        Self {
            shipped: shipped.collect(),
            directory: None,
            is_optional: false,
            own: RwLock::default(),
            refreshing: tokio::sync::Mutex::default(),
        }
    }

    /// With those of a directory too, once it is [refreshed](Self::refresh).
    #[must_use]
    pub fn with_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: Some(directory.into()),
            is_optional: false,
            ..self
        }
    }

    /// With those of a directory that need not be there.
    #[must_use]
    pub fn with_optional_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self {
            is_optional: true,
            ..self.with_directory(directory)
        }
    }

    /// The user's directory.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Looks at the user's directory again: reads the files that are new or changed, plans their statements with the
    /// engine, and answers with those of them that are wrong.
    ///
    /// Fails where the directory cannot be read; then it counts as empty.
    pub async fn refresh(&self, engine: &Engine) -> Result<Vec<Arc<BrokenScript>>, DirectoryError> {
        let Some(directory) = &self.directory else {
            return Ok(Vec::new());
        };
        let _guard = self.refreshing.lock().await;
        let before = Arc::clone(&self.own.read());
        let looked = {
            let directory = directory.clone();
            let before = Arc::clone(&before);
            let is_optional = self.is_optional;
            tokio::task::spawn_blocking(move || look(&directory, is_optional, &before)).await
        };
        let looked = match looked {
            Ok(Ok(looked)) => looked,
            Ok(Err(error)) => return self.lose(directory, &before, error.to_string()),
            Err(error) => return self.lose(directory, &before, error.to_string()),
        };
        let Looked {
            kept,
            read,
            is_same,
        } = looked;
        if is_same && before.unreadable.is_none() {
            return Ok(Vec::new());
        }
        let mut newly_broken = Vec::new();
        let mut files = kept;
        for (found, script) in read {
            let listed = match script {
                Ok(script) => planned(script, engine).await,
                Err(broken) => Listed::Broken(Arc::new(broken)),
            };
            if let Listed::Broken(broken) = &listed {
                newly_broken.push(Arc::clone(broken));
            }
            files.insert(found.path, (found.stamp, listed));
        }
        let by_name = files
            .values()
            .map(|(_, listed)| (listed.name().to_owned(), listed.clone()))
            .collect();
        *self.own.write() = Arc::new(Own {
            files,
            by_name,
            unreadable: None,
        });
        Ok(newly_broken)
    }

    fn lose<T>(&self, directory: &Path, before: &Own, why: String) -> Result<T, DirectoryError> {
        let is_news = before.unreadable.as_ref() != Some(&why);
        if is_news {
            *self.own.write() = Arc::new(Own {
                unreadable: Some(why.clone()),
                ..Own::default()
            });
        }
        Err(DirectoryError {
            directory: directory.to_owned(),
            why,
            is_news,
        })
    }

    /// All of them by name, the broken ones too.
    pub fn list(&self) -> Vec<Listed> {
        let own = Arc::clone(&self.own.read());
        let mut all = self.shipped.clone();
        all.extend(own.by_name.clone());
        all.into_values().collect()
    }

    /// Whether the name is that of a shipped script.
    pub fn is_shipped(&self, name: &str) -> bool {
        self.shipped.contains_key(name)
    }

    /// The script of that name.
    pub fn get(&self, name: &str) -> Result<Arc<Script>, ScriptError> {
        let own = Arc::clone(&self.own.read());
        match own.by_name.get(name).or_else(|| self.shipped.get(name)) {
            Some(Listed::Script(script)) => Ok(Arc::clone(script)),
            Some(Listed::Broken(broken)) => Err(is_broken(broken)),
            None => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> ScriptError {
        let all = self.list();
        // `slow` for `http/slow` is nearer than any letter.
        let last = |listed: &&Listed| {
            listed
                .name()
                .split_once('/')
                .is_some_and(|(group, last)| last == name || group == name)
        };
        let near = nearest(name, all.iter().map(Listed::name))
            .map(|near| format!("did you mean {near}?"))
            .or_else(|| {
                let names: Vec<&str> = all.iter().filter(last).map(Listed::name).collect();
                (!names.is_empty()).then(|| format!("did you mean {}?", names.join(" or ")))
            });
        let hint = near.unwrap_or_else(|| "`weir scripts` lists them".to_owned());
        ScriptError::new(
            ScriptErrorKind::NotFound,
            format!("there is no script {name:?}"),
        )
        .with_hint(hint)
    }
}

/// What a look at the directory showed.
struct Looked {
    /// The files that are as they were.
    kept: BTreeMap<PathBuf, (Stamp, Listed)>,
    read: Vec<(Found, Result<Script, BrokenScript>)>,
    is_same: bool,
}

fn look(directory: &Path, is_optional: bool, before: &Own) -> std::io::Result<Looked> {
    let mut kept = BTreeMap::new();
    let mut changed = Vec::new();
    let found = match scan(directory) {
        Err(error) if is_optional && error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        found => found?,
    };
    for found in found {
        match before.files.get(&found.path) {
            Some((stamp, listed)) if *stamp == found.stamp => {
                kept.insert(found.path, (*stamp, listed.clone()));
            }
            _ => {
                let script = read(&found);
                changed.push((found, script));
            }
        }
    }
    Ok(Looked {
        is_same: changed.is_empty() && kept.len() == before.files.len(),
        kept,
        read: changed,
    })
}

async fn planned(script: Script, engine: &Engine) -> Listed {
    let script = Arc::new(script);
    match plan::faults(&script, engine).await {
        faults if faults.is_empty() => Listed::Script(script),
        faults => broken(&script.name, faults),
    }
}

fn broken(name: &str, faults: Vec<Fault>) -> Listed {
    Listed::Broken(Arc::new(BrokenScript {
        name: name.to_owned(),
        faults,
    }))
}

fn is_broken(broken: &BrokenScript) -> ScriptError {
    let line = broken.faults.first().map(|fault| fault.line);
    ScriptError::new(ScriptErrorKind::Broken, format!("the script {broken}"))
        .at_line(line.filter(|line| *line > 0))
        .with_hint("mend its file; it is read again when it changes".to_owned())
}
