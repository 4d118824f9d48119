//! `weir scripts` and `weir run`.

use std::fs;

use super::{Server, run, small_capture, stderr_of_failure, stdout};

const TWO: &str = "\
-- Two results
-- @param name text = ''
-- @result Names
SELECT qname, rcode FROM dns_events WHERE $__timeFilter(time) AND ($name = '' OR qname = $name);
-- @result Numbers
SELECT 7 AS number;
";

/// A data directory with the rows of a capture file, and a script of its own.
fn imported() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("small.pcap");
    fs::write(&file, small_capture()).unwrap();
    let data = directory.path().join("data");
    let import = run(&[
        "import",
        file.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ]);
    assert!(import.status.success());
    fs::create_dir_all(data.join("scripts/mine")).unwrap();
    fs::write(data.join("scripts/mine/two.sql"), TWO).unwrap();
    directory
}

#[test]
fn a_script_answers_alike_with_a_server_and_without() {
    let directory = imported();
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();
    let server = Server::start(data.as_ref());
    for format in ["table", "ndjson", "csv", "arrow"] {
        let script = |source: [&str; 2]| {
            run(&[
                "run", "mine/two", source[0], source[1], "--from", "0", "--format", format,
            ])
        };
        let online = script(["--server", &server.url]);
        let offline = script(["--data", data]);
        assert!(
            online.status.success(),
            "{}",
            String::from_utf8_lossy(&online.stderr)
        );
        assert!(
            offline.status.success(),
            "{}",
            String::from_utf8_lossy(&offline.stderr)
        );
        assert_eq!(
            String::from_utf8_lossy(&online.stdout),
            String::from_utf8_lossy(&offline.stdout),
            "{format}"
        );
    }
    server.terminate();
    let table = run(&["run", "mine/two", "--data", data, "--from", "0"]);
    assert_eq!(
        stdout(&table),
        "Names\n qname       | rcode\n-------------+---------\n www.example | NOERROR\n(1 row)\n\n\
         Numbers\n number\n--------\n      7\n(1 row)\n"
    );
    let one = run(&[
        "run", "mine/two", "--data", data, "--from", "0", "--result", "numbers", "--format", "csv",
    ]);
    assert_eq!(stdout(&one), "number\n7\n");
    let none = run(&[
        "run", "mine/two", "--data", data, "--from", "0", "-p", "name=x", "--format", "ndjson",
    ]);
    assert_eq!(
        stdout(&none),
        "{\"result\":\"Numbers\",\"row\":{\"number\":7}}\n"
    );
}

#[test]
fn a_range_without_rows_is_told_where_there_are_some() {
    let directory = imported();
    let data = directory.path().join("data");
    let answer = run(&["run", "dns/names", "--data", data.to_str().unwrap()]);
    assert!(answer.status.success());
    let hint = String::from_utf8(answer.stderr.clone()).unwrap();
    let from = hint.trim_end().rsplit(' ').next().unwrap();
    let again = run(&[
        "run",
        "dns/names",
        "--data",
        data.to_str().unwrap(),
        "--from",
        from,
    ]);
    assert!(stdout(&again).contains("www.example"), "{hint}");
    assert!(again.stderr.is_empty());
}

#[test]
fn what_cannot_be_run_fails_with_the_reason() {
    let directory = imported();
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();
    let server = Server::start(data.as_ref());
    for (arguments, expected) in [
        (
            &["http/slwo"][..],
            "weir: there is no script \"http/slwo\"\nhint: did you mean http/slow?\n",
        ),
        (
            &["http/slow", "-p", "rows=many"],
            "weir: `rows` is of type integer: \"many\" is not a whole number\n",
        ),
        (
            &["http/slow", "-p", "slowr=1s"],
            "weir: http/slow has no parameter `slowr`\nhint: did you mean `slower`?\n",
        ),
        (
            &["dns/names", "--result", "9"],
            "weir: dns/names has no result \"9\"\nhint: there are 1 (Names)\n",
        ),
    ] {
        for source in [["--server", &server.url], ["--data", data]] {
            let mut all = vec!["run"];
            all.extend(arguments);
            all.extend(source);
            assert_eq!(stderr_of_failure(&run(&all)), expected);
        }
    }
    let errors = stderr_of_failure(&run(&[
        "run",
        "dns/names",
        "--data",
        data,
        "--from",
        "soon",
    ]));
    assert!(
        errors.starts_with("weir: --from: \"soon\" is no time"),
        "{errors}"
    );
    let errors = stderr_of_failure(&run(&[
        "run", "mine/two", "--data", data, "--format", "parquet",
    ]));
    assert!(
        errors.ends_with("hint: choose one with --result 1, or another --format\n"),
        "{errors}"
    );
    server.terminate();
}

#[test]
fn scripts_are_listed_and_shown_and_a_broken_one_is_named_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().to_str().unwrap();
    fs::create_dir_all(directory.path().join("mine")).unwrap();
    fs::write(
        directory.path().join("mine/good.sql"),
        "-- What is good\nSELECT 1",
    )
    .unwrap();
    fs::write(
        directory.path().join("mine/bad.sql"),
        "-- Bad\nSELECT pth\nFROM http_events",
    )
    .unwrap();
    let list = stdout(&run(&["scripts", "--scripts", own]));
    let line = |name: &str| {
        let line = list.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in {list}"))
            .to_owned()
    };
    assert!(line("http/slow ").ends_with("  Slowest requests"));
    assert!(line("mine/good ").ends_with("  What is good"));
    assert!(line("mine/bad ").contains("BROKEN: line 2: there is no column `pth`"));

    let shown = stdout(&run(&["scripts", "http/slow"]));
    for part in [
        "http/slow - Slowest requests\n",
        "  slower duration = 0s\n      Only those that took at least this long.\n",
        "  rows integer = 20, within 1..10000\n",
        "  1  Slowest requests (table)\n",
        "  from -15m to now, unless told otherwise\n",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let file = stdout(&run(&["scripts", "http/slow", "--sql"]));
    assert!(file.starts_with("-- Slowest requests\n"), "{file}");
    let errors = stderr_of_failure(&run(&["scripts", "mine/bad", "--scripts", own]));
    assert!(errors.contains("mine/bad: line 2"), "{errors}");
    let errors = stderr_of_failure(&run(&["scripts", "--scripts", "/nowhere"]));
    assert!(
        errors.contains("cannot read the scripts in /nowhere"),
        "{errors}"
    );
}

#[test]
fn the_scripts_of_a_server_are_shown_as_those_of_its_directory() {
    let directory = imported();
    let data = directory.path().join("data");
    fs::write(
        data.join("scripts/mine/bad.sql"),
        "-- Bad\nSELECT pth\nFROM http_events",
    )
    .unwrap();
    let data = data.to_str().unwrap();
    let server = Server::start(data.as_ref());
    let ask = |arguments: &[&str], source: [&str; 2]| {
        let all = ["scripts"].iter().chain(arguments).copied().chain(source);
        run(&all.collect::<Vec<_>>())
    };
    for arguments in [
        &[][..],
        &["http/slow"],
        &["mine/two"],
        &["mine/two", "--sql"],
        &["mine/two", "--json"],
    ] {
        let [there, here] = [["--server", &server.url], ["--data", data]]
            .map(|source| stdout(&ask(arguments, source)));
        assert_eq!(there, here);
        assert!(!there.is_empty());
    }
    let listed = stdout(&ask(&["--json"], ["--server", &server.url]));
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let names = listed["scripts"].as_array().unwrap().iter();
    assert!(names.map(|it| &it["name"]).any(|name| name == "mine/two"));
    for (arguments, expected) in [
        (["http/slwo"], "there is no script \"http/slwo\""),
        (["mine/bad"], "mine/bad: line 2: there is no column `pth`"),
    ] {
        for source in [["--server", &server.url], ["--data", data]] {
            let errors = stderr_of_failure(&ask(&arguments, source));
            assert!(errors.contains(expected), "{errors}");
        }
    }
    let errors = stderr_of_failure(&ask(&[], ["--server", "http://127.0.0.1:1"]));
    assert!(errors.contains("cannot ask the server"), "{errors}");
    server.terminate();
}
