use insta::assert_snapshot;
use serde_json::Value;

use crate::place::Place;

/// As the real Chaos Toolkit writes it: none of our fields.
const PLAIN: &str = include_str!("../fixtures/chaostoolkit-journal.json");

#[test]
fn the_ending_of_the_file_chooses_the_format() {
    let place = Place::new();
    place.file("journal.json", PLAIN);
    for (name, start) in [
        ("r.html", "<!DOCTYPE html>"),
        ("r.md", "#"),
        ("r.xml", "<?xml"),
        ("r.json", "{"),
    ] {
        let output = place.run(&["report", "journal.json", "-o", name]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = std::fs::read_to_string(place.work().join(name)).unwrap();
        assert!(
            text.starts_with(start),
            "{name} starts with {:?}",
            text.get(..40)
        );
        assert!(text.contains("The service answers"), "{name}");
    }
}

#[test]
fn a_report_says_where_it_is() {
    let place = Place::new();
    place.file("a.json", PLAIN);
    place.file("b.json", PLAIN);
    assert_snapshot!(place.see(&["report", "a.json", "b.json", "-o", "new/r.html"]));
    assert!(place.work().join("new/r.html").exists());
}

#[test]
fn without_a_file_a_report_is_markdown_or_json_on_standard_output() {
    let place = Place::new();
    place.file("journal.json", PLAIN);
    let output = place.run(&["report", "journal.json"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("The service answers"));
    let output = place.run(&["report", "journal.json", "--output", "json"]);
    assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok());
}

#[test]
fn what_is_no_journal_is_named() {
    let place = Place::new();
    place.file("list.json", "[]");
    assert_snapshot!("report_no_journal", place.see(&["report", "list.json"]));
    assert_snapshot!("report_missing", place.see(&["report", "missing.json"]));
    place.file("journal.json", PLAIN);
    assert_snapshot!(
        "report_ending",
        place.see(&["report", "journal.json", "-o", "r.pdf"])
    );
}
