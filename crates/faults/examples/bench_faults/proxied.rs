//! From SIGKILL of the process that the proxy runs in, beside NAT rules of others: until what went
//! through it is reset, until a new connection goes directly, until datagrams do.

use std::io::{ErrorKind, Read as _};
use std::time::{Duration, Instant};

use firedrill_undo::{Guardian, Primitive, SpawnConfig, StateDir};

use crate::Outcome;
use crate::asking::{Asking, PORT, asked_by};
use crate::bed::{Bed, FAR};
use crate::cases::parse;
use crate::figure::print_times;
use crate::processes::{kill, workers};
use crate::words::Words;

/// Long enough that no lease ends by itself.
const LONG: Duration = Duration::from_secs(60);
/// Only a hang fails by it.
const LIMIT: Duration = Duration::from_secs(5);
/// How long one look may take.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Times {
    reset: Vec<Duration>,
    connected: Vec<Duration>,
    flowing: Vec<Duration>,
}

pub(crate) fn measure(words: &Words) -> Outcome<bool> {
    let tries: usize = words.get("tries", 200)?;
    let bed = Bed::new()?;
    let asking = Asking::begin(&bed.near, &bed.far, FAR)?;
    let state = tempfile::tempdir()?;
    let mut config = SpawnConfig::new(StateDir::at(state.path()), "proxied".parse()?, "bench");
    config.lease = LONG;
    let guardian = Guardian::spawn(config)?;
    let mut times = Times::default();
    for _ in 0..tries {
        killed(&bed, &asking, &guardian, &mut times)?;
    }
    guardian.finish()?;
    for (what, samples) in [
        ("reset", &times.reset),
        ("new-connection-direct", &times.connected),
        ("datagrams-direct", &times.flowing),
    ] {
        print_times("proxied", &format!("proxy-killed.{what}"), samples);
    }
    Ok(true)
}

fn killed(bed: &Bed, asking: &Asking, guardian: &Guardian, times: &mut Times) -> Outcome<()> {
    let mut primitives = compile(bed, "tcp")?;
    primitives.extend(compile(bed, "udp")?);
    let applied = guardian.apply(primitives)?;
    let (mut client, seen) = asking.connect(LIMIT).ok_or("no answer through the proxy")?;
    let socket = asking.socket()?;
    let through = asked_by(&socket, LIMIT).ok_or("no answer to a datagram through the proxy")?;
    if seen == client.local_addr()? || through.port() == socket.local_addr()?.port() {
        return Err("it did not go through the proxy".into());
    }
    client.set_nonblocking(true)?;
    let proxies = workers()?;
    let start = Instant::now();
    for proxy in &proxies {
        kill(*proxy)?;
    }
    let (mut reset, mut connected, mut flowing) = (None, None, None);
    while reset.is_none() || connected.is_none() || flowing.is_none() {
        if start.elapsed() > LIMIT {
            return Err(format!("not over: {reset:?}, {connected:?}, {flowing:?}").into());
        }
        if reset.is_none() {
            match client.read(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    reset = Some(start.elapsed());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return Err(format!("not reset: {other:?}").into()),
            }
        }
        if flowing.is_none()
            && let Some(seen) = asked_by(&socket, LOOK)
            && seen.port() == socket.local_addr()?.port()
        {
            flowing = Some(start.elapsed());
        }
        if connected.is_none()
            && let Some((client, seen)) = asking.connect(LOOK)
            && seen == client.local_addr()?
        {
            connected = Some(start.elapsed());
        }
    }
    times.reset.extend(reset);
    times.connected.extend(connected);
    times.flowing.extend(flowing);
    let undone = guardian.revert(applied.id)?;
    match undone.residue.first() {
        Some(residue) => Err(residue.to_string().into()),
        None => Ok(()),
    }
}

fn compile(bed: &Bed, protocol: &str) -> Outcome<Vec<Primitive>> {
    let arguments =
        format!(r#"{{"protocol": "{protocol}", "delay": "1ms", "remote-port": {PORT}}}"#);
    bed.compile_at_near(&parse("switching.stream", &arguments)?)
}
