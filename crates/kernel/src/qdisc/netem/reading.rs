use super::{
    CORRELATION, CORRUPT, Correlated, JITTER64, LATENCY64, LOSS, LOSS_FOUR_STATE,
    LOSS_GILBERT_ELLIOTT, Loss, Netem, NetemRate, PRNG_SEED, Probability, RATE, RATE64, REORDER,
    Reorder,
};
use crate::netlink::AttributeIter;
use crate::qdisc::shaper::nanoseconds;

/// `struct tc_netem_qopt`
const FIXED: usize = 24;

impl Netem {
    /// From the options of a listed discipline; `None` if they are not netem's.
    ///
    /// The kernel does not tell the distribution, and tells a seed even if it chose it itself.
    #[must_use]
    pub fn parse(options: &[u8]) -> Option<Self> {
        let (fixed, attributes) = options.split_at_checked(FIXED)?;
        let [latency, limit, loss, gap, duplicate, jitter] = words(fixed)?;
        let attributes = AttributeIter::new(attributes);
        let pair = |kind| attributes.get(kind).and_then(|pair| words(pair.payload));
        let exact = |kind, ticks| {
            let exact = attributes.get(kind).and_then(|time| time.u64());
            exact.unwrap_or_else(|| nanoseconds(ticks))
        };
        let [delay_correlation, loss_correlation, duplicate_correlation] = attributes
            .get(CORRELATION)
            .and_then(|triple| words(triple.payload))
            .unwrap_or_default();
        let [reorder, reorder_correlation] = pair(REORDER).unwrap_or_default();
        let random = correlated([loss, loss_correlation]);
        let model = attributes
            .get(LOSS)
            .and_then(|model| Loss::parse_model(&model.nested()));
        Some(Self {
            delay_ns: exact(LATENCY64, latency),
            jitter_ns: exact(JITTER64, jitter),
            delay_correlation: Probability(delay_correlation),
            loss: model.or((loss > 0).then_some(Loss::Random(random))),
            duplicate: correlated([duplicate, duplicate_correlation]),
            corrupt: correlated(pair(CORRUPT).unwrap_or_default()),
            reorder: (gap > 0).then_some(Reorder {
                probability: Probability(reorder),
                correlation: Probability(reorder_correlation),
                gap,
            }),
            rate: NetemRate::parse(&attributes),
            limit,
            distribution: Vec::new(),
            seed: attributes.get(PRNG_SEED).and_then(|seed| seed.u64()),
        })
    }
}

impl Loss {
    fn parse_model(attributes: &AttributeIter<'_>) -> Option<Self> {
        if let Some(model) = attributes.get(LOSS_GILBERT_ELLIOTT) {
            let [p, r, h, k1] = words(model.payload)?;
            return Some(Self::GilbertElliott {
                good_to_bad: Probability(p),
                bad_to_good: Probability(r),
                loss_when_bad: Probability(h).inverse(),
                loss_when_good: Probability(k1),
            });
        }
        let model = attributes.get(LOSS_FOUR_STATE)?;
        let [p13, p31, p32, p14, p23] = words(model.payload)?.map(Probability);
        Some(Self::FourState {
            p13,
            p31,
            p32,
            p14,
            p23,
        })
    }
}

impl NetemRate {
    fn parse(attributes: &AttributeIter<'_>) -> Option<Self> {
        let [short, packet_overhead, cell_size, cell_overhead] =
            words(attributes.get(RATE)?.payload)?;
        let wide = attributes.get(RATE64).and_then(|rate| rate.u64());
        let bytes_per_second = wide.unwrap_or(short.into());
        (bytes_per_second > 0).then_some(Self {
            bytes_per_second,
            packet_overhead: packet_overhead.cast_signed(),
            cell_size,
            cell_overhead: cell_overhead.cast_signed(),
        })
    }
}

fn correlated([probability, correlation]: [u32; 2]) -> Correlated {
    Correlated {
        probability: Probability(probability),
        correlation: Probability(correlation),
    }
}

/// The first words of a structure; `None` if it is shorter.
fn words<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    let mut words = [0; N];
    for (index, word) in words.iter_mut().enumerate() {
        let bytes = bytes.get(index * 4..)?.first_chunk()?;
        *word = u32::from_ne_bytes(*bytes);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn any_pair()(probability in 1..=u32::MAX, correlation: u32) -> Correlated {
            correlated([probability, correlation])
        }
    }

    fn any_loss() -> impl Strategy<Value = Option<Loss>> {
        let four = any::<[u32; 4]>().prop_map(|numbers| {
            let [a, b, c, d] = numbers.map(Probability);
            Loss::GilbertElliott {
                good_to_bad: a,
                bad_to_good: b,
                loss_when_bad: c,
                loss_when_good: d,
            }
        });
        let five = any::<[u32; 5]>().prop_map(|numbers| {
            let [p13, p31, p32, p14, p23] = numbers.map(Probability);
            Loss::FourState {
                p13,
                p31,
                p32,
                p14,
                p23,
            }
        });
        prop_oneof![
            Just(None),
            any_pair().prop_map(|random| Some(Loss::Random(random))),
            four.prop_map(Some),
            five.prop_map(Some),
        ]
    }

    prop_compose! {
        fn any_netem()(
            delay in 0..=i64::MAX.unsigned_abs(),
            jitter in 0..=i64::MAX.unsigned_abs(),
            delay_correlation: u32,
            loss in any_loss(),
            duplicate in any_pair(),
            corrupt in any_pair(),
            reorder in proptest::option::of((any_pair(), 1..=u32::MAX)),
            rate in proptest::option::of((1_u64.., any::<i32>(), any::<u32>(), any::<i32>())),
            limit in 1..=u32::MAX,
            seed: Option<u64>,
        ) -> Netem {
            Netem {
                delay_ns: delay,
                jitter_ns: jitter,
                delay_correlation: Probability(delay_correlation),
                loss,
                duplicate,
                corrupt,
                reorder: reorder.map(|(pair, gap)| Reorder {
                    probability: pair.probability,
                    correlation: pair.correlation,
                    gap,
                }),
                rate: rate.map(|(bytes_per_second, packet_overhead, cell_size, cell_overhead)| NetemRate {
                    bytes_per_second,
                    packet_overhead,
                    cell_size,
                    cell_overhead,
                }),
                limit,
                distribution: Vec::new(),
                seed,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(netem in any_netem()) {
            let options = netem.encode().unwrap();
            prop_assert_eq!(Netem::parse(&options).unwrap(), netem);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Netem::parse(&bytes);
        }
    }

    #[test]
    fn a_time_without_its_exact_attribute_is_read_from_its_ticks() {
        let mut options = 1_562_500_u32.to_ne_bytes().to_vec();
        options.extend_from_slice(&[0; 20]);
        assert_eq!(Netem::parse(&options).unwrap().delay_ns, 100_000_000);
        assert_eq!(Netem::parse(&options[..23]), None);
    }
}
