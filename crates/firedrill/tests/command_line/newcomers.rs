//! What appears while a load is in place and matches.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use firedrill_kernel::cgroup::{Cgroup, Controller, Hierarchy};
use firedrill_kernel::process;
use serde_json::{Value, json};

use crate::place::{Place, wait_until};

/// A cgroup of this test's own with the cpu controller, and the processes in it.
struct Quarters {
    cgroup: Cgroup,
    children: Vec<Child>,
}

impl Quarters {
    /// `None`, and said, where none can be made.
    fn new(name: &str) -> Option<Self> {
        let hierarchy = Hierarchy::mounted(Controller::Cpu)
            .unwrap()
            .into_iter()
            .next();
        let parent =
            hierarchy.and_then(|one| one.cgroup_of(Controller::Cpu, std::process::id()).ok());
        let name = format!("firedrill-test-{name}-{}", std::process::id());
        match parent.flatten().map(|parent| parent.create_child(&name)) {
            Some(Ok(cgroup)) => Some(Self {
                cgroup,
                children: Vec::new(),
            }),
            _ => {
                eprintln!("skipped: no cgroup with the cpu controller can be made here");
                None
            }
        }
    }

    fn settle(&mut self, label: &str) {
        let script = "echo $$ >\"$0/cgroup.procs\" && exec sleep 300";
        let child = Command::new("sh")
            .args(["-c", script])
            .arg(&self.cgroup.path)
            .env("FIREDRILL_LABELS", format!("herd={label}"))
            .spawn()
            .unwrap();
        self.children.push(child);
    }

    fn workers(&self) -> usize {
        let members = self.cgroup.processes_below().unwrap().into_iter();
        let names = members.filter_map(|pid| process::stat(pid).ok().flatten());
        names
            .filter(|stat| stat.comm == "firedrill-work" && !stat.is_gone())
            .count()
    }
}

impl Drop for Quarters {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = self.cgroup.remove();
    }
}

/// Twelve seconds of load: time for the newcomers, and for a look whether there are too many.
fn drill(place: &Place, label: &str, targets_max: u64) -> Child {
    let document = json!({
        "title": "A load on what is there and on what comes", "description": "Within its limits.",
        "blast-radius": { "targets-max": targets_max },
        "method": [{
            "type": "action", "name": "load",
            "provider": {
                "type": "fault", "name": "infrastructure.cpu",
                "target": { "label": { "herd": label } },
                "arguments": { "percent": 5 }, "duration": "12s",
            },
        }],
        "rollbacks": [],
    });
    place.file("load.json", &document.to_string());
    place
        .command(&["run", "load.json", "--journal-path", "journal.json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn report(place: &Place) -> Value {
    let journal = std::fs::read_to_string(place.work().join("journal.json")).unwrap();
    let journal: Value = serde_json::from_str(&journal).unwrap();
    journal["firedrill"]["faults"][0].clone()
}

#[test]
fn a_newcomer_elsewhere_gets_a_load_of_its_own_and_one_beside_a_target_no_second_one() {
    let (Some(mut here), Some(mut there)) = (Quarters::new("here"), Quarters::new("there")) else {
        return;
    };
    let place = Place::new();
    let label = format!("load-{}", std::process::id());
    here.settle(&label);
    let mut owner = drill(&place, &label, 3);
    assert!(
        wait_until(|| here.workers() == 1),
        "no a worker in the first cgroup"
    );
    here.settle(&label);
    there.settle(&label);
    assert!(
        wait_until(|| there.workers() == 1),
        "no a worker in the second cgroup"
    );
    assert_eq!(here.workers(), 1);
    owner.wait().unwrap();
    let report = report(&place);
    assert_eq!(report["targets"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!((here.workers(), there.workers()), (0, 0));
}

#[test]
fn a_newcomer_beyond_the_blast_radius_gets_no_load() {
    let (Some(mut here), Some(mut there)) = (Quarters::new("within"), Quarters::new("beyond"))
    else {
        return;
    };
    let place = Place::new();
    let label = format!("limited-{}", std::process::id());
    here.settle(&label);
    let mut owner = drill(&place, &label, 1);
    assert!(
        wait_until(|| here.workers() == 1),
        "no a worker in the first cgroup"
    );
    there.settle(&label);
    while owner.try_wait().unwrap().is_none() {
        assert_eq!(there.workers(), 0);
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let report = report(&place);
    assert_eq!(report["targets"].as_array().unwrap().len(), 1, "{report}");
    let told = report["achieved"].as_str().unwrap();
    assert!(
        told.contains("what appeared meanwhile was left alone: 2 targets"),
        "{told}"
    );
}
