use super::*;

use std::process::{Command, Stdio};

use crate::netlink::{Message, Protocol, Socket};

fn may_unshare() -> bool {
    let may = in_fresh(|| Ok::<(), KernelError>(())).is_ok();
    if !may {
        eprintln!("skipped: no network namespace can be made without CAP_SYS_ADMIN");
    }
    may
}

/// How many interfaces the calling thread sees.
fn interfaces() -> usize {
    let mut socket = Socket::open(Protocol::Route).unwrap();
    let message = Message::new("list links", libc::RTM_GETLINK, 0, &[0; 16]);
    socket.dump(&message).unwrap().len()
}

#[test]
fn the_own_namespace_is_itself_under_every_name() {
    let current = NetNamespace::current().unwrap();
    let by_pid = NetNamespace::of_process(std::process::id()).unwrap();
    let by_path = NetNamespace::at(Path::new("/proc/self/ns/net")).unwrap();
    assert!(current.namespace().is_same(by_pid.namespace()));
    assert!(current.namespace().is_same(by_path.namespace()));
    assert_eq!(current.id(), by_pid.id());
}

#[test]
fn a_thread_works_inside_a_namespace_and_comes_back() {
    if !may_unshare() {
        return;
    }
    let home = NetNamespace::current().unwrap();
    let inside = in_fresh(NetNamespace::current).unwrap();
    assert!(!home.namespace().is_same(inside.namespace()));
    let (seen, links) = inside
        .within(|| {
            let seen = NetNamespace::current()?;
            Ok::<_, KernelError>((seen.id(), interfaces()))
        })
        .unwrap();
    assert_eq!(seen, inside.id());
    assert!(links >= 1);
    assert_eq!(NetNamespace::current().unwrap().id(), home.id());
}

#[test]
fn an_error_and_a_panic_inside_come_back_too() {
    if !may_unshare() {
        return;
    }
    let home = NetNamespace::current().unwrap();
    let inside = in_fresh(NetNamespace::current).unwrap();
    let refused = inside.within(|| {
        Err::<(), _>(KernelError::Malformed {
            path: PathBuf::from("x"),
            what: "sense",
        })
    });
    assert!(matches!(refused, Err(KernelError::Malformed { .. })));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        inside.within(|| -> Result<(), KernelError> { panic!("inside") })
    }));
    assert!(panicked.is_err());
    assert_eq!(NetNamespace::current().unwrap().id(), home.id());
}

#[test]
fn a_namespace_is_found_again_by_the_process_that_holds_it_and_then_is_gone() {
    if !may_unshare() {
        return;
    }
    let mut child = in_fresh(|| {
        Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .spawn()
            .map_err(|source| KernelError::Call {
                call: "spawn",
                source,
            })
    })
    .unwrap();
    let open = NetNamespace::of_process(child.id()).unwrap();
    let kept = serde_json::to_string(open.namespace()).unwrap();
    drop(open);
    let namespace: NetNamespace = serde_json::from_str(&kept).unwrap();
    let found = NetNamespace::find(namespace.id).unwrap().unwrap();
    assert_eq!(found.id(), namespace.id);
    drop(found);
    assert!(namespace.within(|| Ok::<_, KernelError>(())).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(NetNamespace::find(namespace.id).unwrap().is_none());
    assert!(namespace.open().unwrap().is_none());
    let gone = namespace.within(|| Ok::<_, KernelError>(()));
    assert!(matches!(gone, Err(KernelError::NamespaceGone { .. })));
}

#[test]
fn a_reused_inode_is_another_namespace() {
    let open = NetNamespace::current().unwrap();
    let mut id = open.id();
    let Some(cookie) = id.cookie else {
        eprintln!("skipped: no cookies before Linux 5.14");
        return;
    };
    id.cookie = Some(cookie.wrapping_add(1));
    assert!(!open.id().is_same(id));
    assert!(NetNamespace::find(id).unwrap().is_none());
}

#[test]
fn what_is_not_a_namespace_is_refused() {
    assert!(NetNamespace::at(Path::new("/etc/passwd")).is_err());
    assert!(NetNamespace::named("../../proc/self/ns/net").is_err());
    assert!(NetNamespace::named("").is_err());
    assert!(NetNamespace::named("firedrill-test-absent").is_err());
    assert!(NetNamespace::of_process(u32::MAX).is_err());
}
