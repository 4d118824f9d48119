//! `ip_in('10.0.0.0/8', client_ip)`: whether an address lies in a network.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray as _, BooleanArray};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::docs::Docs;

/// Evaluates a dictionary column once for each distinct address.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct IpIn {
    signature: Signature,
}

impl IpIn {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for IpIn {
    fn name(&self) -> &'static str {
        "ip_in"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [network, address] = arguments else {
            return plan_err!("ip_in takes two values: a network like '10.0.0.0/8' and an address");
        };
        let is_text = |data_type: &DataType| {
            data_type.is_string()
                || data_type.is_null()
                || matches!(data_type, DataType::Dictionary(_, value) if value.is_string())
        };
        if !is_text(network) || !is_text(address) {
            return plan_err!("ip_in takes texts: a network like '10.0.0.0/8' and an address");
        }
        let address = match address {
            DataType::Dictionary(..) => address.clone(),
            _ => DataType::Utf8,
        };
        Ok(vec![DataType::Utf8, address])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [network, address] = arguments.args.as_slice() else {
            return exec_err!("ip_in takes two values");
        };
        let network = match network {
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) => Network::parse(text)?,
            ColumnarValue::Scalar(_) => {
                return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
            }
            ColumnarValue::Array(_) => return exec_err!("ip_in needs a constant network"),
        };
        match address {
            ColumnarValue::Array(addresses) => {
                Ok(ColumnarValue::Array(contains_each(network, addresses)?))
            }
            ColumnarValue::Scalar(address) => {
                let inside = contains_each(network, &address.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                    &inside, 0,
                )?))
            }
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "ip_in(network, ip)",
        answers: "Whether the address lies in the network. An IPv4 address inside IPv6 (::ffff:10.0.0.1) counts as the \
            IPv4 one; otherwise an address of one kind lies in no network of the other. NULL for NULL and for what is \
            no address; what is no network is an error.",
        arguments: &[
            ("network", "a constant such as '10.0.0.0/8' or 'fd00::/8', or a single address"),
            ("ip", "an address as text"),
        ],
        example: "SELECT count(*) FROM http_events WHERE ip_in('10.0.0.0/8', client_ip)",
    }
    .build()
});

fn contains_each(network: Network, addresses: &ArrayRef) -> Result<ArrayRef> {
    if let Some(dictionary) = addresses.as_any_dictionary_opt() {
        let inside = contains_each(network, dictionary.values())?;
        return Ok(take(&inside, dictionary.keys(), None)?);
    }
    let Some(addresses) = addresses.as_string_opt::<i32>() else {
        return exec_err!("ip_in needs addresses as text");
    };
    let inside: BooleanArray = addresses
        .iter()
        .map(|address| Some(network.contains(address?.parse().ok()?)))
        .collect();
    Ok(Arc::new(inside))
}

/// An IPv4 or IPv6 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// `10.0.0.0/8`, `fd00::/8`, or a single address.
    fn parse(text: &str) -> Result<Self> {
        let no_network = || {
            exec_datafusion_err!("'{text}' is no network: write it like '10.0.0.0/8' or 'fd00::/8'")
        };
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| no_network())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| no_network())?,
            None => bits,
        };
        if prefix > bits {
            return Err(no_network());
        }
        Ok(Self { address, prefix })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, address, is_inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.8", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "2001:db8::1", true),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
        ] {
            let contains = Network::parse(network)
                .unwrap()
                .contains(address.parse().unwrap());
            assert_eq!(contains, is_inside, "{address} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/x", "/8"] {
            Network::parse(text).unwrap_err();
        }
    }
}
