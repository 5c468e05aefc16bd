//! What has to be agreed on before a connection passes anything.
//!
//! The upstream is asked first, with what the client said it speaks, so that the client is promised
//! only what the upstream keeps.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use rustls::Connection as Tls;

use super::side::Side;
use super::socket::Socket;
use crate::route::{Route, Upstream};
use crate::tls::failures::Party;
use crate::tls::flaw::Flaw;
use crate::tls::hello::Hello;
use crate::tls::terminate::{Terminate, TerminateError};

/// What a client said, and what becomes of it.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) hello: Hello,
    pub(super) flaw: Option<Flaw>,
}

/// The handshakes of a connection, until they are over.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) until: Instant,
    /// The client waits for the upstream's choice.
    accept: Option<Accept>,
}

#[derive(Debug)]
struct Accept {
    terminate: Arc<Terminate>,
    greeted: Greeted,
}

/// How far handshakes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    Over,
    Waits,
    /// With whom, and why.
    Failed(Party, String),
}

/// The two sides of a connection, as its route wants them.
pub(super) fn sides(
    route: &Route,
    client: Socket,
    upstream: (Socket, &Upstream),
    greeted: Option<Greeted>,
    now: Instant,
) -> Result<([Side; 2], Option<Handshake>), rustls::Error> {
    let (upstream, leads_to) = upstream;
    let upstream = match route.tls.originate() {
        Some(originate) => {
            let hello = greeted.as_ref().map(|greeted| &greeted.hello);
            let tls = originate.connection(hello, leads_to, upstream.peer())?;
            Side::tls(upstream, Tls::Client(tls))
        }
        None => Side::clear(upstream),
    };
    let accept = route.tls.terminate().zip(greeted);
    let accept = accept.map(|(terminate, greeted)| Accept {
        terminate: Arc::clone(terminate),
        greeted,
    });
    let client = match accept {
        Some(_) => Side::undecided(client),
        None => Side::clear(client),
    };
    let sides = [client, upstream];
    let handshake = sides.iter().any(Side::is_shaking_hands).then(|| Handshake {
        until: now + route.connect_timeout,
        accept,
    });
    Ok((sides, handshake))
}

impl Handshake {
    pub(super) fn go_on(
        &mut self,
        sides: &mut [Side; 2],
        now: Instant,
        buffer: &mut [u8],
    ) -> Progress {
        let [client, upstream] = sides;
        if upstream.advance(buffer).is_err() {
            return Progress::Failed(Party::Upstream, upstream.failure());
        }
        if !upstream.is_shaking_hands()
            && let Some(accept) = self.accept.take()
        {
            match accept.tls(client, upstream) {
                Ok(tls) => client.speak(tls),
                Err(error) => return Progress::Failed(Party::Client, error.to_string()),
            }
        }
        if client.advance(buffer).is_err() {
            return Progress::Failed(Party::Client, client.failure());
        }
        let late = || "it was not over in time".into();
        match (client.is_shaking_hands(), upstream.is_shaking_hands()) {
            (false, false) => Progress::Over,
            (_, true) if now >= self.until => Progress::Failed(Party::Upstream, late()),
            (_, false) if now >= self.until => Progress::Failed(Party::Client, late()),
            _ => Progress::Waits,
        }
    }
}

impl Accept {
    fn tls(self, client: &Side, upstream: &Side) -> Result<Tls, TerminateError> {
        let local = client.local_address();
        let local = local.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |local| local.ip());
        let agreed = upstream
            .is_tls()
            .then(|| upstream.alpn().map(<[u8]>::to_vec));
        let Greeted { hello, flaw } = self.greeted;
        let tls = self.terminate.connection(&hello, local, flaw, agreed);
        tls.map(Tls::Server)
    }
}
