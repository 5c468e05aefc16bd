//! Several KPIs at once: which claims may be made together.
//!
//! [`bonferroni`] keeps the chance of any false claim at `alpha`, at every look, under any
//! dependence: a claim needs evidence `K/alpha` among `K` KPIs, or `1/(alpha w)` with weights
//! `w` that sum to 1. [`benjamini_hochberg`] keeps the expected share of false ones among the
//! claims at `alpha`, under any dependence, and finds more: with e-values in falling order it
//! claims the first `k`, for the largest `k` with `k e₍ₖ₎ >= K/alpha` (e-BH: Wang & Ramdas,
//! "False discovery rate control with e-values", JRSS B 84, 2022). Its e-values are those of
//! one moment, at which one stops; the strongest ones so far would not do.

use crate::evidence::Evidence;
use crate::level::Alpha;

/// For each KPI whether its claim may be made. All evidence may be the strongest so far.
#[must_use]
pub fn bonferroni(evidence: &[Evidence], alpha: Alpha) -> Vec<bool> {
    let bar = alpha.bar() + (evidence.len() as f64).ln();
    evidence.iter().map(|e| e.ln() >= bar).collect()
}

/// As [`bonferroni`], with a share of `alpha` for each KPI by weight. Weights that are
/// negative or not finite count as 0, and a KPI of weight 0 is never claimed.
#[must_use]
pub fn weighted_bonferroni(kpis: &[(Evidence, f64)], alpha: Alpha) -> Vec<bool> {
    let usable = |w: f64| if w.is_finite() { w.max(0.0) } else { 0.0 };
    let largest = kpis.iter().map(|(_, w)| usable(*w)).fold(0.0, f64::max);
    if largest <= 0.0 {
        return vec![false; kpis.len()];
    }
    // Scaled first: the sum of huge weights may be infinite.
    let sum: f64 = kpis.iter().map(|(_, w)| usable(*w) / largest).sum();
    let claim = |(evidence, weight): &(Evidence, f64)| {
        let share = usable(*weight) / largest / sum;
        share > 0.0 && evidence.ln() >= alpha.bar() - share.ln()
    };
    kpis.iter().map(claim).collect()
}

/// For each KPI whether its claim may be made, at the moment of these e-values.
#[must_use]
pub fn benjamini_hochberg(evidence: &[Evidence], alpha: Alpha) -> Vec<bool> {
    let mut falling: Vec<f64> = evidence.iter().map(|e| e.ln()).collect();
    falling.sort_by(|a, b| b.total_cmp(a));
    let bar = alpha.bar() + (evidence.len() as f64).ln();
    let reaches = |(at, ln): &(usize, &f64)| **ln + ((at + 1) as f64).ln() >= bar;
    let last = falling.iter().enumerate().rfind(reaches);
    let least = last.map_or(f64::INFINITY, |(_, ln)| *ln);
    evidence
        .iter()
        .map(|e| last.is_some() && e.ln() >= least)
        .collect()
}

/// The evidence of all together against "nothing differs anywhere": their mean, an e-value
/// under any dependence (Vovk & Wang 2021). No evidence for no KPIs.
#[must_use]
pub fn mean(evidence: &[Evidence]) -> Evidence {
    let Some(strongest) = evidence.iter().map(|e| e.ln()).reduce(f64::max) else {
        return Evidence::NONE;
    };
    if strongest.is_infinite() {
        return Evidence::from_ln(strongest);
    }
    let sum: f64 = evidence.iter().map(|e| (e.ln() - strongest).exp()).sum();
    Evidence::from_ln(strongest + (sum / evidence.len() as f64).ln())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evidence(e_values: &[f64]) -> Vec<Evidence> {
        e_values.iter().map(|e| Evidence::from_ln(e.ln())).collect()
    }

    #[test]
    fn four_kpis_need_four_times_the_evidence_and_e_bh_takes_more() {
        let kpis = evidence(&[100.0, 50.0, 30.0, 1.0]);
        let alpha = Alpha::FIVE_PERCENT;
        // Bonferroni wants 80; e-BH wants 80, 40, 26.7, 20.
        assert_eq!(bonferroni(&kpis, alpha), [true, false, false, false]);
        assert_eq!(benjamini_hochberg(&kpis, alpha), [true, true, true, false]);
        let weighted: Vec<_> = kpis
            .iter()
            .copied()
            .zip([0.0, 1.0, 3.0, f64::NAN])
            .collect();
        assert_eq!(
            weighted_bonferroni(&weighted, alpha),
            [false, false, true, false]
        );
        assert!((mean(&kpis).ln().exp() - 181.0 / 4.0).abs() < 1e-9);
    }

    #[test]
    fn no_kpis_and_no_weights_make_no_claims() {
        assert!(bonferroni(&[], Alpha::FIVE_PERCENT).is_empty());
        assert!(benjamini_hochberg(&[], Alpha::FIVE_PERCENT).is_empty());
        assert_eq!(mean(&[]), Evidence::NONE);
        let none = [(Evidence::from_ln(1e9), 0.0)];
        assert_eq!(weighted_bonferroni(&none, Alpha::FIVE_PERCENT), [false]);
    }

    proptest! {
        #[test]
        fn e_bh_claims_whatever_bonferroni_claims(
            lns in prop::collection::vec(prop::num::f64::ANY, 0..30), alpha in 1e-6_f64..0.5,
        ) {
            let alpha = Alpha::new(alpha).unwrap();
            let kpis: Vec<_> = lns.iter().map(|ln| Evidence::from_ln(*ln)).collect();
            let (strict, loose) = (bonferroni(&kpis, alpha), benjamini_hochberg(&kpis, alpha));
            for ((strict, loose), kpi) in strict.iter().zip(&loose).zip(&kpis) {
                prop_assert!(!strict || *loose);
                prop_assert!(!loose || kpi.is_proof(alpha));
            }
            prop_assert!(!mean(&kpis).ln().is_nan());
        }
    }
}
