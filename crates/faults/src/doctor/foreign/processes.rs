//! Processes that disturb, and processes that are told a wrong time.

use firedrill_kernel::process;

use super::Left;

/// Names as the kernel cuts them, to 15 bytes; a name may go on.
const NAMES: [(&str, &str); 15] = [
    ("stress-ng", "stress-ng"),
    ("stress", "stress"),
    ("chaos_burncpu", "ChaosBlade"),
    ("chaos_burnmem", "ChaosBlade"),
    ("chaos_burnio", "ChaosBlade"),
    ("chaos_filldisk", "ChaosBlade"),
    ("chaos_changedns", "ChaosBlade"),
    ("chaos_os", "ChaosBlade"),
    ("chaosd", "chaosd"),
    ("chaos-daemon", "Chaos Mesh"),
    ("memStress", "Chaos Mesh"),
    ("toxiproxy-serve", "Toxiproxy"),
    ("pumba", "Pumba"),
    ("gremlind", "Gremlin"),
    ("comcast", "Comcast"),
];

pub(super) fn left() -> Vec<Left> {
    let mut left = Vec::new();
    for pid in process::list().unwrap_or_default() {
        let Ok(Some(stat)) = process::stat(pid) else {
            continue;
        };
        if stat.is_kernel_thread() || stat.is_gone() {
            continue;
        }
        if let Some(by) = tool(&stat.comm) {
            let what = format!("process {pid} ({})", stat.comm);
            left.push(Left::new(what, Some(by), "its tool ends it, or `kill`"));
        }
        // Of other users' processes only root can read it.
        let environment = process::environment(pid).ok().flatten().unwrap_or_default();
        if environment.iter().any(|variable| is_faketime(variable)) {
            let what = format!(
                "process {pid} ({}) is told another time than it is",
                stat.comm
            );
            let advice = "start it again without LD_PRELOAD";
            left.push(Left::new(what, Some("libfaketime"), advice));
        }
    }
    left
}

fn tool(comm: &str) -> Option<&'static str> {
    let known = |(name, _): &&(&str, &str)| {
        comm == *name
            || comm
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('-'))
    };
    NAMES.iter().find(known).map(|(_, tool)| *tool)
}

fn is_faketime(variable: &str) -> bool {
    variable
        .strip_prefix("LD_PRELOAD=")
        .is_some_and(|libraries| libraries.contains("faketime"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn names_are_known_whole_or_with_what_a_tool_adds() {
        assert_eq!(tool("stress-ng"), Some("stress-ng"));
        assert_eq!(tool("stress-ng-cpu"), Some("stress-ng"));
        assert_eq!(tool("chaos_burncpu"), Some("ChaosBlade"));
        assert_eq!(tool("stressed"), None);
        assert_eq!(tool("chaosmonger"), None);
    }

    #[test]
    fn a_preloaded_wrong_time_is_seen_in_the_environment() {
        let mut child = Command::new("sleep")
            .arg("30")
            .env("LD_PRELOAD", "/nowhere/libfaketime.so.1")
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let pid = format!("process {} ", child.id());
        let seen = left().into_iter().find(|left| left.what.starts_with(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen.unwrap().by, Some("libfaketime"));
    }
}
