#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECOND: Nanos = 1_000_000_000;
const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.53:53";
const GROUP: &str = "224.0.0.251:5353";

fn passage(source: &str, destination: &str, time: Nanos) -> Passage<u32> {
    Passage {
        key: 7,
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        transport: Transport::Udp,
        first_byte: time,
        last_byte: time,
    }
}

/// A message with these questions (name and type), flags and answers (name, type, data).
fn message(
    id: u16,
    flags: u16,
    questions: &[(&str, u16)],
    answers: &[(&str, &[u8; 2], &[u8])],
) -> Message {
    let mut bytes = Vec::new();
    for number in [
        id,
        flags,
        questions.len() as u16,
        answers.len() as u16,
        0,
        0,
    ] {
        bytes.extend(number.to_be_bytes());
    }
    for (name, qtype) in questions {
        push_name(&mut bytes, name);
        bytes.extend(qtype.to_be_bytes());
        bytes.extend([0, 1]);
    }
    for (name, rtype, data) in answers {
        push_name(&mut bytes, name);
        bytes.extend(*rtype);
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(*data);
    }
    Message::parse(&bytes, bytes.len() as u32).unwrap()
}

fn push_name(bytes: &mut Vec<u8>, name: &str) {
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
}

fn query(id: u16, name: &str) -> Message {
    message(id, 0x0100, &[(name, 1)], &[])
}

fn response(id: u16, name: &str) -> Message {
    message(
        id,
        0x8180,
        &[(name, 1)],
        &[(name, b"\0\x01", &[192, 0, 2, 1])],
    )
}

fn matcher() -> Matcher<u32> {
    Matcher::new(Settings::default())
}

/// What `messages` (source, destination, time, message) make, up to the end of the capture.
fn lookups(
    matcher: &mut Matcher<u32>,
    messages: Vec<(&str, &str, Nanos, Message)>,
) -> Vec<Lookup<u32>> {
    let mut out = Vec::new();
    for (source, destination, time, message) in messages {
        matcher.message(passage(source, destination, time), message, &mut out);
    }
    matcher.finish(&mut out);
    out
}

#[test]
fn a_query_and_its_response_are_one_lookup() {
    let mut matcher = matcher();
    let seen = lookups(
        &mut matcher,
        vec![
            (CLIENT, SERVER, SECOND, query(1, "example.com")),
            (SERVER, CLIENT, SECOND + 30, response(1, "example.com")),
        ],
    );
    assert_eq!(seen.len(), 1);
    let lookup = &seen[0];
    assert_eq!(
        (lookup.time, lookup.latency_ns, lookup.outcome),
        (SECOND, Some(30), Outcome::Ok)
    );
    assert_eq!(
        (lookup.client.to_string(), lookup.server.to_string()),
        (CLIENT.into(), SERVER.into())
    );
    assert_eq!(lookup.rcode, Some(0));
    assert_eq!(lookup.answers.as_ref().map(Vec::len), Some(1));
    assert_eq!(matcher.counters, Counters::default());
}

#[test]
fn a_repeated_query_is_one_lookup_with_the_latency_from_the_first() {
    let seen = lookups(
        &mut matcher(),
        vec![
            (CLIENT, SERVER, 0, query(1, "example.com")),
            (CLIENT, SERVER, SECOND, query(1, "example.com")),
            (SERVER, CLIENT, SECOND + 10, response(1, "example.com")),
        ],
    );
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].latency_ns, Some(SECOND + 10));
    assert_eq!(seen[0].retransmits, Some(1));
}

#[test]
fn a_query_waits_since_it_was_sent_last() {
    let seen = lookups(
        &mut matcher(),
        vec![
            (CLIENT, SERVER, 0, query(1, "example.com")),
            (CLIENT, SERVER, 6 * SECOND, query(1, "example.com")),
            (CLIENT, SERVER, 12 * SECOND, query(1, "example.com")),
            (SERVER, CLIENT, 18 * SECOND, response(1, "example.com")),
        ],
    );
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].outcome, seen[0].latency_ns, seen[0].retransmits),
        (Outcome::Ok, Some(18 * SECOND), Some(2))
    );
}

#[test]
fn a_query_that_is_sent_for_ever_is_given_up_now_and_then() {
    let sent = (0..20).map(|number| (CLIENT, SERVER, number * 5 * SECOND, query(1, "a.example")));
    let seen = lookups(&mut matcher(), sent.collect());
    let rows: Vec<_> = seen
        .iter()
        .map(|lookup| (lookup.time / SECOND, lookup.outcome, lookup.retransmits))
        .collect();
    assert_eq!(
        rows,
        [
            (0, Outcome::Timeout, Some(11)),
            (60, Outcome::Unanswered, Some(7))
        ]
    );
}

#[test]
fn each_question_of_a_message_is_a_lookup_with_its_answers() {
    let mut matcher = matcher();
    let questions = [("a.example", 1), ("b.example", 1), ("c.example", 1)];
    let answers: [(&str, &[u8; 2], &[u8]); 2] = [
        ("b.example", b"\0\x01", &[192, 0, 2, 2]),
        ("a.example", b"\0\x01", &[192, 0, 2, 1]),
    ];
    let seen = lookups(
        &mut matcher,
        vec![
            (CLIENT, SERVER, 0, message(1, 0x0100, &questions, &[])),
            (SERVER, CLIENT, 1, message(1, 0x8180, &questions, &answers)),
            (CLIENT, SERVER, 2, message(2, 0x0100, &questions, &[])),
            (SERVER, CLIENT, 3, message(2, 0x8181, &[], &[])),
            (SERVER, CLIENT, 4, message(3, 0x8180, &questions, &answers)),
        ],
    );
    let rows: Vec<_> = seen
        .iter()
        .map(|lookup| {
            let answers = lookup.answers.iter().flatten();
            let data: Vec<&str> = answers.map(|answer| answer.data.as_str()).collect();
            let name = lookup.question.as_ref().map(|question| &*question.name);
            (lookup.id, lookup.outcome, name.unwrap_or_default(), data)
        })
        .collect();
    let expected: Vec<_> = [
        (1, Outcome::Ok, "a.example", vec!["192.0.2.1"]),
        (1, Outcome::Ok, "b.example", vec!["192.0.2.2"]),
        (1, Outcome::Ok, "c.example", vec![]),
        (2, Outcome::Ok, "a.example", vec![]),
        (2, Outcome::Ok, "b.example", vec![]),
        (2, Outcome::Ok, "c.example", vec![]),
        (3, Outcome::NoQuery, "a.example", vec!["192.0.2.1"]),
        (3, Outcome::NoQuery, "b.example", vec!["192.0.2.2"]),
        (3, Outcome::NoQuery, "c.example", vec![]),
    ]
    .into();
    assert_eq!(rows, expected);
    assert_eq!(matcher.counters, Counters::default());
}

#[test]
fn an_update_is_told_by_its_query() {
    // Opcode 5: the zone, no prerequisite, one address to be added.
    let mut bytes = b"\0\x01\x28\0\0\x01\0\0\0\x01\0\0\x01z\0\0\x06\0\x01".to_vec();
    bytes.extend(b"\x01a\xC0\x0C\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01");
    let update = Message::parse(&bytes, bytes.len() as u32).unwrap();
    let seen = lookups(
        &mut matcher(),
        vec![
            (CLIENT, SERVER, 0, update),
            (SERVER, CLIENT, 1, message(1, 0xA800, &[("z", 6)], &[])),
        ],
    );
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].opcode, seen[0].outcome), (5, Outcome::Ok));
    assert_eq!(seen[0].updates, ["update add a.z 60 A 192.0.2.1"]);
}

#[test]
fn the_same_identifier_for_two_names_is_two_lookups() {
    let seen = lookups(
        &mut matcher(),
        vec![
            (CLIENT, SERVER, 0, query(1, "a.example")),
            (CLIENT, SERVER, 1, query(1, "b.example")),
            (SERVER, CLIENT, 2, response(1, "b.example")),
            (SERVER, CLIENT, 3, response(1, "a.example")),
        ],
    );
    let names: Vec<_> = seen
        .iter()
        .map(|lookup| lookup.question.as_ref().unwrap().name.to_string())
        .collect();
    assert_eq!(names, ["b.example", "a.example"]);
    assert!(seen.iter().all(|lookup| lookup.outcome == Outcome::Ok));
}

#[test]
fn a_second_response_is_counted_and_makes_no_lookup() {
    let mut matcher = matcher();
    let seen = lookups(
        &mut matcher,
        vec![
            (CLIENT, SERVER, 0, query(1, "example.com")),
            (SERVER, CLIENT, 1, response(1, "example.com")),
            (SERVER, CLIENT, 2, response(1, "example.com")),
        ],
    );
    assert_eq!(seen.len(), 1);
    assert_eq!(matcher.counters.duplicate_responses, 1);
}

#[test]
fn a_query_times_out_at_its_time_and_a_late_response_is_counted() {
    let mut matcher = matcher();
    let seen = lookups(
        &mut matcher,
        vec![
            (CLIENT, SERVER, SECOND, query(1, "example.com")),
            (SERVER, CLIENT, 11 * SECOND, response(1, "example.com")),
        ],
    );
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].time, seen[0].outcome, seen[0].rcode),
        (SECOND, Outcome::Timeout, None)
    );
    assert_eq!(matcher.counters.late_responses, 1);
}

#[test]
fn expire_gives_up_only_what_has_waited_long_enough() {
    let mut matcher = matcher();
    let mut out = Vec::new();
    matcher.message(passage(CLIENT, SERVER, 0), query(1, "a.example"), &mut out);
    matcher.message(
        passage(CLIENT, SERVER, SECOND),
        query(2, "b.example"),
        &mut out,
    );
    matcher.expire(10 * SECOND - 1, &mut out);
    assert_eq!(out.len(), 0);
    matcher.expire(10 * SECOND, &mut out);
    assert_eq!(out.len(), 1);
    matcher.finish(&mut out);
    assert_eq!(out[1].outcome, Outcome::Unanswered);
}

#[test]
fn a_response_to_nothing_is_a_lookup_of_its_receiver() {
    let mut matcher = matcher();
    let seen = lookups(
        &mut matcher,
        vec![
            (SERVER, CLIENT, 5, response(1, "example.com")),
            (SERVER, CLIENT, 6, response(1, "example.com")),
        ],
    );
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].time, seen[0].outcome, seen[0].latency_ns),
        (5, Outcome::NoQuery, None)
    );
    assert_eq!(seen[0].client.to_string(), CLIENT);
    assert_eq!(matcher.counters.duplicate_responses, 1);
}

#[test]
fn a_response_without_question_belongs_to_the_query_with_its_identifier() {
    let seen = lookups(
        &mut matcher(),
        vec![
            (CLIENT, SERVER, 0, query(1, "example.com")),
            (CLIENT, SERVER, 1, query(2, "example.org")),
            (SERVER, CLIENT, 2, message(2, 0x8181, &[], &[])),
        ],
    );
    assert_eq!(
        seen[0].question.as_ref().map(|question| &*question.name),
        Some("example.org")
    );
    assert_eq!((seen[0].outcome, seen[0].rcode), (Outcome::Ok, Some(1)));
    assert_eq!(seen[1].outcome, Outcome::Unanswered);
}

#[test]
fn a_query_that_is_no_dns_is_an_error_with_the_code_it_got() {
    // One question announced, none there.
    let broken = Message::parse(b"\0\x09\x01\0\0\x01\0\0\0\0\0\0", 12).unwrap();
    let seen = lookups(
        &mut matcher(),
        vec![
            (CLIENT, SERVER, 0, broken.clone()),
            (SERVER, CLIENT, 1, message(9, 0x8181, &[], &[])),
            (CLIENT, SERVER, 2, broken),
        ],
    );
    let outcomes: Vec<_> = seen
        .iter()
        .map(|lookup| (lookup.outcome, lookup.rcode))
        .collect();
    assert_eq!(
        outcomes,
        [(Outcome::Error, Some(1)), (Outcome::Error, None)]
    );
}

#[test]
fn the_oldest_query_gives_way_when_too_many_wait() {
    let mut matcher = Matcher::new(Settings {
        max_pending: 2,
        ..Settings::default()
    });
    let mut out = Vec::new();
    for id in 0..3 {
        matcher.message(
            passage(CLIENT, SERVER, i64::from(id)),
            query(id, "example.com"),
            &mut out,
        );
    }
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].id, out[0].outcome), (0, Outcome::Unanswered));
    assert_eq!(matcher.counters.evicted_queries, 1);
}

#[test]
fn a_zone_transfer_is_one_lookup() {
    let mut matcher = matcher();
    let mut out = Vec::new();
    let over_tcp = |source, destination, time| Passage {
        transport: Transport::Tcp,
        ..passage(source, destination, time)
    };
    matcher.message(
        over_tcp(CLIENT, SERVER, 0),
        message(1, 0, &[("example.com", 252)], &[]),
        &mut out,
    );
    matcher.message(
        over_tcp(SERVER, CLIENT, 1),
        message(1, 0x8400, &[("example.com", 252)], &[]),
        &mut out,
    );
    matcher.message(
        over_tcp(SERVER, CLIENT, 2),
        message(1, 0x8400, &[], &[]),
        &mut out,
    );
    assert_eq!(out.len(), 1);
    assert_eq!(matcher.counters.continuations, 1);
    assert_eq!(matcher.counters.duplicate_responses, 0);
}

#[test]
fn a_multicast_query_is_answered_by_whoever_else_answers_first() {
    let asker = "10.0.0.1:5353";
    let question = || {
        message(
            0,
            0,
            &[("_ipp._tcp.local", 12), ("_ipps._tcp.local", 12)],
            &[],
        )
    };
    let answer = || message(0, 0x8400, &[], &[("_ipps._tcp.local", b"\0\x0C", b"\0")]);
    let mut matcher = matcher();
    let seen = lookups(
        &mut matcher,
        vec![
            (asker, GROUP, 0, question()),
            (asker, GROUP, SECOND, question()),
            (asker, GROUP, SECOND + 1, answer()),
            ("10.0.0.2:5353", GROUP, SECOND + 2, answer()),
            ("10.0.0.2:5353", GROUP, SECOND + 3, answer()),
            ("10.0.0.3:5353", GROUP, SECOND + 4, answer()),
        ],
    );
    let outcomes: Vec<_> = seen
        .iter()
        .map(|lookup| {
            (
                lookup.outcome,
                lookup.client.to_string(),
                lookup.server.to_string(),
            )
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            (Outcome::NoQuery, GROUP.into(), asker.into()),
            (Outcome::Ok, asker.into(), "10.0.0.2:5353".into()),
            (Outcome::NoQuery, GROUP.into(), "10.0.0.3:5353".into()),
            (Outcome::Unanswered, asker.into(), GROUP.into()),
        ]
    );
    assert_eq!(seen[1].latency_ns, Some(SECOND + 2));
    let names: Vec<_> = seen
        .iter()
        .filter_map(|lookup| Some((&*lookup.question.as_ref()?.name, lookup.retransmits)))
        .collect();
    assert_eq!(
        names,
        [("_ipps._tcp.local", Some(1)), ("_ipp._tcp.local", Some(1))]
    );
    assert_eq!(matcher.counters.duplicate_responses, 1);
}

#[test]
fn a_multicast_query_is_answered_by_unicast_to_its_asker_only() {
    let question = || message(3, 0, &[("host.local", 1)], &[]);
    let answer = || {
        message(
            3,
            0x8000,
            &[("host.local", 1)],
            &[("host.local", b"\0\x01", &[10, 0, 0, 9])],
        )
    };
    let seen = lookups(
        &mut matcher(),
        vec![
            ("10.0.0.1:50001", "224.0.0.252:5355", 0, question()),
            ("10.0.0.2:50002", "224.0.0.252:5355", 1, question()),
            ("10.0.0.9:5355", "10.0.0.2:50002", 2, answer()),
        ],
    );
    assert_eq!(seen[0].outcome, Outcome::Ok);
    assert_eq!(seen[0].client.to_string(), "10.0.0.2:50002");
    assert_eq!(
        (seen[1].outcome, seen[1].client.to_string()),
        (Outcome::Unanswered, "10.0.0.1:50001".into())
    );
}

/// What the rules say for queries and responses with identifiers of their own, one identifier at a time.
fn expected(events: &[(Nanos, u16, bool)]) -> Vec<(u16, Outcome, Option<i64>)> {
    let timeout = Settings::default().timeout_ns;
    let linger = timeout * LINGER_TIMEOUTS;
    let mut by_id: BTreeMap<u16, Vec<(Nanos, bool)>> = BTreeMap::new();
    for (time, id, is_response) in events {
        by_id.entry(*id).or_default().push((*time, *is_response));
    }
    // Time goes on for all identifiers with every message.
    let next_message = |time: Nanos| events.iter().map(|event| event.0).find(|&at| at >= time);
    let mut rows = Vec::new();
    for (id, events) in by_id {
        // When it was sent first and last.
        let mut waiting_since: Option<(Nanos, Nanos)> = None;
        let mut known_until: Option<Nanos> = None;
        for (time, is_response) in events {
            if let Some((_, last)) = waiting_since
                && last + timeout <= time
            {
                rows.push((id, Outcome::Timeout, None));
                waiting_since = None;
                known_until = next_message(last + timeout).map(|noticed| noticed + linger);
            }
            match (is_response, waiting_since) {
                (false, Some((since, _))) if time - since < timeout * LONGEST_TIMEOUTS => {
                    waiting_since = Some((since, time));
                }
                (false, earlier) => {
                    if earlier.is_some() {
                        rows.push((id, Outcome::Timeout, None));
                    }
                    waiting_since = Some((time, time));
                    known_until = None;
                }
                (true, Some((since, _))) => {
                    rows.push((id, Outcome::Ok, Some(time - since)));
                    waiting_since = None;
                    known_until = Some(time + linger);
                }
                (true, None) => {
                    if known_until.is_none_or(|until| until <= time) {
                        rows.push((id, Outcome::NoQuery, None));
                        known_until = Some(time + linger);
                    }
                }
            }
        }
        if let Some((_, last)) = waiting_since {
            let is_over = next_message(last + timeout).is_some();
            let outcome = if is_over {
                Outcome::Timeout
            } else {
                Outcome::Unanswered
            };
            rows.push((id, outcome, None));
        }
    }
    rows.sort_by_key(|(id, outcome, latency)| (*id, outcome.word(), *latency));
    rows
}

proptest! {
    #[test]
    fn lookups_are_those_of_the_rules(
        steps in proptest::collection::vec((0..8 * SECOND, 0..4u16, any::<bool>()), 0..60),
    ) {
        let mut time = 0;
        let mut events = Vec::new();
        for (step, id, is_response) in steps {
            time += step;
            events.push((time, id, is_response));
        }
        let mut matcher = matcher();
        let messages = events.iter().map(|&(time, id, is_response)| {
            if is_response {
                (SERVER, CLIENT, time, response(id, "example.com"))
            } else {
                (CLIENT, SERVER, time, query(id, "example.com"))
            }
        });
        let mut seen: Vec<_> = lookups(&mut matcher, messages.collect())
            .into_iter()
            .map(|lookup| (lookup.id, lookup.outcome, lookup.latency_ns))
            .collect();
        seen.sort_by_key(|(id, outcome, latency)| (*id, outcome.word(), *latency));
        prop_assert_eq!(seen, expected(&events));
    }
}
