//! nginx, where it is installed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A busy host may take this long to start it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with a folder of its own, which ends with this.
pub(crate) struct Nginx {
    process: Child,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// One that listens like this (`ssl http2`), beside the files that are put into its folder, and has
    /// these settings.
    pub(crate) fn start(listen: &str, settings: &str, fill: impl FnOnce(&Path)) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        fill(folder.path());
        let any = (Ipv4Addr::LOCALHOST, 0);
        let port = TcpListener::bind(any).and_then(|listener| listener.local_addr());
        let address = port.expect("a port");
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;
             events {{}}
             http {{
               access_log off; keepalive_requests 1000000;
               client_body_temp_path body; proxy_temp_path p; fastcgi_temp_path f;
               uwsgi_temp_path u; scgi_temp_path s;
               server {{ listen {address} {listen}; {settings} }}
             }}"
        );
        std::fs::write(folder.path().join("nginx.conf"), config).expect("written");
        let process = Command::new(program("nginx")?)
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf"])
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let nginx = Self {
            process,
            address,
            folder,
        };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < PATIENCE, "nginx does not listen");
            std::thread::yield_now();
        }
        Some(nginx)
    }

    /// A file in its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// Where a program is, if it is here.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let places = ["/usr/sbin", "/usr/bin"];
    let mut paths = places.iter().map(|place| Path::new(place).join(name));
    paths.find(|path| path.exists())
}
