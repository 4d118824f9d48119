//! What becomes of rows where packets are lost in between, as when a ring is full: nothing is paired falsely, each
//! message that was captured is in one row, and soon after the last loss rows are whole again.

use std::ops::RangeInclusive;

use proptest::collection::vec;
use proptest::option;
use proptest::sample::Index;

use super::*;

/// Requests that are sent at once.
#[derive(Debug, Clone)]
struct Round {
    /// So many.
    depth: usize,
    /// Packets for each request, and for each response: the head and the body may have one each.
    request_packets: usize,
    response_packets: usize,
    /// Interim responses before each response.
    interims: usize,
}

fn rounds(depth: RangeInclusive<usize>, max_interims: usize) -> impl Strategy<Value = Vec<Round>> {
    let round = (depth, 1..3_usize, 1..3_usize, 0..=max_interims).prop_map(
        |(depth, request_packets, response_packets, interims)| Round {
            depth,
            request_packets,
            response_packets,
            interims,
        },
    );
    vec(round, 1..25)
}

/// Runs of packets that are captured and lost, in turns.
fn runs() -> impl Strategy<Value = Vec<usize>> {
    let run = || prop_oneof![3 => 1..4_usize, 1 => 4..40_usize];
    vec((run(), run()), 0..6).prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(captured, lost)| [captured, lost])
            .collect()
    })
}

/// A packet, and which request or response begins with it.
struct Marked {
    sent: Sent,
    request: Option<usize>,
    response: Option<usize>,
}

#[derive(Default)]
struct Conversation {
    packets: Vec<Marked>,
    requests: usize,
    /// Packets with which a capture may begin: any but the second and later of requests that are sent at once, since
    /// nothing tells that others wait before those.
    beginnings: Vec<usize>,
}

/// Within so many packets a capture begins.
const MAX_JOIN: usize = 20;

const fn status(number: usize) -> u16 {
    400 + (number % 99) as u16
}

impl Conversation {
    fn of(rounds: &[Round]) -> Self {
        let mut talk = Talk::new(0, 77, 5_000);
        talk.handshake();
        let mut this = Self::default();
        for round in rounds {
            let first = this.requests;
            this.requests += round.depth;
            let known = talk.next[1];
            this.beginnings.push(this.packets.len());
            for number in first..this.requests {
                let head =
                    format!("POST /{number} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n");
                let begins = talk.packets.len();
                send(&mut talk, true, &head, "abc", round.request_packets);
                for packet in &mut talk.packets[begins..] {
                    packet.ack = known;
                }
                this.mark(&mut talk, Some(number), None);
            }
            let asked = this.packets.len();
            for number in first..this.requests {
                for _ in 0..round.interims {
                    talk.send(
                        false,
                        ACK,
                        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
                    );
                    this.mark(&mut talk, None, None);
                }
                let head = format!("HTTP/1.1 {} X\r\nContent-Length: 5\r\n\r\n", status(number));
                send(&mut talk, false, &head, "hello", round.response_packets);
                this.mark(&mut talk, None, Some(number));
            }
            this.beginnings.extend(asked..this.packets.len());
        }
        this
    }

    /// Takes what was written; the first packet begins a message.
    fn mark(&mut self, talk: &mut Talk, request: Option<usize>, response: Option<usize>) {
        let (mut request, mut response) = (request, response);
        for sent in talk.packets.drain(..) {
            let is_handshake = sent.payload.is_empty();
            self.packets.push(Marked {
                sent,
                request: if is_handshake { None } else { request.take() },
                response: if is_handshake { None } else { response.take() },
            });
        }
    }
}

fn send(talk: &mut Talk, from_client: bool, head: &str, body: &str, packets: usize) {
    if packets == 1 {
        talk.send(from_client, ACK, format!("{head}{body}").as_bytes());
    } else {
        talk.send(from_client, ACK, head.as_bytes());
        talk.send(from_client, ACK, body.as_bytes());
    }
}

fn number(row: &HttpEvent) -> Option<usize> {
    row.path.as_ref()?.trim_start_matches('/').parse().ok()
}

/// The numbers of what was captured, and the rows of it.
struct Seen {
    requests: Vec<usize>,
    responses: Vec<usize>,
    rows: Vec<HttpEvent>,
}

/// Captures at the server's socket with packets lost by `runs`, from one of the first packets with which it may begin on.
fn capture(conversation: &Conversation, runs: &[usize], beginning: Option<Index>) -> Seen {
    let beginnings = conversation
        .beginnings
        .iter()
        .take_while(|packet| **packet < MAX_JOIN);
    let beginnings: Vec<_> = beginnings.collect();
    let join = beginning.map_or(0, |beginning| **beginning.get(&beginnings));
    let mut tracker = tracker();
    let mut rows = Vec::new();
    let fates = runs
        .iter()
        .enumerate()
        .flat_map(|(index, len)| std::iter::repeat_n(index % 2 == 0, *len))
        .chain(std::iter::repeat(true));
    let (mut requests, mut responses) = (Vec::new(), Vec::new());
    let mut time = 0;
    for (packet, is_captured) in conversation.packets.iter().skip(join).zip(fates) {
        time = packet.sent.time;
        if !is_captured {
            continue;
        }
        requests.extend(packet.request);
        responses.extend(packet.response);
        tracker.packet(
            &packet.sent.packet(at_socket(&packet.sent, 1, false)),
            &mut rows,
        );
    }
    tracker.tick(time + SECOND, &mut rows);
    tracker.finish(time + SECOND, &mut rows);
    Seen {
        requests,
        responses,
        rows: Rows::of(rows).http,
    }
}

impl Seen {
    /// What each row says, for whoever reads why a check failed.
    fn table(&self) -> Vec<(Option<usize>, Option<u16>, Option<&str>)> {
        let told = |row: &HttpEvent| (number(row), row.status, row.outcome);
        self.rows.iter().map(told).collect()
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let table = self.table();
        for row in &self.rows {
            if let (Some(number), Some(told)) = (number(row), row.status) {
                prop_assert_eq!(told, status(number), "{} {:?}", number, table);
            }
        }
        let mut told: Vec<usize> = self.rows.iter().filter_map(number).collect();
        told.sort_unstable();
        prop_assert_eq!(&told, &self.requests, "{:?}", table);
        let mut told: Vec<u16> = self.rows.iter().filter_map(|row| row.status).collect();
        told.sort_unstable();
        let mut seen: Vec<u16> = self.responses.iter().copied().map(status).collect();
        seen.sort_unstable();
        prop_assert_eq!(&told, &seen, "{:?}", table);
        Ok(())
    }

    fn is_whole(&self, expected: usize) -> bool {
        self.rows.iter().any(|row| {
            number(row) == Some(expected)
                && row.status == Some(status(expected))
                && row.outcome == Some("ok")
        })
    }
}

/// Rounds of one request each.
fn calm() -> impl Iterator<Item = Round> {
    std::iter::repeat_n(
        Round {
            depth: 1,
            request_packets: 1,
            response_packets: 1,
            interims: 0,
        },
        6,
    )
}

/// Checks what is captured of a conversation that goes on calmly behind the last loss; its last exchange is to be whole.
fn check_got_over(
    mut rounds: Vec<Round>,
    runs: &[usize],
    beginning: Option<Index>,
) -> Result<(), TestCaseError> {
    let len = runs.iter().sum::<usize>() + MAX_JOIN;
    while Conversation::of(&rounds).packets.len() < len {
        rounds.extend(calm());
    }
    rounds.extend(calm());
    let conversation = Conversation::of(&rounds);
    let seen = capture(&conversation, runs, beginning);
    seen.check()?;
    let last = conversation.requests - 1;
    prop_assert!(seen.is_whole(last), "{:?}", seen.table());
    Ok(())
}

proptest! {
    #[test]
    fn losses_between_requests_one_at_a_time_are_got_over(
        rounds in rounds(1..=1, 0),
        runs in runs(),
        beginning in option::of(any::<Index>()),
    ) {
        check_got_over(rounds, &runs, beginning)?;
    }

    #[test]
    fn losses_among_pipelined_requests_are_got_over(
        rounds in rounds(2..=5, 0),
        runs in runs(),
        beginning in option::of(any::<Index>()),
    ) {
        check_got_over(rounds, &runs, beginning)?;
    }

    #[test]
    fn losses_of_interim_responses_pair_nothing_falsely(
        rounds in prop_oneof![rounds(1..=1, 2), rounds(2..=4, 2)],
        runs in runs(),
        beginning in option::of(any::<Index>()),
    ) {
        let conversation = Conversation::of(&rounds);
        capture(&conversation, &runs, beginning).check()?;
    }
}
