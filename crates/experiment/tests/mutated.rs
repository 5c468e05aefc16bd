//! Whatever a document's text is, reading it and working with it never panics.

#[path = "shared/exercise.rs"]
mod exercise;

use exercise::exercise;
use firedrill_experiment::jsonpath::JsonPath;
use firedrill_experiment::parse::parse;
use firedrill_experiment::tolerance::compile;
use firedrill_experiment::{Format, Source, units};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

const FULL: &str = include_str!("full.yaml");

/// Pieces that mean something to one of the parsers.
const PIECES: [&str; 44] = [
    "\n",
    "  ",
    "\t",
    "- ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "|",
    ">",
    "&a ",
    "*a",
    "<<: *a",
    "!!int ",
    "!!python/object:x ",
    "---\n",
    "...\n",
    "#",
    "%",
    "@",
    "`",
    "?",
    "${x}",
    "$$",
    "null",
    "ref: look",
    "type: fault",
    "1e999",
    "-1",
    "0x_",
    "010",
    "1:30",
    ".nan",
    "2001-02-30",
    "é",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
    "=",
    "tolerance: {type: regex, pattern: \"(\"}",
];

#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, Index),
    Delete(Index, usize),
    Copy(Index, Index, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let one = prop_oneof![
        (any::<Index>(), any::<Index>()).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Edit::Delete(at, length)),
        (any::<Index>(), any::<Index>(), 1..80_usize).prop_map(|(a, b, n)| Edit::Copy(a, b, n)),
    ];
    proptest::collection::vec(one, 1..12)
}

fn mutate(text: &str, edits: &[Edit]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for edit in edits {
        let length = characters.len();
        match edit {
            Edit::Insert(at, piece) => {
                let at = at.index(length + 1);
                characters.splice(at..at, PIECES[piece.index(PIECES.len())].chars());
            }
            Edit::Delete(at, count) if length > 0 => {
                let at = at.index(length);
                characters.drain(at..(at + count).min(length));
            }
            Edit::Copy(from, to, count) if length > 0 => {
                let from = from.index(length);
                let piece = characters[from..(from + count).min(length)].to_vec();
                let to = to.index(length);
                characters.splice(to..to, piece);
            }
            Edit::Delete(..) | Edit::Copy(..) => {}
        }
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_yaml_document_never_panics(edits in edits()) {
        exercise(&mutate(FULL, &edits), Format::Yaml);
    }

    #[test]
    fn a_mutated_json_document_never_panics(edits in edits()) {
        let node = parse(&Source::new("full.yaml", FULL), Format::Yaml).unwrap();
        let text = serde_json::to_string_pretty(&node.to_value()).unwrap();
        exercise(&mutate(&text, &edits), Format::Json);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,80}") {
        exercise(&text, Format::Yaml);
        exercise(&text, Format::Json);
        let _ = units::parse_duration(&text);
        let _ = units::parse_size(&text);
        let _ = JsonPath::parse_ours(&text);
        let _ = compile(&text);
    }

    #[test]
    fn a_mutated_path_selects_without_a_panic(edits in edits()) {
        let path = mutate("$..book[*][?(@.price > 8 and not @.a)][1:-1:2].length()", &edits);
        if let Ok(path) = JsonPath::parse_ours(&path) {
            let _ = path.select(&json!({"book": [[1, 2, 3], {"price": 9}], "s": "text"}));
        }
    }

    #[test]
    fn json_values_survive_the_parser(value in arbitrary_json()) {
        let text = serde_json::to_string(&value).unwrap();
        let read = parse(&Source::new("x.json", text), Format::Json).unwrap().to_value();
        prop_assert_eq!(read, value);
    }
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
