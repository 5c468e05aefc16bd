//! What becomes of a packet: netem's parameters, in netem's order and meaning
//! (net/sched/sch_netem.c, tc-netem(8)). Pure: time and randomness come from outside.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::distribution::{Distribution, Spread};
use super::loss::{Loss, LossState};
use super::random::{Correlated, Random, Share};

/// netem's parameters. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shape {
    pub delay: Duration,
    /// How far delays lie from their mean; see [`Distribution`]. Packets with different delays
    /// overtake one another, as with netem.
    pub jitter: Duration,
    /// 0 to below 1.
    pub delay_correlation: f64,
    pub distribution: Distribution,
    pub loss: Option<Loss>,
    /// Sent twice; both copies are delayed on their own.
    pub duplicate: Share,
    /// The mark on packets that the queue sends itself, so that rules can spare them: otherwise
    /// they would come into the queue again. Needed with `duplicate`; without it, senders are
    /// charged for what is held of theirs. 0 for none.
    pub spare_mark: u32,
    /// One random bit behind the network header is flipped; checksums stay as they were.
    pub corrupt: Share,
    pub reorder: Option<Reorder>,
    pub rate: Option<Rate>,
}

/// Packets that are sent at once while the others are delayed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reorder {
    pub share: Share,
    /// Only every so-manieth packet may go ahead; 0 and 1 mean any.
    pub gap: u32,
}

/// A bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rate {
    pub bytes_per_second: u64,
    /// Counted on top of every packet (14 for Ethernet); below 0 it is taken off.
    #[serde(default)]
    pub packet_overhead: i32,
    /// Bytes that an idle link has saved up; 0 is netem's own behaviour.
    #[serde(default)]
    pub burst: u64,
}

/// Why a shape cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ShapeError {
    #[error("{parameter} is {value}; it is a share from 0 to 1")]
    Share { parameter: &'static str, value: f64 },
    #[error("{parameter} is {value}; a correlation is from 0 to below 1")]
    Correlation { parameter: &'static str, value: f64 },
    #[error("{parameter} is longer than an hour")]
    TooLong { parameter: &'static str },
    #[error("a rate of 0 bytes per second never sends anything")]
    NoRate,
    #[error("packets are to be reordered, but no delay lets others go ahead")]
    ReorderWithoutDelay,
    #[error("packets are to be duplicated, but no mark spares the copies")]
    DuplicateWithoutMark,
}

/// What becomes of a packet and of its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// `None`: the packet is dropped.
    pub packet: Option<Passage>,
    /// The copy, when there is one.
    pub copy: Option<Passage>,
}

/// How a packet is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Nanoseconds, on the clock of `now`.
    pub at: u64,
    /// Whether it went ahead of others.
    pub ahead: bool,
    /// Random bits that choose the bit to be flipped.
    pub corrupt: Option<u64>,
}

impl Shape {
    /// Checks every parameter.
    ///
    /// # Errors
    /// The first that is out of range or senseless.
    pub fn validate(&self) -> Result<(), ShapeError> {
        const LONGEST: Duration = Duration::from_secs(3600);
        for (parameter, value) in [("delay", self.delay), ("jitter", self.jitter)] {
            if value > LONGEST {
                return Err(ShapeError::TooLong { parameter });
            }
        }
        correlation("delay-correlation", self.delay_correlation)?;
        share("duplicate", self.duplicate)?;
        share("corrupt", self.corrupt)?;
        if let Some(loss) = &self.loss {
            for value in loss.probabilities() {
                probability("loss", value)?;
            }
            if let Loss::Random(random) = loss {
                correlation("loss", random.correlation)?;
            }
        }
        if let Some(reorder) = self.reorder {
            share("reorder", reorder.share)?;
            if self.delay.is_zero() && self.jitter.is_zero() {
                return Err(ShapeError::ReorderWithoutDelay);
            }
        }
        if self.rate.is_some_and(|rate| rate.bytes_per_second == 0) {
            return Err(ShapeError::NoRate);
        }
        if self.duplicate.share > 0.0 && self.spare_mark == 0 {
            return Err(ShapeError::DuplicateWithoutMark);
        }
        Ok(())
    }

    /// Whether packets have to be seen whole, one by one, rather than as the large segments in which
    /// the kernel moves them.
    #[must_use]
    pub fn needs_payload(&self) -> bool {
        self.duplicate.share > 0.0 || self.corrupt.share > 0.0
    }

    /// Whether senders are freed of what is held of theirs: packets that leave are dropped at once,
    /// and sent by the queue when their time has come.
    ///
    /// A sender is charged for a packet until it has left. TCP keeps no more on its way to the
    /// device than it sends in about 1 ms (`tcp_small_queue_check`, net/ipv4/tcp_output.c), and UDP
    /// no more than its send buffer holds: a real path charges nobody. Below that time it makes no
    /// difference. A rate alone charges, as a slow device does.
    #[must_use]
    pub fn frees_senders(&self) -> bool {
        const UNNOTICED: Duration = Duration::from_millis(1);
        self.spare_mark != 0 && self.delay.saturating_add(self.jitter) >= UNNOTICED
    }

    /// Whether each packet has a fate of its own: then large segments are cut first.
    #[must_use]
    pub fn judges_packets(&self) -> bool {
        self.needs_payload() || self.loss.is_some() || self.reorder.is_some()
    }
}

fn share(parameter: &'static str, value: Share) -> Result<(), ShapeError> {
    probability(parameter, value.share)?;
    correlation(parameter, value.correlation)
}

fn probability(parameter: &'static str, value: f64) -> Result<(), ShapeError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(ShapeError::Share { parameter, value })
}

fn correlation(parameter: &'static str, value: f64) -> Result<(), ShapeError> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(ShapeError::Correlation { parameter, value })
}

/// A shape at work: what it remembers from packet to packet.
#[derive(Clone, Debug)]
pub struct Shaper {
    shape: Shape,
    random: Random,
    spread: Spread,
    loss: LossState,
    duplicate: Correlated,
    corrupt: Correlated,
    reorder: Correlated,
    /// Packets since the last that went ahead.
    counter: u32,
    /// When the link is free again, nanoseconds.
    link_free: u64,
}

impl Shaper {
    /// # Errors
    /// [`Shape::validate`].
    pub fn new(shape: Shape, seed: u64) -> Result<Self, ShapeError> {
        shape.validate()?;
        Ok(Self {
            random: Random::new(seed),
            spread: Spread::new(shape.distribution),
            loss: LossState::default(),
            duplicate: Correlated::default(),
            corrupt: Correlated::default(),
            reorder: Correlated::default(),
            counter: 0,
            link_free: 0,
            shape,
        })
    }

    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Decides about a packet of `length` bytes that came at `now` (nanoseconds).
    pub fn decide(&mut self, now: u64, length: u32) -> Decision {
        let twice = self.duplicate.hit(self.shape.duplicate, &mut self.random);
        let lost = self.is_lost();
        // As with netem, a packet that is both doubled and lost passes once.
        let packet = (twice || !lost).then(|| self.passage(now, length));
        let copy = twice && !lost && !self.is_lost();
        let copy = copy.then(|| self.passage(now, length));
        Decision { packet, copy }
    }

    fn is_lost(&mut self) -> bool {
        let loss = self.shape.loss.as_ref();
        loss.is_some_and(|loss| self.loss.next(loss, &mut self.random))
    }

    fn passage(&mut self, now: u64, length: u32) -> Passage {
        let corrupt = self
            .corrupt
            .hit(self.shape.corrupt, &mut self.random)
            .then(|| self.random.next_u64());
        if self.goes_ahead() {
            self.counter = 0;
            return Passage {
                at: now,
                ahead: true,
                corrupt,
            };
        }
        self.counter = self.counter.saturating_add(1);
        let delay = self.spread.draw(
            nanoseconds(self.shape.delay),
            nanoseconds(self.shape.jitter),
            self.shape.delay_correlation,
            &mut self.random,
        );
        let at = self.through_link(now.saturating_add(delay), length);
        Passage {
            at,
            ahead: false,
            corrupt,
        }
    }

    fn goes_ahead(&mut self) -> bool {
        let Some(reorder) = self.shape.reorder else {
            return false;
        };
        self.counter >= reorder.gap.saturating_sub(1)
            && self.reorder.hit(reorder.share, &mut self.random)
    }

    /// The link sends one packet after the other, each for as long as its bytes take.
    fn through_link(&mut self, ready: u64, length: u32) -> u64 {
        let Some(rate) = self.shape.rate else {
            return ready;
        };
        let length = (i64::from(length) + i64::from(rate.packet_overhead)).max(0);
        let sending = time_for(length.unsigned_abs(), rate.bytes_per_second);
        let saved = time_for(rate.burst, rate.bytes_per_second);
        self.link_free = self
            .link_free
            .max(ready.saturating_sub(saved))
            .saturating_add(sending);
        self.link_free.max(ready)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn time_for(bytes: u64, bytes_per_second: u64) -> u64 {
    let time = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second.max(1));
    u64::try_from(time).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
