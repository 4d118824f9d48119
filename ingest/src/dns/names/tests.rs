use std::net::SocketAddr;

use weir_storage::table::column::DnsAnswer;

use super::super::{Flags, Outcome, Question, Transport};
use super::*;

const SECOND: Nanos = NANOS_PER_SECOND;
const FIRST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const SECOND_ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

/// An answered lookup of `qname` (of nothing, for "") with these answers: name, TTL, type, data.
fn lookup(qname: &str, answers: &[(&str, i64, &str, &str)]) -> Lookup<()> {
    Lookup {
        key: (),
        time: 0,
        latency_ns: None,
        client: SocketAddr::from(([10, 0, 0, 1], 4_000)),
        server: SocketAddr::from(([10, 0, 0, 2], 53)),
        transport: Transport::Udp,
        id: 1,
        question: (!qname.is_empty()).then(|| Question {
            name: qname.into(),
            qtype: 1,
            class: 1,
        }),
        rcode: Some(0),
        answers: Some(
            answers
                .iter()
                .map(|(name, ttl, word, data)| DnsAnswer {
                    name: (*name).into(),
                    r#type: (*word).into(),
                    ttl: *ttl,
                    data: (*data).into(),
                })
                .collect(),
        ),
        flags: Flags(0x8180),
        outcome: Outcome::Ok,
    }
}

fn name_of(names: &AddressNames<u8>, owner: u8, address: IpAddr, now: Nanos) -> Option<String> {
    names
        .lookup(&owner, address, now)
        .map(|name| name.to_string())
}

#[test]
fn an_address_behind_aliases_gets_the_name_that_was_asked_for() {
    let mut names = AddressNames::new(10);
    let answers = [
        ("edge.example", 300, "A", "192.0.2.1"),
        ("www.example", 300, "CNAME", "CDN.example"),
        ("cdn.example", 300, "CNAME", "edge.example"),
        ("other.example", 300, "A", "192.0.2.2"),
    ];
    names.insert(&1, &lookup("www.example", &answers), 0);
    assert_eq!(
        name_of(&names, 1, FIRST, SECOND).as_deref(),
        Some("www.example")
    );
    assert_eq!(
        name_of(&names, 1, SECOND_ADDRESS, SECOND),
        None,
        "nobody asked for it"
    );
    assert_eq!(
        name_of(&names, 2, FIRST, SECOND),
        None,
        "another owner asked"
    );
}

#[test]
fn a_circle_of_aliases_ends() {
    let mut names = AddressNames::new(10);
    let answers = [
        ("a.example", 300, "CNAME", "b.example"),
        ("b.example", 300, "CNAME", "a.example"),
        ("b.example", 300, "A", "192.0.2.1"),
    ];
    names.insert(&1, &lookup("a.example", &answers), 0);
    assert_eq!(name_of(&names, 1, FIRST, 0).as_deref(), Some("a.example"));
}

#[test]
fn an_announcement_names_the_addresses_of_its_records() {
    let mut names = AddressNames::new(10);
    names.insert(&1, &lookup("", &[("host.local", 120, "A", "192.0.2.1")]), 0);
    assert_eq!(name_of(&names, 1, FIRST, 0).as_deref(), Some("host.local"));
}

#[test]
fn a_name_lasts_for_its_time_to_live_but_a_minute_at_least() {
    let mut names = AddressNames::new(10);
    names.insert(
        &1,
        &lookup("a.example", &[("a.example", 0, "A", "192.0.2.1")]),
        0,
    );
    names.insert(
        &1,
        &lookup("b.example", &[("b.example", 300, "A", "192.0.2.2")]),
        0,
    );
    assert!(name_of(&names, 1, FIRST, 60 * SECOND - 1).is_some());
    assert!(name_of(&names, 1, FIRST, 60 * SECOND).is_none());
    assert!(name_of(&names, 1, SECOND_ADDRESS, 300 * SECOND - 1).is_some());
    assert!(name_of(&names, 1, SECOND_ADDRESS, 300 * SECOND).is_none());
}

#[test]
fn the_newest_answer_counts_and_the_oldest_entry_gives_way() {
    let mut names = AddressNames::new(1);
    names.insert(
        &1,
        &lookup("a.example", &[("a.example", 300, "A", "192.0.2.1")]),
        0,
    );
    names.insert(
        &1,
        &lookup("b.example", &[("b.example", 300, "A", "192.0.2.1")]),
        1,
    );
    assert_eq!(name_of(&names, 1, FIRST, 2).as_deref(), Some("b.example"));
    names.insert(
        &1,
        &lookup("c.example", &[("c.example", 300, "A", "192.0.2.2")]),
        2,
    );
    assert_eq!(name_of(&names, 1, FIRST, 2), None);
}
