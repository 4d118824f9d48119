//! The built binary as people run it.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod scripts;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn weir(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).env_remove("WEIR_SERVER");
    command
}

fn run(arguments: &[&str]) -> Output {
    weir(arguments).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr_of_failure(output: &Output) -> String {
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    errors
}

/// A running `weir serve`; killed when a test fails before it is stopped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        let data = data.to_str().unwrap();
        let mut process = weir(&[
            "serve",
            "--no-capture",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        assert!(
            ready.starts_with("weir is ready: http://127.0.0.1:"),
            "{ready}"
        );
        assert!(ready.contains(data), "{ready}");
        let url = ready
            .split([' ', ','])
            .find(|word| word.starts_with("http://"));
        Self {
            url: url.unwrap().to_owned(),
            process,
        }
    }

    fn terminate(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_server_answers_ends_on_sigterm_and_starts_again() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("weir-data");
    for _ in 0..2 {
        let server = Server::start(&data);
        let answer = run(&[
            "sql",
            "--server",
            &server.url,
            "--format",
            "csv",
            "SELECT 1 + 1 AS n",
        ]);
        assert_eq!(stdout(&answer), "n\n2\n");
        server.terminate();
    }
}

#[test]
fn a_directory_in_use_is_named() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let second = run(&[
        "serve",
        "--no-capture",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data.path().to_str().unwrap(),
    ]);
    let errors = stderr_of_failure(&second);
    assert!(errors.contains("is in use by process"), "{errors}");
    assert!(errors.contains(data.path().to_str().unwrap()), "{errors}");
    server.terminate();
}

#[test]
fn sql_speaks_every_format_offline_and_online_alike() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let directory = data.path().to_str().unwrap();
    for format in ["table", "ndjson", "csv", "arrow", "parquet"] {
        let sql = "SELECT 'a|b' AS text, 7 AS number, [1, 2] AS list";
        let online = run(&["sql", sql, "--server", &server.url, "--format", format]);
        let offline = run(&["sql", sql, "--data", directory, "--format", format]);
        assert!(online.status.success() && offline.status.success());
        assert_eq!(online.stdout, offline.stdout, "{format}");
    }
    let table = run(&[
        "sql",
        "SELECT 7 AS number, 'x' AS text",
        "--data",
        directory,
    ]);
    assert_eq!(
        stdout(&table),
        " number | text\n--------+------\n      7 | x\n(1 row)\n"
    );
    let json = run(&[
        "sql",
        "SELECT 7 AS n",
        "--server",
        &server.url,
        "--format",
        "json",
    ]);
    assert!(stdout(&json).contains("\"rows\":[{\"n\":7}]"));
    server.terminate();
}

#[test]
fn the_functions_are_explained_without_a_server() {
    let text = stdout(&run(&["sql", "--help-functions"]));
    for name in [
        "quantile(x, q)",
        "dns_name(ip [, names])",
        "dns_name(ip, pid, time [, answers])",
        "dns_answers(answers, qname, pid, time)",
        "date_trunc",
    ] {
        assert!(text.contains(name), "{text}");
    }
    let both = run(&["sql", "--help-functions", "SELECT 1"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn a_cut_table_says_so_beside_it() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let sql = "SELECT * FROM (VALUES (1), (2), (3)) AS t(n) ORDER BY n";
    let cut = run(&["sql", sql, "--server", &server.url, "--limit", "2"]);
    assert_eq!(stdout(&cut), " n\n---\n 1\n 2\n(2 rows)\n");
    assert!(String::from_utf8_lossy(&cut.stderr).contains("only the first 2 rows"));
    let whole = run(&["sql", sql, "--server", &server.url, "--limit", "3"]);
    assert!(whole.status.success() && whole.stderr.is_empty());
    server.terminate();
}

#[test]
fn wrong_sql_shows_the_place_and_fails() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let sql = "SELECT time, pth FROM http_events";
    let online = run(&["sql", sql, "--server", &server.url]);
    let offline = run(&["sql", sql, "--data", data.path().to_str().unwrap()]);
    let errors = stderr_of_failure(&online);
    assert_eq!(errors, stderr_of_failure(&offline));
    assert!(
        errors.contains("  | SELECT time, pth FROM http_events\n  |              ^\nhint: "),
        "{errors}"
    );
    assert!(errors.contains("path"), "{errors}");
    server.terminate();
}

#[test]
fn sql_comes_from_standard_input_too() {
    let data = tempfile::tempdir().unwrap();
    Server::start(data.path()).terminate();
    for dash in [&["-"][..], &[]] {
        let mut process = weir(&[
            "sql",
            "--format",
            "csv",
            "--data",
            data.path().to_str().unwrap(),
        ])
        .args(dash)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        process
            .stdin
            .take()
            .unwrap()
            .write_all(b"SELECT 1 AS n\n")
            .unwrap();
        assert_eq!(stdout(&process.wait_with_output().unwrap()), "n\n1\n");
    }
}

#[test]
fn the_environment_names_the_server_unless_a_directory_is_given() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let by_environment = |arguments: &[&str]| {
        let mut command = weir(&["sql", "SELECT 1 AS n", "--format", "csv"]);
        command.args(arguments).env("WEIR_SERVER", &server.url);
        stdout(&command.output().unwrap())
    };
    assert_eq!(by_environment(&[]), "n\n1\n");
    assert_eq!(
        by_environment(&["--data", data.path().to_str().unwrap()]),
        "n\n1\n"
    );
    let both = run(&["sql", "SELECT 1", "--server", &server.url, "--data", "x"]);
    assert_eq!(both.status.code(), Some(2));
    server.terminate();
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let data = tempfile::tempdir().unwrap();
    Server::start(data.path()).terminate();
    let digits = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";
    let sql = format!(
        "SELECT a.n FROM {digits} a(n), {digits} b, {digits} c, {digits} d, {digits} e, {digits} f"
    );
    let mut process = weir(&["sql", &sql, "--format", "csv", "--data"])
        .arg(data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut beginning = [0; 16];
    process
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut beginning)
        .unwrap();
    let output = process.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn what_cannot_work_says_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let nowhere = empty.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for (arguments, expected) in [
        (
            &["sql", "SELECT 1", "--data", nowhere][..],
            "there is no data directory",
        ),
        (
            &["sql", "SELECT 1", "--server", "http://127.0.0.1:1"],
            "start one with `weir serve`",
        ),
        (
            &["serve", "--config", nowhere],
            "cannot read the configuration file",
        ),
        (
            &[
                "serve",
                "--no-capture",
                "--data",
                nowhere,
                "--listen",
                "256.0.0.1:1",
            ],
            "choose another with --listen",
        ),
    ] {
        let errors = stderr_of_failure(&run(arguments));
        assert!(
            errors.starts_with("weir: ") && errors.contains(expected),
            "{errors}"
        );
    }
    assert!(!Path::new(nowhere).exists());
}

#[test]
fn help_and_version_are_there() {
    assert!(stdout(&run(&["--version"])).starts_with("weir "));
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["sql", "--help"],
        &["doctor", "--help"],
    ] {
        assert!(
            stdout(&run(arguments)).contains("Examples:"),
            "{arguments:?}"
        );
    }
}

/// A capture of one DNS query and its answer, as tcpdump writes it on Ethernet.
fn small_capture() -> Vec<u8> {
    let question = b"\x03www\x07example\x00\x00\x01\x00\x01";
    let query = [
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00",
        &question[..],
    ]
    .concat();
    let answer = [
        b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00",
        &question[..],
        b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01",
    ]
    .concat();
    let client = ([10, 0, 0, 1], 40_000);
    let server = ([10, 0, 0, 2], 53);
    // Magic for microseconds, version 2.4, no zone, no accuracy, whole packets, Ethernet.
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (micros, from, to, payload) in [(0, client, server, query), (2_500, server, client, answer)]
    {
        let ethernet = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let packet = ethernet.ipv4(from.0, to.0, 64).udp(from.1, to.1);
        let mut frame = Vec::new();
        packet.write(&mut frame, &payload).unwrap();
        let length = u32::try_from(frame.len()).unwrap();
        for word in [1_769_853_600_u32, micros, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

#[test]
fn a_capture_becomes_rows_that_sql_finds() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("small.pcap");
    std::fs::write(&file, small_capture()).unwrap();
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();
    let report = stdout(&run(&[
        "import",
        file.to_str().unwrap(),
        "--data",
        data,
        "--node",
        "lab",
    ]));
    assert!(report.contains("read     1 file, 2 frames"), "{report}");
    assert!(report.contains("dns_events 1"), "{report}");
    assert!(report.contains("skipped  nothing"), "{report}");
    let sql = "SELECT time, node, qname, qtype, rcode, latency_ns, answer_ips FROM dns_events";
    let answer = run(&["sql", sql, "--data", data, "--format", "csv"]);
    assert_eq!(
        stdout(&answer),
        "time,node,qname,qtype,rcode,latency_ns,answer_ips\n\
         2026-01-31T10:00:00.000000Z,lab,www.example,A,NOERROR,2500000,\"[\"\"192.0.2.1\"\"]\"\n"
    );
    let mut process = weir(&["import", "-", "--data", data])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process
        .stdin
        .take()
        .unwrap()
        .write_all(&small_capture())
        .unwrap();
    stdout(&process.wait_with_output().unwrap());
    let count = run(&[
        "sql",
        "SELECT count(*) AS n FROM dns_events",
        "--data",
        data,
        "--format",
        "csv",
    ]);
    assert_eq!(stdout(&count), "n\n2\n");
}

#[test]
fn one_file_that_is_no_capture_keeps_all_from_being_imported() {
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good.pcap");
    std::fs::write(&good, small_capture()).unwrap();
    let bad = directory.path().join("notes.txt");
    std::fs::write(&bad, "milk, bread, a kernel").unwrap();
    let data = directory.path().join("data");
    let refused = run(&[
        "import",
        good.to_str().unwrap(),
        bad.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ]);
    let errors = stderr_of_failure(&refused);
    assert!(errors.contains("notes.txt: not a capture file"), "{errors}");
    assert!(!errors.contains("good.pcap"), "{errors}");
    assert!(!data.exists());
}

#[test]
fn an_import_beside_a_running_server_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("small.pcap");
    std::fs::write(&file, small_capture()).unwrap();
    let data = directory.path().join("data");
    let server = Server::start(&data);
    let refused = run(&[
        "import",
        file.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ]);
    let errors = stderr_of_failure(&refused);
    assert!(
        errors.contains(&format!("process {}", server.process.id())),
        "{errors}"
    );
    server.terminate();
}
