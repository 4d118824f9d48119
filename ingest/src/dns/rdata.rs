//! Record data in presentation form, as dig prints it, but for the final dots of names and the blanks that dig puts
//! into long hexadecimal and base64.
//!
//! A type is one line in [`layout`]: the fields of its data in order.

mod address;
mod mnemonics;

use std::fmt::Write;
use std::net::Ipv6Addr;
use std::ops::Range;

use super::encode::{push_base32_hex, push_base64, push_hex, push_quoted};
use super::service::push_parameters;
use super::wire::{Cursor, Fault, Letters};
use super::words::type_word;

/// One field of a record's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    U8,
    U16,
    U32,
    V4,
    V6,
    /// A character string, in quotes.
    Text,
    /// One or more character strings, in quotes.
    Texts,
    /// A character string without quotes (the tag of a CAA record).
    Bare,
    /// The rest as one quoted string.
    QuotedRest,
    /// The rest in hexadecimal.
    HexRest,
    /// The rest in base64.
    Base64Rest,
    /// The rest in base64, "-" when empty.
    Base64OrDash,
    /// So many bytes with dashes between them (EUI-48, EUI-64).
    Dashed(usize),
    U64,
    /// A counted salt in hexadecimal, "-" when empty.
    Salt,
    /// A counted hash in base32hex.
    Hash,
    /// The number of a type as its word.
    Type,
    /// The rest as a bitmap of types.
    Types,
    /// The rest as a bitmap of the types up to 127 (NXT, which came before NSEC).
    FirstTypes,
    /// The number of a DNSSEC algorithm as its word, of a certificate type, of a DSYNC scheme.
    Algorithm,
    Certificate,
    Scheme,
    /// Seconds since 1970 as `YYYYMMDDHHmmSS`.
    Date,
    /// 64 bits as four groups of hexadecimal digits.
    Locator,
    /// The rest as a LOC record of version 0.
    Location,
    /// The rest as the parameters of SVCB and HTTPS.
    Parameters,
    /// The rest as address prefixes (APL).
    Prefixes,
    /// The rest as a network service access point, `0x` and hexadecimal.
    AccessPoint,
    /// The kind of a gateway, an algorithm and the gateway (IPSECKEY).
    Gateway,
    /// A bit, the kind of a relay and the relay (AMTRELAY).
    Relay,
    /// An algorithm, a host identity tag and its key (HIP).
    HostIdentity,
    /// The rest as names.
    Names,
    /// The rest as a bitmap of ports (WKS).
    Ports,
    /// A prefix length, the rest of an address, and the name of its prefix (A6).
    Suffix,
}

/// The fields of a type's data; `None` for types that are shown as unknown data.
const fn layout(rtype: u16) -> Option<&'static [Field]> {
    use Field::{
        AccessPoint, Algorithm, Bare, Base64OrDash, Base64Rest, Certificate, Dashed, Date,
        FirstTypes, Gateway, Hash, HexRest, HostIdentity, Location, Locator, Name, Names,
        Parameters, Ports, Prefixes, QuotedRest, Relay, Salt, Scheme, Suffix, Text, Texts, Type,
        Types, U8, U16, U32, U64, V4, V6,
    };
    Some(match rtype {
        // A
        1 => &[V4],
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, NSAP-PTR, DNAME
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 23 | 39 => &[Name],
        // SOA
        6 => &[Name, Name, U32, U32, U32, U32, U32],
        // WKS
        11 => &[V4, U8, Ports],
        // HINFO
        13 => &[Text, Text],
        // MINFO, RP, TALINK
        14 | 17 | 58 => &[Name, Name],
        // MX, AFSDB, RT, KX, LP
        15 | 18 | 21 | 36 | 107 => &[U16, Name],
        // TXT, ISDN, NINFO, SPF, AVC, RESINFO, WALLET, CLA
        16 | 20 | 56 | 99 | 258 | 261 | 262 | 263 => &[Texts],
        // X25
        19 => &[Text],
        // NSAP
        22 => &[AccessPoint],
        // SIG, RRSIG
        24 | 46 => &[Type, U8, U8, U32, Date, Date, U16, Name, Base64Rest],
        // KEY, DNSKEY, RKEY, CDNSKEY
        25 | 48 | 57 | 60 => &[U16, U8, U8, Base64Rest],
        // PX
        26 => &[U16, Name, Name],
        // GPOS
        27 => &[Text, Text, Text],
        // AAAA
        28 => &[V6],
        // LOC
        29 => &[Location],
        // NXT
        30 => &[Name, FirstTypes],
        // SRV
        33 => &[U16, U16, U16, Name],
        // NAPTR
        35 => &[U16, U16, Text, Text, Text, Name],
        // CERT
        37 => &[Certificate, U16, Algorithm, Base64Rest],
        // A6
        38 => &[Suffix],
        // SINK
        40 => &[U8, U8, U8, Base64Rest],
        // APL
        42 => &[Prefixes],
        // DS, CDS, TA, DLV
        43 | 59 | 32768 | 32769 => &[U16, U8, U8, HexRest],
        // SSHFP
        44 => &[U8, U8, HexRest],
        // IPSECKEY
        45 => &[U8, Gateway, Base64Rest],
        // NSEC
        47 => &[Name, Types],
        // DHCID, OPENPGPKEY, HHIT, BRID
        49 | 61 | 67 | 68 => &[Base64Rest],
        // NSEC3
        50 => &[U8, U8, U16, Salt, Hash, Types],
        // NSEC3PARAM
        51 => &[U8, U8, U16, Salt],
        // TLSA, SMIMEA
        52 | 53 => &[U8, U8, U8, HexRest],
        // HIP
        55 => &[HostIdentity, Names],
        // CSYNC
        62 => &[U32, U16, Types],
        // ZONEMD
        63 => &[U32, U8, U8, HexRest],
        // SVCB, HTTPS
        64 | 65 => &[U16, Name, Parameters],
        // DSYNC
        66 => &[Type, Scheme, U16, Name],
        // NID, L64
        104 | 106 => &[U16, Locator],
        // L32
        105 => &[U16, V4],
        // EUI48
        108 => &[Dashed(6)],
        // EUI64
        109 => &[Dashed(8)],
        // URI
        256 => &[U16, U16, QuotedRest],
        // CAA
        257 => &[U8, Bare, QuotedRest],
        // DOA
        259 => &[U32, U32, U8, Text, Base64OrDash],
        // AMTRELAY
        260 => &[U8, Relay],
        // IPN
        264 => &[U64],
        _ => return None,
    })
}

/// The data of a record at `data` of a message. Data of an unknown type, or that is not what its type says, is shown
/// by RFC 3597: `\# length hex`.
pub(super) fn present(message: &[u8], rtype: u16, data: Range<usize>) -> String {
    layout(rtype)
        .and_then(|fields| present_fields(Cursor::new(message, data.clone()), fields).ok())
        .unwrap_or_else(|| present_unknown(message.get(data).unwrap_or_default()))
}

fn present_unknown(bytes: &[u8]) -> String {
    let mut text = format!("\\# {}", bytes.len());
    if !bytes.is_empty() {
        text.push(' ');
        push_hex(&mut text, bytes);
    }
    text
}

fn present_fields(mut cursor: Cursor<'_>, fields: &[Field]) -> Result<String, Fault> {
    let mut text = String::new();
    for &field in fields {
        let before = text.len();
        if before > 0 {
            text.push(' ');
        }
        let start = text.len();
        push_field(&mut text, &mut cursor, field)?;
        if text.len() == start {
            // An empty rest (no parameters, no types) leaves no blank behind.
            text.truncate(before);
        }
    }
    if cursor.remaining() > 0 {
        return Err(Fault::Invalid);
    }
    Ok(text)
}

fn push_field(text: &mut String, cursor: &mut Cursor<'_>, field: Field) -> Result<(), Fault> {
    match field {
        Field::Name => text.push_str(&cursor.name(Letters::AsSent)?),
        Field::U8 => push_number(text, cursor.u8()?),
        Field::U16 => push_number(text, cursor.u16()?),
        Field::U32 => push_number(text, cursor.u32()?),
        Field::V4 => {
            for (index, octet) in cursor.take(4)?.iter().enumerate() {
                if index > 0 {
                    text.push('.');
                }
                push_number(text, *octet);
            }
        }
        Field::V6 => push_display(text, Ipv6Addr::from(cursor.u128()?)),
        Field::Text => push_quoted(text, cursor.counted()?),
        Field::Texts => {
            push_quoted(text, cursor.counted()?);
            while cursor.remaining() > 0 {
                text.push(' ');
                push_quoted(text, cursor.counted()?);
            }
        }
        Field::Bare => {
            let word = cursor.counted()?;
            if word.is_empty() || !word.iter().all(u8::is_ascii_alphanumeric) {
                return Err(Fault::Invalid);
            }
            text.extend(word.iter().copied().map(char::from));
        }
        Field::QuotedRest => push_quoted(text, cursor.rest()),
        Field::HexRest => push_hex(text, cursor.rest()),
        Field::Base64Rest => push_base64(text, cursor.rest()),
        Field::Base64OrDash => match cursor.rest() {
            [] => text.push('-'),
            bytes => push_base64(text, bytes),
        },
        Field::Dashed(count) => {
            for (index, byte) in cursor.take(count)?.iter().enumerate() {
                let dash = if index == 0 { "" } else { "-" };
                push_display(text, format_args!("{dash}{byte:02x}"));
            }
        }
        Field::U64 => push_number(text, cursor.u64()?),
        Field::Salt => match cursor.counted()? {
            [] => text.push('-'),
            salt => push_hex(text, salt),
        },
        Field::Hash => push_base32_hex(text, cursor.counted()?),
        Field::Type => text.push_str(&type_word(cursor.u16()?)),
        Field::Types => push_types(text, cursor)?,
        Field::FirstTypes => push_bitmap(text, &mut "", 0, cursor.rest()),
        Field::Algorithm => push_word(text, cursor.u8()?, mnemonics::algorithm),
        Field::Certificate => push_word(text, cursor.u16()?, mnemonics::certificate),
        Field::Scheme => push_word(text, cursor.u8()?, mnemonics::scheme),
        Field::Date => push_date(text, cursor.u32()?),
        Field::Locator => {
            let locator = cursor.u64()?;
            let groups = [48, 32, 16, 0].map(|shift| locator >> shift & 0xFFFF);
            let [first, second, third, fourth] = groups;
            push_display(
                text,
                format_args!("{first:x}:{second:x}:{third:x}:{fourth:x}"),
            );
        }
        Field::Location => address::push_location(text, cursor)?,
        Field::Parameters => push_parameters(text, cursor)?,
        Field::Prefixes => address::push_prefixes(text, cursor)?,
        Field::AccessPoint => {
            text.push_str("0x");
            for byte in cursor.rest() {
                push_display(text, format_args!("{byte:02x}"));
            }
        }
        Field::Gateway => address::push_gateway(text, cursor)?,
        Field::Relay => address::push_relay(text, cursor)?,
        Field::HostIdentity => push_host_identity(text, cursor)?,
        Field::Names => {
            let mut blank = "";
            while cursor.remaining() > 0 {
                text.push_str(blank);
                text.push_str(&cursor.name(Letters::AsSent)?);
                blank = " ";
            }
        }
        Field::Ports => address::push_ports(text, cursor.rest()),
        Field::Suffix => address::push_suffix(text, cursor)?,
    }
    Ok(())
}

/// The word of a number, or the number where it has none.
fn push_word<N: std::fmt::Display + Copy>(
    text: &mut String,
    number: N,
    word_of: fn(N) -> Option<&'static str>,
) {
    match word_of(number) {
        Some(word) => text.push_str(word),
        None => push_display(text, number),
    }
}

/// `2 200100107B1A74DF365639CC39F1D578 AwEAAbdx...` (RFC 8005, section 6).
fn push_host_identity(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let tag_length = usize::from(cursor.u8()?);
    let algorithm = cursor.u8()?;
    let key_length = usize::from(cursor.u16()?);
    push_display(text, format_args!("{algorithm} "));
    push_hex(text, cursor.take(tag_length)?);
    text.push(' ');
    push_base64(text, cursor.take(key_length)?);
    Ok(())
}

/// What [`push_display`] does too, for what most records hold: without its machinery.
fn push_number(text: &mut String, number: impl itoa::Integer) {
    text.push_str(itoa::Buffer::new().format(number));
}

pub(super) fn push_display(text: &mut String, value: impl std::fmt::Display) {
    // Writing to a String does not fail.
    let _ = write!(text, "{value}");
}

/// Type bitmaps (RFC 4034, section 4.1.2).
fn push_types(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let mut blank = "";
    let mut last_window = None;
    while cursor.remaining() > 0 {
        let window = cursor.u8()?;
        let bitmap = cursor.counted()?;
        if bitmap.is_empty() || bitmap.len() > 32 || last_window.is_some_and(|last| last >= window)
        {
            return Err(Fault::Invalid);
        }
        last_window = Some(window);
        push_bitmap(text, &mut blank, window, bitmap);
    }
    Ok(())
}

/// The types of one window, each after a blank but for the very first.
fn push_bitmap(text: &mut String, blank: &mut &'static str, window: u8, bitmap: &[u8]) {
    for (index, byte) in bitmap.iter().enumerate() {
        for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
            // Window, index and bit fill 16 bits; more bytes than a window has mean nothing.
            let Ok(low) = u8::try_from(index << 3 | bit) else {
                return;
            };
            text.push_str(blank);
            text.push_str(&type_word(u16::from_be_bytes([window, low])));
            *blank = " ";
        }
    }
}

/// Seconds since 1970 as `YYYYMMDDHHmmSS` (RFC 4034, section 3.2).
fn push_date(text: &mut String, seconds: u32) {
    let (days, in_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's days-to-civil with years that begin in March, for dates from 1970 on.
    let shifted = days + 719_468;
    let (era, in_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    let (hour, minute, second) = (in_day / 3_600, in_day / 60 % 60, in_day % 60);
    push_display(
        text,
        format_args!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}"),
    );
}

#[cfg(test)]
mod tests;
