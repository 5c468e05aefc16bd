//! Which packets are lost: the models of netem.

use serde::{Deserialize, Serialize};

use super::random::{Correlated, Random, Share};

/// How packets are lost. All probabilities are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Loss {
    /// Each packet with the same probability.
    Random(Share),
    /// Gilbert-Elliott: a good and a bad state. In the long run the bad state holds p/(p + r) of
    /// the packets.
    #[serde(rename_all = "kebab-case")]
    GilbertElliott {
        /// From good to bad, per packet.
        p: f64,
        /// From bad to good, per packet.
        r: f64,
        /// Loss in the bad state: 1 − h. 1 gives the simple Gilbert model.
        bad_loss: f64,
        /// Loss in the good state: 1 − k.
        good_loss: f64,
    },
    /// netem's four-state model: 1 received in a gap, 2 received in a burst, 3 lost in a burst,
    /// 4 lost alone in a gap. From 4 it always goes back to 1.
    Markov {
        p13: f64,
        p31: f64,
        p32: f64,
        p23: f64,
        p14: f64,
    },
}

impl Loss {
    /// The share that is lost in the long run; `None` where no closed form is used (correlated).
    #[must_use]
    pub fn expected(&self) -> Option<f64> {
        match *self {
            Self::Random(share) => (share.correlation == 0.0).then_some(share.share),
            Self::GilbertElliott {
                p,
                r,
                bad_loss,
                good_loss,
            } => {
                let bad = if p + r > 0.0 { p / (p + r) } else { 0.0 };
                Some(bad * bad_loss + (1.0 - bad) * good_loss)
            }
            Self::Markov {
                p13,
                p31,
                p32,
                p23,
                p14,
            } => Some(markov_share(p13, p31, p32, p23, p14)),
        }
    }

    /// The probabilities, for validation.
    pub(crate) fn probabilities(&self) -> Vec<f64> {
        match *self {
            Self::Random(share) => vec![share.share],
            Self::GilbertElliott {
                p,
                r,
                bad_loss,
                good_loss,
            } => vec![p, r, bad_loss, good_loss],
            Self::Markov {
                p13,
                p31,
                p32,
                p23,
                p14,
            } => vec![p13, p31, p32, p23, p14, p13 + p14, p31 + p32],
        }
    }
}

/// From the balance of the chain: π3·p31 + π2·0 = π1·p13 (4 only returns to 1), π2·p23 = π3·p32,
/// π4 = π1·p14.
fn markov_share(p13: f64, p31: f64, p32: f64, p23: f64, p14: f64) -> f64 {
    if p13 <= 0.0 {
        return p14 / (1.0 + p14);
    }
    if p31 <= 0.0 {
        // The gap is never reached again.
        return if p32 <= 0.0 { 1.0 } else { p23 / (p23 + p32) };
    }
    let three = p13 / p31;
    let two = if p32 <= 0.0 { 0.0 } else { three * p32 / p23 };
    if two.is_infinite() {
        return 0.0;
    }
    (three + p14) / (1.0 + two + three + p14)
}

/// Where a model stands.
#[derive(Clone, Debug, Default)]
pub struct LossState {
    memory: Correlated,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The good state of Gilbert-Elliott.
    #[default]
    ReceivedInGap,
    ReceivedInBurst,
    /// The bad state of Gilbert-Elliott.
    LostInBurst,
    LostInGap,
}

impl LossState {
    /// Whether the next packet is lost.
    pub fn next(&mut self, loss: &Loss, random: &mut Random) -> bool {
        match *loss {
            Loss::Random(share) => self.memory.hit(share, random),
            Loss::GilbertElliott {
                p,
                r,
                bad_loss,
                good_loss,
            } => self.gilbert_elliott([p, r], [bad_loss, good_loss], random),
            Loss::Markov {
                p13,
                p31,
                p32,
                p23,
                p14,
            } => {
                let draw = random.unit();
                self.state = match self.state {
                    State::ReceivedInGap if draw < p14 => State::LostInGap,
                    State::ReceivedInGap if draw < p14 + p13 => State::LostInBurst,
                    State::ReceivedInBurst if draw < p23 => State::LostInBurst,
                    State::LostInBurst if draw < p32 => State::ReceivedInBurst,
                    State::LostInBurst if draw < p32 + p31 => State::ReceivedInGap,
                    State::LostInGap => State::ReceivedInGap,
                    same => same,
                };
                matches!(self.state, State::LostInBurst | State::LostInGap)
            }
        }
    }

    /// The packet is judged in the state in which it found the channel; the move counts for the
    /// next one.
    fn gilbert_elliott(
        &mut self,
        [p, r]: [f64; 2],
        [bad_loss, good_loss]: [f64; 2],
        random: &mut Random,
    ) -> bool {
        let (leave, other, lose) = match self.state {
            State::LostInBurst => (r, State::ReceivedInGap, bad_loss),
            _ => (p, State::LostInBurst, good_loss),
        };
        if random.unit() < leave {
            self.state = other;
        }
        random.unit() < lose
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(loss: Loss, count: usize) -> Vec<bool> {
        let mut state = LossState::default();
        let mut random = Random::new(3);
        (0..count).map(|_| state.next(&loss, &mut random)).collect()
    }

    fn share(lost: &[bool]) -> f64 {
        lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64
    }

    #[test]
    fn random_loss_is_the_share_asked_for() {
        let share = share(&lost(Loss::Random(Share::of(0.1)), 1_000_000));
        // Five standard deviations.
        assert!((share - 0.1).abs() < 0.0015, "{share}");
    }

    #[test]
    fn gilbert_elliott_is_in_the_bad_state_for_p_over_p_plus_r() {
        let loss = Loss::GilbertElliott {
            p: 0.02,
            r: 0.3,
            bad_loss: 0.8,
            good_loss: 0.01,
        };
        let expected = 0.0625 * 0.8 + 0.9375 * 0.01;
        assert!((loss.expected().unwrap() - expected).abs() < 1e-12);
        let share = share(&lost(loss, 2_000_000));
        assert!((share - expected).abs() < 0.002, "{share} for {expected}");
    }

    #[test]
    fn bursts_of_the_simple_gilbert_model_last_one_over_r() {
        let lost = lost(
            Loss::GilbertElliott {
                p: 0.01,
                r: 0.25,
                bad_loss: 1.0,
                good_loss: 0.0,
            },
            2_000_000,
        );
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        let length = lost.iter().filter(|lost| **lost).count() as f64 / bursts as f64;
        assert!((length - 4.0).abs() < 0.15, "{length}");
    }

    #[test]
    fn the_four_state_model_loses_its_stationary_share() {
        let loss = Loss::Markov {
            p13: 0.02,
            p31: 0.1,
            p32: 0.2,
            p23: 0.5,
            p14: 0.01,
        };
        let expected = loss.expected().unwrap();
        let share = share(&lost(loss, 2_000_000));
        assert!((share - expected).abs() < 0.004, "{share} for {expected}");
    }

    #[test]
    fn the_same_seed_loses_the_same_packets() {
        let loss = Loss::Random(Share {
            share: 0.3,
            correlation: 0.25,
        });
        assert_eq!(lost(loss, 1000), lost(loss, 1000));
    }
}
