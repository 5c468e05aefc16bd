use std::time::Duration;

use firedrill_undo::Quantity;
use serde_json::json;

use crate::probe::{MET, Plan, Probe};
use crate::{in_virtual_time, lay, under};

/// The headers of UDP and IPv4, which count; that of Ethernet does not.
const HEADERS: f64 = 28.0;

fn rate_is_held(size: usize, kib: u32, packets: u64) {
    let rate = f64::from(kib) * 1024.0;
    let Some(bed) = lay() else { return };
    let probe = Probe::new(&bed);
    let arguments = json!({"rate": format!("{kib}KiB"), "remote-port": MET});
    let plan = Plan {
        packets,
        size,
        gap: Duration::ZERO,
        burst: 1,
        paired: false,
    };
    let (flow, figure) = under(&bed, "switching.bandwidth", &arguments, |placed| {
        let flow = probe.send(plan, || placed.renew());
        (flow, placed.figure(Quantity::BytesPerSecond))
    });
    let seen = flow.packets_per_second() * (size as f64 + HEADERS);
    eprintln!("{arguments} of {size} bytes: {seen:.0} bytes/s, observed {figure}");
    assert_eq!(flow.arrived(), flow.sent());
    assert_eq!(figure.requested, Some(rate));
    assert!(seen < rate * 1.03, "{seen}");
    assert!(figure.achieved < rate * 1.03, "{figure}");
    // On a busy host, the sender may leave the link idle.
    if in_virtual_time() {
        assert!(seen > rate * 0.97, "{seen}");
        assert!(figure.achieved > rate * 0.97, "{figure}");
    }
}

#[test]
fn netem_holds_a_rate_with_large_packets() {
    rate_is_held(1000, 1024, 2000);
}

#[test]
fn netem_holds_a_rate_with_small_packets() {
    rate_is_held(100, 128, 2000);
}
