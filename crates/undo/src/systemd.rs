//! A service manager (systemd), asked over its private socket.
//!
//! D-Bus without a bus: the manager listens on a socket of its own for root (or for the user whose
//! manager it is), so nothing depends on a bus daemon. Authentication is EXTERNAL, by the socket's
//! peer credentials. Source: the D-Bus specification, org.freedesktop.systemd1(5).
//!
//! Written by hand because five calls are needed: the D-Bus libraries for Rust bring an async
//! runtime or link libdbus. Not here: buses, signals, introspection, any type but strings and paths.

mod message;

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use message::{Call, Head, Reply};

/// A connection to a service manager.
#[derive(Debug)]
pub struct ServiceManager {
    stream: UnixStream,
    socket: PathBuf,
    serial: u32,
}

/// Why a service manager did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("no service manager (systemd) answers at {}", socket.display())]
    Absent { socket: PathBuf, source: io::Error },
    #[error("the service manager at {} does not let us in", socket.display())]
    NotLetIn { socket: PathBuf },
    #[error("the service manager at {} does not answer", socket.display())]
    Talk { socket: PathBuf, source: io::Error },
    #[error("the service manager at {} answers what cannot be read", socket.display())]
    Confused { socket: PathBuf },
    #[error("the service manager refused: {why} ({name})")]
    Refused { name: String, why: String },
    #[error("the unit {unit} is {state}, not active")]
    NotActive { unit: String, state: String },
}

/// Of the manager that is the first process of a host.
pub const SYSTEM_SOCKET: &str = "/run/systemd/private";

/// Units are started and stopped by jobs; their acceptance takes no longer than this.
const REPLY_LIMIT: Duration = Duration::from_secs(5);

/// Our questions have short answers.
const ANSWER_MAX: usize = 1 << 20;

const MANAGER: &str = "/org/freedesktop/systemd1";
const MANAGER_INTERFACE: &str = "org.freedesktop.systemd1.Manager";
const UNIT_INTERFACE: &str = "org.freedesktop.systemd1.Unit";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

impl ServiceManager {
    /// Connects, and is let in.
    ///
    /// # Errors
    /// When nobody listens there, or refuses this user.
    pub fn at(socket: &Path) -> Result<Self, ServiceError> {
        let stream = UnixStream::connect(socket).and_then(|stream| {
            stream.set_read_timeout(Some(REPLY_LIMIT))?;
            stream.set_write_timeout(Some(REPLY_LIMIT))?;
            Ok(stream)
        });
        let stream = stream.map_err(|source| ServiceError::Absent {
            socket: socket.into(),
            source,
        })?;
        let mut manager = Self {
            stream,
            socket: socket.into(),
            serial: 0,
        };
        manager.authenticate()?;
        Ok(manager)
    }

    /// `active`, `inactive`, `failed`, `activating`, `deactivating` or `reloading`. A unit that does
    /// not exist is inactive.
    ///
    /// # Errors
    /// When the manager does not answer, or the name is not one of a unit.
    pub fn active_state(&mut self, unit: &str) -> Result<String, ServiceError> {
        self.unit_property(unit, "ActiveState")
    }

    /// Whether something starts it at boot: `enabled`, `static`, `disabled`, `transient` … Empty
    /// where there is no unit file.
    ///
    /// # Errors
    /// As [`Self::active_state`].
    pub fn unit_file_state(&mut self, unit: &str) -> Result<String, ServiceError> {
        self.unit_property(unit, "UnitFileState")
    }

    /// Has the unit stopped, together with what requires it. Returns when the job is accepted.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub fn stop(&mut self, unit: &str) -> Result<(), ServiceError> {
        self.manager_call("StopUnit", &[unit, "replace"]).map(drop)
    }

    /// Has the unit started, together with what it requires. Returns when the job is accepted.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub fn start(&mut self, unit: &str) -> Result<(), ServiceError> {
        self.manager_call("StartUnit", &[unit, "replace"]).map(drop)
    }

    /// Forgets that the unit has failed, and how often it was started: what was started too often
    /// within a time of its own is not started again until somebody does this.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub fn reset_failed(&mut self, unit: &str) -> Result<(), ServiceError> {
        self.manager_call("ResetFailedUnit", &[unit]).map(drop)
    }

    fn unit_property(&mut self, unit: &str, property: &str) -> Result<String, ServiceError> {
        let path = self.manager_call("LoadUnit", &[unit])?;
        self.call(&Call {
            path: &path,
            interface: PROPERTIES,
            member: "Get",
            arguments: &[UNIT_INTERFACE, property],
        })
    }

    fn manager_call(&mut self, member: &str, arguments: &[&str]) -> Result<String, ServiceError> {
        self.call(&Call {
            path: MANAGER,
            interface: MANAGER_INTERFACE,
            member,
            arguments,
        })
    }

    /// The answer's text, of whatever type of text it is.
    fn call(&mut self, call: &Call<'_>) -> Result<String, ServiceError> {
        self.serial += 1;
        let serial = self.serial;
        let written = self.stream.write_all(&call.marshal(serial));
        written.map_err(|source| self.talk(source))?;
        loop {
            match self.receive()? {
                Reply::Answer { to, text } if to == serial => return Ok(text),
                Reply::Refusal { to, name, why } if to == serial => {
                    return Err(ServiceError::Refused { name, why });
                }
                // Signals, and answers to what was given up.
                Reply::Answer { .. } | Reply::Refusal { .. } | Reply::Other => {}
            }
        }
    }

    fn receive(&mut self) -> Result<Reply, ServiceError> {
        let mut head = [0; Head::LENGTH];
        self.read(&mut head)?;
        let head = Head::parse(&head)
            .filter(|head| head.rest() <= ANSWER_MAX)
            .ok_or_else(|| self.confused())?;
        let mut rest = vec![0; head.rest()];
        self.read(&mut rest)?;
        head.reply(&rest).ok_or_else(|| self.confused())
    }

    /// The uid in decimal digits, each byte in hexadecimal.
    fn authenticate(&mut self) -> Result<(), ServiceError> {
        let uid = rustix::process::geteuid().as_raw().to_string();
        let digits: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        // BEGIN together with it: systemd waits for more to arrive before it looks at what came
        // together with BEGIN, which must therefore not be our first call.
        let hello = format!("\0AUTH EXTERNAL {digits}\r\nBEGIN\r\n");
        let written = self.stream.write_all(hello.as_bytes());
        written.map_err(|source| self.talk(source))?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 256 {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.extend(byte);
        }
        if !line.starts_with(b"OK ") {
            let socket = self.socket.clone();
            return Err(ServiceError::NotLetIn { socket });
        }
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), ServiceError> {
        let read = self.stream.read_exact(bytes);
        read.map_err(|source| self.talk(source))
    }

    fn talk(&self, source: io::Error) -> ServiceError {
        ServiceError::Talk {
            socket: self.socket.clone(),
            source,
        }
    }

    fn confused(&self) -> ServiceError {
        ServiceError::Confused {
            socket: self.socket.clone(),
        }
    }
}
