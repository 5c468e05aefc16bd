//! A margin: what cannot be asked, and whole searches on a service with a dependency.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;

use crate::place::Place;

/// A service on this host, whose requests each ask a dependency, and wait so long for it.
struct Service {
    address: SocketAddr,
    dependency: Ipv4Addr,
}

impl Service {
    fn start(patience: Duration) -> Self {
        // An address of its own, so that the fault meets nobody else.
        static COUNT: AtomicU8 = AtomicU8::new(78);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dependency = Ipv4Addr::new(127, count, high, low.max(1));
        let behind = TcpListener::bind((dependency, 0)).unwrap();
        let upstream = behind.local_addr().unwrap();
        serve(behind, |mut stream| {
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        serve(listener, move |stream| {
            let mut answers = stream.try_clone().unwrap();
            let mut upstream = TcpStream::connect(upstream).unwrap();
            upstream.set_nodelay(true).unwrap();
            upstream.set_read_timeout(Some(patience)).unwrap();
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if !line.is_empty() {
                    continue;
                }
                let late =
                    upstream.write_all(b"?").is_err() || upstream.read_exact(&mut [0]).is_err();
                let status = if late { "503 Late" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                if answers.write_all(answer.as_bytes()).is_err() || late {
                    // What comes too late is not the next one's answer.
                    return;
                }
            }
        });
        Self {
            address,
            dependency,
        }
    }

    fn document(&self, asked: &str) -> String {
        let Self {
            address,
            dependency,
        } = self;
        format!(
            "title: How late the dependency may be
description: Its packets are late until requests fail.
kpis:
  - name: answered
    provider: {{type: load, url: 'http://{address}/', rate: 60, timeout: 1s}}
    objective: {{success-ratio: 0.9}}
recovery: {{within: 20s}}
phases: {{baseline: 1s}}
blast-radius: {{targets-max: 1, duration-max: 20s, exclusive-host: true}}
margin:
  vary: {{activity: it is late, argument: delay}}
  from: 5ms
  to: 2s
  dwell: {{min: 500ms, max: 10s}}
  budget: {{bad-events: 400, bad-events-per-trial: 60, trials: 60}}
  {asked}
method:
  - type: action
    name: it is late
    provider:
      type: fault
      name: switching.latency
      target: {{host: true}}
      duration: 10s
      arguments: {{address: {dependency}, delay: 10ms}}
"
        )
    }
}

fn serve(listener: TcpListener, each: impl Fn(TcpStream) + Clone + Send + 'static) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_nodelay(true).unwrap();
            let each = each.clone();
            thread::spawn(move || each(stream));
        }
    });
}

/// That faults of the network can be made here, and that no other search makes some meanwhile;
/// nothing, and said, where they cannot.
fn can_delay() -> Option<MutexGuard<'static, ()>> {
    static ALONE: Mutex<()> = Mutex::new(());
    if !geteuid().is_root() {
        eprintln!("skipped: faults of the network need CAP_NET_ADMIN");
        return None;
    }
    Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

fn record(place: &Place) -> Value {
    let text = std::fs::read(place.work().join("margin.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Rules of ours that are left.
fn rules() -> String {
    let listed = std::process::Command::new("nft")
        .args(["list", "ruleset"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&listed.stdout).into_owned()
}

#[test]
fn what_cannot_be_asked_says_why() {
    let place = Place::new();
    place.file(
        "plain.json",
        r#"{"title": "t", "description": "d", "method": []}"#,
    );
    assert_snapshot!("margin_of_nothing", place.see(&["margin", "plain.json"]));
    let service = Service {
        address: ([127, 0, 0, 1], 9).into(),
        dependency: Ipv4Addr::new(127, 78, 0, 1),
    };
    let document = service.document("at-least: 3s");
    place.file("beyond.yaml", &document);
    assert_snapshot!("margin_beyond", place.see(&["margin", "beyond.yaml"]));
    place.file("good.yaml", &service.document("at-least: 20ms"));
    assert_snapshot!(
        "margin_resumes_nothing",
        place.see(&["margin", "good.yaml", "--resume"])
    );
    place.file("margin.json", "{}");
    let no_record = place.run(&["margin", "good.yaml", "--resume"]);
    assert_eq!(no_record.status.code(), Some(2), "{no_record:?}");
    std::fs::create_dir(place.work().join("folder")).unwrap();
    let no_file = place.run(&["margin", "good.yaml", "--record", "folder"]);
    assert_eq!(no_file.status.code(), Some(2), "{no_file:?}");
}

#[test]
fn what_could_not_answer_or_goes_too_far_is_refused_before_anything_is_touched() {
    let Some(_alone) = can_delay() else { return };
    let place = Place::new();
    let service = Service::start(Duration::from_millis(100));
    let document = service.document("at-least: 20ms");
    let document = document.replace("success-ratio: 0.9}", "success-ratio: 0.9999}");
    place.file("slow.yaml", &document);
    let refused = place.run(&["margin", "slow.yaml"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("cannot answer"), "{said}");
    // Beyond what the fault takes, which is seen before the search has come that far.
    let document = service
        .document("at-least: 20ms")
        .replace("to: 2s", "to: 2h");
    place.file("far.yaml", &document);
    let refused = place.run(&["margin", "far.yaml"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("at 7200 s"), "{said}");
    assert!(!place.work().join("margin.json").exists());
}

#[test]
fn a_margin_is_proven_or_disproven_and_nothing_is_left() {
    let Some(_alone) = can_delay() else { return };
    let service = Service::start(Duration::from_millis(500));
    for (asked, code, word) in [
        ("at-least: 40ms", 0, "proven"),
        ("at-least: 1900ms", 1, "disproven"),
    ] {
        let place = Place::new();
        let asked = format!("{asked}\n  risk: 0.3");
        place.file("late.yaml", &service.document(&asked));
        let ended = place.run(&["margin", "late.yaml", "--seed", "1"]);
        let said = String::from_utf8_lossy(&ended.stdout);
        let shown = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}{shown}");
        assert!(said.contains(&format!("\n{word} ")), "{said}");
        let record = record(&place);
        let trials = record["trials"].as_array().unwrap();
        assert!(!trials.is_empty());
        let bad: u64 = trials
            .iter()
            .map(|one| one["trial"]["bad"].as_u64().unwrap())
            .sum();
        assert_eq!(bad == 0, code == 0, "{record}");
        let ours = service.dependency.to_string();
        assert!(!rules().contains(&ours), "{}", rules());
    }
}

/// What a document has around its method, in a place where `well`, `version` and `safe` are files.
fn surrounded(place: &Place, service: &Service, asked: &str) {
    for (name, text) in [("well", ""), ("safe", ""), ("version", "1.40\n")] {
        place.file(name, text);
    }
    let around = "
steady-state-hypothesis:
  title: it is well
  probes: [{type: probe, name: well, tolerance: 0, provider: {type: process, path: test, arguments: [-e, well]}}]
guardrails:
  - {probe: {type: probe, name: safe, tolerance: 0, provider: {type: process, path: test, arguments: [-e, safe]}}, mode: {every: 100ms}}
rollbacks:
  - {type: action, name: clean up, provider: {type: process, path: touch, arguments: [cleaned]}}
";
    // `status` is what a process's tolerance of an integer looks at.
    place.file("late.yaml", &format!("{}{around}", service.document(asked)));
}

const READ: &str =
    "context: {replicas: 6, version: {provider: {type: process, path: cat, arguments: version}}}";

fn stopped(place: &Place) -> Value {
    record(place)["stopped"]["why"].clone()
}

#[test]
fn a_search_is_held_as_a_drill_is_and_says_what_it_holds_for() {
    let Some(_alone) = can_delay() else { return };
    let service = Service::start(Duration::from_millis(500));
    let place = Place::new();
    surrounded(
        &place,
        &service,
        &format!("at-least: 20ms\n  risk: 0.3\n  {READ}"),
    );
    let ended = place.run(&["margin", "late.yaml", "--seed", "1"]);
    let said = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(
        said.contains("at 60 requests/s, 6 replicas, version 1.40"),
        "{said}"
    );
    assert!(
        place.work().join("cleaned").exists(),
        "its rollbacks were played"
    );
    let kept = record(&place);
    assert_eq!(kept["drill"]["firedrill"]["verdict"], "held", "{kept}");
    assert_eq!(kept["context"]["facts"]["version"], "1.40");

    // Not well before, and nothing is touched.
    std::fs::remove_file(place.work().join("well")).unwrap();
    let ended = place.run(&["margin", "late.yaml", "--seed", "1"]);
    assert_eq!(ended.status.code(), Some(4), "{ended:?}");
    assert_eq!(stopped(&place), "unhealthy");
    assert_eq!(record(&place)["trials"].as_array().unwrap().len(), 0);
}

#[test]
fn a_guardrail_that_breaks_stops_a_search_and_undoes_its_fault() {
    let Some(_alone) = can_delay() else { return };
    let service = Service::start(Duration::from_millis(500));
    let place = Place::new();
    surrounded(&place, &service, "at-least: 60ms\n  risk: 0.3");
    let mut search = begun(&place, "  1  ");
    std::fs::remove_file(place.work().join("safe")).unwrap();
    assert_eq!(search.wait().unwrap().code(), Some(5));
    assert_eq!(stopped(&place), "guardrail");
    assert!(
        !rules().contains(&service.dependency.to_string()),
        "{}",
        rules()
    );
    assert!(
        place.work().join("cleaned").exists(),
        "its rollbacks were played"
    );
}

/// The KPI that the search breaks on purpose has a threshold beyond which it must not be broken.
#[test]
fn a_guardrail_on_the_kpi_itself_stops_a_search() {
    let Some(_alone) = can_delay() else { return };
    let service = Service::start(Duration::from_millis(100));
    let place = Place::new();
    let asked = "search: {non-production: true}";
    let guarded = format!(
        "{}guardrails: [{{kpi: answered, objective: {{bad-events-max: 3}}}}]\n",
        service.document(asked)
    );
    place.file("late.yaml", &guarded);
    let ended = place.run(&["margin", "late.yaml", "--seed", "1"]);
    assert_eq!(ended.status.code(), Some(5), "{ended:?}");
    assert_eq!(stopped(&place), "guardrail");
    let why = record(&place)["stopped"]["text"].to_string();
    assert!(why.contains("guardrail `answered` is broken"), "{why}");
    assert!(
        !rules().contains(&service.dependency.to_string()),
        "{}",
        rules()
    );
}

#[test]
fn a_system_that_is_not_well_between_trials_is_left_alone() {
    let Some(_alone) = can_delay() else { return };
    let service = Service::start(Duration::from_millis(500));
    let place = Place::new();
    surrounded(&place, &service, "at-least: 60ms\n  risk: 0.3");
    let document = std::fs::read_to_string(place.work().join("late.yaml")).unwrap();
    place.file("late.yaml", &document.replace("within: 20s", "within: 2s"));
    let mut search = begun(&place, "  1  ");
    std::fs::remove_file(place.work().join("well")).unwrap();
    assert_eq!(search.wait().unwrap().code(), Some(1));
    let kept = record(&place);
    assert_eq!(kept["trials"].as_array().unwrap().len(), 1, "{kept}");
    assert_eq!(stopped(&place), "not-recovered", "{kept}");
}

#[test]
fn a_search_of_a_system_that_changed_meanwhile_answers_nothing() {
    let Some(_alone) = can_delay() else { return };
    let service = Service::start(Duration::from_millis(500));
    let place = Place::new();
    surrounded(
        &place,
        &service,
        &format!("at-least: 20ms\n  risk: 0.3\n  {READ}"),
    );
    let mut search = begun(&place, "  1  ");
    place.file("version", "1.41\n");
    assert_eq!(search.wait().unwrap().code(), Some(3));
    assert_eq!(stopped(&place), "context-changed");
    // What goes on is the old question of a new system.
    let ended = place.run(&["margin", "late.yaml", "--resume"]);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
}

#[test]
fn several_dimensions_are_one_table_and_a_report() {
    let Some(_alone) = can_delay() else { return };
    let service = Service::start(Duration::from_millis(500));
    let place = Place::new();
    let one = service.document("at-least: 20ms\n  risk: 0.3");
    let (head, rest) = one.split_once("margin:\n").unwrap();
    let (margin, method) = rest.split_once("method:\n").unwrap();
    let margins: String = [("soon", "20ms"), ("later", "1900ms")]
        .iter()
        .map(|(name, target)| {
            let keys = margin
                .trim_start()
                .replace("at-least: 20ms", &format!("at-least: {target}"));
            format!(
                "  - name: {name}\n    {}\n",
                keys.trim_end().replace("\n  ", "\n    ")
            )
        })
        .collect();
    place.file(
        "both.yaml",
        &format!("{head}margin:\n{margins}method:\n{method}"),
    );
    let ended = place.run(&["margin", "both.yaml", "--seed", "1"]);
    let said = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let table: Vec<_> = said
        .lines()
        .skip_while(|line| !line.contains("dimension "))
        .collect();
    assert!(
        table[1].contains("soon") && table[1].contains("proven"),
        "{said}"
    );
    assert!(
        table[2].contains("later") && table[2].contains("disproven"),
        "{said}"
    );
    let kept = record(&place);
    assert_eq!(kept["records"].as_array().unwrap().len(), 2);
    // Both are over, so nothing is tried again.
    let again = place.run(&["margin", "both.yaml", "--resume"]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert_eq!(record(&place), kept);
    let page = place.run(&["report", "margin.json", "-o", "margin.html"]);
    assert_eq!(page.status.code(), Some(0), "{page:?}");
    let page = std::fs::read_to_string(place.work().join("margin.html")).unwrap();
    assert!(page.contains("svg") && page.contains("Disproven"));
    let text = place.run(&["report", "margin.json"]);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(text.contains("| soon | proven |"), "{text}");
}

/// A search that has just said this.
fn begun(place: &Place, said: &str) -> Child {
    let mut search = place
        .command(&["margin", "late.yaml", "--seed", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let shown = BufReader::new(search.stderr.take().unwrap());
    let mut lines = shown.lines();
    lines
        .find(|line| line.as_ref().is_ok_and(|line| line.contains(said)))
        .unwrap()
        .unwrap();
    // What it says from here on has to go somewhere.
    thread::spawn(move || lines.for_each(drop));
    search
}

#[test]
fn a_search_that_is_stopped_undoes_its_fault_and_goes_on_where_it_was() {
    let Some(_alone) = can_delay() else { return };
    let place = Place::new();
    let service = Service::start(Duration::from_millis(500));
    place.file("late.yaml", &service.document("at-least: 60ms"));
    let mut search = begun(&place, "borne");
    let pid = Pid::from_raw(i32::try_from(search.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(search.wait().unwrap().code(), Some(5));
    assert!(!rules().contains(&service.dependency.to_string()));
    let before = record(&place);
    assert_eq!(before["stopped"]["why"], "halted");
    let made = before["trials"].as_array().unwrap().len();
    assert!(made > 0);
    let other = service.document("at-least: 70ms");
    place.file("other.yaml", &other);
    std::fs::copy(
        place.work().join("margin.json"),
        place.work().join("other.json"),
    )
    .unwrap();
    let words = ["margin", "other.yaml", "--resume", "--record", "other.json"];
    let refused = place.run(&words);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let ended = place.run(&["margin", "late.yaml", "--resume"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let after = record(&place);
    assert_eq!(
        after["trials"].as_array().unwrap()[..made],
        before["trials"].as_array().unwrap()[..]
    );
    assert_eq!(after["seed"], 1);
    assert_eq!(after["stopped"], Value::Null);
}

#[test]
fn a_search_that_is_stopped_while_its_fault_is_put_in_place_was_stopped_and_not_refused() {
    let Some(_alone) = can_delay() else { return };
    let service = Service::start(Duration::from_millis(500));
    for _ in 0..4 {
        let place = Place::new();
        place.file("late.yaml", &service.document("at-least: 60ms"));
        // The line of the first trial, told just before its fault is asked for.
        let mut search = begun(&place, "  1  ");
        let pid = Pid::from_raw(i32::try_from(search.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        assert_eq!(search.wait().unwrap().code(), Some(5));
        assert_eq!(record(&place)["stopped"]["why"], "halted");
        assert!(!rules().contains(&service.dependency.to_string()));
    }
}
