use std::time::Duration;

use firedrill_undo::Quantity;
use serde_json::json;

use crate::probe::{Flow, MET, Plan, Probe};
use crate::{lay, under};

const LOSS: &str = "switching.loss";

const PLAN: Plan = Plan {
    packets: 4000,
    size: 64,
    gap: Duration::from_millis(1),
    burst: 20,
    paired: false,
};

/// Lost right after a lost one, and how long the runs of lost ones are.
fn runs(flow: &Flow) -> (f64, f64) {
    let came = flow.came();
    let lost = came.iter().filter(|came| !**came).count() as f64;
    let both = came.windows(2).filter(|pair| !pair[0] && !pair[1]).count() as f64;
    (both / lost, lost / (lost - both))
}

#[test]
fn netem_loses_a_share_at_random() {
    let Some(bed) = lay() else { return };
    let probe = Probe::new(&bed);
    let arguments = json!({"percent": 5, "remote-port": MET});
    let (flow, figure) = under(&bed, LOSS, &arguments, |placed| {
        let flow = probe.send(PLAN, || ());
        (flow, placed.figure(Quantity::ShareDropped))
    });
    let (again, _) = runs(&flow);
    eprintln!(
        "{arguments}: lost {:.4}, again {again:.3}, {figure}",
        flow.share_lost()
    );
    // Four standard errors.
    assert!((flow.share_lost() - 0.05).abs() < 0.014);
    assert!(again < 0.12, "{again}");
    assert!(
        (figure.achieved - flow.share_lost()).abs() < 1e-9,
        "{figure}"
    );
    assert!((figure.requested.unwrap() - 0.05).abs() < 1e-6, "{figure}");
}

#[test]
fn netem_losses_that_are_correlated_follow_one_another() {
    let Some(bed) = lay() else { return };
    let probe = Probe::new(&bed);
    let arguments = json!({"percent": 50, "correlation": 50, "remote-port": MET});
    let (flow, figure) = under(&bed, LOSS, &arguments, |placed| {
        let flow = probe.send(PLAN, || ());
        (flow, placed.figure(Quantity::ShareDropped))
    });
    let (again, _) = runs(&flow);
    eprintln!(
        "{arguments}: lost {:.4}, again {again:.3}, {figure}",
        flow.share_lost()
    );
    assert!((flow.share_lost() - 0.5).abs() < 0.08);
    assert!(again > flow.share_lost() + 0.05, "{again}");
    assert_eq!(figure.requested, None);
}

#[test]
fn netem_loses_bursts_of_the_length_that_was_asked_for() {
    let Some(bed) = lay() else { return };
    let probe = Probe::new(&bed);
    let arguments = json!({"gilbert-elliott": {"p": 2, "r": 20}, "remote-port": MET});
    let (flow, figure) = under(&bed, LOSS, &arguments, |placed| {
        let flow = probe.send(PLAN, || ());
        (flow, placed.figure(Quantity::ShareDropped))
    });
    let (_, length) = runs(&flow);
    eprintln!(
        "{arguments}: lost {:.4}, bursts of {length:.2}, {figure}",
        flow.share_lost()
    );
    // 2/22 of the packets, in bursts of 100/20; four standard errors.
    assert!((flow.share_lost() - 0.0909).abs() < 0.052);
    assert!((length - 5.0).abs() < 2.1, "{length}");
    assert!(
        (figure.requested.unwrap() - 0.0909).abs() < 1e-3,
        "{figure}"
    );
}

#[test]
fn netem_duplicates_a_share() {
    let Some(bed) = lay() else { return };
    let probe = Probe::new(&bed);
    let arguments = json!({"percent": 10, "remote-port": MET});
    let flow = under(&bed, "switching.duplicate", &arguments, |_| {
        probe.send(PLAN, || ())
    });
    let twice = (flow.arrived() - flow.sent()) as f64 / flow.sent() as f64;
    eprintln!("{arguments}: duplicated {twice:.4}");
    assert!((twice - 0.1).abs() < 0.02);
    assert!(flow.share_lost() == 0.0);
}

#[test]
fn netem_corrupts_a_share_which_checksums_find() {
    let Some(bed) = lay() else { return };
    let probe = Probe::new(&bed);
    let arguments = json!({"percent": 10, "remote-port": MET});
    let wrong = || {
        let read = || std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
        let text = bed.far.within(read);
        let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
        let names = lines.next().unwrap().split_whitespace();
        let figures = lines.next().unwrap().split_whitespace();
        let mut both = names.zip(figures);
        let (_, found) = both.find(|(name, _)| *name == "InCsumErrors").unwrap();
        found.parse::<u64>().unwrap()
    };
    let before = wrong();
    let plan = Plan { size: 600, ..PLAN };
    let flow = under(&bed, "switching.corrupt", &arguments, |_| {
        probe.send(plan, || ())
    });
    let share = (wrong() - before) as f64 / flow.sent() as f64;
    let missing = flow.share_lost();
    eprintln!("{arguments}: wrong checksums {share:.4}, missing {missing:.4}");
    // One bit in 642 bytes; in the 42 of the headers it may be found elsewhere, or by nobody.
    assert!((missing - 0.1).abs() < 0.02);
    assert!(share > 0.075 && share <= missing, "{share}");
}

#[test]
fn netem_lets_a_share_overtake_the_others() {
    let Some(bed) = lay() else { return };
    let probe = Probe::new(&bed);
    let arguments = json!({"percent": 25, "delay": "20ms", "remote-port": MET});
    let plan = Plan {
        packets: 1000,
        gap: Duration::from_millis(2),
        burst: 1,
        ..PLAN
    };
    let flow = under(&bed, "switching.reorder", &arguments, |_| {
        probe.send(plan, || ())
    });
    let times = flow.times();
    let ahead = times.iter().filter(|time| **time < 10.0).count() as f64 / times.len() as f64;
    eprintln!("{arguments}: ahead {ahead:.4}");
    assert!((ahead - 0.25).abs() < 0.055, "{ahead}");
    assert_eq!(flow.arrived(), flow.sent());
}
