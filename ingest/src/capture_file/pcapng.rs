//! The blocks of a pcapng file.
//!
//! Only sections, interfaces and the three kinds of packet blocks are looked into; the others are stepped over.

use std::io::Read;

use pcap_parser::{
    InterfaceDescriptionBlock, OptionCode, parse_interfacedescriptionblock_be,
    parse_interfacedescriptionblock_le,
};

use super::window::Window;
use super::{CaptureFileError, Format, Found, FoundFrame, MAX_FRAME, MAX_TIME};
use crate::decode::LinkType;
use crate::packet::Nanos;

/// Type of a section header block; reads the same in both byte orders.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;

const ENHANCED_PACKET: u32 = 6;

/// What every block has: type and length before its content, and the length again after it.
pub(super) const MIN_BLOCK: usize = 12;

/// The largest block that is believed.
const MAX_BLOCK: usize = 16 * 1024 * 1024;

/// Interfaces of one section that are kept.
const MAX_INTERFACES: usize = 65_536;

/// Whether a file that begins with `bytes` is pcapng.
pub(super) fn is_pcapng(bytes: &[u8]) -> bool {
    bytes.starts_with(&SECTION.to_le_bytes())
        && bytes
            .get(8..12)
            .is_none_or(|magic| ByteOrder::of(magic).is_some())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// By the magic number of a section header.
    fn of(magic: &[u8]) -> Option<Self> {
        match magic {
            [0x4d, 0x3c, 0x2b, 0x1a] => Some(Self::Little),
            [0x1a, 0x2b, 0x3c, 0x4d] => Some(Self::Big),
            _ => None,
        }
    }

    fn u32_at(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk::<4>()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        })
    }

    fn u16_at(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk::<2>()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link_type: LinkType,
    snaplen: u32,
    /// Time units in a second; `None` if the file gives a number that means nothing.
    units_per_second: Option<u64>,
    /// Seconds to add to its times.
    offset_seconds: i64,
}

impl Interface {
    fn parse(block: &[u8], order: ByteOrder) -> Option<Self> {
        let parsed = match order {
            ByteOrder::Little => parse_interfacedescriptionblock_le(block),
            ByteOrder::Big => parse_interfacedescriptionblock_be(block),
        };
        let (_, description) = parsed.ok()?;
        Some(Self {
            link_type: LinkType((description.linktype.0 & 0xffff) as u16),
            snaplen: description.snaplen,
            units_per_second: units_per_second(description.if_tsresol),
            offset_seconds: offset_seconds(&description, order),
        })
    }

    fn time(&self, units: u64) -> Option<Nanos> {
        let units_per_second = u128::from(self.units_per_second?);
        let nanos = u128::from(units) * 1_000_000_000 / units_per_second;
        let offset = i128::from(self.offset_seconds) * 1_000_000_000;
        let nanos = i128::try_from(nanos).ok()? + offset;
        Nanos::try_from(nanos.clamp(0, i128::from(MAX_TIME))).ok()
    }
}

/// A negative power of 2 if the highest bit is set, else of 10. (`pcap_parser` knows only the latter.)
fn units_per_second(if_tsresol: u8) -> Option<u64> {
    let exponent = u32::from(if_tsresol & 0x7f);
    if if_tsresol & 0x80 == 0 {
        10_u64.checked_pow(exponent)
    } else {
        1_u64.checked_shl(exponent)
    }
}

/// Read from the option itself: `pcap_parser` takes it as little-endian always.
fn offset_seconds(description: &InterfaceDescriptionBlock<'_>, order: ByteOrder) -> i64 {
    let option = description
        .options
        .iter()
        .find(|option| option.code == OptionCode::IfTsoffset);
    match option.and_then(|option| option.value.first_chunk::<8>()) {
        Some(bytes) if order == ByteOrder::Big => i64::from_be_bytes(*bytes),
        Some(bytes) => i64::from_le_bytes(*bytes),
        None => 0,
    }
}

/// Finds the blocks of a pcapng file, one by one.
pub(super) struct Records {
    order: ByteOrder,
    /// By number; `None` for one that makes no sense, whose packets are lost, so that the others keep their numbers.
    interfaces: Vec<Option<Interface>>,
    /// Simple packets have no time of their own: they get that of the packet before.
    pub(super) last_time: Nanos,
}

impl Records {
    /// Looks at the first section header.
    pub(super) fn open<R: Read>(window: &mut Window<R>) -> Result<Self, CaptureFileError> {
        let damaged = |problem| CaptureFileError::Header {
            format: Format::PcapNg,
            problem,
        };
        if !window.fill(MIN_BLOCK) {
            return Err(damaged("the file ends inside it"));
        }
        let order = window.bytes().get(8..12).and_then(ByteOrder::of);
        let records = Self {
            order: order.ok_or(damaged("its byte order is unknown"))?,
            interfaces: Vec::new(),
            last_time: 0,
        };
        match records.block_len(window, 0) {
            Some(_) => Ok(records),
            None => Err(damaged(
                "its length makes no sense, or the file ends inside it",
            )),
        }
    }

    /// Looks at the start of the window; `None` if no block can stand there.
    pub(super) fn find<R: Read>(&mut self, window: &mut Window<R>) -> Option<Found> {
        if !window.fill(MIN_BLOCK) {
            return Some(Found::End);
        }
        let len = self.block_len(window, 0)?;
        let block = window.bytes().get(..len).unwrap_or_default();
        Some(self.read_block(block).unwrap_or(Found::Bad(len)))
    }

    /// What a whole block holds; `None` if that makes no sense.
    fn read_block(&mut self, block: &[u8]) -> Option<Found> {
        let order = self.order;
        match order.u32_at(block, 0)? {
            SECTION => {
                self.order = ByteOrder::of(block.get(8..12)?)?;
                self.interfaces.clear();
            }
            INTERFACE => {
                let interface = Interface::parse(block, order);
                if self.interfaces.len() < MAX_INTERFACES {
                    self.interfaces.push(interface);
                }
                interface?;
            }
            ENHANCED_PACKET => {
                let interface = order.u32_at(block, 8)?;
                return self.packet(block, interface as usize).map(Found::Frame);
            }
            OBSOLETE_PACKET => {
                let interface = order.u16_at(block, 8)?;
                return self.packet(block, usize::from(interface)).map(Found::Frame);
            }
            SIMPLE_PACKET => return self.simple_packet(block).map(Found::Frame),
            _ => {}
        }
        Some(Found::Other(block.len()))
    }

    /// The frame in an enhanced packet block, or in an obsolete one, which differ only in how they name the interface.
    fn packet(&mut self, block: &[u8], interface: usize) -> Option<FoundFrame> {
        const DATA_START: usize = 28;
        let interface = self.interfaces.get(interface)?.as_ref()?;
        let field = |at: usize| self.order.u32_at(block, at);
        let units = u64::from(field(12)?) << 32 | u64::from(field(16)?);
        let captured_len = field(20)?;
        let original_len = field(24)?;
        let has_room = block.len() - 4 >= DATA_START + captured_len as usize;
        let time = interface.time(units)?;
        self.last_time = time;
        (has_room && captured_len <= MAX_FRAME).then_some(FoundFrame {
            time,
            is_timed: true,
            link_type: interface.link_type,
            original_len,
            start: DATA_START,
            captured_len: captured_len as usize,
            record_len: block.len(),
        })
    }

    /// The frame in a simple packet block: always of the first interface, with no length of its own if it was cut.
    fn simple_packet(&self, block: &[u8]) -> Option<FoundFrame> {
        const DATA_START: usize = 12;
        let interface = self.interfaces.first()?.as_ref()?;
        let original_len = self.order.u32_at(block, 8)?;
        let room = block.len().checked_sub(DATA_START + 4)?;
        let snaplen = match interface.snaplen {
            0 => usize::MAX,
            snaplen => snaplen as usize,
        };
        let captured_len = (original_len as usize).min(snaplen).min(room);
        (captured_len <= MAX_FRAME as usize).then_some(FoundFrame {
            time: self.last_time,
            is_timed: false,
            link_type: interface.link_type,
            original_len,
            start: DATA_START,
            captured_len,
            record_len: block.len(),
        })
    }

    /// Whether a block of a known type stands at `distance`.
    pub(super) fn is_record<R: Read>(&self, window: &mut Window<R>, distance: usize) -> bool {
        let block_type = self.order.u32_at(window.bytes(), distance);
        matches!(block_type, Some(SECTION | INTERFACE..=ENHANCED_PACKET))
            && self.block_len(window, distance).is_some()
    }

    /// Length of the block at `distance`, if a whole block stands there.
    fn block_len<R: Read>(&self, window: &mut Window<R>, distance: usize) -> Option<usize> {
        let bytes = window.bytes();
        let order = if self.order.u32_at(bytes, distance)? == SECTION {
            ByteOrder::of(bytes.get(distance + 8..distance + 12)?)?
        } else {
            self.order
        };
        let len = order.u32_at(bytes, distance + 4)?;
        let len = usize::try_from(len).ok()?;
        if !(MIN_BLOCK..=MAX_BLOCK).contains(&len) || !window.fill(distance + len) {
            return None;
        }
        let repeated = order.u32_at(window.bytes(), distance + len - 4)?;
        (repeated as usize == len).then_some(len)
    }
}
