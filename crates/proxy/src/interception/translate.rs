//! From the faults of a job to those of the proxy.

use std::time::Duration;

use firedrill_worker::interception::{
    Carried, ConnectionFault, ConnectionFaultKind, Interception, Towards,
};
use firedrill_worker::queue::Distribution;
use firedrill_worker::queue::loss::Loss;
use firedrill_worker::queue::random::Share;

use crate::datagram::{self, DatagramFault};
use crate::route::Faults;
use crate::stream::{
    Bandwidth, Corrupt, Direction, Hang, Kind, Latency, Limit, Reset, Slicer, SlowClose, Stalls,
    StreamFault, Timeout,
};

pub(super) fn faults(job: &Interception) -> Faults {
    match job.carried {
        Carried::Tcp => stream_faults(&job.faults).into(),
        Carried::Udp => Faults {
            datagrams: datagram_faults(&job.faults),
            ..Faults::default()
        },
    }
}

fn direction(towards: Towards) -> Direction {
    match towards {
        Towards::Server => Direction::Upstream,
        Towards::Client => Direction::Downstream,
    }
}

fn datagram_faults(faults: &[ConnectionFault]) -> Vec<DatagramFault> {
    let named = |(index, fault): (usize, &ConnectionFault)| DatagramFault {
        name: format!("fault {index}").into(),
        direction: direction(fault.towards),
        toxicity: 1.0,
        arm: None,
        kind: datagram_kind(&fault.kind),
    };
    faults.iter().enumerate().map(named).collect()
}

fn datagram_kind(kind: &ConnectionFaultKind) -> datagram::Kind {
    match *kind {
        ConnectionFaultKind::Latency { delay, jitter } => {
            datagram::Kind::Latency(latency(delay, jitter))
        }
        ConnectionFaultKind::Bandwidth { bytes_per_second } => {
            datagram::Kind::Bandwidth(Bandwidth { bytes_per_second })
        }
        ConnectionFaultKind::Loss { share, .. } => datagram::Kind::Loss { share },
        ConnectionFaultKind::Corrupt { share } => datagram::Kind::Corrupt { share },
        ConnectionFaultKind::Limit { bytes } => datagram::Kind::Limit { bytes },
        ConnectionFaultKind::Hang => datagram::Kind::Blackhole,
        // A job with one of these for datagrams is not valid.
        ConnectionFaultKind::Slicer { .. }
        | ConnectionFaultKind::Timeout { .. }
        | ConnectionFaultKind::Reset { .. }
        | ConnectionFaultKind::SlowClose { .. } => datagram::Kind::Noop,
    }
}

fn latency(delay: Duration, jitter: Duration) -> Latency {
    Latency {
        delay,
        jitter,
        distribution: Distribution::Uniform,
        correlation: 0.0,
    }
}

fn stream_faults(faults: &[ConnectionFault]) -> Vec<StreamFault> {
    let named = |(index, fault): (usize, &ConnectionFault)| StreamFault {
        name: format!("fault {index}").into(),
        direction: direction(fault.towards),
        toxicity: 1.0,
        arm: None,
        kind: kind(&fault.kind),
    };
    faults.iter().enumerate().map(named).collect()
}

fn kind(kind: &ConnectionFaultKind) -> Kind {
    match *kind {
        ConnectionFaultKind::Latency { delay, jitter } => Kind::Latency(latency(delay, jitter)),
        ConnectionFaultKind::Bandwidth { bytes_per_second } => {
            Kind::Bandwidth(Bandwidth { bytes_per_second })
        }
        ConnectionFaultKind::Loss { share, stall } => Kind::Loss(Stalls {
            loss: Loss::Random(Share {
                share,
                correlation: 0.0,
            }),
            stall,
        }),
        ConnectionFaultKind::Corrupt { share } => Kind::Corrupt(Corrupt { share }),
        ConnectionFaultKind::Slicer { size, delay } => Kind::Slicer(Slicer {
            size,
            variation: 0,
            delay,
        }),
        ConnectionFaultKind::Limit { bytes } => Kind::Limit(Limit { bytes }),
        ConnectionFaultKind::Timeout { after } => Kind::Timeout(Timeout { after: Some(after) }),
        ConnectionFaultKind::Reset { after } => Kind::Reset(Reset { after }),
        ConnectionFaultKind::Hang => Kind::Hang(Hang),
        ConnectionFaultKind::SlowClose { delay } => Kind::SlowClose(SlowClose { delay }),
    }
}
