//! `peer_ip(role, client_ip, server_ip)`: the address at the other end.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray as _, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::docs::Docs;
use super::texts;

/// Chooses the address that is not this machine's process.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct PeerIp {
    signature: Signature,
}

impl PeerIp {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for PeerIp {
    fn name(&self) -> &'static str {
        "peer_ip"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [_, _, _] = arguments else {
            return plan_err!(
                "peer_ip takes three values: a role, the client's address and the server's"
            );
        };
        for argument in arguments {
            texts::coerced("peer_ip", argument)?;
        }
        Ok(vec![DataType::Utf8; 3])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [roles, clients, servers] = arrays.as_slice() else {
            return exec_err!("peer_ip takes three values");
        };
        let (clients, servers) = (clients.as_string::<i32>(), servers.as_string::<i32>());
        let peers: StringArray = roles
            .as_string::<i32>()
            .iter()
            .zip(clients.iter().zip(servers))
            .map(|(role, (client, server))| match role? {
                "client" => server,
                "server" => client,
                _ => None,
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(peers)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "peer_ip(role, client_ip, server_ip)",
        answers: "The address at the other end, as seen from the process of the row: the server's where it is the \
            client, the client's where it is the server. NULL where the role is NULL (imported traffic) or another \
            word, or that address is.",
        arguments: &[
            ("role", "the column role: client or server"),
            ("client_ip", "address of the client; of flows, src_ip"),
            ("server_ip", "address of the server; of flows, dst_ip"),
        ],
        example: "SELECT process, peer_ip(role, src_ip, dst_ip) AS peer, sum(bytes_sent + bytes_received) AS bytes\n\
            FROM flows GROUP BY process, peer ORDER BY bytes DESC",
    }
    .build()
});
