//! From capture files to rows.

use std::collections::BTreeMap;
use std::io::Read;

use super::{CaptureFileError, Damage, DamageKind, Reader};
use crate::decode::{Decoded, Decoder, SkipReason};
use crate::packet::{Nanos, Transport};
use crate::sink::Sink;
use crate::tracker::Tracker;

/// The stage under which the ledger counts what is lost here.
const STAGE: &str = "import";

/// How many frames pass between two reports of progress.
const PROGRESS_STEP: u64 = 1024;

/// What an import read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Files read.
    pub files: usize,
    /// Frames in them.
    pub frames: u64,
    /// Bytes of these frames that were captured.
    pub captured_bytes: u64,
    /// Bytes of these frames on the link.
    pub original_bytes: u64,
    /// TCP segments.
    pub tcp_segments: u64,
    /// UDP datagrams (those that came in fragments count once).
    pub udp_datagrams: u64,
    /// Echo requests and replies of ICMP.
    pub icmp_echoes: u64,
    /// Fragments that completed no datagram: more of it was to come.
    pub fragments: u64,
    /// Frames that were skipped, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Parts of the files that could not be used: place of the file in the order of the import, and what is wrong.
    pub damages: Vec<(usize, Damage)>,
    /// Times of the oldest and the newest frame that has one.
    pub times: Option<(Nanos, Nanos)>,
    /// Files that could not be read, or not to their end: place of the file in the order of the import, and why.
    pub failures: Vec<(usize, String)>,
    /// Frames for which the files tell no time. Their rows have the time of the frame before, or of the import's start.
    pub untimed_frames: u64,
}

/// Reads capture files into one tracker.
///
/// The files are read in the order they are given, as one recording: a connection that goes on in the next file is one
/// connection. So files of a rotated capture belong in the order of their times.
///
/// Whoever imports several files opens all readers first, so that a file that is no capture is refused before any row
/// is made.
#[derive(Debug, Default)]
pub struct Import {
    decoder: Decoder,
    report: ImportReport,
    /// Place of the next file in the order of the import.
    place: usize,
}

impl Import {
    /// An import that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file to its end. `progress` is told now and then how many bytes of it were read.
    pub fn file<R: Read>(
        &mut self,
        mut reader: Reader<R>,
        tracker: &mut Tracker,
        sink: &mut dyn Sink,
        progress: &mut dyn FnMut(u64),
    ) {
        let report = &mut self.report;
        let frames_before = report.frames;
        let before = report.times.map(|(_, newest)| newest);
        reader.begin_at(before.unwrap_or_else(|| tracker.start()));
        while let Some(frame) = reader.next_frame() {
            report.frames += 1;
            report.captured_bytes += frame.bytes.len() as u64;
            report.original_bytes += u64::from(frame.original_len);
            if frame.is_timed {
                let (oldest, newest) = report.times.unwrap_or((frame.time, frame.time));
                report.times = Some((oldest.min(frame.time), newest.max(frame.time)));
            } else {
                report.untimed_frames += 1;
            }
            match self.decoder.decode(&frame, tracker.ledger()) {
                Decoded::Packet(packet) => {
                    match packet.transport {
                        Transport::Tcp { .. } => report.tcp_segments += 1,
                        Transport::Udp => report.udp_datagrams += 1,
                        Transport::Echo { .. } => report.icmp_echoes += 1,
                    }
                    tracker.packet(&packet, sink);
                }
                Decoded::Undelivered(undelivered) => {
                    *report.skipped.entry(SkipReason::Icmp).or_default() += 1;
                    tracker.undelivered(&undelivered, sink);
                }
                Decoded::Fragment => report.fragments += 1,
                Decoded::Skipped(reason) => *report.skipped.entry(reason).or_default() += 1,
            }
            if report.frames.is_multiple_of(PROGRESS_STEP) {
                progress(reader.bytes_read());
            }
        }
        progress(reader.bytes_read());
        let damages = reader.damages();
        for damage in damages {
            let word = damage.kind.word();
            tracker.ledger().count(STAGE, word, 1, damage.bytes);
            report.damages.push((self.place, damage.clone()));
        }
        let failure = damages.iter().find_map(|damage| match &damage.kind {
            DamageKind::Unreadable(why) => Some(why.clone()),
            DamageKind::Cut | DamageKind::Corrupt | DamageKind::BadBlock => None,
        });
        let has_nothing = !damages.is_empty() && report.frames == frames_before;
        let failure = failure.or_else(|| has_nothing.then(|| "no frame in it is whole".to_owned()));
        report
            .failures
            .extend(failure.map(|failure| (self.place, failure)));
        report.files += 1;
        self.place += 1;
    }

    /// Leaves out a file that was to be read next, and says why.
    pub fn leave_out(&mut self, why: &CaptureFileError, tracker: &mut Tracker) {
        tracker.ledger().count(STAGE, "unreadable", 1, 0);
        self.report.failures.push((self.place, why.to_string()));
        self.place += 1;
    }

    /// No more files: everything pending becomes rows.
    pub fn finish(mut self, tracker: &mut Tracker, sink: &mut dyn Sink) -> ImportReport {
        self.decoder.finish(tracker.ledger());
        let newest = self.report.times.map(|(_, newest)| newest);
        tracker.finish(newest.unwrap_or(Nanos::MIN), sink);
        self.report
    }
}
