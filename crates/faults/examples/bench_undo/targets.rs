use std::error::Error;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use firedrill_kernel::ProcessIdentity;
use rustix::event::{PollFd, PollFlags, Timespec};

/// Processes that answer each byte with the same byte, unless they are paused.
pub(crate) struct Targets(Vec<Target>);

struct Target {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Targets {
    pub(crate) fn start(count: usize) -> Result<Self, Box<dyn Error>> {
        let mut targets = Self(Vec::new());
        for _ in 0..count {
            let mut child = Command::new("cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let input = child.stdin.take().ok_or("no pipe")?;
            let output = child.stdout.take().ok_or("no pipe")?;
            targets.0.push(Target {
                child,
                input,
                output,
            });
        }
        // The first answers show that all are past their start-up.
        targets.ask()?;
        targets.await_answers()?;
        Ok(targets)
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.0.iter().map(|target| target.child.id()).collect()
    }

    pub(crate) fn identities(&self) -> Result<Vec<firedrill_faults::Target>, Box<dyn Error>> {
        self.pids().into_iter().map(target).collect()
    }

    /// Asks all, and makes sure that none answers: they are paused indeed.
    pub(crate) fn ask_in_vain(&mut self) -> Result<(), Box<dyn Error>> {
        self.ask()?;
        for target in &self.0 {
            let mut fds = [PollFd::new(&target.output, PollFlags::IN)];
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 200_000,
            };
            if rustix::event::poll(&mut fds, Some(&zero))? != 0 {
                return Err("a target answered while it should have been paused".into());
            }
        }
        Ok(())
    }

    /// Returns when the last has answered.
    pub(crate) fn await_answers(&mut self) -> Result<(), Box<dyn Error>> {
        let limit = Duration::from_secs(30);
        for target in &mut self.0 {
            let timespec = Timespec {
                tv_sec: i64::try_from(limit.as_secs())?,
                tv_nsec: 0,
            };
            let mut fds = [PollFd::new(&target.output, PollFlags::IN)];
            if rustix::event::poll(&mut fds, Some(&timespec))? == 0 {
                return Err("a target did not run again within 30 s".into());
            }
            target.output.read_exact(&mut [0])?;
        }
        Ok(())
    }

    fn ask(&mut self) -> Result<(), Box<dyn Error>> {
        for target in &mut self.0 {
            target.input.write_all(b"?")?;
        }
        Ok(())
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        for target in &mut self.0 {
            // Already ended is as good.
            let _ = target.child.kill();
            let _ = target.child.wait();
        }
    }
}

pub(crate) fn target(pid: u32) -> Result<firedrill_faults::Target, Box<dyn Error>> {
    let identity = ProcessIdentity::of(pid)?.ok_or("a target ended")?;
    Ok(identity.into())
}
