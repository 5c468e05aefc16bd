//! Clocks that can be moved, and who would move them back.

use std::path::Path;

use firedrill_kernel::{Capability, realtime};

use super::{Check, Subject, chain};

pub(super) fn clocks() -> Vec<Check> {
    vec![clock_adjtime(), time_daemons(), time_namespaces()]
}

/// Read only: writing even the present rate would be a change for a daemon that watches.
fn clock_adjtime() -> Check {
    let outcome = match realtime::discipline() {
        Err(error) => Err(chain(&error)),
        Ok(_) if Capability::SysTime.is_missing() => Err("CAP_SYS_TIME is missing".to_owned()),
        Ok(_) => Ok("the clock can be read, and this command has CAP_SYS_TIME"),
    };
    let fix = "run as root, on the host or in a container with CAP_SYS_TIME";
    Check::of(Subject::Time, "clock_adjtime", outcome, fix)
}

fn time_daemons() -> Check {
    let name = "nobody keeps the time";
    let outcome = match realtime::ntp_daemons() {
        Err(error) => Err(chain(&error)),
        Ok(daemons) if daemons.is_empty() => Ok("no NTP daemon runs"),
        Ok(daemons) => {
            let named = daemons
                .iter()
                .map(|found| format!("{} ({})", found.name, found.process.pid));
            let list: Vec<String> = named.collect();
            Err(format!(
                "{} would take a shift of the clock back",
                list.join(", ")
            ))
        }
    };
    let fix = "stop it for the drill; the fault is refused while it runs, unless told to stop it";
    Check::of(Subject::Time, name, outcome, fix)
}

fn time_namespaces() -> Check {
    let outcome = if !Path::new("/proc/self/ns/time").exists() {
        Err("this kernel has none".to_owned())
    } else if Capability::SysAdmin.is_missing() {
        Err("CAP_SYS_ADMIN is missing".to_owned())
    } else {
        Ok(
            "this kernel has them; they move CLOCK_MONOTONIC and CLOCK_BOOTTIME, never the time of day",
        )
    };
    let fix = "Linux 5.6 or newer with CONFIG_TIME_NS, and root";
    Check::of(Subject::Time, "time namespaces", outcome, fix)
}
