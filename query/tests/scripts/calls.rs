//! Calls: what may be given, and what is refused with which words.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use weir_query::scripts::{Call, Library, Script, ScriptErrorKind};

use crate::data::{HOUR, MINUTE, TEN_OCLOCK};

fn shipped(name: &str) -> Arc<Script> {
    Library::shipped().get(name).unwrap()
}

fn given(values: Value) -> Map<String, Value> {
    let Value::Object(values) = values else {
        panic!("values are an object")
    };
    values
}

fn call(name: &str, values: Value) -> Result<Call, String> {
    Call::new(shipped(name), &given(values), None, TEN_OCLOCK, None).map_err(|error| {
        assert_eq!(error.kind, ScriptErrorKind::Parameter);
        error.to_string()
    })
}

#[test]
fn values_are_bound_in_the_type_of_the_parameter_and_the_rest_has_its_default() {
    let bound = call("http/slow", json!({"slower": "150ms", "rows": "5"})).unwrap();
    assert_eq!(
        Value::Object(bound.values.clone()),
        json!({"slower": 150_000_000, "service": "", "rows": 5})
    );
    let request = bound.request(&bound.script.results[0]);
    assert_eq!(request.params, bound.values);
    assert_eq!(
        (request.from, request.to),
        (Some(TEN_OCLOCK - 15 * MINUTE), Some(TEN_OCLOCK))
    );
    assert!(!request.sql.contains("150"), "values are never pasted");
}

#[test]
fn what_cannot_be_given_is_refused_with_the_reason() {
    for (name, values, expected) in [
        (
            "http/slow",
            json!({"slowr": "1s"}),
            "http/slow has no parameter `slowr`; did you mean `slower`?",
        ),
        (
            "http/slow",
            json!({"slower": "long"}),
            "`slower` is of type duration: \"long\" is not a span of time such as 100ms or 1h30m",
        ),
        (
            "http/slow",
            json!({"rows": "many"}),
            "`rows` is of type integer: \"many\" is not a whole number",
        ),
        (
            "http/slow",
            json!({"rows": 0}),
            "`rows` must be within 1..10000, not 0",
        ),
        (
            "http/slow",
            json!({"rows": null}),
            "`rows` is of type integer: null is not a whole number",
        ),
        (
            "http/failing",
            json!({"status": 404}),
            "`status` must be one of 400, 500, not 404",
        ),
        (
            "http/trace",
            json!({}),
            "http/trace needs a value for `trace_id`; trace_id: The trace id, in lower case.",
        ),
        (
            "http/trace",
            json!({"trace_id": "XYZ"}),
            "`trace_id` must be of the form [0-9a-f]{16}([0-9a-f]{16})?, not \"XYZ\"",
        ),
        (
            "net/ip",
            json!({"ip": "10.0.0.0/40"}),
            "`ip` is of type network: \"10.0.0.0/40\" is not a network such as 10.0.0.0/8",
        ),
        (
            "dns/overview",
            json!({"x": 1}),
            "dns/overview has no parameter `x`; it takes none",
        ),
    ] {
        assert_eq!(call(name, values).err().as_deref(), Some(expected));
    }
}

#[test]
fn a_parameter_that_may_be_left_open_takes_nothing() {
    for nothing in [json!({}), json!({"pid": null}), json!({"pid": ""})] {
        let bound = call("node/process", nothing).unwrap();
        assert_eq!(bound.values["pid"], Value::Null);
    }
}

#[test]
fn a_range_that_holds_no_time_is_refused() {
    for from in [TEN_OCLOCK, TEN_OCLOCK + HOUR] {
        let error = Call::new(
            shipped("http/slow"),
            &Map::new(),
            Some(from),
            TEN_OCLOCK,
            None,
        );
        assert!(error.err().unwrap().message.contains("holds no time"));
    }
}

#[test]
fn an_unknown_name_is_told_the_nearest() {
    let library = Library::shipped();
    for (name, hint) in [
        ("http/slwo", "did you mean http/slow?"),
        ("slow", "did you mean dns/slow or http/slow?"),
        ("net/process", "did you mean net/processes?"),
        ("nothing/like/it", "`weir scripts` lists them"),
    ] {
        let error = library.get(name).err().unwrap();
        assert_eq!(error.kind, ScriptErrorKind::NotFound);
        assert_eq!(error.hint.as_deref(), Some(hint), "{name}");
    }
}

#[test]
fn a_result_is_chosen_by_its_place_or_its_title() {
    let bound = call("http/latency", json!({})).unwrap();
    for (chosen, expected) in [
        (None, &["Distribution", "Percentiles over time"][..]),
        (Some("2"), &["Percentiles over time"]),
        (Some("distribution"), &["Distribution"]),
    ] {
        let titles: Vec<&str> = bound
            .results(chosen)
            .unwrap()
            .iter()
            .map(|it| it.title.as_str())
            .collect();
        assert_eq!(titles, expected);
    }
    for unknown in ["0", "3", "rows"] {
        let error = bound.results(Some(unknown)).err().unwrap();
        assert_eq!(error.kind, ScriptErrorKind::NotFound);
        assert_eq!(
            error.hint.as_deref(),
            Some("there are 1 (Distribution), 2 (Percentiles over time)")
        );
    }
}
