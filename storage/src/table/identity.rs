//! Who a row is about: the columns that every table begins with after `time`.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Int32Type, Int64Type};
use hashbrown::HashMap;

use super::column::{Int64, OFFSET_BYTES, Text};
use super::dictionary::{Dictionary, KEY_BYTES};
use super::{ColumnDef, ColumnGroup};

/// The process that a row is about, as far as it is known.
///
/// Shared by all its rows; a change (an exec, a late look-up) makes a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Process id (thread group id) in the init pid namespace.
    pub pid: i64,
    /// When it started, in nanoseconds of the kernel's clock; 0 where unknown. No column: it tells processes that had the
    /// same pid one after the other apart.
    pub start_ns: u64,
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
///
/// A row keeps the number of its process alone; the columns are made of that when a batch is finished, which is far
/// less work than looking up eight texts for each row.
pub struct IdentityColumns {
    node: NodeColumns,
    /// Number of each row's process, [`UNKNOWN`] where there is none.
    rows: Vec<u32>,
    /// Whether a row has no process.
    has_unknown: bool,
    /// The processes of this batch; the first has number 1.
    processes: Vec<Arc<Process>>,
    /// Numbers by the address of the process, which is nobody else's while `processes` holds it.
    numbers: HashMap<usize, u32, AddressHash>,
}

/// Stands for the process of a row that has none.
const UNKNOWN: u32 = 0;
/// Bytes of a row: its pid and the keys of its texts.
const ROW_BYTES: usize = size_of::<i64>() + TEXTS * KEY_BYTES;
/// How many texts a process has.
const TEXTS: usize = 8;

/// Hashes addresses of memory, which nobody outside chooses.
type AddressHash = BuildHasherDefault<AddressHasher>;

#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only addresses are hashed");
    }

    fn write_usize(&mut self, address: usize) {
        // Multiplying carries all bits to the upper half; the table looks at the lower half too.
        self.0 = (address as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Process {
    /// The texts, in the order of their columns.
    fn texts(&self) -> [Option<&str>; TEXTS] {
        let Self {
            pid: _,
            start_ns: _,
            name,
            exe,
            cgroup,
            container_id,
            pod,
            namespace,
            workload,
            service,
        } = self;
        [
            name,
            exe,
            cgroup,
            container_id,
            pod,
            namespace,
            workload,
            service,
        ]
        .map(Option::as_deref)
    }
}

impl IdentityColumns {
    /// The number of a process, and the bytes added if it is new.
    #[inline]
    fn number(&mut self, process: &Arc<Process>) -> (u32, usize) {
        let next = self.processes.len() as u32 + 1;
        let address = Arc::as_ptr(process).addr();
        let number = *self.numbers.entry(address).or_insert(next);
        if number != next {
            return (number, 0);
        }
        self.processes.push(Arc::clone(process));
        let texts = process.texts();
        let texts = texts.iter().flatten();
        (number, texts.map(|text| OFFSET_BYTES + text.len()).sum())
    }

    /// The values of a number for each row, of which nobody and then each process has one of these.
    fn numbers<T: ArrowPrimitiveType>(
        &self,
        of_processes: &[Option<T::Native>],
    ) -> PrimitiveArray<T> {
        let plain: Vec<T::Native> = of_processes
            .iter()
            .map(|it| it.unwrap_or_default())
            .collect();
        let values: Vec<T::Native> = self.rows.iter().map(|&row| plain[row as usize]).collect();
        let first = usize::from(!self.has_unknown);
        let nulls = of_processes[first..].contains(&None).then(|| {
            let is_known = |row: &u32| of_processes[*row as usize].is_some();
            self.rows.iter().map(is_known).collect::<NullBuffer>()
        });
        PrimitiveArray::new(values.into(), nulls)
    }

    fn pids(&self) -> ArrayRef {
        let pids = self.processes.iter().map(|process| Some(process.pid));
        let pids: Vec<Option<i64>> = std::iter::once(None).chain(pids).collect();
        Arc::new(self.numbers::<Int64Type>(&pids))
    }

    /// The column of the text at this place.
    fn texts(&self, place: usize) -> ArrayRef {
        let mut dictionary = Dictionary::new();
        let key = |process: &Arc<Process>| dictionary.key(process.texts()[place]).0;
        let keys = self.processes.iter().map(key);
        let keys: Vec<Option<i32>> = std::iter::once(None).chain(keys).collect();
        dictionary.finish_with(self.numbers::<Int32Type>(&keys))
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
            ColumnDef::of::<Text>(
                "exe",
                None,
                "Path of the executable; of a script, that of its interpreter.",
            ),
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
            ColumnDef::of::<Text>(
                "pod",
                None,
                "Kubernetes pod, where files of the node tell it.",
            ),
            ColumnDef::of::<Text>(
                "namespace",
                None,
                "Kubernetes namespace, where files of the node tell it.",
            ),
            ColumnDef::of::<Text>(
                "workload",
                None,
                "Kubernetes workload (deployment, stateful set, ...), by the pod's name.",
            ),
            ColumnDef::of::<Text>(
                "service",
                None,
                "Service: by a rule, else the systemd unit, the container, or executable and port.",
            ),
        ]
    }

    fn new() -> Self {
        Self {
            node: NodeColumns::new(),
            rows: Vec::new(),
            has_unknown: false,
            processes: Vec::new(),
            numbers: HashMap::default(),
        }
    }

    fn append(&mut self, value: &Identity) -> usize {
        let Identity { node, process } = value;
        let (number, added) = process
            .as_ref()
            .map_or((UNKNOWN, 0), |process| self.number(process));
        self.rows.push(number);
        self.has_unknown |= number == UNKNOWN;
        self.node.append_node(node) + added + ROW_BYTES
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        let mut arrays = self.node.finish();
        arrays.push(self.pids());
        arrays.extend((0..TEXTS).map(|place| self.texts(place)));
        self.rows.clear();
        self.has_unknown = false;
        self.processes.clear();
        self.numbers.clear();
        arrays
    }

    fn snapshot(&self, wanted: &[bool]) -> Vec<Option<ArrayRef>> {
        let is_wanted = |index: usize| wanted.get(index).copied().unwrap_or(false);
        let mut arrays = vec![
            is_wanted(0).then(|| self.node.names.snapshot()),
            is_wanted(1).then(|| self.pids()),
        ];
        arrays.extend((0..TEXTS).map(|place| is_wanted(place + 2).then(|| self.texts(place))));
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
