//! What the files of this node tell of containers and pods, without asking any API.
//!
//! ```text
//!   container id -> Docker's own configuration, or the OCI runtime configuration that containerd, CRI-O and Podman write
//!   container id -> the names of the log files in /var/log/containers
//!   pod uid      -> the names of the directories in /var/log/pods
//! ```

mod docker;
mod file;
mod logs;
mod oci;

use std::path::{Path, PathBuf};

use file::{Failure, Reader};

/// Names that a container goes by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// The container, as its pod or whoever started it calls it.
    pub(crate) container: Option<String>,
    /// The service of Docker Compose that it is one container of.
    pub(crate) compose_service: Option<String>,
    /// Kubernetes pod.
    pub(crate) pod: Option<String>,
    /// Kubernetes namespace.
    pub(crate) namespace: Option<String>,
}

impl Names {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The file system of the node.
#[derive(Debug)]
pub(crate) struct NodeFiles {
    root: PathBuf,
    /// Files that are there and could not be used, since they were asked for last.
    failures: u64,
}

impl NodeFiles {
    /// The files below the directory where the node's root is seen: `/`, or where it is mounted in a container.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            failures: 0,
        }
    }

    /// The names of the container with this id; of several sources the first that knows it.
    pub(crate) fn container(&mut self, id: &str) -> Option<Names> {
        [docker::names, oci::names, logs::container_names]
            .into_iter()
            .find_map(|names| self.ask(|reader| names(reader, id)))
    }

    /// Pod and namespace of the pod with this uid.
    pub(crate) fn pod(&mut self, uid: &str) -> Option<Names> {
        self.ask(|reader| logs::pod_names(reader, uid))
    }

    /// How many files were there and could not be used (unreadable, too large, not what they should be) since this was
    /// asked last.
    pub(crate) fn take_failures(&mut self) -> u64 {
        std::mem::take(&mut self.failures)
    }

    fn ask(
        &mut self,
        names: impl FnOnce(&Reader<'_>) -> Result<Option<Names>, Failure>,
    ) -> Option<Names> {
        match names(&Reader::new(&self.root)) {
            Ok(names) => names.filter(|names| !names.is_empty()),
            Err(failure) => {
                tracing::debug!(%failure, "cannot use a file about a container");
                self.failures += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
