//! The parameters of SVCB and HTTPS records (RFC 9460).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::encode::{push_base64, push_quoted};
use super::rdata::push_display;
use super::wire::{Cursor, Fault};

/// `alpn="h2,h3" port=8443 ipv4hint=192.0.2.1`: the rest of `cursor` as parameters, separated by blanks.
pub(super) fn push_parameters(text: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let mut last_key = None;
    while cursor.remaining() > 0 {
        let key = cursor.u16()?;
        let length = usize::from(cursor.u16()?);
        let value = cursor.take(length)?;
        if last_key.is_some_and(|last| last >= key) {
            return Err(Fault::Invalid);
        }
        if last_key.is_some() {
            text.push(' ');
        }
        last_key = Some(key);
        push_parameter(text, key, value)?;
    }
    Ok(())
}

fn push_parameter(text: &mut String, key: u16, value: &[u8]) -> Result<(), Fault> {
    push_key(text, key);
    match key {
        0 => push_list::<2>(text, value, |text, bytes| {
            push_key(text, u16::from_be_bytes(bytes));
        })?,
        1 => push_protocols(text, value)?,
        3 => {
            let port = value.try_into().map_err(|_| Fault::Invalid)?;
            push_display(text, format_args!("={}", u16::from_be_bytes(port)));
        }
        4 => push_list::<4>(text, value, |text, bytes| {
            push_display(text, Ipv4Addr::from(bytes));
        })?,
        6 => push_list::<16>(text, value, |text, bytes| {
            push_display(text, Ipv6Addr::from(bytes));
        })?,
        5 => {
            text.push('=');
            push_base64(text, value);
        }
        // no-default-alpn, ohttp, and others without a value.
        _ if value.is_empty() => {}
        _ => {
            text.push('=');
            push_quoted(text, value);
        }
    }
    Ok(())
}

fn push_key(text: &mut String, key: u16) {
    match key {
        0 => text.push_str("mandatory"),
        1 => text.push_str("alpn"),
        2 => text.push_str("no-default-alpn"),
        3 => text.push_str("port"),
        4 => text.push_str("ipv4hint"),
        5 => text.push_str("ech"),
        6 => text.push_str("ipv6hint"),
        7 => text.push_str("dohpath"),
        8 => text.push_str("ohttp"),
        _ => push_display(text, format_args!("key{key}")),
    }
}

/// One or more values of `N` bytes each, separated by commas.
fn push_list<const N: usize>(
    text: &mut String,
    value: &[u8],
    push: impl Fn(&mut String, [u8; N]),
) -> Result<(), Fault> {
    let (items, rest) = value.as_chunks::<N>();
    if items.is_empty() || !rest.is_empty() {
        return Err(Fault::Invalid);
    }
    for (index, item) in items.iter().enumerate() {
        text.push(if index == 0 { '=' } else { ',' });
        push(text, *item);
    }
    Ok(())
}

/// ALPN identifiers: a comma or backslash inside one is escaped for the list, and then again for the quoted string.
fn push_protocols(text: &mut String, value: &[u8]) -> Result<(), Fault> {
    let mut cursor = Cursor::new(value, 0..value.len());
    let mut list = Vec::with_capacity(value.len());
    while cursor.remaining() > 0 {
        let protocol = cursor.counted()?;
        if protocol.is_empty() {
            return Err(Fault::Invalid);
        }
        if !list.is_empty() {
            list.push(b',');
        }
        for &byte in protocol {
            if matches!(byte, b',' | b'\\') {
                list.push(b'\\');
            }
            list.push(byte);
        }
    }
    if list.is_empty() {
        return Err(Fault::Invalid);
    }
    text.push('=');
    push_quoted(text, &list);
    Ok(())
}
