//! Capture files: pcap and pcapng, plain or gzip.
//!
//! A file is read as a stream in bounded memory. Recordings are cut or damaged often (a full disk, a killed tcpdump),
//! so that is no error: what can be read is read, and [`Reader::damages`] tells the rest.

mod import;
mod pcap;
mod pcapng;
mod window;

use std::io::{Cursor, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

use crate::decode::Frame;
use crate::packet::Nanos;

pub use import::{Import, ImportReport};

use window::{Counted, Window};

/// Why a file cannot be imported at all.
#[derive(Debug, thiserror::Error)]
pub enum CaptureFileError {
    /// Not even its first bytes could be read.
    #[error("cannot read the file: {0}")]
    Read(#[source] std::io::Error),
    /// It has no bytes.
    #[error("the file is empty")]
    Empty,
    /// It is something else.
    #[error(
        "not a capture file: it begins with {beginning}; pcap, pcapng and gzip of them can be imported"
    )]
    NotACapture {
        /// The first bytes of the file (of its content, if it is gzip).
        beginning: String,
    },
    /// The file header is cut or makes no sense.
    #[error("the {format} header is damaged: {problem}")]
    Header {
        /// Which format it would be.
        format: Format,
        /// What is wrong.
        problem: &'static str,
    },
}

/// A format of capture files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The format of libpcap, any byte order, microseconds or nanoseconds.
    Pcap,
    /// Its successor.
    PcapNg,
}

impl std::fmt::Display for Format {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Pcap => "pcap",
            Self::PcapNg => "pcapng",
        })
    }
}

/// A part of a file that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins: bytes from the start of the (uncompressed) capture.
    pub position: u64,
    /// How many bytes were passed over.
    pub bytes: u64,
    /// What is wrong there.
    pub kind: DamageKind,
}

impl Damage {
    fn is_continued_by(&self, next: &Self) -> bool {
        self.kind == next.kind && self.position + self.bytes == next.position
    }
}

/// What is wrong with a part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamageKind {
    /// The file ends inside a record, or its gzip stream ends early.
    Cut,
    /// Reading, or decompression, failed there; the message says how. Nothing after it was read.
    Unreadable(String),
    /// No record can stand there; reading went on at the next place where one can.
    Corrupt,
    /// A block whose framing is right, but not its content.
    BadBlock,
}

impl DamageKind {
    /// The kind as a word of the ledger.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Unreadable(_) => "unreadable",
            Self::Corrupt => "corrupt",
            Self::BadBlock => "bad_block",
        }
    }
}

/// Damages kept one by one; later ones are added to the last.
const MAX_DAMAGES: usize = 64;

/// How far is looked for the next record at once.
const SCAN_STEP: usize = 64 * 1024;

/// The largest frame that is believed. Captures of segmented offload reach 512 KiB.
const MAX_FRAME: u32 = 1024 * 1024;

/// Times are kept within 1970 and 2200, so that sums and differences of them cannot overflow.
const MAX_TIME: Nanos = 7_258_118_400 * 1_000_000_000;

/// Yields the frames of a capture file.
pub struct Reader<R: Read> {
    window: Window<Source<R>>,
    records: Records,
    /// Whether it is unknown where the next record begins.
    is_lost: bool,
    damages: Vec<Damage>,
}

enum Records {
    Pcap(pcap::Records),
    PcapNg(pcapng::Records),
}

impl Records {
    /// What stands at the start of the window; `None` if no record can.
    fn find<R: Read>(&mut self, window: &mut Window<R>) -> Option<Found> {
        match self {
            Self::Pcap(records) => records.find(window),
            Self::PcapNg(records) => records.find(window),
        }
    }

    /// Whether a record stands at `distance`. More is asked of it than of one whose place is known.
    fn is_record<R: Read>(&self, window: &mut Window<R>, distance: usize) -> bool {
        match self {
            Self::Pcap(records) => records.is_record(window, distance),
            Self::PcapNg(records) => records.is_record(window, distance),
        }
    }

    /// The fewest bytes of a record.
    fn header_len(&self) -> usize {
        match self {
            Self::Pcap(records) => records.header_len(),
            Self::PcapNg(_) => pcapng::MIN_BLOCK,
        }
    }
}

/// Where a frame lies in the window.
struct FoundFrame {
    time: Nanos,
    is_timed: bool,
    link_type: crate::decode::LinkType,
    original_len: u32,
    /// First byte of the frame in the window.
    start: usize,
    captured_len: usize,
    /// Length of the record it is in.
    record_len: usize,
}

/// What stands at the start of the window.
enum Found {
    Frame(FoundFrame),
    /// Something without a frame, of that length.
    Other(usize),
    /// Something of that length that is framed right but makes no sense.
    Bad(usize),
    /// The stream ends, perhaps inside a record.
    End,
    /// No record; the next possible one is so many bytes away, or further.
    Corrupt(usize),
}

impl<R: Read> Reader<R> {
    /// Reads the file's header.
    pub fn open(file: R) -> Result<Self, CaptureFileError> {
        let mut window = Window::new(Source::open(file)?);
        window.fill(pcap::HEADER_LEN);
        let records = if pcap::is_pcap(window.bytes()) {
            Records::Pcap(pcap::Records::open(&mut window)?)
        } else if pcapng::is_pcapng(window.bytes()) {
            Records::PcapNg(pcapng::Records::open(&mut window)?)
        } else if window.bytes().is_empty() && window.failure().is_none() {
            return Err(CaptureFileError::Empty);
        } else {
            return Err(CaptureFileError::NotACapture {
                beginning: describe_beginning(window.bytes()),
            });
        };
        Ok(Self {
            window,
            records,
            is_lost: false,
            damages: Vec::new(),
        })
    }

    /// The file's format.
    pub fn format(&self) -> Format {
        match self.records {
            Records::Pcap(_) => Format::Pcap,
            Records::PcapNg(_) => Format::PcapNg,
        }
    }

    /// Says which time frames have that come before any with a time of its own: the packets of pcapng's simple blocks
    /// have none, and get that of the packet before. Without this, it is 1970.
    pub fn begin_at(&mut self, time: Nanos) {
        if let Records::PcapNg(records) = &mut self.records {
            records.last_time = time;
        }
    }

    /// The next frame; `None` at the end.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        loop {
            match self.find() {
                Found::Frame(frame) => return Some(self.take(&frame)),
                Found::Other(len) => self.window.consume(len),
                Found::Bad(len) => self.skip_damaged(DamageKind::BadBlock, len),
                Found::Corrupt(len) => self.skip_damaged(DamageKind::Corrupt, len),
                Found::End => {
                    let rest = self.window.bytes().len();
                    if let Some(failure) = self.window.failure() {
                        let kind = match failure.kind() {
                            ErrorKind::UnexpectedEof => DamageKind::Cut,
                            _ => DamageKind::Unreadable(failure.to_string()),
                        };
                        self.skip_damaged_once(kind, rest);
                    } else if rest > 0 {
                        self.skip_damaged(DamageKind::Cut, rest);
                    }
                    return None;
                }
            }
        }
    }

    /// How many bytes of the file itself were read so far; for a progress bar.
    pub fn bytes_read(&self) -> u64 {
        self.window.source().bytes_read()
    }

    /// The parts of the file that could not be used, so far.
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// Looks at the start of the window.
    fn find(&mut self) -> Found {
        loop {
            if !self.is_lost
                && let Some(found) = self.records.find(&mut self.window)
            {
                return found;
            }
            if let Some(found) = self.find_again() {
                return found;
            }
        }
    }

    /// Looks for the next record behind a damaged part; `None` if it stands at the start of the window.
    fn find_again(&mut self) -> Option<Found> {
        // Where the damaged part begins, there is no record.
        let first = usize::from(!self.is_lost);
        let header_len = self.records.header_len();
        for distance in first..SCAN_STEP {
            if !self.window.fill(distance + header_len) {
                return Some(match self.window.bytes().len() {
                    rest if rest > 0 && self.is_lost => Found::Corrupt(rest),
                    // A cut record.
                    _ => Found::End,
                });
            }
            if self.records.is_record(&mut self.window, distance) {
                self.is_lost = false;
                return (distance > 0).then_some(Found::Corrupt(distance));
            }
        }
        self.is_lost = true;
        Some(Found::Corrupt(SCAN_STEP))
    }

    fn take(&mut self, found: &FoundFrame) -> Frame<'_> {
        let record_start = self.window.start();
        self.window.consume(found.record_len);
        let start = record_start + found.start;
        let bytes = self.window.slice(start, found.captured_len);
        Frame {
            time: found.time.clamp(0, MAX_TIME),
            is_timed: found.is_timed,
            link_type: found.link_type,
            bytes,
            original_len: found.original_len.max(bytes.len() as u32),
        }
    }

    fn skip_damaged_once(&mut self, kind: DamageKind, len: usize) {
        if self.damages.last().map(|damage| &damage.kind) != Some(&kind) {
            self.skip_damaged(kind, len);
        }
    }

    fn skip_damaged(&mut self, kind: DamageKind, len: usize) {
        let damage = Damage {
            position: self.window.position(),
            bytes: len as u64,
            kind,
        };
        self.window.consume(len);
        let is_full = self.damages.len() >= MAX_DAMAGES;
        match self.damages.last_mut() {
            Some(last) if is_full || last.is_continued_by(&damage) => last.bytes += damage.bytes,
            _ => self.damages.push(damage),
        }
    }
}

/// The first bytes of a file in a form fit for a message.
fn describe_beginning(bytes: &[u8]) -> String {
    let beginning = bytes.get(..16).unwrap_or(bytes);
    let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if beginning.is_empty() {
        "nothing that can be read".to_owned()
    } else if beginning.iter().all(is_text) {
        format!("\"{}\"", beginning.escape_ascii())
    } else {
        let hex: Vec<String> = beginning.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("the bytes {}", hex.join(" "))
    }
}

/// The file's bytes with what was looked at already put back in front.
type Whole<R> = std::io::Chain<Cursor<Vec<u8>>, Counted<R>>;

/// The capture's bytes, decompressed where needed.
enum Source<R> {
    Plain(Whole<R>),
    Gzip(Box<MultiGzDecoder<std::io::BufReader<Whole<R>>>>),
}

impl<R: Read> Source<R> {
    fn open(file: R) -> Result<Self, CaptureFileError> {
        const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
        let mut file = Counted::new(file);
        let mut beginning = Vec::new();
        file.by_ref()
            .take(GZIP_MAGIC.len() as u64)
            .read_to_end(&mut beginning)
            .map_err(CaptureFileError::Read)?;
        let is_gzip = beginning == GZIP_MAGIC;
        let whole = Cursor::new(beginning).chain(file);
        Ok(if is_gzip {
            let buffered = std::io::BufReader::with_capacity(64 * 1024, whole);
            Self::Gzip(Box::new(MultiGzDecoder::new(buffered)))
        } else {
            Self::Plain(whole)
        })
    }

    fn bytes_read(&self) -> u64 {
        let (_, file) = match self {
            Self::Plain(whole) => whole.get_ref(),
            Self::Gzip(decoder) => decoder.get_ref().get_ref().get_ref(),
        };
        file.count()
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(whole) => whole.read(space),
            Self::Gzip(decoder) => decoder.read(space),
        }
    }
}

#[cfg(test)]
mod tests;
