//! The worker's own side: one thread that watches the deadline and the guardian, one that works.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use firedrill_kernel::clock::DeadlineTimer;
use firedrill_kernel::{KernelError, hardening};
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;

use crate::control::{Control, LET_GO_LIMIT, end};
use crate::interception::Interceptor;
use crate::job::Job;
use crate::protocol::{self, PACKET_MAX, Received, Reply, Request};

/// Runs a worker until its deadline, or until its guardian is gone. `arguments` are what
/// [`crate::WorkerHandle::spawn`] passed after the hidden command's name; the socket is standard
/// input.
///
/// To be called before anything else in the process: it closes every inherited descriptor, leaves
/// the session, and expects to be the only thread.
pub fn worker_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    main(arguments, None)
}

/// As [`worker_main`], in a program that has a proxy, for [`Job::Intercept`].
pub fn worker_main_with(
    interceptor: Interceptor,
    arguments: impl IntoIterator<Item = OsString>,
) -> ExitCode {
    main(arguments, Some(interceptor))
}

fn main(
    arguments: impl IntoIterator<Item = OsString>,
    interceptor: Option<Interceptor>,
) -> ExitCode {
    // Kernels before 5.9 cannot; what is inherited then stays open until the worker ends.
    let _ = hardening::close_inherited();
    // Refused only to a group leader, which has no terminal's group to leave.
    let _ = hardening::own_session();
    // For `ps`: the executable may have been started as /proc/self/exe.
    let _ = rustix::thread::set_name(c"firedrill-work");
    // Before there is a thread: its stack, and the end of what a load holds, would be up to 2 MiB more
    // than asked where they happen to lie on a huge page.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    if !dies_with(arguments) {
        return ExitCode::FAILURE;
    }
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let mut buffer = vec![0; PACKET_MAX];
    let Some((job, deadline)) = await_begin(&socket, &mut buffer) else {
        return ExitCode::FAILURE;
    };
    // Refused to a worker without privileges when it asks to be spared; it runs all the same.
    let _ = fs::write("/proc/self/oom_score_adj", job.oom_score_adj());
    let control = Control::new(socket, deadline);
    if let Err(error) = watch(job, interceptor, &control, &mut buffer) {
        control.tell(&Reply::Failed {
            why: explain(&error),
        });
    }
    ExitCode::FAILURE
}

/// Has the kernel kill this process when the guardian dies; `false` when it has died already.
fn dies_with(arguments: impl IntoIterator<Item = OsString>) -> bool {
    let parent: Option<i32> = arguments
        .into_iter()
        .next()
        .and_then(|word| word.to_str()?.parse().ok());
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_ok()
        && parent.is_some()
        && rustix::process::getppid().map(|pid| pid.as_raw_pid()) == parent
}

/// Waits for the job. A guardian that dies first takes this process along.
fn await_begin(socket: &OwnedFd, buffer: &mut [u8]) -> Option<(Job, u64)> {
    loop {
        let mut fds = [PollFd::new(socket, PollFlags::IN)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
        match protocol::receive::<Request>(socket, buffer) {
            Ok(Received::Packet(Request::Begin { job, deadline })) => {
                return Some((job, deadline));
            }
            Ok(Received::Nothing) => {}
            Ok(Received::Packet(_) | Received::Garbage) => {
                let why = "the first request is not a job of this version".to_owned();
                // The guardian sees the end of this process in any case.
                let _ = protocol::send(socket, &Reply::Failed { why });
                return None;
            }
            Ok(Received::Closed) | Err(_) => return None,
        }
    }
}

/// Starts the job, then watches. Returns only when watching is not possible.
fn watch(
    job: Job,
    interceptor: Option<Interceptor>,
    control: &Control,
    buffer: &mut [u8],
) -> Result<(), KernelError> {
    let timer = DeadlineTimer::new()?;
    timer.set(control.deadline())?;
    let at_work = control.clone();
    std::thread::Builder::new()
        .name("work".to_owned())
        .spawn(move || work(job, interceptor, &at_work))
        .map_err(|source| KernelError::Call {
            call: "clone",
            source,
        })?;
    loop {
        let socket = control.socket();
        let mut fds = [
            PollFd::new(&socket, PollFlags::IN),
            PollFd::new(&timer, PollFlags::IN),
        ];
        // Whatever poll says, the deadline is looked at, and the socket read.
        let _ = rustix::event::poll(&mut fds, None);
        timer.take()?;
        if control.has_expired() {
            // Whoever holds what belongs to others lets it go first, but is not waited for long.
            if control.is_overdue() || !control.leave() {
                end();
            }
            timer.set(control.deadline() + LET_GO_LIMIT)?;
        }
        match protocol::receive::<Request>(&socket, buffer) {
            Ok(Received::Packet(Request::Deadline { deadline })) => {
                timer.set(Duration::from_nanos(deadline))?;
                control.set_deadline(deadline);
            }
            Ok(Received::Packet(Request::Measure { number })) => control.answer_measure(number),
            Ok(Received::Packet(Request::Release)) => {
                if !control.leave() {
                    end();
                }
            }
            Ok(Received::Nothing) => {}
            Ok(Received::Packet(Request::Begin { .. }) | Received::Garbage | Received::Closed)
            | Err(_) => end(),
        }
    }
}

fn work(job: Job, interceptor: Option<Interceptor>, control: &Control) {
    control.check();
    let Err(error) = job.run(control, interceptor);
    control.tell(&Reply::Failed {
        why: explain(&error),
    });
    end();
}

/// An error and its causes, on one line.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
