//! Pauses processes: they keep their memory and connections, and answer nothing.

use std::path::{Path, PathBuf};

use firedrill_kernel::freezer::{self, Hierarchy, Version};
use firedrill_kernel::{KernelError, ProcessIdentity};
use firedrill_undo::{Freeze, FreezeKind, FrozenMember, Primitive};
use serde_json::{Map, Value, json};

use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, Parameter, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(ProcessPause::parse(arguments)?)),
};

const NAME: &str = "infrastructure.process-pause";

const MECHANISMS: &str = "auto, freezer or signal";

/// `infrastructure.process-pause`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessPause {
    pub mechanism: PauseMechanism,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PauseMechanism {
    /// The freezer where it can hold just the targets, else SIGSTOP.
    #[default]
    Auto,
    /// The freezer, or a refusal.
    Freezer,
    /// SIGSTOP, which a parent's `waitpid` can see.
    Signal,
}

impl ProcessPause {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["mechanism"]);
        let mechanism = read.read("mechanism", MECHANISMS, |value| {
            Some(match value.as_str()? {
                "auto" => PauseMechanism::Auto,
                "freezer" => PauseMechanism::Freezer,
                "signal" => PauseMechanism::Signal,
                _ => return None,
            })
        });
        read.finish()?;
        Ok(Self {
            mechanism: mechanism.unwrap_or_default(),
        })
    }
}

impl Disturbance for ProcessPause {
    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let targets = &site.processes()[..];
        let stops = || {
            targets
                .iter()
                .map(|process| Primitive::StopProcess { process: *process })
                .collect()
        };
        match self.mechanism {
            PauseMechanism::Signal => Ok(stops()),
            // What cannot be frozen can still be stopped, and the mechanism used is on record.
            PauseMechanism::Auto => match freeze(targets) {
                Ok(Ok(freeze)) => Ok(vec![Primitive::FreezeCgroup(freeze)]),
                Ok(Err(_)) | Err(_) => Ok(stops()),
            },
            PauseMechanism::Freezer => match freeze(targets)? {
                Ok(freeze) => Ok(vec![Primitive::FreezeCgroup(freeze)]),
                Err(why) => Err(CompileError::NoFreezer { why }),
            },
        }
    }
}

/// The first freezer that works here and can hold exactly the targets, or why there is none.
fn freeze(targets: &[ProcessIdentity]) -> Result<Result<Freeze, String>, KernelError> {
    let mut why = String::from("no freezer is mounted");
    for hierarchy in Hierarchy::mounted()? {
        if let Err(error) = hierarchy.operate() {
            why = error.to_string();
            continue;
        }
        match freeze_in(&hierarchy, targets)? {
            Some(freeze) => return Ok(Ok(freeze)),
            None => why = "on cgroup v2 only a whole cgroup can be frozen".into(),
        }
    }
    Ok(Err(why))
}

fn freeze_in(
    hierarchy: &Hierarchy,
    targets: &[ProcessIdentity],
) -> Result<Option<Freeze>, KernelError> {
    let mut members = Vec::new();
    for process in targets {
        // One that vanished meanwhile is skipped when applied; here it has no cgroup to name.
        if let Some(origin) = hierarchy.cgroup_of(process.pid)? {
            members.push(FrozenMember {
                process: *process,
                origin,
            });
        }
    }
    let Some(first) = members.first() else {
        return Ok(None);
    };
    let shared = first.origin.clone();
    let (cgroup, kind) = if holds_exactly(hierarchy, &shared, &members)? {
        (shared, FreezeKind::Existing)
    } else if hierarchy.version == Version::V1 {
        (
            own_cgroup(&hierarchy.mount, &first.process),
            FreezeKind::Own,
        )
    } else {
        return Ok(None);
    };
    Ok(Some(Freeze {
        version: hierarchy.version,
        cgroup,
        kind,
        members,
    }))
}

/// Whether freezing this cgroup would freeze the members and nobody else.
fn holds_exactly(
    hierarchy: &Hierarchy,
    cgroup: &Path,
    members: &[FrozenMember],
) -> Result<bool, KernelError> {
    if cgroup == hierarchy.mount || members.iter().any(|member| member.origin != cgroup) {
        return Ok(false);
    }
    if freezer::has_children(cgroup)? {
        return Ok(false);
    }
    let mut ours: Vec<u32> = members.iter().map(|member| member.process.pid).collect();
    ours.sort_unstable();
    Ok(freezer::members(cgroup)? == ours)
}

/// Named by its first member, which can be frozen only once at a time.
fn own_cgroup(mount: &Path, first: &ProcessIdentity) -> PathBuf {
    mount.join(format!("firedrill-{}-{}", first.pid, first.start))
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "pauses processes: they keep memory and connections, and answer nothing",
        targets: vec![TargetKind::Process],
        parameters: vec![Parameter {
            name: "mechanism",
            kind: ParameterKind::Choice,
            unit: None,
            bounds: Some(MECHANISMS),
            default: Some(json!("auto")),
            required: false,
            summary: "auto takes the freezer where it can hold just the targets, else SIGSTOP",
        }],
        needs: vec!["the right to signal the targets", "pidfd (Linux 5.3)"],
        mechanisms: vec![
            "cgroup freezer: unseen by the target and its parent; on v1 in an own cgroup, on v2 \
             only a whole cgroup",
            "SIGSTOP: a parent's waitpid can see it",
        ],
        recovery_path: "the guardian thaws or continues when its owner dies or the lease runs out; \
                        `firedrill recover` does when both are dead; a reboot ends it",
        undo: UndoClass::Reversible,
        example: "",
        observed_effect: "every target is in state T, or in a cgroup that reports itself frozen",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<ProcessPause, FaultError> {
        ProcessPause::parse(value.as_object().unwrap())
    }

    #[test]
    fn the_mechanism_is_one_of_three_words() {
        assert_eq!(parse(json!({})).unwrap().mechanism, PauseMechanism::Auto);
        let signal = parse(json!({"mechanism": "signal"})).unwrap();
        assert_eq!(signal.mechanism, PauseMechanism::Signal);
        assert!(parse(json!({"mechanism": "ice"})).is_err());
        assert!(parse(json!({"mechanism": 1})).is_err());
    }

    #[test]
    fn by_signal_each_target_is_one_primitive() {
        let me = ProcessIdentity::current().unwrap();
        let pause = parse(json!({"mechanism": "signal"})).unwrap();
        let primitives = pause.compile(&Site::of(&[me.into()])).unwrap();
        assert_eq!(primitives, [Primitive::StopProcess { process: me }]);
    }

    #[test]
    fn whatever_the_mechanism_just_the_targets_are_hit_and_nothing_is_touched_yet() {
        let children: Vec<_> = (0..2)
            .map(|_| {
                std::process::Command::new("sleep")
                    .arg("60")
                    .spawn()
                    .unwrap()
            })
            .collect();
        let targets: Vec<ProcessIdentity> = children
            .iter()
            .map(|child| ProcessIdentity::of(child.id()).unwrap().unwrap())
            .collect();
        let aims: Vec<_> = targets.iter().map(|target| (*target).into()).collect();
        let primitives = parse(json!({})).unwrap().compile(&Site::of(&aims)).unwrap();
        let hit: Vec<_> = primitives.iter().flat_map(Primitive::targets).collect();
        let stopped = |target: &ProcessIdentity| target.stat().unwrap().unwrap().state.is_stopped();
        let touched = targets.iter().any(stopped);
        for mut child in children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(hit, targets);
        assert!(!touched);
        if let [Primitive::FreezeCgroup(freeze)] = &primitives[..] {
            assert!(!freeze.cgroup.exists());
        }
    }

    #[test]
    fn no_target_compiles_to_nothing() {
        let pause = parse(json!({})).unwrap();
        assert_eq!(pause.compile(&Site::of(&[])).unwrap(), []);
    }
}
