//! What every shipped script owes to those who call it.

use std::sync::Arc;

use serde_json::Map;
use weir_query::scripts::{Call, Library, Listed, Origin, Script};

use crate::answers::{read_expected, run};
use crate::data::{HOUR, Machine, TEN_OCLOCK};

pub(crate) fn shipped() -> Vec<Arc<Script>> {
    Library::shipped()
        .list()
        .into_iter()
        .map(|listed| match listed {
            Listed::Script(script) => script,
            Listed::Broken(broken) => panic!("{broken}"),
        })
        .collect()
}

#[test]
fn there_are_at_least_forty_and_each_says_what_it_answers() {
    let scripts = shipped();
    assert!(scripts.len() >= 40, "{}", scripts.len());
    for script in scripts {
        assert_eq!(script.origin, Origin::Shipped);
        assert!(
            script.title.chars().count() <= 90,
            "{}: {}",
            script.name,
            script.title
        );
        assert!(
            !script.title.ends_with('.'),
            "{}: {}",
            script.name,
            script.title
        );
        for parameter in &script.parameters {
            assert!(
                !parameter.docs.is_empty(),
                "{}: {} has no docs",
                script.name,
                parameter.name
            );
        }
        for result in &script.results {
            let is_ranged = result.sql.contains("$__timeFilter(") || result.sql.contains("$__from");
            assert!(
                is_ranged,
                "{}: {} has no time range",
                script.name, result.title
            );
        }
    }
}

#[tokio::test]
async fn every_one_runs_on_an_empty_store() {
    let machine = Machine::idle().await;
    for script in shipped() {
        let given = read_expected(&script.name).given;
        let call = Call::new(script, &given, None, TEN_OCLOCK, None).unwrap();
        for result in call.results(None).unwrap() {
            let answer = run(&machine, call.request(result)).await;
            let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", call.script.name));
            let columns: Vec<&str> = answer.columns.iter().map(String::as_str).collect();
            for drawn in result.drawing.columns() {
                assert!(
                    columns.contains(&drawn),
                    "{}: {drawn} of {columns:?}",
                    call.script.name
                );
            }
        }
    }
}

#[tokio::test]
async fn every_suggestion_offers_what_is_there_and_the_script_takes_it() {
    let machine = Machine::busy().await;
    let (from, to) = (Some(TEN_OCLOCK), TEN_OCLOCK + HOUR);
    for script in shipped() {
        for parameter in &script.parameters {
            if parameter.suggestion.is_none() {
                continue;
            }
            let place = format!("{} {}", script.name, parameter.name);
            let call = Call::suggesting(Arc::clone(&script), &Map::new(), from, to).unwrap();
            let request = call.suggestion(&parameter.name).unwrap();
            let answer = run(&machine, request).await;
            let answer = answer.unwrap_or_else(|error| panic!("{place}: {error}"));
            let first = answer
                .rows
                .first()
                .unwrap_or_else(|| panic!("{place} offers nothing"));
            let mut given = read_expected(&script.name).given;
            given.insert(parameter.name.clone(), first[0].clone().into());
            let call = Call::new(Arc::clone(&script), &given, from, to, None);
            call.unwrap_or_else(|error| panic!("{place}: {error}"));
        }
    }
}

#[tokio::test]
async fn a_script_that_needs_nothing_is_called_with_nothing() {
    for script in shipped() {
        let is_free = script.parameters.iter().all(|it| it.default.is_some());
        let name = script.name.clone();
        let call = Call::new(script, &Map::new(), None, TEN_OCLOCK, None);
        assert_eq!(call.is_ok(), is_free, "{name}");
    }
}

#[test]
fn the_docs_list_them_all() {
    let docs = include_str!("../../../docs/scripts.md");
    let list = docs.split("## The list").nth(1).unwrap();
    let list = list.split("## ").next().unwrap();
    let listed: Vec<&str> = list
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let wanted: Vec<String> = shipped()
        .iter()
        .map(|script| format!("| `{}` | {} |", script.name, script.title))
        .collect();
    assert_eq!(
        listed,
        wanted,
        "docs/scripts.md is to have\n{}",
        wanted.join("\n")
    );
}
