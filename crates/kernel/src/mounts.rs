//! What is mounted where, how much room it has, and which loop devices are in use.
//!
//! Snapshots are compared, never restored. Source: proc_pid_mountinfo(5), statvfs(3).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, StatVfsMountFlags};
use serde::{Deserialize, Serialize};

use crate::KernelError;

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Unique among the mounts of now; reused later.
    pub id: u64,
    pub parent: u64,
    /// Major and minor number.
    pub device: (u32, u32),
    /// Which directory of the file system is mounted.
    pub root: PathBuf,
    pub point: PathBuf,
    pub options: String,
    /// `ext4`, `tmpfs`, `cgroup2`, …
    pub kind: String,
    pub source: OsString,
    pub super_options: String,
}

/// Room on a file system, for ordinary users where it says available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    pub total_bytes: u64,
    pub free_bytes: u64,
    pub available_bytes: u64,
    /// Zero where the file system has no fixed number of them.
    pub inodes_total: u64,
    pub inodes_free: u64,
    pub inodes_available: u64,
    pub read_only: bool,
}

/// A loop device that is backed by a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LoopDevice {
    pub name: String,
    pub backing_file: PathBuf,
}

/// What one snapshot has and the other has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes<T> {
    pub added: Vec<T>,
    pub removed: Vec<T>,
}

impl<T: Clone> Changes<T> {
    /// Compares as multisets: two equal mounts on top of each other are two.
    #[must_use]
    pub fn between(before: &[T], after: &[T], same: impl Fn(&T, &T) -> bool) -> Self {
        let mut removed = before.to_vec();
        let mut added = Vec::new();
        for entry in after {
            match removed.iter().position(|old| same(old, entry)) {
                Some(index) => {
                    removed.remove(index);
                }
                None => added.push(entry.clone()),
            }
        }
        Self { added, removed }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

impl Mount {
    /// The same thing mounted at the same place in the same way, whatever its id.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.device == other.device
            && self.root == other.root
            && self.point == other.point
            && self.options == other.options
            && self.kind == other.kind
            && self.source == other.source
    }

    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`; the
    /// number of optional fields before the dash varies.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut next = || fields.next();
        let id = number(next()?)?;
        let parent = number(next()?)?;
        let (major, minor) = text(next()?).split_once(':').and_then(|(major, minor)| {
            Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
        })?;
        let root = path(next()?);
        let point = path(next()?);
        let options = text(next()?);
        while next()? != b"-" {}
        Some(Self {
            id,
            parent,
            device: (major, minor),
            root,
            point,
            options,
            kind: text(next()?),
            source: OsString::from_vec(unescape(next()?)),
            super_options: next().map(text).unwrap_or_default(),
        })
    }
}

/// The mounts that the calling process sees, in the order of the kernel.
///
/// # Errors
/// When `/proc/self/mountinfo` cannot be read.
pub fn list() -> Result<Vec<Mount>, KernelError> {
    let path = Path::new("/proc/self/mountinfo");
    let text = fs::read(path).map_err(|source| KernelError::Read {
        path: path.into(),
        source,
    })?;
    Ok(parse(&text))
}

/// What was mounted and unmounted between two snapshots.
#[must_use]
pub fn changes(before: &[Mount], after: &[Mount]) -> Changes<Mount> {
    Changes::between(before, after, Mount::is_same_as)
}

/// The mount that holds an existing path. The last component is followed if it is a link.
///
/// Asks the kernel (a descriptor's `mnt_id`) instead of comparing names, so stacked mounts, bind
/// mounts and links are all seen as the kernel sees them.
///
/// # Errors
/// When the path does not exist or cannot be reached, or its mount is outside of our root.
pub fn holding(path: &Path) -> Result<Mount, KernelError> {
    let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(
        |source| KernelError::Read {
            path: path.into(),
            source: source.into(),
        },
    )?;
    let info = PathBuf::from(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()));
    let text = fs::read_to_string(&info).map_err(|source| KernelError::Read {
        path: info.clone(),
        source,
    })?;
    let id = text
        .lines()
        .find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse::<u64>().ok())
        .ok_or(KernelError::Malformed {
            path: info,
            what: "mnt_id",
        })?;
    list()?
        .into_iter()
        .find(|mount| mount.id == id)
        .ok_or(KernelError::Malformed {
            path: path.into(),
            what: "mount in /proc/self/mountinfo",
        })
}

/// Room on the file system that holds the path.
///
/// # Errors
/// When the path does not exist or cannot be reached.
pub fn space(path: &Path) -> Result<Space, KernelError> {
    let stat = rustix::fs::statvfs(path).map_err(|source| KernelError::Read {
        path: path.into(),
        source: source.into(),
    })?;
    Ok(Space {
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        free_bytes: stat.f_bfree.saturating_mul(stat.f_frsize),
        available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes_total: stat.f_files,
        inodes_free: stat.f_ffree,
        inodes_available: stat.f_favail,
        read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

/// The loop devices in use, by name; none where the kernel has no loop devices.
///
/// # Errors
/// When `/sys/block` exists and cannot be read.
pub fn loop_devices() -> Result<Vec<LoopDevice>, KernelError> {
    let directory = Path::new("/sys/block");
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(KernelError::Read {
                path: directory.into(),
                source,
            });
        }
    };
    let mut found = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("loop") {
            continue;
        }
        // The file is there only while the device is bound, and may go between list and read.
        if let Ok(bytes) = fs::read(entry.path().join("loop/backing_file")) {
            let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            found.push(LoopDevice {
                name,
                backing_file: PathBuf::from(OsStr::from_bytes(bytes)),
            });
        }
    }
    found.sort();
    Ok(found)
}

/// Lines that do not parse are left out: another line is never lost for them.
fn parse(mountinfo: &[u8]) -> Vec<Mount> {
    mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(Mount::parse)
        .collect()
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(field)))
}

/// `\040` is a space: the kernel writes blanks, newlines, `#` and backslashes as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        match (first, octal(after)) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

fn octal(bytes: &[u8]) -> Option<u8> {
    let digits = bytes.get(..3)?;
    let value = digits.iter().try_fold(0_u16, |value, digit| {
        matches!(digit, b'0'..=b'7').then(|| value * 8 + u16::from(digit - b'0'))
    })?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_with_and_without_optional_fields_is_read() {
        let line = b"36 35 98:0 /mnt1 /a\\040b\\134c rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";
        let mount = Mount::parse(line).unwrap();
        assert_eq!(mount.point, Path::new("/a b\\c"));
        assert_eq!((mount.id, mount.parent, mount.device), (36, 35, (98, 0)));
        assert_eq!(mount.kind, "ext3");
        assert_eq!(mount.super_options, "rw,errors=continue");
        let plain = b"22 27 0:21 / /proc rw,relatime - proc proc rw";
        assert_eq!(Mount::parse(plain).unwrap().kind, "proc");
        assert_eq!(Mount::parse(b"36 35 98:0 /mnt1 /mnt2 rw"), None);
    }

    #[test]
    fn an_unfinished_escape_stays_as_it_is() {
        assert_eq!(unescape(b"a\\04"), b"a\\04");
        assert_eq!(unescape(b"\\999"), b"\\999");
        assert_eq!(unescape(b"\\777"), b"\\777");
        assert_eq!(unescape(b"\\"), b"\\");
    }

    #[test]
    fn the_same_mounts_are_seen_as_by_findmnt() {
        let Ok(output) = Command::new("findmnt").args(["-rno", "TARGET"]).output() else {
            eprintln!("skipped: findmnt is not installed");
            return;
        };
        let mut theirs: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        let mut ours: Vec<String> = list()
            .unwrap()
            .iter()
            .map(|mount| mount.point.display().to_string())
            .collect();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn the_mount_that_holds_a_path_is_the_kernels_answer() {
        assert_eq!(holding(Path::new("/proc/self/stat")).unwrap().kind, "proc");
        assert_eq!(holding(Path::new("/")).unwrap().point, Path::new("/"));
        assert!(holding(Path::new("/does/not/exist")).is_err());
    }

    #[test]
    fn a_mount_that_appears_is_an_addition_and_one_that_goes_a_removal() {
        let directory = tempfile::tempdir().unwrap();
        // With a blank in its name, so that the kernel's escapes are met too.
        let point = directory.path().join("a b");
        fs::create_dir(&point).unwrap();
        let before = list().unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                "size=1m,nr_inodes=77",
                "firedrill-test",
            ])
            .arg(&point)
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("skipped: mounting needs CAP_SYS_ADMIN");
            return;
        }
        let during = list().unwrap();
        let held = holding(&point).unwrap();
        let space = space(&point).unwrap();
        let unmounted = Command::new("umount").arg(&point).status().unwrap();
        assert!(unmounted.success());
        let after = list().unwrap();
        let ours = |mounts: Vec<Mount>| -> Vec<PathBuf> {
            let points = mounts.into_iter().map(|mount| mount.point);
            points.filter(|found| *found == point).collect()
        };
        assert_eq!(
            ours(changes(&before, &during).added),
            std::slice::from_ref(&point)
        );
        assert_eq!(
            ours(changes(&during, &after).removed),
            std::slice::from_ref(&point)
        );
        assert_eq!(held.source, "firedrill-test");
        assert_eq!((space.total_bytes, space.inodes_total), (1 << 20, 77));
        assert!(!space.read_only);
    }

    #[test]
    fn two_equal_mounts_are_two() {
        let line = b"22 27 0:21 / /x rw - tmpfs t rw";
        let one = Mount::parse(line).unwrap();
        let two = [one.clone(), one.clone()];
        assert_eq!(changes(&two, std::slice::from_ref(&one)).removed.len(), 1);
        assert!(changes(&two, &two).is_empty());
    }

    #[test]
    fn loop_devices_in_use_are_those_of_losetup() {
        let Ok(output) = Command::new("losetup").args(["-nO", "NAME"]).output() else {
            eprintln!("skipped: losetup is not installed");
            return;
        };
        let theirs = String::from_utf8_lossy(&output.stdout).lines().count();
        assert_eq!(loop_devices().unwrap().len(), theirs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_fields_are_read_without_a_panic(line in "[0-9]{1,30} [0-9]{1,3} [0-9:]{0,12} [ \\\\0-9a-z/-]{0,40}") {
            let _ = parse(line.as_bytes());
        }
    }
}
