//! A mistake in any parameter of any fault is told before anything begins.

use serde_json::Value;

use crate::place::Place;

#[test]
fn a_mistake_in_any_fault_is_told_with_its_hint_and_nothing_is_left() {
    let place = Place::new();
    let listed = place.run(&["faults", "--output", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let faults = listed["faults"].as_array().or(listed.as_array()).unwrap();
    assert!(faults.len() > 30);
    for fault in faults {
        let (name, example) = (text(&fault["name"]), text(&fault["example"]));
        let target = match text(&fault["targets"][0]) {
            "container" => "container=web",
            "process" => "name=nobody-runs-this",
            _ => "host=true",
        };
        let mut words = vec!["inject", name];
        words.extend(example.split_whitespace());
        words.extend(["no-such-parameter=1", "--target", target, "--for", "1s"]);
        let output = place.run(&words);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(4), "{name}: {told}");
        assert!(
            told.contains("has no parameter \"no-such-parameter\""),
            "{told}"
        );
        assert!(told.contains("firedrill faults"), "{name}: no hint: {told}");
        let left = std::fs::read_dir(place.state().join("drills"));
        assert_eq!(left.map_or(0, Iterator::count), 0, "{name}");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
