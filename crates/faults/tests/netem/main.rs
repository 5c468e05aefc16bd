//! The switching faults by netem, on a kernel that has it: what they do to packets as an independent
//! prober sees it, what they leave alone, and their undo. Skipped by name, with the reason, where
//! netem is missing; `cargo xtask test --only netem` runs them in a virtual machine.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: a failure is a panic, and a skip or a figure is said"
)]

#[path = "../switching/bed.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod bed;
#[path = "../switching/choices.rs"]
mod choices;
mod deaths;
mod delays;
#[path = "../switching/drill.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod drill;
mod filters;
#[path = "../switching/probe.rs"]
mod probe;
mod rates;
mod shares;
mod standing;

use firedrill_kernel::link;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::qdisc::{self, Configuration};
use firedrill_undo::Mechanism;
use serde_json::Value;

use bed::Bed;
use drill::{Drill, Placed};

/// `None`, and said, where netem is missing.
fn lay() -> Option<Bed> {
    if let Err(error) = qdisc::netem_usable() {
        eprintln!("skipped: {error}");
        return None;
    }
    Bed::lay()
}

/// What the interface of `near` does to packets.
fn configuration(bed: &Bed) -> Configuration {
    bed.near.within(|| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let link = link::by_name(&mut socket, "near0").unwrap().unwrap();
        Configuration::of(&mut socket, link.index).unwrap()
    })
}

/// A fault by netem in place while something is measured; afterwards all is as before.
fn under<T>(bed: &Bed, fault: &str, arguments: &Value, measure: impl FnOnce(&Placed) -> T) -> T {
    let rules = || bed.near.run("nft", &["list", "ruleset"]);
    let before = (configuration(bed), rules());
    let placed = place(bed, fault, arguments);
    let measured = measure(&placed);
    placed.revert();
    assert_eq!((configuration(bed), rules()), before);
    measured
}

fn place(bed: &Bed, fault: &str, arguments: &Value) -> Placed {
    let mut arguments = arguments.clone();
    arguments["mechanism"] = "netem".into();
    let placed = Drill::begin().apply(fault, &arguments, &[bed.near.target()]);
    let mechanisms = &placed.applied.mechanisms;
    assert!(mechanisms.contains(&Mechanism::Netem), "{mechanisms:?}");
    placed
}

/// Whether the clock counts instructions, so that it does not see how busy the host is.
fn in_virtual_time() -> bool {
    std::env::var_os("FIREDRILL_VIRTUAL_TIME").is_some()
}
