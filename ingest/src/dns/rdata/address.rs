//! Where something is: on the earth, behind a gateway, in a network.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::push_display;
use crate::dns::wire::{Cursor, Fault, Letters};

/// LOC (RFC 1876): degrees, minutes and seconds, altitude, size and precisions in metres.
pub(super) fn push_location(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
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
pub(super) fn push_prefixes(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
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

/// `1 2 192.0.2.38`: kind of the gateway, algorithm, gateway (RFC 4025, section 3).
pub(super) fn push_gateway(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let kind = cursor.u8()?;
    let algorithm = cursor.u8()?;
    push_display(text, format_args!("{kind} {algorithm} "));
    push_host(text, cursor, kind)
}

/// `0 1 203.0.113.15`: whether discovery is optional, kind of the relay, relay (RFC 8777, section 4).
pub(super) fn push_relay(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let bits = cursor.u8()?;
    let (is_optional, kind) = (bits >> 7, bits & 0x7F);
    push_display(text, format_args!("{is_optional} {kind} "));
    push_host(text, cursor, kind)
}

/// Nothing ("."), an address or a name.
fn push_host(text: &mut String, cursor: &mut Cursor<'_>, kind: u8) -> Result<(), Fault> {
    match kind {
        0 => text.push('.'),
        1 => push_display(text, Ipv4Addr::from(cursor.u32()?)),
        2 => push_display(text, Ipv6Addr::from(cursor.u128()?)),
        3 => text.push_str(&cursor.name(Letters::AsSent)?),
        _ => return Err(Fault::Invalid),
    }
    Ok(())
}

/// `25 80`: the ports whose bits are set (RFC 1035, section 3.4.2).
pub(super) fn push_ports(text: &mut String, bitmap: &[u8]) {
    let mut blank = "";
    for (index, byte) in bitmap.iter().enumerate() {
        for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
            push_display(text, format_args!("{blank}{}", index << 3 | bit));
            blank = " ";
        }
    }
}

/// `64 ::1 prefix.example`: length of the prefix, the rest of the address, and the name of the prefix (RFC 2874,
/// section 3.1).
pub(super) fn push_suffix(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    const BITS: u8 = 128;
    let prefix = cursor.u8()?;
    let suffix_bits = BITS.checked_sub(prefix).ok_or(Fault::Invalid)?;
    push_display(text, prefix);
    if suffix_bits > 0 {
        let sent = cursor.take(usize::from(suffix_bits.div_ceil(8)))?;
        let address = sent
            .iter()
            .fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
        push_display(text, format_args!(" {}", Ipv6Addr::from(address)));
    }
    if prefix > 0 {
        push_display(text, format_args!(" {}", cursor.name(Letters::AsSent)?));
    }
    Ok(())
}
