//! Who a row is about: the columns that every table begins with after `time`.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use hashbrown::HashMap;

use super::column::{Column as _, Int64, Text};
use super::dictionary::Dictionary;
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
    node: NodeColumns,
    pid: Int64,
    texts: [Dictionary; 8],
    /// Processes of this batch with the keys of their texts, by their address. Holding a process keeps its address from
    /// being used again.
    known: HashMap<usize, (Arc<Process>, Keys), AddressHash>,
}

/// Keys of the texts of a process.
type Keys = [Option<i32>; 8];

/// Bytes that a process takes while it is known.
const KNOWN_BYTES: usize = size_of::<(usize, (Arc<Process>, Keys))>();

/// Hashes addresses of memory, which nobody outside chooses.
type AddressHash = BuildHasherDefault<AddressHasher>;

#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only addresses are hashed");
    }

    fn write_usize(&mut self, address: usize) {
        // Multiplying carries all bits to the upper ones; the table looks at the lower ones too.
        self.0 = (address as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl IdentityColumns {
    /// The keys of a process's texts, and the bytes added by those that are new.
    fn keys(&mut self, process: &Process) -> (Keys, usize) {
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
        } = process;
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
        let mut keys = [None; 8];
        let mut bytes = 0;
        for ((key, column), text) in keys.iter_mut().zip(&mut self.texts).zip(texts) {
            let (found, added) = column.key(text.as_deref());
            *key = found;
            bytes += added;
        }
        (keys, bytes)
    }
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
            node: NodeColumns::new(),
            pid: Int64::new(),
            texts: std::array::from_fn(|_| Dictionary::new()),
            known: HashMap::default(),
        }
    }

    fn append(&mut self, value: &Identity) -> usize {
        let Identity { node, process } = value;
        let mut bytes = self.node.append_node(node);
        bytes += self
            .pid
            .append(&process.as_ref().map(|process| process.pid));
        let keys = match process {
            None => [None; 8],
            Some(process) => {
                let address = Arc::as_ptr(process).addr();
                if let Some((_, keys)) = self.known.get(&address) {
                    *keys
                } else {
                    let (keys, added) = self.keys(process);
                    self.known.insert(address, (Arc::clone(process), keys));
                    bytes += added + KNOWN_BYTES;
                    keys
                }
            }
        };
        for (column, key) in self.texts.iter_mut().zip(keys) {
            bytes += column.append_key(key);
        }
        bytes
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        self.known.clear();
        let mut arrays = self.node.finish();
        arrays.push(self.pid.finish());
        arrays.extend(self.texts.iter_mut().map(Dictionary::finish));
        arrays
    }

    fn snapshot(&self, wanted: &[bool]) -> Vec<Option<ArrayRef>> {
        let is_wanted = |index: usize| wanted.get(index).copied().unwrap_or(false);
        let mut arrays = vec![
            is_wanted(0).then(|| self.node.names.snapshot()),
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
    names: Dictionary,
    /// The node of the row before with its key: nearly always the same.
    last: Option<(Arc<str>, Option<i32>)>,
}

impl NodeColumns {
    fn append_node(&mut self, node: &Arc<str>) -> usize {
        if let Some((last, key)) = &self.last
            && Arc::ptr_eq(node, last)
        {
            return self.names.append_key(*key);
        }
        let (key, bytes) = self.names.key(Some(node));
        self.last = Some((Arc::clone(node), key));
        bytes + self.names.append_key(key)
    }
}

impl ColumnGroup for NodeColumns {
    type Value = NodeIdentity;

    fn columns() -> Vec<ColumnDef> {
        vec![NODE]
    }

    fn new() -> Self {
        Self {
            names: Dictionary::new(),
            last: None,
        }
    }

    fn append(&mut self, value: &NodeIdentity) -> usize {
        self.append_node(&value.node)
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        self.last = None;
        vec![self.names.finish()]
    }

    fn snapshot(&self, wanted: &[bool]) -> Vec<Option<ArrayRef>> {
        let is_wanted = wanted.first().copied().unwrap_or(false);
        vec![is_wanted.then(|| self.names.snapshot())]
    }
}
