//! Record data in presentation form, as dig prints it, but for the final dots of names and the blanks that dig puts
//! into long hexadecimal and base64.
//!
//! A type is one line in [`layout`]: the fields of its data in order.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
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
    /// The rest as bytes with dashes (EUI-48, EUI-64).
    DashedRest,
    /// A counted salt in hexadecimal, "-" when empty.
    Salt,
    /// A counted hash in base32hex.
    Hash,
    /// The number of a type as its word.
    Type,
    /// The rest as a bitmap of types.
    Types,
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
}

/// The fields of a type's data; `None` for types that are shown as unknown data.
const fn layout(rtype: u16) -> Option<&'static [Field]> {
    use Field::{
        Bare, Base64Rest, DashedRest, Date, Hash, HexRest, Location, Locator, Name, Parameters,
        Prefixes, QuotedRest, Salt, Text, Texts, Type, Types, U8, U16, U32, V4, V6,
    };
    Some(match rtype {
        // A
        1 => &[V4],
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, NSAP-PTR, DNAME
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 23 | 39 => &[Name],
        // SOA
        6 => &[Name, Name, U32, U32, U32, U32, U32],
        // HINFO
        13 => &[Text, Text],
        // MINFO, RP, TALINK
        14 | 17 | 58 => &[Name, Name],
        // MX, AFSDB, RT, KX, LP
        15 | 18 | 21 | 36 | 107 => &[U16, Name],
        // TXT, ISDN, NINFO, SPF, AVC, RESINFO, WALLET
        16 | 20 | 56 | 99 | 258 | 261 | 262 => &[Texts],
        // X25
        19 => &[Text],
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
        // SRV
        33 => &[U16, U16, U16, Name],
        // NAPTR
        35 => &[U16, U16, Text, Text, Text, Name],
        // CERT
        37 => &[U16, U16, U8, Base64Rest],
        // APL
        42 => &[Prefixes],
        // DS, CDS, TA, DLV
        43 | 59 | 32768 | 32769 => &[U16, U8, U8, HexRest],
        // SSHFP
        44 => &[U8, U8, HexRest],
        // NSEC
        47 => &[Name, Types],
        // DHCID, OPENPGPKEY
        49 | 61 => &[Base64Rest],
        // NSEC3
        50 => &[U8, U8, U16, Salt, Hash, Types],
        // NSEC3PARAM
        51 => &[U8, U8, U16, Salt],
        // TLSA, SMIMEA
        52 | 53 => &[U8, U8, U8, HexRest],
        // CSYNC
        62 => &[U32, U16, Types],
        // ZONEMD
        63 => &[U32, U8, U8, HexRest],
        // SVCB, HTTPS
        64 | 65 => &[U16, Name, Parameters],
        // NID, L64
        104 | 106 => &[U16, Locator],
        // L32
        105 => &[U16, V4],
        // EUI48, EUI64
        108 | 109 => &[DashedRest],
        // URI
        256 => &[U16, U16, QuotedRest],
        // CAA
        257 => &[U8, Bare, QuotedRest],
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
        Field::U8 => push_display(text, cursor.u8()?),
        Field::U16 => push_display(text, cursor.u16()?),
        Field::U32 => push_display(text, cursor.u32()?),
        Field::V4 => push_display(text, Ipv4Addr::from(cursor.u32()?)),
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
        Field::DashedRest => {
            for (index, byte) in cursor.rest().iter().enumerate() {
                let dash = if index == 0 { "" } else { "-" };
                push_display(text, format_args!("{dash}{byte:02x}"));
            }
        }
        Field::Salt => match cursor.counted()? {
            [] => text.push('-'),
            salt => push_hex(text, salt),
        },
        Field::Hash => push_base32_hex(text, cursor.counted()?),
        Field::Type => text.push_str(&type_word(cursor.u16()?)),
        Field::Types => push_types(text, cursor)?,
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
        Field::Location => push_location(text, cursor)?,
        Field::Parameters => push_parameters(text, cursor)?,
        Field::Prefixes => push_prefixes(text, cursor)?,
    }
    Ok(())
}

pub(super) fn push_display(text: &mut String, value: impl std::fmt::Display) {
    // Writing to a String does not fail.
    let _ = write!(text, "{value}");
}

/// Type bitmaps (RFC 4034, section 4.1.2).
fn push_types(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let mut is_first = true;
    let mut last_window = None;
    while cursor.remaining() > 0 {
        let window = cursor.u8()?;
        let bitmap = cursor.counted()?;
        if bitmap.is_empty() || bitmap.len() > 32 || last_window.is_some_and(|last| last >= window)
        {
            return Err(Fault::Invalid);
        }
        last_window = Some(window);
        for (index, byte) in bitmap.iter().enumerate() {
            for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
                let rtype = usize::from(window) << 8 | index << 3 | bit;
                if !is_first {
                    text.push(' ');
                }
                is_first = false;
                // Window, index and bit fill 16 bits.
                text.push_str(&type_word(rtype as u16));
            }
        }
    }
    Ok(())
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

/// LOC (RFC 1876): degrees, minutes and seconds, altitude, size and precisions in metres.
fn push_location(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    if cursor.u8()? != 0 {
        return Err(Fault::Invalid);
    }
    let sizes = [cursor.u8()?, cursor.u8()?, cursor.u8()?];
    let latitude = cursor.u32()?;
    let longitude = cursor.u32()?;
    let altitude = i64::from(cursor.u32()?) - 10_000_000;
    for (angle, positive, negative) in [(latitude, 'N', 'S'), (longitude, 'E', 'W')] {
        // Thousandths of a second of arc, with the equator or prime meridian at 2^31.
        let offset = i64::from(angle) - (1 << 31);
        let hemisphere = if offset < 0 { negative } else { positive };
        let thousandths = offset.unsigned_abs();
        let (degrees, minutes) = (thousandths / 3_600_000, thousandths / 60_000 % 60);
        let (seconds, fraction) = (thousandths / 1_000 % 60, thousandths % 1_000);
        push_display(
            text,
            format_args!("{degrees} {minutes} {seconds}.{fraction:03} {hemisphere} "),
        );
    }
    let sign = if altitude < 0 { "-" } else { "" };
    let centimetres = altitude.unsigned_abs();
    push_display(
        text,
        format_args!("{sign}{}.{:02}m", centimetres / 100, centimetres % 100),
    );
    for size in sizes {
        // A mantissa and a power of ten, in centimetres.
        let (mantissa, exponent) = (u64::from(size >> 4), u32::from(size & 15));
        if mantissa > 9 || exponent > 9 {
            return Err(Fault::Invalid);
        }
        let centimetres = mantissa * 10u64.pow(exponent);
        if centimetres >= 100 {
            push_display(text, format_args!(" {}m", centimetres / 100));
        } else {
            push_display(text, format_args!(" 0.{centimetres:02}m"));
        }
    }
    Ok(())
}

/// APL (RFC 3123): `1:192.0.2.0/24 !2:2001:db8::/32`.
fn push_prefixes(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let mut separator = "";
    while cursor.remaining() > 0 {
        let family = cursor.u16()?;
        let length = cursor.u8()?;
        let negation_and_count = cursor.u8()?;
        let negation = if negation_and_count & 0x80 == 0 {
            ""
        } else {
            "!"
        };
        let bytes = cursor.take(usize::from(negation_and_count & 0x7F))?;
        // Trailing zero bytes are not sent.
        let mut address = [0u8; 16];
        address
            .get_mut(..bytes.len())
            .ok_or(Fault::Invalid)?
            .copy_from_slice(bytes);
        let bits = u128::from_be_bytes(address);
        push_display(text, format_args!("{separator}{negation}{family}:"));
        match family {
            1 if bytes.len() <= 4 => push_display(text, Ipv4Addr::from((bits >> 96) as u32)),
            2 => push_display(text, Ipv6Addr::from(bits)),
            _ => return Err(Fault::Invalid),
        }
        push_display(text, format_args!("/{length}"));
        separator = " ";
    }
    Ok(())
}

#[cfg(test)]
mod tests;
