use std::process::Stdio;

use insta::assert_snapshot;

use crate::place::Place;

const COMMANDS: [&str; 17] = [
    "demo",
    "run",
    "init",
    "validate",
    "plan",
    "status",
    "faults",
    "inject",
    "doctor",
    "halt",
    "recover",
    "proxy",
    "report",
    "export",
    "schema",
    "completions",
    "man",
];

#[test]
fn the_first_page_names_every_command_and_where_to_start() {
    let page = Place::new().see(&["--help"]);
    for command in COMMANDS {
        assert!(
            page.contains(&format!("\n  {command} ")),
            "{command} is not on the first page"
        );
    }
    assert_snapshot!(page);
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let place = Place::new();
    for command in COMMANDS {
        let page = place.see(&[command, "--help"]);
        assert!(page.contains("Example"), "{command} has no example");
        assert_snapshot!(format!("help_{command}"), page);
    }
}

#[test]
fn no_command_at_all_shows_the_help_and_is_a_mistake() {
    let output = Place::new().run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: firedrill"));
    assert!(output.stdout.is_empty());
}

#[test]
fn commands_of_firedrills_own_are_offered_to_nobody() {
    let place = Place::new();
    let page = place.see(&["--help"]);
    assert!(!page.contains("\n  guardian") && !page.contains("\n  shop"));
    let completions = place.see(&["completions", "bash"]);
    assert!(!completions.contains("guardian") && !completions.contains("shop"));
}

#[test]
fn completions_and_the_man_page_know_every_command() {
    let place = Place::new();
    for words in [
        &["completions", "bash"][..],
        &["completions", "zsh"],
        &["completions", "fish"],
        &["man"],
    ] {
        let output = place.run(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
        for command in COMMANDS {
            assert!(text.contains(command), "{words:?} does not know {command}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    for words in [&["schema"][..], &["faults"], &["man"], &["--help"]] {
        let mut child = place
            .command(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !said.contains("error") && !said.contains("panick"),
            "{words:?}: {said}"
        );
    }
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let place = Place::new();
    let escapes = |words: &[&str]| place.run(words).stdout.contains(&0x1b);
    assert!(!escapes(&["faults"]));
    assert!(escapes(&["faults", "--color", "always"]));
    assert!(!escapes(&[
        "faults", "--color", "always", "--output", "json"
    ]));
    let output = place
        .command(&["faults"])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    assert!(output.stdout.contains(&0x1b));
    let output = place
        .command(&["faults", "--color", "never"])
        .env("CLICOLOR_FORCE", "1")
        .output();
    assert!(!output.unwrap().stdout.contains(&0x1b));
}

#[test]
fn the_man_page_keeps_the_lines_of_examples() {
    let output = Place::new().run(&["man"]);
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(page.contains(".SS EXAMPLES\n.nf\n"), "{page}");
    assert!(page.contains(".SH EXIT CODES AND FIRST STEPS\n.nf\n"));
    assert!(!page.contains("EXTRA") && !page.contains("firedrill\\-demo(1)"));
}
