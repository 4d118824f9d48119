//! weir's files, read by other people's readers.

use weir_tests::{Dnsmasq, Lab, Nginx, ParquetReader, skip};

#[test]
fn other_readers_find_the_same_rows_with_the_right_types() {
    const NAME: &str = "parquet-readers";
    let Some(lab) = Lab::new(NAME, &["nginx", "curl", "dig", "dnsmasq"]) else {
        return;
    };
    if !ParquetReader::are_installed() {
        skip(
            NAME,
            "there is no Python environment with the readers (tools/setup.sh test makes it)",
        );
        return;
    }
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let dns = Dnsmasq::start(lab.inside());
    // Two runs: the files of several are one table.
    for _ in 0..2 {
        let weir = lab.weir();
        let urls = nginx.url("/big") + "#[1-25]";
        lab.inside().run("curl", &["-s", "-o", "/dev/null", &urls]);
        dns.dig(lab.inside(), "www.weir.test", "A");
        weir.rows_when("SELECT time FROM http_events", "all rows", |rows| {
            rows.len() >= 50
        });
        weir.stop();
    }

    let tables: [(&str, &[&str]); 3] = [
        (
            "http_events",
            &["resp_body_bytes", "latency_ns", "server_port", "status"],
        ),
        ("dns_events", &["dns_id", "latency_ns"]),
        ("flows", &["bytes_sent", "bytes_received", "packets_sent"]),
    ];
    for (table, sums) in tables {
        let totals: Vec<String> = sums
            .iter()
            .map(|column| format!(", CAST(sum({column}) AS BIGINT) AS {column}"))
            .collect();
        let ours = lab.offline(&format!(
            "SELECT count(*) AS n{} FROM {table}",
            totals.concat()
        ));
        let ours = &ours[0];
        for reader in ParquetReader::ALL {
            let read = reader.read(&lab.data(), table, sums);
            assert_eq!(
                Some(read.rows),
                ours.int("n"),
                "rows of {table}, {reader:?}"
            );
            for column in sums {
                assert_eq!(
                    read.sums.get(*column).copied(),
                    ours.int(column),
                    "sum of {column}, {reader:?}"
                );
            }
            // Between 2020 and 2100: microseconds, and not of another unit.
            assert!(
                (1_577_836_800_000_000..4_102_444_800_000_000).contains(&read.first_time),
                "{read:?}"
            );
            for (column, kinds) in expected_types(table) {
                let kind = kinds[reader as usize];
                let found = read
                    .types
                    .get(column)
                    .map(String::as_str)
                    .unwrap_or_default();
                assert!(
                    found.starts_with(kind),
                    "{table}.{column} is {found}, not {kind}, for {reader:?}"
                );
            }
        }
    }
}

/// How types begin in the words of `DuckDB`, pyarrow and Polars.
fn expected_types(table: &str) -> Vec<(&'static str, [&'static str; 3])> {
    const TIME: [&str; 3] = [
        "TIMESTAMP WITH TIME ZONE",
        "timestamp[us, tz=UTC]",
        "Datetime(time_unit='us', time_zone='UTC')",
    ];
    const INTEGER: [&str; 3] = ["BIGINT", "int64", "Int64"];
    const PORT: [&str; 3] = ["USMALLINT", "uint16", "UInt16"];
    match table {
        "http_events" => vec![
            ("time", TIME),
            ("latency_ns", INTEGER),
            ("conn_id", INTEGER),
            ("resp_body_bytes", INTEGER),
            ("status", PORT),
            ("server_port", PORT),
            ("tls", ["BOOLEAN", "bool", "Boolean"]),
            ("path", ["VARCHAR", "string", "String"]),
            (
                "req_headers",
                [
                    "MAP(VARCHAR, VARCHAR)",
                    "map<string, string",
                    "Map(String, String)",
                ],
            ),
        ],
        "dns_events" => vec![
            ("time", TIME),
            ("latency_ns", INTEGER),
            ("answer_ips", ["VARCHAR[]", "list<", "List(String)"]),
            (
                "answers",
                ["STRUCT(", "list<", "List(Struct({'name': String, 'type': "],
            ),
        ],
        _ => vec![
            ("time", TIME),
            ("start_time", TIME),
            ("bytes_sent", INTEGER),
            ("dst_port", PORT),
        ],
    }
}
