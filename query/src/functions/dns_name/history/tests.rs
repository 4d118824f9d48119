//! Tests of what is kept, and of which name an address has when.

use std::net::Ipv4Addr;

use super::*;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// From, until and name of a process's spans, in seconds.
fn seconds(spans: &[Named], pid: Option<i64>) -> Vec<(i64, i64, &str)> {
    spans
        .iter()
        .filter(|span| span.pid == pid)
        .map(|span| (span.from / SECOND, span.until / SECOND, &*span.name.0))
        .collect()
}

/// Of answers `(pid, name, time, ttl)` in seconds.
fn history(answers: &[(Option<i64>, &str, i64, i64)]) -> History {
    let mut history = History::default();
    for (pid, name, time, ttl) in answers {
        history.answer(*pid, ADDRESS, name, time * SECOND, *ttl);
    }
    history
}

fn put_together(parts: Vec<History>) -> History {
    let mut whole = History::default();
    for mut part in parts {
        for (pid, last) in part.askers() {
            whole.ask(pid, last);
        }
        for named in part.answers() {
            let (from, until) = (named.from, named.until);
            whole.learn(named.pid, named.address, &named.name.0, from, until);
        }
    }
    whole
}

#[test]
fn the_newest_answer_that_is_good_decides_at_each_time() {
    let one = Some(1);
    for (answers, expected) in [
        (vec![(one, "a", 0, 100)], vec![(0, 100, "a")]),
        // Clamped to a minute and a day.
        (vec![(one, "a", 0, 0)], vec![(0, 60, "a")]),
        (vec![(one, "a", 0, -1)], vec![(0, 60, "a")]),
        (vec![(one, "a", 0, 59)], vec![(0, 60, "a")]),
        (vec![(one, "a", 0, 61)], vec![(0, 61, "a")]),
        (vec![(one, "a", 0, 86_401)], vec![(0, 86_400, "a")]),
        (vec![(one, "a", 0, i64::MAX)], vec![(0, 86_400, "a")]),
        // Another name.
        (
            vec![(one, "a", 0, 100), (one, "b", 50, 100)],
            vec![(0, 50, "a"), (50, 150, "b")],
        ),
        // The older one is still good when the newer one has expired.
        (
            vec![(one, "a", 0, 500), (one, "b", 50, 100)],
            vec![(0, 50, "a"), (50, 150, "b"), (150, 500, "a")],
        ),
        (
            vec![
                (one, "a", 0, 100),
                (one, "b", 100, 100),
                (one, "a", 300, 60),
            ],
            vec![(0, 100, "a"), (100, 200, "b"), (300, 360, "a")],
        ),
        // Asked for again while it was good, it goes on; with a shorter TTL as well.
        (
            vec![(one, "a", 0, 100), (one, "a", 50, 100), (one, "a", 60, 60)],
            vec![(0, 150, "a")],
        ),
        // In turns, as somebody does who asks for several names of one machine.
        (
            vec![
                (one, "a", 0, 60),
                (one, "b", 5, 60),
                (one, "a", 10, 60),
                (one, "b", 15, 60),
            ],
            vec![(0, 5, "a"), (5, 10, "b"), (10, 15, "a"), (15, 75, "b")],
        ),
        // At one time the first by letters.
        (
            vec![(one, "a", 0, 60), (one, "b", 0, 90)],
            vec![(0, 60, "a"), (60, 90, "b")],
        ),
    ] {
        assert_eq!(
            seconds(&history(&answers).spans(), one),
            expected,
            "{answers:?}"
        );
    }
}

#[test]
fn anybody_was_told_what_each_was_told() {
    let spans = history(&[
        (Some(1), "a", 0, 60),
        (Some(2), "b", 30, 60),
        (None, "c", 40, 60),
    ])
    .spans();
    assert_eq!(seconds(&spans, Some(1)), [(0, 60, "a")]);
    assert_eq!(seconds(&spans, Some(2)), [(30, 90, "b")]);
    let anybody = [(0, 30, "a"), (30, 40, "b"), (40, 100, "c")];
    assert_eq!(seconds(&spans, None), anybody);
    assert!(spans.is_sorted());
}

#[test]
fn the_order_of_answers_and_of_parts_changes_nothing() {
    let answers: Vec<(Option<i64>, &str, i64, i64)> = (0..40)
        .map(|number| {
            let name = ["a", "b", "c", "d", "e", "f"][number as usize * 7 % 6];
            (Some(number % 3), name, number * 13 % 50, number * 37 % 200)
        })
        .collect();
    let expected = history(&answers).spans();
    for parts in 1..6 {
        for turn in 0..parts {
            let mut split: Vec<History> = (0..parts)
                .map(|part| {
                    let own: Vec<_> = answers
                        .iter()
                        .rev()
                        .skip(part)
                        .step_by(parts)
                        .copied()
                        .collect();
                    history(&own)
                })
                .collect();
            split.rotate_left(turn);
            let mut whole = put_together(split);
            assert_eq!(whole.spans(), expected, "{parts} {turn}");
            assert_eq!(
                put_together(vec![whole, History::default()]).spans(),
                expected
            );
        }
    }
}

#[test]
fn an_address_has_one_form() {
    let mut history = History::default();
    let mapped = "::ffff:192.0.2.1".parse().unwrap();
    history.answer(Some(1), mapped, "a", 0, 60);
    assert_eq!(history.answers()[0].address, ADDRESS);
}

#[test]
fn of_too_many_pairs_those_answered_last_are_known() {
    let mut history = History::default();
    for number in 0..3 * MAX_PAIRS {
        // Every third one is old, whenever it came.
        let time = if number % 3 == 0 {
            1
        } else {
            2 + number as i64
        };
        let address = IpAddr::V4(Ipv4Addr::from_bits(number as u32));
        history.answer(Some(number as i64 % 7), address, "a", time * SECOND, 60);
    }
    let answers = history.answers();
    assert_eq!(answers.len(), MAX_PAIRS);
    let oldest = answers.iter().map(|answer| answer.from / SECOND).min();
    // Of three numbers two are new; the first of the last half is not.
    assert_eq!(
        oldest,
        Some(3 * MAX_PAIRS as i64 - MAX_PAIRS as i64 * 3 / 2 + 3)
    );
}

#[test]
fn answers_without_end_are_thinned_and_forgotten() {
    let mut history = History::default();
    // The same name again and again is one span.
    for second in 0..3 * MAX_ANSWERS as i64 {
        history.answer(Some(1), ADDRESS, "same", second * SECOND, 60);
    }
    assert!(history.answers.len() < 2 * MAX_ANSWERS);
    let end = 3 * MAX_ANSWERS as i64 + 59;
    assert_eq!(seconds(&history.spans(), Some(1)), [(0, end, "same")]);

    let mut history = History::default();
    for minute in 0..3 * MAX_ANSWERS as i64 {
        let name = format!("name-{minute}");
        history.answer(Some(1), ADDRESS, &name, minute * 100 * SECOND, 60);
        assert!(history.answers.len() < 2 * MAX_ANSWERS);
    }
    assert_eq!(history.answers().len(), MAX_ANSWERS);
    let newest = history
        .answers()
        .last()
        .map(|last| Arc::clone(&last.name.0));
    assert_eq!(newest, Some(format!("name-{}", 3 * MAX_ANSWERS - 1).into()));
    assert_eq!(history.names.len(), MAX_ANSWERS);
    let bytes: usize = history.names.iter().map(|name| name.len()).sum();
    assert_eq!(history.name_bytes, bytes);
    assert!(history.size() > bytes + MAX_ANSWERS * size_of::<Named>());
}

#[test]
fn of_too_many_askers_those_that_asked_last_are_known() {
    let mut history = History::default();
    for pid in 0..3 * MAX_ASKERS as i64 {
        history.ask(pid, pid);
        history.ask(pid, 0);
    }
    let askers = history.askers();
    assert_eq!(askers.len(), MAX_ASKERS);
    let least = 2 * MAX_ASKERS as i64;
    assert_eq!(askers.first(), Some(&(least, least)));
}
