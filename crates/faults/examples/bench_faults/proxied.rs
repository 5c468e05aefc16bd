//! From SIGKILL of the process that the proxy runs in, beside NAT rules of others: until what went
//! through it is reset, until a new connection goes directly, until datagrams do.

use std::io::{ErrorKind, Read as _};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use firedrill_undo::{Guardian, Primitive, SpawnConfig, StateDir};

use crate::Outcome;
use crate::asking::{Asking, PORT, asked_by};
use crate::bed::{Bed, FAR, NEAR};
use crate::cases::parse;
use crate::figure::print_times;
use crate::processes::{kill, workers};
use crate::words::Words;

/// Long enough that no lease ends by itself.
const LONG: Duration = Duration::from_secs(60);
/// Only a hang fails by it.
const LIMIT: Duration = Duration::from_secs(5);
/// How long one look may take.
const LOOK: Duration = Duration::from_millis(2);

#[derive(Default)]
struct Times {
    reset: Vec<Duration>,
    connected: Vec<Duration>,
    flowing: Vec<Duration>,
    arriving: Vec<Duration>,
}

pub(crate) fn measure(words: &Words) -> Outcome<bool> {
    let tries: usize = words.get("tries", 200)?;
    let bed = Bed::new()?;
    let asking = Asking::begin(&bed.near, &bed.far, FAR)?;
    let asked = Asking::begin(&bed.far, &bed.near, NEAR)?;
    let state = tempfile::tempdir()?;
    let mut config = SpawnConfig::new(StateDir::at(state.path()), "proxied".parse()?, "bench");
    config.lease = LONG;
    let guardian = Guardian::spawn(config)?;
    let mut times = Times::default();
    for _ in 0..tries {
        guardian.renew()?;
        killed(&bed, &asking, &guardian, &mut times)?;
        let leaves = compile(&bed, "udp", "remote-port", "egress")?;
        times.flowing.push(flow_killed(&asking, &guardian, leaves)?);
        let arrives = compile(&bed, "udp", "local-port", "ingress")?;
        times
            .arriving
            .push(flow_killed(&asked, &guardian, arrives)?);
    }
    guardian.finish()?;
    for (what, samples) in [
        ("reset", &times.reset),
        ("new-connection-direct", &times.connected),
        ("datagrams-direct", &times.flowing),
        ("datagrams-that-arrive-direct", &times.arriving),
    ] {
        print_times("proxied", &format!("proxy-killed.{what}"), samples);
    }
    Ok(true)
}

/// Of connections.
fn killed(bed: &Bed, asking: &Asking, guardian: &Guardian, times: &mut Times) -> Outcome<()> {
    let applied = guardian.apply(compile(bed, "tcp", "remote-port", "egress")?)?;
    let (mut client, seen) = asking.connect(LIMIT).ok_or("no answer through the proxy")?;
    if seen == client.local_addr()? {
        return Err("it did not go through the proxy".into());
    }
    client.set_nonblocking(true)?;
    let start = kill_proxy()?;
    let (mut reset, mut connected) = (None, None);
    while reset.is_none() || connected.is_none() {
        if start.elapsed() > LIMIT {
            return Err(format!("not over: {reset:?}, {connected:?}").into());
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
        if connected.is_none()
            && let Some((client, seen)) = asking.connect(LOOK)
            && seen == client.local_addr()?
        {
            connected = Some(start.elapsed());
        }
    }
    times.reset.extend(reset);
    times.connected.extend(connected);
    revert(guardian, applied.id)
}

/// Of datagrams.
fn flow_killed(asking: &Asking, guardian: &Guardian, fault: Vec<Primitive>) -> Outcome<Duration> {
    let applied = guardian.apply(fault)?;
    let socket = led(asking)?;
    let start = kill_proxy()?;
    loop {
        if start.elapsed() > LIMIT {
            return Err("datagrams still do not go directly".into());
        }
        if let Some(seen) = asked_by(&socket, LOOK)
            && seen.port() == socket.local_addr()?.port()
        {
            let took = start.elapsed();
            return revert(guardian, applied.id).map(|()| took);
        }
    }
}

/// When it was killed.
fn kill_proxy() -> Outcome<Instant> {
    let proxies = workers()?;
    let start = Instant::now();
    for proxy in proxies {
        kill(proxy)?;
    }
    Ok(start)
}

fn revert(guardian: &Guardian, id: u64) -> Outcome<()> {
    let undone = guardian.revert(id)?;
    match undone.residue.first() {
        Some(residue) => Err(residue.to_string().into()),
        None => Ok(()),
    }
}

/// A socket whose datagrams go through the proxy. One that got the port of an earlier try's goes on as
/// that did: what is tracked already is not met.
fn led(asking: &Asking) -> Outcome<UdpSocket> {
    for _ in 0..10 {
        let socket = asking.socket()?;
        let seen = asked_by(&socket, LIMIT).ok_or("no answer to a datagram through the proxy")?;
        if seen.port() != socket.local_addr()?.port() {
            return Ok(socket);
        }
    }
    Err("datagrams did not go through the proxy".into())
}

fn compile(bed: &Bed, protocol: &str, port: &str, direction: &str) -> Outcome<Vec<Primitive>> {
    let arguments = format!(
        r#"{{"protocol": "{protocol}", "delay": "1ms", "{port}": {PORT}, "direction": "{direction}"}}"#
    );
    bed.compile_at_near(&parse("switching.stream", &arguments)?)
}
