//! Guardrails and sensors in whole drills: a real endpoint with counters, a real fault, and what is
//! left of both when the drill has stopped itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::Place;

/// Far more than a drill takes that stops itself, and far less than one that does not.
const FAULT_S: u64 = 60;
const EARLY_S: f64 = 40.0;

/// What becomes of the counters when the fault has been there for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Well,
    Harm,
    Missing,
    Hanging,
    Stuck,
    StampStuck,
    StampBack,
    Late,
    Overflow,
    AlwaysZero,
    NoNumber,
    Negative,
    Rate,
    NoJson,
    Decreasing,
    Reset,
}

/// Counters that grow by ten each hundredth of a second.
struct Endpoint {
    address: SocketAddr,
}

impl Endpoint {
    fn start(turn: Turn, after: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut first, mut held) = (None, Vec::new());
            for stream in listener.incoming().map_while(Result::ok) {
                // Its time begins when it is first asked: a busy host may start the drill late.
                let began = *first.get_or_insert_with(Instant::now);
                held.extend(answer(stream, turn, began, after));
            }
        });
        Self { address }
    }
}

/// The connection, if it has to hang.
fn answer(mut stream: TcpStream, turn: Turn, began: Instant, after: Duration) -> Option<TcpStream> {
    let now = began.elapsed();
    let turned = now > after;
    let mut line = String::new();
    let mut head = BufReader::new(stream.try_clone().unwrap());
    while head.read_line(&mut line).is_ok_and(|read| read > 2) {
        line.clear();
    }
    let (ms, stamp) = (now.as_millis() as u64, 1_000.0 + now.as_secs_f64());
    let then = after.as_millis() as u64;
    let mut body = json!({"good": 1_000 + ms, "bad": 7, "now": stamp});
    if turned {
        match turn {
            Turn::Well | Turn::AlwaysZero => {}
            Turn::Harm => body["bad"] = json!(7 + ms - then),
            Turn::Missing => return None,
            Turn::Hanging => return Some(stream),
            Turn::Stuck => body["good"] = json!(1_000 + then),
            Turn::StampStuck => body["now"] = json!(1_000.0 + after.as_secs_f64()),
            Turn::StampBack => body["now"] = json!(3.0),
            Turn::Late => {
                body["now"] = json!(stamp - (now - after).as_secs_f64() * 0.9);
            }
            Turn::Overflow => body["good"] = json!(1e17),
            Turn::NoNumber => body["good"] = json!("many"),
            Turn::Negative => body["good"] = json!(-1),
            Turn::Rate => body["bad"] = json!(7.5),
            Turn::NoJson => body = Value::String("see above".into()),
            Turn::Decreasing => {
                body["good"] = json!(ms - then);
                body["bad"] = json!(8);
            }
            Turn::Reset => {
                body["good"] = json!(ms - then);
                body["bad"] = json!(0);
            }
        }
    }
    if turn == Turn::AlwaysZero {
        (body["good"], body["bad"]) = (json!(0), json!(0));
    }
    let body = match &body {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    None
}

/// Somebody to pause.
pub(crate) struct Victim(pub(crate) Child);

impl Victim {
    pub(crate) fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let state = stat.rsplit_once(") ").unwrap().1;
        state.starts_with('T')
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who watches the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Kpi,
    Guardrail,
}

fn document(turn: Turn, by: By, endpoint: &Endpoint, victim: &Victim) -> Value {
    let provider = |turn: Turn| {
        json!({
            "type": "http", "url": format!("http://{}/stats", endpoint.address),
            "good": "$.good", "bad": "$.bad", "stamp": "$.now", "interval": "100ms",
            // A busy host may answer late; a sensor that is wrong is so for much longer.
            "timeout": "1s", "silence-max": "2s", "idle-max": if turn == Turn::AlwaysZero { "1s" } else { "2s" },
        })
    };
    let mut document = json!({
        "title": "watched", "description": "d",
        "phases": {"baseline": "1s"},
        "recovery": {"within": "3s"},
        "blast-radius": {"targets-max": 1, "duration-max": format!("{FAULT_S}s")},
        "method": [{"type": "action", "name": "pause", "provider": {
            "type": "fault", "name": "infrastructure.process-pause",
            "target": {"pid": victim.0.id()}, "duration": if turn == Turn::Well { "2s".into() } else { format!("{FAULT_S}s") },
        }}],
    });
    let objective = json!({"success-ratio": 0.9});
    match by {
        By::Kpi => {
            document["kpis"] =
                json!([{"name": "orders", "provider": provider(turn), "objective": objective}]);
        }
        By::Guardrail => {
            document["guardrails"] =
                json!([{"name": "orders", "provider": provider(turn), "objective": objective}]);
        }
    }
    document
}

/// The journal of the drill, its exit code, and that nothing of it is left.
fn drill(turn: Turn, by: By) -> (Value, i32) {
    let place = Place::new();
    let endpoint = Endpoint::start(turn, Duration::from_secs(4));
    let victim = Victim::start();
    let document = document(turn, by, &endpoint, &victim);
    place.file("drill.json", &document.to_string());
    let output = place.run(&["run", "drill.json", "--journal-path", "journal.json"]);
    let status = output.status.code().unwrap_or(-1);
    assert!(!victim.is_stopped(), "{turn:?}: the victim is paused still");
    let journal = std::fs::read_to_string(place.work().join("journal.json"));
    let journal = journal.unwrap_or_else(|error| {
        panic!(
            "{turn:?}: {error}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let journal: Value = serde_json::from_str(&journal).unwrap();
    let took = journal["duration"].as_f64().unwrap();
    assert!(
        took < EARLY_S,
        "{turn:?} took {took} s: {}",
        reasons(&journal)
    );
    (journal, status)
}

pub(crate) fn reasons(journal: &Value) -> String {
    let reasons = journal["firedrill"]["reasons"].as_array().unwrap();
    let reasons: Vec<&str> = reasons.iter().filter_map(Value::as_str).collect();
    reasons.join(" ")
}

/// What each one is called.
const AILING: [(Turn, &str); 12] = [
    (Turn::Missing, "nothing could be read for"),
    (Turn::Hanging, "no answer within 1s"),
    (Turn::Stuck, "stuck: it counted no request"),
    (Turn::StampStuck, "stuck: its time stamp stands still"),
    (Turn::StampBack, "out of order: a time stamp is older"),
    (Turn::Late, "the sensor is late"),
    (Turn::Overflow, "beyond what it counts exactly"),
    (Turn::NoNumber, "which is no number"),
    (Turn::Negative, "below zero"),
    (Turn::Rate, "a rate is no counter"),
    (Turn::NoJson, "no JSON"),
    (Turn::Decreasing, "not all did, so it was no restart"),
];

fn each(by: By, check: impl Fn(Turn, &str, &Value, i32) + Sync) {
    // A few at a time: each is a guardian and a drill that mostly wait.
    for some in AILING.chunks(4) {
        thread::scope(|scope| {
            for (turn, why) in some {
                let check = &check;
                scope.spawn(move || {
                    let (journal, status) = drill(*turn, by);
                    check(*turn, why, &journal, status);
                });
            }
        });
    }
}

#[test]
fn a_guardrail_whose_sensor_ails_stops_the_drill_and_undoes_the_fault() {
    each(By::Guardrail, |turn, why, journal, status| {
        let said = reasons(journal);
        assert_eq!(
            journal["firedrill"]["verdict"], "halted",
            "{turn:?}: {said}"
        );
        assert_eq!(status, 5, "{turn:?}");
        assert!(
            said.contains("guardrail `orders` could not be read") && said.contains(why),
            "{turn:?}: {said}"
        );
        assert!(
            journal["firedrill"]["faults"][0]["reverted"].is_f64(),
            "{turn:?}"
        );
    });
}

#[test]
fn a_kpi_whose_sensor_ails_stops_the_drill_which_is_inconclusive() {
    each(By::Kpi, |turn, why, journal, status| {
        let said = reasons(journal);
        assert_eq!(
            journal["firedrill"]["verdict"], "inconclusive",
            "{turn:?}: {said}"
        );
        assert_eq!(status, 3, "{turn:?}");
        assert!(
            said.contains("Nobody could see how the system was") && said.contains(why),
            "{turn:?}: {said}"
        );
    });
}

#[test]
fn a_sensor_that_stands_at_zero_lets_nothing_be_broken() {
    let (journal, status) = drill(Turn::AlwaysZero, By::Kpi);
    let said = reasons(&journal);
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("nothing was broken"), "{said}");
    assert_eq!(journal["firedrill"]["faults"], json!([]), "{said}");
}

#[test]
fn a_guardrail_stops_at_the_first_proof_of_harm() {
    let (journal, status) = drill(Turn::Harm, By::Guardrail);
    let said = reasons(&journal);
    assert_eq!(status, 5, "{said}");
    assert!(
        said.contains(
            "The drill stopped itself and undid its faults: guardrail `orders` is broken"
        ),
        "{said}"
    );
}

#[test]
fn a_kpi_of_counters_proves_harm_too() {
    let (journal, status) = drill(Turn::Harm, By::Kpi);
    let said = reasons(&journal);
    assert_eq!(
        (status, &journal["firedrill"]["verdict"]),
        (1, &json!("broken")),
        "{said}"
    );
    assert!(said.contains("Harm was proven"), "{said}");
}

#[test]
fn counters_that_begin_anew_stop_a_guardrail_s_drill() {
    let (journal, status) = drill(Turn::Reset, By::Guardrail);
    let said = reasons(&journal);
    assert_eq!(status, 5, "{said}");
    assert!(said.contains("its counters began anew"), "{said}");
}

#[test]
fn a_drill_on_counters_that_are_well_is_held_and_says_how_soon_it_would_have_known() {
    let (journal, status) = drill(Turn::Well, By::Kpi);
    let said = reasons(&journal);
    assert_eq!(status, 0, "{said}");
    let kpi = &journal["firedrill"]["kpis"][0];
    assert_eq!(kpi["traffic"], "live");
    assert_eq!(kpi["reaction-ms"], 3_000.0);
    assert!(
        kpi["source"]
            .as_str()
            .is_some_and(|source| source.starts_with("counters at http://127.0.0.1:")),
        "{kpi}"
    );
}
