use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use firedrill_kernel::KernelError;
use firedrill_kernel::namespace::NetNamespace;

use super::prober::{Pace, send};
use super::{InForce, THROUGH, beside_asked};
use crate::Outcome;
use crate::bed::{Bed, FAR};
use crate::processes::wait;

/// Bytes a second.
const RATE: f64 = 2e6;
const GOAL: f64 = 0.03;

/// Before it, and from it to the end: the first bytes go ahead of any rate.
const WARM: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(4);

type Flood = fn(&Bed) -> Outcome<()>;

/// Bytes per second that pass, counted by the far interface, for datagrams and for a stream.
pub(super) fn measure(bed: &Bed, seed: u64) -> Outcome<bool> {
    let arguments = format!(r#"{{"rate": {RATE}, "remote-port": {THROUGH}}}"#);
    let mut well = true;
    let floods: [(&str, Flood); 2] = [("UDP", datagrams), ("TCP", stream)];
    for (name, flood) in floods {
        let fault = InForce::on_traffic(bed, "switching.bandwidth", &arguments, seed)?;
        let achieved = std::thread::scope(|scope| {
            let sending = scope.spawn(|| flood(bed).map_err(|error| error.to_string()));
            wait(WARM);
            let (before, start) = (received(bed)?, Instant::now());
            wait(TIME);
            let (after, took) = (received(bed)?, start.elapsed());
            sending.join().map_err(|_| "the sender ended")??;
            Ok::<f64, Box<dyn std::error::Error>>((after - before) / took.as_secs_f64())
        })?;
        fault.end()?;
        let goal = (RATE * (1.0 - GOAL), RATE * (1.0 + GOAL));
        let name = format!("bandwidth of {name}");
        well &= beside_asked(&name, "bytes/s", RATE, achieved, goal);
    }
    Ok(well)
}

/// Twice as much as may pass.
fn datagrams(bed: &Bed) -> Outcome<()> {
    let size = 1000;
    let per_second = (2.0 * RATE) as u32 / size;
    let pace = Pace {
        per_second,
        count: per_second * (WARM + TIME).as_secs() as u32 + per_second / 2,
        size: size as usize,
        burst: 10,
        paired: false,
    };
    send(bed, pace).map(drop)
}

fn stream(bed: &Bed) -> Outcome<()> {
    let far = NetNamespace::named(&bed.far)?;
    let near = NetNamespace::named(&bed.near)?;
    let listener = far.within(|| Ok::<_, KernelError>(TcpListener::bind((FAR, THROUGH))))??;
    let mut sender = near.within(|| Ok::<_, KernelError>(TcpStream::connect((FAR, THROUGH))))??;
    let (mut receiver, _) = listener.accept()?;
    let reading = std::thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while matches!(receiver.read(&mut bytes), Ok(1..)) {}
    });
    let end = Instant::now() + WARM + TIME + Duration::from_millis(500);
    sender.set_write_timeout(Some(Duration::from_millis(200)))?;
    while Instant::now() < end {
        // A time-out is a full buffer: what a rate makes.
        let _ = sender.write(&[0x5a; 16_384]);
    }
    // A reset, so that nothing of the stream is left to send.
    sender.set_write_timeout(None)?;
    drop(sender);
    drop(listener);
    // It ends with the stream.
    let _ = reading.join();
    Ok(())
}

/// Bytes of IP packets that came to the far side.
fn received(bed: &Bed) -> Outcome<f64> {
    const ETHERNET: f64 = 14.0;
    let text = Bed::output(&bed.far, "cat /proc/thread-self/net/dev")?;
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("veth1:"))
        .ok_or("the far interface is gone")?;
    let mut figures = line.split_whitespace().map(str::parse::<f64>);
    let (bytes, packets) = (figures.next(), figures.next());
    let (Some(Ok(bytes)), Some(Ok(packets))) = (bytes, packets) else {
        return Err("/proc/net/dev is not as expected".into());
    };
    Ok(bytes - packets * ETHERNET)
}
