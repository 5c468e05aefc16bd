use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;

/// A cgroup of a test, removed at its end. `None` without the privilege.
struct Own(Cgroup);

impl Own {
    fn create(controller: Controller, name: &str) -> Option<Self> {
        let Some(hierarchy) = Hierarchy::usable(controller).unwrap() else {
            eprintln!("skipped: {controller:?} works in no hierarchy here");
            return None;
        };
        let parent = hierarchy
            .parent_for(controller, std::process::id())
            .unwrap();
        let name = format!("firedrill-test-{name}-{}", std::process::id());
        Some(Self(parent.create_child(&name).unwrap()))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.0.remove().unwrap();
    }
}

struct Process(Child);

impl Process {
    fn start(script: &str) -> Self {
        Self(Command::new("sh").args(["-c", script]).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(time: Duration) {
    let limit = crate::pidfd::timespec(time);
    rustix::event::poll(&mut [], Some(&limit)).unwrap();
}

#[test]
fn operating_a_controller_leaves_nothing_behind() {
    for controller in Controller::ALL {
        for hierarchy in Hierarchy::mounted(controller).unwrap() {
            let operated = hierarchy.operate(controller);
            eprintln!("{controller:?} {:?}: {operated:?}", hierarchy.version);
            let own = hierarchy
                .cgroup_of(controller, std::process::id())
                .unwrap()
                .unwrap();
            let left = own
                .children()
                .unwrap()
                .into_iter()
                .filter(|child| {
                    let name = child
                        .path
                        .file_name()
                        .unwrap()
                        .to_string_lossy()
                        .into_owned();
                    name.contains("probe")
                        && name.ends_with(&format!("-{}", std::process::id()))
                        && name.contains(controller.name_v1())
                })
                .count();
            assert_eq!(left, 0);
        }
    }
}

#[test]
fn a_quota_is_kept_and_only_swapped_for_the_expected_one() {
    let Some(own) = Own::create(Controller::Cpu, "quota") else {
        return;
    };
    let before = own.0.limit(LimitKind::Cpu).unwrap();
    let quota = |quota_us, period_us| {
        Limit::Cpu(CpuQuota {
            quota_us,
            period_us,
        })
    };
    let ours = quota(Some(25_000), 50_000);
    assert_eq!(
        own.0.swap(&before, &ours).unwrap(),
        Swap::Swapped(ours.clone())
    );
    let theirs = quota(Some(30_000), 100_000);
    own.0.set(&theirs).unwrap();
    assert_eq!(
        own.0.swap(&ours, &before).unwrap(),
        Swap::Differs(theirs.clone())
    );
    assert_eq!(own.0.limit(LimitKind::Cpu).unwrap(), theirs);
    assert_eq!(own.0.swap(&theirs, &before).unwrap(), Swap::Swapped(before));
}

#[test]
fn a_process_that_is_moved_in_is_held_by_the_quota_and_moved_out_again() {
    let Some(own) = Own::create(Controller::Cpu, "throttle") else {
        return;
    };
    let busy = Process::start("while :; do :; done");
    let pid = busy.0.id();
    let home = Cgroup::of(pid, Controller::Cpu).unwrap().unwrap();
    own.0
        .set(&Limit::Cpu(CpuQuota {
            quota_us: Some(20_000),
            period_us: 100_000,
        }))
        .unwrap();
    assert!(own.0.adopt(pid).unwrap());
    assert_eq!(own.0.processes_below().unwrap(), [pid]);
    assert_eq!(Cgroup::of(pid, Controller::Cpu).unwrap().unwrap(), own.0);
    let start = process::stat(pid).unwrap().unwrap().cpu();
    wait(Duration::from_secs(1));
    let used = process::stat(pid).unwrap().unwrap().cpu() - start;
    assert!(own.0.throttled().unwrap() > Duration::ZERO);
    assert!(used < Duration::from_millis(500), "{used:?}");
    assert!(home.adopt(pid).unwrap());
    assert_eq!(own.0.processes().unwrap(), Vec::<u32>::new());
}

#[test]
fn processor_time_is_counted() {
    let Some(own) = Own::create(Controller::CpuAccounting, "accounting") else {
        return;
    };
    let busy = Process::start("while :; do :; done");
    own.0.adopt(busy.0.id()).unwrap();
    let start = own.0.cpu_usage().unwrap();
    wait(Duration::from_millis(300));
    assert!(own.0.cpu_usage().unwrap() > start);
    drop(busy);
}

#[test]
fn a_memory_limit_is_kept_in_pages_and_unlimited_reads_as_none() {
    let Some(own) = Own::create(Controller::Memory, "memory") else {
        return;
    };
    assert_eq!(own.0.limit(LimitKind::Memory).unwrap(), Limit::Memory(None));
    let odd = Limit::Memory(Some((8 << 20) + 5));
    assert_eq!(own.0.set(&odd).unwrap(), odd.as_kept());
    let back = own.0.swap(&odd, &Limit::Memory(None)).unwrap();
    assert_eq!(back, Swap::Swapped(Limit::Memory(None)));
    assert_eq!(own.0.memory_usage().unwrap(), 0);
    assert_eq!(own.0.out_of_memory_kills().unwrap(), 0);
}

/// Whether a shell in the cgroup can have a child.
fn can_fork(cgroup: &Cgroup) -> bool {
    let mut shell = Command::new("sh")
        .args(["-c", "read go; (exit 0) && exit 0"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(cgroup.adopt(shell.id()).unwrap());
    assert_eq!(cgroup.tasks().unwrap(), 1);
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    shell.wait().unwrap().success()
}

#[test]
fn a_limit_of_tasks_holds() {
    let Some(own) = Own::create(Controller::Pids, "pids") else {
        return;
    };
    assert!(can_fork(&own.0));
    let one = Limit::Pids(Some(1));
    assert_eq!(own.0.set(&one).unwrap(), one);
    assert!(!can_fork(&own.0));
    let swapped = own.0.swap(&one, &Limit::Pids(None)).unwrap();
    assert_eq!(swapped, Swap::Swapped(Limit::Pids(None)));
    assert!(can_fork(&own.0));
}

#[test]
fn an_io_limit_is_kept_and_taken_away() {
    let Some(own) = Own::create(Controller::Io, "io") else {
        return;
    };
    let device = mounts::holding(Path::new("/")).unwrap().device;
    let none = own.0.limit(LimitKind::Io { device }).unwrap();
    let wanted = Limit::Io(IoLimit {
        device,
        read_bytes: Some(1 << 20),
        write_bytes: None,
        read_requests: None,
        write_requests: Some(100),
    });
    match own.0.set(&wanted) {
        Ok(kept) => assert_eq!(kept, wanted),
        Err(error) => {
            eprintln!("skipped: / is on no disk that can be limited: {error}");
            return;
        }
    }
    assert_eq!(own.0.swap(&wanted, &none).unwrap(), Swap::Swapped(none));
}

#[test]
fn a_limit_of_a_vanished_cgroup_is_gone() {
    let Some(own) = Own::create(Controller::Pids, "gone") else {
        return;
    };
    own.0.remove().unwrap();
    let limit = Limit::Pids(Some(5));
    assert_eq!(own.0.swap(&limit, &Limit::Pids(None)).unwrap(), Swap::Gone);
    assert_eq!(own.0.processes().unwrap(), Vec::<u32>::new());
    own.0.remove().unwrap();
}

#[test]
fn a_name_that_is_a_path_is_refused() {
    let parent = Cgroup {
        version: Version::V1,
        path: PathBuf::from("/sys/fs/cgroup/pids"),
    };
    for name in ["..", "a/b", "/tmp/x", "", "."] {
        assert!(parent.create_child(name).is_err(), "{name}");
    }
}

#[test]
fn a_cgroup_is_plain_data() {
    let cgroup = Cgroup {
        version: Version::V2,
        path: PathBuf::from("/sys/fs/cgroup/x"),
    };
    let text = serde_json::to_string(&cgroup).unwrap();
    assert_eq!(text, r#"{"version":"v2","path":"/sys/fs/cgroup/x"}"#);
    assert_eq!(serde_json::from_str::<Cgroup>(&text).unwrap(), cgroup);
    let limit = Limit::Cpu(CpuQuota {
        quota_us: None,
        period_us: 100_000,
    });
    let text = serde_json::to_string(&limit).unwrap();
    assert_eq!(serde_json::from_str::<Limit>(&text).unwrap(), limit);
}

#[test]
fn a_path_outside_of_what_is_mounted_has_no_place() {
    let hierarchy = Hierarchy {
        version: Version::V1,
        mount: PathBuf::from("/sys/fs/cgroup/cpu"),
        root: PathBuf::from("/docker/abc"),
    };
    let place = |path: &str| hierarchy.place(Path::new(path));
    assert_eq!(place("/docker/abc"), Some(hierarchy.mount.clone()));
    assert_eq!(place("/docker/abc/x"), Some(hierarchy.mount.join("x")));
    assert_eq!(place("/docker/other"), None);
    assert_eq!(place("/docker/abc/../other"), None);
}

/// The files of v2 cannot be had on a host whose controllers are all in v1: their forms are.
#[test]
fn limits_of_v2_are_written_in_its_words() {
    let directory = tempfile::tempdir().unwrap();
    let cgroup = Cgroup {
        version: Version::V2,
        path: directory.path().into(),
    };
    let device = (8, 16);
    let io = IoLimit {
        device,
        read_bytes: Some(1_048_576),
        write_bytes: None,
        read_requests: None,
        write_requests: Some(120),
    };
    let quota = |quota_us| {
        Limit::Cpu(CpuQuota {
            quota_us,
            period_us: 100_000,
        })
    };
    for (file, limit, words) in [
        ("cpu.max", quota(Some(20_000)), "20000 100000"),
        ("cpu.max", quota(None), "max 100000"),
        ("memory.max", Limit::Memory(Some(1 << 20)), "1048576"),
        ("memory.max", Limit::Memory(None), "max"),
        ("pids.max", Limit::Pids(Some(9)), "9"),
        ("pids.max", Limit::Pids(None), "max"),
        (
            "io.max",
            Limit::Io(io),
            "8:16 rbps=1048576 wbps=max riops=max wiops=120",
        ),
    ] {
        fs::write(cgroup.path.join(file), "").unwrap();
        assert_eq!(cgroup.set(&limit).unwrap(), limit, "{file}");
        assert_eq!(fs::read_to_string(cgroup.path.join(file)).unwrap(), words);
    }
}

#[test]
fn use_of_v2_is_read_from_its_files() {
    let directory = tempfile::tempdir().unwrap();
    let cgroup = Cgroup {
        version: Version::V2,
        path: directory.path().into(),
    };
    for (file, text) in [
        (
            "cpu.stat",
            "usage_usec 1500\nuser_usec 1000\nnr_throttled 2\nthrottled_usec 70\n",
        ),
        ("memory.current", "4096\n"),
        ("memory.events", "low 0\noom 1\noom_kill 3\n"),
        ("pids.current", "2\n"),
    ] {
        fs::write(cgroup.path.join(file), text).unwrap();
    }
    assert_eq!(cgroup.cpu_usage().unwrap(), Duration::from_micros(1500));
    assert_eq!(cgroup.throttled().unwrap(), Duration::from_micros(70));
    assert_eq!(cgroup.memory_usage().unwrap(), 4096);
    assert_eq!(cgroup.out_of_memory_kills().unwrap(), 3);
    assert_eq!(cgroup.tasks().unwrap(), 2);
}

#[test]
fn every_controller_of_this_process_is_found() {
    for controller in Controller::ALL {
        let Some(hierarchy) = Hierarchy::usable(controller).unwrap() else {
            eprintln!("skipped: {controller:?} works in no hierarchy here");
            continue;
        };
        let cgroup = Cgroup::of(std::process::id(), controller).unwrap().unwrap();
        assert!(cgroup.path.starts_with(&hierarchy.mount));
        assert!(cgroup.processes().unwrap().contains(&std::process::id()));
    }
}
