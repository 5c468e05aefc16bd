//! One side of a connection as the lanes see it: a socket, or TLS on a socket.

use std::io::{self, ErrorKind, IoSlice};
use std::net::IpAddr;

use rustix::io::Errno;
use rustls::Connection as Tls;

use super::socket::{Read, Socket};
use crate::tls::failures::words;

/// Ciphertext that is read at a time, and never more than fits into what it says.
const WIRE: usize = 64 << 10;
const HANDSHAKE_WIRE: usize = 4 << 10;

/// A socket, and what is spoken on it.
#[derive(Debug)]
pub(super) struct Side {
    socket: Socket,
    speech: Speech,
}

#[derive(Debug)]
enum Speech {
    Clear,
    /// TLS, as soon as it is known how.
    Undecided,
    Tls(Box<Layer>),
}

/// TLS between the lanes and a socket. What it holds is bounded by rustls: a record of what comes,
/// and 64 KiB of what goes.
#[derive(Debug)]
struct Layer {
    tls: Tls,
    /// There may be clear text that nobody has read.
    unread: bool,
    /// The peer has said that nothing more comes.
    read_over: bool,
    /// The peer has said something that was not TLS's own.
    heard: bool,
    /// Nothing more is said; the socket is ended when all of it is sent.
    ended: bool,
    /// Why this is over, where TLS says so and not the socket. The peer was told by an alert, which
    /// a RST would take away again.
    failure: Option<rustls::Error>,
}

impl Side {
    pub(super) fn clear(socket: Socket) -> Self {
        Self {
            socket,
            speech: Speech::Clear,
        }
    }

    /// Nothing is read or written before it [speaks](Self::speak).
    pub(super) fn undecided(socket: Socket) -> Self {
        Self {
            socket,
            speech: Speech::Undecided,
        }
    }

    /// The address at the other end.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.socket.peer()
    }

    pub(super) fn tls(socket: Socket, tls: Tls) -> Self {
        let mut side = Self::undecided(socket);
        side.speak(tls);
        side
    }

    pub(super) fn speak(&mut self, tls: Tls) {
        self.speech = Speech::Tls(Box::new(Layer {
            tls,
            unread: false,
            read_over: false,
            heard: false,
            ended: false,
            failure: None,
        }));
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.speech, Speech::Tls(_))
    }

    pub(super) fn is_shaking_hands(&self) -> bool {
        match &self.speech {
            Speech::Clear => false,
            Speech::Undecided => true,
            Speech::Tls(layer) => layer.tls.is_handshaking(),
        }
    }

    /// The protocol that was agreed on.
    pub(super) fn alpn(&self) -> Option<&[u8]> {
        match &self.speech {
            Speech::Tls(layer) => layer.tls.alpn_protocol(),
            _ => None,
        }
    }

    pub(super) fn local_address(&self) -> Option<std::net::SocketAddr> {
        self.socket.local_address()
    }

    /// Sends what is left to be sent, and goes on with a handshake.
    pub(super) fn advance(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        if let Speech::Tls(layer) = &mut self.speech {
            if layer.tls.is_handshaking() {
                layer.shake_hands(&mut self.socket, buffer)?;
            }
            layer.flush(&mut self.socket)?;
        }
        Ok(())
    }

    pub(super) fn now_readable(&mut self, ending: bool) {
        self.socket.now_readable(ending);
    }

    pub(super) fn now_writable(&mut self) {
        self.socket.now_writable();
    }

    pub(super) fn can_read(&self) -> bool {
        match &self.speech {
            Speech::Clear => self.socket.can_read(),
            Speech::Undecided => false,
            Speech::Tls(layer) => {
                let more = layer.unread || self.socket.can_read();
                more && !layer.read_over && !layer.tls.is_handshaking()
            }
        }
    }

    pub(super) fn can_write(&self) -> bool {
        match &self.speech {
            Speech::Clear => self.socket.can_write(),
            Speech::Undecided => false,
            Speech::Tls(layer) => {
                self.socket.can_write() && !layer.ended && !layer.tls.is_handshaking()
            }
        }
    }

    pub(super) fn read_is_over(&self) -> bool {
        match &self.speech {
            Speech::Tls(layer) => layer.read_over,
            _ => self.socket.read_is_over(),
        }
    }

    pub(super) fn write_is_over(&self) -> bool {
        self.socket.write_is_over()
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Read {
        match &mut self.speech {
            Speech::Clear => self.socket.read(buffer),
            Speech::Undecided => Read::NotNow,
            Speech::Tls(layer) => layer.read(&mut self.socket, buffer),
        }
    }

    /// How many bytes were taken.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        match &mut self.speech {
            Speech::Clear => self.socket.write(bytes),
            Speech::Undecided => Ok(0),
            Speech::Tls(layer) => layer.write(&mut self.socket, bytes),
        }
    }

    /// The end of what is sent.
    pub(super) fn end(&mut self) {
        match &mut self.speech {
            Speech::Tls(layer) if !layer.ended => {
                layer.ended = true;
                layer.tls.send_close_notify();
                // A socket that is broken says so when it is read.
                let _broken = layer.flush(&mut self.socket);
            }
            Speech::Tls(_) => {}
            _ => self.socket.end(),
        }
    }

    /// The peer gets a RST, not a FIN, when this is dropped.
    pub(super) fn will_reset(&self) {
        if !matches!(&self.speech, Speech::Tls(layer) if layer.failure.is_some()) {
            self.socket.will_reset();
        }
    }

    /// The peer gets what is left and a FIN, as usual, when this is dropped.
    pub(super) fn will_end(&self) {
        self.socket.will_end();
    }

    /// Why a handshake came to nothing.
    pub(super) fn failure(&self) -> String {
        match &self.speech {
            Speech::Tls(layer) => match &layer.failure {
                Some(error) => words(error),
                None => "the connection ended in the middle of it".into(),
            },
            _ => "the connection ended before it".into(),
        }
    }

    /// The alert that was all that the peer had to say. In TLS 1.3 a client's handshake is over
    /// before the server has looked at its certificate.
    pub(super) fn refusal(&self) -> Option<String> {
        match &self.speech {
            Speech::Tls(layer) if !layer.heard => match &layer.failure {
                Some(alert @ rustls::Error::AlertReceived(_)) => Some(words(alert)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Why a connection failed to be made, or broke.
    pub(super) fn error(&self) -> Result<(), Errno> {
        self.socket.error()
    }
}

impl Layer {
    /// Goes on with the handshake as far as the socket lets it.
    fn shake_hands(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> Result<(), Errno> {
        // Little at a time: what comes right behind the handshake has to have room.
        let wire = buffer.len().min(HANDSHAKE_WIRE);
        let wire = &mut buffer[..wire];
        while self.tls.is_handshaking() && socket.can_read() {
            match socket.read(wire) {
                Read::Bytes(length) => {
                    let mut rest = &wire[..length];
                    while !rest.is_empty() && self.take_in(socket, &mut rest)? > 0 {}
                }
                Read::NotNow => break,
                Read::End | Read::Broken => return Err(Errno::CONNRESET),
            }
        }
        self.flush(socket)
    }

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> Read {
        // What comes off the wire lies behind what it says, and is never shorter than that.
        let (clear, wire) = buffer.split_at_mut(buffer.len() - WIRE.min(buffer.len() / 3));
        let mut said = 0;
        let mut end = self.unread_into(clear, &mut said);
        while said == 0 && end == Read::NotNow && socket.can_read() {
            let mut rest = match socket.read(wire) {
                Read::Bytes(length) => &wire[..length],
                Read::NotNow => break,
                Read::End => &[],
                Read::Broken => return Read::Broken,
            };
            loop {
                if self.take_in(socket, &mut rest).is_err() {
                    return Read::Broken;
                }
                end = self.unread_into(clear, &mut said);
                if rest.is_empty() || end != Read::NotNow {
                    break;
                }
            }
        }
        // An end is told once nothing comes before it.
        if said > 0 { Read::Bytes(said) } else { end }
    }

    /// Puts what was said behind what is there already; how it ends, if it does.
    fn unread_into(&mut self, buffer: &mut [u8], said: &mut usize) -> Read {
        while *said < buffer.len() {
            match io::Read::read(&mut self.tls.reader(), &mut buffer[*said..]) {
                Ok(0) => {
                    self.read_over = *said == 0;
                    return Read::End;
                }
                Ok(more) => {
                    self.heard = true;
                    *said += more;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unread = false;
                    break;
                }
                // The peer's stream ended, and nobody says that this was meant.
                Err(_) => return Read::Broken,
            }
        }
        Read::NotNow
    }

    /// Hands a part of what came off the wire to TLS; nothing of it is the end of the wire. How
    /// much it took.
    fn take_in(&mut self, socket: &mut Socket, wire: &mut &[u8]) -> Result<usize, Errno> {
        let taken = self.tls.read_tls(wire).map_err(|_| Errno::PROTO)?;
        self.unread = true;
        if let Err(error) = self.tls.process_new_packets() {
            self.failure = Some(error);
            let _broken = self.flush(socket);
            socket.discard();
            return Err(Errno::PROTO);
        }
        self.flush(socket).map(|()| taken)
    }

    fn write(&mut self, socket: &mut Socket, bytes: &[u8]) -> Result<usize, Errno> {
        let mut sent = 0;
        while sent < bytes.len() && socket.can_write() {
            let taken = io::Write::write(&mut self.tls.writer(), &bytes[sent..]);
            let taken = taken.map_err(|_| Errno::PIPE)?;
            sent += taken;
            self.flush(socket)?;
            if taken == 0 {
                break;
            }
        }
        Ok(sent)
    }

    fn flush(&mut self, socket: &mut Socket) -> Result<(), Errno> {
        while self.tls.wants_write() && socket.can_write() {
            if let Err(error) = self.tls.write_tls(&mut Wire(socket)) {
                match error.kind() {
                    ErrorKind::WouldBlock => break,
                    _ => return Err(Errno::PIPE),
                }
            }
        }
        if self.ended && !self.tls.wants_write() && !socket.write_is_over() {
            socket.end();
        }
        Ok(())
    }
}

/// A socket to write to, as rustls wants it.
struct Wire<'a>(&'a mut Socket);

impl io::Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.0.write_vectored(parts) {
            Ok(0) => Err(ErrorKind::WouldBlock.into()),
            Ok(length) => Ok(length),
            Err(errno) => Err(errno.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
