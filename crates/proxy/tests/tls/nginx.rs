//! nginx with a certificate of its own, where it is installed.

use crate::bed::NAME;
pub(crate) use crate::server::{Nginx, program};

/// The file with its certificate, signed by nobody else.
pub(crate) const CERTIFICATE: &str = "own.pem";

/// A server of HTTP/1.1 and HTTP/2 over TLS that has these settings too, and this to say.
pub(crate) fn start(settings: &str, answer: &str) -> Option<Nginx> {
    let settings = format!(
        "ssl_certificate {CERTIFICATE}; ssl_certificate_key key.pem; {settings}
         location / {{ default_type text/plain; return 200 '{answer}'; }}"
    );
    Nginx::start("ssl http2", &settings, |folder| {
        let own = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let key = own.signing_key.serialize_pem();
        std::fs::write(folder.join(CERTIFICATE), own.cert.pem()).expect("written");
        std::fs::write(folder.join("key.pem"), key).expect("written");
    })
}
