use firedrill_experiment::journal::Verdict;
use firedrill_report::{json, junit, markdown};

use crate::sample;

#[test]
fn markdown_of_one_drill() {
    insta::assert_snapshot!(markdown(&[sample::held()]));
}

#[test]
fn markdown_of_several_drills_begins_with_all_of_them() {
    let text = markdown(&[sample::broken(), sample::inconclusive(), sample::plain()]);
    insta::assert_snapshot!(text);
}

#[test]
fn json_counts_verdicts_and_has_a_row_each() {
    let value = json(&[
        sample::held(),
        sample::broken(),
        sample::held(),
        sample::plain(),
    ]);
    insta::assert_json_snapshot!(value);
}

#[test]
fn junit_has_a_case_for_each_drill() {
    let several = [
        sample::held(),
        sample::broken(),
        sample::inconclusive(),
        sample::plain(),
    ];
    insta::assert_snapshot!(junit(&several).unwrap());
}

#[test]
fn every_verdict_has_its_place_in_junit() {
    for (verdict, element) in [
        (Verdict::Held, None),
        (Verdict::Broken, Some("<failure")),
        (Verdict::NotRecovered, Some("<failure")),
        (Verdict::Inconclusive, Some("<error")),
        (Verdict::Halted, Some("<error")),
        (Verdict::Failed, Some("<error")),
        (Verdict::UnhealthyBefore, Some("<skipped")),
        (Verdict::Refused, Some("<skipped")),
    ] {
        let mut journal = sample::held();
        journal.firedrill.as_mut().unwrap().verdict = verdict;
        let xml = junit(&[journal]).unwrap();
        let found = ["<failure", "<error", "<skipped"]
            .into_iter()
            .find(|e| xml.contains(e));
        assert_eq!(found, element, "{verdict:?}: {xml}");
    }
}
