//! Readers of `/proc/PID`. A process may vanish between any two reads: each reader then returns
//! `None`, never an error.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::KernelError;

/// `/proc/PID/stat`, the fields that matter here (see proc_pid_stat(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub pid: u32,
    /// At most 15 bytes; the kernel cuts the rest.
    pub comm: String,
    pub state: State,
    pub parent: u32,
    pub process_group: u32,
    pub session: u32,
    pub flags: u32,
    /// In clock ticks; see [`Stat::cpu`] for a duration.
    pub user_ticks: u64,
    pub system_ticks: u64,
    pub threads: u32,
    /// In clock ticks since boot.
    pub start: u64,
}

/// The state letter of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(pub char);

/// Set in [`Stat::flags`] for threads of the kernel itself.
const PF_KTHREAD: u32 = 0x0020_0000;

/// Set in [`Stat::flags`] from the beginning of a thread's exit on.
const PF_EXITING: u32 = 0x0000_0004;

/// `USER_HZ`, which Linux fixes at 100 for everything it shows to user space.
const TICKS_PER_SECOND: u64 = 100;

impl Stat {
    #[must_use]
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// Ended, but for its parent's wait. A leader that ended before its threads is not gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.state.0, 'X' | 'x') || (self.state.0 == 'Z' && self.threads <= 1)
    }

    /// On its way out, whether or not what it held is free already.
    #[must_use]
    pub fn is_exiting(&self) -> bool {
        self.flags & PF_EXITING != 0
    }

    /// Processor time used so far, in user and in kernel mode.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        Duration::from_millis((self.user_ticks + self.system_ticks) * 1000 / TICKS_PER_SECOND)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|byte| *byte == b'(')?;
        // The name may itself hold parentheses and spaces, so it ends at the last one.
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let pid = std::str::from_utf8(text.get(..open)?)
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let comm = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        // Process group and session are signed: 0 or -1 where there is none.
        let id = |index: usize| {
            let value = fields.get(index)?.parse::<i64>().ok()?;
            Some(u32::try_from(value).unwrap_or(0))
        };
        Some(Self {
            pid,
            comm,
            state: State(fields.first()?.chars().next()?),
            parent: id(1)?,
            process_group: id(2)?,
            session: id(3)?,
            flags: u32::try_from(number(6)?).ok()?,
            user_ticks: number(11)?,
            system_ticks: number(12)?,
            threads: id(17)?,
            start: number(19)?,
        })
    }
}

impl State {
    /// Stopped by a signal (`T`) or by a tracer (`t`).
    #[must_use]
    pub fn is_stopped(self) -> bool {
        matches!(self.0, 'T' | 't')
    }
}

/// # Errors
/// When `/proc/PID/stat` exists and cannot be read or parsed.
pub fn stat(pid: u32) -> Result<Option<Stat>, KernelError> {
    let path = entry(pid, "stat");
    let Some(text) = read(&path)? else {
        return Ok(None);
    };
    Stat::parse(&text)
        .map(Some)
        .ok_or(KernelError::Malformed { path, what: "stat" })
}

/// The command line, one string per argument; empty for kernel threads.
///
/// # Errors
/// When it exists and cannot be read.
pub fn command_line(pid: u32) -> Result<Option<Vec<String>>, KernelError> {
    Ok(read(&entry(pid, "cmdline"))?.map(|bytes| strings(&bytes)))
}

/// The environment the process was started with, as `NAME=value`.
///
/// # Errors
/// When it may not be read: it belongs to another user.
pub fn environment(pid: u32) -> Result<Option<Vec<String>>, KernelError> {
    Ok(read(&entry(pid, "environ"))?.map(|bytes| strings(&bytes)))
}

/// Whether it is on its way from one program into another (execve(2)). For a moment it then has
/// neither words nor an environment: its new memory is in place (`begin_new_exec`, fs/exec.c) before
/// it is known where they are in there (`create_elf_tables`, fs/binfmt_elf.c).
///
/// # Errors
/// When it exists and cannot be read.
pub fn is_between_programs(pid: u32) -> Result<bool, KernelError> {
    let Some(stat) = stat(pid)? else {
        return Ok(false);
    };
    let has_program = !stat.is_kernel_thread() && !stat.is_exiting() && !stat.is_gone();
    Ok(has_program && command_line(pid)?.is_some_and(|words| words.is_empty()))
}

/// The user that owns the process.
///
/// # Errors
/// When `/proc/PID` exists and cannot be read.
pub fn owner(pid: u32) -> Result<Option<u32>, KernelError> {
    let path = Path::new("/proc").join(pid.to_string());
    match fs::metadata(&path) {
        Ok(metadata) => Ok(Some(metadata.uid())),
        Err(source) if is_vanished(&source) => Ok(None),
        Err(source) => Err(KernelError::Read { path, source }),
    }
}

/// One line of `/proc/PID/status`, by its name, without the name.
///
/// # Errors
/// When it exists and cannot be read.
pub fn status_field(pid: u32, field: &str) -> Result<Option<String>, KernelError> {
    Ok(read(&entry(pid, "status"))?.and_then(|bytes| {
        String::from_utf8_lossy(&bytes).lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name == field).then(|| value.trim().to_owned())
        })
    }))
}

/// `/proc/PID/cgroup`: one entry per hierarchy, as (controllers, path). The unified hierarchy has
/// no controllers: its first part is empty.
///
/// # Errors
/// When it exists and cannot be read.
pub fn cgroups(pid: u32) -> Result<Option<Vec<(String, PathBuf)>>, KernelError> {
    Ok(read(&entry(pid, "cgroup"))?.map(|bytes| {
        String::from_utf8_lossy(&bytes)
            .lines()
            .filter_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                Some((parts.next()?.to_owned(), PathBuf::from(parts.next()?)))
            })
            .collect()
    }))
}

/// Every process that is visible here, by rising pid.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn list() -> Result<Vec<u32>, KernelError> {
    let path = PathBuf::from("/proc");
    let entries = fs::read_dir(&path).map_err(|source| KernelError::Read {
        path: path.clone(),
        source,
    })?;
    let mut pids: Vec<u32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    Ok(pids)
}

/// The process, its parent, and so on up to the first one; ends early where one has vanished.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn ancestors(pid: u32) -> Result<Vec<u32>, KernelError> {
    let mut line = Vec::new();
    let mut next = pid;
    while next != 0 && !line.contains(&next) {
        line.push(next);
        match stat(next)? {
            Some(stat) => next = stat.parent,
            None => break,
        }
    }
    Ok(line)
}

fn entry(pid: u32, name: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(name)
}

/// Every process is looked at before and after each fault: two reads each, where asking for a size
/// that is always zero takes six.
fn read(path: &Path) -> Result<Option<Vec<u8>>, KernelError> {
    let read = File::open(path).and_then(|file| {
        let mut bytes = Vec::with_capacity(4096);
        file.take(u64::MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if is_vanished(&source) => Ok(None),
        Err(source) => Err(KernelError::Read {
            path: path.into(),
            source,
        }),
    }
}

/// A process that ends while its file is open gives ESRCH instead of ENOENT.
fn is_vanished(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

fn strings(bytes: &[u8]) -> Vec<String> {
    let trimmed = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if trimmed.is_empty() {
        return Vec::new();
    }
    trimmed
        .split(|byte| *byte == 0)
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read_whole() {
        let line = b"42 (a) b (c)) T 1 42 42 0 -1 4194304 1 0 0 0 7 5 0 0 20 0 3 0 991 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.comm, "a) b (c)");
        assert!(stat.state.is_stopped());
        assert_eq!(
            (stat.pid, stat.parent, stat.threads, stat.start),
            (42, 1, 3, 991)
        );
        assert_eq!(stat.cpu(), Duration::from_millis(120));
    }

    #[test]
    fn a_cut_stat_line_is_refused() {
        assert_eq!(Stat::parse(b"42 (a) T 1 42"), None);
        assert_eq!(Stat::parse(b""), None);
        assert_eq!(Stat::parse(b")("), None);
    }

    #[test]
    fn a_process_that_does_not_exist_reads_as_none() {
        let pid = u32::MAX - 1;
        assert_eq!(stat(pid).unwrap(), None);
        assert_eq!(command_line(pid).unwrap(), None);
        assert_eq!(owner(pid).unwrap(), None);
        assert_eq!(cgroups(pid).unwrap(), None);
    }

    #[test]
    fn a_process_without_words_that_has_ended_is_not_between_programs() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = || stat(child.id()).unwrap().unwrap().is_gone();
        while !ended() {
            std::thread::yield_now();
        }
        assert!(command_line(child.id()).unwrap().unwrap().is_empty());
        assert!(!is_between_programs(child.id()).unwrap());
        child.wait().unwrap();
        assert!(!is_between_programs(child.id()).unwrap());
    }

    #[test]
    fn this_process_reads_as_itself() {
        let pid = std::process::id();
        let stat = stat(pid).unwrap().unwrap();
        assert_eq!(stat.pid, pid);
        assert!(!stat.is_kernel_thread());
        assert!(list().unwrap().contains(&pid));
        assert!(!command_line(pid).unwrap().unwrap().is_empty());
        assert!(!is_between_programs(pid).unwrap());
        let line = ancestors(pid).unwrap();
        assert_eq!(line.first(), Some(&pid));
        assert!(line.contains(&stat.parent));
        let threads = status_field(pid, "Pid").unwrap().unwrap();
        assert_eq!(threads, pid.to_string());
    }
}
