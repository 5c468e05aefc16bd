//! nginx, where it is installed.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::bed::{ANY, NAME, PATIENCE};

/// A server of HTTP/1.1 and HTTP/2 over TLS, with a certificate of its own.
pub(crate) struct Nginx {
    process: Child,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// One that has these settings too, and this to say.
    pub(crate) fn start(settings: &str, answer: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let own = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("own.pem"), own.cert.pem()).expect("written");
        std::fs::write(path("key.pem"), own.signing_key.serialize_pem()).expect("written");
        let port = TcpListener::bind(ANY).and_then(|listener| listener.local_addr());
        let address = port.expect("a port");
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;
             events {{}}
             http {{
               access_log off;
               client_body_temp_path body; proxy_temp_path p; fastcgi_temp_path f;
               uwsgi_temp_path u; scgi_temp_path s;
               server {{
                 listen {address} ssl http2;
                 ssl_certificate own.pem; ssl_certificate_key key.pem; {settings}
                 location / {{ default_type text/plain; return 200 '{answer}'; }}
               }}
             }}"
        );
        std::fs::write(path("nginx.conf"), config).expect("written");
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

    /// Its own, signed by nobody else.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("own.pem")
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
