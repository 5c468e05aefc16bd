//! Users are counted once each, whatever connection and thread their requests come on.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bed::Bed;

const EPOCH: u64 = 500;

fn split() -> Value {
    json!({ "share": 0.3, "by": "cookie:user", "users": { "epoch": EPOCH } })
}

fn divided() -> (Bed, Bed) {
    let (bed, through) = Bed::with_http();
    let divided = bed.post("/proxies/api/split", &split().to_string());
    assert_eq!(divided.status, 200, "{divided:?}");
    (bed, through)
}

fn add(bed: &Bed, toxic: &Value) {
    let added = bed.post("/proxies/api/toxics", &toxic.to_string());
    assert_eq!(added.status, 200, "{added:?}");
}

/// One connection that stays, on which requests of different users come after each other.
struct Kept(BufReader<TcpStream>);

impl Kept {
    fn to(through: &Bed) -> Self {
        let stream = TcpStream::connect(through.address).expect("a connection");
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, user: u32, path: &str) -> u16 {
        // At once: a request in pieces waits for acknowledgements.
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: test\r\ncookie: a=b; user={user}\r\n\r\n");
        let stream = self.0.get_mut();
        stream.write_all(request.as_bytes()).expect("sent");
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line).expect("a header");
            let (name, value) = line.trim().split_once(": ").unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "" => break,
                "content-length" => length = value.parse().expect("a length"),
                _ => {}
            }
        }
        self.0.read_exact(&mut vec![0; length]).expect("a body");
        status.expect("a status")
    }
}

/// All users ask, each on four connections at the same time; some of them for what fails.
fn all_ask(through: &Bed, users: u32, path: fn(u32) -> &'static str) {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut kept = Kept::to(through);
                for user in 0..users {
                    kept.ask(user, path(user));
                }
            });
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "nothing here is to be halted")]
fn pause() {
    thread::sleep(Duration::from_millis(20));
}

/// What is told, when it is as many users as these.
fn told(bed: &Bed, users: u64) -> Value {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        let told = bed.get("/proxies/api/split").json()["users"].clone();
        let of = |arm: &str, outcome: &str| told[arm][outcome].as_u64().expect("a count");
        let sum: u64 = ["control", "experiment"]
            .iter()
            .map(|arm| of(arm, "well") + of(arm, "badly"))
            .sum();
        assert!(sum <= users, "{told} for {users} users");
        if sum == users {
            return told;
        }
        assert!(Instant::now() < limit, "{told} for {users} users");
        pause();
    }
}

#[test]
fn each_user_counts_once_by_whether_a_bad_answer_came_to_it() {
    const USERS: u32 = 200;
    let (bed, through) = divided();
    // Who is where, and who fails whatever the arm: every third.
    let down = json!({ "type": "http_abort", "arm": "experiment", "name": "down" });
    add(&bed, &down);
    let mut kept = Kept::to(&through);
    let experiment: Vec<u32> = (0..USERS)
        .filter(|user| kept.ask(*user, "/version") == 503)
        .collect();
    let arms = bed.get("/proxies/api/split").json()["arms"].clone();
    let control = arms["control"]["well"].as_u64().expect("a count");
    let told_first = told(&bed, control + experiment.len() as u64);
    assert_eq!(
        told_first["experiment"],
        json!({ "well": 0, "badly": experiment.len() })
    );
    assert_eq!(
        told_first["control"],
        json!({ "well": control, "badly": 0 })
    );

    // The arms' faults are others: everybody counts anew.
    assert_eq!(bed.delete("/proxies/api/toxics/down").status, 204);
    let broken = json!({
        "type": "http_abort", "name": "broken", "attributes": { "path": "/version/broken" },
    });
    add(&bed, &broken);
    let run = |told: &Value| told["run"].as_u64().expect("a number");
    let begun = bed.get("/proxies/api/split").json()["users"].clone();
    assert_eq!(run(&begun), run(&told_first) + 1, "one change of the arms");
    assert_eq!(begun["control"], json!({ "well": 0, "badly": 0 }));
    all_ask(&through, USERS, |user| match user % 3 {
        0 => "/version/broken",
        _ => "/version",
    });
    // Later fortune changes nothing, whether in the same epoch or not.
    all_ask(&through, USERS, |_| "/version");
    let told = told(&bed, control + experiment.len() as u64);
    let badly = experiment.iter().filter(|user| *user % 3 == 0).count();
    let well = experiment.len() - badly;
    assert_eq!(told["experiment"], json!({ "well": well, "badly": badly }));
    let badly = told["control"]["badly"].as_u64().expect("a count");
    let broken = bed.get("/proxies/api/split").json()["arms"]["control"]["badly"].clone();
    assert_eq!(broken, 4 * badly, "four bad answers are one user");
    assert_eq!(told["left_out"], 0);
    assert_eq!(told["epoch"], EPOCH);
    let line = format!(
        "firedrill_proxy_users_total{{arm=\"control\",outcome=\"badly\",proxy=\"api\"}} {badly}"
    );
    let metrics = bed.get("/metrics").body;
    assert!(metrics.contains(&line), "{metrics}");
}

#[test]
fn an_address_is_a_user_whatever_its_connections() {
    let (bed, through) = Bed::with_http();
    let split = json!({ "share": 0.5, "by": "client", "users": { "epoch": 100 } });
    let divided = bed.post("/proxies/api/split", &split.to_string());
    assert_eq!(divided.status, 200, "{divided:?}");
    for _ in 0..5 {
        assert_eq!(through.get("/version").status, 200);
    }
    assert_eq!(told(&bed, 1)["left_out"], 0);
    let arms = bed.get("/proxies/api/split").json()["arms"].clone();
    let of = |arm: &str| arms[arm]["well"].as_u64().expect("a count");
    assert_eq!(of("control") + of("experiment"), 5, "{arms}");
}

#[test]
fn nobody_counts_users_who_cannot_be_told_apart_or_are_not_asked_for() {
    let (bed, _) = Bed::with_http();
    for (body, why) in [
        (json!({ "share": 0.1, "users": {} }), "does not say whose"),
        (
            json!({ "share": 0.1, "by": "client", "users": { "epoch": 99 } }),
            "it is 100 to 3600000 ms",
        ),
        (
            json!({ "share": 0.1, "by": "client", "users": { "of": 1 } }),
            "unknown field",
        ),
    ] {
        let refused = bed.post("/proxies/api/split", &body.to_string());
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.body.contains(why), "{refused:?}");
    }
    let plain = json!({ "share": 0.1, "by": "client" }).to_string();
    assert_eq!(bed.post("/proxies/api/split", &plain).status, 200);
    assert_eq!(bed.get("/proxies/api/split").json().get("users"), None);
    assert!(!bed.get("/metrics").body.contains("users_total"));
    let (bed, _) = Bed::with_echo();
    let client = json!({ "share": 0.1, "by": "client", "users": {} }).to_string();
    let refused = bed.post("/proxies/echo/split", &client);
    assert!(
        refused.body.contains("say the proxy's protocol"),
        "{refused:?}"
    );
}
