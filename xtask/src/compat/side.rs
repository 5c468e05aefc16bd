//! One of the two tools, and a run of it in a directory of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use super::case::{Case, Subcommand};
use super::journal;
use super::service::Service;
use crate::{wait, workspace};

const RUN_LIMIT: Duration = Duration::from_secs(60);
const MARKER_LIMIT: Duration = Duration::from_secs(20);
/// From a marker file to a signal: lets what made the marker begin its long step.
const SETTLE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Side {
    program: PathBuf,
    venv: PathBuf,
    is_real: bool,
}

/// What a run left behind, as far as it is compared.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// None if a signal ended the process, or the time was up.
    pub(crate) exit: Option<i32>,
    pub(crate) journal: Option<Value>,
    pub(crate) received: Option<Value>,
    pub(crate) files: BTreeMap<String, Option<String>>,
}

impl Side {
    pub(crate) fn real(venv: &Path) -> Self {
        Self {
            program: venv.join("bin/chaos"),
            venv: venv.to_path_buf(),
            is_real: true,
        }
    }

    pub(crate) fn firedrill(program: PathBuf, venv: &Path) -> Self {
        Self {
            program,
            venv: venv.to_path_buf(),
            is_real: false,
        }
    }

    pub(crate) fn run(
        &self,
        case: &Case,
        service: &Service,
        cwd: &Path,
    ) -> anyhow::Result<Outcome> {
        service.reset()?;
        prepare(case, service, cwd)?;
        let mut child = self
            .command(case, service, cwd)?
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        if let Some(signal) = &case.signal {
            wait::until(MARKER_LIMIT, || cwd.join(&signal.marker).exists());
            wait::pause(SETTLE);
            kill_process(pid(&child)?, named(&signal.name)?)?;
        }
        let exit = match wait::exit(&mut child, RUN_LIMIT)? {
            Some(status) => status.code(),
            None => {
                kill_process_group(pid(&child)?, Signal::KILL)?;
                child.wait()?;
                None
            }
        };
        let files = case
            .files
            .iter()
            .map(|f| (f.clone(), fs::read_to_string(cwd.join(f)).ok()));
        Ok(Outcome {
            exit,
            journal: journal::read(&cwd.join("journal.json"))?,
            received: case.received.then(|| service.received()).transpose()?,
            files: files.collect(),
        })
    }

    fn command(&self, case: &Case, service: &Service, cwd: &Path) -> anyhow::Result<Command> {
        let source = case.url.as_ref().map_or_else(
            || case.document.clone(),
            |path| format!("http://{}{path}", service.host()),
        );
        let arguments = case.args.iter().map(|a| a.replace("@FILES@", "files"));
        let journal = ["--journal-path", "journal.json"];
        let is_run = case.command == Subcommand::Run;
        let verb = if is_run { "run" } else { "validate" };
        let mut command = Command::new(&self.program);
        if self.is_real {
            command.args(["--no-version-check", "--no-log-file"]);
        }
        command.args(["--settings", "settings.yaml", verb]);
        if is_run {
            command.args(journal);
        }
        if is_run && !self.is_real {
            command.args(["--compat-exit", "--yes", "--python"]);
            command.arg(self.venv.join("bin/python"));
        }
        command.args(arguments).arg(source);
        self.surround(&mut command, case, cwd)?;
        Ok(command)
    }

    /// The same surroundings for both: nothing of this user's, nothing of each other's.
    fn surround(&self, command: &mut Command, case: &Case, cwd: &Path) -> anyhow::Result<()> {
        let mut path = self.venv.join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command
            .env_clear()
            .env("PATH", path)
            .env("VIRTUAL_ENV", &self.venv)
            .env("FIREDRILL_STATE_DIR", cwd.join("state"))
            .env("HOME", cwd)
            .env("LANG", "C.UTF-8")
            .env("PYTHONPATH", workspace::root().join("compat/support"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(&case.env)
            .current_dir(cwd)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(File::create(cwd.join("stdout.txt"))?)
            .stderr(File::create(cwd.join("stderr.txt"))?);
        Ok(())
    }
}

fn prepare(case: &Case, service: &Service, cwd: &Path) -> anyhow::Result<()> {
    if cwd.exists() {
        fs::remove_dir_all(cwd)?;
    }
    fs::create_dir_all(cwd.join("files"))?;
    let home = workspace::root().join("compat");
    let document = home.join("documents").join(&case.document);
    if document.exists() {
        copy(&document, &cwd.join(&case.document), service)?;
    }
    if let Some(settings) = &case.settings {
        let from = home.join("settings").join(settings);
        if from.exists() {
            copy(&from, &cwd.join("settings.yaml"), service)?;
        }
    }
    for file in fs::read_dir(home.join("files"))? {
        let file = file?;
        fs::copy(file.path(), cwd.join("files").join(file.file_name()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, service: &Service) -> anyhow::Result<()> {
    let text = fs::read_to_string(from).with_context(|| from.display().to_string())?;
    let host = service.host();
    let text = text
        .replace("@HTTP@", &format!("http://{host}"))
        .replace("@HOST@", &host);
    fs::write(to, text).with_context(|| to.display().to_string())
}

fn pid(child: &Child) -> anyhow::Result<Pid> {
    let raw = i32::try_from(child.id())?;
    Pid::from_raw(raw).context("a child without a process id")
}

fn named(name: &str) -> anyhow::Result<Signal> {
    Ok(match name {
        "SIGINT" => Signal::INT,
        "SIGTERM" => Signal::TERM,
        "SIGUSR1" => Signal::USR1,
        "SIGUSR2" => Signal::USR2,
        other => bail!("{other} is not a signal of the corpus"),
    })
}
