//! The README's first command, to its end: the whole story on real processes.

use std::process::Command;

use serde_json::Value;

use super::End;
use crate::workspace;

/// What each drill of the tour shows on a machine that has time for it.
const EXPECTED: [&str; 4] = ["held", "held", "broken", "inconclusive"];

pub(super) fn tour() -> End {
    let output = workspace::cargo(["run", "--release", "--quiet", "--"])
        .args(["demo", "--no-report", "--output", "json"])
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return End::Failed(format!("the demo could not be started: {error}")),
    };
    let Ok(tour) = serde_json::from_slice::<Value>(&output.stdout) else {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return End::Failed(format!(
            "the demo ended with {} and no result: {said}",
            output.status
        ));
    };
    match judge(&tour) {
        Err(why) => End::Failed(why),
        Ok(()) => match left_behind() {
            Some(0) => End::Passed,
            Some(n) => End::Failed(format!("{n} processes of the shop are still there")),
            None => End::Failed("pgrep could not count what the demo left behind".into()),
        },
    }
}

/// A machine that is too slow makes a drill inconclusive, which is no fault; another verdict is.
fn judge(tour: &Value) -> Result<(), String> {
    let drills = tour["drills"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let verdicts: Vec<&str> = drills
        .iter()
        .filter_map(|drill| drill["verdict"].as_str())
        .collect();
    println!("verdicts: {}", verdicts.join(", "));
    let fits = verdicts.len() == EXPECTED.len()
        && verdicts
            .iter()
            .zip(EXPECTED)
            .all(|(got, wanted)| *got == wanted || *got == "inconclusive");
    if !fits {
        return Err(format!(
            "the verdicts are {}: {}",
            verdicts.join(", "),
            tour["drills"]
        ));
    }
    // That it was searched, to whatever end a busy machine allows; the bench says how well.
    let late = &tour["late-payments"];
    match late["trials"].as_u64() {
        Some(trials @ 1..) => println!("{trials} trials of late payments: {}", late["measured-ms"]),
        _ => {
            return Err(format!(
                "how late payments may answer was not searched: {late}"
            ));
        }
    }
    match tour["killed"]["all-run-again-ms"].as_f64() {
        Some(ms) => {
            println!("after SIGKILL of the drill, all ran again in {ms:.1} ms");
            Ok(())
        }
        None => Err("the killed drill's processes did not run again".into()),
    }
}

/// How many processes of a shop there are; nothing where that cannot be told.
fn left_behind() -> Option<usize> {
    let found = Command::new("pgrep")
        .args(["--count", "--full", "firedrill shop "])
        .output()
        .ok()?;
    String::from_utf8(found.stdout).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tour(verdicts: [&str; 4]) -> Value {
        let drills: Vec<Value> = verdicts
            .iter()
            .map(|verdict| json!({"verdict": verdict}))
            .collect();
        json!({"drills": drills, "late-payments": {"trials": 12}, "killed": {"all-run-again-ms": 2.0}})
    }

    #[test]
    fn a_slow_machine_is_no_fault_and_a_wrong_verdict_is() {
        assert!(judge(&tour(EXPECTED)).is_ok());
        assert!(judge(&tour(["inconclusive"; 4])).is_ok());
        assert!(judge(&tour(["held"; 4])).is_err());
        assert!(judge(&json!({})).is_err());
    }

    #[test]
    fn a_fault_that_outlives_its_killed_drill_is_a_failure() {
        let mut stuck = tour(EXPECTED);
        stuck["killed"]["all-run-again-ms"] = Value::Null;
        assert!(judge(&stuck).is_err());
        let mut unasked = tour(EXPECTED);
        unasked["late-payments"]["trials"] = json!(0);
        assert!(judge(&unasked).is_err());
    }
}
