use std::process::{Child, Command};

use serde_json::json;

use super::*;
use firedrill_kernel::{Pidfd, Signal};

/// Children of this test, ended with it.
struct Herd(Vec<Child>);

impl Herd {
    fn of(count: usize, labels: &str) -> Self {
        let spawn = |_| {
            Command::new("sleep")
                .arg("300")
                .env("FIREDRILL_LABELS", labels)
                .spawn()
                .unwrap()
        };
        let herd = Self((0..count).map(spawn).collect());
        // Between fork and exec a child still looks like this test.
        for child in &herd.0 {
            while firedrill_kernel::process::stat(child.id())
                .unwrap()
                .unwrap()
                .comm
                != "sleep"
            {
                std::thread::yield_now();
            }
        }
        herd
    }

    fn pids(&self) -> Vec<u32> {
        self.0.iter().map(Child::id).collect()
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn select(value: &Value, seed: u64) -> Result<Selection, SelectorError> {
    crate::Selector::parse(value).unwrap().select(seed)
}

fn pids(selection: &Selection) -> Vec<u32> {
    let mut pids: Vec<u32> = selection
        .chosen
        .iter()
        .filter_map(|target| Some(target.process()?.pid))
        .collect();
    pids.sort_unstable();
    pids
}

#[test]
fn labels_choose_just_the_processes_that_declare_them() {
    let _other = Herd::of(2, "app=selector-a,zone=1");
    let herd = Herd::of(2, "app=selector-a, zone=2");
    let selection = select(&json!({"label": {"app": "selector-a", "zone": 2}}), 0).unwrap();
    let mut expected = herd.pids();
    expected.sort_unstable();
    assert_eq!(pids(&selection), expected);
}

#[test]
fn the_population_is_what_of_names() {
    let _other = Herd::of(4, "app=selector-b,zone=1");
    let _herd = Herd::of(2, "app=selector-b,zone=2");
    let selector = json!({
        "label": {"app": "selector-b", "zone": "2"},
        "of": {"label": {"app": "selector-b"}},
    });
    let selection = select(&selector, 0).unwrap();
    assert_eq!((selection.chosen.len(), selection.population.len()), (2, 6));
}

#[test]
fn without_of_the_population_is_the_service_and_only_what_is_healthy_of_it() {
    let other_zone = Herd::of(4, "app=selector-g,role=web,zone=1");
    let _other_role = Herd::of(3, "app=selector-g,role=payments");
    let _herd = Herd::of(2, "app=selector-g,role=web,zone=2");
    let selector = json!({"label": {"app": "selector-g", "zone": "2"}});
    assert_eq!(select(&selector, 0).unwrap().population.len(), 6);
    let ill = ProcessIdentity::of(other_zone.pids()[0]).unwrap().unwrap();
    Pidfd::open(&ill)
        .unwrap()
        .unwrap()
        .send(Signal::Stop)
        .unwrap();
    while !ill.stat().unwrap().unwrap().state.is_stopped() {
        std::thread::yield_now();
    }
    assert_eq!(select(&selector, 0).unwrap().population.len(), 5);
}

#[test]
fn the_same_seed_chooses_the_same_and_a_newcomer_re_rolls_nobody() {
    let herd = Herd::of(6, "app=selector-c");
    let half = json!({"label": {"app": "selector-c"}, "count": 3});
    let first = pids(&select(&half, 7).unwrap());
    assert_eq!(pids(&select(&half, 7).unwrap()), first);
    let others = (0..50).any(|seed| pids(&select(&half, seed).unwrap()) != first);
    assert!(others, "the seed has no influence");
    let newcomer = Herd::of(1, "app=selector-c");
    let with_newcomer = pids(&select(&half, 7).unwrap());
    let kept = with_newcomer
        .iter()
        .filter(|pid| first.contains(pid))
        .count();
    assert!(kept >= 2);
    assert!(
        with_newcomer
            .iter()
            .all(|pid| first.contains(pid) || newcomer.pids() == [*pid])
    );
    drop(herd);
}

#[test]
fn a_percentage_is_rounded_down_and_nothing_is_refused() {
    let _herd = Herd::of(3, "app=selector-d");
    let label = json!({"app": "selector-d"});
    let two_thirds = select(&json!({"label": label, "percent": 99}), 0).unwrap();
    assert_eq!(two_thirds.chosen.len(), 2);
    let none = select(&json!({"label": label, "percent": 33}), 0).unwrap_err();
    assert!(matches!(
        none,
        SelectorError::Refused(Refused::RoundsToNothing { matched: 3 })
    ));
}

#[test]
fn what_is_stopped_already_is_spared() {
    let herd = Herd::of(2, "app=selector-e");
    let identity = ProcessIdentity::of(herd.pids()[0]).unwrap().unwrap();
    let pidfd = Pidfd::open(&identity).unwrap().unwrap();
    pidfd.send(Signal::Stop).unwrap();
    while !identity.stat().unwrap().unwrap().state.is_stopped() {
        std::thread::yield_now();
    }
    let selection = select(&json!({"label": {"app": "selector-e"}}), 0).unwrap();
    assert_eq!(pids(&selection), [herd.pids()[1]]);
    assert_eq!(selection.spared[0].why, SpareReason::AlreadyStopped);
    let named = select(&json!({"pid": identity.pid}), 0).unwrap_err();
    assert!(matches!(
        named,
        SelectorError::Refused(Refused::NamedButSpared { .. })
    ));
}

#[test]
fn init_ancestors_and_own_parts_are_never_chosen() {
    for pid in process_line() {
        let error = select(&json!({"pid": pid}), 0).unwrap_err();
        assert!(
            matches!(
                error,
                SelectorError::Refused(Refused::NamedButSpared { .. })
            ),
            "{pid}"
        );
    }
    let mut part = Command::new("sleep")
        .arg("300")
        .env("FIREDRILL_SPARE", "1")
        .spawn()
        .unwrap();
    let error = loop {
        match select(&json!({"pid": part.id()}), 0) {
            Err(error) => break error,
            // Between fork and exec it does not have its own environment yet.
            Ok(_) => std::thread::yield_now(),
        }
    };
    let refused = matches!(&error, SelectorError::Refused(Refused::NamedButSpared { spared })
        if spared.why == SpareReason::OwnPart);
    part.kill().unwrap();
    part.wait().unwrap();
    assert!(refused, "{error}");
}

fn process_line() -> Vec<u32> {
    let mut line = firedrill_kernel::process::ancestors(std::process::id()).unwrap();
    line.push(1);
    line
}

#[test]
fn the_command_pattern_and_the_name_both_must_match() {
    let herd = Herd::of(1, "app=selector-f");
    let pid = herd.pids()[0];
    let both = json!({"pid": pid, "name": "sleep", "command": "^sleep 3\\d\\d$"});
    assert_eq!(pids(&select(&both, 0).unwrap()), [pid]);
    let neither = json!({"pid": pid, "name": "slee"});
    assert!(select(&neither, 0).is_err());
}

#[test]
fn mistakes_are_all_reported_with_what_was_probably_meant() {
    let error =
        crate::Selector::parse(&json!({"nmae": "x", "count": 0, "percent": 101})).unwrap_err();
    assert_eq!(error.each().len(), 4, "{error}");
    assert!(error.to_string().contains("did you mean \"name\"?"));
    assert!(crate::Selector::parse(&json!({})).is_err());
    assert!(crate::Selector::parse(&json!([1])).is_err());
    assert!(crate::Selector::parse(&json!({"command": "("})).is_err());
    assert!(crate::Selector::parse(&json!({"name": "x", "count": 1, "percent": 5})).is_err());
    assert!(crate::Selector::parse(&json!({"pid": -1})).is_err());
    assert!(crate::Selector::parse(&json!({"pid": 4_294_967_296_u64})).is_err());
}
