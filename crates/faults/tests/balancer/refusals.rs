//! What is refused before anything is touched.

use std::io::Write as _;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::DRAIN;
use crate::haproxy::Haproxy;
use crate::owner::Owner;

fn refused(arguments: &Value) -> String {
    Owner::try_begin(DRAIN, arguments).err().unwrap()
}

fn at(socket: &Path) -> Value {
    json!({"socket": socket, "backend": "web", "server": "web-a"})
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    let why = refused(&haproxy.arguments(json!({"backend": "wob", "server": "web-a"})));
    assert!(why.contains("no backend wob; there are web, api"), "{why}");
    let why = refused(&haproxy.arguments(json!({"backend": "web", "server": "web-x"})));
    assert!(why.contains("web-x; there are web-a, web-b"), "{why}");
    haproxy.ask("set server web/web-a state drain");
    let why = refused(&at(&haproxy.socket()));
    assert!(why.contains("out of use already"), "{why}");
}

#[test]
fn a_socket_that_may_only_look_is_refused() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    let why = refused(&at(&haproxy.path("operator.sock")));
    assert!(why.contains("level operator"), "{why}");
    assert_eq!(haproxy.state("web-a"), 0);
}

#[test]
fn what_is_no_socket_or_somebody_elses_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let why = refused(&at(&file));
    assert!(why.contains("is not a socket"), "{why}");
    let why = refused(&at(&dir.path().join("none")));
    assert!(why.contains("no HAProxy answers"), "{why}");
    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    if chown(&socket, Some(12_345), None).is_err() {
        eprintln!("skipped: giving a socket away takes root");
        return;
    }
    let why = refused(&at(&socket));
    assert!(why.contains("belongs to user 12345"), "{why}");
}

#[test]
fn one_that_hangs_or_talks_nonsense_is_refused_in_bounded_time() {
    let dir = tempfile::tempdir().unwrap();
    let silent = dir.path().join("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    let why = refused(&at(&silent));
    assert!(
        why.contains("did not answer `show cli level` in time"),
        "{why}"
    );
    for nonsense in ["HTTP/1.1 400 Bad request\r\n\r\n", "", "admin"] {
        let socket = dir.path().join(format!("nonsense-{}", nonsense.len()));
        let listener = UnixListener::bind(&socket).unwrap();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let _ = stream.write_all(nonsense.as_bytes());
            }
        });
        let why = refused(&at(&socket));
        let told = why.contains("is not one of HAProxy") || why.contains("failed during");
        assert!(told, "{why}");
    }
}
