use firedrill_kernel::qdisc::{Discipline, Loss, Statistics};

use crate::{Measurement, Quantity};

/// The share that a discipline dropped of what was led into it, beside what was asked of netem.
///
/// The kernel keeps no times of packets, so that a delay is not told here.
pub(super) fn share(discipline: &Discipline, now: Statistics) -> Option<Measurement> {
    let loss = match discipline {
        Discipline::Netem(netem) => netem.loss.as_ref(),
        Discipline::Tbf(_) | Discipline::Pfifo { .. } => None,
    };
    let dropped = u64::from(now.drops);
    if dropped == 0 && loss.is_none() {
        return None;
    }
    let seen = dropped + now.packets + u64::from(now.backlog_packets);
    let asked = loss.and_then(expected);
    Measurement::share(Quantity::ShareDropped, asked, dropped, seen)
}

/// In the long run; `None` where there is no closed form: correlated, or of four states.
fn expected(loss: &Loss) -> Option<f64> {
    match loss {
        Loss::Random(random) => (random.correlation.0 == 0).then(|| random.probability.fraction()),
        Loss::GilbertElliott {
            good_to_bad,
            bad_to_good,
            loss_when_bad,
            loss_when_good,
        } => {
            let (p, r) = (good_to_bad.fraction(), bad_to_good.fraction());
            let bad = if p + r > 0.0 { p / (p + r) } else { 0.0 };
            Some(bad * loss_when_bad.fraction() + (1.0 - bad) * loss_when_good.fraction())
        }
        Loss::FourState { .. } => None,
    }
}
