#![expect(clippy::unwrap_used, reason = "a test")]

use serde_json::json;

use super::*;
use crate::scripts::kind::Kind;

fn read(text: &str) -> Script {
    parse("test/one", text, Origin::User).unwrap()
}

/// The faults as `line: message`.
fn faults(text: &str) -> Vec<String> {
    parse("test/one", text, Origin::User)
        .err()
        .unwrap_or_default()
        .iter()
        .map(|fault| format!("{}: {}", fault.line, fault.message))
        .collect()
}

const WHOLE: &str = "\
-- Requests of a host
--
-- Counted once,
-- where they were served.
--
-- Imported ones too.
--
-- @from -1h
-- @param host text = 'it''s; -- me'
--     Only this host.
-- @check matches .{1,99}
-- @suggest SELECT host, count(*) AS n FROM http_events
--   GROUP BY host
-- @param slower duration = 1s
-- @param port integer = null
-- @param role text

-- @result Requests
-- Each of them.
-- @draw timeseries x=time y=n
SELECT time, ';' AS n -- not the end; really
FROM http_events WHERE host = $host AND latency_ns > $slower; -- trailing

-- @result By role
  SELECT $role, $port
";

#[test]
fn a_header_is_read_whole() {
    let script = read(WHOLE);
    assert_eq!(script.title, "Requests of a host");
    assert_eq!(
        script.docs,
        "Counted once, where they were served.\n\nImported ones too."
    );
    assert_eq!(script.from, "-1h");
    let parameters: Vec<_> = script
        .parameters
        .iter()
        .map(|it| {
            (
                it.name.as_str(),
                it.kind,
                it.default.clone(),
                it.docs.as_str(),
            )
        })
        .collect();
    assert_eq!(
        parameters,
        [
            (
                "host",
                Kind::Text,
                Some(json!("it's; -- me")),
                "Only this host."
            ),
            ("slower", Kind::Duration, Some(json!(1_000_000_000)), ""),
            ("port", Kind::Integer, Some(json!(null)), ""),
            ("role", Kind::Text, None, ""),
        ]
    );
    let suggestion = script.parameters[0].suggestion.as_ref().unwrap();
    assert_eq!(
        suggestion.sql.trim_start_matches('\n'),
        "SELECT host, count(*) AS n FROM http_events\n  GROUP BY host"
    );
    let titles: Vec<_> = script
        .results
        .iter()
        .map(|it| {
            (
                it.title.as_str(),
                it.docs.as_str(),
                it.drawing.word(),
                it.line,
            )
        })
        .collect();
    assert_eq!(
        titles,
        [
            ("Requests", "Each of them.", "timeseries", 21),
            ("By role", "", "table", 25),
        ]
    );
}

#[test]
fn statements_stand_where_they_stand_in_the_file() {
    let script = read(WHOLE);
    for result in &script.results {
        let line = usize::try_from(result.line).unwrap() - 1;
        assert_eq!(result.sql.lines().nth(line), WHOLE.lines().nth(line));
        assert!(!result.sql.contains("trailing"));
    }
}

#[test]
fn a_sole_statement_needs_no_title_of_its_own() {
    let script = read("-- All there is\nSELECT 1;\n");
    assert_eq!(script.results[0].title, "All there is");
    assert_eq!(script.from, "-15m");
}

#[test]
fn every_fault_is_told_with_its_line() {
    for (text, expected) in [
        ("", &["1: the first line is to say"][..]),
        ("SELECT 1", &["1: the first line is to say"]),
        ("-- T\n-- only docs\n", &["0: there is no statement"]),
        (
            "-- T\n-- @pram a text\nSELECT 1",
            &["2: there is no `@pram`; did you mean `@param`?"],
        ),
        (
            "-- T\n-- @param a txt = ''\n-- @param B text\n-- @param limit integer = 1\nSELECT $a",
            &[
                "2: there is no type `txt`; did you mean `text`?",
                "3: `B` is no name",
                "4: `limit` means something else",
            ],
        ),
        (
            "-- T\n-- @param n integer = many\nSELECT $n",
            &["2: the default \"many\" is not a whole number"],
        ),
        (
            "-- T\n-- @param n integer = 0\n-- @check 1..9\nSELECT $n",
            &["2: the default 0 of `n` must be within 1..9"],
        ),
        (
            "-- T\n-- @param n integer = 0\n-- @param n text = ''\nSELECT $n",
            &["3: there are two parameters `n`"],
        ),
        (
            "-- T\n-- @param host text = ''\nSELECT 1\n, $hots",
            &[
                "2: no statement uses",
                "4: there is no parameter `$hots`; did you mean `$host`?",
            ],
        ),
        ("-- T\n-- @check 1..\nSELECT 1", &["2: `@check` belongs"]),
        ("-- T\n-- @draw table\nSELECT 1", &["2: `@draw` belongs"]),
        (
            "-- T\n-- @from yesterday\nSELECT 1",
            &["2: `yesterday` is no distance"],
        ),
        (
            "-- T\n-- @result A\n-- @draw bar x=a\nSELECT 1",
            &["3: `y=` is missing"],
        ),
        (
            "-- T\n-- @result A\n-- @result B\nSELECT 1",
            &["2: the result `A` has no statement under it"],
        ),
        (
            "-- T\n-- @result A\nSELECT 1\n-- @result B\nSELECT 2",
            &["4: a directive within a statement"],
        ),
        (
            "-- T\n-- @result A\nSELECT 1;\nSELECT 2",
            &["4: with several statements"],
        ),
        (
            "-- T\n-- @result A\nSELECT 1;\n-- @result a\nSELECT 2",
            &["4: there are two results `a`"],
        ),
        ("-- T\nSELECT 'abc", &["2: unterminated string literal"]),
    ] {
        let found = faults(text);
        assert_eq!(found.len(), expected.len(), "{text:?} gave {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{text:?} gave {found}");
        }
    }
}
