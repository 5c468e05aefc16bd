//! The guest's files: a cpio archive in the "newc" format, which the kernel unpacks itself.
//!
//! Source of the format: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::Spec;
use super::kernel::Kernel;

const INIT: &str = include_str!("init.sh");
const WORK: &str = include_str!("work.sh");
const SERVICE: &str = include_str!("work.service");
const FOLDER: u32 = 0o040_755;
const LINK: u32 = 0o120_777;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;

/// Everything the machine needs to boot and to run the command.
pub(super) fn build(kernel: &Kernel, spec: &Spec) -> anyhow::Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp", "run", "root", "disk"] {
        archive.folder(Path::new(folder));
    }
    // One place for programs, by all the names that callers may use.
    archive.folder(Path::new("bin"));
    for link in ["sbin", "usr/bin", "usr/sbin", "usr/local/bin"] {
        archive.add(Path::new(link), LINK, b"/bin");
    }
    archive.add(Path::new("init"), PROGRAM, INIT.as_bytes());
    archive.add(Path::new("work.sh"), FILE, WORK.as_bytes());
    archive.add(Path::new("command"), FILE, script(&spec.command).as_bytes());
    archive.add(
        Path::new("etc/passwd"),
        FILE,
        b"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    );
    archive.add(
        Path::new("etc/group"),
        FILE,
        b"root:x:0:\nnogroup:x:65534:\n",
    );
    archive.add(
        Path::new("etc/hosts"),
        FILE,
        b"127.0.0.1 localhost\n::1 localhost\n",
    );
    for (path, content) in kernel.module_files()? {
        archive.add(&path, FILE, &content);
    }
    // busybox's own shell prefers its applets to programs of the same name, so it is not `sh`.
    let tools = ["busybox", "sh"]
        .into_iter()
        .chain(spec.tools.iter().map(String::as_str));
    for tool in tools {
        archive.program(&find(tool)?)?;
    }
    for binary in &spec.binaries {
        archive.program(binary)?;
    }
    for file in &spec.files {
        archive.host_file(file)?;
    }
    if spec.systemd {
        archive.systemd()?;
    }
    Ok(archive.finish())
}

/// This host's, where the kernel's command line names it.
pub(super) const SYSTEMD: &str = "/lib/systemd/systemd";

/// What a boot without a distribution needs of systemd's units.
const TARGETS: [&str; 4] = ["sysinit", "basic", "multi-user", "shutdown"];
const UNITS: &str = "lib/systemd/system";

/// The command as a shell script of one line, each word quoted.
fn script(command: &[String]) -> String {
    let words = command
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")));
    format!("exec {}\n", words.collect::<Vec<_>>().join(" "))
}

/// A program of this host by its name.
pub(super) fn find(tool: &str) -> anyhow::Result<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"];
    let mut places = folders.iter().map(|folder| Path::new(folder).join(tool));
    let found = places.find(|path| path.exists());
    found.with_context(|| format!("this host has no `{tool}` to take into the machine"))
}

/// The shared libraries of a program and its loader; none if it is static.
fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listed = Command::new("ldd").arg(program).output().context("ldd")?;
    let text = String::from_utf8_lossy(&listed.stdout);
    if text.contains("not found") {
        bail!(
            "{} lacks a library on this host:\n{text}",
            program.display()
        );
    }
    Ok(library_paths(&text))
}

/// `libc.so.6 => /lib/libc.so.6 (0x…)` or `/lib64/ld.so (0x…)`
fn library_paths(ldd: &str) -> Vec<PathBuf> {
    let words = ldd.split_whitespace();
    words
        .filter(|w| w.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

#[derive(Debug, Default)]
struct Archive {
    bytes: Vec<u8>,
    /// Paths inside, so that nothing is there twice: the kernel would take the last.
    added: BTreeSet<PathBuf>,
}

impl Archive {
    /// A program of the host for /bin, with its libraries where it looks for them.
    fn program(&mut self, program: &Path) -> anyhow::Result<()> {
        let name = program.file_name().context("a program has a name")?;
        let content = std::fs::read(program).with_context(|| program.display().to_string())?;
        self.add(&Path::new("bin").join(name), PROGRAM, &content);
        for library in libraries(program)? {
            self.host_file(&library)?;
        }
        Ok(())
    }

    /// The first process, its units, and the command as one of them.
    fn systemd(&mut self) -> anyhow::Result<()> {
        let program = Path::new(SYSTEMD);
        if !program.exists() {
            bail!("this host has no {SYSTEMD} to take into the machine");
        }
        // From version 255 on, another program begins each service.
        let executor = program.with_file_name("systemd-executor");
        let executor = executor.exists().then_some(executor.as_path());
        for program in [program].into_iter().chain(executor) {
            self.host_file(program)?;
            for library in libraries(program)? {
                self.host_file(&library)?;
            }
        }
        let units = Path::new(UNITS);
        for target in TARGETS {
            self.host_file(&Path::new("/").join(UNITS).join(format!("{target}.target")))?;
        }
        self.add(&units.join("work.service"), FILE, SERVICE.as_bytes());
        let wanted = units.join("multi-user.target.wants/work.service");
        self.add(&wanted, LINK, b"../work.service");
        Ok(())
    }

    /// A file of the host, or everything below a folder, at its own path. Links are followed.
    fn host_file(&mut self, file: &Path) -> anyhow::Result<()> {
        let absolute = std::path::absolute(file)?;
        let meta = std::fs::metadata(file).with_context(|| file.display().to_string())?;
        if meta.is_dir() {
            for entry in std::fs::read_dir(file)? {
                self.host_file(&entry?.path())?;
            }
            return Ok(());
        }
        let mode = 0o100_000 | (meta.permissions().mode() & 0o777);
        self.add(absolute.strip_prefix("/")?, mode, &std::fs::read(file)?);
        Ok(())
    }

    fn folder(&mut self, path: &Path) {
        self.add(path, FOLDER, &[]);
    }

    /// An entry and the folders above it. The first of a name stays.
    fn add(&mut self, path: &Path, mode: u32, content: &[u8]) {
        if !self.added.insert(path.to_path_buf()) {
            return;
        }
        if let Some(above) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            self.folder(above);
        }
        self.entry(&path.to_string_lossy(), mode, content);
    }

    /// A header of hexadecimal fields, the name, the content; both padded to four bytes.
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        let (size, name_size) = (content.len(), name.len() + 1);
        let mut header = String::from("070701");
        // The zeros are inode, owner, group, time, devices and checksum; the one is links.
        for field in [0, mode as usize, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            let _ = write!(header, "{field:08X}");
        }
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpio_reads_the_archive_back() {
        let mut archive = Archive::default();
        archive.add(Path::new("a/b/odd"), PROGRAM, b"12345");
        archive.add(Path::new("link"), LINK, b"a/b/odd");
        archive.add(Path::new("a/b/odd"), FILE, b"a second one of the name");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("archive");
        std::fs::write(&file, archive.finish()).unwrap();
        let unpacked = Command::new("busybox")
            .args(["cpio", "-i", "-F"])
            .arg(&file)
            .current_dir(&folder)
            .status();
        if unpacked.is_err() {
            println!("skipped: no busybox on this host");
            return;
        }
        assert!(unpacked.unwrap().success());
        let back = folder.path().join("link");
        assert_eq!(std::fs::read(&back).unwrap(), b"12345");
        let mode = std::fs::metadata(&back).unwrap().permissions().mode();
        assert_eq!(mode, PROGRAM);
    }

    #[test]
    fn words_reach_the_command_as_they_are() {
        let words = ["echo", "it's", "$HOME *"].map(String::from);
        assert_eq!(script(&words), "exec 'echo' 'it'\\''s' '$HOME *'\n");
    }

    #[test]
    fn the_loader_is_a_library_and_the_kernels_page_is_not() {
        let ldd = "\tlinux-vdso.so.1 (0x00007ffe)\n\
                   \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0a)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007f0b)\n";
        let paths = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(library_paths(ldd), paths.map(PathBuf::from));
        assert!(library_paths("\tnot a dynamic executable\n").is_empty());
    }
}
