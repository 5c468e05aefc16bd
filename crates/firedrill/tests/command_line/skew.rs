//! A command whose clocks since boot are elsewhere.

use crate::place::Place;

/// Seconds since boot, as `/proc/uptime` shows them.
fn uptime(text: &str) -> f64 {
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_command_sees_its_moved_clocks_and_nobody_else_does() {
    let place = Place::new();
    let output = place.run(&["skew", "--by", "30d", "--", "cat", "/proc/uptime"]);
    if output.status.code() == Some(4) {
        println!("skipped: no right to make a time namespace");
        return;
    }
    assert!(output.status.success(), "{output:?}");
    let moved = uptime(&String::from_utf8(output.stdout).unwrap());
    let here = uptime(&std::fs::read_to_string("/proc/uptime").unwrap());
    let days = 30.0 * 86_400.0;
    assert!((moved - here - days).abs() < 60.0, "{moved} and {here}");
}

#[test]
fn a_clock_below_zero_is_refused_before_the_command_runs() {
    let place = Place::new();
    let output = place.run(&["skew", "--by", "-100y", "--", "touch", "ran"]);
    assert!(!output.status.success());
    assert!(!place.work().join("ran").exists());
}

#[test]
fn the_command_ends_with_its_own_status() {
    let place = Place::new();
    let output = place.run(&["skew", "--monotonic", "1h", "--", "sh", "-c", "exit 7"]);
    assert!(matches!(output.status.code(), Some(7 | 4)), "{output:?}");
}
