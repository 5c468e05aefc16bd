//! The state of the bed and of what of the host a fault of ours could leave something in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use firedrill_kernel::realtime;
use firedrill_kernel::{mounts, process};

use crate::Outcome;
use crate::bed::Bed;
use crate::processes;

/// What the kernel's own tools say, by what it is of.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    parts: BTreeMap<String, String>,
    clock: realtime::Offset,
    taken: Instant,
}

/// Connections of the bed itself (`talk`, `asking`) come and go.
const SCRIPT: &str = "nft -s list ruleset; iptables-legacy-save -t nat | grep -v '^[#:]'; \
                      tc qdisc show; tc filter show dev veth0 2>&1; ip -d link show; ip addr show; \
                      ip route show table all; ss -Htuln; \
                      ss -Htn | grep -Ev ':543[23]( |$)'";

/// CLOCK_REALTIME − CLOCK_MONOTONIC_RAW comes back to this.
const CLOCK: Duration = Duration::from_micros(10);

/// What a time daemon or the kernel's own rate may move it by meanwhile, parts per million.
const DRIFT_PPM: f64 = 500.0;

impl Snapshot {
    pub(crate) fn take(bed: &Bed) -> Outcome<Self> {
        let mut parts = BTreeMap::new();
        for name in [&bed.near, &bed.far] {
            parts.insert(format!("network of {name}"), Bed::output(name, SCRIPT)?);
        }
        let lines = |mut lines: Vec<String>| {
            lines.sort();
            lines.join("\n")
        };
        let victims = bed
            .victims()?
            .into_iter()
            .map(|(_, stat)| format!("one, stopped: {}", stat.state.is_stopped()));
        parts.insert("processes".into(), lines(victims.collect()));
        parts.insert("container and unit".into(), bed.others()?);
        parts.insert("workers".into(), format!("{:?}", processes::workers()?));
        parts.insert("files".into(), lines(below(bed.directory.path())));
        parts.insert("cgroups".into(), lines(cgroups(bed)?));
        let mounts = mounts::list()?
            .into_iter()
            .map(|mount| format!("{mount:?}"));
        let ours = bed.directory.path().display().to_string();
        let mounts = mounts.filter(|mount| mount.contains(&ours));
        parts.insert("mounts".into(), lines(mounts.collect()));
        Ok(Self {
            parts,
            clock: realtime::offset(),
            taken: Instant::now(),
        })
    }

    /// Two in a row that are alike: the bed has settled.
    pub(crate) fn settled(bed: &Bed) -> Outcome<Self> {
        let mut last = Self::take(bed)?;
        for _ in 0..50 {
            processes::wait(Duration::from_millis(20));
            let next = Self::take(bed)?;
            if next.parts == last.parts {
                return Ok(next);
            }
            last = next;
        }
        Err("the bed does not settle".into())
    }

    /// How it is now differs from this, in words. What others do on this host passes; what stays
    /// different for a second does not.
    pub(crate) fn differences(&self, bed: &Bed) -> Outcome<Vec<String>> {
        let end = Instant::now() + Duration::from_secs(1);
        loop {
            let now = Self::take(bed)?;
            let differences = self.compare(&now);
            if differences.is_empty() || Instant::now() >= end {
                return Ok(differences);
            }
            processes::wait(Duration::from_millis(50));
        }
    }

    fn compare(&self, now: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (what, before) in &self.parts {
            let after = now.parts.get(what).map_or("", String::as_str);
            let lost = before
                .lines()
                .filter(|line| !after.lines().any(|a| a == *line));
            let new = after
                .lines()
                .filter(|line| !before.lines().any(|b| b == *line));
            differences.extend(lost.map(|line| format!("{what}: - {line}")));
            differences.extend(new.map(|line| format!("{what}: + {line}")));
            if before != after && differences.is_empty() {
                differences.push(format!("{what}: another order or number of lines"));
            }
        }
        let moved = now.clock.nanoseconds.abs_diff(self.clock.nanoseconds);
        let passed = now.taken.duration_since(self.taken).as_nanos() as f64;
        let allowed = CLOCK.as_nanos() as u64
            + self.clock.error_ns
            + now.clock.error_ns
            + (passed * DRIFT_PPM / 1e6) as u64;
        if moved > allowed {
            differences.push(format!(
                "the clock is off by {moved} ns ({allowed} allowed)"
            ));
        }
        differences
    }
}

/// Cgroups of faults, wherever they are; those of tests and drills that run beside this belong to
/// them.
fn cgroups(bed: &Bed) -> Outcome<Vec<String>> {
    let ours: Vec<u32> = bed.victims()?.into_iter().map(|(pid, _)| pid).collect();
    let mut found = Vec::new();
    visit(Path::new("/sys/fs/cgroup"), 0, &mut |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_test = name.starts_with("firedrill-test");
        if name.starts_with("firedrill") && !is_test && !is_for_another(&name, &ours) {
            found.push(path.display().to_string());
        }
    });
    Ok(found)
}

/// Whether it is named after a living process that is not a victim of ours.
fn is_for_another(name: &str, ours: &[u32]) -> bool {
    let pid = name.split('-').nth(1).and_then(|pid| pid.parse().ok());
    pid.is_some_and(|pid| !ours.contains(&pid) && matches!(process::stat(pid), Ok(Some(_))))
}

fn visit(directory: &Path, depth: u32, look: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth < 5 {
            look(&entry.path());
            visit(&entry.path(), depth + 1, look);
        }
    }
}

fn below(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let length = |entry: &fs::DirEntry| entry.metadata().map_or(0, |metadata| metadata.len());
    entries
        .map(|entry| format!("{} {}", entry.path().display(), length(&entry)))
        .collect()
}
