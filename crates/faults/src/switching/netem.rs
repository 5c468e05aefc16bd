//! A worker's shape in the kernel's own terms.

use firedrill_kernel::qdisc::{Correlated, Loss, Netem, NetemRate, Probability, Reorder};
use firedrill_worker::queue::loss::Loss as Model;
use firedrill_worker::queue::netem_table;
use firedrill_worker::queue::random::Share;
use firedrill_worker::queue::shape::Shape;

/// Packets that netem holds at once: a second at 10,000 packets a second.
const LIMIT: u32 = 10_000;

/// The same disturbance, done by `sch_netem` on a link whose packets have so many bytes in front of
/// the network's own header: the worker's queue does not see them, so they are not counted here.
pub(super) fn from_shape(shape: &Shape, seed: u64, header_bytes: u16) -> Netem {
    Netem {
        delay_ns: nanoseconds(shape.delay),
        jitter_ns: nanoseconds(shape.jitter),
        delay_correlation: probability(shape.delay_correlation),
        loss: shape.loss.as_ref().map(loss),
        duplicate: correlated(shape.duplicate),
        corrupt: correlated(shape.corrupt),
        reorder: shape.reorder.map(|reorder| Reorder {
            probability: probability(reorder.share.share),
            correlation: probability(reorder.share.correlation),
            gap: reorder.gap.max(1),
        }),
        rate: shape.rate.map(|rate| NetemRate {
            bytes_per_second: rate.bytes_per_second,
            packet_overhead: rate.packet_overhead - i32::from(header_bytes),
            cell_size: 0,
            cell_overhead: 0,
        }),
        limit: LIMIT,
        distribution: netem_table(shape.distribution),
        seed: Some(seed),
    }
}

fn loss(model: &Model) -> Loss {
    match *model {
        Model::Random(share) => Loss::Random(correlated(share)),
        Model::GilbertElliott {
            p,
            r,
            bad_loss,
            good_loss,
        } => Loss::GilbertElliott {
            good_to_bad: probability(p),
            bad_to_good: probability(r),
            loss_when_bad: probability(bad_loss),
            loss_when_good: probability(good_loss),
        },
        Model::Markov {
            p13,
            p31,
            p32,
            p23,
            p14,
        } => Loss::FourState {
            p13: probability(p13),
            p31: probability(p31),
            p32: probability(p32),
            p14: probability(p14),
            p23: probability(p23),
        },
    }
}

fn correlated(share: Share) -> Correlated {
    Correlated {
        probability: probability(share.share),
        correlation: probability(share.correlation),
    }
}

/// Shapes are validated before: a share outside of 0 to 1 does not come here.
fn probability(share: f64) -> Probability {
    Probability::from_fraction(share.clamp(0.0, 1.0)).unwrap_or(Probability::NEVER)
}

fn nanoseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
