use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::bed::{Bed, FAR};
use crate::drill::pause;

/// The port whose packets are met.
pub(crate) const MET: u16 = 7001;

/// A port beside it, whose packets are not.
const BESIDE: u16 = 7002;

/// After the last packet was sent: far above any delay asked for here.
const SILENCE: Duration = Duration::from_millis(900);

/// Sends numbered datagrams from `near` to two ports of `far`, and has the times of each.
pub(crate) struct Probe {
    here: UdpSocket,
    met: UdpSocket,
    beside: UdpSocket,
}

/// How packets are sent.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) packets: u64,
    /// Bytes that UDP carries, at least eight.
    pub(crate) size: usize,
    /// The mean pause after each burst.
    pub(crate) gap: Duration,
    pub(crate) burst: u64,
    /// With a packet to the other port after each.
    pub(crate) paired: bool,
}

/// What came of it.
pub(crate) struct Flow {
    sent: Vec<Instant>,
    met: Vec<Arrival>,
    beside: Vec<Arrival>,
    beside_sent: Vec<Instant>,
}

#[derive(Clone, Copy)]
struct Arrival {
    number: u64,
    at: Instant,
}

/// Of what the fault adds, in milliseconds: the difference to the packet beside.
pub(crate) struct Added {
    pub(crate) all: Vec<f64>,
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    /// From send to arrival, of the quickest packet that was met: no pair can make it look earlier.
    pub(crate) soonest: f64,
}

impl Probe {
    pub(crate) fn new(bed: &Bed) -> Self {
        let at = |port| {
            let socket = bed.far.udp((FAR, port).into());
            socket.set_read_timeout(Some(SILENCE)).unwrap();
            socket
        };
        Self {
            here: bed.near.udp(([0; 4], 0).into()),
            met: at(MET),
            beside: at(BESIDE),
        }
    }

    /// Sends it all; `beat` is called between packets, some ten times a second.
    pub(crate) fn send(&self, plan: Plan, mut beat: impl FnMut()) -> Flow {
        let mut flow = Flow {
            sent: Vec::new(),
            met: Vec::new(),
            beside: Vec::new(),
            beside_sent: Vec::new(),
        };
        std::thread::scope(|scope| {
            let met = scope.spawn(|| receive(&self.met));
            let beside = scope.spawn(|| receive(&self.beside));
            let mut packet = vec![0; plan.size];
            let mut last_beat = Instant::now();
            for number in 0..plan.packets {
                packet[..8].copy_from_slice(&number.to_le_bytes());
                flow.sent.push(Instant::now());
                self.here.send_to(&packet, to(MET)).unwrap();
                if plan.paired {
                    flow.beside_sent.push(Instant::now());
                    self.here.send_to(&packet, to(BESIDE)).unwrap();
                }
                if number % plan.burst == 0 {
                    // From none to twice the mean, so that no beat stays in phase with packets.
                    let share = (scattered(number) % 1000) as f64 / 500.0;
                    let gap = plan.gap.mul_f64(share);
                    pause(gap / 2);
                    if last_beat.elapsed() > Duration::from_millis(100) {
                        beat();
                        last_beat = Instant::now();
                    }
                    pause(gap / 2);
                }
            }
            flow.met = met.join().unwrap();
            flow.beside = beside.join().unwrap();
        });
        flow
    }
}

impl Flow {
    pub(crate) fn sent(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn arrived(&self) -> usize {
        self.met.len()
    }

    /// By number, whether it came at all.
    pub(crate) fn came(&self) -> Vec<bool> {
        self.times_came()
            .into_iter()
            .map(|times| times > 0)
            .collect()
    }

    /// By number, how often it came.
    pub(crate) fn times_came(&self) -> Vec<usize> {
        let mut came = vec![0; self.sent.len()];
        for arrival in &self.met {
            came[arrival.number as usize] += 1;
        }
        came
    }

    pub(crate) fn share_lost(&self) -> f64 {
        let lost = self.came().iter().filter(|came| !**came).count();
        lost as f64 / self.sent() as f64
    }

    /// From send to arrival, of what was met and of what was not, in milliseconds.
    pub(crate) fn times(&self) -> Vec<f64> {
        times(&self.sent, &self.met)
    }

    pub(crate) fn times_beside(&self) -> Vec<f64> {
        times(&self.beside_sent, &self.beside)
    }

    /// Of packets that all came.
    pub(crate) fn added(&self) -> Added {
        assert_eq!(self.met.len(), self.sent.len(), "packets are missing");
        assert_eq!(self.beside.len(), self.sent.len(), "packets are missing");
        let met = self.times();
        let soonest = met.iter().copied().fold(f64::INFINITY, f64::min);
        let pairs = met.into_iter().zip(self.times_beside());
        let all: Vec<f64> = pairs.map(|(met, beside)| met - beside).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let squares: f64 = all.iter().map(|one| (one - mean).powi(2)).sum();
        let deviation = (squares / (all.len() - 1) as f64).sqrt();
        Added {
            all,
            mean,
            deviation,
            soonest,
        }
    }

    /// From the first arrival to the last, per second.
    pub(crate) fn packets_per_second(&self) -> f64 {
        let (first, last) = (self.met.first().unwrap(), self.met.last().unwrap());
        (self.met.len() - 1) as f64 / last.at.duration_since(first.at).as_secs_f64()
    }
}

fn to(port: u16) -> SocketAddr {
    (FAR, port).into()
}

fn times(sent: &[Instant], arrivals: &[Arrival]) -> Vec<f64> {
    let mut arrivals = arrivals.to_vec();
    arrivals.sort_by_key(|arrival| arrival.number);
    let time = |arrival: &Arrival| arrival.at.duration_since(sent[arrival.number as usize]);
    arrivals
        .iter()
        .map(|arrival| time(arrival).as_secs_f64() * 1e3)
        .collect()
}

/// Of no pattern (the last step of SplitMix64).
fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

/// Until nothing came for long.
fn receive(socket: &UdpSocket) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    let mut packet = [0; 2048];
    while socket.recv(&mut packet).is_ok() {
        let at = Instant::now();
        let number = u64::from_le_bytes(packet[..8].try_into().unwrap());
        arrivals.push(Arrival { number, at });
    }
    arrivals
}
