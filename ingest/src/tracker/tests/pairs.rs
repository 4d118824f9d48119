//! Whatever a capture loses, repeats, swaps or cuts: no row has the response to another request.

use std::collections::BTreeMap;

use proptest::collection::vec;

use super::*;

/// What happens to a packet on its way into a capture.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Captured,
    Lost,
    Twice,
    /// The next one is captured before it.
    Overtaken,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Captured),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        1 => Just(Fate::Overtaken),
    ]
}

/// A connection of which each response names its request by the status, and each request by the time it is sent.
#[derive(Debug, Clone)]
struct Plan {
    has_handshake: bool,
    /// Of each burst of requests: how many, and how many answers the client waits for.
    bursts: Vec<(usize, usize)>,
    /// Most bytes of a segment.
    segment_len: usize,
    /// Most bytes of a segment that the capture copies.
    captured_len: usize,
    /// Requests after whose responses the fates begin.
    calm: usize,
    /// From one packet to the next.
    pause: Nanos,
    fates: Vec<Fate>,
}

fn plan(most_at_once: usize) -> impl Strategy<Value = Plan> {
    let lens = prop_oneof![Just(2000_usize), 20..200_usize];
    // Shorter and longer than what is held back waits for.
    let pause = prop_oneof![3 => Just(MS), 1 => Just(30 * MS), 1 => Just(6 * SECOND)];
    (
        any::<bool>(),
        vec((1..=most_at_once, 0..=most_at_once), 1..8),
        lens.clone(),
        lens,
        pause,
        vec(fate(), 1..60),
    )
        .prop_map(
            |(has_handshake, bursts, segment_len, captured_len, pause, fates)| Plan {
                has_handshake,
                bursts,
                segment_len,
                captured_len,
                calm: 0,
                pause,
                fates,
            },
        )
}

struct Played {
    packets: Vec<Sent>,
    /// Numbers of requests and responses by the time of any of their packets.
    requests: BTreeMap<Nanos, usize>,
    responses: BTreeMap<Nanos, usize>,
}

fn play(plan: &Plan) -> Played {
    let mut talk = Talk::new(0, 100, u32::MAX - 700);
    if plan.has_handshake {
        talk.handshake();
    }
    let (mut asked, mut answered) = (0, 0);
    let mut calm_until = 0;
    let mut requests = BTreeMap::new();
    let mut responses = BTreeMap::new();
    let send = |talk: &mut Talk,
                from_client: bool,
                message: &str,
                number: usize,
                times: &mut BTreeMap<Nanos, usize>| {
        for segment in message.as_bytes().chunks(plan.segment_len) {
            times.insert(talk.time, number);
            talk.send(from_client, ACK, segment);
            talk.time += plan.pause - MS;
        }
        talk.send(!from_client, ACK, b"");
        talk.time += plan.pause - MS;
    };
    for &(count, answers) in &plan.bursts {
        for _ in 0..count {
            let request = if asked % 3 == 2 {
                format!(
                    "POST /path/{asked} HTTP/1.1\r\nHost: example.org\r\nContent-Length: 30\r\n\r\n{}",
                    "r".repeat(30)
                )
            } else {
                format!("GET /path/{asked} HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n")
            };
            send(&mut talk, true, &request, asked, &mut requests);
            asked += 1;
        }
        while answered < asked && (asked - answered > count - answers.min(count)) {
            let status = 400 + answered % 100;
            let response = if answered % 3 == 1 {
                format!(
                    "HTTP/1.1 {status} No\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n{}\r\n0\r\n\r\n",
                    "c".repeat(20)
                )
            } else {
                format!(
                    "HTTP/1.1 {status} No\r\nServer: s\r\nContent-Length: 50\r\n\r\n{}",
                    "b".repeat(50)
                )
            };
            send(&mut talk, false, &response, answered, &mut responses);
            answered += 1;
        }
        if answered <= plan.calm {
            calm_until = talk.time;
        }
    }
    let mut packets = Vec::new();
    let mut fates = plan.fates.iter().cycle();
    let mut overtaken = Vec::new();
    for mut packet in talk.packets {
        packet.payload.truncate(plan.captured_len);
        let fate = match fates.next() {
            Some(fate) if packet.time >= calm_until => *fate,
            _ => Fate::Captured,
        };
        match fate {
            Fate::Captured => packets.push(packet),
            Fate::Lost => {}
            Fate::Twice => packets.extend([packet.clone(), packet]),
            Fate::Overtaken => {
                overtaken.push(packet);
                continue;
            }
        }
        packets.append(&mut overtaken);
    }
    packets.append(&mut overtaken);
    Played {
        packets,
        requests,
        responses,
    }
}

fn check(plan: &Plan) -> Result<(), TestCaseError> {
    let played = play(plan);
    let rows = rows_of_wire(&played.packets);
    let line = |row: &HttpEvent| {
        let (path, outcome) = (row.path.as_deref(), row.outcome);
        format!("{} {path:?} {:?} {outcome:?}", row.time, row.status)
    };
    let lines: Vec<_> = rows.http.iter().map(line).collect();
    for row in &rows.http {
        let (Some(ttfb_ns), Some(status)) = (row.ttfb_ns, row.status) else {
            continue;
        };
        let request = played.requests.get(&(row.time * 1_000));
        let response = played.responses.get(&(row.time * 1_000 + ttfb_ns));
        prop_assert!(request.is_some(), "{lines:#?}");
        prop_assert_eq!(request, response, "{:#?}", lines);
        let expected = response.map(|number| 400 + (number % 100) as u16);
        prop_assert_eq!(Some(status), expected, "{:#?}", lines);
        if let (Some(path), Some(number)) = (&row.path, request) {
            let whole = format!("/path/{number}");
            prop_assert!(whole.starts_with(&**path), "{lines:#?}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn one_request_at_a_time_gets_its_own_response(plan in plan(1)) {
        let answers_all = Plan {
            bursts: plan.bursts.iter().map(|_| (1, 1)).collect(),
            ..plan
        };
        check(&answers_all)?;
    }

    #[test]
    fn pipelined_requests_get_their_own_responses(plan in plan(3)) {
        // The client shows what it does.
        let plan = Plan {
            bursts: [vec![(2, 1), (1, 1), (1, 2)], plan.bursts].concat(),
            calm: 4,
            ..plan
        };
        check(&plan)?;
    }

    #[test]
    fn nothing_makes_a_lossless_capture_less_than_whole(plan in plan(3)) {
        let plan = Plan {
            captured_len: 2000,
            has_handshake: true,
            pause: MS,
            fates: plan.fates.iter().map(|fate| match fate {
                Fate::Lost => Fate::Captured,
                fate => *fate,
            }).collect(),
            ..plan
        };
        let played = play(&plan);
        let rows = rows_of_wire(&played.packets);
        let asked: usize = plan.bursts.iter().map(|(count, _)| count).sum();
        prop_assert_eq!(rows.http.len(), asked);
        for (number, row) in rows.http.iter().enumerate() {
            let path = format!("/path/{number}");
            prop_assert_eq!(row.path.as_deref(), Some(path.as_str()));
            let status = row.status;
            prop_assert!(status.is_none_or(|status| usize::from(status) == 400 + number % 100));
        }
    }
}
