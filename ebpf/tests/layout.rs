//! The structures of `events.rs` and those of the compiled object have the same layout, member by member.

use std::collections::HashMap;
use std::mem::offset_of;

use weir_ebpf::events::{
    CaptureSettings, CgroupEvent, Endpoints, ExecEvent, ExitEvent, ForkEvent, Owner, PayloadEvent,
    ReleaseEvent, Tally, TcpEvent, UdpCounters, UdpEvent, UdpKey,
};

/// Just enough of the BTF format (Linux, Documentation/bpf/btf.rst) to read the members of structures.
fn structures(object: &[u8]) -> HashMap<String, (u32, HashMap<String, u32>)> {
    let word = |bytes: &[u8], at: usize| {
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    };
    let start = object
        .windows(4)
        .position(|bytes| bytes == [0x9f, 0xeb, 0x01, 0x00])
        .expect("the object has BTF");
    let btf = &object[start..];
    let header_len = word(btf, 4) as usize;
    let (types_at, types_len) = (word(btf, 8) as usize, word(btf, 12) as usize);
    let strings = &btf[header_len + word(btf, 16) as usize..];
    let name = |offset: u32| {
        let bytes = &strings[offset as usize..];
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .expect("strings end with 0");
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    let types = &btf[header_len + types_at..header_len + types_at + types_len];
    let mut found = HashMap::new();
    let mut at = 0;
    while at < types.len() {
        let info = word(types, at + 4);
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        let extra = match kind {
            1 | 14 | 17 => 4, // int, var, decl_tag
            3 => 12,          // array
            // struct, union, datasec, enum64; enum, func_proto
            4 | 5 | 15 | 19 => count * 12,
            6 | 13 => count * 8,
            _ => 0,
        };
        if kind == 4 {
            let members = (0..count)
                .map(|index| {
                    let member = at + 12 + index * 12;
                    (
                        name(word(types, member)),
                        (word(types, member + 8) & 0x00ff_ffff) / 8,
                    )
                })
                .collect();
            found.insert(name(word(types, at)), (word(types, at + 8), members));
        }
        at += 12 + extra;
    }
    found
}

macro_rules! same_layout {
    ($structures:expr, $name:literal, $Rust:ty, $($member:ident),+ $(,)?) => {{
        let (size, members) = &$structures[$name];
        assert_eq!(*size as usize, size_of::<$Rust>(), "size of {}", $name);
        $(assert_eq!(members[stringify!($member)] as usize, offset_of!($Rust, $member), "{}.{}", $name, stringify!($member));)+
    }};
}

#[test]
fn the_rust_structures_mirror_those_of_the_object() {
    let object = std::fs::read(env!("WEIR_BPF_OBJECT")).expect("the build script made the object");
    let structures = structures(&object);
    same_layout!(
        structures, "owner", Owner, start_ns, cgroup_id, pid, exec_id, comm
    );
    same_layout!(structures, "endpoints", Endpoints, netns);
    same_layout!(
        structures,
        "payload_event",
        PayloadEvent,
        time_ns,
        cookie,
        owner,
        endpoints,
        seq,
        ack,
        payload_len,
        captured,
        direction,
        protocol,
        tcp_flags,
        role
    );
    same_layout!(
        structures,
        "tcp_event",
        TcpEvent,
        role,
        tcp_flags,
        old_state,
        state,
        time_ns,
        cookie,
        owner,
        endpoints,
        start_ns,
        connect_ns,
        bytes_sent,
        bytes_received,
        packets_sent,
        packets_received,
        retransmits,
        rtt_us,
        rtt_min_us,
        error,
        snd_nxt,
        rcv_nxt
    );
    same_layout!(structures, "udp_key", UdpKey, cookie, endpoints);
    same_layout!(
        structures,
        "udp_counters",
        UdpCounters,
        start_ns,
        last_ns,
        bytes_sent,
        bytes_received,
        packets_sent,
        packets_received,
        owner,
        first_direction
    );
    same_layout!(structures, "udp_event", UdpEvent, time_ns, key);
    same_layout!(structures, "release_event", ReleaseEvent, time_ns, cookie);
    same_layout!(structures, "exec_event", ExecEvent, time_ns, process);
    same_layout!(structures, "exit_event", ExitEvent, time_ns, process);
    same_layout!(
        structures,
        "fork_event",
        ForkEvent,
        parent_pid,
        time_ns,
        process,
        parent_start_ns,
        parent_exec_id
    );
    same_layout!(structures, "cgroup_event", CgroupEvent, time_ns, id);
    same_layout!(
        structures,
        "capture_settings",
        CaptureSettings,
        generation,
        message_prefix,
        protocols,
        checks,
        capture_all,
        tell_cgroups,
        reserved
    );
    same_layout!(structures, "tally", Tally, events, bytes);
}
