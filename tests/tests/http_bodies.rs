//! Sizes and kinds of HTTP messages between real programs, as rows of `http_events`.

use std::fs;

use weir_tests::http::{both_ends, curl, one_at_both_ends, start_app};
use weir_tests::{Lab, Nginx, Row, assert_column};

#[test]
fn a_megabyte_is_counted_exactly() {
    let Some(lab) = Lab::new("http-megabyte", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let urls = nginx.url("/big") + "#[1-5]";
    curl(lab.inside(), &[&urls]);
    for rows in both_ends(&weir, 5) {
        assert_column(&rows, "resp_body_bytes", Nginx::BIG_BYTES);
        assert_column(&rows, "resp_body_framing", "content_length");
        assert_column(&rows, "outcome", "ok");
    }
}

/// A chunked body is told by its decoded size, or by its size on the wire (between the two limits) and marked so.
fn assert_chunked(row: &Row, bytes: &str, framing: &str, decoded: i64, wire: i64) {
    let size = row.int(bytes).unwrap_or_default();
    match row.text(framing) {
        Some("chunked") => assert_eq!(size, decoded, "{row:?}"),
        Some("chunked_wire") => assert!((decoded..=wire).contains(&size), "{row:?}"),
        other => panic!("{framing} is {other:?} in {row:?}"),
    }
}

#[test]
fn chunked_bodies_have_their_decoded_size_or_say_that_it_is_the_wires() {
    let Some(lab) = Lab::new("http-chunked", &["curl"]) else {
        return;
    };
    let weir = lab.weir();
    let (_app, port) = start_app(lab.inside());
    let url = |query: &str| format!("http://127.0.0.1:{port}/chunked?{query}");
    curl(lab.inside(), &[&url("chunks=5&size=10")]);
    curl(lab.inside(), &[&url("chunks=200&size=10000")]);
    curl(lab.inside(), &[&url("chunks=5&size=10")]);
    for rows in both_ends(&weir, 3) {
        assert_column(&rows, "outcome", "ok");
        let (bytes, framing) = ("resp_body_bytes", "resp_body_framing");
        // Around each chunk its size in hexadecimal and two line ends; at the end the empty chunk and a line end.
        assert_chunked(&rows[0], bytes, framing, 50, 50 + 5 * 5 + 5);
        assert_chunked(&rows[1], bytes, framing, 2_000_000, 2_000_000 + 200 * 8 + 5);
        assert_chunked(&rows[2], bytes, framing, 50, 50 + 5 * 5 + 5);
    }
}

#[test]
fn what_nginx_compresses_on_the_way_is_counted_as_sent() {
    let Some(lab) = Lab::new("http-gzip", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let url = nginx.url("/text");
    let received: i64 = lab
        .inside()
        .run(
            "curl",
            &[
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{size_download}",
                "-H",
                "Accept-Encoding: gzip",
                &url,
            ],
        )
        .parse()
        .expect("curl writes a number");
    for row in one_at_both_ends(&weir) {
        assert_chunked(
            &row,
            "resp_body_bytes",
            "resp_body_framing",
            received,
            received + 100,
        );
        assert_eq!(row.text("content_type"), Some("text/plain"));
    }
}

#[test]
fn uploads_have_their_size() {
    let Some(lab) = Lab::new("http-upload", &["curl"]) else {
        return;
    };
    let weir = lab.weir();
    let (_app, port) = start_app(lab.inside());
    let url = format!("http://127.0.0.1:{port}/echo");
    let upload = |size: usize, options: &[&str]| {
        let file = lab.directory().join("upload");
        fs::write(&file, vec![b'u'; size]).expect("the test's directory can be written");
        let data = format!("@{}", file.display());
        let mut words = vec!["-sS", "--data-binary", &data];
        words.extend(options);
        words.push(&url);
        assert_eq!(lab.inside().run("curl", &words), format!("{size}\n"));
    };
    upload(10, &[]);
    upload(300_000, &[]);
    // Above a megabyte curl asks first whether it may (Expect: 100-continue), and gets an interim response.
    upload(3_000_000, &[]);
    upload(300_000, &["-H", "Transfer-Encoding: chunked"]);
    for rows in both_ends(&weir, 4) {
        assert_column(&rows, "method", "POST");
        assert_column(&rows, "status", 200);
        assert_column(&rows, "outcome", "ok");
        for (row, size) in rows.iter().zip([10, 300_000, 3_000_000]) {
            assert_eq!(row.int("req_body_bytes"), Some(size), "{row:?}");
            assert_eq!(
                row.text("req_body_framing"),
                Some("content_length"),
                "{row:?}"
            );
        }
        assert_chunked(
            &rows[3],
            "req_body_bytes",
            "req_body_framing",
            300_000,
            310_000,
        );
    }
}

#[test]
fn answers_without_a_body_and_errors_are_told_as_they_are() {
    let Some(lab) = Lab::new("http-statuses", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    curl(lab.inside(), &["--head", &nginx.url("/big")]);
    let later = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT";
    curl(lab.inside(), &["-H", later, &nginx.url("/small")]);
    curl(lab.inside(), &[&nginx.url("/nowhere")]);
    curl(lab.inside(), &[&nginx.url("/fail")]);
    for rows in both_ends(&weir, 4) {
        assert_column(&rows, "outcome", "ok");
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.text("method"), row.int("status")))
            .collect();
        let expected = [("HEAD", 200), ("GET", 304), ("GET", 404), ("GET", 500)];
        assert_eq!(
            told,
            expected.map(|(method, status)| (Some(method), Some(status)))
        );
        assert_eq!(
            rows[0].int("resp_body_bytes"),
            Some(0),
            "a response to HEAD has no body: {:?}",
            rows[0]
        );
        assert_eq!(
            rows[1].int("resp_body_bytes"),
            Some(0),
            "a 304 has no body: {:?}",
            rows[1]
        );
        assert!(rows[2].int("resp_body_bytes") > Some(0), "{:?}", rows[2]);
    }
}
