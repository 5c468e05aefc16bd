use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use firedrill_kernel::{Pidfd, ProcessIdentity};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStdout;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::ShopError;
use crate::roles::{Announcement, Role};

/// How long a process may take to listen.
const LISTENING_WITHIN: Duration = Duration::from_secs(15);
/// How long a killed process may take to end.
pub(super) const END_WITHIN: Duration = Duration::from_secs(10);
/// How much of a dead process's log its error shows, in bytes.
const LOG_END: usize = 600;

type Spawned = oneshot::Sender<io::Result<Child>>;

/// The thread that all processes of a shop are children of.
///
/// "End with the parent" means, to the kernel, with the thread that spawned: an async runtime's
/// threads come and go, this one lives exactly as long as the shop.
#[derive(Debug)]
pub(super) struct Nursery {
    exe: PathBuf,
    directory: PathBuf,
    /// Dropping it ends the thread.
    commands: mpsc::Sender<(Command, Spawned)>,
}

impl Nursery {
    pub(super) fn new(exe: &Path, directory: &Path) -> Result<Self, ShopError> {
        let (commands, requests) = mpsc::channel::<(Command, Spawned)>();
        std::thread::Builder::new()
            .name("shop-parent".to_owned())
            .spawn(move || {
                for (mut command, spawned) in requests {
                    // Nobody waits for it any more: then it must not stay either.
                    if let Err(Ok(mut orphan)) = spawned.send(command.spawn()) {
                        let _ = orphan.kill();
                        let _ = orphan.wait();
                    }
                }
            })
            .map_err(|source| ShopError::Nursery { source })?;
        Ok(Nursery {
            exe: exe.to_owned(),
            directory: directory.to_owned(),
            commands,
        })
    }

    pub(super) async fn spawn(
        &self,
        name: &str,
        role: Role,
        labels: &str,
        config: &impl Serialize,
    ) -> Result<Member, ShopError> {
        let config = serde_json::to_string(config).map_err(|source| ShopError::Config {
            name: name.to_owned(),
            source,
        })?;
        let log = log_path(&self.directory, name);
        let log_file = File::create(&log).map_err(|source| ShopError::File {
            path: log.clone(),
            source,
        })?;
        let mut command = Command::new(&self.exe);
        command
            .args(["shop", role.word(), "--config", &config])
            .env("FIREDRILL_LABELS", labels)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // A Ctrl-C at the terminal is for the drill; the shop ends after it, in order.
            .process_group(0);
        let (spawned, child) = oneshot::channel();
        self.commands
            .send((command, spawned))
            .map_err(|_| ShopError::NurseryGone)?;
        let child = child
            .await
            .map_err(|_| ShopError::NurseryGone)?
            .map_err(|source| ShopError::Spawn {
                name: name.to_owned(),
                source,
            })?;
        Member::new(name, child, &log)
    }
}

/// One process of the shop.
#[derive(Debug)]
pub(super) struct Member {
    name: String,
    child: Child,
    identity: ProcessIdentity,
    listening: Option<SocketAddr>,
}

impl Member {
    fn new(name: &str, mut child: Child, log: &Path) -> Result<Self, ShopError> {
        let pid = child.id();
        // A child that has not been waited for keeps its pid, so a missing one has died already.
        match ProcessIdentity::of(pid) {
            Ok(Some(identity)) => Ok(Member {
                name: name.to_owned(),
                child,
                identity,
                listening: None,
            }),
            Ok(None) => Err(ShopError::Died {
                name: name.to_owned(),
                status: wait(&mut child),
                log_end: log_end(log),
            }),
            Err(source) => {
                // The first error is the one to tell of.
                let _ = child.kill();
                let _ = child.wait();
                let name = name.to_owned();
                Err(ShopError::Kernel { name, pid, source })
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn pid(&self) -> u32 {
        self.identity.pid
    }

    pub(super) fn identity(&self) -> ProcessIdentity {
        self.identity
    }

    /// The address of its listener, once it listens.
    pub(super) fn listening(&self) -> Option<SocketAddr> {
        self.listening
    }

    /// Waits for the line that says where it listens.
    pub(super) async fn wait_until_listening(&mut self, directory: &Path) -> Result<(), ShopError> {
        let line = match self.child.stdout.take() {
            Some(stdout) => timeout(LISTENING_WITHIN, first_line(stdout)).await,
            None => Ok(Ok(String::new())),
        };
        let announced = match line {
            Ok(Ok(line)) => serde_json::from_str::<Announcement>(&line).ok(),
            Ok(Err(_)) | Err(_) => None,
        };
        if let Some(announced) = announced {
            self.listening = Some(announced.listening);
            return Ok(());
        }
        // Its end and the end of its output come together; the former may lag a little.
        for _ in 0..20 {
            self.check_alive(directory)?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(ShopError::Silent {
            name: self.name.clone(),
            log: log_path(directory, &self.name),
        })
    }

    /// An error if it has ended by itself.
    pub(super) fn check_alive(&mut self, directory: &Path) -> Result<(), ShopError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(ShopError::Died {
                name: self.name.clone(),
                status: status.to_string(),
                log_end: log_end(&log_path(directory, &self.name)),
            }),
            Err(source) => Err(self.end_error(source)),
        }
    }

    /// Kills it, stopped or not.
    pub(super) fn kill(&mut self) -> Result<(), ShopError> {
        self.child.kill().map_err(|source| self.end_error(source))
    }

    /// Waits for the end of a killed process, which only a frozen cgroup can delay.
    pub(super) fn reap(mut self) -> Result<(), ShopError> {
        let (name, pid) = (self.name.clone(), self.pid());
        let failed = |source| ShopError::Kernel { name, pid, source };
        let ended = match Pidfd::open(&self.identity) {
            Ok(Some(process)) => process.wait_for_exit(END_WITHIN).map_err(failed)?,
            Ok(None) => true,
            Err(source) => return Err(failed(source)),
        };
        if !ended {
            let name = self.name;
            return Err(ShopError::StillThere { name, pid });
        }
        let reaped = self.child.wait();
        reaped.map(drop).map_err(|source| self.end_error(source))
    }

    fn end_error(&self, source: io::Error) -> ShopError {
        ShopError::End {
            name: self.name.clone(),
            pid: self.pid(),
            source,
        }
    }
}

async fn first_line(stdout: std::process::ChildStdout) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(ChildStdout::from_std(stdout)?)
        .read_line(&mut line)
        .await?;
    Ok(line)
}

fn wait(child: &mut Child) -> String {
    match child.wait() {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

fn log_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.log"))
}

/// What can still be read of a log; an unreadable one shows as empty beside the error at hand.
fn log_end(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let from = bytes.len().saturating_sub(LOG_END);
    String::from_utf8_lossy(&bytes[from..]).trim().to_owned()
}
