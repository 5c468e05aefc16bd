//! The HTTP service of `compat/support/server.py`, one per worker.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

/// Serves until dropped.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    port: u16,
}

impl Service {
    pub(crate) fn start(venv: &Path, home: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(venv.join("bin/python"))
            .arg(home.join("support/server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the test service")?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let port = line
            .trim()
            .parse()
            .context("the test service gave no port")?;
        Ok(Self { child, port })
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Forgets what earlier runs did.
    pub(crate) fn reset(&self) -> anyhow::Result<()> {
        self.request("POST", "/reset").map(|_| ())
    }

    /// What notifications arrived since the reset.
    pub(crate) fn received(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.request("GET", "/received")?)?)
    }

    fn request(&self, method: &str, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let host = self.host();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        match reply.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
            _ => bail!("{method} {path}: {reply}"),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends with its input; reaping it is all that is left to do.
        let _ended = self.child.wait();
    }
}
