//! The one table from facts to a verdict (design, section 6; the manual prints it).

use firedrill_experiment::journal::{Effect, Outcome, Phase, Verdict};

/// What the drill itself knows at its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The hypothesis or a KPI was not well before anything was broken.
    pub gate_failed: Option<String>,
    /// The baseline could not tell.
    pub gate_undecided: Option<String>,
    /// Stopped from outside.
    pub stopped: Option<String>,
    pub guardrail: Option<String>,
    /// A KPI's sensor could not be believed, so the drill stopped; the evidence has it, too.
    pub blind: Option<String>,
    /// The budget of bad events was spent, or harm was proven while watching.
    pub harm: bool,
    pub aborted: Option<String>,
    /// An activity marked `on-failure: fail` failed.
    pub fatal_failure: Option<String>,
    pub failed_actions: Vec<String>,
    pub during_failed: Option<String>,
    /// A check during the method, outside the transition, found the hypothesis met.
    pub during_met: bool,
    pub after_failed: Option<String>,
    /// As `after_failed`, where the document allows a time to recover, and the time is over.
    pub not_recovered: Option<String>,
    pub after_met: bool,
    /// `after_met`, within the time that the document allows for a recovery.
    pub back_in_time: bool,
    /// Nothing was really run.
    pub dry: bool,
    /// Why nothing was begun.
    pub refusals: Vec<String>,
}

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    pub findings: Vec<Finding>,
    /// The KPI or hypothesis that did not come back in time.
    pub not_recovered: Option<String>,
    pub faults: Vec<FaultEvidence>,
    /// Actions of the method whose effect only their author can know.
    pub opaque_actions: usize,
    /// A sensor or the generator that lagged or broke.
    pub trouble: Vec<String>,
    /// What spent the budget or proved harm.
    pub harm: Option<String>,
}

/// One KPI in one phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub phase: Phase,
    pub kpi: String,
    pub outcome: Outcome,
    pub sentences: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultEvidence {
    pub name: String,
    pub refused: Option<String>,
    pub observed: bool,
    /// Requests that met the target; absent where nobody counted.
    pub exposure: Option<u64>,
    /// The document says where to count, and the count could not be read.
    pub exposure_unread: bool,
    pub residue: Vec<String>,
}

/// The verdict, and why, in sentences; the first is the headline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    pub verdict: Verdict,
    pub effect: Option<Effect>,
    pub reasons: Vec<String>,
}

/// Rules. The first row that applies wins.
pub fn rule(facts: &Facts, evidence: &Evidence, strict: bool) -> Ruling {
    let effect = effect(evidence);
    let rows = [
        own_error(facts, evidence),
        outside(facts),
        before(facts),
        refused(facts, evidence),
        guardrail(facts),
        broken(facts, evidence),
        not_recovered(facts, evidence),
        inconclusive(facts, evidence, effect, strict),
    ];
    let (verdict, reasons) = rows
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_else(|| (Verdict::Held, held(facts, evidence, effect)));
    Ruling {
        verdict,
        effect,
        reasons,
    }
}

type Row = Option<(Verdict, Vec<String>)>;

fn own_error(facts: &Facts, evidence: &Evidence) -> Row {
    let mut reasons: Vec<String> = facts
        .aborted
        .iter()
        .map(|why| format!("The drill aborted: {why}."))
        .collect();
    reasons.extend(
        facts
            .fatal_failure
            .iter()
            .map(|why| format!("An activity that must succeed did not: {why}.")),
    );
    for fault in &evidence.faults {
        reasons.extend(
            fault
                .residue
                .iter()
                .map(|what| format!("`{}` left residue: {what}.", fault.name)),
        );
    }
    (!reasons.is_empty()).then_some((Verdict::Failed, reasons))
}

fn outside(facts: &Facts) -> Row {
    let why = facts.stopped.as_ref()?;
    Some((
        Verdict::Halted,
        vec![format!("The drill was halted: {why}.")],
    ))
}

fn before(facts: &Facts) -> Row {
    if let Some(why) = &facts.gate_failed {
        let reason =
            format!("The system was not well before the drill, so nothing was broken: {why}.");
        return Some((Verdict::UnhealthyBefore, vec![reason]));
    }
    let why = facts.gate_undecided.as_ref()?;
    let reason = format!(
        "The baseline could not tell whether the system is well, so nothing was broken: {why}"
    );
    Some((Verdict::Inconclusive, vec![reason]))
}

fn refused(facts: &Facts, evidence: &Evidence) -> Row {
    let mut reasons = facts.refusals.clone();
    reasons.extend(evidence.faults.iter().filter_map(|fault| {
        Some(format!(
            "`{}` was refused: {}",
            fault.name,
            fault.refused.as_ref()?
        ))
    }));
    (!reasons.is_empty()).then_some((Verdict::Refused, reasons))
}

fn guardrail(facts: &Facts) -> Row {
    let why = facts.guardrail.as_ref()?;
    Some((
        Verdict::Halted,
        vec![format!(
            "The drill stopped itself and undid its faults: {why}."
        )],
    ))
}

fn broken(facts: &Facts, evidence: &Evidence) -> Row {
    let mut reasons = Vec::new();
    if facts.harm {
        reasons.extend(evidence.harm.clone());
    }
    for finding in evidence
        .findings
        .iter()
        .filter(|f| f.outcome == Outcome::Missed)
    {
        let phase = phase_name(finding.phase);
        reasons.extend(
            finding
                .sentences
                .iter()
                .map(|text| format!("`{}` {phase}: {text}", finding.kpi)),
        );
    }
    reasons.extend(
        facts
            .during_failed
            .iter()
            .map(|why| format!("During the method, {why}.")),
    );
    reasons.extend(
        facts
            .after_failed
            .iter()
            .map(|why| format!("After the method, {why}.")),
    );
    (!reasons.is_empty()).then_some((Verdict::Broken, reasons))
}

fn not_recovered(facts: &Facts, evidence: &Evidence) -> Row {
    let hypothesis = facts
        .not_recovered
        .as_ref()
        .map(|why| format!("After the time allowed to recover, {why}."));
    let reasons: Vec<String> = evidence
        .not_recovered
        .clone()
        .into_iter()
        .chain(hypothesis)
        .collect();
    (!reasons.is_empty()).then_some((Verdict::NotRecovered, reasons))
}

fn inconclusive(facts: &Facts, evidence: &Evidence, effect: Option<Effect>, strict: bool) -> Row {
    let mut reasons = Vec::new();
    if facts.dry {
        reasons.push("This was a dry run: nothing was broken, so nothing is proven.".to_owned());
    }
    for fault in &evidence.faults {
        if !fault.observed {
            reasons.push(format!(
                "`{}` had no measured effect on its target.",
                fault.name
            ));
        } else if fault.exposure_unread {
            reasons.push(format!(
                "The traffic that met `{}` could not be counted.",
                fault.name
            ));
        } else if fault.exposure == Some(0) {
            reasons.push(format!(
                "`{}` was in place, and not one request met it: the system was not tested.",
                fault.name
            ));
        }
    }
    reasons.extend(
        facts.failed_actions.iter().map(|what| {
            format!("An action failed, so what it should have broken was not: {what}.")
        }),
    );
    if facts.blind.is_some() {
        let text =
            "Nobody could see how the system was, so the drill stopped and undid its faults.";
        reasons.push(text.into());
    }
    reasons.extend(evidence.trouble.iter().cloned());
    for finding in evidence
        .findings
        .iter()
        .filter(|f| f.outcome == Outcome::Undecided)
    {
        let phase = phase_name(finding.phase);
        reasons.extend(
            finding
                .sentences
                .iter()
                .map(|text| format!("`{}` {phase}: {text}", finding.kpi)),
        );
    }
    let judged = facts.after_met
        || evidence
            .findings
            .iter()
            .any(|finding| finding.phase != Phase::Baseline);
    if !judged && reasons.is_empty() {
        reasons.push("Nothing was judged after the method: without a hypothesis or a KPI there is nothing to hold.".into());
    }
    let under_fault = is_judged_under_fault(facts, evidence);
    if evidence.faults.iter().any(|fault| fault.observed)
        && !under_fault
        && !facts.back_in_time
        && reasons.is_empty()
    {
        reasons.push(
            "Nothing was judged while the fault was in place: give the document a KPI, or check the hypothesis during the method (`--hypothesis-strategy continuously`).".into(),
        );
    }
    if strict && effect != Some(Effect::Observed) && reasons.is_empty() {
        reasons.push("The effect was not observed, and `--strict` asks for it.".into());
    }
    (!reasons.is_empty()).then_some((Verdict::Inconclusive, reasons))
}

fn held(facts: &Facts, evidence: &Evidence, effect: Option<Effect>) -> Vec<String> {
    let mut reasons = vec![match effect {
        Some(Effect::Observed) if !is_judged_under_fault(facts, evidence) => {
            "The system was well again in time; how it was while the fault was in place was not judged.".to_owned()
        }
        Some(Effect::Observed) => {
            "The expectation was met in every phase, with the fault's effect measured.".to_owned()
        }
        Some(Effect::Unobserved) => format!(
            "The expectation was met; whether the {} in the method had an effect is not known.",
            if evidence.opaque_actions == 1 {
                "action"
            } else {
                "actions"
            }
        ),
        None => "The hypothesis held; the method broke nothing.".to_owned(),
    }];
    for finding in &evidence.findings {
        let phase = phase_name(finding.phase);
        reasons.extend(
            finding
                .sentences
                .iter()
                .map(|text| format!("`{}` {phase}: {text}", finding.kpi)),
        );
    }
    reasons
}

fn is_judged_under_fault(facts: &Facts, evidence: &Evidence) -> bool {
    facts.during_met
        || evidence
            .findings
            .iter()
            .any(|finding| finding.phase == Phase::Fault)
}

/// `None`: nothing was done that could have an effect.
fn effect(evidence: &Evidence) -> Option<Effect> {
    if evidence.opaque_actions > 0 {
        return Some(Effect::Unobserved);
    }
    if evidence.faults.is_empty() {
        return None;
    }
    let seen = evidence
        .faults
        .iter()
        .all(|fault| fault.observed && fault.exposure != Some(0));
    Some(if seen {
        Effect::Observed
    } else {
        Effect::Unobserved
    })
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Baseline => "in the baseline",
        Phase::Transition => "in the transition",
        Phase::Fault => "under the fault",
        Phase::Recovery => "in the recovery",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> FaultEvidence {
        FaultEvidence {
            name: "pause".into(),
            refused: None,
            observed: true,
            exposure: Some(12),
            exposure_unread: false,
            residue: Vec::new(),
        }
    }

    fn finding(phase: Phase, outcome: Outcome) -> Finding {
        Finding {
            phase,
            kpi: "checkout".into(),
            outcome,
            sentences: vec!["Numbers.".into()],
        }
    }

    fn evidence() -> Evidence {
        Evidence {
            findings: vec![finding(Phase::Fault, Outcome::Met)],
            faults: vec![fault()],
            ..Evidence::default()
        }
    }

    #[test]
    fn a_fault_that_was_felt_and_survived_is_held_with_its_effect_observed() {
        let ruling = rule(&Facts::default(), &evidence(), true);
        assert_eq!(
            (ruling.verdict, ruling.effect),
            (Verdict::Held, Some(Effect::Observed))
        );
    }

    #[test]
    fn a_fault_that_no_request_met_is_never_held() {
        let mut evidence = evidence();
        evidence.faults[0].exposure = Some(0);
        assert_eq!(
            rule(&Facts::default(), &evidence, false).verdict,
            Verdict::Inconclusive
        );
    }

    #[test]
    fn a_fault_without_measured_effect_is_never_held() {
        let mut evidence = evidence();
        evidence.faults[0].observed = false;
        assert_eq!(
            rule(&Facts::default(), &evidence, false).verdict,
            Verdict::Inconclusive
        );
    }

    #[test]
    fn an_opaque_action_is_held_unobserved_unless_strict() {
        let facts = Facts {
            after_met: true,
            ..Facts::default()
        };
        let evidence = Evidence {
            opaque_actions: 1,
            ..Evidence::default()
        };
        let lenient = rule(&facts, &evidence, false);
        assert_eq!(
            (lenient.verdict, lenient.effect),
            (Verdict::Held, Some(Effect::Unobserved))
        );
        assert_eq!(rule(&facts, &evidence, true).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_missed_phase_is_broken_even_if_another_is_undecided() {
        let mut evidence = evidence();
        evidence
            .findings
            .push(finding(Phase::Transition, Outcome::Undecided));
        evidence
            .findings
            .push(finding(Phase::Fault, Outcome::Missed));
        assert_eq!(
            rule(&Facts::default(), &evidence, false).verdict,
            Verdict::Broken
        );
    }

    #[test]
    fn residue_is_our_failure_whatever_the_system_did() {
        let mut evidence = evidence();
        evidence.faults[0]
            .residue
            .push("process 7 is still stopped".into());
        assert_eq!(
            rule(&Facts::default(), &evidence, false).verdict,
            Verdict::Failed
        );
    }

    #[test]
    fn a_fault_under_which_nothing_was_judged_is_never_held() {
        let facts = Facts {
            after_met: true,
            ..Facts::default()
        };
        let evidence = Evidence {
            faults: vec![fault()],
            ..Evidence::default()
        };
        assert_eq!(
            rule(&facts, &evidence, false).verdict,
            Verdict::Inconclusive
        );
        let facts = Facts {
            during_met: true,
            ..facts
        };
        assert_eq!(rule(&facts, &evidence, false).verdict, Verdict::Held);
    }

    #[test]
    fn a_drill_that_nobody_could_see_is_inconclusive_unless_it_is_proven_broken() {
        let facts = Facts {
            blind: Some("`checkout`: the sensor is stuck".into()),
            ..Facts::default()
        };
        let mut evidence = evidence();
        evidence.trouble = vec!["`checkout` could not be watched to the end".into()];
        let ruling = rule(&facts, &evidence, false);
        assert_eq!(ruling.verdict, Verdict::Inconclusive);
        assert_eq!(ruling.reasons.len(), 2, "{ruling:?}");
        let missed = finding(Phase::Transition, Outcome::Missed);
        evidence.findings.push(missed);
        assert_eq!(rule(&facts, &evidence, false).verdict, Verdict::Broken);
    }

    #[test]
    fn nothing_judged_is_nothing_held() {
        let ruling = rule(&Facts::default(), &Evidence::default(), false);
        assert_eq!(ruling.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn what_broke_and_did_not_come_back_is_broken() {
        let mut evidence = evidence();
        evidence.not_recovered = Some("late".into());
        assert_eq!(
            rule(&Facts::default(), &evidence, false).verdict,
            Verdict::NotRecovered
        );
        evidence
            .findings
            .push(finding(Phase::Fault, Outcome::Missed));
        assert_eq!(
            rule(&Facts::default(), &evidence, false).verdict,
            Verdict::Broken
        );
    }
}
