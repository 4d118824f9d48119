//! `is_private(ip)`: whether an address is one that the internet has no way to.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use arrow::array::BooleanArray;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::docs::Docs;
use super::texts;

/// Tells a network's own addresses from those of the internet.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct IsPrivate {
    signature: Signature,
}

impl IsPrivate {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for IsPrivate {
    fn name(&self) -> &'static str {
        "is_private"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [ip] = arguments else {
            return plan_err!("is_private takes one value: an address");
        };
        Ok(vec![texts::coerced("is_private", ip)?])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ip] = arguments.args.as_slice() else {
            return exec_err!("is_private takes one value");
        };
        texts::map_each::<BooleanArray, _>(ip, |ip| Some(is_private(ip.parse().ok()?)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && second & 0b1100_0000 == 64;
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address == Ipv4Addr::BROADCAST
                || first == 0
                || is_shared
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_multicast()
        }
    }
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "is_private(ip)",
        answers: "Whether the internet has no way to that address: private networks (10/8, 172.16/12, 192.168/16, \
            fc00::/7), shared ones of providers (100.64/10), loopback, link-local, multicast, broadcast and \
            unspecified addresses. An IPv4 address inside IPv6 (::ffff:10.0.0.1) counts as the IPv4 one. NULL for NULL \
            and for what is no address.",
        arguments: &[("ip", "an address as text")],
        example: "SELECT dst_ip, sum(bytes_sent) FROM flows WHERE role = 'client' AND NOT is_private(dst_ip) GROUP BY dst_ip",
    }
    .build()
});

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn what_the_internet_cannot_reach_is_private() {
        for (address, expected) in [
            ("10.0.0.1", true),
            ("172.16.0.1", true),
            ("172.31.255.255", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("192.169.0.1", false),
            ("100.63.255.255", false),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("127.0.0.53", true),
            ("169.254.169.254", true),
            ("224.0.0.251", true),
            ("255.255.255.255", true),
            ("0.0.0.0", true),
            ("8.8.8.8", false),
            ("::1", true),
            ("::", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("ff02::fb", true),
            ("2606:4700::1111", false),
            ("::ffff:10.1.2.3", true),
            ("::ffff:8.8.8.8", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), expected, "{address}");
        }
    }
}
