use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::Command;

use firedrill_kernel::namespace::{NamespaceName, NetNamespace, OpenNamespace, in_fresh};
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::{KernelError, link};

use super::*;

/// A namespace that ends with the test, with `lo` up; `None` without the privilege.
fn lab() -> Option<OpenNamespace> {
    match in_fresh(NetNamespace::current) {
        Ok(open) => {
            shell(&open, "ip link set lo up");
            Some(open)
        }
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn named(open: &OpenNamespace) -> NetNamespace {
    let path = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        open.as_fd().as_raw_fd()
    );
    NetNamespace {
        named: NamespaceName::Path(path.into()),
        ..open.namespace().clone()
    }
}

fn shell(open: &OpenNamespace, script: &str) {
    let status = open
        .within(|| {
            let status = Command::new("sh").args(["-ec", script]).status().unwrap();
            Ok::<_, KernelError>(status)
        })
        .unwrap();
    assert!(status.success(), "{script}");
}

fn told(before: &Snapshot) -> Vec<String> {
    let residue = before.changed_meanwhile(&[]);
    residue.iter().map(ToString::to_string).collect()
}

#[test]
fn a_foreign_table_that_comes_changes_or_goes_in_the_touched_namespace_is_told() {
    let Some(open) = lab() else { return };
    shell(
        &open,
        "nft add table inet stays; nft add chain inet stays in '{ type filter hook input priority 0; }'; \
         nft add table ip goes",
    );
    let before = Snapshot::take(&[Subject::Rules(named(&open))]);
    assert_eq!(told(&before), Vec::<String>::new());
    shell(
        &open,
        "nft add rule inet stays in tcp dport 1 drop; nft delete table ip goes; nft add table ip6 comes; \
         nft add table inet firedrill-1-2-3",
    );
    let told = told(&before);
    assert_eq!(told.len(), 3, "{told:?}");
    let all = told.join("\n");
    assert!(all.contains("table inet stays in"), "{all}");
    assert!(all.contains("1 lines came to it (rule"), "{all}");
    assert!(all.contains("table ip goes"), "{all}");
    assert!(all.contains("table ip6 comes"), "{all}");
    assert!(!all.contains("firedrill-1-2-3"), "{all}");
}

#[test]
fn what_changes_in_another_namespace_and_in_the_elements_of_sets_is_nobodys_residue() {
    let (Some(touched), Some(other)) = (lab(), lab()) else {
        return;
    };
    shell(
        &touched,
        "nft add table inet t; nft add set inet t s '{ type ipv4_addr; }'",
    );
    let before = Snapshot::take(&[Subject::Rules(named(&touched))]);
    shell(&touched, "nft add element inet t s '{ 192.0.2.1 }'");
    shell(&other, "nft add table inet foreign");
    assert_eq!(told(&before), Vec::<String>::new());
}

#[test]
fn a_qdisc_and_a_downed_link_are_told_on_the_touched_interface_only() {
    let Some(open) = lab() else { return };
    shell(
        &open,
        "ip link add name near type veth peer name far; ip link set near up",
    );
    let index = |name: &str| {
        let found = open.within(|| link::by_name(&mut Socket::open(Protocol::Route)?, name));
        found.unwrap().unwrap().index
    };
    let subject = |name: &str| Subject::Interface {
        namespace: named(&open),
        index: index(name),
        name: name.to_owned(),
    };
    let before = Snapshot::take(&[subject("near")]);
    shell(
        &open,
        "tc qdisc add dev far root tbf rate 1mbit burst 10k limit 20k",
    );
    assert_eq!(told(&before), Vec::<String>::new());
    shell(
        &open,
        "tc qdisc add dev near root tbf rate 1mbit burst 10k limit 20k; ip link set near down",
    );
    let told = told(&before);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("interface near") && told[0].contains("is down"),
        "{told:?}"
    );
    assert!(
        told[1].contains("queueing of interface near") && told[1].contains("tbf"),
        "{told:?}"
    );
}

#[test]
fn what_an_undo_has_told_of_itself_is_not_told_twice() {
    let Some(open) = lab() else { return };
    let subject = Subject::Interface {
        namespace: named(&open),
        index: 1,
        name: "lo".to_owned(),
    };
    let before = Snapshot::take(&[subject]);
    shell(
        &open,
        "tc qdisc add dev lo root tbf rate 1mbit burst 10k limit 20k",
    );
    let own = Residue::Differs {
        what: "the root qdisc of lo".into(),
        difference: "somebody replaced ours".into(),
    };
    assert_eq!(before.changed_meanwhile(&[own]), []);
    assert_eq!(before.changed_meanwhile(&[]).len(), 1);
}

#[test]
fn a_namespace_that_has_ended_leaves_no_difference() {
    let Some(open) = lab() else { return };
    shell(&open, "nft add table inet t");
    let before = Snapshot::take(&[Subject::Rules(named(&open))]);
    drop(open);
    assert_eq!(told(&before), Vec::<String>::new());
}

#[test]
fn a_file_system_is_compared_by_its_mount_and_not_by_how_full_it_is() {
    let root = tempfile::tempdir().unwrap();
    let before = Snapshot::take(&[Subject::Directory(root.path().to_owned())]);
    std::fs::write(root.path().join("file"), [0; 100_000]).unwrap();
    assert_eq!(told(&before), Vec::<String>::new());
}
