use std::path::{Path, PathBuf};

use firedrill_kernel::{KernelError, mounts};

use super::Difference;

/// The file system under a directory: not how full it is, which others change all the time.
#[derive(Debug, PartialEq)]
pub(super) struct DirectoryState {
    mount: PathBuf,
    device: (u32, u32),
    options: String,
    read_only: bool,
    /// Loop devices whose files are on it.
    loops: Vec<String>,
}

impl DirectoryState {
    pub(super) fn read(path: &Path) -> Result<Self, KernelError> {
        let mount = mounts::holding(path)?;
        let space = mounts::space(path)?;
        let loops = mounts::loop_devices()?
            .into_iter()
            .filter(|device| device.backing_file.starts_with(path))
            .map(|device| device.name)
            .collect();
        Ok(Self {
            mount: mount.point,
            device: mount.device,
            options: mount.options,
            read_only: space.read_only,
            loops,
        })
    }

    pub(super) fn differences(&self, after: &Self, path: &Path) -> Vec<Difference> {
        let what = format!("the file system of {}", path.display());
        let loops = |state: &Self| match state.loops.len() {
            0 => "none".to_owned(),
            _ => state.loops.join(", "),
        };
        if (&self.mount, self.device) != (&after.mount, after.device) {
            let mount = |state: &Self| state.mount.display().to_string();
            let difference = format!("it was {} and is another at {}", mount(self), mount(after));
            return vec![Difference::new(what, difference)];
        }
        let writable = |state: &Self| {
            if state.read_only {
                "read-only"
            } else {
                "writable"
            }
        };
        [
            Difference::between(&what, writable(self), writable(after)),
            Difference::between(&what, &self.options, &after.options),
            Difference::between(
                &format!("loop devices on {}", path.display()),
                &loops(self),
                &loops(after),
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
