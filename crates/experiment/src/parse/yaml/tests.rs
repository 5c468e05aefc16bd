use serde_json::{Value, json};

use super::*;

fn value(text: &str) -> Result<Value, Diagnostic> {
    parse(&Source::new("x.yaml", text)).map(|node| node.to_value())
}

#[test]
fn scalars_read_as_pyyaml_reads_them() {
    // Expectations recorded from PyYAML 6.0.3's safe_load.
    for (text, expected) in [
        ("010", json!(8)),
        ("08", json!("08")),
        ("1:30", json!(90)),
        ("-1:30", json!(-90)),
        ("1:30.5", json!(90.5)),
        ("0x1F", json!(31)),
        ("0b101", json!(5)),
        ("1_000", json!(1000)),
        ("+7", json!(7)),
        ("0", json!(0)),
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("ON", json!(true)),
        ("oN", json!("oN")),
        ("y", json!("y")),
        ("1e3", json!("1e3")),
        ("1.0e3", json!("1.0e3")),
        ("1.0e+3", json!(1000.0)),
        ("1.", json!(1.0)),
        (".5", json!(0.5)),
        ("~", json!(null)),
        ("Null", json!(null)),
        ("2001-12-14", json!("2001-12-14")),
        (
            "2001-12-14t21:59:43.10-05:00",
            json!("2001-12-14T21:59:43.100000-05:00"),
        ),
        ("2001-12-14 21:59:43Z", json!("2001-12-14T21:59:43+00:00")),
        ("2001-1-1 1:02:03", json!("2001-01-01T01:02:03")),
        ("'010'", json!("010")),
        ("!!str 010", json!("010")),
        ("!!int '12'", json!(12)),
        ("!!float 3", json!(3.0)),
        ("!!bool yes", json!(true)),
    ] {
        assert_eq!(
            value(&format!("a: {text}")).unwrap(),
            json!({ "a": expected }),
            "{text}"
        );
    }
}

#[test]
fn keys_become_what_the_journal_would_write() {
    assert_eq!(
        value("on: 1\n7: 2\n~: 3\n1.5: 4\n").unwrap(),
        json!({"true": 1, "7": 2, "null": 3, "1.5": 4})
    );
}

#[test]
fn merge_keys_fill_what_is_not_given() {
    let text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  y: 9\n  <<: [*a, *b]\n";
    assert_eq!(value(text).unwrap()["c"], json!({"y": 9, "z": 4, "x": 1}));
    let keys: Vec<_> = value(text).unwrap()["c"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys, ["y", "z", "x"]);
}

#[test]
fn what_safe_load_refuses_is_refused() {
    for text in [
        "!!python/object/apply:os.system ['x']",
        "a: !custom 1",
        "? [1]\n: 2",
        "a: 1\n---\nb: 2",
        "a: *nowhere",
        "a: &a [*a]",
        "a: =",
        "a: 2001-13-01",
        "a: 0x_",
        "<<: 3",
        "a: [",
        "a: !!binary aGk=",
    ] {
        assert!(value(text).is_err(), "{text:?} gave {:?}", value(text));
    }
}

#[test]
fn what_a_journal_cannot_hold_is_refused() {
    for text in [
        ".nan",
        "-.INF",
        "123456789012345678901234567890",
        "1.0e+999",
    ] {
        assert_eq!(
            value(&format!("a: {text}")).unwrap_err().code,
            Code::Unrepresentable,
            "{text}"
        );
    }
}

#[test]
fn a_billion_laughs_are_cut_short() {
    let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (from, to) in ["a", "b", "c", "d", "e", "f", "g"]
        .iter()
        .zip(["b", "c", "d", "e", "f", "g", "h"])
    {
        let aliases = vec![format!("*{from}"); 10].join(", ");
        text.push_str(&format!("{to}: &{to} [{aliases}]\n"));
    }
    assert_eq!(value(&text).unwrap_err().code, Code::Limit);
    assert!(value(&format!("a: {}", "[".repeat(5_000))).is_err());
    let deep: String = (0..200)
        .map(|level| {
            format!(
                "{}a:
",
                " ".repeat(level)
            )
        })
        .collect();
    assert_eq!(value(&deep).unwrap_err().code, Code::Limit);
}

#[test]
fn spans_count_bytes_even_after_wide_characters() {
    let source = Source::new("x.yaml", "é: ü\nb: 12\n");
    let node = parse(&source).unwrap();
    let span = node.span_of(&Path::root().key("b"));
    assert_eq!(&source.text[span.start..span.end], "12");
}
