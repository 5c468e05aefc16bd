//! The capabilities that something of ours takes, and for what.

use firedrill_kernel::{Capabilities, Capability};

use super::{Check, Subject, chain};

const NEEDED: [(Capability, &str, &str); 8] = [
    (
        Capability::NetAdmin,
        "CAP_NET_ADMIN",
        "rules, disciplines and queues in network namespaces",
    ),
    (
        Capability::SysAdmin,
        "CAP_SYS_ADMIN",
        "entering network namespaces, and trying things in one of our own",
    ),
    (Capability::SysTime, "CAP_SYS_TIME", "clock-skew"),
    (
        Capability::SysResource,
        "CAP_SYS_RESOURCE",
        "filling descriptors and tasks beyond the limits of this user, and sparing the guardian from the OOM killer",
    ),
    (
        Capability::SysPtrace,
        "CAP_SYS_PTRACE",
        "finding the network namespace of other users' processes",
    ),
    (
        Capability::SysNice,
        "CAP_SYS_NICE",
        "the guardian's real-time priority",
    ),
    (
        Capability::DacOverride,
        "CAP_DAC_OVERRIDE",
        "writing to cgroups and directories of other users",
    ),
    (
        Capability::SysBoot,
        "CAP_SYS_BOOT",
        "host-reboot and host-shutdown",
    ),
];

pub(super) fn capabilities() -> Vec<Check> {
    let effective = match Capabilities::effective() {
        Ok(effective) => effective,
        Err(error) => {
            let why = chain(&error);
            return vec![Check::unusable(
                Subject::Privileges,
                "capabilities",
                why,
                None,
            )];
        }
    };
    let check = |(capability, name, purpose): &(Capability, &'static str, &str)| {
        let outcome = if effective.have(*capability) {
            Ok(*purpose)
        } else {
            Err(format!("missing: {purpose}"))
        };
        let fix = "run as root, or give it: setpriv, systemd's AmbientCapabilities=, or setcap";
        Check::of(Subject::Privileges, name, outcome, fix)
    };
    NEEDED.iter().map(check).collect()
}
