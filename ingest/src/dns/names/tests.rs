use std::net::SocketAddr;

use weir_storage::table::column::DnsAnswer;

use super::super::{Flags, Outcome, Question, Transport};
use super::*;

const SECOND: Nanos = NANOS_PER_SECOND;
const FIRST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const SECOND_ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

/// An answered lookup of `qname` (of nothing, for "") with these answers: name, TTL, type, data.
fn lookup(qname: &str, answers: &[(&str, i64, &'static str, &str)]) -> Lookup<()> {
    Lookup {
        key: (),
        time: 0,
        latency_ns: None,
        client: SocketAddr::from(([10, 0, 0, 1], 4_000)),
        server: SocketAddr::from(([10, 0, 0, 2], 53)),
        transport: Transport::Udp,
        id: 1,
        opcode: 0,
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
        updates: Vec::new(),
        flags: Flags(0x8180),
        edns: None,
        retransmits: Some(0),
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

/// Lets `owner` learn that `name` has these addresses, for five minutes.
fn learn(names: &mut AddressNames<u8>, owner: u8, name: &str, address: &str, now: Nanos) {
    names.insert(&owner, &lookup(name, &[(name, 300, "A", address)]), now);
}

#[test]
fn the_newest_answer_counts_and_the_oldest_entry_gives_way() {
    let mut names = AddressNames::new(1);
    learn(&mut names, 1, "a.example", "192.0.2.1", 0);
    learn(&mut names, 1, "b.example", "192.0.2.1", 1);
    assert_eq!(name_of(&names, 1, FIRST, 2).as_deref(), Some("b.example"));
    assert_eq!(names.evicted, 0);
    learn(&mut names, 1, "c.example", "192.0.2.2", 2);
    assert_eq!(name_of(&names, 1, FIRST, 2), None);
    assert_eq!(names.evicted, 1);
    learn(&mut names, 1, "d.example", "192.0.2.1", 1_000 * SECOND);
    assert_eq!(names.evicted, 1, "an expired name is no loss");
}

#[test]
fn a_later_answer_changes_nothing_for_what_was_before() {
    let mut names = AddressNames::new(10);
    learn(&mut names, 1, "a.example", "192.0.2.1", 10 * SECOND);
    learn(&mut names, 1, "b.example", "192.0.2.1", 20 * SECOND);
    learn(&mut names, 1, "a.example", "192.0.2.1", 30 * SECOND);
    let at = |second: i64| name_of(&names, 1, FIRST, second * SECOND);
    assert_eq!(at(9), None);
    assert_eq!(at(10).as_deref(), Some("a.example"));
    assert_eq!(at(29).as_deref(), Some("b.example"));
    assert_eq!(at(30).as_deref(), Some("a.example"));
    assert_eq!(at(329).as_deref(), Some("a.example"));
    assert_eq!(at(330), None);
}

#[test]
fn a_name_that_is_answered_again_goes_on() {
    let mut names = AddressNames::new(10);
    for now in [0, 200, 400] {
        learn(&mut names, 1, "a.example", "192.0.2.1", now * SECOND);
    }
    let at = |second: i64| name_of(&names, 1, FIRST, second * SECOND);
    assert!(at(0).is_some() && at(399).is_some() && at(699).is_some());
    assert_eq!(at(700), None);
}

#[test]
fn long_names_leave_room_for_fewer_addresses() {
    let mut names = AddressNames::new(10);
    let long = "x".repeat(63 * 4);
    for host in 0..10 {
        learn(&mut names, 1, &long, &format!("192.0.2.{host}"), host);
    }
    assert_eq!(names.evicted, 8);
}

#[test]
fn who_has_asked_is_known() {
    let mut names = AddressNames::new(10);
    learn(&mut names, 2, "a.example", "192.0.2.1", 0);
    assert!(names.has_asked(&2));
    assert!(!names.has_asked(&1) && !names.has_asked(&3));
}
