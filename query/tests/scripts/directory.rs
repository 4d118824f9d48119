//! A user's own scripts: read again when they change, and what is wrong in one harms no other.

use std::fs;
use std::path::Path;

use serde_json::Map;
use weir_query::scripts::{Call, Library, Listed, Origin, ScriptErrorKind};

use crate::answers::run;
use crate::data::{Machine, TEN_OCLOCK};

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(format!("{name}.sql"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The broken ones as `name: line N: what`.
fn broken(library: &Library) -> Vec<String> {
    library
        .list()
        .iter()
        .filter_map(|listed| match listed {
            Listed::Script(_) => None,
            Listed::Broken(broken) => Some(broken.to_string()),
        })
        .collect()
}

#[tokio::test]
async fn a_new_or_changed_file_is_there_at_the_next_look() {
    let machine = Machine::idle().await;
    let directory = tempfile::tempdir().unwrap();
    let library = Library::shipped().with_directory(directory.path());
    library.refresh(&machine.engine).await.unwrap();
    assert!(library.get("mine/one").is_err());

    for (text, expected) in [("-- One\nSELECT 1", "1"), ("-- Eleven\nSELECT 11", "11")] {
        write(directory.path(), "mine/one", text);
        library.refresh(&machine.engine).await.unwrap();
        let script = library.get("mine/one").unwrap();
        assert_eq!(script.origin, Origin::User);
        let call = Call::new(script, &Map::new(), None, TEN_OCLOCK, None).unwrap();
        let answer = run(&machine, call.request(&call.script.results[0]))
            .await
            .unwrap();
        assert_eq!(answer.rows, [[expected]]);
    }

    fs::remove_file(directory.path().join("mine/one.sql")).unwrap();
    library.refresh(&machine.engine).await.unwrap();
    assert!(library.get("mine/one").is_err());
    assert!(library.get("http/slow").is_ok());
}

#[tokio::test]
async fn a_broken_script_is_told_by_name_and_line_and_harms_no_other() {
    let machine = Machine::idle().await;
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    write(place, "mine/good", "-- Good\nSELECT 1");
    write(
        place,
        "mine/header",
        "-- Header\n-- @param a txt = ''\nSELECT $a",
    );
    write(
        place,
        "mine/syntax",
        "-- Syntax\n\nSELECT count(*)\nFORM flows",
    );
    write(
        place,
        "mine/column",
        "-- Column\nSELECT time,\n       pth\nFROM http_events",
    );
    write(place, "mine/write", "-- Write\nDELETE FROM flows");
    write(
        place,
        "mine/drawn",
        "-- Drawn\n-- @result A\n-- @draw bar x=host y=m\nSELECT host, 1 AS n FROM http_events",
    );
    write(
        place,
        "mine/suggest",
        "-- Suggest\n-- @param a text = ''\n-- @suggest SELECT hots\n--   FROM http_events\nSELECT $a",
    );
    write(place, "Mine/Name", "-- Name\nSELECT 1");
    write(place, "top", "-- Top\nSELECT 1");
    fs::write(place.join("mine/binary.sql"), [0x2d, 0x2d, 0xff, 0xfe]).unwrap();
    fs::write(place.join("mine/notes.txt"), "no script").unwrap();
    fs::write(place.join("mine/.hidden.sql"), "no script").unwrap();
    fs::create_dir_all(place.join("mine/directory.sql")).unwrap();
    make_pipe(&place.join("mine/pipe.sql"));

    let library = Library::shipped().with_directory(place);
    let newly = library.refresh(&machine.engine).await.unwrap();
    let found = broken(&library);
    assert_eq!(newly.len(), found.len(), "each is told once");
    assert!(library.refresh(&machine.engine).await.unwrap().is_empty());
    let expected = [
        "Mine/Name: scripts lie at <group>/<name>.sql",
        "mine/binary: cannot read",
        "mine/column: line 3: there is no column `pth`; did you mean `path`?",
        "mine/directory: cannot read",
        "mine/drawn: line 4: `@draw` names a column `m` and the result has host, n",
        "mine/header: line 2: there is no type `txt`; did you mean `text`?",
        "mine/pipe: cannot read",
        "mine/suggest: line 3: there is no column `hots`",
        "mine/syntax: line 4:",
        "mine/write: line 2: DELETE is not allowed",
        "top: scripts lie at <group>/<name>.sql",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
    let error = library.get("mine/column").err().unwrap();
    assert_eq!((error.kind, error.line), (ScriptErrorKind::Broken, Some(3)));
    assert!(library.get("mine/good").is_ok());
    assert!(library.get("http/slow").is_ok());
}

fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo")
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn an_own_script_stands_in_the_place_of_a_shipped_one_also_while_it_is_broken() {
    let machine = Machine::idle().await;
    let directory = tempfile::tempdir().unwrap();
    let library = Library::shipped().with_directory(directory.path());
    write(directory.path(), "http/slow", "-- Mine\nSELECT 1");
    library.refresh(&machine.engine).await.unwrap();
    assert_eq!(library.get("http/slow").unwrap().title, "Mine");

    write(directory.path(), "http/slow", "-- Mine, broken\nSELECT x");
    library.refresh(&machine.engine).await.unwrap();
    assert_eq!(
        library.get("http/slow").err().unwrap().kind,
        ScriptErrorKind::Broken
    );

    fs::remove_file(directory.path().join("http/slow.sql")).unwrap();
    library.refresh(&machine.engine).await.unwrap();
    assert_eq!(library.get("http/slow").unwrap().origin, Origin::Shipped);
}

#[tokio::test]
async fn a_directory_that_must_be_there_is_missed_and_one_that_may_come_is_not() {
    let machine = Machine::idle().await;
    let directory = tempfile::tempdir().unwrap();
    let later = directory.path().join("later");
    let named = Library::shipped().with_directory(&later);
    let error = named.refresh(&machine.engine).await.err().unwrap();
    assert_eq!((error.directory, error.is_news), (later.clone(), true));
    let again = named.refresh(&machine.engine).await.err().unwrap();
    assert!(!again.is_news);
    assert!(named.get("http/slow").is_ok());

    let optional = Library::shipped().with_optional_directory(&later);
    optional.refresh(&machine.engine).await.unwrap();
    write(&later, "mine/one", "-- One\nSELECT 1");
    for library in [named, optional] {
        library.refresh(&machine.engine).await.unwrap();
        assert!(library.get("mine/one").is_ok());
    }
}
