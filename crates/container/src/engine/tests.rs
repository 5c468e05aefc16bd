//! Against an engine that says what a test tells it to. Real ones are in `tests/`.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use proptest::prelude::*;

use super::*;

struct Fake {
    engine: Engine,
    server: JoinHandle<Vec<String>>,
    _directory: tempfile::TempDir,
}

impl Fake {
    /// Gives these answers to as many connections; the requests come back from [`Fake::end`].
    fn answers(answers: Vec<Vec<u8>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let answer = |bytes: Vec<u8>| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0_u8; 2048];
                let length = stream.read(&mut request).unwrap();
                // The client may have hung up after a head it did not like.
                let _ = stream.write_all(&bytes);
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                text.lines().next().unwrap_or_default().to_owned()
            };
            answers.into_iter().map(answer).collect()
        });
        Self {
            engine: Engine::at(Kind::Docker, socket),
            server,
            _directory: directory,
        }
    }

    fn says(status: u16, body: &str) -> Self {
        Self::answers(vec![answer(status, body)])
    }

    fn end(self) -> Vec<String> {
        self.server.join().unwrap()
    }
}

fn answer(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn inspection(status: &str) -> Vec<u8> {
    answer(
        200,
        &format!(r#"{{"Id":"ab","Name":"/c","State":{{"Status":"{status}"}}}}"#),
    )
}

#[test]
fn statuses_become_typed_answers() {
    let start = |status, body: &str| {
        let fake = Fake::says(status, body);
        let answer = fake.engine.start("ab");
        assert_eq!(fake.end(), ["POST /containers/ab/start HTTP/1.1"]);
        answer
    };
    assert!(matches!(start(204, ""), Ok(Change::Done)));
    assert!(matches!(start(304, ""), Ok(Change::Already)));
    assert!(matches!(start(404, "{}"), Err(EngineError::Gone { .. })));
    let told = start(409, r#"{"message":"busy"}"#);
    assert!(matches!(told, Err(EngineError::Conflict { message, .. }) if message == "busy"));
    let podman = start(500, r#"{"cause":"container state improper","message":"m"}"#);
    assert!(matches!(podman, Err(EngineError::Conflict { message, .. }) if message == "m"));
    let removing = start(500, r#"{"cause":"no such container","message":"m"}"#);
    assert!(matches!(removing, Err(EngineError::Gone { .. })));
    let plain = start(500, "not json\n");
    assert!(
        matches!(plain, Err(EngineError::Refused { status: 500, message, .. }) if message == "not json")
    );
}

#[test]
fn a_conflict_on_pause_is_already_only_if_it_is_paused() {
    let pause = |state| {
        let fake = Fake::answers(vec![answer(409, "{}"), inspection(state)]);
        let answer = fake.engine.pause("ab");
        assert_eq!(fake.end()[1], "GET /containers/ab/json HTTP/1.1");
        answer
    };
    assert!(matches!(pause("paused"), Ok(Change::Already)));
    assert!(matches!(pause("exited"), Err(EngineError::Conflict { .. })));
}

#[test]
fn a_failed_pause_is_never_taken_for_somebody_elses() {
    let fake = Fake::says(500, r#"{"message":"the runtime crashed"}"#);
    let failed = fake.engine.pause("ab");
    assert!(
        matches!(failed, Err(EngineError::Refused { .. })),
        "{failed:?}"
    );
    assert_eq!(fake.end().len(), 1);
}

#[test]
fn an_unpause_is_tried_again_if_the_engine_knew_of_the_pause_too_late() {
    let fake = Fake::answers(vec![
        answer(500, "{}"),
        inspection("paused"),
        answer(204, ""),
    ]);
    assert!(matches!(fake.engine.unpause("ab"), Ok(Change::Done)));
    let unpause = "POST /containers/ab/unpause HTTP/1.1";
    let requests = fake.end();
    assert_eq!(
        (requests[0].as_str(), requests[2].as_str()),
        (unpause, unpause)
    );
}

#[test]
fn a_refused_unpause_is_an_error_while_it_is_paused() {
    let refused = Fake::answers(vec![
        answer(500, "{}"),
        inspection("paused"),
        answer(500, "{}"),
    ]);
    let error = refused.engine.unpause("ab").unwrap_err();
    assert!(matches!(error, EngineError::Refused { .. }), "{error:?}");
    refused.end();
    let before = Fake::answers(vec![answer(500, "{}"), inspection("running")]);
    assert!(matches!(before.engine.unpause("ab"), Ok(Change::Already)));
    before.end();
}

#[test]
fn what_cannot_be_a_container_is_never_sent() {
    let engine = Engine::at(Kind::Docker, "/nonexistent/docker.sock".into());
    for id in ["", "..", "a/b", "a?x=1", "a b", "a\r\nHost: x", "ä"] {
        let refused = engine.start(id);
        assert!(
            matches!(refused, Err(EngineError::Gone { .. })),
            "{id:?}: {refused:?}"
        );
    }
}

#[test]
fn an_engine_that_does_not_run_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("docker.sock");
    let engine = Engine::at(Kind::Docker, socket.clone());
    let missing = engine.version().unwrap_err();
    assert!(
        matches!(missing, EngineError::NotRunning { .. }),
        "{missing:?}"
    );
    assert!(missing.hint().unwrap().contains("systemctl start docker"));
    // A socket that was left by an engine that ended.
    drop(UnixListener::bind(&socket).unwrap());
    let left = engine.list(true).unwrap_err();
    assert!(matches!(left, EngineError::NotRunning { .. }), "{left:?}");
}

#[test]
fn an_api_that_is_too_old_is_refused_by_number_and_not_by_text() {
    let version = |api: &str| {
        let fake = Fake::says(200, &format!(r#"{{"Version":"x","ApiVersion":"{api}"}}"#));
        let version = fake.engine.version();
        fake.end();
        version
    };
    assert_eq!(version("1.41").unwrap().kind, Kind::Docker);
    for old in ["1.9", "1.23", "nonsense"] {
        let error = version(old).unwrap_err();
        assert!(matches!(error, EngineError::TooOld { .. }), "{error:?}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_grace_is_rounded_up_to_whole_seconds() {
    let fake = Fake::says(204, "");
    let grace = Duration::from_millis(1200);
    assert!(matches!(fake.engine.stop("ab", grace), Ok(Change::Done)));
    assert_eq!(fake.end(), ["POST /containers/ab/stop?t=2 HTTP/1.1"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_from_an_engine_is_an_error_and_never_a_panic(
        head in any::<bool>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..256),
    ) {
        let head: &[u8] = if head { b"HTTP/1.1 200 OK\r\n\r\n" } else { b"" };
        let fake = Fake::answers(vec![[head, &bytes].concat()]);
        prop_assert!(fake.engine.inspect("ab").is_err());
        fake.end();
    }
}
