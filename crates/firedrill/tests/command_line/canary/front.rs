//! A fault on a route behind, judged at the route in front of it: a service of the test's own takes
//! users' requests from the one and asks the other, both through one real proxy.

use serde_json::json;

use super::*;

/// What the service does with who asks, and without payments.
#[derive(Clone, Copy)]
pub(super) struct Service {
    pub(super) says_who: bool,
    pub(super) has_fallback: bool,
    /// How long it waits for them.
    pub(super) patience: Duration,
}

impl Service {
    /// Asks `payments` for each request that it answers; it ends with the test's process.
    fn serve(self, payments: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || self.answer(stream, payments));
            }
        });
        address
    }

    fn answer(self, mut stream: TcpStream, payments: SocketAddr) {
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head = lines.map_while(Result::ok).take_while(|l| !l.is_empty());
        let user = head.filter_map(|line| Some(line.strip_prefix("Cookie: user=")?.to_owned()));
        let who = user.last().filter(|_| self.says_who);
        let who = who.map_or_else(String::new, |user| format!("X-User: {user}\r\n"));
        let request = format!("GET /pay HTTP/1.1\r\nHost: x\r\n{who}Connection: close\r\n\r\n");
        let is_paid = ask_within(payments, &request, self.patience)
            .is_ok_and(|answer| answer.contains(" 200 OK"));
        let status = match is_paid || self.has_fallback {
            true => "200 OK",
            false => "502 Bad Gateway",
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes());
    }
}

pub(super) fn call(proxy: &Proxy, method: &str, path: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    ask(proxy.interface, &request).unwrap()
}

/// A proxy with `payments`, and `web` which leads to a service that asks it; where users come in.
pub(super) fn beds(place: &Place, service: Service, arms_most: &str) -> (Proxy, SocketAddr) {
    let route = format!("payments=127.0.0.1:0,{},protocol=http", answering());
    let proxy = Proxy::start(place, &route, &["--arms-most", arms_most]);
    let upstream = service.serve(proxy.address).to_string();
    let web = json!({"name": "web", "upstream": upstream, "protocol": "http"});
    let made = call(&proxy, "POST", "/proxies", &web);
    let made: Value = serde_json::from_str(made.rsplit_once("\r\n\r\n").unwrap().1).unwrap();
    let listen = made["listen"].as_str().unwrap().parse().unwrap();
    (proxy, listen)
}

/// Payments fail for a quarter of the users, by the header that the service passes on; they are judged
/// at `web`, where they have a cookie.
fn behind(proxy: &Proxy, canary: &str) -> String {
    document(proxy, FAILING, canary)
        .replace("route: web", "route: payments")
        .replace(
            "split: {share: 0.5, by: 'cookie:user'}",
            "split: {share: 0.25, by: 'header:x-user'}\n  front: {route: web, by: 'cookie:user'}",
        )
}

pub(super) fn are_clean(proxy: &Proxy) -> bool {
    let all = call(proxy, "GET", "/proxies", &Value::Null);
    assert!(
        all.contains("\"web\"") && all.contains("\"payments\""),
        "{all}"
    );
    !all.contains("split") && !all.contains("http_abort") && !all.contains("http_delay")
}

pub(super) const NO_FALLBACK: Service = Service {
    says_who: true,
    has_fallback: false,
    patience: LONG,
};

#[test]
fn a_fault_behind_is_found_at_the_front_for_the_users_who_have_it() {
    let place = Place::new();
    let (proxy, web) = beds(&place, NO_FALLBACK, "100");
    let _clients = Clients::of(web);
    let (output, journal) = canary(&place, &behind(&proxy, STRICT));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(are_clean(&proxy));
    let drill = &journal["firedrill"];
    assert_eq!(drill["verdict"], "broken");
    assert_eq!(drill["effect"], "observed");
    let canary = &drill["canary"];
    assert_eq!(canary["route"], "web");
    // Nobody of the control met it: each user is in the same arm at both routes.
    assert_eq!(canary["arms"]["control"]["bad"], 0, "{canary}");
    assert!(canary["arms"]["experiment"]["bad"].as_u64() > Some(0));
    let there = &canary["behind"];
    assert_eq!(there["route"], "payments");
    // Whoever was counted in an arm at the front had been in it behind, but for those on their way
    // when the routes were divided: one for each client.
    for arm in ["control", "experiment"] {
        let count = |when: &str, how: &str| canary[when][arm][how].as_u64().unwrap();
        let front = ["baseline", "arms"].map(|when| count(when, "good") + count(when, "bad"));
        assert!(
            there[arm].as_u64() >= Some(front.iter().sum::<u64>() - 6),
            "{canary}"
        );
    }
}

#[test]
fn a_front_that_does_without_what_is_behind_holds() {
    let place = Place::new();
    let service = Service {
        has_fallback: true,
        ..NO_FALLBACK
    };
    let (proxy, web) = beds(&place, service, "100");
    let _clients = Clients::of(web);
    let (output, journal) = canary(&place, &behind(&proxy, LENIENT));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let drill = &journal["firedrill"];
    // Held although it was met: at the route behind.
    assert_eq!(
        (&drill["verdict"], &drill["effect"]),
        (&"held".into(), &"observed".into())
    );
    assert_eq!(drill["canary"]["arms"]["experiment"]["bad"], 0);
    assert!(are_clean(&proxy));
}

#[test]
fn who_is_not_passed_on_is_in_no_arm_behind_and_nothing_is_proven() {
    let place = Place::new();
    let service = Service {
        says_who: false,
        ..NO_FALLBACK
    };
    let (proxy, web) = beds(&place, service, "100");
    let _clients = Clients::of(web);
    let (output, journal) = canary(&place, &behind(&proxy, STRICT));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let why = reason(&journal);
    assert!(
        why.contains("nobody is in an arm at route payments"),
        "{why}"
    );
    assert!(why.contains("pass header:x-user on"), "{why}");
    assert!(are_clean(&proxy));
}

#[test]
fn a_fault_behind_is_refused_where_it_cannot_be_judged_in_front() {
    let place = Place::new();
    // Room for one of the splits, not for both.
    let (proxy, web) = beds(&place, NO_FALLBACK, "60");
    let _clients = Clients::of(web);
    let refused = |document: &str, says: &str| {
        let (output, journal) = canary(&place, document);
        let said = format!(
            "{}{}",
            reason(&journal),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(are_clean(&proxy));
        let _ = std::fs::remove_file(place.work().join("canary.json"));
    };
    refused(&behind(&proxy, STRICT), "100.00 % of the traffic");
    let itself = behind(&proxy, STRICT).replace("front: {route: web", "front: {route: payments");
    refused(&itself, "the fault is on route payments itself");
    let nowhere = behind(&proxy, STRICT).replace("front: {route: web", "front: {route: shop");
    refused(&nowhere, "has no route \"shop\"");
    let connections = behind(&proxy, STRICT).replace("by: 'header:x-user'", "by: client");
    place.file("client.yaml", &connections);
    let output = place
        .command(&["validate", "client.yaml"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && said.contains("nobody is the same"),
        "{said}"
    );
}

#[test]
fn whoever_kills_it_both_routes_are_whole_again() {
    let place = Place::new();
    let (proxy, web) = beds(&place, NO_FALLBACK, "100");
    let _clients = Clients::of(web);
    let patient = LENIENT.replace("min: 1s", "min: 50s");
    let lenient = patient.replace("tolerance: 0.3", "tolerance: 1");
    place.file("canary.yaml", &behind(&proxy, &lenient));
    let mut running = place.command(&["canary", "canary.yaml"]).spawn().unwrap();
    assert!(wait_until(
        || call(&proxy, "GET", "/proxies", &Value::Null).contains("http_abort")
    ));
    let all = call(&proxy, "GET", "/proxies", &Value::Null);
    assert_eq!(all.matches("\"split\"").count(), 2, "{all}");
    assert_eq!(all.matches("\"draw\":\"firedrill-").count(), 2, "{all}");
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(wait_until(|| are_clean(&proxy)));
}
