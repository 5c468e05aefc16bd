//! Faults on requests inside TLS: what the two sides agreed on says which HTTP it is.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use firedrill_proxy::Faults;
use firedrill_proxy::message::{
    HttpAction, HttpFault, HttpMatch, Kind, MessageFault, Pattern, Protocol,
};
use firedrill_proxy::tls::Tls;
use firedrill_proxy::tls::names::Names;
use firedrill_proxy::tls::originate::{Originate, Trust};

use crate::bed::{ANY, Bed, NAME, PATIENCE, authority, file, terminate};

/// A server of HTTP/1.1 and HTTP/2 over TLS, with a certificate of its own.
struct Nginx {
    process: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Nginx {
    fn start() -> Option<Self> {
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
                 ssl_certificate own.pem; ssl_certificate_key key.pem;
                 location / {{ default_type text/plain; return 200 'hello over $server_protocol'; }}
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
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

fn program(name: &str) -> Option<std::path::PathBuf> {
    let places = ["/usr/sbin", "/usr/bin"];
    let mut paths = places.iter().map(|place| Path::new(place).join(name));
    paths.find(|path| path.exists())
}

fn curl(bed: &Bed, root: &Path, version: &str, path: &str) -> Output {
    let port = bed.address.port();
    Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "20",
        ])
        .args([version, "--write-out", " %{http_code}", "--cacert"])
        .arg(root)
        .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
        .arg(format!("https://{NAME}:{port}/{path}"))
        .output()
        .expect("curl")
}

fn aborted() -> Faults {
    let action = HttpAction::Abort {
        status: 503,
        body: "drill".into(),
    };
    let matching = HttpMatch {
        path: Some(Pattern::new("/cart*")),
        ..HttpMatch::default()
    };
    Faults {
        messages: vec![MessageFault {
            name: "abort".into(),
            share: 1.0,
            arm: None,
            kind: Kind::Http(HttpFault { matching, action }),
        }],
        ..Faults::default()
    }
}

#[test]
fn a_request_meets_its_fault_in_whichever_http_the_two_sides_agreed_on() {
    let (Some(nginx), Some(_)) = (Nginx::start(), program("curl")) else {
        eprintln!("skipped: nginx or curl is not here");
        return;
    };
    let authority = authority();
    let root = file(&authority);
    let originate = Originate::new(&Trust::Anybody, None, vec![]).expect("a client");
    let tls = Tls::Reencrypt(terminate(&authority, &[]), originate.into());
    let bed = Bed::with(tls, nginx.address, Protocol::Http, aborted());
    for (version, spoken) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2.0")] {
        let answer = curl(&bed, root.path(), version, "");
        let said = String::from_utf8_lossy(&answer.stdout);
        assert_eq!(said, format!("hello over {spoken} 200"), "{answer:?}");
        let answer = curl(&bed, root.path(), version, "cart");
        let said = String::from_utf8_lossy(&answer.stdout);
        assert_eq!(said, "drill 503", "{version} {answer:?}");
    }
}

#[test]
fn a_session_of_curl_goes_straight_through_to_nginx_by_its_name() {
    let (Some(nginx), Some(_)) = (Nginx::start(), program("curl")) else {
        eprintln!("skipped: nginx or curl is not here");
        return;
    };
    let mut names = Names::default();
    let upstream = firedrill_proxy::Upstream::Addresses(vec![nginx.address]);
    assert!(names.add("*.example.org", upstream));
    let tls = Tls::Pass {
        names,
        others: false,
    };
    let bed = Bed::with(tls, ANY, Protocol::Tcp, Faults::default());
    // Trusted only because it is nginx's own, which the proxy could not show.
    let own = nginx.folder.path().join("own.pem");
    let answer = curl(&bed, &own, "--http2", "");
    let said = String::from_utf8_lossy(&answer.stdout);
    assert_eq!(said, "hello over HTTP/2.0 200", "{answer:?}");
}
