use std::process::Command;

use firedrill_kernel::cgroup::{self, Controller};
use firedrill_kernel::freezer::{Cgroup, Hierarchy, Version};
use firedrill_kernel::{Pidfd, Signal};
use firedrill_undo::{
    Freeze, FreezeKind, FrozenMember, GuardianError, Mechanism, Primitive, Refusal, Residue,
    RestartCommand, SkipReason, active_drills,
};

use crate::herd::{Herd, LONG, drill, is_stopped, wait_for};

#[test]
fn a_pause_is_observed_and_reverted_without_residue() {
    let herd = Herd::of(10);
    let guardian = herd.guardian();
    let applied = guardian.apply(herd.stops()).unwrap();
    assert_eq!(applied.mechanisms, [Mechanism::Sigstop]);
    assert_eq!(applied.targets.len(), 10);
    let observed = guardian.observe_until(applied.id, LONG).unwrap();
    assert_eq!((observed.requested, observed.achieved), (10, 10));
    assert!(herd.all_stopped());
    let reverted = guardian.revert(applied.id).unwrap();
    assert_eq!((reverted.undone, reverted.residue), (10, vec![]));
    assert!(herd.all_running());
    let again = guardian.revert(applied.id).unwrap();
    assert_eq!(again.undone, 0);
    guardian.finish().unwrap();
    assert!(herd.nothing_left());
}

#[test]
fn a_vanished_process_counts_as_reverted() {
    let mut herd = Herd::of(2);
    let guardian = herd.guardian();
    let applied = guardian.apply(herd.stops()).unwrap();
    let gone = herd.identities()[0];
    herd.kill(0);
    let reverted = guardian.revert(applied.id).unwrap();
    assert_eq!(reverted.vanished, [gone]);
    assert_eq!((reverted.undone, reverted.residue.len()), (1, 0));
    guardian.finish().unwrap();
}

#[test]
fn what_was_stopped_before_is_skipped_and_stays_stopped() {
    let herd = Herd::of(2);
    let stopped = herd.identities()[0];
    let pidfd = Pidfd::open(&stopped).unwrap().unwrap();
    pidfd.send(Signal::Stop).unwrap();
    wait_for("the first is stopped", || is_stopped(&stopped));
    let guardian = herd.guardian();
    let applied = guardian.apply(herd.stops()).unwrap();
    assert_eq!(applied.skipped.len(), 1);
    assert_eq!(applied.skipped[0].why, SkipReason::StoppedBefore);
    guardian.revert(applied.id).unwrap();
    guardian.finish().unwrap();
    assert!(is_stopped(&stopped));
    assert!(!is_stopped(&herd.identities()[1]));
}

#[test]
fn who_is_stopped_by_somebody_else_meanwhile_is_reported_and_left_alone() {
    let herd = Herd::of(2);
    let [target, other] = herd.identities()[..] else {
        panic!("two were asked for");
    };
    let guardian = herd.guardian();
    let applied = guardian
        .apply(vec![Primitive::StopProcess { process: target }])
        .unwrap();
    Pidfd::open(&other)
        .unwrap()
        .unwrap()
        .send(Signal::Stop)
        .unwrap();
    wait_for("the other is stopped", || is_stopped(&other));
    let reverted = guardian.revert(applied.id).unwrap();
    assert!(
        reverted
            .residue
            .contains(&Residue::StoppedMeanwhile { process: other })
    );
    assert!(is_stopped(&other));
    guardian.finish().unwrap();
}

#[test]
fn a_killed_process_is_gone_and_its_restart_command_runs_once() {
    let mut herd = Herd::of(1);
    let target = herd.identities()[0];
    let restart = RestartCommand {
        argv: vec!["sleep".into(), "301".into()],
        cwd: Some("/".into()),
        env: [("RESTARTED".to_owned(), "yes".to_owned())].into(),
        cgroups: Vec::new(),
    };
    let guardian = herd.guardian();
    let kill = Primitive::KillProcess {
        process: target,
        signal: Signal::Kill,
        restart: Some(restart),
    };
    let applied = guardian.apply(vec![kill]).unwrap();
    assert!(
        guardian
            .observe_until(applied.id, LONG)
            .unwrap()
            .is_complete()
    );
    herd.kill(0);
    let reverted = guardian.revert(applied.id).unwrap();
    let [restarted] = reverted.restarted[..] else {
        panic!("{reverted:?}");
    };
    let environment = firedrill_kernel::process::environment(restarted.pid)
        .unwrap()
        .unwrap();
    assert!(environment.contains(&"RESTARTED=yes".to_owned()));
    let blocked = firedrill_kernel::process::status_field(restarted.pid, "SigBlk").unwrap();
    assert_eq!(
        blocked.unwrap().trim_matches('0'),
        "",
        "born deaf to signals"
    );
    assert!(
        !environment
            .iter()
            .any(|variable| variable.starts_with("FIREDRILL_SPARE"))
    );
    assert!(guardian.revert(applied.id).unwrap().restarted.is_empty());
    guardian.finish().unwrap();
    Pidfd::open(&restarted)
        .unwrap()
        .unwrap()
        .send(Signal::Kill)
        .unwrap();
}

#[test]
fn what_a_dead_guardian_started_and_had_not_moved_yet_is_moved_to_where_the_target_was() {
    let Some(hierarchy) = cgroup::Hierarchy::usable(Controller::Pids).unwrap() else {
        eprintln!("skipped: no usable pids controller");
        return;
    };
    let mut herd = Herd::of(1);
    let target = herd.identities()[0];
    let parent = hierarchy.parent_for(Controller::Pids, target.pid).unwrap();
    let name = format!("firedrill-test-home-{}", target.pid);
    let home = parent.create_child(&name).unwrap();
    assert!(home.adopt(target.pid).unwrap());
    let guardian = herd.guardian();
    let kill = Primitive::KillProcess {
        process: target,
        signal: Signal::Kill,
        restart: Some(RestartCommand {
            argv: vec!["sleep".into(), "303".into()],
            cwd: None,
            env: [].into(),
            cgroups: Vec::new(),
        }),
    };
    let applied = guardian.apply(vec![kill]).unwrap();
    herd.kill(0);
    let mut started = Command::new("sleep")
        .arg("303")
        .env("FIREDRILL_RESTART", format!("{}/{target}", drill()))
        .spawn()
        .unwrap();
    let reverted = guardian.revert(applied.id).unwrap();
    let found: Vec<u32> = reverted.restarted.iter().map(|one| one.pid).collect();
    assert_eq!(found, [started.id()]);
    assert_eq!(home.processes().unwrap(), [started.id()]);
    guardian.finish().unwrap();
    started.kill().unwrap();
    started.wait().unwrap();
    home.remove().unwrap();
}

#[test]
fn a_restart_command_that_does_not_exist_is_residue() {
    let mut herd = Herd::of(1);
    let restart = RestartCommand {
        argv: vec!["/does/not/exist".into()],
        cwd: None,
        env: [].into(),
        cgroups: Vec::new(),
    };
    let guardian = herd.guardian();
    let kill = Primitive::KillProcess {
        process: herd.identities()[0],
        signal: Signal::Kill,
        restart: Some(restart),
    };
    let applied = guardian.apply(vec![kill]).unwrap();
    herd.kill(0);
    let reverted = guardian.revert(applied.id).unwrap();
    assert!(
        matches!(reverted.residue[..], [Residue::NotRestarted { .. }]),
        "{reverted:?}"
    );
    guardian.finish().unwrap();
}

#[test]
fn a_v1_freezer_of_our_own_holds_just_the_targets_and_is_gone_afterwards() {
    let Some(hierarchy) = usable(Version::V1) else {
        eprintln!("skipped: no usable v1 freezer");
        return;
    };
    let herd = Herd::of(3);
    let freeze = own_freeze(&hierarchy, &herd);
    let cgroup = freeze.cgroup.clone();
    let origins: Vec<_> = freeze
        .members
        .iter()
        .map(|member| member.origin.clone())
        .collect();
    let guardian = herd.guardian();
    let applied = guardian
        .apply(vec![Primitive::FreezeCgroup(freeze)])
        .unwrap();
    assert_eq!(applied.mechanisms, [Mechanism::FreezerV1]);
    assert_eq!(applied.fallback, None);
    assert!(guardian.observe(applied.id).unwrap().is_complete());
    let reverted = guardian.revert(applied.id).unwrap();
    assert_eq!((reverted.undone, reverted.residue), (3, vec![]));
    assert!(!cgroup.exists());
    for (process, origin) in herd.identities().iter().zip(origins) {
        assert_eq!(hierarchy.cgroup_of(process.pid).unwrap().unwrap(), origin);
    }
    guardian.finish().unwrap();
}

#[test]
fn a_whole_v2_cgroup_is_frozen_where_it_is() {
    let Some(hierarchy) = usable(Version::V2) else {
        eprintln!("skipped: no usable v2 freezer");
        return;
    };
    let herd = Herd::of(2);
    let (freeze, cgroup) = whole_v2_cgroup(&hierarchy, &herd, "whole");
    let guardian = herd.guardian();
    let applied = guardian
        .apply(vec![Primitive::FreezeCgroup(freeze)])
        .unwrap();
    assert_eq!(applied.mechanisms, [Mechanism::FreezerV2]);
    assert!(cgroup.is_frozen().unwrap());
    assert!(guardian.observe(applied.id).unwrap().is_complete());
    let reverted = guardian.revert(applied.id).unwrap();
    assert_eq!((reverted.undone, reverted.residue), (2, vec![]));
    wait_for("it is thawed", || !cgroup.is_frozen().unwrap());
    guardian.finish().unwrap();
    drop(herd);
    cgroup.remove().unwrap();
}

#[test]
fn a_cgroup_that_holds_somebody_else_is_not_frozen() {
    let Some(hierarchy) = usable(Version::V2) else {
        eprintln!("skipped: no usable v2 freezer");
        return;
    };
    let herd = Herd::of(2);
    let (mut freeze, cgroup) = whole_v2_cgroup(&hierarchy, &herd, "crowd");
    let bystander = freeze.members.pop().unwrap().process;
    let guardian = herd.guardian();
    let applied = guardian
        .apply(vec![Primitive::FreezeCgroup(freeze)])
        .unwrap();
    assert_eq!(applied.mechanisms, [Mechanism::Sigstop]);
    assert!(!cgroup.is_frozen().unwrap());
    assert!(!is_stopped(&bystander));
    guardian.finish().unwrap();
    drop(herd);
    cgroup.remove().unwrap();
}

/// The herd alone in a cgroup, as a service or container is.
fn whole_v2_cgroup(hierarchy: &Hierarchy, herd: &Herd, name: &str) -> (Freeze, Cgroup) {
    let home = hierarchy.cgroup_of(std::process::id()).unwrap().unwrap();
    let path = home.join(format!("firedrill-{name}-{}", std::process::id()));
    let cgroup = Cgroup::create(Version::V2, &path).unwrap();
    let adopt = |process: firedrill_kernel::ProcessIdentity| {
        cgroup.adopt(process.pid).unwrap();
        FrozenMember {
            process,
            origin: path.clone(),
        }
    };
    let freeze = Freeze {
        version: Version::V2,
        cgroup: path.clone(),
        kind: FreezeKind::Existing,
        members: herd.identities().into_iter().map(adopt).collect(),
    };
    (freeze, cgroup)
}

#[test]
fn a_freezer_that_does_not_work_falls_back_to_sigstop_and_says_so() {
    let herd = Herd::of(2);
    let member = |process| FrozenMember {
        process,
        origin: "/does/not/exist".into(),
    };
    let freeze = Freeze {
        version: Version::V1,
        cgroup: "/does/not/exist/firedrill".into(),
        kind: FreezeKind::Own,
        members: herd.identities().into_iter().map(member).collect(),
    };
    let guardian = herd.guardian();
    let applied = guardian
        .apply(vec![Primitive::FreezeCgroup(freeze)])
        .unwrap();
    assert_eq!(applied.mechanisms, [Mechanism::Sigstop]);
    assert!(applied.fallback.is_some());
    assert!(
        guardian
            .observe_until(applied.id, LONG)
            .unwrap()
            .is_complete()
    );
    guardian.finish().unwrap();
    assert!(herd.all_running());
}

#[test]
fn a_finished_drill_leaves_nothing_and_its_name_is_free_again() {
    let herd = Herd::of(1);
    for _ in 0..2 {
        let guardian = herd.guardian();
        guardian.apply(herd.stops()).unwrap();
        assert_eq!(active_drills(&herd.state()).unwrap().len(), 1);
        let reverted = guardian.finish().unwrap();
        assert_eq!(reverted.undone, 1);
        assert!(herd.nothing_left());
    }
}

#[test]
fn two_drills_cannot_have_one_name() {
    let herd = Herd::of(0);
    let first = herd.guardian();
    let error = firedrill_undo::Guardian::spawn(herd.config()).unwrap_err();
    assert!(
        matches!(error, GuardianError::Refused(Refusal::NotStarted { .. })),
        "{error}"
    );
    first.finish().unwrap();
}

#[test]
fn rollbacks_do_not_run_when_the_owner_finishes() {
    let herd = Herd::of(1);
    let mark = herd.root.path().join("mark");
    let guardian = herd.guardian();
    let rollbacks = Primitive::RunRollbacks {
        argv: vec!["touch".into(), mark.to_string_lossy().into_owned()],
    };
    let mixed = [herd.stops(), vec![rollbacks.clone()]].concat();
    let refused = guardian.apply(mixed).unwrap_err();
    assert!(matches!(
        refused,
        GuardianError::Refused(Refusal::MixedWithRollbacks)
    ));
    guardian.apply(vec![rollbacks]).unwrap();
    guardian.finish().unwrap();
    assert!(!mark.exists());
}

#[test]
fn more_targets_than_fit_in_a_request_are_refused_whole() {
    let herd = Herd::of(1);
    let guardian = herd.guardian();
    let process = herd.identities()[0];
    let effects = vec![Primitive::StopProcess { process }; 5000];
    let error = guardian.apply(effects).unwrap_err();
    assert!(
        matches!(error, GuardianError::TooLarge { targets: 5000 }),
        "{error}"
    );
    assert!(herd.all_running());
    guardian.finish().unwrap();
}

pub(crate) fn usable(version: Version) -> Option<Hierarchy> {
    let mounted = Hierarchy::mounted().unwrap();
    mounted
        .into_iter()
        .find(|h| h.version == version && h.operate().is_ok())
}

pub(crate) fn own_freeze(hierarchy: &Hierarchy, herd: &Herd) -> Freeze {
    let members: Vec<FrozenMember> = herd
        .identities()
        .into_iter()
        .map(|process| FrozenMember {
            process,
            origin: hierarchy.cgroup_of(process.pid).unwrap().unwrap(),
        })
        .collect();
    let name = format!("firedrill-test-{}", members[0].process.pid);
    Freeze {
        version: hierarchy.version,
        cgroup: hierarchy.mount.join(name),
        kind: FreezeKind::Own,
        members,
    }
}
