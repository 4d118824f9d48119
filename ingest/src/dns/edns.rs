//! EDNS: what an OPT record says (RFC 6891).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::wire::{Cursor, Fault};

/// The option that tells a server which subnet a client is in (RFC 7871).
const CLIENT_SUBNET: u16 = 8;
/// The bit of an OPT record's TTL by which a client asks for DNSSEC records.
const DNSSEC_OK: u32 = 0x8000;

/// An OPT record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP payload that its sender takes, in bytes.
    pub udp_size: u16,
    /// Whether DNSSEC records are wanted (DO).
    pub dnssec_ok: bool,
    /// The client's subnet as dig prints it: address, prefix length of the source, and that of the scope.
    pub client_subnet: Option<String>,
}

impl Edns {
    /// Of the class, TTL and data of the record. An option that is not as its specification says is passed over.
    pub(super) fn of(class: u16, ttl: u32, data: &[u8]) -> Self {
        let mut options = Cursor::new(data, 0..data.len());
        Self {
            udp_size: class,
            dnssec_ok: ttl & DNSSEC_OK != 0,
            client_subnet: find(&mut options, CLIENT_SUBNET).and_then(client_subnet),
        }
    }
}

/// What a query and its response tell together: the size is of the client, the subnet of the server, which has said
/// for whom else its answer is good.
pub(super) fn merge(query: Option<Edns>, response: Option<Edns>) -> Option<Edns> {
    let (query, response) = match (query, response) {
        (Some(query), Some(response)) => (query, response),
        (one, other) => return one.or(other),
    };
    Some(Edns {
        udp_size: query.udp_size,
        dnssec_ok: query.dnssec_ok || response.dnssec_ok,
        client_subnet: response.client_subnet.or(query.client_subnet),
    })
}

/// The value of the first option with this code.
fn find<'a>(options: &mut Cursor<'a>, wanted: u16) -> Option<&'a [u8]> {
    let mut next = || -> Result<(u16, &'a [u8]), Fault> {
        let code = options.u16()?;
        let length = options.u16()?;
        Ok((code, options.take(usize::from(length))?))
    };
    loop {
        let (code, value) = next().ok()?;
        if code == wanted {
            return Some(value);
        }
    }
}

/// RFC 7871, section 6: a family, two prefix lengths, and as many bytes of the address as the first needs.
fn client_subnet(value: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(value, 0..value.len());
    let family = cursor.u16().ok()?;
    let source = cursor.u8().ok()?;
    let scope = cursor.u8().ok()?;
    let sent = cursor.rest();
    let mut bytes = [0; 16];
    bytes.get_mut(..sent.len())?.copy_from_slice(sent);
    let bits = u128::from_be_bytes(bytes);
    let address: IpAddr = match family {
        1 if sent.len() <= 4 => Ipv4Addr::from((bits >> 96) as u32).into(),
        2 => Ipv6Addr::from(bits).into(),
        // Without an address: the client wants none to be passed on.
        0 if sent.is_empty() => return Some(format!("0/{source}/{scope}")),
        _ => return None,
    };
    Some(format!("{address}/{source}/{scope}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet_of(data: &[u8]) -> Option<String> {
        Edns::of(1232, 0, data).client_subnet
    }

    #[test]
    fn size_and_flag_are_in_class_and_ttl() {
        let edns = Edns::of(4096, 0x0100_8000, b"");
        assert_eq!((edns.udp_size, edns.dnssec_ok), (4096, true));
        assert!(!Edns::of(512, 0xFFFF_7FFF, b"").dnssec_ok);
    }

    #[test]
    fn a_client_subnet_is_found_behind_other_options() {
        let cookie = b"\0\x0A\0\x08abcdefgh";
        let v4 = b"\0\x08\0\x07\0\x01\x18\0\xC0\0\x02";
        assert_eq!(
            subnet_of(&[&cookie[..], v4].concat()).as_deref(),
            Some("192.0.2.0/24/0")
        );
        let v6 = b"\0\x08\0\x08\0\x02\x20\x30\x20\x01\x0D\xB8";
        assert_eq!(subnet_of(v6).as_deref(), Some("2001:db8::/32/48"));
        let none = b"\0\x08\0\x04\0\0\0\0";
        assert_eq!(subnet_of(none).as_deref(), Some("0/0/0"));
    }

    #[test]
    fn a_wrong_option_tells_nothing() {
        for data in [
            &b"\0\x08"[..],
            b"\0\x08\0\x07\0\x01\x18\0\xC0\0",
            b"\0\x08\0\x03\0\x01\x18",
            b"\0\x08\0\x09\0\x01\x20\0\x01\x02\x03\x04\x05",
            b"\0\x08\0\x05\0\x09\x08\0\x01",
        ] {
            assert_eq!(subnet_of(data), None, "{data:x?}");
        }
    }
}
