//! Finding containers and looking at them.

use firedrill_container::{RestartPolicy, Selector, State};

use crate::started::{IMAGE, Started};
use crate::{on_docker, on_podman};

#[test]
fn docker_says_what_it_runs() {
    on_docker(containers_are_found_and_looked_at);
}

#[test]
fn podman_says_what_it_runs() {
    on_podman(containers_are_found_and_looked_at);
}

fn containers_are_found_and_looked_at(started: &Started) {
    let engine = &started.engine;
    let version = engine.version().unwrap();
    assert_eq!(version.kind, engine.kind);
    let web = started.run(
        "web",
        &["--label", "tier=front", "--restart", "on-failure:3"],
    );
    let store = started.run("store", &["--label", "tier=back"]);
    started.tell(&["stop", "--time", "1", &store]);

    selectors_find_them(started, &web, &store);

    let details = engine.inspect(&web[..12]).unwrap();
    assert_eq!(
        (details.id.as_str(), details.name.as_str()),
        (web.as_str(), "web")
    );
    assert_eq!(details.state, State::Running);
    assert_eq!(details.labels["tier"], "front");
    assert_eq!(
        details.restart_policy,
        RestartPolicy::OnFailure { retries_max: 3 }
    );
    assert!(!details.paused && !details.auto_remove);
    assert_eq!(details.cgroup_parent, started.cgroup_parent());
    assert!(details.started_at.is_some());
    let command = std::fs::read(format!("/proc/{}/cmdline", details.pid.unwrap())).unwrap();
    assert_eq!(command, b"/wait\0");
    // Hierarchies that the engine does not know of keep the container at their root.
    let (_, freezer) = details
        .cgroups
        .iter()
        .find(|(controllers, _)| controllers == "freezer" || controllers.is_empty())
        .unwrap();
    assert!(freezer.to_string_lossy().contains(&web), "{freezer:?}");
    let namespace = std::fs::read_link(details.network_namespace.unwrap()).unwrap();
    assert_ne!(namespace, std::fs::read_link("/proc/self/ns/net").unwrap());

    let ended = engine.inspect(&store).unwrap();
    assert_eq!((ended.state, ended.pid), (State::Exited, None));
    assert!(ended.cgroups.is_empty() && ended.network_namespace.is_none());
    let gone = engine.inspect("nothing").unwrap_err();
    assert!(gone.is_gone(), "{gone:?}");
}

fn selectors_find_them(started: &Started, web: &str, store: &str) {
    let found = |all: bool, by: Selector| -> Vec<String> {
        let mut ids: Vec<String> = started
            .engine
            .select(all, &[by])
            .unwrap()
            .into_iter()
            .map(|container| container.id)
            .collect();
        ids.sort_unstable();
        ids
    };
    let label = |value: Option<&str>| Selector::Label {
        key: "tier".into(),
        value: value.map(str::to_owned),
    };
    let mut both = vec![web.to_owned(), store.to_owned()];
    both.sort_unstable();
    assert_eq!(found(true, label(None)), both);
    assert_eq!(
        found(false, label(None)),
        [web],
        "the stopped one is not in the short list"
    );
    assert_eq!(found(true, label(Some("back"))), [store]);
    assert_eq!(found(true, Selector::Name("web".into())), [web]);
    assert_eq!(found(true, Selector::Id(store[..6].into())), [store]);
    assert_eq!(found(true, Selector::Image(IMAGE.into())), both);
    assert!(found(true, Selector::Image("localhost/firedrill".into())).is_empty());
}
