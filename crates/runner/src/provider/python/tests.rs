//! Against a real interpreter; nothing to test where there is none.

use super::*;
use crate::provider::canceller;
use crate::provider::process::find;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex as Lock;
use tempfile::TempDir;

const MODULE: &str = r#"
import os, sys, time, threading, logging
count = 0
def bump():
    global count
    count += 1
    return count
def where(): return threading.current_thread() is threading.main_thread()
def both(a, b=2, configuration=None, secrets=None): return [a, b, configuration, secrets]
def fails(): raise ValueError("bad luck")
def dies(): print("famous last words", file=sys.stderr); os._exit(7)
def prints(): print('{"id": 1, "ok": true}'); logging.getLogger("chaostoolkit").info("hello"); return "ok"
def sleeps(path=None):
    if path:
        with open(path, "w") as f: f.write(str(os.getpid()) + "\n")
    time.sleep(30)
def stubborn(path):
    with open(path, "w") as f: f.write(str(os.getpid()) + "\n")
    while True:
        try: time.sleep(30)
        except BaseException: pass
def exits(code): raise SystemExit(code)
def before_activity_control(context, arg=None, **kwargs): context["name"] = "changed " + str(arg)
"#;

struct World {
    dir: TempDir,
    python: Python,
    events: Arc<Lock<Vec<WorkerEvent>>>,
}

/// A Python that can import `MODULE` as `drill`.
fn world() -> Option<World> {
    let real = find("python3", None)?;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("drill.py"), MODULE).unwrap();
    let wrapper = dir.path().join("python");
    let script = format!(
        "#!/bin/sh\nPYTHONPATH={} exec {} \"$@\"\n",
        dir.path().display(),
        real.display()
    );
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let events = Arc::new(Lock::new(Vec::new()));
    let heard = Arc::clone(&events);
    let listener: Listener = Arc::new(move |event| heard.lock().unwrap().push(event));
    Some(World {
        python: Python::new(Some(wrapper), None, listener),
        dir,
        events,
    })
}

impl World {
    async fn call(&self, func: &str, arguments: Value) -> Outcome {
        self.python
            .call(&call(func, arguments), false, Cancel::never())
            .await
    }

    async fn value(&self, func: &str, arguments: Value) -> Value {
        match self.call(func, arguments).await {
            Outcome::Succeeded(value) => value,
            other => panic!("{other:?}"),
        }
    }
}

fn call(func: &str, arguments: Value) -> PythonCall {
    PythonCall {
        module: "drill".to_owned(),
        func: func.to_owned(),
        arguments: object(arguments),
        configuration: object(json!({"c": 1})),
        secrets: None,
    }
}

async fn written(path: &std::path::Path) -> String {
    loop {
        if let Ok(text) = std::fs::read_to_string(path)
            && let Some(line) = text.strip_suffix('\n')
        {
            return line.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn nothing_is_started_before_it_is_needed() {
    let Some(world) = world() else { return };
    assert!(!world.python.is_running().await);
    assert_eq!(
        world.python.lifecycle("started", Vec::new()).await.unwrap(),
        0
    );
    assert!(!world.python.is_running().await);
    assert!(
        world.python.hello().await.unwrap()["python"]
            .as_str()
            .unwrap()
            .starts_with('3')
    );
    assert!(world.python.is_running().await);
}

#[tokio::test]
async fn module_state_survives_between_calls() {
    let Some(world) = world() else { return };
    assert_eq!(world.value("bump", json!({})).await, 1);
    assert_eq!(world.value("bump", json!({})).await, 2);
    world.python.shutdown().await;
}

#[tokio::test]
async fn configuration_and_secrets_go_where_the_signature_has_them() {
    let Some(world) = world() else { return };
    assert_eq!(
        world.value("both", json!({"a": "é"})).await,
        json!(["é", 2, {"c": 1}, null])
    );
    let with_secrets = PythonCall {
        secrets: Some(object(json!({"k": "v"}))),
        ..call("both", json!({"a": 1, "b": 3}))
    };
    let Outcome::Succeeded(value) = world
        .python
        .call(&with_secrets, false, Cancel::never())
        .await
    else {
        panic!()
    };
    assert_eq!(value, json!([1, 3, {"c": 1}, {"k": "v"}]));
}

#[tokio::test]
async fn what_a_function_raises_fails_the_activity_in_chaos_toolkits_words() {
    let Some(world) = world() else { return };
    let Outcome::Failed(failure) = world.call("fails", json!({})).await else {
        panic!()
    };
    assert_eq!(failure.message, "ValueError: bad luck");
    assert_eq!(
        failure.exception.last().unwrap(),
        "chaoslib.exceptions.ActivityFailed: ValueError: bad luck\n"
    );
    assert!(matches!(
        world.call("no_such_function", json!({})).await,
        Outcome::Aborted(_)
    ));
}

#[tokio::test]
async fn printing_does_not_disturb_and_is_heard() {
    let Some(world) = world() else { return };
    assert_eq!(world.value("prints", json!({})).await, "ok");
    assert_eq!(world.value("bump", json!({})).await, 1);
    world.python.shutdown().await;
    let events = world.events.lock().unwrap();
    assert!(
        events.contains(&WorkerEvent::Printed {
            line: "{\"id\": 1, \"ok\": true}".to_owned()
        }),
        "{events:?}"
    );
    assert!(
        events.contains(&WorkerEvent::Log {
            level: "INFO".to_owned(),
            logger: "chaostoolkit".to_owned(),
            message: "hello".to_owned()
        }),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_second_call_does_not_wait_for_the_first() {
    let Some(world) = world() else { return };
    let pid = world.dir.path().join("pid");
    let (first, (canceller, cancel)) = (world.python.clone(), canceller());
    let slow = call("sleeps", json!({"path": pid}));
    let task = tokio::spawn(async move { first.call(&slow, false, cancel).await });
    written(&pid).await;
    assert_eq!(world.value("where", json!({})).await, false);
    canceller.cancel(Interruption {
        kind: "signal".into(),
        name: Some("SIGTERM".into()),
        reason: "stop".into(),
    });
    let Outcome::Interrupted(interruption) = task.await.unwrap() else {
        panic!()
    };
    assert_eq!(interruption.reason, "stop");
    // The function stopped by itself, so the worker is the one from before.
    assert_eq!(world.value("where", json!({})).await, true);
    assert_eq!(world.events.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_call_in_the_background_leaves_the_main_thread_alone() {
    let Some(world) = world() else { return };
    let Outcome::Succeeded(main) = world
        .python
        .call(&call("where", json!({})), true, Cancel::never())
        .await
    else {
        panic!()
    };
    assert_eq!(main, false);
}

#[tokio::test]
async fn a_worker_that_dies_mid_call_fails_the_call_and_is_replaced() {
    let Some(world) = world() else { return };
    let Outcome::Failed(failure) = world.call("dies", json!({})).await else {
        panic!()
    };
    assert!(
        failure
            .message
            .contains("exited with status 7; its last words: famous last words"),
        "{failure:?}"
    );
    assert_eq!(world.value("bump", json!({})).await, 1);
}

#[tokio::test]
async fn a_worker_that_keeps_dying_is_given_up() {
    let Some(world) = world() else { return };
    for _ in 0..=RESTARTS_MAX {
        assert!(matches!(
            world.call("dies", json!({})).await,
            Outcome::Failed(_)
        ));
    }
    let Outcome::Failed(failure) = world.call("bump", json!({})).await else {
        panic!()
    };
    assert!(failure.message.contains("given up"), "{failure:?}");
}

#[tokio::test]
async fn an_order_to_end_the_worker_fails_what_is_pending() {
    let Some(world) = world() else { return };
    let pid = world.dir.path().join("pid");
    let python = world.python.clone();
    let slow = call("stubborn", json!({"path": pid}));
    let task = tokio::spawn(async move { python.call(&slow, false, Cancel::never()).await });
    let pid = written(&pid).await;
    let session = world.python.0.state.lock().await.session.clone().unwrap();
    session.kill("the test says so").await;
    let Outcome::Failed(failure) = task.await.unwrap() else {
        panic!()
    };
    assert!(failure.message.contains("the test says so"), "{failure:?}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn exit_codes_are_signals() {
    let Some(world) = world() else { return };
    for (code, name) in [(20, Some("SIGUSR1")), (30, Some("SIGUSR2")), (3, None)] {
        let Outcome::Interrupted(interruption) = world.call("exits", json!({"code": code})).await
        else {
            panic!()
        };
        assert_eq!(interruption.name.as_deref(), name);
    }
}

#[tokio::test]
async fn validation_binds_arguments_and_names_the_mistake() {
    let Some(world) = world() else { return };
    let activity = |func: &str, arguments: Value| PythonActivity {
        name: "a".into(),
        kind: "probe".into(),
        module: "drill".into(),
        func: func.into(),
        arguments: object(arguments),
    };
    assert_eq!(
        world
            .python
            .validate(&activity("both", json!({"a": 1})))
            .await,
        Ok(())
    );
    let missing = world
        .python
        .validate(&activity("both", json!({})))
        .await
        .unwrap_err();
    assert!(
        missing[0].contains("'a' is missing from activity"),
        "{missing:?}"
    );
    let unknown = world
        .python
        .validate(&activity("nope", json!({})))
        .await
        .unwrap_err();
    assert!(
        unknown[0].contains("does not expose a function called 'nope'"),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn controls_change_what_they_are_given() {
    let Some(world) = world() else { return };
    let control = json!({"name": "c", "provider": {"type": "python", "module": "drill", "arguments": {"arg": 5}}});
    let payload = json!({"controls": [control], "context": {"name": "x"}, "configuration": {}, "secrets": {}});
    let reply = world
        .python
        .control("before_activity_control", object(payload))
        .await
        .unwrap();
    assert_eq!(reply.context, Some(json!({"name": "changed 5"})));
    assert_eq!(
        (reply.state, reply.failed, reply.stopped),
        (None, Vec::new(), None)
    );
}

#[tokio::test]
async fn a_missing_interpreter_aborts_and_what_is_none_fails() {
    let python = |path: &str| Python::new(Some(path.into()), None, Arc::new(|_| ()));
    let outcome = python("/firedrill/no/python")
        .call(&call("bump", json!({})), false, Cancel::never())
        .await;
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        failure
            .message
            .contains("/firedrill/no/python cannot be started"),
        "{failure:?}"
    );
    let outcome = python("/bin/true")
        .call(&call("bump", json!({})), false, Cancel::never())
        .await;
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        failure.message.contains("exited with status 0"),
        "{failure:?}"
    );
    let outcome = python("/bin/echo")
        .call(&call("bump", json!({})), false, Cancel::never())
        .await;
    assert!(matches!(outcome, Outcome::Failed(_)));
}
