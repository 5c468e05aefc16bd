//! A fabric with a route that has to do with TLS, and peers that speak it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use firedrill_proxy::message::Protocol;
use firedrill_proxy::tls::Tls;
use firedrill_proxy::tls::authority::Authority;
use firedrill_proxy::tls::flaw::HandshakeFault;
use firedrill_proxy::tls::originate::{Originate, Trust};
use firedrill_proxy::tls::terminate::{Clients, Shown, Terminate};
use firedrill_proxy::{Fabric, Faults, Options, RouteConfig, Upstream};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ResolvesServerCertUsingSni;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

pub(crate) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Long enough for anything that is to happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const NAME: &str = "shop.example.org";

pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;
pub(crate) type Server = StreamOwned<ServerConnection, TcpStream>;

pub(crate) struct Bed {
    pub(crate) fabric: Fabric,
    pub(crate) address: SocketAddr,
}

impl Bed {
    pub(crate) fn new(tls: Tls, upstream: SocketAddr, faults: Vec<HandshakeFault>) -> Self {
        Self::with(tls, upstream, Protocol::Tcp, on_handshakes(faults))
    }

    pub(crate) fn with(tls: Tls, upstream: SocketAddr, protocol: Protocol, faults: Faults) -> Self {
        let options = Options {
            threads: 1,
            seed: 1,
            arms_most: 1.0,
            busy_poll: Duration::ZERO,
        };
        let fabric = Fabric::start(&options).expect("a fabric");
        let address = fabric
            .open(RouteConfig {
                name: "route".into(),
                listen: ANY,
                upstream: Upstream::Addresses(vec![upstream]),
                connect_timeout: Duration::from_secs(3),
                tls,
                protocol,
                flows: Default::default(),
                faults,
            })
            .expect("a route");
        Self { fabric, address }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        stream
    }

    pub(crate) fn client(&self, config: &Arc<ClientConfig>) -> Client {
        self.client_of(NAME, config)
    }

    pub(crate) fn client_of(&self, name: &str, config: &Arc<ClientConfig>) -> Client {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let tls = ClientConnection::new(Arc::clone(config), name).expect("a client");
        StreamOwned::new(tls, self.connect())
    }

    /// Gives the handshakes to come these faults.
    pub(crate) fn change(&self, faults: Vec<HandshakeFault>) {
        let changed = self.fabric.change("route", on_handshakes(faults));
        changed.expect("a route");
    }

    /// Why the last handshakes with a client and with an upstream came to nothing.
    pub(crate) fn why(&self) -> [String; 2] {
        let failures = self.fabric.failed_handshakes("route").expect("a route");
        [failures.client, failures.upstream].map(|failed| failed.last.unwrap_or_default())
    }

    /// Connections for which nothing could be reached or agreed on.
    pub(crate) fn failed(&self) -> u64 {
        self.fabric.passed("route").expect("a route").failed
    }
}

pub(crate) fn on_handshakes(handshakes: Vec<HandshakeFault>) -> Faults {
    Faults {
        handshakes,
        ..Faults::default()
    }
}

pub(crate) fn authority() -> Arc<Authority> {
    Arc::new(Authority::new().expect("an authority"))
}

pub(crate) fn terminate(authority: &Arc<Authority>, alpn: &[&str]) -> Arc<Terminate> {
    asking(authority, &Clients::All, alpn)
}

/// The same, where not all clients are let in.
pub(crate) fn asking(
    authority: &Arc<Authority>,
    clients: &Clients,
    alpn: &[&str],
) -> Arc<Terminate> {
    let shown = Shown::Made { name: None };
    let made = Terminate::new(Arc::clone(authority), shown, clients, protocols(alpn));
    Arc::new(made.expect("a server"))
}

pub(crate) fn originate(trust: &Trust, alpn: &[&str]) -> Arc<Originate> {
    let name = ServerName::try_from(NAME).expect("a name");
    let made = Originate::new(trust.clone(), Some(name), None, protocols(alpn));
    Arc::new(made.expect("a client"))
}

pub(crate) fn protocols(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// A client that trusts this authority and speaks these.
pub(crate) fn trusting(authority: &Authority, alpn: &[&str]) -> Arc<ClientConfig> {
    client(authority, alpn, rustls::ALL_VERSIONS)
}

/// The same, with TLS 1.2 at most.
pub(crate) fn older(authority: &Authority, alpn: &[&str]) -> Arc<ClientConfig> {
    client(authority, alpn, &[&rustls::version::TLS12])
}

fn client(
    authority: &Authority,
    alpn: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes());
    roots.add(root.expect("PEM")).expect("a root");
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols(alpn);
    Arc::new(config)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A server whose connections are each given to a thread.
pub(crate) fn serve(each: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(ANY).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let each = Arc::new(each);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = Arc::clone(&each);
            thread::spawn(move || each(stream));
        }
    });
    address
}

/// A server of TLS with a certificate of this authority.
pub(crate) fn serve_tls(
    authority: &Authority,
    alpn: &[&str],
    each: impl Fn(Server) + Send + Sync + 'static,
) -> SocketAddr {
    let mut names = ResolvesServerCertUsingSni::new();
    let certificate = authority.certificate(NAME, None).expect("a certificate");
    let certificate = rustls::sign::CertifiedKey::clone(&certificate);
    names.add(NAME, certificate).expect("a name");
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(names));
    config.alpn_protocols = protocols(alpn);
    let config = Arc::new(config);
    serve(move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).expect("a server");
        each(StreamOwned::new(tls, stream));
    })
}

/// A server of TLS with a certificate of this authority, for clients that it knows.
pub(crate) fn serve_known(
    authority: &Arc<Authority>,
    clients: &Clients,
    each: fn(Server),
) -> SocketAddr {
    let ends = asking(authority, clients, &[]);
    serve(move |stream| {
        let mut first = [0; 4096];
        let hello = loop {
            let length = stream.peek(&mut first).expect("a hello");
            let read = firedrill_proxy::tls::hello::read(&first[..length]);
            if let Some(hello) = read.expect("a hello") {
                break hello;
            }
        };
        let tls = ends.connection(&hello, ANY.ip(), None, None);
        each(StreamOwned::new(tls.expect("a server"), stream));
    })
}

/// Sends back what comes, and ends when the peer has.
pub(crate) fn echo(mut stream: impl std::io::Read + std::io::Write) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

pub(crate) fn echo_tls(mut server: Server) {
    echo(&mut server);
    server.conn.send_close_notify();
    let _gone = server.flush();
}

pub(crate) fn ask(stream: &mut (impl std::io::Read + std::io::Write), question: &[u8]) -> Vec<u8> {
    stream.write_all(question).expect("sent");
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer).expect("an answer");
    answer
}

/// Everything until the peer says that this is all.
pub(crate) fn rest(client: &mut Client) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    client.read_to_end(&mut all).map(|_| all)
}

/// Says that nothing more is said, and leaves the other direction as it is.
pub(crate) fn end(client: &mut Client) {
    client.conn.send_close_notify();
    client.flush().expect("sent");
}

/// Bytes that differ from place to place.
pub(crate) fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at % 251) as u8 ^ (at >> 13) as u8)
        .collect()
}

/// The authority's certificate as a file.
pub(crate) fn file(authority: &Authority) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(authority.pem().as_bytes()).expect("written");
    file
}

/// Waits until it is so, at most as long as patience lasts.
pub(crate) fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let begin = std::time::Instant::now();
    while begin.elapsed() < PATIENCE {
        if is_so() {
            return true;
        }
        thread::yield_now();
    }
    false
}
