//! What fills up: file systems, inodes, tasks, open files, ports.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use firedrill_kernel::cgroup::{Controller, Limit};
use firedrill_kernel::clock::boottime;
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::{Pidfd, ProcessIdentity, Signal, process};
use firedrill_worker::stress::{
    Amount, DescriptorFill, DiskFill, InodeFill, PidFill, PortHold, Protocol,
};
use firedrill_worker::{Job, Quantity, WorkerConfig, WorkerError, WorkerHandle};

use crate::fixture::{
    FileSystem, LIMIT, OwnCgroup, config, eventually, is_gone, is_root, pause, program, refusal,
    start,
};

const MIB: u64 = 1 << 20;

/// The one figure that a filling job gives.
fn held(worker: &mut WorkerHandle, quantity: Quantity) -> f64 {
    let measured = worker.measure(LIMIT).unwrap();
    let [measurement] = measured.as_slice() else {
        panic!("{measured:?}");
    };
    assert_eq!(measurement.quantity, quantity);
    measurement.achieved
}

fn disk(directory: PathBuf, amount: Amount, reserve_bytes: u64) -> Job {
    Job::Disk(DiskFill {
        directory,
        amount,
        reserve_bytes,
    })
}

#[test]
fn bytes_of_a_disk_are_taken_and_come_back_with_a_kill() {
    if !is_root() {
        return;
    }
    for fs in [
        FileSystem::tmpfs("size=64m"),
        FileSystem::ext4(64),
        FileSystem::without_fallocate(64),
    ] {
        let before = fs.used_bytes();
        let job = disk(fs.path(), Amount::Count(20 * MIB), 4 * MIB);
        let mut worker = fs.start(&job).unwrap();
        let taken = fs.used_bytes() - before;
        assert!((20 * MIB..20 * MIB + MIB / 5).contains(&taken), "{taken}");
        let measured = held(&mut worker, Quantity::DiskHeld);
        assert!((measured - taken as f64).abs() < MIB as f64 / 10.0);
        worker.kill().unwrap();
        assert!(worker.reap(LIMIT).unwrap());
        eventually("the room is free again", || fs.used_bytes() == before);
    }
}

#[test]
fn a_disk_is_filled_to_the_level_that_df_shows() {
    if !is_root() {
        return;
    }
    let fs = FileSystem::ext4(64);
    let _worker = fs
        .start(&disk(fs.path(), Amount::Percent(80.0), MIB))
        .unwrap();
    let stat = fs.stat();
    let used = (stat.f_blocks - stat.f_bfree) as f64;
    let level = 100.0 * used / (used + stat.f_bavail as f64);
    assert!((level - 80.0).abs() < 0.5, "{level}");
    let why = refusal(fs.start(&disk(fs.path(), Amount::Percent(50.0), 0)));
    assert!(why.contains("more than the 50 % asked for"), "{why}");
}

#[test]
fn the_reserve_of_a_disk_is_refused() {
    if !is_root() {
        return;
    }
    let fs = FileSystem::tmpfs("size=64m");
    let before = fs.used_bytes();
    let why = refusal(fs.start(&disk(fs.path(), Amount::Count(60 * MIB), 8 * MIB)));
    assert!(why.contains("beside the reserve of 8388608"), "{why}");
    let why = refusal(fs.start(&disk(fs.path(), Amount::Percent(100.0), MIB)));
    assert!(why.contains("beside the reserve"), "{why}");
    eventually("nothing is taken", || fs.used_bytes() == before);
    let why = refusal(fs.start(&disk(PathBuf::from("/nonexistent"), Amount::Count(1), 0)));
    assert!(why.contains("/nonexistent"), "{why}");
}

#[test]
fn inodes_are_taken_by_number_and_by_level_and_come_back() {
    if !is_root() {
        return;
    }
    let fs = FileSystem::tmpfs("size=64m,nr_inodes=2000");
    let inodes = |amount, reserve| {
        Job::Inodes(InodeFill {
            directory: fs.path(),
            amount,
            reserve,
        })
    };
    let free = || fs.stat().f_ffree;
    let before = free();
    let mut worker = fs.start(&inodes(Amount::Count(500), 100)).unwrap();
    assert_eq!(before - free(), 500);
    assert_eq!(held(&mut worker, Quantity::InodesHeld), 500.0);
    let why = refusal(fs.start(&inodes(Amount::Count(1450), 100)));
    assert!(why.contains("inodes are asked for"), "{why}");
    drop(worker);
    eventually("the inodes are free again", || free() == before);
    let _worker = fs.start(&inodes(Amount::Percent(90.0), 100)).unwrap();
    assert_eq!(free(), 200);
}

#[test]
fn tasks_of_a_cgroup_are_taken_up_to_its_reserve() {
    if !is_root() {
        return;
    }
    let Some(own) = OwnCgroup::create(Controller::Pids, "tasks") else {
        return;
    };
    own.cgroup().set(&Limit::Pids(Some(200))).unwrap();
    let tasks = |amount, reserve| Job::Pids(PidFill { amount, reserve });
    let mut worker = own.start(&tasks(Amount::Percent(90.0), 20)).unwrap();
    assert_eq!(own.cgroup().tasks().unwrap(), 180);
    let threads = std::fs::read_dir(format!("/proc/{}/task", worker.identity().pid)).unwrap();
    assert_eq!(threads.count(), 180);
    assert!(held(&mut worker, Quantity::ProcessesHeld) >= 170.0);
    worker.kill().unwrap();
    assert!(worker.reap(LIMIT).unwrap());
    eventually("the cgroup is empty", || own.cgroup().tasks().unwrap() == 0);
    let why = refusal(own.start(&tasks(Amount::Count(190), 20)));
    assert!(why.contains("beside the reserve of 20"), "{why}");
}

#[test]
fn open_files_are_held_as_the_system_counts_them() {
    let files = |amount| {
        Job::Descriptors(DescriptorFill {
            amount,
            reserve: 1000,
        })
    };
    let counted = || -> i64 {
        let text = std::fs::read_to_string("/proc/sys/fs/file-nr").unwrap();
        text.split_ascii_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    let before = counted();
    let mut worker = start(&files(Amount::Count(10_000))).unwrap();
    // Others open and close files all the time, and the kernel counts per processor.
    assert!(counted() - before > 8_000, "{} {before}", counted());
    let open = std::fs::read_dir(format!("/proc/{}/fd", worker.identity().pid)).unwrap();
    assert!(open.count() >= 10_000);
    assert_eq!(held(&mut worker, Quantity::DescriptorsHeld), 10_000.0);
    let why = refusal(start(&files(Amount::Count(u64::MAX))));
    assert!(why.contains("beside the reserve of 1000"), "{why}");
}

/// A network namespace of a test's own.
struct Network(String);

impl Network {
    fn create() -> Self {
        let name = format!("firedrill-test-ports-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).status();
        assert!(made.unwrap().success());
        Self(name)
    }

    /// What listens in it, as `ss` shows it.
    fn listening(&self) -> String {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.0, "ss", "-Hltun"])
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[test]
fn a_port_is_occupied_in_its_network_namespace_only() {
    if !is_root() {
        return;
    }
    let network = Network::create();
    let open = NetNamespace::named(&network.0).unwrap();
    let free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    let job = Job::Ports(PortHold {
        // Both kinds at once: neither stands in the way of the other.
        addresses: vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        ports: vec![(Protocol::Tcp, port), (Protocol::Udp, port)],
        namespace: Some(open.namespace().clone()),
    });
    let mut worker = start(&job).unwrap();
    assert_eq!(held(&mut worker, Quantity::PortsHeld), 4.0);
    let shown = network.listening();
    assert_eq!(shown.matches(&format!(":{port} ")).count(), 4, "{shown}");
    drop(worker);
    eventually("nobody listens", || network.listening().is_empty());
}

/// The processes that one has started.
fn children(worker: &WorkerHandle) -> Vec<ProcessIdentity> {
    let ours = |pid: &u32| {
        let stat = process::stat(*pid).unwrap();
        stat.is_some_and(|stat| stat.parent == worker.identity().pid)
    };
    let pids = process::list().unwrap();
    let pids = pids.into_iter().filter(ours);
    pids.filter_map(|pid| ProcessIdentity::of(pid).unwrap())
        .collect()
}

#[test]
fn what_one_process_may_not_hold_is_held_by_several_that_end_together() {
    if !is_root() {
        return;
    }
    let job = Job::Descriptors(DescriptorFill {
        amount: Amount::Count(2_500),
        reserve: 1000,
    });
    let deadline = boottime() + Duration::from_secs(4);
    let mut worker = WorkerHandle::spawn(&limited(1_000), &job, deadline).unwrap();
    let crew = children(&worker);
    assert_eq!(crew.len(), 2);
    let open = |pid: u32| {
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .count()
    };
    let all: usize = crew.iter().map(|member| open(member.pid)).sum();
    assert!(all + open(worker.identity().pid) >= 2_500);
    assert_eq!(held(&mut worker, Quantity::DescriptorsHeld), 2_500.0);
    // A renewal reaches the crew, or it would end at the first deadline.
    worker.extend(boottime() + LIMIT).unwrap();
    while boottime() < deadline + Duration::from_millis(500) {
        pause(Duration::from_millis(50));
    }
    assert!(worker.is_alive() && !crew.iter().any(is_gone));
    worker.kill().unwrap();
    assert!(worker.reap(LIMIT).unwrap());
    eventually("the crew is gone", || crew.iter().all(is_gone));
}

#[test]
fn a_lost_member_of_the_crew_ends_the_fault_and_is_told() {
    if !is_root() {
        return;
    }
    let job = Job::Descriptors(DescriptorFill {
        amount: Amount::Count(2_500),
        reserve: 1000,
    });
    let mut worker = WorkerHandle::spawn(&limited(1_000), &job, boottime() + LIMIT).unwrap();
    let crew = children(&worker);
    let member = Pidfd::open(&crew[0]).unwrap().unwrap();
    member.send(Signal::Kill).unwrap();
    assert!(worker.reap(LIMIT).unwrap());
    eventually("the crew is gone", || crew.iter().all(is_gone));
    let Err(WorkerError::Failed { why }) = worker.last_beat() else {
        panic!("it did not say why");
    };
    assert_eq!(why, "a further worker is not there: the worker has ended");
}

/// Workers with so few descriptors, which they may not raise.
fn limited(descriptors: u32) -> WorkerConfig {
    let mut config = config();
    config.command = vec![
        "-c".into(),
        format!("ulimit -n {descriptors} && exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource \"$0\" worker \"$@\"").into(),
        program().into(),
    ];
    config.exe = "/bin/sh".into();
    config
}

#[test]
fn an_occupied_port_cannot_be_bound_and_a_taken_one_is_told_with_its_holder() {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    // Free a moment ago; another test could take it only by asking for exactly this one.
    let free = TcpListener::bind((local, 0)).unwrap().local_addr().unwrap();
    let ports = |port| {
        Job::Ports(PortHold {
            addresses: vec![local],
            ports: vec![(Protocol::Tcp, port), (Protocol::Udp, port)],
            namespace: None,
        })
    };
    let mut worker = start(&ports(free.port())).unwrap();
    assert_eq!(held(&mut worker, Quantity::PortsHeld), 2.0);
    assert_eq!(
        TcpListener::bind(free).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    assert_eq!(
        UdpSocket::bind(free).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    let filter = format!("sport = :{}", free.port());
    if let Ok(output) = Command::new("ss").args(["-Hltunp", &filter]).output() {
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            shown.contains(&format!("pid={}", worker.identity().pid)),
            "{shown}"
        );
    }
    let why = refusal(start(&ports(free.port())));
    let holder = format!("is taken by process {} (", worker.identity().pid);
    assert!(why.contains(&holder), "{why}");
    worker.kill().unwrap();
    assert!(worker.reap(Duration::from_secs(10)).unwrap());
    TcpListener::bind(free).unwrap();
    UdpSocket::bind(free).unwrap();
}
