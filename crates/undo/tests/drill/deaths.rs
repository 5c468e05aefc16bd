use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use firedrill_kernel::{Pidfd, Presence, ProcessIdentity, Signal};
use firedrill_undo::{
    Ending, Filter, GuardianError, HaltOutcome, LeftAlone, Primitive, Refusal, Watch,
    active_drills, halt, recover,
};

use crate::effects::{own_freeze, usable};
use crate::herd::{Herd, LONG, drill, program, wait_for};

/// An owner in a process of its own, with its targets paused.
struct Owner {
    child: Child,
    out: BufReader<ChildStdout>,
    input: ChildStdin,
    guardian: ProcessIdentity,
}

impl Owner {
    fn pausing(herd: &Herd, lease: Duration) -> Self {
        let mut child = Command::new(program())
            .arg("owner")
            .arg(herd.root.path())
            .args(["one", &lease.as_millis().to_string()])
            .args(herd.pids())
            .env("ROLLBACK_MARK", herd.root.path().join("mark"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take().unwrap();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let pid = line
            .trim()
            .strip_prefix("applied ")
            .expect(&line)
            .parse()
            .unwrap();
        let guardian = ProcessIdentity::of(pid).unwrap().unwrap();
        Self {
            child,
            out,
            input,
            guardian,
        }
    }

    fn signal(&self, signal: Signal) {
        let identity = ProcessIdentity::of(self.child.id()).unwrap().unwrap();
        Pidfd::open(&identity)
            .unwrap()
            .unwrap()
            .send(signal)
            .unwrap();
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn kill_guardian(&self) {
        let pidfd = Pidfd::open(&self.guardian).unwrap().unwrap();
        pidfd.send(Signal::Kill).unwrap();
        assert!(pidfd.wait_for_exit(LONG).unwrap());
    }

    fn ask_to_apply_again(&mut self) -> String {
        self.input.write_all(b"again\n").unwrap();
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_killed_owner_leaves_everything_running_and_its_rollbacks_run() {
    let herd = Herd::of(10);
    let mut owner = Owner::pausing(&herd, LONG);
    wait_for("all are stopped", || herd.all_stopped());
    owner.kill();
    wait_for("all run", || herd.all_running());
    wait_for("the drill is over", || herd.nothing_left());
    let marks = std::fs::read_to_string(herd.root.path().join("mark")).unwrap();
    assert_eq!(marks, "run\n");
    wait_for("the guardian is gone", || {
        owner.guardian.presence().unwrap() == Presence::Gone
    });
}

#[test]
fn a_stopped_owner_loses_its_lease_and_cannot_apply_again() {
    let herd = Herd::of(3);
    let mut owner = Owner::pausing(&herd, Duration::from_millis(600));
    wait_for("all are stopped", || herd.all_stopped());
    owner.signal(Signal::Stop);
    wait_for("the deadline undoes it", || herd.all_running());
    owner.signal(Signal::Cont);
    let answer = owner.ask_to_apply_again();
    assert!(answer.starts_with("refused: "), "{answer}");
    assert!(answer.contains("lease ran out"), "{answer}");
    assert!(herd.all_running());
}

#[test]
fn a_killed_guardian_is_replaced_and_the_drill_has_ended() {
    let herd = Herd::of(3);
    let guardian = herd.guardian();
    guardian.apply(herd.stops()).unwrap();
    wait_for("all are stopped", || herd.all_stopped());
    let dead = guardian.ready().guardian;
    Pidfd::open(&dead)
        .unwrap()
        .unwrap()
        .send(Signal::Kill)
        .unwrap();
    assert_eq!(guardian.watch(LONG).unwrap(), Watch::Died);
    assert!(!guardian.is_alive());
    let error = guardian.apply(herd.stops()).unwrap_err();
    assert!(matches!(error, GuardianError::Died), "{error}");
    let reverted = guardian.recover_after_guardian_death().unwrap();
    assert_eq!((reverted.undone, reverted.residue.len()), (3, 0));
    assert!(herd.all_running());
    assert_ne!(guardian.ready().guardian, dead);
    for refused in [
        guardian.apply(herd.stops()).unwrap_err(),
        guardian.renew().unwrap_err(),
    ] {
        let ending = Ending::GuardianDied;
        assert!(
            matches!(refused, GuardianError::Refused(Refusal::Ended { ending: e }) if e == ending)
        );
    }
    guardian.finish().unwrap();
    assert!(herd.nothing_left());
}

#[test]
fn a_guardian_that_hangs_is_killed_and_replaced() {
    let herd = Herd::of(2);
    let mut config = herd.config();
    config.reply_limit = Duration::from_millis(300);
    let guardian = firedrill_undo::Guardian::spawn(config).unwrap();
    guardian.apply(herd.stops()).unwrap();
    let hung = Pidfd::open(&guardian.ready().guardian).unwrap().unwrap();
    hung.send(Signal::Stop).unwrap();
    wait_for("it does not answer", || {
        matches!(guardian.renew(), Err(GuardianError::NoReply { .. }))
    });
    guardian.recover_after_guardian_death().unwrap();
    assert!(herd.all_running());
    assert!(hung.has_ended().unwrap());
    guardian.finish().unwrap();
}

#[test]
fn when_both_are_killed_recovery_cleans_up_and_then_finds_nothing() {
    let herd = Herd::of(3);
    let mut owner = Owner::pausing(&herd, LONG);
    wait_for("all are stopped", || herd.all_stopped());
    owner.signal(Signal::Stop);
    owner.kill_guardian();
    let alive = recover(&herd.state(), &Filter::All).unwrap();
    assert!(
        matches!(alive.left[..], [(_, LeftAlone::OwnerAlive { .. })]),
        "{alive:?}"
    );
    assert!(herd.all_stopped());
    owner.kill();
    let report = recover(&herd.state(), &Filter::All).unwrap();
    assert_eq!(report.recovered.len(), 1, "{report:?}");
    assert!(report.recovered[0].clean);
    assert!(herd.all_running());
    assert!(herd.nothing_left());
    let marks = std::fs::read_to_string(herd.root.path().join("mark")).unwrap();
    assert_eq!(marks, "run\n");
    let again = recover(&herd.state(), &Filter::All).unwrap();
    assert!(again.recovered.is_empty() && again.left.is_empty());
}

#[test]
fn recovery_leaves_a_living_drill_alone() {
    let herd = Herd::of(1);
    let guardian = herd.guardian();
    guardian.apply(herd.stops()).unwrap();
    let report = recover(&herd.state(), &Filter::All).unwrap();
    assert!(
        matches!(report.left[..], [(_, LeftAlone::GuardianAlive)]),
        "{report:?}"
    );
    wait_for("it is stopped", || herd.all_stopped());
    guardian.finish().unwrap();
}

#[test]
fn an_owner_that_drops_its_guardian_gives_up_the_drill() {
    let herd = Herd::of(1);
    let guardian = herd.guardian();
    guardian.apply(herd.stops()).unwrap();
    drop(guardian);
    wait_for("it runs", || herd.all_running());
    wait_for("nothing is left", || herd.nothing_left());
}

#[test]
fn a_halt_undoes_everything_and_the_owner_is_told() {
    let herd = Herd::of(3);
    let mark = herd.root.path().join("mark");
    let guardian = herd.guardian();
    let argv = vec!["touch".into(), mark.to_string_lossy().into_owned()];
    guardian
        .apply(vec![Primitive::RunRollbacks { argv }])
        .unwrap();
    guardian.apply(herd.stops()).unwrap();
    wait_for("all are stopped", || herd.all_stopped());
    let halted = halt(&herd.state(), &Filter::Drill(drill()), LONG).unwrap();
    assert!(matches!(halted[..], [ref one] if matches!(one.outcome, HaltOutcome::Undone)));
    assert!(herd.all_running());
    let Watch::Ended(ended) = guardian.watch(LONG).unwrap() else {
        panic!("the owner was not told");
    };
    assert_eq!((ended.ending, ended.reverted.undone), (Ending::Halted, 3));
    let error = guardian.apply(herd.stops()).unwrap_err();
    assert!(matches!(
        error,
        GuardianError::Refused(Refusal::Ended {
            ending: Ending::Halted
        })
    ));
    // The owner lives, and runs its own rollbacks.
    assert!(!mark.exists());
    guardian.finish().unwrap();
    assert!(herd.nothing_left());
}

#[test]
fn a_terminal_cannot_end_the_guardian() {
    let herd = Herd::of(1);
    let guardian = herd.guardian();
    guardian.apply(herd.stops()).unwrap();
    let pidfd = Pidfd::open(&guardian.ready().guardian).unwrap().unwrap();
    for signal in [Signal::Int, Signal::Hup] {
        pidfd.send(signal).unwrap();
    }
    guardian.renew().unwrap();
    wait_for("it is stopped", || herd.all_stopped());
    let me = firedrill_kernel::process::stat(std::process::id())
        .unwrap()
        .unwrap();
    let its = guardian.ready().guardian.stat().unwrap().unwrap();
    assert_ne!(its.session, me.session);
    guardian.finish().unwrap();
}

#[test]
fn status_shows_what_is_active_on_what_and_until_when() {
    let herd = Herd::of(2);
    let guardian = herd.guardian();
    guardian.apply(herd.stops()).unwrap();
    let active = active_drills(&herd.state()).unwrap();
    let [one] = &active[..] else {
        panic!("{active:?}");
    };
    assert_eq!((one.label.as_str(), one.drill.as_str()), ("a test", "one"));
    assert_eq!(one.owner.pid, std::process::id());
    assert_eq!(one.owner_presence, Presence::Alive);
    assert_eq!(one.guardian_presence, Presence::Alive);
    assert!(one.lease_left > Duration::ZERO && one.lease_left <= LONG);
    assert_eq!(one.faults[0].effects, herd.stops());
    guardian.finish().unwrap();
    assert!(active_drills(&herd.state()).unwrap().is_empty());
}

#[test]
fn frozen_processes_run_again_after_both_are_killed() {
    let Some(hierarchy) = usable(firedrill_kernel::freezer::Version::V1) else {
        eprintln!("skipped: no usable v1 freezer");
        return;
    };
    let herd = Herd::of(2);
    let freeze = own_freeze(&hierarchy, &herd);
    let cgroup = freeze.cgroup.clone();
    let guardian = herd.guardian();
    guardian
        .apply(vec![Primitive::FreezeCgroup(freeze)])
        .unwrap();
    let pidfd = Pidfd::open(&guardian.ready().guardian).unwrap().unwrap();
    pidfd.send(Signal::Kill).unwrap();
    let reverted = guardian.recover_after_guardian_death().unwrap();
    assert_eq!((reverted.undone, reverted.residue), (2, vec![]));
    assert!(!cgroup.exists());
    guardian.finish().unwrap();
}
