//! The list of the programs: what each is for, and what is missed without it.

use serde::Serialize;

use crate::program_info::ProgramInfo;

/// One program of the object.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its function in the object.
    pub name: &'static str,
    /// How it is loaded and attached.
    pub kind: Kind,
    /// Where it attaches, as the kernel names it.
    pub hook: &'static str,
    /// Whether there is no capture at all without it.
    pub required: bool,
    /// What stays empty or unknown without it.
    pub costs: &'static str,
    /// First kernel that has what it needs.
    pub since: &'static str,
}

/// How a program is loaded and attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `cgroup_skb`, packets that sockets receive.
    CgroupIngress,
    /// `cgroup_skb`, packets that sockets send.
    CgroupEgress,
    /// `cgroup_sock`.
    CgroupSock,
    /// `tp_btf`; the name of the tracepoint.
    Tracepoint(&'static str),
    /// `iter`; what it walks over.
    Iterator(&'static str),
}

impl Kind {
    /// The program type as the kernel names it.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::CgroupIngress | Self::CgroupEgress => "cgroup_skb",
            Self::CgroupSock => "cgroup_sock",
            Self::Tracepoint(_) => "tp_btf",
            Self::Iterator(_) => "iter",
        }
    }

    /// Whether it is attached to the cgroups that are captured.
    pub(crate) const fn is_at_cgroup(self) -> bool {
        match self {
            Self::CgroupIngress | Self::CgroupEgress | Self::CgroupSock => true,
            Self::Tracepoint(_) | Self::Iterator(_) => false,
        }
    }
}

/// Every program but [`READ_COUNTERS_BY_FILE`], in the order in which they are attached: who owns sockets first, packets
/// last.
pub const PROGRAMS: &[Program] = &[
    Program {
        name: "process_exit",
        kind: Kind::Tracepoint("sched_process_exit"),
        hook: "tp_btf/sched_process_exit",
        required: false,
        costs: "a server that hands its socket to a child and ends keeps its old pid in the rows",
        since: "5.5",
    },
    Program {
        name: "process_exec",
        kind: Kind::Tracepoint("sched_process_exec"),
        hook: "tp_btf/sched_process_exec",
        required: false,
        costs: "exe stays empty for programs that end within milliseconds",
        since: "5.5",
    },
    Program {
        name: "process_fork",
        kind: Kind::Tracepoint("sched_process_fork"),
        hook: "tp_btf/sched_process_fork",
        required: false,
        costs: "exe stays empty for children that end within milliseconds without executing a program of their own",
        since: "5.5",
    },
    Program {
        name: "cgroup_create",
        kind: Kind::Tracepoint("cgroup_mkdir"),
        hook: "tp_btf/cgroup_mkdir",
        required: false,
        costs: "new cgroups that a pattern means are captured up to a second later; cgroup, container_id and what follows from them stay empty for cgroups that are gone within milliseconds",
        since: "5.5",
    },
    Program {
        name: "socket_create",
        kind: Kind::CgroupSock,
        hook: "cgroup/sock_create",
        required: false,
        costs: "pid, process, exe, cgroup and container_id stay empty for UDP; TCP flows are not recorded",
        since: "5.11",
    },
    Program {
        name: "socket_release",
        kind: Kind::CgroupSock,
        hook: "cgroup/sock_release",
        required: false,
        costs: "UDP flows end when they have been idle for a while, not when their socket closes",
        since: "5.9",
    },
    Program {
        name: "tcp_state",
        kind: Kind::Tracepoint("inet_sock_set_state"),
        hook: "tp_btf/inet_sock_set_state",
        required: false,
        costs: "flows has no TCP rows; roles of TCP connections are guessed from their messages",
        since: "5.12",
    },
    Program {
        name: "packet_received",
        kind: Kind::CgroupIngress,
        hook: "cgroup_skb/ingress",
        required: true,
        costs: "nothing can be captured",
        since: "5.8",
    },
    Program {
        name: "packet_sent",
        kind: Kind::CgroupEgress,
        hook: "cgroup_skb/egress",
        required: true,
        costs: "nothing can be captured",
        since: "5.8",
    },
    Program {
        name: "find_sockets",
        kind: Kind::Iterator("task_file"),
        hook: "iter/task_file",
        required: false,
        costs: "sockets opened before the capture began have no process, and their TCP flows are not recorded",
        since: "5.12",
    },
    Program {
        name: "read_counters",
        kind: WALKS_OVER_SOCKETS,
        hook: "iter/bpf_sk_storage_map",
        required: false,
        costs: "a TCP connection shows in flows when it ends, not while it lives",
        since: "5.9",
    },
];

/// What `read_counters` walks over.
pub(crate) const WALKS_OVER_SOCKETS: Kind = Kind::Iterator("bpf_sk_storage_map");

/// What stands in for `read_counters` where the kernel refuses that: some let no program walk over a map. It looks at
/// every open file of the machine, and misses connections that no process holds any more until they end.
pub(crate) const READ_COUNTERS_BY_FILE: &Program = &Program {
    name: "read_counters_by_file",
    kind: Kind::Iterator("task_file"),
    hook: "iter/task_file",
    required: false,
    costs: "a TCP connection shows in flows when it ends, not while it lives",
    since: "5.12",
};

/// What became of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum Outcome {
    /// Loaded and attached.
    Attached,
    /// The kernel refused it; what it said.
    Refused(String),
    /// It was attached, and is no more; why.
    Detached(String),
}

impl Outcome {
    /// The word for it, and why where there is a reason.
    pub fn told(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Attached => ("attached", None),
            Self::Refused(reason) => ("refused", Some(reason)),
            Self::Detached(reason) => ("detached", Some(reason)),
        }
    }
}

/// A program and what became of it.
#[derive(Debug, Clone)]
pub struct ProgramStatus {
    /// The program.
    pub program: &'static Program,
    /// What became of it.
    pub outcome: Outcome,
    /// What the kernel tells about it, as it was when it was asked last.
    pub info: ProgramInfo,
}
