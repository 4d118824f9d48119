//! Files that become rows.

use weir_storage::Row;

use super::*;
use crate::decode::SkipReason;
use crate::tracker::{Settings, Tracker};

/// The bytes of a file with one request over IPv4 and one ARP frame.
fn file_with_a_request(order: Order, seconds: u32, payload: &[u8], seq: u32) -> Vec<u8> {
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .tcp(40_000, 80, seq, 1000)
        .ack(1)
        .write(&mut frame, payload)
        .unwrap();
    let mut arp = vec![0; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    let mut file = order.pcap_header(0xa1b2_c3d4, 1);
    file.extend(order.pcap_record(seconds, 0, &frame, frame.len() as u32));
    file.extend(order.pcap_record(seconds, 1, &arp, 60));
    file
}

#[test]
fn files_of_one_import_are_one_recording() {
    let (one, other) = b"GET /split HTTP/1.1\r\nHost: h\r\n\r\n".split_at(10);
    let first = file_with_a_request(LITTLE, 100, one, 1);
    let mut second = file_with_a_request(BIG, 101, other, 11);
    second.extend([0; 7]);
    let readers = [&first, &second].map(|file| Reader::open(file.as_slice()).unwrap());
    let mut tracker = Tracker::new(Settings::new("node".into(), 0));
    let mut rows = Vec::new();
    let mut import = Import::new();
    let mut progress = Vec::new();
    for reader in readers {
        import.file(reader, &mut tracker, &mut rows, &mut |bytes| {
            progress.push(bytes);
        });
    }
    let report = import.finish(&mut tracker, &mut rows);
    assert_eq!(progress, [first.len() as u64, second.len() as u64]);
    assert_eq!(
        (report.files, report.frames, report.tcp_segments),
        (2, 4, 2)
    );
    assert_eq!(report.skipped, [(SkipReason::Arp, 2)].into());
    assert_eq!(report.times, Some((100_000_000_000, 101_000_001_000)));
    let damage = Damage {
        position: second.len() as u64 - 7,
        bytes: 7,
        kind: DamageKind::Cut,
    };
    assert_eq!(report.damages, [(1, damage)]);
    let tables: Vec<_> = rows.iter().map(|row| row.table().name()).collect();
    assert_eq!(tables, ["http_events", "flows", "capture_loss"]);
}

pub(super) fn import(file: &[u8], start: Nanos) -> (ImportReport, Vec<Row>) {
    let mut tracker = Tracker::new(Settings::new("node".into(), start));
    let mut rows = Vec::new();
    let mut import = Import::new();
    let reader = Reader::open(file).unwrap();
    import.file(reader, &mut tracker, &mut rows, &mut |_| {});
    let report = import.finish(&mut tracker, &mut rows);
    (report, rows)
}

#[test]
fn a_loss_without_any_frame_has_the_time_of_the_import() {
    let mut pcap = LITTLE.pcap_header(0xa1b2_c3d4, 1);
    pcap.extend([7; 10]);
    let mut pcapng = LITTLE.section();
    pcapng.extend(LITTLE.enhanced(0, 1, b"of no interface", 15));
    for file in [pcap, pcapng] {
        let (report, rows) = import(&file, 1_700_000_000_000_000_000);
        assert_eq!(report.failures.len(), 1);
        let [Row::CaptureLoss(loss)] = rows.as_slice() else {
            panic!("not one loss: {rows:?}");
        };
        assert_eq!(loss.time, 1_700_000_000_000_000);
    }
}

/// A simple packet block with a frame of a TCP segment from one of two ends.
fn simple_block(from_client: bool, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let (client, server) = (([192, 0, 2, 1], 40_000), ([192, 0, 2, 2], 80));
    let (source, destination) = if from_client {
        (client, server)
    } else {
        (server, client)
    };
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(source.0, destination.0, 64)
        .tcp(source.1, destination.1, seq, 1000)
        .ack(ack)
        .write(&mut frame, payload)
        .unwrap();
    let content = [&LITTLE.u32(frame.len() as u32)[..], &frame].concat();
    LITTLE.block(3, &content)
}

#[test]
fn a_file_that_tells_no_times_is_dated_by_the_import_and_has_no_durations() {
    const START: Nanos = 1_700_000_000_000_000_000;
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let mut file = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
    file.extend(simple_block(true, 1, 1, request));
    let [next, ack] = [request.len(), response.len()].map(|len| 1 + len as u32);
    file.extend(simple_block(false, 1, next, response));
    file.extend(simple_block(true, next, ack, b""));
    file.extend([1; 7]);
    let (report, rows) = import(&file, START);
    assert_eq!((report.untimed_frames, report.times), (3, None));
    let mut tables = Vec::new();
    for row in &rows {
        tables.push(row.table().name());
        let time = match row {
            Row::HttpEvent(row) => {
                assert_eq!(
                    (row.status, row.latency_ns, row.ttfb_ns),
                    (Some(200), None, None)
                );
                row.time
            }
            Row::Flow(row) => {
                assert_eq!(
                    (row.rtt_ns, row.rtt_min_ns, row.connect_ns),
                    (None, None, None)
                );
                assert_eq!(row.start_time, Some(START / 1_000));
                row.time
            }
            Row::CaptureLoss(row) => row.time,
            Row::DnsEvent(_) | Row::CaptureProgram(_) | Row::CaptureCount(_) => {
                panic!("{row:?}")
            }
        };
        assert_eq!(time, START / 1_000, "{row:?}");
    }
    assert_eq!(tables, ["http_events", "flows", "capture_loss"]);
}

#[test]
fn a_frame_without_a_time_has_that_of_the_one_before_in_another_file_too() {
    let first = file_with_a_request(LITTLE, 100, b"GET / HTTP/1.1\r\n", 1);
    let mut second = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
    second.extend(simple_block(true, 17, 1, b"\r\n"));
    let mut tracker = Tracker::new(Settings::new("node".into(), 7));
    let mut rows = Vec::new();
    let mut import = Import::new();
    for file in [&first, &second] {
        let reader = Reader::open(file.as_slice()).unwrap();
        import.file(reader, &mut tracker, &mut rows, &mut |_| {});
    }
    let report = import.finish(&mut tracker, &mut rows);
    assert_eq!(report.untimed_frames, 1);
    assert_eq!(report.times, Some((100_000_000_000, 100_000_001_000)));
    let [Row::HttpEvent(_), Row::Flow(flow)] = rows.as_slice() else {
        panic!("{rows:?}");
    };
    assert_eq!(flow.time, 100_000_001);
}

/// A file that cannot be read beyond its beginning.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(space) {
            Ok(0) => Err(std::io::Error::other("the disk is gone")),
            result => result,
        }
    }
}

#[test]
fn a_file_that_fails_is_told_and_the_others_are_imported() {
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let [first, last] =
        [1, 1 + request.len() as u32].map(|seq| file_with_a_request(LITTLE, 100, request, seq));
    let mut cut = LITTLE.pcap_header(0xa1b2_c3d4, 1);
    cut.extend([9; 5]);
    let mut tracker = Tracker::new(Settings::new("node".into(), 0));
    let mut rows = Vec::new();
    let mut import = Import::new();
    let files: [Box<dyn Read>; 4] = [
        Box::new(first.as_slice()),
        Box::new(Failing(&first[..first.len() - 3])),
        Box::new(cut.as_slice()),
        Box::new(last.as_slice()),
    ];
    for file in files {
        let reader = Reader::open(file).unwrap();
        import.file(reader, &mut tracker, &mut rows, &mut |_| {});
    }
    import.leave_out(&CaptureFileError::Empty, &mut tracker);
    let report = import.finish(&mut tracker, &mut rows);
    let failures: Vec<_> = report
        .failures
        .iter()
        .map(|(place, why)| (*place, why.as_str()))
        .collect();
    assert_eq!(
        failures,
        [
            (1, "the disk is gone"),
            (2, "no frame in it is whole"),
            (4, "the file is empty")
        ]
    );
    let requests = rows
        .iter()
        .filter(|row| row.table().name() == "http_events");
    assert_eq!(requests.count(), 2);
    assert_eq!(report.files, 4);
}
