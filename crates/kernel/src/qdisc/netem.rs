mod reading;

use serde::{Deserialize, Serialize};

use super::QdiscError;
use super::shaper::ticks;
use crate::netlink::Attributes;

/// What `sch_netem` does to packets. Zero and `None` everywhere is a plain queue.
///
/// All numbers are the kernel's own: what a percentage or a model means is decided above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Netem {
    pub delay_ns: u64,
    pub jitter_ns: u64,
    pub delay_correlation: Probability,
    pub loss: Option<Loss>,
    pub duplicate: Correlated,
    pub corrupt: Correlated,
    pub reorder: Option<Reorder>,
    pub rate: Option<NetemRate>,
    /// Packets that are held at most; the rest is dropped.
    pub limit: u32,
    /// Quantiles of the jitter in units of 1/8192 jitter, at most 16 384 of them; uniform if empty.
    pub distribution: Vec<i16>,
    /// Makes two runs alike, from Linux 6.3 on; older kernels ignore it.
    pub seed: Option<u64>,
}

/// A probability in the kernel's units: 2³²−1 is certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Probability(pub u32);

/// How likely, and how much each decision resembles the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correlated {
    pub probability: Probability,
    pub correlation: Probability,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    Random(Correlated),
    /// Two states. `good_to_bad` and `bad_to_good` are asked per packet.
    GilbertElliott {
        good_to_bad: Probability,
        bad_to_good: Probability,
        /// In the bad state: tc's `1-h`.
        loss_when_bad: Probability,
        /// In the good state: tc's `1-k`.
        loss_when_good: Probability,
    },
    /// Four states: 1 good, 2 good within a burst, 3 burst loss, 4 isolated loss.
    FourState {
        p13: Probability,
        p31: Probability,
        p32: Probability,
        p14: Probability,
        p23: Probability,
    },
}

/// Packets that overtake the delayed ones: every `gap`th, with this probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    pub probability: Probability,
    pub correlation: Probability,
    /// At least 1.
    pub gap: u32,
}

/// A rate, and what the lower layers add to each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetemRate {
    pub bytes_per_second: u64,
    /// Bytes per packet; may be negative.
    pub packet_overhead: i32,
    /// Bytes per cell; zero for none.
    pub cell_size: u32,
    pub cell_overhead: i32,
}

const CORRELATION: u16 = 1;
const DELAY_DISTRIBUTION: u16 = 2;
const REORDER: u16 = 3;
const CORRUPT: u16 = 4;
const LOSS: u16 = 5;
const RATE: u16 = 6;
const RATE64: u16 = 8;
const LATENCY64: u16 = 10;
const JITTER64: u16 = 11;
const PRNG_SEED: u16 = 14;

/// Inside [`LOSS`].
const LOSS_FOUR_STATE: u16 = 1;
const LOSS_GILBERT_ELLIOTT: u16 = 2;

/// `NETEM_DIST_MAX`
const DISTRIBUTION_MAX: usize = 16_384;

impl Default for Netem {
    fn default() -> Self {
        Self {
            delay_ns: 0,
            jitter_ns: 0,
            delay_correlation: Probability::NEVER,
            loss: None,
            duplicate: Correlated::default(),
            corrupt: Correlated::default(),
            reorder: None,
            rate: None,
            limit: 1000,
            distribution: Vec::new(),
            seed: None,
        }
    }
}

impl Probability {
    pub const NEVER: Self = Self(0);
    pub const ALWAYS: Self = Self(u32::MAX);

    /// From a fraction; `None` outside of 0 to 1.
    #[must_use]
    pub fn from_fraction(fraction: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&fraction) {
            return None;
        }
        // Rounded as tc does, so that both tools mean the same number.
        Some(Self(
            (fraction * f64::from(u32::MAX)).round_ties_even() as u32
        ))
    }

    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(u32::MAX)
    }

    fn inverse(self) -> Self {
        Self(u32::MAX - self.0)
    }
}

impl Netem {
    /// `TCA_OPTIONS`: `struct tc_netem_qopt`, then attributes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, QdiscError> {
        self.check()?;
        let random = match self.loss {
            Some(Loss::Random(random)) => random,
            _ => Correlated::default(),
        };
        let gap = self.reorder.map_or(0, |reorder| reorder.gap);
        let mut options = words(&[
            ticks(self.delay_ns),
            self.limit,
            random.probability.0,
            gap,
            self.duplicate.probability.0,
            ticks(self.jitter_ns),
        ]);
        let correlations = [
            self.delay_correlation.0,
            random.correlation.0,
            self.duplicate.correlation.0,
        ];
        let mut attributes = Attributes::new();
        if correlations != [0; 3] {
            attributes = attributes.bytes(CORRELATION, &words(&correlations));
        }
        if let Some(reorder) = self.reorder {
            let pair = [reorder.probability.0, reorder.correlation.0];
            attributes = attributes.bytes(REORDER, &words(&pair));
        }
        if self.corrupt.probability != Probability::NEVER {
            let pair = [self.corrupt.probability.0, self.corrupt.correlation.0];
            attributes = attributes.bytes(CORRUPT, &words(&pair));
        }
        if let Some(model) = self.loss.and_then(Loss::encode_model) {
            attributes = attributes.nested(LOSS, &model);
        }
        if let Some(rate) = self.rate {
            attributes = rate.encode(attributes);
        }
        // The 32-bit fields hold ticks of 64 ns, up to 275 s; these are exact.
        if self.delay_ns > 0 {
            attributes = attributes.u64(LATENCY64, self.delay_ns);
        }
        if self.jitter_ns > 0 {
            attributes = attributes.u64(JITTER64, self.jitter_ns);
        }
        if !self.distribution.is_empty() {
            let table: Vec<u8> = self
                .distribution
                .iter()
                .flat_map(|quantile| quantile.to_ne_bytes())
                .collect();
            attributes = attributes.bytes(DELAY_DISTRIBUTION, &table);
        }
        if let Some(seed) = self.seed {
            attributes = attributes.u64(PRNG_SEED, seed);
        }
        options.extend_from_slice(attributes.as_bytes());
        Ok(options)
    }

    fn check(&self) -> Result<(), QdiscError> {
        let refuse = |what, why| Err(QdiscError::OutOfRange { what, why });
        if self.distribution.len() > DISTRIBUTION_MAX {
            return refuse("netem's distribution", "it holds at most 16384 values");
        }
        if i64::try_from(self.delay_ns).is_err() || i64::try_from(self.jitter_ns).is_err() {
            return refuse(
                "netem's delay",
                "it is a signed 64 bit number of nanoseconds",
            );
        }
        if self.reorder.is_some_and(|reorder| reorder.gap == 0) {
            return refuse("netem's gap", "it is at least 1");
        }
        if self.limit == 0 {
            return refuse("netem's limit", "it is at least 1 packet");
        }
        Ok(())
    }
}

impl Loss {
    fn encode_model(self) -> Option<Attributes> {
        match self {
            Self::Random(_) => None,
            Self::GilbertElliott {
                good_to_bad,
                bad_to_good,
                loss_when_bad,
                loss_when_good,
            } => {
                // The kernel keeps h, the chance to pass in the bad state, but 1−k as it is.
                let h = loss_when_bad.inverse();
                let model = [good_to_bad.0, bad_to_good.0, h.0, loss_when_good.0];
                Some(Attributes::new().bytes(LOSS_GILBERT_ELLIOTT, &words(&model)))
            }
            Self::FourState {
                p13,
                p31,
                p32,
                p14,
                p23,
            } => {
                let model = [p13.0, p31.0, p32.0, p14.0, p23.0];
                Some(Attributes::new().bytes(LOSS_FOUR_STATE, &words(&model)))
            }
        }
    }
}

impl NetemRate {
    fn encode(self, attributes: Attributes) -> Attributes {
        let (short, attributes) = match u32::try_from(self.bytes_per_second) {
            Ok(short) => (short, attributes),
            Err(_) => (u32::MAX, attributes.u64(RATE64, self.bytes_per_second)),
        };
        let mut rate = words(&[short]);
        rate.extend_from_slice(&self.packet_overhead.to_ne_bytes());
        rate.extend_from_slice(&self.cell_size.to_ne_bytes());
        rate.extend_from_slice(&self.cell_overhead.to_ne_bytes());
        attributes.bytes(RATE, &rate)
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    //! The expected bytes were sent by tc of iproute2 6.1 and read with strace.

    use super::*;

    fn p(percent: f64) -> Probability {
        Probability::from_fraction(percent / 100.0).unwrap()
    }

    fn both(probability: f64, correlation: f64) -> Correlated {
        Correlated {
            probability: p(probability),
            correlation: p(correlation),
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect()
    }

    #[test]
    fn delay_loss_duplicates_corruption_and_reordering_are_encoded_as_by_tc() {
        let netem = Netem {
            delay_ns: 100_000_000,
            jitter_ns: 10_000_000,
            delay_correlation: p(25.0),
            loss: Some(Loss::Random(both(1.0, 30.0))),
            duplicate: both(2.0, 5.0),
            corrupt: both(0.5, 1.0),
            reorder: Some(Reorder {
                probability: p(25.0),
                correlation: p(50.0),
                gap: 5,
            }),
            limit: 500,
            ..Netem::default()
        };
        let mut expected = bytes(
            "84 d7 17 00 f4 01 00 00 29 5c 8f 02 05 00 00 00 52 b8 1e 05 5a 62 02 00 \
             10 00 01 00 00 00 00 40 cc cc cc 4c cd cc cc 0c \
             0c 00 03 00 00 00 00 40 00 00 00 80 0c 00 04 00 14 ae 47 01 29 5c 8f 02",
        );
        // What tc leaves out: delay and jitter in nanoseconds.
        expected.extend(bytes("0c 00 0a 00 00 e1 f5 05 00 00 00 00"));
        expected.extend(bytes("0c 00 0b 00 80 96 98 00 00 00 00 00"));
        assert_eq!(netem.encode().unwrap(), expected);
    }

    #[test]
    fn loss_models_are_encoded_as_by_tc() {
        let gilbert = Netem {
            loss: Some(Loss::GilbertElliott {
                good_to_bad: p(1.0),
                bad_to_good: p(10.0),
                loss_when_bad: p(70.0),
                loss_when_good: p(0.1),
            }),
            ..Netem::default()
        };
        let plain = "00 00 00 00 e8 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";
        let model = "18 00 05 80 14 00 02 00 29 5c 8f 02 9a 99 99 19 cd cc cc 4c 37 89 41 00";
        assert_eq!(
            gilbert.encode().unwrap(),
            bytes(&format!("{plain} {model}"))
        );
        let four = Netem {
            loss: Some(Loss::FourState {
                p13: p(1.0),
                p31: p(10.0),
                p32: p(70.0),
                p23: p(0.1),
                p14: p(2.0),
            }),
            ..Netem::default()
        };
        let model =
            "1c 00 05 80 18 00 01 00 29 5c 8f 02 9a 99 99 19 32 33 33 b3 52 b8 1e 05 37 89 41 00";
        assert_eq!(four.encode().unwrap(), bytes(&format!("{plain} {model}")));
    }

    #[test]
    fn rates_of_both_widths_are_encoded_as_by_tc() {
        let at = |bytes_per_second, packet_overhead, cell_size, cell_overhead| Netem {
            rate: Some(NetemRate {
                bytes_per_second,
                packet_overhead,
                cell_size,
                cell_overhead,
            }),
            ..Netem::default()
        };
        let plain = "00 00 00 00 e8 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";
        let narrow = "14 00 06 00 48 e8 01 00 00 00 00 00 00 00 00 00 00 00 00 00";
        let encoded = at(125_000, 0, 0, 0).encode().unwrap();
        assert_eq!(encoded, bytes(&format!("{plain} {narrow}")));
        let wide = "0c 00 08 00 00 dd 0e e9 02 00 00 00 \
                    14 00 06 00 ff ff ff ff 0e 00 00 00 35 00 00 00 05 00 00 00";
        let encoded = at(12_500_000_000, 14, 53, 5).encode().unwrap();
        assert_eq!(encoded, bytes(&format!("{plain} {wide}")));
    }

    #[test]
    fn a_distribution_and_a_seed_are_appended() {
        let netem = Netem {
            delay_ns: 1_000_000,
            distribution: vec![-8192, 0, 8191],
            seed: Some(7),
            ..Netem::default()
        };
        let expected = bytes(
            "09 3d 00 00 e8 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 \
             0c 00 0a 00 40 42 0f 00 00 00 00 00 0a 00 02 00 00 e0 00 00 ff 1f 00 00 \
             0c 00 0e 00 07 00 00 00 00 00 00 00",
        );
        assert_eq!(netem.encode().unwrap(), expected);
    }

    #[test]
    fn what_the_kernel_cannot_hold_is_refused() {
        let out = [
            Netem {
                distribution: vec![0; DISTRIBUTION_MAX + 1],
                ..Netem::default()
            },
            Netem {
                delay_ns: u64::MAX,
                ..Netem::default()
            },
            Netem {
                limit: 0,
                ..Netem::default()
            },
            Netem {
                reorder: Some(Reorder {
                    probability: p(1.0),
                    correlation: p(0.0),
                    gap: 0,
                }),
                ..Netem::default()
            },
        ];
        for netem in out {
            assert!(matches!(netem.encode(), Err(QdiscError::OutOfRange { .. })));
        }
        assert_eq!(Probability::from_fraction(1.01), None);
        assert_eq!(Probability::from_fraction(f64::NAN), None);
        assert_eq!(Probability::from_fraction(1.0), Some(Probability::ALWAYS));
    }
}
