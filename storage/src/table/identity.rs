//! Who a row is about: the columns that every table begins with after `time`.

use std::sync::Arc;

use arrow::array::ArrayRef;

use super::column::{Column as _, Int64, Text};
use super::{ColumnDef, ColumnGroup};

/// The process that a row is about, as far as it is known.
///
/// Shared by all its rows; a change (an exec, a late look-up) makes a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Process id (thread group id) in the init pid namespace.
    pub pid: i64,
    /// Name as the kernel keeps it (`comm`), at most 15 bytes.
    pub name: Option<Arc<str>>,
    /// Path of the executable.
    pub exe: Option<Arc<str>>,
    /// Path of the cgroup v2, from the root of the hierarchy.
    pub cgroup: Option<Arc<str>>,
    /// Container id, where the cgroup path tells it.
    pub container_id: Option<Arc<str>>,
    /// Kubernetes pod.
    pub pod: Option<Arc<str>>,
    /// Kubernetes namespace.
    pub namespace: Option<Arc<str>>,
    /// Kubernetes workload (deployment, daemon set, ...).
    pub workload: Option<Arc<str>>,
    /// Name of the service.
    pub service: Option<Arc<str>>,
}

/// Where a row comes from: the node, and the process where one is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the node that captured or imported the row.
    pub node: Arc<str>,
    /// The process; `None` for imported traffic and for sockets of unknown owners.
    pub process: Option<Arc<Process>>,
}

/// The node alone, for tables that are not about a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Name of the node.
    pub node: Arc<str>,
}

const NODE: ColumnDef = ColumnDef::of::<Text>(
    "node",
    None,
    "Name of the node that captured or imported the row.",
);

/// Builder of the columns of [`Identity`].
pub struct IdentityColumns {
    node: Text,
    pid: Int64,
    texts: [Text; 8],
}

impl ColumnGroup for IdentityColumns {
    type Value = Identity;

    fn columns() -> Vec<ColumnDef> {
        vec![
            NODE,
            ColumnDef::of::<Int64>(
                "pid",
                None,
                "Process id in the init pid namespace; NULL where unknown.",
            ),
            ColumnDef::of::<Text>(
                "process",
                None,
                "Process name as the kernel keeps it (at most 15 bytes).",
            ),
            ColumnDef::of::<Text>("exe", None, "Path of the executable."),
            ColumnDef::of::<Text>(
                "cgroup",
                None,
                "Path of the process's cgroup v2 from the root of the hierarchy.",
            ),
            ColumnDef::of::<Text>(
                "container_id",
                None,
                "Container id, where the cgroup path tells it.",
            ),
            ColumnDef::of::<Text>("pod", None, "Kubernetes pod; NULL where unknown."),
            ColumnDef::of::<Text>(
                "namespace",
                None,
                "Kubernetes namespace; NULL where unknown.",
            ),
            ColumnDef::of::<Text>("workload", None, "Kubernetes workload; NULL where unknown."),
            ColumnDef::of::<Text>("service", None, "Name of the service; NULL where unknown."),
        ]
    }

    fn new() -> Self {
        Self {
            node: Text::new(),
            pid: Int64::new(),
            texts: std::array::from_fn(|_| Text::new()),
        }
    }

    fn append(&mut self, value: &Identity) -> usize {
        let Identity { node, process } = value;
        let mut bytes = self.node.append(&Some(Arc::clone(node)));
        let unknown = Process::default();
        let Process {
            pid: _,
            name,
            exe,
            cgroup,
            container_id,
            pod,
            namespace,
            workload,
            service,
        } = process.as_deref().unwrap_or(&unknown);
        bytes += self
            .pid
            .append(&process.as_ref().map(|process| process.pid));
        let texts = [
            name,
            exe,
            cgroup,
            container_id,
            pod,
            namespace,
            workload,
            service,
        ];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            bytes += column.append(text);
        }
        bytes
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        let mut arrays = vec![self.node.finish(), self.pid.finish()];
        arrays.extend(self.texts.iter_mut().map(Text::finish));
        arrays
    }

    fn snapshot(&self, wanted: &[bool]) -> Vec<Option<ArrayRef>> {
        let is_wanted = |index: usize| wanted.get(index).copied().unwrap_or(false);
        let mut arrays = vec![
            is_wanted(0).then(|| self.node.snapshot()),
            is_wanted(1).then(|| self.pid.snapshot()),
        ];
        arrays.extend(
            self.texts
                .iter()
                .enumerate()
                .map(|(index, text)| is_wanted(index + 2).then(|| text.snapshot())),
        );
        arrays
    }
}

/// Builder of the column of [`NodeIdentity`].
pub struct NodeColumns {
    node: Text,
}

impl ColumnGroup for NodeColumns {
    type Value = NodeIdentity;

    fn columns() -> Vec<ColumnDef> {
        vec![NODE]
    }

    fn new() -> Self {
        Self { node: Text::new() }
    }

    fn append(&mut self, value: &NodeIdentity) -> usize {
        self.node.append(&Some(Arc::clone(&value.node)))
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        vec![self.node.finish()]
    }

    fn snapshot(&self, wanted: &[bool]) -> Vec<Option<ArrayRef>> {
        vec![
            wanted
                .first()
                .copied()
                .unwrap_or(false)
                .then(|| self.node.snapshot()),
        ]
    }
}
