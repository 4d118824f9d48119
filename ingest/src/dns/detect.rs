//! Is this payload DNS? Asked of every UDP flow and of TCP connections, whatever their ports.

use super::message::{Counts, Flags, HEADER_BYTES, Header, read_header};
use super::wire::{Cursor, Fault, Letters};
use super::words::rtype;

/// DNS, multicast DNS, LLMNR: on these ports a payload that might be DNS is, though it may be broken.
const WELL_KNOWN_PORTS: [u16; 3] = [53, 5353, 5355];
/// The shortest question: the root, a type, a class.
const QUESTION_BYTES: u64 = 5;
/// The shortest record: the root, a type, a class, a TTL, a length.
const RECORD_BYTES: u64 = 11;

/// Whether DNS is expected on this port (53, 5353, 5355).
pub fn is_well_known_port(port: u16) -> bool {
    WELL_KNOWN_PORTS.contains(&port)
}

/// Whether a UDP payload of `payload_len` bytes, of which a prefix was captured, is to be read as DNS.
///
/// On a well-known port whatever has a header that means something is, or a question: broken DNS there makes a row with
/// outcome `error`, and other protocols that use the port to get through make none. On any other port the whole message has to be right: one question, flags and counts that go together, names of printable
/// characters, known classes, and sections that end where the payload ends. `NetBIOS` names (port 137) have the same
/// format and are told apart by their encoded names.
pub fn looks_like_dns(payload: &[u8], payload_len: u32, is_well_known_port: bool) -> bool {
    if is_well_known_port {
        return may_be_dns(payload, payload_len);
    }
    check(payload, payload_len).is_ok()
}

/// The answer of [`looks_like_dns_over_tcp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detection {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Too few bytes to tell.
    NeedMore,
}

/// Whether a TCP stream that begins with `prefix` is DNS: a length, then a message (RFC 1035, section 4.2.2), as
/// strict as [`looks_like_dns`] is.
pub fn looks_like_dns_over_tcp(prefix: &[u8], is_well_known_port: bool) -> Detection {
    let Some((length, rest)) = prefix.split_first_chunk::<2>() else {
        return Detection::NeedMore;
    };
    let length = u16::from_be_bytes(*length);
    if usize::from(length) < HEADER_BYTES {
        return Detection::No;
    }
    let message = rest.get(..usize::from(length)).unwrap_or(rest);
    if message.len() < HEADER_BYTES {
        return Detection::NeedMore;
    }
    let is_dns = if is_well_known_port {
        may_be_dns(message, u32::from(length))
    } else {
        match check(message, u32::from(length)) {
            Ok(()) => true,
            Err(Fault::Short) => return Detection::NeedMore,
            Err(Fault::Invalid) => false,
        }
    };
    if is_dns {
        Detection::Yes
    } else {
        Detection::No
    }
}

/// Whether a payload on a well-known port is DNS, and be it broken: its counts go with its length and its kind is one
/// that was ever assigned, or its question can be read, or its header is that of a plain query.
fn may_be_dns(payload: &[u8], payload_len: u32) -> bool {
    let mut cursor = Cursor::new(payload, 0..payload.len());
    let Ok(header) = read_header(&mut cursor) else {
        return false;
    };
    let is_empty = header.counts == Counts::default();
    let has_more = payload_len as usize > HEADER_BYTES;
    if is_opcode_assigned(header.flags) && fits(&header, payload_len) && !(is_empty && has_more)
        || is_plain_query(&header)
    {
        return true;
    }
    header.counts.questions > 0
        && cursor
            .name(Letters::Lower)
            .is_ok_and(|name| is_ordinary_name(&name))
        && cursor.u16().is_ok_and(|qtype| qtype != 0)
        && cursor.u16().is_ok_and(is_class)
}

/// Query, IQUERY, status, notify, update, stateful operations.
fn is_opcode_assigned(flags: Flags) -> bool {
    matches!(flags.opcode(), 0..=2 | 4..=6)
}

/// A header that says that one question follows, with OPT at most: hardly by chance.
fn is_plain_query(header: &Header) -> bool {
    let Counts {
        questions,
        answers,
        authorities,
        additionals,
    } = header.counts;
    !header.flags.is_response()
        && header.flags.opcode() == 0
        && header.flags.rcode() == 0
        && !header.flags.has_reserved()
        && (questions, answers, authorities) == (1, 0, 0)
        && additionals <= 1
}

/// Whether what a header announces has room in the message.
fn fits(header: &Header, payload_len: u32) -> bool {
    let Counts {
        questions,
        answers,
        authorities,
        additionals,
    } = header.counts;
    let asked = HEADER_BYTES as u64 + QUESTION_BYTES * u64::from(questions);
    let records = u64::from(answers) + u64::from(authorities) + u64::from(additionals);
    let room = u64::from(payload_len);
    // A message that was cut with TC may hold fewer records than it announces.
    asked <= room && (asked + RECORD_BYTES * records <= room || header.flags.is_truncated())
}

/// Whether the numbers of a header go together, and with the length of the message.
fn is_plausible(header: &Header, payload_len: u32) -> bool {
    let Header {
        id: _,
        flags,
        counts,
    } = header;
    let Counts {
        questions,
        answers,
        authorities,
        additionals,
    } = *counts;
    let opcode_is_used = matches!(flags.opcode(), 0 | 4 | 5);
    if !fits(header, payload_len) || flags.has_reserved() || !opcode_is_used || questions > 1 {
        return false;
    }
    if flags.is_response() {
        return true;
    }
    // A query has no code; what it may hold beside its question is the SOA of an IXFR or notify, OPT and TSIG.
    let is_update = flags.opcode() == 5;
    flags.rcode() == 0 && (is_update || (answers <= 1 && authorities <= 1 && additionals <= 2))
}

/// The strict check. [`Fault::Short`]: too little was captured to tell.
fn check(payload: &[u8], payload_len: u32) -> Result<(), Fault> {
    let mut cursor = Cursor::new(payload, 0..payload.len());
    let header = read_header(&mut cursor)?;
    if !is_plausible(&header, payload_len) || header.counts.questions != 1 {
        return Err(Fault::Invalid);
    }
    check_question(&mut cursor)?;
    let is_cut = (payload.len() as u64) < u64::from(payload_len) || header.flags.is_truncated();
    let Counts {
        questions: _,
        answers,
        authorities,
        additionals,
    } = header.counts;
    let records = u32::from(answers) + u32::from(authorities) + u32::from(additionals);
    for _ in 0..records {
        match check_record(&mut cursor) {
            Ok(()) => {}
            // What was captured is right, and enough to tell.
            Err(Fault::Short) if is_cut => return Ok(()),
            Err(_) => return Err(Fault::Invalid),
        }
    }
    if cursor.remaining() == 0 {
        Ok(())
    } else {
        Err(Fault::Invalid)
    }
}

fn check_question(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let name = cursor.name(Letters::Lower)?;
    let qtype = cursor.u16()?;
    let class = cursor.u16()?;
    if qtype == 0 || !is_class(class) || !is_ordinary_name(&name) || is_netbios_name(&name, qtype) {
        return Err(Fault::Invalid);
    }
    Ok(())
}

fn check_record(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    cursor.name(Letters::AsSent)?;
    let record = cursor.record_header()?;
    let length_fits = match record.rtype {
        0 => false,
        rtype::A => matches!(record.data.len(), 0 | 4),
        rtype::AAAA => matches!(record.data.len(), 0 | 16),
        _ => true,
    };
    if length_fits && (record.rtype == rtype::OPT || is_class(record.class)) {
        Ok(())
    } else {
        Err(Fault::Invalid)
    }
}

/// IN, CH, HS, NONE, ANY; with or without the bit that multicast DNS puts on top.
fn is_class(class: u16) -> bool {
    matches!(class & 0x7FFF, 1 | 3 | 4 | 254 | 255)
}

/// Printable, with at least one letter or digit: what is left of binary data that got this far is not.
fn is_ordinary_name(name: &str) -> bool {
    let has_unprintable = name
        .as_bytes()
        .array_windows()
        .any(|[first, second]| *first == b'\\' && second.is_ascii_digit());
    name == "." || (!has_unprintable && name.bytes().any(|byte| byte.is_ascii_alphanumeric()))
}

/// A `NetBIOS` name (RFC 1002): 16 bytes as 32 letters from A to P; NB and NBSTAT have the numbers of NIMLOC and SRV.
fn is_netbios_name(name: &str, qtype: u16) -> bool {
    let label = name.split('.').next().unwrap_or_default();
    matches!(qtype, rtype::NIMLOC | rtype::SRV)
        && label.len() == 32
        && label.bytes().all(|byte| matches!(byte, b'a'..=b'p'))
}

#[cfg(test)]
mod tests;
