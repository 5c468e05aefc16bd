//! How a delay is spread around its mean: netem's distributions, computed.

use serde::{Deserialize, Serialize};

use super::random::{Correlated, Random};

/// Entries in a table, as in those of iproute2.
pub const TABLE_SIZE: usize = 4096;
/// `NETEM_DIST_SCALE` of linux/pkt_sched.h: this entry is one jitter away from the mean.
pub const TABLE_SCALE: f64 = 8192.0;

/// The shape of the spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Evenly within ± one jitter; netem's own without a table.
    #[default]
    Uniform,
    /// The jitter is the standard deviation.
    Normal,
    /// Index 3, minimum half of 4/3 of a jitter below the mean.
    Pareto,
    /// A quarter normal and three quarters Pareto, entry by entry.
    ParetoNormal,
}

/// The table that netem takes (`TCA_NETEM_DELAY_DIST`); none for the uniform distribution, which
/// needs none.
///
/// Entry i is the quantile of (i + 1/8)/4096 for the normal distribution, and
/// 4/3·((1 − i/4096)^(−1/3) − 3/2) for Pareto, times 8192 and held within 16 bits; iproute2's
/// tables are matched by this.
#[must_use]
pub fn netem_table(distribution: Distribution) -> Vec<i16> {
    let entry: fn(f64) -> f64 = match distribution {
        Distribution::Uniform => return Vec::new(),
        Distribution::Normal => normal,
        Distribution::Pareto => pareto,
        Distribution::ParetoNormal => |at| clamp(normal(at)) * 0.25 + clamp(pareto(at)) * 0.75,
    };
    (0..TABLE_SIZE)
        .map(|at| clamp(entry(at as f64)) as i16)
        .collect()
}

/// Draws delays.
#[derive(Clone, Debug)]
pub struct Spread {
    table: Vec<i16>,
    memory: Correlated,
}

impl Spread {
    #[must_use]
    pub fn new(distribution: Distribution) -> Self {
        Self {
            table: netem_table(distribution),
            memory: Correlated::default(),
        }
    }

    /// A delay in nanoseconds, never below 0; `tabledist` of net/sched/sch_netem.c.
    pub fn draw(&mut self, mean: u64, jitter: u64, correlation: f64, random: &mut Random) -> u64 {
        if jitter == 0 {
            return mean;
        }
        let at = self.memory.draw(correlation, random);
        let offset = match self.table.get((at * self.table.len() as f64) as usize) {
            Some(entry) => f64::from(*entry) / TABLE_SCALE,
            None => 2.0 * at - 1.0,
        };
        // A negative delay saturates at 0.
        (mean as f64 + offset * jitter as f64) as u64
    }
}

fn clamp(value: f64) -> f64 {
    value
        .round()
        .clamp(f64::from(i16::MIN), f64::from(i16::MAX))
}

fn normal(at: f64) -> f64 {
    normal_quantile((at + 0.125) / TABLE_SIZE as f64) * TABLE_SCALE
}

fn pareto(at: f64) -> f64 {
    ((1.0 - at / TABLE_SIZE as f64).powf(-1.0 / 3.0) - 1.5) * (4.0 / 3.0) * TABLE_SCALE
}

/// Acklam's rational approximation; relative error below 1.2e-9.
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    const TAIL: f64 = 0.02425;
    if p > 1.0 - TAIL {
        return -normal_quantile(1.0 - p);
    }
    if p < TAIL {
        let q = (-2.0 * p.ln()).sqrt();
        return polynomial(&C, q) / polynomial(&D, q);
    }
    let q = p - 0.5;
    let r = q * q;
    polynomial(&A, r) * q / polynomial(&B, r)
}

/// Highest power first.
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests;
