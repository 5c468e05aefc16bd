use std::time::Duration;

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
    let flow = under(&bed, "switching.bandwidth", &arguments, |placed| {
        probe.send(plan, || placed.renew())
    });
    let seen = flow.packets_per_second() * (size as f64 + HEADERS);
    eprintln!("{arguments} of {size} bytes: {seen:.0} bytes/s");
    assert_eq!(flow.arrived(), flow.sent());
    assert!(seen < rate * 1.03, "{seen}");
    // On a busy host, the sender may leave the link idle.
    if in_virtual_time() {
        assert!(seen > rate * 0.97, "{seen}");
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
