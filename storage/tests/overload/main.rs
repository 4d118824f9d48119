//! A real process that gets more rows than it can keep, of every awkward kind, and looks at what memory it took.
//!
//! A test program of its own: what the process takes at most is only known of a process that does nothing else.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "../store/rows.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod rows;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use weir_storage::table::column::DnsAnswer;
use weir_storage::{Pairs, Row, Store, StoreOptions, TableId};

use rows::one_of_each;

// As the binary has its memory.
use weir_allocator as _;

/// Tells a child process where to write.
const DIRECTORY: &str = "WEIR_TEST_OVERLOAD_DIRECTORY";
/// Tells a child process what to append.
const KIND: &str = "WEIR_TEST_OVERLOAD_KIND";

/// The budget of the child's store.
const BUDGET: usize = 64 << 20;
/// What comes on top of the budget while files are written: a quarter of it.
const WRITING: usize = BUDGET / 4;
/// ... while files are merged.
const MERGING: usize = 16 << 20;
/// The stated constant: the program itself, footers and indexes of files, and what the allocator keeps.
const CONSTANT: usize = 160 << 20;

/// Bytes of rows that are appended: so many times the budget.
const TIMES: usize = 3;

/// What arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Requests with headers, hardly two of them alike.
    Requests,
    /// Requests with bodies of 64 KiB.
    Bodies,
    /// Lookups with a hundred answers each, of names that never come again.
    Answers,
    /// Rows of a few bytes.
    Small,
}

const KINDS: [Kind; 4] = [Kind::Requests, Kind::Bodies, Kind::Answers, Kind::Small];

impl Kind {
    fn table(self) -> TableId {
        match self {
            Self::Requests | Self::Bodies => TableId::HttpEvent,
            Self::Answers => TableId::DnsEvent,
            Self::Small => TableId::CaptureLoss,
        }
    }

    /// The row of this number, made of one of the same table.
    fn row(self, template: &Row, number: usize) -> Row {
        let mut row = template.clone();
        row.shift_time(number as i64);
        match &mut row {
            Row::HttpEvent(event) if self == Self::Bodies => {
                event.resp_body = Some(noise(number, 64 << 10));
            }
            Row::HttpEvent(event) => {
                event.path = Some(format!("/{number:x}/{}", "p".repeat(number % 300)).into());
                event.host = Some(format!("host-{number}").into());
                event.user_agent = Some(format!("agent {number}").into());
                event.req_headers = Some(Arc::new(headers(number, 12)));
                event.resp_headers = Some(Arc::new(headers(number, 8)));
            }
            Row::DnsEvent(event) => {
                event.qname = Some(format!("{number}.example").into());
                event.answers = Some((0..100).map(|place| answer(number, place)).collect());
            }
            _ => {}
        }
        row
    }

    /// About what a row takes in memory, in bytes.
    fn bytes(self) -> usize {
        match self {
            Self::Requests => 1_500,
            Self::Bodies => 64 << 10,
            Self::Answers => 8_000,
            Self::Small => 60,
        }
    }
}

fn headers(number: usize, count: usize) -> Pairs {
    let header = |place| {
        (
            format!("x-{number}-{place}"),
            format!("{place}-{number:040}"),
        )
    };
    (0..count).map(header).collect()
}

fn answer(number: usize, place: usize) -> DnsAnswer {
    DnsAnswer {
        name: format!("{place}.{number}.example"),
        r#type: "TXT".into(),
        ttl: 30,
        data: format!("{number:030}-{place}"),
    }
}

/// Bytes that no compression makes smaller.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

/// What the child does: appends without waiting for anything, and says what memory it took at most.
///
/// As a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_gets_more_than_it_can_keep() {
    let (Ok(directory), Ok(kind)) = (std::env::var(DIRECTORY), std::env::var(KIND)) else {
        return;
    };
    let kind = *KINDS
        .iter()
        .find(|known| format!("{known:?}") == kind)
        .unwrap();
    let store = Store::open(StoreOptions {
        memory_bytes: BUDGET,
        spill_age: Duration::from_secs(1),
        ..StoreOptions::new(directory, "node-a")
    })
    .await
    .unwrap();
    let spiller = store.start_spiller().unwrap();
    let _maintenance = store.start_maintenance();
    let rows = TIMES * BUDGET / kind.bytes();
    let mut templates = one_of_each().into_iter();
    let template = templates.find(|row| row.table() == kind.table()).unwrap();
    let mut lost = 0;
    for number in 0..rows {
        store.append(kind.row(&template, number));
        if number % 1_024 == 0 {
            let status = store.status();
            assert!(
                status.window_bytes <= status.budget_bytes + status.budget_bytes / 16,
                "{} bytes in the window",
                status.window_bytes
            );
            lost += store
                .take_losses()
                .iter()
                .map(|loss| loss.rows)
                .sum::<u64>();
        }
    }
    // Rows that are on their way from one place to another stand in neither.
    drop(spiller);
    lost += store
        .take_losses()
        .iter()
        .map(|loss| loss.rows)
        .sum::<u64>();
    let status = store.status();
    let kept: u64 = status
        .tables
        .iter()
        .map(|table| table.window_rows + table.file_rows)
        .sum();
    println!("peak {}", peak_bytes());
    println!("rows {rows} kept {kept} lost {lost}");
    assert!(
        kept + lost >= rows as u64,
        "rows are neither kept nor counted"
    );
}

/// The most memory the process had so far, in bytes.
fn peak_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() << 10
}

/// The peak memory of a process that gets these rows.
fn overload(kind: Kind, directory: &Path) -> usize {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_that_gets_more_than_it_can_keep",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .env(KIND, format!("{kind:?}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{kind:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let peak = said.lines().find_map(|line| line.strip_prefix("peak "));
    println!("{kind:?}: {said}");
    peak.unwrap().parse().unwrap()
}

fn assert_bounded(kind: Kind, directory: &Path) {
    let most = BUDGET + WRITING + MERGING + CONSTANT;
    let peak = overload(kind, directory);
    assert!(
        peak <= most,
        "{kind:?} took {} MiB, more than {} MiB",
        peak >> 20,
        most >> 20
    );
}

#[test]
fn memory_is_bounded_whatever_arrives() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        assert_bounded(kind, directory.path());
    }
}

#[test]
fn memory_is_bounded_while_nothing_can_be_written() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        // No rights would not stop root, files in the directories' places do.
        for table in TableId::ALL {
            fs::write(directory.path().join(table.name()), "in the way").unwrap();
        }
        assert_bounded(kind, directory.path());
    }
}
