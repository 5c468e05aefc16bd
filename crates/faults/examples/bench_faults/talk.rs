//! An established connection from the near to the far side, opened anew whenever it was reset.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use firedrill_kernel::KernelError;
use firedrill_kernel::namespace::{NetNamespace, OpenNamespace};

use crate::Outcome;

/// Snapshots look past it.
const PORT: u16 = 5432;

pub(crate) struct Talk {
    near: OpenNamespace,
    at: (Ipv4Addr, u16),
    listener: TcpListener,
    ends: (TcpStream, TcpStream),
}

impl Talk {
    pub(crate) fn begin(near: &str, far: &str, address: Ipv4Addr) -> Outcome<Self> {
        let near = NetNamespace::named(near)?;
        let at = (address, PORT);
        let listen = || Ok::<_, KernelError>(TcpListener::bind(at));
        let listener = NetNamespace::named(far)?.within(listen)??;
        let ends = connect(&near, &listener, at)?;
        Ok(Self {
            near,
            at,
            listener,
            ends,
        })
    }

    pub(crate) fn goes_on(&mut self) -> bool {
        let (client, server) = &mut self.ends;
        client.write_all(b"x").is_ok() && server.read_exact(&mut [0]).is_ok()
    }

    /// Since when it goes on; when it was reset, since the next one is there.
    pub(crate) fn since(&mut self) -> Outcome<Option<Instant>> {
        if !self.goes_on() {
            self.ends = connect(&self.near, &self.listener, self.at)?;
        }
        let start = Instant::now();
        Ok(self.goes_on().then_some(start))
    }
}

fn connect(
    near: &OpenNamespace,
    listener: &TcpListener,
    at: (Ipv4Addr, u16),
) -> Outcome<(TcpStream, TcpStream)> {
    let client = near.within(|| Ok::<_, KernelError>(TcpStream::connect(at)))??;
    let (server, _) = listener.accept()?;
    server.set_read_timeout(Some(Duration::from_secs(1)))?;
    Ok((client, server))
}
