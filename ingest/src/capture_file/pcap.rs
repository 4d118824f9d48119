//! The records of a pcap file.

use std::io::Read;

use pcap_parser::PcapHeader;

use super::window::Window;
use super::{CaptureFileError, Format, Found, FoundFrame, MAX_FRAME};
use crate::decode::LinkType;
use crate::packet::Nanos;

/// Length of the file header.
pub(super) const HEADER_LEN: usize = 24;

/// After a damage, reading goes on at a record that lies within a day of the last one before it.
const MAX_TIME_STEP: u32 = 86_400;

/// The largest limit on captured bytes that capture programs set by default.
const USUAL_SNAPLEN: u32 = 262_144;

/// Whether a file that begins with `bytes` is pcap.
pub(super) fn is_pcap(bytes: &[u8]) -> bool {
    const MAGICS: [[u8; 4]; 5] = [
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0x4d, 0x3c, 0xb2, 0xa1],
        [0xa1, 0xb2, 0x3c, 0x4d],
        [0x34, 0xcd, 0xb2, 0xa1],
    ];
    MAGICS.iter().any(|magic| bytes.starts_with(magic))
}

/// Finds the records of a pcap file, one by one.
pub(super) struct Records {
    header: PcapHeader,
    link_type: LinkType,
    last_seconds: Option<u32>,
}

/// The header of one record.
struct RecordHeader {
    seconds: u32,
    fraction: u32,
    captured_len: u32,
    original_len: u32,
}

impl RecordHeader {
    /// Whether it is all zeros, as in a file that was made larger and never written.
    fn is_blank(&self) -> bool {
        self.seconds == 0 && self.fraction == 0 && self.captured_len == 0 && self.original_len == 0
    }
}

impl Records {
    /// Reads the file header.
    pub(super) fn open<R: Read>(window: &mut Window<R>) -> Result<Self, CaptureFileError> {
        let damaged = |problem| CaptureFileError::Header {
            format: Format::Pcap,
            problem,
        };
        if !window.fill(HEADER_LEN) {
            return Err(damaged("the file ends inside it"));
        }
        let (_, header) = pcap_parser::parse_pcap_header(window.bytes())
            .map_err(|_| damaged("it cannot be read"))?;
        window.consume(HEADER_LEN);
        // The upper half tells whether frames end with a check sequence, which the lengths of the IP header cut off.
        let link_type = LinkType((header.network.0 & 0xffff) as u16);
        Ok(Self {
            header,
            link_type,
            last_seconds: None,
        })
    }

    /// Looks at the start of the window; `None` if no record can stand there.
    pub(super) fn find<R: Read>(&mut self, window: &mut Window<R>) -> Option<Found> {
        let header_len = self.header_len();
        if !window.fill(header_len) {
            return Some(Found::End);
        }
        let Some(header) = self.record_header(window.bytes(), 0) else {
            return Some(Found::End);
        };
        let captured_len = header.captured_len as usize;
        let record_len = header_len + captured_len;
        // A frame of no bytes is legal, but most often it is no record at all, so more is asked of it.
        let is_empty = header.captured_len == 0 && header.original_len == 0;
        let is_no_record = is_empty && !self.is_plausible(&header);
        if is_no_record || header.captured_len > MAX_FRAME || !window.fill(record_len) {
            return None;
        }
        self.last_seconds = Some(header.seconds);
        let nanos_per_fraction = if self.header.is_nanosecond_precision() {
            1
        } else {
            1_000
        };
        let seconds = Nanos::from(header.seconds);
        Some(Found::Frame(FoundFrame {
            time: seconds * 1_000_000_000 + Nanos::from(header.fraction) * nanos_per_fraction,
            is_timed: true,
            link_type: self.link_type,
            original_len: header.original_len,
            start: header_len,
            captured_len,
            record_len,
        }))
    }

    /// Whether a record, and after it another or the end of the file, stands at `distance`.
    pub(super) fn is_record<R: Read>(&self, window: &mut Window<R>, distance: usize) -> bool {
        let header_len = self.header_len();
        let header = self.record_header(window.bytes(), distance);
        // A header alone is too little to find the way back by.
        let is_frame = |header: &RecordHeader| header.captured_len > 0 && self.is_plausible(header);
        let Some(header) = header.filter(is_frame) else {
            return false;
        };
        let end = distance + header_len + header.captured_len as usize;
        if window.fill(end + header_len) {
            self.record_header(window.bytes(), end)
                .is_some_and(|next| self.is_plausible(&next))
        } else {
            window.bytes().len() == end
        }
    }

    fn is_plausible(&self, header: &RecordHeader) -> bool {
        let fractions_per_second = if self.header.is_nanosecond_precision() {
            1_000_000_000
        } else {
            1_000_000
        };
        let max_captured = self.header.snaplen.clamp(USUAL_SNAPLEN, MAX_FRAME);
        let is_near = |last: u32| header.seconds.abs_diff(last) <= MAX_TIME_STEP;
        !header.is_blank()
            && header.captured_len <= max_captured
            && header.captured_len <= header.original_len
            && header.original_len <= MAX_FRAME
            && header.fraction < fractions_per_second
            && self.last_seconds.is_none_or(is_near)
    }

    /// Length of the header before each frame. One old variant has eight more bytes in it.
    pub(super) fn header_len(&self) -> usize {
        if self.header.is_modified_format() {
            24
        } else {
            16
        }
    }

    fn record_header(&self, bytes: &[u8], start: usize) -> Option<RecordHeader> {
        let (fields, _) = bytes.get(start..)?.split_first_chunk::<16>()?;
        let field = |at: usize| {
            let bytes = [fields[at], fields[at + 1], fields[at + 2], fields[at + 3]];
            if self.header.is_bigendian() {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        Some(RecordHeader {
            seconds: field(0),
            fraction: field(4),
            captured_len: field(8),
            original_len: field(12),
        })
    }
}
