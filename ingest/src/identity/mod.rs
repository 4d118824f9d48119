//! Who a process is: from the names of its cgroup, the files of the node and rules to container, pod and service.
//!
//! ```text
//!   cgroup path -> Placement (container id, pod uid, unit) --NodeFiles--> Group (names, pod, namespace, workload)
//!   Group + process, executable, ports --ServiceRule, else by habit--> service
//! ```
//!
//! It asks no API: everything is in names and in small files of this node. It knows nothing of sockets and packets.

mod cgroup_path;
mod glob;
mod group;
mod node;
mod rules;
mod service;
mod unit;
mod workload;

pub use rules::{Attribute, RuleError, ServiceRule};

pub(crate) use group::Group;
pub(crate) use node::NodeFiles;
pub(crate) use service::{Program, service_of};
