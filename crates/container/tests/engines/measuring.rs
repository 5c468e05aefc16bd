//! How long a change takes through an engine, beside the freezer itself.
//! `cargo nextest run -p firedrill-container --run-ignored only --no-capture`

use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use firedrill_container::{ContainerRef, Unpaused};
use firedrill_kernel::Signal;
use firedrill_kernel::freezer::{Cgroup, Hierarchy};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::started::{Started, wait_until};
use crate::{on_docker, on_podman};

const ROUNDS: usize = 100;
const KILLS: usize = 20;

#[test]
#[ignore = "measures"]
fn how_long_docker_takes() {
    on_docker(measure);
}

#[test]
#[ignore = "measures"]
fn how_long_podman_takes() {
    on_podman(measure);
}

#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn take<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = act();
        self.0.push(start.elapsed());
        result
    }

    fn print(mut self, what: &str) {
        self.0.sort_unstable();
        let at = |share: usize| self.0[(self.0.len() - 1) * share / 100].as_secs_f64() * 1000.0;
        let (count, middle, late, last) = (self.0.len(), at(50), at(99), at(100));
        println!(
            "{what:<28} n {count:>3}  p50 {middle:>8.3} ms  p99 {late:>8.3} ms  max {last:>8.3} ms"
        );
    }
}

fn measure(started: &Started) {
    let engine = &started.engine;
    println!("{:?} {:?}", engine.kind, engine.version().unwrap());
    let id = started.run("web", &[]);
    let details = engine.inspect(&id).unwrap();
    let reference = ContainerRef::of(engine, &details);
    let pid = details.pid.unwrap();

    let [mut inspect, mut pause, mut unpause, mut undo] = [(); 4].map(|()| Times::default());
    for _ in 0..ROUNDS {
        inspect.take(|| engine.inspect(&id)).unwrap();
        pause.take(|| engine.pause(&id)).unwrap();
        unpause.take(|| engine.unpause(&id)).unwrap();
        engine.pause(&id).unwrap();
        assert_eq!(undo.take(|| reference.unpause()).unwrap(), Unpaused::ByUs);
    }
    inspect.print("inspect");
    pause.print("pause");
    unpause.print("unpause");
    undo.print("undo (inspect and unpause)");
    freezer(pid);

    let [mut answered, mut ended, mut directly] = [(); 3].map(|()| Times::default());
    for round in 0..2 * KILLS {
        let first = process_of(started, &id);
        let start = Instant::now();
        let watch = thread::spawn({
            let first = first.try_clone().unwrap();
            move || {
                wait_for_end(&first);
                start.elapsed()
            }
        });
        if round % 2 == 0 {
            answered.take(|| engine.kill(&id, Signal::Kill)).unwrap();
            ended.0.push(watch.join().unwrap());
        } else {
            rustix::process::pidfd_send_signal(&first, rustix::process::Signal::KILL).unwrap();
            directly.0.push(watch.join().unwrap());
        }
        wait_until("the engine knows", || {
            engine.inspect(&id).unwrap().pid.is_none()
        });
        engine.start(&id).unwrap();
    }
    answered.print("kill, until the answer");
    ended.print("kill, until its end");
    directly.print("kill by pidfd, until its end");
}

fn process_of(started: &Started, id: &str) -> OwnedFd {
    let pid = started.engine.inspect(id).unwrap().pid.unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

fn wait_for_end(process: &OwnedFd) {
    let mut ended = [PollFd::new(process, PollFlags::IN)];
    rustix::event::poll(&mut ended, None).unwrap();
}

fn freezer(pid: u32) {
    let [mut freeze, mut thaw] = [(); 2].map(|()| Times::default());
    for hierarchy in Hierarchy::mounted().unwrap() {
        let Some(path) = hierarchy.cgroup_of(pid).unwrap() else {
            continue;
        };
        let Ok(cgroup) = Cgroup::open(hierarchy.version, &path) else {
            continue;
        };
        for _ in 0..ROUNDS {
            freeze.take(|| cgroup.freeze()).unwrap();
            thaw.take(|| cgroup.thaw()).unwrap();
        }
        println!("freezer: {:?}", hierarchy.version);
        break;
    }
    freeze.print("the freezer itself: freeze");
    thaw.print("the freezer itself: thaw");
}
