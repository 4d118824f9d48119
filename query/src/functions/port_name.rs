//! `port_name(port)`: what usually listens on a port.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray as _, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::docs::Docs;

/// Names the ports that people know by heart, and those they always look up.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct PortName {
    signature: Signature,
}

impl PortName {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for PortName {
    fn name(&self) -> &'static str {
        "port_name"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [port] if port.is_integer() || port.is_null() => Ok(vec![DataType::Int64]),
            _ => plan_err!("port_name takes one value: a port as an integer"),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [ports] = arrays.as_slice() else {
            return exec_err!("port_name takes one value");
        };
        let names: StringArray = ports
            .as_primitive::<Int64Type>()
            .iter()
            .map(|port| name(port?))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(names)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

const fn name(port: i64) -> Option<&'static str> {
    Some(match port {
        20 | 21 => "ftp",
        22 => "ssh",
        23 => "telnet",
        25 | 465 | 587 => "smtp",
        53 => "dns",
        67 | 68 => "dhcp",
        69 => "tftp",
        80 => "http",
        88 => "kerberos",
        110 | 995 => "pop3",
        111 => "rpcbind",
        123 => "ntp",
        137..=139 => "netbios",
        143 | 993 => "imap",
        161 | 162 => "snmp",
        179 => "bgp",
        389 | 636 => "ldap",
        443 => "https",
        445 => "smb",
        514 => "syslog",
        853 => "dns-over-tls",
        873 => "rsync",
        1080 => "socks",
        1433 => "mssql",
        1521 => "oracle",
        1883 | 8883 => "mqtt",
        2049 => "nfs",
        2181 => "zookeeper",
        2375 | 2376 => "docker",
        2379 | 2380 => "etcd",
        3128 => "http-proxy",
        3306 => "mysql",
        3389 => "rdp",
        4222 => "nats",
        4317 | 4318 => "otlp",
        5044 => "beats",
        5060 | 5061 => "sip",
        5353 => "mdns",
        5432 => "postgresql",
        5671 | 5672 => "amqp",
        5900 => "vnc",
        5984 => "couchdb",
        6379 => "redis",
        6443 => "kube-apiserver",
        6667 => "irc",
        8080 => "http-alt",
        8086 => "influxdb",
        8123 => "clickhouse-http",
        8443 => "https-alt",
        8500 => "consul",
        9000 => "clickhouse",
        9042 => "cassandra",
        9090 => "prometheus",
        9092 => "kafka",
        9100 => "node-exporter",
        9200 | 9300 => "elasticsearch",
        10250 => "kubelet",
        11211 => "memcached",
        15672 => "rabbitmq-management",
        25565 => "minecraft",
        26257 => "cockroachdb",
        27017 => "mongodb",
        51820 => "wireguard",
        _ => return None,
    })
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "port_name(port)",
        answers: "What usually listens on that port, in one lower-case word: http, https, dns, ssh, postgresql, redis, \
            kafka and some sixty more. It is a guess by the number alone: column l7 says what was spoken. NULL for \
            other ports and for NULL.",
        arguments: &[("port", "a port as an integer")],
        example: "SELECT coalesce(port_name(dst_port), CAST(dst_port AS TEXT)) AS port, sum(bytes_sent) FROM flows GROUP BY port",
    }
    .build()
});
