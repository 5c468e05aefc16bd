use std::time::Duration;

use firedrill_faults::Target;
use firedrill_kernel::freezer::{self, Version};
use firedrill_kernel::process;
use serde_json::{Value, json};

use crate::drill::{Drill, LONG, compile, pause, wait_for};
use crate::places::OwnProcess;

const PAUSE: &str = "infrastructure.process-pause";

/// A cgroup of this test's own with a freezer, removed at the end.
struct Freezer {
    version: Version,
    cgroup: freezer::Cgroup,
}

impl Freezer {
    /// `None`, and said, where no freezer can be operated.
    fn with(name: &str) -> Option<Self> {
        let mounted = freezer::Hierarchy::mounted().unwrap();
        let Some(hierarchy) = mounted.iter().find(|one| one.operate().is_ok()) else {
            eprintln!("skipped: no usable freezer");
            return None;
        };
        let me = std::process::id();
        let parent = hierarchy.cgroup_of(me).unwrap().unwrap();
        let path = parent.join(format!("firedrill-test-{me}-{name}"));
        let cgroup = freezer::Cgroup::create(hierarchy.version, &path).unwrap();
        Some(Self {
            version: hierarchy.version,
            cgroup,
        })
    }

    fn busy(&self) -> OwnProcess {
        let process = OwnProcess::shell("while :; do :; done");
        let pid = process.pid().to_string();
        std::fs::write(self.cgroup.path().join("cgroup.procs"), pid).unwrap();
        process
    }

    /// What the kernel's own file says of the whole cgroup.
    fn says_frozen(&self) -> bool {
        let (file, line) = match self.version {
            Version::V1 => ("freezer.state", "FROZEN"),
            Version::V2 => ("cgroup.events", "frozen 1"),
        };
        let text = std::fs::read_to_string(self.cgroup.path().join(file)).unwrap();
        text.lines().any(|one| one == line)
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // The processes were killed before; the kernel needs a moment to see that they are gone.
        for _ in 0..200 {
            if std::fs::remove_dir(self.cgroup.path()).is_ok() {
                return;
            }
            pause(Duration::from_millis(10));
        }
    }
}

fn cpu(process: &OwnProcess) -> Duration {
    process::stat(process.pid()).unwrap().unwrap().cpu()
}

fn is_stopped(process: &OwnProcess) -> bool {
    let stat = process::stat(process.pid()).unwrap().unwrap();
    stat.state.is_stopped()
}

/// Pauses both, sees that neither runs, and that both do after the undo.
fn stand_still(pair: [&OwnProcess; 2], arguments: &Value, meanwhile: impl Fn()) {
    let aims = pair.map(|one| Target::from(one.identity()));
    let primitives = compile(PAUSE, arguments, &aims).unwrap();
    let drill = Drill::begin();
    let applied = drill.guardian.apply(primitives).unwrap();
    let seen = drill.guardian.observe_until(applied.id, LONG).unwrap();
    assert!(seen.is_complete(), "{seen:?}");
    let before = pair.map(cpu);
    pause(Duration::from_millis(300));
    assert_eq!(pair.map(cpu), before, "{arguments}");
    meanwhile();
    let reverted = drill.guardian.revert(applied.id).unwrap();
    assert!(reverted.residue.is_empty(), "{reverted:?}");
    drill.guardian.finish().unwrap();
    for (process, before) in pair.into_iter().zip(before) {
        wait_for("it runs again", || cpu(process) > before);
    }
}

#[test]
fn a_whole_cgroup_is_frozen_and_its_processes_do_not_know() {
    let Some(own) = Freezer::with("whole") else {
        return;
    };
    let (one, other) = (own.busy(), own.busy());
    stand_still([&one, &other], &json!({"mechanism": "freezer"}), || {
        assert!(own.says_frozen());
        assert!(!is_stopped(&one) && !is_stopped(&other));
    });
    assert!(!own.says_frozen());
    eprintln!("pause: a whole cgroup on {:?}", own.version);
}

#[test]
fn beside_a_bystander_the_freezer_is_refused_where_it_would_meet_it_and_auto_stops() {
    let Some(own) = Freezer::with("bystander") else {
        return;
    };
    let (one, other, bystander) = (own.busy(), own.busy(), own.busy());
    let freezer = json!({"mechanism": "freezer"});
    let aims = [&one, &other].map(|one| Target::from(one.identity()));
    let lives = || {
        let before = cpu(&bystander);
        wait_for("the bystander runs", || cpu(&bystander) > before);
    };
    match own.version {
        // The two are moved to a cgroup of ours meanwhile, which changes no limit of theirs.
        Version::V1 => stand_still([&one, &other], &freezer, lives),
        Version::V2 => {
            let error = compile(PAUSE, &freezer, &aims).unwrap_err();
            assert!(error.to_string().contains("whole cgroup"), "{error}");
        }
    }
    stand_still([&one, &other], &json!({"mechanism": "auto"}), || {
        assert_eq!(own.version == Version::V2, is_stopped(&one));
        lives();
    });
}

#[test]
fn a_signal_stops_just_the_targets_wherever_they_are() {
    let (one, other, bystander) = (
        OwnProcess::shell("while :; do :; done"),
        OwnProcess::shell("while :; do :; done"),
        OwnProcess::shell("while :; do :; done"),
    );
    stand_still([&one, &other], &json!({"mechanism": "signal"}), || {
        assert!(is_stopped(&one) && is_stopped(&other) && !is_stopped(&bystander));
    });
    assert!(!is_stopped(&one) && !is_stopped(&other));
}
