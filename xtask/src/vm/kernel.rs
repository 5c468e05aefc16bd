//! Debian's cloud kernel, from its package, and the modules that a guest may ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::workspace;

/// An unpacked kernel package.
#[derive(Debug)]
pub(super) struct Kernel {
    root: PathBuf,
    release: String,
}

/// Depends on the package of the newest release.
const NEWEST: &str = "linux-image-cloud-amd64";

/// Every module of these folders, below `kernel/`.
const FOLDERS: [&str; 4] = [
    "net/sched",
    "net/netfilter",
    "net/ipv4/netfilter",
    "net/ipv6/netfilter",
];

/// And these, all with what they depend on.
const MODULES: [&str; 17] = [
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "inet_diag",
    "tcp_diag",
    "udp_diag",
    "raw_diag",
    "unix_diag",
    "netlink_diag",
    "veth",
    "ifb",
    "dummy",
    "bridge",
    "tun",
    "loop",
    "overlay",
    "fuse",
];

impl Kernel {
    /// The one below `home`, else Debian's newest, which is then kept there.
    pub(super) fn find_or_fetch(home: &Path) -> anyhow::Result<Self> {
        let root = home.join("kernel");
        if !root.exists() {
            fetch(home, &root)?;
        }
        let mut names = std::fs::read_dir(root.join("lib/modules"))?;
        let name = names
            .next()
            .context("the kernel package has no modules")??;
        let release = name.file_name().to_string_lossy().into_owned();
        Ok(Self { root, release })
    }

    pub(super) fn image(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// The guest's files for `modprobe`, as pairs of path inside and content.
    pub(super) fn module_files(&self) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
        let folder = Path::new("lib/modules").join(&self.release);
        let here = self.root.join(&folder);
        let read = |name: &str| std::fs::read(here.join(name)).with_context(|| name.to_owned());
        let text = String::from_utf8(read("modules.dep")?)?;
        let dependencies = Dependencies::parse(&text);
        let chosen = dependencies.closure(|path| {
            let in_folder = |f: &str| path.starts_with(&format!("kernel/{f}/"));
            FOLDERS.iter().any(|f| in_folder(f)) || MODULES.contains(&name(path).as_str())
        })?;
        // Only the lines about these: busybox reads both files anew for every module.
        let names: BTreeSet<String> = chosen.iter().map(|path| name(path)).collect();
        let aliases = String::from_utf8(read("modules.alias")?)?;
        let aliases = lines(&aliases, |line| {
            line.rsplit(' ')
                .next()
                .is_some_and(|last| names.contains(last))
        });
        let order = lines(&text, |line| {
            line.split(':')
                .next()
                .is_some_and(|path| chosen.contains(path))
        });
        let mut files = vec![
            (folder.join("modules.dep"), order.into_bytes()),
            (folder.join("modules.alias"), aliases.into_bytes()),
        ];
        for path in chosen {
            files.push((folder.join(path), read(path)?));
        }
        Ok(files)
    }
}

fn fetch(home: &Path, root: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(home)?;
    let depends = workspace::output(Command::new("apt-cache").args(["depends", NEWEST]))
        .context("apt-cache cannot be asked; the kernel comes from Debian's packages")?;
    let named = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "));
    let Some(package) = named else {
        bail!("apt knows no package {NEWEST}; is `apt-get update` needed?");
    };
    eprintln!("vm: fetching {package}");
    // Whole or not at all, also when two of us do this at once.
    let unpacking = tempfile::tempdir_in(home)?;
    let mut download = Command::new("apt-get");
    // Without the option, apt as root warns that its own user cannot write here.
    download.args(["--quiet=2", "--option", "APT::Sandbox::User=root"]);
    download.args(["download", package]);
    workspace::succeed(download.current_dir(&unpacking))?;
    let archive = std::fs::read_dir(&unpacking)?
        .next()
        .context("no package")??;
    let unpacked = unpacking.path().join("kernel");
    workspace::succeed(
        Command::new("dpkg-deb")
            .arg("--extract")
            .arg(archive.path())
            .arg(&unpacked),
    )?;
    let mut names = std::fs::read_dir(unpacked.join("lib/modules"))?;
    let release = names.next().context("no modules")??.file_name();
    let mut depmod = Command::new("busybox");
    depmod.arg("depmod").arg("-b").arg(&unpacked).arg(release);
    workspace::succeed(&mut depmod).context("Debian's package busybox-static is needed")?;
    match std::fs::rename(&unpacked, root) {
        Err(error) if !root.exists() => Err(error.into()),
        _ => Ok(()),
    }
}

/// What `modules.dep` says: each module's file, and the files it needs.
#[derive(Debug)]
struct Dependencies<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Dependencies<'a> {
    fn parse(text: &'a str) -> Self {
        let entries = text.lines().filter_map(|line| line.split_once(':'));
        Self(
            entries
                .map(|(path, needs)| (path, needs.split_whitespace().collect()))
                .collect(),
        )
    }

    /// The wanted modules and everything they need, however far.
    fn closure(&self, wanted: impl Fn(&str) -> bool) -> anyhow::Result<BTreeSet<&'a str>> {
        let mut chosen = BTreeSet::new();
        let mut open: Vec<&str> = self.0.keys().copied().filter(|path| wanted(path)).collect();
        while let Some(path) = open.pop() {
            if chosen.insert(path) {
                let needs = self.0.get(path);
                open.extend(needs.with_context(|| format!("{path} is in no package"))?);
            }
        }
        Ok(chosen)
    }
}

/// A module's name from its file's: dashes and underscores are the same to the kernel.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.trim_end_matches(".ko").replace('-', "_")
}

fn lines(text: &str, wanted: impl Fn(&str) -> bool) -> String {
    let kept = text.lines().filter(|line| wanted(line));
    kept.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/net/a/nft-queue.ko: kernel/net/nf_tables.ko\n\
                       kernel/net/nf_tables.ko: kernel/lib/crc.ko\n\
                       kernel/lib/crc.ko:\n\
                       kernel/fs/other.ko: kernel/lib/crc.ko\n";

    #[test]
    fn a_module_brings_what_it_needs_and_nothing_else() {
        let chosen = Dependencies::parse(DEP).closure(|path| name(path) == "nft_queue");
        let chosen: Vec<&str> = chosen.unwrap().into_iter().collect();
        let expected = [
            "kernel/lib/crc.ko",
            "kernel/net/a/nft-queue.ko",
            "kernel/net/nf_tables.ko",
        ];
        assert_eq!(chosen, expected);
    }

    #[test]
    fn a_need_that_no_line_describes_is_an_error() {
        let broken = Dependencies::parse("a.ko: b.ko\n");
        let error = broken.closure(|_| true).unwrap_err();
        assert_eq!(error.to_string(), "b.ko is in no package");
    }
}
