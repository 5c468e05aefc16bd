//! Without root: what can work does, and the rest is refused with what it lacks.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use firedrill_faults::{Entry, TargetKind, catalogue};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::bed::Bed;
use crate::drill::{program, wait_for};
use crate::example;

/// Nobody, without a capability, in a place of their own.
struct Nobody {
    bed: Bed,
    place: TempDir,
}

const UID: u32 = 65_534;

/// What came of a fault.
#[derive(Debug)]
enum Outcome {
    /// Seen whole, and taken back without residue.
    Worked,
    Refused(String),
}

impl Nobody {
    /// `None`, and said, where nobody can become somebody else.
    fn come() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: becoming another user takes root");
            return None;
        }
        let bed = Bed::lay()?;
        let place = tempfile::tempdir().unwrap();
        let program = program();
        std::fs::copy(program, place.path().join("effector")).unwrap();
        for folder in ["state", "work"] {
            let path = place.path().join(folder);
            std::fs::create_dir(&path).unwrap();
            std::os::unix::fs::chown(path, Some(UID), Some(UID)).unwrap();
        }
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.path(), open).unwrap();
        Some(Self { bed, place })
    }

    /// A program as this user, in the network namespace `near`.
    fn run(&self, program: &Path, words: &[&str]) -> Child {
        let ids = [format!("--reuid={UID}"), format!("--regid={UID}")];
        let mut command = Command::new("setpriv");
        command
            .args(ids)
            .args(["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"])
            .arg(program)
            .args(words)
            .current_dir(self.place.path())
            // Whatever engine this host has, it is none of theirs.
            .env("DOCKER_HOST", "unix:///firedrill-test/no-engine")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.bed.near.within(|| command.spawn()).unwrap()
    }

    fn work(&self) -> PathBuf {
        self.place.path().join("work")
    }

    /// The fault for as long as it takes to be seen.
    fn try_out(&self, entry: &Entry, arguments: Map<String, Value>) -> Outcome {
        let mut target = self.run(Path::new("sleep"), &["60"]);
        let aim = if entry.targets.contains(&TargetKind::Host) {
            json!({"host": true})
        } else if entry.targets.contains(&TargetKind::Process) {
            json!({"pid": target.id()})
        } else {
            json!({"container": "web"})
        };
        let name = format!("/proc/{}/comm", target.id());
        while std::fs::read_to_string(&name).unwrap() != "sleep\n" {
            std::thread::yield_now();
        }
        let state = self.place.path().join("state");
        let (state, program) = (state.to_string_lossy(), self.place.path().join("effector"));
        let words = [
            "owner",
            state.as_ref(),
            "10000",
            entry.name,
            &Value::Object(arguments).to_string(),
            &aim.to_string(),
        ];
        let mut owner = self.run(&program, &words);
        let outcome = watch(&mut owner);
        owner.wait().unwrap();
        target.kill().unwrap();
        target.wait().unwrap();
        wait_for("the guardian leaves nothing", || {
            let left = std::fs::read_dir(self.place.path().join("state/drills"));
            left.map_or(0, Iterator::count) == 0
        });
        outcome
    }
}

fn watch(owner: &mut Child) -> Outcome {
    let mut input = owner.stdin.take().unwrap();
    let mut output = BufReader::new(owner.stdout.take().unwrap());
    let begun = line(&mut output);
    if let Some(why) = begun["refused"].as_str() {
        return Outcome::Refused(why.to_owned());
    }
    let seen = ask(&mut input, &mut output, "observe");
    let reverted = ask(&mut input, &mut output, "revert");
    assert_eq!(reverted["residue"], json!([]), "{reverted}");
    assert_eq!(seen["achieved"], seen["requested"], "{seen}");
    assert_eq!(seen["idle"], json!([]), "{seen}");
    Outcome::Worked
}

fn ask(input: &mut ChildStdin, output: &mut BufReader<ChildStdout>, what: &str) -> Value {
    writeln!(input, "{what}").unwrap();
    line(output)
}

fn line(output: &mut BufReader<ChildStdout>) -> Value {
    let mut text = String::new();
    output.read_line(&mut text).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// Arguments with which a fault would work for root, here.
fn arguments(entry: &Entry, nobody: &Nobody) -> Map<String, Value> {
    let mut arguments = example::arguments(entry);
    let mut set = |name: &str, value: Value| {
        if entry.parameters.iter().any(|one| one.name == name) {
            arguments.insert(name.into(), value);
        }
    };
    set("path", json!(nobody.work()));
    set("manager", json!(nobody.work().join("no-manager")));
    set("socket", json!(nobody.work().join("no-haproxy")));
    // Nobody listens there.
    set("proxy", json!("http://127.0.0.1:1"));
    match entry.name {
        "infrastructure.cpu" => set("percent", json!(5)),
        "infrastructure.disk-fill" => {
            set("percent", json!(null));
            set("bytes", json!("1MiB"));
        }
        "infrastructure.inodes" | "infrastructure.pids" => {
            set("percent", json!(null));
            set("count", json!(20));
        }
        "infrastructure.file-descriptors" => set("count", json!(100)),
        "infrastructure.io" => set("file-size", json!("1MiB")),
        "infrastructure.process-signal" => set("expect", json!("ends")),
        "infrastructure.memory" => set("bytes", json!("1MiB")),
        "switching.interface-down" => set("interface", json!("near0")),
        "switching.partition" => set("groups", json!(["10.90.0.1", "10.90.0.2"])),
        _ => {}
    }
    arguments
}

/// What needs no privilege where the target is one's own.
const WORKS: [&str; 10] = [
    "infrastructure.cpu",
    "infrastructure.disk-fill",
    "infrastructure.file-descriptors",
    "infrastructure.inodes",
    "infrastructure.io",
    "infrastructure.pids",
    "infrastructure.process-kill",
    "infrastructure.process-pause",
    "infrastructure.process-signal",
    "switching.port-occupy",
];

/// What is lacking before any privilege is: a container engine, a service manager, a policy, a load
/// balancer, a proxy.
const LACKS: [(&str, &str); 12] = [
    ("infrastructure.container-kill", "no engine listens"),
    ("infrastructure.container-pause", "no engine listens"),
    ("infrastructure.container-restart", "no engine listens"),
    ("infrastructure.container-stop", "no engine listens"),
    ("infrastructure.service-stop", "no service manager"),
    ("infrastructure.host-reboot", "not allowed by the policy"),
    ("infrastructure.host-shutdown", "not allowed by the policy"),
    ("switching.lb-drain", "no HAProxy answers"),
    ("switching.zone-evacuate", "no HAProxy answers"),
    ("application.http-error", "no proxy answers"),
    ("application.latency", "no proxy answers"),
    ("application.reset", "no proxy answers"),
];

#[test]
fn a_plain_user_can_do_what_needs_no_privilege_and_is_told_what_the_rest_lacks() {
    let Some(nobody) = Nobody::come() else { return };
    let before = nobody.bed.snapshot();
    for entry in catalogue() {
        let outcome = nobody.try_out(&entry, arguments(&entry, &nobody));
        eprintln!("{}: {outcome:?}", entry.name);
        let why = match outcome {
            Outcome::Worked => {
                assert!(WORKS.contains(&entry.name), "{} worked", entry.name);
                continue;
            }
            Outcome::Refused(why) => why,
        };
        assert!(!WORKS.contains(&entry.name), "{}: {why}", entry.name);
        let lacks = LACKS.iter().find(|(name, _)| *name == entry.name);
        match lacks {
            Some((_, what)) => assert!(why.contains(what), "{}: {why}", entry.name),
            None => assert!(names_what_it_needs(&entry, &why), "{}: {why}", entry.name),
        }
    }
    assert_eq!(nobody.bed.snapshot(), before);
}

/// Whether the reason names a capability that the catalogue says it needs.
fn names_what_it_needs(entry: &Entry, why: &str) -> bool {
    let words = entry
        .needs
        .iter()
        .flat_map(|need| need.split([' ', ',', ';']));
    let mut capabilities = words.filter(|word| word.starts_with("CAP_"));
    capabilities.any(|capability| why.contains(capability))
}

#[test]
fn what_a_plain_user_asks_beyond_is_refused_by_the_capability_of_just_that() {
    let Some(nobody) = Nobody::come() else { return };
    for (fault, parameter, value, capability) in [
        ("infrastructure.cpu", "ahead", json!(true), "CAP_SYS_NICE"),
        (
            "switching.port-occupy",
            "port",
            json!(80),
            "CAP_NET_BIND_SERVICE",
        ),
    ] {
        let catalogue = catalogue();
        let entry = catalogue.iter().find(|entry| entry.name == fault).unwrap();
        let mut arguments = arguments(entry, &nobody);
        arguments.insert(parameter.into(), value);
        let outcome = nobody.try_out(entry, arguments);
        let Outcome::Refused(why) = outcome else {
            panic!("{fault} worked");
        };
        eprintln!("{fault} {parameter}: {why}");
        assert!(why.contains(capability), "{why}");
    }
}
